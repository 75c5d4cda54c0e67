/*
 * RAS: registrations and how they end, admissions and where they send the guest; octets as H323Plus, GnuGk and a Tandberg say them
 * (tests/vectors/h323/ras).
 */
#include "h323_messages.h"
#include "maps.h"

#define OID "060008914a0007"
#define PRODUCT                                                                                    \
	"0900003d1048333233506c75732073696d706c6500001a312e32382e30202848333233506c75732076312e32" \
	"382e3029"
#define ENDPOINT "1a003400370036003300300032003400330035005f0065006e00640070"

/* keep_alive: "00" or "80". crypto: what stands for cryptoTokens, "" for none. */
static struct octets request_with(unsigned int sequence, const char *signal, const char *ras,
	unsigned int seconds, const char *keep_alive, const char *crypto)
{
	return octets("0ec0%04x" OID "8001%s01%s22c0" PRODUCT
		      "0000000140040061006c0069006300650400620067006b60" PRODUCT
		      "00002e%s19020200%02x%s01%s01800100010002700001300100",
		sequence - 1, signal, ras, *crypto ? "ab" : "8b", seconds - 1, crypto, keep_alive);
}

static struct octets request(unsigned int sequence, const char *signal, const char *ras)
{
	return request_with(sequence, signal, ras, 60, "00", "");
}

static struct octets plain_request(unsigned int sequence)
{
	return request(sequence, at(GUEST_IP, 1720), at(GUEST_IP, 1719));
}

static struct octets confirm_at(unsigned int sequence, const char *signal, unsigned int seconds)
{
	return octets(
		"12c0%04x060008914a000601%s02400b0032003000320030003300400061006d002e0073006f006c01"
		"8053cb0e0061006d002d007600630073002d00304c00620064003000320030006200380030002d0036"
		"0064"
		"00340031002d0031003100650031002d0061003700660062002d003000300031003000660033003000"
		"6600"
		"36003500610030005f00310037268a80000200%02x010001000100",
		sequence - 1, signal, seconds - 1);
}

static struct octets confirmed(unsigned int sequence)
{
	return confirm_at(sequence, at(PEER_IP, 1720), 120);
}

static struct octets refused(unsigned int sequence)
{
	return octets("1400%04x" OID "00", sequence - 1);
}

static struct octets unregister(unsigned int sequence, const char *signal)
{
	return octets("1a40%04x01%s" ENDPOINT "0a88070400620067006b03800100", sequence - 1, signal);
}

static struct octets unregistered(unsigned int sequence)
{
	return octets("1c%04x", sequence - 1);
}

static struct octets ask(unsigned int sequence)
{
	return octets(
		"2680%04x"
		"03800034003100320032003500390030003000360030005f0065006e006400700140020062006f0062"
		"0140040061006c006900630065800186a0787c1ed27c34c8e3f11195336ad343d916f7096420500180"
		"11001ed27c34c8e3f11195326ad343d916f7070400620067006b01800510010000090100",
		sequence - 1);
}

static struct octets admitted(unsigned int sequence, const char *to)
{
	return octets("2b00%04x800186a040%s00772200c08001000b8001f801000100010001000501400060a4",
		sequence - 1, to);
}

static struct octets discover(unsigned int sequence, const char *ras)
{
	return octets("0220%04x" OID "%s22c0" PRODUCT
		      "0000000140040061006c00690063006514034001000810020000120000170180",
		sequence - 1, ras);
}

static struct alg_flow view(void)
{
	return harness_client(1719, 40000, 1719);
}

static struct harness *begin(void)
{
	return harness_new(&ras_protocol, view(), GRANT);
}

/* Asks, and is sent there. */
static void admit(struct harness *h, unsigned int sequence, const char *to)
{
	expect_same(h, ALG_GUEST, ask(sequence));
	expect_same(h, ALG_OUTSIDE, admitted(sequence, to));
}

/* One that is registered. */
static struct harness *registered(void)
{
	struct harness *h = begin();
	tell(h, ALG_GUEST, plain_request(17));
	tell(h, ALG_OUTSIDE, confirmed(17));
	cr_assert_eq(harness_count(h, ALG_ARM, 0), 1);
	return h;
}

/* ---- registration ---- */

Test(ras, a_registration_is_reached_where_the_gatekeeper_says_yes)
{
	struct harness *h = begin();
	expect_as(h, ALG_GUEST, plain_request(17),
		request(17, at(OUTSIDE_IP, 40001), at(OUTSIDE_IP, 40000)));
	cr_assert_eq(h->wishes, 1);
	const struct alg_wish *w = &h->wish[0];
	cr_expect(w->kind == ALG_TCP_SERVICE && w->guest_port == 1720 && w->latent);
	cr_expect(w->inspect && w->service == 0 && w->peer_ip_be == ip(PEER_IP));
	tell(h, ALG_OUTSIDE, confirmed(18));
	tell(h, ALG_GUEST, confirmed(17));
	cr_expect_eq(h->acts, 0, "another request's, or the guest's own");
	expect_same(h, ALG_OUTSIDE, confirmed(17));
	cr_expect_eq(harness_count(h, ALG_ARM, w->token), 1);
	cr_expect_eq(h->hold_ms, 130 * 1000, "held: %u", h->hold_ms);
	harness_free(h);
}

