/* packet.c: every link below, what is no whole packet, and the same frame with another payload. */
#include "frames.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const struct ends ends = {"10.0.0.2", 40000, "192.0.2.1", 21};

Test(packet, below_every_link)
{
	static const struct {
		uint16_t link;
		uint8_t bytes;
		const char *header;
	} links[] = {
		{0, 4, "\2\0\0\0"},
		{108, 4, "\0\0\0\2"},
		{12, 0, ""},
		{101, 0, ""},
		{228, 0, ""},
		{1, 14, "\1\2\3\4\5\6\1\2\3\4\5\6\x08\0"},
		{1, 18, "\1\2\3\4\5\6\1\2\3\4\5\6\x81\0\0\5\x08\0"},
		{1, 22, "\1\2\3\4\5\6\1\2\3\4\5\6\x88\xa8\0\5\x81\0\0\6\x08\0"},
		{113, 16, "\0\0\0\1\0\6\1\2\3\4\5\6\0\0\x08\0"},
		{276, 20, "\x08\0\0\0\0\0\0\2\0\1\0\6\1\2\3\4\5\6\0\0"},
	};
	struct frame f, whole;
	struct packet p;
	frame_tcp(&f, &ends, 7, 8, PACKET_ACK, "abc", 3);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		memcpy(whole.bytes, links[i].header, links[i].bytes);
		memcpy(whole.bytes + links[i].bytes, f.bytes, f.size);
		memset(whole.bytes + links[i].bytes + f.size, 0xee, 6); /* Ethernet pads */
		cr_assert(packet_parse(&p, links[i].link, whole.bytes, links[i].bytes + f.size + 6),
			"link %u", links[i].link);
		cr_expect(p.ip_at == links[i].bytes && p.stream && p.seq == 7 && p.ack == 8 &&
			  p.flags == PACKET_ACK && p.src_port == 40000 && p.dst_port == 21 &&
			  p.src_ip_be == inet_addr("10.0.0.2") &&
			  p.dst_ip_be == inet_addr("192.0.2.1"));
		cr_expect(p.bytes == 3 && !memcmp(p.payload, "abc", 3) && !p.cut);
	}
	cr_expect_not(packet_parse(&p, 105, f.bytes, f.size), "a link that nobody knows");
	whole.bytes[12] = 0x86;
	cr_expect_not(packet_parse(&p, 1, whole.bytes, 14 + f.size), "IPv6");
}

Test(packet, what_is_cut_off_is_told_or_refused)
{
	struct frame f;
	struct packet p;
	frame_tcp(&f, &ends, 7, 8, PACKET_ACK, "abcdef", 6);
	for (size_t size = 0; size <= f.size; size++) {
		uint8_t *exact = malloc(size + !size);
		memcpy(exact, f.bytes, size);
		const bool good = packet_parse(&p, FRAME_RAW, exact, size);
		cr_expect_eq(good, size >= 40, "%zu", size);
		if (good)
			cr_expect(p.bytes == size - 40 && p.cut == (size < f.size));
		free(exact);
	}
	frame_udp(&f, &ends, "abcdef", 6);
	for (size_t size = 0; size <= f.size; size++)
		cr_expect_eq(packet_parse(&p, FRAME_RAW, f.bytes, size), size >= 28);
}

