/*
 * Theory of operation.
 *
 *   guest ─▶ query ─┬▶ dnslocal, dnscache, refusals ─▶ answer ─▶ guest
 *                   └▶ server's connection ──────────▶ answer
 *
 * There is one message in each of the two buffers. The next question is read when both are free, so
 * own answers and the server's never mix, and a guest that does not read its answers is not read from.
 * Questions that go to the server need not wait for each other's answers (RFC 7766 6.2.1.1).
 *
 * The server is called when a question needs it. If it goes away while it owes nothing, the next
 * question calls again; if it owes answers, the guest's connection is reset, so that it asks anew.
 *
 * Connections are few, and a guest that neither asks nor is owed an answer loses its own. Of one that
 * has as many questions waiting as it may, the next waits for an answer on its connection, or where none
 * is owed is answered SERVFAIL.
 */
#include <errno.h>
#include <string.h>

#include "dns.h"
#include "dnsrelay.h"
#include "dnstcp.h"
#include "download.h"
#include "inspect_stream.h"
#include "relay.h"
#include "session.h"
#include "upload.h"

enum { MESSAGES_PER_TURN = 16, MS_NS = 1000000 };

static struct dnstcp_stream *stream_of(struct natproxy *np, const struct flow *f)
{
	return &np->dns_tcp.stream[f->dns_stream - 1];
}

/* As with questions by UDP: a guest may hold as many as it leaves free for others. */
static struct dnstcp_stream *free_stream(struct natproxy *np, uint32_t guest_ip_be)
{
	struct dnstcp_stream *found = NULL;
	uint32_t held = 0;
	for (uint32_t i = 0; i < DNSTCP_STREAMS; i++) {
		struct dnstcp_stream *s = &np->dns_tcp.stream[i];
		if (!s->flow)
			found = s;
		else
			held += s->guest_ip_be == guest_ip_be;
	}
	return held < DNSTCP_STREAMS - np->dns_tcp.used ? found : NULL;
}

/* From now on patience is as long as what is waited for takes. */
static void wait_on(struct natproxy *np, struct dnstcp_stream *s)
{
	struct dnstcp *t = &np->dns_tcp;
	const uint64_t ms = s->state == DNSTCP_CONNECTING ? DNSTCP_CONNECT_MS
			    : s->asked			  ? DNSTCP_PATIENCE_MS
							  : DNSTCP_IDLE_MS;
	s->due_ns = np->now_ns + ms * MS_NS;
	if (!t->due_ns || s->due_ns < t->due_ns)
		t->due_ns = s->due_ns;
}

bool dnstcp_open(struct natproxy *np, struct flow *f)
{
	struct dnstcp_stream *s = free_stream(np, f->guest.ip_be);
	if (!s)
		return false;
	s->flow = flow_index(f->id) + 1;
	s->guest_ip_be = f->guest.ip_be;
	s->state = DNSTCP_APART;
	s->tried = s->asked = 0;
	s->complete = s->closing = false;
	s->query_bytes = s->sent = s->answer_bytes = s->given = 0;
	wait_on(np, s);
	np->dns_tcp.used++;
	f->dns_stream = (uint8_t)(s - np->dns_tcp.stream + 1);
	f->state = FLOW_RUNNING;
	session_connected(np, f);
	flow_owe(np, f, OWED_OPENED);
	inspect_stream_start(np, f, NULL);
	return true;
}

void dnstcp_end(struct natproxy *np, struct flow *f)
{
	if (!f->dns_stream)
		return;
	stream_of(np, f)->flow = 0;
	np->dns_tcp.used--;
	f->dns_stream = 0;
}

static void hang_up(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	if (f->fd >= 0)
		natproxy_close_fd(np, f->fd, false);
	f->fd = -1;
	f->watched = 0;
	f->readable = f->blocked = false;
	s->state = DNSTCP_APART;
	wait_on(np, s);
}

/* The server is gone, or as good as. */
static void lose_server(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	s->closing = s->asked > 0;
	if (s->query_bytes > 0)
		s->tried++;
	s->asked = 0;
	s->sent = 0;
	hang_up(np, f, s);
	if (!s->complete)
		s->answer_bytes = 0;
}

