/* What bodies hold, alone and in parts, why some are left alone, and the lengths of what was edited. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edits.h"
#include "sip_body.h"

#define SDP   "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\n"
#define MIXED "Content-Type: multipart/mixed;boundary=b\r\n"

static struct sip_bodies found;
static uint8_t message[1 << 17];

/* A request with these header lines and this body. */
static struct sip_message make(const char *lines, const void *body, size_t n)
{
	struct sip_message m;
	const size_t at = (size_t)sprintf((char *)message,
		"INVITE sip:a@b SIP/2.0\r\n%sContent-Length: %zu\r\n\r\n", lines, n);
	memcpy(message + at, body, n);
	cr_assert(sip_read(message, at + n, true, &m), "%s", lines);
	return m;
}

static unsigned int find_in(const char *lines, const void *body, size_t n)
{
	const struct sip_message m = make(lines, body, n);
	memset(&found, 0xff, sizeof(found));
	return sip_bodies_find(&m, true, &found);
}

static unsigned int find(const char *lines, const char *body)
{
	return find_in(lines, body, strlen(body));
}

static bool is(struct text t, const char *as)
{
	return text_left(&t) == strlen(as) && !memcmp(t.p, as, strlen(as));
}

static bool holds(unsigned int i, enum sip_body_kind kind, const char *as)
{
	return i < found.count && found.body[i].kind == kind && is(found.body[i].text, as);
}

static void expect_sdp(const char *lines, const char *body)
{
	cr_expect_eq(find(lines, body), 1, "%s%s", lines, body);
	cr_expect(holds(0, SIP_BODY_SDP, SDP) && !found.note, "%s%s", lines, body);
}

static void expect_nothing(const char *lines, const char *body, const char *note)
{
	cr_expect_eq(find(lines, body), 0, "%s%s", lines, body);
	cr_expect_eq(found.count, 0);
	if (!note)
		cr_expect_null(found.note, "%s%s: %s", lines, body, found.note);
	else
		cr_expect(found.note && strstr(found.note, note), "%s%s: %s", lines, body,
			found.note ? found.note : "none");
}

