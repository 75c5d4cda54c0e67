/*
 * Theory of operation. The configuration is natlock's defaults written as messages. The supervisor's part is what the
 * actors cannot do without: it stores leases (a virtual millisecond later), names resolvers and the host's own
 * addresses, attaches one port, and keeps what the actors log.
 */
#include "gateway.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cable.h"
#include "clock.h"
#include "guest.h"
#include "internet.h"
#include "port_sim.h"
#include "super_dispatch.h"
#include "trace.h"

enum { STORE_NS = 1000000, REST_S = 1500 };

/* The generated dispatcher's idea of who speaks. */
struct super_peer {
	enum actor_id id;
};

static char notes[GATEWAY_NOTES][GATEWAY_NOTE_BYTES];
static uint32_t note_count, commits, incidents, closed;
static bool kicked;

void gateway_note(enum actor_id id, const char *line)
{
	if (note_count < GATEWAY_NOTES)
		snprintf(notes[note_count++], GATEWAY_NOTE_BYTES, "%s: %s", actors_names[id], line);
}

uint32_t gateway_notes(const char *part)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < note_count; i++)
		n += strstr(notes[i], part) != NULL;
	return n;
}

void gateway_incident(enum actor_id id, const char *what)
{
	incidents++;
	cr_log_error("%s reports an incident: %s", actors_names[id], what);
}

uint32_t gateway_commits(void)
{
	return commits;
}

/* The supervisor. */

void gateway_record(enum actor_id id, struct chan_in *in)
{
	struct super_peer p = {id};
	uint8_t memory[4096];
	struct pool pool;
	struct chan_in mine = {.bytes = in->bytes, .len = in->len, .pool = &pool};
	pool_init(&pool, memory, sizeof(memory));
	if (id == ACTOR_DHCPD)
		cr_assert(super_dispatch_dhcpd(&p, &mine) == 0);
	else if (id == ACTOR_BROKER)
		cr_assert(super_dispatch_broker(&p, &mine) == 0);
	else
		cr_assert_fail("%s speaks to the supervisor", actors_names[id]);
}

static void stored(void *arg)
{
	Nl__LeaseCommitted m = NL__LEASE_COMMITTED__INIT;
	m.has_sequence = m.has_stored = true;
	m.sequence = *(uint64_t *)arg;
	m.stored = true;
	free(arg);
	dhcpd_send_lease_committed(actors_super(ACTOR_DHCPD), &m, NULL, 0);
}

int super_on_edge_cleared(struct super_peer *p, const Nl__EdgeCleared *m, struct chan_in *in)
{
	return -EPROTO;
}

int super_on_socket_wanted(struct super_peer *p, const Nl__SocketWanted *m, struct chan_in *in)
{
	return 0;
}

int super_on_lease_commit(struct super_peer *p, const Nl__LeaseCommit *m, struct chan_in *in)
{
	uint64_t *sequence = malloc(sizeof(*sequence));
	cr_assert(sequence && m->lease && m->lease->ip_be);
	*sequence = m->sequence;
	commits++;
	clock_at(clock_ns() + STORE_NS, stored, sequence);
	return 0;
}

int super_on_port_closed(struct super_peer *p, const Nl__PortClosed *m, struct chan_in *in)
{
	cr_assert(kicked, "port closed: %s", m->why);
	closed++;
	return 0;
}

int super_on_actor_hello(struct super_peer *p, const Nl__ActorHello *m, struct chan_in *in)
{
	return -1;
}

int super_on_actor_locked(struct super_peer *p, const Nl__ActorLocked *m, struct chan_in *in)
{
	return -1;
}

int super_on_actor_drained(struct super_peer *p, const Nl__ActorDrained *m, struct chan_in *in)
{
	return -1;
}

int super_on_actor_rows(struct super_peer *p, const Nl__ActorRows *m, struct chan_in *in)
{
	return -1;
}

