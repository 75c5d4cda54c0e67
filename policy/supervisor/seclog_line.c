/*
 * Theory of operation. The fields of EventRow are walked by its descriptor: the names in the .proto are the keys of json and logfmt, so
 * a new field needs nothing here. What the text says in words the fields say in numbers; time, hub, process and event come first
 * and the text last.
 *
 * Every value is bounded before it is written, and SECLOG_RECORD holds all of them at their longest, so no record is ever cut in its middle.
 */
#include "seclog_line.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reflect.h"

enum {
	FIELDS = 32,	/* of EventRow, at most */
	FIRST_PART = 7, /* below: at_ms, hub, process, event, text, more */
	KEY_BYTES = 32,
	DAY_SECONDS = 86400,
	PRIORITY_INFO = 6,
	FACILITY_DAEMON = 3,
};
_Static_assert(
	FIELDS *(KEY_BYTES + 2 * SECLOG_VALUE) + 2 * (KEY_BYTES + 2 * SECLOG_LINE) < SECLOG_RECORD,
	"every field and both texts fit, each byte escaped");
static const uint64_t last_year_ms = 253402300799000; /* 9999-12-31 */

void seclog_clean(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static void local_time(uint64_t wall_ms, struct tm *tm)
{
	time_t seconds = (time_t)((wall_ms < last_year_ms ? wall_ms : last_year_ms) / 1000);

	if (!localtime_r(&seconds, tm))
		memset(tm, 0, sizeof(*tm));
}

static int day_of(const struct tm *tm)
{
	return (tm->tm_year + 1900) * 10000 + (tm->tm_mon + 1) * 100 + tm->tm_mday;
}

int seclog_day(uint64_t wall_ms)
{
	struct tm tm;

	local_time(wall_ms, &tm);
	return day_of(&tm);
}

/* By the calendar alone: no day there has 23 hours. */
int seclog_day_before(int day, uint32_t days)
{
	struct tm tm = {
		.tm_year = day / 10000 - 1900, .tm_mon = day / 100 % 100 - 1, .tm_mday = day % 100};
	time_t seconds = timegm(&tm) - (time_t)days * DAY_SECONDS;

	if (!gmtime_r(&seconds, &tm))
		return 0;
	return day_of(&tm);
}

static void put(struct seclog_record *r, const char *bytes, size_t n)
{
	if (n > sizeof(r->text) - r->bytes)
		abort();
	memcpy(r->text + r->bytes, bytes, n);
	r->bytes += n;
}

static void put_word(struct seclog_record *r, const char *word)
{
	put(r, word, strlen(word));
}

static void put_number(struct seclog_record *r, uint64_t number)
{
	char text[24];

	put(r, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, number));
}

static void put_clean(struct seclog_record *r, const char *text, size_t most)
{
	size_t n = strnlen(text, most), at = r->bytes;

	put(r, text, n);
	for (; at < r->bytes; at++)
		if (r->text[at] < ' ' || r->text[at] > '~')
			r->text[at] = '?';
}

/* In double quotes; after cleaning only these two need a backslash, in JSON (RFC 8259 7) and logfmt alike. */
static void put_quoted(struct seclog_record *r, const char *text, size_t most)
{
	put_word(r, "\"");
	for (; *text && most > 0; text++, most--) {
		char c = *text < ' ' || *text > '~' ? '?' : *text;

		if (c == '"' || c == '\\')
			put_word(r, "\\");
		put(r, &c, 1);
	}
	put_word(r, "\"");
}

static bool needs_quotes(const char *text)
{
	return text[0] == '\0' || strpbrk(text, " =\"\\");
}

/* "2012-12-06 15:44:52.557", as the seed has it. */
static void put_stamp(struct seclog_record *r, uint64_t wall_ms)
{
	char text[48];
	struct tm tm;

	local_time(wall_ms, &tm);
	put(r, text, strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm));
	put(r, text,
		(size_t)snprintf(text, sizeof(text), ".%03u ", (unsigned int)(wall_ms % 1000)));
}

