/* request.c: what is typed becomes the one request it stands for. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "rig.h"

/* Runs words against an answer; the request is for the caller to free. */
static Nl__OperatorRequest *asked_by(struct rig *r, const char *const *words)
{
	Nl__OperatorRequest *request;

	rig_open(r);
	rig_done(r, "done");
	cr_assert_eq(rig_run(r, words), CTL_OK, "%s", r->err_text);
	request = rig_request(r);
	cr_assert_not_null(request);
	cr_expect_null(rig_request(r), "one command is one request");
	return request;
}
#define ASKED_BY(RIG, ...) asked_by(RIG, (const char *const[]){__VA_ARGS__, NULL})

static void finish(struct rig *r, Nl__OperatorRequest *request)
{
	nl__operator_request__free_unpacked(request, NULL);
	rig_close(r);
}

Test(request, all_settings_of_a_command_are_one_change)
{
	Nl__OperatorRequest *q;
	struct rig r;

	q = ASKED_BY(&r, "--hub", "lab", "nat", "set", "mtu=1400", "log=false", "--save");
	cr_expect_str_eq(r.out_text, "done\n");
	cr_assert_eq(q->msg_case, NL__OPERATOR_REQUEST__MSG_CHANGE);
	cr_expect_str_eq(q->change->hub, "lab");
	cr_expect(q->change->save);
	cr_assert_eq(q->change->n_changes, 2);
	cr_expect_str_eq(q->change->changes[0]->path, "nat.mtu");
	cr_expect_str_eq(q->change->changes[0]->value, "\"1400\"");
	cr_expect_str_eq(q->change->changes[1]->path, "nat.log");
	finish(&r, q);
	q = ASKED_BY(&r, "DhcpSet", "/START:10.0.0.2", "/END:10.0.0.9", "/DNS2:none", "/DNS:none");
	cr_expect_not(q->change->save);
	cr_assert_eq(q->change->n_changes, 2);
	cr_expect_str_eq(q->change->changes[0]->path, "dhcp.range");
	cr_expect_str_eq(q->change->changes[1]->path, "dhcp.dns");
	cr_expect_str_eq(q->change->changes[1]->value, "[]");
	finish(&r, q);
}

