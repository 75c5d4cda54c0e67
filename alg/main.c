/*
 * alg, the actor: natproxy's bytes in, verdicts out. It has no other friend, no socket, no file and
 * no memory of anyone.
 *
 *   natproxy ── FlowInspect, FlowBytes, PinholeAnswer, FlowEnd ──▶ stream.c ─▶ a row of table.c
 *   natproxy ◀── Verdict, PinholeOpen, PinholeClose, GiveUp ────────┘
 *
 * A connection to which a pinhole of H.323 led is a flow of its own, whose FlowInspect says with which link. What
 * its messages end may be a pinhole of the flow that named it.
 *
 * Nothing counts before the AlgEdge of this process's own generation: what comes earlier was meant
 * for a predecessor. A later generation is a new natproxy, whose flow numbers mean other flows. A
 * flow that is not (any more) in the table is ignored: its GiveUp and natproxy's bytes crossed. What
 * is inspected is natproxy's business alone: it may have heard sooner than we what is switched on.
 *
 * Whatever natproxy shows is answered, if only by how far we have seen: natproxy waits a second for
 * that, not longer. Where its channel is full, what we had to say is lost: such a flow is given up.
 * A later verdict would let the bytes of a lost one go on without their edits.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor.h"
#include "alg_dispatch.h"
#include "h323_rows.h"
#include "log.h"
#include "maps.h"
#include "natproxy_alg.pb-c.h"
#include "sip_rows.h"
#include "skinny_rows.h"
#include "stats.h"
#include "stream.h"
#include "table.h"

enum {
	FLOWS = 1024, /* as many as natproxy has under inspection, TCP and UDP together */
	BUCKETS = 2048,
	NONE = 0xffff,
	NOTE_NS = 1000000000,
	SKINNY_FIRST = SIP_CALLS + H323_CALLS, /* cursor of SCCP's calls */
	MS_NS = 1000000,
};

struct flow {
	uint32_t number;
	uint16_t next; /* in the hash chain or the free list */
	bool used;
	uint8_t row;
	struct stream_flow stream;
};

struct alg {
	struct actor *actor;
	uint32_t generation;
	bool edge_ready;
	bool lost; /* of what one step led to, natproxy did not take everything */
	uint32_t segment_max;
	struct maps maps;
	bool dns_v6, sip_multipart, sip_latch, h323_forward;
	struct stats stats;
	uint64_t noted_ns;
	uint16_t bucket[BUCKETS], free;
	struct flow flow[FLOWS];
	struct stream_pool pool;
	struct sip_calls sip;
	struct h323_calls h323;
	struct stream_out out;
};
_Static_assert(FLOWS <= (int)SIP_FLOWS && FLOWS <= (int)H323_FLOWS,
	"the tables of calls know each of them");

static uint16_t *bucket_of(struct alg *self, uint32_t number)
{
	return &self->bucket[number * 2654435761u >> 21];
}
_Static_assert(BUCKETS == 1 << 11, "bucket_of keeps 11 bits");

static struct stats_alg *stats_of(struct alg *self, const struct flow *f)
{
	return &self->stats.alg[table_rows[f->row]->alg];
}

static struct flow *find(struct alg *self, uint32_t number)
{
	uint16_t i = *bucket_of(self, number);
	while (i != NONE && self->flow[i].number != number)
		i = self->flow[i].next;
	return i == NONE ? NULL : &self->flow[i];
}

static struct flow *add(struct alg *self, uint32_t number, uint8_t row)
{
	uint16_t i = self->free, *bucket = bucket_of(self, number);
	if (i == NONE)
		return NULL;
	struct flow *f = &self->flow[i];
	self->free = f->next;
	f->number = number;
	f->used = true;
	f->row = row;
	f->next = *bucket;
	*bucket = i;
	stats_of(self, f)->flows++;
	stats_of(self, f)->open++;
	return f;
}

/* The time that the parser sees: that of this record. */
static void now(const struct alg *self, struct flow *f)
{
	f->stream.view.now_ms = actor_now_ns(self->actor) / MS_NS;
}

