/*
 * How long the guest is to be found:
 *
 *   Contact: "one, two" <sip:bob@203.0.113.7:5070;transport=udp>;q=0.7;expires=3600, <sip:bob@elsewhere>;expires=60
 *            └─ quoted    └─ whose it is                                └─ parameters of the contact, not of the URI
 *
 * A registrar tells all contacts of the name, those of other telephones as well (RFC 3261 10.3); only the guest's count.
 */
#include "sip_hold.h"

#include "sip_address.h"
#include "sip_names.h"

enum { DIGITS = 9 };

/* Takes one contact of a list, with its parameters; false at the end. */
static bool take_contact(struct text *list, struct text *contact)
{
	bool quoted = false, bracketed = false;
	if (!text_left(list))
		return false;
	*contact = (struct text){list->p, list->end};
	for (; list->p < list->end; list->p++) {
		const uint8_t c = *list->p;
		if (quoted && c == '\\' && list->p + 1 < list->end)
			list->p++;
		else if (c == '"' && !bracketed)
			quoted = !quoted;
		else if (!quoted && (c == '<' || c == '>'))
			bracketed = c == '<';
		else if (c == ',' && !quoted && !bracketed)
			break;
	}
	contact->end = list->p;
	if (text_left(list))
		list->p++;
	return true;
}

/* Behind the URI, which without < and > ends at the first semicolon. */
static struct text parameters(struct text contact)
{
	const uint8_t *p = contact.end;
	while (p > contact.p && p[-1] != '>' && p[-1] != '"')
		p--;
	return (struct text){p, contact.end};
}

static bool read_seconds(struct text t, uint32_t *seconds)
{
	uint32_t value = 0;
	size_t n = 0;
	for (; text_left(&t) && *t.p >= '0' && *t.p <= '9' && n < DIGITS; t.p++, n++)
		value = value * 10 + (uint32_t)(*t.p - '0');
	*seconds = value;
	return n;
}

/* The expires parameter, 0: there is none. */
static uint32_t expires_of(struct text t)
{
	while (text_left(&t)) {
		struct text word = {t.p, t.p}, value;
		uint32_t seconds;
		while (word.end < t.end && *word.end != ';')
			word.end++;
		t.p = word.end < t.end ? word.end + 1 : word.end;
		word = header_trim(word);
		value = word;
		while (text_left(&value) && *value.p != '=')
			value.p++;
		word.end = value.p;
		word = header_trim(word);
		value.p += text_left(&value) > 0;
		if (text_is(&word, "EXPIRES") && read_seconds(header_trim(value), &seconds))
			return seconds;
	}
	return 0;
}

static bool is_guest(const struct alg_flow *f, struct text contact)
{
	struct sip_scan scan = sip_scan_of(contact);
	struct sip_place place;
	while (sip_next_address(&scan, &place))
		if (place.part == SIP_PART_HOST)
			return sip_names_is_guest(f, &place);
	return false;
}

uint32_t sip_hold_seconds(const struct alg_flow *f, const struct sip_message *m)
{
	struct text lines = m->h.lines, contact;
	struct sip_line line;
	uint32_t longest = 0;
	while (sip_next_line(&lines, &line))
		while (line.field == SIP_CONTACT && take_contact(&line.value, &contact)) {
			const uint32_t seconds =
				is_guest(f, contact) ? expires_of(parameters(contact)) : 0;
			longest = seconds > longest ? seconds : longest;
		}
	if (!longest && m->expires != UINT32_MAX)
		longest = m->expires;
	return longest < SIP_HOLD_SECONDS_MAX ? longest : SIP_HOLD_SECONDS_MAX;
}
