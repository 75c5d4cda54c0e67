/*
 * fence_rules.c: what becomes of packets. The rules are read back from the messages and run here
 * by a small interpreter, which knows only what the kernel's documentation says of each
 * expression; tests/integration/test_fence.py asks the kernel itself.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/if_arp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>

#include "fence_rules.h"
#include "ruleset.h"

enum {
	RULES = 64,
	KEYS = 64,
	KEY = 16,
	SYN = 0x02,
	ACK = 0x10,
	OURS = 61186,
	OTHER = 1000,
	ALLOWED = 61190
};

struct packet {
	uint32_t uid;
	const char *from, *to;
	uint16_t source_port, destination_port;
	uint8_t protocol, tcp_flags, icmp_type;
	uint8_t about; /* protocol that an ICMP error quotes */
	bool is_ip6, by_loopback, has_options;
	uint32_t type; /* RTN_*, of the destination */
};

struct key {
	char set[16];
	uint8_t bytes[KEY];
};

static struct nftnl_rule *rule[RULES];
static struct key known[KEYS];
static unsigned int rules, keys;

static uint8_t *at(uint8_t registers[80], uint32_t number)
{
	return registers + (number <= NFT_REG_4 ? number * 16 : (number - 4) * 4);
}

static bool is_known(const char *set, const uint8_t *bytes)
{
	for (unsigned int i = 0; i < keys; i++)
		if (strcmp(known[i].set, set) == 0 && memcmp(known[i].bytes, bytes, KEY) == 0)
			return true;
	return false;
}

static void remember(const char *set, const uint8_t *bytes)
{
	if (is_known(set, bytes))
		return;
	cr_assert_lt(keys, KEYS);
	snprintf(known[keys].set, sizeof(known[keys].set), "%s", set);
	memcpy(known[keys++].bytes, bytes, KEY);
}

static void fill_meta(const struct packet *p, uint32_t key, uint8_t *out)
{
	const uint16_t device = p->by_loopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER;

	memset(out, 0, 16);
	switch (key) {
	case NFT_META_SKUID: memcpy(out, &p->uid, 4); break;
	case NFT_META_NFPROTO: *out = p->is_ip6 ? NFPROTO_IPV6 : NFPROTO_IPV4; break;
	case NFT_META_L4PROTO: *out = p->protocol; break;
	case NFT_META_OIFTYPE: memcpy(out, &device, 2); break;
	default: cr_assert_fail("meta %u", key);
	}
}

/* A key of several fields is compared as a whole: what it does not use is zero. */
static void fill_payload(const struct packet *p, const struct nftnl_expr *e, uint8_t *registers)
{
	uint8_t ip[20] = {0x45}, transport[20] = {0};
	uint32_t offset = nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET),
		 bytes = nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_LEN),
		 number = nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_DREG);
	uint16_t ports[] = {htons(p->source_port), htons(p->destination_port)};
	bool is_network =
		nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_BASE) == NFT_PAYLOAD_NETWORK_HEADER;

	ip[0] = p->has_options ? 0x46 : 0x45;
	inet_pton(AF_INET, p->from, ip + 12);
	inet_pton(AF_INET, p->to, ip + 16);
	memcpy(transport, ports, sizeof(ports));
	transport[13] = p->tcp_flags;
	if (p->protocol == IPPROTO_ICMP) {
		transport[0] = p->icmp_type;
		transport[8] = 0x45;
		transport[17] = p->about;
	}
	cr_assert_leq(offset + bytes, 20);
	cr_assert(!is_network || !p->is_ip6, "an IPv4 field of an IPv6 packet");
	memset(at(registers, number), 0, number == NFT_REG_1 ? 16 : 4);
	memcpy(at(registers, number), (is_network ? ip : transport) + offset, bytes);
}

static bool compares(const struct nftnl_expr *e, uint8_t *registers)
{
	uint32_t bytes;
	const void *value = nftnl_expr_get(e, NFTNL_EXPR_CMP_DATA, &bytes);
	int order = memcmp(at(registers, nftnl_expr_get_u32(e, NFTNL_EXPR_CMP_SREG)), value, bytes);

	switch (nftnl_expr_get_u32(e, NFTNL_EXPR_CMP_OP)) {
	case NFT_CMP_EQ: return order == 0;
	case NFT_CMP_NEQ: return order != 0;
	case NFT_CMP_GTE: return order >= 0;
	case NFT_CMP_LTE: return order <= 0;
	default: cr_assert_fail("comparison");
	}
	return false;
}

