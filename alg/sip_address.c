/*
 * Addresses in SIP's header fields: theory of operation.
 *
 *   via       = via-parm *( "," via-parm )
 *   via-parm  = token "/" token "/" token WS host-port *parameter        white space around each
 *   addresses = address *( "," address )
 *   address   = ( [ display ] "<" uri ">" | uri-without , ; ? | "*" ) *parameter
 *   display   = quoted | *( any byte but " , ; : < > )
 *   uri       = ( "sip:" | "sips:" ) [ user "@" ] host-port *parameter [ "?" headers ] | another scheme
 *   user      = *( any byte but @ white space controls " < > )           passwords too, and ; ? / as they are
 *   host-port = host [ ":" number ]                                      in a Via with white space around :
 *   host      = 1*( letter | digit | - . _ ) | "[" IPv6 "]"
 *
 * A scan is a state machine over what it has not read yet; each step takes at least a byte, and
 * where the grammar ends the scan does.
 *
 *   START ──host──▶ HOST ──parameters of the URI──▶ TAIL ──parameters of the header──▶ "," START
 *   START ──sent-by──▶ HOST (VIA_LATE: received is behind us) ──────────────────────▶ "," START
 */
#include "sip_address.h"

#include <string.h>

#include "sip_text.h"

enum { START, HOST, VIA_LATE, TAIL, OVER };

static bool finish(struct sip_scan *scan)
{
	scan->state = OVER;
	return false;
}

/* ---- hosts ---- */

static bool is_host(uint8_t c)
{
	return text_is_digit(c) || text_is_letter(c) || c == '-' || c == '.' || c == '_';
}

static bool is_ip6(uint8_t c)
{
	return text_is_digit(c) || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f') || c == ':' ||
	       c == '.';
}

static bool take_name(struct text *t, struct text *host)
{
	const bool bracket = text_char(t, '[');
	host->p = t->p;
	while (text_left(t) && (bracket ? is_ip6(*t->p) : is_host(*t->p)))
		t->p++;
	host->end = t->p;
	return text_left(host) && (!bracket || text_char(t, ']'));
}

static bool read_ip(struct text host, uint32_t *ip_be)
{
	return text_ip(&host, '.', ip_be) && !text_left(&host);
}

/* Takes a host and its port. */
static bool take_host(struct text *t, struct sip_place *place)
{
	unsigned int number;
	if (!take_name(t, &place->host))
		return false;
	place->port = (struct text){t->p, t->p};
	struct text at = *t;
	sip_space(&at);
	if (!text_char(&at, ':'))
		return true;
	sip_space(&at);
	place->port.p = at.p;
	if (!text_number(&at, 65535, &number))
		return false;
	place->port.end = at.p;
	place->number = (uint16_t)number;
	*t = at;
	return true;
}

static bool is_maddr(const struct text *name, struct text value, struct sip_place *place)
{
	*place = (struct sip_place){
		.part = SIP_PART_MADDR, .host = value, .port = {value.end, value.end}};
	return text_is(name, "MADDR") && read_ip(value, &place->ip_be);
}

/* ---- Via ---- */

static bool take_protocol(struct text *t)
{
	struct text word;
	for (int i = 0; i < 3; i++) {
		sip_space(t);
		if (i && !text_char(t, '/'))
			return false;
		sip_space(t);
		if (!sip_token(t, &word))
			return false;
	}
	if (!text_left(t) || !sip_is_space(*t->p))
		return false;
	sip_space(t);
	return true;
}

/* received, which was found, and the rport beside it on either side of it, from t on. */
static bool read_received(struct text t, struct sip_place *place)
{
	struct text name, value;
	unsigned int number;
	bool received = false;
	*place = (struct sip_place){.part = SIP_PART_RECEIVED};
	while (sip_parameter(&t, &name, &value)) {
		if (text_is(&name, "RECEIVED") && !received) {
			received = read_ip(value, &place->ip_be);
			place->host = value;
		} else if (text_is(&name, "RPORT") && !place->number) {
			struct text digits = value;
			if (!text_number(&digits, 65535, &number) || text_left(&digits) || !number)
				continue;
			place->number = (uint16_t)number;
			place->port = value;
		}
	}
	if (!place->port.p)
		place->port = (struct text){place->host.end, place->host.end};
	return received;
}

static bool is_received(const struct text *name)
{
	return text_is(name, "RECEIVED") || text_is(name, "RPORT");
}

/* The next address in the parameters of a Via. */
static bool next_of_via(struct sip_scan *scan, struct sip_place *place)
{
	struct text name, value, before = scan->rest;
	for (; sip_parameter(&scan->rest, &name, &value); before = scan->rest) {
		if (scan->state == HOST && is_received(&name)) {
			scan->state = VIA_LATE;
			if (read_received(before, place))
				return true;
		}
		if (is_maddr(&name, value, place))
			return true;
	}
	return false;
}

/* Takes the comma before a further value. */
static bool take_comma(struct sip_scan *scan)
{
	sip_space(&scan->rest);
	scan->state = START;
	return text_char(&scan->rest, ',');
}

