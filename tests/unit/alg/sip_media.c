/* What descriptions ask for, what they become, and from where the far end's media come. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "edits.h"
#include "sip_media.h"

static const char *const inside = "10.0.0.5";

/* HEAD and REST as they are inside; HEAD as it is outside. */
#define HEAD(address)                                                                              \
	"v=0\r\no=- 1 1 IN IP4 " address "\r\ns=-\r\nc=IN IP4 " address "\r\nt=0 0\r\n"
#define INSIDE	HEAD("10.0.0.5")
#define OUTSIDE HEAD("203.0.113.7")

static struct alg_flow view(void)
{
	return (struct alg_flow){
		.guest_ip_be = inet_addr(inside),
		.outside_ip_be = inet_addr("203.0.113.7"),
		.guest_port = 5060,
		.outside_port = 5060,
	};
}

static struct sdp_session read_body(const char *body)
{
	struct sdp_session s;
	cr_assert(sdp_read(text(body, strlen(body)), &s), "%s", body);
	return s;
}

/* A description of the guest's, and what it becomes. */
struct said {
	const char *body, *why; /* why: it was refused, or NULL */
	struct alg_flow f;
	struct sdp_session s;
	struct sip_demands d;
};

static struct said said_by(const char *guest, const char *body)
{
	struct said t = {.body = body, .f = view(), .s = read_body(body)};
	t.f.guest_ip_be = inet_addr(guest);
	const bool sound = sip_media_demands(&t.s, &t.f, &t.d, &t.why);
	cr_assert(sound ? !t.why : t.why && !t.d.count, "%s", body);
	return t;
}

static struct said said(const char *body)
{
	return said_by(inside, body);
}

/* Behind others of the same message: their demands go before its own. */
static struct said said_behind(const struct said *others, const char *body)
{
	struct said t = {.body = body, .f = view(), .s = read_body(body), .d = others->d};
	sip_media_demands(&t.s, &t.f, &t.d, &t.why);
	return t;
}

static struct alg_answer answer;
static char became[8192];

/* Whether it was edited, or is none that needs to be. */
static bool edit(const struct said *t)
{
	const size_t n = strlen(t->body);
	answer.edit_count = 0;
	struct splice e = splice_of(&answer, (const uint8_t *)t->body);
	const bool done = sip_media_edit(&e, &t->s, &t->f, &t->d);
	cr_assert(splice_end(&e));
	const size_t length = edits_apply(&answer, t->body, n, became, sizeof(became));
	cr_assert(length == n + (size_t)e.growth && (done || !answer.edit_count), "%s", t->body);
	return done;
}

/* As text: "pair 5004/1 media 1, one 5010 media 1 rtcp", or why there are none. */
static const char *demands_of(const char *body)
{
	static const char *const kind[] = {"listen", "one", "pair"};
	static char out[1024];
	const struct said t = said(body);
	size_t n = 0;
	if (t.why)
		return t.why;
	out[0] = '\0';
	for (unsigned int i = 0; i < t.d.count; i++) {
		const struct sip_demand *w = &t.d.demand[i];
		cr_expect(!w->grant.outside_port && !w->grant.outside_ip_be);
		n += (size_t)sprintf(out + n, "%s%s %u/%u of %x%s", i ? ", " : "", kind[w->kind],
			w->port, w->pairs, w->media, w->rtcp ? " rtcp" : "");
	}
	return out;
}

static void expect_demands(const char *media, const char *as)
{
	char body[2048];
	snprintf(body, sizeof(body), INSIDE "%s", media);
	cr_expect_str_eq(demands_of(body), as, "%s:\n%s", media, demands_of(body));
}

/* All ports are granted, 10,000 higher than inside. */
static void grant_all(struct sip_demands *d)
{
	for (unsigned int i = 0; i < d->count; i++)
		d->demand[i].grant = (struct alg_grant){
			inet_addr("203.0.113.7"), (uint16_t)(d->demand[i].port + 10000)};
}

static void expect_edit(const char *body, const char *as)
{
	struct said t = said(body);
	cr_assert(!t.why, "%s", body);
	grant_all(&t.d);
	cr_expect(edit(&t), "%s", body);
	cr_expect_str_eq(became, as);
}

static void expect_untouched(const char *body)
{
	expect_edit(body, body);
}

