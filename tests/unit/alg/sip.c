/*
 * SIP as a whole: what is SIP and what is not, what leaves with its lengths right, what never opens anything; and every recorded
 * session, streams at every split position, with the same output.
 */
#include "session.h"
#include "sip_talk.h"

static struct harness *begin(bool stream)
{
	struct alg_flow view = talk_view();
	view.stream = stream;
	view.sip_multipart = true;
	return harness_new(&sip_protocol, view, GRANT);
}

/* The length that a message says its body has is the one that it has. */
static void expect_length(const char *message)
{
	const char *body = strstr(message, "\r\n\r\n"),
		   *length = strstr(message, "Content-Length:");
	cr_assert(body && length);
	cr_assert_eq(strlen(body + 4), (size_t)atoi(length + 15), "%s", message);
}

/* ---- what is SIP ---- */

Test(sip, a_stream_that_is_something_else_passes_raw_and_opens_nothing)
{
	const char *first[] = {
		"POST / HTTP/1.1\r\nContent-Length: 999\r\n\r\n",
		"GET sip:b@example.com HTTP/1.1\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
		"INVITE sip:b@example.com SIP/3.0\r\n\r\n",
		" INVITE sip:b@example.com SIP/2.0\r\n\r\n",
		"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n",
		"SIP/2.0 99 X\r\n\r\n",
		"\26\3\1\2\0\1",
		"REGISTER sip:b@example.com SIP/2.0\r\nno header\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		struct harness *h = begin(true);
		struct call c = talk_call(h, ALG_GUEST, "1@pc");
		harness_say(h, ALG_GUEST, first[i]);
		ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
		expect_told(&c, "");
		cr_expect(h->gave_up && h->violation, "%s", first[i]);
		harness_expect_untouched(h);
		harness_free(h);
	}
}

Test(sip, keepalives_pass_and_end_nothing)
{
	static const char stun[] = "\0\1\0\0\x21\x12\xa4\x42"
				   "123456789012";
	struct harness *h = begin(false);
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	harness_say(h, ALG_GUEST, "\r\n\r\n");
	harness_send(h, ALG_GUEST, "\0\0\0\0", 4);
	harness_send(h, ALG_GUEST, stun, sizeof(stun) - 1);
	harness_say(h, ALG_OUTSIDE, "\r\n");
	harness_expect_untouched(h);
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	expect_told(&c, "wish 1 5004 latent " PEER);
	harness_free(h);
	h = begin(true);
	c = talk_call(h, ALG_GUEST, "1@pc");
	harness_say(h, ALG_GUEST, "\r\n\r\n\n");
	harness_expect_untouched(h);
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	expect_told(&c, "wish 1 5004 latent " PEER);
	harness_free(h);
}

Test(sip, a_datagram_that_is_something_else_ends_it)
{
	struct harness *h = begin(false);
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	harness_say(h, ALG_GUEST, "hello");
	cr_expect(h->gave_up && h->violation);
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
	expect_told(&c, "");
	harness_expect_untouched(h);
	harness_free(h);
}

/* ---- what leaves ---- */

Test(sip, lengths_are_right_in_what_leaves)
{
	struct harness *h = begin(true);
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INVITE", 1, NULL,
		talk_sdp_of(GUEST, "m=audio 5004 RTP/AVP 0\r\na=rtcp:5005 IN IP4 " GUEST "\r\n"));
	expect_heard(&c, ALG_GUEST, "a=rtcp:40001 IN IP4 " OUTSIDE "\r\n");
	expect_length(c.heard[ALG_GUEST]);
	snprintf(c.said[ALG_GUEST], TALK_BYTES,
		"NOTIFY sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/TCP " GUEST
		";branch=z9hG4bKn\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: "
		"<sip:b@example.com>;tag=2\r\nCall-ID: 1@pc\r\nCSeq: 9 NOTIFY\r\nContent-Type: "
		"message/sipfrag\r\nContent-Length: 54\r\n\r\n"
		"SIP/2.0 200 OK\r\nContact: <sip:a@" GUEST ">\r\nX: y\r\n");
	snprintf(strstr(c.said[ALG_GUEST], "54\r\n\r\n"), 100,
		"%zu\r\n\r\nSIP/2.0 200 OK\r\nContact: <sip:a@" GUEST ">\r\nX: y\r\n",
		strlen("SIP/2.0 200 OK\r\nContact: <sip:a@" GUEST ">\r\nX: y\r\n"));
	talk_send(&c, ALG_GUEST);
	expect_heard(&c, ALG_GUEST, "SIP/2.0 200 OK\r\nContact: <sip:a@" OUTSIDE);
	expect_length(c.heard[ALG_GUEST]);
	cr_expect_not(h->gave_up);
	harness_free(h);
}

