/* stream.c with toy protocols: boundaries, holding, bounds, datagrams. */
#include "harness.h"

/* Messages end with '.'; "w" wishes for port 2000, "ww" twice; "b" breaks the rules; "d" is done; "c" closes;
 * 'x' becomes "yz". */
static size_t toy_frame(
	const void *state, enum alg_direction from, const uint8_t *p, size_t n, size_t seen)
{
	const uint8_t *end = memchr(p + seen, '.', n - seen);
	return end ? (size_t)(end - p) + 1 : 0;
}

static void toy_edit(const uint8_t *p, size_t n, struct alg_answer *a)
{
	for (size_t i = 0; i < n && a->edit_count < ALG_EDITS; i++)
		if (p[i] == 'x')
			a->edit[a->edit_count++] = (struct alg_edit){(uint32_t)i, 1, 2, "yz"};
}

static void toy_message(void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	if (n && p[0] == 'b') {
		a->result = ALG_VIOLATION;
		a->why = "b";
	} else if (n && p[0] == 'd') {
		a->result = ALG_DONE;
		a->why = "d";
		toy_edit(p, n, a);
	} else if (n && p[0] == 'w') {
		uint32_t *token = state;
		a->result = ALG_WISH;
		for (size_t i = 0; i < n && p[i] == 'w'; i++)
			a->wish[a->wish_count++] = (struct alg_wish){
				.guest_port = 2000, .token = ++*token, .lifetime_ms = 1000};
	} else {
		if (n && p[0] == 'c')
			alg_act_add(a, ALG_CLOSE, *(uint32_t *)state);
		toy_edit(p, n, a);
	}
}

static void toy_granted(void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, const struct alg_grant *g, struct alg_answer *a)
{
	if (g)
		toy_edit(p, n, a);
}

static const struct alg_protocol toy = {
	"toy", ALGS_FTP, 0, ALGS_TCP, 1000, toy_frame, toy_message, toy_granted};
static const struct alg_protocol toy_datagram = {
	"toyd", ALGS_TFTP, 0, ALGS_UDP, 1000, NULL, toy_message, toy_granted};
static const struct alg_flow view = {.stream = true};

Test(stream, whole_messages_pass_and_the_rest_waits)
{
	struct harness *h = harness_new(&toy, view, GRANT);
	harness_say(h, ALG_GUEST, "a.bc");
	harness_expect(h, ALG_GUEST, "a.");
	harness_say(h, ALG_GUEST,
		"d"); /* a message "bcd." would be a violation: it is not complete yet */
	harness_expect(h, ALG_GUEST, "a.");
	cr_expect_not(h->gave_up);
	harness_free(h);
}

Test(stream, edits_are_absolute_and_more_than_one_verdict_holds)
{
	struct harness *h = harness_new(&toy, view, GRANT);
	for (int i = 0; i < 40; i++)
		harness_say(h, ALG_OUTSIDE, "axx.");
	harness_say(h, ALG_GUEST, "xxxxxx.xxxxxx.xxxxxx.xxxxxx.q.");
	harness_expect(h, ALG_GUEST, "yzyzyzyzyzyz.yzyzyzyzyzyz.yzyzyzyzyzyz.yzyzyzyzyzyz.q.");
	cr_expect_eq(h->way[ALG_OUTSIDE].out_bytes, 40 * 6);
	harness_free(h);
}

Test(stream, a_wish_holds_its_direction_only)
{
	struct harness *h = harness_new(&toy, view, LATER);
	harness_say(h, ALG_GUEST, "a.wx.bx.");
	harness_expect(h, ALG_GUEST, "a.");
	cr_assert_eq(h->wishes, 1);
	harness_say(h, ALG_OUTSIDE, "x.");
	harness_expect(h, ALG_OUTSIDE, "yz.");
	harness_answer(h, true);
	cr_expect(h->gave_up && h->violation, "the message behind the wish is judged afterwards");
	harness_expect(h, ALG_GUEST, "a.wyz.bx.");
	harness_free(h);
}

