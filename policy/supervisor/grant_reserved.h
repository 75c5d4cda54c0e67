/*
 * TCP sockets bound to reserved ports (512..1023), opened while there is root's power and given to
 * natproxy at its start: rsh and rlogin servers hear nobody else's, and connect to nothing else.
 * natproxy connects and listens with them, one use after the other (natproxy/lowport.h).
 *
 * They are kept until natlock ends, so that a natproxy that is born again gets them again, whatever
 * the one before did with them.
 */
#ifndef NATLOCK_SUPERVISOR_GRANT_RESERVED_H
#define NATLOCK_SUPERVISOR_GRANT_RESERVED_H

#include <stdint.h>

#include "conf.h"
#include "grant.h"
#include "hub.h"

enum {
	GRANT_RESERVED_FIRST = 512,
	GRANT_RESERVED_LAST = 1023,
	GRANT_RESERVED_EACH = CONF_RCMD_SOCKETS_MAX,
	GRANT_RESERVED_MAX = 128, /* a quarter of the ports there are: the computer needs some */
};

struct grant_reserved {
	unsigned int hub, shard;
	uint32_t ip_be; /* 0: any */
	char device[GRANT_DEVICE];
	int fd;
};

struct grant_reserveds {
	struct grant_reserved entry[GRANT_RESERVED_MAX]; /* those of one address side by side */
	unsigned int count;
	unsigned int left_out; /* for which there was no room, or no free port */
	unsigned int next;     /* port to be tried */
	int error; /* errno of a port that was refused for another reason than its use */
};

/*
 * Opens alg.rcmd_sockets of them for each outside address of each natproxy, its hub's and those of
 * nat.static, where the rcmd ALG is on. Needs the caller's rights: before identity_enter. Syscalls:
 * setsockopt bind close, those of identity_socket
 */
void grant_reserved_open(struct supervisor *s);
/* Hands over a natproxy's, or says why there are none; before Start. */
void grant_reserved_tell(struct worker *natproxy);
void grant_reserved_close(struct supervisor *s);

#endif
