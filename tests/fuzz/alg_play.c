#include "alg_play.h"

#include <stdlib.h>
#include <string.h>

#include "h323_calls.h"
#include "maps.h"
#include "sip_calls.h"
#include "stream.h"

/* The player's own branches lead the fuzzer nowhere. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

enum {
	ROOM = 1 << 17,
	SINGLE = 64, /* pieces of one byte, of an input that has any */
	LONGEST = 8192,
	GUEST = 0x0a1ea8c0, /* as they lie in memory of a little-endian machine */
	OUTSIDE = 0x077100cb,
	PEER = 0x096433c6,
	INSIDE_SERVER = 0x321ea8c0,
	OUTSIDE_SERVER = 0x327100cb,
};

struct play {
	struct sip_calls sip;
	struct h323_calls h323;
	struct stream_flow flow;
	uint8_t in[2][ROOM], out[2][ROOM];
	uint64_t in_bytes[2], passed[2], out_bytes[2];
	uint32_t wishes, acts, hold_ms;
	uint64_t trace; /* of wishes and acts, in their order */
	bool gave_up;
};

/* Where the second run is cut. */
struct cuts {
	uint64_t draw;
	unsigned int single; /* so many bytes more come one by one */
};

static struct stream_pool pool;
static struct play whole, pieces;
static struct maps maps;

static void note(struct play *p, uint64_t value)
{
	p->trace = (p->trace ^ value) * 0x100000001b3;
}

static void raw(struct play *p, int way, uint64_t until)
{
	if (until < p->passed[way] || until > p->in_bytes[way])
		abort();
	const size_t n = until - p->passed[way];
	if (p->out_bytes[way] + n > ROOM)
		abort();
	memcpy(p->out[way] + p->out_bytes[way], p->in[way] + p->passed[way], n);
	p->out_bytes[way] += n;
	p->passed[way] = until;
}

static void take_verdict(struct play *p, const struct stream_out *out)
{
	const int way = (int)out->direction;
	for (unsigned int i = 0; i < out->edit_count; i++) {
		const struct stream_edit *e = &out->edit[i];
		if (e->at < p->passed[way] || e->at + e->edit.old_bytes > out->until)
			abort();
		raw(p, way, e->at);
		memcpy(p->out[way] + p->out_bytes[way], e->edit.text, e->edit.bytes);
		p->out_bytes[way] += e->edit.bytes;
		p->passed[way] += e->edit.old_bytes;
	}
	raw(p, way, out->until);
}

static void check_wish(const struct play *p, const struct alg_wish *w)
{
	const enum algs_id alg = p->flow.protocol->alg;
	const bool watch = w->kind == ALG_TCP_WATCH;
	const bool media = w->kind == ALG_UDP_ONE || w->kind == ALG_UDP_PAIR;
	const uint16_t port = watch ? w->peer_port : w->guest_port;
	if (!w->token || !port || (alg != ALGS_RCMD && port < ALG_PORT_MIN))
		abort();
	if (w->kind == ALG_UDP_PAIR && w->guest_port & 1)
		abort();
	if (alg != ALGS_H323 && (w->inspect || watch || w->kind == ALG_TCP_SERVICE))
		abort();
	if (w->peer_ip_be != p->flow.view.peer_ip_be && alg != ALGS_SIP &&
		!(alg == ALGS_H323 && (media || watch)) && !(alg == ALGS_SKINNY && media))
		abort();
}

static void take(struct play *p, const struct stream_out *out)
{
	for (unsigned int i = 0; i < out->act_count; i++)
		note(p, (uint64_t)out->act[i].what << 32 | out->act[i].token);
	p->acts += out->act_count;
	p->hold_ms = out->hold_ms > p->hold_ms ? out->hold_ms : p->hold_ms;
	if (out->verdict)
		take_verdict(p, out);
	for (unsigned int i = 0; i < out->wish_count; i++) {
		const struct alg_wish *w = &out->wish[i];
		check_wish(p, w);
		note(p, (uint64_t)w->kind << 56 | (uint64_t)w->latent << 48 |
				(uint64_t)w->guest_port << 32 | w->token);
		note(p, (uint64_t)w->link << 32 | w->peer_ip_be);
	}
	p->gave_up |= out->give_up;
}

/* Answers the wishes that a step made, which may lead to others. */
static void answer(struct play *p, const struct stream_out *made, uint8_t mode)
{
	struct alg_wish wish[ALG_WISHES];
	const unsigned int count = made->wish_count;
	struct stream_out out = {0};
	memcpy(wish, made->wish, count * sizeof(wish[0]));
	for (unsigned int i = 0; i < count && !p->gave_up; i++) {
		const struct alg_grant g = {OUTSIDE, (uint16_t)(40000 + 2 * (p->wishes & 4095))};
		p->wishes++;
		stream_granted(
			&pool, &p->flow, wish[i].token, mode & ALG_PLAY_REFUSE ? NULL : &g, &out);
		take(p, &out);
	}
	if (out.wish_count && !p->gave_up)
		answer(p, &out, mode);
}

static void run(struct play *p, enum alg_direction from, uint8_t mode)
{
	static struct stream_out out; /* so long that to clear it would be most of the work */
	do {
		stream_step(&pool, &p->flow, from, &out);
		take(p, &out);
		if (out.wish_count && !p->gave_up) {
			answer(p, &out, mode);
			out.more = true;
		}
	} while (out.more && !p->gave_up);
}

