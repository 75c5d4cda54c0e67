/*
 * The doorbell protocol, every interleaving: a small explicit-state search over a producer and a
 * consumer whose stores go through store buffers, as on x86 (a load may overtake an older store of
 * the same process; a fence empties the buffer).
 *
 *   producer                                   consumer
 *   room? else sleep (epoch odd, fence,        epoch := odd, fence, head moved? else wait for the
 * bell tail moved? else wait for own bell)      epoch := even, take what is there store head,
 * fence, epoch odd and not yet   store tail, fence, producer's epoch odd and half the ring was in
 * use? rung? write the bell                       write its bell
 *
 * A state without a next step in which messages are left is a lost wake-up. The protocol must have
 * none; and each protocol with one element taken out must have one, or the search would prove
 * nothing.
 */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2, MESSAGES = 5, BUFFER = 4, TABLE = 1 << 22 };

enum variable { HEAD, TAIL, PRODUCER_EPOCH, CONSUMER_EPOCH, VARIABLES };
enum process { PRODUCER, CONSUMER };

struct store {
	uint8_t variable, value;
};

struct state {
	uint8_t memory[VARIABLES];
	uint8_t bell[2];
	struct process_state {
		uint8_t at; /* the next step */
		uint8_t head, tail, epoch, rung, before;
		uint8_t stores;
		struct store buffer[BUFFER];
	} p[2];
};

struct protocol {
	bool producer_fence, consumer_fence, recheck, room_recheck, room_bell, rung_by_value,
		room_head_reread;
};

static const struct protocol whole = {true, true, true, true, true, true, true};

struct search {
	struct protocol protocol;
	struct state *stack, *table;
	uint8_t *used;
	size_t depth, seen, lost;
};

static uint8_t load(const struct state *s, int who, uint8_t variable)
{
	const struct process_state *p = &s->p[who];

	for (int i = p->stores - 1; i >= 0; i--) {
		if (p->buffer[i].variable == variable)
			return p->buffer[i].value;
	}
	return s->memory[variable];
}

static void store(struct state *s, int who, uint8_t variable, uint8_t value)
{
	struct process_state *p = &s->p[who];

	p->buffer[p->stores++] = (struct store){variable, value};
}

/* The oldest buffered store reaches memory. */
static void drain(struct state *s, int who)
{
	struct process_state *p = &s->p[who];

	s->memory[p->buffer[0].variable] = p->buffer[0].value;
	p->stores--;
	memmove(p->buffer, p->buffer + 1, p->stores * sizeof(p->buffer[0]));
	p->buffer[p->stores] = (struct store){0, 0};
}

enum { P_SEND, P_FENCE, P_BELL, P_SLEEP, P_SLEEP_FENCE, P_RECHECK, P_WAIT, P_AWAKE, P_DONE };
enum { C_SLEEP, C_FENCE, C_RECHECK, C_WAIT, C_TAKE, C_TAIL_FENCE, C_BELL };

/* One step of the producer; false when it is blocked. */
static bool produce(const struct protocol *how, struct state *s)
{
	struct process_state *p = &s->p[PRODUCER];
	uint8_t epoch;

	switch (p->at) {
	case P_SEND:
		if (p->head == MESSAGES) {
			p->at = P_DONE;
			return true;
		}
		p->tail = load(s, PRODUCER, TAIL);
		p->at = P_SLEEP;
		if (p->head - p->tail < SLOTS) {
			store(s, PRODUCER, HEAD, ++p->head);
			p->at = P_FENCE;
		}
		return true;
	case P_FENCE:
		if (how->producer_fence && p->stores)
			return false;
		p->at = P_BELL;
		return true;
	case P_BELL:
		epoch = load(s, PRODUCER, CONSUMER_EPOCH);
		if ((epoch & 1) && (how->rung_by_value ? epoch != p->rung : !p->rung)) {
			p->rung = epoch;
			s->bell[CONSUMER] = 1;
		}
		p->at = P_SEND;
		return true;
	case P_SLEEP:
		store(s, PRODUCER, PRODUCER_EPOCH, ++p->epoch);
		p->at = P_SLEEP_FENCE;
		return true;
	case P_SLEEP_FENCE:
		if (how->producer_fence && p->stores)
			return false;
		p->at = P_RECHECK;
		return true;
	case P_RECHECK:
		p->at = how->room_recheck && load(s, PRODUCER, TAIL) != p->tail ? P_AWAKE : P_WAIT;
		return true;
	case P_WAIT:
		if (!s->bell[PRODUCER])
			return false;
		s->bell[PRODUCER] = 0;
		p->at = P_AWAKE;
		return true;
	case P_AWAKE:
		store(s, PRODUCER, PRODUCER_EPOCH, ++p->epoch);
		p->at = P_SEND;
		return true;
	default: return false;
	}
}

