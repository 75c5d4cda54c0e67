/*
 * Theory of operation.
 *
 *   DGRAM_OPEN   notes the guest's endpoint; nothing outside yet
 *   DGRAM_DATA   access ─▶ session (flow, remote) ─▶ batch ─▶ sendmmsg; the first makes the socket
 *   socket       recvmmsg into {small, large} ─▶ filter ─▶ DGRAM_DATA; error queue ─▶ DGRAM_ERROR
 *
 * One unconnected socket an endpoint is endpoint-independent mapping (RFC 4787 REQ-1). Filtering
 * (REQ-8) asks the session table: has this endpoint talked to that address, or address and port? An
 * outside peer that passes gets a session of its own. The socket goes when the last session has
 * been idle for its time.
 *
 * Datagrams of one flow that arrive in one turn leave by one sendmmsg; a datagram for another flow
 * flushes the batch, so order within a flow is kept and nothing waits beyond the turn. What the
 * kernel does not take is dropped and counted: a queue of old datagrams helps nobody.
 *
 * The buffers offered to recvmmsg stay ready between calls; only those that were filled are
 * replaced. Echo uses ping sockets: the kernel owns identifier and checksum, the first 8 bytes of
 * each message are the ICMP header and never reach the shared arena.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "dgram.h"
#include "dnsrelay.h"
#include "download.h"
#include "publish.h"
#include "session.h"

enum {
	UDP_MAX_BYTES = 65507,
	ECHO_HEADER_BYTES = 8,
	ICMP_ECHO_REPLY = 0,
	ICMP_ECHO_REQUEST = 8,
	ICMP_UNREACHABLE = 3,
	CODE_NET = 0,
	CODE_HOST = 1,
	CODE_PROHIBITED = 13,
	ERRORS_PER_TURN = 16,
	SEND_TRIES = 3,
};

int natproxy_op_dgram_open(struct natproxy *np, const struct ring_desc *d)
{
	const bool echo = d->pair.kind == DGRAM_ECHO;
	if (!echo && d->pair.kind != DGRAM_UDP)
		return -EPROTO;
	struct flow *f = flow_new(np, d->flow, echo ? FLOW_ECHO : FLOW_UDP);
	if (!f)
		return -EPROTO;
	f->state = FLOW_RUNNING;
	f->guest = (struct sock_address){d->pair.guest_ip_be, d->pair.guest_port};
	if (!access_is_guest(&np->access, f->guest.ip_be) || (echo && !np->config.echo_allowed) ||
		np->draining) {
		drop_count(np->drops, DROP_DENIED);
		f->state = FLOW_DONE;
		flow_owe(np, f, OWED_CLOSED);
		return 0;
	}
	if (!echo)
		publish_attach(np, f);
	return 0;
}

static int open_udp(struct natproxy *np, struct flow *f)
{
	for (unsigned int n = 0;; n++) {
		const struct sock_address at = {
			0, portpick_candidate(&np->ports, NAT_UDP, &f->guest, n)};
		const int fd = sock_udp(np->sock, &at);
		if (fd >= 0 || !at.port || fd != -EADDRINUSE)
			return fd;
	}
}

static bool open_socket(struct natproxy *np, struct flow *f)
{
	const bool room = natproxy_fd_room(np, false);
	int fd = -EMFILE;
	if (room)
		fd = f->kind == FLOW_ECHO ? sock_echo(np->sock, f->guest.port) : open_udp(np, f);
	if (fd == -EMFILE || fd == -ENFILE)
		natproxy_shortage(np, 0, f->kind == FLOW_ECHO ? NAT_ICMP : NAT_UDP);
	if (fd < 0 || !natproxy_own(np, fd, OWNER_FLOW, flow_index(f->id)))
		return false;
	f->fd = fd;
	sock_local(np->sock, fd, &f->outside);
	if (f->kind == FLOW_UDP) {
		portpick_hold(&np->ports, NAT_UDP, &f->guest, f->outside.port);
		f->charged = true;
	}
	flow_watch(np, f);
	return true;
}

/* The session of this flow with a far endpoint, if there is one. */
static uint32_t known_session(
	const struct natproxy *np, const struct flow *f, const struct sock_address *remote)
{
	if (f->last_used) {
		const struct nat_session *s = &np->nat.session[f->last_used];
		if (s->remote.ip_be == remote->ip_be && s->remote.port == remote->port)
			return f->last_used;
	}
	return nat_find(&np->nat, f->id, remote);
}

