/* Reserved ports: sockets that the supervisor bound are used one use after the other, for connections and listeners. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan.h"
#include "lowport.h"
#include "rig.h"

static const struct sock_age plain;

/* As the supervisor makes them: bound while nobody has the port, shared afterwards. */
static int bound(int type, uint32_t ip_be, uint16_t port)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = ip_be, .sin_port = htons(port)};
	const int on = 1, fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0, "%u", port);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	return fd;
}

static int grant(struct rig *r, const int *fds, int n, uint32_t ip_be, const char *why)
{
	Nl__SocketGrant m = NL__SOCKET_GRANT__INIT;
	Nl__SocketName name = NL__SOCKET_NAME__INIT;
	struct chan_in in = {.nfds = n};
	for (int i = 0; i < n; i++)
		in.fds[i] = fds[i];
	name.has_what = name.has_ip_be = true;
	name.what = NL__SOCKET_NAME__WHAT__RESERVED;
	name.ip_be = ip_be;
	m.name = &name;
	m.has_error = why != NULL;
	m.error = why ? EACCES : 0;
	m.why = (char *)(uintptr_t)why;
	const int result = natproxy_on_socket_grant(r->np, &m, &in);
	chan_drop_fds(&in);
	return result;
}

static struct rig *with(unsigned int count)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	int fds[4];
	for (unsigned int i = 0; i < count; i++)
		fds[i] = bound(SOCK_STREAM, 0, (uint16_t)(1023 - i));
	cr_assert(!count || grant(r, fds, (int)count, 0, NULL) == 0);
	return r;
}

/* A connection to a listener of the test: its end there, and the port that it came from. */
static int reached(struct rig *r, int listener, uint16_t to, uint16_t *from, int *theirs)
{
	const struct flow f = {.guest = {rig_guest_ip(), 1022}};
	const struct sock_address at = {rig_loopback(), to};
	struct sockaddr_in peer;
	socklen_t n = sizeof(peer);
	const int fd = lowport_connect(r->np, &f, &at, &plain);
	if (fd < 0)
		return fd;
	natproxy_own(r->np, fd, OWNER_NONE, 0);
	*theirs = accept(listener, (struct sockaddr *)&peer, &n);
	*from = ntohs(peer.sin_port);
	return fd;
}

/* Until everything that was sent is acknowledged. */
static void settle(int fd)
{
	for (int i = 0; i < 200 && sock_unsent(NULL, fd); i++)
		poll(NULL, 0, 5);
}

Test(lowport, a_connection_leaves_by_a_reserved_port_and_gives_it_back)
{
	struct rig *r = with(1);
	uint16_t to, from;
	int theirs, fd;
	char byte;
	const int listener = rig_listener(&to);
	const uint32_t sockets = r->np->sockets_open;
	for (int i = 0; i < 3; i++) {
		fd = reached(r, listener, to, &from, &theirs);
		cr_assert_geq(fd, 0, "round %d: %d", i, fd);
		cr_expect_eq(r->np->sockets_open, sockets, "it was one before");
		cr_expect_eq(from, 1023);
		cr_assert_eq(write(fd, "x", 1), 1);
		close(theirs); /* as servers do: TIME-WAIT is theirs */
		shutdown(fd, SHUT_WR);
		settle(fd);
		natproxy_close_fd(r->np, fd, false);
		cr_expect_neq(fcntl(fd, F_GETFD), -1, "it is kept");
		cr_expect_eq(r->np->sockets_open, sockets);
	}
	fd = reached(r, listener, to, &from, &theirs);
	natproxy_close_fd(r->np, fd, true);
	cr_expect_lt(read(theirs, &byte, 1), 0);
	cr_expect_eq(errno, ECONNRESET, "a reset stays one");
	cr_expect_geq(reached(r, listener, to, &from, &theirs), 0, "and is free at once");
	rig_free(r);
}

Test(lowport, what_is_not_acknowledged_is_not_cut_off)
{
	struct rig *r = with(1);
	uint16_t to, from;
	int theirs;
	const int listener = rig_listener(&to), small = 1;
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	const int fd = reached(r, listener, to, &from, &theirs);
	static char much[1 << 20];
	cr_assert_gt(send(fd, much, sizeof(much), MSG_DONTWAIT), 100000);
	natproxy_close_fd(r->np, fd, false);
	cr_expect_eq(reached(r, listener, to, &from, &theirs), -EADDRNOTAVAIL);
	r->np->now_ns += 61000000000;
	cr_expect_geq(reached(r, listener, to, &from, &theirs), 0, "not for ever");
	rig_free(r);
}

Test(lowport, the_longest_rest_is_over_first)
{
	struct rig *r = with(3);
	uint16_t to, from, last = 0;
	int theirs;
	const int listener = rig_listener(&to);
	for (int i = 0; i < 9; i++) {
		const int fd = reached(r, listener, to, &from, &theirs);
		cr_assert_geq(fd, 0);
		cr_expect(from != last && from >= 1021 && from <= 1023);
		last = from;
		close(theirs);
		shutdown(fd, SHUT_WR);
		settle(fd);
		r->np->now_ns += 1000;
		natproxy_close_fd(r->np, fd, false);
	}
	rig_free(r);
}

