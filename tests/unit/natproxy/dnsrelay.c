/* The DNS redirect with resolvers on loopback. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns.h"
#include "rig.h"

enum { FLOW = 0x50002 };
static const uint8_t question[] = {
	0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 2, 'b', 'c', 0, 0, 1, 0, 1};

static int resolver_at(const char *ip)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(ip), .sin_port = htons(53)};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void use(struct rig *r, const char *const *ip, size_t n)
{
	Nl__Resolvers m = NL__RESOLVERS__INIT;
	uint32_t list[8];
	for (size_t i = 0; i < n; i++)
		list[i] = inet_addr(ip[i]);
	m.n_ip_be = n;
	m.ip_be = list;
	natproxy_on_resolvers(r->np, &m, NULL);
}

static void ask(struct rig *r, const void *bytes, size_t n)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = FLOW};
	d.pair = (struct ring_pair){
		.guest_ip_be = rig_guest_ip(), .guest_port = 45000, .kind = DGRAM_UDP};
	if (!flow_live(r->np, FLOW))
		rig_send(r, &d);
	d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, bytes, n);
	d.remote = (struct ring_remote){.ip_be = inet_addr("192.168.30.1"), .port = 53, .ttl = 63};
	rig_send(r, &d);
	rig_turn(r);
}

/* The resolver's part: hears a question and answers it with this rcode; the port it came from. */
static uint16_t answer(int fd, uint8_t rcode)
{
	struct sockaddr_in from;
	socklen_t n = sizeof(from);
	uint8_t bytes[512];
	const ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &n);
	cr_assert_eq(got, (ssize_t)sizeof(question));
	bytes[2] |= 0x80;
	bytes[3] = 0x80 | rcode;
	sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&from, n);
	return ntohs(from.sin_port);
}

static void expect_answer(struct rig *r, uint8_t rcode)
{
	struct ring_desc d;
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
	cr_assert_eq(d.remote.ip_be, inet_addr("192.168.30.1"), "from the gateway");
	cr_assert_eq(d.remote.port, 53);
	cr_assert_eq(rig_bytes(r, &d, 0)[0], 0x12);
	cr_assert_eq(rig_bytes(r, &d, 0)[1], 0x34);
	cr_assert_eq(rig_bytes(r, &d, 0)[3] & 15, rcode);
	rig_give_back(r, &d);
}

Test(dnsrelay, answers_come_from_the_gateway_and_ports_are_random)
{
	static const char *const ip[] = {"127.0.0.53"};
	if (!rig_network())
		cr_skip_test("port 53 needs a network of our own, which is not to be had here");
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	const int fd = resolver_at(ip[0]);
	use(r, ip, 1);
	cr_assert(r->uplink.dns);
	ask(r, question, sizeof(question));
	const uint16_t first = answer(fd, 0);
	expect_answer(r, 0);
	ask(r, question, sizeof(question));
	cr_assert_neq(answer(fd, 0), first);
	expect_answer(r, 0);
	cr_assert_eq(r->np->sockets_open, 0);
	cr_assert(rig_has_line(r,
		"SecureNAT: The UDP session 1 was created. Connection source 192.168.30.10:45000, "
		"Connection destination 192.168.30.1:53"));
	rig_free(r);
}

Test(dnsrelay, a_run_of_questions_is_asked_one_by_one)
{
	static const char *const ip[] = {"127.0.0.53"};
	uint8_t run[3 * sizeof(question)];
	if (!rig_network())
		cr_skip_test("port 53 needs a network of our own, which is not to be had here");
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	const int fd = resolver_at(ip[0]);
	use(r, ip, 1);
	ask(r, question, sizeof(question));
	answer(fd, 0);
	expect_answer(r, 0);
	for (size_t i = 0; i < 3; i++) {
		memcpy(run + i * sizeof(question), question, sizeof(question));
		run[i * sizeof(question) + 13] = (uint8_t)('x' + i);
	}
	struct ring_desc d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, run, sizeof(run));
	d.remote = (struct ring_remote){.ip_be = inet_addr("192.168.30.1"), .port = 53, .ttl = 63};
	d.hlen = sizeof(question);
	rig_send(r, &d);
	rig_turn(r);
	for (int i = 0; i < 3; i++)
		answer(fd, 0);
	for (int i = 0; i < 3; i++)
		expect_answer(r, 0);
	cr_assert_eq(r->drops.count[DROP_DNS_BAD], 0);
	cr_assert_eq(r->broker.free_count[BUF_SMALL], ARENA_SMALL_COUNT);
	rig_free(r);
}

