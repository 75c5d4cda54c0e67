/*
 * What becomes of pinholes: a test a rule, each a whole dialogue.
 */
#include "sip_steps.h"

TestSuite(sip_dialog, .init = begin, .fini = end);

/* ---- the plain call ---- */

Test(sip_dialog, a_guest_calls_and_hangs_up)
{
	guest_invites(&ours, 1, NULL, 5004);
	expect_told(&ours, LATENT(1, 5004));
	cr_expect(h->wish[0].kind == ALG_UDP_PAIR && h->wish[0].lifetime_ms == 180000);
	expect_heard(&ours, ALG_GUEST, "m=audio 40000 RTP/AVP 0");
	expect_heard(&ours, ALG_GUEST, "c=IN IP4 " OUTSIDE "\r\n");
	reply(&ours, ALG_OUTSIDE, 100, "INVITE", 1, NULL, NULL);
	expect_told(&ours, "");
	reply(&ours, ALG_OUTSIDE, 180, "INVITE", 1, "x", NULL);
	expect_told(&ours, "keep 1");
	far_answers(&ours, 183, 1, "x", ONE);
	expect_told(&ours, "arm 1 " ONE);
	far_answers(&ours, 200, 1, "x", ONE);
	expect_told(&ours, "keep 1");
	ask(&ours, ALG_GUEST, "ACK", 1, "x", NULL);
	ask(&ours, ALG_GUEST, "BYE", 2, "x", NULL);
	expect_told(&ours, "");
	reply(&ours, ALG_OUTSIDE, 200, "BYE", 2, "x", NULL);
	expect_told(&ours, "close 1");
	expect_no_calls();
}

Test(sip_dialog, a_guest_is_called_and_the_far_end_hangs_up)
{
	far_invites(&theirs, 7, NULL, ONE);
	reply(&theirs, ALG_GUEST, 100, "INVITE", 7, NULL, NULL);
	reply(&theirs, ALG_GUEST, 180, "INVITE", 7, "g", NULL);
	expect_told(&theirs, "");
	guest_answers(&theirs, 200, 7, "g", 5004);
	expect_told(&theirs, "wish 1 5004 open " ONE);
	expect_heard(&theirs, ALG_GUEST, "m=audio 40000 RTP/AVP 0");
	ask(&theirs, ALG_OUTSIDE, "ACK", 7, "g", NULL);
	ask(&theirs, ALG_OUTSIDE, "BYE", 8, "g", NULL);
	expect_told(&theirs, "");
	reply(&theirs, ALG_GUEST, 200, "BYE", 8, "g", NULL);
	expect_told(&theirs, "close 1");
	expect_no_calls();
}

Test(sip_dialog, either_side_of_either_call_may_hang_up)
{
	talk_established(&ours, "x", 5004, ONE);
	hangs_up(&ours, ALG_OUTSIDE, 1, "x");
	expect_told(&ours, "close 1");
	struct call d = talk_call(h, ALG_OUTSIDE, "2@provider");
	d.wishes = h->wishes, d.acts = h->acts;
	far_invites(&d, 1, NULL, ONE);
	guest_answers(&d, 200, 1, "g", 5004);
	ask(&d, ALG_GUEST, "BYE", 1, "g", NULL);
	reply(&d, ALG_OUTSIDE, 481, "BYE", 1, "g", NULL);
	expect_told(&d, "wish 2 5004 open " ONE "; close 2");
}

Test(sip_dialog, a_bye_that_is_asked_for_credentials_ends_nothing_yet)
{
	talk_established(&ours, "x", 5004, ONE);
	ask(&ours, ALG_GUEST, "BYE", 2, "x", NULL);
	reply(&ours, ALG_OUTSIDE, 407, "BYE", 2, "x", NULL);
	expect_told(&ours, "");
	hangs_up(&ours, ALG_GUEST, 3, "x");
	expect_told(&ours, "close 1");
}

