/* URLs of RTSP (RFC 2326 3.2, RFC 7826 4.2) in other text. Pure. */
#ifndef NATLOCK_ALG_RTSP_URL_H
#define NATLOCK_ALG_RTSP_URL_H

#include "text.h"

enum { RTSP_URL_PORT = 554 }; /* where a URL names none */

struct rtsp_url {
	struct text host; /* with its port, if it has one */
	uint32_t ip_be;
	uint16_t port;
	bool has_port;
};

/* Takes text up to the end of the next URL's host that is an IPv4 address; false: none is left. */
bool rtsp_url_next(struct text *t, struct rtsp_url *url);

#endif
