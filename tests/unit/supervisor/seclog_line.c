/* An event as text: the seed's form to the byte, fields that a parser reads back, and nothing that a guest could forge. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "seclog_line.h"

enum { WALL_S = 1354808692 }; /* 2012-12-06 15:44:52 UTC */
static const uint64_t wall_ms = WALL_S * 1000ULL + 557;
static struct seclog_record record;

static void zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static void utc(void)
{
	zone("UTC");
}
TestSuite(seclog_line, .init = utc);

static char *text_of(const char *s)
{
	return (char *)(uintptr_t)s;
}

static Nl__EventRow event(const char *text)
{
	Nl__EventRow e = NL__EVENT_ROW__INIT;

	e.at_ms = wall_ms;
	e.hub = text_of("VPN");
	e.process = text_of("natproxy");
	e.event = text_of("session_deleted");
	e.text = text_of(text);
	return e;
}

static const char *line(Nl__Log__Style style, const Nl__EventRow *e)
{
	seclog_line(&record, style, e);
	cr_assert_lt(record.bytes, sizeof(record.text));
	record.text[record.bytes] = '\0';
	return record.text;
}

Test(seclog_line, the_seeds_prefix_and_a_second_line_of_ours)
{
	Nl__EventRow e = event("SecureNAT: The TCP session 1 was deleted.");

	cr_assert_str_eq(line(NL__LOG__STYLE__securenat, &e),
		"2012-12-06 15:44:52.557 SecureNAT: The TCP session 1 was deleted.\n");
	e.more = text_of("SecureNAT: more");
	cr_assert_str_eq(line(NL__LOG__STYLE__securenat, &e),
		"2012-12-06 15:44:52.557 SecureNAT: The TCP session 1 was deleted.\n"
		"2012-12-06 15:44:52.557 SecureNAT: more\n");
}

Test(seclog_line, local_time_is_that_of_the_operator)
{
	Nl__EventRow e = event("x");

	zone("JST-9");
	cr_assert_str_eq(line(NL__LOG__STYLE__securenat, &e), "2012-12-07 00:44:52.557 x\n");
	cr_assert(strstr(line(NL__LOG__STYLE__json, &e), "\"2012-12-07T00:44:52.557+09:00\""));
	zone("NST3:30NDT,M3.2.0,M11.1.0");
	cr_assert(strstr(line(NL__LOG__STYLE__json, &e), "\"2012-12-06T12:14:52.557-03:30\""));
}

/* Every part that an event may have. */
static Nl__EventRow full(Nl__Address address[2])
{
	Nl__EventRow e = event("text");
	const Nl__Address src = {PROTOBUF_C_MESSAGE_INIT(&nl__address__descriptor), true,
		0x0a1ea8c0, true, 1079, false, 0};

	address[0] = address[1] = src;
	address[1].has_port = false;
	e.has_session = e.has_rx_bytes = e.has_tx_bytes = e.has_duration_ms = true;
	e.session = 1;
	e.proto = text_of("tcp");
	e.src = &address[0];
	e.dst = &address[1];
	e.reason = text_of("closed by both");
	e.rx_bytes = UINT64_MAX;
	e.tx_bytes = 12;
	return e;
}

Test(seclog_line, json_has_real_fields)
{
	Nl__Address address[2];
	Nl__EventRow e = full(address);

	cr_assert_str_eq(line(NL__LOG__STYLE__json, &e),
		"{\"time\":\"2012-12-06T15:44:52.557+00:00\",\"hub\":\"VPN\",\"process\":"
		"\"natproxy\",\"event\":\"session_deleted\",\"session\":1,\"proto\":\"tcp\","
		"\"src\":\"192.168.30.10:1079\",\"dst\":\"192.168.30.10\",\"reason\":\"closed by "
		"both\",\"rx_bytes\":18446744073709551615,\"tx_bytes\":12,\"duration_ms\":0,"
		"\"text\":\"text\"}\n");
}

