/* import.c, import_settle.c, import_write.c: what comes out is accepted, what cannot is told. */
#include <criterion/criterion.h>

#include "import.h"
#include "support.h"

static char *yaml, *notes;

static int import(const char *text, size_t bytes)
{
	struct capture out, told;
	struct failure f = {0};
	int code;

	free(yaml);
	free(notes);
	capture_open(&out);
	capture_open(&told);
	code = import_softether("vpn_server.config", text, bytes, out.file, told.file, &f);
	yaml = capture_close(&out);
	notes = capture_close(&told);
	return code;
}

static Nl__Config *imported(const char *text, size_t bytes)
{
	struct conf_error error;
	Nl__Config *config;

	cr_assert_eq(import(text, bytes), CTL_OK, "%s", notes);
	config = conf_parse("out", yaml, strlen(yaml), &error);
	cr_assert_not_null(config, "%d:%d: %s\n%s", error.line, error.column, error.text, yaml);
	return config;
}

static uint32_t ip(const char *text)
{
	return inet_addr(text);
}

Test(import, a_real_file)
{
	static char text[65536];
	FILE *f = fopen(VECTORS "/import/vpn_server.config", "r");
	const Nl__Hub *hub;
	Nl__Config *config;
	size_t bytes;

	cr_assert_not_null(f);
	bytes = fread(text, 1, sizeof(text), f);
	fclose(f);
	config = imported(text, bytes);
	cr_assert_eq(config->n_hubs, 3);
	hub = config->hubs[1];
	cr_assert_str_eq(hub->name, "DEFAULT");
	cr_assert(hub->enable);
	cr_assert_str_eq(hub->attach[0], "veth:tap_tapse");
	cr_assert_eq(memcmp(hub->host->mac->octets.data, "\x00\xac\x85\x40\xb5\x50", 6), 0);
	cr_assert_eq(hub->host->address->be, ip("10.30.0.1"));
	cr_assert_eq(hub->host->netmask->be, ip("255.255.0.0"));
	cr_assert_eq(hub->nat->mtu, 1400);
	cr_assert_eq(hub->nat->tcp_timeout->ms, 3600000);
	cr_assert_eq(hub->nat->udp_timeout->ms, 120000);
	cr_assert_not(hub->nat->log);
	cr_assert_eq(hub->dhcp->range->from->be, ip("10.30.1.10"));
	cr_assert_eq(hub->dhcp->range->to->be, ip("10.30.2.200"));
	cr_assert_eq(hub->dhcp->lease->ms, 86400000);
	cr_assert_str_eq(hub->dhcp->gateway, "10.30.0.1");
	cr_assert_eq(hub->dhcp->n_dns, 2);
	cr_assert_str_eq(hub->dhcp->domain, "lab.example");
	cr_assert_eq(hub->dhcp->n_push_routes, 2);
	cr_assert_eq(hub->dhcp->push_routes[1]->via->be, ip("10.30.0.253"));
	hub = config->hubs[0];
	cr_assert_not(hub->nat->enable);
	cr_assert_str_eq(hub->dhcp->gateway, "none");
	cr_assert_eq(hub->dhcp->n_dns, 0);
	cr_assert_str_eq(hub->dhcp->domain, "none");
	hub = config->hubs[2];
	cr_assert_str_eq(hub->name, "Old-hub");
	cr_assert_not(hub->enable);
	cr_assert(hub->options->no_securenat);
	cr_assert_eq(hub->limits->tcp_sessions_per_host, 100);
	cr_assert_eq(hub->limits->dns_sessions_per_host, 20);
	cr_assert_eq(hub->limits->udp_sessions_per_host, 1024);
	conf_free(config);
}

Test(import, what_has_no_counterpart_is_told)
{
	static char text[65536];
	FILE *f = fopen(VECTORS "/import/vpn_server.config", "r");
	static const char *const told[] = {
		"hub Old-hub: it had another name",
		"hub DEFAULT: 1 users: no counterpart",
		"hub DEFAULT: its TAP stays SoftEther's",
		"hub Old-hub: 1 options of its administrator",
		"hub Old-hub: 1 SecureNAT_RandomizeAssignIp",
		"4 listeners, the server's certificate and passwords: no counterpart",
	};

	cr_assert_not_null(f);
	import(text, fread(text, 1, sizeof(text), f));
	fclose(f);
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		cr_expect_not_null(strstr(notes, told[i]), "%s: %s", told[i], notes);
}

#define NAT(INSIDE)                                                                                \
	"declare root\n{\ndeclare VirtualHUB\n{\ndeclare h\n{\ndeclare SecureNAT\n{\n" INSIDE      \
	"}\n}\n}\n}\n"
