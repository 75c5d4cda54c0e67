/* Ports that a telephone says by SCCP beforehand: one for all calls, and those that a manager asks for. */
#include "skinny_steps.h"

Test(skinny_ports, a_port_for_all_calls_is_kept_and_not_open)
{
	struct harness *h = registered_as(phone_view(), GRANT, 0);
	say(h, ALG_GUEST, WORDS(0x02, 0, 16384));
	expect(h, ALG_GUEST, WORDS(0x02, 0, 40000));
	cr_assert_eq(h->wishes, 1);
	cr_expect(h->wish[0].latent && h->wish[0].kind == ALG_UDP_PAIR);
	say(h, ALG_GUEST, WORDS(0x02, 0, 16384));
	expect(h, ALG_GUEST, WORDS(0x02, 0, 40000));
	cr_expect_eq(h->acts, 0);
	say(h, ALG_OUTSIDE, ask(0, 0, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 0, 0, GUEST, 16384, 6));
	cr_expect_eq(h->wishes, 2);
	cr_expect_not(h->wish[1].latent);
	say(h, ALG_OUTSIDE, start(0x8a, 0, 0, 5, 6, FAR, 20000));
	expect_act(h, ALG_ARM, 2, FAR);
	forget(h);
	pass(h, ALG_GUEST, WORDS(0x02, 0, 80));
	harness_free(h);
}

Test(skinny_ports, ports_that_are_asked_for_beforehand)
{
	struct harness *h = registered();
	pass(h, ALG_OUTSIDE, WORDS(0x14b, 20, 5, 77, 6, 1, 0, 1));
	say(h, ALG_GUEST, port_res(GUEST, 16384, 16385));
	expect_wish(h, 0, ALG_UDP_PAIR, 16384, MANAGER);
	expect(h, ALG_GUEST, port_res(OUTSIDE, 40000, 40001));
	say(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, FAR, 20000));
	expect_act(h, ALG_ARM, 1, FAR);
	say(h, ALG_OUTSIDE, WORDS(0x14c, 20, 5, 77, 6, 1));
	expect_act(h, ALG_CLOSE, 1, NULL);
	harness_free(h);
}

/* Unlike OpenReceiveChannelAck, PortRes says it. */
Test(skinny_ports, another_conference_has_not_asked_for_them)
{
	struct harness *h = registered();
	pass(h, ALG_OUTSIDE, WORDS(0x14b, 20, 4, 77, 6, 1, 0, 1));
	pass(h, ALG_GUEST, port_res(GUEST, 16384, 16385));
	harness_free(h);
}

Test(skinny_ports, rtcp_elsewhere_stays_as_it_is)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, WORDS(0x14b, 20, 5, 77, 6, 1, 0, 1));
	say(h, ALG_GUEST, port_res(GUEST, 16384, 0));
	expect(h, ALG_GUEST, port_res(OUTSIDE, 40000, 0));
	say(h, ALG_GUEST, port_res(GUEST, 16384, 16384));
	expect(h, ALG_GUEST, port_res(OUTSIDE, 40000, 16384));
	say(h, ALG_GUEST, port_res(GUEST, 16385, 16386));
	expect_wish(h, 1, ALG_UDP_ONE, 16385, MANAGER);
	expect(h, ALG_GUEST, port_res(OUTSIDE, 40002, 16386));
	harness_free(h);
}

Test(skinny_ports, a_port_of_tcp_is_not_opened)
{
	struct harness *h = registered();
	pass(h, ALG_OUTSIDE, WORDS(0x14b, 20, 5, 77, 6, 3, 0, 5));
	pass(h, ALG_GUEST, port_res(GUEST, 16384, 0));
	harness_free(h);
}
