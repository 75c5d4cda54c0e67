/* Flows under inspection: the test is alg, honest and hostile. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inspect.h"
#include "rig.h"

enum {
	FLOW = 0x30007,
	NUMBER = 1 << 10, /* alg's for the first flow under inspection */
	GUEST_DATA_PORT = 51210,
};
static const char command[] = "PORT 192,168,30,10,200,10\r\n";

struct scene {
	struct rig *r;
	int fd; /* the far end of the control connection */
};

static struct scene control(struct rig_options o)
{
	struct ring_desc d;
	uint16_t port;
	const int listener = rig_listener(&port);
	o.ftp_port = port;
	struct scene s = {.r = rig_new(&o)};
	rig_open(s.r, FLOW, 40000, port);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_OPENED, &d));
	s.fd = accept(listener, NULL, NULL);
	close(listener);
	rig_credit(s.r, FLOW, 1000000);
	return s;
}

static void guest_says(struct scene *s, uint64_t at, const char *text)
{
	const struct ring_desc d =
		rig_payload(s->r, RING_NETSTACK_TCP_DATA, FLOW, at, text, strlen(text));
	rig_send(s->r, &d);
	rig_turn(s->r);
}

static int verdict(
	struct scene *s, Nl__Direction direction, uint64_t until, Nl__Edit **edits, size_t n)
{
	Nl__Verdict m = NL__VERDICT__INIT;
	m.flow = NUMBER;
	m.direction = direction;
	m.until = until;
	m.edits = edits;
	m.n_edits = n;
	const int error = natproxy_on_verdict(s->r->np, &m, NULL);
	rig_turn(s->r);
	return error;
}

static int edited(struct scene *s, uint64_t until, uint64_t at, uint32_t old, const char *text)
{
	Nl__Edit e = NL__EDIT__INIT, *list[1] = {&e};
	uint8_t bytes[64];
	memcpy(bytes, text, strlen(text));
	e.at = at;
	e.old_bytes = old;
	e.bytes = (ProtobufCBinaryData){strlen(text), bytes};
	return verdict(s, NL__DIRECTION__GUEST, until, list, 1);
}

static int wish(struct scene *s, uint32_t flow, uint32_t token, uint32_t port, uint32_t peer)
{
	Nl__PinholeOpen m = NL__PINHOLE_OPEN__INIT;
	m.flow = flow;
	m.token = token;
	m.kind = NL__PINHOLE_KIND__TCP_LISTEN;
	m.guest_port = port;
	m.has_peer_ip_be = peer != 0;
	m.peer_ip_be = peer;
	return natproxy_on_pinhole_open(s->r->np, &m, NULL);
}

static size_t arrived(int fd, char *out, size_t n)
{
	const ssize_t got = recv(fd, out, n, MSG_DONTWAIT);
	return got > 0 ? (size_t)got : 0;
}

static int knock(uint16_t port)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	connect(fd, (const struct sockaddr *)&to, sizeof(to));
	return fd;
}

Test(inspect, bytes_are_held_until_the_verdict)
{
	struct scene s = control((struct rig_options){0});
	char text[64];
	cr_assert_eq(s.r->inspected, 1);
	guest_says(&s, 0, command);
	cr_assert_eq(s.r->seen_bytes[0], strlen(command));
	cr_assert_eq(arrived(s.fd, text, sizeof(text)), 0);
	cr_assert_eq(s.r->np->flow[flow_index(FLOW)].upload_reported, 0, "not acknowledged either");
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 5, NULL, 0), 0);
	cr_assert_eq(arrived(s.fd, text, sizeof(text)), 5);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, strlen(command), NULL, 0), 0);
	cr_assert_eq(arrived(s.fd, text, sizeof(text)), strlen(command) - 5);
	cr_assert_eq(s.r->np->flow[flow_index(FLOW)].upload_reported, strlen(command));
	rig_free(s.r);
}

Test(inspect, edits_change_the_length_and_later_bytes_follow)
{
	struct scene s = control((struct rig_options){0});
	char text[64] = "";
	guest_says(&s, 0, command);
	guest_says(&s, strlen(command), "LIST\r\n");
	cr_assert_eq(edited(&s, strlen(command), 5, 20, "127,0,0,1,200,10"), 0);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, strlen(command) + 6, NULL, 0), 0);
	arrived(s.fd, text, sizeof(text));
	cr_assert_str_eq(text, "PORT 127,0,0,1,200,10\r\nLIST\r\n");
	cr_assert_eq(s.r->np->flow[flow_index(FLOW)].upload_reported, strlen(command) + 6,
		"offsets of the guest's bytes");
	rig_free(s.r);
}

