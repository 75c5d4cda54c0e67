/*
 * The DHCP server, fed with frames from several stations while time passes and the journal answers
 * or fails, the configuration changes and the operator takes leases away. Each input is a list of
 * {control byte, length, pause, DHCP bytes}; headers are added here, so that the fuzzer's bytes
 * reach the options.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "wire/wire.h"

enum { HEADERS = 42, POOL = 40 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct engine e;
static struct engine_out out;
static struct lease_time t;
static struct engine_config config;
static _Alignas(16) uint8_t memory[1 << 16];

static void start(void)
{
	struct hash_key key = {1, 2};
	memset(&e, 0, sizeof(e));
	memset(memory, 0, sizeof(memory));
	config = (struct engine_config){
		.lease_ms = 7200000,
		.from = 0xc0a81e0a,
		.to = 0xc0a81e1a,
		.leases_per_port = 12,
		.reservation = {{htonl(0xc0a81e63), {2, 0, 0, 0, 0, 3}, "kept"}},
		.reservations = 1,
	};
	config.settings = (struct codec_settings){
		.mac = {0, 0xac, 1, 2, 3, 4},
		.server_be = htonl(0xc0a81e01),
		.netmask_be = htonl(0xffffff00),
		.router_be = htonl(0xc0a81e01),
		.domain = "example.test",
	};
	t = (struct lease_time){1000000000, 1700000000000ull};
	if (lease_bytes(POOL) > sizeof(memory))
		abort();
	lease_init(&e.pool, memory, POOL, &key);
	engine_configure(&e, &config, t);
}

/* What must hold after every call. */
static void check(void)
{
	uint32_t seen = 0, held = 0, live = 0;
	for (int state = 0; state < LEASE_STATES; state++)
		seen += e.pool.list[state].count;
	if (seen != e.pool.top || seen - e.pool.list[LEASE_UNUSED].count != e.pool.count ||
		(out.frame_bytes && (out.frame_bytes < 342 || out.frame_bytes > CODEC_FRAME_BYTES)))
		abort();
	for (uint32_t i = 1; i <= e.pool.top; i++)
		live += e.pool.lease[i].port < LEASE_PORTS &&
			(e.pool.lease[i].state == LEASE_BOUND ||
				e.pool.lease[i].state == LEASE_OFFERED);
	for (int i = 0; i < LEASE_PORTS; i++)
		held += e.pool.held[i];
	if (held != live)
		abort();
	char text[ENGINE_EVENT_BYTES];
	if (out.event != ENGINE_NOTHING && strlen(engine_describe(&e, &out, text)) >= sizeof(text))
		abort();
}

static void hear(uint8_t control, const uint8_t *dhcp, size_t n)
{
	uint8_t frame[HEADERS + 512] = {0}, *ip = frame + 14, *udp = ip + 20;
	struct wire_out w = wire_out(frame, sizeof(frame));
	uint8_t mac[6] = {2, 0, 0, 0, 0, control & 7};
	n = n < 512 ? n : 512;
	wire_put(&w, "\377\377\377\377\377\377", 6);
	wire_put(&w, mac, 6);
	wire_put_u16(&w, ETHERTYPE_IP4);
	wire_put_u16(&w, 0x4500);
	wire_put_u16(&w, (uint16_t)(n + 28));
	wire_put_u32(&w, 0);
	wire_put_u16(&w, 0x4011);
	wire_put_u16(&w, 0);
	wire_put_u32(&w, 0);
	wire_put_u32(&w, 0xffffffff);
	uint16_t sum = wire_fold(wire_sum(0, ip, 20));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	wire_put_u16(&w, 68);
	wire_put_u16(&w, 67);
	wire_put_u16(&w, (uint16_t)(n + 8));
	wire_put_u16(&w, 0);
	wire_put(&w, dhcp, n);
	if (n >= 240) {
		memcpy(udp + 8, "\1\1\6", 3);
		memcpy(udp + 8 + 28, mac, 6);
		memcpy(udp + 8 + 236, "\143\202\123\143", 4);
	}
	engine_input(&e, control >> 6, frame, HEADERS + n, control & 8, t, &out);
	check();
	if (out.sequence && control & 16) {
		engine_committed(&e, out.sequence, !(control & 32), t, &out);
		check();
	}
	if (engine_moved(&e, t, &out))
		check();
}

/* Another range, other reservations and routes, other limits. */
static void change(uint8_t how)
{
	config.from = 0xc0a81e0a + (how & 15);
	config.to = config.from + (how >> 4);
	config.reservations = how >> 2 & 3;
	for (uint32_t i = 0; i < config.reservations; i++)
		config.reservation[i] =
			(struct lease_reservation){htonl(0xc0a81e0c + i * (how & 7u)),
				{2, 0, 0, 0, 0, (uint8_t)(how + i)}, ""};
	config.settings.route_count = how % CODEC_ROUTES_MAX;
	for (unsigned int i = 0; i < config.settings.route_count; i++)
		config.settings.route[i] =
			(struct codec_route){htonl(i << 8), 1, (uint8_t)(how % 33)};
	config.leases_per_port = how & 1 ? how & 7 : 0;
	config.lease_ms = 10000ull * (1 + how);
	engine_configure(&e, &config, t);
	out.frame_bytes = out.sequence = 0;
	out.event = ENGINE_NOTHING;
	check();
}

static void take_away(uint8_t station)
{
	const uint8_t mac[6] = {2, 0, 0, 0, 0, station & 7};
	while (engine_release(&e, mac, 0, t, &out))
		check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct codec_foreign foreign;
	enum drop why;
	start();
	codec_parse(&e.request, data, size, true, &why);
	if (codec_is_foreign(data, size))
		codec_parse_foreign(&foreign, &e.request, data, size, true, &why);
	while (size > 3) {
		size_t n = data[1] * 2;
		uint8_t control = data[0];
		t.now_ns += data[2] * (uint64_t)20000000000;
		t.wall_ms += data[2] * (uint64_t)20000;
		data += 3;
		size -= 3;
		n = n < size ? n : size;
		hear(control, data, n);
		if (n == 2)
			change(data[1]);
		if (n == 4)
			take_away(data[1]);
		while (engine_timeout(&e, t, &out))
			check();
		data += n;
		size -= n;
	}
	return 0;
}
