/*
 * Waiting for Boot, and mapping what it brought. For broker, netstack and natproxy:
 *
 *   for each ring edge in topology order, for each of its shards:  own region (rw), peer's region (ro)
 *   own arena (rw)
 *   for each shard that is seen:  the arenas that neighbours may name to it (ro) in the order of enum
 *   arena_id: both others, or on a strict data path only netstack's in broker and natproxy
 *   natproxy, of several shards:  own port map (rw), the others' in order of shard (ro)
 *
 * The broker sees all shards, everybody else its own. dhcpd and alg get none. The kernel enforces
 * "read-only" by the descriptor itself (opened O_RDONLY, or sealed against future writes); asking
 * for PROT_READ only is this process's own part.
 */
#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BOOT_BYTES = 1 << 20 }; /* for Boot unpacked */
enum edge_kind { EDGE_CHANNEL, EDGE_RING };

/* One end of an edge: the first of its descriptors. */
struct end {
	uint8_t actor;
	int channel_fd, bell_fd;
};

#define BELL_CHANNEL(A, B) -1
#define BELL_RING(A, B)	   A##_BELL_##B
static const struct edge {
	struct end end[2];
	enum edge_kind kind;
} edges[] = {
#define EDGE(A, B, KIND)                                                                           \
	{{{ACTOR_##A, A##_CH_##B, BELL_##KIND(A, B)}, {ACTOR_##B, B##_CH_##A, BELL_##KIND(B, A)}}, \
		EDGE_##KIND},
#include "topology.def"
};

static void join(struct actor *a, const struct end *own, uint8_t peer, enum edge_kind kind)
{
	int shards = topology_is_sharded(peer) && !topology_is_sharded(own->actor) ? SHARD_MAX : 1;

	for (int shard = 0; shard < shards; shard++) {
		int e = a->edges++;

		a->peer[e] = peer;
		a->edge_shard[e] = (uint8_t)shard;
		a->edge_fd[e] = own->channel_fd + shard;
		a->bell_fd[e] = kind == EDGE_RING ? own->bell_fd + shard : -1;
		a->edge_is_ring[e - 1] = kind == EDGE_RING;
	}
}

void boot_topology(struct actor *a, enum actor_id self)
{
	a->edges = 1;
	a->shards = 1;
	a->edge_fd[0] = FD_SUPER;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		for (int end = 0; end < 2; end++)
			if (edges[i].end[end].actor == self)
				join(a, &edges[i].end[end], edges[i].end[!end].actor,
					edges[i].kind);
}

/* The arena that an actor owns: those with rings have one each. */
static enum arena_id arena_of(enum actor_id id)
{
	static const uint8_t owned[ACTOR_COUNT] = {[ACTOR_BROKER] = ARENA_BROKER,
		[ACTOR_NETSTACK] = ARENA_NETSTACK,
		[ACTOR_NATPROXY] = ARENA_NATPROXY};

	return (enum arena_id)owned[id];
}

/* What Boot says is read for life. */
static uint8_t boot_memory[BOOT_BYTES];
static struct pool boot_pool;

/* The next record with what came along, waited for; what was unpacked from it stays. */
static const Nl__SuperToActor *await_record(struct actor *a, struct chan_in *in)
{
	struct pollfd p = {.fd = FD_SUPER, .events = POLLIN};
	int got;

	while ((got = chan_recv(&a->chan[0], in)) == 0)
		poll(&p, 1, -1);
	if (got == -EPIPE)
		_exit(0);
	if (got < 0)
		return NULL;
	return nl__super_to_actor__unpack(&boot_pool.allocator, in->len, in->bytes);
}

static bool keep_fds(struct boot_fds *fds, struct chan_in *in)
{
	if (in->nfds > BOOT_FDS_MAX - fds->count)
		return false;
	for (int i = 0; i < in->nfds; i++)
		fds->fd[fds->count++] = chan_take_fd(in, i);
	return true;
}

const Nl__ActorBoot *boot_await(struct actor *a, struct boot_fds *fds)
{
	const Nl__SuperToActor *w;
	const Nl__ActorBoot *b;
	struct chan_in in;

	fds->count = 0;
	pool_init(&boot_pool, boot_memory, sizeof(boot_memory));
	w = await_record(a, &in);
	if (!w || w->msg_case != NL__SUPER_TO_ACTOR__MSG_BOOT || !keep_fds(fds, &in))
		return NULL;
	b = w->boot;
	while (b->has_descriptors && (uint32_t)fds->count < b->descriptors) {
		w = await_record(a, &in);
		if (!w || w->msg_case != NL__SUPER_TO_ACTOR__MSG_MORE || !keep_fds(fds, &in))
			return NULL;
	}
	return b;
}

struct taker {
	const int *fds;
	int count, next;
	int error;
};

static int check_memory(int fd, size_t bytes)
{
	const int fixed = F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat st;
	int seals;

	if (fstat(fd, &st) < 0)
		return -errno;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return -errno;
	return st.st_size >= (off_t)bytes && (seals & fixed) == fixed ? 0 : -EINVAL;
}

/* Maps the next descriptor; NULL with the first error kept. */
static void *take_memory(struct taker *t, size_t bytes, int protection)
{
	int fd = t->next < t->count ? t->fds[t->next++] : -1;
	void *memory = MAP_FAILED;

	if (!t->error)
		t->error = fd < 0 ? -EPROTO : check_memory(fd, bytes);
	if (!t->error) {
		memory = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED)
			t->error = -errno;
	}
	if (fd >= 0)
		close(fd);
	return t->error ? NULL : memory;
}

static enum data_path path_of(const Nl__ActorBoot *boot)
{
	const Nl__Hub *hub = boot->hub;

	return hub && hub->data_path == NL__HUB__DATA_PATH__strict ? DATA_PATH_STRICT
								   : DATA_PATH_SHARED;
}

static void map_rings(struct actor *a, enum data_path path, struct taker *t)
{
	const uint8_t self = (uint8_t)a->ops->id;

	for (int e = 1; e < a->edges; e++) {
		struct link *l = &a->link[e - 1];
		struct ring_region *mine;
		const struct ring_region *theirs;

		if (!a->edge_is_ring[e - 1] || !actor_has_edge(a, e))
			continue;
		mine = take_memory(t, sizeof(*mine), PROT_READ | PROT_WRITE);
		theirs = take_memory(t, sizeof(*theirs), PROT_READ);
		if (t->error)
			return;
		link_init(l, mine, theirs, self, a->peer[e], link_arenas(path, a->peer[e], self),
			link_release_op(self, a->peer[e]), a->bell_fd[e]);
		a->links[a->link_count++] = l;
	}
}

static void map_arenas(struct actor *a, enum data_path path, struct taker *t)
{
	const uint32_t read = link_arenas_read(path, (uint8_t)a->ops->id);
	enum arena_id own = arena_of(a->ops->id);
	unsigned int seen = topology_is_sharded(a->ops->id) ? 1 : a->shards;

	if (own == ARENA_NONE)
		return;
	arena_init(&a->arena, own, take_memory(t, ARENA_BYTES, PROT_READ | PROT_WRITE));
	for (unsigned int shard = 0; shard < seen; shard++) {
		a->view[shard].base[own] = a->arena.base;
		for (int id = ARENA_BROKER; id < ARENA_ID_COUNT; id++)
			if (read & 1u << id)
				a->view[shard].base[id] = take_memory(t, ARENA_BYTES, PROT_READ);
	}
}

static void map_ports(struct actor *a, struct taker *t)
{
	struct portmap *p = &a->ports;

	if (a->ops->id != ACTOR_NATPROXY || a->shards == 1)
		return;
	p->mine = take_memory(t, sizeof(*p->mine), PROT_READ | PROT_WRITE);
	for (p->others = 0; p->others < a->shards - 1; p->others++)
		p->theirs[p->others] = take_memory(t, sizeof(*p->mine), PROT_READ);
}

int boot_map(struct actor *a, const Nl__ActorBoot *boot, const int *fds, int count)
{
	const enum data_path path = path_of(boot);
	struct taker t = {.fds = fds, .count = count};

	map_rings(a, path, &t);
	map_arenas(a, path, &t);
	map_ports(a, &t);
	if (!t.error && t.next != count)
		t.error = -EPROTO;
	while (t.next < count)
		if (fds[t.next++] >= 0)
			close(fds[t.next - 1]);
	return t.error;
}
