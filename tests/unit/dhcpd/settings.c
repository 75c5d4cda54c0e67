/*
 * The configuration as it comes by message: what the seed's 3.7.5 names, and what must not be
 * believed.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "settings.h"

static Nl__Hub hub;
static Nl__Dhcp dhcp;
static struct settings s;

static Nl__Ip4 *ip4(const char *text)
{
	static Nl__Ip4 pool[64];
	static size_t used;
	Nl__Ip4 *a = &pool[used++];
	nl__ip4__init(a);
	a->be = inet_addr(text);
	return a;
}

static void make(void)
{
	static Nl__VirtualHost host;
	static Nl__Mac mac;
	static Nl__IpRange range;
	static Nl__Duration lease;
	static Nl__Limits limits;
	static uint8_t octets[] = {0, 0xac, 1, 2, 3, 4};
	static char gateway[] = "192.168.30.1", domain[] = "host";
	static Nl__Ip4 *dns[2];
	nl__hub__init(&hub);
	nl__dhcp__init(&dhcp);
	nl__virtual_host__init(&host);
	nl__mac__init(&mac);
	nl__ip_range__init(&range);
	nl__duration__init(&lease);
	nl__limits__init(&limits);
	mac.octets = (ProtobufCBinaryData){6, octets};
	host.mac = &mac;
	host.address = ip4("192.168.30.1");
	host.netmask = ip4("255.255.255.0");
	range.from = ip4("192.168.30.10");
	range.to = ip4("192.168.30.200");
	lease.ms = 7200000;
	limits.macs_per_port = 64;
	dns[0] = ip4("192.168.30.1");
	dns[1] = ip4("9.9.9.9");
	dhcp.enable = true;
	dhcp.range = &range;
	dhcp.lease = &lease;
	dhcp.netmask = ip4("255.255.255.0");
	dhcp.gateway = gateway;
	dhcp.domain = domain;
	dhcp.n_dns = 2;
	dhcp.dns = dns;
	hub.host = &host;
	hub.dhcp = &dhcp;
	hub.limits = &limits;
}

TestSuite(settings, .init = make);

Test(settings, every_setting_of_the_seed)
{
	const struct codec_settings *c = &s.engine.settings;
	cr_assert_eq(settings_read(&s, &hub, "corp.example"), 0);
	cr_expect(s.enable && s.engine.lease_ms == 7200000 && s.engine.leases_per_port == 128);
	cr_expect(s.engine.from == 0xc0a81e0a && s.engine.to == 0xc0a81ec8);
	cr_expect(c->router_be == inet_addr("192.168.30.1") && c->dns_count == 2 &&
		  c->dns_be[1] == inet_addr("9.9.9.9"));
	cr_expect_str_eq(c->domain, "corp.example");
}

Test(settings, none_means_that_it_is_not_sent)
{
	static char none[] = "none", own[] = "lab.example";
	dhcp.gateway = dhcp.domain = none;
	dhcp.n_dns = 0;
	cr_assert_eq(settings_read(&s, &hub, "corp.example"), 0);
	cr_expect(!s.engine.settings.router_be && !s.engine.settings.dns_count &&
		  !s.engine.settings.domain[0]);
	dhcp.domain = own;
	cr_assert_eq(settings_read(&s, &hub, "corp.example"), 0);
	cr_expect_str_eq(s.engine.settings.domain, "lab.example");
}

Test(settings, a_domain_of_the_host_that_does_not_fit_is_not_sent)
{
	char longer[CODEC_DOMAIN_BYTES + 1] = "";
	memset(longer, 'a', CODEC_DOMAIN_BYTES);
	cr_assert_eq(settings_read(&s, &hub, longer), 0);
	cr_expect_eq(s.engine.settings.domain[0], 0);
}

Test(settings, routes_lose_the_bits_below_their_prefix)
{
	Nl__Subnet to = NL__SUBNET__INIT;
	Nl__Route route = NL__ROUTE__INIT, *routes[CODEC_ROUTES_MAX + 1];
	to.ip_be = inet_addr("10.1.2.3");
	to.prefix = 8;
	route.to = &to;
	route.via = ip4("192.168.30.2");
	for (size_t i = 0; i <= CODEC_ROUTES_MAX; i++)
		routes[i] = &route;
	dhcp.push_routes = routes;
	dhcp.n_push_routes = 1;
	cr_assert_eq(settings_read(&s, &hub, NULL), 0);
	cr_expect(s.engine.settings.route_count == 1 && s.engine.settings.route[0].prefix == 8 &&
		  s.engine.settings.route[0].to_be == inet_addr("10.0.0.0"));
	to.prefix = 33;
	cr_expect_eq(settings_read(&s, &hub, NULL), -EINVAL);
	to.prefix = 0;
	cr_expect_eq(settings_read(&s, &hub, NULL), 0);
	dhcp.n_push_routes = CODEC_ROUTES_MAX + 1;
	cr_expect_eq(settings_read(&s, &hub, NULL), -E2BIG);
	route.via = NULL;
	dhcp.n_push_routes = 1;
	cr_expect_eq(settings_read(&s, &hub, NULL), -EINVAL);
}

Test(settings, what_is_missing_or_impossible_is_refused)
{
	static char wrong[] = "192.168.30", longer[300];
	memset(longer, 'a', sizeof(longer) - 1);
	dhcp.gateway = wrong;
	cr_expect_eq(settings_read(&s, &hub, NULL), -EINVAL);
	make();
	dhcp.domain = longer;
	cr_expect_eq(settings_read(&s, &hub, NULL), -EINVAL);
	make();
	dhcp.range->to = ip4("192.168.31.1");
	cr_expect_eq(settings_read(&s, &hub, NULL), -EINVAL);
	make();
	dhcp.range->from = dhcp.range->to;
	dhcp.range->to = ip4("192.168.30.2");
	cr_expect_eq(settings_read(&s, &hub, NULL), -EINVAL);
	make();
	dhcp.lease->ms = 0;
	cr_expect_eq(settings_read(&s, &hub, NULL), -EINVAL);
	make();
	dhcp.n_reservations = LEASE_RESERVATIONS + 1;
	cr_expect_eq(settings_read(&s, &hub, NULL), -E2BIG);
	make();
	hub.host->mac->octets.len = 5;
	cr_expect_eq(settings_read(&s, &hub, NULL), -EINVAL);
	make();
	hub.dhcp = NULL;
	cr_expect_eq(settings_read(&s, &hub, NULL), -EINVAL);
}
