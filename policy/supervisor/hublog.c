/*
 * Theory of operation.
 *
 *   worker ─ActorNote─▶ checked, cleaned ─▶ share of the process ─┐
 *   supervisor's own events ──────────────────────────────────────┴─▶ file ─▶ journal ─▶ syslog ─▶ followers
 *
 * The time of an event is when the supervisor hears of it: a worker could name any, and so write into any day's file.
 * What one of the places does not take is counted there and said as soon as it takes something again; where it is a
 * person's to mend, a note says what to do.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "events.h"
#include "hublog.h"
#include "supervisor.h"

/* Of one event at a time, and too large for a stack that is cleared with each call. */
static struct seclog_record record;

static const char *folder_of(const struct supervisor *s)
{
	const char *file = s->config->log->file;

	if (strcmp(file, "none") == 0)
		return NULL;
	return strcmp(file, "auto") == 0 ? s->places.log : file;
}

void hublog_configure(struct supervisor *s)
{
	unsigned int i;

	logsock_configure(&s->logsock, s->config->log);
	for (i = 0; i < s->hubs; i++) {
		s->hub[i].log.style = s->config->log->style;
		s->hub[i].log.keep_days = s->config->log->keep_days;
	}
}

void hublog_begin(struct supervisor *s)
{
	int error = logsock_open(&s->logsock);

	if (error)
		supervisor_note(
			s, "nothing goes to the journal and to syslog: %s", strerror(-error));
}

void hublog_open(struct hub *hub)
{
	struct supervisor *s = hub->super;
	int error = seclog_open(&hub->log, folder_of(s), hub->conf->name, s->config->log->style);

	if (error)
		supervisor_note(s,
			"no security log in %s: %s. Make the folder writable for %s or set "
			"log.file",
			folder_of(s), strerror(-error), s->identity.user);
	hublog_configure(s);
}

void hublog_close(struct hub *hub)
{
	seclog_close(&hub->log);
}

void hublog_end(struct supervisor *s)
{
	logsock_close(&s->logsock);
}

/* Where events go */

static void say_lost(struct hub *hub, const char *where, const struct seclog_loss *loss)
{
	static char event[] = "log_lost";
	char text[SECLOG_LINE], reason[SECLOG_VALUE];
	const char *why = strerror(-loss->why);
	Nl__EventRow e = NL__EVENT_ROW__INIT;

	snprintf(text, sizeof(text), "SecureNAT: %llu log lines were lost: %s: %s.",
		(unsigned long long)loss->lines, where, why);
	snprintf(reason, sizeof(reason), "%s: %s", where, why);
	e.event = event;
	e.text = text;
	e.reason = reason;
	e.has_count = true;
	e.count = loss->lines;
	hublog_event(hub, &e);
}

static const char *advice(int error)
{
	if (error == -ENOSPC || error == -EDQUOT)
		return "Make room there or set log.keep_days";
	return "Mend the folder or set log.file";
}

static void to_file(struct hub *hub, const Nl__EventRow *e)
{
	const int before = hub->log.error;
	struct seclog *log = &hub->log;
	struct seclog_loss told;

	seclog_line(&record, log->style, e);
	if (!seclog_write(log, e->at_ms, &record)) {
		if (log->error != before)
			supervisor_note(hub->super, "security log lines are lost: %s: %s. %s",
				log->folder, strerror(-log->error), advice(log->error));
		return;
	}
	if (seclog_loss_due(&log->loss, e->at_ms, &told)) {
		supervisor_forget(hub->super, "security log lines are lost");
		say_lost(hub, "security log", &told);
	}
}

static void to_socket(struct hub *hub, enum logsock_to to, const Nl__EventRow *e)
{
	struct logsock *sock = &hub->super->logsock;
	const int before = sock->error[to];
	struct seclog_loss told;

	if (!sock->wanted[to] || sock->fd < 0)
		return;
	if (to == LOGSOCK_JOURNAL)
		seclog_journal(&record, e);
	else
		seclog_syslog(&record, hub->log.style, e, sock->pid);
	if (!logsock_send(sock, to, &record)) {
		if (sock->error[to] != before)
			supervisor_note(hub->super, "security log lines do not reach %s: %s",
				logsock_path(to), strerror(-sock->error[to]));
		return;
	}
	if (seclog_loss_due(&sock->loss[to], e->at_ms, &told))
		say_lost(hub, logsock_path(to), &told);
}

/* When and where: not for a worker to say. */
static void sign(const struct hub *hub, Nl__EventRow *e)
{
	e->has_at_ms = true;
	e->at_ms = supervisor_wall_ms(hub->super);
	e->hub = hub->conf->name;
}

static void spread(struct hub *hub, const Nl__EventRow *e)
{
	if (hub->log.folder[0])
		to_file(hub, e);
	to_socket(hub, LOGSOCK_JOURNAL, e);
	to_socket(hub, LOGSOCK_SYSLOG, e);
	events_publish(hub->super, e);
}

void hublog_event(struct hub *hub, Nl__EventRow *e)
{
	static char supervisor[] = "supervisor";

	sign(hub, e);
	if (!e->process)
		e->process = supervisor;
	spread(hub, e);
}

