/*
 * What becomes of pinholes: a test a rule, each a whole dialogue.
 */
#include "sip_talk.h"

#define ONE		"198.51.100.21" /* where media come from */
#define TWO		"198.51.100.22"
#define THREE		"198.51.100.23"
#define LATENT(n, port) "wish " #n " " #port " latent " PEER

static struct harness *begin(void)
{
	return harness_new(&sip_protocol, talk_view(), GRANT);
}

/* ---- the plain call ---- */

Test(sip_dialog, a_guest_calls_and_hangs_up)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	expect_told(&c, LATENT(1, 5004));
	cr_expect(h->wish[0].kind == ALG_UDP_PAIR && h->wish[0].lifetime_ms == 180000);
	expect_heard(&c, ALG_GUEST, "m=audio 40000 RTP/AVP 0");
	expect_heard(&c, ALG_GUEST, "c=IN IP4 " OUTSIDE "\r\n");
	reply(&c, ALG_OUTSIDE, 100, "INVITE", 1, NULL, NULL);
	expect_told(&c, "");
	reply(&c, ALG_OUTSIDE, 180, "INVITE", 1, "x", NULL);
	expect_told(&c, "keep 1");
	reply(&c, ALG_OUTSIDE, 183, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	expect_told(&c, "arm 1 " ONE);
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	expect_told(&c, "keep 1");
	ask(&c, ALG_GUEST, "ACK", 1, "x", NULL);
	ask(&c, ALG_GUEST, "BYE", 2, "x", NULL);
	expect_told(&c, "");
	reply(&c, ALG_OUTSIDE, 200, "BYE", 2, "x", NULL);
	expect_told(&c, "close 1");
	cr_expect_eq(harness_calls()->flow[h->flow.view.id].calls, 0);
	harness_free(h);
}

Test(sip_dialog, a_guest_is_called_and_the_far_end_hangs_up)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_OUTSIDE, "1@provider");
	ask(&c, ALG_OUTSIDE, "INVITE", 7, NULL, talk_sdp(ONE, 6000));
	reply(&c, ALG_GUEST, 100, "INVITE", 7, NULL, NULL);
	reply(&c, ALG_GUEST, 180, "INVITE", 7, "g", NULL);
	expect_told(&c, "");
	reply(&c, ALG_GUEST, 200, "INVITE", 7, "g", talk_sdp(GUEST, 5004));
	expect_told(&c, "wish 1 5004 open " ONE);
	expect_heard(&c, ALG_GUEST, "m=audio 40000 RTP/AVP 0");
	ask(&c, ALG_OUTSIDE, "ACK", 7, "g", NULL);
	ask(&c, ALG_OUTSIDE, "BYE", 8, "g", NULL);
	expect_told(&c, "");
	reply(&c, ALG_GUEST, 200, "BYE", 8, "g", NULL);
	expect_told(&c, "close 1");
	cr_expect_eq(harness_calls()->flow[h->flow.view.id].calls, 0);
	harness_free(h);
}

Test(sip_dialog, either_side_of_either_call_may_hang_up)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	ask(&c, ALG_OUTSIDE, "BYE", 1, "x", NULL);
	reply(&c, ALG_GUEST, 200, "BYE", 1, "x", NULL);
	expect_told(&c, "close 1");
	struct call d = talk_call(h, ALG_OUTSIDE, "2@provider");
	d.wishes = h->wishes, d.acts = h->acts;
	ask(&d, ALG_OUTSIDE, "INVITE", 1, NULL, talk_sdp(ONE, 6000));
	reply(&d, ALG_GUEST, 200, "INVITE", 1, "g", talk_sdp(GUEST, 5004));
	ask(&d, ALG_GUEST, "BYE", 1, "g", NULL);
	reply(&d, ALG_OUTSIDE, 481, "BYE", 1, "g", NULL);
	expect_told(&d, "wish 2 5004 open " ONE "; close 2");
	harness_free(h);
}

