/*
 * RTSP: what is rewritten, what is not, what opens a pinhole and when, what never does; and every
 * recorded session at every split position with the same output.
 */
#include "session.h"

#define GUEST_IP   "192.168.30.10"
#define SERVER_IP  "198.51.100.9"
#define OUTSIDE_IP "203.0.113.7"
#define URL	   "rtsp://198.51.100.9/t"

static struct alg_flow client_view(void)
{
	return (struct alg_flow){
		.guest_ip_be = ip(GUEST_IP),
		.outside_ip_be = ip(OUTSIDE_IP),
		.peer_ip_be = ip(SERVER_IP),
		.guest_port = 50000,
		.outside_port = 40000,
		.peer_port = 554,
	};
}

static struct alg_flow server_view(void)
{
	struct alg_flow f = client_view();
	f.guest_serves = true;
	f.guest_port = 8554;
	f.outside_port = 8554;
	f.peer_port = 50000;
	return f;
}

/* A connection that was opened. The directions are forgotten, so that tests see what comes next. */
static struct harness *opened(struct alg_flow view, enum harness_mode mode)
{
	struct harness *h = harness_new(&rtsp_protocol, view, mode);
	const enum alg_direction client = view.guest_serves ? ALG_OUTSIDE : ALG_GUEST;
	harness_say(h, client, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
	harness_say(h, (enum alg_direction) !client, "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n");
	harness_expect_untouched(h);
	cr_assert_not(h->gave_up);
	h->way[0].out_bytes = h->way[1].out_bytes = 0;
	return h;
}

static const char *setup(unsigned int cseq, const char *transport)
{
	static char message[16384];
	snprintf(message, sizeof(message),
		"SETUP " URL
		"/%u RTSP/1.0\r\nCSeq: %u\r\nTransport: %s\r\nSession: s;timeout=60\r\n\r\n",
		cseq, cseq, transport);
	return message;
}

static const char *answer(unsigned int cseq, const char *status, const char *transport)
{
	static char message[16384];
	snprintf(message, sizeof(message),
		"RTSP/1.0 %s\r\nCSeq: %u\r\nSession: s\r\nTransport: %s\r\n\r\n", status, cseq,
		transport);
	return message;
}

static void forget(struct harness *h)
{
	h->way[0].out_bytes = h->way[1].out_bytes = 0;
}

/* A SETUP that is rewritten as `as`; its wishes are of these kinds and ports. */
static void expect_rewritten(const char *transport, const char *as, unsigned int count,
	enum alg_kind kind, uint16_t first, uint16_t second)
{
	struct harness *h = opened(client_view(), GRANT);
	const uint16_t ports[] = {first, second};
	harness_say(h, ALG_GUEST, setup(2, transport));
	harness_expect(h, ALG_GUEST, setup(2, as));
	cr_assert_eq(h->wishes, count, "%s", transport);
	for (unsigned int i = 0; i < count; i++) {
		cr_expect_eq(h->wish[i].kind, kind);
		cr_expect_eq(h->wish[i].guest_port, ports[i]);
		cr_expect_eq(h->wish[i].peer_ip_be, ip(SERVER_IP));
		cr_expect(h->wish[i].latent);
		cr_expect(h->wish[i].lifetime_ms > 0 && h->wish[i].lifetime_ms <= 60000);
	}
	cr_expect_eq(h->acts, 0, "nobody may come in yet");
	harness_free(h);
}

static void expect_untouched(struct alg_flow view, enum alg_direction from, const char *message)
{
	struct harness *h = opened(view, GRANT);
	harness_say(h, from, message);
	harness_expect(h, from, message);
	cr_expect_eq(h->wishes, 0, "%s", message);
	harness_free(h);
}

/* ---- SETUP of a guest ---- */

Test(rtsp, ports_of_a_setup_are_rewritten)
{
	expect_rewritten("RTP/AVP;unicast;client_port=6970-6971",
		"RTP/AVP;unicast;client_port=40000-40001", 1, ALG_UDP_PAIR, 6970, 0);
	expect_rewritten("RTP/AVP/UDP;client_port=6970;unicast",
		"RTP/AVP/UDP;client_port=40001;unicast", 1, ALG_UDP_ONE, 6970, 0);
	expect_rewritten("RTP/SAVP;client_port=5001-5002", "RTP/SAVP;client_port=40001-40002", 2,
		ALG_UDP_ONE, 5001, 5002);
	expect_rewritten("RTP/AVP;client_port=5000-7000", "RTP/AVP;client_port=40001-40002", 2,
		ALG_UDP_ONE, 5000, 7000);
	expect_rewritten("RTP/AVP;client_port=5000-5000", "RTP/AVP;client_port=40001-40001", 1,
		ALG_UDP_ONE, 5000, 0);
	expect_rewritten("RTP/AVP;client_port=65534-65535", "RTP/AVP;client_port=40000-40001", 1,
		ALG_UDP_PAIR, 65534, 0);
	expect_rewritten("RTP/AVP;client_port=1024-1025", "RTP/AVP;client_port=40000-40001", 1,
		ALG_UDP_PAIR, 1024, 0);
}

Test(rtsp, addresses_beside_them_too)
{
	expect_rewritten("RTP/AVP;destination=192.168.30.10;client_port=6970-6971",
		"RTP/AVP;destination=203.0.113.7;client_port=40000-40001", 1, ALG_UDP_PAIR, 6970,
		0);
	expect_rewritten("RTP/AVP;client_port=6970-6971;destination=\"192.168.30.10\"",
		"RTP/AVP;client_port=40000-40001;destination=\"203.0.113.7\"", 1, ALG_UDP_PAIR,
		6970, 0);
	expect_rewritten("RTP/AVP;dest_addr=\":6970\"/\":6971\"",
		"RTP/AVP;dest_addr=\":40000\"/\":40001\"", 1, ALG_UDP_PAIR, 6970, 0);
	expect_rewritten("RTP/AVP;dest_addr=\"192.168.30.10:6970\"/\"192.168.30.10:6971\";x",
		"RTP/AVP;dest_addr=\"203.0.113.7:40000\"/\"203.0.113.7:40001\";x", 1, ALG_UDP_PAIR,
		6970, 0);
}

Test(rtsp, one_wish_for_all_specifications_with_the_same_ports)
{
	expect_rewritten(
		"RTP/SAVPF;client_port=6970-6971,RTP/AVP/TCP;interleaved=0-1 "
		",\r\n\tRTP/AVP;client_port=6970-6971,RTP/AVP;multicast;client_port=6970-6971",
		"RTP/SAVPF;client_port=40000-40001,RTP/AVP/TCP;interleaved=0-1 "
		",\r\n\tRTP/AVP;client_port=40000-40001,RTP/AVP;multicast;client_port=6970-6971",
		1, ALG_UDP_PAIR, 6970, 0);
	expect_rewritten("RTP/AVP;client_port=6970-6971,RTP/AVP;client_port=6980-6981",
		"RTP/AVP;client_port=40000-40001,RTP/AVP;client_port=40002-40003", 2, ALG_UDP_PAIR,
		6970, 6980);
	expect_rewritten(
		"RTP/AVP;client_port=6970-6971\r\nTransport: RTP/AVP/UDP;client_port=6970-6971",
		"RTP/AVP;client_port=40000-40001\r\nTransport: RTP/AVP/UDP;client_port=40000-40001",
		1, ALG_UDP_PAIR, 6970, 0);
	expect_rewritten("RTP/AVP;client_port=80-81,RTP/AVP/UDP;client_port=6970-6971",
		"RTP/AVP;client_port=80-81,RTP/AVP/UDP;client_port=40000-40001", 1, ALG_UDP_PAIR,
		6970, 0);
	expect_rewritten("RTP/AVP;destination=192.168.30.11;client_port=6970-6971,RTP/"
			 "AVP;client_port=6970-6971",
		"RTP/AVP;destination=192.168.30.11;client_port=6970-6971,RTP/"
		"AVP;client_port=40000-40001",
		1, ALG_UDP_PAIR, 6970, 0);
}

Test(rtsp, a_single_port_may_be_half_of_a_pair)
{
	expect_rewritten("x-real-rdt/mcast;client_port=6970,x-real-rdt/udp;client_port=6970,rtp/"
			 "avp;client_port=6970-6971",
		"x-real-rdt/mcast;client_port=6970,x-real-rdt/udp;client_port=40000,rtp/"
		"avp;client_port=40000-40001",
		1, ALG_UDP_PAIR, 6970, 0);
	expect_rewritten("RTP/AVP;client_port=6970-6971,x/udp;client_port=6971",
		"RTP/AVP;client_port=40000-40001,x/udp;client_port=40001", 1, ALG_UDP_PAIR, 6970,
		0);
}

Test(rtsp, what_names_another_host_or_a_low_port_or_no_port_opens_nothing)
{
	const char *transports[] = {
		"RTP/AVP/TCP;unicast;interleaved=0-1",
		"RTP/AVP;multicast;client_port=6970-6971",
		"RTP/AVP;multicast;port=6970-6971;ttl=16",
		"RTP/AVP;unicast",
		"RTP/AVP;client_port=1023-1024",
		"RTP/AVP;client_port=22",
		"RTP/AVP;client_port=0-1",
		"RTP/AVP;client_port=6970-22",
		"RTP/AVP;client_port=65536",
		"RTP/AVP;destination=192.168.30.11;client_port=6970-6971",
		"RTP/AVP;destination=198.51.100.9;client_port=6970-6971",
		"RTP/AVP;destination=203.0.113.7;client_port=6970-6971",
		"RTP/AVP;destination=printer;client_port=6970-6971",
		"RTP/AVP;dest_addr=\"192.168.30.11:6970\"/\"192.168.30.11:6971\"",
		"RTP/AVP;dest_addr=\"192.168.30.10:6970\"/\"192.168.30.11:6971\"",
		"RTP/AVP;dest_addr=\"[::1]:6970\"",
		"RTP/AVP;client_port=6970;client_port=6971",
		("RTP/AVP;client_port=6970-6971,RTP/AVP;client_port=6980-6981,"
		 "RTP/AVP;client_port=6990-6991"),
		"RTP/AVP;client_port=6971-6970,RTP/AVP;client_port=6970-6971",
		"",
	};
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		expect_untouched(client_view(), ALG_GUEST, setup(2, transports[i]));
	expect_untouched(client_view(), ALG_GUEST,
		"SETUP " URL " RTSP/1.0\r\nTransport: RTP/AVP;client_port=6970-6971\r\n\r\n");
	expect_untouched(client_view(), ALG_GUEST,
		"SETUP " URL
		" RTSP/1.0\r\nCSeq: x\r\nTransport: RTP/AVP;client_port=6970-6971\r\n\r\n");
	expect_untouched(client_view(), ALG_GUEST,
		"SETUP " URL " RTSP/1.0\r\nCSeq: 2\r\nCSeq: 3\r\nTransport: "
		"RTP/AVP;client_port=6970-6971\r\n\r\n");
	expect_untouched(client_view(), ALG_GUEST,
		"PLAY " URL
		" RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP;client_port=6970-6971\r\n\r\n");
	expect_untouched(client_view(), ALG_OUTSIDE, setup(2, "RTP/AVP;client_port=6970-6971"));
	expect_untouched(server_view(), ALG_OUTSIDE, setup(2, "RTP/AVP;client_port=6970-6971"));
	expect_untouched(server_view(), ALG_GUEST, setup(2, "RTP/AVP;client_port=6970-6971"));
}

Test(rtsp, a_thousand_specifications_are_left_alone)
{
	static char transport[8192];
	size_t n = 0;
	for (int i = 0; i < 1000; i++)
		n += (size_t)sprintf(transport + n, "%sRTP/AVP", i ? "," : "");
	n += (size_t)sprintf(transport + n, ";client_port=6970-6971");
	transport[n] = 0;
	struct harness *h = opened(client_view(), GRANT);
	harness_say(h, ALG_GUEST, setup(2, transport));
	cr_expect_eq(h->wishes, 1, "only the last one names ports");
	harness_free(h);
	n = 0;
	for (int i = 0; i < 200; i++)
		n += (size_t)sprintf(
			transport + n, "%sRTP/AVP;client_port=6970-6971", i ? "," : "");
	h = opened(client_view(), GRANT);
	harness_say(h, ALG_GUEST, setup(2, transport));
	harness_expect(h, ALG_GUEST, setup(2, transport));
	cr_expect_eq(
		harness_count(h, ALG_CLOSE, 0), h->wishes, "too many edits: none, and no pinhole");
	harness_say(h, ALG_OUTSIDE, answer(2, "200 OK", "RTP/AVP;client_port=6970-6971"));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), 0);
	harness_free(h);
}

