/*
 * The actor skeleton, theory of operation.
 *
 * Boot is plain blocking code: Hello, wait for Boot, map, let the actor allocate, lock, Locked.
 * From the lock on there is one loop and no way out of it but _exit:
 *
 *      turn:   read the clock; due timeout; ops->turn over the rings (budgeted)
 *      flush:  publish the rings, ring sleepers; send what channels hold
 *      wait:   more work? look at epoll without waiting
 *              else mark the rings asleep, look again, and block in epoll
 *
 * Everything else (channel records, the actor's own sockets, the bell, the timer) runs as libev
 * callbacks inside the wait. A check watcher of the highest priority runs before them: it reads the
 * clock and marks the rings awake, so no callback sees an old time and no neighbour rings for
 * nothing.
 *
 * The bell is read when it rang. An eventfd left unread with edge-triggered epoll would save that
 * read, but a hostile neighbour could then fill its counter once, after which no write of the other
 * neighbour makes an edge.
 *
 * One timer carries three deadlines: the actor's own, the 5 ms after which lazy messages are rung,
 * and the fallback. The fallback asks once a second whether a ring holds work although no bell
 * rang. Such work may be lazy or its bell on the way, so it gets ACTOR_GRACE_MS to be announced
 * while this process keeps sleeping; what is still silent then is a lost doorbell: counted, shown
 * as FALLBACK_WAKES among the drops, and handled.
 *
 * Memory: libev grows its tables as it goes, from the heap. heap_reserve makes the heap large
 * enough before the lock and forbids the allocator to ask for more or to give any back.
 */
#include "actor.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "actor_tell.h"
#include "boot.h"
#include "confine.h"
#include "hash.h"

enum {
	POOL_BYTES =
		1
		<< 20, /* for one record unpacked: a hostile one may be mostly empty submessages */
	HEAP_RESERVE_BYTES = 1 << 20,
	HEAP_RESERVE_PER_FD =
		128, /* libev's tables for one descriptor, twice over: a table is copied to grow */
	DRAIN_MS = 1000,
};

static const uint64_t ns_per_ms = 1000000;

static const char *const actor_names[ACTOR_COUNT] = {
#define ACTOR(ID, name) #name,
#include "topology.def"
};

/* One actor a process, and one record at a time: so these are static. */
static struct actor the_actor;
static uint8_t record_memory[POOL_BYTES];
static struct pool record_pool;

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t actor_now_ns(const struct actor *a)
{
	return a->now_ns;
}

uint64_t actor_wall_ms(const struct actor *a)
{
	return a->wall_base_ms + a->now_ns / ns_per_ms - a->boot_base_ms;
}

/* Edges. */

void actor_incident(struct actor *a, int edge, const char *what)
{
	Nl__ActorIncident m = NL__ACTOR_INCIDENT__INIT;
	char actor[ACTOR_NAME_BYTES], text[128];

	if (edge == 0)
		_exit(1);
	if (a->dead[edge])
		return;
	a->dead[edge] = true;
	ev_io_stop(a->loop, &a->chan_io[edge]);
	a->chan[edge].error = -EPROTO;
	a->chan[edge].queue_bytes = 0;
	if (a->edge_is_ring[edge - 1])
		link_fail(&a->link[edge - 1], what);
	snprintf(actor, sizeof(actor), "%s", actor_names[a->peer[edge]]);
	snprintf(text, sizeof(text), "%s", what);
	m.actor = actor;
	m.what = text;
	m.has_shard = true;
	m.shard = a->edge_shard[edge];
	actor_tell(a, NL__ACTOR_TO_SUPER__MSG_INCIDENT, &m.base);
}

void actor_lose(struct actor *a, int edge)
{
	a->dead[edge] = true;
	ev_io_stop(a->loop, &a->chan_io[edge]);
	a->chan[edge].error = -EPIPE;
	a->chan[edge].queue_start = a->chan[edge].queue_bytes = 0;
	if (a->edge_is_ring[edge - 1])
		link_reset(&a->link[edge - 1]);
}

void actor_renew(struct actor *a, int edge)
{
	a->dead[edge] = false;
	if (a->edge_is_ring[edge - 1])
		link_revive(&a->link[edge - 1]);
	a->chan[edge].error = 0;
	a->chan[edge].queue_start = a->chan[edge].queue_bytes = 0;
	if (a->started)
		ev_io_start(a->loop, &a->chan_io[edge]);
}

/* Records. */

static int on_configure(struct actor *a, const Nl__ActorConfigure *m)
{
	if (!m->hub || (a->ops->configure && a->ops->configure(a->self, m) < 0))
		return -EPROTO;
	return 0;
}

