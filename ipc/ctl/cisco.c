/* The words and columns of IOS: an outside host has one address for both sides of the NAT here, so
 * its two columns agree. */
#include <inttypes.h>
#include <string.h>

#include "cisco.h"
#include "columns.h"
#include "log.h"
#include "reflect.h"

static const char *place(const ProtobufCMessage *row, const char *field, char *out)
{
	const Nl__Address *address = rows_address(row, field);

	return address != NULL ? reflect_text_write(&address->base, out) : "---";
}

/* global, local and far: names of the row's fields, far NULL: whoever it is. */
static void print_translation(FILE *out, const ProtobufCMessage *row, const char *global,
	const char *local, const char *far)
{
	char inside[2][REFLECT_TEXT_BYTES], outside[REFLECT_TEXT_BYTES], shown[8];
	const char *proto = rows_text(row, "proto"), *peer = "---";

	if (proto == NULL || strcmp(proto, "all") == 0)
		proto = "---";
	if (far != NULL)
		peer = place(row, far, outside);
	fprintf(out, "%-4s %-21s %-21s %-21s %s\n", reflect_printable(shown, sizeof(shown), proto),
		place(row, global, inside[0]), place(row, local, inside[1]), peer, peer);
}

void cisco_translations(FILE *out, const struct rows *forwards, const struct rows *sessions)
{
	fprintf(out, "%-4s %-21s %-21s %-21s %s\n", "Pro", "Inside global", "Inside local",
		"Outside local", "Outside global");
	for (size_t i = 0; i < forwards->count; i++)
		print_translation(out, forwards->row[i], "listen", "to", NULL);
	for (size_t i = 0; i < sessions->count; i++)
		print_translation(out, sessions->row[i], "outside", "source", "destination");
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
