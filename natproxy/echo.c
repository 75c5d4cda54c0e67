/*
 * Theory of operation.
 *
 *   DGRAM_DATA ─▶ dgram.c ─▶ echo_open: an identifier of ours ─▶ burst.c ─▶ echo_seal ─▶ socket
 *   socket ─▶ echo_turn: whole, intact, of a flow of ours ─▶ gather.c: from a peer of its? ─▶ DGRAM_DATA
 *   error queue ─▶ dgram.c, by the identifier of what the error quotes
 *
 * A ping socket has the kernel between itself and everybody else's answers; a raw socket hears them
 * all. Three things keep them apart. The supervisor's filter lets in answers to the identifiers of
 * this process alone, and is locked. Which of these a flow gets is drawn, so a guest can choose
 * neither its own nor somebody else's. And an answer must come from where the flow has sent to.
 *
 * Identifier and checksum are ours to write, and the checksum of what comes ours to check: the
 * kernel gives raw sockets what it has not looked at. The guest's own identifier is netstack's
 * business. Payload is summed where it lies; who changes it meanwhile spoils his own ping.
 */
#include "echo.h"

#include <errno.h>
#include <string.h>

#include "chan.h"
#include "dgram.h"
#include "gather.h"
#include "wire/wire.h"

enum {
	BATCH = 8,
	IP_BYTES = 20, /* the filter lets no options in */
	ICMP_BYTES = 8,
	PIECES = 3,
	IP_FIRST = 0x45, /* version 4, 20 bytes */
	IDENTIFIER_AT = 4,
	CHECKSUM_AT = 2,
};
_Static_assert(IP_BYTES + ICMP_BYTES == sizeof(((struct datagram_slot *)0)->echo), "both headers");

int echo_take(struct natproxy *np, const Nl__SocketName *name, struct chan_in *in)
{
	struct echo *e = &np->echo;
	if (e->granted || !name->identifiers || name->identifiers > NATPROXY_ECHOES ||
		name->first > UINT16_MAX + 1U - name->identifiers ||
		sock_adopt_echo(np->sock, in->fds[0]))
		return -EPROTO;
	e->fd = in->fds[0];
	in->fds[0] = -1;
	if (!natproxy_own(np, e->fd, OWNER_ECHO, 0))
		return 0;
	e->granted = true;
	e->first = (uint16_t)name->first;
	e->identifiers = name->identifiers;
	np->config.echo_allowed = true;
	sock_watch(np->sock, e->fd, SOCK_READ);
	return 0;
}

bool echo_serves(const struct natproxy *np, const struct sock_place *from)
{
	return np->echo.granted && !from->at.ip_be && !from->device;
}

int echo_open(struct natproxy *np, struct flow *f)
{
	struct echo *e = &np->echo;
	const uint32_t start = (uint32_t)(natproxy_random(np) % e->identifiers);
	for (uint32_t i = 0; i < e->identifiers; i++) {
		const uint32_t place = (start + i) % e->identifiers;
		if (e->holder[place])
			continue;
		e->holder[place] = flow_index(f->id) + 1;
		f->raw = true;
		f->fd = e->fd;
		f->outside = (struct sock_address){0, (uint16_t)(e->first + place)};
		return 0;
	}
	return -ENOBUFS;
}

void echo_close(struct natproxy *np, struct flow *f)
{
	np->echo.holder[f->outside.port - np->echo.first] = 0;
	f->raw = false;
}

struct flow *echo_flow(struct natproxy *np, uint16_t identifier)
{
	const struct echo *e = &np->echo;
	const uint32_t place = (uint32_t)identifier - e->first;
	if (place >= e->identifiers || !e->holder[place])
		return NULL;
	return &np->flow[e->holder[place] - 1];
}

/* The sum of all pieces; one of odd length moves what follows by a byte. */
static uint16_t checksum(const struct iovec *piece, uint32_t pieces, uint32_t bytes)
{
	uint32_t sum = 0;
	bool odd = false;
	for (uint32_t i = 0; i < pieces && bytes; i++) {
		const uint32_t n = piece[i].iov_len < bytes ? (uint32_t)piece[i].iov_len : bytes;
		const uint16_t part = (uint16_t)~wire_fold(wire_sum(0, piece[i].iov_base, n));
		sum += odd ? (uint16_t)(part << 8 | part >> 8) : part;
		odd ^= n & 1;
		bytes -= n;
	}
	return wire_fold(sum);
}

