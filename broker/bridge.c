/*
 * Theory of operation
 *
 * Receiving. A frame is read straight into a buffer that may be lent to netstack: {small, large}
 * are offered together and a frame of up to 2 KiB pins the small one only. A frame that is not lent
 * leaves its buffers in place for the next. The order is: length, vnet header, addresses (steer.c),
 * the station's place (fdb.c), then delivery: other ports first, by writing from the buffer,
 * netstack last, because it then owns the buffer.
 *
 * Back-pressure. When netstack does not keep up, frames stay in the kernel's queue. A port may hold
 * at most three times what is free of a class, so that no port, nor any number of them, can use up
 * the arena: however many ports hoard, the next one still finds room (dynamic thresholds: Choudhury
 * and Hahne, IEEE/ACM ToN 6(2), 1998).
 *
 * Shards. Each guest is served by one netstack, by a keyed hash of its address (shard.h). A port waits for the shard
 * of its last frame, which is the right one for a port with one guest; with several, one shard that is stuck must
 * not stop the others' frames, so after BRIDGE_PATIENCE_NS what is for it is dropped. A shard may hold at most twice what is
 * free, less than a port may have lent: so it is the shard that runs short, not the ports that its guests share.
 *
 * Sending. What netstack wants sent is a header (a private copy of its slot) and payload in arenas
 * that are read-only here. The source must be the gateway and the vnet header in range, or netstack
 * is lying. Payload may change while it is written: only its owner can do that, and only to bytes
 * that it already controls (ring.h, invariant 4).
 */
#include "bridge.h"

#include <errno.h>
#include <string.h>

#include "topology.h"
#include "vnet.h"

void bridge_init(struct bridge *b, const struct bridge_config *c)
{
	b->config = *c;
	b->attached = 0;
	b->blocked = 0;
	b->broken = 0;
	b->crowded = 0;
	b->offer[BUF_SMALL] = 0;
	b->offer[BUF_LARGE] = 0;
	b->gateway = (struct bridge_counts){0};
	memset(b->lender, PORTS_MAX, sizeof b->lender);
	memset(b->lent, 0, sizeof b->lent);
	memset(b->full_ns, 0, sizeof b->full_ns);
	b->changed_ns = 0;
	fdb_init(&b->fdb, &c->key, c->macs_per_port);
	claim_init(&b->claims, &c->key, c->macs_per_port);
}

/* A larger MTU of the hub: a TAP and a virtual machine take longer frames than their interface was made for. */
static void bridge_lengthen(struct bridge *b, uint32_t mtu)
{
	uint32_t longest = (mtu > BRIDGE_MTU_MAX ? BRIDGE_MTU_MAX : mtu) + ETH_HEADER_BYTES;
	for (uint64_t left = b->attached; left; left &= left - 1) {
		struct egress *e = &b->port[__builtin_ctzll(left)].egress;
		if (e->frame_max < longest)
			e->frame_max = longest;
	}
}

void bridge_configure(struct bridge *b, const struct bridge_change *c, uint64_t now_ns)
{
	const struct steer_gateway before = b->config.gateway;
	struct steer_gateway *g = &b->config.gateway;
	*g = c->gateway;
	memcpy(g->former_mac, before.former_mac, sizeof g->former_mac);
	if (memcmp(before.mac, g->mac, sizeof g->mac))
		memcpy(g->former_mac, before.mac, sizeof g->former_mac);
	if (memcmp(before.mac, g->mac, sizeof g->mac) || before.off != g->off)
		b->changed_ns = now_ns;
	if (before.off && !g->off)
		b->gateway = (struct bridge_counts){0};
	if (b->config.macs_per_port != c->macs_per_port)
		b->crowded = 0;
	b->config.macs_per_port = c->macs_per_port;
	b->config.open_arp = c->open_arp;
	bridge_lengthen(b, c->mtu);
	fdb_set_limit(&b->fdb, c->macs_per_port);
	b->claims.limit = c->macs_per_port;
}

void bridge_sweep(struct bridge *b, uint64_t now_ns)
{
	struct steer_gateway *g = &b->config.gateway;
	if (now_ns - b->changed_ns > BRIDGE_FORMER_NS)
		memset(g->former_mac, 0, sizeof g->former_mac);
	fdb_sweep(&b->fdb, now_ns);
	claim_sweep(&b->claims, &b->fdb, now_ns);
}

