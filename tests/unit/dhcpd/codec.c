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

static void add_route(struct codec_settings *s, const char *to, uint8_t prefix, const char *via)
{
	s->route[s->route_count++] = (struct codec_route){inet_addr(to), inet_addr(via), prefix};
}

/* The routes as RFC 3442 shows them, and the router as the last of them. */
Test(codec, static_routes_bring_the_default_route_along)
{
	struct codec_settings s = settings();
	struct frame f = frame_new(CODEC_REQUEST, 9);
	frame_option(&f, 55, "\171\3\371\1", 4);
	frame_end(&f);
	struct answer a = emit(&f, &s, 7200);
	cr_expect(!a.option[121] && !a.option[249] && a.option[3], "none configured");
	add_route(&s, "10.0.0.0", 8, "192.168.30.2");
	add_route(&s, "10.27.129.0", 24, "192.168.30.3");
	add_route(&s, "10.229.0.128", 25, "192.168.30.4");
	static const uint8_t expected[] = {8, 10, 192, 168, 30, 2, 24, 10, 27, 129, 192, 168, 30, 3,
		25, 10, 229, 0, 128, 192, 168, 30, 4, 0, 192, 168, 30, 1};
	a = emit(&f, &s, 7200);
	cr_assert(a.option[121] && a.option[121][0] == sizeof(expected));
	cr_expect_arr_eq(a.option[121] + 1, expected, sizeof(expected));
	cr_assert(a.option[249], "as Microsoft numbers it");
	cr_expect_arr_eq(a.option[249] + 1, expected, sizeof(expected));
	cr_expect(a.option[3] && a.option[1] < a.option[3], "the mask before the router");
	s.router_be = 0;
	a = emit(&f, &s, 7200);
	cr_expect_eq(a.option[121][0], sizeof(expected) - 5, "no router: no default route");
}

/* Appends the pieces of one option in one field. */
static size_t gather_from(
	const uint8_t *p, const uint8_t *end, uint8_t code, uint8_t *value, unsigned int *pieces)
{
	size_t n = 0;
	for (; p < end && *p != 255; p += *p ? 2 + p[1] : 1) {
		if (*p != code)
			continue;
		memcpy(value + n, p + 2, p[1]);
		n += p[1];
		++*pieces;
	}
	return n;
}

/* Joins them in the order of RFC 3396: options, file, sname. */
static size_t joined(
	const uint8_t *frame, size_t bytes, uint8_t code, uint8_t *value, unsigned int *pieces)
{
	const uint8_t *d = frame + 42;
	size_t n = gather_from(d + 240, frame + bytes, code, value, pieces);
	uint8_t overload = 0;
	unsigned int there = 0;
	gather_from(d + 240, frame + bytes, 52, &overload, &there);
	if (overload & 1)
		n += gather_from(d + 108, d + 236, code, value + n, pieces);
	if (overload & 2)
		n += gather_from(d + 44, d + 108, code, value + n, pieces);
	return n;
}

Test(codec, more_routes_than_one_option_holds_are_split)
{
	static struct codec_request q;
	static uint8_t out[CODEC_FRAME_BYTES];
	struct codec_settings s = settings();
	uint8_t value[2 * CODEC_ROUTES_BYTES];
	unsigned int pieces = 0;
	enum drop why;
	for (unsigned int i = 0; i < CODEC_ROUTES_MAX; i++)
		add_route(&s, "10.1.2.3", 32, "192.168.30.2");
	struct frame f = frame_new(CODEC_REQUEST, 9);
	frame_option(&f, 55, "\171", 1);
	frame_end(&f);
	cr_assert(codec_parse(&q, f.b, f.n, false, &why));
	struct codec_reply r = {.to = &q, .type = CODEC_ACK, .lease_s = 60, .to_port = 68};
	size_t bytes = codec_emit(out, &s, &r);
	cr_expect_leq(bytes, 14 + 576);
	cr_expect_eq(joined(out, bytes, 121, value, &pieces), CODEC_ROUTES_MAX * 9 + 5);
	cr_expect_eq(pieces, 3);
	cr_expect_eq(memcmp(value + 9 * 31, "\40\12\1\2\3\300\250\36\2\0\300\250\36\1", 14), 0);
	struct frame g = frame_new(CODEC_REQUEST, 9);
	static const uint8_t big[200];
	frame_option(&g, 55, "\171", 1);
	frame_option(&g, 61, big, 200);
	frame_end(&g);
	struct answer a = emit(&g, &s, 7200);
	cr_expect(!a.option[121] && a.option[61], "all of them or none");
}

