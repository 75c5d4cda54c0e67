/* Pings over one raw ICMP socket, with the kernel's own answers and with forged ones on loopback. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan.h"
#include "echo.h"
#include "rig.h"
#include "wire/wire.h"

enum { FLOW = 0x40001, FIRST = 5120, IDENTIFIERS = 4, SEQUENCE = 4711 };

/* Replies only, as the supervisor's: loopback brings our own requests as well. */
static int raw_socket(int protocol)
{
	struct sock_filter replies[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 65535),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = {4, replies};
	const int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		cr_skip_test("no raw sockets here");
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
	return fd;
}

static int grant(struct rig *r, int fd, uint32_t first, uint32_t identifiers)
{
	Nl__SocketGrant m = NL__SOCKET_GRANT__INIT;
	Nl__SocketName name = NL__SOCKET_NAME__INIT;
	struct chan_in in = {.fds = {fd}, .nfds = 1};
	name.has_what = name.has_first = name.has_identifiers = true;
	name.what = NL__SOCKET_NAME__WHAT__ECHO;
	name.first = first;
	name.identifiers = identifiers;
	m.name = &name;
	const int result = natproxy_on_socket_grant(r->np, &m, &in);
	chan_drop_fds(&in);
	return result;
}

static struct rig *world(void)
{
	struct rig *r = rig_new(&(struct rig_options){.no_echo = true});
	cr_assert_eq(grant(r, raw_socket(IPPROTO_ICMP), FIRST, IDENTIFIERS), 0);
	return r;
}

static void open_flow(struct rig *r, uint32_t flow, uint16_t guest_identifier)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = flow};
	d.pair = (struct ring_pair){
		.guest_ip_be = rig_guest_ip(), .guest_port = guest_identifier, .kind = DGRAM_ECHO};
	rig_send(r, &d);
}

static void ping(struct rig *r, uint32_t flow, const void *bytes, size_t n)
{
	struct ring_desc d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, flow, 0, bytes, n);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = SEQUENCE, .ttl = 64};
	rig_send(r, &d);
	rig_turn(r);
}

static uint16_t identifier_of(const struct rig *r, uint32_t flow)
{
	return r->np->flow[flow_index(flow)].outside.port;
}

/* A reply that nobody asked for, or not so. */
static void forge(uint16_t identifier, bool intact, const char *from)
{
	uint8_t reply[12] = {0, 0, 0, 0, (uint8_t)(identifier >> 8), (uint8_t)identifier,
		SEQUENCE >> 8, SEQUENCE & 0xff, 'f', 'a', 'k', 'e'};
	const struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = rig_loopback()},
				 at = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(from)};
	const uint16_t sum = (uint16_t)(wire_fold(wire_sum(0, reply, sizeof(reply))) ^ !intact);
	const int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	reply[2] = (uint8_t)(sum >> 8);
	reply[3] = (uint8_t)sum;
	cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(sendto(fd, reply, sizeof(reply), 0, (const struct sockaddr *)&to, sizeof(to)),
		(ssize_t)sizeof(reply));
	close(fd);
}

Test(echo, goes_out_whole_and_comes_back_to_the_flow_that_asked)
{
	struct rig *r = world();
	struct ring_desc d;
	static uint8_t odd[1201];
	for (size_t i = 0; i < sizeof(odd); i++)
		odd[i] = (uint8_t)(i * 7);
	for (uint32_t i = 0; i < 2; i++) {
		open_flow(r, FLOW + i, 77);
		ping(r, FLOW + i, odd, sizeof(odd) - i);
		cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d),
			"a wrong checksum is not answered");
		cr_assert_eq(d.flow, FLOW + i);
		cr_assert_eq(d.remote.port, SEQUENCE);
		cr_assert_eq(d.remote.ip_be, rig_loopback());
		cr_assert_eq(d.seg[0].len, sizeof(odd) - i);
		cr_assert_eq(memcmp(rig_bytes(r, &d, 0), odd, sizeof(odd) - i), 0);
		rig_give_back(r, &d);
	}
	cr_assert_neq(identifier_of(r, FLOW), identifier_of(r, FLOW + 1));
	rig_free(r);
}