static void say(
	struct play *p, enum alg_direction from, const uint8_t *bytes, size_t n, uint8_t mode)
{
	const uint64_t at = p->in_bytes[from];
	memcpy(p->in[from] + at, bytes, n);
	p->in_bytes[from] += n;
	if (p->gave_up)
		return;
	if (stream_feed(&pool, &p->flow, from, at, bytes, n, false))
		abort(); /* an input is shorter than a large buffer */
	run(p, from, mode);
}

/* A call that both ends have spoken in, which leads to this connection. */
static void begin_call(struct play *p, struct alg_flow *view)
{
	const struct alg_flow signalling = {.guest_ip_be = GUEST, .id = 1};
	struct h323_call *c = h323_calls_take(&p->h323, &signalling, ALG_GUEST, 7);
	c->heard[ALG_GUEST] = c->heard[ALG_OUTSIDE] = true;
	view->link = c->link;
}

static void begin(struct play *p, const struct alg_protocol *protocol, uint8_t mode)
{
	const bool both = protocol->transports == (ALGS_TCP | ALGS_UDP);
	struct alg_flow view = {.guest_ip_be = GUEST,
		.outside_ip_be = OUTSIDE,
		.peer_ip_be = PEER,
		.guest_port = mode & ALG_PLAY_RESERVED ? 1022 : 50000,
		.outside_port = 40000,
		.peer_port = 50001,
		.stream = both ? !(mode & ALG_PLAY_DATAGRAMS) : protocol->transports == ALGS_TCP,
		.guest_serves = mode & ALG_PLAY_SERVES,
		.sip_multipart = true,
		.maps = &maps,
		.h323_forward = mode & ALG_PLAY_RESERVED,
		.sip = &p->sip,
		.h323 = &p->h323};
	memset(p->in_bytes, 0, sizeof(*p) - offsetof(struct play, in_bytes));
	if (protocol->alg == ALGS_SIP)
		sip_calls_init(&p->sip, &(const struct hash_key){1, 2});
	if (protocol->alg == ALGS_H323)
		h323_calls_init(&p->h323, &(const struct hash_key){1, 2});
	if (protocol == &h245_protocol)
		begin_call(p, &view);
	stream_begin(&p->flow, protocol, &view, 0);
}

static void end(struct play *p)
{
	stream_end(&pool, &p->flow);
	for (int way = 0; p->gave_up && way < 2; way++)
		raw(p, way, p->in_bytes[way]);
}

static void compare(void)
{
	if (whole.wishes != pieces.wishes || whole.acts != pieces.acts ||
		whole.trace != pieces.trace || whole.gave_up != pieces.gave_up ||
		whole.hold_ms != pieces.hold_ms)
		abort();
	for (int way = 0; way < 2; way++)
		if (whole.out_bytes[way] != pieces.out_bytes[way] ||
			memcmp(whole.out[way], pieces.out[way], whole.out_bytes[way]))
			abort();
}

/* A record again, in two pieces, or its beginning byte by byte. What was said decides where it is cut. */
static void say_in_pieces(
	enum alg_direction from, const uint8_t *bytes, size_t n, uint8_t mode, struct cuts *c)
{
	size_t at = 0;
	for (; at < n && c->single; at++, c->single--)
		say(&pieces, from, bytes + at, 1, mode);
	if (at == n)
		return;
	c->draw = (c->draw ^ bytes[at] ^ n << 8) * 0x5851f42d4c957f2d + 1;
	const size_t first = (c->draw >> 33) % (n - at);
	if (first)
		say(&pieces, from, bytes + at, first, mode);
	say(&pieces, from, bytes + at + first, n - at - first, mode);
}

static void play_records(const uint8_t *data, size_t size, uint8_t mode)
{
	const bool stream = whole.flow.view.stream;
	const bool exact = !stream && whole.flow.protocol->alg == ALGS_H323;
	struct cuts cuts = {.draw = mode >> 5, .single = mode >> 5 ? 0 : SINGLE};
	while (size > 1) {
		const enum alg_direction from = data[0] & 1 ? ALG_GUEST : ALG_OUTSIDE;
		const size_t header = exact ? 2 : 1;
		size_t n = exact    ? (size_t)(data[0] >> 1) << 8 | data[1]
			   : stream ? data[0] >> 1
				    : (data[0] >> 1) * 8U;
		data += header;
		size -= header;
		n = n < size ? n : size;
		say(&whole, from, data, n, mode);
		if (stream)
			say_in_pieces(from, data, n, mode, &cuts);
		data += n;
		size -= n;
	}
}

/* What is the same for every input; the pool is whole again after each. */
static void prepare(void)
{
	static bool done;
	if (done)
		return;
	maps_clear(&maps);
	maps_add(&maps, INSIDE_SERVER, OUTSIDE_SERVER, 0);
	stream_pool_init(&pool);
	done = true;
}

int alg_play(const struct alg_protocol *protocol, const uint8_t *data, size_t size)
{
	if (size < 2 || size > LONGEST)
		return 0;
	prepare();
	begin(&whole, protocol, data[0]);
	begin(&pieces, protocol, data[0]);
	play_records(data + 1, size - 1, data[0]);
	end(&whole);
	end(&pieces);
	if (whole.flow.view.stream)
		compare();
	if (pool.small_count != STREAM_SMALL_COUNT || pool.large_count != STREAM_LARGE_COUNT)
		abort();
	return 0;
}

#pragma clang attribute pop
