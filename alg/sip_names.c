/*
 * What a guest calls itself in SIP's header lines: theory of operation.
 *
 *   lines                                     address   port                      remembered
 *   Via: sent-by                              yes       as it is reached          of a request
 *   Via: maddr / received                     yes       - / rport, if its own     maddr of a request
 *   Contact                                   yes       as it is reached          but of 3xx, of REGISTER's answer
 *   Route Record-Route Path Service-Route     yes       as it is reached          yes
 *   a request's URI, Refer-To                 yes       as it is reached          -
 *   From To Referred-By P-Asserted- ...       yes       if its own                yes
 *
 * Going out, the guest's address becomes the outside one. "As it is reached": its flow's own port,
 * 5060 where none is named, becomes the flow's outside port; so does another one, since nobody gets
 * to that from outside, unless nat.static gives the guest an address of its own: there each port is
 * what it says. Of several Vias or Routes of the guest the first one counts for the far end; those
 * of other servers on the same host behind it keep their ports, so that they are told apart when
 * they come back; and if that first one is public already, they are nobody's business.
 *
 * Coming in, the outside address is the guest's only where the guest said its inside one in a line
 * of that kind, and only with the port that was written then: guests share the outside address, and
 * that of another one is left alone. In what the far end only repeats (Via and Record-Route of
 * responses, Route of requests) it is the guest's with any port. A name without a port may be that of a guest beside this one: From of
 * a request and To of a response, where the far end names itself, are the guest's only if that said so. received and rport stay: that is
 * how a client learns that it is behind a NAT. The URI of a REGISTER stays too: it names a domain.
 *
 * A guest that learned its outside address, and says it, gets it back as it said it. Where nobody knows the outside address (a UDP
 * session that began without a route) nothing is changed: 0.0.0.0 would be a lie that lasts as long as the session.
 *
 *        guest says      out                   in                guest hears
 *   Via  10.0.0.1:5060   203.0.113.7:40000     same, received=   10.0.0.1:5060, received=
 *   m    10.0.0.1        203.0.113.7:40000     same              10.0.0.1
 */
#include "sip_names.h"

#include "maps.h"
#include "sip_text.h"

/* Lines of one kind in one message. */
struct kind {
	struct sip_said *said;
	bool reach; /* the port is how the guest is reached; else it is changed only if it is its own */
	bool learns;	/* what stands there are the guest's words */
	bool forgets;	/* the same, where it says its outside address */
	bool echoed;	/* whatever has the outside address there was said by the guest */
	bool own; /* it names the guest: without a port, or with the one that was said, it is the guest */
	bool list;	/* the first address of the guest counts, others keep their ports */
	uint16_t first; /* the port of that one, as it is meant; 0: there was none yet */
	bool outside;	/* the guest said its outside address in this message */
};

/* One message while it is looked at. */
struct work {
	struct splice *e;
	const struct alg_flow *f;
	bool out;   /* from the guest */
	bool fixed; /* nat.static maps the guest */
};

static uint16_t meant(uint16_t port)
{
	return port ? port : SIP_PORT;
}

static bool is_fixed(const struct alg_flow *f)
{
	uint32_t outside_ip_be;
	return maps_outside(f, f->guest_ip_be, &outside_ip_be) && outside_ip_be == f->outside_ip_be;
}

/* The port by which the far end reaches what the guest calls this one; 0 stays 0 where it means the same. */
static uint16_t reached(const struct alg_flow *f, bool fixed, uint16_t port)
{
	if (fixed && meant(port) != f->guest_port)
		return port;
	return port || f->outside_port != SIP_PORT ? f->outside_port : 0;
}

/* Puts this address there, and this port (0: none); rport stands elsewhere than received. */
static void put(struct splice *e, const struct sip_place *p, uint32_t ip_be, uint16_t port)
{
	const bool beside = p->part != SIP_PART_RECEIVED;
	if (beside && !text_left(&p->port)) {
		splice_address(e, p->host, ip_be, port);
	} else if (beside && !port) {
		splice_address(e, (struct text){p->host.p, p->port.end}, ip_be, 0);
	} else {
		splice_address(e, p->host, ip_be, 0);
		if (text_left(&p->port) && port != p->number)
			splice_number(e, p->port, port);
	}
}

