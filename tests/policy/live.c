/*
 * policy-live FILE.policy...: every rule tried on the kernel, generated from the rules themselves.
 *
 * For each actor the compiled filter (the one that the supervisor hands out) is put on a child, and
 * the child makes one call:
 *
 *     allowed    arguments picked from the rule; the child must survive, with and without dirty upper register halves
 *     mutated    one pinned argument outside its pin; the child must die by SIGSYS
 *     unlisted   every call number that the policy does not name; the child must die by SIGSYS
 *
 * and each call is made without a filter too: it must not die by SIGSYS, or the test would prove
 * nothing. Before a call is tried, bpf_run() says what the filter will answer: a wrong filter is
 * reported, not let loose on the machine. Random calls compare that interpreter with
 * policy_allows(), two readings of one policy.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf_run.h"
#include "filters.h"
#include "parse.h"

enum {
	POLICY_FILE_BYTES = 65536,
	FILLED_FDS = 80,	 /* every number up to the last port is /dev/null in the child */
	PATIENCE_US = 150000,	 /* a call that blocks this long was allowed */
	HIGHEST_CALL = 600,	 /* asked of the interpreter */
	HIGHEST_LIVE_CALL = 480, /* asked of the kernel */
	RANDOM_CALLS = 40000,
	NOBODY = 65534,
};

static struct {
	unsigned int allowed, mutated, unlisted, random, failures;
} tally;

static void __attribute__((format(printf, 1, 2))) failed(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("FAILED: ", stdout);
	vprintf(fmt, ap);
	fputc('\n', stdout);
	va_end(ap);
	tally.failures++;
}

struct attempt {
	const struct policy_filter *filter; /* NULL: none, the positive control */
	int call;
	uint64_t args[WORDS_ARGUMENTS];
};

static void put_filter_on(const struct policy_filter *f)
{
	struct sock_fprog program = {.len = (unsigned short)f->count};
	memcpy(&program.filter, &f->insns, sizeof(program.filter));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		_exit(99);
}

/* Calls are really made, the controls even without a filter: root's power over the machine is given up before. */
static void become_nobody(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
				      setresuid(NOBODY, NOBODY, NOBODY)))
		_exit(98);
}

/* The child: nothing that it does may touch the machine, whatever the arguments turn out to mean. */
static void __attribute__((noreturn)) make_call(const struct attempt *a)
{
	const struct itimerval patience = {.it_value.tv_usec = PATIENCE_US};
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
	int null_fd = open("/dev/null", O_RDWR);
	setsid();
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		signal(faults[i],
			SIG_DFL); /* a sanitizer's handlers would make calls of their own */
	for (int fd = 0; fd < FILLED_FDS; fd++)
		dup2(null_fd, fd);
	become_nobody();
	setitimer(ITIMER_REAL, &patience, NULL);
	if (a->filter)
		put_filter_on(a->filter);
	syscall(a->call, a->args[0], a->args[1], a->args[2], a->args[3], a->args[4], a->args[5]);
	syscall(SYS_exit_group, 0);
	abort();
}

/* Whether the kernel killed the caller for the call. */
static bool dies(const struct attempt *a)
{
	int status = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		make_call(a);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
		failed("the kernel refused the filter");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 98)
		failed("the child could not give up root");
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static bool interpreter_allows(const struct policy_filter *f, const struct attempt *a)
{
	return bpf_run_call(f->insns, f->count, a->call, a->args) == SECCOMP_RET_ALLOW;
}

/* The verdict by the interpreter, by the kernel, and the control; `what` goes into the message. */
static void try(const struct policy_filter *f, const struct policy_rule *rule,
	const struct attempt *unconfined, bool allowed, const char *what)
{
	struct attempt a = *unconfined;
	a.filter = f;
	if (interpreter_allows(f, &a) != allowed) {
		failed("%s.policy:%u: %s %s: the filter would %s it", f->name, rule->line,
			rule->call, what, allowed ? "kill" : "allow");
		return;
	}
	if (dies(&a) == allowed)
		failed("%s.policy:%u: %s %s: %s", f->name, rule->line, rule->call, what,
			allowed ? "killed" : "survived");
	if (dies(unconfined))
		failed("%s.policy:%u: %s %s: dies without a filter, too", f->name, rule->line,
			rule->call, what);
}

static uint64_t pick_allowed(const struct policy_condition *c)
{
	if (!c->subset)
		return c->range[0].first;
	return ~c->forbidden_bits & (c->argument.bits == 64 ? UINT64_MAX : UINT32_MAX);
}

static void pick_arguments(const struct policy_rule *rule, uint64_t args[WORDS_ARGUMENTS])
{
	memset(args, 0, sizeof(uint64_t) * WORDS_ARGUMENTS);
	for (unsigned int i = 0; i < rule->conditions; i++)
		args[rule->condition[i].argument.index] = pick_allowed(&rule->condition[i]);
}

