/*
 * policy-trace FILE POLICY... -- COMMAND [ARGUMENT...]: runs a command and writes to the end of
 * FILE what it and all its descendants ask of the kernel, as far as the policies look at it
 * (calls.h).
 *
 * Theory of operation. Each process is seized by ptrace before its first call, so nothing is
 * missed, and stopped where a call begins (before any filter sees it) and where it ends. Which
 * policy a process wears is not guessed from its name: when seccomp(2) succeeds, the program that
 * it took is compared with the compiled ones.
 *
 *     image    what one exec started, shared by the processes that it forks. Which actor it is
 *              shows only at its first filter; what it did until then is kept, and written down
 *              as that actor's boot. An image that never takes a filter (ip, a guest's shell) is
 *              forgotten.
 *     worn     the filters of a process. Forks and execs inherit them, so a worker that was born
 *              again wears the supervisor's too, and its calls count for both.
 *
 * Signals for natlock go to this process and are passed on; its end ends all (PTRACE_O_EXITKILL).
 * It needs root: workers live in user namespaces of their own and may not be dumped.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "filters.h"

enum {
	PROCESSES = 4096,
	IMAGES = 512,
	EARLY_CALLS = 4096, /* of an image without a filter: more than any actor makes */
	OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
		  PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL,
};

struct early_call {
	uint64_t number, args[WORDS_ARGUMENTS];
};

struct image {
	unsigned int users;
	int policy; /* -1 until one of its processes takes a filter */
	size_t count;
	struct early_call early[EARLY_CALLS];
};

struct process {
	pid_t pid;	     /* 0: this place is free */
	struct image *image; /* NULL: it was seen before its parent's fork was */
	uint32_t worn;	     /* bit i: the filter of policy i */
	bool locked;	     /* its image's own filter is among them */
	int taking;	     /* the policy whose filter a seccomp(2) under way brings, or -1 */
};

static struct policies policies;
static struct process processes[PROCESSES];
static struct image images[IMAGES]; /* one without users is free */
static FILE *output;
static volatile pid_t root;

static void __attribute__((noreturn)) give_up(const char *what)
{
	fprintf(stderr, "policy-trace: %s: %s\n", what, strerror(errno));
	exit(2);
}

static struct process *process_find(pid_t pid)
{
	for (unsigned int i = 0; i < PROCESSES; i++)
		if (processes[i].pid == pid)
			return &processes[i];
	return NULL;
}

static struct process *process_new(pid_t pid)
{
	struct process *p = process_find(0);

	if (!p)
		give_up("more processes than PROCESSES");
	*p = (struct process){.pid = pid, .taking = -1};
	return p;
}

static struct image *image_new(void)
{
	for (unsigned int i = 0; i < IMAGES; i++) {
		struct image *image = &images[i];

		if (image->users)
			continue;
		image->users = 1;
		image->policy = -1;
		image->count = 0;
		return image;
	}
	give_up("more programs than IMAGES");
}

static void image_leave(struct image *image)
{
	if (image)
		image->users--;
}

static void record(int policy, bool boot, uint64_t number, const uint64_t args[WORDS_ARGUMENTS])
{
	struct call call = {.policy = (uint8_t)policy, .boot = boot};
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);

	snprintf(call.name, sizeof(call.name), "%s", name ? name : "unknown");
	free(name);
	memcpy(call.args, args, sizeof(call.args));
	call_mask(&policies, &call);
	if (!calls_add(&call))
		return;
	call_write(&policies, &call, output);
	fflush(output);
}

static void keep_early(struct image *image, uint64_t number, const uint64_t args[WORDS_ARGUMENTS])
{
	if (image->count == EARLY_CALLS)
		return;
	image->early[image->count].number = number;
	memcpy(image->early[image->count++].args, args, sizeof(image->early[0].args));
}

/* Whether the process runs the file natlock-NAME. */
static bool file_is(pid_t pid, const char *name)
{
	char link[64], file[512];
	ssize_t n;
	size_t length = strlen(name);

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	n = readlink(link, file, sizeof(file));
	return n > (ssize_t)length && file[(size_t)n - length - 1] == '-' &&
	       memcmp(file + (size_t)n - length, name, length) == 0;
}

/* Which of the policies the program is that the process hands to seccomp(2); -1: none of them. Two
 * that allow the same (alg and dhcpd) have one program: there the file decides. */
static int policy_of_program(pid_t pid, uint64_t address)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	struct sock_fprog program;
	int found = -1;
	struct iovec here = {&program, sizeof(program)},
		     there = {(void *)(uintptr_t)address, sizeof(program)};

	if (process_vm_readv(pid, &here, 1, &there, 1, 0) != sizeof(program) ||
		program.len > BPF_MAXINSNS)
		return -1;
	here = (struct iovec){insns, program.len * sizeof(insns[0])};
	there = (struct iovec){program.filter, here.iov_len};
	if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)here.iov_len)
		return -1;
	for (const struct policy_filter *f = policy_filters; f->name; f++) {
		if (f->count != program.len || memcmp(f->insns, insns, here.iov_len) != 0)
			continue;
		found = policies_find(&policies, f->name);
		if (file_is(pid, f->name))
			break;
	}
	return found;
}

