/* Call signalling: when what is opened, armed and closed; whose calls are whose; what opens nothing. */
#include "h323_messages.h"
#include "maps.h"

static struct alg_flow view(bool serves)
{
	struct alg_flow f = harness_client(12030, 40000, 1720);
	f.guest_serves = serves;
	if (serves) {
		f.guest_port = f.outside_port = 1720;
		f.peer_port = 50000;
	}
	return f;
}

static struct harness *begin(void)
{
	return harness_new(&h225_protocol, view(false), GRANT);
}

static void expect_wish(
	const struct harness *h, unsigned int n, enum alg_kind kind, unsigned int port, bool latent)
{
	cr_assert_gt(h->wishes, n);
	const struct alg_wish *w = &h->wish[n];
	cr_expect_eq(w->kind, kind);
	cr_expect_eq(kind == ALG_TCP_WATCH ? w->peer_port : w->guest_port, port, "port %u",
		w->guest_port);
	cr_expect_eq(w->latent, latent);
}

/* ---- addresses ---- */

Test(h225, setup_names_where_the_guest_is_seen)
{
	struct harness *h = begin();
	expect_as(h, ALG_GUEST, plain_setup(7),
		setup(7, "", at(PEER_IP, 1720), at(OUTSIDE_IP, 40000), GUID));
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

Test(h225, setup_to_the_guest_names_it_as_it_is_inside)
{
	struct harness *h = harness_new(&h225_protocol, view(true), GRANT);
	expect_as(h, ALG_OUTSIDE, setup(7, "", at(OUTSIDE_IP, 1720), at(PEER_IP, 9), GUID),
		setup(7, "", at(GUEST_IP, 1720), at(PEER_IP, 9), GUID));
	expect_same(h, ALG_OUTSIDE, setup(8, "", at(OUTSIDE_IP, 1722), at(PEER_IP, 9), GUID));
	harness_free(h);
}

/* Guest and sibling have outside addresses of their own. */
static struct alg_flow static_view(void)
{
	static struct maps maps;
	struct alg_flow f = view(false);
	maps_clear(&maps);
	maps_add(&maps, ip(GUEST_IP), ip(OUTSIDE_IP), 0);
	maps_add(&maps, ip(OTHER_IP), ip("203.0.113.66"), 0);
	f.maps = &maps;
	f.outside_port = f.guest_port;
	return f;
}

Test(h225, a_static_guest_is_called_back_at_its_own_port)
{
	struct harness *h = harness_new(&h225_protocol, static_view(), GRANT);
	expect_as(h, ALG_GUEST, setup(7, "", at(PEER_IP, 1720), at(GUEST_IP, 1720), GUID),
		setup(7, "", at(PEER_IP, 1720), at(OUTSIDE_IP, 1720), GUID));
	expect_as(h, ALG_GUEST, setup(8, "", at(PEER_IP, 1720), at(GUEST_IP, 12030), GUID),
		setup(8, "", at(PEER_IP, 1720), at(OUTSIDE_IP, 12030), GUID));
	harness_free(h);
}

Test(h225, addresses_of_nobody_here_stay)
{
	struct harness *h = begin();
	expect_same(h, ALG_GUEST, setup(7, "", at(PEER_IP, 1720), at(OTHER_IP, 12030), GUID));
	harness_free(h);
}

/* ---- h245Address ---- */

Test(h225, the_guests_listener_waits_for_the_answerers_first_word)
{
	struct harness *h = begin();
	expect_as(h, ALG_GUEST,
		setup(7, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1), GUID),
		setup(7, at(OUTSIDE_IP, 40001), at(PEER_IP, 1720), at(OUTSIDE_IP, 40000), GUID));
	expect_wish(h, 0, ALG_TCP_LISTEN, 5100, true);
	cr_expect(h->wish[0].inspect && h->wish[0].service == 3 && h->wish[0].link != 0);
	cr_expect_eq(h->wish[0].peer_ip_be, ip(PEER_IP));
	cr_expect_eq(h->acts, 0);
	expect_same(h, ALG_OUTSIDE, proceeding(7 | ANSWER, GUID));
	cr_expect_eq(harness_count(h, ALG_ARM, h->wish[0].token), 1);
	tell(h, ALG_OUTSIDE, connected(7 | ANSWER, "", GUID));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), 1, "once");
	cr_expect_eq(harness_count(h, ALG_KEEP, h->wish[0].token), 1, "the telephone has rung");
	tell(h, ALG_OUTSIDE, connected(7 | ANSWER, "", GUID));
	cr_expect_eq(harness_count(h, ALG_KEEP, 0), 1, "nobody comes any more");
	harness_free(h);
}