Test(rtsp, refused_means_unchanged)
{
	struct harness *h = opened(client_view(), REFUSE);
	harness_say(
		h, ALG_GUEST, setup(2, "RTP/AVP;client_port=6970-6971;destination=192.168.30.10"));
	harness_expect(
		h, ALG_GUEST, setup(2, "RTP/AVP;client_port=6970-6971;destination=192.168.30.10"));
	harness_say(h, ALG_OUTSIDE, answer(2, "200 OK", "RTP/AVP;client_port=6970-6971"));
	harness_expect(h, ALG_OUTSIDE, answer(2, "200 OK", "RTP/AVP;client_port=6970-6971"));
	cr_expect(h->wishes == 1 && h->acts == 0 && !h->gave_up);
	harness_free(h);
}

Test(rtsp, requests_behind_a_setup_wait_their_turn)
{
	struct harness *h = opened(client_view(), LATER);
	harness_say(h, ALG_GUEST, setup(2, "RTP/AVP;client_port=6970-6971"));
	harness_say(h, ALG_GUEST, "PLAY " URL " RTSP/1.0\r\nCSeq: 3\r\n\r\n");
	harness_expect(h, ALG_GUEST, "");
	harness_answer(h, true);
	cr_expect_gt(h->way[0].out_bytes, strlen(setup(2, "")));
	cr_expect_eq(h->way[0].passed, h->way[0].in_bytes);
	harness_free(h);
}

