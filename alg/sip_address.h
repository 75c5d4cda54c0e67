/*
 * Where IPv4 addresses stand in the values of SIP's header fields and in its URIs (RFC 3261 19.1, 20, 25.1).
 * Pure; everything points into the value.
 */
#ifndef NATLOCK_ALG_SIP_ADDRESS_H
#define NATLOCK_ALG_SIP_ADDRESS_H

#include "text.h"

/* What an address says. */
enum sip_part {
	SIP_PART_HOST,	   /* of a URI */
	SIP_PART_MADDR,	   /* of a URI or a Via */
	SIP_PART_SENT_BY,  /* of a Via */
	SIP_PART_RECEIVED, /* of a Via: its port is rport's */
};

struct sip_place {
	enum sip_part part;
	struct text host,
		port; /* port: digits; empty where there is none, and stands where it would */
	uint32_t ip_be;
	uint16_t number; /* of the port, 0: there is none */
	bool first;	 /* SIP_PART_SENT_BY: of the topmost Via of this value */
};

/*
 * Take the next IPv4 address of the value of a Via line (several of them with commas), of lines of addresses
 * (Contact, From, Route, Refer-To ...: name-addr or addr-spec with parameters, commas between), or of a URI alone
 * (a request's). false at the end, or where the grammar is left: nothing behind that is ever taken. User parts, display
 * names, quoted strings, parameters with other names and the headers of a URI behind its ? are passed over, whatever they hold.
 * Only sip: and sips: URIs have hosts here.
 */
struct sip_scan {
	struct text rest;
	uint8_t state; /* sip_address.c's */
	bool seen;
};
bool sip_next_via(struct sip_scan *scan, struct sip_place *place);
bool sip_next_address(struct sip_scan *scan, struct sip_place *place);
bool sip_next_uri(struct sip_scan *scan, struct sip_place *place);

/* A parameter of the header field, not of the URI, behind the address that sip_next_address took last: expires of a Contact. */
bool sip_address_parameter(const struct sip_scan *scan, const char *upper, struct text *value);

static inline struct sip_scan sip_scan_of(struct text value)
{
	return (struct sip_scan){.rest = value};
}

#endif
