/*
 * Theory of operation. Five indices over the one array of entries:
 *
 *   flow    bucket of keyed hash (flow) ─▶ struct pinhole_flow, there while it has entries ─▶ their list
 *   token   bucket of keyed hash (flow, token): one chain
 *   port    bucket of keyed hash (guest, even port), those for datagrams: an entry has a link for each two
 *           ports that it leads to. A link is named by its entry and its place there (LINK_BITS)
 *   watch   bucket of keyed hash (guest, peer, port): one chain. The port is the far one where the guest is to
 *           connect, and the guest's own where the peer is
 *   end     a binary heap of those that end by time; an entry knows its place in it
 */
#include "pinhole_index.h"

enum { LINK_BITS = 2 };
_Static_assert(PINHOLE_PAIRS <= 1 << LINK_BITS, "a link's name holds its place");

static uint32_t *flow_head(struct pinholes *p, uint32_t flow)
{
	return &p->flow_bucket[hash_sip(&p->key, &flow, sizeof(flow)) & (PINHOLE_FLOW_BUCKETS - 1)];
}

static uint32_t token_place(const struct pinholes *p, uint32_t flow, uint32_t token)
{
	const uint32_t words[2] = {flow, token};
	return (uint32_t)hash_sip(&p->key, words, sizeof(words)) & (PINHOLE_TOKEN_BUCKETS - 1);
}

static uint32_t port_place(const struct pinholes *p, uint32_t ip_be, uint32_t port)
{
	const uint32_t words[2] = {ip_be, port & 0xfffeU};
	return (uint32_t)hash_sip(&p->key, words, sizeof(words)) & (PINHOLE_PORT_BUCKETS - 1);
}

/* ---- flows ---- */

static uint32_t flow_of(const struct pinholes *p, uint32_t flow)
{
	const uint32_t place =
		hash_sip(&p->key, &flow, sizeof(flow)) & (PINHOLE_FLOW_BUCKETS - 1);
	uint32_t ref = p->flow_bucket[place];
	while (ref && p->flow[ref].flow != flow)
		ref = p->flow[ref].next;
	return ref;
}

const struct pinhole_flow *pinhole_index_flow(const struct pinholes *p, uint32_t flow)
{
	const uint32_t ref = flow_of(p, flow);
	return ref ? &p->flow[ref] : NULL;
}

/* There is room: one for each entry. */
static uint32_t flow_get(struct pinholes *p, uint32_t flow)
{
	uint32_t ref = flow_of(p, flow);
	if (ref)
		return ref;
	ref = p->flow_free ? p->flow_free : ++p->flow_fresh;
	if (p->flow_free)
		p->flow_free = p->flow[ref].next;
	uint32_t *head = flow_head(p, flow);
	p->flow[ref] = (struct pinhole_flow){.flow = flow, .next = *head};
	*head = ref;
	return ref;
}

static void flow_put(struct pinholes *p, uint32_t ref)
{
	uint32_t *at = flow_head(p, p->flow[ref].flow);
	while (*at != ref)
		at = &p->flow[*at].next;
	*at = p->flow[ref].next;
	p->flow[ref].next = p->flow_free;
	p->flow_free = ref;
}

static void flow_link(struct pinholes *p, uint32_t ref)
{
	struct pinhole *e = &p->entry[ref];
	e->flow_ref = flow_get(p, e->flow);
	struct pinhole_flow *f = &p->flow[e->flow_ref];
	e->flow_next = f->first;
	if (f->first)
		p->entry[f->first].flow_prev = ref;
	f->first = ref;
	f->total++;
	f->pending++;
	f->watches += e->kind == PINHOLE_TCP_WATCH;
}

static void flow_unlink(struct pinholes *p, uint32_t ref)
{
	const struct pinhole *e = &p->entry[ref];
	struct pinhole_flow *f = &p->flow[e->flow_ref];
	if (e->flow_next)
		p->entry[e->flow_next].flow_prev = e->flow_prev;
	if (e->flow_prev)
		p->entry[e->flow_prev].flow_next = e->flow_next;
	else
		f->first = e->flow_next;
	f->pending -= !e->used;
	f->watches -= e->kind == PINHOLE_TCP_WATCH;
	if (--f->total == 0)
		flow_put(p, e->flow_ref);
}

void pinhole_index_used(struct pinholes *p, uint32_t ref, bool used)
{
	struct pinhole *e = &p->entry[ref];
	struct pinhole_flow *f = &p->flow[e->flow_ref];
	if (e->used == used)
		return;
	e->used = used;
	if (used)
		f->pending--;
	else
		f->pending++;
}

uint32_t pinhole_of_flow(const struct pinholes *p, uint32_t flow)
{
	const struct pinhole_flow *f = pinhole_index_flow(p, flow);
	return f ? f->first : PINHOLE_NONE;
}

/* ---- tokens ---- */

uint32_t pinhole_find(const struct pinholes *p, uint32_t flow, uint32_t token)
{
	uint32_t ref = p->token_bucket[token_place(p, flow, token)];
	while (ref && (p->entry[ref].flow != flow || p->entry[ref].token != token))
		ref = p->entry[ref].token_next;
	return ref;
}

