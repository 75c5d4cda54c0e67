/*
 * Who may come in by which pinhole, as descriptions move, fork, or are refused: each test a whole dialogue.
 */
#include "sip_steps.h"

TestSuite(sip_offer, .init = begin, .fini = end);

Test(sip_offer, media_of_several_lines_are_armed_line_by_line)
{
	ask(&ours, ALG_GUEST, "INVITE", 1, NULL,
		talk_sdp_of(GUEST, "m=audio 5004 RTP/AVP 0\r\nm=video 5006 RTP/AVP 31\r\n"
				   "m=application 5009 TCP/BFCP *\r\na=setup:passive\r\n"));
	expect_told(&ours, LATENT(1, 5004) "; " LATENT(2, 5006) "; " LATENT(3, 5009));
	cr_expect(h->wish[1].kind == ALG_UDP_PAIR && h->wish[2].kind == ALG_TCP_LISTEN);
	reply(&ours, ALG_OUTSIDE, 200, "INVITE", 1, "x",
		talk_sdp_of(ONE, "m=audio 6000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n"
				 "m=application 6009 TCP/BFCP *\r\nc=IN IP4 " TWO "\r\n"));
	expect_told(&ours, "arm 1 " ONE "; arm 3 " TWO "; close 2");
}

/* ---- media that move ---- */

Test(sip_offer, a_reinvite_to_another_port_keeps_the_old_one_until_its_2xx)
{
	talk_established(&ours, "x", 5004, ONE);
	guest_invites(&ours, 2, "x", 5010);
	expect_told(&ours, LATENT(2, 5010));
	reply(&ours, ALG_OUTSIDE, 100, "INVITE", 2, "x", NULL);
	expect_told(&ours, "");
	far_answers(&ours, 200, 2, "x", TWO);
	expect_told(&ours, "arm 2 " TWO "; close 1");
}

Test(sip_offer, an_error_to_a_reinvite_closes_what_was_new)
{
	talk_established(&ours, "x", 5004, ONE);
	ask(&ours, ALG_GUEST, "INVITE", 2, "x",
		talk_sdp_of(GUEST, "m=audio 5004 RTP/AVP 0\r\nm=video 5010 RTP/AVP 31\r\n"));
	expect_told(&ours, LATENT(2, 5010));
	far_answers(&ours, 488, 2, "x", TWO);
	expect_told(&ours, "close 2");
	ask(&ours, ALG_GUEST, "ACK", 2, "x", NULL);
	guest_invites(&ours, 3, "x", 5004);
	expect_told(&ours, "");
	expect_heard(&ours, ALG_GUEST, "m=audio 40000 ");
}

Test(sip_offer, a_reinvite_to_the_same_port_opens_nothing_and_follows_the_far_end)
{
	talk_established(&ours, "x", 5004, ONE);
	guest_invites(&ours, 2, "x", 5004);
	expect_told(&ours, "");
	expect_heard(&ours, ALG_GUEST, "m=audio 40000 ");
	far_answers(&ours, 200, 2, "x", TWO);
	expect_told(&ours, "arm 1 " TWO);
}

Test(sip_offer, the_far_end_moves_holds_and_resumes)
{
	talk_established(&ours, "x", 5004, ONE);
	far_invites(&ours, 1, "x", TWO);
	expect_told(&ours, "");
	guest_answers(&ours, 200, 1, "x", 5004);
	expect_told(&ours, "arm 1 " TWO);
	ask(&ours, ALG_OUTSIDE, "INVITE", 2, "x", talk_sdp("0.0.0.0", 6000));
	guest_answers(&ours, 200, 2, "x", 5004);
	expect_told(&ours, "keep 1");
	far_invites(&ours, 3, "x", THREE);
	reply(&ours, ALG_GUEST, 491, "INVITE", 3, "x", NULL);
	expect_told(&ours, "");
	far_invites(&ours, 4, "x", THREE);
	guest_answers(&ours, 200, 4, "x", 5010);
	expect_told(&ours, "wish 2 5010 open " THREE "; close 1");
}