/* Calls the next server; false when there is none left. */
static bool call_server(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	static const struct sock_age usual = {0, 0};
	for (;; s->tried++) {
		const struct sock_address to = {
			dnsredir_server(&np->dns, s->tried, np->now_ns), ACCESS_DNS_PORT};
		if (!to.ip_be || !natproxy_fd_room(np, false))
			return false;
		const struct sock_place from = {.device = dns_device(np, to.ip_be)};
		const int fd = sock_tcp_connect(np->sock, &from, false, &to, &usual);
		if (fd < 0 || !natproxy_own(np, fd, OWNER_FLOW, flow_index(f->id)))
			continue;
		f->fd = fd;
		f->blocked = true;
		s->state = DNSTCP_CONNECTING;
		wait_on(np, s);
		flow_watch(np, f);
		return true;
	}
}

static void try_next(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	hang_up(np, f, s);
	s->tried++;
	flow_work(np, f, WORK_UPLOAD);
}

static void connected(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	const int error = sock_connect_result(np->sock, f->fd);
	if (error == -EINPROGRESS) {
		f->blocked = true;
		return;
	}
	if (error) {
		try_next(np, f, s);
		return;
	}
	s->state = DNSTCP_JOINED;
	wait_on(np, s);
	sock_local(np->sock, f->fd, &f->outside);
	nat_session(&np->nat, f->sessions)->outside = f->outside;
}

static void reply(struct natproxy *np, struct flow *f, struct dnstcp_stream *s, size_t n)
{
	dnsmsg_put_field(s->answer, 0, (uint16_t)n);
	s->answer_bytes = (uint32_t)n + DNSTCP_LENGTH_BYTES;
	s->complete = true;
	s->query_bytes = s->sent = 0;
	flow_work(np, f, WORK_DOWNLOAD);
}

static void refuse(
	struct natproxy *np, struct flow *f, struct dnstcp_stream *s, enum dnsmsg_rcode rcode)
{
	reply(np, f, s,
		dnsmsg_refusal(s->query + DNSTCP_LENGTH_BYTES, s->query_bytes - DNSTCP_LENGTH_BYTES,
			rcode, s->answer + DNSTCP_LENGTH_BYTES));
}

/* guest_ip_be 0: whoever asked. */
static uint32_t waiting_of(const struct dnstcp *t, uint32_t guest_ip_be)
{
	uint32_t waiting = 0;
	for (uint32_t i = 0, left = t->used; left; i++) {
		const struct dnstcp_stream *s = &t->stream[i];
		left -= s->flow != 0;
		if (s->flow && (!guest_ip_be || s->guest_ip_be == guest_ip_be))
			waiting += s->asked;
	}
	return waiting;
}

uint32_t dnstcp_waiting(const struct natproxy *np, uint32_t guest_ip_be)
{
	return waiting_of(&np->dns_tcp, guest_ip_be);
}

uint32_t dnstcp_waiting_all(const struct natproxy *np)
{
	return waiting_of(&np->dns_tcp, 0);
}

static bool has_too_many(const struct natproxy *np, const struct dnstcp_stream *s)
{
	return dnsredir_waiting(&np->dns, s->guest_ip_be) + dnstcp_waiting(np, s->guest_ip_be) >=
	       np->dns.guest_limit;
}

/* The question that lies in `query` goes to the server. True: it is gone, or answered. */
static bool send_query(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	if (!s->sent && has_too_many(np, s)) {
		if (s->asked)
			return false;
		drop_count(np->drops, DROP_DNS_LIMIT);
		refuse(np, f, s, DNSMSG_SERVFAIL);
		return true;
	}
	if (s->state == DNSTCP_APART && !call_server(np, f, s)) {
		drop_count(np->drops, DROP_DNS_NO_UPSTREAM);
		s->tried = 0;
		refuse(np, f, s, DNSMSG_SERVFAIL);
		return true;
	}
	if (s->state != DNSTCP_JOINED)
		return false;
	const struct iovec piece = {s->query + s->sent, s->query_bytes - s->sent};
	const ssize_t r = sock_write(np->sock, f->fd, &piece, 1, false);
	if (r < 0 && r != -EAGAIN) {
		lose_server(np, f, s);
		return !s->closing;
	}
	s->sent += r > 0 ? (uint32_t)r : 0;
	if (s->sent < s->query_bytes) {
		f->blocked = true;
		return false;
	}
	s->query_bytes = s->sent = s->tried = 0;
	s->asked++;
	wait_on(np, s);
	return true;
}

