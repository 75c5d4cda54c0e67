/* The guest's address in SIP's header lines: what goes out, what comes back, and what is left alone. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "edits.h"
#include "maps.h"
#include "sip_names.h"

/* A guest at its port 5060, seen from outside at port 40000. */
static struct alg_flow flow_of(bool stream, bool serves)
{
	return (struct alg_flow){.guest_ip_be = inet_addr("192.168.30.10"),
		.outside_ip_be = inet_addr("203.0.113.7"),
		.peer_ip_be = inet_addr("198.51.100.9"),
		.guest_port = 5060,
		.outside_port = 40000,
		.peer_port = 5060,
		.stream = stream,
		.guest_serves = serves};
}

/* A flow, and what its guest said of itself so far. */
struct talk {
	struct alg_flow f;
	struct sip_names names;
	struct alg_answer answer;
	char out[8192];
};

static struct talk talk_of(void)
{
	return (struct talk){.f = flow_of(false, false)};
}

/* What becomes of a message. */
static const char *pass(struct talk *t, enum alg_direction from, const char *message)
{
	struct sip_message m;
	const size_t n = strlen(message);
	cr_assert(sip_read((const uint8_t *)message, n, false, &m), "%s", message);
	t->answer = (struct alg_answer){0};
	struct splice e = splice_of(&t->answer, (const uint8_t *)message);
	sip_names_edit(&e, &t->names, &t->f, from, &m);
	cr_assert(splice_end(&e));
	edits_apply(&t->answer, message, n, t->out, sizeof(t->out));
	return t->out;
}

static void expect(struct talk *t, enum alg_direction from, const char *message, const char *as)
{
	cr_expect_str_eq(pass(t, from, message), as, "%s: %s", message, t->out);
}

/* A message of this start line and one header line. */
static const char *with(const char *start, const char *line)
{
	static char t[2][2048];
	static unsigned int turn;
	char *out = t[++turn % 2];
	snprintf(out, sizeof(t[0]), "%s\r\n%s\r\n\r\n", start, line);
	return out;
}

static const char request[] = "INVITE sip:bob@example.com SIP/2.0", response[] = "SIP/2.0 200 OK";

static void expect_line(struct talk *t, enum alg_direction from, const char *start,
	const char *line, const char *as)
{
	char wanted[2048];
	snprintf(wanted, sizeof(wanted), "%s\r\n%s\r\n\r\n", start, as);
	expect(t, from, with(start, line), wanted);
}

