#include <criterion/criterion.h>
#include <string.h>

#include "fate.h"

enum { FRAMES = 100000, BYTES = 1514 };

static const struct fate_profile everything = {.loss = 10000,
	.pairs = 20000,
	.copies = 10000,
	.late = 20000,
	.damage = 10000,
	.cut = 2000};

Test(fate, the_same_seed_does_the_same)
{
	struct fate_stream a, b;
	fate_init(&a, 7, 0);
	fate_init(&b, 7, 0);
	for (int i = 0; i < FRAMES; i++) {
		struct fate x = fate_draw(&a, &everything, BYTES),
			    y = fate_draw(&b, &everything, BYTES);
		cr_assert(x.lost == y.lost && x.copied == y.copied && x.behind == y.behind &&
			  x.bytes == y.bytes && x.bit == y.bit);
	}
}

Test(fate, seeds_and_directions_differ)
{
	struct fate_stream s[3];
	unsigned int equal[2] = {0};
	fate_init(&s[0], 7, 0);
	fate_init(&s[1], 7, 1);
	fate_init(&s[2], 8, 0);
	for (int i = 0; i < FRAMES; i++) {
		struct fate f[3];
		for (int k = 0; k < 3; k++)
			f[k] = fate_draw(&s[k], &everything, BYTES);
		for (int k = 0; k < 2; k++)
			equal[k] += f[0].lost && f[k + 1].lost;
	}
	cr_assert(equal[0] < FRAMES / 500 && equal[1] < FRAMES / 500);
}

Test(fate, shares_are_what_was_asked)
{
	struct fate_stream s;
	unsigned int lost = 0, copied = 0, late = 0, damaged = 0, cut = 0;
	fate_init(&s, 1, 0);
	for (int i = 0; i < FRAMES; i++) {
		struct fate f = fate_draw(&s, &everything, BYTES);
		lost += f.lost;
		copied += f.copied;
		late += f.behind > 0;
		damaged += f.bit > 0;
		cut += f.bytes != BYTES;
		cr_assert(f.behind <= FATE_BEHIND_MOST && f.bytes >= FATE_ETHERNET_BYTES &&
			  f.bytes <= BYTES);
		cr_assert(!f.bit || (f.bit >= FATE_ETHERNET_BYTES * 8 && f.bit < f.bytes * 8));
	}
	cr_assert(lost > FRAMES * 27 / 1000 && lost < FRAMES * 33 / 1000, "%u lost", lost);
	cr_assert(copied > FRAMES * 8 / 1000 && copied < FRAMES * 12 / 1000);
	cr_assert(late > FRAMES * 17 / 1000 && late < FRAMES * 23 / 1000);
	cr_assert(damaged > FRAMES * 8 / 1000 && damaged < FRAMES * 12 / 1000);
	cr_assert(cut > FRAMES * 1 / 1000 && cut < FRAMES * 3 / 1000);
}

Test(fate, pairs_are_lost_together)
{
	const struct fate_profile p = {.pairs = 20000};
	struct fate_stream s;
	unsigned int lost = 0, runs = 0;
	bool before = false;
	fate_init(&s, 3, 0);
	for (int i = 0; i < FRAMES; i++) {
		bool now = fate_draw(&s, &p, BYTES).lost;
		lost += now;
		runs += now && !before;
		before = now;
	}
	cr_assert(lost > runs * 19 / 10, "%u frames in %u runs", lost, runs);
}

Test(fate, a_word_is_read_or_refused)
{
	struct fate_profile p = {0};
	cr_assert(fate_parse(&p, "loss=1.5") && p.loss == 15000);
	cr_assert(fate_parse(&p, "delay=2.5") && p.delay_us == 2500);
	cr_assert(fate_parse(&p, "rate=10000") && p.rate_kbit == 10000);
	cr_assert(!fate_parse(&p, "loss") && !fate_parse(&p, "los=1") && !fate_parse(&p, "loss=") &&
		  !fate_parse(&p, "loss=1x") && !fate_parse(&p, "loss=-1"));
}
