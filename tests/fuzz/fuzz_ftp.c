/*
 * The FTP parser behind stream.c. The first byte chooses the role and how natproxy answers, then
 * come {direction and length, bytes}. The same bytes are played whole and in pieces of one: the
 * output must be the same.
 */
#include <stdlib.h>
#include <string.h>

#include "stream.h"

enum { ROOM = 1 << 16, RECORDS = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct play {
	struct stream_flow flow;
	uint8_t in[2][ROOM], out[2][ROOM];
	uint64_t in_bytes[2], passed[2], out_bytes[2];
	uint32_t wishes, ports;
	bool gave_up;
};

static struct stream_pool pool;
static struct play whole, pieces;

static void raw(struct play *p, int way, uint64_t until)
{
	if (until < p->passed[way] || until > p->in_bytes[way])
		abort();
	size_t n = until - p->passed[way];
	memcpy(p->out[way] + p->out_bytes[way], p->in[way] + p->passed[way], n);
	p->out_bytes[way] += n;
	p->passed[way] = until;
}

static void take(struct play *p, const struct stream_out *out)
{
	int way = (int)out->direction;
	for (unsigned int i = 0; out->verdict && i < out->edit_count; i++) {
		const struct stream_edit *e = &out->edit[i];
		if (e->at < p->passed[way] || e->at + e->edit.old_bytes > out->until)
			abort();
		raw(p, way, e->at);
		memcpy(p->out[way] + p->out_bytes[way], e->edit.text, e->edit.bytes);
		p->out_bytes[way] += e->edit.bytes;
		p->passed[way] += e->edit.old_bytes;
	}
	if (out->verdict)
		raw(p, way, out->until);
	p->gave_up |= out->give_up;
}

static void run(struct play *p, enum alg_direction from, uint8_t mode)
{
	struct stream_out out;
	stream_step(&pool, &p->flow, from, &out);
	for (;;) {
		take(p, &out);
		if (p->gave_up)
			return;
		if (out.wish_token) {
			struct alg_grant g = {
				!(mode & 2), 0x0771cb00, (uint16_t)(40000 + p->wishes)};
			if (out.wish.guest_port < ALG_PORT_MIN ||
				out.wish.peer_ip_be != p->flow.view.peer_ip_be)
				abort();
			p->wishes++;
			p->ports = p->ports * 31 + out.wish.guest_port;
			stream_granted(&pool, &p->flow, out.wish_token, &g, &out);
		} else if (out.more) {
			stream_step(&pool, &p->flow, from, &out);
		} else {
			return;
		}
	}
}

static void say(
	struct play *p, enum alg_direction from, const uint8_t *bytes, size_t n, uint8_t mode)
{
	uint64_t at = p->in_bytes[from];
	memcpy(p->in[from] + at, bytes, n);
	p->in_bytes[from] += n;
	if (p->gave_up)
		return;
	if (stream_feed(&pool, &p->flow, from, at, bytes, n, false))
		abort(); /* a line is at most 4 KiB: there is always room */
	run(p, from, mode);
}

static void begin(struct play *p, uint8_t mode)
{
	struct alg_flow view = {.guest_ip_be = 0x0a1ea8c0,
		.outside_ip_be = 0x0771cb00,
		.peer_ip_be = 0x096433c6,
		.guest_serves = mode & 1,
		.observe = mode & 4};
	memset(p->in_bytes, 0, sizeof(*p) - offsetof(struct play, in_bytes));
	stream_begin(&p->flow, &ftp_protocol, &view, 0);
}

static void end(struct play *p)
{
	stream_end(&pool, &p->flow);
	for (int way = 0; p->gave_up && way < 2; way++)
		raw(p, way, p->in_bytes[way]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > ROOM / 8)
		return 0;
	uint8_t mode = *data++;
	size--;
	memset(&pool.free_small, 0, sizeof(pool) - offsetof(struct stream_pool, free_small));
	stream_pool_init(&pool);
	begin(&whole, mode);
	begin(&pieces, mode);
	while (size > 1) {
		enum alg_direction from = data[0] & 1 ? ALG_GUEST : ALG_OUTSIDE;
		size_t n = data[0] >> 1;
		data++;
		size--;
		n = n < size ? n : size;
		say(&whole, from, data, n, mode);
		for (size_t i = 0; i < n; i++)
			say(&pieces, from, data + i, 1, mode);
		data += n;
		size -= n;
	}
	end(&whole);
	end(&pieces);
	if (whole.wishes != pieces.wishes || whole.ports != pieces.ports ||
		whole.gave_up != pieces.gave_up)
		abort();
	for (int way = 0; way < 2; way++)
		if (whole.out_bytes[way] != pieces.out_bytes[way] ||
			memcmp(whole.out[way], pieces.out[way], whole.out_bytes[way]))
			abort();
	if (pool.small_count != STREAM_SMALL_COUNT || pool.large_count != STREAM_LARGE_COUNT)
		abort();
	return 0;
}
