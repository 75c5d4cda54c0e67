/*
 * NetBIOS name service, UDP 137 (RFC 1002 4.2, 6): who has which name at which address.
 *
 *   guest ── registration, refresh, release: "NAME is at 192.168.30.10" ──▶ WINS server
 *                                                   becomes 203.0.113.7
 *   guest ◀── "NAME is at 203.0.113.7" ── WINS server
 *             becomes 192.168.30.10
 *
 *   datagram = id, flags, 4 counts, *question, *record        header of 12 bytes
 *   question = name type class                                name: netbios.h
 *   record   = name type class ttl length data
 *   data     = *(flags address)     type NB, whole entries of 6 bytes
 *            | address              type A, of the server that a redirection names
 *            | anything             NS, NULL, NBSTAT (node status carries MAC addresses): left alone
 *
 * Which addresses are changed, in place and in their 4 bytes:
 *  - from the guest: its own becomes the one that the peer sees. To the guest: the reverse.
 *  - both ways: those of nat.static, so that a WINS server inside can name servers inside.
 * Many guests may share an outside address, and each registers it. Hence an answer to a query, and what is
 * said to a server inside, is taken to mean this guest only if the guest registered that name by this
 * flow; another guest's name keeps the outside address. Every other message that comes back concerns a
 * name of the guest's.
 *
 * A question must be a NetBIOS name, and all that the counts promise must be there; otherwise it is a
 * violation. Bytes behind the last record are left alone. What needs more edits than one answer has
 * goes on unchanged. Broadcasts never reach a NAT, so neither B nodes nor the broadcasts of M and H
 * nodes come here.
 */
#include <string.h>

#include "netbios.h"
#include "protocols.h"

enum {
	HEADER_BYTES = 12,
	QUESTION_BYTES = 4, /* behind its name */
	RECORD_BYTES = 10,  /* behind its name and before its data */
	ENTRY_BYTES = 6,
	ENTRY_ADDRESS = 2,
	ADDRESS_BYTES = 4,
	TYPE_A = 1,
	TYPE_NB = 32,
	CLASS_IN = 1,
	OPCODE_QUERY = 0,
	OPCODE_RELEASE = 6,
	NAMES = 64,
};

struct netbios_names {
	uint32_t count;
	uint64_t hash
		[NAMES]; /* of what the guest registered; 0 = released; the oldest is forgotten first */
};
_Static_assert(sizeof(struct netbios_names) <= ALG_STATE_BYTES, "fits a flow");

struct message {
	struct netbios_names *names;
	const struct alg_flow *flow;
	enum alg_direction from;
	const uint8_t *p;
	size_t n;
	bool response;
	unsigned int opcode;
	struct alg_answer *answer;
};

/* Where a name is, NULL: it is not known. */
static uint64_t *find(struct netbios_names *s, uint64_t hash)
{
	for (uint32_t i = 0; i < s->count && i < NAMES; i++)
		if (s->hash[i] == hash)
			return &s->hash[i];
	return NULL;
}

static void remember(struct netbios_names *s, uint64_t hash)
{
	if (!find(s, hash))
		s->hash[s->count++ % NAMES] = hash;
}

static void forget(struct netbios_names *s, uint64_t hash)
{
	uint64_t *known = find(s, hash);
	if (known)
		*known = 0;
}

/* The guest claims a name for itself, or gives it up. */
static void note_claim(const struct message *m, const struct netbios_name *name, size_t at)
{
	if (m->from != ALG_GUEST || m->response || m->opcode == OPCODE_QUERY ||
		memcmp(m->p + at, &m->flow->guest_ip_be, ADDRESS_BYTES) != 0)
		return;
	if (m->opcode == OPCODE_RELEASE)
		forget(m->names, name->hash);
	else
		remember(m->names, name->hash);
}

static bool translate(
	const struct message *m, const struct netbios_name *name, unsigned int type, size_t at)
{
	const bool about_anyone =
		m->flow->guest_serves || (m->response && m->opcode == OPCODE_QUERY);
	if (type == TYPE_NB)
		note_claim(m, name, at);
	const bool own = !about_anyone || (type == TYPE_NB && find(m->names, name->hash));
	return netbios_edit_address(m->flow, m->from, own, m->p, at, m->answer);
}

/* The place behind the record, 0 where it is not whole. *fits: its edits did. */
static size_t read_record(const struct message *m, size_t at, bool *fits)
{
	struct netbios_name name;
	at = netbios_name(m->p, m->n, HEADER_BYTES, at, &name);
	if (!at || m->n - at < RECORD_BYTES)
		return 0;
	const unsigned int type = netbios_u16(m->p + at), rr_class = netbios_u16(m->p + at + 2);
	const size_t bytes = netbios_u16(m->p + at + 8);
	at += RECORD_BYTES;
	if (bytes > m->n - at)
		return 0;
	if (rr_class == CLASS_IN && type == TYPE_A && bytes == ADDRESS_BYTES)
		*fits = translate(m, &name, type, at) && *fits;
	if (rr_class == CLASS_IN && type == TYPE_NB && bytes % ENTRY_BYTES == 0)
		for (size_t i = 0; i < bytes; i += ENTRY_BYTES)
			*fits = translate(m, &name, type, at + i + ENTRY_ADDRESS) && *fits;
	return at + bytes;
}

/* The place behind the questions, 0 where they are not whole. */
static size_t read_questions(const struct message *m)
{
	struct netbios_name name;
	size_t at = HEADER_BYTES;
	for (unsigned int i = netbios_u16(m->p + 4); i > 0; i--) {
		at = netbios_name(m->p, m->n, HEADER_BYTES, at, &name);
		if (!at || !name.encoded || m->n - at < QUESTION_BYTES)
			return 0;
		at += QUESTION_BYTES;
	}
	return at;
}

static void netbios_name_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	bool fits = true;
	if (n < HEADER_BYTES) {
		alg_violation(a, "shorter than a NetBIOS name service header");
		return;
	}
	const struct message m = {.names = state,
		.flow = f,
		.from = from,
		.p = p,
		.n = n,
		.response = p[2] >> 7,
		.opcode = p[2] >> 3 & 15,
		.answer = a};
	size_t at = read_questions(&m);
	const int records = netbios_u16(p + 6) + netbios_u16(p + 8) + netbios_u16(p + 10);
	for (int i = 0; at && i < records; i++)
		at = read_record(&m, at, &fits);
	if (!at)
		alg_violation(a, "not a NetBIOS name service message");
	if (!fits)
		a->edit_count = 0;
}

const struct alg_protocol netbios_name_protocol = {
	.name = "netbios-ns",
	.alg = ALGS_NETBIOS,
	.service = 0,
	.transports = ALGS_UDP,
	.message_max = ALG_MESSAGE_MAX,
	.message = netbios_name_message,
};
