/*
 * DNS (RFC 1035), as RFC 2694 has it: addresses of nat.static in messages.
 *
 *   message to the guest:     A 203.0.113.50    ──▶  A 192.168.30.50, TTL 0     outside ▶ inside
 *   message from the guest:   A 192.168.30.50   ──▶  A 203.0.113.50, TTL 0      inside ▶ outside
 *
 *   question PTR 50.30.168.192.in-addr.arpa  from the guest  ──▶  50.113.0.203.in-addr.arpa
 *   answer to it, to the guest, everywhere   50.113.0.203.in-addr.arpa  ──▶  what was asked
 *   (a server inside: the same with the directions exchanged)
 *
 * What is a message? Over UDP a datagram, over TCP two bytes of length and so many more:
 *
 *   header (12): id, QR opcode AA TC RD RA Z AD CD rcode, four counts
 *   question:    name, type, class
 *   record:      name, type, class, TTL, length, data      answer, authority, additional sections
 *   name:        (length 1..63, bytes)..., then 0 or a pointer 11xxxxxx xxxxxxxx to an earlier label
 *
 * What changes?
 *  - The address in A, the hints in SVCB and HTTPS (RFC 9460), and where the operator has dns_v6 the
 * address in ::ffff:0:0/96 and 64:ff9b::/96 of AAAA and in hints. In every section. Its TTL becomes 0,
 * but in an update (RFC 2136), where it would be the data's.
 *  - The one reverse name that was asked for. A question is remembered by its id, and its answer gets
 * back what was asked; a reverse name that nobody exchanged stays. dns_name.c keeps pointers right.
 *  - AD of an answer that changed: nobody vouches for it any more. TC, where a datagram without EDNS
 * outgrows 512 bytes. The length over TCP.
 *
 * What never changes? Anything else, and no byte of a message
 *  - with TSIG (RFC 8945) or SIG(0) (RFC 2931); over TCP nothing that follows either, since one
 * signature may stand for many messages of a transfer;
 *  - of another opcode than query, notify and update (of the inverse query among them);
 *  - that would need more edits than an answer has, or a pointer that we cannot judge.
 * An A, AAAA, SVCB or HTTPS record stays where an RRSIG for its type is in the same message. A reverse
 * name that was exchanged is put back in any case: who asked would not know the answer otherwise.
 *
 * What is a violation? Less than a header, or counts that cannot be true; over TCP also a record that
 * cannot be read. Over UDP such a datagram goes on as it is, and the next one is looked at. Of a
 * datagram with TC the whole records count.
 */
#include <string.h>

#include "dns_edit.h"
#include "dns_name.h"
#include "dns_walk.h"
#include "maps.h"
#include "protocols.h"

enum {
	PREFIX_BYTES = 2,  /* over TCP */
	PLAIN_BYTES = 512, /* of a datagram without EDNS */
	ASKED_MAX = 80,
	SPOTS_MAX = 16,
	RDATA_NAMES = 2,
};

enum flag { QR = 0x8000, OPCODE = 0x7800, TC = 0x0200, AD = 0x0020 };
enum opcode { OPCODE_QUERY = 0, OPCODE_NOTIFY = 4 << 11, OPCODE_UPDATE = 5 << 11 };
enum class { CLASS_IN = 1, CLASS_NONE = 254 };
enum type {
	TYPE_A = 1,
	TYPE_PTR = 12,
	TYPE_SIG = 24,
	TYPE_AAAA = 28,
	TYPE_OPT = 41,
	TYPE_RRSIG = 46,
	TYPE_SVCB = 64,
	TYPE_HTTPS = 65,
	TYPE_TSIG = 250,
	TYPE_ANY = 255,
};
enum hint { HINT_IPV4 = 4, HINT_IPV6 = 6 };

/* A question whose reverse name was exchanged. */
struct asked {
	uint32_t asked_be, sent_be;
	uint16_t id;
	uint8_t from; /* enum alg_direction */
	bool used;
};

struct dns {
	struct asked asked[ASKED_MAX]; /* when all are taken, the oldest goes */
	uint8_t next;
};
_Static_assert(sizeof(struct dns) <= ALG_STATE_BYTES, "fits a flow");

/* One message. */
struct message {
	const struct alg_flow *flow;
	enum alg_direction from;
	const uint8_t *p;
	size_t n;
	uint16_t id, flags;
	bool broken, edns, is_signed;
	bool a, aaaa, svcb, https; /* an RRSIG vouches for records of this type */
	bool renames;		   /* names has begun */
	struct dns_name names;
	struct dns_edit edit;
};

/* Addresses of a record that become others. */
struct spots {
	unsigned int count;
	bool full;
	struct {
		size_t at;
		uint32_t to_be;
	} spot[SPOTS_MAX];
};

