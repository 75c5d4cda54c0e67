/*
 * Theory of operation
 *
 * Each row of `calls` spells a call's arguments in kernel order as a small text, because that is
 * what a reader compares with the manual page:
 *
 *     {"socket", WORDS_PLAIN, "domain*#=AF_ type*#=SOCK_ protocol*#=IPPROTO_"}
 *
 *     name        an argument, 32 bits: the kernel takes an int (or unsigned int) and ignores the
 *                 upper half
 *     name!       64 bits: the kernel takes a long, a pointer or a size
 *     name@       a descriptor (32 bits)
 *     name*       a worker's rule must pin it
 *     name#       it holds one of several numbers, perhaps with flags: "any subset of these bits"
 *                 would admit others
 *     name=AF_    the prefix that its constants may drop
 *
 * The width decides which bits the filter compares. Comparing 64 bits of an int would let dirty
 * upper register bits kill an innocent call; comparing 32 bits of a long would let a hostile one
 * slip past. So a row must say the truth about SYSCALL_DEFINE in the kernel, not about the C
 * library's prototype.
 */
#include "words.h"

#include <stdio.h>
#include <string.h>

struct call {
	const char *name;
	enum words_kind kind;
	const char *arguments;
};

static const struct call calls[] = {
	/* messages and bytes */
	{"recvmsg", WORDS_PLAIN, "fd@ msg! flags=MSG_"},
	{"sendmsg", WORDS_PLAIN, "fd@ msg! flags=MSG_"},
	{"recvmmsg", WORDS_PLAIN, "fd@ msgvec! vlen flags=MSG_ timeout!"},
	{"sendmmsg", WORDS_PLAIN, "fd@ msgvec! vlen flags=MSG_"},
	{"recvfrom", WORDS_PLAIN, "fd@ buf! len! flags=MSG_ addr! addrlen!"},
	{"sendto", WORDS_PLAIN, "fd@ buf! len! flags=MSG_ addr! addrlen"},
	{"read", WORDS_PLAIN, "fd@ buf! count!"},
	{"write", WORDS_PLAIN, "fd@ buf! count!"},
	{"readv", WORDS_PLAIN, "fd@ iov! iovcnt!"},
	{"writev", WORDS_PLAIN, "fd@ iov! iovcnt!"},
	{"pread64", WORDS_PLAIN, "fd@ buf! count! offset!"},
	{"pwrite64", WORDS_PLAIN, "fd@ buf! count! offset!"},
	{"lseek", WORDS_PLAIN, "fd@ offset! whence=SEEK_"},
	{"fsync", WORDS_PLAIN, "fd@"},
	{"fdatasync", WORDS_PLAIN, "fd@"},
	{"ftruncate", WORDS_PLAIN, "fd@ length!"},
	{"flock", WORDS_PLAIN, "fd@ operation*=LOCK_"},
	{"close", WORDS_PLAIN, "fd@"},
	{"close_range", WORDS_PLAIN, "first* last* flags*"},
	{"dup", WORDS_PLAIN, "fd@"},
	{"dup3", WORDS_PLAIN, "oldfd@ newfd@ flags*=O_"},
	{"fcntl", WORDS_PLAIN, "fd@ cmd*#=F_ arg!"},
	{"ioctl", WORDS_PLAIN, "fd@ request*# arg!"},
	{"pipe2", WORDS_PLAIN, "fds! flags*=O_"},
	{"splice", WORDS_PLAIN, "fd_in@ off_in! fd_out@ off_out! len! flags"},
	/* sockets */
	{"socket", WORDS_PLAIN, "domain*#=AF_ type*#=SOCK_ protocol*#=IPPROTO_"},
	{"socketpair", WORDS_PLAIN, "domain*#=AF_ type*#=SOCK_ protocol*#=IPPROTO_ fds!"},
	{"bind", WORDS_PLAIN, "fd@ addr! addrlen"},
	{"connect", WORDS_PLAIN, "fd@ addr! addrlen"},
	{"listen", WORDS_PLAIN, "fd@ backlog"},
	{"accept4", WORDS_PLAIN, "fd@ addr! addrlen! flags*=SOCK_"},
	{"accept", WORDS_PLAIN, "fd@ addr! addrlen!"},
	{"shutdown", WORDS_PLAIN, "fd@ how#=SHUT_"},
	{"getsockname", WORDS_PLAIN, "fd@ addr! addrlen!"},
	{"getpeername", WORDS_PLAIN, "fd@ addr! addrlen!"},
	{"setsockopt", WORDS_PLAIN, "fd@ level*#=SOL_ optname*# optval! optlen"},
	{"getsockopt", WORDS_PLAIN, "fd@ level*#=SOL_ optname*# optval! optlen!"},
	/* waiting and time */
	{"epoll_create1", WORDS_PLAIN, "flags*=EPOLL_"},
	{"epoll_ctl", WORDS_PLAIN, "epfd@ op#=EPOLL_CTL_ fd@ event!"},
	{"epoll_wait", WORDS_PLAIN, "epfd@ events! maxevents timeout"},
	{"epoll_pwait", WORDS_PLAIN, "epfd@ events! maxevents timeout sigmask! size!"},
	{"epoll_pwait2", WORDS_PLAIN, "epfd@ events! maxevents timeout! sigmask! size!"},
	{"eventfd2", WORDS_PLAIN, "initval flags*=EFD_"},
	{"timerfd_create", WORDS_PLAIN, "clockid*=CLOCK_ flags*=TFD_"},
	{"timerfd_settime", WORDS_PLAIN, "fd@ flags new! old!"},
	{"signalfd4", WORDS_PLAIN, "fd@ mask! size! flags*=SFD_"},
	{"poll", WORDS_PLAIN, "fds! nfds timeout"},
	{"ppoll", WORDS_PLAIN, "fds! nfds timeout! sigmask! size!"},
	{"select", WORDS_PLAIN, "nfds readfds! writefds! exceptfds! timeout!"},
	{"pselect6", WORDS_PLAIN, "nfds readfds! writefds! exceptfds! timeout! sigmask!"},
	{"clock_gettime", WORDS_PLAIN, "clockid#=CLOCK_ tp!"},
	{"clock_getres", WORDS_PLAIN, "clockid=CLOCK_ tp!"},
	{"clock_nanosleep", WORDS_PLAIN, "clockid=CLOCK_ flags request! remain!"},
	{"nanosleep", WORDS_PLAIN, "request! remain!"},
	{"gettimeofday", WORDS_PLAIN, "tv! tz!"},
	{"time", WORDS_PLAIN, "tloc!"},
	/* memory */
	{"mmap", WORDS_PLAIN, "addr! len! prot!*=PROT_ flags!*=MAP_ fd@ offset!"},
	{"munmap", WORDS_PLAIN, "addr! len!"},
	{"mremap", WORDS_PLAIN, "addr! old_len! new_len! flags!*=MREMAP_ new_addr!"},
	{"mprotect", WORDS_PLAIN, "addr! len! prot!*=PROT_"},
	{"pkey_mprotect", WORDS_POWER, "addr! len! prot!*=PROT_ pkey"},
	{"madvise", WORDS_PLAIN, "addr! len! advice*=MADV_"},
	{"brk", WORDS_PLAIN, "addr!"},
	{"memfd_create", WORDS_POWER, "name! flags*=MFD_"},
	/* the process itself */
	{"exit_group", WORDS_PLAIN, "status"},
	{"exit", WORDS_PLAIN, "status"},
	{"rt_sigreturn", WORDS_PLAIN, ""},
	{"rt_sigaction", WORDS_PLAIN, "signum act! oldact! size!"},
	{"rt_sigprocmask", WORDS_PLAIN, "how=SIG_ set! oldset! size!"},
	{"rt_sigtimedwait", WORDS_PLAIN, "set! info! timeout! size!"},
	{"sigaltstack", WORDS_PLAIN, "stack! old!"},
	{"restart_syscall", WORDS_PLAIN, ""},
	{"futex", WORDS_PLAIN, "uaddr! op*#=FUTEX_ val timeout! uaddr2! val3"},
	{"getrandom", WORDS_PLAIN, "buf! count! flags=GRND_"},
	{"getpid", WORDS_PLAIN, ""},
	{"getppid", WORDS_PLAIN, ""},
	{"gettid", WORDS_PLAIN, ""},
	{"getuid", WORDS_PLAIN, ""},
	{"geteuid", WORDS_PLAIN, ""},
	{"getgid", WORDS_PLAIN, ""},
	{"getegid", WORDS_PLAIN, ""},
	{"getpgrp", WORDS_PLAIN, ""},
	{"getpgid", WORDS_PLAIN, "pid"},
	{"getresuid", WORDS_PLAIN, "ruid! euid! suid!"},
	{"getresgid", WORDS_PLAIN, "rgid! egid! sgid!"},
	{"sched_yield", WORDS_PLAIN, ""},
	{"uname", WORDS_PLAIN, "buf!"},
	{"sysinfo", WORDS_PLAIN, "info!"},
	{"getrusage", WORDS_PLAIN, "who usage!"},
	{"prlimit64", WORDS_POWER, "pid* resource*#=RLIMIT_ new! old!"},
	{"getrlimit", WORDS_PLAIN, "resource=RLIMIT_ rlim!"},
	{"setrlimit", WORDS_POWER, "resource=RLIMIT_ rlim!"},
	{"prctl", WORDS_POWER, "option*#=PR_ arg2! arg3! arg4! arg5!"},
	{"arch_prctl", WORDS_POWER, "option*# addr!"},
	{"set_tid_address", WORDS_PLAIN, "tidptr!"},
	{"set_robust_list", WORDS_PLAIN, "head! len!"},
	{"rseq", WORDS_PLAIN, "rseq! len flags sig"},
	{"membarrier", WORDS_PLAIN, "cmd flags cpu"},
	{"sched_getaffinity", WORDS_PLAIN, "pid len mask!"},
	{"umask", WORDS_PLAIN, "mask"},
	/* other processes */
	{"kill", WORDS_POWER, "pid sig*#=SIG"},
	{"tgkill", WORDS_POWER, "tgid tid sig*#=SIG"},
	{"tkill", WORDS_POWER, "tid sig*=SIG"},
	{"wait4", WORDS_POWER, "pid status! options=W rusage!"},
	{"waitid", WORDS_POWER, "idtype*#=P_ id info! options=W rusage!"},
	{"clone", WORDS_POWER, "flags!*=CLONE_ stack! ptid! ctid! tls!"},
	{"clone3", WORDS_POWER, "args! size!"},
	{"fork", WORDS_POWER, ""},
	{"vfork", WORDS_POWER, ""},
	{"execve", WORDS_POWER, "path! argv! envp!"},
	{"execveat", WORDS_POWER, "dirfd@ path! argv! envp! flags*=AT_"},
	{"pidfd_open", WORDS_POWER, "pid flags"},
	{"pidfd_send_signal", WORDS_POWER, "fd@ sig*=SIG info! flags"},
	{"pidfd_getfd", WORDS_POWER, "pidfd@ targetfd flags"},
	{"kcmp", WORDS_POWER, "pid1 pid2 type idx1! idx2!"},
	{"ptrace", WORDS_POWER, "request!*=PTRACE_ pid! addr! data!"},
	{"process_vm_readv", WORDS_POWER, "pid liov! liovcnt! riov! riovcnt! flags!"},
	{"process_vm_writev", WORDS_POWER, "pid liov! liovcnt! riov! riovcnt! flags!"},
	{"setpgid", WORDS_POWER, "pid pgid"},
	{"setsid", WORDS_POWER, ""},
	/* identity, namespaces, locks */
	{"setuid", WORDS_POWER, "uid"},
	{"setgid", WORDS_POWER, "gid"},
	{"setresuid", WORDS_POWER, "ruid euid suid"},
	{"setresgid", WORDS_POWER, "rgid egid sgid"},
	{"setgroups", WORDS_POWER, "size list!"},
	{"capget", WORDS_POWER, "header! data!"},
	{"capset", WORDS_POWER, "header! data!"},
	{"unshare", WORDS_POWER, "flags!*=CLONE_"},
	{"setns", WORDS_POWER, "fd@ nstype*=CLONE_"},
	{"mount", WORDS_POWER, "source! target! type! flags!*=MS_ data!"},
	{"umount2", WORDS_POWER, "target! flags*=MNT_"},
	{"open_tree", WORDS_POWER, "dirfd@ path! flags"},
	{"pivot_root", WORDS_POWER, "new_root! put_old!"},
	{"chroot", WORDS_POWER, "path!"},
	{"sethostname", WORDS_POWER, "name! len"},
	{"seccomp", WORDS_POWER, "op*#=SECCOMP_ flags* args!"},
	{"landlock_create_ruleset", WORDS_POWER, "attr! size! flags"},
	{"landlock_add_rule", WORDS_POWER, "fd@ type attr! flags"},
	{"landlock_restrict_self", WORDS_POWER, "fd@ flags"},
	{"bpf", WORDS_POWER, "cmd attr! size"},
	{"perf_event_open", WORDS_POWER, "attr! pid cpu group_fd flags!"},
	{"keyctl", WORDS_POWER, "cmd arg2! arg3! arg4! arg5!"},
	{"io_uring_setup", WORDS_POWER, "entries params!"},
	{"io_uring_enter", WORDS_POWER, "fd@ to_submit min_complete flags sig! size!"},
	{"userfaultfd", WORDS_POWER, "flags"},
	{"reboot", WORDS_POWER, "magic1 magic2 cmd arg!"},
	{"clock_settime", WORDS_POWER, "clockid=CLOCK_ tp!"},
	/* files */
	{"open", WORDS_PATH, "path! flags*#=O_ mode"},
	{"openat", WORDS_PATH, "dirfd@ path! flags*#=O_ mode"},
	{"openat2", WORDS_PATH, "dirfd@ path! how! size!"},
	{"creat", WORDS_PATH, "path! mode"},
	{"stat", WORDS_PATH, "path! buf!"},
	{"lstat", WORDS_PATH, "path! buf!"},
	{"fstat", WORDS_PLAIN, "fd@ buf!"},
	{"newfstatat", WORDS_PATH, "dirfd@ path! buf! flags=AT_"},
	{"statx", WORDS_PATH, "dirfd@ path! flags=AT_ mask buf!"},
	{"statfs", WORDS_PATH, "path! buf!"},
	{"fstatfs", WORDS_PLAIN, "fd@ buf!"},
	{"access", WORDS_PATH, "path! mode"},
	{"faccessat", WORDS_PATH, "dirfd@ path! mode"},
	{"faccessat2", WORDS_PATH, "dirfd@ path! mode flags=AT_"},
	{"readlink", WORDS_PATH, "path! buf! size"},
	{"readlinkat", WORDS_PATH, "dirfd@ path! buf! size"},
	{"getcwd", WORDS_PATH, "buf! size!"},
	{"chdir", WORDS_PATH, "path!"},
	{"fchdir", WORDS_PATH, "fd@"},
	{"mkdir", WORDS_PATH, "path! mode"},
	{"mkdirat", WORDS_PATH, "dirfd@ path! mode"},
	{"rmdir", WORDS_PATH, "path!"},
	{"unlink", WORDS_PATH, "path!"},
	{"unlinkat", WORDS_PATH, "dirfd@ path! flags=AT_"},
	{"rename", WORDS_PATH, "old! new!"},
	{"renameat", WORDS_PATH, "olddirfd@ old! newdirfd@ new!"},
	{"renameat2", WORDS_PATH, "olddirfd@ old! newdirfd@ new! flags"},
	{"linkat", WORDS_PATH, "olddirfd@ old! newdirfd@ new! flags=AT_"},
	{"symlinkat", WORDS_PATH, "target! dirfd@ path!"},
	{"chmod", WORDS_PATH, "path! mode"},
	{"fchmod", WORDS_PLAIN, "fd@ mode"},
	{"fchmodat", WORDS_PATH, "dirfd@ path! mode"},
	{"chown", WORDS_PATH, "path! uid gid"},
	{"fchown", WORDS_PLAIN, "fd@ uid gid"},
	{"fchownat", WORDS_PATH, "dirfd@ path! uid gid flags=AT_"},
	{"getdents64", WORDS_PATH, "fd@ buf! count"},
	{"inotify_init1", WORDS_PATH, "flags=IN_"},
	{"inotify_add_watch", WORDS_PATH, "fd@ path! mask=IN_"},
	{"inotify_rm_watch", WORDS_PATH, "fd@ wd"},
	{"open_by_handle_at", WORDS_POWER, "mount_fd@ handle! flags=O_"},
};

