/*
 * Theory of operation. A frame leaves when those before it have left (rate), travels for the delay, and meets its fate
 * by the dice of its direction when it is sent. Arrival is one event a frame.
 */
#include "cable.h"

#include <stdlib.h>
#include <string.h>

#include "actors.h"

struct flight {
	enum cable_way way;
	struct wire_vnet vnet;
	uint32_t bytes;
	uint8_t frame[];
};

static struct lane {
	struct dice dice;
	bool lose_next;
	uint64_t free_ns; /* when the line is free again */
	uint32_t waiting; /* sent but not yet on the line */
	struct cable_counts counts;
} lane[CABLE_WAYS];
static struct cable_profile profile;

void cable_set(const struct cable_profile *p, uint64_t seed)
{
	profile = *p;
	for (int w = 0; w < CABLE_WAYS; w++) {
		lane[w].dice.state = seed * CABLE_WAYS + (uint64_t)w;
		lane[w].lose_next = false;
	}
}

const struct cable_counts *cable_counts(enum cable_way way)
{
	return &lane[way].counts;
}

bool cable_has_room(enum cable_way way)
{
	return lane[way].waiting < CABLE_QUEUE;
}

static void left(void *arg)
{
	struct lane *l = arg;
	l->waiting--;
	actors_kick(ACTOR_BROKER);
}

static void arrive(void *arg)
{
	struct flight *f = arg;
	if (f->way == CABLE_UP)
		port_sim_frame(&f->vnet, f->frame, f->bytes);
	else
		guest_frame(&f->vnet, f->frame, f->bytes);
	free(f);
}

static void spoil(struct lane *l, struct flight *f)
{
	if (dice_hit(&l->dice, profile.damage)) {
		uint32_t bit = dice_below(&l->dice, f->bytes * 8);
		f->frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		l->counts.damaged++;
	}
	if (f->bytes > 1 && dice_hit(&l->dice, profile.truncate)) {
		f->bytes = 1 + dice_below(&l->dice, f->bytes - 1);
		l->counts.truncated++;
	}
}

static void fly(struct lane *l, enum cable_way way, const struct wire_vnet *vnet,
	const uint8_t *frame, uint32_t bytes, uint64_t at_ns)
{
	struct flight *f = malloc(sizeof(*f) + bytes);
	if (!f)
		abort();
	f->way = way;
	f->vnet = *vnet;
	f->bytes = bytes;
	memcpy(f->frame, frame, bytes);
	spoil(l, f);
	at_ns += profile.delay_ns;
	if (dice_hit(&l->dice, profile.reorder)) {
		l->counts.reordered++;
		at_ns += profile.reorder_ns;
	}
	clock_at(at_ns, arrive, f);
}

static bool is_lost(struct lane *l)
{
	bool next = l->lose_next;
	l->lose_next = false;
	if (next)
		return true;
	if (!dice_hit(&l->dice, profile.pairs ? profile.loss / 2 : profile.loss))
		return false;
	l->lose_next = profile.pairs;
	return true;
}

bool cable_send(
	enum cable_way way, const struct wire_vnet *vnet, const uint8_t *frame, uint32_t bytes)
{
	static const struct wire_vnet plain;
	struct lane *l = &lane[way];
	uint64_t start = l->free_ns > clock_ns() ? l->free_ns : clock_ns();
	if (!cable_has_room(way))
		return false;
	if (profile.bits_per_second) {
		start += bytes * 8 * SECOND / profile.bits_per_second;
		l->free_ns = start;
		l->waiting++;
		clock_at(start, left, l);
	}
	if (is_lost(l)) {
		l->counts.lost++;
		return true;
	}
	fly(l, way, vnet ? vnet : &plain, frame, bytes, start);
	if (dice_hit(&l->dice, profile.duplicate)) {
		l->counts.duplicated++;
		fly(l, way, vnet ? vnet : &plain, frame, bytes, start);
	}
	return true;
}
