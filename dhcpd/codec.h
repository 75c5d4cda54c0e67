/*
 * DHCPv4 messages on the wire (RFC 2131, RFC 2132): whole Ethernet frames in, whole Ethernet frames
 * out. Pure.
 *
 * Addresses named _be are in network byte order; ports, ids and lengths are in host order.
 */
#ifndef NATLOCK_DHCPD_CODEC_H
#define NATLOCK_DHCPD_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drop.h"

enum {
	CODEC_FRAME_BYTES = 1514, /* the longest frame either way */
	CODEC_OPTION_BYTES = 255, /* the longest option kept, after joining its parts (RFC 3396) */
	CODEC_DNS_MAX = 8,
	CODEC_DOMAIN_BYTES = 254, /* with the terminator */
	CODEC_ROUTES_MAX = 32,
	CODEC_ROUTES_BYTES = (CODEC_ROUTES_MAX + 1) * 9, /* each width, prefix, router (RFC 3442) */
	CODEC_DATAGRAM_MIN =
		576, /* what every client must accept, IP header included (RFC 2131 2) */
	CODEC_SERVER_PORT = 67,
	CODEC_CLIENT_PORT = 68,
	CODEC_FLAG_BROADCAST = 0x8000,
};

enum codec_type { /* option 53 */
	CODEC_DISCOVER = 1,
	CODEC_OFFER,
	CODEC_REQUEST,
	CODEC_DECLINE,
	CODEC_ACK,
	CODEC_NAK,
	CODEC_RELEASE,
	CODEC_INFORM,
};

/* The options that this server reads; their codes and lengths are the table in codec.c. */
enum codec_option_id {
	OPTION_HOST_NAME,
	OPTION_REQUESTED_IP,
	OPTION_OVERLOAD,
	OPTION_TYPE,
	OPTION_SERVER,
	OPTION_ASKED,
	OPTION_MAX_SIZE,
	OPTION_CLIENT_ID,
	OPTION_RELAY,
	OPTION_COUNT
};

struct codec_option { /* bytes 0 = absent; a kept option has at least one byte */
	uint16_t bytes;
	uint8_t value[CODEC_OPTION_BYTES];
};

/* A client's message, already validated: MACs, IP and UDP headers and lengths were right. */
struct codec_request {
	uint8_t source_mac[6]; /* of the frame */
	uint8_t chaddr[16];
	uint32_t xid;
	uint16_t flags;
	uint32_t source_be, ciaddr_be, giaddr_be;
	enum codec_type type;
	uint32_t requested_be, server_be; /* 0 = absent */
	uint16_t max_size; /* of the answer's IP datagram, CODEC_DATAGRAM_MIN..1500 */
	struct codec_option option[OPTION_COUNT];
};

/* A route that clients are told. */
struct codec_route {
	uint32_t to_be, via_be; /* to: no bit set below the prefix */
	uint8_t prefix;		/* 0..32 */
};

/* What does not change from answer to answer. */
struct codec_settings {
	uint8_t mac[6]; /* the gateway's */
	uint32_t server_be, netmask_be;
	uint32_t router_be; /* 0 = do not send */
	uint32_t dns_be[CODEC_DNS_MAX];
	unsigned int dns_count;
	char domain[CODEC_DOMAIN_BYTES]; /* "" = do not send */
	struct codec_route route[CODEC_ROUTES_MAX];
	unsigned int route_count;
};

/* Another server's message to a client: what is needed to know that there is one. */
struct codec_foreign {
	uint8_t source_mac[6];
	uint32_t server_be; /* option 54, never 0 */
};

struct codec_reply {
	const struct codec_request *to;
	enum codec_type type;
	uint32_t ciaddr_be, yiaddr_be;
	uint32_t lease_s;      /* 0 = no lease time, no T1, no T2 (INFORM, NAK) */
	const char *host_name; /* of a reservation, sent if asked; NULL = none */
	const char *why;       /* NAK: option 56; NULL = none */
	uint8_t to_mac[6];
	uint32_t to_ip_be;
	uint16_t to_port;
	uint16_t ident; /* of the IP header */
};

/*
 * Reads a frame of any content and length. csum_ok: the UDP checksum need not be verified (the IP
 * header's always is). False with the reason in *why if it is not a well-formed client message.
 * *out is meaningful on true only.
 */
bool codec_parse(struct codec_request *out, const uint8_t *frame, size_t bytes, bool csum_ok,
	enum drop *why);

/*
 * Reads a frame that goes to UDP port 68: true if it is a well-formed OFFER, ACK or NAK of some
 * server. As codec_parse otherwise. q: where it is taken apart, of no meaning afterwards.
 */
bool codec_parse_foreign(struct codec_foreign *out, struct codec_request *q, const uint8_t *frame,
	size_t bytes, bool csum_ok, enum drop *why);
/* Whether a frame of any content goes to UDP port 68 by IPv4: from a server. */
bool codec_is_foreign(const uint8_t *frame, size_t bytes);

/* Writes a DISCOVER of the gateway's own, to hear which servers there are. As codec_emit. */
size_t codec_emit_probe(uint8_t *out, const struct codec_settings *s, uint32_t xid);

/*
 * Writes the answer's frame into out (CODEC_FRAME_BYTES). Always fits: type, server and times come
 * first; then the client id (RFC 6842) and what the client asked for (everything we know if it sent
 * no list), the netmask before the router (RFC 2132 3.3), while the client's maximum size has
 * room, in `file` and `sname` when `options` is full (option overload); option 82 last (RFC 3046).
 * Returns the frame's length.
 */
size_t codec_emit(uint8_t *out, const struct codec_settings *s, const struct codec_reply *r);
/* Gives an answer that codec_emit made, with a lease, another length of the lease. */
void codec_set_lease(uint8_t *frame, size_t bytes, uint32_t lease_s);

#endif
