/*
 * SCCP: what is rewritten, what is not, what opens a port and for whom, what never does; and every recorded session at every split
 * position with the same output.
 */
#include "session.h"

#include "maps.h"
#include "skinny_calls.h"
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

static struct alg_flow phone_view(void)
{
	return harness_client(50000, 40000, 2000);
}

static struct alg_flow manager_view(void)
{
	struct alg_flow f = harness_client(2000, 2000, 50000);
	f.guest_serves = true;
	return f;
}

static void say(struct harness *h, enum alg_direction from, struct bytes b)
{
	harness_send(h, from, b.p, b.n);
}

static void forget(struct harness *h)
{
	h->way[0].out_bytes = h->way[1].out_bytes = 0;
}

/* What came out last of a direction, which is forgotten. */
static void expect(struct harness *h, enum alg_direction from, struct bytes b)
{
	const struct way *w = &h->way[from];
	cr_assert_eq(w->out_bytes, b.n, "%zu bytes, not %zu", (size_t)w->out_bytes, b.n);
	for (size_t i = 0; i < b.n; i++)
		cr_assert_eq(w->out[i], b.p[i], "octet %zu of message %#x is %#x, not %#x", i,
			b.p[8], w->out[i], b.p[i]);
	forget(h);
}

/* Goes on as it is. */
static void pass(struct harness *h, enum alg_direction from, struct bytes b)
{
	const uint32_t wishes = h->wishes;
	say(h, from, b);
	expect(h, from, b);
	cr_expect_eq(h->wishes, wishes, "message %#x", b.p[8]);
}

static struct harness *registered_as(
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

static struct harness *registered(void)
{
	return registered_as(phone_view(), GRANT, 20);
}

static void expect_wish(
	const struct harness *h, uint32_t n, enum alg_kind kind, uint16_t port, const char *peer)
{
	cr_assert_eq(h->wishes, n + 1);
	cr_expect_eq(h->wish[n].kind, kind);
	cr_expect_eq(h->wish[n].guest_port, port);
	cr_expect_eq(h->wish[n].peer_ip_be, ip(peer));
	cr_expect_not(h->wish[n].latent);
	cr_expect(h->wish[n].lifetime_ms > 0 && h->wish[n].lifetime_ms <= 60000);
}

static void expect_act(struct harness *h, enum alg_act_kind what, uint32_t token, const char *peer)
{
	cr_assert_eq(h->acts, 1, "%u acts", h->acts);
	cr_expect_eq(h->act[0].what, what);
	cr_expect_eq(h->act[0].token, token);
	cr_expect_eq(h->act[0].media, peer != NULL);
	if (peer)
		cr_expect_eq(h->act[0].peer_ip_be, ip(peer));
	h->acts = 0;
}

/* ---- a call of a telephone inside ---- */

struct ids {
	uint32_t receiving, start, sending, close, stop;
};
static const struct ids audio = {0x22, 0x8a, 0x154, 0x106, 0x8b},
			video = {0x31, 0x132, 0x155, 0x136, 0x133};

static struct bytes ask_of(const struct ids *ids, const struct kind *k, uint32_t conference,
	uint32_t party, const char *source)
{
	if (ids == &audio)
		return ask(k->version, k->header, conference, party, source);
	return WORDS(0x131, k->header, conference, party, 101, 1, 77, 0, 96, 0, 0, 0, 0);
}

static void play_call(const struct kind *k, const struct ids *ids)
{
	const unsigned int v = k->version;
	struct harness *h = registered_as(phone_view(), GRANT, v);
	pass(h, ALG_OUTSIDE, ask_of(ids, k, 5, 6, "0.0.0.0"));
	say(h, ALG_GUEST, receiving(ids->receiving, v, k->header, GUEST, 16384, 6));
	expect_wish(h, 0, ALG_UDP_PAIR, 16384, MANAGER);
	expect(h, ALG_GUEST, receiving(ids->receiving, v, k->header, OUTSIDE, 40000, 6));
	cr_expect_eq(h->acts, 0);
	pass(h, ALG_OUTSIDE, start(ids->start, v, k->header, 5, 6, FAR, 20000));
	expect_act(h, ALG_ARM, 1, FAR);
	say(h, ALG_GUEST, sending(ids->sending, v, k->header, 5, 6, GUEST, 16384));
	expect(h, ALG_GUEST, sending(ids->sending, v, k->header, 5, 6, OUTSIDE, 40000));
	cr_expect_eq(h->acts, 0);
	pass(h, ALG_OUTSIDE, over(ids->close, 5, 6));
	expect_act(h, ALG_CLOSE, 1, NULL);
	pass(h, ALG_OUTSIDE, over(ids->stop, 5, 6));
	cr_expect_eq(h->acts, 0);
	cr_expect_eq(h->wishes, 1);
	cr_expect_not(h->gave_up);
	harness_free(h);
}

Test(skinny, calls_of_every_version)
{
	for (int i = 0; i < KINDS; i++) {
		play_call(&kinds[i], &audio);
		play_call(&kinds[i], &video);
	}
}

/* Audio and video of one call have the same numbers with some managers. */
Test(skinny, audio_and_video_are_apart)
{
	const struct kind k = {20, 20};
	struct harness *h = registered();
	pass(h, ALG_OUTSIDE, ask_of(&audio, &k, 5, 6, FAR));
	pass(h, ALG_OUTSIDE, ask_of(&video, &k, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x31, 20, 20, GUEST, 5446, 6));
	expect_wish(h, 0, ALG_UDP_PAIR, 5446, MANAGER);
	expect(h, ALG_GUEST, receiving(0x31, 20, 20, OUTSIDE, 40000, 6));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	expect_wish(h, 1, ALG_UDP_PAIR, 16384, FAR);
	expect(h, ALG_GUEST, receiving(0x22, 20, 20, OUTSIDE, 40002, 6));
	say(h, ALG_OUTSIDE, start(0x132, 20, 20, 5, 6, "198.51.100.78", 7000));
	expect_act(h, ALG_ARM, 1, "198.51.100.78");
	say(h, ALG_OUTSIDE, over(0x106, 5, 6));
	expect_act(h, ALG_CLOSE, 2, NULL);
	say(h, ALG_OUTSIDE, over(0x136, 5, 6));
	expect_act(h, ALG_CLOSE, 1, NULL);
	harness_free(h);
}

/* ---- who may come ---- */

Test(skinny, the_source_of_what_it_is_to_receive_may_come)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	expect_wish(h, 0, ALG_UDP_PAIR, 16384, FAR);
	cr_expect_eq(h->acts, 0);
	say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, "198.51.100.78", 20000));
	expect_act(h, ALG_ARM, 1, "198.51.100.78");
	harness_free(h);
}

