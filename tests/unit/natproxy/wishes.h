/* Wishes as alg words them, and a table of its own for a test that judges them (natproxy/pinhole.h). */
#ifndef NATLOCK_TESTS_NATPROXY_WISHES_H
#define NATLOCK_TESTS_NATPROXY_WISHES_H

#include <criterion/criterion.h>
#include <stdlib.h>

#include "pinhole_index.h"

static const uint64_t second = 1000000000;
enum { GUEST = 10, PEER = 77, FLOW = 5 };

static inline struct pinholes *fresh(void)
{
	const struct hash_key key = {5, 6};
	struct pinholes *p = calloc(1, sizeof(*p));
	pinhole_init(p, &key);
	return p;
}

static inline struct pinhole_request wish(uint32_t flow, uint32_t token, uint32_t port)
{
	return (struct pinhole_request){.flow = flow,
		.token = token,
		.alg = ALGS_FTP,
		.kind = PINHOLE_TCP_LISTEN,
		.guest_ip_be = GUEST,
		.guest_port = port,
		.peer = {.control_ip_be = PEER}};
}

/* A wish of another kind, by another ALG. */
static inline struct pinhole_request wish_of(
	enum algs_id alg, uint32_t kind, uint32_t token, uint32_t port)
{
	struct pinhole_request r = wish(FLOW, token, port);
	r.alg = alg;
	r.kind = kind;
	r.forward = r.inspect = kind == PINHOLE_TCP_SERVICE;
	r.control_port = 2000;
	return r;
}

static inline enum pinhole_refusal ask(
	struct pinholes *p, const struct pinhole_request *r, uint64_t now)
{
	uint32_t ref;
	return pinhole_open(p, r, now, &ref);
}

/* Armed for the peer that there is: whether that is news. */
static inline bool arm(struct pinholes *p, uint32_t ref, uint64_t now)
{
	const struct pinhole_peer peer = {.control_ip_be = PEER};
	bool news;
	cr_assert_eq(pinhole_arm(p, ref, &peer, now, &news), PINHOLE_GRANTED);
	return news;
}

#endif