static void mask(const struct nftnl_expr *e, uint8_t *reg)
{
	uint32_t bytes, i;
	const uint8_t *bits = nftnl_expr_get(e, NFTNL_EXPR_BITWISE_MASK, &bytes);

	for (i = 0; i < bytes; i++)
		reg[i] &= bits[i];
}

static int walk(const char *chain, const struct packet *p);

/* 1: the next expression; 0: this rule is over; -1: this chain is; else a verdict, plus 2. */
static int step(const struct nftnl_expr *e, const struct packet *p, uint8_t *registers)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
	uint8_t *one = at(registers, NFT_REG_1);
	uint32_t number;
	int verdict;

	if (strcmp(name, "meta") == 0) {
		fill_meta(p, nftnl_expr_get_u32(e, NFTNL_EXPR_META_KEY), one);
	} else if (strcmp(name, "payload") == 0) {
		fill_payload(p, e, registers);
	} else if (strcmp(name, "bitwise") == 0) {
		mask(e, one);
	} else if (strcmp(name, "byteorder") == 0) {
		memcpy(&number, one, 4);
		number = htonl(number);
		memcpy(one, &number, 4);
	} else if (strcmp(name, "fib") == 0) {
		memcpy(one, &p->type, 4);
	} else if (strcmp(name, "cmp") == 0) {
		return compares(e, registers);
	} else if (strcmp(name, "lookup") == 0) {
		return is_known(nftnl_expr_get_str(e, NFTNL_EXPR_LOOKUP_SET), one);
	} else if (strcmp(name, "dynset") == 0) {
		remember(nftnl_expr_get_str(e, NFTNL_EXPR_DYNSET_SET_NAME), one);
	} else if (strcmp(name, "immediate") == 0) {
		verdict = (int)nftnl_expr_get_u32(e, NFTNL_EXPR_IMM_VERDICT);
		if (verdict >= 0)
			return verdict + 2;
		if (verdict == NFT_RETURN)
			return -1;
		number = (uint32_t)walk(nftnl_expr_get_str(e, NFTNL_EXPR_IMM_CHAIN), p);
		return verdict == NFT_GOTO || number != NF_ACCEPT ? (int)number + 2 : 1;
	} else {
		cr_assert_str_eq(name, "counter");
	}
	return 1;
}

/* A chain's end is the policy, accept: no jump of ours leads back to anything else. */
static int walk(const char *chain, const struct packet *p)
{
	for (unsigned int i = 0; i < rules; i++) {
		uint8_t registers[80] = {0};
		struct nftnl_expr_iter *all;
		struct nftnl_expr *e;
		int result = 1;

		if (strcmp(nftnl_rule_get_str(rule[i], NFTNL_RULE_CHAIN), chain) != 0)
			continue;
		all = nftnl_expr_iter_create(rule[i]);
		while (result == 1 && (e = nftnl_expr_iter_next(all)))
			result = step(e, p, registers);
		nftnl_expr_iter_destroy(all);
		if (result >= 2)
			return result - 2;
		if (result < 0)
			return NF_ACCEPT;
	}
	return NF_ACCEPT;
}

static int each_uid(struct nftnl_set_elem *e, void *data)
{
	uint8_t bytes[KEY] = {0};
	uint32_t n;
	const void *key = nftnl_set_elem_get(e, NFTNL_SET_ELEM_KEY, &n);

	memcpy(bytes, key, n);
	remember(data, bytes);
	return 0;
}

static void take(const struct nlmsghdr *m)
{
	struct nftnl_set *set;

	switch (m->nlmsg_type & 0xff) {
	case NFT_MSG_NEWRULE:
		cr_assert_lt(rules, RULES);
		rule[rules] = nftnl_rule_alloc();
		cr_assert_eq(nftnl_rule_nlmsg_parse(m, rule[rules++]), 0);
		break;
	case NFT_MSG_NEWSETELEM:
		set = nftnl_set_alloc();
		cr_assert_eq(nftnl_set_elems_nlmsg_parse(m, set), 0);
		nftnl_set_elem_foreach(
			set, each_uid, (void *)(uintptr_t)nftnl_set_get_str(set, NFTNL_SET_NAME));
		nftnl_set_free(set);
		break;
	default: break;
	}
}

