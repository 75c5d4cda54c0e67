/*
 * SCCP (Skinny): the connection of a telephone, or another station, to the manager of its calls.
 *
 *   guest is a station                                guest is a manager (published, static address)
 *     Register             its address: edit
 *     OpenReceiveChannel   noted, and who sends         ...  its address: edit
 *     its Ack              wish, edit
 *     StartMediaTransmission  noted, armed for that     ...  wish, edit
 *     its Ack              wish, edit
 *     CloseReceiveChannel, StopMediaTransmission: closed          StopMediaTransmission: closed
 *
 *   stream  = *message
 *   message = length(4) version(4) id(4) body         little-endian; length counts id and body: 4..65,528
 *
 * skinny_table.c knows which messages have addresses, and where: that depends on the version. A message says it in its header, or, with
 * version 0 there, it is the lower one of what Register and RegisterAck say.
 *
 * When is a message believed?
 *  - The station speaks first, and that is a message with which stations begin. HTTP is not: as a length "POST" is a gigabyte. What the
 *    manager says before that, and any length or version that cannot be, ends inspection for good (NAT slipstreaming).
 *  - Ports are opened only after RegisterAck; of a station only where the manager has asked for it (OpenReceiveChannel, PortReq,
 *    StartMediaTransmission) and has not taken it back; and only if the address beside the port is literally the guest's.
 *  - Who may come: to a manager its station. To a station who the manager said last is at the other end of that conference and party: as
 *    source in OpenReceiveChannel, or where the station is to send to. Until it has named one, and for one that only listens to music,
 *    it is the manager itself.
 * A conference may have further parties (a recorder is one), so what is said of one party changes nothing for another.
 */
#include <string.h>

#include "maps.h"
#include "protocols.h"
#include "skinny_calls.h"

enum {
	LENGTH_MIN = 4,
	LENGTH_MAX = ALG_MESSAGE_MAX - SKINNY_UNCOUNTED_BYTES,
	VERSION_MAX = 255, /* 22 is the highest known */
	PINHOLE_MS = 60000,
};

/* One message while it is looked at. */
struct talk {
	struct skinny *s;
	const struct alg_flow *f;
	enum alg_direction from;
	const uint8_t *p;
	struct alg_answer *a;
	struct skinny_message m;
	bool kept; /* it is left as it is */
};

/* ---- what is a message ---- */

static enum skinny_end sender(const struct alg_flow *f, enum alg_direction from)
{
	return (from == ALG_GUEST) != f->guest_serves ? SKINNY_STATION : SKINNY_MANAGER;
}

static bool begins(uint32_t id)
{
	switch (id) {
	case SKINNY_KEEP_ALIVE:
	case SKINNY_REGISTER:
	case SKINNY_SERVER_REQ:
	case SKINNY_ALARM:
	case SKINNY_REGISTER_TOKEN:
	case SKINNY_XML_ALARM:
	case SKINNY_SPCP_REGISTER_TOKEN: return true;
	default: return false;
	}
}

/* Why these are not the first octets of a message; NULL: they may be. */
static const char *offence(const struct skinny *s, const struct alg_flow *f,
	enum alg_direction from, const uint8_t *p, size_t n)
{
	if (!s->opened && sender(f, from) == SKINNY_MANAGER)
		return "the manager speaks first";
	if (n >= 4 && (skinny_length(p) < LENGTH_MIN || skinny_length(p) > LENGTH_MAX))
		return "no length of an SCCP message";
	if (n >= 8 && skinny_version(p) > VERSION_MAX)
		return "no version of SCCP";
	if (n >= SKINNY_HEADER_BYTES && !s->opened && !begins(skinny_id(p)))
		return "no message with which a station begins";
	return NULL;
}

/* What is none is given to message() at once, which says so. */
static size_t skinny_frame(const void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen)
{
	if (offence(state, f, from, p, n))
		return n;
	return n < SKINNY_HEADER_BYTES ? 0 : SKINNY_UNCOUNTED_BYTES + (size_t)skinny_length(p);
}

/* ---- openings ---- */

static bool is_host(uint32_t ip_be)
{
	uint8_t first;
	memcpy(&first, &ip_be, sizeof(first));
	return first > 0 && first != 127 && first < 224;
}

static uint32_t peer_of(const struct talk *t, const struct skinny_stream *w)
{
	return w->peer_ip_be ? w->peer_ip_be : t->f->peer_ip_be;
}