/* ---- offers in other places ---- */

Test(sip_dialog, the_far_end_offers_in_its_2xx_and_the_guest_answers_in_ack)
{
	ask(&ours, ALG_GUEST, "INVITE", 1, NULL, NULL);
	far_answers(&ours, 200, 1, "x", ONE);
	expect_told(&ours, "");
	ask(&ours, ALG_GUEST, "ACK", 1, "x", talk_sdp(GUEST, 5004));
	expect_told(&ours, "wish 1 5004 open " ONE);
	expect_heard(&ours, ALG_GUEST, "m=audio 40000 ");
	far_answers(&ours, 200, 1, "x", ONE);
	ask(&ours, ALG_GUEST, "ACK", 1, "x", talk_sdp(GUEST, 5004));
	expect_told(&ours, "keep 1");
	expect_heard(&ours, ALG_GUEST, "m=audio 40000 ");
	hangs_up(&ours, ALG_GUEST, 2, "x");
	expect_told(&ours, "close 1");
}

Test(sip_dialog, the_guest_offers_in_its_2xx_and_the_far_end_answers_in_ack)
{
	ask(&theirs, ALG_OUTSIDE, "INVITE", 1, NULL, NULL);
	guest_answers(&theirs, 200, 1, "g", 5004);
	expect_told(&theirs, LATENT(1, 5004));
	ask(&theirs, ALG_OUTSIDE, "ACK", 2, "g", talk_sdp(TWO, 6000));
	expect_told(&theirs, "");
	ask(&theirs, ALG_OUTSIDE, "ACK", 1, "h", talk_sdp(TWO, 6000));
	expect_told(&theirs, "");
	ask(&theirs, ALG_OUTSIDE, "ACK", 1, "g", talk_sdp(ONE, 6000));
	expect_told(&theirs, "arm 1 " ONE);
	ask(&theirs, ALG_OUTSIDE, "ACK", 1, "g", talk_sdp(ONE, 6000));
	expect_told(&theirs, "");
}

Test(sip_dialog, prack_answers_what_a_183_offered_and_offers_again)
{
	ask(&ours, ALG_GUEST, "INVITE", 1, NULL, NULL);
	far_answers(&ours, 183, 1, "x", ONE);
	ask(&ours, ALG_GUEST, "PRACK", 2, "x", talk_sdp(GUEST, 5004));
	expect_told(&ours, "wish 1 5004 open " ONE);
	expect_heard(&ours, ALG_GUEST, "m=audio 40000 ");
	reply(&ours, ALG_OUTSIDE, 200, "PRACK", 2, "x", NULL);
	expect_told(&ours, "");
	ask(&ours, ALG_GUEST, "PRACK", 3, "x", talk_sdp(GUEST, 5010));
	expect_told(&ours, LATENT(2, 5010));
	reply(&ours, ALG_OUTSIDE, 200, "PRACK", 3, "x", talk_sdp(TWO, 6000));
	expect_told(&ours, "arm 2 " TWO);
	reply(&ours, ALG_OUTSIDE, 200, "INVITE", 1, "x", NULL);
	expect_told(&ours, "keep 2; close 1");
}

Test(sip_dialog, prack_of_the_far_end_answers_the_guests_183)
{
	ask(&theirs, ALG_OUTSIDE, "INVITE", 1, NULL, NULL);
	guest_answers(&theirs, 183, 1, "g", 5004);
	expect_told(&theirs, LATENT(1, 5004));
	ask(&theirs, ALG_OUTSIDE, "PRACK", 2, "g", talk_sdp(ONE, 6000));
	expect_told(&theirs, "arm 1 " ONE);
	reply(&theirs, ALG_GUEST, 200, "PRACK", 2, "g", NULL);
	reply(&theirs, ALG_GUEST, 200, "INVITE", 1, "g", NULL);
	ask(&theirs, ALG_OUTSIDE, "ACK", 1, "g", NULL);
	expect_told(&theirs, "keep 1");
}

