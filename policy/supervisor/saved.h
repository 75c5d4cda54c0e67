/*
 * Changes that survive a restart: STATE/saved.yaml, a layer that is laid over the configuration file at every start and
 * reload. It holds what differs from the file for those hubs that were changed; hubs are found by name, lists replace,
 * and what the file no longer has is passed over. Only what a request may change is accepted in it: the folder belongs
 * to the user that natlock runs as, while the layer is read with the rights of who starts natlock.
 */
#ifndef NATLOCK_SUPERVISOR_SAVED_H
#define NATLOCK_SUPERVISOR_SAVED_H

#include <stddef.h>

#include "conf.h"

enum { SAVED_PATH = 300 };

/* Where it is in a state folder; empty when there is no such folder. */
void saved_path(char out[SAVED_PATH], const char *state);

/*
 * What a start with this file and this layer gives: a new configuration, equal to `file` when there is no layer (*laid
 * tells). NULL with *error: the layer cannot be read, or does not go with the file. Syscalls: openat read close
 */
Nl__Config *saved_lay(
	const char *path, const Nl__Config *file, bool *laid, struct conf_error *error);

/*
 * Writes as a layer what `kept` has other than `file`; without a difference the layer is removed. It is there as a
 * whole or as it was before. 1: there is a layer now, 0: there is none, or -errno (-EFBIG: more than REFLECT_YAML_MAX bytes). Syscalls: mkdir openat write fsync
 * rename unlink close
 */
int saved_write(const char *path, const Nl__Config *kept, const Nl__Config *file);

#endif
