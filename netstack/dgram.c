/*
 * Theory of operation: a datagram flow is a guest's endpoint: a UDP port or echo identifier, whoever it talks to
 * (RFC 4787 REQ-1), or the SPI by which it sends ESP to one peer. natproxy owns mapping, filter and timeout and says
 * when it is over. Nothing is kept here but the way between the two, so a flow is small and a datagram crosses without
 * being queued; but see park.h.
 *
 * What the kinds have in common is here; the header of each is in udp.c, icmp.c and esp.c.
 */
#include <errno.h>
#include <string.h>

#include "state.h"

enum { L4_BYTES = 8 };

static struct flow *dgram_open(
	struct stack *s, const struct flow_key *key, struct guest *g, uint32_t token)
{
	static const uint32_t kinds[] = {
		[FLOW_UDP] = DGRAM_UDP, [FLOW_ECHO] = DGRAM_ECHO, [FLOW_ESP] = DGRAM_ESP};
	struct flow *f = flow_open(s, key, g);
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN};
	if (!f)
		return NULL;
	d.flow = flow_id_of(s, f);
	d.pair = (struct ring_pair){.guest_ip_be = key->guest_ip_be,
		.guest_port = key->guest_port,
		.remote_ip_be = key->remote_ip_be,
		.remote_port = key->remote_port,
		.token = token,
		.kind = kinds[key->kind]};
	if (link_send(s->natproxy, LINK_DATA, &d, NULL) < 0) {
		drop_count(s->drops, DROP_RING_FULL);
		flow_end(s, f);
		return NULL;
	}
	f->told = true;
	return f;
}

void dgram_upload(struct stack *s, struct packet *p, struct guest *g, const struct flow_key *key,
	const struct ring_remote *remote, uint32_t payload_at, uint16_t each)
{
	struct flow *f = flow_find(s, key);
	struct ring_desc d = {.op = p->frag & IP_DONT_FRAGMENT ? RING_NETSTACK_DGRAM_WHOLE
							       : RING_NETSTACK_DGRAM_DATA};
	struct ring_seg piece[PACKET_SEGS];
	unsigned int n = packet_pieces(p, payload_at, p->bytes - payload_at, piece);
	if (!f && !s->uplink.up) {
		icmp_error(s, p, g, ICMP_UNREACHABLE, ICMP_NET);
		return;
	}
	if (!f)
		f = dgram_open(s, key, g, 0);
	if (!f) { /* RFC 6888 REQ-8 */
		icmp_error(s, p, g, ICMP_UNREACHABLE, ICMP_HOST);
		return;
	}
	if (s->config.strict && !hold_copy(s, piece, &n)) {
		drop_count(s->drops, DROP_NO_BUFFER);
		return;
	}
	d.flow = flow_id_of(s, f);
	d.nseg = (uint8_t)n;
	d.hlen = each;
	d.remote = *remote;
	for (unsigned int i = 0; i < n; i++)
		d.seg[i] = piece[i];
	if (link_send(s->natproxy, LINK_DATA, &d, NULL) < 0) {
		drop_count_many(
			s->drops, DROP_RING_FULL, ring_run_count(p->bytes - payload_at, each));
		if (s->config.strict && n && !p->was_fragmented)
			hold_release(s, piece[0].id);
		return;
	}
	quote_note(&s->quotes, d.flow, p, remote);
	for (unsigned int i = 0; i < n; i++)
		hold_lend(s, piece[i].id);
	if (remote->ip_be == s->config.ip_be)
		f->asked_ip_be = p->dst_be;
}

/* Where what came from natproxy comes from for the guest: the gateway answers by the name it was called. */
static uint32_t dgram_source(const struct stack *s, const struct flow *f, uint32_t ip_be)
{
	return ip_be == s->config.ip_be && f->asked_ip_be ? f->asked_ip_be : ip_be;
}

void dgram_flush(struct stack *s, struct flow *f)
{
	struct ring_desc d = {.op = RING_NETSTACK_FLOW_FREE, .flow = flow_id_of(s, f)};
	if (f->told && link_send(s->natproxy, LINK_CONTROL, &d, NULL) < 0) {
		flow_owe(s, f, OWED_FREE);
		return;
	}
	f->told = false;
	f->owed = 0;
	flow_settle(s, f);
}

void dgram_closed(struct stack *s, struct flow *f)
{
	flow_owe(s, f, OWED_FREE);
	flow_end(s, f);
}

/* natproxy lends the segments of d: -EPROTO when it lent one of them before and never got it back. */
static int dgram_take(struct stack *s, const struct ring_desc *d)
{
	for (unsigned int i = 0; i < d->nseg; i++)
		if (hold_take_read(s, d->seg[i].id) < 0)
			return -EPROTO;
	return 0;
}

/* One less than it came with (RFC 1812 5.3.1); it has reached the address that it was sent to, so 1 is not too few. */
static uint8_t dgram_ttl(uint8_t came)
{
	if (!came)
		return OUT_TTL;
	return came > 1 ? came - 1 : came;
}

static uint32_t dgram_bytes(const struct ring_desc *d)
{
	uint32_t bytes = 0;
	for (unsigned int i = 0; i < d->nseg; i++)
		bytes += d->seg[i].len;
	return bytes;
}

/* The transport header of what natproxy sent. */
static void dgram_wrap(struct stack *s, struct flow *f, const struct ring_desc *d,
	struct datagram *out, struct ring_seg piece[RING_SEGS])
{
	switch ((enum flow_kind)f->key.kind) {
	case FLOW_UDP: udp_wrap(s, f, d, out); break;
	case FLOW_ECHO: icmp_wrap_echo(s, f, d, out); break;
	case FLOW_ESP: esp_wrap(s, out, piece); break;
	case FLOW_TCP:
	case FLOW_NONE: break; /* not a datagram's */
	}
}