static size_t dns_frame(const void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen)
{
	if (n < PREFIX_BYTES)
		return 0;
	const size_t length = dns_walk_u16(p);
	if (length < DNS_WALK_HEADER)
		return PREFIX_BYTES;
	if (n < PREFIX_BYTES + DNS_WALK_HEADER)
		return 0;
	/* Of what is no DNS, message() is to say so now, not when so many bytes have come. */
	return PREFIX_BYTES +
	       (dns_walk_plausible(p + PREFIX_BYTES, length) ? length : DNS_WALK_HEADER);
}

static bool translate(const struct message *m, uint32_t ip_be, uint32_t *to_be)
{
	return m->from == ALG_OUTSIDE ? maps_inside(m->flow, ip_be, to_be)
				      : maps_outside(m->flow, ip_be, to_be);
}

static void survey_record(struct message *m, const struct dns_walk_record *r)
{
	const size_t length = r->end - r->rdata;
	if (r->section == DNS_ADDITIONAL) {
		m->edns |= r->type == TYPE_OPT;
		m->is_signed |= r->type == TYPE_TSIG;
	}
	if ((r->type != TYPE_RRSIG && r->type != TYPE_SIG) || length < 2)
		return;
	const uint16_t covered = dns_walk_u16(m->p + r->rdata);
	m->is_signed |= r->type == TYPE_SIG && covered == 0;
	m->a |= covered == TYPE_A;
	m->aaaa |= covered == TYPE_AAAA;
	m->svcb |= covered == TYPE_SVCB;
	m->https |= covered == TYPE_HTTPS;
}

/* What must be known of all records before the first is touched. */
static void survey(struct message *m)
{
	struct dns_walk w;
	struct dns_walk_record r;
	enum dns_walk_step step;
	dns_walk_start(&w, m->p, m->n);
	while ((step = dns_walk_next(&w, &r)) == DNS_WALK_RECORD)
		if (r.section != DNS_QUESTION)
			survey_record(m, &r);
	m->broken = step == DNS_WALK_BROKEN;
}

static void add_spot(const struct message *m, size_t at, struct spots *s)
{
	uint32_t ip_be, to_be;
	memcpy(&ip_be, m->p + at, sizeof(ip_be));
	if (!translate(m, ip_be, &to_be))
		return;
	if (s->count == SPOTS_MAX) {
		s->full = true;
		return;
	}
	s->spot[s->count].at = at;
	s->spot[s->count++].to_be = to_be;
}

/* An IPv4 address in an IPv6 one (RFC 4291 2.5.5.2, RFC 6052). */
static void add_spot6(const struct message *m, size_t at, struct spots *s)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	const uint8_t *ip = m->p + at;
	if (m->flow->dns_v6 && (!memcmp(ip, mapped, 12) || !memcmp(ip, nat64, 12)))
		add_spot(m, at + 12, s);
}

/* Priority, name, then keys with values (RFC 9460 2.2, 7.3). */
static void add_hints(const struct message *m, const struct dns_walk_record *r, struct spots *s)
{
	size_t at = r->rdata + 2;
	if (r->end < at || !dns_walk_skip(m->p, r->end, &at))
		return;
	while (r->end - at >= 4) {
		const uint16_t key = dns_walk_u16(m->p + at), length = dns_walk_u16(m->p + at + 2);
		at += 4;
		if (length > r->end - at)
			return;
		const size_t end = at + length;
		for (; key == HINT_IPV4 && end - at >= 4; at += 4)
			add_spot(m, at, s);
		for (; key == HINT_IPV6 && end - at >= 16; at += 16)
			add_spot6(m, at, s);
		at = end;
	}
}

static void find_spots(const struct message *m, const struct dns_walk_record *r, struct spots *s)
{
	const size_t length = r->end - r->rdata;
	const bool update = (m->flags & OPCODE) == OPCODE_UPDATE;
	s->count = 0;
	s->full = false;
	if (r->section == DNS_QUESTION ||
		(r->class != CLASS_IN && !(update && r->class == CLASS_NONE)))
		return;
	if (r->type == TYPE_A && length == 4 && !m->a)
		add_spot(m, r->rdata, s);
	else if (r->type == TYPE_AAAA && length == 16 && !m->aaaa)
		add_spot6(m, r->rdata, s);
	else if ((r->type == TYPE_SVCB && !m->svcb) || (r->type == TYPE_HTTPS && !m->https))
		add_hints(m, r, s);
}