Test(sip_dialog, a_bye_that_is_asked_for_credentials_ends_nothing_yet)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	ask(&c, ALG_GUEST, "BYE", 2, "x", NULL);
	reply(&c, ALG_OUTSIDE, 407, "BYE", 2, "x", NULL);
	expect_told(&c, "");
	ask(&c, ALG_GUEST, "BYE", 3, "x", NULL);
	reply(&c, ALG_OUTSIDE, 200, "BYE", 3, "x", NULL);
	expect_told(&c, "close 1");
	harness_free(h);
}

Test(sip_dialog, media_of_several_lines_are_armed_line_by_line)
{
	struct harness *h = begin();
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

/* ---- offers in other places ---- */

Test(sip_dialog, the_far_end_offers_in_its_2xx_and_the_guest_answers_in_ack)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, NULL);
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	expect_told(&c, "");
	ask(&c, ALG_GUEST, "ACK", 1, "x", talk_sdp(GUEST, 5004));
	expect_told(&c, "wish 1 5004 open " ONE);
	expect_heard(&c, ALG_GUEST, "m=audio 40000 ");
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	ask(&c, ALG_GUEST, "ACK", 1, "x", talk_sdp(GUEST, 5004));
	expect_told(&c, "keep 1");
	expect_heard(&c, ALG_GUEST, "m=audio 40000 ");
	ask(&c, ALG_GUEST, "BYE", 2, "x", NULL);
	reply(&c, ALG_OUTSIDE, 200, "BYE", 2, "x", NULL);
	expect_told(&c, "close 1");
	harness_free(h);
}

Test(sip_dialog, the_guest_offers_in_its_2xx_and_the_far_end_answers_in_ack)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_OUTSIDE, "1@provider");
	ask(&c, ALG_OUTSIDE, "INVITE", 1, NULL, NULL);
	reply(&c, ALG_GUEST, 200, "INVITE", 1, "g", talk_sdp(GUEST, 5004));
	expect_told(&c, LATENT(1, 5004));
	ask(&c, ALG_OUTSIDE, "ACK", 2, "g", talk_sdp(TWO, 6000));
	expect_told(&c, "");
	ask(&c, ALG_OUTSIDE, "ACK", 1, "h", talk_sdp(TWO, 6000));
	expect_told(&c, "");
	ask(&c, ALG_OUTSIDE, "ACK", 1, "g", talk_sdp(ONE, 6000));
	expect_told(&c, "arm 1 " ONE);
	ask(&c, ALG_OUTSIDE, "ACK", 1, "g", talk_sdp(ONE, 6000));
	expect_told(&c, "");
	harness_free(h);
}

Test(sip_dialog, prack_answers_what_a_183_offered_and_offers_again)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, NULL);
	reply(&c, ALG_OUTSIDE, 183, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	ask(&c, ALG_GUEST, "PRACK", 2, "x", talk_sdp(GUEST, 5004));
	expect_told(&c, "wish 1 5004 open " ONE);
	expect_heard(&c, ALG_GUEST, "m=audio 40000 ");
	reply(&c, ALG_OUTSIDE, 200, "PRACK", 2, "x", NULL);
	expect_told(&c, "");
	ask(&c, ALG_GUEST, "PRACK", 3, "x", talk_sdp(GUEST, 5010));
	expect_told(&c, LATENT(2, 5010));
	reply(&c, ALG_OUTSIDE, 200, "PRACK", 3, "x", talk_sdp(TWO, 6000));
	expect_told(&c, "arm 2 " TWO);
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", NULL);
	expect_told(&c, "keep 2; close 1");
	harness_free(h);
}

Test(sip_dialog, prack_of_the_far_end_answers_the_guests_183)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_OUTSIDE, "1@provider");
	ask(&c, ALG_OUTSIDE, "INVITE", 1, NULL, NULL);
	reply(&c, ALG_GUEST, 183, "INVITE", 1, "g", talk_sdp(GUEST, 5004));
	expect_told(&c, LATENT(1, 5004));
	ask(&c, ALG_OUTSIDE, "PRACK", 2, "g", talk_sdp(ONE, 6000));
	expect_told(&c, "arm 1 " ONE);
	reply(&c, ALG_GUEST, 200, "PRACK", 2, "g", NULL);
	reply(&c, ALG_GUEST, 200, "INVITE", 1, "g", NULL);
	ask(&c, ALG_OUTSIDE, "ACK", 1, "g", NULL);
	expect_told(&c, "keep 1");
	harness_free(h);
}

