/*
 * natproxy, the actor: gives the core its rings, channels, sockets and clock. Everything of
 * substance is in the core (natproxy.h); the memory is static, so that only what is used is ever
 * touched and nothing is allocated after boot.
 */
#include <errno.h>
#include <stdlib.h>

#include "actor.h"
#include "dns.h"
#include "natproxy.h"
#include "natproxy_dispatch.h"
#include "watch.h"

enum { EDGE_NETSTACK = 1, EDGE_ALG = 2, ENTROPY_BYTES = 32 };

struct shell {
	struct actor *actor;
	struct natproxy core;
	struct sock_host sock;
	struct ev_io watcher[NATPROXY_FD_MAX];
};

static struct chan *netstack(struct shell *self)
{
	return &self->actor->chan[EDGE_NETSTACK];
}

static struct chan *alg(struct shell *self)
{
	return &self->actor->chan[EDGE_ALG];
}

static void say_security(void *context, const Nl__EventRow *event)
{
	actor_event(((struct shell *)context)->actor, event);
}

static void say_diagnostic(void *context, const char *line)
{
	actor_diagnostic(((struct shell *)context)->actor, "%s", line);
}

static void send_uplink_state(void *context, const Nl__UplinkState *m)
{
	netstack_send_uplink_state(netstack(context), m, NULL, 0);
}

static void send_alg_edge(void *context, uint32_t generation)
{
	struct shell *self = context;
	Nl__AlgEdge m = NL__ALG_EDGE__INIT;
	actor_renew(self->actor, EDGE_ALG);
	m.has_generation = true;
	m.generation = generation;
	alg_send_alg_edge(alg(self), &m, NULL, 0);
}

static int send_flow_inspect(void *context, const Nl__FlowInspect *m)
{
	return alg_send_flow_inspect(alg(context), m, NULL, 0);
}

static int send_flow_bytes(void *context, const Nl__FlowBytes *m)
{
	return alg_send_flow_bytes(alg(context), m, NULL, 0);
}

static int send_pinhole_answer(void *context, const Nl__PinholeAnswer *m)
{
	return alg_send_pinhole_answer(alg(context), m, NULL, 0);
}

static int send_flow_end(void *context, const Nl__FlowEnd *m)
{
	return alg_send_flow_end(alg(context), m, NULL, 0);
}

static int send_pinhole_gone(void *context, const Nl__PinholeGone *m)
{
	return alg_send_pinhole_gone(alg(context), m, NULL, 0);
}

static void say_alg_silent(void *context)
{
	actor_incident(((struct shell *)context)->actor, EDGE_ALG, "it does not answer");
}

static void send_socket_wanted(void *context, const Nl__SocketWanted *m)
{
	super_send_socket_wanted(&((struct shell *)context)->actor->chan[0], m, NULL, 0);
}

static void tick(struct shell *self)
{
	natproxy_time(&self->core, actor_now_ns(self->actor), actor_wall_ms(self->actor));
}

static void on_ready(void *context, int fd, unsigned int events)
{
	struct shell *self = context;
	tick(self);
	natproxy_ready(&self->core, fd, events);
}

static int boot(void *opaque, struct actor *a, const Nl__ActorBoot *b)
{
	struct shell *self = opaque;
	if (!b->has_entropy || b->entropy.len < ENTROPY_BYTES)
		return -EINVAL;
	struct inspect *inspect = calloc(1, natproxy_inspect_bytes());
	if (!inspect)
		return -ENOMEM;
	self->actor = a;
	watch_init(&self->sock, a->loop, self->watcher, NATPROXY_FD_MAX, on_ready, self);
	const struct natproxy_setup setup = {
		.shell = {self, say_security, say_diagnostic, send_uplink_state, send_alg_edge,
			send_flow_inspect, send_flow_bytes, send_pinhole_answer, send_flow_end,
			send_pinhole_gone, say_alg_silent, send_socket_wanted},
		.sock = &self->sock,
		.link = &a->link[EDGE_NETSTACK - 1],
		.arena = &a->arena,
		.view = &a->view[0],
		.drops = &a->drops,
		.hub = b->hub,
		.generation = b->generation,
		.shards = a->shards,
		.ports = a->ports,
		.sockets_max = b->sockets_max,
		.echo_allowed = b->echo_allowed,
		.name = a->name,
		.entropy = b->entropy.data,
		.domain = b->domain,
	};
	const int error = natproxy_init(&self->core, &setup, inspect);
	if (error)
		return error;
	actor_reserve_fds(a, (int)self->core.config.sockets_max);
	return 0;
}

