/* The configuration becomes text once, where it changes; a row only points at it. */
#include "stats.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "algs_config.h"

static const char *mode_name(Nl__AlgSwitch__Mode mode)
{
	switch (mode) {
	case NL__ALG_SWITCH__MODE__observe: return "observe";
	case NL__ALG_SWITCH__MODE__fix: return "fix";
	case NL__ALG_SWITCH__MODE__off:
	case _NL__ALG_SWITCH__MODE_IS_INT_SIZE: break;
	}
	return "off";
}

__attribute__((format(printf, 2, 3))) static void append(
	char text[STATS_TEXT_BYTES], const char *format, ...)
{
	size_t used = strlen(text);
	va_list values;
	va_start(values, format);
	vsnprintf(text + used, STATS_TEXT_BYTES - used, format, values);
	va_end(values);
}

/* Guests, and the far end's list behind '>' where there is one: the first that fits decides. */
static void write_list(char text[STATS_TEXT_BYTES], const Nl__AlgList *list)
{
	append(text, "%s%u", text[0] ? ", " : "", list->guests);
	if (list->peers)
		append(text, ">%u", list->peers);
	append(text, " %s", mode_name(list->mode));
}

static void configure(struct stats_alg *a, const Nl__AlgSwitch *s)
{
	a->enabled = s && (!s->has_enable || s->enable);
	a->strict = s && s->strict;
	a->ports[0] = a->lists[0] = '\0';
	snprintf(
		a->mode, sizeof(a->mode), "%s", mode_name(s ? s->mode : NL__ALG_SWITCH__MODE__off));
	for (size_t i = 0; s && i < s->n_ports; i++)
		append(a->ports, "%s%u", i ? " " : "", s->ports[i]);
	for (size_t i = 0; s && i < s->n_lists; i++)
		write_list(a->lists, s->lists[i]);
}

void stats_configure(struct stats *s, const Nl__Alg *alg)
{
	for (int i = 0; i < ALGS_COUNT; i++) {
		snprintf(s->alg[i].name, sizeof(s->alg[i].name), "%s", algs_name((enum algs_id)i));
		configure(&s->alg[i], algs_switch(alg, (enum algs_id)i));
	}
}

void stats_row(struct stats_alg *a, char *process, Nl__AlgRow *row)
{
	nl__alg_row__init(row);
	row->alg = a->name;
	row->process = process;
	row->has_enabled = true;
	row->enabled = a->enabled;
	row->mode = a->mode;
	row->ports = a->ports;
	row->lists = a->lists;
	row->has_strict = true;
	row->strict = a->strict;
	row->has_flows = true;
	row->flows = a->flows;
	row->has_open = true;
	row->open = a->open;
	row->has_messages = true;
	row->messages = a->messages;
	row->has_edits = true;
	row->edits = a->edits;
	row->has_bytes = true;
	row->bytes = a->bytes;
	row->has_granted = true;
	row->granted = a->granted;
	row->has_refused = true;
	row->refused = a->refused;
	row->has_expired = true;
	row->expired = a->expired;
	row->has_used = true;
	row->used = a->used;
	row->has_violations = true;
	row->violations = a->violations;
	row->has_gave_up = true;
	row->gave_up = a->gave_up;
	row->has_left_alone = true;
	row->left_alone = a->notes;
}
