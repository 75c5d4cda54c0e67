/*
 * natlock with one lock left off, to see that the audit notices. It is the whole supervisor, linked
 * with --wrap: some of what it calls passes through here, where NATLOCK_LOOSE names what is to go
 * wrong. A program of the tests, installed nowhere; the product has no such switch.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fence_rules.h"
#include "filters.h"
#include "hash.h"
#include "identity.h"
#include "lock.h"
#include "topology.h"

static bool is_loose(const char *what)
{
	const char *loose = getenv("NATLOCK_LOOSE");

	return loose && strcmp(loose, what) == 0;
}

/* A rule more: getpid is allowed. */
static const struct policy_filter *with_one_rule_more(const struct policy_filter *from)
{
	static struct sock_filter insns[BPF_MAXINSNS] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	static struct policy_filter loose;
	const struct hash_key key = {0, 0};

	loose = *from;
	memcpy(insns + 3, from->insns, from->count * sizeof(insns[0]));
	loose.insns = insns;
	loose.count += 3;
	loose.hash = hash_sip(&key, insns, loose.count * sizeof(insns[0]));
	return &loose;
}

const struct policy_filter *__real_policy_filter_find(const char *name);
const struct policy_filter *__wrap_policy_filter_find(const char *name);
const struct policy_filter *__wrap_policy_filter_find(const char *name)
{
	const struct policy_filter *f = __real_policy_filter_find(name);

	if (is_loose("filter") && strcmp(name, "alg") == 0)
		return with_one_rule_more(f);
	return is_loose("supervisor") && strcmp(name, "supervisor") == 0 ? NULL : f;
}

uid_t __real_identity_worker(const struct identity *id, unsigned int n);
uid_t __wrap_identity_worker(const struct identity *id, unsigned int n);
uid_t __wrap_identity_worker(const struct identity *id, unsigned int n)
{
	return __real_identity_worker(id, is_loose("uid") ? 0 : n);
}

/* Where alg's channel leads instead: to the supervisor, or alg would find it closed and end. */
static int elsewhere[2];

int __real_lock_enter(const struct lock_plan *plan, enum lock_step *step);
int __wrap_lock_enter(const struct lock_plan *plan, enum lock_step *step);
int __wrap_lock_enter(const struct lock_plan *plan, enum lock_step *step)
{
	struct lock_plan loose = *plan;

	if (is_loose("descriptor"))
		loose.fd[10] = eventfd(0, 0);
	if (is_loose("edge") && strcmp(plan->name, "alg") == 0)
		loose.fd[ALG_CH_NATPROXY] = elsewhere[1];
	if (is_loose("leak"))
		fcntl(plan->null_fd, F_DUPFD, plan->fixed);
	return __real_lock_enter(&loose, step);
}

int __real_close_range(unsigned int first, unsigned int last, int flags);
int __wrap_close_range(unsigned int first, unsigned int last, int flags);
int __wrap_close_range(unsigned int first, unsigned int last, int flags)
{
	return is_loose("leak") ? 0 : __real_close_range(first, last, flags);
}

int __real_setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit);
int __wrap_setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit);
int __wrap_setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit)
{
	return is_loose("limit") && resource == RLIMIT_NPROC ? 0
							     : __real_setrlimit64(resource, limit);
}

int __real_mount(
	const char *from, const char *to, const char *type, unsigned long flags, const void *data);
int __wrap_mount(
	const char *from, const char *to, const char *type, unsigned long flags, const void *data);
int __wrap_mount(
	const char *from, const char *to, const char *type, unsigned long flags, const void *data)
{
	if (is_loose("root"))
		flags &= ~(unsigned long)MS_RDONLY;
	return __real_mount(from, to, type, flags, data);
}

int __real_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	if (is_loose("capability") && option == PR_CAPBSET_DROP && a == CAP_NET_RAW)
		return 0;
	return __real_prctl(option, a, b, c, d);
}

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
	va_list ap;
	long argument;

	va_start(ap, command);
	argument = va_arg(ap, long);
	va_end(ap);
	if (is_loose("seal") && command == F_ADD_SEALS && argument & F_SEAL_SEAL)
		return 0;
	return __real_fcntl64(fd, command, argument);
}

static void loosen_clone(struct clone_args *args)
{
	if (is_loose("net"))
		args->flags &= ~(uint64_t)CLONE_NEWNET;
	if (is_loose("ipc"))
		args->flags &= ~(uint64_t)CLONE_NEWIPC;
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	static const char *environment[] = {"LOOSE=1", NULL};
	long a[5];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 5; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_clone3)
		loosen_clone((struct clone_args *)a[0]);
	if (number == SYS_execveat && is_loose("environment"))
		a[3] = (long)environment;
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4]);
}

/* Around a worker that has no sockets, not around natproxy. */
size_t __real_fence_rules(const struct fence_plan *plan, void *out, size_t cap);
size_t __wrap_fence_rules(const struct fence_plan *plan, void *out, size_t cap);
size_t __wrap_fence_rules(const struct fence_plan *plan, void *out, size_t cap)
{
	struct fence_plan loose = *plan;

	if (is_loose("fence"))
		loose.last_uid = loose.first_uid;
	return __real_fence_rules(&loose, out, cap);
}

int __real_supervisor_prepare(void *s, void *t);
int __wrap_supervisor_prepare(void *s, void *t);
int __wrap_supervisor_prepare(void *s, void *t)
{
	if (is_loose("edge") && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
					0, elsewhere) < 0)
		return -1;
	if (is_loose("child") && fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
	}
	return __real_supervisor_prepare(s, t);
}
