/*
 * RAS (ITU-T H.225.0 7.6 ff.), UDP 1719, and 1718 for discovery: what an endpoint says to its gatekeeper. Theory of operation.
 *
 *   datagram = RasMessage                    h323.schema
 *
 *   guest ── RRQ 17: rasAddress, callSignalAddress ──▶ a service for the gatekeeper at the second, latent
 *         ◀── RCF 17: timeToLive ── it is open, and the session is held, for so long; RRJ, UCF and the gatekeeper's URQ close it,
 *                                   the latter two watches as well
 *         ◀── ACF, LCF: destCallSignalAddress ── watch: there the guest will call
 *
 * A registration is kept as a call, whose channels are the requests of the guest by their number; so a retransmission finds what the first one
 * had, and an answer what it answers. Watches are another one, in which a new one takes the place of the oldest; only an answer to what
 * the guest asked leads to them, once, so that who talks to a gatekeeper inside cannot fill the table. A rasAddress that is not where this
 * datagram comes from gets a port of its own, at once: there the answer goes. Where nat.static has an address for the guest, addresses are
 * all that changes.
 *
 * What a registration leads to lives for an hour at least, as the gatekeeper may grant more time than was asked for, but no longer than
 * the session, which is held for the time that was granted.
 *
 * A datagram that cannot be read is left alone and tells nothing of the next one; after some of them in a row it is another protocol. One that
 * is authenticated is left alone.
 */
#include "h323_address.h"
#include "protocols.h"

enum {
	REFERENCE = H323_REFERENCES, /* what registration and watches have in place of a call's */
	REQUESTS = 8,		     /* of registration, that wait for their answer */
	ASKED = 64,		     /* of those that may lead to watches */
	UNREADABLE = 8,		     /* in a row */
	CALL_PORT = 1720,	     /* is inspected anyway */
	HOUR = 3600,
	DAY = 24 * HOUR,
	GRACE = 10, /* seconds by which a renewal may be late */
};

enum message {
	REGISTRATION_REQUEST = 3,
	REGISTRATION_CONFIRM = 4,
	REGISTRATION_REJECT = 5,
	UNREGISTRATION_REQUEST = 6,
	UNREGISTRATION_CONFIRM = 7,
	ADMISSION_REQUEST = 9,
	ADMISSION_CONFIRM = 10,
	LOCATION_REQUEST = 18,
	LOCATION_CONFIRM = 19,
	ADMISSION_CONFIRM_SEQUENCE = 32,
};

struct ras {
	uint32_t seconds; /* that the last RRQ asked for; 0: it did not say */
	uint8_t unreadable, request, watch, question; /* the next one's place */
	uint16_t asked[ASKED];			      /* their numbers; 0: none */
};
_Static_assert(sizeof(struct ras) <= ALG_STATE_BYTES, "it is a flow's state");

/* ---- requests ---- */

static struct h323_channel *find_request(struct h323_talk *t, bool ends)
{
	const uint32_t sequence = h323_talk_value(t, H323_RAS_SEQUENCE, 0);
	for (int i = 0; t->call && i < REQUESTS; i++) {
		struct h323_channel *r = &t->call->channel[i];
		if (r->used && r->number == sequence && r->offer == ends)
			return r;
	}
	return NULL;
}

static struct h323_channel *note_request(struct h323_talk *t, struct ras *s, bool ends)
{
	struct h323_channel *r = find_request(t, ends);
	if (!r)
		r = &t->call->channel[s->request++ % REQUESTS];
	*r = (struct h323_channel){.used = true,
		.offer = ends,
		.number = (uint16_t)h323_talk_value(t, H323_RAS_SEQUENCE, 0)};
	return r;
}

/* The guest asks for what may lead to watches. A question that is repeated is one. */
static void note_question(const struct h323_talk *t, struct ras *s, uint32_t message)
{
	const uint32_t sequence = h323_talk_value(t, H323_RAS_SEQUENCE, 0);
	if (message != REGISTRATION_REQUEST && message != ADMISSION_REQUEST &&
		message != LOCATION_REQUEST)
		return;
	for (int i = 0; i < ASKED; i++)
		if (s->asked[i] == sequence)
			return;
	s->asked[s->question++ % ASKED] = (uint16_t)sequence;
}

/* Whether this answers such a question, for the first time. */
static bool take_question(const struct h323_talk *t, struct ras *s)
{
	const uint32_t sequence = h323_talk_value(t, H323_RAS_SEQUENCE, 0);
	for (int i = 0; sequence && i < ASKED; i++) {
		if (s->asked[i] != sequence)
			continue;
		s->asked[i] = 0;
		return true;
	}
	return false;
}

static uint16_t all_openings(const struct h323_call *c)
{
	uint16_t places = 0;
	for (int place = 0; place < H323_CALL_OPENINGS; place++)
		places |= (uint16_t)((c->opening[place] != 0) << place);
	return places;
}

