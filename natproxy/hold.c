/*
 * What alg wants held open (FlowHold): a session that ends because nobody spoke for a while would not be found by a far end that
 * was told that it may be silent for longer, as a registrar is. natproxy decides by the ALG's rule who may and for how long; the
 * session stays the guest's, counts as any other, and ends with its flow.
 */
#include "inspect.h"
#include "log.h"
#include "natproxy.h"
#include "pinhole_rules.h"
#include "sessionlog.h"

enum { MS_NS = 1000000, IP_TEXT = 16 };

static void say(struct natproxy *np, const struct inspect_subject *s, uint32_t ms)
{
	char event[] = "session_held", guest[IP_TEXT];
	const struct nat_session *session = nat_session(&np->nat, s->session);
	Nl__EventRow e = NL__EVENT_ROW__INIT;
	e.event = event;
	e.has_session = true;
	e.session = session->number;
	natproxy_event(np, &e,
		"SecureNAT: The %s session %u is held open. Protocol %s, guest %s:%u, for %u "
		"seconds",
		nat_protocol_name((enum nat_protocol)session->protocol), session->number,
		algs_name(s->alg), log_ip(guest, s->guest.ip_be), s->guest.port, ms / 1000);
}

static void refuse(struct natproxy *np, const struct inspect_subject *s)
{
	char event[] = "session_hold_refused", reason[] = "this protocol's sessions are not held";
	const uint32_t number = nat_session(&np->nat, s->session)->number;
	Nl__EventRow e = NL__EVENT_ROW__INIT;
	drop_count(np->drops, DROP_PINHOLE_REFUSED);
	if (!sessionlog_may_refuse(np))
		return;
	e.event = event;
	e.reason = reason;
	e.has_session = true;
	e.session = number;
	natproxy_event(np, &e,
		"SecureNAT: The session %u is not held open: %s. Protocol %s", number, reason,
		algs_name(s->alg));
}

int natproxy_on_flow_hold(struct natproxy *np, const Nl__FlowHold *m, struct chan_in *in)
{
	struct inspect_subject s;
	if (!inspect_find(np, m->flow, &s) || s.observe)
		return 0;
	const uint32_t most = pinhole_rule(s.alg)->hold_ms;
	const uint32_t ms = m->milliseconds < most ? m->milliseconds : most;
	const bool said = nat_session(&np->nat, s.session)->held_ns != 0;
	if (!most) {
		refuse(np, &s);
		return 0;
	}
	if (!ms)
		return 0;
	nat_hold(&np->nat, s.session, np->now_ns + (uint64_t)ms * MS_NS);
	if (!said)
		say(np, &s, ms);
	return 0;
}
