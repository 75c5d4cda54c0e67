/*
 * What becomes of each frame on a bad link. Pure: the n-th frame of a direction meets the same fate whenever seed, profile and
 * lengths are the same, whatever the clock does.
 */
#ifndef NATLOCK_IMPAIR_FATE_H
#define NATLOCK_IMPAIR_FATE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	FATE_ALL = 1000000,   /* chances are parts per million */
	FATE_BEHIND_MOST = 4, /* a late frame falls behind 1 to so many others */
	FATE_ETHERNET_BYTES =
		14, /* left whole: on a real link the adapter drops a damaged header */
};

struct fate_profile {
	uint32_t loss;	 /* single frames */
	uint32_t pairs;	 /* frames lost with the one after them */
	uint32_t copies; /* frames that arrive twice */
	uint32_t late;	 /* frames that arrive after later ones */
	uint32_t damage; /* frames with one bit turned */
	uint32_t cut;	 /* frames that lose their end */
	uint32_t delay_us;
	uint32_t rate_kbit; /* 0: no limit */
};

/* One direction. */
struct fate_stream {
	uint64_t state;
	bool next_lost; /* the second of a pair */
};

struct fate {
	bool lost, copied;
	uint32_t behind; /* so many later frames pass it; 0 keeps its place */
	uint32_t bytes;	 /* what is left of it */
	uint32_t bit;	 /* number of the bit to turn, counted from the frame's start; 0: none */
};

/* `direction` 0 or 1 makes two streams of one seed. */
void fate_init(struct fate_stream *s, uint64_t seed, unsigned int direction);
/* The fate of the next frame, which has so many bytes (at least FATE_ETHERNET_BYTES). */
struct fate fate_draw(struct fate_stream *s, const struct fate_profile *p, uint32_t bytes);
/* Takes one word NAME=VALUE into the profile (shares in percent, delay in ms, rate in kbit/s); false when it is none. */
bool fate_parse(struct fate_profile *p, const char *word);

#endif
