/*
 * Theory of operation. A client is a channel (ipc/chan.c) like a worker's, and trusted as little. A
 * request is answered at once from what the supervisor knows, or starts a stream:
 *
 *   TableRequest ─▶ first worker of the topic ─▶ ActorDump(cursor) … ActorRows ─▶ TableRows to the
 * client ▲ next cursor, when the client's queue is empty next worker of the topic ◀─────┘ cursor 0
 * no worker left: TableRows{last}
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../filters.h"
#include "answer.h"
#include "events.h"
#include "operator.h"
#include "operator_dispatch.h"
#include "port.h"
#include "rows.h"
#include "sockname.h"
#include "supervisor.h"
#include "tell.h"
#include "watch.h"

enum { ROWS_A_RECORD = 64 }; /* of at most some 500 bytes each */

static void end_client(struct operator_peer *p)
{
	struct ev_loop *loop = p->op->super->loop;

	events_forget(p->op->super, p);
	ev_io_stop(loop, &p->in_io);
	ev_io_stop(loop, &p->out_io);
	ev_timer_stop(loop, &p->patience);
	close(p->chan.fd);
	free(p->queue);
	memset(p, 0, sizeof(*p));
}

static void answer(struct operator_peer *p, const Nl__OperatorAnswer *a)
{
	if (chan_send_message(&p->chan, &a->base, NULL, 0) < 0)
		p->chan.error = -EPIPE;
	if (p->chan.queue_bytes > 0)
		ev_io_start(p->op->super->loop, &p->out_io);
}

int answer_failure(struct operator_peer *p, const struct trouble *t)
{
	Nl__OperatorAnswer a = NL__OPERATOR_ANSWER__INIT;
	Nl__Failure f = NL__FAILURE__INIT;

	f.code = (char *)(uintptr_t)t->code;
	f.message = (char *)(uintptr_t)t->message;
	f.cause = (char *)(uintptr_t)t->cause;
	f.fix = (char *)(uintptr_t)t->fix;
	f.has_exit_code = true;
	f.exit_code = t->exit_code;
	a.msg_case = NL__OPERATOR_ANSWER__MSG_FAILURE;
	a.failure = &f;
	answer(p, &a);
	return 0;
}

static int answer_done(struct operator_peer *p, const char *text)
{
	Nl__OperatorAnswer a = NL__OPERATOR_ANSWER__INIT;
	Nl__Done d = NL__DONE__INIT;

	d.text = (char *)(uintptr_t)text;
	a.msg_case = NL__OPERATOR_ANSWER__MSG_DONE;
	a.done = &d;
	answer(p, &a);
	return 0;
}

static void answer_rows(struct operator_peer *p, ProtobufCBinaryData *rows, size_t n, bool last)
{
	Nl__OperatorAnswer a = NL__OPERATOR_ANSWER__INIT;
	Nl__TableRows t = NL__TABLE_ROWS__INIT;

	t.has_topic = t.has_last = true;
	t.topic = p->topic;
	t.n_rows = n;
	t.rows = rows;
	t.last = last;
	a.msg_case = NL__OPERATOR_ANSWER__MSG_ROWS;
	a.rows = &t;
	answer(p, &a);
}

/* A table that is there as a whole, in as many records as it takes. */
static void answer_all(struct operator_peer *p, struct rows *rows)
{
	size_t sent = 0, n;

	do {
		n = rows->count - sent < ROWS_A_RECORD ? rows->count - sent : ROWS_A_RECORD;
		answer_rows(p, rows->row + sent, n, sent + n == rows->count);
		sent += n;
	} while (sent < rows->count);
}

/* Which workers hold rows of a topic: a set of 1 << enum actor_id. */
static unsigned int holders(Nl__Topic topic)
{
	switch (topic) {
	case NL__TOPIC__SESSIONS: return 1U << ACTOR_BROKER;
	case NL__TOPIC__NAT:
	case NL__TOPIC__FORWARDS:
	case NL__TOPIC__EXPECTATIONS: return 1U << ACTOR_NATPROXY;
	case NL__TOPIC__DHCP: return 1U << ACTOR_DHCPD;
	case NL__TOPIC__DROPS: return (1U << ACTOR_COUNT) - 1;
	case NL__TOPIC__ALG_STATS: return 1U << ACTOR_ALG;
	case NL__TOPIC__HUBS: return 1U << ACTOR_BROKER | 1U << ACTOR_NATPROXY | 1U << ACTOR_DHCPD;
	case NL__TOPIC__STATUS:
	case NL__TOPIC__PROCESSES:
	case NL__TOPIC__EVENTS:
	case _NL__TOPIC_IS_INT_SIZE: break;
	}
	return 0;
}

static void stream_from(struct operator_peer *p, unsigned int first);

/* The row of the present hub, then the next hub; false when that was the last one. */
static bool next_hub(struct operator_peer *p)
{
	const struct supervisor *s = p->op->super;
	struct rows rows;

	rows_hub(&rows, s, p->hub, &p->counted);
	answer_rows(p, rows.row, rows.count, false);
	rows_free(&rows);
	if (++p->hub == s->hub + s->hubs)
		return false;
	nl__hub_row__init(&p->counted);
	stream_from(p, 0);
	return true;
}

