/*
 * Theory of operation. An ICMP error of a guest about a datagram that reached it goes on to who sent
 * that (RFC 5508 REQ-5), so that a client outside learns at once that a port is closed:
 *
 *   guest ─ icmp.c ─▶ DGRAM_ERROR ─▶ a session of that flow with that sender? ─▶ raw ICMP socket
 *
 * Nothing of the guest's packet is copied but type, code, length and MTU: the embedded headers are
 * written here, of the session as the sender knows it, so a guest can only complain about what it was
 * sent. The raw socket is the one of echo.h, which root opened; without it, as for an ordinary user,
 * such errors end here. Errors about TCP never get here: both its ends are this computer's.
 */
#include <errno.h>

#include "natproxy.h"
#include "source.h"
#include "wire/wire.h"

enum {
	ICMP_UNREACHABLE = 3,
	ICMP_EXCEEDED = 11,
	ICMP_PARAMETER = 12,
	CODE_FRAGMENT = 4,
	ICMP_BYTES = 8,
	IP_BYTES = 20,
	UDP_BYTES = 8,
	MESSAGE_BYTES = ICMP_BYTES + IP_BYTES + UDP_BYTES,
	UDP_MAX_BYTES = 65535 - IP_BYTES, /* header included */
	PROTOCOL_UDP = 17,
	MTU_MIN = 576, /* of a hub (nat.mtu) */
	TTL = 64,
	TOS = 0xc0, /* network control: RFC 1812 4.3.2.5 */
	INTERVAL_NS = 10000000,
	BURST = 50,
};

/* Codes of each type that have a meaning (RFC 792, RFC 1122, RFC 1812). */
static bool is_error(uint8_t type, uint8_t code)
{
	switch (type) {
	case ICMP_UNREACHABLE: return code <= 15;
	case ICMP_EXCEEDED: return code <= 1;
	case ICMP_PARAMETER: return code <= 2;
	default: return false;
	}
}

/* A hundred a second, for all guests together (RFC 1812 4.3.2.8). */
static bool in_time(struct natproxy *np)
{
	if (np->complaints_ns < np->now_ns)
		np->complaints_ns = np->now_ns;
	if (np->complaints_ns - np->now_ns > (uint64_t)BURST * INTERVAL_NS)
		return false;
	np->complaints_ns += INTERVAL_NS;
	return true;
}

static void put_checksum(uint8_t *out, const uint8_t *bytes, uint32_t n)
{
	const uint16_t sum = wire_fold(wire_sum(0, bytes, n));
	out[0] = (uint8_t)(sum >> 8);
	out[1] = (uint8_t)sum;
}

/*
 * Of a path: 0 unknown. To the sender it is the path to an address that all guests share, so one of
 * them must not make it narrower than any hub is.
 */
static uint16_t mtu_of(const struct ring_desc *d)
{
	const uint16_t mtu = (uint16_t)d->pair.kind;
	return mtu && mtu < MTU_MIN ? MTU_MIN : mtu;
}

/* The message about a datagram from `peer` to `outside`. */
static void write_message(uint8_t out[MESSAGE_BYTES], const struct ring_desc *d,
	const struct sock_address *peer, const struct sock_address *outside)
{
	struct wire_out w = wire_out(out, MESSAGE_BYTES);
	const uint8_t type = (uint8_t)(d->pair.token >> 8), code = (uint8_t)d->pair.token;
	const bool has_mtu = type == ICMP_UNREACHABLE && code == CODE_FRAGMENT;
	wire_put_u8(&w, type);
	wire_put_u8(&w, code);
	wire_put_u16(&w, 0);
	wire_put_u16(&w, type == ICMP_PARAMETER ? (uint16_t)(d->pair.kind << 8) : 0);
	wire_put_u16(&w, has_mtu ? mtu_of(d) : 0);
	wire_put_u16(&w, 0x4500);
	wire_put_u16(&w, (uint16_t)(IP_BYTES + d->pair.remote_port));
	wire_put_u32(&w, 0);
	wire_put_u8(&w, 1);
	wire_put_u8(&w, PROTOCOL_UDP);
	wire_put_u16(&w, 0);
	wire_put(&w, &peer->ip_be, sizeof(peer->ip_be));
	wire_put(&w, &outside->ip_be, sizeof(outside->ip_be));
	wire_put_u16(&w, peer->port);
	wire_put_u16(&w, outside->port);
	wire_put_u16(&w, d->pair.remote_port);
	wire_put_u16(&w, 0);
	put_checksum(out + ICMP_BYTES + 10, out + ICMP_BYTES, IP_BYTES);
	put_checksum(out + 2, out, MESSAGE_BYTES);
}

/*
 * Whether this flow's errors can leave by the raw socket, which is bound to no device, and to this
 * peer, who may be the gateway or one who is shown as it; *outside is then whole.
 */
static bool find_outside(struct natproxy *np, const struct flow *f, const struct sock_address *peer,
	struct sock_address *outside)
{
	const struct sock_place from = source_of(np, f->guest.ip_be);
	*outside = f->outside;
	if (!np->echo.raw.granted || f->fd < 0 || from.device ||
		access_is_own(&np->access, peer->ip_be) ||
		access_check(&np->access, peer) != ACCESS_ALLOWED)
		return false;
	return outside->ip_be || sock_source(np->sock, peer, NULL, &outside->ip_be) == 0;
}

static bool pass_on(struct natproxy *np, const struct flow *f, const struct ring_desc *d)
{
	const struct sock_address sender = {d->remote.ip_be, d->remote.port};
	const uint32_t ref = nat_find(&np->nat, f->id, &sender);
	uint8_t message[MESSAGE_BYTES];
	struct iovec piece = {message, sizeof(message)};
	struct sock_address outside;
	if (!ref || !np->config.icmp_errors || !np->config.enabled)
		return false;
	const struct nat_session *s = nat_session(&np->nat, ref);
	const struct sock_address peer = {
		s->real_ip_be ? s->real_ip_be : s->remote.ip_be, s->remote.port};
	if (!find_outside(np, f, &peer, &outside) || !in_time(np))
		return false;
	write_message(message, d, &peer, &outside);
	const struct sock_datagram m = {.piece = &piece,
		.pieces = 1,
		.bytes = sizeof(message),
		.ttl = TTL,
		.tos = TOS,
		.peer = {peer.ip_be, 0}};
	return sock_send(np->sock, np->echo.raw.fd, &m, 1) == 1;
}

int natproxy_op_dgram_error(struct natproxy *np, const struct ring_desc *d)
{
	const struct flow *f = flow_live(np, d->flow);
	const uint32_t bytes = d->pair.remote_port; /* of UDP */
	if (d->pair.token > UINT16_MAX || d->pair.kind > UINT16_MAX || bytes < UDP_BYTES ||
		bytes > UDP_MAX_BYTES ||
		!is_error((uint8_t)(d->pair.token >> 8), (uint8_t)d->pair.token))
		return -EPROTO;
	if (!f || f->state != FLOW_RUNNING)
		return 0;
	if (f->kind != FLOW_UDP)
		return -EPROTO;
	if (pass_on(np, f, d)) {
		np->icmp.to_outside++;
		return 0;
	}
	np->icmp.ended++;
	drop_count(np->drops, DROP_ICMP_ENDS);
	return 0;
}
