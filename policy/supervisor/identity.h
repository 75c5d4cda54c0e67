/*
 * Who the supervisor and its workers are to the kernel (docs/decisions/0001, 8).
 *
 *                         started by root                       started by an ordinary user
 *   the namespace's 0     user natlock (or --user), else 61184  the user's own uid
 *   the namespace's 1..32 private uids, one a worker,           from /etc/subuid where it grants
 *                         from 61185..65248                     thirty-two; else none
 *
 * A user namespace made by the supervisor is entered; who is outside of it is not even nameable
 * from inside. Its map is written by a child that stays outside and ends at once.
 */
#ifndef NATLOCK_SUPERVISOR_IDENTITY_H
#define NATLOCK_SUPERVISOR_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "places.h"
#include "trouble.h"

enum {
	IDENTITY_PRIVATE =
		32, /* uids of our own beside the main one: a hub of eight shards has 26 workers */
	IDENTITY_FIRST = 61184, /* systemd's range for dynamic users: no distribution gives these to
				   people */
	IDENTITY_SLOTS =
		127, /* gateways at the same time: the last uid is 61184 + 127 * 32 = 65248 */
	IDENTITY_INSIDE = 1, /* the only uid that a worker's own namespace knows */
};

struct identity {
	bool privileged; /* started by root with a whole map: uids may be chosen */
	uid_t uid;	 /* as the host sees it: the namespace's 0 */
	gid_t gid;
	uid_t private_uid; /* first of IDENTITY_PRIVATE, host's numbering */
	gid_t private_gid;
	bool has_private;
	bool granted; /* to an ordinary user, by /etc/subuid: has_private tells whether it worked */
	int slot_fd;   /* keeps our private range from another natlock; -1 */
	char user[64]; /* for messages: "natlock", "61184", "alice" */
};

/*
 * Decides who we shall be. `user` is --user or NULL. As root this reserves a range of private uids
 * by a lock in the runtime folder. Syscalls: geteuid openat flock read
 */
int identity_choose(
	struct identity *id, const char *user, const struct places *places, struct trouble *t);

/* As root: other private uids, the next that are free; those of before are given back. 0, or -1: there are none, and all stays.
 * Syscalls: openat flock close */
int identity_next(struct identity *id, const struct places *places);

/*
 * Enters the namespace: afterwards this process is the namespace's 0 with all capabilities in it
 * and none outside, and no supplementary groups where the kernel lets us drop them. Needs a single
 * thread. Syscalls: socketpair clone unshare read write wait4 setgroups setresgid setresuid
 */
int identity_enter(struct identity *id, struct trouble *t);

/* The uid (and gid) of worker n inside the supervisor's namespace: its own, or the main one where
 * there is none. */
uid_t identity_worker(const struct identity *id, unsigned int n);
/* The same as the host sees it. */
uid_t identity_worker_host(const struct identity *id, unsigned int n);

/*
 * As root: a socket that packet filters and routing rules take for worker n's, because whoever opened it is remembered for good
 * (nft's skuid goes by the file's credentials, not by its owner). Otherwise the caller's. A descriptor, or -errno.
 * Syscalls: setfsuid socket
 */
int identity_socket(
	const struct identity *id, unsigned int n, int domain, int type, int protocol);

/* Finds `start:count` of a user in the text of /etc/subuid or subgid: at least `want` ids. false:
 * not granted. */
bool identity_subid(
	const char *text, const char *name, uid_t uid, unsigned int want, uint32_t *first);
/* Whether ids first..first+count-1 exist in a namespace with this /proc/self/uid_map. */
bool identity_mapped(const char *map, uint32_t first, uint32_t count);

#endif
