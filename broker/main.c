/*
 * Theory of operation
 *
 * The broker owns the ports and one end of the ring to the netstack of each shard. Its work is done once a turn of
 * the actor's loop, so that the ring is published and the neighbour woken once for a whole batch:
 *
 *     readable ports ──▶ bit set ──▶ turn: rings from the netstacks, then each port's batch, then ports
 * that broke
 *
 * A port that must wait (no buffers, ring full) is starved: it is no longer watched, because
 * level-triggered readiness would spin, and it is tried again after every turn in which netstack
 * may have given something back, at the latest after a millisecond.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "actor.h"
#include "bridge.h"
#include "broker_dispatch.h"
#include "port.h"
#include "session.h"

enum {
	BROKER_EDGE_DHCPD = 1,
	BROKER_EDGE_NETSTACK = 2, /* of shard 0; those of the others follow */
	BROKER_MACS_DEFAULT = 64
};
#define BROKER_SWEEP_NS                                                                            \
	(5 * UINT64_C(1000000000)) /* all of the table in 320 s, about its ageing time */
#define BROKER_RETRY_NS UINT64_C(1000000)

struct broker {
	struct actor *actor;
	bool started;	    /* ports that come earlier are not read yet */
	unsigned int shard; /* whose record or descriptor is being handled */
	uint64_t readable;  /* slots to be read in this turn */
	uint64_t starved;   /* slots that wait for buffers or ring slots, unwatched */
	uint64_t watched;   /* slots whose writability is watched */
	uint64_t told;	    /* slots whose crowd the operator knows of */
	uint32_t untold;    /* shards that are to hear which MAC the gateway has */
	uint64_t sweep_ns, retry_ns;
	uint64_t created_ms;
	struct bridge bridge;
	struct port port[PORTS_MAX];
};

static struct broker broker;

static ssize_t broker_write(void *context, unsigned int slot, const struct iovec *piece, int pieces)
{
	struct broker *self = context;
	return port_write(&self->port[slot], piece, pieces);
}

static int broker_dhcp(
	void *context, uint32_t number, const uint8_t *frame, uint32_t bytes, bool csum_ok)
{
	struct broker *self = context;
	Nl__DhcpHeard m = NL__DHCP_HEARD__INIT;
	m.has_port = m.has_frame = m.has_csum_ok = true;
	m.port = number;
	m.frame = (ProtobufCBinaryData){bytes, (uint8_t *)(uintptr_t)frame};
	m.csum_ok = csum_ok;
	return dhcpd_send_dhcp_heard(&self->actor->chan[BROKER_EDGE_DHCPD], &m, NULL, 0);
}

/* What the hub's configuration says to the bridge: 0, or -EINVAL when the supervisor left something
 * out. */
static int broker_read(struct bridge_change *c, const Nl__Hub *hub)
{
	const Nl__VirtualHost *host = hub ? hub->host : NULL;
	if (!host || !host->mac || host->mac->octets.len != 6 || !host->address)
		return -EINVAL;
	memcpy(c->gateway.mac, host->mac->octets.data, 6);
	c->gateway.ip_be = host->address->be;
	c->gateway.off = hub->has_enable && !hub->enable;
	c->gateway.dhcp = hub->dhcp && hub->dhcp->enable;
	c->mtu = hub->nat ? hub->nat->mtu : 0;
	c->open_arp = hub->has_arp_guard && !hub->arp_guard;
	c->macs_per_port = BROKER_MACS_DEFAULT;
	if (hub->limits && hub->limits->macs_per_port)
		c->macs_per_port = hub->limits->macs_per_port;
	return 0;
}

static int broker_first(struct bridge_config *c, const Nl__ActorBoot *boot)
{
	struct bridge_change hub = {0};
	if (broker_read(&hub, boot->hub) || boot->entropy.len < sizeof c->key)
		return -EINVAL;
	if (boot->has_shard_key && boot->shard_key.len == sizeof c->shard_key)
		memcpy(&c->shard_key, boot->shard_key.data, sizeof c->shard_key);
	else if (c->shards > 1)
		return -EINVAL;
	memcpy(&c->key, boot->entropy.data, sizeof c->key);
	c->gateway = hub.gateway;
	c->macs_per_port = hub.macs_per_port;
	c->open_arp = hub.open_arp;
	return 0;
}