Test(dnsrelay, silence_refusal_and_absence_lead_to_the_next)
{
	static const char *const ip[] = {"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"};
	if (!rig_network())
		cr_skip_test("port 53 needs a network of our own, which is not to be had here");
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	const int silent = resolver_at(ip[0]), refusing = resolver_at(ip[1]),
		  good = resolver_at(ip[3]);
	use(r, ip, 4);
	ask(r, question, sizeof(question));
	cr_assert(rig_quiet(r, 10));
	r->skew_ns = 2100000000;
	rig_turn(r);
	answer(refusing, 5);
	/* nobody is at the third: its ICMP error moves the question on */
	cr_assert(rig_quiet(r, 20));
	answer(good, 0);
	expect_answer(r, 0);
	/* who refused one question is not avoided: a guest could choose what it refuses */
	ask(r, question, sizeof(question));
	answer(refusing, 5);
	cr_assert(rig_quiet(r, 5));
	answer(good, 0);
	expect_answer(r, 0);
	close(silent);
	rig_free(r);
}

Test(dnsrelay, without_resolvers_the_guest_is_told_at_once)
{
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	ask(r, question, sizeof(question));
	expect_answer(r, 2);
	cr_assert_eq(r->drops.count[DROP_DNS_NO_UPSTREAM], 1);
	rig_free(r);
}

Test(dnsrelay, when_all_are_silent_the_guest_is_told)
{
	static const char *const ip[] = {"127.0.0.2"};
	if (!rig_network())
		cr_skip_test("port 53 needs a network of our own, which is not to be had here");
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	resolver_at(ip[0]);
	use(r, ip, 1);
	ask(r, question, sizeof(question));
	r->skew_ns = 1100000000;
	cr_assert(rig_quiet(r, 10));
	r->skew_ns = 4100000000;
	expect_answer(r, 2);
	cr_assert_eq(r->np->dns.live, 0);
	ask(r, question, sizeof(question));
	expect_answer(r, 2);
	cr_assert_eq(r->np->dns.live, 0, "kept for a second");
	rig_free(r);
}

Test(dnsrelay, noise_is_dropped_and_what_has_a_header_is_told)
{
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	uint8_t noise[3000] = {0x12, 0x34, 0x81};
	struct ring_desc d;
	ask(r, noise, 5);
	ask(r, noise, 40);
	ask(r, noise, sizeof(noise));
	cr_assert(rig_quiet(r, 5));
	cr_assert_eq(r->drops.count[DROP_DNS_BAD], 3);
	noise[2] = 1;
	ask(r, noise, 40);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
	cr_assert_eq(d.seg[0].len, 12, "no longer than what it answers");
	cr_assert_eq(rig_bytes(r, &d, 0)[3] & 15, DNSMSG_FORMERR);
	rig_give_back(r, &d);
	noise[2] = 0x28;
	ask(r, noise, 40);
	expect_answer(r, DNSMSG_NOTIMP);
	cr_assert_eq(r->drops.count[DROP_DNS_BAD], 5);
	cr_assert(rig_quiet(r, 5));
	cr_assert_eq(r->broker.free_count[BUF_SMALL], ARENA_SMALL_COUNT);
	rig_free(r);
}

/* Answers with `records` addresses of this TTL. */
static void answer_with(int fd, uint32_t ttl, unsigned int records)
{
	struct sockaddr_in from;
	socklen_t n = sizeof(from);
	uint8_t bytes[4096];
	ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &n);
	cr_assert_geq(got, (ssize_t)sizeof(question));
	got = sizeof(question);
	bytes[2] |= 0x80;
	bytes[3] = 0x80;
	bytes[7] = (uint8_t)records;
	bytes[11] = 0;
	for (unsigned int i = 0; i < records; i++, got += 16) {
		const uint8_t record[16] = {0xc0, 12, 0, 1, 0, 1, 0, 0, (uint8_t)(ttl >> 8),
			(uint8_t)ttl, 0, 4, 198, 51, 100, (uint8_t)i};
		memcpy(bytes + got, record, sizeof(record));
	}
	sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&from, n);
}

