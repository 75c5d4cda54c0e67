/* See scan.h. */
#include <ctype.h>
#include <string.h>

#include "scan.h"

static void scan_blanks(struct scan *s)
{
	while (*s->p == ' ' || *s->p == '\t')
		s->p++;
}

static bool scan_is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

bool scan_mark(struct scan *s, const char *mark)
{
	scan_blanks(s);
	if (strncmp(s->p, mark, strlen(mark)) != 0)
		return false;
	s->p += strlen(mark);
	return true;
}

bool scan_word(struct scan *s, const char *word)
{
	struct scan before = *s;
	if (scan_mark(s, word) && !scan_is_word(*s->p))
		return true;
	*s = before;
	return false;
}

bool scan_name(struct scan *s, char *out, unsigned int n)
{
	unsigned int i = 0;
	scan_blanks(s);
	while (scan_is_word(s->p[i]) && i + 1 < n) {
		out[i] = s->p[i];
		i++;
	}
	if (!i || scan_is_word(s->p[i]))
		return false;
	out[i] = 0;
	s->p += i;
	return true;
}

bool scan_number(struct scan *s, uint32_t *out)
{
	uint64_t value = 0;
	const char *p;
	scan_blanks(s);
	for (p = s->p; isdigit((unsigned char)*p); p++) {
		value = value * 10 + (uint64_t)(*p - '0');
		if (value > UINT32_MAX)
			return false;
	}
	if (p == s->p)
		return false;
	s->p = p;
	*out = (uint32_t)value;
	return true;
}

bool scan_span(struct scan *s, struct span *out)
{
	*out = (struct span){0};
	if (scan_mark(s, "*")) {
		out->any = true;
		return true;
	}
	if (!scan_number(s, &out->low))
		return false;
	out->high = out->low;
	return !scan_mark(s, "~") || scan_number(s, &out->high);
}

bool scan_seconds(struct scan *s, uint64_t *ns)
{
	uint32_t whole = 0;
	uint64_t unit = 1000000000;
	bool digits = scan_number(s, &whole);
	*ns = whole * unit;
	if (*s->p == '.')
		for (s->p++; isdigit((unsigned char)*s->p) && unit > 1; s->p++) {
			unit /= 10;
			*ns += (uint64_t)(*s->p - '0') * unit;
			digits = true;
		}
	return digits;
}

bool scan_end(struct scan *s)
{
	scan_blanks(s);
	return !*s->p || strncmp(s->p, "//", 2) == 0;
}
