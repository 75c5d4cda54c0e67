/*
 * Shared rings, theory of operation. The layout and the eight invariants are in ring.h.
 *
 * Publication. link_send writes into slots that the peer may not look at yet; link_flush makes them
 * visible with one release store of `head`, and the peer's acquire load of it orders the slots
 * before. The same pair on `tail` orders the consumer's last read of a slot before the producer's
 * next write to it. Indices are free-running 32-bit counters; the slot is the index modulo
 * RING_SLOTS. Own indices live in private memory and are only ever stored to the region, so nothing
 * that the peer does can move them.
 *
 * Sleeping (Dekker's pattern, each side stores, fences, then loads what the other stored):
 *
 *      producer                                 consumer
 *      store head (or tail)                     store sleep_epoch := odd
 *      fence                                    fence
 *      load sleep_epoch: odd? ── write bell     load head, tail: moved? ── stay awake
 *
 * Either the consumer sees the new index or the producer sees the odd epoch. An epoch value is rung
 * at most once. An epoch that reads even means that the consumer will look at the rings before it
 * sleeps: all published is `announced`.
 *
 * Lazy messages are published without a bell for a sleeper. They are counted by weight (a release
 * counts the buffers it gives back): beyond LINK_LAZY_MAX the bell rings anyway, and below it the
 * sender's 5 ms timer does (link_ring).
 *
 * Room. A sender may sleep because the peer's ring is full. The consumer can't know, but when the
 * part of the ring in use exceeded half of it before the new tail was stored, the sender may have
 * been refused, so a moved tail rings too. The head is read again after the odd epoch was seen:
 * what the sender published before sleeping is then counted.
 */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topology.h"

enum kind { KIND_NONE, KIND_PAIR, KIND_SEG, KIND_RUN, KIND_HEADER, KIND_IDS };

struct op_rule {
	uint8_t from, to, kind;
};

