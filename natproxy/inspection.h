/*
 * What the files of inspection share: the table of what is under inspection, and what they ask of
 * each other. The rest of natproxy knows inspect.h, inspect_stream.h and inspect_dgram.h.
 */
#ifndef NATLOCK_NATPROXY_INSPECTION_H
#define NATLOCK_NATPROXY_INSPECTION_H

#include "edit.h"
#include "inspect.h"

enum {
	INSPECTION_STREAMS = 256,
	INSPECTION_DGRAMS = 768,
	INSPECTION_SLOTS = INSPECTION_STREAMS + INSPECTION_DGRAMS, /* streams first */
	INSPECTION_SLOT_BITS = 10,
	INSPECTION_DIRECTIONS = 2,	 /* by Nl__Direction */
	INSPECTION_RECORD_BYTES = 32768, /* of one FlowBytes */
};
_Static_assert(INSPECTION_SLOTS <= 1 << INSPECTION_SLOT_BITS, "numbers hold the slot");

struct inspection {
	bool used;
	bool raw; /* given up; what is held still has to leave */
	bool stream, observe, strict, lenient;
	uint8_t alg;	  /* enum algs_id */
	uint32_t number;  /* generation and slot; kept while the slot is free */
	uint32_t flow;	  /* id, ring.h */
	uint32_t session; /* reference, nat.h */
	uint32_t guest_ip_be;
	struct sock_address outside; /* how the far end sees the guest, as alg was told */
	uint64_t used_ns;    /* when alg was last shown something */
	uint64_t granted_ns; /* since when alg owes what it makes of an answer to its wish; 0 no */
	/* since when alg owes a sign that it saw what it was shown; 0 no */
	uint64_t owed_ns[INSPECTION_DIRECTIONS];
};

enum {
	STREAM_STAGE_BYTES = 65536,
	STREAM_OUTPUT_BYTES = 2 * STREAM_STAGE_BYTES + EDIT_GROWTH_MAX,
};

/* One direction of a stream. Offsets are those of the bytes as they came in. */
struct inspect_half {
	uint64_t at;		/* of the first staged byte */
	uint64_t settled;	/* what had fully left when the output was last empty */
	uint64_t judged;	/* how far alg's verdicts go */
	uint32_t first, staged; /* what the stage holds */
	uint32_t told;		/* of it, to alg */
	uint32_t out_first, out_end;
	bool finish_told, finish_passed; /* the sender's FIN: to alg, and on */
	uint8_t stage[STREAM_STAGE_BYTES];
	uint8_t output[STREAM_OUTPUT_BYTES];
};

enum {
	DGRAM_HELD = 8,		  /* of one direction of a session; alg holds no more either */
	DGRAM_HELD_BYTES = 65536, /* of all of them */
	DGRAM_CHUNK_BYTES = 2048,
	DGRAM_CHUNKS = 4096,   /* of all sessions: references are 1..DGRAM_CHUNKS */
	DGRAM_CHUNK_SHARE = 4, /* no direction may hold more than so much less than what is left */
};

struct inspect_held { /* a datagram that waits for its verdict */
	uint16_t chunk;
	bool whole; /* routers must not cut it (DF) */
	uint32_t bytes;
	struct ring_remote
		remote; /* TTL and TOS; from outside: who sent it, as the guest sees it */
};

/* One direction of a UDP session. */
struct inspect_way {
	uint64_t at;	      /* offset of the first that waits */
	uint64_t judged;      /* how far alg's verdicts go */
	uint8_t first, count; /* a ring */
	uint8_t told;	      /* of `count`, to alg */
	bool starved;	      /* the rest found the channel to alg full */
	uint32_t bytes, chunks, told_bytes;
	struct inspect_held held[DGRAM_HELD];
};

struct inspect_pool {
	uint32_t fresh, free_count; /* fresh: those above it were never used */
	uint16_t free;
	uint16_t next[DGRAM_CHUNKS + 1];
	uint8_t chunk[DGRAM_CHUNKS + 1][DGRAM_CHUNK_BYTES];
};

/* Zeroed; only what is used is ever touched. */
struct inspect {
	uint32_t streams, dgrams; /* slots in use */
	uint32_t untold;	  /* ways that are starved */
	struct inspection slot[INSPECTION_SLOTS];
	struct inspect_way way[INSPECTION_DGRAMS][INSPECTION_DIRECTIONS];
	struct inspect_pool pool;
	/* a datagram that comes in; that is shown; that leaves; the same with its edits */
	uint8_t arriving[UINT16_MAX + 1], shown[INSPECTION_RECORD_BYTES];
	uint8_t leaving[INSPECTION_RECORD_BYTES];
	uint8_t edited[INSPECTION_RECORD_BYTES + EDIT_GROWTH_MAX]; /* less than UDP carries */
	struct inspect_half half[INSPECTION_STREAMS][INSPECTION_DIRECTIONS];
};

/* Whether an ALG wants this session: by the far end's port, or by the one that the far end came to.
 * What came by a door is wanted only if derive.h says so. */
bool inspection_wanted(const struct natproxy *np, const struct flow *f, const struct nat_session *s,
	struct want *out);
/*
 * Puts a flow, or of a datagram flow one session, under inspection: a slot is found and alg is told.
 * NULL: there is none, or alg is not to be had; then all goes on as it is.
 */
struct inspection *inspection_begin(
	struct natproxy *np, struct flow *f, uint32_t session, const struct want *want);
/* The slot is free; nothing of it may be held any more. */
void inspection_free(struct natproxy *np, struct inspection *in);
/* Tells alg that the flow is over, or not inspected any more. */
void inspection_tell_end(struct natproxy *np, const struct inspection *in);
/* Its doors close. */
void inspection_close_doors(struct natproxy *np, const struct inspection *in, const char *why);

/* Shows alg bytes: 0, -EAGAIN when the channel is full (then it is tried again soon), or another
 * error: alg is gone. */
int inspection_show(struct natproxy *np, struct inspection *in, const Nl__FlowBytes *bytes);
/* alg owes something from now on, if it does not already. */
void inspection_owe(struct natproxy *np, uint64_t *since_ns);

/* The edits of a verdict, at most EDIT_MAX: 0 or -EPROTO. */
int inspection_edits(const Nl__Verdict *m, struct edit *out);
/* Says what an ALG that only observes would have changed. */
void inspection_report(struct natproxy *np, const struct inspection *in, const Nl__Verdict *m);

/* A verdict about a stream, or a UDP session: what it says is checked. 0 or -EPROTO. */
int inspect_stream_verdict(struct natproxy *np, struct inspection *in, const Nl__Verdict *m);
int inspect_dgram_verdict(struct natproxy *np, struct inspection *in, const Nl__Verdict *m);
/* Offset behind the last byte that alg was shown. */
uint64_t inspect_stream_shown(
	const struct natproxy *np, const struct inspection *in, Nl__Direction direction);
uint64_t inspect_dgram_shown(
	const struct natproxy *np, const struct inspection *in, Nl__Direction direction);
/* The rest goes on raw, what is held first. */
void inspect_stream_give_up(struct natproxy *np, struct inspection *in);
void inspect_dgram_give_up(struct natproxy *np, struct inspection *in);

static inline uint32_t inspection_index(const struct natproxy *np, const struct inspection *in)
{
	return (uint32_t)(in - np->inspect->slot);
}

#endif
