/*
 * What an actor says to its supervisor, theory of operation.
 *
 *   actor_event, actor_security ─▶ said ── once a turn, or when it is full ──▶ one note
 *   actor_diagnostic ─────────────────────────────────────────────────────────▶ a note each
 *   a dump: ops->dump ─▶ actor_row ─▶ slice ──────────────────────────────────▶ rows, and where to go on
 *
 * A busy turn has many events, and each record costs both processes a system call: so they go together.
 * What finds no room in the channel is counted, never waited for.
 */
#include "actor_tell.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NOTE_BYTES = 1024, SLICE_ROWS = 64, SLICE_BYTES = 32768 };

/* One actor a process, and one slice or note at a time: so these are static. */
static struct slice {
	ProtobufCBinaryData rows[SLICE_ROWS];
	size_t count, used;
	uint8_t bytes[SLICE_BYTES];
} slice, said; /* of the table being dumped; of the security log since the last flush */

int actor_tell(struct actor *a, Nl__ActorToSuper__MsgCase kind, const ProtobufCMessage *m)
{
	Nl__ActorToSuper w = NL__ACTOR_TO_SUPER__INIT;

	w.msg_case = kind;
	memcpy(&w.hello, &m,
		sizeof(m)); /* the members of the union are all pointers to a message */
	return chan_send_message(&a->chan[0], &w.base, NULL, 0);
}

/* Packs a row behind the others; false when it does not fit. */
static bool add_row(struct slice *s, const ProtobufCMessage *row)
{
	size_t bytes = protobuf_c_message_get_packed_size(row);

	if (s->count == SLICE_ROWS || bytes > SLICE_BYTES - s->used)
		return false;
	s->rows[s->count].data = s->bytes + s->used;
	s->rows[s->count++].len = protobuf_c_message_pack(row, s->bytes + s->used);
	s->used += bytes;
	return true;
}

void actor_tell_events(struct actor *a)
{
	Nl__ActorNote m = NL__ACTOR_NOTE__INIT;

	if (said.count == 0)
		return;
	m.has_kind = true;
	m.kind = NL__ACTOR_NOTE__KIND__SECURITY;
	m.n_events = said.count;
	m.events = said.rows;
	if (actor_tell(a, NL__ACTOR_TO_SUPER__MSG_NOTE, &m.base))
		drop_count_many(&a->drops, DROP_LOG_LOST, said.count);
	said.count = said.used = 0;
}

void actor_event(struct actor *a, const Nl__EventRow *event)
{
	if (add_row(&said, &event->base))
		return;
	actor_tell_events(a);
	if (!add_row(&said, &event->base))
		drop_count(&a->drops, DROP_LOG_LOST);
}

void actor_security(struct actor *a, const char *fmt, ...)
{
	Nl__EventRow event = NL__EVENT_ROW__INIT;
	char text[NOTE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	event.text = text;
	actor_event(a, &event);
}

void actor_diagnostic(struct actor *a, const char *fmt, ...)
{
	Nl__ActorNote m = NL__ACTOR_NOTE__INIT;
	char text[NOTE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	m.has_kind = true;
	m.kind = NL__ACTOR_NOTE__KIND__DIAGNOSTIC;
	m.text = text;
	if (actor_tell(a, NL__ACTOR_TO_SUPER__MSG_NOTE, &m.base))
		drop_count(&a->drops, DROP_LOG_LOST);
}

bool actor_row(struct actor *a, const ProtobufCMessage *row)
{
	return add_row(&slice, row);
}

static bool drop_row(struct actor *a, const char *reason, uint64_t count, const char *meaning)
{
	Nl__DropRow row = NL__DROP_ROW__INIT;
	char words[3][128];

	if (count == 0)
		return true;
	row.process = words[0];
	row.reason = words[1];
	row.meaning = words[2];
	snprintf(row.process, sizeof(words[0]), "%s", a->name);
	snprintf(row.reason, sizeof(words[1]), "%s", reason);
	snprintf(row.meaning, sizeof(words[2]), "%s", meaning);
	row.has_count = true;
	row.count = count;
	return actor_row(a, &row.base);
}

/* The cursor is the index of the reason; two more rows follow the counters of drop.def. */
static uint64_t dump_drops(struct actor *a, uint64_t cursor)
{
	uint64_t refused = 0;

	for (; cursor < DROP_COUNT; cursor++) {
		enum drop why = (enum drop)cursor;
		if (!drop_row(a, drop_name(why), a->drops.count[why], drop_meaning(why)))
			return cursor;
	}
	for (int e = 0; e < a->edges; e++)
		refused += a->chan[e].refused;
	if (cursor == DROP_COUNT &&
		!drop_row(a, "CHANNEL_FULL", refused, "message refused: its channel was full"))
		return DROP_COUNT;
	if (!drop_row(a, "FALLBACK_WAKES", a->fallback_wakes, "doorbell lost between processes"))
		return DROP_COUNT + 1;
	return 0;
}

int actor_tell_rows(struct actor *a, const Nl__ActorDump *m)
{
	Nl__ActorRows rows = NL__ACTOR_ROWS__INIT;

	slice.count = slice.used = 0;
	rows.has_request = rows.has_topic = rows.has_next_cursor = true;
	rows.request = m->request;
	rows.topic = m->topic;
	if (m->topic == NL__TOPIC__DROPS)
		rows.next_cursor = dump_drops(a, m->cursor);
	else if (a->ops->dump && a->started)
		rows.next_cursor = a->ops->dump(a->self, m->topic, m->cursor);
	rows.n_rows = slice.count;
	rows.rows = slice.rows;
	actor_tell(a, NL__ACTOR_TO_SUPER__MSG_ROWS, &rows.base);
	return 0;
}