void bridge_attach(
	struct bridge *b, unsigned int slot, uint32_t number, bool vnet, bool stream, uint32_t mtu)
{
	struct bridge_port *p = &b->port[slot];
	if (mtu == 0 || mtu > BRIDGE_MTU_MAX)
		mtu = BRIDGE_MTU_MAX;
	if (mtu < BRIDGE_MTU_MIN)
		mtu = BRIDGE_MTU_MIN;
	p->number = number;
	p->vouched = vnet;
	p->lent[BUF_SMALL] = 0;
	p->lent[BUF_LARGE] = 0;
	p->guest_be = 0;
	p->shard = 0;
	p->counts = (struct bridge_counts){0};
	egress_init(&p->egress, vnet, stream, mtu + ETH_HEADER_BYTES);
	b->attached |= UINT64_C(1) << slot;
}

void bridge_detach(struct bridge *b, unsigned int slot)
{
	uint64_t others = ~(UINT64_C(1) << slot);
	b->attached &= others;
	b->blocked &= others;
	b->broken &= others;
	b->crowded &= others;
	claim_forget(&b->claims, slot);
	for (uint32_t i = 0; i < ARENA_MAX_IDS; i++)
		if (b->lender[i] == slot)
			b->lender[i] = PORTS_MAX;
}

int bridge_slot(const struct bridge *b, uint32_t number)
{
	for (uint64_t left = b->attached; left; left &= left - 1) {
		int slot = __builtin_ctzll(left);
		if (b->port[slot].number == number)
			return slot;
	}
	return -1;
}

static void bridge_drop(struct bridge *b, unsigned int slot, enum drop why)
{
	drop_count(b->config.drops, why);
	b->port[slot].counts.dropped++;
}

static enum drop bridge_reason(int error)
{
	switch (error) {
	case -EMSGSIZE: return DROP_FRAME_LONG;
	case -EINVAL: return DROP_VNET_BAD;
	default: return DROP_PORT_BLOCKED;
	}
}

/* One frame to one port. */
static void bridge_to_port(struct bridge *b, unsigned int slot, const struct frame *f)
{
	struct bridge_port *p = &b->port[slot];
	uint64_t bit = UINT64_C(1) << slot;
	int error;
	if (b->broken & bit)
		return;
	error = egress_send(&p->egress, &b->config.io.port, slot, f);
	if (!pending_is_empty(&p->egress.pending))
		b->blocked |= bit;
	if (error == 0) {
		p->counts.tx_frames++;
		p->counts.tx_bytes += f->bytes;
		return;
	}
	if (error == -EPIPE)
		b->broken |= bit;
	else
		bridge_drop(b, slot, bridge_reason(error));
}

/* To every port of a set of slots. */
static void bridge_to_ports(struct bridge *b, uint64_t slots, const struct frame *f)
{
	for (; slots; slots &= slots - 1)
		bridge_to_port(b, (unsigned int)__builtin_ctzll(slots), f);
}

/* The ports that a destination address leads to: its station's, or all but `except`. */
static uint64_t bridge_ports_of(
	const struct bridge *b, const uint8_t mac[6], uint64_t except, uint64_t now_ns)
{
	int slot = steer_is_group(mac) ? FDB_NONE : fdb_find(&b->fdb, mac, now_ns);
	uint64_t slots = slot == FDB_NONE ? b->attached : UINT64_C(1) << slot;
	return slots & b->attached & ~except;
}

/* Takes what is missing of the offered pair. */
static bool bridge_take_offer(struct bridge *b)
{
	for (int c = BUF_SMALL; c <= BUF_LARGE; c++)
		if (!b->offer[c])
			b->offer[c] = arena_take(b->config.arena, (enum buf_class)c, false);
	return b->offer[BUF_SMALL] && b->offer[BUF_LARGE];
}

static bool bridge_shard_has_room(struct bridge *b, unsigned int shard)
{
	const struct arena *a = b->config.arena;
	if (link_room(b->config.shard[shard].netstack, LINK_DATA) == 0)
		return false;
	for (int c = BUF_SMALL; b->config.shards > 1 && c <= BUF_LARGE; c++)
		if (b->lent[shard][c] > BRIDGE_SHARD_SHARE * a->free_count[c])
			return false;
	return true;
}

