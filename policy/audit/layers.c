/*
 * Theory of operation.
 *
 *   PTRACE_SEIZE       we are its tracer; it goes on running
 *   PTRACE_INTERRUPT   it stops at the next return to user space: at once, out of epoll_wait
 *   PTRACE_SECCOMP_GET_FILTER 0, 1, ...   one call a layer, into memory that is there already
 *   PTRACE_DETACH      it goes on; epoll_wait answers EINTR, which libev takes for a turn without news
 *
 * It stands still from its stop, of which waitpid tells us at once, to the end of PTRACE_DETACH. On
 * its way there it runs as ever.
 *
 * Nothing of the process is written: no registers, no memory, no signal. PTRACE_SEIZE without
 * PTRACE_O_EXITKILL is the one way to stop a process that undoes itself when we die (ptrace(2)).
 * Copies are made of a buffer only after it runs again.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "layers.h"

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

enum { STOP_MS = 1000 };

struct copies {
	struct sock_filter insns[FOUND_LAYERS][FOUND_INSNS];
	unsigned int count[FOUND_LAYERS];
	unsigned int layers;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

int layers_allowed(const struct found_status *self)
{
	if (!(self->capabilities[FOUND_EFFECTIVE] & UINT64_C(1) << CAP_SYS_ADMIN))
		return EPERM;
	return self->seccomp > 0 ? EBUSY : 0;
}

static void on_alarm(int number)
{
}

/* A process that does not come out of the kernel is let go: the alarm interrupts waitpid. */
static void set_alarm(long ms)
{
	const struct sigaction interrupt = {.sa_handler = on_alarm};
	const struct itimerval timer = {.it_value = {ms / 1000, ms % 1000 * 1000}};

	sigaction(SIGALRM, &interrupt, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* 0, or the errno: EINTR when it took too long. */
static int await_stop(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) < 0)
		return errno;
	return WIFSTOPPED(status) ? 0 : ESRCH;
}

/* The oldest or the youngest first: nobody who compares cares. */
static int copy_layers(pid_t pid, struct copies *c)
{
	long n = 0;

	for (c->layers = 0; c->layers < FOUND_LAYERS; c->layers++) {
		n = ptrace((enum __ptrace_request)PTRACE_SECCOMP_GET_FILTER, pid,
			(void *)(uintptr_t)c->layers, c->insns[c->layers]);
		if (n < 0)
			break;
		c->count[c->layers] = (unsigned int)n;
	}
	/* ENOENT: no further layer. EINVAL: none at all. */
	return n >= 0 || errno == ENOENT || errno == EINVAL ? 0 : errno;
}

/* While somebody stands still because of us, we come first: on a busy machine a turn takes
 * milliseconds. Who may not ask for this does without. */
static void set_urgent(bool urgent)
{
	const struct sched_param first = {.sched_priority = 1}, usual = {0};

	sched_setscheduler(0, urgent ? SCHED_FIFO : SCHED_OTHER, urgent ? &first : &usual);
}

static int stop_and_copy(struct found *f, struct copies *c)
{
	uint64_t since;
	int error;

	memset(c, 1, sizeof(*c)); /* no page of it is missing when the other one waits */
	if (ptrace(PTRACE_SEIZE, f->pid, NULL, NULL) < 0)
		return errno;
	set_urgent(true);
	set_alarm(STOP_MS);
	error = ptrace(PTRACE_INTERRUPT, f->pid, NULL, NULL) < 0 ? errno : await_stop(f->pid);
	since = now_ns();
	if (error == 0)
		error = copy_layers(f->pid, c);
	ptrace(PTRACE_DETACH, f->pid, NULL, NULL);
	f->stopped_ns = now_ns() - since;
	set_alarm(0);
	set_urgent(false);
	return error;
}

void layers_look(struct found *f)
{
	static struct copies copies;
	unsigned int i;

	f->layers_error = stop_and_copy(f, &copies);
	if (f->layers_error)
		return;
	for (i = 0; i < copies.layers; i++) {
		size_t bytes = copies.count[i] * sizeof(struct sock_filter);
		struct sock_filter *insns = malloc(bytes);

		if (!insns)
			abort();
		memcpy(insns, copies.insns[i], bytes);
		f->layer[i] = (struct found_layer){copies.count[i], insns};
	}
	f->layers = copies.layers;
}
