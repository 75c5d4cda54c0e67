/*
 * One flow under inspection: theory of operation.
 *
 *   side.at                      bytes
 *     │◀── passed ──▶│◀─ message ─▶│◀── rest ──▶│     a buffer from the pool while anything waits
 *
 * stream_feed appends. stream_step asks the parser how long the first message is, gives it the
 * message, notes what it answered, and goes on until the message is incomplete, a wish is pending,
 * or the verdict is full of edits or acts. What was passed leaves the buffer at the end of the step; an
 * empty buffer goes back to the pool at once.
 *
 * Wishes of one message are granted together: when the last answer is there and one was a refusal,
 * those that were granted are closed again and the parser hears that there are none.
 *
 * A parser that answers outside its message is our own bug: abort, before natproxy has to refuse it.
 */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void stream_pool_init(struct stream_pool *p)
{
	for (uint16_t i = 0; i < STREAM_SMALL_COUNT; i++)
		p->free_small[i] = (uint16_t)(STREAM_SMALL_COUNT - 1 - i);
	for (uint16_t i = 0; i < STREAM_LARGE_COUNT; i++)
		p->free_large[i] = (uint16_t)(STREAM_LARGE_COUNT - 1 - i);
	p->small_count = STREAM_SMALL_COUNT;
	p->large_count = STREAM_LARGE_COUNT;
}

static uint16_t take_large(struct stream_pool *p, uint32_t guest_ip_be)
{
	uint32_t held = 0;
	for (int i = 0; i < STREAM_LARGE_COUNT; i++)
		held += p->large_guest_be[i] == guest_ip_be;
	if (held >= p->large_count)
		return 0;
	const uint16_t large = p->free_large[--p->large_count];
	p->large_guest_be[large] = guest_ip_be;
	return (uint16_t)(large + STREAM_SMALL_COUNT + 1);
}

/* One for so many bytes; 0: there is none for this guest. */
static uint16_t pool_take(struct stream_pool *p, size_t bytes, uint32_t guest_ip_be)
{
	if (bytes <= STREAM_SMALL_BYTES && p->small_count)
		return (uint16_t)(p->free_small[--p->small_count] + 1);
	return bytes <= STREAM_LARGE_BYTES ? take_large(p, guest_ip_be) : 0;
}

static void give_large(struct stream_pool *p, uint16_t large)
{
	p->large_guest_be[large] = 0;
	p->free_large[p->large_count++] = large;
}

static void pool_give(struct stream_pool *p, uint16_t buffer)
{
	if (buffer > STREAM_SMALL_COUNT)
		give_large(p, (uint16_t)(buffer - STREAM_SMALL_COUNT - 1));
	else if (buffer)
		p->free_small[p->small_count++] = (uint16_t)(buffer - 1);
}

static uint8_t *pool_ptr(struct stream_pool *p, uint16_t buffer)
{
	return buffer > STREAM_SMALL_COUNT ? p->large[buffer - STREAM_SMALL_COUNT - 1]
					   : p->small[buffer - 1];
}

static size_t pool_room(uint16_t buffer)
{
	if (!buffer)
		return 0;
	return buffer > STREAM_SMALL_COUNT ? STREAM_LARGE_BYTES : STREAM_SMALL_BYTES;
}

void stream_begin(struct stream_flow *f, const struct alg_protocol *protocol,
	const struct alg_flow *view, uint32_t message_max)
{
	*f = (struct stream_flow){
		.view = *view, .protocol = protocol, .message_max = protocol->message_max};
	if (message_max && message_max < f->message_max)
		f->message_max = message_max;
}

void stream_end(struct stream_pool *p, struct stream_flow *f)
{
	for (size_t i = 0; i < 2; i++) {
		pool_give(p, f->side[i].buffer);
		f->side[i].buffer = 0;
	}
	if (f->protocol->end)
		f->protocol->end(f->state, &f->view);
}

