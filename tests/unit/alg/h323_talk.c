/* What a message asks for and does: one act for an opening, everything or nothing, and what becomes of it when its call is over meanwhile. */
#include "h323_talk.h"

#include "h323_messages.h"

static struct alg_answer answer;

/* A message of the guest's in a call. */
static struct h323_talk *begin(void)
{
	static struct h323_calls *calls;
	static struct alg_flow f;
	static struct h323_talk t;
	calls = calls ? calls : malloc(sizeof(*calls));
	h323_calls_init(calls, &(const struct hash_key){1, 2});
	f = harness_client(12030, 40000, 1720);
	f.h323 = calls;
	memset(&answer, 0, sizeof(answer));
	h323_talk_begin(&t, &f, ALG_GUEST, NULL, &answer);
	t.call = h323_calls_take(calls, &f, ALG_GUEST, 7);
	return &t;
}

static struct alg_wish pair(uint16_t port, bool latent)
{
	return (struct alg_wish){.kind = ALG_UDP_PAIR,
		.guest_port = port,
		.latent = latent,
		.peer_ip_be = ip(PEER_IP)};
}

/* Asked for and granted; the answer is empty then. */
static int opened(struct h323_talk *t, uint16_t port, bool latent)
{
	const struct alg_grant grant = {ip(OUTSIDE_IP), (uint16_t)(port + 20000)};
	const int place = h323_talk_need(t, pair(port, latent));
	cr_assert_geq(place, 0);
	cr_assert(!h323_talk_settle(t) && answer.result == ALG_WISH);
	cr_assert(h323_talk_granted(t, &grant));
	memset(&answer, 0, sizeof(answer));
	return place;
}

static void expect_act(enum alg_act_kind what, const char *peer)
{
	cr_assert_eq(answer.act_count, 1);
	cr_expect_eq(answer.act[0].what, what);
	cr_expect_eq(answer.act[0].media, peer != NULL);
	cr_expect_eq(answer.act[0].peer_ip_be, peer ? ip(peer) : 0);
}

Test(h323_talk, what_is_there_is_not_asked_for_again)
{
	struct h323_talk *t = begin();
	const int place = opened(t, 5000, true);
	cr_expect_eq(h323_talk_need(t, pair(5000, true)), place);
	cr_expect(h323_talk_settle(t));
	expect_act(ALG_KEEP, NULL);
	cr_expect_eq(h323_talk_need(t, pair(5000, false)), place);
	expect_act(ALG_ARM, PEER_IP);
	struct alg_wish one = pair(5001, true);
	one.kind = ALG_UDP_ONE;
	cr_expect_eq(h323_talk_need(t, one), place, "it is among the pair");
	one.guest_port = 5002;
	cr_expect_neq(h323_talk_need(t, one), place);
	one.kind = ALG_TCP_LISTEN;
	one.guest_port = 5000;
	cr_expect_neq(h323_talk_need(t, one), place);
	cr_expect_eq(answer.wish_count, 2);
}

Test(h323_talk, who_sends_counts_more_than_whom_it_sends_to)
{
	struct h323_talk *t = begin();
	const int place = opened(t, 5000, true);
	h323_talk_arm(t, place, ip("198.51.100.77"), false);
	expect_act(ALG_ARM, "198.51.100.77");
	answer.act_count = 0;
	h323_talk_arm(t, place, ip("198.51.100.78"), true);
	expect_act(ALG_ARM, "198.51.100.78");
	answer.act_count = 0;
	h323_talk_arm(t, place, ip("198.51.100.79"), false);
	h323_talk_arm(t, place, ip("198.51.100.79"), true);
	expect_act(ALG_KEEP, NULL);
}

Test(h323_talk, nobody_means_the_flows_peer)
{
	static const char *const nobody[] = {"0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255"};
	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		struct h323_talk *t = begin();
		h323_talk_arm(t, opened(t, 5000, true), ip(nobody[i]), true);
		expect_act(ALG_ARM, PEER_IP);
	}
}

Test(h323_talk, the_strongest_act_is_the_one)
{
	struct h323_talk *t = begin();
	const int place = opened(t, 5000, true);
	const uint16_t mask = (uint16_t)(1U << place);
	h323_talk_keep(t, mask);
	h323_talk_arm(t, place, 0, true);
	h323_talk_keep(t, mask);
	expect_act(ALG_ARM, PEER_IP);
	h323_talk_close(t, mask);
	expect_act(ALG_CLOSE, NULL);
	h323_talk_close(t, mask);
	cr_expect_eq(answer.act_count, 1, "and it is gone");
}

Test(h323_talk, a_message_that_fails_asks_for_nothing)
{
	struct h323_talk *t = begin();
	h323_talk_need(t, pair(5000, true));
	cr_expect_eq(h323_talk_need(t, pair(1022, true)), -1);
	cr_expect(t->failed && answer.note);
	cr_expect_not(h323_talk_settle(t));
	cr_expect(answer.result == ALG_PASS && !answer.wish_count);
	for (int place = 0; place < H323_CALL_OPENINGS; place++)
		cr_expect_null(h323_calls_opening(t->f->h323, t->call, place));
}

Test(h323_talk, more_wishes_than_an_answer_has_are_none)
{
	struct h323_talk *t = begin();
	for (uint16_t i = 0; i < ALG_WISHES; i++)
		cr_assert_geq(h323_talk_need(t, pair((uint16_t)(5000 + 2 * i), true)), 0);
	cr_expect_eq(h323_talk_need(t, pair(6000, true)), -1);
	cr_expect_not(h323_talk_settle(t));
	cr_expect_eq(answer.wish_count, 0);
}

Test(h323_talk, grants_of_a_call_that_is_over_change_nothing)
{
	struct h323_talk *t = begin();
	const struct alg_grant grant = {ip(OUTSIDE_IP), 40000};
	h323_talk_need(t, pair(5000, true));
	cr_expect_not(h323_talk_settle(t));
	answer.act_count = 0;
	h323_talk_release(t);
	expect_act(ALG_CLOSE, NULL);
	cr_expect_null(t->call);
	cr_expect_not(h323_talk_granted(t, &grant));
	t->call = h323_calls_take(t->f->h323, t->f, ALG_GUEST, 7);
	cr_expect_not(h323_talk_granted(t, &grant), "nor another one's");
}

Test(h323_talk, what_no_channel_needs_is_collected)
{
	struct h323_talk *t = begin();
	const int kept = opened(t, 5000, true), held = opened(t, 5002, true);
	opened(t, 5004, true);
	t->call->kept = (uint16_t)(1U << kept);
	t->call->channel[5].openings = (uint16_t)(1U << held);
	h323_talk_collect(t);
	expect_act(ALG_CLOSE, NULL);
	cr_expect(h323_talk_holds(t, ALGS_UDP, 5000) && h323_talk_holds(t, ALGS_UDP, 5003));
	cr_expect_null(h323_talk_holds(t, ALGS_UDP, 5004));
}