Test(ras, a_request_that_is_repeated_asks_for_nothing_new)
{
	struct harness *h = registered();
	expect_as(h, ALG_GUEST, plain_request(17),
		request(17, at(OUTSIDE_IP, 40001), at(OUTSIDE_IP, 40000)));
	cr_expect_eq(h->wishes, 1);
	tell(h, ALG_OUTSIDE, confirmed(17));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), 1);
	harness_free(h);
}

Test(ras, a_registration_lives_on_by_its_renewals)
{
	struct harness *h = registered();
	tell(h, ALG_GUEST, request_with(18, at(GUEST_IP, 1720), at(GUEST_IP, 1719), 60, "80", ""));
	tell(h, ALG_OUTSIDE, confirmed(18));
	cr_expect_eq(h->wishes, 1);
	cr_expect_geq(harness_count(h, ALG_KEEP, h->wish[0].token), 1);
	const uint32_t before = harness_count(h, ALG_KEEP, h->wish[0].token);
	tell(h, ALG_GUEST, request_with(19, at(OTHER_IP, 1720), at(GUEST_IP, 1719), 60, "80", ""));
	tell(h, ALG_OUTSIDE, confirmed(19));
	cr_expect_gt(harness_count(h, ALG_KEEP, h->wish[0].token), before,
		"one that names no port is for all");
	harness_free(h);
}

Test(ras, a_registration_that_moves_has_both_until_it_is_over)
{
	struct harness *h = registered();
	expect_as(h, ALG_GUEST, request(18, at(GUEST_IP, 1820), at(GUEST_IP, 1719)),
		request(18, at(OUTSIDE_IP, 40002), at(OUTSIDE_IP, 40000)));
	cr_expect_eq(h->wishes, 2);
	tell(h, ALG_OUTSIDE, refused(18));
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[1].token), 1);
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 1);
	harness_free(h);
}

static void expect_over(
	struct octets said, enum alg_direction from, struct octets answer, bool over)
{
	struct harness *h = registered();
	tell(h, from, said);
	tell(h, from == ALG_GUEST ? ALG_OUTSIDE : ALG_GUEST, answer);
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), over);
	harness_free(h);
}

Test(ras, a_registration_ends_by_either_side)
{
	expect_over(unregister(30, at(GUEST_IP, 1720)), ALG_GUEST, unregistered(30), true);
	expect_over(unregister(30, at(GUEST_IP, 1720)), ALG_GUEST, unregistered(31), false);
	expect_over(plain_request(30), ALG_GUEST, unregistered(30), false);
	expect_over(unregister(30, at(OUTSIDE_IP, 40001)), ALG_OUTSIDE, unregistered(30), true);
	expect_over(plain_request(30), ALG_GUEST, refused(30), true);
	expect_over(plain_request(30), ALG_GUEST, refused(31), false);
}

Test(ras, the_same_address_is_named_when_it_ends)
{
	struct harness *h = registered();
	expect_as(h, ALG_GUEST, unregister(30, at(GUEST_IP, 1720)),
		unregister(30, at(OUTSIDE_IP, 40001)));
	expect_as(h, ALG_OUTSIDE, unregister(31, at(OUTSIDE_IP, 40001)),
		unregister(31, at(GUEST_IP, 1720)));
	harness_free(h);
}

Test(ras, calls_name_where_the_guest_is_registered)
{
	struct harness *h = registered();
	struct alg_flow f = harness_client(12030, 40009, 1720);
	f.h323 = h->flow.view.h323;
	struct harness *s = harness_new(&h225_protocol, f, GRANT);
	expect_as(s, ALG_GUEST, setup(7, "", at(PEER_IP, 1720), at(GUEST_IP, 1720), GUID),
		setup(7, "", at(PEER_IP, 1720), at(OUTSIDE_IP, 40001), GUID));
	expect_as(s, ALG_OUTSIDE, setup(7, "", at(OUTSIDE_IP, 40001), at(PEER_IP, 9), GUID),
		setup(7, "", at(GUEST_IP, 1720), at(PEER_IP, 9), GUID));
	harness_free(s);
	harness_free(h);
}

