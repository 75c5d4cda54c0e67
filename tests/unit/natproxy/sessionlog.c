/* What the operator reads of sessions: the seed's lines to the byte, the parts beside them, and refusals within a budget. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "session.h"
#include "sessionlog.h"

enum { FLOW = 0x10005 };

static int connected(struct rig *r, uint16_t *port)
{
	struct ring_desc d;
	const int listener = rig_listener(port);
	rig_open(r, FLOW, RIG_GUEST_PORT, *port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	const int fd = accept(listener, NULL, NULL);
	cr_assert_geq(fd, 0);
	close(listener);
	return fd;
}

/* Five bytes to the far end, and a reset. */
static void say_hello(struct rig *r, int fd)
{
	const struct ring_desc d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW, 0, "hello", 5);
	char text[8];
	rig_send(r, &d);
	while (recv(fd, text, sizeof(text), MSG_DONTWAIT) != 5)
		rig_turn(r);
	rig_op(r, RING_NETSTACK_TCP_RESET, FLOW);
	rig_turn(r);
	rig_turn(r);
}

static bool has_exactly(const struct rig *r, const char *format, unsigned int port)
{
	char wanted[RIG_LINE_BYTES];
	snprintf(wanted, sizeof(wanted), format, port);
	for (uint32_t i = 0; i < r->lines && i < RIG_LINES; i++)
		if (strcmp(r->line[i], wanted) == 0)
			return true;
	return false;
}

Test(sessionlog, the_lines_of_the_seed)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	uint16_t port;
	const int fd = connected(r, &port);
	say_hello(r, fd);
	cr_assert(has_exactly(r,
		"SecureNAT: The TCP session 1 was created. Connection source 192.168.30.10:40000, "
		"Connection destination 127.0.0.1:%u",
		port));
	cr_assert(has_exactly(r,
		"SecureNAT: The connection to TCP session 1: Host \"127.0.0.1 (127.0.0.1)\", Port "
		"%u was "
		"successful.",
		port));
	cr_assert(has_exactly(r, "SecureNAT: The TCP session 1 was deleted.", 0));
	cr_assert(rig_has_line(r, "SecureNAT: The TCP session 1 ended: "));
	cr_assert(rig_has_line(r, ", 5 bytes from the guest, 0 bytes to the guest, duration "));
	close(fd);
	rig_free(r);
}

Test(sessionlog, parts_say_the_same_in_numbers)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	uint16_t port;
	const int fd = connected(r, &port);
	say_hello(r, fd);
	Nl__EventRow *e = rig_event(r, "session_deleted");
	cr_assert_not_null(e);
	cr_assert_eq(e->session, 1);
	cr_assert_str_eq(e->proto, "tcp");
	cr_assert_eq(e->src->ip_be, rig_guest_ip());
	cr_assert_eq(e->src->port, RIG_GUEST_PORT);
	cr_assert_eq(e->dst->ip_be, rig_loopback());
	cr_assert_eq(e->dst->port, port);
	cr_assert_eq(e->tx_bytes, 5);
	cr_assert(e->has_rx_bytes && e->rx_bytes == 0);
	cr_assert(e->has_duration_ms);
	cr_assert_not_null(e->reason);
	nl__event_row__free_unpacked(e, NULL);
	e = rig_event(r, "session_connected");
	cr_assert_not_null(e);
	cr_assert_str_eq(e->host, "127.0.0.1");
	cr_assert_neq(e->outside->port, 0);
	nl__event_row__free_unpacked(e, NULL);
	close(fd);
	rig_free(r);
}

Test(sessionlog, a_failure_has_its_reason)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	struct ring_desc d;
	uint16_t port;
	close(rig_listener(&port));
	rig_open(r, FLOW, RIG_GUEST_PORT, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FAILED, &d));
	cr_assert(has_exactly(r,
		"SecureNAT: The connection to TCP session 1: Host \"127.0.0.1\", Port %u failed.",
		port));
	Nl__EventRow *e = rig_event(r, "session_failed");
	cr_assert_not_null(e);
	cr_assert_str_eq(e->reason, "refused");
	nl__event_row__free_unpacked(e, NULL);
	rig_free(r);
}

Test(sessionlog, denied_is_said)
{
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	struct ring_desc d;
	rig_open(r, FLOW, RIG_GUEST_PORT, 80);
	cr_assert(rig_next(r, &d));
	cr_assert(has_exactly(r,
		"SecureNAT: The TCP session was refused: denied by policy. Connection source "
		"192.168.30.10:40000, Connection destination 127.0.0.1:%u",
		80));
	rig_free(r);
}

Test(sessionlog, refusals_are_few_lines_and_the_rest_is_counted)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	const struct sock_address guest = {rig_guest_ip(), 1}, remote = {rig_loopback(), 2};
	const uint32_t before = r->lines;
	for (int i = 0; i < 1000; i++)
		sessionlog_refused(r->np, NAT_UDP, &guest, &remote, "limit of the guest");
	cr_assert_eq(r->lines - before, 20);
	natproxy_time(r->np, r->np->now_ns + 1000000000, r->np->wall_ms + 1000);
	sessionlog_refused(r->np, NAT_UDP, &guest, &remote, "limit of the guest");
	cr_assert_eq(r->lines - before, 22);
	cr_assert(rig_has_line(r, "SecureNAT: 980 more were refused before that."));
	rig_free(r);
}
