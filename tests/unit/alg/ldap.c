/*
 * LDAP: which addresses are rewritten, which are not, what ends inspection; and every session of
 * tests/vectors/ldap at every split position with the same output. What a rewritten message must look
 * like is built anew with the other address, so that lengths are computed twice, in two ways.
 */
#include "ldap.h"
#include "maps.h"
#include "session.h"

#define GUEST_IP   "192.168.30.10"
#define OUTSIDE_IP "203.0.113.7"
#define PEER_IP	   "198.51.100.9"
#define MAPPED_IP  "192.168.30.50" /* by nat.static */
#define STATIC_IP  "203.0.113.50"
#define STARTTLS   "1.3.6.1.4.1.1466.20037"

static struct maps maps;

static struct alg_flow client_view(void)
{
	maps_clear(&maps);
	maps_add(&maps, ip(MAPPED_IP), ip(STATIC_IP), 0);
	maps_add(&maps, ip("192.168.30.60"), ip("203.0.113.60"), maps_vrf(&maps, "another"));
	return (struct alg_flow){
		.guest_ip_be = ip(GUEST_IP),
		.outside_ip_be = ip(OUTSIDE_IP),
		.peer_ip_be = ip(PEER_IP),
		.guest_port = 50000,
		.outside_port = 40000,
		.peer_port = 389,
		.maps = &maps,
	};
}

static struct alg_flow server_view(void)
{
	struct alg_flow f = client_view();
	f.guest_serves = true;
	f.guest_port = 389;
	f.peer_port = 50000;
	return f;
}

/* Every message that carries an attribute's value, with this one. */
enum { SHAPES = 8 };
static const struct {
	const char *name;
	bool from_client;
} shapes[SHAPES] = {{"add", true}, {"modify", true}, {"compare", true}, {"search", true},
	{"approximate search", true}, {"nested search", true}, {"entry", false},
	{"controls", true}};

static struct blob shape(int which, const char *type, const char *value)
{
	const struct blob a = attribute(type, value);
	switch (which) {
	case 0: return entry(0x68, ALL(attribute("cn", "a"), a, attribute("sttl", "10")));
	case 1: return entry(0x66, element(0x30, ALL(number(10, 2), a)));
	case 2:
		return message(
			7, element(0x6e, ALL(string(4, "cn=a"), assertion(0x30, type, value))));
	case 3: return search(assertion(0xa3, type, value));
	case 4: return search(assertion(0xa8, type, value));
	case 5:
		return search(element(0xa0,
			ALL(assertion(0xa3, "objectClass", "rtPerson"),
				element(0xa1, ALL(string(0x87, "cn"),
						      element(0xa2, assertion(0xa3, type, value)))),
				assertion(0xa3, "sappid", "ms-netmeeting"))));
	case 6: return entry(0x64, ALL(attribute("cn", "a"), a));
	default:
		return element(0x30,
			ALL(number(2, 7), element(0x68, ALL(string(4, "cn=a"), element(0x30, a))),
				element(0xa0, element(0x30, string(4, "1.2.3")))));
	}
}

/* ---- playing ---- */

static void say(struct harness *h, enum alg_direction from, struct blob b)
{
	harness_send(h, from, b.p, b.n);
}

static enum alg_direction client_of(const struct harness *h)
{
	return h->flow.view.guest_serves ? ALG_OUTSIDE : ALG_GUEST;
}

static enum alg_direction server_of(const struct harness *h)
{
	return h->flow.view.guest_serves ? ALG_GUEST : ALG_OUTSIDE;
}

static void forget(struct harness *h)
{
	h->way[0].out_bytes = h->way[1].out_bytes = 0;
}

static struct harness *bound(struct alg_flow view)
{
	struct harness *h = harness_new(&ldap_protocol, view, GRANT);
	say(h, client_of(h), simple_bind());
	say(h, server_of(h), result(0x61, 1, 0));
	harness_expect_untouched(h);
	cr_assert_not(h->gave_up);
	forget(h);
	return h;
}

static void expect_came_out(
	const struct harness *h, enum alg_direction from, struct blob b, const char *what)
{
	const struct way *w = &h->way[from];
	cr_expect(w->out_bytes == b.n && !memcmp(w->out, b.p, b.n), "%s", what);
	cr_expect(!h->gave_up && !h->wishes && !h->acts, "%s", what);
}

