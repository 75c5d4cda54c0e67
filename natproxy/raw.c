/*
 * Theory of operation.
 *
 *   socket ─▶ raw_turn ─ recognise: whose is it? ─▶ gather.c: from a peer of its? ─▶ DGRAM_DATA
 *   error queue ─▶ dgram.c, by what the error quotes
 *
 * A raw socket hears what everybody else on this computer is sent by its protocol, as far as the filter lets it in that
 * the supervisor put on and locked. So nothing here believes that a message is ours before its owner has said whose.
 */
#include "raw.h"

#include <errno.h>

#include "chan.h"
#include "dgram.h"
#include "gather.h"

enum { BATCH = 8, PIECES = 3 };

int raw_take(struct natproxy *np, struct shared_socket *raw, const struct raw_owner *owner,
	struct chan_in *in)
{
	if (raw->granted || sock_adopt_raw(np->sock, in->fds[0], owner->protocol))
		return -EPROTO;
	raw->fd = in->fds[0];
	in->fds[0] = -1;
	if (!natproxy_own(np, raw->fd, owner->owner, 0))
		return 0;
	raw->granted = true;
	sock_watch(np->sock, raw->fd, SOCK_READ);
	return 0;
}

void raw_fragmenting(struct natproxy *np, struct shared_socket *raw, const struct flow *f)
{
	if (raw->fragment == f->fragment)
		return;
	raw->fragment = f->fragment;
	sock_fragment(np->sock, raw->fd, f->fragment == FRAGMENT_ALLOWED);
}

void raw_ready(struct natproxy *np, struct shared_socket *raw)
{
	raw->readable = true;
	sock_watch(np->sock, raw->fd, 0);
}

static uint32_t offer(struct natproxy *np, uint32_t header_bytes, struct sock_datagram *batch,
	struct iovec piece[][PIECES])
{
	const uint32_t room = link_room(np->link, LINK_DATA);
	uint32_t n = 0;
	for (; n < BATCH && n < room && gather_buffers(np, &np->slot[n]); n++) {
		struct datagram_slot *slot = &np->slot[n];
		piece[n][0] = (struct iovec){slot->header, header_bytes};
		piece[n][1] = (struct iovec){arena_ptr(np->arena, slot->small), ARENA_SMALL_BYTES};
		piece[n][2] = (struct iovec){arena_ptr(np->arena, slot->large), ARENA_LARGE_BYTES};
		batch[n].piece = piece[n];
		batch[n].pieces = PIECES;
	}
	return n;
}

static void deliver_all(struct natproxy *np, struct shared_socket *raw,
	const struct raw_owner *owner, struct sock_datagram *batch, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct flow *f = owner->recognise(np, &batch[i], &np->slot[i]);
		if (f)
			gather_raw(np, f, &batch[i], &np->slot[i]);
	}
	drop_count_many(np->drops, DROP_SOCKET_FULL, batch[count - 1].lost - raw->lost);
	raw->lost = batch[count - 1].lost;
}

bool raw_turn(struct natproxy *np, struct shared_socket *raw, const struct raw_owner *owner)
{
	struct sock_datagram batch[BATCH];
	struct iovec piece[BATCH][PIECES];
	if (!raw->readable)
		return false;
	const uint32_t n = offer(np, owner->header_bytes, batch, piece);
	if (!n) {
		np->starved = true;
		return false;
	}
	const int r = sock_receive(np->sock, raw->fd, batch, (int)n);
	if (r > 0)
		deliver_all(np, raw, owner, batch, (uint32_t)r);
	if (r < 0)
		dgram_raw_errors(np, raw, owner->kind);
	raw->readable = r == (int)n || (r < 0 && r != -EAGAIN);
	if (!raw->readable)
		sock_watch(np->sock, raw->fd, SOCK_READ);
	return raw->readable;
}
