/*
 * Theory of operation.
 *
 *   TCP_OPEN ─▶ access ─▶ session ─▶ connect ─▶ TCP_OPENED ─▶ upload.c, download.c ─▶ FINs ─▶ DONE
 *                 │         │           │
 *                 └─────────┴───────────┴─▶ TCP_FAILED with the true reason: the guest's SYN gets
 *                                           the answer that we got
 *
 * No SYN-ACK exists before the far end's: netstack sends it on TCP_OPENED. FIN and RST stay what
 * they are. When the last byte and both FINs have passed, the socket is closed and the session
 * ends; the kernel keeps TIME-WAIT. The entry stays DONE until netstack says FLOW_FREE.
 */
#include <errno.h>

#include "derive.h"
#include "dnstcp.h"
#include "download.h"
#include "inspect_stream.h"
#include "lowport.h"
#include "natproxy.h"
#include "publish.h"
#include "refuse.h"
#include "relay.h"
#include "session.h"
#include "sessionlog.h"
#include "source.h"
#include "upload.h"

enum {
	/* mapped or same number, then one other; TCP needs no parity, so the kernel may choose next */
	PORT_TRIES = 2,
	PROBE_TTL = 32,
	DSCP_MASK = 0xfc,
	ICMP_TIME_EXCEEDED = 11,
	ERRORS_MAX = 8, /* one, and those of what a used socket did before */
};

static enum ring_failure failure_of(int error)
{
	switch (error) {
	case -ECONNREFUSED:
	case -ECONNRESET: return RING_FAIL_REFUSED;
	case -ENETUNREACH:
	case -ENETDOWN: return RING_FAIL_NET;
	case -EACCES:
	case -EPERM: return RING_FAIL_PROHIBITED;
	case -ETIMEDOUT: return RING_FAIL_TIMEOUT;
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
	case -EADDRINUSE:
	case -EADDRNOTAVAIL: return RING_FAIL_SHORTAGE;
	default: return RING_FAIL_HOST;
	}
}

static const char *failure_text(enum ring_failure why)
{
	switch (why) {
	case RING_FAIL_REFUSED: return "refused";
	case RING_FAIL_NET: return "network unreachable";
	case RING_FAIL_PROHIBITED: return "prohibited";
	case RING_FAIL_TIMEOUT: return "timed out";
	case RING_FAIL_SHORTAGE: return "out of resources";
	case RING_FAIL_ICMP:
	case RING_FAIL_HOST: break;
	}
	return "host unreachable";
}

static void fail_saying(
	struct natproxy *np, struct flow *f, enum ring_failure why, const char *text)
{
	session_failed(np, f, text);
	flow_stop(np, f, true, "not connected");
	f->failure = (uint8_t)why;
	flow_owe(np, f, OWED_FAILED);
}

static void fail(struct natproxy *np, struct flow *f, enum ring_failure why)
{
	fail_saying(np, f, why, failure_text(why));
}

/*
 * Whether a port must be nobody's when it is taken: another natproxy of the hub, which our table does not know,
 * may have it for a guest of its own (RFC 5382 REQ-7: no overloading). Of one natproxy the table knows all.
 */
static bool is_taken_anew(const struct natproxy *np, uint16_t port)
{
	return np->config.shards > 1 && !portpick_is_ours(&np->ports, NAT_TCP, port);
}

static int connect_from(struct natproxy *np, struct flow *f, const struct sock_address *to,
	const struct sock_age *age)
{
	struct sock_place from = source_of(np, f->guest.ip_be);
	if (lowport_wanted(np, f)) {
		const int fd = lowport_connect(np, f, to, age);
		if (fd != -EADDRNOTAVAIL)
			return fd;
	}
	for (unsigned int n = 0;; n++) {
		const uint16_t port = n < PORT_TRIES ? source_port(np, NAT_TCP, &f->guest, n) : 0;
		const bool alone = !from.at.ip_be && is_taken_anew(np, port);
		from.at.port = port;
		const int fd = sock_tcp_connect(np->sock, &from, alone, to, age);
		if (fd >= 0 && port) {
			portpick_hold(&np->ports, NAT_TCP, &f->guest, port);
			f->outside.port = port;
			f->charged = true;
		}
		if (!port || (fd != -EADDRINUSE && fd != -EADDRNOTAVAIL))
			return fd;
	}
}