int super_on_actor_note(struct super_peer *p, const Nl__ActorNote *m, struct chan_in *in)
{
	return -1;
}

int super_on_actor_answer(struct super_peer *p, const Nl__ActorAnswer *m, struct chan_in *in)
{
	return 0;
}

int super_on_actor_incident(struct super_peer *p, const Nl__ActorIncident *m, struct chan_in *in)
{
	return -1;
}

/* Boot. */

static Nl__Ip4 *address(Nl__Ip4 *a, uint32_t ip)
{
	nl__ip4__init(a);
	a->has_be = true;
	a->be = htonl(ip);
	return a;
}

static Nl__Duration *duration(Nl__Duration *d, uint64_t ms)
{
	nl__duration__init(d);
	d->has_ms = true;
	d->ms = ms;
	return d;
}

static Nl__VirtualHost *make_host(void)
{
	static Nl__VirtualHost host = NL__VIRTUAL_HOST__INIT;
	static Nl__Mac mac = NL__MAC__INIT;
	static Nl__Ip4 ip, mask;
	static uint8_t octets[6];
	memcpy(octets, GATEWAY_MAC, sizeof(octets));
	mac.has_octets = true;
	mac.octets = (ProtobufCBinaryData){sizeof(octets), octets};
	host.mac = &mac;
	host.address = address(&ip, GATEWAY_IP);
	host.netmask = address(&mask, 0xffffff00);
	return &host;
}

static Nl__Nat *make_nat(void)
{
	static Nl__Nat nat = NL__NAT__INIT;
	static Nl__Duration tcp, udp;
	nat.has_enable = nat.has_mtu = nat.has_dns_redirect = nat.has_loop_guard = nat.has_log =
		true;
	nat.enable = nat.dns_redirect = nat.loop_guard = nat.log = true;
	nat.mtu = 1500;
	nat.tcp_timeout = duration(&tcp, 7440 * 1000);
	nat.udp_timeout = duration(&udp, 600 * 1000);
	nat.has_filtering = true;
	nat.filtering = NL__NAT__FILTERING__address_and_port_dependent;
	return &nat;
}

static Nl__Dhcp *make_dhcp(void)
{
	static Nl__Dhcp dhcp = NL__DHCP__INIT;
	static Nl__IpRange range = NL__IP_RANGE__INIT;
	static Nl__Ip4 from, to, mask, dns, *servers[] = {&dns};
	static Nl__Duration lease;
	static char gateway[] = "192.168.30.1", domain[] = "none";
	dhcp.has_enable = dhcp.enable = dhcp.has_log = dhcp.log = true;
	range.from = address(&from, 0xc0a81e0a);
	range.to = address(&to, 0xc0a81ec8);
	address(&dns, GATEWAY_IP);
	dhcp.range = &range;
	dhcp.netmask = address(&mask, 0xffffff00);
	dhcp.lease = duration(&lease, 7200 * 1000);
	dhcp.gateway = gateway;
	dhcp.domain = domain;
	dhcp.n_dns = 1;
	dhcp.dns = servers;
	return &dhcp;
}

static void make_switch(Nl__AlgSwitch *alg, uint32_t *port)
{
	nl__alg_switch__init(alg);
	alg->has_enable = alg->enable = alg->has_mode = true;
	alg->mode = NL__ALG_SWITCH__MODE__fix;
	alg->n_ports = 1;
	alg->ports = port;
}

static Nl__Alg *make_alg(void)
{
	static Nl__Alg alg = NL__ALG__INIT;
	static Nl__AlgSwitch ftp, sip, h323;
	static uint32_t ftp_port = 21, sip_port = 5060, h323_ports[] = {1720, 1719, 1718};
	make_switch(&ftp, &ftp_port);
	make_switch(&sip, &sip_port);
	alg.ftp = &ftp;
	make_switch(&h323, h323_ports);
	h323.n_ports = 3;
	alg.sip = &sip;
	alg.h323 = &h323;
	alg.has_segment_max = true;
	alg.segment_max = 18432;
	return &alg;
}

