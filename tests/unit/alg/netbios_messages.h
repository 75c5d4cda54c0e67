/* Messages of NetBIOS, put together byte by byte, and the flow that they belong to. */
#ifndef NATLOCK_TESTS_ALG_NETBIOS_MESSAGES_H
#define NATLOCK_TESTS_ALG_NETBIOS_MESSAGES_H

#include "maps.h"
#include "session.h"

#define GUEST_IP   "192.168.30.10"
#define OUTSIDE_IP "203.0.113.7"
#define PEER_IP	   "198.51.100.9"
#define INSIDE_IP  "192.168.30.50" /* another host, which nat.static calls ... */
#define MAPPED_IP  "203.0.113.50"

struct bytes {
	uint8_t p[ALG_MESSAGE_MAX];
	size_t n;
};

static struct maps netbios_maps;

static inline struct alg_flow netbios_view(uint16_t port, bool serves)
{
	maps_clear(&netbios_maps);
	maps_add(&netbios_maps, ip(INSIDE_IP), ip(MAPPED_IP), 0);
	return (struct alg_flow){
		.guest_ip_be = ip(GUEST_IP),
		.outside_ip_be = ip(OUTSIDE_IP),
		.peer_ip_be = ip(PEER_IP),
		.guest_port = port,
		.outside_port = 40000,
		.peer_port = port,
		.guest_serves = serves,
		.maps = &netbios_maps,
	};
}

static inline void put(struct bytes *b, const void *p, size_t n)
{
	cr_assert(b->n + n <= sizeof(b->p));
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static inline void put8(struct bytes *b, unsigned int v)
{
	put(b, &(uint8_t){(uint8_t)v}, 1);
}

static inline void put16(struct bytes *b, unsigned int v)
{
	put8(b, v >> 8);
	put8(b, v & 255);
}

static inline void put_ip(struct bytes *b, const char *text)
{
	put(b, &(uint32_t){ip(text)}, 4);
}

/* The first-level encoding (RFC 1001 14.1), without its end. */
static inline void put_label(struct bytes *b, const char *name, uint8_t suffix)
{
	uint8_t raw[16];
	snprintf((char *)raw, sizeof(raw), "%-15s", name);
	raw[15] = suffix;
	put8(b, 32);
	for (int i = 0; i < 16; i++) {
		put8(b, 'A' + (raw[i] >> 4));
		put8(b, 'A' + (raw[i] & 15));
	}
}

static inline void put_name(struct bytes *b, const char *name)
{
	put_label(b, name, 0x20);
	put8(b, 0);
}

/* Sends a message and compares what becomes of it. */
static inline void netbios_pass(struct harness *h, enum alg_direction from,
	const struct bytes *message, const struct bytes *as, const char *what)
{
	struct way *w = &h->way[from];
	w->out_bytes = 0;
	harness_send(h, from, message->p, message->n);
	cr_expect(w->out_bytes == as->n && !memcmp(w->out, as->p, as->n), "%s", what);
	cr_expect_eq(h->wishes + h->acts, 0, "%s", what);
}

/* The session that its name tells, with the client or the server as the guest behind OUTSIDE_IP:40000. */
static inline struct harness *netbios_play(
	const struct session *s, const struct alg_protocol *protocol, bool stream, bool serves)
{
	struct alg_flow view = session_view(s, stream, serves);
	view.maps = netbios_view(0, false).maps;
	return session_play(s, protocol, view, SESSION_WHOLE, SESSION_NO_CUT);
}

#endif
