/*
 * Reading and writing the text of line-based protocols. Readers take a bite or leave the cursor
 * alone, so that a parser is a chain of && that is right or not; nothing is ever copied.
 */
#include "text.h"

#include <string.h>

size_t text_line(const uint8_t *p, size_t n, size_t seen)
{
	const uint8_t *end = seen < n ? memchr(p + seen, '\n', n - seen) : NULL;
	return end ? (size_t)(end - p) + 1 : 0;
}

struct text text_without_end(const uint8_t *p, size_t n)
{
	if (n && p[n - 1] == '\n')
		n--;
	if (n && p[n - 1] == '\r')
		n--;
	return text(p, n);
}

struct text text_until(struct text *t, uint8_t c)
{
	const uint8_t *at = text_left(t) ? memchr(t->p, c, text_left(t)) : NULL;
	const struct text before = {t->p, at ? at : t->end};
	t->p = at ? at + 1 : t->end;
	return before;
}

bool text_char(struct text *t, uint8_t c)
{
	if (!text_left(t) || *t->p != c)
		return false;
	t->p++;
	return true;
}

bool text_spaces(struct text *t)
{
	bool any = false;
	while (text_char(t, ' '))
		any = true;
	return any;
}

bool text_word(struct text *t, size_t max, struct text *word)
{
	const uint8_t *p = t->p;
	while (p < t->end && (text_is_letter(*p) || text_is_digit(*p)))
		p++;
	if (p == t->p || !text_is_letter(*t->p) || (size_t)(p - t->p) > max)
		return false;
	*word = (struct text){t->p, p};
	t->p = p;
	return true;
}

bool text_number(struct text *t, unsigned int max, unsigned int *value)
{
	unsigned int v = 0;
	const uint8_t *p = t->p;
	while (p < t->end && text_is_digit(*p) && p - t->p < 6)
		v = v * 10 + (unsigned int)(*p++ - '0');
	if (p == t->p || p - t->p > 5 || v > max)
		return false;
	*value = v;
	t->p = p;
	return true;
}

bool text_ip(struct text *t, uint8_t separator, uint32_t *ip_be)
{
	struct text at = *t;
	uint8_t octets[4];
	for (size_t i = 0; i < sizeof(octets); i++) {
		unsigned int v;
		if ((i && !text_char(&at, separator)) || !text_number(&at, 255, &v))
			return false;
		octets[i] = (uint8_t)v;
	}
	memcpy(ip_be, octets, sizeof(octets));
	*t = at;
	return true;
}

bool text_is(const struct text *t, const char *upper)
{
	size_t n = strlen(upper);
	if (n != text_left(t))
		return false;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = t->p[i];
		if (c >= 'a' && c <= 'z')
			c = (uint8_t)(c - 'a' + 'A');
		if (c != (uint8_t)upper[i])
			return false;
	}
	return true;
}

void text_put_char(uint8_t *out, uint32_t *n, uint8_t c)
{
	out[(*n)++] = c;
}

void text_put_number(uint8_t *out, uint32_t *n, unsigned int value)
{
	if (value >= 10)
		text_put_number(out, n, value / 10);
	text_put_char(out, n, (uint8_t)('0' + value % 10));
}

void text_put_ip(uint8_t *out, uint32_t *n, uint8_t separator, uint32_t ip_be)
{
	uint8_t octets[4];
	memcpy(octets, &ip_be, sizeof(octets));
	for (size_t i = 0; i < sizeof(octets); i++) {
		if (i)
			text_put_char(out, n, separator);
		text_put_number(out, n, octets[i]);
	}
}
