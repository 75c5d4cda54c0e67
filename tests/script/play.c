/*
 * Theory of operation: time stands still while the stack, the broker's edge and natproxy's have anything to do, and
 * jumps to the stack's next deadline when they have not. What the stack sends waits in one queue, what it tells
 * natproxy in one for each connection. An event that expects something looks at the head of its queue, moving the
 * clock to the end of its time span if it must; an event that does something moves the clock to its time and
 * finds all queues empty, or the script fails. So nothing is ever sent unnoticed.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drop.h"
#include "play.h"
#include "talk.h"

enum { PLAY_QUEUE = 8192, PLAY_TURNS = 10000, PLAY_FLOOD_NET = 0xc6336400 /* 198.51.100.0 */ };

static const uint64_t PLAY_START_NS = UINT64_C(1000000000000);
static const uint64_t PLAY_ANY_NS = UINT64_C(100000000000000);

struct play_sent {
	struct segment segment;
	uint64_t at_ns;
	struct talk *talk;
	char text[300];
};

struct play {
	const struct script *script;
	const struct event *event; /* being played */
	struct edge *edge;
	uint64_t base_ns; /* when the last event was */
	bool failed, flooded, over;
	struct talk talk[SCRIPT_CONNECTIONS_MAX];
	struct talk *spoke_last; /* connections with equal ports: whose turn it is */
	struct play_sent sent[PLAY_QUEUE];
	unsigned int sent_head, sent_tail;
};

__attribute__((format(printf, 2, 3))) static bool play_fail(struct play *p, const char *format, ...)
{
	va_list arguments;
	if (p->failed)
		return false;
	p->failed = true;
	fprintf(stderr, "%s:%d: ", p->script->path, p->event->line);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\n    expected %s\n", p->over ? "nothing more" : p->event->text);
	return false;
}

static double play_seconds(const struct play *p, uint64_t at_ns)
{
	return (double)(int64_t)(at_ns - p->base_ns) / 1e9;
}

/* The connection with these ports that spoke last, NULL for none. */
static struct talk *play_talk_of(struct play *p, uint16_t guest_port, uint16_t far_port)
{
	struct talk *found = NULL;
	for (unsigned int i = 0; i < p->script->connections; i++) {
		struct talk *t = &p->talk[i];
		if (t->name->guest_port == guest_port && t->name->far_port == far_port &&
			(!found || t == p->spoke_last))
			found = t;
	}
	return found;
}

static struct talk *play_talk_of_message(struct play *p, const struct ring_desc *d)
{
	if (d->op == RING_NETSTACK_TCP_OPEN || d->op == RING_NETSTACK_TCP_ACCEPTED)
		return play_talk_of(p, d->pair.guest_port, d->pair.remote_port);
	for (unsigned int i = 0; i < p->script->connections; i++)
		if (d->op == RING_NETSTACK_TCP_REJECTED
				? d->pair.token == p->talk[i].name->guest_isn
				: p->talk[i].alive && p->talk[i].flow == d->flow)
			return &p->talk[i];
	return NULL;
}

static void play_collect_frame(struct play *p, const uint8_t *bytes, uint32_t n)
{
	struct play_sent *sent = &p->sent[p->sent_tail % PLAY_QUEUE];
	uint8_t answer[64];
	const char *wrong;
	if (n <= sizeof(answer)) {
		memcpy(answer, bytes, n);
		if (segment_arp_answer(answer, n)) {
			edge_frame(p->edge, answer, n);
			return;
		}
	}
	wrong = segment_parse(bytes, n, &sent->segment);
	if (wrong) {
		play_fail(p, "a frame with %s", wrong);
		return;
	}
	sent->talk = sent->segment.protocol == 1
			     ? play_talk_of(p, sent->segment.source, sent->segment.target)
			     : play_talk_of(p, sent->segment.target, sent->segment.source);
	if (!sent->talk && p->flooded)
		return;
	if (!sent->talk || p->sent_tail - p->sent_head == PLAY_QUEUE) {
		play_fail(p, "a frame for nobody");
		return;
	}
	talk_stack_sent(sent->talk, &sent->segment);
	check_text(&sent->talk->numbers, &sent->segment, sent->text, sizeof(sent->text));
	sent->at_ns = edge_now(p->edge);
	p->sent_tail++;
}

