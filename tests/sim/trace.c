/*
 * Theory of operation. After each turn the descriptors that the actor has published are read from its own region, which
 * it alone writes; the peer cannot have consumed them yet. For invariant 6 a count a buffer says how many descriptors
 * that name it are with the broker: raised by SEND, lowered when the broker's tail passes, zero when RELEASE_READ names
 * it.
 */
#include "trace.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "actors.h"

enum { TRACE_BYTES = 1 << 16, CROSSING_BYTES = 80 };

static const char *const op_names[RING_OP_COUNT] = {
	[RING_OP_NONE] = "NONE",
#define OP(FROM, TO, NAME, KIND, WHAT) [RING_##FROM##_##NAME] = #NAME,
#include "ring_ops.def"
};

static uint32_t seen[ACTOR_COUNT][ACTOR_EDGES - 1]; /* how far each actor's own rings were read */
static uint32_t broker_tail;			    /* how far the broker has consumed netstack's */
static uint16_t named[ARENA_ID_COUNT][ARENA_MAX_IDS];
static uint64_t violations, released;
static bool noting;
static char text[TRACE_BYTES], last[CROSSING_BYTES];
static size_t text_bytes;

void trace_start(void)
{
	noting = true;
	text_bytes = 0;
	text[0] = last[0] = '\0';
}

const char *trace_text(void)
{
	return text;
}

uint64_t trace_violations(void)
{
	return violations;
}

uint64_t trace_released(void)
{
	return released;
}

bool trace_has(const char *const *crossings, unsigned int n)
{
	const char *at = text;
	for (unsigned int i = 0; i < n; i++) {
		at = strstr(at, crossings[i]);
		if (!at)
			return false;
		at += strlen(crossings[i]);
	}
	return true;
}

static void note(const char *from, const char *to, const char *what)
{
	char crossing[CROSSING_BYTES];
	int n;
	snprintf(crossing, sizeof(crossing), "%s>%s %s", from, to, what);
	if (!noting || !strcmp(crossing, last))
		return;
	strcpy(last, crossing);
	n = snprintf(text + text_bytes, sizeof(text) - text_bytes, "%s; ", crossing);
	if (n > 0 && (size_t)n < sizeof(text) - text_bytes)
		text_bytes += (size_t)n;
}

void trace_record(enum actor_id from, int to, const ProtobufCMessage *m)
{
	const ProtobufCFieldDescriptor *f = m->descriptor->fields;
	uint32_t which;
	memcpy(&which, (const uint8_t *)m + f->quantifier_offset, sizeof(which));
	for (unsigned int i = 0; i < m->descriptor->n_fields; i++)
		if (f[i].id == which)
			note(actors_names[from], to < 0 ? "supervisor" : actors_names[to],
				f[i].name);
}

static void check_released(const struct ring_desc *d)
{
	for (int i = 0; i < d->nseg; i++) {
		uint32_t id = d->ids[i];
		released++;
		violations += named[buf_arena(id)][buf_index(id)] != 0;
	}
}

static void see(const struct link *l, const struct ring_desc *d)
{
	note(actors_names[l->from], actors_names[l->to], op_names[d->op]);
	if (d->op == RING_NETSTACK_SEND)
		for (int i = 0; i < d->nseg; i++)
			named[buf_arena(d->seg[i].id)][buf_index(d->seg[i].id)]++;
	if (d->op == RING_NETSTACK_RELEASE_READ)
		check_released(d);
}

static void broker_consumed(void)
{
	const struct ring_region *from_netstack = nodes[ACTOR_NETSTACK].actor.link[0].mine;
	uint32_t tail = atomic_load(&nodes[ACTOR_BROKER].actor.links[0]->mine->tail);
	for (; broker_tail != tail; broker_tail++) {
		const struct ring_desc *d = &from_netstack->desc[broker_tail % RING_SLOTS];
		if (d->op != RING_NETSTACK_SEND)
			continue;
		for (int i = 0; i < d->nseg; i++)
			named[buf_arena(d->seg[i].id)][buf_index(d->seg[i].id)]--;
	}
}

void trace_turn(enum actor_id id)
{
	const struct actor *a = &nodes[id].actor;
	for (int e = 0; e + 1 < a->edges; e++) {
		const struct link *l = &a->link[e];
		if (!a->edge_is_ring[e])
			continue;
		for (; seen[id][e] != l->published; seen[id][e]++)
			see(l, &l->mine->desc[seen[id][e] % RING_SLOTS]);
	}
	if (id == ACTOR_BROKER)
		broker_consumed();
}