static void say_multipart(struct call *c)
{
	char body[1024];
	snprintf(body, sizeof(body),
		"--b\r\nContent-Type: application/sdp\r\n\r\n%s\r\n--b\r\nContent-Type: "
		"text/plain\r\n\r\n" GUEST "\r\n--b--\r\n",
		talk_sdp(GUEST, 5004));
	c->more = "Content-Type: multipart/mixed;boundary=b\r\n";
	snprintf(c->said[ALG_GUEST], TALK_BYTES, "INVITE sip:b@example.com SIP/2.0\r\n");
	talk_rest(c, ALG_GUEST, ALG_GUEST, 1, "INVITE", NULL, NULL);
	char *length = strstr(c->said[ALG_GUEST], "Content-Length: 0");
	snprintf(length, TALK_BYTES / 2, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	talk_send(c, ALG_GUEST);
}

Test(sip, a_description_among_other_parts_is_one_where_the_operator_says_so)
{
	struct harness *h = begin(true);
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	say_multipart(&c);
	expect_told(&c, "wish 1 5004 latent " PEER);
	expect_heard(&c, ALG_GUEST, "m=audio 40000 ");
	expect_heard(&c, ALG_GUEST, "text/plain\r\n\r\n" GUEST "\r\n--b--");
	expect_length(c.heard[ALG_GUEST]);
	harness_free(h);
	h = begin(true);
	h->flow.view.sip_multipart = false;
	c = talk_call(h, ALG_GUEST, "1@pc");
	say_multipart(&c);
	expect_told(&c, "");
	expect_heard(&c, ALG_GUEST, "m=audio 5004 ");
	expect_heard(&c, ALG_GUEST, "Contact: <sip:c@" OUTSIDE);
	harness_free(h);
}

Test(sip, what_is_left_alone_is_told_and_its_header_lines_are_edited)
{
	static const char *const lines[] = {
		"Content-Encoding: gzip\r\n",
		"Authorization: Digest username=\"a\", qop=auth-int, nc=00000001\r\n",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct harness *h = begin(false);
		struct call c = talk_call(h, ALG_GUEST, "1@pc");
		c.more = lines[i];
		ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, 5004));
		expect_told(&c, "");
		cr_expect(h->notes == 1 && h->note, "%s", lines[i]);
		expect_heard(&c, ALG_GUEST, talk_sdp(GUEST, 5004));
		expect_heard(&c, ALG_GUEST, "Contact: <sip:c@" OUTSIDE);
		harness_free(h);
	}
}

Test(sip, more_addresses_than_can_be_edited_are_all_left_alone)
{
	struct harness *h = begin(false);
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	static char more[8000];
	for (int i = 0; i < ALG_EDITS; i++)
		strcat(more, "Route: <sip:x@" GUEST ":5061>\r\n");
	c.more = more;
	ask(&c, ALG_GUEST, "OPTIONS", 1, NULL, NULL);
	expect_same(&c, ALG_GUEST);
	cr_expect_eq(h->notes, 1);
	/* what went out so is not the guest's outside name, and what names that is left alone */
	snprintf(c.said[ALG_OUTSIDE], TALK_BYTES, "OPTIONS sip:c@" OUTSIDE ":41000 SIP/2.0\r\n");
	talk_rest(&c, ALG_OUTSIDE, ALG_OUTSIDE, 1, "OPTIONS", NULL, NULL);
	talk_send(&c, ALG_OUTSIDE);
	expect_same(&c, ALG_OUTSIDE);
	harness_free(h);
}

/* Old telephones put media into INFO (RFC 2976): a request of its own within a dialog. */
Test(sip, media_of_the_guests_info)
{
	struct harness *h = begin(false);
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	ask(&c, ALG_GUEST, "INFO", 2, "x", talk_sdp(GUEST, 5008));
	expect_told(&c, "wish 2 5008 latent " PEER);
	expect_heard(&c, ALG_GUEST, "m=audio 40002 ");
	expect_length(c.heard[ALG_GUEST]);
	reply(&c, ALG_OUTSIDE, 200, "INFO", 2, "x", talk_sdp(TWO, 6008));
	expect_told(&c, "arm 2 " TWO "; close 1");
	harness_free(h);
}

