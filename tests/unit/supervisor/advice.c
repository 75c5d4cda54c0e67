/* advice.c: what is said of a valid configuration. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "conf.h"

static struct hostnet net;
static struct resolvers resolvers = {.count = 1};

/* The advice on a text, or "". Not reentrant. */
static const char *advised(const char *text, uint32_t first_port)
{
	static char out[4096];
	const struct advice_host host = {&net, &resolvers, first_port};
	struct conf_error error;
	Nl__Config *config = conf_parse("t", text, strlen(text), &error);
	FILE *file = fmemopen(out, sizeof(out), "w");

	cr_assert_not_null(config, "%s", error.text);
	memset(out, 0, sizeof(out));
	advice_give(file, config, &host);
	fclose(file);
	conf_free(config);
	return out;
}

#define HUB(SECTION)	  "hubs:\n  default:\n    " SECTION "\n"
#define SAYS(TEXT, WORDS) cr_expect_not_null(strstr(advised(TEXT, 1024), WORDS), "%s", TEXT)

Test(advice, the_defaults_need_none)
{
	cr_expect_str_empty(advised("", 1024));
}

Test(advice, gateway_and_dns_mean_nothing_without_nat)
{
	SAYS(HUB("nat: {enable: false}"), "hub default: nat.enable is false, but guests are told "
					  "that 192.168.30.1 is their gateway. Set dhcp.gateway: "
					  "none");
	SAYS(HUB("nat: {enable: false}"), "their nameserver, but nat.enable is false");
	SAYS(HUB("nat: {dns_redirect: false}"), "their nameserver, but nat.dns_redirect is false");
	cr_expect_str_empty(
		advised(HUB("nat: {enable: false}\n    dhcp: {gateway: none, dns: []}"), 1024));
	cr_expect_str_empty(advised(HUB("nat: {enable: false}\n    dhcp: {enable: false}"), 1024));
}

Test(advice, what_is_probably_not_meant)
{
	SAYS(HUB("nat: {tcp_timeout: 60s}"), "nat.tcp_timeout is below 7440s");
	SAYS(HUB("nat: {udp_timeout: 60s}"), "nat.udp_timeout is below 120s");
	SAYS(HUB("nat: {host_loopback: allow}"), "guests reach this computer's own addresses");
	SAYS(HUB("dhcp: {force: true}"), "even where another DHCP server answers");
	SAYS(HUB("nat: {access_lists: [{number: 7, permit: [10.0.0.0/8]}]}"),
		"access list 7 is not used");
	cr_expect_str_empty(advised(
		HUB("nat: {access_lists: [{number: 7, permit: [10.0.0.0/8]}, {number: 8, permit: "
		    "[10.0.0.0/8]}]}\n    alg: {ldap: {lists: [{guests: 7, peers: 8, mode: "
		    "off}]}}"),
		1024));
	cr_expect_str_empty(advised(
		HUB("nat: {access_lists: [{number: 7, permit: [10.0.0.0/8]}]}\n    alg: {ipsec: "
		    "{esp: true, spi_match_list: 7}}"),
		0));
	cr_expect_not_null(
		strstr(advised(HUB("nat: {vrfs: {blue: {device: lo}}, vrf: blue}\n    alg: "
				   "{ipsec: {esp: true}}"),
			       0),
			"alg.ipsec.esp: guests of a vrf have no ESP, and nat.vrf is one"));
	SAYS(HUB("enable: false"), "no hub is enabled");
}

Test(advice, what_this_computer_cannot_give)
{
	SAYS(HUB("nat: {vrfs: {blue: {device: nl-nothing}}}"), "there is no device nl-nothing");
	SAYS(HUB("attach: [\"bridge:nl-nothing\"]"), "there is no device nl-nothing");
	SAYS(HUB("nat: {publish: [{proto: tcp, listen: \"127.0.0.1:80\", to: "
		 "\"192.168.30.9:80\"}]}"),
		"port 80 needs privilege (net.ipv4.ip_unprivileged_port_start=1024)");
	cr_expect_str_empty(advised(HUB("nat: {publish: [{proto: tcp, listen: \"127.0.0.1:80\", "
					"to: \"192.168.30.9:80\"}]}"),
		0));
	SAYS(HUB("alg: {ipsec: {esp: true}}"), "alg.ipsec.esp: only root may open a raw socket of "
					       "protocol 50. Start natlock as root");
	cr_expect_str_empty(advised(HUB("alg: {ipsec: {esp: true}}"), 0));
	SAYS(HUB("nat: {access_lists: [{number: 7, permit: [10.0.0.0/8]}]}\n    alg: {ipsec: "
		 "{preserve_port_list: 7}}"),
		"alg.ipsec.preserve_port_list: port 500 needs privilege "
		"(net.ipv4.ip_unprivileged_port_start=1024)");
	cr_expect_str_empty(advised(
		HUB("nat: {access_lists: [{number: 7, permit: [10.0.0.0/8]}]}\n    alg: {ipsec: "
		    "{preserve_port_list: 7}}"),
		500));
	net.route_count = 1;
	net.route[0] =
		(struct hostnet_route){.to = {inet_addr("192.168.0.0"), 16}, .device = "eth0"};
	SAYS("", "its subnet overlaps the host's route 192.168.0.0/16 dev eth0");
	net.route_count = 0;
	resolvers.count = 0;
	SAYS("", "no DNS upstream");
	cr_expect_str_empty(advised(HUB("dns: {upstreams: [9.9.9.9]}"), 1024));
}