Test(sip_dialog, update_moves_media_before_the_call_is_answered)
{
	guest_invites(&ours, 1, NULL, 5004);
	far_answers(&ours, 183, 1, "x", ONE);
	expect_told(&ours, LATENT(1, 5004) "; arm 1 " ONE);
	ask(&ours, ALG_GUEST, "UPDATE", 2, "x", talk_sdp(GUEST, 5010));
	expect_told(&ours, LATENT(2, 5010));
	reply(&ours, ALG_OUTSIDE, 200, "UPDATE", 2, "x", talk_sdp(TWO, 6000));
	expect_told(&ours, "arm 2 " TWO);
	far_answers(&ours, 200, 1, "x", ONE);
	expect_told(&ours, "keep 2; close 1");
	ask(&ours, ALG_OUTSIDE, "UPDATE", 1, "x", talk_sdp(THREE, 6000));
	reply(&ours, ALG_GUEST, 200, "UPDATE", 1, "x", talk_sdp(GUEST, 5010));
	expect_told(&ours, "arm 2 " THREE);
}

/* UPDATE is answered while nobody has taken the call yet (RFC 3311 5.1): that ends with the INVITE all the same. */
Test(sip_dialog, an_update_before_the_call_is_taken_does_not_take_it)
{
	guest_invites(&ours, 1, NULL, 5004);
	far_answers(&ours, 183, 1, "y", TWO);
	far_answers(&ours, 183, 1, "x", ONE);
	expect_told(&ours, LATENT(1, 5004) "; wish 2 5004 open " ONE "; arm 1 " TWO "; keep 1");
	ask(&ours, ALG_OUTSIDE, "UPDATE", 1, "x", talk_sdp(THREE, 6000));
	reply(&ours, ALG_GUEST, 200, "UPDATE", 1, "x", talk_sdp(GUEST, 5004));
	expect_told(&ours, "arm 2 " THREE);
	cr_expect_eq(harness_calls()->call[1].answered_ms, 0);
	h->flow.view.now_ms += 32001;
	reply(&ours, ALG_OUTSIDE, 180, "INVITE", 1, "y", NULL);
	expect_told(&ours, "keep 1");
	reply(&ours, ALG_OUTSIDE, 486, "INVITE", 1, "y", NULL);
	expect_told(&ours, "close 1; close 2");
	expect_no_calls();
}

/* ---- calls that do not come about ---- */

Test(sip_dialog, a_request_with_credentials_has_the_pinhole_of_the_first)
{
	static const unsigned int codes[] = {401, 407, 422, 302};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		guest_invites(&ours, 1, NULL, 5004);
		expect_told(&ours, LATENT(1, 5004));
		reply(&ours, ALG_OUTSIDE, codes[i], "INVITE", 1, "proxy", NULL);
		ask(&ours, ALG_GUEST, "ACK", 1, "proxy", NULL);
		expect_told(&ours, "");
		guest_invites(&ours, 2, NULL, 5004);
		expect_told(&ours, "");
		expect_heard(&ours, ALG_GUEST, "m=audio 40000 ");
		far_answers(&ours, 200, 1, "x", ONE);
		expect_told(&ours, "");
		far_answers(&ours, 200, 2, "x", ONE);
		expect_told(&ours, "arm 1 " ONE);
		begin_again();
	}
}

Test(sip_dialog, a_refused_call_has_nothing_left)
{
	static const unsigned int codes[] = {486, 500, 603, 404};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		guest_invites(&ours, 1, NULL, 5004);
		far_answers(&ours, 183, 1, "x", ONE);
		reply(&ours, ALG_OUTSIDE, codes[i], "INVITE", 1, "x", NULL);
		expect_told(&ours, LATENT(1, 5004) "; arm 1 " ONE "; close 1");
		expect_no_calls();
		begin_again();
	}
}

