/* The table of calls: whose is whose, what is found by which port, shares, and that all of it comes back. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "h323_calls.h"

static struct h323_calls *table(void)
{
	struct h323_calls *t = malloc(sizeof(*t));
	memset(t, 0xa5, sizeof(*t)); /* whatever it was */
	h323_calls_init(t, &(const struct hash_key){1, 2});
	return t;
}

static struct alg_flow flow(uint16_t id, uint32_t guest)
{
	return (struct alg_flow){.id = id, .guest_ip_be = htonl(0xc0a81e00 + guest)};
}

static struct h323_call *take(struct h323_calls *t, uint16_t id, uint16_t reference)
{
	const struct alg_flow f = flow(id, 10);
	return h323_calls_take(t, &f, ALG_GUEST, reference);
}

/* An opening of a port, which has an outside one. */
static int open_port(struct h323_calls *t, struct h323_call *c, uint16_t id, enum alg_kind kind,
	uint16_t port, uint16_t outside)
{
	const struct alg_flow f = flow(id, 10);
	const int place = h323_calls_open(t, c, &f, ALG_GUEST);
	if (place < 0)
		return place;
	struct h323_opening *o = h323_calls_opening(t, c, place);
	o->kind = (uint8_t)kind;
	o->guest_port = port;
	h323_calls_granted(t, o, &(const struct alg_grant){htonl(0xcb007107), outside});
	return place;
}

Test(h323_calls, a_call_is_its_flows_its_callers_and_its_references)
{
	struct h323_calls *t = table();
	const struct alg_flow a = flow(1, 10), b = flow(2, 10);
	struct h323_call *c = h323_calls_take(t, &a, ALG_GUEST, 7);
	cr_assert(c && c->link);
	cr_expect_eq(h323_calls_find(t, &a, ALG_GUEST, 7), c);
	cr_expect_eq(h323_calls_take(t, &a, ALG_GUEST, 7), c);
	cr_expect_null(h323_calls_find(t, &a, ALG_OUTSIDE, 7));
	cr_expect_null(h323_calls_find(t, &a, ALG_GUEST, 8));
	cr_expect_null(h323_calls_find(t, &b, ALG_GUEST, 7));
	cr_expect_neq(h323_calls_take(t, &a, ALG_OUTSIDE, 7), c);
	h323_calls_drop(t, c);
	cr_expect_null(h323_calls_find(t, &a, ALG_GUEST, 7));
	cr_expect(h323_calls_find(t, &a, ALG_OUTSIDE, 7));
	free(t);
}

Test(h323_calls, a_link_is_one_calls_and_one_guests)
{
	struct h323_calls *t = table();
	struct h323_call *c = take(t, 1, 7);
	struct alg_flow control = flow(5, 10);
	control.link = c->link;
	cr_expect_eq(h323_calls_linked(t, &control), c);
	control.guest_ip_be = htonl(0xc0a81e0b);
	cr_expect_null(h323_calls_linked(t, &control));
	control = flow(5, 10);
	cr_expect_null(h323_calls_linked(t, &control));
	control.link = c->link;
	h323_calls_drop(t, c);
	cr_expect_null(h323_calls_linked(t, &control));
	cr_expect_eq(take(t, 1, 8), c, "the same place");
	cr_expect_null(h323_calls_linked(t, &control), "but another call");
	control.link = 4095;
	cr_expect_null(h323_calls_linked(t, &control), "where nothing ever was");
	free(t);
}

