/*
 * Where natlock keeps things: sockets (runtime), leases (state), logs.
 *
 *                 root                  an ordinary user
 *   runtime       /run/natlock          $XDG_RUNTIME_DIR/natlock, else /tmp/natlock-UID (checked:
 * ours, private) state         /var/lib/natlock      $XDG_STATE_HOME/natlock, else
 * ~/.local/state/natlock log           /var/log/natlock      state/log
 */
#ifndef NATLOCK_SUPERVISOR_PLACES_H
#define NATLOCK_SUPERVISOR_PLACES_H

#include <stdbool.h>
#include <sys/types.h>

#include "trouble.h"

enum { PLACES_PATH = 256, PLACES_SOCKET = 96 };

struct places {
	bool system;		     /* the root column */
	char runtime[PLACES_SOCKET]; /* short: a unix socket's path has 107 bytes */
	char state[PLACES_PATH];     /* empty: nowhere to keep anything */
	char log[PLACES_PATH];
};

/* Finds the places from the environment; makes nothing. Syscalls: geteuid faccessat newfstatat */
void places_find(struct places *p);
/* The same for somebody who only wants to reach a running natlock: no judgement of what is
 * writable. */
void places_find_runtime(struct places *p);

/* Makes the runtime folder (and its parents as far as they are ours to make), owned by uid:gid. */
int places_make_runtime(const struct places *p, uid_t uid, gid_t gid, struct trouble *t);
/* Makes any folder path below, 0700, parents included, and gives the last one to uid:gid. 0 or
 * -errno. */
int places_make(const char *path, mode_t mode, uid_t uid, gid_t gid);

#endif
