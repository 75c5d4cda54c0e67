/* The rules that no ALG can bend; those of calls: pinhole_calls.c. */
#include "wishes.h"

Test(pinhole, an_honest_wish_is_granted_to_the_flows_guest_for_its_peer)
{
	struct pinholes *p = fresh();
	const struct pinhole_request r = wish(FLOW, 1, 51210);
	uint32_t ref;
	cr_assert_eq(pinhole_open(p, &r, 0, &ref), PINHOLE_GRANTED);
	cr_assert_eq(p->entry[ref].guest.ip_be, GUEST);
	cr_assert_eq(p->entry[ref].peer_ip_be, PEER);
	cr_assert_eq(p->entry[ref].expires_ns, 30 * second);
	cr_assert_eq(pinhole_find(p, FLOW, 1), ref);
	free(p);
}

Test(pinhole, ports_that_no_one_gets)
{
	static const uint32_t ports[] = {0, 22, 1023, 1720, 2049, 3306, 3389, 5060, 5432, 5900,
		6000, 6010, 6063, 8080, 65536, 65558, UINT32_MAX};
	struct pinholes *p = fresh();
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		const struct pinhole_request r = wish(FLOW, 1, ports[i]);
		cr_assert_eq(ask(p, &r, i * second), PINHOLE_BAD_PORT, "port %u", ports[i]);
		const struct pinhole_request low =
			wish_of(ALGS_RCMD, PINHOLE_TCP_LISTEN, 1, ports[i]);
		if (ports[i] < 512 || ports[i] > 1023)
			cr_assert_eq(
				ask(p, &low, i * second), PINHOLE_BAD_PORT, "port %u", ports[i]);
	}
	cr_assert_eq(p->live, 0);
	free(p);
}

Test(pinhole, the_peer_is_the_control_connections_peer)
{
	struct pinholes *p = fresh();
	struct pinhole_request r = wish(FLOW, 1, 2000);
	r.peer.named = true;
	r.peer.ip_be = PEER + 1;
	r.peer.outside = r.peer.latch = true;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_BAD_PEER);
	r.peer.ip_be = 0;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_GRANTED, "nobody is named");
	pinhole_close(p, pinhole_find(p, FLOW, 1));
	r.peer.ip_be = PEER;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_GRANTED);
	free(p);
}

Test(pinhole, an_alg_gets_the_kinds_of_its_row_and_no_other)
{
	static const uint32_t kinds[] = {PINHOLE_TCP_LISTEN, PINHOLE_UDP_ONE, PINHOLE_UDP_PAIR,
		PINHOLE_TCP_SERVICE, PINHOLE_TCP_WATCH, PINHOLE_KINDS, 32, UINT32_MAX};
	static const uint8_t granted[ALGS_COUNT] = {[ALGS_FTP] = 1,
		[ALGS_TFTP] = 2,
		[ALGS_RCMD] = 1,
		[ALGS_RTSP] = 6,
		[ALGS_SIP] = 7,
		[ALGS_H323] = 31,
		[ALGS_SKINNY] = 6};
	for (int alg = 0; alg < ALGS_COUNT; alg++)
		for (uint32_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			struct pinholes *p = fresh();
			const bool watch = kinds[i] == PINHOLE_TCP_WATCH;
			struct pinhole_request r = wish_of(alg, kinds[i], 1, watch ? 0 : 2000);
			r.inspect |= watch;
			r.peer_port = watch ? 2000 : 0;
			const bool wanted = i < PINHOLE_KINDS && granted[alg] & 1 << i;
			cr_assert_eq(ask(p, &r, 0), wanted ? PINHOLE_GRANTED : PINHOLE_BAD_KIND,
				"%s, kind %u", algs_name(alg), kinds[i]);
			free(p);
		}
}

