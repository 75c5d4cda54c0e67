/* Reading the texts of /proc/PID. Pure. Any text is taken: what is not there stays as it says. */
#ifndef NATLOCK_AUDIT_PROCTEXT_H
#define NATLOCK_AUDIT_PROCTEXT_H

#include "found.h"

/* /proc/PID/status. 0, or -EINVAL when it lacks what every kernel since 4.10 writes. */
int proctext_status(const char *text, struct found_status *out);
/* /proc/PID/uid_map or gid_map, as the reader's user namespace sees it. */
void proctext_ids(const char *text, struct found_ids *out);
/* /proc/PID/limits: soft and hard limit of each row of found_limit_names. */
void proctext_limits(const char *text, struct found_limit out[FOUND_LIMITS]);
/* /proc/PID/mountinfo: how many mounts, and what the only one is. */
void proctext_mounts(const char *text, struct found_root *out);
/*
 * One line of /proc/PID/maps. false: no such line. `program` is the path of the process's file. The
 * text keeps what fits of the name.
 */
bool proctext_mapping(const char *line, const char *program, struct found_mapping *out);
/* Bytes of the environment by /proc/PID/stat; -EACCES where the kernel shows zeros to strangers. */
int64_t proctext_environment(const char *text);
/* When a process began by /proc/PID/stat, in ms since boot, at `ticks` a second. 0: no such text. */
uint64_t proctext_start_ms(const char *text, long ticks);

#endif