/* Whether a port's frames are to wait for its shard. */
static bool bridge_must_wait(struct bridge *b, unsigned int shard, uint64_t now_ns)
{
	if (bridge_shard_has_room(b, shard)) {
		b->full_ns[shard] = 0;
		return false;
	}
	if (link_error(b->config.shard[shard].netstack, NULL))
		return false; /* nobody is there who could make room */
	if (b->full_ns[shard] == 0)
		b->full_ns[shard] = now_ns;
	return b->config.shards == 1 || now_ns - b->full_ns[shard] < BRIDGE_PATIENCE_NS;
}

bool bridge_offer(struct bridge *b, unsigned int slot, struct bridge_offer *offer, uint64_t now_ns)
{
	const struct arena *a = b->config.arena;
	const struct bridge_port *p = &b->port[slot];
	if (!bridge_take_offer(b) || bridge_must_wait(b, p->shard, now_ns))
		return false;
	for (int c = BUF_SMALL; c <= BUF_LARGE; c++) {
		if (p->lent[c] > BRIDGE_SHARE * a->free_count[c])
			return false;
		offer->piece[c] = (struct iovec){
			arena_ptr(a, b->offer[c]), buf_bytes(buf_index(b->offer[c]))};
	}
	return true;
}

/* The offer of one class goes to the port's shard with the frame of a port. */
static struct ring_seg bridge_lend(struct bridge *b, unsigned int slot, int c, uint32_t bytes)
{
	uint32_t id = b->offer[c];
	arena_lend(b->config.arena, id, b->port[slot].shard);
	b->lent[b->port[slot].shard][c]++;
	b->lender[buf_index(id)] = (uint8_t)slot;
	b->port[slot].lent[c]++;
	b->offer[c] = 0;
	return (struct ring_seg){buf_offset(buf_index(id)), bytes, id};
}

/* Bytes 0..bytes of the offer to the port's shard as one frame. */
static void bridge_pass_offer(
	struct bridge *b, unsigned int slot, const struct ring_rx *rx, uint32_t bytes)
{
	struct ring_desc d = {.op = RING_BROKER_FRAME, .flow = b->port[slot].number, .rx = *rx};
	uint32_t small = bytes < ARENA_SMALL_BYTES ? bytes : ARENA_SMALL_BYTES;
	unsigned int shard = b->port[slot].shard;
	if (!bridge_shard_has_room(b, shard)) {
		bridge_drop(b, slot, DROP_RING_FULL);
		return;
	}
	d.seg[d.nseg++] = bridge_lend(b, slot, BUF_SMALL, small);
	if (bytes > small)
		d.seg[d.nseg++] = bridge_lend(b, slot, BUF_LARGE, bytes - small);
	link_send(b->config.shard[shard].netstack, LINK_DATA, &d, NULL);
	b->gateway.tx_frames++;
	b->gateway.tx_bytes += bytes;
}

/* Fills the offer with a frame that lies elsewhere. */
static void bridge_fill_offer(struct bridge *b, const struct frame *f)
{
	uint8_t *to[2] = {arena_ptr(b->config.arena, b->offer[BUF_SMALL]),
		arena_ptr(b->config.arena, b->offer[BUF_LARGE])};
	uint32_t at = 0;
	for (int i = 0; i < f->pieces; i++) {
		const uint8_t *from = f->piece[i].iov_base;
		uint32_t n = (uint32_t)f->piece[i].iov_len;
		uint32_t small = at >= ARENA_SMALL_BYTES ? 0 : ARENA_SMALL_BYTES - at;
		if (small > n)
			small = n;
		memcpy(to[0] + at, from, small);
		if (n > small)
			memcpy(to[1] + (at + small - ARENA_SMALL_BYTES), from + small, n - small);
		at += n;
	}
}

static bool bridge_is_vouched(const struct bridge *b, unsigned int slot, const struct frame *f)
{
	return b->port[slot].vouched &&
	       (f->vnet.flags & (WIRE_VNET_NEEDS_CSUM | WIRE_VNET_DATA_VALID));
}

