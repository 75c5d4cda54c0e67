/* How connections begin badly and end: half-closed, reset, refused, denied, unanswered; and readers that are slow. */
#include <criterion/criterion.h>
#include <string.h>

#include "apps.h"
#include "cable.h"
#include "clock.h"
#include "gateway.h"
#include "guest.h"
#include "snapshot.h"

enum { PORT = 9100, MIB = 1 << 20, SLOW_BYTES_PER_MS = 1000, WINDOW = 65536 };

static bool done(void *arg)
{
	const struct guest_conn *c = arg;
	const struct app *a = app_at(PORT, 0);
	return c->state == GUEST_DONE && a && a->done;
}

static void expect_stream(
	const struct guest_conn *c, uint64_t bytes, const struct app *a, uint64_t app_bytes)
{
	cr_expect_eq(guest_received(c), bytes);
	cr_expect_eq(c->wrong, 0);
	cr_expect_eq(a->received, app_bytes);
	cr_expect_eq(a->wrong, 0);
}

Test(sim, half_close_by_guest)
{
	const struct app like = {.send_seed = 5,
		.send_total = MIB,
		.finish = true,
		.wait_fin = true,
		.recv_seed = 6};
	struct guest_conn *c;
	gateway_with_guest(false);
	snapshot_begin();
	app_serve(SERVER_IP, PORT, &like);
	c = guest_connect(SERVER_IP, PORT);
	c->recv_seed = 5;
	c->finish = true;
	cr_assert(clock_until(done, c, 5 * SECOND));
	expect_stream(c, MIB, app_at(PORT, 0), 0);
	snapshot_end("half_close_by_guest");
	gateway_at_rest();
}

static bool saw_fin(void *arg)
{
	return ((struct guest_conn *)arg)->fin_at != 0;
}

Test(sim, half_close_by_server)
{
	const struct app like = {.finish = true, .recv_seed = 6};
	struct guest_conn *c;
	gateway_with_guest(false);
	snapshot_begin();
	app_serve(SERVER_IP, PORT, &like);
	c = guest_connect(SERVER_IP, PORT);
	cr_assert(clock_until(saw_fin, c, SECOND),
		"the server's FIN came while the guest was silent");
	clock_sleep(SECOND);
	c->send_seed = 6;
	c->send_total = MIB;
	c->finish = true;
	guest_push(c);
	cr_assert(clock_until(done, c, 5 * SECOND));
	expect_stream(c, 0, app_at(PORT, 0), MIB);
	snapshot_end("half_close_by_server");
	gateway_at_rest();
}

static bool half_way(void *arg)
{
	const struct app *a = app_at(PORT, 0);
	return guest_received(arg) > MIB / 2 && a && a->received > MIB / 2;
}

/* Both directions busy, 8 MiB each. */
static struct guest_conn *busy(void)
{
	const struct app like = {
		.send_seed = 5, .send_total = 8 * MIB, .finish = true, .recv_seed = 6};
	struct guest_conn *c;
	app_serve(SERVER_IP, PORT, &like);
	c = guest_connect(SERVER_IP, PORT);
	c->recv_seed = 5;
	c->send_seed = 6;
	c->send_total = 8 * MIB;
	c->finish = true;
	cr_assert(clock_until(half_way, c, 5 * SECOND));
	return c;
}

Test(sim, reset_by_guest)
{
	struct guest_conn *c;
	gateway_with_guest(false);
	snapshot_begin();
	c = busy();
	guest_abort(c);
	clock_sleep(SECOND);
	cr_expect(app_at(PORT, 0)->saw_reset);
	cr_expect_eq(app_at(PORT, 0)->wrong, 0);
	snapshot_end("reset_by_guest");
	gateway_at_rest();
}

Test(sim, reset_by_server)
{
	struct guest_conn *c;
	gateway_with_guest(false);
	snapshot_begin();
	c = busy();
	app_at(PORT, 0)->done = true;
	peer_reset(app_at(PORT, 0)->peer);
	clock_sleep(SECOND);
	cr_expect_eq(c->state, GUEST_RESET);
	cr_expect_eq(c->wrong, 0);
	snapshot_end("reset_by_server");
	gateway_at_rest();
}

