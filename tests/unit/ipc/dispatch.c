/* Generated dispatch: every message reaches its handler, everything else is -EPROTO. netstack and
 * the supervisor as examples. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netstack_dispatch.h"
#include "operator_dispatch.h"
#include "super_dispatch.h"

struct netstack {
	int station_gone, uplink_state, ops[RING_OP_COUNT], result;
};
struct super_peer {
	int calls[9], result;
	uint64_t sequence;
};
struct operator_peer {
	int attach, others, fd;
};

static uint8_t memory[65536], buffer[65536];
static struct pool pool;

static struct chan_in record(const void *bytes, size_t n)
{
	pool_init(&pool, memory, sizeof(memory));
	return (struct chan_in){.bytes = bytes, .len = n, .pool = &pool};
}

int netstack_on_station_gone(struct netstack *self, const Nl__StationGone *m, struct chan_in *in)
{
	self->station_gone += (int)m->port;
	return self->result;
}
int netstack_on_gateway_moved(struct netstack *self, const Nl__GatewayMoved *m, struct chan_in *in)
{
	return 0;
}
int netstack_on_uplink_state(struct netstack *self, const Nl__UplinkState *m, struct chan_in *in)
{
	self->uplink_state++;
	return 0;
}
#define OP_HANDLER(NAME, OP)                                                                       \
	int netstack_op_##NAME(struct netstack *self, const struct ring_desc *d)                   \
	{                                                                                          \
		cr_assert_eq(d->op, OP);                                                           \
		self->ops[d->op]++;                                                                \
		return 0;                                                                          \
	}
OP_HANDLER(frame, RING_BROKER_FRAME)
OP_HANDLER(tcp_opened, RING_NATPROXY_TCP_OPENED)
OP_HANDLER(tcp_failed, RING_NATPROXY_TCP_FAILED)
OP_HANDLER(tcp_incoming, RING_NATPROXY_TCP_INCOMING)
OP_HANDLER(tcp_data, RING_NATPROXY_TCP_DATA)
OP_HANDLER(tcp_fin, RING_NATPROXY_TCP_FIN)
OP_HANDLER(tcp_reset, RING_NATPROXY_TCP_RESET)
OP_HANDLER(tcp_consumed, RING_NATPROXY_TCP_CONSUMED)
OP_HANDLER(dgram_data, RING_NATPROXY_DGRAM_DATA)
OP_HANDLER(dgram_error, RING_NATPROXY_DGRAM_ERROR)
OP_HANDLER(dgram_incoming, RING_NATPROXY_DGRAM_INCOMING)
OP_HANDLER(dgram_closed, RING_NATPROXY_DGRAM_CLOSED)
OP_HANDLER(release_written, RING_NATPROXY_RELEASE_WRITTEN)

#define SUPER_HANDLER(NAME, TYPE, INDEX)                                                           \
	int super_on_##NAME(struct super_peer *p, const Nl__##TYPE *m, struct chan_in *in)         \
	{                                                                                          \
		p->calls[INDEX]++;                                                                 \
		return p->result;                                                                  \
	}
SUPER_HANDLER(actor_hello, ActorHello, 0)
SUPER_HANDLER(actor_locked, ActorLocked, 1)
SUPER_HANDLER(actor_drained, ActorDrained, 2)
SUPER_HANDLER(actor_rows, ActorRows, 3)
SUPER_HANDLER(actor_note, ActorNote, 4)
SUPER_HANDLER(actor_incident, ActorIncident, 5)
SUPER_HANDLER(port_closed, PortClosed, 6)
SUPER_HANDLER(actor_answer, ActorAnswer, 8)
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
	p->calls[7]++;
	p->sequence = m->sequence;
	return p->result;
}

#define OPERATOR_HANDLER(NAME, TYPE)                                                               \
	int operator_on_##NAME(struct operator_peer *p, const Nl__##TYPE *m, struct chan_in *in)   \
	{                                                                                          \
		p->others++;                                                                       \
		return 0;                                                                          \
	}
OPERATOR_HANDLER(table_request, TableRequest)
OPERATOR_HANDLER(policy_request, PolicyRequest)
OPERATOR_HANDLER(shutdown_request, ShutdownRequest)
OPERATOR_HANDLER(restart_request, RestartRequest)
OPERATOR_HANDLER(version_request, VersionRequest)
OPERATOR_HANDLER(change_request, ChangeRequest)
OPERATOR_HANDLER(config_request, ConfigRequest)
OPERATOR_HANDLER(reload_request, ReloadRequest)
OPERATOR_HANDLER(drain_request, DrainRequest)
OPERATOR_HANDLER(kick_request, KickRequest)
OPERATOR_HANDLER(order_request, OrderRequest)
OPERATOR_HANDLER(events_request, EventsRequest)
int operator_on_attach_request(
	struct operator_peer *p, const Nl__AttachRequest *m, struct chan_in *in)
{
	p->attach++;
	p->fd = chan_take_fd(in, 0);
	return 0;
}

static struct chan_in station_gone(uint32_t port)
{
	Nl__BrokerToNetstack w = NL__BROKER_TO_NETSTACK__INIT;
	Nl__StationGone m = NL__STATION_GONE__INIT;

	m.has_port = true;
	m.port = port;
	w.msg_case = NL__BROKER_TO_NETSTACK__MSG_STATION_GONE;
	w.station_gone = &m;
	return record(buffer, nl__broker_to_netstack__pack(&w, buffer));
}

Test(dispatch, a_message_reaches_its_handler_and_the_answer_comes_back)
{
	struct netstack n = {0};
	struct chan_in in = station_gone(5);

	cr_assert_eq(netstack_dispatch_broker(&n, &in), 0);
	cr_assert_eq(n.station_gone, 5);
	n.result = -EPROTO;
	in = station_gone(1);
	cr_assert_eq(netstack_dispatch_broker(&n, &in), -EPROTO);
}

Test(dispatch, rubbish_empty_and_unset_are_lies)
{
	static const uint8_t unknown[] = {15 << 3 | 2, 0}, cut[] = {1 << 3 | 2, 20, 1};
	struct netstack n = {0};
	struct chan_in in;

	for (int byte = 0; byte < 256; byte++) {
		uint8_t b = (uint8_t)byte;
		in = record(&b, 1);
		cr_assert_eq(netstack_dispatch_broker(&n, &in), -EPROTO);
	}
	in = record("", 0);
	cr_assert_eq(netstack_dispatch_broker(&n, &in), -EPROTO, "the oneof is not set");
	in = record(unknown, sizeof(unknown));
	cr_assert_eq(netstack_dispatch_broker(&n, &in), -EPROTO, "a message of a later version");
	in = record(cut, sizeof(cut));
	cr_assert_eq(netstack_dispatch_broker(&n, &in), -EPROTO);
	cr_assert_eq(n.station_gone, 0);
}

Test(dispatch, an_edge_without_messages_accepts_none)
{
	struct netstack n = {0};
	struct chan_in in = station_gone(1);

	cr_assert_eq(netstack_dispatch_super(&n, &in), -EPROTO);
}

static void attach_fd(struct chan_in *in)
{
	in->fds[in->nfds++] = dup(0);
}

Test(dispatch, descriptors_where_none_belong_are_a_lie_and_closed)
{
	struct netstack n = {0};
	struct chan_in in = station_gone(5);
	int fd;

	attach_fd(&in);
	fd = in.fds[0];
	cr_assert_eq(netstack_dispatch_broker(&n, &in), -EPROTO);
	cr_assert_eq(n.station_gone, 0);
	cr_assert_lt(dup2(fd, fd), 0, "closed");
}

Test(dispatch, a_message_with_a_descriptor_may_take_it)
{
	Nl__OperatorRequest w = NL__OPERATOR_REQUEST__INIT;
	Nl__AttachRequest m = NL__ATTACH_REQUEST__INIT;
	struct operator_peer p = {0};
	struct chan_in in;

	w.msg_case = NL__OPERATOR_REQUEST__MSG_ATTACH;
	w.attach = &m;
	in = record(buffer, nl__operator_request__pack(&w, buffer));
	attach_fd(&in);
	attach_fd(&in);
	cr_assert_eq(operator_dispatch_request(&p, &in), 0);
	cr_assert_eq(p.attach, 1);
	cr_assert_geq(dup2(p.fd, p.fd), 0, "the handler's");
	cr_assert_eq(in.nfds, 0, "the other was closed");
}

Test(dispatch, ring_operations_reach_their_handlers)
{
	struct netstack n = {0};
	struct ring_desc d = {0};
	int reached = 0;

	for (int op = 0; op < 256; op++) {
		d.op = (uint8_t)op;
		bool theirs = op >= RING_NATPROXY_TCP_OPENED && op <= RING_NATPROXY_RELEASE_WRITTEN;
		cr_assert_eq(netstack_ring_natproxy(&n, &d, NULL), theirs ? 0 : -EPROTO);
		cr_assert_eq(
			netstack_ring_broker(&n, &d, NULL), op == RING_BROKER_FRAME ? 0 : -EPROTO);
	}
	for (int op = 0; op < RING_OP_COUNT; op++)
		reached += n.ops[op];
	cr_assert_eq(reached, RING_NATPROXY_RELEASE_WRITTEN - RING_NATPROXY_TCP_OPENED + 2);
}

Test(dispatch, the_skeletons_form_is_understood_by_every_actors_form)
{
	Nl__ActorToSuper w = NL__ACTOR_TO_SUPER__INIT;
	Nl__ActorLocked m = NL__ACTOR_LOCKED__INIT;
	struct super_peer p = {0};
	struct chan_in in;
	size_t n;

	w.msg_case = NL__ACTOR_TO_SUPER__MSG_LOCKED;
	w.locked = &m;
	n = nl__actor_to_super__pack(&w, buffer);
	in = record(buffer, n);
	cr_assert_eq(super_dispatch_broker(&p, &in), 0);
	in = record(buffer, n);
	cr_assert_eq(super_dispatch_alg(&p, &in), 0);
	cr_assert_eq(p.calls[1], 2);
}

Test(dispatch, a_sender_packs_what_the_dispatch_unpacks)
{
	Nl__LeaseCommitted m = NL__LEASE_COMMITTED__INIT;
	Nl__SuperToDhcpd *w;
	struct chan from, to;
	struct chan_in in;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	pool_init(&pool, memory, sizeof(memory));
	chan_init(&from, ends[0], NULL, NULL, 0);
	chan_init(&to, ends[1], &pool, NULL, 0);
	m.has_sequence = true;
	m.sequence = 1234567890123;
	cr_assert_eq(dhcpd_send_lease_committed(&from, &m, NULL, 0), 0);
	cr_assert_eq(chan_recv(&to, &in), 1);
	w = nl__super_to_dhcpd__unpack(&pool.allocator, in.len, in.bytes);
	cr_assert_eq(w->msg_case, NL__SUPER_TO_DHCPD__MSG_LEASE_COMMITTED);
	cr_assert_eq(w->lease_committed->sequence, 1234567890123);
}
