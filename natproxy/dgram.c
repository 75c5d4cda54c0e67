/*
 * Theory of operation.
 *
 *   DGRAM_OPEN   notes the guest's endpoint; nothing outside yet
 *   DGRAM_DATA   access ─▶ session (flow, remote) ─▶ burst.c; the first makes the socket
 *   socket       gather.c ─▶ DGRAM_DATA; error queue ─▶ DGRAM_ERROR
 *
 * One unconnected socket an endpoint is endpoint-independent mapping (RFC 4787 REQ-1). The socket
 * goes when the last session has been idle for its time.
 *
 * Echo uses ping sockets: the kernel owns identifier and checksum, the first 8 bytes of each message
 * are the ICMP header and never reach the shared arena. Where there are none, echo.c does that over a
 * raw socket that all flows share. ESP has always one such (esp_socket.c), and a flow has one peer. IKE
 * that keeps its port goes by a socket of its own (ike_port.c), each session for itself.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "burst.h"
#include "dgram.h"
#include "dnsrelay.h"
#include "echo.h"
#include "esp_socket.h"
#include "expect.h"
#include "ike_port.h"
#include "inspect_dgram.h"
#include "publish.h"
#include "raw.h"
#include "refuse.h"
#include "reserve.h"
#include "session.h"
#include "sessionlog.h"
#include "source.h"

enum {
	UDP_MAX_BYTES = 65507,
	ICMP_UNREACHABLE = 3,
	CODE_NET = 0,
	CODE_HOST = 1,
	CODE_FRAGMENT = 4,
	CODE_PROHIBITED = 13,
	ERRORS_PER_TURN = 16,
};

static bool is_served(const struct natproxy *np, const struct flow *f)
{
	if (f->kind == FLOW_ECHO)
		return np->config.echo_allowed;
	return f->kind == FLOW_UDP || esp_socket_serves(np);
}

static int begin_esp(struct natproxy *np, struct flow *f, const struct ring_pair *pair)
{
	const int error = esp_socket_begin(np, f, pair);
	if (error == -ENOENT) {
		flow_stop(np, f, false, "nobody waits any more");
		flow_owe(np, f, OWED_CLOSED);
		return 0;
	}
	return error;
}

int natproxy_op_dgram_open(struct natproxy *np, const struct ring_desc *d)
{
	static const enum flow_kind kinds[] = {
		[DGRAM_UDP] = FLOW_UDP, [DGRAM_ECHO] = FLOW_ECHO, [DGRAM_ESP] = FLOW_ESP};
	if (d->pair.kind < DGRAM_UDP || d->pair.kind > DGRAM_ESP)
		return -EPROTO;
	struct flow *f = flow_new(np, d->flow, kinds[d->pair.kind]);
	if (!f)
		return -EPROTO;
	f->state = FLOW_RUNNING;
	f->run_max = RING_RUN_BYTES;
	f->guest = (struct sock_address){d->pair.guest_ip_be, d->pair.guest_port};
	if (!access_is_guest(&np->access, f->guest.ip_be) || !is_served(np, f) ||
		!np->config.enabled || np->draining) {
		drop_count(np->drops, DROP_DENIED);
		f->state = FLOW_DONE;
		flow_owe(np, f, OWED_CLOSED);
		return 0;
	}
	if (f->kind == FLOW_ESP)
		return begin_esp(np, f, &d->pair);
	if (f->kind == FLOW_ECHO)
		return 0;
	flow_list(np, f);
	if (!publish_attach(np, f) && !reserve_attach(np, f) && d->pair.token) {
		/* for a datagram at a port or door that is closed by now */
		flow_stop(np, f, false, "nobody waits any more");
		flow_owe(np, f, OWED_CLOSED);
	}
	f->awaited = d->pair.token && !f->published;
	return 0;
}

static int open_udp(struct natproxy *np, struct flow *f)
{
	struct sock_place at = source_of(np, f->guest.ip_be);
	for (unsigned int n = 0;; n++) {
		at.at.port = source_port(np, NAT_UDP, &f->guest, n);
		const int fd = sock_udp(np->sock, &at);
		if (fd >= 0 || !at.at.port || fd != -EADDRINUSE)
			return fd;
	}
}