static void error_to_guest(struct natproxy *np, struct flow *f, const struct sock_error *e)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_ERROR, .flow = f->id};
	d.remote = (struct ring_remote){
		.ip_be = e->to.ip_be, .port = f->kind == FLOW_ECHO ? e->echo_sequence : e->to.port};
	d.pair = (struct ring_pair){.guest_ip_be = f->guest.ip_be,
		.guest_port = f->guest.port,
		.remote_ip_be = e->offender_ip_be,
		.token = (uint32_t)e->type << 8 | e->code,
		.kind = e->mtu};
	if (natproxy_tell(np, LINK_DATA, &d))
		drop_count(np->drops, DROP_RING_FULL);
}

/* Passes on what the error queue holds: how many. Errors about strangers are not ours to repeat. */
static int drain_errors(struct natproxy *np, struct flow *f)
{
	struct sock_error e;
	int n = 0;
	while (n < ERRORS_PER_TURN &&
		sock_receive_error(np->sock, f->fd, f->kind == FLOW_ECHO, &e) > 0) {
		n++;
		if (!nat_find(&np->nat, f->id, &e.to))
			e.to.ip_be = access_shown_as(&np->access, e.to.ip_be);
		if (nat_find(&np->nat, f->id, &e.to))
			error_to_guest(np, f, &e);
	}
	return n;
}

static void send_refused(
	struct natproxy *np, struct flow *f, const struct sock_datagram *d, int error)
{
	struct sock_error e = {.to = d->peer, .type = ICMP_UNREACHABLE, .code = CODE_HOST};
	drop_count(np->drops, DROP_SOCKET);
	if (error == -EAGAIN || error == -ENOBUFS || error == -ENOMEM)
		return;
	if (error == -ENETUNREACH)
		e.code = CODE_NET;
	if (error == -EACCES || error == -EPERM)
		e.code = CODE_PROHIBITED;
	if (f->kind == FLOW_ECHO)
		e.echo_sequence = (uint16_t)(((const uint8_t *)d->piece[0].iov_base)[6] << 8 |
					     ((const uint8_t *)d->piece[0].iov_base)[7]);
	error_to_guest(np, f, &e);
}

static void send_batch(struct natproxy *np, struct flow *f)
{
	struct datagram_batch *b = &np->batch;
	int tries = SEND_TRIES;
	for (uint32_t sent = 0; sent < b->count;) {
		const int r =
			sock_send(np->sock, f->fd, &b->datagram[sent], (int)(b->count - sent));
		if (r > 0) {
			sent += (uint32_t)r;
			continue;
		}
		/* an error that came back for an earlier datagram is reported by this call, which
		 * then sent nothing */
		if (r != -EAGAIN && tries-- > 0 && drain_errors(np, f) > 0)
			continue;
		send_refused(np, f, &b->datagram[sent++], r);
	}
}

void dgram_flush(struct natproxy *np)
{
	struct datagram_batch *b = &np->batch;
	struct flow *f = b->count ? flow_live(np, b->flow) : NULL;
	if (f && f->fd >= 0)
		send_batch(np, f);
	for (uint32_t i = 0; i < b->ids; i++)
		link_release(np->link, b->id[i]);
	b->count = b->ids = 0;
}

void dgram_stop(struct natproxy *np, struct flow *f)
{
	if (np->batch.count && np->batch.flow == f->id)
		dgram_flush(np);
}

