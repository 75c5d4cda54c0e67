/* Datagrams by the run through the whole gateway: how they are put together and cut on the way is nobody's business. */
#include <criterion/criterion.h>
#include <string.h>

#include "clock.h"
#include "gateway.h"
#include "guest.h"
#include "internet.h"
#include "pattern.h"
#include "snapshot.h"

enum { SOURCE = 5000, EACH = 700, ROW = 30, ROWS = 20 };

static uint32_t came, wrong;

/* Every datagram's pattern is that of its number. */
static void fill(uint8_t *to, uint32_t number, size_t n)
{
	pattern_fill(number, 0, to, n);
}

static void on_datagram(uint32_t ip, uint16_t from, uint16_t to, const uint8_t *bytes, size_t n)
{
	const size_t expected = (came + 1) % ROW ? EACH : EACH / 2;
	wrong += ip != SERVER_IP || from != UDP_ECHO_PORT || to != SOURCE || n != expected ||
		 pattern_wrong(came, 0, bytes, n);
	came++;
}

static void row(uint32_t first, bool super)
{
	uint8_t run[ROW * EACH];
	size_t n = 0;
	for (uint32_t i = 0; i < ROW; i++) {
		const size_t one = i + 1 < ROW ? EACH : EACH / 2;
		fill(run + n, first + i, one);
		if (!super)
			guest_udp(SERVER_IP, SOURCE, UDP_ECHO_PORT, run + n, one);
		n += one;
	}
	if (super)
		guest_udp_run(SERVER_IP, SOURCE, UDP_ECHO_PORT, run, n, EACH);
}

static void rows(bool tap, bool super, const char *name)
{
	gateway_with_guest(tap);
	snapshot_begin();
	guest.datagram = on_datagram;
	for (uint32_t i = 0; i < ROWS; i++) {
		row(i * ROW, super);
		clock_sleep(200 * MS);
	}
	cr_expect_eq(internet_answered(), ROWS * ROW);
	cr_expect_eq(came, ROWS * ROW);
	cr_expect_eq(wrong, 0);
	if (tap)
		cr_expect_geq(guest.super_frames, ROWS, "they came by the run");
	else
		cr_expect_eq(guest.super_frames, 0, "a port without a kernel gets single frames");
	snapshot_end(name);
	gateway_at_rest();
}

Test(sim, datagram_runs_by_tap)
{
	rows(true, true, "datagram_runs_by_tap");
}

Test(sim, datagram_rows_by_tap)
{
	rows(true, false, "datagram_rows_by_tap");
}

Test(sim, datagram_rows_by_switch)
{
	rows(false, false, "datagram_rows_by_switch");
}
