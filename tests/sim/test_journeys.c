/* docs/life-of-a-frame.md: each journey's crossings, in order, as they are seen between the actors. */
#include <criterion/criterion.h>

#include "apps.h"
#include "cable.h"
#include "clock.h"
#include "gateway.h"
#include "guest.h"
#include "trace.h"

enum { PORT = 9200, BYTES = 100000 };

static void expect_trace(const char *const *crossings, unsigned int n)
{
	cr_expect(trace_has(crossings, n), "the trace is: %s", trace_text());
}
#define EXPECT_TRACE(...)                                                                          \
	expect_trace((const char *const[]){__VA_ARGS__},                                           \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

Test(sim, journey_dhcp)
{
	static const struct cable_profile perfect = {.delay_ns = 50 * US};
	cable_set(&perfect, 1);
	gateway_boot(false);
	trace_start();
	guest_dhcp();
	clock_sleep(SECOND);
	cr_expect_eq(guest.dhcp, DHCP_BOUND);
	EXPECT_TRACE("broker>dhcpd dhcp_heard", "dhcpd>broker dhcp_answer",
		"broker>dhcpd dhcp_heard", "dhcpd>supervisor lease_commit",
		"dhcpd>broker dhcp_answer");
	gateway_at_rest();
}

Test(sim, journey_opening_and_refusal)
{
	const struct app like = {.finish = true};
	struct guest_conn *c;
	gateway_with_guest(false);
	app_serve(SERVER_IP, PORT, &like);
	trace_start();
	c = guest_connect(SERVER_IP, PORT);
	clock_sleep(20 * MS);
	EXPECT_TRACE("broker>netstack FRAME", "netstack>natproxy TCP_OPEN",
		"natproxy>netstack TCP_OPENED", "netstack>broker SEND");
	c->finish = true;
	guest_push(c);
	clock_sleep(SECOND);
	trace_start();
	guest_connect(SERVER_IP, 1);
	clock_sleep(20 * MS);
	EXPECT_TRACE("broker>netstack FRAME", "netstack>natproxy TCP_OPEN",
		"natproxy>netstack TCP_FAILED", "netstack>broker SEND");
	gateway_at_rest();
}

Test(sim, journey_upload)
{
	const struct app like = {.finish = true, .recv_seed = 6};
	struct guest_conn *c;
	gateway_with_guest(false);
	app_serve(SERVER_IP, PORT, &like);
	c = guest_connect(SERVER_IP, PORT);
	clock_sleep(100 * MS);
	trace_start();
	c->send_seed = 6;
	c->send_total = BYTES;
	c->finish = true;
	guest_push(c);
	clock_sleep(SECOND);
	cr_expect_eq(app_at(PORT, 0)->received, BYTES);
	EXPECT_TRACE("broker>netstack FRAME", "netstack>natproxy TCP_DATA",
		"natproxy>netstack TCP_CONSUMED", "netstack>broker SEND");
	EXPECT_TRACE("netstack>natproxy TCP_DATA", "natproxy>netstack RELEASE_WRITTEN",
		"netstack>broker RELEASE_FRAME");
	gateway_at_rest();
}

Test(sim, journey_download)
{
	const struct app like = {
		.send_seed = 5, .send_total = BYTES, .finish = true, .recv_seed = 6};
	struct guest_conn *c;
	gateway_with_guest(false);
	app_serve(SERVER_IP, PORT, &like);
	trace_start();
	c = guest_connect(SERVER_IP, PORT);
	c->recv_seed = 5;
	clock_sleep(SECOND);
	cr_expect_eq(guest_received(c), BYTES);
	EXPECT_TRACE("netstack>natproxy TCP_CREDIT", "natproxy>netstack TCP_DATA",
		"netstack>broker SEND", "broker>netstack FRAME", "netstack>natproxy RELEASE_READ");
	c->finish = true;
	guest_push(c);
	gateway_at_rest();
}

Test(sim, journey_ftp_port)
{
	static struct app like = {.send_total = 11, .text = "220 ready\r\n"};
	struct guest_conn *c;
	gateway_with_guest(false);
	app_serve(SERVER_IP, 21, &like);
	c = guest_connect(SERVER_IP, 21);
	clock_sleep(100 * MS);
	guest_say(c, "USER a\r\n");
	clock_sleep(100 * MS);
	app_say(app_at(21, 0), "230 in\r\n");
	clock_sleep(100 * MS);
	trace_start();
	guest_say(c, "PORT 192,168,30,10,195,101\r\n");
	clock_sleep(100 * MS);
	EXPECT_TRACE("netstack>natproxy TCP_DATA", "natproxy>alg flow_bytes",
		"alg>natproxy pinhole_open", "natproxy>alg pinhole_answer", "alg>natproxy verdict",
		"natproxy>netstack TCP_CONSUMED");
	app_say(app_at(21, 0), "200 PORT is good\r\n"); /* the door is armed by that */
	clock_sleep(100 * MS);
	guest.listen_port = 50021;
	trace_start();
	app_call(SERVER_IP, 20, 50021, &like);
	clock_sleep(100 * MS);
	EXPECT_TRACE("natproxy>netstack TCP_INCOMING", "netstack>broker SEND",
		"broker>netstack FRAME", "netstack>natproxy TCP_ACCEPTED",
		"natproxy>netstack TCP_DATA");
	guest_abort(guest.accepted);
	guest_abort(c);
	gateway_at_rest();
}
