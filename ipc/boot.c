/*
 * Mapping what Boot brought. For broker, netstack and natproxy:
 *
 *   for each ring edge in topology order:  own region (rw), peer's region (ro)
 *   own arena (rw)
 *   the arenas that neighbours may name to it (ro) in the order of enum arena_id: both others, or on
 *   a strict data path only netstack's in broker and natproxy
 *
 * dhcpd and alg get none. The kernel enforces "read-only" by the descriptor itself (opened
 * O_RDONLY, or sealed against future writes); asking for PROT_READ only is this process's own part.
 */
#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum edge_kind { EDGE_CHANNEL, EDGE_RING };

static const struct edge {
	uint8_t a, b, kind;
} edges[] = {
#define EDGE(A, B, KIND) {ACTOR_##A, ACTOR_##B, EDGE_##KIND},
#include "topology.def"
};

/* Bells of the neighbours follow the own one, in the order of the ring edges. */
enum { BELL_FIRST = BROKER_BELL_NETSTACK };
_Static_assert((int)NETSTACK_BELL_BROKER == BELL_FIRST &&
		       (int)NETSTACK_BELL_NATPROXY == BELL_FIRST + 1 &&
		       (int)NATPROXY_BELL_NETSTACK == BELL_FIRST,
	"bells in the order of edges");

void boot_topology(struct actor *a, enum actor_id self)
{
	a->edges = 1;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		const struct edge *e = &edges[i];

		if (e->a != self && e->b != self)
			continue;
		a->peer[a->edges] = e->a == self ? e->b : e->a;
		a->edge_is_ring[a->edges - 1] = e->kind == EDGE_RING;
		a->edges++;
	}
}

/* The arena that an actor owns: those with rings have one each. */
static enum arena_id arena_of(enum actor_id id)
{
	static const uint8_t owned[ACTOR_COUNT] = {[ACTOR_BROKER] = ARENA_BROKER,
		[ACTOR_NETSTACK] = ARENA_NETSTACK,
		[ACTOR_NATPROXY] = ARENA_NATPROXY};

	return (enum arena_id)owned[id];
}

struct taker {
	struct chan_in *in;
	int next;
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
	int fd = chan_take_fd(t->in, t->next++);
	void *memory = MAP_FAILED;

	if (t->error)
		return NULL;
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
	int bell = BELL_FIRST;

	for (int e = 1; e < a->edges; e++) {
		struct link *l = &a->link[e - 1];
		struct ring_region *mine;
		const struct ring_region *theirs;

		if (!a->edge_is_ring[e - 1])
			continue;
		mine = take_memory(t, sizeof(*mine), PROT_READ | PROT_WRITE);
		theirs = take_memory(t, sizeof(*theirs), PROT_READ);
		link_init(l, mine, theirs, self, a->peer[e], link_arenas(path, a->peer[e], self),
			link_release_op(self, a->peer[e]), bell++);
		a->links[a->link_count++] = l;
	}
}

static void map_arenas(struct actor *a, enum data_path path, struct taker *t)
{
	const uint32_t read = link_arenas_read(path, (uint8_t)a->ops->id);
	enum arena_id own = arena_of(a->ops->id);

	if (own == ARENA_NONE)
		return;
	arena_init(&a->arena, own, take_memory(t, ARENA_BYTES, PROT_READ | PROT_WRITE));
	a->view.base[own] = a->arena.base;
	for (int id = ARENA_BROKER; id < ARENA_ID_COUNT; id++) {
		if (read & 1u << id)
			a->view.base[id] = take_memory(t, ARENA_BYTES, PROT_READ);
	}
}

int boot_map(struct actor *a, const Nl__ActorBoot *boot, struct chan_in *in)
{
	const enum data_path path = path_of(boot);
	struct taker t = {.in = in};

	map_rings(a, path, &t);
	map_arenas(a, path, &t);
	if (!t.error && t.next != in->nfds)
		t.error = -EPROTO;
	return t.error;
}
