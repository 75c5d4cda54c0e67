/* Sockets for IPsec opened at the start: what the filter of ESP lets in, which hubs get them, what natproxy and the operator are
 * told. In a network namespace of the test; that packets pass is tests/integration's. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf.h"
#include "crew.h"
#include "grant_ipsec.h"
#include "super_dispatch.h"
#include "supervisor.h"

enum { PACKET = 64, ESP_LEAST = 28, SPI_AT = 20 };

/* ---- the filter, asked of the kernel: a Unix socket's filter sees what is sent from its first byte ---- */
static int pair[2];

static void attach(void)
{
	struct sock_filter filter[GRANT_IPSEC_FILTER];
	const struct sock_fprog program = {GRANT_IPSEC_FILTER, filter};

	grant_ipsec_filter(filter);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
	cr_assert_eq(
		setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
}

static bool passes(uint8_t begins, uint32_t spi, size_t n)
{
	uint8_t packet[PACKET] = {0}, got[PACKET];

	packet[0] = begins;
	spi = htonl(spi);
	memcpy(packet + SPI_AT, &spi, sizeof(spi));
	cr_assert_eq(send(pair[0], packet, n, 0), (ssize_t)n);
	return recv(pair[1], got, sizeof(got), 0) == (ssize_t)n;
}

Test(grant_ipsec, esp_with_an_spi_and_nothing_else)
{
	unsigned int begins;

	attach();
	cr_expect(passes(0x45, 0xc0ffee01, PACKET));
	cr_expect(passes(0x45, 1, ESP_LEAST), "no more than SPI and sequence number");
	cr_expect(passes(0x45, UINT32_MAX, PACKET));
	cr_expect(passes(0x45, 0x80000000, PACKET));
	cr_expect_not(passes(0x45, 0, PACKET), "never on the wire");
	for (begins = 0; begins < 256; begins++)
		cr_expect_eq(passes((uint8_t)begins, 256, PACKET), begins == 0x45, "%#x", begins);
	for (size_t n = 1; n < ESP_LEAST; n++)
		cr_expect_not(passes(0x45, UINT32_MAX, n), "cut to %zu", n);
}

/* ---- a supervisor of one hub ---- */
static struct supervisor s;
static int theirs;

static void configure(const char *text)
{
	struct conf_error error;

	conf_free(s.config);
	s.config = conf_parse("test", text, strlen(text), &error);
	cr_assert(s.config, "%s", error.text);
	s.hub[0].conf = s.config->hubs[0];
}

static void make(const char *text)
{
	static uint8_t queue[4096];
	struct worker *w;
	int channel[2];

	cr_assert_eq(unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, channel), 0);
	theirs = channel[1];
	s.is_run = true; /* says nothing on standard error */
	s.hubs = 1;
	s.hub[0] = (struct hub){.super = &s, .shards = 1};
	configure(text);
	hub_crew(&s.hub[0]);
	pool_init(&s.pool, s.pool_bytes, sizeof(s.pool_bytes));
	w = hub_worker(&s.hub[0], ACTOR_NATPROXY, 0);
	chan_init(&w->chan, channel[0], &s.pool, queue, sizeof(queue));
}

struct told {
	Nl__SocketName__What what;
	int nfds, domain, type, protocol, locked;
	uint32_t error, port;
	struct sockaddr_in at;
	char device[GRANT_DEVICE], why[300];
};

static int option(int fd, int name)
{
	int value = -1;
	socklen_t n = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &n) < 0 ? -1 : value;
}

static void look(int fd, struct told *out)
{
	socklen_t n = sizeof(out->at);

	out->domain = option(fd, SO_DOMAIN);
	out->type = option(fd, SO_TYPE);
	out->protocol = option(fd, SO_PROTOCOL);
	out->locked = option(fd, SO_LOCK_FILTER);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&out->at, &n), 0);
	cr_expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static bool hear(struct told *out)
{
	static struct pool pool;
	static uint8_t bytes[65536];
	struct chan c;
	struct chan_in in;
	Nl__SuperToNatproxy *m;
	const Nl__SocketGrant *g;

	pool_init(&pool, bytes, sizeof(bytes));
	chan_init(&c, theirs, &pool, NULL, 0);
	if (chan_recv(&c, &in) != 1)
		return false;
	m = nl__super_to_natproxy__unpack(NULL, in.len, in.bytes);
	cr_assert(m && m->msg_case == NL__SUPER_TO_NATPROXY__MSG_SOCKET_GRANT);
	g = m->socket_grant;
	*out = (struct told){
		.what = g->name->what, .nfds = in.nfds, .error = g->error, .port = g->name->port};
	snprintf(out->why, sizeof(out->why), "%s", g->why ? g->why : "");
	snprintf(out->device, sizeof(out->device), "%s", g->name->device ? g->name->device : "");
	if (in.nfds == 1)
		look(in.fds[0], out);
	chan_drop_fds(&in);
	nl__super_to_natproxy__free_unpacked(m, NULL);
	return true;
}