static bool consume(const struct protocol *how, struct state *s)
{
	struct process_state *p = &s->p[CONSUMER];
	uint8_t epoch, head;

	switch (p->at) {
	case C_SLEEP:
		store(s, CONSUMER, CONSUMER_EPOCH, ++p->epoch);
		p->at = C_FENCE;
		return true;
	case C_FENCE:
		if (how->consumer_fence && p->stores)
			return false;
		p->at = C_RECHECK;
		return true;
	case C_RECHECK:
		p->at = how->recheck && load(s, CONSUMER, HEAD) != p->tail ? C_TAKE : C_WAIT;
		return true;
	case C_WAIT:
		if (!s->bell[CONSUMER])
			return false;
		s->bell[CONSUMER] = 0;
		p->at = C_TAKE;
		return true;
	case C_TAKE:
		store(s, CONSUMER, CONSUMER_EPOCH, ++p->epoch);
		p->before = p->tail;
		p->head = load(s, CONSUMER, HEAD);
		p->at = C_SLEEP;
		if (p->head != p->tail) {
			p->tail = p->head;
			store(s, CONSUMER, TAIL, p->tail);
			p->at = C_TAIL_FENCE;
		}
		return true;
	case C_TAIL_FENCE:
		if (how->consumer_fence && p->stores)
			return false;
		p->at = C_BELL;
		return true;
	case C_BELL:
		epoch = load(s, CONSUMER, PRODUCER_EPOCH);
		head = how->room_head_reread ? load(s, CONSUMER, HEAD) : p->head;
		if (how->room_bell && (epoch & 1) && epoch != p->rung &&
			head - p->before >= SLOTS / 2 + 1) {
			p->rung = epoch;
			s->bell[PRODUCER] = 1;
		}
		p->at = C_SLEEP;
		return true;
	default: return false;
	}
}

static void visit(struct search *x, const struct state *s)
{
	uint64_t h = 1469598103934665603u;
	size_t at;

	for (size_t i = 0; i < sizeof(*s); i++)
		h = (h ^ ((const uint8_t *)s)[i]) * 1099511628211u;
	for (at = h % TABLE; x->used[at]; at = (at + 1) % TABLE) {
		if (!memcmp(&x->table[at], s, sizeof(*s)))
			return;
	}
	x->used[at] = 1;
	x->table[at] = *s;
	x->stack[x->depth++] = *s;
	cr_assert_lt(++x->seen, TABLE / 2, "the search outgrew its table");
}

static void expand(struct search *x, const struct state *s)
{
	struct state next;
	bool moved = false;

	for (int who = PRODUCER; who <= CONSUMER; who++) {
		if (s->p[who].stores) {
			next = *s;
			drain(&next, who);
			visit(x, &next);
			moved = true;
		}
	}
	/* A full store buffer stalls the process until something drained. */
	next = *s;
	if (s->p[PRODUCER].stores < BUFFER && produce(&x->protocol, &next)) {
		visit(x, &next);
		moved = true;
	}
	next = *s;
	if (s->p[CONSUMER].stores < BUFFER && consume(&x->protocol, &next)) {
		visit(x, &next);
		moved = true;
	}
	if (!moved && s->p[CONSUMER].tail != MESSAGES)
		x->lost++;
}

/* Searches until a state is found in which everybody waits and messages are left: 1, or 0 after all
 * states. */
static size_t lost_wakeups(struct protocol protocol, size_t *seen)
{
	struct search x = {.protocol = protocol};
	struct state first;

	memset(&first, 0, sizeof(first));
	x.stack = malloc(TABLE / 2 * sizeof(*x.stack));
	x.table = malloc(TABLE * sizeof(*x.table));
	x.used = calloc(TABLE, 1);
	visit(&x, &first);
	while (x.depth > 0 && x.lost == 0) {
		struct state s = x.stack[--x.depth];
		expand(&x, &s);
	}
	free(x.stack);
	free(x.table);
	free(x.used);
	if (seen)
		*seen = x.seen;
	return x.lost;
}

Test(doorbell_model, no_interleaving_loses_a_wake_up)
{
	size_t seen;

	cr_assert_eq(lost_wakeups(whole, &seen), 0);
	cr_assert_gt(seen, 1000, "a search of %zu states explored nothing", seen);
}

#define MUTANT(NAME)                                                                               \
	Test(doorbell_model, without_##NAME##_a_wake_up_is_lost)                                   \
	{                                                                                          \
		struct protocol p = whole;                                                         \
		p.NAME = false;                                                                    \
		cr_assert_gt(lost_wakeups(p, NULL), 0);                                            \
	}

MUTANT(recheck)
MUTANT(producer_fence)
MUTANT(consumer_fence)
MUTANT(room_recheck)
MUTANT(room_bell)
MUTANT(rung_by_value)
MUTANT(room_head_reread)