struct descriptor {
	const char *actor;
	const char *name;
	uint32_t first, last;
};

static const struct descriptor descriptors[] = {
#define FD(ACTOR, NAME, FIRST, LAST) {#ACTOR, #NAME, FIRST, LAST},
#include "topology.def"
};

enum {
	CALLS = sizeof(calls) / sizeof(calls[0]),
	DESCRIPTORS = sizeof(descriptors) / sizeof(descriptors[0]),
};

static const struct call *call_find(const char *name)
{
	for (size_t i = 0; i < CALLS; i++)
		if (strcmp(calls[i].name, name) == 0)
			return &calls[i];
	return NULL;
}

bool words_call(const char *call, enum words_kind *kind)
{
	const struct call *found = call_find(call);
	if (found && kind)
		*kind = found->kind;
	return found != NULL;
}

/* Reads one word of a row: name, then marks, then an optional prefix. */
static void argument_read(
	const char *word, size_t n, unsigned int index, struct words_argument *out)
{
	size_t name = strcspn(word, "!@*#= ");
	const char *equals = memchr(word, '=', n);
	size_t marks = equals ? (size_t)(equals - word) : n;
	*out = (struct words_argument){.index = index, .bits = 32};
	memcpy(out->name, word, name);
	out->bits = memchr(word, '!', marks) ? 64 : 32;
	out->is_fd = memchr(word, '@', marks) != NULL;
	out->must_pin = out->is_fd || memchr(word, '*', marks);
	out->is_choice = memchr(word, '#', marks) != NULL;
	if (equals)
		memcpy(out->prefix, equals + 1, n - marks - 1);
}

