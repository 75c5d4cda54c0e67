/* ESP over one raw socket: guests' packets to peers on loopback, and back; what nobody asked for. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "esp_socket.h"
#include "forge.h"
#include "rig.h"

enum {
	FLOW = 0x40001,
	ESP = 50,
	INBOUND = 0x80000000, /* set in SPIs of peers: so the filter knows them */
	A = 0x1001,	      /* guests' SPIs */
	B = 0x2002,
	A_IN = INBOUND | 0x11,
	B_IN = INBOUND | 0x22,
	OTHER_GUEST = 11, /* last byte of its address */
};

static const char *const peer_ip = "127.0.0.2", *const static_ip = "127.0.0.3";
static int peer;

/* What natproxy sends comes to it as well on loopback: the peers' SPIs alone are let in. */
static int raw_socket(void)
{
	struct sock_filter inbound[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, INBOUND, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 65535),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = {4, inbound};
	const int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, ESP);
	if (fd < 0)
		cr_skip_test("no raw sockets here");
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
	return fd;
}

static int bound_peer(const char *ip)
{
	const struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(ip)};
	const struct timeval patience = {.tv_usec = 300000};
	const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, ESP);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static int grant(struct rig *r, int fd)
{
	return rig_grant(r, NL__SOCKET_NAME__WHAT__ESP, fd);
}

static struct rig *world_with(const Nl__Nat *nat, uint32_t spi_match_list)
{
	Nl__Alg alg = NL__ALG__INIT;
	Nl__AlgIpsec ipsec = NL__ALG_IPSEC__INIT;
	ipsec.has_esp = ipsec.esp = true;
	ipsec.has_spi_match_list = spi_match_list != 0;
	ipsec.spi_match_list = spi_match_list;
	alg.ipsec = &ipsec;
	struct rig *r = rig_new(&(struct rig_options){.no_echo = true, .alg = &alg, .nat = nat});
	cr_assert_eq(grant(r, raw_socket()), 0);
	peer = bound_peer(peer_ip);
	return r;
}

static struct rig *world(void)
{
	return world_with(NULL, 0);
}

static uint32_t guest(uint8_t last)
{
	const uint32_t ip_be = rig_guest_ip();
	return last ? htonl((ntohl(ip_be) & ~0xffU) | last) : ip_be;
}

static void open_flow(struct rig *r, uint32_t flow, uint8_t who, uint32_t spi)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = flow};
	d.pair = (struct ring_pair){.guest_ip_be = guest(who),
		.remote_ip_be = inet_addr(peer_ip),
		.guest_port = (uint16_t)(spi >> 16),
		.remote_port = (uint16_t)spi,
		.kind = DGRAM_ESP};
	rig_send(r, &d);
}

static size_t make(uint8_t *out, uint32_t spi, uint32_t sequence, size_t n)
{
	const uint32_t words[2] = {htonl(spi), htonl(sequence)};
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(i * 7 + sequence);
	memcpy(out, words, sizeof(words));
	return n;
}

static uint8_t packet[65000], got[65000];

static void send_packet(struct rig *r, uint32_t flow, uint32_t spi, size_t n)
{
	make(packet, spi, 1, n);
	struct ring_desc d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, flow, 0, packet, n);
	d.remote = (struct ring_remote){.ip_be = inet_addr(peer_ip), .ttl = 33};
	rig_send(r, &d);
	rig_turn(r);
}

/* What the peer got: its length without the IP header, 0: nothing. */
static size_t at_peer(void)
{
	const ssize_t n = recv(peer, got, sizeof(got), 0);
	return n < 20 ? 0 : (size_t)n - 20;
}

static void from_peer_to(uint32_t to_be, uint32_t spi, size_t n)
{
	const struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = to_be};
	make(packet, spi, 2, n);
	cr_assert_eq(
		sendto(peer, packet, n, 0, (const struct sockaddr *)&to, sizeof(to)), (ssize_t)n);
}

static void from_peer(uint32_t spi, size_t n)
{
	from_peer_to(rig_loopback(), spi, n);
}