Test(pinhole, only_rcmd_may_have_a_port_below_1024_and_it_not_below_512)
{
	for (int alg = 0; alg < ALGS_COUNT; alg++)
		for (uint32_t kind = 0; kind < PINHOLE_KINDS; kind++) {
			if (!(pinhole_rule(alg)->kinds & 1 << kind) || kind == PINHOLE_TCP_WATCH)
				continue;
			struct pinholes *p = fresh();
			struct pinhole_request r = wish_of(alg, kind, 1, 1022);
			r.control_port = 1022;
			cr_assert_eq(ask(p, &r, 0),
				alg == ALGS_RCMD ? PINHOLE_GRANTED : PINHOLE_BAD_PORT, "%s",
				algs_name(alg));
			r.guest_port = r.control_port = 510;
			r.token = 2;
			cr_assert_eq(ask(p, &r, 0), PINHOLE_BAD_PORT, "%s", algs_name(alg));
			r = wish_of(alg, kind, 3, 1022);
			r.flow++;
			r.control_port = 1024;
			cr_assert_eq(ask(p, &r, 0), PINHOLE_BAD_PORT, "%s", algs_name(alg));
			free(p);
		}
}

Test(pinhole, both_ports_of_a_pair_keep_the_rules)
{
	static const struct {
		uint32_t port;
		enum pinhole_refusal why;
	} cases[] = {
		{2001, PINHOLE_ODD_PAIR},
		{65535, PINHOLE_ODD_PAIR},
		{65536, PINHOLE_BAD_PORT},
		{UINT32_MAX, PINHOLE_BAD_PORT},
		{UINT32_MAX - 1, PINHOLE_BAD_PORT},
		{1718, PINHOLE_BAD_PORT}, /* 1719 is denied */
		{2048, PINHOLE_BAD_PORT},
		{1022, PINHOLE_BAD_PORT},
		{5998, PINHOLE_GRANTED},
		{65534, PINHOLE_GRANTED},
		{1024, PINHOLE_GRANTED},
	};
	struct pinholes *p = fresh();
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct pinhole_request r =
			wish_of(ALGS_RTSP, PINHOLE_UDP_PAIR, i + 1, cases[i].port);
		cr_assert_eq(ask(p, &r, i * second), cases[i].why, "port %u", cases[i].port);
	}
	free(p);
}

Test(pinhole, a_port_that_is_open_already_and_token_0_are_refused)
{
	struct pinholes *p = fresh();
	struct pinhole_request r = wish(FLOW, 1, 2000);
	r.open = true;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_OPEN_PORT);
	r.open = false;
	r.token = 0;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_BAD_TOKEN);
	cr_assert_eq(p->count[ALGS_FTP].refused, 2);
	free(p);
}

Test(pinhole, tftp_names_its_own_port)
{
	struct pinholes *p = fresh();
	struct pinhole_request r = wish_of(ALGS_TFTP, PINHOLE_UDP_ONE, 1, 2001);
	cr_assert_eq(ask(p, &r, 0), PINHOLE_NOT_OWN_PORT);
	r.guest_port = 2000;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_GRANTED);
	free(p);
}

Test(pinhole, what_waits_and_what_is_there_are_limited_for_each_flow)
{
	struct pinholes *p = fresh();
	const struct pinhole_rule *rule = pinhole_rule(ALGS_RTSP);
	uint32_t ref;
	for (uint32_t i = 0; i < rule->total; i++) {
		const struct pinhole_request r =
			wish_of(ALGS_RTSP, PINHOLE_UDP_ONE, i + 1, 20000 + 2 * i);
		cr_assert_eq(pinhole_open(p, &r, i * second / 10, &ref), PINHOLE_GRANTED);
		if (i >= rule->pending - 1U)
			cr_assert(pinhole_use(p, ref, PEER, true));
	}
	struct pinhole_request r = wish_of(ALGS_RTSP, PINHOLE_UDP_ONE, 1000, 3000);
	cr_assert_eq(ask(p, &r, 100 * second), PINHOLE_FLOW_QUOTA);
	cr_assert_eq(p->count[ALGS_RTSP].granted, rule->total);
	cr_assert_eq(p->count[ALGS_RTSP].used, rule->total - rule->pending + 1);
	r.flow++;
	for (uint32_t i = 0; i < rule->pending; i++) {
		r.token = i + 1;
		r.guest_port = 3000 + 2 * i;
		cr_assert_eq(ask(p, &r, 101 * second), PINHOLE_GRANTED);
	}
	r.token = 1000;
	cr_assert_eq(ask(p, &r, 102 * second), PINHOLE_FLOW_QUOTA);
	free(p);
}

