/* What ALGs of many calls may have: named peers, armed again, rows of pairs, registrations, thousands at a time. */
#include "wishes.h"

/* A wish of SIP's for a pair, whose peer is said as alg would say it. */
static struct pinhole_request call(uint32_t token, uint32_t port)
{
	struct pinhole_request r = wish_of(ALGS_SIP, PINHOLE_UDP_PAIR, token, port);
	r.latent = true;
	return r;
}

static struct pinhole_peer media(uint32_t ip_be, bool outside)
{
	return (struct pinhole_peer){
		.control_ip_be = PEER, .named = true, .ip_be = ip_be, .outside = outside};
}

static enum pinhole_refusal arm_for(
	struct pinholes *p, uint32_t ref, const struct pinhole_peer *peer, uint64_t now, bool *news)
{
	*news = false;
	return pinhole_arm(p, ref, peer, now, news);
}

Test(pinhole_calls, media_may_come_from_a_host_outside_that_was_named)
{
	const struct sock_address guest = {GUEST, 2000};
	struct pinholes *p = fresh();
	struct pinhole_request r = call(1, 2000);
	uint32_t ref;
	r.peer = media(PEER + 1, false);
	cr_assert_eq(ask(p, &r, 0), PINHOLE_INSIDE_PEER);
	r.peer = media(0, true);
	cr_assert_eq(ask(p, &r, 0), PINHOLE_NO_LATCH);
	r.peer = media(PEER + 1, true);
	r.latent = false;
	cr_assert_eq(pinhole_open(p, &r, 0, &ref), PINHOLE_GRANTED);
	cr_assert_eq(pinhole_admits(p, &guest, PEER + 1, true), ref);
	cr_assert_eq(pinhole_admits(p, &guest, PEER, true), PINHOLE_NONE);
	cr_assert_eq(p->count[ALGS_SIP].refused, 2);
	free(p);
}

Test(pinhole_calls, armed_again_another_peer_takes_the_place_and_life_begins_anew)
{
	const struct sock_address odd = {GUEST, 2001};
	struct pinhole_peer peer = media(PEER + 1, false);
	struct pinholes *p = fresh();
	const struct pinhole_request r = call(1, 2000);
	uint32_t ref;
	bool news;
	cr_assert_eq(pinhole_open(p, &r, 0, &ref), PINHOLE_GRANTED);
	cr_assert_eq(arm_for(p, ref, &peer, second, &news), PINHOLE_INSIDE_PEER);
	cr_assert(p->entry[ref].latent && p->entry[ref].peer_ip_be == PEER, "all is as it was");
	peer.outside = true;
	cr_assert_eq(arm_for(p, ref, &peer, second, &news), PINHOLE_GRANTED);
	cr_assert(news);
	cr_assert_eq(pinhole_admits(p, &odd, PEER + 1, true), ref);
	cr_assert_eq(p->entry[ref].expires_ns, 301 * second);
	cr_assert_eq(arm_for(p, ref, &peer, 9 * second, &news), PINHOLE_GRANTED);
	cr_assert_not(news, "the same once more");
	cr_assert_eq(p->entry[ref].expires_ns, 309 * second);
	cr_assert(pinhole_use(p, ref, PEER + 1, true));
	cr_assert_eq(pinhole_index_flow(p, FLOW)->pending, 0);
	cr_assert_eq(arm_for(p, ref, &peer, 10 * second, &news), PINHOLE_GRANTED);
	cr_assert_eq(p->entry[ref].expires_ns, UINT64_MAX, "it is used");
	peer.ip_be = PEER + 2;
	cr_assert_eq(arm_for(p, ref, &peer, 20 * second, &news), PINHOLE_GRANTED);
	cr_assert(news);
	cr_assert_eq(pinhole_admits(p, &odd, PEER + 1, true), PINHOLE_NONE);
	cr_assert_eq(pinhole_admits(p, &odd, PEER + 2, true), ref);
	cr_assert_eq(p->entry[ref].expires_ns, 320 * second, "nobody came yet");
	cr_assert_eq(pinhole_index_flow(p, FLOW)->pending, 1);
	cr_assert_not(pinhole_use(p, ref, PEER + 2, true), "the first time was before");
	cr_assert_eq(p->count[ALGS_SIP].used, 1);
	free(p);
}

