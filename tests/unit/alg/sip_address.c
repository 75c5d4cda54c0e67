/* Addresses in SIP's header fields: which hosts and ports are found, and that nothing else is. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sip_address.h"

typedef bool (*next_fn)(struct sip_scan *, struct sip_place *);

/* What a scan finds, one place a word: part, host, and the port if there is one. */
static const char *found(next_fn next, const char *value)
{
	static const char part[] = "HMSR";
	static char out[1024];
	struct sip_scan scan = sip_scan_of(text(value, strlen(value)));
	struct sip_place place;
	size_t n = 0;
	out[0] = '\0';
	while (next(&scan, &place)) {
		char host[64] = "";
		memcpy(host, place.host.p, text_left(&place.host));
		cr_assert_eq(inet_addr(host), place.ip_be, "%s", value);
		cr_assert(text_left(&place.port)
				  ? strtoul((const char *)place.port.p, NULL, 10) == place.number
				  : place.port.p >= place.host.end,
			"%s", value);
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%c%s%s", n ? " " : "",
			part[place.part], host, place.first ? "!" : "");
		if (text_left(&place.port))
			n += (size_t)snprintf(out + n, sizeof(out) - n, ":%.*s",
				(int)text_left(&place.port), place.port.p);
	}
	cr_assert_not(next(&scan, &place), "%s: over is over", value);
	return out;
}

struct known {
	const char *value, *places;
};

static void expect(next_fn next, const struct known *known, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *places = found(next, known[i].value);
		cr_expect_str_eq(places, known[i].places, "%s: %s", known[i].value, places);
	}
}

Test(sip_address, via)
{
	static const struct known known[] = {
		{"SIP/2.0/UDP 10.0.0.1", "S10.0.0.1!"},
		{"SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK1", "S10.0.0.1!:5062"},
		{"SIP / 2.0 / UDP first.example.com: 4000;ttl=16 "
		 ";maddr=224.2.0.1;branch=z9hG4bKa7c6a8dlze.1",
			"M224.2.0.1"},
		{"SIP  /\r\n 2.0\t/UDP\r\n    192.0.2.2 : 7 \r\n ; x", "S192.0.2.2!:7"},
		{"SIP/2.0/TCP host;branch=1 , SIP / 2.0/ UDP 10.0.0.2:9,SIP/2.0/UDP 10.0.0.3",
			"S10.0.0.2:9 S10.0.0.3"},
		{"SIP/2.0/UDP 10.0.0.1;received=10.0.0.2;rport=77;maddr=10.0.0.3",
			"S10.0.0.1! R10.0.0.2:77 M10.0.0.3"},
		{"SIP/2.0/UDP 10.0.0.1;rport=77;maddr=10.0.0.3;received=10.0.0.2",
			"S10.0.0.1! R10.0.0.2:77 M10.0.0.3"},
		{"SIP/2.0/UDP 10.0.0.1;rport;branch=x", "S10.0.0.1!"},
		{"SIP/2.0/UDP 10.0.0.1;rport;received=10.0.0.2", "S10.0.0.1! R10.0.0.2"},
		{"SIP/2.0/UDP 10.0.0.1;rport=99999;received=10.0.0.2,SIP/2.0/TCP "
		 "10.0.0.3;received=10.0.0.4",
			"S10.0.0.1! R10.0.0.2 S10.0.0.3 R10.0.0.4"},
		{"SIP/2.0/UDP 10.0.0.1;x=\"y,;received=10.0.0.2\";branch=1,SIP/2.0/UDP 10.0.0.5",
			"S10.0.0.1! S10.0.0.5"},
		{"SIP/2.0/UDP [2001:db8::9:1]:5060;received=10.0.0.1", "R10.0.0.1"},
		{"SIP/2.0/UDP 10.0.0.1.example.com;received=[::ffff:10.0.0.1]", ""},
	};
	expect(sip_next_via, known, sizeof(known) / sizeof(known[0]));
}

