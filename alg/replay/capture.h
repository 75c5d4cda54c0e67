/*
 * Captures in memory: pcap and pcapng in, pcapng out. Source: draft-ietf-opsawg-pcap,
 * draft-ietf-opsawg-pcapng. Any input. Pure.
 */
#ifndef NATLOCK_ALG_REPLAY_CAPTURE_H
#define NATLOCK_ALG_REPLAY_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CAPTURE_INTERFACES = 32, /* of all sections together */
	CAPTURE_FRAME_MAX = 262144,
	CAPTURE_ROOM = CAPTURE_FRAME_MAX + 64, /* enough for any block that is written */
};

struct capture_interface {
	uint16_t link;	    /* LINKTYPE_ */
	uint8_t resolution; /* as if_tsresol has it: 10^-n, or with the top bit 2^-n */
};

/* Where reading is. The bytes stay the caller's. */
struct capture {
	const uint8_t *bytes;
	size_t size, at;
	bool blocks, swapped;	      /* pcapng; of the other byte order than big-endian */
	uint32_t interfaces, section; /* known; the first of this section */
	struct capture_interface interface[CAPTURE_INTERFACES];
	const char *broken; /* why reading ended before the end, NULL: it did not */
};

struct capture_frame {
	const uint8_t *bytes;
	uint32_t size, length; /* captured; as it was */
	uint32_t interface;
	uint64_t time; /* in the interface's resolution */
};

/* Reads the head. False: it is no such file, or an empty one. */
bool capture_open(struct capture *c, const void *bytes, size_t size);
/* The next frame; false: there is none, or the file is broken here (c->broken). */
bool capture_next(struct capture *c, struct capture_frame *frame);

/* These write a block into out[0..room) and return its length, 0 if there is no room; CAPTURE_ROOM is enough. */
size_t capture_write_head(uint8_t *out, size_t room);
size_t capture_write_interface(uint8_t *out, size_t room, const struct capture_interface *i);
/* A frame of at most CAPTURE_FRAME_MAX bytes. */
size_t capture_write_frame(uint8_t *out, size_t room, const struct capture_frame *frame);

#endif