/* Starts the connection; failure is answered at once. */
static void start(struct natproxy *np, struct flow *f, const struct sock_address *to,
	const struct sock_age *age)
{
	const int fd = connect_from(np, f, to, age);
	if (fd == -EMFILE || fd == -ENFILE)
		natproxy_shortage(np, 0, NAT_TCP);
	if (fd < 0) {
		if (refuse_unplaced(np, NAT_TCP, &f->guest, to, fd))
			fail(np, f, RING_FAIL_NET);
		else
			fail(np, f, failure_of(fd));
		return;
	}
	if (!natproxy_own(np, fd, OWNER_FLOW, flow_index(f->id))) {
		fail(np, f, RING_FAIL_SHORTAGE);
		return;
	}
	f->fd = fd;
	flow_watch(np, f);
}

static void refuse(struct natproxy *np, struct flow *f, enum ring_failure why)
{
	f->state = FLOW_DONE;
	f->failure = (uint8_t)why;
	flow_owe(np, f, OWED_FAILED);
}

/* Whether the flow may try at all; otherwise it is refused. */
static bool admitted(struct natproxy *np, struct flow *f, enum access_verdict verdict)
{
	if (verdict == ACCESS_DENIED || !access_is_guest(&np->access, f->guest.ip_be) ||
		!np->config.enabled) {
		drop_count(np->drops, DROP_DENIED);
		sessionlog_refused(np, NAT_TCP, &f->guest, &f->remote, access_reason(verdict));
		refuse(np, f, RING_FAIL_PROHIBITED);
		return false;
	}
	if (verdict == ACCESS_LOOP)
		refuse_session(np, REFUSED_LOOP, NAT_TCP, &f->guest, &f->remote);
	if (verdict == ACCESS_LOOP || refuse_new(np, NAT_TCP, &f->guest, &f->remote)) {
		refuse(np, f, RING_FAIL_PROHIBITED);
		return false;
	}
	if (np->draining) {
		refuse(np, f, RING_FAIL_SHORTAGE);
		return false;
	}
	if (!natproxy_fd_room(np, false)) {
		natproxy_shortage(np, 0, NAT_TCP);
		sessionlog_refused(np, NAT_TCP, &f->guest, &f->remote, "out of descriptors");
		refuse(np, f, RING_FAIL_SHORTAGE);
		return false;
	}
	return true;
}

/*
 * A SYN that may go only a few hops is a probe (traceroute -T): its socket gets the same TTL and hears of its death.
 * Hosts of today begin with 64 or more, and are spared the system calls.
 */
static struct sock_age age_of(const struct ring_desc *d)
{
	const uint8_t ttl = d->pair.kind & 0xff, tos = d->pair.kind >> 8 & 0xff;
	return (struct sock_age){ttl < PROBE_TTL ? ttl : 0, tos & DSCP_MASK};
}

/*
 * Whether a SYN is one of our own that came in again as a guest's: this host's route to where it goes leads into the
 * hub (seed 3.7.4). The supervisor watches the default route; this sees every other. Each round would be a new
 * connection with a fresh TTL, without end. Only this host itself, as a guest of its hub, costs the walk.
 */
static bool comes_back(struct natproxy *np, const struct flow *f)
{
	uint32_t ref = NAT_NONE;
	if (!np->access.loop_guard || !access_is_own(&np->access, f->guest.ip_be) ||
		!portpick_is_ours(&np->ports, NAT_TCP, f->guest.port))
		return false;
	while ((ref = nat_next(&np->nat, ref))) {
		const struct nat_session *s = nat_session(&np->nat, ref);
		const struct flow *other = flow_live(np, s->flow);
		if (other && other->kind == FLOW_TCP && other->outside.port == f->guest.port &&
			s->remote.ip_be == f->remote.ip_be && s->remote.port == f->remote.port)
			return true;
	}
	return false;
}