Test(ras, an_answer_to_another_port_finds_it)
{
	struct harness *h = begin();
	expect_as(
		h, ALG_GUEST, discover(5, at(GUEST_IP, 1719)), discover(5, at(OUTSIDE_IP, 40000)));
	cr_expect_eq(h->wishes, 0);
	expect_as(
		h, ALG_GUEST, discover(6, at(GUEST_IP, 2719)), discover(6, at(OUTSIDE_IP, 40001)));
	cr_assert_eq(h->wishes, 1);
	cr_expect(h->wish[0].kind == ALG_UDP_ONE && h->wish[0].guest_port == 2719);
	cr_expect(!h->wish[0].latent && h->wish[0].peer_ip_be == ip(PEER_IP));
	expect_as(h, ALG_GUEST, request(7, at(GUEST_IP, 1720), at(GUEST_IP, 2719)),
		request(7, at(OUTSIDE_IP, 40002), at(OUTSIDE_IP, 40001)));
	cr_expect_eq(h->wishes, 2);
	harness_free(h);
}

Test(ras, a_static_guest_keeps_its_ports)
{
	static struct maps maps;
	maps_clear(&maps);
	maps_add(&maps, ip(GUEST_IP), ip("203.0.113.50"), 0);
	maps_add(&maps, ip(OTHER_IP), ip("203.0.113.66"), 0);
	struct alg_flow f = view();
	f.maps = &maps;
	f.outside_ip_be = ip("203.0.113.50");
	f.outside_port = 1719;
	struct harness *h = harness_new(&ras_protocol, f, GRANT);
	expect_as(h, ALG_GUEST, plain_request(17),
		request(17, at("203.0.113.50", 1720), at("203.0.113.50", 1719)));
	expect_as(h, ALG_OUTSIDE, unregister(9, at("203.0.113.50", 1720)),
		unregister(9, at(GUEST_IP, 1720)));
	expect_as(h, ALG_GUEST, request(18, at(OTHER_IP, 1720), at(GUEST_IP, 1719)),
		request(18, at("203.0.113.66", 1720), at("203.0.113.50", 1719)));
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

Test(ras, a_gatekeeper_inside_is_where_it_is_published)
{
	struct alg_flow f = view();
	f.guest_serves = true;
	f.outside_port = 1719;
	struct harness *h = harness_new(&ras_protocol, f, GRANT);
	expect_as(h, ALG_GUEST, confirm_at(17, at(GUEST_IP, 1720), 120),
		confirm_at(17, at(OUTSIDE_IP, 1720), 120));
	expect_as(h, ALG_GUEST, discover(5, at(GUEST_IP, 2719)), discover(5, at(OUTSIDE_IP, 2719)));
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

Test(ras, a_refusal_leaves_the_request_alone)
{
	struct harness *h = harness_new(&ras_protocol, view(), REFUSE);
	expect_same(h, ALG_GUEST, plain_request(17));
	tell(h, ALG_OUTSIDE, confirmed(17));
	cr_expect_eq(h->acts, 0);
	harness_free(h);
}

Test(ras, others_and_low_ports_are_not_opened)
{
	struct harness *h = begin();
	tell(h, ALG_GUEST, request(17, at(OTHER_IP, 1720), at(GUEST_IP, 1719)));
	expect_same(h, ALG_GUEST, request(18, at(GUEST_IP, 80), at(GUEST_IP, 1719)));
	expect_same(h, ALG_GUEST, discover(19, at(OTHER_IP, 2719)));
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

/* ---- admission ---- */

Test(ras, where_an_admission_sends_the_guest_is_watched)
{
	struct harness *h = begin();
	admit(h, 3, six("198.51.100.77", 1820));
	cr_assert_eq(h->wishes, 1);
	const struct alg_wish *w = &h->wish[0];
	cr_expect(w->kind == ALG_TCP_WATCH && w->peer_ip_be == ip("198.51.100.77"));
	cr_expect(w->peer_port == 1820 && w->inspect && w->service == 0 && !w->latent);
	admit(h, 4, six("198.51.100.77", 1820));
	cr_expect_eq(h->wishes, 1, "known already");
	cr_expect_eq(harness_count(h, ALG_KEEP, w->token), 1);
	admit(h, 5, six("198.51.100.77", 1720));
	admit(h, 6, six("198.51.100.77", 80));
	admit(h, 7, six(OUTSIDE_IP, 1820));
	tell(h, ALG_GUEST, ask(8));
	expect_same(h, ALG_GUEST, admitted(8, six("198.51.100.77", 1821)));
	cr_expect_eq(h->wishes, 1);
	harness_free(h);
}

/* Also of who comes to a gatekeeper inside. */
static void expect_watches(struct harness *h)
{
	expect_same(h, ALG_OUTSIDE, admitted(3, six("198.51.100.77", 1820)));
	cr_expect_eq(h->wishes, 0, "nobody asked");
	tell(h, ALG_GUEST, ask(4));
	expect_same(h, ALG_OUTSIDE, admitted(3, six("198.51.100.77", 1820)));
	cr_expect_eq(h->wishes, 0, "that was another question");
	expect_same(h, ALG_OUTSIDE, admitted(4, six("198.51.100.77", 1820)));
	expect_same(h, ALG_OUTSIDE, admitted(4, six("198.51.100.77", 1821)));
	cr_expect_eq(h->wishes, 1, "one answer a question");
	harness_free(h);
}

Test(ras, what_was_not_asked_leads_to_no_watch)
{
	struct alg_flow f = view();
	expect_watches(begin());
	f.guest_serves = true;
	expect_watches(harness_new(&ras_protocol, f, GRANT));
}

Test(ras, many_may_ask_at_once)
{
	struct harness *h = begin();
	for (unsigned int i = 0; i < 65; i++)
		tell(h, ALG_GUEST, ask(i + 1));
	for (unsigned int i = 65; i > 0; i--)
		tell(h, ALG_OUTSIDE, admitted(i, six("198.51.100.77", 1800 + i)));
	cr_expect_eq(h->wishes, 64, "but the first was too long ago: %u", h->wishes);
	harness_free(h);
}

/* With a registration: whether both are over. */
static void expect_watch_over(
	struct octets said, enum alg_direction from, struct octets answer, bool over)
{
	struct harness *h = registered();
	admit(h, 20, six("198.51.100.77", 1820));
	cr_assert_eq(h->wishes, 2);
	tell(h, from, said);
	tell(h, from == ALG_GUEST ? ALG_OUTSIDE : ALG_GUEST, answer);
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), over);
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[1].token), over);
	harness_free(h);
}