static int open_echo(struct natproxy *np, struct flow *f)
{
	struct sock_place at = source_of(np, f->guest.ip_be);
	at.at.port = f->guest.port;
	return sock_echo(np->sock, &at);
}

/* 0, or -errno. */
static int open_socket(struct natproxy *np, struct flow *f)
{
	const struct sock_place from = source_of(np, f->guest.ip_be);
	int fd = -EMFILE;
	if (f->kind == FLOW_ESP)
		return esp_socket_open(np, f);
	if (f->kind == FLOW_ECHO && echo_serves(np, &from))
		return echo_open(np, f);
	if (natproxy_fd_room(np, false))
		fd = f->kind == FLOW_ECHO ? open_echo(np, f) : open_udp(np, f);
	if (fd == -EMFILE || fd == -ENFILE)
		natproxy_shortage(np, 0, session_protocol(f));
	if (fd < 0)
		return fd;
	if (!natproxy_own(np, fd, OWNER_FLOW, flow_index(f->id)))
		return -EMFILE;
	f->fd = fd;
	sock_local(np->sock, fd, &f->outside);
	if (f->kind == FLOW_UDP) {
		portpick_hold(&np->ports, NAT_UDP, &f->guest, f->outside.port);
		f->charged = true;
	}
	flow_watch(np, f);
	return 0;
}

/* The session of this flow with a far endpoint, if there is one. */
static uint32_t known_session(
	const struct natproxy *np, const struct flow *f, const struct sock_address *remote)
{
	if (f->last_used) {
		const struct nat_session *s = &np->nat.session[f->last_used];
		if (s->remote.ip_be == remote->ip_be && s->remote.port == remote->port)
			return f->last_used;
	}
	return nat_find(&np->nat, f->id, remote);
}

static void error_to_guest(struct natproxy *np, struct flow *f, const struct sock_error *e)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_ERROR, .flow = f->id};
	d.remote = (struct ring_remote){
		.ip_be = e->to.ip_be, .port = f->kind == FLOW_ECHO ? e->echo_sequence : e->to.port};
	d.pair = (struct ring_pair){.guest_ip_be = f->guest.ip_be,
		.guest_port = f->guest.port,
		.remote_ip_be = access_shown_as(&np->access, e->offender_ip_be),
		.token = (uint32_t)e->type << 8 | e->code,
		.kind = e->mtu ? e->mtu : e->pointer};
	if (natproxy_tell(np, LINK_DATA, &d))
		drop_count(np->drops, DROP_RING_FULL);
}

/* Errors about strangers are not ours to repeat. One of our own kernel names no datagram, only what
 * the path takes. */
static void pass_on(struct natproxy *np, struct flow *f, struct sock_error *e)
{
	if (!nat_find(&np->nat, f->id, &e->to))
		e->to.ip_be = access_shown_as(&np->access, e->to.ip_be);
	if (!np->config.icmp_errors || !nat_find(&np->nat, f->id, &e->to)) {
		np->icmp.ended++;
		drop_count(np->drops, DROP_ICMP_ENDS);
		return;
	}
	np->icmp.to_guests++;
	error_to_guest(np, f, e);
}

void dgram_failed(struct natproxy *np, struct flow *f, struct sock_error *e)
{
	pass_on(np, f, e);
}

/* The flow that an error of a socket is about which many share; NULL: of none. */
static struct flow *quoted_flow(
	struct natproxy *np, enum flow_kind kind, const struct sock_error *e)
{
	return kind == FLOW_ESP ? esp_socket_quoted(np, e) : echo_flow(np, e->echo_identifier);
}

int dgram_errors(struct natproxy *np, struct flow *f)
{
	struct sock_error e;
	int n = 0;
	while (n < ERRORS_PER_TURN &&
		sock_receive_error(np->sock, f->fd, f->kind == FLOW_ECHO, &e) > 0) {
		struct flow *of = f->raw ? quoted_flow(np, (enum flow_kind)f->kind, &e) : f;
		n++;
		if (!e.offender_ip_be)
			f->path_mtu = e.mtu;
		else if (of)
			pass_on(np, of, &e);
	}
	return n;
}