Test(skinny, it_may_be_told_to_send_before)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, FAR, 20000));
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, "0.0.0.0"));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	expect_wish(h, 0, ALG_UDP_PAIR, 16384, FAR);
	cr_expect_eq(h->acts, 0);
	harness_free(h);
}

/* A manager that takes itself out of the way of two telephones says so by another StartMediaTransmission. */
Test(skinny, the_last_one_counts)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, "0.0.0.0"));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, MANAGER, 20000));
	expect_act(h, ALG_ARM, 1, MANAGER);
	say(h, ALG_OUTSIDE, over(0x8b, 5, 6));
	cr_expect_eq(h->acts, 0, "it goes on to receive");
	say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, FAR, 20000));
	expect_act(h, ALG_ARM, 1, FAR);
	harness_free(h);
}

Test(skinny, what_is_no_host_counts_as_not_said)
{
	const char *const nobody[] = {"0.0.0.0", "127.0.0.1", "224.1.1.1", "255.255.255.255"};
	for (int i = 0; i < 4; i++) {
		struct harness *h = registered();
		say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, nobody[i]));
		say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
		expect_wish(h, 0, ALG_UDP_PAIR, 16384, MANAGER);
		say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, nobody[i], 20000));
		cr_expect_eq(h->acts, 0);
		harness_free(h);
	}
}

/* As in nDPI's skinny.pcap: a recorder is sent both directions of a call, in streams of their own. */
Test(skinny, a_recorder_is_another_party)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 32144, 6));
	say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 9, "198.51.100.24", 9395));
	cr_expect_eq(h->acts, 0, "the call's own port is not the recorder's");
	forget(h);
	say(h, ALG_GUEST, sending(0x154, 20, 20, 5, 9, GUEST, 32150));
	expect_wish(h, 1, ALG_UDP_PAIR, 32150, "198.51.100.24");
	expect(h, ALG_GUEST, sending(0x154, 20, 20, 5, 9, OUTSIDE, 40002));
	say(h, ALG_OUTSIDE, over(0x8b, 5, 9));
	expect_act(h, ALG_CLOSE, 2, NULL);
	harness_free(h);
}

/* ---- what is refused, repeated, or changed meanwhile ---- */

Test(skinny, nothing_changes_where_there_is_no_port)
{
	struct harness *h = registered_as(phone_view(), REFUSE, 20);
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	forget(h);
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	expect(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, FAR, 20000));
	say(h, ALG_OUTSIDE, over(0x106, 5, 6));
	cr_expect_eq(h->acts, 0);
	harness_free(h);
}

Test(skinny, the_same_again_needs_nothing_new)
{
	struct harness *h = registered();
	for (int i = 0; i < 3; i++) {
		say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
		h->acts = 0;
		forget(h);
		say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
		expect(h, ALG_GUEST, receiving(0x22, 20, 20, OUTSIDE, 40000, 6));
	}
	cr_expect_eq(h->wishes, 1);
	h->acts = 0;
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16390, 6));
	expect_act(h, ALG_CLOSE, 1, NULL);
	expect_wish(h, 1, ALG_UDP_PAIR, 16390, FAR);
	harness_free(h);
}

