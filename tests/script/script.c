/* See script.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drop.h"
#include "ring.h"
#include "script.h"

struct word {
	const char *text;
	uint8_t value;
	bool number; /* a number follows */
};

static const struct word script_acts[] = {
	{"accepts", FAR_ACCEPTS, false},
	{"refuses", FAR_REFUSES, false},
	{"unreachable host", FAR_HOST_UNREACHABLE, false},
	{"unreachable net", FAR_NET_UNREACHABLE, false},
	{"prohibits", FAR_PROHIBITS, false},
	{"times out", FAR_TIMES_OUT, false},
	{"runs short", FAR_RUNS_SHORT, false},
	{"connects", FAR_CONNECTS, false},
	{"writes", FAR_WRITES, true},
	{"finishes", FAR_FINISHES, true},
	{"urges", FAR_URGES, true},
	{"closes", FAR_CLOSES, false},
	{"resets", FAR_RESETS, false},
	{"stalls", FAR_STALLS, false},
	{"takes", FAR_TAKES, true},
	{"resumes", FAR_RESUMES, false},
	{0},
};
static const struct word script_sights[] = {
	{"open", SIGHT_OPEN, false},
	{"urgent", SIGHT_URGENT, true},
	{"fin", SIGHT_FIN, false},
	{"reset", SIGHT_RESET, false},
	{"end", SIGHT_END, false},
	{"accepted", SIGHT_ACCEPTED, false},
	{0},
};
static const struct word script_rejections[] = {
	{"rejected refused", RING_FAIL_REFUSED, false},
	{"rejected timeout", RING_FAIL_TIMEOUT, false},
	{"rejected shortage", RING_FAIL_SHORTAGE, false},
	{0},
};
static const struct word script_counts[] = {
	{"tcp", COUNT_TCP, false},
	{"half_open", COUNT_HALF_OPEN, false},
	{"time_wait", COUNT_TIME_WAIT, false},
	{"retransmits", COUNT_RETRANSMITS, false},
	{"timeouts", COUNT_TIMEOUTS, false},
	{"resets", COUNT_RESETS, false},
	{0},
};

static const struct word *script_word(struct scan *s, const struct word *table)
{
	for (; table->text; table++)
		if (scan_word(s, table->text))
			return table;
	return NULL;
}

static bool script_connection_named(const struct script *c, struct scan *s, unsigned int *out)
{
	for (unsigned int i = 0; i < c->connections; i++)
		if (c->connection[i].name[0] && scan_word(s, c->connection[i].name)) {
			*out = i;
			return true;
		}
	return false;
}

static bool script_read_port(struct scan *s, uint16_t *port)
{
	uint32_t value;
	if (!scan_number(s, &value) || value > 65535)
		return false;
	*port = (uint16_t)value;
	return true;
}

static const char *script_read_connection(struct script *c, struct scan *s)
{
	struct script_connection *n = &c->connection[c->connections];
	unsigned int other;
	if (c->connections == SCRIPT_CONNECTIONS_MAX)
		return "fewer connections";
	*n = (struct script_connection){.guest_port = (uint16_t)(40000 + c->connections),
		.far_port = 80,
		.guest_isn = 1000000 * (c->connections + 1)};
	if (!scan_name(s, n->name, sizeof(n->name)))
		return "a name";
	if (scan_word(s, "like")) {
		if (!script_connection_named(c, s, &other))
			return "a connection that is known";
		n->guest_port = c->connection[other].guest_port;
		n->far_port = c->connection[other].far_port;
	}
	if (scan_word(s, "guest") && !script_read_port(s, &n->guest_port))
		return "a port";
	if (scan_word(s, "far") && !script_read_port(s, &n->far_port))
		return "a port";
	if (scan_word(s, "isn") && !scan_number(s, &n->guest_isn))
		return "a sequence number";
	c->connections++;
	return NULL;
}

static const char *script_read_option(struct script *c, struct scan *s)
{
	uint32_t value;
	if (scan_word(s, "tolerance"))
		return scan_seconds(s, &c->tolerance_ns) ? NULL : "seconds";
	if (scan_word(s, "mtu") && scan_number(s, &value) && value <= 65535)
		c->mtu = (uint16_t)value;
	else if (scan_word(s, "key") && scan_number(s, &value) && value <= 255)
		c->key = (uint8_t)value;
	else if (scan_word(s, "half_open") && scan_number(s, &value))
		c->half_open = value;
	else if (scan_word(s, "isn") && scan_number(s, &value))
		c->connection[0].guest_isn = value;
	else
		return "option mtu, key, half_open, isn or tolerance, and its value";
	return NULL;
}

static const char *script_read_when(struct scan *s, struct when *w)
{
	*w = (struct when){0};
	if (scan_mark(s, "*")) {
		w->any = true;
		return NULL;
	}
	w->absolute = !scan_mark(s, "+");
	if (!scan_seconds(s, &w->low_ns))
		return "a time";
	w->high_ns = w->low_ns;
	if (scan_mark(s, "~") && (!scan_seconds(s, &w->high_ns) || w->high_ns < w->low_ns))
		return "a later time";
	return NULL;
}

static const char *script_read_sight(struct scan *s, struct event *e)
{
	const struct word *w;
	e->kind = EVENT_FAR_SEES;
	if (scan_word(s, "data")) {
		e->what = SIGHT_DATA;
		return packet_read_range(s, &e->packet);
	}
	w = script_word(s, script_rejections);
	if (w) {
		e->what = SIGHT_REJECTED;
		e->value = w->value;
		return NULL;
	}
	w = script_word(s, script_sights);
	if (!w)
		return "what the far end sees";
	e->what = w->value;
	return !w->number || scan_number(s, &e->value) ? NULL : "a number";
}