void dgram_raw_errors(struct natproxy *np, const struct shared_socket *raw, enum flow_kind kind)
{
	struct sock_error e;
	for (int n = 0; n < ERRORS_PER_TURN &&
			sock_receive_error(np->sock, raw->fd, kind == FLOW_ECHO, &e) > 0;
		n++) {
		struct flow *of = quoted_flow(np, kind, &e);
		if (of && e.offender_ip_be)
			pass_on(np, of, &e);
	}
}

void dgram_refused(struct natproxy *np, struct flow *f, const struct sock_datagram *d, int error)
{
	struct sock_error e = {.to = d->peer, .type = ICMP_UNREACHABLE, .code = CODE_HOST};
	drop_count_many(np->drops, DROP_SOCKET, ring_run_count(d->bytes, d->segment));
	if (error == -EAGAIN || error == -ENOBUFS || error == -ENOMEM)
		return;
	if (error == -ENETUNREACH || error == -ENETDOWN || error == -ENODEV)
		e.code = CODE_NET;
	if (error == -EACCES || error == -EPERM)
		e.code = CODE_PROHIBITED;
	if (error == -EMSGSIZE) {
		e.code = CODE_FRAGMENT;
		e.mtu = f->path_mtu;
	}
	if (f->kind == FLOW_ECHO)
		e.echo_sequence = (uint16_t)(((const uint8_t *)d->piece[0].iov_base)[6] << 8 |
					     ((const uint8_t *)d->piece[0].iov_base)[7]);
	error_to_guest(np, f, &e);
}

uint32_t dgram_bytes(const struct ring_desc *d)
{
	uint32_t bytes = 0;
	for (unsigned int i = 0; i < d->nseg; i++)
		bytes += d->seg[i].len;
	return bytes;
}

/*
 * Whether a datagram may go to this destination. An answer to somebody who is shown as the gateway
 * may, and so may a hairpin to another guest's mapping (RFC 4787 REQ-9).
 */
static enum access_verdict verdict_for(
	const struct natproxy *np, const struct flow *f, const struct sock_address *to, bool answer)
{
	const enum access_verdict v = access_check(&np->access, to);
	if (v == ACCESS_LOOP)
		return v;
	if (answer)
		return ACCESS_ALLOWED;
	if (f->kind != FLOW_UDP)
		return v == ACCESS_DNS ? ACCESS_DENIED : v;
	if (v == ACCESS_DENIED && access_is_own(&np->access, to->ip_be) &&
		portpick_is_hubs(&np->ports, to->port))
		return ACCESS_ALLOWED;
	return v;
}

/* The guest learns at once that this datagram does not go. */
static void say_unreachable(
	struct natproxy *np, struct flow *f, const struct ring_desc *d, uint8_t code)
{
	const struct sock_error e = {.to = {d->remote.ip_be, d->remote.port},
		.echo_sequence = d->remote.port,
		.type = ICMP_UNREACHABLE,
		.code = code};
	error_to_guest(np, f, &e);
}

static bool may_send(struct natproxy *np, struct flow *f, const struct ring_desc *d,
	const struct sock_address *to, enum access_verdict verdict)
{
	const uint32_t count = ring_run_count(dgram_bytes(d), d->hlen);
	if (verdict == ACCESS_DENIED || verdict == ACCESS_LOOP) {
		if (verdict == ACCESS_LOOP) {
			refuse_session(np, REFUSED_LOOP, session_protocol(f), &f->guest, to);
		} else {
			drop_count_many(np->drops, DROP_DENIED, count);
			sessionlog_refused(
				np, session_protocol(f), &f->guest, to, access_reason(verdict));
		}
		say_unreachable(np, f, d, CODE_PROHIBITED);
		return false;
	}
	if (dgram_bytes(d) > UDP_MAX_BYTES || (f->kind == FLOW_UDP && !to->port)) {
		drop_count_many(np->drops, DROP_UDP_BAD, count);
		return false;
	}
	return true;
}

