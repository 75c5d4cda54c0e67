/*
 * Logical channels: whose ports are opened when and for whom, and closed; the same whether H.245 has its connection, is tunnelled, or
 * comes as fastStart.
 */
#include "h323_messages.h"

#define MEDIA_IP "198.51.100.200" /* from where the far end sends */
#define SINK_IP	 "198.51.100.201" /* and where it receives */

/* A call that the guest began, and that was taken up. */
static struct harness *call(void)
{
	struct harness *h = harness_new(&h225_protocol, harness_client(12030, 40000, 1720), GRANT);
	tell(h, ALG_GUEST, plain_setup(7));
	tell(h, ALG_OUTSIDE, connected(7 | ANSWER, at(PEER_IP, 5100), GUID));
	cr_assert_eq(h->wishes, 1);
	return h;
}

static struct harness *control_with(const struct harness *signalling, uint32_t link)
{
	struct alg_flow f = harness_client(12031, 40002, 5100);
	f.h323 = signalling->flow.view.h323;
	f.link = link;
	return harness_new(&h245_protocol, f, GRANT);
}

static struct harness *control_of(const struct harness *signalling)
{
	return control_with(signalling, signalling->wish[0].link);
}

/* Both are over; a watch is all that the signalling asked for. */
static void end(struct harness *signalling, struct harness *control)
{
	harness_free(control);
	harness_free(signalling);
}

static void say(struct harness *h, enum alg_direction from, struct octets message)
{
	tell(h, from, control_packet(message));
}

static void expect_said(
	struct harness *h, enum alg_direction from, struct octets said, struct octets heard)
{
	expect_as(h, from, control_packet(said), control_packet(heard));
}

static void expect_wish(const struct harness *h, unsigned int n, enum alg_kind kind,
	unsigned int port, bool latent, const char *peer)
{
	cr_assert_gt(h->wishes, n);
	const struct alg_wish *w = &h->wish[n];
	cr_expect_eq(w->kind, kind);
	cr_expect_eq(w->guest_port, port, "port %u", w->guest_port);
	cr_expect_eq(w->latent, latent);
	cr_expect_eq(w->peer_ip_be, ip(peer));
	cr_expect_not(w->inspect);
}

/* The last thing that was done to this wish is that it was armed for this peer. */
static void expect_armed(const struct harness *h, unsigned int n, const char *peer)
{
	const struct alg_act *last = NULL;
	for (unsigned int i = 0; i < h->acts; i++)
		if (h->act[i].token == h->wish[n].token && h->act[i].what != ALG_KEEP)
			last = &h->act[i];
	cr_assert(last && last->what == ALG_ARM, "nobody armed it");
	cr_expect(last->media && last->peer_ip_be == ip(peer));
}

/* ---- connections ---- */

Test(h245, a_connection_that_no_call_leads_to_is_passed_on)
{
	struct harness *s = call(), *h = control_with(s, 0);
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	cr_expect(h->gave_up && !h->violation);
	harness_expect_untouched(h);
	harness_free(h);
	h = control_with(s, s->wish[0].link + (1 << 12));
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	cr_expect(h->gave_up && !h->wishes);
	harness_free(h);
	h = control_with(s, UINT32_MAX);
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	cr_expect(h->gave_up && !h->wishes);
	end(s, h);
}

Test(h245, a_call_that_is_over_leads_nowhere)
{
	struct harness *s = call(), *h = control_of(s);
	tell(s, ALG_GUEST, released(7, GUID));
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	cr_expect(h->gave_up && !h->violation && !h->wishes);
	harness_free(h);
	tell(s, ALG_GUEST, plain_setup(8)); /* in the same place of the table */
	h = control_of(s);
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	cr_expect(h->gave_up && !h->wishes);
	end(s, h);
}

