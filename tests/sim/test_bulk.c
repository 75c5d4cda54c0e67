/* Bytes in quantity, both ways, over good and bad cables: every byte right, in bounded virtual time. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "apps.h"
#include "cable.h"
#include "clock.h"
#include "gateway.h"
#include "guest.h"
#include "snapshot.h"

enum { UP_PORT = 9001, DOWN_PORT = 9002, FLOWS = 2, MIB = 1 << 20 };

static const struct cable_profile good = {.delay_ns = 50 * US, .bits_per_second = 1000000000};
/* The profiles of the conformance suite's lossy link. */
static const struct cable_profile profile_a = {.loss = 10000,
	.duplicate = 10000,
	.reorder = 20000,
	.delay_ns = 2500 * US,
	.reorder_ns = MS,
	.bits_per_second = 1000000000};
static const struct cable_profile profile_b = {.loss = 50000,
	.pairs = true,
	.duplicate = 20000,
	.reorder = 50000,
	.delay_ns = 5 * MS,
	.reorder_ns = 2 * MS,
	.bits_per_second = 1000000000};
static const struct cable_profile profile_c = {
	.damage = 10000, .truncate = 2000, .delay_ns = 500 * US, .bits_per_second = 1000000000};

static struct guest_conn *up[FLOWS], *down[FLOWS];

static bool finished(void *arg)
{
	for (int i = 0; i < FLOWS; i++) {
		const struct app *u = app_at(UP_PORT, (unsigned int)i),
				 *d = app_at(DOWN_PORT, (unsigned int)i);
		if (up[i]->state != GUEST_DONE || down[i]->state != GUEST_DONE || !u || !d ||
			!u->done || !d->done)
			return false;
	}
	return true;
}

static void begin(uint64_t bytes)
{
	const struct app sink = {.recv_seed = 11, .finish = true};
	const struct app source = {.send_seed = 22, .send_total = bytes, .finish = true};
	app_serve(SERVER_IP, UP_PORT, &sink);
	app_serve(SERVER_IP, DOWN_PORT, &source);
	for (int i = 0; i < FLOWS; i++) {
		up[i] = guest_connect(SERVER_IP, UP_PORT);
		up[i]->send_seed = 11;
		up[i]->send_total = bytes;
		up[i]->finish = up[i]->bulk = true;
		down[i] = guest_connect(SERVER_IP, DOWN_PORT);
		down[i]->recv_seed = 22;
		down[i]->finish = true;
	}
}

static void say_states(void)
{
	for (int i = 0; i < FLOWS; i++)
		cr_log_error("up %d: state %d una %lu window %u timeouts %lu; down %d: state %d "
			     "received %lu",
			i, (int)up[i]->state, up[i]->una, up[i]->wnd, up[i]->timeouts, i,
			(int)down[i]->state, guest_received(down[i]));
}

/* The cable was as bad as was asked for, in both directions, and the guest was never shown bad packets by a good one. */
static void expect_cable(const struct cable_profile *p)
{
	for (int way = 0; way < CABLE_WAYS; way++) {
		const struct cable_counts *n = cable_counts((enum cable_way)way);
		cr_expect_eq(p->loss > 0, n->lost > 0);
		cr_expect_eq(p->duplicate > 0, n->duplicated > 0);
		cr_expect_eq(p->reorder > 0, n->reordered > 0);
		cr_expect_eq(p->damage > 0, n->damaged > 0);
		cr_expect_eq(p->truncate > 0, n->truncated > 0);
	}
	cr_expect_eq(p->damage > 0, guest.bad > 0, "%lu packets were bad", guest.bad);
}

static void transfer(const char *name, bool tap, const struct cable_profile *p, uint64_t seed,
	uint64_t bytes, uint64_t limit_ns)
{
	gateway_with_guest(tap);
	snapshot_begin();
	cable_set(p, seed);
	begin(bytes);
	if (!clock_until(finished, NULL, limit_ns)) {
		say_states();
		cr_assert_fail("%s: not finished in %lu virtual ms", name, limit_ns / MS);
	}
	for (int i = 0; i < FLOWS; i++) {
		const struct app *u = app_at(UP_PORT, (unsigned int)i);
		cr_expect(u->received == bytes && u->wrong == 0, "%s: up %d", name, i);
		cr_expect(guest_received(down[i]) == bytes && down[i]->wrong == 0, "%s: down %d",
			name, i);
	}
	expect_cable(p);
	snapshot_end(name);
	cable_set(&good, 1);
	gateway_at_rest();
}

Test(sim, bulk_frames)
{
	transfer("bulk_frames", false, &good, 1, 8 * MIB, 2 * SECOND);
}

Test(sim, bulk_super_frames)
{
	transfer("bulk_super_frames", true, &good, 1, 8 * MIB, 2 * SECOND);
}

Test(sim, bulk_profile_a_1)
{
	transfer("bulk_profile_a_1", false, &profile_a, 1, 8 * MIB, 10 * SECOND);
}

Test(sim, bulk_profile_a_2)
{
	transfer("bulk_profile_a_2", false, &profile_a, 2, 8 * MIB, 10 * SECOND);
}

Test(sim, bulk_profile_a_3)
{
	transfer("bulk_profile_a_3", false, &profile_a, 3, 8 * MIB, 10 * SECOND);
}

Test(sim, bulk_profile_a_4)
{
	transfer("bulk_profile_a_4", true, &profile_a, 4, 8 * MIB, 10 * SECOND);
}

Test(sim, bulk_profile_b_1)
{
	transfer("bulk_profile_b_1", false, &profile_b, 1, 8 * MIB, 40 * SECOND);
}

Test(sim, bulk_profile_b_2)
{
	transfer("bulk_profile_b_2", false, &profile_b, 2, 8 * MIB, 40 * SECOND);
}

Test(sim, bulk_profile_b_3)
{
	transfer("bulk_profile_b_3", false, &profile_b, 3, 8 * MIB, 40 * SECOND);
}

Test(sim, bulk_profile_b_4)
{
	transfer("bulk_profile_b_4", true, &profile_b, 4, 8 * MIB, 40 * SECOND);
}

Test(sim, bulk_profile_c_1)
{
	transfer("bulk_profile_c_1", false, &profile_c, 1, 8 * MIB, 10 * SECOND);
}

Test(sim, bulk_profile_c_2)
{
	transfer("bulk_profile_c_2", false, &profile_c, 2, 8 * MIB, 10 * SECOND);
}

Test(sim, bulk_profile_c_3)
{
	transfer("bulk_profile_c_3", false, &profile_c, 3, 8 * MIB, 10 * SECOND);
}

Test(sim, bulk_profile_c_4)
{
	transfer("bulk_profile_c_4", false, &profile_c, 4, 8 * MIB, 10 * SECOND);
}
