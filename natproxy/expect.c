/*
 * Theory of operation. pinhole.c decides; a granted door becomes a listener on the address from
 * which the control connection leaves, with the guest's own port number where that is free and no
 * service's of the host. The
 * first connection from the control connection's peer is announced to the guest and the door is
 * shut; anyone else is reset and counted, and the door stays for the one it was made for. Every
 * grant, refusal, use and expiry is a line in the security log.
 */
#include <errno.h>
#include <stdio.h>

#include "expect.h"
#include "inspect.h"
#include "log.h"
#include "publish.h"
#include "sessionlog.h"
#include "source.h"

enum { IP_TEXT = 16, ACCEPTS = 8, MS_NS = 1000000 };

static void shut(struct natproxy *np, uint32_t ref)
{
	struct pinhole *p = &np->pinholes.entry[ref];
	if (p->fd >= 0)
		natproxy_close_fd(np, p->fd, false);
	pinhole_close(&np->pinholes, ref);
}

/* The parts of an event of an expectation; `name` and `reason` are not written to. */
static Nl__EventRow event_of(const struct pinhole *p, const char *name, const char *reason)
{
	Nl__EventRow e = NL__EVENT_ROW__INIT;
	e.event = (char *)(uintptr_t)name;
	e.reason = (char *)(uintptr_t)reason;
	e.has_session = p->parent != 0;
	e.session = p->parent;
	e.has_expectation = p->number != 0;
	e.expectation = p->number;
	return e;
}

static void log_end(struct natproxy *np, const struct pinhole *p, const char *why)
{
	Nl__EventRow e = event_of(p, "expectation_deleted", why);
	natproxy_event(
		np, &e, "SecureNAT: The ALG expectation %u was deleted: %s.", p->number, why);
}

static void log_used(struct natproxy *np, const struct pinhole *p, const struct sock_address *peer)
{
	char ip[IP_TEXT];
	Nl__Address src = NL__ADDRESS__INIT;
	Nl__EventRow e = event_of(p, "expectation_used", NULL);
	src.has_ip_be = src.has_port = true;
	src.ip_be = peer->ip_be;
	src.port = peer->port;
	e.src = &src;
	natproxy_event(np, &e, "SecureNAT: The ALG expectation %u was used by %s:%u.", p->number,
		log_ip(ip, peer->ip_be), peer->port);
}

static void log_granted(struct natproxy *np, const struct pinhole *p)
{
	char guest[IP_TEXT], outside[IP_TEXT], peer[IP_TEXT];
	Nl__EventRow e = event_of(p, "expectation_created", NULL);
	natproxy_event(np, &e,
		"SecureNAT: The ALG expectation %u was created. Protocol ftp, TCP session %u, "
		"guest %s:%u, outside %s:%u, "
		"peer %s, expiration %u seconds",
		p->number, p->parent, log_ip(guest, p->guest.ip_be), p->guest.port,
		log_ip(outside, p->outside.ip_be), p->outside.port, log_ip(peer, p->peer_ip_be),
		(unsigned int)((p->expires_ns - np->now_ns) / MS_NS / 1000));
}

static void answer(struct natproxy *np, struct flow *f, const Nl__PinholeOpen *asked,
	const struct pinhole *granted, enum pinhole_refusal why)
{
	char text[64];
	Nl__PinholeAnswer m = NL__PINHOLE_ANSWER__INIT;
	m.has_flow = m.has_token = m.has_granted = true;
	m.flow = asked->flow;
	m.token = asked->token;
	m.granted = granted != NULL;
	if (granted) {
		m.has_outside_ip_be = m.has_outside_port = true;
		m.outside_ip_be = granted->outside.ip_be;
		m.outside_port = granted->outside.port;
	} else {
		snprintf(text, sizeof(text), "%s", pinhole_refusal_text(why));
		m.why = text;
	}
	np->shell.pinhole_answer(np->shell.context, &m);
	inspect_answered(np, asked->flow);
}

static void refuse(
	struct natproxy *np, struct flow *f, const Nl__PinholeOpen *m, enum pinhole_refusal why)
{
	char guest[IP_TEXT];
	const struct pinhole none = {.parent = nat_session(&np->nat, f->sessions)->number};
	Nl__EventRow e = event_of(&none, "expectation_refused", pinhole_refusal_text(why));
	drop_count(np->drops, DROP_PINHOLE_REFUSED);
	if (sessionlog_may_refuse(np))
		natproxy_event(np, &e,
			"SecureNAT: The ALG expectation was refused: %s. Protocol ftp, TCP session "
			"%u, guest %s:%u",
			e.reason, e.session, log_ip(guest, f->guest.ip_be), m->guest_port);
	answer(np, f, m, NULL, why); /* may end the flow */
}

/* A flow that has just ended, of another protocol, or of nobody: there is nobody to answer about it. */
static void refuse_flowless(struct natproxy *np, const Nl__PinholeOpen *m)
{
	const struct pinhole none = {.parent = 0};
	Nl__EventRow e =
		event_of(&none, "expectation_refused", pinhole_refusal_text(PINHOLE_NO_FLOW));
	drop_count(np->drops, DROP_PINHOLE_REFUSED);
	np->pinholes.refused++;
	if (sessionlog_may_refuse(np))
		natproxy_event(np, &e,
			"SecureNAT: The ALG expectation was refused: %s. Protocol ftp, inside port "
			"%u",
			e.reason, m->guest_port);
}

