/*
 * The switch between hostile guests and two hostile netstacks. The input is a list of actions: frames
 * at ports, descriptors and indices in a netstack's shared region (any bytes), the death of one, answers of a hostile
 * dhcpd. Nothing may crash, no byte outside a lent buffer may be named, what leaves by a port
 * on netstack's or dhcpd's word carries the gateway's address, and what a shard has is what is counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bridge.h"
#include "topology.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct bridge bridge;
enum { SHARDS = 2 };
static struct link link_to[SHARDS];
static struct ring_region *mine[SHARDS], *theirs[SHARDS];
static struct arena arena;
static struct arena_view view[SHARDS];
static struct drops drops;
static bool inside; /* the frame being written comes from inside */
static uint8_t port_answer;
static const uint8_t gateway[6] = {0, 0xac, 1, 2, 3, 4};

static ssize_t take(void *context, unsigned int slot, const struct iovec *piece, int pieces)
{
	static uint8_t flat[80000];
	size_t n = 0;
	for (int i = 0; i < pieces; i++) {
		memcpy(flat + n, piece[i].iov_base, piece[i].iov_len);
		n += piece[i].iov_len;
	}
	if (inside && slot == 3 && !steer_owns(&bridge.config.gateway, flat + 6))
		abort();
	switch (port_answer & 7) {
	case 0: return -EAGAIN;
	case 1: return -ENOBUFS;
	case 2: return -EPIPE;
	case 3: return (ssize_t)(slot == 2 ? n / 2 : n);
	case 4:
		return slot < 2 && flat[1] ? -EINVAL
					   : (ssize_t)n; /* a kernel without super-frames */
	default: return (ssize_t)n;
	}
}

static int hear(void *context, uint32_t number, const uint8_t *frame, uint32_t bytes, bool csum_ok)
{
	static uint8_t copy[BRIDGE_DHCP_BYTES_MAX];
	memcpy(copy, frame, bytes);
	return 0;
}