Test(echo, identifiers_are_ours_and_end_with_their_flows)
{
	struct rig *r = world();
	struct ring_desc d;
	bool taken[IDENTIFIERS] = {0};
	for (uint32_t i = 0; i < IDENTIFIERS; i++) {
		open_flow(r, FLOW + i, FIRST); /* what the guest says does not matter */
		ping(r, FLOW + i, "x", 1);
		const uint16_t identifier = identifier_of(r, FLOW + i);
		cr_assert(identifier >= FIRST && identifier < FIRST + IDENTIFIERS);
		cr_assert_not(taken[identifier - FIRST]);
		taken[identifier - FIRST] = true;
		cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
		rig_give_back(r, &d);
	}
	open_flow(r, FLOW + IDENTIFIERS, 78);
	ping(r, FLOW + IDENTIFIERS, "x", 1);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d), "there is none left");
	const uint16_t freed = identifier_of(r, FLOW);
	natproxy_end_flow(r->np, &r->np->flow[flow_index(FLOW)], "test");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	open_flow(r, FLOW + IDENTIFIERS + 1, 79);
	ping(r, FLOW + IDENTIFIERS + 1, "x", 1);
	cr_assert_eq(identifier_of(r, FLOW + IDENTIFIERS + 1), freed);
	cr_assert_eq(r->np->sockets_open, 1, "all share one");
	rig_free(r);
}

Test(echo, forged_answers_do_not_arrive)
{
	struct rig *r = world();
	struct ring_desc d;
	open_flow(r, FLOW, 77);
	ping(r, FLOW, "x", 1);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
	rig_give_back(r, &d);
	const uint16_t identifier = identifier_of(r, FLOW);
	forge(identifier, true, "127.0.0.2");
	forge(identifier, false, "127.0.0.1");
	forge((uint16_t)(identifier == FIRST ? FIRST + 1 : FIRST), true, "127.0.0.1");
	forge(FIRST + IDENTIFIERS, true, "127.0.0.1");
	cr_assert(rig_quiet(r, 50));
	cr_assert_geq(r->drops.count[DROP_FILTERED], 4);
	forge(identifier, true, "127.0.0.1");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d), "the control");
	rig_free(r);
}

Test(echo, what_is_no_raw_icmp_socket_is_refused)
{
	struct rig *r = rig_new(&(struct rig_options){.no_echo = true});
	const int wrong[] = {raw_socket(IPPROTO_UDP), socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
		socket(AF_INET, SOCK_STREAM, 0), socket(AF_UNIX, SOCK_DGRAM, 0)};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_expect_eq(grant(r, wrong[i], FIRST, IDENTIFIERS), -EPROTO, "%zu", i);
		cr_expect_eq(fcntl(wrong[i], F_GETFD), -1, "%zu is closed", i);
	}
	cr_expect_eq(grant(r, raw_socket(IPPROTO_ICMP), FIRST, 0), -EPROTO);
	cr_expect_eq(grant(r, raw_socket(IPPROTO_ICMP), FIRST, NATPROXY_ECHOES + 1), -EPROTO);
	cr_expect_eq(grant(r, raw_socket(IPPROTO_ICMP), UINT16_MAX, 2), -EPROTO);
	cr_expect_eq(grant(r, raw_socket(IPPROTO_ICMP), UINT32_MAX, 2), -EPROTO);
	cr_expect_not(r->np->config.echo_allowed);
	cr_expect_eq(grant(r, raw_socket(IPPROTO_ICMP), UINT16_MAX, 1), 0);
	cr_expect_eq(grant(r, raw_socket(IPPROTO_ICMP), FIRST, 1), -EPROTO, "a second one");
	rig_free(r);
}