Test(sip, media_of_the_far_ends_info)
{
	struct harness *h = begin(false);
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	talk_established(&c, "x", 5004, ONE);
	ask(&c, ALG_OUTSIDE, "INFO", 1, "x", talk_sdp(TWO, 6008));
	expect_same(&c, ALG_OUTSIDE);
	expect_told(&c, "");
	reply(&c, ALG_GUEST, 200, "INFO", 1, "x", talk_sdp(GUEST, 5008));
	expect_told(&c, "wish 2 5008 open " TWO "; close 1");
	expect_heard(&c, ALG_GUEST, "m=audio 40002 ");
	expect_length(c.heard[ALG_GUEST]);
	harness_free(h);
}

Test(sip, an_info_that_is_refused_or_of_no_dialog_changes_nothing)
{
	struct harness *h = begin(false);
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	ask(&c, ALG_GUEST, "INFO", 1, "x", talk_sdp(GUEST, 5008));
	expect_told(&c, "");
	talk_established(&c, "x", 5004, ONE);
	ask(&c, ALG_GUEST, "INFO", 2, "x", talk_sdp(GUEST, 5008));
	expect_told(&c, "wish 2 5008 latent " PEER);
	reply(&c, ALG_OUTSIDE, 488, "INFO", 2, "x", NULL);
	expect_told(&c, "close 2");
	ask(&c, ALG_GUEST, "INFO", 3, "y", talk_sdp(GUEST, 5010));
	expect_told(&c, "");
	harness_free(h);
}

Test(sip, what_names_public_addresses_stays_byte_for_byte)
{
	struct harness *h = begin(false);
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	c.via = OUTSIDE ":41000", c.contact = OUTSIDE ":41000";
	ask(&c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(OUTSIDE, 5004));
	expect_same(&c, ALG_GUEST);
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp("198.51.100.21", 6000));
	expect_same(&c, ALG_OUTSIDE);
	expect_told(&c, "");
	harness_free(h);
}

/* ---- slipstreaming ---- */

/* What a page makes a browser send: a POST whose body has a whole SIP message in it, at some place. */
static void post(struct harness *h, const char *inner, unsigned int padding, size_t piece)
{
	static char text[1 << 15];
	int n = snprintf(text, sizeof(text),
		"POST / HTTP/1.1\r\nHost: 198.51.100.9:5060\r\nContent-Length: %zu\r\n\r\n",
		padding + strlen(inner));
	memset(text + n, 'x', padding);
	strcpy(text + n + padding, inner);
	const size_t all = strlen(text);
	for (size_t at = 0; at < all; at += piece)
		harness_send(h, ALG_GUEST, text + at, all - at < piece ? all - at : piece);
}

static const char *inner_message(const char *method)
{
	static struct call c;
	c = talk_call(NULL, ALG_GUEST, "1@pc");
	snprintf(c.said[ALG_GUEST], TALK_BYTES, "%s sip:b@example.com SIP/2.0\r\n", method);
	talk_rest(&c, ALG_GUEST, ALG_GUEST, 1, method, NULL, talk_sdp(GUEST, 5004));
	return c.said[ALG_GUEST];
}