static void *pages(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static void begin(void)
{
	struct bridge_config c = {.key = {1, 2}, .macs_per_port = 4};
	static uint8_t *own;
	if (!own)
		own = pages(ARENA_BYTES);
	for (int s = 0; s < SHARDS; s++) {
		if (!mine[s]) {
			mine[s] = pages(sizeof *mine[s]);
			theirs[s] = pages(sizeof *theirs[s]);
			view[s].base[ARENA_BROKER] = own;
			view[s].base[ARENA_NETSTACK] = pages(ARENA_BYTES);
			view[s].base[ARENA_NATPROXY] = pages(ARENA_BYTES);
		}
		theirs[s]->head = theirs[s]->tail = 0;
		link_init(&link_to[s], mine[s], theirs[s], ACTOR_BROKER, ACTOR_NETSTACK,
			link_arenas(DATA_PATH_SHARED, ACTOR_NETSTACK, ACTOR_BROKER), RING_OP_NONE,
			-1);
		c.shard[s] = (struct bridge_shard){&link_to[s], &view[s]};
	}
	arena_init(&arena, ARENA_BROKER, own);
	memcpy(c.gateway.mac, gateway, 6);
	c.gateway.dhcp = true;
	c.arena = &arena;
	c.shards = SHARDS;
	c.drops = &drops;
	c.io = (struct bridge_io){.port = {.write = take}, .dhcp = hear};
	bridge_init(&bridge, &c);
	for (unsigned int slot = 0; slot < 4; slot++)
		bridge_attach(&bridge, slot, slot, slot < 2, slot == 2, 1500);
}

static void guest_says(uint8_t how, const uint8_t *data, uint32_t bytes)
{
	struct wire_vnet v = {0};
	struct bridge_offer offer;
	unsigned int slot = how & 3;
	if (slot < 2 && bytes >= WIRE_VNET_BYTES) {
		memcpy(&v, data, WIRE_VNET_BYTES);
		data += WIRE_VNET_BYTES;
		bytes -= WIRE_VNET_BYTES;
	}
	inside = false;
	if (bridge_offer(&bridge, slot, &offer, 1))
		bridge_input_copy(&bridge, slot, slot < 2 ? &v : NULL, data, bytes,
			how * UINT64_C(1000000000));
	for (int s = 0; s < SHARDS; s++) {
		link_flush(&link_to[s]);
		theirs[s]->tail = mine[s]->head;
	}
}

static void netstack_says(unsigned int shard, const uint8_t *data, uint32_t bytes)
{
	struct ring_region *region = theirs[shard];
	uint32_t index = region->head % RING_SLOTS;
	struct ring_desc d;
	struct ring_header h;
	uint32_t n = bytes < sizeof d ? bytes : (uint32_t)sizeof d;
	memcpy(&region->desc[index], data, n);
	memcpy(&region->header[index], data + n, bytes - n < sizeof h ? bytes - n : sizeof h);
	region->head++;
	inside = true;
	while (link_peek(&link_to[shard], &d, &h) == 1) {
		if (d.op == RING_NETSTACK_SEND ? bridge_send(&bridge, shard, &d, &h, 1)
					       : bridge_release(&bridge, shard, &d))
			link_fail(&link_to[shard], "lie");
		link_consumed(&link_to[shard]);
	}
}

static void netstack_dies(unsigned int shard)
{
	link_reset(&link_to[shard]);
	bridge_shard_lost(&bridge, shard);
	theirs[shard]->head = theirs[shard]->tail = 0;
	link_revive(&link_to[shard]);
}

/* Any configuration that the supervisor could give. */
static void change(const uint8_t *data, uint32_t bytes)
{
	struct bridge_change c = {.macs_per_port = 1};
	if (bytes < 8)
		return;
	memcpy(c.gateway.mac, data, 6);
	c.gateway.off = data[6] & 1;
	c.gateway.dhcp = data[6] & 2;
	c.open_arp = data[6] & 4;
	c.macs_per_port += data[7];
	c.mtu = (uint32_t)data[7] << 8;
	bridge_configure(&bridge, &c, data[6]);
}

/* What the shards and ports are counted to have is what was lent. */
static void check_counts(void)
{
	uint32_t lent[SHARDS][2] = {0}, of_ports = 0, by_ports = 0;
	for (uint32_t i = 0; i < ARENA_MAX_IDS; i++) {
		int shard = arena.lent_to[i] - ARENA_LENT;
		if (shard < 0)
			continue;
		lent[shard][i < ARENA_SMALL_COUNT ? BUF_SMALL : BUF_LARGE]++;
		of_ports += bridge.lender[i] < PORTS_MAX;
	}
	for (int s = 0; s < SHARDS; s++)
		if (memcmp(lent[s], bridge.lent[s], sizeof lent[s]))
			abort();
	for (int slot = 0; slot < 4; slot++)
		if (bridge.claims.held[slot] > CLAIM_ENTRIES)
			abort();
	for (int slot = 0; slot < 4; slot++)
		by_ports += bridge.port[slot].lent[BUF_SMALL] + bridge.port[slot].lent[BUF_LARGE];
	if (of_ports != by_ports)
		abort();
}

static void act(uint8_t what, const uint8_t *data, uint32_t bytes)
{
	switch (what & 7) {
	case 0:
	case 1: guest_says(what >> 3, data, bytes); break;
	case 2: netstack_says(what >> 3 & 1, data, bytes); break;
	case 3:
		inside = true;
		(void)bridge_answer(&bridge, data, bytes, what & 64, what >> 3 & 7, 1);
		break;
	case 4: port_answer = what >> 3; break;
	case 5:
		inside = false;
		bridge_flush(&bridge, what >> 3 & 3);
		break;
	case 6:
		bridge_detach(&bridge, what >> 3 & 3);
		bridge_attach(&bridge, what >> 3 & 3, what >> 3 & 3, (what >> 3 & 3) < 2,
			(what >> 3 & 3) == 2, 1500);
		break;
	default:
		if (what & 64)
			netstack_dies(what >> 3 & 1);
		else if (what & 32)
			bridge_sweep(&bridge, UINT64_MAX / 2);
		else
			change(data, bytes);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	begin();
	while (bytes >= 3) {
		uint32_t n = data[1] | (uint32_t)data[2] << 8;
		n = n < bytes - 3 ? n : (uint32_t)(bytes - 3);
		act(data[0], data + 3, n);
		data += 3 + n;
		bytes -= 3 + n;
	}
	check_counts();
	return 0;
}
