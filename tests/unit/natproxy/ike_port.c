/* IKE by the shared port 500: guests of a list, told apart by their cookies. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forge.h"
#include "ike_port.h"
#include "rig.h"

enum { FLOW = 0x40001, MESSAGE = 120, LIST = 10, LISTED = 10, LISTED_TOO = 11, NOT_LISTED = 200 };

static const char *const peer_ip = "127.0.0.2";
static int peer;

static int udp_at(uint32_t ip_be, uint16_t port)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = ip_be, .sin_port = htons(port)};
	const struct timeval patience = {.tv_usec = 300000};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)))
		cr_skip_test("no low ports here");
	return fd;
}

/* Any address, as the supervisor's; nobody listens to it then but by a more exact address. */
static int granted_socket(void)
{
	const int fd = udp_at(0, IKE_PORT);
	cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static int grant(struct rig *r, int fd)
{
	return rig_grant(r, NL__SOCKET_NAME__WHAT__IKE, fd);
}

static uint32_t guest(uint8_t last)
{
	return htonl((ntohl(rig_guest_ip()) & ~0xffU) | last);
}

/* The guests whose address ends in less than 128 are on the list. */
static struct rig *world_unserved(void)
{
	Nl__Nat nat = NL__NAT__INIT;
	Nl__Alg alg = NL__ALG__INIT;
	Nl__AlgIpsec ipsec = NL__ALG_IPSEC__INIT;
	Nl__AccessList list = NL__ACCESS_LIST__INIT, *lists = &list;
	Nl__Subnet subnet = NL__SUBNET__INIT, *subnets = &subnet;
	list.has_number = true;
	list.number = LIST;
	subnet.has_ip_be = subnet.has_prefix = true;
	subnet.ip_be = guest(0);
	subnet.prefix = 25;
	list.permit = &subnets;
	list.n_permit = 1;
	nat.access_lists = &lists;
	nat.n_access_lists = 1;
	ipsec.has_preserve_port_list = true;
	ipsec.preserve_port_list = LIST;
	alg.ipsec = &ipsec;
	return rig_new(&(struct rig_options){.no_echo = true, .alg = &alg, .nat = &nat});
}

static struct rig *world(void)
{
	struct rig *r = world_unserved();
	cr_assert_eq(grant(r, granted_socket()), 0);
	peer = udp_at(inet_addr(peer_ip), IKE_PORT);
	return r;
}

static void open_flow(struct rig *r, uint32_t flow, uint8_t who)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = flow};
	d.pair = (struct ring_pair){
		.guest_ip_be = guest(who), .guest_port = IKE_PORT, .kind = DGRAM_UDP};
	rig_send(r, &d);
}

static uint8_t message[MESSAGE], got[2000];

/* An IKE_SA_INIT or an answer with this initiator's SPI. */
static void make(uint8_t cookie, uint8_t mark)
{
	memset(message, mark, sizeof(message));
	memset(message, cookie, 8);
	message[17] = 0x20;
	message[18] = 34;
	memcpy(message + 24, (const uint8_t[]){0, 0, 0, MESSAGE}, 4);
}

static void send_message(struct rig *r, uint32_t flow, uint8_t cookie, uint16_t port)
{
	make(cookie, 1);
	struct ring_desc d =
		rig_payload(r, RING_NETSTACK_DGRAM_DATA, flow, 0, message, sizeof(message));
	d.remote = (struct ring_remote){.ip_be = inet_addr(peer_ip), .port = port, .ttl = 33};
	rig_send(r, &d);
	rig_turn(r);
}

/* From which port the peer heard that; 0: it did not. */
static uint16_t at_peer(void)
{
	struct sockaddr_in from = {0};
	socklen_t n = sizeof(from);
	const ssize_t bytes = recvfrom(peer, got, sizeof(got), 0, (struct sockaddr *)&from, &n);
	if (bytes < 0)
		return 0;
	cr_expect_eq(bytes, MESSAGE);
	cr_expect_eq(memcmp(got, message, MESSAGE), 0);
	return ntohs(from.sin_port);
}

static void from_peer(uint8_t cookie)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = rig_loopback(),
		.sin_port = htons(IKE_PORT)};
	make(cookie, 2);
	cr_assert_eq(sendto(peer, message, MESSAGE, 0, (const struct sockaddr *)&to, sizeof(to)),
		MESSAGE);
}

static void expect_for(struct rig *r, uint32_t flow)
{
	struct ring_desc d;
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
	cr_expect_eq(d.flow, flow);
	cr_expect_eq(d.remote.ip_be, inet_addr(peer_ip));
	cr_expect_eq(d.remote.port, IKE_PORT);
	cr_assert_eq(d.seg[0].len, MESSAGE);
	cr_expect_eq(memcmp(rig_bytes(r, &d, 0), message, MESSAGE), 0);
	rig_give_back(r, &d);
}

Test(ike_port, two_guests_share_it_and_each_gets_its_answers)
{
	struct rig *r = world();
	open_flow(r, FLOW, LISTED);
	open_flow(r, FLOW + 1, LISTED_TOO);
	send_message(r, FLOW, 0xaa, IKE_PORT);
	cr_expect_eq(at_peer(), IKE_PORT);
	send_message(r, FLOW + 1, 0xbb, IKE_PORT);
	cr_expect_eq(at_peer(), IKE_PORT);
	for (int i = 0; i < 3; i++) {
		from_peer(0xbb);
		expect_for(r, FLOW + 1);
		from_peer(0xaa);
		expect_for(r, FLOW);
	}
	cr_expect_eq(r->np->sockets_open, 1, "no other socket was needed");
	rig_free(r);
}

