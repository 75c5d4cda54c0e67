/*
 * A captured frame down to what TCP or UDP carries, and the same frame with another payload. IPv4
 * only, whole packets only: what else is in a capture is nobody's flow. Pure.
 */
#ifndef NATLOCK_ALG_REPLAY_PACKET_H
#define NATLOCK_ALG_REPLAY_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PACKET_FIN = 1,
	PACKET_SYN = 2,
	PACKET_ACK = 16,
	PACKET_PAYLOAD_MAX =
		65535 - 120, /* behind the longest headers that IPv4 and TCP can have */
};

struct packet {
	uint32_t ip_at, transport_at; /* where they begin in the frame */
	uint32_t src_ip_be, dst_ip_be;
	uint16_t src_port, dst_port;
	bool stream;
	uint32_t seq, ack; /* TCP */
	uint8_t flags;
	const uint8_t *payload;
	uint32_t bytes;
	bool cut; /* the capture has less of the payload than there was; bytes: what it has */
};

/* False: none that could be under inspection, or one that is damaged. Any frame. */
bool packet_parse(struct packet *p, uint16_t link, const uint8_t *frame, size_t size);
/*
 * Writes the frame that p was parsed from with other numbers and n bytes of payload (at most
 * PACKET_PAYLOAD_MAX) to out, which has room for its headers and them; lengths and check sums fit. Selective
 * acknowledgements, whose numbers are the old ones, become no-ops. Returns the frame's length.
 */
size_t packet_write(const struct packet *p, const uint8_t *frame, uint32_t seq, uint32_t ack,
	uint8_t flags, const uint8_t *payload, size_t n, uint8_t *out);

#endif
