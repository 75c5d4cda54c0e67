/*
 * Theory of operation.
 *
 *   door granted ─bind─▶ reserve[guest endpoint] ──DGRAM_OPEN of the guest──▶ the flow's socket
 *                          │        ▲    └─ an admitted peer's datagram waits in the socket:
 *                          │        │       DGRAM_INCOMING ─▶ DGRAM_OPEN (the same way as publish.c)
 *      last door closed ─▶ closed   └────── the flow ends while a door leads to it
 *
 * An endpoint has its outside socket either here or in its flow, never in both: endpoint-independent
 * mapping (RFC 4787 REQ-1) holds from the door on. A stranger's datagram is taken out and counted as
 * filtered; nobody is asked about it.
 *
 * Pairs stand beside each other outside as they do inside, the even port first: what the far end is
 * told is the first one only. So where one of a row has its outside port, the places of all are given.
 *
 * Doors cost alg nothing to ask for and a socket each, so what waits here gets a quarter of all
 * descriptors at most, and none of those that flows leave for questions.
 */
#include "reserve.h"

#include <errno.h>

#include "publish.h"
#include "refuse.h"
#include "source.h"

enum { LOOKS = 16, SHARE = 4, SECOND_NS = 1000000000 };
static const uint64_t ask_again_ns = 5000000000;

static uint32_t *head_of(struct natproxy *np, const struct sock_address *guest)
{
	const uint32_t words[2] = {guest->ip_be, guest->port};
	return &np->reserve_bucket[hash_sip(&np->key, words, sizeof(words)) &
				   (NATPROXY_RESERVED_BUCKETS - 1)];
}

static uint32_t find(struct natproxy *np, const struct sock_address *guest)
{
	uint32_t ref = *head_of(np, guest);
	while (ref && (np->reserve[ref].guest.ip_be != guest->ip_be ||
			      np->reserve[ref].guest.port != guest->port))
		ref = np->reserve[ref].next;
	return ref;
}

/* One for each port of each door at most, so there is always room. */
static struct reserve *add(struct natproxy *np, const struct sock_address *guest, int fd)
{
	const uint32_t ref = np->reserve_free ? np->reserve_free : ++np->reserve_fresh;
	struct reserve *r = &np->reserve[ref];
	if (np->reserve_free)
		np->reserve_free = r->next;
	uint32_t *head = head_of(np, guest);
	*r = (struct reserve){.guest = *guest, .fd = fd, .next = *head};
	*head = ref;
	np->reserves++;
	np->owner[fd] = (struct owner){OWNER_RESERVE, ref};
	return r;
}

static void again(struct natproxy *np, struct reserve *r)
{
	np->reserves_asked -= r->again_ns != 0;
	r->again_ns = 0;
}

/* Forgets the entry; its socket is the caller's. */
static void take_out(struct natproxy *np, uint32_t ref)
{
	struct reserve *r = &np->reserve[ref];
	uint32_t *at = head_of(np, &r->guest);
	while (*at != ref)
		at = &np->reserve[*at].next;
	*at = r->next;
	again(np, r);
	*r = (struct reserve){.fd = -1, .next = np->reserve_free};
	np->reserve_free = ref;
	np->reserves--;
}

static void drop(struct natproxy *np, uint32_t ref)
{
	const struct reserve r = np->reserve[ref];
	natproxy_close_fd(np, r.fd, false);
	if (r.charged)
		portpick_release(&np->ports, NAT_UDP, &r.guest, r.outside.port);
	take_out(np, ref);
}

/* A socket that is bound already begins to wait for its flow; it may be there, without one. */
static void take(struct natproxy *np, const struct sock_address *guest, int fd)
{
	struct reserve *r = add(np, guest, fd);
	struct flow *f = flow_at(np, guest);
	sock_local(np->sock, fd, &r->outside);
	portpick_hold(&np->ports, NAT_UDP, guest, r->outside.port);
	r->charged = true;
	if (f)
		reserve_attach(np, f);
	else
		sock_watch(np->sock, fd, SOCK_READ);
}

/* A descriptor that is owned already, or -errno. */
static int bind_at(struct natproxy *np, const struct sock_address *guest, uint16_t port)
{
	struct sock_place at = source_of(np, guest->ip_be);
	if (!natproxy_fd_room(np, false) || np->reserves >= np->config.sockets_max / SHARE)
		return -EMFILE;
	at.at.port = port;
	const int fd = sock_udp(np->sock, &at);
	return fd < 0 || natproxy_own(np, fd, OWNER_NONE, 0) ? fd : -EMFILE;
}

