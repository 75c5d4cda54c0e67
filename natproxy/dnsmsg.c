/*
 * Theory of operation. Everything is read through the cursor of ipc/wire, which returns zeros once
 * it has run out and says so at the end. A name is walked label by label; a pointer must lead to
 * before the place where the part that it ends began, so a walk ends after at most n / 2 of them. What it
 * leads to ends before that place, too: it was complete by then.
 * Names of records are only stepped over: the answer is kept for its question as a whole, so a
 * record about somebody else can be told to nobody who did not ask this upstream this question.
 *
 * What is asked upstream is made here and holds nothing of the asker's message but its question:
 * options that are between a host and its resolver (cookies, RFC 7873; client subnet, RFC 7871;
 * padding) end here, as in any resolver.
 */
#include "dnsmsg.h"

#include <string.h>

#include "wire/wire.h"

enum {
	FLAG_QR = 0x8000,
	FLAG_AA = 0x0400,
	FLAG_TC = 0x0200,
	FLAG_RD = 0x0100,
	FLAG_RA = 0x0080,
	FLAG_Z = 0x0040,
	FLAG_AD = 0x0020,
	FLAG_CD = 0x0010,
	MASK_OPCODE = 0x7800,
	MASK_RCODE = 0x000f,
	TYPE_SOA = 6,
	TYPE_OPT = 41,
	TYPE_META = 128, /* RFC 6895 3.1: 128 to 255 are questions and signatures of messages */
	TYPE_META_END = 256,
	OPT_DO = 0x8000,
	OPT_BYTES = 11,
	TTL_BYTES = 4,
	POINTER = 0xc0,
	SOA_TAIL_BYTES = 20, /* five numbers; the last is the minimum */
};
static const uint32_t opt_rcode =
	0xff000000; /* of an OPT record's TTL: the upper bits of the rcode */

uint16_t dnsmsg_field(const uint8_t *bytes, size_t at)
{
	return (uint16_t)(bytes[at] << 8 | bytes[at + 1]);
}

void dnsmsg_put_field(uint8_t *bytes, size_t at, uint16_t value)
{
	bytes[at] = (uint8_t)(value >> 8);
	bytes[at + 1] = (uint8_t)value;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
}

/* Steps over a name without pointers; its length, 0 when it is malformed. */
static size_t plain_name(struct wire_in *w)
{
	size_t name = 0;
	while (wire_ok(w)) {
		const uint8_t label = wire_u8(w);
		if (label > DNSMSG_LABEL_MAX || (name += label + 1U) > DNSMSG_NAME_MAX)
			return 0;
		if (!label)
			break;
		wire_bytes(w, label);
	}
	return wire_ok(w) ? name : 0;
}

size_t dnsmsg_question_end(const uint8_t *bytes, size_t n)
{
	struct wire_in w = wire_in(bytes, n);
	wire_bytes(&w, DNSMSG_HEADER_BYTES);
	if (!plain_name(&w))
		return 0;
	wire_bytes(&w, 4);
	return wire_ok(&w) ? n - wire_left(&w) : 0;
}

static bool is_meta(uint16_t type)
{
	return type == TYPE_OPT || !type || (type >= TYPE_META && type < TYPE_META_END);
}

/* Reads what follows the question: nothing, or one OPT record of version 0. */
static bool read_opt(struct wire_in *w, unsigned int records, struct dnsmsg_question *q)
{
	q->room = DNSMSG_NO_EDNS_BYTES;
	if (!records)
		return !wire_left(w);
	const uint8_t root = wire_u8(w);
	const uint16_t type = wire_u16(w), room = wire_u16(w), version = wire_u16(w),
		       flags = wire_u16(w);
	wire_bytes(w, wire_u16(w));
	if (records != 1 || root || type != TYPE_OPT || version || !wire_ok(w) || wire_left(w))
		return false;
	q->flags |= DNSMSG_EDNS | (flags & OPT_DO ? DNSMSG_DO : 0);
	if (room > q->room)
		q->room = room;
	return true;
}

enum dnsmsg_verdict dnsmsg_query(const uint8_t *bytes, size_t n, struct dnsmsg_question *q)
{
	if (n < DNSMSG_HEADER_BYTES || dnsmsg_field(bytes, 2) & FLAG_QR)
		return DNSMSG_NOISE;
	const uint16_t flags = dnsmsg_field(bytes, 2);
	if (flags & MASK_OPCODE)
		return DNSMSG_FOREIGN_OPCODE;
	const size_t end = dnsmsg_question_end(bytes, n);
	if (!end || dnsmsg_field(bytes, 4) != 1)
		return DNSMSG_MALFORMED;
	*q = (struct dnsmsg_question){.id = dnsmsg_field(bytes, 0),
		.type = dnsmsg_field(bytes, end - 4),
		.class = dnsmsg_field(bytes, end - 2),
		.name_bytes = (uint8_t)(end - 4 - DNSMSG_HEADER_BYTES)};
	q->flags = (flags & FLAG_RD ? DNSMSG_RD : 0) | (flags & FLAG_CD ? DNSMSG_CD : 0) |
		   (flags & FLAG_AD ? DNSMSG_AD : 0);
	for (size_t i = 0; i < q->name_bytes; i++)
		q->name[i] = lower(bytes[DNSMSG_HEADER_BYTES + i]);
	struct wire_in w = wire_in(bytes + end, n - end);
	const bool plain = !(flags & (FLAG_AA | FLAG_TC | FLAG_RA | FLAG_Z | MASK_RCODE)) &&
			   !dnsmsg_field(bytes, 6) && !dnsmsg_field(bytes, 8) &&
			   read_opt(&w, dnsmsg_field(bytes, 10), q) &&
			   q->class == DNSMSG_CLASS_IN && !is_meta(q->type);
	return plain ? DNSMSG_PLAIN : DNSMSG_ODD;
}

