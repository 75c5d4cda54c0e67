/*
 * Theory of operation. The order matters: identity first (the namespace's creator has every
 * capability in it, and mounts made before would belong to nobody that the namespace knows), then
 * everything that needs a capability, then the capabilities go, then no_new_privs, so that the exec
 * can give nothing back.
 *
 * The empty root is a tmpfs without room for one file. It is mounted over /proc, the one folder
 * that is certainly there; pivot_root(".", ".") then stacks the old root on top of it, from where
 * it is detached. The worker's file lives on in its descriptor only.
 *
 * Limits: nproc = 0 is looked at by fork, not by exec, so it may be set before. Nothing may be
 * written to files, no core is dumped (it would carry guests' bytes), and the number of descriptors
 * is what topology.def lets this worker hold.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lock.h"

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

static int lock_identity(uid_t uid, gid_t gid)
{
	/* Where the namespace's maker may not drop groups (setgroups: deny), they stay: they are
	 * its own. */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return -errno;
	if (setresgid(gid, gid, gid) < 0)
		return -errno;
	return result(setresuid(uid, uid, uid));
}

static int lock_root(void)
{
	const unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	if (mount("natlock", "/proc", "tmpfs", plain, "size=4k,nr_inodes=1,mode=0555") < 0)
		return -errno;
	if (chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return -errno;
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return result(mount(NULL, "/", NULL, plain | MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
}

/* Puts each descriptor on its number. Sources are lifted out of the way first: they may be in any
 * order. */
static int lock_descriptors(const struct lock_plan *plan)
{
	int lifted[LOCK_FDS];
	int i;

	for (i = 0; i < plan->fixed; i++) {
		int from = plan->fd[i] == LOCK_PLACEHOLDER ? plan->null_fd : plan->fd[i];

		lifted[i] = -1;
		if (plan->fd[i] == LOCK_FREE)
			continue;
		lifted[i] = fcntl(from, F_DUPFD_CLOEXEC, plan->fixed);
		if (lifted[i] < 0)
			return -errno;
	}
	for (i = 0; i < plan->fixed; i++) {
		if (lifted[i] < 0)
			close(i);
		else if (dup3(lifted[i], i, 0) < 0)
			return -errno;
	}
	return result(close_range((unsigned int)plan->fixed, ~0U, CLOSE_RANGE_CLOEXEC));
}

static int lock_limits(rlim_t nofile)
{
	static const int zero[] = {RLIMIT_NPROC, RLIMIT_FSIZE, RLIMIT_CORE, RLIMIT_MEMLOCK,
		RLIMIT_MSGQUEUE, RLIMIT_LOCKS, RLIMIT_RTPRIO};
	const struct rlimit none = {0, 0};
	const struct rlimit files = {nofile, nofile};
	size_t i;

	for (i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		if (setrlimit((__rlimit_resource_t)zero[i], &none) < 0)
			return -errno;
	return result(setrlimit(RLIMIT_NOFILE, &files));
}

int lock_capabilities(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {0};
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP |
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECURE_ALL_LOCKS;
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
		return -errno;
	return result((int)syscall(SYS_capset, &header, none));
}

/* The supervisor's death ends the worker even before it reads end of file. Cleared by changes of
 * identity: last. */
static int lock_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return result(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
}

static int lock_exec(const struct lock_plan *plan, int binary)
{
	char *const argv[] = {(char *)(uintptr_t)plan->name, NULL};
	char *const env[] = {NULL};

	syscall(SYS_execveat, binary, "", argv, env, AT_EMPTY_PATH);
	return -errno;
}

int lock_enter(const struct lock_plan *plan, enum lock_step *step)
{
	/* Out of the way of the fixed numbers. */
	int binary = fcntl(plan->binary_fd, F_DUPFD_CLOEXEC, plan->fixed);
	int error;

	*step = LOCK_STEP_IDENTITY;
	error = binary < 0 ? -errno : lock_identity(plan->uid, plan->gid);
	if (error == 0) {
		*step = LOCK_STEP_SESSION;
		error = result((int)setsid());
	}
	if (error == 0) {
		*step = LOCK_STEP_ROOT;
		error = lock_root();
	}
	if (error == 0) {
		*step = LOCK_STEP_HOSTNAME;
		error = result(sethostname("natlock", 7));
	}
	if (error == 0) {
		*step = LOCK_STEP_DESCRIPTORS;
		error = lock_descriptors(plan);
	}
	if (error == 0) {
		*step = LOCK_STEP_LIMITS;
		error = lock_limits(plan->nofile);
	}
	if (error == 0) {
		*step = LOCK_STEP_CAPABILITIES;
		error = lock_capabilities();
	}
	if (error == 0) {
		*step = LOCK_STEP_PRIVILEGES;
		error = lock_privileges();
	}
	if (error == 0) {
		*step = LOCK_STEP_EXEC;
		error = lock_exec(plan, binary);
	}
	return error;
}

const char *lock_step_name(enum lock_step step)
{
	static const char *const names[] = {
		[LOCK_STEP_WAIT] = "the go-ahead",
		[LOCK_STEP_IDENTITY] = "a uid of its own",
		[LOCK_STEP_SESSION] = "a session of its own",
		[LOCK_STEP_ROOT] = "an empty root",
		[LOCK_STEP_HOSTNAME] = "its host name",
		[LOCK_STEP_DESCRIPTORS] = "its descriptors",
		[LOCK_STEP_LIMITS] = "its limits",
		[LOCK_STEP_CAPABILITIES] = "dropping capabilities",
		[LOCK_STEP_PRIVILEGES] = "no_new_privs",
		[LOCK_STEP_EXEC] = "the exec of its file",
	};

	return step <= LOCK_STEP_EXEC ? names[step] : "an unknown step";
}