static uint32_t payload_bytes(const struct ring_desc *d)
{
	uint32_t bytes = 0;
	for (unsigned int i = 0; i < d->nseg; i++)
		bytes += d->seg[i].len;
	return bytes;
}

static void echo_header(uint8_t *out, uint16_t identifier, uint16_t sequence)
{
	const uint8_t header[ECHO_HEADER_BYTES] = {ICMP_ECHO_REQUEST, 0, 0, 0,
		(uint8_t)(identifier >> 8), (uint8_t)identifier, (uint8_t)(sequence >> 8),
		(uint8_t)sequence};
	memcpy(out, header, sizeof(header));
}

static void batch_add(
	struct natproxy *np, struct flow *f, const struct ring_desc *d, uint32_t ip_be)
{
	struct datagram_batch *b = &np->batch;
	if (b->count == SOCK_BATCH || (b->count && b->flow != f->id))
		dgram_flush(np);
	b->flow = f->id;
	struct sock_datagram *out = &b->datagram[b->count];
	out->pieces = 0;
	out->peer = (struct sock_address){ip_be, f->kind == FLOW_ECHO ? 0 : d->remote.port};
	out->ttl = d->remote.ttl;
	out->tos = d->remote.tos;
	if (f->kind == FLOW_ECHO) {
		echo_header(b->echo[b->count], f->guest.port, d->remote.port);
		out->piece[out->pieces++] = (struct iovec){b->echo[b->count], ECHO_HEADER_BYTES};
	}
	for (unsigned int i = 0; i < d->nseg; i++) {
		/* iovec has no const member; sendmmsg only reads */
		struct iovec *piece = &out->piece[out->pieces++];
		memcpy(&piece->iov_base,
			&(const uint8_t *){arena_view_ptr(np->view, d->seg[i].id, d->seg[i].off)},
			sizeof(void *));
		piece->iov_len = d->seg[i].len;
		b->id[b->ids++] = d->seg[i].id;
	}
	b->count++;
}

/*
 * Whether a datagram may go to this destination. An answer to somebody who is shown as the gateway
 * may, and so may a hairpin to another guest's mapping (RFC 4787 REQ-9).
 */
static enum access_verdict verdict_for(
	const struct natproxy *np, const struct flow *f, const struct sock_address *to, bool answer)
{
	const enum access_verdict v = access_check(&np->access, to);
	if (v == ACCESS_LOOP)
		return v;
	if (answer)
		return ACCESS_ALLOWED;
	if (f->kind == FLOW_ECHO)
		return v == ACCESS_DNS ? ACCESS_DENIED : v;
	if (v == ACCESS_DENIED && access_is_own(&np->access, to->ip_be) &&
		portpick_is_hubs(&np->ports, to->port))
		return ACCESS_ALLOWED;
	return v;
}

static bool may_send(struct natproxy *np, struct flow *f, const struct ring_desc *d,
	const struct sock_address *to, enum access_verdict verdict)
{
	if (verdict == ACCESS_DENIED || verdict == ACCESS_LOOP) {
		const struct sock_error e = {.to = *to,
			.echo_sequence = d->remote.port,
			.type = ICMP_UNREACHABLE,
			.code = CODE_PROHIBITED};
		drop_count(np->drops, DROP_DENIED);
		error_to_guest(np, f, &e);
		return false;
	}
	if (payload_bytes(d) > UDP_MAX_BYTES || (f->kind == FLOW_UDP && !to->port)) {
		drop_count(np->drops, DROP_UDP_BAD);
		return false;
	}
	return true;
}

/* A flow without a session has no timer that would end it: a guest whose datagrams are all refused
 * must not keep it. */
static void end_unused(struct natproxy *np, struct flow *f, const char *why)
{
	if (f->sessions || f->published)
		return;
	flow_stop(np, f, false, why);
	flow_owe(np, f, OWED_CLOSED);
}

