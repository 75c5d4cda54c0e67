/* reflect_change.c: one value by its path; what is refused leaves the message as it was. */
#include <criterion/criterion.h>
#include <errno.h>

#include "support.h"

static char *printed_at(const Nl__Hub *hub, const char *path)
{
	struct capture c;

	capture_open(&c);
	reflect_print_at(c.file, &hub->base, NULL, path, 0);
	return capture_close(&c);
}

/* Whether the change has this outcome, and the value at `path` reads so afterwards. */
static void changes(Nl__Hub *hub, enum reflect_how how, const char *path, const char *value,
	int outcome, const char *reads)
{
	struct reflect_error error;
	char *text;

	cr_expect_eq(reflect_change(&hub->base, how, path, value, &error), outcome, "%s: %s: %s",
		path, value, error.text);
	text = printed_at(hub, path);
	cr_expect_str_eq(text, reads, "%s: %s", path, text);
	free(text);
}

Test(reflect_change, a_value_is_set_by_its_path)
{
	Nl__Config *config = conf_defaults();
	Nl__Hub *hub = config->hubs[0];

	changes(hub, REFLECT_SET, "nat.tcp_timeout", "10s", 0, "tcp_timeout: 10s\n");
	changes(hub, REFLECT_SET, "enable", "false", 0, "enable: false\n");
	changes(hub, REFLECT_SET, "dhcp.range", "10.0.0.1-10.0.0.9", 0,
		"range: 10.0.0.1-10.0.0.9\n");
	changes(hub, REFLECT_SET, "dhcp.range", "{from: 10.0.0.2, to: 10.0.0.3}", 0,
		"range: 10.0.0.2-10.0.0.3\n");
	changes(hub, REFLECT_SET, "host.mac", "00:AC:00:00:00:01", 0,
		"mac: \"00:AC:00:00:00:01\"\n");
	changes(hub, REFLECT_SET, "nat.mtu", "many", -EINVAL, "mtu: 1500\n");
	changes(hub, REFLECT_SET, "nat.mtu", "", -EINVAL, "mtu: 1500\n");
	changes(hub, REFLECT_SET, "nat.mtu", "[1", -EINVAL, "mtu: 1500\n");
	changes(hub, REFLECT_SET, "nat.mtu", "&a 1400", -EINVAL, "mtu: 1500\n");
	conf_free(config);
}

Test(reflect_change, a_section_is_merged)
{
	Nl__Config *config = conf_defaults();
	Nl__Hub *hub = config->hubs[0];
	struct reflect_error error;

	cr_assert_eq(
		reflect_change(&hub->base, REFLECT_SET, "nat", "{mtu: 1400, log: false}", &error),
		0);
	cr_expect_eq(hub->nat->mtu, 1400);
	cr_expect_not(hub->nat->log);
	cr_expect(hub->nat->enable);
	conf_free(config);
}

Test(reflect_change, elements_come_and_go)
{
	static const char one[] =
		"reservations: [{name: a, mac: \"00:AC:00:00:00:01\", address: 10.0.0.1}]\n";
	static const char path[] = "dhcp.reservations";
	Nl__Config *config = conf_defaults();
	Nl__Hub *hub = config->hubs[0];

	changes(hub, REFLECT_ADD, path, "{name: a, mac: \"00:AC:00:00:00:01\", address: 10.0.0.1}",
		0, one);
	changes(hub, REFLECT_ADD, path, "{name: a, address: 10.0.0.2}", -EINVAL, one);
	changes(hub, REFLECT_ADD, path, "{nick: b}", -EINVAL, one);
	changes(hub, REFLECT_REMOVE, path, "b", -ENOENT, one);
	changes(hub, REFLECT_REMOVE, path, "{address: 10.0.0.2}", -ENOENT, one);
	changes(hub, REFLECT_REMOVE, path, "{}", -EINVAL, one);
	changes(hub, REFLECT_REMOVE, path, "{address: 10.0.0.1}", 0, "reservations: []\n");
	changes(hub, REFLECT_ADD, path, "{name: a, mac: \"00:AC:00:00:00:01\", address: 10.0.0.1}",
		0, one);
	changes(hub, REFLECT_REMOVE, path, "a", 0, "reservations: []\n");
	changes(hub, REFLECT_ADD, "dhcp.dns", "192.168.30.2", 0,
		"dns: [192.168.30.1, 192.168.30.2]\n");
	changes(hub, REFLECT_ADD, "dhcp.dns", "192.168.30.2", -EINVAL,
		"dns: [192.168.30.1, 192.168.30.2]\n");
	changes(hub, REFLECT_REMOVE, "dhcp.dns", "192.168.30.1", 0, "dns: [192.168.30.2]\n");
	changes(hub, REFLECT_SET, "dhcp.dns", "[]", 0, "dns: []\n");
	changes(hub, REFLECT_ADD, "alg.ftp.ports", "2121", 0, "ports: [21, 2121]\n");
	changes(hub, REFLECT_ADD, "nat.mtu", "1", -EINVAL, "mtu: 1500\n");
	conf_free(config);
}