Test(sip_dialog, update_moves_media_before_the_call_is_answered)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	reply(&c, ALG_OUTSIDE, 183, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	expect_told(&c, LATENT(1, 5004) "; arm 1 " ONE);
	ask(&c, ALG_GUEST, "UPDATE", 2, "x", talk_sdp(GUEST, 5010));
	expect_told(&c, LATENT(2, 5010));
	reply(&c, ALG_OUTSIDE, 200, "UPDATE", 2, "x", talk_sdp(TWO, 6000));
	expect_told(&c, "arm 2 " TWO);
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	expect_told(&c, "keep 2; close 1");
	ask(&c, ALG_OUTSIDE, "UPDATE", 1, "x", talk_sdp(THREE, 6000));
	reply(&c, ALG_GUEST, 200, "UPDATE", 1, "x", talk_sdp(GUEST, 5010));
	expect_told(&c, "arm 2 " THREE);
	harness_free(h);
}

/* ---- media that move ---- */

Test(sip_dialog, a_reinvite_to_another_port_keeps_the_old_one_until_its_2xx)
{
	struct harness *h = begin();
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

Test(sip_dialog, an_error_to_a_reinvite_closes_what_was_new)
{
	struct harness *h = begin();
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

Test(sip_dialog, a_reinvite_to_the_same_port_opens_nothing_and_follows_the_far_end)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	ask(&c, ALG_GUEST, "INVITE", 2, "x", talk_sdp(GUEST, 5004));
	expect_told(&c, "");
	expect_heard(&c, ALG_GUEST, "m=audio 40000 ");
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 2, "x", talk_sdp(TWO, 6000));
	expect_told(&c, "arm 1 " TWO);
	harness_free(h);
}

Test(sip_dialog, the_far_end_moves_holds_and_resumes)
{
	struct harness *h = begin();
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

Test(sip_dialog, a_far_end_that_names_no_address_is_its_own)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_OUTSIDE, "1@provider");
	ask(&c, ALG_OUTSIDE, "INVITE", 1, NULL,
		"v=0\r\no=- 1 1 IN IP4 media.example.com\r\ns=-\r\nc=IN IP4 media.example.com\r\n"
		"t=0 0\r\nm=audio 6000 RTP/AVP 0\r\n");
	reply(&c, ALG_GUEST, 200, "INVITE", 1, "g", talk_sdp(GUEST, 5004));
	expect_told(&c, "wish 1 5004 open " PEER);
	harness_free(h);
}

Test(sip_dialog, fax_takes_the_place_of_audio_when_it_is_agreed_on)
{
	struct harness *h = begin();
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

/* ---- calls that do not come about ---- */

Test(sip_dialog, a_request_with_credentials_has_the_pinhole_of_the_first)
{
	static const unsigned int codes[] = {401, 407, 422, 302};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct harness *h = begin();
		struct call c = talk_call(h, ALG_GUEST, "1@pc");
		ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
		expect_told(&c, LATENT(1, 5004));
		reply(&c, ALG_OUTSIDE, codes[i], "INVITE", 1, "proxy", NULL);
		ask(&c, ALG_GUEST, "ACK", 1, "proxy", NULL);
		expect_told(&c, "");
		ask(&c, ALG_GUEST, "INVITE", 2, NULL, talk_sdp(GUEST, 5004));
		expect_told(&c, "");
		expect_heard(&c, ALG_GUEST, "m=audio 40000 ");
		reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp(ONE, 6000));
		expect_told(&c, "");
		reply(&c, ALG_OUTSIDE, 200, "INVITE", 2, "x", talk_sdp(ONE, 6000));
		expect_told(&c, "arm 1 " ONE);
		harness_free(h);
	}
}

