/* codec.c: well-formed and malformed messages, joined options, the size of answers. */
#include "frames.h"

static bool parse(struct codec_request *q, const struct frame *f, enum drop *why)
{
	return codec_parse(q, f->b, f->n, false, why);
}

static void expect_dropped(const struct frame *f, enum drop expected, const char *what)
{
	static struct codec_request q;
	enum drop why;
	cr_expect_not(parse(&q, f, &why), "%s", what);
	cr_expect_eq(why, expected, "%s: %d", what, why);
}

Test(codec, reads_what_a_client_says)
{
	static struct codec_request q;
	enum drop why;
	struct frame f = frame_new(CODEC_REQUEST, 7);
	frame_ip(&f, 50, "192.168.30.10");
	frame_ip(&f, 54, "192.168.30.1");
	frame_option(&f, 12, "NT4", 3);
	frame_option(&f, 61, "\1abc", 4);
	frame_option(&f, 57, "\3\350", 2);
	frame_option(&f, 224, "x", 1);
	frame_end(&f);
	cr_assert(parse(&q, &f, &why));
	cr_expect(q.type == CODEC_REQUEST && q.xid == 7 && q.max_size == 1000);
	cr_expect(q.requested_be == inet_addr("192.168.30.10") &&
		  q.server_be == inet_addr("192.168.30.1"));
	cr_expect(q.option[OPTION_HOST_NAME].bytes == 3 && q.option[OPTION_CLIENT_ID].bytes == 4);
	cr_expect_eq(memcmp(q.source_mac, q.chaddr, 6), 0);
}

Test(codec, split_options_are_joined_over_all_three_fields)
{
	static struct codec_request q;
	enum drop why;
	struct frame f = frame_new(CODEC_DISCOVER, 1);
	frame_option(&f, 61, "ab", 2);
	frame_option(&f, 52, "\3", 1);
	frame_option(&f, 61, "cd", 2);
	memcpy(f.b + 42 + 108, "\75\1e\377", 4);   /* file */
	memcpy(f.b + 42 + 44, "\75\2fg\0\377", 6); /* sname */
	frame_end(&f);
	cr_assert(parse(&q, &f, &why));
	cr_expect(q.option[OPTION_CLIENT_ID].bytes == 7 &&
		  !memcmp(q.option[OPTION_CLIENT_ID].value, "abcdefg", 7));
}

Test(codec, odd_lengths_inform_or_condemn)
{
	static struct codec_request q;
	enum drop why;
	struct frame f = frame_new(CODEC_DISCOVER, 1);
	frame_option(&f, 12, "", 0);
	frame_option(&f, 61, "a", 1);
	frame_option(&f, 57, "abc", 3);
	frame_option(&f, 55, "", 0);
	frame_option(&f, 82, "x", 1);
	frame_end(&f);
	cr_assert(parse(&q, &f, &why), "options that only inform");
	for (int i = 0; i < OPTION_COUNT; i++)
		cr_expect_eq(q.option[i].bytes, i == OPTION_TYPE ? 1 : 0);
	cr_expect_eq(q.max_size, 576);
	const uint8_t steering[] = {50, 52, 53, 54};
	for (int i = 0; i < 4; i++) {
		f = frame_new(CODEC_DISCOVER, 1);
		frame_option(&f, steering[i], "abc", 3);
		frame_end(&f);
		expect_dropped(&f, DROP_DHCP_BAD, "a wrong length that steers");
	}
}

Test(codec, max_size_has_bounds)
{
	static struct codec_request q;
	enum drop why;
	const struct {
		const char *value;
		uint16_t size;
	} sizes[] = {{"\0\0", 576}, {"\2\77", 576}, {"\2\101", 577}, {"\377\377", 1500}};
	for (int i = 0; i < 4; i++) {
		struct frame f = frame_new(CODEC_DISCOVER, 1);
		frame_option(&f, 57, sizes[i].value, 2);
		frame_end(&f);
		cr_assert(parse(&q, &f, &why));
		cr_expect_eq(q.max_size, sizes[i].size);
	}
}

