/*
 * SIP calls, so many at once from one socket: INVITE with a description, 200, ACK, BYE, 200. Who is called answers with 488 where
 * the description does not name the address that the call comes from, so that a call counts only if its gateway did its work.
 */
#include "load.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLOTS = 256, MESSAGE = 4096, BUFFER = 1 << 16, PATIENCE_MS = 1000, MEDIA = 20000 };

/* One side: what came in and is no whole message yet. */
struct end {
	int fd;
	bool stream, broken;
	struct sockaddr_in own, far;
	size_t have;
	char bytes[BUFFER + 1];
};

struct run {
	struct end end;
	unsigned begun, over, calls, most;
	struct {
		unsigned number; /* from 1; 0: free */
		uint64_t begin_ns;
	} slot[SLOTS];
	struct samples samples;
};

static void say(struct end *e, const char *message)
{
	const struct sockaddr *to = e->stream ? NULL : (const struct sockaddr *)&e->far;
	if (sendto(e->fd, message, strlen(message), MSG_NOSIGNAL, to, to ? sizeof(e->far) : 0) < 0)
		e->broken = e->stream; /* a datagram is lost, as others are */
}

/* Length of the first message that is whole; 0: there is none. */
static size_t whole(const struct end *e)
{
	const char *length = strstr(e->bytes, "\r\nContent-Length: "),
		   *body = strstr(e->bytes, "\r\n\r\n");
	if (!e->stream)
		return e->have;
	if (!length || !body || length > body)
		return 0;
	const size_t n = (size_t)(body + 4 - e->bytes) + strtoul(length + 18, NULL, 10);
	return n <= e->have ? n : 0;
}

/* Waits for more: false at the end, when nothing came in time (wait_ms, -1: for ever), or after something could not be said. */
static bool hear(struct end *e, int wait_ms)
{
	struct pollfd ready = {e->fd, POLLIN, 0};
	socklen_t n = sizeof(e->far);
	if (e->broken || poll(&ready, 1, wait_ms) <= 0)
		return false;
	const ssize_t got =
		e->stream ? read(e->fd, e->bytes + e->have, BUFFER - e->have)
			  : recvfrom(e->fd, e->bytes, BUFFER, 0, (struct sockaddr *)&e->far, &n);
	if (got <= 0)
		return false;
	e->have += (size_t)got;
	e->bytes[e->have] = '\0';
	return true;
}

static void done(struct end *e, size_t n)
{
	e->have -= n;
	memmove(e->bytes, e->bytes + n, e->have + 1);
}

static size_t describe(char *out, size_t cap, const char *ip, unsigned port)
{
	return (size_t)snprintf(out, cap,
		"v=0\r\no=- 7 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %u RTP/AVP "
		"0\r\n"
		"a=rtpmap:0 PCMU/8000\r\n",
		ip, ip, port);
}

static void text_of(char out[INET_ADDRSTRLEN], struct in_addr address)
{
	inet_ntop(AF_INET, &address, out, INET_ADDRSTRLEN);
}

/* Copies a header line of the first message; the new end of `out`. */
static size_t copy_line(const struct end *e, const char *name, char *out, size_t at)
{
	const char *line = strstr(e->bytes, name), *stop = line ? strstr(line + 2, "\r\n") : NULL;
	const size_t n = stop ? (size_t)(stop - line) - 2 : MESSAGE;
	if (at + n >= MESSAGE)
		load_die("sip: a message without its headers");
	memcpy(out + at, line + 2, n);
	return at + n;
}

static void answer(struct end *e)
{
	static const char *const copied[] = {
		"\r\nVia: ", "\r\nFrom: ", "\r\nTo: ", "\r\nCall-ID: ", "\r\nCSeq: "};
	char out[MESSAGE + 512], body[512] = "", own[INET_ADDRSTRLEN], line[64] = "\r\nc=IN IP4 ";
	const bool invite = !strncmp(e->bytes, "INVITE ", 7);
	if (!invite && strncmp(e->bytes, "BYE ", 4) != 0)
		return;
	text_of(line + 11, e->far.sin_addr);
	strcat(line, "\r\n");
	text_of(own, e->own.sin_addr);
	const bool right = !invite || strstr(e->bytes, line);
	size_t at = (size_t)sprintf(
		out, "SIP/2.0 %s\r\n", right ? "200 OK" : "488 Not Acceptable Here");
	for (size_t i = 0; i < sizeof(copied) / sizeof(*copied); i++) {
		at = copy_line(e, copied[i], out, at);
		if (i == 2 && invite)
			at += (size_t)sprintf(out + at, ";tag=b");
		at += (size_t)sprintf(out + at, "\r\n");
	}
	if (invite && right)
		describe(body, sizeof(body), own, MEDIA);
	snprintf(out + at, sizeof(out) - at,
		"Contact: <sip:b@%s:%u>\r\n%sContent-Length: %zu\r\n\r\n%s", own, LOAD_PORT_SIP,
		*body ? "Content-Type: application/sdp\r\n" : "", strlen(body), body);
	say(e, out);
}

static void serve(struct end *e)
{
	size_t n;
	while (hear(e, -1))
		while ((n = whole(e))) {
			answer(e);
			done(e, n);
		}
}

