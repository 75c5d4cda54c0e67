/*
 * Theory of operation.
 *
 *   want.c ─▶ slot, number ─FlowInspect─▶ alg
 *                │   inspect_stream.c, inspect_dgram.c ─FlowBytes─▶ alg
 *                └◀───────── Verdict, GiveUp ◀────────────────────────┘
 *
 * A number is a slot and how often it was taken, so that a word about a flow that is over is known
 * for what it is. Slots are few: a guest may have as many as it leaves free for others. A UDP
 * session of a guest that has had its share takes the place of the one that was silent longest, of
 * those that nobody wants held if there are any.
 *
 * alg says with each verdict how far it has seen, so a message that lacks its end is no silence: a
 * flow that has waited for a sign longer than ALG_BUDGET_MS (alg is stuck, or its channel is full)
 * is given up, and ALG_SILENCES of those with no word from alg between them are reported, so that
 * the supervisor replaces it.
 *
 * An ALG that observes sees everything and holds nothing. Its edits are checked like others, then
 * said in the security log instead of made.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dgram.h"
#include "expect.h"
#include "inspection.h"
#include "publish.h"
#include "relay.h"
#include "sessionlog.h"
#include "source.h"

enum {
	ALG_BUDGET_MS = 1000, /* alg has so long to say that it saw what it was shown */
	ALG_SILENCES = 3,     /* flows given up in a row before alg is reported */
	MS_NS = 1000000,
	SHOWN_EDITS = 4, /* of a verdict, in a line */
	PLACES_BYTES = 192,
};

size_t natproxy_inspect_bytes(void)
{
	return sizeof(struct inspect);
}

/* Slots of one kind. */
struct kind {
	uint32_t first, count;
	uint32_t *used;
};

static struct kind kind_of(struct natproxy *np, bool stream)
{
	struct inspect *all = np->inspect;
	if (stream)
		return (struct kind){0, INSPECTION_STREAMS, &all->streams};
	return (struct kind){INSPECTION_STREAMS, INSPECTION_DGRAMS, &all->dgrams};
}

static bool holds_nothing(const struct natproxy *np, const struct inspection *in)
{
	const struct inspect_way *way =
		np->inspect->way[inspection_index(np, in) - INSPECTION_STREAMS];
	return !way[NL__DIRECTION__GUEST].count && !way[NL__DIRECTION__OUTSIDE].count;
}

/* Whether `a` is to give way rather than `b`, if there is one: one that is held (hold.c) only where all are. */
static bool gives_way(
	const struct natproxy *np, const struct inspection *a, const struct inspection *b)
{
	if (!b)
		return true;
	const bool a_held = np->nat.session[a->session].held_ns > np->now_ns;
	const bool b_held = np->nat.session[b->session].held_ns > np->now_ns;
	return a_held == b_held ? a->used_ns < b->used_ns : b_held;
}

/* A free slot, or for a datagram session one that is made free. NULL: there is none for this guest. */
static struct inspection *take_slot(struct natproxy *np, bool stream, uint32_t guest_ip_be)
{
	const struct kind k = kind_of(np, stream);
	struct inspection *free = NULL, *own = NULL, *oldest = NULL;
	uint32_t held = 0;
	for (uint32_t i = k.first; i < k.first + k.count; i++) {
		struct inspection *in = &np->inspect->slot[i];
		if (!in->used) {
			free = free ? free : in;
			continue;
		}
		const bool mine = in->guest_ip_be == guest_ip_be;
		held += mine;
		if (stream || !holds_nothing(np, in))
			continue;
		if (mine && gives_way(np, in, own))
			own = in;
		if (gives_way(np, in, oldest))
			oldest = in;
	}
	if (held < k.count - *k.used)
		return free;
	struct inspection *leaves = held ? own : oldest;
	if (!leaves)
		return NULL;
	inspection_tell_end(np, leaves);
	inspect_dgram_give_up(np, leaves);
	return leaves;
}

static uint32_t next_number(const struct natproxy *np, const struct inspection *in)
{
	const uint32_t generation = (in->number >> INSPECTION_SLOT_BITS) + 1;
	const uint32_t number = generation << INSPECTION_SLOT_BITS | inspection_index(np, in);
	return number >> INSPECTION_SLOT_BITS ? number : number | 1U << INSPECTION_SLOT_BITS;
}

/* By which outlet the flow leaves. */
static const struct outlet *outlet_of(const struct natproxy *np, const struct nat_session *s)
{
	const struct fixed *fixed = source_fixed(np, s->guest.ip_be);
	if (s->rule)
		return &np->publish[s->rule - 1].outlet;
	return fixed ? &fixed->outlet : &np->outlet;
}

