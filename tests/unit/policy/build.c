/* policy/build.c: the compiled program says what the policy says, at the edges above all. */
#include <criterion/criterion.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <string.h>

#include "bpf_run.h"
#include "build.h"

static struct policy policy;
static struct policy_error error;
static struct sock_filter insns[BUILD_MAX_INSNS];
static unsigned int count;

#define WHY " # f: because\n"

static void compile(const char *text, enum build_action action)
{
	cr_assert_eq(policy_parse(text, &policy, &error), 0, "%s", error.cause);
	int n = build_filter(&policy, action, insns, &error);
	cr_assert_gt(n, 0, "%s", error.cause);
	count = (unsigned int)n;
}

static uint32_t ask(const char *call, uint64_t a0, uint64_t a1, uint64_t a2)
{
	const uint64_t args[6] = {a0, a1, a2};
	return bpf_run_call(insns, count, seccomp_syscall_resolve_name(call), args);
}

static bool allows(const char *call, uint64_t a0, uint64_t a1, uint64_t a2)
{
	uint32_t answer = ask(call, a0, a1, a2);
	cr_assert(answer == SECCOMP_RET_ALLOW || answer == SECCOMP_RET_KILL_PROCESS);
	return answer == SECCOMP_RET_ALLOW;
}

Test(build, a_range_is_exact_for_every_descriptor)
{
	compile("actor broker\nrun\nreadv fd in PORT, CH_SUPER" WHY, BUILD_KILL);
	for (uint64_t fd = 0; fd < 70000; fd++)
		cr_assert_eq(allows("readv", fd, 0, 0), fd == 3 || (fd >= 64 && fd <= 127),
			"fd %lu", fd);
	compile("actor natproxy\nrun\nreadv fd in SOCK" WHY, BUILD_KILL);
	for (uint64_t fd = 0; fd < 70000; fd++)
		cr_assert_eq(allows("readv", fd, 0, 0), fd >= 16 && fd <= 65535, "fd %lu", fd);
}

/* What serves all shards pays a mask for their number, and no more. */
Test(build, a_descriptor_for_each_shard_is_one_comparison)
{
	unsigned int one;
	compile("actor broker\nrun\nwrite fd = BELL_OWN" WHY, BUILD_KILL);
	one = count;
	compile("actor broker\nrun\nwrite fd in BELL_NETSTACK" WHY, BUILD_KILL);
	cr_assert_leq(count, one + 1);
	for (uint64_t fd = 0; fd < 1000; fd++)
		cr_assert_eq(allows("write", fd, 0, 0), fd >= 32 && fd <= 39, "fd %lu", fd);
	compile("actor broker\nrun\nrecvmsg fd in CH_NETSTACK" WHY, BUILD_KILL);
	cr_assert_leq(count, one + 1);
	for (uint64_t fd = 0; fd < 1000; fd++)
		cr_assert_eq(allows("recvmsg", fd, 0, 0), fd >= 16 && fd <= 23, "fd %lu", fd);
}

Test(build, minus_one_and_dirty_upper_halves)
{
	compile("actor natproxy\nrun\nreadv fd in SOCK" WHY "recvmsg fd = CH_ALG" WHY, BUILD_KILL);
	cr_expect_not(allows("readv", (uint64_t)-1, 0, 0));
	cr_expect_not(allows("readv", UINT32_MAX, 0, 0));
	cr_expect_not(allows("readv", UINT64_C(0x80000010), 0, 0));
	cr_expect_not(allows("readv", UINT64_C(0x1000000000000), 0, 0), "lower half is 0");
	cr_expect(allows("readv", UINT64_C(0xffffffff00000010), 0, 0), "the kernel reads 16");
	cr_expect(allows("recvmsg", UINT64_C(0x700000005), 0, 0), "the kernel reads 5");
	cr_expect_not(allows("recvmsg", UINT64_C(0x500000000), 0, 0));
	cr_expect_not(allows("recvmsg", UINT64_C(0x500000007), 0, 0));
}

