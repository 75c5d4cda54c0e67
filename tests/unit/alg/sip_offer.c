/*
 * Who may come in by which pinhole, as descriptions move, fork, or are refused: each test a whole dialogue.
 */
#include "sip_talk.h"

Test(sip_offer, media_of_several_lines_are_armed_line_by_line)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL,
		talk_sdp_of(GUEST, "m=audio 5004 RTP/AVP 0\r\nm=video 5006 RTP/AVP 31\r\n"
				   "m=application 5009 TCP/BFCP *\r\na=setup:passive\r\n"));
	expect_told(&c, LATENT(1, 5004) "; " LATENT(2, 5006) "; " LATENT(3, 5009));
	cr_expect(h->wish[1].kind == ALG_UDP_PAIR && h->wish[2].kind == ALG_TCP_LISTEN);
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x",
		talk_sdp_of(ONE, "m=audio 6000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n"
				 "m=application 6009 TCP/BFCP *\r\nc=IN IP4 " TWO "\r\n"));
	expect_told(&c, "arm 1 " ONE "; arm 3 " TWO "; close 2");
	harness_free(h);
}

/* ---- media that move ---- */

Test(sip_offer, a_reinvite_to_another_port_keeps_the_old_one_until_its_2xx)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	ask(&c, ALG_GUEST, "INVITE", 2, "x", talk_sdp(GUEST, 5010));
	expect_told(&c, LATENT(2, 5010));
	reply(&c, ALG_OUTSIDE, 100, "INVITE", 2, "x", NULL);
	expect_told(&c, "");
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 2, "x", talk_sdp(TWO, 6000));
	expect_told(&c, "arm 2 " TWO "; close 1");
	harness_free(h);
}

Test(sip_offer, an_error_to_a_reinvite_closes_what_was_new)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	ask(&c, ALG_GUEST, "INVITE", 2, "x",
		talk_sdp_of(GUEST, "m=audio 5004 RTP/AVP 0\r\nm=video 5010 RTP/AVP 31\r\n"));
	expect_told(&c, LATENT(2, 5010));
	reply(&c, ALG_OUTSIDE, 488, "INVITE", 2, "x", talk_sdp(TWO, 6000));
	expect_told(&c, "close 2");
	ask(&c, ALG_GUEST, "ACK", 2, "x", NULL);
	ask(&c, ALG_GUEST, "INVITE", 3, "x", talk_sdp(GUEST, 5004));
	expect_told(&c, "");
	expect_heard(&c, ALG_GUEST, "m=audio 40000 ");
	harness_free(h);
}

Test(sip_offer, a_reinvite_to_the_same_port_opens_nothing_and_follows_the_far_end)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	ask(&c, ALG_GUEST, "INVITE", 2, "x", talk_sdp(GUEST, 5004));
	expect_told(&c, "");
	expect_heard(&c, ALG_GUEST, "m=audio 40000 ");
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 2, "x", talk_sdp(TWO, 6000));
	expect_told(&c, "arm 1 " TWO);
	harness_free(h);
}

Test(sip_offer, the_far_end_moves_holds_and_resumes)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	ask(&c, ALG_OUTSIDE, "INVITE", 1, "x", talk_sdp(TWO, 6000));
	expect_told(&c, "");
	reply(&c, ALG_GUEST, 200, "INVITE", 1, "x", talk_sdp(GUEST, 5004));
	expect_told(&c, "arm 1 " TWO);
	ask(&c, ALG_OUTSIDE, "INVITE", 2, "x", talk_sdp("0.0.0.0", 6000));
	reply(&c, ALG_GUEST, 200, "INVITE", 2, "x", talk_sdp(GUEST, 5004));
	expect_told(&c, "keep 1");
	ask(&c, ALG_OUTSIDE, "INVITE", 3, "x", talk_sdp(THREE, 6000));
	reply(&c, ALG_GUEST, 491, "INVITE", 3, "x", NULL);
	expect_told(&c, "");
	ask(&c, ALG_OUTSIDE, "INVITE", 4, "x", talk_sdp(THREE, 6000));
	reply(&c, ALG_GUEST, 200, "INVITE", 4, "x", talk_sdp(GUEST, 5010));
	expect_told(&c, "wish 2 5010 open " THREE "; close 1");
	harness_free(h);
}

