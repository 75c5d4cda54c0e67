/*
 *   pcap     magic, version, zone, accuracy, snap length, link ── {seconds, fraction, size, length, bytes}...
 *   pcapng   {type, total, body, total}...: section header, interfaces, packets; others are skipped
 *
 * Both come in either byte order, which the magic tells. A length is believed only as far as there are
 * bytes.
 */
#include "capture.h"

#include <string.h>

#include "wire/wire.h"

enum {
	MAGIC_MICRO = 0xa1b2c3d4,
	MAGIC_NANO = 0xa1b23c4d,
	MAGIC_ORDER = 0x1a2b3c4d,
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET_OLD = 2,
	BLOCK_PACKET_SIMPLE = 3,
	BLOCK_PACKET = 6,
	BLOCK_OVERHEAD = 12, /* type and both totals */
	HEAD_BYTES = 24,
	RECORD_BYTES = 16,
	OPTION_RESOLUTION = 9,
	MICROSECONDS = 6,
	NANOSECONDS = 9,
};

static uint32_t read_u32(const struct capture *c, struct wire_in *in)
{
	const uint32_t v = wire_u32(in);
	return c->swapped ? __builtin_bswap32(v) : v;
}

static uint16_t read_u16(const struct capture *c, struct wire_in *in)
{
	const uint16_t v = wire_u16(in);
	return c->swapped ? __builtin_bswap16(v) : v;
}

static bool stop(struct capture *c, const char *why)
{
	c->broken = why;
	c->at = c->size;
	return false;
}

static bool add_interface(struct capture *c, uint16_t link, uint8_t resolution)
{
	if (c->interfaces == CAPTURE_INTERFACES)
		return stop(c, "too many interfaces");
	c->interface[c->interfaces++] = (struct capture_interface){link, resolution};
	return true;
}

bool capture_open(struct capture *c, const void *bytes, size_t size)
{
	struct wire_in in = wire_in(bytes, size);
	*c = (struct capture){.bytes = bytes, .size = size};
	uint32_t magic = wire_u32(&in);
	if (magic == BLOCK_SECTION) {
		c->blocks = true;
		return true;
	}
	c->swapped = magic != MAGIC_MICRO && magic != MAGIC_NANO;
	magic = c->swapped ? __builtin_bswap32(magic) : magic;
	wire_bytes(&in, HEAD_BYTES - 8);
	const uint16_t link =
		(uint16_t)read_u32(c, &in); /* above it: whether a check sum follows */
	c->at = HEAD_BYTES;
	return wire_ok(&in) && (magic == MAGIC_MICRO || magic == MAGIC_NANO) &&
	       add_interface(c, link, magic == MAGIC_NANO ? NANOSECONDS : MICROSECONDS);
}

static bool next_record(struct capture *c, struct capture_frame *frame)
{
	struct wire_in in = wire_in(c->bytes + c->at, c->size - c->at);
	if (c->at == c->size)
		return false;
	const uint64_t unit = c->interface[0].resolution == NANOSECONDS ? 1000000000 : 1000000;
	const uint64_t seconds = read_u32(c, &in);
	frame->time = seconds * unit + read_u32(c, &in);
	frame->size = read_u32(c, &in);
	frame->length = read_u32(c, &in);
	frame->interface = 0;
	frame->bytes = wire_bytes(&in, frame->size);
	if (!wire_ok(&in) || frame->size > CAPTURE_FRAME_MAX)
		return stop(c, "a packet is cut off");
	c->at += RECORD_BYTES + frame->size;
	return true;
}

/* The byte order of a section, from its first block. */
static bool begin_section(struct capture *c, struct wire_in *in)
{
	const uint32_t magic = wire_u32(in);
	if (magic != MAGIC_ORDER && magic != __builtin_bswap32(MAGIC_ORDER))
		return stop(c, "a section of no known byte order");
	c->swapped = magic != MAGIC_ORDER;
	c->section = c->interfaces;
	return true;
}

static bool begin_interface(struct capture *c, struct wire_in *in)
{
	uint8_t resolution = MICROSECONDS;
	const uint16_t link = read_u16(c, in);
	wire_bytes(in, 6);
	while (wire_left(in) >= 4) {
		const uint16_t what = read_u16(c, in), bytes = read_u16(c, in);
		const uint8_t *value = wire_bytes(in, (bytes + 3u) & ~3u);
		if (what == OPTION_RESOLUTION && value && bytes == 1)
			resolution = *value;
		if (what == 0 || !value)
			break;
	}
	return add_interface(c, link, resolution);
}