static void expect_for(struct rig *r, uint32_t flow, size_t n)
{
	struct ring_desc d;
	size_t seen = 0;
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d), "of %zu bytes", n);
	cr_expect_eq(d.flow, flow);
	cr_expect_eq(d.remote.ip_be, inet_addr(peer_ip));
	for (unsigned int i = 0; i < d.nseg; i++) {
		cr_expect_eq(memcmp(rig_bytes(r, &d, i), packet + seen, d.seg[i].len), 0);
		seen += d.seg[i].len;
	}
	cr_expect_eq(seen, n);
	rig_give_back(r, &d);
}

Test(esp_socket, says_that_esp_can_be_had)
{
	Nl__Alg alg = NL__ALG__INIT;
	Nl__AlgIpsec ipsec = NL__ALG_IPSEC__INIT;
	struct rig *r = world();
	ipsec.has_esp = ipsec.esp = true;
	alg.ipsec = &ipsec;
	rig_configure(r, &(struct rig_options){.alg = &alg});
	cr_expect(r->uplink.esp);
	rig_configure(r, &(struct rig_options){0});
	cr_expect_not(r->uplink.esp, "not where alg.ipsec.esp is off");
	open_flow(r, FLOW, 0, A);
	struct ring_desc d;
	cr_expect(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	rig_free(r);
}

Test(esp_socket, packets_go_both_ways_as_they_are)
{
	static const size_t size[] = {8, 100, 2048, 2049, 60000};
	struct rig *r = world();
	open_flow(r, FLOW, 0, A);
	for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		send_packet(r, FLOW, A, size[i]);
		cr_assert_eq(at_peer(), size[i]);
		cr_expect_eq(memcmp(got + 20, packet, size[i]), 0);
		cr_expect_eq(got[8], 33, "TTL");
		from_peer(A_IN, size[i]);
		expect_for(r, FLOW, size[i]);
	}
	cr_expect(rig_has_line(r, "The ESP session 1 was created"));
	cr_expect_eq(r->np->esp.counts.to_guests, 5);
	cr_expect_eq(r->np->esp.counts.to_outside, 5);
	rig_free(r);
}

Test(esp_socket, a_second_guest_waits_for_the_first_ones_answer)
{
	struct rig *r = world();
	open_flow(r, FLOW, 0, A);
	open_flow(r, FLOW + 1, OTHER_GUEST, B);
	send_packet(r, FLOW, A, 50);
	cr_assert_eq(at_peer(), 50);
	send_packet(r, FLOW + 1, B, 60);
	cr_assert_eq(at_peer(), 0, "not while the answer could be for either");
	cr_expect_eq(r->drops.count[DROP_ESP_WAITS], 1);
	from_peer(A_IN, 70);
	expect_for(r, FLOW, 70);
	send_packet(r, FLOW + 1, B, 60);
	cr_assert_eq(at_peer(), 60);
	from_peer(B_IN, 80);
	expect_for(r, FLOW + 1, 80);
	from_peer(A_IN, 90);
	expect_for(r, FLOW, 90);
	rig_free(r);
}

Test(esp_socket, of_nobody_is_dropped_and_counted)
{
	struct rig *r = world();
	from_peer(A_IN, 50);
	cr_assert(rig_quiet(r, 50));
	cr_expect_eq(r->drops.count[DROP_ESP_UNKNOWN], 1);
	from_peer(INBOUND, 7); /* shorter than its header */
	cr_assert(rig_quiet(r, 50));
	cr_expect_eq(r->drops.count[DROP_ESP_BAD], 1);
	rig_free(r);
}

Test(esp_socket, the_end_of_a_flow_is_the_end_of_its_tunnel)
{
	struct rig *r = world();
	struct ring_desc d;
	open_flow(r, FLOW, 0, A);
	send_packet(r, FLOW, A, 50);
	from_peer(A_IN, 50);
	expect_for(r, FLOW, 50);
	cr_expect_eq(r->np->esp.table.tunnels, 1);
	natproxy_end_flow(r->np, &r->np->flow[flow_index(FLOW)], "test");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	cr_expect_eq(r->np->esp.table.tunnels, 0);
	from_peer(A_IN, 50);
	cr_assert(rig_quiet(r, 50));
	cr_expect_eq(r->np->sockets_open, 1, "the socket stays");
	rig_free(r);
}

