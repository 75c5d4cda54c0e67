/* A broker without a kernel for the tests: ports in memory, a ring to a netstack that the test
 * plays, frames by name. */
#ifndef NATLOCK_TESTS_BROKER_WORLD_H
#define NATLOCK_TESTS_BROKER_WORLD_H

#include "bridge.h"

enum { WORLD_WRITES = 4096, WORLD_PORTS = 4, WORLD_STORE = 1 << 26 };

/* One write to a port, flat. */
struct world_write {
	unsigned int slot;
	uint32_t bytes;
	uint8_t *data;
};

struct world {
	struct ring_region *to_netstack, *to_broker;
	struct link broker_end, netstack_end;
	struct arena arena, netstack_arena, natproxy_arena;
	struct arena_view view;
	struct drops drops;
	struct bridge bridge;
	uint64_t now_ns;
	struct world_write write[WORLD_WRITES];
	uint32_t writes; /* set to 0 to begin anew */
	uint8_t *store;
	ssize_t answer[PORTS_MAX]; /* 0: takes all; < 0: that error; > 0: takes so many bytes, once
				    */
	uint32_t dhcp_heard;
	bool dhcp_csum_ok;
	int dhcp_answer;
	uint8_t dhcp_frame[2048];
	uint32_t dhcp_bytes, dhcp_port;
};

extern struct world world;
extern const uint8_t world_gateway[6], world_broadcast[6];

/* A fresh world: ports 100, 101, .. in slots 0..: slots 0 and 1 with vnet header, 2 a stream, 3
 * datagrams without. */
void world_open(bool dhcp, uint32_t macs_per_port);
/* Station n's address: 02:00:00:00:00:n */
const uint8_t *world_mac(uint8_t n);
/* Ethernet header and `bytes` - 14 bytes of recognisable payload. */
void world_frame(
	uint8_t *frame, uint32_t bytes, const uint8_t *to, const uint8_t *from, uint16_t type);
/* A frame arrives at a port. vnet may be NULL. True if it was offered room. */
bool world_arrives(
	unsigned int slot, const struct wire_vnet *vnet, const uint8_t *frame, uint32_t bytes);
/* What netstack finds next in its ring: 1, 0 or an error. */
int world_netstack_gets(struct ring_desc *d);
/* Netstack gives the buffers of a FRAME back / sends a descriptor; the broker handles all. 0 or its
 * error. */
int world_netstack_releases(const struct ring_desc *frame);
int world_netstack_sends(const struct ring_desc *d, const struct ring_header *h);
/* One step of the broker over its incoming ring: 0, or the error that would be an incident. */
int world_broker_takes(void);
uint64_t world_drops(enum drop why);
uint64_t world_all_drops(void);

#endif