Test(skinny, what_happens_while_it_is_asked_for)
{
	struct harness *h = registered_as(phone_view(), LATER, 20);
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, "0.0.0.0"));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, FAR, 20000));
	cr_expect_eq(h->acts, 0);
	forget(h);
	harness_answer(h, true);
	expect_act(h, ALG_ARM, 1, FAR);
	expect(h, ALG_GUEST, receiving(0x22, 20, 20, OUTSIDE, 40000, 6));

	say(h, ALG_OUTSIDE, ask(20, 20, 7, 8, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16386, 8));
	say(h, ALG_OUTSIDE, over(0x106, 7, 8));
	cr_expect_eq(h->acts, 0);
	forget(h);
	harness_answer(h, true);
	expect_act(h, ALG_CLOSE, 2, NULL);
	expect(h, ALG_GUEST, receiving(0x22, 20, 20, OUTSIDE, 40002, 8));

	say(h, ALG_OUTSIDE, ask(20, 20, 7, 9, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16388, 9));
	say(h, ALG_OUTSIDE, over(0x106, 7, 9));
	harness_answer(h, false);
	cr_expect_eq(h->acts, 0);
	cr_expect_not(h->gave_up);
	harness_free(h);
}

Test(skinny, what_is_over_by_time_is_not_closed_again)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	stream_gone(&h->flow, 1);
	say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, FAR, 20000));
	say(h, ALG_OUTSIDE, over(0x106, 5, 6));
	cr_expect_eq(h->acts, 0);
	harness_free(h);
}

/* ---- the end of calls ---- */

Test(skinny, a_call_on_hook_is_over)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	say(h, ALG_OUTSIDE, WORDS(0x111, 20, 5, 1, 1005, 0, 0, 0));
	say(h, ALG_OUTSIDE, WORDS(0x111, 20, 2, 1, 1006, 0, 0, 0));
	say(h, ALG_OUTSIDE, WORDS(0x111, 20, 2, 1, 0, 0, 0, 0));
	cr_expect_eq(h->acts, 0, "connected; another call; no call");
	say(h, ALG_OUTSIDE, WORDS(0x111, 20, 2, 1, 1005, 0, 0, 0));
	expect_act(h, ALG_CLOSE, 1, NULL);
	harness_free(h);
}

/* As Asterisk does it. */
Test(skinny, a_stream_may_be_taken_back_without_its_conference)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	say(h, ALG_OUTSIDE, over(0x106, 0, 7));
	say(h, ALG_OUTSIDE, over(0x106, 6, 6));
	say(h, ALG_OUTSIDE, over(0x136, 0, 6));
	cr_expect_eq(h->acts, 0, "another party, conference, media");
	say(h, ALG_OUTSIDE, over(0x106, 0, 6));
	expect_act(h, ALG_CLOSE, 1, NULL);
	harness_free(h);
}

Test(skinny, a_registration_that_ends_closes_all)
{
	struct harness *h = registered();
	for (uint32_t i = 0; i < 4; i++) {
		say(h, ALG_OUTSIDE, ask(20, 20, i, i, FAR));
		say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384 + 2 * i, i));
	}
	say(h, ALG_GUEST, WORDS(0x27, 20, 0));
	say(h, ALG_OUTSIDE, WORDS(0x118, 20, 2));
	cr_expect_eq(h->acts, 0, "the manager does not agree");
	say(h, ALG_OUTSIDE, WORDS(0x118, 20, 0));
	cr_expect_eq(h->acts, 4);
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 4);
	forget(h);
	pass(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	pass(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	harness_free(h);
}

/* ---- other messages ---- */

Test(skinny, a_port_for_all_calls_is_kept_and_not_open)
{
	struct harness *h = registered_as(phone_view(), GRANT, 0);
	say(h, ALG_GUEST, WORDS(0x02, 0, 16384));
	expect(h, ALG_GUEST, WORDS(0x02, 0, 40000));
	cr_assert_eq(h->wishes, 1);
	cr_expect(h->wish[0].latent && h->wish[0].kind == ALG_UDP_PAIR);
	say(h, ALG_GUEST, WORDS(0x02, 0, 16384));
	expect(h, ALG_GUEST, WORDS(0x02, 0, 40000));
	cr_expect_eq(h->acts, 0);
	say(h, ALG_OUTSIDE, ask(0, 0, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 0, 0, GUEST, 16384, 6));
	cr_expect_eq(h->wishes, 2);
	cr_expect_not(h->wish[1].latent);
	say(h, ALG_OUTSIDE, start(0x8a, 0, 0, 5, 6, FAR, 20000));
	expect_act(h, ALG_ARM, 2, FAR);
	forget(h);
	pass(h, ALG_GUEST, WORDS(0x02, 0, 80));
	harness_free(h);
}

static struct bytes port_res(const char *ip, uint32_t port, uint32_t rtcp)
{
	struct bytes b = begin(0x45, 20);
	add(&b, 5);
	add(&b, 77);
	add(&b, 6);
	add_ip(&b, 20, ip);
	add(&b, port);
	add(&b, rtcp);
	add(&b, 1);
	return end(b);
}

Test(skinny, ports_that_are_asked_for_beforehand)
{
	struct harness *h = registered();
	pass(h, ALG_OUTSIDE, WORDS(0x14b, 20, 5, 77, 6, 1, 0, 1));
	say(h, ALG_GUEST, port_res(GUEST, 16384, 16385));
	expect_wish(h, 0, ALG_UDP_PAIR, 16384, MANAGER);
	expect(h, ALG_GUEST, port_res(OUTSIDE, 40000, 40001));
	say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, FAR, 20000));
	expect_act(h, ALG_ARM, 1, FAR);
	say(h, ALG_OUTSIDE, WORDS(0x14c, 20, 5, 77, 6, 1));
	expect_act(h, ALG_CLOSE, 1, NULL);
	harness_free(h);
}

