/*
 * The operator's door: a SOCK_SEQPACKET socket that natlockctl speaks operator.proto to
 * (ipc/operator.proto).
 *
 *   RUNTIME/api          whoever may connect may read tables: the owner, root, the group of
 * api.group (file mode) RUNTIME/admin-api    the owner and root only: attach, restart, shutdown too
 *   RUNTIME/run-PID      the same two of a `natlock run` (admin-run-PID)
 *
 * A client on the first one is an administrator as well if no group may connect to it, or if
 * SO_PEERCRED says that it is the user natlock runs as. Two sockets, because root has no name
 * inside our user namespace: SO_PEERCRED cannot tell it from a stranger.
 *
 * The table of hubs is put together hub by hub from what its workers count. Others are streamed: each slice of an actor is passed on unread before the next is asked for, and
 * only when the client has taken what it was sent.
 */
#ifndef NATLOCK_SUPERVISOR_OPERATOR_H
#define NATLOCK_SUPERVISOR_OPERATOR_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "chan.h"
#include "operator.pb-c.h"
#include "super.pb-c.h"
#include "topology.h"
#include "trouble.h"

struct supervisor;
struct hub;
struct worker;
struct operator;

enum {
	OPERATOR_CLIENTS = 16,
	OPERATOR_READERS = 12, /* of them, who may only read: administrators always find a place */
	OPERATOR_QUEUE = 256 * 1024,
	OPERATOR_SLICES = 65536,
	OPERATOR_SECONDS = 10,
	OPERATOR_PATH = 108
};

/* One client, one request at a time. (The generated dispatch knows it by this name.) */
struct operator_peer {
	struct operator* op;
	bool used, admin;
	struct chan chan;
	uint8_t *queue;
	struct ev_io in_io, out_io;
	struct ev_timer patience;
	/* the table being streamed; worker NULL: none */
	struct worker *worker;
	struct hub *hub;
	Nl__Topic topic;
	Nl__HubRow counted; /* HUBS: what the workers of `hub` have said; numbers only */
	uint64_t cursor; /* of the slice to be asked for when the client has taken the last one */
	uint32_t request, slices;
	bool asked;
	/* the text being sent; NULL: none */
	char *text;
	size_t text_bytes, text_sent;
	/* the order whose answers are awaited: workers of `hub` by 1 << their index; 0: none */
	uint32_t ordered;
	uint64_t reached;
	bool order_ends_sessions; /* or releases leases */
};

struct operator_door {
	int fd;
	char path[OPERATOR_PATH];
	struct ev_io io;
};

struct operator
{
	struct supervisor *super;
	struct operator_door door[2]; /* [0] readers, [1] administrators */
	bool has_readers; /* a group may connect to the first: not all there are administrators */
	struct operator_peer peer[OPERATOR_CLIENTS];
	uint32_t next_request;
};

/*
 * Binds the sockets; `path` ends in "api" or "run-PID". A dead predecessor's are taken over; a live
 * one is trouble. As root gid is who else may connect to the first, -1 nobody. Syscalls: socket
 * bind listen connect unlink fchmodat fchownat
 */
int operator_open(struct operator* op, const char *path, int64_t gid, struct trouble *t);
/* The administrators' socket that belongs to a readers' one. false: too long. Pure. */
bool operator_admin_path(const char *path, char *out, size_t cap);
/* A free place for one client more; NULL: there is none for his kind. Pure. */
struct operator_peer *operator_place(struct operator* op, bool admin);
/* Gives the sockets to the user that we shall be. Syscalls: lchown */
void operator_give(struct operator* op, uint32_t uid, int64_t gid);
/* Begins to answer. */
void operator_begin(struct operator* op, struct supervisor *super);
/* The request under way must be answered in OPERATOR_SECONDS; then the client is told that it was not. */
void operator_wait(struct operator_peer *p);
/* A slice from a worker, asked for or not. */
void operator_on_rows(struct operator* op, struct worker *from, const Nl__ActorRows *rows);
/* What a worker did of an order. */
void operator_on_answer(struct operator* op, struct worker *from, const Nl__ActorAnswer *answer);
/* The worker will not answer any more. */
void operator_worker_gone(struct operator* op, const struct worker *w);
void operator_close(struct operator* op);

#endif
