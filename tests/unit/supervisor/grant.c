/* Which ports are opened before root's rights go. What becomes of them is tests/integration/test_grant.py's. */
#include <arpa/inet.h>
#include <criterion/criterion.h>

#include "conf.h"
#include "grant.h"

static Nl__Config *parse(const char *text)
{
	struct conf_error error;
	Nl__Config *config = conf_parse("test", text, strlen(text), &error);

	cr_assert(config, "%s", error.text);
	return config;
}

static const char text[] =
	"hubs:\n"
	"  default:\n"
	"    nat:\n"
	"      vrfs: {blue: {device: b0}}\n"
	"      vrf: blue\n"
	"      publish:\n"
	"        - {proto: tcp, listen: \"10.0.0.1:80\", to: \"192.168.30.10:8080\", vrf: none}\n"
	"        - {proto: udp, listen: \"0.0.0.0:53\", to: \"192.168.30.11:5353\"}\n"
	"        - {proto: tcp, listen: \"0.0.0.0:1023\", to: \"192.168.30.11:1\"}\n"
	"        - {proto: tcp, listen: \"0.0.0.0:1024\", to: \"192.168.30.11:2\"}\n"
	"      static:\n"
	"        - {inside: 192.168.30.12, outside: 10.0.0.2, ports: [25, 2525]}\n";

Test(grant, ports_of_publish_and_of_static_addresses)
{
	Nl__Config *config = parse(text);
	struct grant_port p[8];

	cr_assert_eq(grant_ports(config->hubs[0]->nat, GRANT_PORTS_END, p, 8), 5);
	cr_expect(!p[0].udp && p[0].ip_be == inet_addr("10.0.0.1") && p[0].port == 80);
	cr_expect_str_eq(p[0].device, "", "of no vrf");
	cr_expect_eq(p[0].guest_ip_be, inet_addr("192.168.30.10"));
	cr_expect(p[1].udp && p[1].ip_be == 0 && p[1].port == 53);
	cr_expect_str_eq(p[1].device, "b0", "of the hub's vrf");
	cr_expect_eq(p[2].port, 1023);
	cr_expect(!p[3].udp && p[3].port == 25 && p[3].ip_be == inet_addr("10.0.0.2"));
	cr_expect(p[4].udp && p[4].port == 25);
	cr_expect_eq(p[4].guest_ip_be, inet_addr("192.168.30.12"));
	conf_free(config);
}

Test(grant, no_more_than_fit_and_none_that_need_no_privilege)
{
	Nl__Config *config = parse(text);
	struct grant_port p[4];

	cr_expect_eq(grant_ports(config->hubs[0]->nat, GRANT_PORTS_END, p, 4), 4);
	cr_expect_eq(grant_ports(config->hubs[0]->nat, GRANT_PORTS_END, p, 1), 1);
	cr_expect_eq(grant_ports(config->hubs[0]->nat, 80, p, 4), 3, "53, and 25 twice");
	cr_expect_eq(grant_ports(config->hubs[0]->nat, 0, p, 4), 0);
	conf_free(config);
}
