/*
 * Theory of operation. A message is looked at twice where it asks for something: once to tell what its call needs (h323_talk_need), and,
 * when that is granted, to be edited. An opening is `pending` between the two. All of a message's wishes are granted or none; with none it
 * goes on as it came, and its openings are forgotten.
 *
 *   message ──▶ needs ──▶ settle ──▶ no wish: edits
 *                              └──▶ ALG_WISH ... granted ──▶ edits
 *
 * A pinhole belongs to the flow that asked for it: it is armed and kept there only, but closed from anywhere.
 */
#include "h323_talk.h"

#include "h323_address.h"

void h323_talk_begin(struct h323_talk *t, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, struct alg_answer *a)
{
	t->f = f;
	t->from = from;
	t->p = p;
	t->a = a;
	t->call = NULL;
	t->failed = false;
	t->count = 0;
}

bool h323_talk_read(struct h323_talk *t, enum h323_root root, size_t at, size_t bytes)
{
	const int count = h323_walk(root, t->p + at, bytes, t->mark, H323_MARKS);
	t->count = count < 0 ? 0 : (unsigned int)count;
	for (unsigned int i = 0; i < t->count; i++)
		t->mark[i].at += (uint32_t)at;
	return count >= 0;
}

const struct h323_mark *h323_talk_mark(const struct h323_talk *t, enum h323_field field)
{
	for (unsigned int i = 0; i < t->count; i++)
		if (t->mark[i].field == field)
			return &t->mark[i];
	return NULL;
}

uint32_t h323_talk_value(const struct h323_talk *t, enum h323_field field, uint32_t otherwise)
{
	const struct h323_mark *m = h323_talk_mark(t, field);
	return m ? m->value : otherwise;
}

unsigned int h323_talk_behind(const struct h323_talk *t, unsigned int i)
{
	const uint32_t end = t->mark[i].at + t->mark[i].bytes;
	do
		i++;
	while (i < t->count && t->mark[i].at < end);
	return i;
}

bool h323_talk_is_sealed(struct h323_talk *t)
{
	for (unsigned int i = 0; i < t->count; i++) {
		if (t->mark[i].field != H323_TOKENS || !t->mark[i].value)
			continue;
		t->a->note = "a message that is authenticated (H.235)";
		return true;
	}
	return false;
}

static bool is_stream(enum alg_kind kind)
{
	return kind != ALG_UDP_ONE && kind != ALG_UDP_PAIR;
}

/* What is done to an opening, once: what ends it says more than what opens it, and that more than what keeps it. NULL: nothing more. */
static struct alg_act *act(
	struct h323_talk *t, enum alg_act_kind what, const struct h323_opening *o)
{
	struct alg_answer *a = t->a;
	for (unsigned int i = 0; i < a->act_count; i++) {
		struct alg_act *old = &a->act[i];
		const uint16_t flow = old->elsewhere ? old->flow : t->f->id;
		if (old->token != o->token || flow != o->flow)
			continue;
		if (what != ALG_KEEP)
			*old = (struct alg_act){.what = what, .token = o->token};
		return old;
	}
	if (a->act_count == ALG_ACTS)
		return NULL;
	alg_act_add(a, what, o->token);
	return &a->act[a->act_count - 1];
}

static struct h323_opening *opening(const struct h323_talk *t, int place)
{
	return h323_calls_opening(t->f->h323, t->call, place);
}

static bool serves(const struct h323_opening *o, const struct alg_wish *w)
{
	const bool pair = w->kind == ALG_UDP_PAIR;
	if (w->kind == ALG_TCP_WATCH || o->kind == ALG_TCP_WATCH)
		return o->kind == w->kind && o->peer_ip_be == w->peer_ip_be &&
		       o->peer_port == w->peer_port;
	if (is_stream(w->kind))
		return o->kind == w->kind && o->guest_port == w->guest_port;
	return h323_calls_holds(o, ALGS_UDP, w->guest_port) &&
	       (!pair || h323_calls_holds(o, ALGS_UDP, (uint16_t)(w->guest_port + 1)));
}

static int fail(struct h323_talk *t, const char *note)
{
	t->failed = true;
	t->a->note = note;
	return -1;
}

/* For whom it is from the first, if for anybody. */
static void begin_as(struct h323_opening *o, const struct alg_wish *w)
{
	o->peer_ip_be = w->peer_ip_be;
	o->armed = !w->latent;
	o->media = !w->latent && !is_stream(w->kind);
}

static int ask(struct h323_talk *t, struct alg_wish w)
{
	const int place = t->a->wish_count < ALG_WISHES
				  ? h323_calls_open(t->f->h323, t->call, t->f, t->from)
				  : -1;
	if (place < 0)
		return fail(t, "more ports than there is room for");
	struct h323_opening *o = opening(t, place);
	o->kind = (uint8_t)w.kind;
	o->guest_port = w.guest_port;
	o->peer_port = w.peer_port;
	begin_as(o, &w);
	w.token = o->token;
	t->a->wish[t->a->wish_count++] = w;
	return place;
}

/* This message asks for it already: where it is also needed at once, it is to be open at once. */
static void ask_more(struct h323_talk *t, struct h323_opening *o, const struct alg_wish *w)
{
	for (unsigned int i = 0; !w->latent && !o->armed && i < t->a->wish_count; i++) {
		if (t->a->wish[i].token != o->token)
			continue;
		t->a->wish[i].latent = false;
		t->a->wish[i].peer_ip_be = w->peer_ip_be;
		begin_as(o, w);
	}
}

