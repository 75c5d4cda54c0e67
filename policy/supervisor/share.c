/* Theory of operation: see share.h. Everything here follows from topology.def; nothing is chosen at
 * run time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

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
	unsigned int i;

	for (i = 0; i < SHARE_EDGES_MAX; i++)
		s->ring[i][0] = s->ring[i][1] = none;
	for (i = 0; i < ARENA_ID_COUNT; i++)
		s->arena[i] = none;
	for (i = 0; i < ACTOR_COUNT; i++)
		s->bell[i] = -1;
}

static int make_rings(struct share *s)
{
	unsigned int e;
	int error = 0;

	for (e = 0; e < share_edge_count && error == 0; e++) {
		if (!share_edges[e].ring)
			continue;
		error = region_make(&s->ring[e][0], "natlock ring", sizeof(struct ring_region));
		if (error == 0)
			error = region_make(
				&s->ring[e][1], "natlock ring", sizeof(struct ring_region));
	}
	return error;
}

int share_make(struct share *s)
{
	/* what /proc/PID/maps shows of a worker */
	static const char *const arena_names[ARENA_ID_COUNT] = {
		[ARENA_BROKER] = "natlock arena broker",
		[ARENA_NETSTACK] = "natlock arena netstack",
		[ARENA_NATPROXY] = "natlock arena natproxy",
	};
	unsigned int i;
	int error;

	share_init(s);
	error = make_rings(s);
	for (i = ARENA_NONE + 1; i < ARENA_ID_COUNT && error == 0; i++)
		error = region_make(&s->arena[i], arena_names[i], ARENA_BYTES);
	for (i = 0; i < ACTOR_COUNT && error == 0; i++) {
		if (!share_has_ring((enum actor_id)i))
			continue;
		s->bell[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		error = s->bell[i] < 0 ? -errno : 0;
	}
	if (error)
		share_close(s);
	return error;
}

static int region_seal(int fd)
{
	/* An old kernel without FUTURE_WRITE leaves what file modes and read-only descriptors give.
	 */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 && errno != EINVAL)
		return -errno;
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) < 0 ? -errno : 0;
}

int share_seal(const struct share *s)
{
	unsigned int e, i;
	int error = 0;

	for (e = 0; e < share_edge_count; e++)
		for (i = 0; i < 2 && share_edges[e].ring && error == 0; i++)
			error = region_seal(s->ring[e][i].write_fd);
	for (i = ARENA_NONE + 1; i < ARENA_ID_COUNT && error == 0; i++)
		error = region_seal(s->arena[i].write_fd);
	return error;
}

void share_close(struct share *s)
{
	unsigned int i;

	for (i = 0; i < SHARE_EDGES_MAX; i++) {
		region_close(&s->ring[i][0]);
		region_close(&s->ring[i][1]);
	}
	for (i = 0; i < ARENA_ID_COUNT; i++)
		region_close(&s->arena[i]);
	for (i = 0; i < ACTOR_COUNT; i++)
		if (s->bell[i] >= 0)
			close(s->bell[i]);
	share_init(s);
}

int share_boot_fds(const struct share *s, enum data_path path, enum actor_id id, int *out)
{
	const uint32_t read = link_arenas_read(path, (uint8_t)id);
	enum arena_id own = share_arena_of(id);
	unsigned int e, a;
	int n = 0;

	for (e = 0; e < share_edge_count; e++) {
		if (!share_edges[e].ring || (share_edges[e].a != id && share_edges[e].b != id))
			continue;
		a = share_edges[e].a == id ? 0 : 1;
		out[n++] = s->ring[e][a].write_fd;
		out[n++] = s->ring[e][!a].read_fd;
	}
	if (own != ARENA_NONE)
		out[n++] = s->arena[own].write_fd;
	for (a = ARENA_NONE + 1; a < ARENA_ID_COUNT; a++)
		if (read & 1u << a)
			out[n++] = s->arena[a].read_fd;
	return n;
}
