/*
 * Theory of operation. pinhole.c decides; a granted door for connections becomes a listener on the
 * address and device by which the control connection leaves, with the guest's own port number where
 * that is free and no service's of the host. Who comes in by it is derive.c's work, and how what comes
 * is read. While the door is latent, who knocks waits in the kernel's queue: who agrees may knock before alg has read
 * that he does. A door may be nothing but that: it watches for a connection that the guest itself is to make,
 * or that comes by a port which is open already.
 *
 * A door for datagrams is two things: the peer may come in, whatever port it speaks from, which
 * gather.c and reserve.c ask here; and an outside port is kept for the guest's, which is reserve.c's
 * work. It is used when the guest and the peer first have a session, whoever began it, and stays
 * from then on while the guest's flow and the control flow are both there. What goes through it is
 * an ordinary session and does not end with it.
 *
 * Of media the far end names the peer, so alg may: what it names has to be a host outside with which
 * the guest could begin itself, or the address by which other guests of the hub are seen there.
 *
 * Every grant, refusal, use and expiry is a line in the security log. Where an ALG only observes,
 * its wishes are judged and answered as if they were granted, and nothing is opened.
 */
#include "expect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "inspect.h"
#include "log.h"
#include "lowport.h"
#include "publish.h"
#include "reserve.h"
#include "sessionlog.h"
#include "source.h"

enum {
	IP_TEXT = 16,
	KIND_TEXT = 24,
	PEER_TEXT = 24,
	EXPIRED_A_TURN = 64,
	MS_NS = 1000000,
	PRIVILEGED = 1024,
};

