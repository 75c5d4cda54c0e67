/*
 * The positive control: an unconfined program of root in namespaces made for it, which has whatever
 * a call of injections.def may ask for. What works here and kills a worker was stopped by the
 * worker's locks, and not by an argument that never made sense.
 */
#ifndef NATLOCK_ESCAPE_VICTIM_H
#define NATLOCK_ESCAPE_VICTIM_H

#include <sys/types.h>

/* Descriptors of the victim. Where a worker has one of these numbers it is another thing, or a
 * placeholder: that is what the calls are about. */
enum victim_fd {
	VICTIM_CHANNEL = 3,	 /* SOCK_SEQPACKET, with a record waiting, as every worker has it */
	VICTIM_FILE = 12,	 /* open for both ways; /dev/null in a worker */
	VICTIM_EPOLL = 9,	 /* as in every worker */
	VICTIM_PLACEHOLDER = 10, /* a socket with bytes waiting; /dev/null in a worker */
	VICTIM_EPOLL_2 = 11,
	VICTIM_TCP = 16, /* connected; natproxy's first socket */
	VICTIM_UDP = 17,
	VICTIM_LISTENER = 18, /* VICTIM_TCP waits to be accepted */
	VICTIM_PIPE_OUT = 24,
	VICTIM_PIPE_IN = 25,
	VICTIM_FOLDER = 26,
	VICTIM_TERMINAL = 27,
	VICTIM_PIDFD = 28,   /* of VICTIM_BYSTANDER */
	VICTIM_NETWORK = 29, /* its own network namespace */
	VICTIM_UNIX = 30,
	VICTIM_RULESET = 31,
	VICTIM_TAP = 64, /* the broker's first port */
	VICTIM_TUN = 65, /* not a device yet */
};

enum {
	VICTIM_BYSTANDER = 2, /* a process of its own: the second of its pid namespace */
	VICTIM_PORT = 9,      /* where VICTIM_LISTENER listens, on its own loopback */
};

/* Where it has files: an empty folder of nobody else. Elsewhere this path leads nowhere. */
#define VICTIM_TMP "/tmp/natlock-escape/"

/* A victim that is ready to be seized. Its pid, or -errno. It ends with its pid namespace. Needs
 * root. */
pid_t victim_begin(void);

/* Ends it, if it is there, and waits for it. */
void victim_end(pid_t pid);

#endif