/* The outside port of an endpoint that has one. */
static uint16_t mapped(struct natproxy *np, const struct sock_address *guest)
{
	const struct flow *f = flow_at(np, guest);
	const uint32_t ref = find(np, guest);
	if (f && f->fd >= 0)
		return f->outside.port;
	return ref ? np->reserve[ref].outside.port : 0;
}

static enum pinhole_refusal open_one(struct natproxy *np, const struct sock_address *guest)
{
	int fd = -EADDRINUSE;
	uint16_t port = 1;
	if (mapped(np, guest))
		return PINHOLE_GRANTED;
	for (unsigned int n = 0; fd == -EADDRINUSE && port; n++) {
		port = source_port(np, NAT_UDP, guest, n);
		fd = bind_at(np, guest, port);
	}
	if (fd < 0)
		return PINHOLE_NO_SOCKET;
	take(np, guest, fd);
	return PINHOLE_GRANTED;
}

/* Neighbours inside, and the ports that they are to have outside. */
struct row {
	struct sock_address guest; /* the first, which is even */
	unsigned int count;
};

static struct sock_address row_at(const struct row *row, unsigned int i)
{
	return (struct sock_address){row->guest.ip_be, (uint16_t)(row->guest.port + i)};
}

/* Whether a row may begin at this outside port. */
static bool may_begin(const struct row *row, uint32_t first)
{
	bool may = first && !(first & 1) && first + row->count - 1 <= UINT16_MAX;
	for (uint32_t i = 0; may && i < row->count; i++)
		may = !portpick_is_service((uint16_t)(first + i));
	return may;
}

/*
 * The outside port of the first, as those that are mapped already have it: 0 none is. False: they are no neighbours on the right
 * sides of each other.
 */
static bool first_of(struct natproxy *np, const struct row *row, uint32_t *first, unsigned int *there)
{
	*first = *there = 0;
	for (unsigned int i = 0; i < row->count; i++) {
		const struct sock_address inside = row_at(row, i);
		const uint32_t port = mapped(np, &inside);
		if (!port)
			continue;
		if (port < i || (*there && port - i != *first))
			return false;
		*first = port - i;
		++*there;
	}
	return true;
}

static void let_go(struct natproxy *np, const int *fd, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (fd[i] >= 0)
			natproxy_close_fd(np, fd[i], false);
}

/* Those that are not mapped yet get their places in the row that begins at this outside port: all of them or none. */
static bool bind_row(struct natproxy *np, const struct row *row, uint32_t first)
{
	int fd[2 * PINHOLE_PAIRS];
	for (unsigned int i = 0; i < row->count; i++) {
		const struct sock_address inside = row_at(row, i);
		fd[i] = -1;
		if (mapped(np, &inside))
			continue;
		fd[i] = bind_at(np, &inside, (uint16_t)(first + i));
		if (fd[i] >= 0)
			continue;
		let_go(np, fd, i);
		return false;
	}
	for (unsigned int i = 0; i < row->count; i++) {
		const struct sock_address inside = row_at(row, i);
		if (fd[i] >= 0)
			take(np, &inside, fd[i]);
	}
	return true;
}

static enum pinhole_refusal open_row(struct natproxy *np, const struct row *row)
{
	uint32_t first;
	unsigned int there;
	if (!first_of(np, row, &first, &there))
		return PINHOLE_NO_PAIR;
	if (there == row->count)
		return first & 1 ? PINHOLE_NO_PAIR : PINHOLE_GRANTED;
	if (there)
		return may_begin(row, first) && bind_row(np, row, first) ? PINHOLE_GRANTED
									 : PINHOLE_NO_PAIR;
	for (unsigned int n = 0; n < PORTPICK_TRIES; n++) {
		const uint16_t port = source_port(np, NAT_UDP, &row->guest, n);
		if (may_begin(row, port) && bind_row(np, row, port))
			return PINHOLE_GRANTED;
	}
	return PINHOLE_NO_PAIR;
}