Test(h245, another_guests_call_leads_nowhere)
{
	struct harness *s = call();
	struct alg_flow f = harness_client(12031, 40002, 5100);
	f.guest_ip_be = ip(OTHER_IP);
	f.h323 = s->flow.view.h323;
	f.link = s->wish[0].link;
	struct harness *h = harness_new(&h245_protocol, f, GRANT);
	say(h, ALG_GUEST, open_channel(1, 1, at(OTHER_IP, 5001)));
	cr_expect(h->gave_up && !h->wishes);
	end(s, h);
}

Test(h245, what_is_none_of_its_messages_ends_it)
{
	struct harness *s = call(), *h = control_of(s);
	say(h, ALG_GUEST, hex("ffffffff"));
	cr_expect(h->violation);
	harness_free(h);
	h = control_of(s);
	say(h, ALG_OUTSIDE, end_session());
	say(h, ALG_OUTSIDE, hex("ffffffff"));
	cr_expect(h->note && !h->gave_up, "once it is one, such a message is left alone");
	harness_free(h);
	h = control_of(s);
	harness_say(h, ALG_GUEST, "GET / HTTP/1.1\r\n");
	cr_expect(h->violation);
	end(s, h);
}

Test(h245, a_call_that_has_its_connection_needs_no_other)
{
	struct harness *s = call(), *h = control_of(s);
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	tell(s, ALG_OUTSIDE, connected(7 | ANSWER, at(PEER_IP, 5200), GUID));
	expect_as(s, ALG_GUEST, connected(7, at(GUEST_IP, 5200), GUID),
		connected(7, at(OUTSIDE_IP, 5200), GUID));
	cr_expect_eq(s->wishes, 1);
	harness_free(h);
	tell(s, ALG_OUTSIDE, connected(7 | ANSWER, at(PEER_IP, 5200), GUID));
	cr_expect_eq(s->wishes, 2, "once that is over it does");
	harness_free(s);
}

/* ---- channels ---- */

Test(h245, the_guests_channel_is_latent_until_the_far_end_takes_it)
{
	struct harness *s = call(), *h = control_of(s);
	expect_said(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)),
		open_channel(1, 1, at(OUTSIDE_IP, 40001)));
	expect_wish(h, 0, ALG_UDP_PAIR, 5000, true, PEER_IP);
	say(h, ALG_OUTSIDE, open_ack(2, 1, at(SINK_IP, 6000), at(SINK_IP, 6001)));
	say(h, ALG_GUEST, open_ack(1, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)));
	cr_expect_eq(h->acts, 0, "another channel, or the guest itself");
	say(h, ALG_OUTSIDE, open_ack(1, 1, at(SINK_IP, 6000), at(SINK_IP, 6001)));
	expect_armed(h, 0, SINK_IP);
	end(s, h);
}

Test(h245, the_guests_acknowledgement_opens_for_who_sends)
{
	struct harness *s = call(), *h = control_of(s);
	const struct octets far = control_packet(open_channel(9, 1, at(MEDIA_IP, 6001)));
	expect_same(h, ALG_OUTSIDE, far);
	cr_expect_eq(h->wishes, 0);
	expect_said(h, ALG_GUEST, open_ack(9, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)),
		open_ack(9, 1, at(OUTSIDE_IP, 40000), at(OUTSIDE_IP, 40001)));
	expect_wish(h, 0, ALG_UDP_PAIR, 5000, false, MEDIA_IP);
	end(s, h);
}

Test(h245, one_pair_serves_both_directions_and_the_sender_counts_more)
{
	struct harness *s = call(), *h = control_of(s);
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	say(h, ALG_OUTSIDE, open_channel(9, 1, at(MEDIA_IP, 6001)));
	say(h, ALG_OUTSIDE, open_ack(1, 1, at(SINK_IP, 6000), at(SINK_IP, 6001)));
	expect_armed(h, 0, SINK_IP);
	say(h, ALG_GUEST, open_ack(9, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)));
	expect_armed(h, 0, MEDIA_IP);
	say(h, ALG_OUTSIDE, open_ack(1, 1, at(SINK_IP, 6000), at(SINK_IP, 6001)));
	expect_armed(h, 0, MEDIA_IP);
	cr_expect_eq(h->wishes, 1);
	end(s, h);
}