/* It is one that its message waits for still: then that message gets none of its wishes. */
static bool gone_too_soon(struct stream_wishes *w, uint32_t token)
{
	for (unsigned int i = 0; i < w->count; i++) {
		if (w->wish[i].token != token)
			continue;
		w->refused = true;
		w->wish[i].granted = false;
		return true;
	}
	return false;
}

void stream_gone(struct stream_flow *f, uint32_t token)
{
	if (gone_too_soon(&f->side[ALG_GUEST].wishes, token) ||
		gone_too_soon(&f->side[ALG_OUTSIDE].wishes, token))
		return;
	if (f->protocol->gone)
		f->protocol->gone(f->state, &f->view, token);
}

/* Room for `bytes` in all, moving to a large buffer if need be. */
static bool make_room(
	struct stream_pool *p, struct stream_side *s, size_t bytes, uint32_t guest_ip_be)
{
	if (bytes <= pool_room(s->buffer))
		return true;
	const uint16_t buffer = pool_take(p, bytes, guest_ip_be);
	if (!buffer)
		return false;
	if (s->bytes)
		memcpy(pool_ptr(p, buffer), pool_ptr(p, s->buffer), s->bytes);
	pool_give(p, s->buffer);
	s->buffer = buffer;
	return true;
}

int stream_feed(struct stream_pool *p, struct stream_flow *f, enum alg_direction from, uint64_t at,
	const uint8_t *bytes, size_t n, bool fin)
{
	struct stream_side *s = &f->side[from];
	if (at != s->at + s->bytes || n > STREAM_CHUNK_MAX || s->finished)
		return -EPROTO;
	if (!make_room(p, s, s->bytes + n, f->view.guest_ip_be))
		return -ENOBUFS;
	if (!f->view.stream) {
		if (s->datagrams == STREAM_DATAGRAMS)
			return -ENOBUFS;
		s->datagram[s->datagrams++] = (uint32_t)n;
	}
	if (n)
		memcpy(pool_ptr(p, s->buffer) + s->bytes, bytes, n);
	s->bytes += (uint32_t)n;
	s->finished = fin;
	return 0;
}

/* Drops what was passed from the front of the buffer. */
static void discard(struct stream_pool *p, struct stream_side *s, uint32_t passed)
{
	s->at += passed;
	s->bytes -= passed;
	if (s->bytes && passed)
		memmove(pool_ptr(p, s->buffer), pool_ptr(p, s->buffer) + passed, s->bytes);
	if (!s->bytes) {
		pool_give(p, s->buffer);
		s->buffer = 0;
	}
}

static void give_up(struct stream_out *out, bool violation, const char *why)
{
	out->give_up = true;
	out->violation = violation;
	out->why = why;
}

/* Length of the message at p; false when there is no whole one. The rest of a finished stream is no
 * message. */
static bool next_message(struct stream_flow *f, enum alg_direction from, const uint8_t *p,
	uint32_t *passed, uint32_t *length, struct stream_out *out)
{
	struct stream_side *s = &f->side[from];
	uint32_t left = s->bytes - *passed;
	if (!f->view.stream) {
		*length = s->datagram[0];
		return s->datagrams;
	}
	bool known = left < s->need; /* and not all there */
	size_t n = known  ? s->need
		   : left ? f->protocol->frame(f->state, &f->view, from, p, left, s->seen)
			  : 0;
	*length = (uint32_t)n;
	if (n > f->message_max || (!n && left >= f->message_max)) {
		give_up(out, true, "a message longer than allowed");
		return false;
	}
	s->seen = n ? 0 : left;
	s->need = n > left ? (uint32_t)n : 0;
	if (n > left)
		n = 0; /* it says how long it is before it is there */
	if (!n && s->finished)
		*passed = s->bytes;
	return n;
}