static bool hears_nothing(int fd)
{
	uint8_t byte;
	return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

Test(dnsrelay, what_is_kept_needs_no_server)
{
	static const char *const ip[] = {"127.0.0.53"}, *const other[] = {"127.0.0.54"};
	if (!rig_network())
		cr_skip_test("port 53 needs a network of our own, which is not to be had here");
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	const int fd = resolver_at(ip[0]), second = resolver_at(other[0]);
	uint8_t upper[sizeof(question)];
	struct ring_desc d;
	use(r, ip, 1);
	ask(r, question, sizeof(question));
	answer_with(fd, 300, 2);
	expect_answer(r, 0);
	memcpy(upper, question, sizeof(question));
	upper[13] = 'A';
	r->skew_ns = 100000000000;
	ask(r, upper, sizeof(upper));
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
	cr_assert_eq(rig_bytes(r, &d, 0)[13], 'A');
	cr_assert_eq(rig_bytes(r, &d, 0)[sizeof(question) + 9], 200, "counted down");
	rig_give_back(r, &d);
	cr_assert(hears_nothing(fd));
	cr_assert_str_eq(
		dnsnames_of(&r->np->dns_names, rig_guest_ip(), inet_addr("198.51.100.1")), "a.bc");
	use(r, other, 1);
	ask(r, question, sizeof(question));
	answer_with(second, 300, 1);
	expect_answer(r, 0);
	rig_free(r);
}

Test(dnsrelay, what_somebody_has_asked_is_asked_once_and_answered_to_both)
{
	static const char *const ip[] = {"127.0.0.53"};
	if (!rig_network())
		cr_skip_test("port 53 needs a network of our own, which is not to be had here");
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	const int fd = resolver_at(ip[0]);
	uint8_t second[sizeof(question)];
	struct ring_desc d;
	use(r, ip, 1);
	memcpy(second, question, sizeof(question));
	second[0] = 0x77;
	ask(r, question, sizeof(question));
	ask(r, second, sizeof(second));
	ask(r, question, sizeof(question));
	answer_with(fd, 0, 1);
	cr_assert(hears_nothing(fd));
	unsigned int ids = 0;
	for (int i = 0; i < 2; i++) {
		cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
		ids += rig_bytes(r, &d, 0)[0];
		rig_give_back(r, &d);
	}
	cr_assert_eq(ids, 0x77 + 0x12);
	cr_assert(rig_quiet(r, 5));
	rig_free(r);
}

Test(dnsrelay, a_long_answer_is_cut_for_who_takes_less)
{
	static const char *const ip[] = {"127.0.0.53"};
	if (!rig_network())
		cr_skip_test("port 53 needs a network of our own, which is not to be had here");
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	const int fd = resolver_at(ip[0]);
	struct ring_desc d;
	use(r, ip, 1);
	for (int i = 0; i < 2; i++) { /* from upstream, then from the cache */
		ask(r, question, sizeof(question));
		if (!i)
			answer_with(fd, 300, 50);
		cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
		cr_assert_eq(d.seg[0].len, sizeof(question));
		cr_assert(rig_bytes(r, &d, 0)[2] & 2, "TC");
		rig_give_back(r, &d);
	}
	cr_assert(hears_nothing(fd));
	rig_free(r);
}

Test(dnsrelay, without_buffers_an_answer_is_lost_and_not_asked_for_again_and_again)
{
	static const char *const ip[] = {"127.0.0.53"};
	if (!rig_network())
		cr_skip_test("port 53 needs a network of our own, which is not to be had here");
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	const int fd = resolver_at(ip[0]);
	use(r, ip, 1);
	ask(r, question, sizeof(question));
	for (int c = BUF_SMALL; c <= BUF_LARGE; c++)
		while (arena_take(&r->arena, (enum buf_class)c, false))
			;
	answer(fd, 0);
	cr_assert(rig_quiet(r, 20));
	cr_assert(hears_nothing(fd));
	cr_assert_eq(r->np->dns.live, 0);
	cr_assert_eq(r->drops.count[DROP_NO_BUFFER], 1);
	rig_free(r);
}

/* The hub's own servers are asked by its device, unless they are on this computer; this computer's as its
 * routes say. */
Test(dnsrelay, a_hubs_own_servers_are_asked_by_its_device)
{
	static const char *const host[] = {"127.0.0.53"};
	char device[] = "nl-none0", name[] = "blue";
	Nl__Vrf vrf = NL__VRF__INIT, *vrfs[] = {&vrf};
	Nl__Nat nat = NL__NAT__INIT;
	Nl__Ip4 server = NL__IP4__INIT, *upstreams[] = {&server};
	Nl__Dns dns = NL__DNS__INIT;
	if (!rig_network())
		cr_skip_test("port 53 needs a network of our own, which is not to be had here");
	vrf.name = nat.vrf = name;
	vrf.device = device;
	nat.n_vrfs = 1;
	nat.vrfs = vrfs;
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true, .nat = &nat});
	const int fd = resolver_at(host[0]);
	use(r, host, 1);
	ask(r, question, sizeof(question));
	answer(fd, 0);
	expect_answer(r, 0);
	server.be = inet_addr("127.0.0.53");
	dns.n_upstreams = 1;
	dns.upstreams = upstreams;
	rig_configure(r, &(struct rig_options){.deny_host = true, .nat = &nat, .dns = &dns});
	ask(r, question, sizeof(question));
	answer(fd, 0);
	expect_answer(r, 0);
	server.be = inet_addr("198.51.100.53");
	cr_assert_str_eq(dns_device(r->np, server.be), device);
	cr_assert_null(dns_device(r->np, inet_addr(host[0])));
	rig_configure(r, &(struct rig_options){.deny_host = true, .nat = &nat, .dns = &dns});
	ask(r, question, sizeof(question));
	expect_answer(r, DNSMSG_SERVFAIL);
	cr_assert(hears_nothing(fd));
	rig_free(r);
}

