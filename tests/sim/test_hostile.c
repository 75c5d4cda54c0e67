/* Guests that mean harm: acknowledgements of what was not received, and ten thousand frames of every wrong kind. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "apps.h"
#include "cable.h"
#include "clock.h"
#include "gateway.h"
#include "guest.h"
#include "snapshot.h"
#include "trace.h"
#include "wire/wire.h"

enum {
	VICTIM_PORT = 9300,
	EVIL_PORT = 9301,
	VICTIMS = 300,
	EVILS = 4,
	VICTIM_BYTES = 65536,
	EVIL_BYTES = 1 << 20
};
enum { FIRST_FLIGHT = 10 * GUEST_MSS /* RFC 6928 */ };

static struct guest_conn *victim[VICTIMS], *evil[EVILS];

static bool victims_done(void *arg)
{
	for (int i = 0; i < VICTIMS; i++)
		if (victim[i]->state != GUEST_DONE)
			return false;
	return true;
}

static struct guest_conn *connect_one(uint16_t port, uint64_t seed)
{
	struct guest_conn *c = guest_connect(SERVER_IP, port);
	c->recv_seed = seed;
	c->finish = true;
	clock_sleep(MS);
	return c;
}

static void start_servers(uint16_t port, unsigned int count, uint64_t bytes)
{
	for (unsigned int i = 0; i < count; i++) {
		struct app *a = app_at(port, i);
		a->send_total = bytes;
		a->finish = true;
		app_go(a);
	}
}

/*
 * The broker is slow, so that descriptors wait in its ring while the guest already acknowledges their bytes. Were their
 * buffers released by that, other flows' bytes would leave in their place: on the wire under the evil flows' sequence
 * numbers, and the trace would see a named buffer come back.
 */
Test(sim, early_acknowledgements)
{
	const struct app kind = {.send_seed = 5, .recv_seed = 1},
			 bait = {.send_seed = 7, .recv_seed = 1};
	gateway_with_guest(false);
	snapshot_begin();
	app_serve(SERVER_IP, VICTIM_PORT, &kind);
	app_serve(SERVER_IP, EVIL_PORT, &bait);
	for (int i = 0; i < VICTIMS; i++)
		victim[i] = connect_one(VICTIM_PORT, 5);
	for (int i = 0; i < EVILS; i++)
		evil[i] = connect_one(EVIL_PORT, 7);
	clock_sleep(SECOND);
	nodes[ACTOR_BROKER].turn_ns = 500 * US;
	start_servers(VICTIM_PORT, VICTIMS, VICTIM_BYTES);
	start_servers(EVIL_PORT, EVILS, EVIL_BYTES);
	for (int n = 0; n < 100000 && !clock_until(victims_done, NULL, 200 * US); n++)
		for (int i = 0; i < EVILS; i++) {
			guest_acknowledge_early(evil[i], FIRST_FLIGHT);
			guest_acknowledge_early(evil[i], 2 * FIRST_FLIGHT);
		}
	cr_assert(victims_done(NULL));
	for (int i = 0; i < VICTIMS; i++)
		cr_expect(guest_received(victim[i]) == VICTIM_BYTES && !victim[i]->wrong);
	for (int i = 0; i < EVILS; i++) {
		cr_expect_eq(evil[i]->wrong, 0, "evil flow %d got %lu bytes of others", i,
			evil[i]->wrong);
		guest_abort(evil[i]);
	}
	cr_expect_gt(trace_released(), VICTIMS);
	nodes[ACTOR_BROKER].turn_ns = ACTORS_WAKE_NS;
	clock_sleep(SECOND);
	snapshot_end("early_acknowledgements");
	gateway_at_rest();
}

/* Frames at random. */

enum { FRAMES = 10000, PORT = 9302, FLOW_BYTES = 32 << 20, FRAME_ROOM = 2048, WIRE_MAX = 1600 };

static struct dice dice = {2024};

static void put_random(struct wire_out *w, size_t n)
{
	while (n--)
		wire_put_u8(w, (uint8_t)dice_roll(&dice));
}

static void ethernet(struct wire_out *w, uint16_t type)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	const uint8_t other[6] = {0x52, 0x54, 0, 0, 0, (uint8_t)dice_below(&dice, 100)};
	wire_put(w, dice_below(&dice, 4) ? GATEWAY_MAC : broadcast, 6);
	wire_put(w, dice_below(&dice, 4) ? GUEST_MAC : other, 6);
	wire_put_u16(w, type);
}

