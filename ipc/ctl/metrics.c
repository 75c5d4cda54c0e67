/*
 * Tables as Prometheus reads them (text exposition format 0.0.4): a family is its HELP and TYPE,
 * then a line for each row that has the number. The table of families says where each comes from.
 * Those of a hub are asked for hub by hub.
 */
#include <inttypes.h>
#include <string.h>

#include "ask.h"
#include "gateways.h"
#include "kinds.h"
#include "metrics.h"

enum { LABELS = 3 };

struct family {
	const char *name, *type, *help;
	Nl__Topic topic;
	const char *field;
	uint32_t divisor; /* of the field: ms to seconds; 1 else */
	struct {
		const char *label, *field; /* or a fixed value, in quotes */
	} label[LABELS];
};

/* Rows of one family stand together; those with the same name follow each other. */
static const struct family families[] = {
	{"natlock_uptime_seconds", "gauge", "Time since the start.", NL__TOPIC__STATUS, "uptime_ms",
		1000, {{"version", "version"}}},
	{"natlock_process_restarts_total", "counter", "How often a worker was started again.",
		NL__TOPIC__PROCESSES, "restarts", 1, {{"hub", "hub"}, {"process", "process"}}},
	{"natlock_process_resident_bytes", "gauge", "Memory of a process.", NL__TOPIC__PROCESSES,
		"rss_bytes", 1, {{"hub", "hub"}, {"process", "process"}}},
	{"natlock_process_cpu_seconds_total", "counter", "Processor time of a process.",
		NL__TOPIC__PROCESSES, "cpu_ms", 1000, {{"hub", "hub"}, {"process", "process"}}},
	{"natlock_process_open_fds", "gauge", "Descriptors of a process.", NL__TOPIC__PROCESSES,
		"fds", 1, {{"hub", "hub"}, {"process", "process"}}},
	{"natlock_sessions", "gauge", "Sessions through the NAT.", NL__TOPIC__HUBS, "tcp", 1,
		{{"hub", "name"}, {"proto", "\"tcp\""}}},
	{"natlock_sessions", "gauge", "", NL__TOPIC__HUBS, "udp", 1,
		{{"hub", "name"}, {"proto", "\"udp\""}}},
	{"natlock_sessions", "gauge", "", NL__TOPIC__HUBS, "icmp", 1,
		{{"hub", "name"}, {"proto", "\"icmp\""}}},
	{"natlock_dns_questions", "gauge", "Questions of guests that wait for a DNS server.",
		NL__TOPIC__HUBS, "dns", 1, {{"hub", "name"}}},
	{"natlock_ports", "gauge", "Ports of a hub.", NL__TOPIC__HUBS, "ports", 1,
		{{"hub", "name"}}},
	{"natlock_leases", "gauge", "Addresses given to guests.", NL__TOPIC__HUBS, "leases", 1,
		{{"hub", "name"}}},
	{"natlock_lease_pool", "gauge", "Addresses that can be given.", NL__TOPIC__HUBS, "pool", 1,
		{{"hub", "name"}}},
	{"natlock_port_bytes_total", "counter", "Bytes through a port of the hub.",
		NL__TOPIC__SESSIONS, "rx_bytes", 1,
		{{"hub", NULL}, {"session", "session"}, {"direction", "\"rx\""}}},
	{"natlock_port_bytes_total", "counter", "", NL__TOPIC__SESSIONS, "tx_bytes", 1,
		{{"hub", NULL}, {"session", "session"}, {"direction", "\"tx\""}}},
	{"natlock_port_frames_total", "counter", "Frames through a port of the hub.",
		NL__TOPIC__SESSIONS, "rx_frames", 1,
		{{"hub", NULL}, {"session", "session"}, {"direction", "\"rx\""}}},
	{"natlock_port_frames_total", "counter", "", NL__TOPIC__SESSIONS, "tx_frames", 1,
		{{"hub", NULL}, {"session", "session"}, {"direction", "\"tx\""}}},
	{"natlock_port_dropped_total", "counter", "Frames lost at a port of the hub.",
		NL__TOPIC__SESSIONS, "dropped", 1, {{"hub", NULL}, {"session", "session"}}},
	{"natlock_drops_total", "counter", "Input that was dropped, by reason.", NL__TOPIC__DROPS,
		"count", 1, {{"hub", NULL}, {"process", "process"}, {"reason", "reason"}}},
	{"natlock_alg_flows", "gauge", "Flows under inspection by an application-level gateway.",
		NL__TOPIC__ALG_STATS, "open", 1, {{"hub", NULL}, {"alg", "alg"}}},
	{"natlock_alg_flows_total", "counter", "Flows that came under inspection.",
		NL__TOPIC__ALG_STATS, "flows", 1, {{"hub", NULL}, {"alg", "alg"}}},
	{"natlock_alg_messages_total", "counter", "Messages read.", NL__TOPIC__ALG_STATS,
		"messages", 1, {{"hub", NULL}, {"alg", "alg"}}},
	{"natlock_alg_bytes_total", "counter", "Bytes read.", NL__TOPIC__ALG_STATS, "bytes", 1,
		{{"hub", NULL}, {"alg", "alg"}}},
	{"natlock_alg_edits_total", "counter", "Places changed in messages.", NL__TOPIC__ALG_STATS,
		"edits", 1, {{"hub", NULL}, {"alg", "alg"}}},
	{"natlock_alg_violations_total", "counter", "Messages that were not the protocol's.",
		NL__TOPIC__ALG_STATS, "violations", 1, {{"hub", NULL}, {"alg", "alg"}}},
	{"natlock_alg_gave_up_total", "counter", "Flows not inspected any more for other reasons.",
		NL__TOPIC__ALG_STATS, "gave_up", 1, {{"hub", NULL}, {"alg", "alg"}}},
	{"natlock_alg_left_alone_total", "counter",
		"Messages of which a part was left as it was, although it may hold an address.",
		NL__TOPIC__ALG_STATS, "left_alone", 1, {{"hub", NULL}, {"alg", "alg"}}},
	{"natlock_alg_wishes_total", "counter",
		"Pinholes that were wished for, by what became of them.", NL__TOPIC__ALG_STATS,
		"granted", 1, {{"hub", NULL}, {"alg", "alg"}, {"result", "\"granted\""}}},
	{"natlock_alg_wishes_total", "counter", "", NL__TOPIC__ALG_STATS, "refused", 1,
		{{"hub", NULL}, {"alg", "alg"}, {"result", "\"refused\""}}},
	{"natlock_alg_wishes_total", "counter", "", NL__TOPIC__ALG_STATS, "used", 1,
		{{"hub", NULL}, {"alg", "alg"}, {"result", "\"used\""}}},
	{"natlock_alg_wishes_total", "counter", "", NL__TOPIC__ALG_STATS, "expired", 1,
		{{"hub", NULL}, {"alg", "alg"}, {"result", "\"expired\""}}},
};
enum { FAMILIES = sizeof(families) / sizeof(families[0]) };