static bool open_listener(struct natproxy *np, const struct flow *f, uint32_t ref)
{
	struct pinhole *p = &np->pinholes.entry[ref];
	struct sock_place at = source_of(np, f->guest.ip_be);
	if (!natproxy_fd_room(np, true))
		return false;
	at.at = (struct sock_address){f->outside.ip_be, p->guest.port};
	const bool other = portpick_is_ours(&np->ports, NAT_TCP, p->guest.port) ||
			   portpick_is_service(p->guest.port);
	int fd = other ? -EADDRINUSE : sock_tcp_listen(np->sock, &at, np->config.shards > 1);
	if (fd < 0) {
		at.at.port = 0;
		fd = sock_tcp_listen(np->sock, &at, np->config.shards > 1);
	}
	if (fd < 0 || !natproxy_own(np, fd, OWNER_PINHOLE, ref))
		return false;
	p->fd = fd;
	sock_local(np->sock, fd, &p->outside);
	p->outside.ip_be = f->outside.ip_be;
	sock_watch(np->sock, fd, SOCK_READ);
	return true;
}

int natproxy_on_pinhole_open(struct natproxy *np, const Nl__PinholeOpen *m, struct chan_in *in)
{
	struct inspect_subject subject;
	uint32_t ref;
	if (!inspect_find(np, m->flow, &subject) || subject.flow->state != FLOW_RUNNING) {
		refuse_flowless(np, m);
		return 0;
	}
	struct flow *f = subject.flow;
	const struct pinhole_request r = {.flow = m->flow,
		.token = m->token,
		.listen = m->kind == NL__PINHOLE_KIND__TCP_LISTEN && !np->config.ftp_observe,
		.guest_ip_be = f->guest.ip_be,
		.guest_port = m->guest_port,
		.peer_ip_be = m->peer_ip_be,
		.control_peer_ip_be = f->remote.ip_be,
		.life_ms = m->lifetime_ms,
		.latent = m->has_latent && m->latent};
	const enum pinhole_refusal why = pinhole_open(&np->pinholes, &r, np->now_ns, &ref);
	if (why != PINHOLE_GRANTED) {
		refuse(np, f, m, why);
		return 0;
	}
	struct pinhole *p = &np->pinholes.entry[ref];
	p->parent = nat_session(&np->nat, f->sessions)->number;
	if (!open_listener(np, f, ref)) {
		pinhole_close(&np->pinholes, ref);
		refuse(np, f, m, PINHOLE_NO_SOCKET);
		return 0;
	}
	log_granted(np, p);
	answer(np, f, m, p, PINHOLE_GRANTED);
	return 0;
}

int natproxy_on_pinhole_close(struct natproxy *np, const Nl__PinholeClose *m, struct chan_in *in)
{
	struct inspect_subject subject;
	const uint32_t ref = inspect_find(np, m->flow, &subject)
				     ? pinhole_find(&np->pinholes, m->flow, m->token)
				     : PINHOLE_NONE;
	if (!ref)
		return 0;
	log_end(np, &np->pinholes.entry[ref], "withdrawn");
	shut(np, ref);
	return 0;
}

int natproxy_on_pinhole_arm(struct natproxy *np, const Nl__PinholeArm *m, struct chan_in *in)
{
	struct inspect_subject subject;
	const uint32_t ref = inspect_find(np, m->flow, &subject)
				     ? pinhole_find(&np->pinholes, m->flow, m->token)
				     : PINHOLE_NONE;
	if (ref)
		pinhole_arm(&np->pinholes, ref);
	return 0;
}

void expect_ready(struct natproxy *np, uint32_t ref)
{
	for (int i = 0; i < ACCEPTS; i++) {
		struct pinhole *p = &np->pinholes.entry[ref];
		struct sock_address peer;
		const int fd = sock_accept(np->sock, p->fd, &peer);
		if (fd < 0)
			return;
		if (!natproxy_own(np, fd, OWNER_NONE, 0))
			continue;
		if (!pinhole_admit(&np->pinholes, ref, peer.ip_be)) {
			drop_count(np->drops, DROP_FILTERED);
			natproxy_close_fd(np, fd, true);
			continue;
		}
		log_used(np, p, &peer);
		publish_announce(np, fd, &p->guest, &peer, 0);
		shut(np, ref);
		return;
	}
}

void expect_close_flow(struct natproxy *np, uint32_t flow, const char *why)
{
	uint32_t ref;
	while ((ref = pinhole_of_flow(&np->pinholes, flow))) {
		log_end(np, &np->pinholes.entry[ref], why);
		shut(np, ref);
	}
}

void expect_timeout(struct natproxy *np)
{
	uint32_t ref;
	while ((ref = pinhole_expired(&np->pinholes, np->now_ns))) {
		np->pinholes.expired++;
		log_end(np, &np->pinholes.entry[ref], "expired unused");
		shut(np, ref);
	}
}
