/* The words and columns of IOS: an outside host has one address for both sides of the NAT here, so
 * its two columns agree. */
#include <inttypes.h>
#include <string.h>

#include "cisco.h"
#include "columns.h"
#include "log.h"
#include "render.h"

void cisco_translations(FILE *out, const struct rows *sessions)
{
	static const struct column columns[] = {
		{"Pro", "proto", NULL, CELL_PLAIN, false},
		{"Inside global", "outside", NULL, CELL_PLAIN, false},
		{"Inside local", "source", NULL, CELL_PLAIN, false},
		{"Outside local", "destination", NULL, CELL_PLAIN, false},
		{"Outside global", "destination", NULL, CELL_PLAIN, false},
		{0},
	};

	render_columns(out, columns, sessions, false);
}

static uint64_t sum(const struct rows *rows, const char *field)
{
	uint64_t total = 0, number;

	for (size_t i = 0; i < rows->count; i++)
		if (rows_number(rows->row[i], field, &number))
			total += number;
	return total;
}

static uint64_t count_kind(const struct rows *forwards, const char *kind)
{
	uint64_t count = 0;

	for (size_t i = 0; i < forwards->count; i++) {
		const char *is = rows_text(forwards->row[i], "kind");

		count += is != NULL && strcmp(is, kind) == 0;
	}
	return count;
}

/* An extended translation is one with ports: sessions and published ports, not static addresses. */
void cisco_statistics(FILE *out, const struct rows *hubs, const struct rows *forwards)
{
	uint64_t sessions = sum(hubs, "tcp") + sum(hubs, "udp") + sum(hubs, "icmp");
	uint64_t addresses = count_kind(forwards, "static");
	uint64_t fixed = addresses + count_kind(forwards, "publish");

	fprintf(out,
		"Total active translations: %" PRIu64 " (%" PRIu64 " static, %" PRIu64
		" dynamic; %" PRIu64 " extended)\nInside interfaces:\n",
		sessions + fixed, fixed, sessions, sessions + fixed - addresses);
	for (size_t i = 0; i < hubs->count; i++) {
		const char *name = rows_text(hubs->row[i], "name");
		char shown[CELL_BYTES_MAX];

		name = name != NULL ? name : "-";
		fprintf(out, "  %s\n", log_escape(shown, sizeof(shown), name, strlen(name)));
	}
	fprintf(out, "TCP %" PRIu64 "  UDP %" PRIu64 "  ICMP %" PRIu64 "\n", sum(hubs, "tcp"),
		sum(hubs, "udp"), sum(hubs, "icmp"));
}