static Nl__Hub *make_hub(void)
{
	static Nl__Hub hub = NL__HUB__INIT;
	static Nl__Limits limits = NL__LIMITS__INIT;
	static char name[] = "default";
	limits.has_tcp_sessions_per_host = limits.has_udp_sessions_per_host = true;
	limits.has_icmp_sessions_per_host = limits.has_syn_sent_per_host = true;
	limits.has_macs_per_port = true;
	limits.tcp_sessions_per_host = limits.udp_sessions_per_host = 1024;
	limits.icmp_sessions_per_host = 64;
	limits.syn_sent_per_host = 128;
	limits.macs_per_port = 64;
	hub.name = name;
	hub.host = make_host();
	hub.nat = make_nat();
	hub.dhcp = make_dhcp();
	hub.alg = make_alg();
	hub.limits = &limits;
	hub.has_data_path = true;
	hub.data_path = actors_data_path() == DATA_PATH_STRICT ? NL__HUB__DATA_PATH__strict
							       : NL__HUB__DATA_PATH__shared;
	return &hub;
}

static void tell_natproxy(void)
{
	Nl__Resolvers r = NL__RESOLVERS__INIT;
	Nl__HostNetwork h = NL__HOST_NETWORK__INIT;
	Nl__Subnet own = NL__SUBNET__INIT, *owns[] = {&own};
	uint32_t resolver = htonl(RESOLVER_IP);
	r.n_ip_be = 1;
	r.ip_be = &resolver;
	own.has_ip_be = own.has_prefix = true;
	own.ip_be = htonl(HOST_IP);
	own.prefix = 24;
	h.n_own = 1;
	h.own = owns;
	natproxy_send_resolvers(actors_super(ACTOR_NATPROXY), &r, NULL, 0);
	natproxy_send_host_network(actors_super(ACTOR_NATPROXY), &h, NULL, 0);
}

Nl__Hub *gateway_hub(void)
{
	static Nl__Hub *hub;
	if (!hub)
		hub = make_hub();
	return hub;
}

void gateway_configure(enum actor_id id)
{
	struct actor *a = &nodes[id].actor;
	Nl__ActorConfigure m = NL__ACTOR_CONFIGURE__INIT;
	m.hub = gateway_hub();
	a->now_ns = clock_ns();
	if (a->ops->configure)
		cr_assert_eq(a->ops->configure(a->self, &m), 0);
	nodes[id].more = true;
	actors_kick(id);
}

void gateway_kick(void)
{
	Nl__PortDetach m = NL__PORT_DETACH__INIT;
	m.has_port = kicked = true;
	m.port = PORT_SIM_NUMBER;
	broker_send_port_detach(actors_super(ACTOR_BROKER), &m, NULL, 0);
}

uint32_t gateway_ports_closed(void)
{
	return closed;
}

static void attach(bool tap)
{
	Nl__PortAttach m = NL__PORT_ATTACH__INIT;
	static char name[] = "sim";
	m.has_port = m.has_kind = m.has_vnet_hdr = m.has_mtu = true;
	m.port = PORT_SIM_NUMBER;
	m.kind = tap ? NL__PORT_KIND__TAP : NL__PORT_KIND__QEMU_DGRAM;
	m.vnet_hdr = tap;
	m.mtu = 1500;
	m.name = name;
	port_sim_open(tap);
	actors_send_fd(PORT_SIM_FD);
	broker_send_port_attach(actors_super(ACTOR_BROKER), &m, NULL, 0);
}

