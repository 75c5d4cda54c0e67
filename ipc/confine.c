/*
 * Self-confinement. The order matters: Landlock and prctl need system calls that the filter no
 * longer allows, so the filter comes last, and nothing between it and the main loop may need more
 * than the loop itself does.
 *
 * Landlock's structures grow with its ABI; a kernel refuses bits that it does not know. So the wish
 * is written for ABI 6 and cut down to what the kernel says it has. The numbers below are the
 * kernel's (include/uapi/linux/landlock.h): Debian 12's headers end at ABI 2.
 */
#include "confine.h"

#include <errno.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ruleset {
	uint64_t fs, net, scoped;
};

enum {
	FS_ABI_1 = (1 << 13) - 1,
	FS_REFER = 1 << 13,	     /* ABI 2 */
	FS_TRUNCATE = 1 << 14,	     /* ABI 3 */
	FS_IOCTL_DEV = 1 << 15,	     /* ABI 5 */
	NET_TCP = 1 << 0 | 1 << 1,   /* ABI 4: bind, connect */
	SCOPE_ALL = 1 << 0 | 1 << 1, /* ABI 6: abstract sockets, signals */
};

static struct ruleset wish(long abi, bool deny_tcp)
{
	struct ruleset r = {.fs = FS_ABI_1};

	if (abi >= 2)
		r.fs |= FS_REFER;
	if (abi >= 3)
		r.fs |= FS_TRUNCATE;
	if (abi >= 4 && deny_tcp)
		r.net = NET_TCP;
	if (abi >= 5)
		r.fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		r.scoped = SCOPE_ALL;
	return r;
}

static size_t ruleset_bytes(long abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset);
	return abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

int confine_landlock(bool deny_tcp)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset r = wish(abi, deny_tcp);
	long fd;
	int error = 0;

	if (abi < 1)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	fd = syscall(SYS_landlock_create_ruleset, &r, ruleset_bytes(abi), 0);
	if (fd < 0)
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, fd, 0))
		error = -errno;
	close((int)fd);
	return error ? error : (int)abi;
}

int confine_undumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ? -errno : 0;
}

int confine_filter(const struct sock_filter *filter, size_t count)
{
	struct sock_fprog program = {.len = (unsigned short)count};
	long error;

	if (count == 0 || count > CONFINE_FILTER_MAX)
		return -EINVAL;
	/* The kernel only reads it. */
	program.filter = (struct sock_filter *)(uintptr_t)filter;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	error = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
	return error ? -errno : 0;
}
