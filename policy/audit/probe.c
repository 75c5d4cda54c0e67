/*
 * Theory of operation. A live worker is not asked to break its rules: that would end it, and guests
 * would notice. A sacrifice takes its place (sacrifice.h), three times:
 *
 *     broker ... alg   locked as that worker: the filter kills whatever is not its job
 *     no filter        the same without a filter: what namespaces, the empty root, capabilities and
 *                      limits hold by themselves
 *     landlock alone   nothing but Landlock, over the host's files: what it refuses by itself, which
 *                      no kernel shows of a live process
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "declare.h"
#include "probe.h"
#include "sacrifice.h"

/* Whether Landlock is what stops a call: it names a path that the rest of the system has. */
static bool is_landlocks(const struct probe *probe)
{
	static const int calls[] = {SYS_openat, SYS_openat2, SYS_mkdirat, SYS_symlinkat,
		SYS_unlinkat, SYS_renameat2, SYS_execve, SYS_execveat};
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i] == probe->call && probe->outside == SUCCEEDED)
			return true;
	return false;
}

/* Beside the auditor, whose own path this process has. */
static int open_intruder(void)
{
	char path[512];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("/natlock-probe"));
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return -1;
	strcpy(slash, "/natlock-probe");
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void probe_one(struct checks *list, const struct sacrifice_tools *tools,
	const struct sacrifice *s, unsigned int index, enum outcome expected)
{
	static const char *const words[] = {[KILLED] = "killed by the filter",
		[DEAD] = "dead",
		[REFUSED] = "refused",
		[SUCCEEDED] = "works: its job",
		[ANYTHING] = "not judged"};
	static struct found f; /* stands for the place; too large for a stack */
	int status = sacrifice_make(tools, s, index);
	char what[CHECK_WHAT], text[80];
	struct check *c;

	snprintf(f.name, sizeof(f.name), "%s", s->name);
	snprintf(what, sizeof(what), "probe: %s", probes[index].name);
	c = check_add(list, &f, what, words[expected]);
	if (status < 0 || !sacrifice_reached(status)) /* no such place can be made here */
		check_unknown(list, c, status < 0 ? -status : ECANCELED);
	else
		check_found(list, c, sacrifice_matches(status, expected), "%s",
			sacrifice_describe(status, text, sizeof(text)));
}

static const struct policy_filter *filter_of(const char *name)
{
	const struct policy_filter *f = policy_filters;

	while (f->name && strcmp(f->name, name) != 0)
		f++;
	return f->name ? f : NULL;
}

static void probe_places(struct checks *list, const struct sacrifice_tools *tools)
{
	unsigned int kind, i;

	for (kind = 0; kind < ACTOR_COUNT; kind++) {
		const struct sacrifice s = {.name = declare_name(kind),
			.filter = filter_of(declare_name(kind)),
			.natproxy = kind == ACTOR_NATPROXY};

		for (i = 0; i < probe_count && s.filter; i++)
			probe_one(list, tools, &s, i, sacrifice_expected(&s, &probes[i]));
	}
}

void probe_all(struct checks *list, int landlock_abi)
{
	const struct sacrifice bare = {.name = "no filter"},
			       landlock = {.name = "landlock alone", .landlock_alone = true};
	const struct sacrifice_tools tools = {
		open_intruder(), open("/dev/null", O_RDWR | O_CLOEXEC)};
	static struct found f = {.name = "probes"};
	unsigned int i;

	if (tools.intruder_fd < 0 || tools.null_fd < 0) {
		check_unknown(list, check_add(list, &f, "natlock-probe", "installed"), errno);
		return;
	}
	probe_places(list, &tools);
	for (i = 0; i < probe_count; i++)
		if (probes[i].unfiltered == REFUSED)
			probe_one(list, &tools, &bare, i, REFUSED);
	for (i = 0; i < probe_count && landlock_abi > 0; i++)
		if (is_landlocks(&probes[i]))
			probe_one(list, &tools, &landlock, i, REFUSED);
	close(tools.intruder_fd);
	close(tools.null_fd);
}