Test(packet, damage)
{
	static const struct {
		size_t at;
		uint8_t byte;
		const char *what;
	} cases[] = {
		{0, 0x65, "version 6"},
		{0, 0x44, "a header of 16 bytes"},
		{0, 0x4f, "a header longer than all"},
		{3, 10, "shorter than its header"},
		{6, 0x20, "a first fragment"},
		{7, 1, "a later fragment"},
		{9, 1, "ICMP"},
		{32, 4 << 4, "a TCP header of 16 bytes"},
		{32, 15 << 4, "a TCP header longer than all"},
	};
	struct frame f;
	struct packet p;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		frame_tcp(&f, &ends, 7, 8, PACKET_ACK, "abc", 3);
		f.bytes[cases[i].at] = cases[i].byte;
		cr_expect_not(packet_parse(&p, FRAME_RAW, f.bytes, f.size), "%s", cases[i].what);
	}
	frame_tcp(&f, &ends, 7, 8, PACKET_ACK, "abcdefgh", 8);
	f.bytes[3] = 42;
	f.bytes[32] = 6 << 4;
	cr_expect_not(packet_parse(&p, FRAME_RAW, f.bytes, f.size), "more TCP than IP");
	frame_udp(&f, &ends, "abc", 3);
	f.bytes[25] = 7;
	cr_expect_not(packet_parse(&p, FRAME_RAW, f.bytes, f.size), "a UDP length below 8");
	f.bytes[25] = 12;
	cr_expect_not(packet_parse(&p, FRAME_RAW, f.bytes, f.size), "more UDP than IP");
}

Test(packet, another_payload_of_any_length)
{
	static uint8_t payload[PACKET_PAYLOAD_MAX], out[PACKET_PAYLOAD_MAX + 200];
	const size_t lengths[] = {0, 1, 2, 3, 1460, sizeof(payload)};
	struct frame f;
	struct packet p, q;
	memset(payload, 0xa5, sizeof(payload));
	for (size_t i = 0; i < 12; i++) {
		const size_t n = lengths[i / 2];
		if (i % 2)
			frame_tcp(&f, &ends, 7, 8, PACKET_ACK, "abc", 3);
		else
			frame_udp(&f, &ends, "abc", 3);
		cr_assert(packet_parse(&p, FRAME_RAW, f.bytes, f.size));
		const size_t size = packet_write(
			&p, f.bytes, 100, 200, PACKET_ACK | PACKET_FIN, payload, n, out);
		cr_assert(packet_parse(&q, FRAME_RAW, out, size));
		cr_expect(q.bytes == n && !memcmp(q.payload, payload, n) && !q.cut);
		cr_expect(frame_sums_fit(out, &q), "%zu bytes", n);
		if (q.stream)
			cr_expect(q.seq == 100 && q.ack == 200 &&
				  q.flags == (PACKET_ACK | PACKET_FIN));
	}
}

Test(packet, a_datagram_without_a_check_sum_keeps_none)
{
	struct frame f;
	struct packet p;
	uint8_t out[200];
	frame_udp(&f, &ends, "abc", 3);
	f.bytes[26] = f.bytes[27] = 0;
	cr_assert(packet_parse(&p, FRAME_RAW, f.bytes, f.size));
	packet_write(&p, f.bytes, 0, 0, 0, (const uint8_t *)"wxyz", 4, out);
	cr_expect(out[26] == 0 && out[27] == 0 && out[25] == 12);
}

/* Options: a time stamp stays, acknowledged blocks go; lists that lie are left alone. */
Test(packet, selective_acknowledgements_go)
{
	static const uint8_t options[][12] = {
		{8, 2, 5, 4, 9, 9, 1, 5, 2, 1, 1, 0},
		{5, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1},
		{1, 5, 99, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		{3, 0, 5, 4, 0, 0, 0, 0, 0, 0, 0, 0},
	};
	static const uint8_t after[][12] = {
		{8, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0},
		{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
		{1, 5, 99, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		{3, 0, 5, 4, 0, 0, 0, 0, 0, 0, 0, 0},
	};
	uint8_t out[200];
	struct frame f;
	struct packet p;
	for (size_t i = 0; i < 4; i++) {
		frame_tcp(&f, &ends, 7, 8, PACKET_ACK, options[i], 12);
		f.bytes[32] = 8 << 4;
		cr_assert(packet_parse(&p, FRAME_RAW, f.bytes, f.size) && p.bytes == 0);
		packet_write(&p, f.bytes, 7, 8, PACKET_ACK, NULL, 0, out);
		cr_expect_arr_eq(out + 40, after[i], 12, "case %zu", i);
	}
}
