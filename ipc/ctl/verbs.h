/*
 * Every command natlockctl knows, once: what is typed, what is asked of the supervisor, and the
 * line of the manual.
 * --help, the completion, docs/man/natlockctl.1 and the tests come from this table.
 */
#ifndef NATLOCK_CTL_VERBS_H
#define NATLOCK_CTL_VERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "operator.pb-c.h"

enum format {
	FORMAT_TABLE,
	FORMAT_WIDE,
	FORMAT_JSON,
	FORMAT_JSONL,
	FORMAT_CSV,
	FORMAT_CISCO,
	FORMAT_COUNT
};

enum verb_kind {
	VERB_TABLE,  /* one topic, rendered in columns */
	VERB_STATUS, /* status, processes and hubs together */
	VERB_POLICY, /* these four: answered by a text */
	VERB_VERSION,
	VERB_SHUTDOWN,
	VERB_RESTART,
	VERB_COMPLETION, /* these two: without a supervisor */
	VERB_HELP,
	VERB_IMPORT, /* without a supervisor, confined */
};

struct verb {
	const char *words;    /* "nat table" */
	const char *argument; /* "NAME" must be given, "[PROC]" may be, NULL: none */
	enum verb_kind kind;
	Nl__Topic topic;
	const char *schema;	  /* of the JSON: "natlock.nat.table/1" */
	const char *noun, *nouns; /* "1 session shown." */
	const char *help;
};

/* Words from elsewhere, accepted as typed (upper or lower case). */
struct verb_alias {
	const char *words, *means;
	enum format format; /* FORMAT_TABLE: as asked for */
};

extern const struct verb verbs[];
extern const size_t verb_count;
extern const struct verb_alias verb_aliases[];
extern const size_t verb_alias_count;
extern const char *const format_names[FORMAT_COUNT];

struct verb_choice {
	const struct verb *verb;
	const char *argument; /* NULL when not given */
	enum format format;   /* that the alias implies, else FORMAT_TABLE */
};

/* Finds what words[0..count) mean. False when they mean nothing: `meant` gets a similar command, or
 * NULL. */
bool verb_find(
	const char *const *words, size_t count, struct verb_choice *choice, const char **meant);

void verb_help(FILE *out);
/* A completion script for bash, from the tables. */
void verb_completion(FILE *out);

#endif
