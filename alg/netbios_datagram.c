/*
 * NetBIOS datagram service, UDP 138 (RFC 1002 4.4): each datagram says in its header where its sender
 * is to be answered, whatever IP says.
 *
 *   guest 192.168.30.10:138 ── "from 192.168.30.10:138" ──▶ peer         becomes 203.0.113.7:40000
 *
 *   datagram = header length offset name name bytes    a direct one, to a group, a broadcast
 *            | header code                             an error
 *            | header name                             "who distributes for this name?" and both answers
 *   header   = type flags id address port              10 bytes; name: netbios.h
 *
 * Changed are address and port of the header, in their 6 bytes: the guest's own towards the outside,
 * and its outside ones where they come back, as when a distribution server (RFC 1001 17.3) passes its
 * datagrams on; addresses of nat.static both ways. The length counts bytes that do not change, and what
 * applications say in theirs is not looked at. Anything else than such a datagram is a violation.
 *
 * A receiver that answers to the well-known port whatever the header says reaches the guest only by a
 * published port or a static address.
 */
#include "netbios.h"
#include "protocols.h"

enum {
	HEADER_BYTES = 10,
	HEADER_ADDRESS = 4,
	DATA_BYTES = 4, /* length and offset */
};
enum type { DIRECT_UNIQUE = 0x10, DIRECT_GROUP, BROADCAST, ERROR, QUERY, POSITIVE, NEGATIVE };

static bool read_names(const uint8_t *p, size_t n, size_t at, unsigned int count)
{
	const size_t first = at;
	struct netbios_name name;
	while (at && count--) {
		at = netbios_name(p, n, first, at, &name);
		if (!name.encoded)
			return false;
	}
	return at;
}

static bool is_datagram(const uint8_t *p, size_t n)
{
	if (n <= HEADER_BYTES)
		return false;
	switch ((enum type)p[0]) {
	case DIRECT_UNIQUE:
	case DIRECT_GROUP:
	case BROADCAST:
		/* Whether its header counts is read in more than one way. */
		return n > HEADER_BYTES + DATA_BYTES && netbios_u16(p + HEADER_BYTES) <= n &&
		       read_names(p, n, HEADER_BYTES + DATA_BYTES, 2);
	case ERROR: return true;
	case QUERY:
	case POSITIVE:
	case NEGATIVE: return read_names(p, n, HEADER_BYTES, 1);
	}
	return false;
}

static void netbios_datagram_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	if (is_datagram(p, n))
		netbios_edit_endpoint(f, from, p, HEADER_ADDRESS, a);
	else
		alg_violation(a, "not a NetBIOS datagram");
}

const struct alg_protocol netbios_datagram_protocol = {
	.name = "netbios-dgm",
	.alg = ALGS_NETBIOS,
	.service = 1,
	.transports = ALGS_UDP,
	.message_max = ALG_MESSAGE_MAX,
	.message = netbios_datagram_message,
};
