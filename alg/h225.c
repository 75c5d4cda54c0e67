/*
 * H.225.0 call signalling (ITU-T H.225.0 7, H.323 7.3, 8), TCP 1720 and wherever a registration or an admission leads: theory of operation.
 *
 *   stream  = *TPKT                        from byte 0 on; anything else is a violation
 *   TPKT    = Q.931 message [H323-UserInformation]
 *   first   = Setup | Facility (H.460.18) | a message of the global call reference, 0; with a user information that can be read
 *
 *   caller ── Setup: h245Address, fastStart ──▶ what the guest names is latent
 *          ◀── CallProceeding, Alerting ... ── the first one lets in who is to come to h245Address; what answers fastStart its media
 *
 * A call is known by its reference (ooh323c begins with 0), and is another one where both name another identifier. What the guest names when
 * both have spoken is open at once. ReleaseComplete closes all of it. A connection may have many calls, and those of both ends may have the
 * same number.
 *
 *   h245Address of the guest       a listener, whose connection is inspected (h245.c); of the far end: a watch for the guest's connection
 *   fastStart, h245Control         h245.c
 *   sourceCallSignalAddress        the outside port of the guest's registration, else of this connection; with nat.static its own
 *   alternativeAddress of Facility of the guest: left alone (NAT slipstreaming), or a service, if the operator has h323_forward; of the far
 *                                  end: a watch, as the guest will call there
 *   any other                      translated (h323_address.h)
 *
 * What cannot be read behind the first message, and what is authenticated, is left alone.
 */
#include <string.h>

#include "h245.h"
#include "h323_address.h"
#include "protocols.h"
#include "q931.h"
#include "tpkt.h"

enum body { SETUP, CALL_PROCEEDING, CONNECT, ALERTING, FACILITY = 6, PROGRESS };

/* A message and its envelope. */
struct signal {
	struct q931 q;
	struct h323_talk talk;
	bool readable;
	uint32_t body; /* enum body, or another */
	enum alg_direction caller;
};

static bool read_signal(struct signal *s, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	h323_talk_begin(&s->talk, f, from, p, a);
	if (!q931_read(p + TPKT_HEADER_BYTES, n - TPKT_HEADER_BYTES, &s->q))
		return false;
	s->readable = s->q.user && h323_talk_read(&s->talk, H323_ROOT_UUIE, (size_t)(s->q.user - p),
					   s->q.user_bytes);
	s->body = h323_talk_value(&s->talk, H323_H225_BODY, UINT32_MAX);
	s->caller = s->q.answers == (from == ALG_GUEST) ? ALG_OUTSIDE : ALG_GUEST;
	return true;
}

static bool begins(const struct signal *s)
{
	return s->readable && (!s->q.reference || s->body == SETUP || s->body == FACILITY);
}

static bool from_caller(const struct signal *s)
{
	return s->talk.from == s->caller;
}

/* ---- which call ---- */

/* What it says that its call is; NULL: nothing, which is all zeros too (NetMeeting). */
static const uint8_t *identifier_of(const struct signal *s)
{
	static const uint8_t none[16];
	const struct h323_mark *m = h323_talk_mark(&s->talk, H323_H225_CALL_ID);
	if (!m || m->bytes != sizeof(none) || !memcmp(s->talk.p + m->at, none, sizeof(none)))
		return NULL;
	return s->talk.p + m->at;
}

static bool is_of(const struct signal *s, const struct h323_call *c)
{
	const uint8_t *identifier = identifier_of(s);
	return !identifier || !c->known ||
	       !memcmp(identifier, c->identifier, sizeof(c->identifier));
}

static void begin_call(struct signal *s)
{
	struct h323_talk *t = &s->talk;
	const uint8_t *identifier = identifier_of(s);
	t->call = h323_calls_take(t->f->h323, t->f, s->caller, s->q.reference);
	if (!t->call) {
		t->a->note = "more calls than there is room for";
		return;
	}
	t->call->known = identifier;
	if (identifier)
		memcpy(t->call->identifier, identifier, sizeof(t->call->identifier));
}

static void find_call(struct signal *s)
{
	struct h323_talk *t = &s->talk;
	t->call = h323_calls_find(t->f->h323, t->f, s->caller, s->q.reference);
	if (t->call && s->readable && !is_of(s, t->call))
		t->call = NULL;
}

