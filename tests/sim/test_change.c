/* The hub's configuration changes while everything runs: what lives on loses no byte, what cannot ends on both sides. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "apps.h"
#include "cable.h"
#include "clock.h"
#include "gateway.h"
#include "guest.h"

enum { UP_PORT = 9001, DOWN_PORT = 9002, NEW_IP = GATEWAY_IP + 253, MIB = 1 << 20 };

static struct guest_conn *up, *down;
static uint8_t new_mac[6] = {0x00, 0xac, 0x77, 0x77, 0x77, 0x77};

static void begin(uint64_t bytes)
{
	const struct app sink = {.recv_seed = 11, .finish = true};
	const struct app source = {.send_seed = 22, .send_total = bytes, .finish = true};
	app_serve(SERVER_IP, UP_PORT, &sink);
	app_serve(SERVER_IP, DOWN_PORT, &source);
	up = guest_connect(SERVER_IP, UP_PORT);
	up->send_seed = 11;
	up->send_total = bytes;
	up->finish = up->bulk = true;
	down = guest_connect(SERVER_IP, DOWN_PORT);
	down->recv_seed = 22;
	down->finish = true;
}

static bool finished(void *arg)
{
	const struct app *u = app_at(UP_PORT, 0), *d = app_at(DOWN_PORT, 0);
	return up->state == GUEST_DONE && down->state == GUEST_DONE && u && d && u->done && d->done;
}

static bool far_enough(void *arg)
{
	const struct app *u = app_at(UP_PORT, 0);
	uint64_t bytes = *(const uint64_t *)arg;
	return u && u->received > bytes && guest_received(down) > bytes;
}

static void wait_for(uint64_t bytes)
{
	cr_assert(clock_until(far_enough, &bytes, 20 * SECOND), "stuck before %lu bytes", bytes);
}

static void broker_and_netstack(enum actor_id first, uint64_t apart_ns)
{
	gateway_configure(first);
	clock_sleep(apart_ns);
	gateway_configure(first == ACTOR_BROKER ? ACTOR_NETSTACK : ACTOR_BROKER);
}

/* MAC, MTU, address and MAC again, each heard of earlier by another actor, on a bad cable too. */
static void change_under_load(bool tap, const struct cable_profile *p, uint64_t limit_ns)
{
	enum { BYTES = 8 * MIB };
	Nl__Hub *hub;
	gateway_with_guest(tap);
	cable_set(p, 7);
	begin(BYTES);
	hub = gateway_hub();
	wait_for(MIB);
	hub->host->mac->octets.data = new_mac;
	broker_and_netstack(ACTOR_NETSTACK, 20 * MS);
	wait_for(2 * MIB);
	hub->nat->mtu = 900;
	gateway_configure(ACTOR_NETSTACK);
	wait_for(3 * MIB);
	hub->host->address->be = htonl(NEW_IP);
	broker_and_netstack(ACTOR_BROKER, 20 * MS);
	wait_for(4 * MIB);
	new_mac[5] = 1;
	hub->host->mac->octets.data = new_mac;
	broker_and_netstack(ACTOR_BROKER, 20 * MS);
	hub->nat->mtu = 1500;
	gateway_configure(ACTOR_NETSTACK);
	cr_assert(clock_until(finished, NULL, limit_ns), "up %lu, down %lu bytes",
		app_at(UP_PORT, 0)->received, guest_received(down));
	cr_expect(app_at(UP_PORT, 0)->received == BYTES && app_at(UP_PORT, 0)->wrong == 0);
	cr_expect(guest_received(down) == BYTES && down->wrong == 0);
	cr_expect_eq(memcmp(guest.gateway_mac, new_mac, 6), 0, "the guest has heard of it");
	gateway_at_rest();
}

Test(sim, change_under_load)
{
	static const struct cable_profile good = {
		.delay_ns = 50 * US, .bits_per_second = 200000000};
	change_under_load(false, &good, 10 * SECOND);
}

Test(sim, change_under_load_of_super_frames)
{
	static const struct cable_profile good = {
		.delay_ns = 50 * US, .bits_per_second = 200000000};
	change_under_load(true, &good, 10 * SECOND);
}

Test(sim, change_under_load_on_a_bad_cable)
{
	static const struct cable_profile bad = {.loss = 10000,
		.duplicate = 10000,
		.reorder = 20000,
		.delay_ns = 2500 * US,
		.reorder_ns = MS,
		.bits_per_second = 200000000};
	change_under_load(false, &bad, 40 * SECOND);
}

