/*
 * Renaming inside a message: theory of operation.
 *
 * The old name is four numbers before in-addr.arpa. Wherever they are spelled, whole or ending in a
 * pointer, new ones are put in their place; the letters behind them keep their case. So a name that is
 * a pointer to the old name, or ends in one, is renamed with it and needs nothing.
 *
 *     12  2 50  3 113  1 0  3 203  7 in-addr  4 arpa  0        becomes   1 5  3 168 ...
 *            ▲                      ▲
 *            │                      └── a pointer to here: the same name, but it may have moved
 *            └── a pointer into the middle (the zone's name, with its SOA and NS): that name must not
 *                change, so the pointer becomes what it stood for: 3 113  1 0  3 203  (pointer), and
 *                the next such pointer leads there
 *
 * Pointers lead backwards only, so all that a pointer may need to know is known when it is met.
 * A pointer to what was never shown (into a record that we do not know, say) is not to be judged: the
 * message stays as it is.
 */
#include "dns_name.h"

#include <string.h>

enum { NUMBERS = 4, POINTER = 0xc0 };

void dns_name_start(
	struct dns_name *d, const uint8_t *p, size_t n, uint32_t from_be, uint32_t to_be)
{
	*d = (struct dns_name){.p = p, .n = n, .from_be = from_be, .to_be = to_be};
}

static void mark(struct dns_name *d, size_t at)
{
	if (at < DNS_WALK_REACH)
		d->starts[at / 8] |= (uint8_t)(1u << at % 8);
}

static bool marked(const struct dns_name *d, size_t at)
{
	return at < DNS_WALK_REACH && d->starts[at / 8] & 1u << at % 8;
}

/* Behind the first of the bytes that were replaced: it is not there any more. */
static bool gone(const struct dns_name *d, size_t at)
{
	for (unsigned int i = 0; i < d->moves; i++)
		if (at > d->move[i].at && at < d->move[i].at + d->move[i].old_bytes)
			return true;
	return false;
}

static size_t moved(const struct dns_name *d, size_t at)
{
	size_t now = at;
	for (unsigned int i = 0; i < d->moves && at >= d->move[i].at + d->move[i].old_bytes; i++)
		now += (size_t)d->move[i].growth;
	return now;
}

static bool add_move(struct dns_name *d, size_t at, size_t old_bytes, size_t bytes, uint16_t target)
{
	if (d->moves == DNS_NAME_MOVES)
		return false;
	d->move[d->moves].at = at;
	d->move[d->moves].old_bytes = old_bytes;
	d->move[d->moves].target = target;
	d->move[d->moves++].growth = (int)bytes - (int)old_bytes;
	return true;
}

static bool append(struct dns_name_change *c, const uint8_t *bytes, size_t n)
{
	if (c->bytes + n > sizeof(c->text))
		return false;
	memcpy(c->text + c->bytes, bytes, n);
	c->bytes += n;
	return true;
}

static bool append_pointer(struct dns_name_change *c, size_t target)
{
	const uint8_t pointer[2] = {(uint8_t)(POINTER | target >> 8), (uint8_t)target};
	return target < DNS_WALK_REACH && append(c, pointer, sizeof(pointer));
}

/* The numbers of an address as four labels, the last one first. */
static bool append_numbers(struct dns_name_change *c, uint32_t ip_be)
{
	uint8_t octet[NUMBERS];
	memcpy(octet, &ip_be, sizeof(octet));
	for (size_t i = NUMBERS; i-- > 0;) {
		uint8_t label[4] = {0};
		if (octet[i] >= 100)
			label[++label[0]] = (uint8_t)('0' + octet[i] / 100);
		if (octet[i] >= 10)
			label[++label[0]] = (uint8_t)('0' + octet[i] / 10 % 10);
		label[++label[0]] = (uint8_t)('0' + octet[i] % 10);
		if (!append(c, label, 1u + label[0]))
			return false;
	}
	return true;
}

/* The name from its label i on: labels that are gone where they stood are spelled, then comes a pointer. */
static bool append_rest(const struct dns_name *d, const struct dns_walk_name *name, unsigned int i,
	struct dns_name_change *c)
{
	for (; i < name->labels && gone(d, name->label[i]); i++)
		if (!append(c, d->p + name->label[i], 1u + d->p[name->label[i]]))
			return false;
	if (i < name->labels)
		return append_pointer(c, moved(d, name->label[i]));
	return append(c, (const uint8_t *)"", 1);
}