Test(inspect, the_other_direction_is_held_too)
{
	struct scene s = control((struct rig_options){0});
	struct ring_desc d;
	cr_assert_eq(write(s.fd, "220 hi\r\n", 8), 8);
	cr_assert(rig_quiet(s.r, 20));
	cr_assert_eq(s.r->seen_bytes[1], 8);
	verdict(&s, NL__DIRECTION__OUTSIDE, 8, NULL, 0);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_DATA, &d));
	cr_assert_eq(d.seg[0].len, 8);
	cr_assert(memcmp(rig_bytes(s.r, &d, 0), "220 hi\r\n", 8) == 0);
	close(s.fd);
	rig_quiet(s.r, 10);
	cr_assert(s.r->seen_fin[1]);
	rig_free(s.r);
}

Test(inspect, both_fins_pass_and_alg_hears_the_end)
{
	struct scene s = control((struct rig_options){0});
	struct ring_desc d;
	char text[8];
	guest_says(&s, 0, "QUIT\r\n");
	rig_op(s.r, RING_NETSTACK_TCP_FIN, FLOW);
	rig_turn(s.r);
	cr_assert(s.r->seen_fin[0]);
	cr_assert_eq(arrived(s.fd, text, sizeof(text)), 0);
	verdict(&s, NL__DIRECTION__GUEST, 6, NULL, 0);
	cr_assert_eq(read(s.fd, text, sizeof(text)), 6);
	cr_assert_eq(read(s.fd, text, sizeof(text)), 0);
	close(s.fd);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_FIN, &d));
	cr_assert_eq(s.r->ended, 1);
	cr_assert_eq(s.r->np->nat.live, 0);
	rig_free(s.r);
}

Test(inspect, a_fin_passes_when_all_before_it_was_cut_out)
{
	struct scene s = control((struct rig_options){0});
	struct ring_desc d;
	Nl__Edit a = NL__EDIT__INIT, *list[1] = {&a};
	cr_assert_eq(write(s.fd, "abc", 3), 3);
	close(s.fd);
	for (int i = 0; i < 4; i++)
		rig_turn(s.r);
	cr_assert(s.r->seen_fin[1]);
	a.old_bytes = 3;
	cr_assert_eq(verdict(&s, NL__DIRECTION__OUTSIDE, 3, list, 1), 0);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_FIN, &d));
	rig_free(s.r);
}

Test(inspect, a_granted_door_lets_the_peer_in_once)
{
	struct scene s = control((struct rig_options){0});
	struct ring_desc d;
	guest_says(&s, 0, command);
	cr_assert_eq(wish(&s, NUMBER, 1, GUEST_DATA_PORT, 0), 0);
	cr_assert(s.r->answer.granted);
	cr_assert_eq(s.r->answer.outside_ip_be, rig_loopback());
	cr_assert(rig_has_line(s.r,
		"SecureNAT: The ALG expectation 1 was created. Protocol ftp, TCP session 1, guest "
		"192.168.30.10:51210, outside 127.0.0.1:51210, peer 127.0.0.1, expiration 30 "
		"seconds"));
	const int data = knock((uint16_t)s.r->answer.outside_port);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_INCOMING, &d));
	cr_assert_eq(d.pair.guest_ip_be, rig_guest_ip());
	cr_assert_eq(d.pair.guest_port, GUEST_DATA_PORT);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	const struct ring_desc accepted = {.op = RING_NETSTACK_TCP_ACCEPTED,
		.flow = FLOW + 1,
		.pair = {.token = d.pair.token}};
	rig_send(s.r, &accepted);
	rig_credit(s.r, FLOW + 1, 1000);
	cr_assert_eq(write(data, "listing", 7), 7);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_DATA, &d));
	cr_assert_eq(d.flow, FLOW + 1);
	cr_assert_eq(d.seg[0].len, 7);
	const int second = knock((uint16_t)s.r->answer.outside_port);
	cr_assert(rig_quiet(s.r, 20));
	close(second);
	rig_free(s.r);
}

Test(inspect, a_door_is_not_put_where_the_host_serves)
{
	struct scene s = control((struct rig_options){0});
	guest_says(&s, 0, command);
	wish(&s, NUMBER, 1, 9200, 0);
	cr_assert(s.r->answer.granted);
	cr_assert_neq(s.r->answer.outside_port, 9200);
	cr_assert_geq(s.r->answer.outside_port, 1024);
	rig_free(s.r);
}

