#include "world.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "topology.h"

struct world world;
const uint8_t world_gateway[6] = {0x00, 0xac, 1, 2, 3, 4};
const uint8_t world_broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void *pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static ssize_t world_write(void *context, unsigned int slot, const struct iovec *piece, int pieces)
{
	struct world_write *w = &world.write[world.writes];
	ssize_t answer = world.answer[slot];
	size_t total = 0, limit, at = 0;
	if (answer < 0)
		return answer;
	cr_assert_lt(world.writes, WORLD_WRITES);
	for (int i = 0; i < pieces; i++)
		total += piece[i].iov_len;
	limit = answer > 0 && (size_t)answer < total ? (size_t)answer : total;
	if (answer > 0)
		world.answer[slot] = -EAGAIN;
	w->slot = slot;
	w->bytes = (uint32_t)limit;
	w->data = world.writes ? w[-1].data + w[-1].bytes : world.store;
	cr_assert_leq(w->data + limit, world.store + WORLD_STORE);
	for (int i = 0; i < pieces && at < limit; i++) {
		size_t n = piece[i].iov_len < limit - at ? piece[i].iov_len : limit - at;
		memcpy(w->data + at, piece[i].iov_base, n);
		at += n;
	}
	world.writes++;
	return (ssize_t)limit;
}

static int world_dhcp(
	void *context, uint32_t number, const uint8_t *frame, uint32_t bytes, bool csum_ok)
{
	world.dhcp_heard++;
	world.dhcp_csum_ok = csum_ok;
	world.dhcp_port = number;
	world.dhcp_bytes = bytes;
	memcpy(world.dhcp_frame, frame, bytes);
	return world.dhcp_answer;
}

static void world_links(void)
{
	world.to_netstack = pages(sizeof(struct ring_region));
	world.to_broker = pages(sizeof(struct ring_region));
	link_init(&world.broker_end, world.to_netstack, world.to_broker, ACTOR_BROKER,
		ACTOR_NETSTACK, link_arenas(DATA_PATH_SHARED, ACTOR_NETSTACK, ACTOR_BROKER),
		link_release_op(ACTOR_BROKER, ACTOR_NETSTACK), -1);
	link_init(&world.netstack_end, world.to_broker, world.to_netstack, ACTOR_NETSTACK,
		ACTOR_BROKER, link_arenas(DATA_PATH_SHARED, ACTOR_BROKER, ACTOR_NETSTACK),
		link_release_op(ACTOR_NETSTACK, ACTOR_BROKER), -1);
}

void world_open(bool dhcp, uint32_t macs_per_port)
{
	struct bridge_config c = {.key = {3, 4}, .macs_per_port = macs_per_port};
	memset(&world, 0, sizeof world);
	world_links();
	world.store = pages(WORLD_STORE);
	arena_init(&world.arena, ARENA_BROKER, pages(ARENA_BYTES));
	arena_init(&world.netstack_arena, ARENA_NETSTACK, pages(ARENA_BYTES));
	arena_init(&world.natproxy_arena, ARENA_NATPROXY, pages(ARENA_BYTES));
	world.view.base[ARENA_BROKER] = world.arena.base;
	world.view.base[ARENA_NETSTACK] = world.netstack_arena.base;
	world.view.base[ARENA_NATPROXY] = world.natproxy_arena.base;
	memcpy(c.gateway.mac, world_gateway, 6);
	memcpy(&c.gateway.ip_be, (uint8_t[]){192, 168, 30, 1}, 4);
	c.gateway.dhcp = dhcp;
	c.arena = &world.arena;
	c.shards = 1;
	c.shard[0] = (struct bridge_shard){&world.broker_end, &world.view};
	c.drops = &world.drops;
	c.io = (struct bridge_io){
		.port = {.context = &world, .write = world_write}, .dhcp = world_dhcp};
	bridge_init(&world.bridge, &c);
	world.now_ns = 1;
	for (unsigned int slot = 0; slot < WORLD_PORTS; slot++)
		bridge_attach(&world.bridge, slot, 100 + slot, slot < 2, slot == 2, 1500);
}

const uint8_t *world_mac(uint8_t n)
{
	static uint8_t mac[8][6];
	static unsigned int next;
	uint8_t *m = mac[next++ % 8];
	memcpy(m, (uint8_t[]){2, 0, 0, 0, 0, n}, 6);
	return m;
}

void world_frame(
	uint8_t *frame, uint32_t bytes, const uint8_t *to, const uint8_t *from, uint16_t type)
{
	for (uint32_t i = 0; i < bytes; i++)
		frame[i] = (uint8_t)(i * 7 + bytes);
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
}

bool world_arrives(
	unsigned int slot, const struct wire_vnet *vnet, const uint8_t *frame, uint32_t bytes)
{
	struct bridge_offer offer;
	if (!bridge_offer(&world.bridge, slot, &offer, world.now_ns))
		return false;
	bridge_input_copy(&world.bridge, slot, vnet, frame, bytes, world.now_ns);
	return true;
}

int world_netstack_gets(struct ring_desc *d)
{
	int got;
	link_flush(&world.broker_end);
	got = link_recv(&world.netstack_end, d, NULL);
	link_flush(&world.netstack_end);
	return got;
}

int world_netstack_releases(const struct ring_desc *frame)
{
	for (int i = 0; i < frame->nseg; i++)
		link_release(&world.netstack_end, frame->seg[i].id);
	link_flush(&world.netstack_end);
	return world_broker_takes();
}

int world_netstack_sends(const struct ring_desc *d, const struct ring_header *h)
{
	int error = link_send(&world.netstack_end, LINK_DATA, d, h);
	link_flush(&world.netstack_end);
	return error ? error : world_broker_takes();
}

int world_broker_takes(void)
{
	struct ring_desc d;
	struct ring_header h;
	int got, error = 0;
	while (!error && (got = link_peek(&world.broker_end, &d, &h)) != 0) {
		if (got < 0)
			return got;
		error = d.op == RING_NETSTACK_SEND
				? bridge_send(&world.bridge, 0, &d, &h, world.now_ns)
				: bridge_release(&world.bridge, 0, &d);
		link_consumed(&world.broker_end);
	}
	link_flush(&world.broker_end);
	return error;
}

uint64_t world_drops(enum drop why)
{
	return world.drops.count[why];
}

uint64_t world_all_drops(void)
{
	uint64_t sum = 0;
	for (int i = 0; i < DROP_COUNT; i++)
		sum += world.drops.count[i];
	return sum;
}
