/*
 * Offers, answers and pinholes (RFC 3264): theory of operation.
 *
 *   the guest's description  its demands, each served by an opening of the call or by a new one that is wished for: all or none
 *                            an offer's are latent, an answer's let the far end in that made the offer
 *   the far end's offer      its addresses are kept until the guest answers
 *   the far end's answer     lets in who is named in it, m= line by m= line
 *
 * Who is let in is the address that the far end's description names for its media; where it names none (a host name, 0.0.0.0 on
 * hold) an opening keeps whom it has, and a new one is for the far end of the flow. With sip_latch it is whoever speaks first.
 *
 * An opening that another dialog of the call needs for another peer is left to it: a second one leads to the same port of the
 * guest.
 */
#include "sip_offer.h"

enum {
	/* Timer C (RFC 3261 16.6), which every 1xx begins again; who answers says something every minute (13.3.1.1). */
	PINHOLE_MS = 180 * 1000,
};

static struct sip_calls *calls(const struct sip_talk *t)
{
	return t->f->sip;
}

/* ---- what the guest says of its ports ---- */

struct sip_opening *sip_offer_opening(const struct sip_talk *t, int place)
{
	if (!t->call->opening[place])
		return NULL;
	struct sip_opening *o = sip_calls_opening(calls(t), t->call, place);
	return o->outside_port ? o : NULL;
}

/* What it was wished for, with what was granted. */
static struct sip_demand demand_of(const struct sip_opening *o)
{
	return (struct sip_demand){.kind = (enum alg_kind)o->kind,
		.pairs = o->pairs,
		.media = o->media,
		.rtcp = o->rtcp,
		.port = o->guest_port,
		.grant = {o->outside_ip_be, o->outside_port}};
}

/* Whether it serves a demand, which gets its grant then. */
static bool serves(const struct sip_opening *o, struct sip_demand *want)
{
	const struct sip_demand have = demand_of(o);
	return sip_media_serves(&have, want);
}

/* The place of the opening that serves a demand, -1: none. Those of its own dialog go first. */
static int serving(const struct sip_talk *t, struct sip_demand *want)
{
	const uint16_t own = (t->fork != SIP_NO_FORK ? t->call->fork[t->fork].active : 0) |
			     (t->request ? t->request->openings : 0);
	int found = -1;
	for (int place = 0; place < SIP_CALL_OPENINGS; place++) {
		const struct sip_opening *o = sip_offer_opening(t, place);
		if (!o || (found >= 0 && !(own & sip_offer_bit(place))) || !serves(o, want))
			continue;
		found = place;
		if (own & sip_offer_bit(place))
			break;
	}
	return found;
}

/* Who may come in, where the far end named this address for its media (0: none). */
static uint32_t admitted(const struct sip_talk *t, uint32_t named_be)
{
	if (t->f->sip_latch)
		return 0;
	return named_be ? named_be : t->f->peer_ip_be;
}

/* From where the far end, whose offer is answered, said that media of these m= lines come. */
static uint32_t offered(const struct sip_talk *t, uint8_t media)
{
	const struct sip_request *r = t->request;
	if (r->from == ALG_GUEST && r->offerer != t->fork)
		return 0;
	for (int i = 0; i < SIP_OFFERED; i++)
		if (media & 1u << i && r->offered_ip_be[i])
			return r->offered_ip_be[i];
	return 0;
}

/* The place of a new opening that is wished for; -1: there is no room. */
static int wish(struct sip_talk *t, const struct sip_demand *d, uint32_t peer_ip_be, bool latent)
{
	struct sip_waiting *w = &t->s->waiting[t->from];
	const int place =
		t->settled || w->count == ALG_WISHES ? -1 : sip_calls_open(calls(t), t->call);
	if (place < 0)
		return -1;
	struct sip_opening *o = sip_calls_opening(calls(t), t->call, place);
	o->guest_port = d->port;
	o->kind = (uint8_t)d->kind;
	o->pairs = d->pairs;
	o->media = d->media;
	o->rtcp = d->rtcp;
	o->peer_ip_be = peer_ip_be;
	o->armed = !latent;
	w->token[w->count++] = o->token;
	t->a->result = ALG_WISH;
	t->a->wish[t->a->wish_count++] = (struct alg_wish){.kind = d->kind,
		.pairs = d->pairs,
		.guest_port = d->port,
		.latent = latent,
		.token = o->token,
		.peer_ip_be = peer_ip_be,
		.lifetime_ms = PINHOLE_MS};
	return place;
}

/* Takes back the wishes of this message. */
static void unwish(struct sip_talk *t)
{
	struct sip_waiting *w = &t->s->waiting[t->from];
	int place;
	for (unsigned int i = 0; i < w->count; i++)
		if (sip_calls_of_token(calls(t), t->f, w->token[i], &place))
			sip_calls_close(calls(t), t->call, place);
	w->count = t->a->wish_count = 0;
	t->a->result = ALG_PASS;
}

