/*
 * Arguments: options by a table, then the words. The words become ours (alias.c), name a verb
 * (verbs.c), and what follows them is read as far as that can be done without asking: filters,
 * changes, a file. So what is wrong with a command is told before anything is connected to.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "alg_test.h"
#include "alias.h"
#include "completion.h"
#include "config.pb-c.h"
#include "ctl.h"
#include "kinds.h"
#include "reflect.h"

static int usage(const struct ctl *ctl, const char *cause, const char *format, const char *word)
{
	char message[400], shown[320];
	struct failure f;

	snprintf(message, sizeof(message), format, reflect_printable(shown, sizeof(shown), word));
	failure(&f, CTL_USAGE, "E0701", cause, "See: natlockctl help", "%s", message);
	return ctl_fail(ctl, &f);
}

static int set_format(struct ctl *ctl, const char *name)
{
	char cause[64];
	const char *meant;

	for (int i = 0; i < FORMAT_COUNT; i++) {
		if (strcmp(name, format_names[i]) == 0) {
			ctl->format = (enum format)i;
			return CTL_GO_ON;
		}
	}
	meant = reflect_suggest(name, format_names, FORMAT_COUNT);
	if (meant != NULL)
		snprintf(cause, sizeof(cause), "Did you mean \"%s\"?", meant);
	return usage(ctl,
		meant != NULL ? cause
			      : "It is one of table, wide, json, jsonl, csv, conntrack, cisco.",
		"unknown output format \"%s\"", name);
}

/* "60s", or "60" seconds; 0 when it is neither, or nothing. */
static uint64_t read_ms(const char *text)
{
	Nl__Duration duration = NL__DURATION__INIT;
	char with_unit[32];

	if (strspn(text, "0123456789") == strlen(text)) {
		snprintf(with_unit, sizeof(with_unit), "%.20ss", text);
		text = with_unit;
	}
	return reflect_text_read(&duration.base, text) == 0 ? duration.ms : 0;
}

static int set_hub(struct ctl *ctl, const char *value)
{
	ctl->hub = value;
	return CTL_GO_ON;
}

static int set_api(struct ctl *ctl, const char *value)
{
	ctl->api = value;
	return CTL_GO_ON;
}

static int set_vrf(struct ctl *ctl, const char *value)
{
	ctl->vrf = value;
	return CTL_GO_ON;
}

static int set_watch(struct ctl *ctl, const char *value)
{
	enum { LEAST_MS = 100, MOST_MS = 86400000 };
	uint64_t ms = read_ms(value);

	if (ms < LEAST_MS || ms > MOST_MS)
		return usage(ctl, "Seconds, or a time with its unit, from 100ms to 1d.",
			"--watch \"%s\"", value);
	ctl->watch_ms = (int)ms;
	return CTL_GO_ON;
}

static int set_drain(struct ctl *ctl, const char *value)
{
	ctl->drain_for = value;
	ctl->drain_ms = read_ms(value);
	if (ctl->drain_ms == 0)
		return usage(ctl, "Seconds, or a time with its unit, such as 60s.", "--for \"%s\"",
			value);
	return CTL_GO_ON;
}

static int set_save(struct ctl *ctl, const char *value)
{
	ctl->save = true;
	return CTL_GO_ON;
}

static int set_probe(struct ctl *ctl, const char *value)
{
	ctl->probe = true;
	return CTL_GO_ON;
}

static int set_guest(struct ctl *ctl, const char *value)
{
	ctl->replay.guest = value;
	return CTL_GO_ON;
}

static int set_outside(struct ctl *ctl, const char *value)
{
	ctl->replay.outside = value;
	return CTL_GO_ON;
}

static int set_port(struct ctl *ctl, const char *value)
{
	ctl->replay.port = value;
	return CTL_GO_ON;
}

static int add_map(struct ctl *ctl, const char *value)
{
	struct ctl_replay *replay = &ctl->replay;

	if (replay->maps == sizeof(replay->map) / sizeof(replay->map[0]))
		return usage(ctl, NULL, "too many of --map: \"%s\"", value);
	replay->map[replay->maps++] = value;
	return CTL_GO_ON;
}

static int set_write(struct ctl *ctl, const char *value)
{
	ctl->replay.write = true;
	return CTL_GO_ON;
}

