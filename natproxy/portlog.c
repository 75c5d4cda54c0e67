/*
 * Theory of operation. Who may come in from outside is as much an operator's to know as who went out,
 * so a port that listens is said like a session, and kept to nat.log like one.
 */
#include "portlog.h"

#include <stdio.h>

#include "log.h"

enum { IP_TEXT = 16 };

static void say(struct natproxy *np, const struct publish *p, const char *event, const char *did)
{
	char proto[4];
	char listen[IP_TEXT], to[IP_TEXT];
	Nl__EventRow e = NL__EVENT_ROW__INIT;
	Nl__Address outside = NL__ADDRESS__INIT, dst = NL__ADDRESS__INIT;
	if (!np->config.log_sessions)
		return;
	outside.has_ip_be = outside.has_port = dst.has_ip_be = dst.has_port = true;
	outside.ip_be = p->listen.ip_be;
	outside.port = p->listen.port;
	dst.ip_be = p->to.ip_be;
	dst.port = p->to.port;
	e.event = (char *)(uintptr_t)event;
	snprintf(proto, sizeof(proto), "%s", p->udp ? "udp" : "tcp");
	e.proto = proto;
	e.outside = &outside;
	e.dst = &dst;
	natproxy_event(np, &e,
		"SecureNAT: The published %s port %s:%u was %s. Connection destination %s:%u",
		nat_protocol_name(p->udp ? NAT_UDP : NAT_TCP), log_ip(listen, p->listen.ip_be),
		p->listen.port, did, log_ip(to, p->to.ip_be), p->to.port);
}

void portlog_opened(struct natproxy *np, const struct publish *p)
{
	say(np, p, "port_opened", "opened");
}

void portlog_closed(struct natproxy *np, const struct publish *p)
{
	say(np, p, "port_closed", "closed");
}