/* ---- what the server says to it ---- */

static struct harness *asked(const char *transport)
{
	struct harness *h = opened(client_view(), GRANT);
	harness_say(h, ALG_GUEST, setup(2, transport));
	cr_assert_gt(h->wishes, 0);
	return h;
}

static void expect_response(const char *asks, const char *status, const char *transport,
	const char *as, unsigned int armed, unsigned int closed)
{
	struct harness *h = asked(asks);
	harness_say(h, ALG_OUTSIDE, answer(2, status, transport));
	harness_expect(h, ALG_OUTSIDE, answer(2, status, as));
	cr_expect_eq(harness_count(h, ALG_ARM, 0), armed, "%s %s", status, transport);
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), closed, "%s %s", status, transport);
	harness_free(h);
}

Test(rtsp, the_server_decides_whether_anybody_comes)
{
	const char *pair = "RTP/AVP;client_port=6970-6971", *ones = "RTP/AVP;client_port=5001-7000";
	expect_response(pair, "200 OK",
		"RTP/"
		"AVP;unicast;client_port=40000-40001;server_port=8000-8001;source=198.51.100.9;"
		"ssrc=1",
		"RTP/"
		"AVP;unicast;client_port=6970-6971;server_port=8000-8001;source=198.51.100.9;ssrc="
		"1",
		1, 0);
	expect_response(pair, "201 Created", "RTP/AVP;client_port=40000-40001",
		"RTP/AVP;client_port=6970-6971", 1, 0);
	expect_response(pair, "200",
		"RTP/AVP;unicast;destination=203.0.113.7;server_port=8000-8001",
		"RTP/AVP;unicast;destination=192.168.30.10;server_port=8000-8001", 1, 0);
	expect_response(pair, "200 OK",
		"RTP/AVP;dest_addr=\"203.0.113.7:40000\"/"
		"\"203.0.113.7:40001\";src_addr=\"198.51.100.9:1\"",
		"RTP/AVP;dest_addr=\"192.168.30.10:6970\"/"
		"\"192.168.30.10:6971\";src_addr=\"198.51.100.9:1\"",
		1, 0);
	expect_response(ones, "200 OK", "RTP/AVP;client_port=40001-40002",
		"RTP/AVP;client_port=5001-7000", 2, 0);
	expect_response(
		ones, "200 OK", "RTP/AVP;client_port=40002", "RTP/AVP;client_port=7000", 1, 1);
	expect_response(pair, "100 Continue", "x", "x", 0, 0);
	expect_response(pair, "461 Unsupported Transport", "RTP/AVP;client_port=40000-40001",
		"RTP/AVP;client_port=40000-40001", 0, 1);
	expect_response(pair, "302 Elsewhere", "x", "x", 0, 1);
	expect_response(pair, "200 OK", "RTP/AVP/TCP;unicast;interleaved=0-1",
		"RTP/AVP/TCP;unicast;interleaved=0-1", 0, 1);
	expect_response(pair, "200 OK", "RTP/AVP;multicast;client_port=40000-40001",
		"RTP/AVP;multicast;client_port=40000-40001", 0, 1);
	expect_response(pair, "200 OK", "RTP/AVP;client_port=50000-50001",
		"RTP/AVP;client_port=50000-50001", 0, 1);
	expect_response(pair, "200 OK", "", "", 0, 1);
}