/* The datagram may go: by the DNS redirect, or by the flow's socket, made when this is the first.
 */
static void send_on(struct natproxy *np, struct flow *f, const struct ring_desc *d,
	uint32_t session, enum access_verdict verdict)
{
	struct nat_session *s = nat_session(&np->nat, session);
	session_count(np, session, 0, payload_bytes(d));
	if (verdict == ACCESS_DNS) {
		dnsrelay_query(np, f, d);
		return;
	}
	if (f->fd < 0 && !open_socket(np, f)) {
		drop_count(np->drops, DROP_SOCKET);
		session_close(np, f, session, "no socket to be had");
		natproxy_return_payload(np, d);
		end_unused(np, f, "no socket to be had");
		return;
	}
	s->outside = f->outside;
	batch_add(np, f, d, s->real_ip_be ? s->real_ip_be : s->remote.ip_be);
}

int natproxy_op_dgram_data(struct natproxy *np, const struct ring_desc *d)
{
	struct flow *f = flow_live(np, d->flow);
	if (!f || f->state != FLOW_RUNNING) {
		natproxy_return_payload(np, d);
		return 0;
	}
	if (f->kind == FLOW_TCP)
		return -EPROTO;
	const struct sock_address to = {d->remote.ip_be, f->kind == FLOW_ECHO ? 0 : d->remote.port};
	uint32_t session = known_session(np, f, &to);
	const uint32_t real_ip_be = session ? nat_session(&np->nat, session)->real_ip_be : 0;
	const enum access_verdict verdict = verdict_for(np, f, &to, real_ip_be != 0);
	if (!may_send(np, f, d, &to, verdict)) {
		natproxy_return_payload(np, d);
		end_unused(np, f, "refused");
		return 0;
	}
	if (!session)
		session = session_open(np, f, &to, false);
	f->last_used = session;
	if (session) {
		send_on(np, f, d, session, verdict);
		return 0;
	}
	natproxy_return_payload(np, d);
	end_unused(np, f, "refused");
	return 0;
}

/*
 * The session that lets a datagram from this peer in, or NAT_NONE: filtered. *shown is the peer as
 * the guest sees it.
 */
static uint32_t let_in(struct natproxy *np, struct flow *f, const struct sock_address *peer,
	struct sock_address *shown)
{
	uint32_t session = nat_find(&np->nat, f->id, peer);
	*shown = *peer;
	if (session)
		return session;
	shown->ip_be = access_shown_as(&np->access, peer->ip_be);
	session = nat_find(&np->nat, f->id, shown);
	bool open = session || f->published ||
		    np->config.filtering == NL__NAT__FILTERING__endpoint_independent;
	if (np->config.filtering == NL__NAT__FILTERING__address_dependent)
		open = open || nat_find_address(&np->nat, f->id, peer->ip_be);
	if (open && !session)
		session = session_open(np, f, shown, false);
	if (session && shown->ip_be != peer->ip_be)
		nat_session(&np->nat, session)->real_ip_be = peer->ip_be;
	return session;
}

bool dgram_buffers(struct natproxy *np, struct datagram_slot *slot)
{
	if (!slot->small)
		slot->small = arena_take(np->arena, BUF_SMALL, false);
	if (!slot->large)
		slot->large = arena_take(np->arena, BUF_LARGE, false);
	return slot->small && slot->large;
}

bool dgram_deliver(struct natproxy *np, struct flow *f, const struct ring_remote *from,
	uint32_t small, uint32_t large, uint32_t bytes)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_DATA, .flow = f->id, .remote = *from};
	const uint32_t first = bytes < ARENA_SMALL_BYTES ? bytes : ARENA_SMALL_BYTES;
	if (first)
		d.seg[d.nseg++] = (struct ring_seg){buf_offset(buf_index(small)), first, small};
	if (large)
		d.seg[d.nseg++] =
			(struct ring_seg){buf_offset(buf_index(large)), bytes - first, large};
	if (!first)
		arena_untake(np->arena, small);
	if (natproxy_tell(np, LINK_DATA, &d)) {
		for (unsigned int i = 0; i < d.nseg; i++)
			arena_untake(np->arena, d.seg[i].id);
		drop_count(np->drops, DROP_RING_FULL);
		return false;
	}
	for (unsigned int i = 0; i < d.nseg; i++)
		download_lend(np, f, d.seg[i].id);
	return true;
}