Test(esp_socket, an_idle_tunnel_ends_after_an_hour)
{
	struct rig *r = world();
	struct ring_desc d;
	open_flow(r, FLOW, 0, A);
	send_packet(r, FLOW, A, 50);
	r->skew_ns += 3590ULL * 1000000000;
	cr_assert(rig_quiet(r, 20));
	r->skew_ns += 20ULL * 1000000000;
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	cr_expect(rig_has_line(r, "The ESP session 1 was deleted"));
	rig_free(r);
}

Test(esp_socket, rows_show_who_waits_and_what_is_paired)
{
	struct rig *r = world();
	struct natproxy_row_space space;
	Nl__ExpectationRow waits;
	Nl__NatRow session;
	Nl__AlgRow alg;
	open_flow(r, FLOW, 0, A);
	send_packet(r, FLOW, A, 50);
	cr_assert_neq(natproxy_expectation_row(r->np, 0, &waits, &space), 0);
	cr_expect_str_eq(waits.alg, "ipsec");
	cr_expect_str_eq(waits.kind, "ESP");
	cr_expect_str_eq(waits.spi, "0x00001001");
	cr_expect_eq(waits.guest->ip_be, guest(0));
	cr_expect_eq(waits.peer->ip_be, inet_addr(peer_ip));
	cr_expect_eq(waits.parent, 1);
	cr_expect(waits.expires_in_ms > 25000 && waits.expires_in_ms <= 30000);
	cr_expect_eq(natproxy_nat_row(r->np, 0, &session, &space), 1);
	cr_expect_str_eq(session.spi, "0x00001001");
	from_peer(A_IN, 50);
	expect_for(r, FLOW, 50);
	cr_expect_eq(natproxy_expectation_row(r->np, 0, &waits, &space), 0);
	cr_expect_eq(natproxy_nat_row(r->np, 0, &session, &space), 1);
	cr_expect_str_eq(session.proto, "esp");
	cr_expect_str_eq(session.spi, "0x00001001/0x80000011");
	cr_expect_not(session.source->has_port);
	cr_expect_eq(natproxy_alg_row(r->np, 1, &alg, &space), 2);
	cr_expect_str_eq(alg.alg, "ipsec");
	cr_expect(alg.enabled);
	cr_expect_eq(alg.flows, 1);
	cr_expect_eq(alg.open, 1);
	cr_expect_eq(alg.to_guests, 1);
	cr_expect_eq(alg.to_outside, 1);
	rig_free(r);
}

/* nat.static: the guest's own address outside; loopback plays it. */
static struct rig *world_with_static(void)
{
	static Nl__Nat nat;
	static Nl__Static fixed, *list = &fixed;
	static Nl__Ip4 inside, outside;
	nl__nat__init(&nat);
	nl__static__init(&fixed);
	nl__ip4__init(&inside);
	nl__ip4__init(&outside);
	inside.has_be = outside.has_be = true;
	inside.be = guest(OTHER_GUEST);
	outside.be = inet_addr(static_ip);
	fixed.inside = &inside;
	fixed.outside = &outside;
	nat.static_ = &list;
	nat.n_static_ = 1;
	return world_with(&nat, 0);
}

/* What netstack answers to being asked for a flow. */
static void open_as_asked(struct rig *r, uint32_t flow, const struct ring_pair *asked)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = flow, .pair = *asked};
	rig_send(r, &d);
	rig_turn(r);
}

