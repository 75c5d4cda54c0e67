/* The configuration of `run`: the defaults with the command line laid over them, checked like a
 * file. */
#include <arpa/inet.h>
#include <criterion/criterion.h>

#include "conf.h"
#include "start.h"

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

Test(run_config, defaults_with_a_reservation_for_the_guest)
{
	struct options o = {0};
	struct trouble t;
	Nl__Config *c = start_run_config(&o, mac, &t);

	cr_assert_not_null(c);
	cr_assert_eq(c->hubs[0]->dhcp->n_reservations, 1);
	cr_assert_eq(c->hubs[0]->dhcp->reservations[0]->address->be, inet_addr("192.168.30.10"));
	cr_assert_arr_eq(c->hubs[0]->dhcp->reservations[0]->mac->octets.data, mac, 6);
	cr_assert_not(c->hubs[0]->dhcp->persist);
	cr_assert_str_eq(c->log->file, "none");
	conf_free(c);
}

Test(run_config, subnet_moves_everything_that_lies_in_it)
{
	struct options o = {.subnet = {inet_addr("10.9.8.0"), 29}, .mtu = 9000};
	struct trouble t;
	Nl__Config *c = start_run_config(&o, mac, &t);
	Nl__Hub *hub;

	cr_assert_not_null(c, "%s", t.message);
	hub = c->hubs[0];
	cr_assert_eq(hub->host->address->be, inet_addr("10.9.8.1"));
	cr_assert_eq(hub->dhcp->range->from->be, inet_addr("10.9.8.2"));
	cr_assert_eq(hub->dhcp->range->to->be, inet_addr("10.9.8.6"));
	cr_assert_str_eq(hub->dhcp->gateway, "10.9.8.1");
	cr_assert_eq(hub->dhcp->dns[0]->be, inet_addr("10.9.8.1"));
	cr_assert_eq(hub->nat->mtu, 9000);
	conf_free(c);
}

Test(run_config, publish_goes_to_the_guest)
{
	struct options o = {.publishes = 1, .publish = {{true, inet_addr("127.0.0.1"), 5353, 53}}};
	struct trouble t;
	Nl__Config *c = start_run_config(&o, mac, &t);

	cr_assert_not_null(c);
	cr_assert_eq(c->hubs[0]->nat->n_publish, 1);
	cr_assert_eq(c->hubs[0]->nat->publish[0]->proto, NL__PUBLISH__PROTO__udp);
	cr_assert_eq(c->hubs[0]->nat->publish[0]->to->ip_be, inet_addr("192.168.30.10"));
	cr_assert_eq(c->hubs[0]->nat->publish[0]->to->port, 53);
	conf_free(c);
}

Test(run_config, the_same_port_twice_is_refused)
{
	struct options o = {.publishes = 2,
		.publish = {{false, inet_addr("127.0.0.1"), 8080, 80},
			{false, inet_addr("127.0.0.1"), 8080, 81}}};
	struct trouble t;

	cr_assert_null(start_run_config(&o, mac, &t));
	cr_assert_eq(t.exit_code, EXIT_GATEWAY);
	cr_assert_neq(t.message[0], '\0');
}
