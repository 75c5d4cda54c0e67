/*
 * The DHCP server: theory of operation.
 *
 *   frame ─▶ codec_parse ─▶ trusted? ─▶ one function a message:
 *
 *     on_discover ─▶ lease_offer ─▶ OFFER
 *     on_request  ─▶ lease_claim, lease_bind ─▶ commit … ACK when stored; or NAK
 *     on_release  ─▶ lease_release ─▶ commit
 *     on_decline  ─▶ lease_decline ─▶ commit
 *     on_inform   ─▶ ACK without a lease
 *
 * What a client says about itself is checked against what it cannot choose: chaddr must be the
 * source MAC of the frame. So a station can ask for itself only, and the broker's limit of MACs a
 * port bounds how many selves it has. A relay (giaddr) speaks for others: it is believed as far as
 * its own port goes, never about a lease that is in force elsewhere, and the port's quota bounds
 * it.
 *
 * Rate: an offer to a client that had no address costs a token of its port, and the ACK gives the
 * token back. Clients that finish their exchange are thus never slowed, however many they are; a
 * station that only asks is soon unheard. A REQUEST repeated within a second is answered without a
 * new commit: the journal's disk is not the guests' to wear.
 *
 * While the commit of an ACK is under way its lease is `busy`: further messages of that client are
 * dropped and nobody else can get the address. If the supervisor answers late or "not stored", the
 * lease goes back to what it was. Nothing is promised that is not on disk: a renewal that could
 * not be stored is answered with what is left of the lease that is.
 *
 * A client that is offered another address (a reservation, a new range) has lost the one it had:
 * that lease is committed as released (engine_moved), or it would be in force again after a
 * restart, and the client's name would lead there meanwhile.
 */
#include "engine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

static const uint8_t broadcast_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

int engine_configure(struct engine *e, const struct engine_config *c, struct lease_time t)
{
	const struct lease_plan plan = {
		.from = c->from,
		.to = c->to,
		.netmask = ntohl(c->settings.netmask_be),
		.server = ntohl(c->settings.server_be),
		.reservation = c->reservation,
		.reservations = c->reservations,
	};
	e->settings = c->settings;
	e->lease_ms = c->lease_ms;
	e->pool.per_port = c->leases_per_port;
	return lease_plan(&e->pool, &plan, t);
}

static void drop(struct engine_out *out, enum drop why)
{
	out->dropped = true;
	out->why = why;
}

static bool in_subnet(const struct engine *e, uint32_t ip_be)
{
	return !((ip_be ^ e->settings.server_be) & e->settings.netmask_be);
}

static struct lease_client client_of(const struct codec_request *q, uint32_t port)
{
	struct lease_client c = {
		.port = port,
		.id = q->option[OPTION_CLIENT_ID].value,
		.id_bytes = q->option[OPTION_CLIENT_ID].bytes,
		.host = q->option[OPTION_HOST_NAME].value,
		.host_bytes = q->option[OPTION_HOST_NAME].bytes,
	};
	memcpy(c.mac, q->chaddr, 6);
	return c;
}

/* Where an answer goes (RFC 2131 4.1); a broadcast too stays on the port that asked. */
static void address_reply(struct codec_reply *r)
{
	const struct codec_request *q = r->to;
	memcpy(r->to_mac, q->source_mac, 6);
	r->to_port = CODEC_CLIENT_PORT;
	if (q->giaddr_be) {
		r->to_ip_be = q->giaddr_be;
		r->to_port = CODEC_SERVER_PORT;
	} else if (r->type == CODEC_NAK || (!q->ciaddr_be && (q->flags & CODEC_FLAG_BROADCAST))) {
		r->to_ip_be = INADDR_BROADCAST;
		memcpy(r->to_mac, broadcast_mac, 6);
	} else {
		r->to_ip_be = q->ciaddr_be ? q->ciaddr_be : r->yiaddr_be;
	}
}

