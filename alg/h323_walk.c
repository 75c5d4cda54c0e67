#include "h323_walk.h"

#include "h323_table.h"
#include "per.h"

/*
 * A walk goes down the table: each part of a type is one step, and a level of depth where it has parts itself. A message of n octets
 * has at most 8n bits, but a list of things without bits has no such bound: therefore steps are counted.
 */
enum {
	WALK_DEPTH =
		24, /* levels: so deep an address can be, in what an InfoRequestResponse quotes */
	WALK_STEPS = 8192,
	OCTET = 8,	      /* bits */
	IP4_BITS = 6 * OCTET, /* address and port */
};

struct walk {
	struct per in;
	struct h323_mark *mark;
	size_t marks, room;
	unsigned int steps, depth;
};

static void walk_part(struct walk *w, const struct h323_part *part);

/* An octet string or open type with one part in it, or with none that is known. */
static void walk_within(struct walk *w, const struct h323_part *part)
{
	size_t outer = per_enter(&w->in, per_length(&w->in));
	size_t began = w->in.at;
	if (part)
		walk_part(w, part);
	per_leave(&w->in, outer);
	w->in.began = began;
}

static void walk_additions(struct walk *w, const struct h323_type *type)
{
	uint32_t count = per_small_length(&w->in);
	size_t present = w->in.at;
	per_skip(&w->in, count);
	const struct h323_part *part = &h323_parts[type->part + type->roots];
	for (uint32_t i = 0; i < count && !w->in.failed; i++)
		if (per_bit_at(&w->in, present + i))
			walk_within(w, i < type->additions ? part + i : NULL);
}

static void walk_sequence(struct walk *w, const struct h323_type *type)
{
	bool extended = type->extensible && per_bits(&w->in, 1);
	size_t present = w->in.at;
	per_skip(&w->in, type->optionals);
	for (unsigned int i = 0; i < type->roots && !w->in.failed; i++) {
		const struct h323_part *part = &h323_parts[type->part + i];
		if (!part->optional || per_bit_at(&w->in, present++))
			walk_part(w, part);
	}
	if (extended)
		walk_additions(w, type);
}

static uint32_t walk_choice(struct walk *w, const struct h323_type *type)
{
	const struct h323_part *part = &h323_parts[type->part];
	uint32_t index;
	if (!type->extensible || !per_bits(&w->in, 1)) {
		index = per_range(&w->in, type->roots - 1u);
		if (!w->in.failed)
			walk_part(w, part + index);
		return index;
	}
	index = per_small(&w->in);
	part += type->roots;
	walk_within(w, index < type->additions ? part + index : NULL);
	return index < H323_UNBOUNDED - type->roots ? type->roots + index : H323_UNBOUNDED;
}

static uint32_t walk_count(struct walk *w, const struct h323_type *type)
{
	if (type->high == H323_UNBOUNDED)
		return per_length(&w->in);
	return type->low + per_range(&w->in, type->high - type->low);
}

static void walk_list(struct walk *w, const struct h323_type *type)
{
	for (uint32_t count = walk_count(w, type); count && !w->in.failed; count--)
		walk_part(w, &h323_parts[type->part]);
}

static void walk_string(struct walk *w, const struct h323_type *type)
{
	uint32_t count = walk_count(w, type);
	if (type->aligned)
		per_align(&w->in);
	per_skip(&w->in, (uint64_t)count * type->unit);
}

static uint32_t walk_integer(struct walk *w, const struct h323_type *type)
{
	if (type->extensible && per_bits(&w->in, 1)) {
		if (type->kind == H323_ENUM)
			return per_small(&w->in);
		walk_within(w, NULL);
		return 0;
	}
	return type->low + per_range(&w->in, type->high - type->low);
}

static void walk_ip4(struct walk *w)
{
	per_align(&w->in);
	per_skip(&w->in, IP4_BITS);
}

static void walk_series(struct walk *w, const struct h323_type *type)
{
	do {
		walk_part(w, &h323_parts[type->part]);
		per_align(&w->in);
	} while (!w->in.failed && w->in.at < w->in.end);
}

/* The value, where it has one. */
static uint32_t walk_type(struct walk *w, const struct h323_type *type)
{
	switch ((enum h323_kind)type->kind) {
	case H323_NULL: break;
	case H323_BOOLEAN: return per_bits(&w->in, 1);
	case H323_INTEGER:
	case H323_ENUM: return walk_integer(w, type);
	case H323_STRING: walk_string(w, type); break;
	case H323_IP4: walk_ip4(w); break;
	case H323_SEQUENCE: walk_sequence(w, type); break;
	case H323_CHOICE: return walk_choice(w, type);
	case H323_LIST: walk_list(w, type); break;
	case H323_CONTAINS: walk_within(w, &h323_parts[type->part]); break;
	case H323_SERIES: walk_series(w, type); break;
	}
	return 0;
}

/* Whether its octets are those of the whole of it; else those of the contents, which were read last. */
static bool is_whole(const struct h323_type *type)
{
	return type->kind == H323_NULL || type->kind == H323_SEQUENCE ||
	       type->kind == H323_CHOICE || type->kind == H323_LIST || type->kind == H323_SERIES;
}

static void walk_part(struct walk *w, const struct h323_part *part)
{
	const struct h323_type *type = &h323_types[part->type];
	struct h323_mark *mark = NULL;
	size_t from = w->in.at;
	if (w->in.failed)
		return;
	if (!w->steps || w->depth == WALK_DEPTH || (part->field && w->marks == w->room)) {
		w->in.failed = true;
		return;
	}
	if (part->field)
		mark = &w->mark[w->marks++];
	w->steps--;
	w->depth++;
	uint32_t value = walk_type(w, type);
	w->depth--;
	if (!mark)
		return;
	if (!is_whole(type))
		from = w->in.began;
	*mark = (struct h323_mark){
		.field = part->field, .at = (uint32_t)(from / OCTET), .value = value + part->add};
	mark->bytes = (uint32_t)((w->in.at + OCTET - 1) / OCTET) - mark->at;
}

int h323_walk(enum h323_root root, const uint8_t *p, size_t n, struct h323_mark *mark, size_t room)
{
	struct walk w = {.mark = mark, .room = room, .steps = WALK_STEPS};
	per_begin(&w.in, p, n);
	walk_part(&w, &h323_roots[root]);
	per_align(&w.in);
	return w.in.failed || w.in.at != w.in.end ? -1 : (int)w.marks;
}
