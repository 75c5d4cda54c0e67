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
 * port bounds how many selves it has.
 *
 * Rate: an offer to a client that had no address costs a token of its port, and the ACK gives the
 * token back. Clients that finish their exchange are thus never slowed, however many they are; a
 * station that only asks is soon unheard. A REQUEST repeated within a second is answered without a
 * new commit: the journal's disk is not the guests' to wear.
 *
 * While the commit of an ACK is under way its lease is `busy`: further messages of that client are
 * dropped and nobody else can get the address. If the supervisor answers late or "not stored", the
 * lease goes back to what it was.
 */
#include "engine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

static const uint8_t broadcast_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

void engine_init(struct engine *e, uint32_t from, uint32_t to)
{
	uint32_t netmask = ntohl(e->settings.netmask_be), server = ntohl(e->settings.server_be);
	for (uint64_t ip = from; ip <= to; ip++) {
		uint32_t host = (uint32_t)ip & ~netmask;
		if (ip != server && host != 0 && host != ~netmask)
			lease_add(&e->pool, htonl((uint32_t)ip));
	}
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

static struct lease_client client_of(const struct codec_request *q)
{
	struct lease_client c = {
		.id = q->option[OPTION_CLIENT_ID].value,
		.id_bytes = q->option[OPTION_CLIENT_ID].bytes,
		.host = q->option[OPTION_HOST_NAME].value,
		.host_bytes = q->option[OPTION_HOST_NAME].bytes,
	};
	memcpy(c.mac, q->source_mac, 6);
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
		r.why = "address not available";
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

/* Takes a token of the port for an offer to a new client. */
static bool take_offer(struct engine *e, uint32_t port, uint64_t now_ns)
{
	uint64_t *empty = &e->offers_ns[port % ENGINE_PORTS];
	uint64_t from = *empty > now_ns ? *empty : now_ns;
	if (from - now_ns > (ENGINE_OFFERS_BURST - 1) * ENGINE_OFFER_COST_NS)
		return false;
	*empty = from + ENGINE_OFFER_COST_NS;
	return true;
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
	if (why == DROP_DHCP_POOL && (!e->said_ns || t.now_ns - e->said_ns >= ENGINE_SAY_NS)) {
		e->said_ns = t.now_ns;
		out->event = ENGINE_EXHAUSTED;
	}
}

/* Binds and commits; the ACK waits in the pending table. */
static void grant(struct engine *e, struct lease *l, const struct lease_client *c,
	struct lease_time t, struct engine_out *out)
{
	if (l->state == LEASE_BOUND && t.now_ns - l->since_ns < 1000000000 &&
		!memcmp(l->mac, c->mac, 6)) {
		answer(e, out, CODEC_ACK, l, seconds(l->expires_ms - t.wall_ms));
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
		answer(e, out, CODEC_NAK, NULL, 0);
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
		answer(e, out, CODEC_NAK, NULL, 0);
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

/* Stores a lease that ended. Nobody waits for it: when no slot is free the journal learns it by
 * expiry. */
static void commit_end(struct engine *e, struct lease *l, enum engine_event event,
	struct lease_time t, struct engine_out *out)
{
	out->event = event;
	begin_commit(e, out, l, t);
	out->lease.state = l->state;
	out->lease.expires_ms = l->expires_ms;
}

static void on_release(
	struct engine *e, const struct lease_client *c, struct lease_time t, struct engine_out *out)
{
	struct lease *l = own_lease(e, c, e->request.ciaddr_be);
	if (!l || l->state != LEASE_BOUND) {
		drop(out, DROP_DHCP_SPOOF);
		return;
	}
	out->lease = *l;
	lease_release(&e->pool, l, t);
	commit_end(e, l, ENGINE_RELEASED, t, out);
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
	commit_end(e, l, ENGINE_DECLINED, t, out);
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

/* chaddr is the sender's own, and a relay (which our one subnet hardly needs) is at least in the
 * subnet. */
static bool trusted(const struct engine *e, enum drop *why)
{
	static const uint8_t none[6];
	const struct codec_request *q = &e->request;
	*why = DROP_DHCP_SPOOF;
	if (memcmp(q->chaddr, q->source_mac, 6) || (q->source_mac[0] & 1) ||
		!memcmp(q->source_mac, none, 6) || !memcmp(q->source_mac, e->settings.mac, 6))
		return false;
	*why = DROP_DHCP_BAD;
	return !q->giaddr_be ||
	       (in_subnet(e, q->giaddr_be) && q->giaddr_be != e->settings.server_be);
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
	if (!codec_parse(&e->request, frame, bytes, csum_ok, &why) || !trusted(e, &why)) {
		drop(out, why);
		return;
	}
	struct lease_client c = client_of(&e->request);
	const struct lease *own = lease_of_client(&e->pool, &c);
	if (own && own->busy)
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

/* A commit is over. What waits for it goes out, or is undone. */
static void settle(struct engine *e, struct engine_pending *w, bool stored, struct lease_time t,
	struct engine_out *out)
{
	struct lease *l = &e->pool.lease[w->lease];
	out->port = w->port;
	l->busy = l->busy && !w->frame_bytes;
	out->lease = *l;
	if (!stored)
		out->event = ENGINE_NOT_STORED;
	if (w->frame_bytes && stored) {
		out->frame = w->frame;
		out->frame_bytes = w->frame_bytes;
		out->event = w->state == LEASE_BOUND ? ENGINE_RENEWED : ENGINE_CREATED;
	} else if (w->frame_bytes) {
		lease_unbind(&e->pool, l, w->state, w->expires_ns, w->expires_ms, t);
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

bool engine_timeout(struct engine *e, struct lease_time t, struct engine_out *out)
{
	struct engine_pending *w = &e->pending[(e->settled + 1) % ENGINE_PENDING];
	struct lease *expired;
	clear(out, 0);
	if (w->sequence && w->deadline_ns <= t.now_ns) {
		settle(e, w, false, t, out);
		return true;
	}
	if (!lease_expire(&e->pool, t, &expired))
		return false;
	if (expired) {
		out->event = ENGINE_EXPIRED;
		out->lease = *expired;
	}
	return true;
}

uint64_t engine_deadline(const struct engine *e)
{
	const struct engine_pending *w = &e->pending[(e->settled + 1) % ENGINE_PENDING];
	uint64_t lease_ns = lease_next(&e->pool);
	return w->sequence && w->deadline_ns < lease_ns ? w->deadline_ns : lease_ns;
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
	if (out->event == ENGINE_EXHAUSTED) {
		snprintf(text, ENGINE_EVENT_BYTES,
			"dhcp range is exhausted: %u of %u leased. See: natlockctl dhcp table; or "
			"widen dhcp.range",
			lease_taken(&e->pool), e->pool.count);
	} else if (out->event == ENGINE_NOT_STORED) {
		snprintf(text, ENGINE_EVENT_BYTES,
			"dhcp lease %s of %s could not be stored. Is the disk of natlock's state "
			"folder full or read-only?",
			ip, mac);
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
