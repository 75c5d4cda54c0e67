/*
 * Theory of operation
 *
 * A row of injections.def becomes a function that lays out one call for one process: the addresses
 * in its arguments are addresses of that process, so nothing can be laid out before it is known.
 * Where a job needs calls that lead up to the one under test (a socket to bind) they are made in
 * that process first, if it is the control or the call is its job; in all others a number stands in
 * for the socket, and the call under test is what dies.
 */
#include "injections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "victim.h"

enum { X32 = 0x40000000, IN_PAGE = 4095 };

#define HERE		     AT_FDCWD
#define TEXT(words)	     call_put(&a->call, words, sizeof(words))
#define ROOM(count)	     call_room(&a->call, count)
#define BYTES(type, ...)     call_put(&a->call, &(type){__VA_ARGS__}, sizeof(type))
#define LOOPBACK(port)	     address_of(a, INADDR_LOOPBACK, port)
#define PAGE_OF_STACK	     (a->process->registers.rsp & ~(uint64_t)IN_PAGE)
#define PAGE_OF_TEXT	     (a->process->registers.rip & ~(uint64_t)IN_PAGE)
#define SET(a, number, ...)  set(a, number, (const uint64_t[CALL_ARGUMENTS]){__VA_ARGS__})
#define LEAD(a, number, ...) lead(a, number, (const uint64_t[CALL_ARGUMENTS]){__VA_ARGS__})

static uint64_t address_of(struct attempt *a, uint32_t ip, uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};

	return call_put(&a->call, &address, sizeof(address));
}

static void set(struct attempt *a, long number, const uint64_t *arguments)
{
	a->call.number = number;
	memcpy(a->call.argument, arguments, sizeof(a->call.argument));
}

/* A call made at once, with what was laid out so far. Its answer, or -1 when none came. */
static long lead(struct attempt *a, long number, const uint64_t *arguments)
{
	struct call c = a->call;
	struct seize_outcome outcome;

	c.number = number;
	memcpy(c.argument, arguments, sizeof(c.argument));
	seize_start(a->process, &c);
	outcome = seize_finish(a->process, &c);
	seize_read(a->process, &a->call);
	return outcome.end == SEIZE_RETURNED ? outcome.value : -1;
}

static bool may_lead(const struct attempt *a)
{
	return a->role == CONTROL || a->kind->jobs & a->role;
}

/* A TCP socket of the process itself. The control's waits until it is connected. */
static uint64_t lead_socket(struct attempt *a)
{
	const int flags = a->role == CONTROL ? 0 : SOCK_NONBLOCK | SOCK_CLOEXEC;
	long fd;

	if (!may_lead(a))
		return VICTIM_TCP;
	fd = LEAD(a, SYS_socket, AF_INET, (uint64_t)(SOCK_STREAM | flags), IPPROTO_TCP);
	if (fd >= 0)
		a->lead[a->leads++] = fd;
	return (uint64_t)fd;
}

static void compose_bind(struct attempt *a)
{
	SET(a, SYS_bind, lead_socket(a), address_of(a, INADDR_ANY, 0), sizeof(struct sockaddr_in));
}

static void compose_bind_low(struct attempt *a)
{
	SET(a, SYS_bind, lead_socket(a), address_of(a, INADDR_ANY, 22), sizeof(struct sockaddr_in));
}

static void compose_listen_unbound(struct attempt *a)
{
	SET(a, SYS_listen, lead_socket(a), 1);
}

static void compose_connect_loopback(struct attempt *a)
{
	SET(a, SYS_connect, lead_socket(a), LOOPBACK(VICTIM_PORT), sizeof(struct sockaddr_in));
}

static void compose_connect_abstract(struct attempt *a)
{
	static const char name[] = "\0natlock-escape";
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	uint64_t fd = a->role == CONTROL ? VICTIM_UNIX : lead_socket(a);

	memcpy(to.sun_path, name, sizeof(name));
	SET(a, SYS_connect, fd, call_put(&a->call, &to, sizeof(to)), sizeof(to));
}

