/* What TCP connections under inspection carry: the test is alg, honest and hostile. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "streams.h"

Test(inspect_stream, bytes_are_held_until_the_verdict)
{
	struct scene s = stream_open((struct rig_options){0});
	char text[64];
	cr_assert_eq(s.r->inspected, 1);
	stream_says(&s, 0, STREAM_COMMAND);
	cr_assert_eq(s.r->seen_bytes[0], strlen(STREAM_COMMAND));
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	cr_assert_eq(s.r->np->flow[flow_index(STREAM_FLOW)].upload_reported, 0,
		"not acknowledged either");
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 5, NULL, 0), 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 5);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, strlen(STREAM_COMMAND), NULL, 0), 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), strlen(STREAM_COMMAND) - 5);
	cr_assert_eq(
		s.r->np->flow[flow_index(STREAM_FLOW)].upload_reported, strlen(STREAM_COMMAND));
	rig_free(s.r);
}

Test(inspect_stream, edits_change_the_length_and_later_bytes_follow)
{
	struct scene s = stream_open((struct rig_options){0});
	char text[64] = "";
	stream_says(&s, 0, STREAM_COMMAND);
	stream_says(&s, strlen(STREAM_COMMAND), "LIST\r\n");
	cr_assert_eq(stream_edited(&s, strlen(STREAM_COMMAND), 5, 20, "127,0,0,1,200,10"), 0);
	cr_assert_eq(
		scene_verdict(&s, NL__DIRECTION__GUEST, strlen(STREAM_COMMAND) + 6, NULL, 0), 0);
	scene_arrived(&s, text, sizeof(text));
	cr_assert_str_eq(text, "PORT 127,0,0,1,200,10\r\nLIST\r\n");
	cr_assert_eq(s.r->np->flow[flow_index(STREAM_FLOW)].upload_reported,
		strlen(STREAM_COMMAND) + 6, "offsets of the guest's bytes");
	rig_free(s.r);
}

Test(inspect_stream, the_other_direction_is_held_too)
{
	struct scene s = stream_open((struct rig_options){0});
	struct ring_desc d;
	cr_assert_eq(write(s.fd, "220 hi\r\n", 8), 8);
	cr_assert(rig_quiet(s.r, 20));
	cr_assert_eq(s.r->seen_bytes[1], 8);
	scene_verdict(&s, NL__DIRECTION__OUTSIDE, 8, NULL, 0);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_DATA, &d));
	cr_assert_eq(d.seg[0].len, 8);
	cr_assert(memcmp(rig_bytes(s.r, &d, 0), "220 hi\r\n", 8) == 0);
	close(s.fd);
	rig_quiet(s.r, 10);
	cr_assert(s.r->seen_fin[1]);
	rig_free(s.r);
}

Test(inspect_stream, both_fins_pass_and_alg_hears_the_end)
{
	struct scene s = stream_open((struct rig_options){0});
	struct ring_desc d;
	char text[8];
	stream_says(&s, 0, "QUIT\r\n");
	rig_op(s.r, RING_NETSTACK_TCP_FIN, STREAM_FLOW);
	rig_turn(s.r);
	cr_assert(s.r->seen_fin[0]);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	scene_verdict(&s, NL__DIRECTION__GUEST, 6, NULL, 0);
	cr_assert_eq(read(s.fd, text, sizeof(text)), 6);
	cr_assert_eq(read(s.fd, text, sizeof(text)), 0);
	close(s.fd);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_FIN, &d));
	cr_assert_eq(s.r->ended, 1);
	cr_assert_eq(s.r->np->nat.live, 0);
	rig_free(s.r);
}

Test(inspect_stream, a_fin_passes_when_all_before_it_was_cut_out)
{
	struct scene s = stream_open((struct rig_options){0});
	struct ring_desc d;
	Nl__Edit a = NL__EDIT__INIT, *list[1] = {&a};
	cr_assert_eq(write(s.fd, "abc", 3), 3);
	close(s.fd);
	for (int i = 0; i < 4; i++)
		rig_turn(s.r);
	cr_assert(s.r->seen_fin[1]);
	a.old_bytes = 3;
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__OUTSIDE, 3, list, 1), 0);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_FIN, &d));
	rig_free(s.r);
}

Test(inspect_stream, a_long_stream_passes_in_bounded_portions)
{
	struct scene s = stream_open((struct rig_options){0});
	static char line[1001];
	char text[4096];
	size_t got = 0;
	memset(line, 'x', 1000);
	for (uint64_t i = 0; i < 100; i++)
		stream_says(&s, i * 1000, line);
	cr_assert_eq(s.r->seen_bytes[0], 65536);
	for (int i = 0; i < 60 && got < 100000; i++) {
		scene_verdict(&s, NL__DIRECTION__GUEST, s.r->seen_bytes[0], NULL, 0);
		for (ssize_t n; (n = scene_arrived(&s, text, sizeof(text))) > 0;)
			got += (size_t)n;
	}
	cr_assert_eq(got, 100000);
	rig_free(s.r);
}

Test(inspect_stream, a_message_of_64_kib_is_shown_in_records_and_held_whole)
{
	enum { BYTES = 65536, PART = 8192 };
	struct scene s = stream_open((struct rig_options){0});
	static char part[PART + 1], text[BYTES];
	size_t got = 0;
	memset(part, 'x', PART);
	for (uint64_t at = 0; at < BYTES; at += PART)
		stream_says(&s, at, part);
	cr_assert_eq(s.r->seen_bytes[0], BYTES);
	cr_assert_leq(s.r->longest, 32768);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, BYTES, NULL, 0), 0);
	for (int i = 0; i < 20 && got < BYTES; i++) {
		const ssize_t n = scene_arrived(&s, text, sizeof(text));
		got += n > 0 ? (size_t)n : 0;
		rig_turn(s.r);
	}
	cr_assert_eq(got, BYTES);
	rig_free(s.r);
}

Test(inspect_stream, an_end_is_shown_with_the_last_record)
{
	enum { BYTES = 40000 };
	struct scene s = stream_open((struct rig_options){0});
	static char text[BYTES];
	const struct ring_desc d =
		rig_payload(s.r, RING_NETSTACK_TCP_DATA, STREAM_FLOW, 0, text, sizeof(text));
	rig_send(s.r, &d);
	rig_op(s.r, RING_NETSTACK_TCP_FIN, STREAM_FLOW);
	rig_turn(s.r);
	cr_assert_eq(s.r->records[0], 2);
	cr_assert_eq(s.r->fin_at[0], BYTES);
	rig_free(s.r);
}

Test(inspect_stream_hostile, verdicts_beyond_what_was_shown_are_lies)
{
	struct scene s = stream_open((struct rig_options){0});
	stream_says(&s, 0, STREAM_COMMAND);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, strlen(STREAM_COMMAND) + 1, NULL, 0),
		-EPROTO);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, UINT64_MAX, NULL, 0), -EPROTO);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__OUTSIDE, 1, NULL, 0), -EPROTO);
	cr_assert_eq(scene_verdict(&s, (Nl__Direction)7, 0, NULL, 0), -EPROTO);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 5, NULL, 0), 0);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 4, NULL, 0), -EPROTO, "backwards");
	rig_free(s.r);
}

Test(inspect_stream_hostile, nobody_has_seen_what_was_not_shown)
{
	struct scene s = stream_open((struct rig_options){0});
	Nl__Verdict m = NL__VERDICT__INIT;
	stream_says(&s, 0, STREAM_COMMAND);
	m.flow = STREAM_NUMBER;
	m.has_seen = true;
	m.seen = strlen(STREAM_COMMAND) + 1;
	cr_assert_eq(natproxy_on_verdict(s.r->np, &m, NULL), -EPROTO);
	m.seen = strlen(STREAM_COMMAND);
	cr_assert_eq(natproxy_on_verdict(s.r->np, &m, NULL), 0);
	rig_free(s.r);
}

Test(inspect_stream_hostile, edits_outside_or_overlapping_are_lies)
{
	struct scene s = stream_open((struct rig_options){0});
	Nl__Edit a = NL__EDIT__INIT, b = NL__EDIT__INIT, *list[2] = {&a, &b};
	stream_says(&s, 0, STREAM_COMMAND);
	cr_assert_eq(stream_edited(&s, 5, 4, 2, "x"), -EPROTO);
	cr_assert_eq(stream_edited(&s, 5, 6, 0, "x"), -EPROTO);
	a.at = 0;
	a.old_bytes = 5;
	b.at = 4;
	b.old_bytes = 1;
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 10, list, 2), -EPROTO);
	rig_free(s.r);
}

Test(inspect_stream_hostile, endless_growth_is_a_lie_before_it_is_an_overflow)
{
	struct scene s = stream_open((struct rig_options){0});
	static uint8_t much[16384];
	static char line[1001];
	Nl__Edit e = NL__EDIT__INIT, *list[1] = {&e};
	int error = 0, rounds = 0;
	memset(line, 'x', 1000);
	for (uint64_t i = 0; i < 40; i++)
		stream_says(&s, i * 1000, line);
	e.bytes = (ProtobufCBinaryData){sizeof(much), much};
	Nl__Verdict m = NL__VERDICT__INIT;
	m.flow = STREAM_NUMBER;
	m.edits = list;
	m.n_edits = 1;
	for (; !error && rounds < 100; rounds++) {
		m.until = e.at = (uint64_t)rounds;
		error = natproxy_on_verdict(s.r->np, &m, NULL);
	}
	cr_assert_eq(error, -EPROTO);
	cr_assert_leq(rounds, 8);
	rig_free(s.r);
}
