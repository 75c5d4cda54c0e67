/*
 * Theory of operation. The seed's lines for each session (3.7.8), word for word, and lines of our own for what it leaves
 * out: why a session ended, how much it carried, and what was refused. Each goes with its parts, for
 * the styles that write them as fields.
 *
 * Refusals are a guest's to cause, so they have a budget: AT_ONCE lines, and one a second after that. What is
 * beyond is counted, and the next line tells of it.
 */
#include "sessionlog.h"

#include <stdio.h>

#include "log.h"

enum { IP_TEXT = 16, MORE_BYTES = 256, AT_ONCE = 20 };
static const uint64_t refusal_ns = 1000000000;

/* What the parts of an event point to. */
struct event_space {
	Nl__Address src, dst, outside;
	char name[32], proto[8], reason[128], host[DNSNAMES_BYTES], more[MORE_BYTES];
};

static void put_address(Nl__Address **to, Nl__Address *space, const struct sock_address *a)
{
	nl__address__init(space);
	space->has_ip_be = space->has_port = true;
	space->ip_be = a->ip_be;
	space->port = a->port;
	*to = space;
}

static void describe(Nl__EventRow *e, struct event_space *space, const char *name,
	enum nat_protocol protocol, const struct sock_address *guest,
	const struct sock_address *remote)
{
	nl__event_row__init(e);
	snprintf(space->name, sizeof(space->name), "%s", name);
	snprintf(space->proto, sizeof(space->proto), "%s", nat_protocol_word(protocol));
	e->event = space->name;
	e->proto = space->proto;
	put_address(&e->src, &space->src, guest);
	put_address(&e->dst, &space->dst, remote);
}

static void describe_session(
	Nl__EventRow *e, struct event_space *space, const char *name, const struct nat_session *s)
{
	describe(e, space, name, (enum nat_protocol)s->protocol, &s->guest, &s->remote);
	e->has_session = true;
	e->session = s->number;
}

static void put_reason(Nl__EventRow *e, struct event_space *space, const char *reason)
{
	snprintf(space->reason, sizeof(space->reason), "%s", reason);
	e->reason = space->reason;
}

void sessionlog_created(struct natproxy *np, const struct nat_session *s)
{
	char guest[IP_TEXT], remote[IP_TEXT];
	struct event_space space;
	Nl__EventRow e;
	if (!np->config.log_sessions)
		return;
	describe_session(&e, &space, "session_created", s);
	natproxy_event(np, &e,
		"SecureNAT: The %s session %u was created. Connection source %s:%u, Connection "
		"destination %s:%u",
		nat_protocol_name(s->protocol), s->number, log_ip(guest, s->guest.ip_be),
		s->guest.port, log_ip(remote, s->remote.ip_be), s->remote.port);
}

/* GCRA: the budget is full again at *until_ns. */
static bool may_say(const struct natproxy *np, uint64_t *until_ns)
{
	const uint64_t from = *until_ns > np->now_ns ? *until_ns : np->now_ns;
	if (from - np->now_ns > (AT_ONCE - 1) * refusal_ns)
		return false;
	*until_ns = from + refusal_ns;
	return true;
}

bool sessionlog_may_refuse(struct natproxy *np)
{
	const bool may = may_say(np, &np->refusals_until_ns);
	np->refusals_unsaid += !may;
	return may;
}

bool sessionlog_may_observe(struct natproxy *np)
{
	return may_say(np, &np->observed_until_ns);
}

void sessionlog_tell_unsaid(
	struct natproxy *np, Nl__EventRow *e, char text[SESSIONLOG_UNSAID_BYTES])
{
	if (!np->refusals_unsaid)
		return;
	e->has_count = true;
	e->count = np->refusals_unsaid;
	np->refusals_unsaid = 0;
	snprintf(text, SESSIONLOG_UNSAID_BYTES, "SecureNAT: %llu more were refused before that.",
		(unsigned long long)e->count);
	e->more = text;
}

