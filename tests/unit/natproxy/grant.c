/* Ports that the supervisor opened: asked for, looked at, taken. The test's user namespace has no right to low ports. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan.h"
#include "forward.h"
#include "grant.h"
#include "rig.h"

enum { LOW_PORT = 80, TO_PORT = 8080 };

static Nl__Publish *rules[1];
static Nl__Nat nat;

/* A rig with one published port that is not open: asked for. */
static struct rig *wanting(Nl__Publish__Proto proto)
{
	rig_network();
	nl__nat__init(&nat);
	rules[0] = rig_publish(proto, LOW_PORT, TO_PORT);
	nat.n_publish = 1;
	nat.publish = rules;
	struct rig *r = rig_new(&(struct rig_options){0});
	/* root in its namespace may open it: the kernel's refusal is told here */
	forward_configure(r->np, &nat);
	grant_ask(r->np, &r->np->publish[0]);
	return r;
}

static int bound(int type, uint16_t port)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	const int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int grant(struct rig *r, int fd, bool udp, uint16_t port, uint32_t error, const char *why)
{
	Nl__SocketGrant m = NL__SOCKET_GRANT__INIT;
	Nl__SocketName name = NL__SOCKET_NAME__INIT;
	struct chan_in in = {.fds = {fd}, .nfds = fd >= 0};
	name.has_what = name.has_udp = name.has_ip_be = name.has_port = true;
	name.udp = udp;
	name.ip_be = htonl(INADDR_LOOPBACK);
	name.port = port;
	m.name = &name;
	m.has_error = error != 0;
	m.error = error;
	m.why = (char *)(uintptr_t)why;
	const int result = natproxy_on_socket_grant(r->np, &m, &in);
	chan_drop_fds(&in);
	return result;
}

Test(grant, only_a_refused_low_port_is_asked_for)
{
	struct publish p = {.listen = {0, GRANT_PORTS_END - 1}};
	cr_expect(grant_helps(&p, -EACCES));
	cr_expect_not(grant_helps(&p, -EADDRINUSE));
	p.listen.port = GRANT_PORTS_END;
	cr_expect_not(grant_helps(&p, -EACCES));
}

Test(grant, a_listener_is_taken_and_serves)
{
	struct rig *r = wanting(NL__PUBLISH__PROTO__tcp);
	const struct sockaddr_in far = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(LOW_PORT)};
	const int client = socket(AF_INET, SOCK_STREAM, 0);
	struct ring_desc d;
	char text[48];
	cr_assert_eq(r->wanted, 1);
	cr_assert_eq(r->wanted_port, LOW_PORT);
	cr_assert_not(r->wanted_udp);
	cr_assert_eq(grant(r, bound(SOCK_STREAM, LOW_PORT), false, LOW_PORT, 0, NULL), 0);
	cr_assert_str_eq(forward_state(r->np, &r->np->publish[0], text, sizeof(text)), "listening");
	cr_assert_eq(connect(client, (const struct sockaddr *)&far, sizeof(far)), 0);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_INCOMING, &d));
	cr_assert_eq(d.pair.guest_port, TO_PORT);
	rig_free(r);
}

Test(grant, a_datagram_socket_gets_the_options_of_our_own)
{
	struct rig *r = wanting(NL__PUBLISH__PROTO__udp);
	int on = 0;
	socklen_t n = sizeof(on);
	cr_assert(r->wanted_udp);
	cr_assert_eq(grant(r, bound(SOCK_DGRAM, LOW_PORT), true, LOW_PORT, 0, NULL), 0);
	cr_assert_eq(getsockopt(r->np->publish[0].fd, IPPROTO_IP, IP_RECVERR, &on, &n), 0);
	cr_assert_eq(on, 1, "else ICMP errors are lost");
	rig_free(r);
}

/* Not what was promised: the giver breaks the protocol, and nothing of it stays. */
Test(grant, a_socket_that_is_something_else_is_refused)
{
	struct rig *r = wanting(NL__PUBLISH__PROTO__tcp);
	int pair[2], pipes[2];
	cr_assert_eq(pipe(pipes), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	const int wrong[] = {
		bound(SOCK_STREAM, LOW_PORT + 1), bound(SOCK_DGRAM, LOW_PORT), pair[0], pipes[0]};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_expect_eq(grant(r, wrong[i], false, LOW_PORT, 0, NULL), -EPROTO, "%zu", i);
		cr_expect_eq(fcntl(wrong[i], F_GETFD), -1, "%zu is closed", i);
	}
	cr_expect_lt(r->np->publish[0].fd, 0);
	cr_expect_eq(r->np->sockets_open, 0);
	cr_expect_eq(grant(r, -1, false, LOW_PORT, 0, NULL), -EPROTO, "a grant without a socket");
	cr_expect_eq(grant(r, bound(SOCK_STREAM, LOW_PORT), false, LOW_PORT, EPERM, NULL), -EPROTO,
		"a refusal with one");
	cr_expect_eq(grant(r, -1, false, LOW_PORT, 1 << 20, NULL), -EPROTO, "no errno");
	rig_free(r);
}

Test(grant, an_answer_to_a_question_that_nobody_asks_any_more_is_dropped)
{
	struct rig *r = wanting(NL__PUBLISH__PROTO__tcp);
	int fd = bound(SOCK_STREAM, LOW_PORT);
	cr_expect_eq(grant(r, fd, false, LOW_PORT + 1, 0, NULL), 0, "another port");
	cr_expect_eq(fcntl(fd, F_GETFD), -1);
	rig_configure(r, &(struct rig_options){0});
	fd = bound(SOCK_STREAM, LOW_PORT);
	cr_expect_eq(grant(r, fd, false, LOW_PORT, 0, NULL), 0, "published no more");
	cr_expect_eq(fcntl(fd, F_GETFD), -1);
	cr_expect_eq(r->np->sockets_open, 0);
	rig_free(r);
}

Test(grant, a_refusal_is_said_once_in_the_supervisors_words)
{
	struct rig *r = wanting(NL__PUBLISH__PROTO__tcp);
	char text[48];
	cr_assert_eq(grant(r, -1, false, LOW_PORT, EPERM, "restart natlock"), 0);
	cr_assert(rig_has_line(r, "cannot listen on 127.0.0.1:80/tcp: restart natlock"));
	const uint32_t lines = r->lines;
	cr_assert_eq(grant(r, -1, false, LOW_PORT, EPERM, "restart natlock"), 0);
	cr_assert_eq(r->lines, lines);
	cr_assert_str_eq(forward_state(r->np, &r->np->publish[0], text, sizeof(text)),
		"cannot: needs a restart of natlock");
	cr_assert_eq(grant(r, bound(SOCK_STREAM, LOW_PORT), false, LOW_PORT, 0, NULL), 0);
	cr_assert(rig_has_line(r, "listening on 127.0.0.1:80/tcp now"));
	rig_free(r);
}
