/* Reserved ports opened at the start: how many, which, and what natproxy is told. In a network namespace of the test. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf.h"
#include "crew.h"
#include "grant_reserved.h"
#include "super_dispatch.h"
#include "supervisor.h"

static struct supervisor s;
static int theirs;

static void make(const char *text)
{
	static uint8_t queue[4096];
	struct conf_error error;
	struct worker *w;
	int pair[2];

	cr_assert_eq(unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	theirs = pair[1];
	s.config = conf_parse("test", text, strlen(text), &error);
	cr_assert(s.config, "%s", error.text);
	s.is_run = true; /* says nothing on standard error */
	s.hubs = 1;
	s.hub[0] = (struct hub){.super = &s, .conf = s.config->hubs[0], .shards = 1};
	hub_crew(&s.hub[0]);
	pool_init(&s.pool, s.pool_bytes, sizeof(s.pool_bytes));
	w = hub_worker(&s.hub[0], ACTOR_NATPROXY, 0);
	chan_init(&w->chan, pair[0], &s.pool, queue, sizeof(queue));
}

struct told {
	int nfds;
	uint32_t ip_be, error;
	uint16_t port[16];
	char why[300];
};

static bool hear(struct told *out)
{
	static struct pool pool;
	static uint8_t bytes[65536];
	struct chan c;
	struct chan_in in;
	struct sockaddr_in at;
	socklen_t n;
	Nl__SuperToNatproxy *m;
	int i;

	pool_init(&pool, bytes, sizeof(bytes));
	chan_init(&c, theirs, &pool, NULL, 0);
	if (chan_recv(&c, &in) != 1)
		return false;
	m = nl__super_to_natproxy__unpack(NULL, in.len, in.bytes);
	cr_assert(m && m->msg_case == NL__SUPER_TO_NATPROXY__MSG_SOCKET_GRANT);
	cr_assert_eq(m->socket_grant->name->what, NL__SOCKET_NAME__WHAT__RESERVED);
	*out = (struct told){.nfds = in.nfds,
		.ip_be = m->socket_grant->name->ip_be,
		.error = m->socket_grant->error};
	snprintf(
		out->why, sizeof(out->why), "%s", m->socket_grant->why ? m->socket_grant->why : "");
	for (i = 0; i < in.nfds; i++) {
		n = sizeof(at);
		cr_assert_eq(getsockname(in.fds[i], (struct sockaddr *)&at, &n), 0);
		cr_expect_eq(at.sin_addr.s_addr, out->ip_be);
		out->port[i] = ntohs(at.sin_port);
	}
	chan_drop_fds(&in);
	nl__super_to_natproxy__free_unpacked(m, NULL);
	return true;
}

static void tell(void)
{
	grant_reserved_tell(hub_worker(&s.hub[0], ACTOR_NATPROXY, 0));
}

Test(grant_reserved, from_the_top_down_what_is_free_for_each_address)
{
	const struct sockaddr_in taken = {.sin_family = AF_INET, .sin_port = htons(1022)};
	struct told t;
	int holder;

	make("hubs:\n  default:\n    alg: {rcmd_sockets: 3}\n    nat:\n      static:\n"
	     "        - {inside: 192.168.30.12, outside: 10.0.0.2}\n");
	holder = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(holder, (const struct sockaddr *)&taken, sizeof(taken)), 0);
	grant_reserved_open(&s);
	cr_assert_eq(s.reserved.count, 6);
	tell();
	cr_assert(hear(&t));
	cr_expect(t.nfds == 3 && t.ip_be == 0 && !t.error);
	cr_expect(
		t.port[0] == 1023 && t.port[1] == 1021 && t.port[2] == 1020, "1022 is somebody's");
	cr_assert(hear(&t));
	cr_expect(t.nfds == 3 && t.ip_be == inet_addr("10.0.0.2"));
	cr_expect(t.port[0] == 1019 && t.port[2] == 1017);
	cr_expect_not(hear(&t));
	tell();
	cr_expect(hear(&t) && t.nfds == 3, "a successor gets them again");
	grant_reserved_close(&s);
	cr_expect_eq(s.reserved.count, 0);
}

Test(grant_reserved, others_are_kept_out_of_a_port_but_may_join_later)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(1023)};
	int on = 0, late;
	socklen_t n = sizeof(on);

	make("hubs:\n  default:\n    alg: {rcmd_sockets: 1}\n");
	grant_reserved_open(&s);
	late = socket(AF_INET, SOCK_STREAM, 0);
	cr_expect_eq(bind(late, (const struct sockaddr *)&at, sizeof(at)), -1);
	cr_expect_eq(errno, EADDRINUSE);
	cr_assert_eq(getsockopt(s.reserved.entry[0].fd, SOL_SOCKET, SO_REUSEADDR, &on, &n), 0);
	cr_expect_eq(on, 1, "or its connections keep it from listening");
}

static void opens_none(const char *rcmd)
{
	char text[256];
	struct told t;

	snprintf(text, sizeof(text), "hubs:\n  default:\n    alg: {%s}\n", rcmd);
	make(text);
	grant_reserved_open(&s);
	cr_expect_eq(s.reserved.count, 0);
	tell();
	cr_assert(hear(&t));
	cr_expect(t.nfds == 0 && t.error == ENOENT && strstr(t.why, "Restart natlock"));
}

Test(grant_reserved, none_where_it_is_off)
{
	opens_none("rcmd: {enable: false}");
}

Test(grant_reserved, nor_where_it_only_observes)
{
	opens_none("rcmd: {mode: observe, lists: [{guests: 0, mode: off}]}");
}

Test(grant_reserved, nor_where_nobody_wants_any)
{
	opens_none("rcmd_sockets: 0");
}

Test(grant_reserved, some_where_it_is_on_for_a_few)
{
	make("hubs:\n  default:\n    alg: {rcmd_sockets: 2, rcmd: {mode: off, lists: [{guests: 0, "
	     "mode: fix}]}}\n");
	grant_reserved_open(&s);
	cr_expect_eq(s.reserved.count, 2);
	grant_reserved_close(&s);
}

Test(grant_reserved, never_more_than_a_quarter_of_the_ports)
{
	char text[4096] =
		"hubs:\n  default:\n    alg: {rcmd_sockets: 16}\n    nat:\n      static:\n";
	int i;

	for (i = 0; i < 20; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"        - {inside: 192.168.30.%d, outside: 10.0.0.%d}\n", 12 + i, 12 + i);
	make(text);
	grant_reserved_open(&s);
	cr_expect_eq(s.reserved.count, GRANT_RESERVED_MAX);
	cr_expect_eq(s.reserved.left_out, 21 * 16 - GRANT_RESERVED_MAX);
	tell();
	for (i = 0; i < GRANT_RESERVED_MAX; i += 16) {
		struct told t;

		cr_assert(hear(&t));
		cr_expect_eq(t.nfds, 16, "message %d", i / 16);
	}
}

Test(grant_reserved, without_the_right_it_is_said_who_has_it)
{
	struct told t;

	make("hubs:\n  default: {}\n");
	s.reserved.error = EACCES;
	tell();
	cr_assert(hear(&t));
	cr_expect(t.nfds == 0 && t.error == EACCES);
	cr_expect_str_eq(t.why, "only root may open them. Start natlock as root");
}
