/* Loop guard and overlap: decisions about routes. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "hostnet.h"

static struct hostnet host(void)
{
	struct hostnet h = {0};

	h.route[h.route_count++] = (struct hostnet_route){{0, 0}, inet_addr("192.168.1.1"), "eth0"};
	h.route[h.route_count++] =
		(struct hostnet_route){{inet_addr("192.168.1.0"), 24}, 0, "eth0"};
	h.route[h.route_count++] = (struct hostnet_route){
		{inet_addr("10.0.0.0"), 8}, inet_addr("192.168.1.2"), "eth0"};
	return h;
}

Test(hostnet, the_loop_of_the_seed)
{
	struct hostnet h = host();
	char why[160];

	cr_assert(hostnet_loops(&h, inet_addr("192.168.1.1"), why, sizeof(why)));
	cr_assert_str_eq(why, "loop: this hub's gateway 192.168.1.1 is also this host's default "
			      "gateway (seed 3.7.4). Refusing sessions.");
	cr_assert_not(hostnet_loops(&h, inet_addr("192.168.1.2"), why, sizeof(why)),
		"a gateway of one network only");
}

Test(hostnet, half_of_the_world_is_a_loop_too)
{
	struct hostnet h = host();
	char why[160];

	h.route[h.route_count++] = (struct hostnet_route){
		{inet_addr("128.0.0.0"), 1}, inet_addr("192.168.1.2"), "tap0"};
	cr_assert(hostnet_loops(&h, inet_addr("192.168.1.2"), why, sizeof(why)));
}

/* As a DHCP client on a hub's TAP sets it beside the one that the host had. */
Test(hostnet, a_default_route_that_is_not_used_is_no_loop)
{
	struct hostnet h = host();
	char why[160];

	h.route[0].metric = 100;
	h.route[h.route_count++] = (struct hostnet_route){
		{0, 0}, inet_addr("192.168.30.1"), "tap0", .metric = 1000};
	cr_assert_not(hostnet_loops(&h, inet_addr("192.168.30.1"), why, sizeof(why)));
	cr_assert(hostnet_loops(&h, inet_addr("192.168.1.1"), why, sizeof(why)));
	h.route[3].metric = 50;
	cr_assert(hostnet_loops(&h, inet_addr("192.168.30.1"), why, sizeof(why)));
}

Test(hostnet, overlap_both_ways)
{
	struct hostnet h = host();

	cr_assert_null(hostnet_overlap(&h, inet_addr("192.168.30.1"), 24));
	cr_assert_eq(hostnet_overlap(&h, inet_addr("10.5.6.1"), 24), &h.route[2],
		"inside of a wider one");
	cr_assert_eq(hostnet_overlap(&h, inet_addr("192.168.0.1"), 16), &h.route[1],
		"around a narrower one");
}

Test(hostnet, a_way_out_is_offered)
{
	struct hostnet h = host();

	cr_assert_eq(hostnet_free_gateway(&h), inet_addr("192.168.130.1"));
	h.route[h.route_count++] =
		(struct hostnet_route){{inet_addr("192.168.130.0"), 24}, 0, "br0"};
	cr_assert_eq(hostnet_free_gateway(&h), inet_addr("192.168.131.1"));
	h.route[h.route_count++] = (struct hostnet_route){{inet_addr("192.168.0.0"), 16}, 0, "br1"};
	cr_assert_eq(hostnet_free_gateway(&h), 0);
}

Test(hostnet, the_kernel_is_asked)
{
	struct hostnet h = {0};

	cr_assert(hostnet_read(&h));
	cr_assert_not(h.partial);
	cr_assert_eq(h.own[0].ip_be, inet_addr("127.0.0.0"));
	cr_assert_eq(h.own[0].prefix, 8);
	cr_assert_not(hostnet_read(&h), "nothing changed");
}