static void forget(struct alg *self, struct flow *f)
{
	uint16_t i = (uint16_t)(f - self->flow), *link = bucket_of(self, f->number);
	while (*link != i)
		link = &self->flow[*link].next;
	*link = f->next;
	now(self, f);
	stream_end(&self->pool, &f->stream);
	stats_of(self, f)->open--;
	f->used = false;
	f->next = self->free;
	self->free = i;
}

static void forget_all(struct alg *self)
{
	for (size_t i = 0; i < FLOWS; i++)
		if (self->flow[i].used)
			forget(self, &self->flow[i]);
}

static struct chan *natproxy(struct alg *self)
{
	return &self->actor->chan[1];
}

static void sent(struct alg *self, int error)
{
	if (!error)
		return;
	self->lost = true;
	drop_count(&self->actor->drops, DROP_RING_FULL);
}

/* One diagnostic line a second at most: guests can cause these. */
static void note(struct alg *self, const struct flow *f, const char *what, const char *why)
{
	char ip[16], text[4 * ALG_WHY_BYTES + 1];
	uint64_t now_ns = actor_now_ns(self->actor);
	if (self->noted_ns && now_ns - self->noted_ns < NOTE_NS)
		return;
	self->noted_ns = now_ns;
	log_ip(ip, f->stream.view.guest_ip_be);
	log_escape(text, sizeof(text), why, strnlen(why, ALG_WHY_BYTES));
	actor_diagnostic(self->actor, "alg %s, guest %s:%u: %s: %s", table_rows[f->row]->name, ip,
		f->stream.view.guest_port, what, text);
}

static void send_give_up(struct alg *self, uint32_t number, bool violation, const char *why)
{
	Nl__GiveUp m = NL__GIVE_UP__INIT;
	char text[ALG_WHY_BYTES + 1] = "";
	strncpy(text, why, ALG_WHY_BYTES);
	m.has_flow = m.has_violation = true;
	m.flow = number;
	m.violation = violation;
	m.why = text;
	sent(self, natproxy_send_give_up(natproxy(self), &m, NULL, 0));
}

static void give_up(struct alg *self, struct flow *f, bool violation, const char *why)
{
	if (violation) {
		stats_of(self, f)->violations++;
		drop_count(&self->actor->drops, DROP_ALG_BAD);
		note(self, f, "not inspected any more", why);
	} else {
		stats_of(self, f)->gave_up++;
	}
	send_give_up(self, f->number, violation, why);
	forget(self, f);
}

/*
 * What out holds, or no more than how far we have seen (natproxy_alg.proto, Verdict). What waits for a
 * wish counts as seen only when the wish is sent: natproxy is not to wait for one that was lost.
 */
static void send_verdict(struct alg *self, const struct flow *f)
{
	struct stream_out *out = &self->out;
	const struct stream_side *side = &f->stream.side[out->direction];
	Nl__Verdict m = NL__VERDICT__INIT;
	Nl__Edit edit[STREAM_EDITS], *edits[STREAM_EDITS];
	for (unsigned int i = 0; i < out->edit_count; i++) {
		struct stream_edit *e = &out->edit[i];
		nl__edit__init(&edit[i]);
		edit[i].has_at = edit[i].has_old_bytes = edit[i].has_bytes = true;
		edit[i].at = e->at;
		edit[i].old_bytes = e->edit.old_bytes;
		edit[i].bytes = (ProtobufCBinaryData){e->edit.bytes, e->edit.text};
		edits[i] = &edit[i];
	}
	m.has_flow = m.has_direction = m.has_until = m.has_seen = true;
	m.flow = f->number;
	m.direction = out->direction == ALG_GUEST ? NL__DIRECTION__GUEST : NL__DIRECTION__OUTSIDE;
	m.until = out->until;
	m.seen = out->wish_count ? out->until : side->at + side->bytes;
	m.n_edits = out->edit_count;
	m.edits = edits;
	sent(self, natproxy_send_verdict(natproxy(self), &m, NULL, 0));
}