/* What its pointer must be now. */
static bool append_target(
	const struct dns_name *d, const struct dns_walk_name *name, struct dns_name_change *c)
{
	if (!gone(d, name->target))
		return append_pointer(c, moved(d, name->target));
	for (unsigned int i = 0; i < d->moves; i++)
		if (d->move[i].target == name->target)
			return append_pointer(c, moved(d, d->move[i].at));
	return append_rest(d, name, name->spelled, c);
}

static size_t numbers_bytes(
	const struct dns_name *d, const struct dns_walk_name *name, unsigned int first)
{
	size_t bytes = 0;
	for (unsigned int i = first; i < first + NUMBERS; i++)
		bytes += 1u + d->p[name->label[i]];
	return bytes;
}

/* All four numbers are spelled here. */
static bool rename_spelled(struct dns_name *d, const struct dns_walk_name *name, unsigned int first,
	struct dns_name_change *c)
{
	const size_t old_bytes = numbers_bytes(d, name, first), rest = c->at + old_bytes;
	if (!append_numbers(c, d->to_be))
		return false;
	const size_t new_bytes = c->bytes;
	if (!append(c, d->p + rest, (name->pointer ? name->pointer : name->end) - rest))
		return false;
	const size_t before = c->bytes;
	if (name->pointer && (!append_target(d, name, c) || c->bytes - before != 2))
		return false;
	return add_move(d, c->at, old_bytes, new_bytes, 0);
}

/* The last of the numbers are those of another name, to which the pointer leads. */
static bool rename_pointed(struct dns_name *d, const struct dns_walk_name *name, unsigned int first,
	struct dns_name_change *c)
{
	return append_numbers(c, d->to_be) && append_rest(d, name, first + NUMBERS, c) &&
	       add_move(d, c->at, c->old_bytes, c->bytes, 0);
}

static bool rename_name(struct dns_name *d, const struct dns_walk_name *name, unsigned int first,
	struct dns_name_change *c)
{
	c->at = name->label[first];
	c->old_bytes = name->end - c->at;
	return first + NUMBERS <= name->spelled ? rename_spelled(d, name, first, c)
						: rename_pointed(d, name, first, c);
}

static bool keep_pointer(
	struct dns_name *d, const struct dns_walk_name *name, struct dns_name_change *c)
{
	c->at = name->pointer;
	c->old_bytes = 2;
	if (!append_target(d, name, c))
		return false;
	if (c->bytes == 2 && !memcmp(c->text, d->p + c->at, 2))
		c->bytes = 0;
	return c->bytes <= 2 || add_move(d, c->at, 2, c->bytes, name->target);
}

/* The new name is no longer than a name may be. */
static bool fits(const struct dns_name *d, const struct dns_walk_name *name, unsigned int first)
{
	struct dns_name_change new_numbers = {0};
	return append_numbers(&new_numbers, d->to_be) &&
	       name->bytes - numbers_bytes(d, name, first) + new_numbers.bytes <= DNS_WALK_NAME_MAX;
}

static void mark_all(struct dns_name *d, const struct dns_walk_name *name)
{
	for (unsigned int i = 0; i < name->spelled; i++)
		mark(d, name->label[i]);
	mark(d, name->pointer ? name->pointer : name->end - 1);
}

bool dns_name_next(struct dns_name *d, size_t at, struct dns_name_change *c)
{
	struct dns_walk_name name;
	unsigned int first;
	uint32_t ip_be;
	if (!dns_walk_name(d->p, d->n, at, &name) || (name.pointer && !marked(d, name.target)))
		return false;
	mark_all(d, &name);
	c->renamed = dns_walk_reverse(d->p, &name, &first, &ip_be) && ip_be == d->from_be;
	c->end = name.end;
	c->at = c->old_bytes = c->bytes = 0;
	if (c->renamed && !fits(d, &name, first))
		return false;
	if (c->renamed && first < name.spelled)
		return rename_name(d, &name, first, c);
	return !name.pointer || keep_pointer(d, &name, c);
}
