/*
 * Messages of HTTP's kind: theory of operation.
 *
 *   message   = start-line *( name *WS ":" value line-end *( WS more line-end ) ) line-end body
 *   line-end  = LF | CR LF
 *   name      = 1*( any printable character but separators )
 *   body      = as many bytes as Content-Length says; none without it
 *
 * Two readers that see different messages in the same bytes are what smuggling lives on, so
 * whatever they could disagree about is no message at all: two lengths, a CR that ends no line, a
 * NUL, a line that is no header. What the start line says is the protocol's business.
 */
#include "header.h"

#include <string.h>

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* RFC 2326 15.1: token */
static bool is_token(uint8_t c)
{
	return c > ' ' && c < 127 && !strchr("()<>@,;:\\\"/[]?={}", c);
}

struct text header_trim(struct text t)
{
	while (text_left(&t) && (is_space(*t.p) || *t.p == '\r' || *t.p == '\n'))
		t.p++;
	while (text_left(&t) && (is_space(t.end[-1]) || t.end[-1] == '\r' || t.end[-1] == '\n'))
		t.end--;
	return t;
}

/* The name and the colon behind it. */
static bool take_name(struct text *t, struct text *name)
{
	name->p = t->p;
	while (text_left(t) && is_token(*t->p))
		t->p++;
	name->end = t->p;
	while (text_left(t) && is_space(*t->p))
		t->p++;
	return text_left(name) && text_char(t, ':');
}

static bool good_bytes(struct text t, bool escapes)
{
	if (memchr(t.p, '\r', text_left(&t)))
		return false;
	for (const uint8_t *p = t.p; (p = memchr(p, '\0', (size_t)(t.end - p))); p++)
		if (!escapes || p == t.p || p[-1] != '\\')
			return false;
	return true;
}

/* A header line or the continuation of one; `first`: there is nothing to be continued. */
static bool good_line(struct text t, bool escapes, bool first)
{
	struct text name;
	if (!good_bytes(t, escapes))
		return false;
	return is_space(*t.p) ? !first : take_name(&t, &name);
}

enum header_block header_read(
	const uint8_t *p, size_t n, bool escapes, struct header *h, size_t *length)
{
	size_t at = text_line(p, n, 0), first = at;
	h->start = text_without_end(p, at);
	*length = at;
	if (!at)
		return HEADER_SHORT;
	for (unsigned int i = 0; i <= HEADER_LINES; i++) {
		size_t line = text_line(p + at, n - at, 0);
		if (!line)
			return HEADER_SHORT;
		*length = at + line;
		h->lines = text(p + first, at - first);
		if (p[at] == '\n' || (p[at] == '\r' && line == 2))
			return HEADER_WHOLE;
		if (!good_line(text_without_end(p + at, line), escapes, at == first))
			return HEADER_BAD;
		at += line;
	}
	return HEADER_BAD;
}

/* Length of the first line with its end, which the last one may lack. */
static size_t line_length(const struct text *t)
{
	const size_t n = text_line(t->p, text_left(t), 0);
	return n ? n : text_left(t);
}

bool header_lines(struct text t, bool escapes, struct text *lines)
{
	*lines = (struct text){t.p, t.p};
	for (unsigned int i = 0; text_left(&t); i++) {
		const struct text line = text_without_end(t.p, line_length(&t));
		if (!text_left(&line))
			return true;
		if (i == HEADER_LINES || !good_line(line, escapes, !i))
			return false;
		t.p += line_length(&t);
		lines->end = t.p;
	}
	return true;
}

bool header_digits(struct text t, uint32_t *value)
{
	const uint8_t *p = t.p;
	*value = 0;
	for (; p < t.end && text_is_digit(*p) && p - t.p < HEADER_BODY_DIGITS; p++)
		*value = *value * 10 + (uint32_t)(*p - '0');
	return p == t.end && p > t.p;
}

/* false: it is there, but not once and a number. */
static bool body_length(const struct header *h, uint32_t *bytes)
{
	struct text lines = h->lines;
	struct header_line line;
	bool found = false;
	*bytes = 0;
	while (header_next(&lines, &line)) {
		if (!text_is(&line.name, "CONTENT-LENGTH"))
			continue;
		if (found || !header_digits(line.value, bytes))
			return false;
		found = true;
	}
	return true;
}

size_t header_frame(const uint8_t *p, size_t n)
{
	struct header h;
	size_t length;
	uint32_t body;
	enum header_block block = header_read(p, n, false, &h, &length);
	if (block == HEADER_SHORT)
		return 0;
	return block == HEADER_WHOLE && body_length(&h, &body) ? length + body : length;
}

bool header_split(const uint8_t *p, size_t n, struct header *h)
{
	size_t length;
	uint32_t body;
	if (header_read(p, n, false, h, &length) != HEADER_WHOLE || !body_length(h, &body) ||
		n - length != body)
		return false;
	h->body = text(p + length, body);
	return true;
}

bool header_next(struct text *lines, struct header_line *line)
{
	struct text t = *lines;
	if (!text_left(&t) || !take_name(&t, &line->name))
		return false;
	line->value.p = t.p;
	do {
		t.p += line_length(&t);
	} while (text_left(&t) && is_space(*t.p));
	line->value.end = t.p;
	line->value = header_trim(line->value);
	*lines = t;
	return true;
}

bool header_find(const struct header *h, const char *upper, struct text *value)
{
	struct text lines = h->lines;
	struct header_line line;
	unsigned int found = 0;
	while (header_next(&lines, &line)) {
		if (!text_is(&line.name, upper))
			continue;
		*value = line.value;
		found++;
	}
	return found == 1;
}

bool header_number(const struct header *h, const char *upper, uint32_t *value)
{
	struct text found;
	return header_find(h, upper, &found) && header_digits(found, value);
}
