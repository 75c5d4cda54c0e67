/*
 * NetBIOS session service, TCP 139 (RFC 1002 4.3): the few messages before SMB. One of them names an
 * address.
 *
 *   client ── request: called name, calling name ──▶ server
 *   client ◀── yes | no | "call 10.77.1.30:139 instead" ── server
 *
 *   message  = type flags length bytes      the lowest bit of flags is the length's 17th
 *   bytes    = name name                    0x81 request, by the client
 *            | nothing                      0x82 yes, 0x85 keep-alive
 *            | code                         0x83 no
 *            | address port                 0x84 retarget
 *            | SMB                          0x00
 *
 * In a retarget response, what a server inside says of itself becomes what the client sees, and
 * addresses of nat.static are changed both ways, in their 6 bytes. With the server's answer this
 * protocol is over and the rest is not looked at. So it is when the client begins with SMB at once, as
 * some do on this port. Any other order, type or length is a violation.
 */
#include <string.h>

#include "netbios.h"
#include "protocols.h"

enum {
	HEADER_BYTES = 4,
	MESSAGE_MAX = 1024, /* two names with their scopes */
	SMB_BYTES = 4,	    /* that tell it: a byte and "SMB" */
};
enum type {
	MESSAGE = 0,
	REQUEST = 0x81,
	POSITIVE = 0x82,
	NEGATIVE = 0x83,
	RETARGET = 0x84,
	KEEP_ALIVE = 0x85
};

struct netbios_session {
	bool requested;
};
_Static_assert(sizeof(struct netbios_session) <= ALG_STATE_BYTES, "fits a flow");

/* Of an SMB message the beginning is enough. */
static size_t netbios_session_frame(const void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen)
{
	if (n < HEADER_BYTES)
		return 0;
	const size_t length = (size_t)(p[1] & 1) << 16 | netbios_u16(p + 2);
	return HEADER_BYTES + (p[0] == MESSAGE && length > SMB_BYTES ? SMB_BYTES : length);
}

static bool is_request(const uint8_t *p, size_t n)
{
	struct netbios_name called, calling;
	const size_t at = netbios_name(p, n, n, HEADER_BYTES, &called);
	return at && called.encoded && netbios_name(p, n, n, at, &calling) == n && calling.encoded;
}

static bool is_smb(const uint8_t *p, size_t n)
{
	return n == HEADER_BYTES + SMB_BYTES && p[4] >= 0xfc && !memcmp(p + 5, "SMB", 3);
}

static size_t length_of(enum type type)
{
	switch (type) {
	case NEGATIVE: return HEADER_BYTES + 1;
	case RETARGET: return HEADER_BYTES + 6;
	case POSITIVE:
	case KEEP_ALIVE:
	case REQUEST:
	case MESSAGE: break;
	}
	return HEADER_BYTES;
}

/* Whether this message may be said now. */
static bool is_in_order(const struct netbios_session *s, bool client, const uint8_t *p, size_t n)
{
	if (p[1] & ~1)
		return false;
	switch ((enum type)p[0]) {
	case MESSAGE: return client && is_smb(p, n);
	case REQUEST: return client && !s->requested && is_request(p, n);
	case POSITIVE:
	case NEGATIVE:
	case RETARGET: return !client && s->requested && n == length_of(p[0]);
	case KEEP_ALIVE: return n == length_of(p[0]);
	}
	return false;
}

static void netbios_session_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	struct netbios_session *s = state;
	const bool client = (from == ALG_GUEST) != f->guest_serves;
	if (!is_in_order(s, client, p, n)) {
		alg_violation(a, "not a NetBIOS session");
		return;
	}
	if (p[0] == REQUEST)
		s->requested = true;
	if (p[0] == RETARGET)
		netbios_edit_endpoint(f, from, p, HEADER_BYTES, a);
	if (p[0] == REQUEST || p[0] == KEEP_ALIVE)
		return;
	a->result = ALG_DONE;
	a->why = p[0] == POSITIVE || p[0] == MESSAGE ? "the session is SMB's from here on"
						     : "the server wants no session";
}

const struct alg_protocol netbios_session_protocol = {
	.name = "netbios-ssn",
	.alg = ALGS_NETBIOS,
	.service = 2,
	.transports = ALGS_TCP,
	.message_max = MESSAGE_MAX,
	.frame = netbios_session_frame,
	.message = netbios_session_message,
};