static void send_wish(struct alg *self, const struct flow *f, const struct alg_wish *wish)
{
	static const Nl__PinholeKind kinds[] = {
		[ALG_TCP_LISTEN] = NL__PINHOLE_KIND__TCP_LISTEN,
		[ALG_UDP_ONE] = NL__PINHOLE_KIND__UDP_ONE,
		[ALG_UDP_PAIR] = NL__PINHOLE_KIND__UDP_PAIR,
		[ALG_TCP_SERVICE] = NL__PINHOLE_KIND__TCP_SERVICE,
		[ALG_TCP_WATCH] = NL__PINHOLE_KIND__TCP_WATCH,
	};
	Nl__PinholeOpen m = NL__PINHOLE_OPEN__INIT;
	m.has_flow = m.has_token = m.has_kind = m.has_peer_ip_be = m.has_lifetime_ms =
		m.has_latent = true;
	m.has_guest_port = wish->kind != ALG_TCP_WATCH;
	m.flow = f->number;
	m.token = wish->token;
	m.kind = kinds[wish->kind];
	m.guest_port = wish->guest_port;
	m.peer_ip_be = wish->peer_ip_be;
	m.lifetime_ms = wish->lifetime_ms;
	m.latent = wish->latent;
	m.has_pairs = wish->kind == ALG_UDP_PAIR;
	m.pairs = wish->pairs ? wish->pairs : 1;
	m.has_peer_port = wish->kind == ALG_TCP_WATCH;
	m.peer_port = wish->peer_port;
	m.has_inspect = m.has_link = wish->inspect;
	m.inspect = wish->service;
	m.link = wish->link;
	sent(self, natproxy_send_pinhole_open(natproxy(self), &m, NULL, 0));
}

static void send_arm(struct alg *self, const struct flow *f, const struct alg_act *act)
{
	Nl__PinholeArm m = NL__PINHOLE_ARM__INIT;
	m.has_flow = m.has_token = true;
	m.flow = f->number;
	m.token = act->token;
	m.has_peer_ip_be = act->media;
	m.peer_ip_be = act->peer_ip_be;
	sent(self, natproxy_send_pinhole_arm(natproxy(self), &m, NULL, 0));
}

static void send_keep(struct alg *self, const struct flow *f, uint32_t token)
{
	Nl__PinholeKeep m = NL__PINHOLE_KEEP__INIT;
	m.has_flow = m.has_token = true;
	m.flow = f->number;
	m.token = token;
	sent(self, natproxy_send_pinhole_keep(natproxy(self), &m, NULL, 0));
}

/* A pinhole of a flow that is not there any more went with it. */
static void send_close(struct alg *self, const struct flow *f, const struct alg_act *act)
{
	Nl__PinholeClose m = NL__PINHOLE_CLOSE__INIT;
	if (act->elsewhere && act->flow >= FLOWS)
		abort();
	const struct flow *owner = act->elsewhere ? &self->flow[act->flow] : f;
	if (!owner->used)
		return;
	m.has_flow = m.has_token = true;
	m.flow = owner->number;
	m.token = act->token;
	sent(self, natproxy_send_pinhole_close(natproxy(self), &m, NULL, 0));
}

static void send_hold(struct alg *self, const struct flow *f, uint32_t milliseconds)
{
	Nl__FlowHold m = NL__FLOW_HOLD__INIT;
	m.has_flow = m.has_milliseconds = true;
	m.flow = f->number;
	m.milliseconds = milliseconds;
	sent(self, natproxy_send_flow_hold(natproxy(self), &m, NULL, 0));
}

static void send_act(struct alg *self, const struct flow *f, const struct alg_act *act)
{
	switch (act->what) {
	case ALG_ARM: send_arm(self, f, act); break;
	case ALG_KEEP: send_keep(self, f, act->token); break;
	case ALG_CLOSE: send_close(self, f, act); break;
	}
}

/* Sends what a step led to; whether the flow is still there. */
static bool send_out(struct alg *self, struct flow *f)
{
	const struct stream_out *out = &self->out;
	stats_of(self, f)->messages += out->messages;
	stats_of(self, f)->edits += out->edit_count;
	stats_of(self, f)->notes += out->notes;
	if (out->note)
		note(self, f, "left alone", out->note);
	self->lost = false;
	for (unsigned int i = 0; i < out->act_count && !self->lost; i++)
		send_act(self, f, &out->act[i]);
	if (out->verdict && !self->lost)
		send_verdict(self, f);
	for (unsigned int i = 0; i < out->wish_count && !self->lost; i++)
		send_wish(self, f, &out->wish[i]);
	if (out->hold_ms && !self->lost)
		send_hold(self, f, out->hold_ms);
	if (out->give_up)
		give_up(self, f, out->violation, out->why);
	else if (self->lost)
		give_up(self, f, false, "natproxy does not listen");
	else
		return true;
	return false;
}