Test(inspect, others_are_turned_away_and_the_door_waits_for_its_peer)
{
	struct scene s = control((struct rig_options){0});
	guest_says(&s, 0, command);
	wish(&s, NUMBER, 1, GUEST_DATA_PORT, 0);
	s.r->np->pinholes.entry[1].peer_ip_be = inet_addr("203.0.113.1");
	const int stranger = knock((uint16_t)s.r->answer.outside_port);
	cr_assert(rig_quiet(s.r, 30));
	cr_assert_eq(s.r->drops.count[DROP_FILTERED], 1);
	cr_assert_eq(s.r->np->pinholes.live, 1);
	close(stranger);
	rig_free(s.r);
}

Test(inspect, doors_expire_and_close_with_their_control_connection)
{
	struct scene s = control((struct rig_options){0});
	guest_says(&s, 0, command);
	wish(&s, NUMBER, 1, GUEST_DATA_PORT, 0);
	verdict(&s, NL__DIRECTION__GUEST, strlen(command), NULL, 0);
	s.r->skew_ns = 31ULL * 1000000000;
	rig_turn(s.r);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	cr_assert(
		rig_has_line(s.r, "SecureNAT: The ALG expectation 1 was deleted: expired unused."));
	wish(&s, NUMBER, 2, GUEST_DATA_PORT, 0);
	cr_assert_eq(s.r->np->pinholes.live, 1);
	rig_op(s.r, RING_NETSTACK_TCP_RESET, FLOW);
	rig_turn(s.r);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	cr_assert_eq(s.r->np->sockets_open, 0);
	cr_assert(rig_has_line(
		s.r, "SecureNAT: The ALG expectation 2 was deleted: control connection ended."));
	rig_free(s.r);
}

Test(inspect, a_lost_alg_lets_what_is_held_go_on_raw)
{
	struct scene s = control((struct rig_options){0});
	char text[64] = "";
	struct ring_desc d;
	guest_says(&s, 0, command);
	wish(&s, NUMBER, 1, GUEST_DATA_PORT, 0);
	cr_assert_eq(write(s.fd, "200 ok\r\n", 8), 8);
	cr_assert(rig_quiet(s.r, 10));
	s.r->alg_error = -EPIPE;
	natproxy_alg_lost(s.r->np);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_DATA, &d));
	cr_assert_eq(d.seg[0].len, 8);
	arrived(s.fd, text, sizeof(text));
	cr_assert_str_eq(text, command);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	cr_assert_eq(s.r->np->flow[flow_index(FLOW)].inspect, 0, "by the ordinary path from here");
	guest_says(&s, strlen(command), "NOOP\r\n");
	cr_assert_eq(arrived(s.fd, text, sizeof(text)), 6);
	cr_assert_eq(s.r->np->flow[flow_index(FLOW)].upload_reported, strlen(command) + 6);
	rig_free(s.r);
}

Test(inspect, give_up_is_the_same_for_one_flow)
{
	struct scene s = control((struct rig_options){0});
	Nl__GiveUp m = NL__GIVE_UP__INIT;
	char text[64] = "";
	guest_says(&s, 0, command);
	m.flow = NUMBER;
	cr_assert_eq(natproxy_on_give_up(s.r->np, &m, NULL), 0);
	rig_turn(s.r);
	arrived(s.fd, text, sizeof(text));
	cr_assert_str_eq(text, command);
	cr_assert_eq(wish(&s, NUMBER, 1, GUEST_DATA_PORT, 0), 0);
	cr_assert_eq(s.r->answers, 0, "a flow given up asks for nothing");
	rig_free(s.r);
}

Test(inspect, observing_holds_nothing_and_opens_nothing)
{
	struct scene s = control((struct rig_options){.observe = true});
	char text[64] = "";
	guest_says(&s, 0, command);
	arrived(s.fd, text, sizeof(text));
	cr_assert_str_eq(text, command);
	cr_assert_eq(s.r->seen_bytes[0], strlen(command));
	wish(&s, NUMBER, 1, GUEST_DATA_PORT, 0);
	cr_assert(s.r->answer.granted, "alg does not learn that it only looks on");
	cr_assert_eq(s.r->answer.outside_port, GUEST_DATA_PORT);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	cr_assert_eq(s.r->np->sockets_open, 1);
	rig_free(s.r);
}

