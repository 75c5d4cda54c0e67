/*
 * Theory of operation. Whose address it is decides the address alone; what port is written decides who asked for it before: an opening of
 * the guest's (a registration, a listener, media), or the flow itself. Many guests share an outside address: one that comes back means this
 * guest only where the port was given for it.
 */
#include "h323_address.h"

#include <string.h>

#include "maps.h"

struct h323_address h323_address_of(const struct h323_talk *t, const struct h323_mark *m)
{
	const uint8_t *p = t->p + m->at;
	struct h323_address a = {.port = (uint16_t)(p[4] << 8 | p[5])};
	memcpy(&a.ip_be, p, sizeof(a.ip_be));
	return a;
}

bool h323_address_own(const struct h323_talk *t, const struct h323_mark *m)
{
	return t->from == ALG_GUEST && t->f->outside_ip_be &&
	       h323_address_of(t, m).ip_be == t->f->guest_ip_be;
}

bool h323_address_sends(uint32_t ip_be)
{
	uint8_t first;
	memcpy(&first, &ip_be, sizeof(first));
	return first > 0 && first < 224;
}

bool h323_address_leads_out(const struct h323_talk *t, const struct h323_mark *m)
{
	const struct h323_address to = h323_address_of(t, m);
	uint32_t inside_be;
	return t->from == ALG_OUTSIDE && h323_address_sends(to.ip_be) &&
	       to.ip_be != t->f->outside_ip_be && to.port >= ALG_PORT_MIN &&
	       !maps_inside(t->f, to.ip_be, &inside_be);
}

bool h323_address_static(const struct alg_flow *f)
{
	uint32_t outside_be;
	return maps_outside(f, f->guest_ip_be, &outside_be);
}

void h323_address_write(
	struct h323_talk *t, const struct h323_mark *m, uint32_t ip_be, uint16_t port)
{
	const struct h323_address old = h323_address_of(t, m);
	if (old.ip_be == ip_be && old.port == port)
		return;
	struct alg_edit *e = alg_edit_add(t->a, m->at, H323_ADDRESS_BYTES);
	if (!e) {
		t->failed = true;
		return;
	}
	memcpy(e->text, &ip_be, sizeof(ip_be));
	e->text[4] = (uint8_t)(port >> 8);
	e->text[5] = (uint8_t)port;
	e->bytes = H323_ADDRESS_BYTES;
}

static bool is_flows(const struct alg_flow *f, uint8_t transports)
{
	return transports & (f->stream ? ALGS_TCP : ALGS_UDP);
}

static void write_outside(struct h323_talk *t, const struct h323_mark *m, uint8_t transports)
{
	const struct h323_address old = h323_address_of(t, m);
	const struct h323_opening *o = h323_talk_holds(t, transports, old.port);
	if (!o)
		o = h323_calls_by_guest(t->f->h323, t->f, transports, old.port);
	if (o)
		h323_address_write(t, m, o->outside_ip_be,
			(uint16_t)(o->outside_port + old.port - o->guest_port));
	else if (is_flows(t->f, transports) && old.port == t->f->guest_port)
		h323_address_write(t, m, t->f->outside_ip_be, t->f->outside_port);
	else
		h323_address_write(t, m, t->f->outside_ip_be, old.port);
}

static void write_inside(struct h323_talk *t, const struct h323_mark *m, uint8_t transports)
{
	const struct h323_address old = h323_address_of(t, m);
	const struct h323_opening *o =
		h323_calls_by_outside(t->f->h323, t->f, transports, old.ip_be, old.port);
	uint32_t inside_be;
	if (o)
		h323_address_write(t, m, t->f->guest_ip_be,
			(uint16_t)(o->guest_port + old.port - o->outside_port));
	else if (old.ip_be == t->f->outside_ip_be && is_flows(t->f, transports) &&
		 old.port == t->f->outside_port)
		h323_address_write(t, m, t->f->guest_ip_be, t->f->guest_port);
	else if (maps_inside(t->f, old.ip_be, &inside_be))
		h323_address_write(t, m, inside_be, old.port);
}

void h323_address_translate(struct h323_talk *t, const struct h323_mark *m, uint8_t transports)
{
	uint32_t outside_be;
	if (t->from == ALG_OUTSIDE)
		write_inside(t, m, transports);
	else if (h323_address_own(t, m))
		write_outside(t, m, transports);
	else if (maps_outside(t->f, h323_address_of(t, m).ip_be, &outside_be))
		h323_address_write(t, m, outside_be, h323_address_of(t, m).port);
}