/* Finds, or with `make` begins, what openings of this direction belong to. */
static bool find_call(struct h323_talk *t, enum alg_direction whose, bool make)
{
	struct h323_calls *calls = t->f->h323;
	t->call = make ? h323_calls_take(calls, t->f, whose, REFERENCE)
		       : h323_calls_find(calls, t->f, whose, REFERENCE);
	if (t->call)
		t->call->seen_ms = t->f->now_ms;
	return t->call;
}

/* ---- what the guest needs ---- */

static uint32_t milliseconds(uint32_t seconds)
{
	return (seconds < DAY ? seconds + GRACE : DAY) * 1000;
}

static uint16_t need(struct h323_talk *t, const struct ras *s, enum alg_kind kind, uint16_t port)
{
	const bool service = kind == ALG_TCP_SERVICE;
	const uint32_t seconds = s->seconds > HOUR ? s->seconds : HOUR;
	const int place = h323_talk_need(t, (struct alg_wish){.kind = kind,
						    .guest_port = port,
						    .peer_ip_be = t->f->peer_ip_be,
						    .latent = service,
						    .inspect = service,
						    .service = H323_SIGNALLING,
						    .lifetime_ms = milliseconds(seconds)});
	return place < 0 ? 0 : (uint16_t)(1U << place);
}

/* Of the guest's own addresses in such marks, but the port by which it speaks. */
static uint16_t need_ports(struct h323_talk *t, const struct ras *s, enum h323_field field)
{
	const enum alg_kind kind = field == H323_RAS_ADDRESS ? ALG_UDP_ONE : ALG_TCP_SERVICE;
	uint16_t places = 0;
	for (unsigned int i = 0; i < t->count && !t->failed; i++) {
		const struct h323_mark *m = &t->mark[i];
		const bool own = m->field == field && h323_address_own(t, m);
		const uint16_t port = own ? h323_address_of(t, m).port : 0;
		if (port && (kind == ALG_TCP_SERVICE || port != t->f->guest_port))
			places |= need(t, s, kind, port);
	}
	return places;
}

static bool has_other_port(const struct h323_talk *t)
{
	for (unsigned int i = 0; i < t->count; i++)
		if (t->mark[i].field == H323_RAS_ADDRESS && h323_address_own(t, &t->mark[i]) &&
			h323_address_of(t, &t->mark[i]).port != t->f->guest_port)
			return true;
	return false;
}

static void take_guests(struct h323_talk *t, struct ras *s, uint32_t message)
{
	const bool registers = message == REGISTRATION_REQUEST;
	const bool ends = message == UNREGISTRATION_REQUEST;
	note_question(t, s, message);
	find_call(t, ALG_GUEST, false);
	if (ends && t->call)
		note_request(t, s, true);
	if (h323_address_static(t->f) || t->f->guest_serves || !(registers || has_other_port(t)))
		return;
	if (!find_call(t, ALG_GUEST, true)) {
		t->failed = true;
		t->a->note = "more registrations than there is room for";
		return;
	}
	if (!registers) {
		need_ports(t, s, H323_RAS_ADDRESS);
		return;
	}
	s->seconds = h323_talk_value(t, H323_RAS_TIME_TO_LIVE, 0);
	struct h323_channel *r = note_request(t, s, false);
	r->openings = need_ports(t, s, H323_RAS_SIGNAL_ADDRESS);
	r->openings |= need_ports(t, s, H323_RAS_ADDRESS);
	if (!r->openings && h323_talk_value(t, H323_RAS_KEEP_ALIVE, 0))
		r->openings = all_openings(t->call);
}

/* ---- what the gatekeeper says ---- */

static void confirm(struct h323_talk *t, const struct ras *s)
{
	const struct h323_channel *r = find_request(t, false);
	const uint32_t seconds = h323_talk_value(t, H323_RAS_TIME_TO_LIVE, s->seconds);
	if (!r)
		return;
	for (int place = 0; place < H323_CALL_OPENINGS; place++)
		if (r->openings >> place & 1)
			h323_talk_arm(t, place, 0, false);
	t->a->hold_ms = milliseconds(seconds ? seconds : HOUR);
}

static bool is_watched(const struct h323_talk *t, struct h323_address to)
{
	for (int place = 0; place < H323_CALL_OPENINGS; place++) {
		const struct h323_opening *o = h323_calls_opening(t->f->h323, t->call, place);
		if (o && o->peer_ip_be == to.ip_be && o->peer_port == to.port)
			return true;
	}
	return false;
}

/* The guest will call there. */
static void need_watch(struct h323_talk *t, struct ras *s, const struct h323_mark *m)
{
	const struct h323_address to = h323_address_of(t, m);
	if (!h323_address_leads_out(t, m) || to.port == CALL_PORT ||
		!find_call(t, ALG_OUTSIDE, true))
		return;
	if (all_openings(t->call) == UINT16_MAX && !is_watched(t, to))
		h323_talk_close(t, (uint16_t)(1U << s->watch++ % H323_CALL_OPENINGS));
	h323_talk_need(t, (struct alg_wish){.kind = ALG_TCP_WATCH,
				  .peer_ip_be = to.ip_be,
				  .peer_port = to.port,
				  .inspect = true,
				  .service = H323_SIGNALLING,
				  .lifetime_ms = milliseconds(HOUR)});
}

