/*
 * Other DHCP servers on the hub's ports (seed 3.7.6): who was heard where, and when to ask again.
 * Pure.
 *
 * Each port is judged alone. A server that is heard on a port stops ours on that port and on no
 * other, so a guest that plays server harms those behind its own port only, to whom it could as
 * well have answered itself.
 */
#ifndef NATLOCK_DHCPD_RIVAL_H
#define NATLOCK_DHCPD_RIVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "codec.h"

enum {
	RIVAL_PORTS = 64, /* the supervisor's numbers: 0..63 */
	RIVAL_NAME_BYTES = 64,
	RIVAL_PROBES = 3, /* in a row, when a port comes */
};

#define RIVAL_PROBE_NS (400 * 1000000ull) /* between those */
/*
 * A bridged LAN is not served before its servers had time to answer: dnsmasq pings an address for 3 s
 * before it offers it, ISC dhcpd for 1 s.
 */
#define RIVAL_HOLD_NS	 (4 * 1000000000ull)
#define RIVAL_WATCH_NS	 (60 * 1000000000ull)  /* between probes while one is known */
#define RIVAL_AGAIN_NS	 (300 * 1000000000ull) /* and while none is */
#define RIVAL_SILENCE_NS (180 * 1000000000ull) /* after this a server that is not heard is gone */

struct rival {
	bool used;
	bool probed; /* a port that a LAN may be behind: asked; others are only listened to */
	char name[RIVAL_NAME_BYTES]; /* of the port, for people; any bytes */
	uint64_t hold_ns;	     /* not served before */
	uint64_t probe_ns;	     /* when the next probe is due */
	unsigned int probes;	     /* sent since the port came */
	bool there;		     /* somebody answers: */
	uint32_t server_be;	     /* who, or who did last */
	uint8_t mac[6];
	uint64_t heard_ns;
};

struct rivals {
	struct rival port[RIVAL_PORTS];
};

enum rival_due { RIVAL_NOTHING, RIVAL_PROBE, RIVAL_GONE };

/*
 * A port comes. name says what it is, as in `attach` ("bridge:br0"). A number out of range is
 * ignored.
 */
void rival_open(struct rivals *r, uint32_t port, const char *name, uint64_t now_ns);
void rival_close(struct rivals *r, uint32_t port);
/* Serving begins (again): all ports are as if they had just come. */
void rival_restart(struct rivals *r, uint64_t now_ns);
/* A server's message came in by a port; true when nobody was known there, or another one. */
bool rival_heard(struct rivals *r, uint32_t port, const struct codec_foreign *f, uint64_t now_ns);
/* Whether our server is to keep silent on a port. */
bool rival_blocks(const struct rivals *r, uint32_t port, uint64_t now_ns);
/*
 * One thing that is due, and on which port; of a server that is gone the row still says who it
 * was. RIVAL_NOTHING: none.
 */
enum rival_due rival_timeout(struct rivals *r, uint64_t now_ns, uint32_t *port);
/* When that will be; UINT64_MAX for never. */
uint64_t rival_deadline(const struct rivals *r);

#endif
