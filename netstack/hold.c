/*
 * Theory of operation: limbo is one first-in-first-out queue, because the ring index at which an entry becomes
 * free only grows. A descriptor that names a buffer was always sent before the buffer enters limbo, so "the
 * broker consumed everything that was sent until now" is the exact condition, whoever acknowledged what.
 *
 * hold_room is what keeps one stuck far end, or a hundred, from stopping all guests: each class of buffers counts by
 * itself (a class that is exhausted stops the broker, however much of the other is free), and flows share five
 * eighths of it. The broker stops reading a port that holds three quarters (bridge.c), so there always is
 * something left for who holds nothing.
 */
#include <errno.h>
#include <string.h>

#include "state.h"

uint16_t hold_number(uint32_t id)
{
	return (uint16_t)(buf_index(id) + (buf_arena(id) == ARENA_NETSTACK ? ARENA_MAX_IDS : 0));
}

uint32_t hold_id(uint16_t number)
{
	return number < ARENA_MAX_IDS ? buf_id(ARENA_BROKER, number)
				      : buf_id(ARENA_NETSTACK, number - ARENA_MAX_IDS);
}

uint32_t hold_units(uint32_t id)
{
	return buf_index(id) < ARENA_SMALL_COUNT ? 1 : HOLD_UNITS_LARGE;
}

struct hold *hold_rx(struct stack *s, uint32_t id)
{
	return &s->holds.rx[hold_number(id)];
}

struct hold *hold_tx(struct stack *s, uint32_t id)
{
	return &s->holds.tx[buf_index(id)];
}

int hold_take_frame(struct stack *s, uint32_t id)
{
	struct hold *h = hold_rx(s, id);
	if (h->state != HOLD_FREE)
		return -EPROTO;
	h->state = HOLD_MINE;
	h->flow = 0;
	s->holds.frames++;
	s->holds.pinned[buf_class_of(id)]++;
	return 0;
}

uint32_t hold_take_own(struct stack *s, enum buf_class c)
{
	uint32_t id = arena_take(s->arena, c, false);
	if (!id)
		return 0;
	hold_rx(s, id)->state = HOLD_MINE;
	hold_rx(s, id)->flow = 0;
	return id;
}

bool hold_copy(struct stack *s, struct ring_seg *piece, unsigned int *n)
{
	uint32_t bytes = 0, at = 0, id;
	for (unsigned int i = 0; i < *n; i++)
		bytes += piece[i].len;
	if (!*n || buf_arena(piece[0].id) == ARENA_NETSTACK)
		return true;
	id = hold_take_own(s, bytes <= ARENA_SMALL_BYTES ? BUF_SMALL : BUF_LARGE);
	if (!id)
		return false;
	for (unsigned int i = 0; i < *n; i++) {
		memcpy(arena_ptr(s->arena, id) + at,
			arena_view_ptr(s->view, piece[i].id, piece[i].off), piece[i].len);
		at += piece[i].len;
	}
	piece[0] = (struct ring_seg){buf_offset(buf_index(id)), bytes, id};
	*n = 1;
	return true;
}

void hold_pin_own(struct stack *s, uint32_t id, const struct hold *as)
{
	*hold_rx(s, id) = *as;
	s->holds.pinned[buf_class_of(id)]++;
}

uint32_t hold_room_max(enum buf_class c)
{
	return buf_class_count(c) / 8 * 5;
}

uint32_t hold_room(const struct stack *s, enum buf_class c)
{
	uint32_t most = hold_room_max(c);
	return s->holds.pinned[c] < most ? most - s->holds.pinned[c] : 0;
}

static unsigned int hold_percent(const uint32_t used[2])
{
	unsigned int small = used[BUF_SMALL] * 100 / ARENA_SMALL_COUNT;
	unsigned int large = used[BUF_LARGE] * 100 / ARENA_LARGE_COUNT;
	return small > large ? small : large;
}

unsigned int hold_pinned_percent(const struct stack *s)
{
	return hold_percent(s->holds.pinned);
}

unsigned int hold_read_percent(const struct stack *s)
{
	return hold_percent(s->holds.read);
}

void hold_release(struct stack *s, uint32_t id)
{
	struct hold *h = hold_rx(s, id);
	if (h->flow)
		tcp_share_unpinned(s, h->flow, buf_class_of(id));
	if (h->flow || buf_arena(id) == ARENA_BROKER)
		s->holds.pinned[buf_class_of(id)]--;
	if (buf_arena(id) == ARENA_BROKER) {
		s->holds.frames--;
		link_release(s->broker, id);
	} else if (h->state != HOLD_LENT) {
		arena_untake(s->arena, id);
	}
	h->state = HOLD_FREE;
	h->flow = 0;
}

void hold_lend(struct stack *s, uint32_t id)
{
	hold_rx(s, id)->state = HOLD_LENT;
	if (buf_arena(id) == ARENA_NETSTACK)
		arena_lend(s->arena, id, ACTOR_NATPROXY);
}

int hold_returned(struct stack *s, uint32_t id)
{
	enum arena_id arena = buf_arena(id);
	if ((arena != ARENA_BROKER && arena != ARENA_NETSTACK) || buf_index(id) >= ARENA_MAX_IDS)
		return -EPROTO;
	if (hold_rx(s, id)->state != HOLD_LENT)
		return -EPROTO;
	if (arena == ARENA_NETSTACK && arena_return(s->arena, id, ACTOR_NATPROXY) < 0)
		return -EPROTO;
	hold_release(s, id);
	return 0;
}

int hold_take_read(struct stack *s, uint32_t id)
{
	struct hold *h = hold_tx(s, id);
	if (h->state != HOLD_FREE)
		return -EPROTO;
	h->state = HOLD_QUEUED;
	s->holds.reads++;
	s->holds.read[buf_class_of(id)]++;
	return 0;
}

void hold_limbo(struct stack *s, uint32_t id)
{
	struct hold_table *t = &s->holds;
	struct hold *h = buf_arena(id) == ARENA_NATPROXY ? hold_tx(s, id) : hold_rx(s, id);
	h->state = HOLD_LIMBO;
	t->limbo[t->limbo_tail++ % ARRAY_COUNT(t->limbo)] =
		(struct limbo_entry){id, link_sent_index(s->broker)};
}

void hold_poll(struct stack *s)
{
	struct hold_table *t = &s->holds;
	while (t->limbo_head != t->limbo_tail) {
		struct limbo_entry *e = &t->limbo[t->limbo_head % ARRAY_COUNT(t->limbo)];
		if (!link_peer_consumed(s->broker, e->index))
			return;
		t->limbo_head++;
		if (buf_arena(e->id) == ARENA_NATPROXY) {
			hold_tx(s, e->id)->state = HOLD_FREE;
			t->reads--;
			t->read[buf_class_of(e->id)]--;
			link_release(s->natproxy, e->id);
		} else {
			hold_release(s, e->id);
		}
	}
}
