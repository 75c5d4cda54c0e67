/*
 * Cells. Everything a row holds may have been chosen by a guest (host names above all), so no byte
 * reaches the terminal but printable ASCII: text goes through log_escape, numbers and addresses are
 * printed by us.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "columns.h"
#include "log.h"
#include "reflect.h"

static const struct column process_columns[] = {
	{"PROCESS", "process", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"HUB", "hub", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"PID", "pid", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"USER", "user", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"SECCOMP", "seccomp", "syscalls", CELL_CALLS, COLUMN_ALWAYS},
	{"LANDLOCK", "landlock", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"CAPS", "caps", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"FDS", "fds", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"RSS", "rss_bytes", NULL, CELL_BYTES, COLUMN_ALWAYS},
	{"CPU", "cpu_ms", NULL, CELL_SECONDS, COLUMN_ALWAYS},
	{"RESTARTS", "restarts", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"STATE", "state", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"ROOT", "root", NULL, CELL_PLAIN, COLUMN_WIDE},
	{"NAMESPACES", "namespaces", NULL, CELL_PLAIN, COLUMN_WIDE},
	{0},
};
static const struct column hub_columns[] = {
	{"HUB", "name", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"ADDRESS", "address", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"MAC", "mac", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"PORTS", "ports", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"TCP", "tcp", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"UDP", "udp", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"ICMP", "icmp", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"DNS", "dns", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"LEASES", "leases", "pool", CELL_PLAIN_2, COLUMN_ALWAYS},
	{"DATA PATH", "data_path", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"SHARDS", "shards", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"ENABLED", "enable", NULL, CELL_PLAIN, COLUMN_WIDE},
	{"NAT", "nat", NULL, CELL_PLAIN, COLUMN_WIDE},
	{"DHCP", "dhcp", NULL, CELL_PLAIN, COLUMN_WIDE},
	{0},
};
static const struct column session_columns[] = {
	{"SESSION", "session", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"KIND", "kind", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"PORT", "port", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"MACS", "macs", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"RX/TX FRAMES", "rx_frames", "tx_frames", CELL_PLAIN_2, COLUMN_ALWAYS},
	{"RX/TX", "rx_bytes", "tx_bytes", CELL_BYTES_2, COLUMN_ALWAYS},
	{"DROPPED", "dropped", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"CREATED", "created_ms", NULL, CELL_CLOCK, COLUMN_ALWAYS},
	{0},
};
static const struct column nat_columns[] = {
	{"ID", "id", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"PROTO", "proto", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"SOURCE", "source", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"DESTINATION", "destination", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"OUTSIDE", "outside", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"SPI", "spi", NULL, CELL_PLAIN, COLUMN_FILLED},
	{"STATE", "state", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"CREATED", "created_ms", NULL, CELL_CLOCK, COLUMN_ALWAYS},
	{"IDLE", "idle_ms", NULL, CELL_SPAN, COLUMN_ALWAYS},
	{"RX/TX", "rx_bytes", "tx_bytes", CELL_BYTES_2, COLUMN_ALWAYS},
	{"ALG", "alg", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"HOST", "host", NULL, CELL_PLAIN, COLUMN_WIDE},
	{"PROCESS", "process", NULL, CELL_PLAIN, COLUMN_WIDE},
	{0},
};
static const struct column dhcp_columns[] = {
	{"ID", "id", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"ADDRESS", "address", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"MAC", "mac", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"HOST NAME", "host_name", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"STATE", "state", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"CREATED", "created_ms", NULL, CELL_CLOCK, COLUMN_ALWAYS},
	{"EXPIRES", "expires_ms", NULL, CELL_CLOCK, COLUMN_ALWAYS},
	{0},
};
static const struct column expectation_columns[] = {
	{"ID", "id", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"ALG", "alg", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"KIND", "kind", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"PAIRS", "pairs", NULL, CELL_PLAIN, COLUMN_WIDE},
	{"GUEST", "guest", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"OUTSIDE", "outside", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"PEER", "peer", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"SPI", "spi", NULL, CELL_PLAIN, COLUMN_FILLED},
	{"STATE", "state", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"EXPIRES IN", "expires_in_ms", NULL, CELL_SPAN, COLUMN_ALWAYS},
	{"PARENT", "parent", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{0},
};
static const struct column call_columns[] = {
	{"ID", "id", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"ALG", "alg", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"GUEST", "guest", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"PEER", "peer", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"STATE", "state", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"ANSWERED", "answered_ms", NULL, CELL_SPAN, COLUMN_ALWAYS},
	{"SILENT", "silent_ms", NULL, CELL_SPAN, COLUMN_ALWAYS},
	{"MEDIA", "media", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{0},
};
static const struct column drop_columns[] = {
	{"PROCESS", "process", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"REASON", "reason", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"COUNT", "count", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"MEANING", "meaning", NULL, CELL_PLAIN, COLUMN_WIDE},
	{0},
};
static const struct column alg_columns[] = {
	{"ALG", "alg", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"FLOWS", "flows", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"MESSAGES", "messages", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"BYTES", "bytes", NULL, CELL_BYTES, COLUMN_ALWAYS},
	{"EDITS", "edits", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"GRANTED", "granted", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"REFUSED", "refused", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"USED", "used", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"EXPIRED", "expired", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"VIOLATIONS", "violations", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"GAVE UP", "gave_up", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"LEFT ALONE", "left_alone", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{0},
};
static const struct column alg_settings_columns[] = {
	{"ALG", "alg", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"ENABLED", "enabled", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"MODE", "mode", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"PORTS", "ports", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"STRICT", "strict", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"LISTS", "lists", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"FLOWS", "open", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{0},
};
static const struct column event_columns[] = {
	{"TIME", "at_ms", NULL, CELL_MOMENT, COLUMN_ALWAYS},
	{"HUB", "hub", NULL, CELL_PLAIN, COLUMN_WIDE},
	{"PROCESS", "process", NULL, CELL_PLAIN, COLUMN_WIDE},
	{"EVENT", "text", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{0},
};
static const struct column forward_columns[] = {
	{"KIND", "kind", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"PROTO", "proto", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"LISTEN", "listen", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"TO", "to", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"VRF", "vrf", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"STATE", "state", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{"SESSIONS", "sessions", NULL, CELL_PLAIN, COLUMN_ALWAYS},
	{0},
};
static const struct column no_columns[] = {{0}};

const struct column *columns_of(Nl__Topic topic)
{
	switch (topic) {
	case NL__TOPIC__PROCESSES: return process_columns;
	case NL__TOPIC__HUBS: return hub_columns;
	case NL__TOPIC__SESSIONS: return session_columns;
	case NL__TOPIC__NAT: return nat_columns;
	case NL__TOPIC__DHCP: return dhcp_columns;
	case NL__TOPIC__EXPECTATIONS: return expectation_columns;
	case NL__TOPIC__DROPS: return drop_columns;
	case NL__TOPIC__ALG_STATS: return alg_columns;
	case NL__TOPIC__EVENTS: return event_columns;
	case NL__TOPIC__FORWARDS: return forward_columns;
	case NL__TOPIC__CALLS: return call_columns;
	case NL__TOPIC__STATUS:
	case _NL__TOPIC_IS_INT_SIZE: break;
	}
	return no_columns;
}

const struct column *columns_alg_settings(void)
{
	return alg_settings_columns;
}

const char *column_span(uint64_t ms, char *out)
{
	enum { ROOM = 24 };
	uint64_t s = ms / 1000;

	if (s < 60)
		snprintf(out, ROOM, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(out, ROOM, "%" PRIu64 "m%02us", s / 60, (unsigned int)(s % 60));
	else if (s < 86400)
		snprintf(out, ROOM, "%" PRIu64 "h%02um", s / 3600, (unsigned int)(s / 60 % 60));
	else
		snprintf(out, ROOM, "%" PRIu64 "d%uh", s / 86400, (unsigned int)(s / 3600 % 24));
	return out;
}

static const char *bytes_text(uint64_t bytes, char *out)
{
	enum { ROOM = 24 };
	static const char units[] = "KMGTPE";
	double value = (double)bytes / 1024;
	int unit = 0;

	if (bytes < 1024) {
		snprintf(out, ROOM, "%" PRIu64, bytes);
		return out;
	}
	for (; value >= 1024; unit++)
		value /= 1024;
	snprintf(out, ROOM, value < 10 ? "%.1f%c" : "%.0f%c", value, units[unit]);
	return out;
}

static const char *clock_text(uint64_t wall_ms, bool date, char *out)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (wall_ms / 1000 > 253402300799u || localtime_r(&seconds, &tm) == NULL)
		return strcpy(out, "?");
	strftime(out, 32, date ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &tm);
	return out;
}

/* As in the security log (seed 3.7.8). */
static const char *moment_text(uint64_t wall_ms, char *out)
{
	size_t used;

	clock_text(wall_ms, true, out);
	used = strlen(out);
	snprintf(out + used, CELL_BYTES_MAX - used, ".%03u", (unsigned int)(wall_ms % 1000));
	return out;
}

