/* render.c: CSV, JSON, wide tables, hostile rows. */
#include <criterion/criterion.h>

#include "rig.h"

static char *rendered(
	enum format format, const ProtobufCMessage *const *rows, size_t count, const char *words)
{
	struct rows list = {.row = (ProtobufCMessage **)(uintptr_t)rows, .count = count};
	const struct verb *verb;
	const char *typed[2], *meant;
	struct capture out, summary;
	struct render r;
	char copy[32], *save;
	size_t used;

	snprintf(copy, sizeof(copy), "%s", words);
	typed[0] = strtok_r(copy, " ", &save);
	typed[1] = strtok_r(NULL, " ", &save);
	verb = verb_find(typed, typed[1] != NULL ? 2 : 1, &used, &meant);
	cr_assert_not_null(verb);
	list.type = rows_type(verb->topic);
	capture_open(&out);
	capture_open(&summary);
	r = (struct render){out.file, summary.file, format, "default", 1354805092557};
	if (verb->kind == VERB_RECORD)
		render_records(&r, verb, &list);
	else
		render_rows(&r, verb, &list);
	free(capture_close(&summary));
	return capture_close(&out);
}

Test(render, csv)
{
	struct sample s;
	char *text;

	sample_nat(&s);
	text = rendered(FORMAT_CSV, (const ProtobufCMessage *[]){&s.nat[0].base}, 1, "nat table");
	cr_expect_str_eq(text, "id,proto,source,destination,outside,state,created_ms,idle_ms,rx_"
			       "bytes,tx_bytes,alg,process,host,spi\r\n"
			       "3,\"tcp\",192.168.30.10:59564,10.99.0.1:8080,10.99.0.2:41022,"
			       "\"RUNNING\",10898000,12000,1258291,49152,\"\",\"\",\"\",\"\"\r\n");
	free(text);
}

Test(render, json)
{
	struct sample s;
	char *text;

	sample_nat(&s);
	text = rendered(FORMAT_JSON, (const ProtobufCMessage *[]){&s.nat[0].base}, 1, "nat table");
	cr_expect_str_eq(text,
		"{\"schema\":\"natlock.nat.table/"
		"1\",\"time\":\"2012-12-06T14:44:52.557Z\",\"hub\":\"default\",\"items\":[\n"
		"{\"id\":3,\"proto\":\"tcp\",\"source\":\"192.168.30.10:59564\",\"destination\":"
		"\"10.99.0.1:8080\","
		"\"outside\":\"10.99.0.2:41022\",\"state\":\"RUNNING\",\"created_ms\":10898000,"
		"\"created\":\"1970-01-01T03:01:38.000Z\",\"idle_ms\":12000,\"rx_bytes\":1258291,"
		"\"tx_bytes\":49152,\"alg\":null,\"process\":null,\"host\":null,\"spi\":null}],"
		"\"count\":1}\n");
	free(text);
	text = rendered(FORMAT_JSON, NULL, 0, "dhcp table");
	cr_expect_not_null(strstr(text, "\"items\":[],\"count\":0}\n"));
	free(text);
}

Test(render, an_empty_table_has_its_titles)
{
	char *text = rendered(FORMAT_TABLE, NULL, 0, "dhcp table");

	cr_expect_str_eq(text, "ID  ADDRESS  MAC  HOST NAME  STATE  CREATED  EXPIRES\n");
	free(text);
}

Test(render, a_column_that_nobody_fills_is_not_there)
{
	struct sample s;
	char *text;

	sample_nat(&s);
	text = rendered(FORMAT_TABLE, (const ProtobufCMessage *[]){&s.nat[0].base, &s.nat[1].base},
		2, "nat table");
	cr_expect_null(strstr(text, "SPI"));
	free(text);
	s.nat[1].spi = (char *)"0xc0ffee01/0x5eed0002";
	text = rendered(FORMAT_TABLE, (const ProtobufCMessage *[]){&s.nat[0].base, &s.nat[1].base},
		2, "nat table");
	cr_expect_not_null(strstr(text, "OUTSIDE          SPI                    STATE"));
	cr_expect_not_null(strstr(text, "41022  -                      RUNNING"));
	cr_expect_not_null(strstr(text, "  0xc0ffee01/0x5eed0002  RUNNING"));
	free(text);
}

/* A guest chooses its host name. Nothing of it may reach a terminal, break a line, a column or a
 * formula cell. */
Test(render, hostile_host_names)
{
	static char names[][40] = {"\x1b[2J\x1b]0;owned\x07", "a\nb\r\n", "=cmd|'/c calc'!A1",
		"x\",\"y", "\xff\xfe\xc3"};
	static const enum format formats[] = {
		FORMAT_TABLE, FORMAT_WIDE, FORMAT_JSON, FORMAT_JSONL, FORMAT_CSV};

	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
			Nl__DhcpRow row = NL__DHCP_ROW__INIT;
			char *text;

			row.host_name = names[n];
			text = rendered(formats[f], (const ProtobufCMessage *[]){&row.base}, 1,
				"dhcp table");
			for (const char *c = text; *c != '\0'; c++)
				cr_expect((*c >= 0x20 && *c < 0x7f) || *c == '\n' || *c == '\r');
			if (formats[f] == FORMAT_CSV)
				cr_expect_null(strstr(text, ",\"="));
			free(text);
		}
	}
}

