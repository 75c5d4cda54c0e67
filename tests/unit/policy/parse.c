/* policy/parse.c: what a policy may say, what it means, and what is said about a mistake. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "parse.h"

static struct policy policy;
static struct policy_error error;

#define HEAD "actor alg # bytes in\nstage run\n"
#define WHY  " # chan_recv: because\n"

static int parse(const char *text)
{
	return policy_parse(text, &policy, &error);
}

static void refused(const char *text, unsigned int line, unsigned int column, const char *cause)
{
	cr_assert_eq(parse(text), -EINVAL, "accepted: %s", text);
	cr_expect_eq(error.line, line, "line %u for: %s", error.line, text);
	cr_expect_eq(error.column, column, "column %u for: %s", error.column, text);
	cr_expect(strstr(error.cause, cause), "cause was '%s'", error.cause);
	cr_expect(error.fix[0], "no fix for '%s'", error.cause);
}

static bool allows(const char *call, uint64_t a0, uint64_t a1, uint64_t a2)
{
	const uint64_t args[WORDS_ARGUMENTS] = {a0, a1, a2};
	return policy_allows(&policy, call, args);
}

Test(parse, the_example_of_the_house)
{
	cr_assert_eq(parse("actor alg                  # bytes in, verdicts out\n"
			   "stage run\n"
			   "recvmsg    fd in CH_SUPER, CH_NATPROXY    # chan_fill: next message\n"
			   "mmap       prot in READ|WRITE, flags in PRIVATE|ANONYMOUS   # "
			   "pool_grow: more\n"
			   "rare\n"
			   "exit_group *            # actor_die: after Drained or a bug\n"),
		0, "%s", error.cause);
	cr_expect_str_eq(policy.actor, "alg");
	cr_expect_str_eq(policy.purpose, "bytes in, verdicts out");
	cr_assert_eq(policy.rules, 3);
	cr_expect_str_eq(policy.rule[0].functions, "chan_fill");
	cr_expect_str_eq(policy.rule[0].reason, "next message");
	cr_expect_eq(policy.rule[1].conditions, 2);
	cr_expect_eq(policy.rule[2].stage, POLICY_RARE);
	cr_expect_eq(policy.rule[2].conditions, 0);
	cr_expect(allows("recvmsg", 3, 0, 0));
	cr_expect(allows("recvmsg", 4, 0, 0));
	cr_expect_not(allows("recvmsg", 5, 0, 0));
	cr_expect_not(allows("recvmsg", 0, 0, 0));
}

Test(parse, pipe_is_a_subset_and_comma_is_a_choice)
{
	cr_assert_eq(parse(HEAD "mprotect prot in READ|WRITE" WHY), 0);
	for (uint64_t prot = 0; prot < 8; prot++)
		cr_expect_eq(allows("mprotect", 0, 0, prot), (prot & PROT_EXEC) == 0);
	cr_assert_eq(parse(HEAD "mprotect prot in READ, WRITE" WHY), 0);
	cr_expect(allows("mprotect", 0, 0, PROT_READ));
	cr_expect_not(allows("mprotect", 0, 0, PROT_READ | PROT_WRITE));
	cr_expect_not(allows("mprotect", 0, 0, PROT_NONE));
	cr_assert_eq(parse(HEAD "mprotect prot = READ|WRITE" WHY), 0);
	cr_expect_not(allows("mprotect", 0, 0, PROT_READ));
	cr_expect(allows("mprotect", 0, 0, PROT_READ | PROT_WRITE));
	cr_assert_eq(parse(HEAD "mprotect prot in READ|WRITE, READ" WHY), 0);
	cr_expect(allows("mprotect", 0, 0, PROT_READ));
	cr_expect(allows("mprotect", 0, 0, PROT_READ | PROT_WRITE));
	cr_expect_not(allows("mprotect", 0, 0, PROT_WRITE));
}

Test(parse, a_comma_may_start_the_next_condition)
{
	cr_assert_eq(parse("actor natproxy\nrun\n"
			   "setsockopt fd in SOCK, CH_SUPER, level = SOCKET, optname in SO_LINGER, "
			   "9" WHY),
		0, "%s", error.cause);
	cr_assert_eq(policy.rule[0].conditions, 3);
	cr_expect_eq(policy.rule[0].condition[0].ranges, 2);
	cr_expect_eq(policy.rule[0].condition[2].ranges, 2);
	cr_expect(allows("setsockopt", 16, 1, 9));
	cr_expect(allows("setsockopt", 3, 1, 13));
	cr_expect_not(allows("setsockopt", 15, 1, 9));
	cr_expect_not(allows("setsockopt", 16, 6, 9));
}

Test(parse, ranges_have_two_ends)
{
	cr_assert_eq(parse("actor broker\nrun\nwritev fd in PORT" WHY), 0);
	cr_expect(allows("writev", 64, 0, 0));
	cr_expect(allows("writev", 127, 0, 0));
	cr_expect_not(allows("writev", 63, 0, 0));
	cr_expect_not(allows("writev", 128, 0, 0));
	cr_expect_not(allows("writev", (uint64_t)-1, 0, 0));
	cr_expect_not(allows("writev", UINT32_MAX, 0, 0));
}

Test(parse, ints_are_judged_by_their_lower_half_and_longs_whole)
{
	cr_assert_eq(
		parse("actor alg\nrun\nrecvmsg fd = CH_SUPER" WHY "mprotect prot = READ" WHY), 0);
	cr_expect(allows("recvmsg", UINT64_C(0xdeadbeef00000003), 0, 0));
	cr_expect_not(allows("recvmsg", UINT64_C(0x0000000300000000), 0, 0));
	cr_expect_not(allows("mprotect", 0, 0, UINT64_C(0x100000001)));
}

Test(parse, numbers_may_be_a_range)
{
	cr_assert_eq(parse("actor ctl\nrun\nclose fd in 4..15, 20" WHY), 0, "%s", error.cause);
	cr_expect_not(allows("close", 3, 0, 0));
	cr_expect(allows("close", 4, 0, 0));
	cr_expect(allows("close", 15, 0, 0));
	cr_expect_not(allows("close", 16, 0, 0));
	cr_expect(allows("close", 20, 0, 0));
	cr_expect_not(allows("close", (uint64_t)-1, 0, 0));
	refused("actor ctl\nrun\nclose fd in 15..4" WHY, 3, 18, "ends before it begins");
	refused("actor ctl\nrun\nclose fd in 4.." WHY, 3, 17, "a value is missing");
	refused("actor ctl\nrun\nclose fd in 4.15" WHY, 3, 14, "left over");
}

Test(parse, advice_belongs_to_the_mistake)
{
	refused(HEAD "exit_group *" WHY "recvmsg * fd = CH_SUPER" WHY, 4, 11, "left over");
	cr_expect(strstr(error.fix, "comma"), "%s", error.fix);
}

Test(parse, lines_for_one_call_mean_or)
{
	cr_assert_eq(parse(HEAD "sendmsg fd = CH_SUPER" WHY "sendmsg fd = CH_NATPROXY" WHY), 0);
	cr_expect(allows("sendmsg", 3, 0, 0));
	cr_expect(allows("sendmsg", 4, 0, 0));
	cr_expect_eq(policy_call_count(&policy), 1);
}

Test(parse, boot_lines_are_told_but_allow_nothing)
{
	cr_assert_eq(
		parse("actor alg\nstage boot\nopenat *" WHY "run\nsendmsg fd = CH_SUPER" WHY), 0);
	cr_expect_not(allows("openat", 0, 0, 0));
	cr_expect_eq(policy_call_count(&policy), 1);
}

Test(parse, several_functions_may_share_a_rule)
{
	cr_assert_eq(parse(HEAD "exit_group * # actor_die, actor_drained: the two ends\n"), 0);
	cr_expect_str_eq(policy.rule[0].functions, "actor_die, actor_drained");
}

Test(parse, comments_and_empty_lines_are_free)
{
	cr_assert_eq(
		parse("\n# why\n\t \n" HEAD "\n  exit_group * # f: the end"), 0, "%s", error.cause);
	cr_expect_eq(policy.rule[0].line, 7);
}

Test(parse, mistakes_are_told_with_place_and_fix)
{
	refused(HEAD "recvmsgs fd = CH_SUPER" WHY, 3, 1, "do not know the system call 'recvmsgs'");
	cr_expect(strstr(error.fix, "'recvmsg'"), "%s", error.fix);
	refused(HEAD "recvmsg df = CH_SUPER" WHY, 3, 9, "no argument 'df'");
	cr_expect(strstr(error.fix, "fd, msg, flags"), "%s", error.fix);
	refused(HEAD "recvmsg fd = CH_ALG" WHY, 3, 14, "'CH_ALG' is no value");
	cr_expect(strstr(error.fix, "CH_SUPER, CH_NATPROXY, EPOLL"), "%s", error.fix);
	refused(HEAD "recvmsg fd = 3" WHY, 3, 14, "'3' is no value");
	refused(HEAD "recvmsg fd CH_SUPER" WHY, 3, 12, "'=' or 'in'");
	refused(HEAD "recvmsg fd =" WHY, 3, 14, "a value is missing");
	refused(HEAD "recvmsg fd in" WHY, 3, 15, "a value is missing");
	refused(HEAD "recvmsg fd in CH_SUPER," WHY, 3, 25, "a value is missing");
	refused(HEAD "recvmsg" WHY, 3, 9, "an argument's name is missing");
	refused(HEAD "recvmsg fd = CH_SUPER, fd = EPOLL" WHY, 3, 24, "second condition on 'fd'");
	refused(HEAD "recvmsg * fd = CH_SUPER" WHY, 3, 11, "left over");
	refused(HEAD "recvmsg fd = CH_SUPER CH_NATPROXY" WHY, 3, 23, "left over");
	refused(HEAD "mprotect prot = READ|" WHY, 3, 23, "a value is missing");
	refused("actor broker\nrun\nreadv fd in PORT|CH_SUPER" WHY, 3, 26, "no bits to join");
}

Test(parse, headers_are_strict)
{
	refused("recvmsg *" WHY, 1, 1, "before the actor");
	refused("actor alg\nrecvmsg *" WHY, 2, 1, "before any stage");
	refused("actor alg\nstage late\n", 2, 7, "no stage 'late'");
	refused("actor alg\nstage run now\n", 2, 11, "left over");
	refused("actor alg\nactor dhcpd\n", 2, 6, "second actor");
	refused("actor\n", 1, 6, "the actor's name is missing");
	refused("actor alg\nstage run\n", 3, 1, "no rule");
	refused("", 1, 1, "no rule");
}

Test(parse, every_rule_has_a_reason_with_a_function)
{
	refused(HEAD "exit_group *\n", 3, 13, "no reason");
	refused(HEAD "exit_group * #\n", 3, 15, "no reason");
	refused(HEAD "exit_group * # the end of it all\n", 3, 15, "no reason");
	refused(HEAD "exit_group * # actor_die:\n", 3, 15, "no reason");
	refused(HEAD "exit_group * # some words: the end\n", 3, 15, "no reason");
	refused(HEAD "exit_group * # : the end\n", 3, 15, "no reason");
}

Test(parse, hostile_sizes_are_refused_not_overrun)
{
	static char text[200000];
	strcpy(text, "actor natproxy\nrun\n");
	for (int i = 0; i < POLICY_RULES + 1; i++)
		strcat(text, "exit_group *" WHY);
	cr_expect_eq(parse(text), -EINVAL);
	cr_expect(strstr(error.cause, "more than"));
	strcpy(text, "actor natproxy\nrun\nsetsockopt optname in 1");
	for (int i = 0; i < POLICY_RANGES; i++)
		strcat(text, ", 2");
	strcat(text, WHY);
	cr_expect_eq(parse(text), -EINVAL);
	cr_expect(strstr(error.cause, "values in one condition"), "%s", error.cause);
	strcpy(text, "actor natproxy\nrun\nexit_group * # f: ");
	memset(text + strlen(text), 'a', POLICY_TEXT_BYTES);
	cr_expect_eq(parse(text), -EINVAL);
	cr_expect(strstr(error.cause, "bytes"), "%s", error.cause);
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "actor x\nrun\n", 12);
	cr_expect_eq(parse(text), -EINVAL);
	memcpy(text, "actor ", 6);
	cr_expect_eq(parse(text), -EINVAL);
	memcpy(text, "#", 1);
	cr_expect_eq(parse(text), -EINVAL);
}

Test(parse, numbers_are_whole_and_fit)
{
	refused("actor supervisor\nrun\nread fd = 12x" WHY, 3, 11, "'12x' is no value");
	refused("actor supervisor\nrun\nread fd = 99999999999999999999" WHY, 3, 11, "is no value");
	cr_assert_eq(parse("actor supervisor\nrun\nread fd = 0x10" WHY), 0, "%s", error.cause);
	cr_expect(allows("read", 16, 0, 0));
}
