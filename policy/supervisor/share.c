/* Theory of operation: see share.h. Everything here follows from topology.def; nothing is chosen at
 * run time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "portmap.h"
#include "ring.h"
#include "share.h"

#ifndef F_SEAL_FUTURE_WRITE
enum { F_SEAL_FUTURE_WRITE = 0x0010 };
#endif

enum { EDGE_CHANNEL = 0, EDGE_RING = 1 };

const struct share_edge share_edges[] = {
#define EDGE(A, B, KIND) {ACTOR_##A, ACTOR_##B, EDGE_##KIND},
#include "topology.def"
};
const unsigned int share_edge_count = sizeof(share_edges) / sizeof(share_edges[0]);
_Static_assert(
	sizeof(share_edges) / sizeof(share_edges[0]) <= SHARE_EDGES_MAX, "room for the edges");

enum arena_id share_arena_of(enum actor_id id)
{
	static const enum arena_id owner[ACTOR_COUNT] = {
		[ACTOR_BROKER] = ARENA_BROKER,
		[ACTOR_NETSTACK] = ARENA_NETSTACK,
		[ACTOR_NATPROXY] = ARENA_NATPROXY,
	};

	return owner[id];
}

bool share_has_ring(enum actor_id id)
{
	unsigned int e;

	for (e = 0; e < share_edge_count; e++)
		if (share_edges[e].ring && (share_edges[e].a == id || share_edges[e].b == id))
			return true;
	return false;
}

unsigned int share_edge_instances(unsigned int edge, unsigned int shards)
{
	const struct share_edge *e = &share_edges[edge];

	return topology_is_sharded(e->a) || topology_is_sharded(e->b) ? shards : 1;
}

static void region_close(struct share_region *r)
{
	if (r->write_fd >= 0)
		close(r->write_fd);
	if (r->read_fd >= 0)
		close(r->read_fd);
	r->write_fd = r->read_fd = -1;
}

static int region_make(struct share_region *r, const char *name, size_t bytes)
{
	char path[32];

	r->write_fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->write_fd < 0 || ftruncate(r->write_fd, (off_t)bytes) < 0)
		return -errno;
	if (fcntl(r->write_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->write_fd);
	r->read_fd = open(path, O_RDONLY | O_CLOEXEC);
	return r->read_fd < 0 ? -errno : 0;
}

void share_init(struct share *s)
{
	const struct share_region none = {-1, -1};
	unsigned int i, shard;

	s->shards = 0;
	for (shard = 0; shard < SHARD_MAX; shard++) {
		for (i = 0; i < SHARE_EDGES_MAX; i++)
			s->ring[i][shard][0] = s->ring[i][shard][1] = none;
		for (i = 0; i < ARENA_ID_COUNT; i++)
			s->arena[i][shard] = none;
		for (i = 0; i < ACTOR_COUNT; i++)
			s->bell[i][shard] = -1;
		s->ports[shard] = none;
	}
}

static int make_ring(struct share_region ring[2])
{
	int error = region_make(&ring[0], "natlock ring", sizeof(struct ring_region));

	return error ? error : region_make(&ring[1], "natlock ring", sizeof(struct ring_region));
}

/* Of one shard, or with shard 0 also of those that serve all. */
static int make_rings(struct share *s, unsigned int shard)
{
	unsigned int e;
	int error = 0;

	for (e = 0; e < share_edge_count && error == 0; e++)
		if (share_edges[e].ring && shard < share_edge_instances(e, s->shards))
			error = make_ring(s->ring[e][shard]);
	return error;
}

/* The arena and the bell of each process that has rings. */
static int make_owned(struct share *s, unsigned int shard)
{
	/* what /proc/PID/maps shows of a worker */
	static const char *const arena_names[ARENA_ID_COUNT] = {
		[ARENA_BROKER] = "natlock arena broker",
		[ARENA_NETSTACK] = "natlock arena netstack",
		[ARENA_NATPROXY] = "natlock arena natproxy",
	};
	unsigned int i;
	int error = 0;

	for (i = 0; i < ACTOR_COUNT && error == 0; i++) {
		enum arena_id arena = share_arena_of((enum actor_id)i);

		if (!share_has_ring((enum actor_id)i) ||
			shard >= share_count((enum actor_id)i, s->shards))
			continue;
		s->bell[i][shard] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		error = s->bell[i][shard] < 0 ? -errno : 0;
		if (error == 0)
			error = region_make(
				&s->arena[arena][shard], arena_names[arena], ARENA_BYTES);
	}
	return error;
}

int share_make(struct share *s, unsigned int shards)
{
	unsigned int shard;
	int error = 0;

	share_init(s);
	s->shards = shards;
	for (shard = 0; shard < shards && error == 0; shard++) {
		error = make_rings(s, shard);
		if (error == 0)
			error = make_owned(s, shard);
		if (error == 0 && shards > 1)
			error = region_make(
				&s->ports[shard], "natlock ports", sizeof(struct portmap_region));
	}
	if (error)
		share_close(s);
	return error;
}

