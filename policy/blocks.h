/*
 * A condition as a filter compares it: masked equalities, (argument & mask) == datum, one of which
 * must hold. Pure. For libseccomp (build.c) and for others that speak its language (audit/export.c).
 */
#ifndef NATLOCK_POLICY_BLOCKS_H
#define NATLOCK_POLICY_BLOCKS_H

#include "parse.h"

enum { BLOCKS_MAX = 512 };

struct blocks {
	unsigned int count;
	struct block {
		uint64_t mask, datum;
	} block[BLOCKS_MAX];
};

/* All alternatives of a condition. false: more than BLOCKS_MAX. */
bool blocks_of(const struct policy_condition *c, struct blocks *out);

#endif
