#include "snapshot.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors.h"
#include "cable.h"
#include "clock.h"
#include "gateway.h"
#include "guest.h"
#include "port_sim.h"

enum { LINE_BYTES = 256 };

enum column {
	BROKER_TO_NETSTACK,
	NETSTACK_TO_BROKER,
	NETSTACK_TO_NATPROXY,
	NATPROXY_TO_NETSTACK,
	BELLS,
	SEGMENTS_IN,
	SEGMENTS_OUT,
	RETRANSMITS,
	TIMEOUTS,
	GUEST_RESENT,
	DROPS,
	VIRTUAL_MS,
	COLUMNS
};

static uint64_t start[COLUMNS];

static void count(uint64_t now[COLUMNS])
{
	const struct link *b = nodes[ACTOR_BROKER].actor.links[0];
	const struct link *s = nodes[ACTOR_NETSTACK].actor.link;
	const struct link *p = &nodes[ACTOR_NATPROXY].actor.link[0];
	struct look l = {0};
	netstack_look(nodes[ACTOR_NETSTACK].actor.self, &l);
	now[BROKER_TO_NETSTACK] = b->sent;
	now[NETSTACK_TO_BROKER] = s[0].sent;
	now[NETSTACK_TO_NATPROXY] = s[1].sent;
	now[NATPROXY_TO_NETSTACK] = p->sent;
	now[BELLS] = b->rings + s[0].rings + s[1].rings + p->rings;
	now[SEGMENTS_IN] = l.segments_in;
	now[SEGMENTS_OUT] = l.segments_out;
	now[RETRANSMITS] = l.retransmits;
	now[TIMEOUTS] = l.timeouts;
	now[GUEST_RESENT] = 0;
	for (int i = 0; i < GUEST_CONNS; i++)
		now[GUEST_RESENT] += guest.conn[i].segments_resent;
	now[DROPS] = gateway_drops_all() + port_sim_overruns();
	now[VIRTUAL_MS] = clock_ns() / MS;
}

void snapshot_begin(void)
{
	count(start);
}

static void append(const char *path, const char *line)
{
	FILE *f = fopen(path, "a");
	cr_assert(f, "cannot write %s", path);
	if (ftell(f) == 0)
		fputs("# Made by tests/sim (snapshot.h says how). scenario: b>s s>b s>p p>s bells "
		      "| segments in out resent timeouts | guest "
		      "resent | drops | virtual ms\n",
			f);
	fputs(line, f);
	fclose(f);
}

static void compare(const char *scenario, const char *line)
{
	char found[LINE_BYTES], prefix[LINE_BYTES];
	FILE *f = fopen(SNAPSHOT_FILE, "r");
	cr_assert(f, "cannot read %s", SNAPSHOT_FILE);
	snprintf(prefix, sizeof(prefix), "%s: ", scenario);
	while (fgets(found, sizeof(found), f))
		if (!strncmp(found, prefix, strlen(prefix)))
			break;
	if (feof(f))
		strcpy(found, "nothing\n");
	fclose(f);
	cr_expect(!strcmp(found, line), "the snapshot has  %sthis run is      %s", found, line);
}

void snapshot_end(const char *scenario)
{
	const char *path = getenv("NATLOCK_SIM_SNAPSHOT");
	char line[LINE_BYTES];
	uint64_t n[COLUMNS];
	count(n);
	for (int i = 0; i < COLUMNS; i++)
		n[i] -= start[i];
	snprintf(line, sizeof(line),
		"%s: %lu %lu %lu %lu %lu | %lu %lu %lu %lu | %lu | %lu | %lu\n", scenario,
		n[BROKER_TO_NETSTACK], n[NETSTACK_TO_BROKER], n[NETSTACK_TO_NATPROXY],
		n[NATPROXY_TO_NETSTACK], n[BELLS], n[SEGMENTS_IN], n[SEGMENTS_OUT], n[RETRANSMITS],
		n[TIMEOUTS], n[GUEST_RESENT], n[DROPS], n[VIRTUAL_MS]);
	if (path && *path)
		append(path, line);
	else if (actors_data_path() == DATA_PATH_SHARED)
		compare(scenario, line);
}