/* The control asks for the handle of a file first; a worker may not even ask. */
static void compose_open_by_handle_at(struct attempt *a)
{
	const uint64_t path = TEXT("/etc/passwd"), mount = ROOM(8);
	const uint64_t handle = BYTES(uint32_t[34], 128);

	if (a->role == CONTROL)
		LEAD(a, SYS_name_to_handle_at, HERE, path, handle, mount);
	SET(a, SYS_open_by_handle_at, HERE, handle, O_RDONLY);
}

static void compose_request_key(struct attempt *a)
{
	const uint64_t type = TEXT("user"), name = TEXT("x");

	if (a->role == CONTROL)
		LEAD(a, SYS_add_key, type, name, name, 1, (uint64_t)KEY_SPEC_PROCESS_KEYRING);
	SET(a, SYS_request_key, type, name, 0, 0);
}

static uint64_t argument_list(struct attempt *a)
{
	return BYTES(uint64_t[2], TEXT("true"), 0);
}

static void compose_execve(struct attempt *a)
{
	SET(a, SYS_execve, TEXT("/bin/true"), argument_list(a), ROOM(8));
}

static void compose_execveat(struct attempt *a)
{
	SET(a, SYS_execveat, HERE, TEXT("/bin/true"), argument_list(a), ROOM(8), 0);
}

/* The bystander has the same stack at the same place: it was forked. */
static uint64_t vector(struct attempt *a)
{
	return BYTES(struct iovec, (void *)(a->process->registers.rsp), 8);
}

static uint64_t own_vector(struct attempt *a)
{
	return BYTES(struct iovec, (void *)ROOM(8), 8);
}

static void compose_process_vm_readv(struct attempt *a)
{
	SET(a, SYS_process_vm_readv, VICTIM_BYSTANDER, own_vector(a), 1, vector(a), 1, 0);
}

static void compose_process_vm_writev(struct attempt *a)
{
	SET(a, SYS_process_vm_writev, VICTIM_BYSTANDER, own_vector(a), 1, vector(a), 1, 0);
}

static uint64_t program(struct attempt *a)
{
	const uint64_t allow = BYTES(struct sock_filter, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);

	return BYTES(struct sock_fprog, 1, (struct sock_filter *)allow);
}

static void compose_setsockopt_filter(struct attempt *a)
{
	SET(a, SYS_setsockopt, VICTIM_TCP, SOL_SOCKET, SO_ATTACH_FILTER, program(a),
		sizeof(struct sock_fprog));
}

static void compose_seccomp_filter(struct attempt *a)
{
	SET(a, SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program(a));
}

static void compose_seccomp_listener(struct attempt *a)
{
	SET(a, SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, program(a));
}

static uint64_t capability_header(struct attempt *a)
{
	return BYTES(struct __user_cap_header_struct, _LINUX_CAPABILITY_VERSION_3, 0);
}

static void compose_capset(struct attempt *a)
{
	const uint32_t raw = 1U << CAP_NET_RAW;

	SET(a, SYS_capset, capability_header(a),
		BYTES(struct __user_cap_data_struct[2], {raw, raw, 0}));
}

static void compose_capget(struct attempt *a)
{
	SET(a, SYS_capget, capability_header(a), ROOM(2 * sizeof(struct __user_cap_data_struct)));
}

static void compose_bpf_program(struct attempt *a)
{
	const uint64_t instructions = BYTES(struct bpf_insn[2],
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT});
	const union bpf_attr attributes = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insn_cnt = 2,
		.insns = instructions,
		.license = TEXT("GPL")};

	SET(a, SYS_bpf, BPF_PROG_LOAD, call_put(&a->call, &attributes, sizeof(attributes)),
		sizeof(attributes));
}

static uint64_t message(struct attempt *a)
{
	const uint64_t vector = own_vector(a);

	return BYTES(struct msghdr, .msg_iov = (struct iovec *)vector, .msg_iovlen = 1);
}

