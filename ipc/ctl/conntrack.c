/*
 * tcp 6 RUNNING src=G dst=S sport= dport= bytes= src=S dst=O sport= dport= bytes= idle= id=
 *
 * The first tuple is what the guest sends, the second what comes back to our outside address, as in
 * conntrack. Where conntrack has the seconds that are left, we have those since the last use, under
 * a name of their own: a session's end depends on more than one timer.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "columns.h"
#include "conntrack.h"
#include "log.h"

static unsigned int number_of(const char *proto)
{
	static const struct {
		const char *name;
		unsigned int number;
	} protocols[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"icmp", IPPROTO_ICMP}};

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (strcmp(proto, protocols[i].name) == 0)
			return protocols[i].number;
	return 0;
}

static const char *shown(const char *text, char out[CELL_BYTES_MAX])
{
	return text != NULL && text[0] != '\0' ? log_escape(out, CELL_NARROW, text, strlen(text))
					       : "-";
}

static void print_tuple(
	FILE *out, const Nl__Address *from, const Nl__Address *to, bool is_icmp, uint64_t bytes)
{
	char source[INET_ADDRSTRLEN], destination[INET_ADDRSTRLEN];

	log_ip(source, from != NULL ? from->ip_be : 0);
	log_ip(destination, to != NULL ? to->ip_be : 0);
	fprintf(out, " src=%s dst=%s", source, destination);
	if (!is_icmp)
		fprintf(out, " sport=%" PRIu32 " dport=%" PRIu32, from != NULL ? from->port : 0,
			to != NULL ? to->port : 0);
	fprintf(out, " bytes=%" PRIu64, bytes);
}

static void print_session(FILE *out, const Nl__NatRow *row)
{
	char proto[CELL_BYTES_MAX], state[CELL_BYTES_MAX];
	const char *name = shown(row->proto, proto);
	bool is_icmp = strcmp(name, "icmp") == 0;

	fprintf(out, "%-8s %u", name, number_of(name));
	if (!is_icmp)
		fprintf(out, " %s", shown(row->state, state));
	print_tuple(out, row->source, row->destination, is_icmp, row->tx_bytes);
	print_tuple(out, row->destination, row->outside, is_icmp, row->rx_bytes);
	fprintf(out, " idle=%" PRIu64 " id=%" PRIu32 "\n", row->idle_ms / 1000, row->id);
}

void conntrack_print(FILE *out, const struct rows *sessions)
{
	for (size_t i = 0; i < sessions->count; i++)
		print_session(out, (const Nl__NatRow *)sessions->row[i]);
}