bool sip_next_via(struct sip_scan *scan, struct sip_place *place)
{
	while (scan->state != OVER) {
		if (scan->state != START) {
			if (next_of_via(scan, place))
				return true;
			if (!take_comma(scan))
				return finish(scan);
		}
		*place = (struct sip_place){.part = SIP_PART_SENT_BY, .first = !scan->seen};
		scan->seen = true;
		if (!take_protocol(&scan->rest) || !take_host(&scan->rest, place))
			return finish(scan);
		scan->state = HOST;
		if (read_ip(place->host, &place->ip_be))
			return true;
	}
	return false;
}

/* ---- addresses ---- */

/* A byte that no URI has, wherever it stands. */
static bool ends_uri(uint8_t c)
{
	return c <= ' ' || c == 127 || c == '"' || c == '<' || c == '>';
}

/* Takes the scheme and its colon. */
static bool take_scheme(struct text *t, struct text *scheme)
{
	scheme->p = t->p;
	while (text_left(t) && (is_host(*t->p) || *t->p == '+'))
		t->p++;
	scheme->end = t->p;
	return text_left(scheme) && text_char(t, ':');
}

enum uri { URI_BROKEN, URI_OTHER, URI_ADDRESS };

/* Reads a URI up to its host and port; *behind: what is left of it. */
static enum uri read_uri(struct text uri, struct sip_place *place, struct text *behind)
{
	struct text scheme;
	*place = (struct sip_place){.part = SIP_PART_HOST};
	*behind = (struct text){uri.end, uri.end};
	if (text_is(&uri, "*"))
		return URI_OTHER;
	if (!take_scheme(&uri, &scheme))
		return URI_BROKEN;
	if (!text_is(&scheme, "SIP") && !text_is(&scheme, "SIPS"))
		return URI_OTHER;
	const uint8_t *at = text_left(&uri) ? memchr(uri.p, '@', text_left(&uri)) : NULL;
	if (at)
		uri.p = at + 1;
	if (!take_host(&uri, place) || (text_left(&uri) && *uri.p != ';' && *uri.p != '?'))
		return URI_BROKEN;
	*behind = uri;
	return read_ip(place->host, &place->ip_be) ? URI_ADDRESS : URI_OTHER;
}

/* Takes the display name and < of an address; false: it has no brackets, or is broken. */
static bool take_display(struct text *t)
{
	struct text at = *t;
	if (!sip_quoted(&at))
		while (text_left(&at) && !strchr("\",;:<>", *at.p))
			at.p++;
	sip_space(&at);
	if (!text_char(&at, '<'))
		return false;
	*t = at;
	return true;
}

/* Takes the URI of the next address, up to its closing bracket if it has one. */
static bool take_uri(struct text *t, struct text *uri)
{
	const bool bracket = take_display(t);
	uri->p = t->p;
	while (text_left(t) && !ends_uri(*t->p) && (bracket || !strchr(",;?", *t->p)))
		t->p++;
	uri->end = t->p;
	if (bracket)
		return text_left(t) && *t->p == '>';
	return text_left(uri) &&
	       (!text_left(t) || sip_is_space(*t->p) || *t->p == ',' || *t->p == ';');
}

/* Takes the beginning of an address: whether its host is one that is looked for. */
static bool begin_address(struct sip_scan *scan, struct sip_place *place)
{
	struct text uri, behind;
	sip_space(&scan->rest);
	if (!take_uri(&scan->rest, &uri))
		return finish(scan);
	const enum uri is = read_uri(uri, place, &behind);
	if (is == URI_BROKEN)
		return finish(scan);
	scan->state = text_left(&scan->rest) && *scan->rest.p == '>' ? HOST : TAIL;
	scan->rest.p = behind.p;
	return is == URI_ADDRESS;
}

static bool next_maddr(struct text *t, struct sip_place *place)
{
	struct text name, value;
	while (sip_parameter(t, &name, &value))
		if (is_maddr(&name, value, place))
			return true;
	return false;
}

/* What stands behind the closing bracket, which is there. */
static struct text behind_bracket(struct text rest)
{
	rest.p = (const uint8_t *)memchr(rest.p, '>', text_left(&rest)) + 1;
	return rest;
}

/* Whether another address follows: then the scan is there. */
static bool skip_tail(struct sip_scan *scan)
{
	struct text name, value;
	while (sip_parameter(&scan->rest, &name, &value))
		;
	return take_comma(scan);
}

bool sip_next_address(struct sip_scan *scan, struct sip_place *place)
{
	while (scan->state != OVER) {
		switch (scan->state) {
		case START:
			if (begin_address(scan, place))
				return true;
			break;
		case HOST:
			if (next_maddr(&scan->rest, place))
				return true;
			scan->rest = behind_bracket(scan->rest);
			scan->state = TAIL;
			break;
		default:
			if (!skip_tail(scan))
				return finish(scan);
		}
	}
	return false;
}

bool sip_next_uri(struct sip_scan *scan, struct sip_place *place)
{
	if (scan->state == START) {
		const enum uri is = read_uri(scan->rest, place, &scan->rest);
		scan->state = is == URI_BROKEN ? OVER : HOST;
		if (is == URI_ADDRESS)
			return true;
	}
	return scan->state == HOST && next_maddr(&scan->rest, place);
}

bool sip_address_parameter(const struct sip_scan *scan, const char *upper, struct text *value)
{
	const bool bracket = scan->state == HOST;
	return sip_parameter_find(bracket ? behind_bracket(scan->rest) : scan->rest, upper, value);
}
