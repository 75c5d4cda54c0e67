/*
 * The way out of one port: the port's own form of a frame (virtio-net header, length prefix, or
 * finished in software), and what happens while it does not take any more. Pure but for the write
 * that the caller gives.
 */
#ifndef NATLOCK_BROKER_EGRESS_H
#define NATLOCK_BROKER_EGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "frame.h"
#include "pending.h"

/* How the core reaches the world: the shell's port.c, or a test's memory. */
struct egress_io {
	void *context;
	/*
	 * Writes one frame (on a stream: bytes) to the port in `slot` without blocking. Bytes
	 * written; -EAGAIN: later; -ENOBUFS: this frame is lost, the port lives; -EINVAL: the same,
	 * because of its virtio-net header; -EPIPE: the port is gone.
	 */
	ssize_t (*write)(void *context, unsigned int slot, const struct iovec *piece, int pieces);
};

struct egress {
	bool vnet;	    /* a virtio-net header goes in front of each frame */
	bool stream;	    /* a byte stream: frames have a length in front (stream.h) */
	bool cuts_udp;	    /* the port's kernel does not: datagrams are cut here */
	uint32_t frame_max; /* longest frame that is not a super-frame, bytes */
	struct pending pending;
};

enum { EGRESS_FLUSH_BUDGET = 64 };

void egress_init(struct egress *e, bool vnet, bool stream, uint32_t frame_max);
/*
 * Sends or queues one frame; the frame is free on return. 0; -ENOBUFS: lost, the port is too slow;
 * -EMSGSIZE: longer than the port's MTU; -EINVAL: its headers contradict each other; -EPIPE: the port is gone. Of
 * a super-frame that is cut in software, the segments before the failure went out.
 */
int egress_send(
	struct egress *e, const struct egress_io *io, unsigned int slot, const struct frame *f);
/* Writes what is queued, at most EGRESS_FLUSH_BUDGET frames: 0, -EAGAIN when some is left, -EPIPE.
 */
int egress_flush(struct egress *e, const struct egress_io *io, unsigned int slot);

#endif
