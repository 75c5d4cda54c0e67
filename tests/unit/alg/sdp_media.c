/* The media of a description: who receives what where, and where addresses stand. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdp_media.h"

#define HEAD "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\n"

static struct text of(const char *t)
{
	return text(t, strlen(t));
}

static bool is(struct text t, const char *as)
{
	return text_left(&t) == strlen(as) && !memcmp(t.p, as, strlen(as));
}

/* Reads what stands behind a session's first lines. */
static struct sdp_session read_rest(const char *rest)
{
	static char body[4096];
	struct sdp_session s;
	snprintf(body, sizeof(body), HEAD "%s", rest);
	cr_assert(sdp_read(of(body), &s), "%s", rest);
	return s;
}

static struct sdp_media read_one(const char *rest)
{
	struct sdp_session s = read_rest(rest);
	cr_assert_eq(s.media_count, 1, "%s", rest);
	return s.media[0];
}

static bool refused(const char *rest)
{
	char body[4096];
	struct sdp_session s;
	snprintf(body, sizeof(body), HEAD "%s", rest);
	return !sdp_read(of(body), &s);
}

Test(sdp_media, a_line_has_a_port_and_a_range)
{
	struct sdp_media m = read_one("c=IN IP4 10.0.0.5\r\nm=audio 49170 RTP/AVP 0 8\r\n");
	cr_expect(is(m.port, "49170") && m.number == 49170 && m.count == 1 && !m.rejected);
	cr_expect(m.ip_be == inet_addr("10.0.0.5") && m.rtcp_ip_be == m.ip_be && !m.held);
	m = read_one("m=video 49170/2 RTP/AVP 31\n");
	cr_expect(is(m.port, "49170") && m.count == 2 && !m.ip_be && !m.held);
	m = read_one("m=image 0 udptl t38");
	cr_expect(is(m.port, "0") && m.rejected);
	m = read_one("m=audio 65535 RTP/AVP\r\n");
	cr_expect(m.number == 65535 && m.carrier == SDP_RTP);
}

Test(sdp_media, lines_that_are_not_understood_refuse_the_description)
{
	const char *bad[] = {
		"m=\r\n",
		"m=audio\r\n",
		"m=audio \r\n",
		"m=audio RTP/AVP 0\r\n",
		"m=audio 5004\r\n",
		"m=audio 5004 \r\n",
		"m=audio 5004  RTP/AVP 0\r\n",
		"m=audio  5004 RTP/AVP 0\r\n",
		"m= 5004 RTP/AVP 0\r\n",
		"m=audio $ RTP/AVP 0\r\n",
		"m=audio -1 RTP/AVP 0\r\n",
		"m=audio 65536 RTP/AVP 0\r\n",
		"m=audio 005004 RTP/AVP 0\r\n",
		"m=audio 5004x RTP/AVP 0\r\n",
		"m=audio 5004/ RTP/AVP 0\r\n",
		"m=audio 5004/0 RTP/AVP 0\r\n",
		"m=audio 5004/x RTP/AVP 0\r\n",
		"m=audio 5004 RTP/AVP 0\r\nrubbish\r\n",
		"m=audio 5004 RTP/AVP 0\r\nM=audio 5004 RTP/AVP 0\r\n",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(refused(bad[i]), "%s", bad[i]);
	cr_expect_not(refused("m=audio 5004 RTP/AVP 0\r\n"));
	cr_expect_not(refused(""));
}

Test(sdp_media, carriers_by_their_names)
{
	const struct {
		const char *transport;
		enum sdp_carrier carrier;
	} all[] = {
		{"RTP/AVP", SDP_RTP},
		{"rtp/avp", SDP_RTP},
		{"RTP/SAVP", SDP_RTP},
		{"RTP/AVPF", SDP_RTP},
		{"RTP/SAVPF", SDP_RTP},
		{"UDP/TLS/RTP/SAVP", SDP_RTP},
		{"UDP/TLS/RTP/SAVPF", SDP_RTP},
		{"udptl", SDP_UDP},
		{"UDPTL", SDP_UDP},
		{"UdpTl", SDP_UDP},
		{"UDP/TLS/UDPTL", SDP_UDP},
		{"UDP/DTLS/SCTP", SDP_UDP},
		{"udp", SDP_UDP},
		{"UDP/BFCP", SDP_UDP},
		{"tcp", SDP_TCP},
		{"TCP", SDP_TCP},
		{"TCP/RTP/AVP", SDP_TCP},
		{"TCP/TLS/BFCP", SDP_TCP},
		{"TCP/MSRP", SDP_OTHER},
		{"tcp/tls/msrp", SDP_OTHER},
		{"RTP", SDP_OTHER},
		{"RTP/", SDP_OTHER},
		{"RTP/AVP/TCP", SDP_OTHER},
		{"UDPTLS", SDP_OTHER},
		{"vat", SDP_OTHER},
		{"/", SDP_OTHER},
		{"*", SDP_OTHER},
	};
	char rest[128];
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(rest, sizeof(rest), "m=x 5004 %s 0\r\n", all[i].transport);
		cr_expect_eq(read_one(rest).carrier, all[i].carrier, "%s", all[i].transport);
		snprintf(rest, sizeof(rest), "m=x 5004 %s", all[i].transport);
		cr_expect_eq(read_one(rest).carrier, all[i].carrier, "%s", all[i].transport);
	}
}

