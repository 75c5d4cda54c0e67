/* Words kept one behind the other in one text. */
#include <stdarg.h>
#include <stdio.h>

#include "phrase.h"

bool phrase_add(struct phrase *phrase, const char *format, ...)
{
	size_t room = sizeof(phrase->text) - phrase->used;
	char *word = phrase->text + phrase->used;
	va_list args;
	int length;

	if (phrase->count == PHRASE_WORDS)
		return false;
	va_start(args, format);
	length = vsnprintf(word, room, format, args);
	va_end(args);
	if (length < 0 || (size_t)length >= room)
		return false;
	phrase->word[phrase->count++] = word;
	phrase->used += (size_t)length + 1;
	return true;
}