/* A stream port whose peer ended answers EPIPE, not a signal. Syscalls: rt_sigaction */
static int broker_boot(void *arg, struct actor *a, const Nl__ActorBoot *boot)
{
	struct broker *self = arg;
	struct bridge_config c = {.arena = &a->arena,
		.shards = a->shards,
		.drops = &a->drops,
		.io = {.port = {.context = self, .write = broker_write}, .dhcp = broker_dhcp}};
	int error = broker_first(&c, boot);
	if (error)
		return error;
	for (unsigned int i = 0; i < a->shards; i++)
		c.shard[i] =
			(struct bridge_shard){&a->link[BROKER_EDGE_NETSTACK - 1 + i], &a->view[i]};
	signal(SIGPIPE, SIG_IGN);
	self->actor = a;
	self->created_ms = boot->wall_ms;
	bridge_init(&self->bridge, &c);
	actor_reserve_fds(a, BROKER_PORT_LAST);
	return 0;
}

static int broker_configure(void *arg, const Nl__ActorConfigure *m)
{
	struct broker *self = arg;
	struct bridge_change c = {0};
	bool was_off = self->bridge.config.gateway.off;
	int error = broker_read(&c, m->hub);
	if (error)
		return error;
	bridge_configure(&self->bridge, &c, actor_now_ns(self->actor));
	if (was_off && !c.gateway.off)
		self->created_ms = actor_wall_ms(self->actor);
	self->untold = (1U << self->actor->shards) - 1;
	self->told &= self->bridge.crowded;
	return 0;
}

static void broker_start(void *arg)
{
	struct broker *self = arg;
	self->started = true;
	for (uint64_t left = self->bridge.attached; left; left &= left - 1)
		port_want_read(&self->port[__builtin_ctzll(left)], self->actor->loop, true);
}

static void broker_drain(void *arg)
{
	struct broker *self = arg;
	for (uint64_t left = self->bridge.attached; left; left &= left - 1)
		port_want_read(&self->port[__builtin_ctzll(left)], self->actor->loop, false);
	self->readable = self->starved = 0;
}

static void broker_readable(struct ev_loop *loop, struct ev_io *w, int events)
{
	struct broker *self = w->data;
	const struct port *p =
		(const struct port *)((const char *)w - offsetof(struct port, reader));
	self->readable |= UINT64_C(1) << (p - self->port);
}

static void broker_writable(struct ev_loop *loop, struct ev_io *w, int events)
{
	struct broker *self = w->data;
	const struct port *p =
		(const struct port *)((const char *)w - offsetof(struct port, writer));
	bridge_flush(&self->bridge, (unsigned int)(p - self->port));
}

/* dhcpd looks for other servers on each port. */
static void broker_tell_dhcpd(struct broker *self, unsigned int slot)
{
	Nl__PortOpened m = NL__PORT_OPENED__INIT;
	m.has_port = true;
	m.port = self->bridge.port[slot].number;
	m.name = self->port[slot].name;
	dhcpd_send_port_opened(&self->actor->chan[BROKER_EDGE_DHCPD], &m, NULL, 0);
}

static void broker_port_closed(struct broker *self, uint32_t number, const char *why)
{
	Nl__PortClosed m = NL__PORT_CLOSED__INIT;
	m.has_port = true;
	m.port = number;
	m.why = (char *)(uintptr_t)why;
	super_send_port_closed(&self->actor->chan[0], &m, NULL, 0);
}

static struct chan *broker_netstack(struct broker *self, unsigned int shard)
{
	return &self->actor->chan[BROKER_EDGE_NETSTACK + shard];
}