Test(seclog_line, logfmt_quotes_where_it_must)
{
	Nl__Address address[2];
	Nl__EventRow e = full(address);

	e.host = text_of("a=b");
	e.mac = text_of("");
	e.host_name = text_of("say \"hi\\\"");
	cr_assert_str_eq(line(NL__LOG__STYLE__logfmt, &e),
		"time=2012-12-06T15:44:52.557+00:00 hub=VPN process=natproxy event=session_deleted "
		"session=1 proto=tcp src=192.168.30.10:1079 dst=192.168.30.10 host=\"a=b\" "
		"reason=\"closed by both\" rx_bytes=18446744073709551615 tx_bytes=12 "
		"duration_ms=0 mac=\"\" host_name=\"say \\\"hi\\\\\\\"\" text=text\n");
}

/* Line ends, ESC, C1, overlong and other UTF-8, quotes, '=' and backslashes, in every string of an event. */
static const char hostile[] =
	"x\n1970-01-01 00:00:00.000 SecureNAT: y\r\x1b[2J\xc2\x9b\xc0\xaf\xff\t\x7f=\"\\";
static const char tame[] = "x?1970-01-01 00:00:00.000 SecureNAT: y??[2J??????"
			   "?=\"\\";

Test(seclog_line, no_string_breaks_a_line)
{
	static const Nl__Log__Style styles[] = {
		NL__LOG__STYLE__securenat, NL__LOG__STYLE__json, NL__LOG__STYLE__logfmt};
	Nl__EventRow e = event(hostile);

	e.hub = e.process = e.event = e.host = e.reason = e.host_name = text_of(hostile);
	for (size_t i = 0; i < 3; i++) {
		const char *text = line(styles[i], &e);

		cr_assert_eq(strchr(text, '\n'), text + record.bytes - 1);
		for (size_t j = 0; j + 1 < record.bytes; j++)
			cr_assert(text[j] >= ' ' && text[j] <= '~');
	}
	cr_assert_str_eq(line(NL__LOG__STYLE__securenat, &e) + strlen("1970-01-01 00:00:00.000 "),
		"x?1970-01-01 00:00:00.000 SecureNAT: y??[2J??????"
		"?=\"\\\n");
}

Test(seclog_line, json_of_hostile_text_is_one_string)
{
	Nl__EventRow e = event("t");

	e.host_name = text_of(hostile);
	cr_assert(strstr(line(NL__LOG__STYLE__json, &e),
		",\"host_name\":\"x?1970-01-01 00:00:00.000 SecureNAT: "
		"y??[2J??????"
		"?=\\\"\\\\\",\"text\":\"t\"}\n"));
}

/* 64 KiB in each of them: cut, and the record whole. */
Test(seclog_line, long_strings_are_cut_and_every_record_is_whole)
{
	static char longest[65536];
	Nl__Address address[2];
	Nl__EventRow e = full(address);
	const ProtobufCMessageDescriptor *type = e.base.descriptor;

	cr_assert_leq(type->n_fields, 32, "the bound of a record counts so many");
	memset(longest, '"', sizeof(longest) - 1);
	for (unsigned int i = 0; i < type->n_fields; i++) {
		char *s = longest;

		if (type->fields[i].type == PROTOBUF_C_TYPE_STRING)
			memcpy((char *)&e + type->fields[i].offset, &s, sizeof(s));
	}
	line(NL__LOG__STYLE__json, &e);
	cr_assert(strcmp(record.text + record.bytes - 3, "\"}\n") == 0);
	cr_assert_gt(record.bytes, 2 * SECLOG_LINE + 6 * 2 * SECLOG_VALUE);
	line(NL__LOG__STYLE__logfmt, &e);
	line(NL__LOG__STYLE__securenat, &e);
	cr_assert_eq(record.bytes, 2 * (strlen("2012-12-06 15:44:52.557 ") + SECLOG_LINE + 1));
	seclog_journal(&record, &e);
	seclog_syslog(&record, NL__LOG__STYLE__json, &e, 1);
}