Test(h225, an_answer_to_another_call_lets_nobody_in)
{
	struct harness *h = begin();
	tell(h, ALG_GUEST, setup(7, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1), GUID));
	tell(h, ALG_OUTSIDE, proceeding(8 | ANSWER, GUID));
	tell(h, ALG_OUTSIDE, proceeding(7, GUID));
	tell(h, ALG_OUTSIDE, proceeding(7 | ANSWER, "ffffffffffffffffffffffffffffffff"));
	tell(h, ALG_GUEST, proceeding(7, GUID));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), 0);
	tell(h, ALG_OUTSIDE, proceeding(7 | ANSWER, "00000000000000000000000000000000"));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), 1, "NetMeeting says no identifier");
	harness_free(h);
}

Test(h225, a_listener_that_is_granted_after_the_first_word_is_open)
{
	struct harness *h = harness_new(&h225_protocol, view(false), LATER);
	tell(h, ALG_GUEST, plain_setup(7));
	tell(h, ALG_GUEST, connected(7, at(GUEST_IP, 5100), GUID));
	expect_wish(h, 0, ALG_TCP_LISTEN, 5100, true);
	tell(h, ALG_OUTSIDE, connected(7 | ANSWER, "", GUID));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), 0, "it is not there yet");
	harness_answer(h, true);
	cr_expect_eq(harness_count(h, ALG_ARM, h->wish[0].token), 1);
	harness_free(h);
}

Test(h225, the_answering_guests_listener_is_open_at_once)
{
	struct harness *h = harness_new(&h225_protocol, view(true), GRANT);
	tell(h, ALG_OUTSIDE, setup(7, "", at(OUTSIDE_IP, 1720), at(PEER_IP, 9), GUID));
	expect_as(h, ALG_GUEST, connected(7 | ANSWER, at(GUEST_IP, 5100), GUID),
		connected(7 | ANSWER, at(OUTSIDE_IP, 40001), GUID));
	expect_wish(h, 0, ALG_TCP_LISTEN, 5100, false);
	expect_as(h, ALG_GUEST, connected(7 | ANSWER, at(GUEST_IP, 5100), GUID),
		connected(7 | ANSWER, at(OUTSIDE_IP, 40001), GUID));
	cr_expect_eq(h->wishes, 1, "said again, it is the same");
	harness_free(h);
}

Test(h225, the_far_ends_listener_is_watched)
{
	struct harness *h = begin();
	tell(h, ALG_GUEST, plain_setup(7));
	expect_same(h, ALG_OUTSIDE, connected(7 | ANSWER, at("198.51.100.77", 5100), GUID));
	expect_wish(h, 0, ALG_TCP_WATCH, 5100, false);
	cr_expect(h->wish[0].inspect && h->wish[0].service == 3 && h->wish[0].link != 0);
	cr_expect_eq(h->wish[0].peer_ip_be, ip("198.51.100.77"));
	harness_free(h);
}