static int on_order(struct actor *a, const Nl__ActorOrder *m)
{
	Nl__ActorAnswer answer = NL__ACTOR_ANSWER__INIT;

	if (!m->order)
		return -EPROTO;
	answer.has_request = answer.has_count = true;
	answer.request = m->request;
	if (a->ops->order && a->started)
		answer.count = a->ops->order(a->self, m->order);
	actor_tell(a, NL__ACTOR_TO_SUPER__MSG_ANSWER, &answer.base);
	return 0;
}

static int on_start(struct actor *a)
{
	if (a->started)
		return -EPROTO;
	a->started = true;
	for (int e = 1; e < a->edges; e++)
		if (actor_has_edge(a, e))
			ev_io_start(a->loop, &a->chan_io[e]);
	if (a->ops->start)
		a->ops->start(a->self);
	return 0;
}

static int on_drain(struct actor *a)
{
	if (a->draining)
		return -EPROTO;
	a->draining = true;
	a->drain_due_ns = a->now_ns + DRAIN_MS * ns_per_ms;
	if (a->ops->drain)
		a->ops->drain(a->self);
	return 0;
}

static int on_super_record(struct actor *a, struct chan_in *in)
{
	const Nl__SuperToActor *w =
		nl__super_to_actor__unpack(&in->pool->allocator, in->len, in->bytes);

	if (!w)
		return -EPROTO;
	if (w->msg_case == NL__SUPER_TO_ACTOR__MSG__NOT_SET) {
		pool_reset(in->pool);
		return a->ops->on_record(a->self, 0, in);
	}
	if (in->nfds)
		return -EPROTO;
	switch ((int)w->msg_case) {
	case NL__SUPER_TO_ACTOR__MSG_START: return on_start(a);
	case NL__SUPER_TO_ACTOR__MSG_DRAIN: return on_drain(a);
	case NL__SUPER_TO_ACTOR__MSG_DUMP: return actor_tell_rows(a, w->dump);
	case NL__SUPER_TO_ACTOR__MSG_CONFIGURE: return on_configure(a, w->configure);
	case NL__SUPER_TO_ACTOR__MSG_ORDER: return on_order(a, w->order);
	default: return -EPROTO; /* Boot comes once */
	}
}

static void on_readable(struct actor *a, int edge)
{
	struct chan_in in;
	int got = 0;

	for (int n = 0; n < ACTOR_RECORDS && !a->dead[edge]; n++) {
		got = chan_recv(&a->chan[edge], &in);
		if (got == 0)
			return;
		if (got == 1) {
			got = edge ? a->ops->on_record(a->self, edge, &in)
				   : on_super_record(a, &in);
			chan_drop_fds(&in);
		}
		if (got < 0)
			break;
	}
	if (got == -EPIPE && edge == 0)
		_exit(0);
	/* The supervisor keeps both ends of an edge, so while it lives an edge has no end but one that a neighbour feigned. */
	if (got < 0)
		actor_incident(a, edge,
			got == -EPIPE ? "it closed its channel"
				      : "malformed or unexpected message");
}

static void chan_ready(struct ev_loop *loop, struct ev_io *w, int events)
{
	struct actor *a = w->data;

	/* EV_WRITE needs no work here: the flush that follows every wait sends what is queued. */
	if (events & EV_READ)
		on_readable(a, (int)(w - a->chan_io));
}

static void bell_rang(struct ev_loop *loop, struct ev_io *w, int events)
{
	uint64_t count;
	ssize_t got = read(w->fd, &count, sizeof(count));

	(void)got; /* EAGAIN is as good: it had been read */
}

static void timer_expired(struct ev_loop *loop, struct ev_timer *w, int events)
{
	/* Waking is all that it is for: the next turn looks at the clock. */
}

/* The loop. */

static bool any_pending(const struct actor *a)
{
	for (size_t i = 0; i < a->link_count; i++) {
		if (link_pending(a->links[i]))
			return true;
	}
	return false;
}

/*
 * Woken by nothing but the timer, at the fallback's time, with work in a ring: keep sleeping for
 * the grace period. After it the same state is a lost doorbell. A bell may ring between the
 * fallback's time and the timer, which is late by what the turn took: the bell alone is a wake
 * like any other.
 */
static bool stay_asleep(struct actor *a)
{
	bool timer_alone = ev_is_pending(&a->timer) && ev_pending_count(a->loop) == 1;

	if (!timer_alone || a->now_ns < a->fallback_due_ns || !any_pending(a)) {
		a->suspect = false;
		return false;
	}
	a->fallback_wakes += a->suspect;
	a->suspect = !a->suspect;
	return a->suspect;
}

static void woken(struct ev_loop *loop, struct ev_check *w, int events)
{
	struct actor *a = w->data;

	a->now_ns = clock_ns();
	if (!a->asleep || stay_asleep(a))
		return;
	link_wake(a->links, a->link_count);
	a->asleep = false;
}

