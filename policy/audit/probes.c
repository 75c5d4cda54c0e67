/*
 * Theory of operation
 *
 * A probe is the shortest code that asks the kernel for one thing, by number, as injected code
 * would. Most need just arguments and are written down in probes.def as such; the functions here
 * prepare a structure first. Where the call under test needs another call to lead up to it (a
 * socket to bind, a child to attach to), that one is made only when `lead` says that this posture
 * allows it; otherwise a number stands in for its result, and the call under test is what dies.
 * Where nothing but the locks are in the way (LEAD_ANY) what leads up may fail as well: then the
 * call is made with -1 and refused.
 */
#include "probes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { STAND_IN_FD = 16, STAND_IN_PID = 2, FD_EPOLL = 9, STACK_WORDS = 1024 };

static char probe_buffer[4096];

static long result(long r)
{
	return r < 0 ? -errno : r;
}

/* A path opened where that may be. */
static long lead_open(enum probe_lead lead, const char *path, int flags)
{
	return lead == LEAD_ANY ? syscall(SYS_openat, AT_FDCWD, path, flags) : STAND_IN_FD;
}

/* A process that does nothing and ends with us, who are the first of a pid namespace. */
static long lead_child(enum probe_lead lead)
{
	if (lead != LEAD_ANY)
		return STAND_IN_PID;
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	while (pid == 0)
		syscall(SYS_pause);
	return pid;
}

/* One end of a pair of sockets, with a byte to read. */
static long lead_pair(enum probe_lead lead)
{
	int pair[2] = {-1, -1};
	if (lead == LEAD_ANY && syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair) == 0)
		syscall(SYS_write, pair[1], "x", 1);
	return pair[0];
}

/* The reading and the writing end of a pipe with a byte in it, or -1 for both. */
static void lead_pipe(enum probe_lead lead, int *out, int *in)
{
	int ends[2] = {-1, -1};
	if (lead == LEAD_ANY && syscall(SYS_pipe2, ends, 0) == 0)
		syscall(SYS_write, ends[1], "x", 1);
	*out = ends[0];
	*in = ends[1];
}

static long probe_openat2(enum probe_lead lead)
{
	struct open_how how = {.flags = O_RDONLY};
	return result(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof(how)));
}

static long probe_getdents_root(enum probe_lead lead)
{
	long fd = lead == LEAD_ANY ? syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY)
				   : STAND_IN_FD;
	return result(syscall(SYS_getdents64, fd, probe_buffer, sizeof(probe_buffer)));
}

static long probe_open_by_handle_at(enum probe_lead lead)
{
	struct {
		uint32_t bytes, type;
		uint8_t handle[128];
	} handle = {.bytes = sizeof(handle.handle), .type = 1};
	int mount;
	if (lead == LEAD_ANY)
		syscall(SYS_name_to_handle_at, AT_FDCWD, "/tmp/victim", &handle, &mount, 0);
	long fd = lead_open(lead, "/tmp", O_RDONLY | O_DIRECTORY);
	return result(syscall(SYS_open_by_handle_at, fd, &handle, O_RDONLY));
}

static long probe_execve(enum probe_lead lead)
{
	const char *const argv[] = {"true", NULL};
	return result(syscall(SYS_execve, "/bin/true", argv, argv + 1));
}

static long probe_execveat(enum probe_lead lead)
{
	const char *const argv[] = {"true", NULL};
	return result(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, argv + 1, 0));
}

static void thread_end(void)
{
	syscall(SYS_exit, 0);
}

/* The new thread "returns" from the system call into thread_end, the only word on its stack. */
static long probe_clone_thread(enum probe_lead lead)
{
	static uintptr_t stack[STACK_WORDS];
	uintptr_t *top = &stack[STACK_WORDS - 2];
	*top = (uintptr_t)thread_end;
	return result(syscall(SYS_clone,
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, top, 0, 0, 0));
}

static long probe_clone3(enum probe_lead lead)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	return result(syscall(SYS_clone3, &args, sizeof(args)));
}

static long probe_mmap_rwx(enum probe_lead lead)
{
	return result(syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static long probe_mmap_rx(enum probe_lead lead)
{
	return result(syscall(
		SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static _Alignas(4096) char page[4096];

static long probe_mprotect_exec(enum probe_lead lead)
{
	return result(syscall(SYS_mprotect, page, sizeof(page), PROT_READ | PROT_EXEC));
}

static long probe_pkey_mprotect_exec(enum probe_lead lead)
{
	return result(syscall(SYS_pkey_mprotect, page, sizeof(page), PROT_READ | PROT_EXEC, -1));
}

static long probe_bind_low(enum probe_lead lead)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = 0x1600 /* 22 */};
	long fd = STAND_IN_FD;
	if (lead != LEAD_NONE)
		fd = syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			IPPROTO_TCP);
	return result(syscall(SYS_bind, fd, &to, sizeof(to)));
}

/* Where it can be, somebody listens there: otherwise what matters is that the name space of abstract
 * sockets cannot even be reached. natproxy has no Unix socket and tries with what it has. */
static long probe_connect_abstract(enum probe_lead lead)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "\0natlock"};
	long fd = STAND_IN_FD;
	if (lead == LEAD_ANY) {
		long listener = syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
		syscall(SYS_bind, listener, &to, sizeof(to));
		syscall(SYS_listen, listener, 1);
		fd = syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
	} else if (lead == LEAD_JOB) {
		fd = syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			IPPROTO_TCP);
	}
	return result(syscall(SYS_connect, fd, &to, sizeof(to)));
}

static long probe_ptrace_attach(enum probe_lead lead)
{
	return result(syscall(SYS_ptrace, PTRACE_ATTACH, lead_child(lead), 0, 0));
}

