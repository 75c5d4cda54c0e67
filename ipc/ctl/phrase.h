/* A command as words, some of them made rather than typed. Pure. */
#ifndef NATLOCK_CTL_PHRASE_H
#define NATLOCK_CTL_PHRASE_H

#include <stdbool.h>
#include <stddef.h>

enum { PHRASE_WORDS = 32, PHRASE_TEXT = 4096, PHRASE_WHY = 256 };

struct phrase { /* zeroed = empty; words point into text, so it must not be copied */
	const char *word[PHRASE_WORDS];
	size_t count;
	char text[PHRASE_TEXT];
	size_t used;
};

/* Adds a word in printf form; false when there is no room. */
bool phrase_add(struct phrase *phrase, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
