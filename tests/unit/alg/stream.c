/* stream.c with toy protocols: boundaries, holding, bounds, datagrams. */
#include <signal.h>

#include "harness.h"

/* Messages end with '.'; "w" wishes for port 2000, "ww" twice; "b" breaks the rules; "d" is done; "c" closes, "a" arms;
 * 'x' becomes "yz". */
static size_t toy_frame(const void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen)
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
		if (n && (p[0] == 'c' || p[0] == 'a') && *(uint32_t *)state)
			alg_act_add(a, p[0] == 'c' ? ALG_CLOSE : ALG_ARM, *(uint32_t *)state);
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
/* The first byte is the length; how often anybody asked. */
static unsigned int length_asked;

static size_t length_frame(const void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen)
{
	length_asked++;
	return p[0];
}

static const struct alg_protocol length_toy = {
	"length", ALGS_FTP, 0, ALGS_TCP, 200, length_frame, toy_message, toy_granted};
static const struct alg_flow view = {.stream = true, .guest_ip_be = 1};

/* The grants of the last message, as its parser was told them. */
static struct alg_grant recorded[3];

static void record_granted(void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, const struct alg_grant *g, struct alg_answer *a)
{
	if (g)
		memcpy(recorded, g, sizeof(recorded));
}

static const struct alg_protocol recorder = {
	"toyr", ALGS_FTP, 0, ALGS_TCP, 1000, toy_frame, toy_message, record_granted};

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

/* What an answer led to; NULL: refused. */
static struct stream_out answered(struct harness *h, uint32_t token, const struct alg_grant *grant)
{
	struct stream_out out;
	stream_granted(h->pool, &h->flow, token, grant, &out);
	return out;
}

Test(stream, answers_may_come_in_any_order)
{
	struct harness *h = harness_new(&recorder, view, LATER);
	const struct alg_grant grants[] = {{1, 4001}, {1, 4002}, {1, 4003}};
	const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
	for (uint32_t i = 0; i < 3; i++) {
		const uint32_t first = h->wishes;
		harness_say(h, ALG_GUEST, "www.");
		cr_assert_eq(h->wishes, first + 3);
		for (int j = 0; j < 3; j++) {
			const int place = orders[i][j];
			const struct stream_out out =
				answered(h, h->wish[first + (uint32_t)place].token, &grants[place]);
			cr_expect_eq(
				out.verdict, j == 2, "only the last answer passes the message");
			cr_expect_eq(out.act_count, 0);
		}
		h->answered = h->wishes;
		for (int j = 0; j < 3; j++)
			cr_expect_eq(recorded[j].outside_port, grants[j].outside_port,
				"grants come in the order of the wishes");
	}
	harness_free(h);
}

Test(stream, a_refusal_before_the_last_answer_waits_for_it)
{
	struct harness *h = harness_new(&recorder, view, LATER);
	const struct alg_grant grant = {1, 4001};
	harness_say(h, ALG_GUEST, "wwww.");
	cr_expect_not(answered(h, h->wish[3].token, NULL).verdict);
	cr_expect_not(answered(h, h->wish[3].token, &grant).verdict, "an answer counts once");
	cr_expect_not(answered(h, h->wish[1].token, &grant).verdict);
	cr_expect_not(answered(h, h->wish[0].token, NULL).verdict);
	const struct stream_out out = answered(h, h->wish[2].token, &grant);
	cr_assert(out.verdict && out.edit_count == 0 && out.until == 5);
	cr_assert_eq(out.act_count, 2, "what was granted of a message that was refused is closed");
	cr_expect(out.act[0].what == ALG_CLOSE && out.act[0].token == h->wish[1].token);
	cr_expect(out.act[1].what == ALG_CLOSE && out.act[1].token == h->wish[2].token);
	cr_expect_not(answered(h, h->wish[1].token, &grant).verdict, "a stale token");
	harness_free(h);
}

/* Both directions wait at once: each answer finds its own message. */
Test(stream, wishes_of_both_directions_do_not_meet)
{
	struct harness *h = harness_new(&toy, view, LATER);
	harness_say(h, ALG_GUEST, "wx.");
	harness_say(h, ALG_OUTSIDE, "wwx.");
	const struct alg_grant grant = {1, 4001};
	struct stream_out out = answered(h, h->wish[1].token, &grant);
	cr_expect_not(out.verdict);
	out = answered(h, h->wish[0].token, NULL);
	cr_expect(out.verdict && out.direction == ALG_GUEST && out.edit_count == 0);
	out = answered(h, h->wish[2].token, &grant);
	cr_expect(out.verdict && out.direction == ALG_OUTSIDE && out.edit_count == 1 &&
		  out.act_count == 0);
	harness_free(h);
}

