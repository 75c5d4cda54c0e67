/*
 * Theory of operation. Which configuration the gateway has is not asked, so that there is no
 * fence is no drift: an ordinary user cannot have one. But a supervisor that holds a netfilter
 * socket has raised it; then it must be there, belong to a socket, have all rules that drop, and be
 * around every natproxy.
 */
#include <inttypes.h>

#include "compare.h"
#include "declare.h"

static bool is_around(const struct found_fence *fence, const struct compare_crew *crew)
{
	unsigned int i;

	for (i = 0; i < crew->count; i++) {
		const struct found *f = &crew->process[i];

		if (f->kind == ACTOR_NATPROXY && !f->gone && !f->status_error &&
			(f->status.uid[0] < fence->first_uid || f->status.uid[0] > fence->last_uid))
			return false;
	}
	return true;
}

void compare_fence(struct checks *list, const struct compare_crew *crew)
{
	const struct found *super = &crew->process[0];
	const struct found_fence *fence = &crew->fence;
	struct check *c = check_add(list, super, "fence",
		fence->is_held ? "its own table of nftables, around all natproxies"
			       : "as policy.fence says");

	if (super->fds_error)
		check_unknown(list, c, super->fds_error);
	else if (!fence->is_held)
		check_found(list, c, true, "none: natlockctl status says why");
	else if (fence->error)
		check_unknown(list, c, fence->error);
	else if (!fence->is_there)
		check_found(list, c, false, "no table inet %s", fence->table);
	else
		check_found(list, c,
			fence->is_owned && fence->drops == DECLARE_FENCE_DROPS &&
				is_around(fence, crew),
			"inet %s%s: %u to %u, %u rules that drop, %" PRIu64 " dropped",
			fence->table, fence->is_owned ? "" : " (anybody's)", fence->first_uid,
			fence->last_uid, fence->drops, fence->dropped);
}