/* Writes an answer into frame and returns its length. l: the lease it is about, or NULL. */
static size_t emit(struct engine *e, uint8_t *frame, enum codec_type type, const struct lease *l,
	uint32_t lease_s)
{
	struct codec_reply r = {
		.to = &e->request, .type = type, .lease_s = lease_s, .ident = e->ident++};
	if (l) {
		r.yiaddr_be = l->ip_be;
		r.host_name = l->name;
	}
	if (type == CODEC_ACK)
		r.ciaddr_be = e->request.ciaddr_be;
	if (type == CODEC_NAK)
		r.why = e->refused;
	address_reply(&r);
	return codec_emit(frame, &e->settings, &r);
}

static void answer(struct engine *e, struct engine_out *out, enum codec_type type,
	const struct lease *l, uint32_t lease_s)
{
	out->frame_bytes = emit(e, e->frame, type, l, lease_s);
	out->frame = e->frame;
}

static uint32_t seconds(uint64_t ms)
{
	return (uint32_t)((ms + 999) / 1000);
}

/* Takes a token of a bucket that holds `burst`. */
static bool take_token(uint64_t *empty, uint64_t cost_ns, unsigned int burst, uint64_t now_ns)
{
	uint64_t from = *empty > now_ns ? *empty : now_ns;
	if (from - now_ns > (burst - 1) * cost_ns)
		return false;
	*empty = from + cost_ns;
	return true;
}

/* For an offer to a new client. */
static bool take_offer(struct engine *e, uint32_t port, uint64_t now_ns)
{
	return take_token(&e->offers_ns[port % ENGINE_PORTS], ENGINE_OFFER_COST_NS,
		ENGINE_OFFERS_BURST, now_ns);
}

static void return_offer(struct engine *e, uint32_t port)
{
	uint64_t *empty = &e->offers_ns[port % ENGINE_PORTS];
	*empty -= *empty > ENGINE_OFFER_COST_NS ? ENGINE_OFFER_COST_NS : *empty;
}

/* A slot for a commit, and its number; NULL when too many are under way. */
static struct engine_pending *begin_commit(
	struct engine *e, struct engine_out *out, struct lease *l, struct lease_time t)
{
	struct engine_pending *w = &e->pending[(e->sequence + 1) % ENGINE_PENDING];
	if (w->sequence)
		return NULL;
	w->sequence = ++e->sequence;
	w->deadline_ns = t.now_ns + ENGINE_COMMIT_NS;
	w->lease = lease_index(&e->pool, l);
	w->port = out->port;
	w->state = l->state;
	w->expires_ns = l->expires_ns;
	w->expires_ms = l->expires_ms;
	w->frame_bytes = 0;
	out->sequence = w->sequence;
	return w;
}

/* Marks as over what was settled, in whatever order. */
static void end_commit(struct engine *e, struct engine_pending *w)
{
	w->sequence = 0;
	while (e->settled < e->sequence && !e->pending[(e->settled + 1) % ENGINE_PENDING].sequence)
		e->settled++;
}

/* Whether a complaint is due again. */
static bool say_again(uint64_t *said_ns, struct lease_time t)
{
	if (*said_ns && t.now_ns - *said_ns < ENGINE_SAY_NS)
		return false;
	*said_ns = t.now_ns;
	return true;
}

static void on_discover(
	struct engine *e, const struct lease_client *c, struct lease_time t, struct engine_out *out)
{
	const struct lease *own = lease_of_client(&e->pool, c);
	bool paid = own && (own->state == LEASE_BOUND || own->state == LEASE_OFFERED);
	enum drop why;
	if (!paid && !take_offer(e, out->port, t.now_ns)) {
		drop(out, DROP_DHCP_RATE);
		return;
	}
	const struct lease *l = lease_offer(&e->pool, c, e->request.requested_be, t, &why);
	if (l) {
		answer(e, out, CODEC_OFFER, l, seconds(e->lease_ms));
		return;
	}
	drop(out, why);
	if (say_again(&e->said_ns, t))
		out->event = why == DROP_DHCP_POOL ? ENGINE_EXHAUSTED : ENGINE_CROWDED;
}