Test(stream, a_refused_wish_passes_the_message_as_it_was)
{
	struct harness *h = harness_new(&toy, view, REFUSE);
	harness_say(h, ALG_GUEST, "wx.a.");
	harness_expect_untouched(h);
	harness_free(h);
}

Test(stream, a_stale_or_invented_token_changes_nothing)
{
	struct harness *h = harness_new(&toy, view, LATER);
	struct alg_grant g = {1, 4000};
	struct stream_out out;
	harness_say(h, ALG_GUEST, "wx.");
	const uint32_t tokens[] = {0, 2, 0xffffffff};
	for (int i = 0; i < 3; i++) {
		stream_granted(h->pool, &h->flow, tokens[i], &g, &out);
		cr_expect(!out.verdict && !out.give_up && !out.wish_count);
	}
	harness_answer(h, true);
	harness_expect(h, ALG_GUEST, "wyz.");
	stream_granted(h->pool, &h->flow, 1, &g, &out);
	cr_expect(!out.verdict, "a token is answered once");
	harness_free(h);
}

Test(stream, wishes_of_one_message_are_granted_together)
{
	struct harness *h = harness_new(&toy, view, LATER);
	harness_say(h, ALG_GUEST, "wwwx.");
	cr_assert_eq(h->wishes, 3);
	harness_answer(h, true);
	harness_answer(h, true);
	harness_expect(h, ALG_GUEST, "");
	harness_answer(h, true);
	harness_expect(h, ALG_GUEST, "wwwyz.");
	cr_expect_eq(h->acts, 0);
	harness_free(h);
}

Test(stream, one_refusal_closes_the_others)
{
	struct harness *h = harness_new(&toy, view, LATER);
	harness_say(h, ALG_GUEST, "wwwx.");
	harness_answer(h, true);
	harness_answer(h, false);
	harness_answer(h, true);
	harness_expect(h, ALG_GUEST, "wwwx.");
	cr_expect(h->acts == 2 && harness_count(h, ALG_CLOSE, h->wish[0].token) == 1 &&
		  harness_count(h, ALG_CLOSE, h->wish[2].token) == 1);
	harness_free(h);
}

Test(stream, acts_of_the_parser_are_told_once)
{
	struct harness *h = harness_new(&toy, view, GRANT);
	harness_say(h, ALG_GUEST, "w.");
	cr_expect_eq(h->acts, 0);
	harness_say(h, ALG_OUTSIDE, "c.");
	cr_expect(h->acts == 1 && harness_count(h, ALG_CLOSE, 1) == 1);
	for (int i = 0; i < 50; i++)
		harness_say(h, ALG_OUTSIDE, "c.c.c.");
	cr_expect_eq(h->acts, 151);
	harness_free(h);
}

Test(stream, a_message_too_long_is_a_violation_however_it_is_cut)
{
	static char big[1001];
	memset(big, 'a', sizeof(big));
	for (size_t cut = 1; cut < sizeof(big); cut += 7) {
		struct harness *h = harness_new(&toy, view, GRANT);
		harness_send(h, ALG_GUEST, big, cut);
		harness_send(h, ALG_GUEST, big + cut, sizeof(big) - cut);
		cr_expect(h->gave_up && h->violation);
		harness_expect_untouched(h);
		harness_free(h);
	}
}

Test(stream, done_passes_its_message_and_ends_quietly)
{
	struct harness *h = harness_new(&toy, view, GRANT);
	harness_say(h, ALG_GUEST, "x.dx.x.");
	harness_expect(h, ALG_GUEST, "yz.dyz.x.");
	cr_expect(h->gave_up && !h->violation);
	harness_free(h);
}

