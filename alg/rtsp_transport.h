/* The Transport header of RTSP (RFC 2326 12.39, RFC 7826 18.54), one specification of its list at a
 * time. Pure; everything points into the message. */
#ifndef NATLOCK_ALG_RTSP_TRANSPORT_H
#define NATLOCK_ALG_RTSP_TRANSPORT_H

#include "text.h"

enum { RTSP_TRANSPORT_PORTS = 2 }; /* of one end: RTP and RTCP */

/* What it says of one end: ports in host order, addresses in network byte order. */
struct rtsp_end {
	unsigned int ports, addresses;
	struct {
		struct text span;
		uint32_t number;
	} port[RTSP_TRANSPORT_PORTS];
	struct {
		struct text span;
		uint32_t ip_be;
	} address[RTSP_TRANSPORT_PORTS];
	bool foreign; /* an address that is no IPv4 */
};

struct rtsp_transport {
	bool udp;    /* unicast over UDP, and nothing about it is unclear */
	bool broken; /* something about it is */
	struct rtsp_end client, server;
};

/* Takes the next specification of a header's value; false at the end. */
bool rtsp_transport_next(struct text *value, struct rtsp_transport *t);

#endif
