/* What the operator sees of H.323's calls: those that are there, each once, and no registration. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "h323_rows.h"

static struct h323_calls *table(void)
{
	struct h323_calls *t = malloc(sizeof(*t));
	memset(t, 0xa5, sizeof(*t));
	h323_calls_init(t, &(const struct hash_key){1, 2});
	return t;
}

static struct h323_call *call(struct h323_calls *t, uint16_t flow, uint16_t reference)
{
	const struct alg_flow f = {
		.id = flow, .guest_ip_be = inet_addr("192.168.30.10"), .now_ms = 1000};
	struct h323_call *c = h323_calls_take(t, &f, ALG_GUEST, reference);
	cr_assert(c);
	c->seen_ms = 1000 + reference;
	return c;
}

Test(h323_rows, each_call_that_is_there_is_seen_once)
{
	struct h323_calls *t = table();
	struct call_row row;
	unsigned int seen[41] = {0}, all = 0;
	uint32_t cursor = 0;
	cr_expect_not(h323_calls_next(t, &cursor, &row));
	for (uint16_t i = 0; i < 40; i++)
		call(t, i % 3, i);
	for (unsigned int i = 1; i <= 40; i += 2)
		h323_calls_drop(t, &t->call[i]);
	call(t, 5, H323_REFERENCES);
	for (; h323_calls_next(t, &cursor, &row); all++) {
		cr_assert_leq(row.id, 40);
		cr_expect_eq(row.seen_ms, 1000 + row.id - 1);
		cr_expect_eq(row.flow, (row.id - 1) % 3);
		cr_expect_not(seen[row.id]++);
	}
	cr_expect_eq(all, 20, "the even ones, and not the registration");
	for (cursor = H323_CALLS; cursor; cursor <<= 1)
		cr_expect_not(h323_calls_next(t, &(uint32_t){cursor}, &row));
	free(t);
}

Test(h323_rows, a_row_tells_state_and_ports)
{
	static const struct alg_flow f = {.id = 2};
	struct h323_calls *t = table();
	struct h323_call *c = call(t, 2, 7);
	struct call_row row;
	uint32_t cursor = 0;
	cr_assert(h323_calls_next(t, &cursor, &row));
	cr_expect_str_eq(row.state, "ringing");
	cr_expect_str_eq(row.media, "");
	c->answered_ms = 3000;
	cursor = 0;
	h323_calls_next(t, &cursor, &row);
	cr_expect_str_eq(row.state, "no media");
	static const struct h323_opening as[] = {
		{.kind = ALG_TCP_WATCH, .peer_port = 4000},
		{.kind = ALG_UDP_PAIR, .guest_port = 5000, .outside_port = 30000, .armed = true},
		{.kind = ALG_TCP_LISTEN, .guest_port = 6000, .outside_port = 6000},
	};
	for (int i = 0; i < 3; i++) {
		struct h323_opening *o =
			h323_calls_opening(t, c, h323_calls_open(t, c, &f, ALG_GUEST));
		o->kind = as[i].kind;
		o->guest_port = as[i].guest_port;
		o->outside_port = as[i].outside_port;
		o->peer_port = as[i].peer_port;
		o->armed = as[i].armed;
	}
	cursor = 0;
	h323_calls_next(t, &cursor, &row);
	cr_expect_str_eq(row.state, "answered");
	cr_expect_eq(row.answered_ms, 3000);
	cr_expect_str_eq(row.media, "5000-5001>30000-30001 open, tcp 6000>6000 latent");
	c->flow = H323_NO_FLOW;
	cursor = 0;
	c->control = 0;
	cr_expect_not(h323_calls_next(t, &cursor, &row), "it is nobody's");
	c->control = 10;
	cursor = 0;
	cr_assert(h323_calls_next(t, &cursor, &row));
	cr_expect_eq(row.flow, 9, "that of its H.245 connection");
	free(t);
}
