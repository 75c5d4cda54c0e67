/*
 * H.245: theory of operation.
 *
 *   guest ── OpenLogicalChannel 7, RTCP 5005 ──▶ pair 5004, latent       far end ── OpenLogicalChannel 9, RTCP a:6001 ──▶ a is noted
 *         ◀── Ack 7, RTP b:6000 ── armed for b                                  ◀── Ack 9, RTP 5004 ── pair 5004 for a, at once
 *
 *   stream  = *TPKT          of a connection that a call leads to (link); any other one is passed on unread
 *   TPKT    = *message       h323.schema: ControlMessages
 *
 * Whom the guest lets in is from where the far end says that it sends (RTCP of its own channel); to where it wants the guest to send says
 * the same, but counts less. RTCP at an odd port means RTP at the one before it, as the guest has one pair for both directions of a
 * session; so its channel, and the far end's, find the same opening.
 *
 * A channel holds the openings that serve it. When it is closed, rejected or its session over, those that nobody holds any more are closed
 * (h323_talk_collect). What fastStart offers is held by the offer until Connect is there (H.323 8.1.7), and by the channels that it became.
 * An answer to what was not offered, and an Ack to what was not opened, ask for nothing.
 */
#include "h245.h"

#include "h323_address.h"
#include "protocols.h"
#include "tpkt.h"

/* enum h323_field H245_MESSAGE has them so. */
enum message {
	REQUEST = 0,
	RESPONSE = 1 << 16,
	COMMAND = 2 << 16,
	OPEN = REQUEST | 3,
	CLOSE = REQUEST | 4,
	OPEN_ACK = RESPONSE | 5,
	OPEN_REJECT = RESPONSE | 6,
	CLOSE_ACK = RESPONSE | 7,
	REQUEST_CLOSE_ACK = RESPONSE | 8,
	MODE_RESPONSE = RESPONSE | 19,
	END_SESSION = COMMAND | 5,
	MODE_COMMAND = COMMAND | 7,
};

enum { MODE_CHANNEL = 0 /* a number that no channel has: of what CommunicationMode names */ };

/* What is said of a channel. */
struct said {
	uint16_t number;
	uint8_t session;
	bool reverse;
	const struct h323_mark *media[2], *control[2]; /* forward, reverse */
	const struct h323_mark *stack;
};

static struct said read_channel(const struct h323_talk *t, unsigned int first, unsigned int end)
{
	struct said s = {0};
	for (unsigned int i = first; i < end; i++) {
		const struct h323_mark *m = &t->mark[i];
		switch (m->field) {
		case H323_H245_CHANNEL_NUMBER: s.number = (uint16_t)m->value; break;
		case H323_H245_SESSION: s.session = (uint8_t)m->value; break;
		case H323_H245_REVERSE: s.reverse = true; break;
		case H323_H245_MEDIA: s.media[0] = m; break;
		case H323_H245_MEDIA_CONTROL: s.control[0] = m; break;
		case H323_H245_REVERSE_MEDIA: s.media[1] = m; break;
		case H323_H245_REVERSE_MEDIA_CONTROL: s.control[1] = m; break;
		case H323_H245_SEPARATE_STACK: s.stack = m; break;
		}
	}
	return s;
}

/* ---- channels ---- */

static struct h323_channel *find_channel(
	struct h323_call *c, enum alg_direction by, bool offer, uint16_t number)
{
	for (int i = 0; i < H323_CHANNELS; i++) {
		struct h323_channel *ch = &c->channel[i];
		if (ch->used && ch->by == by && ch->offer == offer && ch->number == number)
			return ch;
	}
	return NULL;
}

/* The same, or a new one; NULL and t->failed: there is no room. */
static struct h323_channel *take_channel(
	struct h323_talk *t, enum alg_direction by, bool offer, uint16_t number)
{
	struct h323_channel *found = find_channel(t->call, by, offer, number);
	for (int i = 0; !found && i < H323_CHANNELS; i++)
		if (!t->call->channel[i].used) {
			found = &t->call->channel[i];
			*found = (struct h323_channel){
				.used = true, .by = (uint8_t)by, .offer = offer, .number = number};
		}
	if (!found) {
		t->failed = true;
		t->a->note = "a channel of a call that has too many";
	}
	return found;
}

/* Who sends by the far end's next one may be another, at a port that stays. */
static void drop_channel(struct h323_talk *t, enum alg_direction by, uint16_t number)
{
	struct h323_channel *ch = find_channel(t->call, by, false, number);
	if (!ch)
		return;
	for (int place = 0; by == ALG_OUTSIDE && place < H323_CALL_OPENINGS; place++)
		if (ch->openings >> place & 1)
			h323_calls_opening(t->f->h323, t->call, place)->media = false;
	*ch = (struct h323_channel){0};
}

static enum alg_direction other(enum alg_direction from)
{
	return from == ALG_GUEST ? ALG_OUTSIDE : ALG_GUEST;
}

/* ---- what the guest needs ---- */

/* The guest's port, 0: it names none of its own. */
static uint16_t own_port(const struct h323_talk *t, const struct h323_mark *m)
{
	return m && h323_address_own(t, m) ? h323_address_of(t, m).port : 0;
}