/* One message on a flow of its own: what comes out is `as`. */
static void expect(struct alg_flow view, enum alg_direction from, struct blob b, struct blob as,
	const char *what)
{
	struct harness *h = bound(view);
	say(h, from, b);
	expect_came_out(h, from, as, what);
	harness_free(h);
}

/* In every shape and from whichever end sends it. */
static void expect_value(const char *type, const char *from_guest, const char *out_there)
{
	for (int serves = 0; serves < 2; serves++)
		for (int i = 0; i < SHAPES; i++) {
			const struct alg_flow view = serves ? server_view() : client_view();
			const bool outward = shapes[i].from_client != serves;
			expect(view, outward ? ALG_GUEST : ALG_OUTSIDE,
				shape(i, type, outward ? from_guest : out_there),
				shape(i, type, outward ? out_there : from_guest), shapes[i].name);
		}
}

static void expect_kept(const char *type, const char *value)
{
	expect_value(type, value, value);
}

/* ---- what is rewritten ---- */

Test(ldap, the_guests_own_address_is_its_outside_one_out_there)
{
	/* [MS-TAIL] 2.2.3: the first octet counts least */
	expect_value("sipaddress", "169781440", "124846283");
	expect_value("sIPAddress", "169781440", "124846283");
	expect_value("ipAddress", "169781440", "124846283");
	expect_value("ipAddress", GUEST_IP, OUTSIDE_IP);
	expect_value("msTAPI-IpAddress", GUEST_IP, OUTSIDE_IP);
	expect_value("1.2.840.113556.1.4.1701", GUEST_IP, OUTSIDE_IP);
	expect_value("MSTAPI-IPADDRESS;lang-en", GUEST_IP, OUTSIDE_IP);
}

Test(ldap, the_specifications_example)
{
	struct alg_flow view = client_view();
	view.guest_ip_be = ip("10.70.41.96");
	view.outside_ip_be = ip("192.168.0.224");
	octets_of_length = 1;
	expect(view, ALG_GUEST, shape(0, "ipAddress", "1613317642"),
		shape(0, "ipAddress", "3758139584"), "the values of [MS-TAIL] 2.2.3 and 4.1.2");
}

Test(ldap, where_the_outside_address_is_not_known_nothing_becomes_it)
{
	struct alg_flow view = client_view();
	view.outside_ip_be = 0;
	expect(view, ALG_GUEST, shape(0, "ipAddress", GUEST_IP), shape(0, "ipAddress", GUEST_IP),
		"the guest's");
	expect(view, ALG_GUEST, shape(0, "ipAddress", MAPPED_IP), shape(0, "ipAddress", STATIC_IP),
		"a mapped one");
	view.guest_serves = true;
	view.guest_port = 389;
	expect(view, ALG_OUTSIDE, shape(0, "ipAddress", "0.0.0.0"),
		shape(0, "ipAddress", "0.0.0.0"), "nobody's");
}

Test(ldap, static_mappings_hold_in_both_directions)
{
	expect_value("sipaddress", "840870080", "846266571");
	expect_value("msTAPI-IpAddress", MAPPED_IP, STATIC_IP);
}

Test(ldap, a_mapping_of_another_vrf_is_nobodys)
{
	expect_kept("msTAPI-IpAddress", "192.168.30.60");
	expect_kept("msTAPI-IpAddress", "203.0.113.60");
}

Test(ldap, lengths_of_four_octets_stay_so)
{
	for (octets_of_length = 3; octets_of_length <= 5; octets_of_length++) {
		expect_value("msTAPI-IpAddress", GUEST_IP, OUTSIDE_IP);
		expect_value("msTAPI-IpAddress", MAPPED_IP, STATIC_IP);
	}
}

Test(ldap, an_enclosing_length_grows_by_an_octet)
{
	static char filler[300];
	struct alg_flow view = client_view();
	view.guest_ip_be = ip("10.1.1.1");
	octets_of_length = 1;
	for (size_t n = 60; n < sizeof(filler); n++) {
		memset(filler, 'x', n);
		const struct blob more = attribute("cn", filler);
		expect(view, ALG_GUEST, entry(0x68, ALL(more, attribute("ipAddress", "10.1.1.1"))),
			entry(0x68, ALL(more, attribute("ipAddress", OUTSIDE_IP))), "filler");
	}
}