/* How the far end sees the guest; of a question to the gateway, which has no outside, nothing. */
static struct sock_address outside_of(
	struct natproxy *np, const struct flow *f, const struct nat_session *s)
{
	const struct sock_address far = {
		s->real_ip_be ? s->real_ip_be : s->remote.ip_be, s->remote.port};
	struct sock_address outside = f->outside;
	if (f->fd < 0 || f->dns || access_check(&np->access, &s->remote) == ACCESS_DNS)
		return (struct sock_address){0, 0};
	if (!outside.ip_be)
		sock_source(np->sock, &far, source_device(outlet_of(np, s)), &outside.ip_be);
	return outside;
}

static int announce(struct natproxy *np, const struct inspection *in, const struct want *want)
{
	const struct nat_session *s = nat_session(&np->nat, in->session);
	char name[16], vrf[NATPROXY_VRF_BYTES];
	Nl__FlowInspect m = NL__FLOW_INSPECT__INIT;
	snprintf(name, sizeof(name), "%s", algs_name(want->alg));
	snprintf(vrf, sizeof(vrf), "%s", outlet_of(np, s)->vrf);
	m.has_flow = m.has_stream = m.has_service = m.has_guest_serves = true;
	m.has_guest_ip_be = m.has_guest_port = m.has_outside_ip_be = m.has_outside_port = true;
	m.has_peer_ip_be = m.has_peer_port = true;
	m.has_segment_max = np->config.segment_max != 0;
	m.flow = in->number;
	m.alg = name;
	m.stream = in->stream;
	m.service = want->service;
	m.guest_serves = s->incoming;
	m.segment_max = np->config.segment_max;
	m.guest_ip_be = s->guest.ip_be;
	m.guest_port = s->guest.port;
	m.outside_ip_be = in->outside.ip_be;
	m.outside_port = in->outside.port;
	m.peer_ip_be = s->remote.ip_be;
	m.peer_port = s->remote.port;
	m.vrf = *vrf ? vrf : NULL;
	m.has_link = want->derived;
	m.link = want->link;
	return np->shell.flow_inspect(np->shell.context, &m);
}

bool inspection_wanted(const struct natproxy *np, const struct flow *f, const struct nat_session *s,
	struct want *out)
{
	const struct wants *w = &np->wants;
	const enum algs_transport transport = f->kind == FLOW_TCP ? ALGS_TCP : ALGS_UDP;
	const uint32_t guest_ip_be = s->guest.ip_be, peer_ip_be = s->remote.ip_be;
	if (!s->incoming)
		return want_flow(w, transport, s->remote.port, guest_ip_be, peer_ip_be, out);
	if (!s->rule)
		return false;
	return want_flow(w, transport, s->guest.port, guest_ip_be, peer_ip_be, out) ||
	       want_flow(w, transport, f->outside.port, guest_ip_be, peer_ip_be, out);
}

struct inspection *inspection_begin(
	struct natproxy *np, struct flow *f, uint32_t session, const struct want *want)
{
	const bool stream = f->kind == FLOW_TCP;
	struct nat_session *s = nat_session(&np->nat, session);
	struct inspection *in = take_slot(np, stream, s->guest.ip_be);
	if (!in)
		return NULL;
	*in = (struct inspection){.stream = stream,
		.observe = want->observe,
		.strict = want->strict,
		.lenient = want->lenient,
		.alg = (uint8_t)want->alg,
		.number = next_number(np, in),
		.flow = f->id,
		.session = session,
		.guest_ip_be = s->guest.ip_be,
		.outside = outside_of(np, f, s),
		.used_ns = np->now_ns};
	if (announce(np, in, want))
		return NULL;
	in->used = true;
	s->alg = (uint8_t)(want->alg + 1);
	np->inspects++;
	++*kind_of(np, stream).used;
	return in;
}

void inspection_free(struct natproxy *np, struct inspection *in)
{
	in->used = false;
	np->inspects--;
	--*kind_of(np, in->stream).used;
	nat_session(&np->nat, in->session)->alg = 0;
}

/* alg forgets on a full channel too: its table is bounded by the flows we show it. */
void inspection_tell_end(struct natproxy *np, const struct inspection *in)
{
	Nl__FlowEnd m = NL__FLOW_END__INIT;
	m.has_flow = true;
	m.flow = in->number;
	np->shell.flow_end(np->shell.context, &m);
}

void inspection_close_doors(struct natproxy *np, const struct inspection *in, const char *why)
{
	expect_close_flow(np, in->number, why);
}

static struct inspection *find(struct natproxy *np, uint32_t number)
{
	struct inspection *in = &np->inspect->slot[number & ((1U << INSPECTION_SLOT_BITS) - 1)];
	return in->used && !in->raw && in->number == number ? in : NULL;
}
_Static_assert(INSPECTION_SLOTS == 1 << INSPECTION_SLOT_BITS, "find looks inside the table");