/* Whether an edge joins processes of one shard alone. */
static bool is_inner(const struct share_edge *e)
{
	return topology_is_sharded(e->a) && topology_is_sharded(e->b);
}

/* What a dead natproxy had mapped is not the hub's any more: others must not go on believing it. */
static int clear_ports(const struct share_region *ports)
{
	const size_t bytes = sizeof(struct portmap_region);
	void *memory;

	if (ports->write_fd < 0)
		return 0;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ports->write_fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	memset(memory, 0, bytes);
	munmap(memory, bytes);
	return 0;
}

int share_renew(struct share *s, unsigned int shard)
{
	unsigned int e;
	int error = clear_ports(&s->ports[shard]);

	for (e = 0; e < share_edge_count && error == 0; e++) {
		if (!share_edges[e].ring || !is_inner(&share_edges[e]))
			continue;
		region_close(&s->ring[e][shard][0]);
		region_close(&s->ring[e][shard][1]);
		error = make_ring(s->ring[e][shard]);
	}
	return error;
}

/* inherited: a successor of its owner will map it writable. */
static int region_seal(int fd, bool inherited)
{
	int seals = fd < 0 ? F_SEAL_SEAL : fcntl(fd, F_GET_SEALS);

	if (seals < 0)
		return -errno;
	if (seals & F_SEAL_SEAL)
		return 0;
	/* An old kernel without FUTURE_WRITE leaves what file modes and read-only descriptors give.
	 */
	if (!inherited && fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 && errno != EINVAL)
		return -errno;
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) < 0 ? -errno : 0;
}

static int seal_ring(const struct share_edge *e, const struct share_region ring[2])
{
	bool inner = is_inner(e);
	int error = region_seal(ring[0].write_fd, !inner && topology_is_sharded(e->a));

	return error ? error : region_seal(ring[1].write_fd, !inner && topology_is_sharded(e->b));
}

int share_seal(const struct share *s, unsigned int shard)
{
	unsigned int i;
	int error = 0;

	for (i = 0; i < share_edge_count && error == 0; i++)
		error = seal_ring(&share_edges[i], s->ring[i][shard]);
	for (i = 0; i < ACTOR_COUNT && error == 0; i++)
		if (share_has_ring((enum actor_id)i))
			error = region_seal(
				s->arena[share_arena_of((enum actor_id)i)][shard].write_fd,
				topology_is_sharded(i));
	return error ? error : region_seal(s->ports[shard].write_fd, true);
}

void share_close(struct share *s)
{
	unsigned int i, shard;

	for (shard = 0; shard < SHARD_MAX; shard++) {
		for (i = 0; i < SHARE_EDGES_MAX; i++) {
			region_close(&s->ring[i][shard][0]);
			region_close(&s->ring[i][shard][1]);
		}
		for (i = 0; i < ARENA_ID_COUNT; i++)
			region_close(&s->arena[i][shard]);
		region_close(&s->ports[shard]);
		for (i = 0; i < ACTOR_COUNT; i++)
			if (s->bell[i][shard] >= 0)
				close(s->bell[i][shard]);
	}
	share_init(s);
}

/* Both regions of a ring, as its end a (0) or b (1) gets them. */
static int ring_fds(const struct share_region ring[2], unsigned int end, int *out)
{
	out[0] = ring[end].write_fd;
	out[1] = ring[!end].read_fd;
	return 2;
}

static int foreign_arenas(const struct share *s, uint32_t read, unsigned int shard, int *out)
{
	unsigned int a;
	int n = 0;

	for (a = ARENA_NONE + 1; a < ARENA_ID_COUNT; a++)
		if (read & 1u << a)
			out[n++] = s->arena[a][a == ARENA_BROKER ? 0 : shard].read_fd;
	return n;
}

/* natproxy's port map, then those that it reads. */
static int port_maps(const struct share *s, unsigned int shard, int *out)
{
	unsigned int i;
	int n = 0;

	if (s->shards == 1)
		return 0;
	out[n++] = s->ports[shard].write_fd;
	for (i = 0; i < s->shards; i++)
		if (i != shard)
			out[n++] = s->ports[i].read_fd;
	return n;
}

int share_boot_fds(const struct share *s, enum data_path path, enum actor_id id, unsigned int shard,
	int out[BOOT_FDS_MAX])
{
	const uint32_t read = link_arenas_read(path, (uint8_t)id);
	enum arena_id own = share_arena_of(id);
	unsigned int last = topology_is_sharded(id) ? shard : s->shards - 1, e, i;
	int n = 0;

	for (e = 0; e < share_edge_count; e++)
		for (i = shard; i <= last && share_edges[e].ring; i++)
			if (share_edges[e].a == id || share_edges[e].b == id)
				n += ring_fds(s->ring[e][i], share_edges[e].b == id, out + n);
	if (own == ARENA_NONE)
		return n;
	out[n++] = s->arena[own][shard].write_fd;
	for (i = shard; i <= last; i++)
		n += foreign_arenas(s, read, i, out + n);
	if (id == ACTOR_NATPROXY)
		n += port_maps(s, shard, out + n);
	return n;
}
