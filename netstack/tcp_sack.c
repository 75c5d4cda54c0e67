/*
 * Theory of operation (RFC 2018, RFC 2883): the blocks of an acknowledgement are checked, sorted and laid over the
 * records of what is on its way (tcp_sent.h) in one walk. A block is taken only if it lies beyond snd_una and
 * within what was sent; anything else of a hostile or confused guest is passed over.
 *
 * The first block may be no news but a duplicate: it lies below the acknowledgement, or inside the second block.
 */
#include "state.h"

static bool sack_is_duplicate(const struct tcp_options *o, uint32_t ack)
{
	const struct tcp_range *b = o->sack;
	if (!o->sacks || !seq_lt(b->start, b->end))
		return false;
	if (seq_lt(b->start, ack))
		return seq_le(b->end, ack);
	return o->sacks > 1 && seq_le(b[1].start, b->start) && seq_le(b->end, b[1].end);
}

/* The blocks that can be true, ascending. */
static unsigned int sack_sorted(const struct tcp *t, const struct tcp_options *o, unsigned int from,
	struct tcp_range out[TCP_SACK_BLOCKS])
{
	unsigned int n = 0, at;
	for (unsigned int i = from; i < o->sacks; i++) {
		struct tcp_range r = o->sack[i];
		if (!seq_lt(r.start, r.end) || !seq_lt(t->snd_una, r.start) ||
			!seq_le(r.end, t->snd_nxt))
			continue;
		for (at = n++; at && seq_lt(r.start, out[at - 1].start); at--)
			out[at] = out[at - 1];
		out[at] = r;
	}
	return n;
}

void tcp_sack_take(struct stack *s, struct tcp *t, const struct tcp_segment *seg, struct tcp_ack *a)
{
	const struct tcp_options *o = &seg->options;
	struct tcp_range block[TCP_SACK_BLOCKS];
	struct sent_cursor c = tcp_sent_first(t);
	bool twice = sack_is_duplicate(o, seg->ack);
	unsigned int n;
	if (!t->use_sack || !o->sacks)
		return;
	a->sacks = o->sacks;
	if (twice) {
		a->dsack = tcp_undo_dsack(t, &o->sack[0]);
		a->probe_twice = t->probing && o->sack[0].end == t->probe_end;
	}
	n = sack_sorted(t, o, twice, block);
	for (unsigned int i = 0; i < n; i++)
		tcp_sent_sacked(s, t, &c, block[i], a);
}

uint32_t tcp_pipe(const struct tcp *t)
{
	uint32_t out = t->snd_nxt - t->snd_una - t->sacked - t->lost;
	uint32_t left = t->use_sack ? 0 : (uint32_t)t->dup_acks * t->mss;
	return left < out ? out - left : 0;
}
