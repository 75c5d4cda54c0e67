/*
 * A call's offers and answers: theory of operation.
 *
 *   guest ── INVITE, offer ──▶ latent wishes               far end ── INVITE, offer ──▶ its addresses are noted
 *         ◀── 18x/2xx, answer ── armed for who is named            ◀── 18x/2xx, answer ── wishes for who was named
 *
 *   request that came with a description   it is the offer, and what its responses hold is the answer
 *   INVITE without                         its responses hold the offer, PRACK or ACK the answer (RFC 3261 13.2.1, 6337 2)
 *   PRACK, UPDATE, INFO, INVITE again      a request of its own within a dialog (RFC 3262 5, 3311 5)
 *
 * A call has places for pinholes, and sets of places say who needs them:
 *
 *   fork.active        what this dialog agreed on last          replaced by the next agreement, gone with BYE
 *   request.openings   what the guest named in this exchange    gone with its failure; done with its 2xx (or ACK)
 *
 * A place in none of these sets is closed after every message (collect). From that all follows: a re-INVITE to another port
 * has both until its 2xx, then the new one, after an error the old one; CANCEL's 487 closes what nobody else needs; a request that is to
 * be made again (401, 407, 422, 3xx) keeps what it had until it is. Nothing else closes a pinhole but its time.
 *
 * A response counts only with the branch of the topmost Via, the CSeq number and method and both tags of a request that the other side
 * made in that call; anything else passes and changes nothing. Retransmissions find what the first one left, so they are edited
 * alike and open nothing. A new offer is a request with a higher CSeq; what is older than the last one is nothing.
 *
 * Several may answer one INVITE (forking): each is a fork with its own set. Media of another address to the same port of the
 * guest are a pinhole of their own, which natproxy gives the same outside port. Early dialogs end with the last of those that were
 * taken, or 32 seconds after the first 2xx (RFC 3261 13.2.2.4), which the next message of the call finds.
 */
#include "sip_dialog.h"

#include <string.h>

#include "sip_hold.h"
#include "sip_names.h"
#include "sip_offer.h"

enum {
	/* The default of Session-Expires (RFC 4028 4) and a retransmission time-out: so long a call may be silent. */
	CALL_SECONDS = 1832,
	EARLY_MS = 32 * 1000,
};

static struct sip_calls *calls(const struct sip_talk *t)
{
	return t->f->sip;
}

static bool there(struct text t)
{
	return text_left(&t) > 0;
}

/* ---- who speaks ---- */

static bool same_words(struct text a, struct text b)
{
	return text_left(&a) == text_left(&b) && !memcmp(a.p, b.p, text_left(&a));
}