Test(h245, who_names_nobody_sends_from_where_it_signals)
{
	struct harness *s = call(), *h = control_of(s);
	say(h, ALG_OUTSIDE, open_channel(9, 1, at("0.0.0.0", 6001)));
	say(h, ALG_GUEST, open_ack(9, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)));
	expect_wish(h, 0, ALG_UDP_PAIR, 5000, false, PEER_IP);
	end(s, h);
}

Test(h245, an_address_of_the_guests_own_is_nobodys)
{
	struct harness *s = call(), *h = control_of(s);
	say(h, ALG_OUTSIDE, open_channel(9, 1, at(OUTSIDE_IP, 6001)));
	say(h, ALG_GUEST, open_ack(9, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)));
	expect_wish(h, 0, ALG_UDP_PAIR, 5000, false, PEER_IP);
	end(s, h);
}

Test(h245, ports_that_are_no_pair_are_opened_one_by_one)
{
	struct harness *s = call(), *h = control_of(s);
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5002)));
	expect_wish(h, 0, ALG_UDP_ONE, 5002, true, PEER_IP);
	say(h, ALG_OUTSIDE, open_channel(9, 2, at(MEDIA_IP, 6001)));
	expect_said(h, ALG_GUEST, open_ack(9, 2, at(GUEST_IP, 5011), at(GUEST_IP, 5020)),
		open_ack(9, 2, at(OUTSIDE_IP, 40002), at(OUTSIDE_IP, 40003)));
	expect_wish(h, 1, ALG_UDP_ONE, 5011, false, MEDIA_IP);
	expect_wish(h, 2, ALG_UDP_ONE, 5020, false, MEDIA_IP);
	say(h, ALG_GUEST, closed(1));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 1, "the other channel needs both");
	say(h, ALG_OUTSIDE, closed(9));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 3);
	end(s, h);
}

Test(h245, an_acknowledgement_of_nothing_opens_nothing)
{
	struct harness *s = call(), *h = control_of(s);
	const struct octets ack =
		control_packet(open_ack(9, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)));
	expect_same(h, ALG_GUEST, ack);
	cr_expect_eq(h->wishes, 0);
	end(s, h);
}

Test(h245, nobody_elses_address_and_no_low_port_is_opened)
{
	struct harness *s = call(), *h = control_of(s);
	expect_same(h, ALG_GUEST, control_packet(open_channel(1, 1, at(OTHER_IP, 5001))));
	expect_same(h, ALG_GUEST, control_packet(open_channel(2, 1, at(GUEST_IP, 1001))));
	expect_same(h, ALG_GUEST, control_packet(open_channel(3, 1, at(GUEST_IP, 1))));
	expect_same(h, ALG_OUTSIDE, control_packet(open_channel(3, 1, at(GUEST_IP, 5001))));
	cr_expect_eq(h->wishes, 0);
	end(s, h);
}

Test(h245, t120_gets_a_listener)
{
	struct harness *s = call(), *h = control_of(s);
	expect_said(h, ALG_GUEST, open_stack(3, at(GUEST_IP, 1503)),
		open_stack(3, at(OUTSIDE_IP, 40001)));
	expect_wish(h, 0, ALG_TCP_LISTEN, 1503, true, PEER_IP);
	say(h, ALG_OUTSIDE, ack_stack(3, at(SINK_IP, 1503)));
	cr_expect_eq(harness_count(h, ALG_ARM, h->wish[0].token), 1);
	say(h, ALG_OUTSIDE, open_stack(4, at(SINK_IP, 1503)));
	expect_said(h, ALG_GUEST, ack_stack(4, at(GUEST_IP, 1504)),
		ack_stack(4, at(OUTSIDE_IP, 40002)));
	expect_wish(h, 1, ALG_TCP_LISTEN, 1504, false, PEER_IP);
	end(s, h);
}