Test(h323_calls, an_opening_is_found_by_both_of_its_ports)
{
	struct h323_calls *t = table();
	struct h323_call *c = take(t, 1, 7);
	const struct alg_flow f = flow(3, 10), other = flow(4, 11);
	const uint32_t outside = htonl(0xcb007107);
	const int pair = open_port(t, c, 1, ALG_UDP_PAIR, 5000, 40000),
		  tcp = open_port(t, c, 1, ALG_TCP_LISTEN, 5001, 40001);
	const struct h323_opening *media = h323_calls_opening(t, c, pair),
				  *listener = h323_calls_opening(t, c, tcp);
	cr_expect_eq(h323_calls_by_guest(t, &f, ALGS_UDP, 5000), media);
	cr_expect_eq(h323_calls_by_guest(t, &f, ALGS_UDP, 5001), media);
	cr_expect_null(h323_calls_by_guest(t, &f, ALGS_UDP, 5002));
	cr_expect_eq(h323_calls_by_guest(t, &f, ALGS_TCP, 5001), listener);
	cr_expect_null(h323_calls_by_guest(t, &f, ALGS_TCP, 5000));
	cr_expect_null(h323_calls_by_guest(t, &other, ALGS_UDP, 5000));
	cr_expect_eq(h323_calls_by_outside(t, &f, ALGS_UDP, outside, 40001), media);
	cr_expect_eq(h323_calls_by_outside(t, &f, ALGS_TCP, outside, 40001), listener);
	cr_expect_null(h323_calls_by_outside(t, &f, ALGS_TCP, htonl(0xcb007108), 40001));
	cr_expect_null(h323_calls_by_outside(t, &other, ALGS_TCP, outside, 40001));
	h323_calls_close(t, c, pair);
	cr_expect_null(h323_calls_by_guest(t, &f, ALGS_UDP, 5000));
	cr_expect_null(h323_calls_by_outside(t, &f, ALGS_UDP, outside, 40000));
	free(t);
}

Test(h323_calls, a_token_is_its_flows)
{
	struct h323_calls *t = table();
	struct h323_call *c = take(t, 1, 7);
	const struct alg_flow a = flow(1, 10), b = flow(2, 10);
	int place;
	open_port(t, c, 1, ALG_UDP_ONE, 5000, 40000);
	open_port(t, c, 2, ALG_UDP_ONE, 5002, 40002);
	const uint32_t token = h323_calls_opening(t, c, 0)->token;
	cr_expect_eq(h323_calls_opening(t, c, 1)->token, token, "each flow counts");
	cr_expect(h323_calls_of_token(t, &a, token, &place) == c && place == 0);
	cr_expect(h323_calls_of_token(t, &b, token, &place) == c && place == 1);
	cr_expect_null(h323_calls_of_token(t, &a, token + 1, &place));
	free(t);
}

Test(h323_calls, what_is_closed_leaves_all_masks)
{
	struct h323_calls *t = table();
	struct h323_call *c = take(t, 1, 7);
	const int a = open_port(t, c, 1, ALG_UDP_ONE, 5000, 40000),
		  b = open_port(t, c, 1, ALG_UDP_ONE, 5002, 40002);
	c->kept = c->channel[3].openings = 3;
	h323_calls_close(t, c, a);
	cr_expect(c->kept == 2 && c->channel[3].openings == 2);
	h323_calls_close(t, c, b);
	cr_expect(c->kept == 0 && c->channel[3].openings == 0);
	free(t);
}

/* So many calls of this guest's fit, from this flow on. */
static unsigned int fill(
	struct h323_calls *t, uint32_t guest, enum alg_direction caller, uint16_t first_flow)
{
	unsigned int n = 0;
	struct alg_flow f = flow(first_flow, guest);
	while (h323_calls_take(t, &f, caller, (uint16_t)(n % H323_FLOW_CALLS)))
		if (++n % H323_FLOW_CALLS == 0)
			f.id++;
	return n;
}

Test(h323_calls, a_flow_has_its_share)
{
	struct h323_calls *t = table();
	for (uint16_t i = 0; i < H323_FLOW_CALLS; i++)
		cr_assert(take(t, 0, i), "%u", i);
	cr_expect_null(take(t, 0, 0x7000));
	cr_expect(take(t, 1, 0x7000));
	free(t);
}

