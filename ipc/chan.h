/*
 * Control channels: one protobuf message a SOCK_SEQPACKET record, descriptors by SCM_RIGHTS.
 *
 * The peer is hostile: a record over CHAN_MAX_BYTES, a truncated one, more than CHAN_MAX_FDS
 * descriptors or descriptors where the message has none end the edge (-EPROTO). Descriptors that
 * nobody took are closed. Unpacking uses the channel's own bounded pool (pool.h), never the heap.
 */
#ifndef NATLOCK_IPC_CHAN_H
#define NATLOCK_IPC_CHAN_H

#include <stddef.h>
#include <stdint.h>

#include "pool.h"

enum { CHAN_MAX_BYTES = 65536, CHAN_MAX_FDS = 16, CHAN_QUEUE_BYTES = 1 << 20 };

struct chan_in { /* a received record; bytes valid until the next chan_recv on any channel of this
		    process */
	const uint8_t *bytes;
	size_t len;
	int fds[CHAN_MAX_FDS];
	int nfds;
	struct pool *pool; /* where this record may be unpacked */
};

struct chan {
	int fd;
	int error;	/* 0, -EPIPE after end of file, -EPROTO */
	uint8_t *queue; /* records that the socket would not take yet, length-prefixed */
	size_t queue_start, queue_bytes; /* what waits: [start, start + bytes) */
	size_t queue_cap;		 /* fixed at chan_init: a full queue is -EAGAIN */
	uint64_t sent, received, refused;
	struct pool *pool;
};

/* Memory for the queue comes from the caller (boot time); queue_cap 0 is allowed. */
void chan_init(struct chan *c, int fd, struct pool *pool, uint8_t *queue, size_t queue_cap);
/* 1 with *in filled, 0 nothing there, -EPIPE peer gone, -EPROTO peer broke the rules. Syscalls:
 * recvmsg close */
int chan_recv(struct chan *c, struct chan_in *in);
/* Takes descriptor i out of the record: the caller owns it now. -1 if there is none. */
int chan_take_fd(struct chan_in *in, int i);
/* Closes what was not taken. */
void chan_drop_fds(struct chan_in *in);
/* 0 sent or queued (queued only without fds), -EAGAIN no room, -EPIPE. Copies. Syscalls: sendmsg */
int chan_send(struct chan *c, const void *bytes, size_t len, const int *fds, int nfds);
/* Packs a message and sends it. -EMSGSIZE when it is larger than a record may be. Syscalls: sendmsg
 */
int chan_send_message(struct chan *c, const ProtobufCMessage *m, const int *fds, int nfds);
/* Tries to send what is queued; 1 when some is left (wait for EV_WRITE), 0, -EPIPE. Syscalls:
 * sendmsg */
int chan_flush(struct chan *c);

#endif
