/*
 * RCMD: the remote shell and its kin (rcmd(3) and rexec(3) of 4.2BSD; rlogin: RFC 1282).
 *
 *   rexec 512, rsh 514   *5DIGIT NUL, then names and a command, which nobody here reads
 *   rlogin 513           NUL, then names and a terminal: no second connection
 *
 * The number is the port at which the client waits for standard error; none and 0: it does not wait.
 * The server connects there before it answers a byte, so the pinhole is wished for at once, for
 * nobody but the server, and open at once: there is no agreement to wait for. The number becomes
 * the outside port. The server's first byte comes after its connection; then there is nothing more to see.
 *
 *   guest is the client    wish, edit the number     guest is the server (published)    untouched
 *
 * When is a number believed? It stands before everything else, is closed by its NUL within 6 bytes,
 * and the server has not spoken. Ports that only a superuser has, 512..1023, are believed of a
 * connection that comes from such a port itself: what makes a program of the guest say a number (a
 * page in a browser, a URL that a server is made to fetch) has none. rsh's ports are no others: a
 * server demands no less. rexec's may be any from 1024 on, too.
 *
 * Of a guest that serves only the client's first byte is looked at: it tells another protocol, and
 * nothing is asked for. Its connection to the number is one like others, but has to leave from a
 * reserved port, and does while this flow is inspected (natproxy/lowport.h).
 *
 * A refused wish leaves the number: the server's connection fails, and both ends say so. "0" in its
 * place would be worse: the client waits for a connection that nobody makes, and takes the answer
 * that comes instead for a broken server.
 */
#include "protocols.h"
#include "text.h"

enum {
	NUMBER_MAX_BYTES = 6, /* with its NUL */
	PIECE_MAX_BYTES = 64, /* of what nobody reads: no more than alg.segment_max ever is */
	RESERVED_MIN = 512,
	RESERVED_MAX = 1023,
	PINHOLE_MS = 30000,
	TOKEN = 1,
};

struct rcmd {
	bool opened; /* the guest's number has passed */
	bool served; /* by the guest: its client has begun */
};
_Static_assert(sizeof(struct rcmd) <= ALG_STATE_BYTES, "fits a flow");

static bool from_client(const struct alg_flow *f, enum alg_direction from)
{
	return (from == ALG_GUEST) != f->guest_serves;
}

/* Up to the NUL, or to the first byte that has no place before one: then it is no number. */
static size_t number_bytes(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n && i < NUMBER_MAX_BYTES; i++)
		if (p[i] < '0' || p[i] > '9' || i == NUMBER_MAX_BYTES - 1)
			return i + 1;
	return 0;
}

/* A whole number is wanted of a guest that is the client, as its first message. */
static size_t rcmd_frame(const void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen)
{
	const struct rcmd *s = state;
	(void)seen;
	if (from == ALG_GUEST && !flow->guest_serves && !s->opened)
		return number_bytes(p, n);
	return n < PIECE_MAX_BYTES ? n : PIECE_MAX_BYTES;
}

static void done(struct alg_answer *a, const char *why)
{
	a->result = ALG_DONE;
	a->why = why;
}

/* The number of a whole first message; false: it is none. */
static bool read_number(const uint8_t *p, size_t n, struct text *digits, unsigned int *port)
{
	struct text at = text(p, n);
	digits->p = p;
	*port = 0;
	if (*p && !text_number(&at, 65535, port))
		return false;
	digits->end = at.p;
	return text_char(&at, '\0') && !text_left(&at);
}

static bool is_reserved(unsigned int port)
{
	return port >= RESERVED_MIN && port <= RESERVED_MAX;
}

static bool is_wanted(const struct alg_flow *f, bool reserved, unsigned int port)
{
	if (is_reserved(port))
		return is_reserved(f->guest_port);
	return !reserved && port >= ALG_PORT_MIN;
}

/* reserved: of the service's ports only those of a superuser count. */
static void on_number(struct rcmd *s, const struct alg_flow *f, bool reserved, const uint8_t *p,
	size_t n, struct alg_answer *a)
{
	struct text digits;
	unsigned int port;
	if (!read_number(p, n, &digits, &port)) {
		alg_violation(a, "not a port and its NUL");
		return;
	}
	if (!is_wanted(f, reserved, port)) {
		done(a, "no connection of the server's to let in");
		return;
	}
	s->opened = true;
	a->result = ALG_WISH;
	a->wish[a->wish_count++] = (struct alg_wish){.kind = ALG_TCP_LISTEN,
		.guest_port = (uint16_t)port,
		.token = TOKEN,
		.peer_ip_be = f->peer_ip_be,
		.lifetime_ms = PINHOLE_MS};
}

/* The guest connects by itself where the number says, which natproxy helps while this is inspected. */
static void on_served(struct rcmd *s, const uint8_t *p, struct alg_answer *a)
{
	if (!s->served && *p && (*p < '0' || *p > '9'))
		alg_violation(a, "not a port and its NUL");
	s->served = true;
}

/* Bytes of a service with a second connection. */
static void on_message(struct rcmd *s, const struct alg_flow *f, bool reserved,
	enum alg_direction from, const uint8_t *p, size_t n, struct alg_answer *a)
{
	if (!from_client(f, from))
		done(a, "the server answered");
	else if (f->guest_serves)
		on_served(s, p, a);
	else if (!s->opened)
		on_number(s, f, reserved, p, n, a);
}

static void rsh_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	on_message(state, f, true, from, p, n, a);
}

static void rexec_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	on_message(state, f, false, from, p, n, a);
}

static void rlogin_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	(void)state, (void)n;
	if (from_client(f, from) && *p)
		alg_violation(a, "not the NUL that rlogin begins with");
	else
		done(a, "rlogin has no other connection");
}

static void rcmd_granted(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, const struct alg_grant *g, struct alg_answer *a)
{
	struct text digits;
	unsigned int port;
	(void)state, (void)f, (void)from;
	if (!g || !read_number(p, n, &digits, &port)) {
		done(a, "the server's connection will fail");
		return;
	}
	if (port == g->outside_port)
		return;
	struct alg_edit *e = alg_edit_add(a, 0, text_left(&digits));
	text_put_number(e->text, &e->bytes, g->outside_port);
}

const struct alg_protocol rexec_protocol = {
	.name = "rexec",
	.alg = ALGS_RCMD,
	.service = 0,
	.transports = ALGS_TCP,
	.message_max = PIECE_MAX_BYTES,
	.frame = rcmd_frame,
	.message = rexec_message,
	.granted = rcmd_granted,
};

const struct alg_protocol rlogin_protocol = {
	.name = "rlogin",
	.alg = ALGS_RCMD,
	.service = 1,
	.transports = ALGS_TCP,
	.message_max = PIECE_MAX_BYTES,
	.frame = rcmd_frame,
	.message = rlogin_message,
};

const struct alg_protocol rsh_protocol = {
	.name = "rsh",
	.alg = ALGS_RCMD,
	.service = 2,
	.transports = ALGS_TCP,
	.message_max = PIECE_MAX_BYTES,
	.frame = rcmd_frame,
	.message = rsh_message,
	.granted = rcmd_granted,
};
