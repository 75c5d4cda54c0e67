/*
 * Theory of operation. One node an actor. A turn follows ipc/actor.c step by step: wake, ready descriptors and
 * records, deadline, ops->turn, flush the rings, the lazy timer, the sleep protocol. A bell is seen by the counter of
 * rings that link_flush moves (bell_fd is -1); ringing schedules the neighbour's turn ACTORS_WAKE_NS later.
 */
#include "actors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"

enum { POOL_BYTES = 1 << 20, LINE_BYTES = 1024 };

struct node nodes[ACTOR_COUNT];
const char *const actors_names[ACTOR_COUNT] = {
#define ACTOR(ID, name) #name,
#include "topology.def"
};

static const struct {
	uint8_t a, b;
	bool ring;
} edges[] = {
	{ACTOR_BROKER, ACTOR_DHCPD, false},
	{ACTOR_BROKER, ACTOR_NETSTACK, true},
	{ACTOR_NETSTACK, ACTOR_NATPROXY, true},
	{ACTOR_NATPROXY, ACTOR_ALG, false},
};

static struct chan super_chan[ACTOR_COUNT];
static int next_fd = -1;

/* Memory that costs nothing until it is touched. */
static void *zeroed(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		abort();
	return p;
}

/* Wake-ups. */

static void node_wake(void *arg);

static void schedule(struct node *n, uint64_t at_ns)
{
	if (n->scheduled && n->wake_ns <= at_ns)
		return;
	n->scheduled = true;
	n->wake_ns = at_ns;
	clock_at(at_ns, node_wake, n);
}

void actors_kick(enum actor_id id)
{
	schedule(&nodes[id], clock_ns() + nodes[id].turn_ns);
}

static struct node *node_of(const struct actor *a)
{
	for (int i = 0; i < ACTOR_COUNT; i++)
		if (&nodes[i].actor == a)
			return &nodes[i];
	abort();
}

/* Watched descriptors: what libev would know. */

void ev_io_start(struct ev_loop *loop, ev_io *w) EV_NOEXCEPT
{
	struct node *n = (struct node *)loop;
	if (w->active)
		return;
	if (n->watchers == n->watcher_room) {
		n->watcher_room = n->watcher_room ? 2 * n->watcher_room : 64;
		n->watcher = realloc(n->watcher, n->watcher_room * sizeof(struct ev_io *));
		if (!n->watcher)
			abort();
	}
	n->watcher[n->watchers++] = w;
	w->active = 1;
	schedule(n, clock_ns() + n->turn_ns);
}

void ev_io_stop(struct ev_loop *loop, ev_io *w) EV_NOEXCEPT
{
	struct node *n = (struct node *)loop;
	if (!w->active)
		return;
	for (size_t i = 0; i < n->watchers; i++)
		if (n->watcher[i] == w)
			memmove(&n->watcher[i], &n->watcher[i + 1],
				(--n->watchers - i) * sizeof(struct ev_io *));
	w->active = 0;
}

static int ready_events(const struct node *n, const struct ev_io *w)
{
	int ready = n == &nodes[ACTOR_BROKER] ? port_sim_ready(w->fd) : sock_sim_ready(w->fd);
	return ready & w->events;
}

static bool any_ready(const struct node *n)
{
	for (size_t i = 0; i < n->watchers; i++)
		if (ready_events(n, n->watcher[i]))
			return true;
	return false;
}

/* A callback may stop any watcher, its own included: those that were ready are noted first, as libev does. */
static void call_ready(struct node *n)
{
	struct ev_io *ready[1024];
	size_t count = 0;
	for (size_t i = 0; i < n->watchers && count < sizeof(ready) / sizeof(ready[0]); i++)
		if (ready_events(n, n->watcher[i]))
			ready[count++] = n->watcher[i];
	for (size_t i = 0; i < count; i++)
		if (ready[i]->active)
			ready[i]->cb((struct ev_loop *)n, ready[i], ready_events(n, ready[i]));
}

/* Records. */

static bool any_record(const struct node *n)
{
	for (int e = 0; e < n->actor.edges; e++)
		if (n->first[e])
			return true;
	return false;
}