Test(h245, communication_mode_opens_where_the_guest_receives)
{
	struct harness *s = call(), *h = control_of(s);
	expect_said(h, ALG_GUEST, modes(at(GUEST_IP, 5000), at(GUEST_IP, 5001)),
		modes(at(OUTSIDE_IP, 40000), at(OUTSIDE_IP, 40001)));
	expect_wish(h, 0, ALG_UDP_PAIR, 5000, false, PEER_IP);
	cr_expect_eq(h->wishes, 1);
	expect_same(
		h, ALG_OUTSIDE, control_packet(modes(at(MEDIA_IP, 5000), at("224.0.1.9", 5001))));
	expect_as(h, ALG_OUTSIDE, control_packet(modes(at(OUTSIDE_IP, 40000), at(MEDIA_IP, 9))),
		control_packet(modes(at(GUEST_IP, 5000), at(MEDIA_IP, 9))));
	end(s, h);
}

Test(h245, a_conference_that_nobody_has_joined_opens_nothing)
{
	struct harness *h = harness_new(&h225_protocol, harness_client(12030, 40000, 1720), GRANT);
	expect_same(h, ALG_GUEST, parallel_setup(7, modes(at(GUEST_IP, 5000), at(GUEST_IP, 5001))));
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

/* ---- the end of channels ---- */

static void expect_closed_by(enum alg_direction from, struct octets message, bool closes)
{
	struct harness *s = call(), *h = control_of(s);
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	say(h, from, message);
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token) != 0, closes, "%d %02x", from,
		message.p[0]);
	end(s, h);
}

Test(h245, a_channel_that_ends_closes_its_ports)
{
	expect_closed_by(ALG_OUTSIDE, rejected(1), true);
	expect_closed_by(ALG_GUEST, rejected(1), false);
	expect_closed_by(ALG_OUTSIDE, rejected(2), false);
	expect_closed_by(ALG_GUEST, closed(1), true);
	expect_closed_by(ALG_OUTSIDE, closed(1), false);
	expect_closed_by(ALG_OUTSIDE, close_ack(1), true);
	expect_closed_by(ALG_GUEST, close_ack(1), false);
	expect_closed_by(ALG_GUEST, request_close_ack(1), true);
	expect_closed_by(ALG_OUTSIDE, request_close_ack(1), false);
	expect_closed_by(ALG_OUTSIDE, end_session(), true);
	expect_closed_by(ALG_GUEST, end_session(), true);
}

Test(h245, the_end_of_the_session_closes_its_listener)
{
	struct harness *h = harness_new(&h225_protocol, harness_client(12030, 40000, 1720), GRANT);
	tell(h, ALG_GUEST, setup(7, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1), GUID));
	tell(h, ALG_OUTSIDE, proceeding(7 | ANSWER, GUID));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 0);
	tell(h, ALG_OUTSIDE, tunnelled(7 | ANSWER, end_session()));
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1);
	harness_free(h);
}

Test(h245, a_port_stays_while_another_channel_needs_it)
{
	struct harness *s = call(), *h = control_of(s);
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	say(h, ALG_OUTSIDE, open_channel(9, 1, at(MEDIA_IP, 6001)));
	say(h, ALG_GUEST, open_ack(9, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)));
	say(h, ALG_GUEST, closed(1));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 0);
	say(h, ALG_OUTSIDE, closed(9));
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1);
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 1);
	end(s, h);
}

Test(h245, who_sends_first_is_let_in)
{
	struct harness *s = call(), *h = control_of(s);
	say(h, ALG_OUTSIDE, open_channel(9, 1, at(MEDIA_IP, 6001)));
	say(h, ALG_GUEST, open_ack(9, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)));
	say(h, ALG_OUTSIDE, open_channel(10, 1, at(SINK_IP, 6001)));
	say(h, ALG_GUEST, open_ack(10, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), 0, "as long as that channel is there");
	cr_expect_eq(h->wishes, 1);
	end(s, h);
}

