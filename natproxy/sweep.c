/*
 * Theory of operation. A walk over the session table by reference: what is opened meanwhile has a
 * higher number than the one noted at the beginning and is left alone, what is closed is not met.
 * A second reason while a walk is under way joins the first, and the walk begins again; how young a
 * session may be to be ended by an order stays as the order found it.
 */
#include "sweep.h"

#include "dgram.h"

enum { SESSIONS_A_TURN = 512, NUMBER_BITS = 65536 };

static void end_session(struct natproxy *np, uint32_t ref, const char *why)
{
	struct flow *f = flow_live(np, nat_session(&np->nat, ref)->flow);
	if (f->kind == FLOW_TCP)
		natproxy_end_flow(np, f, why);
	else
		dgram_ended(np, f, ref, why);
}

/* The address from which the flow speaks, 0 when it is the kernel's to choose for each datagram. */
static uint32_t local_address(struct natproxy *np, const struct flow *f)
{
	struct sock_address at = f->outside;
	if (!at.ip_be && f->kind == FLOW_TCP && f->fd >= 0 && sock_local(np->sock, f->fd, &at))
		return 0;
	return at.ip_be;
}

static bool is_homeless(struct natproxy *np, const struct flow *f)
{
	const uint32_t ip_be = local_address(np, f);
	return ip_be && !np->access.own_partial && !access_is_local(&np->access, ip_be);
}

static const char *why_ended(struct natproxy *np, const struct nat_session *s, const struct flow *f)
{
	const unsigned int reasons = np->sweep.reasons;
	const bool older = (int32_t)(s->number - np->sweep.up_to) <= 0;
	if (reasons & SWEEP_ORDERED && older)
		return "ended by the operator";
	if (reasons & SWEEP_SWITCHED && older)
		return "the NAT was switched off";
	if (reasons & SWEEP_ADDRESS && is_homeless(np, f))
		return "its outside address is gone";
	if (reasons & SWEEP_DEVICE && f->fd >= 0 && sock_stranded(np->sock, f->fd))
		return "its device is gone";
	return NULL;
}

void sweep_begin(struct natproxy *np, enum sweep_reason why)
{
	struct sweep *w = &np->sweep;
	w->reasons = (w->running ? w->reasons : 0) | why;
	w->running = true;
	w->at = NAT_NONE;
	if (why & (SWEEP_ORDERED | SWEEP_SWITCHED))
		w->up_to = np->nat.last_number;
}

bool sweep_turn(struct natproxy *np)
{
	struct sweep *w = &np->sweep;
	for (uint32_t n = 0; w->running && n < SESSIONS_A_TURN; n++) {
		w->at = nat_next(&np->nat, w->at);
		w->running = w->at != NAT_NONE;
		if (!w->running)
			break;
		const struct nat_session *s = nat_session(&np->nat, w->at);
		const char *why = why_ended(np, s, flow_live(np, s->flow));
		if (why)
			end_session(np, w->at, why);
	}
	return w->running;
}

static bool is_among(uint32_t wanted, const uint32_t *number, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (number[i] == wanted)
			return true;
	return false;
}

uint32_t sweep_numbers(struct natproxy *np, const uint32_t *number, size_t count)
{
	uint8_t maybe[NUMBER_BITS / 8] = {
		0}; /* by the low bits: nearly all others are passed over at once */
	uint32_t ref = NAT_NONE, ended = 0;
	for (size_t i = 0; i < count; i++)
		maybe[number[i] % NUMBER_BITS / 8] |= (uint8_t)(1U << number[i] % 8);
	while ((ref = nat_next(&np->nat, ref))) {
		const uint32_t n = nat_session(&np->nat, ref)->number;
		if (!(maybe[n % NUMBER_BITS / 8] & 1U << n % 8) || !is_among(n, number, count))
			continue;
		end_session(np, ref, "ended by the operator");
		ended++;
	}
	return ended;
}