Test(pinhole_calls, a_storm_of_peers_is_stopped_by_the_rate)
{
	struct pinholes *p = fresh();
	const struct pinhole_request r = call(1, 2000);
	const unsigned int rate = pinhole_share(PINHOLE_CALLS)->rate;
	uint32_t ref, refused = 0;
	bool news;
	cr_assert_eq(pinhole_open(p, &r, 0, &ref), PINHOLE_GRANTED);
	for (uint32_t i = 0; i < rate + 100; i++) {
		const struct pinhole_peer peer = media(PEER + 1 + i, true);
		refused += arm_for(p, ref, &peer, 0, &news) == PINHOLE_TOO_FAST;
	}
	cr_assert_eq(refused, 100, "the wish cost one, and arming it the first time nothing");
	free(p);
}

Test(pinhole_calls, who_speaks_first_is_the_peer_from_then_on)
{
	const struct sock_address guest = {GUEST, 2000};
	struct pinhole_peer anyone = media(0, false);
	struct pinholes *p = fresh();
	const struct pinhole_request r = call(1, 2000);
	uint32_t ref;
	bool news;
	cr_assert_eq(pinhole_open(p, &r, 0, &ref), PINHOLE_GRANTED);
	cr_assert_eq(arm_for(p, ref, &anyone, 0, &news), PINHOLE_NO_LATCH);
	anyone.latch = true;
	cr_assert_eq(pinhole_admits(p, &guest, 5, true), PINHOLE_NONE, "it is latent");
	cr_assert_eq(arm_for(p, ref, &anyone, 0, &news), PINHOLE_GRANTED);
	cr_assert_eq(pinhole_admits(p, &guest, 5, true), ref);
	cr_assert_eq(pinhole_admits(p, &guest, 5, false), PINHOLE_NONE, "the guest spoke, not it");
	cr_assert(pinhole_use(p, ref, 5, true));
	cr_assert_eq(pinhole_admits(p, &guest, 6, true), PINHOLE_NONE);
	cr_assert_eq(arm_for(p, ref, &anyone, 0, &news), PINHOLE_GRANTED);
	cr_assert_not(news, "an answer that is repeated lets nobody else in");
	cr_assert_eq(pinhole_admits(p, &guest, 6, true), PINHOLE_NONE);
	cr_assert_eq(pinhole_admits(p, &guest, 5, true), ref);
	const struct pinhole_peer named = media(7, true);
	cr_assert_eq(arm_for(p, ref, &named, 0, &news), PINHOLE_GRANTED);
	cr_assert_eq(pinhole_admits(p, &guest, 5, true), PINHOLE_NONE);
	cr_assert_eq(pinhole_admits(p, &guest, 7, true), ref);
	free(p);
}

Test(pinhole_calls, what_is_latent_is_kept_for_a_while_and_not_for_ever)
{
	struct pinholes *p = fresh();
	const struct pinhole_request r = call(1, 2000);
	struct pinhole_request other = wish_of(ALGS_RTSP, PINHOLE_UDP_PAIR, 2, 3000);
	uint32_t ref, rtsp;
	cr_assert_eq(pinhole_open(p, &r, 0, &ref), PINHOLE_GRANTED);
	cr_assert_eq(pinhole_open(p, &other, 0, &rtsp), PINHOLE_GRANTED);
	cr_assert_eq(pinhole_keep(p, rtsp, 0), PINHOLE_NOT_KEPT);
	cr_assert_eq(pinhole_keep(p, ref, 250 * second), PINHOLE_GRANTED);
	cr_assert_eq(p->entry[ref].expires_ns, 550 * second);
	cr_assert_eq(pinhole_keep(p, ref, 540 * second), PINHOLE_GRANTED);
	cr_assert_eq(pinhole_keep(p, ref, 830 * second), PINHOLE_GRANTED);
	cr_assert_eq(p->entry[ref].expires_ns, 900 * second);
	cr_assert_eq(pinhole_keep(p, ref, 899 * second), PINHOLE_KEPT_ENOUGH);
	cr_assert_eq(p->entry[ref].expires_ns, 900 * second);
	cr_assert(arm(p, ref, 899 * second));
	cr_assert_eq(pinhole_keep(p, ref, 1000 * second), PINHOLE_GRANTED, "somebody agreed");
	cr_assert_eq(p->entry[ref].expires_ns, 1300 * second);
	pinhole_use(p, ref, PEER, true);
	cr_assert_eq(pinhole_keep(p, ref, 1001 * second), PINHOLE_GRANTED);
	cr_assert_eq(p->entry[ref].expires_ns, UINT64_MAX);
	free(p);
}