/* "2012-12-06T15:44:52.557+09:00". */
static void put_moment(struct seclog_record *r, uint64_t wall_ms)
{
	char text[48];
	struct tm tm;
	long minutes;

	local_time(wall_ms, &tm);
	minutes = labs(tm.tm_gmtoff) / 60;
	put(r, text, strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm));
	put(r, text,
		(size_t)snprintf(text, sizeof(text), ".%03u%c%02u:%02u",
			(unsigned int)(wall_ms % 1000), tm.tm_gmtoff < 0 ? '-' : '+',
			(unsigned int)(minutes / 60 % 100), (unsigned int)(minutes % 60)));
}

static const void *member(const Nl__EventRow *e, const ProtobufCFieldDescriptor *field)
{
	return (const char *)e + field->offset;
}

static bool is_pointer(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE;
}

static bool present(const Nl__EventRow *e, const ProtobufCFieldDescriptor *field)
{
	if (is_pointer(field))
		return *(const void *const *)member(e, field) != NULL;
	return *(const protobuf_c_boolean *)((const char *)e + field->quantifier_offset);
}

/* The next field from *at on that the event has and that has no place of its own in a record; NULL: none. */
static const ProtobufCFieldDescriptor *next_part(const Nl__EventRow *e, unsigned int *at)
{
	const ProtobufCMessageDescriptor *type = e->base.descriptor;

	while (*at < type->n_fields) {
		const ProtobufCFieldDescriptor *field = &type->fields[(*at)++];

		if (field->id >= FIRST_PART && present(e, field))
			return field;
	}
	return NULL;
}

/* A value as text, valid until the next call with the same space; NULL: a number, in *number. */
static const char *value_of(const Nl__EventRow *e, const ProtobufCFieldDescriptor *field,
	char space[REFLECT_TEXT_BYTES], uint64_t *number)
{
	const void *at = member(e, field);

	if (field->type == PROTOBUF_C_TYPE_STRING)
		return *(const char *const *)at;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return reflect_text_write(*(const ProtobufCMessage *const *)at, space);
	*number = field->type == PROTOBUF_C_TYPE_UINT64 ? *(const uint64_t *)at
							: *(const uint32_t *)at;
	return NULL;
}

/* json and logfmt: the same fields in the same order, each with its key. */

static void put_key(struct seclog_record *r, Nl__Log__Style style, const char *key)
{
	put_word(r, style == NL__LOG__STYLE__json ? ",\"" : " ");
	put_word(r, key);
	put_word(r, style == NL__LOG__STYLE__json ? "\":" : "=");
}

static void put_string(struct seclog_record *r, Nl__Log__Style style, const char *key,
	const char *text, size_t most)
{
	put_key(r, style, key);
	if (style == NL__LOG__STYLE__json || needs_quotes(text))
		put_quoted(r, text, most);
	else
		put_clean(r, text, most);
}

static void put_part(struct seclog_record *r, Nl__Log__Style style, const Nl__EventRow *e,
	const ProtobufCFieldDescriptor *field)
{
	char space[REFLECT_TEXT_BYTES];
	uint64_t number = 0;
	const char *text = value_of(e, field, space, &number);

	if (text) {
		put_string(r, style, field->name, text, SECLOG_VALUE);
		return;
	}
	put_key(r, style, field->name);
	put_number(r, number);
}

/* All but the time. */
static void put_fields(struct seclog_record *r, Nl__Log__Style style, const Nl__EventRow *e)
{
	const ProtobufCFieldDescriptor *part;
	unsigned int at = 0;

	put_string(r, style, "hub", e->hub ? e->hub : "", SECLOG_VALUE);
	put_string(r, style, "process", e->process ? e->process : "", SECLOG_VALUE);
	put_string(r, style, "event", e->event ? e->event : "note", SECLOG_VALUE);
	while ((part = next_part(e, &at)))
		put_part(r, style, e, part);
	put_string(r, style, "text", e->text ? e->text : "", SECLOG_LINE);
}

static void json(struct seclog_record *r, const Nl__EventRow *e)
{
	put_word(r, "{\"time\":\"");
	put_moment(r, e->at_ms);
	put_word(r, "\"");
	put_fields(r, NL__LOG__STYLE__json, e);
	put_word(r, "}\n");
}

static void logfmt(struct seclog_record *r, const Nl__EventRow *e)
{
	put_word(r, "time=");
	put_moment(r, e->at_ms);
	put_fields(r, NL__LOG__STYLE__logfmt, e);
	put_word(r, "\n");
}

