/* events.c: events as they come, until the gateway is gone. */
#include <criterion/criterion.h>

#include "rig.h"

static void happen(struct rig *r, const char *process, const char *text)
{
	Nl__EventRow row = NL__EVENT_ROW__INIT;
	char *of = strdup(process), *says = strdup(text);

	row.has_at_ms = 1;
	row.at_ms = 1354808692557;
	row.process = of;
	row.text = says;
	rig_rows(r, NL__TOPIC__EVENTS, (const ProtobufCMessage *[]){&row.base}, 1, false);
	free(of);
	free(says);
}

static void log_answers(struct rig *r)
{
	rig_open(r);
	happen(r, "natproxy.1", "SecureNAT: The TCP session 1 was deleted.");
	happen(r, "dhcpd", "SecureNAT: The DHCP entry 1 was created.");
	happen(r, "natproxyx", "SecureNAT: nobody's");
	shutdown(r->far, SHUT_WR);
}

Test(events, log_follow_has_all)
{
	Nl__OperatorRequest *asked;
	struct rig r;

	log_answers(&r);
	cr_expect_eq(RUN(&r, "LogFileGet", "--hub", "lab"), CTL_FAILED, "it ends with the gateway");
	cr_expect_str_eq(r.out_text,
		"2012-12-06 15:44:52.557 SecureNAT: The TCP session 1 was deleted.\n"
		"2012-12-06 15:44:52.557 SecureNAT: The DHCP entry 1 was created.\n"
		"2012-12-06 15:44:52.557 SecureNAT: nobody's\n");
	asked = rig_request(&r);
	cr_expect_eq(asked->msg_case, NL__OPERATOR_REQUEST__MSG_EVENTS);
	cr_expect_str_eq(asked->events->hub, "lab");
	nl__operator_request__free_unpacked(asked, NULL);
	rig_close(&r);
}

Test(events, nat_events_are_natproxys)
{
	struct rig r;

	log_answers(&r);
	cr_expect_eq(RUN(&r, "nat", "events", "-o", "jsonl"), CTL_FAILED);
	cr_expect_not_null(strstr(r.out_text, "The TCP session 1 was deleted."));
	cr_expect_eq(strchr(r.out_text, '\n'), r.out_text + strlen(r.out_text) - 1);
	rig_close(&r);
}

Test(events, a_filter_keeps_others_out)
{
	struct rig r;

	log_answers(&r);
	cr_expect_eq(RUN(&r, "log", "follow", "src=192.168.30.10"), CTL_FAILED);
	cr_expect_str_empty(r.out_text);
	rig_close(&r);
	rig_open(&r);
	rig_fail(&r, "too many follow already", 5);
	cr_expect_eq(RUN(&r, "log", "follow"), CTL_REFUSED);
	rig_close(&r);
}

Test(events, csv_has_its_titles_once)
{
	struct rig r;

	log_answers(&r);
	cr_expect_eq(RUN(&r, "log", "follow", "-o", "csv"), CTL_FAILED);
	cr_expect_eq(strncmp(r.out_text, "at_ms,hub,process,event,text", 28), 0);
	cr_expect_null(strstr(r.out_text + 1, "at_ms"));
	rig_close(&r);
}