Test(h245, who_sends_next_may_be_another)
{
	struct harness *s = call(), *h = control_of(s);
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	say(h, ALG_OUTSIDE, open_channel(9, 1, at(MEDIA_IP, 6001)));
	say(h, ALG_GUEST, open_ack(9, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)));
	expect_armed(h, 0, MEDIA_IP);
	say(h, ALG_OUTSIDE, closed(9));
	say(h, ALG_OUTSIDE, open_channel(10, 1, at(SINK_IP, 6001)));
	say(h, ALG_GUEST, open_ack(10, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)));
	expect_armed(h, 0, SINK_IP);
	cr_expect_eq(h->wishes, 1);
	end(s, h);
}

Test(h245, a_number_that_is_opened_again_is_another_channel)
{
	struct harness *s = call(), *h = control_of(s);
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	say(h, ALG_OUTSIDE, open_channel(9, 1, at(MEDIA_IP, 6001)));
	say(h, ALG_GUEST, open_ack(9, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)));
	say(h, ALG_OUTSIDE, open_channel(9, 1, at(SINK_IP, 6001)));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 0, "the guest's channel needs it");
	say(h, ALG_GUEST, open_ack(9, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001)));
	expect_armed(h, 0, SINK_IP);
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5011)));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 0, "the far end's channel needs it");
	say(h, ALG_OUTSIDE, open_channel(9, 2, at(SINK_IP, 6001)));
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1);
	end(s, h);
}

Test(h245, an_empty_packet_is_no_message)
{
	struct harness *s = call(), *h = control_of(s);
	expect_same(h, ALG_OUTSIDE, hex("03000004"));
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	expect_same(h, ALG_GUEST, hex("03000004"));
	cr_expect_eq(h->wishes, 1);
	cr_expect(!h->gave_up && !h->note);
	end(s, h);
}

Test(h245, a_release_closes_what_the_other_connection_asked_for)
{
	struct harness *s = call(), *h = control_of(s);
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	tell(s, ALG_OUTSIDE, released(7 | ANSWER, GUID));
	unsigned int elsewhere = 0;
	for (unsigned int i = 0; i < s->acts; i++)
		elsewhere += s->act[i].what == ALG_CLOSE && s->act[i].elsewhere &&
			     s->act[i].flow == h->flow.view.id &&
			     s->act[i].token == h->wish[0].token;
	cr_expect_eq(elsewhere, 1);
	end(s, h);
}

Test(h245, channels_outlive_the_connection_of_their_signalling)
{
	struct harness *s = call(), *h = control_of(s);
	struct h323_calls *table = s->flow.view.h323;
	say(h, ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001)));
	stream_end(s->pool, &s->flow);
	say(h, ALG_OUTSIDE, open_ack(1, 1, at(SINK_IP, 6000), at(SINK_IP, 6001)));
	expect_armed(h, 0, SINK_IP);
	stream_end(h->pool, &h->flow);
	cr_expect_neq(table->free_call, 0, "and then it is over");
	end(s, h);
}

Test(h245, a_call_has_so_many_channels)
{
	struct harness *s = call(), *h = control_of(s);
	for (unsigned int i = 1; i <= H323_CHANNELS; i++)
		say(h, ALG_OUTSIDE, open_channel(i, 1, at(MEDIA_IP, 6001)));
	cr_expect_not(h->note);
	expect_same(h, ALG_GUEST, control_packet(open_channel(1, 1, at(GUEST_IP, 5001))));
	cr_expect(h->note && !h->wishes);
	end(s, h);
}