bool inspect_find(struct natproxy *np, uint32_t number, struct inspect_subject *out)
{
	const struct inspection *in = find(np, number);
	struct flow *f = in ? flow_live(np, in->flow) : NULL;
	if (!f)
		return false;
	const struct nat_session *s = nat_session(&np->nat, in->session);
	*out = (struct inspect_subject){.flow = f,
		.session = in->session,
		.alg = (enum algs_id)in->alg,
		.stream = in->stream,
		.observe = in->observe,
		.strict = in->strict,
		.guest = s->guest,
		.peer = s->remote,
		.real_ip_be = s->real_ip_be ? s->real_ip_be : s->remote.ip_be,
		.outside = in->outside,
		.device = source_device(outlet_of(np, s))};
	return true;
}

bool inspect_serves(const struct natproxy *np, enum algs_id alg, uint32_t guest_ip_be,
	uint32_t peer_ip_be)
{
	for (uint32_t i = 0; i < INSPECTION_STREAMS; i++) {
		const struct inspection *in = &np->inspect->slot[i];
		if (!in->used || in->raw || in->observe || in->alg != alg ||
			in->guest_ip_be != guest_ip_be)
			continue;
		const struct nat_session *s = &np->nat.session[in->session];
		if (s->incoming && s->remote.ip_be == peer_ip_be)
			return true;
	}
	return false;
}

/* inspect_due_ns may be too early, never too late. */
void inspection_owe(struct natproxy *np, uint64_t *since_ns)
{
	const uint64_t due_ns = np->now_ns + (uint64_t)ALG_BUDGET_MS * MS_NS;
	if (*since_ns)
		return;
	*since_ns = np->now_ns;
	if (!np->inspect_due_ns || due_ns < np->inspect_due_ns)
		np->inspect_due_ns = due_ns;
}

void inspect_answered(struct natproxy *np, uint32_t number)
{
	struct inspection *in = find(np, number);
	np->alg_silences = 0;
	if (in)
		inspection_owe(np, &in->granted_ns);
}

int inspection_show(struct natproxy *np, struct inspection *in, const Nl__FlowBytes *bytes)
{
	const int r = np->shell.flow_bytes(np->shell.context, bytes);
	in->used_ns = np->now_ns;
	inspection_owe(np, &in->owed_ns[bytes->direction]);
	if (r == -EAGAIN)
		np->starved = true;
	return r;
}

int inspection_edits(const Nl__Verdict *m, struct edit *out)
{
	if (m->n_edits > EDIT_MAX)
		return -EPROTO;
	for (size_t i = 0; i < m->n_edits; i++)
		out[i] = (struct edit){.at = m->edits[i]->at,
			.old_bytes = m->edits[i]->old_bytes,
			.bytes = m->edits[i]->bytes.data,
			.length = m->edits[i]->bytes.len};
	return 0;
}

/* "at 23: 19 bytes by 24, at 80: ...", of the first few edits. */
static void describe_edits(char *out, size_t cap, const Nl__Verdict *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->n_edits && i < SHOWN_EDITS && n < cap; i++)
		n += (size_t)snprintf(out + n, cap - n, "%sat %llu: %u bytes by %zu", i ? ", " : "",
			(unsigned long long)m->edits[i]->at, m->edits[i]->old_bytes,
			m->edits[i]->bytes.len);
	if (m->n_edits > SHOWN_EDITS && n < cap)
		snprintf(out + n, cap - n, ", ...");
}

void inspection_report(struct natproxy *np, const struct inspection *in, const Nl__Verdict *m)
{
	const struct nat_session *s = nat_session(&np->nat, in->session);
	char event[] = "alg_observed", places[PLACES_BYTES];
	Nl__EventRow e = NL__EVENT_ROW__INIT;
	if (!sessionlog_may_observe(np))
		return;
	describe_edits(places, sizeof(places), m);
	e.event = event;
	e.has_session = e.has_count = true;
	e.session = s->number;
	e.count = m->n_edits;
	natproxy_event(np, &e,
		"SecureNAT: The ALG %s would have changed the %s session %u at %zu places in what "
		"%s sent: %s.",
		algs_name((enum algs_id)in->alg), nat_protocol_name((enum nat_protocol)s->protocol),
		s->number, m->n_edits,
		m->direction == NL__DIRECTION__GUEST ? "the guest" : "the far end", places);
}

/* alg has seen that direction up to `seen`: false if that is more than it was shown. */
static bool heard(
	struct natproxy *np, struct inspection *in, Nl__Direction direction, uint64_t seen)
{
	const uint64_t shown = in->stream ? inspect_stream_shown(np, in, direction)
					  : inspect_dgram_shown(np, in, direction);
	if (seen > shown)
		return false;
	np->alg_silences = 0;
	in->owed_ns[direction] = 0;
	if (seen < shown)
		inspection_owe(np, &in->owed_ns[direction]);
	return true;
}

