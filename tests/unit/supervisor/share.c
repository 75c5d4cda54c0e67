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

Test(share, a_reader_can_not_write)
{
	struct share s;
	void *mine;

	cr_assert_eq(share_make(&s), 0);
	cr_assert_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, s.ring[0][0].read_fd, 0),
		MAP_FAILED);
	cr_assert_eq(errno, EACCES);
	mine = mmap(NULL, 4096, PROT_READ, MAP_SHARED, s.ring[0][0].read_fd, 0);
	cr_assert_neq(mine, MAP_FAILED);
	cr_assert_lt(mprotect(mine, 4096, PROT_READ | PROT_WRITE), 0);
	cr_assert_lt(ftruncate(s.ring[0][0].write_fd, 1), 0, "sealed");
	cr_assert_lt(
		ftruncate(s.arena[ARENA_BROKER].write_fd, 2 * (off_t)ARENA_BYTES), 0, "sealed");
	share_close(&s);
}

Test(share, no_new_writer_after_the_seal)
{
	struct share s;
	uint32_t *mine;

	cr_assert_eq(share_make(&s), 0);
	mine = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
		s.arena[ARENA_NATPROXY].write_fd, 0);
	cr_assert_neq((void *)mine, MAP_FAILED);
	cr_assert_eq(share_seal(&s), 0);
	*mine = 1;
	cr_assert_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
			     s.arena[ARENA_NATPROXY].write_fd, 0),
		MAP_FAILED);
	cr_assert_lt(fcntl(s.arena[ARENA_NATPROXY].write_fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
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
	int broker[CHAN_MAX_FDS], netstack[CHAN_MAX_FDS], natproxy[CHAN_MAX_FDS],
		none[CHAN_MAX_FDS];

	cr_assert_eq(share_make(&s), 0);
	cr_assert_eq(share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_BROKER, broker), 5);
	cr_assert_eq(share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_NETSTACK, netstack), 7);
	cr_assert_eq(share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_NATPROXY, natproxy), 5);
	cr_assert_eq(share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_DHCPD, none), 0);
	cr_assert_eq(share_boot_fds(&s, DATA_PATH_SHARED, ACTOR_ALG, none), 0);
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
	cr_assert_eq(inode(netstack[4]), inode(s.arena[ARENA_NETSTACK].write_fd));
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
	int broker[CHAN_MAX_FDS], netstack[CHAN_MAX_FDS], natproxy[CHAN_MAX_FDS];
	int i, n;

	cr_assert_eq(share_make(&s), 0);
	n = share_boot_fds(&s, DATA_PATH_STRICT, ACTOR_BROKER, broker);
	cr_assert_eq(n, 4);
	for (i = 0; i < n; i++)
		cr_assert_neq(inode(broker[i]), inode(s.arena[ARENA_NATPROXY].read_fd));
	n = share_boot_fds(&s, DATA_PATH_STRICT, ACTOR_NATPROXY, natproxy);
	cr_assert_eq(n, 4);
	for (i = 0; i < n; i++)
		cr_assert_neq(inode(natproxy[i]), inode(s.arena[ARENA_BROKER].read_fd));
	cr_assert_eq(share_boot_fds(&s, DATA_PATH_STRICT, ACTOR_NETSTACK, netstack), 7);
	cr_assert(!writable(broker[3]) && !writable(natproxy[3]));
	share_close(&s);
}

Test(share, nothing_stays_open)
{
	struct share s;
	int before = dup(0), after, i;

	close(before);
	for (i = 0; i < 3; i++) {
		cr_assert_eq(share_make(&s), 0);
		share_close(&s);
	}
	after = dup(0);
	cr_assert_eq(before, after);
}