/* A whole question; -EPROTO: it is none, and what follows cannot be either. */
static int take_query(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	const uint8_t *query = s->query + DNSTCP_LENGTH_BYTES;
	struct dnsmsg_question q;
	size_t n;
	session_count(np, f->sessions, 0, s->query_bytes);
	if (!s->asked)
		wait_on(np, s);
	switch (dnsmsg_query(query, s->query_bytes - DNSTCP_LENGTH_BYTES, &q)) {
	case DNSMSG_NOISE: return -EPROTO;
	case DNSMSG_MALFORMED:
		drop_count(np->drops, DROP_DNS_BAD);
		refuse(np, f, s, DNSMSG_FORMERR);
		return 0;
	case DNSMSG_FOREIGN_OPCODE:
		drop_count(np->drops, DROP_DNS_BAD);
		refuse(np, f, s, DNSMSG_NOTIMP);
		return 0;
	case DNSMSG_ODD: break;
	case DNSMSG_PLAIN:
		n = dnsrelay_known(np, f->guest.ip_be, &q, query, s->answer + DNSTCP_LENGTH_BYTES);
		if (n)
			reply(np, f, s, n);
		break;
	}
	return 0;
}

/* Bytes of the query that are still to come from the guest; -EPROTO: it is too long to be one. */
static int missing(const struct dnstcp_stream *s)
{
	if (s->query_bytes < DNSTCP_LENGTH_BYTES)
		return (int)(DNSTCP_LENGTH_BYTES - s->query_bytes);
	const uint16_t n = dnsmsg_field(s->query, 0);
	if (n < DNSMSG_HEADER_BYTES || n > DNSMSG_QUERY_BYTES)
		return -EPROTO;
	return (int)(n + DNSTCP_LENGTH_BYTES - s->query_bytes);
}

/* What the guest sent, as far as an ALG lets it go on. */
static size_t take_bytes(struct natproxy *np, struct flow *f, uint8_t *out, size_t room)
{
	return f->inspect ? inspect_stream_take(np, f, out, room) : upload_copy(np, f, out, room);
}

/* Reads on; true when something was done. A stream that is no DNS is reset. */
static bool read_query(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	int more = missing(s);
	if (more > 0) {
		const size_t n = take_bytes(np, f, s->query + s->query_bytes, (size_t)more);
		s->query_bytes += (uint32_t)n;
		if (!n)
			return false;
		more = missing(s);
	}
	if (more == 0)
		more = take_query(np, f, s);
	if (more >= 0)
		return true;
	drop_count(np->drops, DROP_DNS_BAD);
	relay_reset(np, f, "no DNS");
	return false;
}

/* Whether a whole question waits for the server. */
static bool has_query(const struct dnstcp_stream *s)
{
	return s->query_bytes > DNSTCP_LENGTH_BYTES && missing(s) == 0;
}

/* One step forward with what the guest sends; false when something must happen first. */
static bool step(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	if (s->closing || s->answer_bytes || s->asked == DNSTCP_OUTSTANDING)
		return false;
	return has_query(s) ? send_query(np, f, s) : read_query(np, f, s);
}

/* Whether an ALG still holds something, of the guest's or for it. */
static bool is_held(const struct natproxy *np, const struct flow *f)
{
	return f->inspect && (!inspect_stream_drained(np, f, NL__DIRECTION__GUEST) ||
				     !inspect_stream_drained(np, f, NL__DIRECTION__OUTSIDE));
}

/* Both ends when the guest has ended and everything was answered. */
static void settle(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	if (s->answer_bytes)
		return;
	if (s->closing) {
		relay_reset(np, f, "the server went away");
		return;
	}
	if (!f->guest_finished || f->queue_first || has_query(s) || s->asked || f->finish_sent ||
		is_held(np, f))
		return;
	hang_up(np, f, s);
	f->finish_sent = f->outside_finished = true;
	download_finish(np, f);
}

bool dnstcp_upload(struct natproxy *np, struct flow *f)
{
	struct dnstcp_stream *s = stream_of(np, f);
	unsigned int n = 0;
	if (s->state == DNSTCP_CONNECTING)
		connected(np, f, s);
	while (n < MESSAGES_PER_TURN && step(np, f, s))
		n++;
	if (f->state != FLOW_RUNNING)
		return false;
	flow_watch(np, f);
	upload_settle(np, f);
	settle(np, f, s);
	return n == MESSAGES_PER_TURN && f->state == FLOW_RUNNING;
}

