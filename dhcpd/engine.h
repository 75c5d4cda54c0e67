/*
 * The DHCP server (RFC 2131 4.3): a client's message in; an answer, a commit and an event out.
 * Pure.
 *
 * An ACK is made at once but handed out only when the supervisor has stored the lease: engine_input
 * returns a commit, engine_committed returns the answer. Everything that a call produced lies in
 * *out, valid until the next call.
 */
#ifndef NATLOCK_DHCPD_ENGINE_H
#define NATLOCK_DHCPD_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec.h"
#include "drop.h"
#include "lease.h"

enum {
	ENGINE_PENDING = 256,	   /* commits under way; a power of two */
	ENGINE_PORTS = 64,	   /* rate buckets; ports beyond share them */
	ENGINE_OFFERS_BURST = 64,  /* offers to new clients that wait for their REQUEST, a port */
	ENGINE_REFUSED_BURST = 16, /* lines about refused requests, a port; then one a second */
	ENGINE_EVENT_BYTES =
		512, /* a log line: the host name may be escaped to four times its length */
};

#define ENGINE_OFFER_COST_NS   (1000000000ull / 16) /* beyond the burst: 16 a second, a port */
#define ENGINE_REFUSED_COST_NS (1000000000ull)
#define ENGINE_COMMIT_NS       (5 * 1000000000ull) /* the supervisor's time to store a lease */
#define ENGINE_SAY_NS	       (60 * 1000000000ull) /* complaints of one kind at most once a minute */

enum engine_event {
	ENGINE_NOTHING,
	ENGINE_CREATED,
	ENGINE_RENEWED,
	ENGINE_RELEASED,
	ENGINE_DECLINED,
	ENGINE_EXPIRED,
	ENGINE_REFUSED,	  /* `refused` says why; lease: only address, MAC and host name */
	ENGINE_EXHAUSTED, /* from here on for the diagnostic log */
	ENGINE_CROWDED,	  /* the port has as many leases as it may */
	ENGINE_NOT_STORED,
};

/* What can change while the server runs. */
struct engine_config {
	struct codec_settings settings;
	uint64_t lease_ms;
	uint32_t from, to;	  /* the range, in host order, inside the subnet */
	uint32_t leases_per_port; /* 0 = any number */
	struct lease_reservation reservation[LEASE_RESERVATIONS];
	uint32_t reservations;
};

struct engine_out {
	size_t frame_bytes; /* 0 = no answer */
	const uint8_t *frame;
	uint32_t port;
	uint64_t sequence;  /* of the commit; 0 = no commit */
	struct lease lease; /* a copy: what to commit, and what the event is about */
	enum engine_event event;
	const char *refused;
	bool dropped;
	enum drop why;
};

struct engine_pending {
	uint64_t sequence; /* 0 = free */
	uint64_t deadline_ns;
	uint32_t lease;
	uint32_t port;
	enum lease_state state; /* before the commit, and until when */
	uint64_t expires_ns, expires_ms;
	size_t frame_bytes;
	uint8_t frame[CODEC_FRAME_BYTES];
};

struct engine {
	struct codec_settings settings;
	uint64_t lease_ms;
	struct lease_pool pool;
	/*
	 * When the port's buckets will be empty again (GCRA): of offers, of lines about refusals.
	 */
	uint64_t offers_ns[ENGINE_PORTS], refused_ns[ENGINE_PORTS];
	uint64_t sequence, settled;	 /* the last commit made; all up to `settled` are over */
	uint64_t said_ns, not_stored_ns; /* the last complaints */
	uint16_t ident;
	const char *refused; /* the reason that a NAK gives */
	struct codec_request request;
	struct engine_pending pending[ENGINE_PENDING];
	uint8_t frame[CODEC_FRAME_BYTES];
};

/*
 * Applies a configuration to an engine whose pool is ready (lease_init): at the start, and
 * whenever it changed. Leases stay (lease.h); new values are told to clients with their next
 * answer. Errors as lease_plan.
 */
int engine_configure(struct engine *e, const struct engine_config *c, struct lease_time t);

/* One frame from a port, any content. */
void engine_input(struct engine *e, uint32_t port, const uint8_t *frame, size_t bytes, bool csum_ok,
	struct lease_time t, struct engine_out *out);
/*
 * The supervisor's word on a commit. 0; -EPROTO when no such commit was ever made. One that was
 * given up meanwhile is ignored.
 */
int engine_committed(struct engine *e, uint64_t sequence, bool stored, struct lease_time t,
	struct engine_out *out);
/*
 * The lease that the last engine_input ended in passing, as its client has another address now. False
 * when there is none.
 */
bool engine_moved(struct engine *e, struct lease_time t, struct engine_out *out);
/*
 * The operator ends a lease: that of an address, or with ip_be 0 one of a station's. False when
 * there is none left; call until then.
 */
bool engine_release(struct engine *e, const uint8_t *mac, uint32_t ip_be, struct lease_time t,
	struct engine_out *out);
/* Does one thing that is due; false when nothing is. Call until then. */
bool engine_timeout(struct engine *e, struct lease_time t, struct engine_out *out);
uint64_t engine_deadline(const struct engine *e);

/* The event's line in the voice of SecureNAT's security log (seed 3.7.8). text: ENGINE_EVENT_BYTES.
 */
const char *engine_describe(const struct engine *e, const struct engine_out *out, char *text);

#endif