/* A flow without a session has no timer that would end it: a guest whose datagrams are all refused
 * must not keep it. */
static void end_unused(struct natproxy *np, struct flow *f, const char *why)
{
	if (f->sessions || f->published)
		return;
	flow_stop(np, f, false, why);
	flow_owe(np, f, OWED_CLOSED);
}

/* The guest decides with each datagram whether routers may cut it (DF); the socket says so for all that follow. */
static void set_fragmenting(struct natproxy *np, struct flow *f, enum flow_fragment wanted)
{
	if (f->fragment == wanted)
		return;
	burst_stop(np, f);
	if (!f->raw) /* echo.c, when it is sent: the socket is not this flow's alone */
		sock_fragment(np->sock, f->fd, wanted == FRAGMENT_ALLOWED);
	f->fragment = (uint8_t)wanted;
}

/* The flow's socket for a datagram that may go, made when this is the first. False: it cannot go. */
static bool has_socket(
	struct natproxy *np, struct flow *f, const struct ring_desc *d, uint32_t session)
{
	const int error = f->fd < 0 ? open_socket(np, f) : 0;
	if (!error)
		return true;
	const bool unplaced = refuse_unplaced(
		np, session_protocol(f), &f->guest, &nat_session(&np->nat, session)->remote, error);
	drop_count(np->drops, DROP_SOCKET);
	say_unreachable(np, f, d, unplaced ? CODE_NET : CODE_HOST);
	session_close(np, f, session, "no socket to be had");
	natproxy_return_payload(np, d);
	end_unused(np, f, "no socket to be had");
	return false;
}

/* The payload where it lies; how many pieces. iovec has no const member; they are only read. */
static uint32_t pieces_of(
	const struct natproxy *np, const struct ring_desc *d, struct iovec piece[RING_SEGS])
{
	for (unsigned int i = 0; i < d->nseg; i++)
		piece[i] = (struct iovec){
			(uint8_t *)(uintptr_t)arena_view_ptr(np->view, d->seg[i].id, d->seg[i].off),
			d->seg[i].len};
	return d->nseg;
}

/* What belongs to an inspected session. True: it was taken. */
static bool inspect(
	struct natproxy *np, struct flow *f, const struct ring_desc *d, uint32_t session)
{
	struct iovec piece[RING_SEGS];
	const struct inspect_run run = {.piece = piece,
		.pieces = pieces_of(np, d, piece),
		.bytes = dgram_bytes(d),
		.each = d->hlen,
		.remote = d->remote,
		.whole = d->op == RING_NETSTACK_DGRAM_WHOLE};
	if (!inspect_dgram(np, f, session, NL__DIRECTION__GUEST, &run))
		return false;
	natproxy_return_payload(np, d);
	return true;
}

static uint32_t far_address(const struct nat_session *s)
{
	return s->real_ip_be ? s->real_ip_be : s->remote.ip_be;
}

static enum flow_fragment fragment_of(bool whole)
{
	return whole ? FRAGMENT_NEVER : FRAGMENT_ALLOWED;
}

/* What of an IKE session leaves by port 500: one message. */
static void send_by_port_500(
	struct natproxy *np, struct flow *f, const struct ring_desc *d, struct nat_session *s)
{
	struct iovec piece[RING_SEGS];
	struct sock_datagram message = {.piece = piece,
		.pieces = pieces_of(np, d, piece),
		.bytes = dgram_bytes(d),
		.segment = d->hlen,
		.ttl = d->remote.ttl,
		.tos = d->remote.tos,
		.peer = {far_address(s), s->remote.port}};
	s->outside = (struct sock_address){0, IKE_PORT};
	ike_port_send(np, f, &message, d->op == RING_NETSTACK_DGRAM_WHOLE);
	natproxy_return_payload(np, d);
}