Test(esp_socket, of_an_address_of_its_own_the_peer_may_speak_first)
{
	const uint32_t own_be = inet_addr(static_ip);
	struct ring_desc d;
	struct rig *r = world_with_static();
	from_peer_to(own_be, A_IN, 50);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	cr_expect_eq(d.pair.kind, DGRAM_ESP);
	cr_expect_eq(d.pair.guest_ip_be, guest(OTHER_GUEST));
	cr_expect_eq(d.pair.remote_ip_be, inet_addr(peer_ip));
	cr_expect_eq(d.pair.guest_port, 0);
	cr_expect_eq(d.pair.remote_port, 0);
	from_peer_to(own_be, A_IN, 50);
	cr_assert(rig_quiet(r, 30), "asked once");
	open_as_asked(r, FLOW, &d.pair);
	from_peer_to(own_be, A_IN, 60);
	expect_for(r, FLOW, 60);
	/* the guest answers by an SPI of its own: the peer's is that one's from now on, and nobody waits */
	open_flow(r, FLOW + 1, OTHER_GUEST, A);
	send_packet(r, FLOW + 1, A, 70);
	cr_assert_eq(at_peer(), 70);
	cr_expect_eq(memcmp(got + 12, &own_be, sizeof(own_be)), 0, "from its own address");
	from_peer_to(own_be, A_IN, 80);
	expect_for(r, FLOW + 1, 80);
	rig_free(r);
}

Test(esp_socket, strangers_use_up_nothing_of_a_guests)
{
	struct rig *r = world_with_static();
	const uint32_t own_be = inet_addr(static_ip);
	for (uint32_t i = 0; i < NATPROXY_ESP_INCOMING + 8; i++) {
		struct ring_desc d;
		char ip[16];
		close(peer);
		snprintf(ip, sizeof(ip), "127.0.1.%u", i + 1);
		peer = bound_peer(ip);
		from_peer_to(own_be, A_IN, 50);
		cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
		open_as_asked(r, FLOW + i, &d.pair);
		if (i >= NATPROXY_ESP_INCOMING)
			cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
		if (i >= NATPROXY_ESP_INCOMING)
			cr_expect_eq(d.flow, FLOW + i - NATPROXY_ESP_INCOMING);
		r->skew_ns += 1000000000;
	}
	cr_expect_eq(r->np->esp.table.tunnels, NATPROXY_ESP_INCOMING);
	rig_free(r);
}

Test(esp_socket, what_was_switched_off_sends_no_more)
{
	struct rig *r = world();
	open_flow(r, FLOW, 0, A);
	send_packet(r, FLOW, A, 50);
	cr_assert_eq(at_peer(), 50);
	from_peer(A_IN, 50);
	expect_for(r, FLOW, 50);
	rig_configure(r, &(struct rig_options){0});
	send_packet(r, FLOW, A, 50);
	cr_expect_eq(at_peer(), 0, "whatever netstack says");
	cr_expect_eq(r->drops.count[DROP_DENIED], 1);
	from_peer(A_IN, 50);
	cr_assert(rig_quiet(r, 50));
	rig_free(r);
}

Test(esp_socket, an_answer_to_nothing_opens_nothing)
{
	struct rig *r = world();
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = FLOW};
	d.pair = (struct ring_pair){.guest_ip_be = guest(0),
		.remote_ip_be = inet_addr(peer_ip),
		.token = 1,
		.kind = DGRAM_ESP};
	rig_send(r, &d);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	cr_expect_eq(r->np->esp.table.tunnels, 0);
	rig_free(r);
}

/* spi_match_list: the far end may answer by the same number before anybody has opened. */
Test(esp_socket, matched_spis_wait_for_nobody)
{
	Nl__Nat nat = NL__NAT__INIT;
	Nl__AccessList list = NL__ACCESS_LIST__INIT, *lists = &list;
	Nl__Subnet subnet = NL__SUBNET__INIT, *subnets = &subnet;
	list.has_number = true;
	list.number = 10;
	subnet.has_ip_be = subnet.has_prefix = true;
	subnet.ip_be = guest(OTHER_GUEST);
	subnet.prefix = 32;
	list.permit = &subnets;
	list.n_permit = 1;
	nat.access_lists = &lists;
	nat.n_access_lists = 1;
	struct rig *r = world_with(&nat, 10);
	open_flow(r, FLOW, 0, A);
	send_packet(r, FLOW, A, 50); /* opens, and is not answered */
	cr_assert_eq(at_peer(), 50);
	open_flow(r, FLOW + 1, OTHER_GUEST, B_IN);
	send_packet(r, FLOW + 1, B_IN, 60);
	cr_assert_eq(at_peer(), 60, "at once");
	from_peer(B_IN, 70);
	expect_for(r, FLOW + 1, 70);
	from_peer(A_IN, 80);
	expect_for(r, FLOW, 80);
	rig_free(r);
}

