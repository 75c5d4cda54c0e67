/* What changes while the server runs: settings, reservations, leases that an operator ends. */
#include "engine_rig.h"

Test(engine_changes, a_lease_outside_a_new_range_ends_with_its_time)
{
	start(10, 20);
	uint32_t mine = dora(1);
	dora(2);
	cr_assert_eq(configure(100, 110), 0);
	cr_expect_eq(e.pool.count, 13, "two that are leased, eleven new ones");
	const struct lease *l = lease_of_address(&e.pool, mine);
	cr_assert(l && l->state == LEASE_BOUND);
	later(3600 * SECOND_NS);
	struct frame f = renewal(1, mine);
	hear(&f);
	struct answer a = heard();
	cr_expect(a.type == CODEC_NAK && a.option[56]);
	cr_expect(out.event == ENGINE_REFUSED && out.lease.ip_be == mine);
	cr_expect_eq(l->state, LEASE_BOUND, "but nobody else gets it");
	cr_expect_eq(dora(1), inet_addr("192.168.30.100"));
	later(3600 * SECOND_NS);
	while (engine_timeout(&e, t, &out))
		;
	cr_expect_null(lease_of_address(&e.pool, inet_addr("192.168.30.11")));
	cr_expect_eq(e.pool.count, 11);
	cr_assert_eq(configure(10, 20), 0);
	later(1800 * SECOND_NS);
	f = renewal(1, inet_addr("192.168.30.100"));
	hear(&f);
	cr_expect_eq(heard().type, CODEC_NAK);
	cr_expect_eq(dora(1), mine);
}

Test(engine_changes, a_change_under_way_of_a_commit_is_safe)
{
	start(10, 20);
	struct answer a = discover(1);
	struct frame f = request(1, a.yiaddr_be);
	hear(&f);
	uint64_t sequence = out.sequence;
	cr_assert_eq(configure(100, 110), 0);
	cr_assert_eq(engine_committed(&e, sequence, false, t, &out), 0);
	later(31 * SECOND_NS);
	while (engine_timeout(&e, t, &out))
		;
	cr_expect_null(lease_of_address(&e.pool, inet_addr("192.168.30.10")));
	cr_expect_eq(e.pool.count, 11);
}

Test(engine_changes, a_client_that_asks_on_while_the_plan_changes_keeps_what_is_on_its_way)
{
	start(10, 20);
	struct answer a = discover(1);
	struct frame f = request(1, a.yiaddr_be);
	hear(&f);
	uint64_t sequence = out.sequence;
	config.reservation[0] =
		(struct lease_reservation){inet_addr("192.168.30.15"), {2, 0, 0, 0, 0, 1}, ""};
	config.reservations = 1;
	cr_assert_eq(configure(10, 20), 0);
	cr_expect_eq(discover(1).yiaddr_be, a.yiaddr_be);
	cr_assert_eq(engine_committed(&e, sequence, false, t, &out), 0);
	cr_expect_eq(lease_of_address(&e.pool, a.yiaddr_be)->state, LEASE_OFFERED);
	cr_expect_eq(discover(1).yiaddr_be, inet_addr("192.168.30.15"));
	cr_expect_eq(lease_taken(&e.pool), 1);
}

Test(engine_changes, a_lease_that_its_client_lost_by_a_new_one_is_stored_as_over)
{
	start(10, 20);
	uint32_t mine = dora(1);
	cr_expect_not(engine_moved(&e, t, &out));
	config.reservation[0] =
		(struct lease_reservation){inet_addr("192.168.30.15"), {2, 0, 0, 0, 0, 1}, ""};
	config.reservations = 1;
	cr_assert_eq(configure(10, 20), 0);
	later(2 * SECOND_NS);
	cr_expect_eq(discover(1).yiaddr_be, inet_addr("192.168.30.15"));
	cr_assert(engine_moved(&e, t, &out));
	cr_expect(out.event == ENGINE_RELEASED && out.lease.ip_be == mine && out.lease.entry == 1 &&
		  out.lease.state == LEASE_RELEASED && out.lease.expires_ms == t.wall_ms);
	cr_expect_eq(out.lease.mac[5], 1);
	cr_expect_eq(engine_committed(&e, out.sequence, false, t, &out), 0);
	expect_silence();
	cr_expect_eq(out.event, ENGINE_NOTHING);
	cr_expect_not(engine_moved(&e, t, &out), "once");
	cr_expect_eq(discover(2).yiaddr_be, inet_addr("192.168.30.11"));
	cr_expect_not(engine_moved(&e, t, &out));
}

