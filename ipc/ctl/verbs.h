/*
 * Every command natlockctl knows, once: what is typed, what is asked of the supervisor, and the
 * line of the manual.
 * --help, the completions, docs/man/natlockctl.1 and the tests come from this table.
 */
#ifndef NATLOCK_CTL_VERBS_H
#define NATLOCK_CTL_VERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "operator.pb-c.h"

enum format {
	FORMAT_TABLE,
	FORMAT_WIDE,
	FORMAT_JSON,
	FORMAT_JSONL,
	FORMAT_CSV,
	FORMAT_CONNTRACK,
	FORMAT_CISCO,
	FORMAT_COUNT
};

/* How a command is carried out; ctl.c has a row for each. */
enum verb_kind {
	VERB_TABLE, /* one topic, rendered in columns; arguments are a FILTER; key = value keeps rows */
	VERB_RECORD,	 /* one row of a topic, a line a field; key names the row */
	VERB_STATUS,	 /* status, processes and hubs together */
	VERB_NAT_STATUS, /* a hub's sessions */
	VERB_HEALTH,
	VERB_POLICY, /* texts that the supervisor has */
	VERB_VERSION,
	VERB_CONFIG, /* what: enum of ConfigRequest; key: the path, an argument is what is
			 * below it; value: anything = of a hub, even if none is named */
	VERB_TEST,
	VERB_SHUTDOWN, /* what is done, and answered by a text */
	VERB_RESTART,
	VERB_RELOAD,
	VERB_DRAIN,
	VERB_KICK,
	VERB_RELEASE,
	VERB_FLUSH,
	VERB_SET,    /* changes: arguments are K=V below key */
	VERB_SWITCH, /* key becomes value */
	VERB_ALG,    /* the switch of the named gateway becomes value */
	VERB_ADD,    /* arguments are an element of the list `key` */
	VERB_REMOVE,
	VERB_GATEWAYS, /* application-level gateways, all or the one named; key: their settings */
	VERB_EVENTS,   /* a stream; key: the worker whose events are meant */
	VERB_METRICS,  /* tables in others' formats */
	VERB_EXPORT,
	VERB_COMPLETION, /* these three: without a supervisor */
	VERB_DOCTOR,
	VERB_HELP,
	VERB_IMPORT, /* these two: without a supervisor, confined */
	VERB_ALG_TEST,
	VERB_AUDIT,    /* another program; key: its command */
	VERB_DECLARED, /* the same, without a supervisor */
	VERB_KINDS
};

struct verb {
	const char *words;     /* "nat table" */
	const char *arguments; /* for people: "NAME", "[FILTER]", "K=V..."; NULL: none */
	uint8_t least, most;   /* how many words follow */
	enum verb_kind kind;
	Nl__Topic topic;
	int what;
	const char *key, *value;  /* by kind; see there */
	const char *schema;	  /* of the JSON: "natlock.nat.table/1" */
	const char *noun, *nouns; /* "1 session shown." */
	const char *help;
};

extern const struct verb verbs[];
extern const size_t verb_count;
extern const char *const format_names[FORMAT_COUNT];

/*
 * Finds the verb whose words begin words[0..count); the rest are its arguments. *used gets how many
 * words it is. NULL when they mean nothing: `meant` gets a similar command, or NULL.
 */
const struct verb *verb_find(
	const char *const *words, size_t count, size_t *used, const char **meant);

/*
 * Which words may come next, "list, show" into out (cap > 0), where all of the words are the beginning of a
 * longer command. False when they begin none.
 */
bool verb_next(const char *const *words, size_t count, char *out, size_t cap);

/* The list of all commands. */
void verb_help(FILE *out);

#endif
