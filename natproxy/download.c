/*
 * Theory of operation.
 *
 *   readable + credit + buffers + ring slot
 *       └▶ readv{2 KiB, 64 KiB} or readv{64 KiB x 4} ─▶ TCP_DATA(offset, segs)
 *
 * The buffers stay lent until the guest acknowledged the bytes (RELEASE_READ). A short message pins
 * a small buffer only; once a read filled more than that the flow is taken for a bulk transfer and
 * offered large buffers.
 *
 * Interest: a flow is watched for reading only while its socket is believed empty. When bytes may
 * be waiting but credit or buffers are not, the flow is `readable` and not watched; credit puts it
 * straight back to work, so a flow that is limited by its guest costs no epoll_ctl at all.
 *
 * Urgent data: with SO_OOBINLINE a read stops in front of the urgent byte; asking SIOCATMARK before
 * each read finds it, and that byte travels alone, marked.
 */
#include <errno.h>
#include <string.h>

#include "dnstcp.h"
#include "download.h"
#include "inspect_stream.h"
#include "relay.h"
#include "session.h"

enum { ARENA_SHARE = 8, PRESSURE_PERCENT = 50 };

/*
 * What a flow may still take of a class: an eighth of the arena, and once half of the class is out no more than what is
 * left of it divided by the flows that hold something. So however many guests stop reading, large buffers run low
 * first, then flows go on in small ones, and whoever holds nothing finds one.
 */
static uint32_t share_of(const struct natproxy *np, const struct flow *f, enum buf_class c)
{
	const uint32_t bytes = c == BUF_SMALL ? ARENA_SMALL_BYTES : ARENA_LARGE_BYTES;
	uint32_t share = ARENA_BYTES / ARENA_SHARE;
	if (arena_used_percent(np->arena, c) > PRESSURE_PERCENT) {
		const uint32_t fair = np->arena->free_count[c] * bytes / (np->reading_flows + 1);
		share = fair < share ? fair : share;
	}
	if (c == BUF_SMALL && share < ARENA_SMALL_BYTES)
		share = ARENA_SMALL_BYTES;
	return share > f->pinned_bytes ? share - f->pinned_bytes : 0;
}

uint32_t download_share(const struct natproxy *np, const struct flow *f)
{
	return share_of(np, f, BUF_SMALL);
}

void download_lend(struct natproxy *np, struct flow *f, uint32_t id)
{
	if (!f->pinned_bytes)
		np->reading_flows++;
	f->pinned_bytes += buf_bytes(buf_index(id));
	np->buffer_flow[buf_index(id)] = f->id;
	arena_lend(np->arena, id, ACTOR_NETSTACK);
}

/* Out of ring slots or buffers: what frees them need not wake us, so a timer does. */
static bool try_again_soon(struct natproxy *np, struct flow *f)
{
	np->starved = true;
	flow_work(np, f, WORK_DOWNLOAD);
	return false;
}

uint32_t download_copy(struct natproxy *np, struct flow *f, const uint8_t *bytes, uint32_t n)
{
	uint32_t done = 0;
	while (done < n && f->credit > f->download_sent) {
		const uint32_t id = link_room(np->link, LINK_DATA) && download_share(np, f)
					    ? arena_take(np->arena, BUF_SMALL, false)
					    : 0;
		if (!id) {
			try_again_soon(np, f);
			break;
		}
		const uint64_t credit = f->credit - f->download_sent;
		uint32_t part = n - done < ARENA_SMALL_BYTES ? n - done : ARENA_SMALL_BYTES;
		part = part < credit ? part : (uint32_t)credit;
		memcpy(arena_ptr(np->arena, id), bytes + done, part);
		struct ring_desc d = {.op = RING_NATPROXY_TCP_DATA,
			.nseg = 1,
			.flow = f->id,
			.arg = f->download_sent};
		d.seg[0] = (struct ring_seg){buf_offset(buf_index(id)), part, id};
		download_lend(np, f, id);
		natproxy_tell(np, LINK_DATA, &d);
		f->download_sent += part;
		done += part;
		session_count(np, f->sessions, part, 0);
	}
	return done;
}

int download_returned(struct natproxy *np, const struct ring_desc *d)
{
	for (unsigned int i = 0; i < d->nseg && i < RING_IDS; i++) {
		if (arena_return(np->arena, d->ids[i], ACTOR_NETSTACK))
			return -EPROTO;
		const uint32_t index = buf_index(d->ids[i]);
		struct flow *f = flow_live(np, np->buffer_flow[index]);
		if (!f || f->pinned_bytes < buf_bytes(index))
			continue;
		f->pinned_bytes -= buf_bytes(index);
		if (!f->pinned_bytes)
			np->reading_flows--;
		if (f->readable)
			flow_work(np, f, WORK_DOWNLOAD);
	}
	return 0;
}

