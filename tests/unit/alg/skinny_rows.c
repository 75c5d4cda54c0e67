/* What of SCCP's calls the operator is shown. */
#include <criterion/criterion.h>

#include "skinny_rows.h"

static struct skinny_stream *add(struct skinny *s, uint64_t now_ms, enum skinny_media media,
	uint32_t conference, uint16_t guest_port, uint16_t outside_port)
{
	const struct alg_flow f = {.now_ms = now_ms};
	struct skinny_stream *w = skinny_take(s, &f, media, SKINNY_IN, conference, conference);
	if (guest_port)
		skinny_open(s, w, guest_port, !(guest_port & 1));
	w->outside_port = outside_port;
	return w;
}

Test(skinny_rows, a_flow_without_calls_has_none)
{
	struct skinny s = {.opened = true};
	struct call_row row;
	uint32_t cursor = 0;
	cr_expect_not(skinny_calls_next(&s, &cursor, &row));
	add(&s, 0, SKINNY_OWN, 0, 16384, 30000);
	cr_expect_not(skinny_calls_next(&s, &cursor, &row));
	cursor = UINT32_MAX;
	cr_expect_not(skinny_calls_next(&s, &cursor, &row));
}

Test(skinny_rows, a_call_was_seen_when_any_of_its_streams_was)
{
	struct skinny s = {0};
	struct call_row row;
	add(&s, 2000, SKINNY_AUDIO, 7, 0, 0);
	add(&s, 3000, SKINNY_VIDEO, 7, 0, 0);
	add(&s, 4000, SKINNY_AUDIO, 7, 0, 0);
	cr_assert(skinny_calls_next(&s, &(uint32_t){0}, &row));
	cr_expect_eq(row.answered_ms, 2000);
	cr_expect_eq(row.seen_ms, 4000);
}

Test(skinny_rows, a_call_is_a_conference)
{
	struct skinny s = {.begun_ms = 1000};
	struct call_row row;
	uint32_t cursor = 0;
	add(&s, 2000, SKINNY_AUDIO, 7, 4000, 30000);
	add(&s, 5000, SKINNY_AUDIO, 8, 0, 0);
	add(&s, 3000, SKINNY_VIDEO, 7, 4003, 30005);
	add(&s, 6000, SKINNY_VIDEO, 8, 4010, 0);
	cr_assert(skinny_calls_next(&s, &cursor, &row));
	cr_expect_str_eq(row.media, "4000-4001>30000-30001 open, 4003>30005 open");
	cr_expect_str_eq(row.state, "answered");
	cr_expect_eq(row.answered_ms, 2000);
	cr_expect_eq(row.seen_ms, 3000);
	const uint32_t id = row.id;
	cr_assert(skinny_calls_next(&s, &cursor, &row));
	cr_expect_neq(row.id, id);
	cr_expect_str_eq(row.media, "", "it is only being asked for");
	cr_expect_str_eq(row.state, "no media");
	cr_expect_eq(row.answered_ms, 5000);
	cr_expect_eq(row.seen_ms, 6000);
	cr_expect_not(skinny_calls_next(&s, &cursor, &row));
}
