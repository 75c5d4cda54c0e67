/*
 * Theory of operation. The door and who stands in it: a client is a channel (ipc/chan.c) like a worker's, and trusted
 * as little. The generated dispatch hands each request to its operator_on_*:
 *
 *   table.c   tables       configure.c   the configuration     order.c   what workers are to do
 *   manage.c  what is answered at once                         answer.c  how answers leave
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "answer.h"
#include "edges.h"
#include "events.h"
#include "operator.h"
#include "operator_dispatch.h"
#include "order.h"
#include "sockname.h"
#include "supervisor.h"
#include "table.h"

static void on_patience(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct operator_peer *p = timer->data;
	struct trouble t;

	trouble(&t, EXIT_TIMED_OUT, "E0503", "%s does not answer",
		p->worker ? p->worker->name : "a process");
	trouble_fix(&t, "See: natlockctl process list");
	p->worker = NULL;
	p->ordered = 0;
	answer_failure(p, &t);
}

void operator_wait(struct operator_peer *p)
{
	ev_timer_init(&p->patience, on_patience, OPERATOR_SECONDS, 0.0);
	p->patience.data = p;
	ev_timer_start(p->op->super->loop, &p->patience);
}

static void end_client(struct operator_peer *p)
{
	struct ev_loop *loop = p->op->super->loop;

	events_forget(p->op->super, p);
	ev_io_stop(loop, &p->in_io);
	ev_io_stop(loop, &p->out_io);
	ev_timer_stop(loop, &p->patience);
	close(p->chan.fd);
	free(p->queue);
	free(p->text);
	memset(p, 0, sizeof(*p));
}

void operator_on_rows(struct operator* op, struct worker *from, const Nl__ActorRows *rows)
{
	table_on_rows(op, from, rows);
	drain_on_rows(op->super, from, rows);
}

void operator_on_answer(struct operator* op, struct worker *from, const Nl__ActorAnswer *answer)
{
	order_on_answer(op, from, answer);
}

void operator_worker_gone(struct operator* op, const struct worker *w)
{
	table_worker_gone(op, w);
	order_worker_gone(op, w);
}

/* One request at a time: the answer to the one before is not complete. */
static bool is_busy(const struct operator_peer *p)
{
	return p->worker || p->text || p->ordered;
}

static void on_request(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct operator_peer *p = io->data;
	struct chan_in in;
	int r = chan_recv(&p->chan, &in);

	if (r > 0)
		r = is_busy(p) ? -EPROTO : operator_dispatch_request(p, &in);
	if (r < 0 || p->chan.error)
		end_client(p);
}

static void on_writable(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct operator_peer *p = io->data;
	int r = chan_flush(&p->chan);

	if (r < 0) {
		end_client(p);
		return;
	}
	if (r == 0) {
		ev_io_stop(loop, io);
		table_on(p);
		answer_text_on(p);
	}
}

/* In our user namespace we are 0, and everybody else is not. */
static bool is_our_user(int fd)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t n = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && peer.uid == 0;
}

struct operator_peer *operator_place(struct operator* op, bool admin)
{
	struct operator_peer *place = NULL;
	unsigned int i, readers = 0;

	for (i = 0; i < OPERATOR_CLIENTS; i++) {
		readers += op->peer[i].used && !op->peer[i].admin;
		if (!op->peer[i].used)
			place = &op->peer[i];
	}
	return admin || readers < OPERATOR_READERS ? place : NULL;
}

static void on_knock(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct operator* op = io->data;
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct operator_peer *p;
	bool admin;

	if (fd < 0)
		return;
	admin = io->fd == op->door[1].fd || !op->has_readers || is_our_user(fd);
	p = operator_place(op, admin);
	if (!p) {
		close(fd);
		return;
	}
	*p = (struct operator_peer){
		.op = op, .used = true, .admin = admin, .queue = malloc(OPERATOR_QUEUE)};
	chan_init(&p->chan, fd, &op->super->pool, p->queue, p->queue ? OPERATOR_QUEUE : 0);
	ev_io_init(&p->in_io, on_request, fd, EV_READ);
	ev_io_init(&p->out_io, on_writable, fd, EV_WRITE);
	p->in_io.data = p->out_io.data = p;
	ev_io_start(loop, &p->in_io);
}

static int open_door(struct operator_door *door, mode_t mode, struct trouble *t)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	int error = sockname_clear(door->path, SOCK_SEQPACKET);

	memcpy(address.sun_path, door->path, sizeof(address.sun_path));
	if (error == -EADDRINUSE) {
		trouble(t, EXIT_FAILED, "E0502", "a natlock runs already at %s", door->path);
		return trouble_fix(t, "See: natlockctl status; end it with: natlockctl shutdown");
	}
	if (error < 0) {
		trouble(t, EXIT_FAILED, "E0502", "cannot listen on %s", door->path);
		return trouble_cause(t, "%s", strerror(-error));
	}
	door->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (mode & S_IWGRP) /* whom we only tell could stop us by one; connections inherit it */
		edges_take_no_descriptors(door->fd);
	if (door->fd >= 0 && bind(door->fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		chmod(door->path, mode) == 0 && listen(door->fd, OPERATOR_CLIENTS) == 0)
		return 0;
	trouble(t, EXIT_FAILED, "E0502", "cannot listen on %s", door->path);
	return trouble_cause(t, "%s", strerror(errno));
}

bool operator_admin_path(const char *path, char *out, size_t cap)
{
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash - path) + 1 : 0;

	return snprintf(out, cap, "%.*sadmin-%s", folder, path, path + folder) < (int)cap;
}

int operator_open(struct operator* op, const char *path, int64_t gid, struct trouble *t)
{
	memset(op, 0, sizeof(*op));
	op->door[0].fd = op->door[1].fd = -1;
	op->has_readers = gid >= 0;
	snprintf(op->door[0].path, OPERATOR_PATH, "%s", path);
	if (!operator_admin_path(path, op->door[1].path, OPERATOR_PATH))
		return trouble(
			t, EXIT_CONFIG, "E0507", "the path %s is too long for a socket", path);
	if (open_door(&op->door[0], gid >= 0 ? 0660 : 0600, t) == 0 &&
		open_door(&op->door[1], 0600, t) == 0)
		return 0;
	operator_close(op);
	return -1;
}

void operator_give(struct operator* op, uint32_t uid, int64_t gid)
{
	if (lchown(op->door[0].path, uid, gid >= 0 ? (gid_t)gid : (gid_t)-1) < 0 ||
		lchown(op->door[1].path, uid, (gid_t)-1) < 0)
		say("cannot give the sockets to %u: %s", uid, strerror(errno));
}

void operator_begin(struct operator* op, struct supervisor *super)
{
	unsigned int i;

	op->super = super;
	for (i = 0; i < 2; i++) {
		ev_io_init(&op->door[i].io, on_knock, op->door[i].fd, EV_READ);
		op->door[i].io.data = op;
		ev_io_start(super->loop, &op->door[i].io);
	}
}

void operator_close(struct operator* op)
{
	unsigned int i;

	for (i = 0; i < OPERATOR_CLIENTS; i++)
		if (op->peer[i].used)
			end_client(&op->peer[i]);
	for (i = 0; i < 2; i++) {
		if (op->door[i].fd < 0)
			continue;
		if (op->super)
			ev_io_stop(op->super->loop, &op->door[i].io);
		close(op->door[i].fd);
		unlink(op->door[i].path);
		op->door[i].fd = -1;
	}
}
