/*
 * `policy export`: parses the policies that this build was made of, once more, and writes them.
 *
 *     json     {"schema":"natlock.policy.export/1","items":[...]}
 *     systemd  one drop-in after the other
 *     oci      one profile; several are an object by name
 */
#include <stdbool.h>
#include <string.h>

#include "declared.h"
#include "export.h"
#include "export_command.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const struct policy_filter *filter_of(const char *name)
{
	const struct policy_filter *f = policy_filters;

	while (f->name && strcmp(f->name, name) != 0)
		f++;
	return f->name ? f : NULL;
}

static void write_one(
	FILE *out, const char *format, const struct policy *policy, bool first, bool all)
{
	if (strcmp(format, "systemd") == 0) {
		fputs(first ? "" : "\n", out);
		export_systemd(out, policy);
		return;
	}
	fputs(first ? "" : ",\n", out);
	if (strcmp(format, "json") == 0) {
		export_json(out, policy, filter_of(policy->actor));
		return;
	}
	if (all)
		fprintf(out, "\"%s\": ", policy->actor);
	export_oci(out, policy);
}

int export_command(FILE *out, const char *format, const char *process)
{
	static struct policy policy; /* too large for a stack */
	bool json = strcmp(format, "json") == 0, oci = strcmp(format, "oci") == 0 && !process;
	struct policy_error error;
	unsigned int written = 0;

	if (process && !filter_of(process)) {
		fprintf(stderr, "natlockctl: no policy of \"%s\"\n  fix:   It is one of", process);
		for (const struct policy_filter *f = policy_filters; f->name; f++)
			fprintf(stderr, " %s", f->name);
		fputc('\n', stderr);
		return EXIT_USAGE;
	}
	fputs(json ? "{\"schema\":\"natlock.policy.export/1\",\"items\":[" : oci ? "{" : "", out);
	for (const struct declared_text *t = declared_texts; t->name; t++) {
		if (process && strcmp(t->name, process) != 0)
			continue;
		if (policy_parse(t->text, &policy, &error) < 0)
			return EXIT_FAILED; /* the build would have stopped */
		write_one(out, format, &policy, written++ == 0, !process);
	}
	if (json)
		fprintf(out, "],\"count\":%u}\n", written);
	else
		fputs(oci ? "}\n" : "", out);
	return EXIT_OK;
}