/* The call of a Setup that comes for the first time; one that had the same reference is over. */
static void find_new_call(struct signal *s)
{
	struct h323_talk *t = &s->talk;
	find_call(s);
	if (t->call || s->body != SETUP || !from_caller(s))
		return;
	t->call = h323_calls_find(t->f->h323, t->f, s->caller, s->q.reference);
	if (t->call)
		h323_talk_release(t);
	begin_call(s);
}

/* ---- what it needs ---- */

static bool both_spoke(const struct h323_call *c)
{
	return c->heard[ALG_GUEST] && c->heard[ALG_OUTSIDE];
}

/* A place that stays in use until the call is over. */
static struct h323_opening *need_kept(struct h323_talk *t, struct alg_wish w)
{
	w.inspect = true;
	w.lifetime_ms = H323_LIFE_MS;
	const int place = h323_talk_need(t, w);
	if (place < 0)
		return NULL;
	t->call->kept |= (uint16_t)(1U << place);
	return h323_calls_opening(t->f->h323, t->call, place);
}

/* The guest will connect to where the far end says. */
static struct h323_opening *need_watch(
	struct h323_talk *t, const struct h323_mark *m, uint8_t service, uint32_t link)
{
	const struct h323_address to = h323_address_of(t, m);
	if (!h323_address_leads_out(t, m))
		return NULL;
	return need_kept(t, (struct alg_wish){.kind = ALG_TCP_WATCH,
				    .peer_ip_be = to.ip_be,
				    .peer_port = to.port,
				    .service = service,
				    .link = link});
}

static void need_control(struct h323_talk *t, const struct h323_mark *m)
{
	const bool latent = !both_spoke(t->call);
	if (t->call->control)
		return;
	if (t->from == ALG_OUTSIDE) {
		need_watch(t, m, H323_CONTROL, t->call->link);
		return;
	}
	if (!h323_address_own(t, m))
		return;
	struct h323_opening *o = need_kept(t, (struct alg_wish){.kind = ALG_TCP_LISTEN,
						      .guest_port = h323_address_of(t, m).port,
						      .peer_ip_be = t->f->peer_ip_be,
						      .latent = latent,
						      .service = H323_CONTROL,
						      .link = t->call->link});
	if (o)
		o->first_word = latent;
}

static void need_forward(struct h323_talk *t, const struct h323_mark *m)
{
	struct h323_opening *o = NULL;
	if (t->from == ALG_OUTSIDE)
		o = need_watch(t, m, H323_SIGNALLING, 0);
	else if (t->f->h323_forward && h323_address_own(t, m) && both_spoke(t->call))
		o = need_kept(t, (struct alg_wish){.kind = ALG_TCP_SERVICE,
					 .guest_port = h323_address_of(t, m).port,
					 .peer_ip_be = t->f->peer_ip_be,
					 .service = H323_SIGNALLING});
	else
		t->a->note = "alternativeAddress: another host's, or h323_forward is off";
	if (o)
		o->lasting = true;
}

static bool is_answer(uint32_t body)
{
	switch (body) {
	case CALL_PROCEEDING:
	case CONNECT:
	case ALERTING:
	case FACILITY:
	case PROGRESS: return true;
	default: return false;
	}
}

/* Lets in who is to come to a listener that waits for the answerer's first word only. */
static void let_in(struct h323_talk *t)
{
	for (int place = 0; both_spoke(t->call) && place < H323_CALL_OPENINGS; place++) {
		const struct h323_opening *o = h323_calls_opening(t->f->h323, t->call, place);
		if (o && !o->armed && o->first_word)
			h323_talk_arm(t, place, 0, false);
	}
}

/* Someone has said a word in the call: what waited for that is open. Until there is a Connect, nothing has waited for long enough. */
static void hear(struct signal *s)
{
	struct h323_talk *t = &s->talk;
	if (!(from_caller(s) ? s->body == SETUP : is_answer(s->body)))
		return;
	t->call->heard[t->from] = true;
	if (from_caller(s))
		return;
	let_in(t);
	if (!t->call->answered_ms)
		h323_talk_keep(t, UINT16_MAX);
}

