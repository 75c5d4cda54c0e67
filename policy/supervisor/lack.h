/*
 * What the kernel or this account does not give, and natlock goes without: said at the start and
 * kept in `natlockctl status`, one note each with what to do. A lack without which natlock does not
 * start at all is an error instead (trouble.h); `natlock doctor` tells both beforehand.
 */
#ifndef NATLOCK_SUPERVISOR_LACK_H
#define NATLOCK_SUPERVISOR_LACK_H

#include <stddef.h>

struct supervisor;

enum {
	LACK_LANDLOCK_TCP = 4,	  /* the first version with rules for TCP: Linux 6.7 */
	LACK_LANDLOCK_SCOPES = 6, /* and that knows abstract sockets and signals: Linux 6.12 */
	LACK_TEXT = 300,
};

/* What Landlock of this version does not know, with what to do; 0 is none at all. "" when nothing is
 * lacking. */
const char *lack_landlock(unsigned int abi, char out[LACK_TEXT]);
/* Notes all that is lacking. When the workers of all hubs are locked, and before the supervisor is.
 * Syscalls: getgroups */
void lack_note(struct supervisor *s);

#endif