Test(inspect, a_long_stream_passes_in_bounded_portions)
{
	struct scene s = control((struct rig_options){0});
	static char line[1001];
	char text[4096];
	size_t got = 0;
	memset(line, 'x', 1000);
	for (uint64_t i = 0; i < 100; i++)
		guest_says(&s, i * 1000, line);
	cr_assert_eq(s.r->seen_bytes[0], 65536);
	for (int i = 0; i < 60 && got < 100000; i++) {
		verdict(&s, NL__DIRECTION__GUEST, s.r->seen_bytes[0], NULL, 0);
		for (size_t n; (n = arrived(s.fd, text, sizeof(text)));)
			got += n;
	}
	cr_assert_eq(got, 100000);
	rig_free(s.r);
}

Test(inspect, alg_is_told_whose_flow_it_is)
{
	struct scene s = control((struct rig_options){0});
	cr_assert_eq(s.r->inspect.flow, NUMBER);
	cr_assert_str_eq(s.r->inspect_alg, "ftp");
	cr_assert(s.r->inspect.stream);
	cr_assert_not(s.r->inspect.guest_serves);
	cr_assert_eq(s.r->inspect.service, 0);
	cr_assert_eq(s.r->inspect.guest_ip_be, rig_guest_ip());
	cr_assert_eq(s.r->inspect.guest_port, 40000);
	cr_assert_eq(s.r->inspect.outside_ip_be, rig_loopback());
	cr_assert_eq(s.r->inspect.peer_ip_be, rig_loopback());
	cr_assert_str_eq(s.r->inspect_vrf, "");
	rig_free(s.r);
}

Test(inspect, a_number_is_never_that_of_the_flow_before)
{
	struct scene s = control((struct rig_options){0});
	rig_op(s.r, RING_NETSTACK_TCP_RESET, FLOW);
	rig_turn(s.r);
	uint16_t port;
	const int listener = rig_listener(&port);
	struct ring_desc d;
	rig_configure(s.r, &(struct rig_options){.ftp_port = port});
	rig_open(s.r, FLOW, 40000, port);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_OPENED, &d));
	cr_assert_eq(s.r->inspect.flow, 2 * NUMBER, "the slot is the same");
	cr_assert_eq(wish(&s, NUMBER, 1, GUEST_DATA_PORT, 0), 0);
	cr_assert_eq(s.r->answers, 0);
	close(listener);
	rig_free(s.r);
}

/* A connection from outside to a published port that leads to the guest's `to`. */
static void come_in(struct rig_options o, uint16_t listen_port, uint16_t to, struct scene *s)
{
	Nl__Publish p = NL__PUBLISH__INIT;
	Nl__Endpoint at = NL__ENDPOINT__INIT, inside = NL__ENDPOINT__INIT;
	struct ring_desc d;
	p.listen = &at;
	p.to = &inside;
	at.ip_be = rig_loopback();
	at.port = listen_port;
	inside.ip_be = rig_guest_ip();
	inside.port = to;
	o.publish = &p;
	s->r = rig_new(&o);
	s->fd = knock(listen_port);
	cr_assert(rig_await(s->r, RING_NATPROXY_TCP_INCOMING, &d));
	const struct ring_desc accepted = {.op = RING_NETSTACK_TCP_ACCEPTED,
		.flow = FLOW,
		.pair = {.token = d.pair.token}};
	rig_send(s->r, &accepted);
	rig_credit(s->r, FLOW, 1000);
	rig_turn(s->r);
}

Test(inspect, a_guest_that_serves_by_its_own_port)
{
	struct scene s;
	come_in((struct rig_options){.ftp_port = 21}, 18021, 21, &s);
	cr_assert_eq(s.r->inspected, 1);
	cr_assert(s.r->inspect.guest_serves);
	cr_assert_eq(s.r->inspect.guest_port, 21);
	cr_assert_eq(s.r->inspect.outside_port, 18021);
	cr_assert_eq(write(s.fd, "USER x\r\n", 8), 8);
	cr_assert(rig_quiet(s.r, 20), "held");
	cr_assert_eq(s.r->seen_bytes[1], 8);
	rig_free(s.r);
}

Test(inspect, a_guest_that_serves_by_the_port_that_is_open_outside)
{
	struct scene s;
	come_in((struct rig_options){.ftp_port = 18021}, 18021, 9999, &s);
	cr_assert_eq(s.r->inspected, 1);
	cr_assert(s.r->inspect.guest_serves);
	rig_free(s.r);
}