static uint16_t need(struct h323_talk *t, enum alg_kind kind, unsigned int port, bool latent,
	uint32_t peer_ip_be)
{
	const bool named = h323_address_sends(peer_ip_be);
	const int place =
		h323_talk_need(t, (struct alg_wish){.kind = kind,
					  .guest_port = (uint16_t)port,
					  .latent = latent,
					  .peer_ip_be = named ? peer_ip_be : t->f->peer_ip_be,
					  .lifetime_ms = H323_LIFE_MS});
	return place < 0 ? 0 : (uint16_t)(1U << place);
}

/* RTP and RTCP of one direction. */
static uint16_t need_media(struct h323_talk *t, const struct h323_mark *rtp,
	const struct h323_mark *rtcp, bool latent, uint32_t peer_ip_be)
{
	const unsigned int media = own_port(t, rtp), control = own_port(t, rtcp);
	const unsigned int first = media ? media : control - 1;
	uint16_t places = 0;
	if (!media && !control)
		return 0;
	if (!(first & 1) && (!control || control == first + 1))
		return need(t, ALG_UDP_PAIR, first, latent, peer_ip_be);
	if (media)
		places |= need(t, ALG_UDP_ONE, media, latent, peer_ip_be);
	if (control)
		places |= need(t, ALG_UDP_ONE, control, latent, peer_ip_be);
	return places;
}

static uint16_t need_all(
	struct h323_talk *t, const struct said *s, bool latent, uint32_t peer_ip_be)
{
	const uint16_t port = own_port(t, s->stack);
	uint16_t places = 0;
	for (int way = 0; way < 2; way++)
		places |= need_media(t, s->media[way], s->control[way], latent, peer_ip_be);
	if (port)
		places |= need(t, ALG_TCP_LISTEN, port, latent, 0);
	return places;
}

/* ---- what the far end says ---- */

/* An address of the far end's; 0: none, or the guest's again. */
static uint32_t peer_of(const struct h323_talk *t, const struct said *s)
{
	for (int way = 1; way >= 0; way--) {
		const struct h323_mark *marks[] = {s->control[way], s->media[way]};
		for (int i = 0; i < 2; i++) {
			const uint32_t ip_be = marks[i] ? h323_address_of(t, marks[i]).ip_be : 0;
			if (h323_address_sends(ip_be) && ip_be != t->f->outside_ip_be)
				return ip_be;
		}
	}
	return 0;
}

static void arm(struct h323_talk *t, uint16_t places, uint32_t peer_ip_be, bool media)
{
	for (int place = 0; place < H323_CALL_OPENINGS; place++)
		if (places >> place & 1)
			h323_talk_arm(t, place, peer_ip_be, media);
}

/* ---- messages ---- */

/* A number that is opened again is another channel: the old one is released, as the answering end does, too (H.245 C.4). */
static void open_channel(struct h323_talk *t, const struct said *s)
{
	drop_channel(t, t->from, s->number);
	struct h323_channel *ch = take_channel(t, t->from, false, s->number);
	if (!ch)
		return;
	if (t->from == ALG_GUEST)
		ch->openings = need_all(t, s, true, 0);
	else
		ch->peer_ip_be = peer_of(t, s);
}

static void acknowledge(struct h323_talk *t, const struct said *s)
{
	struct h323_channel *ch = find_channel(t->call, other(t->from), false, s->number);
	if (!ch)
		return;
	if (t->from == ALG_GUEST)
		ch->openings |= need_all(t, s, false, ch->peer_ip_be);
	else
		arm(t, ch->openings, peer_of(t, s), s->reverse);
}

/* CommunicationMode of a guest that is the conference's controller: where it receives itself. */
static void need_modes(struct h323_talk *t, unsigned int first, unsigned int end)
{
	struct h323_channel *ch = NULL;
	for (unsigned int i = first; i < end; i++) {
		const struct h323_mark *m = &t->mark[i];
		if (m->field != H323_H245_COMMUNICATION_MODE || !own_port(t, m))
			continue;
		ch = take_channel(t, ALG_GUEST, false, MODE_CHANNEL);
		if (ch)
			ch->openings |=
				need_media(t, m->value ? NULL : m, m->value ? m : NULL, false, 0);
	}
}

static void end_session(struct h323_call *c)
{
	for (int i = 0; i < H323_CHANNELS; i++)
		c->channel[i] = (struct h323_channel){0};
	c->kept = 0;
}

static void take_message(struct h323_talk *t, unsigned int first, unsigned int end)
{
	const struct said s = read_channel(t, first, end);
	switch (t->mark[first].value) {
	case OPEN: open_channel(t, &s); break;
	case OPEN_ACK: acknowledge(t, &s); break;
	case OPEN_REJECT:
	case CLOSE_ACK: drop_channel(t, other(t->from), s.number); break;
	case CLOSE:
	case REQUEST_CLOSE_ACK: drop_channel(t, t->from, s.number); break;
	case MODE_COMMAND:
	case MODE_RESPONSE:
		if (t->call->heard[ALG_GUEST] && t->call->heard[ALG_OUTSIDE])
			need_modes(t, first, end);
		break;
	case END_SESSION: end_session(t->call); break;
	}
}