static void compose_recvmsg_placeholder(struct attempt *a)
{
	SET(a, SYS_recvmsg, VICTIM_PLACEHOLDER, message(a), MSG_DONTWAIT);
}

static void compose_sendmsg_placeholder(struct attempt *a)
{
	SET(a, SYS_sendmsg, VICTIM_PLACEHOLDER, message(a), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Numbers of the 32-bit table; its pointers have 32 bits. */
static void enter_by_int80(struct attempt *a)
{
	a->call.entry = CALL_INT80;
	a->call.base = seize_base(a->process, CALL_INT80);
}

static void compose_i386_open(struct attempt *a)
{
	enter_by_int80(a);
	SET(a, 5, TEXT("/etc/passwd"), O_RDONLY);
}

static void compose_i386_execve(struct attempt *a)
{
	enter_by_int80(a);
	SET(a, 11, TEXT("/bin/true"), BYTES(uint32_t[2], (uint32_t)TEXT("true"), 0), ROOM(4));
}

static void compose_i386_socketcall(struct attempt *a)
{
	enter_by_int80(a);
	SET(a, 102, 1, BYTES(uint32_t[3], AF_INET, SOCK_STREAM, 0));
}

static void compose_i386_getpid(struct attempt *a)
{
	enter_by_int80(a);
	SET(a, 20, 0);
}

#define SUBJECT(words)
#define CALL(name, nr, jobs, without, ...)                                                         \
	static void compose_##name(struct attempt *a)                                              \
	{                                                                                          \
		SET(a, nr, __VA_ARGS__);                                                           \
	}
#define CODE(name, jobs, without)
#include "injections.def"

const struct injection injections[] = {
#define SUBJECT(words)			   {.subject = words},
#define CALL(name, nr, jobs, without, ...) {NULL, #name, jobs, without, compose_##name},
#define CODE(name, jobs, without)	   {NULL, #name, jobs, without, compose_##name},
#include "injections.def"
};
const unsigned int injection_count = sizeof(injections) / sizeof(injections[0]);

static const struct {
	enum role role;
	const char *name;
} roles[] = {{BROKER, "broker"}, {NETSTACK, "netstack"}, {NATPROXY, "natproxy"}, {DHCPD, "dhcpd"},
	{ALG, "alg"}, {SUPERVISOR, "supervisor"}, {CONTROL, "control"}};

const struct injection *injections_find(const char *name)
{
	for (unsigned int i = 0; i < injection_count; i++)
		if (injections[i].name && strcmp(injections[i].name, name) == 0)
			return &injections[i];
	return NULL;
}

enum role injections_role(const char *name)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].name, name) == 0)
			return roles[i].role;
	return NOBODY;
}

const char *injections_role_name(enum role role)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (roles[i].role == role)
			return roles[i].name;
	return "nobody";
}

void injections_compose(
	struct attempt *a, const struct injection *kind, struct seized *process, enum role role)
{
	memset(a, 0, sizeof(*a));
	a->kind = kind;
	a->process = process;
	a->role = role;
	a->call.base = seize_base(process, CALL_SYSCALL);
	kind->compose(a);
}

void injections_start(struct attempt *a)
{
	seize_start(a->process, &a->call);
}

static bool makes_socket(const struct attempt *a, const struct seize_outcome *outcome)
{
	return a->call.number == SYS_socket && a->call.entry == CALL_SYSCALL &&
	       outcome->end == SEIZE_RETURNED && outcome->value >= 0;
}

struct seize_outcome injections_finish(struct attempt *a)
{
	struct seize_outcome outcome = seize_finish(a->process, &a->call);

	if (makes_socket(a, &outcome) && may_lead(a))
		LEAD(a, SYS_close, (uint64_t)outcome.value);
	for (unsigned int i = 0; i < a->leads && outcome.end == SEIZE_RETURNED; i++)
		LEAD(a, SYS_close, (uint64_t)a->lead[i]);
	return outcome;
}
