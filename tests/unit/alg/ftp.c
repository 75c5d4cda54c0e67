/*
 * FTP: what is rewritten, what is not, what opens a pinhole, what never does; and every capture of
 * tests/vectors/ftp at every split position with the same output.
 */
#include "session.h"

#define SERVER_IP "198.51.100.9"

static struct alg_flow client_view(void)
{
	return harness_client(50000, 40000, 21);
}

static struct alg_flow server_view(void)
{
	struct alg_flow f = client_view();
	f.guest_serves = true;
	f.guest_port = 21;
	f.peer_port = 50000;
	return f;
}

/* A client that is logged in. The directions are forgotten, so that tests see what comes next. */
static struct harness *logged_in(struct alg_flow view, enum harness_mode mode)
{
	struct harness *h = harness_new(&ftp_protocol, view, mode);
	enum alg_direction client = view.guest_serves ? ALG_OUTSIDE : ALG_GUEST;
	enum alg_direction server = view.guest_serves ? ALG_GUEST : ALG_OUTSIDE;
	harness_say(h, server, "220 hello\r\n");
	harness_say(h, client, "USER u\r\n");
	harness_say(h, server, "331 password\r\n");
	harness_say(h, client, "PASS p\r\n");
	harness_say(h, server, "230 in\r\n");
	harness_expect_untouched(h);
	cr_assert_not(h->gave_up);
	h->way[0].out_bytes = h->way[1].out_bytes = 0;
	return h;
}

static void expect_rewritten(const char *line, const char *as, uint16_t port)
{
	struct harness *h = logged_in(client_view(), GRANT);
	harness_say(h, ALG_GUEST, line);
	harness_expect(h, ALG_GUEST, as);
	cr_assert_eq(h->wishes, 1);
	cr_expect_eq(h->wish[0].guest_port, port);
	cr_expect_eq(h->wish[0].peer_ip_be, ip(SERVER_IP));
	cr_expect_eq(h->wish[0].kind, ALG_TCP_LISTEN);
	cr_expect(h->wish[0].lifetime_ms > 0 && h->wish[0].lifetime_ms <= 60000);
	harness_free(h);
}

static void expect_untouched(struct alg_flow view, enum alg_direction from, const char *line)
{
	struct harness *h = logged_in(view, GRANT);
	harness_say(h, from, line);
	harness_expect(h, from, line);
	cr_expect_eq(h->wishes, 0, "%s", line);
	harness_free(h);
}

Test(ftp, port_and_eprt_of_the_guest_are_rewritten)
{
	expect_rewritten("PORT 192,168,30,10,4,1\r\n", "PORT 203,0,113,7,156,65\r\n", 1025);
	expect_rewritten("port 192,168,30,10,255,255\n", "port 203,0,113,7,156,65\n", 65535);
	expect_rewritten("PORT  192,168,30,10,4,0  \r\n", "PORT  203,0,113,7,156,65  \r\n", 1024);
	expect_rewritten("EPRT |1|192.168.30.10|5000|\r\n", "EPRT |1|203.0.113.7|40001|\r\n", 5000);
	expect_rewritten("EPRT !1!192.168.30.10!5000!\r\n", "EPRT !1!203.0.113.7!40001!\r\n", 5000);
}

Test(ftp, refused_means_unchanged)
{
	struct harness *h = logged_in(client_view(), REFUSE);
	harness_say(h, ALG_GUEST, "PORT 192,168,30,10,4,1\r\nLIST\r\n");
	harness_expect(h, ALG_GUEST, "PORT 192,168,30,10,4,1\r\nLIST\r\n");
	cr_expect(h->wishes == 1 && !h->gave_up);
	harness_free(h);
}