/* Both ask at once, and each refuses the other's (RFC 3261 14.1). */
Test(sip_offer, reinvites_that_cross_leave_the_call_as_it_was)
{
	talk_established(&ours, "x", 5004, ONE);
	guest_invites(&ours, 2, "x", 5010);
	far_invites(&ours, 1, "x", TWO);
	reply(&ours, ALG_OUTSIDE, 491, "INVITE", 2, "x", NULL);
	reply(&ours, ALG_GUEST, 491, "INVITE", 1, "x", NULL);
	expect_told(&ours, LATENT(2, 5010) "; close 2");
	far_invites(&ours, 2, "x", TWO);
	guest_answers(&ours, 200, 2, "x", 5004);
	guest_invites(&ours, 3, "x", 5010);
	far_answers(&ours, 200, 3, "x", THREE);
	expect_told(&ours, LATENT(3, 5010) "; arm 1 " TWO "; arm 3 " THREE "; close 1");
}

Test(sip_offer, a_far_end_that_names_no_address_is_its_own)
{
	ask(&theirs, ALG_OUTSIDE, "INVITE", 1, NULL,
		"v=0\r\no=- 1 1 IN IP4 media.example.com\r\ns=-\r\nc=IN IP4 media.example.com\r\n"
		"t=0 0\r\nm=audio 6000 RTP/AVP 0\r\n");
	guest_answers(&theirs, 200, 1, "g", 5004);
	expect_told(&theirs, "wish 1 5004 open " PEER);
}

Test(sip_offer, fax_takes_the_place_of_audio_when_it_is_agreed_on)
{
	const char *fax = "m=image 5010 udptl t38\r\n";
	talk_established(&ours, "x", 5004, ONE);
	ask(&ours, ALG_GUEST, "INVITE", 2, "x", talk_sdp_of(GUEST, fax));
	expect_told(&ours, LATENT(2, 5010));
	cr_expect_eq(h->wish[1].kind, ALG_UDP_ONE);
	expect_heard(&ours, ALG_GUEST, "m=image 40002 udptl t38");
	reply(&ours, ALG_OUTSIDE, 200, "INVITE", 2, "x",
		talk_sdp_of(TWO, "m=image 6010 udptl t38\r\n"));
	expect_told(&ours, "arm 2 " TWO "; close 1");
}

/* ---- forks ---- */

Test(sip_offer, forks_have_pinholes_of_their_own_and_one_port)
{
	guest_invites(&ours, 1, NULL, 5004);
	far_answers(&ours, 183, 1, "x", ONE);
	expect_told(&ours, LATENT(1, 5004) "; arm 1 " ONE);
	far_answers(&ours, 183, 1, "y", TWO);
	expect_told(&ours, "wish 2 5004 open " TWO "; keep 1");
	expect_same(&ours, ALG_OUTSIDE);
	far_answers(&ours, 183, 1, "z", TWO);
	expect_told(&ours, "keep 1; keep 2");
	far_answers(&ours, 200, 1, "y", TWO);
	expect_told(&ours, "keep 2");
	far_answers(&ours, 200, 1, "x", ONE);
	expect_told(&ours, "keep 1");
	hangs_up(&ours, ALG_GUEST, 2, "x");
	expect_told(&ours, "close 1");
	guest_invites(&ours, 3, "y", 5004);
	expect_told(&ours, "");
	expect_heard(&ours, ALG_GUEST, "m=audio 40000 ");
	far_answers(&ours, 200, 3, "y", THREE);
	expect_told(&ours, "wish 3 5004 open " THREE);
	hangs_up(&ours, ALG_OUTSIDE, 1, "y");
	expect_told(&ours, "close 3; close 2");
	expect_no_calls();
}

Test(sip_offer, who_did_not_take_the_call_is_forgotten_after_a_while)
{
	guest_invites(&ours, 1, NULL, 5004);
	far_answers(&ours, 183, 1, "x", ONE);
	far_answers(&ours, 200, 1, "y", TWO);
	expect_told(&ours, LATENT(1, 5004) "; wish 2 5004 open " TWO "; arm 1 " ONE);
	h->flow.view.now_ms += 32000;
	ask(&ours, ALG_GUEST, "ACK", 1, "y", NULL);
	expect_told(&ours, "");
	h->flow.view.now_ms += 1;
	ask(&ours, ALG_GUEST, "INFO", 2, "y", NULL);
	expect_told(&ours, "close 1");
}