static void token_link(struct pinholes *p, uint32_t ref)
{
	struct pinhole *e = &p->entry[ref];
	uint32_t *head = &p->token_bucket[token_place(p, e->flow, e->token)];
	e->token_next = *head;
	*head = ref;
}

static void token_unlink(struct pinholes *p, uint32_t ref)
{
	const struct pinhole *e = &p->entry[ref];
	uint32_t *at = &p->token_bucket[token_place(p, e->flow, e->token)];
	while (*at != ref)
		at = &p->entry[*at].token_next;
	*at = e->token_next;
}

/* ---- inside ports ---- */

/* Which of an entry's links stands for a port, which it leads to. */
static uint32_t place_of(const struct pinhole *e, uint16_t port)
{
	return ((uint32_t)port >> 1) - ((uint32_t)e->guest.port >> 1);
}

static unsigned int links_of(const struct pinhole *e)
{
	return pinhole_is_datagram(e->kind) ? (pinhole_ports(e) + 1) / 2 : 0;
}

static uint32_t *link_at(struct pinholes *p, uint32_t link)
{
	return &p->entry[link >> LINK_BITS].port_next[link & ((1 << LINK_BITS) - 1)];
}

static uint32_t link_next(const struct pinholes *p, uint32_t link)
{
	return p->entry[link >> LINK_BITS].port_next[link & ((1 << LINK_BITS) - 1)];
}

/* The place of the link's port is the one that is asked for, of the two that it stands for. */
static bool leads_to(const struct pinholes *p, uint32_t link, const struct sock_address *guest)
{
	const struct pinhole *e = &p->entry[link >> LINK_BITS];
	return e->guest.ip_be == guest->ip_be && guest->port >= e->guest.port &&
	       guest->port - e->guest.port < (int)pinhole_ports(e) &&
	       place_of(e, guest->port) == (link & ((1 << LINK_BITS) - 1));
}

uint32_t pinhole_at(const struct pinholes *p, const struct sock_address *guest, uint32_t ref)
{
	const struct pinhole *e = &p->entry[ref];
	uint32_t link = ref ? e->port_next[place_of(e, guest->port)]
			    : p->port_bucket[port_place(p, guest->ip_be, guest->port)];
	while (link && !leads_to(p, link, guest))
		link = link_next(p, link);
	return link >> LINK_BITS;
}

/* Whether a link stands for this even port, whichever half of it. */
static bool is_beside(const struct pinholes *p, uint32_t link, uint32_t ip_be, uint16_t port)
{
	const struct pinhole *e = &p->entry[link >> LINK_BITS];
	const uint32_t place = link & ((1 << LINK_BITS) - 1);
	return e->guest.ip_be == ip_be && ((uint32_t)e->guest.port >> 1) + place == port >> 1;
}

uint32_t pinhole_index_same(const struct pinholes *p, uint32_t guest_ip_be, uint16_t port)
{
	uint32_t n = 0;
	for (uint32_t link = p->port_bucket[port_place(p, guest_ip_be, port)]; link;
		link = link_next(p, link))
		n += is_beside(p, link, guest_ip_be, port);
	return n;
}

static void port_link(struct pinholes *p, uint32_t ref)
{
	struct pinhole *e = &p->entry[ref];
	for (unsigned int i = 0; i < links_of(e); i++) {
		uint32_t *head =
			&p->port_bucket[port_place(p, e->guest.ip_be, e->guest.port + 2 * i)];
		e->port_next[i] = *head;
		*head = ref << LINK_BITS | i;
	}
	p->datagram += pinhole_is_datagram(e->kind);
}

static void port_unlink(struct pinholes *p, uint32_t ref)
{
	const struct pinhole *e = &p->entry[ref];
	for (unsigned int i = 0; i < links_of(e); i++) {
		uint32_t *at =
			&p->port_bucket[port_place(p, e->guest.ip_be, e->guest.port + 2 * i)];
		while (*at != (ref << LINK_BITS | i))
			at = link_at(p, *at);
		*at = e->port_next[i];
	}
	p->datagram -= pinhole_is_datagram(e->kind);
}

/* ---- connections that are watched for ---- */

static uint32_t watch_place(const struct pinholes *p, uint32_t guest_ip_be, uint32_t peer_ip_be,
	uint32_t guest_port, uint32_t peer_port)
{
	const uint32_t words[4] = {guest_ip_be, peer_ip_be, guest_port, peer_port};
	return (uint32_t)hash_sip(&p->key, words, sizeof(words)) & (PINHOLE_WATCH_BUCKETS - 1);
}

static uint32_t watch_place_of(const struct pinholes *p, const struct pinhole *e)
{
	return watch_place(p, e->guest.ip_be, e->seen.ip_be, e->guest.port, e->seen.port);
}

