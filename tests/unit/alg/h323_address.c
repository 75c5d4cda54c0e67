/* Transport addresses: whose they are, and what stands in their place. */
#include "h323_address.h"

#include "h323_messages.h"
#include "maps.h"

static struct alg_answer answer;
static struct h323_calls *calls;
static struct maps maps;

/* What becomes of an address that this side says; NULL: it stays. */
static const uint8_t *translated(
	enum alg_direction from, const char *address, unsigned int port, uint8_t transports)
{
	static struct octets o;
	static struct alg_flow f;
	static struct h323_talk t;
	const struct h323_mark mark = {.at = 2, .bytes = 6};
	o = octets("ffff%sffff", six(address, port));
	f = harness_client(1719, 40000, 1719);
	f.h323 = calls;
	f.maps = &maps;
	memset(&answer, 0, sizeof(answer));
	h323_talk_begin(&t, &f, from, o.p, &answer);
	h323_address_translate(&t, &mark, transports);
	cr_assert_leq(answer.edit_count, 1);
	if (!answer.edit_count)
		return NULL;
	cr_expect(answer.edit[0].at == 2 && answer.edit[0].old_bytes == 6 &&
		  answer.edit[0].bytes == 6);
	return answer.edit[0].text;
}

static void expect(enum alg_direction from, uint8_t transports, const char *address,
	unsigned int port, const char *as, unsigned int as_port)
{
	const uint8_t *got = translated(from, address, port, transports);
	const struct octets want = hex(six(as, as_port));
	cr_expect(got && !memcmp(got, want.p, want.n), "%s:%u is not %s:%u", address, port, as,
		as_port);
}

static void expect_stays(
	enum alg_direction from, uint8_t transports, const char *address, unsigned int port)
{
	cr_expect_null(translated(from, address, port, transports), "%s:%u", address, port);
}

/* A service of the guest's, 1720 as 40001; 192.168.30.50 is 203.0.113.50. */
static void set_up(void)
{
	const struct alg_flow f = harness_client(1719, 40000, 1719);
	calls = malloc(sizeof(*calls));
	h323_calls_init(calls, &(const struct hash_key){1, 2});
	struct h323_call *c = h323_calls_take(calls, &f, ALG_GUEST, H323_REFERENCES);
	struct h323_opening *o =
		h323_calls_opening(calls, c, h323_calls_open(calls, c, &f, ALG_GUEST));
	o->kind = ALG_TCP_SERVICE;
	o->guest_port = 1720;
	h323_calls_granted(calls, o, &(const struct alg_grant){ip(OUTSIDE_IP), 40001});
	maps_clear(&maps);
	maps_add(&maps, ip("192.168.30.50"), ip("203.0.113.50"), 0);
}

TestSuite(h323_address, .init = set_up);

Test(h323_address, the_guests_becomes_the_outside_one)
{
	expect(ALG_GUEST, ALGS_TCP, GUEST_IP, 1720, OUTSIDE_IP, 40001);
	expect(ALG_GUEST, ALGS_UDP, GUEST_IP, 1719, OUTSIDE_IP, 40000);
	expect(ALG_GUEST, ALGS_TCP, GUEST_IP, 1719, OUTSIDE_IP, 1719); /* its flow is of UDP */
	expect(ALG_GUEST, ALGS_UDP, GUEST_IP, 1720, OUTSIDE_IP, 1720);
	expect(ALG_GUEST, ALGS_TCP | ALGS_UDP, GUEST_IP, 1720, OUTSIDE_IP, 40001);
}

Test(h323_address, the_outside_one_becomes_the_guests_where_it_was_said_so)
{
	expect(ALG_OUTSIDE, ALGS_TCP, OUTSIDE_IP, 40001, GUEST_IP, 1720);
	expect(ALG_OUTSIDE, ALGS_UDP, OUTSIDE_IP, 40000, GUEST_IP, 1719);
	expect_stays(ALG_OUTSIDE, ALGS_UDP, OUTSIDE_IP, 40001);
	expect_stays(ALG_OUTSIDE, ALGS_TCP, OUTSIDE_IP, 40000);
	expect_stays(ALG_OUTSIDE, ALGS_TCP, OUTSIDE_IP, 40003);
	expect_stays(ALG_OUTSIDE, ALGS_TCP, GUEST_IP, 1720);
}

Test(h323_address, static_addresses_keep_their_ports)
{
	expect(ALG_GUEST, ALGS_TCP, "192.168.30.50", 9, "203.0.113.50", 9);
	expect(ALG_OUTSIDE, ALGS_UDP, "203.0.113.50", 9, "192.168.30.50", 9);
	expect_stays(ALG_OUTSIDE, ALGS_UDP, "192.168.30.50", 9);
	expect_stays(ALG_GUEST, ALGS_UDP, "203.0.113.50", 9);
}

Test(h323_address, anybody_elses_stays)
{
	expect_stays(ALG_GUEST, ALGS_TCP, PEER_IP, 1720);
	expect_stays(ALG_GUEST, ALGS_TCP, OTHER_IP, 1720);
	expect_stays(ALG_OUTSIDE, ALGS_TCP, PEER_IP, 1720);
}
