/* metrics.c: Prometheus' text, whatever the rows hold. */
#include <criterion/criterion.h>

#include "metrics.h"
#include "rig.h"

Test(metrics, a_gateway)
{
	char reason[] = "MAC_SPOOF", process[] = "bro\"k\ner\\";
	Nl__DropRow drop = NL__DROP_ROW__INIT;
	ProtobufCMessage *status[1], *processes[1], *hubs[1], *drops[] = {&drop.base};
	struct metrics_table tables[4] = {
		{NL__TOPIC__STATUS, NULL, {&nl__status_row__descriptor, status, 1, 1}},
		{NL__TOPIC__PROCESSES, NULL, {&nl__process_row__descriptor, processes, 1, 1}},
		{NL__TOPIC__HUBS, NULL, {&nl__hub_row__descriptor, hubs, 1, 1}},
		{NL__TOPIC__DROPS, "lab", {&nl__drop_row__descriptor, drops, 1, 1}},
	};
	struct capture c;
	struct sample s;
	char *text;

	sample_status(&s);
	status[0] = &s.status.base;
	processes[0] = &s.process.base;
	hubs[0] = &s.hub.base;
	drop.process = process;
	drop.reason = reason;
	drop.has_count = 1;
	drop.count = 7;
	capture_open(&c);
	metrics_print(c.file, tables, 4);
	text = capture_close(&c);
	cr_expect_not_null(strstr(text, "# TYPE natlock_uptime_seconds gauge\n"
					"natlock_uptime_seconds{version=\"0.1.0\"} 7860.000\n"));
	cr_expect_not_null(
		strstr(text, "natlock_process_restarts_total{hub=\"\",process=\"broker\"} 0\n"));
	cr_expect_not_null(strstr(text, "# TYPE natlock_sessions gauge\n"
					"natlock_sessions{hub=\"default\",proto=\"tcp\"} 41\n"
					"natlock_sessions{hub=\"default\",proto=\"udp\"} 12\n"));
	cr_expect_not_null(strstr(text, "natlock_leases{hub=\"default\"} 3\n"));
	cr_expect_not_null(strstr(text, "natlock_drops_total{hub=\"lab\",process=\"bro\\\"k?"
					"er\\\\\",reason=\"MAC_SPOOF\"} 7\n"),
		"%s", text);
	free(text);
}

/* A family has its TYPE once, and its samples behind it: else Prometheus refuses the whole page. */
Test(metrics, each_family_once)
{
	struct capture c;
	char *text, *save;
	char seen[64][64];
	size_t count = 0;

	capture_open(&c);
	metrics_print(c.file, NULL, 0);
	text = capture_close(&c);
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save)) {
		char name[64];

		if (sscanf(line, "# TYPE %63s", name) != 1)
			continue;
		for (size_t i = 0; i < count; i++)
			cr_expect_str_neq(seen[i], name);
		cr_assert_lt(count, sizeof(seen) / sizeof(seen[0]));
		strcpy(seen[count++], name);
	}
	cr_expect_gt(count, 10);
	free(text);
}
