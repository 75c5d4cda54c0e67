/*
 * natproxy between a hostile netstack, a hostile alg and a supervisor that says anything, on a capricious kernel. Its ring
 * alone is fuzz_natproxy_ring's, alg alone fuzz_natproxy_alg's.
 */
#include <errno.h>
#include <stdlib.h>

#include "edge.h"

static uint8_t take(void)
{
	return edge_take();
}

static int new_fd(void)
{
	static const int errors[] = {-EMFILE, -ECONNREFUSED, -EADDRINUSE, -ENETUNREACH, -EACCES};
	const uint8_t how = take();
	const int fd = how > 240 ? -1 : edge_open();
	return fd < 0 ? errors[how % 5] : fd;
}

static void need_open(int fd)
{
	edge_require(edge_is_open(fd));
}

static void forget_fd(int fd)
{
	edge_close(fd);
}

#include "fuzz_sock.h"

#define calloc(count, bytes) edge_alloc(count, bytes)
#define main		     natproxy_main
int main(void);
#include "../../natproxy/main.c"
#undef main

void watch_init(struct sock_host *h, struct ev_loop *loop, struct ev_io *watchers, uint32_t count,
	void (*ready)(void *context, int fd, unsigned int events), void *context)
{
}

static void sockets_act(struct actor *a, void *self)
{
	do {
		const int fd = NATPROXY_SOCK_FIRST + take() % 16;
		if (edge_is_open(fd))
			on_ready(self, fd, 1 + take() % 3);
	} while (take());
}

static unsigned int owned(const void *self)
{
	return ((const struct shell *)self)->core.sockets_open;
}

const struct edge_target edge_target = {
	.worker = natproxy_main,
	.state_bytes = sizeof(struct shell),
	.shards = 1,
	.first_fd = NATPROXY_SOCK_FIRST,
	.heard = {&nl__super_to_natproxy__descriptor, &nl__netstack_to_natproxy__descriptor,
		&nl__alg_to_natproxy__descriptor},
	.owned = owned,
	.act = sockets_act,
};
