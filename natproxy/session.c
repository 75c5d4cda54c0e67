/*
 * Theory of operation. nat.c keeps the table; this file keeps a flow's sessions in step with it, counts what they carry,
 * and has each beginning and end said in the security log (sessionlog.c).
 */
#include <errno.h>

#include "forward.h"
#include "ike_port.h"
#include "inspect_dgram.h"
#include "session.h"
#include "sessionlog.h"

enum nat_protocol session_protocol(const struct flow *f)
{
	static const enum nat_protocol protocols[] = {[FLOW_TCP] = NAT_TCP,
		[FLOW_UDP] = NAT_UDP,
		[FLOW_ECHO] = NAT_ICMP,
		[FLOW_ESP] = NAT_ESP};
	return protocols[f->kind];
}

static struct nat_request request_of(const struct flow *f, const struct sock_address *remote)
{
	return (struct nat_request){.protocol = session_protocol(f),
		.flow = f->id,
		.guest = f->guest,
		.remote = *remote};
}

static uint32_t open_session(struct natproxy *np, struct flow *f, const struct nat_request *r)
{
	uint32_t ref;
	const int refused = nat_open(&np->nat, r, np->now_ns, np->wall_ms, &f->sessions, &ref);
	if (refused) {
		drop_count(np->drops, refused == -EDQUOT ? DROP_FLOW_LIMIT : DROP_FLOW_TABLE);
		if (!r->incoming)
			natproxy_shortage(np, f->guest.ip_be, r->protocol);
		sessionlog_refused(np, r->protocol, &f->guest, &r->remote,
			refused == -EDQUOT ? "limit of the guest" : "session table full");
		return NAT_NONE;
	}
	forward_count(np, r->rule, 1);
	struct nat_session *s = nat_session(&np->nat, ref);
	s->outside = f->outside;
	sessionlog_created(np, s);
	return ref;
}

uint32_t session_open(
	struct natproxy *np, struct flow *f, const struct sock_address *remote, bool connecting)
{
	struct nat_request r = request_of(f, remote);
	r.connecting = connecting;
	return open_session(np, f, &r);
}

uint32_t session_open_incoming(
	struct natproxy *np, struct flow *f, const struct sock_address *remote, uint16_t rule)
{
	struct nat_request r = request_of(f, remote);
	r.incoming = true;
	r.rule = rule;
	return open_session(np, f, &r);
}

void session_connected(struct natproxy *np, struct flow *f)
{
	if (!f->sessions)
		return;
	nat_connected(&np->nat, f->sessions, &f->outside);
	sessionlog_connected(np, nat_session(&np->nat, f->sessions));
}

void session_failed(struct natproxy *np, struct flow *f, const char *why)
{
	if (f->sessions)
		sessionlog_failed(np, nat_session(&np->nat, f->sessions), why);
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
	inspect_dgram_end(np, ref);
	const struct nat_session s = *nat_session(&np->nat, ref);
	forward_count(np, s.rule, -1);
	ike_port_ended(np, &s);
	nat_close(&np->nat, ref, &f->sessions);
	if (f->last_used == ref)
		f->last_used = NAT_NONE;
	sessionlog_deleted(np, &s, why);
}

void session_close_all(struct natproxy *np, struct flow *f, const char *why)
{
	while (f->sessions)
		session_close(np, f, f->sessions, why);
}
