/* tests/sanitize/added.c: nothing is taken from a filter, and nothing but policy/sanitizer.policy is added. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "added.h"
#include "bpf_run.h"

enum { CALLS = 500, DRAWS = 60 };

static struct sock_filter insns[BPF_MAXINSNS];
static struct policy_filter out;

static const struct policy_filter *more(const char *name)
{
	const struct policy_filter *f = sanitizer_filters;

	while (strcmp(f->name, name) != 0)
		f++;
	return f;
}

static uint32_t answer(const struct policy_filter *f, int call, const uint64_t args[6])
{
	return bpf_run_call(f->insns, f->count, call, args);
}

Test(added, the_products_instructions_follow_unchanged)
{
	for (const struct policy_filter *own = policy_filters; own->name; own++) {
		unsigned int before = more("sanitizer")->count;

		cr_assert(added_before(own, "sanitizer", insns, &out));
		cr_expect_eq(out.count, before + own->count);
		cr_expect_arr_eq(insns + before, own->insns, own->count * sizeof(insns[0]));
		cr_expect_neq(out.hash, own->hash);
		cr_expect_str_eq(out.name, own->name);
	}
}

/* Small numbers, for they are descriptors, flags and protections. */
static void draw(uint64_t args[6], unsigned int *seed)
{
	for (int i = 0; i < 6; i++) {
		*seed = *seed * 1664525 + 1013904223;
		args[i] = *seed >> 30 ? *seed >> 26 : UINT32_MAX;
	}
}

Test(added, each_call_is_allowed_by_one_or_the_other)
{
	unsigned int seed = 1, by_sanitizer = 0, by_product = 0;
	uint64_t args[6];

	for (const struct policy_filter *own = policy_filters; own->name; own++) {
		cr_assert(added_before(own, "sanitizer", insns, &out));
		for (int i = 0; i < CALLS * DRAWS; i++) {
			bool first, second;

			draw(args, &seed);
			first = answer(more("sanitizer"), i % CALLS, args) == SECCOMP_RET_ALLOW;
			second = answer(own, i % CALLS, args) == SECCOMP_RET_ALLOW;
			cr_expect_eq(answer(&out, i % CALLS, args),
				first || second ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS);
			by_sanitizer += first;
			by_product += second;
		}
	}
	cr_expect_gt(by_sanitizer, 1000);
	cr_expect_gt(by_product, 1000);
}

Test(added, only_the_loader_maps_code)
{
	const uint64_t code[6] = {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 3, 0};
	const uint64_t both[6] = {0, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE, 3, 0};

	cr_expect_eq(answer(more("sanitizer"), SYS_mmap, code), SECCOMP_RET_KILL_PROCESS);
	cr_expect_eq(answer(more("loader"), SYS_mmap, code), SECCOMP_RET_ALLOW);
	cr_expect_eq(answer(more("loader"), SYS_mmap, both), SECCOMP_RET_KILL_PROCESS);
}

Test(added, what_does_not_fit_is_refused)
{
	struct policy_filter large = policy_filters[0];

	cr_expect_not(added_before(&large, "stranger", insns, &out));
	large.count = BPF_MAXINSNS;
	cr_expect_not(added_before(&large, "sanitizer", insns, &out));
}
