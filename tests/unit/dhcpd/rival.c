/* Other servers: each port for itself, and never for ever. */
#include <criterion/criterion.h>
#include <string.h>

#include "rival.h"

#define SECOND_NS 1000000000ull

static struct rivals r;
static uint64_t now = 1000 * SECOND_NS;
static const struct codec_foreign server = {{2, 0, 0, 0, 0, 9}, 0x0101a8c0};

/* What is due in the next `ns`, on one port. */
static unsigned int count(enum rival_due what, uint32_t port, uint64_t ns)
{
	unsigned int n = 0;
	uint64_t end = now + ns;
	while (rival_deadline(&r) <= end) {
		uint32_t at;
		enum rival_due due;
		now = rival_deadline(&r) > now ? rival_deadline(&r) : now;
		while ((due = rival_timeout(&r, now, &at)) != RIVAL_NOTHING)
			n += due == what && at == port;
	}
	now = end;
	return n;
}

Test(rival, a_bridged_lan_is_asked_before_it_is_served)
{
	rival_open(&r, 3, "bridge:br0", now);
	cr_expect(rival_blocks(&r, 3, now));
	cr_expect_eq(count(RIVAL_PROBE, 3, RIVAL_HOLD_NS), RIVAL_PROBES);
	cr_expect_not(rival_blocks(&r, 3, now + RIVAL_HOLD_NS));
	cr_expect_eq(count(RIVAL_PROBE, 3, RIVAL_AGAIN_NS), 1, "and now and then");
}

Test(rival, other_ports_are_served_at_once_and_guests_are_not_asked)
{
	const char *guests[] = {"netns:a", "pid:1", "qemu:/x", "qemu-dgram:/x", "run-7"};
	rival_open(&r, 0, "tap:tap0", now);
	cr_expect_not(rival_blocks(&r, 0, now));
	cr_expect_eq(rival_deadline(&r), now);
	rival_close(&r, 0);
	for (uint32_t i = 0; i < 5; i++)
		rival_open(&r, i, guests[i], now);
	cr_expect_eq(rival_deadline(&r), UINT64_MAX);
	cr_expect_not(rival_blocks(&r, 0, now));
}

Test(rival, a_server_stops_ours_on_its_port_alone_until_it_is_silent)
{
	rival_open(&r, 0, "tap:tap0", now);
	rival_open(&r, 1, "netns:a", now);
	cr_expect(rival_heard(&r, 0, &server, now));
	cr_expect_not(rival_heard(&r, 0, &server, now), "no news");
	cr_expect(rival_blocks(&r, 0, now));
	cr_expect_not(rival_blocks(&r, 1, now));
	count(RIVAL_PROBE, 0, RIVAL_SILENCE_NS / 2);
	cr_expect_not(rival_heard(&r, 0, &server, now));
	uint64_t heard = now;
	cr_expect_eq(
		count(RIVAL_PROBE, 0, RIVAL_SILENCE_NS - SECOND_NS), 3, "asked again and again");
	cr_expect(rival_blocks(&r, 0, now));
	cr_expect_eq(count(RIVAL_GONE, 0, 2 * SECOND_NS), 1);
	cr_expect_geq(now, heard + RIVAL_SILENCE_NS);
	cr_expect_not(rival_blocks(&r, 0, now));
	cr_expect_eq(r.port[0].server_be, server.server_be, "for the log");
	cr_expect(rival_heard(&r, 0, &server, now), "it came back");
}

Test(rival, what_is_not_a_port_is_ignored)
{
	rival_open(&r, RIVAL_PORTS, "tap:x", now);
	cr_expect_not(rival_heard(&r, RIVAL_PORTS, &server, now));
	cr_expect_not(rival_heard(&r, 7, &server, now), "a port that is not there");
	cr_expect_not(rival_blocks(&r, RIVAL_PORTS, now));
	rival_close(&r, RIVAL_PORTS);
	cr_expect_eq(rival_deadline(&r), UINT64_MAX);
	rival_open(&r, 2, "tap:x", now);
	rival_heard(&r, 2, &server, now);
	rival_close(&r, 2);
	cr_expect_not(rival_blocks(&r, 2, now));
	rival_open(&r, 2, "tap:x", now);
	cr_expect_not(rival_blocks(&r, 2, now), "a new port");
}
