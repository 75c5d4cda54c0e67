/*
 * rexec, rlogin and rsh: which numbers open a pinhole, which never do; and every capture of tests/vectors/rcmd at
 * every split position with the same output.
 */
#include "session.h"

#define SERVER_IP "198.51.100.9"

static struct alg_flow client_view(void)
{
	return harness_client(1023, 1021, 514);
}

static struct alg_flow server_view(void)
{
	struct alg_flow f = client_view();
	f.guest_serves = true;
	f.guest_port = 514;
	f.peer_port = 1023;
	return f;
}

static void expect_bytes(
	const struct harness *h, enum alg_direction from, const void *bytes, size_t n)
{
	const struct way *w = &h->way[from];
	cr_assert(w->out_bytes == n && !memcmp(w->out, bytes, n), "got \"%.*s\"", (int)w->out_bytes,
		w->out);
}

/* The client's bytes n go on as they are and open nothing. Whether that was for a violation. */
static bool opens_nothing(
	const struct alg_protocol *protocol, struct alg_flow view, const void *bytes, size_t n)
{
	struct harness *h = harness_new(protocol, view, GRANT);
	harness_send(h, view.guest_serves ? ALG_OUTSIDE : ALG_GUEST, bytes, n);
	harness_expect_untouched(h);
	cr_expect_eq(h->wishes, 0);
	cr_expect(h->gave_up);
	bool violation = h->violation;
	harness_free(h);
	return violation;
}

static void opens(const struct alg_protocol *protocol, struct alg_flow view, const char *number,
	uint16_t port)
{
	struct harness *h = harness_new(protocol, view, GRANT);
	harness_send(h, ALG_GUEST, number, strlen(number) + 1);
	cr_assert_eq(h->wishes, 1, "%s of %s", number, protocol->name);
	cr_expect(h->wish[0].kind == ALG_TCP_LISTEN && h->wish[0].guest_port == port &&
		  h->wish[0].peer_ip_be == ip(SERVER_IP) && !h->wish[0].latent);
	cr_expect(h->wish[0].lifetime_ms > 0 && h->wish[0].lifetime_ms <= 60000);
	cr_expect_not(h->gave_up, "or the pinhole would be closed");
	expect_bytes(h, ALG_GUEST, "40001", 6);
	harness_free(h);
}

Test(rcmd, the_clients_number_becomes_the_outside_port)
{
	struct alg_flow any = client_view();
	opens(&rsh_protocol, client_view(), "1022", 1022);
	opens(&rsh_protocol, client_view(), "512", 512);
	opens(&rsh_protocol, client_view(), "01023", 1023);
	any.guest_port = 50000;
	any.peer_port = 512;
	opens(&rexec_protocol, any, "40017", 40017);
	opens(&rexec_protocol, any, "65535", 65535);
	opens(&rexec_protocol, any, "1024", 1024);
	opens(&rexec_protocol, client_view(), "1022", 1022);
	opens(&rexec_protocol, client_view(), "512", 512);
}

