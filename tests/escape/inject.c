/*
 * inject: makes a live process make a system call that it would never make by itself. For root, on
 * processes that may be lost.
 *
 *     inject list                    the rows of injections.def: name, whose job, why there
 *                                    may be no control, subject
 *     inject into NAME ROLE=PID...   one row into each of these processes at the same moment
 *     inject exhaust NAME ROLE=PID       one row into it again and again until it is refused; what it
 *                                    made stays. The number is how often it worked
 *     inject copies PID              every row into a copy of a live supervisor: its own
 *                                    clone3 makes them
 *     inject control                 every row into an unconfined program (victim.h)
 *
 * Each attempt is a line: name, role, how it ended, the number that belongs to it. Nothing
 * is judged here (tests/integration/test_escape_inject.py).
 *
 * "At the same moment", because what shares rings dies together: whoever is injected second would
 * be killed by the supervisor first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <linux/sched.h>

#include "injections.h"
#include "victim.h"

enum { PROCESSES = 16, MOST = 100000 };

static void print_outcome(const struct injection *kind, enum role role, struct seize_outcome o)
{
	static const char *const ends[] = {[SEIZE_RETURNED] = "returned",
		[SEIZE_KILLED] = "killed",
		[SEIZE_SIGNAL] = "signal",
		[SEIZE_EXITED] = "exited",
		[SEIZE_REPLACED] = "replaced",
		[SEIZE_STUCK] = "stuck"};

	printf("%s\t%s\t%s\t%ld\n", kind->name, injections_role_name(role), ends[o.end], o.value);
	fflush(stdout);
}

static int list(void)
{
	const char *subject = "";

	for (unsigned int i = 0; i < injection_count; i++) {
		const struct injection *row = &injections[i];

		subject = row->subject ? row->subject : subject;
		if (!row->name)
			continue;
		printf("%s\t", row->name);
		for (enum role role = BROKER; role <= SUPERVISOR; role <<= 1)
			if (row->jobs & role)
				printf("%s ", injections_role_name(role));
		printf("\t%s\t%s\n", row->without ? row->without : "", subject);
	}
	return EXIT_SUCCESS;
}

static int cannot_seize(pid_t pid, int error)
{
	fprintf(stderr, "inject: process %d, or one beside it, cannot be seized: %s\n", pid,
		strerror(error));
	return EXIT_FAILURE;
}

static int usage(void)
{
	fprintf(stderr, "usage: inject list | into NAME ROLE=PID... | exhaust NAME ROLE=PID | "
			"copies PID | control\n");
	return 2;
}

/* "alg=123" */
static bool parse_target(const char *word, enum role *role, pid_t *pid)
{
	const char *equals = strchr(word, '=');
	char name[16];

	if (!equals || (size_t)(equals - word) >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(equals - word), word);
	*role = injections_role(name);
	*pid = atoi(equals + 1);
	return *role != NOBODY && *pid > 1;
}

/* All of them stand still, or none is touched. */
static int seize_all(struct seized *process, const pid_t *pids, int count)
{
	for (int i = 0; i < count; i++) {
		int error = seize_begin(&process[i], pids[i]);

		if (!error)
			continue;
		while (i-- > 0)
			seize_end(&process[i]);
		return error;
	}
	return 0;
}

static int into(const struct injection *kind, char **targets, int count)
{
	static struct seized process[PROCESSES];
	static struct attempt attempt[PROCESSES];
	enum role role[PROCESSES];
	pid_t pid[PROCESSES];
	int error;

	for (int i = 0; i < count; i++)
		if (!parse_target(targets[i], &role[i], &pid[i]))
			return usage();
	error = seize_all(process, pid, count);
	if (error)
		return cannot_seize(pid[0], error);
	for (int i = 0; i < count; i++)
		injections_compose(&attempt[i], kind, &process[i], role[i]);
	for (int i = 0; i < count; i++)
		injections_start(&attempt[i]);
	for (int i = 0; i < count; i++)
		print_outcome(kind, role[i], injections_finish(&attempt[i]));
	for (int i = 0; i < count; i++)
		seize_end(&process[i]);
	return EXIT_SUCCESS;
}

static int exhaust(const struct injection *kind, const char *target)
{
	static struct seized process;
	static struct attempt attempt;
	struct seize_outcome outcome = {SEIZE_RETURNED, 0};
	enum role role;
	pid_t pid;
	long worked = -1;

	if (!parse_target(target, &role, &pid))
		return usage();
	int error = seize_begin(&process, pid);
	if (error)
		return cannot_seize(pid, error);
	while (outcome.end == SEIZE_RETURNED && outcome.value >= 0 && worked < MOST) {
		worked++;
		injections_compose(&attempt, kind, &process, role);
		injections_start(&attempt);
		outcome = seize_finish(&process, &attempt.call);
	}
	print_outcome(kind, role, outcome);
	printf("%ld\n", worked);
	seize_end(&process);
	return EXIT_SUCCESS;
}

/* One attempt in a process that is not needed any more. */
static void try_and_end(const struct injection *kind, struct seized *process, enum role role)
{
	static struct attempt attempt;

	injections_compose(&attempt, kind, process, role);
	injections_start(&attempt);
	print_outcome(kind, role, injections_finish(&attempt));
	seize_kill(process);
}

static int copies(pid_t pid)
{
	const struct injection *clone3 = injections_find("clone3");
	static struct seized parent, copy;
	static struct attempt birth;
	int error = seize_begin(&parent, pid);

	if (error)
		return cannot_seize(pid, error);
	parent.keep_child = true;
	for (unsigned int i = 0; i < injection_count && !error; i++) {
		if (!injections[i].name)
			continue;
		injections_compose(&birth, clone3, &parent, SUPERVISOR);
		injections_start(&birth);
		injections_finish(&birth);
		error = seize_adopt(&copy, &parent);
		if (!error)
			try_and_end(&injections[i], &copy, SUPERVISOR);
	}
	seize_end(&parent);
	return error ? cannot_seize(pid, error) : EXIT_SUCCESS;
}

static int control(void)
{
	static struct seized process;

	for (unsigned int i = 0; i < injection_count; i++) {
		if (!injections[i].name)
			continue;
		pid_t pid = victim_begin();
		int error = pid < 0 ? -pid : seize_begin(&process, pid);

		if (error)
			return cannot_seize(pid, error);
		try_and_end(&injections[i], &process, CONTROL);
		victim_end(pid);
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const struct injection *kind = argc > 3 ? injections_find(argv[2]) : NULL;

	if (argc == 2 && strcmp(argv[1], "list") == 0)
		return list();
	if (argc == 2 && strcmp(argv[1], "control") == 0)
		return control();
	if (argc == 3 && strcmp(argv[1], "copies") == 0)
		return copies(atoi(argv[2]));
	if (kind && argc == 4 && strcmp(argv[1], "exhaust") == 0)
		return exhaust(kind, argv[3]);
	if (kind && strcmp(argv[1], "into") == 0 && argc - 3 <= PROCESSES)
		return into(kind, argv + 3, argc - 3);
	return usage();
}
