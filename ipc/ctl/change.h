/*
 * Words as changes of a hub's configuration (ipc/operator.proto, Change): keys are checked against
 * config.proto and told with a suggestion, values become YAML (quote.h); whether a value is allowed
 * is the supervisor's to say. Pure but for the heap that reflect uses.
 */
#ifndef NATLOCK_CTL_CHANGE_H
#define NATLOCK_CTL_CHANGE_H

#include "operator.pb-c.h"
#include "quote.h"

enum { CHANGES_MAX = 32, CHANGE_TEXT_BYTES = 16384, CHANGE_PATH = 96, CHANGE_WHY = 320 };

struct change_list { /* zeroed = empty; points into itself, so it must not be copied */
	Nl__Change change[CHANGES_MAX], *pointer[CHANGES_MAX];
	size_t count;
	char text[CHANGE_TEXT_BYTES];
	size_t used;
};

/*
 * All of these: 0, or -EINVAL with `why` (CHANGE_WHY bytes, printable as far as we wrote it); the
 * list may then hold a part and is not to be sent.
 */

/* One "KEY=VALUE", KEY below section ("nat", or "" for the hub). A list takes "a,b", [a, b], none. */
int change_set(struct change_list *list, const char *section, const char *word, char *why);
/* One switch: path is "nat.enable". */
int change_switch(struct change_list *list, const char *path, const char *value, char *why);
/* The switch "enable" of the section `name` below "alg". */
int change_alg(struct change_list *list, const char *name, const char *value, char *why);
/*
 * Puts an element into one of the lists nat.publish (PROTO LISTEN TO), nat.static (INSIDE OUTSIDE),
 * dhcp.reservations (MAC ADDRESS [NAME]); LISTEN may be a port alone, then of 127.0.0.1. vrf: NULL,
 * or as which device. "vrf NAME" may also stand behind the words.
 */
int change_add(struct change_list *list, const char *path, const char *const *words, size_t count,
	const char *vrf, char *why);
/* Takes out the elements that have what is named; each word is the first thing it can be. */
int change_remove(struct change_list *list, const char *path, const char *const *words,
	size_t count, const char *vrf, char *why);

#endif