Test(sip_dialog, a_refused_call_has_nothing_left)
{
	static const unsigned int codes[] = {486, 500, 603, 404};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct harness *h = begin();
		struct call c = talk_call(h, ALG_GUEST, "1@pc");
		ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
		reply(&c, ALG_OUTSIDE, 183, "INVITE", 1, "x", talk_sdp(ONE, 6000));
		reply(&c, ALG_OUTSIDE, codes[i], "INVITE", 1, "x", NULL);
		expect_told(&c, LATENT(1, 5004) "; arm 1 " ONE "; close 1");
		cr_expect_eq(harness_calls()->flow[h->flow.view.id].calls, 0);
		harness_free(h);
	}
}

Test(sip_dialog, cancel_ends_with_the_487_that_follows)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	reply(&c, ALG_OUTSIDE, 180, "INVITE", 1, "x", NULL);
	ask(&c, ALG_GUEST, "CANCEL", 1, NULL, NULL);
	reply(&c, ALG_OUTSIDE, 200, "CANCEL", 1, "x", NULL);
	expect_told(&c, LATENT(1, 5004) "; keep 1");
	reply(&c, ALG_OUTSIDE, 487, "INVITE", 1, "x", NULL);
	expect_told(&c, "close 1");
	struct call d = talk_call(h, ALG_OUTSIDE, "2@provider");
	d.wishes = h->wishes, d.acts = h->acts;
	ask(&d, ALG_OUTSIDE, "INVITE", 1, NULL, talk_sdp(ONE, 6000));
	reply(&d, ALG_GUEST, 183, "INVITE", 1, "g", talk_sdp(GUEST, 5004));
	ask(&d, ALG_OUTSIDE, "CANCEL", 1, NULL, NULL);
	reply(&d, ALG_GUEST, 200, "CANCEL", 1, "g", NULL);
	expect_told(&d, "wish 2 5004 open " ONE);
	reply(&d, ALG_GUEST, 487, "INVITE", 1, "g", NULL);
	expect_told(&d, "close 2");
	harness_free(h);
}

Test(sip_dialog, an_error_after_the_call_was_answered_means_nothing)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	reply(&c, ALG_OUTSIDE, 486, "INVITE", 1, "x", NULL);
	reply(&c, ALG_OUTSIDE, 487, "INVITE", 1, "y", NULL);
	expect_told(&c, "");
	harness_free(h);
}

/* ---- forks ---- */

Test(sip_dialog, forks_have_pinholes_of_their_own_and_one_port)
{
	struct harness *h = begin();
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
	cr_expect_eq(harness_calls()->flow[h->flow.view.id].calls, 0, "z never took the call");
	harness_free(h);
}

Test(sip_dialog, who_did_not_take_the_call_is_forgotten_after_a_while)
{
	struct harness *h = begin();
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

Test(sip_dialog, more_forks_than_there_is_room_for_take_the_place_of_early_ones)
{
	struct harness *h = begin();
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

/* ---- who is believed ---- */

Test(sip_dialog, a_response_counts_only_for_the_request_that_it_answers)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc"), d;
	ask(&c, ALG_GUEST, "INVITE", 5, NULL, talk_sdp(GUEST, 5004));
	expect_told(&c, LATENT(1, 5004));
	const char *sdp = talk_sdp(ONE, 6000);
	d = c, d.id = "2@pc";
	reply(&d, ALG_OUTSIDE, 200, "INVITE", 5, "x", sdp);
	d = c, d.tag = "other";
	reply(&d, ALG_OUTSIDE, 200, "INVITE", 5, "x", sdp);
	d = c, d.branch = "z9hG4bKother";
	reply(&d, ALG_OUTSIDE, 200, "INVITE", 5, "x", sdp);
	d = c, d.branch = "z9hG4bK0INVITE5";
	reply(&d, ALG_OUTSIDE, 200, "UPDATE", 5, "x", sdp);
	reply(&d, ALG_OUTSIDE, 200, "invite", 5, "x", sdp);
	reply(&d, ALG_OUTSIDE, 200, "INVITE", 6, "x", sdp);
	reply(&d, ALG_OUTSIDE, 200, "INVITE", 4, "x", sdp);
	reply(&d, ALG_OUTSIDE, 200, "INVITE", 5, NULL, sdp);
	reply(&d, ALG_OUTSIDE, 100, "INVITE", 5, "x", sdp);
	reply(&d, ALG_GUEST, 200, "INVITE", 5, "x", sdp);
	expect_told(&c, "");
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 5, "x", sdp);
	expect_told(&c, "arm 1 " ONE);
	harness_free(h);
}

