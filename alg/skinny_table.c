/*
 * Theory of operation. Offsets in the table count from behind the header and are those of version 0; what lies behind an address that
 * has a type moves on with it:
 *
 *   version 0..16   ... address(4) port(4) ...            network order, then little-endian
 *   version 17..    ... type(4) address(16) port(4) ...   type 0: IPv4 in the first four octets; 1, 2: IPv6
 *
 * A message may end early, as those of older implementations do: what lies beyond its end is not there. Only what says of which call it
 * is must be.
 *
 * OpenMultiMediaReceiveChannel (0x131) names a source from version 11 on, too. It lies behind a union whose size depends on who describes
 * it, and no capture shows one; so it is left alone.
 */
#include "skinny_table.h"

#include <string.h>

enum {
	NO = 0xffff,
	ANY = 0xff,
	TYPE_BYTES = 16, /* that a typed address is longer */
	IPV4_BYTES = 4,
};

enum form { PLAIN, TYPED /* from SKINNY_TYPED_VERSION on */ };

struct row {
	uint16_t id;
	uint8_t first, last; /* versions */
	uint8_t from, meaning, media;
	uint16_t conference, party, reference;
	uint16_t status;	 /* of (UN)REGISTER: one octet */
	uint8_t form, addresses; /* addresses: so many follow each other */
	uint16_t address, port, rtcp;
};