Test(sip_dialog, cancel_ends_with_the_487_that_follows)
{
	guest_invites(&ours, 1, NULL, 5004);
	reply(&ours, ALG_OUTSIDE, 180, "INVITE", 1, "x", NULL);
	ask(&ours, ALG_GUEST, "CANCEL", 1, NULL, NULL);
	reply(&ours, ALG_OUTSIDE, 200, "CANCEL", 1, "x", NULL);
	expect_told(&ours, LATENT(1, 5004) "; keep 1");
	reply(&ours, ALG_OUTSIDE, 487, "INVITE", 1, "x", NULL);
	expect_told(&ours, "close 1");
	struct call d = talk_call(h, ALG_OUTSIDE, "2@provider");
	d.wishes = h->wishes, d.acts = h->acts;
	far_invites(&d, 1, NULL, ONE);
	guest_answers(&d, 183, 1, "g", 5004);
	ask(&d, ALG_OUTSIDE, "CANCEL", 1, NULL, NULL);
	reply(&d, ALG_GUEST, 200, "CANCEL", 1, "g", NULL);
	expect_told(&d, "wish 2 5004 open " ONE);
	reply(&d, ALG_GUEST, 487, "INVITE", 1, "g", NULL);
	expect_told(&d, "close 2");
}

Test(sip_dialog, an_error_after_the_call_was_answered_means_nothing)
{
	talk_established(&ours, "x", 5004, ONE);
	reply(&ours, ALG_OUTSIDE, 486, "INVITE", 1, "x", NULL);
	reply(&ours, ALG_OUTSIDE, 487, "INVITE", 1, "y", NULL);
	expect_told(&ours, "");
}

/* ---- who is believed ---- */

Test(sip_dialog, a_response_counts_only_for_the_request_that_it_answers)
{
	struct call d;
	guest_invites(&ours, 5, NULL, 5004);
	expect_told(&ours, LATENT(1, 5004));
	const char *sdp = talk_sdp(ONE, 6000);
	d = ours, d.id = "2@pc";
	reply(&d, ALG_OUTSIDE, 200, "INVITE", 5, "x", sdp);
	d = ours, d.tag = "other";
	reply(&d, ALG_OUTSIDE, 200, "INVITE", 5, "x", sdp);
	d = ours, d.branch = "z9hG4bKother";
	reply(&d, ALG_OUTSIDE, 200, "INVITE", 5, "x", sdp);
	d = ours, d.branch = "z9hG4bK0INVITE5";
	reply(&d, ALG_OUTSIDE, 200, "UPDATE", 5, "x", sdp);
	reply(&d, ALG_OUTSIDE, 200, "invite", 5, "x", sdp);
	reply(&d, ALG_OUTSIDE, 200, "INVITE", 6, "x", sdp);
	reply(&d, ALG_OUTSIDE, 200, "INVITE", 4, "x", sdp);
	reply(&d, ALG_OUTSIDE, 200, "INVITE", 5, NULL, sdp);
	reply(&d, ALG_OUTSIDE, 100, "INVITE", 5, "x", sdp);
	reply(&d, ALG_GUEST, 200, "INVITE", 5, "x", sdp);
	expect_told(&ours, "");
	reply(&ours, ALG_OUTSIDE, 200, "INVITE", 5, "x", sdp);
	expect_told(&ours, "arm 1 " ONE);
}

Test(sip_dialog, nobody_ends_a_call_of_which_he_does_not_know_the_tags)
{
	struct call d;
	talk_established(&ours, "x", 5004, ONE);
	for (int caller = 0; caller < 2; caller++) {
		d = ours, d.caller = (enum alg_direction)caller, d.tag = "guessed";
		far_invites(&d, 1, NULL, THREE);
		reply(&d, ALG_GUEST, 486, "INVITE", 1, "g", NULL);
		ask(&d, ALG_OUTSIDE, "BYE", 2, "x", NULL);
		reply(&d, ALG_GUEST, 481, "BYE", 2, "x", NULL);
		d.tag = ours.tag;
		ask(&d, ALG_OUTSIDE, "BYE", 3, "guessed", NULL);
		reply(&d, ALG_GUEST, 481, "BYE", 3, "guessed", NULL);
		ask(&d, ALG_OUTSIDE, "BYE", 4, NULL, NULL);
		reply(&d, ALG_GUEST, 481, "BYE", 4, NULL, NULL);
	}
	expect_told(&ours, "");
	guest_invites(&ours, 2, "x", 5004);
	expect_told(&ours, "");
}

