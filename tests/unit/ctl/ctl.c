/* ctl.c: whole commands against a fake supervisor: texts, JSON, exit codes. */
#include <criterion/criterion.h>

#include "rig.h"

static void nat_answers(struct rig *r)
{
	struct sample s;

	sample_nat(&s);
	rig_rows(r, NL__TOPIC__NAT, (const ProtobufCMessage *[]){&s.nat[0].base}, 1, false);
	rig_rows(r, NL__TOPIC__NAT, (const ProtobufCMessage *[]){&s.nat[1].base}, 1, true);
}

/* The next request that was sent; kept until the one after it is looked at. */
static Nl__OperatorRequest *next_request(struct rig *r)
{
	static Nl__OperatorRequest *last;

	if (last != NULL)
		nl__operator_request__free_unpacked(last, NULL);
	last = rig_request(r);
	return last;
}

Test(ctl, nat_table)
{
	const Nl__OperatorRequest *request;
	struct rig r;

	rig_open(&r);
	nat_answers(&r);
	cr_assert_eq(RUN(&r, "nat", "table", "--hub", "lab"), CTL_OK, "%s", r.err_text);
	cr_expect_str_eq(r.out_text, "ID  PROTO  SOURCE               DESTINATION       OUTSIDE    "
				     "      STATE    CREATED   IDLE  RX/TX      ALG\n"
				     "3   tcp    192.168.30.10:59564  10.99.0.1:8080    "
				     "10.99.0.2:41022  RUNNING  03:01:38  12s   1.2M/48K   -\n"
				     "5   udp    192.168.30.11:5060   203.0.113.9:5060  "
				     "10.99.0.2:5060   RUNNING  03:02:11  0s    9.1K/8.8K  sip\n");
	cr_expect_str_eq(r.err_text, "2 sessions shown.\n");
	request = next_request(&r);
	cr_assert_not_null(request);
	cr_expect_eq(request->msg_case, NL__OPERATOR_REQUEST__MSG_TABLE);
	cr_expect_eq(request->table->topic, NL__TOPIC__NAT);
	cr_expect_str_eq(request->table->hub, "lab");
	rig_close(&r);
}

/* IOS shows static translations among the others; a filter is about sessions. */
Test(ctl, cisco_words)
{
	static const char *const words[2][8] = {{"show", "ip", "nat", "translations"},
		{"nat", "table", "-o", "cisco", "proto=udp"}};
	char fixed[] = "static", all[] = "all";
	Nl__ForwardRow forward = NL__FORWARD_ROW__INIT;
	struct rig r;

	forward.kind = fixed;
	forward.proto = all;
	for (int filtered = 0; filtered < 2; filtered++) {
		rig_open(&r);
		nat_answers(&r);
		if (!filtered)
			rig_rows(&r, NL__TOPIC__FORWARDS,
				(const ProtobufCMessage *[]){&forward.base}, 1, true);
		cr_assert_eq(rig_run(&r, words[filtered]), CTL_OK, "%s", r.err_text);
		cr_expect_eq(strncmp(r.out_text, "Pro  Inside global  ", 20), 0);
		cr_expect_eq(strstr(r.out_text, "\n---  ") != NULL, !filtered);
		cr_expect_eq(strstr(r.out_text, "\ntcp  ") != NULL, !filtered);
		cr_expect_not_null(strstr(r.out_text, "\nudp  10.99.0.2:5060"));
		rig_close(&r);
	}
}

Test(ctl, status)
{
	struct sample s;
	struct rig r;

	sample_status(&s);
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__STATUS, (const ProtobufCMessage *[]){&s.status.base}, 1, true);
	rig_rows(&r, NL__TOPIC__PROCESSES, (const ProtobufCMessage *[]){&s.process.base}, 1, true);
	rig_rows(&r, NL__TOPIC__HUBS, (const ProtobufCMessage *[]){&s.hub.base}, 1, true);
	cr_assert_eq(RUN(&r, "status"), CTL_OK, "%s", r.err_text);
	cr_expect_str_eq(r.out_text,
		"natlock 0.1.0  up 2h11m  config /etc/natlock.yaml  health OK  fence nftables table inet natlock-61185\n"
		"PROCESS  HUB  PID   USER       SECCOMP        LANDLOCK  CAPS  FDS  RSS   CPU  "
		"RESTARTS "
		" STATE\n"
		"broker   -    4102  natlock-b  filter 12 sys  v6        none  6    3.0M  1.2  0   "
		"     "
		" ok\n"
		"HUB default  192.168.30.1/24  00:AC:6B:12:9F:03  ports 3  tcp 41  udp 12  icmp 1  "
		"dns -  "
		"leases 3/191  data path strict  shards -\n");
	cr_expect_str_empty(r.err_text);
	rig_close(&r);
}

