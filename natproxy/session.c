/*
 * Theory of operation. nat.c keeps the table; this file is what the operator sees of it: the seed's
 * three lines for each session, word for word, and one of our own that says why a session ended and
 * how much it carried. The seed names the host by reverse look-up; natproxy does none: the name is the
 * one that the guest asked for (dnsnames.h), else the address stands in both places.
 */
#include <errno.h>

#include "log.h"
#include "session.h"

enum { IP_TEXT = 16 };

static void log_created(struct natproxy *np, const struct nat_session *s)
{
	char guest[IP_TEXT], remote[IP_TEXT];
	natproxy_security(np,
		"SecureNAT: The %s session %u was created. Connection source %s:%u, Connection "
		"destination %s:%u",
		nat_protocol_name(s->protocol), s->number, log_ip(guest, s->guest.ip_be),
		s->guest.port, log_ip(remote, s->remote.ip_be), s->remote.port);
}

uint32_t session_open(
	struct natproxy *np, struct flow *f, const struct sock_address *remote, bool connecting)
{
	static const enum nat_protocol protocols[] = {
		[FLOW_TCP] = NAT_TCP, [FLOW_UDP] = NAT_UDP, [FLOW_ECHO] = NAT_ICMP};
	const struct nat_request r = {.protocol = protocols[f->kind],
		.connecting = connecting,
		.flow = f->id,
		.guest = f->guest,
		.remote = *remote};
	uint32_t ref;
	const int refused = nat_open(&np->nat, &r, np->now_ns, np->wall_ms, &f->sessions, &ref);
	if (refused) {
		drop_count(np->drops, refused == -EDQUOT ? DROP_FLOW_LIMIT : DROP_FLOW_TABLE);
		natproxy_shortage(np, f->guest.ip_be, r.protocol);
		return NAT_NONE;
	}
	struct nat_session *s = nat_session(&np->nat, ref);
	s->outside = f->outside;
	if (np->config.log_sessions)
		log_created(np, s);
	return ref;
}

void session_connected(struct natproxy *np, struct flow *f, bool successful)
{
	char ip[IP_TEXT];
	if (!f->sessions)
		return;
	if (successful)
		nat_connected(&np->nat, f->sessions, &f->outside);
	const struct nat_session *s = nat_session(&np->nat, f->sessions);
	log_ip(ip, s->remote.ip_be);
	const char *host = dnsnames_of(&np->dns_names, s->guest.ip_be, s->remote.ip_be);
	if (np->config.log_sessions)
		natproxy_security(np,
			"SecureNAT: The connection to TCP session %u: Host \"%s (%s)\", Port %u "
			"%s.",
			s->number, host ? host : ip, ip, s->remote.port,
			successful ? "was successful" : "failed");
}

void session_count(struct natproxy *np, uint32_t ref, uint64_t to_guest, uint64_t from_guest)
{
	if (!ref)
		return;
	struct nat_session *s = nat_session(&np->nat, ref);
	s->to_guest_bytes += to_guest;
	s->from_guest_bytes += from_guest;
	nat_touch(&np->nat, ref, np->now_ns);
}

void session_arrived(struct natproxy *np, uint32_t ref, uint64_t bytes)
{
	struct nat_session *s = nat_session(&np->nat, ref);
	s->to_guest_bytes += bytes;
	if (s->protocol != NAT_UDP || np->config.inbound_refresh)
		nat_touch(&np->nat, ref, np->now_ns);
}

void session_closing(struct natproxy *np, struct flow *f)
{
	if (f->sessions)
		nat_session(&np->nat, f->sessions)->state = NAT_CLOSING;
}

void session_close(struct natproxy *np, struct flow *f, uint32_t ref, const char *why)
{
	const struct nat_session s = *nat_session(&np->nat, ref);
	nat_close(&np->nat, ref, &f->sessions);
	if (f->last_used == ref)
		f->last_used = NAT_NONE;
	if (!np->config.log_sessions)
		return;
	const char *protocol = nat_protocol_name(s.protocol);
	natproxy_security(np, "SecureNAT: The %s session %u was deleted.", protocol, s.number);
	natproxy_security(np,
		"SecureNAT: The %s session %u ended: %s, %llu bytes from the guest, %llu bytes to "
		"the guest.",
		protocol, s.number, why, (unsigned long long)s.from_guest_bytes,
		(unsigned long long)s.to_guest_bytes);
}

void session_close_all(struct natproxy *np, struct flow *f, const char *why)
{
	while (f->sessions)
		session_close(np, f, f->sessions, why);
}