static bool play_collect(struct play *p)
{
	struct ring_desc d;
	const uint8_t *bytes;
	uint32_t n;
	bool any = false;
	while ((bytes = edge_next_frame(p->edge, &n))) {
		play_collect_frame(p, bytes, n);
		any = true;
	}
	while (edge_next_message(p->edge, &d)) {
		struct talk *t = play_talk_of_message(p, &d);
		if (t)
			talk_hear(t, p->edge, &d);
		else if (!p->flooded)
			play_fail(p, "a message for natproxy about no connection, operation %u",
				d.op);
		any = true;
	}
	return any;
}

static void play_faults(struct play *p)
{
	if (edge_fault(p->edge))
		play_fail(p, "%s", edge_fault(p->edge));
	for (unsigned int i = 0; i < p->script->connections; i++)
		if (p->talk[i].fault)
			play_fail(p, "connection %s: %s", p->talk[i].name->name, p->talk[i].fault);
}

/* Until nothing happens any more at this instant. */
static void play_settle(struct play *p)
{
	bool any = true;
	for (int i = 0; any && !p->failed; i++) {
		any = edge_turn(p->edge);
		any |= play_collect(p);
		play_faults(p);
		if (i == PLAY_TURNS)
			play_fail(p, "no rest");
	}
}

static bool play_step(struct play *p, uint64_t until_ns)
{
	if (p->failed || !edge_advance(p->edge, until_ns))
		return false;
	play_settle(p);
	return true;
}

static uint64_t play_time(const struct play *p, uint64_t ns)
{
	return (p->event->when.absolute ? PLAY_START_NS : p->base_ns) + ns;
}

static uint64_t play_latest(const struct play *p)
{
	if (p->event->when.any)
		return p->base_ns + PLAY_ANY_NS;
	return play_time(p, p->event->when.high_ns) + p->script->tolerance_ns;
}

/* Whether what happened at `at_ns` was in time; the next event counts from there. */
static bool play_in_time(struct play *p, uint64_t at_ns)
{
	if (!p->event->when.any &&
		(at_ns > play_latest(p) ||
			at_ns + p->script->tolerance_ns < play_time(p, p->event->when.low_ns)))
		return play_fail(p, "too %s: it came at +%.6f",
			at_ns > play_latest(p) ? "late" : "early", play_seconds(p, at_ns));
	p->base_ns = at_ns;
	return true;
}

static const char *play_sight_name(const struct talk_sight *s)
{
	static const char name[][12] = {
		"open", "data", "urgent", "fin", "reset", "end", "accepted", "rejected"};
	return name[s->what];
}

/* Nothing may be waiting that the script has not expected. */
static bool play_nothing_waits(struct play *p)
{
	const struct play_sent *sent = &p->sent[p->sent_head % PLAY_QUEUE];
	if (p->sent_head != p->sent_tail)
		return play_fail(p, "the stack sent at +%.6f\n    got      > %s",
			play_seconds(p, sent->at_ns), sent->text);
	for (unsigned int i = 0; i < p->script->connections; i++) {
		const struct talk *t = &p->talk[i];
		const struct talk_sight *s = &t->sight[t->sight_head % TALK_SIGHTS_MAX];
		if (t->sight_head != t->sight_tail)
			return play_fail(p, "the far end saw at +%.6f\n    got      far sees %s %u",
				play_seconds(p, s->at_ns), play_sight_name(s), s->value);
	}
	return true;
}