Test(ldap, several_addresses_in_a_message)
{
	const struct blob values = ALL(string(4, GUEST_IP), string(4, "192.0.2.1"),
		string(4, MAPPED_IP), string(4, "10.0.0.1"));
	const struct blob others = ALL(string(4, OUTSIDE_IP), string(4, "192.0.2.1"),
		string(4, STATIC_IP), string(4, "10.0.0.1"));
	const struct blob type = string(4, "msTAPI-IpAddress");
	const struct blob before = element(0x30, ALL(type, element(0x31, values)));
	const struct blob after = element(0x30, ALL(type, element(0x31, others)));
	expect(client_view(), ALG_GUEST,
		entry(0x68, ALL(before, attribute("sipaddress", "169781440"), before)),
		entry(0x68, ALL(after, attribute("sipaddress", "124846283"), after)), "several");
}

Test(ldap, more_addresses_than_fit_stay_as_they_are)
{
	/* of a length that changes nothing around it: an edit each */
	struct alg_flow view = client_view();
	view.outside_ip_be = ip("192.168.30.99");
	for (size_t count = ALG_EDITS; count <= ALG_EDITS + 1; count++) {
		struct blob before = {0}, after = {0};
		for (size_t i = 0; i < count; i++) {
			before = ALL(before, string(4, GUEST_IP));
			after = ALL(
				after, string(4, count > ALG_EDITS ? GUEST_IP : "192.168.30.99"));
		}
		const struct blob type = string(4, "msTAPI-IpAddress");
		expect(view, ALG_GUEST,
			entry(0x68, element(0x30, ALL(type, element(0x31, before)))),
			entry(0x68, element(0x30, ALL(type, element(0x31, after)))), "many");
	}
}

/* ---- what is not ---- */

Test(ldap, other_addresses_and_other_attributes_stay)
{
	const char *values[] = {"", "192.168.30.11", "192.168.30.1", "192.168.30.100",
		"192.168.030.10", "192.168.30.10 ", " 192.168.30.10", "192.168.30.10:1720",
		"192.168.30", "::ffff:192.168.30.10", "169781440", "010.1.1.1", "host.example",
		"192.168.30.10\n", "256.1.1.1"};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		expect_kept("msTAPI-IpAddress", values[i]);
	const char *numbers[] = {"", "169781441", "0169781440", "+169781440", "-169781440",
		"169781440 ", "0xa1ea8c0", "4464748736", "18446744073879333056", "169781440.0",
		GUEST_IP, "3232243210" /* the other byte order */};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		expect_kept("sipaddress", numbers[i]);
	const char *types[] = {"cn", "", "comment", "sport", "sipaddres", "sipaddresss",
		"xsipaddress", "ipHostNumber", "conferenceBlob", ";ipaddress",
		"1.2.840.113556.1.4.170"};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		expect_kept(types[i], GUEST_IP);
		expect_kept(types[i], "169781440");
	}
}

Test(ldap, an_address_of_the_other_side_is_not_the_guests)
{
	expect(client_view(), ALG_GUEST, shape(0, "ipAddress", OUTSIDE_IP),
		shape(0, "ipAddress", OUTSIDE_IP), "its outside address, said by the guest");
	expect(client_view(), ALG_OUTSIDE, shape(6, "ipAddress", GUEST_IP),
		shape(6, "ipAddress", GUEST_IP), "its inside address, said outside");
	expect(client_view(), ALG_GUEST, shape(0, "ipAddress", STATIC_IP),
		shape(0, "ipAddress", STATIC_IP), "a mapping's outside address, said by the guest");
}

Test(ldap, where_both_sides_call_it_the_same_nothing_is_edited)
{
	struct alg_flow view = client_view();
	_Alignas(8) uint8_t state[ALG_STATE_BYTES] = {0};
	static struct alg_answer answer;
	const struct blob b = shape(0, "ipAddress", GUEST_IP);
	view.outside_ip_be = view.guest_ip_be;
	ldap_protocol.message(state, &view, ALG_GUEST, b.p, b.n, &answer);
	cr_expect(answer.result == ALG_PASS && !answer.edit_count, "routed, not translated");
}

