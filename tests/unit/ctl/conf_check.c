/* conf_check.c as the user meets it: golden texts with file, line and column. */
#include <criterion/criterion.h>

#include "golden.h"

Test(conf_check, ranges)
{
	static const struct golden cases[] = {
		{HUB("nat: {mtu: 575}"),
			"natlock.yaml:3:16: nat.mtu 575 is out of range: 576 to 65520"},
		{HUB("shards: 9"),
			"natlock.yaml:3:13: shards \"9\" should be auto or a number from 1 to 8"},
		{HUB("shards: 0"),
			"natlock.yaml:3:13: shards \"0\" should be auto or a number from 1 to 8"},
		{HUB("shards: two"),
			"natlock.yaml:3:13: shards \"two\" should be auto or a number from 1 to 8"},
		{HUB("shards: 8"), ""},
		{HUB("shards: auto"), ""},
		{HUB("nat: {mtu: 65521}"),
			"natlock.yaml:3:16: nat.mtu 65521 is out of range: 576 to 65520"},
		{HUB("nat: {udp_timeout: 0s}"),
			"natlock.yaml:3:24: nat.udp_timeout 0s is out of range: 1s to 2592000s"},
		{HUB("dhcp: {lease: 400d}"), "natlock.yaml:3:19: dhcp.lease 34560000s is out of "
					     "range: 10s to 31536000s"},
		{HUB("alg: {segment_max: 65537}"),
			"natlock.yaml:3:24: alg.segment_max 65537 is out of range: 64 to 65536"},
		{HUB("limits: {syn_sent_per_host: 0}"),
			"natlock.yaml:3:33: limits.syn_sent_per_host 0 is out of range: 1 to "
			"65536"},
		{HUB("alg: {ftp: {ports: [21, 0]}}"),
			"natlock.yaml:3:29: alg.ftp.ports: 0 is out of range: 1 to 65535"},
		{HUB("alg: {ftp: {ports: [21, 21]}}"),
			"natlock.yaml:3:29: alg.ftp.ports: 21 is given twice"},
		{HUB("alg: {ftp: {ports: []}}"), "natlock.yaml:3:24: alg.ftp.ports is empty: name "
						 "a port, or say enable: false"},
		{"policy: {restart_backoff_min: 20s}\n",
			"natlock.yaml:1:31: policy.restart_backoff_min is longer than "
			"policy.restart_backoff_max"},
		{"policy: {restart_backoff_max: 50ms}\n",
			"natlock.yaml:1:31: policy.restart_backoff_min is longer than "
			"policy.restart_backoff_max"},
		{HUB("nat: {mtu: 576, tcp_timeout: 1s}\n    alg: {segment_max: 65536}"), ""},
	};
	CHECK(cases);
}

Test(conf_check, addresses_that_do_not_agree)
{
	static const struct golden cases[] = {
		{HUB("host: {address: 192.168.30.1}\n    dhcp: {range: {from: 192.168.30.10, to: "
		     "192.168.31.9}}"),
			"natlock.yaml:4:19: dhcp.range 192.168.30.10-192.168.31.9 is not inside "
			"192.168.30.0/24 (host.address, line 3)"},
		{HUB("host: {address: 10.0.0.1}"),
			"natlock.yaml: dhcp.range 192.168.30.10-192.168.30.200 is not inside "
			"10.0.0.0/24 (host.address, line 3)"},
		{HUB("dhcp: {range: 192.168.30.20-192.168.30.10}"),
			"natlock.yaml:3:19: dhcp.range 192.168.30.20-192.168.30.10 runs backwards: "
			"swap from: and to:"},
		{HUB("dhcp: {range: {from: 192.168.30.10}}"),
			"natlock.yaml:3:19: dhcp.range needs both from: and to:"},
		{HUB("dhcp: {range: 192.168.30.1-192.168.30.1}"),
			"natlock.yaml:3:19: dhcp.range 192.168.30.1-192.168.30.1 holds only the "
			"gateway's own address"},
		{HUB("dhcp: {netmask: 255.255.255.192}"),
			"natlock.yaml: dhcp.range 192.168.30.10-192.168.30.200 does not fit "
			"dhcp.netmask (line 3): guests could not reach host.address"},
		{HUB("host: {netmask: 255.0.255.0}"),
			"natlock.yaml:3:21: host.netmask 255.0.255.0 is not a netmask: its "
			"one-bits must come first, as in 255.255.255.0"},
		{HUB("host: {netmask: 255.255.255.254}"),
			"natlock.yaml:3:21: host.netmask 255.255.255.254 is out of range: "
			"255.0.0.0 to 255.255.255.252"},
		{HUB("host: {address: 192.168.30.255}"),
			"natlock.yaml:3:21: host.address 192.168.30.255 cannot be a station's "
			"address in 192.168.30.0/24. Choose one such as 192.168.30.1"},
		{HUB("host: {address: 127.0.0.1}"),
			"natlock.yaml:3:21: host.address 127.0.0.1 cannot be a station's address "
			"in 127.0.0.0/24. Choose one such as 192.168.30.1"},
		{HUB("host: {mac: 01:00:5e:00:00:01}"),
			"natlock.yaml:3:17: host.mac is a multicast address: its first octet must "
			"be even"},
		{HUB("dhcp: {gateway: 192.168.31.1}"),
			"natlock.yaml:3:21: dhcp.gateway 192.168.31.1 is not inside "
			"192.168.30.0/24 (host.address, default)"},
		{HUB("dhcp: {gateway: nonee}"),
			"natlock.yaml:3:21: dhcp.gateway: \"nonee\" is neither an IPv4 address "
			"such as 192.168.30.1 nor none"},
		{HUB("dhcp: {dns: [8.8.8.8, 224.0.0.1]}"), "natlock.yaml:3:27: dhcp.dns: no guest "
							   "can reach a nameserver at 224.0.0.1"},
		{HUB("dhcp: {domain: -x}"), "natlock.yaml:3:20: dhcp.domain: \"-x\" is not a "
					    "domain such as lab.example, nor host or none"},
	};
	CHECK(cases);
}