/* Moves the clock to the event's time; false when something came that nobody expected. */
static bool play_reach(struct play *p)
{
	uint64_t at = play_time(p, p->event->when.low_ns);
	while (play_step(p, at))
		;
	if (p->failed || !play_nothing_waits(p))
		return false;
	p->base_ns = edge_now(p->edge);
	return true;
}

static void play_guest_sends(struct play *p, struct talk *t, const struct packet *packet)
{
	static uint8_t frame[SEGMENT_FRAME_MAX], payload[SEGMENT_FRAME_MAX];
	p->spoke_last = t;
	for (uint32_t i = 0; i < packet->count && !p->failed; i++) {
		struct segment s;
		check_form(packet, i, &t->numbers, &s);
		s.source_ip = EDGE_GUEST;
		s.target_ip = packet->icmp ? EDGE_GATEWAY : EDGE_FAR;
		s.quoted_source_ip = EDGE_FAR;
		s.quoted_target_ip = EDGE_GUEST;
		s.source = packet->icmp ? t->name->far_port : t->name->guest_port;
		s.target = packet->icmp ? t->name->guest_port : t->name->far_port;
		s.payload = payload;
		talk_pattern(t, packet->start + i * packet->bytes, packet->forged, payload,
			s.payload_bytes);
		talk_guest_sends(t, &s);
		edge_frame(p->edge, frame, segment_build(frame, &s));
		play_settle(p);
	}
}

/* A bare acknowledgement of less than the event waits for. */
static bool play_passes_by(const struct play *p, const struct play_sent *sent)
{
	const struct segment *s = &sent->segment;
	uint32_t wanted = sent->talk->numbers.guest_isn + p->event->packet.ack;
	return p->event->until && s->protocol == 6 && (s->flags & ~FLAG_ECE) == FLAG_ACK &&
	       !s->payload_bytes && (int32_t)(s->ack - wanted) < 0;
}

static struct play_sent *play_next_sent(struct play *p)
{
	for (;;) {
		struct play_sent *sent = &p->sent[p->sent_head % PLAY_QUEUE];
		while (p->sent_head == p->sent_tail && play_step(p, play_latest(p)))
			;
		if (p->failed || p->sent_head == p->sent_tail)
			return NULL;
		if (!play_passes_by(p, sent))
			return sent;
		p->sent_head++;
	}
}

/* One of the segments that the event expects. */
static bool play_expect_piece(struct play *p, struct talk *t, uint32_t piece)
{
	const struct event *e = p->event;
	struct play_sent *sent = play_next_sent(p);
	const char *wrong;
	if (p->failed)
		return false;
	if (!sent)
		return e->maybe || play_fail(p, "nothing was sent until +%.6f",
					   play_seconds(p, edge_now(p->edge)));
	wrong = sent->talk == t ? check_segment(&e->packet, piece, &t->numbers, &sent->segment)
				: "another connection";
	if (wrong && e->maybe)
		return true;
	if (wrong)
		return play_fail(p, "%s\n    got      > %s at +%.6f", wrong, sent->text,
			play_seconds(p, sent->at_ns));
	p->sent_head++;
	return piece ? true : play_in_time(p, sent->at_ns);
}

static bool play_stack_sends(struct play *p, struct talk *t)
{
	for (uint32_t i = 0; i < p->event->packet.count; i++)
		if (!play_expect_piece(p, t, i))
			return false;
	return true;
}

static bool play_span(struct play *p, uint64_t got)
{
	if (p->event->span.any || (got >= p->event->span.low && got <= p->event->span.high))
		return true;
	return play_fail(p, "another number\n    got      %" PRIu64, got);
}

static bool play_burst(struct play *p, struct talk *t)
{
	uint64_t count = 0;
	for (struct play_sent *sent; (sent = play_next_sent(p)); count++) {
		if (sent->talk != t || !sent->segment.payload_bytes)
			return play_fail(p, "no data\n    got      > %s", sent->text);
		if (!count && !play_in_time(p, sent->at_ns))
			return false;
		p->sent_head++;
		if (p->sent_head == p->sent_tail)
			return play_span(p, count + 1);
	}
	return play_span(p, count);
}