static int set_dns_v6(struct ctl *ctl, const char *value)
{
	ctl->replay.dns_v6 = true;
	return CTL_GO_ON;
}

static int set_json(struct ctl *ctl, const char *value)
{
	ctl->format = FORMAT_JSON;
	return CTL_GO_ON;
}

static int show_help(struct ctl *ctl, const char *value)
{
	verb_help(ctl->out);
	return CTL_OK;
}

static int show_version(struct ctl *ctl, const char *value)
{
	fputs("natlockctl " NATLOCK_VERSION "\n", ctl->out);
	return CTL_OK;
}

static const struct option {
	const char *name;
	bool has_value;
	int (*set)(struct ctl *ctl, const char *value);
} options[] = {
	{"--hub", true, set_hub},
	{"--api", true, set_api},
	{"-o", true, set_format},
	{"--output", true, set_format},
	{"--watch", true, set_watch},
	{"--vrf", true, set_vrf},
	{"--for", true, set_drain},
	{"--guest", true, set_guest},
	{"--outside", true, set_outside},
	{"--map", true, add_map},
	{"--port", true, set_port},
	{"--write", false, set_write},
	{"--dns-v6", false, set_dns_v6},
	{"--save", false, set_save},
	{"--probe", false, set_probe},
	{"--json", false, set_json},
	{"--help", false, show_help},
	{"-h", false, show_help},
	{"--version", false, show_version},
};
enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

/* The option at argv[*i], as --name=V, --name V or --name. */
static int parse_option(struct ctl *ctl, int argc, char **argv, int *i)
{
	const char *typed = argv[*i], *value = NULL;
	size_t length = strcspn(typed, "=");

	for (size_t o = 0; o < OPTIONS; o++) {
		const struct option *option = &options[o];

		if (strlen(option->name) != length || strncmp(option->name, typed, length) != 0 ||
			(typed[length] == '=' && (!option->has_value || length == 2)))
			continue;
		if (!option->has_value)
			return option->set(ctl, NULL);
		if (typed[length] == '=')
			value = typed + length + 1;
		else if (*i + 1 < argc)
			value = argv[++*i];
		if (value == NULL || value[0] == '\0')
			return usage(ctl, NULL, "option \"%s\" needs a value", typed);
		return option->set(ctl, value);
	}
	return usage(ctl, NULL, "unknown option \"%s\"", typed);
}

/* What was typed is no command: it only begins some, or one was meant, or neither. */
static int fail_verb(const struct ctl *ctl, const char *meant)
{
	enum { WORDS = 3 };
	char typed[80] = "", next[160], cause[200];

	for (size_t i = 0, used = 0; i < ctl->phrase.count && i < WORDS; i++, used = strlen(typed))
		snprintf(typed + used, sizeof(typed) - used, "%s%.20s", i > 0 ? " " : "",
			ctl->phrase.word[i]);
	if (verb_next(ctl->phrase.word, ctl->phrase.count, next, sizeof(next))) {
		snprintf(cause, sizeof(cause), "It goes on with one of: %s.", next);
		return usage(ctl, cause, "\"%s\" is not a whole command", typed);
	}
	snprintf(cause, sizeof(cause), "Did you mean \"%s\"?", meant != NULL ? meant : "");
	return usage(ctl, meant != NULL ? cause : NULL, "unknown command \"%s\"", typed);
}

static int find_verb(struct ctl *ctl)
{
	char cause[96];
	const char *meant;
	size_t used;

	ctl->verb = verb_find(ctl->phrase.word, ctl->phrase.count, &used, &meant);
	if (ctl->verb == NULL)
		return fail_verb(ctl, meant);
	ctl->argument = ctl->phrase.word + used;
	ctl->arguments = ctl->phrase.count - used;
	if (ctl->arguments >= ctl->verb->least && ctl->arguments <= ctl->verb->most)
		return CTL_GO_ON;
	if (ctl->verb->arguments == NULL)
		return usage(ctl, "It takes no arguments.", "too many arguments for \"%s\"",
			ctl->verb->words);
	snprintf(cause, sizeof(cause), "It takes %s.", ctl->verb->arguments);
	return usage(ctl, cause, "wrong arguments for \"%s\"", ctl->verb->words);
}