static void stream_end(struct operator_peer *p)
{
	if (p->topic == NL__TOPIC__HUBS && next_hub(p))
		return;
	p->worker = NULL;
	p->asked = false;
	ev_timer_stop(p->op->super->loop, &p->patience);
	answer_rows(p, NULL, 0, true);
}

/* Asks the next worker from `first` on that holds rows and runs; ends the stream when there is
 * none. A recursion by stream_end is as deep as there are hubs. */
static void stream_from(struct operator_peer *p, unsigned int first)
{
	unsigned int i;

	for (i = first; i < p->hub->workers; i++) {
		struct worker *w = &p->hub->worker[i];

		p->request = ++p->op->next_request;
		if (!(holders(p->topic) & 1U << w->id) || tell_dump(w, p->topic, 0, p->request) < 0)
			continue;
		p->worker = w;
		p->asked = true;
		return;
	}
	stream_end(p);
}

static void stream_after(struct operator_peer *p, const struct worker *w)
{
	stream_from(p, (unsigned int)(w - p->hub->worker) + 1);
}

/* The client has taken everything: the next slice. */
static void stream_on(struct operator_peer *p)
{
	if (!p->worker || p->asked || p->chan.queue_bytes > 0)
		return;
	if (p->cursor == 0 || ++p->slices > OPERATOR_SLICES) {
		stream_after(p, p->worker);
		return;
	}
	p->request = ++p->op->next_request;
	p->asked = tell_dump(p->worker, p->topic, p->cursor, p->request) == 0;
	if (!p->asked)
		stream_after(p, p->worker);
}

void operator_on_rows(struct operator* op, struct worker *from, const Nl__ActorRows *rows)
{
	unsigned int i;

	for (i = 0; i < OPERATOR_CLIENTS; i++) {
		struct operator_peer *p = &op->peer[i];

		if (!p->used || p->worker != from || !p->asked || p->request != rows->request)
			continue;
		p->asked = false;
		p->cursor = rows->next_cursor;
		if (rows->n_rows > 0 && p->topic == NL__TOPIC__HUBS)
			rows_count(&p->counted, from->id, &rows->rows[0]);
		else if (rows->n_rows > 0)
			answer_rows(p, rows->rows, rows->n_rows, false);
		stream_on(p);
	}
}

void operator_worker_gone(struct operator* op, const struct worker *w)
{
	unsigned int i;

	for (i = 0; i < OPERATOR_CLIENTS; i++)
		if (op->peer[i].used && op->peer[i].worker == w && op->peer[i].asked)
			stream_after(&op->peer[i], w);
}

static void on_patience(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct operator_peer *p = timer->data;
	struct trouble t;

	trouble(&t, EXIT_TIMED_OUT, "E0503", "%s does not answer",
		p->worker ? p->worker->name : "natlock");
	trouble_fix(&t, "See: natlockctl process list");
	p->worker = NULL;
	answer_failure(p, &t);
}

int answer_no_hub(struct operator_peer *p, const char *name)
{
	struct trouble t;

	trouble(&t, EXIT_NO_MATCH, "E0504", "no hub %s", name);
	trouble_fix(&t, "See: natlockctl hub list");
	return answer_failure(p, &t);
}

int operator_on_table_request(
	struct operator_peer *p, const Nl__TableRequest *m, struct chan_in *in)
{
	struct supervisor *s = p->op->super;
	struct hub *hub = supervisor_hub(s, m->hub);
	struct rows rows = {0};

	if (p->worker || (unsigned int)m->topic > NL__TOPIC__FORWARDS)
		return -EPROTO;
	if (!hub)
		return answer_no_hub(p, m->hub);
	p->topic = m->topic;
	if (holders(m->topic)) {
		p->hub = m->topic == NL__TOPIC__HUBS ? s->hub : hub;
		nl__hub_row__init(&p->counted);
		p->slices = 0;
		ev_timer_init(&p->patience, on_patience, OPERATOR_SECONDS, 0.0);
		p->patience.data = p;
		ev_timer_start(s->loop, &p->patience);
		stream_from(p, 0);
		return 0;
	}
	rows_make(&rows, s, m->topic);
	answer_all(p, &rows);
	rows_free(&rows);
	return 0;
}

int operator_on_policy_request(
	struct operator_peer *p, const Nl__PolicyRequest *m, struct chan_in *in)
{
	const struct worker *w = hub_worker_by_name(p->op->super->hub, m->process);
	const char *name = w ? spawn_actor_name(w->id) : m->process;
	const struct policy_filter *filter = name ? policy_filter_find(name) : NULL;
	struct trouble t;

	if (filter)
		return answer_done(p, filter->listing);
	trouble(&t, EXIT_NO_MATCH, "E0505", "no policy for %s",
		m->process ? m->process : "nothing");
	trouble_fix(&t, "Processes are: supervisor broker netstack natproxy dhcpd alg ctl.");
	return answer_failure(p, &t);
}

