/*
 * What dialogues in tests have in common: a flow for each test with a call of either side, and the steps of nearly every call.
 */
#ifndef NATLOCK_TESTS_ALG_SIP_STEPS_H
#define NATLOCK_TESTS_ALG_SIP_STEPS_H

#include "sip_talk.h"

static struct harness *h;
static struct call ours, theirs; /* that the guest begins, and the far end */

/* .init and .fini of the suite. */
static inline void begin(void)
{
	h = talk_begin();
	ours = talk_call(h, ALG_GUEST, "1@pc");
	theirs = talk_call(h, ALG_OUTSIDE, "1@provider");
}

static inline void end(void)
{
	harness_free(h);
}

static inline void begin_again(void)
{
	end();
	begin();
}

/* Offers, and answers with this status: the guest's with a port of its own, the far end's with an address. */
static inline void guest_invites(
	struct call *c, unsigned int number, const char *fork, unsigned int port)
{
	ask(c, ALG_GUEST, "INVITE", number, fork, talk_sdp(GUEST, port));
}

static inline void guest_answers(struct call *c, unsigned int status, unsigned int number,
	const char *fork, unsigned int port)
{
	reply(c, ALG_GUEST, status, "INVITE", number, fork, talk_sdp(GUEST, port));
}

static inline void far_invites(
	struct call *c, unsigned int number, const char *fork, const char *address)
{
	ask(c, ALG_OUTSIDE, "INVITE", number, fork, talk_sdp(address, 6000));
}

static inline void far_answers(struct call *c, unsigned int status, unsigned int number,
	const char *fork, const char *address)
{
	reply(c, ALG_OUTSIDE, status, "INVITE", number, fork, talk_sdp(address, 6000));
}

/* BYE and its 200. */
static inline void hangs_up(
	struct call *c, enum alg_direction from, unsigned int number, const char *fork)
{
	ask(c, from, "BYE", number, fork, NULL);
	reply(c, (enum alg_direction) !from, 200, "BYE", number, fork, NULL);
}

/* What was said so far is forgotten, so that there is room for more. */
static inline void forget(void)
{
	for (int way = 0; way < 2; way++) {
		h->way[way].in_bytes = h->way[way].passed = h->way[way].out_bytes = 0;
		h->flow.side[way].at = 0;
	}
	h->wishes = h->acts = h->answered = 0;
}

/* Nothing is known of any call of the flow. */
static inline void expect_no_calls(void)
{
	cr_expect_eq(harness_calls()->flow[h->flow.view.id].calls, 0);
}

#endif
