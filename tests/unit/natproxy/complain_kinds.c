/* complain.c: the message of every kind of error, byte for byte. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan.h"
#include "rig.h"
#include "wire/wire.h"

enum { FLOW = 0x10003 };

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

/* The next ICMP message on the loopback that quotes a datagram to this port; false: none came. */
static bool heard(int raw, uint16_t port, uint8_t out[64])
{
	ssize_t n;
	while ((n = recv(raw, out, 64, MSG_DONTWAIT)) >= 0)
		if (n == 56 && (out[50] << 8 | out[51]) == port)
			return true;
	return false;
}

Test(complain_kinds, every_kind_has_the_outside_header_and_true_checksums)
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