static const struct op_rule op_rules[RING_OP_COUNT] = {
#define OP(FROM, TO, NAME, KIND, WHAT)                                                             \
	[RING_##FROM##_##NAME] = {ACTOR_##FROM, ACTOR_##TO, KIND_##KIND},
#include "ring_ops.def"
};

enum { SLOT_MASK = RING_SLOTS - 1 };
_Static_assert((RING_SLOTS & SLOT_MASK) == 0, "the slot is the index modulo RING_SLOTS");

uint32_t link_arenas(enum data_path path, uint8_t from, uint8_t to)
{
	const bool passed_on = path == DATA_PATH_SHARED;

	if (from == ACTOR_BROKER && to == ACTOR_NETSTACK)
		return 1u << ARENA_BROKER;
	if (from == ACTOR_NATPROXY && to == ACTOR_NETSTACK)
		return 1u << ARENA_NATPROXY;
	if (from == ACTOR_NETSTACK && to == ACTOR_BROKER)
		return (uint32_t)passed_on << ARENA_NATPROXY | 1u << ARENA_NETSTACK;
	if (from == ACTOR_NETSTACK && to == ACTOR_NATPROXY)
		return (uint32_t)passed_on << ARENA_BROKER | 1u << ARENA_NETSTACK;
	return 0;
}

uint32_t link_arenas_read(enum data_path path, uint8_t actor)
{
	uint32_t set = 0;

	for (uint8_t from = 0; from < ACTOR_COUNT; from++)
		set |= link_arenas(path, from, actor);
	return set;
}

uint8_t link_release_op(uint8_t from, uint8_t to)
{
	for (unsigned int op = 1; op < RING_OP_COUNT; op++) {
		const struct op_rule *r = &op_rules[op];
		if (r->from == from && r->to == to && r->kind == KIND_IDS)
			return (uint8_t)op;
	}
	return RING_OP_NONE;
}

void link_fail(struct link *l, const char *what)
{
	if (l->error)
		return;
	l->error = -EPROTO;
	l->error_what = what;
}

void link_init(struct link *l, struct ring_region *mine, const struct ring_region *theirs,
	uint8_t from, uint8_t to, uint32_t arenas_in, uint8_t release_op, int bell_fd)
{
	memset(l, 0, sizeof(*l));
	l->mine = mine;
	l->theirs = theirs;
	l->from = from;
	l->to = to;
	l->arenas_in = arenas_in;
	l->release_op = release_op;
	l->bell_fd = bell_fd;
	atomic_store_explicit(&mine->head, 0, memory_order_relaxed);
	atomic_store_explicit(&mine->tail, 0, memory_order_relaxed);
	atomic_store_explicit(&mine->sleep_epoch, 0, memory_order_release);
}

void link_reset(struct link *l)
{
	link_init(l, l->mine, l->theirs, l->from, l->to, l->arenas_in, l->release_op, l->bell_fd);
	link_fail(l, "its peer is gone");
}

void link_revive(struct link *l)
{
	l->error = 0;
	l->error_what = NULL;
}

int link_error(const struct link *l, const char **what)
{
	if (l->error && what)
		*what = l->error_what;
	return l->error;
}

/* Invariant 1 for the peer's tail: it lies between its last value and what we published. */
static void read_peer_tail(struct link *l)
{
	uint32_t tail = atomic_load_explicit(&l->theirs->tail, memory_order_acquire);

	if (tail - l->peer_tail > l->published - l->peer_tail) {
		link_fail(l, "consumed index out of range");
		return;
	}
	l->peer_tail = tail;
	l->wants_room = false;
}

/*
 * Invariant 1 for the peer's head: at most one ring ahead of our tail. It is read only when all
 * that was seen before is consumed, so a head that moved back is behind the tail, which is more
 * than a ring ahead of it.
 */
static void read_peer_head(struct link *l)
{
	uint32_t head = atomic_load_explicit(&l->theirs->head, memory_order_acquire);

	if (head - l->tail > RING_SLOTS) {
		link_fail(l, "published index out of range");
		return;
	}
	l->peer_head = head;
}

static uint32_t class_limit(enum link_class c)
{
	return c == LINK_CONTROL ? RING_SLOTS : RING_SLOTS - RING_RESERVED;
}

static uint32_t room_cached(const struct link *l, enum link_class c)
{
	uint32_t used = l->head - l->peer_tail;

	return used < class_limit(c) ? class_limit(c) - used : 0;
}

uint32_t link_room(struct link *l, enum link_class c)
{
	if (l->error)
		return 0;
	if (room_cached(l, c) < RING_SLOTS / 2) {
		read_peer_tail(l);
		if (l->error)
			return 0;
		l->wants_room = room_cached(l, c) < RING_SLOTS / 2;
	}
	return room_cached(l, c);
}

/* The next slot, or NULL; *error says why not. The peer's tail is re-read only when the cached one
 * leaves no room. */
static struct ring_desc *next_slot(struct link *l, enum link_class c, int *error)
{
	*error = l->error;
	if (!*error && room_cached(l, c) == 0 && link_room(l, c) == 0) {
		l->full++;
		*error = l->error ? l->error : -EAGAIN;
	}
	return *error ? NULL : &l->mine->desc[l->head & SLOT_MASK];
}

int link_send(
	struct link *l, enum link_class c, const struct ring_desc *d, const struct ring_header *h)
{
	int error;
	struct ring_desc *slot = next_slot(l, c, &error);

	if (!slot)
		return error;
	*slot = *d;
	if (h)
		l->mine->header[l->head & SLOT_MASK] = *h;
	l->head++;
	l->urgent = true;
	return 0;
}

static int send_lazy(struct link *l, enum link_class c, const struct ring_desc *d, uint32_t weight)
{
	int error;
	struct ring_desc *slot = next_slot(l, c, &error);

	if (!slot)
		return error;
	*slot = *d;
	l->head++;
	l->lazy += weight;
	return 0;
}

int link_send_lazy(struct link *l, enum link_class c, const struct ring_desc *d)
{
	return send_lazy(l, c, d, op_rules[d->op].kind == KIND_IDS ? d->nseg : 1);
}

void link_release(struct link *l, uint32_t id)
{
	if (l->release_op == RING_OP_NONE)
		abort();
	if (l->release_count == LINK_RELEASES_MAX) {
		link_fail(l, "lent more buffers than exist");
		return;
	}
	l->release_ids[l->release_count++] = id;
}

static void send_releases(struct link *l)
{
	while (l->release_count > 0) {
		struct ring_desc d = {.op = l->release_op};
		uint32_t n = l->release_count < RING_IDS ? l->release_count : RING_IDS;

		d.nseg = (uint8_t)n;
		memcpy(d.ids, &l->release_ids[l->release_count - n], n * sizeof(d.ids[0]));
		if (send_lazy(l, LINK_CONTROL, &d, n))
			return;
		l->release_count -= n;
	}
}

static bool segs_ok(const struct link *l, const struct ring_desc *d)
{
	if (d->nseg > RING_SEGS)
		return false;
	for (unsigned int i = 0; i < d->nseg; i++) {
		if (!buf_seg_ok(d->seg[i].off, d->seg[i].len, d->seg[i].id, l->arenas_in))
			return false;
	}
	return true;
}

/* Each segment lies inside one buffer, so the sum cannot overflow. */
static bool run_ok(const struct ring_desc *d)
{
	uint32_t bytes = 0;

	for (unsigned int i = 0; i < d->nseg; i++)
		bytes += d->seg[i].len;
	if (d->hlen == 0)
		return true;
	return bytes > d->hlen && bytes <= RING_RUN_BYTES &&
	       ring_run_count(bytes, d->hlen) <= RING_RUN_DATAGRAMS;
}

static bool ids_ok(const struct ring_desc *d)
{
	if (d->nseg == 0 || d->nseg > RING_IDS || d->hlen != 0)
		return false;
	for (unsigned int i = 0; i < d->nseg; i++) {
		if (buf_index(d->ids[i]) >= ARENA_MAX_IDS || buf_arena(d->ids[i]) == ARENA_NONE ||
			buf_arena(d->ids[i]) >= ARENA_ID_COUNT)
			return false;
	}
	return true;
}

/* Invariant 2 on a private copy; NULL, or what is wrong with it. */
static const char *desc_fault(const struct link *l, const struct ring_desc *d)
{
	const struct op_rule *r = &op_rules[d->op < RING_OP_COUNT ? d->op : RING_OP_NONE];
	bool ok = false;

	if (d->op == RING_OP_NONE || d->op >= RING_OP_COUNT || r->from != l->to || r->to != l->from)
		return "operation unknown in this direction";
	switch ((enum kind)r->kind) {
	case KIND_NONE:
	case KIND_PAIR: ok = d->nseg == 0 && d->hlen == 0; break;
	case KIND_SEG: ok = d->hlen <= 1 && segs_ok(l, d); break;
	case KIND_RUN: ok = segs_ok(l, d) && run_ok(d); break;
	case KIND_HEADER:
		ok = d->hlen <= sizeof(((struct ring_header *)NULL)->frame) && segs_ok(l, d);
		break;
	case KIND_IDS: ok = ids_ok(d); break;
	}
	return ok ? NULL : "descriptor out of range";
}

int link_peek(struct link *l, struct ring_desc *d, struct ring_header *h)
{
	const char *fault;

	if (!l->error && l->tail == l->peer_head)
		read_peer_head(l);
	if (l->error)
		return l->error;
	if (l->tail == l->peer_head)
		return 0;
	memcpy(d, &l->theirs->desc[l->tail & SLOT_MASK], sizeof(*d));
	/* From here on only the copy counts: the compiler may not go back to the shared slot. */
	atomic_signal_fence(memory_order_seq_cst);
	fault = desc_fault(l, d);
	if (fault) {
		link_fail(l, fault);
		return l->error;
	}
	if (h && op_rules[d->op].kind == KIND_HEADER) {
		memcpy(h, &l->theirs->header[l->tail & SLOT_MASK], sizeof(*h));
		atomic_signal_fence(memory_order_seq_cst);
	}
	return 1;
}

void link_consumed(struct link *l)
{
	l->tail++;
	l->received++;
}

int link_recv(struct link *l, struct ring_desc *d, struct ring_header *h)
{
	int got = link_peek(l, d, h);

	if (got == 1)
		link_consumed(l);
	return got;
}

uint32_t link_sent_index(const struct link *l)
{
	return l->head;
}

/* Whether `index` is at or before `mark`, both within one half of the number circle. */
static bool reached(uint32_t mark, uint32_t index)
{
	return (int32_t)(mark - index) >= 0;
}

bool link_peer_consumed(struct link *l, uint32_t index)
{
	if (!reached(l->peer_tail, index) && !l->error)
		read_peer_tail(l);
	return reached(l->peer_tail, index);
}

bool link_announced(const struct link *l, uint32_t index)
{
	return reached(l->announced, index);
}

static void announced(struct link *l)
{
	l->announced = l->published;
	l->lazy = 0;
	l->urgent = false;
}

static void ring_bell(struct link *l, uint32_t epoch)
{
	static const uint64_t one = 1;
	ssize_t written = 0;

	l->rung_epoch = epoch;
	l->rings++;
	if (l->bell_fd >= 0)
		written = write(l->bell_fd, &one, sizeof(one));
	(void)written; /* a full counter (EAGAIN) is readable: the peer wakes all the same */
}

/* After the odd epoch was seen: may the peer sleep because it found no slot before our tail moved
 * from `before`? */
static bool peer_may_lack_room(struct link *l, uint32_t before)
{
	uint32_t head = atomic_load_explicit(&l->theirs->head, memory_order_acquire);

	return head - before >= RING_SLOTS / 2;
}

static void store_indices(struct link *l)
{
	l->sent += l->head - l->published;
	l->published = l->head;
	l->tail_published = l->tail;
	atomic_store_explicit(&l->mine->head, l->head, memory_order_release);
	atomic_store_explicit(&l->mine->tail, l->tail, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
}

void link_flush(struct link *l)
{
	uint32_t tail_before = l->tail_published, epoch;
	bool tail_moved;

	send_releases(l);
	tail_moved = l->tail != tail_before;
	if (l->error || (l->head == l->published && !tail_moved))
		return;
	store_indices(l);
	epoch = atomic_load_explicit(&l->theirs->sleep_epoch, memory_order_relaxed);
	if (!(epoch & 1) || epoch == l->rung_epoch) {
		announced(l);
	} else if (l->urgent || l->lazy > LINK_LAZY_MAX ||
		   (tail_moved && peer_may_lack_room(l, tail_before))) {
		ring_bell(l, epoch);
		announced(l);
	}
}

bool link_has_lazy(const struct link *l)
{
	return !l->error && l->announced != l->published;
}

void link_ring(struct link *l)
{
	uint32_t epoch = atomic_load_explicit(&l->theirs->sleep_epoch, memory_order_relaxed);

	if (!link_has_lazy(l))
		return;
	if ((epoch & 1) && epoch != l->rung_epoch)
		ring_bell(l, epoch);
	announced(l);
}

bool link_pending(const struct link *l)
{
	return !l->error && atomic_load_explicit(&l->theirs->head, memory_order_acquire) != l->tail;
}

/* Something to do for the owner of this end: messages, or room that it was short of. Room is
 * reported once: who still wants it asks again. */
static bool has_work(struct link *l)
{
	uint32_t tail = atomic_load_explicit(&l->theirs->tail, memory_order_acquire);

	if (l->wants_room && !l->error && tail != l->peer_tail) {
		l->wants_room = false;
		return true;
	}
	return link_pending(l);
}

static void set_epoch(struct link *l, uint32_t epoch)
{
	l->epoch = epoch;
	atomic_store_explicit(&l->mine->sleep_epoch, epoch, memory_order_relaxed);
}

bool link_sleep(struct link *const *links, size_t n)
{
	for (size_t i = 0; i < n; i++)
		set_epoch(links[i], links[i]->epoch | 1);
	atomic_thread_fence(memory_order_seq_cst);
	for (size_t i = 0; i < n; i++) {
		if (has_work(links[i])) {
			link_wake(links, n);
			return false;
		}
	}
	return true;
}

void link_wake(struct link *const *links, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (links[i]->epoch & 1)
			set_epoch(links[i], links[i]->epoch + 1);
	}
}
