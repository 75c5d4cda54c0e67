/* FTP in active mode through alg: the PORT is rewritten, the server's connection reaches the guest; and forgeries. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "apps.h"
#include "clock.h"
#include "gateway.h"
#include "guest.h"
#include "internet.h"
#include "snapshot.h"
#include "trace.h"

enum { FTP_PORT = 21, FTP_DATA_PORT = 20, DATA_PORT = 50021, FILE_BYTES = 1 << 20, FILE_SEED = 77 };

static struct app *transfer;
static uint32_t ports_seen;

static void send_file(struct app *a, unsigned int high, unsigned int low)
{
	const struct app like = {
		.send_seed = FILE_SEED, .send_total = FILE_BYTES, .finish = true, .recv_seed = 1};
	transfer = app_call(a->peer->ip == HOST_IP ? SERVER_IP : 0, FTP_DATA_PORT,
		(uint16_t)(high << 8 | low), &like);
}

static void command(struct app *a, const char *line)
{
	static unsigned int h[6];
	if (!strncmp(line, "USER", 4))
		app_say(a, "331 password\r\n");
	else if (!strncmp(line, "PASS", 4))
		app_say(a, "230 welcome\r\n");
	else if (sscanf(line, "PORT %u,%u,%u,%u,%u,%u", &h[0], &h[1], &h[2], &h[3], &h[4], &h[5]) ==
		 6) {
		ports_seen += (h[0] << 24 | h[1] << 16 | h[2] << 8 | h[3]) == HOST_IP;
		app_say(a, "200 PORT is good\r\n");
	} else if (!strncmp(line, "RETR", 4)) {
		app_say(a, "150 here it comes\r\n");
		send_file(a, h[4], h[5]);
	} else if (!strncmp(line, "QUIT", 4)) {
		app_say(a, "221 bye\r\n");
		a->finish = true;
	}
}

/* Lines heard so far are kept in a->heard; recv counts what was there before. */
static void on_bytes(struct app *a)
{
	static size_t read;
	char *line = a->heard + read, *end;
	while ((end = strstr(line, "\r\n"))) {
		*end = '\0';
		command(a, line);
		line = end + 2;
	}
	read = (size_t)(line - a->heard);
}

static struct guest_conn *log_in(void)
{
	static struct app like = {.on_bytes = on_bytes};
	struct guest_conn *c;
	strcpy(like.text, "220 ready\r\n");
	like.send_total = strlen(like.text);
	app_serve(SERVER_IP, FTP_PORT, &like);
	c = guest_connect(SERVER_IP, FTP_PORT);
	clock_sleep(100 * MS);
	guest_say(c, "USER guest\r\n");
	clock_sleep(100 * MS);
	guest_say(c, "PASS secret\r\n");
	clock_sleep(100 * MS);
	cr_assert(strstr((char *)c->heard, "230 "), "heard: %s", c->heard);
	return c;
}

static void on_accept(struct guest_conn *c)
{
	c->recv_seed = FILE_SEED;
	c->finish = true;
}

static bool file_done(void *arg)
{
	return guest.accepted && guest.accepted->state == GUEST_DONE && transfer && transfer->done;
}

Test(sim, ftp_active)
{
	struct guest_conn *c;
	char port[64];
	gateway_with_guest(false);
	snapshot_begin();
	c = log_in();
	guest.listen_port = DATA_PORT;
	guest.accept = on_accept;
	snprintf(port, sizeof(port), "PORT 192,168,30,10,%d,%d\r\n", DATA_PORT >> 8,
		DATA_PORT & 255);
	guest_say(c, port);
	clock_sleep(100 * MS);
	cr_expect_eq(ports_seen, 1, "the PORT did not reach the server with the outside address");
	cr_expect_eq(gateway_notes("The ALG expectation 1 was created"), 1);
	guest_say(c, "RETR file\r\n");
	cr_assert(clock_until(file_done, NULL, 5 * SECOND), "no data connection");
	cr_expect_eq(
		guest.accepted->remote_ip, SERVER_IP, "the guest sees the server's own address");
	cr_expect_eq(guest_received(guest.accepted), FILE_BYTES);
	cr_expect_eq(guest.accepted->wrong, 0);
	cr_expect_eq(gateway_notes("The ALG expectation 1 was used"), 1);
	c->finish = true;
	guest_say(c, "QUIT\r\n");
	clock_sleep(SECOND);
	cr_expect_eq(c->state, GUEST_DONE);
	snapshot_end("ftp_active");
	gateway_at_rest();
}

Test(sim, ftp_door_opens_for_the_server_only)
{
	const struct app stranger = {.send_seed = 3, .send_total = 10, .finish = true};
	struct guest_conn *c;
	struct app *knocking;
	gateway_with_guest(false);
	snapshot_begin();
	c = log_in();
	guest.listen_port = DATA_PORT;
	guest.accept = on_accept;
	guest_say(c, "PORT 192,168,30,10,195,101\r\n");
	clock_sleep(100 * MS);
	knocking = app_call(SERVER_IP + 1, 4444, DATA_PORT, &stranger);
	clock_sleep(SECOND);
	cr_expect(knocking->saw_reset && !guest.accepted);
	c->finish = true;
	guest_push(c);
	clock_sleep(100 * MS);
	peer_finish(app_at(FTP_PORT, 0)->peer);
	clock_sleep(SECOND);
	snapshot_end("ftp_door_opens_for_the_server_only");
	gateway_at_rest();
}

/* A browser that is made to speak to port 21 puts a PORT in the middle of its request: nothing may open. */
Test(sim, slipstream_opens_nothing)
{
	static const char *const forged[] = {
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPORT 192,168,30,10,0,22\r\n",
		"PORT 192,168,30,10,195,101\r\nPORT 192,168,30,1,195,101\r\nPORT "
		"192,168,30,11,195,101\r\n",
	};
	struct app like = {.recv_seed = 0};
	struct guest_conn *c;
	gateway_with_guest(false);
	snapshot_begin();
	app_serve(SERVER_IP, FTP_PORT, &like);
	c = guest_connect(SERVER_IP, FTP_PORT);
	clock_sleep(100 * MS);
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		guest_say(c, forged[i]);
		clock_sleep(100 * MS);
	}
	cr_expect_eq(gateway_notes("was created. Protocol ftp"), 0);
	cr_expect_eq(internet_sockets(), 1, "only the connection itself is open");
	cr_expect(strstr(app_at(FTP_PORT, 0)->heard, "PORT 192,168,30,10,0,22"),
		"what is not FTP passes as it is");
	guest_abort(c);
	clock_sleep(SECOND);
	snapshot_end("slipstream_opens_nothing");
	gateway_at_rest();
}
