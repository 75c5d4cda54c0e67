/*
 * Theory of operation. One function a check, each of which adds its line. What the kernel would not
 * say is UNKNOWN and never taken for good.
 *
 * Landlock: no kernel shows which process is under it. It is known by its cause: a worker puts it on
 * before its filter and ends if it cannot (ipc/confine.c, ipc/actor.c), so a worker whose code is
 * the installed one and whose filter is on has it. `policy audit --probe` shows what it does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "compare.h"
#include "declare.h"

static bool is_worker(const struct found *f)
{
	return f->kind < FOUND_SUPERVISOR;
}

static void check_locks(struct checks *list, const struct found *f)
{
	static const char *const modes[] = {"none", "strict", "filter"};
	const struct found_status *s = &f->status;
	struct check *c = check_add(list, f, "seccomp", "filter");

	if (s->seccomp < 0 || s->seccomp > 2)
		check_unknown(list, c, EIO);
	else if (s->layers >= 0)
		check_found(list, c, s->seccomp == 2, "%s, %d on top of each other",
			modes[s->seccomp], s->layers);
	else
		check_found(list, c, s->seccomp == 2, "%s", modes[s->seccomp]);
	c = check_add(list, f, "no_new_privs", "set");
	if (s->no_new_privs < 0)
		check_unknown(list, c, EIO);
	else
		check_found(list, c, s->no_new_privs == 1, s->no_new_privs ? "set" : "not set");
	c = check_add(list, f, "threads", "1");
	check_found(list, c, s->threads == 1, "%u", s->threads);
	c = check_add(list, f, "traced by", "nobody");
	check_found(list, c, s->tracer == 0, s->tracer ? "%d" : "nobody", s->tracer);
	if (!is_worker(f))
		return;
	c = check_add(list, f, "pid in its namespace", "1");
	check_found(list, c, s->innermost_pid == 1, "%d", s->innermost_pid);
}

static void check_limit(struct checks *list, const struct found *f, enum found_limit_id id)
{
	const struct found_limit *l = &f->limit[id];
	uint64_t most = id == FOUND_NOFILE ? declare_nofile((enum actor_id)f->kind) : 0;
	char what[CHECK_WHAT], declared[CHECK_TEXT];
	struct check *c;

	snprintf(what, sizeof(what), "limit: %s", found_limit_names[id]);
	snprintf(declared, sizeof(declared), most ? "%" PRIu64 " at most" : "%" PRIu64, most);
	c = check_add(list, f, what, declared);
	if (f->limits_error || !l->known)
		check_unknown(list, c, f->limits_error ? f->limits_error : EIO);
	else if (l->soft == l->hard && l->hard != UINT64_MAX)
		check_found(list, c, l->hard <= most, "%" PRIu64, l->hard);
	else
		check_found(list, c, l->soft <= most && l->hard <= most,
			l->hard == UINT64_MAX ? "%" PRIu64 ", may be raised without end"
					      : "%" PRIu64 ", may be raised to %" PRIu64,
			l->soft, l->hard);
}

static void check_root(struct checks *list, const struct found *f)
{
	const struct found_root *r = &f->root;
	struct check *c = check_add(list, f, "root", "one tmpfs: ro, nosuid, nodev, noexec");
	bool right = r->mounts == 1 && r->is_root && strcmp(r->type, "tmpfs") == 0 &&
		     r->read_only && r->nosuid && r->nodev && r->noexec;

	if (f->root_error)
		check_unknown(list, c, f->root_error);
	else if (r->mounts != 1)
		check_found(list, c, false, "%u mounts", r->mounts);
	else
		check_found(list, c, right, "%s: %s%s%s%s", r->type, r->read_only ? "ro" : "rw",
			r->nosuid ? ", nosuid" : "", r->nodev ? ", nodev" : "",
			r->noexec ? ", noexec" : "");
	c = check_add(list, f, "files in its root", "none, and it is where it stands");
	if (f->root_listed_error)
		check_unknown(list, c, f->root_listed_error);
	else
		check_found(list, c, f->root_is_empty && f->cwd_is_root, "%s%s",
			f->root_is_empty ? "none" : "some",
			f->cwd_is_root ? "" : "; it stands elsewhere");
}

static void check_flag(struct checks *list, const struct found *f, const char *what,
	const char *declared, int error, bool right, const char *found)
{
	struct check *c = check_add(list, f, what, declared);

	if (error)
		check_unknown(list, c, error);
	else
		check_found(list, c, right, "%s", found);
}

static void check_environment(struct checks *list, const struct found *f)
{
	struct check *c = check_add(list, f, "environment", "empty");

	if (f->environment_error)
		check_unknown(list, c, f->environment_error);
	else
		check_found(list, c, f->environment_bytes == 0,
			f->environment_bytes ? "%" PRIu64 " bytes" : "empty", f->environment_bytes);
}

/* See the top. */
static void check_landlock(
	struct checks *list, const struct compare_crew *crew, const struct found *f)
{
	struct check *c = check_add(list, f, "landlock",
		f->kind == ACTOR_NATPROXY ? "files, and sockets and signals of others"
					  : "files, TCP, and sockets and signals of others");