void h245_messages(struct h323_talk *t, unsigned int first, unsigned int end)
{
	while (first < end) {
		unsigned int next = first + 1;
		while (next < end && t->mark[next].field != H323_H245_MESSAGE)
			next++;
		if (t->mark[first].field == H323_H245_MESSAGE)
			take_message(t, first, next);
		first = next;
	}
}

/* ---- fastStart ---- */

static void take_offer(struct h323_talk *t, const struct said *s)
{
	struct h323_channel *offer = take_channel(t, t->from, true, s->session);
	if (!offer)
		return;
	if (t->from == ALG_GUEST)
		offer->openings |= need_all(t, s, true, 0);
	else if (!offer->peer_ip_be || !s->reverse)
		offer->peer_ip_be = peer_of(t, s);
}

/* It becomes a channel, of who sends by it. */
static void take_answer(struct h323_talk *t, const struct said *s)
{
	const struct h323_channel *offer = find_channel(t->call, other(t->from), true, s->session);
	const enum alg_direction by = s->reverse ? t->from : other(t->from);
	struct h323_channel *ch = offer && s->number ? take_channel(t, by, false, s->number) : NULL;
	if (!ch)
		return;
	ch->peer_ip_be = offer->peer_ip_be;
	ch->openings =
		t->from == ALG_GUEST ? need_all(t, s, false, offer->peer_ip_be) : offer->openings;
	if (t->from == ALG_OUTSIDE)
		arm(t, ch->openings, peer_of(t, s), s->reverse);
}

void h245_fast_start(struct h323_talk *t, unsigned int first, unsigned int end, bool offer)
{
	const struct said s = read_channel(t, first, end);
	if (offer)
		take_offer(t, &s);
	else
		take_answer(t, &s);
}

void h245_end_offers(struct h323_call *c)
{
	for (int i = 0; i < H323_CHANNELS; i++)
		if (c->channel[i].offer)
			c->channel[i] = (struct h323_channel){0};
}

/* ---- edits ---- */

/* A port of the guest's that nothing leads to stays as it is. */
static void edit_port(struct h323_talk *t, const struct h323_mark *m, uint8_t transports)
{
	if (!h323_address_own(t, m) || h323_talk_holds(t, transports, h323_address_of(t, m).port))
		h323_address_translate(t, m, transports);
}

bool h245_edit(struct h323_talk *t, const struct h323_mark *m)
{
	switch (m->field) {
	case H323_H245_MEDIA:
	case H323_H245_MEDIA_CONTROL:
	case H323_H245_REVERSE_MEDIA:
	case H323_H245_REVERSE_MEDIA_CONTROL:
	case H323_H245_COMMUNICATION_MODE: edit_port(t, m, ALGS_UDP); return true;
	case H323_H245_SEPARATE_STACK: edit_port(t, m, ALGS_TCP); return true;
	case H323_H245_OTHER_ADDRESS: h323_address_translate(t, m, ALGS_UDP); return true;
	default: return false;
	}
}

/* ---- a connection of its own ---- */

static void edit(struct h323_talk *t)
{
	for (unsigned int i = 0; i < t->count; i++)
		h245_edit(t, &t->mark[i]);
	h323_talk_finish(t);
}

static void h245_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	bool *begun = state;
	struct h323_talk t;
	h323_talk_begin(&t, f, from, p, a);
	t.call = h323_calls_linked(f->h323, f);
	if (!t.call) {
		a->result = ALG_DONE;
		a->why = "no call leads to this connection";
		return;
	}
	if (n == TPKT_HEADER_BYTES) /* keeps the connection */
		return;
	if (!h323_talk_read(&t, H323_ROOT_H245, TPKT_HEADER_BYTES, n - TPKT_HEADER_BYTES)) {
		a->note = "a message that cannot be read";
		if (!*begun)
			alg_violation(a, "not an H.245 message");
		return;
	}
	*begun = true;
	t.call->control = (uint16_t)(f->id + 1);
	t.call->seen_ms = f->now_ms;
	h245_messages(&t, 0, t.count);
	h323_talk_collect(&t);
	if (h323_talk_settle(&t))
		edit(&t);
}

static void h245_granted(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, const struct alg_grant *grants, struct alg_answer *a)
{
	struct h323_talk t;
	h323_talk_begin(&t, f, from, p, a);
	t.call = h323_calls_linked(f->h323, f);
	h323_talk_read(&t, H323_ROOT_H245, TPKT_HEADER_BYTES, n - TPKT_HEADER_BYTES);
	if (h323_talk_granted(&t, grants))
		edit(&t);
}

const struct alg_protocol h245_protocol = {
	.name = "h323-h245",
	.alg = ALGS_H323,
	.service = H323_CONTROL,
	.transports = ALGS_TCP,
	.message_max = TPKT_BYTES_MAX,
	.frame = tpkt_frame,
	.message = h245_message,
	.granted = h245_granted,
	.gone = h323_talk_gone,
	.end = h323_talk_end,
};
