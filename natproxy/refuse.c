/* Theory of operation. Each refusal is counted among the drops; sessionlog_refused says it, as far as its budget goes. */
#include "refuse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "drop.h"
#include "log.h"
#include "sessionlog.h"
#include "source.h"

enum { IP_TEXT = 16, REASON_BYTES = 128 };

/* By which device this guest's sessions leave. */
static const struct outlet *outlet_of(const struct natproxy *np, uint32_t guest_ip_be)
{
	const struct fixed *f = source_fixed(np, guest_ip_be);
	return f ? &f->outlet : &np->outlet;
}

static void reason(const struct natproxy *np, enum refusal why, const struct sock_address *guest,
	char text[REASON_BYTES])
{
	char ip[IP_TEXT];
	switch (why) {
	case REFUSED_CLOSED:
		snprintf(text, REASON_BYTES, "no new sessions are taken (nat.new_sessions)");
		return;
	case REFUSED_SOURCE:
		snprintf(text, REASON_BYTES, "access list %u (nat.source_list)",
			np->source_list.number);
		return;
	case REFUSED_DESTINATION:
		snprintf(text, REASON_BYTES, "access list %u (nat.destination_list)",
			np->destination_list.number);
		return;
	case REFUSED_LOOP:
		snprintf(text, REASON_BYTES, "it would come back into this hub (nat.loop_guard)");
		return;
	case REFUSED_DEVICE:
		snprintf(text, REASON_BYTES, "device %s of vrf %s is not there",
			outlet_of(np, guest->ip_be)->device, outlet_of(np, guest->ip_be)->vrf);
		return;
	case REFUSED_ADDRESS:
		snprintf(text, REASON_BYTES,
			"its outside address %s is not an address of this host",
			log_ip(ip, source_of(np, guest->ip_be).at.ip_be));
		return;
	}
	abort();
}

void refuse_session(struct natproxy *np, enum refusal why, enum nat_protocol protocol,
	const struct sock_address *guest, const struct sock_address *remote)
{
	char text[REASON_BYTES];
	drop_count(np->drops, DROP_DENIED);
	reason(np, why, guest, text);
	sessionlog_refused(np, protocol, guest, remote, text);
}

bool refuse_new(struct natproxy *np, enum nat_protocol protocol,
	const struct sock_address *guest, const struct sock_address *remote)
{
	if (np->config.closed) {
		refuse_session(np, REFUSED_CLOSED, protocol, guest, remote);
		return true;
	}
	if (!acl_permits(&np->source_list, guest->ip_be)) {
		refuse_session(np, REFUSED_SOURCE, protocol, guest, remote);
		return true;
	}
	const bool gateway = remote->ip_be == np->access.gateway_ip_be;
	if (gateway || acl_permits(&np->destination_list, remote->ip_be))
		return false;
	refuse_session(np, REFUSED_DESTINATION, protocol, guest, remote);
	return true;
}

bool refuse_unplaced(struct natproxy *np, enum nat_protocol protocol,
	const struct sock_address *guest, const struct sock_address *remote, int error)
{
	const struct sock_place from = source_of(np, guest->ip_be);
	if (error == -ENODEV && from.device)
		refuse_session(np, REFUSED_DEVICE, protocol, guest, remote);
	else if (error == -EADDRNOTAVAIL && from.at.ip_be &&
		 !access_is_own(&np->access, from.at.ip_be))
		refuse_session(np, REFUSED_ADDRESS, protocol, guest, remote);
	else
		return false;
	return true;
}
