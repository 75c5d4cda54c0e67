/* Reading and writing the text of line-based protocols: a cursor over bytes, numbers, IPv4
 * addresses. Pure. */
#ifndef NATLOCK_ALG_TEXT_H
#define NATLOCK_ALG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	const uint8_t *p, *end;
};

static inline struct text text(const void *p, size_t n)
{
	return (struct text){(const uint8_t *)p, (const uint8_t *)p + n};
}
static inline size_t text_left(const struct text *t)
{
	return (size_t)(t->end - t->p);
}

static inline bool text_is_letter(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}
static inline bool text_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Length of the first line with its LF, 0 if there is none yet. The first `seen` bytes hold no LF.
 */
size_t text_line(const uint8_t *p, size_t n, size_t seen);
/* The same bytes without the final LF or CR LF. */
struct text text_without_end(const uint8_t *p, size_t n);

/* Takes what stands before the next c, and c; all there is where there is none. */
struct text text_until(struct text *t, uint8_t c);

/* Each of these takes what it reads from *t; on false *t is where it was. */
bool text_char(struct text *t, uint8_t c);
/* Any number of spaces, one at least. */
bool text_spaces(struct text *t);
/* Letters and digits, starting with a letter, at most max of them and then something else or the
 * end. */
bool text_word(struct text *t, size_t max, struct text *word);
/* A decimal number of 1..5 digits, at most max. */
bool text_number(struct text *t, unsigned int max, unsigned int *value);
/* Four numbers 0..255 with a separator between; network byte order. */
bool text_ip(struct text *t, uint8_t separator, uint32_t *ip_be);

/* Equal without regard to case; upper is in upper case. */
bool text_is(const struct text *t, const char *upper);

/* Appends to out at *n; the caller sees to the room: 15 bytes for an address, 5 for a number up to
 * 65535. */
void text_put_char(uint8_t *out, uint32_t *n, uint8_t c);
void text_put_number(uint8_t *out, uint32_t *n, unsigned int value);
void text_put_ip(uint8_t *out, uint32_t *n, uint8_t separator, uint32_t ip_be);

#endif
