/*
 * Declared against found: each check is a line. Pure: what was found comes in, lines come out.
 *
 *   compare_process   what can be said of one process alone
 *   compare_crew      what only shows beside the others: uids, namespaces, memory, edges, kin
 */
#ifndef NATLOCK_AUDIT_COMPARE_H
#define NATLOCK_AUDIT_COMPARE_H

#include "../filters.h"
#include "check.h"

/* The gateway as it was found. */
struct compare_crew {
	const struct found *process; /* the supervisor first */
	unsigned int count;
	struct found operator; /* who asks: pid, status and namespaces */
	char socket[112];      /* where the supervisor listens; "" when that is not known */
	bool is_run;	       /* of `natlock run`: a keeper belongs to it */
	int landlock_abi;      /* of this kernel; 0: it has none */
	struct found_pair *pair; /* sorted by inode; peers.h */
	unsigned int pairs;
	int pairs_error;
	struct found_fence fence;
};

/* A worker or the supervisor. `filters` ends with a NULL name (policy_filters). */
void compare_process(struct checks *list, const struct compare_crew *crew, const struct found *f,
	const struct policy_filter *filters);
/* All of them, one after the other and beside each other. */
void compare_all(
	struct checks *list, const struct compare_crew *crew, const struct policy_filter *filters);

/* compare_filter.c: the layers of live filters. */
void compare_layers(
	struct checks *list, const struct found *f, const struct policy_filter *filters);
/* compare_open.c: descriptors and memory. */
void compare_fds(struct checks *list, const struct found *f);
void compare_memory(struct checks *list, const struct compare_crew *crew, const struct found *f);
/* compare_edges.c: whom a worker's channels and doorbells lead to. */
void compare_edges(struct checks *list, const struct compare_crew *crew, const struct found *f);
/* compare_fence.c: what the kernel does with natproxy's packets. */
void compare_fence(struct checks *list, const struct compare_crew *crew);
/* compare_identity.c: users, groups, capabilities, namespaces. */
void compare_identity(struct checks *list, const struct compare_crew *crew, const struct found *f);

/* Whether the supervisor has private uids to give: started by root, or granted in /etc/subuid. */
bool compare_has_private(const struct compare_crew *crew);

#endif