Test(sip_dialog, one_dialog_does_not_answer_for_another)
{
	talk_established(&ours, "x", 5004, ONE);
	far_answers(&ours, 200, 1, "y", TWO);
	expect_told(&ours, "wish 2 5004 open " TWO);
	guest_invites(&ours, 2, "x", 5010);
	expect_told(&ours, LATENT(3, 5010));
	far_answers(&ours, 200, 2, "y", TWO);
	ask(&ours, ALG_GUEST, "BYE", 3, "x", NULL);
	reply(&ours, ALG_OUTSIDE, 200, "BYE", 3, "y", NULL);
	expect_told(&ours, "");
	reply(&ours, ALG_OUTSIDE, 200, "BYE", 3, "x", NULL);
	expect_told(&ours, "close 1; close 3");
}

/* A proxy brings the guest's own call back to it (RFC 3261 16.3, a spiral). */
Test(sip_dialog, a_call_that_comes_back_is_another_one)
{
	struct call d = talk_call(h, ALG_OUTSIDE, "1@pc");
	guest_invites(&ours, 1, NULL, 5004);
	ask(&d, ALG_OUTSIDE, "INVITE", 1, NULL, talk_sdp(OUTSIDE, 40000));
	guest_answers(&d, 200, 1, "y", 5010);
	reply(&ours, ALG_OUTSIDE, 200, "INVITE", 1, "y", talk_sdp(OUTSIDE, 40002));
	expect_told(&ours, LATENT(1, 5004) "; wish 2 5010 open " OUTSIDE "; arm 1 " OUTSIDE);
	expect_same(&ours, ALG_OUTSIDE);
	hangs_up(&d, ALG_GUEST, 1, "y");
	expect_told(&ours, "close 2");
	hangs_up(&ours, ALG_GUEST, 2, "y");
	expect_told(&ours, "close 1");
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
		ours.via = others[i].via, ours.contact = others[i].contact;
		guest_invites(&ours, 1, NULL, 5004);
		far_answers(&ours, 200, 1, "x", ONE);
		expect_told(&ours, "");
		expect_heard(&ours, ALG_GUEST, "c=IN IP4 " GUEST "\r\nt=0 0\r\nm=audio 5004 ");
		ours.contact = NULL;
		ask(&ours, ALG_GUEST, "PRACK", 2, "x", talk_sdp(GUEST, 5004));
		if (ours.via)
			expect_told(&ours, "");
		begin_again();
	}
}

Test(sip_dialog, descriptions_of_other_methods_open_nothing)
{
	static const char *const methods[] = {"MESSAGE", "OPTIONS", "NOTIFY", "REFER", "REGISTER",
		"SUBSCRIBE", "PUBLISH", "INVITATION", "CANCEL", "ACK", "BYE"};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		ask(&ours, ALG_GUEST, methods[i], 1, NULL, talk_sdp(GUEST, 5004));
		reply(&ours, ALG_OUTSIDE, 200, methods[i], 1, "x", talk_sdp(ONE, 6000));
		ask(&ours, ALG_OUTSIDE, methods[i], 1, "x", talk_sdp(ONE, 6000));
		reply(&ours, ALG_GUEST, 200, methods[i], 1, "x", talk_sdp(GUEST, 5004));
		expect_told(&ours, "");
		begin_again();
	}
}