/* An announcement may be lost: frames to the old MAC count until the guest asks again. */
Test(sim, change_that_the_guest_does_not_hear_of)
{
	static const struct cable_profile good = {.delay_ns = 50 * US,
						  .bits_per_second = 200000000},
					  dead = {.loss = 1000000};
	Nl__Hub *hub;
	gateway_with_guest(false);
	cable_set(&good, 1);
	begin(4 * MIB);
	hub = gateway_hub();
	wait_for(MIB);
	hub->host->mac->octets.data = new_mac;
	cable_set(&dead, 1);
	broker_and_netstack(ACTOR_NETSTACK, MS);
	clock_sleep(3 * SECOND);
	cable_set(&good, 1);
	cr_assert(clock_until(finished, NULL, 20 * SECOND));
	cr_expect_eq(memcmp(guest.gateway_mac, GATEWAY_MAC, 6), 0);
	cr_expect(app_at(UP_PORT, 0)->received == 4 * MIB && app_at(UP_PORT, 0)->wrong == 0);
	cr_expect(guest_received(down) == 4 * MIB && down->wrong == 0);
	gateway_at_rest();
}

static void expect_ended(void)
{
	cr_expect_eq(up->state, GUEST_RESET);
	cr_expect_eq(down->state, GUEST_RESET);
	cr_expect(app_at(UP_PORT, 0)->saw_reset);
	cr_expect(app_at(DOWN_PORT, 0)->saw_reset);
}

/* A flow of a kilobyte, as far as it comes. */
static bool works(uint16_t port)
{
	const struct app echo = {.send_seed = 5, .send_total = 1000, .finish = true};
	struct guest_conn *c;
	app_serve(SERVER_IP, port, &echo);
	c = guest_connect(SERVER_IP, port);
	c->recv_seed = 5;
	c->finish = true;
	clock_sleep(2 * SECOND);
	return c->state == GUEST_DONE && guest_received(c) == 1000;
}

Test(sim, nat_off_and_on)
{
	Nl__Hub *hub;
	gateway_with_guest(false);
	begin(64 * MIB);
	hub = gateway_hub();
	wait_for(MIB);
	hub->nat->enable = false;
	gateway_configure(ACTOR_NETSTACK);
	clock_sleep(SECOND);
	expect_ended();
	guest_ping(GATEWAY_IP, 1, 1);
	clock_sleep(SECOND);
	cr_expect_eq(guest.pongs, 1, "the gateway itself is there");
	guest.errors = 0;
	cr_expect_not(works(9003));
	cr_expect_geq(guest.errors, 1);
	cr_expect(guest.error_type == 3 && guest.error_code == 13);
	hub->nat->enable = true;
	gateway_configure(ACTOR_NETSTACK);
	cr_expect(works(9004));
	gateway_at_rest();
}

Test(sim, securenat_off_and_on)
{
	Nl__Hub *hub;
	gateway_with_guest(false);
	begin(64 * MIB);
	hub = gateway_hub();
	wait_for(MIB);
	hub->has_enable = true;
	hub->enable = false;
	broker_and_netstack(ACTOR_BROKER, 10 * MS);
	clock_sleep(SECOND);
	expect_ended();
	guest.gateway_known = false;
	guest_ask_gateway();
	guest_ping(GATEWAY_IP, 1, 1);
	clock_sleep(SECOND);
	cr_expect_not(guest.gateway_known, "no ARP reply");
	cr_expect_eq(guest.pongs, 0);
	hub->enable = true;
	broker_and_netstack(ACTOR_NETSTACK, 10 * MS);
	clock_sleep(3 * SECOND);
	cr_expect(guest.gateway_known, "it announces itself");
	cr_expect(works(9003));
	gateway_at_rest();
}

Test(sim, a_session_that_is_kicked_takes_its_flows_along)
{
	gateway_with_guest(false);
	begin(64 * MIB);
	wait_for(MIB);
	gateway_kick();
	clock_sleep(SECOND);
	cr_expect_eq(gateway_ports_closed(), 1);
	cr_expect(app_at(UP_PORT, 0)->saw_reset);
	cr_expect(app_at(DOWN_PORT, 0)->saw_reset);
	gateway_at_rest();
}