Test(h225, no_watch_for_who_is_inside_too)
{
	struct harness *h = harness_new(&h225_protocol, static_view(), REFUSE);
	tell(h, ALG_GUEST, plain_setup(7));
	expect_as(h, ALG_OUTSIDE, connected(7 | ANSWER, at("203.0.113.66", 5100), GUID),
		connected(7 | ANSWER, at(OTHER_IP, 5100), GUID));
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

Test(h225, no_watch_where_nobody_can_listen)
{
	struct harness *h = begin();
	tell(h, ALG_GUEST, plain_setup(7));
	expect_same(h, ALG_OUTSIDE, connected(7 | ANSWER, at("198.51.100.77", 80), GUID));
	expect_same(h, ALG_OUTSIDE, connected(7 | ANSWER, at("0.0.0.0", 5100), GUID));
	expect_same(h, ALG_OUTSIDE, connected(7 | ANSWER, at("224.0.1.41", 5100), GUID));
	expect_same(h, ALG_OUTSIDE, connected(7 | ANSWER, at(OUTSIDE_IP, 5100), GUID));
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

Test(h225, a_refusal_leaves_the_message_alone)
{
	struct harness *h = harness_new(&h225_protocol, view(false), REFUSE);
	expect_same(h, ALG_GUEST,
		setup(7, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1), GUID));
	tell(h, ALG_OUTSIDE, proceeding(7 | ANSWER, GUID));
	cr_expect_eq(h->acts, 0);
	tell(h, ALG_GUEST, released(7, GUID));
	cr_expect_eq(h->acts, 0);
	harness_free(h);
}

Test(h225, ports_below_1024_are_not_asked_for)
{
	struct harness *h = begin();
	expect_same(
		h, ALG_GUEST, setup(7, at(GUEST_IP, 22), at(PEER_IP, 1720), at(GUEST_IP, 1), GUID));
	cr_expect_eq(h->wishes, 0);
	cr_expect(h->note);
	harness_free(h);
}

/* ---- calls ---- */

Test(h225, calls_of_both_ends_may_have_the_same_reference)
{
	struct harness *h = begin();
	tell(h, ALG_GUEST, setup(7, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1), GUID));
	tell(h, ALG_OUTSIDE, setup(7, "", at(OUTSIDE_IP, 40000), at(PEER_IP, 9), GUID));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), 0, "the far end's own call is no answer");
	tell(h, ALG_GUEST, connected(7 | ANSWER, at(GUEST_IP, 5200), GUID));
	expect_wish(h, 1, ALG_TCP_LISTEN, 5200, false);
	cr_expect_neq(h->wish[0].link, h->wish[1].link);
	tell(h, ALG_OUTSIDE, released(7, GUID));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 1);
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[1].token), 1, "its own, not the guest's");
	tell(h, ALG_OUTSIDE, released(7 | ANSWER, GUID));
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1);
	harness_free(h);
}

Test(h225, a_release_frees_that_calls_ports_only)
{
	struct harness *h = begin();
	for (unsigned int call = 0; call < 3; call++)
		tell(h, ALG_GUEST,
			setup(call, at(GUEST_IP, 5100 + call), at(PEER_IP, 1720), at(GUEST_IP, 1),
				GUID));
	cr_assert_eq(h->wishes, 3);
	tell(h, ALG_GUEST, released(1, GUID));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 1);
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[1].token), 1);
	tell(h, ALG_OUTSIDE, proceeding(2 | ANSWER, GUID));
	cr_expect_eq(harness_count(h, ALG_ARM, h->wish[2].token), 1, "the others go on");
	harness_free(h);
}

Test(h225, a_new_call_under_an_old_reference_ends_the_old_one)
{
	struct harness *h = begin();
	tell(h, ALG_GUEST, setup(7, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1), GUID));
	tell(h, ALG_GUEST, setup(7, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1), GUID));
	cr_expect_eq(h->wishes, 1, "a repetition is no new call");
	tell(h, ALG_GUEST,
		setup(7, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1),
			"ffffffffffffffffffffffffffffffff"));
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1);
	cr_expect_eq(h->wishes, 2);
	cr_expect_neq(h->wish[0].link, h->wish[1].link);
	harness_free(h);
}

Test(h225, a_release_that_cannot_be_read_frees_too)
{
	struct harness *h = begin();
	tell(h, ALG_GUEST, setup(7, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1), GUID));
	expect_same(h, ALG_OUTSIDE, signal_of(RELEASE, 7 | ANSWER, hex("ffffffff")));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 1);
	const struct octets bare = hex("08028007"
				       "5a");
	expect_same(h, ALG_OUTSIDE, packet(&bare));
	cr_expect_not(h->gave_up);
	harness_free(h);
}

Test(h225, one_connection_has_no_more_calls_than_its_share)
{
	struct harness *h = begin();
	for (unsigned int call = 0; call < H323_FLOW_CALLS; call++)
		tell(h, ALG_GUEST, plain_setup(call));
	cr_expect_not(h->note);
	tell(h, ALG_GUEST,
		setup(H323_FLOW_CALLS, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1),
			GUID));
	cr_expect(h->note);
	cr_expect_eq(h->wishes, 0);
	tell(h, ALG_GUEST, released(3, GUID));
	tell(h, ALG_GUEST,
		setup(H323_FLOW_CALLS + 1, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1),
			GUID));
	cr_expect_eq(h->wishes, 1);
	harness_free(h);
}

