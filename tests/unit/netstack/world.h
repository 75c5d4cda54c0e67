/*
 * A stack between a fake broker and a fake natproxy, on links and arenas of one process and a clock of its own.
 *
 * What the stack sends to guests is collected as the frames that a guest would see: super-frames are cut up, partial
 * checksums finished and every checksum verified. What it tells natproxy is collected as descriptors; the "far end"
 * can answer by itself (automatic) or be played by the test.
 */
#ifndef NATLOCK_TESTS_NETSTACK_WORLD_H
#define NATLOCK_TESTS_NETSTACK_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "drop.h"
#include "ring.h"
#include "stack.h"
#include "topology.h"

#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

enum {
	WORLD_FRAMES = 8192,
	WORLD_TOLD = 8192,
	WORLD_PORT = 7,
	GUEST_IP_LAST = 10,
	WORLD_STREAM = 4 << 20
};

struct seen { /* a frame for the guest, parsed */
	uint8_t *bytes;
	uint32_t len;
	uint32_t port;
	uint16_t ethertype;
	uint32_t src, dst; /* host order */
	uint16_t frag, ip_id;
	uint8_t protocol, ttl;
	const uint8_t *l4;
	uint32_t l4_len;
	/* TCP */
	uint16_t sport, dport, window, urgent;
	uint32_t seq, ack;
	uint8_t flags;
	const uint8_t *options;
	uint32_t options_len;
	const uint8_t *payload;
	uint32_t payload_len;
};

struct told { /* a descriptor for natproxy */
	struct ring_desc d;
};

struct world {
	struct stack *stack;
	struct stack_config config;
	struct drops drops;
	struct ring_region *region[4];
	struct link to_broker, to_natproxy; /* the stack's ends */
	struct link broker, natproxy;	    /* the fake ends */
	struct arena own, frames, reads;    /* netstack's, broker's, natproxy's */
	struct arena_view view;
	uint64_t now;
	bool open_at_once;    /* TCP_OPEN is answered TCP_OPENED */
	bool consume_at_once; /* TCP_DATA is consumed and returned */
	bool broker_stuck;    /* the broker consumes nothing */
	bool natproxy_stuck; /* natproxy takes nothing: asleep, where the test says so to its link */
	bool stack_deaf; /* the stack does not look at natproxy's ring, as in a turn that it came after */
	const uint8_t *gateway_mac; /* that the gateway's frames must have; GATEWAY_MAC at first */
	uint32_t port;		/* of the hub, that world_frame comes from; WORLD_PORT at first */
	uint16_t gso_size;	/* of the frames that the guest sends */
	int error;		/* first error of a stack_op */
	uint32_t bulk_segments; /* cut super-frames counted */
	struct seen frame[WORLD_FRAMES];
	uint32_t frames_n;
	struct told told[WORLD_TOLD];
	uint32_t told_n;
	uint8_t *upload; /* bytes natproxy got on the first flow that sent any, in order */
	uint64_t upload_n;
	uint32_t upload_flow;
	bool upload_fin;
	uint64_t credit;
};

struct world *world_new(void (*adjust)(struct stack_config *c));
void world_free(struct world *w);
/* Turns without time passing until nothing happens. */
void world_run(struct world *w);
void world_advance(struct world *w, uint64_t ns);
/* Advances to each deadline in turn until ns have passed. */
void world_sleep(struct world *w, uint64_t ns);
/* Forgets what was collected so far. */
void world_clear(struct world *w);
/* Gives the frame to the stack without running it; csum_ok as the kernel would say. False when the ring is full. */
bool world_frame(struct world *w, const void *bytes, uint32_t len, bool csum_ok);
void world_tell(struct world *w, const struct ring_desc *d);
/* One datagram or piece of stream from natproxy: returns false when its arena is exhausted. */
bool world_payload(struct world *w, struct ring_desc *d, const void *bytes, uint32_t len);
/* The nth collected frame of a protocol / the nth message of an operation, NULL when there is none. */
const struct seen *world_seen(const struct world *w, uint8_t protocol, unsigned int nth);
const struct ring_desc *world_told(const struct world *w, uint8_t op, unsigned int nth);
unsigned int world_count(const struct world *w, uint8_t protocol);
unsigned int world_told_count(const struct world *w, uint8_t op);
/* Nothing is held or lent anywhere: what every test should end with after its flows ended. */
bool world_at_rest(struct world *w);