static void call_begins(struct process *p, uint64_t number, const uint64_t args[WORDS_ARGUMENTS])
{
	for (unsigned int i = 0; i < policies.count; i++)
		if (p->worn >> i & 1)
			record((int)i, false, number, args);
	if (!p->locked && p->image->policy >= 0)
		record(p->image->policy, true, number, args);
	else if (!p->locked)
		keep_early(p->image, number, args);
	p->taking = -1;
	if (number == SYS_seccomp && args[0] == SECCOMP_SET_MODE_FILTER)
		p->taking = policy_of_program(p->pid, args[2]);
}

/* A filter is on: now it is known whose early calls those were. */
static void filter_taken(struct process *p)
{
	struct image *image = p->image;

	p->worn |= 1u << p->taking;
	p->locked = true;
	image->policy = p->taking;
	for (size_t i = 0; i < image->count; i++)
		record(image->policy, true, image->early[i].number, image->early[i].args);
	image->count = 0;
}

static void at_call(struct process *p)
{
	struct __ptrace_syscall_info info;
	uint64_t args[WORDS_ARGUMENTS];

	if (ptrace(PTRACE_GET_SYSCALL_INFO, p->pid, sizeof(info), &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		for (unsigned int i = 0; i < WORDS_ARGUMENTS; i++)
			args[i] = info.entry.args[i];
		call_begins(p, info.entry.nr, args);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && p->taking >= 0) {
		if (info.exit.rval == 0)
			filter_taken(p);
		p->taking = -1;
	}
}

/* A process that is gone answers ESRCH; waitpid will say so. */
static void go_on(pid_t pid, int signal)
{
	if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)signal) < 0 && errno != ESRCH)
		give_up("PTRACE_SYSCALL");
}

static void at_fork(struct process *parent)
{
	unsigned long message = 0;
	struct process *child;
	bool waits;

	if (ptrace(PTRACE_GETEVENTMSG, parent->pid, NULL, &message) < 0)
		return;
	child = process_find((pid_t)message);
	waits = child != NULL;
	if (!child)
		child = process_new((pid_t)message);
	child->image = parent->image;
	child->image->users++;
	child->worn = parent->worn;
	child->locked = parent->locked;
	if (waits)
		go_on(child->pid, 0);
}

static void at_exec(struct process *p)
{
	image_leave(p->image);
	p->image = image_new();
	p->locked = false;
}

/* Stopped without a call: where it began, at a fork or exec, or because a signal stopped it. */
static void at_event(struct process *p, int event, int signal)
{
	switch (event) {
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE: at_fork(p); break;
	case PTRACE_EVENT_EXEC: at_exec(p); break;
	case PTRACE_EVENT_STOP:
		if (signal != SIGTRAP) {
			ptrace(PTRACE_LISTEN, p->pid, NULL, NULL);
			return;
		}
		break;
	default: break;
	}
	go_on(p->pid, 0);
}

static void at_stop(pid_t pid, int status)
{
	struct process *p = process_find(pid);
	int signal = WSTOPSIG(status), event = status >> 16;

	if (!p)
		process_new(pid); /* goes on when its parent's fork is told */
	else if (!p->image)
		return;
	else if (signal == (SIGTRAP | 0x80)) {
		at_call(p);
		go_on(pid, 0);
	} else if (event)
		at_event(p, event, signal);
	else
		go_on(pid, signal);
}

static void at_end(pid_t pid)
{
	struct process *p = process_find(pid);

	if (!p)
		return;
	image_leave(p->image);
	p->pid = 0;
}

static void pass_on(int signal)
{
	kill(root, signal);
}

static void pass_signals_on(void)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
	struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

/* The command waits until it is seized: end of file on the pipe lets it go. */
static void start(char **command)
{
	int gate[2];
	char byte;

	if (pipe(gate) < 0)
		give_up("pipe");
	root = fork();
	if (root < 0)
		give_up("fork");
	if (root == 0) {
		close(gate[1]);
		while (read(gate[0], &byte, 1) < 0 && errno == EINTR)
			;
		close(gate[0]);
		execvp(command[0], command);
		fprintf(stderr, "policy-trace: %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	if (ptrace(PTRACE_SEIZE, root, NULL, (void *)(intptr_t)OPTIONS) < 0 ||
		ptrace(PTRACE_INTERRUPT, root, NULL, NULL) < 0)
		give_up("PTRACE_SEIZE");
	process_new(root)->image = image_new();
	close(gate[0]);
	close(gate[1]);
}

static int follow(void)
{
	int status, answer = 0;
	pid_t pid;

	for (;;) {
		pid = waitpid(-1, &status, __WALL);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return answer;
		if (WIFSTOPPED(status)) {
			at_stop(pid, status);
			continue;
		}
		at_end(pid);
		if (pid == root)
			answer = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

int main(int argc, char **argv)
{
	int i = 2;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (!policies_add(&policies, argv[i]))
			return 2;
	if (i == 2 || i + 1 >= argc) {
		fprintf(stderr, "usage: policy-trace FILE POLICY... -- COMMAND [ARGUMENT...]\n");
		return 2;
	}
	output = fopen(argv[1], "ae");
	if (!output)
		give_up(argv[1]);
	start(argv + i + 1);
	pass_signals_on();
	return follow();
}