Test(ldap, filters_that_compare_otherwise_stay)
{
	const struct blob any =
		element(0xa4, ALL(string(4, "ipAddress"), element(0x30, string(0x80, GUEST_IP))));
	const struct blob extensible =
		element(0xa9, ALL(string(0x82, "ipAddress"), string(0x83, GUEST_IP)));
	const struct blob filters[] = {assertion(0xa5, "ipAddress", GUEST_IP),
		assertion(0xa6, "ipAddress", GUEST_IP), any, extensible, string(0x87, "ipAddress"),
		element(0xa0, (struct blob){0}), element(0xa1, (struct blob){0}),
		string(0x8b, "unknown")};
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		const struct blob b = search(filters[i]);
		expect(client_view(), ALG_GUEST, b, b, "filter");
		const struct blob two = search(element(0xa0, ALL(filters[i], filters[i])));
		expect(client_view(), ALG_GUEST, two, two, "filters");
	}
}

Test(ldap, other_operations_pass_whatever_is_in_them)
{
	const struct blob a = ALL(string(4, "x"), element(0x30, attribute("ipAddress", GUEST_IP)));
	const uint8_t from_client[] = {0x6c, 0x77, 0x4a, 0x50, 0x42, 0x5a, 0x7a, 0x80};
	const uint8_t from_server[] = {0x65, 0x67, 0x69, 0x6b, 0x6d, 0x6f, 0x73, 0x79, 0x7e};
	for (size_t i = 0; i < sizeof(from_client); i++) {
		const struct blob b =
			from_client[i] == 0x77
				? message(9, element(0x77, ALL(string(0x80, "1.2"),
								   string(0x81, GUEST_IP))))
				: message(9, element(from_client[i], a));
		expect(client_view(), ALG_GUEST, b, b, "of the client");
	}
	for (size_t i = 0; i < sizeof(from_server); i++)
		expect(client_view(), ALG_OUTSIDE, message(9, element(from_server[i], a)),
			message(9, element(from_server[i], a)), "of the server");
}

/* ---- what ends inspection ---- */

static void expect_violation(
	struct harness *h, enum alg_direction from, struct blob b, const char *what)
{
	say(h, from, b);
	cr_expect(h->gave_up && h->violation, "%s", what);
	say(h, ALG_GUEST, shape(0, "ipAddress", GUEST_IP));
	const struct way *w = &h->way[ALG_GUEST];
	const struct blob last = shape(0, "ipAddress", GUEST_IP);
	cr_expect(w->out_bytes >= last.n && !memcmp(w->out + w->out_bytes - last.n, last.p, last.n),
		"%s: raw from here on", what);
	harness_free(h);
}

Test(ldap, the_first_message_must_be_a_request)
{
	const struct blob first[] = {result(0x61, 1, 0), message(1, element(0x5a, string(4, ""))),
		message(1, element(0x7a, string(4, ""))), shape(6, "ipAddress", GUEST_IP)};
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
		expect_violation(harness_new(&ldap_protocol, client_view(), GRANT), ALG_GUEST,
			first[i], "no request");
	const char *others[] = {"POST / HTTP/1.1\r\n", "\026\003\001\002", "\x30\x80\x02\x01\x01",
		"\x04\x01x", "\x01", "USER anonymous\r\n", "\x30\x85\x01\x01\x01\x01\x01",
		"\x30\x05\x02\x01\x01\x02\x01"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct blob b = {.n = strlen(others[i])};
		memcpy(b.p, others[i], b.n);
		expect_violation(
			harness_new(&ldap_protocol, client_view(), GRANT), ALG_GUEST, b, others[i]);
	}
}

Test(ldap, a_zero_octet_is_no_message_unless_a_layer_was_agreed)
{
	struct harness *h = harness_new(&ldap_protocol, client_view(), GRANT);
	expect_violation(h, ALG_GUEST, (struct blob){.n = 4, .p = {0, 0, 0, 9}}, "at once");
	expect_violation(bound(client_view()), ALG_GUEST, (struct blob){.n = 4, .p = {0, 0, 0, 9}},
		"after a simple bind");
}

