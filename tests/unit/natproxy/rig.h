/*
 * A natproxy core over real loopback sockets, with the test in the place of netstack, alg and the
 * supervisor. Nothing is confined here; host_loopback is allowed so that 127.0.0.1 can play the
 * internet.
 */
#ifndef NATLOCK_TESTS_NATPROXY_RIG_H
#define NATLOCK_TESTS_NATPROXY_RIG_H

#include <stdio.h>

#include "natproxy.h"
#include "watch.h"

enum { RIG_LINES = 1024, RIG_LINE_BYTES = 384, RIG_EVENT_BYTES = 2048, RIG_ALG_BYTES = 1 << 18 };

struct rig {
	struct natproxy *np;
	struct inspect *inspects;
	struct link inside, outside; /* inside: natproxy's end; outside: the test's, as netstack */
	struct arena arena, broker;
	struct arena_view view;
	struct drops drops;
	struct ev_loop *loop;
	struct sock_host sock;
	struct ev_io *watcher;
	uint64_t skew_ns; /* added to the clock */
	char line[RIG_LINES][RIG_LINE_BYTES];
	uint32_t lines;
	uint8_t event[RIG_LINES][RIG_EVENT_BYTES]; /* packed EventRow */
	size_t event_bytes[RIG_LINES];
	uint32_t events;
	/* what alg was told */
	uint32_t inspected, ended, answers, edges, alg_silent;
	uint32_t wanted, wanted_port; /* SocketWanted: how many, and the last one's */
	bool wanted_udp;
	int alg_error; /* what the channel to alg answers */
	Nl__PinholeAnswer answer;
	uint32_t gone, gone_used, gone_expired; /* PinholeGone: all, and of them; token: the last one's */
	uint32_t gone_token;
	Nl__FlowInspect inspect; /* the last one; its texts: */
	char inspect_alg[16], inspect_vrf[33];
	uint8_t seen[2][RIG_ALG_BYTES]; /* by direction */
	size_t seen_bytes[2];
	uint32_t records[2]; /* FlowBytes */
	size_t longest;	     /* of them */
	bool seen_fin[2];
	size_t fin_at[2]; /* behind what it came with first */
	Nl__UplinkState uplink;
	int protocol_error; /* of the last descriptor natproxy took */
};

struct rig_options {
	bool deny_host, observe, independent, strict;
	uint32_t tcp_limit, connecting_limit, sockets_max, udp_timeout_ms;
	uint16_t ftp_port;
	bool no_echo;
	const Nl__Publish *publish;
	bool udp_limit_one;
	uint32_t udp_limit;
	bool outbound_refresh_only;
	const Nl__Nat *nat; /* what the options above do not say; they are laid over it */
	bool hub_off;
	const Nl__Dns *dns;
	uint32_t dns_limit;
	const char *domain; /* dhcp.domain */
	bool alg_strict;
	const Nl__Alg *alg; /* instead of what ftp_port, observe and alg_strict say */
};

/*
 * A network namespace with loopback up for this test process, made once: tests run side by side and
 * would meet each other's ports. False: not permitted here (the tests then share the host's
 * loopback). rig_new does it.
 */
bool rig_network(void);

/* A published port of 127.0.0.1 that leads to the guest's port `to`, for the options; the next call
 * overwrites it. */
Nl__Publish *rig_publish(Nl__Publish__Proto proto, uint16_t listen_port, uint16_t to);
/* A started core; free with rig_free. */
struct rig *rig_new(const struct rig_options *o);
void rig_free(struct rig *r);
/* The configuration is this one from now on; sockets_max and no_echo stay as they were. */
void rig_configure(struct rig *r, const struct rig_options *o);
/* The host's addresses, at most 8, as the supervisor tells them. */
void rig_host(struct rig *r, const char *const *own, size_t count);
/* One turn: events, ring, flush, rings published. */
void rig_turn(struct rig *r);
/* Turns until a descriptor from natproxy arrives; releases of written buffers are handled inside.
 * False: 2 s passed. */
bool rig_next(struct rig *r, struct ring_desc *d);
/* Turns for at least so long, and fails the test if a descriptor other than credit-like ones
 * arrives. */
bool rig_quiet(struct rig *r, int ms);
/* The same until one with this operation arrives; others are ignored and their buffers given back.
 */
bool rig_await(struct rig *r, uint8_t op, struct ring_desc *d);
void rig_send(struct rig *r, const struct ring_desc *d);
/* Gives natproxy's buffers of a descriptor back. */
void rig_give_back(struct rig *r, const struct ring_desc *d);
/* A TCP_DATA (or other operation with payload) whose bytes are copied into a buffer of the broker's
 * arena. */
struct ring_desc rig_payload(
	struct rig *r, uint8_t op, uint32_t flow, uint64_t arg, const void *bytes, size_t n);
const uint8_t *rig_bytes(struct rig *r, const struct ring_desc *d, unsigned int seg);

void rig_open(struct rig *r, uint32_t flow, uint16_t guest_port, uint16_t remote_port);
void rig_credit(struct rig *r, uint32_t flow, uint64_t offset);
void rig_op(struct rig *r, uint8_t op, uint32_t flow);
/* The supervisor gives natproxy this socket, which is closed where natproxy does not take it: what natproxy says. */
int rig_grant(struct rig *r, Nl__SocketName__What what, int fd);
bool rig_has_line(const struct rig *r, const char *text);
/* The first event of this name, or NULL; freed with nl__event_row__free_unpacked(e, NULL). */
Nl__EventRow *rig_event(struct rig *r, const char *name);

/* Kernel sockets for the far end, blocking, on 127.0.0.1. */
int rig_listener(uint16_t *port);
int rig_udp(uint16_t *port);

enum { RIG_GUEST_PORT = 40000 };
uint32_t rig_guest_ip(void);
uint32_t rig_loopback(void);

#endif