Test(ras, watches_end_with_the_registration)
{
	expect_watch_over(unregister(30, at(GUEST_IP, 1720)), ALG_GUEST, unregistered(30), true);
	expect_watch_over(unregister(30, at(GUEST_IP, 1720)), ALG_GUEST, unregistered(31), false);
	expect_watch_over(unregister(9, at(OUTSIDE_IP, 40001)), ALG_OUTSIDE, unregistered(9), true);
}

Test(ras, a_gatekeepers_own_port_is_watched)
{
	struct harness *h = begin();
	tell(h, ALG_GUEST, plain_request(17));
	tell(h, ALG_OUTSIDE, confirm_at(17, at(PEER_IP, 1721), 120));
	cr_assert_eq(h->wishes, 2);
	cr_expect(h->wish[1].kind == ALG_TCP_WATCH && h->wish[1].peer_port == 1721);
	cr_expect_eq(harness_count(h, ALG_ARM, h->wish[0].token), 1);
	harness_free(h);
}

Test(ras, a_new_watch_takes_the_place_of_the_oldest)
{
	struct harness *h = begin();
	for (unsigned int i = 0; i < H323_CALL_OPENINGS + 2; i++)
		admit(h, i + 1, six("198.51.100.77", 1800 + i));
	cr_expect_eq(h->wishes, H323_CALL_OPENINGS + 2);
	for (unsigned int i = 0; i < h->wishes; i++)
		cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[i].token), i < 2, "%u", i);
	admit(h, 99, six("198.51.100.77", 1802));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 2, "one that is there takes nobody's place");
	harness_free(h);
}

/* ---- what is left alone ---- */

Test(ras, an_authenticated_request_is_left_alone_and_opens_nothing)
{
	struct harness *h = begin();
	expect_same(h, ALG_GUEST,
		request_with(17, at(GUEST_IP, 1720), at(GUEST_IP, 1719), 60, "00", "0100"));
	cr_expect(h->note && !h->wishes);
	harness_free(h);
}

Test(ras, a_datagram_that_cannot_be_read_says_nothing_of_the_next)
{
	struct harness *h = begin();
	const struct octets junk = hex("0e8000");
	for (int i = 0; i < 8; i++)
		expect_same(h, ALG_GUEST, junk);
	cr_expect(h->note && !h->gave_up);
	tell(h, ALG_GUEST, plain_request(17));
	cr_expect_eq(h->wishes, 1);
	for (int i = 0; i < 8; i++)
		expect_same(h, ALG_OUTSIDE, junk);
	cr_expect_not(h->gave_up);
	tell(h, ALG_OUTSIDE, junk);
	cr_expect(h->violation, "so many in a row are something else");
	harness_free(h);
}

Test(ras, discovery_is_the_same)
{
	struct harness *h =
		harness_new(&ras_discovery_protocol, harness_client(1719, 40000, 1718), GRANT);
	expect_as(
		h, ALG_GUEST, discover(5, at(GUEST_IP, 1719)), discover(5, at(OUTSIDE_IP, 40000)));
	harness_free(h);
}