#define DHCP(INSIDE)   NAT("declare VirtualDhcpServer\n{\n" INSIDE "}\n")
#define HOST(INSIDE)   NAT("declare VirtualHost\n{\n" INSIDE "}\n")
#define ROUTER(INSIDE) NAT("declare VirtualRouter\n{\n" INSIDE "}\n")

/* What natlock would refuse is replaced by what it takes. */
Test(import, settles_what_does_not_fit)
{
	static const struct {
		const char *text, *yaml, *note;
	} cases[] = {
		{ROUTER("uint NatMtu 100\n"), "mtu: 576", "nat.mtu 100 is out of natlock's range"},
		{ROUTER("uint NatTcpTimeout 0\n"), "tcp_timeout: 1s", "it is 1 now"},
		{ROUTER("uint NatUdpTimeout -1\n"), "udp_timeout: 600s",
			"line 11: NatUdpTimeout \"-1\" is not understood: left out"},
		{HOST("string VirtualHostIp 0.0.0.0\n"), "address: 192.168.30.1",
			"address 0.0.0.0 is no station's"},
		{HOST("string VirtualHostIpSubnetMask 255.0.255.0\n"), "netmask: 255.255.255.0",
			"netmask 255.0.255.0 cannot be used"},
		{HOST("string VirtualHostIp 10.0.0.1\n"), "enable: false\n      range",
			"does not fit the hub's subnet: DHCP is off"},
		{HOST("string VirtualHostMacAddress 01-00-5E-00-00-01\n"), "address",
			"a multicast one"},
		{DHCP("string DhcpGatewayAddress 10.0.0.1\n"), "gateway: none", "none is sent"},
		{DHCP("string DhcpDnsServerAddress 255.255.255.255\n"), "dns: []", "left out"},
		{DHCP("string DhcpDomainName a_b\n"), "domain: \"none\"", "none that DNS knows"},
		{DHCP("uint DhcpExpireTimeSpan 1\n"), "lease: 10s", "dhcp.lease 1 is out of"},
		{DHCP("string DhcpSubnetMask 1.2.3.4\n"), "netmask: 255.255.255.0",
			"DHCP netmask 1.2.3.4"},
		{DHCP("string DhcpPushRoutes 10.0.0.0/255.0.0.0/192.168.30.2,10.0.0.0/8/x\n"),
			"- {to: 10.0.0.0/8, via: 192.168.30.2}", "1 of its pushed routes"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		conf_free(imported(cases[i].text, strlen(cases[i].text)));
		cr_expect_not_null(strstr(yaml, cases[i].yaml), "%s: %s", cases[i].text, yaml);
		cr_expect_not_null(strstr(notes, cases[i].note), "%s: %s", cases[i].text, notes);
	}
}

Test(import, names_become_folders_names)
{
	static const char text[] =
		"declare root\n{\ndeclare VirtualHUB\n{\ndeclare ..\n{\n}\ndeclare $2f$2f\n{\n}\n"
		"declare h-\n{\n}\ndeclare $22:$0a\n{\n}\n"
		"declare a-very-long-name-of-a-hub-that-goes-on-and-on\n{\n}\n}\n}\n";
	Nl__Config *config = imported(text, strlen(text));

	cr_assert_eq(config->n_hubs, 5);
	cr_expect_str_eq(config->hubs[0]->name, "h.");
	cr_expect_str_eq(config->hubs[1]->name, "h-");
	cr_expect_str_eq(config->hubs[2]->name, "hub-2-0");
	cr_expect_str_eq(config->hubs[3]->name, "h--");
	cr_expect_eq(strlen(config->hubs[4]->name), 32);
	conf_free(config);
}

Test(import, more_hubs_than_one_natlock_serves)
{
	char text[2048] = "declare root\n{\ndeclare VirtualHUB\n{\n";
	Nl__Config *config;

	for (int i = 0; i < 20; i++)
		sprintf(text + strlen(text), "declare h%d\n{\nbool Online false\n}\n", i);
	strcat(text, "}\n}\n");
	config = imported(text, strlen(text));
	cr_assert_eq(config->n_hubs, 16);
	cr_assert_not_null(strstr(notes, "4 more hubs: one natlock serves 16"));
	conf_free(config);
}

Test(import, what_is_no_such_file)
{
	cr_expect_eq(import("hubs:\n", 6), CTL_CONFIG);
	cr_expect_str_empty(yaml);
	cr_expect_eq(import("", 0), CTL_NO_MATCH);
	cr_expect_eq(import("declare root\n{\n}\n", 17), CTL_NO_MATCH);
	cr_expect_str_empty(yaml);
}
