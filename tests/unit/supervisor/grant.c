/* Which ports are opened before root's rights go, who gets them, and how long they are kept. That they serve is
 * tests/integration/test_grant.py's. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "conf.h"
#include "crew.h"
#include "super_dispatch.h"
#include "supervisor.h"
#include "tell.h"

static Nl__Config *parse(const char *text)
{
	struct conf_error error;
	Nl__Config *config = conf_parse("test", text, strlen(text), &error);

	cr_assert(config, "%s", error.text);
	return config;
}

static const char text[] =
	"hubs:\n"
	"  default:\n"
	"    nat:\n"
	"      vrfs: {blue: {device: b0}}\n"
	"      vrf: blue\n"
	"      publish:\n"
	"        - {proto: tcp, listen: \"10.0.0.1:80\", to: \"192.168.30.10:8080\", vrf: none}\n"
	"        - {proto: udp, listen: \"0.0.0.0:53\", to: \"192.168.30.11:5353\"}\n"
	"        - {proto: tcp, listen: \"0.0.0.0:1023\", to: \"192.168.30.11:1\"}\n"
	"        - {proto: tcp, listen: \"0.0.0.0:1024\", to: \"192.168.30.11:2\"}\n"
	"      static:\n"
	"        - {inside: 192.168.30.12, outside: 10.0.0.2, ports: [25, 2525]}\n";

Test(grant, ports_of_publish_and_of_static_addresses)
{
	Nl__Config *config = parse(text);
	struct grant_port p[8];

	cr_assert_eq(grant_ports(config->hubs[0]->nat, GRANT_PORTS_END, p, 8), 5);
	cr_expect(!p[0].udp && p[0].ip_be == inet_addr("10.0.0.1") && p[0].port == 80);
	cr_expect_str_eq(p[0].device, "", "of no vrf");
	cr_expect_eq(p[0].guest_ip_be, inet_addr("192.168.30.10"));
	cr_expect(p[1].udp && p[1].ip_be == 0 && p[1].port == 53);
	cr_expect_str_eq(p[1].device, "b0", "of the hub's vrf");
	cr_expect_eq(p[2].port, 1023);
	cr_expect(!p[3].udp && p[3].port == 25 && p[3].ip_be == inet_addr("10.0.0.2"));
	cr_expect(p[4].udp && p[4].port == 25);
	cr_expect_eq(p[4].guest_ip_be, inet_addr("192.168.30.12"));
	conf_free(config);
}

Test(grant, no_more_than_fit_and_none_that_need_no_privilege)
{
	Nl__Config *config = parse(text);
	struct grant_port p[4];

	cr_expect_eq(grant_ports(config->hubs[0]->nat, GRANT_PORTS_END, p, 4), 4);
	cr_expect_eq(grant_ports(config->hubs[0]->nat, GRANT_PORTS_END, p, 1), 1);
	cr_expect_eq(grant_ports(config->hubs[0]->nat, 80, p, 4), 3, "53, and 25 twice");
	cr_expect_eq(grant_ports(config->hubs[0]->nat, 0, p, 4), 0);
	conf_free(config);
}

/* ---- what natproxy asks, with a supervisor of one hub ---- */
static struct supervisor s;
static struct super_peer peer;
static int theirs;

static struct grant *keep(unsigned int i, const struct grant_port *at, int fd, int error)
{
	s.grants.entry[i] = (struct grant){.at = *at, .fd = fd, .error = error};
	s.grants.count = i + 1;
	return &s.grants.entry[i];
}

static void make(void)
{
	static uint8_t queue[4096];
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	theirs = pair[1];
	s.config = parse(text);
	s.file = parse(text);
	s.kept = parse(text);
	s.is_run = true; /* says nothing on standard error */
	s.hubs = 1;
	s.identity.privileged = true;
	s.hub[0] = (struct hub){.super = &s, .conf = s.config->hubs[0], .shards = 1};
	hub_crew(&s.hub[0]);
	peer.w = hub_worker(&s.hub[0], ACTOR_NATPROXY, 0);
	peer.w->state = WORKER_RUNNING;
	pool_init(&s.pool, s.pool_bytes, sizeof(s.pool_bytes));
	chan_init(&peer.w->chan, pair[0], &s.pool, queue, sizeof(queue));
}