static void tell(void)
{
	grant_ipsec_tell(hub_worker(&s.hub[0], ACTOR_NATPROXY, 0));
}

static bool has_note(const char *text)
{
	for (unsigned int i = 0; i < s.notes; i++)
		if (strstr(s.note[i], text))
			return true;
	return false;
}

#define LIST7 "access_lists: [{number: 7, permit: [10.0.0.0/8]}]"
#define BOTH                                                                                       \
	"hubs: {default: {nat: {" LIST7 "}, alg: {ipsec: {esp: true, preserve_port_list: 7}}}}\n"
#define ESP_ALONE "hubs: {default: {alg: {ipsec: {esp: true}}}}\n"
#define NEITHER	  "hubs: {default: {}}\n"

Test(grant_ipsec, both_are_opened_and_given_as_often_as_natproxy_is_born)
{
	struct told t;
	int i;

	make(BOTH);
	grant_ipsec_open(&s);
	grant_ipsec_note(&s.hub[0]);
	cr_expect_eq(s.notes, 0);
	for (i = 0; i < 2; i++) {
		tell();
		cr_assert(hear(&t));
		cr_expect(t.what == NL__SOCKET_NAME__WHAT__ESP && t.nfds == 1 && !t.error);
		cr_expect(t.domain == AF_INET && t.type == SOCK_RAW && t.protocol == IPPROTO_ESP);
		cr_expect_eq(t.locked, 1, "natproxy could take its filter off");
		cr_assert(hear(&t));
		cr_expect(t.what == NL__SOCKET_NAME__WHAT__IKE && t.nfds == 1 && !t.error);
		cr_expect(t.domain == AF_INET && t.type == SOCK_DGRAM && t.protocol == IPPROTO_UDP);
		cr_expect(t.at.sin_addr.s_addr == 0 && ntohs(t.at.sin_port) == 500);
		cr_expect(t.port == 500 && !t.device[0]);
		cr_expect_not(hear(&t));
	}
	grant_ipsec_close(&s);
	cr_expect(s.ipsec[0].esp.fd == -1 && s.ipsec[0].ike.fd == -1);
}

Test(grant_ipsec, the_filter_is_on_the_socket)
{
	struct sock_filter want[GRANT_IPSEC_FILTER], got[GRANT_IPSEC_FILTER];
	socklen_t n = GRANT_IPSEC_FILTER;

	make(ESP_ALONE);
	grant_ipsec_open(&s);
	grant_ipsec_filter(want);
	cr_assert_eq(getsockopt(s.ipsec[0].esp.fd, SOL_SOCKET, SO_GET_FILTER, got, &n), 0);
	cr_expect(n == GRANT_IPSEC_FILTER && memcmp(got, want, sizeof(got)) == 0);
	cr_expect_lt(setsockopt(s.ipsec[0].esp.fd, SOL_SOCKET, SO_DETACH_FILTER, &n, sizeof(n)), 0);
	cr_expect_not(s.ipsec[0].ike.asked, "no list, no port");
}

Test(grant_ipsec, nothing_is_opened_or_said_that_nobody_asked_for)
{
	struct told t;

	make(NEITHER);
	grant_ipsec_open(&s);
	grant_ipsec_note(&s.hub[0]);
	tell();
	cr_expect_not(hear(&t));
	cr_expect_eq(s.notes, 0);
}

Test(grant_ipsec, a_port_in_use_is_said_with_what_to_do)
{
	const struct sockaddr_in taken = {.sin_family = AF_INET,
		.sin_port = htons(500),
		.sin_addr.s_addr = htonl(0x7f000001)};
	struct told t;
	int holder;

	make(BOTH);
	holder = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(holder, (const struct sockaddr *)&taken, sizeof(taken)), 0);
	grant_ipsec_open(&s);
	grant_ipsec_note(&s.hub[0]);
	cr_expect(has_note(
		"hub default: alg.ipsec: IKE does not keep its port: UDP port 500 was in use "
		"when natlock started. See who has it: ss -ulnp"));
	cr_expect_eq(s.notes, 1, "ESP is there");
	tell();
	cr_assert(hear(&t));
	cr_expect_eq(t.nfds, 1);
	cr_assert(hear(&t));
	cr_expect(t.what == NL__SOCKET_NAME__WHAT__IKE && t.nfds == 0 && t.error == EADDRINUSE);
	cr_expect(strstr(t.why, "ss -ulnp"));
}

/* The device of nat.vrf, and no other. */
Test(grant_ipsec, ike_leaves_by_the_hubs_device)
{
	struct told t;

	make("hubs: {default: {nat: {vrfs: {b: {device: lo}}, vrf: b, " LIST7
	     "}, alg: {ipsec: {preserve_port_list: 7}}}}\n");
	grant_ipsec_open(&s);
	tell();
	cr_assert(hear(&t));
	cr_expect(t.nfds == 1 && strcmp(t.device, "lo") == 0);
	configure("hubs: {default: {nat: {" LIST7 "}, alg: {ipsec: {preserve_port_list: 7}}}}\n");
	grant_ipsec_note(&s.hub[0]);
	cr_expect(
		has_note("port 500 was opened for another device than nat.vrf's. Restart natlock"));
	grant_ipsec_close(&s);
	configure("hubs: {default: {nat: {vrfs: {b: {device: nl-gone}}, vrf: b, " LIST7
		  "}, alg: {ipsec: {preserve_port_list: 7}}}}\n");
	grant_ipsec_open(&s);
	grant_ipsec_note(&s.hub[0]);
	cr_expect(has_note("nat.vrf's device nl-gone was not there when natlock started"));
}

