/*
 * Theory of operation. Two bitmaps answer for the many flows that nobody wants. The few that are
 * wanted walk a list of at most ALGS_COUNT * ALGS_PORTS ports and a handful of access lists, once
 * each.
 */
#include "want.h"

#include <string.h>

#include "algs_config.h"

static void read_list(struct acl *out, const Nl__Nat *nat, bool has, uint32_t number)
{
	acl_read(out, nat->access_lists, nat->n_access_lists, has ? number : 0);
}

/* Modes and lists; whether they leave anything to be inspected. */
static bool read_modes(struct want_alg *a, const Nl__AlgSwitch *s, const Nl__Nat *nat)
{
	a->mode = (uint8_t)(s->has_mode ? s->mode : NL__ALG_SWITCH__MODE__fix);
	a->strict = s->has_strict && s->strict;
	a->lists = 0;
	bool some = a->mode != NL__ALG_SWITCH__MODE__off;
	a->fixes = a->mode == NL__ALG_SWITCH__MODE__fix;
	for (size_t i = 0; i < s->n_lists && i < WANT_LISTS; i++) {
		const Nl__AlgList *from = s->lists[i];
		struct want_list *list = &a->list[a->lists++];
		read_list(&list->guests, nat, from->has_guests, from->guests);
		read_list(&list->peers, nat, from->has_peers, from->peers);
		list->mode = (uint8_t)(from->has_mode ? from->mode : a->mode);
		some |= list->mode != NL__ALG_SWITCH__MODE__off;
		a->fixes |= list->mode == NL__ALG_SWITCH__MODE__fix;
	}
	return some;
}

static void add_port(struct wants *w, enum algs_id id, uint16_t port, size_t place)
{
	w->port[w->ports++] = (struct want_port){port, (uint8_t)id, (uint8_t)place};
	if (algs_service(id, (unsigned int)place, ALGS_TCP) >= 0)
		w->tcp[port / 8] |= (uint8_t)(1 << port % 8);
	if (algs_service(id, (unsigned int)place, ALGS_UDP) >= 0)
		w->udp[port / 8] |= (uint8_t)(1 << port % 8);
}

void want_configure(struct wants *w, const Nl__Alg *alg, const Nl__Nat *nat)
{
	memset(w->tcp, 0, sizeof(w->tcp));
	memset(w->udp, 0, sizeof(w->udp));
	w->ports = 0;
	for (enum algs_id id = 0; id < ALGS_COUNT; id++) {
		const Nl__AlgSwitch *s = algs_switch(alg, id);
		struct want_alg *a = &w->alg[id];
		a->active = s && (!s->has_enable || s->enable) && read_modes(a, s, nat) &&
			    (id != ALGS_DNS || nat->n_static_);
		for (size_t i = 0; a->active && i < s->n_ports && i < ALGS_PORTS; i++)
			if (s->ports[i] && s->ports[i] < WANT_PORTS)
				add_port(w, id, (uint16_t)s->ports[i], i);
	}
}

static uint8_t mode_of(const struct want_alg *a, uint32_t guest_ip_be, uint32_t peer_ip_be)
{
	for (uint32_t i = 0; i < a->lists; i++)
		if (acl_permits(&a->list[i].guests, guest_ip_be) &&
			acl_permits(&a->list[i].peers, peer_ip_be))
			return a->list[i].mode;
	return a->mode;
}

/* Whether its mode is not off; the rest of *out is filled in. */
static bool is_wanted(
	const struct want_alg *a, uint32_t guest_ip_be, uint32_t peer_ip_be, struct want *out)
{
	const uint8_t mode = mode_of(a, guest_ip_be, peer_ip_be);
	out->observe = mode == NL__ALG_SWITCH__MODE__observe;
	out->strict = a->strict && !out->lenient;
	return mode != NL__ALG_SWITCH__MODE__off;
}

bool want_flow(const struct wants *w, enum algs_transport transport, uint16_t port,
	uint32_t guest_ip_be, uint32_t peer_ip_be, struct want *out)
{
	if (!want_lists(w, transport, port))
		return false;
	for (uint32_t i = 0; i < w->ports; i++) {
		const struct want_port *p = &w->port[i];
		const int service =
			p->port == port ? algs_service((enum algs_id)p->alg, p->place, transport)
					: -1;
		if (service < 0)
			continue;
		*out = (struct want){.alg = (enum algs_id)p->alg, .service = (uint8_t)service};
		return is_wanted(&w->alg[p->alg], guest_ip_be, peer_ip_be, out);
	}
	return false;
}

bool want_derived(const struct wants *w, const struct want *said, uint32_t guest_ip_be,
	uint32_t peer_ip_be, struct want *out)
{
	const struct want_alg *a = &w->alg[said->alg];
	*out = *said;
	out->derived = true;
	return a->active && is_wanted(a, guest_ip_be, peer_ip_be, out);
}