Test(ldap, one_violation_later_ends_it_too)
{
	struct blob deep = assertion(0xa3, "ipAddress", GUEST_IP), cut = shape(0, "cn", "x");
	for (int i = 0; i < 30; i++)
		deep = element(0xa2, deep);
	cut.p[cut.n - 3] = 0x7f; /* a value longer than what is left */
	const struct {
		enum alg_direction from;
		struct blob b;
		const char *what;
	} bad[] = {
		{ALG_GUEST, result(0x65, 2, 0), "a response of the client"},
		{ALG_OUTSIDE, shape(0, "ipAddress", GUEST_IP), "a request of the server"},
		{ALG_GUEST, search(deep), "nested too deep"},
		{ALG_GUEST, cut, "a length too long"},
		{ALG_GUEST, element(0x30, (struct blob){0}), "an empty message"},
		{ALG_GUEST, element(0x30, number(2, 1)), "no operation"},
		{ALG_GUEST, message(0x80, element(0x68, string(4, ""))), "a negative number"},
		{ALG_GUEST, message(2, element(0x68, string(4, "cn=a"))),
			"an add without attributes"},
		{ALG_GUEST, message(2, element(0x66, string(4, "cn=a"))), "no changes"},
		{ALG_GUEST, message(2, element(0x63, string(4, "cn=a"))),
			"a search without filter"},
		{ALG_GUEST, message(2, element(0x6e, string(4, "cn=a"))), "nothing to compare"},
		{ALG_GUEST, message(2, element(0x60, number(2, 3))), "half a bind"},
		{ALG_GUEST, entry(0x68, string(4, "ipAddress")), "an attribute without values"},
		{ALG_GUEST, search(element(0xa3, string(4, "ipAddress"))), "half an assertion"},
		{ALG_GUEST,
			search(element(0xa3, ALL(string(4, "a"), string(4, "b"), string(4, "c")))),
			"an assertion and more"},
		{ALG_OUTSIDE, message(2, element(0x61, string(4, ""))),
			"a response without a code"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_violation(bound(client_view()), bad[i].from, bad[i].b, bad[i].what);
}

Test(ldap, as_deep_as_it_may)
{
	/* message, operation, filters, assertion: 24 in all */
	struct blob filter = assertion(0xa3, "ipAddress", GUEST_IP);
	struct blob as = assertion(0xa3, "ipAddress", OUTSIDE_IP);
	for (int i = 0; i < 21; i++) {
		filter = element(0xa0, ALL(filter, string(0x87, "cn")));
		as = element(0xa0, ALL(as, string(0x87, "cn")));
	}
	expect(client_view(), ALG_GUEST, search(filter), search(as), "deep");
	expect_violation(bound(client_view()), ALG_GUEST, search(element(0xa0, filter)), "deeper");
}

Test(ldap, a_message_over_64_kib_ends_it)
{
	static uint8_t p[70000];
	for (uint32_t n = 65536; n <= 65537; n++) {
		struct harness *h = bound(client_view());
		const uint32_t name = n - 6 - 3 - 4;
		const uint8_t head[] = {0x30, 0x84, 0, (uint8_t)((n - 6) >> 16),
			(uint8_t)((n - 6) >> 8), (uint8_t)(n - 6), 2, 1, 5, 0x4a, 0x82,
			(uint8_t)(name >> 8), (uint8_t)name};
		memset(p, 'x', n);
		memcpy(p, head, sizeof(head));
		for (uint32_t at = 0; at < n; at += 30000)
			harness_send(h, ALG_GUEST, p + at, n - at < 30000 ? n - at : 30000);
		cr_expect_eq(h->gave_up, n > 65536, "%u bytes", n);
		cr_expect(h->way[ALG_GUEST].out_bytes == n && !memcmp(h->way[ALG_GUEST].out, p, n));
		harness_free(h);
	}
}

/* ---- TLS and SASL ---- */

static struct blob start_tls(uint8_t id)
{
	return message(id, element(0x77, string(0x80, STARTTLS)));
}

static void expect_still_inspected(struct harness *h, const char *what)
{
	forget(h);
	say(h, ALG_GUEST, shape(0, "ipAddress", GUEST_IP));
	expect_came_out(h, ALG_GUEST, shape(0, "ipAddress", OUTSIDE_IP), what);
	harness_free(h);
}

static void expect_left_alone(struct harness *h, const char *what)
{
	cr_expect(h->gave_up && !h->violation, "%s", what);
	harness_send(h, ALG_GUEST, "\026\003\001\0\n", 5);
	say(h, ALG_GUEST, shape(0, "ipAddress", GUEST_IP));
	harness_expect_untouched(h);
	harness_free(h);
}

Test(ldap, tls_is_left_alone)
{
	struct harness *h = harness_new(&ldap_protocol, client_view(), GRANT);
	say(h, ALG_GUEST, start_tls(5));
	cr_expect_not(h->gave_up);
	say(h, ALG_OUTSIDE, result(0x78, 5, 0));
	expect_left_alone(h, "StartTLS");
}

Test(ldap, tls_that_was_refused_or_not_asked_for_changes_nothing)
{
	const struct {
		bool asked;
		uint8_t id, code;
	} cases[] = {{true, 5, 52}, {true, 6, 0}, {false, 5, 0}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct harness *h = bound(client_view());
		say(h, ALG_GUEST,
			cases[i].asked ? start_tls(5)
				       : message(5, element(0x77, string(0x80, "1.2"))));
		say(h, ALG_OUTSIDE, result(0x78, cases[i].id, cases[i].code));
		expect_still_inspected(h, "no TLS");
	}
}

static struct harness *after_sasl(const char *mechanism, uint8_t id, uint8_t code)
{
	struct harness *h = harness_new(&ldap_protocol, client_view(), GRANT);
	say(h, ALG_GUEST, sasl_bind(3, mechanism));
	say(h, ALG_OUTSIDE, result(0x61, id, code));
	cr_assert_not(h->gave_up);
	return h;
}

Test(ldap, a_security_layer_is_left_alone_and_a_bind_without_one_is_not)
{
	const struct blob wrapped = {.n = 9, .p = {0, 0, 0, 5, 0x60, 1, 2, 3, 4}};
	const char *with[] = {"GSSAPI", "GSS-SPNEGO", "DIGEST-MD5", "NTLM", "SCRAM"};
	const char *without[] = {"EXTERNAL", "PLAIN", "ANONYMOUS", "CRAM-MD5", "SCRAM-SHA-256",
		"login", "OAUTHBEARER", "XOAUTH2"};
	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
		struct harness *h = after_sasl(with[i], 3, 0);
		say(h, ALG_GUEST, wrapped);
		expect_left_alone(h, with[i]);
		h = after_sasl(with[i], 3, 0);
		say(h, ALG_OUTSIDE, wrapped);
		expect_left_alone(h, with[i]);
		expect_still_inspected(after_sasl(with[i], 3, 0), "it need not use its layer");
		expect_violation(after_sasl(with[i], 3, 49), ALG_GUEST, wrapped, "refused");
		expect_violation(after_sasl(with[i], 4, 0), ALG_GUEST, wrapped, "not its answer");
	}
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
		expect_violation(after_sasl(without[i], 3, 0), ALG_GUEST, wrapped, without[i]);
}

Test(ldap, what_is_in_a_layer_has_any_length)
{
	static const uint8_t wrapped[30000] = {0, 0, 0x75, 0x2c};
	const size_t cuts[] = {1, 100, sizeof(wrapped)};
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct harness *h = after_sasl("GSSAPI", 3, 0);
		h->flow.message_max = 4096;
		harness_send(h, ALG_OUTSIDE, wrapped, cuts[i]);
		expect_left_alone(h, "whatever the operator's bound is for messages");
	}
}

