/*
 * Theory of operation
 *
 *     frame ─▶ port with vnet header ────────────────▶ {      vnet, pieces }  one write
 *          └▶ port without ─▶ segment.c, if needed ─▶ { [length], pieces }  one write a segment
 *                                  port is full ─▶ pending, in order ─▶ egress_flush when it can be
 * written
 *
 * Every frame is laid out with its length in front, once. A stream port sends that length; another
 * port skips it, but it is there when the frame must be queued.
 *
 * Kernels before Linux 6.2 refuse super-frames of datagrams (EINVAL). Nothing says so beforehand, so
 * the first one that is refused, and that can be cut here, decides for the port.
 */
#include "egress.h"

#include <errno.h>

#include "segment.h"
#include "stream.h"
#include "vnet.h"

enum { EGRESS_PIECES = 2 + FRAME_PIECES };

/* A frame as it lies in front of a write: length, vnet header, bytes. */
struct egress_layout {
	uint8_t prefix[STREAM_PREFIX_BYTES];
	struct wire_vnet vnet;
	struct iovec piece[EGRESS_PIECES];
	int pieces;
	uint32_t bytes; /* all but the prefix */
};

void egress_init(struct egress *e, bool vnet, bool stream, uint32_t frame_max)
{
	e->vnet = vnet;
	e->stream = stream;
	e->cuts_udp = false;
	e->frame_max = frame_max;
	pending_init(&e->pending);
}

static void egress_lay_out(const struct egress *e, const struct frame *f, struct egress_layout *l)
{
	int n = 0;
	l->bytes = f->bytes + (e->vnet ? WIRE_VNET_BYTES : 0);
	stream_prefix(l->prefix, l->bytes);
	l->piece[n++] = (struct iovec){l->prefix, sizeof l->prefix};
	if (e->vnet) {
		l->vnet = f->vnet;
		l->vnet.flags &= WIRE_VNET_NEEDS_CSUM; /* the rest is for receivers */
		l->piece[n++] = (struct iovec){&l->vnet, WIRE_VNET_BYTES};
	}
	for (int i = 0; i < f->pieces; i++)
		l->piece[n++] = f->piece[i];
	l->pieces = n;
}

/* Sends or queues one frame in the port's own form. */
static int egress_one(
	struct egress *e, const struct egress_io *io, unsigned int slot, const struct frame *f)
{
	struct egress_layout l;
	int skip = e->stream ? 0 : 1;
	uint32_t total;
	ssize_t n = -EAGAIN;
	egress_lay_out(e, f, &l);
	total = l.bytes + (e->stream ? STREAM_PREFIX_BYTES : 0);
	if (pending_is_empty(&e->pending))
		n = io->write(io->context, slot, l.piece + skip, l.pieces - skip);
	if (n == (ssize_t)total)
		return 0;
	if (e->stream && n >= 0)
		return pending_put(&e->pending, l.piece, l.pieces, (uint32_t)n) ? 0 : -EPIPE;
	if (n == -EAGAIN)
		return pending_put(&e->pending, l.piece, l.pieces, 0) ? 0 : -ENOBUFS;
	if (n == -EPIPE || e->stream)
		return -EPIPE;
	return n == -EINVAL ? -EINVAL : -ENOBUFS;
}

/* Longer than the port's MTU allows; a tag does not count. */
static bool egress_is_long(const struct egress *e, const struct frame *f)
{
	return f->bytes > e->frame_max + FRAME_TAG_BYTES;
}

static int egress_finished(
	struct egress *e, const struct egress_io *io, unsigned int slot, const struct frame *f)
{
	struct segment s;
	struct frame part;
	int error = segment_open(&s, f);
	while (error == 0 && segment_next(&s, &part))
		error = egress_is_long(e, &part) ? -EMSGSIZE : egress_one(e, io, slot, &part);
	return error;
}

int egress_send(
	struct egress *e, const struct egress_io *io, unsigned int slot, const struct frame *f)
{
	bool udp = vnet_gso(&f->vnet) == VNET_GSO_UDP;
	int error;
	if ((!e->vnet && vnet_unfinished(&f->vnet)) || (udp && e->cuts_udp))
		return egress_finished(e, io, slot, f);
	if (f->vnet.gso_type == VNET_GSO_NONE && egress_is_long(e, f))
		return -EMSGSIZE;
	error = egress_one(e, io, slot, f);
	if (error != -EINVAL || !udp)
		return error;
	error = egress_finished(e, io, slot, f);
	e->cuts_udp = error == 0;
	return error;
}

int egress_flush(struct egress *e, const struct egress_io *io, unsigned int slot)
{
	for (int n = 0; n < EGRESS_FLUSH_BUDGET && !pending_is_empty(&e->pending); n++) {
		struct iovec piece[2];
		int pieces = e->stream ? pending_all(&e->pending, piece)
				       : pending_record(&e->pending, piece);
		ssize_t sent = io->write(io->context, slot, piece, pieces);
		if (sent == -EAGAIN || sent == -EPIPE)
			return (int)sent;
		if (!e->stream)
			pending_record_done(&e->pending);
		else if (sent < 0)
			return -EPIPE;
		else
			pending_done(&e->pending, (uint32_t)sent);
	}
	return pending_is_empty(&e->pending) ? 0 : -EAGAIN;
}