/* Which shard serves the guest that a frame is from: hashed only when it is another than the last. */
static void bridge_choose_shard(struct bridge *b, struct bridge_port *p, const struct frame *f)
{
	uint32_t guest_be;
	if (b->config.shards == 1)
		return;
	guest_be = steer_guest(f->piece[0].iov_base, f->piece[0].iov_len);
	if (guest_be == p->guest_be)
		return;
	p->guest_be = guest_be;
	p->shard = (uint8_t)shard_of(&b->config.shard_key, guest_be, b->config.shards);
}

static void bridge_to_netstack(struct bridge *b, unsigned int slot, const struct frame *f)
{
	struct ring_rx rx = {
		.csum_ok = bridge_is_vouched(b, slot, f), .gso_size = f->vnet.gso_size};
	bridge_choose_shard(b, &b->port[slot], f);
	switch (vnet_gso(&f->vnet)) {
	case VNET_GSO_NONE: rx.gso_size = 0; break;
	case VNET_GSO_TCP4:
	case VNET_GSO_UDP: break;
	default: bridge_drop(b, slot, DROP_VNET_BAD); return;
	}
	bridge_pass_offer(b, slot, &rx, f->bytes);
}

static void bridge_to_dhcpd(struct bridge *b, unsigned int slot, const struct frame *f)
{
	const struct bridge_io *io = &b->config.io;
	if (f->bytes > BRIDGE_DHCP_BYTES_MAX || f->vnet.gso_type != VNET_GSO_NONE) {
		bridge_drop(b, slot, DROP_FRAME_LONG);
		return;
	}
	if (io->dhcp(io->port.context, b->port[slot].number, f->piece[0].iov_base, f->bytes,
		    bridge_is_vouched(b, slot, f)))
		bridge_drop(b, slot, DROP_RING_FULL);
}

/* Whether a frame may come from this port, with its reason if not. */
static bool bridge_admit(struct bridge *b, unsigned int slot, const struct frame *f,
	const struct steer *to, uint64_t now_ns)
{
	const uint8_t *source = (const uint8_t *)f->piece[0].iov_base + 6;
	if (!to->to) {
		bridge_drop(b, slot, to->why);
		return false;
	}
	switch (fdb_learn(&b->fdb, source, slot, now_ns)) {
	case FDB_KNOWN: return true;
	case FDB_ELSEWHERE: bridge_drop(b, slot, DROP_MAC_SPOOF); return false;
	case FDB_FULL: break;
	}
	if (b->fdb.macs[slot] >= b->fdb.limit)
		b->crowded |= UINT64_C(1) << slot;
	bridge_drop(b, slot, DROP_MAC_LIMIT);
	return false;
}

/* ARP that says what is not so about another port's station. */
static bool bridge_usurps(
	struct bridge *b, unsigned int slot, const struct frame *f, uint64_t now_ns)
{
	const uint8_t *bytes = f->piece[0].iov_base;
	struct steer_claim claim;
	if (b->config.open_arp || !steer_claims(bytes, f->piece[0].iov_len, &claim))
		return false;
	if (!b->config.gateway.off && claim.ip_be == b->config.gateway.ip_be)
		return false; /* netstack alone hears it */
	return !claim_hear(&b->claims, &b->fdb, claim.ip_be, claim.mac,
		!memcmp(claim.mac, bytes + 6, 6), slot, now_ns);
}

static void bridge_deliver(struct bridge *b, unsigned int slot, const struct frame *f,
	const struct steer *to, uint64_t now_ns)
{
	uint64_t ports = 0;
	if (to->to & STEER_FLOOD)
		ports = b->attached & ~(UINT64_C(1) << slot);
	else if (to->to & STEER_STATION)
		ports = bridge_ports_of(b, f->piece[0].iov_base, UINT64_C(1) << slot, now_ns);
	if (!ports && !(to->to & (STEER_NETSTACK | STEER_DHCPD)))
		bridge_drop(b, slot, to->why);
	bridge_to_ports(b, ports, f);
	if (to->to & STEER_DHCPD)
		bridge_to_dhcpd(b, slot, f);
	if (to->to & STEER_NETSTACK)
		bridge_to_netstack(b, slot, f);
}

