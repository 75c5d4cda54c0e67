/* table.c: rows that are asked for by a filter or by name, health, and tables that repeat. */
#include <criterion/criterion.h>

#include "rig.h"

static void nat_answers(struct rig *r)
{
	struct sample s;

	sample_nat(&s);
	rig_rows(r, NL__TOPIC__NAT, (const ProtobufCMessage *[]){&s.nat[0].base, &s.nat[1].base}, 2,
		true);
}

Test(table, a_filter_shows_some)
{
	struct rig r;

	rig_open(&r);
	nat_answers(&r);
	cr_assert_eq(RUN(&r, "nat", "table", "-o", "conntrack", "proto=udp", "dst=203.0.113.0/24"),
		CTL_OK, "%s", r.err_text);
	cr_expect_eq(strncmp(r.out_text, "udp      17 RUNNING src=192.168.30.11 ", 38), 0, "%s",
		r.out_text);
	cr_expect_str_eq(r.err_text, "1 session shown.\n");
	rig_close(&r);
}

Test(table, a_filter_that_nothing_matches)
{
	struct rig r;

	rig_open(&r);
	nat_answers(&r);
	cr_expect_eq(RUN(&r, "nat", "table", "-o", "json", "proto=icmp"), CTL_NO_MATCH);
	cr_expect_not_null(strstr(r.out_text, "\"items\":[],\"count\":0}"));
	cr_expect_not_null(strstr(r.err_text, "no session matches"));
	rig_close(&r);
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__NAT, NULL, 0, true);
	cr_expect_eq(RUN(&r, "nat", "table"), CTL_OK, "an empty table is no mismatch");
	rig_close(&r);
}

Test(table, forwards_of_one_kind)
{
	char published[] = "publish", fixed[] = "static";
	Nl__ForwardRow row[2] = {NL__FORWARD_ROW__INIT, NL__FORWARD_ROW__INIT};
	struct rig r;

	row[0].kind = published;
	row[1].kind = fixed;
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__FORWARDS, (const ProtobufCMessage *[]){&row[0].base, &row[1].base},
		2, true);
	cr_assert_eq(RUN(&r, "nat", "static", "list"), CTL_OK);
	cr_expect_not_null(strstr(r.out_text, "static"));
	cr_expect_null(strstr(r.out_text, "publish"));
	cr_expect_str_eq(r.err_text, "1 address shown.\n");
	rig_close(&r);
}

static void hub_answers(struct rig *r)
{
	struct sample s;

	sample_status(&s);
	s.hub.has_enable = s.hub.enable = s.hub.has_nat = s.hub.nat = 1;
	rig_rows(r, NL__TOPIC__HUBS, (const ProtobufCMessage *[]){&s.hub.base}, 1, true);
}

Test(table, records)
{
	struct sample s;
	struct rig r;

	rig_open(&r);
	hub_answers(&r);
	cr_assert_eq(RUN(&r, "SecureNatStatusGet"), CTL_OK, "%s", r.err_text);
	cr_expect_str_eq(r.out_text, "name         default\ntcp          41\nudp          12\n"
				     "icmp         1\nenable       yes\nnat          yes\n");
	rig_close(&r);
	rig_open(&r);
	hub_answers(&r);
	cr_assert_eq(RUN(&r, "--hub", "lab", "hub", "show"), CTL_NO_MATCH);
	cr_expect_not_null(strstr(r.err_text, "no hub lab"));
	rig_close(&r);
	sample_status(&s);
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__PROCESSES, (const ProtobufCMessage *[]){&s.process.base}, 1, true);
	cr_expect_eq(RUN(&r, "process", "inspect", "alg"), CTL_NO_MATCH);
	cr_expect_not_null(strstr(r.err_text, "no process alg"));
	rig_close(&r);
}