/* A label's value with its quotes. Rows are hostile: what is not printable becomes '?'. */
static void print_value(FILE *out, const char *text)
{
	fputc('"', out);
	for (size_t i = 0; i < 128 && text[i] != '\0'; i++) {
		if (text[i] == '"' || text[i] == '\\')
			fputc('\\', out);
		fputc(text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?', out);
	}
	fputc('"', out);
}

static void print_label(FILE *out, const char *field, const ProtobufCMessage *row, const char *hub)
{
	const char *text = field != NULL ? rows_text(row, field) : hub;
	uint64_t number;

	if (field != NULL && field[0] == '"')
		fputs(field, out);
	else if (text != NULL)
		print_value(out, text);
	else if (field != NULL && rows_number(row, field, &number))
		fprintf(out, "\"%" PRIu64 "\"", number);
	else
		fputs("\"\"", out);
}

static void print_sample(
	FILE *out, const struct family *family, const ProtobufCMessage *row, const char *hub)
{
	uint64_t number;

	if (!rows_number(row, family->field, &number))
		return;
	fputs(family->name, out);
	for (int i = 0; i < LABELS && family->label[i].label != NULL; i++) {
		fprintf(out, "%s%s=", i > 0 ? "," : "{", family->label[i].label);
		print_label(out, family->label[i].field, row, hub);
	}
	if (family->divisor > 1)
		fprintf(out, "} %" PRIu64 ".%03" PRIu64 "\n", number / family->divisor,
			number % family->divisor);
	else
		fprintf(out, "} %" PRIu64 "\n", number);
}

void metrics_print(FILE *out, const struct metrics_table *tables, size_t count)
{
	for (size_t f = 0; f < FAMILIES; f++) {
		if (f == 0 || strcmp(families[f].name, families[f - 1].name) != 0)
			fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", families[f].name,
				families[f].help, families[f].name, families[f].type);
		for (size_t t = 0; t < count; t++)
			for (size_t i = 0;
				tables[t].topic == families[f].topic && i < tables[t].rows.count;
				i++)
				print_sample(
					out, &families[f], tables[t].rows.row[i], tables[t].hub);
	}
}

static int add_table(struct ctl *ctl, Nl__Topic topic, const char *hub,
	struct metrics_table *tables, size_t *count, struct failure *f)
{
	struct metrics_table *table = &tables[(*count)++];

	table->topic = topic;
	table->hub = hub;
	return ask_table(ctl, topic, hub, &table->rows, f);
}

int metrics_run(struct ctl *ctl, struct failure *f)
{
	static struct metrics_table tables[METRICS_TABLES];
	size_t count = 0, hubs;
	int code = add_table(ctl, NL__TOPIC__STATUS, NULL, tables, &count, f);

	if (code == CTL_OK)
		code = add_table(ctl, NL__TOPIC__PROCESSES, NULL, tables, &count, f);
	if (code == CTL_OK)
		code = add_table(ctl, NL__TOPIC__HUBS, NULL, tables, &count, f);
	hubs = code == CTL_OK ? tables[count - 1].rows.count : 0;
	for (size_t i = 0; i < hubs && i < METRICS_HUBS && code == CTL_OK; i++) {
		const char *hub = rows_text(tables[2].rows.row[i], "name");

		code = add_table(ctl, NL__TOPIC__SESSIONS, hub, tables, &count, f);
		if (code == CTL_OK)
			code = add_table(ctl, NL__TOPIC__DROPS, hub, tables, &count, f);
		if (code == CTL_OK)
			code = add_table(ctl, NL__TOPIC__ALG_STATS, hub, tables, &count, f);
		if (code == CTL_OK)
			gateways_merge(&tables[count - 1].rows);
	}
	if (code == CTL_OK)
		metrics_print(ctl->out, tables, count);
	while (count > 0)
		rows_free(&tables[--count].rows);
	return code;
}