/* Whether length and vnet header are acceptable; otherwise the frame is dropped. */
static bool bridge_is_sound(struct bridge *b, unsigned int slot, const struct frame *f)
{
	bool super = f->vnet.gso_type != VNET_GSO_NONE;
	uint32_t longest = super ? (uint32_t)FRAME_BYTES_MAX
				 : b->port[slot].egress.frame_max + FRAME_TAG_BYTES;
	if (f->bytes < ETH_HEADER_BYTES)
		bridge_drop(b, slot, DROP_FRAME_SHORT);
	else if (!vnet_ok(&f->vnet, f->bytes))
		bridge_drop(b, slot, DROP_VNET_BAD);
	else if (f->bytes > longest)
		bridge_drop(b, slot, DROP_FRAME_LONG);
	else
		return true;
	return false;
}

void bridge_input(struct bridge *b, unsigned int slot, const struct wire_vnet *vnet, uint32_t bytes,
	uint64_t now_ns)
{
	const struct arena *a = b->config.arena;
	uint32_t small = bytes < ARENA_SMALL_BYTES ? bytes : ARENA_SMALL_BYTES;
	struct frame f;
	struct steer to;
	f.vnet = vnet ? *vnet : (struct wire_vnet){0};
	f.piece[0] = (struct iovec){arena_ptr(a, b->offer[BUF_SMALL]), small};
	f.piece[1] = (struct iovec){arena_ptr(a, b->offer[BUF_LARGE]), bytes - small};
	f.pieces = bytes > small ? 2 : 1;
	f.bytes = bytes;
	b->port[slot].counts.rx_frames++;
	b->port[slot].counts.rx_bytes += bytes;
	if (!bridge_is_sound(b, slot, &f))
		return;
	to = steer_frame(&b->config.gateway, f.piece[0].iov_base, small);
	if (!bridge_admit(b, slot, &f, &to, now_ns))
		return;
	if (bridge_usurps(b, slot, &f, now_ns))
		bridge_drop(b, slot, DROP_ARP_SPOOF);
	else
		bridge_deliver(b, slot, &f, &to, now_ns);
}

void bridge_input_copy(struct bridge *b, unsigned int slot, const struct wire_vnet *vnet,
	const uint8_t *frame, uint32_t bytes, uint64_t now_ns)
{
	struct frame f = {
		.piece = {{(uint8_t *)(uintptr_t)frame, bytes}}, .pieces = 1, .bytes = bytes};
	bridge_fill_offer(b, &f);
	bridge_input(b, slot, vnet, bytes, now_ns);
}

/* The frame that a SEND describes, checked: 0 or -EPROTO. */
static int bridge_frame_of(const struct arena_view *view, const struct ring_desc *d,
	const struct ring_header *h, struct frame *f)
{
	if (d->hlen < ETH_HEADER_BYTES || d->hlen > sizeof h->frame || d->nseg > RING_SEGS)
		return -EPROTO;
	memcpy(&f->vnet, h->vnet, WIRE_VNET_BYTES);
	f->piece[0] = (struct iovec){(uint8_t *)(uintptr_t)h->frame, d->hlen};
	f->pieces = 1 + d->nseg;
	f->bytes = d->hlen;
	for (int i = 0; i < d->nseg; i++) {
		const struct ring_seg *seg = &d->seg[i];
		const uint8_t *bytes = arena_view_ptr(view, seg->id, seg->off);
		f->piece[1 + i] = (struct iovec){(uint8_t *)(uintptr_t)bytes, seg->len};
		f->bytes += seg->len;
	}
	return f->bytes <= FRAME_BYTES_MAX && vnet_ok(&f->vnet, f->bytes) ? 0 : -EPROTO;
}

/* Whether a frame may leave in the gateway's name. */
static bool bridge_may_speak(struct bridge *b, const uint8_t mac[6], uint64_t now_ns)
{
	enum drop why = DROP_COUNT;
	if (!steer_owns(&b->config.gateway, mac))
		why = DROP_MAC_SPOOF;
	else if (b->config.gateway.off &&
		 (!b->changed_ns || now_ns - b->changed_ns > BRIDGE_LEAVE_NS))
		why = DROP_DENIED;
	if (why == DROP_COUNT)
		return true;
	drop_count(b->config.drops, why);
	b->gateway.dropped++;
	return false;
}