Test(sip_names, every_place_goes_out_as_the_outside_address)
{
	static const char *const lines[][2] = {
		{"Via: SIP/2.0/UDP 192.168.30.10;rport;branch=z9hG4bK1",
			"Via: SIP/2.0/UDP 203.0.113.7:40000;rport;branch=z9hG4bK1"},
		{"v:SIP / 2.0 / UDP\r\n 192.168.30.10 : 5060 ;branch=1",
			"v:SIP / 2.0 / UDP\r\n 203.0.113.7 : 40000 ;branch=1"},
		{"Via: SIP/2.0/UDP 192.168.30.10:7000", "Via: SIP/2.0/UDP 203.0.113.7:40000"},
		{"Via: SIP/2.0/UDP host;maddr=192.168.30.10;received=192.168.30.10;rport=5060",
			"Via: SIP/2.0/UDP host;maddr=203.0.113.7;received=203.0.113.7;rport=40000"},
		{"Via: SIP/2.0/UDP host;rport=7;received=192.168.30.10",
			"Via: SIP/2.0/UDP host;rport=7;received=203.0.113.7"},
		{"Via: SIP/2.0/UDP host;rport=00;received=192.168.30.10",
			"Via: SIP/2.0/UDP host;rport=00;received=203.0.113.7"},
		{"Contact: \"192.168.30.10\" <sip:192.168.30.10@192.168.30.10:5060;ob>;expires=60",
			"Contact: \"192.168.30.10\" "
			"<sip:192.168.30.10@203.0.113.7:40000;ob>;expires=60"},
		{"m: sip:a@192.168.30.10;x=192.168.30.10, "
		 "<sips:192.168.30.10:7000;maddr=192.168.30.10>",
			"m: sip:a@203.0.113.7:40000;x=192.168.30.10, "
			"<sips:203.0.113.7:40000;maddr=203.0.113.7>"},
		{"From: <sip:192.168.30.10>;tag=192.168.30.10",
			"From: <sip:203.0.113.7>;tag=192.168.30.10"},
		{"f: sip:a@192.168.30.10:5060", "f: sip:a@203.0.113.7:40000"},
		{"To: <sip:a@192.168.30.10:7000>", "To: <sip:a@203.0.113.7:7000>"},
		{"Route: <sip:192.168.30.10;lr>", "Route: <sip:203.0.113.7:40000;lr>"},
		{"Record-Route: <sip:192.168.30.10;lr>, <sip:p2.example.com;lr>",
			"Record-Route: <sip:203.0.113.7:40000;lr>, <sip:p2.example.com;lr>"},
		{"Path: <sip:192.168.30.10:5060;lr>", "Path: <sip:203.0.113.7:40000;lr>"},
		{"Service-Route: <sip:192.168.30.10:5060;lr>",
			"Service-Route: <sip:203.0.113.7:40000;lr>"},
		{"Refer-To: <sip:a@192.168.30.10?Replaces=1%40192.168.30.10%3Bto-tag%3D2>",
			"Refer-To: "
			"<sip:a@203.0.113.7:40000?Replaces=1%40192.168.30.10%3Bto-tag%3D2>"},
		{"r: sip:192.168.30.10", "r: sip:203.0.113.7:40000"},
		{"b: <sip:a@192.168.30.10>;cid=\"1@192.168.30.10\"",
			"b: <sip:a@203.0.113.7>;cid=\"1@192.168.30.10\""},
		{"Referred-By: sip:a@192.168.30.10:5060", "Referred-By: sip:a@203.0.113.7:40000"},
		{"P-Asserted-Identity: <sip:a@192.168.30.10>, <tel:+1>",
			"P-Asserted-Identity: <sip:a@203.0.113.7>, <tel:+1>"},
		{"P-Preferred-Identity: sip:192.168.30.10",
			"P-Preferred-Identity: sip:203.0.113.7"},
		{"Remote-Party-ID: \"x\" <sip:1@192.168.30.10>;party=calling",
			"Remote-Party-ID: \"x\" <sip:1@203.0.113.7>;party=calling"},
		{"Diversion: <sip:1@192.168.30.10>;reason=\"x\"",
			"Diversion: <sip:1@203.0.113.7>;reason=\"x\""},
		{"History-Info: <sip:1@192.168.30.10?Reason=SIP%3Bcause%3D1>;index=1",
			"History-Info: <sip:1@203.0.113.7?Reason=SIP%3Bcause%3D1>;index=1"},
		{"Reply-To: sip:192.168.30.10", "Reply-To: sip:203.0.113.7"},
		{"Call-Info: <http://192.168.30.10/>, <sip:192.168.30.10>",
			"Call-Info: <http://192.168.30.10/>, <sip:203.0.113.7>"},
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		for (int serves = 0; serves < 2; serves++) {
			struct talk t = talk_of();
			t.f.guest_serves = serves;
			expect_line(&t, ALG_GUEST, serves ? response : request, lines[i][0],
				lines[i][1]);
		}
	struct talk t = talk_of();
	expect(&t, ALG_GUEST, with("REFER sip:a@192.168.30.10;maddr=192.168.30.10 SIP/2.0", "x: y"),
		with("REFER sip:a@203.0.113.7:40000;maddr=203.0.113.7 SIP/2.0", "x: y"));
}

/* Neither way, whatever was said before. */
static void expect_kept(struct talk *t, const char *message)
{
	expect(t, ALG_GUEST, message, message);
	expect(t, ALG_OUTSIDE, message, message);
}

Test(sip_names, what_is_no_address_of_the_guest_stays)
{
	static const char *const lines[] = {
		"Via: SIP/2.0/UDP 198.51.100.9;received=192.168.30.11;rport=5060",
		"Via: SIP/2.0/UDP 192.168.30.10.example.com;branch=192.168.30.10",
		"Via: SIP/2.0/UDP [2001:db8::192.168.30.10]:5060",
		("Contact: <sip:192.168.30.10@example.com>, <sip:192.168.30.1>, "
		 "<sip:192.168.30.100>"),
		"Contact: *",
		"Call-ID: 1@192.168.30.10",
		"Replaces: 1@192.168.30.10;to-tag=1;from-tag=192.168.30.10",
		"Target-Dialog: 1@192.168.30.10;local-tag=1",
		"In-Reply-To: 1@192.168.30.10",
		"Authorization: Digest username=\"a\", uri=\"sip:192.168.30.10\", "
		"nonce=\"192.168.30.10\"",
		"Proxy-Authorization: Digest uri=\"sip:a@192.168.30.10:5060\"",
		"Identity: \"192.168.30.10\"",
		"Subject: <sip:192.168.30.10>",
		"X-Contact: <sip:192.168.30.10>",
		"User-Agent: phone/192.168.30.10",
		"From: \"<sip:192.168.30.10>\" <sip:a@example.com>;tag=192.168.30.10",
		"To: <tel:+1;phone-context=192.168.30.10>",
		"Refer-To: <sip:a@b?Replaces=1%40192.168.30.10&Route=%3Csip:192.168.30.10%3E>",
	};
	struct talk t = talk_of();
	t.names = (struct sip_names){{true, true, 0}, {true, true, 0}, {true, true, 0},
		{true, true, 0}, {true, true, 0}};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		expect_kept(&t, with(request, lines[i]));
		expect_kept(&t, with(response, lines[i]));
	}
}

