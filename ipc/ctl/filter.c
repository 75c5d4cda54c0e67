/*
 * A word is split at its first '='; the table says what the key's value is; the value is read once,
 * here, into numbers. Matching a row is then a walk over at most FILTER_TERMS_MAX terms.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config.pb-c.h"
#include "filter.h"
#include "reflect.h"

enum value_kind { ADDRESS, PORT, WORD, SPAN };

static const char *const names[FILTER_KEYS] = {
	[FILTER_SRC] = "src",
	[FILTER_DST] = "dst",
	[FILTER_OUTSIDE] = "outside",
	[FILTER_SPORT] = "sport",
	[FILTER_DPORT] = "dport",
	[FILTER_PROTO] = "proto",
	[FILTER_STATE] = "state",
	[FILTER_ALG] = "alg",
	[FILTER_HOST] = "host",
	[FILTER_OLDER] = "older",
	[FILTER_IDLE] = "idle",
};

static enum value_kind kind_of(enum filter_key key)
{
	if (key <= FILTER_OUTSIDE)
		return ADDRESS;
	if (key <= FILTER_DPORT)
		return PORT;
	return key < FILTER_OLDER ? WORD : SPAN;
}

/* A decimal number up to `most` at *text, which moves behind it. */
static bool read_number(const char **text, uint32_t most, uint32_t *number)
{
	uint64_t value = 0;

	if (**text < '0' || **text > '9')
		return false;
	for (; **text >= '0' && **text <= '9'; (*text)++) {
		value = value * 10 + (uint64_t)(**text - '0');
		if (value > most)
			return false;
	}
	*number = (uint32_t)value;
	return true;
}

static bool read_address(struct filter_term *term, const char *text)
{
	size_t length = strcspn(text, "/");
	char address[INET_ADDRSTRLEN];
	uint32_t prefix = 32, be;

	if (length >= sizeof(address))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	text += length;
	if (inet_pton(AF_INET, address, &be) != 1)
		return false;
	if (*text == '/' && (text++, !read_number(&text, 32, &prefix)))
		return false;
	term->mask = prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
	term->ip = ntohl(be) & term->mask;
	return *text == '\0';
}

static bool read_ports(struct filter_term *term, const char *text)
{
	if (!read_number(&text, UINT16_MAX, &term->low))
		return false;
	term->high = term->low;
	if (*text == '-' && (text++, !read_number(&text, UINT16_MAX, &term->high)))
		return false;
	return *text == '\0' && term->low <= term->high;
}

static bool read_span(struct filter_term *term, const char *text)
{
	Nl__Duration duration = NL__DURATION__INIT;

	if (reflect_text_read(&duration.base, text) != 0)
		return false;
	term->ms = duration.ms;
	return true;
}

static bool read_value(struct filter_term *term, const char *text)
{
	switch (kind_of(term->key)) {
	case ADDRESS: return read_address(term, text);
	case PORT: return read_ports(term, text);
	case SPAN: return read_span(term, text);
	case WORD: break;
	}
	term->text = text;
	return text[0] != '\0';
}

static int fail_key(const char *key, char *why)
{
	const char *meant = reflect_suggest(key, names, FILTER_KEYS);
	char shown[48];

	reflect_printable(shown, sizeof(shown), key);
	if (meant != NULL)
		snprintf(why, FILTER_WHY, "unknown filter \"%s\". Did you mean \"%s\"?", shown,
			meant);
	else
		snprintf(why, FILTER_WHY,
			"unknown filter \"%s\". Known: src, dst, outside, sport, dport, proto, "
			"state, alg, host, older, idle",
			shown);
	return -EINVAL;
}

static int fail_value(const struct filter_term *term, const char *value, char *why)
{
	static const char *const help[] = {
		[ADDRESS] = "an address or a subnet, such as 192.168.30.10 or 10.0.0.0/8",
		[PORT] = "a port or a range of ports, such as 80 or 1000-2000",
		[WORD] = "a word",
		[SPAN] = "a time with its unit, such as 10m",
	};
	char shown[64];

	snprintf(why, FILTER_WHY, "%s: \"%s\" is not %s", names[term->key],
		reflect_printable(shown, sizeof(shown), value), help[kind_of(term->key)]);
	return -EINVAL;
}

int filter_add(struct filter *filter, const char *word, char *why)
{
	struct filter_term term = {.negated = word[0] == '!'};
	char key[32];
	size_t length;

	if (filter->count == FILTER_TERMS_MAX) {
		snprintf(why, FILTER_WHY, "more than %d filters", FILTER_TERMS_MAX);
		return -ENOSPC;
	}
	word += term.negated;
	length = strcspn(word, "=");
	snprintf(
		key, sizeof(key), "%.*s", (int)(length < sizeof(key) ? length : sizeof(key)), word);
	while (term.key < FILTER_KEYS && strcasecmp(names[term.key], key) != 0)
		term.key++;
	if (term.key == FILTER_KEYS)
		return fail_key(key, why);
	word += length;
	word += *word == '=';
	if (!read_value(&term, word))
		return fail_value(&term, word, why);
	filter->term[filter->count++] = term;
	return 0;
}

static bool begins(const char *text, const char *with)
{
	return strncasecmp(text, with, strlen(with)) == 0;
}

static bool is_state(const char *state, const char *wanted)
{
	return begins(state, wanted) ||
	       (strcasecmp(state, "RUNNING") == 0 && begins("established", wanted));
}

static bool is_host(const char *host, const char *wanted)
{
	size_t have = strlen(host), want = strlen(wanted);

	if (wanted[0] != '*')
		return strcasecmp(host, wanted) == 0;
	return have >= want - 1 && strcasecmp(host + have - (want - 1), wanted + 1) == 0;
}

static bool is_in(const struct filter_station *station, const struct filter_term *term)
{
	return station->given && (station->ip & term->mask) == term->ip;
}

static bool is_port(const struct filter_station *station, const struct filter_term *term)
{
	return station->given && station->port >= term->low && station->port <= term->high;
}

static bool holds(const struct filter_term *term, const struct filter_subject *s)
{
	switch (term->key) {
	case FILTER_SRC: return is_in(&s->source, term);
	case FILTER_DST: return is_in(&s->destination, term);
	case FILTER_OUTSIDE: return is_in(&s->outside, term);
	case FILTER_SPORT: return is_port(&s->source, term);
	case FILTER_DPORT: return is_port(&s->destination, term);
	case FILTER_PROTO: return s->proto != NULL && strcasecmp(s->proto, term->text) == 0;
	case FILTER_STATE: return s->state != NULL && is_state(s->state, term->text);
	case FILTER_ALG: return s->alg != NULL && strcasecmp(s->alg, term->text) == 0;
	case FILTER_HOST: return s->host != NULL && is_host(s->host, term->text);
	case FILTER_OLDER: return s->has_age && s->age_ms >= term->ms;
	case FILTER_IDLE: return s->has_idle && s->idle_ms >= term->ms;
	case FILTER_KEYS: break;
	}
	return false;
}

bool filter_match(const struct filter *filter, const struct filter_subject *subject)
{
	for (size_t i = 0; i < filter->count; i++)
		if (holds(&filter->term[i], subject) == filter->term[i].negated)
			return false;
	return true;
}