Test(h225, calls_from_outside_leave_room_for_the_guests_own)
{
	struct harness *own = begin(), *served[4];
	for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++) {
		struct alg_flow f = view(true);
		f.h323 = own->flow.view.h323;
		served[i] = harness_new(&h225_protocol, f, GRANT);
		for (unsigned int call = 0; call < H323_FLOW_CALLS; call++)
			tell(served[i], ALG_OUTSIDE,
				setup(call, "", at(OUTSIDE_IP, 1720), at(PEER_IP, 9), GUID));
	}
	cr_expect(!served[0]->note && served[3]->note);
	tell(own, ALG_GUEST,
		setup(7, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1), GUID));
	expect_wish(own, 0, ALG_TCP_LISTEN, 5100, true);
	for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++)
		harness_free(served[i]);
	harness_free(own);
}

Test(h225, a_call_that_ends_while_its_message_waits_gets_nothing)
{
	struct harness *h = harness_new(&h225_protocol, view(false), LATER);
	const struct octets late = connected(7, at(GUEST_IP, 5100), GUID);
	tell(h, ALG_GUEST, plain_setup(7));
	tell(h, ALG_OUTSIDE, proceeding(7 | ANSWER, GUID));
	tell(h, ALG_GUEST, late);
	cr_assert_eq(h->wishes, 1);
	tell(h, ALG_OUTSIDE, released(7 | ANSWER, GUID));
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1);
	harness_answer(h, true);
	expect_last(h, ALG_GUEST, late);
	harness_free(h);
}

/* ---- what is no call signalling, or not for us ---- */

static void expect_raw(enum alg_direction from, const char *said, size_t n)
{
	struct harness *h = begin();
	harness_send(h, from, said, n);
	cr_expect(h->gave_up && h->violation);
	const struct octets call =
		setup(7, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1), GUID);
	harness_send(h, from, call.p, call.n);
	cr_expect_eq(h->wishes, 0, "nothing behind it counts");
	harness_expect_untouched(h);
	harness_free(h);
}

Test(h225, slipstreaming_by_a_post_opens_nothing)
{
	char text[512] = "POST / HTTP/1.1\r\nContent-Length: 200\r\n\r\n";
	size_t n = strlen(text);
	const struct octets call =
		setup(7, at(GUEST_IP, 5100), at(PEER_IP, 1720), at(GUEST_IP, 1), GUID);
	memcpy(text + n, call.p, call.n);
	expect_raw(ALG_GUEST, text, n + call.n);
}

Test(h225, only_a_call_begins_a_connection)
{
	struct octets o = proceeding(7 | ANSWER, GUID);
	expect_raw(ALG_GUEST, (const char *)o.p, o.n);
	o = released(7, GUID);
	expect_raw(ALG_OUTSIDE, (const char *)o.p, o.n);
	o = signal_of(SETUP, 7, hex("ffffff"));
	expect_raw(ALG_GUEST, (const char *)o.p, o.n);
	expect_raw(ALG_GUEST, "\003\000\000\003", 4);
	expect_raw(ALG_GUEST, "\003\001", 2);
	expect_raw(ALG_GUEST, "\003\000\000\010\010\002\000", 8);
	expect_raw(ALG_GUEST, "GET", 3);
}

Test(h225, an_empty_packet_keeps_the_connection)
{
	struct harness *h = begin();
	expect_same(h, ALG_OUTSIDE, hex("03000004"));
	tell(h, ALG_GUEST, plain_setup(7));
	expect_same(h, ALG_GUEST, hex("03000004"));
	cr_expect_not(h->gave_up);
	harness_free(h);
}

Test(h225, what_cannot_be_read_in_a_call_is_left_alone)
{
	struct harness *h = begin();
	tell(h, ALG_GUEST, plain_setup(7));
	expect_same(h, ALG_OUTSIDE, signal_of(ALERTING, 7 | ANSWER, hex("ff00ff")));
	cr_expect(h->note && !h->gave_up);
	expect_same(h, ALG_OUTSIDE,
		octets("030000100802%04x01280161"
		       "1e028088",
			7 | ANSWER));
	cr_expect_not(h->gave_up, "no user information, but a progress indicator");
	tell(h, ALG_OUTSIDE, hex("030000080702800701"));
	cr_expect(h->violation, "another discriminator");
	harness_free(h);
}

