/* The host's resolvers: /etc/resolv.conf, parsed and watched. Guests' DNS to the gateway goes there
 * (seed 3.7.4). */
#ifndef NATLOCK_SUPERVISOR_RESOLVERS_H
#define NATLOCK_SUPERVISOR_RESOLVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RESOLVERS_MAX = 8, RESOLVERS_DOMAIN = 256 };

struct resolvers {
	int fd; /* inotify, -1 */
	uint32_t ip_be[RESOLVERS_MAX];
	size_t count;
	char domain[RESOLVERS_DOMAIN]; /* this computer's domain; empty: none */
};

/* Watches the file's folder, and its target's when it is a link; a descriptor to watch or -1.
 * Syscalls: inotify_init1 inotify_add_watch readlinkat */
int resolvers_open(struct resolvers *r);
/* Reads events away. Syscalls: read */
void resolvers_heard(struct resolvers *r);
/* Reads the file anew; true: something differs from before. Syscalls: openat read close uname */
bool resolvers_read(struct resolvers *r);
void resolvers_close(struct resolvers *r);

/* IPv4 nameservers (at most RESOLVERS_MAX, none twice) and the domain (`domain`, else first of
 * `search`). Pure; any text. */
void resolvers_parse(struct resolvers *r, const char *text);

#endif