Test(inspect, a_guest_that_serves_something_else)
{
	struct scene s;
	come_in((struct rig_options){.ftp_port = 21}, 18021, 80, &s);
	cr_assert_eq(s.r->inspected, 0);
	rig_free(s.r);
}

Test(inspect, what_comes_by_a_door_is_not_looked_at)
{
	struct scene s = control((struct rig_options){0});
	struct ring_desc d;
	Nl__Alg alg = NL__ALG__INIT;
	Nl__AlgSwitch ftp = NL__ALG_SWITCH__INIT;
	uint32_t ports[] = {s.r->inspect.peer_port, GUEST_DATA_PORT};
	alg.ftp = &ftp;
	ftp.n_ports = 2;
	ftp.ports = ports;
	rig_configure(s.r, &(struct rig_options){.alg = &alg});
	guest_says(&s, 0, command);
	wish(&s, NUMBER, 1, GUEST_DATA_PORT, 0);
	cr_assert(s.r->answer.granted);
	knock((uint16_t)s.r->answer.outside_port);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_INCOMING, &d));
	const struct ring_desc accepted = {.op = RING_NETSTACK_TCP_ACCEPTED,
		.flow = FLOW + 1,
		.pair = {.token = d.pair.token}};
	rig_send(s.r, &accepted);
	rig_turn(s.r);
	cr_assert_eq(s.r->np->nat.live, 2);
	cr_assert_eq(s.r->inspected, 1);
	rig_free(s.r);
}

Test(inspect, an_alg_that_observes_says_what_it_would_change)
{
	struct scene s = control((struct rig_options){.observe = true});
	char text[64] = "";
	guest_says(&s, 0, command);
	arrived(s.fd, text, sizeof(text));
	cr_assert_eq(edited(&s, strlen(command), 5, 20, "127,0,0,1,200,10"), 0);
	cr_assert_eq(arrived(s.fd, text, sizeof(text)), 0, "nothing more");
	cr_assert(rig_has_line(s.r,
		"SecureNAT: The ALG ftp would have changed the TCP session 1 at 1 places in what "
		"the guest sent: at 5: 20 bytes by 16."));
	cr_assert_eq(edited(&s, strlen(command), 5, 20, "x"), -EPROTO, "judged before");
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, strlen(command) + 1, NULL, 0), -EPROTO);
	rig_free(s.r);
}

Test(inspect, no_more_is_said_of_it_than_a_log_can_take)
{
	struct scene s = control((struct rig_options){.observe = true});
	uint32_t said = 0;
	for (uint64_t i = 0; i < 50; i++) {
		guest_says(&s, 2 * i, "x\n");
		cr_assert_eq(edited(&s, 2 * i + 2, 2 * i, 1, "yy"), 0);
	}
	for (uint32_t i = 0; i < s.r->lines; i++)
		said += strstr(s.r->line[i], "would have changed") != NULL;
	cr_assert_eq(said, 20);
	rig_free(s.r);
}

static void not_ftp(struct scene *s, bool violation)
{
	Nl__GiveUp m = NL__GIVE_UP__INIT;
	guest_says(s, 0, "GET / HTTP/1.1\r\n");
	m.flow = NUMBER;
	m.has_violation = true;
	m.violation = violation;
	cr_assert_eq(natproxy_on_give_up(s->r->np, &m, NULL), 0);
}

Test(inspect, what_a_strict_alg_does_not_understand_is_reset)
{
	struct scene s = control((struct rig_options){.alg_strict = true});
	struct ring_desc d;
	char text[8];
	not_ftp(&s, true);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_RESET, &d));
	cr_assert_eq(read(s.fd, text, sizeof(text)), -1);
	cr_assert_eq(errno, ECONNRESET, "and no byte of it");
	cr_assert_eq(s.r->np->nat.live, 0);
	cr_assert_eq(s.r->np->inspects, 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_STRICT], 1);
	cr_assert(rig_has_line(s.r, "ended: not ftp, and alg.ftp.strict is true"));
	rig_free(s.r);
}

Test(inspect, what_a_strict_alg_is_done_with_goes_on)
{
	struct scene s = control((struct rig_options){.alg_strict = true});
	char text[32];
	not_ftp(&s, false);
	rig_turn(s.r);
	cr_assert_eq(arrived(s.fd, text, sizeof(text)), 16);
	rig_free(s.r);
}

Test(inspect, an_alg_that_observes_ends_nothing)
{
	struct scene s = control((struct rig_options){.alg_strict = true, .observe = true});
	not_ftp(&s, true);
	rig_turn(s.r);
	cr_assert_eq(s.r->np->nat.live, 1);
	rig_free(s.r);
}