static void deliver(struct node *n, int edge, struct record *r)
{
	struct chan_in in = {.bytes = r->data, .len = r->bytes, .pool = &n->pool};
	if (r->fd >= 0)
		in.fds[in.nfds++] = r->fd;
	pool_reset(&n->pool);
	if (n->actor.ops->on_record(n->actor.self, edge, &in) < 0)
		actor_incident(&n->actor, edge, "malformed or unexpected message");
	free(r);
}

static void take_records(struct node *n)
{
	for (int e = 0; e < n->actor.edges; e++) {
		for (int i = 0; i < ACTOR_RECORDS && n->first[e]; i++) {
			struct record *r = n->first[e];
			n->first[e] = r->next;
			deliver(n, e, r);
		}
	}
}

static void enqueue(struct node *n, int edge, const void *bytes, size_t len, int fd)
{
	struct record *r = malloc(sizeof(*r) + len);
	if (!r)
		abort();
	r->next = NULL;
	r->bytes = len;
	r->fd = fd;
	memcpy(r->data, bytes, len);
	if (n->first[edge])
		n->last[edge]->next = r;
	else
		n->first[edge] = r;
	n->last[edge] = r;
	schedule(n, clock_ns() + n->turn_ns);
}

static int edge_towards(const struct actor *a, uint8_t peer)
{
	for (int e = 1; e < a->edges; e++)
		if (a->peer[e] == peer)
			return e;
	abort();
}

/* The actor whose channel this is, and which; NULL for the supervisor's end. */
static struct node *owner(const struct chan *c, int *edge)
{
	for (int i = 0; i < ACTOR_COUNT; i++)
		for (*edge = 0; *edge < ACTOR_EDGES; ++*edge)
			if (&nodes[i].actor.chan[*edge] == c)
				return &nodes[i];
	return NULL;
}

int chan_send(struct chan *c, const void *bytes, size_t len, const int *fds, int nfds)
{
	int edge;
	struct node *from = owner(c, &edge);
	if (c->error)
		return c->error;
	if (len == 0 || len > CHAN_MAX_BYTES)
		return -EMSGSIZE;
	if (!from) {
		enqueue(&nodes[c - super_chan], 0, bytes, len, next_fd);
		next_fd = -1;
	} else if (edge == 0) {
		struct chan_in in = {.bytes = bytes, .len = len, .pool = &from->pool};
		gateway_record((enum actor_id)(from - nodes), &in);
	} else {
		struct node *to = &nodes[from->actor.peer[edge]];
		enqueue(to, edge_towards(&to->actor, (uint8_t)(from - nodes)), bytes, len, -1);
	}
	c->sent++;
	return 0;
}

int chan_send_message(struct chan *c, const ProtobufCMessage *m, const int *fds, int nfds)
{
	static uint8_t packed[CHAN_MAX_BYTES];
	int edge;
	struct node *from = owner(c, &edge);
	if (protobuf_c_message_get_packed_size(m) > sizeof(packed))
		return -EMSGSIZE;
	if (from)
		trace_record((enum actor_id)(from - nodes), edge ? from->actor.peer[edge] : -1, m);
	return chan_send(c, packed, protobuf_c_message_pack(m, packed), fds, nfds);
}

int chan_take_fd(struct chan_in *in, int i)
{
	int fd = i >= 0 && i < in->nfds ? in->fds[i] : -1;
	if (fd >= 0)
		in->fds[i] = -1;
	return fd;
}

void chan_drop_fds(struct chan_in *in)
{
	in->nfds = 0;
}

struct chan *actors_super(enum actor_id id)
{
	return &super_chan[id];
}

void actors_send_fd(int fd)
{
	next_fd = fd;
}

/* What the shells ask of the skeleton. */

uint64_t actor_now_ns(const struct actor *a)
{
	return a->now_ns;
}

uint64_t actor_wall_ms(const struct actor *a)
{
	return a->wall_base_ms + a->now_ns / MS - a->boot_base_ms;
}

void actor_security(struct actor *a, const char *fmt, ...)
{
	char line[LINE_BYTES];
	va_list args;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	gateway_note(a->ops->id, line);
}

void actor_event(struct actor *a, const Nl__EventRow *event)
{
	gateway_note(a->ops->id, event->text);
	if (event->more)
		gateway_note(a->ops->id, event->more);
}

void actor_diagnostic(struct actor *a, const char *fmt, ...)
{
	char line[LINE_BYTES];
	va_list args;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	gateway_note(a->ops->id, line);
}

bool actor_row(struct actor *a, const ProtobufCMessage *row)
{
	return true;
}