/* Lends the guest what there is of its answer, as far as credit and slots go. True: all of it. */
static bool give(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	const uint8_t *bytes = s->answer + s->given;
	const uint32_t n = s->answer_bytes - s->given;
	s->given += f->inspect ? inspect_stream_give(np, f, bytes, n)
			       : download_copy(np, f, bytes, n);
	return s->given == s->answer_bytes;
}

static void note_names(struct natproxy *np, const struct dnstcp_stream *s)
{
	const uint8_t *message = s->answer + DNSTCP_LENGTH_BYTES;
	const size_t n = s->answer_bytes - DNSTCP_LENGTH_BYTES;
	const size_t end = dnsmsg_question_end(message, n);
	struct dnsmsg_answer a;
	dnsmsg_answer(message, n, &a);
	for (uint32_t i = 0; end && i < a.addresses; i++) {
		uint32_t ip_be;
		memcpy(&ip_be, message + a.address_at[i], sizeof(ip_be));
		dnsnames_note(&np->dns_names, s->guest_ip_be, ip_be, message + DNSMSG_HEADER_BYTES,
			end - 4 - DNSMSG_HEADER_BYTES);
	}
}

/* How long the message is that is being read; before that is known, how long its length is. */
static uint32_t answer_end(const struct dnstcp_stream *s)
{
	const bool known = s->answer_bytes >= DNSTCP_LENGTH_BYTES;
	return DNSTCP_LENGTH_BYTES + (known ? dnsmsg_field(s->answer, 0) : 0U);
}

/* The server's next bytes, at most to the end of a message; false when there are none. */
static bool read_some(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	const struct iovec piece = {s->answer + s->answer_bytes, answer_end(s) - s->answer_bytes};
	const ssize_t r = sock_read(np->sock, f->fd, &piece, 1);
	if (r == -EAGAIN)
		f->readable = false;
	else if (r <= 0)
		lose_server(np, f, s);
	else
		s->answer_bytes += (uint32_t)r;
	return r > 0;
}

/* True when something came. A server that sends what nobody asked for, or what is no message, is hung
 * up on. */
static bool read_answer(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	if (!f->readable || s->state != DNSTCP_JOINED || s->complete || !read_some(np, f, s))
		return false;
	if (s->answer_bytes < DNSTCP_LENGTH_BYTES)
		return true;
	if (!s->asked || dnsmsg_field(s->answer, 0) < DNSMSG_HEADER_BYTES) {
		lose_server(np, f, s);
		return false;
	}
	if (s->answer_bytes < answer_end(s))
		return true;
	s->complete = true;
	s->asked--;
	wait_on(np, s);
	note_names(np, s);
	return true;
}

bool dnstcp_download(struct natproxy *np, struct flow *f)
{
	struct dnstcp_stream *s = stream_of(np, f);
	unsigned int n = 0;
	if (f->inspect)
		inspect_stream_lend(np, f);
	while (n < MESSAGES_PER_TURN && (s->complete || read_answer(np, f, s))) {
		n++;
		if (!s->complete)
			continue;
		if (!give(np, f, s))
			break;
		s->complete = false;
		s->answer_bytes = s->given = 0;
	}
	flow_watch(np, f);
	if (!s->answer_bytes || s->closing)
		flow_work(np, f, WORK_UPLOAD);
	return n == MESSAGES_PER_TURN;
}

/* Who is not connected yet tries the next; a server that owes answers is given up, and a guest that is
 * owed none. */
static void lose_patience(struct natproxy *np, struct flow *f, struct dnstcp_stream *s)
{
	if (s->state == DNSTCP_CONNECTING) {
		try_next(np, f, s);
	} else if (s->asked) {
		lose_server(np, f, s);
		flow_work(np, f, WORK_UPLOAD);
	} else {
		relay_reset(np, f, "idle");
	}
}

void dnstcp_timeout(struct natproxy *np)
{
	struct dnstcp *t = &np->dns_tcp;
	uint64_t soonest = 0;
	if (!t->due_ns || np->now_ns < t->due_ns)
		return;
	for (uint32_t i = 0; i < DNSTCP_STREAMS; i++) {
		struct dnstcp_stream *s = &t->stream[i];
		if (s->flow && s->due_ns <= np->now_ns)
			lose_patience(np, &np->flow[s->flow - 1], s);
		if (s->flow && (!soonest || s->due_ns < soonest))
			soonest = s->due_ns;
	}
	t->due_ns = soonest;
}

uint64_t dnstcp_deadline(const struct natproxy *np)
{
	return np->dns_tcp.due_ns ? np->dns_tcp.due_ns : UINT64_MAX;
}
