/* SCCP's other messages: addresses that are rewritten and open nothing, and what stays as it is. */
#include "skinny_steps.h"

static struct bytes token(uint32_t id, const char *station)
{
	struct bytes b = begin(id, 0);
	add_zeros(&b, 24);
	add_ip(&b, 0, station);
	add(&b, 7);
	return end(b);
}

static struct bytes resource(uint32_t id, const char *ip, uint32_t port, const char *node)
{
	struct bytes b = begin(id, 20);
	add(&b, 5);
	add(&b, 77);
	add(&b, 6);
	add_ip(&b, 20, ip);
	add(&b, port);
	add(&b, 1);
	add(&b, 2);
	add_ip(&b, 0, node);
	add_zeros(&b, 120);
	return end(b);
}

Test(skinny_addresses, addresses_that_open_nothing)
{
	struct harness *h = registered();
	say(h, ALG_GUEST, token(0x29, GUEST));
	expect(h, ALG_GUEST, token(0x29, OUTSIDE));
	say(h, ALG_GUEST, token(0x8000, GUEST));
	expect(h, ALG_GUEST, token(0x8000, OUTSIDE));
	pass(h, ALG_GUEST, failure(FAR, 20000));
	say(h, ALG_GUEST, failure(GUEST, 20000));
	expect(h, ALG_GUEST, failure(OUTSIDE, 20000));
	for (uint32_t id = 0x14d; id <= 0x151; id++) {
		say(h, ALG_GUEST, resource(id, GUEST, 20000, FAR));
		expect(h, ALG_GUEST, resource(id, OUTSIDE, 20000, FAR));
	}
	say(h, ALG_GUEST, resource(0x46, GUEST, 20000, GUEST));
	expect(h, ALG_GUEST, resource(0x46, OUTSIDE, 20000, GUEST));
	say(h, ALG_GUEST, resource(0x47, FAR, 20000, GUEST));
	expect(h, ALG_GUEST, resource(0x47, FAR, 20000, OUTSIDE));
	say(h, ALG_GUEST, resource(0x47, GUEST, 20000, GUEST));
	expect(h, ALG_GUEST, resource(0x47, OUTSIDE, 20000, OUTSIDE));
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

/* Whom the manager names is whom it means, be it the guest as others see it (both telephones are behind this gateway). */
Test(skinny_addresses, what_a_manager_outside_says_stays_as_it_is)
{
	struct harness *h = registered();
	const char *const far[] = {FAR, OUTSIDE, GUEST, "239.1.1.1"};
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	forget(h);
	for (int i = 0; i < 4; i++) {
		pass(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, far[i], 40000));
		pass(h, ALG_OUTSIDE, start(0x101, 20, 20, 5, 6, far[i], 40000));
		pass(h, ALG_OUTSIDE, start(0x102, 20, 20, 5, 6, far[i], 40000));
		pass(h, ALG_OUTSIDE, ask(20, 20, 5, 6, far[i]));
		pass(h, ALG_OUTSIDE, resource(0x14e, far[i], 40000, far[i]));
	}
	harness_free(h);
}

/* Statistics at the end of a call, and what nobody knows, whatever addresses they seem to hold. */
Test(skinny_addresses, other_messages_stay_as_they_are)
{
	static const uint32_t ids[] = {0x23, 0x107, 0x8f, 0x14a, 0x21, 0x161, 0x7777, 0xffffffff};
	struct harness *h = registered();
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		for (int from = 0; from < 2; from++) {
			struct bytes b = begin(ids[i], 20);
			for (int k = 0; k < 40; k++)
				add_ip(&b, 0, GUEST);
			pass(h, (enum alg_direction)from, end(b));
		}
	cr_expect_not(h->gave_up);
	harness_free(h);
}

Test(skinny_addresses, ipv6_is_left_alone)
{
	struct harness *h = registered();
	struct bytes b = receiving(0x22, 20, 20, GUEST, 16384, 6);
	for (uint8_t type = 1; type < 4; type++) {
		pass(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
		b.p[16] = type;
		pass(h, ALG_GUEST, b);
	}
	harness_free(h);
}
