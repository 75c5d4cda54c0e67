/*
 * Theory of operation.
 *
 *   listener ─accept─▶ its peer? ─▶ publish_announce(derived) ─▶ guest ─▶ relay_adopt ─▶ derive_wanted ─┐
 *   connection that the guest made, or that came by an open port ────────────▶ derive_met ──────────────┴▶ inspection
 *
 * The first connection from the peer that a listener is for shuts it; a service's stays, and counts what is there by
 * it. Anyone else is reset and counted, and the door stays for the one it was made for.
 *
 * Where the guest is to connect to, a far end has said: it may have named any host's port, for which the guest has other
 * plans. So nothing ends there because it is not this protocol, not even where the operator wants that of it (strict).
 *
 * What an expectation says of a connection holds only while alg is the one that said it: natproxy_alg_lost ends both.
 */
#include "derive.h"

#include "expect.h"
#include "publish.h"

enum { ACCEPTS = 8 };

static struct derived derived_of(uint32_t ref, const struct pinhole *p)
{
	return (struct derived){.door = p->stands ? ref : 0,
		.number = p->number,
		.inspect = p->inspect,
		.lenient = p->kind == PINHOLE_TCP_WATCH,
		.alg = p->alg,
		.service = p->service,
		.link = p->link};
}

/* Whether the peer may come in; otherwise it was counted. *first: as pinhole_admit says. */
static bool lets_in(struct natproxy *np, uint32_t ref, const struct sock_address *peer, bool *first)
{
	const struct pinhole *p = &np->pinholes.entry[ref];
	const bool among_others = p->stands && p->peer_ip_be == peer->ip_be && !p->latent;
	if (among_others && !publish_admits(np, &p->guest, peer, 0, p->connections))
		return false;
	if (pinhole_admit(&np->pinholes, ref, peer->ip_be, first))
		return true;
	drop_count(np->drops, DROP_FILTERED);
	return false;
}

void derive_ready(struct natproxy *np, uint32_t ref)
{
	for (int i = 0; i < ACCEPTS; i++) {
		const struct pinhole *p = &np->pinholes.entry[ref];
		struct sock_address peer;
		bool first;
		const int fd = sock_accept(np->sock, p->fd, &peer);
		if (fd < 0)
			return;
		if (!natproxy_own(np, fd, OWNER_NONE, 0))
			continue;
		if (!lets_in(np, ref, &peer, &first)) {
			natproxy_close_fd(np, fd, true);
			continue;
		}
		const struct derived by = derived_of(ref, p);
		const struct sock_address guest = p->guest;
		const bool stays = p->stands;
		if (first)
			expect_used(np, ref, &peer);
		if (!stays)
			expect_spent(np, ref);
		publish_announce(np, fd, &guest, &peer, 0, &by);
		if (!stays)
			return;
	}
}

bool derive_wanted(struct natproxy *np, const struct derived *by, const struct nat_session *s,
	struct want *out)
{
	const struct want said = {.alg = (enum algs_id)by->alg,
		.service = by->service,
		.lenient = by->lenient,
		.link = by->link};
	return by->inspect && want_derived(&np->wants, &said, s->guest.ip_be, s->remote.ip_be, out);
}

bool derive_met(struct natproxy *np, const struct nat_session *s, struct want *out)
{
	const bool shown = s->incoming && s->real_ip_be; /* as the gateway, in its place */
	const struct sock_address far = {shown ? s->real_ip_be : s->remote.ip_be, s->remote.port};
	const uint32_t ref = pinhole_watched(&np->pinholes, &s->guest, &far, s->incoming);
	if (!ref)
		return false;
	const struct derived by = derived_of(ref, &np->pinholes.entry[ref]);
	const bool stays = np->pinholes.entry[ref].stands;
	if (pinhole_meet(&np->pinholes, ref))
		expect_used(np, ref, &s->remote);
	if (!stays)
		expect_spent(np, ref);
	return derive_wanted(np, &by, s, out);
}

void derive_left(struct natproxy *np, const struct derived *by)
{
	if (by->door)
		pinhole_left(&np->pinholes, by->door, by->number);
}