/*
 * Says no, and why; the log hears of so many a second. Behind a relay a client with a wrong address
 * can be reached by broadcast only (RFC 2131 4.3.2).
 */
static void refuse(struct engine *e, const struct lease_client *c, uint32_t wish_be,
	struct lease_time t, struct engine_out *out)
{
	e->refused = lease_refusal(&e->pool, c, wish_be);
	if (e->request.giaddr_be)
		e->request.flags |= CODEC_FLAG_BROADCAST;
	answer(e, out, CODEC_NAK, NULL, 0);
	if (!take_token(&e->refused_ns[out->port % ENGINE_PORTS], ENGINE_REFUSED_COST_NS,
		    ENGINE_REFUSED_BURST, t.now_ns))
		return;
	out->event = ENGINE_REFUSED;
	out->refused = e->refused;
	out->lease = (struct lease){.ip_be = wish_be};
	memcpy(out->lease.mac, c->mac, 6);
	lease_set_host(&out->lease, c);
}

/* Binds and commits; the ACK waits in the pending table. */
static void grant(struct engine *e, struct lease *l, const struct lease_client *c,
	struct lease_time t, struct engine_out *out)
{
	if (l->state == LEASE_BOUND && t.now_ns - l->since_ns < 1000000000 &&
		!memcmp(l->mac, c->mac, 6)) {
		answer(e, out, CODEC_ACK, l, seconds((l->expires_ns - t.now_ns) / 1000000));
		return;
	}
	struct engine_pending *w = begin_commit(e, out, l, t);
	if (!w) {
		drop(out, DROP_DHCP_RATE);
		return;
	}
	lease_bind(&e->pool, l, c, e->lease_ms, t);
	l->busy = true;
	out->lease = *l;
	w->frame_bytes = emit(e, w->frame, CODEC_ACK, l, seconds(e->lease_ms));
}

/* RFC 2131 4.3.2. Selecting: our offer is taken, or another server's. */
static void on_request_selecting(
	struct engine *e, const struct lease_client *c, struct lease_time t, struct engine_out *out)
{
	const struct codec_request *q = &e->request;
	struct lease *own = lease_of_client(&e->pool, c);
	if (q->server_be != e->settings.server_be) {
		if (own && own->state == LEASE_OFFERED)
			lease_withdraw(&e->pool, own, t);
		return;
	}
	uint32_t wish_be = q->requested_be ? q->requested_be : q->ciaddr_be;
	struct lease *l = lease_claim(&e->pool, c, wish_be, t);
	if (l)
		grant(e, l, c, t, out);
	else
		refuse(e, c, wish_be, t, out);
}

/*
 * INIT-REBOOT, and renewing or rebinding (ciaddr). An address that is wrong here is refused. A
 * rebooting client of which we know nothing hears nothing, as the RFC demands; one that is
 * configured already keeps its address if it is free.
 */
static void on_request_existing(
	struct engine *e, const struct lease_client *c, struct lease_time t, struct engine_out *out)
{
	const struct codec_request *q = &e->request;
	uint32_t wish_be = q->ciaddr_be ? q->ciaddr_be : q->requested_be;
	const struct lease *there = lease_of_address(&e->pool, wish_be);
	if (!wish_be) {
		drop(out, DROP_DHCP_BAD);
		return;
	}
	bool known = lease_of_client(&e->pool, c);
	bool unclaimed = there && !there->reserved &&
			 (there->state == LEASE_FREE || there->state == LEASE_RELEASED ||
				 there->state == LEASE_EXPIRED);
	if (!known && !q->ciaddr_be && unclaimed)
		return;
	struct lease *l = lease_claim(&e->pool, c, wish_be, t);
	if (l)
		grant(e, l, c, t, out);
	else
		refuse(e, c, wish_be, t, out);
}

static void on_request(
	struct engine *e, const struct lease_client *c, struct lease_time t, struct engine_out *out)
{
	const struct lease *own = lease_of_client(&e->pool, c);
	if (own && own->state == LEASE_OFFERED)
		return_offer(e, out->port);
	if (e->request.server_be)
		on_request_selecting(e, c, t, out);
	else
		on_request_existing(e, c, t, out);
}