int h323_talk_need(struct h323_talk *t, struct alg_wish w)
{
	const bool media = !is_stream(w.kind);
	if (w.kind != ALG_TCP_WATCH && w.guest_port < ALG_PORT_MIN)
		return fail(t, "a port of the guest below 1024");
	for (int place = 0; place < H323_CALL_OPENINGS; place++) {
		struct h323_opening *o = opening(t, place);
		if (!o || o->flow != t->f->id || !serves(o, &w))
			continue;
		if (o->pending)
			ask_more(t, o, &w);
		else if (w.latent)
			h323_talk_keep(t, (uint16_t)(1U << place));
		else
			h323_talk_arm(t, place, w.peer_ip_be, media);
		return place;
	}
	return ask(t, w);
}

const struct h323_opening *h323_talk_holds(
	const struct h323_talk *t, uint8_t transports, uint16_t guest_port)
{
	for (int place = 0; t->call && place < H323_CALL_OPENINGS; place++) {
		const struct h323_opening *o = opening(t, place);
		if (o && !o->pending && o->flow == t->f->id &&
			h323_calls_holds(o, transports, guest_port))
			return o;
	}
	return NULL;
}

void h323_talk_arm(struct h323_talk *t, int place, uint32_t peer_ip_be, bool media)
{
	struct h323_opening *o = opening(t, place);
	const uint32_t peer = h323_address_sends(peer_ip_be) ? peer_ip_be : t->f->peer_ip_be;
	if (o->pending || o->flow != t->f->id)
		return;
	if (o->armed && (is_stream(o->kind) || o->peer_ip_be == peer || o->media || !media)) {
		act(t, ALG_KEEP, o);
		return;
	}
	o->armed = true;
	o->media = media;
	o->peer_ip_be = peer;
	struct alg_act *a = act(t, ALG_ARM, o);
	if (!a || is_stream(o->kind))
		return;
	a->media = true;
	a->peer_ip_be = peer;
}

void h323_talk_keep(struct h323_talk *t, uint16_t places)
{
	for (int place = 0; place < H323_CALL_OPENINGS; place++) {
		const struct h323_opening *o = opening(t, place);
		if (places >> place & 1 && o && !o->pending && o->flow == t->f->id)
			act(t, ALG_KEEP, o);
	}
}

void h323_talk_close(struct h323_talk *t, uint16_t places)
{
	for (int place = 0; place < H323_CALL_OPENINGS; place++) {
		const struct h323_opening *o = opening(t, place);
		if (!o || !(places >> place & 1))
			continue;
		struct alg_act *a = act(t, ALG_CLOSE, o);
		if (a && o->flow != t->f->id) {
			a->elsewhere = true;
			a->flow = o->flow;
		}
		h323_calls_close(t->f->h323, t->call, place);
	}
}

void h323_talk_release(struct h323_talk *t)
{
	uint16_t places = 0;
	for (int place = 0; place < H323_CALL_OPENINGS; place++)
		if (opening(t, place) && !opening(t, place)->lasting)
			places |= (uint16_t)(1U << place);
	h323_talk_close(t, places);
	h323_calls_drop(t->f->h323, t->call);
	t->call = NULL;
}

void h323_talk_collect(struct h323_talk *t)
{
	uint16_t needed = t->call->kept;
	for (int i = 0; i < H323_CHANNELS; i++)
		needed |= t->call->channel[i].openings;
	for (int place = 0; place < H323_CALL_OPENINGS; place++) {
		const struct h323_opening *o = opening(t, place);
		if (o && (o->pending || o->lasting))
			needed |= (uint16_t)(1U << place);
	}
	h323_talk_close(t, (uint16_t)~needed);
}

/* Gives the openings that this message asked for their grants, or forgets them. They have the places in the order of their wishes, since
 * none was closed between; but for watches (ras.c), whose grants say nothing. false: there are none, as the call is over. */
static bool answer_needs(struct h323_talk *t, const struct alg_grant *grants)
{
	bool any = false;
	for (int place = 0; t->call && place < H323_CALL_OPENINGS; place++) {
		struct h323_opening *o = opening(t, place);
		if (!o || !o->pending || o->flow != t->f->id || o->from != t->from)
			continue;
		any = true;
		if (grants)
			h323_calls_granted(t->f->h323, o, grants++);
		else
			h323_calls_close(t->f->h323, t->call, place);
	}
	return any;
}

bool h323_talk_settle(struct h323_talk *t)
{
	if (t->failed) {
		answer_needs(t, NULL);
		t->a->wish_count = 0;
		return false;
	}
	if (t->a->wish_count)
		t->a->result = ALG_WISH;
	return !t->a->wish_count;
}

bool h323_talk_granted(struct h323_talk *t, const struct alg_grant *grants)
{
	return answer_needs(t, grants) && grants;
}

void h323_talk_finish(struct h323_talk *t)
{
	if (!t->failed)
		return;
	t->a->edit_count = 0;
	t->a->note = "more addresses than can be edited";
}

void h323_talk_gone(void *state, const struct alg_flow *f, uint32_t token)
{
	int place;
	struct h323_call *c = h323_calls_of_token(f->h323, f, token, &place);
	if (c)
		h323_calls_close(f->h323, c, place);
}

void h323_talk_end(void *state, const struct alg_flow *f)
{
	h323_calls_end(f->h323, f);
}
