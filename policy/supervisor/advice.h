/*
 * What is valid in a configuration and still probably not meant, or not possible on this computer
 * now: `natlock check` says it, and goes on to exit with 0.
 */
#ifndef NATLOCK_SUPERVISOR_ADVICE_H
#define NATLOCK_SUPERVISOR_ADVICE_H

#include <stdio.h>

#include "config.pb-c.h"
#include "hostnet.h"
#include "resolvers.h"

struct advice_host {
	const struct hostnet *net;
	const struct resolvers *resolvers;
	uint32_t first_port; /* the lowest that whoever looks may have published; 0: any */
};

/* What this computer is like; the structures are the caller's. Syscalls: those of hostnet_read and
 * resolvers_read, geteuid, openat read close */
void advice_look(struct advice_host *host, struct hostnet *net, struct resolvers *resolvers);
/* A line "natlock: warning: ..." for each; how many. Syscalls: socket ioctl close (devices) */
size_t advice_give(FILE *out, const Nl__Config *config, const struct advice_host *host);

#endif
