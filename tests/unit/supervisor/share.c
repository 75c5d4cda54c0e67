/* Rule 1 of ipc/ring.h, as the kernel enforces it: every shared page has exactly one writer. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chan.h"
#include "ring.h"
#include "share.h"

enum { RINGS = 1 }; /* share_edges[RINGS]: broker and netstack */

Test(share, a_reader_can_not_write)
{
	struct share s;
	void *mine;

	cr_assert_eq(share_make(&s, 1), 0);
	cr_assert_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
			     s.ring[RINGS][0][0].read_fd, 0),
		MAP_FAILED);
	cr_assert_eq(errno, EACCES);
	mine = mmap(NULL, 4096, PROT_READ, MAP_SHARED, s.ring[RINGS][0][0].read_fd, 0);
	cr_assert_neq(mine, MAP_FAILED);
	cr_assert_lt(mprotect(mine, 4096, PROT_READ | PROT_WRITE), 0);
	cr_assert_lt(ftruncate(s.ring[RINGS][0][0].write_fd, 1), 0, "sealed");
	cr_assert_lt(
		ftruncate(s.arena[ARENA_BROKER][0].write_fd, 2 * (off_t)ARENA_BYTES), 0, "sealed");
	share_close(&s);
}

static bool can_be_written_anew(int fd)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return false;
	munmap(p, 4096);
	return true;
}

enum { INNER = 2 }; /* share_edges[INNER]: netstack and natproxy */

Test(share, no_new_writer_after_the_seal)
{
	struct share s;
	uint32_t *mine;

	cr_assert_eq(share_make(&s, 1), 0);
	mine = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
		s.arena[ARENA_BROKER][0].write_fd, 0);
	cr_assert_neq((void *)mine, MAP_FAILED);
	cr_assert_eq(share_seal(&s, 0), 0);
	*mine = 1;
	cr_assert_not(can_be_written_anew(s.arena[ARENA_BROKER][0].write_fd));
	cr_assert_not(can_be_written_anew(s.ring[RINGS][0][0].write_fd), "the broker's half");
	cr_assert_not(can_be_written_anew(s.ring[INNER][0][0].write_fd));
	cr_assert_not(can_be_written_anew(s.ring[INNER][0][1].write_fd));
	cr_assert_lt(fcntl(s.arena[ARENA_NATPROXY][0].write_fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	share_close(&s);
}

Test(share, but_for_the_successors_in_a_shard)
{
	struct share s;

	cr_assert_eq(share_make(&s, 2), 0);
	for (unsigned int shard = 0; shard < 2; shard++) {
		const struct share_region *inherited[] = {&s.ring[RINGS][shard][1],
			&s.arena[ARENA_NETSTACK][shard], &s.arena[ARENA_NATPROXY][shard]};

		cr_assert_eq(share_seal(&s, shard), 0);
		for (int i = 0; i < 3; i++) {
			cr_assert(can_be_written_anew(inherited[i]->write_fd));
			cr_assert_not(can_be_written_anew(inherited[i]->read_fd));
			cr_assert_lt(ftruncate(inherited[i]->write_fd, 1), 0, "sealed");
			cr_assert_lt(fcntl(inherited[i]->write_fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
		}
	}
	share_close(&s);
}

static ino_t inode(int fd)
{
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

static bool writable(int fd)
{
	return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

Test(share, boot_descriptors_are_in_the_promised_order)
{
	struct share s;
	int broker[BOOT_FDS_MAX], netstack[BOOT_FDS_MAX], natproxy[BOOT_FDS_MAX],
		none[BOOT_FDS_MAX];

	cr_assert_eq(share_make(&s, 1), 0);
	cr_assert_eq(share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_BROKER, 0, broker), 5);
	cr_assert_eq(share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_NETSTACK, 0, netstack), 7);
	cr_assert_eq(share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_NATPROXY, 0, natproxy), 5);
	cr_assert_eq(share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_DHCPD, 0, none), 0);
	cr_assert_eq(share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_ALG, 0, none), 0);
	/* What one writes the other reads, and only so. */
	cr_assert_eq(inode(broker[0]), inode(netstack[1]));
	cr_assert_eq(inode(broker[1]), inode(netstack[0]));
	cr_assert_eq(inode(natproxy[0]), inode(netstack[3]));
	cr_assert_eq(inode(natproxy[1]), inode(netstack[2]));
	cr_assert(writable(broker[0]) && writable(netstack[0]) && writable(netstack[2]) &&
		  writable(natproxy[0]));
	cr_assert(!writable(broker[1]) && !writable(netstack[1]) && !writable(netstack[3]) &&
		  !writable(natproxy[1]));
	/* Own arena, then the others by id. */
	cr_assert_eq(inode(netstack[4]), inode(s.arena[ARENA_NETSTACK][0].write_fd));
	cr_assert_eq(inode(netstack[5]), inode(broker[2]));
	cr_assert_eq(inode(netstack[6]), inode(natproxy[2]));
	cr_assert(writable(netstack[4]) && !writable(netstack[5]) && !writable(netstack[6]));
	cr_assert_eq(inode(broker[3]), inode(netstack[4]));
	cr_assert_eq(inode(broker[4]), inode(natproxy[2]));
	share_close(&s);
}