Test(skinny, rtcp_elsewhere_stays_as_it_is)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, WORDS(0x14b, 20, 5, 77, 6, 1, 0, 1));
	say(h, ALG_GUEST, port_res(GUEST, 16384, 0));
	expect(h, ALG_GUEST, port_res(OUTSIDE, 40000, 0));
	say(h, ALG_GUEST, port_res(GUEST, 16385, 16386));
	expect_wish(h, 1, ALG_UDP_ONE, 16385, MANAGER);
	expect(h, ALG_GUEST, port_res(OUTSIDE, 40002, 16386));
	harness_free(h);
}

Test(skinny, a_port_of_tcp_is_not_opened)
{
	struct harness *h = registered();
	pass(h, ALG_OUTSIDE, WORDS(0x14b, 20, 5, 77, 6, 3, 0, 5));
	pass(h, ALG_GUEST, port_res(GUEST, 16384, 0));
	harness_free(h);
}

static struct bytes token(uint32_t id, const char *station)
{
	struct bytes b = begin(id, 0);
	add_zeros(&b, 24);
	add_ip(&b, 0, station);
	add(&b, 7);
	return end(b);
}

static struct bytes failure(const char *ip, uint32_t port)
{
	struct bytes b = begin(0x2a, 20);
	add(&b, 5);
	add(&b, 6);
	add_ip(&b, 20, ip);
	add(&b, port);
	add(&b, 77);
	return end(b);
}

static struct bytes resource(uint32_t id, const char *ip, uint32_t port, const char *node)
{
	struct bytes b = begin(id, 20);
	add(&b, 5);
	add(&b, 77);
	add(&b, 6);
	add_ip(&b, 20, ip);
	add(&b, port);
	add(&b, 1);
	add(&b, 2);
	add_ip(&b, 0, node);
	add_zeros(&b, 120);
	return end(b);
}

Test(skinny, addresses_that_open_nothing)
{
	struct harness *h = registered();
	say(h, ALG_GUEST, token(0x29, GUEST));
	expect(h, ALG_GUEST, token(0x29, OUTSIDE));
	say(h, ALG_GUEST, token(0x8000, GUEST));
	expect(h, ALG_GUEST, token(0x8000, OUTSIDE));
	pass(h, ALG_GUEST, failure(FAR, 20000));
	say(h, ALG_GUEST, failure(GUEST, 20000));
	expect(h, ALG_GUEST, failure(OUTSIDE, 20000));
	for (uint32_t id = 0x14d; id <= 0x151; id++) {
		say(h, ALG_GUEST, resource(id, GUEST, 20000, FAR));
		expect(h, ALG_GUEST, resource(id, OUTSIDE, 20000, FAR));
	}
	say(h, ALG_GUEST, resource(0x46, GUEST, 20000, GUEST));
	expect(h, ALG_GUEST, resource(0x46, OUTSIDE, 20000, GUEST));
	say(h, ALG_GUEST, resource(0x47, FAR, 20000, GUEST));
	expect(h, ALG_GUEST, resource(0x47, FAR, 20000, OUTSIDE));
	say(h, ALG_GUEST, resource(0x47, GUEST, 20000, GUEST));
	expect(h, ALG_GUEST, resource(0x47, OUTSIDE, 20000, OUTSIDE));
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

/* Whom the manager names is whom it means, be it the guest as others see it (both telephones are behind this gateway). */
Test(skinny, what_a_manager_outside_says_stays_as_it_is)
{
	struct harness *h = registered();
	const char *const far[] = {FAR, OUTSIDE, GUEST, "239.1.1.1"};
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	forget(h);
	for (int i = 0; i < 4; i++) {
		pass(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, far[i], 40000));
		pass(h, ALG_OUTSIDE, start(0x101, 20, 20, 5, 6, far[i], 40000));
		pass(h, ALG_OUTSIDE, start(0x102, 20, 20, 5, 6, far[i], 40000));
		pass(h, ALG_OUTSIDE, ask(20, 20, 5, 6, far[i]));
		pass(h, ALG_OUTSIDE, resource(0x14e, far[i], 40000, far[i]));
	}
	harness_free(h);
}