Test(stream, the_end_of_the_stream_releases_an_unfinished_message)
{
	struct harness *h = harness_new(&toy, view, GRANT);
	struct stream_out out;
	harness_say(h, ALG_GUEST, "x.bx");
	cr_assert_eq(stream_feed(h->pool, &h->flow, ALG_GUEST, 4, NULL, 0, true), 0);
	harness_step(h, ALG_GUEST);
	harness_expect(h, ALG_GUEST, "yz.bx");
	cr_expect_eq(stream_feed(h->pool, &h->flow, ALG_GUEST, 4, (const uint8_t *)"a", 1, false),
		-EPROTO);
	stream_step(h->pool, &h->flow, ALG_GUEST, &out);
	cr_expect_not(out.verdict);
	harness_free(h);
}

Test(stream, bytes_that_do_not_follow_are_a_lie)
{
	struct harness *h = harness_new(&toy, view, GRANT);
	harness_say(h, ALG_GUEST, "ab");
	cr_expect_eq(stream_feed(h->pool, &h->flow, ALG_GUEST, 1, (const uint8_t *)"a", 1, false),
		-EPROTO);
	cr_expect_eq(stream_feed(h->pool, &h->flow, ALG_GUEST, 3, (const uint8_t *)"a", 1, false),
		-EPROTO);
	cr_expect_eq(stream_feed(h->pool, &h->flow, ALG_GUEST, 2, h->way[0].in,
			     STREAM_CHUNK_MAX + 1, false),
		-EPROTO);
	harness_free(h);
}

Test(stream, what_waits_behind_a_wish_is_bounded)
{
	struct harness *h = harness_new(&toy, view, LATER);
	static uint8_t chunk[STREAM_CHUNK_MAX];
	uint64_t at = 2;
	int error = 0;
	harness_say(h, ALG_GUEST, "w.");
	for (int i = 0; i < 10 && !error; i++, at += sizeof(chunk))
		error = stream_feed(h->pool, &h->flow, ALG_GUEST, at, chunk, sizeof(chunk), false);
	cr_expect_eq(error, -ENOBUFS);
	harness_free(h);
}

Test(stream, the_pool_runs_out_without_harm)
{
	struct stream_pool *pool = calloc(1, sizeof(*pool));
	struct stream_flow *flows = calloc(STREAM_BUFFERS + 1, sizeof(*flows));
	stream_pool_init(pool);
	for (int i = 0; i <= STREAM_BUFFERS; i++) {
		stream_begin(&flows[i], &toy, &view, 0);
		int error =
			stream_feed(pool, &flows[i], ALG_GUEST, 0, (const uint8_t *)"a", 1, false);
		cr_assert_eq(error, i < STREAM_BUFFERS ? 0 : -ENOBUFS);
	}
	for (int i = 0; i <= STREAM_BUFFERS; i++)
		stream_end(pool, &flows[i]);
	cr_expect(
		pool->small_count == STREAM_SMALL_COUNT && pool->large_count == STREAM_LARGE_COUNT);
	free(flows);
	free(pool);
}

Test(stream, datagrams_keep_their_boundaries)
{
	struct harness *h = harness_new(&toy_datagram, view, LATER);
	harness_say(h, ALG_GUEST, "ax");
	harness_expect(h, ALG_GUEST, "ayz");
	harness_say(h, ALG_GUEST, "wx");
	harness_say(h, ALG_GUEST, "x");
	harness_send(h, ALG_GUEST, "", 0);
	harness_say(h, ALG_GUEST, "wx");
	harness_expect(h, ALG_GUEST, "ayz");
	harness_answer(h, true);
	harness_expect(h, ALG_GUEST, "ayzwyzyz");
	cr_expect_eq(h->wishes, 2);
	harness_answer(h, false);
	harness_expect(h, ALG_GUEST, "ayzwyzyzwx");
	cr_expect_eq(h->messages, 5);
	harness_free(h);
}

Test(stream, the_operators_bound_counts)
{
	struct stream_flow f;
	stream_begin(&f, &toy, &view, 10);
	cr_expect_eq(f.message_max, 10);
	stream_begin(&f, &toy, &view, 100000);
	cr_expect_eq(f.message_max, 1000);
}