static bool play_far_sees_data(struct play *p, struct talk *t)
{
	const struct packet *range = &p->event->packet;
	while (t->up_got + 1 < range->end && play_step(p, play_latest(p)))
		;
	if (p->failed)
		return false;
	if (t->up_accounted + 1 != range->start || t->up_got + 1 != range->end)
		return play_fail(p,
			"the far end has other bytes\n    got      %" PRIu64 ":%" PRIu64,
			t->up_accounted + 1, t->up_got + 1);
	t->up_accounted = t->up_got;
	return true;
}

static bool play_far_sees(struct play *p, struct talk *t)
{
	const struct event *e = p->event;
	struct talk_sight *s;
	if (e->what == SIGHT_DATA)
		return play_far_sees_data(p, t);
	while (t->sight_head == t->sight_tail && play_step(p, play_latest(p)))
		;
	if (p->failed)
		return false;
	if (t->sight_head == t->sight_tail)
		return play_fail(p, "the far end saw nothing until +%.6f",
			play_seconds(p, edge_now(p->edge)));
	s = &t->sight[t->sight_head++ % TALK_SIGHTS_MAX];
	if (s->what != e->what || s->value != e->value)
		return play_fail(p, "the far end saw something else\n    got      far sees %s %u",
			play_sight_name(s), s->value);
	return play_in_time(p, s->at_ns);
}

static bool play_count(struct play *p)
{
	struct stack_counts c;
	uint64_t value[COUNT_NAMES];
	stack_counts(edge_stack(p->edge), &c);
	value[COUNT_TCP] = c.tcp;
	value[COUNT_HALF_OPEN] = c.half_open;
	value[COUNT_TIME_WAIT] = c.time_wait;
	value[COUNT_RETRANSMITS] = c.retransmits;
	value[COUNT_TIMEOUTS] = c.timeouts;
	value[COUNT_RESETS] = c.resets_out;
	return play_span(p, value[p->event->what]);
}

static void play_flood(struct play *p)
{
	static uint8_t frame[SEGMENT_FRAME_MAX];
	p->flooded = true;
	for (uint32_t i = 0; i < p->event->value && !p->failed; i++) {
		struct segment s = {.protocol = 6,
			.source_ip = EDGE_GUEST,
			.target_ip = PLAY_FLOOD_NET + i / 40000,
			.source = (uint16_t)(10000 + i % 30000),
			.target = 81,
			.seq = i * 7919,
			.flags = FLAG_SYN,
			.window = 65535};
		edge_frame(p->edge, frame, segment_build(frame, &s));
		play_settle(p);
	}
}

/* What is waiting at the old stack is lost with it. */
static void play_start(struct play *p, uint8_t key, uint64_t now_ns)
{
	struct edge_setup setup = {.gateway_ip = EDGE_GATEWAY,
		.mtu = p->script->mtu,
		.key = key,
		.half_open = p->script->half_open};
	if (p->edge)
		edge_free(p->edge);
	p->edge = edge_new(&setup, now_ns);
	for (unsigned int i = 0; i < p->script->connections; i++)
		p->talk[i].alive = false;
}

static bool play_establish(struct play *p, struct talk *t)
{
	struct packet syn = p->event->packet, ack = {.count = 1, .start = 1, .end = 1, .ack = 1};
	struct play_sent *sent = &p->sent[p->sent_head % PLAY_QUEUE];
	uint32_t value;
	syn.count = 1;
	syn.flags = FLAG_SYN;
	syn.has_window = true;
	play_guest_sends(p, t, &syn);
	if (!t->alive)
		return play_fail(p, "natproxy was not asked");
	t->sight_head++;
	talk_far(t, p->edge, FAR_ACCEPTS, 0);
	play_settle(p);
	if (p->sent_head == p->sent_tail || sent->segment.flags != (FLAG_SYN | FLAG_ACK))
		return play_fail(p, "no SYN-ACK");
	p->sent_head++;
	p->base_ns = edge_now(p->edge) + p->event->rtt_ns;
	while (play_step(p, p->base_ns))
		;
	ack.flags = FLAG_ACK;
	ack.has_ack = true;
	ack.has_window = true;
	ack.window.low = t->scaled ? syn.window.low >> t->guest_scale : syn.window.low;
	if (check_option(&sent->segment, OPTION_TS, &value)) {
		ack.options = 1;
		ack.option[0].kind = OPTION_TS;
		for (unsigned int i = 0; i < syn.options; i++)
			if (syn.option[i].kind == OPTION_TS)
				ack.option[0].value = syn.option[i].value;
	}
	play_guest_sends(p, t, &ack);
	return true;
}

