/* order.c: sessions found by a filter and ended by their numbers, process by process. */
#include <criterion/criterion.h>

#include "rig.h"

/* `count` sessions of each of two processes in turn, sent in slices. */
static void table_of(struct rig *r, uint32_t count)
{
	char zero[] = "natproxy.0", one[] = "natproxy.1", tcp[] = "tcp", udp[] = "udp";
	Nl__NatRow row[2] = {NL__NAT_ROW__INIT, NL__NAT_ROW__INIT};
	const ProtobufCMessage *rows[] = {&row[0].base, &row[1].base};

	row[0].process = zero;
	row[1].process = one;
	row[0].proto = tcp;
	row[1].proto = udp;
	row[0].has_id = row[1].has_id = 1;
	for (uint32_t i = 0; i < count; i++) {
		row[0].id = row[1].id = i + 1;
		rig_rows(r, NL__TOPIC__NAT, rows, 2, i + 1 == count);
	}
}

Test(order, flush_names_processes_and_numbers)
{
	Nl__OperatorRequest *asked;
	struct rig r;

	rig_open(&r);
	table_of(&r, 3);
	rig_counted(&r, "three of them", 3);
	rig_counted(&r, "two", 2);
	cr_assert_eq(RUN(&r, "--hub", "lab", "nat", "flush", "older=0s", "!proto=x"), CTL_NO_MATCH,
		"rows without a time have no age");
	rig_close(&r);
	rig_open(&r);
	table_of(&r, 3);
	rig_counted(&r, "three of them", 3);
	rig_counted(&r, "two", 2);
	cr_assert_eq(
		RUN(&r, "--hub", "lab", "nat", "flush", "!proto=icmp"), CTL_OK, "%s", r.err_text);
	cr_expect_str_eq(r.out_text, "5 sessions ended\n");
	nl__operator_request__free_unpacked(rig_request(&r), NULL);
	for (int i = 0; i < 2; i++) {
		asked = rig_request(&r);
		cr_assert_not_null(asked);
		cr_expect_str_eq(asked->order->hub, "lab");
		cr_expect_str_eq(asked->order->process, i == 0 ? "natproxy.0" : "natproxy.1");
		cr_assert_eq(asked->order->order->sessions_end->n_id, 3);
		cr_expect_eq(asked->order->order->sessions_end->id[2], 3);
		cr_expect_not(asked->order->order->sessions_end->all);
		nl__operator_request__free_unpacked(asked, NULL);
	}
	cr_expect_null(rig_request(&r));
	rig_close(&r);
}

Test(order, a_filter_keeps_others_alive)
{
	Nl__OperatorRequest *asked;
	struct rig r;

	rig_open(&r);
	table_of(&r, 2);
	rig_counted(&r, "one", 1);
	cr_assert_eq(RUN(&r, "-o", "json", "nat", "flush", "proto=udp"), CTL_OK, "%s", r.err_text);
	cr_expect_not_null(strstr(r.out_text, "\"text\":\"1 session ended\""));
	nl__operator_request__free_unpacked(rig_request(&r), NULL);
	asked = rig_request(&r);
	cr_expect_str_eq(asked->order->process, "natproxy.1");
	nl__operator_request__free_unpacked(asked, NULL);
	cr_expect_null(rig_request(&r));
	rig_close(&r);
}

Test(order, everything)
{
	static const char *const words[][5] = {{"nat", "flush"}, {"nat", "flush", "*"},
		{"clear", "ip", "nat", "translation", "*"}};

	for (size_t i = 0; i < 3; i++) {
		const char *typed[6] = {0};
		Nl__OperatorRequest *asked;
		struct rig r;

		memcpy(typed, words[i], sizeof(words[i]));
		rig_open(&r);
		rig_counted(&r, "all", 41);
		cr_assert_eq(rig_run(&r, typed), CTL_OK, "%s", r.err_text);
		cr_expect_str_eq(r.out_text, "41 sessions ended\n");
		asked = rig_request(&r);
		cr_expect(asked->order->order->sessions_end->all);
		cr_expect_null(asked->order->process);
		nl__operator_request__free_unpacked(asked, NULL);
		rig_close(&r);
	}
}

Test(order, nothing_to_flush)
{
	struct rig r;

	rig_open(&r);
	table_of(&r, 1);
	cr_expect_eq(RUN(&r, "nat", "flush", "proto=icmp"), CTL_NO_MATCH);
	cr_expect_not_null(strstr(r.err_text, "no session matches"));
	rig_close(&r);
	rig_open(&r);
	table_of(&r, 1);
	rig_fail_code(&r, "E0510", "no such session", 4);
	rig_fail_code(&r, "E0510", "no such session", 4);
	cr_expect_eq(RUN(&r, "nat", "flush", "!proto=icmp"), CTL_NO_MATCH);
	rig_close(&r);
	rig_open(&r);
	table_of(&r, 1);
	rig_fail_code(&r, "E0510", "no such session", 4);
	rig_counted(&r, "one", 1);
	cr_expect_eq(RUN(&r, "nat", "flush", "!proto=icmp"), CTL_OK, "one ended by itself");
	cr_expect_str_eq(r.out_text, "1 session ended\n");
	rig_close(&r);
	rig_open(&r);
	rig_fail_code(&r, "E0510", "no such session", 4);
	cr_expect_eq(RUN(&r, "nat", "flush"), CTL_OK, "nothing was asked for that is missing");
	cr_expect_str_eq(r.out_text, "0 sessions ended\n");
	rig_close(&r);
	rig_open(&r);
	rig_fail_code(&r, "E0504", "no hub lab", 4);
	cr_expect_eq(RUN(&r, "--hub", "lab", "nat", "flush"), CTL_NO_MATCH);
	rig_close(&r);
	rig_open(&r);
	rig_fail(&r, "this needs root", 5);
	cr_expect_eq(RUN(&r, "nat", "flush"), CTL_REFUSED);
	rig_close(&r);
}

Test(order, leases)
{
	Nl__OperatorRequest *asked;
	struct rig r;

	rig_open(&r);
	rig_done(&r, "1 lease released");
	cr_assert_eq(RUN(&r, "dhcp", "release", "192.168.30.10"), CTL_OK, "%s", r.err_text);
	asked = rig_request(&r);
	cr_expect_eq(asked->order->order->lease_release->ip_be, htonl(0xc0a81e0a));
	cr_expect_not(asked->order->order->lease_release->has_mac);
	nl__operator_request__free_unpacked(asked, NULL);
	rig_close(&r);
	rig_open(&r);
	rig_done(&r, "1 lease released");
	cr_assert_eq(RUN(&r, "dhcp", "release", "00-AC-85-40-B5-50"), CTL_OK, "%s", r.err_text);
	asked = rig_request(&r);
	cr_expect_not(asked->order->order->lease_release->has_ip_be);
	cr_expect_eq(asked->order->order->lease_release->mac.len, 6);
	nl__operator_request__free_unpacked(asked, NULL);
	rig_close(&r);
	rig_open(&r);
	cr_expect_eq(RUN(&r, "dhcp", "release", "auto"), CTL_USAGE);
	cr_expect_not_null(strstr(r.err_text, "\"auto\" is neither an address"));
	rig_close(&r);
}