Test(sip_dialog, a_request_whose_cseq_names_another_method_opens_nothing)
{
	snprintf(ours.said[ALG_GUEST], TALK_BYTES, "MESSAGE sip:b@example.com SIP/2.0\r\n");
	talk_rest(&ours, ALG_GUEST, ALG_GUEST, 1, "INVITE", NULL, talk_sdp(GUEST, 5004));
	talk_send(&ours, ALG_GUEST);
	far_answers(&ours, 200, 1, "x", ONE);
	expect_told(&ours, "");
}

Test(sip_dialog, an_answer_that_nobody_asked_for_opens_nothing)
{
	guest_answers(&theirs, 200, 1, "g", 5004);
	far_invites(&theirs, 1, NULL, ONE);
	guest_answers(&theirs, 200, 2, "g", 5004);
	guest_answers(&theirs, 486, 1, "g", 5004);
	guest_answers(&theirs, 200, 1, "g", 5004);
	expect_told(&theirs, "");
}

/* The far end may make as many requests as it likes: those of the guest are not forgotten for them. */
Test(sip_dialog, requests_of_the_far_end_do_not_hide_those_of_the_guest)
{
	talk_established(&ours, "x", 5004, ONE);
	ask(&ours, ALG_GUEST, "BYE", 2, "x", NULL);
	for (unsigned int i = 1; i < 20; i++)
		ask(&ours, ALG_OUTSIDE, "UPDATE", i, "x", talk_sdp(TWO, 6000));
	reply(&ours, ALG_OUTSIDE, 200, "BYE", 2, "x", NULL);
	expect_told(&ours, "close 1");
}

/* ---- retransmissions ---- */

Test(sip_dialog, the_same_again_is_the_same)
{
	char first[TALK_BYTES];
	for (int i = 0; i < 3; i++) {
		guest_invites(&ours, 1, NULL, 5004);
		expect_told(&ours, i ? "" : LATENT(1, 5004));
		cr_assert(!i || !strcmp(first, ours.heard[ALG_GUEST]));
		strcpy(first, ours.heard[ALG_GUEST]);
	}
	for (int i = 0; i < 3; i++) {
		far_answers(&ours, 200, 1, "x", ONE);
		expect_told(&ours, i ? "keep 1" : "arm 1 " ONE);
		guest_invites(&ours, 1, NULL, 5004);
		cr_assert_str_eq(first, ours.heard[ALG_GUEST]);
		expect_told(&ours, "");
	}
	for (int i = 0; i < 3; i++) {
		far_invites(&ours, 1, "x", TWO);
		expect_told(&ours, "");
		guest_answers(&ours, 200, 1, "x", 5004);
		expect_heard(&ours, ALG_GUEST, "m=audio 40000 ");
		expect_told(&ours, i ? "keep 1" : "arm 1 " TWO);
	}
	far_answers(&ours, 200, 1, "x", ONE);
	expect_told(&ours, "keep 1");
	for (int i = 0; i < 3; i++) {
		hangs_up(&ours, ALG_GUEST, 2, "x");
		expect_told(&ours, i ? "" : "close 1");
	}
}

Test(sip_dialog, an_old_request_that_comes_late_changes_nothing)
{
	guest_invites(&ours, 1, NULL, 5004);
	reply(&ours, ALG_OUTSIDE, 407, "INVITE", 1, "p", NULL);
	guest_invites(&ours, 2, NULL, 5004);
	guest_invites(&ours, 1, NULL, 5004);
	expect_heard(&ours, ALG_GUEST, "m=audio 40000 ");
	reply(&ours, ALG_OUTSIDE, 407, "INVITE", 1, "p", NULL);
	far_answers(&ours, 200, 2, "x", ONE);
	expect_told(&ours, LATENT(1, 5004) "; arm 1 " ONE);
}

/* ---- several calls ---- */