int natproxy_on_verdict(struct natproxy *np, const Nl__Verdict *m, struct chan_in *from)
{
	struct inspection *in = find(np, m->flow);
	if (!in)
		return 0;
	if (m->direction != NL__DIRECTION__GUEST && m->direction != NL__DIRECTION__OUTSIDE)
		return -EPROTO;
	if (!heard(np, in, m->direction, m->has_seen ? m->seen : m->until))
		return -EPROTO;
	return in->stream ? inspect_stream_verdict(np, in, m) : inspect_dgram_verdict(np, in, m);
}

static void give_up(struct natproxy *np, struct inspection *in)
{
	if (in->stream)
		inspect_stream_give_up(np, in);
	else
		inspect_dgram_give_up(np, in);
}

/* What an ALG that is strict does not understand ends. */
static void end_strictly(struct natproxy *np, struct inspection *in)
{
	struct flow *f = flow_live(np, in->flow);
	char why[64];
	snprintf(why, sizeof(why), "not %s, and alg.%s.strict is true",
		algs_name((enum algs_id)in->alg), algs_name((enum algs_id)in->alg));
	drop_count(np->drops, DROP_ALG_STRICT);
	if (in->stream)
		relay_reset(np, f, why);
	else
		dgram_ended(np, f, in->session, why);
}

int natproxy_on_give_up(struct natproxy *np, const Nl__GiveUp *m, struct chan_in *from)
{
	struct inspection *in = find(np, m->flow);
	np->alg_silences = 0;
	if (!in)
		return 0;
	if (m->has_violation && m->violation && in->strict && !in->observe)
		end_strictly(np, in);
	else
		give_up(np, in);
	return 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* Since when alg owes anything about a flow; 0: it does not. */
static uint64_t owing_since(const struct inspection *in)
{
	return earlier(in->granted_ns,
		earlier(in->owed_ns[NL__DIRECTION__GUEST], in->owed_ns[NL__DIRECTION__OUTSIDE]));
}

/* Gives up what waited too long: how many; the others set the next date. */
static uint32_t give_up_overdue(struct natproxy *np)
{
	const uint64_t budget_ns = (uint64_t)ALG_BUDGET_MS * MS_NS;
	uint32_t given_up = 0;
	np->inspect_due_ns = 0;
	for (uint32_t i = 0; np->inspects && i < INSPECTION_SLOTS; i++) {
		struct inspection *in = &np->inspect->slot[i];
		const uint64_t since_ns = in->used && !in->raw ? owing_since(in) : 0;
		if (!since_ns)
			continue;
		if (since_ns + budget_ns > np->now_ns) {
			np->inspect_due_ns = earlier(np->inspect_due_ns, since_ns + budget_ns);
			continue;
		}
		drop_count(np->drops, DROP_ALG_SILENT);
		inspection_tell_end(np, in);
		give_up(np, in);
		given_up++;
	}
	return given_up;
}

void inspect_timeout(struct natproxy *np)
{
	if (!np->inspect_due_ns || np->now_ns < np->inspect_due_ns)
		return;
	const uint32_t given_up = give_up_overdue(np);
	if (!given_up)
		return;
	natproxy_diagnostic(np,
		"alg has not answered for %u ms: flows go on without inspection (%u now). Its "
		"expectations are closed.",
		(unsigned int)ALG_BUDGET_MS, given_up);
	np->alg_silences += given_up;
	if (np->alg_silences < ALG_SILENCES)
		return;
	np->alg_silences = 0;
	np->shell.alg_silent(np->shell.context);
	natproxy_alg_lost(np);
}

/* Lists and ports are asked when a session begins, as all lists are; the ALG itself now. */
static bool is_still_wanted(const struct natproxy *np, const struct inspection *in)
{
	const struct want_alg *a = &np->wants.alg[in->alg];
	return a->active && (in->observe || a->fixes);
}

void inspect_configure(struct natproxy *np)
{
	for (uint32_t i = 0; np->inspects && i < INSPECTION_SLOTS; i++) {
		struct inspection *in = &np->inspect->slot[i];
		if (!in->used || in->raw)
			continue;
		in->strict = np->wants.alg[in->alg].strict && !in->lenient;
		if (is_still_wanted(np, in))
			continue;
		inspection_tell_end(np, in);
		give_up(np, in);
	}
}

void natproxy_alg_lost(struct natproxy *np)
{
	publish_forget_derived(np);
	for (uint32_t i = 0; np->inspects && i < INSPECTION_SLOTS; i++) {
		struct inspection *in = &np->inspect->slot[i];
		if (in->used && !in->raw)
			give_up(np, in);
	}
}