static const char *script_read_far(struct scan *s, struct event *e)
{
	const struct word *w;
	if (scan_word(s, "sees"))
		return script_read_sight(s, e);
	w = script_word(s, script_acts);
	e->kind = EVENT_FAR_DOES;
	if (!w)
		return "what the far end does";
	e->what = w->value;
	return !w->number || scan_number(s, &e->value) ? NULL : "a number";
}

static const char *script_read_drops(struct scan *s, struct event *e)
{
	e->kind = EVENT_DROPS;
	for (unsigned int i = 0; i < DROP_COUNT; i++)
		if (scan_word(s, drop_name((enum drop)i))) {
			e->what = (uint8_t)i;
			return scan_span(s, &e->span) ? NULL : "how many";
		}
	return "a name of drop.def";
}

/* Lines that belong to no connection. */
static const char *script_read_about(struct script *c, struct scan *s, struct event *e)
{
	const struct word *w;
	if (scan_word(s, "nothing")) {
		e->kind = EVENT_NOTHING;
		return NULL;
	}
	if (scan_word(s, "drops"))
		return script_read_drops(s, e);
	if (scan_word(s, "count")) {
		e->kind = EVENT_COUNT;
		w = script_word(s, script_counts);
		if (!w || !scan_span(s, &e->span))
			return "what to count, and how many";
		e->what = w->value;
		return NULL;
	}
	if (scan_word(s, "isn")) {
		e->kind = EVENT_ISN;
		return script_connection_named(c, s, &e->other) &&
				       script_connection_named(c, s, &e->connection) &&
				       scan_span(s, &e->span)
			       ? NULL
			       : "isn A B SPAN";
	}
	if (scan_word(s, "flood")) {
		e->kind = EVENT_FLOOD;
		return scan_number(s, &e->value) ? NULL : "how many";
	}
	if (scan_word(s, "uplink")) {
		e->kind = EVENT_UPLINK;
		e->value = scan_word(s, "up");
		return e->value || scan_word(s, "down") ? NULL : "up or down";
	}
	e->kind = EVENT_RESTART;
	return scan_word(s, "restart") && scan_word(s, "key") && scan_number(s, &e->value) &&
			       e->value <= 255
		       ? NULL
		       : "what happens";
}

static const char *script_read_event(struct script *c, struct scan *s, struct event *e)
{
	const char *wrong = script_read_when(s, &e->when);
	if (wrong)
		return wrong;
	script_connection_named(c, s, &e->connection);
	e->maybe = scan_word(s, "maybe");
	e->until = scan_word(s, "until");
	if (scan_mark(s, "< ")) {
		e->kind = EVENT_GUEST_SENDS;
		return packet_read(s, &e->packet);
	}
	if (scan_mark(s, "> ")) {
		e->kind = EVENT_STACK_SENDS;
		if (scan_word(s, "burst")) {
			e->kind = EVENT_BURST;
			return scan_span(s, &e->span) ? NULL : "how many";
		}
		return packet_read(s, &e->packet);
	}
	if (scan_word(s, "far"))
		return script_read_far(s, e);
	if (!scan_word(s, "establish"))
		return script_read_about(c, s, e);
	e->kind = EVENT_ESTABLISH;
	e->packet.window.low = 65535;
	e->rtt_ns = UINT64_C(20000000);
	if (scan_word(s, "rtt") && !scan_seconds(s, &e->rtt_ns))
		return "rtt S";
	if (scan_word(s, "win") && !scan_span(s, &e->packet.window))
		return "win N";
	return packet_read_options(s, &e->packet);
}

static const char *script_read_line(struct script *c, const char *text, int line)
{
	struct scan s = {text};
	struct event *e = &c->event[c->events];
	const char *wrong;
	if (scan_end(&s))
		return NULL;
	if (scan_word(&s, "option")) {
		wrong = script_read_option(c, &s);
	} else if (scan_word(&s, "connection")) {
		wrong = script_read_connection(c, &s);
	} else if (c->events == SCRIPT_EVENTS_MAX) {
		return "fewer events";
	} else {
		wrong = script_read_event(c, &s, e);
		e->line = line;
		snprintf(e->text, sizeof(e->text), "%s", text);
		c->events++;
	}
	return wrong || scan_end(&s) ? wrong : "the end of the line";
}

static struct script *script_new(const char *path)
{
	struct script *c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	c->path = path;
	c->mtu = 1500;
	c->key = 1;
	c->half_open = 128;
	c->tolerance_ns = UINT64_C(4000000);
	c->connection[0] = (struct script_connection){
		.guest_port = 40000, .far_port = 80, .guest_isn = 1000000};
	c->connections = 1;
	return c;
}

struct script *script_read(const char *path)
{
	FILE *f = fopen(path, "r");
	struct script *c;
	char text[SCRIPT_LINE_MAX];
	const char *wrong = NULL;
	if (!f) {
		perror(path);
		return NULL;
	}
	c = script_new(path);
	for (int line = 1; !wrong && fgets(text, sizeof(text), f); line++) {
		text[strcspn(text, "\n")] = 0;
		wrong = script_read_line(c, text, line);
		if (wrong)
			fprintf(stderr, "%s:%d: expected %s\n    %s\n", path, line, wrong, text);
	}
	fclose(f);
	if (!wrong && c->events)
		return c;
	if (!wrong)
		fprintf(stderr, "%s: no events\n", path);
	free(c);
	return NULL;
}
