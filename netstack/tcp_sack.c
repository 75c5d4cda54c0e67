/*
 * Theory of operation (RFC 2018, RFC 6675): the board is a sorted list of disjoint ranges above snd_una that the guest
 * says it has. What lies between is a hole. A hole is lost when more than (3 - 1) segments' worth above it arrived; from
 * that follows one number, lost_edge, below which every hole is lost. resent_to says how far holes were sent
 * again. Then
 *
 *     snd_una ....[sacked]....[sacked]...lost_edge....[sacked]......snd_nxt
 *             hole        hole          |  still believed to be on the way
 *
 * pipe = holes above lost_edge, plus those below resent_to. A guest without SACK is treated the same, with each
 * duplicate acknowledgement standing for one segment that left the network (RFC 6582).
 */
#include "state.h"

static void board_remove(struct tcp *t, unsigned int at, unsigned int n)
{
	for (unsigned int i = at; i + n < t->ranges; i++)
		t->board[i] = t->board[i + n];
	t->ranges = (uint8_t)(t->ranges - n);
}

/* Adds one range; true when it holds something new. */
static bool board_add(struct tcp *t, struct tcp_range r)
{
	unsigned int at = 0, over;
	while (at < t->ranges && seq_lt(t->board[at].end, r.start))
		at++;
	if (at < t->ranges && seq_le(t->board[at].start, r.start) &&
		seq_le(r.end, t->board[at].end))
		return false;
	for (over = at; over < t->ranges && seq_le(t->board[over].start, r.end); over++) {
		r.start = seq_min(r.start, t->board[over].start);
		r.end = seq_max(r.end, t->board[over].end);
	}
	if (over > at) {
		t->board[at] = r;
		board_remove(t, at + 1, over - at - 1);
		return true;
	}
	if (t->ranges == TCP_BOARD_RANGES) {
		if (at == t->ranges)
			return false;
		t->ranges--;
	}
	for (unsigned int i = t->ranges; i > at; i--)
		t->board[i] = t->board[i - 1];
	t->board[at] = r;
	t->ranges++;
	return true;
}

bool tcp_sack_take(struct tcp *t, const struct tcp_options *o)
{
	bool news = false;
	if (!t->use_sack)
		return false;
	for (unsigned int i = 0; i < o->sacks; i++) {
		struct tcp_range r = o->sack[i];
		if (!seq_lt(r.start, r.end) || !seq_lt(t->snd_una, r.start) ||
			!seq_le(r.end, t->snd_nxt))
			continue;
		news |= board_add(t, r);
	}
	return news;
}

void tcp_sack_advance(struct tcp *t)
{
	unsigned int gone = 0;
	while (gone < t->ranges && seq_le(t->board[gone].end, t->snd_una))
		gone++;
	board_remove(t, 0, gone);
	if (t->ranges && seq_lt(t->board[0].start, t->snd_una))
		t->board[0].start = t->snd_una;
}

uint32_t tcp_sack_bytes(const struct tcp *t, uint32_t from, uint32_t to)
{
	uint32_t bytes = 0;
	for (unsigned int i = 0; i < t->ranges; i++) {
		uint32_t start = seq_max(t->board[i].start, from),
			 end = seq_min(t->board[i].end, to);
		if (seq_lt(start, end))
			bytes += end - start;
	}
	return bytes;
}

uint32_t tcp_pipe(const struct tcp *t)
{
	uint32_t flight = t->snd_nxt - t->snd_una, left, resent;
	if (!t->ranges && !t->recovering) {
		left = (uint32_t)t->dup_acks * t->mss;
		return left < flight ? flight - left : 0;
	}
	if (!t->recovering)
		return flight - tcp_sack_bytes(t, t->snd_una, t->snd_nxt);
	left = seq_max(t->lost_edge, t->snd_una);
	resent = seq_max(seq_min(t->resent_to, left), t->snd_una);
	flight = t->snd_nxt - left - tcp_sack_bytes(t, left, t->snd_nxt);
	flight += resent - t->snd_una - tcp_sack_bytes(t, t->snd_una, resent);
	left = t->by_count ? (uint32_t)t->dup_acks * t->mss : 0;
	return left < flight ? flight - left : 0;
}

bool tcp_sack_next_lost(const struct tcp *t, struct tcp_range *r)
{
	uint32_t at = seq_max(t->resent_to, t->snd_una);
	r->end = t->lost_edge;
	for (unsigned int i = 0; i < t->ranges; i++) {
		if (seq_le(t->board[i].end, at))
			continue;
		if (seq_lt(at, t->board[i].start)) {
			r->end = seq_min(r->end, t->board[i].start);
			break;
		}
		at = t->board[i].end;
	}
	r->start = at;
	return seq_lt(r->start, r->end);
}

bool tcp_sack_find_lost(struct tcp *t)
{
	uint32_t above = 0, need = (TCP_DUP_ACKS - 1) * (uint32_t)t->mss;
	unsigned int i = t->ranges;
	bool probe_heard = t->probe_start != t->probe_end && t->ranges &&
			   seq_le(t->probe_end, t->board[t->ranges - 1].end);
	if (probe_heard) {
		t->lost_edge = seq_max(t->lost_edge, t->board[t->ranges - 1].start);
		t->probe_end = t->probe_start;
	}
	while (i > 0 && above <= need) {
		i--;
		above += t->board[i].end - t->board[i].start;
	}
	if (above > need)
		t->lost_edge = seq_max(t->lost_edge, t->board[i].start);
	return seq_lt(t->snd_una, t->lost_edge);
}
