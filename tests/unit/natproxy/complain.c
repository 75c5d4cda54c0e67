/* ICMP errors of guests about what was sent to them: what leaves by the raw socket, and what does
 * not. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan.h"
#include "rig.h"
#include "wire/wire.h"

enum {
	FLOW = 0x40001,
	GUEST_PORT = 45123,
	QUOTED = 28, /* IP and UDP headers */
	PORT_UNREACHABLE = 3 << 8 | 3,
	FRAGMENT_NEEDED = 3 << 8 | 4,
	POINTED = 12 << 8,
};

struct scene {
	struct rig *r;
	int far, ears; /* the far end; a raw socket that hears what leaves */
	uint16_t port;
};

static int raw_socket(void)
{
	const int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
	if (fd < 0)
		cr_skip_test("no raw sockets here");
	return fd;
}

static void grant(struct rig *r)
{
	Nl__SocketGrant m = NL__SOCKET_GRANT__INIT;
	Nl__SocketName name = NL__SOCKET_NAME__INIT;
	struct chan_in in = {.fds = {raw_socket()}, .nfds = 1};
	name.has_what = name.has_first = name.has_identifiers = true;
	name.what = NL__SOCKET_NAME__WHAT__ECHO;
	name.first = 1;
	name.identifiers = 1;
	m.name = &name;
	cr_assert_eq(natproxy_on_socket_grant(r->np, &m, &in), 0);
	chan_drop_fds(&in);
}

static void guest_says(struct scene *s, uint32_t to_be, uint16_t port)
{
	struct ring_desc d = rig_payload(s->r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, "hello", 5);
	d.remote = (struct ring_remote){.ip_be = to_be, .port = port, .ttl = 64};
	rig_send(s->r, &d);
	rig_turn(s->r);
}

static struct scene begin(const struct rig_options *o)
{
	struct scene s = {.far = rig_udp(&s.port)};
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = FLOW};
	s.r = rig_new(o);
	s.ears = raw_socket();
	grant(s.r);
	d.pair = (struct ring_pair){
		.guest_ip_be = rig_guest_ip(), .guest_port = GUEST_PORT, .kind = DGRAM_UDP};
	rig_send(s.r, &d);
	guest_says(&s, rig_loopback(), s.port);
	return s;
}

static void end(struct scene *s)
{
	close(s->far);
	close(s->ears);
	rig_free(s->r);
}

static int complain(struct scene *s, uint32_t to_be, uint16_t port, uint16_t what, uint32_t detail,
	uint16_t length)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_ERROR, .flow = FLOW};
	d.remote = (struct ring_remote){.ip_be = to_be, .port = port};
	d.pair = (struct ring_pair){.remote_port = length, .token = what, .kind = detail};
	return natproxy_op_dgram_error(s->r->np, &d);
}

