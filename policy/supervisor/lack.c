/*
 * Theory of operation. Nothing is tried here: each lock was put on or was not, and what was not is
 * known by then. Locks that every kernel of our age has (namespaces, seccomp, an empty root, limits,
 * no_new_privs) are not in the list, because a worker without one of them is not started.
 */
#include "lack.h"

#include <stdio.h>
#include <unistd.h>

#include "supervisor.h"

const char *lack_landlock(unsigned int abi, char out[LACK_TEXT])
{
	out[0] = '\0';
	if (abi == 0)
		snprintf(out, LACK_TEXT,
			"workers run without Landlock: this kernel offers none. "
			"Boot with landlock in lsm=");
	else if (abi < LACK_LANDLOCK_TCP)
		snprintf(out, LACK_TEXT,
			"Landlock version %u keeps workers from files, not from TCP (Linux 6.7), "
			"signals and abstract sockets (Linux 6.12): their filters alone do",
			abi);
	else if (abi < LACK_LANDLOCK_SCOPES)
		snprintf(out, LACK_TEXT,
			"Landlock version %u keeps workers from files and TCP, not from signals "
			"and abstract sockets (Linux 6.12): their filters alone do",
			abi);
	return out;
}

/* The least that one of the workers reported. */
static unsigned int landlock_of(const struct supervisor *s)
{
	unsigned int least = UINT32_MAX, h, i;

	for (h = 0; h < s->hubs; h++)
		for (i = 0; i < s->hub[h].workers; i++)
			if (s->hub[h].worker[i].landlock_abi < least)
				least = s->hub[h].worker[i].landlock_abi;
	return least;
}

static void note_landlock(struct supervisor *s)
{
	char text[LACK_TEXT];

	if (!s->config->policy->landlock)
		supervisor_note(s, "workers run without Landlock: policy.landlock is false");
	else if (lack_landlock(landlock_of(s), text)[0])
		supervisor_note(s, "%s", text);
}

static void note_identity(struct supervisor *s)
{
	const struct identity *id = &s->identity;

	if (id->uid == 0)
		supervisor_note(s,
			"natlock goes on as uid 0 of the user namespace that it was started in, "
			"which has no other for it: whatever belongs to that uid is open to the "
			"supervisor. Give that namespace 65536 uids");
	if (!id->has_private)
		supervisor_note(s, "all workers share the uid of %s: %s", id->user,
			id->granted
				? "newuidmap could not map what /etc/subuid grants. Install uidmap"
				: "/etc/subuid and /etc/subgid grant no others. See: natlock "
				  "doctor");
	if (getgroups(0, NULL) > 0)
		supervisor_note(s,
			"all processes keep the supplementary groups of %s: the kernel lets nobody "
			"drop them who has no uids of his own granted",
			id->user);
}

void lack_note(struct supervisor *s)
{
	note_landlock(s);
	note_identity(s);
}
