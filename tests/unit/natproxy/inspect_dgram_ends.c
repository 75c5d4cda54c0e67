/* UDP sessions that alg gives up, only observes, or says nothing about. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "datagrams.h"
#include "inspect.h"

Test(inspect_dgram_ends, giving_up_lets_what_is_held_leave_in_order)
{
	struct scene s = datagram_fixing();
	struct ring_desc d;
	char text[4096];
	datagram_says(&s, "one", 3, 0);
	datagram_says(&s, "two", 3, 0);
	datagram_answers(&s, "answer", 6);
	scene_give_up(&s, true);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	cr_assert_str_eq(text, "one");
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	cr_assert_eq(datagram_to_guest(&s, &d, text), 6);
	cr_assert_eq(s.r->np->nat.session[1].alg, 0);
	rig_free(s.r);
}

Test(inspect_dgram_ends, what_a_strict_alg_does_not_understand_ends)
{
	struct scene s = datagram_begin(NL__ALG_SWITCH__MODE__fix, true);
	struct ring_desc d;
	char text[16];
	datagram_says(&s, "one", 3, 0);
	scene_give_up(&s, true);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	cr_assert(rig_await(s.r, RING_NATPROXY_DGRAM_CLOSED, &d));
	cr_assert_eq(s.r->np->nat.live, 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_STRICT], 1);
	cr_assert_eq(s.r->drops.count[DROP_ALG_ENDED], 1);
	cr_assert(rig_has_line(s.r, "not tftp, and alg.tftp.strict is true"));
	rig_free(s.r);
}

Test(inspect_dgram_ends, what_a_strict_alg_cannot_take_is_dropped)
{
	struct scene s = datagram_begin(NL__ALG_SWITCH__MODE__fix, true);
	static char out[40000];
	char text[16];
	datagram_says(&s, out, sizeof(out), 0);
	datagram_says(&s, "one", 3, 0);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_STRICT], 1);
	cr_assert_eq(s.r->np->inspects, 1);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0), 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	rig_free(s.r);
}

Test(inspect_dgram_ends, what_a_strict_alg_is_done_with_goes_on)
{
	struct scene s = datagram_begin(NL__ALG_SWITCH__MODE__fix, true);
	char text[16];
	datagram_says(&s, "one", 3, 0);
	scene_give_up(&s, false);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	rig_free(s.r);
}

Test(inspect_dgram_ends, silence_lets_it_go_on)
{
	struct scene s = datagram_fixing();
	char text[16];
	datagram_says(&s, "one", 3, 0);
	scene_later(&s, DATAGRAM_BUDGET_MS + 1);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 1);
	cr_assert_eq(s.r->np->inspects, 0);
	cr_assert_eq(s.r->np->inspect_due_ns, 0);
	rig_free(s.r);
}

Test(inspect_dgram_ends, a_full_channel_is_tried_again)
{
	struct scene s = datagram_fixing();
	char text[16];
	datagram_says(&s, "one", 3, 0);
	scene_verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	s.r->alg_error = -EAGAIN;
	datagram_says(&s, "two", 3, 0);
	cr_assert_eq(s.r->records[0], 1);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0, "held");
	cr_assert_leq(natproxy_deadline(s.r->np), s.r->np->now_ns + 1000000);
	s.r->alg_error = 0;
	rig_turn(s.r);
	cr_assert_eq(s.r->records[0], 2);
	scene_verdict(&s, NL__DIRECTION__GUEST, 6, NULL, 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	cr_assert_gt(natproxy_deadline(s.r->np), s.r->np->now_ns + 1000000);
	rig_free(s.r);
}

Test(inspect_dgram_ends, a_dead_channel_lets_everything_go_on)
{
	struct scene s = datagram_fixing();
	char text[16];
	datagram_says(&s, "one", 3, 0);
	s.r->alg_error = -EPIPE;
	datagram_says(&s, "two", 3, 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	cr_assert_eq(s.r->np->inspects, 0);
	rig_free(s.r);
}

Test(inspect_dgram_ends, an_alg_that_observes_holds_and_changes_nothing)
{
	struct scene s = datagram_begin(NL__ALG_SWITCH__MODE__observe, true);
	Nl__Edit a, *list[1] = {&a};
	char text[16];
	datagram_says(&s, "one two", 7, 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 7);
	cr_assert_eq(s.r->seen_bytes[0], 7);
	scene_edit(&a, 4, 3, "2");
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 7, list, 1), 0);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	cr_assert(rig_has_line(s.r,
		"SecureNAT: The ALG tftp would have changed the UDP session 1 at 1 places in what "
		"the guest sent: at 4: 3 bytes by 1."));
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 8, NULL, 0), -EPROTO);
	scene_give_up(&s, true);
	cr_assert_eq(s.r->np->nat.live, 1, "strict or not");
	rig_free(s.r);
}

Test(inspect_dgram_ends, where_it_only_observes_each_of_a_batch_is_seen)
{
	struct scene s = datagram_begin(NL__ALG_SWITCH__MODE__observe, false);
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(DATAGRAM_GUEST_PORT)};
	struct ring_desc d;
	char text[4096];
	datagram_says(&s, "x", 1, 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(
			sendto(s.fd, "same", 4, 0, (const struct sockaddr *)&to, sizeof(to)), 4);
	rig_turn(s.r);
	rig_turn(s.r);
	cr_assert_eq(s.r->records[1], 3);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(datagram_to_guest(&s, &d, text), 4);
	rig_free(s.r);
}

Test(inspect_dgram_ends, where_it_only_observes_a_verdict_after_a_grant_is_one_too)
{
	struct scene s = datagram_begin(NL__ALG_SWITCH__MODE__observe, false);
	datagram_says(&s, "one", 3, 0);
	inspect_answered(s.r->np, DATAGRAM_NUMBER);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0), 0);
	scene_later(&s, 2 * DATAGRAM_BUDGET_MS);
	cr_assert_eq(s.r->np->inspects, 1);
	rig_free(s.r);
}

Test(inspect_dgram_ends, where_it_only_observes_a_full_channel_is_no_silence)
{
	struct scene s = datagram_begin(NL__ALG_SWITCH__MODE__observe, false);
	char text[16];
	datagram_says(&s, "one", 3, 0);
	scene_verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0);
	s.r->alg_error = -EAGAIN;
	datagram_says(&s, "missed", 6, 0);
	s.r->alg_error = 0;
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 6);
	scene_later(&s, 2 * DATAGRAM_BUDGET_MS);
	cr_assert_eq(s.r->np->inspects, 1);
	datagram_says(&s, "two", 3, 0);
	cr_assert_eq(s.r->seen_bytes[0], 6);
	rig_free(s.r);
}