/* Frame makers; addresses in host order, guest .10 unless set. */
extern const uint8_t GUEST_MAC[6], GATEWAY_MAC[6];
enum {
	NET = 0xc0a81e00,
	GATEWAY = NET | 1,
	GUEST = NET | GUEST_IP_LAST,
	OUTSIDE = 0xcb007109 /* 203.0.113.9 */
};

struct ip_spec {
	uint32_t src, dst;
	uint16_t id, frag;
	uint8_t ttl, protocol, tos;
	const uint8_t *options;
	uint8_t options_len;
};
/* Returns the frame's length. `out` holds at least 70 KiB. */
uint32_t make_ip(uint8_t *out, const struct ip_spec *ip, const void *payload, uint32_t len);
uint32_t make_udp(uint8_t *out, const struct ip_spec *spec, uint16_t sport, uint16_t dport,
	const void *data, uint32_t len);
uint32_t make_echo(uint8_t *out, const struct ip_spec *spec, uint16_t id, uint16_t seq,
	const void *data, uint32_t len);
uint32_t make_arp(
	uint8_t *out, uint16_t op, const uint8_t mac[6], uint32_t sender, uint32_t target);
uint16_t sum16(const void *bytes, size_t n, uint32_t seed);

struct tcp_spec {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t window, urgent;
	uint8_t flags;
	const void *options;
	uint8_t options_len;
	uint8_t tos;
	const void *data;
	uint32_t len;
	bool bad_checksum;
};
enum { F_FIN = 1, F_SYN = 2, F_RST = 4, F_PSH = 8, F_ACK = 16, F_URG = 32 };
uint32_t make_tcp(uint8_t *out, const struct tcp_spec *t);
/* The option's value, NULL when absent; *len of the value. */
const uint8_t *seen_option(const struct seen *s, uint8_t kind, uint8_t *len);

/* A guest's connection whose segments the test writes by hand. */
struct conn {
	struct world *w;
	uint32_t src, dst;
	uint16_t sport, dport;
	uint32_t seq, ack; /* next to send, next expected */
	uint16_t window;
	bool ts;
	uint32_t ts_value, ts_echo;
	uint32_t flow; /* id, after conn_open */
};
enum conn_options {
	OPT_MSS_1460 = 1,
	OPT_SCALE_7 = 2,
	OPT_SACK_PERMITTED = 4,
	OPT_TIMESTAMPS = 8,
	OPT_ALL = 15,
	OPT_MSS_65480 = 16 /* of an MTU of 65520 */
};
void conn_init(struct conn *c, struct world *w, uint16_t sport, uint16_t dport);
void conn_syn(struct conn *c, unsigned int options);
/* SYN, far end accepts, SYN-ACK, ACK; collected frames are cleared. */
void conn_open(struct conn *c, unsigned int options);
/* One segment at c->seq with the current ack; c->seq moves. Runs the world. */
void conn_send(struct conn *c, uint8_t flags, const void *data, uint32_t len);
/* The same at any sequence number, nothing moves. */
void conn_send_at(
	struct conn *c, uint32_t seq, uint32_t ack, uint8_t flags, const void *data, uint32_t len);
/* natproxy has bytes for the guest / a message without payload. */
void conn_far_data(struct conn *c, uint64_t offset, const void *data, uint32_t len);
void conn_far(struct conn *c, uint8_t op, uint64_t arg);

#endif