Test(ftp, bounce_and_low_ports_never_open_a_pinhole)
{
	const char *lines[] = {
		"PORT 192,168,30,11,4,1\r\n",
		"PORT 198,51,100,9,4,1\r\n",
		"PORT 127,0,0,1,4,1\r\n",
		"PORT 0,0,0,0,4,1\r\n",
		"PORT 203,0,113,7,4,1\r\n",
		"EPRT |1|192.168.30.11|5000|\r\n",
		"PORT 192,168,30,10,3,255\r\n",
		"PORT 192,168,30,10,0,22\r\n",
		"PORT 192,168,30,10,0,0\r\n",
		"EPRT |1|192.168.30.10|1023|\r\n",
		"EPRT |1|192.168.30.10|0|\r\n",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_untouched(client_view(), ALG_GUEST, lines[i]);
}

Test(ftp, lines_that_only_look_like_port_are_left_alone)
{
	const char *lines[] = {
		"PORT 192,168,30,10,4\r\n",
		"PORT 192,168,30,10,4,1,1\r\n",
		"PORT 192,168,30,10,4,256\r\n",
		"PORT 192,168,30,10,4,1 x\r\n",
		"PORT(192,168,30,10,4,1)\r\n",
		"PORT 192.168.30.10.4.1\r\n",
		"PORT -192,168,30,10,4,1\r\n",
		"PORT 192,168,30,10,4,\r\n",
		"PORT\r\n",
		"PORT \r\n",
		"SITE PORT 192,168,30,10,4,1\r\n",
		"XPORT 192,168,30,10,4,1\r\n",
		"EPRT |2|::1|5000|\r\n",
		"EPRT |1|192.168.30.10|65536|\r\n",
		"EPRT |1|192.168.30.10|5000\r\n",
		"EPRT 111192.168.30.10150001\r\n",
		"EPRT |1|192.168.30.10|5000|x\r\n",
		"EPRT\r\n",
		"EPRT |\r\n",
		"STOR PORT 192,168,30,10,4,1\r\n",
		"\377\364\377\362PORT 192,168,30,10,4,1\r\n",
		"LPRT 4,4,192,168,30,10,2,4,1\r\n",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_untouched(client_view(), ALG_GUEST, lines[i]);
}

Test(ftp, nothing_opens_before_the_server_let_the_user_in)
{
	struct harness *h = harness_new(&ftp_protocol, client_view(), GRANT);
	harness_say(h, ALG_OUTSIDE, "220 hello\r\n");
	harness_say(h, ALG_GUEST, "USER u\r\nPORT 192,168,30,10,4,1\r\n");
	harness_say(h, ALG_OUTSIDE,
		"331 230 not yet\r\n530-230 no\r\n230 still inside the reply\r\n530 no\r\n");
	harness_say(h, ALG_GUEST, "PORT 192,168,30,10,4,1\r\n");
	cr_expect_eq(h->wishes, 0);
	harness_say(h, ALG_OUTSIDE, "232 in by security data\r\n");
	harness_say(h, ALG_GUEST, "PORT 192,168,30,10,4,1\r\n");
	cr_expect_eq(h->wishes, 1);
	harness_free(h);
}

Test(ftp, the_client_cannot_log_itself_in)
{
	struct harness *h = harness_new(&ftp_protocol, client_view(), GRANT);
	harness_say(h, ALG_GUEST, "USER u\r\n");
	harness_say(h, ALG_GUEST, "230 in\r\n");
	cr_expect(h->gave_up && h->violation);
	harness_say(h, ALG_GUEST, "PORT 192,168,30,10,4,1\r\n");
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

Test(ftp, multi_line_replies_end_with_their_own_code)
{
	struct harness *h = harness_new(&ftp_protocol, client_view(), GRANT);
	harness_say(h, ALG_OUTSIDE,
		"220-hello\r\n 220 not the end\r\nfree text\r\n\r\n221 nor this\r\n220 end\r\n");
	harness_say(h, ALG_GUEST, "USER u\r\n");
	harness_say(h, ALG_OUTSIDE, "230-welcome\n230-more\n230 in\n");
	harness_say(h, ALG_GUEST, "PORT 192,168,30,10,4,1\r\n");
	cr_expect(h->wishes == 1 && !h->gave_up);
	harness_free(h);
}

Test(ftp, slipstreaming_is_over_with_its_first_line)
{
	const char *openers[] = {
		"POST / HTTP/1.1\r\n",
		"GET / HTTP/1.0\r\n",
		"PUT /x HTTP/1.1\r\n",
		"OPTIONS sip:a SIP/2.0\r\n",
		"REGISTER sip:a SIP/2.0\r\n",
		"\r\n",
		" USER u\r\n",
		"HELO x\r\n",
		"\026\003\001\002\r\n",
		"Host: x\r\n",
		"STOR x\r\n",
		"{\"a\":1}\n",
	};
	for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++) {
		struct harness *h = harness_new(&ftp_protocol, client_view(), GRANT);
		harness_say(h, ALG_OUTSIDE, "220 a\r\n230 in\r\n");
		harness_say(h, ALG_GUEST, openers[i]);
		cr_expect(h->gave_up && h->violation, "%s", openers[i]);
		harness_say(h, ALG_GUEST,
			"Content-Length: 99\r\n\r\nUSER u\r\nPORT 192,168,30,10,4,1\r\n");
		harness_expect_untouched(h);
		cr_expect_eq(h->wishes, 0);
		harness_free(h);
	}
}

Test(ftp, one_violation_later_ends_it_too)
{
	const struct {
		enum alg_direction from;
		const char *bytes;
		size_t n;
	} bad[] = {
		{ALG_GUEST, "POST / HTTP/1.1\r\n", 17},
		{ALG_GUEST, "\r\n", 2},
		{ALG_GUEST, "NO\0OP\r\n", 7},
		{ALG_GUEST, "Accept: */*\r\n", 13},
		{ALG_OUTSIDE, "hello\r\n", 7},
		{ALG_OUTSIDE, "22 x\r\n", 6},
		{ALG_OUTSIDE, "2200 x\r\n", 8},
		{ALG_OUTSIDE, "200\0x\r\n", 7},
		{ALG_OUTSIDE, "\r\n", 2},
		{ALG_OUTSIDE, "700 x\r\n", 7},
		{ALG_OUTSIDE, "200x\r\n", 6},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct harness *h = logged_in(client_view(), GRANT);
		harness_send(h, bad[i].from, bad[i].bytes, bad[i].n);
		cr_expect(h->gave_up && h->violation, "case %zu", i);
		harness_say(h, ALG_GUEST, "PORT 192,168,30,10,4,1\r\n");
		cr_expect_eq(h->wishes, 0);
		harness_free(h);
	}
}

Test(ftp, a_line_over_4_kib_ends_it)
{
	static char line[4200];
	memset(line, 'A', sizeof(line));
	memcpy(line, "CWD ", 4);
	for (size_t n = 4094; n <= 4097; n++) {
		struct harness *h = logged_in(client_view(), GRANT);
		line[n - 1] = '\n';
		harness_send(h, ALG_GUEST, line, n);
		cr_expect_eq(h->gave_up, n > 4096, "%zu bytes", n);
		cr_expect_eq(h->way[ALG_GUEST].out_bytes, n);
		line[n - 1] = 'A';
		harness_free(h);
	}
}

Test(ftp, tls_is_left_alone)
{
	struct harness *h = harness_new(&ftp_protocol, client_view(), GRANT);
	harness_say(h, ALG_OUTSIDE, "220 hello\r\n");
	harness_say(h, ALG_GUEST, "AUTH TLS\r\n");
	harness_say(h, ALG_OUTSIDE, "234 go on\r\n");
	cr_expect(h->gave_up && !h->violation);
	harness_send(h, ALG_GUEST, "\026\003\001\0\n", 5);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(ftp, a_refused_auth_changes_nothing)
{
	struct harness *h = harness_new(&ftp_protocol, client_view(), GRANT);
	harness_say(h, ALG_OUTSIDE, "220 hello\r\n");
	harness_say(h, ALG_GUEST, "AUTH TLS\r\n");
	harness_say(h, ALG_OUTSIDE, "534 no\r\n");
	harness_say(h, ALG_GUEST, "USER u\r\n");
	harness_say(h, ALG_OUTSIDE, "230 in\r\n");
	harness_say(h, ALG_GUEST, "CCC\r\nPORT 192,168,30,10,4,1\r\n");
	cr_expect(h->wishes == 1 && !h->gave_up);
	harness_say(h, ALG_OUTSIDE, "533 no\r\n200 ok\r\n");
	cr_expect_eq(harness_count(h, ALG_ARM, h->wish[0].token), 1);
	harness_free(h);
}

Test(ftp, passive_replies_to_a_client_pass)
{
	struct harness *h = logged_in(client_view(), GRANT);
	harness_say(h, ALG_GUEST, "PASV\r\n");
	harness_say(h, ALG_OUTSIDE, "227 Entering Passive Mode (192,168,30,10,4,1).\r\n");
	harness_say(h, ALG_GUEST, "EPSV\r\n");
	harness_say(h, ALG_OUTSIDE, "229 Entering Extended Passive Mode (|||5000|)\r\n");
	harness_expect(h, ALG_OUTSIDE,
		"227 Entering Passive Mode (192,168,30,10,4,1).\r\n"
		"229 Entering Extended Passive Mode (|||5000|)\r\n");
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

static void expect_passive(const char *command, const char *reply, const char *as, uint16_t port)
{
	struct harness *h = logged_in(server_view(), GRANT);
	harness_say(h, ALG_OUTSIDE, command);
	harness_say(h, ALG_GUEST, reply);
	harness_expect(h, ALG_GUEST, as);
	cr_assert_eq(h->wishes, 1, "%s", reply);
	cr_expect(h->wish[0].guest_port == port && h->wish[0].peer_ip_be == ip(SERVER_IP));
	harness_free(h);
}

Test(ftp, passive_replies_of_a_guest_that_serves_are_rewritten)
{
	expect_passive("PASV\r\n", "227 Entering Passive Mode (192,168,30,10,4,1).\r\n",
		"227 Entering Passive Mode (203,0,113,7,156,65).\r\n", 1025);
	expect_passive(
		"PASV\r\n", "227 =192,168,30,10,4,1\r\n", "227 =203,0,113,7,156,65\r\n", 1025);
	expect_passive("EPSV\r\n", "229 Entering Extended Passive Mode (|||5000|)\r\n",
		"229 Entering Extended Passive Mode (|||40001|)\r\n", 5000);
	expect_passive("EPSV 1\r\n", "229 x (!!!5000!)\r\n", "229 x (!!!40001!)\r\n", 5000);
	expect_passive("EPSV ALL\r\nEPSV\r\n", "200 ok\r\n229 (|||5000|)\r\n",
		"200 ok\r\n229 (|||40001|)\r\n", 5000);
	expect_passive("PASV\r\n", "227 192,168,30,10,4,1\r\n", "227 203,0,113,7,156,65\r\n", 1025);
	expect_passive("PASV\r\n", "227-first\r\n (1,2,3,4,5,6)\r\n227 (192,168,30,10,4,1)\r\n",
		"227-first\r\n (1,2,3,4,5,6)\r\n227 (203,0,113,7,156,65)\r\n", 1025);
	expect_passive("EPSV\r\n", "229-first\r\n229 (|||5000|)\r\n",
		"229-first\r\n229 (|||40001|)\r\n", 5000);
}

Test(ftp, passive_commands_that_are_pipelined_are_answered_each)
{
	struct harness *h = logged_in(server_view(), GRANT);
	harness_say(h, ALG_OUTSIDE, "EPSV\r\nPASV\r\n");
	harness_say(h, ALG_GUEST,
		"229 (|||5000|)\r\n227 (192,168,30,10,4,1)\r\n227 (192,168,30,10,4,2)\r\n");
	harness_expect(h, ALG_GUEST,
		"229 (|||40001|)\r\n227 (203,0,113,7,156,66)\r\n227 (192,168,30,10,4,2)\r\n");
	cr_expect_eq(h->wishes, 2, "the third was not asked for");
	harness_free(h);
}

Test(ftp, an_outside_clients_commands_go_on_as_they_are)
{
	const char *lines[] = {"PORT 198,51,100,9,4,1\r\n", "EPRT |1|198.51.100.9|5000|\r\n",
		"EPRT |1|192.168.30.10|5000|\r\n", "LPSV\r\n", "HOST ftp.example\r\n"};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_untouched(server_view(), ALG_OUTSIDE, lines[i]);
	expect_untouched(server_view(), ALG_GUEST,
		"228 Entering Long Passive Mode (4,4,192,168,30,10,2,4,1)\r\n");
}

Test(ftp, who_logs_out_may_not_ask_any_more)
{
	struct harness *h = logged_in(client_view(), GRANT);
	harness_say(h, ALG_GUEST, "REIN\r\n");
	harness_say(h, ALG_OUTSIDE, "220 again\r\n");
	harness_say(h, ALG_GUEST, "PORT 192,168,30,10,4,1\r\n");
	cr_expect_eq(h->wishes, 0);
	harness_say(h, ALG_OUTSIDE, "530 no\r\n230 in\r\n");
	harness_say(h, ALG_GUEST, "PORT 192,168,30,10,4,1\r\n");
	cr_expect_eq(h->wishes, 1);
	harness_free(h);
}

Test(ftp, passive_replies_of_a_guest_open_nothing_unasked)
{
	expect_untouched(
		server_view(), ALG_GUEST, "227 Entering Passive Mode (192,168,30,10,4,1).\r\n");
	expect_untouched(
		server_view(), ALG_GUEST, "229 Entering Extended Passive Mode (|||5000|)\r\n");
	const char *replies[] = {
		"227 (192,168,30,11,4,1)\r\n",
		"227 (192,168,30,10,0,80)\r\n",
		"227 none\r\n",
		"227\r\n",
		"227 (1,2,3)\r\n",
		"229 (|||5000|)\r\n",
		"227-(192,168,30,10,4,1)\r\n",
	};
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		struct harness *h = logged_in(server_view(), GRANT);
		harness_say(h, ALG_OUTSIDE, "PASV\r\n");
		harness_say(h, ALG_GUEST, replies[i]);
		harness_expect(h, ALG_GUEST, replies[i]);
		cr_expect_eq(h->wishes, 0, "%s", replies[i]);
		harness_free(h);
	}
	const char *eprt = "EPSV\r\n";
	const char *bad[] = {"229 (|||80|)\r\n", "229 |||5000|\r\n", "229 (||5000|)\r\n",
		"229 (|||65536|)\r\n", "229 (\r\n", "229 (111500011)\r\n", "229 (222 5000 2)\r\n",
		"229 (   5000 )\r\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct harness *h = logged_in(server_view(), GRANT);
		harness_say(h, ALG_OUTSIDE, eprt);
		harness_say(h, ALG_GUEST, bad[i]);
		harness_expect(h, ALG_GUEST, bad[i]);
		cr_expect_eq(h->wishes, 0, "%s", bad[i]);
		harness_free(h);
	}
	expect_untouched(server_view(), ALG_OUTSIDE, "PORT 192,168,30,10,4,1\r\n");
}

Test(ftp, the_server_decides_whether_anybody_comes)
{
	struct harness *h = logged_in(client_view(), GRANT);
	harness_say(h, ALG_GUEST, "SIZE x\r\nPORT 192,168,30,10,4,1\r\nRETR x\r\n");
	harness_say(h, ALG_OUTSIDE, "550 no size\r\n");
	cr_expect_eq(h->acts, 0, "that was SIZE's");
	cr_expect(h->wish[0].latent);
	harness_say(h, ALG_OUTSIDE, "500 no such thing\r\n");
	cr_expect(h->acts == 1 && harness_count(h, ALG_CLOSE, h->wish[0].token) == 1);
	harness_free(h);
	h = logged_in(client_view(), GRANT);
	harness_say(h, ALG_GUEST, "PORT 192,168,30,10,4,1\r\nRETR x\r\n");
	harness_say(h, ALG_OUTSIDE, "200 ok\r\n150 here\r\n426 broken\r\n");
	cr_expect(h->acts == 1 && harness_count(h, ALG_ARM, h->wish[0].token) == 1,
		"accepted: what becomes of the transfer is natproxy's to see");
	harness_free(h);
	h = logged_in(client_view(), GRANT);
	harness_say(h, ALG_GUEST, "\377\364\377\362ABOR\r\nPORT 192,168,30,10,4,1\r\n");
	cr_expect_not(h->wish[0].latent, "after ABOR replies cannot be counted");
	harness_say(h, ALG_OUTSIDE, "426 a\r\n226 b\r\n500 c\r\n");
	cr_expect_eq(h->acts, 0);
	harness_free(h);
}

Test(ftp, pipelined_commands_wait_their_turn)
{
	struct harness *h = logged_in(client_view(), LATER);
	harness_say(h, ALG_GUEST,
		"TYPE I\r\nPORT 192,168,30,10,4,1\r\nRETR x\r\nPORT 192,168,30,10,4,2\r\nQUIT\r\n");
	harness_expect(h, ALG_GUEST, "TYPE I\r\n");
	harness_answer(h, true);
	harness_expect(h, ALG_GUEST, "TYPE I\r\nPORT 203,0,113,7,156,65\r\nRETR x\r\n");
	cr_expect_eq(h->wishes, 2);
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1, "one pinhole at a time");
	harness_answer(h, false);
	harness_expect(h, ALG_GUEST,
		"TYPE I\r\nPORT 203,0,113,7,156,65\r\nRETR x\r\nPORT "
		"192,168,30,10,4,2\r\nQUIT\r\n");
	harness_free(h);
}

/* ---- captures ---- */

static void cut_everywhere(const struct session *s)
{
	session_cut_everywhere(s, &ftp_protocol);
}

Test(ftp_captures, every_split_position_gives_the_same_output, .timeout = 240)
{
	session_each(VECTOR_DIRECTORY, 17, cut_everywhere);
}

static void without_its_address(const struct session *s)
{
	for (int serves = 0; serves < 2; serves++) {
		struct harness *h = session_play_foreign(s, &ftp_protocol, true, serves);
		if (!serves) { /* 229 carries no address: it is the serving guest's own by
				  definition */
			harness_expect_untouched(h);
			cr_assert_eq(h->wishes, 0, "%s", s->name);
		}
		harness_free(h);
	}
}

Test(ftp_captures, a_foreign_address_leaves_every_byte_as_it_was)
{
	session_each(VECTOR_DIRECTORY, 17, without_its_address);
}

static unsigned int wishes_in(const char *name, bool serves)
{
	struct session *s = session_load(VECTOR_DIRECTORY, name);
	struct harness *h = session_play(
		s, &ftp_protocol, session_view(s, true, serves), SESSION_WHOLE, SESSION_NO_CUT);
	unsigned int n = h->wishes;
	if (!n)
		harness_expect_untouched(h);
	harness_free(h);
	free(s);
	return n;
}

Test(ftp_captures, each_does_what_its_name_says)
{
	cr_expect_eq(wishes_in("suricata-ftp-bounce-1.session", false), 1, "its own address");
	cr_expect_eq(wishes_in("suricata-ftp-bounce-2.session", false), 0);
	cr_expect_eq(wishes_in("ftp-many-port-expected-1.session", false), 0,
		"no login, another address");
	cr_expect_eq(wishes_in("ftp-auth-tls-1.session", false), 0);
	cr_expect_eq(wishes_in("ftp-active-mode-1.session", false), 1);
	cr_expect_eq(wishes_in("ipv4-1.session", false), 2);
	cr_expect_eq(wishes_in("ipv6-1.session", false), 0);
	cr_expect_eq(wishes_in("own-vsftpd-curl-epsv-pasv-eprt-port-1.session", false), 0);
	cr_expect_eq(wishes_in("own-vsftpd-curl-epsv-pasv-eprt-port-3.session", false), 1);
	cr_expect_eq(wishes_in("own-vsftpd-curl-epsv-pasv-eprt-port-4.session", false), 1);
	cr_expect_eq(wishes_in("own-vsftpd-curl-epsv-pasv-eprt-port-1.session", true), 1);
}