/* clang-format off */
static const struct row rows[] = {
#define ROW(id, from, meaning, media) id, 0, ANY, SKINNY_##from, SKINNY_##meaning, SKINNY_##media
#define ROW_OF(id, first, last, from, meaning, media)                                              \
	id, first, last, SKINNY_##from, SKINNY_##meaning, SKINNY_##media
	/*                                                conference, party, reference, status | form, addresses, address, port, rtcp */
	{ROW(0x0001, STATION, REGISTERS, AUDIO),          NO, NO, NO, 40,  PLAIN, 1, 24, NO, NO}, /* Register */
	{ROW(0x0002, STATION, OWN_PORT, OWN),             NO, NO, NO, NO,  PLAIN, 0, NO, 0, NO}, /* IpPort */
	{ROW(0x0022, STATION, RECEIVING, AUDIO),          NO, 12, 16, 0,   TYPED, 1, 4, 8, NO}, /* OpenReceiveChannelAck */
	{ROW(0x0029, STATION, ADDRESSES_ONLY, AUDIO),     NO, NO, NO, NO,  PLAIN, 1, 24, NO, NO}, /* RegisterTokenReq */
	{ROW(0x002a, STATION, ADDRESSES_ONLY, AUDIO),     0, 4, 16, NO,    TYPED, 1, 8, 12, NO}, /* MediaTransmissionFailure */
	{ROW(0x0031, STATION, RECEIVING, VIDEO),          NO, 12, 16, 0,   TYPED, 1, 4, 8, NO}, /* OpenMultiMediaReceiveChannelAck */
	{ROW(0x0045, STATION, RECEIVING, PORTS),          0, 8, 4, NO,     TYPED, 1, 12, 16, 20}, /* PortRes */
	{ROW(0x0046, EITHER, ADDRESSES_ONLY, AUDIO),      0, 8, 4, NO,     TYPED, 1, 12, 16, NO}, /* QoSResvNotify */
	{ROW(0x0047, EITHER, ADDRESSES_ONLY, AUDIO),      0, 8, 4, NO,     TYPED, 1, 12, 16, NO}, /* QoSErrorNotify */
	{ROW_OF(0x0047, 0, 16, EITHER, ADDRESSES_ONLY, AUDIO), 0, 8, 4, NO, PLAIN, 1, 28, NO, NO}, /* its node that failed */
	{ROW_OF(0x0047, 17, ANY, EITHER, ADDRESSES_ONLY, AUDIO), 0, 8, 4, NO, PLAIN, 1, 44, NO, NO},
	{ROW(0x0081, MANAGER, REGISTERED, AUDIO),         NO, NO, NO, 16,  PLAIN, 0, NO, NO, NO}, /* RegisterAck */
	{ROW(0x008a, MANAGER, START, AUDIO),              0, 4, 40, NO,    TYPED, 1, 8, 12, NO}, /* StartMediaTransmission */
	{ROW(0x008b, MANAGER, STOP, AUDIO),               0, 4, 8, NO,     PLAIN, 0, NO, NO, NO}, /* StopMediaTransmission */
	{ROW(0x0095, EITHER, ADDRESSES_ONLY, AUDIO),      NO, NO, NO, NO,  TYPED, 1, 0, NO, NO}, /* StartSessionTransmission */
	{ROW(0x0096, EITHER, ADDRESSES_ONLY, AUDIO),      NO, NO, NO, NO,  TYPED, 1, 0, NO, NO}, /* StopSessionTransmission */
	{ROW(0x009e, MANAGER, ADDRESSES_ONLY, AUDIO),     NO, NO, NO, NO,  TYPED, 5, 260, NO, NO}, /* ServerRes: ports of their own, that stay */
	{ROW(0x0101, MANAGER, ADDRESSES_ONLY, AUDIO),     0, 4, 32, NO,    TYPED, 1, 8, 12, NO}, /* StartMulticastMediaReception */
	{ROW(0x0102, MANAGER, ADDRESSES_ONLY, AUDIO),     0, 4, 40, NO,    TYPED, 1, 8, 12, NO}, /* StartMulticastMediaTransmission */
	{ROW_OF(0x0105, 0, 10, MANAGER, ASK, AUDIO),      0, 4, 24, NO,    PLAIN, 0, NO, NO, NO}, /* OpenReceiveChannel */
	{ROW_OF(0x0105, 11, ANY, MANAGER, ASK, AUDIO),    0, 4, 24, NO,    TYPED, 1, 100, 104, NO},
	{ROW(0x0106, MANAGER, CLOSE, AUDIO),              0, 4, 8, NO,     PLAIN, 0, NO, NO, NO}, /* CloseReceiveChannel */
	{ROW(0x0111, MANAGER, CALL_STATE, AUDIO),         NO, NO, 8, 0,    PLAIN, 0, NO, NO, NO}, /* CallState */
	{ROW(0x0118, MANAGER, UNREGISTERED, AUDIO),       NO, NO, NO, 0,   PLAIN, 0, NO, NO, NO}, /* UnregisterAck */
	{ROW(0x0131, MANAGER, ASK, VIDEO),                0, 4, 16, NO,    PLAIN, 0, NO, NO, NO}, /* OpenMultiMediaReceiveChannel */
	{ROW(0x0132, MANAGER, START, VIDEO),              0, 4, 20, NO,    TYPED, 1, 12, 16, NO}, /* StartMultiMediaTransmission */
	{ROW(0x0133, MANAGER, STOP, VIDEO),               0, 4, 8, NO,     PLAIN, 0, NO, NO, NO}, /* StopMultiMediaTransmission */
	{ROW(0x0136, MANAGER, CLOSE, VIDEO),              0, 4, 8, NO,     PLAIN, 0, NO, NO, NO}, /* CloseMultiMediaReceiveChannel */
	{ROW(0x014b, MANAGER, ASK, PORTS),                0, 8, 4, 12,     PLAIN, 0, NO, NO, NO}, /* PortReq */
	{ROW(0x014c, MANAGER, CLOSE, PORTS),              0, 8, 4, NO,     PLAIN, 0, NO, NO, NO}, /* PortClose */
	{ROW(0x014d, EITHER, ADDRESSES_ONLY, AUDIO),      0, 8, 4, NO,     TYPED, 1, 12, 16, NO}, /* QoSListen */
	{ROW(0x014e, EITHER, ADDRESSES_ONLY, AUDIO),      0, 8, 4, NO,     TYPED, 1, 12, 16, NO}, /* QoSPath */
	{ROW(0x014f, EITHER, ADDRESSES_ONLY, AUDIO),      0, 8, 4, NO,     TYPED, 1, 12, 16, NO}, /* QoSTeardown */
	{ROW(0x0150, EITHER, ADDRESSES_ONLY, AUDIO),      0, 8, 4, NO,     TYPED, 1, 12, 16, NO}, /* UpdateDSCP */
	{ROW(0x0151, EITHER, ADDRESSES_ONLY, AUDIO),      0, 8, 4, NO,     TYPED, 1, 12, 16, NO}, /* QoSModify */
	{ROW(0x0154, STATION, SENDING, AUDIO),            0, 4, 8, 20,     TYPED, 1, 12, 16, NO}, /* StartMediaTransmissionAck */
	{ROW(0x0155, STATION, SENDING, VIDEO),            0, 4, 8, 20,     TYPED, 1, 12, 16, NO}, /* StartMultiMediaTransmissionAck */
	{ROW(0x8000, STATION, ADDRESSES_ONLY, AUDIO),     NO, NO, NO, NO,  PLAIN, 1, 24, NO, NO}, /* SPCPRegisterTokenReq */
};
/* clang-format on */