/* A channel that is full now is tried again in a later turn. */
static void broker_tell_mac(struct broker *self)
{
	Nl__GatewayMoved m = NL__GATEWAY_MOVED__INIT;
	m.has_mac = true;
	m.mac = (ProtobufCBinaryData){6, self->bridge.config.gateway.mac};
	for (unsigned int i = 0; i < self->actor->shards; i++)
		if (self->untold >> i & 1 &&
			netstack_send_gateway_moved(broker_netstack(self, i), &m, NULL, 0) == 0)
			self->untold &= ~(1U << i);
}

/* A LAN may well have more stations than a port may by default: once for each port that is crowded. */
static void broker_tell_crowds(struct broker *self)
{
	for (uint64_t left = self->bridge.crowded & ~self->told; left; left &= left - 1)
		actor_diagnostic(self->actor,
			"%s has %u stations, as many as limits.macs_per_port allows: frames of "
			"others are "
			"dropped. If a LAN is behind it: natlockctl hub set limits.macs_per_port=N",
			self->port[__builtin_ctzll(left)].name, self->bridge.config.macs_per_port);
	self->told = self->bridge.crowded;
}

/* The netstacks learn which stations went away with a port (one station may have addresses in several shards);
 * where a channel is full its timers find out. */
static void broker_forget_stations(struct broker *self, unsigned int slot)
{
	uint8_t mac[6];
	uint32_t cursor = 0;
	while (fdb_forget(&self->bridge.fdb, slot, &cursor, mac)) {
		Nl__StationGone m = NL__STATION_GONE__INIT;
		m.has_mac = m.has_port = true;
		m.mac = (ProtobufCBinaryData){sizeof mac, mac};
		m.port = self->bridge.port[slot].number;
		for (unsigned int i = 0; i < self->actor->shards; i++)
			netstack_send_station_gone(broker_netstack(self, i), &m, NULL, 0);
	}
}

static void broker_detach(struct broker *self, unsigned int slot)
{
	uint64_t others = ~(UINT64_C(1) << slot);
	Nl__PortGone m = NL__PORT_GONE__INIT;
	m.has_port = true;
	m.port = self->bridge.port[slot].number;
	dhcpd_send_port_gone(&self->actor->chan[BROKER_EDGE_DHCPD], &m, NULL, 0);
	broker_forget_stations(self, slot);
	bridge_detach(&self->bridge, slot);
	port_close(&self->port[slot], self->actor->loop);
	self->readable &= others;
	self->starved &= others;
	self->watched &= others;
}

/* Takes what a shard's netstack sent, at most ACTOR_BUDGET descriptors; true when more may be waiting. */
static bool broker_take_ring(struct broker *self, unsigned int shard)
{
	struct link *l = self->bridge.config.shard[shard].netstack;
	self->shard = shard;
	for (int n = 0; n < ACTOR_BUDGET; n++) {
		struct ring_desc d;
		struct ring_header h;
		const char *what = "frame or release out of range";
		int got = link_peek(l, &d, &h);
		if (got == 0)
			return false;
		if (got > 0 && broker_ring_netstack(self, &d, &h) == 0) {
			link_consumed(l);
			continue;
		}
		link_fail(l, what);
		link_error(l, &what);
		actor_incident(self->actor, BROKER_EDGE_NETSTACK + (int)shard, what);
		return false;
	}
	return true;
}

/* Reads a port's batch; true when more is waiting. */
static bool broker_take_port(struct broker *self, unsigned int slot, uint64_t now_ns)
{
	struct port *p = &self->port[slot];
	uint64_t bit = UINT64_C(1) << slot;
	enum port_state state = port_receive(p, &self->bridge, slot, now_ns);
	bool starved = state == PORT_SHORT;
	if (starved != ((self->starved & bit) != 0)) {
		port_want_read(p, self->actor->loop, !starved);
		self->starved ^= bit;
		self->retry_ns = now_ns + BROKER_RETRY_NS;
	}
	if (state == PORT_GONE)
		self->bridge.broken |= bit;
	if (state != PORT_MORE)
		self->readable &= ~bit;
	return state == PORT_MORE;
}

