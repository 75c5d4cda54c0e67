/* conf_check.c as the user meets it: golden texts with file, line and column. */
#include <criterion/criterion.h>

#include "conf_check.h"
#include "golden.h"
#include "topology.h"

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
			"natlock.yaml:3:24: alg.segment_max 65537 is out of range: 1024 to 65536"},
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

Test(conf_check, alg)
{
	static const struct golden cases[] = {
		{HUB("alg: {rcmd: {ports: [512, 513]}}"),
			"natlock.yaml:3:25: alg.rcmd.ports needs 3 ports: rexec, rlogin, rsh"},
		{HUB("alg: {netbios: {ports: [137, 138, 139, 140]}}"),
			"natlock.yaml:3:28: alg.netbios.ports needs 3 ports: names, datagrams, "
			"sessions"},
		{HUB("alg: {netbios: {ports: [], enable: false}}"), ""},
		{HUB("alg: {h323: {ports: [1720, 1719]}}"),
			"natlock.yaml:3:25: alg.h323.ports needs 3 ports: call signalling, RAS, "
			"discovery"},
		{HUB("alg: {h323: {ports: [1720, 1720, 1718]}}"),
			"natlock.yaml:3:32: alg.h323.ports: 1720 is given twice"},
		{HUB("alg: {h323_forward: true, h323: {ports: [1719, 5060, 1718], enable: false}}"), ""},
		{HUB("alg: {h323: {ports: [1720, 5060, 1718]}}"),
			"natlock.yaml:3:32: alg.h323.ports: 5060 is alg.sip's too (default). A port "
			"leads to one of them: take it out of one list, or say enable: false"},
		{HUB("alg: {tftp: {ports: [70000]}}"),
			"natlock.yaml:3:26: alg.tftp.ports: 70000 is out of range: 1 to 65535"},
		{HUB("alg: {rtsp: {ports: [554, 21]}}"),
			"natlock.yaml:3:31: alg.rtsp.ports: 21 is alg.ftp's too (default). A port "
			"leads to one of them: take it out of one list, or say enable: false"},
		{HUB("alg: {ftp: {ports: [389]}, ldap: {ports: [1002, 389]}}"),
			"natlock.yaml:3:53: alg.ldap.ports: 389 is alg.ftp's too (line 3). A port "
			"leads to one of them: take it out of one list, or say enable: false"},
		{HUB("alg: {rtsp: {ports: [554, 21]}, ftp: {enable: false}}"), ""},
		{HUB("alg: {rtsp: {ports: [554, 21], enable: false}}"), ""},
		/* one by TCP, the other by UDP */
		{HUB("alg: {tftp: {ports: [21]}}"), ""},
		{HUB("alg: {tftp: {ports: [137]}}"),
			"natlock.yaml: alg.netbios.ports: 137 is alg.tftp's too (line 3). A port "
			"leads to one of them: take it out of one list, or say enable: false"},
		{HUB("alg: {tftp: {ports: [139]}}"), ""},
		{HUB("alg: {ftp: {lists: [{guests: 7, mode: off}]}}"),
			"natlock.yaml:3:34: alg.ftp.lists: guests: there is no list 7 in "
			"nat.access_lists. Add {number: 7, permit: [192.168.30.0/24]}, or say 0 "
			"for every one"},
		{HUB("alg: {ftp: {lists: [{guests: 0, peers: 9, mode: off}]}}"),
			"natlock.yaml:3:44: alg.ftp.lists: peers: there is no list 9 in "
			"nat.access_lists. Add {number: 9, permit: [192.168.30.0/24]}, or say 0 "
			"for every one"},
		{HUB("alg: {ftp: {lists: [{guests: 0}]}}"),
			"natlock.yaml:3:25: alg.ftp.lists: an entry needs a mode: off, observe or "
			"fix. Write {guests: 10, peers: 0, mode: off}"},
		{HUB("alg: {ftp: {lists: [{mode: off}, {mode: off}, {mode: off}, {mode: off}, "
		     "{mode: fix}]}}"),
			"natlock.yaml:3:24: alg.ftp.lists has 5 entries: at most 4"},
		{HUB("nat: {access_lists: [{number: 7, permit: [10.0.0.0/8]}]}\n"
		     "    alg: {dns: {lists: [{guests: 7, peers: 7, mode: observe}]}}"),
			""},
		{HUB("alg: {segment_max: 1023}"),
			"natlock.yaml:3:24: alg.segment_max 1023 is out of range: 1024 to 65536"},
		{HUB("alg: {rcmd_sockets: 17}"),
			"natlock.yaml:3:25: alg.rcmd_sockets 17 is out of range: 0 to 16"},
		{HUB("alg: {rcmd_sockets: 0}"), ""},
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

Test(conf_check, devices_and_static_addresses)
{
	static const struct golden cases[] = {
		{HUB("nat: {vrfs: [{name: blue}]}"),
			"natlock.yaml:3:18: nat.vrfs needs {name: blue, device: eth1}"},
		{HUB("nat: {vrfs: [{name: blue, device: this-is-much-too-long}]}"),
			"natlock.yaml:3:39: nat.vrfs: \"this-is-much-too-long\" is no device's "
			"name: "
			"1 to 15 bytes without / : or blanks. See: ip link"},
		{HUB("nat: {vrfs: [{name: blue, device: ../eth1}]}"),
			"natlock.yaml:3:39: nat.vrfs: \"../eth1\" is no device's name: 1 to 15 "
			"bytes "
			"without / : or blanks. See: ip link"},
		{HUB("nat: {vrfs: [{name: none, device: eth1}]}"),
			"natlock.yaml:3:18: nat.vrfs: \"none\" is no name for a vrf: 1 to 32 "
			"letters, digits, - _ . and not none"},
		{HUB("nat: {vrfs: [{name: blue, device: eth1}, {name: blue, device: eth2}]}"),
			"natlock.yaml:3:46: nat.vrfs: \"blue\" is given twice (line 3)"},
		{HUB("nat: {vrf: blue}"), "natlock.yaml:3:16: vrf \"blue\" is not in nat.vrfs. Add "
					  "it there: {name: blue, device: eth1}"},
		{HUB("nat:\n      vrf: bleu\n      vrfs: {blue: {device: eth1}}"),
			"natlock.yaml:4:12: vrf \"bleu\" is not in nat.vrfs. Did you mean "
			"\"blue\"?"},
		{HUB("nat:\n      vrfs: {blue: {device: eth1}}\n      static:\n"
		     "        - {inside: 192.168.30.5, outside: 203.0.113.7, vrf: red}"),
			"natlock.yaml:6:61: vrf \"red\" is not in nat.vrfs. It is one of none, "
			"blue."},
		{HUB("nat: {static: [{inside: 192.168.30.5}]}"),
			"natlock.yaml:3:20: nat.static needs {inside: 192.168.30.50, outside: "
			"203.0.113.7}"},
		{HUB("nat: {static: [{inside: 10.0.0.5, outside: 203.0.113.7}]}"),
			"natlock.yaml:3:29: nat.static: inside 10.0.0.5 is not inside "
			"192.168.30.0/24 (host.address, default)"},
		{HUB("nat: {static: [{inside: 192.168.30.1, outside: 203.0.113.7}]}"),
			"natlock.yaml:3:29: nat.static: inside 192.168.30.1 is the gateway's own "
			"(host.address, default): give a guest's"},
		{HUB("nat: {static: [{inside: 192.168.30.5, outside: 192.168.30.1}]}"),
			"natlock.yaml:3:52: nat.static: outside 192.168.30.1 must be an address of "
			"this computer that is not in 192.168.30.0/24. See: ip address"},
		{HUB("nat: {static: [{inside: 192.168.30.5, outside: 224.0.0.1}]}"),
			"natlock.yaml:3:52: nat.static: outside 224.0.0.1 must be an address of "
			"this computer that is not in 192.168.30.0/24. See: ip address"},
		{HUB("nat: {static: [{inside: 192.168.30.5, outside: 203.0.113.7, ports: [22, "
		     "70000]}]}"),
			"natlock.yaml:3:77: nat.static: ports: 70000 is out of range: 1 to 65535"},
		{HUB("nat: {static: [{inside: 192.168.30.5, outside: 203.0.113.7, ports: [0]}]}"),
			"natlock.yaml:3:73: nat.static: ports: 0 is out of range: 1 to 65535"},
		{HUB("nat: {static: [{inside: 192.168.30.5, outside: 203.0.113.7, ports: [22, "
		     "22]}]}"),
			"natlock.yaml:3:77: nat.static: ports: 22 is given twice"},
		{HUB("nat:\n      static:\n"
		     "        - {inside: 192.168.30.5, outside: 203.0.113.7}\n"
		     "        - {inside: 192.168.30.6, outside: 203.0.113.7}"),
			"natlock.yaml:6:43: nat.static: 203.0.113.7 has a static address already "
			"(line 5): one inside is one outside"},
		{HUB("nat:\n      static:\n"
		     "        - {inside: 192.168.30.5, outside: 203.0.113.7}\n"
		     "        - {inside: 192.168.30.5, outside: 203.0.113.8}"),
			"natlock.yaml:6:20: nat.static: 192.168.30.5 has a static address already "
			"(line 5): one inside is one outside"},
		{HUB("nat:\n      vrfs: {blue: {device: eth1}}\n      static:\n"
		     "        - {inside: 192.168.30.5, outside: 203.0.113.7}\n"
		     "        - {inside: 192.168.30.6, outside: 203.0.113.7, vrf: blue}"),
			""},
	};
	CHECK(cases);
}

Test(conf_check, published_ports_beyond_one_rule)
{
	static const struct golden cases[] = {
		{HUB("nat: {publish: [{proto: tcp, listen: \"224.0.0.1:80\", to: "
		     "\"192.168.30.9:80\"}]}"),
			"natlock.yaml:3:21: nat.publish: no computer can listen on 224.0.0.1. Give "
			"127.0.0.1, 0.0.0.0 or an address of this computer"},
		{HUB("nat: {publish: [{proto: tcp, listen: \"192.168.30.1:80\", to: "
		     "\"192.168.30.9:80\"}]}"),
			"natlock.yaml:3:21: nat.publish: 192.168.30.1 is the hub's own side "
			"(host.address), where guests are. Listen on an address of this computer"},
		{HUB("nat: {publish: [{proto: tcp, listen: \"127.0.0.1:80\", to: "
		     "\"192.168.30.1:80\"}]}"),
			"natlock.yaml:3:21: nat.publish: to 192.168.30.1 is the gateway's own "
			"(host.address, default): give a guest's"},
		{HUB("nat:\n      vrfs: {blue: {device: eth1}}\n      publish:\n"
		     "        - {proto: tcp, listen: \"0.0.0.0:80\", to: \"192.168.30.9:80\"}\n"
		     "        - {proto: tcp, listen: \"0.0.0.0:80\", to: \"192.168.30.8:80\", vrf: "
		     "blue}"),
			""},
		{HUB("nat:\n      publish:\n"
		     "        - {proto: tcp, listen: \"0.0.0.0:80\", to: \"192.168.30.9:80\"}\n"
		     "  other:\n    attach: []\n    nat:\n      publish:\n"
		     "        - {proto: tcp, listen: \"127.0.0.1:80\", to: \"192.168.30.8:80\"}"),
			"natlock.yaml:10:11: nat.publish: 127.0.0.1:80 is already published by hub "
			"default (line 5). Choose another port"},
		{HUB("nat:\n      static:\n"
		     "        - {inside: 192.168.30.5, outside: 203.0.113.7}\n"
		     "  other:\n    nat:\n      static:\n"
		     "        - {inside: 192.168.30.5, outside: 203.0.113.7}"),
			"natlock.yaml:9:43: nat.static: 203.0.113.7 is already an outside address "
			"of hub default (line 5)"},
	};
	CHECK(cases);
}

Test(conf_check, access_lists)
{
	static const struct golden cases[] = {
		{HUB("nat: {access_lists: [{number: 100, permit: [10.0.0.0/8]}]}"),
			"natlock.yaml:3:35: nat.access_lists: number 100 is out of range: 1 to 99. "
			"Write {number: 10, permit: [192.168.30.0/25]}"},
		{HUB("nat: {access_lists: [{permit: [10.0.0.0/8]}]}"),
			"natlock.yaml:3:26: nat.access_lists: number 0 is out of range: 1 to 99. "
			"Write {number: 10, permit: [192.168.30.0/25]}"},
		{HUB("nat: {access_lists: [{number: 9, deny: [10.0.0.0/8]}, {number: 9, permit: "
		     "[10.0.0.0/8]}]}"),
			"natlock.yaml:3:68: nat.access_lists: number 9 is given twice (line 3). "
			"Choose another one"},
		{HUB("nat: {access_lists: [{number: 9}]}"),
			"natlock.yaml:3:26: nat.access_lists: list 9 is empty and would deny "
			"everything: give it permit: [192.168.30.0/24]"},
		{HUB("nat: {access_lists: [{number: 9, deny: [10.0.0.7/8]}]}"),
			"natlock.yaml:3:45: nat.access_lists: deny: 10.0.0.7/8 is one address and "
			"a "
			"length. Write the subnet: 10.0.0.0/8"},
		{HUB("nat: {access_lists: [{number: 9, deny: [10.0.0.0/8, 10.0.0.0/8]}]}"),
			"natlock.yaml:3:57: nat.access_lists: deny: 10.0.0.0/8 is given twice"},
		{HUB("nat: {source_list: 7}"),
			"natlock.yaml:3:24: nat.source_list: there is no list 7 in "
			"nat.access_lists. Add {number: 7, permit: [192.168.30.0/24]}, or say 0"},
		{HUB("nat: {destination_list: 7, access_lists: [{number: 9, deny: [0.0.0.0/0]}]}"),
			"natlock.yaml:3:29: nat.destination_list: there is no list 7 in "
			"nat.access_lists. Add {number: 7, permit: [192.168.30.0/24]}, or say 0"},
		{HUB("nat: {source_list: 99, access_lists: [{number: 99, deny: [0.0.0.0/0]}]}"),
			""},
	};
	CHECK(cases);
}

Test(conf_check, what_guests_are_told)
{
	static const struct golden cases[] = {
		{HUB("dhcp: {push_routes: [{to: 10.0.0.0/8}]}"),
			"natlock.yaml:3:26: dhcp.push_routes needs {to: 10.0.0.0/8, via: "
			"192.168.30.2}"},
		{HUB("dhcp: {push_routes: [{to: 10.0.0.1/8, via: 192.168.30.2}]}"),
			"natlock.yaml:3:31: dhcp.push_routes: to: 10.0.0.1/8 is one address and a "
			"length. Write the subnet: 10.0.0.0/8"},
		{HUB("dhcp: {push_routes: [{to: 10.0.0.0/8, via: 10.0.0.2}]}"),
			"natlock.yaml:3:48: dhcp.push_routes: via 10.0.0.2 is not inside "
			"192.168.30.0/24 (host.address, default)"},
		{HUB("dhcp:\n      push_routes:\n        - {to: 10.0.0.0/8, via: 192.168.30.2}\n"
		     "        - {to: 10.0.0.0/8, via: 192.168.30.3}"),
			"natlock.yaml:6:16: dhcp.push_routes: 10.0.0.0/8 has a route already (line "
			"5)"},
		{HUB("dhcp: {reservations: [{mac: 00:AC:00:00:00:01, address: 192.168.30.20, name: "
		     "nt4}, {mac: 00:AC:00:00:00:02, address: 192.168.30.21, name: NT4}]}"),
			"natlock.yaml:3:88: dhcp.reservations: the name NT4 is already given (line "
			"3)"},
		{HUB("dns: {upstreams: [192.168.30.1]}"),
			"natlock.yaml:3:23: dns.upstreams: 192.168.30.1 is the gateway itself "
			"(host.address, default), which would ask itself. Name a resolver, or [] "
			"for this computer's"},
		{HUB("dns: {upstreams: [224.0.0.251]}"),
			"natlock.yaml:3:23: dns.upstreams: no resolver can be at 224.0.0.251"},
		{HUB("dns: {upstreams: [9.9.9.9, 9.9.9.9]}"),
			"natlock.yaml:3:32: dns.upstreams: 9.9.9.9 is given twice"},
		{HUB("dns: {upstreams: [127.0.0.53]}"), ""},
		{HUB("dns: {cache: 16385}"),
			"natlock.yaml:3:18: dns.cache 16385 is out of range: 0 to 16384"},
	};
	CHECK(cases);
}

#define LIST7	   "nat: {access_lists: [{number: 7, permit: [10.0.0.0/8]}]}\n    "
#define NAT7(MORE) "nat: {access_lists: [{number: 7, permit: [10.0.0.0/8]}], " MORE "}\n    "
#define PUBLISH(PROTO, LISTEN)                                                                     \
	"publish: [{proto: " PROTO ", listen: \"" LISTEN "\", to: \"192.168.30.9:500\"}]"

Test(conf_check, ipsec)
{
	static const struct golden cases[] = {
		{HUB("alg: {ipsec: {esp: true}}"), ""},
		{HUB("shards: 1\n    " LIST7 "alg: {ipsec: {esp: true, preserve_port_list: 7, "
		     "spi_match_list: 7}}"),
			""},
		{HUB("alg: {ipsec: {preserve_port_list: 7}}"),
			"natlock.yaml:3:39: alg.ipsec.preserve_port_list: there is no list 7 in "
			"nat.access_lists. Add {number: 7, permit: [192.168.30.0/24]}, or say 0 "
			"for none"},
		{HUB(LIST7 "alg: {ipsec: {esp: true, spi_match_list: 8}}"),
			"natlock.yaml:4:46: alg.ipsec.spi_match_list: there is no list 8 in "
			"nat.access_lists. Add {number: 8, permit: [192.168.30.0/24]}, or say 0 "
			"for none"},
		{HUB(LIST7 "alg: {ipsec: {spi_match_list: 7}}"),
			"natlock.yaml:4:35: alg.ipsec.spi_match_list is about ESP, and "
			"alg.ipsec.esp is "
			"false (default): it would do nothing. Say esp: true, or spi_match_list: "
			"0"},
		{HUB(LIST7 "alg: {ipsec: {esp: false, spi_match_list: 7}}"),
			"natlock.yaml:4:47: alg.ipsec.spi_match_list is about ESP, and "
			"alg.ipsec.esp is "
			"false (line 4): it would do nothing. Say esp: true, or spi_match_list: 0"},
		{HUB("shards: 2\n    alg: {ipsec: {esp: true}}"),
			"natlock.yaml:4:24: alg.ipsec.esp needs shards: 1, as what comes for all "
			"guests is heard at one place; shards is 2 (line 3). Set "
			"hubs.default.shards to 1"},
		{HUB("shards: 8\n    " LIST7 "alg: {ipsec: {preserve_port_list: 7}}"),
			"natlock.yaml:5:39: alg.ipsec.preserve_port_list needs shards: 1, as what "
			"comes "
			"for all guests is heard at one place; shards is 8 (line 3). Set "
			"hubs.default.shards to 1"},
		{HUB("shards: 8\n    alg: {ipsec: {esp: false}}"), ""},
		{HUB("alg: {ipsec: {esp: maybe}}"),
			"natlock.yaml:3:24: alg.ipsec.esp: \"maybe\" is not true or false"},
	};
	CHECK(cases);
}

/* A socket of any address has the port of every address; of another device it has not. */
Test(conf_check, ikes_port_is_one_sockets)
{
	static const struct golden cases[] = {
		{HUB(NAT7(PUBLISH("udp", "0.0.0.0:500")) "alg: {ipsec: {preserve_port_list: 7}}"),
			"natlock.yaml:4:39: alg.ipsec.preserve_port_list takes UDP port "
			"500, which "
			"nat.publish has already (line 3): a port is one socket's. Take it "
			"out there, "
			"or say preserve_port_list: 0"},
		{HUB(NAT7(PUBLISH("udp", "127.0.0.1:500")) "alg: {ipsec: {preserve_port_list: 7}}"),
			"natlock.yaml:4:39: alg.ipsec.preserve_port_list takes UDP port "
			"500, which "
			"nat.publish has already (line 3): a port is one socket's. Take it "
			"out there, "
			"or say preserve_port_list: 0"},
		{HUB(NAT7("static: [{inside: 192.168.30.5, outside: 203.0.113.7, ports: "
			  "[22, 500]}]") "alg: {ipsec: {preserve_port_list: 7}}"),
			"natlock.yaml:4:39: alg.ipsec.preserve_port_list takes UDP port "
			"500, which "
			"nat.static has already (line 3): a port is one socket's. Take it "
			"out there, "
			"or say preserve_port_list: 0"},
		{HUB(NAT7(PUBLISH("udp", "0.0.0.0:500")) "alg: {ipsec: {preserve_port_list: 0}}"),
			""},
		{HUB(NAT7(PUBLISH("tcp", "0.0.0.0:500")) "alg: {ipsec: {preserve_port_list: 7}}"),
			""},
		{HUB(NAT7(PUBLISH("udp", "0.0.0.0:4500")) "alg: {ipsec: {preserve_port_list: 7}}"),
			""},
		{HUB(NAT7("vrfs: {blue: {device: eth1}, red: {device: eth2}}, vrf: "
			  "blue, static: [{inside: "
			  "192.168.30.5, outside: 203.0.113.7, ports: [500], vrf: "
			  "red}]") "alg: {ipsec: {preserve_port_list: 7}}"),
			""},
		{HUB(NAT7("vrfs: {blue: {device: eth1}, red: {device: eth2}}, vrf: "
			  "blue, static: [{inside: "
			  "192.168.30.5, outside: 203.0.113.7, ports: [500], vrf: "
			  "none}]") "alg: {ipsec: {preserve_port_list: 7}}"),
			"natlock.yaml:4:39: alg.ipsec.preserve_port_list takes UDP port "
			"500, which "
			"nat.static has already (line 3): a port is one socket's. Take it "
			"out there, "
			"or say preserve_port_list: 0"},
	};
	CHECK(cases);
}

#define TWO(FIRST, SECOND)                                                                         \
	"hubs:\n  one:\n    attach: []\n    " FIRST "\n  two:\n    attach: []\n    " SECOND "\n"
#define SEVEN "access_lists: [{number: 7, permit: [10.0.0.0/8]}]"
#define KEEPS "alg: {ipsec: {preserve_port_list: 7}}"

Test(conf_check, ipsec_is_one_hubs)
{
	static const struct golden cases[] = {
		{TWO("alg: {ipsec: {esp: true}}", "alg: {ipsec: {esp: true}}"),
			"natlock.yaml:7:24: alg.ipsec.esp: hub one has ESP already (line 4), and "
			"what "
			"comes cannot be told apart. Leave it to one of them: esp: false"},
		{TWO("enable: false\n    alg: {ipsec: {esp: true}}", "alg: {ipsec: {esp: true}}"),
			"natlock.yaml:8:24: alg.ipsec.esp: hub one has ESP already (line 5), and "
			"what "
			"comes cannot be told apart. Leave it to one of them: esp: false"},
		{TWO("alg: {ipsec: {esp: true}}", "nat: {" SEVEN "}\n    " KEEPS), ""},
		{TWO("nat: {" SEVEN "}\n    " KEEPS, "nat: {" SEVEN "}\n    " KEEPS),
			"natlock.yaml:9:39: alg.ipsec.preserve_port_list: hub one has port 500 "
			"already "
			"(line 5). Say 0 in one of them, or give each a nat.vrf of its own"},
		{TWO("nat: {" SEVEN ", vrfs: {b: {device: eth1}}, vrf: b}\n    " KEEPS,
			 "nat: {" SEVEN "}\n    " KEEPS),
			"natlock.yaml:9:39: alg.ipsec.preserve_port_list: hub one has port 500 "
			"already "
			"(line 5). Say 0 in one of them, or give each a nat.vrf of its own"},
		{TWO("nat: {" SEVEN ", vrfs: {b: {device: eth1}}, vrf: b}\n    " KEEPS,
			 "nat: {" SEVEN ", vrfs: {b: {device: eth2}}, vrf: b}\n    " KEEPS),
			""},
		{TWO("nat: {" SEVEN "}\n    " KEEPS, "nat: {" PUBLISH("udp", "10.0.0.1:500") "}"),
			"natlock.yaml:5:39: alg.ipsec.preserve_port_list takes UDP port 500, which "
			"nat.publish of hub two has already (line 8): a port is one socket's. Take "
			"it "
			"out there, or say preserve_port_list: 0"},
		{TWO("nat: {" PUBLISH("udp", "10.0.0.1:500") "}", "nat: {" SEVEN "}\n    " KEEPS),
			"natlock.yaml:8:39: alg.ipsec.preserve_port_list takes UDP port 500, which "
			"nat.publish of hub one has already (line 4): a port is one socket's. Take "
			"it "
			"out there, or say preserve_port_list: 0"},
	};
	CHECK(cases);
}

/* auto is another number of shards on another computer. */
Test(conf_check, ipsec_where_auto_is_one_shard)
{
	static const char text[] = "hubs: {default: {alg: {ipsec: {esp: true}}}}\n";
	struct conf_error error = {0};
	struct conf_check c = {NULL, &error};
	Nl__Config *config = conf_defaults();
	Nl__Hub *hub = config->hubs[0];

	hub->alg->ipsec->esp = true;
	cr_expect_eq(conf_check_ipsec(&c, hub, 7), 0);
	cr_expect_lt(conf_check_ipsec(&c, hub, 8), 0);
	cr_expect_str_eq(error.text, "alg.ipsec.esp needs shards: 1, as what comes for all guests "
				     "is heard at one place; "
				     "shards is auto, which is 2 on this computer (default). Set "
				     "hubs.default.shards to 1");
	conf_free(config);
	cr_expect_eq(conf_says(text, strlen(text))[0] != '\0',
		conf_shards("auto", conf_processors()) > 1, "as this computer is");
}

/* 32 routes of 9 bytes do not fit into one option. */
Test(conf_check, routes_that_do_not_fit)
{
	char text[2048] = "hubs: {default: {dhcp: {push_routes: [";

	for (int i = 0; i < 32; i++)
		sprintf(text + strlen(text), "{to: 10.0.0.%d/32, via: 192.168.30.2}, ", i);
	strcat(text, "]}}}\n");
	cr_assert_str_eq(conf_says(text, strlen(text)), "natlock.yaml:1:38: dhcp.push_routes take "
							"293 bytes of the option, which holds 255: "
							"give fewer or wider subnets");
}

Test(conf_check, ports_of_the_hub)
{
	static const struct golden cases[] = {
		{HUB("attach: [\"vde:/run/vde\"]"),
			"natlock.yaml:3:14: attach: \"vde:/run/vde\": vde is not supported. Join a "
			"VDE switch by a TAP: vde_plug2tap and tap:NAME"},
		{HUB("attach: [\"tap:a/b\"]"),
			"natlock.yaml:3:14: attach: \"tap:a/b\" names no device: 1 to 15 bytes "
			"without / : or blanks. See: ip link"},
		{HUB("attach: [\"bridge:sixteen-letters-\"]"),
			"natlock.yaml:3:14: attach: \"bridge:sixteen-letters-\" names no device: 1 "
			"to "
			"15 bytes without / : or blanks. See: ip link"},
		{HUB("attach: [\"qemu:vm.sock\"]"),
			"natlock.yaml:3:14: attach: \"qemu:vm.sock\" should name an absolute path, "
			"such as qemu:/run/vm1.sock"},
		{HUB("attach: [\"pid:x\"]"),
			"natlock.yaml:3:14: attach: \"pid:x\" should end with a number"},
		{HUB("attach: [\"tap:nl0\", \"veth:nl0\"]"),
			"natlock.yaml:3:25: attach: \"veth:nl0\" is given twice"},
		{HUB("attach: [\"tap:nl0\"]\n  other:\n    attach: [\"tap:nl0\"]"),
			"natlock.yaml:5:14: attach: \"tap:nl0\" is a port of hub default already "
			"(line 3). A port belongs to one hub: name another one"},
		{"hubs:\n  laboratory-of-one: {}\n  laboratory-of-two: {}\n",
			"natlock.yaml: attach: \"auto\" is a port of hub laboratory-of-one already "
			"(default). Give the hubs names that differ in the first 12 letters"},
		{HUB("attach: [\"tap:nl0\"]\n  other: {enable: false, attach: [\"tap:nl0\"]}"),
			"natlock.yaml:4:35: attach: \"tap:nl0\" is a port of hub default already "
			"(line 3). A port belongs to one hub: name another one"},
		{HUB("attach: []\n    nat: {publish: [{proto: tcp, listen: \"0.0.0.0:80\", to: "
		     "\"192.168.30.9:80\"}]}\n  other:\n    enable: false\n    attach: []\n    "
		     "nat: "
		     "{publish: [{proto: tcp, listen: \"0.0.0.0:80\", to: "
		     "\"192.168.30.9:80\"}]}"),
			""},
		{HUB("attach: [auto, \"bridge:br0\", \"netns:a\", \"fd:7\"]"), ""},
	};
	CHECK(cases);
}

Test(conf_check, what_is_natlocks_own)
{
	static const struct golden cases[] = {
		{"log: {journal: yes}\n",
			"natlock.yaml:1:16: log.journal: unknown word \"yes\". It "
			"is one of auto, true, false."},
		{"log: {journal: ture}\n", "natlock.yaml:1:16: log.journal: unknown word \"ture\". "
					   "Did you mean \"true\"?"},
		{"log: {keep_days: 40000}\n",
			"natlock.yaml:1:18: log.keep_days 40000 is out of range: 0 to 36500"},
		{"log: {style: sekurenat}\n", "natlock.yaml:1:14: log.style: unknown word "
					      "\"sekurenat\". Did you mean \"securenat\"?"},
		{"api: {socket: /run/natlock/}\n",
			"natlock.yaml:1:15: api.socket is a folder: name "
			"a file in it, as in /run/natlock/api"},
		{"api: {socket: /123456789012345678901234567890123456789012345678901234567890123456"
		 "7890123456789012345678901234567890x}\n",
			"natlock.yaml:1:15: api.socket is too long: at most 101 bytes, as in "
			"/run/natlock/api"},
		{HUB("limits: {dns_sessions_per_host: 0}"),
			"natlock.yaml:3:37: limits.dns_sessions_per_host 0 is out of range: 1 to "
			"65536"},
		{HUB("optoins: {no_securenat: true}"),
			"natlock.yaml:3:5: unknown key \"optoins\" in hubs.default. Did you mean "
			"\"options\"?"},
	};
	CHECK(cases);
}

/* Each of `addresses` static addresses names 32 ports. */
static const char *says_of_static(unsigned int addresses)
{
	static char text[8192];
	size_t n = (size_t)sprintf(text, "hubs:\n  default:\n    nat:\n      static:\n");
	for (unsigned int i = 0; i < addresses; i++) {
		n += (size_t)sprintf(text + n,
			"        - {inside: 192.168.30.%u, outside: 203.0.113.%u, ports: [1",
			i + 10, i + 1);
		for (unsigned int port = 2; port <= 32; port++)
			n += (size_t)sprintf(text + n, ", %u", port);
		n += (size_t)sprintf(text + n, "]}\n");
	}
	return conf_says(text, n);
}

Test(conf_check, what_a_hub_listens_on_has_an_end)
{
	cr_expect_str_eq(says_of_static(8), "");
	cr_expect_str_eq(says_of_static(9),
		"natlock.yaml:5:9: nat.publish and the ports of nat.static are 576 sockets (a port "
		"of nat.static is one for TCP and one for UDP): at most 512. Name fewer ports");
}

Test(conf_check, auto_is_one_until_eight_processors)
{
	static const struct {
		unsigned int processors, shards;
	} cases[] = {{1, 1}, {2, 1}, {4, 1}, {7, 1}, {8, 2}, {11, 2}, {12, 3}, {32, 8}, {256, 8}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(conf_shards("auto", cases[i].processors), cases[i].shards,
			"%u processors", cases[i].processors);
	cr_assert_eq(conf_shards("1", 256), 1);
	cr_assert_eq(conf_shards("8", 1), 8);
	cr_assert_eq(conf_shards("0", 1) + conf_shards("9", 1) + conf_shards("22", 1) +
			     conf_shards("", 1) + conf_shards("x", 1),
		0);
}
