/*
 * Messages grown from their descriptors, for targets that read protobuf: mutation of plain bytes seldom makes a message
 * with the right fields at the right depth. Numbers and words are those at which limits and tables begin or end.
 * Included by one file of a target.
 */
#ifndef NATLOCK_TESTS_FUZZ_GROW_H
#define NATLOCK_TESTS_FUZZ_GROW_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>
#include <string.h>

enum { GROW_DEPTH = 5, GROW_MESSAGE = 8192, GROW_REPEATS = 4, GROW_TAG = 16 };

struct grow {
	uint32_t seed;
	uint8_t *out;
	size_t bytes, cap;
};

static inline uint32_t grow_random(struct grow *g, uint32_t below)
{
	g->seed = g->seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(g->seed >> 8) * below >> 24);
}

static inline void grow_put(struct grow *g, const void *bytes, size_t n)
{
	if (n > g->cap - g->bytes)
		return;
	memcpy(g->out + g->bytes, bytes, n);
	g->bytes += n;
}

static inline void grow_varint(struct grow *g, uint64_t v)
{
	uint8_t b[10];
	size_t n = 0;
	for (; v > 0x7f; v >>= 7)
		b[n++] = (uint8_t)(v | 0x80);
	b[n++] = (uint8_t)v;
	grow_put(g, b, n);
}

static inline uint64_t grow_number(struct grow *g)
{
	static const uint64_t edge[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 21, 53, 63, 64, 65, 255, 576,
		1023, 1024, 1500, 2048, 4096, 0x10003, 40000, 65535, 65536, 0x0a1ea8c0, 0x011ea8c0,
		0x08080808, 0x0100007f, 0x7fffffff, 0xffffffff, 7200000, UINT64_C(1700000000000),
		INT64_MAX, UINT64_MAX};
	const uint32_t way = grow_random(g, 8);
	if (way < 4)
		return grow_random(g, 8);
	if (way < 7)
		return edge[grow_random(g, sizeof(edge) / sizeof(edge[0]))];
	return grow_random(g, 1 << 24);
}

static inline void grow_bytes(struct grow *g)
{
	static const uint8_t station[6] = {2, 0, 0, 0, 0, 0x10}, gateway[6] = {0, 0xac, 1, 2, 3, 4};
	uint8_t any[256];
	size_t n = grow_random(g, 16) ? grow_random(g, 40) : grow_random(g, sizeof(any));
	const uint32_t way = grow_random(g, 4);
	memset(any, (int)grow_random(g, 256), sizeof(any));
	for (size_t i = 0; i < n && way > 1; i++)
		any[i] = (uint8_t)grow_random(g, 256);
	if (way == 0) {
		n = 6;
		memcpy(any, grow_random(g, 2) ? gateway : station, n);
		any[5] = (uint8_t)(any[5] + (grow_random(g, 4) ? 0 : grow_random(g, 8)));
	}
	grow_varint(g, n);
	grow_put(g, any, n);
}

static inline void grow_word(struct grow *g)
{
	static const char *const word[] = {"", "ftp", "broker", "netstack", "natproxy", "dhcpd",
		"alg", "default", "netstack.1", "laptop", "host", "none", "auto", "1", "8",
		"tap:tap0", "blue", "eth0", "192.168.30.10", "nat.mtu", "nat.publish", "1400",
		"example.test", "a line\nanother\033[2J", "\"\\=\x7f\xff"};
	char text[300];
	size_t n = 0;
	if (grow_random(g, 16)) {
		const char *w = word[grow_random(g, sizeof(word) / sizeof(word[0]))];
		n = strlen(w);
		memcpy(text, w, n);
	} else {
		n = grow_random(g, sizeof(text));
		memset(text, 'a' + (int)grow_random(g, 26), sizeof(text));
	}
	grow_varint(g, n);
	grow_put(g, text, n);
}

static inline void grow_message(struct grow *g, const ProtobufCMessageDescriptor *d, int depth);

static inline void grow_inner(struct grow *g, const ProtobufCMessageDescriptor *d, int depth)
{
	static uint8_t memory[GROW_DEPTH + 1][GROW_MESSAGE];
	struct grow inner = {g->seed, memory[depth], 0, GROW_MESSAGE};
	grow_message(&inner, d, depth + 1);
	g->seed = inner.seed;
	if (inner.bytes + GROW_TAG > g->cap - g->bytes)
		inner.bytes = 0;
	grow_varint(g, inner.bytes);
	grow_put(g, inner.out, inner.bytes);
}

static inline void grow_field(struct grow *g, const ProtobufCFieldDescriptor *f, int depth)
{
	const uint64_t number = grow_number(g);
	if (g->cap - g->bytes < GROW_TAG ||
		(f->type == PROTOBUF_C_TYPE_MESSAGE && depth >= GROW_DEPTH))
		return;
	switch ((int)f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		grow_varint(g, f->id << 3 | 2);
		grow_inner(g, f->descriptor, depth);
		break;
	case PROTOBUF_C_TYPE_STRING:
		grow_varint(g, f->id << 3 | 2);
		grow_word(g);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		grow_varint(g, f->id << 3 | 2);
		grow_bytes(g);
		break;
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		grow_varint(g, f->id << 3 | 5);
		grow_put(g, &number, 4);
		break;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		grow_varint(g, f->id << 3 | 1);
		grow_put(g, &number, 8);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		grow_varint(g, f->id << 3);
		grow_varint(g, number & 1);
		break;
	default:
		grow_varint(g, f->id << 3);
		grow_varint(g, number);
		break;
	}
}

/* Of a oneof one member, of the rest most: a message that lacks something is told apart early. */
static inline void grow_message(struct grow *g, const ProtobufCMessageDescriptor *d, int depth)
{
	const uint32_t one = grow_random(g, d->n_fields ? d->n_fields : 1);
	for (uint32_t i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		uint32_t times = grow_random(g, 8) > 1;
		if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
			times = i == one;
		else if (f->label == PROTOBUF_C_LABEL_REPEATED)
			times = grow_random(g, GROW_REPEATS);
		while (times--)
			grow_field(g, f, depth);
	}
}

#endif