static const char invite[] = "INVITE sip:bob@198.51.100.9 SIP/2.0\r\n"
			     "Via: SIP/2.0/UDP 192.168.30.10;rport;branch=z9hG4bK1\r\n"
			     "Record-Route: <sip:192.168.30.10:5060;lr>\r\n"
			     "From: <sip:alice@192.168.30.10>;tag=1\r\n"
			     "To: <sip:bob@198.51.100.9>\r\n"
			     "Contact: <sip:alice@192.168.30.10:5060>\r\n"
			     "P-Preferred-Identity: <sip:alice@192.168.30.10:5060>\r\n\r\n";
static const char invite_outside[] = "INVITE sip:bob@198.51.100.9 SIP/2.0\r\n"
				     "Via: SIP/2.0/UDP 203.0.113.7:40000;rport;branch=z9hG4bK1\r\n"
				     "Record-Route: <sip:203.0.113.7:40000;lr>\r\n"
				     "From: <sip:alice@203.0.113.7>;tag=1\r\n"
				     "To: <sip:bob@198.51.100.9>\r\n"
				     "Contact: <sip:alice@203.0.113.7:40000>\r\n"
				     "P-Preferred-Identity: <sip:alice@203.0.113.7:40000>\r\n\r\n";

Test(sip_names, what_comes_back_is_what_the_guest_said)
{
	struct talk t = talk_of();
	expect(&t, ALG_GUEST, invite, invite_outside);
	expect(&t, ALG_OUTSIDE,
		"SIP/2.0 200 OK\r\n"
		"Via: SIP/2.0/UDP "
		"203.0.113.7:40000;received=203.0.113.7;rport=40000;branch=z9hG4bK1\r\n"
		"Record-Route: <sip:p.example.com;lr>, <sip:203.0.113.7:40000;lr>\r\n"
		"From: <sip:alice@203.0.113.7>;tag=1\r\n"
		"To: <sip:bob@198.51.100.9>;tag=2\r\n"
		"Contact: <sip:bob@198.51.100.9>\r\n"
		"P-Asserted-Identity: <sip:alice@203.0.113.7:40000>\r\n\r\n",
		"SIP/2.0 200 OK\r\n"
		"Via: SIP/2.0/UDP "
		"192.168.30.10;received=203.0.113.7;rport=40000;branch=z9hG4bK1\r\n"
		"Record-Route: <sip:p.example.com;lr>, <sip:192.168.30.10:5060;lr>\r\n"
		"From: <sip:alice@192.168.30.10>;tag=1\r\n"
		"To: <sip:bob@198.51.100.9>;tag=2\r\n"
		"Contact: <sip:bob@198.51.100.9>\r\n"
		"P-Asserted-Identity: <sip:alice@192.168.30.10:5060>\r\n\r\n");
	expect(&t, ALG_OUTSIDE,
		"BYE sip:alice@203.0.113.7:40000 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 198.51.100.9;branch=z9hG4bK2\r\n"
		"Route: <sip:203.0.113.7:40000;lr>\r\n"
		"From: <sip:bob@198.51.100.9>;tag=2\r\n"
		"To: <sip:alice@203.0.113.7>;tag=1\r\n\r\n",
		"BYE sip:alice@192.168.30.10:5060 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 198.51.100.9;branch=z9hG4bK2\r\n"
		"Route: <sip:192.168.30.10:5060;lr>\r\n"
		"From: <sip:bob@198.51.100.9>;tag=2\r\n"
		"To: <sip:alice@192.168.30.10>;tag=1\r\n\r\n");
	expect(&t, ALG_GUEST,
		"SIP/2.0 200 OK\r\n"
		"Via: SIP/2.0/UDP 198.51.100.9;branch=z9hG4bK2\r\n"
		"From: <sip:bob@198.51.100.9>;tag=2\r\n"
		"To: <sip:alice@192.168.30.10>;tag=1\r\n\r\n",
		"SIP/2.0 200 OK\r\n"
		"Via: SIP/2.0/UDP 198.51.100.9;branch=z9hG4bK2\r\n"
		"From: <sip:bob@198.51.100.9>;tag=2\r\n"
		"To: <sip:alice@203.0.113.7>;tag=1\r\n\r\n");
}