/* All that came of a registration. What is more than an answer has acts for is forgotten, and lives out its time. */
static void end_registration(struct h323_talk *t)
{
	static const enum alg_direction whose[] = {ALG_GUEST, ALG_OUTSIDE};
	for (int i = 0; i < 2; i++)
		if (find_call(t, whose[i], false))
			h323_talk_close(t, all_openings(t->call));
}

static void take_gatekeepers(struct h323_talk *t, struct ras *s, uint32_t message)
{
	const struct h323_channel *r;
	const bool registered = find_call(t, ALG_GUEST, false);
	switch (registered ? message : UINT32_MAX) {
	case REGISTRATION_CONFIRM: confirm(t, s); break;
	case REGISTRATION_REJECT:
		r = find_request(t, false);
		if (r)
			h323_talk_close(t, r->openings);
		break;
	case UNREGISTRATION_CONFIRM:
		if (find_request(t, true))
			end_registration(t);
		break;
	}
	find_call(t, ALG_OUTSIDE, false);
	if ((message != REGISTRATION_CONFIRM && message != ADMISSION_CONFIRM &&
		    message != LOCATION_CONFIRM && message != ADMISSION_CONFIRM_SEQUENCE) ||
		!take_question(t, s))
		return;
	for (unsigned int i = 0; i < t->count; i++)
		if (t->mark[i].field == H323_RAS_DEST_SIGNAL ||
			t->mark[i].field == H323_RAS_SIGNAL_ADDRESS)
			need_watch(t, s, &t->mark[i]);
}

/* ---- edits ---- */

static void edit(struct h323_talk *t)
{
	for (unsigned int i = 0; i < t->count; i++) {
		const struct h323_mark *m = &t->mark[i];
		switch (m->field) {
		case H323_RAS_ADDRESS: h323_address_translate(t, m, ALGS_UDP); break;
		case H323_RAS_SIGNAL_ADDRESS:
		case H323_RAS_DEST_SIGNAL:
		case H323_RAS_SRC_SIGNAL:
		case H323_RAS_ALIAS_ADDRESS:
		case H323_RAS_OTHER_ADDRESS: h323_address_translate(t, m, ALGS_TCP); break;
		case H323_RAS_ALTERNATE:
		case H323_RAS_IRR_CALL_ADDRESS:
			h323_address_translate(t, m, ALGS_TCP | ALGS_UDP);
			break;
		}
	}
	h323_talk_finish(t);
}

/* ---- the protocol ---- */

static void ras_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	struct ras *s = state;
	struct h323_talk t;
	h323_talk_begin(&t, f, from, p, a);
	if (!h323_talk_read(&t, H323_ROOT_RAS, 0, n)) {
		a->note = "a message that cannot be read";
		if (s->unreadable++ == UNREADABLE)
			alg_violation(a, "not RAS");
		return;
	}
	s->unreadable = 0;
	if (h323_talk_is_sealed(&t))
		return;
	const uint32_t message = h323_talk_value(&t, H323_RAS_MESSAGE, UINT32_MAX);
	if (from == ALG_GUEST)
		take_guests(&t, s, message);
	else
		take_gatekeepers(&t, s, message);
	if (h323_talk_settle(&t))
		edit(&t);
	/* The gatekeeper's names the ports that it closes. */
	if (from == ALG_OUTSIDE && message == UNREGISTRATION_REQUEST)
		end_registration(&t);
}

static void ras_granted(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, const struct alg_grant *grants, struct alg_answer *a)
{
	struct h323_talk t;
	h323_talk_begin(&t, f, from, p, a);
	h323_talk_read(&t, H323_ROOT_RAS, 0, n);
	find_call(&t, from, false);
	if (h323_talk_granted(&t, grants))
		edit(&t);
}

const struct alg_protocol ras_protocol = {
	.name = "h323-ras",
	.alg = ALGS_H323,
	.service = H323_REGISTRATION,
	.transports = ALGS_UDP,
	.message_max = ALG_MESSAGE_MAX,
	.message = ras_message,
	.granted = ras_granted,
	.gone = h323_talk_gone,
	.end = h323_talk_end,
};

const struct alg_protocol ras_discovery_protocol = {
	.name = "h323-discovery",
	.alg = ALGS_H323,
	.service = H323_DISCOVERY,
	.transports = ALGS_UDP,
	.message_max = ALG_MESSAGE_MAX,
	.message = ras_message,
	.granted = ras_granted,
	.gone = h323_talk_gone,
	.end = h323_talk_end,
};
