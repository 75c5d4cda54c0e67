/*
 * The kernel and the neighbours of a worker under test (edge.h).
 *
 * The worker's state, its shared memory and the skeleton's are rewound before each input (rewind.h). Calls into the kernel
 * are taken over by the linker (tests/fuzz/meson.build: --wrap), so chan.c and ring.c are the shipped ones; _exit ends an input.
 */
#define actor_main skeleton_main
#include "../../ipc/actor.c"
#undef actor_main

#include <sanitizer/lsan_interface.h>
#include <setjmp.h>
#include <sys/socket.h>

#include "conf.h"
#include "edge.h"
#include "grow.h"
#include "rewind.h"

enum { FDS = 256, ACTS = 64, HEARD = 8, RECORD_AT = 3, FDS_AT_ONCE = 4, FEW = 16 };
enum what { RECORD, RECORD_TOO, RECORD_CUT, RING, RING_TOO, TIME, KERNEL, OWN, WHATS };

static struct {
	jmp_buf out;
	bool running;
	const uint8_t *record; /* NULL: none is there */
	size_t record_bytes;
	unsigned int record_fds;
	bool cut;
	uint8_t refuses; /* what the kernel says to who sends */
	uint64_t now_ns;
	bool open[FDS];
} kernel;

static struct {
	const uint8_t *bytes;
	size_t left;
} act;

static struct actor *a;
static struct ring_region *neighbour[ACTOR_EDGES - 1];
static struct ring_desc heard[HEARD]; /* what the worker put into a ring lately */
static unsigned int heard_count;
static const Nl__Hub *hub;

int actor_main(const struct actor_ops *ops, void *self);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __real_clock_gettime(clockid_t clock, struct timespec *t);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
int __wrap_close(int fd);
int __real_close(int fd);
void __wrap__exit(int code) __attribute__((noreturn));
void __real__exit(int code) __attribute__((noreturn));
void __wrap_ev_io_start(struct ev_loop *loop, struct ev_io *w);
void __wrap_ev_io_stop(struct ev_loop *loop, struct ev_io *w);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void edge_require(bool ok)
{
	if (!ok)
		abort();
}

uint8_t edge_take(void)
{
	if (!act.left)
		return 0;
	act.left--;
	return *act.bytes++;
}

const uint8_t *edge_rest(size_t *bytes)
{
	const uint8_t *p = act.bytes;
	*bytes = act.left;
	act.bytes += act.left;
	act.left = 0;
	return p;
}

void *edge_alloc(size_t count, size_t bytes)
{
	return rewind_alloc(count * bytes);
}

int edge_open(void)
{
	for (int fd = edge_target.first_fd; fd < FDS; fd++)
		if (!kernel.open[fd]) {
			kernel.open[fd] = true;
			return fd;
		}
	return -1;
}

bool edge_is_open(int fd)
{
	return fd >= edge_target.first_fd && fd < FDS && kernel.open[fd];
}

void edge_close(int fd)
{
	edge_require(edge_is_open(fd));
	kernel.open[fd] = false;
}

/* The kernel. */

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	if (clock != CLOCK_BOOTTIME)
		return __real_clock_gettime(clock, t);
	t->tv_sec = (time_t)(kernel.now_ns / 1000000000);
	t->tv_nsec = (long)(kernel.now_ns % 1000000000);
	return 0;
}