Test(lowport, none_left_is_said_once_with_what_to_do)
{
	struct rig *r = with(1);
	uint16_t to, from;
	int theirs;
	const int listener = rig_listener(&to);
	cr_assert_geq(reached(r, listener, to, &from, &theirs), 0);
	cr_expect_eq(reached(r, listener, to, &from, &theirs), -EADDRNOTAVAIL);
	cr_expect(rig_has_line(r, "Raise alg.rcmd_sockets"));
	const uint32_t lines = r->lines;
	cr_expect_eq(reached(r, listener, to, &from, &theirs), -EADDRNOTAVAIL);
	cr_expect_eq(r->lines, lines);
	rig_free(r);
}

Test(lowport, an_ordinary_user_hears_why_on_first_use_only)
{
	struct rig *r = with(0);
	uint16_t to, from;
	int theirs;
	const int listener = rig_listener(&to);
	cr_assert_eq(grant(r, NULL, 0, 0, "only root may open them. Start natlock as root"), 0);
	cr_expect_not(rig_has_line(r, "rcmd"), "nobody uses it");
	cr_expect_eq(reached(r, listener, to, &from, &theirs), -EADDRNOTAVAIL);
	cr_expect(rig_has_line(
		r, "servers will refuse rsh and rlogin (rexec works): only root may open them"));
	rig_free(r);
}

Test(lowport, of_another_address_it_is_not_used)
{
	struct rig *r = with(0);
	uint16_t to, from;
	int theirs;
	const int listener = rig_listener(&to);
	const int fd = bound(SOCK_STREAM, inet_addr("127.0.0.9"), 1023);
	cr_assert_eq(grant(r, &fd, 1, inet_addr("127.0.0.9"), NULL), 0);
	cr_expect_eq(reached(r, listener, to, &from, &theirs), -EADDRNOTAVAIL);
	cr_expect(rig_has_line(r, "Restart natlock"));
	rig_free(r);
}

Test(lowport, a_listener_hears_until_it_is_closed)
{
	struct rig *r = with(1);
	const struct sock_place at = {{0, 700}, NULL};
	const struct sockaddr_in far = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(1023)};
	struct sock_address peer;
	for (int i = 0; i < 3; i++) {
		const int fd = lowport_listen(r->np, &at);
		const int client = socket(AF_INET, SOCK_STREAM, 0),
			  late = socket(AF_INET, SOCK_STREAM, 0);
		cr_assert_geq(fd, 0, "round %d", i);
		natproxy_own(r->np, fd, OWNER_NONE, 0);
		cr_assert_eq(connect(client, (const struct sockaddr *)&far, sizeof(far)), 0);
		const int got = sock_accept(&r->sock, fd, &peer);
		cr_assert_geq(got, 0);
		natproxy_close_fd(r->np, fd, false);
		cr_expect_lt(connect(late, (const struct sockaddr *)&far, sizeof(far)), 0);
		cr_expect_eq(write(client, "x", 1), 1, "what was accepted lives on");
		cr_expect_eq(send(got, "y", 1, MSG_NOSIGNAL), 1);
		if (i) /* the next round listens beside a live connection by that port */
			close(got);
	}
	rig_free(r);
}

Test(lowport, a_successor_takes_over_what_a_natproxy_left)
{
	struct rig *r = with(0);
	uint16_t to, from;
	int theirs;
	const int listener = rig_listener(&to), fd = bound(SOCK_STREAM, 0, 1023), again = dup(fd);
	struct sockaddr_in far = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(to)};
	connect(fd, (const struct sockaddr *)&far, sizeof(far));
	accept(listener, NULL, NULL);
	cr_assert_eq(grant(r, &again, 1, 0, NULL), 0);
	cr_expect_geq(reached(r, listener, to, &from, &theirs), 0);
	cr_expect_eq(from, 1023);
	rig_free(r);
}

/* Not what was promised: the giver breaks the protocol. */
Test(lowport, a_socket_that_is_something_else_is_refused)
{
	struct rig *r = with(0);
	int pair[2];
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	const int wrong[] = {bound(SOCK_STREAM, 0, 1024), bound(SOCK_STREAM, 0, 511),
		bound(SOCK_DGRAM, 0, 1023), bound(SOCK_STREAM, inet_addr("127.0.0.9"), 1000),
		pair[0]};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_expect_eq(grant(r, &wrong[i], 1, 0, NULL), -EPROTO, "%zu", i);
		cr_expect_eq(fcntl(wrong[i], F_GETFD), -1, "%zu is closed", i);
	}
	const int fd = bound(SOCK_STREAM, 0, 1023);
	cr_expect_eq(grant(r, NULL, 0, 0, NULL), -EPROTO, "a grant without a socket");
	cr_expect_eq(grant(r, &fd, 1, 0, "no"), -EPROTO, "a refusal with one");
	cr_expect_eq(r->np->lowports.count, 0);
	cr_expect_eq(r->np->sockets_open, 0);
	rig_free(r);
}

Test(lowport, no_more_than_there_is_room_for)
{
	struct rig *r = with(0);
	for (int i = 0; i < NATPROXY_LOWPORTS + 3; i++) {
		const int fd = bound(SOCK_STREAM, 0, (uint16_t)(1023 - i));
		cr_expect_eq(grant(r, &fd, 1, 0, NULL), 0);
	}
	cr_expect_eq(r->np->lowports.count, NATPROXY_LOWPORTS);
	cr_expect_eq(r->np->sockets_open, NATPROXY_LOWPORTS);
	rig_free(r);
}
