/*
 * Theory of operation.
 *
 *   DGRAM_DATA ─▶ joins the last message? ─▶ one run, cut by the kernel (UDP_SEGMENT) ┐
 *                 no: a message of its own                                            ├─▶ sendmmsg
 *
 * Datagrams of one flow that arrive in one turn leave by few calls. A few flows collect side by
 * side, each in the place that its number gives it; one whose place is taken sends the other's
 * first. Order within a flow is kept, and nothing waits beyond the turn.
 *
 * A run is a row of datagrams to one peer with the same TTL, TOS and length (the last may be
 * shorter): for the kernel one message, one walk through its stack, one packet for a network card
 * that cuts by itself. The pieces of a run stay in the buffers in which they came.
 *
 * Errors stay exact. A call that fails has sent nothing of its first message: an ICMP error that
 * came back for an earlier datagram is reported in this way, so the queue of errors is emptied and
 * the message tried again. A run that the kernel cannot cut on this path (datagrams longer than the
 * MTU must be fragmented, which runs are not) goes out datagram by datagram, and the flow remembers
 * the length. What the kernel does not take is dropped and counted: a queue of old datagrams helps
 * nobody.
 */
#include "burst.h"

#include <errno.h>
#include <string.h>

#include "dgram.h"
#include "echo.h"
#include "raw.h"

enum {
	ECHO_HEADER_BYTES = 8,
	ICMP_ECHO_REQUEST = 8,
	SEND_TRIES = 3,
	PIECES_MAX = 1 + RING_SEGS, /* of one descriptor's part of a message */
};

/* Pieces that hold bytes [at, at + n) of others; how many. */
static uint32_t slice(
	const struct iovec *from, uint32_t pieces, uint32_t at, uint32_t n, struct iovec *out)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < pieces && n; i++) {
		const uint32_t length = (uint32_t)from[i].iov_len;
		if (at >= length) {
			at -= length;
			continue;
		}
		const uint32_t take = length - at < n ? length - at : n;
		out[count++] = (struct iovec){(uint8_t *)from[i].iov_base + at, take};
		n -= take;
		at = 0;
	}
	return count;
}

/* No room at the moment: trying again at once would only add to it. */
static bool is_full(int error)
{
	return error == -EAGAIN || error == -ENOBUFS || error == -ENOMEM;
}

/* One message: false when it was not sent, with the reason. */
static bool send_one(struct natproxy *np, struct flow *f, struct sock_datagram *d, int *error)
{
	for (int tries = 0; tries < SEND_TRIES; tries++) {
		const int r = sock_send(np->sock, f->fd, d, 1);
		if (r > 0)
			return true;
		*error = r;
		if (is_full(r) || dgram_errors(np, f) == 0 || r == -EMSGSIZE)
			return false;
	}
	return false;
}

/* Datagram by datagram: the kernel would not cut this run. */
static void send_apart(struct natproxy *np, struct flow *f, const struct sock_datagram *run)
{
	struct iovec piece[NATPROXY_BURST_PIECES];
	for (uint32_t at = 0; at < run->bytes; at += run->segment) {
		struct sock_datagram d = *run;
		int error = 0;
		d.piece = piece;
		d.bytes = run->bytes - at < run->segment ? run->bytes - at : run->segment;
		d.segment = 0;
		d.pieces = slice(run->piece, run->pieces, at, d.bytes, piece);
		if (!send_one(np, f, &d, &error))
			dgram_refused(np, f, &d, error);
	}
}

static bool cannot_be_cut(const struct sock_datagram *d, int error)
{
	return d->segment && (error == -EINVAL || error == -EMSGSIZE || error == -EIO);
}

/* The first message of a call that failed. */
static void send_again(struct natproxy *np, struct flow *f, struct sock_datagram *d, int error)
{
	if (!is_full(error) && !cannot_be_cut(d, error)) {
		dgram_errors(np, f);
		if (error != -EMSGSIZE && send_one(np, f, d, &error))
			return;
	}
	if (!cannot_be_cut(d, error)) {
		dgram_refused(np, f, d, error);
		return;
	}
	const uint16_t fits = error == -EIO ? 0 : (uint16_t)(d->segment - 1);
	f->run_max = fits < f->run_max ? fits : f->run_max;
	send_apart(np, f, d);
}

static void send_all(struct natproxy *np, struct flow *f, struct burst *b)
{
	for (uint32_t sent = 0; sent < b->count;) {
		const int r =
			sock_send(np->sock, f->fd, &b->datagram[sent], (int)(b->count - sent));
		if (r > 0)
			sent += (uint32_t)r;
		else
			send_again(np, f, &b->datagram[sent++], r);
	}
}

static struct burst *place_of(struct natproxy *np, const struct flow *f)
{
	return &np->burst[flow_index(f->id) % NATPROXY_BURSTS];
}

static void flush(struct natproxy *np, struct burst *b)
{
	struct flow *f = b->count ? flow_live(np, b->flow) : NULL;
	if (f && f->raw)
		raw_fragmenting(np, raw_of(np, f), f);
	if (f && f->fd >= 0)
		send_all(np, f, b);
	for (uint32_t i = 0; i < b->ids; i++)
		link_release(np->link, b->id[i]);
	b->count = b->pieces = b->ids = 0;
}

void burst_flush(struct natproxy *np)
{
	for (int i = 0; i < NATPROXY_BURSTS; i++)
		if (np->burst[i].count)
			flush(np, &np->burst[i]);
}

