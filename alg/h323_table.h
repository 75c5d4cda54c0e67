/*
 * The rows that h323_schema.py makes of h323.schema and that h323_walk.c reads: types, and the parts that types are made of.
 * Names of rows are their places in h323_types[] and h323_parts[]. What a row says is how aligned PER writes it (ITU-T X.691).
 */
#ifndef NATLOCK_ALG_H323_TABLE_H
#define NATLOCK_ALG_H323_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "h323_schema.h"

enum { H323_UNBOUNDED = 0xffffffff }; /* high of a string or list: its length is written in full */

enum h323_kind {
	H323_NULL,
	H323_BOOLEAN,
	H323_INTEGER, /* low..high; an extensible one may be any other number */
	H323_ENUM,    /* as H323_INTEGER from 0; an extensible one may be a normally small number */
	H323_STRING, /* low..high units of so many bits; also an OBJECT IDENTIFIER, an open type, an INTEGER without bounds */
	H323_IP4,    /* four octets and a port, aligned: six octets */
	H323_SEQUENCE, /* roots parts, the optional ones among them, then additions */
	H323_CHOICE,   /* one of roots parts or of additions */
	H323_LIST,     /* low..high times the one part */
	H323_CONTAINS, /* an octet string without bounds that holds the one part */
	H323_SERIES,   /* the one part again and again, until what holds it ends */
};

struct h323_type {
	uint8_t kind, unit;	  /* enum h323_kind; bits */
	bool extensible, aligned; /* aligned: of a string, its units begin at an octet */
	uint16_t part;		  /* the first of its parts */
	uint16_t roots, additions, optionals;
	uint32_t low, high; /* modulo 2^32 */
};

struct h323_part {
	uint16_t type;
	bool optional;
	uint8_t field; /* enum h323_field: the mark that it gets, or H323_NOTHING */
	uint32_t add;  /* to the mark's value */
};

extern const struct h323_type h323_types[];
extern const struct h323_part h323_parts[];
extern const struct h323_part h323_roots[]; /* by enum h323_root */

#endif
