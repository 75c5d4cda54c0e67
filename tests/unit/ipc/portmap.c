/* A bit a port, and what one process shows the others see. */
#include <criterion/criterion.h>

#include "portmap.h"

static struct portmap_region region[3];
static const struct portmap maps[3] = {{&region[0], {&region[1], &region[2]}, 2},
	{&region[1], {&region[0], &region[2]}, 2}, {&region[2], {&region[0], &region[1]}, 2}};

Test(portmap, others_see_exactly_what_is_set)
{
	static const uint16_t ports[] = {0, 1, 31, 32, 1024, 40000, 65534, 65535};

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		portmap_set(&maps[i % 2], ports[i], true);
	for (uint32_t port = 0, next = 0; port < 65536; port++) {
		bool set = next < sizeof(ports) / sizeof(ports[0]) && ports[next] == port;

		cr_assert_eq(portmap_has(&maps[2], (uint16_t)port), set, "port %u", port);
		cr_assert_eq(portmap_has(&maps[0], (uint16_t)port), set && next % 2 == 1);
		cr_assert_eq(portmap_has(&maps[1], (uint16_t)port), set && next % 2 == 0);
		next += set;
	}
}

Test(portmap, and_no_longer_what_is_cleared)
{
	portmap_set(&maps[0], 5000, true);
	portmap_set(&maps[0], 5001, true);
	portmap_set(&maps[0], 5000, false);
	cr_assert_not(portmap_has(&maps[1], 5000));
	cr_assert(portmap_has(&maps[1], 5001));
}

Test(portmap, one_natproxy_has_nobody_to_show_it_to)
{
	const struct portmap alone = {0};

	portmap_set(&alone, 5000, true);
	cr_assert_not(portmap_has(&alone, 5000));
}
