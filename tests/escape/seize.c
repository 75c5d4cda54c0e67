/*
 * Theory of operation.
 *
 *   PTRACE_SEIZE, PTRACE_INTERRUPT     it stops on its way out of the kernel, often of epoll_wait
 *   its registers, text and stack      are kept
 *   its program counter                gets "syscall; int3" (or "int $0x80; int3")
 *   its stack, below the red zone      gets what the arguments point to
 *   PTRACE_CONT                        one call; then int3 stops it again, or it is dead
 *   everything is put back             an interrupted call begins again, by the kernel's own rule
 *   PTRACE_DETACH                      it goes on and knows nothing
 *
 * The filter stays on (no PTRACE_O_SUSPEND_SECCOMP), and our end is not the other's (no
 * PTRACE_O_EXITKILL). Orig_rax is -1 while our call is set up, or the kernel would take what we put
 * into rax for the answer of a call that it has to start again.
 *
 * Children are seized with their parent, so that no copy of a worker runs about when a call that
 * makes one is not contained.
 */
#include "seize.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum {
	RED_ZONE = 128,
	LOW_BASE = 0x10000, /* the 32-bit entry knows no other addresses; victim.c maps it */
	PATIENCE_SECONDS = 10,
	PLANTED = 3, /* bytes of text */
	OPTIONS =
		PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC,
};

static void on_alarm(int number)
{
}

/* waitpid, which ends with EINTR when our patience does. */
static pid_t wait_with_patience(pid_t pid, int *status)
{
	const struct sigaction interrupt = {.sa_handler = on_alarm};
	const struct itimerval patience = {.it_value.tv_sec = PATIENCE_SECONDS,
				       .it_interval.tv_sec = 1},
			       none = {0};
	pid_t got;

	sigaction(SIGALRM, &interrupt, NULL);
	setitimer(ITIMER_REAL, &patience, NULL);
	got = waitpid(pid, status, __WALL);
	setitimer(ITIMER_REAL, &none, NULL);
	return got;
}

static int event_of(int status)
{
	return WIFSTOPPED(status) ? status >> 16 : 0;
}

/* Copies between us and the process; a place that it does not have is left alone. */
static void copy_stack(const struct seized *s, uint64_t base, void *bytes, size_t count, bool write)
{
	struct iovec ours = {bytes, count}, its = {(void *)(uintptr_t)base, count};

	if (write)
		process_vm_writev(s->pid, &ours, 1, &its, 1, 0);
	else
		process_vm_readv(s->pid, &ours, 1, &its, 1, 0);
}

static void keep(struct seized *s)
{
	ptrace(PTRACE_GETREGS, s->pid, NULL, &s->registers);
	s->text = ptrace(PTRACE_PEEKTEXT, s->pid, s->registers.rip, NULL);
	copy_stack(s, seize_base(s, CALL_SYSCALL), s->stack, sizeof(s->stack), false);
}

uint64_t seize_base(const struct seized *s, enum call_entry entry)
{
	if (entry == CALL_INT80)
		return LOW_BASE;
	return (s->registers.rsp - RED_ZONE - CALL_IMAGE) & ~(uint64_t)63;
}

int seize_begin(struct seized *s, pid_t pid)
{
	int status;

	*s = (struct seized){.pid = pid};
	if (ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS) < 0)
		return errno;
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || wait_with_patience(pid, &status) < 0)
		return errno;
	if (!WIFSTOPPED(status))
		return ESRCH;
	s->alive = true;
	keep(s);
	return 0;
}

int seize_adopt(struct seized *s, const struct seized *parent)
{
	int status;

	*s = *parent;
	s->pid = parent->child;
	s->child = 0;
	s->keep_child = false;
	s->alive = waitpid(s->pid, &status, __WALL) == s->pid && WIFSTOPPED(status);
	return s->alive ? 0 : ESRCH;
}

static void set_arguments(struct user_regs_struct *r, const struct call *c)
{
	const uint64_t *a = c->argument;

	r->orig_rax = -1UL;
	r->rax = (unsigned long)c->number;
	if (c->entry == CALL_INT80) {
		r->rbx = a[0], r->rcx = a[1], r->rdx = a[2];
		r->rsi = a[3], r->rdi = a[4], r->rbp = a[5];
	} else {
		r->rdi = a[0], r->rsi = a[1], r->rdx = a[2];
		r->r10 = a[3], r->r8 = a[4], r->r9 = a[5];
	}
}