Test(sip_address, via_ends_where_the_grammar_does)
{
	static const struct known known[] = {
		{"", ""},
		{"SIP/2.0 10.0.0.1", ""},
		{"SIP/2.0/UDP", ""},
		{"SIP/2.0/UDP ", ""},
		{"SIP/2.0/UDP 10.0.0.1:", ""},
		{"SIP/2.0/UDP 10.0.0.1:65536", ""},
		{"SIP/2.0/UDP 10.0.0.1:x", ""},
		{"SIP/2.0/UDP 10.0.0.256", ""},
		{"SIP/2.0/UDP 10.0.0.1;;received=10.0.0.2", "S10.0.0.1!"},
		{"SIP/2.0/UDP 10.0.0.1 x, SIP/2.0/UDP 10.0.0.2", "S10.0.0.1!"},
		{"SIP/2.0/UDP x;a=\"b, SIP/2.0/UDP 10.0.0.2", ""},
		{", SIP/2.0/UDP 10.0.0.2", ""},
	};
	expect(sip_next_via, known, sizeof(known) / sizeof(known[0]));
}

Test(sip_address, addresses)
{
	static const struct known known[] = {
		{"<sip:10.0.0.1>", "H10.0.0.1"},
		{"sip:10.0.0.1", "H10.0.0.1"},
		{"sip:bob@10.0.0.1:5060 ;   tag    = 1918181833n", "H10.0.0.1:5060"},
		{"sip:bob@10.0.0.1;maddr=10.0.0.2", "H10.0.0.1"}, /* a parameter of the header */
		{"<sip:bob@10.0.0.1:1;maddr=10.0.0.2;lr>;tag=1", "H10.0.0.1:1 M10.0.0.2"},
		{"\"J Rosenberg \\\\\\\"\"       <sips:jd@10.0.0.1>\r\n  ;\r\n  tag = 98asjd8",
			"H10.0.0.1"},
		{"\"<sip:10.9.9.9>\\\"\xff\x01,;:\" <sip:10.0.0.1>", "H10.0.0.1"},
		{"caller<sip:caller@10.0.0.1>;tag=323", "H10.0.0.1"},
		{"J\xc3\xb6rg M. 10.9.9.9 <SIP:10.0.0.1>", "H10.0.0.1"},
		{"<sip:a@10.0.0.1>;q=0.1 , \"b\" "
		 "<sip:b@10.0.0.2:2>,sip:c@10.0.0.3,<sips:[::1]>,<sip:10.0.0.4>",
			"H10.0.0.1 H10.0.0.2:2 H10.0.0.3 H10.0.0.4"},
		{"<tel:+1;phone-context=10.9.9.9>, <http://10.9.9.9/>, isbn:10.9.9.9, "
		 "<sip:10.0.0.1>",
			"H10.0.0.1"},
		{"*", ""},
		{"<sip:10.9.9.9@example.com>, <sip:10.0.0.1.example.com>", ""},
		{"<sip:u;p=10.9.9.9?x/y:pass,&=+$@10.0.0.1:4;lr>", "H10.0.0.1:4"},
		{"<sip:%3Csip%3A10.9.9.9%3E@10.0.0.1>", "H10.0.0.1"},
		{"<sip:bob@10.0.0.1:5060;method=INVITE?Replaces=a%4010.9.9.9%3Bto-tag%3D1&Route=%"
		 "3Csip:10.9.9.9;maddr=10.9.9.9%3E>;x=1,<sip:10.0.0.2>",
			"H10.0.0.1:5060 H10.0.0.2"},
		{"<sip:a@b>;received=\"sip:10.9.9.9:1\";+sip.instance=\"<urn:uuid:0>\";maddr=10.9."
		 "9."
		 "9",
			""},
		{"<sip:10.0.0.1;x=>, <sip:10.0.0.2>", "H10.0.0.1 H10.0.0.2"},
	};
	expect(sip_next_address, known, sizeof(known) / sizeof(known[0]));
}