static void pass_fds(struct msghdr *m)
{
	struct cmsghdr *h = CMSG_FIRSTHDR(m);
	int fds[FDS_AT_ONCE], n = 0;
	while (n < (int)kernel.record_fds && (fds[n] = edge_open()) >= 0)
		n++;
	m->msg_controllen = n ? CMSG_SPACE((size_t)n * sizeof(int)) : 0;
	if (!n)
		return;
	*h = (struct cmsghdr){CMSG_LEN((size_t)n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(h), fds, (size_t)n * sizeof(int));
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	const size_t n = kernel.record_bytes < m->msg_iov[0].iov_len ? kernel.record_bytes
								     : m->msg_iov[0].iov_len;
	if (!kernel.record) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(m->msg_iov[0].iov_base, kernel.record, n);
	pass_fds(m);
	m->msg_flags = kernel.cut || n < kernel.record_bytes ? MSG_TRUNC : 0;
	kernel.record = NULL;
	return (ssize_t)n;
}

/* A neighbour must be able to read what it is told. */
static void check_said(int fd, const uint8_t *bytes, size_t n)
{
	static uint8_t memory[1 << 20];
	const ProtobufCMessageDescriptor *said = &nl__actor_to_super__descriptor;
	struct pool pool;
	if (fd != FD_SUPER)
		return;
	pool_init(&pool, memory, sizeof(memory));
	edge_require(protobuf_c_message_unpack(said, &pool.allocator, n, bytes) != NULL);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	const size_t n = m->msg_iov[0].iov_len;
	edge_require(m->msg_iovlen == 1 && n > 0 && n <= CHAN_MAX_BYTES);
	check_said(fd, m->msg_iov[0].iov_base, n);
	if (kernel.refuses) {
		errno = kernel.refuses == 1 ? EPIPE : EAGAIN;
		return -1;
	}
	return (ssize_t)n;
}

int __wrap_close(int fd)
{
	if (!kernel.running)
		return __real_close(fd);
	edge_close(fd);
	return 0;
}

void __wrap__exit(int code)
{
	if (!kernel.running)
		__real__exit(code);
	longjmp(kernel.out, 1);
}

void __wrap_ev_io_start(struct ev_loop *loop, struct ev_io *w)
{
	w->active = 1;
}

void __wrap_ev_io_stop(struct ev_loop *loop, struct ev_io *w)
{
	w->active = 0;
}

/* Boot, without what locks. */

static void read_hub(void)
{
	static const char text[] = "hubs: [{name: default, host: {mac: 00:AC:01:02:03:04}}]";
	struct conf_error error;
	Nl__Config *config = conf_parse("edge", text, sizeof(text) - 1, &error);
	edge_require(config && config->n_hubs == 1);
	hub = config->hubs[0];
}

static void map_ring(int e)
{
	struct link *l = &a->link[e - 1];
	const uint8_t self = (uint8_t)a->ops->id, peer = a->peer[e];
	neighbour[e - 1] = rewind_alloc(sizeof(struct ring_region));
	link_init(l, rewind_alloc(sizeof(struct ring_region)), neighbour[e - 1], self, peer,
		link_arenas(DATA_PATH_SHARED, peer, self), link_release_op(self, peer), -1);
	a->links[a->link_count++] = l;
}

static void map_memory(void)
{
	static const uint8_t owned[ACTOR_COUNT] = {[ACTOR_BROKER] = ARENA_BROKER,
		[ACTOR_NETSTACK] = ARENA_NETSTACK,
		[ACTOR_NATPROXY] = ARENA_NATPROXY};
	const enum arena_id own = (enum arena_id)owned[a->ops->id];
	for (int e = 1; e < a->edges; e++)
		if (a->edge_is_ring[e - 1] && actor_has_edge(a, e))
			map_ring(e);
	if (own == ARENA_NONE)
		return;
	arena_init(&a->arena, own, rewind_alloc(ARENA_BYTES));
	for (unsigned int shard = 0; shard < a->shards; shard++)
		for (int id = ARENA_BROKER; id < ARENA_ID_COUNT; id++)
			a->view[shard].base[id] =
				id == (int)own ? a->arena.base : rewind_alloc(ARENA_BYTES);
}

int actor_main(const struct actor_ops *ops, void *self)
{
	static uint8_t secret[32];
	Nl__ActorBoot boot = NL__ACTOR_BOOT__INIT;
	kernel.now_ns = UINT64_C(1000000000000);
	read_hub();
	a = rewind_alloc(sizeof(*a));
	a->ops = ops;
	a->self = rewind_alloc(edge_target.state_bytes);
	boot_topology(a, ops->id);
	pool_init(&record_pool, record_memory, sizeof(record_memory));
	memcpy(&boot.hub, &hub, sizeof(hub));
	boot.has_entropy = boot.has_shard_key = boot.has_shards = boot.has_sockets_max = true;
	boot.entropy = (ProtobufCBinaryData){sizeof(secret), secret};
	boot.shard_key = (ProtobufCBinaryData){16, secret};
	boot.shards = edge_target.shards;
	boot.sockets_max = FDS;
	boot.has_echo_allowed = boot.echo_allowed = true;
	edge_require(!init_channel(a, 0) && !init_edges(a, &boot));
	map_memory();
	a->wall_base_ms = UINT64_C(1700000000000);
	a->now_ns = kernel.now_ns;
	edge_require(!ops->boot(a->self, a, &boot));
	ev_io_start(a->loop, &a->chan_io[0]);
	rewind_keep();
	return 0;
}

/* A neighbour's ring. */

static void note_heard(int e)
{
	struct link *l = &a->link[e - 1];
	for (; neighbour[e - 1]->tail != l->published; neighbour[e - 1]->tail++)
		heard[heard_count++ % HEARD] = l->mine->desc[neighbour[e - 1]->tail % RING_SLOTS];
}

static const struct ring_kind {
	uint8_t from, to, op;
	enum { NONE, PAIR, SEG, RUN, HEADER, IDS } shape;
} ring_kinds[] = {
#define OP(FROM, TO, NAME, KIND, WHAT) {ACTOR_##FROM, ACTOR_##TO, RING_##FROM##_##NAME, KIND},
#include "ring_ops.def"
};

static const struct ring_kind *ring_kind(int e, uint8_t which)
{
	const struct ring_kind *all[RING_OP_COUNT];
	uint8_t n = 0;
	for (size_t i = 0; i < sizeof(ring_kinds) / sizeof(ring_kinds[0]); i++)
		if (ring_kinds[i].from == a->peer[e] && ring_kinds[i].to == a->ops->id)
			all[n++] = &ring_kinds[i];
	return all[which % n];
}

/* A piece of a buffer that the neighbour may name, filled with the act's bytes. */
static struct ring_seg ring_piece(int e, const struct link *l)
{
	const uint32_t arenas = l->arenas_in >> 1;
	uint32_t arena = 1 + (edge_take() & 1 && arenas & (arenas - 1)
					     ? (uint32_t)(31 - __builtin_clz(arenas))
					     : (uint32_t)__builtin_ctz(arenas));
	const uint8_t which = edge_take();
	const uint32_t index = which < 192 ? which % FEW : ARENA_SMALL_COUNT + which % FEW;
	const uint32_t bytes = (uint32_t)edge_take() << (which & 7);
	const size_t n = bytes < act.left ? bytes : act.left;
	uint8_t *base = (uint8_t *)(uintptr_t)a->view[a->edge_shard[e]].base[arena];
	memcpy(base + buf_offset(index), act.bytes, n < ARENA_SMALL_BYTES ? n : ARENA_SMALL_BYTES);
	return (struct ring_seg){buf_offset(index),
		bytes < buf_bytes(index) ? bytes : buf_bytes(index),
		buf_id((enum arena_id)arena, index)};
}

/* One that the link lets through: what it means is another matter. */
static void ring_mend(int e, struct ring_desc *d)
{
	const struct link *l = &a->link[e - 1];
	const struct ring_kind *k = ring_kind(e, edge_take());
	const struct ring_desc *from = &heard[edge_take() % HEARD];
	const uint8_t how = edge_take();
	d->op = k->op;
	d->flow = how & 1 ? from->flow : how & 2 ? flow_id(how >> 4, 1) : d->flow;
	d->nseg = 0;
	d->hlen = k->shape == HEADER ? edge_take() % (sizeof(((struct ring_header *)0)->frame) + 1)
		  : how & 4	     ? edge_take()
				     : 0;
	if (k->shape == PAIR && how & 8)
		d->pair = from->pair;
	if (k->shape == IDS) {
		d->nseg = (uint8_t)(1 + edge_take() % RING_IDS);
		for (unsigned int i = 0; i < d->nseg; i++)
			d->ids[i] =
				how & 8 ? from->seg[i % RING_SEGS].id
					: buf_id((enum arena_id)(1 + (how >> 4) % 3), edge_take());
	}
	if (k->shape != SEG && k->shape != RUN && k->shape != HEADER)
		return;
	d->nseg = edge_take() % (RING_SEGS + 1);
	for (unsigned int i = 0; i < d->nseg; i++)
		d->seg[i] = ring_piece(e, l);
}

static void ring_act(unsigned int shard)
{
	struct ring_desc d = {0};
	int e = 1;
	while (e < a->edges && !(a->edge_is_ring[e - 1] && actor_has_edge(a, e) && !shard--))
		e++;
	if (e == a->edges)
		return;
	while (act.left > 0) {
		struct ring_region *r = neighbour[e - 1];
		const uint8_t how = edge_take();
		uint8_t *raw = (uint8_t *)&d;
		for (size_t i = 0; i < (how & 15U) * 4; i++)
			raw[i] = edge_take();
		if (how < 0xf8)
			ring_mend(e, &d);
		for (size_t i = 0; i < sizeof(r->header[0]) && a->ops->id == ACTOR_BROKER; i++)
			((uint8_t *)&r->header[r->head % RING_SLOTS])[i] = edge_take();
		r->desc[r->head % RING_SLOTS] = d;
		r->head += how == 0xff ? edge_take() : 1U;
	}
}

/* Acts. */

/* The supervisor's nonsense ends the worker, as it must: most of it is left out, or nothing else would be reached. */
static bool is_heard(int e, uint8_t what)
{
	static uint8_t memory[1 << 18];
	struct pool pool;
	if (e != 0 || (what & 0x80 && kernel.cut))
		return true;
	pool_init(&pool, memory, sizeof(memory));
	return protobuf_c_message_unpack(edge_target.heard[0], &pool.allocator, kernel.record_bytes,
		       kernel.record) != NULL;
}

static void record_act(uint8_t what, bool cut)
{
	const int e = (what >> 3) % a->edges;
	kernel.record_fds = what >= 0xe0 ? edge_take() % FDS_AT_ONCE : 0;
	kernel.cut = cut && what & 0x80;
	kernel.record = edge_rest(&kernel.record_bytes);
	if (a->dead[e] || !actor_has_edge(a, e) || !ev_is_active(&a->chan_io[e]) ||
		!is_heard(e, what))
		kernel.record = NULL;
	else
		on_readable(a, e);
	kernel.record = NULL;
}

static void worker_turn(void)
{
	turn(a);
	flush_rings(a);
	flush_channels(a);
	for (int e = 1; e < a->edges; e++)
		if (a->edge_is_ring[e - 1] && actor_has_edge(a, e) && !a->dead[e])
			note_heard(e);
}

static void check(void)
{
	unsigned int open = 0;
	for (int fd = 0; fd < FDS; fd++)
		open += kernel.open[fd];
	edge_require(open == (edge_target.owned ? edge_target.owned(a->self) : 0));
}

static void do_act(uint8_t what)
{
	static const uint64_t step_ns[] = {
		0, 1000000, 1000000000, 31000000000, 700000000000, 7300000000000};
	switch ((enum what)(what % WHATS)) {
	case RECORD:
	case RECORD_TOO: record_act(what, false); break;
	case RECORD_CUT: record_act(what, true); break;
	case RING:
	case RING_TOO: ring_act(what >> 3 & 1); break;
	case TIME:
		kernel.now_ns += step_ns[(what >> 3) % 6] + edge_take() * UINT64_C(1000000);
		break;
	case KERNEL: kernel.refuses = what >> 3 & 3; break;
	case OWN:
		if (edge_target.act)
			edge_target.act(a, a->self);
		break;
	case WHATS: break;
	}
}

static void play(const uint8_t *data, size_t size)
{
	if (size && !(data[0] & 1))
		on_start(a);
	for (int i = 0; i < ACTS && size > RECORD_AT; i++) {
		const uint8_t what = data[0];
		size_t n = data[1] | (size_t)data[2] << 8;
		n = n < size - RECORD_AT ? n : size - RECORD_AT;
		act.bytes = data + RECORD_AT;
		act.left = n;
		a->now_ns = kernel.now_ns;
		do_act(what);
		worker_turn();
		check();
		data += RECORD_AT + n;
		size -= RECORD_AT + n;
	}
}

/* What boot takes from the heap is known to rewound memory only, where the leak detector does not look. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	__lsan_disable();
	edge_target.worker();
	__lsan_enable();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	rewind_back();
	memset(kernel.open, 0, sizeof(kernel.open));
	memset(heard, 0, sizeof(heard));
	heard_count = 0;
	kernel.refuses = 0;
	kernel.now_ns = UINT64_C(1000000000000);
	kernel.running = true;
	if (!setjmp(kernel.out)) {
		play(data, size);
		if (edge_target.check)
			edge_target.check(a, a->self);
	}
	kernel.refuses = 0;
	actor_tell_events(a); /* they wait in static memory */
	kernel.running = false;
	return 0;
}

