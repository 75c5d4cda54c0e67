/* DNS over TCP: the guest's side ends here, the server's is called when it is needed. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

enum { FLOW = 0x50002, QUESTION = 22 };
static const char *const one_server[] = {"127.0.0.2"};
static const uint8_t question[2 + QUESTION] = {
	0, QUESTION, 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 2, 'b', 'c', 0, 0, 1, 0, 1};

static int server_at(const char *ip)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(ip), .sin_port = htons(53)};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	listen(fd, 4);
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

static void open_flow(struct rig *r, uint32_t flow, uint16_t port)
{
	struct ring_desc d = {.op = RING_NETSTACK_TCP_OPEN, .flow = flow};
	d.pair = (struct ring_pair){.guest_ip_be = rig_guest_ip(),
		.guest_port = port,
		.remote_ip_be = inet_addr("192.168.30.1"),
		.remote_port = 53};
	rig_send(r, &d);
}

static struct rig *begin(void)
{
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	struct ring_desc d;
	open_flow(r, FLOW, 45000);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	rig_credit(r, FLOW, 100000);
	return r;
}

static void say(struct rig *r, uint64_t at, const void *bytes, size_t n)
{
	const struct ring_desc d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW, at, bytes, n);
	rig_send(r, &d);
	rig_turn(r);
}

/* The next `n` bytes that the guest gets. */
static void hear(struct rig *r, uint8_t *out, size_t n)
{
	struct ring_desc d;
	for (size_t have = 0; have < n;) {
		cr_assert(rig_await(r, RING_NATPROXY_TCP_DATA, &d));
		for (unsigned int i = 0; i < d.nseg; i++) {
			cr_assert_leq(have + d.seg[i].len, n);
			memcpy(out + have, rig_bytes(r, &d, i), d.seg[i].len);
			have += d.seg[i].len;
		}
		rig_give_back(r, &d);
	}
}

static int taken(struct rig *r, int listener)
{
	for (int i = 0; i < 2000; i++) {
		const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (fd >= 0)
			return fd;
		rig_turn(r);
		usleep(1000);
	}
	cr_assert(false, "nobody called");
	return -1;
}

/* What the server hears. */
static size_t heard(struct rig *r, int fd, uint8_t *out, size_t n)
{
	size_t have = 0;
	for (int i = 0; i < 2000 && have < n; i++) {
		const ssize_t got = recv(fd, out + have, n - have, 0);
		have += got > 0 ? (size_t)got : 0;
		rig_turn(r);
		if (got < 0)
			usleep(1000);
	}
	return have;
}

static bool network(void)
{
	if (!rig_network())
		cr_skip_test("port 53 needs a network of our own, which is not to be had here");
	return true;
}

Test(dnstcp, without_a_server_the_guest_is_told)
{
	struct rig *r = begin();
	uint8_t out[2 + QUESTION];
	say(r, 0, question, 1);
	say(r, 1, question + 1, sizeof(question) - 1);
	hear(r, out, sizeof(out));
	cr_assert_eq(out[1], QUESTION);
	cr_assert_eq(out[2], 0x12);
	cr_assert_eq(out[5] & 15, DNSMSG_SERVFAIL);
	rig_op(r, RING_NETSTACK_TCP_FIN, FLOW);
	struct ring_desc d;
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FIN, &d));
	cr_assert_eq(r->np->dns_tcp.used, 0);
	cr_assert_eq(r->np->sockets_open, 0);
	rig_free(r);
}

Test(dnstcp, questions_go_out_together_and_answers_come_in_any_order)
{
	static const char *const ip[] = {"127.0.0.2", "127.0.0.3"};
	uint8_t both[2 * sizeof(question)], got[sizeof(both)];
	network();
	const int listener = server_at(ip[1]);
	struct rig *r = begin();
	use(r, ip, 2); /* nobody is at the first */
	memcpy(both, question, sizeof(question));
	memcpy(both + sizeof(question), question, sizeof(question));
	both[sizeof(question) + 3] = 0x35;
	both[sizeof(question) + 15] = 'z';
	say(r, 0, both, sizeof(both));
	const int fd = taken(r, listener);
	cr_assert_eq(heard(r, fd, got, sizeof(got)), sizeof(both));
	cr_assert_eq(memcmp(got, both, sizeof(both)), 0);
	got[4] |= 0x80;
	got[sizeof(question) + 4] |= 0x80;
	cr_assert_gt(send(fd, got + sizeof(question), sizeof(question) - 5, 0), 0);
	cr_assert(rig_quiet(r, 5), "only whole messages go on");
	cr_assert_gt(send(fd, got + sizeof(both) - 5, 5, 0), 0);
	cr_assert_gt(send(fd, got, sizeof(question), 0), 0);
	hear(r, both, sizeof(both));
	cr_assert_eq(both[3], 0x35);
	cr_assert_eq(both[sizeof(question) + 3], 0x34);
	cr_assert_eq(
		r->np->dns_tcp.due_ns != 0 && r->np->dns_tcp.stream[DNSTCP_STREAMS - 1].asked, 0);
	/* a server that owes nothing may leave */
	close(fd);
	cr_assert(rig_quiet(r, 10));
	say(r, sizeof(both), question, sizeof(question));
	const int again = taken(r, listener);
	cr_assert_eq(heard(r, again, got, sizeof(question)), sizeof(question));
	/* one that does, may not */
	close(again);
	struct ring_desc d;
	cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
	cr_assert_eq(r->np->sockets_open, 0);
	cr_assert_eq(r->np->dns_tcp.used, 0);
	rig_free(r);
}

