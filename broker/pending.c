/*
 * Theory of operation
 *
 *     bytes[]  ▓▓▓▓......................▓▓▓▓▓▓▓▓▓
 *              wrapped ▲ end             ▲ head
 *
 * One slow port must neither block the others nor grow without bound: its frames are copied here
 * while the kernel refuses them, in order, and dropped when this is full. It is also where the rest
 * of a frame goes that a stream socket took in part; such a rest starts an empty queue, so it
 * always fits.
 */
#include "pending.h"

#include <string.h>

#include "stream.h"

void pending_init(struct pending *p)
{
	p->head = 0;
	p->used = 0;
}

static void pending_append(struct pending *p, const uint8_t *from, uint32_t n)
{
	uint32_t end = (p->head + p->used) % PENDING_BYTES;
	uint32_t first = n < PENDING_BYTES - end ? n : PENDING_BYTES - end;
	memcpy(p->bytes + end, from, first);
	memcpy(p->bytes, from + first, n - first);
	p->used += n;
}

bool pending_put(struct pending *p, const struct iovec *piece, int pieces, uint32_t skip)
{
	size_t total = 0;
	for (int i = 0; i < pieces; i++)
		total += piece[i].iov_len;
	if (total - skip > PENDING_BYTES - p->used)
		return false;
	for (int i = 0; i < pieces; i++) {
		uint32_t n = (uint32_t)piece[i].iov_len;
		uint32_t jump = skip < n ? skip : n;
		pending_append(p, (const uint8_t *)piece[i].iov_base + jump, n - jump);
		skip -= jump;
	}
	return true;
}

/* Bytes [at, at + n) of the queue, counted from its head, in one or two pieces. */
static int pending_view(struct pending *p, uint32_t at, uint32_t n, struct iovec piece[2])
{
	uint32_t from = (p->head + at) % PENDING_BYTES;
	uint32_t first = n < PENDING_BYTES - from ? n : PENDING_BYTES - from;
	piece[0] = (struct iovec){p->bytes + from, first};
	piece[1] = (struct iovec){p->bytes, n - first};
	return first == n ? 1 : 2;
}

static uint32_t pending_length(const struct pending *p)
{
	uint8_t prefix[STREAM_PREFIX_BYTES];
	for (uint32_t i = 0; i < sizeof prefix; i++)
		prefix[i] = p->bytes[(p->head + i) % PENDING_BYTES];
	return stream_length(prefix);
}

int pending_record(struct pending *p, struct iovec piece[2])
{
	if (pending_is_empty(p))
		return 0;
	return pending_view(p, STREAM_PREFIX_BYTES, pending_length(p), piece);
}

void pending_record_done(struct pending *p)
{
	pending_done(p, STREAM_PREFIX_BYTES + pending_length(p));
}

int pending_all(struct pending *p, struct iovec piece[2])
{
	return pending_is_empty(p) ? 0 : pending_view(p, 0, p->used, piece);
}

void pending_done(struct pending *p, uint32_t bytes)
{
	p->used -= bytes;
	p->head = p->used ? (p->head + bytes) % PENDING_BYTES : 0;
}
