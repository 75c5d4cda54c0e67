/* A second opinion on a compiled filter: an interpreter for the classic BPF that seccomp filters
 * use. */
#ifndef NATLOCK_TESTS_BPF_RUN_H
#define NATLOCK_TESTS_BPF_RUN_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>

/* What the filter answers for this call: SECCOMP_RET_*. An instruction that it cannot run aborts.
 */
uint32_t bpf_run(
	const struct sock_filter *insns, unsigned int count, const struct seccomp_data *data);
/* The same for a call of the native architecture. */
uint32_t bpf_run_call(
	const struct sock_filter *insns, unsigned int count, int call, const uint64_t args[6]);

#endif