/* A request for registration is repeated when its answer is late (H.225.0 7.19). */
Test(pinhole_calls, a_registration_that_nobody_confirms_is_over_soon_and_may_be_asked_for_again)
{
	struct pinholes *p = fresh();
	struct pinhole_request r = wish_of(ALGS_H323, PINHOLE_TCP_SERVICE, 1, 1720);
	uint32_t ref;
	r.latent = true;
	r.life_ms = 86400000;
	cr_assert_eq(pinhole_open(p, &r, 0, &ref), PINHOLE_GRANTED);
	cr_assert_eq(p->entry[ref].expires_ns, 900 * second);
	cr_assert_eq(pinhole_keep(p, ref, 3 * second), PINHOLE_GRANTED);
	cr_assert_eq(p->entry[ref].expires_ns, 900 * second);
	cr_assert(arm(p, ref, 4 * second));
	cr_assert_eq(p->entry[ref].expires_ns, 86404 * second);
	cr_assert_eq(pinhole_keep(p, ref, 1000 * second), PINHOLE_GRANTED);
	cr_assert_eq(p->entry[ref].expires_ns, 87400 * second);
	free(p);
}

Test(pinhole_calls, pairs_follow_each_other_and_keep_the_rules)
{
	struct pinholes *p = fresh();
	struct pinhole_request r = call(1, 5056);
	uint32_t ref, n = 0;
	r.latent = false;
	r.pairs = 3;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_BAD_PORT, "5060 is among them");
	r.guest_port = 65530;
	r.pairs = 4;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_BAD_PORT);
	r.pairs = 5;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_TOO_MANY_PAIRS);
	r.pairs = UINT32_MAX / 2 + 2;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_TOO_MANY_PAIRS);
	r.kind = PINHOLE_UDP_ONE;
	r.pairs = 2;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_TOO_MANY_PAIRS);
	r = wish_of(ALGS_RTSP, PINHOLE_UDP_PAIR, 1, 6200);
	r.pairs = 2;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_TOO_MANY_PAIRS, "RTSP has one");
	r = call(1, 65528);
	r.latent = false;
	r.pairs = 4;
	cr_assert_eq(pinhole_open(p, &r, 0, &ref), PINHOLE_GRANTED);
	for (uint32_t port = 65526; port <= 65535; port++) {
		const struct sock_address at = {GUEST, (uint16_t)port};
		n += pinhole_admits(p, &at, PEER, true) == ref;
	}
	cr_assert_eq(n, 8);
	pinhole_close(p, ref);
	const struct sock_address last = {GUEST, 65535};
	cr_assert_eq(pinhole_at(p, &last, PINHOLE_NONE), PINHOLE_NONE);
	free(p);
}

Test(pinhole_calls, one_port_of_a_row_that_has_enough_refuses_it)
{
	struct pinholes *p = fresh();
	for (uint32_t i = 0; i < PINHOLE_SAME_MAX; i++) {
		const struct pinhole_request one = wish_of(ALGS_SIP, PINHOLE_UDP_ONE, i + 1, 2007);
		cr_assert_eq(ask(p, &one, 0), PINHOLE_GRANTED);
	}
	struct pinhole_request r = call(100, 2000);
	r.pairs = 4;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_PORT_QUOTA);
	r.pairs = 3;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_GRANTED);
	free(p);
}