/* Ends because each step passes at least one message of a bounded buffer. */
static void step(struct alg *self, struct flow *f, enum alg_direction from)
{
	bool there, told = false;
	do {
		stream_step(&self->pool, &f->stream, from, &self->out);
		told |= self->out.verdict && !self->out.wish_count;
		there = send_out(self, f);
	} while (there && self->out.more);
	if (!there || told)
		return;
	self->out.direction = from;
	self->out.until = f->stream.side[from].at;
	self->out.edit_count = self->out.wish_count = 0;
	send_verdict(self, f);
}

int alg_on_alg_edge(struct alg *self, const Nl__AlgEdge *m, struct chan_in *in)
{
	if (m->generation < self->generation)
		return 0;
	self->generation = m->generation;
	self->edge_ready = true;
	forget_all(self);
	return 0;
}

static void set_switches(const struct alg *self, struct alg_flow *view)
{
	view->dns_v6 = self->dns_v6;
	view->sip_multipart = self->sip_multipart;
	view->sip_latch = self->sip_latch;
	view->h323_forward = self->h323_forward;
}

int alg_on_flow_inspect(struct alg *self, const Nl__FlowInspect *m, struct chan_in *in)
{
	if (!self->edge_ready)
		return 0;
	if (!m->has_flow || m->guest_port > 65535 || m->outside_port > 65535 ||
		m->peer_port > 65535)
		return -EPROTO;
	const int alg = algs_find(m->alg);
	const int row = alg < 0 ? -1 : table_find((enum algs_id)alg, m->service, m->stream);
	struct flow *f = find(self, m->flow);
	if (f)
		forget(self, f);
	if (row < 0) {
		send_give_up(self, m->flow, false, "no such protocol");
		return 0;
	}
	f = add(self, m->flow, (uint8_t)row);
	if (!f) {
		send_give_up(self, m->flow, false, "too many flows under inspection");
		return 0;
	}
	struct alg_flow view = {
		.guest_ip_be = m->guest_ip_be,
		.outside_ip_be = m->outside_ip_be,
		.peer_ip_be = m->peer_ip_be,
		.guest_port = (uint16_t)m->guest_port,
		.outside_port = (uint16_t)m->outside_port,
		.peer_port = (uint16_t)m->peer_port,
		.stream = m->stream,
		.guest_serves = m->guest_serves,
		.vrf = maps_vrf(&self->maps, m->vrf),
		.link = m->link,
		.id = (uint16_t)(f - self->flow),
		.maps = &self->maps,
		.sip = &self->sip,
		.h323 = &self->h323,
	};
	set_switches(self, &view);
	stream_begin(&f->stream, table_rows[row], &view,
		m->segment_max ? m->segment_max : self->segment_max);
	return 0;
}

int alg_on_flow_bytes(struct alg *self, const Nl__FlowBytes *m, struct chan_in *in)
{
	struct flow *f = self->edge_ready ? find(self, m->flow) : NULL;
	if (!f)
		return 0;
	if (m->direction != NL__DIRECTION__GUEST && m->direction != NL__DIRECTION__OUTSIDE)
		return -EPROTO;
	enum alg_direction from = m->direction == NL__DIRECTION__GUEST ? ALG_GUEST : ALG_OUTSIDE;
	int error = stream_feed(
		&self->pool, &f->stream, from, m->at, m->bytes.data, m->bytes.len, m->fin);
	if (error == -EPROTO)
		return error;
	stats_of(self, f)->bytes += m->bytes.len;
	now(self, f);
	if (error) /* others hold the buffers: no fault of this flow */
		give_up(self, f, false, "too much is waiting");
	else
		step(self, f, from);
	return 0;
}