void sip_serve_datagrams(const char *ip)
{
	static struct end e;
	e.own = load_address(ip, LOAD_PORT_SIP);
	e.fd = load_datagram_socket(&e.own, NULL);
	serve(&e);
}

/* A process for each connection: one that came to a halt in its gateway is not to hold up the next. */
void sip_serve_streams(const char *ip)
{
	static struct end e;
	const int listener = load_listen(load_address(ip, LOAD_PORT_SIP)), one = 1;
	struct pollfd ready = {listener, POLLIN, 0};
	signal(SIGCHLD, SIG_IGN);
	e.stream = true;
	e.own = load_address(ip, LOAD_PORT_SIP);
	while (poll(&ready, 1, -1) >= 0) {
		socklen_t n = sizeof(e.far);
		e.fd = accept(listener, (struct sockaddr *)&e.far, &n);
		if (e.fd < 0)
			continue;
		setsockopt(e.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (!fork()) {
			serve(&e);
			_exit(0);
		}
		close(e.fd);
	}
}

static void ask(
	struct run *r, const char *method, unsigned slot, unsigned sequence, const char *body)
{
	char out[MESSAGE], own[INET_ADDRSTRLEN], far[INET_ADDRSTRLEN];
	const unsigned port = ntohs(r->end.own.sin_port), number = r->slot[slot].number;
	text_of(own, r->end.own.sin_addr);
	text_of(far, r->end.far.sin_addr);
	snprintf(out, sizeof(out),
		"%s sip:b@%s:%u SIP/2.0\r\nVia: SIP/2.0/%s %s:%u;branch=z9hG4bK-%u-%s;rport\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:a@%s:%u>;tag=a%u\r\nTo: <sip:b@%s:%u>%s\r\n"
		"Call-ID: %u.%u.%d@load\r\nCSeq: %u %s\r\nContact: "
		"<sip:a@%s:%u>\r\n%sContent-Length: "
		"%zu\r\n\r\n%s",
		method, far, LOAD_PORT_SIP, r->end.stream ? "TCP" : "UDP", own, port, number,
		*method == 'A' ? "ACK" : method, own, port, number, far, LOAD_PORT_SIP,
		sequence == 1 && *method == 'I' ? "" : ";tag=b", slot, number, getpid(), sequence,
		method, own, port, *body ? "Content-Type: application/sdp\r\n" : "", strlen(body),
		body);
	say(&r->end, out);
}

static void invite(struct run *r, unsigned slot)
{
	char body[512], own[INET_ADDRSTRLEN];
	text_of(own, r->end.own.sin_addr);
	r->slot[slot].number = ++r->begun;
	r->slot[slot].begin_ns = load_now_ns();
	describe(body, sizeof(body), own, MEDIA + 2 * (r->begun % 10000));
	ask(r, "INVITE", slot, 1, body);
}

/* A final answer. */
static void answered(struct run *r)
{
	const char *id = strstr(r->end.bytes, "\r\nCall-ID: "),
		   *sequence = strstr(r->end.bytes, "\r\nCSeq: ");
	unsigned slot = 0, number = 0;
	if (!id || !sequence || sscanf(id + 11, "%u.%u", &slot, &number) != 2 || slot >= SLOTS ||
		r->slot[slot].number != number)
		return;
	const bool first = sequence[8] == '1', good = !strncmp(r->end.bytes, "SIP/2.0 200", 11);
	if (first)
		ask(r, "ACK", slot, 1, "");
	if (first && good) {
		load_samples_add(&r->samples, r->slot[slot].begin_ns);
		ask(r, "BYE", slot, 2, "");
		return;
	}
	r->samples.failed += !good;
	r->slot[slot].number = 0;
	r->over++;
}

static void fill(struct run *r)
{
	for (unsigned slot = 0; slot < r->most && r->begun < r->calls; slot++)
		if (!r->slot[slot].number)
			invite(r, slot);
}

static int call(struct run *r, char **argument)
{
	socklen_t n = sizeof(r->end.own);
	size_t length;
	getsockname(r->end.fd, (struct sockaddr *)&r->end.own, &n);
	r->most = (unsigned)atoi(argument[1]) < SLOTS ? (unsigned)atoi(argument[1]) : SLOTS;
	r->calls = (unsigned)atoi(argument[2]);
	load_samples_begin(&r->samples);
	for (fill(r); r->over < r->calls && hear(&r->end, PATIENCE_MS); fill(r))
		while ((length = whole(&r->end))) {
			answered(r);
			done(&r->end, length);
		}
	r->samples.failed += r->calls - r->over;
	return load_samples_print(&r->samples);
}

int sip_udp(char **argument)
{
	static struct run r;
	r.end.far = load_address(argument[0], LOAD_PORT_SIP);
	r.end.fd = load_datagram_socket(NULL, &r.end.far);
	return call(&r, argument);
}

int sip_tcp(char **argument)
{
	static struct run r;
	r.end.stream = true;
	r.end.far = load_address(argument[0], LOAD_PORT_SIP);
	r.end.fd = load_connect(&r.end.far);
	return r.end.fd < 0 ? 1 : call(&r, argument);
}
