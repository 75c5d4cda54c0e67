/* The rules that no ALG can bend. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "pinhole.h"

static const uint64_t second = 1000000000;
enum { GUEST = 10, PEER = 77, FLOW = 5 };

static struct pinholes *fresh(void)
{
	const struct hash_key key = {5, 6};
	struct pinholes *p = calloc(1, sizeof(*p));
	pinhole_init(p, &key);
	return p;
}

static struct pinhole_request wish(uint32_t flow, uint32_t token, uint32_t port)
{
	return (struct pinhole_request){.flow = flow,
		.token = token,
		.alg = ALGS_FTP,
		.kind = PINHOLE_TCP_LISTEN,
		.guest_ip_be = GUEST,
		.guest_port = port,
		.control_peer_ip_be = PEER};
}

static enum pinhole_refusal ask(struct pinholes *p, const struct pinhole_request *r, uint64_t now)
{
	uint32_t ref;
	return pinhole_open(p, r, now, &ref);
}

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
	}
	cr_assert_eq(p->live, 0);
	free(p);
}

Test(pinhole, the_peer_is_the_control_connections_peer)
{
	struct pinholes *p = fresh();
	struct pinhole_request r = wish(FLOW, 1, 2000);
	r.peer_ip_be = PEER + 1;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_BAD_PEER);
	r.peer_ip_be = PEER;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_GRANTED);
	free(p);
}

Test(pinhole, datagram_doors_are_not_ftps)
{
	struct pinholes *p = fresh();
	struct pinhole_request r = wish(FLOW, 1, 2000);
	r.kind = PINHOLE_UDP_ONE;
	cr_assert_eq(ask(p, &r, 0), PINHOLE_BAD_KIND);
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
	cr_assert_eq(granted, PINHOLE_RATE);
	cr_assert_eq(fast, 1000 - PINHOLE_RATE);
	const struct pinhole_request later = wish(5000, 1, 2000);
	cr_assert_eq(ask(p, &later, second + second / 40), PINHOLE_GRANTED, "one token has grown");
	cr_assert_eq(ask(p, &later, second + second / 40), PINHOLE_TOO_FAST);
	free(p);
}

Test(pinhole, a_guest_holds_at_most_its_quota)
{
	struct pinholes *p = fresh();
	for (uint32_t i = 0; i < PINHOLE_GUEST_MAX; i++) {
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
	for (uint32_t i = 0; i < PINHOLE_HUB_MAX; i++) {
		struct pinhole_request r = wish(i, 1, 2000);
		r.guest_ip_be = i % 64;
		cr_assert_eq(ask(p, &r, i * second), PINHOLE_GRANTED);
	}
	struct pinhole_request r = wish(99999, 1, 2000);
	r.guest_ip_be = 1000;
	cr_assert_eq(ask(p, &r, 99999 * second), PINHOLE_HUB_QUOTA);
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
	cr_assert_not(pinhole_admit(p, ref, PEER + 1));
	cr_assert(pinhole_admit(p, ref, PEER));
	cr_assert_not(pinhole_admit(p, ref, PEER));
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