static void load_esp(unsigned int allowed, unsigned int esps)
{
	static _Alignas(struct nlmsghdr) uint8_t out[RULESET_BYTES];
	struct fence_plan plan = {.first_uid = 61185,
		.last_uid = 61216,
		.host_allowed = {ALLOWED},
		.allowed = allowed,
		.service = {1514},
		.services = 1,
		.esp_allowed = {OURS},
		.esps = esps};
	const struct nlmsghdr *m = (const struct nlmsghdr *)out;
	size_t bytes;

	fence_table_name(plan.table, plan.first_uid);
	bytes = fence_rules(&plan, out, sizeof(out));
	cr_assert_gt(bytes, 0);
	for (; NLMSG_OK(m, bytes); m = NLMSG_NEXT(m, bytes))
		take(m);
}

static void load(unsigned int allowed)
{
	load_esp(allowed, 0);
}

static void unload(void)
{
	while (rules > 0)
		nftnl_rule_free(rule[--rules]);
	keys = 0;
}

TestSuite(fence_rules, .fini = unload);

static bool passes(struct packet p)
{
	p.from = p.from ? p.from : "198.18.1.2";
	p.uid = p.uid ? p.uid : OURS;
	p.type = p.type ? p.type : p.by_loopback ? RTN_LOCAL : RTN_UNICAST;
	return walk("output", &p) == NF_ACCEPT;
}

#define PASSES(...) passes((struct packet){__VA_ARGS__})
#define TCP(TO, PORT, FLAGS)                                                                       \
	.to = (TO), .protocol = IPPROTO_TCP, .tcp_flags = (FLAGS), .destination_port = (PORT)
#define TCP_TO(TO, PORT) TCP(TO, PORT, SYN)
#define UDP_TO(TO, PORT, FROM)                                                                     \
	.to = (TO), .protocol = IPPROTO_UDP, .destination_port = (PORT), .source_port = (FROM)
#define PING(TO) .to = (TO), .protocol = IPPROTO_ICMP, .icmp_type = ICMP_ECHO
#define LOCAL	 .by_loopback = true

Test(fence_rules, the_internet_is_open)
{
	load(0);
	cr_expect(PASSES(TCP_TO("198.18.2.1", 80)));
	cr_expect(PASSES(UDP_TO("198.18.2.1", 443, 5000)));
	cr_expect(PASSES(PING("198.18.2.1")));
	cr_expect(PASSES(TCP_TO("10.0.0.1", 22)));
	cr_expect(PASSES(TCP_TO("223.255.255.255", 22)));
}

Test(fence_rules, this_computer_is_not)
{
	static const char *const local[] = {"127.0.0.1", "127.200.3.4", "198.18.1.2", "10.9.9.9"};

	load(0);
	for (unsigned int i = 0; i < 4; i++) {
		cr_expect_not(PASSES(TCP_TO(local[i], 22), LOCAL), "%s", local[i]);
		cr_expect_not(PASSES(UDP_TO(local[i], 161, 5000), LOCAL), "%s", local[i]);
		cr_expect_not(PASSES(PING(local[i]), LOCAL), "%s", local[i]);
	}
	cr_expect_not(
		PASSES(TCP_TO("198.18.1.2", 22), .type = RTN_LOCAL), "by a device it is bound to");
	cr_expect_not(PASSES(TCP_TO("127.0.0.1", 22), .type = RTN_UNICAST), "as well");
	cr_expect_not(PASSES(TCP_TO("8.8.8.8", 22), LOCAL, .type = RTN_UNICAST), "bound to lo");
}

Test(fence_rules, of_icmp_pings_and_errors_only)
{
	static const uint8_t never[] = {ICMP_ECHOREPLY, ICMP_SOURCE_QUENCH, ICMP_REDIRECT, 9, 13};

	load(1);
	for (unsigned int i = 0; i < sizeof(never); i++)
		cr_expect_not(PASSES(.to = "198.18.2.1", .protocol = IPPROTO_ICMP,
				      .icmp_type = never[i], .uid = i % 2 ? ALLOWED : OURS),
			"%u", never[i]);
	cr_expect(PASSES(.to = "198.18.2.1", .protocol = IPPROTO_ICMP, .icmp_type = ICMP_REDIRECT,
		.uid = OTHER));
}

#define ERROR(TO, TYPE, ABOUT)                                                                     \
	.to = (TO), .protocol = IPPROTO_ICMP, .icmp_type = (TYPE), .about = (ABOUT)

