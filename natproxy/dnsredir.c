/*
 * Theory of operation. A question in flight has a socket of its own on a random port that is
 * connected to one resolver (so the kernel drops what comes from elsewhere) and a random id: with
 * the question compared too, an off-path forger has to guess about 32 bits (RFC 5452 9). Each
 * resolver is asked at most once a question. One that was silent while preferred loses the
 * preference, so later questions do not wait for it.
 */
#include <string.h>

#include "dnsredir.h"
#include "wire/wire.h"

enum {
	HEADER_BYTES = 12,
	FLAG_QR = 0x8000,
	FLAG_RA = 0x0080,
	MASK_OPCODE = 0x7800,
	FLAG_RD = 0x0100,
	MASK_RCODE = 0x000f,
	RCODE_SERVFAIL = 2,
	RCODE_REFUSED = 5,
	LABEL_MAX = 63,
	NAME_MAX_BYTES = 255,
};
static const uint64_t try_ns = (uint64_t)DNSREDIR_TRY_MS * 1000000;

void dnsredir_resolvers(struct dnsredir *d, const uint32_t *ip_be, size_t count)
{
	d->resolver_count = count < DNSREDIR_RESOLVERS ? (uint32_t)count : DNSREDIR_RESOLVERS;
	for (uint32_t i = 0; i < d->resolver_count; i++)
		d->resolver_ip_be[i] = ip_be[i];
	d->preferred = 0;
}

/* Length of header and first question, or 0 when it is malformed. Questions are never compressed
 * (RFC 1035 4.1.4). */
static size_t question_end(const uint8_t *bytes, size_t n)
{
	struct wire_in w = wire_in(bytes, n);
	wire_bytes(&w, HEADER_BYTES);
	for (size_t name = 0; wire_ok(&w);) {
		const uint8_t label = wire_u8(&w);
		if (label > LABEL_MAX || (name += label + 1U) > NAME_MAX_BYTES)
			return 0;
		if (!label)
			break;
		wire_bytes(&w, label);
	}
	wire_bytes(&w, 4);
	return wire_ok(&w) ? n - wire_left(&w) : 0;
}

static uint16_t field(const uint8_t *bytes, size_t at)
{
	return (uint16_t)(bytes[at] << 8 | bytes[at + 1]);
}

static void put_field(uint8_t *bytes, size_t at, uint16_t value)
{
	bytes[at] = (uint8_t)(value >> 8);
	bytes[at + 1] = (uint8_t)value;
}

bool dnsredir_is_query(const uint8_t *bytes, size_t n)
{
	if (n < HEADER_BYTES || (field(bytes, 2) & FLAG_QR) || field(bytes, 4) != 1)
		return false;
	return question_end(bytes, n) != 0;
}

static bool guest_has_too_many(const struct dnsredir *d, uint32_t guest_ip_be)
{
	uint32_t n = 0;
	if (d->live < DNSREDIR_QUERIES / 2)
		return false;
	for (uint32_t ref = 1; ref <= d->fresh; ref++)
		n += d->query[ref].used && d->query[ref].guest_ip_be == guest_ip_be;
	return n >= DNSREDIR_GUEST_QUERIES;
}

uint32_t dnsredir_open(struct dnsredir *d, uint32_t flow, uint32_t guest_ip_be,
	const uint8_t *bytes, size_t n, uint16_t wire_id)
{
	uint32_t ref = d->free;
	if (guest_has_too_many(d, guest_ip_be))
		return DNSREDIR_NONE;
	if (ref)
		d->free = d->query[ref].next;
	else if (d->fresh < DNSREDIR_QUERIES)
		ref = ++d->fresh;
	else
		return DNSREDIR_NONE;
	d->query[ref] = (struct dnsredir_query){.used = true,
		.resolver = (uint8_t)d->preferred,
		.guest_id = field(bytes, 0),
		.wire_id = wire_id,
		.length = (uint16_t)n,
		.flow = flow,
		.guest_ip_be = guest_ip_be,
		.fd = -1,
		.deadline_ns = UINT64_MAX};
	memcpy(d->bytes[ref], bytes, n);
	put_field(d->bytes[ref], 0, wire_id);
	d->live++;
	return ref;
}

uint32_t dnsredir_ask(struct dnsredir *d, uint32_t ref, uint64_t now_ns)
{
	struct dnsredir_query *q = &d->query[ref];
	q->tried++;
	q->deadline_ns = now_ns + try_ns;
	if (d->live == 1 || q->deadline_ns < d->soonest_ns)
		d->soonest_ns = q->deadline_ns;
	return d->resolver_ip_be[q->resolver];
}

bool dnsredir_next_resolver(struct dnsredir *d, uint32_t ref)
{
	struct dnsredir_query *q = &d->query[ref];
	if (q->tried >= d->resolver_count)
		return false;
	const uint8_t next = (uint8_t)((q->resolver + 1U) % d->resolver_count);
	if (d->preferred == q->resolver)
		d->preferred = next;
	q->resolver = next;
	return true;
}

void dnsredir_close(struct dnsredir *d, uint32_t ref)
{
	d->query[ref] = (struct dnsredir_query){.fd = -1, .next = d->free};
	d->free = ref;
	d->live--;
}

enum dnsredir_reply dnsredir_reply(const struct dnsredir *d, uint32_t ref, uint8_t *bytes, size_t n)
{
	const struct dnsredir_query *q = &d->query[ref];
	if (n < HEADER_BYTES || field(bytes, 0) != q->wire_id || !(field(bytes, 2) & FLAG_QR))
		return DNSREDIR_FOREIGN;
	const size_t asked = question_end(d->bytes[ref], q->length);
	const uint16_t rcode = field(bytes, 2) & MASK_RCODE;
	/* a refusal may leave the question out; anything else must repeat it */
	if (field(bytes, 4) == 0
			? rcode == 0
			: (n < asked || memcmp(bytes + HEADER_BYTES, d->bytes[ref] + HEADER_BYTES,
						asked - HEADER_BYTES)))
		return DNSREDIR_FOREIGN;
	put_field(bytes, 0, q->guest_id);
	return rcode == RCODE_SERVFAIL || rcode == RCODE_REFUSED ? DNSREDIR_USELESS
								 : DNSREDIR_ANSWER;
}

size_t dnsredir_servfail(const uint8_t *query, size_t n, uint8_t *out)
{
	const size_t end = question_end(query, n);
	memcpy(out, query, end);
	put_field(out, 2,
		(field(query, 2) & (MASK_OPCODE | FLAG_RD)) | FLAG_QR | FLAG_RA | RCODE_SERVFAIL);
	memset(out + 6, 0, 6);
	return end;
}

uint32_t dnsredir_expired(struct dnsredir *d, uint64_t now_ns)
{
	uint64_t soonest = UINT64_MAX;
	if (!d->live || now_ns < d->soonest_ns)
		return DNSREDIR_NONE;
	for (uint32_t ref = 1; ref <= d->fresh; ref++) {
		const struct dnsredir_query *q = &d->query[ref];
		if (q->used && q->deadline_ns <= now_ns)
			return ref;
		if (q->used && q->deadline_ns < soonest)
			soonest = q->deadline_ns;
	}
	d->soonest_ns = soonest;
	return DNSREDIR_NONE;
}

uint64_t dnsredir_deadline(const struct dnsredir *d)
{
	return d->live ? d->soonest_ns : UINT64_MAX;
}