/* So many answer, each with an address of its own: what there is of them is bounded, and ends with the call. */
Test(sip_offer, more_forks_than_there_is_room_for_take_the_place_of_early_ones)
{
	const struct sip_call *there = &harness_calls()->call[1];
	const struct sip_flow *flow = &harness_calls()->flow[h->flow.view.id];
	char fork[8];
	guest_invites(&ours, 1, NULL, 5004);
	for (unsigned int i = 0; i < 1000; i++) {
		snprintf(fork, sizeof(fork), "f%u", i);
		far_answers(&ours, i < SIP_CALL_FORKS - 1 ? 200 : 183, 1, fork,
			talk_ip(htonl(0xc6336400 + i)));
		cr_assert_leq(harness_calls()->guest[flow->guest].openings, SIP_CALL_FORKS + 1);
		forget();
	}
	for (unsigned int i = 0; i < SIP_CALL_FORKS; i++)
		cr_expect(
			there->fork[i].tag && there->fork[i].confirmed == (i < SIP_CALL_FORKS - 1));
	for (unsigned int i = 0; i < SIP_CALL_FORKS - 1; i++) {
		snprintf(fork, sizeof(fork), "f%u", i);
		hangs_up(&ours, ALG_GUEST, 2 + i, fork);
	}
	expect_no_calls();
	cr_expect_eq(harness_calls()->openings, 0);
}

/* ---- what natproxy says ---- */

Test(sip_offer, what_is_refused_leaves_the_description_as_it_was)
{
	h->mode = REFUSE;
	guest_invites(&ours, 1, NULL, 5004);
	expect_told(&ours, LATENT(1, 5004));
	expect_heard(&ours, ALG_GUEST, talk_sdp(GUEST, 5004));
	expect_heard(&ours, ALG_GUEST, "Contact: <sip:c@" OUTSIDE ":41000>");
	far_answers(&ours, 200, 1, "x", ONE);
	expect_told(&ours, "");
	cr_expect_eq(harness_calls()->fresh_opening, 1);
}

Test(sip_offer, a_reinvite_whose_port_is_refused_leaves_the_call_its_own)
{
	far_invites(&theirs, 1, NULL, ONE);
	guest_answers(&theirs, 200, 1, "g", 5004);
	far_invites(&theirs, 2, "g", ONE);
	h->mode = REFUSE;
	guest_answers(&theirs, 200, 2, "g", 5010);
	expect_told(&theirs, "wish 1 5004 open " ONE "; wish 2 5010 open " ONE "; keep 1");
	expect_heard(&theirs, ALG_GUEST, "m=audio 5010 ");
}

Test(sip_offer, a_port_whose_pinhole_is_gone_is_wished_for_again)
{
	talk_established(&ours, "x", 5004, ONE);
	stream_gone(&h->flow, 1);
	guest_invites(&ours, 2, "x", 5004);
	expect_told(&ours, LATENT(2, 5004));
	far_answers(&ours, 200, 2, "x", ONE);
	expect_told(&ours, "arm 2 " ONE);
	stream_gone(&h->flow, 1);
	stream_gone(&h->flow, 77);
	hangs_up(&ours, ALG_GUEST, 3, "x");
	expect_told(&ours, "close 2");
}

Test(sip_offer, a_call_that_ends_while_natproxy_thinks_gets_nothing)
{
	talk_established(&ours, "x", 5004, ONE);
	h->mode = LATER;
	ask(&ours, ALG_GUEST, "BYE", 2, "x", NULL);
	guest_invites(&ours, 3, "x", 5010);
	expect_told(&ours, LATENT(2, 5010));
	reply(&ours, ALG_OUTSIDE, 200, "BYE", 2, "x", NULL);
	expect_told(&ours, "close 1");
	harness_answer(h, true);
	expect_told(&ours, "close 2");
	reply(&ours, ALG_OUTSIDE, 481, "INVITE", 3, "x", NULL);
	expect_told(&ours, "");
}

Test(sip_offer, where_the_operator_says_so_the_first_one_who_speaks_is_let_in)
{
	h->flow.view.sip_latch = true;
	guest_invites(&ours, 1, NULL, 5004);
	far_answers(&ours, 200, 1, "x", ONE);
	far_answers(&ours, 200, 1, "y", TWO);
	expect_told(&ours, "wish 1 5004 latent 0.0.0.0; arm 1 0.0.0.0; keep 1");
}