Test(build, a_long_is_compared_whole)
{
	compile("actor alg\nrun\nmprotect prot in READ|WRITE" WHY, BUILD_KILL);
	for (uint64_t prot = 0; prot < 8; prot++)
		cr_expect_eq(allows("mprotect", 0, 0, prot), prot < 4);
	cr_expect_not(allows("mprotect", 0, 0, UINT64_C(0x100000001)));
	compile("actor alg\nrun\nmprotect prot = READ" WHY, BUILD_KILL);
	cr_expect(allows("mprotect", 0, 0, 1));
	cr_expect_not(allows("mprotect", 0, 0, UINT64_C(0x100000001)));
}

Test(build, several_conditions_hold_together)
{
	compile("actor natproxy\nrun\nsetsockopt fd in SOCK, level = TCP, optname in 1, 2" WHY
		"setsockopt fd in SOCK, level = SOCKET, optname = 9" WHY,
		BUILD_KILL);
	cr_expect(allows("setsockopt", 20, 6, 2));
	cr_expect(allows("setsockopt", 65535, 1, 9));
	cr_expect_not(allows("setsockopt", 20, 1, 2));
	cr_expect_not(allows("setsockopt", 20, 6, 9));
	cr_expect_not(allows("setsockopt", 5, 6, 2));
}

Test(build, everything_else_dies)
{
	compile("actor alg\nboot\nopenat *" WHY "run\nexit_group *" WHY, BUILD_KILL);
	for (int call = 0; call < 1024; call++) {
		const uint64_t args[6] = {0};
		uint32_t expected = call == seccomp_syscall_resolve_name("exit_group")
					    ? SECCOMP_RET_ALLOW
					    : SECCOMP_RET_KILL_PROCESS;
		cr_assert_eq(bpf_run_call(insns, count, call, args), expected, "call %d", call);
	}
}

Test(build, other_entries_into_the_kernel_are_closed)
{
	compile("actor alg\nrun\nexit_group *" WHY, BUILD_KILL);
	int number = seccomp_syscall_resolve_name("exit_group");
	struct seccomp_data data = {.nr = number, .arch = AUDIT_ARCH_I386};
	cr_expect_eq(bpf_run(insns, count, &data), SECCOMP_RET_KILL_PROCESS);
	const uint64_t args[6] = {0};
	cr_expect_eq(bpf_run_call(insns, count, number | 0x40000000, args),
		SECCOMP_RET_KILL_PROCESS, "x32");
	cr_expect_eq(bpf_run_call(insns, count, -1, args), SECCOMP_RET_KILL_PROCESS);
	cr_expect_eq(bpf_run_call(insns, count, number, args), SECCOMP_RET_ALLOW);
}

Test(build, the_debug_filter_refuses_the_same_calls)
{
	const char *text = "actor alg\nrun\nrecvmsg fd = CH_SUPER" WHY "exit_group *" WHY;
	static struct sock_filter kill[BUILD_MAX_INSNS];
	compile(text, BUILD_KILL);
	unsigned int killing = count;
	memcpy(kill, insns, sizeof(kill));
	compile(text, BUILD_TRAP);
	cr_assert_eq(count, killing);
	for (unsigned int i = 0; i < count; i++) {
		bool differs = memcmp(&kill[i], &insns[i], sizeof(kill[i])) != 0;
		if (differs)
			cr_expect(kill[i].k == SECCOMP_RET_KILL_PROCESS &&
				  insns[i].k == SECCOMP_RET_TRAP);
	}
	cr_expect_eq(ask("recvmsg", 4, 0, 0), SECCOMP_RET_TRAP);
	cr_expect_eq(ask("recvmsg", 3, 0, 0), SECCOMP_RET_ALLOW);
}

Test(build, what_does_not_fit_is_an_error)
{
	cr_assert_eq(policy_parse("actor supervisor\nrun\nread buf = 1, fd = 4, count = 5" WHY,
			     &policy, &error),
		0);
	policy.rule[0].condition[0].range[0] = (struct policy_range){1, UINT64_MAX - 1};
	cr_expect_gt(build_filter(&policy, BUILD_KILL, insns, &error), -4096);
	strcpy(policy.rule[0].call, "no_such_call");
	cr_expect_lt(build_filter(&policy, BUILD_KILL, insns, &error), 0);
	cr_expect(strstr(error.cause, "no_such_call"));
}