void echo_seal(const struct sock_datagram *m, uint16_t identifier)
{
	uint8_t *header = m->piece[0].iov_base;
	header[IDENTIFIER_AT] = (uint8_t)(identifier >> 8);
	header[IDENTIFIER_AT + 1] = (uint8_t)identifier;
	const uint16_t sum = checksum(m->piece, m->pieces, UINT32_MAX);
	header[CHECKSUM_AT] = (uint8_t)(sum >> 8);
	header[CHECKSUM_AT + 1] = (uint8_t)sum;
}

void echo_fragmenting(struct natproxy *np, const struct flow *f)
{
	if (np->echo.fragment == f->fragment)
		return;
	np->echo.fragment = f->fragment;
	sock_fragment(np->sock, np->echo.fd, f->fragment == FRAGMENT_ALLOWED);
}

void echo_ready(struct natproxy *np)
{
	np->echo.readable = true;
	sock_watch(np->sock, np->echo.fd, 0);
}

static uint32_t offer(
	struct natproxy *np, struct sock_datagram *batch, struct iovec piece[][PIECES])
{
	const uint32_t room = link_room(np->link, LINK_DATA);
	uint32_t n = 0;
	for (; n < BATCH && n < room && gather_buffers(np, &np->slot[n]); n++) {
		struct datagram_slot *slot = &np->slot[n];
		piece[n][0] = (struct iovec){slot->echo, sizeof(slot->echo)};
		piece[n][1] = (struct iovec){arena_ptr(np->arena, slot->small), ARENA_SMALL_BYTES};
		piece[n][2] = (struct iovec){arena_ptr(np->arena, slot->large), ARENA_LARGE_BYTES};
		batch[n].piece = piece[n];
		batch[n].pieces = PIECES;
	}
	return n;
}

/* The flow that the message in this slot is an answer to, NULL: of nobody, or not whole. From here on
 * it is as a ping socket would have given it. */
static struct flow *recognise(
	struct natproxy *np, struct sock_datagram *d, struct datagram_slot *slot)
{
	if (d->truncated || d->bytes < sizeof(slot->echo) || slot->echo[0] != IP_FIRST)
		return NULL;
	d->bytes -= IP_BYTES;
	memmove(slot->echo, slot->echo + IP_BYTES, ICMP_BYTES);
	d->piece[0].iov_len = ICMP_BYTES;
	if (checksum(d->piece, d->pieces, d->bytes))
		return NULL;
	return echo_flow(
		np, (uint16_t)(slot->echo[IDENTIFIER_AT] << 8 | slot->echo[IDENTIFIER_AT + 1]));
}

static void deliver_all(struct natproxy *np, struct sock_datagram *batch, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct flow *f = recognise(np, &batch[i], &np->slot[i]);
		if (f)
			gather_echo(np, f, &batch[i], &np->slot[i]);
		else
			drop_count(np->drops, DROP_FILTERED);
	}
	drop_count_many(np->drops, DROP_SOCKET_FULL, batch[count - 1].lost - np->echo.lost);
	np->echo.lost = batch[count - 1].lost;
}

bool echo_turn(struct natproxy *np)
{
	struct sock_datagram batch[BATCH];
	struct iovec piece[BATCH][PIECES];
	struct echo *e = &np->echo;
	if (!e->readable)
		return false;
	const uint32_t n = offer(np, batch, piece);
	if (!n) {
		np->starved = true;
		return false;
	}
	const int r = sock_receive(np->sock, e->fd, batch, (int)n);
	if (r > 0)
		deliver_all(np, batch, (uint32_t)r);
	if (r < 0)
		dgram_echo_errors(np);
	e->readable = r == (int)n || (r < 0 && r != -EAGAIN);
	if (!e->readable)
		sock_watch(np->sock, e->fd, SOCK_READ);
	return e->readable;
}