Test(rtsp, only_the_response_with_its_number_counts)
{
	struct harness *h = asked("RTP/AVP;client_port=6970-6971");
	harness_say(h, ALG_OUTSIDE, answer(3, "200 OK", "RTP/AVP;client_port=40000-40001"));
	harness_say(h, ALG_OUTSIDE, answer(1, "400 No", ""));
	harness_say(h, ALG_OUTSIDE,
		"RTSP/1.0 200 OK\r\nTransport: RTP/AVP;client_port=40000-40001\r\n\r\n");
	harness_say(h, ALG_GUEST, answer(2, "200 OK", "RTP/AVP;client_port=40000-40001"));
	cr_expect_eq(h->acts, 0);
	harness_say(h, ALG_OUTSIDE, answer(2, "200 OK", "RTP/AVP;client_port=40000-40001"));
	cr_expect_eq(harness_count(h, ALG_ARM, h->wish[0].token), 1);
	harness_say(h, ALG_OUTSIDE, answer(2, "200 OK", "RTP/AVP;client_port=40000-40001"));
	cr_expect_eq(h->acts, 1, "once");
	harness_free(h);
}

Test(rtsp, a_number_that_still_waits_opens_nothing)
{
	struct harness *h = asked("RTP/AVP;client_port=6970-6971");
	harness_say(h, ALG_GUEST, setup(2, "RTP/AVP;client_port=6980-6981"));
	cr_expect_eq(h->wishes, 1);
	harness_free(h);
}