Test(h323_calls, a_guest_has_what_it_leaves_free)
{
	struct h323_calls *t = table();
	cr_expect_eq(fill(t, 10, ALG_GUEST, 0), H323_CALLS / 2);
	cr_expect_eq(fill(t, 11, ALG_GUEST, 100), H323_CALLS / 4);
	const struct alg_flow gone = flow(0, 10);
	h323_calls_end(t, &gone);
	cr_expect_eq(fill(t, 12, ALG_GUEST, 200), H323_CALLS / 4);
	free(t);
}

Test(h323_calls, who_calls_guests_leaves_room_for_what_they_begin)
{
	struct h323_calls *t = table();
	uint16_t id = 0;
	unsigned int came = 0;
	cr_expect_eq(fill(t, 10, ALG_OUTSIDE, 500), H323_COMING_CALLS / 2);
	const struct alg_flow f = flow(510, 10), other = flow(511, 10);
	cr_expect(h323_calls_take(t, &f, ALG_OUTSIDE, H323_REFERENCES), "watches are no call");
	cr_expect_eq(fill(t, 10, ALG_GUEST, 520), (H323_CALLS - H323_COMING_CALLS / 2) / 2 - 1);
	cr_expect_null(h323_calls_take(t, &other, ALG_OUTSIDE, 1), "nor do they make room");
	h323_calls_init(t, &(const struct hash_key){1, 2});
	for (uint32_t guest = 20; guest < 40; guest++, id += 4)
		came += fill(t, guest, ALG_OUTSIDE, id);
	cr_expect_eq(came, H323_COMING_CALLS);
	cr_expect_eq(fill(t, 20, ALG_GUEST, 200), (H323_CALLS - H323_COMING_CALLS) / 2);
	free(t);
}

/* Hundreds at a time, and others after them; of the two calls of each one ends first. */
Test(h323_calls, guests_come_and_go)
{
	struct h323_calls *t = table();
	for (uint32_t round = 0; round < 3; round++) {
		for (uint16_t id = 0; id < H323_FLOWS / 2; id++) {
			const struct alg_flow f = flow(id, 10 + id + round * H323_FLOWS);
			struct h323_call *first = h323_calls_take(t, &f, ALG_OUTSIDE, 1);
			struct h323_call *second = h323_calls_take(t, &f, ALG_OUTSIDE, 2);
			cr_assert(first && second && first->guest == second->guest);
			h323_calls_drop(t, first);
			first = h323_calls_take(t, &f, ALG_OUTSIDE, 1);
			cr_assert(first && first->guest == second->guest);
			cr_assert_eq(t->guest[first->guest].calls[ALG_OUTSIDE], 2);
			cr_assert_eq(t->guest[first->guest].ip_be, f.guest_ip_be);
		}
		for (uint16_t id = 0; id < H323_FLOWS / 2; id++) {
			const struct alg_flow f = flow(id, 10 + id + round * H323_FLOWS);
			h323_calls_end(t, &f);
		}
	}
	cr_expect_eq(t->fresh_guest, H323_FLOWS / 2, "%u", t->fresh_guest);
	free(t);
}

/* So many openings fit into new calls of this flow. */
static unsigned int fill_openings(struct h323_calls *t, enum alg_direction caller, uint16_t id)
{
	const struct alg_flow f = flow(id, 10);
	unsigned int n = 0;
	struct h323_call *c;
	for (uint16_t i = 0; (c = h323_calls_take(t, &f, caller, i)); i++)
		while (open_port(t, c, id, ALG_UDP_ONE, (uint16_t)(2000 + n),
			       (uint16_t)(30000 + n)) >= 0)
			n++;
	return n;
}

Test(h323_calls, openings_are_shared_likewise)
{
	struct h323_calls *t = table();
	const unsigned int coming = H323_COMING_OPENINGS / 2, own = (H323_OPENINGS - coming) / 2;
	cr_expect_eq(fill_openings(t, ALG_OUTSIDE, 0), coming);
	cr_expect_eq(fill_openings(t, ALG_GUEST, 1), own);
	const struct alg_flow gone = flow(0, 10);
	h323_calls_end(t, &gone);
	cr_expect_eq(fill_openings(t, ALG_OUTSIDE, 2), (H323_OPENINGS - own) / 2);
	free(t);
}

