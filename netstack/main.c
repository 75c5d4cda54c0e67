/*
 * netstack, the actor: this shell moves descriptors between the rings and the stack, which decides everything.
 *
 *   turn: broker's ring, natproxy's ring, timers ─▶ stack_* ─▶ stack_flush; the skeleton publishes and rings bells
 *
 * A neighbour whose descriptor breaks the protocol is reported and its ring is dead from then on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "actor.h"
#include "netstack_dispatch.h"
#include "stack.h"

enum { EDGE_BROKER = 1, EDGE_NATPROXY = 2, NETSTACK_MTU_MIN = 576 };

/* Guests of other DHCP servers: the default of ours, and the longest that an address is kept for. */
#define NETSTACK_LEASE_NS     (7200 * UINT64_C(1000000000))
#define NETSTACK_LEASE_MAX_NS (UINT64_C(24) * 3600 * 1000000000)

struct netstack {
	struct actor *actor;
	struct stack *stack;
	uint8_t mac[6];
	uint16_t mtu;
	bool draining;
};

static struct netstack netstack;

static uint64_t netstack_lease_ns(uint64_t ms)
{
	return ms < NETSTACK_LEASE_MAX_NS / 1000000 ? ms * 1000000 : NETSTACK_LEASE_MAX_NS;
}

/* What the hub's configuration says to the stack: 0, or -EINVAL when the supervisor left something out. */
static int netstack_read(struct stack_config *c, const Nl__Hub *hub)
{
	const Nl__VirtualHost *host = hub ? hub->host : NULL;
	const Nl__Nat *nat = hub ? hub->nat : NULL;
	if (!host || !nat || !host->mac || host->mac->octets.len != 6 || !host->address ||
		!host->netmask)
		return -EINVAL;
	if (nat->mtu < NETSTACK_MTU_MIN || nat->mtu > UINT16_MAX)
		return -EINVAL;
	memcpy(c->mac, host->mac->octets.data, 6);
	c->ip_be = host->address->be;
	c->mask_be = host->netmask->be;
	c->mtu = (uint16_t)nat->mtu;
	c->off = hub->has_enable && !hub->enable;
	c->former_ip_ns = NETSTACK_LEASE_NS;
	if (hub->dhcp && hub->dhcp->lease)
		c->former_ip_ns = netstack_lease_ns(hub->dhcp->lease->ms);
	c->strict = hub->data_path == NL__HUB__DATA_PATH__strict;
	c->nat_enable = nat->enable;
	c->dns_redirect = nat->dns_redirect;
	c->tcp_ecn = nat->tcp_ecn == NL__NAT__ECN__ask	 ? STACK_ECN_ASK
		     : nat->tcp_ecn == NL__NAT__ECN__off ? STACK_ECN_OFF
							 : STACK_ECN_ANSWER;
	c->icmp_dummy = nat->icmp == NL__NAT__ICMP__dummy;
	if (hub->limits) {
		c->tcp_per_guest = hub->limits->tcp_sessions_per_host;
		c->udp_per_guest = hub->limits->udp_sessions_per_host;
		c->echo_per_guest = hub->limits->icmp_sessions_per_host;
		c->half_open_per_guest = hub->limits->syn_sent_per_host;
	}
	return 0;
}

/* Memory from mmap, not written here: pages cost nothing until flows use them. */
static int netstack_boot(void *arg, struct actor *a, const Nl__ActorBoot *boot)
{
	struct netstack *self = arg;
	struct stack_config config = {0};
	struct stack_env env = {.broker = &a->link[0],
		.natproxy = &a->link[1],
		.arena = &a->arena,
		.view = &a->view[0],
		.drops = &a->drops};
	int error = netstack_read(&config, boot->hub);
	if (error || boot->entropy.len < STACK_KEY_BYTES)
		return -EINVAL;
	memcpy(config.key, boot->entropy.data, STACK_KEY_BYTES);
	self->actor = a;
	self->stack = calloc(1, stack_size());
	if (!self->stack)
		return -ENOMEM;
	memcpy(self->mac, config.mac, sizeof(self->mac));
	self->mtu = config.mtu;
	stack_init(self->stack, &config, &env, actor_now_ns(a));
	return 0;
}

static void netstack_start(void *arg)
{
	struct netstack *self = arg;
	Nl__StackReady m = NL__STACK_READY__INIT;
	m.has_mac = m.has_mtu = true;
	m.mac = (ProtobufCBinaryData){sizeof(self->mac), self->mac};
	m.mtu = self->mtu;
	broker_send_stack_ready(&self->actor->chan[EDGE_BROKER], &m, NULL, 0);
}

