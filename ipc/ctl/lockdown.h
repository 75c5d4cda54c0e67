/* natlockctl's own sandbox, put on between connecting and the first byte that is read. */
#ifndef NATLOCK_CTL_LOCKDOWN_H
#define NATLOCK_CTL_LOCKDOWN_H

enum {
	LOCKDOWN_FD = 3,   /* the connection; policy/ctl.policy pins it */
	LOCKDOWN_FILE = 4, /* what is sent with a request, if anything */
};

/*
 * Moves the connection to LOCKDOWN_FD and `file` (-1: none) to LOCKDOWN_FILE, closes every other
 * descriptor but 0-2, and gives up what
 * printing rows does not need: new descriptors, processes, core files, paths (Landlock), every
 * system call but those of ctl.policy. Standard output must have its buffer. 0, or -errno: then do
 * not go on. Syscalls: fcntl dup3 close_range setrlimit prctl landlock_create_ruleset
 * landlock_restrict_self seccomp
 */
int lockdown(int fd, int file);

#endif