static bool turn(struct actor *a)
{
	bool more = false;
	const char *what = NULL;

	a->now_ns = clock_ns();
	if (!a->started)
		return false;
	if (a->ops->deadline && a->ops->deadline(a->self) <= a->now_ns)
		a->ops->timeout(a->self, a->now_ns);
	if (a->ops->turn)
		more = a->ops->turn(a->self);
	for (int e = 1; e < a->edges; e++) {
		if (a->edge_is_ring[e - 1] && actor_has_edge(a, e) &&
			link_error(&a->link[e - 1], &what))
			actor_incident(a, e, what);
	}
	return more;
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
		a->lazy_due_ns = a->now_ns + ACTOR_LAZY_MS * ns_per_ms;
}

static void flush_channels(struct actor *a)
{
	actor_tell_events(a);
	for (int e = 0; e < a->edges; e++) {
		struct ev_io *io = &a->chan_io[e];
		int want;

		if (!ev_is_active(io))
			continue;
		want = EV_READ | (chan_flush(&a->chan[e]) > 0 ? EV_WRITE : 0);
		if ((io->events & (EV_READ | EV_WRITE)) != want) {
			ev_io_stop(a->loop, io);
			ev_io_set(io, io->fd, want);
			ev_io_start(a->loop, io);
		}
	}
}

static void finish_drain(struct actor *a)
{
	Nl__ActorDrained m = NL__ACTOR_DRAINED__INIT;

	actor_tell_events(a);
	actor_tell(a, NL__ACTOR_TO_SUPER__MSG_DRAINED, &m.base);
	chan_flush(&a->chan[0]);
	_exit(0);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void arm_timer(struct actor *a)
{
	uint64_t due = a->started && a->ops->deadline ? a->ops->deadline(a->self) : UINT64_MAX;

	if (a->lazy_due_ns)
		due = earlier(due, a->lazy_due_ns);
	if (a->link_count) {
		a->fallback_due_ns =
			a->now_ns + (a->suspect ? ACTOR_GRACE_MS : ACTOR_FALLBACK_MS) * ns_per_ms;
		due = earlier(due, a->fallback_due_ns);
	}
	if (due == UINT64_MAX) {
		ev_timer_stop(a->loop, &a->timer);
		return;
	}
	/* Relative to libev's own clock, which is as old as the last wait. */
	ev_now_update(a->loop);
	a->timer.repeat = due > a->now_ns ? (double)(due - a->now_ns) / 1e9 : 0.0;
	if (a->timer.repeat < 1e-6)
		a->timer.repeat = 1e-6;
	ev_timer_again(a->loop, &a->timer);
}

static void wait_for_work(struct actor *a, bool more)
{
	if (!more) {
		arm_timer(a);
		a->asleep = link_sleep(a->links, a->link_count);
	}
	ev_run(a->loop, a->asleep ? EVRUN_ONCE : EVRUN_NOWAIT);
	while (a->asleep) {
		arm_timer(a);
		ev_run(a->loop, EVRUN_ONCE);
	}
}

static _Noreturn void run(struct actor *a)
{
	for (;;) {
		bool more = turn(a);

		flush_rings(a);
		flush_channels(a);
		if (a->draining && (!more || a->now_ns >= a->drain_due_ns))
			finish_drain(a);
		wait_for_work(a, more);
	}
}

/* Boot. */

void actor_reserve_fds(struct actor *a, int highest)
{
	struct ev_io w;

	/* Starting and stopping a watcher grows libev's table of descriptors and touches nothing
	 * else. */
	ev_io_init(&w, chan_ready, highest, EV_READ);
	ev_io_start(a->loop, &w);
	ev_io_stop(a->loop, &w);
}

/* From here on malloc lives on what the heap holds already. */
static int heap_reserve(uint32_t fds)
{
	size_t bytes = HEAP_RESERVE_BYTES + (size_t)fds * HEAP_RESERVE_PER_FD;
	void *block;

	if (!mallopt(M_MMAP_MAX, 0) || !mallopt(M_TRIM_THRESHOLD, INT32_MAX))
		return -ENOMEM;
	block = malloc(bytes);
	if (!block)
		return -ENOMEM;
	free(block);
	return 0;
}

static int init_loop(struct actor *a)
{
	const int epoll_fd = BROKER_EPOLL;

	if (fcntl(epoll_fd, F_GETFD) >= 0)
		return -EBADF;
	a->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV | EVFLAG_NOTIMERFD);
	if (!a->loop)
		return -ENOMEM;
	return fcntl(epoll_fd, F_GETFD) < 0 ? -EBADF : 0;
}