Test(h323_calls, openings_come_back)
{
	struct h323_calls *t = table();
	const struct alg_flow f = flow(1, 10);
	for (int round = 0; round < 3; round++) {
		unsigned int n = 0;
		for (uint16_t reference = 0; reference < H323_FLOW_CALLS; reference++) {
			struct h323_call *c = take(t, 1, reference);
			for (int i = 0; i < H323_CALL_OPENINGS; i++, n++)
				if (open_port(t, c, 1, ALG_UDP_ONE, (uint16_t)(2000 + n),
					    (uint16_t)(30000 + n)) < 0)
					break;
		}
		cr_expect_eq(n, H323_OPENINGS / 2);
		h323_calls_end(t, &f);
	}
	for (int chain = 0; chain < 3; chain++)
		for (int i = 0; i < H323_OPENINGS; i++)
			cr_assert_eq(t->bucket[chain][i], 0, "something is left");
	for (int i = 0; i < H323_CALLS; i++)
		cr_assert_eq(t->call_bucket[i], 0);
	for (int i = 0; i < H323_FLOWS; i++)
		cr_assert_eq(t->guest_bucket[i], 0);
	cr_expect_eq(t->calls[ALG_GUEST] + t->openings[ALG_GUEST], 0);
	free(t);
}

Test(h323_calls, a_call_outlives_its_signalling_by_its_control)
{
	struct h323_calls *t = table();
	struct h323_call *c = take(t, 1, 7);
	struct alg_flow signalling = flow(1, 10), control = flow(2, 10);
	control.link = c->link;
	c->control = 2 + 1;
	open_port(t, c, 1, ALG_TCP_LISTEN, 5100, 40000);
	open_port(t, c, 2, ALG_UDP_ONE, 5000, 40002);
	h323_calls_end(t, &signalling);
	cr_expect_eq(h323_calls_linked(t, &control), c);
	cr_expect_null(h323_calls_find(t, &signalling, ALG_GUEST, 7));
	cr_expect_null(h323_calls_opening(t, c, 0), "the signalling's own is gone with it");
	cr_expect(h323_calls_opening(t, c, 1));
	h323_calls_end(t, &control);
	cr_expect_null(h323_calls_linked(t, &control));
	cr_expect_null(h323_calls_by_guest(t, &control, ALGS_UDP, 5000));
	free(t);
}

Test(h323_calls, a_call_that_is_over_has_no_ports_whoever_asked_for_them)
{
	struct h323_calls *t = table();
	struct h323_call *c = take(t, 1, 7);
	const struct alg_flow f = flow(1, 10);
	open_port(t, c, 1, ALG_TCP_LISTEN, 5100, 40000);
	open_port(t, c, 2, ALG_UDP_ONE, 5000, 40002);
	h323_calls_drop(t, c);
	cr_expect_null(h323_calls_by_guest(t, &f, ALGS_TCP, 5100));
	cr_expect_null(h323_calls_by_guest(t, &f, ALGS_UDP, 5000));
	cr_expect_eq(t->openings[ALG_GUEST], 0);
	free(t);
}

Test(h323_calls, a_connection_that_ends_takes_its_ports_along)
{
	struct h323_calls *t = table();
	struct h323_call *c = take(t, 1, 7);
	struct alg_flow control = flow(2, 10);
	control.link = c->link;
	c->control = 9 + 1; /* another one has taken its place */
	open_port(t, c, 2, ALG_UDP_ONE, 5000, 40002);
	h323_calls_end(t, &control);
	cr_expect_null(h323_calls_opening(t, c, 0));
	cr_expect_eq(h323_calls_linked(t, &control), c);
	free(t);
}