Test(reflect_change, removing_takes_all_that_fit_and_no_others)
{
	Nl__Config *config = conf_defaults();
	Nl__Hub *hub = config->hubs[0];

	changes(hub, REFLECT_SET, "nat.publish",
		"[{proto: tcp, listen: 127.0.0.1:1, to: 10.0.0.1:1}, {proto: udp, listen: "
		"127.0.0.1:2, to: 10.0.0.1:2}, "
		"{proto: tcp, listen: 127.0.0.1:3, to: 10.0.0.1:3}]",
		0,
		"publish: [{proto: tcp, listen: \"127.0.0.1:1\", to: \"10.0.0.1:1\"}, {proto: udp, "
		"listen: \"127.0.0.1:2\", to: "
		"\"10.0.0.1:2\"}, {proto: tcp, listen: \"127.0.0.1:3\", to: \"10.0.0.1:3\"}]\n");
	changes(hub, REFLECT_REMOVE, "nat.publish", "{proto: tcp}", 0,
		"publish: [{proto: udp, listen: \"127.0.0.1:2\", to: \"10.0.0.1:2\"}]\n");
	conf_free(config);
}

Test(reflect_change, a_path_that_leads_nowhere_is_said)
{
	static const struct {
		const char *path, *says;
	} rows[] = {
		{"nat.mtuu", "unknown key \"mtuu\" in nat. Did you mean \"mtu\"?"},
		{"natt", "unknown key \"natt\". Did you mean \"nat\"?"},
		{"", "\"\" is no path to a value, such as nat.tcp_timeout"},
		{".", "\".\" is no path to a value, such as nat.tcp_timeout"},
		{"nat.", "\"nat.\" is no path to a value, such as nat.tcp_timeout"},
		{"nat\n", "unknown key \"nat?\". Did you mean \"nat\"?"},
		{"host.mac.auto", "\"host.mac.auto\" leads into a value: it is set as a whole"},
		{"nat.publish.0", "\"nat.publish.0\" leads into a list: its elements are added and "
				  "removed, or all set"},
	};
	Nl__Config *config = conf_defaults();
	struct reflect_error error;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(reflect_change(&config->hubs[0]->base, REFLECT_SET, rows[i].path, "1",
				     &error),
			-EINVAL);
		cr_expect_str_eq(error.text, rows[i].says);
	}
	conf_free(config);
}

Test(reflect_change, a_value_is_taken_from_another_message)
{
	Nl__Config *from = conf_defaults(), *to = conf_defaults();
	struct reflect_error error;

	cr_assert_eq(
		reflect_change(&from->hubs[0]->base, REFLECT_SET, "dhcp.dns", "[]", &error), 0);
	cr_assert_eq(
		reflect_change(&from->hubs[0]->base, REFLECT_SET, "nat", "{mtu: 1400}", &error), 0);
	cr_assert_eq(reflect_change(&from->hubs[0]->base, REFLECT_SET, "dhcp.domain",
			     "example.test", &error),
		0);
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(reflect_take(&to->base, &from->base, "log"), 0);
		cr_expect_eq(reflect_take(&to->hubs[0]->base, &from->hubs[0]->base, "dhcp.dns"), 0);
		cr_expect_eq(reflect_take(&to->hubs[0]->base, &from->hubs[0]->base, "nat"), 0);
		cr_expect_eq(
			reflect_take(&to->hubs[0]->base, &from->hubs[0]->base, "dhcp.domain"), 0);
	}
	cr_expect(reflect_equal(&from->base, &to->base));
	cr_expect_eq(reflect_take(&to->base, &from->base, "nothing"), -EINVAL);
	conf_free(from);
	conf_free(to);
}