/* Of a TCP_WATCH the guest's port is 0, of others the peer's. */
static bool is_same_watch(
	const struct pinhole *e, const struct sock_address *guest, const struct sock_address *peer)
{
	return e->guest.ip_be == guest->ip_be && e->guest.port == guest->port &&
	       e->seen.ip_be == peer->ip_be && e->seen.port == peer->port;
}

uint32_t pinhole_watched(const struct pinholes *p, const struct sock_address *guest,
	const struct sock_address *remote, bool came)
{
	const struct sock_address inside = {guest->ip_be, came ? guest->port : 0};
	const struct sock_address peer = {remote->ip_be, came ? 0 : remote->port};
	if (!p->watched)
		return PINHOLE_NONE;
	uint32_t ref =
		p->watch_bucket[watch_place(p, inside.ip_be, peer.ip_be, inside.port, peer.port)];
	while (ref && (p->entry[ref].latent || !is_same_watch(&p->entry[ref], &inside, &peer)))
		ref = p->entry[ref].watch_next;
	return ref;
}

uint32_t pinhole_index_watching(const struct pinholes *p, const struct pinhole *e)
{
	uint32_t n = 0;
	for (uint32_t ref = p->watch_bucket[watch_place_of(p, e)]; ref;
		ref = p->entry[ref].watch_next)
		n += is_same_watch(&p->entry[ref], &e->guest, &e->seen);
	return n;
}

static void watch_link(struct pinholes *p, uint32_t ref)
{
	struct pinhole *e = &p->entry[ref];
	if (!e->watched)
		return;
	uint32_t *head = &p->watch_bucket[watch_place_of(p, e)];
	e->watch_next = *head;
	*head = ref;
	p->watched++;
}

static void watch_unlink(struct pinholes *p, uint32_t ref)
{
	const struct pinhole *e = &p->entry[ref];
	if (!e->watched)
		return;
	uint32_t *at = &p->watch_bucket[watch_place_of(p, e)];
	while (*at != ref)
		at = &p->entry[*at].watch_next;
	*at = e->watch_next;
	p->watched--;
}

/* ---- ends ---- */

static void heap_put(struct pinholes *p, uint32_t at, uint32_t ref)
{
	p->heap[at] = ref;
	p->entry[ref].heap_at = at;
}

static uint64_t end_at(const struct pinholes *p, uint32_t at)
{
	return p->entry[p->heap[at]].expires_ns;
}

static uint32_t heap_up(struct pinholes *p, uint32_t at, uint32_t ref)
{
	for (; at > 1 && end_at(p, at / 2) > p->entry[ref].expires_ns; at /= 2)
		heap_put(p, at, p->heap[at / 2]);
	return at;
}

static uint32_t heap_down(struct pinholes *p, uint32_t at, uint32_t ref)
{
	for (uint32_t child = 2 * at; child <= p->ending; child = 2 * at) {
		child += child < p->ending && end_at(p, child + 1) < end_at(p, child);
		if (end_at(p, child) >= p->entry[ref].expires_ns)
			break;
		heap_put(p, at, p->heap[child]);
		at = child;
	}
	return at;
}

/* The entry belongs somewhere else now, above or below. */
static void heap_settle(struct pinholes *p, uint32_t at, uint32_t ref)
{
	at = heap_up(p, at, ref);
	heap_put(p, heap_down(p, at, ref), ref);
}

static void heap_take(struct pinholes *p, uint32_t ref)
{
	const uint32_t at = p->entry[ref].heap_at, last = p->ending ? p->heap[p->ending] : 0;
	if (!at)
		return;
	p->entry[ref].heap_at = 0;
	p->ending--;
	if (last != ref)
		heap_settle(p, at, last);
}

void pinhole_index_ends(struct pinholes *p, uint32_t ref, uint64_t at_ns)
{
	struct pinhole *e = &p->entry[ref];
	e->expires_ns = at_ns;
	if (at_ns == UINT64_MAX)
		heap_take(p, ref);
	else
		heap_settle(p, e->heap_at ? e->heap_at : ++p->ending, ref);
}

uint64_t pinhole_deadline(const struct pinholes *p)
{
	return p->ending ? end_at(p, 1) : UINT64_MAX;
}

uint32_t pinhole_expired(const struct pinholes *p, uint64_t now_ns)
{
	return pinhole_deadline(p) <= now_ns && p->ending ? p->heap[1] : PINHOLE_NONE;
}

/* ---- all of them ---- */

void pinhole_index_add(struct pinholes *p, uint32_t ref)
{
	flow_link(p, ref);
	token_link(p, ref);
	port_link(p, ref);
	watch_link(p, ref);
	pinhole_index_ends(p, ref, p->entry[ref].expires_ns);
}

void pinhole_index_remove(struct pinholes *p, uint32_t ref)
{
	flow_unlink(p, ref);
	token_unlink(p, ref);
	port_unlink(p, ref);
	watch_unlink(p, ref);
	heap_take(p, ref);
}

uint32_t pinhole_next(const struct pinholes *p, uint32_t ref)
{
	while (++ref <= p->fresh)
		if (p->entry[ref].expires_ns)
			return ref;
	return PINHOLE_NONE;
}