/* Two hubs have processes of the same names. */
Test(table, processes_of_one_hub)
{
	char names[3][12] = {"supervisor", "alg", "alg"}, hubs[2][8] = {"default", "lab"};
	Nl__ProcessRow row[3] = {
		NL__PROCESS_ROW__INIT, NL__PROCESS_ROW__INIT, NL__PROCESS_ROW__INIT};
	const ProtobufCMessage *const rows[] = {&row[0].base, &row[1].base, &row[2].base};
	struct rig r;

	for (int i = 0; i < 3; i++)
		row[i].process = names[i];
	row[1].hub = hubs[0];
	row[2].hub = hubs[1];
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__PROCESSES, rows, 3, true);
	cr_assert_eq(RUN(&r, "process", "inspect", "alg", "--hub", "lab"), CTL_OK);
	cr_expect_str_eq(r.out_text, "process      alg\nhub          lab\n");
	rig_close(&r);
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__PROCESSES, rows, 3, true);
	cr_assert_eq(RUN(&r, "process", "list", "--hub=lab", "-o", "csv"), CTL_OK);
	cr_expect_not_null(strstr(r.out_text, "\"supervisor\""));
	cr_expect_not_null(strstr(r.out_text, "\"lab\""));
	cr_expect_null(strstr(r.out_text, "\"default\""));
	rig_close(&r);
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__PROCESSES, rows, 3, true);
	cr_assert_eq(RUN(&r, "process", "list"), CTL_OK);
	cr_expect_str_eq(r.err_text, "3 processes shown.\n");
	rig_close(&r);
}

Test(table, cisco_statistics)
{
	struct rig r;

	rig_open(&r);
	hub_answers(&r);
	rig_rows(&r, NL__TOPIC__FORWARDS, NULL, 0, true);
	cr_assert_eq(RUN(&r, "show", "ip", "nat", "statistics"), CTL_OK, "%s", r.err_text);
	cr_expect_eq(strncmp(r.out_text, "Total active translations: 54 (0 static, ", 41), 0);
	rig_close(&r);
}

Test(table, health)
{
	char bad[] = "alg is waiting to restart", note[] = "ICMP: \x1b[2J", *notes[] = {note};
	struct sample s;
	struct rig r;

	sample_status(&s);
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__STATUS, (const ProtobufCMessage *[]){&s.status.base}, 1, true);
	cr_expect_eq(RUN(&r, "health"), CTL_OK);
	cr_expect_str_eq(r.out_text, "OK\n");
	rig_close(&r);
	s.status.health = bad;
	s.status.n_notes = 1;
	s.status.notes = notes;
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__STATUS, (const ProtobufCMessage *[]){&s.status.base}, 1, true);
	cr_expect_eq(RUN(&r, "health"), CTL_FAILED);
	cr_expect_str_eq(r.out_text, "alg is waiting to restart\n  ICMP: ?[2J\n");
	cr_expect_not_null(strstr(r.err_text, "cause: alg is waiting to restart"));
	rig_close(&r);
}

/* Until the gateway is gone; a pipe gets no escape sequences, a terminal is cleared each time. */
Test(table, watch_repeats)
{
	for (int terminal = 0; terminal < 2; terminal++) {
		size_t times = 0, cleared = 0;
		struct rig r;

		rig_open(&r);
		for (int i = 0; i < 3; i++)
			nat_answers(&r);
		shutdown(r.far, SHUT_WR);
		r.ctl.is_terminal = terminal;
		cr_expect_eq(RUN(&r, "nat", "table", "--watch", "100ms"), CTL_FAILED);
		for (const char *at = r.out_text; (at = strstr(at, "ID  ")) != NULL; at++)
			times++;
		for (const char *at = r.out_text; (at = strstr(at, "\x1b[H\x1b[2J")) != NULL; at++)
			cleared++;
		cr_expect_eq(times, 3);
		cr_expect_eq(cleared, terminal ? 4 : 0);
		rig_close(&r);
	}
}
