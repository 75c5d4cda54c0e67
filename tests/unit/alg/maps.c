/* maps.c: a flow sees the mappings of its VRF, and what does not fit is nobody's. */
#include "harness.h"
#include "maps.h"

static struct maps maps;

/* What an address is to a flow of this VRF; 0: just so. */
static uint32_t inside(uint8_t vrf, const char *outside)
{
	const struct alg_flow f = {.maps = &maps, .vrf = vrf};
	uint32_t other = 0;
	return maps_inside(&f, ip(outside), &other) ? other : 0;
}

static uint32_t outside(uint8_t vrf, const char *from)
{
	const struct alg_flow f = {.maps = &maps, .vrf = vrf};
	uint32_t other = 0;
	return maps_outside(&f, ip(from), &other) ? other : 0;
}

Test(maps, networks_that_overlap_stay_apart)
{
	maps_clear(&maps);
	const uint8_t blue = maps_vrf(&maps, "blue"), red = maps_vrf(&maps, "red");
	cr_expect(blue && red && blue != red && maps_vrf(&maps, "blue") == blue);
	cr_expect_eq(maps_vrf(&maps, NULL), 0);
	cr_expect_eq(maps_vrf(&maps, ""), 0);
	cr_assert(maps_add(&maps, ip("10.0.0.1"), ip("203.0.113.1"), 0));
	cr_assert(maps_add(&maps, ip("10.0.0.1"), ip("203.0.113.2"), blue));
	cr_assert(maps_add(&maps, ip("10.0.0.2"), ip("203.0.113.1"), blue));
	cr_expect_eq(outside(0, "10.0.0.1"), ip("203.0.113.1"));
	cr_expect_eq(outside(blue, "10.0.0.1"), ip("203.0.113.2"));
	cr_expect_eq(outside(red, "10.0.0.1"), 0);
	cr_expect_eq(inside(0, "203.0.113.1"), ip("10.0.0.1"));
	cr_expect_eq(inside(blue, "203.0.113.1"), ip("10.0.0.2"));
	cr_expect_eq(inside(0, "203.0.113.2"), 0);
	cr_expect_eq(inside(0, "10.0.0.1"), 0, "an inside address is none outside");
}

Test(maps, a_flow_without_a_table_knows_nobody)
{
	const struct alg_flow f = {.vrf = 0};
	uint32_t other = 7;
	cr_expect(!maps_inside(&f, ip("203.0.113.1"), &other) && other == 7);
	cr_expect(!maps_outside(&f, ip("10.0.0.1"), &other) && other == 7);
}

Test(maps, what_does_not_fit_is_nobodys)
{
	char name[16];
	maps_clear(&maps);
	cr_expect_eq(maps_vrf(&maps, "a-name-that-has-32-bytes-and-fits"), MAPS_VRFS);
	cr_expect_eq(maps_vrf(&maps, "a-name-that-has-32-bytes-it-fits"), 1);
	for (int i = 2; i < MAPS_VRFS; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		cr_expect_eq(maps_vrf(&maps, name), i);
	}
	cr_expect_eq(maps_vrf(&maps, "more"), MAPS_VRFS);
	cr_expect_not(maps_add(&maps, 1, 2, MAPS_VRFS));
	for (uint32_t i = 0; i < MAPS_MAX; i++)
		cr_expect(maps_add(&maps, 1 + i, ip("203.0.113.1"), 0));
	cr_expect_not(maps_add(&maps, 1, 2, 0));
	cr_expect_eq(inside(MAPS_VRFS, "203.0.113.1"), 0);
}