/* By one about TCP it could end connections of this computer that are none of its own. */
Test(fence_rules, of_errors_only_those_about_datagrams)
{
	static const uint8_t types[] = {
		ICMP_DEST_UNREACH, ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB};

	load(1);
	for (unsigned int i = 0; i < sizeof(types); i++) {
		cr_expect(PASSES(ERROR("198.18.2.1", types[i], IPPROTO_UDP)), "%u", types[i]);
		cr_expect_not(PASSES(ERROR("198.18.2.1", types[i], IPPROTO_TCP)), "%u", types[i]);
		cr_expect_not(PASSES(ERROR("198.18.2.1", types[i], IPPROTO_ICMP)), "%u", types[i]);
		cr_expect_not(PASSES(ERROR("198.18.1.2", types[i], IPPROTO_UDP), LOCAL));
		cr_expect_not(PASSES(ERROR("169.254.169.254", types[i], IPPROTO_UDP)));
		cr_expect(PASSES(ERROR("198.18.2.1", types[i], IPPROTO_TCP), .uid = OTHER));
	}
}

#define ESP(TO) .to = (TO), .protocol = IPPROTO_ESP

Test(fence_rules, esp_goes_where_natproxys_other_packets_go)
{
	load_esp(1, 1);
	cr_expect(PASSES(ESP("198.18.2.1")));
	cr_expect(PASSES(ESP("10.0.0.1")));
	cr_expect_not(PASSES(ESP("198.18.2.1"), .has_options = true));
	cr_expect_not(PASSES(ESP("127.0.0.1"), LOCAL));
	cr_expect_not(PASSES(ESP("198.18.1.2"), LOCAL), "this computer's own IPsec");
	cr_expect_not(PASSES(ESP("198.18.1.2"), .type = RTN_LOCAL));
	cr_expect_not(PASSES(ESP("169.254.169.254")));
	cr_expect_not(PASSES(ESP("224.0.0.5")));
	cr_expect_not(PASSES(ESP("198.18.1.255"), .type = RTN_BROADCAST));
	cr_expect_not(PASSES(ESP("::1"), .is_ip6 = true));
	cr_expect_not(PASSES(ESP("198.18.2.1"), .uid = ALLOWED), "of a hub without it");
	cr_expect(PASSES(ESP("198.18.1.2"), LOCAL, .uid = OTHER));
	cr_expect(PASSES(ESP("198.18.2.1"), .uid = OTHER, .has_options = true));
}

Test(fence_rules, esp_is_nobodys_where_no_hub_has_it)
{
	load(1);
	cr_expect_not(PASSES(ESP("198.18.2.1")));
	cr_expect_not(PASSES(ESP("198.18.2.1"), .uid = ALLOWED));
	cr_expect(PASSES(ESP("198.18.2.1"), .uid = OTHER));
}

/* From port 500 to any peer, and to nobody on this computer who did not ask. */
Test(fence_rules, ike_is_udp)
{
	load_esp(0, 1);
	cr_expect(PASSES(UDP_TO("198.18.2.1", 500, 500)));
	cr_expect(PASSES(UDP_TO("198.18.2.1", 4500, 500)));
	cr_expect_not(PASSES(UDP_TO("198.18.1.2", 4500, 500), LOCAL));
	cr_expect_not(PASSES(UDP_TO("169.254.1.1", 500, 500)));
}

/* An NFS server believes whoever comes from one. */
Test(fence_rules, from_a_reserved_port_only_rsh_and_rlogin)
{
	static const uint16_t reserved[] = {512, 700, 1023};

	load(0);
	for (unsigned int i = 0; i < 3; i++) {
		cr_expect(PASSES(TCP_TO("198.18.2.1", 514), .source_port = reserved[i]));
		cr_expect(PASSES(TCP_TO("198.18.2.1", 1021), .source_port = reserved[i]));
		cr_expect(PASSES(TCP_TO("198.18.2.1", 1514), .source_port = reserved[i]),
			"alg.rcmd.ports");
		cr_expect_not(PASSES(TCP_TO("198.18.2.1", 2049), .source_port = reserved[i]));
		cr_expect_not(PASSES(TCP_TO("198.18.2.1", 111), .source_port = reserved[i]));
		cr_expect_not(PASSES(TCP_TO("198.18.2.1", 1024), .source_port = reserved[i]));
		cr_expect(PASSES(TCP("198.18.2.1", 2049, SYN | ACK), .source_port = reserved[i]),
			"a port open to the outside answers");
		cr_expect(PASSES(TCP_TO("198.18.2.1", 2049), .source_port = reserved[i],
			.uid = OTHER));
		cr_expect_not(
			PASSES(TCP_TO("198.18.1.2", 514), .source_port = reserved[i], LOCAL));
	}
	cr_expect(PASSES(TCP_TO("198.18.2.1", 2049), .source_port = 1024));
	cr_expect(PASSES(TCP_TO("198.18.2.1", 2049), .source_port = 511));
	cr_expect(PASSES(UDP_TO("198.18.2.1", 2049, 700)), "a port open to the outside");
}

