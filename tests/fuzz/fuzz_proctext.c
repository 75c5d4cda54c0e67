/* Any bytes as the texts of /proc/PID, in which names may be a hostile process's choice: bounded, and whatever comes out of them is printed
 * as plain ASCII. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proctext.h"
#include "report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plain(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if ((text[i] < ' ' && text[i] != '\n') || text[i] > '~')
			abort();
}

static void print(const char *what)
{
	const struct found f = {.pid = 1, .name = "fuzz"};
	struct checks list = {0};
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	check_found(&list, check_add(&list, &f, "name", "any"), true, "%s", what);
	report_table(out, &list);
	report_json(out, &list, 0, 0);
	fclose(out);
	check_plain(text, bytes);
	free(text);
	check_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct found f;
	char *text = malloc(size + 1);
	struct found_mapping m;

	memcpy(text, data, size);
	text[size] = '\0';
	if (proctext_status(text, &f.status) == 0)
		print(f.status.name);
	proctext_ids(text, &f.uid_map);
	if (f.uid_map.lines > FOUND_ID_LINES)
		abort();
	proctext_limits(text, f.limit);
	proctext_mounts(text, &f.root);
	print(f.root.type);
	proctext_environment(text);
	if (proctext_mapping(text, "/usr/libexec/natlock/natlock-alg", &m))
		print(m.text);
	free(text);
	return 0;
}
