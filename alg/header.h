/*
 * Messages of HTTP's kind (RFC 2326 4 and 15.1, RFC 7826 5, RFC 3261 7): a start line, header lines,
 * an empty line, and a body of as many bytes as Content-Length says. Pure; everything points into
 * the message.
 */
#ifndef NATLOCK_ALG_HEADER_H
#define NATLOCK_ALG_HEADER_H

#include "text.h"

enum {
	HEADER_LINES = 256,	/* in one message, continuations counted */
	HEADER_BODY_DIGITS = 9, /* of a Content-Length */
};

struct header {
	struct text start; /* the first line without its end, unread */
	struct text lines; /* all others before the empty one, with their ends */
	struct text body;
};

/* value: without white space around it, but with the line breaks of one that is folded. */
struct header_line {
	struct text name, value;
};

enum header_block {
	HEADER_SHORT, /* the empty line is not there yet */
	HEADER_BAD,   /* a line is none, or there are more than HEADER_LINES */
	HEADER_WHOLE,
};

/*
 * For protocols that count bodies in their own way: the start line and the header lines of what p[0..n) begins with, but not
 * the body. *length: with the empty line, or to the end of the bad one. escapes: a NUL may stand behind a backslash.
 */
enum header_block header_read(
	const uint8_t *p, size_t n, bool escapes, struct header *h, size_t *length);
/* Header lines without a start line, up to an empty line or the end of t, which the last one may end with; false: it has others. */
bool header_lines(struct text t, bool escapes, struct text *lines);

/*
 * Length of the first message in p[0..n); 0 if its header is not there yet; more than n if its body
 * is not. What is no message is as long as what shows that: header_split refuses it.
 */
size_t header_frame(const uint8_t *p, size_t n);

/* Exactly one message, or false: lines without a name or a colon, NUL, CR without LF, more than
 * HEADER_LINES, a Content-Length that is there twice, is no number or is wrong. */
bool header_split(const uint8_t *p, size_t n, struct header *h);

/* Takes the next header line of h->lines, folded or not; false at the end. */
bool header_next(struct text *lines, struct header_line *line);

/* The value of the only line with this name (in upper case); false if there is none, or several. */
bool header_find(const struct header *h, const char *upper, struct text *value);

/* The same for a decimal number of 1..9 digits and nothing else. */
bool header_number(const struct header *h, const char *upper, uint32_t *value);
bool header_digits(struct text t, uint32_t *value);

/* Takes white space, that of folded lines too, from both ends. */
struct text header_trim(struct text t);

#endif
