/*
 * The edits of one message: an answer wants them ascending, a protocol finds them in the order of
 * what it looks for (the length of a body stands before the body). So each is put in its place.
 */
#include "splice.h"

/* The place of a new edit; NULL: no room. */
static struct alg_edit *add(struct splice *s, struct text span)
{
	struct alg_answer *a = s->answer;
	const uint32_t at = (uint32_t)(span.p - s->message);
	if (!alg_edit_add(a, at, text_left(&span))) {
		s->full = true;
		return NULL;
	}
	struct alg_edit *e = &a->edit[a->edit_count - 1];
	for (; e > a->edit && e[-1].at > at; e--)
		*e = e[-1];
	*e = (struct alg_edit){.at = at, .old_bytes = (uint32_t)text_left(&span)};
	s->growth -= (int32_t)e->old_bytes;
	return e;
}

void splice_number(struct splice *s, struct text span, uint32_t value)
{
	struct alg_edit *e = add(s, span);
	if (!e)
		return;
	text_put_number(e->text, &e->bytes, value);
	s->growth += (int32_t)e->bytes;
}

void splice_address(struct splice *s, struct text span, uint32_t ip_be, uint16_t port)
{
	struct alg_edit *e = add(s, span);
	if (!e)
		return;
	text_put_ip(e->text, &e->bytes, '.', ip_be);
	if (port) {
		text_put_char(e->text, &e->bytes, ':');
		text_put_number(e->text, &e->bytes, port);
	}
	s->growth += (int32_t)e->bytes;
}

bool splice_end(struct splice *s)
{
	if (s->full)
		s->answer->edit_count = 0;
	return !s->full;
}
