/* Two netstacks behind one switch: whose frames go where, and what one of them can do to the other. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "world.h"

enum { IP4 = 0x0800, ARP = 0x0806, GUESTS = 16 };

static const struct hash_key key = {7, 8};
/* Shard 1; shard 0 is the world's own. */
static struct ring_region *to_second, *from_second;
static struct link broker_second, second;
static struct arena_view second_view;
static uint8_t *second_arena[ARENA_ID_COUNT];
static uint8_t guest[2]; /* a last octet of each shard's */
static uint8_t frame[2000];

static void *pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static uint32_t ip_of(uint8_t last)
{
	uint32_t ip_be;
	memcpy(&ip_be, (uint8_t[]){192, 168, 30, last}, 4);
	return ip_be;
}

static void open_two(void)
{
	struct bridge_config c;
	world_open(true, 64);
	c = world.bridge.config;
	to_second = pages(sizeof *to_second);
	from_second = pages(sizeof *from_second);
	link_init(&broker_second, to_second, from_second, ACTOR_BROKER, ACTOR_NETSTACK,
		link_arenas(DATA_PATH_SHARED, ACTOR_NETSTACK, ACTOR_BROKER),
		link_release_op(ACTOR_BROKER, ACTOR_NETSTACK), -1);
	link_init(&second, from_second, to_second, ACTOR_NETSTACK, ACTOR_BROKER,
		link_arenas(DATA_PATH_SHARED, ACTOR_BROKER, ACTOR_NETSTACK),
		link_release_op(ACTOR_NETSTACK, ACTOR_BROKER), -1);
	second_view.base[ARENA_BROKER] = world.arena.base;
	for (int id = ARENA_NETSTACK; id <= ARENA_NATPROXY; id++)
		second_view.base[id] = second_arena[id] = pages(ARENA_BYTES);
	c.shards = 2;
	c.shard_key = key;
	c.shard[1] = (struct bridge_shard){&broker_second, &second_view};
	bridge_init(&world.bridge, &c);
	for (unsigned int slot = 0; slot < WORLD_PORTS; slot++)
		bridge_attach(&world.bridge, slot, 100 + slot, slot < 2, slot == 2, 1500);
	for (uint8_t last = 10; last < 250; last++)
		guest[shard_of(&key, ip_of(last), 2)] = last;
}

/* A frame for the gateway from a guest, 100 bytes long; whether the port was offered room. */
static bool say_as(unsigned int slot, uint8_t last, uint16_t type)
{
	uint32_t ip_be = ip_of(last);
	world_frame(frame, 100, world_gateway, world_mac((uint8_t)(last ^ slot << 7)), type);
	memcpy(frame + (type == ARP ? 28 : 26), &ip_be, 4);
	return world_arrives(slot, NULL, frame, 100);
}

static struct link *end_of(unsigned int shard)
{
	return shard ? &second : &world.netstack_end;
}

/* What a shard finds next; it keeps the buffers. */
static int shard_gets(unsigned int shard, struct ring_desc *d)
{
	int got;
	link_flush(world.bridge.config.shard[shard].netstack);
	got = link_recv(end_of(shard), d, NULL);
	link_flush(end_of(shard));
	return got;
}

/* One step of the broker over a shard's ring. */
static int broker_takes(unsigned int shard)
{
	struct ring_desc d;
	struct ring_header h;
	int error = 0;
	link_flush(end_of(shard));
	while (!error &&
		(error = link_peek(world.bridge.config.shard[shard].netstack, &d, &h)) == 1) {
		error = d.op == RING_NETSTACK_SEND
				? bridge_send(&world.bridge, shard, &d, &h, world.now_ns)
				: bridge_release(&world.bridge, shard, &d);
		link_consumed(world.bridge.config.shard[shard].netstack);
	}
	return error;
}

static int shard_releases(unsigned int shard, uint32_t id)
{
	struct ring_desc d = {.op = RING_NETSTACK_RELEASE_FRAME, .nseg = 1, .ids = {id}};
	cr_assert_eq(link_send(end_of(shard), LINK_CONTROL, &d, NULL), 0);
	return broker_takes(shard);
}