Test(sip_dialog, nobody_ends_a_call_of_which_he_does_not_know_the_tags)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc"), d;
	talk_established(&c, "x", 5004, ONE);
	for (int caller = 0; caller < 2; caller++) {
		d = c, d.caller = (enum alg_direction)caller, d.tag = "guessed";
		ask(&d, ALG_OUTSIDE, "INVITE", 1, NULL, talk_sdp(THREE, 6000));
		reply(&d, ALG_GUEST, 486, "INVITE", 1, "g", NULL);
		ask(&d, ALG_OUTSIDE, "BYE", 2, "x", NULL);
		reply(&d, ALG_GUEST, 481, "BYE", 2, "x", NULL);
		d.tag = c.tag;
		ask(&d, ALG_OUTSIDE, "BYE", 3, "guessed", NULL);
		reply(&d, ALG_GUEST, 481, "BYE", 3, "guessed", NULL);
		ask(&d, ALG_OUTSIDE, "BYE", 4, NULL, NULL);
		reply(&d, ALG_GUEST, 481, "BYE", 4, NULL, NULL);
	}
	expect_told(&c, "");
	ask(&c, ALG_GUEST, "INVITE", 2, "x", talk_sdp(GUEST, 5004));
	expect_told(&c, "");
	harness_free(h);
}

/* A proxy brings the guest's own call back to it (RFC 3261 16.3, a spiral). */
Test(sip_dialog, a_call_that_comes_back_is_another_one)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc"), d = talk_call(h, ALG_OUTSIDE, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	ask(&d, ALG_OUTSIDE, "INVITE", 1, NULL, talk_sdp(OUTSIDE, 40000));
	reply(&d, ALG_GUEST, 200, "INVITE", 1, "y", talk_sdp(GUEST, 5010));
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "y", talk_sdp(OUTSIDE, 40002));
	expect_told(&c, LATENT(1, 5004) "; wish 2 5010 open " OUTSIDE "; arm 1 " OUTSIDE);
	expect_same(&c, ALG_OUTSIDE);
	ask(&d, ALG_GUEST, "BYE", 1, "y", NULL);
	reply(&d, ALG_OUTSIDE, 200, "BYE", 1, "y", NULL);
	expect_told(&c, "close 2");
	ask(&c, ALG_GUEST, "BYE", 2, "y", NULL);
	reply(&c, ALG_OUTSIDE, 200, "BYE", 2, "y", NULL);
	expect_told(&c, "close 1");
	harness_free(h);
}

Test(sip_dialog, a_guest_that_is_not_named_as_itself_opens_nothing)
{
	static const struct {
		const char *via, *contact;
	} others[] = {
		{"192.168.30.11", NULL},
		{"pc.example.com", NULL},
		{NULL, "192.168.30.11"},
		{NULL, "pc.example.com"},
		{PEER, PEER},
	};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct harness *h = begin();
		struct call c = talk_call(h, ALG_GUEST, "1@pc");
		c.via = others[i].via, c.contact = others[i].contact;
		ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
		reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp(ONE, 6000));
		expect_told(&c, "");
		expect_heard(&c, ALG_GUEST, "c=IN IP4 " GUEST "\r\nt=0 0\r\nm=audio 5004 ");
		c.contact = NULL;
		ask(&c, ALG_GUEST, "PRACK", 2, "x", talk_sdp(GUEST, 5004));
		if (c.via)
			expect_told(&c, "");
		harness_free(h);
	}
}

Test(sip_dialog, descriptions_of_other_methods_open_nothing)
{
	static const char *const methods[] = {"MESSAGE", "OPTIONS", "NOTIFY", "REFER", "REGISTER",
		"SUBSCRIBE", "PUBLISH", "INVITATION", "CANCEL", "ACK", "BYE"};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		struct harness *h = begin();
		struct call c = talk_call(h, ALG_GUEST, "1@pc");
		ask(&c, ALG_GUEST, methods[i], 1, NULL, talk_sdp(GUEST, 5004));
		reply(&c, ALG_OUTSIDE, 200, methods[i], 1, "x", talk_sdp(ONE, 6000));
		ask(&c, ALG_OUTSIDE, methods[i], 1, "x", talk_sdp(ONE, 6000));
		reply(&c, ALG_GUEST, 200, methods[i], 1, "x", talk_sdp(GUEST, 5004));
		expect_told(&c, "");
		harness_free(h);
	}
}

