/* How much of SCCP a flow keeps, and what makes room. */
#include "skinny_steps.h"

Test(skinny_limits, four_openings_a_call)
{
	struct harness *h = registered();
	for (uint32_t i = 0; i < 5; i++) {
		say(h, ALG_OUTSIDE, ask(20, 20, 5, i, FAR));
		say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384 + 2 * i, i));
	}
	cr_expect_eq(h->wishes, 4);
	cr_expect_eq(h->notes, 1);
	say(h, ALG_OUTSIDE, over(0x106, 5, 2));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16392, 4));
	cr_expect_eq(h->wishes, 5);
	harness_free(h);
}

/* Also where it names a port that another stream has. */
Test(skinny_limits, what_there_is_no_room_for_stays_as_it_is)
{
	struct harness *h = registered();
	for (uint32_t i = 0; i < 4; i++) {
		say(h, ALG_OUTSIDE, ask(20, 20, 5, i, FAR));
		say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384 + 2 * i, i));
	}
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 4, FAR));
	forget(h);
	pass(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16392, 4));
	pass(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 4));
	cr_expect_eq(h->notes, 2);
	harness_free(h);
}

Test(skinny_limits, sixteen_openings_a_flow_and_all_can_be_closed_at_once)
{
	struct harness *h = registered();
	for (uint32_t i = 0; i < 17; i++) {
		say(h, ALG_OUTSIDE, ask(20, 20, i, i, FAR));
		say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384 + 2 * i, i));
	}
	cr_expect_eq(h->wishes, 16);
	say(h, ALG_OUTSIDE, WORDS(0x118, 20, 0));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 16);
	harness_free(h);
}

/* A manager that never takes anything back loses what is oldest, not what is open. */
Test(skinny_limits, old_streams_make_room)
{
	struct harness *h = registered();
	say(h, ALG_OUTSIDE, ask(20, 20, 1, 1, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 1));
	for (uint32_t i = 2; i < 200; i++) {
		h->flow.view.now_ms += 1000;
		say(h, ALG_OUTSIDE, ask(20, 20, i, i, FAR));
		say(h, ALG_OUTSIDE, start(0x8a, 20, 20, i, i, FAR, 20000));
	}
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16386, 100));
	cr_expect_eq(h->wishes, 1, "forgotten");
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16386, 199));
	cr_expect_eq(h->wishes, 2);
	h->acts = 0;
	say(h, ALG_OUTSIDE, over(0x106, 1, 1));
	expect_act(h, ALG_CLOSE, 1, NULL);
	harness_free(h);
}