size_t dnsmsg_ask(const struct dnsmsg_question *q, uint16_t id, uint8_t *out)
{
	struct wire_out w = wire_out(out, DNSMSG_PLAIN_BYTES);
	wire_put_u16(&w, id);
	wire_put_u16(&w, (uint16_t)((q->flags & DNSMSG_RD ? FLAG_RD : 0) |
				    (q->flags & DNSMSG_CD ? FLAG_CD : 0) |
				    (q->flags & DNSMSG_AD ? FLAG_AD : 0)));
	wire_put_u16(&w, 1);
	wire_put_u32(&w, 0);
	wire_put_u16(&w, q->flags & DNSMSG_EDNS ? 1 : 0);
	wire_put(&w, q->name, q->name_bytes);
	wire_put_u16(&w, q->type);
	wire_put_u16(&w, q->class);
	if (q->flags & DNSMSG_EDNS) {
		wire_put_u8(&w, 0);
		wire_put_u16(&w, TYPE_OPT);
		wire_put_u16(&w, DNSMSG_PAYLOAD);
		wire_put_u32(&w, q->flags & DNSMSG_DO ? OPT_DO : 0);
		wire_put_u16(&w, 0);
	}
	return wire_written(&w);
}

bool dnsmsg_same(const struct dnsmsg_question *a, const struct dnsmsg_question *b)
{
	return a->type == b->type && a->class == b->class && a->flags == b->flags &&
	       a->name_bytes == b->name_bytes && memcmp(a->name, b->name, a->name_bytes) == 0;
}

/* Whether bytes [from, to) are part of a TTL: what is kept has other ones when it is served. */
static bool is_in_ttl(const struct dnsmsg_answer *a, size_t from, size_t to)
{
	for (uint32_t i = 0; i < a->ttls; i++)
		if (from < (size_t)a->ttl_at[i] + TTL_BYTES && to > a->ttl_at[i])
			return true;
	return false;
}

/* Steps over a name that may be compressed; false when it is malformed, or leads through a TTL. */
static bool step_name(const uint8_t *bytes, struct wire_in *w, const struct dnsmsg_answer *a)
{
	struct wire_in name = *w;
	size_t length = 0, low = (size_t)(w->p - bytes), end = low;
	bool left = false;
	while (wire_ok(&name)) {
		const size_t at = (size_t)(name.p - bytes);
		const uint8_t label = wire_u8(&name);
		const bool pointer = (label & POINTER) == POINTER;
		const size_t behind = at + 1U + (pointer ? 1U : label);
		if (left && (behind > end || is_in_ttl(a, at, behind)))
			return false;
		if (pointer) {
			const size_t to = (size_t)(label & ~POINTER) << 8 | wire_u8(&name);
			if (!left)
				*w = name;
			left = true;
			if (to >= low || to < DNSMSG_HEADER_BYTES)
				return false;
			end = low;
			low = to;
			name.p = bytes + to;
			continue;
		}
		if (label > DNSMSG_LABEL_MAX || (length += label + 1U) > DNSMSG_NAME_MAX)
			return false;
		wire_bytes(&name, label);
		if (!label)
			break;
	}
	if (!left)
		*w = name;
	return wire_ok(&name);
}

struct record {
	uint16_t type, class, rdata_bytes;
	size_t ttl_at, rdata_at;
	uint32_t ttl;
};

static bool read_record(const uint8_t *bytes, struct wire_in *w, const struct dnsmsg_answer *a,
	struct record *r)
{
	if (!step_name(bytes, w, a))
		return false;
	r->type = wire_u16(w);
	r->class = wire_u16(w);
	r->ttl_at = (size_t)(w->p - bytes);
	r->ttl = wire_u32(w);
	r->rdata_bytes = wire_u16(w);
	r->rdata_at = (size_t)(w->p - bytes);
	wire_bytes(w, r->rdata_bytes);
	return wire_ok(w);
}

/* With the top bit set a TTL is 0 (RFC 2181 8). */
static void shorten(struct dnsmsg_answer *a, uint32_t ttl)
{
	if (ttl > INT32_MAX)
		ttl = 0;
	if (ttl < a->ttl_s)
		a->ttl_s = ttl;
}

