/*
 * The words of SIP's grammar: theory of operation.
 *
 *   token     = 1*( letter | digit | - . ! % * _ + ` ' ~ )
 *   quoted    = DQUOTE *( any byte but DQUOTE and \ | "\" any byte ) DQUOTE
 *   parameter = *WS ";" *WS name [ *WS "=" *WS ( quoted | word ) ]
 *   name      = 1*( any byte but WS controls " < > , ; ? = )
 *   word      = 1*( any byte but WS controls " < > , ; ? )
 *
 * Names and words are wider than RFC 3261's, which has other sets for URIs, header fields and
 * hosts: whoever looks for a parameter by name does not care what else there is, as long as it is
 * sure where it ends.
 */
#include "sip_text.h"

#include <string.h>

bool sip_is_token(uint8_t c)
{
	return text_is_digit(c) || text_is_letter(c) || (c && strchr("-.!%*_+`'~", c));
}

bool sip_is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void sip_space(struct text *t)
{
	while (text_left(t) && sip_is_space(*t->p))
		t->p++;
}

bool sip_token(struct text *t, struct text *token)
{
	token->p = t->p;
	while (text_left(t) && sip_is_token(*t->p))
		t->p++;
	token->end = t->p;
	return text_left(token);
}

bool sip_quoted(struct text *t)
{
	struct text at = *t;
	if (!text_char(&at, '"'))
		return false;
	while (text_left(&at) && *at.p != '"')
		at.p += *at.p == '\\' && text_left(&at) > 1 ? 2 : 1;
	if (!text_char(&at, '"'))
		return false;
	*t = at;
	return true;
}

static bool is_word(uint8_t c)
{
	return c > ' ' && c != 127 && !strchr("\"<>,;?", c);
}

static bool take_word(struct text *t, bool name, struct text *word)
{
	word->p = t->p;
	while (text_left(t) && is_word(*t->p) && !(name && *t->p == '='))
		t->p++;
	word->end = t->p;
	return text_left(word);
}

static bool take_value(struct text *t, struct text *value)
{
	value->p = t->p;
	if (!sip_quoted(t))
		return take_word(t, false, value);
	value->end = t->p;
	return true;
}

bool sip_parameter(struct text *t, struct text *name, struct text *value)
{
	struct text at = *t;
	sip_space(&at);
	if (!text_char(&at, ';'))
		return false;
	sip_space(&at);
	if (!take_word(&at, true, name))
		return false;
	*value = (struct text){at.p, at.p};
	struct text behind = at;
	sip_space(&behind);
	if (text_char(&behind, '=')) {
		sip_space(&behind);
		if (!take_value(&behind, value))
			return false;
		at = behind;
	}
	*t = at;
	return true;
}

bool sip_parameter_find(struct text t, const char *upper, struct text *value)
{
	struct text name, found;
	unsigned int count = 0;
	while (sip_parameter(&t, &name, &found)) {
		if (!text_is(&name, upper))
			continue;
		*value = found;
		count++;
	}
	return count == 1;
}

bool sip_number(struct text t, uint32_t *value)
{
	uint64_t v = 0;
	const uint8_t *p = t.p;
	for (; p < t.end && text_is_digit(*p) && v < UINT32_MAX; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	if (p == t.p || p < t.end || v >= UINT32_MAX)
		return false;
	*value = (uint32_t)v;
	return true;
}