Test(dnsrelay, a_guest_has_a_limit)
{
	static const char *const ip[] = {"127.0.0.53"};
	if (!rig_network())
		cr_skip_test("port 53 needs a network of our own, which is not to be had here");
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	uint8_t bytes[sizeof(question)];
	resolver_at(ip[0]);
	use(r, ip, 1);
	memcpy(bytes, question, sizeof(bytes));
	for (int i = 0; i < 150; i++) {
		bytes[13] = (uint8_t)('a' + i % 26);
		bytes[15] = (uint8_t)('a' + i / 26);
		ask(r, bytes, sizeof(bytes));
	}
	cr_assert_eq(r->np->dns.live, 128);
	cr_assert_eq(r->np->sockets_open, 128);
	cr_assert_eq(r->drops.count[DROP_DNS_LIMIT], 22);
	rig_free(r);
}

/* Ids and ports of many questions: no two neighbours alike, spread over the range, no common step. */
Test(dnsrelay, ids_and_ports_are_not_to_be_guessed)
{
	enum { MANY = 512 };
	static const char *const ip[] = {"127.0.0.53"};
	static uint32_t id[MANY], port[MANY];
	if (!rig_network())
		cr_skip_test("port 53 needs a network of our own, which is not to be had here");
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	const int fd = resolver_at(ip[0]);
	uint32_t upper[2] = {0}, steps[2] = {0}, bits[16] = {0};
	use(r, ip, 1);
	for (int i = 0; i < MANY; i++) {
		struct sockaddr_in from;
		socklen_t n = sizeof(from);
		uint8_t bytes[512];
		ask(r, question, sizeof(question));
		cr_assert_eq(recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &n),
			(ssize_t)sizeof(question));
		id[i] = (uint32_t)bytes[0] << 8 | bytes[1];
		port[i] = ntohs(from.sin_port);
		bytes[2] |= 0x80;
		sendto(fd, bytes, sizeof(question), 0, (struct sockaddr *)&from, n);
		expect_answer(r, 0);
		upper[0] += id[i] >= 32768;
		upper[1] += port[i] >= 46500; /* the middle of the usual range */
		for (int b = 0; b < 16; b++)
			bits[b] += id[i] >> b & 1;
		if (i > 1) {
			steps[0] += id[i] - id[i - 1] == id[i - 1] - id[i - 2];
			steps[1] += port[i] - port[i - 1] == port[i - 1] - port[i - 2];
		}
	}
	/* six standard deviations of 512 fair coins are 68 */
	for (int b = 0; b < 16; b++)
		cr_assert(bits[b] > 188 && bits[b] < 324, "bit %d: %u", b, bits[b]);
	for (int i = 0; i < 2; i++) {
		cr_assert(upper[i] > 188 && upper[i] < 324, "%u", upper[i]);
		cr_assert_lt(steps[i], 4);
	}
	rig_free(r);
}