static uint32_t some_ip(void)
{
	static const uint32_t ips[] = {GATEWAY_IP, SERVER_IP, HOST_IP, SILENT_IP, 0, 0xffffffff,
		0xc0a81eff, 0x7f000001, 0xe0000001, 0xc0a81e0b};
	return ips[dice_below(&dice, sizeof(ips) / sizeof(ips[0]))];
}

/* An IPv4 header with what a bad guest varies: source, fragments, TTL, options, protocol. */
static void make_ip(struct wire_out *w, uint8_t protocol, size_t payload)
{
	static const uint16_t fragments[] = {0, 0, 0, 0x2000, 0x2001, 0x0010, 0x1fff, 0x4000};
	uint8_t *start = w->p;
	uint16_t sum;
	uint32_t options = dice_below(&dice, 8) ? 0 : 4 * dice_below(&dice, 11);
	wire_put_u8(w, (uint8_t)(0x45 + options / 4));
	wire_put_u8(w, (uint8_t)dice_roll(&dice));
	wire_put_u16(w, (uint16_t)(20 + options + payload));
	wire_put_u16(w, (uint16_t)dice_below(&dice, 64));
	wire_put_u16(w, fragments[dice_below(&dice, 8)]);
	wire_put_u8(w, (uint8_t)dice_below(&dice, 65));
	wire_put_u8(w, protocol);
	wire_put_u16(w, 0);
	wire_put_u32(w, dice_below(&dice, 4) ? guest.ip : some_ip());
	wire_put_u32(w, some_ip());
	put_random(w, options);
	sum = wire_fold(wire_sum(0, start, 20 + options));
	start[10] = (uint8_t)(sum >> 8);
	start[11] = (uint8_t)sum;
}

static void make_l4(struct wire_out *w, uint8_t protocol, uint8_t *l4, size_t field)
{
	const uint8_t *ip = l4 - 20;
	size_t n = (size_t)(w->p - l4);
	uint32_t from, to;
	uint16_t sum;
	memcpy(&from, ip + 12, 4);
	memcpy(&to, ip + 16, 4);
	sum = guest_sum(ntohl(from), ntohl(to), protocol, l4, n);
	l4[field] = (uint8_t)(sum >> 8);
	l4[field + 1] = (uint8_t)sum;
}

static void make_tcp(struct wire_out *w)
{
	size_t payload = dice_below(&dice, 600), options = 4 * dice_below(&dice, 11);
	uint8_t *l4;
	make_ip(w, IP_PROTO_TCP, 20 + options + payload);
	l4 = w->p;
	wire_put_u16(w, (uint16_t)(1 + dice_below(&dice, 30000)));
	wire_put_u16(w, (uint16_t)(1 + dice_below(&dice, 100)));
	put_random(w, 8);
	wire_put_u16(w, (uint16_t)((5 + options / 4) << 12 | dice_below(&dice, 64)));
	wire_put_u16(w, (uint16_t)dice_roll(&dice));
	wire_put_u32(w, 0);
	put_random(w, options + payload);
	make_l4(w, IP_PROTO_TCP, l4, 16);
}

static void make_udp(struct wire_out *w)
{
	static const uint16_t ports[] = {7, 53, 67, 68, 9, 0, 4500, 80};
	size_t payload = dice_below(&dice, 1400);
	uint8_t *l4;
	make_ip(w, IP_PROTO_UDP, 8 + payload);
	l4 = w->p;
	wire_put_u16(w, (uint16_t)dice_below(&dice, 200));
	wire_put_u16(w, ports[dice_below(&dice, 8)]);
	wire_put_u16(w, (uint16_t)(8 + payload));
	wire_put_u16(w, 0);
	put_random(w, payload);
	make_l4(w, IP_PROTO_UDP, l4, 6);
}

static void make_icmp(struct wire_out *w)
{
	static const uint8_t types[] = {8, 8, 0, 3, 5, 11, 13, 17};
	size_t payload = dice_below(&dice, 200);
	uint8_t *l4;
	uint16_t sum;
	make_ip(w, IP_PROTO_ICMP, 8 + payload);
	l4 = w->p;
	wire_put_u8(w, types[dice_below(&dice, 8)]);
	wire_put_u8(w, (uint8_t)dice_below(&dice, 6));
	wire_put_u16(w, 0);
	put_random(w, 4 + payload);
	sum = wire_fold(wire_sum(0, l4, 8 + payload));
	l4[2] = (uint8_t)(sum >> 8);
	l4[3] = (uint8_t)sum;
}