static void arm(struct talk *t, struct skinny_stream *w)
{
	if (w->outside_port && t->a->act_count < ALG_ACTS)
		t->a->act[t->a->act_count++] = (struct alg_act){.what = ALG_ARM,
			.media = true,
			.token = w->token,
			.peer_ip_be = peer_of(t, w)};
	else if (w->token)
		w->moved = true;
}

/* Forgets it (NULL: nothing); what is being asked for later. */
static void drop(struct talk *t, struct skinny_stream *w)
{
	if (!w)
		return;
	if (w->token && !w->outside_port) {
		w->over = true;
		return;
	}
	if (w->token)
		alg_act_add(t->a, ALG_CLOSE, w->token);
	*w = (struct skinny_stream){0};
}

static void drop_all(struct talk *t)
{
	for (int i = 0; i < SKINNY_STREAMS; i++)
		if (t->s->stream[i].used)
			drop(t, &t->s->stream[i]);
}

static void keep(struct talk *t, const char *why)
{
	t->kept = true;
	t->a->note = why;
}

static void wish(struct talk *t, struct skinny_stream *w, uint32_t port)
{
	const bool pair = !(port & 1);
	skinny_open(t->s, w, (uint16_t)port, pair);
	t->a->result = ALG_WISH;
	t->a->wish[t->a->wish_count++] =
		(struct alg_wish){.kind = pair ? ALG_UDP_PAIR : ALG_UDP_ONE,
			.guest_port = (uint16_t)port,
			.latent = w->media == SKINNY_OWN,
			.token = w->token,
			.peer_ip_be = peer_of(t, w),
			.lifetime_ms = PINHOLE_MS};
}

/* The stream needs an opening to this port of the guest's. It has it already, or had another. */
static void need(struct talk *t, struct skinny_stream *w, uint32_t port)
{
	if (w->token && w->guest_port == port) {
		if (w->media != SKINNY_OWN)
			arm(t, w);
		return;
	}
	if (w->token)
		alg_act_add(t->a, ALG_CLOSE, w->token);
	skinny_shut(w);
	if (skinny_has_room(t->s, w))
		wish(t, w, port);
	else
		keep(t, "more openings than a call may have");
}

/* ---- who is at the other end ---- */

static uint32_t named(const struct talk *t)
{
	return t->m.addresses && is_host(t->m.address[0].ip_be) ? t->m.address[0].ip_be : 0;
}

/* The manager has said who is at the other end of this stream. */
static void name_peer(struct talk *t, struct skinny_stream *w, uint32_t ip_be)
{
	if (!w || !ip_be)
		return;
	w->peer_ip_be = ip_be;
	arm(t, w);
}

static struct skinny_stream *find(
	const struct talk *t, enum skinny_media media, enum skinny_way way)
{
	return skinny_find(t->s, media, way, t->m.conference, t->m.party);
}

static struct skinny_stream *take(struct talk *t, enum skinny_way way)
{
	struct skinny_stream *w =
		skinny_take(t->s, t->f, t->m.media, way, t->m.conference, t->m.party);
	if (!w)
		keep(t, "more streams than there is room for");
	else if (t->m.reference)
		w->reference = t->m.reference;
	return w;
}

/* ---- what a manager says to the guest ---- */

static void on_ask(struct talk *t)
{
	struct skinny_stream *w = take(t, SKINNY_IN), *out;
	if (!w)
		return;
	out = find(t, t->m.media, SKINNY_OUT);
	w->asked = t->m.media != SKINNY_PORTS || t->m.status != SKINNY_BY_TCP;
	if (named(t))
		name_peer(t, w, named(t));
	else if (out)
		name_peer(t, w, out->peer_ip_be);
}

/* Where the station sends to, somebody sends from as well. */
static void on_start(struct talk *t)
{
	struct skinny_stream *w = take(t, SKINNY_OUT);
	if (!w)
		return;
	name_peer(t, w, named(t));
	name_peer(t, find(t, t->m.media, SKINNY_IN), named(t));
	name_peer(t, find(t, SKINNY_PORTS, SKINNY_IN), named(t));
}

/* Asterisk leaves the conference out when it takes a stream back. */
static void end_stream(struct talk *t, enum skinny_way way)
{
	drop(t, t->m.conference ? find(t, t->m.media, way)
				: skinny_find_party(t->s, t->m.media, way, t->m.party));
}

static void on_stop(struct talk *t)
{
	end_stream(t, SKINNY_OUT);
}

static void on_close(struct talk *t)
{
	end_stream(t, SKINNY_IN);
}