Test(fence_rules, nor_what_no_guest_may_reach)
{
	static const char *const never[] = {
		"169.254.169.254", "169.254.0.1", "224.0.0.251", "239.255.255.250", "240.0.0.1"};

	load(1);
	for (unsigned int i = 0; i < 5; i++) {
		cr_expect_not(PASSES(TCP_TO(never[i], 80)), "%s", never[i]);
		cr_expect_not(PASSES(UDP_TO(never[i], 80, 5000)), "%s", never[i]);
		cr_expect_not(PASSES(PING(never[i]), .uid = ALLOWED), "%s", never[i]);
	}
	cr_expect_not(PASSES(UDP_TO("198.18.1.255", 137, 5000), .type = RTN_BROADCAST));
	cr_expect_not(PASSES(UDP_TO("0.0.0.0", 137, 5000), .type = RTN_BROADCAST));
	cr_expect_not(PASSES(.is_ip6 = true, .to = "0.0.0.0", .protocol = IPPROTO_TCP,
		.tcp_flags = SYN | ACK));
	cr_expect_not(PASSES(.is_ip6 = true, .to = "0.0.0.0", .protocol = IPPROTO_UDP, LOCAL));
}

Test(fence_rules, others_are_not_concerned)
{
	load(0);
	cr_expect(PASSES(TCP_TO("127.0.0.1", 22), LOCAL, .uid = OTHER));
	cr_expect(PASSES(TCP_TO("169.254.169.254", 80), .uid = OTHER));
	cr_expect(PASSES(.is_ip6 = true, .to = "0.0.0.0", .protocol = IPPROTO_UDP, LOCAL,
		.uid = OTHER));
	cr_expect(PASSES(TCP_TO("127.0.0.1", 22), LOCAL, .uid = 61184));
	cr_expect(PASSES(TCP_TO("127.0.0.1", 22), LOCAL, .uid = 61217));
	cr_expect_not(PASSES(TCP_TO("127.0.0.1", 22), LOCAL, .uid = 61185));
	cr_expect_not(PASSES(TCP_TO("127.0.0.1", 22), LOCAL, .uid = 61216));
}

/* Wherever they are, and whenever they change. */
Test(fence_rules, resolvers_are_open)
{
	load(0);
	cr_expect(PASSES(UDP_TO("127.0.0.53", 53, 5000), LOCAL));
	cr_expect(PASSES(TCP_TO("127.0.0.53", 53), LOCAL));
	cr_expect(PASSES(UDP_TO("169.254.169.253", 53, 5000)));
	cr_expect(PASSES(TCP_TO("169.254.169.253", 53)));
	cr_expect_not(PASSES(UDP_TO("224.0.0.251", 53, 5000)));
	cr_expect_not(PASSES(UDP_TO("127.0.0.53", 5353, 53), LOCAL), "not by its source");
	cr_expect_not(PASSES(.to = "127.0.0.53", .protocol = IPPROTO_SCTP, .destination_port = 53,
		LOCAL));
}

Test(fence_rules, tcp_that_a_local_program_began)
{
	load(0);
	cr_expect(PASSES(TCP("127.0.0.1", 40000, SYN | ACK), LOCAL));
	cr_expect(PASSES(TCP("198.18.1.2", 40000, ACK), LOCAL));
	cr_expect_not(PASSES(TCP("127.0.0.1", 40000, SYN | 0x08), LOCAL), "with data");
	cr_expect_not(PASSES(TCP("127.0.0.1", 40000, SYN | 0xc0), LOCAL), "with ECN");
}