/* A program that asked for JSON must not be given something else instead. */
static int check_format(const struct ctl *ctl)
{
	enum shape shape = kinds[ctl->verb->kind].shape;
	bool nat_table = ctl->verb->kind == VERB_TABLE && ctl->verb->topic == NL__TOPIC__NAT;
	const char *words = ctl->verb->words;

	if (ctl->format == FORMAT_CISCO && !nat_table && ctl->verb->kind != VERB_NAT_STATUS)
		return usage(ctl, "It is for \"nat table\" and \"nat status\".",
			"-o cisco has no meaning for \"%s\"", words);
	if (ctl->format == FORMAT_CONNTRACK && !nat_table)
		return usage(ctl, "It is for \"nat table\".",
			"-o conntrack has no meaning for \"%s\"", words);
	if (ctl->format == FORMAT_CSV && shape == SHAPE_TEXT)
		return usage(ctl, "It is for tables. This can be json.",
			"-o csv has no meaning for \"%s\"", words);
	if ((ctl->format == FORMAT_JSON || ctl->format == FORMAT_JSONL ||
		    ctl->format == FORMAT_CSV) &&
		shape == SHAPE_OWN)
		return usage(
			ctl, "It has a format of its own.", "-o has no meaning for \"%s\"", words);
	return CTL_GO_ON;
}

static bool is_replay(const struct ctl_replay *r)
{
	return r->guest != NULL || r->outside != NULL || r->port != NULL || r->maps > 0 ||
	       r->write || r->dns_v6;
}

/* Whether the options fit the command. */
static int check_options(const struct ctl *ctl)
{
	const struct kind *kind = &kinds[ctl->verb->kind];
	const char *words = ctl->verb->words;

	if (ctl->watch_ms != 0 && !kind->may_watch)
		return usage(ctl, "It repeats what shows something.",
			"--watch has no meaning for \"%s\"", words);
	if (ctl->save && !kind->may_save)
		return usage(ctl, "It is for what changes the configuration.",
			"--save has no meaning for \"%s\"", words);
	if (ctl->probe && ctl->verb->kind != VERB_AUDIT)
		return usage(ctl, "It is for \"policy audit\".",
			"--probe has no meaning for \"%s\"", words);
	if (ctl->drain_for != NULL && ctl->verb->kind != VERB_DRAIN)
		return usage(ctl, NULL, "--for has no meaning for \"%s\"", words);
	if (is_replay(&ctl->replay) && ctl->verb->kind != VERB_ALG_TEST)
		return usage(ctl,
			"--guest, --outside, --map, --port, --dns-v6, --write: for \"alg test\".",
			"wrong options for \"%s\"", words);
	if (ctl->vrf != NULL && ctl->verb->kind != VERB_ADD && ctl->verb->kind != VERB_REMOVE)
		return usage(ctl, NULL, "--vrf has no meaning for \"%s\"", words);
	return CTL_GO_ON;
}

static int read_filter(struct ctl *ctl)
{
	char why[FILTER_WHY];
	bool all = ctl->arguments == 1 && strcmp(ctl->argument[0], "*") == 0;

	for (size_t i = 0; i < ctl->arguments && !all; i++)
		if (filter_add(&ctl->filter, ctl->argument[i], why) != 0)
			return usage(ctl, NULL, "%s", why);
	return CTL_GO_ON;
}

static int read_changes(struct ctl *ctl)
{
	const struct verb *verb = ctl->verb;
	char why[CHANGE_WHY];
	int error = 0;

	if (verb->kind == VERB_SWITCH)
		error = change_switch(&ctl->changes, verb->key, verb->value, why);
	else if (verb->kind == VERB_ALG)
		error = change_alg(&ctl->changes, ctl->argument[0], verb->value, why);
	else if (verb->kind == VERB_ADD)
		error = change_add(
			&ctl->changes, verb->key, ctl->argument, ctl->arguments, ctl->vrf, why);
	else if (verb->kind == VERB_REMOVE)
		error = change_remove(
			&ctl->changes, verb->key, ctl->argument, ctl->arguments, ctl->vrf, why);
	for (size_t i = 0; verb->kind == VERB_SET && i < ctl->arguments && error == 0; i++)
		error = change_set(&ctl->changes, verb->key, ctl->argument[i], why);
	return error == 0 ? CTL_GO_ON : usage(ctl, NULL, "%s", why);
}