static long planted(long text, enum call_entry entry)
{
	static const unsigned char code[][PLANTED] = {
		[CALL_SYSCALL] = {0x0f, 0x05, 0xcc}, [CALL_INT80] = {0xcd, 0x80, 0xcc}};

	memcpy(&text, code[entry], PLANTED);
	return text;
}

void seize_start(struct seized *s, const struct call *c)
{
	struct user_regs_struct registers = s->registers;
	struct call image = *c;

	set_arguments(&registers, c);
	copy_stack(s, c->base, image.image, c->used, true);
	if (ptrace(PTRACE_POKETEXT, s->pid, registers.rip, planted(s->text, c->entry)) < 0 ||
		ptrace(PTRACE_SETREGS, s->pid, NULL, &registers) < 0 ||
		ptrace(PTRACE_CONT, s->pid, NULL, NULL) < 0)
		s->harmed = true; /* somebody else ended it just now: seize_finish sees how */
}

static struct seize_outcome gone(struct seized *s, int status)
{
	s->alive = false;
	if (WIFEXITED(status))
		return (struct seize_outcome){SEIZE_EXITED, WEXITSTATUS(status)};
	if (WTERMSIG(status) == SIGSYS)
		return (struct seize_outcome){SEIZE_KILLED, SIGSYS};
	if (s->child) /* it made a thread, and we ended both */
		return (struct seize_outcome){SEIZE_RETURNED, s->child};
	return (struct seize_outcome){SEIZE_SIGNAL, WTERMSIG(status)};
}

static void kill_traced(pid_t pid)
{
	int status = 0;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
		;
}

static void see_child(struct seized *s)
{
	unsigned long child = 0;

	ptrace(PTRACE_GETEVENTMSG, s->pid, NULL, &child);
	s->child = (pid_t)child;
	if (!s->keep_child)
		kill_traced(s->child); /* a thread takes the whole process with it */
}

/* Raised by what the process itself just did. */
static bool is_fault(int signal)
{
	return signal == SIGTRAP || signal == SIGSEGV || signal == SIGBUS || signal == SIGILL ||
	       signal == SIGFPE || signal == SIGSYS;
}

/* A stop that is not the end of our call: whether the process has to be sent on. */
static bool is_on_its_way(struct seized *s, int status)
{
	int event = event_of(status);

	if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
		event == PTRACE_EVENT_CLONE)
		see_child(s);
	if (event == 0 && !is_fault(WSTOPSIG(status))) {
		s->signal = WSTOPSIG(status);
		return true;
	}
	return event != 0 && event != PTRACE_EVENT_EXEC;
}

/* It stands at our int3, or at a fault that the call raised. */
static struct seize_outcome stopped(struct seized *s, const struct call *c, int status)
{
	struct user_regs_struct registers;

	if (event_of(status) == PTRACE_EVENT_EXEC) {
		s->harmed = true;
		return (struct seize_outcome){SEIZE_REPLACED, 0};
	}
	ptrace(PTRACE_GETREGS, s->pid, NULL, &registers);
	if (WSTOPSIG(status) == SIGTRAP && registers.rip == s->registers.rip + PLANTED)
		return (struct seize_outcome){SEIZE_RETURNED,
			c->entry == CALL_INT80 ? (int)registers.rax : (long)registers.rax};
	s->harmed = true;
	return (struct seize_outcome){SEIZE_SIGNAL, WSTOPSIG(status)};
}

struct seize_outcome seize_finish(struct seized *s, const struct call *c)
{
	int status;

	for (;;) {
		if (wait_with_patience(s->pid, &status) < 0) {
			s->harmed = true;
			return (struct seize_outcome){SEIZE_STUCK, 0};
		}
		if (!WIFSTOPPED(status))
			return gone(s, status);
		if (!is_on_its_way(s, status))
			return stopped(s, c, status);
		ptrace(PTRACE_CONT, s->pid, NULL, NULL);
	}
}

void seize_kill(struct seized *s)
{
	if (s->alive)
		kill_traced(s->pid);
	s->alive = false;
}

void seize_read(const struct seized *s, struct call *c)
{
	copy_stack(s, c->base, c->image, c->used, false);
}

void seize_end(struct seized *s)
{
	if (s->harmed)
		seize_kill(s);
	if (!s->alive)
		return;
	ptrace(PTRACE_POKETEXT, s->pid, s->registers.rip, s->text);
	copy_stack(s, seize_base(s, CALL_SYSCALL), s->stack, sizeof(s->stack), true);
	ptrace(PTRACE_SETREGS, s->pid, NULL, &s->registers);
	ptrace(PTRACE_DETACH, s->pid, NULL, (uintptr_t)s->signal);
	s->alive = false;
}