Test(ike_port, is_for_the_listed_and_for_port_500_alone)
{
	struct rig *r = world();
	open_flow(r, FLOW, NOT_LISTED);
	send_message(r, FLOW, 0xaa, IKE_PORT);
	cr_expect_neq(at_peer(), IKE_PORT);
	open_flow(r, FLOW + 1, LISTED);
	close(peer);
	peer = udp_at(inet_addr(peer_ip), 4500);
	send_message(r, FLOW + 1, 0xbb, 4500);
	const uint16_t from = at_peer();
	cr_expect(from && from != IKE_PORT);
	rig_free(r);
}

Test(ike_port, new_keys_of_the_peer_reach_the_only_guest)
{
	struct rig *r = world();
	open_flow(r, FLOW, LISTED);
	send_message(r, FLOW, 0xaa, IKE_PORT);
	at_peer();
	from_peer(0x77);
	expect_for(r, FLOW);
	open_flow(r, FLOW + 1, LISTED_TOO);
	send_message(r, FLOW + 1, 0xbb, IKE_PORT);
	at_peer();
	from_peer(0x78);
	cr_assert(rig_quiet(r, 50), "of two that have just spoken, nobody");
	cr_expect_eq(r->drops.count[DROP_FILTERED], 1);
	from_peer(0x77);
	expect_for(r, FLOW);
	rig_free(r);
}

Test(ike_port, strangers_and_what_is_no_ike_reach_nobody)
{
	struct rig *r = world();
	open_flow(r, FLOW, LISTED);
	from_peer(0xaa);
	cr_assert(rig_quiet(r, 50), "the guest has not spoken with it");
	send_message(r, FLOW, 0xaa, IKE_PORT);
	at_peer();
	from_peer(0); /* NAT-T's marker, or rubbish */
	cr_assert(rig_quiet(r, 50));
	close(peer);
	peer = udp_at(inet_addr("127.0.0.3"), IKE_PORT);
	from_peer(0xaa);
	cr_assert(rig_quiet(r, 50), "another peer");
	cr_expect_eq(r->drops.count[DROP_FILTERED], 3);
	rig_free(r);
}

Test(ike_port, the_end_of_a_session_forgets_its_cookies)
{
	struct rig *r = world();
	struct ring_desc d;
	open_flow(r, FLOW, LISTED);
	send_message(r, FLOW, 0xaa, IKE_PORT);
	at_peer();
	natproxy_end_flow(r->np, &r->np->flow[flow_index(FLOW)], "test");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	from_peer(0xaa);
	cr_assert(rig_quiet(r, 50));
	cr_expect_eq(ike_sender(&r->np->ike.table, inet_addr(peer_ip), 0xaaaaaaaaaaaaaaaa), 0);
	rig_free(r);
}

static void complain(uint8_t cookie)
{
	uint8_t quoted[8 + IKE_HEADER_BYTES] = {
		IKE_PORT >> 8, IKE_PORT & 0xff, IKE_PORT >> 8, IKE_PORT & 0xff, 0, 8 + MESSAGE};
	make(cookie, 1);
	memcpy(quoted + 8, message, IKE_HEADER_BYTES);
	forge_unreachable(inet_addr(peer_ip), IPPROTO_UDP, quoted, sizeof(quoted));
}

Test(ike_port, an_error_reaches_the_guest_whose_cookie_it_quotes)
{
	struct rig *r = world();
	struct ring_desc d;
	open_flow(r, FLOW, LISTED);
	open_flow(r, FLOW + 1, LISTED_TOO);
	send_message(r, FLOW + 1, 0xbb, IKE_PORT);
	send_message(r, FLOW, 0xaa, IKE_PORT);
	complain(0xbb);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_ERROR, &d));
	cr_expect_eq(d.flow, FLOW + 1);
	cr_expect_eq(d.pair.token, 3 << 8 | 1);
	complain(0xcc);
	cr_assert(rig_quiet(r, 50), "of nobody's");
	rig_free(r);
}

Test(ike_port, its_session_shows_port_500)
{
	struct rig *r = world();
	struct natproxy_row_space space;
	Nl__NatRow row;
	open_flow(r, FLOW, LISTED);
	send_message(r, FLOW, 0xaa, IKE_PORT);
	cr_assert(natproxy_nat_row(r->np, 0, &row, &space));
	cr_assert_not_null(row.outside);
	cr_expect_eq(row.outside->port, IKE_PORT);
	cr_expect_eq(row.source->port, IKE_PORT);
	rig_free(r);
}

Test(ike_port, what_is_not_that_socket_is_refused)
{
	struct rig *r = world_unserved();
	const int wrong[] = {udp_at(0, 501), udp_at(rig_loopback(), IKE_PORT),
		socket(AF_INET, SOCK_STREAM, 0), socket(AF_UNIX, SOCK_DGRAM, 0)};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_expect_eq(grant(r, wrong[i]), -EPROTO, "%zu", i);
		cr_expect_eq(fcntl(wrong[i], F_GETFD), -1, "%zu is closed", i);
	}
	open_flow(r, FLOW, LISTED);
	peer = udp_at(inet_addr(peer_ip), IKE_PORT);
	send_message(r, FLOW, 0xaa, IKE_PORT);
	const uint16_t from = at_peer();
	cr_expect(from && from != IKE_PORT, "without it, as all UDP");
	rig_free(r);
}