/* ---- going out ---- */

static void learn(struct kind *k, const struct sip_place *p, bool inside)
{
	if (inside ? !k->learns || k->outside : !k->forgets)
		return;
	k->outside |= !inside;
	k->said->inside = inside;
	k->said->port = inside ? p->number : 0;
}

static void out_host(struct work *w, struct kind *k, const struct sip_place *p)
{
	const bool inside = p->ip_be == w->f->guest_ip_be;
	uint16_t port = p->number;
	if (!inside && p->ip_be != w->f->outside_ip_be)
		return;
	if (!k->list || !k->first) {
		k->first = meant(port);
		learn(k, p, inside);
	}
	if (!inside || (k->list && k->learns && !k->said->inside))
		return;
	if (k->reach && (!k->list || meant(port) == k->first))
		port = reached(w->f, w->fixed, port);
	else if (!k->reach && port == w->f->guest_port)
		port = w->f->outside_port;
	put(w->e, p, w->f->outside_ip_be, port);
}

static void out_place(struct work *w, struct kind *k, const struct sip_place *p)
{
	const uint16_t port = p->number == w->f->guest_port ? w->f->outside_port : p->number;
	if (p->part == SIP_PART_HOST || p->part == SIP_PART_SENT_BY) {
		out_host(w, k, p);
	} else if (p->ip_be == w->f->guest_ip_be) {
		k->said->maddr |= k->learns && p->part == SIP_PART_MADDR;
		put(w->e, p, w->f->outside_ip_be, port);
	}
}

/* ---- coming in ---- */

/* Whether the guest said this; then *port is the one that it said. */
static bool came_back(const struct alg_flow *f, bool fixed, const struct kind *k,
	const struct sip_place *p, uint16_t *port)
{
	const struct sip_said *said = k->said;
	*port = p->number;
	if (p->ip_be != f->outside_ip_be || !said->inside)
		return false;
	if (k->reach && meant(p->number) == meant(reached(f, fixed, said->port)))
		*port = said->port;
	else if (!k->reach && p->number == f->outside_port)
		*port = f->guest_port;
	else
		return k->echoed || fixed || (k->own && (!p->number || p->number == said->port));
	return true;
}

static void in_place(struct work *w, struct kind *k, const struct sip_place *p)
{
	uint16_t port;
	switch (p->part) {
	case SIP_PART_HOST:
	case SIP_PART_SENT_BY:
		if (came_back(w->f, w->fixed, k, p, &port))
			put(w->e, p, w->f->guest_ip_be, port);
		break;
	case SIP_PART_MADDR:
		if (k->said->maddr && p->ip_be == w->f->outside_ip_be)
			put(w->e, p, w->f->guest_ip_be, 0);
		break;
	case SIP_PART_RECEIVED: break;
	}
}

/* ---- messages ---- */

static void edit_value(struct work *w, struct kind *k, struct text value,
	bool (*next)(struct sip_scan *, struct sip_place *))
{
	struct sip_scan scan = sip_scan_of(value);
	struct sip_place place;
	while (next(&scan, &place)) {
		if (w->out)
			out_place(w, k, &place);
		else
			in_place(w, k, &place);
	}
}

/* Contacts that are not where the sender of the message wants to be reached. */
static bool lists_others(const struct sip_message *m)
{
	return !m->request &&
	       (text_is(&m->cseq_method, "REGISTER") || (m->status >= 300 && m->status < 400));
}

struct kinds {
	struct kind via, contact, target, route, other, peer;
};

static struct kinds kinds_of(struct sip_names *names, const struct sip_message *m)
{
	const bool own = !m->fragment, response = own && !m->request;
	const bool contact = own && !lists_others(m), via = own && m->request;
	return (struct kinds){
		.via = {&names->via, .reach = true, .list = true, .learns = via, .forgets = via,
			.echoed = response},
		.contact = {&names->contact, .reach = true, .learns = contact, .forgets = contact},
		.target = {&names->contact, .reach = true},
		.route = {&names->route, .reach = true, .list = true, .learns = own, .forgets = own,
			.echoed = response},
		.other = {&names->other, .learns = own, .own = true},
		.peer = {&names->peer, .learns = via, .forgets = via, .echoed = response},
	};
}