/* What the indices say is what a walk through all entries says, whatever was opened, used, armed and closed. */
Test(pinhole_calls, a_trunk_has_thousands_and_the_indices_stay_true)
{
	enum { ALL = 1638 }; /* of one to four pairs each */
	struct pinholes *p = fresh();
	uint32_t ref = 0, live = 0;
	uint64_t now = 0, soonest = UINT64_MAX;
	for (uint32_t i = 0; i < ALL; i++, now += second / 100) {
		struct pinhole_request r = call(i + 1, 20000 + 8 * (i % 1000));
		r.pairs = 1 + i % 4;
		r.life_ms = 1000 * (1 + i * 7919 % 290);
		cr_assert_eq(pinhole_open(p, &r, now, &ref), PINHOLE_GRANTED, "%u", i);
		if (i % 2 == 0)
			pinhole_use(p, ref, PEER, true);
	}
	cr_assert_eq(p->places, 4093);
	struct pinhole_request r = call(99999, 3000);
	r.pairs = 4;
	cr_assert_eq(ask(p, &r, now), PINHOLE_GUEST_QUOTA);
	r = wish_of(ALGS_RTSP, PINHOLE_UDP_ONE, 1, 3000);
	r.flow += 2;
	cr_assert_eq(ask(p, &r, now), PINHOLE_GRANTED, "what is no call is counted apart");
	for (uint32_t token = 1; token <= ALL; token += 3)
		pinhole_close(p, pinhole_find(p, FLOW, token));
	for (uint32_t token = 1; token <= ALL; token++) {
		ref = pinhole_find(p, FLOW, token);
		cr_assert_eq(!ref, token % 3 == 1, "token %u", token);
		live += ref != 0;
		if (ref && p->entry[ref].expires_ns < soonest)
			soonest = p->entry[ref].expires_ns;
	}
	cr_assert_eq(pinhole_index_flow(p, FLOW)->total, live);
	cr_assert_eq(pinhole_deadline(p), soonest);
	while ((ref = pinhole_expired(p, 100000 * second))) {
		cr_assert_geq(p->entry[ref].expires_ns, soonest);
		soonest = p->entry[ref].expires_ns;
		pinhole_close(p, ref);
	}
	while ((ref = pinhole_of_flow(p, FLOW))) {
		cr_assert(p->entry[ref].used);
		pinhole_close(p, ref);
	}
	cr_assert_null(pinhole_index_flow(p, FLOW));
	cr_assert_eq(p->live, 0);
	cr_assert_eq(p->datagram, 0);
	for (uint32_t i = 0; i < PINHOLE_PORT_BUCKETS; i++)
		cr_assert_eq(p->port_bucket[i], 0);
	free(p);
}

Test(pinhole_calls, so_many_calls_a_second_and_no_more)
{
	struct pinholes *p = fresh();
	const unsigned int rate = pinhole_share(PINHOLE_CALLS)->rate;
	for (uint32_t i = 0; i < rate; i++) {
		const struct pinhole_request r = call(i + 1, 20000 + 2 * i);
		cr_assert_eq(ask(p, &r, 0), PINHOLE_GRANTED);
	}
	const struct pinhole_request more = call(9999, 9000);
	cr_assert_eq(ask(p, &more, 0), PINHOLE_TOO_FAST);
	cr_assert_eq(ask(p, &more, second / 250), PINHOLE_GRANTED);
	cr_assert_eq(rate, 500);
	free(p);
}

/* A wish of a call of H.323's, which has one of these flows for itself. */
static struct pinhole_request h323_call(uint32_t n, bool came)
{
	struct pinhole_request r = wish_of(ALGS_H323, PINHOLE_UDP_PAIR, n + 1, 20000 + 2 * n);
	r.flow = 1000 + n / 512;
	r.came = came;
	return r;
}

Test(pinhole_calls, who_calls_a_guest_leaves_it_some_of_its_rate)
{
	struct pinholes *p = fresh();
	uint32_t n = 0;
	for (struct pinhole_request r = h323_call(n, true); ask(p, &r, 0) == PINHOLE_GRANTED;)
		r = h323_call(++n, true);
	cr_expect_eq(n, 375, "%u", n);
	struct pinhole_request r = h323_call(n, true);
	cr_expect_eq(ask(p, &r, 0), PINHOLE_TOO_FAST);
	for (uint32_t i = 0; i < 125; i++) {
		r = h323_call(n + i, false);
		cr_assert_eq(ask(p, &r, 0), PINHOLE_GRANTED, "%u", i);
	}
	r = h323_call(n + 125, false);
	cr_expect_eq(ask(p, &r, 0), PINHOLE_TOO_FAST);
	r.came = true;
	cr_expect_eq(ask(p, &r, second / 10), PINHOLE_TOO_FAST, "the guest's own part comes first");
	free(p);
}

Test(pinhole_calls, who_calls_a_guest_leaves_it_some_of_its_places)
{
	struct pinholes *p = fresh();
	uint32_t n = 0;
	uint64_t now = 0;
	for (struct pinhole_request r = h323_call(n, true); ask(p, &r, now) == PINHOLE_GRANTED;
		now += second / 100)
		r = h323_call(++n, true);
	cr_expect_eq(n, 3072, "%u", n);
	struct pinhole_request r = h323_call(n, true);
	cr_expect_eq(ask(p, &r, now), PINHOLE_GUEST_QUOTA);
	r.came = false;
	cr_expect_eq(ask(p, &r, now), PINHOLE_GRANTED);
	free(p);
}