Test(h245, a_message_with_a_channel_too_many_asks_for_nothing)
{
	struct harness *s = call(), *h = control_of(s);
	struct octets two = open_channel(1, 1, at(GUEST_IP, 5001));
	const struct octets second = open_channel(2, 2, at(GUEST_IP, 5003));
	put(&two, &second);
	for (unsigned int i = 1; i < H323_CHANNELS; i++)
		say(h, ALG_OUTSIDE, open_channel(i, 1, at(MEDIA_IP, 6001)));
	expect_same(h, ALG_GUEST, control_packet(two));
	cr_expect(h->note && !h->wishes);
	end(s, h);
}

Test(h245, a_call_has_so_many_ports)
{
	struct harness *s = call(), *h = control_of(s); /* whose watch is one */
	for (unsigned int i = 1; i < H323_CALL_OPENINGS; i++)
		say(h, ALG_GUEST, open_channel(i, 1, at(GUEST_IP, 5001 + 2 * i)));
	cr_expect_eq(h->wishes, H323_CALL_OPENINGS - 1);
	expect_same(h, ALG_GUEST, control_packet(open_channel(99, 1, at(GUEST_IP, 5901))));
	cr_expect(h->note);
	cr_expect_eq(h->wishes, H323_CALL_OPENINGS - 1);
	end(s, h);
}

/* ---- tunnelled ---- */

/* But for their tokens, which each flow counts. */
static bool is_same(const struct alg_wish *a, const struct alg_wish *b)
{
	return a->kind == b->kind && a->pairs == b->pairs && a->guest_port == b->guest_port &&
	       a->latent == b->latent && a->peer_ip_be == b->peer_ip_be &&
	       a->lifetime_ms == b->lifetime_ms && a->inspect == b->inspect &&
	       a->service == b->service && a->link == b->link && a->peer_port == b->peer_port;
}

Test(h245, tunnelled_it_asks_for_the_same)
{
	struct harness *s = call(), *h = control_of(s), *tunnel = call();
	const struct {
		enum alg_direction from;
		struct octets message;
	} talk[] = {
		{ALG_GUEST, open_channel(1, 1, at(GUEST_IP, 5001))},
		{ALG_OUTSIDE, open_channel(9, 1, at(MEDIA_IP, 6001))},
		{ALG_OUTSIDE, open_ack(1, 1, at(SINK_IP, 6000), at(SINK_IP, 6001))},
		{ALG_GUEST, open_ack(9, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001))},
		{ALG_GUEST, open_stack(3, at(GUEST_IP, 1503))},
		{ALG_OUTSIDE, ack_stack(3, at(SINK_IP, 1503))},
		{ALG_GUEST, open_channel(2, 2, at(GUEST_IP, 5003))},
		{ALG_OUTSIDE, rejected(2)},
		{ALG_GUEST, end_session()},
	};
	const unsigned int first = tunnel->wishes;
	for (size_t i = 0; i < sizeof(talk) / sizeof(talk[0]); i++) {
		const unsigned int answer = talk[i].from == ALG_OUTSIDE ? ANSWER : 0;
		say(h, talk[i].from, talk[i].message);
		tell(tunnel, talk[i].from, tunnelled(7 | answer, talk[i].message));
	}
	cr_assert_eq(tunnel->wishes - first, h->wishes);
	for (unsigned int i = 0; i < h->wishes; i++)
		cr_expect(is_same(&tunnel->wish[first + i], &h->wish[i]), "wish %u", i);
	for (int what = ALG_ARM; what <= ALG_CLOSE; what++)
		cr_expect_eq(harness_count(tunnel, (enum alg_act_kind)what, 0),
			harness_count(h, (enum alg_act_kind)what, 0), "%d", what);
	harness_free(tunnel);
	end(s, h);
}