/* A field of a row by name, as number or text. */
struct value {
	bool given;
	uint64_t number;
	const char *text; /* strings */
	const ProtobufCMessage *message;
	bool is_bool;
};

static struct value value_of(const ProtobufCMessage *row, const char *name)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(row->descriptor, name);
	const uint8_t *at = (const uint8_t *)row + f->offset;
	protobuf_c_boolean has = 0;
	struct value v = {0};
	uint32_t narrow;

	if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE) {
		memcpy(f->type == PROTOBUF_C_TYPE_STRING ? (void *)&v.text : (void *)&v.message, at,
			sizeof(void *));
		v.given = v.text != NULL ? v.text[0] != '\0' : v.message != NULL;
		return v;
	}
	memcpy(&has, (const uint8_t *)row + f->quantifier_offset, sizeof(has));
	v.given = has;
	v.is_bool = f->type == PROTOBUF_C_TYPE_BOOL;
	memcpy(&narrow, at, sizeof(narrow));
	v.number = narrow;
	if (f->type == PROTOBUF_C_TYPE_UINT64)
		memcpy(&v.number, at, sizeof(v.number));
	return v;
}

static const char *plain_text(const struct value *v, size_t room, char *out)
{
	if (v->text != NULL)
		return log_escape(out, room, v->text, strlen(v->text));
	if (v->message != NULL)
		return reflect_text_write(v->message, out);
	if (v->is_bool)
		return strcpy(out, v->number ? "yes" : "no");
	snprintf(out, room, "%" PRIu64, v->number);
	return out;
}