Test(sip_offer, a_far_end_that_names_no_address_is_its_own)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_OUTSIDE, "1@provider");
	ask(&c, ALG_OUTSIDE, "INVITE", 1, NULL,
		"v=0\r\no=- 1 1 IN IP4 media.example.com\r\ns=-\r\nc=IN IP4 media.example.com\r\n"
		"t=0 0\r\nm=audio 6000 RTP/AVP 0\r\n");
	reply(&c, ALG_GUEST, 200, "INVITE", 1, "g", talk_sdp(GUEST, 5004));
	expect_told(&c, "wish 1 5004 open " PEER);
	harness_free(h);
}

Test(sip_offer, fax_takes_the_place_of_audio_when_it_is_agreed_on)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_GUEST, "1@fax");
	const char *fax = "m=image 5010 udptl t38\r\n";
	talk_established(&c, "x", 5004, ONE);
	ask(&c, ALG_GUEST, "INVITE", 2, "x", talk_sdp_of(GUEST, fax));
	expect_told(&c, LATENT(2, 5010));
	cr_expect_eq(h->wish[1].kind, ALG_UDP_ONE);
	expect_heard(&c, ALG_GUEST, "m=image 40002 udptl t38");
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 2, "x",
		talk_sdp_of(TWO, "m=image 6010 udptl t38\r\n"));
	expect_told(&c, "arm 2 " TWO "; close 1");
	harness_free(h);
}

/* ---- forks ---- */

Test(sip_offer, forks_have_pinholes_of_their_own_and_one_port)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	reply(&c, ALG_OUTSIDE, 183, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	expect_told(&c, LATENT(1, 5004) "; arm 1 " ONE);
	reply(&c, ALG_OUTSIDE, 183, "INVITE", 1, "y", talk_sdp(TWO, 6000));
	expect_told(&c, "wish 2 5004 open " TWO "; keep 1");
	expect_same(&c, ALG_OUTSIDE);
	reply(&c, ALG_OUTSIDE, 183, "INVITE", 1, "z", talk_sdp(TWO, 6000));
	expect_told(&c, "keep 1; keep 2");
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "y", talk_sdp(TWO, 6000));
	expect_told(&c, "keep 2");
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	expect_told(&c, "keep 1");
	ask(&c, ALG_GUEST, "BYE", 2, "x", NULL);
	reply(&c, ALG_OUTSIDE, 200, "BYE", 2, "x", NULL);
	expect_told(&c, "close 1");
	ask(&c, ALG_GUEST, "INVITE", 3, "y", talk_sdp(GUEST, 5004));
	expect_told(&c, "");
	expect_heard(&c, ALG_GUEST, "m=audio 40000 ");
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 3, "y", talk_sdp(THREE, 6000));
	expect_told(&c, "wish 3 5004 open " THREE);
	ask(&c, ALG_OUTSIDE, "BYE", 1, "y", NULL);
	reply(&c, ALG_GUEST, 200, "BYE", 1, "y", NULL);
	expect_told(&c, "close 3; close 2");
	cr_expect_eq(harness_calls()->flow[h->flow.view.id].calls, 0);
	harness_free(h);
}

Test(sip_offer, who_did_not_take_the_call_is_forgotten_after_a_while)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	reply(&c, ALG_OUTSIDE, 183, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "y", talk_sdp(TWO, 6000));
	expect_told(&c, LATENT(1, 5004) "; wish 2 5004 open " TWO "; arm 1 " ONE);
	h->flow.view.now_ms += 32000;
	ask(&c, ALG_GUEST, "ACK", 1, "y", NULL);
	expect_told(&c, "");
	h->flow.view.now_ms += 1;
	ask(&c, ALG_GUEST, "INFO", 2, "y", NULL);
	expect_told(&c, "close 1");
	harness_free(h);
}