static void try_allowed(const struct policy_filter *f, const struct policy_rule *rule, int call)
{
	struct attempt a = {.call = call};
	pick_arguments(rule, a.args);
	try(f, rule, &a, true, "as allowed");
	tally.allowed++;
	for (unsigned int i = 0; i < rule->conditions; i++)
		if (rule->condition[i].argument.bits == 32)
			a.args[rule->condition[i].argument.index] |= UINT64_C(0xdeadbeef) << 32;
	try(f, rule, &a, true, "with dirty upper halves");
}

/* Values near the pin, and the classic ways around one. */
static unsigned int mutations(const struct policy_condition *c, uint64_t out[10])
{
	unsigned int n = 0;
	uint64_t first = c->subset ? 0 : c->range[0].first, last = c->subset ? 0 : c->range[0].last;
	out[n++] = first - 1;
	out[n++] = last + 1;
	out[n++] = UINT64_MAX;
	out[n++] = UINT32_MAX;
	out[n++] = 0;
	out[n++] = first | UINT64_C(1) << 31;
	out[n++] = last << 32;
	out[n++] = c->subset ? c->forbidden_bits & -c->forbidden_bits : first ^ 1;
	out[n++] = last + 65536;
	if (c->argument.bits == 64)
		out[n++] = first | UINT64_C(1) << 40;
	return n;
}

static void try_mutated(const struct policy_filter *f, const struct policy *policy,
	const struct policy_rule *rule, int call)
{
	uint64_t values[10];
	for (unsigned int i = 0; i < rule->conditions; i++) {
		const struct policy_condition *c = &rule->condition[i];
		unsigned int n = mutations(c, values), tried = 0;
		for (unsigned int j = 0; j < n; j++) {
			char what[64];
			struct attempt a = {.call = call};
			pick_arguments(rule, a.args);
			a.args[c->argument.index] = values[j];
			if (policy_allows(policy, rule->call, a.args))
				continue;
			snprintf(what, sizeof(what), "with %s = 0x%llx", c->argument.name,
				(unsigned long long)values[j]);
			try(f, rule, &a, false, what);
			tried++;
		}
		if (tried == 0)
			failed("%s.policy:%u: no value of %s is outside the pin", f->name,
				rule->line, c->argument.name);
		tally.mutated += tried;
	}
}

static bool names_call(const struct policy *policy, int call)
{
	for (unsigned int i = 0; i < policy->rules; i++)
		if (policy->rule[i].stage != POLICY_BOOT &&
			seccomp_syscall_resolve_name(policy->rule[i].call) == call)
			return true;
	return false;
}

/*
 * uretprobe and uprobe on x86_64: the kernel lets these two numbers past every filter since 6.14
 * and answers a caller that is not one of its own trampolines with SIGILL (kernel/seccomp.c,
 * seccomp_uprobe_exception).
 */
static bool kernel_exempts(int call)
{
#if defined(__x86_64__)
	return call == 335 || call == 336;
#else
	return false;
#endif
}

static void try_unlisted(const struct policy_filter *f, const struct policy *policy)
{
	for (int call = 0; call < HIGHEST_CALL; call++) {
		struct attempt a = {.filter = f, .call = call};
		if (names_call(policy, call))
			continue;
		tally.unlisted++;
		if (interpreter_allows(f, &a))
			failed("%s: call %d is not in the policy and would be allowed", f->name,
				call);
		else if (call < HIGHEST_LIVE_CALL && !kernel_exempts(call) && !dies(&a))
			failed("%s: call %d is not in the policy and survived", f->name, call);
	}
}

static uint64_t random_argument(unsigned int *seed)
{
	static const uint64_t corners[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 16, 79, 80, 255,
		65535, 65536, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 31, UINT64_C(1) << 32,
		UINT64_C(0x100000010)};
	uint64_t value =
		corners[(unsigned int)rand_r(seed) % (sizeof(corners) / sizeof(corners[0]))];
	switch (rand_r(seed) % 4) {
	case 0: return (uint64_t)rand_r(seed) << 32 | (value & UINT32_MAX);
	case 1: return (uint64_t)(rand_r(seed) % 70000);
	case 2: return UINT64_C(1) << (rand_r(seed) % 64);
	default: return value;
	}
}

/* Half of the arguments as the rule wants them, half at random. */
static void compare_readings(const struct policy_filter *f, const struct policy *policy)
{
	unsigned int seed = 20260101;
	for (unsigned int i = 0; i < RANDOM_CALLS; i++) {
		const struct policy_rule *rule =
			&policy->rule[(unsigned int)rand_r(&seed) % policy->rules];
		if (rule->stage == POLICY_BOOT)
			continue;
		struct attempt a = {.call = seccomp_syscall_resolve_name(rule->call)};
		pick_arguments(rule, a.args);
		for (unsigned int j = 0; j < WORDS_ARGUMENTS; j++)
			if (rand_r(&seed) % 2)
				a.args[j] = random_argument(&seed);
		tally.random++;
		if (interpreter_allows(f, &a) != policy_allows(policy, rule->call, a.args)) {
			failed("%s.policy:%u: %s(%llx, %llx, %llx, %llx, ...): filter and policy "
			       "disagree",
				f->name, rule->line, rule->call, (unsigned long long)a.args[0],
				(unsigned long long)a.args[1], (unsigned long long)a.args[2],
				(unsigned long long)a.args[3]);
			return;
		}
	}
}

