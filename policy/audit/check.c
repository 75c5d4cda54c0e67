/* Theory of operation: see check.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

struct check *check_add(
	struct checks *list, const struct found *f, const char *what, const char *declared)
{
	struct check *c;

	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 256;
		list->item = reallocarray(list->item, list->room, sizeof(*list->item));
		if (!list->item)
			abort();
	}
	c = &list->item[list->count++];
	*c = (struct check){.pid = f->pid, .result = CHECK_UNKNOWN};
	snprintf(c->process, sizeof(c->process), "%s", f->name);
	snprintf(c->what, sizeof(c->what), "%s", what);
	snprintf(c->declared, sizeof(c->declared), "%s", declared);
	return c;
}

void check_found(struct checks *list, struct check *c, bool as_declared, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(c->found, sizeof(c->found), format, ap);
	va_end(ap);
	c->result = as_declared ? CHECK_OK : CHECK_DRIFT;
	list->results[c->result]++;
}

static const char *needed(int error)
{
	switch (error) {
	case EACCES:
	case EPERM: return "root";
	case ESRCH:
	case ENOENT: return "the process, which ended: ask again";
	case ENOSYS:
	case EOPNOTSUPP:
	case EIO: return "a kernel that can say it";
	case EBUSY: return "a shell without a seccomp filter of its own";
	default: return "another try";
	}
}

void check_unknown(struct checks *list, struct check *c, int error)
{
	snprintf(c->found, sizeof(c->found), "%s", strerror(error));
	c->result = CHECK_UNKNOWN;
	c->needs = needed(error);
	list->results[c->result]++;
}

void check_free(struct checks *list)
{
	free(list->item);
	*list = (struct checks){0};
}