Test(pinhole, so_few_lead_to_one_port_that_looking_for_them_is_cheap)
{
	struct pinholes *p = fresh();
	for (uint32_t i = 0; i < PINHOLE_SAME_MAX; i++) {
		struct pinhole_request r =
			wish_of(ALGS_RTSP, i & 1 ? PINHOLE_UDP_PAIR : PINHOLE_UDP_ONE, 1, 2000);
		r.flow = i + 1;
		cr_assert_eq(ask(p, &r, i * second), PINHOLE_GRANTED);
	}
	struct pinhole_request r = wish_of(ALGS_RTSP, PINHOLE_UDP_ONE, 1, 2001);
	r.flow = 100;
	cr_assert_eq(ask(p, &r, 100 * second), PINHOLE_PORT_QUOTA, "its neighbour counts");
	r.guest_port = 2002;
	cr_assert_eq(ask(p, &r, 101 * second), PINHOLE_GRANTED);
	r.guest_port = 2000;
	r.guest_ip_be = GUEST + 1;
	r.token = 2;
	cr_assert_eq(ask(p, &r, 102 * second), PINHOLE_GRANTED, "another guest's does not");
	free(p);
}

Test(pinhole, datagrams_are_admitted_by_endpoint_and_peer)
{
	struct pinholes *p = fresh();
	const struct pinhole_request pair = wish_of(ALGS_RTSP, PINHOLE_UDP_PAIR, 1, 2000),
				     one = wish_of(ALGS_RTSP, PINHOLE_UDP_ONE, 2, 2002);
	uint32_t of_pair, of_one;
	cr_assert_eq(pinhole_open(p, &pair, 0, &of_pair), PINHOLE_GRANTED);
	cr_assert_eq(pinhole_open(p, &one, 0, &of_one), PINHOLE_GRANTED);
	cr_assert_eq(p->datagram, 2);
	const struct sock_address even = {GUEST, 2000}, odd = {GUEST, 2001}, next = {GUEST, 2002},
				  behind = {GUEST, 2003}, other = {GUEST + 1, 2000};
	cr_assert_eq(pinhole_admits(p, &even, PEER, true), of_pair);
	cr_assert_eq(pinhole_admits(p, &odd, PEER, true), of_pair);
	cr_assert_eq(pinhole_admits(p, &next, PEER, true), of_one);
	cr_assert_eq(pinhole_admits(p, &behind, PEER, true), PINHOLE_NONE);
	cr_assert_eq(pinhole_admits(p, &other, PEER, true), PINHOLE_NONE);
	cr_assert_eq(pinhole_admits(p, &even, PEER + 1, true), PINHOLE_NONE);
	cr_assert(pinhole_use(p, of_pair, PEER, true));
	cr_assert_not(pinhole_use(p, of_pair, PEER, true));
	cr_assert_eq(pinhole_admits(p, &odd, PEER, true), of_pair, "not for one datagram only");
	cr_assert_eq(pinhole_expired(p, 1000 * second), of_one, "what is used has no clock");
	pinhole_close(p, of_one);
	cr_assert_eq(pinhole_expired(p, 1000 * second), PINHOLE_NONE);
	pinhole_close(p, of_pair);
	cr_assert_eq(pinhole_admits(p, &even, PEER, true), PINHOLE_NONE);
	cr_assert_eq(p->datagram, 0);
	free(p);
}

Test(pinhole, a_latent_one_lets_nobody_in_and_is_armed_once)
{
	struct pinholes *p = fresh();
	struct pinhole_request r = wish_of(ALGS_RTSP, PINHOLE_UDP_ONE, 1, 2000);
	const struct sock_address guest = {GUEST, 2000};
	uint32_t ref;
	r.latent = true;
	cr_assert_eq(pinhole_open(p, &r, 0, &ref), PINHOLE_GRANTED);
	cr_assert_eq(pinhole_admits(p, &guest, PEER, true), PINHOLE_NONE);
	cr_assert_eq(p->entry[ref].expires_ns, 60 * second);
	cr_assert(arm(p, ref, 50 * second));
	cr_assert_eq(pinhole_admits(p, &guest, PEER, true), ref);
	cr_assert_not(arm(p, ref, 100 * second));
	cr_assert_eq(p->entry[ref].expires_ns, 110 * second);
	cr_assert_eq(pinhole_expired(p, 109 * second), PINHOLE_NONE);
	cr_assert_eq(pinhole_expired(p, 110 * second), ref);
	free(p);
}