Test(sip_offer, more_forks_than_there_is_room_for_take_the_place_of_early_ones)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	char fork[8];
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	for (unsigned int i = 0; i < 40; i++) {
		snprintf(fork, sizeof(fork), "f%u", i);
		reply(&c, ALG_OUTSIDE, i < SIP_CALL_FORKS - 1 ? 200 : 183, "INVITE", 1, fork,
			talk_sdp(talk_ip(htonl(0xc6336400 + i)), 6000));
	}
	const struct sip_call *there = &harness_calls()->call[1];
	for (unsigned int i = 0; i < SIP_CALL_FORKS; i++)
		cr_expect(
			there->fork[i].tag && there->fork[i].confirmed == (i < SIP_CALL_FORKS - 1));
	harness_free(h);
}

/* ---- what natproxy says ---- */

Test(sip_offer, what_is_refused_leaves_the_description_as_it_was)
{
	struct harness *h = harness_new(&sip_protocol, talk_view(), REFUSE);
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	expect_told(&c, LATENT(1, 5004));
	expect_heard(&c, ALG_GUEST, talk_sdp(GUEST, 5004));
	expect_heard(&c, ALG_GUEST, "Contact: <sip:c@" OUTSIDE ":41000>");
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	expect_told(&c, "");
	cr_expect_eq(harness_calls()->fresh_opening, 1);
	harness_free(h);
}

Test(sip_offer, a_reinvite_whose_port_is_refused_leaves_the_call_its_own)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_OUTSIDE, "1@provider");
	ask(&c, ALG_OUTSIDE, "INVITE", 1, NULL, talk_sdp(ONE, 6000));
	reply(&c, ALG_GUEST, 200, "INVITE", 1, "g", talk_sdp(GUEST, 5004));
	ask(&c, ALG_OUTSIDE, "INVITE", 2, "g", talk_sdp(ONE, 6000));
	h->mode = REFUSE;
	reply(&c, ALG_GUEST, 200, "INVITE", 2, "g", talk_sdp(GUEST, 5010));
	expect_told(&c, "wish 1 5004 open " ONE "; wish 2 5010 open " ONE "; keep 1");
	expect_heard(&c, ALG_GUEST, "m=audio 5010 ");
	harness_free(h);
}

Test(sip_offer, a_port_whose_pinhole_is_gone_is_wished_for_again)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	stream_gone(&h->flow, 1);
	ask(&c, ALG_GUEST, "INVITE", 2, "x", talk_sdp(GUEST, 5004));
	expect_told(&c, LATENT(2, 5004));
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 2, "x", talk_sdp(ONE, 6000));
	expect_told(&c, "arm 2 " ONE);
	stream_gone(&h->flow, 1);
	stream_gone(&h->flow, 77);
	ask(&c, ALG_GUEST, "BYE", 3, "x", NULL);
	reply(&c, ALG_OUTSIDE, 200, "BYE", 3, "x", NULL);
	expect_told(&c, "close 2");
	harness_free(h);
}

Test(sip_offer, a_call_that_ends_while_natproxy_thinks_gets_nothing)
{
	struct harness *h = talk_begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	h->mode = LATER;
	ask(&c, ALG_GUEST, "BYE", 2, "x", NULL);
	ask(&c, ALG_GUEST, "INVITE", 3, "x", talk_sdp(GUEST, 5010));
	expect_told(&c, LATENT(2, 5010));
	reply(&c, ALG_OUTSIDE, 200, "BYE", 2, "x", NULL);
	expect_told(&c, "close 1");
	harness_answer(h, true);
	expect_told(&c, "close 2");
	reply(&c, ALG_OUTSIDE, 481, "INVITE", 3, "x", NULL);
	expect_told(&c, "");
	harness_free(h);
}

Test(sip_offer, where_the_operator_says_so_the_first_one_who_speaks_is_let_in)
{
	struct alg_flow view = talk_view();
	view.sip_latch = true;
	struct harness *h = harness_new(&sip_protocol, view, GRANT);
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "y", talk_sdp(TWO, 6000));
	expect_told(&c, "wish 1 5004 latent 0.0.0.0; arm 1 0.0.0.0; keep 1");
	harness_free(h);
}
