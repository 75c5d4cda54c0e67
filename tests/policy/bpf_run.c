/*
 * Theory of operation
 *
 * Seccomp programs are loads of 32-bit words of struct seccomp_data, masks, forward jumps and
 * returns. The interpreter knows just these; anything else means that the compiler changed its
 * habits, and somebody should look.
 */
#include "bpf_run.h"

#include <linux/audit.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no audit architecture known for this machine"
#endif

static uint32_t load(const struct seccomp_data *data, uint32_t offset)
{
	uint32_t word;
	if (offset > sizeof(*data) - sizeof(word))
		abort();
	memcpy(&word, (const uint8_t *)data + offset, sizeof(word));
	return word;
}

static bool jump_taken(const struct sock_filter *i, uint32_t a)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ: return a == i->k;
	case BPF_JGT: return a > i->k;
	case BPF_JGE: return a >= i->k;
	case BPF_JSET: return (a & i->k) != 0;
	default: abort();
	}
}

uint32_t bpf_run(
	const struct sock_filter *insns, unsigned int count, const struct seccomp_data *data)
{
	uint32_t a = 0;
	for (unsigned int pc = 0; pc < count; pc++) {
		const struct sock_filter *i = &insns[pc];
		if (i->code == (BPF_LD | BPF_W | BPF_ABS))
			a = load(data, i->k);
		else if (i->code == (BPF_ALU | BPF_AND | BPF_K))
			a &= i->k;
		else if (i->code == (BPF_JMP | BPF_JA))
			pc += i->k;
		else if (BPF_CLASS(i->code) == BPF_JMP && BPF_SRC(i->code) == BPF_K)
			pc += jump_taken(i, a) ? i->jt : i->jf;
		else if (i->code == (BPF_RET | BPF_K))
			return i->k;
		else
			abort();
	}
	abort();
}

uint32_t bpf_run_call(
	const struct sock_filter *insns, unsigned int count, int call, const uint64_t args[6])
{
	struct seccomp_data data = {.nr = call, .arch = NATIVE_ARCH};
	for (unsigned int i = 0; i < 6; i++)
		data.args[i] = args[i];
	return bpf_run(insns, count, &data);
}
