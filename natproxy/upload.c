/*
 * Theory of operation.
 *
 *   TCP_DATA(offset, segs)
 *       └▶ node[arena][buffer]: off, len, next
 *              └▶ sendmsg(up to 128 pieces) ─▶ host kernel
 *                     └ what it took: TCP_CONSUMED(offset), RELEASE_WRITTEN(ids)
 *
 * A buffer is lent once at a time, so its node can live in an array by buffer index: the queue
 * needs no memory of its own and a flow can't hold more than the arenas do. Nothing is copied. What
 * the kernel did not take stays, the guest's window stays shut by so much, and nothing is ever
 * dropped. The byte that ends urgent data is written alone with MSG_OOB: a partial write could
 * otherwise mark the wrong byte.
 */
#include <errno.h>
#include <string.h>

#include "dnstcp.h"
#include "inspect_stream.h"
#include "relay.h"
#include "session.h"
#include "upload.h"

enum { WRITES_PER_TURN = 4 };

static struct upload_node *node_of(struct natproxy *np, uint32_t id)
{
	return &np->node[buf_arena(id)][buf_index(id)];
}

int upload_data(struct natproxy *np, struct flow *f, const struct ring_desc *d)
{
	if (d->arg != f->upload_end || f->guest_finished)
		return -EPROTO;
	for (unsigned int i = 0; i < d->nseg; i++) {
		const struct ring_seg *s = &d->seg[i];
		struct upload_node *node = node_of(np, s->id);
		if (node->queued)
			return -EPROTO;
		f->upload_end += s->len;
		if (f->write_broken || !s->len) {
			link_release(np->link, s->id);
			continue;
		}
		*node = (struct upload_node){.off = s->off,
			.len = s->len,
			.queued = true,
			.urgent = d->hlen == 1 && i + 1U == d->nseg};
		if (f->queue_last)
			node_of(np, f->queue_last)->next = s->id;
		else
			f->queue_first = s->id;
		f->queue_last = s->id;
	}
	if (!f->blocked)
		flow_work(np, f, WORK_UPLOAD);
	return 0;
}

static uint32_t pop(struct natproxy *np, struct flow *f)
{
	const uint32_t id = f->queue_first;
	struct upload_node *node = node_of(np, id);
	f->queue_first = node->next;
	if (!f->queue_first)
		f->queue_last = 0;
	node->queued = false;
	return id;
}

void upload_discard(struct natproxy *np, struct flow *f)
{
	while (f->queue_first)
		link_release(np->link, pop(np, f));
}

/* The first bytes of the queue as pieces, ending before or with an urgent byte. */
static size_t gather(
	struct natproxy *np, const struct flow *f, struct iovec *piece, size_t *bytes, bool *urgent)
{
	size_t n = 0;
	*bytes = 0;
	*urgent = false;
	for (uint32_t id = f->queue_first; id && n < SOCK_STREAM_PIECES;
		id = node_of(np, id)->next) {
		const struct upload_node *node = node_of(np, id);
		const uint32_t len = node->urgent && node->len > 1 ? node->len - 1 : node->len;
		if (node->urgent && len == 1 && node->len == 1 && n)
			break;
		/* iovec has no const member; sendmsg only reads */
		memcpy(&piece[n].iov_base,
			&(const uint8_t *){arena_view_ptr(np->view, id, node->off)},
			sizeof(void *));
		piece[n++].iov_len = len;
		*bytes += len;
		*urgent = node->urgent && node->len == 1;
		if (node->urgent)
			break;
	}
	return n;
}

static void take(struct natproxy *np, struct flow *f, size_t bytes)
{
	f->upload_taken += bytes;
	while (bytes) {
		struct upload_node *node = node_of(np, f->queue_first);
		if (bytes < node->len) {
			node->off += (uint32_t)bytes;
			node->len -= (uint32_t)bytes;
			return;
		}
		bytes -= node->len;
		link_release(np->link, pop(np, f));
	}
}

size_t upload_copy(struct natproxy *np, struct flow *f, uint8_t *out, size_t room)
{
	size_t done = 0;
	while (f->queue_first && done < room) {
		const struct upload_node *node = node_of(np, f->queue_first);
		const size_t n = node->len < room - done ? node->len : room - done;
		memcpy(out + done, arena_view_ptr(np->view, f->queue_first, node->off), n);
		take(np, f, n);
		done += n;
	}
	return done;
}

uint64_t upload_consumed(struct natproxy *np, const struct flow *f)
{
	return f->inspect ? inspect_stream_consumed(np, f) : f->upload_taken;
}

void upload_settle(struct natproxy *np, struct flow *f)
{
	if (upload_consumed(np, f) != f->upload_reported)
		flow_owe(np, f, OWED_CONSUMED);
	if (!f->guest_finished || f->finish_sent || f->queue_first || f->fd < 0 ||
		f->dns)
		return;
	if (f->inspect && !inspect_stream_drained(np, f, NL__DIRECTION__GUEST))
		return;
	f->finish_sent = true;
	sock_finish(np->sock, f->fd);
	session_closing(np, f);
	relay_maybe_done(np, f);
}

static bool write_queue(struct natproxy *np, struct flow *f)
{
	for (int i = 0; i < WRITES_PER_TURN; i++) {
		struct iovec piece[SOCK_STREAM_PIECES];
		size_t bytes;
		bool urgent;
		const size_t n = gather(np, f, piece, &bytes, &urgent);
		if (!n)
			return false;
		const ssize_t r = sock_write(np->sock, f->fd, piece, n, urgent);
		if (r < 0 && r != -EAGAIN) {
			relay_write_failed(np, f);
			return false;
		}
		if (r > 0) {
			take(np, f, (size_t)r);
			session_count(np, f->sessions, 0, (uint64_t)r);
		}
		if (r < (ssize_t)bytes) {
			f->blocked = true;
			return false;
		}
	}
	return f->queue_first != 0;
}

bool upload_turn(struct natproxy *np, struct flow *f)
{
	if (f->kind != FLOW_TCP || f->state != FLOW_RUNNING || f->blocked || f->write_broken)
		return false;
	if (f->dns)
		return dnstcp_upload(np, f);
	const bool more = f->inspect ? inspect_stream_upload(np, f) : write_queue(np, f);
	if (f->state != FLOW_RUNNING)
		return false;
	flow_watch(np, f);
	upload_settle(np, f);
	return more && f->state == FLOW_RUNNING;
}
