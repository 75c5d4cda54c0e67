/*
 * A capture played through a parser, with pretended grants: what the ALG would do, and the packets as
 * they would be. Nothing is sent and nobody is asked.
 *
 *   packet ──▶ replay_packet ──▶ replay_next ──▶ one step after the other, until there is none
 *                                     └────────▶ replay_write: the packet as it leaves
 *
 * A flow is inspected as natproxy would: its guest's address is the one named, and the far end's port
 * (or the guest's, if the far end began) is one of the ALG's, or a wish has told of it. TCP is put in order; what is missing in
 * the capture ends the inspection of its flow. Pure; the memory is the caller's.
 */
#ifndef NATLOCK_ALG_REPLAY_REPLAY_H
#define NATLOCK_ALG_REPLAY_REPLAY_H

#include "h323_calls.h"
#include "maps.h"
#include "packet.h"
#include "sip_calls.h"
#include "stream.h"

enum {
	REPLAY_FLOWS = 256,  /* at once; one more ends the one that was silent longest */
	REPLAY_WAITING = 64, /* segments of one direction behind one that is missing */
	REPLAY_HOLD_BYTES = ALG_MESSAGE_MAX + STREAM_CHUNK_MAX,
	REPLAY_OUTPUT_BYTES = 1 << 20, /* of what one packet led to */
	REPLAY_GRANTS = 2 * ALG_WISHES,
	REPLAY_DERIVED =
		64, /* connections that are to come, and to be inspected; one more takes the oldest's place */
};

struct replay_settings {
	enum algs_id alg;
	uint32_t guest_ip_be, outside_ip_be;
	/* Outside ports that are pretended to be granted: from this even one on. 0: the guest's own, as
	 * natproxy has it where they are free; what a far end said of them in the capture still fits. */
	uint16_t outside_port;
	uint16_t port[ALGS_PORTS];
	unsigned int ports;
	bool dns_v6;
	struct maps maps; /* an outside address of the guest's own goes before outside_ip_be */
};

struct replay_way {
	bool begun, finished;
	uint32_t base,
		next;	  /* TCP: number of the first byte, and of the next one that is missing */
	uint64_t in, out; /* bytes that were shown, and that left */
	uint32_t held;	  /* of those shown */
	unsigned int waiting;
	struct {
		uint32_t seq, bytes;
		const uint8_t *at; /* in the capture */
		bool fin;
	} wait[REPLAY_WAITING];
	uint8_t hold[REPLAY_HOLD_BYTES];
};

struct replay_flow {
	bool used, raw, lost; /* raw: inspected no more; lost: bytes are missing */
	uint32_t number;      /* from 1, as they came */
	uint64_t seen;	      /* packet by which it was last seen */
	struct stream_flow stream;
	struct replay_way way[2]; /* by enum alg_direction */
};

/* A connection with this far end that a wish said how to read. */
struct replay_derived {
	bool used, watch;		/* watch: the guest begins */
	uint16_t guest_port, peer_port; /* the former, or of `watch` the latter; else 0 */
	uint8_t service;
	uint32_t peer_ip_be, link;
};

/* What one call of the parser's stream led to. */
struct replay_step {
	const struct replay_flow *flow;
	enum alg_direction from;
	const struct stream_out *out;
	const uint8_t
		*raw; /* the bytes as they came, from offset raw_at on, up to the verdict's end */
	uint64_t raw_at;
	struct alg_grant grant[ALG_WISHES]; /* of out's wishes */
	uint64_t wish_at;		    /* where the message begins that has them */
};

struct replay_totals {
	uint64_t flows, messages, edits, wishes, violations, gave_up, bytes;
};

struct replay {
	struct replay_settings set;
	struct replay_totals totals;
	uint64_t packets;
	uint16_t next_port;
	/* the packet that is being played */
	struct replay_flow *flow;
	enum alg_direction from;
	const uint8_t *data;
	uint32_t left, passed; /* passed: to be dropped from the front of the hold */
	bool fin, more, gap;
	unsigned int grants;
	struct {
		uint32_t token;
		struct alg_grant grant;
	} pending[REPLAY_GRANTS];
	struct stream_out out;
	uint32_t output_bytes, written;
	uint8_t output[REPLAY_OUTPUT_BYTES];
	struct stream_pool pool;
	struct sip_calls sip;
	struct h323_calls h323;
	unsigned int derivations; /* so many so far */
	struct replay_derived derived[REPLAY_DERIVED];
	uint32_t high; /* of the table: so many were ever used */
	struct replay_flow table[REPLAY_FLOWS];
};

/* The ports that the defaults have for an ALG, into port[ALGS_PORTS]; how many. */
unsigned int replay_ports(enum algs_id alg, uint16_t *port);
/* Who begins in this packet a flow that the ALG would inspect: an address; false: it is none of its. */
bool replay_guess(const struct replay_settings *set, const struct packet *p, uint32_t *guest_ip_be);

/* Whatever *r was; copies the settings. */
void replay_begin(struct replay *r, const struct replay_settings *set);
/* Takes the next packet, whose payload stays where it is: it may have to wait. True: it belongs to a flow that
 * is inspected, or was. */
bool replay_packet(struct replay *r, const struct packet *p);
/* What it led to, one step after the other; false: that was all. *step is good until the next call. */
bool replay_next(struct replay *r, struct replay_step *step);
/*
 * After its steps: the packet (or more) as it leaves, where it belongs to a flow; out has room for
 * the frame's headers and PACKET_PAYLOAD_MAX. Returns the length of one, 0 behind the last.
 */
size_t replay_write(struct replay *r, const struct packet *p, const uint8_t *frame, uint8_t *out);
/* Flows that still wait for bytes that the capture does not have; at its end. */
unsigned int replay_waiting(const struct replay *r);

#endif
