/*
 * One flow under inspection: bytes in at any boundaries, whole messages to the parser, verdicts
 * out. Pure.
 *
 * Whatever way the bytes are cut, the parser sees the same messages and the verdicts amount to the
 * same edits. Bytes wait here only while their message is incomplete, or while natproxy thinks
 * about a wish; then everything behind them in that direction waits too.
 */
#ifndef NATLOCK_ALG_STREAM_H
#define NATLOCK_ALG_STREAM_H

#include "alg.h"

enum {
	STREAM_CHUNK_MAX = 32768, /* bytes of one stream_feed */
	STREAM_SMALL_BYTES = 4096,
	STREAM_SMALL_COUNT = 1024,
	STREAM_LARGE_BYTES = ALG_MESSAGE_MAX + STREAM_CHUNK_MAX,
	STREAM_LARGE_COUNT = 64,
	STREAM_DATAGRAMS = 64,	      /* that may wait in one direction */
	STREAM_EDITS = 2 * ALG_EDITS, /* in one verdict */
	STREAM_ACTS = 2 * (ALG_ACTS + ALG_WISHES),
};

/* Memory for waiting bytes, last used first; untouched pages cost nothing. Of the large ones, which few need, a guest may have
 * as many as it leaves free for others. Zero it, then stream_pool_init. */
struct stream_pool {
	uint8_t small[STREAM_SMALL_COUNT][STREAM_SMALL_BYTES];
	uint8_t large[STREAM_LARGE_COUNT][STREAM_LARGE_BYTES];
	uint16_t free_small[STREAM_SMALL_COUNT], free_large[STREAM_LARGE_COUNT];
	uint32_t small_count, large_count; /* free ones */
	uint32_t large_guest_be[STREAM_LARGE_COUNT]; /* who has it; 0: nobody */
};

/* The wishes of the message at the head of a side, until natproxy has answered all of them. */
struct stream_wishes {
	uint32_t length; /* of that message */
	unsigned int count, answered;
	bool refused; /* one of them */
	struct {
		uint32_t token;
		bool answered, granted;
	} wish[ALG_WISHES];
	struct alg_grant grant[ALG_WISHES];
};

struct stream_side {
	uint64_t at;	/* offset in the stream of the first waiting byte */
	uint32_t bytes; /* waiting */
	uint32_t seen;	/* of them, by the parser's frame() without finding an end */
	uint32_t need;	/* length of the first message, where frame() knew it before all was there */
	uint16_t buffer; /* 0 = none, else 1 + index: small ones first */
	bool finished;	 /* the sender will send no more */
	uint8_t datagrams;
	uint32_t datagram[STREAM_DATAGRAMS]; /* lengths */
	struct stream_wishes wishes;	     /* count 0 = none is pending */
};

struct stream_flow {
	struct alg_flow view;
	const struct alg_protocol *protocol;
	uint32_t message_max;
	struct stream_side side[2]; /* by enum alg_direction */
	_Alignas(8) uint8_t state[ALG_STATE_BYTES];
};

struct stream_edit {
	uint64_t at;
	struct alg_edit edit; /* its `at` is not used */
};

/* What one call led to; to be sent in this order. */
struct stream_out {
	unsigned int act_count; /* PinholeArm, PinholeKeep and PinholeClose */
	bool verdict;		/* Verdict: all up to `until` may go on, with the edits */
	enum alg_direction direction;
	uint64_t until;
	unsigned int edit_count, wish_count; /* wishes: PinholeOpen each */
	bool give_up, violation;	     /* GiveUp; violation: because the bytes were wrong */
	const char *why;
	bool more; /* call stream_step again */
	uint32_t hold_ms; /* FlowHold; 0: none */
	unsigned int messages, notes;
	const char *note; /* the last one, a constant; NULL: there is none */
	struct alg_act act[STREAM_ACTS];
	struct alg_wish wish[ALG_WISHES];
	struct stream_edit edit[STREAM_EDITS];
	struct alg_answer answer; /* of the parser, while it is looked at */
};

void stream_pool_init(struct stream_pool *p);

/* Starts a flow: *f is overwritten. message_max: the operator's bound, 0 = the protocol's own. */
void stream_begin(struct stream_flow *f, const struct alg_protocol *protocol,
	const struct alg_flow *view, uint32_t message_max);
/* Gives its buffers back, and what the parser keeps outside its state. */
void stream_end(struct stream_pool *p, struct stream_flow *f);
/* A pinhole that was granted is no more. One that nobody has counts for nothing. */
void stream_gone(struct stream_flow *f, uint32_t token);

/*
 * Takes the next bytes of a direction: n at most STREAM_CHUNK_MAX, `at` the offset of the first. 0;
 * -EPROTO when they do not follow the last ones; -ENOBUFS when they cannot wait (then the flow must
 * be given up).
 */
int stream_feed(struct stream_pool *p, struct stream_flow *f, enum alg_direction from, uint64_t at,
	const uint8_t *bytes, size_t n, bool fin);
/* Parses what waits. *out is overwritten. */
void stream_step(struct stream_pool *p, struct stream_flow *f, enum alg_direction from,
	struct stream_out *out);
/*
 * natproxy's answer to a wish, NULL: refused. The last one finishes the message that waited and steps
 * on. *out is overwritten. A token that nobody waits for is ignored.
 */
void stream_granted(struct stream_pool *p, struct stream_flow *f, uint32_t token,
	const struct alg_grant *grant, struct stream_out *out);

#endif
