/*
 * Theory of operation. A guest that is refused tries again, so a line for each would be a flood:
 * the first is said at once, and what came in the second after it by its number in the next line.
 */
#include "refuse.h"

#include <errno.h>
#include <stdio.h>

#include "drop.h"
#include "log.h"
#include "source.h"

enum { IP_TEXT = 16, REASON_BYTES = 128 };
static const uint64_t say_ns = 1000000000;

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
	case REFUSALS: break;
	}
	*text = 0;
}

void refuse_session(struct natproxy *np, enum refusal why, enum nat_protocol protocol,
	const struct sock_address *guest, const struct sock_address *remote)
{
	char from[IP_TEXT], to[IP_TEXT], text[REASON_BYTES];
	struct refused *r = &np->refused[why];
	drop_count(np->drops, DROP_DENIED);
	r->count++;
	if (r->said_ns && np->now_ns - r->said_ns < say_ns)
		return;
	reason(np, why, guest, text);
	natproxy_security(np,
		"SecureNAT: A %s session was refused: %s. Guest %s:%u, far end %s:%u, refused for "
		"this reason since the "
		"last line: %u",
		nat_protocol_name(protocol), text, log_ip(from, guest->ip_be), guest->port,
		log_ip(to, remote->ip_be), remote->port, r->count);
	r->said_ns = np->now_ns ? np->now_ns : 1;
	r->count = 0;
}

bool refuse_unlisted(struct natproxy *np, enum nat_protocol protocol,
	const struct sock_address *guest, const struct sock_address *remote)
{
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
