/*
 * A walk over BER. The elements that are open form a stack; each level knows where the next element
 * begins and by how much edits made it grow:
 *
 *   30 len [ 02 01 07  68 len [ 04 .. .. 30 len [ ... ] ] ]
 *   level 1            level 2           level 3   edit: 3 grew, then 2, then 1, as they are left
 *
 * A length keeps its number of octets while the new one fits (some senders use four for whatever
 * length); else it gets as few more as will do, and its enclosing elements grow by those, too. An
 * outer length stands before the edits that made it grow, but is known after them: so edits are put
 * in order at the end.
 *
 * Every call reads forward or fails, so a walk ends after as many steps as the message has bytes.
 */
#include "ber.h"

#include <string.h>

enum { TAG_LONG = 0x1f, LENGTH_LONG = 0x80, LENGTH_COUNT = 0x7f };

/* Tag and length of the element that begins p[0..n); 0: not all there, -1: not BER of our kind. */
static int header(const uint8_t *p, size_t n, struct ber *e)
{
	if (n < 2)
		return 0;
	if ((p[0] & TAG_LONG) == TAG_LONG)
		return -1;
	const unsigned int more = p[1] & LENGTH_LONG ? p[1] & LENGTH_COUNT : 0;
	if (p[1] == LENGTH_LONG || more >= BER_LENGTH_OCTETS)
		return -1;
	if (n < 2 + more)
		return 0;
	*e = (struct ber){.tag = p[0], .length_octets = (uint8_t)(1 + more), .bytes = p[1]};
	if (more)
		e->bytes = 0;
	for (unsigned int i = 0; i < more; i++)
		e->bytes = e->bytes << 8 | p[2 + i];
	return (int)(2 + more);
}

size_t ber_size(const uint8_t *p, size_t n)
{
	struct ber e;
	const int octets = header(p, n, &e);
	return octets < 0 ? SIZE_MAX : octets ? (size_t)octets + e.bytes : 0;
}

void ber_begin(struct ber_walk *w, const uint8_t *p, size_t n, struct alg_answer *a)
{
	w->p = p;
	w->answer = a;
	w->failed = w->full = false;
	w->depth = 0;
	w->level[0].next = 0;
	w->level[0].end = (uint32_t)n;
	w->level[0].grown = 0;
}

bool ber_more(const struct ber_walk *w)
{
	return !w->failed && w->level[w->depth].next < w->level[w->depth].end;
}

struct ber ber_take_any(struct ber_walk *w)
{
	struct ber e = {0};
	const uint32_t at = w->level[w->depth].next, left = w->level[w->depth].end - at;
	const int octets = ber_more(w) ? header(w->p + at, left, &e) : 0;
	if (octets <= 0 || e.bytes > left - (uint32_t)octets) {
		w->failed = true;
		return (struct ber){0};
	}
	e.length_at = at + 1;
	e.at = at + (uint32_t)octets;
	w->level[w->depth].next = e.at + e.bytes;
	return e;
}

struct ber ber_take(struct ber_walk *w, uint8_t tag)
{
	const struct ber e = ber_take_any(w);
	if (e.tag == tag)
		return e;
	w->failed = true;
	return (struct ber){0};
}

void ber_enter_taken(struct ber_walk *w, const struct ber *taken)
{
	if (w->depth == BER_DEPTH)
		w->failed = true;
	if (w->failed)
		return;
	w->depth++;
	w->level[w->depth].element = *taken;
	w->level[w->depth].next = taken->at;
	w->level[w->depth].end = taken->at + taken->bytes;
	w->level[w->depth].grown = 0;
}

void ber_enter(struct ber_walk *w, uint8_t tag)
{
	const struct ber e = ber_take(w, tag);
	ber_enter_taken(w, &e);
}

/* Writes a length, in as many octets as it had if it fits; returns how many it takes now. */
static unsigned int put_length(uint8_t *out, const struct ber *old, uint64_t bytes)
{
	unsigned int octets = bytes < LENGTH_LONG ? 1 : 2;
	while (octets > 1 && bytes >> (8 * (octets - 1)))
		octets++;
	if (octets < old->length_octets)
		octets = old->length_octets;
	out[0] = octets > 1 ? (uint8_t)(LENGTH_LONG | (octets - 1)) : (uint8_t)bytes;
	for (unsigned int i = 1; i < octets; i++)
		out[i] = (uint8_t)(bytes >> (8 * (octets - 1 - i)));
	return octets;
}

static struct alg_edit *edit(struct ber_walk *w, uint32_t at, uint32_t old_bytes)
{
	struct alg_edit *e = w->failed || w->full ? NULL : alg_edit_add(w->answer, at, old_bytes);
	w->full |= !e;
	return e;
}

void ber_leave(struct ber_walk *w)
{
	if (ber_more(w))
		w->failed = true;
	if (w->failed)
		return;
	const struct ber *e = &w->level[w->depth].element;
	const int64_t grown = w->level[w->depth--].grown;
	struct alg_edit *length = grown ? edit(w, e->length_at, e->length_octets) : NULL;
	if (!length)
		return;
	length->bytes = put_length(length->text, e, (uint64_t)(e->bytes + grown));
	w->level[w->depth].grown += grown + length->bytes - e->length_octets;
}

void ber_skip(struct ber_walk *w)
{
	while (ber_more(w))
		ber_take_any(w);
}

uint32_t ber_number(struct ber_walk *w, uint8_t tag)
{
	const struct ber e = ber_take(w, tag);
	uint32_t value = 0;
	if (!e.bytes || e.bytes > sizeof(value) || w->p[e.at] & 0x80)
		w->failed = true;
	for (uint32_t i = 0; !w->failed && i < e.bytes; i++)
		value = value << 8 | w->p[e.at + i];
	return value;
}

void ber_replace(struct ber_walk *w, const struct ber *taken, const void *contents, size_t n)
{
	const bool same = n == taken->bytes;
	const uint32_t at = same ? taken->at : taken->length_at;
	struct alg_edit *e = edit(w, at, taken->at + taken->bytes - at);
	if (!e)
		return;
	e->bytes = same ? 0 : put_length(e->text, taken, n);
	memcpy(e->text + e->bytes, contents, n);
	e->bytes += (uint32_t)n;
	w->level[w->depth].grown += (int64_t)e->bytes - e->old_bytes;
}

static void put_in_order(struct alg_answer *a)
{
	for (unsigned int i = 1; i < a->edit_count; i++) {
		const struct alg_edit e = a->edit[i];
		unsigned int to = i;
		for (; to && a->edit[to - 1].at > e.at; to--)
			a->edit[to] = a->edit[to - 1];
		a->edit[to] = e;
	}
}

bool ber_end(struct ber_walk *w)
{
	while (!w->failed && w->depth)
		ber_leave(w);
	if (ber_more(w))
		w->failed = true;
	if (w->failed || w->full)
		w->answer->edit_count = 0;
	put_in_order(w->answer);
	return !w->failed;
}