Test(sdp_media, an_address_is_the_sections_or_else_the_sessions)
{
	struct sdp_session s =
		read_rest("c=IN IP4 10.0.0.1\r\nt=0 0\r\n"
			  "m=audio 5004 RTP/AVP 0\r\n"
			  "m=video 5006 RTP/AVP 31\r\nc=IN IP4 10.0.0.2\r\n"
			  "m=video 5008 RTP/AVP 31\r\na=x\r\na=rtcp:5010\r\nc=IN IP4 10.0.0.3\r\n"
			  "m=audio 5012 RTP/AVP 0\r\n");
	cr_assert_eq(s.media_count, 4);
	cr_expect_eq(s.ip_be, inet_addr("10.0.0.1"));
	cr_expect_eq(s.media[0].ip_be, inet_addr("10.0.0.1"));
	cr_expect_eq(s.media[1].ip_be, inet_addr("10.0.0.2"));
	cr_expect_eq(s.media[2].ip_be, inet_addr("10.0.0.3"));
	cr_expect_eq(s.media[2].rtcp_ip_be, inet_addr("10.0.0.3"), "c= behind a=rtcp");
	cr_expect_eq(s.media[3].ip_be, inet_addr("10.0.0.1"));
}

Test(sdp_media, what_is_no_address_here)
{
	const char *nobody[] = {
		"c=IN IP6 2001:db8::1\r\n",
		"c=IN IP4 phone.example.com\r\n",
		"c=IN IP4 10.0.0.256\r\n",
		"c=rubbish\r\n",
		"c=IN IP4 10.0.0.1.example\r\n",
		"c=IN IP4 224.2.1.1/127\r\nc=IN IP4 224.2.1.2/127\r\n",
		"c=IN IP4 10.0.0.1\r\nc=IN IP4 10.0.0.2\r\nc=IN IP4 10.0.0.1\r\n",
		"c=IN IP4 10.0.0.1\r\nc=IN IP6 ::1\r\n",
		"c=IN IP4 0.0.0.0\r\nc=IN IP4 10.0.0.2\r\n",
	};
	char rest[256];
	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		snprintf(rest, sizeof(rest), "c=IN IP4 10.0.0.9\r\nm=audio 5004 RTP/AVP 0\r\n%s",
			nobody[i]);
		struct sdp_media m = read_one(rest);
		cr_expect(!m.ip_be && !m.held && !m.rtcp_ip_be, "%s", nobody[i]);
		snprintf(rest, sizeof(rest), "%sm=audio 5004 RTP/AVP 0\r\n", nobody[i]);
		struct sdp_session s = read_rest(rest);
		cr_expect(!s.ip_be && !s.media[0].ip_be && !s.media[0].held, "%s", nobody[i]);
	}
}