Test(codec, the_search_list_is_in_dns_form)
{
	struct codec_settings s = settings();
	struct frame f = frame_new(CODEC_REQUEST, 9);
	frame_option(&f, 55, "\167", 1);
	frame_end(&f);
	struct answer a = emit(&f, &s, 7200);
	cr_assert(a.option[119] && a.option[119][0] == 14);
	cr_expect_eq(memcmp(a.option[119] + 1, "\7example\4test", 14), 0);
	const char *bad[] = {"", ".", "a..b", ".a"};
	for (size_t i = 0; i < 4; i++) {
		strcpy(s.domain, bad[i]);
		a = emit(&f, &s, 7200);
		cr_expect_null(a.option[119], "\"%s\"", bad[i]);
	}
	strcpy(s.domain, "a.");
	a = emit(&f, &s, 7200);
	cr_expect(a.option[119] && a.option[119][0] == 3);
	memset(s.domain, 'x', 64);
	strcpy(s.domain + 64, ".test");
	a = emit(&f, &s, 7200);
	cr_expect_null(a.option[119], "a label of 64");
}

Test(codec, a_probe_is_a_discover_that_servers_answer)
{
	static struct codec_request q;
	uint8_t out[CODEC_FRAME_BYTES];
	struct codec_settings s = settings();
	enum drop why;
	size_t bytes = codec_emit_probe(out, &s, 0x12345678);
	cr_assert(codec_parse(&q, out, bytes, false, &why), "why %d", why);
	cr_expect(
		q.type == CODEC_DISCOVER && q.xid == 0x12345678 && q.flags == CODEC_FLAG_BROADCAST);
	cr_expect(!memcmp(q.chaddr, s.mac, 6) && !memcmp(q.source_mac, s.mac, 6) && !q.source_be);
	cr_expect_eq(out[34] << 8 | out[35], 68);
	cr_expect_not(codec_is_foreign(out, bytes));
}

Test(codec, another_servers_messages_are_recognised)
{
	static struct codec_request q;
	static uint8_t out[CODEC_FRAME_BYTES];
	struct codec_settings s = settings();
	struct codec_foreign foreign;
	enum drop why;
	struct frame f = frame_new(CODEC_DISCOVER, 1);
	frame_end(&f);
	cr_assert(codec_parse(&q, f.b, f.n, false, &why));
	struct codec_reply r = {.to = &q, .type = CODEC_OFFER, .lease_s = 60, .to_port = 68};
	size_t bytes = codec_emit(out, &s, &r);
	cr_assert(codec_is_foreign(out, bytes));
	cr_assert(codec_parse_foreign(&foreign, &q, out, bytes, false, &why));
	cr_expect_eq(foreign.server_be, s.server_be);
	cr_expect_eq(memcmp(foreign.source_mac, s.mac, 6), 0);
	out[42 + 240 + 5]++;
	cr_expect_not(codec_parse_foreign(&foreign, &q, out, bytes, false, &why), "the checksum");
	out[42 + 240 + 5]--;
	for (size_t n = 0; n < bytes; n++) {
		uint8_t *copy = malloc(n + 1);
		memcpy(copy, out, n);
		cr_expect_not(codec_is_foreign(copy, n) &&
				      codec_parse_foreign(&foreign, &q, copy, n, true, &why),
			"cut at %zu", n);
		free(copy);
	}
	s.server_be = 0;
	cr_assert(codec_parse(&q, f.b, f.n, false, &why));
	bytes = codec_emit(out, &s, &r);
	cr_expect_not(
		codec_parse_foreign(&foreign, &q, out, bytes, false, &why), "no server's name");
}
