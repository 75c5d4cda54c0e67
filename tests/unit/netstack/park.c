/* What comes from outside for a guest that has not spoken yet (RFC 1122 2.3.2.2). */
#include <criterion/criterion.h>
#include <string.h>

#include "park.h"
#include "world.h"

enum { ETHERTYPE_ARP = 0x0806, UDP = 17 };

static struct world *w;

static void setup(void)
{
	w = world_new(NULL);
}

static void teardown(void)
{
	world_free(w);
}

TestSuite(park, .init = setup, .fini = teardown);

/* Every buffer is back where it came from. Each test ends with it: what is asserted after a test does not fail it. */
static void expect_rest(void)
{
	cr_assert_eq(w->error, 0);
	cr_assert(world_at_rest(w));
}

/* Somebody outside sends to a port of this guest: the flow. */
static uint32_t incoming(uint32_t guest, uint16_t port)
{
	const unsigned int n = world_told_count(w, RING_NETSTACK_DGRAM_OPEN);
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_INCOMING,
		.pair = {.guest_ip_be = htobe32(guest),
			.guest_port = port,
			.token = 9,
			.kind = DGRAM_UDP}};
	world_tell(w, &d);
	world_run(w);
	return world_told(w, RING_NETSTACK_DGRAM_OPEN, n)->flow;
}

static void say(uint32_t flow, const char *word)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_DATA,
		.flow = flow,
		.remote = {.ip_be = htobe32(OUTSIDE), .port = 2000}};
	cr_assert(world_payload(w, &d, word, (uint32_t)strlen(word)));
	world_run(w);
}

static void found(uint32_t guest)
{
	uint8_t frame[60];
	world_frame(w, frame, make_arp(frame, 2, GUEST_MAC, guest, GATEWAY), false);
	world_run(w);
}

static unsigned int questions(void)
{
	unsigned int n = 0;
	for (uint32_t i = 0; i < w->frames_n; i++)
		n += w->frame[i].ethertype == ETHERTYPE_ARP;
	return n;
}

static void expect(unsigned int nth, uint16_t port, const char *word)
{
	const struct seen *s = world_seen(w, UDP, nth);
	cr_assert_not_null(s);
	cr_expect_eq(s->l4[2] << 8 | s->l4[3], port);
	cr_expect_eq(s->l4_len - 8, strlen(word));
	cr_expect_eq(memcmp(s->l4 + 8, word, strlen(word)), 0, "%s", word);
}

Test(park, words_wait_for_arp_and_keep_their_order)
{
	const uint32_t rtp = incoming(GUEST, 5004), rtcp = incoming(GUEST, 5005);
	say(rtp, "one");
	say(rtcp, "two");
	say(rtp, "three");
	cr_assert_eq(world_count(w, UDP), 0);
	cr_assert_eq(questions(), 1);
	found(GUEST + 1);
	cr_assert_eq(world_count(w, UDP), 0, "that is somebody else");
	found(GUEST);
	cr_assert_eq(world_count(w, UDP), 3);
	expect(0, 5004, "one");
	expect(1, 5005, "two");
	expect(2, 5004, "three");
	say(rtp, "four");
	expect(3, 5004, "four");
	cr_assert_eq(w->drops.count[DROP_GUEST_SILENT], 0);
	expect_rest();
}

Test(park, a_guest_is_asked_for_three_times_and_given_up)
{
	say(incoming(GUEST, 5060), "hello");
	cr_assert_eq(questions(), 1);
	world_sleep(w, 2900 * MS);
	cr_assert_eq(questions(), 3);
	cr_assert_eq(w->drops.count[DROP_GUEST_SILENT], 0);
	world_sleep(w, 10 * SECOND);
	cr_assert_eq(questions(), 3);
	cr_assert_eq(w->drops.count[DROP_GUEST_SILENT], 1);
	found(GUEST);
	cr_assert_eq(world_count(w, UDP), 0);
	expect_rest();
}

Test(park, the_newest_of_a_guest_are_kept)
{
	static const char *const words[] = {"0", "1", "2", "3", "4", "5"};
	const uint32_t flow = incoming(GUEST, 5060), other = incoming(GUEST + 1, 5060);
	say(other, "other");
	for (unsigned int i = 0; i < 6; i++)
		say(flow, words[i]);
	cr_assert_eq(w->drops.count[DROP_GUEST_SILENT], 6 - PARK_EACH);
	found(GUEST);
	for (unsigned int i = 0; i < PARK_EACH; i++)
		expect(i, 5060, words[6 - PARK_EACH + i]);
	found(GUEST + 1);
	expect(PARK_EACH, 5060, "other");
	expect_rest();
}

Test(park, nobody_takes_all_the_places_for_good)
{
	for (uint32_t i = 0; i < PARK_MAX; i++)
		say(incoming(GUEST + 1 + i, 5060), "x");
	say(incoming(GUEST, 5060), "hello");
	cr_assert_eq(w->drops.count[DROP_GUEST_SILENT], 1, "the oldest gives way");
	found(GUEST);
	expect(0, 5060, "hello");
	found(GUEST + 1);
	cr_assert_eq(world_count(w, UDP), 1);
	found(GUEST + 2);
	cr_assert_eq(world_count(w, UDP), 2);
	world_sleep(w, 4 * SECOND);
	cr_assert_eq(w->drops.count[DROP_GUEST_SILENT], PARK_MAX - 1);
	expect_rest();
}

Test(park, what_a_flow_left_behind_goes_with_it)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_CLOSED, .flow = incoming(GUEST, 5060)};
	say(d.flow, "hello");
	world_tell(w, &d);
	world_run(w);
	found(GUEST);
	cr_assert_eq(world_count(w, UDP), 0);
	cr_assert_eq(w->drops.count[DROP_GUEST_SILENT], 1);
	expect_rest();
}