Test(reflect_change, a_layer_is_merged_by_name)
{
	static const char layer[] = "hubs:\n  lab: {dhcp: {dns: []}}\n  gone: {enable: false}\n  "
				    "default: {nat: {mtu: 1400}}\n";
	static const char file[] = "hubs:\n  default:\n  lab: {host: {address: 192.168.30.2}}\n";
	struct conf_error why;
	Nl__Config *config = conf_parse("f", file, strlen(file), &why);
	struct reflect_error error;

	cr_assert_not_null(config, "%s", why.text);
	cr_assert_eq(reflect_yaml_merge(&config->base, layer, strlen(layer), &error), 0, "%s",
		error.text);
	cr_assert_eq(config->n_hubs, 2);
	cr_expect_eq(config->hubs[0]->nat->mtu, 1400);
	cr_expect_eq(config->hubs[1]->nat->mtu, 1500);
	cr_expect_eq(config->hubs[1]->dhcp->n_dns, 0);
	cr_expect_eq(config->hubs[1]->host->address->be, inet_addr("192.168.30.2"));
	cr_expect_eq(reflect_yaml_merge(&config->base, "hubs: [{name: x}]", 17, &error), -EINVAL);
	cr_expect_eq(config->n_hubs, 2);
	conf_free(config);
}

Test(reflect_change, differences_are_told_by_path)
{
	Nl__Config *a = conf_defaults(), *b = conf_defaults();
	char path[2][REFLECT_PATH_BYTES];
	struct reflect_error error;

	cr_expect_eq(reflect_differences(&a->hubs[0]->base, &b->hubs[0]->base, path, 2), 0);
	reflect_change(&b->hubs[0]->base, REFLECT_SET, "nat.mtu", "1400", &error);
	reflect_change(&b->hubs[0]->base, REFLECT_ADD, "alg.ftp.ports", "2121", &error);
	reflect_change(&b->hubs[0]->base, REFLECT_SET, "dhcp.dns", "[]", &error);
	cr_expect_eq(reflect_differences(&a->hubs[0]->base, &b->hubs[0]->base, path, 2), 3);
	cr_expect_str_eq(path[0], "nat.mtu");
	cr_expect_str_eq(path[1], "dhcp.dns");
	conf_free(a);
	conf_free(b);
}

Test(reflect_change, json_of_what_differs)
{
	Nl__Config *a = conf_defaults(), *b = conf_defaults();
	struct reflect_error error;
	struct capture c;
	char *text;

	reflect_change(&b->hubs[0]->base, REFLECT_SET, "nat.mtu", "1400", &error);
	reflect_change(&b->hubs[0]->base, REFLECT_SET, "dhcp.dns", "[]", &error);
	capture_open(&c);
	cr_expect(reflect_json_at(c.file, &b->base, &a->base, NULL));
	fputc(' ', c.file);
	cr_expect(reflect_json_at(c.file, &b->hubs[0]->base, NULL, "nat.mtu"));
	fputc(' ', c.file);
	cr_expect_not(reflect_json_at(c.file, &b->base, &b->base, NULL));
	text = capture_close(&c);
	cr_expect_str_eq(text, "{\"hubs\":[{\"name\":\"default\",\"nat\":{\"mtu\":1400},\"dhcp\":{"
			       "\"dns\":[]}}]} {\"mtu\":1400} {}");
	free(text);
	conf_free(a);
	conf_free(b);
}