Test(rcmd, a_number_that_is_the_outside_port_already_needs_no_edit)
{
	struct harness *h = harness_new(&rexec_protocol, client_view(), GRANT);
	harness_send(h, ALG_GUEST, "40001", 6);
	cr_expect_eq(h->wishes, 1);
	cr_expect_eq(h->edits, 0);
	cr_expect_not(h->gave_up);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(rcmd, what_follows_the_number_goes_on)
{
	struct harness *h = harness_new(&rsh_protocol, client_view(), GRANT);
	char long_name[700];
	memset(long_name, '7', sizeof(long_name));
	harness_send(h, ALG_GUEST, "1022\0root", 9);
	harness_send(h, ALG_GUEST,
		"\0bftp\0"
		"1022\0",
		11);
	expect_bytes(h, ALG_GUEST,
		"40001\0root\0bftp\0"
		"1022\0",
		21);
	harness_send(h, ALG_GUEST, long_name, sizeof(long_name));
	cr_expect(h->wishes == 1 && !h->gave_up);
	harness_send(h, ALG_OUTSIDE, "\0OUT\n", 5);
	cr_expect(h->gave_up && !h->violation, "the server has come");
	harness_send(h, ALG_GUEST, "1021\0", 5);
	cr_expect_eq(h->wishes, 1);
	cr_expect_eq(h->way[ALG_GUEST].out_bytes, 21 + sizeof(long_name) + 5);
	expect_bytes(h, ALG_OUTSIDE, "\0OUT\n", 5);
	harness_free(h);
}

Test(rcmd, the_operators_bound_is_for_messages_and_names_are_none)
{
	struct harness *h = harness_new(&rsh_protocol, client_view(), GRANT);
	char long_name[700];
	memset(long_name, 'x', sizeof(long_name));
	h->flow.message_max = 64; /* the least that alg.segment_max may be */
	harness_send(h, ALG_GUEST, "1022\0", 5);
	harness_send(h, ALG_GUEST, long_name, sizeof(long_name));
	harness_send(h, ALG_OUTSIDE, long_name, sizeof(long_name));
	cr_expect(h->wishes == 1 && h->gave_up && !h->violation, "%s", h->why);
	harness_free(h);
}

Test(rcmd, refused_means_unchanged)
{
	struct harness *h = harness_new(&rsh_protocol, client_view(), REFUSE);
	harness_send(h, ALG_GUEST, "1022\0root\0", 10);
	expect_bytes(h, ALG_GUEST, "1022\0root\0", 10);
	cr_expect(h->wishes == 1 && h->gave_up && !h->violation);
	harness_free(h);
}

Test(rcmd, without_a_second_connection_there_is_nothing_to_open)
{
	cr_expect_not(opens_nothing(&rsh_protocol, client_view(), "", 1));
	cr_expect_not(opens_nothing(&rsh_protocol, client_view(), "0", 2));
	cr_expect_not(opens_nothing(&rsh_protocol, client_view(), "00000", 6));
	cr_expect_not(opens_nothing(&rexec_protocol, client_view(), "", 1));
	cr_expect_not(opens_nothing(&rexec_protocol, client_view(), "0\0user\0pass\0id", 15));
	cr_expect_not(opens_nothing(&rlogin_protocol, client_view(), "", 1));
	cr_expect_not(opens_nothing(&rlogin_protocol, client_view(), "\0me\0root\0vt100/9600", 20));
}

Test(rcmd, ports_that_no_client_waits_at_open_nothing)
{
	struct alg_flow browser = client_view();
	browser.guest_port = 50000;
	cr_expect_not(opens_nothing(&rsh_protocol, browser, "1022", 5));
	cr_expect_not(opens_nothing(&rexec_protocol, browser, "631", 4));
	cr_expect_not(opens_nothing(&rexec_protocol, browser, "1023", 5));
	browser.guest_port = 511;
	cr_expect_not(opens_nothing(&rsh_protocol, browser, "1022", 5));
	cr_expect_not(opens_nothing(&rsh_protocol, client_view(), "511", 4));
	cr_expect_not(opens_nothing(&rsh_protocol, client_view(), "1024", 5));
	cr_expect_not(opens_nothing(&rsh_protocol, client_view(), "22", 3));
	cr_expect_not(opens_nothing(&rexec_protocol, client_view(), "22", 3));
	cr_expect_not(opens_nothing(&rexec_protocol, client_view(), "511", 4));
}

Test(rcmd, another_protocol_is_over_with_its_first_bytes)
{
	static const struct alg_protocol *const rows[] = {
		&rexec_protocol, &rlogin_protocol, &rsh_protocol};
	static const struct {
		const char *bytes;
		size_t n;
	} openers[] = {{"POST / HTTP/1.1\r\n", 17}, {"REGISTER sip:a SIP/2.0\r\n", 24},
		{"<13>1 2026-11-21 syslog\n", 24}, {"1022\n", 5}, {"1022 \0", 6}, {" 1022\0", 6},
		{"-1022\0", 6}, {"+1022\0", 6}, {"0x3fe\0", 6}, {"001022\0", 7}, {"65536\0", 6},
		{"99999\0", 6}, {"123456", 6}, {"\1\0", 2}, {"\377", 1}, {"\026\003\001", 3}};
	for (size_t r = 0; r < 3; r++)
		for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++)
			if (openers[i].n)
				cr_expect(opens_nothing(rows[r], client_view(), openers[i].bytes,
						  openers[i].n),
					"%s: %s", rows[r]->name, openers[i].bytes);
	cr_expect(
		opens_nothing(&rlogin_protocol, client_view(), "1022", 5), "rlogin has no number");
}

Test(rcmd, a_number_without_its_end_waits)
{
	struct harness *h = harness_new(&rsh_protocol, client_view(), GRANT);
	harness_say(h, ALG_GUEST, "10220");
	cr_expect(h->way[ALG_GUEST].out_bytes == 0 && !h->gave_up && h->wishes == 0);
	harness_free(h);
}

