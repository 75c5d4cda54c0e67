/* What the tests of alg/dns.c say to it and hear: whole messages, and the flows that carry them. */
#ifndef NATLOCK_TESTS_ALG_DNS_MESSAGES_H
#define NATLOCK_TESTS_ALG_DNS_MESSAGES_H

#include "dns_wire.h"

static inline struct harness *wire_datagrams(void)
{
	return harness_new(&dns_protocol, wire_view(false), GRANT);
}

static inline struct harness *wire_stream(void)
{
	return harness_new(&dns_protocol, wire_view(true), GRANT);
}

/* `in` becomes `out`, over UDP and over TCP. */
static inline void wire_expect_becomes(struct alg_flow view, enum alg_direction from,
	const struct wire *in, const struct wire *out)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		view.stream = tcp;
		struct harness *h = harness_new(&dns_protocol, view, GRANT);
		wire_send(h, from, in);
		cr_assert_eq(h->way[from].out_bytes, out->n + (tcp ? 2 : 0));
		wire_expect(h, from, out);
		cr_expect_not(h->gave_up && h->violation, "%s", h->why);
		harness_free(h);
	}
}

/* A whole answer of one A record, owned by the question's name. */
static inline void wire_answer_a(struct wire *w, uint32_t ttl, const char *address)
{
	wire_start(w, 7, ANSWER, 1, 1, 0, 0);
	wire_question(w, "www.example", TYPE_A);
	wire_a(w, 12, ttl, address);
}

/* An answer with one address in each section, and EDNS. */
static inline void wire_every_section(
	struct wire *w, uint32_t ttl, const char *first, const char *second)
{
	wire_start(w, 7, ANSWER, 1, 3, 1, 3);
	wire_question(w, "example", TYPE_A);
	wire_a(w, 12, ttl, first);
	wire_a(w, 12, 60, "198.51.100.80");
	wire_a(w, 12, ttl, second);
	wire_pointer(w, "", 12);
	wire_fixed(w, TYPE_NS, 1, 600);
	const size_t server = w->n;
	wire_pointer(w, "ns", 12);
	wire_end(w);
	wire_a(w, server, 600, "198.51.100.53");
	wire_a(w, server, ttl, first);
	wire_opt(w);
}

static inline void wire_ask(struct wire *w, unsigned int id, const char *name, unsigned int type)
{
	wire_start(w, id, QUERY, 1, 0, 0, 1);
	wire_question(w, name, type);
	wire_opt(w);
}

/* As bind9 answers: the owner is a pointer to the question. */
static inline void wire_answer_ptr(struct wire *w, unsigned int id, const char *name, uint32_t ttl)
{
	wire_start(w, id, ANSWER, 1, 1, 0, 1);
	wire_question(w, name, TYPE_PTR);
	wire_pointer(w, "", 12);
	wire_fixed(w, TYPE_PTR, 1, ttl);
	wire_name(w, "host.example");
	wire_end(w);
	wire_opt(w);
}

static inline void wire_tsig(struct wire *w)
{
	w->p[11]++;
	wire_name(w, "key");
	wire_fixed(w, 250, 255, 0);
	wire_name(w, "hmac-sha256");
	wire_bytes(w, "\0\0\1\2\3\4\1\x2c\0\4maac\0\7\0\0\0\0", 20);
	wire_end(w);
}

#endif