/* What left about a datagram: its bytes behind the IP header, 0 nothing. */
static size_t left(const struct scene *s, uint8_t *out, size_t n)
{
	uint8_t packet[256];
	ssize_t r;
	while ((r = recv(s->ears, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		/* the kernel itself complains of what nobody takes */
		if (packet[20] != 0 && packet[20] != 8 && packet[1] == 0xc0) {
			cr_assert_leq((size_t)r - 20, n);
			memcpy(out, packet + 20, (size_t)r - 20);
			return (size_t)r - 20;
		}
	}
	return 0;
}

Test(complain, the_sender_hears_about_its_own_datagram)
{
	struct scene s = begin(&(struct rig_options){0});
	uint8_t m[64];
	const uint16_t outside = s.r->np->flow[flow_index(FLOW)].outside.port;
	cr_assert_eq(complain(&s, rig_loopback(), s.port, PORT_UNREACHABLE, 1400, 100), 0);
	cr_assert_eq(left(&s, m, sizeof(m)), 8 + QUOTED);
	cr_expect_eq(m[0], 3);
	cr_expect_eq(m[1], 3);
	cr_expect_eq(m[6] << 8 | m[7], 0, "an MTU has no meaning here");
	cr_expect_eq(wire_fold(wire_sum(0, m, 8 + QUOTED)), 0);
	const uint8_t *ip = m + 8, *udp = m + 28;
	cr_expect_eq(ip[0], 0x45);
	cr_expect_eq(ip[2] << 8 | ip[3], 120);
	cr_expect_eq(ip[9], IPPROTO_UDP);
	cr_expect_eq(wire_fold(wire_sum(0, ip, 20)), 0);
	cr_expect_eq(memcmp(ip + 12, &(uint32_t){rig_loopback()}, 4), 0);
	cr_expect_eq(memcmp(ip + 16, &(uint32_t){rig_loopback()}, 4), 0);
	cr_expect_eq(udp[0] << 8 | udp[1], s.port);
	cr_expect_eq(udp[2] << 8 | udp[3], outside);
	cr_expect_eq(udp[4] << 8 | udp[5], 100);
	end(&s);
}

Test(complain, what_an_error_tells_is_where_it_belongs)
{
	struct scene s = begin(&(struct rig_options){0});
	uint8_t m[64];
	cr_assert_eq(complain(&s, rig_loopback(), s.port, FRAGMENT_NEEDED, 1280, 1400), 0);
	cr_assert_gt(left(&s, m, sizeof(m)), 0);
	cr_expect_eq(m[6] << 8 | m[7], 1280);
	cr_assert_eq(complain(&s, rig_loopback(), s.port, FRAGMENT_NEEDED, 68, 1400), 0);
	cr_assert_gt(left(&s, m, sizeof(m)), 0);
	cr_expect_eq(m[6] << 8 | m[7], 576, "other guests go the same way");
	cr_assert_eq(complain(&s, rig_loopback(), s.port, FRAGMENT_NEEDED, 0, 1400), 0);
	cr_assert_gt(left(&s, m, sizeof(m)), 0);
	cr_expect_eq(m[6] << 8 | m[7], 0);
	cr_assert_eq(complain(&s, rig_loopback(), s.port, POINTED, 9, 1400), 0);
	cr_assert_gt(left(&s, m, sizeof(m)), 0);
	cr_expect_eq(m[4], 9);
	cr_expect_eq(m[6] << 8 | m[7], 0);
	end(&s);
}

Test(complain, every_kind_has_the_outside_header_and_true_checksums)
{
	static const struct {
		uint8_t type, codes;
	} kinds[] = {{3, 16}, {11, 2}, {12, 3}};
	struct scene s = begin(&(struct rig_options){0});
	const uint16_t outside = s.r->np->flow[flow_index(FLOW)].outside.port;
	uint8_t m[64];
	for (unsigned int i = 0; i < 3; i++)
		for (uint8_t code = 0; code < kinds[i].codes; code++) {
			const uint16_t what = (uint16_t)(kinds[i].type << 8 | code);
			cr_assert_eq(complain(&s, rig_loopback(), s.port, what, 9, 100), 0);
			cr_assert_eq(left(&s, m, sizeof(m)), 8 + QUOTED, "%x", what);
			cr_expect_eq(m[0] << 8 | m[1], what);
			cr_expect_eq(wire_fold(wire_sum(0, m, 8 + QUOTED)), 0);
			cr_expect_eq(wire_fold(wire_sum(0, m + 8, 20)), 0);
			cr_expect_eq(m[28] << 8 | m[29], s.port);
			cr_expect_eq(m[30] << 8 | m[31], outside);
		}
	end(&s);
}

Test(complain, strangers_hear_nothing)
{
	struct scene s = begin(&(struct rig_options){0});
	uint8_t m[64];
	cr_assert_eq(complain(&s, inet_addr("127.0.0.9"), s.port, PORT_UNREACHABLE, 0, 8), 0);
	cr_assert_eq(complain(&s, rig_loopback(), s.port ^ 1, PORT_UNREACHABLE, 0, 8), 0);
	cr_expect_eq(left(&s, m, sizeof(m)), 0);
	cr_expect_eq(s.r->drops.count[DROP_ICMP_ENDS], 2);
	end(&s);
}

/* The gateway's port 53 is no far end: its address is the hub's, and would be shown to the
 * network. */
Test(complain, nothing_leaves_about_an_answer_of_the_gateway)
{
	struct scene s = begin(&(struct rig_options){0});
	const uint32_t gateway_ip_be = inet_addr("192.168.30.1");
	guest_says(&s, gateway_ip_be, 53);
	cr_assert_eq(s.r->np->nat.live, 2);
	s.r->np->flow[flow_index(FLOW)].outside.ip_be = rig_loopback(); /* as with a route there */
	cr_assert_eq(complain(&s, gateway_ip_be, 53, PORT_UNREACHABLE, 0, 8), 0);
	cr_expect_eq(s.r->drops.count[DROP_ICMP_ENDS], 1);
	cr_expect_eq(s.r->np->complaints_ns, 0, "nothing was sent");
	end(&s);
}

Test(complain, no_more_than_a_few_at_once)
{
	struct scene s = begin(&(struct rig_options){0});
	for (int i = 0; i < 200; i++)
		cr_assert_eq(complain(&s, rig_loopback(), s.port, PORT_UNREACHABLE, 0, 8), 0);
	const uint64_t ended = s.r->drops.count[DROP_ICMP_ENDS];
	struct natproxy_row_space space;
	Nl__AlgRow row;
	cr_expect_geq(ended, 140);
	cr_assert_eq(natproxy_alg_row(s.r->np, 0, &row, &space), 1);
	cr_expect_str_eq(row.alg, "icmp");
	cr_expect(row.enabled);
	cr_expect_eq(row.to_outside, 200 - ended);
	cr_expect_eq(row.gave_up, ended);
	cr_expect_eq(natproxy_alg_row(s.r->np, 1, &row, &space), 2, "of alg.ipsec");
	cr_expect_eq(natproxy_alg_row(s.r->np, 2, &row, &space), 0);
	end(&s);
}

Test(complain, what_is_no_error_about_a_datagram_is_a_lie)
{
	struct scene s = begin(&(struct rig_options){0});
	static const uint16_t lies[] = {0, 3 << 8 | 16, 4 << 8, 5 << 8 | 1, 8 << 8, 11 << 8 | 2};
	for (unsigned int i = 0; i < 6; i++)
		cr_expect_eq(complain(&s, rig_loopback(), s.port, lies[i], 0, 8), -EPROTO, "%u", i);
	cr_expect_eq(complain(&s, rig_loopback(), s.port, PORT_UNREACHABLE, 0x10000, 8), -EPROTO);
	cr_expect_eq(complain(&s, rig_loopback(), s.port, PORT_UNREACHABLE, 0, 7), -EPROTO);
	cr_expect_eq(complain(&s, rig_loopback(), s.port, PORT_UNREACHABLE, 0, 65516), -EPROTO,
		"with its IP header longer than a datagram");
	cr_expect_eq(complain(&s, rig_loopback(), s.port, PORT_UNREACHABLE, 0, 65515), 0);
	end(&s);
}

Test(complain, not_where_they_are_switched_off)
{
	Nl__Alg alg = NL__ALG__INIT;
	Nl__AlgIcmp icmp = NL__ALG_ICMP__INIT;
	uint8_t m[64];
	alg.icmp = &icmp;
	icmp.has_enable = true;
	struct scene s = begin(&(struct rig_options){.alg = &alg});
	cr_assert_eq(complain(&s, rig_loopback(), s.port, PORT_UNREACHABLE, 0, 8), 0);
	cr_expect_eq(left(&s, m, sizeof(m)), 0);
	end(&s);
}