/* Adds the edits of one message to the verdict. */
static void add_edits(
	const struct alg_answer *a, uint64_t at, uint32_t length, struct stream_out *out)
{
	uint64_t end = 0;
	for (unsigned int i = 0; i < a->edit_count; i++) {
		const struct alg_edit *e = &a->edit[i];
		if (i >= ALG_EDITS || e->at < end || (uint64_t)e->at + e->old_bytes > length ||
			e->bytes > ALG_EDIT_BYTES)
			abort();
		end = (uint64_t)e->at + e->old_bytes;
		out->edit[out->edit_count++] = (struct stream_edit){at + e->at, *e};
	}
}

/* Whether another peer is named only where somebody is let in. */
static bool is_sound_act(const struct alg_act *act)
{
	switch (act->what) {
	case ALG_ARM: return act->token && !act->elsewhere;
	case ALG_KEEP: return act->token && !act->media && !act->elsewhere;
	case ALG_CLOSE: return act->token && !act->media;
	}
	return false;
}

static void add_acts(const struct alg_answer *a, struct stream_out *out)
{
	if (a->act_count > ALG_ACTS)
		abort();
	for (unsigned int i = 0; i < a->act_count; i++) {
		if (!is_sound_act(&a->act[i]))
			abort();
		out->act[out->act_count++] = a->act[i];
	}
}

static void add_words(const struct alg_answer *a, struct stream_out *out)
{
	if (a->hold_ms > out->hold_ms)
		out->hold_ms = a->hold_ms;
	out->notes += a->note != NULL;
	out->note = a->note ? a->note : out->note;
}

/* The ports of a wish are all there, and those of pairs begin with an even one. */
static bool is_sound_wish(const struct alg_wish *w)
{
	const unsigned int pairs = w->pairs ? w->pairs : 1;
	switch (w->kind) {
	case ALG_TCP_LISTEN:
	case ALG_TCP_SERVICE: return w->token && w->guest_port && !w->pairs && !w->peer_port;
	case ALG_TCP_WATCH:
		return w->token && !w->guest_port && !w->pairs && w->peer_port && w->peer_ip_be &&
		       w->inspect;
	case ALG_UDP_ONE: return w->token && w->guest_port && !w->pairs && !w->inspect;
	case ALG_UDP_PAIR:
		return w->token && w->guest_port && !(w->guest_port & 1) && pairs <= ALG_PAIRS &&
		       w->guest_port + 2 * pairs - 1 <= UINT16_MAX && !w->inspect;
	}
	return false;
}

static bool has_token(const struct stream_wishes *w, unsigned int count, uint32_t token)
{
	for (unsigned int i = 0; i < count; i++)
		if (w->wish[i].token == token)
			return true;
	return false;
}

/* A message was passed: the queue of datagrams moves up. */
static void advance(struct stream_flow *f, struct stream_side *s)
{
	if (!f->view.stream)
		memmove(s->datagram, s->datagram + 1, --s->datagrams * sizeof(s->datagram[0]));
}

/* The message waits for what it wishes. */
static void wait_for(struct stream_flow *f, enum alg_direction from, uint32_t length,
	const struct alg_answer *a, struct stream_out *out)
{
	struct stream_wishes *w = &f->side[from].wishes;
	if (!a->wish_count || a->wish_count > ALG_WISHES || !f->protocol->granted)
		abort();
	*w = (struct stream_wishes){.length = length, .count = a->wish_count};
	for (unsigned int i = 0; i < a->wish_count; i++) {
		if (!is_sound_wish(&a->wish[i]) || has_token(w, i, a->wish[i].token))
			abort();
		w->wish[i].token = a->wish[i].token;
		out->wish[out->wish_count++] = a->wish[i];
	}
}

