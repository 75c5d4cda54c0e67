/*
 * DNS messages as they lie in their bytes (RFC 1035 4.1): header, questions, records, names. Any
 * bytes are judged, none is followed outside the message. Pure.
 */
#ifndef NATLOCK_ALG_DNS_WALK_H
#define NATLOCK_ALG_DNS_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DNS_WALK_HEADER = 12,	   /* bytes */
	DNS_WALK_NAME_MAX = 255,   /* bytes of a name as it is meant, with the root's label */
	DNS_WALK_LABELS = 128,	   /* that such a name can have */
	DNS_WALK_HOPS = 32,	   /* pointers in a row that are followed; programs need four */
	DNS_WALK_REACH = 0x4000,   /* offsets from here on cannot be pointed at */
	DNS_WALK_QUESTION_MIN = 5, /* bytes */
	DNS_WALK_RECORD_MIN = 11,
};

enum dns_walk_section { DNS_QUESTION, DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL, DNS_SECTIONS };
enum dns_walk_step { DNS_WALK_RECORD, DNS_WALK_END, DNS_WALK_BROKEN };

/* A question (which ends after its class) or a record. Offsets in the message. */
struct dns_walk_record {
	enum dns_walk_section section;
	size_t owner, fixed; /* of the name, and of the type behind it */
	size_t rdata, end;   /* of a question both are the end */
	uint16_t type, class;
};

struct dns_walk {
	const uint8_t *p;
	size_t n, at;
	enum dns_walk_section section;
	uint32_t left[DNS_SECTIONS]; /* as the header counts them */
};

/*
 * A name: the labels that are spelled where it stands, and those that its pointer leads to. Positions
 * of labels are those of their length bytes.
 */
struct dns_walk_name {
	size_t end;		      /* of what is spelled, with the pointer or the root's label */
	size_t pointer;		      /* where the first pointer stands; 0 = there is none */
	uint16_t target;	      /* where it leads */
	unsigned int spelled, labels; /* how many stand before the pointer, how many in all */
	unsigned int bytes;	      /* as it is meant, with the root's label */
	uint32_t label[DNS_WALK_LABELS];
};

uint16_t dns_walk_u16(const uint8_t *p);

/* n is at least DNS_WALK_HEADER. */
void dns_walk_start(struct dns_walk *w, const uint8_t *p, size_t n);
/* Whether so many questions and records as the header counts could stand in n bytes at all. */
bool dns_walk_plausible(const uint8_t *p, size_t n);
/* The next question or record. After DNS_WALK_BROKEN the rest means nothing. */
enum dns_walk_step dns_walk_next(struct dns_walk *w, struct dns_walk_record *r);

/* Steps over a name without following it; false: these bytes are none. */
bool dns_walk_skip(const uint8_t *p, size_t n, size_t *at);
/* Reads a name through its pointers, each of which must lead to before all that was read so far. False: it is none, or too long. */
bool dns_walk_name(const uint8_t *p, size_t n, size_t at, struct dns_walk_name *name);

/*
 * Whether the name is, or lies below, the reverse name of an address: d.c.b.a.in-addr.arpa (RFC 1035
 * 3.5), numbers without leading zeros. *first: the label that holds d.
 */
bool dns_walk_reverse(
	const uint8_t *p, const struct dns_walk_name *name, unsigned int *first, uint32_t *ip_be);

#endif