static void broker_close_broken(struct broker *self)
{
	for (uint64_t left = self->bridge.broken; left; left &= left - 1) {
		unsigned int slot = (unsigned int)__builtin_ctzll(left);
		uint32_t number = self->bridge.port[slot].number;
		const char *why = self->port[slot].why;
		broker_detach(self, slot);
		broker_port_closed(self, number, why ? why : "write error");
	}
}

/* Watches exactly those ports for writability that have frames queued. */
static void broker_watch_blocked(struct broker *self)
{
	for (uint64_t left = self->bridge.blocked ^ self->watched; left; left &= left - 1) {
		unsigned int slot = (unsigned int)__builtin_ctzll(left);
		bool on = self->bridge.blocked >> slot & 1;
		port_want_write(&self->port[slot], self->actor->loop, on);
	}
	self->watched = self->bridge.blocked;
}

static bool broker_turn(void *arg)
{
	struct broker *self = arg;
	bool more = false;
	uint64_t now_ns = actor_now_ns(self->actor);
	for (unsigned int i = 0; i < self->actor->shards; i++)
		more |= broker_take_ring(self, i);
	for (uint64_t left = self->readable | self->starved; left; left &= left - 1)
		more |= broker_take_port(self, (unsigned int)__builtin_ctzll(left), now_ns);
	broker_close_broken(self);
	broker_watch_blocked(self);
	if (self->untold)
		broker_tell_mac(self);
	if (self->told != self->bridge.crowded)
		broker_tell_crowds(self);
	return more;
}

static uint64_t broker_deadline(void *arg)
{
	const struct broker *self = arg;
	return self->starved && self->retry_ns < self->sweep_ns ? self->retry_ns : self->sweep_ns;
}

static void broker_timeout(void *arg, uint64_t now_ns)
{
	struct broker *self = arg;
	self->retry_ns = now_ns + BROKER_RETRY_NS;
	if (now_ns < self->sweep_ns)
		return;
	bridge_sweep(&self->bridge, now_ns);
	self->sweep_ns = now_ns + BROKER_SWEEP_NS;
}

/* The broker's part of the hub's row. */
static void dump_hub(struct broker *self)
{
	Nl__HubRow row = NL__HUB_ROW__INIT;
	row.has_ports = true;
	row.ports = (uint32_t)__builtin_popcountll(self->bridge.attached);
	actor_row(self->actor, &row.base);
}

/* Cursor 0 is the gateway's session, slot + 1 a port's. */
static uint64_t broker_dump(void *arg, Nl__Topic topic, uint64_t cursor)
{
	struct broker *self = arg;
	if (topic == NL__TOPIC__HUBS)
		dump_hub(self);
	if (topic != NL__TOPIC__SESSIONS)
		return 0;
	for (; cursor <= PORTS_MAX; cursor++) {
		Nl__SessionRow row;
		char text[SESSION_NAME_BYTES];
		unsigned int slot = (unsigned int)cursor - 1;
		if (cursor > 0 ? !(self->bridge.attached >> slot & 1)
			       : self->bridge.config.gateway.off)
			continue;
		if (cursor == 0)
			session_gateway(&row, &self->bridge, self->created_ms);
		else
			session_port(&row, &self->bridge, slot, self->port[slot].name,
				(char *)(uintptr_t)port_kind_name(self->port[slot].kind),
				self->port[slot].created_ms, text);
		if (!actor_row(self->actor, &row.base))
			return cursor;
	}
	return 0;
}

int broker_on_port_attach(struct broker *self, const Nl__PortAttach *m, struct chan_in *in)
{
	int fd = chan_take_fd(in, 0);
	uint64_t free_slots = ~self->bridge.attached;
	unsigned int slot;
	struct port *p;
	if (fd < BROKER_PORT_FIRST || fd > BROKER_PORT_LAST || !free_slots ||
		m->port == RING_PORT_BY_MAC || bridge_slot(&self->bridge, m->port) >= 0) {
		if (fd >= 0)
			close(fd);
		broker_port_closed(self, m->port, "too many ports, or the number is in use");
		return 0;
	}
	slot = (unsigned int)__builtin_ctzll(free_slots);
	p = &self->port[slot];
	port_open(p, fd, m);
	p->created_ms = actor_wall_ms(self->actor);
	bridge_attach(&self->bridge, slot, m->port, p->vnet, m->kind == NL__PORT_KIND__QEMU_STREAM,
		m->mtu);
	port_watch(p, broker_readable, broker_writable, self);
	port_want_read(p, self->actor->loop, self->started);
	broker_tell_dhcpd(self, slot);
	return 0;
}