Test(sip_body, one_body_by_its_type)
{
	const char *types[] = {
		"Content-Type: application/sdp\r\n",
		"c: application/sdp\r\n",
		"CONTENT-TYPE: Application/SDP\r\n",
		"Content-Type: application / sdp ; charset=utf-8\r\n",
		"Content-Type: application\r\n /sdp;a=\"x;y/z\"\r\n",
		"Content-Type: application/sdp\r\nContent-Encoding: identity\r\n",
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		expect_sdp(types[i], SDP);
	cr_expect_eq(find("c: message/sipfrag;version=2.0\r\n", "SIP/2.0 200 OK\r\n"), 1);
	cr_expect(holds(0, SIP_BODY_FRAGMENT, "SIP/2.0 200 OK\r\n"));
}

Test(sip_body, other_types_hold_nothing)
{
	const char *types[] = {
		"",
		"Content-Type: text/plain\r\n",
		"Content-Type: application/sdpx\r\n",
		"Content-Type: xapplication/sdp\r\n",
		"Content-Type: text/sdp\r\n",
		"Content-Type: application/sipfrag\r\n",
		"Content-Type: message/sip\r\n",
		"Content-Type: application\r\n",
		"Content-Type: application/\r\n",
		"Content-Type: /sdp\r\n",
		"Content-Type: application sdp\r\n",
		"Content-Type: \r\n",
		"Content-Type: application/isup;version=itu-t92+\r\n",
		"Content-Type: application/sdp\r\nContent-Type: application/sdp\r\n",
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		expect_nothing(types[i], SDP, NULL);
	expect_nothing("Content-Type: application/sdp\r\n", "", NULL);
}

Test(sip_body, what_is_protected_is_left_alone)
{
	const char *types[] = {
		"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n",
		"c: Application/X-PKCS7-MIME\r\n",
		"c: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n",
		"c: multipart/encrypted; boundary=b\r\n",
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		expect_nothing(types[i],
			"--b\r\nContent-Type: application/sdp\r\n\r\n" SDP "\r\n--b--\r\n",
			"signed");
	expect_nothing("c: application/sdp\r\ne: gzip\r\n", SDP, "compressed");
	expect_nothing("c: message/sipfrag\r\nContent-Encoding: deflate\r\n", SDP, "compressed");
	expect_nothing(MIXED "e: gzip\r\n", "--b\r\n\r\n\r\n--b--\r\n", "compressed");
	expect_nothing("c: text/plain\r\ne: gzip\r\n", SDP, NULL);
}

Test(sip_body, a_digest_that_covers_the_body)
{
	const char *covered[] = {
		"Authorization: Digest username=\"a\", qop=auth-int, nc=00000001\r\n",
		"Authorization: Digest qop=\"auth-int\",username=\"a\"\r\n",
		"proxy-authorization: digest uri=\"sip:b,c\" , QOP = Auth-Int\r\n",
		"Authorization: Digest username=\"a\\\",qop=auth\", qop=auth-int\r\n",
		"Authorization: Digest username=\"a\",\r\n qop=auth-int\r\n",
		"Authorization: Digest uri=sip:b;x=y, qop=auth-int\r\n",
		"Authorization: Digest qop=auth\r\nProxy-Authorization: Digest qop=auth-int\r\n",
		"Authentication-Info: qop=auth-int, rspauth=\"x\"\r\n",
		"Proxy-Authentication-Info: rspauth=\"x\",qop=auth-int\r\n",
	};
	const char *not_covered[] = {
		"Authorization: Digest username=\"a\", qop=auth\r\n",
		"Authorization: Digest username=\"qop=auth-int\", qop=auth\r\n",
		"Authorization: Digest username=\"a, qop=auth-int\"\r\n",
		"Authorization: Digest x=auth-int, xqop=auth-int\r\n",
		"Authorization: Bearer qop\r\n",
		"Authorization: \r\n",
		"WWW-Authenticate: Digest qop=\"auth-int\"\r\n",
		"WWW-Authenticate: Digest qop=\"auth,auth-int\"\r\n",
		"Subject: qop=auth-int\r\n",
	};
	char lines[256];
	for (size_t i = 0; i < sizeof(covered) / sizeof(covered[0]); i++) {
		snprintf(lines, sizeof(lines), "c: application/sdp\r\n%s", covered[i]);
		expect_nothing(lines, SDP, "auth-int");
		snprintf(lines, sizeof(lines), "c: text/plain\r\n%s", covered[i]);
		expect_nothing(lines, SDP, NULL);
	}
	for (size_t i = 0; i < sizeof(not_covered) / sizeof(not_covered[0]); i++) {
		snprintf(lines, sizeof(lines), "c: application/sdp\r\n%s", not_covered[i]);
		expect_sdp(lines, SDP);
	}
}

Test(sip_body, parts_and_their_boundaries)
{
	const char *types[] = {
		"Content-Type: multipart/mixed;boundary=b\r\n",
		"Content-Type: multipart/mixed; Boundary=\"b\"\r\n",
		"c: MULTIPART/Related ; type=\"x;boundary=c\" ; boundary = b\r\n",
		"c: multipart/alternative;boundary=b;x=y\r\n",
		"c: multipart/x-other;boundary=b\r\n",
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		expect_sdp(types[i],
			"--b\r\nContent-Type: application/sdp\r\n\r\n" SDP "\r\n--b--\r\n");
		expect_sdp(types[i], "preamble\r\n--bc\r\n--b \t\r\nc: application/sdp\r\n\r\n" SDP
				     "\r\n--b--\r\nContent-Type: application/sdp\r\n\r\n" SDP);
		expect_sdp(types[i], "\n--b\nC: application/sdp\n\n" SDP "\n--b--");
		expect_sdp(types[i],
			"--b\r\n\r\ntext\r\n--b\r\nX: y\r\nContent-Type: "
			"application/sdp;x=y\r\nContent-Disposition: session\r\n\r\n" SDP
			"\r\n--b\r\nContent-Type: application/isup\r\n\r\nx\r\n--b--\r\n");
	}
	expect_sdp("c: multipart/mixed;boundary=\"a b:=?\"\r\n",
		"--a b:=?\r\nc: application/sdp\r\n\r\n" SDP "\r\n--a b:=?--\r\n");
	expect_sdp("c: multipart/mixed;boundary=--=_/x:y\r\n",
		"----=_/x:y\r\nc: application/sdp\r\n\r\n" SDP "\r\n----=_/x:y--\r\n");
}

Test(sip_body, several_in_one_message)
{
	cr_expect_eq(find(MIXED, "--b\r\nc: application/sdp\r\n\r\n" SDP
				 "\r\n--b\r\nc: text/plain\r\n\r\n" SDP
				 "\r\n--b\r\nc: message/sipfrag\r\n\r\nTo: x\r\n--b\r\nc: "
				 "application/sdp\r\n\r\nv=1\r\n--b--\r\n"),
		3);
	cr_expect(holds(0, SIP_BODY_SDP, SDP));
	cr_expect(holds(1, SIP_BODY_FRAGMENT, "To: x"));
	cr_expect(holds(2, SIP_BODY_SDP, "v=1"));
	cr_expect_null(found.note);
}

Test(sip_body, empty_parts_and_parts_without_an_end)
{
	cr_expect_eq(find(MIXED, "--b\r\n--b\r\n\r\n--b\r\nc: application/sdp\r\n--b\r\nc: "
				 "application/sdp\r\n\r\n--b--\r\n"),
		2);
	cr_expect(holds(0, SIP_BODY_SDP, "") && holds(1, SIP_BODY_SDP, ""));
	cr_expect_null(found.note);
	expect_sdp(MIXED, "--b\r\nc: application/sdp\r\n\r\n" SDP);
	expect_sdp(MIXED, "--b\r\nc: application/sdp\r\n\r\n" SDP "\r\n--b");
	cr_expect_eq(find(MIXED, "--b\r\nc: application/sdp\r\n\r\n" SDP "--bb--\r\n--b-"), 1);
	cr_expect(holds(0, SIP_BODY_SDP, SDP "--bb--\r\n--b-"));
}

Test(sip_body, a_part_of_any_bytes)
{
	uint8_t body[1024];
	size_t n = (size_t)sprintf((char *)body,
		"--b\r\nContent-Type: application/ISUP\r\nContent-Transfer-Encoding: "
		"binary\r\n\r\n");
	for (int i = 0; i < 256; i++)
		body[n++] = (uint8_t)i;
	n += (size_t)sprintf((char *)body + n,
		"\r\n--\r\n--c\r\n\r--b\r\n--b\r\nc: application/sdp\r\n\r\n" SDP "\r\n--b--\r\n");
	cr_expect_eq(find_in(MIXED, body, n), 1);
	cr_expect(holds(0, SIP_BODY_SDP, SDP) && !found.note);
}

Test(sip_body, parts_that_cannot_be_read)
{
	const char *none[] = {
		"c: multipart/mixed\r\n",
		"c: multipart/mixed;boundary=\r\n",
		"c: multipart/mixed;boundary=\"\"\r\n",
		"c: multipart/mixed;boundary=b;boundary=b\r\n",
		"c: multipart/mixed;boundary=\"b\\\\\"\r\n",
		"c: multipart/mixed;boundary=\"b \"\r\n",
		"c: multipart/mixed;boundary=c\r\n",
		"c: multipart/mixed;xboundary=b\r\n",
	};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		expect_nothing(none[i], "--b\r\nc: application/sdp\r\n\r\n" SDP "\r\n--b--\r\n",
			"cannot be read");
	expect_nothing(MIXED, "--b--\r\n--b\r\nc: application/sdp\r\n\r\n" SDP, "cannot be read");
	expect_nothing(MIXED, "--b\r\nrubbish\r\nc: application/sdp\r\n\r\n" SDP "\r\n--b--\r\n",
		"cannot be read");
	expect_nothing(MIXED,
		"--b\r\nc: text/plain\r\nc: application/sdp\r\n\r\n" SDP "\r\n--b--\r\n",
		"cannot be read");
}

Test(sip_body, the_longest_boundary)
{
	char lines[256], body[512];
	for (int n = 70; n <= 71; n++) {
		snprintf(lines, sizeof(lines), "c: multipart/mixed;boundary=%0*d\r\n", n, 1);
		snprintf(body, sizeof(body),
			"--%0*d\r\nc: application/sdp\r\n\r\n" SDP "\r\n--%0*d--\r\n", n, 1, n, 1);
		if (n == 70)
			expect_sdp(lines, body);
		else
			expect_nothing(lines, body, "cannot be read");
	}
}

/* The rest of the message is read all the same. */
Test(sip_body, one_part_is_left_alone)
{
	const struct {
		const char *lines, *note;
	} all[] = {
		{"c: application/pkcs7-mime\r\n", "signed"},
		{"c: multipart/signed;boundary=x\r\n", "signed"},
		{"c: application/sdp\r\ne: gzip\r\n", "compressed"},
		{"c: application/sdp\r\nContent-Transfer-Encoding: base64\r\n", "encoded"},
		{"c: multipart/mixed\r\n", "cannot be read"},
		{"rubbish\r\n", "cannot be read"},
	};
	char body[1024];
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(body, sizeof(body),
			"--b\r\n%s\r\nv=0\r\n--b\r\nc: application/sdp\r\n"
			"Content-Transfer-Encoding: 8bit\r\n\r\n" SDP "\r\n--b--\r\n",
			all[i].lines);
		cr_expect_eq(find(MIXED, body), 1, "%s", all[i].lines);
		cr_expect(holds(0, SIP_BODY_SDP, SDP) && found.note &&
				  strstr(found.note, all[i].note),
			"%s", all[i].lines);
	}
}

/* So many multiparts, each in the one before. */
static const char *nested(unsigned int depth)
{
	static char body[4096];
	size_t n = 0;
	for (unsigned int i = 1; i < depth; i++)
		n += (size_t)sprintf(body + n, "--%.*s\r\nc: multipart/mixed;boundary=%.*s\r\n\r\n",
			(int)i, "bbbbbbbb", (int)i + 1, "bbbbbbbb");
	n += (size_t)sprintf(
		body + n, "--%.*s\r\nc: application/sdp\r\n\r\n" SDP, (int)depth, "bbbbbbbb");
	for (unsigned int i = depth; i; i--)
		n += (size_t)sprintf(body + n, "\r\n--%.*s--\r\n", (int)i, "bbbbbbbb");
	return body;
}

Test(sip_body, multiparts_within_each_other)
{
	for (unsigned int depth = 1; depth <= SIP_BODY_DEPTH; depth++)
		expect_sdp(MIXED, nested(depth));
	expect_nothing(MIXED, nested(SIP_BODY_DEPTH + 1), "too deep");
}

/* An inner one without its close ends where the outer one's next part begins. */
Test(sip_body, the_outer_boundary_ends_an_inner_part)
{
	cr_expect_eq(find(MIXED, "--b\r\nc: multipart/mixed;boundary=i\r\n\r\n--i\r\nc: "
				 "application/sdp\r\n\r\nv=1\r\n"
				 "--b\r\nc: application/sdp\r\n\r\n" SDP "\r\n--b--\r\n"),
		2);
	cr_expect(holds(0, SIP_BODY_SDP, "v=1") && holds(1, SIP_BODY_SDP, SDP));
}

Test(sip_body, multiparts_where_they_are_not_meant)
{
	static const char body[] = "--b\r\nc: application/sdp\r\n\r\n" SDP "\r\n--b--\r\n";
	struct sip_message m = make(MIXED, body, strlen(body));
	cr_expect_eq(sip_bodies_find(&m, false, &found), 0);
	cr_expect_null(found.note);
	m = make("c: application/sdp\r\n", SDP, strlen(SDP));
	cr_expect_eq(sip_bodies_find(&m, false, &found), 1);
}

Test(sip_body, more_than_there_may_be)
{
	char body[8192] = "";
	for (unsigned int i = 0; i < SIP_BODIES; i++)
		strcat(body, "--b\r\nc: application/sdp\r\n\r\n" SDP "\r\n");
	cr_expect_eq(find(MIXED, body), SIP_BODIES);
	strcat(body, "--b\r\nc: application/sdp\r\nl: 2\r\n\r\n" SDP "\r\n");
	expect_nothing(MIXED, body, "too many");
	cr_expect_eq(found.length_count, 0);
	strcpy(body, "--b\r\nc: application/sdp\r\n\r\n" SDP "\r\n");
	for (unsigned int i = 1; i < SIP_BODY_PARTS; i++)
		strcat(body, "--b\r\n\r\n\r\n");
	cr_expect_eq(find(MIXED, body), 1);
	strcat(body, "--b\r\n\r\n\r\n");
	expect_nothing(MIXED, body, "too many");
}

/* ---- lengths ---- */

static struct alg_answer answer;

/* Puts another text in the place of every `what` in the bodies that were found, and corrects the lengths. */
static const char *edited(const char *in, const char *what, uint32_t ip_be)
{
	static char out[8192];
	struct sip_message m;
	cr_assert(sip_read((const uint8_t *)in, strlen(in), false, &m), "%s", in);
	sip_bodies_find(&m, true, &found);
	answer.edit_count = 0;
	struct splice e = splice_of(&answer, (const uint8_t *)in);
	for (unsigned int i = 0; i < found.count; i++) {
		const struct text *t = &found.body[i].text;
		for (const uint8_t *p = t->p;
			(p = memmem(p, (size_t)(t->end - p), what, strlen(what)));
			p += strlen(what))
			splice_address(&e, text(p, strlen(what)), ip_be, 0);
	}
	sip_body_lengths(&e, &m, &found);
	cr_assert(splice_end(&e));
	edits_apply(&answer, in, strlen(in), out, sizeof(out));
	return out;
}

static void expect_edited(const char *in, const char *as)
{
	uint32_t ip_be;
	memcpy(&ip_be, "\xcb\x64\x71\x07", 4); /* 203.100.113.7 */
	const char *out = edited(in, "10.0.0.5", ip_be);
	cr_expect_str_eq(out, as);
}

#define START "INVITE sip:a@b SIP/2.0\r\n"

Test(sip_body, the_messages_length)
{
	expect_edited(START "c: application/sdp\r\nl: 96\r\n\r\n"
			    "o=- 1 1 IN IP4 10.0.0.5\r\nc=IN IP4 10.0.0.5\r\n"
			    "-----------------------------------------------------",
		START "c: application/sdp\r\nl: 106\r\n\r\n"
		      "o=- 1 1 IN IP4 203.100.113.7\r\nc=IN IP4 203.100.113.7\r\n"
		      "-----------------------------------------------------");
	expect_edited(START "c: application/sdp\r\n\r\nc=IN IP4 10.0.0.5\r\n",
		START "c: application/sdp\r\n\r\nc=IN IP4 203.100.113.7\r\n");
	expect_edited(START
		"c: application/sdp\r\nContent-Length: 0019\r\n\r\nc=IN IP4 10.0.0.6\r\n",
		START "c: application/sdp\r\nContent-Length: 0019\r\n\r\nc=IN IP4 10.0.0.6\r\n");
	expect_edited(START "c: application/sdp\r\nContent-Length: 8\r\n\r\n10.0.0.5 10.0.0.5",
		START "c: application/sdp\r\nContent-Length: 13\r\n\r\n203.100.113.7 10.0.0.5");
}

Test(sip_body, a_length_that_stays_is_not_touched)
{
	const char *in =
		START "c: application/sdp\r\nContent-Length: 019\r\n\r\nc=IN IP4 10.0.0.5\r\n";
	uint32_t ip_be;
	memcpy(&ip_be, "\xc0\x00\x02\x01", 4);
	const char *out = edited(in, "10.0.0.5", ip_be);
	cr_expect(strstr(out, "Content-Length: 20\r\n\r\nc=IN IP4 192.0.2.1"), "%s", out);
	memcpy(&ip_be, "\x08\x08\x08\x08", 4);
	in = START "c: application/sdp\r\nContent-Length: 018\r\n\r\nc=IN IP4 1.0.0.5\r\n";
	out = edited(in, "1.0.0.5", ip_be);
	cr_expect(strstr(out, "Content-Length: 018\r\n\r\nc=IN IP4 8.8.8.8"), "%s", out);
}

/* A message of which all lengths are right, the parts' too. */
static const char *with_lengths(const char *address, const char *extra)
{
	static char out[2][4096], deep[256], inner[1024], outer[2048];
	static unsigned int turn;
	snprintf(deep, sizeof(deep), "%s %s %.*s", address, address, 78,
		"------------------------------------------------------------------------------");
	snprintf(inner, sizeof(inner),
		"--i\r\nl: 7\r\nc: application/sdp\r\n\r\nv=0\r\n10\r\n"
		"--i\r\nc: application/sdp\r\nContent-Length: %zu\r\n\r\n%s\r\n--i--\r\n",
		strlen(deep), deep);
	snprintf(outer, sizeof(outer),
		"--b\r\nc: text/plain\r\nContent-Length: 8\r\n\r\n10.0.0.5\r\n"
		"--b\r\nc: multipart/mixed;boundary=i\r\nContent-Length: %zu\r\n\r\n%s\r\n"
		"--b\r\nc: application/sdp\r\n\r\n%s\r\n--b--\r\n%s",
		strlen(inner), inner, address, extra);
	turn ^= 1;
	snprintf(
		out[turn], sizeof(out[turn]), START MIXED "l: %zu\r\n\r\n%s", strlen(outer), outer);
	return out[turn];
}

/* Of the parts that have one and were edited; a multipart's counts what its parts' lengths grew by (96 to 106). */
Test(sip_body, lengths_of_parts)
{
	cr_assert(strstr(with_lengths("10.0.0.5", ""), "Content-Length: 96\r\n"));
	cr_assert(strstr(with_lengths("203.100.113.7", ""), "Content-Length: 106\r\n"));
	for (int extra = 0; extra < 2; extra++)
		expect_edited(with_lengths("10.0.0.5", extra ? "10.0.0.5" : ""),
			with_lengths("203.100.113.7", extra ? "10.0.0.5" : ""));
}

Test(sip_body, a_length_that_is_none_is_left_alone)
{
	expect_edited(START MIXED
		"\r\n--b\r\nc: application/sdp\r\nl: x\r\n\r\n10.0.0.5\r\n--b--\r\n",
		START MIXED
		"\r\n--b\r\nc: application/sdp\r\nl: x\r\n\r\n203.100.113.7\r\n--b--\r\n");
	expect_edited(START MIXED
		"\r\n--b\r\nc: application/sdp\r\nl: 10\r\n\r\n10.0.0.5\r\n--b--\r\n",
		START MIXED
		"\r\n--b\r\nc: application/sdp\r\nl: 15\r\n\r\n203.100.113.7\r\n--b--\r\n");
}

Test(sip_body, a_length_does_not_become_negative)
{
	uint32_t ip_be;
	memcpy(&ip_be, "\x08\x08\x08\x08", 4);
	const char *out = edited(START MIXED
		"\r\n--b\r\nc: application/sdp\r\nl: 1\r\n\r\n192.168.100.200\r\n--b--\r\n",
		"192.168.100.200", ip_be);
	cr_expect_str_eq(out,
		START MIXED "\r\n--b\r\nc: application/sdp\r\nl: 1\r\n\r\n8.8.8.8\r\n--b--\r\n");
}

/* As hostile as 64 KiB can be. */
Test(sip_body, long_bodies, .timeout = 5)
{
	static char body[1 << 16];
	size_t n = 0;
	while (n < sizeof(body) - 8)
		n += (size_t)sprintf(body + n, "--b\r\n");
	cr_expect_eq(find_in(MIXED, body, n), 0);
	cr_expect(strstr(found.note, "too many"));
	memset(body, '-', sizeof(body));
	cr_expect_eq(find_in(MIXED, body, sizeof(body)), 0);
	memset(body, '\n', sizeof(body));
	cr_expect_eq(find_in(MIXED, body, sizeof(body)), 0);
	n = (size_t)sprintf(body, "--b\n");
	while (n < sizeof(body) - 4)
		n += (size_t)sprintf(body + n, "a:\n");
	cr_expect_eq(find_in(MIXED, body, n), 0);
	n = (size_t)sprintf(body, "--b\nc: multipart/mixed;boundary=");
	memset(body + n, 'x', sizeof(body) - n);
	cr_expect_eq(find_in(MIXED, body, sizeof(body)), 0);
}