Test(sip_names, a_guest_that_serves)
{
	struct talk t = talk_of();
	t.f.guest_serves = true;
	t.f.peer_port = 30000;
	static const char asked[] = "INVITE sip:bob@203.0.113.7:40000 SIP/2.0\r\n"
				    "Via: SIP/2.0/UDP 198.51.100.9:30000;branch=z9hG4bK1\r\n"
				    "From: <sip:a@198.51.100.9>;tag=1\r\n"
				    "To: <sip:bob@203.0.113.7:40000>\r\n\r\n";
	expect(&t, ALG_OUTSIDE, asked, asked);
	expect(&t, ALG_GUEST,
		"SIP/2.0 200 OK\r\n"
		"Via: SIP/2.0/UDP 198.51.100.9:30000;received=198.51.100.9;branch=z9hG4bK1\r\n"
		"Record-Route: <sip:192.168.30.10;lr>\r\n"
		"From: <sip:a@198.51.100.9>;tag=1\r\n"
		"To: <sip:bob@203.0.113.7:40000>;tag=2\r\n"
		"Contact: <sip:bob@192.168.30.10;transport=udp>\r\n\r\n",
		"SIP/2.0 200 OK\r\n"
		"Via: SIP/2.0/UDP 198.51.100.9:30000;received=198.51.100.9;branch=z9hG4bK1\r\n"
		"Record-Route: <sip:203.0.113.7:40000;lr>\r\n"
		"From: <sip:a@198.51.100.9>;tag=1\r\n"
		"To: <sip:bob@203.0.113.7:40000>;tag=2\r\n"
		"Contact: <sip:bob@203.0.113.7:40000;transport=udp>\r\n\r\n");
	expect(&t, ALG_OUTSIDE,
		"ACK sip:bob@203.0.113.7:40000;transport=udp SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 198.51.100.9:30000;branch=z9hG4bK2\r\n"
		"Route: <sip:203.0.113.7:40000;lr>\r\n"
		"To: <sip:bob@203.0.113.7:40000>;tag=2\r\n\r\n",
		"ACK sip:bob@192.168.30.10;transport=udp SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 198.51.100.9:30000;branch=z9hG4bK2\r\n"
		"Route: <sip:192.168.30.10;lr>\r\n"
		"To: <sip:bob@203.0.113.7:40000>;tag=2\r\n\r\n");
	expect(&t, ALG_GUEST,
		"BYE sip:a@198.51.100.9:30000 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 192.168.30.10:5060;branch=z9hG4bK3\r\n"
		"From: <sip:bob@203.0.113.7:40000>;tag=2\r\n"
		"To: <sip:a@198.51.100.9>;tag=1\r\n\r\n",
		"BYE sip:a@198.51.100.9:30000 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 203.0.113.7:40000;branch=z9hG4bK3\r\n"
		"From: <sip:bob@203.0.113.7:40000>;tag=2\r\n"
		"To: <sip:a@198.51.100.9>;tag=1\r\n\r\n");
	expect_line(&t, ALG_OUTSIDE, response, "Via: SIP/2.0/UDP 203.0.113.7:40000;branch=z9hG4bK3",
		"Via: SIP/2.0/UDP 192.168.30.10:5060;branch=z9hG4bK3");
}

Test(sip_names, the_outside_port_is_named_only_where_it_must_be)
{
	struct talk t = talk_of();
	t.f.outside_port = 5060;
	expect_line(
		&t, ALG_GUEST, request, "Contact: sip:192.168.30.10", "Contact: sip:203.0.113.7");
	expect_line(&t, ALG_OUTSIDE, response, "Contact: sip:203.0.113.7:5060",
		"Contact: sip:192.168.30.10");
	expect_line(&t, ALG_GUEST, request, "Contact: sip:192.168.30.10:5060",
		"Contact: sip:203.0.113.7:5060");
	expect_line(&t, ALG_OUTSIDE, response, "Contact: sip:203.0.113.7",
		"Contact: sip:192.168.30.10:5060");
	t.f.guest_port = 7000;
	expect_line(&t, ALG_GUEST, request, "Contact: sip:192.168.30.10:7000",
		"Contact: sip:203.0.113.7:5060");
	expect_line(&t, ALG_OUTSIDE, response, "Contact: sip:203.0.113.7",
		"Contact: sip:192.168.30.10:7000");
}

