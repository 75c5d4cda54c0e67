/*
 * Theory of operation
 *
 * A frame costs one system call: readv straight into {virtio-net header, small buffer, large
 * buffer} of the arena, writev straight from wherever the pieces lie. A stream socket has no frame
 * boundaries; there one readv fetches many small frames.
 *
 * Errors are of three kinds. "Later": the queue is full or empty. "This frame": too long, or the
 * interface is down for the moment (EIO on a TAP, ENETDOWN on a packet socket) and comes back.
 * Everything else means that the port will not come back: a TAP that was deleted (EBADFD), an
 * interface that was (ENXIO), a socket whose peer ended (EPIPE, ECONNREFUSED).
 */
#include "port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "topology.h"

static bool port_is_stream(const struct port *p)
{
	return p->kind == NL__PORT_KIND__QEMU_STREAM;
}

void port_open(struct port *p, int fd, const Nl__PortAttach *m)
{
	bool kernel = m->kind == NL__PORT_KIND__TAP || m->kind == NL__PORT_KIND__PACKET;
	p->fd = fd;
	p->kind = m->kind;
	p->vnet = kernel && m->vnet_hdr;
	p->why = NULL;
	strncpy(p->name, m->name ? m->name : "", sizeof p->name - 1);
	p->name[sizeof p->name - 1] = 0;
	stream_init(&p->stream);
}

void port_watch(struct port *p, void (*readable)(struct ev_loop *, struct ev_io *, int),
	void (*writable)(struct ev_loop *, struct ev_io *, int), void *data)
{
	ev_io_init(&p->reader, readable, p->fd, EV_READ);
	ev_io_init(&p->writer, writable, p->fd, EV_WRITE);
	p->reader.data = data;
	p->writer.data = data;
}

void port_want_read(struct port *p, struct ev_loop *loop, bool on)
{
	if (on)
		ev_io_start(loop, &p->reader);
	else
		ev_io_stop(loop, &p->reader);
}

void port_want_write(struct port *p, struct ev_loop *loop, bool on)
{
	if (on)
		ev_io_start(loop, &p->writer);
	else
		ev_io_stop(loop, &p->writer);
}

void port_close(struct port *p, struct ev_loop *loop)
{
	ev_io_stop(loop, &p->reader);
	ev_io_stop(loop, &p->writer);
	epoll_ctl(BROKER_EPOLL, EPOLL_CTL_DEL, p->fd, NULL);
	close(p->fd);
	p->fd = -1;
}

/* Bytes, or -EAGAIN: later, or -EPIPE: gone. */
static ssize_t port_read(const struct port *p, const struct iovec *piece, int pieces)
{
	ssize_t n = readv(p->fd, piece, pieces);
	if (n >= 0)
		return n;
	switch (errno) {
	case EAGAIN:
	case EINTR:
	case ENOBUFS:
	case ENOMEM:
	case ENETDOWN: return -EAGAIN;
	default: return -EPIPE;
	}
}

ssize_t port_write(struct port *p, const struct iovec *piece, int pieces)
{
	ssize_t n = writev(p->fd, piece, pieces);
	if (n >= 0)
		return n;
	switch (errno) {
	case EAGAIN:
	case EINTR: return -EAGAIN;
	case ENOBUFS:
	case ENOMEM:
	case EMSGSIZE:
	case EIO:
	case ENETDOWN: return -ENOBUFS;
	case EINVAL: return -EINVAL;
	default: p->why = "write error"; return -EPIPE;
	}
}

static enum port_state port_gone(struct port *p, const char *why)
{
	p->why = why;
	return PORT_GONE;
}

static enum port_state port_receive_frames(
	struct port *p, struct bridge *b, unsigned int slot, uint64_t now_ns)
{
	int skip = p->vnet ? 0 : 1;
	size_t header = p->vnet ? WIRE_VNET_BYTES : 0;
	for (int n = 0; n < PORT_BATCH; n++) {
		struct wire_vnet vnet = {0};
		struct bridge_offer offer;
		ssize_t got;
		if (!bridge_offer(b, slot, &offer, now_ns))
			return PORT_SHORT;
		got = port_read(p,
			(struct iovec[]){{&vnet, WIRE_VNET_BYTES}, offer.piece[0], offer.piece[1]} +
				skip,
			3 - skip);
		if (got == -EAGAIN)
			return PORT_EMPTY;
		if (got < 0)
			return port_gone(p, "read error");
		bridge_input(b, slot, p->vnet ? &vnet : NULL,
			(size_t)got < header ? 0 : (uint32_t)((size_t)got - header), now_ns);
	}
	return PORT_MORE;
}

/* Hands the whole frames that the stream's buffer holds to the bridge: PORT_EMPTY when none is left
 * in it. */
static enum port_state port_cut_stream(
	struct port *p, struct bridge *b, unsigned int slot, uint64_t now_ns, int *budget)
{
	while ((*budget)-- > 0) {
		struct bridge_offer offer;
		const uint8_t *frame;
		uint32_t bytes;
		int found;
		if (!bridge_offer(b, slot, &offer, now_ns))
			return PORT_SHORT;
		found = stream_next(&p->stream, &frame, &bytes);
		if (found == 0)
			return PORT_EMPTY;
		if (found < 0)
			return port_gone(p, "broken frame length");
		bridge_input_copy(b, slot, NULL, frame, bytes, now_ns);
	}
	return PORT_MORE;
}

static enum port_state port_receive_stream(
	struct port *p, struct bridge *b, unsigned int slot, uint64_t now_ns)
{
	int budget = PORT_BATCH;
	enum port_state state;
	while ((state = port_cut_stream(p, b, slot, now_ns, &budget)) == PORT_EMPTY) {
		struct iovec room;
		ssize_t got;
		room.iov_base = stream_room(&p->stream, &room.iov_len);
		got = port_read(p, &room, 1);
		if (got == -EAGAIN)
			return PORT_EMPTY;
		if (got <= 0)
			return port_gone(p, got == 0 ? "end of file" : "read error");
		stream_filled(&p->stream, (size_t)got);
	}
	return state;
}

enum port_state port_receive(struct port *p, struct bridge *b, unsigned int slot, uint64_t now_ns)
{
	return port_is_stream(p) ? port_receive_stream(p, b, slot, now_ns)
				 : port_receive_frames(p, b, slot, now_ns);
}

const char *port_kind_name(Nl__PortKind kind)
{
	switch ((int)kind) {
	case NL__PORT_KIND__TAP: return "tap";
	case NL__PORT_KIND__PACKET: return "packet";
	case NL__PORT_KIND__QEMU_STREAM: return "qemu-stream";
	case NL__PORT_KIND__QEMU_DGRAM: return "qemu-dgram";
	default: return "unknown";
	}
}