Test(shards, each_guest_has_its_own_and_keeps_it)
{
	unsigned int frames[2] = {0};
	struct ring_desc d;
	open_two();
	for (int round = 0; round < 2; round++)
		for (uint8_t last = 10; last < 10 + GUESTS; last++)
			for (int arp = 0; arp < 2; arp++) {
				unsigned int shard = shard_of(&key, ip_of(last), 2);
				/* Another port, another protocol, a fragment: the same guest. */
				cr_assert(say_as(round, last, arp ? ARP : IP4));
				cr_assert_eq(shard_gets(1 - shard, &d), 0);
				cr_assert_eq(shard_gets(shard, &d), 1);
				cr_assert_eq(d.flow, 100u + (unsigned int)round);
				cr_assert_eq(shard_releases(shard, d.seg[0].id), 0);
				frames[shard]++;
			}
	cr_assert(frames[0] && frames[1]);
	cr_assert_eq(world_all_drops(), 0);
}

Test(shards, nobodys_frames_go_to_the_first)
{
	struct ring_desc d;
	open_two();
	world_frame(frame, 100, world_broadcast, world_mac(9), ARP);
	memset(frame + 28, 0, 4); /* a probe: no address yet */
	cr_assert(world_arrives(0, NULL, frame, 100));
	cr_assert_eq(shard_gets(0, &d), 1);
	world_frame(frame, 20, world_gateway, world_mac(9), IP4);
	cr_assert(world_arrives(0, NULL, frame, 20));
	cr_assert_eq(shard_gets(0, &d), 1, "a header that ends too early");
	cr_assert_eq(shard_gets(1, &d), 0);
}

/* A SEND by MAC with one segment of 100 bytes in `arena`, buffer 3. */
static int sends(unsigned int shard, enum arena_id arena)
{
	struct ring_desc d = {
		.op = RING_NETSTACK_SEND, .hlen = 54, .nseg = 1, .flow = RING_PORT_BY_MAC};
	struct ring_header h = {0};
	memcpy(h.frame, world_mac(guest[0]), 6);
	memcpy(h.frame + 6, world_gateway, 6);
	d.seg[0] = (struct ring_seg){buf_offset(3), 100, buf_id(arena, 3)};
	cr_assert_eq(link_send(end_of(shard), LINK_DATA, &d, &h), 0);
	world.writes = 0;
	return broker_takes(shard);
}

Test(shards, a_shard_can_only_name_its_own_arenas)
{
	open_two();
	memset(world.natproxy_arena.base + buf_offset(3), 0xaa, 100);
	memset(world.netstack_arena.base + buf_offset(3), 0xab, 100);
	memset(second_arena[ARENA_NATPROXY] + buf_offset(3), 0xba, 100);
	memset(second_arena[ARENA_NETSTACK] + buf_offset(3), 0xbb, 100);
	cr_assert(say_as(0, guest[0], ARP), "its port is learned");
	for (unsigned int shard = 0; shard < 2; shard++)
		for (int id = ARENA_NETSTACK; id <= ARENA_NATPROXY; id++) {
			uint8_t expected = (uint8_t)((shard ? 0xb0 : 0xa0) |
						     (id == ARENA_NETSTACK ? 0xb : 0xa));
			cr_assert_eq(sends(shard, (enum arena_id)id), 0);
			cr_assert_eq(world.writes, 1);
			cr_assert_eq(world.write[0].bytes, WIRE_VNET_BYTES + 154);
			for (int i = 0; i < 100; i++)
				cr_assert_eq(
					world.write[0].data[WIRE_VNET_BYTES + 54 + i], expected);
		}
	cr_assert_eq(sends(1, ARENA_BROKER), -EPROTO);
	cr_assert_eq(link_error(&world.broker_end, NULL), 0, "the other one's link lives");
}

Test(shards, what_another_shard_has_is_not_given_back)
{
	struct ring_desc d;
	open_two();
	for (unsigned int shard = 0; shard < 2; shard++) {
		cr_assert(say_as(0, guest[shard], IP4));
		cr_assert_eq(shard_gets(shard, &d), 1);
		cr_assert_eq(shard_releases(1 - shard, d.seg[0].id), -EPROTO);
		cr_assert_eq(shard_releases(shard, d.seg[0].id), 0);
		cr_assert_eq(shard_releases(shard, d.seg[0].id), -EPROTO, "once");
	}
	cr_assert_eq(world.bridge.lent[0][BUF_SMALL] + world.bridge.lent[1][BUF_SMALL], 0);
}