Test(render, wide_shows_more)
{
	Nl__DropRow row = NL__DROP_ROW__INIT;
	char reason[] = "MAC_SPOOF",
	     meaning[] = "source MAC is the gateway's, multicast, zero, or lives on another port";
	char *text;

	row.reason = reason;
	row.meaning = meaning;
	text = rendered(FORMAT_TABLE, (const ProtobufCMessage *[]){&row.base}, 1, "drops");
	cr_expect_null(strstr(text, "MEANING"));
	free(text);
	text = rendered(FORMAT_WIDE, (const ProtobufCMessage *[]){&row.base}, 1, "drops");
	cr_expect_str_eq(text, "PROCESS  REASON     COUNT  MEANING\n"
			       "-        MAC_SPOOF  -      source MAC is the gateway's, multicast, "
			       "zero, or lives on another port\n");
	free(text);
}

Test(render, notes_become_one_cell)
{
	char one[] = "a", two[] = "b\"c", *notes[] = {one, two}, *text;
	Nl__StatusRow row = NL__STATUS_ROW__INIT;

	row.n_notes = 2;
	row.notes = notes;
	text = rendered(FORMAT_CSV, (const ProtobufCMessage *[]){&row.base}, 1, "status");
	cr_expect_str_eq(text, "version,uptime_ms,config,health,notes,fence\r\n"
			       "\"\",,\"\",\"\",\"a; b\"\"c\",\"\"\r\n");
	free(text);
}

Test(render, records_have_a_line_a_field)
{
	struct sample s;
	char *text;

	sample_status(&s);
	text = rendered(
		FORMAT_TABLE, (const ProtobufCMessage *[]){&s.process.base}, 1, "process inspect");
	cr_expect_str_eq(text, "process      broker\npid          4102\nuser         natlock-b\n"
			       "seccomp      filter\nlandlock     v6\ncaps         none\n"
			       "fds          6\nrss_bytes    3.0M\ncpu_ms       1.2\n"
			       "restarts     0\nstate        ok\nsyscalls     12\n");
	free(text);
	text = rendered(FORMAT_TABLE, (const ProtobufCMessage *[]){&s.hub.base, &s.hub.base}, 2,
		"dhcp status");
	cr_expect_str_eq(text, "name         default\nleases       3\npool         191\n\n"
			       "name         default\nleases       3\npool         191\n");
	free(text);
	text = rendered(FORMAT_JSON, (const ProtobufCMessage *[]){&s.hub.base}, 1, "dhcp status");
	cr_expect_not_null(strstr(text, "\"leases\":3,\"pool\":191"));
	free(text);
}

/* An event's text is the process's own: it must stay in its line. */
Test(render, events_are_lines_of_the_log)
{
	char text[] = "SecureNAT: The TCP session 1 was deleted.\n2012-12-06 forged", hub[] = "lab",
	     process[] = "natproxy.0";
	Nl__EventRow row = NL__EVENT_ROW__INIT;
	ProtobufCMessage *list[] = {&row.base};
	struct rows rows = {&nl__event_row__descriptor, list, 1, 1};
	struct capture out;
	struct render r = {.format = FORMAT_TABLE};
	char *got;

	setenv("TZ", "UTC", 1);
	row.has_at_ms = 1;
	row.at_ms = 1354808692557;
	row.text = text;
	row.hub = hub;
	row.process = process;
	capture_open(&out);
	r.out = out.file;
	render_events(&r, &rows, true);
	r.format = FORMAT_WIDE;
	render_events(&r, &rows, false);
	r.format = FORMAT_JSON;
	render_events(&r, &rows, false);
	got = capture_close(&out);
	cr_expect_eq(
		strstr(got, "2012-12-06 15:44:52.557 SecureNAT: The TCP session 1 was "
			    "deleted.\\x0a2012-12-06 forged\n"
			    "2012-12-06 15:44:52.557 lab natproxy.0 SecureNAT: The TCP session 1 "
			    "was deleted.\\x0a2012-12-06 forged\n"
			    "{\"at_ms\":1354808692557,\"at\":\"2012-12-06T15:44:52.557Z\","),
		got, "%s", got);
	free(got);
}

Test(render, configuration)
{
	const struct verb verb = {.schema = "natlock.config.show/1"};
	struct capture out;
	struct render r = {.format = FORMAT_TABLE};
	char *got;

	capture_open(&out);
	r.out = out.file;
	render_config(&r, &verb, "mtu: 1500\x1b[2J\n");
	r.format = FORMAT_JSON;
	render_config(&r, &verb, "{\"mtu\":1500}");
	got = capture_close(&out);
	cr_expect_eq(strstr(got, "mtu: 1500?[2J\n{\"schema\":\"natlock.config.show/1\""), got);
	cr_expect_not_null(strstr(got, ",\"config\":{\"mtu\":1500}\n}\n"), "%s", got);
	free(got);
}