Test(sdp_media, addresses_with_a_lifetime_and_the_same_one_twice)
{
	struct sdp_media m = read_one("m=audio 5004 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127/3\r\n");
	cr_expect_eq(m.ip_be, inet_addr("224.2.1.1"));
	m = read_one("m=audio 5004 RTP/AVP 0\r\nc=IN IP4 10.0.0.5\r\nc=IN IP4 10.0.0.5\r\n");
	cr_expect_eq(m.ip_be, inet_addr("10.0.0.5"));
}

Test(sdp_media, hold_by_address)
{
	struct sdp_session s = read_rest("c=IN IP4 0.0.0.0\r\nm=audio 5004 RTP/AVP 0\r\nm=audio "
					 "5006 RTP/AVP 0\r\nc=IN IP4 10.0.0.5\r\n");
	cr_expect(!s.media[0].ip_be && s.media[0].held);
	cr_expect(s.media[1].ip_be == inet_addr("10.0.0.5") && !s.media[1].held);
}

Test(sdp_media, rtcp_elsewhere)
{
	struct sdp_media m =
		read_one("c=IN IP4 10.0.0.5\r\nm=audio 5004 RTP/AVP 0\r\na=rtcp:5010\r\n");
	cr_expect(is(m.rtcp, "5010") && m.rtcp_number == 5010 && m.rtcp_ip_be == m.ip_be);
	m = read_one("c=IN IP4 10.0.0.5\r\nm=audio 5004 RTP/AVP 0\r\na=rtcp:5010 \r\n");
	cr_expect(m.rtcp_number == 5010 && m.rtcp_ip_be == m.ip_be);
	m = read_one(
		"c=IN IP4 10.0.0.5\r\nm=audio 5004 RTP/AVP 0\r\na=rtcp:5010 IN IP4 192.0.2.1\r\n");
	cr_expect(m.rtcp_number == 5010 && m.rtcp_ip_be == inet_addr("192.0.2.1"));
	const char *elsewhere[] = {"IN IP6 ::1", "IN IP4 host", "IN IP4 0.0.0.0", "rubbish"};
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		char rest[128];
		snprintf(rest, sizeof(rest),
			"c=IN IP4 10.0.0.5\nm=audio 5004 RTP/AVP 0\na=rtcp:5010 %s\n",
			elsewhere[i]);
		m = read_one(rest);
		cr_expect(m.rtcp_number == 5010 && !m.rtcp_ip_be, "%s", elsewhere[i]);
	}
}

Test(sdp_media, rtcp_that_is_not_understood_says_nothing)
{
	const char *nothing[] = {"a=rtcp:0", "a=rtcp:x", "a=rtcp", "a=rtcp:65536",
		"a=rtcp:5010x IN IP4 10.0.0.5", "a=rtcp-fb:1 nack", "a=RTCP:5010"};
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		char rest[128];
		snprintf(rest, sizeof(rest), "c=IN IP4 10.0.0.5\nm=audio 5004 RTP/AVP 0\n%s\n",
			nothing[i]);
		struct sdp_media m = read_one(rest);
		cr_expect(!text_left(&m.rtcp) && m.rtcp_ip_be == m.ip_be, "%s", nothing[i]);
	}
	struct sdp_media m = read_one("c=IN IP4 10.0.0.5\na=rtcp:5010\nm=audio 5004 RTP/AVP 0\n");
	cr_expect(!text_left(&m.rtcp), "of the session");
	m = read_one("m=audio 5004 RTP/AVP 0\na=rtcp:5010 IN IP4 192.0.2.1\na=rtcp:5012\n");
	cr_expect(m.rtcp_number == 5010 && m.rtcp_ip_be == inet_addr("192.0.2.1"));
}