/* The datagram may go: by the DNS redirect, or by the flow's socket. is_new: the session began with it. */
static void send_on(struct natproxy *np, struct flow *f, const struct ring_desc *d,
	uint32_t session, enum access_verdict verdict, bool is_new)
{
	struct nat_session *s = nat_session(&np->nat, session);
	session_count(np, session, 0, dgram_bytes(d));
	esp_socket_spoke(np, f, &s->remote);
	if (is_new)
		s->keeps_port = verdict != ACCESS_DNS && ike_port_wanted(np, f, &s->remote);
	if (s->keeps_port) {
		send_by_port_500(np, f, d, s);
		return;
	}
	if (verdict != ACCESS_DNS && !has_socket(np, f, d, session))
		return;
	if (f->kind == FLOW_ESP && !esp_socket_sends(np, f)) {
		natproxy_return_payload(np, d);
		return;
	}
	if (verdict != ACCESS_DNS)
		s->outside = f->outside;
	if (is_new)
		inspect_dgram_start(np, f, session);
	if (s->inspect && inspect(np, f, d, session))
		return;
	if (verdict == ACCESS_DNS) {
		dnsrelay_query(np, f, d);
		return;
	}
	set_fragmenting(np, f, fragment_of(d->op == RING_NETSTACK_DGRAM_WHOLE));
	burst_add(np, f, d, far_address(s));
}

void dgram_leave(struct natproxy *np, struct flow *f, uint32_t ref, const struct dgram_leaving *d)
{
	const struct nat_session *s = nat_session(&np->nat, ref);
	struct iovec piece = {d->bytes, d->n};
	struct sock_datagram out = {.piece = &piece,
		.pieces = 1,
		.bytes = d->n,
		.ttl = d->ttl,
		.tos = d->tos,
		.peer = {far_address(s), s->remote.port}};
	if (access_check(&np->access, &s->remote) == ACCESS_DNS) {
		dnsrelay_question(np, f, d->bytes, d->n);
		return;
	}
	set_fragmenting(np, f, fragment_of(d->whole));
	burst_send(np, f, &out);
}

int natproxy_op_dgram_data(struct natproxy *np, const struct ring_desc *d)
{
	struct flow *f = flow_live(np, d->flow);
	if (!f || f->state != FLOW_RUNNING) {
		natproxy_return_payload(np, d);
		return 0;
	}
	if (f->kind == FLOW_TCP || (f->kind != FLOW_UDP && d->hlen))
		return -EPROTO;
	if (f->kind == FLOW_ESP && (!f->spi || d->remote.ip_be != f->remote.ip_be ||
					   dgram_bytes(d) < ESP_HEADER_BYTES))
		return -EPROTO;
	const struct sock_address to = {d->remote.ip_be, f->kind == FLOW_UDP ? d->remote.port : 0};
	uint32_t session = known_session(np, f, &to);
	const uint32_t real_ip_be = session ? nat_session(&np->nat, session)->real_ip_be : 0;
	const enum access_verdict verdict = verdict_for(np, f, &to, real_ip_be != 0);
	if (!may_send(np, f, d, &to, verdict)) {
		natproxy_return_payload(np, d);
		end_unused(np, f, "refused");
		return 0;
	}
	const bool is_new = !session;
	const bool unlisted = is_new && refuse_new(np, session_protocol(f), &f->guest, &to);
	if (is_new && !unlisted) {
		session = session_open(np, f, &to, false);
		if (session)
			expect_met(np, f, &to, false);
	}
	f->last_used = session;
	if (session) {
		send_on(np, f, d, session, verdict, is_new);
		return 0;
	}
	say_unreachable(np, f, d, unlisted ? CODE_PROHIBITED : CODE_HOST); /* RFC 6888 REQ-8 */
	natproxy_return_payload(np, d);
	end_unused(np, f, "refused");
	return 0;
}

int natproxy_op_dgram_whole(struct natproxy *np, const struct ring_desc *d)
{
	return natproxy_op_dgram_data(np, d);
}

void dgram_ended(struct natproxy *np, struct flow *f, uint32_t ref, const char *why)
{
	session_close(np, f, ref, why);
	if (f->sessions)
		return;
	flow_stop(np, f, false, why);
	flow_owe(np, f, OWED_CLOSED);
}