Test(seclog_line, the_journals_datagram)
{
	Nl__Address address[2];
	Nl__EventRow e = full(address);

	e.text = text_of("SecureNAT: a\nPRIORITY=0");
	seclog_journal(&record, &e);
	record.text[record.bytes] = '\0';
	cr_assert_str_eq(record.text,
		"MESSAGE=SecureNAT: "
		"a?PRIORITY=0\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=natlock\n"
		"NATLOCK_HUB=VPN\nNATLOCK_PROCESS=natproxy\nNATLOCK_EVENT=session_deleted\n"
		"NATLOCK_SESSION=1\nNATLOCK_PROTO=tcp\nNATLOCK_SRC=192.168.30.10:1079\n"
		"NATLOCK_DST=192.168.30.10\nNATLOCK_REASON=closed by both\n"
		"NATLOCK_RX_BYTES=18446744073709551615\nNATLOCK_TX_BYTES=12\nNATLOCK_DURATION_MS="
		"0\n");
}

Test(seclog_line, the_datagram_of_syslog)
{
	Nl__EventRow e = event("SecureNAT: a\nb");

	seclog_syslog(&record, NL__LOG__STYLE__securenat, &e, 4102);
	record.text[record.bytes] = '\0';
	cr_assert_str_eq(record.text, "<30>Dec  6 15:44:52 natlock[4102]: VPN: SecureNAT: a?b");
	e.more = text_of("m");
	seclog_syslog(&record, NL__LOG__STYLE__securenat, &e, 4102);
	record.text[record.bytes] = '\0';
	cr_assert_str_eq(record.text, "<30>Dec  6 15:44:52 natlock[4102]: VPN: SecureNAT: a?b m");
	seclog_syslog(&record, NL__LOG__STYLE__logfmt, &e, 4102);
	record.text[record.bytes] = '\0';
	cr_assert_str_eq(record.text,
		"<30>Dec  6 15:44:52 natlock[4102]: time=2012-12-06T15:44:52.557+00:00 hub=VPN "
		"process=natproxy event=session_deleted text=\"SecureNAT: a?b\"");
}

Test(seclog_line, clean)
{
	char text[sizeof(hostile)];

	memcpy(text, hostile, sizeof(text));
	seclog_clean(text);
	cr_assert_str_eq(text, tame);
}

Test(seclog_line, days)
{
	cr_assert_eq(seclog_day(wall_ms), 20121206);
	zone("JST-9");
	cr_assert_eq(seclog_day(wall_ms), 20121207);
	cr_assert_eq(seclog_day_before(20240301, 1), 20240229);
	cr_assert_eq(seclog_day_before(20230301, 1), 20230228);
	cr_assert_eq(seclog_day_before(20240101, 366), 20221231);
	cr_assert_eq(seclog_day_before(20240101, 0), 20240101);
}

/* On such a day an hour happens twice, or not at all; the day is that of the calendar all the same. */
Test(seclog_line, summer_time_begins_and_ends)
{
	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	cr_assert_eq(seclog_day(1711839599000), 20240330, "31 March 2024 begins at 23:00 UTC");
	cr_assert_eq(seclog_day(1711839600000), 20240331);
	cr_assert_eq(seclog_day(1711922399000), 20240331, "and has 23 hours");
	cr_assert_eq(seclog_day(1711922400000), 20240401);
	cr_assert_eq(seclog_day(1729979999000), 20241026);
	cr_assert_eq(seclog_day(1729980000000), 20241027);
	cr_assert_eq(seclog_day(1730069999000), 20241027, "this one 25");
	cr_assert_eq(seclog_day(1730070000000), 20241028);
}

Test(seclog_line, any_number_is_a_time)
{
	Nl__EventRow e = event("x");

	e.at_ms = UINT64_MAX;
	cr_assert_str_eq(line(NL__LOG__STYLE__securenat, &e), "9999-12-31 23:59:59.615 x\n");
}
