/* The server under test and its clients: what they say, what they hear. Each test program has one. */
#ifndef NATLOCK_TESTS_DHCPD_ENGINE_RIG_H
#define NATLOCK_TESTS_DHCPD_ENGINE_RIG_H

#include "frames.h"

#include <errno.h>

#include "engine.h"

#define SECOND_NS 1000000000ull

static struct engine e;
static struct engine_out out;
static struct lease_time t;

static struct engine_config config;

static inline int configure(uint32_t first, uint32_t last)
{
	config.from = 0xc0a81e00 + first;
	config.to = 0xc0a81e00 + last;
	return engine_configure(&e, &config, t);
}

static inline void start(uint32_t first, uint32_t last)
{
	struct hash_key key = {3, 4};
	memset(&e, 0, sizeof(e));
	config = (struct engine_config){.lease_ms = 7200000};
	config.settings = (struct codec_settings){
		.mac = {0, 0xac, 1, 2, 3, 4},
		.server_be = inet_addr("192.168.30.1"),
		.netmask_be = inet_addr("255.255.255.0"),
		.router_be = inet_addr("192.168.30.1"),
		.dns_count = 1,
	};
	config.settings.dns_be[0] = config.settings.server_be;
	t = (struct lease_time){1000 * SECOND_NS, 1700000000000ull};
	lease_init(&e.pool, calloc(1, lease_bytes(512)), 512, &key);
	cr_assert_eq(configure(first, last), 0);
}

static inline void hear(struct frame *f)
{
	frame_end(f);
	engine_input(&e, 5, f->b, f->n, false, t, &out);
}

static inline struct answer heard(void)
{
	cr_assert(out.frame_bytes, "no answer (dropped: %d, why %d)", out.dropped, out.why);
	cr_assert_eq(out.port, 5);
	struct answer a = answer_of(out.frame, out.frame_bytes);
	cr_expect_eq(memcmp(a.from_mac, e.settings.mac, 6), 0);
	return a;
}

static inline void expect_silence(void)
{
	cr_expect(!out.frame_bytes && !out.sequence);
}

/* The supervisor stored it: the answer goes out. */
static inline struct answer stored(void)
{
	cr_assert(out.sequence && !out.frame_bytes, "no commit, or an ACK before it");
	cr_assert_eq(engine_committed(&e, out.sequence, true, t, &out), 0);
	return heard();
}

static inline struct answer discover(uint32_t n)
{
	struct frame f = frame_new(CODEC_DISCOVER, n);
	hear(&f);
	return heard();
}

static inline struct frame request(uint32_t n, uint32_t wish_be)
{
	struct frame f = frame_new(CODEC_REQUEST, n);
	frame_option(&f, 50, &wish_be, 4);
	frame_ip(&f, 54, "192.168.30.1");
	return f;
}

static inline uint32_t dora(uint32_t n)
{
	struct answer a = discover(n);
	struct frame f = request(n, a.yiaddr_be);
	cr_assert_eq(a.type, CODEC_OFFER);
	hear(&f);
	a = stored();
	cr_assert_eq(a.type, CODEC_ACK);
	return a.yiaddr_be;
}

static inline void later(uint64_t ns)
{
	t.now_ns += ns;
	t.wall_ms += ns / 1000000;
}

static inline struct frame renewal(uint32_t n, uint32_t ip_be)
{
	struct frame f = frame_new(CODEC_REQUEST, n);
	memcpy(f.b + 42 + 12, &ip_be, 4);
	return f;
}

#endif