Test(rtsp, streams_of_a_presentation_have_openings_of_their_own)
{
	struct harness *h = opened(client_view(), GRANT);
	char transport[64];
	for (unsigned int i = 0; i < 20; i++) {
		sprintf(transport, "RTP/AVP;client_port=%u-%u", 7000 + 2 * i, 7001 + 2 * i);
		harness_say(h, ALG_GUEST, setup(2 + i, transport));
	}
	cr_expect_eq(h->wishes, 16, "a full table: no rewrite, no pinhole, and all goes on");
	for (unsigned int i = 0; i < 20; i++)
		harness_say(h, ALG_OUTSIDE,
			answer(2 + i, i % 2 ? "200 OK" : "404 No", "RTP/AVP;unicast"));
	cr_expect(harness_count(h, ALG_ARM, 0) == 8 && harness_count(h, ALG_CLOSE, 0) == 8);
	harness_say(h, ALG_GUEST, setup(30, "RTP/AVP;client_port=8000-8001"));
	cr_expect_eq(h->wishes, 17, "there is room again");
	cr_expect_not(h->gave_up);
	harness_free(h);
}

Test(rtsp, the_same_ports_once_more_replace_what_was_there)
{
	struct harness *h = asked("RTP/AVP;client_port=6970-6971");
	harness_say(h, ALG_OUTSIDE, answer(2, "200 OK", "RTP/AVP;client_port=40000-40001"));
	harness_say(h, ALG_GUEST, setup(3, "RTP/AVP;client_port=6971"));
	cr_expect(h->wishes == 2 && h->acts == 2);
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1);
	forget(h);
	harness_say(h, ALG_OUTSIDE, answer(3, "200 OK", "RTP/AVP;client_port=40002"));
	harness_expect(h, ALG_OUTSIDE, answer(3, "200 OK", "RTP/AVP;client_port=6971"));
	cr_expect_eq(harness_count(h, ALG_ARM, h->wish[1].token), 1);
	harness_free(h);
}

static void teardown(struct harness *h, const char *url, unsigned int cseq, const char *session,
	const char *status)
{
	char message[256];
	const enum alg_direction client = h->flow.view.guest_serves ? ALG_OUTSIDE : ALG_GUEST;
	snprintf(message, sizeof(message),
		"TEARDOWN %s RTSP/1.0\r\nCSeq: %u\r\nSession: %s\r\n\r\n", url, cseq, session);
	harness_say(h, client, message);
	harness_say(h, (enum alg_direction) !client, answer(cseq, status, ""));
}