/* Statistics at the end of a call, and what nobody knows, whatever addresses they seem to hold. */
Test(skinny, other_messages_stay_as_they_are)
{
	static const uint32_t ids[] = {0x23, 0x107, 0x8f, 0x14a, 0x21, 0x161, 0x7777, 0xffffffff};
	struct harness *h = registered();
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		for (int from = 0; from < 2; from++) {
			struct bytes b = begin(ids[i], 20);
			for (int k = 0; k < 40; k++)
				add_ip(&b, 0, GUEST);
			pass(h, (enum alg_direction)from, end(b));
		}
	cr_expect_not(h->gave_up);
	harness_free(h);
}

Test(skinny, ipv6_is_left_alone)
{
	struct harness *h = registered();
	struct bytes b = receiving(0x22, 20, 20, GUEST, 16384, 6);
	for (uint8_t type = 1; type < 4; type++) {
		pass(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
		b.p[16] = type;
		pass(h, ALG_GUEST, b);
	}
	harness_free(h);
}

/* ---- what is not believed ---- */

static void expect_no_wish(struct harness *h, struct bytes b)
{
	forget(h);
	pass(h, ALG_GUEST, b);
	harness_free(h);
}

static struct harness *asked(void)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	return h;
}

Test(skinny, nothing_is_opened_that_was_not_asked_for)
{
	expect_no_wish(registered(), receiving(0x22, 20, 20, GUEST, 16384, 6));
	expect_no_wish(registered(), sending(0x154, 20, 20, 5, 6, GUEST, 16384));
	expect_no_wish(registered(), port_res(GUEST, 16384, 16385));
	expect_no_wish(asked(), receiving(0x22, 20, 20, GUEST, 16384, 7));
	expect_no_wish(asked(), receiving(0x31, 20, 20, GUEST, 16384, 6));
	expect_no_wish(asked(), port_res(GUEST, 16384, 16385));
	struct harness *h = asked();
	say(h, ALG_OUTSIDE, over(0x106, 5, 6));
	expect_no_wish(h, receiving(0x22, 20, 20, GUEST, 16384, 6));
}

Test(skinny, nor_for_others_nor_where_others_live)
{
	expect_no_wish(asked(), receiving(0x22, 20, 20, "192.168.30.11", 16384, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 20, OUTSIDE, 16384, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 20, "0.0.0.0", 16384, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 20, GUEST, 1023, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 20, GUEST, 0, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 20, GUEST, 65536, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 20, GUEST, 0x10000 + 16384, 6));
	struct bytes failed = receiving(0x22, 20, 20, GUEST, 16384, 6);
	failed.p[12] = 1;
	expect_no_wish(asked(), failed);
}

/* By the form of another version the address is none of the guest's. */
Test(skinny, nor_in_the_form_of_another_version)
{
	expect_no_wish(asked(), receiving(0x22, 11, 20, GUEST, 16384, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 11, GUEST, 16384, 6));
}

Test(skinny, nor_before_the_registration_nor_after_one_that_nobody_took)
{
	struct harness *h = harness_new(&skinny_protocol, phone_view(), GRANT);
	say(h, ALG_GUEST, WORDS(0x00, 0, 0));
	say(h, ALG_OUTSIDE, register_ack(20));
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	say(h, ALG_GUEST, station_register(GUEST, 20));
	say(h, ALG_OUTSIDE, WORDS(0x9d, 0, 0));
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	cr_expect_eq(h->wishes, 0);
	cr_expect_not(h->gave_up);
	harness_free(h);
}

static void expect_version(unsigned int offered, unsigned int taken, unsigned int version)
{
	struct harness *h = harness_new(&skinny_protocol, phone_view(), GRANT);
	say(h, ALG_GUEST, station_register(GUEST, offered));
	say(h, ALG_OUTSIDE, register_ack(taken));
	say(h, ALG_OUTSIDE, ask(version, 0, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, version, 0, GUEST, 16384, 6));
	cr_expect_eq(h->wishes, 1, "%u and %u make %u", offered, taken, version);
	harness_free(h);
}

