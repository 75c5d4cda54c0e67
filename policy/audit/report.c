/* Theory of operation: see report.h. Texts of others (a link's target, a process's name) may hold
 * anything, a terminal's control sequences included. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "report.h"

static const char *const result_words[] = {
	[CHECK_OK] = "ok", [CHECK_DRIFT] = "DRIFT", [CHECK_UNKNOWN] = "UNKNOWN"};
static const char *const json_words[] = {
	[CHECK_OK] = "ok", [CHECK_DRIFT] = "drift", [CHECK_UNKNOWN] = "unknown"};

static bool is_plain(char c)
{
	return c >= ' ' && c <= '~';
}

static const char *printable(const char *text, char out[CHECK_TEXT])
{
	size_t i;

	for (i = 0; i < CHECK_TEXT - 1 && text[i]; i++)
		out[i] = is_plain(text[i]) ? text[i] : '?';
	out[i] = '\0';
	return out;
}

void report_json_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if (is_plain(*text))
			fputc(*text, out);
		else
			fprintf(out, "\\u%04x", (unsigned char)*text);
	fputc('"', out);
}

struct widths {
	int process, what, declared, found;
};

/* What is longer than a column may be stands out of line. */
static void widen(int *width, const char *text)
{
	enum { COLUMN_MAX = 50 };
	int length = (int)strlen(text);

	if (length > *width)
		*width = length < COLUMN_MAX ? length : COLUMN_MAX;
}

static struct widths measure(const struct checks *list)
{
	struct widths w = {(int)strlen("PROCESS"), (int)strlen("CHECK"), (int)strlen("DECLARED"),
		(int)strlen("FOUND")};
	unsigned int i;

	for (i = 0; i < list->count; i++) {
		widen(&w.process, list->item[i].process);
		widen(&w.what, list->item[i].what);
		widen(&w.declared, list->item[i].declared);
		widen(&w.found, list->item[i].found);
	}
	return w;
}

void report_table(FILE *out, const struct checks *list)
{
	const struct widths w = measure(list);
	char process[CHECK_TEXT], found[CHECK_TEXT], pid[16];
	unsigned int i;

	fprintf(out, "%-*s  %7s  %-*s  %-*s  %-*s  %s\n", w.process, "PROCESS", "PID", w.what,
		"CHECK", w.declared, "DECLARED", w.found, "FOUND", "RESULT");
	for (i = 0; i < list->count; i++) {
		const struct check *c = &list->item[i];

		snprintf(pid, sizeof(pid), c->pid ? "%d" : "-", c->pid);
		fprintf(out, "%-*s  %7s  %-*s  %-*s  %-*s  %s", w.process,
			printable(c->process, process), pid, w.what, c->what, w.declared,
			c->declared, w.found, printable(c->found, found), result_words[c->result]);
		fprintf(out, c->needs ? " (needs %s)\n" : "\n", c->needs);
	}
}

static void json_field(FILE *out, const char *key, const char *text)
{
	fprintf(out, ",\"%s\":", key);
	report_json_string(out, text);
}

/* As natlockctl's other answers have it. */
static void json_time(FILE *out, uint64_t now_ms)
{
	const time_t seconds = (time_t)(now_ms / 1000);
	char date[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(out, "{\"schema\":\"natlock.policy.audit/1\",\"time\":\"%s.%03uZ\",\"hub\":null",
		date, (unsigned int)(now_ms % 1000));
}

void report_json(FILE *out, const struct checks *list, uint64_t now_ms, uint64_t slowest_ns)
{
	unsigned int i;

	json_time(out, now_ms);
	fputs(",\"items\":[", out);
	for (i = 0; i < list->count; i++) {
		const struct check *c = &list->item[i];

		fputs(i ? ",{" : "{", out);
		fprintf(out, c->pid ? "\"pid\":%d" : "\"pid\":null", c->pid);
		json_field(out, "process", c->process);
		json_field(out, "check", c->what);
		json_field(out, "declared", c->declared);
		json_field(out, "found", c->found);
		json_field(out, "result", json_words[c->result]);
		if (c->needs)
			json_field(out, "needs", c->needs);
		fputc('}', out);
	}
	fprintf(out,
		"],\"count\":%u,\"ok\":%u,\"drift\":%u,\"unknown\":%u,\"longest_stop_ns\":%" PRIu64
		"}\n",
		list->count, list->results[CHECK_OK], list->results[CHECK_DRIFT],
		list->results[CHECK_UNKNOWN], slowest_ns);
}

/* Nothing that a shell would take for more than a path. */
static bool is_plain_path(const char *path)
{
	return path[0] == '/' &&
	       path[strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				 "0123456789/._-")] == '\0';
}

void report_summary(FILE *err, const struct checks *list, uint64_t slowest_ns, const char *socket)
{
	bool root = false;
	unsigned int i;

	for (i = 0; i < list->count; i++)
		root |= list->item[i].needs && strcmp(list->item[i].needs, "root") == 0;
	fprintf(err, "%u checks: %u ok, %u drift, %u unknown.", list->count,
		list->results[CHECK_OK], list->results[CHECK_DRIFT], list->results[CHECK_UNKNOWN]);
	if (slowest_ns)
		fprintf(err, " No process stood still for more than %" PRIu64 " us.",
			(slowest_ns + 999) / 1000);
	fputc('\n', err);
	if (root)
		fprintf(err, "For the rest: sudo natlockctl%s%s policy audit\n",
			is_plain_path(socket) ? " --api " : "",
			is_plain_path(socket) ? socket : "");
}