Test(h245, what_setup_brings_along_is_latent)
{
	struct harness *h = harness_new(&h225_protocol, harness_client(12030, 40000, 1720), GRANT);
	expect_as(h, ALG_GUEST, parallel_setup(7, open_channel(1, 1, at(GUEST_IP, 5001))),
		parallel_setup(7, open_channel(1, 1, at(OUTSIDE_IP, 40001))));
	expect_wish(h, 0, ALG_UDP_PAIR, 5000, true, PEER_IP);
	tell(h, ALG_OUTSIDE, proceeding(7 | ANSWER, GUID));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), 0);
	tell(h, ALG_OUTSIDE,
		tunnelled(7 | ANSWER, open_ack(1, 1, at(SINK_IP, 6000), at(SINK_IP, 6001))));
	expect_armed(h, 0, SINK_IP);
	harness_free(h);
}

Test(h245, several_messages_in_one_count_each)
{
	struct harness *s = call(), *h = control_of(s);
	struct octets two = open_channel(1, 1, at(GUEST_IP, 5001));
	const struct octets second = open_channel(2, 2, at(GUEST_IP, 5003));
	put(&two, &second);
	say(h, ALG_GUEST, two);
	cr_expect_eq(h->wishes, 2);
	say(h, ALG_OUTSIDE, rejected(1));
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1);
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 1);
	struct octets after = end_session();
	put(&after, &second);
	say(h, ALG_GUEST, after);
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[1].token), 0, "it is opened again");
	end(s, h);
}

Test(h245, what_one_message_needs_latent_and_at_once_is_open_at_once)
{
	struct harness *s = call(), *h = control_of(s);
	struct octets two = open_channel(1, 1, at(GUEST_IP, 5001));
	const struct octets ack = open_ack(9, 1, at(GUEST_IP, 5000), at(GUEST_IP, 5001));
	put(&two, &ack);
	say(h, ALG_OUTSIDE, open_channel(9, 1, at(MEDIA_IP, 6001)));
	say(h, ALG_GUEST, two);
	cr_expect_eq(h->wishes, 1);
	expect_wish(h, 0, ALG_UDP_PAIR, 5000, false, MEDIA_IP);
	say(h, ALG_OUTSIDE, open_ack(1, 1, at(SINK_IP, 6000), at(SINK_IP, 6001)));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), 0, "who sends counts more");
	end(s, h);
}

/* ---- fastStart ---- */

static struct harness *fast_call(bool serves, const struct octets *offer, unsigned int count)
{
	struct alg_flow f = harness_client(12030, 40000, 1720);
	f.guest_serves = serves;
	struct harness *h = harness_new(&h225_protocol, f, GRANT);
	tell(h, serves ? ALG_OUTSIDE : ALG_GUEST, fast_setup(7, fast_start(offer, count)));
	cr_assert_not(h->gave_up);
	return h;
}

static struct octets sends(const char *address, unsigned int port)
{
	return fast_channel(1, 1, at(address, port + 1));
}

static struct octets receives(const char *address, unsigned int port)
{
	return open_reverse(2, 1, at(address, port), at(address, port + 1));
}

Test(h245, what_the_guest_offers_is_latent_and_shared)
{
	const struct octets offer[] = {sends(GUEST_IP, 5000), receives(GUEST_IP, 5000),
		open_reverse(3, 2, at(GUEST_IP, 5010), at(GUEST_IP, 5011))};
	struct harness *h = fast_call(false, offer, 3);
	expect_wish(h, 0, ALG_UDP_PAIR, 5000, true, PEER_IP);
	expect_wish(h, 1, ALG_UDP_PAIR, 5010, true, PEER_IP);
	cr_expect_eq(h->wishes, 2);
	tell(h, ALG_OUTSIDE, proceeding(7 | ANSWER, GUID));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), 0, "that is no answer to it");
	cr_expect_eq(harness_count(h, ALG_KEEP, 0), 2, "but they live on");
	const struct octets answer[] = {receives(MEDIA_IP, 6000), sends(SINK_IP, 6000)};
	tell(h, ALG_OUTSIDE, fast_alerting(7 | ANSWER, fast_start(answer, 2)));
	expect_armed(h, 0, MEDIA_IP);
	cr_expect_eq(harness_count(h, ALG_ARM, h->wish[1].token), 0, "another session");
	tell(h, ALG_OUTSIDE, connected(7 | ANSWER, "", GUID));
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 0);
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[1].token), 1, "not taken");
	tell(h, ALG_GUEST, released(7, GUID));
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1);
	harness_free(h);
}