Test(sip_dialog, an_attended_transfer_ends_the_call_that_is_replaced_and_no_other)
{
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
	far_invites(&d, 1, NULL, THREE);
	expect_same(&d, ALG_OUTSIDE);
	guest_answers(&d, 200, 1, "g", 5004);
	expect_told(&a, "wish 3 5004 open " THREE);
	expect_heard(&d, ALG_GUEST, "m=audio 40000 ");
	hangs_up(&a, ALG_GUEST, 3, "x");
	expect_told(&a, "close 1");
}

static void notify(struct call *c, enum alg_direction from, unsigned int number, const char *line)
{
	char more[256];
	snprintf(more, sizeof(more), "Event: refer\r\nSubscription-State: active\r\nX-Says: %s\r\n",
		line);
	c->more = more;
	ask(c, from, "NOTIFY", number, "x", NULL);
	reply(c, (enum alg_direction) !from, 200, "NOTIFY", number, "x", NULL);
}

/* RFC 3515, RFC 5589 6: who is transferred calls where it was sent, by a call with media of its own, and the old one ends. */
Test(sip_dialog, a_guest_that_is_transferred_has_media_with_whom_it_calls_then)
{
	struct call next = talk_call(h, ALG_GUEST, "2@pc");
	talk_established(&ours, "x", 5004, ONE);
	ours.more = "Refer-To: <sip:carol@198.51.100.30>\r\nReferred-By: <sip:b@example.com>\r\n";
	ask(&ours, ALG_OUTSIDE, "REFER", 1, "x", NULL);
	expect_same(&ours, ALG_OUTSIDE);
	reply(&ours, ALG_GUEST, 202, "REFER", 1, "x", NULL);
	notify(&ours, ALG_GUEST, 2, "SIP/2.0 100 Trying");
	expect_told(&ours, "");
	next.wishes = ours.wishes, next.acts = ours.acts;
	next.more = "Referred-By: <sip:b@example.com>\r\n";
	guest_invites(&next, 1, NULL, 5010);
	expect_told(&next, LATENT(2, 5010));
	expect_heard(&next, ALG_GUEST, "m=audio 40002 ");
	far_answers(&next, 200, 1, "carol", THREE);
	expect_told(&next, "arm 2 " THREE);
	notify(&ours, ALG_GUEST, 3, "SIP/2.0 200 OK");
	hangs_up(&ours, ALG_OUTSIDE, 2, "x");
	expect_told(&next, "close 1");
	hangs_up(&next, ALG_GUEST, 2, "carol");
	expect_told(&next, "close 2");
	expect_no_calls();
}

Test(sip_dialog, a_guest_that_transfers_keeps_its_media_until_it_hangs_up)
{
	talk_established(&ours, "x", 5004, ONE);
	ours.more = "Refer-To: <sip:carol@example.com>\r\nReferred-By: <sip:a@" GUEST ">\r\n";
	ask(&ours, ALG_GUEST, "REFER", 2, "x", NULL);
	expect_heard(&ours, ALG_GUEST, "Referred-By: <sip:a@" OUTSIDE ">");
	reply(&ours, ALG_OUTSIDE, 202, "REFER", 2, "x", NULL);
	notify(&ours, ALG_OUTSIDE, 1, "SIP/2.0 180 Ringing");
	notify(&ours, ALG_OUTSIDE, 2, "SIP/2.0 200 OK");
	expect_told(&ours, "");
	hangs_up(&ours, ALG_GUEST, 3, "x");
	expect_told(&ours, "close 1");
	expect_no_calls();
}

Test(sip_dialog, a_dialog_that_began_before_we_looked_goes_on)
{
	far_invites(&ours, 9, "x", ONE);
	guest_answers(&ours, 200, 9, "x", 5004);
	expect_told(&ours, "wish 1 5004 open " ONE);
	ask(&theirs, ALG_GUEST, "UPDATE", 9, "x", talk_sdp(GUEST, 5010));
	reply(&theirs, ALG_OUTSIDE, 200, "UPDATE", 9, "x", talk_sdp(TWO, 6000));
	expect_told(&ours, LATENT(2, 5010) "; arm 2 " TWO);
	hangs_up(&ours, ALG_GUEST, 1, "x");
	expect_told(&ours, "close 1");
}

