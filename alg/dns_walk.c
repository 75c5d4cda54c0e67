/*
 * Walking a DNS message: theory of operation.
 *
 * Two ways over a name. dns_walk_skip looks at what is spelled at its place and nothing else: enough
 * to find what stands behind it, in one step a label. dns_walk_name follows pointers too. A pointer
 * must lead to before the first byte of everything that was read of this name, so no loop can be
 * built; beside that pointers and length are counted (RFC 1035 2.3.4, 4.1.4).
 */
#include "dns_walk.h"

#include <string.h>

enum { POINTER = 0xc0, LABEL_MAX = 63, REVERSE_NUMBERS = 4, REVERSE_LABELS = 6 };

uint16_t dns_walk_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

void dns_walk_start(struct dns_walk *w, const uint8_t *p, size_t n)
{
	*w = (struct dns_walk){.p = p, .n = n, .at = DNS_WALK_HEADER, .section = DNS_QUESTION};
	for (size_t i = 0; i < DNS_SECTIONS; i++)
		w->left[i] = dns_walk_u16(p + 4 + 2 * i);
}

bool dns_walk_plausible(const uint8_t *p, size_t n)
{
	struct dns_walk w;
	dns_walk_start(&w, p, n);
	return w.left[DNS_QUESTION] * DNS_WALK_QUESTION_MIN +
		       (w.left[DNS_ANSWER] + w.left[DNS_AUTHORITY] + w.left[DNS_ADDITIONAL]) *
			       DNS_WALK_RECORD_MIN <=
	       n - DNS_WALK_HEADER;
}

bool dns_walk_skip(const uint8_t *p, size_t n, size_t *at)
{
	const size_t start = *at;
	for (size_t i = start; i < n && i - start < DNS_WALK_NAME_MAX; i += 1u + p[i]) {
		if (!p[i]) {
			*at = i + 1;
			return true;
		}
		if ((p[i] & POINTER) == POINTER) {
			*at = i + 2;
			return *at <= n;
		}
		if (p[i] > LABEL_MAX)
			return false;
	}
	return false;
}

enum dns_walk_step dns_walk_next(struct dns_walk *w, struct dns_walk_record *r)
{
	while (w->section < DNS_SECTIONS && !w->left[w->section])
		w->section++;
	if (w->section == DNS_SECTIONS)
		return DNS_WALK_END;
	w->left[w->section]--;
	r->section = w->section;
	r->owner = r->fixed = w->at;
	if (!dns_walk_skip(w->p, w->n, &r->fixed) || w->n - r->fixed < 4)
		return DNS_WALK_BROKEN;
	r->type = dns_walk_u16(w->p + r->fixed);
	r->class = dns_walk_u16(w->p + r->fixed + 2);
	r->rdata = r->end = r->fixed + 4;
	if (w->section != DNS_QUESTION) {
		if (w->n - r->fixed < 10)
			return DNS_WALK_BROKEN;
		r->rdata = r->fixed + 10;
		r->end = r->rdata + dns_walk_u16(w->p + r->fixed + 8);
	}
	w->at = r->end;
	return r->end <= w->n ? DNS_WALK_RECORD : DNS_WALK_BROKEN;
}

/* Follows the pointer at `at`; false where it leads nowhere. */
static bool follow(const uint8_t *p, size_t n, size_t at, size_t before, struct dns_walk_name *name,
	size_t *target)
{
	if (n - at < 2)
		return false;
	*target = (size_t)(dns_walk_u16(p + at) & (DNS_WALK_REACH - 1));
	if (*target >= before || *target < DNS_WALK_HEADER)
		return false;
	if (!name->pointer) {
		name->pointer = at;
		name->target = (uint16_t)*target;
		name->spelled = name->labels;
		name->end = at + 2;
	}
	return true;
}

static bool add_label(const uint8_t *p, size_t at, struct dns_walk_name *name)
{
	if (p[at] > LABEL_MAX || name->bytes + 1u + p[at] >= DNS_WALK_NAME_MAX)
		return false;
	name->bytes += 1u + p[at];
	name->label[name->labels++] = (uint32_t)at;
	return true;
}

bool dns_walk_name(const uint8_t *p, size_t n, size_t at, struct dns_walk_name *name)
{
	size_t before = at;
	unsigned int hops = 0;
	name->pointer = name->bytes = name->labels = name->spelled = 0;
	while (at < n && p[at]) {
		if ((p[at] & POINTER) == POINTER) {
			if (hops++ == DNS_WALK_HOPS || !follow(p, n, at, before, name, &at))
				return false;
			before = at;
		} else {
			if (!add_label(p, at, name))
				return false;
			at += 1u + p[at];
		}
	}
	name->bytes++;
	if (!name->pointer) {
		name->end = at + 1;
		name->spelled = name->labels;
	}
	return at < n;
}

static bool label_is(const uint8_t *label, const char *lower)
{
	const size_t n = strlen(lower);
	if (label[0] != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		const uint8_t c = label[1 + i];
		if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != lower[i])
			return false;
	}
	return true;
}

/* A label that is a number 0..255, as it is written. */
static bool label_number(const uint8_t *label, uint8_t *value)
{
	unsigned int v = 0;
	if (label[0] < 1 || label[0] > 3 || (label[0] > 1 && label[1] == '0'))
		return false;
	for (size_t i = 1; i <= label[0]; i++) {
		if (label[i] < '0' || label[i] > '9')
			return false;
		v = 10 * v + label[i] - '0';
	}
	*value = (uint8_t)v;
	return v <= 255;
}

bool dns_walk_reverse(
	const uint8_t *p, const struct dns_walk_name *name, unsigned int *first, uint32_t *ip_be)
{
	uint8_t octets[REVERSE_NUMBERS];
	if (name->labels < REVERSE_LABELS)
		return false;
	*first = name->labels - REVERSE_LABELS;
	const uint32_t *label = name->label + *first;
	if (!label_is(p + label[4], "in-addr") || !label_is(p + label[5], "arpa"))
		return false;
	for (size_t i = 0; i < REVERSE_NUMBERS; i++)
		if (!label_number(p + label[i], &octets[REVERSE_NUMBERS - 1 - i]))
			return false;
	memcpy(ip_be, octets, sizeof(*ip_be));
	return true;
}