static void shut(struct natproxy *np, uint32_t ref)
{
	const struct pinhole e = np->pinholes.entry[ref];
	if (e.fd >= 0)
		natproxy_close_fd(np, e.fd, false);
	pinhole_close(&np->pinholes, ref);
	for (unsigned int i = 0; pinhole_is_datagram(e.kind) && i < pinhole_ports(&e); i++) {
		const struct sock_address inside = pinhole_inside(&e, i);
		reserve_settle(np, &inside);
	}
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

/* What is said of the kind behind the protocol's name: of a listener, the ordinary one, nothing. */
static const char *kind_said(char text[KIND_TEXT], uint32_t kind)
{
	const bool is_said = kind < PINHOLE_KINDS && kind != PINHOLE_TCP_LISTEN;
	snprintf(text, KIND_TEXT, "%s%s", is_said ? ", " : "",
		is_said ? pinhole_kind_text((enum pinhole_kind)kind) : "");
	return text;
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

/* Of an expectation that is open to whoever speaks first there is no address. */
static const char *peer_said(char text[PEER_TEXT], const struct pinhole *p)
{
	char ip[IP_TEXT];
	if (p->kind == PINHOLE_TCP_WATCH)
		snprintf(text, PEER_TEXT, "%s:%u", log_ip(ip, p->seen.ip_be), p->seen.port);
	else
		snprintf(text, PEER_TEXT, "%s",
			p->peer_ip_be ? log_ip(ip, p->peer_ip_be) : "whoever speaks first");
	return text;
}

/* From which port a guest begins is not known before it does. */
static const char *guest_said(char text[PEER_TEXT], const struct sock_address *guest)
{
	char ip[IP_TEXT];
	snprintf(text, PEER_TEXT, guest->port ? "%s:%u" : "%s", log_ip(ip, guest->ip_be),
		guest->port);
	return text;
}

static void log_armed(struct natproxy *np, const struct pinhole *p)
{
	char peer[PEER_TEXT];
	Nl__EventRow e = event_of(p, "expectation_armed", NULL);
	natproxy_event(np, &e,
		"SecureNAT: The ALG expectation %u was armed: the far end agreed. Peer %s, "
		"expiration %u seconds",
		p->number, peer_said(peer, p), (unsigned int)(p->life_ns / MS_NS / 1000));
}

static void log_granted(
	struct natproxy *np, const struct pinhole *p, const struct inspect_subject *s)
{
	char guest[PEER_TEXT], outside[IP_TEXT + sizeof(", outside :65535")] = "", ip[IP_TEXT];
	char peer[PEER_TEXT], kind[KIND_TEXT];
	Nl__EventRow e = event_of(p, "expectation_created", NULL);
	if (p->kind != PINHOLE_TCP_WATCH)
		snprintf(outside, sizeof(outside), ", outside %s:%u", log_ip(ip, p->outside.ip_be),
			p->outside.port);
	natproxy_event(np, &e,
		"SecureNAT: The ALG expectation %u was created. Protocol %s%s, %s session %u, "
		"guest %s%s, peer %s, expiration %u seconds%s",
		p->number, algs_name(s->alg), kind_said(kind, p->kind), s->stream ? "TCP" : "UDP",
		p->parent, guest_said(guest, &p->guest), outside, peer_said(peer, p),
		(unsigned int)((p->expires_ns - np->now_ns) / MS_NS / 1000),
		p->latent ? ", not armed yet" : "");
}

static void log_pretended(
	struct natproxy *np, const struct pinhole *p, const struct inspect_subject *s)
{
	char guest[PEER_TEXT], peer[PEER_TEXT], kind[KIND_TEXT];
	Nl__EventRow e = event_of(p, "expectation_observed", NULL);
	natproxy_event(np, &e,
		"SecureNAT: An ALG expectation would have been created. Protocol %s%s, %s session "
		"%u, guest %s, peer %s",
		algs_name(s->alg), kind_said(kind, p->kind), s->stream ? "TCP" : "UDP", p->parent,
		guest_said(guest, &p->guest), peer_said(peer, p));
}

/* `outside` NULL: refused. */
static void answer(struct natproxy *np, const Nl__PinholeOpen *asked,
	const struct sock_address *outside, enum pinhole_refusal why)
{
	char text[64];
	Nl__PinholeAnswer m = NL__PINHOLE_ANSWER__INIT;
	m.has_flow = m.has_token = m.has_granted = true;
	m.flow = asked->flow;
	m.token = asked->token;
	m.granted = outside != NULL;
	if (outside) {
		m.has_outside_ip_be = m.has_outside_port = true;
		m.outside_ip_be = outside->ip_be;
		m.outside_port = outside->port;
	} else {
		snprintf(text, sizeof(text), "%s", pinhole_refusal_text(why));
		m.why = text;
	}
	np->shell.pinhole_answer(np->shell.context, &m);
	inspect_answered(np, asked->flow);
}

/* alg learns what became of a door; where its channel is full it misses no more than that. */
static void tell_gone(struct natproxy *np, const struct pinhole *p, bool used, bool expired)
{
	Nl__PinholeGone m = NL__PINHOLE_GONE__INIT;
	m.has_flow = m.has_token = true;
	m.flow = p->flow;
	m.token = p->token;
	m.has_used = m.used = used;
	m.has_expired = m.expired = expired;
	np->shell.pinhole_gone(np->shell.context, &m);
}

/* What alg wants done with an expectation that there is. It stays as it was. */
static void refuse_act(struct natproxy *np, uint32_t ref, enum pinhole_refusal why)
{
	const struct pinhole *p = &np->pinholes.entry[ref];
	Nl__EventRow e = event_of(p, "expectation_refused", pinhole_refusal_text(why));
	np->pinholes.count[p->alg].refused++;
	drop_count(np->drops, DROP_PINHOLE_REFUSED);
	if (sessionlog_may_refuse(np))
		natproxy_event(np, &e,
			"SecureNAT: A change of the ALG expectation %u was refused: %s. Protocol %s",
			p->number, e.reason, algs_name((enum algs_id)p->alg));
}

static void log_refused(struct natproxy *np, const struct inspect_subject *s,
	const Nl__PinholeOpen *m, enum pinhole_refusal why)
{
	char guest[IP_TEXT], kind[KIND_TEXT], advice[PINHOLE_ADVICE_BYTES];
	char unsaid[SESSIONLOG_UNSAID_BYTES];
	const struct pinhole none = {.parent = nat_session(&np->nat, s->session)->number};
	Nl__EventRow e = event_of(&none, "expectation_refused", pinhole_refusal_text(why));
	pinhole_refusal_advice(advice, s->alg, why);
	sessionlog_tell_unsaid(np, &e, unsaid);
	natproxy_event(np, &e,
		"SecureNAT: The ALG expectation was refused: %s. Protocol %s%s, %s session %u, "
		"guest %s:%u%s%s",
		e.reason, algs_name(s->alg), kind_said(kind, (uint32_t)m->kind),
		s->stream ? "TCP" : "UDP", e.session, log_ip(guest, s->guest.ip_be), m->guest_port,
		*advice ? "." : "", advice);
}

static void refuse(struct natproxy *np, const struct inspect_subject *s, const Nl__PinholeOpen *m,
	enum pinhole_refusal why)
{
	drop_count(np->drops, DROP_PINHOLE_REFUSED);
	if (sessionlog_may_refuse(np))
		log_refused(np, s, m, why);
	answer(np, m, NULL, why);
}

/* A flow that has just ended, that is not inspected, or of nobody: there is nobody to answer about it. */
static void refuse_flowless(struct natproxy *np, const Nl__PinholeOpen *m)
{
	const struct pinhole none = {.parent = 0};
	Nl__EventRow e =
		event_of(&none, "expectation_refused", pinhole_refusal_text(PINHOLE_NO_FLOW));
	drop_count(np->drops, DROP_PINHOLE_REFUSED);
	if (sessionlog_may_refuse(np))
		natproxy_event(np, &e,
			"SecureNAT: The ALG expectation was refused: %s. Inside port %u", e.reason,
			m->guest_port);
}

/* Where the control connection is, which for a server inside may be another device than the guest's own. */
static int open_any(struct natproxy *np, const struct inspect_subject *s, uint16_t port)
{
	struct sock_place at = {{s->outside.ip_be, port}, s->device};
	const bool other = portpick_is_ours(&np->ports, NAT_TCP, port) || portpick_is_service(port);
	const int fd = other ? -EADDRINUSE : sock_tcp_listen(np->sock, &at, np->config.shards > 1);
	at.at.port = 0;
	return fd < 0 ? sock_tcp_listen(np->sock, &at, np->config.shards > 1) : fd;
}

/* For a guest's port that only root has there: servers of rcmd connect to no other. */
static int open_low(struct natproxy *np, const struct inspect_subject *s)
{
	const struct sock_place at = source_of(np, s->guest.ip_be);
	return lowport_listen(np, &at);
}

static enum pinhole_refusal open_listener(
	struct natproxy *np, const struct inspect_subject *s, uint32_t ref)
{
	struct pinhole *p = &np->pinholes.entry[ref];
	const bool low = p->guest.port < PRIVILEGED;
	if (!natproxy_fd_room(np, true))
		return PINHOLE_NO_SOCKET;
	const int fd = low ? open_low(np, s) : open_any(np, s, p->guest.port);
	if (fd < 0 || !natproxy_own(np, fd, OWNER_PINHOLE, ref))
		return low ? PINHOLE_NO_LOW_SOCKET : PINHOLE_NO_SOCKET;
	p->fd = fd;
	sock_local(np->sock, fd, &p->outside);
	p->outside.ip_be = s->outside.ip_be;
	if (!p->latent)
		sock_watch(np->sock, fd, SOCK_READ);
	return PINHOLE_GRANTED;
}

/* A guest's datagrams are heard by its own device only: where its peer speaks by another, nothing would come in. */
static enum pinhole_refusal open_reserve(
	struct natproxy *np, const struct inspect_subject *s, uint32_t ref)
{
	const char *own = source_of(np, s->guest.ip_be).device;
	if (own && (!s->device || strcmp(own, s->device) != 0))
		return PINHOLE_NO_SOCKET;
	return reserve_open(np, &np->pinholes.entry[ref]);
}

/* Whether the guest's port, or one that is meant with it, is open to the outside by configuration. */
static bool is_open_port(const struct natproxy *np, uint32_t guest_ip_be, const Nl__PinholeOpen *m)
{
	const uint64_t pairs = m->has_pairs && m->pairs ? m->pairs : 1;
	const uint64_t last = (uint64_t)m->guest_port +
			      (m->kind == NL__PINHOLE_KIND__UDP_PAIR ? 2 * pairs - 1 : 0);
	for (uint32_t i = 0; i < np->publishes; i++) {
		const struct publish *p = &np->publish[i];
		if (p->used && p->to.ip_be == guest_ip_be && p->to.port >= m->guest_port &&
			p->to.port <= last)
			return true;
	}
	return false;
}

/*
 * A host outside with which a guest may begin, by whatever port: none of this computer's but the one by which the flow
 * leaves, where other guests of the hub are to be found.
 */
static bool is_outside(const struct natproxy *np, const struct inspect_subject *s, uint32_t ip_be)
{
	const struct sock_address at = {ip_be, 0};
	if (access_is_local(&np->access, ip_be))
		return ip_be == s->outside.ip_be;
	return access_check(&np->access, &at) == ACCESS_ALLOWED;
}

static struct pinhole_peer peer_of(
	const struct natproxy *np, const struct inspect_subject *s, bool named, uint32_t ip_be)
{
	return (struct pinhole_peer){.control_ip_be = s->peer.ip_be,
		.control_real_ip_be = s->real_ip_be,
		.named = named,
		.ip_be = ip_be,
		.outside = is_outside(np, s, ip_be),
		.latch = np->config.sip_latch};
}

/* What alg is told: of one that watches for what the guest begins, where that leads. */
static struct sock_address granted_at(const struct pinhole *p)
{
	return p->kind == PINHOLE_TCP_WATCH ? p->seen : p->outside;
}

static void pretend(struct natproxy *np, const struct inspect_subject *s,
	const struct pinhole_request *r, const Nl__PinholeOpen *m)
{
	const enum pinhole_refusal why = pinhole_pretend(&np->pinholes, r, np->now_ns);
	if (why != PINHOLE_GRANTED) {
		refuse(np, s, m, why);
		return;
	}
	const uint32_t peer_ip_be = r->peer.named ? r->peer.ip_be : r->peer.control_ip_be;
	const struct pinhole would_be = {.kind = (uint8_t)r->kind,
		.guest = {r->guest_ip_be, (uint16_t)r->guest_port},
		.outside = {s->outside.ip_be, (uint16_t)r->guest_port},
		.peer_ip_be = peer_ip_be,
		.seen = {peer_ip_be, (uint16_t)r->peer_port},
		.parent = nat_session(&np->nat, s->session)->number};
	const struct sock_address outside = granted_at(&would_be);
	log_pretended(np, &would_be, s);
	answer(np, m, &outside, PINHOLE_GRANTED);
}

/* The outside end of a door that was granted; one that is open `already` has it. */
static enum pinhole_refusal open_outside(struct natproxy *np, const struct inspect_subject *s,
	const struct publish *already, uint32_t ref)
{
	struct pinhole *p = &np->pinholes.entry[ref];
	p->parent = nat_session(&np->nat, s->session)->number;
	p->outside.ip_be = s->outside.ip_be;
	if (already)
		p->outside.port = already->listen.port;
	if (p->watched)
		return PINHOLE_GRANTED;
	return pinhole_is_datagram(p->kind) ? open_reserve(np, s, ref) : open_listener(np, s, ref);
}

static void open_door(struct natproxy *np, const struct inspect_subject *s,
	const struct pinhole_request *r, const struct publish *already, const Nl__PinholeOpen *m)
{
	uint32_t ref;
	enum pinhole_refusal why = pinhole_open(&np->pinholes, r, np->now_ns, &ref);
	if (why != PINHOLE_GRANTED) {
		refuse(np, s, m, why);
		return;
	}
	why = open_outside(np, s, already, ref);
	if (why != PINHOLE_GRANTED) {
		pinhole_take_back(&np->pinholes, ref);
		refuse(np, s, m, why);
		return;
	}
	const struct sock_address outside = granted_at(&np->pinholes.entry[ref]);
	log_granted(np, &np->pinholes.entry[ref], s);
	answer(np, m, &outside, PINHOLE_GRANTED);
}

/* Who registers does so by datagrams. In a call a web page could have its reader's ports opened like that (NAT Slipstreaming). */
static bool may_forward(const struct natproxy *np, const struct inspect_subject *s)
{
	return !s->stream || np->config.h323_forward;
}

/* Whether a connection that is meant is to be inspected, by whatever port it comes. */
static bool may_be_listed(const Nl__PinholeOpen *m)
{
	return m->has_inspect && (m->kind == NL__PINHOLE_KIND__TCP_LISTEN ||
					 m->kind == NL__PINHOLE_KIND__TCP_SERVICE);
}

/*
 * The port of a server inside, where nat.static or nat.publish has it open to all at the address that this client came to:
 * no door is needed, but the client has to be told the outside number. The same goes for who is to come to a port that
 * is open like that, by an address that the guest leaves by, and is to be inspected. NULL: it is not open.
 */
static const struct publish *open_already(
	const struct natproxy *np, const struct inspect_subject *s, const Nl__PinholeOpen *m)
{
	const bool client =
		np->nat.session[s->session].incoming && m->kind == NL__PINHOLE_KIND__TCP_LISTEN;
	if (!client && !may_be_listed(m))
		return NULL;
	for (uint32_t i = 0; i < np->publishes; i++) {
		const struct publish *p = &np->publish[i];
		if (p->used && !p->udp && p->fd >= 0 && p->to.ip_be == s->guest.ip_be &&
			p->to.port == m->guest_port &&
			(!p->listen.ip_be || p->listen.ip_be == s->outside.ip_be))
			return p;
	}
	return NULL;
}

int natproxy_on_pinhole_open(struct natproxy *np, const Nl__PinholeOpen *m, struct chan_in *in)
{
	struct inspect_subject s;
	if (!inspect_find(np, m->flow, &s) || s.flow->state != FLOW_RUNNING) {
		refuse_flowless(np, m);
		return 0;
	}
	const struct publish *open = open_already(np, &s, m);
	if (open && !may_be_listed(m)) {
		answer(np, m, &(struct sock_address){s.outside.ip_be, open->listen.port},
			PINHOLE_GRANTED);
		return 0;
	}
	const struct pinhole_request r = {.flow = m->flow,
		.token = m->token,
		.alg = s.alg,
		.kind = (uint32_t)m->kind,
		.guest_ip_be = s.guest.ip_be,
		.guest_port = m->guest_port,
		.control_port = s.guest.port,
		.pairs = m->has_pairs ? m->pairs : 0,
		.open = is_open_port(np, s.guest.ip_be, m),
		.listed = open != NULL,
		.came = np->nat.session[s.session].incoming,
		.forward = may_forward(np, &s),
		.peer_port = m->peer_port,
		.inspect = m->has_inspect,
		.service = m->inspect,
		.link = m->link,
		.peer = peer_of(np, &s, m->has_peer_ip_be, m->peer_ip_be),
		.life_ms = m->lifetime_ms,
		.latent = m->has_latent && m->latent};
	if (s.observe)
		pretend(np, &s, &r, m);
	else
		open_door(np, &s, &r, open, m);
	return 0;
}

/* The door that alg names, or PINHOLE_NONE. */
static uint32_t named(
	struct natproxy *np, uint32_t flow, uint32_t token, struct inspect_subject *s)
{
	return inspect_find(np, flow, s) ? pinhole_find(&np->pinholes, flow, token) : PINHOLE_NONE;
}

/* Flow and peer have a session: the doors for it are used. Ends because none is used twice. */
static void meet(struct natproxy *np, const struct flow *f, const struct sock_address *peer,
	bool came)
{
	uint32_t ref;
	while ((ref = pinhole_admits(&np->pinholes, &f->guest, peer->ip_be, came)) &&
		!np->pinholes.entry[ref].used) {
		log_used(np, &np->pinholes.entry[ref], peer);
		if (pinhole_use(&np->pinholes, ref, peer->ip_be, came))
			tell_gone(np, &np->pinholes.entry[ref], true, false);
	}
}

int natproxy_on_pinhole_close(struct natproxy *np, const Nl__PinholeClose *m, struct chan_in *in)
{
	struct inspect_subject s;
	const uint32_t ref = named(np, m->flow, m->token, &s);
	if (!ref)
		return 0;
	log_end(np, &np->pinholes.entry[ref], "withdrawn");
	shut(np, ref);
	return 0;
}

/* Guest and peer talk already: then the door is used, as if they had begun after it was opened. */
static void meet_already(struct natproxy *np, uint32_t ref)
{
	const struct pinhole e = np->pinholes.entry[ref];
	for (unsigned int i = 0; pinhole_is_datagram(e.kind) && i < pinhole_ports(&e); i++) {
		const struct sock_address inside = pinhole_inside(&e, i);
		const struct flow *f = flow_at(np, &inside);
		const uint32_t session =
			f ? nat_find_address(&np->nat, f->id, e.peer_ip_be) : NAT_NONE;
		if (session)
			meet(np, f, &nat_session(&np->nat, session)->remote, false);
	}
}

int natproxy_on_pinhole_arm(struct natproxy *np, const Nl__PinholeArm *m, struct chan_in *in)
{
	struct inspect_subject s;
	bool news;
	const uint32_t ref = named(np, m->flow, m->token, &s);
	if (!ref)
		return 0;
	const struct pinhole_peer peer = peer_of(np, &s, m->has_peer_ip_be, m->peer_ip_be);
	const enum pinhole_refusal why =
		pinhole_arm(&np->pinholes, ref, &peer, np->now_ns, &news);
	if (why != PINHOLE_GRANTED) {
		refuse_act(np, ref, why);
		return 0;
	}
	if (!news)
		return 0;
	log_armed(np, &np->pinholes.entry[ref]);
	if (np->pinholes.entry[ref].fd >= 0)
		sock_watch(np->sock, np->pinholes.entry[ref].fd, SOCK_READ);
	meet_already(np, ref);
	return 0;
}

int natproxy_on_pinhole_keep(struct natproxy *np, const Nl__PinholeKeep *m, struct chan_in *in)
{
	struct inspect_subject s;
	const uint32_t ref = named(np, m->flow, m->token, &s);
	const enum pinhole_refusal why =
		ref ? pinhole_keep(&np->pinholes, ref, np->now_ns) : PINHOLE_GRANTED;
	if (why != PINHOLE_GRANTED)
		refuse_act(np, ref, why);
	return 0;
}

void expect_used(struct natproxy *np, uint32_t ref, const struct sock_address *peer)
{
	const struct pinhole *p = &np->pinholes.entry[ref];
	log_used(np, p, peer);
	tell_gone(np, p, true, false);
}

void expect_spent(struct natproxy *np, uint32_t ref)
{
	tell_gone(np, &np->pinholes.entry[ref], false, false);
	shut(np, ref);
}

bool expect_admits(const struct natproxy *np, const struct flow *f, const struct sock_address *peer)
{
	return np->pinholes.datagram && f->kind == FLOW_UDP &&
	       pinhole_admits(&np->pinholes, &f->guest, peer->ip_be, true);
}

void expect_met(struct natproxy *np, struct flow *f, const struct sock_address *peer, bool came)
{
	f->awaited = false;
	if (np->pinholes.datagram && f->kind == FLOW_UDP)
		meet(np, f, peer, came);
}

/* Whether an entry was used and none of its ports has a flow any more. */
static bool has_served(struct natproxy *np, const struct pinhole *p)
{
	for (unsigned int i = 0; i < pinhole_ports(p); i++) {
		const struct sock_address inside = pinhole_inside(p, i);
		if (flow_at(np, &inside))
			return false;
	}
	return p->used;
}

void expect_flow_over(struct natproxy *np, const struct flow *f)
{
	uint32_t ref = PINHOLE_NONE;
	if (!np->pinholes.datagram)
		return;
	while ((ref = pinhole_at(&np->pinholes, &f->guest, ref))) {
		const struct pinhole *p = &np->pinholes.entry[ref];
		if (!has_served(np, p))
			continue;
		log_end(np, p, "its flow ended");
		tell_gone(np, p, false, false);
		shut(np, ref);
		ref = PINHOLE_NONE; /* of the list nothing is known any more */
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

/* Why a door that there is would not be opened any more; NULL: it would. */
static const char *no_more(struct natproxy *np, const struct pinhole *p)
{
	struct inspect_subject s;
	if (!np->config.sip_latch && p->latch && !p->peer_ip_be)
		return "alg.sip_latch is false now";
	if (p->kind == PINHOLE_TCP_SERVICE && inspect_find(np, p->flow, &s) && !may_forward(np, &s))
		return "alg.h323_forward is false now";
	return NULL;
}

void expect_configure(struct natproxy *np)
{
	uint32_t ref = PINHOLE_NONE;
	while ((ref = pinhole_next(&np->pinholes, ref))) {
		const struct pinhole *p = &np->pinholes.entry[ref];
		const char *why = no_more(np, p);
		if (!why)
			continue;
		log_end(np, p, why);
		tell_gone(np, p, false, false);
		shut(np, ref);
	}
}

void expect_timeout(struct natproxy *np)
{
	uint32_t ref;
	/* what is left is due still */
	for (int n = 0; n < EXPIRED_A_TURN && (ref = pinhole_expired(&np->pinholes, np->now_ns));
		n++) {
		const struct pinhole *p = &np->pinholes.entry[ref];
		np->pinholes.count[p->alg].expired += !p->used;
		log_end(np, p, p->used ? "its time is over" : "expired unused");
		tell_gone(np, p, false, true);
		shut(np, ref);
	}
}
