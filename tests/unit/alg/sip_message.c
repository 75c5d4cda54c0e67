/* SIP's messages: what is one, where it ends, and what its lines are. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "sip_message.h"

static size_t frame(const char *t)
{
	return sip_frame((const uint8_t *)t, strlen(t), 0);
}

static bool read_as(const char *t, bool stream, struct sip_message *m)
{
	return sip_read((const uint8_t *)t, strlen(t), stream, m);
}

static bool is(struct text t, const char *as)
{
	return text_left(&t) == strlen(as) && !memcmp(t.p, as, strlen(as));
}

/* As a stream gives it, byte by byte: the first length that is not 0. */
static size_t grow(const char *t, size_t n)
{
	for (size_t i = 1; i <= n; i++) {
		const size_t length = sip_frame((const uint8_t *)t, i, i - 1);
		if (length)
			return length;
	}
	return 0;
}

static const char invite[] = "INVITE sip:bob@example.com SIP/2.0\r\n"
			     "v: sip/2.0/UDP 10.0.0.1;branch=z9hG4bK1, SIP/2.0/UDP x;branch=no\r\n"
			     "Via: SIP/2.0/UDP x;branch=no\r\n"
			     "f: \"a;tag=no\" <sip:a@b;tag=no>;x=\"y;tag=no\";tag=1f\r\n"
			     "t: sip:bob@example.com ; Tag = 2t\r\n"
			     "i: 4711@10.0.0.1\r\n"
			     "CSeq: 0009\r\n INVITE\r\n"
			     "m: <sip:a@10.0.0.1>;expires=7\r\n"
			     "Expires: 0060\r\n"
			     "c: application/sdp\r\n"
			     "e: gzip\r\n"
			     "l : 3\r\n"
			     "\r\n"
			     "abc";

Test(sip_message, lines_are_read)
{
	struct sip_message m;
	for (int stream = 0; stream < 2; stream++) {
		cr_assert(read_as(invite, stream, &m));
		cr_expect(m.request && !m.fragment && is(m.method, "INVITE") &&
			  is(m.uri, "sip:bob@example.com") && !m.status);
		cr_expect(is(m.call_id, "4711@10.0.0.1"));
		cr_expect(is(m.cseq_method, "INVITE") && m.cseq == 9);
		cr_expect(is(m.branch, "z9hG4bK1"), "of the topmost Via");
		cr_expect(is(m.from_tag, "1f") && is(m.to_tag, "2t"));
		cr_expect_eq(m.expires, 60);
		cr_expect(is(m.type, "application/sdp") && is(m.encoding, "gzip") &&
			  is(m.length, "3") && is(m.h.body, "abc"));
	}
	cr_assert(read_as("sip/2.0 183 Sch\xc3\xb6n, \xff\r\nV:x\r\n\r\n", true, &m));
	cr_expect(!m.request && m.status == 183 && !text_left(&m.method) && !text_left(&m.uri));
	cr_expect(!text_left(&m.branch) && !text_left(&m.call_id) && !text_left(&m.from_tag) &&
		  m.expires == UINT32_MAX);
	cr_assert(read_as("SIP/2.0 100 \r\n\r\n", true, &m) && m.status == 100);
	cr_assert(read_as("SIP/2.0 699\n\n", true, &m) && m.status == 699);
	cr_assert(read_as("!-.%*_+`'~9 tel:+1 SIP/2.0\n\n", true, &m) && is(m.uri, "tel:+1"));
}

Test(sip_message, what_is_there_twice_or_broken_is_absent)
{
	struct sip_message m;
	cr_assert(read_as("A b:c SIP/2.0\r\n"
			  "Call-ID: a\r\ni: a\r\nFrom: <a:b>;tag=1\r\nf: <a:b>;tag=1\r\n"
			  "To: <a:b>;tag=1;tag=2\r\nCSeq: 1 A\r\nCSeq: 1 A\r\nExpires: 1\r\n"
			  "Expires: 1\r\nContent-Type: a/b\r\nc: a/b\r\ne: x\r\ne: x\r\n"
			  "Via: x;branch=a;branch=b\r\n\r\n",
		true, &m));
	cr_expect(!text_left(&m.call_id) && !text_left(&m.from_tag) && !text_left(&m.to_tag) &&
		  !text_left(&m.cseq_method) && !text_left(&m.type) && !text_left(&m.encoding) &&
		  !text_left(&m.branch) && m.expires == UINT32_MAX);
	const char *broken[] = {"CSeq: A", "CSeq: 1", "CSeq: 2147483648 A", "CSeq: 1 A B",
		"CSeq: -1 A", "CSeq: 36893488147419103233 A", "Expires: 4294967296", "Expires: x",
		"Call-ID: a b", "Call-ID:", "To: \"x;tag=1", "To: <x;tag=1", "To: <x>;tag",
		"To: x;tag=", "Via: x, y;branch=1", "Via: x;branch=", "CSeq: 1\xc3\xa4 A"};
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		char t[256];
		snprintf(t, sizeof(t), "A b:c SIP/2.0\r\n%s\r\n\r\n", broken[i]);
		cr_assert(read_as(t, true, &m), "%s", broken[i]);
		cr_expect(!text_left(&m.call_id) && !text_left(&m.cseq_method) &&
				  !text_left(&m.to_tag) && !text_left(&m.branch) &&
				  m.expires == UINT32_MAX,
			"%s", broken[i]);
	}
}