Test(pinhole, what_is_pretended_is_judged_and_leaves_nothing)
{
	struct pinholes *p = fresh();
	struct pinhole_request r = wish(FLOW, 1, 2000);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(pinhole_pretend(p, &r, 0), PINHOLE_GRANTED);
	r.guest_port = 22;
	cr_assert_eq(pinhole_pretend(p, &r, 0), PINHOLE_BAD_PORT);
	cr_assert_eq(p->live, 0);
	cr_assert_eq(p->count[ALGS_FTP].granted, 3);
	cr_assert_eq(p->count[ALGS_FTP].refused, 1);
	r.guest_port = 2000;
	for (int i = 0; i < pinhole_share(PINHOLE_COMMON)->rate - 4; i++)
		pinhole_pretend(p, &r, 0);
	cr_assert_eq(pinhole_pretend(p, &r, 0), PINHOLE_TOO_FAST);
	free(p);
}

Test(pinhole, what_cannot_be_had_is_counted_as_refused)
{
	struct pinholes *p = fresh();
	const struct pinhole_request r = wish(FLOW, 1, 2000);
	uint32_t ref;
	cr_assert_eq(pinhole_open(p, &r, 0, &ref), PINHOLE_GRANTED);
	pinhole_take_back(p, ref);
	cr_assert_eq(p->count[ALGS_FTP].granted, 0);
	cr_assert_eq(p->count[ALGS_FTP].refused, 1);
	cr_assert_eq(p->live, 0);
	cr_assert_eq(ask(p, &r, 0), PINHOLE_GRANTED);
	free(p);
}

Test(pinhole, one_pending_for_a_flow_and_no_token_twice)
{
	struct pinholes *p = fresh();
	struct pinhole_request r = wish(FLOW, 1, 2000);
	cr_assert_eq(ask(p, &r, 0), PINHOLE_GRANTED);
	cr_assert_eq(ask(p, &r, 0), PINHOLE_TOKEN_USED);
	r.token = 2;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_FLOW_QUOTA);
	pinhole_close(p, pinhole_of_flow(p, FLOW));
	cr_assert_eq(ask(p, &r, 0), PINHOLE_GRANTED);
	free(p);
}

Test(pinhole, a_storm_is_stopped_by_the_rate_and_reconnecting_does_not_help)
{
	struct pinholes *p = fresh();
	unsigned int granted = 0, fast = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		const struct pinhole_request r = wish(i, 1, 2000);
		const enum pinhole_refusal why = ask(p, &r, second);
		granted += why == PINHOLE_GRANTED;
		fast += why == PINHOLE_TOO_FAST;
		if (why == PINHOLE_GRANTED)
			pinhole_close(p, pinhole_of_flow(p, i));
	}
	cr_assert_eq(granted, pinhole_share(PINHOLE_COMMON)->rate);
	cr_assert_eq(fast, 1000 - pinhole_share(PINHOLE_COMMON)->rate);
	const struct pinhole_request later = wish(5000, 1, 2000);
	cr_assert_eq(ask(p, &later, second + second / 40), PINHOLE_GRANTED, "one token has grown");
	cr_assert_eq(ask(p, &later, second + second / 40), PINHOLE_TOO_FAST);
	free(p);
}

Test(pinhole, a_guest_holds_at_most_its_quota)
{
	struct pinholes *p = fresh();
	for (uint32_t i = 0; i < pinhole_share(PINHOLE_COMMON)->most; i++) {
		const struct pinhole_request r = wish(i, 1, 2000);
		cr_assert_eq(ask(p, &r, i * second), PINHOLE_GRANTED);
	}
	struct pinhole_request r = wish(9999, 1, 2000);
	cr_assert_eq(ask(p, &r, 9999 * second), PINHOLE_GUEST_QUOTA);
	r.guest_ip_be = GUEST + 1;
	cr_assert_eq(ask(p, &r, 9999 * second), PINHOLE_GRANTED);
	free(p);
}

Test(pinhole, the_hub_holds_at_most_its_quota)
{
	struct pinholes *p = fresh();
	struct pinhole_request r = wish(99999, 1, 2000);
	p->places = PINHOLE_HUB_MAX - 1;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_GRANTED, "who has none gets the last one");
	r = wish(99998, 1, 2000);
	r.guest_ip_be = GUEST + 1;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_HUB_QUOTA);
	pinhole_close(p, pinhole_of_flow(p, 99999));
	cr_assert_eq(ask(p, &r, 0), PINHOLE_GRANTED);
	free(p);
}

