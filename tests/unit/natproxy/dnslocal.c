/* What the gateway knows by itself. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dnslocal.h"

enum { A = 1, SOA = 6, PTR = 12, TXT = 16, AAAA = 28, FORWARDED = -1 };
static const struct hash_key key = {7, 8};

static struct dnslocal *local(const char *domain, bool chosen)
{
	struct dnslocal *l = calloc(1, sizeof(*l));
	l->gateway_ip_be = inet_addr("192.168.30.1");
	l->netmask_be = inet_addr("255.255.255.0");
	hostnames_init(&l->hosts, &key);
	hostnames_set(&l->hosts, inet_addr("192.168.30.10"), "laptop", 1000, 0);
	dnslocal_configure(l, true, domain, chosen);
	return l;
}

static size_t query_for(const char *name, uint8_t type, bool edns, uint8_t *out)
{
	memset(out, 0, 12);
	out[0] = 0x77;
	out[2] = 1;
	out[5] = 1;
	size_t at = 12;
	for (const char *c = name; *c;) {
		const size_t label = strcspn(c, ".");
		out[at++] = (uint8_t)label;
		memcpy(out + at, c, label);
		at += label;
		c += label + (c[label] == '.');
	}
	memcpy(out + at, (const uint8_t[]){0, 0, type, 0, 1}, 5);
	at += 5;
	if (edns) {
		memcpy(out + at, "\0\0\51\4\320\0\0\0\0\0\0", 11);
		out[11] = 1;
		at += 11;
	}
	return at;
}

static uint8_t out[DNSLOCAL_BYTES];

/* The rcode, and 16 more for each record; FORWARDED when upstream is to be asked. */
static int ask_at(const struct dnslocal *l, const char *name, uint8_t type, uint64_t now)
{
	uint8_t query[512];
	struct dnsmsg_question q;
	cr_assert_eq(dnsmsg_query(query, query_for(name, type, false, query), &q), DNSMSG_PLAIN);
	const size_t n = dnslocal_answer(l, &q, query, now, out);
	if (!n)
		return FORWARDED;
	cr_assert_eq(dnsmsg_field(out, 0), 0x7700);
	cr_assert_eq(out[2], 0x85);
	return (out[3] & 15) + 16 * dnsmsg_field(out, 6);
}

static int ask(const struct dnslocal *l, const char *name, uint8_t type)
{
	return ask_at(l, name, type, 0);
}

Test(dnslocal, a_host_is_found_with_and_without_the_domain)
{
	struct dnslocal *l = local("Lan.example", true);
	const uint32_t ip = inet_addr("192.168.30.10");
	cr_assert_eq(ask(l, "laptop", A), 16);
	cr_assert_eq(memcmp(out + 12 + 8 + 4 + 12, &ip, 4), 0);
	cr_assert_eq(dnsmsg_field(out, 12 + 8 + 4 + 8), DNSLOCAL_TTL);
	cr_assert_eq(ask(l, "LapTop.lan.EXAMPLE", A), 16);
	cr_assert_eq(ask(l, "gateway", A), 16);
	cr_assert_eq(ask(l, "gateway.lan.example", A), 16);
	cr_assert_eq(ask(l, "laptop.other.example", A), FORWARDED);
	cr_assert_eq(ask(l, "x.laptop", A), FORWARDED);
	cr_assert_eq(ask(l, "laptopx", A), FORWARDED);
	free(l);
}

Test(dnslocal, other_types_are_empty_and_the_roots_names_stay_the_roots)
{
	struct dnslocal *l = local("lan.example", true);
	cr_assert_eq(ask(l, "laptop", AAAA), 0);
	cr_assert_eq(ask(l, "laptop.lan.example", AAAA), 0);
	cr_assert_eq(ask(l, "laptop.lan.example", TXT), 0);
	cr_assert_eq(ask(l, "laptop", SOA), FORWARDED);
	cr_assert_eq(ask(l, "", SOA), FORWARDED);
	free(l);
}

Test(dnslocal, a_lease_that_is_over_is_not_found)
{
	struct dnslocal *l = local("lan.example", true);
	cr_assert_eq(ask_at(l, "laptop", A, 999), 16);
	cr_assert_eq(ask_at(l, "laptop", A, 1000), FORWARDED);
	cr_assert_eq(ask_at(l, "10.30.168.192.in-addr.arpa", PTR, 1000), DNSMSG_NXDOMAIN);
	free(l);
}

Test(dnslocal, nothing_unknown_only_in_a_domain_of_our_own)
{
	static const struct {
		const char *domain;
		bool chosen;
		int unknown;
	} cases[] = {{"home.arpa", true, DNSMSG_NXDOMAIN}, {"home.arpa.", true, DNSMSG_NXDOMAIN},
		{"a.b.internal", true, DNSMSG_NXDOMAIN}, {"internal", true, DNSMSG_NXDOMAIN},
		{"home.arpa", false, FORWARDED}, {"eu.internal", false, FORWARDED},
		{"xinternal", true, FORWARDED}, {"example.org", true, FORWARDED}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dnslocal *l = local(cases[i].domain, cases[i].chosen);
		char name[64];
		snprintf(name, sizeof(name), "nobody.%s", cases[i].domain);
		cr_assert_eq(ask(l, name, A), cases[i].unknown, "%s", cases[i].domain);
		snprintf(name, sizeof(name), "deep.nobody.%s", cases[i].domain);
		cr_assert_eq(ask(l, name, A), cases[i].unknown, "%s", cases[i].domain);
		cr_assert_eq(ask(l, cases[i].domain, SOA), FORWARDED, "the domain itself");
		free(l);
	}
}

