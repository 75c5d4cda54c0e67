/*
 * Theory of operation.
 *
 *     load, compare ...                  the sanitizer's rules
 *     allow
 *     kill   ──▶ jump to ─┐
 *                         ▼
 *     load, compare ...                  the product's filter, byte for byte
 *     allow
 *     kill
 *
 * Jumps are relative, so neither part notices where it lies.
 */
#include "added.h"

#include <linux/seccomp.h>
#include <string.h>

#include "hash.h"

static const struct policy_filter *find(const char *name)
{
	const struct policy_filter *f = sanitizer_filters;

	while (f->name && strcmp(f->name, name) != 0)
		f++;
	return f->name ? f : NULL;
}

static bool kills(const struct sock_filter *i)
{
	return i->code == (BPF_RET | BPF_K) && i->k == SECCOMP_RET_KILL_PROCESS;
}

bool added_before(const struct policy_filter *own, const char *name, struct sock_filter *insns,
	struct policy_filter *out)
{
	const struct policy_filter *more = find(name);
	const struct hash_key key = {0, 0};

	if (!more || more->count + own->count > BPF_MAXINSNS)
		return false;
	memcpy(insns, more->insns, more->count * sizeof(insns[0]));
	memcpy(insns + more->count, own->insns, own->count * sizeof(insns[0]));
	for (unsigned int i = 0; i < more->count; i++)
		if (kills(&insns[i]))
			insns[i] =
				(struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, more->count - i - 1);
	*out = *own;
	out->insns = insns;
	out->count += more->count;
	out->hash = hash_sip(&key, insns, out->count * sizeof(insns[0]));
	return true;
}