Test(ctl, status_as_json)
{
	struct sample s;
	struct rig r;

	sample_status(&s);
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__STATUS, (const ProtobufCMessage *[]){&s.status.base}, 1, true);
	rig_rows(&r, NL__TOPIC__PROCESSES, (const ProtobufCMessage *[]){&s.process.base}, 1, true);
	rig_rows(&r, NL__TOPIC__HUBS, (const ProtobufCMessage *[]){&s.hub.base}, 1, true);
	cr_assert_eq(RUN(&r, "-o", "json", "status"), CTL_OK, "%s", r.err_text);
	cr_expect_eq(strncmp(r.out_text, "{\"schema\":\"natlock.status/1\",\"time\":\"20", 39), 0);
	cr_expect_not_null(
		strstr(r.out_text, "\"processes\":[\n{\"process\":\"broker\",\"pid\":4102,"));
	cr_expect_not_null(strstr(
		r.out_text, "\"hubs\":[\n{\"name\":\"default\",\"address\":\"192.168.30.1/24\","));
	rig_close(&r);
}

/* One item a line, whichever table it is of. */
Test(ctl, status_as_json_lines)
{
	struct sample s;
	struct rig r;
	size_t lines = 0;

	sample_status(&s);
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__STATUS, (const ProtobufCMessage *[]){&s.status.base}, 1, true);
	rig_rows(&r, NL__TOPIC__PROCESSES, (const ProtobufCMessage *[]){&s.process.base}, 1, true);
	rig_rows(&r, NL__TOPIC__HUBS, (const ProtobufCMessage *[]){&s.hub.base}, 1, true);
	cr_assert_eq(RUN(&r, "-o", "jsonl", "status"), CTL_OK, "%s", r.err_text);
	for (const char *line = r.out_text; *line != '\0'; line = strchr(line, '\n') + 1, lines++) {
		cr_expect_eq(line[0], '{');
		cr_expect_eq(strchr(line, '\n')[-1], '}');
	}
	cr_expect_eq(lines, 3);
	rig_close(&r);
}

Test(ctl, text_answers)
{
	struct rig r;

	rig_open(&r);
	rig_done(&r, "actor alg\nrecvmsg\tfd = 3\x1b[2J");
	cr_assert_eq(RUN(&r, "policy", "show", "alg"), CTL_OK);
	cr_expect_str_eq(r.out_text, "actor alg\nrecvmsg\tfd = 3?[2J\n");
	cr_expect_str_eq(next_request(&r)->policy->process, "alg");
	rig_close(&r);
	rig_open(&r);
	rig_done(&r, "natlock 0.1.0");
	cr_assert_eq(RUN(&r, "version", "-o", "json"), CTL_OK);
	cr_expect_not_null(strstr(r.out_text, "\"text\":\"natlockctl 0.1.0\\nnatlock 0.1.0\"}\n"));
	cr_expect_eq(next_request(&r)->msg_case, NL__OPERATOR_REQUEST__MSG_VERSION);
	rig_close(&r);
}

Test(ctl, every_policy_when_none_is_named)
{
	char name[] = "broker", listing[] = "policy 0\n";
	struct rig r;

	rig_open(&r);
	for (int i = 0; i < 7; i++) {
		listing[7] = (char)('0' + i);
		rig_done(&r, listing);
	}
	cr_assert_eq(RUN(&r, "policy", "show"), CTL_OK, "%s", r.err_text);
	cr_expect_str_eq(r.out_text, "policy 0\n\npolicy 1\n\npolicy 2\n\npolicy 3\n\npolicy 4\n\n"
				     "policy 5\n\npolicy 6\n");
	cr_expect_str_eq(next_request(&r)->policy->process, name);
	rig_close(&r);
}

Test(ctl, restart_and_shutdown_ask_for_what_they_say)
{
	const Nl__RestartRequest *asked;
	struct rig r;

	rig_open(&r);
	rig_done(&r, "alg is restarting");
	cr_assert_eq(RUN(&r, "process", "restart", "alg"), CTL_OK);
	asked = next_request(&r)->restart;
	cr_expect_str_eq(asked->process, "alg");
	cr_expect_null(asked->hub);
	rig_close(&r);
	rig_open(&r);
	rig_done(&r, "alg is restarting");
	cr_assert_eq(RUN(&r, "--hub", "lab", "process", "restart", "alg"), CTL_OK);
	cr_expect_str_eq(next_request(&r)->restart->hub, "lab");
	rig_close(&r);
	rig_open(&r);
	rig_done(&r, "bye");
	cr_assert_eq(RUN(&r, "shutdown"), CTL_OK);
	cr_expect_eq(next_request(&r)->msg_case, NL__OPERATOR_REQUEST__MSG_SHUTDOWN);
	rig_close(&r);
}

