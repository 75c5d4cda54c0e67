/*
 * Theory of operation. A line is a word or three: what it is, its name, the rest. `declare` and the
 * brace of its section stand in two lines; both together are one item. Types are not checked here:
 * a value is a text, and who wants a number looks whether it is one.
 */
#include <errno.h>
#include <string.h>

#include "softether.h"

struct span {
	const char *at;
	size_t bytes;
};

void softether_init(struct softether *s, const char *text, size_t bytes)
{
	static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8, which SoftEther writes */

	*s = (struct softether){.at = text, .end = text + bytes};
	if (bytes >= 3 && memcmp(text, mark, 3) == 0)
		s->at += 3;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next line without the blanks around it; false at the end of the text. */
static bool next_line(struct softether *s, struct span *line)
{
	const char *newline;

	if (s->at == s->end)
		return false;
	newline = memchr(s->at, '\n', (size_t)(s->end - s->at));
	line->at = s->at;
	line->bytes = (size_t)((newline != NULL ? newline : s->end) - s->at);
	s->at = newline != NULL ? newline + 1 : s->end;
	s->line++;
	while (line->bytes > 0 && is_blank(line->at[line->bytes - 1]))
		line->bytes--;
	for (; line->bytes > 0 && is_blank(line->at[0]); line->bytes--)
		line->at++;
	return true;
}

/* The next line that says something. */
static bool next_words(struct softether *s, struct span *line)
{
	while (next_line(s, line))
		if (line->bytes > 0 && line->at[0] != '#')
			return true;
	return false;
}

static struct span take_word(struct span *line)
{
	struct span word = {line->at, 0};

	while (word.bytes < line->bytes && !is_blank(line->at[word.bytes]))
		word.bytes++;
	line->at += word.bytes;
	line->bytes -= word.bytes;
	for (; line->bytes > 0 && is_blank(line->at[0]); line->bytes--)
		line->at++;
	return word;
}

static bool is_word(struct span word, const char *text)
{
	return word.bytes == strlen(text) && memcmp(word.at, text, word.bytes) == 0;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Copies without the escapes; false when it does not fit. */
static bool unescape(struct span from, char *out, size_t cap)
{
	size_t used = 0, i = 0;

	while (i < from.bytes) {
		int byte = (unsigned char)from.at[i++];

		if (byte == '$' && from.bytes - i >= 2 && hex(from.at[i]) >= 0 &&
			hex(from.at[i + 1]) >= 0) {
			byte = hex(from.at[i]) << 4 | hex(from.at[i + 1]);
			i += 2;
		} else if (byte == '$') {
			continue;
		}
		if (byte == 0 || used + 1 == cap)
			break;
		out[used++] = (char)byte;
	}
	out[used] = '\0';
	return i >= from.bytes && used + 1 < cap;
}

static int fail(struct softether *s, const char *why)
{
	s->error = why;
	return -EINVAL;
}

static int open_section(struct softether *s, struct span rest, struct softether_item *item)
{
	struct span name = take_word(&rest), brace;

	item->kind = SOFTETHER_OPEN;
	item->line = s->line;
	if (name.bytes == 0 || rest.bytes > 0 || !unescape(name, item->name, sizeof(item->name)))
		return fail(s, "\"declare\" needs one name after it");
	if (s->depth == SOFTETHER_DEPTH_MAX)
		return fail(s, "too many sections inside each other");
	if (!next_words(s, &brace) || !is_word(brace, "{"))
		return fail(s, "a section must begin with {");
	item->depth = ++s->depth;
	return 1;
}

static int close_section(struct softether *s, struct softether_item *item)
{
	if (s->depth == 0)
		return fail(s, "there is no section that this } could close");
	item->kind = SOFTETHER_CLOSE;
	item->depth = s->depth--;
	return 1;
}

static int read_value(
	struct softether *s, struct span type, struct span rest, struct softether_item *item)
{
	struct span name = take_word(&rest);

	if (s->depth == 0)
		return fail(s, "a value stands outside of every section");
	if (name.bytes == 0 || type.bytes >= sizeof(item->type) ||
		!unescape(name, item->name, sizeof(item->name)))
		return fail(s, "neither a value (TYPE NAME VALUE) nor a section (declare NAME)");
	item->kind = SOFTETHER_VALUE;
	item->depth = s->depth;
	memcpy(item->type, type.at, type.bytes);
	item->cut = !unescape(rest, item->value, sizeof(item->value));
	return 1;
}

int softether_next(struct softether *s, struct softether_item *item)
{
	struct span line = {0}, word;

	*item = (struct softether_item){0};
	if (!next_words(s, &line))
		return s->depth == 0 ? 0 : fail(s, "the file ends inside a section: it is cut off");
	item->line = s->line;
	word = take_word(&line);
	if (is_word(word, "declare"))
		return open_section(s, line, item);
	if (is_word(word, "}") && line.bytes == 0)
		return close_section(s, item);
	return read_value(s, word, line, item);
}
