/* policy/audit/report.c: nothing that a process chose can steer a terminal or leave its JSON string. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "report.h"

static void fill(struct checks *list)
{
	const struct found f = {.pid = 41, .name = "alg"};

	check_found(list, check_add(list, &f, "environment", "empty"), true, "empty");
	check_found(
		list, check_add(list, &f, "descriptor 10", "nothing"), false, "a\033[2J\"b\\c\n");
	check_unknown(list, check_add(list, &f, "filter", "alg"), EPERM);
}

static char *written(void (*write)(FILE *out, const struct checks *list), const struct checks *list)
{
	static char text[4096];
	FILE *out = fmemopen(text, sizeof(text), "w");

	write(out, list);
	fclose(out);
	return text;
}

static void write_json(FILE *out, const struct checks *list)
{
	report_json(out, list, 1354805097557, 3456);
}

static void write_summary(FILE *out, const struct checks *list)
{
	report_summary(out, list, 3456, "/run/user/7/natlock/run-5");
}

Test(report, table)
{
	struct checks list = {0};
	const char *text;

	fill(&list);
	text = written(report_table, &list);
	cr_expect(strstr(text, "PROCESS      PID  CHECK"), "%s", text);
	cr_expect(strstr(text, "a?[2J\"b\\c?"), "%s", text);
	cr_expect(strstr(text, "DRIFT\n") && strstr(text, " ok\n") &&
		  strstr(text, "UNKNOWN (needs root)\n"));
	check_free(&list);
}

Test(report, json)
{
	struct checks list = {0};

	fill(&list);
	cr_expect_str_eq(written(write_json, &list),
		"{\"schema\":\"natlock.policy.audit/"
		"1\",\"time\":\"2012-12-06T14:44:57.557Z\",\"hub\":null,\"items\":["
		"{\"pid\":41,\"process\":\"alg\",\"check\":\"environment\",\"declared\":\"empty\","
		"\"found\":\"empty\",\"result\":\"ok\"},"
		"{\"pid\":41,\"process\":\"alg\",\"check\":\"descriptor "
		"10\",\"declared\":\"nothing\",\"found\":\"a\\u001b[2J\\\"b\\\\c\\u000a\","
		"\"result\":\"drift\"},"
		"{\"pid\":41,\"process\":\"alg\",\"check\":\"filter\",\"declared\":\"alg\","
		"\"found\":\"Operation not permitted\",\"result\":\"unknown\",\"needs\":\"root\"}"
		"],\"count\":3,\"ok\":1,\"drift\":1,\"unknown\":1,\"longest_stop_ns\":3456}\n");
	check_free(&list);
}

Test(report, a_probe_has_no_pid)
{
	const struct found f = {.name = "no filter"};
	struct checks list = {0};
	const char *text;

	check_found(&list, check_add(&list, &f, "probe: openat", "refused"), true, "refused");
	text = written(report_table, &list);
	cr_expect(strstr(text, "no filter        -  probe: openat"), "%s", text);
	text = written(write_json, &list);
	cr_expect(strstr(text, "{\"pid\":null,\"process\":\"no filter\""), "%s", text);
	check_free(&list);
}

Test(report, summary)
{
	struct checks list = {0};

	fill(&list);
	cr_expect_str_eq(written(write_summary, &list),
		"3 checks: 1 ok, 1 drift, 1 unknown. No process stood still for more than 4 us.\n"
		"For the rest: sudo natlockctl --api /run/user/7/natlock/run-5 policy audit\n");
	check_free(&list);
}

/* The path is the supervisor's word, and the line is made to be typed by root. */
Test(report, no_command_is_smuggled_into_the_summary)
{
	struct checks list = {0};
	char text[512];
	FILE *out = fmemopen(text, sizeof(text), "w");

	fill(&list);
	report_summary(out, &list, 0, "/run/x;reboot");
	fclose(out);
	cr_expect_str_eq(text, "3 checks: 1 ok, 1 drift, 1 unknown.\nFor the rest: sudo natlockctl "
			       "policy audit\n");
	check_free(&list);
}

Test(report, the_list_grows)
{
	const struct found f = {.pid = 41, .name = "alg"};
	struct checks list = {0};
	unsigned int i;

	for (i = 0; i < 1000; i++)
		check_found(&list, check_add(&list, &f, "x", "y"), true, "%u", i);
	cr_expect_eq(list.count, 1000);
	cr_expect_str_eq(list.item[999].found, "999");
	cr_expect_eq(list.results[CHECK_OK], 1000);
	check_free(&list);
	cr_expect_eq(list.count, 0);
}