/* Opened by us, with the rights of the person who typed it; the supervisor gets the descriptor. */
static int open_file(struct ctl *ctl)
{
	struct failure f;

	ctl->file = open(ctl->argument[0], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (ctl->file >= 0)
		return CTL_GO_ON;
	failure(&f, CTL_CONFIG, "E0711", strerror(errno), NULL, "cannot open %s", ctl->argument[0]);
	return ctl_fail(ctl, &f);
}

/* natlock-audit prints lines or JSON. */
static int check_audit(const struct ctl *ctl)
{
	char message[64];

	if (ctl->format == FORMAT_TABLE || ctl->format == FORMAT_JSON)
		return CTL_GO_ON;
	snprintf(message, sizeof(message), "-o %s has no meaning for \"%%s\"", format_names[ctl->format]);
	return usage(ctl, "It prints a table, or JSON with --json.", message, ctl->verb->words);
}

static int check_export(const struct ctl *ctl)
{
	static const char *const forms[] = {"json", "systemd", "oci"};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(ctl->argument[0], forms[i]) == 0)
			return check_audit(ctl);
	return usage(ctl, "It is one of json, systemd, oci.", "no export as \"%s\"", ctl->argument[0]);
}

static int check_replay(const struct ctl *ctl)
{
	struct failure f;

	return alg_test_check(ctl, &f) == CTL_OK ? CTL_GO_ON : ctl_fail(ctl, &f);
}

static int print_completion(const struct ctl *ctl)
{
	if (completion_print(ctl->out, ctl->argument[0]))
		return CTL_OK;
	return usage(
		ctl, "It is one of bash, zsh, fish.", "no completion for \"%s\"", ctl->argument[0]);
}

static int print_doctor(const struct ctl *ctl)
{
	fputs("natlockctl only talks to a natlock that runs. What works on this computer, what "
	      "does "
	      "not,\nand how to mend it is told by:  natlock doctor\n"
	      "Of a natlock that runs:            natlockctl health\n"
	      "                                   natlockctl drops\n"
	      "                                   natlockctl process list -o wide\n",
		ctl->out);
	return CTL_OK;
}

/* What can be done, or read, before there is a connection. */
static int prepare(struct ctl *ctl)
{
	switch (kinds[ctl->verb->kind].prepare) {
	case PREPARE_FILTER: return read_filter(ctl);
	case PREPARE_CHANGES: return read_changes(ctl);
	case PREPARE_FILE: return open_file(ctl);
	case PREPARE_AUDIT: return check_audit(ctl);
	case PREPARE_EXPORT: return check_export(ctl);
	case PREPARE_REPLAY: return check_replay(ctl);
	case PREPARE_COMPLETION: return print_completion(ctl);
	case PREPARE_DOCTOR: return print_doctor(ctl);
	case PREPARE_HELP: return show_help(ctl, NULL);
	case PREPARE_NOTHING: break;
	}
	return CTL_GO_ON;
}

static int parse_words(struct ctl *ctl, const char *const *words, size_t count)
{
	char why[PHRASE_WHY] = "the command is too long";
	enum format format = ctl->format;
	int code;

	if (count == 0) {
		verb_help(ctl->err);
		return CTL_USAGE;
	}
	if (alias_expand(&ctl->phrase, words, count, &format, why) != 0)
		return usage(ctl, NULL, "%s", why);
	if (ctl->format == FORMAT_TABLE)
		ctl->format = format;
	code = find_verb(ctl);
	if (code == CTL_GO_ON)
		code = check_format(ctl);
	if (code == CTL_GO_ON)
		code = check_options(ctl);
	return code == CTL_GO_ON ? prepare(ctl) : code;
}

int ctl_parse(struct ctl *ctl, int argc, char **argv)
{
	const char *words[CTL_WORDS_MAX];
	size_t count = 0;

	ctl->file = -1;
	for (int i = 1; i < argc; i++) {
		int code = CTL_GO_ON;

		if (argv[i][0] == '-' && argv[i][1] != '\0')
			code = parse_option(ctl, argc, argv, &i);
		else if (count == CTL_WORDS_MAX)
			return usage(ctl, NULL, "too many words: \"%s\"", argv[i]);
		else
			words[count++] = argv[i];
		if (code != CTL_GO_ON)
			return code;
	}
	return parse_words(ctl, words, count);
}