Test(sip_message, lines_are_known_by_both_names)
{
	static const struct {
		const char *name;
		enum sip_field field;
	} known[] = {{"V", SIP_VIA}, {"vIa", SIP_VIA}, {"m", SIP_CONTACT}, {"Contact", SIP_CONTACT},
		{"f", SIP_FROM}, {"From", SIP_FROM}, {"T", SIP_TO}, {"to", SIP_TO},
		{"i", SIP_CALL_ID}, {"call-id", SIP_CALL_ID}, {"CSeq", SIP_CSEQ},
		{"Expires", SIP_EXPIRES}, {"l", SIP_CONTENT_LENGTH},
		{"Content-Length", SIP_CONTENT_LENGTH}, {"c", SIP_CONTENT_TYPE},
		{"e", SIP_CONTENT_ENCODING}, {"Authorization", SIP_CREDENTIALS},
		{"Proxy-Authorization", SIP_CREDENTIALS}, {"Route", SIP_ROUTES},
		{"Record-Route", SIP_ROUTES}, {"Path", SIP_ROUTES}, {"Service-Route", SIP_ROUTES},
		{"r", SIP_REFER_TO}, {"Refer-To", SIP_REFER_TO}, {"b", SIP_NAMED},
		{"Referred-By", SIP_NAMED}, {"P-Asserted-Identity", SIP_NAMED},
		{"P-Preferred-Identity", SIP_NAMED}, {"Remote-Party-ID", SIP_NAMED},
		{"Diversion", SIP_NAMED}, {"History-Info", SIP_NAMED}, {"Reply-To", SIP_NAMED},
		{"Subject", SIP_OTHER}, {"s", SIP_OTHER}, {"Replaces", SIP_OTHER},
		{"WWW-Authenticate", SIP_OTHER}, {"Contact-", SIP_OTHER}, {"6", SIP_OTHER},
		{"\x16ia", SIP_OTHER}};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		char t[64];
		snprintf(t, sizeof(t), "%s \t: x\r\n", known[i].name);
		struct text lines = text(t, strlen(t));
		struct sip_line line;
		if (*t < ' ') {
			cr_expect_not(sip_next_line(&lines, &line));
			continue;
		}
		cr_assert(sip_next_line(&lines, &line), "%s", t);
		cr_expect(line.field == known[i].field && is(line.name, known[i].name) &&
				  is(line.value, "x"),
			"%s", t);
		cr_expect_not(sip_next_line(&lines, &line));
	}
}

Test(sip_message, frames_end_where_the_body_does)
{
	const size_t whole = strlen(invite), header = whole - 3;
	char two[2 * sizeof(invite)];
	snprintf(two, sizeof(two), "%s%s", invite, invite);
	for (size_t n = 1; n < strlen(two); n++)
		for (size_t seen = 0; seen <= n && seen<header; seen += n> 2 ? n - 2 : 1) {
			const size_t got = sip_frame((const uint8_t *)two, n, seen);
			cr_expect_eq(got, n < header ? 0 : whole, "%zu of %zu", got, n);
		}
	cr_expect_eq(frame("A b:c SIP/2.0\n\nA"), 15, "without a length no body");
	cr_expect_eq(frame("A b:c SIP/2.0\r\nl:12\r\n\r\n"), 23 + 12);
	cr_expect_eq(frame("\r\n\r\nA"), 2, "a keep-alive is one by itself");
	cr_expect_eq(frame("\nA"), 1);
	cr_expect_eq(frame("\r"), 0);
	cr_expect_eq(grow(two, strlen(two)), whole);
}

