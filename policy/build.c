/*
 * Theory of operation
 *
 * libseccomp compares each argument once a rule, and compares all 64 bits. Both are wrong for
 * descriptors: a range needs two bounds, and the kernel reads an int, so what the upper half of the
 * register holds must neither open nor close a door. Everything is therefore said with masked
 * equality, (argument & mask) == datum:
 *
 *     blocks.c says which: exact values, subsets of bits, ranges as aligned blocks
 *
 * A rule whose conditions hold several alternatives becomes one libseccomp rule for each
 * combination.
 */
#include "build.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "blocks.h"

static int complain(struct policy_error *error, unsigned int line, const char *what, int ret)
{
	error->line = line;
	error->column = 1;
	snprintf(error->cause, sizeof(error->cause), "%s: %s", what, strerror(-ret));
	snprintf(error->fix, sizeof(error->fix), "see build_filter in policy/build.c");
	return ret;
}

/* Adds every combination of the conditions from `next` on; chosen[] holds one comparison for each
 * before it. */
static int add_combinations(scmp_filter_ctx ctx, const struct policy_rule *rule, int call,
	unsigned int next, struct scmp_arg_cmp chosen[WORDS_ARGUMENTS])
{
	struct blocks alternatives;
	if (next == rule->conditions)
		return seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, call, next, chosen);
	if (!blocks_of(&rule->condition[next], &alternatives))
		return -E2BIG;
	for (unsigned int i = 0; i < alternatives.count; i++) {
		const struct block *block = &alternatives.block[i];
		chosen[next] = SCMP_CMP64(rule->condition[next].argument.index, SCMP_CMP_MASKED_EQ,
			block->mask, block->datum);
		int ret = add_combinations(ctx, rule, call, next + 1, chosen);
		if (ret && ret != -EEXIST)
			return ret;
	}
	return 0;
}

static int add_rule(scmp_filter_ctx ctx, const struct policy_rule *rule, struct policy_error *error)
{
	struct scmp_arg_cmp chosen[WORDS_ARGUMENTS];
	int call = seccomp_syscall_resolve_name_arch(SCMP_ARCH_NATIVE, rule->call);
	if (call < 0)
		return complain(error, rule->line, rule->call, -ENOSYS);
	int ret = seccomp_syscall_priority(ctx, call, rule->stage == POLICY_RUN ? 200 : 10);
	if (ret == 0)
		ret = add_combinations(ctx, rule, call, 0, chosen);
	return ret ? complain(error, rule->line, rule->call, ret) : 0;
}

static int add_rules(scmp_filter_ctx ctx, const struct policy *policy, struct policy_error *error)
{
	for (unsigned int i = 0; i < policy->rules; i++) {
		if (policy->rule[i].stage == POLICY_BOOT)
			continue;
		int ret = add_rule(ctx, &policy->rule[i], error);
		if (ret)
			return ret;
	}
	return 0;
}

/* libseccomp exports to a descriptor only. */
static int export_program(scmp_filter_ctx ctx, struct sock_filter *out)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int ret = seccomp_export_bpf(ctx, fd);
	ssize_t n = ret ? 0 : pread(fd, out, sizeof(*out) * BUILD_MAX_INSNS, 0);
	if (ret == 0 && (n <= 0 || lseek(fd, 0, SEEK_END) != n))
		ret = -E2BIG;
	close(fd);
	return ret ? ret : (int)((size_t)n / sizeof(*out));
}

int build_filter(const struct policy *policy, enum build_action action, struct sock_filter *out,
	struct policy_error *error)
{
	uint32_t refuse = action == BUILD_KILL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_TRAP;
	scmp_filter_ctx ctx = seccomp_init(refuse);
	if (!ctx)
		return complain(error, 1, "seccomp_init", -ENOMEM);
	/* Another architecture's entry, x32 included, would give the numbers another meaning:
	 * always fatal. */
	int ret = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, refuse);
	if (ret)
		ret = complain(error, 1, "seccomp_attr_set", ret);
	else
		ret = add_rules(ctx, policy, error);
	if (ret == 0) {
		ret = export_program(ctx, out);
		if (ret < 0)
			complain(error, 1, "seccomp_export_bpf", ret);
	}
	seccomp_release(ctx);
	return ret;
}