static void complain(uint32_t spi)
{
	make(packet, spi, 1, 8);
	forge_unreachable(inet_addr(peer_ip), ESP, packet, 8);
}

Test(esp_socket, an_error_reaches_the_guest_whose_spi_it_quotes)
{
	struct rig *r = world();
	struct ring_desc d;
	open_flow(r, FLOW, 0, A);
	send_packet(r, FLOW, A, 50);
	from_peer(A_IN, 50);
	expect_for(r, FLOW, 50);
	open_flow(r, FLOW + 1, OTHER_GUEST, B);
	send_packet(r, FLOW + 1, B, 50);
	complain(B);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_ERROR, &d));
	cr_expect_eq(d.flow, FLOW + 1);
	cr_expect_eq(d.pair.token, 3 << 8 | 1);
	complain(A + 1);
	cr_assert(rig_quiet(r, 50), "of nobody's");
	rig_free(r);
}

Test(esp_socket, keys_tell_whose_a_new_spi_is)
{
	struct rig *r = world();
	open_flow(r, FLOW, 0, A);
	send_packet(r, FLOW, A, 50);
	from_peer(A_IN, 50);
	expect_for(r, FLOW, 50);
	open_flow(r, FLOW + 1, OTHER_GUEST, B);
	send_packet(r, FLOW + 1, B, 50);
	from_peer(B_IN, 50);
	expect_for(r, FLOW + 1, 50);
	from_peer(A_IN + 1, 60);
	cr_assert(rig_quiet(r, 50), "either may have made new keys");
	const struct sock_address ike = {inet_addr(peer_ip), 500};
	const struct flow *f = &r->np->flow[flow_index(FLOW)];
	esp_socket_spoke(r->np, f, &ike);
	from_peer(A_IN + 1, 60);
	expect_for(r, FLOW, 60);
	rig_free(r);
}

Test(esp_socket, what_netstack_cannot_mean_is_a_breach)
{
	struct rig *r = world();
	open_flow(r, FLOW, 0, 0);
	rig_turn(r);
	cr_expect_eq(r->protocol_error, -EPROTO, "no SPI, and nobody asked");
	r->protocol_error = 0;
	open_flow(r, FLOW + 1, 0, A);
	send_packet(r, FLOW + 1, A, 7);
	cr_expect_eq(r->protocol_error, -EPROTO, "shorter than its header");
	r->protocol_error = 0;
	struct ring_desc d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW + 1, 0, packet, 50);
	d.remote.ip_be = inet_addr("127.0.0.9");
	rig_send(r, &d);
	rig_turn(r);
	cr_expect_eq(r->protocol_error, -EPROTO, "to another peer");
	r->protocol_error = 0;
	r->np->flow[flow_index(FLOW + 1)].spi = 0; /* as of a flow that a peer began */
	send_packet(r, FLOW + 1, A, 50);
	cr_expect_eq(r->protocol_error, -EPROTO, "by a flow that has no SPI of the guest's");
	rig_free(r);
}

Test(esp_socket, what_is_no_raw_esp_socket_is_refused)
{
	struct rig *r = rig_new(&(struct rig_options){.no_echo = true});
	const int wrong[] = {socket(AF_INET, SOCK_RAW, IPPROTO_ICMP),
		socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP), socket(AF_INET, SOCK_STREAM, 0),
		socket(AF_UNIX, SOCK_DGRAM, 0)};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_expect_eq(grant(r, wrong[i]), -EPROTO, "%zu", i);
		cr_expect_eq(fcntl(wrong[i], F_GETFD), -1, "%zu is closed", i);
	}
	cr_expect_eq(grant(r, raw_socket()), 0);
	cr_expect_eq(grant(r, raw_socket()), -EPROTO, "a second one");
	cr_expect_not(r->uplink.esp, "alg.ipsec.esp is off");
	rig_free(r);
}