static bool play_isn(struct play *p)
{
	uint32_t a = p->talk[p->event->other].numbers.stack_isn,
		 b = p->talk[p->event->connection].numbers.stack_isn;
	return play_span(p, b - a);
}

static bool play_act(struct play *p, struct talk *t)
{
	const struct event *e = p->event;
	if (!play_reach(p))
		return false;
	switch (e->kind) {
	case EVENT_GUEST_SENDS: play_guest_sends(p, t, &e->packet); break;
	case EVENT_ESTABLISH: return play_establish(p, t);
	case EVENT_FAR_DOES:
		p->spoke_last = e->what == FAR_CONNECTS ? t : p->spoke_last;
		talk_far(t, p->edge, (enum far_act)e->what, e->value);
		break;
	case EVENT_FLOOD: play_flood(p); break;
	case EVENT_UPLINK: edge_uplink(p->edge, e->value); break;
	case EVENT_RESTART: play_start(p, (uint8_t)e->value, edge_now(p->edge)); break;
	case EVENT_COUNT: return play_count(p);
	case EVENT_DROPS: return play_span(p, edge_drops(p->edge, e->what));
	case EVENT_ISN: return play_isn(p);
	case EVENT_NOTHING:
	case EVENT_STACK_SENDS:
	case EVENT_BURST:
	case EVENT_FAR_SEES: break;
	}
	play_settle(p);
	return true;
}

static bool play_event(struct play *p)
{
	struct talk *t = &p->talk[p->event->connection];
	if (p->event->kind == EVENT_STACK_SENDS)
		return play_stack_sends(p, t);
	if (p->event->kind == EVENT_BURST)
		return play_burst(p, t);
	if (p->event->kind == EVENT_FAR_SEES)
		return play_far_sees(p, t);
	return play_act(p, t);
}

/* Nothing is left over: no word, no byte, no buffer. */
static void play_end(struct play *p)
{
	p->over = true;
	play_nothing_waits(p);
	for (unsigned int i = 0; i < p->script->connections; i++) {
		struct talk *t = &p->talk[i];
		if (t->up_accounted != t->up_got)
			play_fail(p,
				"the far end has bytes that the script does not mention: up to "
				"%" PRIu64,
				t->up_got + 1);
		talk_end(t, p->edge);
	}
	play_settle(p);
	for (uint64_t until = edge_now(p->edge) + 20 * EDGE_MS; play_step(p, until);)
		;
	if (!p->failed && !edge_at_rest(p->edge))
		play_fail(p, "buffers that nobody gave back");
}

bool play_script(const struct script *script)
{
	struct play *p = calloc(1, sizeof(*p));
	bool good;
	if (!p)
		abort();
	p->script = script;
	p->base_ns = PLAY_START_NS;
	for (unsigned int i = 0; i < script->connections; i++)
		talk_begin(&p->talk[i], &script->connection[i]);
	play_start(p, script->key, PLAY_START_NS);
	for (unsigned int i = 0; i < script->events && !p->failed; i++) {
		p->event = &script->event[i];
		if (!play_event(p))
			break;
	}
	if (!p->failed)
		play_end(p);
	good = !p->failed;
	edge_free(p->edge);
	free(p);
	return good;
}