static void on_call_state(struct talk *t)
{
	for (int i = 0; i < SKINNY_STREAMS; i++) {
		struct skinny_stream *w = &t->s->stream[i];
		if (t->m.status == SKINNY_ON_HOOK && t->m.reference && w->used &&
			w->reference == t->m.reference)
			drop(t, w);
	}
}

/* ---- what the guest says of itself ---- */

/* Its own port in this message; 0: none that may be opened. */
static uint32_t own_port(const struct talk *t)
{
	const struct skinny_address *a = &t->m.address[0];
	const bool own = t->m.addresses && (!a->at || a->ip_be == t->f->guest_ip_be);
	return own && t->m.status == SKINNY_OK && a->port >= ALG_PORT_MIN && a->port <= UINT16_MAX
		       ? a->port
		       : 0;
}

static void on_receiving(struct talk *t)
{
	struct skinny_stream *w = t->m.media == SKINNY_PORTS ? find(t, SKINNY_PORTS, SKINNY_IN)
							     : skinny_find_party(t->s, t->m.media,
								       SKINNY_IN, t->m.party);
	if (w && w->asked && own_port(t))
		need(t, w, own_port(t));
}

/* Most send from where they receive, which is open then; others want to hear at least reports there. */
static void on_sending(struct talk *t)
{
	struct skinny_stream *w = find(t, t->m.media, SKINNY_OUT);
	if (w && own_port(t) && !skinny_holds(t->s, own_port(t)))
		need(t, w, own_port(t));
}

/* Of telephones that say it, all calls of the first generations come there. It is kept for them, but open only when they are said to be. */
static void on_own_port(struct talk *t)
{
	struct skinny_stream *w = own_port(t) ? take(t, SKINNY_IN) : NULL;
	if (w)
		need(t, w, own_port(t));
}

static void on_own_start(struct talk *t)
{
	struct skinny_stream *w = own_port(t) ? take(t, SKINNY_OUT) : NULL;
	if (w)
		need(t, w, own_port(t));
}

/* ---- registration ---- */

static void on_register(struct talk *t)
{
	t->s->version = (uint8_t)t->m.status;
	t->s->registering = true;
	t->s->registered = false;
}

/* A manager that says nothing, or more than there is, has taken the station's. The version stays then, whatever is asked for meanwhile. */
static void on_registered(struct talk *t)
{
	struct skinny *s = t->s;
	if (!s->registering)
		return;
	if (t->m.status && t->m.status < s->version)
		s->version = (uint8_t)t->m.status;
	s->registering = false;
	s->registered = true;
}

static void on_unregistered(struct talk *t)
{
	if (t->m.status != SKINNY_OK)
		return;
	t->s->registering = t->s->registered = false;
	drop_all(t);
}

/* ---- what becomes of a message ---- */

/* NULL: nothing but its addresses counts. */
static const struct handler {
	void (*station)(struct talk *t), (*manager)(struct talk *t); /* by what the guest is */
	bool early; /* counts before the registration, too */
	bool leads; /* names a port to which somebody is to come: address and port make sense only together */
} handlers[SKINNY_MEANINGS] = {
	[SKINNY_REGISTERS] = {on_register, on_register, .early = true},
	[SKINNY_REGISTERED] = {on_registered, on_registered, .early = true},
	[SKINNY_UNREGISTERED] = {on_unregistered, on_unregistered},
	[SKINNY_OWN_PORT] = {on_own_port, NULL, .leads = true},
	[SKINNY_ASK] = {on_ask, NULL},
	[SKINNY_RECEIVING] = {on_receiving, NULL, .leads = true},
	[SKINNY_START] = {on_start, on_own_start, .leads = true},
	[SKINNY_SENDING] = {on_sending, NULL, .leads = true},
	[SKINNY_STOP] = {on_stop, on_stop},
	[SKINNY_CLOSE] = {on_close, on_close},
	[SKINNY_CALL_STATE] = {on_call_state, on_call_state},
};

static void handle(struct talk *t)
{
	const struct handler *h = &handlers[t->m.meaning];
	void (*of_guest)(struct talk *) = t->f->guest_serves ? h->manager : h->station;
	if (of_guest && (h->early || t->s->registered))
		of_guest(t);
}

/* ---- edits ---- */

static void edit_address(struct talk *t, const struct skinny_address *a, uint32_t ip_be)
{
	struct alg_edit *e = a->at ? alg_edit_add(t->a, a->at, sizeof(ip_be)) : NULL;
	if (!e)
		return;
	memcpy(e->text, &ip_be, sizeof(ip_be));
	e->bytes = sizeof(ip_be);
}

