/* The session table: references, limits, lists, idle times. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "nat.h"

static const uint64_t second = 1000000000;

static struct nat *table(uint32_t per_guest, uint32_t connecting)
{
	const struct hash_key key = {1, 2};
	const struct nat_limits limits = {.sessions = {per_guest, per_guest, per_guest},
		.connecting = connecting,
		.idle_ns = {7200 * second, 600 * second, 60 * second}};
	struct nat *n = calloc(1, sizeof(*n));
	nat_init(n, &limits, &key);
	return n;
}

static int open_one(struct nat *n, enum nat_protocol p, uint32_t flow, uint32_t guest,
	uint16_t port, uint64_t now, uint32_t *siblings, uint32_t *ref)
{
	const struct nat_request r = {.protocol = p,
		.connecting = p == NAT_TCP,
		.flow = flow,
		.guest = {guest, 5},
		.remote = {77, port}};
	return nat_open(n, &r, now, 0, siblings, ref);
}

Test(nat, numbers_count_from_one_and_never_repeat)
{
	struct nat *n = table(10, 10);
	uint32_t siblings = 0, ref;
	for (uint32_t i = 1; i <= 5; i++) {
		cr_assert_eq(open_one(n, NAT_UDP, 9, 1, (uint16_t)i, 0, &siblings, &ref), 0);
		cr_assert_eq(nat_session(n, ref)->number, i);
		nat_close(n, ref, &siblings);
	}
	cr_assert_eq(siblings, 0);
	free(n);
}

Test(nat, live_sessions_are_counted_by_protocol)
{
	struct nat *n = table(100, 100);
	uint32_t siblings[3] = {0}, ref[3];
	open_one(n, NAT_TCP, 1, 1, 80, 0, &siblings[0], &ref[0]);
	open_one(n, NAT_UDP, 2, 1, 53, 0, &siblings[1], &ref[1]);
	open_one(n, NAT_UDP, 2, 1, 54, 0, &siblings[1], &ref[2]);
	cr_assert_eq(n->count[NAT_TCP], 1);
	cr_assert_eq(n->count[NAT_UDP], 2);
	cr_assert_eq(n->count[NAT_ICMP], 0);
	nat_close(n, ref[1], &siblings[1]);
	nat_close(n, ref[0], &siblings[0]);
	cr_assert_eq(n->count[NAT_TCP], 0);
	cr_assert_eq(n->count[NAT_UDP], 1);
	free(n);
}

Test(nat, finds_by_flow_and_endpoint_and_by_address)
{
	struct nat *n = table(100, 100);
	uint32_t siblings = 0, first, second_ref;
	open_one(n, NAT_UDP, 9, 1, 53, 0, &siblings, &first);
	open_one(n, NAT_UDP, 9, 1, 54, 0, &siblings, &second_ref);
	cr_assert_eq(nat_find(n, 9, &(struct sock_address){77, 53}), first);
	cr_assert_eq(nat_find(n, 9, &(struct sock_address){77, 54}), second_ref);
	cr_assert_eq(nat_find(n, 8, &(struct sock_address){77, 53}), NAT_NONE, "another flow's");
	cr_assert_eq(nat_find(n, 9, &(struct sock_address){78, 53}), NAT_NONE);
	cr_assert_neq(nat_find_address(n, 9, 77), NAT_NONE);
	cr_assert_eq(nat_find_address(n, 9, 78), NAT_NONE);
	nat_close(n, first, &siblings);
	cr_assert_eq(nat_find_address(n, 9, 77), second_ref);
	nat_close(n, second_ref, &siblings);
	cr_assert_eq(nat_find_address(n, 9, 77), NAT_NONE);
	free(n);
}

Test(nat, one_guest_cannot_take_anothers_share)
{
	struct nat *n = table(3, 10);
	uint32_t siblings = 0, ref;
	for (uint16_t i = 0; i < 3; i++)
		cr_assert_eq(open_one(n, NAT_UDP, i, 1, i, 0, &siblings, &ref), 0);
	cr_assert_eq(open_one(n, NAT_UDP, 4, 1, 4, 0, &siblings, &ref), -EDQUOT);
	cr_assert_eq(open_one(n, NAT_TCP, 4, 1, 4, 0, &siblings, &ref), 0,
		"another protocol has its own");
	cr_assert_eq(open_one(n, NAT_UDP, 4, 2, 4, 0, &siblings, &ref), 0, "another guest too");
	free(n);
}

Test(nat, half_open_connections_are_limited_until_they_are_answered)
{
	struct nat *n = table(100, 2);
	uint32_t siblings = 0, first, ref;
	open_one(n, NAT_TCP, 1, 1, 1, 0, &siblings, &first);
	open_one(n, NAT_TCP, 2, 1, 2, 0, &siblings, &ref);
	cr_assert_eq(open_one(n, NAT_TCP, 3, 1, 3, 0, &siblings, &ref), -EDQUOT);
	nat_connected(n, first, &(struct sock_address){5, 6});
	cr_assert_eq(open_one(n, NAT_TCP, 3, 1, 3, 0, &siblings, &ref), 0);
	nat_close(n, ref, &siblings);
	nat_close(n, first, &siblings);
	cr_assert_eq(open_one(n, NAT_TCP, 3, 1, 3, 0, &siblings, &ref), 0);
	free(n);
}

Test(nat, the_oldest_use_expires_first)
{
	struct nat *n = table(100, 100);
	uint32_t siblings = 0, a, b;
	open_one(n, NAT_UDP, 1, 1, 1, 0, &siblings, &a);
	open_one(n, NAT_UDP, 1, 1, 2, 10 * second, &siblings, &b);
	nat_touch(n, a, 20 * second);
	cr_assert_eq(nat_deadline(n), 611 * second);
	cr_assert_eq(nat_expired(n, 611 * second - 1), NAT_NONE);
	cr_assert_eq(nat_expired(n, 611 * second), b);
	nat_close(n, b, &siblings);
	cr_assert_eq(nat_expired(n, 621 * second - 1), NAT_NONE);
	cr_assert_eq(nat_expired(n, 621 * second), a);
	free(n);
}

Test(nat, a_use_within_the_second_counts)
{
	struct nat *n = table(100, 100);
	uint32_t siblings = 0, a;
	open_one(n, NAT_UDP, 1, 1, 1, 0, &siblings, &a);
	nat_touch(n, a, second - 1);
	cr_assert_eq(nat_expired(n, second - 1 + 600 * second), NAT_NONE);
	free(n);
}

static int open_incoming(struct nat *n, enum nat_protocol p, uint32_t guest, uint32_t peer,
	uint16_t port, uint64_t now, uint32_t *siblings, uint32_t *ref)
{
	const struct nat_request r = {.protocol = p,
		.incoming = true,
		.flow = 1,
		.guest = {guest, 5},
		.remote = {peer, port}};
	return nat_open(n, &r, now, 0, siblings, ref);
}

Test(nat, strangers_give_way_to_strangers)
{
	struct nat *n = table(8, 10);
	uint32_t siblings[8] = {0}, ref[8];
	for (uint16_t i = 0; i < 4; i++) {
		open_incoming(n, NAT_UDP, 1, 77, i, 0, &siblings[i], &ref[i]);
		cr_assert_eq(nat_gives_way(n, ref[i]), NAT_NONE);
	}
	nat_touch(n, ref[0], 5 * second);
	open_incoming(n, NAT_UDP, 1, 77, 4, 6 * second, &siblings[4], &ref[4]);
	cr_assert_eq(nat_gives_way(n, ref[4]), ref[1], "the longest unused");
	nat_close(n, ref[1], &siblings[1]);
	open_incoming(n, NAT_UDP, 2, 77, 5, 6 * second, &siblings[5], &ref[5]);
	cr_assert_eq(nat_gives_way(n, ref[5]), NAT_NONE, "another guest has its own");
	nat_close(n, ref[4], &siblings[4]);
	open_incoming(n, NAT_UDP, 1, 77, 6, 7 * second, &siblings[6], &ref[6]);
	cr_assert_eq(nat_gives_way(n, ref[6]), NAT_NONE, "half is allowed again");
	free(n);
}

Test(nat, a_limit_of_one_leaves_a_stranger_in)
{
	struct nat *n = table(1, 10);
	uint32_t siblings = 0, ref;
	open_incoming(n, NAT_UDP, 1, 77, 1, 0, &siblings, &ref);
	cr_assert_eq(nat_gives_way(n, ref), NAT_NONE);
	nat_close(n, ref, &siblings);
	cr_assert_eq(n->guest[1].incomings[NAT_UDP], 0);
	free(n);
}

Test(nat, what_strangers_begin_leaves_the_guest_its_own)
{
	struct nat *n = table(4, 4);
	uint32_t siblings = 0, ref;
	for (uint16_t i = 0; i < 10; i++)
		cr_assert_eq(open_incoming(n, NAT_TCP, 1, i, 9, 0, &siblings, &ref), 0);
	cr_assert_eq(open_incoming(n, NAT_TCP, 1, 99, 9, 0, &siblings, &ref), -EDQUOT,
		"two and a half times the guest's own");
	for (uint16_t i = 0; i < 4; i++)
		cr_assert_eq(open_one(n, NAT_TCP, 1, 1, i, 0, &siblings, &ref), 0);
	cr_assert_eq(open_one(n, NAT_TCP, 1, 1, 5, 0, &siblings, &ref), -EDQUOT);
	cr_assert_eq(n->incoming_tcp, 10);
	cr_assert_eq(nat_guest_sessions(n, 1), 14);
	while (siblings)
		nat_close(n, siblings, &siblings);
	cr_assert_eq(n->incoming_tcp, 0);
	cr_assert_eq(nat_guest_sessions(n, 1), 0);
	free(n);
}

/* How many connections a peer gets in by one port, which it fills by itself. */
static uint32_t filled_by(struct nat *n, uint32_t peer, uint32_t *of_rule)
{
	uint32_t siblings = 0, ref, got = 0;
	while (nat_admits(n, 1, peer, *of_rule)) {
		cr_assert_eq(
			open_incoming(n, NAT_TCP, 1, peer, (uint16_t)got, 0, &siblings, &ref), 0);
		++*of_rule;
		got++;
	}
	return got;
}

