/*
 * Theory of operation. Asked once for each socket. The entries of nat.static are few and their
 * order means nothing; a hub without any pays for one comparison.
 */
#include "source.h"

const char *source_device(const struct outlet *o)
{
	return *o->device ? o->device : NULL;
}

const struct fixed *source_fixed(const struct natproxy *np, uint32_t guest_ip_be)
{
	for (uint32_t i = 0; i < np->fixed_count; i++)
		if (np->fixed[i].inside_ip_be == guest_ip_be)
			return &np->fixed[i];
	return NULL;
}

struct sock_place source_of(const struct natproxy *np, uint32_t guest_ip_be)
{
	const struct fixed *f = source_fixed(np, guest_ip_be);
	if (f)
		return (struct sock_place){{f->outside_ip_be, 0}, source_device(&f->outlet)};
	return (struct sock_place){{0, 0}, source_device(&np->outlet)};
}

uint16_t source_port(struct natproxy *np, enum nat_protocol protocol,
	const struct sock_address *guest, unsigned int n)
{
	if (n == 0 && guest->port >= PORTPICK_FIRST && source_fixed(np, guest->ip_be))
		return guest->port;
	return portpick_candidate(&np->ports, protocol, guest, n);
}