bool words_argument_at(const char *call, unsigned int index, struct words_argument *out)
{
	const struct call *found = call_find(call);
	const char *word = found ? found->arguments : "";
	for (unsigned int i = 0; *word && i < WORDS_ARGUMENTS; i++) {
		size_t n = strcspn(word, " ");
		if (i == index) {
			argument_read(word, n, index, out);
			return true;
		}
		word += n + (word[n] == ' ');
	}
	return false;
}

bool words_argument(const char *call, const char *name, struct words_argument *out)
{
	for (unsigned int i = 0; words_argument_at(call, i, out); i++)
		if (strcmp(out->name, name) == 0)
			return true;
	return false;
}

static void append_word(char *out, size_t cap, const char *word)
{
	size_t used = strlen(out);
	snprintf(out + used, cap - used, "%s%s", used ? ", " : "", word);
}

const char *words_argument_names(const char *call, char *out, size_t cap)
{
	struct words_argument a;
	out[0] = '\0';
	for (unsigned int i = 0; words_argument_at(call, i, &a); i++)
		append_word(out, cap, a.name);
	return out;
}

/* topology.def writes actors in capitals, policies in small letters. */
static bool actor_is(const struct descriptor *d, const char *actor)
{
	size_t i = 0;
	for (; d->actor[i] && actor[i]; i++)
		if ((d->actor[i] | 0x20) != actor[i])
			return false;
	return d->actor[i] == actor[i];
}

