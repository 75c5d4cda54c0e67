/* Theory of operation: see edges.h. Everything follows from topology.def. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges.h"

enum { PAIR_BUFFER = 1 << 20 };

int edges_pair(int pair[2])
{
	const int bytes = PAIR_BUFFER;
	int i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	for (i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return 0;
}

static void close_pair(int pair[2])
{
	int i;

	for (i = 0; i < 2; i++) {
		if (pair[i] >= 0)
			close(pair[i]);
		pair[i] = -1;
	}
}

static int renew_pair(struct hub *hub, unsigned int edge)
{
	close_pair(hub->channel[edge]);
	return edges_pair(hub->channel[edge]);
}

int edges_renew(struct hub *hub)
{
	unsigned int e;
	int error;

	share_close(&hub->share);
	error = share_make(&hub->share);
	for (e = 0; e < share_edge_count && error == 0; e++)
		if (share_edges[e].ring)
			error = renew_pair(hub, e);
	return error;
}

/* Reads away what a socket holds; descriptors in it are closed by the kernel (none are taken). */
static void drain_socket(int fd)
{
	char byte;

	while (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
}

void edges_flush(struct hub *hub, enum actor_id dead)
{
	unsigned int e;

	for (e = 0; e < share_edge_count; e++) {
		if (share_edges[e].ring || (share_edges[e].a != dead && share_edges[e].b != dead))
			continue;
		drain_socket(hub->channel[e][0]);
		drain_socket(hub->channel[e][1]);
	}
}

int edges_open(struct hub *hub)
{
	unsigned int e;
	int error;

	share_init(&hub->share);
	memset(hub->channel, -1, sizeof(hub->channel));
	error = edges_renew(hub);
	for (e = 0; e < share_edge_count && error == 0; e++)
		if (!share_edges[e].ring)
			error = renew_pair(hub, e);
	return error;
}

void edges_close(struct hub *hub)
{
	unsigned int e;

	for (e = 0; e < share_edge_count; e++)
		close_pair(hub->channel[e]);
	share_close(&hub->share);
}

void edges_plan(const struct worker *w, struct spawn_plan *plan)
{
	const struct hub *hub = w->hub;
	unsigned int i;

	for (i = 0; i < ACTOR_COUNT; i++) {
		plan->channel[i] = -1;
		plan->bell[i] = hub->share.bell[i];
	}
	for (i = 0; i < share_edge_count; i++) {
		if (share_edges[i].a == w->id)
			plan->channel[share_edges[i].b] = hub->channel[i][0];
		if (share_edges[i].b == w->id)
			plan->channel[share_edges[i].a] = hub->channel[i][1];
	}
}