Test(sip_names, other_ports_stay_where_the_guest_has_an_address_of_its_own)
{
	static struct maps maps;
	struct talk t = talk_of();
	maps_clear(&maps);
	cr_assert(maps_add(&maps, t.f.guest_ip_be, t.f.outside_ip_be, 0));
	t.f.maps = &maps;
	expect_line(&t, ALG_GUEST, request, "Contact: <sip:192.168.30.10:7000>",
		"Contact: <sip:203.0.113.7:7000>");
	expect_line(&t, ALG_OUTSIDE, response, "Contact: <sip:203.0.113.7:7000>",
		"Contact: <sip:192.168.30.10:7000>");
	expect(&t, ALG_OUTSIDE, with("OPTIONS sip:203.0.113.7:7001 SIP/2.0", "x: y"),
		with("OPTIONS sip:192.168.30.10:7001 SIP/2.0", "x: y"));
	expect_line(&t, ALG_GUEST, request, "Contact: <sip:192.168.30.10>",
		"Contact: <sip:203.0.113.7:40000>");
	expect_line(&t, ALG_OUTSIDE, response, "Contact: <sip:203.0.113.7:40000>",
		"Contact: <sip:192.168.30.10>");
	t.f.guest_port = 45000;
	expect_line(&t, ALG_GUEST, request, "Contact: <sip:192.168.30.10>",
		"Contact: <sip:203.0.113.7>");
	expect_line(&t, ALG_OUTSIDE, response, "Contact: <sip:203.0.113.7>",
		"Contact: <sip:192.168.30.10>");
}

Test(sip_names, a_static_address_that_the_flow_does_not_have_is_none)
{
	static struct maps maps;
	struct talk t = talk_of();
	maps_clear(&maps);
	cr_assert(maps_add(&maps, t.f.guest_ip_be, inet_addr("203.0.113.8"), 0));
	t.f.maps = &maps;
	expect_line(&t, ALG_GUEST, request, "Contact: <sip:192.168.30.10:7000>",
		"Contact: <sip:203.0.113.7:40000>");
}

Test(sip_names, another_port_of_the_guest_is_reached_by_its_flow)
{
	struct talk t = talk_of();
	t.f.guest_port = 45000; /* a connection from an ephemeral port */
	expect_line(&t, ALG_GUEST, request, "Contact: <sip:192.168.30.10:5062>",
		"Contact: <sip:203.0.113.7:40000>");
	expect(&t, ALG_OUTSIDE, with("BYE sip:203.0.113.7:40000 SIP/2.0", "x: y"),
		with("BYE sip:192.168.30.10:5062 SIP/2.0", "x: y"));
}

Test(sip_names, only_the_guests_contact_of_a_registrar)
{
	struct talk t = talk_of();
	pass(&t, ALG_GUEST,
		with("REGISTER sip:example.com SIP/2.0", "Contact: <sip:a@192.168.30.10>"));
	expect_line(&t, ALG_OUTSIDE, response,
		"Contact: <sip:a@203.0.113.7:40001>;expires=9, "
		"<sip:a@203.0.113.7:40000>;expires=60, "
		"<sip:a@203.0.113.7>, <sip:a@198.51.100.77:40000>",
		"Contact: <sip:a@203.0.113.7:40001>;expires=9, <sip:a@192.168.30.10>;expires=60, "
		"<sip:a@203.0.113.7>, <sip:a@198.51.100.77:40000>");
}

static struct sip_place first_contact(const char *value)
{
	struct sip_scan scan = sip_scan_of(text(value, strlen(value)));
	struct sip_place place;
	cr_assert(sip_next_address(&scan, &place), "%s", value);
	return place;
}

Test(sip_names, whose_contact_it_is)
{
	struct talk t = talk_of();
	struct sip_place p = first_contact("<sip:a@203.0.113.7:40000>");
	cr_expect(sip_names_is_guest(&t.f, &p));
	t.f.outside_port = 5060;
	cr_expect_not(sip_names_is_guest(&t.f, &p), "somebody else's port");
	p = first_contact("<sip:a@203.0.113.7>");
	cr_expect(sip_names_is_guest(&t.f, &p));
	p = first_contact("<sip:a@198.51.100.9:5060>");
	cr_expect_not(sip_names_is_guest(&t.f, &p));
	p = first_contact("<sip:a@host;maddr=203.0.113.7>");
	cr_expect_not(sip_names_is_guest(&t.f, &p));
}

Test(sip_names, nothing_comes_in_for_who_said_nothing)
{
	struct talk t = talk_of();
	static const char asked[] = "INVITE sip:a@203.0.113.7:40000;maddr=203.0.113.7 SIP/2.0\r\n"
				    "Via: SIP/2.0/UDP 203.0.113.7:40000;maddr=203.0.113.7\r\n"
				    "Route: <sip:203.0.113.7:40000>\r\n"
				    "To: <sip:a@203.0.113.7>\r\n"
				    "Refer-To: <sip:a@203.0.113.7:40000>\r\n"
				    "Contact: <sip:a@203.0.113.7:40000>\r\n\r\n";
	expect(&t, ALG_OUTSIDE, asked, asked);
	pass(&t, ALG_GUEST, with(request, "Contact: <sip:a@192.168.30.10>"));
	expect(&t, ALG_OUTSIDE,
		with("REGISTER sip:203.0.113.7:40000 SIP/2.0", "To: <sip:a@203.0.113.7>"),
		with("REGISTER sip:203.0.113.7:40000 SIP/2.0", "To: <sip:a@203.0.113.7>"));
	expect_line(&t, ALG_OUTSIDE, request,
		"Refer-To: <sip:a@203.0.113.7:40000?Replaces=1%40203.0.113.7>",
		"Refer-To: <sip:a@192.168.30.10?Replaces=1%40203.0.113.7>");
	expect_line(&t, ALG_OUTSIDE, request, "Contact: <sip:a@203.0.113.7:40001>",
		"Contact: <sip:a@203.0.113.7:40001>");
}