static void edit_port(struct talk *t, uint32_t at, uint32_t port)
{
	struct alg_edit *e = alg_edit_add(t->a, at, 4);
	if (!e)
		return;
	skinny_put(e->text, port);
	e->bytes = 4;
}

static void edit_own(struct talk *t, const struct skinny_address *a)
{
	const struct skinny_stream *w = a->port_at ? skinny_holds(t->s, a->port) : NULL;
	if (!w && handlers[t->m.meaning].leads)
		return;
	edit_address(t, a, t->f->outside_ip_be);
	if (!w)
		return;
	const uint32_t behind = w->outside_port - w->guest_port; /* modulo 2^32 */
	edit_port(t, a->port_at, a->port + behind);
	if (a->rtcp_at && a->rtcp == a->port + 1 && skinny_holds(t->s, a->rtcp) == w)
		edit_port(t, a->rtcp_at, a->rtcp + behind);
}

static void edit_from_guest(struct talk *t, const struct skinny_address *a)
{
	uint32_t outside_be;
	if (!a->at || a->ip_be == t->f->guest_ip_be)
		edit_own(t, a);
	else if (maps_outside(t->f, a->ip_be, &outside_be))
		edit_address(t, a, outside_be);
}

/* What a station heard of a manager inside, and says again. */
static void edit_to_manager(struct talk *t, const struct skinny_address *a)
{
	const bool own = a->at && a->ip_be == t->f->outside_ip_be;
	const struct skinny_stream *w =
		own && a->port_at ? skinny_holds_outside(t->s, a->port) : NULL;
	uint32_t inside_be;
	if (w) {
		edit_address(t, a, t->f->guest_ip_be);
		edit_port(t, a->port_at, a->port + (uint32_t)w->guest_port - w->outside_port);
	} else if (a->at && maps_inside(t->f, a->ip_be, &inside_be)) {
		edit_address(t, a, inside_be);
	}
}

static void edit(struct talk *t)
{
	for (unsigned int i = 0; i < t->m.addresses && !t->kept; i++) {
		if (t->from == ALG_GUEST)
			edit_from_guest(t, &t->m.address[i]);
		else if (t->f->guest_serves)
			edit_to_manager(t, &t->m.address[i]);
	}
}

/* ---- the parser ---- */

/* false: it is none that means anything. */
static bool read_message(struct talk *t, size_t n)
{
	const uint32_t said = skinny_version(t->p), version = said ? said : t->s->version;
	return skinny_read(t->p, n, version, sender(t->f, t->from), &t->m);
}

static void skinny_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	struct talk t = {.s = state, .f = f, .from = from, .p = p, .a = a};
	const char *why = offence(t.s, f, from, p, n);
	if (why || n < SKINNY_HEADER_BYTES) {
		alg_violation(a, why ? why : "not an SCCP message");
		return;
	}
	if (!t.s->opened)
		t.s->begun_ms = f->now_ms;
	t.s->opened = true;
	if (!read_message(&t, n))
		return;
	handle(&t);
	if (a->result == ALG_PASS)
		edit(&t);
}

/* It was closed, or its peer replaced, while it was asked for. */
static void settle(struct talk *t, struct skinny_stream *w)
{
	if (w->over)
		drop(t, w);
	else if (w->moved)
		arm(t, w);
	w->moved = false;
}

static void skinny_granted(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, const struct alg_grant *g, struct alg_answer *a)
{
	struct talk t = {.s = state, .f = f, .from = from, .p = p, .a = a};
	struct skinny_stream *w = skinny_pending(t.s);
	if (!w)
		return;
	if (!g) {
		skinny_shut(w);
		if (w->over)
			drop(&t, w);
		return;
	}
	w->outside_port = g->outside_port;
	if (read_message(&t, n))
		edit(&t);
	settle(&t, w);
}

static void skinny_gone(void *state, const struct alg_flow *f, uint32_t token)
{
	struct skinny *s = state;
	for (int i = 0; i < SKINNY_STREAMS; i++)
		if (s->stream[i].token == token)
			skinny_shut(&s->stream[i]);
}

const struct alg_protocol skinny_protocol = {
	.name = "skinny",
	.alg = ALGS_SKINNY,
	.transports = ALGS_TCP,
	.message_max = ALG_MESSAGE_MAX,
	.frame = skinny_frame,
	.message = skinny_message,
	.granted = skinny_granted,
	.gone = skinny_gone,
};