int bridge_send(struct bridge *b, unsigned int shard, const struct ring_desc *d,
	const struct ring_header *h, uint64_t now_ns)
{
	struct frame f;
	uint64_t ports = 0;
	int slot;
	bool change = b->changed_ns && now_ns - b->changed_ns <= BRIDGE_FORMER_NS;
	if (bridge_frame_of(b->config.shard[shard].view, d, h, &f))
		return -EPROTO;
	if (!change && !steer_owns(&b->config.gateway, h->frame + 6))
		return -EPROTO;
	if (!bridge_may_speak(b, h->frame + 6, now_ns))
		return 0;
	if (d->flow == RING_PORT_BY_MAC)
		ports = bridge_ports_of(b, h->frame, 0, now_ns);
	else if ((slot = bridge_slot(b, d->flow)) >= 0)
		ports = UINT64_C(1) << slot;
	b->gateway.rx_frames++;
	b->gateway.rx_bytes += f.bytes;
	if (!ports) {
		drop_count(b->config.drops, DROP_NO_PORT);
		b->gateway.dropped++;
	}
	bridge_to_ports(b, ports, &f);
	return 0;
}

/* A buffer that a shard had is free again: its shares are, too. */
static void bridge_settle(struct bridge *b, unsigned int shard, uint32_t index)
{
	int c = index < ARENA_SMALL_COUNT ? BUF_SMALL : BUF_LARGE;
	b->lent[shard][c]--;
	if (b->lender[index] < PORTS_MAX)
		b->port[b->lender[index]].lent[c]--;
}

int bridge_release(struct bridge *b, unsigned int shard, const struct ring_desc *d)
{
	if (d->nseg > RING_IDS)
		return -EPROTO;
	for (int i = 0; i < d->nseg; i++) {
		if (arena_return(b->config.arena, d->ids[i], (int)shard))
			return -EPROTO;
		bridge_settle(b, shard, buf_index(d->ids[i]));
	}
	return 0;
}

void bridge_shard_lost(struct bridge *b, unsigned int shard)
{
	struct arena *a = b->config.arena;
	for (uint32_t index = 0; index < ARENA_MAX_IDS; index++)
		if (a->lent_to[index] == ARENA_LENT + shard)
			bridge_settle(b, shard, index);
	arena_reclaim(a, (int)shard);
	b->full_ns[shard] = 0;
}

/* An ACK says whose an address is: dhcpd/codec.c puts the type first of the options. Fixed offsets, any content. */
static void bridge_note_lease(struct bridge *b, const uint8_t *frame, size_t bytes, uint64_t now_ns)
{
	static const uint8_t ack[] = {99, 130, 83, 99, 53, 1, 5};
	enum {
		BOOTP = ETH_HEADER_BYTES + 20 + 8, /* our server sends no IP options */
		YIADDR = BOOTP + 16,
		CHADDR = BOOTP + 28,
		COOKIE = BOOTP + 236,
	};
	uint32_t ip_be;
	if (bytes < COOKIE + sizeof ack || memcmp(frame + COOKIE, ack, sizeof ack))
		return;
	memcpy(&ip_be, frame + YIADDR, sizeof ip_be);
	if (ip_be)
		claim_lease(&b->claims, &b->fdb, ip_be, frame + CHADDR, now_ns);
}

int bridge_answer(struct bridge *b, const uint8_t *frame, size_t bytes, bool all, uint32_t number,
	uint64_t now_ns)
{
	struct frame f = {.piece = {{(uint8_t *)(uintptr_t)frame, bytes}}, .pieces = 1};
	int slot = all ? -1 : bridge_slot(b, number);
	if (bytes < ETH_HEADER_BYTES || bytes > BRIDGE_DHCP_BYTES_MAX)
		return -EPROTO;
	if (!bridge_may_speak(b, frame + 6, now_ns))
		return 0;
	bridge_note_lease(b, frame, bytes, now_ns);
	f.bytes = (uint32_t)bytes;
	b->gateway.rx_frames++;
	b->gateway.rx_bytes += bytes;
	bridge_to_ports(b, all ? b->attached : slot >= 0 ? UINT64_C(1) << slot : 0, &f);
	return 0;
}

void bridge_flush(struct bridge *b, unsigned int slot)
{
	uint64_t bit = UINT64_C(1) << slot;
	int left = egress_flush(&b->port[slot].egress, &b->config.io.port, slot);
	if (left != -EAGAIN)
		b->blocked &= ~bit;
	if (left == -EPIPE)
		b->broken |= bit;
}
