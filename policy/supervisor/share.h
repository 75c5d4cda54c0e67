/*
 * The memory that workers share: ring regions, arenas, doorbells. The supervisor makes it and maps
 * none of it.
 *
 * Rule 1 of ipc/ring.h, made of descriptors: the owner of a region gets the read-write one,
 * everybody else an O_RDONLY one of the same memfd, which the kernel lets nobody map writable.
 * Sizes are sealed before anybody gets anything; once all have mapped what they own, nothing can be
 * mapped writable again, except by the supervisor's own descriptor what a shard's processes own and
 * the broker maps too: their successors take that over, because a locked broker can map nothing
 * new.
 *
 * What joins processes of which a hub has one a shard is there for each shard: [0] to [shards - 1]
 * below. What belongs to a process that serves all of them is [0] alone.
 */
#ifndef NATLOCK_SUPERVISOR_SHARE_H
#define NATLOCK_SUPERVISOR_SHARE_H

#include "arena.h"
#include "ring.h"
#include "topology.h"

enum { SHARE_EDGES_MAX = 8 };

struct share_region {
	int write_fd; /* read-write: the owner's */
	int read_fd;  /* read-only: everybody else's */
};

/* An edge of topology.def. */
struct share_edge {
	enum actor_id a, b;
	bool ring;
};
extern const struct share_edge share_edges[];
extern const unsigned int share_edge_count;

struct share {
	unsigned int shards;
	struct share_region ring[SHARE_EDGES_MAX][SHARD_MAX]
				[2]; /* by edge: written by its a, by its b */
	struct share_region arena[ARENA_ID_COUNT][SHARD_MAX];
	struct share_region
		ports[SHARD_MAX]; /* written by natproxy, read by other shards' if there are some */
	int bell[ACTOR_COUNT][SHARD_MAX];
};

/* How many such processes a hub of `shards` has. */
static inline unsigned int share_count(enum actor_id id, unsigned int shards)
{
	return topology_is_sharded(id) ? shards : 1;
}
/* How many instances an edge has. */
unsigned int share_edge_instances(unsigned int edge, unsigned int shards);

/* Which arena an actor owns, ARENA_NONE for none. */
enum arena_id share_arena_of(enum actor_id id);
/* Whether an actor has an end of a ring edge: such actors share one fate and one share. */
bool share_has_ring(enum actor_id id);

/* All descriptors -1. */
void share_init(struct share *s);
/* Makes everything for 1 to SHARD_MAX shards. 0 or -errno (nothing is left behind). Syscalls: memfd_create ftruncate fcntl
 * openat eventfd2 close */
int share_make(struct share *s, unsigned int shards);
/* After the death of a shard's processes: new memory for what joins them alone, and nothing in what
 * natproxy showed. 0 or -errno. Syscalls: as share_make, and mmap munmap */
int share_renew(struct share *s, unsigned int shard);
/* After a shard's processes and those that serve all have mapped their regions: no new writable mapping where there is no
 * successor to have one, no further seals. Again after share_renew. 0 or -errno. */
int share_seal(const struct share *s, unsigned int shard);
void share_close(struct share *s);

/*
 * The descriptors of a process's Boot in the order that super.proto promises (ActorBoot): per ring
 * edge its own region and the peer's, its own arena, those of the others' arenas that it reads on
 * this data path (link_arenas_read). shard: its own, 0 for one that serves all. Returns how many.
 */
int share_boot_fds(const struct share *s, enum data_path path, enum actor_id id, unsigned int shard,
	int out[BOOT_FDS_MAX]);

#endif
