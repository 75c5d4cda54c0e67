/*
 * Theory of operation: each frame costs the same number of draws (splitmix64), so that one more kind of damage in a profile
 * does not move the others to different frames.
 */
#include "fate.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next(struct fate_stream *s)
{
	uint64_t z = s->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static bool chance(struct fate_stream *s, uint32_t share)
{
	return next(s) % FATE_ALL < share;
}

void fate_init(struct fate_stream *s, uint64_t seed, unsigned int direction)
{
	*s = (struct fate_stream){.state = seed * 2 + direction};
	s->state = next(s);
}

struct fate fate_draw(struct fate_stream *s, const struct fate_profile *p, uint32_t bytes)
{
	const bool alone = chance(s, p->loss), first = chance(s, p->pairs / 2);
	struct fate f = {.lost = alone || first || s->next_lost, .bytes = bytes};
	uint64_t where;
	bool damaged;
	s->next_lost = first;
	f.copied = chance(s, p->copies);
	f.behind = chance(s, p->late);
	where = next(s);
	if (f.behind)
		f.behind += (uint32_t)(where % FATE_BEHIND_MOST);
	damaged = chance(s, p->damage);
	where = next(s);
	if (damaged && bytes > FATE_ETHERNET_BYTES)
		f.bit = FATE_ETHERNET_BYTES * 8 +
			(uint32_t)(where % ((bytes - FATE_ETHERNET_BYTES) * 8));
	if (chance(s, p->cut) && bytes > FATE_ETHERNET_BYTES)
		f.bytes = FATE_ETHERNET_BYTES + (uint32_t)(where % (bytes - FATE_ETHERNET_BYTES));
	if (f.bit >= f.bytes * 8)
		f.bit = 0;
	return f;
}

bool fate_parse(struct fate_profile *p, const char *word)
{
	const struct {
		const char *name;
		uint32_t *value;
		double unit;
	} keys[] = {{"loss", &p->loss, 1e4}, {"pairs", &p->pairs, 1e4}, {"copies", &p->copies, 1e4},
		{"late", &p->late, 1e4}, {"damage", &p->damage, 1e4}, {"cut", &p->cut, 1e4},
		{"delay", &p->delay_us, 1e3}, {"rate", &p->rate_kbit, 1}};
	const char *equal = strchr(word, '=');
	for (size_t i = 0; equal && i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *end;
		double value;
		if (strlen(keys[i].name) != (size_t)(equal - word) ||
			strncmp(word, keys[i].name, (size_t)(equal - word)) != 0)
			continue;
		value = strtod(equal + 1, &end) * keys[i].unit;
		if (end == equal + 1 || *end || !(value >= 0 && value <= 4e9))
			return false;
		*keys[i].value = (uint32_t)value;
		return true;
	}
	return false;
}
