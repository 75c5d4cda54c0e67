/* Theory of operation: see textout.h. The text doubles its room; after one refusal nothing more is taken. */
#include "textout.h"

#include <stdlib.h>
#include <string.h>

enum { TEXTOUT_FIRST = 4096 };

static bool make_room(struct textout *t, size_t more)
{
	size_t room = t->room ? t->room : TEXTOUT_FIRST;
	char *bigger;

	while (room - t->bytes <= more)
		room *= 2;
	if (room == t->room)
		return true;
	bigger = realloc(t->text, room);
	if (!bigger)
		return false;
	t->text = bigger;
	t->room = room;
	return true;
}

/* 0 is how the C library's streams are told of an error. */
static ssize_t textout_take(void *cookie, const char *bytes, size_t n)
{
	struct textout *t = cookie;

	t->lost = t->lost || !make_room(t, n);
	if (t->lost)
		return 0;
	memcpy(t->text + t->bytes, bytes, n);
	t->bytes += n;
	return (ssize_t)n;
}

FILE *textout_open(struct textout *t)
{
	*t = (struct textout){0};
	if (make_room(t, 0))
		t->file = fopencookie(t, "w", (cookie_io_functions_t){.write = textout_take});
	if (!t->file)
		free(t->text);
	return t->file;
}

char *textout_close(struct textout *t, size_t *bytes)
{
	if (fclose(t->file) != 0 || t->lost) {
		free(t->text);
		return NULL;
	}
	t->text[t->bytes] = '\0';
	*bytes = t->bytes;
	return t->text;
}