Test(ldap, a_layer_stays_for_binds_that_follow)
{
	struct harness *h = after_sasl("GSSAPI", 3, 14); /* in progress */
	say(h, ALG_GUEST, sasl_bind(4, "GSSAPI"));
	say(h, ALG_OUTSIDE, result(0x61, 4, 0));
	say(h, ALG_GUEST, (struct blob){.n = 4, .p = {0, 0, 0, 5}});
	expect_left_alone(h, "in two steps");
	h = harness_new(&ldap_protocol, client_view(), GRANT);
	say(h, ALG_GUEST, bind_with(3, string(0x8a, "NTLMSSP"))); /* Sicily, [MS-TAIL] 3.5.2.1 */
	say(h, ALG_OUTSIDE, result(0x61, 3, 0));
	say(h, ALG_GUEST, shape(3, "cn", "x"));
	cr_expect_not(h->gave_up);
	say(h, ALG_GUEST, (struct blob){.n = 4, .p = {0, 0, 0, 5}});
	expect_left_alone(h, "Sicily");
}

/* ---- streams ---- */

Test(ldap, several_messages_at_once_and_in_crumbs)
{
	const struct blob in = ALL(simple_bind(), shape(0, "sipaddress", "169781440"),
		shape(3, "ipAddress", MAPPED_IP), shape(1, "ipAddress", GUEST_IP));
	const struct blob out = ALL(simple_bind(), shape(0, "sipaddress", "124846283"),
		shape(3, "ipAddress", STATIC_IP), shape(1, "ipAddress", OUTSIDE_IP));
	for (size_t piece = 1; piece <= in.n; piece++) {
		struct harness *h = harness_new(&ldap_protocol, client_view(), GRANT);
		for (size_t at = 0; at < in.n; at += piece)
			harness_send(
				h, ALG_GUEST, in.p + at, in.n - at < piece ? in.n - at : piece);
		expect_came_out(h, ALG_GUEST, out, "pieces");
		cr_expect_eq(h->messages, 4);
		harness_free(h);
	}
}

