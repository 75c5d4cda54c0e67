/*
 * The DHCP server, fed with frames from several stations while time passes and the journal answers
 * or fails. Each input is a list of {control byte, length, DHCP bytes}; headers are added here, so
 * that the fuzzer's bytes reach the options.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "wire/wire.h"

enum { HEADERS = 42, POOL = 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct engine e;
static struct engine_out out;
static struct lease_time t;
static _Alignas(16) uint8_t memory[1 << 16];

static void start(void)
{
	struct hash_key key = {1, 2};
	memset(&e, 0, sizeof(e));
	e.settings = (struct codec_settings){
		.mac = {0, 0xac, 1, 2, 3, 4},
		.server_be = htonl(0xc0a81e01),
		.netmask_be = htonl(0xffffff00),
		.router_be = htonl(0xc0a81e01),
		.domain = "example.test",
	};
	e.lease_ms = 7200000;
	t = (struct lease_time){1000000000, 1700000000000ull};
	if (lease_bytes(POOL) > sizeof(memory))
		abort();
	lease_init(&e.pool, memory, POOL, &key);
	engine_init(&e, 0xc0a81e0a, 0xc0a81e0a + POOL - 2);
	lease_reserve(&e.pool, htonl(0xc0a81e63), (const uint8_t[6]){2, 0, 0, 0, 0, 3}, "kept");
}

/* What must hold after every call. */
static void check(void)
{
	uint32_t seen = 0;
	for (int state = 0; state < LEASE_STATES; state++)
		seen += e.pool.list[state].count;
	if (seen != e.pool.count ||
		(out.frame_bytes && (out.frame_bytes < 342 || out.frame_bytes > CODEC_FRAME_BYTES)))
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum drop why;
	start();
	codec_parse(&e.request, data, size, true, &why);
	while (size > 3) {
		size_t n = data[1] * 2;
		uint8_t control = data[0];
		t.now_ns += data[2] * (uint64_t)20000000000;
		t.wall_ms += data[2] * (uint64_t)20000;
		data += 3;
		size -= 3;
		n = n < size ? n : size;
		hear(control, data, n);
		while (engine_timeout(&e, t, &out))
			check();
		data += n;
		size -= n;
	}
	return 0;
}
