/* change.c: what is typed as changes, and what is no key, value or element. */
#include <criterion/criterion.h>

#include "algs.h"
#include "change.h"
#include "reflect_core.h"
#include "support.h"

static struct change_list list;
static char why[CHANGE_WHY];

/* "SET nat.mtu "1400"" of the i-th change. */
static const char *told(size_t i)
{
	static const char *const how[] = {"SET", "ADD", "REMOVE"};
	static char text[600];

	cr_assert_lt(i, list.count);
	snprintf(text, sizeof(text), "%s %s %s", how[list.pointer[i]->how], list.pointer[i]->path,
		list.pointer[i]->value);
	return text;
}

static void empty(void)
{
	memset(&list, 0, sizeof(list));
	why[0] = '\0';
}

Test(change, several_settings_at_once, .init = empty)
{
	cr_assert_eq(change_set(&list, "nat", "tcp_timeout=2h", why), 0, "%s", why);
	cr_assert_eq(change_set(&list, "nat", "log=false", why), 0, "%s", why);
	cr_assert_eq(change_set(&list, "dhcp", "dns=10.0.0.1,10.0.0.2", why), 0, "%s", why);
	cr_assert_eq(change_set(&list, "", "host.address=10.1.0.1", why), 0, "%s", why);
	cr_assert_eq(change_set(&list, "dhcp", "range=10.1.0.10-10.1.0.20", why), 0, "%s", why);
	cr_assert_eq(change_set(&list, "dhcp", "domain=", why), 0, "%s", why);
	cr_expect_eq(list.count, 6);
	cr_expect_str_eq(told(0), "SET nat.tcp_timeout \"2h\"");
	cr_expect_str_eq(told(1), "SET nat.log \"false\"");
	cr_expect_str_eq(told(2), "SET dhcp.dns [\"10.0.0.1\", \"10.0.0.2\"]");
	cr_expect_str_eq(told(3), "SET host.address \"10.1.0.1\"");
	cr_expect_str_eq(told(4), "SET dhcp.range \"10.1.0.10-10.1.0.20\"");
	cr_expect_str_eq(told(5), "SET dhcp.domain \"\"");
}

Test(change, keys_that_there_are_not)
{
	static const struct {
		const char *section, *word, *says;
	} cases[] = {
		{"nat", "mtuu=1", "unknown key \"nat.mtuu\". Did you mean \"mtu\"?"},
		{"nat", "qqqqqq=1", "unknown key \"nat.qqqqqq\""},
		{"nat", "mtu", "\"mtu\" is not KEY=VALUE"},
		{"nat", "=1", "\"=1\" is not KEY=VALUE"},
		{"nat", "", "\"\" is not KEY=VALUE"},
		{"nat", "mtu.x=1", "mtu has no keys below it"},
		{"nat", "publish.proto=tcp", "publish has no keys below it"},
		{"", "nat=1", "nat has keys of its own"},
		{"", "..=1", "unknown key \"..\""},
		{"nat", "mtu: 1, enable=false", "unknown key \"nat.mtu: 1, enable\""},
		{"nat", "vrf=a\nenable: false", "nat.vrf: it is too long, or has bytes"},
		{"nat", "publish=[], enable: false", "nat.publish: "},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		empty();
		cr_expect_lt(change_set(&list, cases[i].section, cases[i].word, why), 0, "%s",
			cases[i].word);
		cr_expect_eq(strncmp(why, cases[i].says, strlen(cases[i].says)), 0, "%s", why);
	}
}

Test(change, switches, .init = empty)
{
	cr_assert_eq(change_switch(&list, "nat.enable", "true", why), 0);
	cr_assert_eq(change_alg(&list, "ftp", "false", why), 0);
	cr_expect_str_eq(told(0), "SET nat.enable true");
	cr_expect_str_eq(told(1), "SET alg.ftp.enable false");
	for (enum algs_id id = 0; id < ALGS_COUNT; id++)
		cr_expect_eq(change_alg(&list, algs_name(id), "true", why), 0, "%s", why);
	cr_assert_eq(change_alg(&list, "icmp", "false", why), 0);
	cr_expect_str_eq(told(2 + ALGS_COUNT), "SET alg.icmp.enable false");
	cr_assert_eq(change_alg(&list, "ipsec", "true", why), 0);
	cr_expect_str_eq(told(3 + ALGS_COUNT), "SET alg.ipsec.esp true");
	cr_expect_lt(change_alg(&list, "ftpp", "true", why), 0);
	cr_expect_str_eq(why, "no application-level gateway \"ftpp\". It is one of ftp, tftp, dns, "
			      "rcmd, netbios, "
			      "rtsp, ldap, icmp, sip, h323, skinny, ipsec");
	cr_expect_lt(change_alg(&list, "segment_max", "true", why), 0);
	cr_expect_lt(change_alg(&list, "ftp.enable", "true", why), 0);
	cr_expect_lt(change_alg(&list, "", "true", why), 0);
}

#define ADD(PATH, VRF, ...)                                                                        \
	change_add(&list, PATH, (const char *const[]){__VA_ARGS__},                                \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), VRF, why)
#define REMOVE(PATH, VRF, ...)                                                                     \
	change_remove(&list, PATH, (const char *const[]){__VA_ARGS__},                             \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), VRF, why)