Test(sim, refused_denied_silent)
{
	struct guest_conn *refused, *denied, *silent;
	gateway_with_guest(false);
	snapshot_begin();
	refused = guest_connect(SERVER_IP, 1);
	clock_sleep(10 * MS);
	cr_expect_eq(refused->state, GUEST_RESET, "a refusal is answered with a reset at once");
	denied = guest_connect(HOST_IP, 22);
	clock_sleep(10 * MS);
	cr_expect(denied->state != GUEST_OPEN);
	cr_expect(guest.errors == 1 && guest.error_type == 3 && guest.error_code == 13);
	guest_abort(denied);
	silent = guest_connect(SILENT_IP, 80);
	clock_sleep(60 * SECOND);
	cr_expect_eq(silent->state, GUEST_SYN_SENT, "who hears nothing is told nothing");
	guest_abort(silent);
	snapshot_end("refused_denied_silent");
	gateway_at_rest();
}

/* Lets a transfer go on and returns the most buffers that were out meanwhile. */
static uint32_t most_out(struct guest_conn *c, enum actor_id owner, uint64_t limit_ns)
{
	uint64_t end_ns = clock_ns() + limit_ns;
	uint32_t most = 0;
	while (clock_ns() < end_ns && !clock_until(done, c, MS)) {
		uint32_t out = gateway_buffers_out(owner);
		most = most > out ? most : out;
	}
	return most;
}

Test(sim, slow_server)
{
	const struct app like = {.finish = true, .recv_seed = 6, .read_per_ms = SLOW_BYTES_PER_MS};
	struct guest_conn *c;
	uint32_t most;
	gateway_with_guest(false);
	snapshot_begin();
	app_serve(SERVER_IP, PORT, &like);
	c = guest_connect(SERVER_IP, PORT);
	c->send_seed = 6;
	c->send_total = 4 * MIB;
	c->finish = true;
	/* on a strict data path what waits is netstack's copy */
	most = most_out(c, actors_data_path() == DATA_PATH_STRICT ? ACTOR_NETSTACK : ACTOR_BROKER,
		30 * SECOND);
	cr_assert(done(c), "not finished: %lu of %d", app_at(PORT, 0)->received, 4 * MIB);
	expect_stream(c, 0, app_at(PORT, 0), 4 * MIB);
	cr_expect(most > 16 && most <= 600, "%u buffers were pinned by one flow", most);
	snapshot_end("slow_server");
	gateway_at_rest();
}

static bool heard(void *arg)
{
	return strcmp((const char *)((struct guest_conn *)arg)->heard, "twice") == 0;
}

/* T18, RFC 5382 REQ-5: silent for 2 hours and 4 minutes, and then the connection still is one. */
Test(sim, idle_for_two_hours_and_four_minutes)
{
	const struct app like = {.finish = false};
	struct guest_conn *c;
	gateway_with_guest(false);
	app_serve(SERVER_IP, PORT, &like);
	c = guest_connect(SERVER_IP, PORT);
	guest_say(c, "once");
	clock_sleep(SECOND);
	cr_assert_str_eq(app_at(PORT, 0)->heard, "once");
	clock_sleep(7440 * SECOND - SECOND);
	guest_say(c, " again");
	clock_sleep(SECOND);
	cr_assert_str_eq(app_at(PORT, 0)->heard, "once again");
	clock_sleep(7439 * SECOND);
	app_say(app_at(PORT, 0), "twice");
	cr_assert(clock_until(heard, c, SECOND), "from the far end too");
	clock_sleep(7442 * SECOND);
	cr_expect_eq(c->state, GUEST_RESET, "silent for longer, it ends, and the guest is told");
	cr_expect(app_at(PORT, 0)->saw_reset);
	gateway_at_rest();
}

Test(sim, slow_guest)
{
	const struct app like = {.send_seed = 5, .send_total = 4 * MIB, .finish = true};
	struct guest_conn *c;
	uint32_t most;
	gateway_with_guest(false);
	snapshot_begin();
	app_serve(SERVER_IP, PORT, &like);
	c = guest_connect(SERVER_IP, PORT);
	c->window = WINDOW;
	c->read_per_ms = SLOW_BYTES_PER_MS;
	c->recv_seed = 5;
	c->finish = true;
	most = most_out(c, ACTOR_NATPROXY, 30 * SECOND);
	cr_assert(done(c), "not finished: %lu of %d", guest_received(c), 4 * MIB);
	expect_stream(c, 4 * MIB, app_at(PORT, 0), 0);
	cr_expect(most > 1 && most <= 100, "%u buffers were pinned by one flow", most);
	snapshot_end("slow_guest");
	gateway_at_rest();
}