Test(sip_names, what_is_public_stays_and_comes_back_so)
{
	struct talk t = talk_of();
	static const char public[] = "INVITE sip:bob@example.com SIP/2.0\r\n"
				     "Via: SIP/2.0/UDP 203.0.113.7:40000;rport\r\n"
				     "Record-Route: <sip:203.0.113.7:40000;lr>\r\n"
				     "From: <sip:a@203.0.113.7:40000>;tag=1\r\n"
				     "Contact: <sip:a@203.0.113.7:40000>\r\n\r\n";
	expect(&t, ALG_GUEST, public, public);
	pass(&t, ALG_GUEST, invite);
	expect(&t, ALG_GUEST, public, public);
	expect(&t, ALG_OUTSIDE, public, public);
	expect(&t, ALG_OUTSIDE,
		with(response, "Via: SIP/2.0/UDP 203.0.113.7:40000;received=203.0.113.7"),
		with(response, "Via: SIP/2.0/UDP 203.0.113.7:40000;received=203.0.113.7"));
	/* the old contact leaves, the new one is what it is to be called */
	pass(&t, ALG_GUEST,
		with("REGISTER sip:example.com SIP/2.0",
			"Contact: <sip:203.0.113.7:40000>, <sip:192.168.30.10>;expires=0"));
	cr_expect_not(t.names.contact.inside);
}

Test(sip_names, words_of_others_are_not_taken_for_the_guests)
{
	struct talk t = talk_of();
	pass(&t, ALG_GUEST, invite);
	const struct sip_names before = t.names;
	pass(&t, ALG_GUEST, with("SIP/2.0 302 Moved", "Contact: <sip:a@203.0.113.7:9>"));
	pass(&t, ALG_GUEST,
		with("SIP/2.0 200 OK\r\nCSeq: 1 REGISTER", "Contact: <sip:a@203.0.113.7:9>"));
	pass(&t, ALG_GUEST, with(response, "Via: SIP/2.0/UDP 192.168.30.10:7777"));
	pass(&t, ALG_GUEST, with(response, "Via: SIP/2.0/UDP host;maddr=192.168.30.10"));
	pass(&t, ALG_GUEST, with(response, "To: <sip:a@203.0.113.7>"));
	pass(&t, ALG_GUEST,
		with("BYE a:b SIP/2.0\r\nTo: <a:b>;tag=1", "From: <sip:a@203.0.113.7>"));
	pass(&t, ALG_GUEST, with(request, "Refer-To: <sip:192.168.30.10:7777>"));
	cr_expect_eq(memcmp(&before, &t.names, sizeof(before)), 0);
}

Test(sip_names, servers_on_one_host_are_told_apart)
{
	struct talk t = talk_of();
	expect_line(&t, ALG_GUEST, request,
		"Via: SIP/2.0/UDP 192.168.30.10;branch=1, SIP/2.0/UDP "
		"192.168.30.10:5080;branch=2\r\n"
		"Record-Route: <sip:192.168.30.10;lr>\r\nRecord-Route: <sip:192.168.30.10:5080;lr>",
		"Via: SIP/2.0/UDP 203.0.113.7:40000;branch=1, SIP/2.0/UDP "
		"203.0.113.7:5080;branch=2\r\n"
		"Record-Route: <sip:203.0.113.7:40000;lr>\r\nRecord-Route: "
		"<sip:203.0.113.7:5080;lr>");
	expect_line(&t, ALG_OUTSIDE, response,
		"Via: SIP/2.0/UDP 203.0.113.7:40000;branch=1, SIP/2.0/UDP "
		"203.0.113.7:5080;branch=2\r\n"
		"Record-Route: <sip:203.0.113.7:40000;lr>\r\nRecord-Route: "
		"<sip:203.0.113.7:5080;lr>",
		"Via: SIP/2.0/UDP 192.168.30.10;branch=1, SIP/2.0/UDP "
		"192.168.30.10:5080;branch=2\r\n"
		"Record-Route: <sip:192.168.30.10;lr>\r\nRecord-Route: "
		"<sip:192.168.30.10:5080;lr>");
	expect_line(&t, ALG_OUTSIDE, request,
		"Route: <sip:203.0.113.7:40000;lr>,<sip:203.0.113.7:5080;lr>\r\n"
		"Record-Route: <sip:203.0.113.7:5080;lr>\r\nVia: SIP/2.0/UDP 203.0.113.7:5080",
		"Route: <sip:192.168.30.10;lr>,<sip:192.168.30.10:5080;lr>\r\n"
		"Record-Route: <sip:203.0.113.7:5080;lr>\r\nVia: SIP/2.0/UDP 203.0.113.7:5080");
}