Test(share, strict_hands_out_no_arena_of_a_process_two_hops_away)
{
	struct share s;
	int broker[BOOT_FDS_MAX], netstack[BOOT_FDS_MAX], natproxy[BOOT_FDS_MAX];
	int i, n;

	cr_assert_eq(share_make(&s, 1), 0);
	n = share_boot_fds(&s, DATA_PATH_STRICT, ACTOR_BROKER, 0, broker);
	cr_assert_eq(n, 4);
	for (i = 0; i < n; i++)
		cr_assert_neq(inode(broker[i]), inode(s.arena[ARENA_NATPROXY][0].read_fd));
	n = share_boot_fds(&s, DATA_PATH_STRICT, ACTOR_NATPROXY, 0, natproxy);
	cr_assert_eq(n, 4);
	for (i = 0; i < n; i++)
		cr_assert_neq(inode(natproxy[i]), inode(s.arena[ARENA_BROKER][0].read_fd));
	cr_assert_eq(share_boot_fds(&s, DATA_PATH_STRICT, ACTOR_NETSTACK, 0, netstack), 7);
	cr_assert(!writable(broker[3]) && !writable(natproxy[3]));
	share_close(&s);
}

/* Whether one of `count` descriptors is of the same memory. */
static bool among(int fd, const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		if (inode(fds[i]) == inode(fd))
			return true;
	return false;
}

Test(share, no_shard_sees_anything_of_another)
{
	struct share s;
	int broker[BOOT_FDS_MAX], part[2][2][BOOT_FDS_MAX], n[2][2], all;

	cr_assert_eq(share_make(&s, 2), 0);
	all = share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_BROKER, 0, broker);
	cr_assert_eq(all, 9);
	for (unsigned int shard = 0; shard < 2; shard++) {
		n[0][shard] =
			share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_NETSTACK, shard, part[0][shard]);
		n[1][shard] =
			share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_NATPROXY, shard, part[1][shard]);
		cr_assert_eq(n[0][shard], 7);
		cr_assert_eq(n[1][shard], 7);
		cr_assert_eq(inode(part[1][shard][5]), inode(s.ports[shard].write_fd));
		cr_assert_eq(inode(part[1][shard][6]), inode(s.ports[1 - shard].write_fd));
		cr_assert(writable(part[1][shard][5]) && !writable(part[1][shard][6]));
		n[1][shard] = 5; /* the rest below */
		/* The broker's rings by shard, its arena, then the shards' arenas. */
		cr_assert_eq(inode(broker[2 * shard]), inode(part[0][shard][1]));
		cr_assert_eq(inode(broker[2 * shard + 1]), inode(part[0][shard][0]));
		cr_assert_eq(inode(broker[5 + 2 * shard]), inode(part[0][shard][4]));
		cr_assert_eq(inode(broker[6 + 2 * shard]), inode(part[1][shard][2]));
	}
	for (int actor = 0; actor < 2; actor++)
		for (int i = 0; i < n[actor][0]; i++)
			for (int other = 0; other < 2; other++)
				cr_assert(inode(part[actor][0][i]) == inode(broker[4]) ||
						  !among(part[actor][0][i], part[other][1],
							  n[other][1]),
					"the broker's arena is read by both, and the port maps");
	cr_assert(s.bell[ACTOR_NETSTACK][0] >= 0 && s.bell[ACTOR_NETSTACK][1] >= 0);
	cr_assert_eq(s.bell[ACTOR_BROKER][1], -1);
	share_close(&s);
}