void gateway_boot(bool tap)
{
	static Nl__ActorBoot boot = NL__ACTOR_BOOT__INIT;
	static uint8_t entropy[32];
	for (size_t i = 0; i < sizeof(entropy); i++)
		entropy[i] = (uint8_t)(7 * i + 1);
	boot.hub = gateway_hub();
	boot.has_generation = boot.has_wall_ms = boot.has_boot_ms = boot.has_entropy = true;
	boot.generation = 1;
	boot.wall_ms = UINT64_C(1700000000000);
	boot.boot_ms = clock_ns() / MS;
	boot.entropy = (ProtobufCBinaryData){sizeof(entropy), entropy};
	boot.has_sockets_max = boot.has_echo_allowed = boot.echo_allowed = true;
	boot.sockets_max = 4096;
	actors_make();
	actors_boot(&boot);
	actors_start();
	tell_natproxy();
	attach(tap);
	clock_sleep(10 * MS);
}

static bool bound(void *arg)
{
	return guest.dhcp == DHCP_BOUND;
}

static bool resolved(void *arg)
{
	return guest.gateway_known;
}

void gateway_with_guest(bool tap)
{
	static const struct cable_profile perfect = {
		.delay_ns = 50 * US, .bits_per_second = 1000000000};
	cable_set(&perfect, 1);
	gateway_boot(tap);
	guest.tso = tap;
	guest_dhcp();
	cr_assert(clock_until(bound, NULL, 10 * SECOND), "no lease");
	guest_ask_gateway();
	cr_assert(clock_until(resolved, NULL, SECOND), "no ARP reply");
}

/* Accounts. */

uint64_t gateway_drops(enum actor_id id, enum drop why)
{
	return nodes[id].actor.drops.count[why];
}

uint64_t gateway_drops_all(void)
{
	uint64_t n = 0;
	for (int id = 0; id < ACTOR_COUNT; id++)
		for (int why = 0; why < DROP_COUNT; why++)
			n += nodes[id].actor.drops.count[why];
	return n;
}

static struct look look_at(enum actor_id id)
{
	static void (*const looks[ACTOR_COUNT])(const void *, struct look *) = {
		broker_look, netstack_look, natproxy_look, dhcpd_look, alg_look};
	struct look l = {0};
	looks[id](nodes[id].actor.self, &l);
	return l;
}

uint32_t gateway_buffers_out(enum actor_id id)
{
	const struct arena *a = &nodes[id].actor.arena;
	struct look l = look_at(id);
	if (!a->base)
		return 0;
	return ARENA_SMALL_COUNT - a->free_count[BUF_SMALL] - l.ready[BUF_SMALL] +
	       ARENA_LARGE_COUNT - a->free_count[BUF_LARGE] - l.ready[BUF_LARGE];
}

static void ring_at_rest(enum actor_id id)
{
	const struct actor *a = &nodes[id].actor;
	for (size_t i = 0; i < a->link_count; i++) {
		const struct link *l = a->links[i];
		cr_expect(l->head == l->published && !l->release_count && !link_pending(l) &&
				  !l->error,
			"%s: something is left in its ring to %s", actors_names[id],
			actors_names[l->to]);
	}
}

void gateway_at_rest(void)
{
	clock_sleep(REST_S * SECOND);
	for (int i = 0; i < ACTOR_COUNT; i++) {
		enum actor_id id = (enum actor_id)i;
		struct look l = look_at(id);
		cr_expect_eq(
			l.entries, 0, "%s: %u table entries are left", actors_names[i], l.entries);
		cr_expect_eq(gateway_buffers_out(id), 0, "%s: %u buffers are not free",
			actors_names[i], gateway_buffers_out(id));
		cr_expect_eq(
			nodes[i].actor.fallback_wakes, 0, "%s lost a doorbell", actors_names[i]);
		ring_at_rest(id);
	}
	cr_expect_eq(internet_sockets(), 0, "%u sockets are open", internet_sockets());
	cr_expect_eq(incidents, 0, "%u incidents", incidents);
	cr_expect_eq(trace_violations(), 0, "invariant 6 was violated");
}