static void failing(struct rig *r, uint32_t exit_code)
{
	static char code[] = "E0501", message[] = "no hub named lab\x1b[2J",
		    cause[] = "There is only default.", fix[] = "See: natlockctl hub list";
	Nl__OperatorAnswer answer = NL__OPERATOR_ANSWER__INIT;
	Nl__Failure f = NL__FAILURE__INIT;

	f.code = code;
	f.message = message;
	f.cause = cause;
	f.fix = fix;
	f.has_exit_code = 1;
	f.exit_code = exit_code;
	answer.msg_case = NL__OPERATOR_ANSWER__MSG_FAILURE;
	answer.failure = &f;
	rig_say(r, &answer.base);
}

Test(ctl, failures_of_the_supervisor)
{
	struct rig r;

	rig_open(&r);
	failing(&r, 4);
	cr_assert_eq(RUN(&r, "nat", "table"), CTL_NO_MATCH);
	cr_expect_str_empty(r.out_text);
	cr_expect_str_eq(r.err_text,
		"natlockctl: no hub named lab?[2J\n  cause: There is only default.\n"
		"  fix:   See: natlockctl hub list\n");
	rig_close(&r);
	rig_open(&r);
	failing(&r, 5);
	cr_assert_eq(RUN(&r, "-o", "json", "process", "restart", "alg"), CTL_REFUSED);
	cr_expect_str_eq(r.err_text,
		"{\"error\":{\"code\":\"E0501\",\"message\":\"no hub named lab\\u001b[2J\","
		"\"cause\":\"There is only default.\",\"fix\":\"See: natlockctl hub list\"}}\n");
	rig_close(&r);
	for (uint32_t lie = 0; lie < 400; lie += 133) {
		rig_open(&r);
		failing(&r, lie);
		cr_expect_eq(RUN(&r, "status"), CTL_FAILED);
		rig_close(&r);
	}
}