void sessionlog_refused(struct natproxy *np, enum nat_protocol protocol,
	const struct sock_address *guest, const struct sock_address *remote, const char *why)
{
	char source[IP_TEXT], destination[IP_TEXT];
	struct event_space space;
	Nl__EventRow e;
	if (!np->config.log_sessions || !sessionlog_may_refuse(np))
		return;
	describe(&e, &space, "session_refused", protocol, guest, remote);
	put_reason(&e, &space, why);
	sessionlog_tell_unsaid(np, &e, space.more);
	natproxy_event(np, &e,
		"SecureNAT: The %s session was refused: %s. Connection source %s:%u, Connection "
		"destination %s:%u",
		nat_protocol_name(protocol), why, log_ip(source, guest->ip_be), guest->port,
		log_ip(destination, remote->ip_be), remote->port);
}

/*
 * SecureNAT names the host by what the address resolves to, and where that is nothing by the address. natproxy resolves
 * nothing: the name is the one that the guest asked for.
 */
static void put_host(struct natproxy *np, Nl__EventRow *e, struct event_space *space,
	const struct nat_session *s)
{
	const char *name = dnsnames_of(&np->dns_names, s->guest.ip_be, s->remote.ip_be);
	e->host = space->host;
	if (name)
		snprintf(space->host, sizeof(space->host), "%s", name);
	else
		log_ip(space->host, s->remote.ip_be);
}

void sessionlog_connected(struct natproxy *np, const struct nat_session *s)
{
	char ip[IP_TEXT];
	struct event_space space;
	Nl__EventRow e;
	if (!np->config.log_sessions)
		return;
	describe_session(&e, &space, "session_connected", s);
	put_address(&e.outside, &space.outside, &s->outside);
	put_host(np, &e, &space, s);
	natproxy_event(np, &e,
		"SecureNAT: The connection to TCP session %u: Host \"%s (%s)\", Port %u was "
		"successful.",
		s->number, e.host, log_ip(ip, s->remote.ip_be), s->remote.port);
}

/* The seed shows none of these; SecureNAT writes the address alone. */
void sessionlog_failed(struct natproxy *np, const struct nat_session *s, const char *why)
{
	char ip[IP_TEXT];
	struct event_space space;
	Nl__EventRow e;
	if (!np->config.log_sessions)
		return;
	describe_session(&e, &space, "session_failed", s);
	put_host(np, &e, &space, s);
	put_reason(&e, &space, why);
	natproxy_event(np, &e,
		"SecureNAT: The connection to TCP session %u: Host \"%s\", Port %u failed.",
		s->number, log_ip(ip, s->remote.ip_be), s->remote.port);
}

void sessionlog_deleted(struct natproxy *np, const struct nat_session *s, const char *why)
{
	const char *protocol = nat_protocol_name(s->protocol);
	struct event_space space;
	Nl__EventRow e;
	if (!np->config.log_sessions)
		return;
	describe_session(&e, &space, "session_deleted", s);
	put_reason(&e, &space, why);
	e.has_rx_bytes = e.has_tx_bytes = e.has_duration_ms = true;
	e.rx_bytes = s->to_guest_bytes;
	e.tx_bytes = s->from_guest_bytes;
	e.duration_ms = np->wall_ms > s->created_wall_ms ? np->wall_ms - s->created_wall_ms : 0;
	snprintf(space.more, sizeof(space.more),
		"SecureNAT: The %s session %u ended: %s, %llu bytes from the guest, %llu bytes to "
		"the guest, duration %llu.%03u seconds.",
		protocol, s->number, why, (unsigned long long)e.tx_bytes,
		(unsigned long long)e.rx_bytes, (unsigned long long)e.duration_ms / 1000,
		(unsigned int)(e.duration_ms % 1000));
	e.more = space.more;
	natproxy_event(np, &e, "SecureNAT: The %s session %u was deleted.", protocol, s->number);
}