void burst_stop(struct natproxy *np, struct flow *f)
{
	struct burst *b = place_of(np, f);
	if (b->count && b->flow == f->id)
		flush(np, b);
}

void burst_send(struct natproxy *np, struct flow *f, struct sock_datagram *d)
{
	int error = 0;
	burst_stop(np, f);
	if (!send_one(np, f, d, &error))
		dgram_refused(np, f, d, error);
}

static void echo_header(uint8_t *out, uint16_t identifier, uint16_t sequence)
{
	const uint8_t header[ECHO_HEADER_BYTES] = {ICMP_ECHO_REQUEST, 0, 0, 0,
		(uint8_t)(identifier >> 8), (uint8_t)identifier, (uint8_t)(sequence >> 8),
		(uint8_t)sequence};
	memcpy(out, header, sizeof(header));
}

/* What one descriptor adds: bytes of payload, `each` of them a datagram. */
struct part {
	const struct sock_datagram *like; /* peer, TTL and TOS */
	uint32_t bytes, each;
};

/* The length of a message's datagrams. */
static uint32_t each_of(const struct sock_datagram *d)
{
	return d->segment ? d->segment : d->bytes;
}

/* Whether a part may go on where the last message ends. */
static bool joins(const struct flow *f, const struct sock_datagram *last, const struct part *p)
{
	const uint32_t each = each_of(last);
	if (f->kind != FLOW_UDP || !p->bytes || !each || each > f->run_max || last->bytes % each)
		return false;
	if (p->each != each && (p->bytes != p->each || p->bytes > each))
		return false;
	if (last->bytes + p->bytes > RING_RUN_BYTES ||
		ring_run_count(last->bytes + p->bytes, each) > SOCK_RUN_DATAGRAMS)
		return false;
	return last->peer.ip_be == p->like->peer.ip_be && last->peer.port == p->like->peer.port &&
	       last->ttl == p->like->ttl && last->tos == p->like->tos;
}

/* A message that begins with this part: room is there. */
static struct sock_datagram *begin(struct burst *b, const struct flow *f, const struct part *p)
{
	struct sock_datagram *m = &b->datagram[b->count];
	*m = *p->like;
	m->piece = &b->piece[b->pieces];
	m->pieces = m->bytes = 0;
	m->segment = 0;
	if (f->kind == FLOW_ECHO) {
		echo_header(b->echo[b->count], f->guest.port, p->like->peer.port);
		m->peer.port = 0;
		m->piece[m->pieces++] = (struct iovec){b->echo[b->count], ECHO_HEADER_BYTES};
		b->pieces++;
	}
	b->count++;
	return m;
}

static void put(struct natproxy *np, struct flow *f, const struct part *p, const struct iovec *from,
	uint32_t pieces, uint32_t at)
{
	struct burst *b = place_of(np, f);
	if (b->pieces + PIECES_MAX > NATPROXY_BURST_PIECES)
		flush(np, b);
	struct sock_datagram *m = b->count ? &b->datagram[b->count - 1] : NULL;
	if (m && joins(f, m, p)) {
		m->segment = (uint16_t)each_of(m);
	} else {
		if (b->count == SOCK_BATCH)
			flush(np, b);
		m = begin(b, f, p);
		m->segment = p->bytes > p->each ? (uint16_t)p->each : 0;
	}
	const uint32_t n = slice(from, pieces, at, p->bytes, m->piece + m->pieces);
	m->pieces += n;
	m->bytes += p->bytes;
	b->pieces += n;
	if (f->raw && f->kind == FLOW_ECHO)
		echo_seal(m, f->outside.port);
}

/* How many bytes of this flow's datagrams fit one message. */
static uint32_t message_max(const struct flow *f, uint32_t each)
{
	const uint32_t most = each ? RING_RUN_BYTES / each : 1;
	if (!each || each > f->run_max || most < 2)
		return each;
	return each * (most < SOCK_RUN_DATAGRAMS ? most : SOCK_RUN_DATAGRAMS);
}

void burst_add(struct natproxy *np, struct flow *f, const struct ring_desc *d, uint32_t ip_be)
{
	struct burst *b = place_of(np, f);
	struct iovec piece[RING_SEGS];
	const struct sock_datagram like = {.peer = {ip_be, d->remote.port},
		.source_ip_be = f->raw ? f->outside.ip_be : 0,
		.ttl = d->remote.ttl,
		.tos = d->remote.tos};
	const uint32_t bytes = dgram_bytes(d), each = d->hlen ? d->hlen : bytes;
	const uint32_t most = message_max(f, each);
	if (b->ids + RING_SEGS > NATPROXY_BURST_PIECES || (b->count && b->flow != f->id))
		flush(np, b);
	b->flow = f->id;
	/* iovec has no const member; sendmmsg only reads */
	for (unsigned int i = 0; i < d->nseg; i++)
		piece[i] = (struct iovec){
			(uint8_t *)(uintptr_t)arena_view_ptr(np->view, d->seg[i].id, d->seg[i].off),
			d->seg[i].len};
	uint32_t at = 0;
	do {
		const uint32_t n = bytes - at < most ? bytes - at : most;
		put(np, f, &(struct part){&like, n, each < n ? each : n}, piece, d->nseg, at);
		at += n;
	} while (at < bytes);
	for (unsigned int i = 0; i < d->nseg; i++)
		b->id[b->ids++] = d->seg[i].id;
}
