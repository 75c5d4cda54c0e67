/*
 * What tests of SCCP have in common: who talks with whom, a registration, what came out, and what was wished for and done.
 */
#ifndef NATLOCK_TESTS_SKINNY_STEPS_H
#define NATLOCK_TESTS_SKINNY_STEPS_H

#include "harness.h"
#include "skinny_messages.h"

#define GUEST	"192.168.30.10"
#define MANAGER "198.51.100.9"
#define OUTSIDE "203.0.113.7"
#define FAR	"198.51.100.77" /* whom the guest talks with */

/* How the ends count: what they have agreed on, and what headers say. Asterisk's say 0, those of CallManager the version. */
static const struct kind {
	unsigned int version;
	uint32_t header;
} kinds[] = {{0, 0}, {3, 0}, {11, 0}, {11, 11}, {15, 15}, {16, 16}, {17, 0}, {17, 17}, {20, 20},
	{22, 0}, {22, 0x11}, {22, 22}};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static inline struct alg_flow phone_view(void)
{
	return harness_client(50000, 40000, 2000);
}

static inline struct alg_flow manager_view(void)
{
	struct alg_flow f = harness_client(2000, 2000, 50000);
	f.guest_serves = true;
	return f;
}

static inline void say(struct harness *h, enum alg_direction from, struct bytes b)
{
	harness_send(h, from, b.p, b.n);
}

static inline void forget(struct harness *h)
{
	h->way[0].out_bytes = h->way[1].out_bytes = 0;
}

/* What came out last of a direction, which is forgotten. */
static inline void expect(struct harness *h, enum alg_direction from, struct bytes b)
{
	const struct way *w = &h->way[from];
	cr_assert_eq(w->out_bytes, b.n, "%zu bytes, not %zu", (size_t)w->out_bytes, b.n);
	for (size_t i = 0; i < b.n; i++)
		cr_assert_eq(w->out[i], b.p[i], "octet %zu of message %#x is %#x, not %#x", i,
			b.p[8], w->out[i], b.p[i]);
	forget(h);
}

/* Goes on as it is. */
static inline void pass(struct harness *h, enum alg_direction from, struct bytes b)
{
	const uint32_t wishes = h->wishes;
	say(h, from, b);
	expect(h, from, b);
	cr_expect_eq(h->wishes, wishes, "message %#x", b.p[8]);
}

static inline struct harness *registered_as(
	struct alg_flow view, enum harness_mode mode, unsigned int version)
{
	struct harness *h = harness_new(&skinny_protocol, view, mode);
	const bool serves = view.guest_serves;
	say(h, serves ? ALG_OUTSIDE : ALG_GUEST,
		station_register(serves ? "10.1.1.1" : GUEST, version));
	expect(h, serves ? ALG_OUTSIDE : ALG_GUEST,
		station_register(serves ? "10.1.1.1" : OUTSIDE, version));
	pass(h, serves ? ALG_GUEST : ALG_OUTSIDE, register_ack(version));
	cr_assert_not(h->gave_up);
	return h;
}

static inline struct harness *registered(void)
{
	return registered_as(phone_view(), GRANT, 20);
}

static inline void expect_wish(
	const struct harness *h, uint32_t n, enum alg_kind kind, uint16_t port, const char *peer)
{
	cr_assert_eq(h->wishes, n + 1);
	cr_expect_eq(h->wish[n].kind, kind);
	cr_expect_eq(h->wish[n].guest_port, port);
	cr_expect_eq(h->wish[n].peer_ip_be, ip(peer));
	cr_expect_not(h->wish[n].latent);
	cr_expect(h->wish[n].lifetime_ms > 0 && h->wish[n].lifetime_ms <= 60000);
}

static inline void expect_act(
	struct harness *h, enum alg_act_kind what, uint32_t token, const char *peer)
{
	cr_assert_eq(h->acts, 1, "%u acts", h->acts);
	cr_expect_eq(h->act[0].what, what);
	cr_expect_eq(h->act[0].token, token);
	cr_expect_eq(h->act[0].media, peer != NULL);
	if (peer)
		cr_expect_eq(h->act[0].peer_ip_be, ip(peer));
	h->acts = 0;
}

/* Where a manager has asked for what the station receives. */
static inline struct harness *asked(void)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	return h;
}

/* Messages of one kind of media. */
struct ids {
	uint32_t receiving, start, sending, close, stop;
};
static const struct ids audio = {0x22, 0x8a, 0x154, 0x106, 0x8b},
			video = {0x31, 0x132, 0x155, 0x136, 0x133};

#endif
