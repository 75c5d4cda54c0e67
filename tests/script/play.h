/*
 * Plays a script against a stack of its own.
 */
#ifndef NATLOCK_TESTS_SCRIPT_PLAY_H
#define NATLOCK_TESTS_SCRIPT_PLAY_H

#include <stdbool.h>

#include "script.h"

/* True when all went as the script says. Else stderr has file, line, what was expected and what came. */
bool play_script(const struct script *script);

#endif