/* Where a stream shows that it is no SIP. */
static void expect_offence(const char *t, size_t n, size_t length)
{
	struct sip_message m;
	cr_expect_eq(grow(t, n), length, "%s: %zu", t, grow(t, n));
	cr_expect_eq(sip_frame((const uint8_t *)t, n, 0), length, "%s", t);
	for (int stream = 0; stream < 2; stream++)
		cr_expect_not(sip_read((const uint8_t *)t, length, stream, &m), "%s", t);
}

static void expect_offence_at(const char *t, const char *where)
{
	expect_offence(t, strlen(t), (size_t)(strstr(t, where) - t) + 1);
}

Test(sip_message, other_protocols_are_known_by_their_first_byte_that_cannot_be)
{
	expect_offence("\x16\x03\x01\x02", 4, 1);
	expect_offence("\x80\x9e\x01\x03", 4, 1);
	expect_offence("\0\0\0\0", 2, 1);
	expect_offence_at("POST / HTTP/1.1\r\nHost: x\r\n\r\nREGISTER sip:x SIP/2.0\r\n", "/");
	expect_offence_at("OPTIONS * HTTP/1.1\r\n", "*");
	expect_offence_at("GET http://example.com/ HTTP/1.1\r\n", "HTTP");
	expect_offence_at("CONNECT host:443 HTTP/1.1\r\n", "HTTP");
	expect_offence_at("OPTIONS rtsp://host/ RTSP/1.0\r\n", "RTSP");
	expect_offence_at("HTTP/1.1 200 OK\r\n", "/");
	expect_offence_at("EHLO host\r\n", "\r");
	expect_offence_at("SSH-2.0-x\r\n", "\r");
	expect_offence_at("220 ftp ready\r\n", " ready");
	expect_offence_at(" INVITE sip:x SIP/2.0\r\n", " ");
	expect_offence_at("INVITE  sip:x SIP/2.0\r\n", " sip");
	expect_offence_at("INVITE <sip:x> SIP/2.0\r\n", "<");
	expect_offence_at("INVITE sip:x; lr SIP/2.0\r\n", "lr");
	expect_offence_at("INVITE sip: SIP/2.0\r\n", " SIP");
	expect_offence_at("INVITE sip:x SIP/2.0 \r\n", " \r");
	expect_offence_at("INVITE sip:x SIP/2.00\r\n", "0\r");
	expect_offence_at("INVITE sip:x SIP/7.0\r\n", "7");
	expect_offence_at("INVITE sip:x SIP/2.\r\n", "\r");
	expect_offence_at("INVITE sip:x SIP/2.0\rVia: x\r\n", "\rVia");
	expect_offence_at("INVITE sip:\x7f SIP/2.0\r\n", "\x7f");
	expect_offence_at("INVITE sip:x\tSIP/2.0\r\n", "\t");
	expect_offence_at("SIP/2.0 4294967301 better not\r\n", "4967301");
	expect_offence_at("SIP/2.0 099 x\r\n", "099");
	expect_offence_at("SIP/2.0 700 x\r\n", "700");
	expect_offence_at("SIP/2.0 20\r\n", "\r");
	expect_offence_at("SIP/2.0\r\n", "\r");
	expect_offence_at("SIP/2.0 200 O\x01K\r\n", "\x01");
	expect_offence_at("SIP/3.0 200 OK\r\n", "3");
	expect_offence_at("SIP/ 200 OK\r\n", " ");
	expect_offence("A b:c SIP/2.0\r\nnot a line\r\n", 27, 27);
}

Test(sip_message, start_lines_have_bounds)
{
	char t[16384];
	memset(t, 'A', sizeof(t));
	expect_offence(t, sizeof(t), 65);
	memcpy(t, "A ", 2);
	expect_offence(t, sizeof(t), 2 + 33);
	memcpy(t, "A sip:", 6);
	expect_offence(t, sizeof(t), 8193);
}

Test(sip_message, what_two_could_read_differently_is_none)
{
	const char *bad[] = {"Content-Length: 1\r\nl: 1\r\n", "l: 1\r\nl: 1\r\n", "l: -1\r\n",
		"l: 1 1\r\n", "l: +1\r\n", "l:\r\n", "l: 0x1\r\n", "x\r\n", ": x\r\n", " x\r\n",
		"a: b\rc: d\r\n", "l: 99999999999\r\n"};
	struct sip_message m;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char t[128];
		snprintf(t, sizeof(t), "A b:c SIP/2.0\r\n%s\r\nx", bad[i]);
		cr_expect_not(read_as(t, true, &m), "%s", bad[i]);
		cr_expect_not(read_as(t, false, &m), "%s", bad[i]);
	}
	static const char escaped[] = "A b:c SIP/2.0\nx: \"\\\0\"\n\n",
			  bare[] = "A b:c SIP/2.0\nx: \"\0\"\n\n";
	cr_expect(
		sip_read((const uint8_t *)escaped, sizeof(escaped) - 1, true, &m), "a quoted pair");
	cr_expect_not(sip_read((const uint8_t *)bare, sizeof(bare) - 1, true, &m));
}

