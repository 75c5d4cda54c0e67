/* render.c: CSV, JSON, wide tables, hostile rows. */
#include <criterion/criterion.h>

#include "rig.h"

static char *rendered(
	enum format format, const ProtobufCMessage *const *rows, size_t count, const char *words)
{
	struct rows list = {.row = (ProtobufCMessage **)(uintptr_t)rows, .count = count};
	struct verb_choice choice;
	const char *typed[2], *meant;
	struct capture out, summary;
	struct render r;
	char copy[32], *save;

	snprintf(copy, sizeof(copy), "%s", words);
	typed[0] = strtok_r(copy, " ", &save);
	typed[1] = strtok_r(NULL, " ", &save);
	cr_assert(verb_find(typed, typed[1] != NULL ? 2 : 1, &choice, &meant));
	list.type = rows_type(choice.verb->topic);
	capture_open(&out);
	capture_open(&summary);
	r = (struct render){out.file, summary.file, format, "default", 1354805092557};
	render_rows(&r, choice.verb, &list);
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
			       "bytes,tx_bytes,alg,process,host\r\n"
			       "3,\"tcp\",192.168.30.10:59564,10.99.0.1:8080,10.99.0.2:41022,"
			       "\"RUNNING\",10898000,12000,1258291,49152,\"\",\"\",\"\"\r\n");
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
		"\"tx_bytes\":49152,\"alg\":null,\"process\":null,\"host\":null}],"
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
	cr_expect_str_eq(
		text, "version,uptime_ms,config,health,notes\r\n\"\",,\"\",\"\",\"a; b\"\"c\"\r\n");
	free(text);
}