static void note_address(struct dnsmsg_answer *a, const struct record *r)
{
	if (r->type == DNSMSG_TYPE_A && r->class == DNSMSG_CLASS_IN && r->rdata_bytes == 4 &&
		a->addresses < DNSMSG_ADDRESSES)
		a->address_at[a->addresses++] = (uint16_t)r->rdata_at;
}

/* The records behind the question, section by section; false when one is malformed or unfit to be
 * kept. *soa: the authority section says how long there is nothing. */
static bool walk(const uint8_t *bytes, struct wire_in *w, struct dnsmsg_answer *a, bool *soa)
{
	for (size_t section = 0; section < 3; section++) {
		const uint16_t count = dnsmsg_field(bytes, 6 + 2 * section);
		for (uint16_t i = 0; i < count; i++) {
			struct record r;
			if (!read_record(bytes, w, a, &r))
				return false;
			if (r.type == TYPE_OPT && section == 2 && !(r.ttl & opt_rcode))
				continue;
			if (is_meta(r.type) || a->ttls == DNSMSG_RECORDS)
				return false;
			a->ttl_at[a->ttls++] = (uint16_t)r.ttl_at;
			shorten(a, r.ttl);
			if (section == 0)
				note_address(a, &r);
			if (section != 1 || r.type != TYPE_SOA || r.rdata_bytes < SOA_TAIL_BYTES)
				continue;
			struct wire_in minimum = wire_in(bytes + r.rdata_at + r.rdata_bytes - 4, 4);
			shorten(a, wire_u32(&minimum));
			*soa = true;
		}
	}
	return true;
}

void dnsmsg_answer(const uint8_t *bytes, size_t n, struct dnsmsg_answer *a)
{
	const size_t end = dnsmsg_question_end(bytes, n);
	bool soa = false;
	*a = (struct dnsmsg_answer){.rcode = DNSMSG_FORMERR, .ttl_s = DNSMSG_TTL_MAX};
	if (n < DNSMSG_HEADER_BYTES)
		return;
	const uint16_t flags = dnsmsg_field(bytes, 2);
	a->rcode = flags & MASK_RCODE;
	a->truncated = flags & FLAG_TC;
	if (!end || dnsmsg_field(bytes, 4) != 1 || n > UINT16_MAX)
		return;
	struct wire_in w = wire_in(bytes, n);
	wire_bytes(&w, end);
	if (!walk(bytes, &w, a, &soa) || wire_left(&w) || a->truncated ||
		(flags & (MASK_OPCODE | FLAG_Z)))
		return;
	if (a->rcode == DNSMSG_SERVFAIL)
		a->ttl_s = DNSMSG_FAILURE_TTL;
	const bool positive = a->rcode == DNSMSG_NOERROR && dnsmsg_field(bytes, 6) > 0;
	const bool negative = soa && (a->rcode == DNSMSG_NOERROR || a->rcode == DNSMSG_NXDOMAIN);
	a->keep = a->ttl_s > 0 && (positive || negative || a->rcode == DNSMSG_SERVFAIL);
}

size_t dnsmsg_refusal(const uint8_t *query, size_t n, enum dnsmsg_rcode rcode, uint8_t *out)
{
	const bool one = dnsmsg_field(query, 4) == 1;
	const size_t question = one ? dnsmsg_question_end(query, n) : 0;
	const size_t end = question ? question : DNSMSG_HEADER_BYTES;
	memcpy(out, query, end);
	memset(out + 4, 0, 8);
	dnsmsg_put_field(out, 2,
		(uint16_t)((dnsmsg_field(query, 2) & (MASK_OPCODE | FLAG_RD | FLAG_CD)) | FLAG_QR |
			   FLAG_RA | rcode));
	dnsmsg_put_field(out, 4, question != 0);
	return end;
}

size_t dnsmsg_truncate(uint8_t *answer, size_t n, const struct dnsmsg_question *q, uint16_t room)
{
	if (n <= room)
		return n;
	const size_t end = DNSMSG_HEADER_BYTES + q->name_bytes + 4U;
	memset(answer + 6, 0, 6);
	dnsmsg_put_field(answer, 2, dnsmsg_field(answer, 2) | FLAG_TC);
	if (dnsmsg_field(answer, 4) != 1) {
		dnsmsg_put_field(answer, 4, 0);
		return DNSMSG_HEADER_BYTES;
	}
	if (!(q->flags & DNSMSG_EDNS))
		return end;
	struct wire_out w = wire_out(answer + end, OPT_BYTES);
	wire_put_u8(&w, 0);
	wire_put_u16(&w, TYPE_OPT);
	wire_put_u16(&w, DNSMSG_PAYLOAD);
	wire_put_u32(&w, q->flags & DNSMSG_DO ? OPT_DO : 0);
	wire_put_u16(&w, 0);
	dnsmsg_put_field(answer, 10, 1);
	return end + OPT_BYTES;
}