Test(inspect, switching_the_alg_off_gives_its_flows_up)
{
	struct scene s = control((struct rig_options){0});
	char text[64] = "";
	guest_says(&s, 0, command);
	wish(&s, NUMBER, 1, GUEST_DATA_PORT, 0);
	rig_configure(s.r, &(struct rig_options){0});
	rig_turn(s.r);
	arrived(s.fd, text, sizeof(text));
	cr_assert_str_eq(text, command);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	cr_assert_eq(s.r->ended, 1);
	cr_assert_eq(s.r->np->inspects, 0);
	rig_free(s.r);
}

Test(inspect, a_message_of_64_kib_is_shown_in_records_and_held_whole)
{
	enum { BYTES = 65536, PART = 8192 };
	struct scene s = control((struct rig_options){0});
	static char part[PART + 1], text[BYTES];
	size_t got = 0;
	memset(part, 'x', PART);
	for (uint64_t at = 0; at < BYTES; at += PART)
		guest_says(&s, at, part);
	cr_assert_eq(s.r->seen_bytes[0], BYTES);
	cr_assert_leq(s.r->longest, 32768);
	cr_assert_eq(arrived(s.fd, text, sizeof(text)), 0);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, BYTES, NULL, 0), 0);
	for (int i = 0; i < 20 && got < BYTES; i++) {
		got += arrived(s.fd, text, sizeof(text));
		rig_turn(s.r);
	}
	cr_assert_eq(got, BYTES);
	rig_free(s.r);
}

Test(inspect, an_end_is_shown_with_the_last_record)
{
	enum { BYTES = 40000 };
	struct scene s = control((struct rig_options){0});
	static char text[BYTES];
	const struct ring_desc d =
		rig_payload(s.r, RING_NETSTACK_TCP_DATA, FLOW, 0, text, sizeof(text));
	rig_send(s.r, &d);
	rig_op(s.r, RING_NETSTACK_TCP_FIN, FLOW);
	rig_turn(s.r);
	cr_assert_eq(s.r->records[0], 2);
	cr_assert_eq(s.r->fin_at[0], BYTES);
	rig_free(s.r);
}

Test(inspect, the_rows_name_the_alg)
{
	struct scene s = control((struct rig_options){0});
	struct natproxy_row_space space;
	Nl__NatRow row;
	cr_assert_neq(natproxy_nat_row(s.r->np, 0, &row, &space), 0);
	cr_assert_str_eq(row.alg, "ftp");
	natproxy_alg_lost(s.r->np);
	rig_turn(s.r);
	cr_assert_neq(natproxy_nat_row(s.r->np, 0, &row, &space), 0);
	cr_assert_null(row.alg);
	rig_free(s.r);
}

/* A live alg that says nothing: nobody waits for it longer than its budget. */

static void later(struct scene *s, uint64_t ms)
{
	s->r->skew_ns += ms * 1000000;
	rig_turn(s->r);
}

static void seen(struct scene *s, uint64_t until, uint64_t upto)
{
	Nl__Verdict m = NL__VERDICT__INIT;
	m.flow = NUMBER;
	m.until = until;
	m.has_seen = true;
	m.seen = upto;
	cr_assert_eq(natproxy_on_verdict(s->r->np, &m, NULL), 0);
	rig_turn(s->r);
}

Test(inspect_silence, the_flow_goes_on_raw_and_its_doors_close)
{
	struct scene s = control((struct rig_options){0});
	char text[64] = "";
	guest_says(&s, 0, command);
	wish(&s, NUMBER, 1, GUEST_DATA_PORT, 0);
	later(&s, 900);
	cr_assert_eq(arrived(s.fd, text, sizeof(text)), 0, "alg has a second");
	cr_assert_eq(s.r->np->pinholes.live, 1);
	cr_assert_leq(natproxy_deadline(s.r->np), s.r->np->now_ns + 100000000);
	later(&s, 110);
	rig_turn(s.r);
	arrived(s.fd, text, sizeof(text));
	cr_assert_str_eq(text, command);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 1);
	cr_assert_eq(s.r->ended, 1, "alg may forget it");
	cr_assert(rig_has_line(s.r, "alg has not answered for 1000 ms"));
	cr_assert_eq(s.r->alg_silent, 0, "once may be bad luck");
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 5, NULL, 0), 0, "late words are ignored");
	guest_says(&s, strlen(command), "NOOP\r\n");
	cr_assert_eq(arrived(s.fd, text, sizeof(text)), 6);
	cr_assert_eq(s.r->np->inspect_due_ns, 0);
	rig_free(s.r);
}