Test(sip_dialog, an_answer_that_nobody_asked_for_opens_nothing)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_OUTSIDE, "1@provider");
	reply(&c, ALG_GUEST, 200, "INVITE", 1, "g", talk_sdp(GUEST, 5004));
	ask(&c, ALG_OUTSIDE, "INVITE", 1, NULL, talk_sdp(ONE, 6000));
	reply(&c, ALG_GUEST, 200, "INVITE", 2, "g", talk_sdp(GUEST, 5004));
	reply(&c, ALG_GUEST, 486, "INVITE", 1, "g", talk_sdp(GUEST, 5004));
	reply(&c, ALG_GUEST, 200, "INVITE", 1, "g", talk_sdp(GUEST, 5004));
	expect_told(&c, "");
	harness_free(h);
}

/* ---- retransmissions ---- */

Test(sip_dialog, the_same_again_is_the_same)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	char first[TALK_BYTES];
	for (int i = 0; i < 3; i++) {
		ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
		expect_told(&c, i ? "" : LATENT(1, 5004));
		cr_assert(!i || !strcmp(first, c.heard[ALG_GUEST]));
		strcpy(first, c.heard[ALG_GUEST]);
	}
	for (int i = 0; i < 3; i++) {
		reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp(ONE, 6000));
		expect_told(&c, i ? "keep 1" : "arm 1 " ONE);
		ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
		cr_assert_str_eq(first, c.heard[ALG_GUEST]);
		expect_told(&c, "");
	}
	for (int i = 0; i < 3; i++) {
		ask(&c, ALG_OUTSIDE, "INVITE", 1, "x", talk_sdp(TWO, 6000));
		expect_told(&c, "");
		reply(&c, ALG_GUEST, 200, "INVITE", 1, "x", talk_sdp(GUEST, 5004));
		expect_heard(&c, ALG_GUEST, "m=audio 40000 ");
		expect_told(&c, i ? "keep 1" : "arm 1 " TWO);
	}
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	expect_told(&c, "keep 1");
	for (int i = 0; i < 3; i++) {
		ask(&c, ALG_GUEST, "BYE", 2, "x", NULL);
		reply(&c, ALG_OUTSIDE, 200, "BYE", 2, "x", NULL);
		expect_told(&c, i ? "" : "close 1");
	}
	harness_free(h);
}

Test(sip_dialog, an_old_request_that_comes_late_changes_nothing)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	reply(&c, ALG_OUTSIDE, 407, "INVITE", 1, "p", NULL);
	ask(&c, ALG_GUEST, "INVITE", 2, NULL, talk_sdp(GUEST, 5004));
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	expect_heard(&c, ALG_GUEST, "m=audio 40000 ");
	reply(&c, ALG_OUTSIDE, 407, "INVITE", 1, "p", NULL);
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 2, "x", talk_sdp(ONE, 6000));
	expect_told(&c, LATENT(1, 5004) "; arm 1 " ONE);
	harness_free(h);
}

/* ---- what natproxy says ---- */

Test(sip_dialog, what_is_refused_leaves_the_description_as_it_was)
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

