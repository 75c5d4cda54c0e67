/* Looking a compiled policy up by the name of its process. */
#include "filters.h"

#include <stddef.h>
#include <string.h>

const struct policy_filter *policy_filter_find(const char *name)
{
	for (const struct policy_filter *f = policy_filters; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}
