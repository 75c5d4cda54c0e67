/* A live alg that says nothing about a connection: nobody waits for it longer than its budget. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "inspect.h"
#include "streams.h"

static void seen(struct scene *s, uint64_t until, uint64_t upto)
{
	Nl__Verdict m = NL__VERDICT__INIT;
	m.flow = STREAM_NUMBER;
	m.until = until;
	m.has_seen = true;
	m.seen = upto;
	cr_assert_eq(natproxy_on_verdict(s->r->np, &m, NULL), 0);
	rig_turn(s->r);
}

Test(inspect_silence, the_flow_goes_on_raw_and_its_doors_close)
{
	struct scene s = stream_open((struct rig_options){0});
	char text[64] = "";
	stream_says(&s, 0, STREAM_COMMAND);
	stream_wish(&s, STREAM_NUMBER, 1, STREAM_DATA_PORT, 0);
	scene_later(&s, 900);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0, "alg has a second");
	cr_assert_eq(s.r->np->pinholes.live, 1);
	cr_assert_leq(natproxy_deadline(s.r->np), s.r->np->now_ns + 100000000);
	scene_later(&s, 110);
	rig_turn(s.r);
	scene_arrived(&s, text, sizeof(text));
	cr_assert_str_eq(text, STREAM_COMMAND);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 1);
	cr_assert_eq(s.r->ended, 1, "alg may forget it");
	cr_assert(rig_has_line(s.r, "alg has not answered for 1000 ms"));
	cr_assert_eq(s.r->alg_silent, 0, "once may be bad luck");
	cr_assert_eq(
		scene_verdict(&s, NL__DIRECTION__GUEST, 5, NULL, 0), 0, "late words are ignored");
	stream_says(&s, strlen(STREAM_COMMAND), "NOOP\r\n");
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 6);
	cr_assert_eq(s.r->np->inspect_due_ns, 0);
	rig_free(s.r);
}

Test(inspect_silence, a_message_that_lacks_its_end_is_none)
{
	struct scene s = stream_open((struct rig_options){0});
	char text[8];
	stream_says(&s, 0, "POR");
	seen(&s, 0, 3);
	scene_later(&s, 60000);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0, "still held");
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 0);
	stream_says(&s, 3, "T 1\r\n");
	scene_later(&s, 1001);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 1, "and then one is");
	rig_free(s.r);
}

Test(inspect_silence, an_answer_to_an_earlier_part_does_not_cover_the_rest)
{
	struct scene s = stream_open((struct rig_options){0});
	stream_says(&s, 0, "POR");
	stream_says(&s, 3, "T 1\r\n");
	scene_later(&s, 500);
	seen(&s, 0, 3);
	scene_later(&s, 900);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 0);
	scene_later(&s, 200);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 1);
	rig_free(s.r);
}

Test(inspect_silence, after_a_grant_a_verdict_is_owed)
{
	struct scene s = stream_open((struct rig_options){0});
	stream_says(&s, 0, STREAM_COMMAND);
	seen(&s, 0, strlen(STREAM_COMMAND));
	stream_wish(&s, STREAM_NUMBER, 1, STREAM_DATA_PORT, 0);
	scene_later(&s, 1001);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 1);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	rig_free(s.r);
}

Test(inspect_silence, where_it_only_observes_a_verdict_after_a_grant_is_one_too)
{
	struct scene s = stream_open((struct rig_options){.observe = true});
	stream_says(&s, 0, STREAM_COMMAND);
	inspect_answered(s.r->np, STREAM_NUMBER);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, strlen(STREAM_COMMAND), NULL, 0), 0);
	scene_later(&s, 2000);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 0);
	rig_free(s.r);
}

Test(inspect_silence, a_full_channel_is_silence_too)
{
	struct scene s = stream_open((struct rig_options){.observe = true});
	char text[64] = "";
	s.r->alg_error = -EAGAIN;
	stream_says(&s, 0, STREAM_COMMAND);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	scene_later(&s, 1001);
	rig_turn(s.r);
	scene_arrived(&s, text, sizeof(text));
	cr_assert_str_eq(text, STREAM_COMMAND);
	rig_free(s.r);
}

/* A guest's word on one more control connection, which alg never answers. */
static void unanswered(struct rig *r, uint32_t n, uint16_t port)
{
	const uint32_t flow = STREAM_FLOW + n;
	struct ring_desc d;
	rig_open(r, flow, (uint16_t)(40000 + n), port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	r->seen_bytes[0] = 0;
	d = rig_payload(r, RING_NETSTACK_TCP_DATA, flow, 0, "USER x\r\n", 8);
	rig_send(r, &d);
	rig_turn(r);
	r->skew_ns += 1001000000;
	rig_turn(r);
}

Test(inspect_silence, alg_is_reported_when_it_stays_silent)
{
	uint16_t port;
	const int listener = rig_listener(&port);
	const struct rig_options o = {.ftp_port = port};
	struct rig *r = rig_new(&o);
	unanswered(r, 0, port);
	unanswered(r, 1, port);
	cr_assert_eq(r->alg_silent, 0);
	unanswered(r, 2, port);
	cr_assert_eq(r->drops.count[DROP_ALG_SILENT], 3);
	cr_assert_eq(r->alg_silent, 1);
	cr_assert_eq(r->np->alg_silences, 0, "the next one gets its own chance");
	close(listener);
	rig_free(r);
}