enum pinhole_refusal reserve_open(struct natproxy *np, struct pinhole *e)
{
	const struct row row = {pinhole_inside(e, 0), pinhole_ports(e)};
	const enum pinhole_refusal why =
		e->kind == PINHOLE_UDP_PAIR ? open_row(np, &row) : open_one(np, &row.guest);
	e->outside.port = mapped(np, &row.guest);
	return why;
}

void reserve_settle(struct natproxy *np, const struct sock_address *guest)
{
	const uint32_t ref = find(np, guest);
	struct flow *f = flow_at(np, guest);
	if (pinhole_at(&np->pinholes, guest, PINHOLE_NONE))
		return;
	if (ref)
		drop(np, ref);
	if (f && f->awaited)
		flow_owe(np, f, OWED_CLOSED); /* netstack gives it up: FLOW_FREE */
}

bool reserve_attach(struct natproxy *np, struct flow *f)
{
	const uint32_t ref = np->reserves ? find(np, &f->guest) : 0;
	if (!ref)
		return false;
	const struct reserve r = np->reserve[ref];
	take_out(np, ref);
	np->owner[r.fd] = (struct owner){OWNER_FLOW, flow_index(f->id)};
	f->fd = r.fd;
	f->outside = r.outside;
	f->charged = r.charged;
	f->lost = r.lost;
	f->watched = SOCK_READ;
	sock_watch(np->sock, f->fd, SOCK_READ);
	return true;
}

bool reserve_keep(struct natproxy *np, struct flow *f)
{
	if (!np->pinholes.datagram || f->kind != FLOW_UDP || flow_at(np, &f->guest) ||
		find(np, &f->guest) || !pinhole_at(&np->pinholes, &f->guest, PINHOLE_NONE))
		return false;
	struct reserve *r = add(np, &f->guest, f->fd);
	r->outside = f->outside;
	r->charged = f->charged;
	r->lost = f->lost;
	f->charged = false;
	sock_watch(np->sock, r->fd, SOCK_READ);
	return true;
}

/* Takes the datagram that waits, and forgets it. */
static void discard(struct natproxy *np, const struct reserve *r)
{
	struct iovec nowhere = {NULL, 0};
	struct sock_datagram d = {.piece = &nowhere, .pieces = 1};
	sock_receive(np->sock, r->fd, &d, 1);
}

/* What comes back for datagrams of a flow that is over is nobody's. */
static void discard_errors(struct natproxy *np, const struct reserve *r)
{
	struct sock_error e;
	for (int i = 0; i < LOOKS && sock_receive_error(np->sock, r->fd, false, &e) > 0; i++)
		;
}

static bool is_welcome(
	struct natproxy *np, const struct reserve *r, const struct sock_address *peer)
{
	if (!np->draining && pinhole_admits(&np->pinholes, &r->guest, peer->ip_be, true))
		return !refuse_new(np, NAT_UDP, &r->guest, peer);
	drop_count(np->drops, DROP_FILTERED);
	return false;
}

/* Who waits and may come in; those who may not are sent away. */
static bool knocks(struct natproxy *np, const struct reserve *r, struct sock_address *peer)
{
	for (int i = 0; i < LOOKS && sock_peek(np->sock, r->fd, peer) == 0; i++) {
		if (is_welcome(np, r, peer))
			return true;
		discard(np, r);
	}
	return false;
}

void reserve_ready(struct natproxy *np, uint32_t i)
{
	struct reserve *r = &np->reserve[i];
	struct sock_address peer;
	if (!knocks(np, r, &peer)) {
		discard_errors(np, r);
		return;
	}
	sock_watch(np->sock, r->fd, 0);
	/* whole seconds: many that wait are looked after at once */
	r->again_ns = ((np->now_ns + ask_again_ns) / SECOND_NS + 1) * SECOND_NS;
	np->reserves_asked++;
	natproxy_publish_due(np, r->again_ns);
	publish_ask(np, &r->guest, &peer);
}

void reserve_timeout(struct natproxy *np)
{
	for (uint32_t i = 1; np->reserves_asked && i <= np->reserve_fresh; i++) {
		struct reserve *r = &np->reserve[i];
		if (!r->again_ns)
			continue;
		if (r->again_ns > np->now_ns) {
			natproxy_publish_due(np, r->again_ns);
			continue;
		}
		again(np, r);
		sock_watch(np->sock, r->fd, SOCK_READ);
	}
}