/* The lease that a RELEASE or DECLINE is about: the client's own, from the station that holds it;
 * else NULL. */
static struct lease *own_lease(struct engine *e, const struct lease_client *c, uint32_t ip_be)
{
	const struct codec_request *q = &e->request;
	struct lease *l = lease_of_client(&e->pool, c);
	bool ours = !q->server_be || q->server_be == e->settings.server_be;
	return ours && l && l->ip_be == ip_be && !memcmp(l->mac, c->mac, 6) ? l : NULL;
}

/*
 * Stores a lease that ended as `state` until expires_ms. Nobody waits for it: when no slot is free
 * the journal learns it by expiry.
 */
static void commit_end(struct engine *e, struct lease *l, enum lease_state state,
	uint64_t expires_ms, struct lease_time t, struct engine_out *out)
{
	out->event = state == LEASE_RELEASED ? ENGINE_RELEASED : ENGINE_DECLINED;
	begin_commit(e, out, l, t);
	out->lease.state = state;
	out->lease.expires_ms = expires_ms;
}

static void release(struct engine *e, struct lease *l, struct lease_time t, struct engine_out *out)
{
	out->lease = *l;
	commit_end(e, l, LEASE_RELEASED, t.wall_ms, t, out);
	lease_release(&e->pool, l, t);
}

static void on_release(
	struct engine *e, const struct lease_client *c, struct lease_time t, struct engine_out *out)
{
	struct lease *l = own_lease(e, c, e->request.ciaddr_be);
	if (!l || l->state != LEASE_BOUND) {
		drop(out, DROP_DHCP_SPOOF);
		return;
	}
	release(e, l, t, out);
}

static void on_decline(
	struct engine *e, const struct lease_client *c, struct lease_time t, struct engine_out *out)
{
	struct lease *l = own_lease(e, c, e->request.requested_be);
	if (!l || l->state != LEASE_BOUND) {
		drop(out, DROP_DHCP_SPOOF);
		return;
	}
	out->lease = *l;
	lease_decline(&e->pool, l, t);
	commit_end(e, l, LEASE_DECLINED, l->expires_ms, t, out);
}

static void on_inform(struct engine *e, struct engine_out *out)
{
	struct codec_request *q = &e->request;
	if (!q->ciaddr_be)
		q->ciaddr_be = q->source_be;
	if (!q->ciaddr_be || !in_subnet(e, q->ciaddr_be)) {
		drop(out, DROP_DHCP_BAD);
		return;
	}
	answer(e, out, CODEC_ACK, NULL, 0);
}

/*
 * chaddr is a station's, and the sender's own; or the sender is a relay in the subnet that says so
 * itself.
 */
static bool trusted(const struct engine *e, enum drop *why)
{
	static const uint8_t none[6];
	const struct codec_request *q = &e->request;
	*why = DROP_DHCP_SPOOF;
	if ((q->chaddr[0] & 1) || !memcmp(q->chaddr, none, 6) ||
		!memcmp(q->chaddr, e->settings.mac, 6))
		return false;
	if (!q->giaddr_be)
		return !memcmp(q->chaddr, q->source_mac, 6);
	if (q->source_be != q->giaddr_be)
		return false;
	*why = DROP_DHCP_BAD;
	return in_subnet(e, q->giaddr_be) && q->giaddr_be != e->settings.server_be;
}

/* A relay speaks for a station that holds a lease. */
static bool is_relayed(const struct engine *e, const struct lease *own)
{
	return e->request.giaddr_be && own &&
	       (own->state == LEASE_BOUND || own->state == LEASE_OFFERED);
}

/*
 * A relay cannot have, renew or end what a station holds behind another port. After a restart
 * nobody knows which port that was: then a relay may ask for the station, which may be its own,
 * but end nothing.
 */
