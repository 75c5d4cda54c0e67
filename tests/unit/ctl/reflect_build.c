/* reflect_build.c as the user meets it: golden texts with file, line and column. */
#include <criterion/criterion.h>

#include "golden.h"

Test(reflect_build, unknown_keys)
{
	static const struct golden cases[] = {
		{HUB("nat:\n      enable: true\n      mtuu: 1400"),
			"natlock.yaml:5:7: unknown key \"mtuu\" in nat. Did you mean \"mtu\"?"},
		{HUB("dchp: {}"), "natlock.yaml:3:5: unknown key \"dchp\" in hubs.default. Did you "
				  "mean \"dhcp\"?"},
		{"hub: {}\n", "natlock.yaml:1:1: unknown key \"hub\". Did you mean \"hubs\"?"},
		{"zzzzzz: {}\n", "natlock.yaml:1:1: unknown key \"zzzzzz\". Known keys: hubs, log, "
				 "api, policy"},
		{"log: {\"sty\\x1ble\": json}\n",
			"natlock.yaml:1:7: unknown key \"sty?le\" in log. Did you mean \"style\"?"},
		{HUB("dhcp: {range: {form: 192.168.30.10, to: 192.168.30.20}}"),
			"natlock.yaml:3:20: unknown key \"form\" in dhcp.range. Did you mean "
			"\"from\"?"},
		{HUB("name: x"), "natlock.yaml:3:5: the name is already given: \"hubs.default\""},
	};
	CHECK(cases);
}

Test(reflect_build, values_of_the_wrong_kind)
{
	static const struct golden cases[] = {
		{HUB("nat: {mtu: 15oo}"), "natlock.yaml:3:16: nat.mtu: \"15oo\" is not a whole "
					  "number from 0 to 4294967295"},
		{HUB("nat: {mtu: -1}"), "natlock.yaml:3:16: nat.mtu: \"-1\" is not a whole number "
					"from 0 to 4294967295"},
		{HUB("nat: {mtu: 99999999999999999999999}"),
			"natlock.yaml:3:16: nat.mtu: \"99999999999999999999999\" is not a whole "
			"number from 0 to 4294967295"},
		{HUB("nat: {mtu: }"), "natlock.yaml:3:16: nat.mtu has no value: it should be a "
				      "whole number from 0 to 4294967295"},
		{HUB("nat: {mtu: [1500]}"), "natlock.yaml:3:16: nat.mtu is a list here, but should "
					    "be a whole number from 0 to 4294967295"},
		{HUB("nat: {enable: yes}"),
			"natlock.yaml:3:19: nat.enable: \"yes\" is not true or false"},
		{HUB("nat: {icmp: ecoh}"), "natlock.yaml:3:17: nat.icmp: unknown word \"ecoh\". "
					   "Did you mean \"echo\"?"},
		{HUB("nat: {icmp: forward}"), "natlock.yaml:3:17: nat.icmp: unknown word "
					      "\"forward\". It may be one of: echo, dummy"},
		{HUB("nat: {tcp_timeout: 7200}"),
			"natlock.yaml:3:24: nat.tcp_timeout: \"7200\" is not a time with its unit, "
			"such as 7200s, 10m or 100ms"},
		{HUB("host: {address: 192.168.30.256}"),
			"natlock.yaml:3:21: host.address: \"192.168.30.256\" is not an IPv4 "
			"address such as 192.168.30.1"},
		{HUB("host: {mac: 00:AC:85}"), "natlock.yaml:3:17: host.mac: \"00:AC:85\" is not a "
					       "MAC address such as 00:AC:85:40:B5:50, or auto"},
		{HUB("dhcp: {dns: 192.168.30.1}"),
			"natlock.yaml:3:17: dhcp.dns: \"192.168.30.1\" is not a list in brackets"},
		{HUB("nat: 5"),
			"natlock.yaml:3:10: nat: \"5\" is not a mapping with keys of its own"},
		{"hubs: 5\n", "natlock.yaml:1:7: hubs: \"5\" is not a mapping from names to what "
			      "they mean"},
		{"log: {file: \"a\\nb\"}\n",
			"natlock.yaml:1:13: log.file: \"a?b\" is not free of control characters"},
		{"just words\n", "natlock.yaml:1:1: this is not a configuration: it should begin "
				 "with a key such as \"hubs:\""},
	};
	CHECK(cases);
}

Test(reflect_build, elements_inherit_everything_but_the_name)
{
	static const struct golden cases[] = {
		{"hubs: [{enable: true}]\n", "natlock.yaml:1:8: hubs: \"\" is no name for a hub: 1 "
					     "to 32 letters, digits, and inside - _ ."},
		{"hubs: [{name: a}, {name: b, nat: {mtu: 1400}}]\n", ""},
	};
	CHECK(cases);
}

Test(reflect_build, a_mapping_of_a_range_does_not_mix_with_the_old_one)
{
	cr_expect_str_eq(conf_says("hubs: {a: {dhcp: {range: {to: 192.168.30.9}}}}", 46),
		"natlock.yaml:1:26: dhcp.range needs both from: and to:");
}
