/*
 * Theory of operation
 *
 * A probe is the shortest code that asks the kernel for one thing, by number, as injected code
 * would. Most need just arguments and are written down in probes.def as such; the functions here
 * prepare a structure first. Where the call under test needs another call to lead up to it (a
 * socket to bind), that one is made only when `prepare` says that this posture allows it; otherwise
 * a number stands in for its result, and the call under test is what dies.
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

enum { STAND_IN_FD = 16, STACK_WORDS = 1024 };

static char probe_buffer[4096];

static long result(long r)
{
	return r < 0 ? -errno : r;
}

static long probe_openat2(bool prepare)
{
	struct open_how how = {.flags = O_RDONLY};
	return result(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof(how)));
}

static long probe_getdents_root(bool prepare)
{
	long fd =
		prepare ? syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY) : STAND_IN_FD;
	return result(syscall(SYS_getdents64, fd, probe_buffer, sizeof(probe_buffer)));
}

static long probe_open_by_handle_at(bool prepare)
{
	struct {
		uint32_t bytes, type;
		uint8_t handle[8];
	} handle = {.bytes = 8, .type = 1};
	return result(syscall(SYS_open_by_handle_at, AT_FDCWD, &handle, O_RDONLY));
}

static long probe_execve(bool prepare)
{
	const char *const argv[] = {"true", NULL};
	return result(syscall(SYS_execve, "/bin/true", argv, argv + 1));
}

static long probe_execveat(bool prepare)
{
	const char *const argv[] = {"true", NULL};
	return result(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, argv + 1, 0));
}

static void thread_end(void)
{
	syscall(SYS_exit, 0);
}

/* The new thread "returns" from the system call into thread_end, the only word on its stack. */
static long probe_clone_thread(bool prepare)
{
	static uintptr_t stack[STACK_WORDS];
	uintptr_t *top = &stack[STACK_WORDS - 2];
	*top = (uintptr_t)thread_end;
	return result(syscall(SYS_clone,
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, top, 0, 0, 0));
}

static long probe_clone3(bool prepare)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	return result(syscall(SYS_clone3, &args, sizeof(args)));
}

static long probe_mmap_rwx(bool prepare)
{
	return result(syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static long probe_mmap_rx(bool prepare)
{
	return result(syscall(
		SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static _Alignas(4096) char page[4096];

static long probe_mprotect_exec(bool prepare)
{
	return result(syscall(SYS_mprotect, page, sizeof(page), PROT_READ | PROT_EXEC));
}

static long probe_pkey_mprotect_exec(bool prepare)
{
	return result(syscall(SYS_pkey_mprotect, page, sizeof(page), PROT_READ | PROT_EXEC, -1));
}

static long probe_bind_low(bool prepare)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = 0x1600 /* 22 */};
	long fd = STAND_IN_FD;
	if (prepare)
		fd = syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			IPPROTO_TCP);
	return result(syscall(SYS_bind, fd, &to, sizeof(to)));
}

/* Nobody listens there: what matters is that the name space of abstract sockets cannot even be
 * reached. */
static long probe_connect_abstract(bool prepare)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "\0natlock"};
	long fd = STAND_IN_FD;
	if (prepare)
		fd = syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			IPPROTO_TCP);
	return result(syscall(SYS_connect, fd, &to, sizeof(to)));
}

static long probe_process_vm_readv(bool prepare)
{
	struct iovec to = {probe_buffer, 1}, from = {page, 1};
	return result(syscall(SYS_process_vm_readv, 1, &to, 1, &from, 1, 0));
}

static long probe_process_vm_writev(bool prepare)
{
	struct iovec from = {probe_buffer, 1}, to = {page, 1};
	return result(syscall(SYS_process_vm_writev, 1, &from, 1, &to, 1, 0));
}

static long probe_setrlimit_up(bool prepare)
{
	struct rlimit more = {1 << 20, 1 << 20};
	return result(syscall(SYS_prlimit64, 0, RLIMIT_NPROC, &more, 0));
}

/* A filter of its own could answer "done" for calls that were never made. */
static long probe_seccomp_second_filter(bool prepare)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {.len = 1, .filter = &allow};
	if (prepare)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

static long probe_setns(bool prepare)
{
	return result(syscall(SYS_setns, STAND_IN_FD, CLONE_NEWNET));
}

static long probe_bpf(bool prepare)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	return result(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

static long probe_perf_event_open(bool prepare)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .exclude_kernel = 1};
	return result(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static long probe_io_uring_setup(bool prepare)
{
	struct io_uring_params params = {0};
	return result(syscall(SYS_io_uring_setup, 4, &params));
}

static long probe_clock_settime(bool prepare)
{
	struct timespec never = {0, -1};
	return result(syscall(SYS_clock_settime, CLOCK_REALTIME, &never));
}

static long probe_capset(bool prepare)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct all[2] = {{~0U, ~0U, 0}, {~0U, ~0U, 0}};
	return result(syscall(SYS_capset, &header, all));
}

static long probe_tun_ioctl(bool prepare)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	return result(syscall(SYS_ioctl, STAND_IN_FD, TUNSETIFF, &request));
}

#if defined(__x86_64__)
/* The 32-bit entry: 20 is getpid there and writev here. */
static long probe_i386_getpid(bool prepare)
{
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	return r;
}
#endif

#define CALL(name, call, natproxy, others, unfiltered, outside, ...)                               \
	static long probe_##name(bool prepare)                                                     \
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
