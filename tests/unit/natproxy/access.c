/* Where a guest may go. */
#include <arpa/inet.h>
#include <criterion/criterion.h>

#include "access.h"

static struct access usual(void)
{
	return (struct access){.gateway_ip_be = inet_addr("192.168.30.1"),
		.netmask_be = inet_addr("255.255.255.0"),
		.dns_redirect = true,
		.loop_guard = true,
		.own_count = 1,
		.own_ip_be = {inet_addr("10.99.0.2")}};
}

static enum access_verdict ask(const struct access *a, const char *ip, uint16_t port)
{
	const struct sock_address to = {inet_addr(ip), port};
	return access_check(a, &to);
}

Test(access, the_world_is_open)
{
	const struct access a = usual();
	cr_assert_eq(ask(&a, "207.46.0.166", 1863), ACCESS_ALLOWED);
	cr_assert_eq(ask(&a, "10.99.0.1", 80), ACCESS_ALLOWED, "the host's neighbour");
	cr_assert_eq(ask(&a, "223.255.255.255", 80), ACCESS_ALLOWED);
	cr_assert_eq(ask(&a, "192.168.31.1", 80), ACCESS_ALLOWED);
}

Test(access, what_is_never_reachable)
{
	static const char *const denied[] = {"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3",
		"169.254.169.254", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"10.99.0.2", "192.168.30.1", "192.168.30.77", "192.168.30.255"};
	const struct access a = usual();
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		cr_assert_eq(ask(&a, denied[i], 80), ACCESS_DENIED, "%s", denied[i]);
}

Test(access, allowing_the_host_opens_the_host_only)
{
	struct access a = usual();
	a.host_allowed = true;
	cr_assert_eq(ask(&a, "127.0.0.1", 80), ACCESS_ALLOWED);
	cr_assert_eq(ask(&a, "10.99.0.2", 80), ACCESS_ALLOWED);
	cr_assert_eq(ask(&a, "169.254.169.254", 80), ACCESS_DENIED);
	cr_assert_eq(ask(&a, "192.168.30.9", 80), ACCESS_DENIED);
}

Test(access, a_host_of_unknown_addresses_is_everywhere)
{
	struct access a = usual();
	a.own_partial = true;
	cr_assert_eq(ask(&a, "207.46.0.166", 80), ACCESS_DENIED);
	cr_assert_eq(ask(&a, "192.168.30.1", 53), ACCESS_DNS);
	a.host_allowed = true;
	cr_assert_eq(ask(&a, "207.46.0.166", 80), ACCESS_ALLOWED);
}

Test(access, port_53_of_the_gateway_is_the_redirect)
{
	struct access a = usual();
	cr_assert_eq(ask(&a, "192.168.30.1", 53), ACCESS_DNS);
	cr_assert_eq(ask(&a, "192.168.30.2", 53), ACCESS_DENIED);
	a.dns_redirect = false;
	cr_assert_eq(ask(&a, "192.168.30.1", 53), ACCESS_DENIED);
}

Test(access, the_loop_guard_goes_before_everything)
{
	struct access a = usual();
	a.loop = true;
	cr_assert_eq(ask(&a, "192.168.30.1", 53), ACCESS_LOOP);
	cr_assert_eq(ask(&a, "8.8.8.8", 80), ACCESS_LOOP);
	a.loop_guard = false;
	cr_assert_eq(ask(&a, "8.8.8.8", 80), ACCESS_ALLOWED);
}

Test(access, guests_are_hosts_of_the_hub)
{
	const struct access a = usual();
	cr_assert(access_is_guest(&a, inet_addr("192.168.30.10")));
	cr_assert_not(access_is_guest(&a, inet_addr("192.168.30.1")));
	cr_assert_not(access_is_guest(&a, inet_addr("192.168.30.0")));
	cr_assert_not(access_is_guest(&a, inet_addr("192.168.30.255")));
	cr_assert_not(access_is_guest(&a, inet_addr("192.168.31.10")));
}

Test(access, nonsense_peers_are_shown_as_the_gateway)
{
	const struct access a = usual();
	cr_assert_eq(access_shown_as(&a, inet_addr("127.0.0.1")), a.gateway_ip_be);
	cr_assert_eq(access_shown_as(&a, inet_addr("192.168.30.7")), a.gateway_ip_be);
	cr_assert_eq(access_shown_as(&a, inet_addr("203.0.113.9")), inet_addr("203.0.113.9"));
}