Test(fence_rules, udp_that_a_local_program_began)
{
	load(0);
	cr_expect_not(PASSES(UDP_TO("127.0.0.1", 40000, 5000), LOCAL, .from = "127.0.0.1"));
	cr_expect(
		PASSES(UDP_TO("127.0.0.1", 5000, 40000), LOCAL, .from = "127.0.0.1", .uid = OTHER));
	cr_expect(PASSES(UDP_TO("127.0.0.1", 40000, 5000), LOCAL, .from = "127.0.0.1"));
	cr_expect_not(PASSES(UDP_TO("127.0.0.1", 40001, 5000), LOCAL, .from = "127.0.0.1"));
	cr_expect_not(PASSES(UDP_TO("127.0.0.1", 40000, 5001), LOCAL, .from = "127.0.0.1"));
	cr_expect_not(PASSES(UDP_TO("127.0.0.2", 40000, 5000), LOCAL, .from = "127.0.0.1"));
	cr_expect_not(PASSES(TCP_TO("127.0.0.1", 40000), .source_port = 5000, LOCAL));
}

/* From one guest's mapping to another's, by this computer's own address, and back. */
Test(fence_rules, hairpins)
{
	load(0);
	cr_expect_not(PASSES(UDP_TO("198.18.1.2", 6000, 5000), LOCAL), "nobody's mapping");
	cr_expect(PASSES(UDP_TO("198.18.2.1", 3478, 6000)), "now one is");
	cr_expect_not(PASSES(UDP_TO("198.18.1.2", 5001, 6000), LOCAL), "another is not");
	cr_expect(PASSES(UDP_TO("198.18.1.2", 6000, 5000), LOCAL));
	cr_expect(PASSES(UDP_TO("198.18.1.2", 5000, 6000), LOCAL), "and may be answered");
	cr_expect(PASSES(UDP_TO("198.18.2.1", 3478, 6000), .from = "127.0.0.1"));
	cr_expect_not(PASSES(UDP_TO("127.0.0.1", 6000, 5000), LOCAL));
	cr_expect_not(PASSES(UDP_TO("198.18.1.3", 6000, 5000), LOCAL));
	cr_expect(PASSES(UDP_TO("198.18.2.1", 53, 7000)), "a question is no mapping");
	cr_expect_not(PASSES(UDP_TO("198.18.1.2", 7000, 5000), LOCAL));
}

/* Neither has sent to the Internet: each is found once it has asked for the other. */
Test(fence_rules, hairpins_of_two_who_speak_to_nobody_else)
{
	load(0);
	cr_expect_not(PASSES(UDP_TO("198.18.1.2", 6000, 5000), LOCAL));
	cr_expect(PASSES(UDP_TO("198.18.1.2", 5000, 6000), LOCAL));
	cr_expect(PASSES(UDP_TO("198.18.1.2", 6000, 5000), LOCAL));
	cr_expect_not(PASSES(UDP_TO("198.18.1.2", 8000, 5000), LOCAL), "this computer's own");
	cr_expect_not(PASSES(UDP_TO("127.0.0.1", 8000, 7000), LOCAL));
	cr_expect_not(PASSES(UDP_TO("198.18.1.2", 7000, 8000), LOCAL), "asked by loopback");
}

Test(fence_rules, a_hub_whose_guests_may_reach_this_computer)
{
	load(1);
	cr_expect(PASSES(TCP_TO("127.0.0.1", 22), LOCAL, .uid = ALLOWED));
	cr_expect(PASSES(PING("198.18.1.2"), LOCAL, .uid = ALLOWED));
	cr_expect_not(PASSES(TCP_TO("127.0.0.1", 22), LOCAL));
	cr_expect(PASSES(UDP_TO("198.18.1.2", 5000, 40000), LOCAL, .uid = ALLOWED));
	cr_expect(PASSES(UDP_TO("198.18.1.2", 40000, 5000), LOCAL), "another hub's answer");
	unload();
	load(0);
	cr_expect_not(PASSES(TCP_TO("127.0.0.1", 22), LOCAL, .uid = ALLOWED));
}

Test(fence_rules, without_room_there_is_nothing)
{
	static _Alignas(struct nlmsghdr) uint8_t out[RULESET_BYTES];
	const struct fence_plan plan = {.table = "natlock-1", .first_uid = 1, .last_uid = 2};

	for (size_t cap = 0; cap < RULESET_BYTES / 4; cap += 100)
		cr_expect_eq(fence_rules(&plan, out, cap), 0, "%zu", cap);
}
