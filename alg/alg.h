/*
 * The contract between the shell and a protocol's parser: bytes in, an answer out.
 *
 * A parser is one file with one `const struct alg_protocol` (a row of table.c). It is pure: no
 * call, no clock, no memory but its state, which it gets zeroed. It sees whole messages only, from
 * the first byte of the flow on and in order; it never sees a segment. It answers with a diff
 * (edits) and may ask for a pinhole (a wish). natproxy checks both again and decides; a parser
 * cannot name an inside address, another host's port, or a port below 1024.
 *
 *   bytes ──▶ frame() how long is the first message? ──▶ message() answers:
 *
 *     ALG_PASS       it may go on, with edits or without
 *     ALG_WISH       hold it and ask natproxy for a pinhole; then granted() answers ALG_PASS
 *     ALG_DONE       pass it and look no further
 *     ALG_VIOLATION  not this protocol: pass everything raw
 *
 * Rules for authors:
 *  - A message that names no inside address goes on byte for byte (no edit). Keep what you do not
 * understand.
 *  - An address is the guest's only if it is literally flow->guest_ip_be. Anything else: no wish,
 * no edit.
 *  - One violation ends inspection of the whole flow for good. Never resynchronise: that is how
 * slipstreaming works.
 *  - Edits are all or none: a message is passed with all its edits or as it came.
 */
#ifndef NATLOCK_ALG_ALG_H
#define NATLOCK_ALG_ALG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ALG_MESSAGE_MAX = 65536, /* the longest message that can be waited for, bytes */
	ALG_EDITS = 8,		 /* in one message */
	ALG_EDIT_BYTES = 64,	 /* new bytes of one edit */
	ALG_STATE_BYTES = 64,	 /* of a parser, a flow */
	ALG_PORT_MIN = 1024,	 /* lowest guest port that may be wished for */
};

enum alg_direction { ALG_GUEST, ALG_OUTSIDE }; /* who sent the bytes */
enum alg_kind { ALG_TCP_LISTEN, ALG_UDP_ONE, ALG_UDP_PAIR };

/* What a parser may know of its flow. Addresses in network byte order, ports in host order. */
struct alg_flow {
	uint32_t guest_ip_be, outside_ip_be, peer_ip_be; /* outside: how the peer sees the guest */
	uint16_t guest_port, outside_port, peer_port;
	bool guest_serves; /* the peer came to a published port of the guest */
	bool observe;	   /* say what would be done, and do nothing (the shell sees to it) */
};

struct alg_edit {
	uint32_t at,
		old_bytes; /* relative to the message's first byte; ascending, not overlapping */
	uint32_t bytes;
	uint8_t text[ALG_EDIT_BYTES];
};

/* "Let the peer reach this port of the guest." The guest is always the flow's own. */
struct alg_wish {
	enum alg_kind kind;
	uint16_t guest_port;
	uint32_t peer_ip_be; /* who may come */
	uint32_t lifetime_ms;
};

struct alg_grant {
	bool granted;
	uint32_t outside_ip_be;
	uint16_t outside_port;
};

enum alg_result { ALG_PASS, ALG_WISH, ALG_DONE, ALG_VIOLATION };

/* Zeroed before each call: ALG_PASS without edits. */
struct alg_answer {
	enum alg_result result;
	const char *why; /* a constant; for ALG_DONE and ALG_VIOLATION */
	bool close;	 /* the pinhole opened last is not needed any more */
	unsigned int edit_count;
	struct alg_edit edit[ALG_EDITS];
	struct alg_wish wish;
};

struct alg_protocol {
	const char *name; /* as in the configuration */
	bool stream;	  /* TCP; else UDP, and a message is a datagram */
	uint32_t
		message_max; /* of a stream: longer ones are a violation; at most ALG_MESSAGE_MAX */
	/*
	 * Length of the first message in p[0..n), 0 if more bytes are needed. The first `seen`
	 * bytes were looked at by an earlier call that returned 0. NULL for datagrams.
	 */
	size_t (*frame)(const void *state, enum alg_direction from, const uint8_t *p, size_t n,
		size_t seen);
	void (*message)(void *state, const struct alg_flow *flow, enum alg_direction from,
		const uint8_t *p, size_t n, struct alg_answer *answer);
	/* The reply to the wish that this very message made. NULL if the protocol makes none. */
	void (*granted)(void *state, const struct alg_flow *flow, enum alg_direction from,
		const uint8_t *p, size_t n, const struct alg_grant *grant,
		struct alg_answer *answer);
};

extern const struct alg_protocol ftp_protocol;

#endif
