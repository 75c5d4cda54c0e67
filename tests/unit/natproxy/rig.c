#include "rig.h"

#include "chan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { AWAIT_MS = 3000 };

uint32_t rig_guest_ip(void)
{
	return inet_addr("192.168.30.10");
}

uint32_t rig_loopback(void)
{
	return htonl(INADDR_LOOPBACK);
}

static uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *zeroed(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		-1, 0);
	if (p == MAP_FAILED)
		abort();
	return p;
}

static void on_line(void *context, const char *line)
{
	struct rig *r = context;
	snprintf(r->line[r->lines++ % RIG_LINES], RIG_LINE_BYTES, "%s", line);
}

static void on_event(void *context, const Nl__EventRow *event)
{
	struct rig *r = context;
	on_line(r, event->text);
	if (event->more)
		on_line(r, event->more);
	r->event_bytes[r->events % RIG_LINES] =
		nl__event_row__pack(event, r->event[r->events % RIG_LINES]);
	r->events++;
}

Nl__EventRow *rig_event(struct rig *r, const char *name)
{
	for (uint32_t i = 0; i < r->events && i < RIG_LINES; i++) {
		Nl__EventRow *e = nl__event_row__unpack(NULL, r->event_bytes[i], r->event[i]);
		if (e->event && strcmp(e->event, name) == 0)
			return e;
		nl__event_row__free_unpacked(e, NULL);
	}
	return NULL;
}

static void on_uplink(void *context, const Nl__UplinkState *m)
{
	((struct rig *)context)->uplink = *m;
}

static void on_edge(void *context, uint32_t generation)
{
	((struct rig *)context)->edges++;
}

static int on_inspect(void *context, const Nl__FlowInspect *m)
{
	struct rig *r = context;
	if (r->alg_error)
		return r->alg_error;
	r->inspected++;
	r->inspect = *m;
	snprintf(r->inspect_alg, sizeof(r->inspect_alg), "%s", m->alg);
	snprintf(r->inspect_vrf, sizeof(r->inspect_vrf), "%s", m->vrf ? m->vrf : "");
	return 0;
}

static int on_bytes(void *context, const Nl__FlowBytes *m)
{
	struct rig *r = context;
	if (r->alg_error)
		return r->alg_error;
	if (m->at != r->seen_bytes[m->direction] || m->at + m->bytes.len > RIG_ALG_BYTES)
		abort();
	memcpy(r->seen[m->direction] + m->at, m->bytes.data, m->bytes.len);
	r->seen_bytes[m->direction] += m->bytes.len;
	r->records[m->direction]++;
	r->longest = m->bytes.len > r->longest ? m->bytes.len : r->longest;
	if (m->fin && !r->seen_fin[m->direction])
		r->fin_at[m->direction] = m->at + m->bytes.len;
	r->seen_fin[m->direction] |= m->fin;
	return 0;
}

static int on_answer(void *context, const Nl__PinholeAnswer *m)
{
	struct rig *r = context;
	r->answers++;
	r->answer = *m;
	r->answer.why = NULL;
	return 0;
}

static int on_end(void *context, const Nl__FlowEnd *m)
{
	((struct rig *)context)->ended++;
	return 0;
}

static int on_gone(void *context, const Nl__PinholeGone *m)
{
	struct rig *r = context;
	r->gone++;
	r->gone_used += m->used;
	r->gone_expired += m->expired;
	r->gone_token = m->token;
	return 0;
}

static void on_alg_silent(void *context)
{
	((struct rig *)context)->alg_silent++;
}

static void on_wanted(void *context, const Nl__SocketWanted *m)
{
	struct rig *r = context;
	r->wanted++;
	r->wanted_port = m->name->port;
	r->wanted_udp = m->name->udp;
}

static void on_ready(void *context, int fd, unsigned int events)
{
	natproxy_ready(((struct rig *)context)->np, fd, events);
}