Test(sdp_media, rtcp_at_the_same_port)
{
	struct sdp_session s =
		read_rest("m=audio 5004 RTP/AVP 0\r\na=rtcp-mux\r\n"
			  "m=audio 5006 RTP/AVP 0\r\n"
			  "m=audio 5008 RTP/AVP 0\r\na=rtcp-mux\r\na=rtcp:5009\r\n"
			  "m=audio 5010 RTP/AVP 0\r\na=rtcp:5011\r\na=rtcp-mux\r\n"
			  "m=audio 5012 RTP/AVP 0\r\na=rtcp-muxer\r\na=rtcp-mux:x\r\n");
	cr_expect(s.media[0].mux);
	for (unsigned int i = 1; i < s.media_count; i++)
		cr_expect_not(s.media[i].mux, "%u", i);
}

Test(sdp_media, connections_that_the_guest_makes)
{
	struct sdp_session s = read_rest("a=setup:active\r\n"
					 "m=image 5004 tcp t38\r\n"
					 "m=image 5004 tcp t38\r\na=setup:passive\r\n"
					 "m=image 5004 tcp t38\r\na=setup:actpass\r\n"
					 "m=image 5004 tcp t38\r\na=setup:holdconn\r\n"
					 "m=image 9 tcp t38\r\na=setup:actpass\r\n"
					 "m=audio 5004 UDP/TLS/RTP/SAVP 0\r\n");
	const bool active[] = {true, false, false, true, true, false};
	for (unsigned int i = 0; i < s.media_count; i++)
		cr_expect_eq(s.media[i].active, active[i], "%u", i);
	cr_expect_not(read_one("m=image 5004 tcp t38\r\n").active);
}

Test(sdp_media, more_media_than_there_may_be)
{
	char rest[4096] = "";
	for (unsigned int i = 0; i < SDP_MEDIA; i++)
		sprintf(rest + strlen(rest), "m=audio %u RTP/AVP 0\r\n", 5004 + 2 * i);
	cr_expect_eq(read_rest(rest).media_count, SDP_MEDIA);
	strcat(rest, "m=audio 0 RTP/AVP 0\r\n");
	cr_expect(refused(rest));
}

/* kind:host:port,... of all places */
static const char *places(const char *body)
{
	static char all[1024];
	struct text rest = of(body);
	struct sdp_place place;
	size_t n = 0;
	all[0] = '\0';
	while (sdp_next_place(&rest, &place)) {
		char address[32];
		snprintf(address, sizeof(address), "%.*s", (int)text_left(&place.host),
			(const char *)place.host.p);
		cr_expect_eq(inet_addr(address), place.ip_be, "%s", body);
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%c %s %.*s%s\n",
			"ocrA"[place.kind], address, (int)text_left(&place.port),
			(const char *)place.port.p, place.stream ? " tcp" : "");
		if (text_left(&place.port))
			cr_expect_eq((uint32_t)atoi((const char *)place.port.p), place.number);
	}
	return all;
}

Test(sdp_media, places_of_addresses)
{
	cr_expect_str_eq(
		places("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nc=IN IP4 10.0.0.2\r\nm=audio 5004 "
		       "RTP/AVP 0\r\n"
		       "c=IN IP4 224.0.0.3/12/2\r\na=rtcp:5010 IN IP4 10.0.0.4\r\na=rtcp:5012\r\n"
		       "a=candidate:1 1 UDP 2130706431 10.0.1.1 8998 typ host\r\n"
		       "a=candidate:a/+ 2 udp 1 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport "
		       "8998\r\n"
		       "a=candidate:1 1 TCP 1 10.0.1.1 9 typ host tcptype active"),
		"o 10.0.0.1 \nc 10.0.0.2 \nc 224.0.0.3 \nr 10.0.0.4 5010\nA 10.0.1.1 8998\n"
		"A 192.0.2.3 45664\nA 10.0.1.1 9 tcp\n");
}

