/*
 * The guest-facing TCP/IP stack: the one face that main.c and the simulation see.
 *
 *      broker ──FRAME──▶ stack_op_frame ─▶ arp | ip4 ─▶ icmp | udp | tcp ──TCP_* DGRAM_*──▶ natproxy
 *      broker ◀──SEND─── stack_flush   ◀─ flows that have something to say ◀── stack_op_* ── natproxy
 *
 * Pure: no system call, no clock, no heap. Memory comes from the caller (stack_size), time is an argument, and
 * links are `struct link`, which run over shared memory or inside one process alike. One turn is:
 *
 *      stack_clock(s, now); every waiting descriptor -> stack_op_*; stack_poll(s); stack_flush(s); link_flush on both
 *
 * Input only changes state and marks flows; stack_flush speaks once for each marked flow, so a burst of
 * segments costs one acknowledgement. Guest input never yields an error, it is dropped and counted. A stack_op_*
 * function returns 0, or -EPROTO when the neighbour that sent the descriptor broke the protocol.
 */
#ifndef NATLOCK_NETSTACK_STACK_H
#define NATLOCK_NETSTACK_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "drop.h"
#include "ring.h"

struct stack; /* state.h */

enum { STACK_FLOWS_MAX = 16384, STACK_KEY_BYTES = 32 };

/* How long frames to a MAC that the gateway has given up are taken: as long as a station keeps its port (fdb.h of the
 * broker). */
#define STACK_FORMER_MAC_NS (60 * UINT64_C(1000000000))

/* ECN of TCP (RFC 3168): answered when the guest asks, asked for by our own SYNs as well, or neither. */
enum stack_ecn { STACK_ECN_ANSWER, STACK_ECN_ASK, STACK_ECN_OFF };

struct stack_config {
	uint8_t mac[6]; /* the gateway's station on the hub */
	uint32_t ip_be; /* the gateway's address */
	uint32_t mask_be;
	uint16_t mtu;	 /* 576..65535 */
	bool off;	 /* SecureNAT is disabled: there is no such station on the hub */
	bool nat_enable; /* false: nothing is forwarded */
	enum stack_ecn tcp_ecn;
	bool dns_redirect;
	bool strict;		      /* payload is copied: the data path of ring.h */
	bool icmp_dummy;	      /* echo to the outside is answered here, as SecureNAT does */
	uint32_t tcp_per_guest;	      /* sessions; 0 = no limit */
	uint32_t udp_per_guest;	      /* sessions; 0 = no limit */
	uint32_t echo_per_guest;      /* sessions; 0 = no limit */
	uint32_t half_open_per_guest; /* the oldest is recycled; 0 = no limit */
	uint64_t
		former_ip_ns; /* how long guests may go on with the address before a change of it: a lease */
	uint8_t key[STACK_KEY_BYTES]; /* secret: flow hash, ISNs (RFC 6528), IP ids */
};

/* What the stack works with; all of it outlives the stack. */
struct stack_env {
	struct link *broker, *natproxy;
	struct arena *arena;	       /* ARENA_NETSTACK, read-write */
	const struct arena_view *view; /* all three arenas */
	struct drops *drops;
};

/* Bytes that stack_init needs: zeroed, aligned as malloc does; pages are touched as flows are used. */
size_t stack_size(void);
void stack_init(
	struct stack *s, const struct stack_config *c, const struct stack_env *e, uint64_t now_ns);

/*
 * The configuration changed (configure.c): all of it takes effect but `key` and `strict`, which stay as they were, and
 * a new `mac`, which waits for stack_gateway_moved. Flows that it does not allow any more are reset within a second. `c` is as valid as
 * stack_init's.
 */
void stack_configure(struct stack *s, const struct stack_config *c);
/* The broker knows the gateway by this MAC from now on, as far as our configuration says so too. */
void stack_gateway_moved(struct stack *s, const uint8_t mac[6]);

/* Sets the time for everything until the next call. Must not go back. */
void stack_clock(struct stack *s, uint64_t now_ns);
/* Runs what is due. */
void stack_poll(struct stack *s);
/* Speaks for every marked flow, returns buffers whose last reader is done. Call link_flush afterwards. */
void stack_flush(struct stack *s);
/* When stack_poll is wanted next (ns), UINT64_MAX for never. */
uint64_t stack_next_deadline(const struct stack *s);

/* From broker. */
int stack_op_frame(struct stack *s, const struct ring_desc *d);
/* From natproxy; ring_ops.def says what each means. */
int stack_op_tcp_opened(struct stack *s, const struct ring_desc *d);
int stack_op_tcp_failed(struct stack *s, const struct ring_desc *d);
int stack_op_tcp_incoming(struct stack *s, const struct ring_desc *d);
int stack_op_tcp_data(struct stack *s, const struct ring_desc *d);
int stack_op_tcp_fin(struct stack *s, const struct ring_desc *d);
int stack_op_tcp_reset(struct stack *s, const struct ring_desc *d);
int stack_op_tcp_consumed(struct stack *s, const struct ring_desc *d);
int stack_op_dgram_data(struct stack *s, const struct ring_desc *d);
int stack_op_dgram_error(struct stack *s, const struct ring_desc *d);
int stack_op_dgram_incoming(struct stack *s, const struct ring_desc *d);
int stack_op_dgram_closed(struct stack *s, const struct ring_desc *d);
int stack_op_release_written(struct stack *s, const struct ring_desc *d);
/* Any of the above, chosen by d->op: for the simulation and tests. -EPROTO for an unknown operation. */
int stack_op(struct stack *s, const struct ring_desc *d);

/* UplinkState: up false answers new flows with ICMP network unreachable, echo false silences or fakes echo, esp false
 * answers ESP as any unknown protocol. */
struct stack_uplink {
	bool up, echo, esp;
};
void stack_uplink(struct stack *s, struct stack_uplink uplink);
/*
 * The station `mac` is gone: its flows end without a word to it. Call until it returns false; each true puts
 * one address that the station held into *ip_be.
 */
bool stack_station_gone(struct stack *s, const uint8_t mac[6], uint32_t *ip_be);

struct stack_counts {
	uint32_t tcp, udp, echo, half_open, time_wait, guests, fragments_waiting;
	uint32_t frame_buffers, read_buffers; /* of broker's and natproxy's arena held or lent on */
	uint64_t segments_in, segments_out, retransmits, timeouts, resets_out, acks_out;
	uint64_t undone; /* recoveries taken back because they were needless */
	uint64_t marks;	 /* reductions because of ECN */
};
void stack_counts(const struct stack *s, struct stack_counts *out);

/* One flow as the table shows it. */
struct stack_row {
	uint8_t kind; /* enum flow_kind of flow.h: 1 tcp, 2 udp, 3 echo */
	uint32_t guest_ip_be, remote_ip_be;
	uint16_t guest_port, remote_port;
	const char *state;
	uint32_t cwnd_bytes, srtt_us;
};
/* Fills *row with the first flow at or after *cursor and moves the cursor past it; false at the end. */
bool stack_dump(const struct stack *s, uint32_t *cursor, struct stack_row *row);

#endif