static int netstack_configure(void *arg, const Nl__ActorConfigure *m)
{
	struct netstack *self = arg;
	struct stack_config config = {0};
	int error = netstack_read(&config, m->hub);
	if (error)
		return error;
	stack_clock(self->stack, actor_now_ns(self->actor));
	stack_configure(self->stack, &config);
	return 0;
}

static void netstack_drain(void *arg)
{
	struct netstack *self = arg;
	self->draining = true;
}

/* Takes what waits on one ring, at most ACTOR_BUDGET descriptors; true when more may be waiting. */
static bool netstack_take(struct netstack *self, int edge)
{
	struct link *l = &self->actor->link[edge - 1];
	const char *what = "operation that the flow's state does not permit";
	for (int n = 0; n < ACTOR_BUDGET; n++) {
		struct ring_desc d;
		int got = link_recv(l, &d, NULL), error = 0;
		if (got == 0)
			return false;
		if (got > 0)
			error = edge == EDGE_BROKER ? netstack_ring_broker(self, &d, NULL)
						    : netstack_ring_natproxy(self, &d, NULL);
		if (got > 0 && error == 0)
			continue;
		link_fail(l, what);
		link_error(l, &what);
		actor_incident(self->actor, edge, what);
		return false;
	}
	return true;
}

static bool netstack_turn(void *arg)
{
	struct netstack *self = arg;
	bool more;
	stack_clock(self->stack, actor_now_ns(self->actor));
	more = netstack_take(self, EDGE_NATPROXY);
	more |= netstack_take(self, EDGE_BROKER);
	stack_poll(self->stack);
	stack_flush(self->stack);
	return more;
}

static int netstack_on_record(void *arg, int edge, struct chan_in *in)
{
	struct netstack *self = arg;
	if (edge == EDGE_BROKER)
		return netstack_dispatch_broker(self, in);
	if (edge == EDGE_NATPROXY)
		return netstack_dispatch_natproxy(self, in);
	return -EPROTO;
}

static uint64_t netstack_deadline(void *arg)
{
	const struct netstack *self = arg;
	return stack_next_deadline(self->stack);
}

static void netstack_timeout(void *arg, uint64_t now_ns)
{
	struct netstack *self = arg;
	stack_clock(self->stack, now_ns);
	stack_poll(self->stack);
}

int netstack_on_station_gone(struct netstack *self, const Nl__StationGone *m, struct chan_in *in)
{
	uint32_t ip_be;
	if (!m->has_mac || m->mac.len != 6)
		return -EPROTO;
	while (stack_station_gone(self->stack, m->mac.data, &ip_be)) {
		Nl__GuestGone gone = NL__GUEST_GONE__INIT;
		gone.has_ip_be = true;
		gone.ip_be = ip_be;
		natproxy_send_guest_gone(&self->actor->chan[EDGE_NATPROXY], &gone, NULL, 0);
	}
	return 0;
}

int netstack_on_gateway_moved(struct netstack *self, const Nl__GatewayMoved *m, struct chan_in *in)
{
	if (m->mac.len != 6)
		return -EPROTO;
	stack_clock(self->stack, actor_now_ns(self->actor));
	stack_gateway_moved(self->stack, m->mac.data);
	return 0;
}

int netstack_on_uplink_state(struct netstack *self, const Nl__UplinkState *m, struct chan_in *in)
{
	stack_uplink(self->stack, (struct stack_uplink){m->up, m->echo, m->esp});
	return 0;
}

#define NETSTACK_OP(name)                                                                          \
	int netstack_op_##name(struct netstack *self, const struct ring_desc *d)                   \
	{                                                                                          \
		return stack_op_##name(self->stack, d);                                            \
	}
NETSTACK_OP(frame)
NETSTACK_OP(tcp_opened)
NETSTACK_OP(tcp_failed)
NETSTACK_OP(tcp_incoming)
NETSTACK_OP(tcp_data)
NETSTACK_OP(tcp_fin)
NETSTACK_OP(tcp_reset)
NETSTACK_OP(tcp_consumed)
NETSTACK_OP(dgram_data)
NETSTACK_OP(dgram_error)
NETSTACK_OP(dgram_incoming)
NETSTACK_OP(dgram_closed)
NETSTACK_OP(release_written)

int main(void)
{
	static const struct actor_ops ops = {.id = ACTOR_NETSTACK,
		.boot = netstack_boot,
		.start = netstack_start,
		.configure = netstack_configure,
		.drain = netstack_drain,
		.turn = netstack_turn,
		.on_record = netstack_on_record,
		.deadline = netstack_deadline,
		.timeout = netstack_timeout};
	return actor_main(&ops, &netstack);
}
