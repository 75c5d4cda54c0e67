/* TFTP: what opens a pinhole, for whom, and what never does; every datagram goes on as it came. */
#include "session.h"

#define SAY(h, from, text) harness_send(h, from, text, sizeof(text) - 1)

static struct alg_flow client_view(void)
{
	return (struct alg_flow){
		.guest_ip_be = ip("192.168.30.10"),
		.outside_ip_be = ip("203.0.113.7"),
		.peer_ip_be = ip("198.51.100.9"),
		.guest_port = 50000,
		.outside_port = 40000,
		.peer_port = 69,
	};
}

static struct alg_flow server_view(void)
{
	struct alg_flow f = client_view();
	f.guest_serves = true;
	f.guest_port = 69;
	f.peer_port = 50000;
	return f;
}

static void expect_wishes(const struct harness *h, uint32_t n)
{
	cr_assert_eq(h->wishes, n, "%u wishes, not %u", h->wishes, n);
	for (uint32_t i = 0; i < n; i++) {
		cr_expect_eq(h->wish[i].kind, ALG_UDP_ONE);
		cr_expect_eq(h->wish[i].guest_port, 50000);
		cr_expect_eq(h->wish[i].peer_ip_be, ip("198.51.100.9"));
		cr_expect_not(h->wish[i].latent);
		cr_expect_eq(h->wish[i].lifetime_ms, 30000);
	}
	harness_expect_untouched(h);
}

Test(tftp, a_request_lets_its_server_in)
{
	static const struct {
		const char *bytes;
		size_t n;
	} requests[] = {
#define REQUEST(text) {text, sizeof(text) - 1}
		REQUEST("\0\1file\0octet\0"),
		REQUEST("\0\2file\0NetASCII\0"),
		REQUEST("\0\1a\0mail\0"),
		REQUEST("\0\1dir/a "
			"file\303\244\0OCTET\0blksize\0001400\0tsize\0000\0windowsize\00016\0"),
		REQUEST("\0\2\\\\a\\b\0octet\0multicast\0\0"),
	};
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct harness *h = harness_new(&tftp_protocol, client_view(), GRANT);
		harness_send(h, ALG_GUEST, requests[i].bytes, requests[i].n);
		cr_expect_not(h->gave_up);
		expect_wishes(h, 1);
		harness_free(h);
	}
}

Test(tftp, the_request_waits_for_the_answer_and_a_refusal_changes_nothing)
{
	struct harness *h = harness_new(&tftp_protocol, client_view(), LATER);
	SAY(h, ALG_GUEST, "\0\1file\0octet\0");
	SAY(h, ALG_GUEST, "\0\1file\0octet\0");
	cr_expect_eq(h->way[ALG_GUEST].out_bytes, 0);
	cr_expect_eq(h->wishes, 1, "one at a time");
	harness_answer(h, false);
	cr_expect_eq(h->wishes, 2);
	harness_answer(h, true);
	expect_wishes(h, 2);
	cr_expect_not(h->gave_up);
	harness_free(h);
}

Test(tftp, a_repeated_request_takes_the_place_of_the_one_before)
{
	struct harness *h = harness_new(&tftp_protocol, client_view(), GRANT);
	SAY(h, ALG_GUEST, "\0\1file\0octet\0");
	cr_expect_eq(h->acts, 0);
	SAY(h, ALG_GUEST, "\0\1file\0octet\0");
	SAY(h, ALG_GUEST, "\0\2other\0octet\0");
	expect_wishes(h, 3);
	cr_expect_eq(h->acts, 2);
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[0].token), 1);
	cr_expect_eq(harness_count(h, ALG_CLOSE, h->wish[1].token), 1);
	cr_expect_neq(h->wish[0].token, h->wish[1].token);
	harness_free(h);
}

Test(tftp, a_server_that_answers_from_its_port_is_left_alone)
{
	struct harness *h = harness_new(&tftp_protocol, client_view(), GRANT);
	SAY(h, ALG_GUEST, "\0\1file\0octet\0tsize\0000\0");
	SAY(h, ALG_OUTSIDE, "\0\6tsize\0003\0");
	SAY(h, ALG_GUEST, "\0\4\0\0");
	SAY(h, ALG_OUTSIDE, "\0\3\0\1abc");
	SAY(h, ALG_OUTSIDE, "\0\5\0\1no\0");
	cr_expect_not(h->gave_up);
	expect_wishes(h, 1);
	harness_free(h);
}