Test(engine_changes, what_clients_are_told_changes_with_their_next_answer)
{
	start(10, 20);
	uint32_t mine = dora(1);
	config.settings.router_be = 0;
	config.settings.dns_count = 0;
	strcpy(config.settings.domain, "lab.example");
	config.lease_ms = 60000;
	cr_assert_eq(configure(10, 20), 0);
	later(3600 * SECOND_NS);
	struct frame f = renewal(1, mine);
	hear(&f);
	struct answer a = stored();
	cr_expect(a.type == CODEC_ACK && a.yiaddr_be == mine && answer_u32(&a, 51) == 60);
	cr_expect(!a.option[3] && !a.option[6] && a.option[15]);
}

Test(engine_changes, reservations_change)
{
	start(10, 20);
	uint32_t mine = dora(1), theirs = dora(2);
	config.reservation[0] = (struct lease_reservation){mine, {2, 0, 0, 0, 0, 2}, "nt4"};
	config.reservations = 1;
	cr_assert_eq(configure(10, 20), 0);
	struct frame f = frame_new(CODEC_DISCOVER, 2);
	hear(&f);
	cr_expect_eq(heard().yiaddr_be, theirs, "who has it keeps it until it runs out");
	later(3600 * SECOND_NS);
	f = renewal(1, mine);
	hear(&f);
	cr_expect_eq(heard().type, CODEC_NAK);
	cr_expect_str_eq(out.refused, "the address is reserved for another station");
	cr_expect_neq(dora(1), mine);
	f = renewal(2, theirs);
	hear(&f);
	cr_expect_eq(heard().type, CODEC_NAK);
	cr_expect_str_eq(out.refused, "another address is reserved for this station");
	f = frame_new(CODEC_DISCOVER, 2);
	frame_option(&f, 55, "\14", 1);
	hear(&f);
	struct answer a = heard();
	cr_expect(a.yiaddr_be == mine && a.option[12] && !memcmp(a.option[12] + 1, "nt4", 3));
	config.reservations = 0;
	cr_assert_eq(configure(10, 20), 0);
	f = request(2, mine);
	hear(&f);
	cr_expect_eq(stored().type, CODEC_ACK);
	cr_expect_null(lease_of_address(&e.pool, mine)->name);
}

Test(engine_changes, the_operator_releases_by_address_and_by_mac)
{
	start(10, 20);
	uint32_t mine = dora(1), other = dora(2);
	const uint8_t mac[6] = {2, 0, 0, 0, 0, 2};
	cr_expect_not(engine_release(&e, NULL, 0, t, &out));
	cr_expect_not(engine_release(&e, mac, mine, t, &out), "another's");
	cr_assert(engine_release(&e, NULL, mine, t, &out));
	cr_expect(out.event == ENGINE_RELEASED && out.sequence && out.lease.ip_be == mine &&
		  out.lease.state == LEASE_RELEASED && out.lease.expires_ms == t.wall_ms);
	cr_expect_eq(engine_committed(&e, out.sequence, true, t, &out), 0);
	cr_expect_not(engine_release(&e, NULL, mine, t, &out), "once");
	cr_expect(engine_release(&e, mac, 0, t, &out) && out.lease.ip_be == other);
	cr_expect_not(engine_release(&e, mac, 0, t, &out));
	cr_expect_eq(lease_taken(&e.pool), 0);
}