Test(request, switches)
{
	static const struct {
		const char *words[3], *path, *value;
	} cases[] = {
		{{"hub", "enable"}, "enable", "true"},
		{{"SecureNatDisable"}, "enable", "false"},
		{{"nat", "disable"}, "nat.enable", "false"},
		{{"dhcp", "enable"}, "dhcp.enable", "true"},
		{{"DHCPDISABLE"}, "dhcp.enable", "false"},
		{{"alg", "disable", "ftp"}, "alg.ftp.enable", "false"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *words[4] = {0};
		Nl__OperatorRequest *q;
		struct rig r;

		memcpy(words, cases[i].words, sizeof(cases[i].words));
		q = asked_by(&r, words);
		cr_assert_eq(q->change->n_changes, 1);
		cr_expect_eq(q->change->changes[0]->how, NL__CHANGE__HOW__SET);
		cr_expect_str_eq(q->change->changes[0]->path, cases[i].path);
		cr_expect_str_eq(q->change->changes[0]->value, cases[i].value);
		finish(&r, q);
	}
}

Test(request, elements_come_and_go)
{
	Nl__OperatorRequest *q;
	struct rig r;

	q = ASKED_BY(&r, "nat", "static", "add", "192.168.30.50", "203.0.113.7", "--vrf", "blue");
	cr_expect_eq(q->change->changes[0]->how, NL__CHANGE__HOW__ADD);
	cr_expect_str_eq(q->change->changes[0]->value,
		"{inside: \"192.168.30.50\", outside: \"203.0.113.7\", vrf: \"blue\"}");
	finish(&r, q);
	q = ASKED_BY(&r, "no", "ip", "nat", "inside", "source", "static", "192.168.30.50",
		"203.0.113.7");
	cr_expect_eq(q->change->changes[0]->how, NL__CHANGE__HOW__REMOVE);
	cr_expect_str_eq(q->change->changes[0]->value,
		"{inside: \"192.168.30.50\", outside: \"203.0.113.7\"}");
	finish(&r, q);
	q = ASKED_BY(&r, "nat", "publish", "del", "tcp", "8080");
	cr_expect_str_eq(q->change->changes[0]->path, "nat.publish");
	finish(&r, q);
}

Test(request, configuration)
{
	static const struct {
		const char *words[3];
		Nl__ConfigRequest__What what;
		const char *path;
	} cases[] = {
		{{"config", "show"}, NL__CONFIG_REQUEST__WHAT__RUNNING, ""},
		{{"config", "show", "dhcp.range"}, NL__CONFIG_REQUEST__WHAT__RUNNING, "dhcp.range"},
		{{"config", "diff", "nat"}, NL__CONFIG_REQUEST__WHAT__CHANGED, "nat"},
		{{"config", "unsaved"}, NL__CONFIG_REQUEST__WHAT__UNSAVED, ""},
		{{"nat", "get"}, NL__CONFIG_REQUEST__WHAT__RUNNING, "nat"},
		{{"nat", "get", "mtu"}, NL__CONFIG_REQUEST__WHAT__RUNNING, "nat.mtu"},
		{{"DhcpGet"}, NL__CONFIG_REQUEST__WHAT__RUNNING, "dhcp"},
		{{"dns", "get"}, NL__CONFIG_REQUEST__WHAT__RUNNING, "dns"},
		{{"dhcp", "reserve", "list"}, NL__CONFIG_REQUEST__WHAT__RUNNING,
			"dhcp.reservations"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *words[4] = {0};
		Nl__OperatorRequest *q;
		struct rig r;

		memcpy(words, cases[i].words, sizeof(cases[i].words));
		q = asked_by(&r, words);
		cr_assert_eq(q->msg_case, NL__OPERATOR_REQUEST__MSG_CONFIG);
		cr_expect_eq(q->config->what, cases[i].what);
		cr_expect_str_eq(q->config->path, cases[i].path);
		cr_expect_not(q->config->json);
		finish(&r, q);
	}
}

Test(request, a_hubs_configuration_is_the_first_hubs)
{
	Nl__OperatorRequest *q;
	struct sample s;
	struct rig r;

	sample_status(&s);
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__HUBS, (const ProtobufCMessage *[]){&s.hub.base}, 1, true);
	rig_done(&r, "enable: true");
	cr_assert_eq(RUN(&r, "hub", "get"), CTL_OK, "%s", r.err_text);
	nl__operator_request__free_unpacked(rig_request(&r), NULL);
	q = rig_request(&r);
	cr_expect_str_eq(q->config->hub, "default");
	cr_expect_str_eq(q->config->path, "");
	finish(&r, q);
	q = ASKED_BY(&r, "--hub", "lab", "hub", "get", "host");
	cr_expect_str_eq(q->config->hub, "lab");
	cr_expect_str_eq(q->config->path, "host");
	finish(&r, q);
}

Test(request, texts_come_in_parts)
{
	Nl__OperatorRequest *q;
	struct rig r;

	rig_open(&r);
	rig_part(&r, "nat:\n  mtu: 14", false);
	rig_part(&r, "00\n", true);
	cr_assert_eq(RUN(&r, "config", "show", "nat"), CTL_OK, "%s", r.err_text);
	cr_expect_str_eq(r.out_text, "nat:\n  mtu: 1400\n");
	rig_close(&r);
	rig_open(&r);
	rig_part(&r, "{\"nat\":{\"mtu\":1400}}", true);
	cr_assert_eq(RUN(&r, "-o", "json", "config", "show", "nat"), CTL_OK, "%s", r.err_text);
	cr_expect_not_null(strstr(r.out_text, "\"config\":{\"nat\":{\"mtu\":1400}}"));
	q = rig_request(&r);
	cr_expect(q->config->json);
	finish(&r, q);
	rig_open(&r);
	rig_part(&r, "half", false);
	rig_fail(&r, "no such key", 4);
	cr_expect_eq(RUN(&r, "config", "show", "x"), CTL_NO_MATCH);
	cr_expect_str_empty(r.out_text);
	rig_close(&r);
}

/* The file is opened here and goes along, so that the supervisor needs no right to it. */
Test(request, a_file_to_be_tested_goes_along)
{
	char path[] = "/tmp/natlock-ctl-XXXXXX", byte, control[CMSG_SPACE(sizeof(int))];
	uint8_t bytes[256];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	int fd = mkstemp(path), got;
	struct rig r;

	cr_assert_eq(write(fd, "x", 1), 1);
	rig_open(&r);
	rig_done(&r, "");
	cr_assert_eq(RUN(&r, "config", "test", path), CTL_OK, "%s", r.err_text);
	cr_assert_gt(recvmsg(r.far, &m, 0), 0);
	cr_assert_not_null(CMSG_FIRSTHDR(&m));
	memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(got));
	cr_expect_eq(read(got, &byte, 1), 1);
	cr_expect_eq(byte, 'x');
	rig_close(&r);
	rig_open(&r);
	rig_fail(&r, "FILE:12:5: unknown key \"mtuu\" in nat", 6);
	cr_expect_eq(RUN(&r, "config", "test", path), CTL_CONFIG);
	cr_expect_not_null(strstr(r.err_text, path), "%s", r.err_text);
	cr_expect_not_null(strstr(r.err_text, ":12:5: unknown key \"mtuu\" in nat\n"));
	cr_expect_null(strstr(r.err_text, "FILE"));
	rig_close(&r);
	unlink(path);
	rig_open(&r);
	cr_expect_eq(RUN(&r, "config", "test", path), CTL_CONFIG);
	cr_expect_not_null(strstr(r.err_text, "No such file or directory"));
	rig_close(&r);
}

Test(request, the_rest)
{
	Nl__OperatorRequest *q;
	struct rig r;

	q = ASKED_BY(&r, "drain", "--for", "60s");
	cr_assert_eq(q->msg_case, NL__OPERATOR_REQUEST__MSG_DRAIN);
	cr_expect_eq(q->drain->for_ms, 60000);
	finish(&r, q);
	q = ASKED_BY(&r, "drain", "--for=5");
	cr_expect_eq(q->drain->for_ms, 5000);
	finish(&r, q);
	q = ASKED_BY(&r, "drain");
	cr_expect_not(q->drain->has_for_ms);
	finish(&r, q);
	q = ASKED_BY(&r, "reload");
	cr_expect_eq(q->msg_case, NL__OPERATOR_REQUEST__MSG_RELOAD);
	finish(&r, q);
	q = ASKED_BY(&r, "--hub", "lab", "session", "kick", "tap:x");
	cr_expect_str_eq(q->kick->session, "tap:x");
	cr_expect_str_eq(q->kick->hub, "lab");
	finish(&r, q);
	q = ASKED_BY(&r, "SessionDisconnect", "tap:x");
	cr_expect_str_eq(q->kick->session, "tap:x");
	finish(&r, q);
}