/* The place of what serves a demand, if need be of a new opening; -1: none. */
static int provide(struct sip_talk *t, struct sip_demand *d)
{
	const int place = serving(t, d);
	const bool latent = t->role == SIP_OFFERS;
	if (place >= 0 || t->role == SIP_SAYS_NOTHING)
		return place;
	return wish(t, d, admitted(t, latent ? 0 : offered(t, d->media)), latent);
}

void sip_offer_demand(struct sip_talk *t)
{
	struct sip_demands *d = &t->demands;
	const char *why = NULL;
	for (unsigned int i = 0; i < t->sessions; i++)
		if (!sip_media_demands(&t->session[i], t->f, d, &why))
			t->a->note = why;
	t->ready = !d->count || t->call;
	for (unsigned int i = 0; i < d->count && t->ready; i++) {
		const int place = provide(t, &d->demand[i]);
		t->ready = place >= 0;
		t->places |= place >= 0 ? sip_offer_bit(place) : 0;
	}
	if (t->ready && t->role != SIP_SAYS_NOTHING)
		t->request->openings |= t->places;
	if (t->ready || t->role == SIP_SAYS_NOTHING)
		return;
	if (!t->settled)
		t->a->note = "more media than there is room for";
	unwish(t);
	t->role = SIP_SAYS_NOTHING;
}

/* ---- what the far end says of its own ---- */

/* Whether a description takes these m= lines, and from where it says that their media come (0: nothing). */
static bool taken(const struct sip_talk *t, uint8_t media, bool rtcp, uint32_t *named_be)
{
	bool any = false;
	*named_be = 0;
	for (unsigned int i = 0; i < t->sessions && !*named_be; i++)
		any |= sip_media_taken(&t->session[i], media, rtcp, named_be);
	return any;
}

void sip_offer_note(struct sip_talk *t)
{
	struct sip_request *r = t->request;
	r->offerer = t->fork;
	for (int i = 0; i < SIP_OFFERED; i++)
		taken(t, (uint8_t)(1u << i), false, &r->offered_ip_be[i]);
}

/* Whether another dialog receives by this opening. */
static bool is_shared(const struct sip_talk *t, int place)
{
	for (int i = 0; i < SIP_CALL_FORKS; i++)
		if (i != t->fork && t->call->fork[i].active & sip_offer_bit(place))
			return true;
	return false;
}

/* The place of an opening of the same port for this peer, -1: none. */
static int twin(const struct sip_talk *t, const struct sip_opening *o, uint32_t peer_ip_be)
{
	for (int place = 0; place < SIP_CALL_OPENINGS; place++) {
		const struct sip_opening *other = sip_offer_opening(t, place);
		if (other && other->armed && other->peer_ip_be == peer_ip_be &&
			other->kind == o->kind && other->guest_port == o->guest_port)
			return place;
	}
	return -1;
}

static void arm(struct sip_talk *t, int place, uint32_t peer_ip_be)
{
	struct sip_opening *o = sip_offer_opening(t, place);
	o->armed = true;
	o->peer_ip_be = peer_ip_be;
	t->fresh |= sip_offer_bit(place);
	if (t->a->act_count < ALG_ACTS)
		t->a->act[t->a->act_count++] = (struct alg_act){.what = ALG_ARM,
			.media = true,
			.token = o->token,
			.peer_ip_be = peer_ip_be};
}

/* Lets media of the dialog in by the opening in this place, or by another one of the same port: its place, as a set. */
static uint16_t admit(struct sip_talk *t, int place, uint32_t named_be)
{
	const struct sip_opening *o = sip_offer_opening(t, place);
	const struct sip_demand d = demand_of(o);
	const uint32_t peer_ip_be = admitted(t, named_be);
	const bool here = o->armed && (!named_be || o->peer_ip_be == peer_ip_be);
	if (!here && (!o->armed || !is_shared(t, place))) {
		arm(t, place, peer_ip_be);
		return sip_offer_bit(place);
	}
	if (!here)
		place = twin(t, o, peer_ip_be);
	if (place < 0) {
		wish(t, &d, peer_ip_be, false);
		return 0;
	}
	t->kept |= sip_offer_bit(place);
	return sip_offer_bit(place);
}

void sip_offer_agree(struct sip_talk *t)
{
	const bool guest = t->from == ALG_GUEST;
	const uint16_t places = guest ? t->places : t->request->openings;
	struct sip_fork *fork = &t->call->fork[t->fork];
	uint16_t active = 0;
	uint32_t named_be;
	for (int place = 0; place < SIP_CALL_OPENINGS; place++) {
		const struct sip_opening *o =
			places & sip_offer_bit(place) ? sip_offer_opening(t, place) : NULL;
		if (o && guest)
			active |= admit(t, place, offered(t, o->media));
		else if (o && taken(t, o->media, o->rtcp, &named_be))
			active |= admit(t, place, named_be);
	}
	fork->active = active;
	fork->moved |= t->request->method != SIP_METHOD_INVITE;
}