static bool relay_meddles(const struct engine *e, const struct lease *own, uint32_t port)
{
	bool ends = e->request.type == CODEC_RELEASE || e->request.type == CODEC_DECLINE;
	if (!is_relayed(e, own))
		return false;
	return own->port == LEASE_PORTS ? ends : own->port != port;
}

static void clear(struct engine_out *out, uint32_t port)
{
	out->frame_bytes = 0;
	out->sequence = 0;
	out->event = ENGINE_NOTHING;
	out->dropped = false;
	out->port = port;
}

void engine_input(struct engine *e, uint32_t port, const uint8_t *frame, size_t bytes, bool csum_ok,
	struct lease_time t, struct engine_out *out)
{
	enum drop why;
	clear(out, port);
	e->pool.moved.ip_be = 0;
	if (!codec_parse(&e->request, frame, bytes, csum_ok, &why) || !trusted(e, &why)) {
		drop(out, why);
		return;
	}
	struct lease_client c = client_of(&e->request, port);
	const struct lease *own = lease_of_client(&e->pool, &c);
	if (relay_meddles(e, own, port)) {
		drop(out, DROP_DHCP_SPOOF);
		return;
	}
	if (is_relayed(e, own))
		c.port = own->port; /* what it says does not prove where the station is */
	if (own && own->busy && e->request.type != CODEC_DISCOVER)
		return; /* the answer to its last message is on its way */
	switch (e->request.type) {
	case CODEC_DISCOVER: on_discover(e, &c, t, out); break;
	case CODEC_REQUEST: on_request(e, &c, t, out); break;
	case CODEC_RELEASE: on_release(e, &c, t, out); break;
	case CODEC_DECLINE: on_decline(e, &c, t, out); break;
	case CODEC_INFORM: on_inform(e, out); break;
	case CODEC_OFFER:
	case CODEC_ACK:
	case CODEC_NAK:
	default: drop(out, DROP_DHCP_BAD); break;
	}
}

/*
 * A lease that could not be stored goes back to what it was. A client that renews hears what is
 * left of it, so that it keeps its address as long as it was promised.
 */
static void undo(struct engine *e, struct engine_pending *w, struct lease *l, struct lease_time t,
	struct engine_out *out)
{
	uint64_t left_ms = w->expires_ns > t.now_ns ? (w->expires_ns - t.now_ns) / 1000000 : 0;
	lease_unbind(&e->pool, l, w->state, w->expires_ns, w->expires_ms, t);
	if (w->state != LEASE_BOUND || left_ms < 1000)
		return;
	codec_set_lease(w->frame, w->frame_bytes, (uint32_t)(left_ms / 1000));
	out->frame = w->frame;
	out->frame_bytes = w->frame_bytes;
}

/* A commit is over. What waits for it goes out, or is undone. */
static void settle(struct engine *e, struct engine_pending *w, bool stored, struct lease_time t,
	struct engine_out *out)
{
	struct lease *l = &e->pool.lease[w->lease];
	out->port = w->port;
	l->busy = l->busy && !w->frame_bytes;
	out->lease = *l;
	if (!stored && l->entry && say_again(&e->not_stored_ns, t))
		out->event = ENGINE_NOT_STORED;
	if (w->frame_bytes && stored) {
		out->frame = w->frame;
		out->frame_bytes = w->frame_bytes;
		out->event = w->state == LEASE_BOUND ? ENGINE_RENEWED : ENGINE_CREATED;
	} else if (w->frame_bytes) {
		undo(e, w, l, t, out);
	}
	end_commit(e, w);
}

int engine_committed(struct engine *e, uint64_t sequence, bool stored, struct lease_time t,
	struct engine_out *out)
{
	struct engine_pending *w = &e->pending[sequence % ENGINE_PENDING];
	clear(out, 0);
	if (!sequence || sequence > e->sequence)
		return -EPROTO;
	if (w->sequence == sequence)
		settle(e, w, stored, t, out);
	return 0;
}

