/*
 * The stalls that laziness can make, between the real stack and a natproxy that sleeps (dataplane's three: the third, a timer
 * for lazy messages, is a test of the skeleton: tests/unit/ipc/actor.c).
 *
 * natproxy reads its ring only when it is awake: because a bell rang, or because its sockets have something, which is
 * when the test says so. What it knows is what it read. stall_mutants.txt says what the tests must notice.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "world.h"

enum { ROUNDS = 20, CHUNK = 60000, GUEST_WINDOW = 30000 /* in units of 128 */ };

static struct world *w;
static struct conn c;
static uint64_t sent, acked;
static uint32_t noise;

static uint32_t draw(uint32_t below)
{
	noise = noise * 1664525 + 1013904223;
	return (noise >> 8) % below;
}

static void setup(void)
{
	w = world_new(NULL);
	conn_init(&c, w, 40000, 80);
	c.window = GUEST_WINDOW;
	conn_open(&c, OPT_MSS_1460 | OPT_SCALE_7 | OPT_SACK_PERMITTED);
	sent = acked = 0;
	noise = 1;
}

static void teardown(void)
{
	cr_assert_eq(w->error, 0);
	world_free(w);
}

TestSuite(stall, .init = setup, .fini = teardown);

static void natproxy_sends(uint64_t bytes)
{
	static uint8_t data[CHUNK];
	while (bytes) {
		uint32_t n = bytes < CHUNK ? (uint32_t)bytes : CHUNK;
		struct ring_desc d = {.op = RING_NATPROXY_TCP_DATA, .flow = c.flow, .arg = sent};
		cr_assert(world_payload(w, &d, data, n));
		sent += n;
		bytes -= n;
	}
}

/* What was sent to the guest by now, which is what it can acknowledge. */
static uint64_t seen_by_guest(void)
{
	uint32_t most = 0;
	for (uint32_t i = 0; i < w->frames_n; i++) {
		const struct seen *s = &w->frame[i];
		if (s->protocol == 6 && s->seq + s->payload_len - c.ack > most && s->payload_len)
			most = s->seq + s->payload_len - c.ack;
	}
	return acked + most;
}

static void guest_acknowledges(uint64_t upto)
{
	c.ack += (uint32_t)(upto - acked);
	acked = upto;
	world_clear(w);
	conn_send_at(&c, c.seq, c.ack, F_ACK, NULL, 0);
}

static void natproxy_sleeps(void)
{
	struct link *l = &w->natproxy;
	cr_assert(link_sleep(&l, 1));
	w->natproxy_stuck = true;
}

static void natproxy_wakes(void)
{
	struct link *l = &w->natproxy;
	link_wake(&l, 1);
	w->natproxy_stuck = false;
	world_run(w);
}

struct hidden { /* in the ring, not yet read */
	uint64_t credit;
	uint32_t credits, released;
};

static struct hidden look(void)
{
	struct hidden h = {0};
	for (uint32_t i = w->natproxy.tail; i != atomic_load(&w->region[2]->head); i++) {
		const struct ring_desc *d = &w->region[2]->desc[i % RING_SLOTS];
		if (d->op == RING_NETSTACK_TCP_CREDIT) {
			h.credit = d->arg;
			h.credits++;
		}
		if (d->op == RING_NETSTACK_RELEASE_READ)
			h.released += d->nseg;
	}
	return h;
}

/* As far as natproxy can send, a little less, or nothing. */
static void natproxy_turn(void)
{
	uint64_t left = w->credit - sent;
	if (draw(4) == 0)
		return;
	natproxy_sends(draw(2) ? left : draw((uint32_t)left + 1));
}

/*
 * Stall a: whoever used up what it knew of, and sleeps, must be rung for the next credit, even if netstack had lazily
 * granted some before, which the sleeper has not seen. One seed is one history of who comes first.
 */
static void credit_history(uint32_t seed)
{
	noise = seed;
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t rings, seen;
		natproxy_turn();
		natproxy_sleeps();
		rings = w->to_natproxy.rings;
		/* netstack has not looked at natproxy's ring yet, and hears the guest */
		w->stack_deaf = true;
		seen = seen_by_guest();
		guest_acknowledges(seen - draw((uint32_t)(seen - acked) / 4 + 1));
		w->stack_deaf = false;
		world_run(w);
		for (int i = 0; i < 3; i++) {
			uint32_t before = look().credits;
			guest_acknowledges(seen_by_guest());
			if (look().credits != before && w->credit == sent)
				cr_assert_neq(w->to_natproxy.rings, rings,
					"seed %u round %d: credit for a sleeper that has none, and "
					"no bell",
					seed, round);
		}
		natproxy_wakes();
	}
}

Test(stall, a_credit_is_judged_by_what_the_sleeper_was_told)
{
	for (uint32_t seed = 1; seed <= 40; seed++) {
		credit_history(seed);
		cr_assert_eq(w->error, 0);
		teardown();
		setup();
	}
}

/* Stall b: buffers given back behind heads that nobody rang for: never more than a quarter of what the owner has, over two
 * hops. */
Test(stall, b_hidden_releases_are_bounded)
{
	static uint8_t data[100];
	uint32_t most = 0;
	for (int round = 0; round < 40; round++) {
		uint64_t rings;
		for (int i = 0; i < 150; i++) { /* small messages: many buffers */
			struct ring_desc d = {
				.op = RING_NATPROXY_TCP_DATA, .flow = c.flow, .arg = sent};
			cr_assert(world_payload(w, &d, data, sizeof(data)));
			sent += sizeof(data);
		}
		world_run(w);
		natproxy_sleeps();
		rings = w->to_natproxy.rings;
		while (acked < sent && w->to_natproxy.rings == rings) {
			guest_acknowledges(acked + 5 * sizeof(data));
			if (w->to_natproxy.rings == rings && most < look().released)
				most = look().released;
		}
		natproxy_wakes();
		guest_acknowledges(sent);
	}
	cr_assert_gt(most, 0, "lazy means lazy");
	cr_assert_leq(most, LINK_LAZY_MAX + RING_IDS);
	cr_assert_leq(2 * (LINK_LAZY_MAX + RING_IDS), ARENA_LARGE_COUNT / 2);
}
