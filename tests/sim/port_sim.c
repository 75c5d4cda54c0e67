/*
 * Theory of operation. What arrives over the cable waits in a queue of CABLE_QUEUE frames, as in a kernel; what is
 * written goes into the cable, or has to wait when the cable is full. A virtio-net header stands in front of each frame
 * of a TAP, and none elsewhere.
 */
#include "port_sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "actors.h"
#include "cable.h"

struct waiting {
	struct waiting *next;
	struct wire_vnet vnet;
	uint32_t bytes;
	uint8_t frame[];
};

static struct waiting *first, *last;
static uint32_t count;
static uint64_t overruns;
static bool has_vnet;

void port_sim_open(bool tap)
{
	has_vnet = tap;
}

uint64_t port_sim_overruns(void)
{
	return overruns;
}

int port_sim_ready(int fd)
{
	return (first ? EV_READ : 0) | (cable_has_room(CABLE_DOWN) ? EV_WRITE : 0);
}

void port_sim_frame(const struct wire_vnet *vnet, const uint8_t *frame, uint32_t bytes)
{
	struct waiting *w;
	if (count == CABLE_QUEUE) {
		overruns++;
		return;
	}
	w = malloc(sizeof(*w) + bytes);
	if (!w)
		abort();
	w->next = NULL;
	w->vnet = *vnet;
	w->bytes = bytes;
	memcpy(w->frame, frame, bytes);
	if (first)
		last->next = w;
	else
		first = w;
	last = w;
	count++;
	actors_kick(ACTOR_BROKER);
}

/* Copies what fits: the kernel cuts a datagram that is longer than the room. */
static size_t scatter(
	const struct iovec *piece, int pieces, size_t skip, const uint8_t *from, size_t bytes)
{
	size_t done = 0;
	for (int i = 0; i < pieces && done < bytes; i++) {
		size_t n = piece[i].iov_len > skip ? piece[i].iov_len - skip : 0;
		n = n < bytes - done ? n : bytes - done;
		memcpy((uint8_t *)piece[i].iov_base + skip, from + done, n);
		skip = 0;
		done += n;
	}
	return done;
}

ssize_t sim_readv(int fd, const struct iovec *piece, int pieces)
{
	struct waiting *w = first;
	size_t header = has_vnet ? sizeof(w->vnet) : 0;
	size_t n;
	if (!w) {
		errno = EAGAIN;
		return -1;
	}
	if (has_vnet)
		memcpy(piece[0].iov_base, &w->vnet, sizeof(w->vnet));
	n = scatter(piece + has_vnet, pieces - has_vnet, 0, w->frame, w->bytes);
	first = w->next;
	count--;
	free(w);
	return (ssize_t)(n + header);
}

ssize_t sim_writev(int fd, const struct iovec *piece, int pieces)
{
	static uint8_t gathered[sizeof(struct wire_vnet) + CABLE_FRAME_MAX];
	struct wire_vnet vnet = {0};
	size_t header = has_vnet ? sizeof(vnet) : 0;
	size_t bytes = 0;
	for (int i = 0; i < pieces; i++) {
		if (piece[i].iov_len > sizeof(gathered) - bytes)
			abort();
		memcpy(gathered + bytes, piece[i].iov_base, piece[i].iov_len);
		bytes += piece[i].iov_len;
	}
	if (bytes < header)
		abort();
	memcpy(&vnet, gathered, header);
	if (cable_send(CABLE_DOWN, &vnet, gathered + header, (uint32_t)(bytes - header)))
		return (ssize_t)bytes;
	errno = EAGAIN;
	return -1;
}

int sim_close(int fd)
{
	return 0;
}

int sim_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	return 0;
}