Test(change, elements, .init = empty)
{
	cr_assert_eq(ADD("nat.publish", NULL, "tcp", "8080", "192.168.30.10:80"), 0, "%s", why);
	cr_assert_eq(
		ADD("nat.publish", NULL, "udp", "0.0.0.0:53", "192.168.30.10:53", "vrf", "blue"), 0,
		"%s", why);
	cr_assert_eq(ADD("nat.static", "blue", "192.168.30.50", "203.0.113.7"), 0, "%s", why);
	cr_assert_eq(ADD("dhcp.reservations", NULL, "00-ac-85-40-b5-50", "192.168.30.20", "nt4"), 0,
		"%s", why);
	cr_assert_eq(
		ADD("dhcp.reservations", NULL, "00:AC:85:40:B5:51", "192.168.30.21"), 0, "%s", why);
	cr_expect_str_eq(told(0),
		"ADD nat.publish {proto: \"tcp\", listen: \"127.0.0.1:8080\", to: "
		"\"192.168.30.10:80\"}");
	cr_expect_str_eq(told(1), "ADD nat.publish {proto: \"udp\", listen: \"0.0.0.0:53\", to: "
				  "\"192.168.30.10:53\", vrf: \"blue\"}");
	cr_expect_str_eq(told(2), "ADD nat.static {inside: \"192.168.30.50\", outside: "
				  "\"203.0.113.7\", vrf: \"blue\"}");
	cr_expect_str_eq(told(3), "ADD dhcp.reservations {mac: \"00:AC:85:40:B5:50\", address: "
				  "\"192.168.30.20\", name: \"nt4\"}");
	cr_expect_str_eq(told(4), "ADD dhcp.reservations {mac: \"00:AC:85:40:B5:51\", address: "
				  "\"192.168.30.21\"}");
}

Test(change, removals_name_what_is_known, .init = empty)
{
	cr_assert_eq(REMOVE("nat.publish", NULL, "tcp", "8080"), 0, "%s", why);
	cr_assert_eq(REMOVE("nat.publish", NULL, "127.0.0.1:8080"), 0, "%s", why);
	cr_assert_eq(REMOVE("nat.static", NULL, "192.168.30.50"), 0, "%s", why);
	cr_assert_eq(REMOVE("dhcp.reservations", NULL, "00:AC:85:40:B5:50"), 0, "%s", why);
	cr_assert_eq(REMOVE("dhcp.reservations", NULL, "192.168.30.20"), 0, "%s", why);
	cr_assert_eq(REMOVE("dhcp.reservations", NULL, "nt4"), 0, "%s", why);
	cr_expect_str_eq(
		told(0), "REMOVE nat.publish {proto: \"tcp\", listen: \"127.0.0.1:8080\"}");
	cr_expect_str_eq(told(1), "REMOVE nat.publish {listen: \"127.0.0.1:8080\"}");
	cr_expect_str_eq(told(2), "REMOVE nat.static {inside: \"192.168.30.50\"}");
	cr_expect_str_eq(told(3), "REMOVE dhcp.reservations {mac: \"00:AC:85:40:B5:50\"}");
	cr_expect_str_eq(told(4), "REMOVE dhcp.reservations {address: \"192.168.30.20\"}");
	cr_expect_str_eq(told(5), "REMOVE dhcp.reservations {name: \"nt4\"}");
}

Test(change, elements_that_are_none, .init = empty)
{
	cr_expect_lt(ADD("nat.publish", NULL, "tcp", "8080"), 0);
	cr_expect_str_eq(why, "nat.publish takes proto listen to [vrf NAME]");
	cr_expect_lt(ADD("nat.publish", NULL, "sctp", "8080", "192.168.30.10:80"), 0);
	cr_expect_str_eq(why, "proto: \"sctp\" is not tcp or udp");
	cr_expect_lt(ADD("nat.publish", NULL, "tcp", "8080", "192.168.30.10"), 0);
	cr_expect_not_null(strstr(why, "to: \"192.168.30.10\" is not an address with a port"));
	cr_expect_lt(ADD("nat.publish", NULL, "tcp", "99999", "192.168.30.10:80"), 0);
	cr_expect_lt(ADD("nat.publish", NULL, "tcp", "1", "192.168.30.10:80", "x"), 0);
	cr_expect_lt(ADD("dhcp.reservations", "blue", "00:AC:85:40:B5:50", "192.168.30.20"), 0);
	cr_expect_str_eq(why, "dhcp.reservations takes mac address [name]");
	cr_expect_lt(REMOVE("nat.static", NULL, "1.2.3.4", "1.2.3.4", "1.2.3.4"), 0);
	cr_expect_lt(REMOVE("nat.static", NULL, "vrf", "x"), 0);
}

/* Names are the only texts that are not read as a notation. */
Test(change, names_cannot_bring_keys_along)
{
	static const char *const names[] = {"a, vrf: b", "a\"}", "a}, {proto: udp",
		"a\\\", to: \\\"b", "[a]", "{a: b}", "a: b", "#"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct reflect_error error;
		struct node_tree tree;

		empty();
		cr_assert_eq(ADD("nat.static", names[i], "192.168.30.50", "203.0.113.7"), 0);
		cr_assert_eq(node_tree_read(&tree, list.pointer[0]->value,
				     strlen(list.pointer[0]->value), &error),
			0, "%s", error.text);
		cr_expect_eq(tree.node[0].child_count, 3);
		cr_expect_str_eq(tree.node[0].child->next->next->text, names[i]);
		node_tree_free(&tree);
	}
	empty();
	cr_expect_lt(ADD("nat.static", "a\nb", "192.168.30.50", "203.0.113.7"), 0);
}

Test(change, the_list_has_an_end, .init = empty)
{
	for (int i = 0; i < CHANGES_MAX; i++)
		cr_assert_eq(change_set(&list, "nat", "mtu=1400", why), 0);
	cr_expect_lt(change_set(&list, "nat", "mtu=1400", why), 0);
	cr_expect_eq(list.count, CHANGES_MAX);
}
