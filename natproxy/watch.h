/* The libev side of sock.h: which descriptors are watched. Needs the process's loop, hence apart
 * from sock.h. */
#ifndef NATLOCK_NATPROXY_WATCH_H
#define NATLOCK_NATPROXY_WATCH_H

#include <ev.h>
#include <stdint.h>

#include "sock.h"

struct sock_host {
	struct ev_loop *loop;
	void (*ready)(void *context, int fd, unsigned int events);
	void *context;
	uint32_t count;
	struct ev_io *watcher; /* by descriptor; `count` of them */
};

/* Prepares the watchers; memory for them is the caller's and zeroed. */
void watch_init(struct sock_host *h, struct ev_loop *loop, struct ev_io *watchers, uint32_t count,
	void (*ready)(void *context, int fd, unsigned int events), void *context);

#endif