bool engine_moved(struct engine *e, struct lease_time t, struct engine_out *out)
{
	struct lease_pool *p = &e->pool;
	clear(out, LEASE_PORTS);
	if (!p->moved.ip_be)
		return false;
	out->lease = p->moved;
	p->moved.ip_be = 0;
	/* its place may be another's by now, so the commit is in the name of the one that is nobody's */
	commit_end(e, &p->lease[LEASE_NONE], LEASE_RELEASED, t.wall_ms, t, out);
	return true;
}

bool engine_release(struct engine *e, const uint8_t *mac, uint32_t ip_be, struct lease_time t,
	struct engine_out *out)
{
	struct lease *l = lease_held(&e->pool, mac, ip_be);
	clear(out, LEASE_PORTS);
	if (l)
		release(e, l, t, out);
	return l;
}

bool engine_timeout(struct engine *e, struct lease_time t, struct engine_out *out)
{
	struct engine_pending *w = &e->pending[(e->settled + 1) % ENGINE_PENDING];
	clear(out, 0);
	if (w->sequence && w->deadline_ns <= t.now_ns) {
		settle(e, w, false, t, out);
		return true;
	}
	if (!lease_expire(&e->pool, t, &out->lease))
		return false;
	if (out->lease.ip_be)
		out->event = ENGINE_EXPIRED;
	return true;
}

uint64_t engine_deadline(const struct engine *e)
{
	const struct engine_pending *w = &e->pending[(e->settled + 1) % ENGINE_PENDING];
	uint64_t lease_ns = lease_next(&e->pool);
	return w->sequence && w->deadline_ns < lease_ns ? w->deadline_ns : lease_ns;
}

static void describe_trouble(const struct engine *e, const struct engine_out *out, const char *mac,
	const char *ip, char *text)
{
	if (out->event == ENGINE_EXHAUSTED)
		snprintf(text, ENGINE_EVENT_BYTES,
			"dhcp range is exhausted: %u of %u leased. See: natlockctl dhcp table; or "
			"widen dhcp.range",
			lease_taken(&e->pool), e->pool.count);
	else if (out->event == ENGINE_CROWDED)
		snprintf(text, ENGINE_EVENT_BYTES,
			"dhcp: one port or station has all the leases that it may have (%u a port, "
			"%d a "
			"station). See: natlockctl dhcp table; or raise limits.macs_per_port",
			e->pool.per_port, LEASE_PER_MAC);
	else
		snprintf(text, ENGINE_EVENT_BYTES,
			"dhcp lease %s of %s could not be stored. Is the disk of natlock's state "
			"folder full or read-only? See: natlockctl status",
			ip, mac);
}

const char *engine_describe(const struct engine *e, const struct engine_out *out, char *text)
{
	static const char *const did[] = {
		[ENGINE_CREATED] = "created",
		[ENGINE_RENEWED] = "renewed",
		[ENGINE_RELEASED] = "released",
		[ENGINE_DECLINED] = "declined",
		[ENGINE_EXPIRED] = "expired",
	};
	const struct lease *l = &out->lease;
	char mac[18], ip[16], host[4 * LEASE_HOST_BYTES + 1];
	log_mac(mac, l->mac, '-');
	log_ip(ip, l->ip_be);
	log_escape(host, sizeof(host), l->host, l->host_bytes);
	if (out->event >= ENGINE_EXHAUSTED) {
		describe_trouble(e, out, mac, ip, text);
	} else if (out->event == ENGINE_REFUSED) {
		snprintf(text, ENGINE_EVENT_BYTES,
			"SecureNAT: A DHCP request was refused. MAC address: %s, IP address: %s, "
			"host "
			"name: %s, reason: %s",
			mac, ip, host, out->refused);
	} else {
		int n = snprintf(text, ENGINE_EVENT_BYTES,
			"SecureNAT: The DHCP entry %u was %s. MAC address: %s, IP address: %s, "
			"host name: %s",
			l->entry, did[out->event], mac, ip, host);
		if (out->event == ENGINE_CREATED || out->event == ENGINE_RENEWED)
			snprintf(text + n, (size_t)(ENGINE_EVENT_BYTES - n),
				", expiration date: %u seconds", seconds(e->lease_ms));
	}
	return text;
}