/* The hub that the options describe, given to `take` with `context`; its answer. */
static int with_hub(
	const struct rig_options *o, int (*take)(void *context, const Nl__Hub *hub), void *context)
{
	Nl__Ip4 address = NL__IP4__INIT, mask = NL__IP4__INIT;
	Nl__VirtualHost host = NL__VIRTUAL_HOST__INIT;
	Nl__Nat nat = NL__NAT__INIT;
	Nl__Limits limits = NL__LIMITS__INIT;
	Nl__AlgSwitch ftp = NL__ALG_SWITCH__INIT;
	Nl__Alg alg = NL__ALG__INIT;
	Nl__Hub hub = NL__HUB__INIT;
	Nl__Duration udp_timeout = NL__DURATION__INIT;
	uint32_t ftp_port = o->ftp_port;
	Nl__Dhcp dhcp = NL__DHCP__INIT;
	char domain[256];
	Nl__Publish *publish[1];
	memcpy(publish, &o->publish, sizeof(publish));
	if (o->nat)
		nat = *o->nat;
	address.be = inet_addr("192.168.30.1");
	mask.be = inet_addr("255.255.255.0");
	host.address = &address;
	host.netmask = &mask;
	nat.has_host_loopback = true;
	nat.host_loopback = o->deny_host ? NL__NAT__ACCESS__deny : NL__NAT__ACCESS__allow;
	nat.has_filtering = true;
	nat.filtering = o->strict	 ? NL__NAT__FILTERING__address_and_port_dependent
			: o->independent ? NL__NAT__FILTERING__endpoint_independent
					 : NL__NAT__FILTERING__address_dependent;
	if (o->udp_timeout_ms) {
		udp_timeout.has_ms = true;
		udp_timeout.ms = o->udp_timeout_ms;
		nat.udp_timeout = &udp_timeout;
	}
	nat.has_udp_inbound_refresh = o->outbound_refresh_only;
	nat.udp_inbound_refresh = false;
	if (o->publish) {
		nat.n_publish = 1;
		nat.publish = publish;
	}
	limits.has_tcp_sessions_per_host = limits.has_syn_sent_per_host =
		limits.has_udp_sessions_per_host = true;
	limits.tcp_sessions_per_host = o->tcp_limit ? o->tcp_limit : 1024;
	limits.syn_sent_per_host = o->connecting_limit ? o->connecting_limit : 128;
	limits.udp_sessions_per_host = o->udp_limit_one ? 1 : o->udp_limit ? o->udp_limit : 1024;
	ftp.has_enable = ftp.enable = ftp.has_mode = o->ftp_port != 0;
	ftp.mode = o->observe ? NL__ALG_SWITCH__MODE__observe : NL__ALG_SWITCH__MODE__fix;
	ftp.has_strict = true;
	ftp.strict = o->alg_strict;
	ftp.n_ports = 1;
	ftp.ports = &ftp_port;
	alg.ftp = o->ftp_port ? &ftp : NULL;
	hub.host = &host;
	hub.nat = &nat;
	hub.limits = &limits;
	hub.alg = &alg;
	if (o->alg)
		memcpy(&hub.alg, &o->alg, sizeof(hub.alg));
	hub.has_enable = o->hub_off;
	memcpy(&hub.dns, &o->dns, sizeof(hub.dns));
	limits.has_dns_sessions_per_host = o->dns_limit != 0;
	limits.dns_sessions_per_host = o->dns_limit;
	if (o->domain) {
		snprintf(domain, sizeof(domain), "%s", o->domain);
		dhcp.domain = domain;
		hub.dhcp = &dhcp;
	}
	return take(context, &hub);
}

struct birth {
	struct natproxy_setup *setup;
	struct natproxy *np;
};

static int take_init(void *context, const Nl__Hub *hub)
{
	struct birth *b = context;
	b->setup->hub = hub;
	return natproxy_init(b->np, b->setup, zeroed(natproxy_inspect_bytes()));
}

static void configure(struct natproxy_setup *s, const struct rig_options *o, struct natproxy *np)
{
	static uint8_t entropy[32] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	struct birth b = {s, np};
	s->sockets_max = o->sockets_max ? o->sockets_max : 4096;
	s->echo_allowed = !o->no_echo;
	s->entropy = entropy;
	if (with_hub(o, take_init, &b))
		abort();
}

static int take_configure(void *context, const Nl__Hub *hub)
{
	return natproxy_configure(context, hub);
}

void rig_configure(struct rig *r, const struct rig_options *o)
{
	if (with_hub(o, take_configure, r->np))
		abort();
}

void rig_host(struct rig *r, const char *const *own, size_t count)
{
	Nl__HostNetwork m = NL__HOST_NETWORK__INIT;
	Nl__Subnet subnet[8], *pointer[8];
	for (size_t i = 0; i < count; i++) {
		nl__subnet__init(&subnet[i]);
		subnet[i].ip_be = inet_addr(own[i]);
		pointer[i] = &subnet[i];
	}
	m.n_own = count;
	m.own = pointer;
	if (natproxy_on_host_network(r->np, &m, NULL))
		abort();
}