static void fail(struct grant_ipsec_socket *g, int error)
{
	*g = (struct grant_ipsec_socket){.asked = true, .fd = -1, .error = error};
}

Test(grant_ipsec, each_cause_has_its_fix)
{
	struct told t;

	make(BOTH);
	fail(&s.ipsec[0].esp, EPERM);
	fail(&s.ipsec[0].ike, EACCES);
	grant_ipsec_note(&s.hub[0]);
	cr_expect(has_note(
		"hub default: alg.ipsec: no ESP passes: a raw socket of protocol 50 is for root "
		"with CAP_NET_RAW. Start natlock as root, or say esp: false"));
	cr_expect(has_note(
		"port 500 is for root with CAP_NET_BIND_SERVICE. Start natlock as root, or lower "
		"net.ipv4.ip_unprivileged_port_start"));
	tell();
	cr_assert(hear(&t));
	cr_expect(t.nfds == 0 && t.error == EPERM && strstr(t.why, "CAP_NET_RAW"));
	cr_assert(hear(&t));
	cr_expect(t.nfds == 0 && t.error == EACCES && strstr(t.why, "port 500"));
	s.identity.privileged = true;
	grant_ipsec_note(&s.hub[0]);
	cr_expect(has_note("Start natlock with that capability, or say esp: false"));
	cr_expect_eq(s.notes, 2, "what was said before is over");
	fail(&s.ipsec[0].esp, ENOBUFS);
	fail(&s.ipsec[0].ike, ENOBUFS);
	grant_ipsec_note(&s.hub[0]);
	cr_expect(has_note("opening a raw socket of protocol 50 failed when natlock started: "));
	cr_expect(has_note("opening UDP port 500 failed when natlock started: "));
}

Test(grant_ipsec, what_is_wanted_later_needs_a_restart)
{
	char text[300] = "changed alg.ipsec.esp";
	struct told t;

	make(NEITHER);
	s.identity.privileged = true;
	grant_ipsec_open(&s);
	configure(ESP_ALONE);
	grant_ipsec_note(&s.hub[0]);
	cr_expect(has_note("no ESP passes: it was not in the configuration when natlock started"));
	cr_expect(has_note("then restart natlock"));
	grant_ipsec_missing(&s.hub[0], text, sizeof(text));
	cr_expect(strstr(text, "changed alg.ipsec.esp; no ESP passes: it was not"), "%s", text);
	tell();
	cr_assert(hear(&t));
	cr_expect(t.what == NL__SOCKET_NAME__WHAT__ESP && t.nfds == 0 && t.error == ENOENT);
	cr_expect(strstr(t.why, "restart natlock"));
	cr_expect_not(hear(&t));
	s.identity.privileged = false;
	grant_ipsec_note(&s.hub[0]);
	cr_expect(has_note("Restart natlock as root"));
	configure(NEITHER);
	grant_ipsec_note(&s.hub[0]);
	cr_expect_eq(s.notes, 0, "nobody wants it any more");
	configure("hubs: {default: {nat: {enable: false}, alg: {ipsec: {esp: true}}}}\n");
	grant_ipsec_note(&s.hub[0]);
	cr_expect_eq(s.notes, 0, "nothing passes at all");
	text[0] = '\0';
	configure(ESP_ALONE);
	grant_ipsec_missing(&s.hub[0], text, 8);
	cr_expect_str_eq(text, "; no ES", "no more than there is room for");
}

/* It is off now, and may be on again while the natproxy that is born meanwhile lives. */
Test(grant_ipsec, what_was_opened_is_kept)
{
	struct told t;

	make(BOTH);
	grant_ipsec_open(&s);
	configure(NEITHER);
	tell();
	cr_expect(hear(&t) && t.what == NL__SOCKET_NAME__WHAT__ESP && t.nfds == 1);
	cr_expect(hear(&t) && t.what == NL__SOCKET_NAME__WHAT__IKE && t.nfds == 1);
	configure(BOTH);
	grant_ipsec_note(&s.hub[0]);
	cr_expect_eq(s.notes, 0);
}

/* Each natproxy would hear every packet. */
Test(grant_ipsec, a_hub_with_several_shards_gets_none)
{
	make(BOTH);
	s.hub[0].shards = 2;
	grant_ipsec_open(&s);
	cr_expect(!s.ipsec[0].esp.asked && !s.ipsec[0].ike.asked);
	grant_ipsec_note(&s.hub[0]);
	cr_expect(has_note(
		"no ESP passes: this hub has several shards. Set shards: 1, then restart natlock"));
}