Test(sip_media, what_each_line_asks_for)
{
	expect_demands("m=audio 5004 RTP/AVP 0\r\n", "pair 5004/1 of 1");
	expect_demands("m=audio 5004/3 RTP/AVP 0\r\n", "pair 5004/3 of 1");
	expect_demands("m=audio 5005 RTP/AVP 0\r\n", "one 5005/0 of 1");
	expect_demands("m=audio 5004 RTP/AVP 0\r\na=rtcp-mux\r\n", "one 5004/0 of 1");
	expect_demands("m=audio 5004 RTP/AVP 0\r\na=rtcp:5005\r\n", "pair 5004/1 of 1");
	expect_demands(
		"m=audio 5004 RTP/AVP 0\r\na=rtcp-mux\r\na=rtcp:5005\r\n", "pair 5004/1 of 1");
	expect_demands("m=audio 5004 RTP/AVP 0\r\na=rtcp:5004\r\n", "one 5004/0 of 1");
	expect_demands("m=audio 5004 RTP/AVP 0\r\na=rtcp:5010\r\n",
		"one 5004/0 of 1, one 5010/0 of 1 rtcp");
	expect_demands("m=audio 5005 RTP/AVP 0\r\na=rtcp:5006 IN IP4 10.0.0.5\r\n",
		"one 5005/0 of 1, one 5006/0 of 1 rtcp");
	expect_demands(
		"m=audio 5004 RTP/AVP 0\r\na=rtcp:5010 IN IP4 192.0.2.1\r\n", "one 5004/0 of 1");
	expect_demands("m=audio 5004 RTP/AVP 0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n", "one 5004/0 of 1");
	expect_demands("m=image 5004 udptl t38\r\n", "one 5004/0 of 1");
	expect_demands("m=image 5004 UDPTL t38\r\na=rtcp:5010\r\n", "one 5004/0 of 1");
	expect_demands("m=application 5004 UDP/DTLS/SCTP x\r\n", "one 5004/0 of 1");
	expect_demands("m=image 5004 tcp t38\r\n", "listen 5004/0 of 1");
	expect_demands("m=image 5004 tcp t38\r\na=setup:passive\r\n", "listen 5004/0 of 1");
	expect_demands("m=audio 65534 RTP/AVP 0\r\n", "pair 65534/1 of 1");
	expect_demands("m=audio 1024 RTP/AVP 0\r\n", "pair 1024/1 of 1");
}

Test(sip_media, what_asks_for_nothing)
{
	const char *nothing[] = {
		"",
		"m=audio 0 RTP/AVP 0\r\n",
		"m=audio 5004 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n",
		"m=audio 5004 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n",
		"m=audio 5004 RTP/AVP 0\r\nc=IN IP4 10.0.0.6\r\n",
		"m=audio 80 RTP/AVP 0\r\nc=IN IP4 10.0.0.6\r\n",
		"m=audio 5004 RTP/AVP 0\r\nc=IN IP6 ::1\r\n",
		"m=audio 5004 RTP/AVP 0\r\nc=IN IP4 host\r\n",
		"m=audio 5004 RTP/AVP 0\r\nc=IN IP4 10.0.0.5\r\nc=IN IP4 10.0.0.6\r\n",
		"m=audio 5004 vat 0\r\n",
		"m=message 2855 TCP/MSRP *\r\n",
		"m=image 5004 tcp t38\r\na=setup:active\r\n",
		"m=image 9 tcp t38\r\n",
		"m=image 0 tcp t38\r\n",
	};
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
		expect_demands(nothing[i], "");
}

Test(sip_media, several_lines)
{
	expect_demands(
		"m=audio 5004 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\nm=image 5006 udptl t38\r\n"
		"m=image 5004 tcp t38\r\n",
		"pair 5004/1 of 1, one 5006/0 of 4, listen 5004/0 of 8");
	expect_demands("m=audio 5004 RTP/SAVP 0\r\nm=audio 5004 RTP/AVP 0\r\n", "pair 5004/1 of 3");
	expect_demands("m=audio 5006 RTP/AVP 0\r\nm=audio 5004 RTP/AVP 0\r\n",
		"pair 5006/1 of 1, pair 5004/1 of 2");
	expect_demands("m=audio 5004 RTP/SAVP 0\r\na=rtcp:6000\r\nm=audio 5004 RTP/AVP "
		       "0\r\na=rtcp:6000\r\n",
		"one 5004/0 of 3, one 6000/0 of 3 rtcp");
	expect_demands(
		"m=audio 5004 RTP/AVP 0\r\na=rtcp-mux\r\nm=video 5005 RTP/AVP 0\r\na=rtcp-mux\r\n",
		"one 5004/0 of 1, one 5005/0 of 2");
}