/* Mutation: an act more, an act less, a record grown from its descriptor, or any bytes. */

static size_t act_at(const uint8_t *data, size_t size, uint32_t which)
{
	size_t at = 0;
	while (which-- && at + RECORD_AT < size)
		at += RECORD_AT + (data[at + 1] | (size_t)data[at + 2] << 8);
	return at < size ? at : size;
}

/* One that is there. */
static uint32_t grown_edge(struct grow *g)
{
	uint32_t e;
	do
		e = 1 + grow_random(g, (uint32_t)a->edges - 1);
	while (!actor_has_edge(a, (int)e));
	return e;
}

static size_t grown_act(struct grow *g, uint8_t *out)
{
	static uint8_t wire[GROW_MESSAGE];
	const int edges = a->edges;
	const uint32_t e = grow_random(g, 2) ? 0 : grown_edge(g);
	const int known = e == 0 ? 0 : a->peer[e] == a->peer[1] ? 1 : 2;
	struct grow message = {g->seed, wire, 0, sizeof(wire)};
	uint8_t index = (uint8_t)e;
	grow_message(&message, edge_target.heard[known], 0);
	g->seed = message.seed;
	out[0] = (uint8_t)(index << 3 | RECORD);
	if (e == 0 && grow_random(g, 2)) { /* with a descriptor or two */
		for (index = 28; index < 32 && index % edges; index++)
			;
		out[0] = (uint8_t)(index << 3 | RECORD);
		memmove(wire + 1, wire,
			message.bytes < sizeof(wire) ? message.bytes : sizeof(wire) - 1);
		wire[0] = (uint8_t)grow_random(g, 3);
		message.bytes += message.bytes < sizeof(wire);
	}
	out[1] = (uint8_t)message.bytes;
	out[2] = (uint8_t)(message.bytes >> 8);
	memcpy(out + RECORD_AT, wire, message.bytes);
	return RECORD_AT + message.bytes;
}

static size_t insert(uint8_t *data, size_t size, size_t max, size_t at, const uint8_t *in, size_t n)
{
	if (n > max - size)
		return size;
	memmove(data + at + n, data + at, size - at);
	memcpy(data + at, in, n);
	return size + n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static uint8_t fresh[GROW_MESSAGE + RECORD_AT];
	struct grow g = {.seed = seed};
	const uint32_t way = grow_random(&g, 8);
	const size_t at = act_at(data, size, grow_random(&g, ACTS / 4));
	if (way < 4)
		return insert(data, size, max_size, at, fresh, grown_act(&g, fresh));
	if (way == 4 && at < size) {
		const size_t next = at + act_at(data + at, size - at, 1);
		memmove(data + at, data + next, size - next);
		return size - (next - at);
	}
	return LLVMFuzzerMutate(data, size, max_size);
}