Test(rtsp, teardown_closes_its_session_or_its_stream)
{
	struct harness *h = asked("RTP/AVP;client_port=6970-6971");
	harness_say(h, ALG_OUTSIDE, answer(2, "200 OK", "RTP/AVP;client_port=40000-40001"));
	harness_say(h, ALG_GUEST, setup(3, "RTP/AVP;client_port=6972-6973"));
	harness_say(h, ALG_OUTSIDE, answer(3, "200 OK", "RTP/AVP;client_port=40002-40003"));
	cr_assert_eq(harness_count(h, ALG_ARM, 0), 2);
	teardown(h, URL, 4, "another", "200 OK");
	teardown(h, URL, 5, "s", "454 Session Not Found");
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 0);
	teardown(h, URL "/2", 6, "s", "200 OK");
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1, "one stream");
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 1);
	teardown(h, URL, 7, "s;timeout=1", "200 OK");
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[1].token), 1, "the rest");
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 2);
	harness_free(h);
}

/* ---- a guest that serves ---- */

static void expect_served(
	const char *transport, const char *as, unsigned int wishes, enum harness_mode mode)
{
	struct harness *h = opened(server_view(), mode);
	harness_say(h, ALG_OUTSIDE,
		setup(2, "RTP/AVP;client_port=6970-6971;destination=192.168.30.10"));
	harness_expect(h, ALG_OUTSIDE,
		setup(2, "RTP/AVP;client_port=6970-6971;destination=192.168.30.10"));
	harness_say(h, ALG_GUEST, answer(2, "200 OK", transport));
	harness_expect(h, ALG_GUEST, answer(2, "200 OK", as));
	cr_assert_eq(h->wishes, wishes, "%s", transport);
	cr_expect(!wishes || (!h->wish[0].latent && h->wish[0].peer_ip_be == ip(SERVER_IP)));
	cr_expect_eq(h->acts, 0);
	if (wishes && mode == GRANT) {
		teardown(h, URL, 9, "s", "200 OK");
		cr_expect_eq(harness_count(h, ALG_CLOSE, 0), wishes);
	}
	harness_free(h);
}

Test(rtsp, ports_and_addresses_of_a_guest_that_serves)
{
	expect_served("RTP/AVP;client_port=6970-6971;server_port=50132-50133;source=192.168.30.10",
		"RTP/AVP;client_port=6970-6971;server_port=40000-40001;source=203.0.113.7", 1,
		GRANT);
	expect_served("RTP/AVP;client_port=40000-40001;server_port=50133-50135",
		"RTP/AVP;client_port=40000-40001;server_port=40001-40002", 2, GRANT);
	expect_served("RTP/AVP;dest_addr=\":6970\";src_addr=\"192.168.30.10:6980\"",
		"RTP/AVP;dest_addr=\":6970\";src_addr=\"203.0.113.7:40001\"", 1, GRANT);
	expect_served("RTP/AVP;server_port=50132-50133;source=192.168.30.10",
		"RTP/AVP;server_port=50132-50133;source=203.0.113.7", 1, REFUSE);
	expect_served("RTP/AVP;server_port=50132-50133;source=192.168.30.11",
		"RTP/AVP;server_port=50132-50133;source=192.168.30.11", 0, GRANT);
	expect_served("RTP/AVP;server_port=1000-1001", "RTP/AVP;server_port=1000-1001", 0, GRANT);
	expect_served("RTP/AVP/TCP;interleaved=0-1;source=192.168.30.10",
		"RTP/AVP/TCP;interleaved=0-1;source=203.0.113.7", 0, GRANT);
	expect_served("RTP/AVP;client_port=192-193", "RTP/AVP;client_port=192-193", 0, GRANT);
}

