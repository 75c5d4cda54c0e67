/*
 * Theory of operation. The guest's memory of what the gateway SACKed, and what follows from it (RFC 6675): a hole is lost
 * when more than two segments' worth beyond it arrived; what is on the way is what was sent, less what is SACKed, less
 * what is lost and not sent again. A retransmission is lost again when what left after it arrived (as RFC 8985
 * would find).
 */
#include <string.h>

#include "guest.h"

void guest_sack_clear(struct guest_conn *c)
{
	c->boards = 0;
	c->resent_to = c->una;
}

void guest_sack_take(struct guest_conn *c, uint64_t start, uint64_t end)
{
	uint32_t i = 0, j;
	if (start < c->una || start >= end || end > c->max)
		return;
	while (i < c->boards && c->board[i].end < start)
		i++;
	for (j = i; j < c->boards && c->board[j].start <= end; j++) {
		start = start < c->board[j].start ? start : c->board[j].start;
		end = end > c->board[j].end ? end : c->board[j].end;
	}
	if (i == j && c->boards == GUEST_RANGES)
		return;
	memmove(&c->board[i + 1], &c->board[j], (c->boards - j) * sizeof(c->board[0]));
	c->boards = c->boards + 1 + i - j;
	c->board[i] = (struct guest_range){start, end};
}

void guest_sack_trim(struct guest_conn *c)
{
	uint32_t gone = 0;
	while (gone < c->boards && c->board[gone].end <= c->una)
		gone++;
	memmove(c->board, c->board + gone, (c->boards - gone) * sizeof(c->board[0]));
	c->boards -= gone;
	if (c->boards && c->board[0].start < c->una)
		c->board[0].start = c->una;
	c->resent_to = c->resent_to > c->una ? c->resent_to : c->una;
}

static uint64_t sacked(const struct guest_conn *c, uint64_t from, uint64_t to)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < c->boards; i++) {
		uint64_t start = c->board[i].start > from ? c->board[i].start : from;
		uint64_t end = c->board[i].end < to ? c->board[i].end : to;
		bytes += end > start ? end - start : 0;
	}
	return bytes;
}

uint64_t guest_sack_edge(const struct guest_conn *c)
{
	uint64_t above = 0;
	for (uint32_t i = c->boards; i--;) {
		above += c->board[i].end - c->board[i].start;
		if (above > 2 * GUEST_MSS)
			return c->board[i].start;
	}
	return c->una;
}

uint64_t guest_sack_pipe(const struct guest_conn *c)
{
	uint64_t edge = guest_sack_edge(c), resent = c->resent_to < edge ? c->resent_to : edge;
	return c->nxt - edge - sacked(c, edge, c->nxt) + (resent - c->una) -
	       sacked(c, c->una, resent);
}

bool guest_sack_hole(struct guest_conn *c, uint64_t *start, uint64_t *end)
{
	uint64_t at = c->resent_to;
	bool again = at > c->una && sacked(c, c->resent_mark, c->max) > 2 * GUEST_MSS;
	*end = guest_sack_edge(c);
	if (again || at == c->una) {
		at = c->una;
		c->resent_mark = c->max;
	}
	for (uint32_t i = 0; i < c->boards; i++) {
		if (at < c->board[i].start) {
			*end = *end < c->board[i].start ? *end : c->board[i].start;
			break;
		}
		at = at > c->board[i].end ? at : c->board[i].end;
	}
	*start = at;
	return at < *end;
}