Test(ctl, usage_errors)
{
	static const struct {
		const char *words[6], *says;
	} cases[] = {
		{{"nat", "tabel"},
			"natlockctl: unknown command \"nat tabel\"\n  cause: Did you mean "
			"\"nat table\"?"},
		{{"nat", "publish"},
			"natlockctl: \"nat publish\" is not a whole command\n  cause: It "
			"goes on with one of: list, add, del."},
		{{"show", "ip", "nat"},
			"natlockctl: \"show ip nat\" is not a whole command\n  cause: "
			"It goes on with one of: translations, statistics."},
		{{"Nat"},
			"natlockctl: \"Nat\" is not a whole command\n  cause: It goes on with one "
			"of: status, get, set, enable, disable, table, events, flush, publish, "
			"static."},
		{{"metrics", "-o", "csv"}, "natlockctl: -o has no meaning for \"metrics\""},
		{{"dhcp", "export", "kea", "-o", "csv"}, "natlockctl: -o has no meaning for "},
		{{"nat", "get", "-o", "csv"}, "natlockctl: -o csv has no meaning for \"nat get\""},
		{{"statsu"}, "natlockctl: unknown command \"statsu\"\n  cause: Did you mean "
			     "\"status\"?"},
		{{"\x1b[2J"}, "natlockctl: unknown command \"?[2J\""},
		{{"nat", "table", "x"}, "natlockctl: unknown filter \"x\". Known: src, dst"},
		{{"nat", "table", "scr=1.2.3.4"},
			"natlockctl: unknown filter \"scr\". Did you mean "
			"\"src\"?"},
		{{"drops", "x"}, "natlockctl: too many arguments for \"drops\""},
		{{"nat", "set", "mtuu=1400"}, "natlockctl: unknown key \"nat.mtuu\". Did you mean "
					      "\"mtu\"?"},
		{{"NatSet", "/MTUU:1400"}, "natlockctl: unknown argument \"/MTUU:1400\". It takes "
					   "/MTU /TCPTIMEOUT /UDPTIMEOUT /LOG"},
		{{"--save", "status"}, "natlockctl: --save has no meaning for \"status\""},
		{{"--watch", "1", "shutdown"}, "natlockctl: --watch has no meaning for "
					       "\"shutdown\""},
		{{"--watch", "0", "status"}, "natlockctl: --watch \"0\""},
		{{"--for", "x", "drain"}, "natlockctl: --for \"x\""},
		{{"--for", "1s", "reload"}, "natlockctl: --for has no meaning for \"reload\""},
		{{"--vrf", "a", "status"}, "natlockctl: --vrf has no meaning for \"status\""},
		{{"-o", "conntrack", "dhcp", "table"},
			"natlockctl: -o conntrack has no meaning for \"dhcp "
			"table\""},
		{{"completion", "csh"}, "natlockctl: no completion for \"csh\""},
		{{"process", "restart"}, "natlockctl: wrong arguments for \"process restart\"\n  "
					 "cause: It takes NAME."},
		{{"-o", "jsn", "status"}, "natlockctl: unknown output format \"jsn\"\n  cause: Did "
					  "you mean \"json\"?"},
		{{"-o"}, "natlockctl: option \"-o\" needs a value"},
		{{"status", "--hub"}, "natlockctl: option \"--hub\" needs a value"},
		{{"--hubb", "x", "status"}, "natlockctl: unknown option \"--hubb\""},
		{{"-o", "cisco", "dhcp", "table"}, "natlockctl: -o cisco has no meaning for \"dhcp "
						   "table\"\n  cause: It is for \"nat "
						   "table\" and \"nat status\"."},
		{{"--probe", "status"},
			"natlockctl: --probe has no meaning for \"status\"\n  cause: It is for"},
		{{"-o", "csv", "policy", "audit"}, "natlockctl: -o csv has no meaning for \"policy "
						   "audit\"\n  cause: It prints a table"},
		{{"policy", "export", "xml"}, "natlockctl: no export as \"xml\"\n  cause: It is "
					      "one of json, systemd, oci."},
		{{"policy", "export"}, "natlockctl: wrong arguments for \"policy export\""},
		{{NULL}, "usage: natlockctl"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r;

		rig_open(&r);
		cr_expect_eq(rig_run(&r, cases[i].words), CTL_USAGE);
		cr_expect_eq(strncmp(r.err_text, cases[i].says, strlen(cases[i].says)), 0, "%s",
			r.err_text);
		cr_expect_str_empty(r.out_text);
		rig_close(&r);
	}
}

Test(ctl, options_in_every_form)
{
	struct rig r;

	rig_open(&r);
	cr_expect_eq(RUN(&r, "--version"), CTL_OK);
	cr_expect_str_eq(r.out_text, "natlockctl 0.1.0\n");
	rig_close(&r);
	rig_open(&r);
	nat_answers(&r);
	cr_expect_eq(RUN(&r, "--output=jsonl", "--api=/x", "--hub=lab", "NATTABLE"), CTL_OK, "%s",
		r.err_text);
	cr_expect_str_eq(r.ctl.api != NULL ? "given" : "", "given");
	cr_expect_eq(strncmp(r.out_text, "{\"id\":3,", 8), 0);
	cr_expect_str_empty(r.err_text);
	rig_close(&r);
	rig_open(&r);
	nat_answers(&r);
	cr_expect_eq(RUN(&r, "nat", "table", "--json"), CTL_OK, "%s", r.err_text);
	cr_expect_eq(strncmp(r.out_text, "{\"schema\":\"natlock.nat.table/1\"", 30), 0);
	rig_close(&r);
}

Test(ctl, a_supervisor_that_talks_nonsense)
{
	struct rig r;

	rig_open(&r);
	cr_assert_eq(send(r.far, "\xff\xff\xff", 3, 0), 3);
	cr_expect_eq(RUN(&r, "status"), CTL_FAILED);
	cr_expect_not_null(strstr(r.err_text, "cannot be read"));
	rig_close(&r);
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__DHCP, NULL, 0, true);
	cr_expect_eq(RUN(&r, "nat", "table"), CTL_FAILED);
	cr_expect_not_null(strstr(r.err_text, "answered something else"));
	rig_close(&r);
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__NAT, NULL, 0, true);
	cr_expect_eq(RUN(&r, "version"), CTL_FAILED);
	rig_close(&r);
}

Test(ctl, a_row_that_is_none)
{
	Nl__OperatorAnswer answer = NL__OPERATOR_ANSWER__INIT;
	Nl__TableRows slice = NL__TABLE_ROWS__INIT;
	uint8_t bad[] = {0x12, 0x7f, 0x00};
	ProtobufCBinaryData row = {sizeof(bad), bad};
	struct rig r;

	slice.has_topic = slice.has_last = slice.last = 1;
	slice.topic = NL__TOPIC__NAT;
	slice.n_rows = 1;
	slice.rows = &row;
	answer.msg_case = NL__OPERATOR_ANSWER__MSG_ROWS;
	answer.rows = &slice;
	rig_open(&r);
	rig_say(&r, &answer.base);
	cr_expect_eq(RUN(&r, "nat", "table"), CTL_FAILED);
	cr_expect_not_null(strstr(r.err_text, "row 1 cannot be read"));
	cr_expect_str_empty(r.out_text);
	rig_close(&r);
}

Test(ctl, output_that_cannot_be_written)
{
	struct rig r;

	rig_open(&r);
	nat_answers(&r);
	r.ctl.out = fopen("/dev/full", "w");
	cr_expect_eq(RUN(&r, "nat", "table"), CTL_FAILED);
	cr_expect_not_null(
		strstr(r.err_text, "cannot write the output\n  cause: No space left on device"));
	fclose(r.ctl.out);
	rig_close(&r);
}