Test(dnslocal, addresses_of_the_hub_are_answered_here_in_reverse)
{
	struct dnslocal *l = local("lan.example", true);
	cr_assert_eq(ask(l, "10.30.168.192.in-addr.arpa", PTR), 16);
	const size_t rdata = 12 + 28 + 4 + 12;
	cr_assert_eq(memcmp(out + rdata, "\6laptop\3lan\7example", 20), 0);
	cr_assert_eq(ask(l, "1.30.168.192.IN-ADDR.arpa", PTR), 16);
	cr_assert_eq(ask(l, "10.30.168.192.in-addr.arpa", A), 0);
	cr_assert_eq(ask(l, "11.30.168.192.in-addr.arpa", PTR), DNSMSG_NXDOMAIN);
	cr_assert_eq(ask(l, "30.168.192.in-addr.arpa", SOA), 0, "the zone itself");
	cr_assert_eq(ask(l, "b._dns-sd._udp.0.30.168.192.in-addr.arpa", PTR), DNSMSG_NXDOMAIN);
	cr_assert_eq(ask(l, "256.30.168.192.in-addr.arpa", PTR), DNSMSG_NXDOMAIN);
	cr_assert_eq(ask(l, "010.30.168.192.in-addr.arpa", PTR), DNSMSG_NXDOMAIN);
	cr_assert_eq(ask(l, "168.192.in-addr.arpa", SOA), FORWARDED, "more than the hub");
	cr_assert_eq(ask(l, "10.31.168.192.in-addr.arpa", PTR), FORWARDED);
	cr_assert_eq(ask(l, "in-addr.arpa", SOA), FORWARDED);
	cr_assert_eq(ask(l, "1.2.3.4.5.6.7.8.in-addr.arpa", PTR), FORWARDED);
	free(l);
}

Test(dnslocal, without_a_domain_names_stand_alone)
{
	struct dnslocal *l = local(NULL, true);
	cr_assert_eq(ask(l, "laptop", A), 16);
	cr_assert_eq(ask(l, "10.30.168.192.in-addr.arpa", PTR), 16);
	cr_assert_eq(memcmp(out + 12 + 28 + 4 + 12, "\6laptop", 8), 0);
	dnslocal_configure(l, false, NULL, true);
	cr_assert_eq(ask(l, "laptop", A), FORWARDED);
	cr_assert_eq(ask(l, "10.30.168.192.in-addr.arpa", PTR), FORWARDED);
	free(l);
}

Test(dnslocal, a_domain_that_is_none_counts_as_none)
{
	static const char *const bad[] = {"", ".", "a..b", ".a",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b"};
	char text[400];
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dnslocal *l = local(bad[i], true);
		cr_assert_eq(l->domain_bytes, 0, "%s", bad[i]);
		free(l);
	}
	for (size_t n = 170; n < 190; n++) {
		memset(text, 'a', n);
		for (size_t i = 50; i < n; i += 50)
			text[i] = '.';
		text[n] = '\0';
		struct dnslocal *l = local(text, true);
		cr_assert_eq(l->domain_bytes, n + 2 <= DNSLOCAL_DOMAIN_MAX ? n + 2 : 0, "%zu", n);
		free(l);
	}
}

/* Whatever place its last dot has, nothing is written behind what there is room for. */
Test(dnslocal, a_long_domain_stays_within_its_room)
{
	char text[256];
	for (size_t dot = 130; dot < 190; dot++)
		for (size_t n = dot + 2; n < dot + 40; n++) {
			memset(text, 'a', n);
			text[60] = text[120] = text[dot] = '.';
			text[n] = '\0';
			struct dnslocal *l = local(text, true);
			const bool fits =
				n + 2 <= DNSLOCAL_DOMAIN_MAX && dot - 121 <= DNSMSG_LABEL_MAX;
			cr_assert_eq(l->domain_bytes, fits ? n + 2 : 0, "%zu %zu", dot, n);
			cr_assert_eq(memcmp(&l->hosts.key, &key, sizeof(key)), 0);
			free(l);
		}
}

Test(dnslocal, edns_is_answered_with_edns)
{
	struct dnslocal *l = local("lan.example", true);
	uint8_t query[512];
	struct dnsmsg_question q;
	cr_assert_eq(dnsmsg_query(query, query_for("laptop", A, true, query), &q), DNSMSG_PLAIN);
	const size_t n = dnslocal_answer(l, &q, query, 0, out);
	cr_assert_eq(dnsmsg_field(out, 10), 1);
	struct dnsmsg_answer a;
	dnsmsg_answer(out, n, &a);
	cr_assert(a.keep, "well-formed to the end");
	free(l);
}