/* What a guest gets that asks for as much as there is to be had, each time in a flow of its own. */
static uint32_t places_got(struct pinholes *p, uint32_t guest_ip_be, uint32_t pairs)
{
	struct pinhole_request r = wish_of(ALGS_SIP, PINHOLE_UDP_PAIR, 1, 0);
	uint32_t n = 0;
	r.pairs = pairs;
	r.guest_ip_be = guest_ip_be;
	do {
		r.flow = guest_ip_be << 16 | n++;
		r.guest_port = 20000 + 8 * (n % 4000);
	} while (ask(p, &r, (uint64_t)n * second) == PINHOLE_GRANTED);
	cr_assert_eq(ask(p, &r, (uint64_t)n * second), PINHOLE_GUEST_QUOTA);
	return (n - 1) * pairs;
}

Test(pinhole, a_guest_has_as_many_as_it_leaves_free)
{
	struct pinholes *p = fresh();
	cr_assert_eq(places_got(p, 1, 1), 4096);
	cr_assert_eq(places_got(p, 2, 4), 2048, "several pairs count as so many");
	cr_assert_eq(places_got(p, 3, 1), 1024);
	cr_assert_eq(places_got(p, 4, 1), 512);
	cr_assert_eq(p->places, 4096 + 2048 + 1024 + 512);
	for (uint32_t ref; (ref = pinhole_next(p, PINHOLE_NONE));)
		pinhole_close(p, ref);
	cr_assert_eq(p->places, 0);
	cr_assert_eq(places_got(p, 2, 4), 4096);
	free(p);
}

Test(pinhole, life_is_bounded_and_ends)
{
	struct pinholes *p = fresh();
	struct pinhole_request r = wish(FLOW, 1, 2000);
	r.life_ms = UINT32_MAX;
	uint32_t ref, other;
	pinhole_open(p, &r, second, &ref);
	r = wish(FLOW + 1, 1, 2000);
	r.life_ms = 5000;
	pinhole_open(p, &r, second, &other);
	cr_assert_eq(p->entry[ref].expires_ns, 31 * second);
	cr_assert_eq(pinhole_deadline(p), 6 * second);
	cr_assert_eq(pinhole_expired(p, 6 * second - 1), PINHOLE_NONE);
	cr_assert_eq(pinhole_expired(p, 6 * second), other);
	pinhole_close(p, other);
	cr_assert_eq(pinhole_expired(p, 6 * second), PINHOLE_NONE);
	cr_assert_eq(pinhole_deadline(p), 31 * second);
	cr_assert_eq(pinhole_expired(p, 31 * second), ref);
	free(p);
}

Test(pinhole, one_connection_and_only_from_the_peer)
{
	struct pinholes *p = fresh();
	const struct pinhole_request r = wish(FLOW, 1, 2000);
	uint32_t ref;
	pinhole_open(p, &r, 0, &ref);
	bool first;
	cr_assert_not(pinhole_admit(p, ref, PEER + 1, &first));
	cr_assert(pinhole_admit(p, ref, PEER, &first) && first);
	cr_assert_not(pinhole_admit(p, ref, PEER, &first));
	free(p);
}

Test(pinhole, more_guests_than_entries_are_refused_until_one_is_idle)
{
	struct pinholes *p = fresh();
	for (uint32_t i = 0; i < PINHOLE_GUESTS; i++) {
		struct pinhole_request r = wish(i, 1, 2000);
		r.guest_ip_be = i + 1;
		cr_assert_eq(ask(p, &r, second), PINHOLE_GRANTED);
	}
	struct pinhole_request r = wish(77777, 1, 2000);
	r.guest_ip_be = 77777;
	cr_assert_eq(ask(p, &r, second), PINHOLE_GUEST_QUOTA);
	pinhole_close(p, pinhole_of_flow(p, 3));
	cr_assert_eq(ask(p, &r, second), PINHOLE_GUEST_QUOTA, "its bucket is not full yet");
	cr_assert_eq(ask(p, &r, 3 * second), PINHOLE_GRANTED);
	free(p);
}
