/*
 * Looking at a live process: everything of struct found, read from the kernel. Nothing is asked of
 * the process itself, and nothing of it is changed. Only layers.c stops it.
 */
#ifndef NATLOCK_AUDIT_LOOK_H
#define NATLOCK_AUDIT_LOOK_H

#include "found.h"

/* Where natlock's programs lie, as open descriptors; -1: not found there. */
struct look_programs {
	int fd[FOUND_SUPERVISOR + 1]; /* by kind */
};

/* Opens the programs beside this one (or of the build folder it lies in). Syscalls: readlink openat */
void look_open_programs(struct look_programs *p);

/*
 * Fills *f but for the layers; pid, kind and name are set. What cannot be read leaves its errno.
 * Syscalls: openat read close readlink newfstatat getdents64 process_vm_readv pread64 fcntl, those
 * of descriptors.h
 */
void look_at(struct found *f, const struct look_programs *programs);
/* Who we are and where, to compare with. Syscalls: as look_at */
void look_at_self(struct found *f);
void look_free(struct found *f);

/*
 * A text of /proc/PID as a string; bytes, or -errno. -EFBIG when it does not fit.
 */
ssize_t look_text(pid_t pid, const char *name, char *out, size_t cap);
/* What a process runs: the last part of its file's name. 0 or -errno. */
int look_file_name(pid_t pid, char *out, size_t cap);

#endif