static void make_arp(struct wire_out *w)
{
	wire_put_u32(w, 0x00010800);
	wire_put_u16(w, 0x0604);
	wire_put_u16(w, (uint16_t)dice_below(&dice, 4));
	wire_put(w, dice_below(&dice, 2) ? GUEST_MAC : GATEWAY_MAC, 6);
	wire_put_u32(w, dice_below(&dice, 2) ? guest.ip : some_ip());
	put_random(w, 6);
	wire_put_u32(w, some_ip());
}

static void make_dhcp(struct wire_out *w)
{
	uint8_t *l4;
	make_ip(w, IP_PROTO_UDP, 8 + 300);
	l4 = w->p;
	wire_put_u32(w, 68 << 16 | 67);
	wire_put_u32(w, 308u << 16);
	wire_put_u32(w, 0x01010600);
	put_random(w, 24);
	wire_put(w, GUEST_MAC, 6);
	put_random(w, 202);
	wire_put_u32(w, 0x63825363);
	wire_put_u16(w, 53 << 8 | 1);
	wire_put_u8(w, (uint8_t)dice_below(&dice, 10));
	put_random(w, 57);
	make_l4(w, IP_PROTO_UDP, l4, 6);
}

static uint32_t make_frame(uint8_t *frame)
{
	static void (*const kinds[])(struct wire_out *) = {
		make_tcp, make_udp, make_icmp, make_arp, make_dhcp};
	struct wire_out w = wire_out(frame, FRAME_ROOM);
	uint32_t kind = dice_below(&dice, 7);
	if (kind < 5) {
		ethernet(&w, kind == 3 ? ETHERTYPE_ARP_ : ETHERTYPE_IP4);
		kinds[kind](&w);
	} else if (kind == 5) {
		ethernet(&w, dice_below(&dice, 2) ? 0x86dd : 0x8100);
		put_random(&w, dice_below(&dice, 1500));
	} else {
		put_random(&w, dice_below(&dice, WIRE_MAX));
	}
	return (uint32_t)wire_written(&w);
}

/* Bits turned over, lengths that lie: half of the frames. */
static uint32_t mutate(uint8_t *frame, uint32_t bytes)
{
	if (!bytes || dice_below(&dice, 2))
		return bytes;
	for (uint32_t n = 1 + dice_below(&dice, 4); n; n--)
		frame[dice_below(&dice, bytes < 80 ? bytes : 80)] ^=
			(uint8_t)(1 << dice_below(&dice, 8));
	return dice_below(&dice, 4) ? bytes : dice_below(&dice, bytes + 1);
}

static void storm(void)
{
	static uint8_t frame[FRAME_ROOM];
	for (int i = 0; i < FRAMES; i++) {
		guest_send_raw(frame, mutate(frame, make_frame(frame)));
		clock_sleep(20 * US);
	}
}

static bool flow_done(void *arg)
{
	const struct app *a = app_at(PORT, 0);
	return ((struct guest_conn *)arg)->state == GUEST_DONE && a && a->done;
}

Test(sim, random_frames)
{
	const struct app like = {
		.send_seed = 5, .send_total = FLOW_BYTES, .finish = true, .recv_seed = 6};
	struct guest_conn *c;
	uint64_t drops;
	gateway_with_guest(false);
	snapshot_begin();
	app_serve(SERVER_IP, PORT, &like);
	c = guest_connect(SERVER_IP, PORT);
	c->recv_seed = 5;
	c->send_seed = 6;
	c->send_total = FLOW_BYTES;
	c->finish = true;
	drops = gateway_drops_all();
	storm();
	cr_expect(c->state == GUEST_OPEN && guest_received(c) > 0,
		"the flow was open during the storm: state %d", (int)c->state);
	cr_expect_gt(gateway_drops_all() - drops, FRAMES / 4);
	cr_assert(clock_until(flow_done, c, 30 * SECOND), "the flow did not survive: state %d",
		(int)c->state);
	cr_expect_eq(guest_received(c), FLOW_BYTES);
	cr_expect_eq(c->wrong, 0);
	cr_expect_eq(app_at(PORT, 0)->received, FLOW_BYTES);
	cr_expect_eq(app_at(PORT, 0)->wrong, 0);
	snapshot_end("random_frames");
	gateway_at_rest();
}