Test(sip_dialog, a_reinvite_whose_port_is_refused_leaves_the_call_its_own)
{
	struct harness *h = begin();
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

Test(sip_dialog, a_port_whose_pinhole_is_gone_is_wished_for_again)
{
	struct harness *h = begin();
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

Test(sip_dialog, a_call_may_end_while_natproxy_thinks)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	h->mode = LATER;
	ask(&c, ALG_GUEST, "BYE", 2, "x", NULL);
	ask(&c, ALG_GUEST, "INVITE", 3, "x", talk_sdp(GUEST, 5010));
	expect_told(&c, LATENT(2, 5010));
	reply(&c, ALG_OUTSIDE, 200, "BYE", 2, "x", NULL);
	expect_told(&c, "close 1");
	harness_answer(h, true);
	expect_told(&c, "");
	reply(&c, ALG_OUTSIDE, 481, "INVITE", 3, "x", NULL);
	expect_told(&c, "close 2");
	harness_free(h);
}

Test(sip_dialog, where_the_operator_says_so_the_first_one_who_speaks_is_let_in)
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

/* ---- several calls ---- */

Test(sip_dialog, an_attended_transfer_ends_the_call_that_is_replaced_and_no_other)
{
	struct harness *h = begin();
	struct call a = talk_call(h, ALG_GUEST, "1@pc"), b = talk_call(h, ALG_GUEST, "2@pc");
	talk_established(&a, "x", 5004, ONE);
	b.wishes = h->wishes, b.acts = h->acts;
	talk_established(&b, "y", 5010, TWO);
	a.more =
		"Refer-To: <sip:b@example.com?Replaces=2%40pc%3Bto-tag%3Dy%3Bfrom-tag%3Dbegan>\r\n";
	ask(&a, ALG_GUEST, "REFER", 2, "x", NULL);
	expect_heard(&a, ALG_GUEST, "?Replaces=2%40pc%3Bto-tag%3Dy%3Bfrom-tag%3Dbegan>\r\n");
	reply(&a, ALG_OUTSIDE, 202, "REFER", 2, "x", NULL);
	struct call d = talk_call(h, ALG_OUTSIDE, "3@provider");
	a.wishes = h->wishes, a.acts = h->acts;
	d.more = "Replaces: 1@pc;to-tag=began;from-tag=x\r\n";
	ask(&d, ALG_OUTSIDE, "INVITE", 1, NULL, talk_sdp(THREE, 6000));
	expect_same(&d, ALG_OUTSIDE);
	reply(&d, ALG_GUEST, 200, "INVITE", 1, "g", talk_sdp(GUEST, 5004));
	expect_told(&a, "wish 3 5004 open " THREE);
	expect_heard(&d, ALG_GUEST, "m=audio 40000 ");
	ask(&a, ALG_GUEST, "BYE", 3, "x", NULL);
	reply(&a, ALG_OUTSIDE, 200, "BYE", 3, "x", NULL);
	expect_told(&a, "close 1");
	harness_free(h);
}

Test(sip_dialog, a_dialog_that_began_before_we_looked_goes_on)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc"),
		    d = talk_call(h, ALG_OUTSIDE, "2@provider");
	ask(&c, ALG_OUTSIDE, "INVITE", 9, "x", talk_sdp(ONE, 6000));
	reply(&c, ALG_GUEST, 200, "INVITE", 9, "x", talk_sdp(GUEST, 5004));
	expect_told(&c, "wish 1 5004 open " ONE);
	ask(&d, ALG_GUEST, "UPDATE", 9, "x", talk_sdp(GUEST, 5010));
	reply(&d, ALG_OUTSIDE, 200, "UPDATE", 9, "x", talk_sdp(TWO, 6000));
	expect_told(&c, LATENT(2, 5010) "; arm 2 " TWO);
	ask(&c, ALG_GUEST, "BYE", 1, "x", NULL);
	reply(&c, ALG_OUTSIDE, 200, "BYE", 1, "x", NULL);
	expect_told(&c, "close 1");
	harness_free(h);
}