Test(rtsp, a_guest_that_serves_opens_nothing_unasked)
{
	struct harness *h = harness_new(&rtsp_protocol, server_view(), GRANT);
	harness_say(h, ALG_OUTSIDE, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
	harness_say(h, ALG_GUEST, answer(2, "200 OK", "RTP/AVP;server_port=50132-50133"));
	harness_say(h, ALG_OUTSIDE, setup(2, "RTP/AVP;client_port=6970-6971"));
	harness_say(h, ALG_GUEST, answer(3, "200 OK", "RTP/AVP;server_port=50132-50133"));
	harness_say(h, ALG_GUEST, answer(2, "100 Continue", "RTP/AVP;server_port=50132-50133"));
	harness_say(h, ALG_GUEST, answer(2, "400 No", "RTP/AVP;server_port=50132-50133"));
	harness_say(h, ALG_GUEST, answer(2, "200 OK", "RTP/AVP;server_port=50132-50133"));
	cr_expect_eq(h->wishes, 0);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(rtsp, what_a_guest_that_serves_calls_itself)
{
	struct harness *h = opened(server_view(), GRANT);
	harness_say(h, ALG_GUEST,
		"RTSP/1.0 200 OK\r\nContent-Length: 33\r\nContent-Base: "
		"rtsp://192.168.30.10:8554/t/\r\ncseq:7\r\n"
		"content-type: application/sdp\r\n\r\nv=0\r\nc=IN IP4 192.168.30.10\r\ns=x\r\n");
	harness_expect(h, ALG_GUEST,
		"RTSP/1.0 200 OK\r\nContent-Length: 31\r\nContent-Base: "
		"rtsp://203.0.113.7:8554/t/\r\ncseq:7\r\n"
		"content-type: application/sdp\r\n\r\nv=0\r\nc=IN IP4 203.0.113.7\r\ns=x\r\n");
	cr_expect_not(h->gave_up);
	harness_free(h);
	expect_untouched(server_view(), ALG_OUTSIDE,
		"PLAY rtsp://192.168.30.10:8554/t RTSP/1.0\r\nLocation: "
		"rtsp://192.168.30.10/\r\n\r\n");
}

/* ---- what is in the connection ---- */

Test(rtsp, what_is_not_rtsp_is_passed_raw_and_opens_nothing)
{
	const char *first[] = {
		"POST / HTTP/1.1\r\nContent-Length: 999\r\n\r\n",
		("GET /x HTTP/1.0\r\nx-sessioncookie: 1\r\nAccept: "
		 "application/x-rtsp-tunnelled\r\n\r\n"),
		"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n",
		"SETUP x RTSP/3.0\r\n\r\n",
		"SETUP x RTSP/1.0 x\r\n\r\n",
		"SETUP  x RTSP/1.0\r\n\r\n",
		"SETUP\r\n\r\n",
		" SETUP x RTSP/1.0\r\n\r\n",
		"$\1\0\0",
		"\26\3\1\2\0\1",
		"\r \r\n",
		"OPTIONS * RTSP/1.0\rCSeq: 1\r\n\r\n",
		"OPTIONS * RTSP/1.0\r\nno header\r\n\r\n",
		"OPTIONS * RTSP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"OPTIONS * RTSP/1.0\r\nContent-Length: 70000\r\n\r\n",
		"A_METHOD_THAT_IS_LONGER_THAN_ANY_IS * RTSP/1.0\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		struct harness *h = harness_new(&rtsp_protocol, client_view(), GRANT);
		harness_say(h, ALG_GUEST, first[i]);
		harness_say(h, ALG_GUEST, setup(2, "RTP/AVP;client_port=6970-6971"));
		cr_expect(h->gave_up && h->violation && h->wishes == 0, "%s", first[i]);
		harness_expect_untouched(h);
		harness_free(h);
	}
	struct harness *h = harness_new(&rtsp_protocol, client_view(), GRANT);
	harness_say(h, ALG_OUTSIDE, "220 hello\r\n");
	cr_expect(h->gave_up && h->violation, "the server does not begin");
	harness_free(h);
}

Test(rtsp, what_is_not_rtsp_is_not_held_back)
{
	struct harness *h = harness_new(&rtsp_protocol, client_view(), GRANT);
	harness_say(h, ALG_GUEST, "SSH-2.0-x,");
	cr_expect(h->gave_up && h->violation && h->way[0].passed == 10);
	harness_free(h);
	char line[8193] = "OPTIONS rtsp://x/";
	memset(line + strlen(line), 'x', sizeof(line) - 1 - strlen(line));
	h = harness_new(&rtsp_protocol, client_view(), GRANT);
	harness_say(h, ALG_GUEST, line);
	cr_expect(!h->gave_up && h->way[0].passed == 0, "a start line may be that long");
	harness_say(h, ALG_GUEST, "x");
	cr_expect(h->gave_up && h->violation && h->way[0].passed == sizeof(line));
	harness_free(h);
}

Test(rtsp, a_setup_within_a_body_or_interleaved_data_is_data)
{
	struct harness *h = opened(client_view(), GRANT);
	const char *inner = setup(2, "RTP/AVP;client_port=6970-6971");
	char message[20000];
	sprintf(message, "SET_PARAMETER * RTSP/1.0\r\nCSeq: 2\r\nContent-Length: %zu\r\n\r\n%s",
		strlen(inner), inner);
	harness_say(h, ALG_GUEST, message);
	uint8_t frame[4] = {'$', 1, 0, (uint8_t)strlen(inner)};
	harness_send(h, ALG_GUEST, frame, sizeof(frame));
	harness_say(h, ALG_GUEST, inner);
	cr_expect(h->wishes == 0 && !h->gave_up);
	harness_say(h, ALG_GUEST, inner);
	cr_expect_eq(h->wishes, 1, "the one behind them");
	harness_free(h);
}

Test(rtsp, interleaved_data_passes_as_it_comes_and_however_much_it_is)
{
	struct harness *h = opened(client_view(), GRANT);
	static uint8_t data[30000];
	const uint8_t longest[] = {'$', 0, 255, 255}, empty[] = {'$', 1, 0, 0};
	h->flow.message_max = ALGS_SEGMENT_MIN; /* the least that can be configured */
	memset(data, '$', sizeof(data));
	harness_send(h, ALG_OUTSIDE, longest, sizeof(longest));
	for (size_t left = 65535; left;) {
		const size_t n = left < sizeof(data) ? left : sizeof(data);
		harness_send(h, ALG_OUTSIDE, data, n);
		cr_expect_eq(
			h->way[ALG_OUTSIDE].passed, h->way[ALG_OUTSIDE].in_bytes, "nothing waits");
		left -= n;
	}
	harness_send(h, ALG_OUTSIDE, empty, sizeof(empty));
	harness_say(h, ALG_OUTSIDE, "\r\n\nRTSP/1.0 200 OK\nCSeq: 9\n\n");
	cr_expect_eq(h->way[ALG_OUTSIDE].passed, h->way[ALG_OUTSIDE].in_bytes);
	cr_expect_not(h->gave_up);
	harness_say(h, ALG_OUTSIDE, "junk junk\r\n");
	cr_expect(h->gave_up && h->violation);
	harness_free(h);
}

/* ---- recorded sessions ---- */

static void cut_everywhere(const struct session *s)
{
	session_cut_everywhere(s, &rtsp_protocol);
}

Test(rtsp_captures, every_split_position_gives_the_same_output, .timeout = 240)
{
	session_each(VECTOR_DIRECTORY, 6, cut_everywhere);
}

/* But for ports without an address, which are the guest's own whatever that is. */
static void without_its_address(const struct session *s)
{
	for (int serves = 0; serves < 2; serves++) {
		struct harness *h = session_play_foreign(s, &rtsp_protocol, true, serves);
		cr_expect_not(h->gave_up, "%s", s->name);
		if (!h->wishes)
			harness_expect_untouched(h);
		harness_free(h);
	}
}

Test(rtsp_captures, a_foreign_address_leaves_every_byte_as_it_was)
{
	session_each(VECTOR_DIRECTORY, 6, without_its_address);
}

static void expect_session(
	const char *name, bool serves, unsigned int wishes, unsigned int armed, unsigned int closed)
{
	struct session *s = session_load(VECTOR_DIRECTORY, name);
	struct harness *h = session_play(
		s, &rtsp_protocol, session_view(s, true, serves), SESSION_WHOLE, SESSION_NO_CUT);
	cr_expect_eq(h->wishes, wishes, "%s: %u wishes", name, h->wishes);
	cr_expect_eq(harness_count(h, ALG_ARM, 0), armed, "%s", name);
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), closed, "%s", name);
	cr_expect_not(h->gave_up, "%s: %s", name, h->why);
	harness_free(h);
	free(s);
}

/* In a recording the server takes the ports that the client had, not those that it would get. */
Test(rtsp_captures, each_does_what_its_name_says)
{
	expect_session("own-ffmpeg-udp-1.session", false, 2, 0, 2);
	expect_session("own-ffmpeg-udp-1.session", true, 2, 0, 2);
	expect_session("own-gstreamer-udp-1.session", false, 2, 0, 2);
	expect_session("own-ffmpeg-interleaved-1.session", false, 0, 0, 0);
	expect_session("own-ffmpeg-interleaved-1.session", true, 0, 0, 0);
	expect_session("trex-1.session", false, 2, 0, 2);
	expect_session("crafted-1.session", false, 3, 3, 3);
	expect_session("crafted-2.session", true, 3, 0, 3);
}
