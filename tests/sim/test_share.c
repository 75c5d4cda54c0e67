/* Who shares the arenas: many bulk flows at once, among them far ends and guests that hardly read. A flow pins its window and no
 * more; nobody else notices. */
#include <criterion/criterion.h>

#include "apps.h"
#include "cable.h"
#include "clock.h"
#include "gateway.h"
#include "guest.h"

enum {
	SINK_PORT = 9001,
	SOURCE_PORT = 9002,
	STUCK_PORT = 9003,
	FULL_PORT = 9004,
	FLOWS = 64,
	STUCK = 40,
	MIB = 1 << 20,
	KIB = 1 << 10,
};

static struct guest_conn *live[FLOWS], *stuck[STUCK];

static void serve(void)
{
	const struct app sink = {.recv_seed = 11, .finish = true};
	const struct app source = {.send_seed = 22, .send_total = MIB, .finish = true};
	const struct app deaf = {.recv_seed = 33, .finish = true, .read_per_ms = 1};
	const struct app full = {.send_seed = 44, .send_total = 64 * MIB, .finish = true};
	app_serve(SERVER_IP, SINK_PORT, &sink);
	app_serve(SERVER_IP, SOURCE_PORT, &source);
	app_serve(SERVER_IP, STUCK_PORT, &deaf);
	app_serve(SERVER_IP, FULL_PORT, &full);
}

static struct guest_conn *send_to(uint16_t port, uint64_t seed, uint64_t bytes, bool bulk)
{
	struct guest_conn *c = guest_connect(SERVER_IP, port);
	c->send_seed = seed;
	c->send_total = bytes;
	c->finish = true;
	c->bulk = bulk;
	return c;
}

static struct guest_conn *read_from(uint16_t port, uint64_t seed, uint32_t read_per_ms)
{
	struct guest_conn *c = guest_connect(SERVER_IP, port);
	c->recv_seed = seed;
	c->read_per_ms = read_per_ms;
	c->finish = true;
	return c;
}

static bool all_done(void *arg)
{
	const bool *up = arg;
	for (int i = 0; i < FLOWS; i++) {
		const struct app *a = up && *up ? app_at(SINK_PORT, (unsigned int)i) : NULL;
		if (live[i] && live[i]->state != GUEST_DONE)
			return false;
		if (up && *up && (!a || !a->done))
			return false;
	}
	return true;
}

static uint64_t progress(int i, bool up)
{
	const struct app *a = app_at(SINK_PORT, (unsigned int)i);
	return up ? (a ? a->received : 0) : guest_received(live[i]);
}

/* Jain's index of what each flow has got: 1 = all the same, 1/n = one has all. */
static double fairness(bool up)
{
	double sum = 0, squares = 0;
	for (int i = 0; i < FLOWS; i++) {
		double x = (double)progress(i, up);
		sum += x;
		squares += x * x;
	}
	return squares > 0 ? sum * sum / (FLOWS * squares) : 0;
}

static bool half_way(void *arg)
{
	bool up = *(bool *)arg;
	uint64_t sum = 0;
	for (int i = 0; i < FLOWS; i++)
		sum += progress(i, up);
	return sum > (uint64_t)FLOWS * MIB / 2;
}

/* The cable loses nothing, so nobody need send again. */
static uint64_t resent(void)
{
	uint64_t n = 0;
	for (int i = 0; i < FLOWS; i++)
		if (live[i])
			n += live[i]->segments_resent + live[i]->timeouts;
	return n;
}

static void share(bool tap, bool up)
{
	static const struct cable_profile link = {
		.delay_ns = 50 * US, .bits_per_second = 1000000000};
	uint64_t started;
	gateway_with_guest(tap);
	cable_set(&link, 1);
	serve();
	stuck[0] = up ? send_to(STUCK_PORT, 33, 4 * MIB, tap) : read_from(FULL_PORT, 44, 1);
	clock_sleep(100 * MS);
	started = clock_ns();
	for (int i = 0; i < FLOWS; i++)
		live[i] = up ? send_to(SINK_PORT, 11, MIB, tap) : read_from(SOURCE_PORT, 22, 0);
	cr_assert(clock_until(half_way, &up, 30 * SECOND), "not half of it in 30 s");
	cr_expect_gt(fairness(up), 0.9, "fairness %f at half of the way", fairness(up));
	cr_assert(clock_until(all_done, &up, 30 * SECOND), "the slow reader holds up the others");
	cr_expect_lt(clock_ns() - started, 5 * SECOND, "%lu ms", (clock_ns() - started) / MS);
	cr_expect_eq(resent(), 0, "%lu segments were sent again", resent());
	for (int i = 0; i < FLOWS; i++)
		cr_expect(progress(i, up) == MIB && live[i]->wrong == 0);
	guest_abort(stuck[0]);
	gateway_at_rest();
}

Test(sim, share_uploads_of_frames)
{
	share(false, true);
}

Test(sim, share_uploads_of_super_frames)
{
	share(true, true);
}

Test(sim, share_downloads)
{
	share(true, false);
}

/* One after the other, so that each has all it can get before the next comes. */
static void stick(bool tap, bool up, uint32_t percent_most)
{
	uint32_t out, most = (ARENA_SMALL_COUNT + ARENA_LARGE_COUNT) * percent_most / 100;
	gateway_with_guest(tap);
	serve();
	for (int i = 0; i < STUCK; i++) {
		stuck[i] = up ? send_to(STUCK_PORT, 33, 8 * MIB, tap) : read_from(FULL_PORT, 44, 1);
		clock_sleep(50 * MS);
	}
	out = gateway_buffers_out(ACTOR_BROKER) + gateway_buffers_out(ACTOR_NETSTACK) +
	      gateway_buffers_out(ACTOR_NATPROXY);
	cr_expect(out > STUCK && out < most, "%u buffers are pinned", out);
}

/* A few good flows among many stuck ones: they go on as if alone. */
static void expect_life(uint64_t limit_ns)
{
	uint64_t started = clock_ns();
	for (int i = 0; i < 8; i++)
		live[i] = i % 2 ? send_to(SINK_PORT, 11, MIB, guest.tso)
				: read_from(SOURCE_PORT, 22, 0);
	cr_assert(clock_until(all_done, NULL, 60 * SECOND),
		"flows that nobody holds up do not get through");
	cr_expect_lt(clock_ns() - started, limit_ns, "%lu ms", (clock_ns() - started) / MS);
	for (int i = 0; i < STUCK; i++)
		guest_abort(stuck[i]);
	gateway_at_rest();
}

Test(sim, stuck_far_ends_with_frames)
{
	stick(false, true, 75);
	expect_life(5 * SECOND);
}

Test(sim, stuck_far_ends_with_super_frames)
{
	stick(true, true, 75);
	expect_life(5 * SECOND);
}

Test(sim, stuck_guests)
{
	stick(true, false, 95);
	expect_life(5 * SECOND);
}
