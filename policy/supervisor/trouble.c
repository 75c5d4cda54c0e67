/* Theory of operation: see trouble.h. Formatting only; nothing here decides. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "trouble.h"

int trouble(struct trouble *t, enum exit_code exit_code, const char *code, const char *fmt, ...)
{
	va_list ap;

	t->exit_code = exit_code;
	snprintf(t->code, sizeof(t->code), "%s", code);
	va_start(ap, fmt);
	vsnprintf(t->message, sizeof(t->message), fmt, ap);
	va_end(ap);
	t->cause[0] = t->fix[0] = '\0';
	return -1;
}

int trouble_cause(struct trouble *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->cause, sizeof(t->cause), fmt, ap);
	va_end(ap);
	return -1;
}

int trouble_fix(struct trouble *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->fix, sizeof(t->fix), fmt, ap);
	va_end(ap);
	return -1;
}

const char *trouble_text(const struct trouble *t, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%s%s%s", t->message, t->cause[0] ? ": " : "", t->cause);

	if (n > 0 && (size_t)n + 2 < cap && t->fix[0])
		snprintf(out + n, cap - (size_t)n, "%s%s", strchr(".!?", out[n - 1]) ? " " : ". ",
			t->fix);
	return out;
}

int trouble_say(const struct trouble *t)
{
	char line[1024];

	say("%s", trouble_text(t, line, sizeof(line)));
	return t->exit_code;
}

void say(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "natlock: %s\n", line);
}