Test(sip_address, addresses_end_where_the_grammar_does)
{
	static const struct known known[] = {
		{"", ""},
		{"<sip:10.0.0.1", ""},
		{"< sip:10.0.0.1>", ""},
		{"<sip:10.0.0.1 >", ""},
		{"\"a <sip:10.0.0.1>", ""},
		{"\"a\" b <sip:10.0.0.1>", ""},
		{"Bell, Alexander <sip:10.0.0.1>", ""},
		{"Bob: <sip:10.0.0.1>", ""},
		{"sip:10.0.0.1?Route=x", ""},
		{"sip:10.0.0.1>", ""},
		{"<sip:10.0.0.1/x>", ""},
		{"<sip:10.0.0.1:x>", ""},
		{"<sip:10.0.0.1:123456>", ""},
		{"<sip:10.0.0.1:>", ""},
		{"<sip:a@b@10.0.0.1>", ""},
		{"<sip:10.0.0.1>>, <sip:10.0.0.2>", "H10.0.0.1"},
		{"<sip:10.0.0.1>;a;;b, <sip:10.0.0.2>", "H10.0.0.1"},
		{"<sip:10.0.0.1> <sip:10.0.0.2>", "H10.0.0.1"},
		{"Bob*, <sip:10.0.0.1>", ""},
		{",<sip:10.0.0.2>", ""},
		{"<sip>,<:10.0.0.1>,<>,<sip:10.0.0.2>", ""},
	};
	expect(sip_next_address, known, sizeof(known) / sizeof(known[0]));
}

Test(sip_address, uris)
{
	static const struct known known[] = {
		{"sip:10.0.0.1", "H10.0.0.1"},
		{"sips:a;b?c@10.0.0.1:5061;x=y;maddr=10.0.0.2?to=10.9.9.9;maddr=10.9.9.9",
			"H10.0.0.1:5061 M10.0.0.2"},
		{"sip:host;maddr=10.0.0.2", "M10.0.0.2"},
		{"tel:10.0.0.1", ""},
		{"sip:10.0.0.1>", ""},
		{"sip:", ""},
		{"", ""},
	};
	expect(sip_next_uri, known, sizeof(known) / sizeof(known[0]));
}

Test(sip_address, ports_stand_where_they_would)
{
	static const char value[] = "<sip:a@10.0.0.1;maddr=10.0.0.2>";
	struct sip_scan scan = sip_scan_of(text(value, strlen(value)));
	struct sip_place place;
	for (int i = 0; i < 2; i++) {
		cr_assert(sip_next_address(&scan, &place));
		cr_expect(place.port.p == place.host.end && place.port.end == place.port.p &&
			  !place.number);
	}
}

Test(sip_address, parameters_of_the_header)
{
	static const char value[] =
		"<sip:a@10.0.0.1;expires=9;maddr=10.0.0.5?expires=8>;q=1;Expires=60, "
		"sip:b@10.0.0.2;expires=\"7\" , <sip:c@10.0.0.3>, "
		"<sip:d@10.0.0.4>;expires=1;expires=2";
	static const char *const expires[] = {"60", "60", "\"7\"", NULL, NULL};
	struct sip_scan scan = sip_scan_of(text(value, strlen(value)));
	struct sip_place place;
	struct text got;
	for (size_t i = 0; i < sizeof(expires) / sizeof(expires[0]); i++) {
		cr_assert(sip_next_address(&scan, &place));
		const bool there = sip_address_parameter(&scan, "EXPIRES", &got);
		cr_assert_eq(there, expires[i] != NULL, "%zu", i);
		cr_expect(!there || (text_left(&got) == strlen(expires[i]) &&
					    !memcmp(got.p, expires[i], strlen(expires[i]))));
	}
	cr_expect_not(sip_next_address(&scan, &place));
}

/* Every beginning of every value, in memory of its own that ends where it does. */
Test(sip_address, nothing_is_read_beyond_the_end)
{
	static const char *const values[] = {
		"SIP / 2.0 / UDP 10.0.0.1 : "
		"5060;rport=1;received=10.0.0.2;maddr=10.0.0.3;x=\"\\\"\" , "
		"SIP/2.0/TCP [::1]:5",
		"\"a\\\"\" <sip:a:b@10.0.0.1:5060;maddr=10.0.0.2?x=y>;z = \"\\\"\";q=1, "
		"sip:10.0.0.1 ;tag=1",
	};
	const next_fn all[] = {sip_next_via, sip_next_address, sip_next_uri};
	for (size_t v = 0; v < 2; v++)
		for (size_t n = 0; n <= strlen(values[v]); n++)
			for (size_t f = 0; f < 3; f++) {
				uint8_t *copy = malloc(n ? n : 1);
				memcpy(copy, values[v], n);
				struct sip_scan scan = sip_scan_of(text(copy, n));
				struct sip_place place;
				unsigned int count = 0;
				while (all[f](&scan, &place)) {
					cr_assert(place.host.p >= copy &&
						  place.port.end <= copy + n && ++count < 8);
				}
				free(copy);
			}
}
