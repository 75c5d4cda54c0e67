/* Errors of guests about datagrams that reached them: who sent those hears of it, by a raw socket if there is one. */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan.h"
#include "rig.h"
#include "wire/wire.h"

enum { FLOW = 0x10003, UNREACHABLE = 3, PORT = 3 };

/* A guest's session with a far end of the test, which is connected to where it hears from. */
static int session(struct rig *r)
{
	uint16_t port;
	struct sockaddr_in from;
	socklen_t n = sizeof(from);
	char text[8];
	const int far = rig_udp(&port);
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = FLOW};
	d.pair = (struct ring_pair){
		.guest_ip_be = rig_guest_ip(), .guest_port = RIG_GUEST_PORT, .kind = DGRAM_UDP};
	rig_send(r, &d);
	d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, "out", 3);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = port};
	rig_send(r, &d);
	rig_turn(r);
	cr_assert_eq(recvfrom(far, text, sizeof(text), 0, (struct sockaddr *)&from, &n), 3);
	cr_assert_eq(connect(far, (const struct sockaddr *)&from, n), 0);
	return far;
}

static struct ring_desc complaint(int far, uint32_t token)
{
	struct sockaddr_in at;
	socklen_t n = sizeof(at);
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_ERROR, .flow = FLOW};
	getsockname(far, (struct sockaddr *)&at, &n);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = ntohs(at.sin_port)};
	d.pair = (struct ring_pair){.remote_port = 11, .token = token};
	return d;
}

static void give_raw_socket(struct rig *r)
{
	Nl__SocketGrant m = NL__SOCKET_GRANT__INIT;
	Nl__SocketName name = NL__SOCKET_NAME__INIT;
	struct chan_in in = {
		.fds = {socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP)}, .nfds = 1};
	name.has_what = name.has_first = name.has_identifiers = true;
	name.what = NL__SOCKET_NAME__WHAT__ECHO;
	name.first = 1024;
	name.identifiers = 8;
	m.name = &name;
	cr_assert_eq(natproxy_on_socket_grant(r->np, &m, &in), 0);
}

static uint64_t ended(const struct rig *r)
{
	return r->drops.count[DROP_ICMP_ENDS];
}

Test(complain, the_sender_hears_that_the_port_is_closed)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	const int far = session(r);
	const struct ring_desc d = complaint(far, UNREACHABLE << 8 | PORT);
	char byte;
	give_raw_socket(r);
	cr_assert_eq(natproxy_op_dgram_error(r->np, &d), 0);
	cr_expect_eq(ended(r), 0);
	cr_expect_lt(recv(far, &byte, 1, MSG_DONTWAIT), 0);
	cr_expect_eq(errno, ECONNREFUSED);
	rig_free(r);
}

/* The next ICMP message on the loopback that quotes a datagram to this port; false: none came. */
static bool heard(int raw, uint16_t port, uint8_t out[64])
{
	ssize_t n;
	while ((n = recv(raw, out, 64, MSG_DONTWAIT)) >= 0)
		if (n == 56 && (out[50] << 8 | out[51]) == port)
			return true;
	return false;
}

Test(complain, every_kind_has_the_outside_header_and_true_checksums)
{
	static const struct {
		uint8_t type, codes;
	} kinds[] = {{3, 16}, {11, 2}, {12, 3}};
	struct rig *r = rig_new(&(struct rig_options){0});
	const int far = session(r), raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	struct sockaddr_in at, outside;
	socklen_t n = sizeof(at), m = sizeof(outside);
	uint8_t got[64];
	give_raw_socket(r);
	getsockname(far, (struct sockaddr *)&at, &n);
	getpeername(far, (struct sockaddr *)&outside, &m);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		for (uint8_t code = 0; code < kinds[i].codes; code++) {
			struct ring_desc d = complaint(far, (uint32_t)kinds[i].type << 8 | code);
			const bool has_mtu = kinds[i].type == 3 && code == 4;
			d.pair.kind = kinds[i].type == 12 ? 9 : 1400;
			cr_assert_eq(natproxy_op_dgram_error(r->np, &d), 0);
			cr_assert(heard(raw, ntohs(outside.sin_port), got), "%u %u", kinds[i].type,
				code);
			cr_expect_eq(wire_fold(wire_sum(0, got + 20, 36)), 0, "of the message");
			cr_expect_eq(
				wire_fold(wire_sum(0, got + 28, 20)), 0, "of the quoted header");
			cr_expect_eq(got[20], kinds[i].type);
			cr_expect_eq(got[21], code);
			cr_expect_eq(got[24], kinds[i].type == 12 ? 9 : 0, "pointer");
			cr_expect_eq(got[26] << 8 | got[27], has_mtu ? 1400 : 0);
			cr_expect_eq(got[31], 20 + 11, "length");
			cr_expect_arr_eq(got + 40, &at.sin_addr, 4);
			cr_expect_arr_eq(got + 44, &outside.sin_addr, 4);
			cr_expect_arr_eq(got + 48, &at.sin_port, 2);
			cr_expect_arr_eq(got + 50, &outside.sin_port, 2);
		}
	close(raw);
	rig_free(r);
}

Test(complain, nothing_leaves_that_is_of_no_session_or_too_much_or_not_wanted)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	const int far = session(r);
	struct ring_desc d = complaint(far, UNREACHABLE << 8 | PORT);
	cr_assert_eq(natproxy_op_dgram_error(r->np, &d), 0);
	cr_expect_eq(ended(r), 1, "there is no raw socket");
	give_raw_socket(r);
	d.remote.port ^= 1;
	cr_assert_eq(natproxy_op_dgram_error(r->np, &d), 0);
	cr_expect_eq(ended(r), 2, "nobody sent that");
	d.remote.port ^= 1;
	r->np->config.icmp_errors = false;
	cr_assert_eq(natproxy_op_dgram_error(r->np, &d), 0);
	cr_expect_eq(ended(r), 3, "switched off");
	r->np->config.icmp_errors = true;
	for (int i = 0; i < 60; i++)
		cr_assert_eq(natproxy_op_dgram_error(r->np, &d), 0);
	cr_expect_eq(ended(r), 3 + 60 - 51, "fifty at once");
	struct natproxy_row_space space;
	Nl__AlgRow row;
	cr_assert_eq(natproxy_icmp_row(r->np, 0, &row, &space), 1);
	cr_expect_str_eq(row.alg, "icmp");
	cr_expect_str_eq(row.process, "natproxy");
	cr_expect(row.enabled);
	cr_expect_eq(row.to_outside, 51);
	cr_expect_eq(row.messages, 51);
	cr_expect_eq(row.gave_up, 3 + 60 - 51);
	cr_expect_eq(natproxy_icmp_row(r->np, 1, &row, &space), 0);
	rig_free(r);
}

Test(complain, what_is_no_error_is_a_broken_protocol)
{
	static const uint32_t tokens[] = {
		0, 8 << 8, 5 << 8, 4 << 8, 3 << 8 | 16, 11 << 8 | 2, 12 << 8 | 3, 1 << 16 | 3 << 8};
	struct rig *r = rig_new(&(struct rig_options){0});
	const int far = session(r);
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		const struct ring_desc d = complaint(far, tokens[i]);
		cr_expect_eq(natproxy_op_dgram_error(r->np, &d), -EPROTO, "%zu", i);
	}
	rig_free(r);
}
