/*
 * A hostile neighbour's shared memory: the input is a list of what it writes (indices, epoch,
 * descriptors) and of what the victim does meanwhile. Whatever link_recv lets through must lie
 * inside the arenas, and the victim's own indices stay sane.
 */
#include <stdlib.h>
#include <string.h>

#include "ring.h"
#include "topology.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ring_region mine, theirs;
static struct link victim;

static void require(bool true_of_every_run)
{
	if (!true_of_every_run)
		abort();
}

/* Written from the definition in ring.h, not from ring.c. */
static void check_segment(const struct ring_seg *s)
{
	uint32_t index = (s->id & 0x0fffffff) - 1, arena = s->id >> 28;
	uint64_t first, last;

	require(index < ARENA_SMALL_COUNT + ARENA_LARGE_COUNT);
	require(victim.arenas_in >> arena & 1 && arena != ARENA_NONE);
	first = index < ARENA_SMALL_COUNT
			? (uint64_t)index * 2048
			: 2048ull * ARENA_SMALL_COUNT + (index - ARENA_SMALL_COUNT) * 65536ull;
	last = first + (index < ARENA_SMALL_COUNT ? 2048 : 65536);
	require(s->off >= first && (uint64_t)s->off + s->len <= last);
}

static void check_run(const struct ring_desc *d)
{
	uint64_t bytes = 0;
	for (int i = 0; i < d->nseg; i++)
		bytes += d->seg[i].len;
	require(d->hlen == 0 || (bytes > d->hlen && bytes <= 65507 &&
					bytes <= (uint64_t)d->hlen * RING_RUN_DATAGRAMS));
}

static void check_accepted(const struct ring_desc *d, const struct ring_header *h)
{
	if (d->op == RING_NETSTACK_DGRAM_DATA || d->op == RING_NETSTACK_DGRAM_WHOLE ||
		d->op == RING_NATPROXY_DGRAM_DATA)
		check_run(d);
	switch (d->op) {
	case RING_NETSTACK_SEND:
		require(d->hlen <= sizeof(h->frame));
		/* fall through */
	case RING_NETSTACK_TCP_DATA:
	case RING_NETSTACK_DGRAM_DATA:
	case RING_NETSTACK_DGRAM_WHOLE:
	case RING_BROKER_FRAME:
	case RING_NATPROXY_TCP_DATA:
	case RING_NATPROXY_DGRAM_DATA:
		require(d->nseg <= RING_SEGS);
		for (int i = 0; i < d->nseg; i++) {
			check_segment(&d->seg[i]);
			if (victim.release_op != RING_OP_NONE)
				link_release(&victim, d->seg[i].id);
		}
		break;
	case RING_NETSTACK_RELEASE_FRAME:
	case RING_NETSTACK_RELEASE_READ:
	case RING_NATPROXY_RELEASE_WRITTEN:
		require(d->nseg >= 1 && d->nseg <= RING_IDS);
		for (int i = 0; i < d->nseg; i++)
			require(buf_index(d->ids[i]) < ARENA_MAX_IDS);
		break;
	default: require(d->nseg == 0 && d->hlen == 0); break;
	}
}

static void take_all(void)
{
	struct ring_desc d;
	struct ring_header h;

	for (int n = 0; n < 2 * RING_SLOTS && link_recv(&victim, &d, &h) == 1; n++)
		check_accepted(&d, &h);
}

static void send_some(unsigned int n)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_FIN};

	while (n-- > 0) {
		if (n & 1)
			link_send(&victim, LINK_DATA, &d, NULL);
		else
			link_send_lazy(&victim, LINK_CONTROL, &d);
	}
}

static void act(uint8_t action, uint32_t word, const uint8_t *rest, size_t left)
{
	struct link *l = &victim;

	switch (action % 10) {
	case 0: atomic_store(&theirs.head, word); break;
	case 1: atomic_store(&theirs.tail, word); break;
	case 2: atomic_store(&theirs.sleep_epoch, word); break;
	case 3: memcpy(&theirs.desc[word % RING_SLOTS], rest, left < 64 ? left : 64); break;
	case 4: take_all(); break;
	case 5: link_flush(&victim); break;
	case 6: send_some(word % 5000); break;
	case 7:
		link_sleep(&l, 1);
		link_wake(&l, 1);
		break;
	case 8: link_ring(&victim); break;
	case 9: atomic_fetch_add(&theirs.head, word % 8); break;
	}
	require(victim.head - victim.peer_tail <= RING_SLOTS);
	require(victim.peer_head - victim.tail <= RING_SLOTS);
	require(victim.release_count <= LINK_RELEASES_MAX);
	require(!(victim.epoch & 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t pairs[][2] = {{ACTOR_NATPROXY, ACTOR_NETSTACK},
		{ACTOR_NETSTACK, ACTOR_NATPROXY}, {ACTOR_BROKER, ACTOR_NETSTACK},
		{ACTOR_NETSTACK, ACTOR_BROKER}};
	const uint8_t *pair;
	uint32_t word;

	if (size < 1)
		return 0;
	pair = pairs[data[0] % 4];
	/* The descriptors keep what the run before left there: as good as anything. */
	atomic_store(&theirs.head, 0);
	atomic_store(&theirs.tail, 0);
	atomic_store(&theirs.sleep_epoch, 0);
	link_init(&victim, &mine, &theirs, pair[0], pair[1],
		link_arenas(DATA_PATH_SHARED, pair[1], pair[0]), link_release_op(pair[0], pair[1]),
		-1);
	data++;
	size--;
	for (int step = 0; step < 200 && size >= 5; step++) {
		memcpy(&word, data + 1, sizeof(word));
		act(data[0], word, data + 5, size - 5);
		word = data[0] % 10 == 3 ? 64 : 0;
		data += 5;
		size -= 5;
		if (word && size >= word) {
			data += word;
			size -= word;
		}
	}
	return 0;
}
