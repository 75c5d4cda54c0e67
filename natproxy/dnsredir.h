/*
 * DNS redirect (seed 3.7.4): a guest's question to the gateway goes to an upstream server and the
 * answer seems to come from the gateway. This file knows questions in flight, who waits for them, and
 * which servers work. Pure; the sockets are dnsrelay.c's.
 */
#ifndef NATLOCK_NATPROXY_DNSREDIR_H
#define NATLOCK_NATPROXY_DNSREDIR_H

#include "dnsmsg.h"
#include "hash.h"

enum {
	DNSREDIR_UPSTREAMS = 8,
	DNSREDIR_QUERIES = 1024,    /* in flight */
	DNSREDIR_ASKERS = 2048,	    /* guests' questions that wait for them */
	DNSREDIR_QUERY_ASKERS = 64, /* of one question */
	DNSREDIR_BUCKETS = 1024,    /* power of two */
	DNSREDIR_TRY_MS = 1000,	    /* silence after which the next server is asked */
	DNSREDIR_PROBE_MS =
		300, /* the same for one that failed before, while another is known to work */
	DNSREDIR_PATIENCE_MS = 4000, /* silence of all after which the guest is told */
	DNSREDIR_AVOID_MS =
		2000, /* how long a server that failed is not the first choice: doubled each time ... */
	DNSREDIR_AVOID_DOUBLED = 5, /* ... so often: at most 64 s */
	DNSREDIR_NONE = 0, /* references are 1..DNSREDIR_QUERIES, askers 1..DNSREDIR_ASKERS */
};

struct dnsredir_upstream {
	uint32_t ip_be, failures; /* failures: since its last answer */
	uint64_t avoid_until_ns;
};

struct dnsredir_asker {
	uint32_t flow, next;
	uint16_t id, guest; /* guest: index of its account */
	uint16_t room;	    /* bytes it takes by UDP */
	uint8_t name_bytes; /* 0: of an odd question, whose answer goes back as it comes */
	uint8_t name[DNSMSG_NAME_MAX]; /* as it was written */
};

struct dnsredir_query {
	bool used, plain;
	uint8_t upstream, useless, askers; /* useless: bit set of servers that had nothing to say */
	uint16_t wire_id, length;
	uint32_t generation; /* of the servers when it was asked */
	uint32_t asker;	     /* the last to join; the list ends with the first */
	uint32_t next;
	int fd;
	uint64_t hash, deadline_ns, give_up_ns;
	struct dnsmsg_question question; /* if plain */
};

struct dnsredir_guest {
	uint32_t ip_be;
	uint16_t askers, next;
};

struct dnsredir {
	uint32_t upstream_count, generation;
	struct dnsredir_upstream upstream[DNSREDIR_UPSTREAMS];
	uint32_t guest_limit; /* limits.dns_sessions_per_host */
	uint32_t live, fresh, free;
	uint32_t askers, askers_fresh, askers_free;
	uint16_t guests_fresh, guests_free;
	uint64_t soonest_ns;
	struct hash_key key;
	uint32_t bucket[DNSREDIR_BUCKETS];
	uint16_t guest_bucket[DNSREDIR_BUCKETS];
	struct dnsredir_guest guest[DNSREDIR_ASKERS + 1];
	struct dnsredir_asker asker[DNSREDIR_ASKERS + 1];
	struct dnsredir_query query[DNSREDIR_QUERIES + 1];
	uint8_t bytes[DNSREDIR_QUERIES + 1][DNSMSG_QUERY_BYTES];
};

/* `d` is zeroed. */
void dnsredir_init(struct dnsredir *d, const struct hash_key *key);
/* The servers, in order of preference; those beyond DNSREDIR_UPSTREAMS are ignored. Whether that is a
 * change. */
bool dnsredir_upstreams(struct dnsredir *d, const uint32_t *ip_be, size_t count);

/* A guest's question, as dnsmsg_query judged it. */
struct dnsredir_ask {
	uint32_t flow, guest_ip_be;
	const uint8_t *bytes;
	size_t n;				/* at most DNSMSG_QUERY_BYTES */
	const struct dnsmsg_question *question; /* NULL: odd */
	uint64_t hash;				/* keyed, of a plain question */
	uint32_t elsewhere; /* those of this guest that wait by TCP: they count too */
};
enum dnsredir_opened {
	DNSREDIR_ASK,	/* *ref is to be asked */
	DNSREDIR_WAIT,	/* somebody has asked the same: the answer will come to both */
	DNSREDIR_AGAIN, /* this guest has: it is being patient */
	DNSREDIR_FULL,	/* too many wait, of this guest or of all */
};
/*
 * Notes a question; wire_id is what it carries outside if it is the first of its kind: one question
 * is never in flight twice, so that forging its answer takes one guess of id and port, not one of
 * many (RFC 5452 5).
 */
enum dnsredir_opened dnsredir_open(struct dnsredir *d, const struct dnsredir_ask *ask,
	uint16_t wire_id, uint64_t now_ns, uint32_t *ref);
/* Starts a try: the address of the server to ask now, which *again says to be the one asked before; 0
 * when there is none left or the time is over. */
uint32_t dnsredir_next(struct dnsredir *d, uint32_t ref, uint64_t now_ns, bool *again);
/* Whether a server is left for this question that is not avoided. */
bool dnsredir_has_other(const struct dnsredir *d, uint32_t ref, uint64_t now_ns);
/* Which server a connection should go to that has failed with `tried` of them; 0: there is none left. */
uint32_t dnsredir_server(const struct dnsredir *d, uint32_t tried, uint64_t now_ns);
void dnsredir_close(struct dnsredir *d, uint32_t ref);
/* How many questions of a guest wait. */
uint32_t dnsredir_waiting(const struct dnsredir *d, uint32_t guest_ip_be);

enum dnsredir_failure {
	DNSREDIR_SILENT,   /* it may still answer, or when it is asked again */
	DNSREDIR_BROKEN,   /* it cannot be reached */
	DNSREDIR_CLUELESS, /* it works, but not for this question: SERVFAIL, REFUSED */
};
/* What became of the try. */
void dnsredir_failed(struct dnsredir *d, uint32_t ref, enum dnsredir_failure how, uint64_t now_ns);
void dnsredir_worked(struct dnsredir *d, uint32_t ref);

enum dnsredir_reply { DNSREDIR_FOREIGN, DNSREDIR_USELESS, DNSREDIR_ANSWER };
/* Judges a reply: not ours (wrong id, no answer, another question), ours but SERVFAIL or REFUSED, or an
 * answer. */
enum dnsredir_reply dnsredir_reply(
	const struct dnsredir *d, uint32_t ref, const uint8_t *bytes, size_t n);
/* Makes a message for this asker of one that answers its question: id, name as it was written, no more
 * than it takes. The new length. */
size_t dnsredir_address(
	const struct dnsredir *d, uint32_t ref, uint32_t asker, uint8_t *bytes, size_t n);

/* A question whose server was silent for too long, or DNSREDIR_NONE; and when the next will be. */
uint32_t dnsredir_expired(struct dnsredir *d, uint64_t now_ns);
uint64_t dnsredir_deadline(const struct dnsredir *d);

#endif
