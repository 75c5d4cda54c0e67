/* Names of unix sockets in the file system: whether one may be taken, and giving it back. */
#ifndef NATLOCK_SUPERVISOR_SOCKNAME_H
#define NATLOCK_SUPERVISOR_SOCKNAME_H

/*
 * Makes a path free for bind: a socket that nobody holds any more is removed. 0 when nothing is there now,
 * -EADDRINUSE when somebody holds it, -EEXIST when it is no socket. `type` is what is to be bound.
 * Syscalls: newfstatat socket connect close unlink
 */
int sockname_clear(const char *path, int type);
/* Removes the name that a socket is bound to, if it has one and we may. Syscalls: getsockname unlink */
void sockname_remove(int fd);

#endif
