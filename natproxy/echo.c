/*
 * Theory of operation.
 *
 *   DGRAM_DATA ─▶ dgram.c ─▶ echo_open: an identifier of ours ─▶ burst.c ─▶ echo_seal ─▶ socket
 *   socket ─▶ raw.c ─▶ recognise: whole, intact, of a flow of ours
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

#include "raw.h"
#include "wire/wire.h"

enum {
	ICMP_BYTES = 8,
	IDENTIFIER_AT = 4,
	CHECKSUM_AT = 2,
	PROTOCOL_ICMP = 1,
};
_Static_assert(
	RAW_IP_BYTES + ICMP_BYTES == sizeof(((struct datagram_slot *)0)->header), "both headers");

static struct flow *recognise(
	struct natproxy *np, struct sock_datagram *d, struct datagram_slot *slot);

static const struct raw_owner owner = {
	OWNER_ECHO, FLOW_ECHO, PROTOCOL_ICMP, RAW_IP_BYTES + ICMP_BYTES, recognise};

int echo_take(struct natproxy *np, const Nl__SocketName *name, struct chan_in *in)
{
	struct echo *e = &np->echo;
	if (!name->identifiers || name->identifiers > NATPROXY_ECHOES ||
		name->first > UINT16_MAX + 1U - name->identifiers ||
		raw_take(np, &e->raw, &owner, in))
		return -EPROTO;
	if (!e->raw.granted)
		return 0;
	e->first = (uint16_t)name->first;
	e->identifiers = name->identifiers;
	np->config.echo_allowed = true;
	return 0;
}

bool echo_serves(const struct natproxy *np, const struct sock_place *from)
{
	return np->echo.raw.granted && !from->at.ip_be && !from->device;
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
		f->fd = e->raw.fd;
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

/* Whether the message is a whole one; from here on it is as a ping socket would have given it. */
static bool unwrap(struct sock_datagram *d, struct datagram_slot *slot)
{
	if (d->truncated || d->bytes < sizeof(slot->header) || slot->header[0] != RAW_IP_FIRST)
		return false;
	d->bytes -= RAW_IP_BYTES;
	memmove(slot->header, slot->header + RAW_IP_BYTES, ICMP_BYTES);
	d->piece[0].iov_len = ICMP_BYTES;
	return checksum(d->piece, d->pieces, d->bytes) == 0;
}

static struct flow *recognise(
	struct natproxy *np, struct sock_datagram *d, struct datagram_slot *slot)
{
	const uint8_t *identifier = slot->header + IDENTIFIER_AT;
	struct flow *f = unwrap(d, slot)
				 ? echo_flow(np, (uint16_t)(identifier[0] << 8 | identifier[1]))
				 : NULL;
	if (!f)
		drop_count(np->drops, DROP_FILTERED);
	return f;
}

bool echo_turn(struct natproxy *np)
{
	return raw_turn(np, &np->echo.raw, &owner);
}
