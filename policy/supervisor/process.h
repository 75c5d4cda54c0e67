/* What the kernel says of a process: rows of natlockctl's process table come from /proc, not from
 * the worker's word. */
#ifndef NATLOCK_SUPERVISOR_PROCESS_H
#define NATLOCK_SUPERVISOR_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_facts {
	int seccomp;   /* 0 off, 1 strict, 2 filter; -1 unknown */
	uint64_t caps; /* permitted | effective | bounding | ambient */
	uint64_t rss_bytes;
	uint64_t cpu_ms;
	uint32_t fds;
	bool root_empty;     /* its root folder holds nothing */
	char root[16];	     /* "empty", "host", "?" */
	char namespaces[64]; /* those that are not ours: "user pid mnt net ipc uts cgroup" */
};

/* Reads a live process; what cannot be read stays unknown or 0. false: there is no such process.
 * Syscalls: openat read close newfstatat readlinkat getdents64 */
bool process_read(pid_t pid, struct process_facts *f);

/* Fills the fields that /proc/PID/status holds. Pure; any text. */
void process_parse_status(const char *text, struct process_facts *f);
/* utime + stime of /proc/PID/stat in ms at `ticks` a second. Pure; any text. */
uint64_t process_parse_cpu(const char *text, long ticks);

#endif