Test(sip_names, a_server_that_is_public_keeps_what_is_behind_it)
{
	struct talk t = talk_of();
	expect_line(&t, ALG_GUEST, request,
		"Via: SIP/2.0/UDP 203.0.113.7:40000, SIP/2.0/UDP 192.168.30.10:5080",
		"Via: SIP/2.0/UDP 203.0.113.7:40000, SIP/2.0/UDP 192.168.30.10:5080");
}

Test(sip_names, maddr_comes_back)
{
	struct talk t = talk_of();
	expect_line(&t, ALG_GUEST, request, "Via: SIP/2.0/UDP host;maddr=192.168.30.10",
		"Via: SIP/2.0/UDP host;maddr=203.0.113.7");
	expect_line(&t, ALG_OUTSIDE, response, "Via: SIP/2.0/UDP host;maddr=203.0.113.7",
		"Via: SIP/2.0/UDP host;maddr=192.168.30.10");
}

/* The fragment in a guest's message becomes this, and nothing is learned of it. */
static void expect_fragment(const char *message, const char *as)
{
	struct talk t = talk_of();
	struct sip_message m, fragment;
	pass(&t, ALG_GUEST, invite);
	const struct sip_names before = t.names;
	cr_assert(sip_read((const uint8_t *)message, strlen(message), false, &m));
	cr_assert(sip_read_fragment(m.h.body, &fragment));
	t.answer = (struct alg_answer){0};
	struct splice e = splice_of(&t.answer, (const uint8_t *)message);
	sip_names_edit(&e, &t.names, &t.f, ALG_GUEST, &fragment);
	cr_assert(splice_end(&e));
	edits_apply(&t.answer, message, strlen(message), t.out, sizeof(t.out));
	cr_expect_str_eq(t.out, as);
	cr_expect_eq(memcmp(&before, &t.names, sizeof(before)), 0, "%s", message);
}

Test(sip_names, fragments_are_edited_and_teach_nothing)
{
	static const char public[] = "NOTIFY sip:x SIP/2.0\r\n\r\n"
				     "INVITE sip:x SIP/2.0\r\nFrom: <sip:a@203.0.113.7>;tag=1";
	expect_fragment("NOTIFY sip:x SIP/2.0\r\n\r\n"
			"SIP/2.0 200 OK\r\nContact: <sip:a@192.168.30.10:7777>\r\n"
			"Via: SIP/2.0/UDP 192.168.30.10:7777",
		"NOTIFY sip:x SIP/2.0\r\n\r\n"
		"SIP/2.0 200 OK\r\nContact: <sip:a@203.0.113.7:40000>\r\n"
		"Via: SIP/2.0/UDP 203.0.113.7:40000");
	expect_fragment(public, public);
}

/* Both telephones have the same outside address. */
Test(sip_names, another_guest_keeps_its_name)
{
	struct talk t = talk_of();
	expect_line(&t, ALG_GUEST, request,
		"From: <sip:a@192.168.30.10>;tag=1\r\nTo: <sip:b@203.0.113.7:40002>",
		"From: <sip:a@203.0.113.7>;tag=1\r\nTo: <sip:b@203.0.113.7:40002>");
	expect_line(&t, ALG_OUTSIDE, response,
		"From: <sip:a@203.0.113.7>;tag=1\r\nTo: <sip:b@203.0.113.7:40002>;tag=2",
		"From: <sip:a@192.168.30.10>;tag=1\r\nTo: <sip:b@203.0.113.7:40002>;tag=2");
	static const char called[] = "From: <sip:b@203.0.113.7>;tag=3\r\nTo: <sip:a@203.0.113.7>",
			  hears[] = "From: <sip:b@203.0.113.7>;tag=3\r\nTo: <sip:a@192.168.30.10>";
	expect_line(&t, ALG_OUTSIDE, request, called, hears);
	expect_line(&t, ALG_GUEST, response, hears, called);
	/* who registers asks for itself, and hears that; then its call goes to somebody else again */
	static const char registers[] = "REGISTER sip:example.com SIP/2.0";
	expect_line(
		&t, ALG_GUEST, registers, "To: <sip:a@192.168.30.10>", "To: <sip:a@203.0.113.7>");
	expect_line(&t, ALG_OUTSIDE, response, "To: <sip:a@203.0.113.7>;tag=4",
		"To: <sip:a@192.168.30.10>;tag=4");
	expect_line(&t, ALG_OUTSIDE, request, called, hears);
	expect_line(&t, ALG_OUTSIDE, request, "From: <sip:a@203.0.113.7:40000>;tag=1",
		"From: <sip:a@192.168.30.10:5060>;tag=1");
}