/* fastStart's place in the list of what was added is one behind cryptoTokens', that two behind tokens'. */
static struct octets sealed_setup(const char *bits, const char *tokens)
{
	return signal_of(SETUP, 7,
		octets("20c8" ID_HEX "%s" VENDOR "%s00" GUID "00d5%s980007%s1100" GUID
		       "%s01000100010001000100010010800100",
			at(GUEST_IP, 5100), at(PEER_IP, 1720), bits, at(GUEST_IP, 12030), tokens));
}

Test(h225, an_authenticated_message_is_left_alone_and_opens_nothing)
{
	struct harness *h = begin();
	/* cryptoToken: cryptoHashedToken of no object identifier's algorithm */
	expect_same(h, ALG_GUEST, sealed_setup("2d", "0100"));
	cr_expect(h->note);
	cr_expect_eq(h->wishes, 0);
	expect_same(h, ALG_OUTSIDE, connected(7 | ANSWER, at("198.51.100.77", 5100), GUID));
	cr_expect_eq(h->wishes, 0, "there is no call");
	harness_free(h);
}

Test(h225, clear_tokens_seal_nothing)
{
	struct harness *h = begin();
	tell(h, ALG_GUEST, sealed_setup("4d", "0100"));
	cr_expect_eq(h->wishes, 1);
	harness_free(h);
}

/* ---- Facility ---- */

static struct octets forward(unsigned int reference, const char *address)
{
	return signal_of(FACILITY, reference,
		octets("26c0" ID_HEX "%s8601001f00001100" GUID "10800100", address));
}

static struct harness *answered(bool serves, bool may_forward)
{
	struct alg_flow f = view(serves);
	f.h323_forward = may_forward;
	struct harness *h = harness_new(&h225_protocol, f, GRANT);
	tell(h, serves ? ALG_OUTSIDE : ALG_GUEST,
		serves ? setup(7, "", at(OUTSIDE_IP, 1720), at(PEER_IP, 9), GUID) : plain_setup(7));
	tell(h, serves ? ALG_GUEST : ALG_OUTSIDE, proceeding(7 | ANSWER, GUID));
	return h;
}

Test(h225, a_guest_forwards_no_call_unless_it_may)
{
	struct harness *h = answered(true, false);
	expect_same(h, ALG_GUEST, forward(7 | ANSWER, at(GUEST_IP, 1820)));
	expect_same(h, ALG_GUEST, forward(7 | ANSWER, at(OTHER_IP, 1720)));
	cr_expect_eq(h->wishes, 0);
	cr_expect(h->note);
	harness_free(h);
}

Test(h225, a_guest_that_may_forwards_to_itself_only)
{
	struct harness *h = answered(true, true);
	expect_same(h, ALG_GUEST, forward(7 | ANSWER, at(OTHER_IP, 1820)));
	cr_expect_eq(h->wishes, 0, "slipstreaming to another host");
	expect_as(h, ALG_GUEST, forward(7 | ANSWER, at(GUEST_IP, 1820)),
		forward(7 | ANSWER, at(OUTSIDE_IP, 40001)));
	expect_wish(h, 0, ALG_TCP_SERVICE, 1820, false);
	cr_expect(h->wish[0].inspect && h->wish[0].service == 0);
	tell(h, ALG_OUTSIDE, released(7, GUID));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 0, "the next call comes there");
	harness_free(h);
}

Test(h225, where_the_far_end_forwards_the_guest_is_watched)
{
	struct harness *h = answered(false, false);
	expect_same(h, ALG_OUTSIDE, forward(7 | ANSWER, at("198.51.100.77", 1820)));
	expect_wish(h, 0, ALG_TCP_WATCH, 1820, false);
	cr_expect(h->wish[0].inspect && h->wish[0].service == 0);
	tell(h, ALG_OUTSIDE, tunnelled(7 | ANSWER, end_session()));
	tell(h, ALG_GUEST, released(7, GUID));
	cr_expect_eq(
		harness_count(h, ALG_CLOSE, 0), 0, "the session is over before the guest calls");
	harness_free(h);
}