static void deliver_slot(struct natproxy *np, struct flow *f, const struct sock_datagram *in,
	struct datagram_slot *slot)
{
	const bool echo = f->kind == FLOW_ECHO;
	const uint32_t header = echo ? ECHO_HEADER_BYTES : 0;
	struct ring_remote from = {.port = in->peer.port, .ttl = in->ttl, .tos = in->tos};
	if (in->truncated || in->bytes < header || (echo && slot->echo[0] != ICMP_ECHO_REPLY)) {
		drop_count(np->drops, DROP_UDP_BAD);
		return;
	}
	if (echo)
		from.port = (uint16_t)(slot->echo[6] << 8 | slot->echo[7]);
	const struct sock_address peer = {in->peer.ip_be, echo ? 0 : in->peer.port};
	struct sock_address shown;
	const uint32_t session = let_in(np, f, &peer, &shown);
	const uint32_t bytes = in->bytes - header;
	if (!session) {
		drop_count(np->drops, DROP_FILTERED);
		return;
	}
	from.ip_be = shown.ip_be;
	const uint32_t large = bytes > ARENA_SMALL_BYTES ? slot->large : 0;
	const uint32_t small = slot->small;
	slot->small = 0;
	if (large)
		slot->large = 0;
	session_count(np, session, bytes, 0);
	dgram_deliver(np, f, &from, small, large, bytes);
}

static int offer(struct natproxy *np, struct flow *f, struct sock_datagram *batch)
{
	const uint32_t room = link_room(np->link, LINK_DATA);
	const uint32_t share = download_share(np, f) / ARENA_SMALL_BYTES;
	int n = 0;
	for (; n < SOCK_BATCH && (uint32_t)n < room && (uint32_t)n < share; n++) {
		struct datagram_slot *slot = &np->slot[n];
		if (!dgram_buffers(np, slot))
			break;
		struct sock_datagram *d = &batch[n];
		d->pieces = 0;
		if (f->kind == FLOW_ECHO)
			d->piece[d->pieces++] = (struct iovec){slot->echo, ECHO_HEADER_BYTES};
		d->piece[d->pieces++] =
			(struct iovec){arena_ptr(np->arena, slot->small), ARENA_SMALL_BYTES};
		d->piece[d->pieces++] =
			(struct iovec){arena_ptr(np->arena, slot->large), ARENA_LARGE_BYTES};
	}
	return n;
}

bool dgram_turn(struct natproxy *np, struct flow *f)
{
	struct sock_datagram batch[SOCK_BATCH];
	if (f->state != FLOW_RUNNING || f->fd < 0 || !f->readable)
		return false;
	const int n = offer(np, f, batch);
	if (!n) {
		np->starved = true;
		flow_watch(np, f);
		flow_work(np, f, WORK_DOWNLOAD);
		return false;
	}
	const int r = sock_receive(np->sock, f->fd, batch, n);
	for (int i = 0; i < r; i++)
		deliver_slot(np, f, &batch[i], &np->slot[i]);
	if (r < 0)
		drain_errors(np, f);
	f->readable = r == n || (r < 0 && r != -EAGAIN);
	flow_watch(np, f);
	return f->readable;
}

void dgram_expired(struct natproxy *np, struct flow *f, uint32_t ref)
{
	session_close(np, f, ref, "idle");
	if (f->sessions)
		return;
	flow_stop(np, f, false, "idle");
	flow_owe(np, f, OWED_CLOSED);
}
