/*
 * The arguments of SoftEther's vpncmd, /KEY:VALUE, as our KEY=VALUE (SoftEther manual 6.4.95 to
 * 6.4.103; seed 3.7.2, 3.7.3, 3.7.5). vpncmd counts in seconds, says yes and no, and "none" for
 * what clients are not told. Pure; any input.
 */
#ifndef NATLOCK_CTL_VPNCMD_H
#define NATLOCK_CTL_VPNCMD_H

#include "phrase.h"

/*
 * Adds our words for the arguments of one command, whose name may be in upper or lower case. 0,
 * -EINVAL with `why` (PHRASE_WHY bytes), -ENOSPC. An argument that does not begin with '/' stays.
 */
int vpncmd_arguments(struct phrase *phrase, const char *command, const char *const *typed,
	size_t count, char *why);

#endif