static void pair_text(const struct column *column, const struct value *first,
	const struct value *second, char *out)
{
	char a[24], b[24];

	if (column->cell == CELL_BYTES_2)
		snprintf(out, CELL_BYTES_MAX, "%s/%s", bytes_text(first->number, a),
			bytes_text(second->number, b));
	else
		snprintf(
			out, CELL_BYTES_MAX, "%" PRIu64 "/%" PRIu64, first->number, second->number);
}

const char *column_text(
	const struct column *column, const ProtobufCMessage *row, bool wide, char *out)
{
	struct value v = value_of(row, column->field), second = {0};
	size_t room = wide ? CELL_BYTES_MAX : CELL_NARROW + 1, used;

	if (column->second != NULL)
		second = value_of(row, column->second);
	if (!v.given && !second.given)
		return strcpy(out, "-");
	switch (column->cell) {
	case CELL_CLOCK: return clock_text(v.number, wide, out);
	case CELL_MOMENT: return moment_text(v.number, out);
	case CELL_SPAN: return column_span(v.number, out);
	case CELL_SECONDS:
		snprintf(out, room, "%" PRIu64 ".%u", v.number / 1000,
			(unsigned int)(v.number / 100 % 10));
		return out;
	case CELL_BYTES: return bytes_text(v.number, out);
	case CELL_BYTES_2:
	case CELL_PLAIN_2: pair_text(column, &v, &second, out); return out;
	case CELL_CALLS:
		plain_text(&v, room, out);
		used = strlen(out);
		if (second.given)
			snprintf(out + used, CELL_BYTES_MAX - used, " %" PRIu64 " sys",
				second.number);
		return out;
	case CELL_PLAIN: break;
	}
	return plain_text(&v, room, out);
}
