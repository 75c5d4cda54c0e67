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
	SDP_TCP, /* one connection: tcp, TCP/... but MSRP, with a=setup */
};

/* One m= line and what belongs to it. Ports in host order, addresses in network byte order. */
struct sdp_media {
	enum sdp_carrier carrier;
	struct text port;	/* digits */
	uint32_t number, count; /* port; of a range "/count", which is 1 without it and never 0 */
	/* where it is received, by its own c= or else the session's; 0: no IPv4 address, or several that differ */
	uint32_t ip_be;
	bool held;     /* that is 0.0.0.0 (RFC 3264 8.4); ip_be is 0 then */
	bool rejected; /* port 0 */
	bool mux;      /* a=rtcp-mux, and there is no a=rtcp */
	bool active; /* SDP_TCP: nobody is to connect to it (a=setup:active or holdconn, port 9) */
	struct text rtcp;     /* digits of a=rtcp; empty: none that is understood */
	uint32_t rtcp_number; /* where there is one; never 0 then */
	uint32_t
		rtcp_ip_be; /* where RTCP is received: a=rtcp's own address, else ip_be; 0: as above */
};

struct sdp_session {
	struct text body;
	uint32_t
		ip_be; /* of the session's own c=; 0: none, no IPv4 address, or several that differ */
	unsigned int media_count;
	struct sdp_media media[SDP_MEDIA];
};

/*
 * false: it is no description (sdp_valid), has more than SDP_MEDIA m= lines, or one that is not understood. Lines of
 * other kinds that are not understood say nothing; of several a=rtcp in one section the first counts.
 */
bool sdp_read(struct text body, struct sdp_session *s);

/*
 * Takes the next IPv4 address that stands anywhere in the description where the grammar has one: o=, c= (session and media), a=rtcp,
 * a=candidate (its connection address with its port; not raddr). begin: rest = s->body. false at the end.
 */
struct sdp_place {
	enum sdp_place_kind { SDP_ORIGIN, SDP_CONNECTION, SDP_RTCP, SDP_CANDIDATE } kind;
	struct text host, port; /* port: of a=rtcp and candidates, else empty */
	uint32_t ip_be, number;
	bool stream; /* of a candidate: TCP, else UDP */
};
bool sdp_next_place(struct text *rest, struct sdp_place *place);

/* The index of the m= line to which this span belongs; s->media_count: it stands before the first. */
unsigned int sdp_media_at(const struct sdp_session *s, struct text span);

#endif