bool words_has_topology(const char *actor)
{
	for (size_t i = 0; i < DESCRIPTORS; i++)
		if (actor_is(&descriptors[i], actor))
			return true;
	return false;
}

bool words_descriptor(const char *actor, const char *name, uint32_t *first, uint32_t *last)
{
	for (size_t i = 0; i < DESCRIPTORS; i++) {
		if (!actor_is(&descriptors[i], actor) || strcmp(descriptors[i].name, name) != 0)
			continue;
		*first = descriptors[i].first;
		*last = descriptors[i].last;
		return true;
	}
	return false;
}

const char *words_descriptor_names(const char *actor, char *out, size_t cap)
{
	out[0] = '\0';
	for (size_t i = 0; i < DESCRIPTORS; i++)
		if (actor_is(&descriptors[i], actor))
			append_word(out, cap, descriptors[i].name);
	return out;
}

/* Edit distance by one row of the table; words longer than the row are never near. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[32];
	size_t nb = strlen(b);
	if (nb + 1 > sizeof(row) / sizeof(row[0]))
		return 99;
	for (unsigned int j = 0; j <= nb; j++)
		row[j] = j;
	for (unsigned int i = 1; a[i - 1]; i++) {
		unsigned int corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned int best = corner + (a[i - 1] != b[j - 1]);
			corner = row[j];
			best = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
			row[j] = best < corner + 1 ? best : corner + 1;
		}
	}
	return row[nb];
}

const char *words_nearest_call(const char *call)
{
	const char *nearest = NULL;
	unsigned int best = 3;
	for (size_t i = 0; i < CALLS; i++) {
		unsigned int d = distance(call, calls[i].name);
		if (d < best) {
			best = d;
			nearest = calls[i].name;
		}
	}
	return nearest;
}
