/* Guests that open tunnels and make new keys in any order, among forged packets: none gets what is another's. */
#include <criterion/criterion.h>
#include <string.h>

#include "esp_acts.h"

enum { GUESTS = 5, KEPT = 2, HELD = 8 };
struct player {
	uint32_t inbound[KEPT]; /* what the far end uses for it */
	uint32_t ref[HELD];	/* its tunnels, the youngest first */
	uint32_t count;
};
static struct player player[GUESTS];
static uint64_t state, now_ms;
static bool with_keys, with_forged;
static uint32_t last_spi;

static uint32_t draw(uint32_t below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

static uint32_t ip_of(uint32_t i)
{
	return A + i;
}

static void pass(uint32_t ms)
{
	now_ms += ms;
}

static void forge(uint32_t up_to)
{
	if (with_forged)
		forged(draw(up_to + 1), now_ms);
}

static void hold_ref(uint32_t i, uint32_t ref)
{
	struct player *p = &player[i];
	if (p->count == HELD)
		esp_close(e, p->ref[--p->count]);
	memmove(p->ref + 1, p->ref, p->count++ * sizeof(p->ref[0]));
	p->ref[0] = ref;
}

/* Whether forged packets can take the place of an SPI. */
static bool is_settled(uint32_t spi)
{
	for (uint32_t ref = esp_next(e, ESP_NONE); ref; ref = esp_next(e, ref))
		for (uint32_t i = 0; i < ESP_INBOUND; i++) {
			const struct esp_inbound *in = &e->inbound[(ref - 1) * ESP_INBOUND + 1 + i];
			if (in->spi == spi && in->is_settled)
				return true;
		}
	return false;
}

/* Without keys a forged packet that comes first may be taken for the answer; then the real one leads nowhere. */
static void hears(uint32_t i, uint32_t spi)
{
	const bool may_be_lost = with_forged && !with_keys && !is_settled(spi);
	const uint32_t ref = comes(spi, now_ms);
	if (ref == ESP_NONE && may_be_lost)
		return;
	cr_assert_neq(ref, ESP_NONE, "guest %u hears nothing by %u at %lu", i, spi, now_ms);
	cr_assert_eq(esp_at(e, ref)->guest_ip_be, ip_of(i), "guest %u at %lu", i, now_ms);
}

/* What all far ends send; forged packets among it. */
static void traffic(void)
{
	for (uint32_t i = 0; i < GUESTS; i++)
		for (int k = 0; k < KEPT; k++) {
			if (player[i].inbound[k])
				hears(i, player[i].inbound[k]);
			forge(8);
		}
}

static void becomes(uint32_t i, uint32_t inbound)
{
	player[i].inbound[1] = player[i].inbound[0];
	player[i].inbound[0] = inbound;
}

static uint32_t guest_opens(uint32_t i)
{
	const uint32_t ref = opens(ip_of(i), ++last_spi, now_ms);
	cr_assert(sends(ref, now_ms), "guest %u is turned away at %lu", i, now_ms);
	hold_ref(i, ref);
	return ref;
}

/* The guest opens, the others try it meanwhile, the far end answers. */
static void opens_and_is_answered(uint32_t i)
{
	const uint32_t inbound = ++last_spi, other = draw(GUESTS);
	guest_opens(i);
	pass(20 + draw(1000));
	if (with_keys)
		forge(3000);
	else if (other != i && draw(2)) {
		const uint32_t ref = opens(ip_of(other), ++last_spi, now_ms);
		if (!with_forged) /* one of those may be taken for the pair of this */
			cr_assert_not(sends(ref, now_ms));
		esp_close(e, ref);
	}
	hears(i, inbound);
	becomes(i, inbound);
	if (!with_keys)
		return;
	forge(1);
	pass(10);
	hears(i, inbound);
}

/* The far end uses its new SPI first; the guest follows. */
static void is_called(uint32_t i)
{
	const uint32_t inbound = ++last_spi;
	const struct esp_found found = comes_for(inbound, 0, now_ms);
	if (!found.ref) {
		const struct esp_ask ask = {.way = way, .guest_ip_be = ip_of(i)};
		uint32_t ref;
		cr_assert_eq(found.guest_ip_be, ip_of(i));
		cr_assert_eq(esp_open(e, &ask, inbound, now_ms * millisecond, &ref), 0);
		hold_ref(i, ref);
	}
	becomes(i, inbound);
	forge(1);
	pass(10);
	hears(i, inbound);
	forge(3000);
	pass(20);
	guest_opens(i);
	hears(i, inbound);
}

/* After as much time as it takes to know what is loose, all is in use. */
static void settles(void)
{
	for (uint32_t ms = 0; ms <= ESP_LEAD_MS; ms += 500) {
		traffic();
		pass(500);
	}
	traffic();
}

static void plays(uint32_t seed, uint32_t steps)
{
	memset(player, 0, sizeof(player));
	state = seed;
	now_ms = 1;
	last_spi = 300;
	acts_begin();
	for (uint32_t step = 0; step < steps; step++) {
		const uint32_t i = draw(GUESTS);
		struct player *p = &player[i];
		if (with_keys)
			keys(ip_of(i), now_ms);
		pass(draw(100));
		if (with_keys && draw(2))
			is_called(i);
		else
			opens_and_is_answered(i);
		settles();
		if (draw(4) == 0 && p->count > 1 &&
			esp_at(e, p->ref[p->count - 1])->inbound[0] == 0)
			esp_close(e, p->ref[--p->count]);
		forge(draw(10) ? 10 : 5000);
		pass(draw(20000));
		traffic();
	}
	acts_end();
}

Test(esp_schedule, keys_seen)
{
	with_keys = true;
	for (uint32_t seed = 1; seed <= 20; seed++)
		plays(seed, 200);
}

Test(esp_schedule, keys_not_seen)
{
	for (uint32_t seed = 1; seed <= 20; seed++)
		plays(seed, 200);
}

Test(esp_schedule, keys_seen_and_forged_packets)
{
	with_keys = with_forged = true;
	for (uint32_t seed = 1; seed <= 10; seed++)
		plays(seed, 100);
}

Test(esp_schedule, keys_not_seen_and_forged_packets)
{
	with_forged = true;
	for (uint32_t seed = 1; seed <= 10; seed++)
		plays(seed, 100);
}