Test(stream, acts_keep_their_order_and_go_before_new_wishes)
{
	struct harness *h = harness_new(&toy, view, LATER);
	struct stream_out out;
	harness_say(h, ALG_GUEST, "w.");
	harness_answer(h, true);
	cr_assert_eq(
		stream_feed(h->pool, &h->flow, ALG_GUEST, 2, (const uint8_t *)"a.c.w.", 6, false),
		0);
	stream_step(h->pool, &h->flow, ALG_GUEST, &out);
	cr_assert(out.act_count == 2 && out.wish_count == 1 && out.verdict && out.until == 6);
	cr_expect(out.act[0].what == ALG_ARM && out.act[1].what == ALG_CLOSE);
	cr_expect(out.act[0].token == 1 && out.act[1].token == 1 && out.wish[0].token == 2);
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
	cr_expect_geq(at, ALG_MESSAGE_MAX);
	harness_free(h);
}

/* Flows of a guest, from this one on, that get a buffer each; so many ask. */
static int buffers_got(struct stream_pool *pool, struct stream_flow *flows, int count,
	uint32_t guest_ip_be, size_t bytes)
{
	static const uint8_t chunk[STREAM_SMALL_BYTES + 1];
	struct alg_flow of = view;
	int got = 0;
	of.guest_ip_be = guest_ip_be;
	for (int i = 0; i < count; i++) {
		stream_begin(&flows[i], &toy, &of, 0);
		const int error = stream_feed(pool, &flows[i], ALG_GUEST, 0, chunk, bytes, false);
		cr_assert(!error || error == -ENOBUFS);
		got += !error;
	}
	return got;
}