Test(conf_check, reservations_and_published_ports)
{
	static const struct golden cases[] = {
		{HUB("dhcp: {reservations: [{mac: \"00:AC:85:40:B5:50\", address: 192.168.30.20, "
		     "name: nt4},"
		     " {mac: \"00:AC:85:40:B5:50\", address: 192.168.30.21}]}"),
			"natlock.yaml:3:90: dhcp.reservations: 00:AC:85:40:B5:50 is already "
			"reserved (line 3)"},
		{HUB("dhcp:\n      reservations:\n"
		     "        a: {mac: \"00:AC:85:40:B5:50\", address: 192.168.30.20}\n"
		     "        b: {mac: \"00:AC:85:40:B5:51\", address: 192.168.30.20}"),
			"natlock.yaml:6:12: dhcp.reservations: 192.168.30.20 is already reserved "
			"(line 5)"},
		{HUB("dhcp: {reservations: [{mac: \"00:AC:85:40:B5:50\", address: 10.0.0.1}]}"),
			"natlock.yaml:3:27: dhcp.reservations: address 10.0.0.1 is not inside "
			"192.168.30.0/24 (host.address, default)"},
		{HUB("dhcp: {reservations: [{mac: \"00:AC:85:40:B5:50\", address: 192.168.30.1}]}"),
			"natlock.yaml:3:27: dhcp.reservations: 192.168.30.1 is the gateway's own "
			"(host.address, default)"},
		{HUB("dhcp: {reservations: [{mac: auto, address: 192.168.30.9}]}"),
			"natlock.yaml:3:27: dhcp.reservations needs {mac: \"00:AC:85:40:B5:50\", "
			"address: 192.168.30.20}"},
		{HUB("nat: {publish: [{proto: tcp, listen: \"127.0.0.1:8080\"}]}"),
			"natlock.yaml:3:21: nat.publish needs all of {proto: tcp, listen: "
			"\"127.0.0.1:8080\", to: \"192.168.30.10:80\"}"},
		{HUB("nat: {publish: [{proto: tcp, listen: \"127.0.0.1:0\", to: "
		     "\"192.168.30.10:80\"}]}"),
			"natlock.yaml:3:21: nat.publish: port 0 is out of range: 1 to 65535"},
		{HUB("nat:\n      publish:\n"
		     "        - {proto: tcp, listen: \"0.0.0.0:8080\", to: \"192.168.30.10:80\"}\n"
		     "        - {proto: udp, listen: \"127.0.0.1:8080\", to: "
		     "\"192.168.30.10:80\"}\n"
		     "        - {proto: tcp, listen: \"127.0.0.1:8080\", to: "
		     "\"192.168.30.11:80\"}"),
			"natlock.yaml:7:11: nat.publish: 127.0.0.1:8080/tcp is already published "
			"(line 5). Choose another port"},
		{HUB("nat: {publish: [{proto: tcp, listen: \"127.0.0.1:80\", to: "
		     "\"8.8.8.8:80\"}]}"),
			"natlock.yaml:3:21: nat.publish: to 8.8.8.8 is not inside 192.168.30.0/24 "
			"(host.address, default)"},
	};
	CHECK(cases);
}

Test(conf_check, names_and_places)
{
	static const struct golden cases[] = {
		{"hubs: {}\n", "natlock.yaml:1:7: hubs is empty: name at least one hub"},
		{"hubs: {../etc: {}}\n", "natlock.yaml:1:16: hubs: \"../etc\" is no name for a "
					 "hub: 1 to 32 letters, digits, and inside - _ ."},
		{"hubs: [{enable: true}]\n", "natlock.yaml:1:8: hubs: \"\" is no name for a hub: 1 "
					     "to 32 letters, digits, and inside - _ ."},
		{"hubs: [{name: a}, {name: a}]\n", "natlock.yaml:1:19: hubs: \"a\" is given twice"},
		{HUB("attach: [tpa:nl0]"), "natlock.yaml:3:14: attach: \"tpa:nl0\" names no kind "
					   "of port. Did you mean \"tap\"?"},
		{HUB("attach: [tap]"), "natlock.yaml:3:14: attach: \"tap\" should be auto or "
				       "KIND:WHERE, such as tap:nl0"},
		{HUB("attach: [auto:x]"), "natlock.yaml:3:14: attach: \"auto:x\" should be auto or "
					  "KIND:WHERE, such as tap:nl0"},
		{"api: {socket: api.sock}\n",
			"natlock.yaml:1:15: api.socket should be auto or an absolute path"},
		{"log: {file: logs}\n",
			"natlock.yaml:1:13: log.file should be auto, none or an absolute path"},
	};
	CHECK(cases);
}

Test(conf_check, too_many)
{
	char text[4096] = "hubs: {";

	for (int i = 0; i <= CONF_HUBS_MAX; i++)
		sprintf(text + strlen(text), "h%d: {}, ", i);
	strcat(text, "}\n");
	cr_assert_str_eq(
		conf_says(text, strlen(text)), "natlock.yaml:1:7: hubs has 17 entries: at most 16");
}
