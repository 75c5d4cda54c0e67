/*
 * Theory of operation
 *
 * libseccomp compares each argument once a rule, and compares all 64 bits. Both are wrong for
 * descriptors: a range needs two bounds, and the kernel reads an int, so what the upper half of the
 * register holds must neither open nor close a door. Everything is therefore said with masked
 * equality, (argument & mask) == datum:
 *
 *     exact value V        mask = width,                  datum = V
 *     subset of bits B     mask = width & ~B,             datum = 0
 *     range 16..79         aligned blocks 16-31, 32-63, 64-79: mask = width & ~(size - 1), datum =
 * start
 *
 * where width is 0xffffffff for an int. Blocks are exact at both ends, so (unsigned)-1 is in none
 * of them. A rule whose conditions hold several alternatives becomes one libseccomp rule for each
 * combination.
 */
#include "build.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_BLOCKS = 512 };

struct alternatives {
	unsigned int count;
	struct scmp_arg_cmp compare[MAX_BLOCKS];
};

static int complain(struct policy_error *error, unsigned int line, const char *what, int ret)
{
	error->line = line;
	error->column = 1;
	snprintf(error->cause, sizeof(error->cause), "%s: %s", what, strerror(-ret));
	snprintf(error->fix, sizeof(error->fix), "see build_filter in policy/build.c");
	return ret;
}

static bool add_masked(struct alternatives *a, unsigned int index, uint64_t mask, uint64_t datum)
{
	if (a->count == MAX_BLOCKS)
		return false;
	a->compare[a->count++] = SCMP_CMP64(index, SCMP_CMP_MASKED_EQ, mask, datum);
	return true;
}

/* Covers first..last by naturally aligned power-of-two blocks, largest possible first. */
static bool add_range(
	struct alternatives *a, const struct words_argument *arg, struct policy_range r)
{
	uint64_t width = arg->bits == 64 ? UINT64_MAX : UINT32_MAX;
	for (uint64_t start = r.first;;) {
		uint64_t size = 1;
		while (size < UINT64_C(1) << 31 && (start & (size * 2 - 1)) == 0 &&
			r.last - start >= size * 2 - 1)
			size *= 2;
		if (!add_masked(a, arg->index, width & ~(size - 1), start))
			return false;
		if (r.last - start < size)
			return true;
		start += size;
	}
}

static bool alternatives_of(const struct policy_condition *c, struct alternatives *out)
{
	out->count = 0;
	if (c->subset)
		return add_masked(out, c->argument.index, c->forbidden_bits, 0);
	for (unsigned int i = 0; i < c->ranges; i++)
		if (!add_range(out, &c->argument, c->range[i]))
			return false;
	return true;
}

/* Adds every combination of the conditions from `next` on; chosen[] holds one comparison for each
 * before it. */
static int add_combinations(scmp_filter_ctx ctx, const struct policy_rule *rule, int call,
	unsigned int next, struct scmp_arg_cmp chosen[WORDS_ARGUMENTS])
{
	struct alternatives alternatives;
	if (next == rule->conditions)
		return seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, call, next, chosen);
	if (!alternatives_of(&rule->condition[next], &alternatives))
		return -E2BIG;
	for (unsigned int i = 0; i < alternatives.count; i++) {
		chosen[next] = alternatives.compare[i];
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