Test(inspect_silence, a_message_that_lacks_its_end_is_none)
{
	struct scene s = control((struct rig_options){0});
	char text[8];
	guest_says(&s, 0, "POR");
	seen(&s, 0, 3);
	later(&s, 60000);
	cr_assert_eq(arrived(s.fd, text, sizeof(text)), 0, "still held");
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 0);
	guest_says(&s, 3, "T 1\r\n");
	later(&s, 1001);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 1, "and then one is");
	rig_free(s.r);
}

Test(inspect_silence, an_answer_to_an_earlier_part_does_not_cover_the_rest)
{
	struct scene s = control((struct rig_options){0});
	guest_says(&s, 0, "POR");
	guest_says(&s, 3, "T 1\r\n");
	later(&s, 500);
	seen(&s, 0, 3);
	later(&s, 900);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 0);
	later(&s, 200);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 1);
	rig_free(s.r);
}

Test(inspect_silence, after_a_grant_a_verdict_is_owed)
{
	struct scene s = control((struct rig_options){0});
	guest_says(&s, 0, command);
	seen(&s, 0, strlen(command));
	wish(&s, NUMBER, 1, GUEST_DATA_PORT, 0);
	later(&s, 1001);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 1);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	rig_free(s.r);
}

Test(inspect_silence, where_it_only_observes_a_verdict_after_a_grant_is_one_too)
{
	struct scene s = control((struct rig_options){.observe = true});
	guest_says(&s, 0, command);
	inspect_answered(s.r->np, NUMBER);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, strlen(command), NULL, 0), 0);
	later(&s, 2000);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 0);
	rig_free(s.r);
}

Test(inspect_silence, a_full_channel_is_silence_too)
{
	struct scene s = control((struct rig_options){.observe = true});
	char text[64] = "";
	s.r->alg_error = -EAGAIN;
	guest_says(&s, 0, command);
	cr_assert_eq(arrived(s.fd, text, sizeof(text)), 0);
	later(&s, 1001);
	rig_turn(s.r);
	arrived(s.fd, text, sizeof(text));
	cr_assert_str_eq(text, command);
	rig_free(s.r);
}

/* A guest's word on one more control connection, which alg never answers. */
static void unanswered(struct rig *r, uint32_t n, uint16_t port)
{
	const uint32_t flow = FLOW + n;
	struct ring_desc d;
	rig_open(r, flow, (uint16_t)(40000 + n), port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	r->seen_bytes[0] = 0;
	d = rig_payload(r, RING_NETSTACK_TCP_DATA, flow, 0, "USER x\r\n", 8);
	rig_send(r, &d);
	rig_turn(r);
	r->skew_ns += 1001000000;
	rig_turn(r);
}

Test(inspect_silence, alg_is_reported_when_it_stays_silent)
{
	uint16_t port;
	const int listener = rig_listener(&port);
	const struct rig_options o = {.ftp_port = port};
	struct rig *r = rig_new(&o);
	unanswered(r, 0, port);
	unanswered(r, 1, port);
	cr_assert_eq(r->alg_silent, 0);
	unanswered(r, 2, port);
	cr_assert_eq(r->drops.count[DROP_ALG_SILENT], 3);
	cr_assert_eq(r->alg_silent, 1);
	cr_assert_eq(r->np->alg_silences, 0, "the next one gets its own chance");
	close(listener);
	rig_free(r);
}

/* What a captured alg tries. */

Test(inspect_hostile, verdicts_beyond_what_was_shown_are_lies)
{
	struct scene s = control((struct rig_options){0});
	guest_says(&s, 0, command);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, strlen(command) + 1, NULL, 0), -EPROTO);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, UINT64_MAX, NULL, 0), -EPROTO);
	cr_assert_eq(verdict(&s, NL__DIRECTION__OUTSIDE, 1, NULL, 0), -EPROTO);
	cr_assert_eq(verdict(&s, (Nl__Direction)7, 0, NULL, 0), -EPROTO);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 5, NULL, 0), 0);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 4, NULL, 0), -EPROTO, "backwards");
	rig_free(s.r);
}