void download_credit(struct natproxy *np, struct flow *f, uint64_t offset)
{
	if (offset <= f->credit)
		return;
	f->credit = offset;
	if (f->readable || f->inspect || f->dns)
		flow_work(np, f, WORK_DOWNLOAD);
}

void download_finish(struct natproxy *np, struct flow *f)
{
	f->readable = false;
	flow_owe(np, f, OWED_FIN);
	session_closing(np, f);
	flow_watch(np, f);
	relay_maybe_done(np, f);
}

struct offer { /* buffers taken for one read */
	uint32_t id[NATPROXY_READ_LARGE];
	struct iovec piece[NATPROXY_READ_LARGE];
	uint32_t count;
	uint64_t bytes;
	uint64_t allowance; /* bytes that may still be offered */
	uint32_t share[2];  /* capacity that may still be taken, by class */
};

static bool offer_add(struct natproxy *np, struct offer *o, enum buf_class c)
{
	const uint32_t room = c == BUF_SMALL ? ARENA_SMALL_BYTES : ARENA_LARGE_BYTES;
	if (!o->allowance || o->count == NATPROXY_READ_LARGE || room > o->share[c])
		return false;
	const uint32_t id = arena_take(np->arena, c, false);
	if (!id)
		return false;
	const uint64_t len = o->allowance < room ? o->allowance : room;
	o->id[o->count] = id;
	o->piece[o->count++] = (struct iovec){arena_ptr(np->arena, id), (size_t)len};
	o->bytes += len;
	o->allowance -= len;
	for (int other = BUF_SMALL; other <= BUF_LARGE; other++)
		o->share[other] -= room < o->share[other] ? room : o->share[other];
	return true;
}

static void offer_make(struct natproxy *np, const struct flow *f, bool urgent, struct offer *o)
{
	*o = (struct offer){.allowance = urgent ? 1 : f->credit - f->download_sent,
		.share = {share_of(np, f, BUF_SMALL), share_of(np, f, BUF_LARGE)}};
	if (!f->bulk || o->allowance <= ARENA_SMALL_BYTES) {
		offer_add(np, o, BUF_SMALL);
		offer_add(np, o, BUF_LARGE);
		return;
	}
	while (offer_add(np, o, BUF_LARGE))
		;
	if (!o->count)
		offer_add(np, o, BUF_SMALL);
}

static void lend_read(
	struct natproxy *np, struct flow *f, struct offer *o, size_t bytes, bool urgent)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_DATA,
		.hlen = urgent,
		.flow = f->id,
		.arg = f->download_sent};
	size_t left = bytes;
	for (uint32_t i = 0; i < o->count; i++) {
		if (!left) {
			arena_untake(np->arena, o->id[i]);
			continue;
		}
		const size_t len = left < o->piece[i].iov_len ? left : o->piece[i].iov_len;
		d.seg[d.nseg++] =
			(struct ring_seg){buf_offset(buf_index(o->id[i])), (uint32_t)len, o->id[i]};
		download_lend(np, f, o->id[i]);
		left -= len;
	}
	f->download_sent += bytes;
	/* the slot was seen free before the read */
	natproxy_tell(np, LINK_DATA, &d);
	session_count(np, f->sessions, bytes, 0);
}

static bool read_ended(struct natproxy *np, struct flow *f, ssize_t r)
{
	if (r == -EAGAIN) {
		f->readable = false;
		return false;
	}
	if (r < 0 || f->write_broken) {
		relay_reset(np, f, "reset by the far end");
		return false;
	}
	f->outside_finished = true;
	download_finish(np, f);
	return false;
}

static bool read_once(struct natproxy *np, struct flow *f)
{
	struct offer o;
	if (f->credit <= f->download_sent)
		return false;
	if (!link_room(np->link, LINK_DATA))
		return try_again_soon(np, f);
	const bool urgent = sock_at_mark(np->sock, f->fd);
	offer_make(np, f, urgent, &o);
	if (!o.count)
		return try_again_soon(np, f);
	const ssize_t r = sock_read(np->sock, f->fd, o.piece, o.count);
	if (r <= 0) {
		for (uint32_t i = 0; i < o.count; i++)
			arena_untake(np->arena, o.id[i]);
		return read_ended(np, f, r);
	}
	lend_read(np, f, &o, (size_t)r, urgent);
	f->bulk = r > ARENA_SMALL_BYTES;
	if ((uint64_t)r == o.bytes || urgent)
		return true;
	f->readable = false;
	return false;
}

bool download_turn(struct natproxy *np, struct flow *f)
{
	if (f->kind != FLOW_TCP || f->state != FLOW_RUNNING || f->owed & OWED_OPENED)
		return false;
	if (f->dns)
		return dnstcp_download(np, f);
	if (f->inspect)
		return inspect_stream_download(np, f);
	if (!f->readable || f->outside_finished)
		return false;
	const bool more = read_once(np, f);
	flow_watch(np, f);
	return more;
}