static int ask(const struct grant_port *at)
{
	Nl__SocketWanted m = NL__SOCKET_WANTED__INIT;
	Nl__SocketName name = NL__SOCKET_NAME__INIT;
	char device[sizeof(at->device)];

	memcpy(device, at->device, sizeof(device));
	name.has_what = name.has_udp = name.has_ip_be = name.has_port = true;
	name.udp = at->udp;
	name.ip_be = at->ip_be;
	name.port = at->port;
	name.device = device;
	m.name = &name;
	return super_on_socket_wanted(&peer, &m, NULL);
}

/* The answer's error (0: it brought a socket), and its words; -1: there is none. */
static int answer(char *why, size_t cap)
{
	static struct pool pool;
	static uint8_t bytes[65536];
	struct chan c;
	struct chan_in in;
	Nl__SuperToNatproxy *w;
	int error;

	pool_init(&pool, bytes, sizeof(bytes));
	chan_init(&c, theirs, &pool, NULL, 0);
	if (chan_recv(&c, &in) != 1)
		return -1;
	w = nl__super_to_natproxy__unpack(&in.pool->allocator, in.len, in.bytes);
	cr_assert(w && w->msg_case == NL__SUPER_TO_NATPROXY__MSG_SOCKET_GRANT);
	error = (int)w->socket_grant->error;
	cr_assert_eq(in.nfds, !error);
	snprintf(why, cap, "%s", w->socket_grant->why ? w->socket_grant->why : "");
	chan_drop_fds(&in);
	return error;
}

Test(grant, a_kept_socket_is_given_as_often_as_it_is_asked_for)
{
	struct grant_port p[8];
	struct grant *g;
	char why[300];
	int i;

	make();
	grant_ports(s.hub[0].conf->nat, GRANT_PORTS_END, p, 8);
	g = keep(0, &p[0], socket(AF_INET, SOCK_STREAM, 0), 0);
	for (i = 0; i < 2; i++) {
		cr_expect_eq(ask(&p[0]), 0);
		cr_expect_eq(answer(why, sizeof(why)), 0);
		cr_expect(g->in_use);
	}
}

Test(grant, a_refusal_says_what_to_do)
{
	struct grant_port p[8];
	char why[300];

	make();
	grant_ports(s.hub[0].conf->nat, GRANT_PORTS_END, p, 8);
	cr_expect_eq(ask(&p[0]), 0);
	cr_expect_eq(answer(why, sizeof(why)), EPERM, "new since the start");
	cr_expect(strstr(why, "restart natlock"));
	keep(0, &p[0], -1, EADDRINUSE);
	ask(&p[0]);
	cr_expect_eq(answer(why, sizeof(why)), EADDRINUSE);
	cr_expect(strstr(why, "it was in use when natlock started. See who has it: ss -tulnp"));
	keep(1, &p[1], -1, ENODEV);
	ask(&p[1]);
	cr_expect_eq(answer(why, sizeof(why)), EPERM);
	cr_expect(strstr(why, "its device b0"));
	keep(1, &p[1], socket(AF_INET, SOCK_DGRAM, 0), 0);
	ask(&p[1]);
	cr_expect_eq(answer(why, sizeof(why)), EPERM, "bound to no device any more");
	keep(0, &p[0], -1, EACCES);
	ask(&p[0]);
	cr_expect_eq(answer(why, sizeof(why)), EACCES);
	cr_expect(strstr(why, "no CAP_NET_BIND_SERVICE"));
	s.identity.privileged = false;
	s.grants.count = 0;
	ask(&p[0]);
	cr_expect_eq(answer(why, sizeof(why)), EACCES);
	cr_expect_str_empty(why, "natproxy knows what an ordinary user can do");
}

/* Names of many guests may fill the channel before natproxy reads, and no descriptor is queued. */
Test(grant, the_raw_socket_comes_before_what_may_fill_the_channel)
{
	const struct hash_key key = {1, 2};
	const int little = 16384;
	char name[HOSTNAMES_LABEL], why[300];
	unsigned int i;

	make();
	peer.w->state = WORKER_LOCKED;
	s.echo[0][0] = (struct grant_echo){.fd = socket(AF_INET, SOCK_DGRAM, 0), .first = 512};
	hostnames_init(&s.hub[0].names, &key);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "a-name-of-a-guest-that-is-long-%u", i);
		cr_assert(hostnames_set(&s.hub[0].names, htonl(0xc0a80000 + i), name, UINT64_MAX, 0));
	}
	setsockopt(peer.w->chan.fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
	tell_first(peer.w);
	cr_expect(peer.w->chan.refused, "it is full");
	cr_expect_eq(answer(why, sizeof(why)), 0);
}

