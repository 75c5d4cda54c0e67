/*
 * The media of a session description (RFC 4566 5.7, 5.14; RFC 3605; RFC 3264; T.38 annex D; RFC 4145; RFC 5761;
 * RFC 8839): who receives what where. Pure; everything points into the description.
 */
#ifndef NATLOCK_ALG_SDP_MEDIA_H
#define NATLOCK_ALG_SDP_MEDIA_H

#include "sdp.h"

enum { SDP_MEDIA = 8 }; /* of one description; with more it is left alone */

enum sdp_carrier {
	SDP_OTHER, /* not known here: its port is left alone, and nothing opened */
	SDP_RTP, /* over UDP: RTP/AVP, RTP/SAVPF, UDP/TLS/RTP/SAVPF ...: RTCP at the port behind it unless it says otherwise */
	SDP_UDP, /* one port over UDP: udptl, UDP/DTLS/SCTP ... */
	SDP_TCP, /* one connection: tcp, TCP/..., with a=setup */
};

struct sdp_media {
	enum sdp_carrier carrier;
	struct text port;	/* digits */
	uint32_t number, count; /* port; pairs of a range "/count", 1 without it */
	uint32_t
		ip_be; /* where it is received, by its own c= or the session's; 0: nobody's IPv4 address */
	bool rejected; /* port 0 */
	bool mux;      /* a=rtcp-mux, and nothing else is said of RTCP */
	bool active;   /* a=setup:active: the other side listens (port 9 of RFC 4145 is no port) */
	struct text rtcp;		  /* digits of a=rtcp; empty: none */
	uint32_t rtcp_number, rtcp_ip_be; /* rtcp_ip_be 0: as ip_be */
};

struct sdp_session {
	struct text body;
	unsigned int media_count;
	struct sdp_media media[SDP_MEDIA];
};

/* false: it is no description, or has more than SDP_MEDIA, or a media line or address that is not understood. */
bool sdp_read(struct text body, struct sdp_session *s);

/* Takes the next IPv4 address that stands anywhere in the description where the grammar has one: o=, c= (session and media), a=rtcp,
 * a=candidate (its connection address with its port; not raddr). begin: rest = s->body. */
struct sdp_place {
	enum sdp_place_kind { SDP_ORIGIN, SDP_CONNECTION, SDP_RTCP, SDP_CANDIDATE } kind;
	struct text host, port; /* port: of a candidate, else empty */
	uint32_t ip_be, number;
};
bool sdp_next_place(struct text *rest, struct sdp_place *place);

#endif
