/*
 * Theory of operation. Who a process is to the kernel. Ids are compared as the auditor sees them;
 * "own" namespaces must differ from the operator's, the supervisor's and every other worker's.
 *
 * A supervisor with private uids (started by root, or with a grant in /etc/subuid) gives each worker
 * another one. Without, all are the user who started it: that is what a user may have.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "compare.h"
#include "declare.h"

bool compare_has_private(const struct compare_crew *crew)
{
	const struct found_ids *map = &crew->process[0].uid_map;

	return crew->process[0].uid_map_error == 0 && map->lines == 2 &&
	       map->line[1].count >= DECLARE_PRIVATE;
}

/* Which other process has this uid, NULL if none. More than DECLARE_PRIVATE workers have to share. */
static const struct found *same_uid(const struct compare_crew *crew, const struct found *f)
{
	unsigned int i;

	for (i = 0; i < crew->count; i++)
		if (&crew->process[i] != f && crew->process[i].status_error == 0 &&
			crew->process[i].status.uid[0] == f->status.uid[0] &&
			crew->process[i].kind <= FOUND_SUPERVISOR &&
			(i == 0 || crew->count <= 1 + DECLARE_PRIVATE))
			return &crew->process[i];
	return NULL;
}

static bool all_equal(const uint32_t id[4])
{
	return id[0] == id[1] && id[0] == id[2] && id[0] == id[3];
}

static void check_uid(struct checks *list, const struct compare_crew *crew, const struct found *f)
{
	const uint32_t *uid = f->status.uid;
	bool own = f->kind != FOUND_SUPERVISOR && compare_has_private(crew);
	const struct found *other = own ? same_uid(crew, f) : NULL;
	struct check *c = check_add(list, f, "uid",
		own ? "not 0, and nobody else's" : "not 0: the account natlock runs under");

	if (!all_equal(uid) || uid[0] == 0)
		check_found(list, c, false, "%u real, %u effective, %u saved, %u for files", uid[0],
			uid[1], uid[2], uid[3]);
	else if (other)
		check_found(list, c, false, "%u, as %s (%d)", uid[0], other->name, other->pid);
	else if (f->kind != FOUND_SUPERVISOR && !own && uid[0] != crew->process[0].status.uid[0])
		check_found(list, c, false, "%u, not the supervisor's", uid[0]);
	else
		check_found(list, c, true, "%u", uid[0]);
}

static void check_gid(struct checks *list, const struct compare_crew *crew, const struct found *f)
{
	const uint32_t *gid = f->status.gid;
	bool droppable = compare_has_private(crew);
	struct check *c = check_add(list, f, "gid", "one, not 0");

	check_found(list, c, all_equal(gid) && (gid[0] != 0 || !droppable),
		all_equal(gid) ? "%u" : "%u real, %u effective, %u saved, %u for files", gid[0],
		gid[1], gid[2], gid[3]);
	c = check_add(list, f, "groups",
		droppable ? "none" : "none but the user's, which a user can't give up");
	check_found(list, c, f->status.groups == 0 || !droppable, "%u", f->status.groups);
}

static void check_uid_map(struct checks *list, const struct found *f)
{
	struct check *c = check_add(list, f, "ids in its namespace", "1 alone");
	const struct found_id_line *l = &f->uid_map.line[0];

	if (f->uid_map_error)
		check_unknown(list, c, f->uid_map_error);
	else if (f->uid_map.lines != 1)
		check_found(list, c, false, "%u ranges", f->uid_map.lines);
	else
		check_found(list, c,
			l->count == 1 && l->inside == DECLARE_INSIDE &&
				l->outside == f->status.uid[0],
			l->count == 1 ? "%u, which is %u outside" : "%u on, which is %u outside",
			l->inside, l->outside);
}

static void check_capabilities(
	struct checks *list, const struct compare_crew *crew, const struct found *f)
{
	const uint64_t *cap = f->status.capabilities;
	uint64_t held = f->kind == FOUND_SUPERVISOR
				? declare_supervisor_capabilities(compare_has_private(crew))
				: 0;
	bool right = cap[FOUND_INHERITABLE] == 0 && cap[FOUND_AMBIENT] == 0 &&
		     cap[FOUND_PERMITTED] == held && cap[FOUND_EFFECTIVE] == held &&
		     cap[FOUND_BOUNDING] == held;
	char declared[CHECK_TEXT] = "none in any of the five sets";

	if (held)
		snprintf(declared, sizeof(declared),
			"%" PRIx64 " in its own user namespace, none outside", held);
	check_found(list, check_add(list, f, "capabilities", declared), right,
		"inherited %" PRIx64 " permitted %" PRIx64 " effective %" PRIx64
		" bounding %" PRIx64 " ambient %" PRIx64,
		cap[FOUND_INHERITABLE], cap[FOUND_PERMITTED], cap[FOUND_EFFECTIVE],
		cap[FOUND_BOUNDING], cap[FOUND_AMBIENT]);
}

/* Who else is in a namespace that is to be f's alone; NULL: nobody of those that are known. */
static const struct found *inmate(
	const struct compare_crew *crew, const struct found *f, enum found_namespace ns)
{
	unsigned int i;

	if (crew->operator.namespace_error[ns] == 0 && crew->operator.namespace_inode[ns] ==
		f->namespace_inode[ns])
		return &crew->operator;
	for (i = 0; i < crew->count; i++)
		if (&crew->process[i] != f && crew->process[i].namespace_error[ns] == 0 &&
			crew->process[i].namespace_inode[ns] == f->namespace_inode[ns])
			return &crew->process[i];
	return NULL;
}

static void check_own(struct checks *list, const struct compare_crew *crew, const struct found *f,
	enum found_namespace ns, struct check *c)
{
	const struct found *other = inmate(crew, f, ns);

	if (other)
		check_found(list, c, false, "shared with %s (%d)", other->name, other->pid);
	else
		check_found(list, c, true, "%" PRIu64, f->namespace_inode[ns]);
}

static void check_namespace(struct checks *list, const struct compare_crew *crew,
	const struct found *f, enum found_namespace ns)
{
	bool own = f->kind == FOUND_SUPERVISOR ? ns == FOUND_USER
					       : declare_own_namespace((enum actor_id)f->kind, ns);
	const struct found *super = &crew->process[0];
	char what[CHECK_WHAT];
	struct check *c;

	if (f->kind == FOUND_SUPERVISOR && !own)
		return; /* it lives where it was started */
	snprintf(what, sizeof(what), "%s namespace", found_namespace_names[ns]);
	c = check_add(
		list, f, what, own ? "its own" : "the supervisor's: it owns the host's sockets");
	if (f->namespace_error[ns])
		check_unknown(list, c, f->namespace_error[ns]);
	else if (own)
		check_own(list, crew, f, ns, c);
	else if (super->namespace_error[ns])
		check_unknown(list, c, super->namespace_error[ns]);
	else
		check_found(list, c, super->namespace_inode[ns] == f->namespace_inode[ns],
			"%" PRIu64, f->namespace_inode[ns]);
}

void compare_identity(struct checks *list, const struct compare_crew *crew, const struct found *f)
{
	unsigned int ns;

	check_uid(list, crew, f);
	check_gid(list, crew, f);
	if (f->kind != FOUND_SUPERVISOR)
		check_uid_map(list, f);
	check_capabilities(list, crew, f);
	for (ns = 0; ns < FOUND_NAMESPACES; ns++)
		check_namespace(list, crew, f, (enum found_namespace)ns);
}
