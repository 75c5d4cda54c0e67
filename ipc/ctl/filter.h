/*
 * FILTER: which sessions or events are meant, `src=192.168.30.10 dport=80 !state=closing`. Pure;
 * any input.
 */
#ifndef NATLOCK_CTL_FILTER_H
#define NATLOCK_CTL_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FILTER_TERMS_MAX = 16, FILTER_WHY = 256 };

enum filter_key {
	FILTER_SRC, /* addresses: A or A/PREFIX */
	FILTER_DST,
	FILTER_OUTSIDE,
	FILTER_SPORT, /* ports: N or N-M */
	FILTER_DPORT,
	FILTER_PROTO, /* words, upper or lower case */
	FILTER_STATE, /* the beginning of a state's name; "est..." is RUNNING too */
	FILTER_ALG,
	FILTER_HOST,  /* a name; "*.example.com" is all below it */
	FILTER_OLDER, /* times with their unit: at least as long ago */
	FILTER_IDLE,
	FILTER_KEYS
};

struct filter_term {
	enum filter_key key;
	bool negated;
	uint32_t ip, mask; /* host byte order */
	uint32_t low, high;
	uint64_t ms;
	const char *text; /* into the word given */
};

struct filter { /* zeroed = everything matches */
	struct filter_term term[FILTER_TERMS_MAX];
	size_t count;
};

struct filter_station {
	bool given;
	uint32_t ip; /* host byte order */
	uint32_t port;
};

/* What is looked at. A text may be NULL; what is not given matches no term (so every negated one). */
struct filter_subject {
	struct filter_station source, destination, outside;
	const char *proto, *state, *alg, *host;
	bool has_age, has_idle;
	uint64_t age_ms, idle_ms;
};

/*
 * Adds one word, "KEY=VALUE" or "!KEY=VALUE"; the word must outlive the filter. 0, or -EINVAL with
 * `why` (FILTER_WHY bytes, printable) when it is none, -ENOSPC after FILTER_TERMS_MAX.
 */
int filter_add(struct filter *filter, const char *word, char *why);
/* Whether all terms hold. */
bool filter_match(const struct filter *filter, const struct filter_subject *subject);

#endif