int alg_on_pinhole_answer(struct alg *self, const Nl__PinholeAnswer *m, struct chan_in *in)
{
	struct flow *f = self->edge_ready ? find(self, m->flow) : NULL;
	if (!f)
		return 0;
	if (m->granted && (m->outside_port == 0 || m->outside_port > 65535))
		return -EPROTO;
	const struct alg_grant grant = {m->outside_ip_be, (uint16_t)m->outside_port};
	if (m->granted) {
		stats_of(self, f)->granted++;
	} else {
		stats_of(self, f)->refused++;
		drop_count(&self->actor->drops, DROP_PINHOLE_REFUSED);
		note(self, f, "pinhole refused", m->why ? m->why : "no reason given");
	}
	now(self, f);
	stream_granted(&self->pool, &f->stream, m->token, m->granted ? &grant : NULL, &self->out);
	enum alg_direction from = self->out.direction;
	if (send_out(self, f) && (self->out.more || self->out.wish_count))
		step(self, f, from);
	return 0;
}

int alg_on_pinhole_gone(struct alg *self, const Nl__PinholeGone *m, struct chan_in *in)
{
	struct flow *f = self->edge_ready ? find(self, m->flow) : NULL;
	if (!f)
		return 0;
	stats_of(self, f)->used += m->used ? 1 : 0;
	stats_of(self, f)->expired += m->expired ? 1 : 0;
	now(self, f);
	if (!m->used)
		stream_gone(&f->stream, m->token);
	return 0;
}

int alg_on_flow_end(struct alg *self, const Nl__FlowEnd *m, struct chan_in *in)
{
	struct flow *f = self->edge_ready ? find(self, m->flow) : NULL;
	if (f)
		forget(self, f);
	return 0;
}

static void read_maps(struct maps *maps, const Nl__Nat *nat)
{
	maps_clear(maps);
	for (size_t i = 0; nat && i < nat->n_static_; i++) {
		const Nl__Static *s = nat->static_[i];
		const char *vrf = s->vrf ? s->vrf : nat->vrf;
		if (s->inside && s->outside)
			maps_add(maps, s->inside->be, s->outside->be,
				maps_vrf(maps, vrf && strcmp(vrf, "none") != 0 ? vrf : NULL));
	}
}

static int read_hub(struct alg *self, const Nl__Hub *hub)
{
	if (!hub || !hub->alg)
		return -EINVAL;
	stats_configure(&self->stats, hub->alg);
	self->dns_v6 = hub->alg->dns_v6;
	self->sip_multipart = hub->alg->sip_multipart;
	self->sip_latch = hub->alg->sip_latch;
	self->h323_forward = hub->alg->h323_forward;
	read_maps(&self->maps, hub->nat);
	return 0;
}

/* What there is learns what is switched otherwise. VRFs are numbered anew: each flow keeps the one that it has by name. */
static void refresh_flows(struct alg *self, const struct maps *before)
{
	for (size_t i = 0; i < FLOWS; i++) {
		struct alg_flow *view = &self->flow[i].stream.view;
		if (!self->flow[i].used)
			continue;
		set_switches(self, view);
		if (view->vrf < before->vrf_count)
			view->vrf = maps_vrf(&self->maps, before->vrf[view->vrf]);
	}
}

static int alg_boot(void *opaque, struct actor *a, const Nl__ActorBoot *boot)
{
	struct alg *self = opaque;
	struct hash_key key;
	self->actor = a;
	self->generation = boot->generation;
	if (read_hub(self, boot->hub) || boot->entropy.len < sizeof(key))
		return -EINVAL;
	memcpy(&key, boot->entropy.data, sizeof(key));
	sip_calls_init(&self->sip, &key);
	h323_calls_init(&self->h323, &key);
	self->segment_max = boot->hub->alg->segment_max;
	stream_pool_init(&self->pool);
	memset(self->bucket, 0xff, sizeof(self->bucket));
	for (uint16_t i = 0; i < FLOWS; i++)
		self->flow[i].next = i + 1 < FLOWS ? (uint16_t)(i + 1) : (uint16_t)NONE;
	return 0;
}

/* segment_max is Boot's, as buffers are made for it. */
static int alg_configure(void *opaque, const Nl__ActorConfigure *m)
{
	struct alg *self = opaque;
	const struct maps before = self->maps;
	const int error = read_hub(self, m->hub);
	if (!error)
		refresh_flows(self, &before);
	return error;
}

