/* SIP (RFC 3261): its row in the table. What it says passes as it is. */
#include "protocols.h"

static size_t sip_frame(const void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen)
{
	return n;
}

static void sip_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	a->result = ALG_DONE;
	a->why = "not read";
}

const struct alg_protocol sip_protocol = {
	.name = "sip",
	.alg = ALGS_SIP,
	.transports = ALGS_TCP | ALGS_UDP,
	.message_max = ALG_MESSAGE_MAX,
	.frame = sip_frame,
	.message = sip_message,
};