int natproxy_op_tcp_open(struct natproxy *np, const struct ring_desc *d)
{
	struct flow *f = d->pair.kind <= UINT16_MAX ? flow_new(np, d->flow, FLOW_TCP) : NULL;
	if (!f)
		return -EPROTO;
	f->state = FLOW_CONNECTING;
	f->guest = (struct sock_address){d->pair.guest_ip_be, d->pair.guest_port};
	f->remote = (struct sock_address){d->pair.remote_ip_be, d->pair.remote_port};
	const enum access_verdict verdict = comes_back(np, f)
						    ? ACCESS_LOOP
						    : access_check(&np->access, &f->remote);
	if (!admitted(np, f, verdict))
		return 0;
	if (!session_open(np, f, &f->remote, true)) {
		refuse(np, f, RING_FAIL_SHORTAGE);
		return 0;
	}
	const struct sock_age age = age_of(d);
	f->traced = age.ttl != 0;
	f->dns = verdict == ACCESS_DNS;
	if (!f->dns)
		start(np, f, &f->remote, &age);
	else if (!dnstcp_open(np, f))
		fail(np, f, RING_FAIL_SHORTAGE);
	return 0;
}

static void run(struct natproxy *np, struct flow *f)
{
	if (sock_local(np->sock, f->fd, &f->outside) == 0 && !f->charged &&
		f->outside.port >= PORTPICK_FIRST) {
		portpick_hold(&np->ports, NAT_TCP, &f->guest, f->outside.port);
		f->charged = true;
	}
	if (f->traced)
		sock_forgive(np->sock, f->fd);
	f->state = FLOW_RUNNING;
	session_connected(np, f);
	flow_owe(np, f, OWED_OPENED);
	inspect_stream_start(np, f, NULL);
	flow_watch(np, f);
}

/* The ICMP error that ended a connection before it stood, if one did: the kernel keeps it with the socket, asked or not
 * (Linux 5.9). */
static bool was_told(struct natproxy *np, struct flow *f)
{
	struct sock_error e;
	for (int n = 0;
		n < ERRORS_MAX && sock_receive_error(np->sock, f->fd, false, &e) > 0; n++) {
		if (!e.offender_ip_be || e.to.ip_be != f->remote.ip_be ||
			e.to.port != f->remote.port)
			continue;
		f->offender_ip_be = access_shown_as(&np->access, e.offender_ip_be);
		f->icmp_type = e.type;
		f->icmp_code = e.code;
		f->icmp_pointer = e.pointer;
	}
	return f->offender_ip_be != 0;
}

/* The guest hears what we heard: the very error, or else its like. */
static void failed(struct natproxy *np, struct flow *f, int error)
{
	const bool told = was_told(np, f);
	const char *text = told && f->icmp_type == ICMP_TIME_EXCEEDED
				   ? "time to live exceeded"
				   : failure_text(failure_of(error));
	if (told && np->config.icmp_errors) {
		np->icmp.to_guests++;
		fail_saying(np, f, RING_FAIL_ICMP, text);
		return;
	}
	np->icmp.ended += told;
	f->offender_ip_be = f->icmp_type = f->icmp_code = f->icmp_pointer = 0;
	fail_saying(np, f, failure_of(error), text);
}

static void connected(struct natproxy *np, struct flow *f)
{
	const int error = sock_connect_result(np->sock, f->fd);
	if (error == -EINPROGRESS)
		return;
	if (!error) {
		run(np, f);
		return;
	}
	failed(np, f, error);
}

void relay_ready(struct natproxy *np, struct flow *f, unsigned int events)
{
	if (f->state == FLOW_CONNECTING) {
		connected(np, f);
		return;
	}
	if (events & SOCK_WRITE && f->blocked) {
		f->blocked = false;
		flow_work(np, f, WORK_UPLOAD);
	}
	if (events & SOCK_READ) {
		f->readable = true;
		flow_work(np, f, WORK_DOWNLOAD);
	}
}