/* Asterisk's RegisterAck has the character 0 for a version, those of the first managers have none. */
Test(skinny, the_lower_version_counts)
{
	expect_version(22, 17, 17);
	expect_version(20, 11, 11);
	expect_version(11, 20, 11);
	expect_version(17, '0', 17);
	expect_version(11, '0', 11);
	expect_version(17, 0, 17);
	expect_version(16, 17, 16);
}

Test(skinny, a_second_answer_does_not_change_it)
{
	struct harness *h = registered_as(phone_view(), GRANT, 17);
	say(h, ALG_OUTSIDE, register_ack(3));
	say(h, ALG_OUTSIDE, ask(17, 0, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 17, 0, GUEST, 16384, 6));
	cr_expect_eq(h->wishes, 1);
	harness_free(h);
}

/* ---- limits ---- */

Test(skinny, four_openings_a_call)
{
	struct harness *h = registered();
	for (uint32_t i = 0; i < 5; i++) {
		say(h, ALG_OUTSIDE, ask(20, 20, 5, i, FAR));
		say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384 + 2 * i, i));
	}
	cr_expect_eq(h->wishes, 4);
	cr_expect_eq(h->notes, 1);
	say(h, ALG_OUTSIDE, over(0x106, 5, 2));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16392, 4));
	cr_expect_eq(h->wishes, 5);
	harness_free(h);
}

Test(skinny, sixteen_openings_a_flow_and_all_can_be_closed_at_once)
{
	struct harness *h = registered();
	for (uint32_t i = 0; i < 17; i++) {
		say(h, ALG_OUTSIDE, ask(20, 20, i, i, FAR));
		say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384 + 2 * i, i));
	}
	cr_expect_eq(h->wishes, 16);
	say(h, ALG_OUTSIDE, WORDS(0x118, 20, 0));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 16);
	harness_free(h);
}

/* A manager that never takes anything back loses what is oldest, not what is open. */
Test(skinny, old_streams_make_room)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, ask(20, 20, 1, 1, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 1));
	for (uint32_t i = 2; i < 200; i++) {
		h->flow.view.now_ms += 1000;
		say(h, ALG_OUTSIDE, ask(20, 20, i, i, FAR));
		say(h, ALG_OUTSIDE, start(0x8a, 20, 20, i, i, FAR, 20000));
	}
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16386, 100));
	cr_expect_eq(h->wishes, 1, "forgotten");
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16386, 199));
	cr_expect_eq(h->wishes, 2);
	h->acts = 0;
	say(h, ALG_OUTSIDE, over(0x106, 1, 1));
	expect_act(h, ALG_CLOSE, 1, NULL);
	harness_free(h);
}

/* ---- what is no SCCP ---- */

static void expect_violation(struct alg_flow view, enum alg_direction from, const void *p, size_t n)
{
	struct harness *h = harness_new(&skinny_protocol, view, GRANT);
	harness_send(h, from, p, n);
	cr_expect(h->gave_up && h->violation, "%.*s", (int)n, (const char *)p);
	say(h, ALG_GUEST, station_register(GUEST, 20));
	harness_expect_untouched(h);
	harness_free(h);
}

static void expect_not_sccp(const void *p, size_t n)
{
	expect_violation(phone_view(), ALG_GUEST, p, n);
	expect_violation(manager_view(), ALG_OUTSIDE, p, n);
}

