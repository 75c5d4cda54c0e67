/* What a flow knows of SCCP's streams and their openings. */
#include <criterion/criterion.h>

#include "skinny_calls.h"

static struct skinny_stream *take(struct skinny *s, uint64_t now_ms, uint32_t party)
{
	const struct alg_flow f = {.now_ms = now_ms};
	return skinny_take(s, &f, SKINNY_AUDIO, SKINNY_IN, 1, party);
}

Test(skinny_calls, a_stream_is_known_by_all_four)
{
	struct skinny s = {0};
	const struct alg_flow f = {0};
	struct skinny_stream *w = skinny_take(&s, &f, SKINNY_AUDIO, SKINNY_IN, 1, 2);
	cr_expect_eq(skinny_find(&s, SKINNY_AUDIO, SKINNY_IN, 1, 2), w);
	cr_expect_eq(skinny_take(&s, &f, SKINNY_AUDIO, SKINNY_IN, 1, 2), w);
	cr_expect_null(skinny_find(&s, SKINNY_VIDEO, SKINNY_IN, 1, 2));
	cr_expect_null(skinny_find(&s, SKINNY_AUDIO, SKINNY_OUT, 1, 2));
	cr_expect_null(skinny_find(&s, SKINNY_AUDIO, SKINNY_IN, 2, 2));
	cr_expect_null(skinny_find(&s, SKINNY_AUDIO, SKINNY_IN, 1, 1));
	w->over = true;
	cr_expect_null(skinny_find(&s, SKINNY_AUDIO, SKINNY_IN, 1, 2));
}

Test(skinny_calls, one_is_found_without_its_conference)
{
	struct skinny s = {0};
	struct skinny_stream *w = take(&s, 0, 2);
	cr_expect_eq(skinny_find_party(&s, SKINNY_AUDIO, SKINNY_IN, 2), w);
	cr_expect_null(skinny_find_party(&s, SKINNY_VIDEO, SKINNY_IN, 2));
	cr_expect_null(skinny_find_party(&s, SKINNY_AUDIO, SKINNY_OUT, 2));
	cr_expect_null(skinny_find_party(&s, SKINNY_AUDIO, SKINNY_IN, 3));
}

Test(skinny_calls, a_full_list_forgets_what_was_spoken_of_least_lately)
{
	struct skinny s = {0};
	for (uint32_t i = 0; i < SKINNY_STREAMS; i++)
		take(&s, 100 + i, i);
	skinny_open(&s, take(&s, 0, 0), 4000, true);
	take(&s, 500, 1);
	cr_assert(take(&s, 600, 1000));
	cr_expect(skinny_find(&s, SKINNY_AUDIO, SKINNY_IN, 1, 0), "it has an opening");
	cr_expect(skinny_find(&s, SKINNY_AUDIO, SKINNY_IN, 1, 1));
	cr_expect_null(skinny_find(&s, SKINNY_AUDIO, SKINNY_IN, 1, 2));
	for (int i = 0; i < SKINNY_STREAMS; i++)
		s.stream[i].token = 1;
	cr_expect_null(take(&s, 700, 2000));
}

Test(skinny_calls, room)
{
	struct skinny s = {0};
	struct skinny_stream *w = take(&s, 0, 0), other = {.conference = 2};
	for (uint32_t i = 0; i < SKINNY_CALL_OPENINGS; i++) {
		cr_expect(skinny_has_room(&s, w));
		skinny_open(&s, take(&s, 0, i), 4000, true);
	}
	cr_expect_not(skinny_has_room(&s, w));
	cr_expect(skinny_has_room(&s, &other));
	for (uint32_t i = 4; i < SKINNY_OPENINGS; i++) {
		cr_expect(skinny_has_room(&s, &other));
		struct skinny_stream *more = take(&s, 0, i);
		more->conference = i;
		skinny_open(&s, more, 4000, true);
	}
	cr_expect_not(skinny_has_room(&s, &other));
}

Test(skinny_calls, ports)
{
	struct skinny s = {0};
	struct skinny_stream *pair = take(&s, 0, 0), *one = take(&s, 0, 1);
	skinny_open(&s, pair, 4000, true);
	cr_expect_eq(skinny_pending(&s), pair);
	cr_expect_null(skinny_holds(&s, 4000), "nobody has granted it");
	pair->outside_port = 30000;
	cr_expect_null(skinny_pending(&s));
	skinny_open(&s, one, 5001, false);
	one->outside_port = 30003;
	cr_expect_neq(one->token, pair->token);
	cr_expect_eq(skinny_holds(&s, 4000), pair);
	cr_expect_eq(skinny_holds(&s, 4001), pair);
	cr_expect_null(skinny_holds(&s, 4002));
	cr_expect_null(skinny_holds(&s, 3999));
	cr_expect_null(skinny_holds(&s, 65536 + 4000));
	cr_expect_eq(skinny_holds(&s, 5001), one);
	cr_expect_null(skinny_holds(&s, 5002));
	cr_expect_eq(skinny_holds_outside(&s, 30001), pair);
	cr_expect_null(skinny_holds_outside(&s, 30002));
	cr_expect_eq(skinny_holds_outside(&s, 30003), one);
	skinny_shut(pair);
	cr_expect_null(skinny_holds(&s, 4000));
	cr_expect_null(skinny_holds(&s, 0), "what has no port holds none");
}

Test(skinny_calls, what_was_of_the_former_opening_does_not_hold_for_the_next)
{
	struct skinny s = {0};
	struct skinny_stream *w = take(&s, 0, 0);
	skinny_open(&s, w, 4000, true);
	w->outside_port = 30000;
	w->moved = true;
	skinny_open(&s, w, 4002, true);
	cr_expect_eq(skinny_pending(&s), w);
	cr_expect_not(w->moved);
	cr_expect_null(skinny_holds_outside(&s, 30000));
}

Test(skinny_calls, tokens_are_never_0)
{
	struct skinny s = {.token = UINT32_MAX - 1};
	struct skinny_stream *w = take(&s, 0, 0);
	skinny_open(&s, w, 4000, true);
	cr_expect_eq(w->token, UINT32_MAX);
	skinny_open(&s, w, 4000, true);
	cr_expect_eq(w->token, 1);
}