Test(codec, malformed_fixed_parts_are_dropped)
{
	const struct {
		size_t at;
		uint8_t value;
		enum drop why;
		const char *what;
	} bad[] = {
		{12, 0x86, DROP_IP_HEADER, "ethertype"},
		{14, 0x65, DROP_IP_HEADER, "version"},
		{14, 0x44, DROP_IP_HEADER, "header length 16"},
		{14, 0x4f, DROP_IP_HEADER, "header length 60"},
		{16, 0xff, DROP_IP_HEADER, "total length too long"},
		{20, 0x20, DROP_IP_HEADER, "more fragments"},
		{21, 1, DROP_IP_HEADER, "fragment"},
		{23, 6, DROP_IP_HEADER, "TCP"},
		{37, 68, DROP_UDP_BAD, "port"},
		{38, 0xff, DROP_UDP_BAD, "UDP length too long"},
		{42, 2, DROP_DHCP_BAD, "a reply"},
		{43, 6, DROP_DHCP_BAD, "htype"},
		{44, 16, DROP_DHCP_BAD, "hlen"},
		{44, 0, DROP_DHCP_BAD, "hlen 0"},
		{278, 0, DROP_DHCP_BAD, "cookie"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct frame f = frame_new(CODEC_DISCOVER, 1);
		frame_end(&f);
		f.b[bad[i].at] = bad[i].value;
		frame_seal(&f);
		expect_dropped(&f, bad[i].why, bad[i].what);
	}
}

Test(codec, checksums_are_verified_unless_vouched_for)
{
	static struct codec_request q;
	enum drop why;
	struct frame f = frame_new(CODEC_DISCOVER, 1);
	frame_end(&f);
	f.b[40] ^= 1;
	expect_dropped(&f, DROP_UDP_BAD, "UDP checksum");
	cr_expect(codec_parse(&q, f.b, f.n, true, &why), "the kernel vouches");
	frame_u16(f.b + 40, 0);
	cr_expect(parse(&q, &f, &why), "no checksum");
	f.b[24] ^= 1;
	expect_dropped(&f, DROP_IP_HEADER, "IP checksum");
	cr_expect_not(codec_parse(&q, f.b, f.n, true, &why), "nobody vouches for the IP header");
}

Test(codec, every_truncation_and_every_byte_is_survived)
{
	static struct codec_request q;
	enum drop why;
	struct frame f = frame_new(CODEC_REQUEST, 1);
	frame_option(&f, 52, "\3", 1);
	frame_ip(&f, 50, "192.168.30.10");
	frame_end(&f);
	for (size_t n = 0; n < f.n; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		memcpy(copy, f.b, n);
		cr_assert_not(codec_parse(&q, copy, n, true, &why));
		free(copy);
	}
	for (size_t at = 0; at < f.n; at++) {
		for (int v = 0; v < 256; v += 5) {
			struct frame g = f;
			g.b[at] = (uint8_t)v;
			frame_seal(&g);
			if (parse(&q, &g, &why))
				for (int i = 0; i < OPTION_COUNT; i++)
					cr_assert_leq(q.option[i].bytes, CODEC_OPTION_BYTES);
		}
	}
}

Test(codec, options_without_end_or_over_the_end)
{
	static struct codec_request q;
	enum drop why;
	struct frame f = frame_new(CODEC_DISCOVER, 1);
	frame_end(&f);
	f.b[f.n - 1] = 0;
	frame_seal(&f);
	cr_expect(parse(&q, &f, &why), "an end mark is not asked for");
	f = frame_new(CODEC_DISCOVER, 1);
	memcpy(f.b + f.n, "\14\377abc", 5);
	f.n += 5;
	frame_end(&f);
	expect_dropped(&f, DROP_DHCP_BAD, "an option over the end");
	f = frame_new(CODEC_DISCOVER, 1);
	static uint8_t big[200];
	frame_option(&f, 61, big, 200);
	frame_option(&f, 61, big, 56);
	frame_end(&f);
	expect_dropped(&f, DROP_DHCP_BAD, "a joined option of 256 bytes");
}

static struct codec_settings settings(void)
{
	struct codec_settings s = {
		.mac = {0, 0xac, 1, 2, 3, 4},
		.server_be = inet_addr("192.168.30.1"),
		.netmask_be = inet_addr("255.255.255.0"),
		.router_be = inet_addr("192.168.30.1"),
		.dns_count = 1,
		.domain = "example.test",
	};
	s.dns_be[0] = inet_addr("192.168.30.1");
	return s;
}

static struct answer emit(const struct frame *f, const struct codec_settings *s, uint32_t lease_s)
{
	static struct codec_request q;
	static uint8_t out[CODEC_FRAME_BYTES];
	enum drop why;
	cr_assert(codec_parse(&q, f->b, f->n, false, &why));
	struct codec_reply r = {.to = &q,
		.type = CODEC_ACK,
		.yiaddr_be = inet_addr("192.168.30.10"),
		.lease_s = lease_s,
		.to_ip_be = inet_addr("192.168.30.10"),
		.to_port = 68,
		.host_name = "nt4",
		.ident = 0x1234};
	return answer_of(out, codec_emit(out, s, &r));
}

Test(codec, sends_what_was_asked_once_and_in_that_order)
{
	struct codec_settings s = settings();
	struct frame f = frame_new(CODEC_REQUEST, 9);
	frame_option(&f, 55, "\6\3\6\3\252\14", 6);
	frame_end(&f);
	struct answer a = emit(&f, &s, 7200);
	cr_expect(a.xid == 9 && a.option[6] && a.option[3] && a.option[12] && !a.option[1] &&
		  !a.option[15]);
	cr_expect_lt(a.option[6], a.option[3]);
	cr_expect(answer_u32(&a, 51) == 7200 && answer_u32(&a, 58) == 3600 &&
		  answer_u32(&a, 59) == 6300);
	cr_expect_eq(answer_u32(&a, 54), ntohl(s.server_be));
	f = frame_new(CODEC_REQUEST, 9);
	frame_end(&f);
	a = emit(&f, &s, 0);
	cr_expect(a.option[1] && a.option[3] && a.option[6] && a.option[15], "no list: everything");
	cr_expect(!a.option[51] && !a.option[58] && !a.option[59], "no lease: no times");
	s.router_be = 0;
	s.dns_count = 0;
	s.domain[0] = '\0';
	a = emit(&f, &s, 7200);
	cr_expect(!a.option[3] && !a.option[6] && !a.option[15],
		"what is not configured is not sent");
}

Test(codec, echoes_client_id_and_relay_option_last)
{
	struct codec_settings s = settings();
	struct frame f = frame_new(CODEC_REQUEST, 9);
	frame_option(&f, 82, "\1\3abc", 5);
	frame_option(&f, 61, "\0client", 7);
	frame_end(&f);
	struct answer a = emit(&f, &s, 7200);
	cr_assert(a.option[61] && a.option[82]);
	cr_expect(a.option[61][0] == 7 && !memcmp(a.option[61] + 1, "\0client", 7));
	cr_expect(a.option[82][0] == 5 && !memcmp(a.option[82] + 1, "\1\3abc", 5));
	cr_expect_eq(a.last_option, 82);
}

Test(codec, answers_keep_to_576_and_overflow_into_file_and_sname)
{
	struct codec_settings s = settings();
	static uint8_t big[255];
	memset(s.domain, 'd', 100);
	memset(big, 'i', sizeof(big));
	struct frame f = frame_new(CODEC_REQUEST, 9);
	frame_option(&f, 61, big, 200);
	frame_end(&f);
	struct answer a = emit(&f, &s, 7200);
	cr_expect_leq(a.ip_bytes, 576);
	cr_expect(a.overload && a.option[61] && a.option[15] && a.option[15][0] == 100);
	f = frame_new(CODEC_REQUEST, 9);
	frame_option(&f, 61, big, 255);
	frame_option(&f, 82, big, 255);
	frame_end(&f);
	a = emit(&f, &s, 7200);
	cr_expect_leq(a.ip_bytes, 576);
	cr_expect(a.option[82] && a.option[51] && a.option[54], "what must be there is there");
	f = frame_new(CODEC_REQUEST, 9);
	frame_option(&f, 57, "\5\334", 2);
	frame_option(&f, 61, big, 255);
	frame_option(&f, 82, big, 255);
	frame_end(&f);
	a = emit(&f, &s, 7200);
	cr_expect(a.ip_bytes > 576 && !a.overload && a.option[61] && a.option[82] && a.option[15],
		"room was offered");
}
