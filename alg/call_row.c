/* Theory of operation. Text is added for as long as there is room for the mark that more would follow. */
#include "call_row.h"

#include <stdio.h>
#include <string.h>

/* "30000", or "30000-30003" of pairs. */
static void write_ports(char *out, size_t cap, uint16_t port, const struct call_row_opening *o)
{
	const unsigned int pairs = o->pairs ? o->pairs : 1;
	if (o->kind != ALG_UDP_PAIR || !port)
		snprintf(out, cap, "%u", port);
	else
		snprintf(out, cap, "%u-%u", port, port + 2 * pairs - 1);
}

static const char *kind_of(const struct call_row_opening *o)
{
	return o->kind == ALG_TCP_LISTEN || o->kind == ALG_TCP_SERVICE ? "tcp " : "";
}

void call_row_add(struct call_row *row, const struct call_row_opening *o)
{
	char guest[16], outside[16], text[64];
	const size_t used = strlen(row->media);
	write_ports(guest, sizeof(guest), o->guest_port, o);
	write_ports(outside, sizeof(outside), o->outside_port, o);
	const int n = snprintf(text, sizeof(text), "%s%s%s>%s %s", used ? ", " : "", kind_of(o),
		guest, outside, o->armed ? "open" : "latent");
	const bool fits = used + (size_t)n + sizeof(", ...") <= CALL_ROW_MEDIA;
	if (used < 3 || strcmp(row->media + used - 3, "...") != 0)
		snprintf(row->media + used, sizeof(row->media) - used, "%s", fits ? text : ", ...");
}