/* Signal 0 is no signal. */
static long probe_kill_all(enum probe_lead lead)
{
	lead_child(lead);
	return result(syscall(SYS_kill, -1, 0));
}

static long probe_pidfd_getfd(enum probe_lead lead)
{
	long child = lead_child(lead);
	long fd = lead == LEAD_ANY ? syscall(SYS_pidfd_open, child, 0) : STAND_IN_FD;
	return result(syscall(SYS_pidfd_getfd, fd, 0, 0));
}

static long probe_process_vm_readv(enum probe_lead lead)
{
	struct iovec to = {probe_buffer, 1}, from = {page, 1};
	return result(syscall(SYS_process_vm_readv, 1, &to, 1, &from, 1, 0));
}

static long probe_process_vm_writev(enum probe_lead lead)
{
	struct iovec from = {probe_buffer, 1}, to = {page, 1};
	return result(syscall(SYS_process_vm_writev, 1, &from, 1, &to, 1, 0));
}

/* To what it has at most, which for a worker is nothing: one more then. */
static long probe_setrlimit_up(enum probe_lead lead)
{
	struct rlimit has = {0, 0};
	if (lead == LEAD_ANY)
		syscall(SYS_prlimit64, 0, RLIMIT_NPROC, 0, &has);
	const rlim_t most = has.rlim_max ? has.rlim_max : 1;
	const struct rlimit more = {most, most};
	return result(syscall(SYS_prlimit64, 0, RLIMIT_NPROC, &more, 0));
}

static long probe_sched_setaffinity(enum probe_lead lead)
{
	memset(probe_buffer, 0xff, sizeof(probe_buffer));
	return result(syscall(SYS_sched_setaffinity, 0, 128, probe_buffer));
}

/* A filter of its own could answer "done" for calls that were never made. */
static long probe_seccomp_second_filter(enum probe_lead lead)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {.len = 1, .filter = &allow};
	if (lead == LEAD_ANY)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

static long probe_setns(enum probe_lead lead)
{
	long fd = lead_open(lead, "/proc/self/ns/net", O_RDONLY);
	return result(syscall(SYS_setns, fd, CLONE_NEWNET));
}

static long probe_bpf(enum probe_lead lead)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	return result(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

static long probe_perf_event_open(enum probe_lead lead)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .exclude_kernel = 1};
	return result(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static long probe_io_uring_setup(enum probe_lead lead)
{
	struct io_uring_params params = {0};
	return result(syscall(SYS_io_uring_setup, 4, &params));
}

static long probe_capset(enum probe_lead lead)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct all[2] = {{~0U, ~0U, 0}, {~0U, ~0U, 0}};
	return result(syscall(SYS_capset, &header, all));
}

static long probe_tun_ioctl(enum probe_lead lead)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	long fd = lead_open(lead, "/dev/net/tun", O_RDWR);
	return result(syscall(SYS_ioctl, fd, TUNSETIFF, &request));
}

/* Words into the terminal of its own session. */
static long probe_tiocsti(enum probe_lead lead)
{
	const int unlocked = 0;
	long fd = 0;
	if (lead == LEAD_ANY) {
		long other = syscall(SYS_openat, AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY);
		syscall(SYS_setsid);
		syscall(SYS_ioctl, other, TIOCSPTLCK, &unlocked);
		fd = syscall(SYS_ioctl, other, TIOCGPTPEER, O_RDWR);
		syscall(SYS_ioctl, fd, TIOCSCTTY, 0);
	}
	return result(syscall(SYS_ioctl, fd, TIOCSTI, "x"));
}

static long probe_ftruncate(enum probe_lead lead)
{
	return result(syscall(SYS_ftruncate, lead_open(lead, "/tmp/victim", O_RDWR), 0));
}

static long probe_recvmsg_minus_one(enum probe_lead lead)
{
	return result(syscall(SYS_recvmsg, lead_pair(lead), probe_buffer, 0));
}

static long probe_sendmsg_minus_one(enum probe_lead lead)
{
	return result(syscall(SYS_sendmsg, lead_pair(lead), probe_buffer, 0));
}

static long probe_close_epoll(enum probe_lead lead)
{
	if (lead == LEAD_ANY)
		syscall(SYS_dup3, 0, FD_EPOLL, 0);
	return result(syscall(SYS_close, FD_EPOLL));
}

static long probe_splice(enum probe_lead lead)
{
	int out, in, other_out, other_in;
	lead_pipe(lead, &out, &in);
	lead_pipe(lead, &other_out, &other_in);
	return result(syscall(SYS_splice, out, 0, other_in, 0, 1, 0));
}

static long probe_vmsplice(enum probe_lead lead)
{
	const struct iovec bytes = {probe_buffer, 1};
	int out, in;
	lead_pipe(lead, &out, &in);
	return result(syscall(SYS_vmsplice, in, &bytes, 1, 0));
}

#if defined(__x86_64__)
/* The 32-bit entry: 20 is getpid there and writev here. */
static long probe_i386_getpid(enum probe_lead lead)
{
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	return r;
}
#endif

#define CALL(name, call, natproxy, others, unfiltered, outside, ...)                               \
	static long probe_##name(enum probe_lead lead)                                             \
	{                                                                                          \
		return result(syscall(call, __VA_ARGS__));                                         \
	}
#define CODE(name, ...)
#include "probes.def"

const struct probe probes[] = {
#define CALL(name, call, natproxy, others, unfiltered, outside, ...)                               \
	{#name, call, probe_##name, natproxy, others, unfiltered, outside},
#define CODE(name, call, natproxy, others, unfiltered, outside)                                    \
	{#name, call, probe_##name, natproxy, others, unfiltered, outside},
#include "probes.def"
};
const unsigned int probe_count = sizeof(probes) / sizeof(probes[0]);
