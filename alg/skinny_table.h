/*
 * What SCCP's messages say of calls and addresses, and where: one row a message and range of protocol versions. Pure.
 *
 * Cisco has not published the protocol. The rows are what public dissectors and implementations agree on (Wireshark's
 * SkinnyProtocolOptimized.xml, chan-sccp, Asterisk's chan_skinny) and what the captures of tests/vectors show.
 */
#ifndef NATLOCK_ALG_SKINNY_TABLE_H
#define NATLOCK_ALG_SKINNY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SKINNY_HEADER_BYTES = 12,   /* length, version, message: little-endian, 4 bytes each */
	SKINNY_UNCOUNTED_BYTES = 8, /* of them, that the length does not count */
	SKINNY_TYPED_VERSION = 17,  /* from here on an address has a type before it, and 16 bytes */
	SKINNY_ADDRESSES = 5,	    /* in one message */
};

enum skinny_id {
	SKINNY_KEEP_ALIVE = 0x0000,
	SKINNY_REGISTER = 0x0001,
	SKINNY_SERVER_REQ = 0x0012,
	SKINNY_ALARM = 0x0020,
	SKINNY_REGISTER_TOKEN = 0x0029,
	SKINNY_XML_ALARM = 0x015a,
	SKINNY_SPCP_REGISTER_TOKEN = 0x8000,
};

enum skinny_end { SKINNY_STATION, SKINNY_MANAGER, SKINNY_EITHER };

enum skinny_meaning {
	SKINNY_ADDRESSES_ONLY, /* nothing but its addresses counts */
	SKINNY_REGISTERS,      /* `status`: the highest version that the station knows */
	SKINNY_REGISTERED,     /* `status`: the highest version that the manager knows */
	SKINNY_UNREGISTERED,   /* `status` 0: the manager agrees */
	SKINNY_OWN_PORT,       /* the station's port for all calls: no address */
	SKINNY_ASK, /* the station is to receive, from the address, if there is one; of ports `status` is the transport */
	SKINNY_RECEIVING,  /* it does: there */
	SKINNY_START,	   /* the station is to send there */
	SKINNY_SENDING,	   /* it does: from there */
	SKINNY_STOP,	   /* it is to send no more */
	SKINNY_CLOSE,	   /* it is to receive no more */
	SKINNY_CALL_STATE, /* `status`: SKINNY_ON_HOOK and others */
	SKINNY_MEANINGS,
};

enum { SKINNY_OK = 0, SKINNY_ON_HOOK = 2, SKINNY_BY_TCP = 3 };

/* Audio and video count apart, though a call may have the same numbers for both; PORTS: asked for beforehand. */
enum skinny_media { SKINNY_AUDIO, SKINNY_VIDEO, SKINNY_PORTS, SKINNY_OWN };

/* Places are offsets in the message, 0: it is not there. */
struct skinny_address {
	uint32_t at, port_at, rtcp_at;
	uint32_t ip_be; /* 0: none, or no IPv4 one */
	uint32_t port, rtcp;
};

struct skinny_message {
	enum skinny_meaning meaning;
	enum skinny_media media;
	uint32_t conference, party, reference,
		status; /* 0 where it has none, or has ended before */
	unsigned int addresses;
	struct skinny_address address[SKINNY_ADDRESSES]; /* ascending */
};

uint32_t skinny_get(const uint8_t *p);
void skinny_put(uint8_t *p, uint32_t value);

/* Of a header that is all there. */
static inline uint32_t skinny_length(const uint8_t *p)
{
	return skinny_get(p);
}
static inline uint32_t skinny_version(const uint8_t *p)
{
	return skinny_get(p + 4);
}
static inline uint32_t skinny_id(const uint8_t *p)
{
	return skinny_get(p + 8);
}

/* A whole message of n bytes, as this version has it. false: none that means anything here, or it ends before it says of what it is. */
bool skinny_read(const uint8_t *p, size_t n, uint32_t version, enum skinny_end from,
	struct skinny_message *m);

#endif
