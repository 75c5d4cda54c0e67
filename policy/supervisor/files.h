/* Whole small files: /proc, /etc, maps. Bounded; nothing is allocated. */
#ifndef NATLOCK_SUPERVISOR_FILES_H
#define NATLOCK_SUPERVISOR_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FILES_TEXT = 16384 };

/* Reads at most cap - 1 bytes and terminates them. Length, or -errno. Syscalls: openat read close
 */
int files_read(const char *path, char *out, size_t cap);
/* Writes text to an existing file in one call. 0 or -errno. Syscalls: openat write close */
int files_write(const char *path, const char *text);
/* Writes all of it, whatever the file system splits. 0 or -errno. Syscalls: write */
int files_write_all(int fd, const void *bytes, size_t n);

#endif
