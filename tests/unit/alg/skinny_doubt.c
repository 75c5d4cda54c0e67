/* What SCCP says and is not believed: no port is opened for it. */
#include "skinny_steps.h"

static void expect_no_wish(struct harness *h, struct bytes b)
{
	forget(h);
	pass(h, ALG_GUEST, b);
	harness_free(h);
}

Test(skinny_doubt, nothing_is_opened_that_was_not_asked_for)
{
	expect_no_wish(registered(), receiving(0x22, 20, 20, GUEST, 16384, 6));
	expect_no_wish(registered(), sending(0x154, 20, 20, 5, 6, GUEST, 16384));
	expect_no_wish(registered(), port_res(GUEST, 16384, 16385));
	expect_no_wish(asked(), receiving(0x22, 20, 20, GUEST, 16384, 7));
	expect_no_wish(asked(), receiving(0x31, 20, 20, GUEST, 16384, 6));
	expect_no_wish(asked(), port_res(GUEST, 16384, 16385));
	struct harness *h = asked();
	say(h, ALG_OUTSIDE, over(0x106, 5, 6));
	expect_no_wish(h, receiving(0x22, 20, 20, GUEST, 16384, 6));
}

Test(skinny_doubt, nor_for_others_nor_where_others_live)
{
	expect_no_wish(asked(), receiving(0x22, 20, 20, "192.168.30.11", 16384, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 20, OUTSIDE, 16384, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 20, "0.0.0.0", 16384, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 20, GUEST, 1023, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 20, GUEST, 0, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 20, GUEST, 65536, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 20, GUEST, 0x10000 + 16384, 6));
	struct bytes failed = receiving(0x22, 20, 20, GUEST, 16384, 6);
	failed.p[12] = 1;
	expect_no_wish(asked(), failed);
}

/* By the form of another version the address is none of the guest's. */
Test(skinny_doubt, nor_in_the_form_of_another_version)
{
	expect_no_wish(asked(), receiving(0x22, 11, 20, GUEST, 16384, 6));
	expect_no_wish(asked(), receiving(0x22, 20, 11, GUEST, 16384, 6));
}

Test(skinny_doubt, nor_before_the_registration_nor_after_one_that_nobody_took)
{
	struct harness *h = harness_new(&skinny_protocol, phone_view(), GRANT);
	say(h, ALG_GUEST, WORDS(0x00, 0, 0));
	say(h, ALG_OUTSIDE, register_ack(20));
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	say(h, ALG_GUEST, station_register(GUEST, 20));
	say(h, ALG_OUTSIDE, WORDS(0x9d, 0, 0));
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	cr_expect_eq(h->wishes, 0);
	cr_expect_not(h->gave_up);
	harness_free(h);
}

Test(skinny_doubt, nor_while_it_registers_anew)
{
	struct harness *h = asked();
	say(h, ALG_GUEST, station_register(GUEST, 20));
	forget(h);
	pass(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	say(h, ALG_OUTSIDE, register_ack(20));
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	cr_expect_eq(h->wishes, 1);
	harness_free(h);
}

static void expect_version(unsigned int offered, unsigned int taken, unsigned int version)
{
	struct harness *h = harness_new(&skinny_protocol, phone_view(), GRANT);
	say(h, ALG_GUEST, station_register(GUEST, offered));
	say(h, ALG_OUTSIDE, register_ack(taken));
	say(h, ALG_OUTSIDE, ask(version, 0, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, version, 0, GUEST, 16384, 6));
	cr_expect_eq(h->wishes, 1, "%u and %u make %u", offered, taken, version);
	harness_free(h);
}

/* Asterisk's RegisterAck has the character 0 for a version, those of the first managers have none. */
Test(skinny_doubt, the_lower_version_counts)
{
	expect_version(22, 17, 17);
	expect_version(20, 11, 11);
	expect_version(11, 20, 11);
	expect_version(17, '0', 17);
	expect_version(11, '0', 11);
	expect_version(17, 0, 17);
	expect_version(16, 17, 16);
}

Test(skinny_doubt, a_second_answer_does_not_change_it)
{
	struct harness *h = registered_as(phone_view(), GRANT, 17);
	say(h, ALG_OUTSIDE, register_ack(3));
	say(h, ALG_OUTSIDE, ask(17, 0, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 17, 0, GUEST, 16384, 6));
	cr_expect_eq(h->wishes, 1);
	harness_free(h);
}
