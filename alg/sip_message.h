/*
 * SIP messages (RFC 3261 7, 20, 25.1): start line, header lines by their long or compact names, body.
 * Pure; everything points into the message.
 */
#ifndef NATLOCK_ALG_SIP_MESSAGE_H
#define NATLOCK_ALG_SIP_MESSAGE_H

#include "header.h"

/* The header fields that matter here (RFC 3261, 3325, 3326, 3327, 3515, 3608, 3891, 3892, 5806, 7044 ...). */
enum sip_field {
	SIP_OTHER,
	SIP_VIA,
	SIP_CONTACT,
	SIP_FROM,
	SIP_TO,
	SIP_CALL_ID,
	SIP_CSEQ,
	SIP_EXPIRES,
	SIP_CONTENT_LENGTH,
	SIP_CONTENT_TYPE,
	SIP_CONTENT_ENCODING,
	SIP_CREDENTIALS, /* Authorization, Proxy-Authorization */
	SIP_ROUTES,	 /* Route, Record-Route, Path, Service-Route */
	SIP_REFER_TO,
	SIP_NAMED, /* Referred-By, P-Asserted-Identity and others that hold addresses of people */
};

struct sip_line {
	enum sip_field field;
	struct text name, value; /* as header.h has them */
};

struct sip_message {
	struct header h;
	bool request;		 /* else a response, or a fragment without a start line */
	bool fragment;		 /* sip_read_fragment's */
	struct text method, uri; /* of a request */
	uint32_t status;	 /* of a response: 100..699; else 0 */
	/* empty (p == end) where they are absent, twice or broken; a message without the first three opens nothing */
	struct text call_id, cseq_method, branch /* of the topmost Via */, from_tag, to_tag;
	uint32_t cseq;
	struct text length, type,
		encoding; /* digits of Content-Length; values of Content-Type, Content-Encoding */
	uint32_t expires; /* of Expires; UINT32_MAX where there is none */
};

/*
 * Of a stream: length of the first message in p[0..n), or of one line end between messages (keep-alives,
 * RFC 5626 4.4.1); 0 if more is needed; a length that sip_read refuses where it is no SIP (that is seen by
 * the first byte that cannot be one's). The first `seen` bytes were looked at by a call that returned 0.
 */
size_t sip_frame(const uint8_t *p, size_t n, size_t seen);

/*
 * Exactly one message, or false. Of a datagram (stream false) the body ends where Content-Length says, with or
 * without bytes behind it, and where it says nothing with the datagram (RFC 3261 18.3).
 */
bool sip_read(const uint8_t *p, size_t n, bool stream, struct sip_message *m);
/* Whether a datagram is none of SIP's but belongs there: line ends and other white space, zeros, STUN (RFC 5626 4.4). */
bool sip_is_keepalive(const uint8_t *p, size_t n);

/* Takes the next header line; false at the end. lines: begin with m->h.lines, or with those of a fragment. */
bool sip_next_line(struct text *lines, struct sip_line *line);
/*
 * A fragment (RFC 3420): the same lines, with or without a start line before them, up to an empty line or the end; false: it is none.
 * Its Content-Length is not compared with what is there.
 */
bool sip_read_fragment(struct text body, struct sip_message *m);

#endif