/* Case counts (RFC 3261 7.1). */
static enum sip_method method_of(struct text name)
{
	static const struct {
		const char *name;
		enum sip_method method;
	} known[] = {
		{"INVITE", SIP_METHOD_INVITE},
		{"ACK", SIP_METHOD_ACK},
		{"BYE", SIP_METHOD_BYE},
		{"PRACK", SIP_METHOD_PRACK},
		{"UPDATE", SIP_METHOD_UPDATE},
		{"INFO", SIP_METHOD_INFO},
		{"REGISTER", SIP_METHOD_REGISTER},
		{"SUBSCRIBE", SIP_METHOD_SUBSCRIBE},
		{"PUBLISH", SIP_METHOD_PUBLISH},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (same_words(text(known[i].name, strlen(known[i].name)), name))
			return known[i].method;
	return SIP_METHOD_OTHER;
}

/* Who made the request that this is, or answers. */
static enum alg_direction asker(const struct sip_talk *t)
{
	return t->m->request ? t->from : (enum alg_direction) !t->from;
}

/* The tag of the other party than the one that began the call. */
static struct text fork_tag(const struct sip_talk *t)
{
	return t->call->caller == asker(t) ? t->m->to_tag : t->m->from_tag;
}

static void find_call(struct sip_talk *t)
{
	const struct sip_message *m = t->m;
	t->call = sip_calls_find(calls(t), t->f, asker(t), m->call_id, m->from_tag);
	if (!t->call && there(m->to_tag))
		t->call = sip_calls_find(
			calls(t), t->f, (enum alg_direction) !asker(t), m->call_id, m->to_tag);
}

static uint8_t find_fork(const struct sip_talk *t)
{
	const struct text tag = fork_tag(t);
	const uint32_t hash = there(tag) ? sip_calls_tag(calls(t), tag) : 0;
	for (uint8_t i = 0; hash && i < SIP_CALL_FORKS; i++)
		if (t->call->fork[i].tag == hash)
			return i;
	return SIP_NO_FORK;
}

static void drop_fork(struct sip_call *c, uint8_t fork)
{
	c->fork[fork] = (struct sip_fork){0};
	for (int i = 0; i < SIP_CALL_REQUESTS; i++) {
		struct sip_request *r = &c->request[i];
		if (r->method != SIP_METHOD_NONE && r->fork == fork)
			*r = (struct sip_request){0};
		else if (r->offerer == fork)
			r->offerer = SIP_NO_FORK;
	}
}

/* An early dialog gives way to another one where there are too many. */
static uint8_t add_fork(struct sip_talk *t)
{
	const uint8_t found = find_fork(t);
	if (found != SIP_NO_FORK || !there(fork_tag(t)))
		return found;
	for (int early = 0; early < 2; early++)
		for (int i = 0; i < SIP_CALL_FORKS; i++) {
			struct sip_fork *fork = &t->call->fork[i];
			if (fork->tag && (!early || fork->confirmed))
				continue;
			drop_fork(t->call, (uint8_t)i);
			fork->tag = sip_calls_tag(calls(t), fork_tag(t));
			return (uint8_t)i;
		}
	return SIP_NO_FORK;
}

/* ---- requests ---- */

static bool same_request(const struct sip_talk *t, const struct sip_request *r)
{
	return r->method == t->method && r->from == asker(t) && r->cseq == t->m->cseq &&
	       r->branch == sip_calls_branch(calls(t), t->m->branch);
}

/* Of the same side: an INVITE has its own place, others take turns, those first that nobody waits for. */
static struct sip_request *place_for(struct sip_talk *t)
{
	enum { OTHERS = SIP_CALL_REQUESTS / 2 - 1 };
	struct sip_call *c = t->call;
	struct sip_request *others = &c->request[2 + OTHERS * t->from];
	if (t->method == SIP_METHOD_INVITE)
		return &c->request[t->from];
	for (int i = 0; i < OTHERS; i++)
		if (others[i].method == SIP_METHOD_NONE || others[i].done)
			return &others[i];
	return &others[c->turn++ % OTHERS];
}

/* PRACK, ACK and INFO have no Contact: their dialog has begun by one that had. */
static bool is_own(const struct sip_talk *t)
{
	if (t->from == ALG_OUTSIDE)
		return true;
	switch ((int)t->method) {
	case SIP_METHOD_INVITE:
	case SIP_METHOD_UPDATE: return sip_names_own(t->f, t->m);
	default: return sip_names_own_via(t->f, t->m);
	}
}

/* Whether its description, where it has one, is an offer. */
static bool offers(enum sip_method method)
{
	return method == SIP_METHOD_INVITE || method == SIP_METHOD_UPDATE ||
	       method == SIP_METHOD_PRACK || method == SIP_METHOD_INFO;
}

/* The record of this request, which a retransmission has already; NULL: it is an old one. */
static struct sip_request *note_request(struct sip_talk *t)
{
	struct sip_call *c = t->call;
	for (int i = 0; i < SIP_CALL_REQUESTS; i++)
		if (same_request(t, &c->request[i]))
			return &c->request[i];
	struct sip_request *r = place_for(t);
	const bool invite = t->method == SIP_METHOD_INVITE;
	if (invite && r->method == SIP_METHOD_INVITE && t->m->cseq < r->cseq)
		return NULL;
	*r = (struct sip_request){
		.branch = sip_calls_branch(calls(t), t->m->branch),
		.cseq = t->m->cseq,
		.method = (uint8_t)t->method,
		.from = (uint8_t)t->from,
		.fork = t->fork,
		.offerer = SIP_NO_FORK,
		.offer = t->sessions && offers(t->method),
		.own = is_own(t),
	};
	if (invite && t->fork != SIP_NO_FORK)
		c->fork[t->fork].moved = false;
	return r;
}

/* Asks for a time, not for a call. */
static bool asks_for_time(enum sip_method method)
{
	return method == SIP_METHOD_REGISTER || method == SIP_METHOD_SUBSCRIBE ||
	       method == SIP_METHOD_PUBLISH;
}

/* Whether nothing needs to be known of a call for this request to count. */
static bool begins(const struct sip_talk *t)
{
	return t->method == SIP_METHOD_INVITE ||
	       (t->method == SIP_METHOD_UPDATE && t->sessions && there(t->m->to_tag)) ||
	       (asks_for_time(t->method) && t->from == ALG_GUEST);
}

/* Whether its responses mean something to a call. */
static bool matters(const struct sip_talk *t)
{
	switch ((int)t->method) {
	case SIP_METHOD_INVITE:
	case SIP_METHOD_UPDATE: return true;
	case SIP_METHOD_BYE: return t->fork != SIP_NO_FORK;
	case SIP_METHOD_PRACK:
	case SIP_METHOD_INFO: return t->sessions;
	default: return asks_for_time(t->method) && t->from == ALG_GUEST;
	}
}

/* The INVITE of the same side whose responses made an offer that PRACK or ACK answers. */
static struct sip_request *late_offer(const struct sip_talk *t)
{
	struct sip_request *r = &t->call->request[t->from];
	const bool made = t->from == ALG_GUEST ? r->offerer != SIP_NO_FORK : r->openings;
	const bool answered =
		t->method == SIP_METHOD_ACK ? r->cseq == t->m->cseq : t->method == SIP_METHOD_PRACK;
	return r->method == SIP_METHOD_INVITE && !r->offer && made && answered ? r : NULL;
}

static void look_at_request(struct sip_talk *t)
{
	if (!t->call && begins(t)) {
		t->call = sip_calls_take(calls(t), t->f, t->from, t->m->call_id, t->m->from_tag);
		if (!t->call)
			t->a->note = "more calls than there is room for";
	}
	if (!t->call)
		return;
	t->fork = begins(t) && !asks_for_time(t->method) ? add_fork(t) : find_fork(t);
	if (there(t->m->to_tag) && t->fork == SIP_NO_FORK && !asks_for_time(t->method))
		return;
	t->request = t->sessions ? late_offer(t) : NULL;
	if (t->request) {
		t->role = is_own(t) ? SIP_ANSWERS : SIP_SAYS_NOTHING;
		return;
	}
	t->request = matters(t) ? note_request(t) : NULL;
	if (t->request && t->request->offer && t->request->own)
		t->role = SIP_OFFERS;
}

/* ---- responses ---- */

static enum sip_role response_role(const struct sip_talk *t)
{
	const struct sip_request *r = t->request;
	const struct sip_fork *fork = t->fork != SIP_NO_FORK ? &t->call->fork[t->fork] : NULL;
	const bool invite = r->method == SIP_METHOD_INVITE;
	if (!t->sessions || t->m->status == 100 || t->m->status >= 300 || !fork)
		return SIP_SAYS_NOTHING;
	/* once more, or too late; an INVITE may be taken by several */
	if ((r->done && (!invite || fork->confirmed)) || (invite && fork->moved))
		return SIP_SAYS_NOTHING;
	if (r->offer)
		return SIP_ANSWERS;
	return invite ? SIP_OFFERS : SIP_SAYS_NOTHING;
}

static void look_at_response(struct sip_talk *t)
{
	const uint32_t status = t->m->status;
	struct sip_request *r = NULL;
	for (int i = 0; t->call && i < SIP_CALL_REQUESTS && !r; i++)
		if (same_request(t, &t->call->request[i]))
			r = &t->call->request[i];
	if (!r)
		return;
	const bool joins = r->fork == SIP_NO_FORK && r->method == SIP_METHOD_INVITE &&
			   status > 100 && status < 300;
	t->fork = joins ? add_fork(t) : find_fork(t);
	if (joins ? t->fork == SIP_NO_FORK : r->fork != SIP_NO_FORK && r->fork != t->fork)
		return;
	t->request = r;
	t->role = response_role(t);
}

/* Finds, or begins, what the message belongs to. The same again, it finds the same. */
static void look(struct sip_talk *t)
{
	const struct sip_message *m = t->m;
	t->fork = SIP_NO_FORK;
	if (!there(m->call_id) || !there(m->cseq_method) || !there(m->branch))
		return;
	if (m->request && !same_words(m->method, m->cseq_method))
		return;
	t->method = method_of(m->cseq_method);
	find_call(t);
	if (m->request)
		look_at_request(t);
	else
		look_at_response(t);
}

/* ---- what becomes of it ---- */

/* Nothing of the flow's is shorter than what was granted before. */
static void hold(struct sip_talk *t, uint32_t seconds)
{
	const uint64_t until_ms = t->f->now_ms + (uint64_t)seconds * 1000;
	if (until_ms > t->s->held_until_ms)
		t->s->held_until_ms = until_ms;
	if (seconds)
		t->a->hold_ms = (uint32_t)(t->s->held_until_ms - t->f->now_ms);
}

/* Whether the guest is asked to make the request once more: with credentials, other timers, or elsewhere. */
static bool again(const struct sip_talk *t)
{
	const uint32_t status = t->m->status;
	return status == 401 || status == 407 || status == 422 || status / 100 == 3;
}

static void drop_early(struct sip_call *c)
{
	for (int i = 0; i < SIP_CALL_FORKS; i++)
		if (c->fork[i].tag && !c->fork[i].confirmed)
			drop_fork(c, (uint8_t)i);
}

static bool is_taken(const struct sip_call *c)
{
	bool any = false;
	for (int i = 0; i < SIP_CALL_FORKS; i++)
		any |= c->fork[i].confirmed;
	return any;
}

static void on_failure(struct sip_talk *t)
{
	struct sip_request *r = t->request;
	const bool invite = r->method == SIP_METHOD_INVITE;
	if (r->done)
		return;
	if (invite && r->fork == SIP_NO_FORK)
		drop_early(t->call); /* none of those who were asked takes part */
	if (!invite || r->from != ALG_GUEST || !again(t))
		*r = (struct sip_request){0};
}

/* A 2xx to UPDATE may come before anybody takes the call (RFC 3311 5.1). It is how a call is known whose INVITE nobody saw. */
static bool is_confirmed(const struct sip_talk *t)
{
	const uint8_t method = t->request->method;
	return method == SIP_METHOD_INVITE ||
	       (method == SIP_METHOD_UPDATE && !sip_calls_is_invited(t->call));
}

static void confirm(struct sip_talk *t)
{
	t->call->fork[t->fork].confirmed = true;
	if (!t->call->answered_ms)
		t->call->answered_ms = t->f->now_ms;
}

static void on_success(struct sip_talk *t)
{
	struct sip_request *r = t->request;
	const bool late = r->method == SIP_METHOD_INVITE && !r->offer && t->role == SIP_OFFERS;
	r->done |= !late;
	if (asks_for_time((enum sip_method)r->method))
		hold(t, sip_hold_seconds(t->f, t->m));
	if (t->fork == SIP_NO_FORK)
		return;
	t->kept |= t->call->fork[t->fork].active;
	if (is_confirmed(t))
		confirm(t);
	if (t->call->fork[t->fork].confirmed)
		hold(t, CALL_SECONDS);
}

static void on_response(struct sip_talk *t)
{
	const struct sip_request *r = t->request;
	const uint32_t status = t->m->status;
	if (status < 200 && status > 100 && t->from == ALG_OUTSIDE)
		t->kept |= r->openings;
	if (status < 200)
		return;
	if (r->method == SIP_METHOD_BYE && status != 401 && status != 407)
		drop_fork(t->call, r->fork);
	else if (status < 300)
		on_success(t);
	else
		on_failure(t);
}

/* The answer to what a response had offered; it is given once. */
static void on_late_answer(struct sip_talk *t)
{
	t->request->offer = true;
	t->request->done |= t->method == SIP_METHOD_ACK;
}

/* Closes what no dialog and no request needs any more, and forgets a call of which nothing is left. */
static void collect(struct sip_talk *t)
{
	struct sip_call *c = t->call;
	uint16_t needed = 0;
	bool alive = false;
	if (c->answered_ms && (t->f->now_ms - c->answered_ms > EARLY_MS || !is_taken(c)))
		drop_early(c);
	for (int i = 0; i < SIP_CALL_FORKS; i++) {
		needed |= c->fork[i].active;
		alive |= c->fork[i].tag;
	}
	for (int i = 0; i < SIP_CALL_REQUESTS; i++) {
		const struct sip_request *r = &c->request[i];
		const bool open = r->method != SIP_METHOD_NONE && !r->done;
		needed |= open ? r->openings : 0;
		alive |= open;
	}
	for (int place = 0; place < SIP_CALL_OPENINGS; place++) {
		const struct sip_opening *o = sip_offer_opening(t, place);
		if (!o || needed & sip_offer_bit(place))
			continue;
		alg_act_add(t->a, ALG_CLOSE, o->token);
		sip_calls_close(calls(t), c, place);
	}
	if (!alive && !c->busy)
		sip_calls_drop(calls(t), c);
}

/* Lifetimes of what was there before begin again. */
static void keep(struct sip_talk *t)
{
	const uint16_t kept = t->kept & (uint16_t)~t->fresh;
	for (int place = 0; place < SIP_CALL_OPENINGS; place++) {
		const struct sip_opening *o = sip_offer_opening(t, place);
		if (o && kept & sip_offer_bit(place))
			alg_act_add(t->a, ALG_KEEP, o->token);
	}
}

static void finish(struct sip_talk *t)
{
	if (!t->call)
		return;
	if (t->role == SIP_ANSWERS && t->from == ALG_GUEST)
		sip_offer_agree(t);
	if (t->request && !t->m->request)
		on_response(t);
	else if (t->request && t->role == SIP_ANSWERS)
		on_late_answer(t);
	keep(t);
	collect(t);
}

void sip_dialog_message(struct sip_talk *t)
{
	look(t);
	if (t->from == ALG_GUEST)
		sip_offer_demand(t);
	else if (t->role == SIP_OFFERS)
		sip_offer_note(t);
	else if (t->role == SIP_ANSWERS)
		sip_offer_agree(t);
	if (!t->a->wish_count)
		finish(t);
}

void sip_dialog_granted(struct sip_talk *t, const struct alg_grant *grants)
{
	struct sip_waiting *w = &t->s->waiting[t->from];
	int place;
	for (unsigned int i = 0; i < w->count; i++) {
		struct sip_call *c = sip_calls_of_token(calls(t), t->f, w->token[i], &place);
		if (!c)
			continue;
		if (!grants) {
			sip_calls_close(calls(t), c, place);
			continue;
		}
		struct sip_opening *o = sip_calls_opening(calls(t), c, place);
		o->outside_ip_be = grants[i].outside_ip_be;
		o->outside_port = grants[i].outside_port;
		t->fresh |= sip_offer_bit(place);
	}
	w->count = 0;
	t->settled = true;
	sip_dialog_message(t);
}

void sip_dialog_gone(const struct alg_flow *f, uint32_t token)
{
	int place;
	struct sip_call *c = sip_calls_of_token(f->sip, f, token, &place);
	if (c)
		sip_calls_close(f->sip, c, place);
}