/* A packet of each of the three kinds; false where it says more than there is. */
static bool read_packet(
	struct capture *c, uint32_t type, struct wire_in *in, struct capture_frame *frame)
{
	uint32_t interface = 0;
	frame->time = 0;
	if (type == BLOCK_PACKET) {
		interface = read_u32(c, in);
	} else if (type == BLOCK_PACKET_OLD) {
		interface = read_u16(c, in);
		wire_bytes(in, 2);
	}
	if (type != BLOCK_PACKET_SIMPLE) {
		frame->time = (uint64_t)read_u32(c, in) << 32;
		frame->time |= read_u32(c, in);
		frame->size = read_u32(c, in);
	}
	frame->length = read_u32(c, in);
	if (type == BLOCK_PACKET_SIMPLE)
		frame->size =
			frame->length < wire_left(in) ? frame->length : (uint32_t)wire_left(in);
	frame->bytes = wire_bytes(in, frame->size);
	frame->interface = c->section + interface;
	return wire_ok(in) && frame->size <= CAPTURE_FRAME_MAX &&
	       interface < c->interfaces - c->section;
}

/* One block; *is_frame: it was a packet. */
static bool next_block(struct capture *c, struct capture_frame *frame, bool *is_frame)
{
	struct wire_in in = wire_in(c->bytes + c->at, c->size - c->at);
	uint32_t type = wire_u32(&in);
	struct wire_in ahead = in;
	wire_bytes(&ahead, 4);
	if (type == BLOCK_SECTION && !begin_section(c, &ahead))
		return false;
	type = c->swapped ? __builtin_bswap32(type) : type;
	const uint32_t total = read_u32(c, &in);
	const uint8_t *body = total < BLOCK_OVERHEAD || total % 4
				      ? NULL
				      : wire_bytes(&in, total - BLOCK_OVERHEAD);
	wire_bytes(&in, 4);
	if (!body || !wire_ok(&in))
		return stop(c, "a block is cut off");
	c->at += total;
	in = wire_in(body, total - BLOCK_OVERHEAD);
	*is_frame = type == BLOCK_PACKET || type == BLOCK_PACKET_SIMPLE || type == BLOCK_PACKET_OLD;
	if (type == BLOCK_INTERFACE)
		return begin_interface(c, &in);
	if (*is_frame && !read_packet(c, type, &in, frame))
		return stop(c, "a packet is cut off");
	return true;
}

bool capture_next(struct capture *c, struct capture_frame *frame)
{
	bool is_frame = false;
	if (!c->blocks)
		return next_record(c, frame);
	while (!is_frame)
		if (c->at == c->size || !next_block(c, frame, &is_frame))
			return false;
	return true;
}

static size_t write_words(uint8_t *out, size_t room, const uint32_t *words, size_t count)
{
	if (room < 4 * count)
		return 0;
	for (size_t i = 0; i < count; i++)
		for (int byte = 0; byte < 4; byte++)
			out[4 * i + (size_t)byte] = (uint8_t)(words[i] >> (24 - 8 * byte));
	return 4 * count;
}

size_t capture_write_head(uint8_t *out, size_t room)
{
	enum { TOTAL = 28, VERSION = 1 << 16 };
	const uint32_t words[] = {BLOCK_SECTION, TOTAL, MAGIC_ORDER, VERSION, UINT32_MAX,
		UINT32_MAX /* of unknown length */, TOTAL};
	return write_words(out, room, words, sizeof(words) / sizeof(words[0]));
}

size_t capture_write_interface(uint8_t *out, size_t room, const struct capture_interface *i)
{
	enum { TOTAL = 32, OPTION = OPTION_RESOLUTION << 16 | 1 };
	const uint32_t words[] = {BLOCK_INTERFACE, TOTAL, (uint32_t)i->link << 16,
		CAPTURE_FRAME_MAX, OPTION, (uint32_t)i->resolution << 24, 0, TOTAL};
	return write_words(out, room, words, sizeof(words) / sizeof(words[0]));
}

size_t capture_write_frame(uint8_t *out, size_t room, const struct capture_frame *frame)
{
	enum { BEFORE = 28, AROUND = 32 };
	const uint32_t size = frame->size < CAPTURE_FRAME_MAX ? frame->size : CAPTURE_FRAME_MAX,
		       padding = -size & 3, total = AROUND + size + padding;
	const uint32_t words[] = {BLOCK_PACKET, total, frame->interface,
		(uint32_t)(frame->time >> 32), (uint32_t)frame->time, size, frame->length};
	if (room < total)
		return 0;
	write_words(out, room, words, sizeof(words) / sizeof(words[0]));
	memcpy(out + BEFORE, frame->bytes, size);
	memset(out + BEFORE + size, 0, padding);
	write_words(out + total - 4, 4, &total, 1);
	return total;
}