void hublog_say(struct hub *hub, const char *event, const char *fmt, ...)
{
	char text[SECLOG_LINE], name[SECLOG_VALUE];
	Nl__EventRow e = NL__EVENT_ROW__INIT;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(name, sizeof(name), "%s", event);
	e.event = name;
	e.text = text;
	hublog_event(hub, &e);
}

/* What workers say */

static bool is_text(const ProtobufCFieldDescriptor *field)
{
	return strcmp(field->name, "text") == 0 || strcmp(field->name, "more") == 0;
}

/* Cleans every string of a signed event. False: one is longer than a line holds, or there is more in it than followers are sent. */
static bool clean(Nl__EventRow *e)
{
	const ProtobufCMessageDescriptor *type = e->base.descriptor;
	unsigned int i;

	for (i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		char *text = NULL;

		if (field->type == PROTOBUF_C_TYPE_STRING)
			memcpy(&text, (const char *)e + field->offset, sizeof(text));
		if (!text)
			continue;
		if (strlen(text) > (is_text(field) ? SECLOG_LINE : SECLOG_VALUE))
			return false;
		seclog_clean(text);
	}
	return nl__event_row__get_packed_size(e) <= EVENTS_ROW;
}

static void say_too_many(struct worker *w, uint64_t lines)
{
	static char event[] = "log_lost", reason[] = "it wrote too many";
	Nl__EventRow e = NL__EVENT_ROW__INIT;
	char text[SECLOG_LINE];

	snprintf(text, sizeof(text),
		"SecureNAT: %llu log lines of the process %s were lost: it wrote too many.",
		(unsigned long long)lines, w->name);
	e.process = w->name;
	e.event = event;
	e.text = text;
	e.reason = reason;
	e.has_count = true;
	e.count = lines;
	hublog_event(w->hub, &e);
}

static int say_of(struct worker *w, Nl__EventRow *e)
{
	uint64_t lost;

	e->process = w->name;
	sign(w->hub, e);
	if (!e->text || !clean(e))
		return -EPROTO;
	if (!seclog_quota_take(&w->quota, supervisor_boot_clock_ms(),
		    nl__event_row__get_packed_size(e) + SECLOG_STAMP_BYTES, &lost)) {
		supervisor_note(w->hub->super,
			"%s writes more than the security log takes from one process: lines are "
			"lost",
			w->name);
		return 0;
	}
	if (lost)
		say_too_many(w, lost);
	spread(w->hub, e);
	return 0;
}

int hublog_note(struct worker *w, const Nl__ActorNote *m, struct pool *pool)
{
	size_t i;

	for (i = 0; i < m->n_events; i++) {
		Nl__EventRow *e = nl__event_row__unpack(
			&pool->allocator, m->events[i].len, m->events[i].data);

		if (!e || say_of(w, e) < 0)
			return -EPROTO;
	}
	return 0;
}

/* The supervisor's own events */

void hublog_started(struct hub *hub)
{
	hublog_say(hub, "started",
		"SecureNAT has started. The SecureNAT session \"SID-SECURENAT-1\" was created.");
}

void hublog_stopped(struct hub *hub)
{
	hublog_say(hub, "stopped", "SecureNAT stopped.");
}

void hublog_process_ended(struct worker *w, const char *how, const char *blame)
{
	static char event[] = "process_ended";
	char text[SECLOG_LINE], reason[SECLOG_VALUE];
	Nl__EventRow e = NL__EVENT_ROW__INIT;

	snprintf(text, sizeof(text), "SecureNAT: The process %s %s and will be restarted.%s%s",
		w->name, how, blame[0] ? " Reason: " : "", blame);
	snprintf(reason, sizeof(reason), "%s%s%s", how, blame[0] ? ": " : "", blame);
	seclog_clean(text);
	seclog_clean(reason);
	e.process = w->name;
	e.event = event;
	e.text = text;
	e.reason = reason;
	hublog_event(w->hub, &e);
	supervisor_note(w->hub->super, "%s", text + strlen("SecureNAT: "));
}

void hublog_config_changed(struct hub *hub, const char *paths)
{
	static char event[] = "config_changed";
	char text[SECLOG_LINE], keys[SECLOG_VALUE];
	Nl__EventRow e = NL__EVENT_ROW__INIT;

	snprintf(keys, sizeof(keys), "%s", paths);
	snprintf(text, sizeof(text), "SecureNAT: The configuration was changed: %s.", keys);
	e.event = event;
	e.text = text;
	e.path = keys;
	hublog_event(hub, &e);
}

void hublog_process_started(struct worker *w)
{
	static char event[] = "process_started";
	char text[SECLOG_LINE];
	Nl__EventRow e = NL__EVENT_ROW__INIT;

	snprintf(text, sizeof(text), "SecureNAT: The process %s was restarted.", w->name);
	e.process = w->name;
	e.event = event;
	e.text = text;
	hublog_event(w->hub, &e);
}

void hublog_switched(struct hub *hub, const char *event, const char *what, bool on)
{
	hublog_say(hub, event, "SecureNAT: The %s was %s.", what, on ? "enabled" : "disabled");
}