Test(nat, one_peer_gets_as_many_as_the_guest_and_the_next_half_of_that)
{
	struct nat *n = table(512, 10);
	uint32_t rule = 0, other = 0;
	cr_assert_eq(filled_by(n, 7, &rule), 512);
	cr_assert_eq(filled_by(n, 8, &rule), 256);
	cr_assert_eq(filled_by(n, 9, &rule), 128);
	cr_assert(nat_admits(n, 1, 10, other), "another port");
	cr_assert_not(nat_admits(n, 1, 7, other), "the first has had its part");
	cr_assert(nat_admits(n, 2, 7, 0), "another guest");
	free(n);
}

Test(nat, a_hundred_peers_leave_room_for_one_more)
{
	struct nat *n = table(512, 10);
	uint32_t rule = 0;
	for (uint32_t peer = 100; peer < 200; peer++)
		filled_by(n, peer, &rule);
	cr_assert_eq(n->guest[1].incomings[NAT_TCP], rule);
	cr_assert_leq(rule, 1024, "four fifths: the rest is for the guest's other ports");
	cr_assert(nat_admits(n, 1, 1000, 0));
	free(n);
}

Test(nat, a_full_table_says_so_and_recovers)
{
	struct nat *n = table(UINT32_MAX, UINT32_MAX);
	uint32_t siblings = 0, ref = 0, last = 0;
	for (uint32_t i = 0; i < NAT_SESSIONS; i++)
		cr_assert_eq(open_one(n, NAT_UDP, i, 1 + i % 7, 1, 0, &siblings, &last), 0);
	cr_assert_eq(open_one(n, NAT_UDP, 1, 1, 2, 0, &siblings, &ref), -ENOSPC);
	nat_close(n, last, &siblings);
	cr_assert_eq(open_one(n, NAT_UDP, 1, 1, 2, 0, &siblings, &ref), 0);
	uint32_t rows = 0;
	for (ref = NAT_NONE; (ref = nat_next(n, ref));)
		rows++;
	cr_assert_eq(rows, NAT_SESSIONS);
	free(n);
}