/* NULL, or the answer has been given. */
static bool refused(struct operator_peer *p)
{
	struct trouble t;

	if (p->admin)
		return false;
	trouble(&t, EXIT_REFUSED, "E0501", "this needs the user that natlock runs as, or root");
	trouble_fix(&t, "Ask as %s, or with sudo.", p->op->super->identity.user);
	answer_failure(p, &t);
	return true;
}

int operator_on_attach_request(
	struct operator_peer *p, const Nl__AttachRequest *m, struct chan_in *in)
{
	struct hub *hub = supervisor_hub(p->op->super, m->hub);
	struct port_offer offer = {0};
	struct trouble t;
	char text[64];
	int port;

	if (in->nfds != 1)
		return -EPROTO;
	if (refused(p))
		return 0;
	if (!hub)
		return answer_no_hub(p, m->hub);
	offer.fd = chan_take_fd(in, 0);
	snprintf(offer.name, sizeof(offer.name), "%s", m->name ? m->name : "port");
	if (port_recognise(&offer, &t) < 0) {
		close(offer.fd);
		return answer_failure(p, &t);
	}
	port = port_add(hub, &offer, &t);
	if (port < 0)
		return answer_failure(p, &t);
	if (port == PORT_LISTENING)
		snprintf(text, sizeof(text), "waiting for a guest on hub %s", hub->conf->name);
	else
		snprintf(text, sizeof(text), "port %d on hub %s", port, hub->conf->name);
	return answer_done(p, text);
}

int operator_on_shutdown_request(
	struct operator_peer *p, const Nl__ShutdownRequest *m, struct chan_in *in)
{
	struct supervisor *s = p->op->super;

	if (refused(p))
		return 0;
	answer_done(p, "draining");
	if (s->is_run)
		guest_signal(&s->guest, SIGTERM); /* its end is ours */
	else
		supervisor_drain(s, EXIT_OK);
	return 0;
}

static int no_process(struct operator_peer *p, const struct hub *hub, const char *name)
{
	struct trouble t;
	char names[256];
	size_t n = 0;
	unsigned int i;

	for (i = 0; i < hub->workers && n < sizeof(names); i++)
		n += (size_t)snprintf(names + n, sizeof(names) - n, " %s", hub->worker[i].name);
	trouble(&t, EXIT_NO_MATCH, "E0506", "no process %s", name ? name : "");
	trouble_fix(&t, "Processes are:%s.", names);
	return answer_failure(p, &t);
}

int operator_on_restart_request(
	struct operator_peer *p, const Nl__RestartRequest *m, struct chan_in *in)
{
	struct hub *hub = supervisor_hub(p->op->super, m->hub);
	struct worker *w;

	if (refused(p))
		return 0;
	if (!hub)
		return answer_no_hub(p, m->hub);
	w = hub_worker_by_name(hub, m->process);
	if (!w)
		return no_process(p, hub, m->process);
	watch_restart(w);
	return answer_done(p, "restarting");
}

int operator_on_version_request(
	struct operator_peer *p, const Nl__VersionRequest *m, struct chan_in *in)
{
	return answer_done(p, "natlock " NATLOCK_VERSION);
}

static int not_yet(struct operator_peer *p)
{
	struct trouble t;

	trouble(&t, EXIT_FAILED, "E0508", "this natlock cannot do that");
	return answer_failure(p, &t);
}

int operator_on_change_request(
	struct operator_peer *p, const Nl__ChangeRequest *m, struct chan_in *in)
{
	return not_yet(p);
}

int operator_on_config_request(
	struct operator_peer *p, const Nl__ConfigRequest *m, struct chan_in *in)
{
	return not_yet(p);
}

int operator_on_reload_request(
	struct operator_peer *p, const Nl__ReloadRequest *m, struct chan_in *in)
{
	return not_yet(p);
}

int operator_on_drain_request(
	struct operator_peer *p, const Nl__DrainRequest *m, struct chan_in *in)
{
	return not_yet(p);
}

int operator_on_kick_request(
	struct operator_peer *p, const Nl__KickRequest *m, struct chan_in *in)
{
	return not_yet(p);
}

int operator_on_order_request(
	struct operator_peer *p, const Nl__OrderRequest *m, struct chan_in *in)
{
	return not_yet(p);
}

void operator_on_answer(struct operator* op, struct worker *from, const Nl__ActorAnswer *answer)
{
}

static void on_request(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct operator_peer *p = io->data;
	struct chan_in in;
	int r = chan_recv(&p->chan, &in);

	if (r > 0)
		r = operator_dispatch_request(p, &in);
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
		stream_on(p);
	}
}

static bool is_our_user(int fd)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t n = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && peer.uid == 0;
}

static void on_knock(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct operator* op = io->data;
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct operator_peer *p = op->peer;

	while (p < op->peer + OPERATOR_CLIENTS && p->used)
		p++;
	if (fd < 0 || p == op->peer + OPERATOR_CLIENTS) {
		if (fd >= 0)
			close(fd);
		return;
	}
	*p = (struct operator_peer){.op = op, .used = true, .queue = malloc(OPERATOR_QUEUE)};
	p->admin = io->fd == op->door[1].fd || !op->has_readers || is_our_user(fd);
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