Test(sip_media, sixteen_ports_of_eight_lines)
{
	char body[2048] = INSIDE;
	for (int i = 0; i < SDP_MEDIA; i++)
		sprintf(body + strlen(body), "m=audio %d RTP/AVP 0\r\na=rtcp:%d\r\n", 5004 + 2 * i,
			6000 + i);
	struct said t = said(body);
	cr_expect(!t.why && t.d.count == ALG_WISHES);
	t = said_behind(&t, INSIDE "m=audio 7000 RTP/AVP 0\r\n");
	cr_expect(t.d.count == ALG_WISHES && t.why && strstr(t.why, "too many"));
}

Test(sip_media, what_is_left_alone)
{
	const struct {
		const char *media, *why;
	} all[] = {
		{"m=audio 1023 RTP/AVP 0\r\n", "below 1024"},
		{"m=audio 80 RTP/AVP 0\r\n", "below 1024"},
		{"m=audio 5004 RTP/AVP 0\r\na=rtcp:80\r\n", "below 1024"},
		{"m=audio 5004 RTP/AVP 0\r\nm=image 22 tcp t38\r\n", "below 1024"},
		{"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "below 1024"},
		{"m=audio 5004 RTP/AVP 0\r\nm=video 5005 RTP/AVP 31\r\n", "overlap"},
		{"m=audio 5004/2 RTP/AVP 0\r\nm=video 5006 RTP/AVP 31\r\n", "overlap"},
		{"m=video 5006 RTP/AVP 31\r\nm=audio 5004/2 RTP/AVP 0\r\n", "overlap"},
		{"m=audio 5004 RTP/AVP 0\r\nm=video 5004/2 RTP/AVP 31\r\n", "overlap"},
		{"m=audio 5004 RTP/AVP 0\r\na=rtcp:6000\r\nm=image 6000 udptl t38\r\n", "overlap"},
		{"m=audio 5004/5 RTP/AVP 0\r\n", "range"},
		{"m=audio 5005/2 RTP/AVP 0\r\n", "range"},
		{"m=audio 5004/2 RTP/AVP 0\r\na=rtcp-mux\r\n", "range"},
		{"m=audio 5004/2 RTP/AVP 0\r\na=rtcp:6000\r\n", "range"},
		{"m=image 5004/2 udptl t38\r\n", "range"},
		{"m=image 5004/2 tcp t38\r\n", "range"},
		{"m=audio 65534/2 RTP/AVP 0\r\n", "65535"},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char body[2048];
		snprintf(body, sizeof(body), INSIDE "%s", all[i].media);
		const struct said t = said(body);
		cr_expect(t.why && strstr(t.why, all[i].why), "%s: %s", all[i].media, t.why);
		cr_expect_not(edit(&t), "%s", all[i].media);
	}
}

/* The third description is refused by what the others ask for, which stays. */
Test(sip_media, demands_of_several_descriptions)
{
	struct said t = said(INSIDE "m=audio 5004 RTP/AVP 0\r\n");
	t = said_behind(&t, INSIDE "m=image 5006 udptl t38\r\nm=audio 5004 RTP/AVP 0\r\n");
	cr_expect(!t.why && t.d.count == 2 && t.d.demand[0].media == 3 && t.d.demand[1].media == 1);
	t = said_behind(&t, INSIDE "m=audio 5008 RTP/AVP 0\r\nm=audio 5005 RTP/AVP 0\r\n");
	cr_expect(t.why && t.d.count == 2 && t.d.demand[0].media == 3);
}

Test(sip_media, addresses_and_ports_go_out)
{
	expect_edit(INSIDE "m=audio 5004 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n",
		OUTSIDE "m=audio 15004 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n");
	expect_edit(INSIDE "m=audio 5004/2 RTP/AVP 0\r\nm=image 5010 udptl t38",
		OUTSIDE "m=audio 15004/2 RTP/AVP 0\r\nm=image 15010 udptl t38");
	expect_edit(
		"v=0\no=- 1 1 IN IP4 10.0.0.5\ns=-\nm=audio 5004 RTP/AVP 0\nc=IN IP4 10.0.0.5/5\n",
		"v=0\no=- 1 1 IN IP4 203.0.113.7\ns=-\nm=audio 15004 RTP/AVP 0\nc=IN IP4 "
		"203.0.113.7/5\n");
	expect_edit(INSIDE "m=image 5004 TCP t38\r\na=setup:passive\r\n",
		OUTSIDE "m=image 15004 TCP t38\r\na=setup:passive\r\n");
	expect_edit(INSIDE "m=image 9 TCP t38\r\na=setup:active\r\n",
		OUTSIDE "m=image 9 TCP t38\r\na=setup:active\r\n");
}

Test(sip_media, rtcp_goes_out)
{
	expect_edit(INSIDE "m=audio 5004 RTP/AVP 0\r\na=rtcp:5005 IN IP4 10.0.0.5\r\n",
		OUTSIDE "m=audio 15004 RTP/AVP 0\r\na=rtcp:15005 IN IP4 203.0.113.7\r\n");
	expect_edit(INSIDE "m=audio 5004 RTP/AVP 0\r\na=rtcp:5011\r\n",
		OUTSIDE "m=audio 15004 RTP/AVP 0\r\na=rtcp:15011\r\n");
	expect_edit(INSIDE
		"m=audio 5004 RTP/AVP 0\r\na=rtcp:5004 IN IP4 10.0.0.5\r\na=rtcp-mux\r\n",
		OUTSIDE
		"m=audio 15004 RTP/AVP 0\r\na=rtcp:15004 IN IP4 203.0.113.7\r\na=rtcp-mux\r\n");
	expect_edit(INSIDE "m=audio 5004 RTP/AVP 0\r\na=rtcp:5011 IN IP4 192.0.2.1\r\n",
		OUTSIDE "m=audio 15004 RTP/AVP 0\r\na=rtcp:5011 IN IP4 192.0.2.1\r\n");
	expect_edit(INSIDE "m=audio 5004 RTP/AVP 0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n",
		OUTSIDE "m=audio 15004 RTP/AVP 0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n");
	expect_edit(INSIDE
		"m=audio 5004 RTP/AVP 0\r\na=rtcp:5005\r\na=rtcp:5005 IN IP4 10.0.0.5\r\n",
		OUTSIDE
		"m=audio 15004 RTP/AVP 0\r\na=rtcp:15005\r\na=rtcp:5005 IN IP4 10.0.0.5\r\n");
	expect_edit(INSIDE "m=image 5004 udptl t38\r\na=rtcp:5005 IN IP4 10.0.0.5\r\n",
		OUTSIDE "m=image 15004 udptl t38\r\na=rtcp:5005 IN IP4 10.0.0.5\r\n");
	expect_edit(INSIDE "m=audio 0 RTP/AVP 0\r\na=rtcp:5005 IN IP4 10.0.0.5\r\n",
		OUTSIDE "m=audio 0 RTP/AVP 0\r\na=rtcp:5005 IN IP4 10.0.0.5\r\n");
}

Test(sip_media, lines_of_others_beside_the_guests)
{
	expect_edit(INSIDE
		"m=audio 5004 RTP/AVP 0\r\nm=video 5006 RTP/AVP 31\r\nc=IN IP4 192.0.2.1\r\n"
		"m=video 0 RTP/AVP 31\r\nm=audio 5008 vat 0\r\nm=audio 5010 RTP/AVP 0\r\nc=IN IP4 "
		"0.0.0.0\r\n",
		OUTSIDE
		"m=audio 15004 RTP/AVP 0\r\nm=video 5006 RTP/AVP 31\r\nc=IN IP4 192.0.2.1\r\n"
		"m=video 0 RTP/AVP 31\r\nm=audio 5008 vat 0\r\nm=audio 5010 RTP/AVP 0\r\nc=IN IP4 "
		"0.0.0.0\r\n");
	expect_edit("v=0\r\no=- 1 1 IN IP4 10.0.0.6\r\nc=IN IP4 192.0.2.1\r\n"
		    "m=audio 5004 RTP/AVP 0\r\nc=IN IP4 10.0.0.5\r\nm=video 5006 RTP/AVP 31\r\n",
		"v=0\r\no=- 1 1 IN IP4 10.0.0.6\r\nc=IN IP4 192.0.2.1\r\n"
		"m=audio 15004 RTP/AVP 0\r\nc=IN IP4 203.0.113.7\r\nm=video 5006 RTP/AVP 31\r\n");
	expect_edit(INSIDE "m=audio 5004 RTP/AVP 0\r\n"
			   "m=audio 5006 RTP/AVP 0\r\nc=IN IP4 10.0.0.5\r\nc=IN IP4 10.0.0.6\r\n",
		OUTSIDE "m=audio 15004 RTP/AVP 0\r\n"
			"m=audio 5006 RTP/AVP 0\r\nc=IN IP4 10.0.0.5\r\nc=IN IP4 10.0.0.6\r\n");
}

/* The number of a port is the guest's only where the address is. */
Test(sip_media, the_same_port_at_another_address)
{
	expect_edit(INSIDE
		"m=audio 5004 RTP/AVP 0\r\nm=video 5004 RTP/AVP 31\r\nc=IN IP4 192.0.2.1\r\n",
		OUTSIDE
		"m=audio 15004 RTP/AVP 0\r\nm=video 5004 RTP/AVP 31\r\nc=IN IP4 192.0.2.1\r\n");
}

/* o= and a session's c= of a guest that found its public address out, and of one that does not want to be edited. */
Test(sip_media, what_is_public_already_stays_as_it_is)
{
	expect_untouched(HEAD("203.0.113.7") "m=audio 5004 RTP/AVP 0\r\n");
	expect_untouched(INSIDE "m=audio 5004 RTP/AVP 0\r\nc=IN IP4 203.0.113.7\r\n"
				"a=candidate:1 1 UDP 2130706431 10.0.0.5 5004 typ host\r\n");
	expect_untouched(INSIDE "m=audio 5004 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n");
	expect_untouched(INSIDE "m=audio 5004 RTP/AVP 0\r\nc=IN IP4 phone.example.com\r\n");
	expect_untouched(
		INSIDE "m=message 2855 TCP/MSRP *\r\na=path:msrp://10.0.0.5:2855/x;tcp\r\n");
	expect_untouched(
		INSIDE "m=audio 5004 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\nm=video 0 RTP/AVP 31\r\n");
	expect_untouched(HEAD("10.0.0.6") "m=audio 5004 RTP/AVP 0\r\n");
	expect_untouched(HEAD("10.0.0.6") "m=audio 0 RTP/AVP 0\r\n");
}

Test(sip_media, hold_and_rejected_lines_keep_the_origin)
{
	expect_edit(
		"v=0\r\no=- 1 2 IN IP4 10.0.0.5\r\nc=IN IP4 0.0.0.0\r\nm=audio 5004 RTP/AVP 0\r\n",
		"v=0\r\no=- 1 2 IN IP4 203.0.113.7\r\nc=IN IP4 0.0.0.0\r\nm=audio 5004 RTP/AVP "
		"0\r\n");
	expect_edit(INSIDE "m=audio 0 RTP/AVP 0\r\n", OUTSIDE "m=audio 0 RTP/AVP 0\r\n");
	expect_edit(INSIDE "m=audio 5004 RTP/AVP 0\r\na=inactive\r\n",
		OUTSIDE "m=audio 15004 RTP/AVP 0\r\na=inactive\r\n");
	expect_edit(INSIDE, OUTSIDE);
}

/* A UDP session that began without a route. */
Test(sip_media, an_outside_address_that_is_not_known_is_written_nowhere)
{
	struct said t = said(INSIDE "m=audio 0 RTP/AVP 0\r\n");
	t.f.outside_ip_be = 0;
	cr_expect(edit(&t) && !answer.edit_count);
}

Test(sip_media, candidates_follow_a_default_that_is_inside)
{
	expect_edit(INSIDE "m=audio 5004 RTP/AVP 0\r\n"
			   "a=candidate:1 1 UDP 2130706431 10.0.0.5 5004 typ host\r\n"
			   "a=candidate:1 2 UDP 2130706430 10.0.0.5 5005 typ host\r\n"
			   "a=candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr "
			   "10.0.0.5 rport 5004\r\n"
			   "a=candidate:3 1 UDP 1 10.0.0.6 5004 typ host\r\n"
			   "a=candidate:4 1 UDP 1 10.0.0.5 7000 typ host\r\n"
			   "a=candidate:5 1 TCP 1 10.0.0.5 5004 typ host tcptype passive\r\n"
			   "a=candidate:6 1 UDP 1 fe80::1 5004 typ host\r\n",
		OUTSIDE "m=audio 15004 RTP/AVP 0\r\n"
			"a=candidate:1 1 UDP 2130706431 203.0.113.7 15004 typ host\r\n"
			"a=candidate:1 2 UDP 2130706430 203.0.113.7 15005 typ host\r\n"
			"a=candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.0.5 "
			"rport 5004\r\n"
			"a=candidate:3 1 UDP 1 10.0.0.6 5004 typ host\r\n"
			"a=candidate:4 1 UDP 1 10.0.0.5 7000 typ host\r\n"
			"a=candidate:5 1 TCP 1 10.0.0.5 5004 typ host tcptype passive\r\n"
			"a=candidate:6 1 UDP 1 fe80::1 5004 typ host\r\n");
	expect_edit(INSIDE "a=candidate:1 1 UDP 1 10.0.0.5 5004 typ host\r\n"
			   "m=video 0 RTP/AVP 0\r\na=candidate:1 1 UDP 1 10.0.0.5 5004 typ host\r\n"
			   "m=audio 5004 RTP/AVP 0\r\n",
		OUTSIDE "a=candidate:1 1 UDP 1 10.0.0.5 5004 typ host\r\n"
			"m=video 0 RTP/AVP 0\r\na=candidate:1 1 UDP 1 10.0.0.5 5004 typ host\r\n"
			"m=audio 15004 RTP/AVP 0\r\n");
}

Test(sip_media, a_port_that_stays_the_same_is_no_edit)
{
	struct said t = said(INSIDE "m=audio 5004 RTP/AVP 0\r\n");
	t.d.demand[0].grant = (struct alg_grant){inet_addr("198.51.100.1"), 5004};
	cr_expect(edit(&t));
	cr_expect_eq(answer.edit_count, 2);
	cr_expect_str_eq(became, HEAD("198.51.100.1") "m=audio 5004 RTP/AVP 0\r\n");
}

/* Nothing is edited where a grant is missing or would need another c=. */
Test(sip_media, all_of_it_or_nothing)
{
	struct said t = said(INSIDE "m=audio 5004 RTP/AVP 0\r\nm=video 5006 RTP/AVP 31\r\n");
	cr_expect_not(edit(&t));
	grant_all(&t.d);
	t.d.demand[1].grant.outside_port = 0;
	cr_expect_not(edit(&t));
	grant_all(&t.d);
	t.d.demand[1].grant.outside_ip_be = inet_addr("203.0.113.8");
	cr_expect_not(edit(&t));
	grant_all(&t.d);
	cr_expect(edit(&t) && answer.edit_count == 4);
}

/* Two bodies of one message: each takes its own from the demands of both. */
Test(sip_media, each_description_takes_its_own_grants)
{
	struct said t = said(INSIDE "m=audio 5004 RTP/AVP 0\r\n");
	t = said_behind(&t, INSIDE "m=image 5010 udptl t38\r\n");
	grant_all(&t.d);
	cr_expect(edit(&t));
	cr_expect_str_eq(became, OUTSIDE "m=image 15010 udptl t38\r\n");
}

/* The second one names the first one's port for something else. */
Test(sip_media, what_was_refused_is_not_edited)
{
	struct said t = said(INSIDE "m=audio 5004 RTP/AVP 0\r\n");
	t = said_behind(&t, INSIDE "m=audio 5004 RTP/AVP 0\r\na=rtcp-mux\r\n");
	cr_assert(t.why);
	grant_all(&t.d);
	cr_expect_not(edit(&t));
}

/* A re-INVITE changes to T.38 at the port where audio was. */
Test(sip_media, what_was_granted_for_another_demand)
{
	const struct sip_demand two = {.kind = ALG_UDP_PAIR,
		.pairs = 2,
		.port = 5004,
		.grant = {inet_addr("203.0.113.7"), 40000}};
	struct sip_demand want = {.kind = ALG_UDP_ONE, .port = 5004};
	cr_expect(sip_media_serves(&two, &want) && want.grant.outside_port == 40000 &&
		  want.grant.outside_ip_be == two.grant.outside_ip_be);
	want.port = 5007;
	cr_expect(sip_media_serves(&two, &want) && want.grant.outside_port == 40003);
	want.port = 5008;
	cr_expect_not(sip_media_serves(&two, &want));
	want.port = 5003;
	cr_expect_not(sip_media_serves(&two, &want));
	want = (struct sip_demand){.kind = ALG_UDP_PAIR, .pairs = 1, .port = 5006};
	cr_expect(sip_media_serves(&two, &want) && want.grant.outside_port == 40002);
	want.pairs = 2;
	cr_expect_not(sip_media_serves(&two, &want));
	want = (struct sip_demand){.kind = ALG_TCP_LISTEN, .port = 5004};
	cr_expect_not(sip_media_serves(&two, &want));
	cr_expect(sip_media_serves(&want, &want));
}

static uint32_t peer(const char *media, uint8_t bits, bool rtcp)
{
	char body[2048];
	snprintf(body, sizeof(body), HEAD("198.51.100.9") "%s", media);
	const struct sdp_session s = read_body(body);
	uint32_t ip_be = 1;
	sip_media_taken(&s, bits, rtcp, &ip_be);
	return ip_be;
}

Test(sip_media, where_media_come_from)
{
	const uint32_t one = inet_addr("198.51.100.9"), two = inet_addr("198.51.100.10");
	cr_expect_eq(peer("m=audio 6000 RTP/AVP 0\r\n", 1, false), one);
	cr_expect_eq(peer("m=audio 6000 RTP/AVP 0\r\n", 1, true), one);
	cr_expect_eq(
		peer("m=audio 6000 RTP/AVP 0\r\na=rtcp:7000 IN IP4 198.51.100.10\r\n", 1, true),
		two);
	cr_expect_eq(
		peer("m=audio 6000 RTP/AVP 0\r\na=rtcp:7000 IN IP4 198.51.100.10\r\n", 1, false),
		one);
	const char *both =
		"m=audio 6000 RTP/AVP 0\r\nm=image 6002 udptl t38\r\nc=IN IP4 198.51.100.10\r\n";
	cr_expect_eq(peer(both, 1, false), one);
	cr_expect_eq(peer(both, 2, false), two);
	cr_expect_eq(peer(both, 3, false), one);
	cr_expect_eq(peer(both, 4, false), 0, "not there");
	cr_expect_eq(peer(both, 0, false), 0);
	const char *second =
		"m=audio 0 RTP/AVP 0\r\nm=audio 6002 RTP/AVP 0\r\nc=IN IP4 198.51.100.10\r\n";
	cr_expect_eq(peer(second, 1, false), 0, "rejected");
	cr_expect_eq(peer(second, 3, false), two);
	cr_expect_eq(peer("m=audio 6000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", 1, false), 0);
	cr_expect_eq(peer("m=audio 6000 RTP/AVP 0\r\nc=IN IP4 host\r\n", 1, false), 0);
	cr_expect_eq(peer("m=audio 6000 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127\r\n", 1, false), 0);
	cr_expect_eq(peer("m=audio 6000 RTP/AVP 0\r\nc=IN IP4 255.255.255.255\r\n", 1, false), 0);
	cr_expect_eq(peer("m=audio 6000 RTP/AVP 0\r\nc=IN IP4 0.1.2.3\r\n", 1, false), 0);
}

Test(sip_media, whether_lines_are_taken)
{
	const struct sdp_session s = read_body(
		INSIDE "m=audio 0 RTP/AVP 0\r\nm=audio 6002 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n");
	const bool taken[] = {false, false, true, true, false}; /* by bits of m= lines */
	for (uint8_t bits = 0; bits < 5; bits++) {
		uint32_t ip_be;
		cr_expect_eq(sip_media_taken(&s, bits, false, &ip_be), taken[bits], "%u", bits);
		cr_expect_eq(ip_be, 0);
	}
}

Test(sip_media, more_edits_than_an_answer_holds, .timeout = 5)
{
	static char body[1 << 16];
	size_t n = (size_t)sprintf(body, INSIDE "m=audio 5004 RTP/AVP 0\r\n");
	while (n < sizeof(body) - 64)
		n += (size_t)sprintf(body + n, "a=candidate:1 1 UDP 1 10.0.0.5 5004 typ host\n");
	struct said t = said(body);
	grant_all(&t.d);
	answer.edit_count = 0;
	struct splice e = splice_of(&answer, (const uint8_t *)body);
	cr_expect(sip_media_edit(&e, &t.s, &t.f, &t.d));
	cr_expect_not(splice_end(&e));
	cr_expect_eq(answer.edit_count, 0);
}

/* ---- descriptions as they were seen (tests/vectors/sip_media) ---- */

static const char *load(const char *name)
{
	static char body[8192];
	char path[512];
	snprintf(path, sizeof(path), "%s/%s.sdp", VECTOR_DIRECTORY, name);
	FILE *file = fopen(path, "rb");
	cr_assert(file, "%s", path);
	body[fread(body, 1, sizeof(body) - 1, file)] = '\0';
	fclose(file);
	return body;
}

/* What it becomes if this is the guest's address, and all that it demands is granted. */
static const struct said *edited(const char *body, const char *guest)
{
	static struct said t;
	t = said_by(guest, body);
	grant_all(&t.d);
	cr_assert(!t.why && edit(&t), "%s", body);
	return &t;
}

static const char *ports_of(const struct sip_demands *d)
{
	static char ports[256];
	ports[0] = '\0';
	for (unsigned int i = 0; i < d->count; i++)
		sprintf(ports + strlen(ports), "%s%u", i ? " " : "", d->demand[i].port);
	return ports;
}

Test(sip_media, descriptions_as_they_were_seen)
{
	const struct {
		const char *name, *guest, *demands;
		unsigned int edits;
	} all[] = {
		{"own-sipp-audio-video", "10.77.1.10", "6000 6002 40005", 6},
		{"own-sipp-answer", "10.77.1.20", "6000", 3},
		{"own-sipp-rejected", "10.77.1.10", "6000", 3},
		{"own-sipp-t38", "10.77.1.20", "40010", 3},
		{"x-lite", "200.57.7.204", "8000", 3},
		{"nero-cut", "192.168.1.2", "", 2},
		{"rfc4566", "10.47.16.5", "", 0},
		{"rfc3264-hold", "10.0.0.5", "", 0},
		{"rfc4145", "192.0.2.2", "54111", 4},
		{"rfc8839", "203.0.113.141", "", 0},
		{"browser", "192.168.0.10", "54609 60065", 9},
		{"two-profiles", "192.168.0.20", "2228 2230", 5},
	};
	char body[8192];
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		strcpy(body, load(all[i].name));
		edited(body, "192.0.2.99");
		cr_expect_eq(answer.edit_count, 0, "%s: of somebody else", all[i].name);
		const char *ports = ports_of(&edited(body, all[i].guest)->d);
		cr_expect_str_eq(ports, all[i].demands, "%s: %s", all[i].name, ports);
		cr_expect_eq(answer.edit_count, all[i].edits, "%s: %u edits", all[i].name,
			answer.edit_count);
		strcpy(body, became);
		edited(body, all[i].guest);
		cr_expect_eq(answer.edit_count, 0, "%s: once more", all[i].name);
	}
}

/* Its candidates with them; the one that STUN found names the inside address as its base. */
Test(sip_media, a_browsers_description)
{
	static char as[8192];
	const char *body = load("browser");
	const struct {
		const char *from, *to;
	} changes[] = {
		{"m=audio 54609 ", "m=audio 64609 "},
		{"c=IN IP4 192.168.0.10", "c=IN IP4 203.0.113.7"},
		{"a=rtcp:60065 IN IP4 192.168.0.10", "a=rtcp:4529 IN IP4 203.0.113.7"},
		{"2122194687 192.168.0.10 54609", "2122194687 203.0.113.7 64609"},
		{"2122194687 192.168.0.10 60065", "2122194687 203.0.113.7 4529"},
		{"c=IN IP4 192.168.0.10", "c=IN IP4 203.0.113.7"},
	};
	strcpy(as, body);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char behind[8192], *at = strstr(as, changes[i].from);
		cr_assert(at, "%s", changes[i].from);
		strcpy(behind, at + strlen(changes[i].from));
		strcpy(at, changes[i].to);
		strcat(at, behind);
	}
	edited(body, "192.168.0.10");
	cr_expect_str_eq(became, as);
}