Test(tftp, a_server_inside_needs_nothing)
{
	struct alg_flow view = server_view();
	view.guest_port = 6969; /* published as 69 */
	struct harness *h = harness_new(&tftp_protocol, view, GRANT);
	SAY(h, ALG_OUTSIDE, "\0\1file\0octet\0");
	SAY(h, ALG_GUEST, "\0\5\0\1no\0");
	SAY(h, ALG_OUTSIDE, "\0\2file\0octet\0");
	cr_expect_not(h->gave_up);
	expect_wishes(h, 0);
	harness_free(h);
}

Test(tftp, a_low_port_opens_nothing)
{
	struct alg_flow view = client_view();
	view.guest_port = ALG_PORT_MIN - 1;
	struct harness *h = harness_new(&tftp_protocol, view, GRANT);
	SAY(h, ALG_GUEST, "\0\1file\0octet\0");
	cr_expect_not(h->gave_up);
	expect_wishes(h, 0);
	harness_free(h);
}

static void expect_violation(
	struct alg_flow view, enum alg_direction from, const void *bytes, size_t n)
{
	struct harness *h = harness_new(&tftp_protocol, view, GRANT);
	harness_send(h, from, bytes, n);
	cr_expect(h->gave_up && h->violation, "%zu bytes \"%.*s\"", n, (int)n, (const char *)bytes);
	SAY(h, ALG_GUEST, "\0\1file\0octet\0");
	expect_wishes(h, 0);
	harness_free(h);
}

Test(tftp, what_does_not_begin_with_a_request_never_opens_anything)
{
#define BAD(text) expect_violation(client_view(), ALG_GUEST, text, sizeof(text) - 1)
	BAD("");
	BAD("\0");
	BAD("\0\1");
	BAD("\0\1file");
	BAD("\0\1file\0");
	BAD("\0\1file\0octet");
	BAD("\0\1file\0binary\0");
	BAD("\0\1\0octet\0");
	BAD("\0\1fi\nle\0octet\0");
	BAD("\0\1fi\177le\0octet\0");
	BAD("\0\1file\0octet\0blksize");
	BAD("\0\1file\0octet\0blksize\0");
	BAD("\0\1file\0octet\0blksize\0001400");
	BAD("\0\1file\0octet\0\0001400\0");
	BAD("\1\1file\0octet\0");
	BAD("\0\0file\0octet\0");
	BAD("\0\7file\0octet\0");
	BAD("\0\3\0\1abc");
	BAD("\0\4\0\1");
	BAD("\0\1\0\10\x21\x12\xa4\x42"
	    "twelve bytes"
	    "\x80\x22\0\4name"); /* STUN: a browser's */
	BAD("POST / HTTP/1.1\r\n\r\n");
}

Test(tftp, the_wrong_side_opens_nothing)
{
	const char request[] = "\0\1file\0octet\0";
	expect_violation(client_view(), ALG_OUTSIDE, request, sizeof(request) - 1);
	expect_violation(server_view(), ALG_GUEST, request, sizeof(request) - 1);
	expect_violation(client_view(), ALG_OUTSIDE, "\0\3\0\1abc", 7);
}

Test(tftp, rubbish_later_ends_it_as_well)
{
	struct harness *h = harness_new(&tftp_protocol, client_view(), GRANT);
	SAY(h, ALG_GUEST, "\0\1file\0octet\0");
	SAY(h, ALG_OUTSIDE, "\0\3\0");
	cr_expect(h->gave_up && h->violation);
	SAY(h, ALG_GUEST, "\0\1file\0octet\0");
	expect_wishes(h, 1);
	harness_free(h);
}

/* ---- captures ---- */

static void play(const struct session *s)
{
	for (int serves = 0; serves < 2; serves++) {
		struct harness *h = session_play(s, &tftp_protocol, session_view(s, false, serves),
			SESSION_WHOLE, SESSION_NO_CUT);
		const bool heap = strstr(s->name, "heapoverflow");
		const bool two = strstr(s->name, "options");
		harness_expect_untouched(h);
		cr_expect_eq(h->gave_up, heap, "%s", s->name);
		cr_expect_eq(h->wishes, serves || heap ? 0 : two ? 2 : 1, "%s", s->name);
		harness_free(h);
	}
}

Test(tftp_captures, each_request_makes_its_wish_and_goes_on_untouched)
{
	session_each(VECTOR_DIRECTORY, 8, play);
}