static void expect_nothing(struct harness *h)
{
	struct call c = talk_call(h, ALG_GUEST, "1@pc");
	reply(&c, ALG_OUTSIDE, 200, "INVITE", 1, "x", talk_sdp("198.51.100.21", 6000));
	cr_expect(h->wishes == 0 && h->acts == 0 && h->hold_ms == 0);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(sip, a_message_within_a_post_opens_nothing_wherever_it_stands)
{
	static const char *const methods[] = {"INVITE", "REGISTER"};
	for (int m = 0; m < 2; m++) {
		const char *inner = inner_message(methods[m]);
		for (unsigned int padding = 0; padding < 1600; padding++) {
			struct harness *h = begin(true);
			post(h, inner, padding, 1460);
			cr_assert(h->gave_up && h->violation);
			expect_nothing(h);
		}
		/* the segment that begins with it, as packets would be cut */
		struct harness *h = begin(true);
		harness_say(h, ALG_GUEST, "POST / HTTP/1.1\r\nContent-Length: 9999\r\n\r\n");
		harness_say(h, ALG_GUEST, inner);
		expect_nothing(h);
		h = begin(false);
		harness_say(h, ALG_GUEST, "POST / HTTP/1.1\r\nContent-Length: 9999\r\n\r\n");
		harness_say(h, ALG_GUEST, inner);
		expect_nothing(h);
	}
}

/* A TURN client's user name or data, as a browser's WebRTC sends it to a server of the attacker's. */
Test(sip, a_message_wrapped_for_turn_opens_nothing)
{
	static const char *const methods[] = {"INVITE", "REGISTER"};
	for (int m = 0; m < 2; m++)
		for (int stream = 0; stream < 2; stream++)
			for (unsigned int padding = 0; padding < 1500; padding += 4) {
				const char *inner = inner_message(methods[m]);
				const size_t n = padding + strlen(inner), all = 20 + 4 + n;
				uint8_t text[8192] = {0, 3, (uint8_t)((n + 4) >> 8),
					(uint8_t)(n + 4), 0x21, 0x12, 0xa4, 0x42};
				text[21] = 6; /* USERNAME */
				text[22] = (uint8_t)(n >> 8);
				text[23] = (uint8_t)n;
				memset(text + 24, 'x', padding);
				memcpy(text + 24 + padding, inner, strlen(inner));
				struct harness *h = begin(stream);
				harness_send(h, ALG_GUEST, text, all);
				expect_nothing(h);
			}
}

/* ---- recorded sessions ---- */

static void cut_everywhere(const struct session *s)
{
	session_cut_everywhere(s, &sip_protocol);
}

static void stream_untouched(const struct session *s)
{
	session_expect_untouched(s, &sip_protocol, true);
}

static void datagrams_untouched(const struct session *s)
{
	session_expect_untouched(s, &sip_protocol, false);
}

/* A datagram is never cut; but twice is as once. */
static void twice(const struct session *s)
{
	for (int serves = 0; serves < 2; serves++) {
		struct harness *h[2];
		for (int i = 0; i < 2; i++)
			h[i] = session_play(s, &sip_protocol, session_view(s, false, serves),
				SESSION_WHOLE, SESSION_NO_CUT);
		session_expect_same(s, h[0], h[1], 0);
		harness_free(h[0]);
		harness_free(h[1]);
	}
}

Test(sip_captures, every_split_position_gives_the_same_output, .timeout = 240)
{
	session_each(VECTOR_DIRECTORY "/tcp", 5, cut_everywhere);
}

Test(sip_captures, datagrams_give_the_same_output_each_time)
{
	session_each(VECTOR_DIRECTORY "/udp", 19, twice);
}

Test(sip_captures, a_foreign_address_leaves_every_byte_as_it_was)
{
	session_each(VECTOR_DIRECTORY "/tcp", 5, stream_untouched);
	session_each(VECTOR_DIRECTORY "/udp", 19, datagrams_untouched);
}

struct counts {
	unsigned int wishes, armed, closed;
	bool violation;
};

static void expect_session(const char *name, bool stream, bool serves, struct counts expected)
{
	struct session *s = session_load(VECTOR_DIRECTORY, name);
	struct alg_flow view = session_view(s, stream, serves);
	view.sip_multipart = true;
	struct harness *h = session_play(s, &sip_protocol, view, SESSION_WHOLE, SESSION_NO_CUT);
	cr_expect_eq(h->wishes, expected.wishes, "%s: %u wishes", name, h->wishes);
	cr_expect_eq(harness_count(h, ALG_ARM, 0), expected.armed, "%s: %u armed", name,
		harness_count(h, ALG_ARM, 0));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), expected.closed, "%s: %u closed", name,
		harness_count(h, ALG_CLOSE, 0));
	cr_expect_eq(h->violation, expected.violation, "%s: %s", name, h->why);
	harness_free(h);
	free(s);
}

Test(sip_captures, each_does_what_its_name_says)
{
	for (int stream = 0; stream < 2; stream++) {
		const char *one = stream ? "tcp/crafted-1.session" : "udp/crafted-1.session";
		const char *two = stream ? "tcp/crafted-2.session" : "udp/crafted-2.session";
		expect_session(one, stream, false, (struct counts){2, 2, 1, false});
		expect_session(one, stream, true, (struct counts){2, 0, 1, false});
		expect_session(two, stream, false, (struct counts){1, 0, 1, false});
		expect_session(two, stream, true, (struct counts){1, 1, 1, false});
	}
	expect_session(
		"tcp/http_on_sip_port-1.session", true, false, (struct counts){0, 0, 0, true});
	expect_session("tcp/sip-tcp-1.session", true, false, (struct counts){0, 0, 0, false});
	expect_session("udp/own-sipp-udp-multipart-prack-update-t38-refer-1.session", false, false,
		(struct counts){4, 1, 2, false});
	expect_session("udp/own-sipp-udp-multipart-prack-update-t38-refer-1.session", false, true,
		(struct counts){3, 0, 2, false});
	expect_session("udp/sip-junk-before-request-1.session", false, false,
		(struct counts){0, 0, 0, false});
}