Test(nat, too_many_guests_are_refused_and_entries_return)
{
	struct nat *n = table(10, 10);
	uint32_t siblings = 0, ref, first = 0;
	for (uint32_t i = 1; i <= NAT_GUESTS; i++) {
		cr_assert_eq(open_one(n, NAT_UDP, i, i, 1, 0, &siblings, &ref), 0);
		first = first ? first : ref;
	}
	cr_assert_eq(open_one(n, NAT_UDP, 1, 99999, 1, 0, &siblings, &ref), -ENOSPC);
	nat_close(n, first, &siblings);
	cr_assert_eq(open_one(n, NAT_UDP, 1, 99999, 1, 0, &siblings, &ref), 0);
	free(n);
}

Test(nat, a_session_that_is_held_does_not_end_before)
{
	struct nat *n = table(10, 10);
	uint32_t siblings = 0, held, other;
	open_one(n, NAT_UDP, 9, 1, 1, 0, &siblings, &held);
	open_one(n, NAT_UDP, 9, 1, 2, second, &siblings, &other);
	nat_hold(n, held, 3600 * second);
	nat_hold(n, held, 60 * second); /* what is shorter changes nothing */
	cr_assert_eq(nat_expired(n, 601 * second), NAT_NONE);
	cr_assert_eq(nat_deadline(n), 602 * second, "the other one's");
	cr_assert_eq(nat_expired(n, 602 * second), other);
	nat_close(n, other, &siblings);
	for (uint64_t at = 1000; at < 3600; at += 100)
		cr_assert_eq(nat_expired(n, at * second), NAT_NONE, "at %llu",
			(unsigned long long)at);
	cr_assert_eq(nat_session(n, held)->used_ns, 0, "nobody spoke");
	cr_assert_leq(nat_deadline(n), (3600 + 601) * second);
	cr_assert_eq(nat_expired(n, (3600 + 601) * second), held);
	nat_close(n, held, &siblings);
	free(n);
}

Test(nat, a_held_session_is_the_guests_as_any_other)
{
	struct nat *n = table(1, 1);
	uint32_t siblings = 0, ref;
	open_one(n, NAT_UDP, 9, 1, 1, 0, &siblings, &ref);
	nat_hold(n, ref, 3600 * second);
	cr_assert_eq(open_one(n, NAT_UDP, 9, 1, 2, 0, &siblings, &ref), -EDQUOT);
	free(n);
}