Test(skinny, other_protocols_are_seen_by_their_first_bytes)
{
	const char *const others[] = {"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "GET ",
		"\x16\x03\x01\x02", "SSH-2.0-x", "\x00\x00\x00\x04"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		expect_not_sccp(others[i], i == 4 ? 4 : strlen(others[i]));
}

/* A form that a browser sends holds a whole session of a telephone. */
Test(skinny, a_post_opens_nothing)
{
	struct harness *h = harness_new(&skinny_protocol, phone_view(), GRANT);
	harness_say(h, ALG_GUEST, "POST / HTTP/1.1\r\nContent-Length: 500\r\n\r\n");
	say(h, ALG_GUEST, station_register(GUEST, 20));
	say(h, ALG_OUTSIDE, register_ack(20));
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	cr_expect(h->gave_up && h->violation);
	cr_expect_eq(h->wishes, 0);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(skinny, lengths_and_versions_that_cannot_be)
{
	static const struct {
		uint32_t length, version, id;
		size_t n;
	} hostile[] = {{0, 0, 1, 4}, {3, 0, 1, 4}, {65529, 0, 1, 4}, {0x7fffffff, 0, 1, 4},
		{0xffffffff, 0, 1, 4}, {4, 256, 1, 8}, {4, 0xffffffff, 1, 8}, {4, 0, 2, 12},
		{4, 0, 0x22, 12}, {4, 0, 0x8a, 12}, {4, 0, 0x105, 12}, {65528, 0, 0x26, 12}};
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct bytes b = {.n = 0};
		add(&b, hostile[i].length);
		add(&b, hostile[i].version);
		add(&b, hostile[i].id);
		expect_not_sccp(b.p, hostile[i].n);
	}
}

Test(skinny, and_the_same_later)
{
	static const uint32_t hostile[][2] = {{3, 0}, {65529, 0}, {0x20202020, 0}, {8, 256}};
	for (int i = 0; i < 4; i++)
		for (int from = 0; from < 2; from++) {
			struct harness *h = registered();
			struct bytes b = {.n = 0};
			add(&b, hostile[i][0]);
			add(&b, hostile[i][1]);
			say(h, (enum alg_direction)from, b);
			cr_expect(h->gave_up && h->violation);
			harness_free(h);
		}
}

Test(skinny, a_manager_does_not_speak_first)
{
	const struct bytes b = register_ack(20);
	expect_violation(phone_view(), ALG_OUTSIDE, b.p, 1);
	expect_violation(phone_view(), ALG_OUTSIDE, b.p, b.n);
	expect_violation(manager_view(), ALG_GUEST, b.p, b.n);
}

Test(skinny, stations_begin_in_several_ways)
{
	static const uint32_t ids[] = {0x00, 0x01, 0x12, 0x20, 0x29, 0x15a, 0x8000};
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct harness *h = harness_new(&skinny_protocol, phone_view(), GRANT);
		pass(h, ALG_GUEST, WORDS(ids[i], 0, 0));
		cr_expect_not(h->gave_up, "%#x", ids[i]);
		harness_free(h);
	}
}

Test(skinny, the_longest_message)
{
	static uint8_t p[ALG_MESSAGE_MAX];
	struct harness *h = registered();
	struct bytes b = {.n = 0};
	add(&b, ALG_MESSAGE_MAX - 8);
	add(&b, 20);
	add(&b, 0x7777);
	memcpy(p, b.p, b.n);
	for (size_t at = 0; at < sizeof(p); at += 16384)
		harness_send(h, ALG_GUEST, p + at, 16384);
	cr_expect_eq(h->way[ALG_GUEST].out_bytes, ALG_MESSAGE_MAX);
	cr_expect_not(h->gave_up);
	harness_free(h);
}

/* Messages that end before what they are to say. */
Test(skinny, short_messages_change_nothing)
{
	static const uint32_t ids[] = {0x01, 0x02, 0x22, 0x29, 0x2a, 0x31, 0x45, 0x46, 0x47, 0x81,
		0x8a, 0x8b, 0x95, 0x9e, 0x101, 0x105, 0x106, 0x111, 0x118, 0x131, 0x132, 0x14b,
		0x14c, 0x14d, 0x154, 0x155};
	struct harness *h = asked();
	forget(h);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		for (int from = 0; from < 2; from++)
			pass(h, (enum alg_direction)from, end(begin(ids[i], 20)));
	cr_expect_not(h->gave_up);
	harness_free(h);
}

/* ---- a manager inside ---- */

static struct maps statics(void)
{
	struct maps m;
	maps_clear(&m);
	maps_add(&m, ip(GUEST), ip(OUTSIDE), 0);
	maps_add(&m, ip("192.168.30.11"), ip("203.0.113.8"), 0);
	return m;
}

static void play_served_call(const struct kind *k, const struct ids *ids)
{
	const unsigned int v = k->version;
	struct harness *h = registered_as(manager_view(), GRANT, v);
	if (ids == &audio && v >= 11) {
		say(h, ALG_GUEST, ask(v, k->header, 5, 6, GUEST));
		expect(h, ALG_GUEST, ask(v, k->header, 5, 6, OUTSIDE));
	}
	pass(h, ALG_OUTSIDE, receiving(ids->receiving, v, k->header, MANAGER, 16384, 6));
	say(h, ALG_GUEST, start(ids->start, v, k->header, 5, 6, GUEST, 20000));
	expect_wish(h, 0, ALG_UDP_PAIR, 20000, MANAGER);
	expect(h, ALG_GUEST, start(ids->start, v, k->header, 5, 6, OUTSIDE, 40000));
	pass(h, ALG_OUTSIDE, sending(ids->sending, v, k->header, 5, 6, MANAGER, 16384));
	pass(h, ALG_GUEST, over(ids->close, 5, 6));
	cr_expect_eq(h->acts, 0, "that is what the telephone receives");
	pass(h, ALG_GUEST, over(ids->stop, 5, 6));
	expect_act(h, ALG_CLOSE, 1, NULL);
	harness_free(h);
}

Test(skinny, calls_that_a_manager_inside_serves)
{
	for (int i = 0; i < KINDS; i++) {
		play_served_call(&kinds[i], &audio);
		play_served_call(&kinds[i], &video);
	}
}

