/* A policy as its reader sees it: `natlockctl policy show`, and the comments of the generated
 * filters. Pure. */
#ifndef NATLOCK_POLICY_LISTING_H
#define NATLOCK_POLICY_LISTING_H

#include <stddef.h>

#include "parse.h"

enum { LISTING_BYTES = 65536 };

/*
 * Writes the whole listing to out (NUL-terminated, at most cap bytes). insns is the size of the
 * compiled program. Returns 0, or -ENOSPC when cap is too small.
 */
int listing_write(const struct policy *policy, unsigned int insns, char *out, size_t cap);

#endif
