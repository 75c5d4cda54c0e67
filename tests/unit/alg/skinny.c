/* Calls of a telephone inside by SCCP: what opens a port and for whom, what changes it meanwhile, and what closes it. */
#include "skinny_rows.h"
#include "skinny_steps.h"

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
	const char *const nobody[] = {
		"0.0.0.0", "127.0.0.1", "224.1.1.1", "255.255.255.255", "0.1.2.3"};
	for (int i = 0; i < 5; i++) {
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

/* ---- what the operator is shown ---- */

/* How many, and the last one. */
static unsigned int calls_shown(const struct harness *h, struct call_row *row)
{
	uint32_t cursor = 0;
	unsigned int n = 0;
	while (skinny_calls_next((const struct skinny *)h->flow.state, &cursor, row))
		n++;
	return n;
}

/* Streams have their times in 32 bits, since the flow's first message. */
Test(skinny, a_call_is_shown_at_its_time_after_months)
{
	struct call_row row;
	struct alg_flow view = phone_view();
	view.now_ms = 9876543210;
	struct harness *h = registered_as(view, GRANT, 20);
	h->flow.view.now_ms += 1000;
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	cr_assert_eq(calls_shown(h, &row), 1);
	cr_expect_eq(row.answered_ms, 9876544210);
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

Test(skinny, what_was_refused_is_asked_for_again)
{
	struct harness *h = registered_as(phone_view(), REFUSE, 20);
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	h->mode = GRANT;
	say(h, ALG_OUTSIDE, ask(20, 20, 7, 8, FAR));
	forget(h);
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16386, 8));
	expect_wish(h, 1, ALG_UDP_PAIR, 16386, FAR);
	expect(h, ALG_GUEST, receiving(0x22, 20, 20, OUTSIDE, 40002, 8));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	expect_wish(h, 2, ALG_UDP_PAIR, 16384, FAR);
	expect(h, ALG_GUEST, receiving(0x22, 20, 20, OUTSIDE, 40004, 6));
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
	struct call_row row;
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
	cr_expect_eq(calls_shown(h, &row), 1, "the first");
	cr_expect_not(h->gave_up);
	harness_free(h);
}

Test(skinny, what_is_over_by_time_is_not_closed_again)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	say(h, ALG_OUTSIDE, ask(20, 20, 7, 8, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16386, 8));
	stream_gone(&h->flow, 1);
	say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, FAR, 20000));
	say(h, ALG_OUTSIDE, over(0x106, 5, 6));
	cr_expect_eq(h->acts, 0);
	say(h, ALG_OUTSIDE, over(0x106, 7, 8));
	expect_act(h, ALG_CLOSE, 2, NULL);
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

/* A manager may say 0 for the call in both messages: then it is not known which one is over. */
Test(skinny, a_call_without_a_reference_is_not_closed_by_one)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, FAR, 20000));
	say(h, ALG_GUEST, sending(0x154, 20, 20, 5, 6, GUEST, 16384));
	expect_wish(h, 0, ALG_UDP_PAIR, 16384, FAR);
	say(h, ALG_OUTSIDE, WORDS(0x111, 20, 2, 1, 0, 0, 0, 0));
	cr_expect_eq(h->acts, 0);
	say(h, ALG_OUTSIDE, over(0x8b, 5, 6));
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
