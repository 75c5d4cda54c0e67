/*
 * Theory of operation.
 *
 *   PTRACE_SEIZE       we are its tracer; it goes on running
 *   PTRACE_INTERRUPT   it stops at the next return to user space: at once, out of epoll_wait
 *   ...                what had to be done
 *   PTRACE_DETACH      it goes on; epoll_wait answers EINTR, which libev takes for a turn without news
 *
 * It stands still from its stop, of which waitpid tells us at once, to the end of PTRACE_DETACH. On
 * its way there it runs as ever.
 *
 * Nothing of the process is written: no registers, no memory, no signal. PTRACE_SEIZE without
 * PTRACE_O_EXITKILL is the one way to stop a process that undoes itself when we die (ptrace(2)).
 *
 * While somebody stands still because of us, we come first: on a busy machine a turn takes
 * milliseconds. Who may not ask for a real-time priority does without.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "stop.h"

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void on_alarm(int number)
{
}

/* Interrupts waitpid, once a second in case that it had not begun. */
static void set_alarm(bool on)
{
	const struct sigaction interrupt = {.sa_handler = on_alarm};
	const struct itimerval timer = {.it_value.tv_sec = on, .it_interval.tv_sec = on};

	sigaction(SIGALRM, &interrupt, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void set_urgent(bool urgent)
{
	const struct sched_param first = {.sched_priority = 1}, usual = {0};

	sched_setscheduler(0, urgent ? SCHED_FIFO : SCHED_OTHER, urgent ? &first : &usual);
}

static int await_stop(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) < 0)
		return errno == EINTR ? ETIMEDOUT : errno;
	return WIFSTOPPED(status) ? 0 : ESRCH;
}

int stop_begin(struct stop *s, pid_t pid)
{
	int error;

	s->pid = pid;
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return errno;
	set_urgent(true);
	set_alarm(true);
	error = ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 ? errno : await_stop(pid);
	s->since_ns = now_ns();
	set_alarm(false);
	if (error)
		stop_end(s);
	return error;
}

uint64_t stop_end(const struct stop *s)
{
	uint64_t length;

	ptrace(PTRACE_DETACH, s->pid, NULL, NULL);
	length = stop_length(s);
	set_urgent(false);
	return length;
}

uint64_t stop_length(const struct stop *s)
{
	return now_ns() - s->since_ns;
}