/* Where names stand in a record's data; a pointer to one may come later. */
static unsigned int rdata_names(uint16_t type, size_t *skip)
{
	static const struct {
		uint8_t type, skip, names;
	} kinds[] = {
		{2, 0, 1},   /* NS */
		{3, 0, 1},   /* MD */
		{4, 0, 1},   /* MF */
		{5, 0, 1},   /* CNAME */
		{6, 0, 2},   /* SOA */
		{7, 0, 1},   /* MB */
		{8, 0, 1},   /* MG */
		{9, 0, 1},   /* MR */
		{12, 0, 1},  /* PTR */
		{14, 0, 2},  /* MINFO */
		{15, 2, 1},  /* MX */
		{17, 0, 2},  /* RP */
		{18, 2, 1},  /* AFSDB */
		{21, 2, 1},  /* RT */
		{24, 18, 1}, /* SIG */
		{26, 2, 2},  /* PX */
		{33, 6, 1},  /* SRV */
		{36, 2, 1},  /* KX */
		{39, 0, 1},  /* DNAME */
		{46, 18, 1}, /* RRSIG */
		{47, 0, 1},  /* NSEC */
		{64, 2, 1},  /* SVCB */
		{65, 2, 1},  /* HTTPS */
		{107, 2, 1}, /* LP */
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].type == type) {
			*skip = kinds[i].skip;
			return kinds[i].names;
		}
	return 0;
}

/* What becomes of the names in a record's data; false: it is not what its type says, or cannot be kept. */
static bool change_rdata(struct message *m, const struct dns_walk_record *r,
	struct dns_name_change change[RDATA_NAMES], unsigned int *count)
{
	size_t skip = 0;
	*count = r->rdata < r->end ? rdata_names(r->type, &skip) : 0;
	size_t at = r->rdata + skip;
	for (unsigned int i = 0; i < *count; i++) {
		if (at >= r->end || !dns_name_next(&m->names, at, &change[i]) ||
			change[i].end > r->end)
			return false;
		at = change[i].end;
	}
	return true;
}

static void put_change(struct message *m, const struct dns_name_change *c)
{
	if (c->bytes)
		dns_edit_put(&m->edit, c->at, c->old_bytes, c->text, c->bytes);
}

/* TTL and length, which stand before the data. */
static void put_fixed(struct message *m, const struct dns_walk_record *r, bool touched, int growth)
{
	const size_t length = r->end - r->rdata + (size_t)growth;
	const uint8_t text[2] = {(uint8_t)(length >> 8), (uint8_t)length};
	static const uint8_t ttl[4] = {0};
	if (touched && (m->flags & OPCODE) != OPCODE_UPDATE)
		dns_edit_put(&m->edit, r->fixed + 4, sizeof(ttl), ttl, sizeof(ttl));
	if (growth)
		dns_edit_put(&m->edit, r->fixed + 8, sizeof(text), text, sizeof(text));
	m->edit.full |= length > UINT16_MAX;
}

/* Writes what changes in a question or record; false: the message must stay as it is. */
static bool put_record(struct message *m, const struct dns_walk_record *r)
{
	struct dns_name_change owner = {0}, change[RDATA_NAMES];
	unsigned int changes = 0;
	struct spots spots;
	int growth = 0;
	find_spots(m, r, &spots);
	bool touched = spots.count;
	if (m->renames) {
		if (!dns_name_next(&m->names, r->owner, &owner) ||
			!change_rdata(m, r, change, &changes))
			return false;
		touched |= owner.renamed;
	}
	for (unsigned int i = 0; i < changes; i++) {
		touched |= change[i].renamed;
		growth += change[i].bytes ? (int)change[i].bytes - (int)change[i].old_bytes : 0;
	}
	put_change(m, &owner);
	if (r->section != DNS_QUESTION)
		put_fixed(m, r, touched, growth);
	for (unsigned int i = 0; i < changes; i++)
		put_change(m, &change[i]);
	for (unsigned int i = 0; i < spots.count; i++)
		dns_edit_put(
			&m->edit, spots.spot[i].at, 4, (const uint8_t *)&spots.spot[i].to_be, 4);
	return !spots.full && !m->edit.full;
}

/* Length and flags of what changed. */
static bool put_head(struct message *m)
{
	const size_t n = m->n + (size_t)m->edit.growth;
	uint16_t flags = m->flags;
	if (flags & QR)
		flags &= (uint16_t)~AD;
	if (flags & QR && !m->flow->stream && !m->edns && m->n <= PLAIN_BYTES && n > PLAIN_BYTES)
		flags |= TC;
	const uint8_t text[6] = {(uint8_t)(n >> 8), (uint8_t)n, (uint8_t)(m->id >> 8),
		(uint8_t)m->id, (uint8_t)(flags >> 8), (uint8_t)flags};
	const size_t skip = PREFIX_BYTES - m->edit.base;
	if ((m->flow->stream && n != m->n) || flags != m->flags)
		dns_edit_front(&m->edit, text + skip, sizeof(text) - skip);
	return n <= UINT16_MAX && !m->edit.full;
}