/* Connections of telephones come from other ports than those that they name. */
Test(sip_names, a_name_with_another_port_comes_back)
{
	struct talk t = talk_of();
	t.f.guest_port = 45000;
	expect_line(&t, ALG_GUEST, request, "From: <sip:a@192.168.30.10:5060>;tag=1",
		"From: <sip:a@203.0.113.7:5060>;tag=1");
	expect_line(&t, ALG_OUTSIDE, request, "To: <sip:a@203.0.113.7:5060>;tag=1",
		"To: <sip:a@192.168.30.10:5060>;tag=1");
	expect_line(&t, ALG_OUTSIDE, request, "To: <sip:a@203.0.113.7:5061>;tag=1",
		"To: <sip:a@203.0.113.7:5061>;tag=1");
}

/* A UDP session that began without a route. */
Test(sip_names, an_outside_address_that_is_not_known_is_written_nowhere)
{
	struct talk t = talk_of();
	struct sip_message m;
	t.f.outside_ip_be = 0;
	expect(&t, ALG_GUEST, invite, invite);
	expect_line(&t, ALG_OUTSIDE, response, "Contact: <sip:a@0.0.0.0:40000>",
		"Contact: <sip:a@0.0.0.0:40000>");
	cr_assert(sip_read((const uint8_t *)invite, strlen(invite), false, &m));
	cr_expect(!sip_names_own(&t.f, &m) && !sip_names_own_via(&t.f, &m), "nothing is opened");
	const struct sip_place p = first_contact("<sip:a@0.0.0.0:40000>");
	cr_expect_not(sip_names_is_guest(&t.f, &p));
}

Test(sip_names, who_is_not_translated_is_left_alone)
{
	struct talk t = talk_of();
	t.f.outside_ip_be = t.f.guest_ip_be;
	t.f.guest_port = t.f.outside_port;
	expect(&t, ALG_GUEST, invite, invite);
	expect(&t, ALG_OUTSIDE, invite, invite);
}

Test(sip_names, own)
{
	static const struct {
		const char *lines;
		bool own, via;
	} cases[] = {
		{"Via: SIP/2.0/UDP 192.168.30.10\r\nContact: <sip:192.168.30.10>", true, true},
		{"v: SIP/2.0/UDP 203.0.113.7:40000\r\nm: <sip:a@host>, sip:203.0.113.7:40000", true,
			true},
		{"Contact: <sip:192.168.30.10>\r\nVia: SIP/2.0/UDP 192.168.30.10\r\nVia: "
		 "SIP/2.0/UDP x",
			true, true},
		{"Via: SIP/2.0/UDP 192.168.30.10", false, true},
		{"Contact: <sip:192.168.30.10>", false, false},
		{"Via: SIP/2.0/UDP x\r\nVia: SIP/2.0/UDP 192.168.30.10\r\nContact: "
		 "<sip:192.168.30.10>",
			false, false},
		{"Via: SIP/2.0/UDP x, SIP/2.0/UDP 192.168.30.10\r\nContact: <sip:192.168.30.10>",
			false, false},
		{"Via: SIP/2.0/UDP x;maddr=192.168.30.10\r\nContact: <sip:192.168.30.10>", false,
			false},
		{"Via: SIP/2.0/UDP 192.168.30.11\r\nContact: <sip:192.168.30.10>", false, false},
		{"Via: SIP/2.0/UDP 192.168.30.10\r\nContact: <sip:192.168.30.11>", false, true},
		{"Via: SIP/2.0/UDP 192.168.30.10\r\nContact: <sip:x;maddr=192.168.30.10>", false,
			true},
		{"Via: SIP/2.0/UDP 192.168.30.10\r\nContact: *", false, true},
	};
	const struct alg_flow f = flow_of(false, false);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sip_message m;
		const char *t = with(request, cases[i].lines);
		cr_assert(sip_read((const uint8_t *)t, strlen(t), true, &m));
		cr_expect_eq(sip_names_own(&f, &m), cases[i].own, "%s", t);
		cr_expect_eq(sip_names_own_via(&f, &m), cases[i].via, "%s", t);
	}
}