/* ---- sessions ---- */

static void cut_everywhere(const struct session *s)
{
	session_cut_everywhere(s, &ldap_protocol);
}

Test(ldap_sessions, every_split_position_gives_the_same_output, .timeout = 240)
{
	session_each(VECTOR_DIRECTORY, 18, cut_everywhere);
}

static void without_its_address(const struct session *s)
{
	session_expect_untouched(s, &ldap_protocol, true);
}

Test(ldap_sessions, a_foreign_address_leaves_every_byte_as_it_was)
{
	session_each(VECTOR_DIRECTORY, 18, without_its_address);
}

static bool contains(const struct way *w, const char *text)
{
	return memmem(w->out, w->out_bytes, text, strlen(text)) != NULL;
}

static struct harness *played(const char *name, bool serves)
{
	struct session *s = session_load(VECTOR_DIRECTORY, name);
	struct harness *h = session_play(
		s, &ldap_protocol, session_view(s, true, serves), SESSION_WHOLE, SESSION_NO_CUT);
	free(s);
	return h;
}

Test(ldap_sessions, each_does_what_its_name_says)
{
	const struct {
		const char *name;
		bool gave_up, edited;
		const char *there, *gone; /* in what the client sends */
	} cases[] = {
		{"ldap-starttls-1.session", true, false, NULL, NULL},
		{"gap-data-missing-1.session", true, false, NULL, NULL},
		{"asn1-max-recursion-1.session", false, false, NULL, NULL},
		{"simpleauth-1.session", false, false, NULL, NULL},
		{"own-slapd-389-1002-1.session", false, false, NULL, NULL},
		{"ils-netmeeting-register-1.session", false, true, "124846283", "1613317642"},
		{"ils-netmeeting-find-1.session", false, true, "124846283", "1613317642"},
		{"ils-dialer-1.session", false, true, OUTSIDE_IP, "10.70.41.96"},
		{"own-ils-slapd-1.session", false, true, OUTSIDE_IP, "10.77.3.10"},
		{"own-ils-slapd-2.session", false, true, OUTSIDE_IP, "10.77.3.10"},
		{"own-ils-slapd-3.session", false, true, "124846283", "167988490"},
		{"own-ils-slapd-4.session", false, true, OUTSIDE_IP, "10.77.3.10"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct harness *h = played(cases[i].name, false);
		const struct way *sent = &h->way[ALG_GUEST];
		cr_expect_eq(h->gave_up, cases[i].gave_up, "%s", cases[i].name);
		cr_expect_not(h->violation, "%s", cases[i].name);
		if (cases[i].edited)
			cr_expect(contains(sent, cases[i].there) && !contains(sent, cases[i].gone),
				"%s", cases[i].name);
		else
			harness_expect_untouched(h);
		harness_free(h);
	}
}

Test(ldap_sessions, what_comes_back_is_said_in_the_guests_terms)
{
	struct harness *h = played("ils-netmeeting-find-1.session", false);
	const struct way *heard = &h->way[ALG_OUTSIDE];
	cr_expect(contains(heard, "1613317642") && !contains(heard, "124846283"));
	cr_expect(
		contains(heard, "553779392") && contains(heard, "570556608"), "others as they are");
	harness_free(h);
}