Test(dnstcp, what_is_known_here_needs_no_server)
{
	struct rig *r = begin();
	uint8_t query[2 + 29] = {0, 29, 0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7, 'g', 'a', 't', 'e',
		'w', 'a', 'y', 0, 0, 1, 0, 1};
	uint8_t out[2 + 25 + 16];
	query[1] = 25;
	say(r, 0, query, 2 + 25);
	hear(r, out, sizeof(out));
	cr_assert_eq(dnsmsg_field(out, 8), 1);
	const uint32_t gateway = inet_addr("192.168.30.1");
	cr_assert_eq(memcmp(out + sizeof(out) - 4, &gateway, 4), 0);
	rig_free(r);
}

Test(dnstcp, a_silent_server_is_left_for_the_next)
{
	uint8_t got[64];
	network();
	const int listener = server_at(one_server[0]);
	struct rig *r = begin();
	use(r, one_server, 1);
	say(r, 0, question, sizeof(question));
	const int fd = taken(r, listener);
	cr_assert_eq(heard(r, fd, got, sizeof(question)), sizeof(question));
	r->skew_ns = (DNSTCP_PATIENCE_MS + 100) * 1000000ULL;
	struct ring_desc d;
	cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
	rig_free(r);
}

Test(dnstcp, what_is_no_dns_is_reset)
{
	static const uint8_t bad[][4] = {{0, 5}, {0xff, 0xff}, {0, 12}};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rig *r = begin();
		uint8_t bytes[14];
		memset(bytes, 0xff, sizeof(bytes));
		memcpy(bytes, bad[i], 2);
		say(r, 0, bytes, sizeof(bytes));
		struct ring_desc d;
		cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
		cr_assert_eq(r->np->dns_tcp.used, 0);
		cr_assert_eq(r->drops.count[DROP_DNS_BAD], 1);
		rig_free(r);
	}
}

Test(dnstcp, one_guest_cannot_hold_all_connections)
{
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	struct ring_desc d;
	unsigned int opened = 0;
	for (uint32_t i = 0; i < DNSTCP_STREAMS; i++) {
		open_flow(r, FLOW + i, (uint16_t)(40000 + i));
		cr_assert(rig_next(r, &d));
		opened += d.op == RING_NATPROXY_TCP_OPENED;
	}
	cr_assert_eq(opened, DNSTCP_STREAMS / 2);
	rig_free(r);
}

Test(dnstcp, a_guest_that_asks_nothing_loses_its_connection)
{
	struct rig *r = begin();
	struct ring_desc d;
	uint8_t out[2 + QUESTION];
	r->skew_ns = (DNSTCP_IDLE_MS - 1000) * 1000000ULL;
	say(r, 0, question, sizeof(question));
	hear(r, out, sizeof(out));
	r->skew_ns += 2000 * 1000000ULL;
	cr_assert(rig_quiet(r, 5), "it has asked since");
	say(r, sizeof(question), question, 1);
	r->skew_ns += DNSTCP_IDLE_MS * 1000000ULL;
	cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
	cr_assert_eq(r->np->dns_tcp.used, 0);
	cr_assert(rig_has_line(r, "ended: idle,"));
	rig_free(r);
}