Test(inspect_hostile, nobody_has_seen_what_was_not_shown)
{
	struct scene s = control((struct rig_options){0});
	Nl__Verdict m = NL__VERDICT__INIT;
	guest_says(&s, 0, command);
	m.flow = NUMBER;
	m.has_seen = true;
	m.seen = strlen(command) + 1;
	cr_assert_eq(natproxy_on_verdict(s.r->np, &m, NULL), -EPROTO);
	m.seen = strlen(command);
	cr_assert_eq(natproxy_on_verdict(s.r->np, &m, NULL), 0);
	rig_free(s.r);
}

Test(inspect_hostile, edits_outside_or_overlapping_are_lies)
{
	struct scene s = control((struct rig_options){0});
	Nl__Edit a = NL__EDIT__INIT, b = NL__EDIT__INIT, *list[2] = {&a, &b};
	guest_says(&s, 0, command);
	cr_assert_eq(edited(&s, 5, 4, 2, "x"), -EPROTO);
	cr_assert_eq(edited(&s, 5, 6, 0, "x"), -EPROTO);
	a.at = 0;
	a.old_bytes = 5;
	b.at = 4;
	b.old_bytes = 1;
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 10, list, 2), -EPROTO);
	rig_free(s.r);
}

Test(inspect_hostile, endless_growth_is_a_lie_before_it_is_an_overflow)
{
	struct scene s = control((struct rig_options){0});
	static uint8_t much[16384];
	static char line[1001];
	Nl__Edit e = NL__EDIT__INIT, *list[1] = {&e};
	int error = 0, rounds = 0;
	memset(line, 'x', 1000);
	for (uint64_t i = 0; i < 40; i++)
		guest_says(&s, i * 1000, line);
	e.bytes = (ProtobufCBinaryData){sizeof(much), much};
	Nl__Verdict m = NL__VERDICT__INIT;
	m.flow = NUMBER;
	m.edits = list;
	m.n_edits = 1;
	for (; !error && rounds < 100; rounds++) {
		m.until = e.at = (uint64_t)rounds;
		error = natproxy_on_verdict(s.r->np, &m, NULL);
	}
	cr_assert_eq(error, -EPROTO);
	cr_assert_leq(rounds, 8);
	rig_free(s.r);
}

Test(inspect_hostile, other_flows_cannot_be_spoken_for)
{
	struct scene s = control((struct rig_options){0});
	cr_assert_eq(wish(&s, NUMBER + 1, 1, GUEST_DATA_PORT, 0), 0);
	cr_assert_eq(wish(&s, NUMBER << 1, 1, GUEST_DATA_PORT, 0), 0);
	cr_assert_eq(s.r->answers, 0);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	Nl__Verdict m = NL__VERDICT__INIT;
	m.flow = NUMBER + 1;
	m.until = 99;
	cr_assert_eq(
		natproxy_on_verdict(s.r->np, &m, NULL), 0, "late words about a flow that is over");
	rig_free(s.r);
}

Test(inspect_hostile, bad_wishes_are_refused_logged_and_counted)
{
	struct scene s = control((struct rig_options){0});
	wish(&s, NUMBER, 1, 22, 0);
	cr_assert_not(s.r->answer.granted);
	wish(&s, NUMBER, 1, 70000, 0);
	wish(&s, NUMBER, 1, GUEST_DATA_PORT, inet_addr("203.0.113.1"));
	cr_assert_not(s.r->answer.granted);
	cr_assert_eq(s.r->drops.count[DROP_PINHOLE_REFUSED], 3);
	cr_assert(
		rig_has_line(s.r, "SecureNAT: The ALG expectation was refused: inside port is "
				  "privileged or a protected "
				  "service. Protocol ftp, TCP session 1, guest 192.168.30.10:22"));
	cr_assert(rig_has_line(s.r, "refused: peer is not the control connection's peer."));
	wish(&s, NUMBER + 1, 1, GUEST_DATA_PORT, 0);
	cr_assert_eq(s.r->drops.count[DROP_PINHOLE_REFUSED], 4);
	cr_assert(rig_has_line(s.r, "refused: its session is not under inspection. Inside port "));
	rig_free(s.r);
}

Test(inspect_hostile, a_storm_of_wishes_opens_one_door)
{
	struct scene s = control((struct rig_options){0});
	for (uint32_t i = 0; i < 2000; i++)
		wish(&s, NUMBER, i, GUEST_DATA_PORT + i % 1000, 0);
	cr_assert_eq(s.r->np->pinholes.live, 1);
	cr_assert_leq(s.r->np->sockets_open, 2);
	rig_free(s.r);
}