int broker_on_port_detach(struct broker *self, const Nl__PortDetach *m, struct chan_in *in)
{
	int slot = bridge_slot(&self->bridge, m->port);
	if (slot < 0) /* it closed just now and that was said; the number may be another port's soon */
		return 0;
	broker_detach(self, (unsigned int)slot);
	broker_port_closed(self, m->port, "detached");
	return 0;
}

/* dhcpd was asked nothing that the guests will not ask again; a netstack starts with an empty ring. */
int broker_on_edge_renewed(struct broker *self, const Nl__EdgeRenewed *m, struct chan_in *in)
{
	if (m->shard >= self->actor->shards)
		return -EPROTO;
	actor_renew(self->actor,
		m->has_shard ? BROKER_EDGE_NETSTACK + (int)m->shard : BROKER_EDGE_DHCPD);
	for (uint64_t left = m->has_shard ? 0 : self->bridge.attached; left; left &= left - 1)
		broker_tell_dhcpd(self, (unsigned int)__builtin_ctzll(left));
	return 0;
}

int broker_on_edge_lost(struct broker *self, const Nl__EdgeLost *m, struct chan_in *in)
{
	Nl__EdgeCleared cleared = NL__EDGE_CLEARED__INIT;
	if (m->shard >= self->actor->shards)
		return -EPROTO;
	actor_lose(self->actor, BROKER_EDGE_NETSTACK + (int)m->shard);
	bridge_shard_lost(&self->bridge, m->shard);
	cleared.has_shard = cleared.has_generation = true;
	cleared.shard = m->shard;
	cleared.generation = m->generation;
	super_send_edge_cleared(&self->actor->chan[0], &cleared, NULL, 0);
	return 0;
}

int broker_on_stack_ready(struct broker *self, const Nl__StackReady *m, struct chan_in *in)
{
	if (m->mac.len != 6 || !steer_owns(&self->bridge.config.gateway, m->mac.data))
		return -EPROTO;
	if (memcmp(m->mac.data, self->bridge.config.gateway.mac, 6))
		self->untold |= 1U << self->shard; /* it was begun before a change */
	return 0;
}

int broker_on_dhcp_answer(struct broker *self, const Nl__DhcpAnswer *m, struct chan_in *in)
{
	return bridge_answer(&self->bridge, m->frame.data, m->frame.len, m->all_ports, m->port,
		actor_now_ns(self->actor));
}

int broker_op_send(struct broker *self, const struct ring_desc *d, const struct ring_header *h)
{
	return bridge_send(&self->bridge, self->shard, d, h, actor_now_ns(self->actor));
}

int broker_op_release_frame(struct broker *self, const struct ring_desc *d)
{
	return bridge_release(&self->bridge, self->shard, d);
}

static int broker_on_record(void *arg, int edge, struct chan_in *in)
{
	struct broker *self = arg;
	if (edge == 0)
		return broker_dispatch_super(self, in);
	if (edge == BROKER_EDGE_DHCPD)
		return broker_dispatch_dhcpd(self, in);
	self->shard = (unsigned int)(edge - BROKER_EDGE_NETSTACK);
	return broker_dispatch_netstack(self, in);
}

int main(void)
{
	static const struct actor_ops ops = {
		.id = ACTOR_BROKER,
		.boot = broker_boot,
		.start = broker_start,
		.configure = broker_configure,
		.drain = broker_drain,
		.turn = broker_turn,
		.on_record = broker_on_record,
		.dump = broker_dump,
		.deadline = broker_deadline,
		.timeout = broker_timeout,
	};
	return actor_main(&ops, &broker);
}
