/*
 * Theory of operation.
 *
 *   DGRAM_DATA ─▶ dgram.c ─ session keeps its port ─▶ ike_port_send: cookie noted ─▶ socket at port 500
 *   socket ─▶ ike_port_turn: cookie ─▶ guest ─▶ its flow at port 500 ─ has a session with this peer? ─▶ gather.c
 *
 * Keys are exchanged seldom, so a message leaves at once and by itself, and is copied on its way in. A peer that speaks
 * first is heard by guests that have a session with it: a stranger reaches nobody.
 */
#include "ike_port.h"

#include <errno.h>

#include "chan.h"
#include "dgram.h"
#include "esp_socket.h"
#include "gather.h"
#include "session.h"
#include "source.h"

enum { ERRORS = 16 };

int ike_port_take(struct natproxy *np, const Nl__SocketName *name, struct chan_in *in)
{
	struct shared_socket *p = &np->ike.shared;
	const struct sock_place at = {{0, IKE_PORT}, name->device};
	if (p->granted || sock_adopt(np->sock, in->fds[0], &at, true))
		return -EPROTO;
	p->fd = in->fds[0];
	in->fds[0] = -1;
	if (!natproxy_own(np, p->fd, OWNER_IKE, 0))
		return 0;
	p->granted = true;
	sock_watch(np->sock, p->fd, SOCK_READ);
	return 0;
}

bool ike_port_wanted(
	const struct natproxy *np, const struct flow *f, const struct sock_address *far)
{
	return np->ike.shared.granted && f->kind == FLOW_UDP && f->guest.port == IKE_PORT &&
	       far->port == IKE_PORT && !f->published && !source_fixed(np, f->guest.ip_be) &&
	       acl_names(&np->preserve_port_list, f->guest.ip_be, far->ip_be);
}

/* Of the bytes in several pieces the first ones in a row. */
static uint64_t cookie_of(const struct iovec *piece, uint32_t pieces)
{
	uint8_t header[IKE_HEADER_BYTES];
	size_t n = 0;
	for (uint32_t i = 0; i < pieces && n < sizeof(header); i++) {
		const uint8_t *bytes = piece[i].iov_base;
		for (size_t k = 0; k < piece[i].iov_len && n < sizeof(header); k++)
			header[n++] = bytes[k];
	}
	return ike_cookie(header, n);
}

/* The flow that speaks with this peer by port 500, and its session with it. */
static struct flow *flow_of(struct natproxy *np, uint32_t guest_ip_be,
	const struct sock_address *peer, uint32_t *session)
{
	const struct sock_address guest = {guest_ip_be, IKE_PORT};
	struct flow *f = guest_ip_be ? flow_at(np, &guest) : NULL;
	*session = f ? nat_find(&np->nat, f->id, peer) : NAT_NONE;
	return *session && nat_session(&np->nat, *session)->keeps_port ? f : NULL;
}

/* Errors about what was sent, each to the guest whose cookie it quotes. */
static void take_errors(struct natproxy *np)
{
	struct sock_error e;
	for (int n = 0;
		n < ERRORS && sock_receive_error(np->sock, np->ike.shared.fd, false, &e) > 0; n++) {
		const uint32_t guest_ip_be = ike_sender(
			&np->ike.table, e.to.ip_be, ike_cookie(e.quoted, sizeof(e.quoted)));
		uint32_t session;
		struct flow *f = flow_of(np, guest_ip_be, &e.to, &session);
		if (f && e.offender_ip_be)
			dgram_failed(np, f, &e);
	}
}

void ike_port_send(struct natproxy *np, struct flow *f, struct sock_datagram *message, bool whole)
{
	struct shared_socket *p = &np->ike.shared;
	const uint8_t wanted = whole ? FRAGMENT_NEVER : FRAGMENT_ALLOWED;
	const uint64_t cookie = cookie_of(message->piece, message->pieces);
	int r;
	if (p->fragment != wanted)
		sock_fragment(np->sock, p->fd, !whole);
	p->fragment = wanted;
	if (cookie)
		ike_sends(&np->ike.table, message->peer.ip_be, f->guest.ip_be, cookie, np->now_ns);
	r = sock_send(np->sock, p->fd, message, 1);
	if (r < 0) { /* it may be an error about an earlier one */
		take_errors(np);
		r = sock_send(np->sock, p->fd, message, 1);
	}
	if (r < 0)
		dgram_refused(np, f, message, r);
	else
		np->ike.counts.to_outside++;
}

void ike_port_ended(struct natproxy *np, const struct nat_session *s)
{
	if (s->keeps_port)
		ike_forget(&np->ike.table, s->remote.ip_be, s->guest.ip_be);
}

void ike_port_ready(struct natproxy *np)
{
	np->ike.shared.readable = true;
	sock_watch(np->sock, np->ike.shared.fd, 0);
}

static void deliver(struct natproxy *np, const struct sock_datagram *d, const uint8_t *bytes)
{
	const uint64_t cookie = d->truncated ? 0 : ike_cookie(bytes, d->bytes);
	const uint32_t guest_ip_be = ike_receives(&np->ike.table, d->peer.ip_be, cookie);
	uint32_t session;
	struct flow *f = flow_of(np, guest_ip_be, &d->peer, &session);
	if (!f) {
		np->ike.counts.unknown++;
		drop_count(np->drops, DROP_FILTERED);
		return;
	}
	const struct ring_remote from = {d->peer.ip_be, d->peer.port, d->ttl, d->tos};
	np->ike.counts.to_guests++;
	session_arrived(np, session, d->bytes);
	esp_socket_spoke(np, f, &d->peer);
	gather_bytes(np, f, &from, bytes, d->bytes);
}

/* A run that the kernel put together is taken apart. */
static void deliver_run(struct natproxy *np, const struct sock_datagram *run, uint8_t *bytes)
{
	const uint32_t each = run->segment ? run->segment : run->bytes;
	uint32_t at = 0;
	do {
		struct sock_datagram one = *run;
		one.bytes = run->bytes - at < each ? run->bytes - at : each;
		deliver(np, &one, bytes + at);
		at += each;
	} while (at < run->bytes);
}

bool ike_port_turn(struct natproxy *np)
{
	struct sock_datagram batch[NATPROXY_IKE_BATCH];
	struct iovec piece[NATPROXY_IKE_BATCH];
	struct shared_socket *p = &np->ike.shared;
	if (!p->readable)
		return false;
	for (int i = 0; i < NATPROXY_IKE_BATCH; i++) {
		piece[i] = (struct iovec){np->ike.bytes[i], sizeof(np->ike.bytes[i])};
		batch[i].piece = &piece[i];
		batch[i].pieces = 1;
	}
	const int r = sock_receive(np->sock, p->fd, batch, NATPROXY_IKE_BATCH);
	for (int i = 0; i < r; i++)
		deliver_run(np, &batch[i], np->ike.bytes[i]);
	if (r > 0) {
		drop_count_many(np->drops, DROP_SOCKET_FULL, batch[r - 1].lost - p->lost);
		p->lost = batch[r - 1].lost;
	}
	if (r < 0)
		take_errors(np);
	p->readable = r == NATPROXY_IKE_BATCH || (r < 0 && r != -EAGAIN);
	if (!p->readable)
		sock_watch(np->sock, p->fd, SOCK_READ);
	return p->readable;
}