/* Acts on the parser's answer; whether to go on with the next message. */
static bool settle(struct stream_flow *f, enum alg_direction from, uint32_t *passed,
	uint32_t length, struct stream_out *out)
{
	struct stream_side *s = &f->side[from];
	const struct alg_answer *a = &out->answer;
	add_acts(a, out);
	add_words(a, out);
	if (a->result == ALG_VIOLATION) {
		give_up(out, true, a->why);
		return false;
	}
	if (a->result == ALG_WISH) {
		wait_for(f, from, length, a, out);
		return false;
	}
	add_edits(a, s->at + *passed, length, out);
	*passed += length;
	advance(f, s);
	if (a->result == ALG_DONE)
		give_up(out, false, a->why);
	return !out->give_up;
}

static void clear_answer(struct alg_answer *a)
{
	memset(a, 0, offsetof(struct alg_answer, wish));
}

/* Parses on from `passed`, then turns what was passed into the verdict. */
static void run(struct stream_pool *p, struct stream_flow *f, enum alg_direction from,
	uint32_t passed, struct stream_out *out)
{
	struct stream_side *s = &f->side[from];
	uint32_t length;
	bool on = !s->wishes.count && !out->give_up;
	out->direction = from;
	while (on) {
		const uint8_t *message =
			s->buffer ? pool_ptr(p, s->buffer) + passed : (const uint8_t *)"";
		out->more = out->edit_count + ALG_EDITS > STREAM_EDITS ||
			    out->act_count + ALG_ACTS > STREAM_ACTS;
		if (out->more || !next_message(f, from, message, &passed, &length, out))
			break;
		clear_answer(&out->answer);
		f->protocol->message(f->state, &f->view, from, message, length, &out->answer);
		out->messages++;
		on = settle(f, from, &passed, length, out);
	}
	if (passed || out->edit_count) {
		out->verdict = true;
		out->until = s->at + passed;
		discard(p, s, passed);
	}
}

static void clear(struct stream_out *out)
{
	memset(out, 0, offsetof(struct stream_out, act));
}

void stream_step(struct stream_pool *p, struct stream_flow *f, enum alg_direction from,
	struct stream_out *out)
{
	clear(out);
	run(p, f, from, 0, out);
}

/* Notes natproxy's answer to one wish of this side; whether that was the last that was missing. */
static bool note_answer(struct stream_wishes *w, uint32_t token, const struct alg_grant *grant)
{
	for (unsigned int i = 0; i < w->count; i++) {
		if (w->wish[i].token != token || w->wish[i].answered)
			continue;
		w->wish[i].answered = true;
		w->wish[i].granted = grant;
		w->refused |= !grant;
		if (grant)
			w->grant[i] = *grant;
		return ++w->answered == w->count;
	}
	return false;
}

/* All wishes of a message are granted or none. */
static void close_rest(const struct stream_wishes *w, struct stream_out *out)
{
	for (unsigned int i = 0; i < w->count; i++)
		if (w->wish[i].granted)
			out->act[out->act_count++] =
				(struct alg_act){.what = ALG_CLOSE, .token = w->wish[i].token};
}

void stream_granted(struct stream_pool *p, struct stream_flow *f, uint32_t token,
	const struct alg_grant *grant, struct stream_out *out)
{
	enum alg_direction from = ALG_GUEST;
	uint32_t passed = 0;
	clear(out);
	if (!note_answer(&f->side[ALG_GUEST].wishes, token, grant)) {
		from = ALG_OUTSIDE;
		if (!note_answer(&f->side[ALG_OUTSIDE].wishes, token, grant))
			return;
	}
	struct stream_side *s = &f->side[from];
	struct stream_wishes *w = &s->wishes;
	const uint8_t *message = s->buffer ? pool_ptr(p, s->buffer) : (const uint8_t *)"";
	if (w->refused)
		close_rest(w, out);
	w->count = 0;
	clear_answer(&out->answer);
	f->protocol->granted(f->state, &f->view, from, message, w->length,
		w->refused ? NULL : w->grant, &out->answer);
	if (out->answer.result == ALG_WISH)
		abort();
	settle(f, from, &passed, w->length, out);
	run(p, f, from, passed, out);
}
