/* capture.c: both formats in both byte orders, whatever is cut off, and what is written is read again. */
#include "capture.h"

#include <criterion/criterion.h>
#include <string.h>

struct file {
	uint8_t bytes[4096];
	size_t size;
	bool little;
};

static void put(struct file *f, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		f->bytes[f->size + (f->little ? i : bytes - 1 - i)] = (uint8_t)(value >> 8 * i);
	f->size += bytes;
}

static void put_text(struct file *f, const char *text, size_t padded)
{
	memcpy(f->bytes + f->size, text, strlen(text));
	f->size += padded;
}

static void put_pcap(struct file *f, uint32_t magic, uint32_t link)
{
	put(f, magic, 4);
	put(f, 2, 2);
	put(f, 4, 2);
	put(f, 0, 8);
	put(f, 65535, 4);
	put(f, link, 4);
}

static void put_record(struct file *f, const char *text)
{
	put(f, 1000, 4);
	put(f, 7, 4);
	put(f, strlen(text), 4);
	put(f, strlen(text) + 100, 4);
	put_text(f, text, strlen(text));
}

/* A block of these words and, behind them, text padded to four bytes. */
static void put_block(
	struct file *f, uint32_t type, const uint32_t *words, size_t count, const char *text)
{
	const size_t padded = (strlen(text) + 3) / 4 * 4;
	const uint32_t total = (uint32_t)(12 + 4 * count + padded);
	put(f, type, 4);
	put(f, total, 4);
	for (size_t i = 0; i < count; i++)
		put(f, words[i], 4);
	put_text(f, text, padded);
	put(f, total, 4);
}

static void put_section(struct file *f)
{
	put_block(f, 0x0a0d0d0a, (uint32_t[]){0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX}, 4, "");
}

/* if_tsresol 9, then the end of options; without `resolution` no options. */
static void put_interface(struct file *f, uint32_t link, bool resolution)
{
	put(f, 1, 4);
	put(f, resolution ? 32 : 20, 4);
	put(f, link, 2);
	put(f, 0, 2);
	put(f, 65535, 4);
	if (resolution) {
		put(f, 9, 2);
		put(f, 1, 2);
		put(f, 9, 1);
		put(f, 0, 3);
		put(f, 0, 4);
	}
	put(f, resolution ? 32 : 20, 4);
}

static void expect_frame(struct capture *c, const char *text, uint32_t interface, uint64_t time)
{
	struct capture_frame frame;
	cr_assert(capture_next(c, &frame), "%s: %s", text, c->broken ? c->broken : "the end");
	cr_expect(frame.size == strlen(text) && !memcmp(frame.bytes, text, frame.size), "%s", text);
	cr_expect_eq(frame.interface, interface, "%s", text);
	cr_expect_eq(frame.time, time, "%s", text);
}

static void expect_end(struct capture *c, bool broken)
{
	struct capture_frame frame;
	cr_expect_not(capture_next(c, &frame));
	cr_expect_eq(c->broken != NULL, broken);
	cr_expect_not(capture_next(c, &frame), "it stays at its end");
}

Test(capture, pcap_in_both_byte_orders_and_units)
{
	for (int i = 0; i < 4; i++) {
		const bool nano = i & 1;
		struct file f = {.little = i & 2};
		struct capture c;
		put_pcap(&f, nano ? 0xa1b23c4d : 0xa1b2c3d4, 113);
		put_record(&f, "one");
		put_record(&f, "");
		put_record(&f, "three");
		cr_assert(capture_open(&c, f.bytes, f.size));
		cr_expect(
			c.interface[0].link == 113 && c.interface[0].resolution == (nano ? 9 : 6));
		const uint64_t time = 1000 * (nano ? 1000000000ull : 1000000ull) + 7;
		expect_frame(&c, "one", 0, time);
		expect_frame(&c, "", 0, time);
		expect_frame(&c, "three", 0, time);
		expect_end(&c, false);
	}
}

Test(capture, blocks_of_each_kind_in_both_byte_orders)
{
	for (int i = 0; i < 2; i++) {
		struct file f = {.little = i};
		struct capture c;
		put_section(&f);
		put_interface(&f, 1, false);
		put_interface(&f, 101, true);
		put_block(&f, 6, (uint32_t[]){1, 2, 3, 3, 3}, 5, "new");
		put_block(&f, 0x0bad, (uint32_t[]){1, 2}, 2, "who knows");
		put_block(&f, 3, (uint32_t[]){6}, 1, "simple");
		put_block(&f, 2, (uint32_t[]){i ? 1 : 1 << 16, 0, 5, 3, 300}, 5, "old");
		cr_assert(capture_open(&c, f.bytes, f.size));
		expect_frame(&c, "new", 1, 2ull << 32 | 3);
		cr_expect(c.interface[0].link == 1 && c.interface[0].resolution == 6);
		cr_expect(c.interface[1].link == 101 && c.interface[1].resolution == 9);
		expect_frame(&c, "simple", 0, 0);
		expect_frame(&c, "old", 1, 5);
		expect_end(&c, false);
	}
}

Test(capture, a_second_section_has_interfaces_of_its_own)
{
	struct file f = {0};
	struct capture c;
	put_section(&f);
	put_interface(&f, 1, false);
	put_interface(&f, 101, false);
	put_block(&f, 6, (uint32_t[]){1, 0, 0, 1, 1}, 5, "a");
	f.little = true;
	put_section(&f);
	put_interface(&f, 113, true);
	put_block(&f, 6, (uint32_t[]){0, 0, 0, 1, 1}, 5, "b");
	put_block(&f, 6, (uint32_t[]){1, 0, 0, 1, 1}, 5, "c");
	cr_assert(capture_open(&c, f.bytes, f.size));
	expect_frame(&c, "a", 1, 0);
	expect_frame(&c, "b", 2, 0);
	cr_expect_eq(c.interface[2].link, 113);
	expect_end(&c, true);
}

