/*
 * DNS messages as far as a forwarder with a cache must understand them (RFC 1035, RFC 6891): what a
 * guest asks, what it is asked as, whether an answer may be kept and for how long. Any bytes are
 * judged; what is well-formed but of no plain shape goes on as it is and is never kept. Pure.
 */
#ifndef NATLOCK_NATPROXY_DNSMSG_H
#define NATLOCK_NATPROXY_DNSMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DNSMSG_HEADER_BYTES = 12,
	DNSMSG_LABEL_MAX = 63,
	DNSMSG_NAME_MAX = 255,			/* on the wire, with the root's label */
	DNSMSG_QUERY_BYTES = 1500,		/* longest question that is taken */
	DNSMSG_PLAIN_BYTES = 12 + 255 + 4 + 11, /* longest question that dnsmsg_ask makes */
	DNSMSG_PAYLOAD = 1232, /* what we say that we take by UDP: never a fragment (RFC 9715) */
	DNSMSG_NO_EDNS_BYTES = 512, /* RFC 1035 4.2.1 */
	DNSMSG_RECORDS = 64,	    /* of a message that may be kept */
	DNSMSG_ADDRESSES = 16,	    /* that are noted of an answer */
	DNSMSG_TTL_MAX = 86400,	    /* s; RFC 8767 allows a week, a day is enough for a gateway */
	DNSMSG_FAILURE_TTL = 5,	    /* s; RFC 9520 3.2: more than 1 s, less than 5 min */
	DNSMSG_TYPE_A = 1,
	DNSMSG_TYPE_PTR = 12,
	DNSMSG_TYPE_AAAA = 28,
	DNSMSG_CLASS_IN = 1,
};

enum dnsmsg_rcode {
	DNSMSG_NOERROR = 0,
	DNSMSG_FORMERR = 1,
	DNSMSG_SERVFAIL = 2,
	DNSMSG_NXDOMAIN = 3,
	DNSMSG_NOTIMP = 4,
	DNSMSG_REFUSED = 5,
};

enum dnsmsg_flag { /* of a question, as far as they change its answer */
	DNSMSG_RD = 1,
	DNSMSG_CD = 2,
	DNSMSG_AD = 4,
	DNSMSG_EDNS = 8,
	DNSMSG_DO = 16,
};

/* A plain question: one name, type and class, at most an OPT record beside it. */
struct dnsmsg_question {
	uint16_t id, type, class;
	uint16_t room; /* bytes that the asker takes by UDP */
	uint8_t flags; /* bit set of enum dnsmsg_flag */
	uint8_t name_bytes;
	uint8_t name[DNSMSG_NAME_MAX]; /* wire format, lower case */
};

enum dnsmsg_verdict {
	DNSMSG_NOISE,	       /* no header, or an answer: nothing is said */
	DNSMSG_MALFORMED,      /* FORMERR */
	DNSMSG_FOREIGN_OPCODE, /* an update, a notification, a status: NOTIMP */
	DNSMSG_ODD,   /* a question, well-formed at its start: forwarded as it is, not kept */
	DNSMSG_PLAIN, /* *q is filled */
};
/* Judges what a guest sent. */
enum dnsmsg_verdict dnsmsg_query(const uint8_t *bytes, size_t n, struct dnsmsg_question *q);
/* Bytes of header and first question, 0 when they are malformed (a question is never compressed). */
size_t dnsmsg_question_end(const uint8_t *bytes, size_t n);
/* The question as it is asked upstream: nothing of the asker's but q. Its length, at most
 * DNSMSG_PLAIN_BYTES. */
size_t dnsmsg_ask(const struct dnsmsg_question *q, uint16_t id, uint8_t *out);
/* Whether both are answered by the same message. */
bool dnsmsg_same(const struct dnsmsg_question *a, const struct dnsmsg_question *b);

/* What an answer says about itself. */
struct dnsmsg_answer {
	bool truncated, keep; /* keep: plain, whole, and worth keeping for ttl_s */
	uint8_t rcode;
	uint8_t ttls, addresses;
	uint32_t ttl_s;
	uint16_t ttl_at[DNSMSG_RECORDS];       /* where TTLs stand */
	uint16_t address_at[DNSMSG_ADDRESSES]; /* where the addresses of A records stand */
};
/*
 * Walks an answer whose question is known to be ours. RFC 2308: NXDOMAIN and an answer without
 * records are kept by their SOA and not without one; SERVFAIL for DNSMSG_FAILURE_TTL.
 */
void dnsmsg_answer(const uint8_t *bytes, size_t n, struct dnsmsg_answer *a);

/*
 * An answer without records, made of a query: its question if that is well-formed, else the bare
 * header. `out` has room for DNSMSG_PLAIN_BYTES; the length. n >= DNSMSG_HEADER_BYTES.
 */
size_t dnsmsg_refusal(const uint8_t *query, size_t n, enum dnsmsg_rcode rcode, uint8_t *out);
/* Cuts an answer to q down to a message of its question with TC set if it is longer than `room`, which is
 * at least DNSMSG_NO_EDNS_BYTES; the length. */
size_t dnsmsg_truncate(uint8_t *answer, size_t n, const struct dnsmsg_question *q, uint16_t room);

uint16_t dnsmsg_field(const uint8_t *bytes, size_t at);
void dnsmsg_put_field(uint8_t *bytes, size_t at, uint16_t value);

#endif