void actor_incident(struct actor *a, int edge, const char *what)
{
	if (a->dead[edge])
		return;
	a->dead[edge] = true;
	a->chan[edge].error = -EPROTO;
	if (edge && a->edge_is_ring[edge - 1])
		link_fail(&a->link[edge - 1], what);
	node_of(a)->incidents++;
	gateway_incident(a->ops->id, what);
}

void actor_lose(struct actor *a, int edge)
{
	a->dead[edge] = true;
	a->chan[edge].error = -EPIPE;
	if (a->edge_is_ring[edge - 1])
		link_reset(&a->link[edge - 1]);
}

void actor_renew(struct actor *a, int edge)
{
	if (a->edge_is_ring[edge - 1])
		link_revive(&a->link[edge - 1]);
	a->dead[edge] = false;
	a->chan[edge].error = 0;
}

void actor_reserve_fds(struct actor *a, int highest)
{
}

/* The loop. */

static bool any_pending(const struct actor *a)
{
	for (size_t i = 0; i < a->link_count; i++)
		if (link_pending(a->links[i]))
			return true;
	return false;
}

static uint64_t deadline_of(const struct actor *a)
{
	return a->ops->deadline ? a->ops->deadline(a->self) : UINT64_MAX;
}

static void flush_rings(struct actor *a)
{
	bool due = a->lazy_due_ns && a->now_ns >= a->lazy_due_ns, lazy = false;
	for (size_t i = 0; i < a->link_count; i++) {
		link_flush(a->links[i]);
		if (due)
			link_ring(a->links[i]);
		lazy |= link_has_lazy(a->links[i]);
	}
	if (!lazy)
		a->lazy_due_ns = 0;
	else if (a->lazy_due_ns == 0)
		a->lazy_due_ns = a->now_ns + ACTOR_LAZY_MS * MS;
}

static void ring_bells(struct node *n)
{
	for (int e = 1; e < n->actor.edges; e++) {
		struct link *l = &n->actor.link[e - 1];
		if (!n->actor.edge_is_ring[e - 1] || l->rings == n->rings_seen[e - 1])
			continue;
		n->rings_seen[e - 1] = l->rings;
		nodes[l->to].rung = true;
		actors_kick((enum actor_id)l->to);
	}
}

static void sleep_until_due(struct node *n)
{
	struct actor *a = &n->actor;
	uint64_t due = deadline_of(a);
	if (a->lazy_due_ns && a->lazy_due_ns < due)
		due = a->lazy_due_ns;
	if (a->link_count) {
		a->fallback_due_ns = clock_ns() + ACTOR_FALLBACK_MS * MS;
		due = a->fallback_due_ns < due ? a->fallback_due_ns : due;
	}
	if (due != UINT64_MAX)
		schedule(n, due > clock_ns() ? due : clock_ns() + US);
}

/* Why a sleeping process would wake now; false: it would not. */
static bool has_reason(struct node *n)
{
	struct actor *a = &n->actor;
	uint64_t now = clock_ns();
	if (n->more || n->rung || any_record(n) || any_ready(n) || deadline_of(a) <= now ||
		(a->lazy_due_ns && a->lazy_due_ns <= now))
		return true;
	if (!a->link_count || a->fallback_due_ns > now || !any_pending(a))
		return false;
	a->fallback_wakes++;
	return true;
}

static void node_turn(struct node *n)
{
	struct actor *a = &n->actor;
	const char *what = NULL;
	n->turns++;
	n->rung = n->more = false;
	a->now_ns = clock_ns();
	if (a->asleep)
		link_wake(a->links, a->link_count);
	a->asleep = false;
	call_ready(n);
	take_records(n);
	if (deadline_of(a) <= a->now_ns)
		a->ops->timeout(a->self, a->now_ns);
	if (a->ops->turn)
		n->more = a->ops->turn(a->self);
	for (int e = 1; e < a->edges; e++)
		if (a->edge_is_ring[e - 1] && link_error(&a->link[e - 1], &what))
			actor_incident(a, e, what);
	flush_rings(a);
	trace_turn(a->ops->id);
	ring_bells(n);
}

