/* Failures as text and as JSON. What the supervisor relays may contain what others wrote, so both
 * are escaped. */
#include <stdarg.h>
#include <string.h>

#include "failure.h"
#include "reflect.h"

int failure(struct failure *f, enum ctl_exit exit_code, const char *code, const char *cause,
	const char *fix, const char *format, ...)
{
	va_list args;

	*f = (struct failure){.exit_code = exit_code};
	snprintf(f->code, sizeof(f->code), "%s", code);
	snprintf(f->cause, sizeof(f->cause), "%s", cause != NULL ? cause : "");
	snprintf(f->fix, sizeof(f->fix), "%s", fix != NULL ? fix : "");
	va_start(args, format);
	vsnprintf(f->message, sizeof(f->message), format, args);
	va_end(args);
	return exit_code;
}

static void print_line(FILE *out, const char *title, const char *text)
{
	char shown[512];

	if (text[0] != '\0')
		fprintf(out, "%s%s\n", title, reflect_printable(shown, sizeof(shown), text));
}

static void print_pair(FILE *out, const char *separator, const char *key, const char *text)
{
	fprintf(out, "%s\"%s\":", separator, key);
	reflect_json_string(out, text[0] != '\0' ? text : NULL);
}

void failure_print(FILE *out, const struct failure *f, bool json)
{
	if (!json) {
		print_line(out, "natlockctl: ", f->message);
		print_line(out, "  cause: ", f->cause);
		print_line(out, "  fix:   ", f->fix);
		return;
	}
	print_pair(out, "{\"error\":{", "code", f->code);
	print_pair(out, ",", "message", f->message);
	print_pair(out, ",", "cause", f->cause);
	print_pair(out, ",", "fix", f->fix);
	fputs("}}\n", out);
}
