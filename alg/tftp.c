/*
 * TFTP (RFC 1350; options of RFC 2347, and whatever they mean).
 *
 *   guest :50000 ── RRQ "file" ──▶ server :69        wish: this server may reach port 50000
 *   guest :50000 ◀─── DATA, OACK ── server :any      by the pinhole; not seen here
 *
 * The server answers from a new port, which a gateway that filters by address and port keeps out. So
 * each request of a guest wishes that this one server may reach, from any of its ports, the port that the
 * request came from; nothing else is opened and no byte is ever changed. A request that is repeated
 * takes the place of the one before: one pinhole a flow. Each guest's port is a flow of its own, so that
 * clients do not meet.
 *
 * A server inside (guest_serves) needs no wish: its answer leaves by a new port, which is an
 * ordinary flow of its own.
 *
 *   datagram = request | data | ack | error | oack
 *   request  = (1 | 2) name NUL mode NUL *(option NUL value NUL)       by the client, to port 69
 *   data     = 3 block bytes      ack = 4 block      error = 5 code text      oack = 6 bytes
 *
 * The client's first datagram must be a request. Anything that is none of these is a violation; a
 * server that answers from port 69 is not.
 */
#include "protocols.h"
#include "text.h"

enum { PINHOLE_MS = 30000, HEADER_BYTES = 4 };
enum opcode { RRQ = 1, WRQ, DATA, ACK, ERROR, OACK };

struct tftp {
	bool opened;	/* by a request */
	uint32_t token; /* of the last pinhole; 0 = there was none */
};
_Static_assert(sizeof(struct tftp) <= ALG_STATE_BYTES, "fits a flow");

/* What comes before a NUL, without control characters. */
static bool read_string(struct text *t, struct text *string)
{
	string->p = t->p;
	while (text_left(t) && *t->p >= ' ' && *t->p != 127)
		t->p++;
	string->end = t->p;
	return text_char(t, '\0');
}

/* All behind the opcode. An option may have an empty value, but not an empty name (RFC 2347). */
static bool is_request(struct text t)
{
	struct text name, mode, value;
	if (!read_string(&t, &name) || !text_left(&name) || !read_string(&t, &mode) ||
		(!text_is(&mode, "OCTET") && !text_is(&mode, "NETASCII") &&
			!text_is(&mode, "MAIL")))
		return false;
	while (text_left(&t))
		if (!read_string(&t, &name) || !text_left(&name) || !read_string(&t, &value))
			return false;
	return true;
}

static enum opcode opcode(const uint8_t *p, size_t n)
{
	if (n < 2 || p[0] || p[1] < RRQ || p[1] > OACK)
		return 0;
	const enum opcode code = p[1];
	if (code == RRQ || code == WRQ)
		return is_request(text(p + 2, n - 2)) ? code : 0;
	return n >= HEADER_BYTES ? code : 0;
}

/* The port is this flow's own: the wish names nothing that the datagram says. */
static void wish(struct tftp *s, const struct alg_flow *f, struct alg_answer *a)
{
	if (f->guest_port < ALG_PORT_MIN)
		return;
	if (s->token)
		alg_act_add(a, ALG_CLOSE, s->token);
	a->result = ALG_WISH;
	a->wish[a->wish_count++] = (struct alg_wish){.kind = ALG_UDP_ONE,
		.guest_port = f->guest_port,
		.token = ++s->token,
		.peer_ip_be = f->peer_ip_be,
		.lifetime_ms = PINHOLE_MS};
}

static void tftp_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	struct tftp *s = state;
	const bool client = (from == ALG_GUEST) != f->guest_serves;
	const enum opcode code = opcode(p, n);
	const bool request = code == RRQ || code == WRQ;
	if (!code || (request && !client) || (!request && !s->opened)) {
		alg_violation(a, "not TFTP");
		return;
	}
	s->opened = true;
	if (request && !f->guest_serves)
		wish(s, f, a);
}

/* Open or not, the request goes on as it is. */
static void tftp_granted(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, const struct alg_grant *grants, struct alg_answer *a)
{
}

const struct alg_protocol tftp_protocol = {
	.name = "tftp",
	.alg = ALGS_TFTP,
	.transports = ALGS_UDP,
	.message_max = ALG_MESSAGE_MAX,
	.message = tftp_message,
	.granted = tftp_granted,
};