/* From names who asks and To who is asked, in requests and responses alike. */
static void edit_name(
	struct work *w, struct kinds *k, const struct sip_message *m, const struct sip_line *line)
{
	const bool from = line->field == SIP_FROM, party = line->field != SIP_NAMED && !m->fragment;
	const bool guest_asks = m->request == w->out;
	k->other.echoed = party && !m->request;
	/* in a dialog it repeats what the other side called it at the beginning */
	k->other.forgets = party && from && m->request && !text_left(&m->to_tag);
	edit_value(w, party && from != guest_asks ? &k->peer : &k->other, line->value,
		sip_next_address);
}

static void edit_line(
	struct work *w, struct kinds *k, const struct sip_message *m, const struct sip_line *line)
{
	switch (line->field) {
	case SIP_VIA: edit_value(w, &k->via, line->value, sip_next_via); break;
	case SIP_CONTACT: edit_value(w, &k->contact, line->value, sip_next_address); break;
	case SIP_REFER_TO: edit_value(w, &k->target, line->value, sip_next_address); break;
	case SIP_ROUTES:
		k->route.echoed = !m->fragment && (!m->request || text_is(&line->name, "ROUTE"));
		edit_value(w, &k->route, line->value, sip_next_address);
		break;
	case SIP_FROM:
	case SIP_TO:
	case SIP_NAMED: edit_name(w, k, m, line); break;
	case SIP_OTHER:
	case SIP_CALL_ID:
	case SIP_CSEQ:
	case SIP_EXPIRES:
	case SIP_CONTENT_LENGTH:
	case SIP_CONTENT_TYPE:
	case SIP_CONTENT_ENCODING:
	case SIP_CREDENTIALS: break;
	}
}

void sip_names_edit(struct splice *e, struct sip_names *names, const struct alg_flow *f,
	enum alg_direction from, const struct sip_message *m)
{
	struct work w = {e, f, from == ALG_GUEST, is_fixed(f)};
	struct kinds k = kinds_of(names, m);
	struct text lines = m->h.lines;
	struct sip_line line;
	if (!f->outside_ip_be ||
		(f->guest_ip_be == f->outside_ip_be && f->guest_port == f->outside_port))
		return;
	if (w.out || !text_is(&m->method, "REGISTER"))
		edit_value(&w, &k.target, m->uri, sip_next_uri);
	while (sip_next_line(&lines, &line))
		edit_line(&w, &k, m, &line);
}

bool sip_names_is_guest(const struct alg_flow *f, const struct sip_place *place)
{
	return f->outside_ip_be && place->part == SIP_PART_HOST &&
	       place->ip_be == f->outside_ip_be &&
	       (is_fixed(f) || meant(place->number) == f->outside_port);
}

static bool is_own(const struct alg_flow *f, const struct sip_place *p)
{
	return f->outside_ip_be && (p->ip_be == f->guest_ip_be || p->ip_be == f->outside_ip_be);
}

bool sip_names_own_via(const struct alg_flow *f, const struct sip_message *m)
{
	struct text lines = m->h.lines;
	struct sip_line line;
	struct sip_place place;
	while (sip_next_line(&lines, &line)) {
		if (line.field != SIP_VIA)
			continue;
		struct sip_scan scan = sip_scan_of(line.value);
		return sip_next_via(&scan, &place) && place.part == SIP_PART_SENT_BY &&
		       place.first && is_own(f, &place);
	}
	return false;
}

static bool is_own_contact(const struct alg_flow *f, struct text contact)
{
	struct sip_scan scan = sip_scan_of(contact);
	struct sip_place place;
	while (sip_next_address(&scan, &place))
		if (place.part == SIP_PART_HOST && is_own(f, &place))
			return true;
	return false;
}

bool sip_names_own(const struct alg_flow *f, const struct sip_message *m)
{
	struct text lines = m->h.lines;
	struct sip_line line;
	bool contact = false;
	while (!contact && sip_next_line(&lines, &line))
		contact = line.field == SIP_CONTACT && is_own_contact(f, line.value);
	return contact && sip_names_own_via(f, m);
}