static void raise_loopback(void)
{
	struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (ioctl(fd, SIOCSIFFLAGS, &up))
		abort();
	close(fd);
}

/* Ping sockets for everybody in this namespace, if it is ours to say. */
static void allow_ping(void)
{
	static const char everybody[] = "0 2147483647";
	const int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY);
	if (fd < 0)
		return;
	if (write(fd, everybody, sizeof(everybody) - 1) < 0)
		errno = 0;
	close(fd);
}

bool rig_network(void)
{
	static bool made;
	if (made)
		return true;
	if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET))
		return false;
	raise_loopback();
	allow_ping();
	made = true;
	return true;
}

Nl__Publish *rig_publish(Nl__Publish__Proto proto, uint16_t listen_port, uint16_t to)
{
	static Nl__Publish rule;
	static Nl__Endpoint from, inside;
	nl__publish__init(&rule);
	nl__endpoint__init(&from);
	nl__endpoint__init(&inside);
	rule.proto = proto;
	rule.listen = &from;
	rule.to = &inside;
	from.ip_be = rig_loopback();
	from.port = listen_port;
	inside.ip_be = rig_guest_ip();
	inside.port = to;
	return &rule;
}

struct rig *rig_new(const struct rig_options *o)
{
	rig_network();
	struct rig *r = zeroed(sizeof(*r));
	struct ring_region *a = zeroed(sizeof(*a)), *b = zeroed(sizeof(*b));
	r->np = zeroed(sizeof(*r->np));
	r->watcher = zeroed(NATPROXY_FD_MAX * sizeof(*r->watcher));
	arena_init(&r->arena, ARENA_NATPROXY, zeroed(ARENA_BYTES));
	arena_init(&r->broker, ARENA_BROKER, zeroed(ARENA_BYTES));
	r->view.base[ARENA_BROKER] = r->broker.base;
	r->view.base[ARENA_NATPROXY] = r->arena.base;
	link_init(&r->inside, a, b, ACTOR_NATPROXY, ACTOR_NETSTACK,
		link_arenas(DATA_PATH_SHARED, ACTOR_NETSTACK, ACTOR_NATPROXY),
		link_release_op(ACTOR_NATPROXY, ACTOR_NETSTACK), -1);
	link_init(&r->outside, b, a, ACTOR_NETSTACK, ACTOR_NATPROXY,
		link_arenas(DATA_PATH_SHARED, ACTOR_NATPROXY, ACTOR_NETSTACK),
		link_release_op(ACTOR_NETSTACK, ACTOR_NATPROXY), -1);
	r->loop = ev_loop_new(EVBACKEND_EPOLL);
	watch_init(&r->sock, r->loop, r->watcher, NATPROXY_FD_MAX, on_ready, r);
	struct natproxy_setup s = {
		.shell = {r, on_event, on_line, on_uplink, on_edge, on_inspect, on_bytes, on_answer,
			on_end, on_gone, on_alg_silent, on_wanted},
		.sock = &r->sock,
		.link = &r->inside,
		.arena = &r->arena,
		.view = &r->view,
		.drops = &r->drops};
	configure(&s, o, r->np);
	natproxy_time(r->np, clock_ns(), 1000);
	natproxy_start(r->np);
	return r;
}

void rig_free(struct rig *r)
{
	ev_loop_destroy(r->loop);
}

void rig_turn(struct rig *r)
{
	struct ring_desc d;
	link_flush(&r->outside);
	natproxy_time(r->np, clock_ns() + r->skew_ns, 1000);
	ev_run(r->loop, EVRUN_NOWAIT);
	if (natproxy_deadline(r->np) <= r->np->now_ns)
		natproxy_timeout(r->np);
	for (int n = 0; n < 128 && link_recv(&r->inside, &d, NULL) == 1; n++) {
		r->protocol_error = natproxy_ring_netstack(r->np, &d, NULL);
		if (r->protocol_error)
			break;
	}
	natproxy_flush(r->np);
	link_flush(&r->inside);
}

static bool is_release(struct rig *r, const struct ring_desc *d)
{
	if (d->op != RING_NATPROXY_RELEASE_WRITTEN)
		return false;
	for (unsigned int i = 0; i < d->nseg; i++)
		if (arena_return(&r->broker, d->ids[i], ACTOR_NATPROXY))
			abort();
	return true;
}

static bool next_within(struct rig *r, struct ring_desc *d, int ms)
{
	const uint64_t end = clock_ns() + (uint64_t)ms * 1000000;
	for (;;) {
		while (link_recv(&r->outside, d, NULL) == 1)
			if (!is_release(r, d))
				return true;
		if (clock_ns() > end)
			return false;
		rig_turn(r);
	}
}

