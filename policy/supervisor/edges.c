/* Theory of operation: see edges.h. Everything follows from topology.def. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges.h"

/* PAIR_RECORDS: more than a buffer holds, as each record costs the kernel hundreds of bytes of it. */
enum { PAIR_BUFFER = 1 << 20, PAIR_RECORDS = 2 * PAIR_BUFFER / 64 };
#ifndef SO_PASSRIGHTS
enum { SO_PASSRIGHTS = 83 }; /* Linux 6.16; an older kernel answers ENOPROTOOPT */
#endif

void edges_take_no_descriptors(int fd)
{
	const int no = 0;

	setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no));
}

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

/* Between two workers: no message of theirs carries a descriptor. */
static int workers_pair(int pair[2])
{
	int error = edges_pair(pair), i;

	for (i = 0; i < 2 && error == 0; i++)
		edges_take_no_descriptors(pair[i]);
	return error;
}

/* The pairs of one edge, for all of its shards. */
static int renew_pairs(struct hub *hub, unsigned int edge)
{
	unsigned int shard;
	int error = 0;

	for (shard = 0; shard < share_edge_instances(edge, hub->shards) && error == 0; shard++) {
		close_pair(hub->channel[edge][shard]);
		error = workers_pair(hub->channel[edge][shard]);
	}
	return error;
}

int edges_renew(struct hub *hub)
{
	unsigned int e;
	int error;

	memset(hub->edge, EDGE_UP, sizeof(hub->edge));
	share_close(&hub->share);
	error = share_make(&hub->share, hub->shards);
	for (e = 0; e < share_edge_count && error == 0; e++)
		if (share_edges[e].ring)
			error = renew_pairs(hub, e);
	return error;
}

int edges_renew_shard(struct hub *hub, unsigned int shard)
{
	unsigned int e;
	int error = share_renew(&hub->share, shard);

	for (e = 0; e < share_edge_count && error == 0; e++) {
		if (!share_edges[e].ring || !topology_is_sharded(share_edges[e].a) ||
			!topology_is_sharded(share_edges[e].b))
			continue;
		close_pair(hub->channel[e][shard]);
		error = workers_pair(hub->channel[e][shard]);
	}
	return error;
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
			error = renew_pairs(hub, e);
	return error;
}

/*
 * Reads away what a socket holds; descriptors in it are closed by the kernel (none are taken). An empty record is one more
 * that a liar left, not the end: our own copy of the far end keeps that from coming. Bounded all the same.
 */
static void drain_socket(int fd)
{
	unsigned int records = 0;
	char byte;

	while (fd >= 0 && records++ < PAIR_RECORDS &&
		recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0)
		;
}

/* The instances of an edge that a process has an end of: its own shard's, or all. */
static bool sees(const struct worker *w, unsigned int shard)
{
	return !topology_is_sharded(w->id) || w->shard == shard;
}

void edges_flush(const struct worker *dead)
{
	struct hub *hub = dead->hub;
	unsigned int e, shard;

	for (e = 0; e < share_edge_count; e++) {
		if (share_edges[e].a != dead->id && share_edges[e].b != dead->id)
			continue;
		for (shard = 0; shard < SHARD_MAX; shard++) {
			if (!sees(dead, shard))
				continue;
			drain_socket(hub->channel[e][shard][0]);
			drain_socket(hub->channel[e][shard][1]);
		}
	}
}

void edges_close(struct hub *hub)
{
	unsigned int e, shard;

	for (e = 0; e < share_edge_count; e++)
		for (shard = 0; shard < SHARD_MAX; shard++)
			close_pair(hub->channel[e][shard]);
	share_close(&hub->share);
}

/* The doorbells of an actor's processes that w knows, and their ends of its channels: at [shard] to who sees
 * all shards, at [0] to who sees its own. */
static void plan_peer(const struct worker *w, struct spawn_plan *plan, unsigned int peer)
{
	const struct hub *hub = w->hub;
	bool many = topology_is_sharded(peer) && !topology_is_sharded(w->id);
	unsigned int from = many || !topology_is_sharded(peer) ? 0 : w->shard;
	unsigned int count = many ? hub->shards : 1, i, e;

	for (i = 0; i < count; i++) {
		plan->bell[peer][i] = hub->share.bell[peer][from + i];
		for (e = 0; e < share_edge_count; e++) {
			unsigned int instance = topology_is_sharded(w->id) ? w->shard : i;

			if (share_edges[e].a == w->id && share_edges[e].b == peer)
				plan->channel[peer][i] = hub->channel[e][instance][0];
			if (share_edges[e].b == w->id && share_edges[e].a == peer)
				plan->channel[peer][i] = hub->channel[e][instance][1];
		}
	}
}

void edges_plan(const struct worker *w, struct spawn_plan *plan)
{
	unsigned int peer;

	memset(plan->channel, -1, sizeof(plan->channel));
	memset(plan->bell, -1, sizeof(plan->bell));
	for (peer = 0; peer < ACTOR_COUNT; peer++)
		plan_peer(w, plan, peer);
}