static uint8_t dgram_protocol(const struct flow *f)
{
	static const uint8_t protocols[] = {
		[FLOW_UDP] = IP_PROTO_UDP, [FLOW_ECHO] = IP_PROTO_ICMP, [FLOW_ESP] = IP_PROTO_ESP};
	return protocols[f->key.kind];
}

void dgram_download(struct stack *s, struct flow *f, const struct ring_desc *d)
{
	const uint32_t header = f->key.kind == FLOW_ESP ? 0 : L4_BYTES; /* ESP's comes with it */
	struct ring_seg piece[RING_SEGS];
	struct datagram out = {.ip = {.src_be = dgram_source(s, f, d->remote.ip_be),
				       .dst_be = f->key.guest_ip_be,
				       .protocol = dgram_protocol(f),
				       .ttl = dgram_ttl(d->remote.ttl),
				       .tos = d->remote.tos,
				       .payload_bytes = header + dgram_bytes(d)},
		.seg = piece,
		.nseg = d->nseg};
	memcpy(piece, d->seg, sizeof(piece));
	if (s->config.strict && !hold_copy(s, piece, &out.nseg)) {
		drop_count(s->drops, DROP_NO_BUFFER);
		return;
	}
	const uint32_t copy = s->config.strict && out.nseg ? piece[0].id : 0;
	dgram_wrap(s, f, d, &out, piece);
	datagram_send(s, flow_guest(s, f), &out);
	if (copy)
		hold_limbo(s, copy);
}

/* What can't be: runs are UDP's, and an ESP packet has its SPI. */
static bool dgram_possible(const struct flow *f, const struct ring_desc *d)
{
	const uint32_t bytes = dgram_bytes(d);
	if (f->key.kind == FLOW_TCP || (d->hlen && f->key.kind != FLOW_UDP))
		return false;
	return f->key.kind != FLOW_ESP || (bytes >= L4_BYTES && d->seg[0].len >= L4_BYTES);
}

int stack_op_dgram_data(struct stack *s, const struct ring_desc *d)
{
	struct flow *f;
	if (flow_of_id(s, d->flow, &f) < 0 || dgram_take(s, d) < 0)
		return -EPROTO;
	if (dgram_bytes(d) > FRAG_PAYLOAD_MAX - L4_BYTES || (f && !dgram_possible(f, d)))
		return -EPROTO;
	if (f && !flow_guest(s, f)->known) {
		park_datagram(s, flow_guest(s, f), d);
		return 0;
	}
	if (f)
		dgram_download(s, f, d);
	for (unsigned int i = 0; i < d->nseg; i++)
		hold_limbo(s, d->seg[i].id);
	return 0;
}

int stack_op_dgram_error(struct stack *s, const struct ring_desc *d)
{
	struct flow *f;
	struct icmp_quote q = {.offender_ip_be = d->pair.remote_ip_be,
		.remote_ip_be = d->remote.ip_be,
		.type = (uint8_t)(d->pair.token >> 8),
		.code = (uint8_t)d->pair.token,
		.detail = (uint16_t)d->pair.kind,
		.sent = quote_find(&s->quotes, d->flow, &d->remote)};
	struct wire_out w = wire_out(q.inner, sizeof(q.inner));
	if (flow_of_id(s, d->flow, &f) < 0 || !icmp_is_passed(q.type, q.code))
		return -EPROTO;
	if (!f)
		return 0;
	if (f->key.kind == FLOW_TCP)
		return -EPROTO;
	q.remote_ip_be = dgram_source(s, f, q.remote_ip_be);
	q.protocol = dgram_protocol(f);
	if (f->key.kind == FLOW_UDP)
		udp_quote(f, d, &w);
	else if (f->key.kind == FLOW_ECHO)
		icmp_quote_echo(f, d, &w);
	else
		esp_quote(f, &w);
	icmp_quote_error(s, flow_guest(s, f), &q);
	return 0;
}

/* The flow that a peer from outside begins: 0, or -EPROTO where no flow can be that. */
static int dgram_incoming_key(const struct ring_pair *pair, struct flow_key *key)
{
	*key = (struct flow_key){.guest_ip_be = pair->guest_ip_be};
	if (pair->kind == DGRAM_ESP)
		return esp_incoming_key(pair, key);
	if (pair->kind != DGRAM_UDP)
		return -EPROTO;
	key->guest_port = pair->guest_port;
	key->kind = FLOW_UDP;
	return 0;
}

int stack_op_dgram_incoming(struct stack *s, const struct ring_desc *d)
{
	struct flow_key key;
	struct guest *g;
	if (dgram_incoming_key(&d->pair, &key) < 0)
		return -EPROTO;
	if (!stack_may_reach(s, key.guest_ip_be)) {
		drop_count(s->drops, DROP_DENIED);
		return 0;
	}
	if (flow_find(s, &key))
		return 0; /* our own DGRAM_OPEN for it is on the way */
	g = guest_need(s, key.guest_ip_be);
	if (!g || !dgram_open(s, &key, g, d->pair.token))
		return 0;
	if (!g->known)
		arp_ask(s, g);
	return 0;
}

int stack_op_dgram_closed(struct stack *s, const struct ring_desc *d)
{
	struct flow *f;
	if (flow_of_id(s, d->flow, &f) < 0)
		return -EPROTO;
	if (f && f->key.kind == FLOW_TCP)
		return -EPROTO;
	if (f)
		dgram_closed(s, f);
	return 0;
}