/* Nothing softer than the two answers hides in the program. */
static void check_answers(const struct policy_filter *f)
{
	for (unsigned int i = 0; i < f->count; i++)
		if (BPF_CLASS(f->insns[i].code) == BPF_RET && f->insns[i].k != SECCOMP_RET_ALLOW &&
			f->insns[i].k != SECCOMP_RET_KILL_PROCESS)
			failed("%s: instruction %u answers 0x%x", f->name, i, f->insns[i].k);
}

static atomic_bool filter_is_on;

static void *forbidden_call(void *unused)
{
	while (!atomic_load(&filter_is_on))
		;
	syscall(SYS_ptrace, 0, 0, 0, 0);
	return unused;
}

/* Two threads under the filter; the second one sins. Only the alarm ends the first if it is spared.
 */
static void __attribute__((noreturn)) sin_in_a_thread(const struct policy_filter *f)
{
	pthread_t thread;
	struct sock_fprog program = {.len = (unsigned short)f->count};
	memcpy(&program.filter, &f->insns, sizeof(program.filter));
	alarm(3);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		pthread_create(&thread, NULL, forbidden_call, NULL))
		_exit(98);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program))
		_exit(99);
	atomic_store(&filter_is_on, true);
	for (;;)
		;
}

/* A second thread's crime ends the whole process, not just the thread. */
static void check_whole_process_dies(const struct policy_filter *f)
{
	int status = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		sin_in_a_thread(f);
	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
		failed("%s: a thread's forbidden call did not end the process (status 0x%x)",
			f->name, status);
}

/* A worker that was born again inherits the supervisor's filter: what its own allows must pass that
 * one as well. */
static void check_supervisor_allows(
	const struct policy_filter *supervisor, const struct policy *policy)
{
	unsigned int seed = 20260102;
	for (unsigned int i = 0; i < policy->rules * 200; i++) {
		const struct policy_rule *rule = &policy->rule[i / 200];
		struct attempt a = {.call = seccomp_syscall_resolve_name(rule->call)};
		pick_arguments(rule, a.args);
		for (unsigned int j = 0; j < rule->conditions && i % 200; j++) {
			const struct policy_condition *c = &rule->condition[j];
			unsigned int range =
				c->ranges ? (unsigned int)rand_r(&seed) % c->ranges : 0;
			if (!c->subset)
				a.args[c->argument.index] = c->range[range].last;
			else
				a.args[c->argument.index] &= (uint64_t)rand_r(&seed);
		}
		if (rule->stage == POLICY_BOOT || interpreter_allows(supervisor, &a))
			continue;
		failed("%s.policy:%u: %s is allowed here and not in supervisor.policy, which a "
		       "restarted worker inherits",
			policy->actor, rule->line, rule->call);
		i = (i / 200 + 1) * 200 - 1;
	}
}

static bool read_policy(const char *path, struct policy *policy)
{
	static char text[POLICY_FILE_BYTES];
	struct policy_error error = {0};
	FILE *file = fopen(path, "r");
	size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	text[n] = '\0';
	if (file)
		fclose(file);
	if (n && policy_parse(text, policy, &error) == 0)
		return true;
	failed("%s: cannot be read or parsed: %s", path, error.cause);
	return false;
}

static void test_policy(const char *path)
{
	static struct policy policy;
	if (!read_policy(path, &policy))
		return;
	const struct policy_filter *f = policy_filter_find(policy.actor);
	if (!f) {
		failed("%s: no filter was compiled for %s", path, policy.actor);
		return;
	}
	if (f->syscalls != policy_call_count(&policy))
		failed("%s: counts %u calls, the policy %u", f->name, f->syscalls,
			policy_call_count(&policy));
	for (unsigned int i = 0; i < policy.rules; i++) {
		const struct policy_rule *rule = &policy.rule[i];
		if (rule->stage == POLICY_BOOT)
			continue;
		int call = seccomp_syscall_resolve_name(rule->call);
		try_allowed(f, rule, call);
		try_mutated(f, &policy, rule, call);
	}
	try_unlisted(f, &policy);
	compare_readings(f, &policy);
	if (words_has_topology(policy.actor) && policy_filter_find("supervisor"))
		check_supervisor_allows(policy_filter_find("supervisor"), &policy);
	check_answers(f);
	check_whole_process_dies(f);
	printf("%-10s %2u calls, %3u rules, %4u instructions\n", f->name, f->syscalls, policy.rules,
		f->count);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		test_policy(argv[i]);
	printf("%u rules tried as allowed, %u mutated calls, %u unlisted calls, %u random calls: "
	       "%u failures\n",
		tally.allowed, tally.mutated, tally.unlisted, tally.random, tally.failures);
	return tally.failures || tally.allowed == 0;
}