/* Of each beginning of a good file some frames are read, and no byte behind it. */
Test(capture, nothing_is_read_beyond_what_is_there)
{
	for (int blocks = 0; blocks < 2; blocks++) {
		struct file f = {.little = true};
		if (blocks) {
			put_section(&f);
			put_interface(&f, 1, true);
			put_block(&f, 6, (uint32_t[]){0, 0, 0, 5, 5}, 5, "first");
			put_block(&f, 3, (uint32_t[]){6}, 1, "second");
		} else {
			put_pcap(&f, 0xa1b2c3d4, 1);
			put_record(&f, "first");
			put_record(&f, "second");
		}
		for (size_t size = 0; size < f.size; size++) {
			uint8_t *exact = malloc(size + !size);
			struct capture c;
			struct capture_frame frame;
			memcpy(exact, f.bytes, size);
			int frames = 0;
			if (capture_open(&c, exact, size))
				while (capture_next(&c, &frame))
					frames++;
			cr_expect_leq(frames, 1, "%d frames of %zu of %zu bytes, %d", frames, size,
				f.size, blocks);
			free(exact);
		}
	}
}

Test(capture, lengths_that_lie)
{
	struct file f = {0};
	struct capture c;
	put_pcap(&f, 0xa1b2c3d4, 1);
	put(&f, 0, 8);
	put(&f, UINT32_MAX, 4);
	put(&f, 4, 4);
	put_text(&f, "tiny", 4);
	cr_assert(capture_open(&c, f.bytes, f.size));
	expect_end(&c, true);
	for (int i = 0; i < 5; i++) {
		const uint32_t totals[] = {0, 8, 13, UINT32_MAX, UINT32_MAX - 3};
		f = (struct file){0};
		put_section(&f);
		put(&f, 0x0bad, 4);
		put(&f, totals[i], 4);
		put(&f, 0, 8);
		cr_assert(capture_open(&c, f.bytes, f.size));
		expect_end(&c, true);
	}
	f = (struct file){0};
	put_section(&f);
	for (int i = 0; i <= CAPTURE_INTERFACES; i++)
		put_interface(&f, 1, false);
	cr_assert(capture_open(&c, f.bytes, f.size));
	expect_end(&c, true);
	f = (struct file){0};
	put_block(&f, 0x0a0d0d0a, (uint32_t[]){0x12345678, 1, 0, 0}, 4, "");
	cr_assert(capture_open(&c, f.bytes, f.size));
	expect_end(&c, true);
}

Test(capture, a_frame_that_is_too_large)
{
	static uint8_t bytes[24 + 16 + CAPTURE_FRAME_MAX + 1];
	struct file f = {.size = 0};
	struct capture c;
	struct capture_frame frame;
	for (uint32_t more = 0; more < 2; more++) {
		f.size = 0;
		put_pcap(&f, 0xa1b2c3d4, 1);
		put(&f, 0, 8);
		put(&f, CAPTURE_FRAME_MAX + more, 4);
		put(&f, CAPTURE_FRAME_MAX + more, 4);
		memcpy(bytes, f.bytes, f.size);
		cr_assert(capture_open(&c, bytes, sizeof(bytes) - !more));
		cr_expect_eq(capture_next(&c, &frame), !more);
		cr_expect_eq(c.broken != NULL, more);
	}
}

Test(capture, what_is_none)
{
	struct capture c;
	cr_expect_not(capture_open(&c, "", 0));
	cr_expect_not(capture_open(&c, NULL, 0));
	cr_expect_not(capture_open(&c, "GIF89a, and so on, and so on", 28));
	cr_expect_not(capture_open(&c, "\xa1\xb2\xc3\xd4\0\2\0\4", 8), "no whole head");
}

Test(capture, what_is_written_is_read_again)
{
	static uint8_t file[4 * CAPTURE_ROOM], big[CAPTURE_FRAME_MAX];
	const struct capture_interface interfaces[] = {{1, 6}, {276, 0x89}};
	struct capture c;
	struct capture_frame frame;
	size_t size = capture_write_head(file, sizeof(file));
	for (int i = 0; i < 2; i++)
		size += capture_write_interface(file + size, sizeof(file) - size, &interfaces[i]);
	memset(big, 'B', sizeof(big));
	for (uint32_t n = 0; n < 4; n++) {
		frame = (struct capture_frame){big, n, n, n & 1, 5ull << 32 | n};
		size += capture_write_frame(file + size, CAPTURE_ROOM, &frame);
	}
	frame = (struct capture_frame){big, sizeof(big), sizeof(big) + 1, 1, 9};
	size += capture_write_frame(file + size, CAPTURE_ROOM, &frame);
	cr_assert(capture_open(&c, file, size));
	for (uint32_t n = 0; n < 4; n++) {
		cr_assert(capture_next(&c, &frame));
		cr_expect(frame.size == n && frame.length == n && frame.interface == (n & 1) &&
			  frame.time == (5ull << 32 | n));
		cr_expect_eq(memcmp(frame.bytes, big, n), 0);
	}
	cr_assert(capture_next(&c, &frame));
	cr_expect(frame.size == sizeof(big) && frame.length == sizeof(big) + 1);
	expect_end(&c, false);
	for (int i = 0; i < 2; i++)
		cr_expect(c.interface[i].link == interfaces[i].link &&
			  c.interface[i].resolution == interfaces[i].resolution);
	cr_expect_eq(capture_write_frame(file, 31, &frame), 0, "no room");
	cr_expect_eq(capture_write_head(file, 27), 0);
}