Test(share, one_writer_each_with_all_shards)
{
	struct share s;
	int fds[BOOT_FDS_MAX], n;

	cr_assert_eq(share_make(&s, SHARD_MAX), 0);
	n = share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_BROKER, 0, fds);
	cr_assert_eq(n, BOOT_FDS_MAX);
	for (int i = 0; i < n; i++)
		cr_assert_eq(writable(fds[i]), i < 2 * SHARD_MAX ? i % 2 == 0 : i == 2 * SHARD_MAX,
			"descriptor %d", i);
	for (unsigned int shard = 0; shard < SHARD_MAX; shard++)
		cr_assert_eq(share_seal(&s, shard), 0);
	share_close(&s);
}

Test(share, a_shard_is_renewed_around_what_the_broker_maps)
{
	struct share s;
	ino_t inner, other, outer, arena, renewed;
	uint8_t byte[1];

	cr_assert_eq(share_make(&s, 2), 0);
	cr_assert_eq(share_seal(&s, 0), 0);
	inner = inode(s.ring[INNER][0][0].write_fd);
	other = inode(s.ring[INNER][1][0].write_fd);
	outer = inode(s.ring[RINGS][0][1].write_fd);
	arena = inode(s.arena[ARENA_NETSTACK][0].write_fd);
	cr_assert_eq(pwrite(s.ports[0].write_fd, "\377", 1, 1000), 1);
	cr_assert_eq(pwrite(s.ports[1].write_fd, "\377", 1, 1000), 1);
	cr_assert_eq(share_renew(&s, 0), 0);
	cr_assert_eq(pread(s.ports[0].read_fd, byte, 1, 1000), 1);
	cr_assert_eq(byte[0], 0, "the dead one's mappings are gone");
	cr_assert_eq(pread(s.ports[1].read_fd, byte, 1, 1000), 1);
	cr_assert_neq(byte[0], 0);
	renewed = inode(s.ring[INNER][0][0].write_fd);
	cr_assert_neq(renewed, inner);
	cr_assert_eq(inode(s.ring[INNER][1][0].write_fd), other);
	cr_assert_eq(inode(s.ring[RINGS][0][1].write_fd), outer);
	cr_assert_eq(inode(s.arena[ARENA_NETSTACK][0].write_fd), arena);
	cr_assert(can_be_written_anew(s.ring[INNER][0][0].write_fd));
	cr_assert_eq(share_seal(&s, 0), 0);
	cr_assert_not(can_be_written_anew(s.ring[INNER][0][0].write_fd));
	share_close(&s);
}

Test(share, nothing_stays_open)
{
	struct share s;
	int before = dup(0), after, i;

	close(before);
	for (i = 0; i < 3; i++) {
		cr_assert_eq(share_make(&s, 1), 0);
		share_close(&s);
	}
	after = dup(0);
	cr_assert_eq(before, after);
}