/* Calls of a trunk: each with media, and one that ends ends alone. */
Test(sip_dialog, a_trunk_has_thousands_of_calls)
{
	enum { CALLS = 64, ROUNDS = 16 };
	struct harness *h[ROUNDS];
	struct alg_flow view = talk_view();
	char id[32];
	for (int i = 0; i < ROUNDS; i++) {
		view.id = 7; /* each round is a piece of the same flow */
		h[i] = calloc(1, sizeof(*h[i]));
		h[i]->pool = i ? h[0]->pool : calloc(1, sizeof(*h[i]->pool));
		if (!i)
			stream_pool_init(h[i]->pool);
		view.sip = harness_calls();
		stream_begin(&h[i]->flow, &sip_protocol, &view, 0);
		for (unsigned int n = 0; n < CALLS; n++) {
			struct call c = talk_call(h[i], ALG_GUEST, id);
			snprintf(id, sizeof(id), "%d-%u@pbx", i, n);
			talk_established(&c, "x", 10000 + 2 * n, ONE);
			h[i]->way[0].in_bytes = h[i]->way[0].passed = h[i]->way[0].out_bytes = 0;
			h[i]->way[1].in_bytes = h[i]->way[1].passed = h[i]->way[1].out_bytes = 0;
			h[i]->flow.side[0].at = h[i]->flow.side[1].at = 0;
		}
		cr_expect_eq(h[i]->wishes, CALLS);
		cr_expect_eq(harness_count(h[i], ALG_ARM, 0), CALLS);
	}
	cr_expect_eq(harness_calls()->flow[7].calls, CALLS * ROUNDS);
	struct call c = talk_call(h[3], ALG_GUEST, "3-9@pbx");
	c.wishes = h[3]->wishes, c.acts = h[3]->acts;
	ask(&c, ALG_GUEST, "BYE", 2, "x", NULL);
	reply(&c, ALG_OUTSIDE, 200, "BYE", 2, "x", NULL);
	expect_told(&c, "close 202");
	cr_expect_eq(harness_calls()->flow[7].calls, CALLS * ROUNDS - 1);
	stream_end(h[0]->pool, &h[0]->flow);
	cr_expect_eq(harness_calls()->flow[7].calls, 0);
	for (int i = 0; i < ROUNDS; i++)
		free(h[i]);
}

/* ---- how long the guest is to be found ---- */

static void answer_with(struct call *c, const char *method, unsigned int number, const char *more)
{
	ask(c, ALG_GUEST, method, number, NULL, NULL);
	c->more = more;
	reply(c, ALG_OUTSIDE, 200, method, number, "x", NULL);
}

Test(sip_dialog, what_is_registered_is_held_as_long_as_was_granted)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "REGISTER", 1, NULL, NULL);
	reply(&c, ALG_OUTSIDE, 401, "REGISTER", 1, "x", NULL);
	c.more = "Expires: 9000\r\n";
	reply(&c, ALG_OUTSIDE, 200, "REGISTER", 1, "x", NULL);
	cr_expect_eq(h->hold_ms, 0, "that was answered before");
	answer_with(&c, "REGISTER", 2, "Contact: <sip:c@" OUTSIDE ":41000>;expires=600\r\n");
	cr_expect_eq(h->hold_ms, 600000);
	h->flow.view.now_ms += 100000;
	answer_with(&c, "SUBSCRIBE", 3, "Expires: 60\r\n");
	cr_expect_eq(h->hold_ms, 500000, "the longer one counts");
	answer_with(&c, "PUBLISH", 4, "Expires: 1000\r\n");
	cr_expect_eq(h->hold_ms, 1000000);
	h->hold_ms = 0;
	ask(&c, ALG_OUTSIDE, "REGISTER", 5, NULL, NULL);
	c.more = "Expires: 9000\r\n";
	reply(&c, ALG_GUEST, 200, "REGISTER", 5, "x", NULL);
	ask(&c, ALG_GUEST, "REGISTER", 6, NULL, NULL);
	c.more = "Expires: 9000\r\n", c.branch = "z9hG4bKother";
	reply(&c, ALG_OUTSIDE, 200, "REGISTER", 6, "x", NULL);
	c.branch = NULL;
	answer_with(&c, "REGISTER", 7, "Expires: 0\r\n");
	answer_with(&c, "MESSAGE", 8, "Expires: 9000\r\n");
	cr_expect_eq(h->hold_ms, 0);
	expect_told(&c, "");
	cr_expect_eq(harness_calls()->flow[h->flow.view.id].calls, 1, "of the REGISTER that waits");
	harness_free(h);
}

Test(sip_dialog, a_call_is_held_until_its_session_should_have_been_refreshed)
{
	struct harness *h = begin();
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	reply(&c, ALG_OUTSIDE, 183, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	cr_expect_eq(h->hold_ms, 0);
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp(ONE, 6000));
	cr_expect_eq(h->hold_ms, 1832000);
	harness_free(h);
}
