/*
 * Session descriptions: theory of operation.
 *
 *   description = 1*( letter "=" value line-end )           the first letter is v
 *   origin      = "o=" user SP id SP version SP "IN IP4" SP address
 *   connection  = "c=" "IN IP4" SP address [ "/" ttl [ "/" number ] ]
 *   attribute   = "a=" name [ ":" value ]
 *   line-end    = LF | CR LF          the last line may lack its own
 *
 * A line scanner, since a rewriter needs to know where an address stands and nothing of what it
 * means. Names and IPv6 addresses are nobody's inside address.
 */
#include "sdp.h"

#include <string.h>

/* Takes a line with its end; the last one may lack it. */
static struct text take_line(struct text *body)
{
	size_t n = text_line(body->p, text_left(body), 0);
	if (!n)
		n = text_left(body);
	struct text line = text_without_end(body->p, n);
	body->p += n;
	return line;
}

bool sdp_next(struct text *body, struct sdp_line *line)
{
	struct text t = {body->p, body->p};
	while (text_left(body) && !text_left(&t))
		t = take_line(body);
	if (text_left(&t) < 2 || t.p[0] < 'a' || t.p[0] > 'z' || t.p[1] != '=')
		return false;
	*line = (struct sdp_line){t.p[0], {t.p + 2, t.end}};
	return true;
}

bool sdp_valid(struct text body)
{
	struct sdp_line line;
	if (memchr(body.p, '\0', text_left(&body)) || !sdp_next(&body, &line) || line.type != 'v')
		return false;
	while (text_left(&body)) {
		const struct text rest = body;
		if (!sdp_next(&body, &line)) {
			struct text t = rest;
			while (text_left(&t) && (*t.p == '\r' || *t.p == '\n'))
				t.p++;
			return !text_left(&t);
		}
	}
	return true;
}

bool sdp_field(struct text *t, struct text *field)
{
	struct text rest = *t;
	const struct text before = text_until(&rest, ' ');
	if (!text_left(&before) || before.end == t->end)
		return false;
	*field = before;
	*t = rest;
	return true;
}

bool sdp_address(const struct sdp_line *line, struct text *span, uint32_t *ip_be)
{
	struct text t = line->value, field;
	if (line->type != 'o' && line->type != 'c')
		return false;
	for (int i = 0; i < (line->type == 'o' ? 3 : 0); i++)
		if (!sdp_field(&t, &field))
			return false;
	if (!sdp_field(&t, &field) || !text_is(&field, "IN") || !sdp_field(&t, &field) ||
		!text_is(&field, "IP4"))
		return false;
	span->p = t.p;
	if (!text_ip(&t, '.', ip_be))
		return false;
	span->end = t.p;
	return !text_left(&t) || *t.p == ' ' || (line->type == 'c' && *t.p == '/');
}

bool sdp_attribute(const struct sdp_line *line, const char *name, struct text *value)
{
	const size_t n = strlen(name);
	const struct text t = line->value;
	if (line->type != 'a' || text_left(&t) <= n || memcmp(t.p, name, n) || t.p[n] != ':')
		return false;
	*value = (struct text){t.p + n + 1, t.end};
	return true;
}

bool sdp_flag(const struct sdp_line *line, const char *name)
{
	const size_t n = strlen(name);
	struct text t = line->value;
	return line->type == 'a' && text_left(&t) == n && !memcmp(t.p, name, n);
}
