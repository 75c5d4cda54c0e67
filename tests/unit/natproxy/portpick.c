/* Port preservation, parity, exclusiveness (RFC 4787 REQ-1, 3, 4). */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "portpick.h"

static struct portpick *picker(void)
{
	const struct hash_key key = {3, 4};
	const struct portmap shown = {0};
	struct portpick *p = calloc(1, sizeof(*p));
	portpick_init(p, &key, &shown);
	return p;
}

Test(portpick, the_guests_own_number_comes_first)
{
	struct portpick *p = picker();
	const struct sock_address guest = {10, 5000};
	cr_assert_eq(portpick_candidate(p, NAT_UDP, &guest, 0), 5000);
	free(p);
}

Test(portpick, a_privileged_number_is_not_tried_but_its_parity_kept)
{
	struct portpick *p = picker();
	for (uint16_t port = 1; port < 1024; port++) {
		const struct sock_address guest = {10, port};
		const uint16_t got = portpick_candidate(p, NAT_UDP, &guest, 0);
		cr_assert_geq(got, 1024);
		cr_assert_eq(got & 1, port & 1);
	}
	free(p);
}

Test(portpick, the_hosts_own_services_are_not_squatted)
{
	static const uint16_t services[] = {
		2049, 3306, 3389, 5353, 5432, 5900, 6063, 6379, 8080, 8443};
	struct portpick *p = picker();
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		const struct sock_address guest = {10, services[i]};
		cr_assert(portpick_is_service(services[i]));
		for (unsigned int n = 0; n < PORTPICK_TRIES; n++) {
			const uint16_t got = portpick_candidate(p, NAT_TCP, &guest, n);
			cr_assert_not(portpick_is_service(got));
			cr_assert_eq(got & 1, services[i] & 1);
		}
	}
	for (uint32_t i = 0; i < 200000; i++) {
		const struct sock_address guest = {10, (uint16_t)(i & 1)};
		cr_assert_not(portpick_is_service(portpick_candidate(p, NAT_UDP, &guest, 1)));
	}
	free(p);
}

Test(portpick, what_traversal_needs_is_preserved)
{
	static const uint16_t traversal[] = {1720, 4500, 5060, 5061, 51820};
	struct portpick *p = picker();
	for (size_t i = 0; i < sizeof(traversal) / sizeof(traversal[0]); i++) {
		const struct sock_address guest = {10, traversal[i]};
		cr_assert_eq(portpick_candidate(p, NAT_UDP, &guest, 0), traversal[i]);
	}
	free(p);
}

Test(portpick, two_endpoints_never_share_a_port)
{
	struct portpick *p = picker();
	const struct sock_address one = {10, 5001}, two = {11, 5001};
	portpick_hold(p, NAT_UDP, &one, 5001);
	for (unsigned int n = 0; n < PORTPICK_TRIES; n++) {
		const uint16_t got = portpick_candidate(p, NAT_UDP, &two, n);
		cr_assert_neq(got, 5001);
		cr_assert_eq(got & 1, 1);
	}
	cr_assert_eq(portpick_candidate(p, NAT_TCP, &two, 0), 5001,
		"another protocol's numbers are its own");
	free(p);
}

Test(portpick, an_endpoint_keeps_its_mapping_while_used)
{
	struct portpick *p = picker();
	const struct sock_address guest = {10, 80};
	portpick_hold(p, NAT_TCP, &guest, 30000);
	portpick_hold(p, NAT_TCP, &guest, 30000);
	cr_assert_eq(portpick_candidate(p, NAT_TCP, &guest, 0), 30000);
	portpick_release(p, NAT_TCP, &guest, 30000);
	cr_assert(portpick_is_ours(p, NAT_TCP, 30000));
	portpick_release(p, NAT_TCP, &guest, 31000);
	cr_assert(portpick_is_ours(p, NAT_TCP, 30000), "a stray port releases nothing");
	portpick_release(p, NAT_TCP, &guest, 30000);
	cr_assert_not(portpick_is_ours(p, NAT_TCP, 30000));
	portpick_release(p, NAT_TCP, &guest, 30000);
	free(p);
}

Test(portpick, in_the_end_the_kernel_chooses)
{
	struct portpick *p = picker();
	const struct sock_address guest = {10, 5000};
	cr_assert_eq(portpick_candidate(p, NAT_UDP, &guest, PORTPICK_TRIES), 0);
	free(p);
}

Test(portpick, candidates_are_not_predictable_from_each_other)
{
	struct portpick *p = picker();
	const struct sock_address guest = {10, 80};
	uint16_t last = 0;
	unsigned int near = 0;
	for (int i = 0; i < 1000; i++) {
		const uint16_t got = portpick_candidate(p, NAT_UDP, &guest, 1);
		near += abs((int)got - (int)last) < 16;
		last = got;
	}
	cr_assert_lt(near, 10);
	free(p);
}

Test(portpick, udp_mappings_are_shown_while_they_are)
{
	static struct portmap_region ours, theirs;
	const struct hash_key key = {3, 4};
	const struct portmap shown = {&ours, {&theirs}, 1}, far_end = {&theirs, {&ours}, 1};
	const struct sock_address guest = {10, 5000};
	struct portpick *p = calloc(1, sizeof(*p));
	portpick_init(p, &key, &shown);
	cr_assert_eq(portpick_hold(p, NAT_UDP, &guest, 5000), 0);
	cr_assert_eq(portpick_hold(p, NAT_UDP, &guest, 5000), 0);
	cr_assert_eq(portpick_hold(p, NAT_TCP, &guest, 6000), 0);
	cr_assert(portmap_has(&far_end, 5000));
	cr_assert_not(portmap_has(&far_end, 6000), "only of UDP is it asked");
	cr_assert(portpick_is_hubs(p, 5000));
	portpick_release(p, NAT_UDP, &guest, 5000);
	cr_assert(portmap_has(&far_end, 5000));
	portpick_release(p, NAT_UDP, &guest, 5000);
	cr_assert_not(portmap_has(&far_end, 5000));
	cr_assert_not(portpick_is_hubs(p, 5000));
	portmap_set(&far_end, 7000, true);
	cr_assert(portpick_is_hubs(p, 7000));
	cr_assert_not(portpick_is_ours(p, NAT_UDP, 7000));
	free(p);
}