/* Frames of a guest until its port is told to wait; how many. */
static unsigned int fill(unsigned int slot, uint8_t last)
{
	unsigned int n = 0;
	while (n < 2 * RING_SLOTS && say_as(slot, last, IP4))
		n++;
	return n;
}

Test(shards, one_that_is_stuck_stops_nobody_else)
{
	uint32_t passed = 0;
	struct ring_desc d;
	open_two();
	cr_assert_lt(fill(0, guest[1]), 2 * RING_SLOTS, "a port with one guest waits");
	cr_assert(say_as(1, guest[0], IP4), "other ports do not");
	cr_assert_eq(shard_gets(0, &d), 1);
	cr_assert_eq(shard_releases(0, d.seg[0].id), 0);
	cr_assert_not(say_as(0, guest[0], IP4), "who shares the port waits, too,");
	world.now_ns += BRIDGE_PATIENCE_NS;
	for (int i = 0; i < 1000; i++) {
		cr_assert(say_as(0, guest[i & 1], IP4), "but not for long");
		while (shard_gets(0, &d) == 1) {
			passed++;
			cr_assert_eq(shard_releases(0, d.seg[0].id), 0);
		}
	}
	cr_assert_eq(passed, 500);
	cr_assert_eq(world_drops(DROP_RING_FULL), 500);
	cr_assert_gt(world.arena.free_count[BUF_SMALL], ARENA_SMALL_COUNT / 4, "nor can it hoard");
}

Test(shards, it_is_waited_for_again_when_it_works_again)
{
	struct ring_desc d;
	open_two();
	fill(0, guest[1]);
	world.now_ns += BRIDGE_PATIENCE_NS;
	cr_assert(say_as(0, guest[1], IP4), "dropped");
	while (shard_gets(1, &d) == 1)
		cr_assert_eq(shard_releases(1, d.seg[0].id), 0);
	world.writes = 0;
	cr_assert_gt(fill(0, guest[1]), 1000);
	cr_assert_eq(world_drops(DROP_RING_FULL), 1);
}

Test(shards, a_lost_one_takes_nothing_with_it)
{
	struct ring_desc d;
	open_two();
	fill(0, guest[1]);
	cr_assert(say_as(1, guest[0], IP4));
	link_reset(&broker_second);
	bridge_shard_lost(&world.bridge, 1);
	cr_assert_eq(world.bridge.lent[1][BUF_SMALL], 0);
	cr_assert_eq(world.bridge.port[0].lent[BUF_SMALL], 0);
	cr_assert_eq(world.bridge.lent[0][BUF_SMALL], 1, "what the other one has it keeps");
	cr_assert_eq(world.bridge.port[1].lent[BUF_SMALL], 1);
	cr_assert_eq(world.arena.free_count[BUF_SMALL],
		ARENA_SMALL_COUNT - 1 - (world.bridge.offer[BUF_SMALL] != 0));
	cr_assert(say_as(0, guest[1], IP4), "nobody waits for the dead");
	cr_assert_eq(world_drops(DROP_RING_FULL), 1);
	cr_assert_eq(shard_gets(0, &d), 1);
	cr_assert_eq(shard_releases(0, d.seg[0].id), 0);
}

Test(shards, and_its_successor_begins_with_empty_rings)
{
	struct ring_desc d;
	uint32_t stale;
	open_two();
	cr_assert(say_as(0, guest[1], IP4));
	cr_assert_eq(shard_gets(1, &d), 1);
	stale = d.seg[0].id;
	cr_assert(say_as(0, guest[1], IP4), "and one that it never took");
	link_reset(&broker_second);
	bridge_shard_lost(&world.bridge, 1);
	link_init(&second, from_second, to_second, ACTOR_NETSTACK, ACTOR_BROKER,
		link_arenas(DATA_PATH_SHARED, ACTOR_BROKER, ACTOR_NETSTACK),
		link_release_op(ACTOR_NETSTACK, ACTOR_BROKER), -1);
	link_revive(&broker_second);
	cr_assert_eq(shard_gets(1, &d), 0);
	cr_assert(say_as(0, guest[1], IP4));
	cr_assert_eq(shard_gets(1, &d), 1);
	cr_assert_eq(shard_gets(1, &(struct ring_desc){0}), 0);
	cr_assert_eq(shard_releases(1, d.seg[0].id), 0);
	cr_assert_eq(shard_releases(1, stale), -EPROTO, "what the predecessor had is nobody's");
}