Test(stream, the_pool_runs_out_without_harm)
{
	enum { EACH = 80, ALL = STREAM_SMALL_COUNT + 3 * EACH };
	struct stream_pool *pool = calloc(1, sizeof(*pool));
	struct stream_flow *flows = calloc(ALL, sizeof(*flows)), *more = flows + STREAM_SMALL_COUNT;
	stream_pool_init(pool);
	cr_expect_eq(buffers_got(pool, flows, STREAM_SMALL_COUNT, 1, 1), STREAM_SMALL_COUNT);
	cr_expect_eq(buffers_got(pool, more, EACH, 1, 1), STREAM_LARGE_COUNT / 2);
	cr_expect_eq(buffers_got(pool, more + EACH, EACH, 2, STREAM_SMALL_BYTES + 1),
		STREAM_LARGE_COUNT / 4, "half of what the first one left");
	cr_expect_eq(buffers_got(pool, more + 2 * EACH, EACH, 3, 1), STREAM_LARGE_COUNT / 8);
	for (int i = 0; i < ALL; i++)
		stream_end(pool, &flows[i]);
	cr_expect(
		pool->small_count == STREAM_SMALL_COUNT && pool->large_count == STREAM_LARGE_COUNT);
	cr_expect_eq(buffers_got(pool, flows, EACH, 2, STREAM_SMALL_BYTES + 1),
		STREAM_LARGE_COUNT / 2, "nobody has any");
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

Test(stream, as_many_datagrams_wait_behind_a_wish_as_natproxy_shows)
{
	struct harness *h = harness_new(&toy_datagram, view, LATER);
	harness_say(h, ALG_GUEST, "wx");
	for (uint64_t i = 1; i < STREAM_DATAGRAMS; i++)
		cr_assert_eq(stream_feed(h->pool, &h->flow, ALG_GUEST, 1 + i, (const uint8_t *)"a",
				     1, false),
			0);
	cr_expect_eq(stream_feed(h->pool, &h->flow, ALG_GUEST, 1 + STREAM_DATAGRAMS,
			     (const uint8_t *)"a", 1, false),
		-ENOBUFS);
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

Test(stream, nobody_asks_for_a_length_that_is_known)
{
	struct harness *h = harness_new(&length_toy, view, GRANT);
	length_asked = 0;
	for (int i = 0; i < 2; i++) {
		harness_say(h, ALG_GUEST, "\5");
		for (int left = 4; left; left--) {
			cr_expect_eq(h->messages, (unsigned int)i);
			harness_say(h, ALG_GUEST, "x");
		}
		cr_expect_eq(h->messages, (unsigned int)i + 1);
	}
	cr_expect_eq(length_asked, 4, "at first and when all of it is there");
	harness_say(h, ALG_GUEST, "\4xxx\5x");
	cr_expect(h->messages == 3 && length_asked == 6);
	harness_say(h, ALG_GUEST, "\311");
	cr_expect_not(h->gave_up);
	harness_say(h, ALG_GUEST, "xx\311");
	cr_expect(h->gave_up && h->violation && h->messages == 4, "longer than allowed");
	harness_free(h);
}

/* What the parser of "told" was told: the tokens that are gone, and how often it ended. */
static uint32_t gone_token;
static unsigned int gones, ends;

static void told_gone(void *state, const struct alg_flow *flow, uint32_t token)
{
	gone_token = token;
	gones++;
}

static void told_end(void *state, const struct alg_flow *flow)
{
	ends++;
}

static const struct alg_protocol told = {"told", ALGS_FTP, 0, ALGS_TCP, 1000, toy_frame,
	toy_message, toy_granted, told_gone, told_end};

Test(stream, the_parser_hears_what_is_gone_and_when_all_is_over)
{
	struct harness *h = harness_new(&told, view, GRANT);
	gones = ends = 0;
	harness_say(h, ALG_GUEST, "w.");
	stream_gone(&h->flow, 1);
	cr_expect(gones == 1 && gone_token == 1);
	cr_expect_eq(ends, 0);
	harness_free(h);
	cr_expect_eq(ends, 1);
}

Test(stream, what_is_gone_before_all_answers_are_there_was_refused)
{
	struct harness *h = harness_new(&told, view, LATER);
	struct stream_out out;
	gones = 0;
	harness_say(h, ALG_GUEST, "wwx.");
	stream_granted(h->pool, &h->flow, 1, &(struct alg_grant){1, 2000}, &out);
	stream_gone(&h->flow, 1);
	cr_expect_eq(gones, 0, "it is none of the parser's yet");
	stream_granted(h->pool, &h->flow, 2, &(struct alg_grant){1, 2002}, &out);
	cr_assert(out.act_count == 1 && out.act[0].what == ALG_CLOSE && out.act[0].token == 2);
	cr_expect(out.verdict && out.edit_count == 0, "it goes on as it was");
	harness_free(h);
}

/* Holds so long as its first byte says, notes 'n', and names another host for what it arms: 'm'. */
static void speak(void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	if (p[0] >= '0' && p[0] <= '9')
		a->hold_ms = 1000u * (p[0] - '0');
	else if (p[0] == 'n')
		a->note = "n";
	else if (p[0] == 'm')
		a->act[a->act_count++] = (struct alg_act){ALG_ARM, true, 7, 99};
	else if (p[0] == 'k')
		alg_act_add(a, ALG_KEEP, 7);
}

static const struct alg_protocol speaker = {"speak", ALGS_FTP, 0, ALGS_TCP, 1000, toy_frame, speak};

Test(stream, holds_notes_and_hosts_are_told)
{
	struct harness *h = harness_new(&speaker, view, GRANT);
	struct stream_out out;
	cr_assert_eq(stream_feed(h->pool, &h->flow, ALG_GUEST, 0, (const uint8_t *)"3.9.5.n.n.m.k.",
			     14, false),
		0);
	stream_step(h->pool, &h->flow, ALG_GUEST, &out);
	cr_expect_eq(out.hold_ms, 9000, "the longest");
	cr_expect_eq(out.notes, 2);
	cr_expect_str_eq(out.note, "n");
	cr_assert_eq(out.act_count, 2);
	cr_expect(out.act[0].media && out.act[0].peer_ip_be == 99 && out.act[0].token == 7);
	cr_expect(out.act[1].what == ALG_KEEP && !out.act[1].media);
	stream_step(h->pool, &h->flow, ALG_GUEST, &out);
	cr_expect(!out.hold_ms && !out.notes && !out.note);
	harness_free(h);
}

/* Our own bugs, by the first byte of a message. */
static void wrong(void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	static const struct alg_wish wishes[] = {
		{.kind = ALG_UDP_PAIR, .guest_port = 2001, .token = 1},
		{.kind = ALG_UDP_PAIR, .guest_port = 2000, .token = 1, .pairs = 5},
		{.kind = ALG_UDP_PAIR, .guest_port = 65534, .token = 1, .pairs = 2},
		{.kind = ALG_UDP_ONE, .guest_port = 2000, .token = 1, .pairs = 1},
		{.kind = ALG_UDP_ONE, .guest_port = 2000},
		{.kind = ALG_UDP_ONE, .token = 1},
		{.kind = (enum alg_kind)5, .guest_port = 2000, .token = 1},
	};
	static const struct alg_wish derived[] = {
		{.kind = ALG_TCP_WATCH, .token = 1, .peer_ip_be = 9, .peer_port = 2000},
		{.kind = ALG_TCP_WATCH, .token = 1, .peer_ip_be = 9, .inspect = true},
		{.kind = ALG_TCP_WATCH, .token = 1, .peer_port = 2000, .inspect = true},
		{.kind = ALG_TCP_WATCH,
			.token = 1,
			.peer_ip_be = 9,
			.peer_port = 2000,
			.guest_port = 1,
			.inspect = true},
		{.kind = ALG_TCP_SERVICE, .token = 1, .guest_port = 2000, .peer_port = 2000},
		{.kind = ALG_UDP_ONE, .token = 1, .guest_port = 2000, .inspect = true},
		{.kind = ALG_UDP_PAIR, .token = 1, .guest_port = 2000, .inspect = true},
	};
	static const struct alg_act acts[] = {{ALG_CLOSE, true, 1, 0}, {ALG_KEEP, true, 1, 0},
		{ALG_ARM, false, 0, 0}, {(enum alg_act_kind)3, false, 1, 0},
		{ALG_ARM, false, 1, 0, true, 0}, {ALG_KEEP, false, 1, 0, true, 0}};
	const unsigned int i = p[0] - 'a';
	if (i < 7) {
		a->result = ALG_WISH;
		a->wish[a->wish_count++] = wishes[i];
	} else if (i < 11) {
		a->act[a->act_count++] = acts[i - 7];
	} else if (i == 11) {
		a->result = ALG_WISH;
		a->wish[0] = a->wish[1] = (struct alg_wish){.guest_port = 2000, .token = 1};
		a->wish_count = 2;
	} else if (i == 12) {
		a->act_count = ALG_ACTS + 1;
	} else if (i < 20) {
		a->result = ALG_WISH;
		a->wish[a->wish_count++] = derived[i - 13];
	} else {
		a->act[a->act_count++] = acts[i - 16];
	}
}

static const struct alg_protocol bug = {
	"bug", ALGS_FTP, 0, ALGS_TCP, 1000, toy_frame, wrong, toy_granted};

static void aborts(char which)
{
	struct harness *h = harness_new(&bug, view, LATER);
	harness_say(h, ALG_GUEST, (char[]){which, '.', 0});
}

Test(stream_bugs, of_kind_a, .signal = SIGABRT)
{
	aborts('a');
}

Test(stream_bugs, of_kind_b, .signal = SIGABRT)
{
	aborts('b');
}

Test(stream_bugs, of_kind_c, .signal = SIGABRT)
{
	aborts('c');
}

Test(stream_bugs, of_kind_d, .signal = SIGABRT)
{
	aborts('d');
}

Test(stream_bugs, of_kind_e, .signal = SIGABRT)
{
	aborts('e');
}

Test(stream_bugs, of_kind_f, .signal = SIGABRT)
{
	aborts('f');
}

Test(stream_bugs, of_kind_g, .signal = SIGABRT)
{
	aborts('g');
}

Test(stream_bugs, of_kind_h, .signal = SIGABRT)
{
	aborts('h');
}

Test(stream_bugs, of_kind_i, .signal = SIGABRT)
{
	aborts('i');
}

Test(stream_bugs, of_kind_j, .signal = SIGABRT)
{
	aborts('j');
}

Test(stream_bugs, of_kind_k, .signal = SIGABRT)
{
	aborts('k');
}

Test(stream_bugs, of_kind_l, .signal = SIGABRT)
{
	aborts('l');
}

Test(stream_bugs, of_kind_m, .signal = SIGABRT)
{
	aborts('m');
}

Test(stream_bugs, of_kind_n, .signal = SIGABRT)
{
	aborts('n');
}

Test(stream_bugs, of_kind_o, .signal = SIGABRT)
{
	aborts('o');
}

Test(stream_bugs, of_kind_p, .signal = SIGABRT)
{
	aborts('p');
}

Test(stream_bugs, of_kind_q, .signal = SIGABRT)
{
	aborts('q');
}

Test(stream_bugs, of_kind_r, .signal = SIGABRT)
{
	aborts('r');
}

Test(stream_bugs, of_kind_s, .signal = SIGABRT)
{
	aborts('s');
}

Test(stream_bugs, of_kind_t, .signal = SIGABRT)
{
	aborts('t');
}

Test(stream_bugs, of_kind_u, .signal = SIGABRT)
{
	aborts('u');
}

Test(stream_bugs, of_kind_v, .signal = SIGABRT)
{
	aborts('v');
}
