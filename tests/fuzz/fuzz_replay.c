/* Any bytes as a capture: the first says which ALG plays it. What leaves is as whole as what came. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct replay replay;
static uint8_t out[CAPTURE_FRAME_MAX], block[CAPTURE_ROOM];

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void check_step(const struct replay_step *step)
{
	uint64_t at = step->raw_at;
	for (unsigned int i = 0; i < step->out->edit_count; i++) {
		require(step->out->edit[i].at >= at);
		at = step->out->edit[i].at + step->out->edit[i].edit.old_bytes;
	}
	require(!step->out->verdict || at <= step->out->until);
}

/* A packet that leaves has the ends of the one that came, and its lengths agree. */
static void check_packets(uint16_t link, const struct capture_frame *frame, const struct packet *p)
{
	struct packet q;
	size_t bytes;
	while ((bytes = replay_write(&replay, p, frame->bytes, out)) > 0) {
		require(packet_parse(&q, link, out, bytes) && !q.cut);
		require(q.src_ip_be == p->src_ip_be && q.dst_port == p->dst_port &&
			q.stream == p->stream);
		const struct capture_frame written = {out, (uint32_t)bytes, (uint32_t)bytes, 0, 0};
		require(capture_write_frame(block, sizeof(block), &written) > bytes);
	}
}

static void play(struct capture *c)
{
	struct capture_frame frame;
	struct replay_step step;
	struct packet p;
	while (capture_next(c, &frame)) {
		const uint16_t link = c->interface[frame.interface].link;
		if (!packet_parse(&p, link, frame.bytes, frame.size) || !replay_packet(&replay, &p))
			continue;
		while (replay_next(&replay, &step))
			check_step(&step);
		check_packets(link, &frame, &p);
	}
}

static bool guess(const struct replay_settings *set, struct capture c, uint32_t *guest_ip_be)
{
	struct capture_frame frame;
	struct packet p;
	while (capture_next(&c, &frame))
		if (packet_parse(&p, c.interface[frame.interface].link, frame.bytes, frame.size) &&
			replay_guess(set, &p, guest_ip_be))
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct replay_settings set = {.outside_ip_be = 0x077100cb};
	struct capture c;
	if (!size || !capture_open(&c, data + 1, size - 1))
		return 0;
	set.alg = (enum algs_id)(data[0] % ALGS_COUNT);
	set.ports = replay_ports(set.alg, set.port);
	set.outside_port = data[0] & 128 ? 40000 : 0;
	maps_clear(&set.maps);
	if (!guess(&set, c, &set.guest_ip_be))
		return 0;
	maps_add(&set.maps, set.guest_ip_be ^ 0x01000000, 0x087100cb, 0);
	replay_begin(&replay, &set);
	play(&c);
	return 0;
}