void relay_adopt(struct natproxy *np, struct flow *f, const struct incoming *in)
{
	f->state = FLOW_RUNNING;
	f->guest = in->guest;
	f->remote = in->peer;
	const bool derived = in->derived.inspect || in->derived.door;
	const uint32_t session = in->rule || derived
					 ? session_open_incoming(np, f, &f->remote, in->rule)
					 : session_open(np, f, &f->remote, false);
	if (!session) {
		derive_left(np, &in->derived);
		natproxy_close_fd(np, in->fd, true);
		f->state = FLOW_DONE;
		flow_owe(np, f, OWED_RESET);
		return;
	}
	nat_session(&np->nat, session)->real_ip_be = in->real_ip_be;
	f->fd = in->fd;
	np->owner[f->fd] = (struct owner){OWNER_FLOW, flow_index(f->id)};
	sock_local(np->sock, f->fd, &f->outside);
	f->door = (uint16_t)in->derived.door;
	f->door_number = in->derived.number;
	session_connected(np, f);
	if (in->rule || derived)
		inspect_stream_start(np, f, derived ? &in->derived : NULL);
	flow_watch(np, f);
}

void relay_reset(struct natproxy *np, struct flow *f, const char *why)
{
	flow_stop(np, f, true, why);
	f->owed &= (uint8_t) ~(OWED_FIN | OWED_CONSUMED);
	flow_owe(np, f, OWED_RESET);
}

void relay_write_failed(struct natproxy *np, struct flow *f)
{
	upload_discard(np, f);
	f->write_broken = true;
	if (f->outside_finished) {
		relay_reset(np, f, "reset by the far end");
		return;
	}
	f->readable = true;
	flow_work(np, f, WORK_DOWNLOAD);
}

void relay_maybe_done(struct natproxy *np, struct flow *f)
{
	if (f->state == FLOW_RUNNING && f->finish_sent && f->outside_finished &&
		!(f->owed & OWED_RESET))
		flow_stop(np, f, false, "finished");
}

int natproxy_op_tcp_data(struct natproxy *np, const struct ring_desc *d)
{
	struct flow *f = flow_live(np, d->flow);
	if (!f || f->state == FLOW_DONE) {
		natproxy_return_payload(np, d);
		return 0;
	}
	if (f->kind != FLOW_TCP || f->state != FLOW_RUNNING)
		return -EPROTO;
	return upload_data(np, f, d);
}

int natproxy_op_tcp_fin(struct natproxy *np, const struct ring_desc *d)
{
	struct flow *f = flow_live(np, d->flow);
	if (!f || f->state == FLOW_DONE)
		return 0;
	if (f->kind != FLOW_TCP || f->state != FLOW_RUNNING)
		return -EPROTO;
	f->guest_finished = true;
	flow_work(np, f, WORK_UPLOAD);
	return 0;
}

int natproxy_op_tcp_reset(struct natproxy *np, const struct ring_desc *d)
{
	struct flow *f = flow_live(np, d->flow);
	if (!f)
		return 0;
	if (f->kind != FLOW_TCP)
		return -EPROTO;
	flow_stop(np, f, true, "reset by the guest");
	flow_free(f);
	return 0;
}

int natproxy_op_tcp_credit(struct natproxy *np, const struct ring_desc *d)
{
	struct flow *f = flow_live(np, d->flow);
	if (!f || f->state == FLOW_DONE)
		return 0;
	if (f->kind != FLOW_TCP)
		return -EPROTO;
	if (f->sessions) /* also when it grants nothing: the guest's keepalive */
		nat_touch(&np->nat, f->sessions, np->now_ns);
	download_credit(np, f, d->arg);
	return 0;
}

/* FLOW_FREE may come in the same turn as the guest's FIN, which has not been acted on yet. */
static bool ended_well(struct natproxy *np, struct flow *f)
{
	if (f->kind != FLOW_TCP || f->state != FLOW_RUNNING || !f->guest_finished)
		return f->kind != FLOW_TCP;
	upload_turn(np, f);
	return f->state != FLOW_RUNNING || f->finish_sent;
}

int natproxy_op_flow_free(struct natproxy *np, const struct ring_desc *d)
{
	struct flow *f = flow_live(np, d->flow);
	if (!f)
		return 0;
	const bool well = ended_well(np, f);
	flow_stop(np, f, !well, "given up by the guest's side");
	flow_free(f);
	return 0;
}

int natproxy_op_release_read(struct natproxy *np, const struct ring_desc *d)
{
	return download_returned(np, d);
}