uint32_t skinny_get(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

void skinny_put(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

/* A message while it is read. */
struct reader {
	const uint8_t *p;
	size_t n;
	const struct row *row;
	bool typed; /* the row's addresses */
};

/* Where in the message this offset is, that 4 octets begin there; 0: nowhere. */
static uint32_t place(const struct reader *r, uint16_t offset)
{
	const bool behind = r->typed && r->row->addresses && offset > r->row->address;
	const size_t at = SKINNY_HEADER_BYTES + (size_t)offset + (behind ? TYPE_BYTES : 0);
	return offset == NO || at + 4 > r->n ? 0 : (uint32_t)at;
}

static uint32_t field(const struct reader *r, uint16_t offset)
{
	const uint32_t at = place(r, offset);
	return at ? skinny_get(r->p + at) : 0;
}

static bool says_whose(const struct reader *r)
{
	return (r->row->conference == NO || place(r, r->row->conference)) &&
	       (r->row->party == NO || place(r, r->row->party));
}

/* One that has no IPv4 address, or has ended before, counts for nothing, nor does its port. */
static void read_address(const struct reader *r, uint32_t at, struct skinny_message *m)
{
	struct skinny_address *a = &m->address[m->addresses];
	const uint32_t type_bytes = r->typed ? 4 : 0;
	if (at + (r->typed ? TYPE_BYTES : 0) + IPV4_BYTES > r->n ||
		(r->typed && skinny_get(r->p + at) != 0))
		return;
	*a = (struct skinny_address){.at = at + type_bytes,
		.port_at = place(r, r->row->port),
		.rtcp_at = place(r, r->row->rtcp),
		.port = field(r, r->row->port),
		.rtcp = field(r, r->row->rtcp)};
	memcpy(&a->ip_be, r->p + a->at, sizeof(a->ip_be));
	m->addresses++;
}

static void read_addresses(const struct reader *r, struct skinny_message *m)
{
	const uint32_t each = IPV4_BYTES + (r->typed ? TYPE_BYTES : 0);
	uint32_t at = SKINNY_HEADER_BYTES + r->row->address;
	if (!r->row->addresses && place(r, r->row->port))
		m->address[m->addresses++] = (struct skinny_address){
			.port_at = place(r, r->row->port), .port = field(r, r->row->port)};
	for (unsigned int i = 0; i < r->row->addresses && m->addresses < SKINNY_ADDRESSES; i++) {
		read_address(r, at, m);
		at += each;
	}
}

static void read_row(const struct reader *r, struct skinny_message *m)
{
	const struct row *row = r->row;
	const bool octet = row->meaning == SKINNY_REGISTERS || row->meaning == SKINNY_REGISTERED;
	m->meaning = (enum skinny_meaning)row->meaning;
	m->media = (enum skinny_media)row->media;
	m->conference = field(r, row->conference);
	m->party = field(r, row->party);
	m->reference = field(r, row->reference);
	m->status = octet ? (uint8_t)field(r, row->status) : field(r, row->status);
	read_addresses(r, m);
}

static bool applies(const struct row *row, uint32_t id, uint32_t version, enum skinny_end from)
{
	return row->id == id && version >= row->first && version <= row->last &&
	       (row->from == SKINNY_EITHER || row->from == from);
}

bool skinny_read(const uint8_t *p, size_t n, uint32_t version, enum skinny_end from,
	struct skinny_message *m)
{
	bool any = false;
	*m = (struct skinny_message){0};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct reader r = {
			p, n, &rows[i], rows[i].form == TYPED && version >= SKINNY_TYPED_VERSION};
		if (!applies(r.row, skinny_id(p), version, from) || !says_whose(&r))
			continue;
		read_row(&r, m);
		any = true;
	}
	return any;
}