/* style securenat */

static void securenat(struct seclog_record *r, const Nl__EventRow *e)
{
	put_stamp(r, e->at_ms);
	put_clean(r, e->text ? e->text : "", SECLOG_LINE);
	put_word(r, "\n");
	if (!e->more)
		return;
	put_stamp(r, e->at_ms);
	put_clean(r, e->more, SECLOG_LINE);
	put_word(r, "\n");
}

void seclog_line(struct seclog_record *r, Nl__Log__Style style, const Nl__EventRow *e)
{
	r->bytes = 0;
	switch (style) {
	case NL__LOG__STYLE__json: json(r, e); break;
	case NL__LOG__STYLE__logfmt: logfmt(r, e); break;
	case NL__LOG__STYLE__securenat:
	case _NL__LOG__STYLE_IS_INT_SIZE: securenat(r, e); break;
	}
}

/* The datagrams. */

static void journal_string(
	struct seclog_record *r, const char *field, const char *text, size_t most)
{
	put_word(r, field);
	put_word(r, "=");
	put_clean(r, text, most);
	put_word(r, "\n");
}

static void journal_part(
	struct seclog_record *r, const Nl__EventRow *e, const ProtobufCFieldDescriptor *field)
{
	char space[REFLECT_TEXT_BYTES], name[KEY_BYTES + sizeof("NATLOCK_")], digits[24];
	uint64_t number = 0;
	const char *text = value_of(e, field, space, &number);

	snprintf(name, sizeof(name), "NATLOCK_%s", field->name);
	for (char *c = name; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	if (!text) {
		snprintf(digits, sizeof(digits), "%" PRIu64, number);
		text = digits;
	}
	journal_string(r, name, text, SECLOG_VALUE);
}

void seclog_journal(struct seclog_record *r, const Nl__EventRow *e)
{
	const ProtobufCFieldDescriptor *part;
	unsigned int at = 0;

	r->bytes = 0;
	journal_string(r, "MESSAGE", e->text ? e->text : "", SECLOG_LINE);
	put_word(r, "PRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=natlock\n");
	journal_string(r, "NATLOCK_HUB", e->hub ? e->hub : "", SECLOG_VALUE);
	journal_string(r, "NATLOCK_PROCESS", e->process ? e->process : "", SECLOG_VALUE);
	journal_string(r, "NATLOCK_EVENT", e->event ? e->event : "note", SECLOG_VALUE);
	if (e->more)
		journal_string(r, "NATLOCK_MORE", e->more, SECLOG_LINE);
	while ((part = next_part(e, &at)))
		journal_part(r, e, part);
}

/* RFC 3164 4.1.2: in English, whatever the locale, and the day of the month padded by a space. */
static void put_syslog_time(struct seclog_record *r, uint64_t wall_ms)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char text[48];
	struct tm tm;

	local_time(wall_ms, &tm);
	put(r, text,
		(size_t)snprintf(text, sizeof(text), "%.3s %2d %02d:%02d:%02d ",
			&months[3 * (size_t)tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec));
}

static void put_tag(struct seclog_record *r, uint64_t wall_ms, int pid)
{
	put_word(r, "<");
	put_number(r, FACILITY_DAEMON * 8 + PRIORITY_INFO);
	put_word(r, ">");
	put_syslog_time(r, wall_ms);
	put_word(r, "natlock[");
	put_number(r, (uint64_t)pid);
	put_word(r, "]: ");
}

void seclog_syslog(struct seclog_record *r, Nl__Log__Style style, const Nl__EventRow *e, int pid)
{
	r->bytes = 0;
	put_tag(r, e->at_ms, pid);
	if (style == NL__LOG__STYLE__json)
		json(r, e);
	else if (style == NL__LOG__STYLE__logfmt)
		logfmt(r, e);
	if (style == NL__LOG__STYLE__json || style == NL__LOG__STYLE__logfmt) {
		r->bytes--; /* a datagram is a line without its end */
		return;
	}
	put_clean(r, e->hub ? e->hub : "", SECLOG_VALUE);
	put_word(r, ": ");
	put_clean(r, e->text ? e->text : "", SECLOG_LINE);
	if (!e->more)
		return;
	put_word(r, " ");
	put_clean(r, e->more, SECLOG_LINE);
}