static int init_channel(struct actor *a, int edge)
{
	uint8_t *queue = malloc(CHAN_QUEUE_BYTES);

	if (!queue)
		return -ENOMEM;
	chan_init(&a->chan[edge], a->edge_fd[edge], &record_pool, queue, CHAN_QUEUE_BYTES);
	ev_io_init(&a->chan_io[edge], chan_ready, a->edge_fd[edge], EV_READ);
	a->chan_io[edge].data = a;
	return 0;
}

/* How many shards there are, and so which edges. */
static int init_edges(struct actor *a, const Nl__ActorBoot *b)
{
	int error = 0;

	snprintf(a->name, sizeof(a->name), "%s", b->name ? b->name : actor_names[a->ops->id]);
	if (b->has_shards)
		a->shards = b->shards;
	if (a->shards == 0 || a->shards > SHARD_MAX)
		return -EINVAL;
	for (int e = 1; e < a->edges && !error; e++)
		if (actor_has_edge(a, e))
			error = init_channel(a, e);
	return error;
}

static void start_watchers(struct actor *a)
{
	ev_check_init(&a->check, woken);
	a->check.data = a;
	ev_set_priority(&a->check, EV_MAXPRI);
	ev_check_start(a->loop, &a->check);
	ev_init(&a->timer, timer_expired);
	ev_io_start(a->loop, &a->chan_io[0]);
	if (a->link_count) {
		ev_io_init(&a->bell_io, bell_rang, BROKER_BELL_OWN, EV_READ);
		ev_io_start(a->loop, &a->bell_io);
	}
}

static int check_bell(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || !(flags & O_NONBLOCK) ? -EINVAL : 0;
}

/* A bell that can block would let a neighbour stop this process by filling the counter. */
static int check_bells(const struct actor *a)
{
	int error = a->link_count ? check_bell(BROKER_BELL_OWN) : 0;

	for (size_t i = 0; i < a->link_count && !error; i++)
		error = check_bell(a->links[i]->bell_fd);
	return error;
}

/* The last acts of boot. Returns the Landlock ABI or -errno. */
static int lock(struct actor *a, const Nl__ActorBoot *boot)
{
	const size_t one = sizeof(struct sock_filter);
	int abi = 0, error;

	if (!boot->has_filter || boot->filter.len % one)
		return -EINVAL;
	error = confine_undumpable();
	if (!error && boot->landlock) {
		abi = confine_landlock(a->ops->id != ACTOR_NATPROXY);
		error = abi < 0 ? abi : 0;
	}
	if (!error)
		error = confine_filter((const struct sock_filter *)(const void *)boot->filter.data,
			boot->filter.len / one);
	return error ? error : abi;
}

static int boot(struct actor *a)
{
	static const struct hash_key zero_key;
	Nl__ActorHello hello = NL__ACTOR_HELLO__INIT;
	Nl__ActorLocked locked = NL__ACTOR_LOCKED__INIT;
	const Nl__ActorBoot *b;
	struct boot_fds fds;
	int error, abi;

	hello.has_version = true;
	hello.version = ACTOR_VERSION;
	actor_tell(a, NL__ACTOR_TO_SUPER__MSG_HELLO, &hello.base);
	b = boot_await(a, &fds);
	error = b ? init_edges(a, b) : -EPROTO;
	if (!error)
		error = boot_map(a, b, fds.fd, fds.count);
	if (error)
		return error;
	a->generation = b->generation;
	a->wall_base_ms = b->wall_ms;
	a->boot_base_ms = b->boot_ms;
	a->now_ns = clock_ns();
	error = a->ops->boot(a->self, a, b);
	if (!error)
		error = check_bells(a);
	if (!error)
		error = heap_reserve(b->sockets_max);
	if (error)
		return error;
	start_watchers(a);
	abi = lock(a, b);
	if (abi < 0)
		return abi;
	locked.has_filter_hash = locked.has_landlock_abi = true;
	locked.filter_hash = hash_sip(&zero_key, b->filter.data, b->filter.len);
	locked.landlock_abi = (uint32_t)abi;
	return actor_tell(a, NL__ACTOR_TO_SUPER__MSG_LOCKED, &locked.base);
}

int actor_main(const struct actor_ops *ops, void *self)
{
	struct actor *a = &the_actor;
	int error;

	a->ops = ops;
	a->self = self;
	boot_topology(a, ops->id);
	pool_init(&record_pool, record_memory, sizeof(record_memory));
	error = init_loop(a);
	if (!error)
		error = init_channel(a, 0);
	if (!error)
		error = boot(a);
	if (error) {
		if (a->chan[0].fd == FD_SUPER)
			actor_diagnostic(
				a, "%s cannot start: error %d", actor_names[ops->id], -error);
		_exit(1);
	}
	run(a);
}
