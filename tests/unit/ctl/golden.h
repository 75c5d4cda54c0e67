/* Configuration texts and the error each must give, or "" when it must be accepted. */
#ifndef NATLOCK_TESTS_CTL_GOLDEN_H
#define NATLOCK_TESTS_CTL_GOLDEN_H

#include "support.h"

/* Wraps a section of the default hub, so that its first key stands at line 3, column 5. */
#define HUB(SECTION) "hubs:\n  default:\n    " SECTION "\n"

struct golden {
	const char *text, *says;
};

static inline void check(const struct golden *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		cr_expect_str_eq(conf_says(cases[i].text, strlen(cases[i].text)), cases[i].says,
			"%s", cases[i].text);
}
#define CHECK(CASES) check(CASES, sizeof(CASES) / sizeof((CASES)[0]))

#endif