static int alg_on_record(void *opaque, int edge, struct chan_in *in)
{
	struct alg *self = opaque;
	return edge == 0 ? alg_dispatch_super(self, in) : alg_dispatch_natproxy(self, in);
}

static uint64_t dump_stats(struct alg *self, uint64_t cursor)
{
	for (; cursor < ALGS_COUNT; cursor++) {
		Nl__AlgRow row;
		stats_row(&self->stats.alg[cursor], self->actor->name, &row);
		if (!actor_row(self->actor, &row.base))
			return cursor;
	}
	return 0;
}

static bool say_call(struct alg *self, struct call_row *c)
{
	const struct flow *f = &self->flow[c->flow];
	const uint64_t now_ms = actor_now_ns(self->actor) / MS_NS;
	char alg[16], state[16];
	Nl__Address guest = NL__ADDRESS__INIT, peer = NL__ADDRESS__INIT;
	Nl__CallRow row = NL__CALL_ROW__INIT;
	snprintf(alg, sizeof(alg), "%s", algs_name(table_rows[f->row]->alg));
	snprintf(state, sizeof(state), "%s", c->state);
	guest.has_ip_be = guest.has_port = peer.has_ip_be = peer.has_port = true;
	guest.ip_be = f->stream.view.guest_ip_be;
	guest.port = f->stream.view.guest_port;
	peer.ip_be = f->stream.view.peer_ip_be;
	peer.port = f->stream.view.peer_port;
	row.has_id = row.has_silent_ms = true;
	row.id = c->id;
	row.alg = alg;
	row.guest = &guest;
	row.peer = &peer;
	row.state = state;
	row.media = c->media[0] ? c->media : NULL;
	row.has_answered_ms = c->answered_ms != 0;
	row.answered_ms = now_ms - c->answered_ms;
	row.silent_ms = now_ms - c->seen_ms;
	row.process = self->actor->name;
	return actor_row(self->actor, &row.base);
}

/* Cursor: SKINNY_STREAMS places a flow. */
static bool next_skinny_call(const struct alg *self, uint32_t *cursor, struct call_row *row)
{
	for (uint32_t i = *cursor / SKINNY_STREAMS; i < FLOWS; i++) {
		const struct flow *f = &self->flow[i];
		uint32_t place = *cursor - i * SKINNY_STREAMS;
		if (f->used && table_rows[f->row]->alg == ALGS_SKINNY &&
			skinny_calls_next((const void *)f->stream.state, &place, row)) {
			row->flow = (uint16_t)i;
			row->id += i * SKINNY_STREAMS + 1;
			*cursor = i * SKINNY_STREAMS + place;
			return true;
		}
		*cursor = (i + 1) * SKINNY_STREAMS;
	}
	return false;
}

static uint64_t dump_calls(struct alg *self, uint64_t cursor)
{
	uint32_t next = cursor < SIP_CALLS ? (uint32_t)cursor : SIP_CALLS;
	struct call_row row;
	for (; sip_calls_next(&self->sip, &next, &row); cursor = next)
		if (!say_call(self, &row))
			return cursor;
	next = cursor > SIP_CALLS ? (uint32_t)(cursor - SIP_CALLS) : 0;
	for (; h323_calls_next(&self->h323, &next, &row); cursor = SIP_CALLS + next)
		if (!say_call(self, &row))
			return cursor;
	next = cursor > SKINNY_FIRST ? (uint32_t)(cursor - SKINNY_FIRST) : 0;
	for (; next_skinny_call(self, &next, &row); cursor = SKINNY_FIRST + next)
		if (!say_call(self, &row))
			return cursor;
	return 0;
}

static uint64_t alg_dump(void *opaque, Nl__Topic topic, uint64_t cursor)
{
	if (topic == NL__TOPIC__CALLS)
		return dump_calls(opaque, cursor);
	return topic == NL__TOPIC__ALG_STATS ? dump_stats(opaque, cursor) : 0;
}

int main(void)
{
	static const struct actor_ops ops = {
		.id = ACTOR_ALG,
		.boot = alg_boot,
		.configure = alg_configure,
		.on_record = alg_on_record,
		.dump = alg_dump,
	};
	static struct alg self;
	return actor_main(&ops, &self);
}