/* Each with media; one that ends ends alone, and gives its place to one that was refused. */
Test(sip_dialog, a_trunk_has_thousands_of_calls)
{
	const struct sip_flow *flow = &harness_calls()->flow[h->flow.view.id];
	const unsigned int share = SIP_CALLS / 2;
	char id[32];
	for (unsigned int i = 0; i <= share; i++) {
		struct call c = talk_call(h, ALG_GUEST, id);
		snprintf(id, sizeof(id), "%u@pbx", i);
		talk_established(&c, "x", 10000 + 2 * (i % 20000), ONE);
		cr_assert_eq(harness_count(h, ALG_ARM, 0), i < share, "%u", i);
		forget();
	}
	cr_expect_eq(flow->calls, share);
	cr_expect(h->notes > 0 && h->note);
	struct call c = talk_call(h, ALG_GUEST, "2012@pbx"), d = talk_call(h, ALG_GUEST, "new@pbx");
	hangs_up(&c, ALG_GUEST, 2, "x");
	expect_told(&c, "close 2013");
	cr_expect_eq(flow->calls, share - 1);
	guest_invites(&d, 1, NULL, 5004);
	cr_expect_eq(h->wishes, 1);
	begin_again();
	cr_expect_eq(flow->calls, 0);
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
	ask(&ours, ALG_GUEST, "REGISTER", 1, NULL, NULL);
	reply(&ours, ALG_OUTSIDE, 401, "REGISTER", 1, "x", NULL);
	ours.more = "Expires: 9000\r\n";
	reply(&ours, ALG_OUTSIDE, 200, "REGISTER", 1, "x", NULL);
	cr_expect_eq(h->hold_ms, 0, "that was answered before");
	answer_with(&ours, "REGISTER", 2, "Contact: <sip:c@" OUTSIDE ":41000>;expires=600\r\n");
	cr_expect_eq(h->hold_ms, 600000);
	h->flow.view.now_ms += 100000;
	answer_with(&ours, "SUBSCRIBE", 3, "Expires: 60\r\n");
	cr_expect_eq(h->hold_ms, 500000, "the longer one counts");
	answer_with(&ours, "PUBLISH", 4, "Expires: 1000\r\n");
	cr_expect_eq(h->hold_ms, 1000000);
	h->hold_ms = 0;
	ask(&ours, ALG_OUTSIDE, "REGISTER", 5, NULL, NULL);
	ours.more = "Expires: 9000\r\n";
	reply(&ours, ALG_GUEST, 200, "REGISTER", 5, "x", NULL);
	ask(&ours, ALG_GUEST, "REGISTER", 6, NULL, NULL);
	ours.more = "Expires: 9000\r\n", ours.branch = "z9hG4bKother";
	reply(&ours, ALG_OUTSIDE, 200, "REGISTER", 6, "x", NULL);
	ours.branch = NULL;
	answer_with(&ours, "REGISTER", 7, "Expires: 0\r\n");
	answer_with(&ours, "MESSAGE", 8, "Expires: 9000\r\n");
	cr_expect_eq(h->hold_ms, 0);
	expect_told(&ours, "");
	cr_expect_eq(harness_calls()->flow[h->flow.view.id].calls, 1, "of the REGISTER that waits");
}

Test(sip_dialog, a_call_is_held_until_its_session_should_have_been_refreshed)
{
	guest_invites(&ours, 1, NULL, 5004);
	far_answers(&ours, 183, 1, "x", ONE);
	cr_expect_eq(h->hold_ms, 0);
	far_answers(&ours, 200, 1, "x", ONE);
	cr_expect_eq(h->hold_ms, 1832000);
}
