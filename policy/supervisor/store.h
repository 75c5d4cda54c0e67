/*
 * Leases on disk: an append-only journal of text lines, one a change, FOLDER/leases-HUB.
 *
 *   L1 CHECKSUM IP MAC CLIENT-ID HOST-NAME CREATED EXPIRES ENTRY STATE
 *
 * CHECKSUM is 16 hex digits of a hash over the rest of the line; MAC, CLIENT-ID and HOST-NAME are
 * hex ("-" empty); times are wall-clock milliseconds. A torn or damaged line counts for nothing,
 * empty lines are room for more. The last line of an address wins. The journal is rewritten (new
 * file, fsync, rename) when most of it is history.
 *
 * A commit is on disk before it is answered: store_commit collects, store_sync writes and syncs
 * once a turn. What could not be stored leaves no trace, neither in the file nor here.
 */
#ifndef NATLOCK_SUPERVISOR_STORE_H
#define NATLOCK_SUPERVISOR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "super.pb-c.h"

enum {
	STORE_LINE = 1400, /* the longest line: client id 255 and host name 255 bytes in hex */
	STORE_CLIENT_ID = 255,
	STORE_HOST_NAME = 255,
	STORE_LEASES = 65536, /* addresses remembered */
	STORE_SLACK = 1024,   /* lines of history that never cause a rewrite */
	STORE_ROOM = 65536,   /* bytes by which the file grows */
};

struct store_lease {
	uint32_t ip_be;
	uint8_t mac[6];
	uint8_t client_id_bytes;
	uint8_t client_id[STORE_CLIENT_ID];
	char host_name[STORE_HOST_NAME + 1];
	uint64_t created_ms, expires_ms;
	uint32_t entry;
	uint32_t state; /* Nl__Lease__State */
};

struct store {
	char folder[256], path[300]; /* empty: nothing is kept */
	int fd;			     /* -1: not open; tried again with each commit */
	struct store_lease *lease;   /* what is on disk, in the order of first mention */
	size_t leases, capacity;
	uint32_t *slot;		   /* hash by address: 1 + index into lease, 0 = free */
	size_t slots;		   /* a power of two, more than twice `leases`; or 0 */
	struct store_lease *queue; /* committed, not yet written */
	size_t queued, queue_capacity;
	char *text; /* their lines */
	size_t text_capacity;
	size_t lines;	      /* in the journal */
	size_t rewrite_after; /* so many lines, as the last rewrite failed; else 0 */
	off_t bytes;	      /* of it that count */
	off_t room;	      /* of the file: what follows them are empty lines */
	bool torn;	      /* they end in half a line */
	bool failing;	      /* the last store_sync that had something to write failed */
};

/*
 * Opens (or makes) the journal of a hub and reads it. folder NULL or empty: leases are not kept,
 * commits succeed. 0 or -errno: then commits are answered with stored = false until it can be
 * opened. Syscalls: mkdirat openat read close fsync
 */
int store_open(struct store *s, const char *folder, const char *hub);
/* Queues a change. -EINVAL: not a lease; -ENOSPC, -ENOMEM. */
int store_commit(struct store *s, const Nl__Lease *m);
/* Whether something is stored about this address, be it an end. */
bool store_knows(const struct store *s, uint32_t ip_be);
/* Writes what is queued and syncs it; also rewrites the journal when due. 0 or -errno: nothing
 * queued is stored, and it is not tried again. Syscalls: pwrite64 write fdatasync openat fsync
 * ftruncate renameat close */
int store_sync(struct store *s);
bool store_has_pending(const struct store *s);
/* How many leases are in force at wall_ms. */
size_t store_in_force(const struct store *s, uint64_t wall_ms);
void store_close(struct store *s);
/* What a person can do about an error of store_open or store_sync. */
const char *store_advice(int error);

/* One line with its newline; its length. Pure. */
size_t store_line(char *out, size_t cap, const struct store_lease *l);
/* Reads a line without its newline: 0, or -EINVAL when it is torn, damaged or nonsense. Pure. */
int store_parse(const char *line, size_t n, struct store_lease *l);

#endif
