/*
 * Theory of operation: a datagram that fits is one SEND whose checksum the receiver finishes. One that does not is cut
 * here, because neither a TAP nor a switch does it: fragment k references its share of the payload, the first carries
 * the L4 header in its slot, and the checksum, which covers all of it, is computed before the first leaves.
 * A run of datagrams that fit is one SEND too: a super-frame that the guest's kernel, or the broker for a port that
 * has none, cuts. One whose datagrams do not fit is taken apart here, and each of them cut into fragments.
 */
#include <errno.h>
#include <string.h>

#include "state.h"

enum { L4_BYTES = 8, UDP_LENGTH_AT = 4 };

static uint32_t datagram_payload(const struct datagram *d)
{
	uint32_t bytes = 0;
	for (unsigned int i = 0; i < d->nseg; i++)
		bytes += d->seg[i].len;
	return bytes;
}

static void datagram_full_sum(struct stack *s, const struct datagram *d, uint8_t l4[L4_BYTES])
{
	uint32_t sum = wire_pseudo_sum(
		d->ip.src_be, d->ip.dst_be, d->ip.protocol, (uint16_t)d->ip.payload_bytes);
	uint16_t folded;
	sum = packet_sum_segs(s, d->seg, d->nseg, wire_sum(sum, l4, L4_BYTES));
	folded = wire_fold(sum);
	if (!folded)
		folded = 0xffff;
	l4[d->field] = (uint8_t)(folded >> 8);
	l4[d->field + 1] = (uint8_t)folded;
}

/* Adds payload bytes [from, from + bytes) to the frame; false when they lie in too many pieces. */
static bool datagram_slice(struct out *o, const struct datagram *d, uint32_t from, uint32_t bytes)
{
	for (unsigned int i = 0; i < d->nseg && bytes; i++) {
		uint32_t take;
		if (from >= d->seg[i].len) {
			from -= d->seg[i].len;
			continue;
		}
		take = d->seg[i].len - from < bytes ? d->seg[i].len - from : bytes;
		if (!out_seg(o, d->seg[i].id, d->seg[i].off + from, take))
			return false;
		bytes -= take;
		from = 0;
	}
	return true;
}

static int datagram_whole(
	struct stack *s, const struct guest *g, const struct datagram *d, uint32_t payload)
{
	struct out_ip ip = d->ip;
	struct out o;
	ip.id = (uint16_t)stack_random(
		s); /* may still be fragmented behind the hub (RFC 6864 4.3) */
	out_ip(s, &o, g, &ip);
	wire_put(&o.wire, d->l4, L4_BYTES);
	if (!d->sum_known)
		out_partial_checksum(&o, &d->ip, d->field, L4_BYTES, d->each);
	datagram_slice(&o, d, 0, payload);
	return out_send(s, &o, LINK_DATA);
}

static int datagram_fragments(
	struct stack *s, const struct guest *g, const struct datagram *d, uint32_t payload)
{
	uint32_t room = (s->config.mtu - IP_HEADER_BYTES) & ~7u, total = L4_BYTES + payload;
	uint8_t l4[L4_BYTES];
	struct out_ip ip = d->ip;
	int err = 0;
	memcpy(l4, d->l4, sizeof(l4));
	if (!d->sum_known)
		datagram_full_sum(s, d, l4);
	ip.id = (uint16_t)stack_random(s);
	for (uint32_t at = 0; at < total && !err; at += room) {
		struct out o;
		ip.payload_bytes = total - at < room ? total - at : room;
		ip.frag = (uint16_t)(at / 8 | (at + room < total ? IP_MORE_FRAGMENTS : 0));
		out_ip(s, &o, g, &ip);
		if (at == 0)
			wire_put(&o.wire, l4, L4_BYTES);
		datagram_slice(&o, d, at ? at - L4_BYTES : 0,
			at ? ip.payload_bytes : ip.payload_bytes - L4_BYTES);
		err = out_send(s, &o, LINK_DATA);
	}
	return err;
}

/* Datagram [from, from + bytes) of a run, on its own. */
static int datagram_of_run(struct stack *s, const struct guest *g, const struct datagram *run,
	uint32_t from, uint32_t bytes)
{
	struct datagram one = *run;
	struct out part = {.desc.nseg = 0};
	uint32_t length = L4_BYTES + bytes;
	datagram_slice(&part, run, from, bytes);
	one.seg = part.desc.seg;
	one.nseg = part.desc.nseg;
	one.each = 0;
	one.ip.payload_bytes = length;
	one.l4[UDP_LENGTH_AT] = (uint8_t)(length >> 8);
	one.l4[UDP_LENGTH_AT + 1] = (uint8_t)length;
	return datagram_send(s, g, &one);
}

/* What of a run finds room leaves; each datagram that does not is counted. */
static int datagram_apart(
	struct stack *s, const struct guest *g, const struct datagram *run, uint32_t payload)
{
	int err = 0;
	for (uint32_t from = 0; from < payload; from += run->each) {
		uint32_t bytes = payload - from < run->each ? payload - from : run->each;
		int one = datagram_of_run(s, g, run, from, bytes);
		err = err ? err : one;
	}
	return err;
}

int datagram_send(struct stack *s, const struct guest *g, const struct datagram *d)
{
	uint32_t payload = datagram_payload(d);
	bool fits = IP_HEADER_BYTES + L4_BYTES + (d->each ? d->each : payload) <= s->config.mtu;
	int err;
	if (!fits && d->each)
		return datagram_apart(s, g, d, payload);
	if (fits)
		err = datagram_whole(s, g, d, payload);
	else
		err = datagram_fragments(s, g, d, payload);
	if (err)
		drop_count_many(s->drops, DROP_RING_FULL, ring_run_count(payload, d->each));
	return err;
}