Test(skinny, static_addresses_of_others_inside)
{
	struct alg_flow view = manager_view();
	const struct maps m = statics();
	view.maps = &m;
	struct harness *h = registered_as(view, GRANT, 20);
	say(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, "192.168.30.11", 20000));
	expect(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, "203.0.113.8", 20000));
	pass(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, "192.168.30.12", 20000));
	say(h, ALG_OUTSIDE, failure("203.0.113.8", 20000));
	expect(h, ALG_OUTSIDE, failure("192.168.30.11", 20000));
	pass(h, ALG_OUTSIDE, failure("203.0.113.9", 20000));
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

static struct bytes servers(unsigned int version, const char *const *ip)
{
	struct bytes b = begin(0x9e, version);
	add_zeros(&b, 240);
	for (int i = 0; i < 5; i++)
		add(&b, 2000);
	for (int i = 0; i < 5; i++)
		add_ip(&b, version, ip[i]);
	return end(b);
}

Test(skinny, a_list_of_managers)
{
	const char *const inside[] = {GUEST, "192.168.30.11", "0.0.0.0", "10.0.0.1", GUEST};
	const char *const outside[] = {OUTSIDE, "203.0.113.8", "0.0.0.0", "10.0.0.1", OUTSIDE};
	struct alg_flow view = manager_view();
	const struct maps m = statics();
	view.maps = &m;
	struct harness *h = registered_as(view, GRANT, 20);
	for (unsigned int version = 11; version < 21; version += 9) {
		say(h, ALG_GUEST, servers(version, inside));
		expect(h, ALG_GUEST, servers(version, outside));
	}
	harness_free(h);
}

Test(skinny, what_a_telephone_says_of_the_manager)
{
	struct harness *h = registered_as(manager_view(), GRANT, 20);
	say(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, GUEST, 20000));
	forget(h);
	say(h, ALG_OUTSIDE, failure(OUTSIDE, 40001));
	expect(h, ALG_OUTSIDE, failure(GUEST, 20001));
	pass(h, ALG_OUTSIDE, failure(OUTSIDE, 40002));
	harness_free(h);
}

Test(skinny, a_manager_inside_opens_nothing_for_others)
{
	struct harness *h = registered_as(manager_view(), GRANT, 20);
	pass(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, "192.168.30.12", 20000));
	pass(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, GUEST, 1023));
	pass(h, ALG_OUTSIDE, receiving(0x22, 20, 20, GUEST, 16384, 6));
	pass(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, GUEST, 20000));
	harness_free(h);
}

/* ---- recorded sessions ---- */

static void play_session(const struct session *s)
{
	session_cut_everywhere(s, &skinny_protocol);
	session_expect_untouched(s, &skinny_protocol, true);
}

Test(skinny, recorded_sessions, .timeout = 250)
{
	session_each(VECTOR_DIRECTORY, 6, play_session);
}

/* What a session leads to with one of its ends as the guest. */
static void expect_session(const char *name, bool serves, bool gave_up, uint32_t edits,
	uint32_t wishes, uint32_t armed, uint32_t closed)
{
	struct session *s = session_load(VECTOR_DIRECTORY, name);
	struct harness *h = session_play(
		s, &skinny_protocol, session_view(s, true, serves), SESSION_WHOLE, SESSION_NO_CUT);
	cr_expect(h->gave_up == gave_up && h->edits == edits && h->wishes == wishes &&
			  harness_count(h, ALG_ARM, 0) == armed &&
			  harness_count(h, ALG_CLOSE, 0) == closed,
		"%s: %d, %u edits, %u wishes, %u armed, %u closed", name, h->gave_up, h->edits,
		h->wishes, harness_count(h, ALG_ARM, 0), harness_count(h, ALG_CLOSE, 0));
	harness_free(h);
	free(s);
}

/* Edits, wishes, how many were armed for another peer, and closed. Those of nDPI begin in the middle; before two of them a registration
 * was put. Their telephones are recorded. */
Test(skinny, what_recorded_sessions_lead_to)
{
	expect_session("own-sccp-v11-asterisk-2.session", false, false, 3, 1, 1, 1);
	expect_session("own-sccp-v11-asterisk-2.session", true, false, 2, 1, 0, 1);
	expect_session("own-sccp-v17-asterisk-1.session", false, false, 3, 1, 1, 1);
	expect_session("own-sccp-v17-asterisk-2.session", false, false, 3, 1, 1, 1);
	expect_session("own-sccp-v17-asterisk-2.session", true, false, 2, 1, 0, 1);
	expect_session("skinny-1.session", false, true, 0, 0, 0, 0);
	expect_session("skinny-registered-1.session", false, false, 9, 3, 1, 0);
	expect_session("skinny-registered-2.session", false, false, 9, 3, 0, 0);
	expect_session("skinny-registered-2.session", true, false, 0, 0, 0, 0);
}