Test(sdp_media, what_is_no_place)
{
	cr_expect_str_eq(places("v=0\r\no=- 1 IN IP4 10.0.0.1\r\nc=IN IP6 ::1\r\n"
				"s=IN IP4 10.0.0.1\r\n"
				"a=rtcp:5010 IN IP6 ::1\r\n"
				"a=candidate:1 1 UDP 1 fe80::1 8998 typ host\r\n"
				"a=candidate:1 1 UDP 1 host.local 8998 typ host\r\n"
				"a=candidate:1 1 SCTP 1 10.0.0.1 8998 typ host\r\n"
				"a=candidate:1 1 UDP 1 10.0.0.1 8998\r\n"
				"a=candidate:1 1 UDP 1 10.0.0.1 8998 host x\r\n"
				"a=candidate:1 1 UDP 1 10.0.0.1  8998 typ host\r\n"
				"a=candidate:1 1 UDP 1 10.0.0.1 89980 typ host\r\n"
				"a=candidate:1 1 UDP 10.0.0.1 8998 typ host\r\n"
				"a=remote-candidates:1 10.0.0.1 8998\r\n"
				"a=x-candidate:1 1 UDP 1 10.0.0.1 8998 typ host\r\n"),
		"");
}

Test(sdp_media, the_line_that_something_belongs_to)
{
	struct sdp_session s =
		read_rest("c=IN IP4 10.0.0.1\r\nm=audio 5004 RTP/AVP 0\r\nc=IN IP4 10.0.0.2\r\n"
			  "m=audio 5006 RTP/AVP 0\r\nc=IN IP4 10.0.0.3\r\nc=IN IP4 10.0.0.4\r\n");
	const unsigned int at[] = {2, 2, 0, 1, 1};
	struct text rest = s.body;
	struct sdp_place place;
	for (unsigned int i = 0; sdp_next_place(&rest, &place); i++)
		cr_expect_eq(sdp_media_at(&s, place.host), at[i], "%u", i);
	cr_expect_eq(sdp_media_at(&s, s.media[1].port), 1);
	s.media_count = 0;
	cr_expect_eq(sdp_media_at(&s, s.body), 0);
}

/* As hostile as 64 KiB can be: each of these takes one walk. */
Test(sdp_media, long_descriptions, .timeout = 5)
{
	static char body[1 << 16];
	struct sdp_session s;
	struct sdp_place place;
	size_t n = (size_t)sprintf(body, HEAD);
	for (int i = 0; i < 10000 && n < sizeof(body) - 32; i++)
		n += (size_t)sprintf(body + n, "m=a 1 x\n");
	cr_expect_not(sdp_read(text(body, n), &s));
	memset(body, 'a', sizeof(body));
	cr_expect_not(sdp_read(text(body, sizeof(body)), &s));
	memcpy(body, "v=", 2);
	cr_expect(sdp_read(text(body, sizeof(body)), &s) && !s.media_count);
	memset(body, '\n', sizeof(body));
	cr_expect_not(sdp_read(text(body, sizeof(body)), &s));
	n = (size_t)sprintf(body, "v=0\nm=audio 5004 ");
	memset(body + n, '/', sizeof(body) - n);
	cr_expect(sdp_read(text(body, sizeof(body)), &s) && s.media_count == 1);
	n = (size_t)sprintf(body, HEAD "m=audio 5004 RTP/AVP 0\n");
	while (n < sizeof(body) - 64)
		n += (size_t)sprintf(body + n, "c=IN IP4 10.0.0.1\na=candidate:1 1 UDP\n");
	cr_expect(sdp_read(text(body, n), &s));
	struct text rest = s.body;
	unsigned int count = 0;
	while (sdp_next_place(&rest, &place))
		count++;
	cr_expect_gt(count, 1000);
}