static void start(void *opaque)
{
	struct shell *self = opaque;
	tick(self);
	natproxy_start(&self->core);
}

static void drain(void *opaque)
{
	natproxy_drain(&((struct shell *)opaque)->core);
}

static bool turn(void *opaque)
{
	struct shell *self = opaque;
	struct link *l = &self->actor->link[EDGE_NETSTACK - 1];
	struct ring_desc d;
	int n = 0;
	tick(self);
	while (n < ACTOR_BUDGET && link_recv(l, &d, NULL) == 1) {
		n++;
		if (natproxy_ring_netstack(&self->core, &d, NULL)) {
			actor_incident(self->actor, EDGE_NETSTACK,
				"an operation that its flow does not permit");
			break;
		}
	}
	return natproxy_flush(&self->core) || n == ACTOR_BUDGET;
}

static int on_record(void *opaque, int edge, struct chan_in *in)
{
	struct shell *self = opaque;
	tick(self);
	if (edge == 0)
		return natproxy_dispatch_super(&self->core, in);
	if (edge == EDGE_NETSTACK)
		return natproxy_dispatch_netstack(&self->core, in);
	const int error = natproxy_dispatch_alg(&self->core, in);
	if (error)
		natproxy_alg_lost(&self->core);
	return error;
}

static uint64_t dump(void *opaque, Nl__Topic topic, uint64_t cursor)
{
	struct shell *self = opaque;
	struct natproxy_row_space space;
	union {
		ProtobufCMessage base;
		Nl__NatRow nat;
		Nl__HubRow hub;
		Nl__ExpectationRow expectation;
		Nl__ForwardRow forward;
		Nl__AlgRow alg;
	} row;
	for (;;) {
		uint64_t next = 0;
		if (topic == NL__TOPIC__NAT)
			next = natproxy_nat_row(&self->core, cursor, &row.nat, &space);
		else if (topic == NL__TOPIC__HUBS)
			next = natproxy_hub_row(&self->core, cursor, &row.hub);
		else if (topic == NL__TOPIC__EXPECTATIONS)
			next = natproxy_expectation_row(
				&self->core, cursor, &row.expectation, &space);
		else if (topic == NL__TOPIC__FORWARDS)
			next = natproxy_forward_row(&self->core, cursor, &row.forward, &space);
		else if (topic == NL__TOPIC__ALG_STATS)
			next = natproxy_alg_row(&self->core, cursor, &row.alg, &space);
		if (!next || !actor_row(self->actor, &row.base))
			return next ? cursor : 0;
		cursor = next;
	}
}

static int configure(void *opaque, const Nl__ActorConfigure *m)
{
	struct shell *self = opaque;
	tick(self);
	dns_host_domain(&self->core, m->domain);
	return natproxy_configure(&self->core, m->hub);
}

static uint32_t order(void *opaque, const Nl__Order *order)
{
	struct shell *self = opaque;
	tick(self);
	return natproxy_order(&self->core, order);
}

static uint64_t deadline(void *opaque)
{
	return natproxy_deadline(&((struct shell *)opaque)->core);
}

static void timeout(void *opaque, uint64_t now_ns)
{
	struct shell *self = opaque;
	tick(self);
	natproxy_timeout(&self->core);
}

int main(void)
{
	static const struct actor_ops ops = {
		.id = ACTOR_NATPROXY,
		.boot = boot,
		.start = start,
		.drain = drain,
		.turn = turn,
		.on_record = on_record,
		.dump = dump,
		.configure = configure,
		.order = order,
		.deadline = deadline,
		.timeout = timeout,
	};
	static struct shell self;
	return actor_main(&ops, &self);
}