Test(h245, alternatives_of_a_session_are_one_offer)
{
	const struct octets offer[] = {receives(GUEST_IP, 5000), receives(GUEST_IP, 5010)};
	struct harness *h = fast_call(false, offer, 2);
	cr_expect_eq(h->wishes, 2);
	tell(h, ALG_OUTSIDE, proceeding(7 | ANSWER, GUID));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 0);
	const struct octets answer[] = {sends(MEDIA_IP, 6000)};
	tell(h, ALG_OUTSIDE, fast_alerting(7 | ANSWER, fast_start(answer, 1)));
	expect_armed(h, 0, MEDIA_IP);
	expect_armed(h, 1, MEDIA_IP);
	harness_free(h);
}

Test(h245, an_offer_may_name_no_port_of_rtcp)
{
	const struct octets offer[] = {
		octets("400001060401004c60ef800a100001%s", at(GUEST_IP, 5000))};
	struct harness *h = fast_call(false, offer, 1);
	expect_wish(h, 0, ALG_UDP_PAIR, 5000, true, PEER_IP);
	harness_free(h);
}

Test(h245, an_offer_that_is_not_taken_is_closed)
{
	const struct octets offer[] = {sends(GUEST_IP, 5000), receives(GUEST_IP, 5000)};
	struct harness *h = fast_call(false, offer, 2);
	tell(h, ALG_OUTSIDE, connected(7 | ANSWER, "", GUID));
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1);
	harness_free(h);
}

Test(h245, the_guests_answer_opens_for_who_offered)
{
	const struct octets offer[] = {sends(MEDIA_IP, 6000), receives(SINK_IP, 6000)};
	struct harness *h = fast_call(true, offer, 2);
	cr_expect_eq(h->wishes, 0);
	const struct octets answer[] = {receives(GUEST_IP, 5000), sends(GUEST_IP, 5000)},
			    outside[] = {receives(OUTSIDE_IP, 40000), sends(OUTSIDE_IP, 40000)};
	expect_as(h, ALG_GUEST, fast_alerting(7 | ANSWER, fast_start(answer, 2)),
		fast_alerting(7 | ANSWER, fast_start(outside, 2)));
	expect_wish(h, 0, ALG_UDP_PAIR, 5000, false, MEDIA_IP);
	expect_as(h, ALG_GUEST, fast_alerting(7 | ANSWER, fast_start(answer, 2)),
		fast_alerting(7 | ANSWER, fast_start(outside, 2)));
	cr_expect_eq(h->wishes, 1, "said again, it is the same");
	harness_free(h);
}

Test(h245, an_answer_to_what_was_not_offered_opens_nothing)
{
	const struct octets offer[] = {fast_channel(1, 2, at(MEDIA_IP, 6001))};
	struct harness *h = fast_call(true, offer, 1);
	const struct octets answer[] = {sends(GUEST_IP, 5000), receives(GUEST_IP, 5000)};
	expect_same(h, ALG_GUEST, fast_alerting(7 | ANSWER, fast_start(answer, 2)));
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

Test(h245, the_callers_second_thoughts_are_no_answer)
{
	const struct octets offer[] = {sends(GUEST_IP, 5000), receives(GUEST_IP, 5000)};
	struct harness *h = fast_call(false, offer, 2);
	tell(h, ALG_GUEST, fast_alerting(7, fast_start(offer, 2)));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), 0);
	cr_expect_eq(h->wishes, 1);
	harness_free(h);
}