Test(sip_message, bodies_of_datagrams)
{
	struct sip_message m;
	cr_assert(read_as("A b:c SIP/2.0\r\n\r\nbody", false, &m));
	cr_expect(is(m.h.body, "body") && !text_left(&m.length), "to the end");
	cr_assert(read_as("A b:c SIP/2.0\r\nl: 2\r\n\r\nbody", false, &m));
	cr_expect(is(m.h.body, "bo"), "what is behind it is none of it");
	cr_expect_not(read_as("A b:c SIP/2.0\r\nl: 5\r\n\r\nbody", false, &m));
	cr_expect_not(read_as("A b:c SIP/2.0\r\n\r\nbody", true, &m));
	cr_expect_not(read_as("A b:c SIP/2.0\r\nl: 2\r\n\r\nbody", true, &m));
	cr_expect_not(read_as("A b:c SIP/2.0\r\nl: 2\r\n", false, &m));
}

Test(sip_message, keepalives)
{
	static const uint8_t stun[] = {0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8,
		9, 10, 11, 12, 1, 1, 1, 1};
	uint8_t wrong[sizeof(stun)];
	cr_expect(sip_is_keepalive((const uint8_t *)"\r\n\r\n", 4));
	cr_expect(sip_is_keepalive((const uint8_t *)"\n", 1));
	cr_expect(sip_is_keepalive((const uint8_t *)"    \t", 5), "as SIPPS sends them");
	cr_expect_not(sip_is_keepalive((const uint8_t *)"    x", 5));
	cr_expect(sip_is_keepalive((const uint8_t *)"\0\0\0\0", 4));
	cr_expect(sip_is_keepalive(stun, sizeof(stun)));
	cr_expect_not(sip_is_keepalive(stun, sizeof(stun) - 1));
	for (int i = 0; i < 8; i += i == 0 ? 3 : i == 3 ? 1 : 3) {
		memcpy(wrong, stun, sizeof(stun));
		wrong[i] ^= 0x40;
		cr_expect_not(sip_is_keepalive(wrong, sizeof(wrong)), "%d", i);
	}
	cr_expect_not(sip_is_keepalive((const uint8_t *)"\r\nA", 3));
	cr_expect_not(sip_is_keepalive((const uint8_t *)"\rA", 2));
	cr_expect_not(sip_is_keepalive((const uint8_t *)"\0A", 2));
}

static bool read_fragment(const char *t, struct sip_message *m)
{
	return sip_read_fragment(text(t, strlen(t)), m);
}

Test(sip_message, fragments)
{
	struct sip_message m;
	struct sip_line line;
	cr_assert(read_fragment("SIP/2.0 180 Ringing", &m));
	cr_expect(m.fragment && !m.request && m.status == 180 && !text_left(&m.h.lines));
	cr_assert(read_fragment("SIP/2.0 200 OK\r\n", &m) && m.status == 200);
	cr_assert(read_fragment("SIP/2.0 200 OK\r\nContact: <sip:a@b>", &m));
	cr_expect(sip_next_line(&m.h.lines, &line) && line.field == SIP_CONTACT &&
		  is(line.value, "<sip:a@b>") && !sip_next_line(&m.h.lines, &line));
	cr_assert(read_fragment("From: <sip:a@b>;tag=1\r\nTo:\r\n x\r\n\r\nbody", &m));
	cr_expect(!m.request && !m.status && is(m.from_tag, "1") &&
		  is(m.h.lines, "From: <sip:a@b>;tag=1\r\nTo:\r\n x\r\n"));
	cr_assert(read_fragment("INVITE sip:a@b SIP/2.0\nl: 99", &m));
	cr_expect(m.request && is(m.uri, "sip:a@b") && is(m.length, "99"));
	cr_expect_not(read_fragment("", &m));
	cr_expect_not(read_fragment("\r\n", &m));
	cr_expect_not(read_fragment("hello", &m));
	cr_expect_not(read_fragment("SIP/2.0 200 OK\r\nhello", &m));
	cr_expect_not(read_fragment(" x: y", &m));
}
