/*
 * The broker's ports: the only file of the broker that does input and output on guests' frames.
 *
 *     TAP          character device; one frame a read or write, a 10-byte virtio-net header in
 * front PACKET       AF_PACKET on a veth (PACKET_VNET_HDR): the same QEMU_STREAM  connected stream
 * socket; 4-byte big-endian length, frame (stream.h) QEMU_DGRAM   connected datagram socket; one
 * frame a datagram
 *
 * The supervisor opened the descriptor, made it non-blocking and did every ioctl. A port is watched
 * level-triggered; watching for reading stops while frames must stay in the kernel's queue.
 */
#ifndef NATLOCK_BROKER_PORT_H
#define NATLOCK_BROKER_PORT_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge.h"
#include "stream.h"
#include "super.pb-c.h"

enum { PORT_BATCH = 64, PORT_NAME_BYTES = 32 }; /* frames a turn */

enum port_state {
	PORT_EMPTY, /* nothing more to read now */
	PORT_MORE,  /* the batch is used up, more is waiting */
	PORT_SHORT, /* the bridge has no room: leave the frames where they are */
	PORT_GONE,  /* end of file or error: detach */
};

struct port {
	int fd;
	Nl__PortKind kind;
	bool vnet;
	const char *why;     /* why it is gone, a word for the operator */
	uint64_t created_ms; /* wall clock */
	char name[PORT_NAME_BYTES];
	struct ev_io reader, writer;
	struct stream stream; /* QEMU_STREAM only */
};

/*
 * Takes over a descriptor. vnet_hdr holds for TAP and PACKET only: what a virtual machine sends has
 * no header that could be believed.
 */
void port_open(struct port *p, int fd, const Nl__PortAttach *m);
/* Prepares the watchers, which get w->data = data; neither is started. */
void port_watch(struct port *p, void (*readable)(struct ev_loop *, struct ev_io *, int),
	void (*writable)(struct ev_loop *, struct ev_io *, int), void *data);
/* Reading stops and goes on; writability is watched only while frames are queued. Syscalls:
 * epoll_ctl */
void port_want_read(struct port *p, struct ev_loop *loop, bool on);
void port_want_write(struct port *p, struct ev_loop *loop, bool on);
/* Syscalls: epoll_ctl close */
void port_close(struct port *p, struct ev_loop *loop);

/* Reads up to PORT_BATCH frames into the bridge. Syscalls: readv */
enum port_state port_receive(struct port *p, struct bridge *b, unsigned int slot, uint64_t now_ns);
/* egress_io.write for the port in `p`. Syscalls: writev */
ssize_t port_write(struct port *p, const struct iovec *piece, int pieces);
/* "tap", "packet", "qemu-stream", "qemu-dgram". */
const char *port_kind_name(Nl__PortKind kind);

#endif