/* What is refused by a channel has its worker condemned (watch_deaf). */
Test(grant, who_still_has_much_to_read_asks_again)
{
	struct grant_port p[8];
	struct grant *g;

	make();
	grant_ports(s.hub[0].conf->nat, GRANT_PORTS_END, p, 8);
	g = keep(0, &p[0], socket(AF_INET, SOCK_STREAM, 0), 0);
	peer.w->chan.queue_bytes = 100;
	cr_expect_eq(ask(&p[0]), 0);
	cr_expect_eq(peer.w->chan.refused, 0);
	cr_expect_not(g->in_use);
}

/* Who asks may be in a stranger's hands. */
Test(grant, nobody_gets_what_is_not_his)
{
	struct grant_port p[8], wrong;
	char why[300];

	make();
	grant_ports(s.hub[0].conf->nat, GRANT_PORTS_END, p, 8);
	keep(0, &p[0], socket(AF_INET, SOCK_STREAM, 0), 0);
	wrong = p[0];
	wrong.port = GRANT_PORTS_END;
	cr_expect_eq(ask(&wrong), -EPROTO);
	wrong.port = 22;
	cr_expect_eq(ask(&wrong), 0);
	cr_expect_eq(answer(why, sizeof(why)), -1, "a port that is not published");
	wrong = p[0];
	wrong.ip_be = 0;
	ask(&wrong);
	cr_expect_eq(answer(why, sizeof(why)), -1, "at another address");
	peer.w->shard = 1;
	s.hub[0].shards = 1;
	ask(&p[0]);
	cr_expect_eq(answer(why, sizeof(why)), -1, "of another shard's guest");
	peer.w->shard = 0;
	peer.w->state = WORKER_LOCKED;
	ask(&p[0]);
	cr_expect_eq(answer(why, sizeof(why)), -1, "before it runs");
	peer.w->state = WORKER_RUNNING;
	ask(&p[0]);
	cr_expect_eq(answer(why, sizeof(why)), 0, "the control");
}

/* Takes a port out of a configuration. */
static void unpublish(Nl__Config *config)
{
	Nl__Nat *nat = config->hubs[0]->nat;

	nl__publish__free_unpacked(nat->publish[0], NULL);
	memmove(nat->publish, nat->publish + 1, --nat->n_publish * sizeof(nat->publish[0]));
}

static bool is_listening(int fd)
{
	int on = 0;
	socklen_t n = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on;
}

Test(grant, a_port_is_silent_when_it_does_not_run_and_closed_when_no_file_names_it)
{
	struct grant_port p[8];
	struct grant *g;
	int fd;

	make();
	grant_ports(s.hub[0].conf->nat, GRANT_PORTS_END, p, 8);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(listen(fd, 1), 0);
	g = keep(0, &p[0], fd, 0);
	g->in_use = true;
	grant_settle(&s);
	cr_expect(is_listening(fd) && g->in_use, "nothing changed");
	unpublish(s.config);
	grant_settle(&s);
	cr_expect(!is_listening(fd) && !g->in_use && s.grants.count == 1);
	unpublish(s.kept);
	grant_settle(&s);
	cr_expect_eq(s.grants.count, 1, "the file has it still");
	unpublish(s.file);
	grant_settle(&s);
	cr_expect_eq(s.grants.count, 0);
	cr_expect_eq(fcntl(fd, F_GETFD), -1);
}

Test(grant, a_hub_without_nat_listens_to_nobody)
{
	struct grant_port p[8];
	struct grant *g;

	make();
	grant_ports(s.hub[0].conf->nat, GRANT_PORTS_END, p, 8);
	g = keep(0, &p[0], socket(AF_INET, SOCK_STREAM, 0), 0);
	cr_assert_eq(listen(g->fd, 1), 0);
	g->in_use = true;
	s.hub[0].conf->nat->enable = false;
	grant_settle(&s);
	cr_expect(!is_listening(g->fd) && !g->in_use);
	cr_assert_eq(listen(g->fd, 1), 0);
	g->in_use = true;
	grant_silence(&s.hub[0]);
	cr_expect_not(is_listening(g->fd), "draining");
}
