/* DNS: what is none, what is cut, signed or too long. */
#include "dns_messages.h"

static struct wire in, out, question;

Test(dns_frames, a_message_with_tsig_stays_and_over_tcp_what_follows_too)
{
	wire_answer_a(&in, 300, OUTSIDE);
	wire_tsig(&in);
	wire_expect_becomes(wire_view(false), ALG_OUTSIDE, &in, &in);
	wire_answer_a(&out, 300, OUTSIDE);
	struct harness *h = wire_stream();
	wire_send(h, ALG_OUTSIDE, &in);
	wire_send(h, ALG_OUTSIDE, &out);
	wire_expect(h, ALG_OUTSIDE, &out);
	cr_expect(h->gave_up && !h->violation);
	harness_free(h);
	h = wire_datagrams();
	wire_send(h, ALG_OUTSIDE, &in);
	wire_answer_a(&in, 300, OUTSIDE);
	wire_answer_a(&out, 0, INSIDE);
	wire_send(h, ALG_OUTSIDE, &in);
	wire_expect(h, ALG_OUTSIDE, &out);
	harness_free(h);
}

static void expect_violation(
	struct harness *h, enum alg_direction from, const void *bytes, size_t n)
{
	harness_send(h, from, bytes, n);
	cr_expect(h->gave_up && h->violation);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(dns_frames, what_is_clearly_no_dns_is_a_violation_at_once)
{
	static const uint8_t hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x11\x22\x33";
	wire_answer_a(&in, 300, OUTSIDE);
	expect_violation(wire_datagrams(), ALG_OUTSIDE, in.p, 11);
	expect_violation(wire_datagrams(), ALG_OUTSIDE, "", 0);
	expect_violation(wire_datagrams(), ALG_GUEST, "SSH-2.0-OpenSSH_9.2\r\n", 21);
	expect_violation(wire_stream(), ALG_OUTSIDE, "SSH-2.0-OpenSSH_9.2\r\n", 21);
	expect_violation(wire_stream(), ALG_GUEST, "GET / HTTP/1.1\r\n", 16);
	expect_violation(wire_stream(), ALG_GUEST, hello, sizeof(hello) - 1);
	expect_violation(wire_stream(), ALG_GUEST, "\0\x0b", 2);
	expect_violation(wire_stream(), ALG_GUEST, "\0\x0c\0\0\0\0\0\1\0\0\0\0\0\0", 14);
	expect_violation(wire_stream(), ALG_GUEST, "\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0", 14);
}

Test(dns_frames, what_cannot_be_read_ends_a_stream_but_not_datagrams)
{
	wire_answer_a(&in, 300, OUTSIDE);
	in.p[12] = 0x80; /* a label of no kind */
	struct harness *h = wire_stream();
	wire_send(h, ALG_OUTSIDE, &in);
	cr_expect(h->gave_up && h->violation);
	harness_free(h);
	h = wire_datagrams();
	wire_send(h, ALG_OUTSIDE, &in);
	wire_expect(h, ALG_OUTSIDE, &in);
	wire_answer_a(&in, 300, OUTSIDE);
	wire_answer_a(&out, 0, INSIDE);
	wire_send(h, ALG_OUTSIDE, &in);
	wire_expect(h, ALG_OUTSIDE, &out);
	harness_free(h);
}

Test(dns_frames, a_datagram_that_is_cut_without_tc_stays)
{
	wire_every_section(&in, 300, OUTSIDE, OUTSIDE);
	for (size_t n = 12; n < in.n; n++) {
		struct harness *h = wire_datagrams();
		harness_send(h, ALG_OUTSIDE, in.p, n);
		harness_expect_untouched(h);
		harness_free(h);
	}
}

Test(dns_frames, of_a_datagram_with_tc_the_whole_records_change)
{
	wire_every_section(&in, 300, OUTSIDE, OUTSIDE);
	wire_every_section(&out, 0, INSIDE, INSIDE);
	in.p[2] |= 2;
	struct harness *h = wire_datagrams();
	harness_send(h, ALG_OUTSIDE, in.p, 60); /* within the third record of the answer */
	memcpy(out.p + 41, in.p + 41, 60 - 41);
	out.p[2] |= 2;
	out.n = 60;
	cr_expect(
		h->way[ALG_OUTSIDE].out_bytes == 60 && !memcmp(h->way[ALG_OUTSIDE].out, out.p, 60));
	harness_free(h);
}

/* What is said over TCP in more than one piece. */
static void send_long(struct harness *h, enum alg_direction from, const struct wire *w)
{
	const uint8_t prefix[2] = {(uint8_t)(w->n >> 8), (uint8_t)w->n};
	harness_send(h, from, prefix, 2);
	harness_send(h, from, w->p, w->n / 2);
	harness_send(h, from, w->p + w->n / 2, w->n - w->n / 2);
}

Test(dns_frames, the_longest_messages_over_tcp)
{
	for (size_t longest = 65531; longest <= 65535; longest++) {
		struct harness *h = wire_stream();
		wire_ask(&question, 1, "123.30.168.192.in-addr.arpa", TYPE_PTR);
		wire_send(h, ALG_GUEST, &question);
		wire_start(&in, 1, ANSWER, 1, 1, 0, 0);
		wire_question(&in, "7.113.0.203.in-addr.arpa", TYPE_PTR);
		wire_pointer(&in, "", 12);
		wire_fixed(&in, 16, 1, 300);
		while (in.n < longest)
			wire_u8(&in, 'x');
		wire_end(&in);
		send_long(h, ALG_OUTSIDE, &in);
		/* 3 bytes more are too many for two of length; 65535 with them are too many for a message */
		cr_expect_eq(
			h->way[ALG_OUTSIDE].out_bytes, 2 + longest + (longest <= 65532 ? 3 : 0));
		cr_expect_eq(h->gave_up, longest == 65535);
		harness_free(h);
	}
}