static void take_marks(struct signal *s)
{
	struct h323_talk *t = &s->talk;
	const bool offer = s->body == SETUP && from_caller(s);
	for (unsigned int i = 0; i < t->count; i++) {
		const unsigned int behind = h323_talk_behind(t, i);
		switch (t->mark[i].field) {
		case H323_H225_H245_ADDRESS: need_control(t, &t->mark[i]); break;
		case H323_H225_ALTERNATIVE: need_forward(t, &t->mark[i]); break;
		case H323_H225_FAST_START: h245_fast_start(t, i + 1, behind, offer); break;
		case H323_H225_TUNNEL:
		case H323_H225_PARALLEL: h245_messages(t, i + 1, behind); break;
		}
	}
}

static void take_signal(struct signal *s)
{
	struct h323_talk *t = &s->talk;
	const bool connected = s->body == CONNECT && !from_caller(s);
	find_new_call(s);
	if (!t->call)
		return;
	t->call->seen_ms = t->f->now_ms;
	hear(s);
	take_marks(s);
	if (connected && !t->call->answered_ms)
		t->call->answered_ms = t->f->now_ms ? t->f->now_ms : 1;
	if (connected || (h323_talk_mark(t, H323_H225_FAST_REFUSED) && !from_caller(s)))
		h245_end_offers(t->call);
	h323_talk_collect(t);
}

/* ---- edits ---- */

/* Where the far end may call back: where the guest is registered, or published, or else as it is seen. */
static void edit_source(struct h323_talk *t, const struct h323_mark *m)
{
	const uint16_t port = h323_address_of(t, m).port;
	if (!h323_address_own(t, m) || h323_address_static(t->f) ||
		h323_calls_by_guest(t->f->h323, t->f, ALGS_TCP, port))
		h323_address_translate(t, m, ALGS_TCP);
	else
		h323_address_write(t, m, t->f->outside_ip_be, t->f->outside_port);
}

static void edit_mark(struct h323_talk *t, const struct h323_mark *m)
{
	const bool outside = t->from == ALG_OUTSIDE;
	switch (m->field) {
	case H323_H225_SRC_SIGNAL: edit_source(t, m); break;
	case H323_H225_ALTERNATIVE:
		if (outside || h323_talk_holds(t, ALGS_TCP, h323_address_of(t, m).port))
			h323_address_translate(t, m, ALGS_TCP);
		break;
	case H323_H225_H245_ADDRESS:
	case H323_H225_DEST_SIGNAL:
	case H323_H225_ALIAS_ADDRESS:
	case H323_H225_OTHER_ADDRESS: h323_address_translate(t, m, ALGS_TCP); break;
	default: h245_edit(t, m);
	}
}

static void edit(struct h323_talk *t)
{
	for (unsigned int i = 0; i < t->count; i++)
		edit_mark(t, &t->mark[i]);
	h323_talk_finish(t);
}

/* ---- the protocol ---- */

static void h225_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	bool *begun = state;
	struct signal s;
	if (n == TPKT_HEADER_BYTES) /* keeps the connection */
		return;
	if (!read_signal(&s, f, from, p, n, a) || !(*begun || begins(&s))) {
		alg_violation(a, "not a message of H.225 call signalling");
		return;
	}
	*begun = true;
	if (s.q.user && !s.readable)
		a->note = "a message that cannot be read";
	const bool sealed = h323_talk_is_sealed(&s.talk);
	if (s.q.type == Q931_RELEASE_COMPLETE) {
		find_call(&s);
		if (s.talk.call)
			h323_talk_release(&s.talk);
	} else if (s.readable && !sealed) {
		take_signal(&s);
	}
	if (!sealed && h323_talk_settle(&s.talk))
		edit(&s.talk);
}

static void h225_granted(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, const struct alg_grant *grants, struct alg_answer *a)
{
	struct signal s;
	read_signal(&s, f, from, p, n, a);
	find_call(&s);
	if (!h323_talk_granted(&s.talk, grants))
		return;
	let_in(&s.talk); /* the word may have been said meanwhile */
	edit(&s.talk);
}

const struct alg_protocol h225_protocol = {
	.name = "h323",
	.alg = ALGS_H323,
	.service = H323_SIGNALLING,
	.transports = ALGS_TCP,
	.message_max = TPKT_BYTES_MAX,
	.frame = tpkt_frame,
	.message = h225_message,
	.granted = h225_granted,
	.gone = h323_talk_gone,
	.end = h323_talk_end,
};
