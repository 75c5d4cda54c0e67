/*
 * Theory of operation: ESP (RFC 4303) is carried as it is; what it holds is encrypted, and its header, a guest's SPI and
 * a sequence number, is nobody's to change. Each SPI that a guest sends by to a peer is a datagram flow (dgram.c); which
 * of them an answer belongs to is natproxy's to find out (its esp.h). A flow with SPI 0, which no packet has
 * (RFC 4303 2.1), is of a peer that spoke first.
 *
 * Between here and natproxy the payload of a DGRAM_DATA is the whole packet. To the guest its first 8 bytes take the
 * place of the transport header, so that fragmenting works as for UDP.
 */
#include <errno.h>
#include <string.h>

#include "state.h"

enum { ESP_HEADER_BYTES = 8, SPI_HALF_BITS = 16 };

void esp_input(struct stack *s, struct packet *p, struct guest *g)
{
	struct wire_in w = packet_wire(p, p->l4_at);
	const uint32_t spi = wire_u32(&w);
	const struct flow_key key = {.guest_ip_be = p->src_be,
		.remote_ip_be = p->dst_be,
		.guest_port = (uint16_t)(spi >> SPI_HALF_BITS),
		.remote_port = (uint16_t)spi,
		.kind = FLOW_ESP};
	const struct ring_remote remote = {
		.ip_be = p->dst_be, .ttl = (uint8_t)(p->ttl - 1), .tos = p->tos};
	wire_u32(&w);
	if (!wire_ok(&w) || !spi) {
		drop_count(s->drops, DROP_ESP_BAD);
		return;
	}
	if (stack_is_gateway_ip(s, p->dst_be)) {
		drop_count(s->drops, DROP_IP_PROTOCOL);
		icmp_error(s, p, g, ICMP_UNREACHABLE, ICMP_PROTOCOL);
		return;
	}
	if (!s->config.nat_enable) {
		drop_count(s->drops, DROP_DENIED);
		icmp_error(s, p, g, ICMP_UNREACHABLE, ICMP_PROHIBITED);
		return;
	}
	dgram_upload(s, p, g, &key, &remote, p->l4_at, 0);
}

void esp_wrap(const struct stack *s, struct datagram *out, struct ring_seg *piece)
{
	memcpy(out->l4, arena_view_ptr(s->view, piece->id, piece->off), ESP_HEADER_BYTES);
	piece->off += ESP_HEADER_BYTES;
	piece->len -= ESP_HEADER_BYTES;
	out->sum_known = true;
}

void esp_quote(const struct flow *f, struct wire_out *inner)
{
	wire_put_u16(inner, f->key.guest_port);
	wire_put_u16(inner, f->key.remote_port);
	wire_put_u16(inner, 0); /* the sequence number, which is not known */
	wire_put_u16(inner, 0);
}

int esp_incoming_key(const struct ring_pair *pair, struct flow_key *key)
{
	if (!pair->remote_ip_be || pair->guest_port || pair->remote_port)
		return -EPROTO;
	key->remote_ip_be = pair->remote_ip_be;
	key->kind = FLOW_ESP;
	return 0;
}