Test(rcmd, a_server_that_speaks_first_opens_nothing)
{
	struct harness *h = harness_new(&rsh_protocol, client_view(), GRANT);
	harness_say(h, ALG_OUTSIDE, "\001rshd: no room\n");
	cr_expect(h->gave_up && !h->violation);
	harness_send(h, ALG_GUEST, "1022\0", 5);
	cr_expect_eq(h->wishes, 0);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(rcmd, a_server_that_answers_before_the_wish_is_decided_ends_it)
{
	struct harness *h = harness_new(&rsh_protocol, client_view(), LATER);
	harness_send(h, ALG_GUEST, "1022\0", 5);
	cr_expect(h->wishes == 1 && h->way[ALG_GUEST].out_bytes == 0);
	harness_say(h, ALG_OUTSIDE, "\001no\n");
	cr_expect(h->gave_up && !h->violation);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(rcmd, a_guest_that_serves_is_left_alone)
{
	cr_expect_not(opens_nothing(&rlogin_protocol, server_view(), "\0me\0root\0vt100/9600", 20));
	cr_expect(opens_nothing(&rsh_protocol, server_view(), "GET / HTTP/1.0\r\n", 16));
	static const struct alg_protocol *const rows[] = {&rexec_protocol, &rsh_protocol};
	for (size_t r = 0; r < 2; r++) {
		struct harness *h = harness_new(rows[r], server_view(), GRANT);
		harness_send(h, ALG_OUTSIDE, "1022\0", 5);
		harness_send(h, ALG_OUTSIDE, "me\0root\0id", 11);
		cr_expect_not(h->gave_up, "its second connection may be to come");
		harness_expect_untouched(h);
		harness_send(h, ALG_GUEST, "\0OUT", 4);
		cr_expect(h->gave_up && !h->violation);
		harness_send(h, ALG_GUEST, "1022\0", 5);
		cr_expect_eq(h->wishes, 0);
		harness_expect_untouched(h);
		harness_free(h);
	}
}

Test(rcmd, an_answer_that_begins_with_digits_is_not_waited_for)
{
	struct harness *h = harness_new(&rsh_protocol, server_view(), GRANT);
	harness_send(h, ALG_OUTSIDE, "0", 2);
	harness_send(h, ALG_GUEST, "42", 2);
	cr_expect_eq(h->way[ALG_GUEST].out_bytes, 2);
	cr_expect(h->gave_up && !h->violation);
	harness_free(h);
}

/* ---- captures ---- */

static const struct alg_protocol *of(const struct session *s)
{
	return s->server_port == 512 ? &rexec_protocol : &rsh_protocol;
}

static void cut_everywhere(const struct session *s)
{
	session_cut_everywhere(s, of(s));
}

Test(rcmd_captures, every_split_position_gives_the_same_output, .timeout = 60)
{
	session_each(VECTOR_DIRECTORY, 6, cut_everywhere);
}

static unsigned int wishes_in(const char *name, bool serves)
{
	struct session *s = session_load(VECTOR_DIRECTORY, name);
	struct harness *h = session_play(
		s, of(s), session_view(s, true, serves), SESSION_WHOLE, SESSION_NO_CUT);
	unsigned int n = h->wishes;
	cr_expect_not(h->violation, "%s: %s", name, h->why);
	if (n) {
		const uint8_t *p = h->way[ALG_GUEST].out;
		cr_expect(!memcmp(p, "40001", 6), "%s", name);
		cr_expect_eq(h->way[ALG_GUEST].out_bytes, h->way[ALG_GUEST].in_bytes + 1);
	} else {
		harness_expect_untouched(h);
	}
	harness_free(h);
	free(s);
	return n;
}

Test(rcmd_captures, each_does_what_its_name_says)
{
	for (int serves = 0; serves < 2; serves++) {
		const unsigned int opened = !serves;
		cr_expect_eq(wishes_in("own-rsh-rexec-stderr-1.session", serves), opened);
		cr_expect_eq(wishes_in("own-rsh-rexec-stderr-2.session", serves), opened);
		cr_expect_eq(wishes_in("rsh-1.session", serves), opened);
		cr_expect_eq(wishes_in("rsh-2.session", serves), opened);
		cr_expect_eq(wishes_in("rsh-long-client-user-no-nul-1.session", serves), 0,
			"it asks for none");
	}
}

Test(rcmd_captures, rexec_waits_at_any_port)
{
	struct session *s = session_load(VECTOR_DIRECTORY, "own-rsh-rexec-stderr-3.session");
	struct harness *h = session_play(
		s, &rexec_protocol, session_view(s, true, false), SESSION_WHOLE, SESSION_NO_CUT);
	cr_expect_eq(s->server_port, 512);
	cr_expect_eq(h->wishes, 1);
	cr_expect_geq(h->wish[0].guest_port, 512);
	harness_free(h);
	free(s);
}