bool rig_next(struct rig *r, struct ring_desc *d)
{
	return next_within(r, d, AWAIT_MS);
}

bool rig_quiet(struct rig *r, int ms)
{
	struct ring_desc d;
	const uint64_t end = clock_ns() + (uint64_t)ms * 1000000;
	while (clock_ns() < end)
		if (next_within(r, &d, 1) && d.op != RING_NATPROXY_TCP_CONSUMED)
			return false;
	return true;
}

bool rig_await(struct rig *r, uint8_t op, struct ring_desc *d)
{
	while (rig_next(r, d)) {
		if (d->op == op)
			return true;
		rig_give_back(r, d);
	}
	return false;
}

void rig_send(struct rig *r, const struct ring_desc *d)
{
	while (link_send(&r->outside, LINK_CONTROL, d, NULL) == -EAGAIN)
		rig_turn(r);
}

void rig_give_back(struct rig *r, const struct ring_desc *d)
{
	if (d->op != RING_NATPROXY_TCP_DATA && d->op != RING_NATPROXY_DGRAM_DATA)
		return;
	for (unsigned int i = 0; i < d->nseg; i++)
		link_release(&r->outside, d->seg[i].id);
}

struct ring_desc rig_payload(
	struct rig *r, uint8_t op, uint32_t flow, uint64_t arg, const void *bytes, size_t n)
{
	struct ring_desc d = {.op = op, .nseg = 1, .flow = flow, .arg = arg};
	uint32_t id;
	while (!(id = arena_take(
			 &r->broker, n > ARENA_SMALL_BYTES ? BUF_LARGE : BUF_SMALL, false))) {
		struct ring_desc ignored;
		rig_turn(r);
		while (link_recv(&r->outside, &ignored, NULL) == 1)
			if (!is_release(r, &ignored))
				rig_give_back(r, &ignored);
	}
	memcpy(arena_ptr(&r->broker, id), bytes, n);
	arena_lend(&r->broker, id, ACTOR_NATPROXY);
	d.seg[0] = (struct ring_seg){buf_offset(buf_index(id)), (uint32_t)n, id};
	return d;
}

const uint8_t *rig_bytes(struct rig *r, const struct ring_desc *d, unsigned int seg)
{
	return r->arena.base + d->seg[seg].off;
}

void rig_open(struct rig *r, uint32_t flow, uint16_t guest_port, uint16_t remote_port)
{
	struct ring_desc d = {.op = RING_NETSTACK_TCP_OPEN, .flow = flow};
	d.pair = (struct ring_pair){.guest_ip_be = rig_guest_ip(),
		.guest_port = guest_port,
		.remote_ip_be = rig_loopback(),
		.remote_port = remote_port};
	rig_send(r, &d);
}

void rig_credit(struct rig *r, uint32_t flow, uint64_t offset)
{
	const struct ring_desc d = {.op = RING_NETSTACK_TCP_CREDIT, .flow = flow, .arg = offset};
	rig_send(r, &d);
}

void rig_op(struct rig *r, uint8_t op, uint32_t flow)
{
	const struct ring_desc d = {.op = op, .flow = flow};
	rig_send(r, &d);
}

int rig_grant(struct rig *r, Nl__SocketName__What what, int fd)
{
	Nl__SocketGrant m = NL__SOCKET_GRANT__INIT;
	Nl__SocketName name = NL__SOCKET_NAME__INIT;
	struct chan_in in = {.fds = {fd}, .nfds = 1};
	name.has_what = true;
	name.what = what;
	m.name = &name;
	const int result = natproxy_on_socket_grant(r->np, &m, &in);
	chan_drop_fds(&in);
	return result;
}

bool rig_has_line(const struct rig *r, const char *text)
{
	for (uint32_t i = 0; i < r->lines && i < RIG_LINES; i++)
		if (strstr(r->line[i], text))
			return true;
	return false;
}

static int bound(int type, uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	rig_network();
	const int fd = socket(AF_INET, type, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
		getsockname(fd, (struct sockaddr *)&a, &n))
		abort();
	*port = ntohs(a.sin_port);
	return fd;
}

int rig_listener(uint16_t *port)
{
	const int fd = bound(SOCK_STREAM, port);
	if (listen(fd, 64))
		abort();
	return fd;
}

int rig_udp(uint16_t *port)
{
	return bound(SOCK_DGRAM, port);
}
