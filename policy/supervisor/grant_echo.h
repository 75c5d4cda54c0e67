/*
 * Raw ICMP sockets for pings, one a natproxy, opened while there is root's power, where
 * net.ipv4.ping_group_range gives that natproxy no ping socket (natproxy/echo.h uses it).
 *
 * A raw socket can send any ICMP message; what it hears is cut down by a filter that nobody can take
 * off again: answers to the natproxy's own identifiers.
 */
#ifndef NATLOCK_SUPERVISOR_GRANT_ECHO_H
#define NATLOCK_SUPERVISOR_GRANT_ECHO_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "hub.h"

struct supervisor;

enum {
	GRANT_ECHO_IDENTIFIERS = 512, /* of one natproxy; 128 of them share the 16 bits */
	GRANT_ECHO_FILTER = 10,	      /* instructions */
};

struct grant_echo {
	int fd; /* -1: none */
	uint16_t first;
};

/* Lets in echo replies of these identifiers, whose IP header has no options. Pure. */
void grant_echo_filter(
	struct sock_filter out[GRANT_ECHO_FILTER], uint16_t first, uint16_t identifiers);
/* Opens what the hubs need. Needs the caller's rights: before identity_enter. Syscalls: socket
 * setsockopt close, those of identity_socket */
void grant_echo_open(struct supervisor *s);
/* Whether a hub's natproxy has one. */
bool grant_echo_has(const struct hub *hub, unsigned int shard);
/* Hands it over; before Start. */
void grant_echo_tell(struct worker *natproxy);
void grant_echo_close(struct supervisor *s);

#endif