static void node_wake(void *arg)
{
	struct node *n = arg;
	struct actor *a = &n->actor;
	if (!n->scheduled || n->wake_ns != clock_ns())
		return;
	n->scheduled = false;
	if (!a->started)
		return;
	if (has_reason(n)) {
		node_turn(n);
		if (!n->more)
			a->asleep = link_sleep(a->links, a->link_count);
		n->more = !a->asleep && a->link_count > 0;
	}
	if (n->more || any_record(n) || any_ready(n))
		schedule(n, clock_ns() + n->turn_ns);
	sleep_until_due(n);
}

/* Birth. */

static void join(struct actor *a, uint8_t peer, bool ring)
{
	a->peer[a->edges] = peer;
	a->edge_is_ring[a->edges - 1] = ring;
	a->edges++;
}

static void make_links(uint8_t x, uint8_t y)
{
	struct actor *a = &nodes[x].actor, *b = &nodes[y].actor;
	struct ring_region *from_a = zeroed(sizeof(*from_a)), *from_b = zeroed(sizeof(*from_b));
	struct link *la = &a->link[edge_towards(a, y) - 1], *lb = &b->link[edge_towards(b, x) - 1];
	link_init(la, from_a, from_b, x, y, link_arenas(actors_data_path(), y, x),
		link_release_op(x, y), -1);
	link_init(lb, from_b, from_a, y, x, link_arenas(actors_data_path(), x, y),
		link_release_op(y, x), -1);
	a->links[a->link_count++] = la;
	b->links[b->link_count++] = lb;
}

enum data_path actors_data_path(void)
{
	return getenv("NATLOCK_SIM_STRICT") ? DATA_PATH_STRICT : DATA_PATH_SHARED;
}

static bool reads(enum actor_id who, enum arena_id arena)
{
	return link_arenas_read(actors_data_path(), (uint8_t)who) & 1u << arena;
}

static void make_arenas(void)
{
	static const enum actor_id owner_of[ARENA_ID_COUNT] = {[ARENA_BROKER] = ACTOR_BROKER,
		[ARENA_NETSTACK] = ACTOR_NETSTACK,
		[ARENA_NATPROXY] = ACTOR_NATPROXY};
	for (int id = ARENA_BROKER; id < ARENA_ID_COUNT; id++) {
		uint8_t *base = zeroed(ARENA_BYTES);
		arena_init(&nodes[owner_of[id]].actor.arena, (enum arena_id)id, base);
		for (int other = ARENA_BROKER; other < ARENA_ID_COUNT; other++)
			if (other == id || reads(owner_of[other], (enum arena_id)id))
				nodes[owner_of[other]].actor.view[0].base[id] = base;
	}
}

int actor_main(const struct actor_ops *ops, void *self)
{
	nodes[ops->id].actor.ops = ops;
	nodes[ops->id].actor.self = self;
	return 0;
}

void actors_make(void)
{
	static int (*const mains[ACTOR_COUNT])(void) = {
		broker_main, netstack_main, natproxy_main, dhcpd_main, alg_main};
	for (int i = 0; i < ACTOR_COUNT; i++) {
		struct node *n = &nodes[i];
		mains[i]();
		n->actor.loop = (struct ev_loop *)n;
		n->actor.edges = 1;
		n->actor.shards = 1;
		n->turn_ns = ACTORS_WAKE_NS;
		pool_init(&n->pool, zeroed(POOL_BYTES), POOL_BYTES);
	}
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		join(&nodes[edges[i].a].actor, edges[i].b, edges[i].ring);
		join(&nodes[edges[i].b].actor, edges[i].a, edges[i].ring);
	}
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		if (edges[i].ring)
			make_links(edges[i].a, edges[i].b);
	make_arenas();
}

void actors_boot(const Nl__ActorBoot *boot)
{
	for (int i = 0; i < ACTOR_COUNT; i++) {
		struct actor *a = &nodes[i].actor;
		a->generation = boot->generation;
		a->wall_base_ms = boot->wall_ms;
		a->boot_base_ms = boot->boot_ms;
		a->now_ns = clock_ns();
		if (a->ops->boot(a->self, a, boot)) {
			fprintf(stderr, "%s does not boot\n", actors_names[i]);
			abort();
		}
	}
}

void actors_start(void)
{
	for (int i = 0; i < ACTOR_COUNT; i++) {
		struct actor *a = &nodes[i].actor;
		a->started = true;
		if (a->ops->start)
			a->ops->start(a->self);
		nodes[i].more = true;
		actors_kick((enum actor_id)i);
	}
}
