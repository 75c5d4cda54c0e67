/*
 * The program of `natlock run`, in user, network and mount namespaces of its own.
 *
 * A small keeper stands between: it lives in the guest's namespaces, outside the supervisor's, so
 * it may signal the program when the supervisor no longer may, and it ends the program when the
 * supervisor is gone.
 */
#ifndef NATLOCK_SUPERVISOR_GUEST_H
#define NATLOCK_SUPERVISOR_GUEST_H

#include <ev.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "trouble.h"

struct guest {
	pid_t pid; /* of the keeper */
	int pidfd;
	int order_fd;	     /* one byte an order: 0 begin, else a signal for the program */
	int user_ns, net_ns; /* for plumb(); closed by guest_close_namespaces */
	struct ev_io exit_io;
};

struct guest_order {
	char *const *argv;	 /* the program; NULL-terminated */
	const sigset_t *signals; /* the mask that it shall have */
	int ready_fd;		 /* of --ready-fd, not the keeper's to hold open; -1: none */
	const char *resolv_conf; /* a file that becomes its /etc/resolv.conf, or NULL; may be
				    unlinked afterwards */
};

/*
 * Makes the namespaces and the keeper, which waits. Root of the guest is the caller's uid: with all
 * of the caller's ids mapped when the caller may, else that one alone. 0, or -1 with *t. Syscalls:
 * socketpair clone3 openat write read close; in the keeper mount clone3 poll kill execve
 */
int guest_open(struct guest *g, const struct guest_order *order, struct trouble *t);
void guest_close_namespaces(struct guest *g);
/* Runs the program. */
void guest_begin(struct guest *g);
/* Passes a signal on. */
void guest_signal(struct guest *g, int number);
/* Ends keeper and program, if they are there, and waits. */
void guest_end(struct guest *g);
/* The program's status, after pidfd became readable: 0..125 its own, 126, 127, 128 + signal. */
int guest_status(struct guest *g);

/* The map of a guest's namespace: every id that `own` (a /proc/self/uid_map) knows, onto itself.
 * Length, 0 on nonsense. */
size_t guest_identity_map(const char *own, char *out, size_t cap);

#endif