	if (crew->landlock_abi == 0)
		check_unknown(list, c, EOPNOTSUPP);
	else if (f->code_error)
		check_unknown(list, c, f->code_error);
	else if (!f->is_installed_code || f->status.seccomp != 2)
		check_found(list, c, false,
			f->is_installed_code
				? "its code never came so far"
				: "nothing says so: other code runs than is installed");
	else
		check_found(list, c, true, "ABI %d: its code puts it on before the filter",
			crew->landlock_abi);
}

static void compare_worker(
	struct checks *list, const struct compare_crew *crew, const struct found *f)
{
	unsigned int i;

	for (i = 0; i < FOUND_LIMITS; i++)
		check_limit(list, f, (enum found_limit_id)i);
	check_root(list, f);
	check_environment(list, f);
	compare_edges(list, crew, f);
	check_flag(list, f, "code", "the installed file's, byte for byte", f->code_error,
		f->is_installed_code, f->is_installed_code ? "the same" : "another");
	check_landlock(list, crew, f);
}

void compare_process(struct checks *list, const struct compare_crew *crew, const struct found *f,
	const struct policy_filter *filters)
{
	if (f->gone || f->status_error) {
		check_unknown(list, check_add(list, f, "process", "alive"),
			f->gone ? ESRCH : f->status_error);
		return;
	}
	check_flag(
		list, f, "file", "the installed one", f->file_error, f->is_installed_file, f->file);
	compare_layers(list, f, filters);
	check_locks(list, f);
	compare_identity(list, crew, f);
	compare_fds(list, f);
	compare_memory(list, crew, f);
	check_flag(list, f, "dumpable", "no", f->dumpable_error, !f->is_dumpable,
		f->is_dumpable ? "yes" : "no");
	if (is_worker(f))
		compare_worker(list, crew, f);
}

/* The keeper of `natlock run` lives with the user's program, outside the gateway's namespace. */
static bool is_keeper(const struct compare_crew *crew, const struct found *f, unsigned int keepers)
{
	const struct found *super = &crew->process[0];

	return f->kind == FOUND_KEEPER && crew->is_run && keepers == 0 &&
	       (f->namespace_error[FOUND_USER] || super->namespace_error[FOUND_USER] ||
		       f->namespace_inode[FOUND_USER] != super->namespace_inode[FOUND_USER]);
}

/* Nobody belongs to the gateway whom natlock does not know, and workers have no children. */
static void compare_kin(struct checks *list, const struct compare_crew *crew)
{
	unsigned int i, strangers = 0, keepers = 0;
	struct check *c;

	for (i = 1; i < crew->count; i++) {
		const struct found *f = &crew->process[i];

		if (f->kind < FOUND_SUPERVISOR)
			continue;
		if (is_keeper(crew, f, keepers)) {
			keepers++;
			continue;
		}
		strangers++;
		c = check_add(list, f, "process", "a worker, a child of the supervisor");
		check_found(list, c, false, "child of %d: %s", f->status.parent, f->file);
	}
	c = check_add(list, &crew->process[0], "processes",
		crew->is_run ? "supervisor, workers, the program's keeper"
			     : "supervisor and workers");
	if (crew->count == 1) /* a /proc that hides others (hidepid), or a gateway that is ending */
		check_unknown(list, c, EACCES);
	else
		check_found(
			list, c, strangers == 0, "%u, %u of them unknown", crew->count, strangers);
}

void compare_all(
	struct checks *list, const struct compare_crew *crew, const struct policy_filter *filters)
{
	unsigned int i;

	compare_kin(list, crew);
	compare_fence(list, crew);
	for (i = 0; i < crew->count; i++)
		if (crew->process[i].kind <= FOUND_SUPERVISOR)
			compare_process(list, crew, &crew->process[i], filters);
}
