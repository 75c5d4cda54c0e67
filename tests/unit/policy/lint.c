/* policy/lint.c: each promise of docs/policy.md broken once. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lint.h"

static struct policy policy;
static struct policy_error error;

#define WHY	 " # f: because\n"
#define CAN_EXIT "exit_group *" WHY

static int lint(const char *text)
{
	cr_assert_eq(policy_parse(text, &policy, &error), 0, "%u:%u: %s", error.line, error.column,
		error.cause);
	return lint_policy(&policy, &error);
}

static void passes(const char *text)
{
	cr_expect_eq(lint(text), 0, "%s: %s", text, error.cause);
}

static void refused(const char *text, unsigned int line, const char *cause)
{
	cr_expect_eq(lint(text), -EINVAL, "passed: %s", text);
	cr_expect_eq(error.line, line, "line %u for: %s", error.line, text);
	cr_expect(strstr(error.cause, cause), "cause was '%s' for: %s", error.cause, text);
	cr_expect(error.fix[0]);
}

#define BOOT	    "boot\nbrk *" WHY
#define ALG(rules)  "actor alg\nstage run\n" rules CAN_EXIT BOOT
#define BOSS(rules) "actor supervisor\nstage run\n" rules CAN_EXIT

Test(lint, a_modest_policy_passes)
{
	passes(ALG("recvmsg fd in CH_SUPER, CH_NATPROXY" WHY));
	passes(ALG("mmap prot in READ|WRITE, flags = PRIVATE|ANONYMOUS, fd = NO_FD" WHY));
}

Test(lint, nothing_is_executable)
{
	refused(ALG("mprotect prot in READ|EXEC" WHY), 3, "executable");
	refused(ALG("mprotect prot = EXEC" WHY), 3, "executable");
	refused(ALG("mprotect prot in READ, 0x7" WHY), 3, "executable");
	refused(ALG("mprotect prot = 0x104" WHY), 3, "executable");
	refused(ALG("mprotect *" WHY), 3, "executable");
	refused(BOSS("mmap *" WHY), 3, "executable");
	refused(BOSS("pkey_mprotect *" WHY), 3, "executable");
}

Test(lint, what_is_mapped_as_code_is_never_writable)
{
#define LOADER(rules) "actor loader\nstage run\n" rules CAN_EXIT
	passes(LOADER("mmap prot in READ|EXEC, flags in PRIVATE|FIXED" WHY));
	refused(LOADER("mmap prot in READ|WRITE|EXEC, flags in PRIVATE" WHY), 3, "executable");
	refused(LOADER("mprotect *" WHY), 3, "executable");
}

Test(lint, a_sanitizer_promises_what_a_worker_does)
{
#define SANITIZER(rules) "actor sanitizer\nstage run\n" rules CAN_EXIT
	passes(SANITIZER("write fd = 2" WHY));
	refused(SANITIZER("write *" WHY), 3, "leaves 'fd' open");
	refused(SANITIZER("openat dirfd = AT_FDCWD, flags = 0" WHY), 3, "file system");
	refused(SANITIZER("ptrace request = 0" WHY), 3, "power");
	refused(SANITIZER("mprotect prot in READ|EXEC" WHY), 3, "executable");
}

Test(lint, sockets_are_for_two)
{
	const char *rule = "socket domain = INET, type = STREAM, protocol = TCP" WHY;
	char text[256];
	const char *names[] = {"alg", "broker", "netstack", "dhcpd", "ctl"};
	for (size_t i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "actor %s\nrun\n%s%s", names[i], rule, CAN_EXIT);
		refused(text, 3, "may make sockets");
	}
	passes("actor natproxy\nrun\nsocket domain = INET, type = STREAM, protocol = TCP" WHY
			CAN_EXIT BOOT);
	passes(BOSS("socket domain = UNIX, type = SEQPACKET, protocol = 0" WHY));
	refused(ALG("socketpair domain = UNIX, type = STREAM, protocol = 0" WHY), 3,
		"may make sockets");
	refused("actor natproxy\nrun\nsocket domain = INET, type = STREAM" WHY CAN_EXIT, 3,
		"'protocol' open");
}

Test(lint, descriptors_are_pinned)
{
	refused(ALG("recvmsg *" WHY), 3, "'fd' open");
	refused(ALG("epoll_ctl epfd = EPOLL, op = ADD" WHY), 3, "'fd' open");
	refused(ALG("epoll_ctl fd = CH_SUPER" WHY), 3, "'epfd' open");
	refused(ALG("mmap prot = READ, flags = PRIVATE" WHY), 3, "'fd' open");
	refused(ALG("recvmsg fd = NO_FD" WHY), 3, "descriptor -1");
	passes(BOSS("recvmsg *" WHY));
}

Test(lint, arguments_that_decide_are_pinned)
{
	refused("actor natproxy\nrun\nsetsockopt fd in SOCK, level = TCP" WHY CAN_EXIT, 3,
		"'optname' open");
	refused("actor natproxy\nrun\nioctl fd in SOCK" WHY CAN_EXIT, 3, "'request' open");
	refused(BOSS("prctl *" WHY), 3, "'option' open");
	refused(BOSS("clone *" WHY), 3, "'flags' open");
}

Test(lint, workers_reach_no_path_and_no_power)
{
	static const char *const calls[] = {"openat dirfd = AT_FDCWD, flags = RDONLY", "unlink *",
		"stat *", "chdir *", "execve *", "fork *", "kill sig = TERM", "memfd_create *",
		"io_uring_setup *", "bpf *", "setuid *", "ptrace request = 0",
		"unshare flags = NEWNET", "prctl option = PR_SET_NAME", "seccomp op = 1, flags = 0",
		"prlimit64 pid = 0, resource = NOFILE", "clone flags = VM"};
	char text[256];
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		snprintf(
			text, sizeof(text), "actor natproxy\nrun\n%s%s%s", calls[i], WHY, CAN_EXIT);
		cr_expect_eq(lint(text), -EINVAL, "passed: %s", text);
		snprintf(text, sizeof(text), "actor natproxy\nboot\n%s%srun\n%s", calls[i], WHY,
			CAN_EXIT);
		cr_expect_eq(lint(text), 0, "refused at boot: %s: %s", text, error.cause);
	}
}

Test(lint, a_line_that_adds_nothing_is_refused)
{
	refused(ALG("recvmsg fd = CH_SUPER" WHY "recvmsg fd = CH_SUPER" WHY), 4, "line 3 already");
	refused(BOSS("read fd = 4" WHY "read *" WHY), 3, "line 4 already");
	passes(ALG("recvmsg fd = CH_SUPER" WHY "recvmsg fd = CH_NATPROXY" WHY));
}

Test(lint, bars_are_held)
{
	static const char twelve[] = "getpid *" WHY "gettid *" WHY "getuid *" WHY "geteuid *" WHY
				     "getgid *" WHY "getegid *" WHY "getppid *" WHY "uname *" WHY
				     "time *" WHY "brk *" WHY "sched_yield *" WHY;
	char text[1024];
	snprintf(text, sizeof(text), "actor alg\nrun\n%s%s%s", twelve, CAN_EXIT, BOOT);
	passes(text);
	snprintf(text, sizeof(text), "actor alg\nrun\nsysinfo *%s%s%s", WHY, twelve, CAN_EXIT);
	refused(text, 1, "13 system calls, the bar of alg is 12");
	cr_expect_eq(lint_bar("broker"), 14);
	cr_expect_eq(lint_bar("netstack"), 16);
	cr_expect_eq(lint_bar("natproxy"), 30);
	cr_expect_eq(lint_bar("dhcpd"), 12);
	refused("actor stranger\nrun\n" CAN_EXIT, 1, "nobody knows");
}

Test(lint, a_process_must_be_able_to_end)
{
	refused("actor alg\nrun\nrecvmsg fd = CH_SUPER" WHY, 1, "cannot even exit");
}

Test(lint, a_rare_rule_says_what_leads_there)
{
	refused(ALG("rare\ngetpid *" WHY "run\n"), 4, "nothing says what leads there");
	refused(ALG("rare\ngetpid * # f: ending: because\nrun\n"), 4, "what leads there");
	refused(ALG("rare\ngetpid * # f: end: x\nrun\n"), 4, "what leads there");
	cr_expect(strstr(error.fix, "restart:"), "%s", error.fix);
	passes(ALG("rare\ngetpid * # f: end: because\nrun\n"));
	refused(BOSS("rare\ngetpid *" WHY "run\n"), 4, "what leads there");
}

Test(lint, a_number_is_no_set_of_bits)
{
	const char *joined = "socket domain = INET, type in STREAM|DGRAM, protocol = 0" WHY;
	char text[256];
	snprintf(text, sizeof(text), "actor natproxy\nrun\n%s%s%s", joined, CAN_EXIT, BOOT);
	refused(text, 3, "any mixture of the bits of 'type'");
	refused(BOSS("openat flags in WRONLY|RDWR" WHY), 3, "any mixture of the bits of 'flags'");
	refused(BOSS("prctl option in PR_SET_DUMPABLE|PR_SET_NAME" WHY), 3, "'option'");
	passes(BOSS("socket domain = INET, type in STREAM, DGRAM|CLOEXEC, protocol = 0" WHY));
	passes(BOSS("openat flags = WRONLY|CLOEXEC" WHY));
}

Test(lint, a_worker_tells_of_its_boot)
{
	refused("actor alg\nrun\n" CAN_EXIT, 1, "before it is locked");
	refused("actor alg\nrun\n" CAN_EXIT "boot\nmprotect prot in READ|EXEC" WHY, 5,
		"executable");
	passes("actor alg\nrun\n" CAN_EXIT "boot\nmprotect prot in READ|WRITE" WHY);
	passes("actor supervisor\nrun\n" CAN_EXIT);
	passes("actor ctl\nrun\n" CAN_EXIT "boot\nmmap prot in READ|EXEC" WHY);
}
