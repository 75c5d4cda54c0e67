/*
 * Theory of operation: a frame lies in one or two buffers, a reassembled datagram in one. Both look the same from
 * here on, so nobody above knows where the cut is. A piece of odd length swaps the byte lanes of the checksum for
 * all that follows, which packet_sum_segs undoes.
 */
#include <string.h>

#include "state.h"

unsigned int packet_pieces(
	const struct packet *p, uint32_t at, uint32_t bytes, struct ring_seg out[PACKET_SEGS])
{
	unsigned int n = 0;
	at -= p->seg_at;
	for (unsigned int i = 0; i < p->nseg && bytes; i++) {
		const struct ring_seg *seg = &p->seg[i];
		uint32_t take;
		if (at >= seg->len) {
			at -= seg->len;
			continue;
		}
		take = seg->len - at < bytes ? seg->len - at : bytes;
		out[n++] = (struct ring_seg){seg->off + at, take, seg->id};
		bytes -= take;
		at = 0;
	}
	return n;
}

void packet_copy(
	const struct stack *s, const struct packet *p, uint32_t at, uint32_t bytes, void *out)
{
	struct ring_seg piece[PACKET_SEGS];
	unsigned int n = packet_pieces(p, at, bytes, piece);
	uint8_t *to = out;
	for (unsigned int i = 0; i < n; i++) {
		memcpy(to, arena_view_ptr(s->view, piece[i].id, piece[i].off), piece[i].len);
		to += piece[i].len;
	}
}

uint32_t packet_sum_segs(
	const struct stack *s, const struct ring_seg *seg, unsigned int nseg, uint32_t sum)
{
	bool odd = false;
	for (unsigned int i = 0; i < nseg; i++) {
		const uint8_t *bytes = arena_view_ptr(s->view, seg[i].id, seg[i].off);
		uint32_t part = (uint16_t)~wire_fold(wire_sum(0, bytes, seg[i].len));
		if (odd)
			part = (part >> 8 | part << 8) & 0xffff;
		sum += part;
		odd ^= seg[i].len & 1;
	}
	return sum;
}

uint32_t packet_sum(
	const struct stack *s, const struct packet *p, uint32_t at, uint32_t bytes, uint32_t sum)
{
	struct ring_seg piece[PACKET_SEGS];
	unsigned int n = packet_pieces(p, at, bytes, piece);
	return packet_sum_segs(s, piece, n, sum);
}

void packet_from_frame(struct stack *s, struct packet *p, const struct ring_desc *d)
{
	*p = (struct packet){
		.port = d->flow, .csum_ok = d->rx.csum_ok != 0, .gso_bytes = d->rx.gso_size};
	for (unsigned int i = 0; i < d->nseg && i < PACKET_SEGS; i++) {
		p->seg[p->nseg++] = d->seg[i];
		p->bytes += d->seg[i].len;
	}
	p->head_bytes = p->bytes < PACKET_HEAD_BYTES ? p->bytes : PACKET_HEAD_BYTES;
	packet_copy(s, p, 0, p->head_bytes, p->head);
	p->to_us = p->head_bytes >= 6 && stack_is_gateway_mac(s, p->head);
}