/* One guest asks by two connections and by UDP; two questions may wait. */
Test(dnstcp, a_guests_limit_holds_for_all_its_ways_to_ask)
{
	uint8_t three[3 * sizeof(question)], got[sizeof(three)], out[sizeof(question)];
	struct ring_desc d;
	network();
	const int listener = server_at(one_server[0]);
	struct rig *r = begin();
	rig_configure(r, &(struct rig_options){.deny_host = true, .dns_limit = 2});
	use(r, one_server, 1);
	for (uint8_t i = 0; i < 3; i++) {
		memcpy(three + i * sizeof(question), question, sizeof(question));
		three[i * sizeof(question) + 15] = (uint8_t)('x' + i);
	}
	say(r, 0, three, sizeof(three));
	const int fd = taken(r, listener);
	cr_assert_eq(heard(r, fd, got, 2 * sizeof(question)), 2 * sizeof(question));
	cr_assert(rig_quiet(r, 5));
	cr_assert_eq(recv(fd, got, 1, MSG_PEEK), -1, "the third waits for an answer");
	d = (struct ring_desc){.op = RING_NETSTACK_DGRAM_OPEN, .flow = FLOW + 1};
	d.pair = (struct ring_pair){
		.guest_ip_be = rig_guest_ip(), .guest_port = 45000, .kind = DGRAM_UDP};
	rig_send(r, &d);
	d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW + 1, 0, question + 2, QUESTION);
	d.remote = (struct ring_remote){.ip_be = inet_addr("192.168.30.1"), .port = 53, .ttl = 63};
	rig_send(r, &d);
	rig_turn(r);
	cr_assert_eq(r->drops.count[DROP_DNS_LIMIT], 1, "by UDP");
	open_flow(r, FLOW + 2, 45002);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	rig_credit(r, FLOW + 2, 1000);
	d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW + 2, 0, question, sizeof(question));
	rig_send(r, &d);
	hear(r, out, sizeof(out));
	cr_assert_eq(out[5] & 15, DNSMSG_SERVFAIL);
	cr_assert_eq(r->drops.count[DROP_DNS_LIMIT], 2, "by another connection");
	got[4] |= 0x80;
	cr_assert_gt(send(fd, got, sizeof(question), 0), 0);
	hear(r, out, sizeof(out));
	cr_assert_eq(heard(r, fd, got, sizeof(question)), sizeof(question), "now the third");
	rig_free(r);
}

/* The test is alg too. */

static void let_pass(struct rig *r, Nl__Direction direction, uint64_t until)
{
	Nl__Verdict m = NL__VERDICT__INIT;
	m.flow = r->inspect.flow;
	m.direction = direction;
	m.until = until;
	cr_assert_eq(natproxy_on_verdict(r->np, &m, NULL), 0);
	rig_turn(r);
}

/* A hub with a static address, so that the DNS ALG has something to do. */
static struct rig *inspected(void)
{
	static uint32_t port = 53;
	Nl__Alg alg = NL__ALG__INIT;
	Nl__AlgSwitch dns = NL__ALG_SWITCH__INIT;
	Nl__Nat nat = NL__NAT__INIT;
	Nl__Static one = NL__STATIC__INIT, *all[1] = {&one};
	Nl__Ip4 inside = NL__IP4__INIT, outside = NL__IP4__INIT;
	struct ring_desc d;
	inside.be = inet_addr("192.168.30.99");
	outside.be = inet_addr("198.51.100.9");
	one.inside = &inside;
	one.outside = &outside;
	nat.n_static_ = 1;
	nat.static_ = all;
	dns.n_ports = 1;
	dns.ports = &port;
	alg.dns = &dns;
	struct rig *r = rig_new(
		&(struct rig_options){.deny_host = true, .nat = &nat, .alg = &alg});
	open_flow(r, FLOW, 45000);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	rig_credit(r, FLOW, 100000);
	return r;
}

Test(dnstcp, questions_and_answers_wait_for_alg)
{
	struct rig *r = inspected();
	uint8_t out[2 + QUESTION];
	struct ring_desc d;
	cr_assert_str_eq(r->inspect_alg, "dns");
	cr_assert(r->inspect.stream);
	say(r, 0, question, sizeof(question));
	cr_assert_eq(r->seen_bytes[0], sizeof(question));
	cr_assert(rig_quiet(r, 5));
	let_pass(r, NL__DIRECTION__GUEST, sizeof(question));
	rig_turn(r);
	cr_assert_eq(r->seen_bytes[1], sizeof(question), "SERVFAIL");
	cr_assert(rig_quiet(r, 5));
	/* the guest's end waits for what is held too */
	rig_op(r, RING_NETSTACK_TCP_FIN, FLOW);
	cr_assert(rig_quiet(r, 5));
	let_pass(r, NL__DIRECTION__OUTSIDE, sizeof(question));
	hear(r, out, sizeof(out));
	cr_assert_eq(out[5] & 15, DNSMSG_SERVFAIL);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FIN, &d));
	cr_assert_eq(r->ended, 1);
	cr_assert_eq(r->np->inspects, 0);
	cr_assert_eq(r->np->dns_tcp.used, 0);
	rig_free(r);
}

Test(dnstcp, without_alg_it_goes_on_as_ever)
{
	struct rig *r = inspected();
	uint8_t out[2 + QUESTION];
	say(r, 0, question, sizeof(question) - 1);
	natproxy_alg_lost(r->np);
	say(r, sizeof(question) - 1, question + sizeof(question) - 1, 1);
	hear(r, out, sizeof(out));
	cr_assert_eq(out[2], 0x12);
	cr_assert_eq(r->np->inspects, 0);
	say(r, sizeof(question), question, sizeof(question));
	hear(r, out, sizeof(out));
	rig_free(r);
}