/* The edits of a message, all or none; whether there are any. */
static bool put_all(struct message *m)
{
	struct dns_walk w;
	struct dns_walk_record r;
	bool kept = true;
	dns_walk_start(&w, m->p, m->n);
	while (kept && dns_walk_next(&w, &r) == DNS_WALK_RECORD)
		kept = put_record(m, &r);
	if (!kept || (m->edit.answer->edit_count && !put_head(m)))
		m->edit.answer->edit_count = 0;
	return m->edit.answer->edit_count;
}

/* The address whose reverse name is the only question. */
static bool reverse_question(const struct message *m, uint32_t *ip_be)
{
	struct dns_walk w;
	struct dns_walk_record r;
	struct dns_walk_name name;
	unsigned int first;
	dns_walk_start(&w, m->p, m->n);
	return (m->flags & OPCODE) == OPCODE_QUERY && w.left[DNS_QUESTION] == 1 &&
	       dns_walk_next(&w, &r) == DNS_WALK_RECORD && r.class == CLASS_IN &&
	       (r.type == TYPE_PTR || r.type == TYPE_ANY) &&
	       dns_walk_name(m->p, m->n, r.owner, &name) &&
	       dns_walk_reverse(m->p, &name, &first, ip_be) && first == 0;
}

/* The question with this id from this side, if it was exchanged. */
static struct asked *find_asked(struct dns *s, uint16_t id, enum alg_direction from)
{
	for (size_t i = 0; i < ASKED_MAX; i++)
		if (s->asked[i].used && s->asked[i].id == id && s->asked[i].from == from)
			return &s->asked[i];
	return NULL;
}

static void remember(struct dns *s, const struct message *m, uint32_t asked_be, uint32_t sent_be)
{
	s->asked[s->next] = (struct asked){asked_be, sent_be, m->id, (uint8_t)m->from, true};
	s->next = (uint8_t)((s->next + 1) % ASKED_MAX);
}

static void on_question(struct dns *s, struct message *m)
{
	uint32_t asked_be = 0, sent_be = 0;
	struct asked *before = find_asked(s, m->id, m->from);
	if (before)
		before->used = false;
	m->renames = reverse_question(m, &asked_be) && translate(m, asked_be, &sent_be);
	if (m->renames)
		dns_name_start(&m->names, m->p, m->n, asked_be, sent_be);
	if (put_all(m) && m->renames)
		remember(s, m, asked_be, sent_be);
}

static void on_answer(struct dns *s, struct message *m)
{
	uint32_t sent_be;
	const struct asked *asked =
		find_asked(s, m->id, m->from == ALG_GUEST ? ALG_OUTSIDE : ALG_GUEST);
	m->renames = asked && reverse_question(m, &sent_be) && sent_be == asked->sent_be;
	if (m->renames)
		dns_name_start(&m->names, m->p, m->n, asked->sent_be, asked->asked_be);
	put_all(m);
}

/* Whether this is a message that may be read on. */
static bool judge(const struct message *m, struct alg_answer *a)
{
	const uint16_t opcode = m->flags & OPCODE;
	const bool stream = m->flow->stream;
	if (m->broken && stream) {
		alg_violation(a, "a DNS record that cannot be read");
	} else if (m->is_signed && stream) {
		a->result = ALG_DONE;
		a->why = "the messages are signed";
	}
	return a->result == ALG_PASS && !m->is_signed && (!m->broken || m->flags & TC) &&
	       (opcode == OPCODE_QUERY || opcode == OPCODE_NOTIFY || opcode == OPCODE_UPDATE);
}

static bool is_header(const struct alg_flow *f, const uint8_t *p, size_t n)
{
	const size_t base = f->stream ? PREFIX_BYTES : 0;
	if (n < base + DNS_WALK_HEADER)
		return false;
	return dns_walk_plausible(p + base, n - base) || (!f->stream && dns_walk_u16(p + 2) & TC);
}

static void dns_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	const size_t base = f->stream ? PREFIX_BYTES : 0;
	struct message m;
	if (!is_header(f, p, n)) {
		alg_violation(a, "not a DNS message");
		return;
	}
	memset(&m, 0, offsetof(struct message, names));
	m.flow = f;
	m.from = from;
	m.p = p + base;
	m.n = n - base;
	m.id = dns_walk_u16(m.p);
	m.flags = dns_walk_u16(m.p + 2);
	m.edit = (struct dns_edit){.answer = a, .p = m.p, .base = base};
	survey(&m);
	if (!judge(&m, a))
		return;
	if (m.flags & QR)
		on_answer(state, &m);
	else
		on_question(state, &m);
}

const struct alg_protocol dns_protocol = {
	.name = "dns",
	.alg = ALGS_DNS,
	.transports = ALGS_UDP | ALGS_TCP,
	.message_max = ALG_MESSAGE_MAX,
	.frame = dns_frame,
	.message = dns_message,
};
