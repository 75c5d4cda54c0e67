/*
 * Words that people know from elsewhere, accepted as typed in upper or lower case: SoftEther's
 * vpncmd and Cisco IOS. Each means one of our commands. Pure.
 */
#ifndef NATLOCK_CTL_ALIAS_H
#define NATLOCK_CTL_ALIAS_H

#include "phrase.h"
#include "verbs.h"

struct alias {
	/* A single upper-case letter stands for any word. */
	const char *words, *means;
	enum format format; /* that it implies; FORMAT_TABLE: as asked for */
};

extern const struct alias aliases[];
extern const size_t alias_count;

/*
 * Writes what the words mean into an empty phrase: our command, then what is left of them, vpncmd's
 * arguments translated. *format is set if the alias implies one. Words that are no alias stay. 0,
 * -EINVAL with `why` (PHRASE_WHY bytes), -ENOSPC.
 */
int alias_expand(struct phrase *phrase, const char *const *typed, size_t count, enum format *format,
	char *why);

#endif
