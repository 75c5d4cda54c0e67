/*
 * Theory of operation.
 *
 *   asker ─▶ asker ─▶ query ─▶ upstream, upstream, ...
 *
 * A question in flight has a socket of its own on a random port that is connected to one server (so
 * the kernel drops what comes from elsewhere) and a random id: with the question compared too, an
 * off-path forger has to guess about 31 bits (RFC 5452 9). Whoever asks the same meanwhile waits with
 * the first. A guest's share is counted by asker.
 *
 * Servers are tried in their order. One that was silent or unreachable is avoided for a while, longer
 * each time; when that is over the next question goes to it again, for a short try. While all are
 * avoided, the one whose time ends first is asked: nobody is told "no" without a question having gone
 * out. A server that has nothing to say to one question (SERVFAIL, REFUSED) is not asked it again.
 */
#include "dnsredir.h"

#include <string.h>

enum {
	FLAG_QR = 0x80, /* of the third byte */
	MASK_RCODE = 0x0f,
};
static const uint64_t ms_ns = 1000000;

void dnsredir_init(struct dnsredir *d, const struct hash_key *key)
{
	d->key = *key;
}

bool dnsredir_upstreams(struct dnsredir *d, const uint32_t *ip_be, size_t count)
{
	bool changed;
	if (count > DNSREDIR_UPSTREAMS)
		count = DNSREDIR_UPSTREAMS;
	changed = count != d->upstream_count;
	for (uint32_t i = 0; i < count && !changed; i++)
		changed = d->upstream[i].ip_be != ip_be[i];
	if (!changed)
		return false;
	d->upstream_count = (uint32_t)count;
	d->generation++;
	for (uint32_t i = 0; i < count; i++)
		d->upstream[i] = (struct dnsredir_upstream){.ip_be = ip_be[i]};
	for (uint32_t ref = 1; ref <= d->fresh; ref++)
		d->query[ref].useless = 0;
	return true;
}

static uint32_t guest_place(const struct dnsredir *d, uint32_t ip_be)
{
	return (uint32_t)hash_sip(&d->key, &ip_be, sizeof(ip_be)) & (DNSREDIR_BUCKETS - 1);
}

/* The guest's account, 0 when it has none. */
static uint16_t guest_find(const struct dnsredir *d, uint32_t ip_be)
{
	uint16_t i = d->guest_bucket[guest_place(d, ip_be)];
	while (i && d->guest[i].ip_be != ip_be)
		i = d->guest[i].next;
	return i;
}

/* The guest's account; one that is made if need be. There are as many as askers. */
static uint16_t guest_of(struct dnsredir *d, uint32_t ip_be)
{
	uint16_t *bucket = &d->guest_bucket[guest_place(d, ip_be)], i = guest_find(d, ip_be);
	if (i)
		return i;
	i = d->guests_free ? d->guests_free : (uint16_t)(d->guests_fresh + 1);
	if (d->guests_free)
		d->guests_free = d->guest[i].next;
	else
		d->guests_fresh = i;
	d->guest[i] = (struct dnsredir_guest){.ip_be = ip_be, .next = *bucket};
	*bucket = i;
	return i;
}

static void leave_guest(struct dnsredir *d, uint16_t i)
{
	if (--d->guest[i].askers)
		return;
	uint16_t *at = &d->guest_bucket[guest_place(d, d->guest[i].ip_be)];
	while (*at != i)
		at = &d->guest[*at].next;
	*at = d->guest[i].next;
	d->guest[i].next = d->guests_free;
	d->guests_free = i;
}

uint32_t dnsredir_waiting(const struct dnsredir *d, uint32_t guest_ip_be)
{
	return d->guest[guest_find(d, guest_ip_be)].askers; /* account 0 is always empty */
}

/* A guest may take as much as it leaves free for all others together: however many of them ask without
 * end, there is room for the first question of one more. */
static bool has_too_many(const struct dnsredir *d, const struct dnsredir_ask *ask)
{
	const uint32_t n = dnsredir_waiting(d, ask->guest_ip_be);
	return n + ask->elsewhere >= d->guest_limit || n >= DNSREDIR_QUERIES - d->live ||
	       n >= DNSREDIR_ASKERS - d->askers;
}

static void add_asker(struct dnsredir *d, uint32_t ref, const struct dnsredir_ask *ask)
{
	const uint32_t i = d->askers_free ? d->askers_free : ++d->askers_fresh;
	struct dnsredir_asker *a = &d->asker[i];
	if (d->askers_free)
		d->askers_free = a->next;
	a->flow = ask->flow;
	a->id = dnsmsg_field(ask->bytes, 0);
	a->guest = guest_of(d, ask->guest_ip_be);
	a->room = ask->question ? ask->question->room : UINT16_MAX;
	a->name_bytes = ask->question ? ask->question->name_bytes : 0;
	memcpy(a->name, ask->bytes + DNSMSG_HEADER_BYTES, a->name_bytes);
	a->next = d->query[ref].asker;
	d->query[ref].asker = i;
	d->query[ref].askers++;
	d->guest[a->guest].askers++;
	d->askers++;
}

static uint32_t *bucket_of(struct dnsredir *d, uint64_t hash)
{
	return &d->bucket[hash & (DNSREDIR_BUCKETS - 1)];
}

static uint32_t same_question(struct dnsredir *d, const struct dnsredir_ask *ask)
{
	if (!ask->question)
		return DNSREDIR_NONE;
	uint32_t ref = *bucket_of(d, ask->hash);
	for (; ref; ref = d->query[ref].next) {
		const struct dnsredir_query *q = &d->query[ref];
		if (q->plain && q->hash == ask->hash && q->generation == d->generation &&
			dnsmsg_same(&q->question, ask->question))
			break;
	}
	return ref;
}

static bool asks_already(const struct dnsredir *d, uint32_t ref, const struct dnsredir_ask *ask)
{
	for (uint32_t i = d->query[ref].asker; i; i = d->asker[i].next)
		if (d->asker[i].flow == ask->flow && d->asker[i].id == dnsmsg_field(ask->bytes, 0))
			return true;
	return false;
}

static uint32_t new_query(
	struct dnsredir *d, const struct dnsredir_ask *ask, uint16_t wire_id, uint64_t now_ns)
{
	uint32_t ref = d->free;
	if (ref)
		d->free = d->query[ref].next;
	else if (d->fresh < DNSREDIR_QUERIES)
		ref = ++d->fresh;
	else
		return DNSREDIR_NONE;
	struct dnsredir_query *q = &d->query[ref];
	*q = (struct dnsredir_query){.used = true,
		.plain = ask->question != NULL,
		.upstream = DNSREDIR_UPSTREAMS,
		.wire_id = wire_id,
		.generation = d->generation,
		.fd = -1,
		.hash = ask->question ? ask->hash : wire_id,
		.deadline_ns = UINT64_MAX,
		.give_up_ns = now_ns + DNSREDIR_PATIENCE_MS * ms_ns};
	if (q->plain) {
		q->question = *ask->question;
		q->length = (uint16_t)dnsmsg_ask(ask->question, wire_id, d->bytes[ref]);
	} else {
		q->length = (uint16_t)ask->n;
		memcpy(d->bytes[ref], ask->bytes, ask->n);
		dnsmsg_put_field(d->bytes[ref], 0, wire_id);
	}
	q->next = *bucket_of(d, q->hash);
	*bucket_of(d, q->hash) = ref;
	d->live++;
	return ref;
}

enum dnsredir_opened dnsredir_open(struct dnsredir *d, const struct dnsredir_ask *ask,
	uint16_t wire_id, uint64_t now_ns, uint32_t *ref)
{
	const uint32_t same = same_question(d, ask);
	if (same && asks_already(d, same, ask))
		return DNSREDIR_AGAIN;
	if (has_too_many(d, ask) || (same && d->query[same].askers == DNSREDIR_QUERY_ASKERS))
		return DNSREDIR_FULL;
	*ref = same ? same : new_query(d, ask, wire_id, now_ns);
	if (!*ref)
		return DNSREDIR_FULL;
	add_asker(d, *ref, ask);
	return same ? DNSREDIR_WAIT : DNSREDIR_ASK;
}

/*
 * The first server that is not avoided, else the one whose time ends first; DNSREDIR_UPSTREAMS when
 * all are in `useless`. *others: how many more are not avoided.
 */
static uint32_t choose(
	const struct dnsredir *d, uint32_t useless, uint64_t now_ns, uint32_t *others)
{
	uint32_t best = DNSREDIR_UPSTREAMS, good = 0;
	for (uint32_t i = 0; i < d->upstream_count; i++) {
		const uint64_t until = d->upstream[i].avoid_until_ns;
		if (useless >> i & 1)
			continue;
		if (best == DNSREDIR_UPSTREAMS || (d->upstream[best].avoid_until_ns > now_ns &&
							  until < d->upstream[best].avoid_until_ns))
			best = i;
		good += until <= now_ns;
	}
	*others = good > 1 ? good - 1 : 0;
	return best;
}

uint32_t dnsredir_next(struct dnsredir *d, uint32_t ref, uint64_t now_ns, bool *again)
{
	struct dnsredir_query *q = &d->query[ref];
	uint32_t others;
	const uint32_t i = choose(d, q->useless, now_ns, &others);
	if (i == DNSREDIR_UPSTREAMS || now_ns >= q->give_up_ns)
		return 0;
	const bool probe = d->upstream[i].failures && others;
	const uint64_t until = now_ns + (probe ? DNSREDIR_PROBE_MS : DNSREDIR_TRY_MS) * ms_ns;
	*again = q->upstream == i && q->generation == d->generation;
	q->upstream = (uint8_t)i;
	q->generation = d->generation;
	q->deadline_ns = until < q->give_up_ns ? until : q->give_up_ns;
	if (d->live == 1 || q->deadline_ns < d->soonest_ns)
		d->soonest_ns = q->deadline_ns;
	return d->upstream[i].ip_be;
}

bool dnsredir_has_other(const struct dnsredir *d, uint32_t ref, uint64_t now_ns)
{
	for (uint32_t i = 0; i < d->upstream_count; i++)
		if (!(d->query[ref].useless >> i & 1) && d->upstream[i].avoid_until_ns <= now_ns)
			return true;
	return false;
}

uint32_t dnsredir_server(const struct dnsredir *d, uint32_t tried, uint64_t now_ns)
{
	uint32_t useless = 0, others, i = DNSREDIR_UPSTREAMS;
	for (uint32_t n = 0; n <= tried; n++) {
		i = choose(d, useless, now_ns, &others);
		useless |= 1U << i;
	}
	return i < DNSREDIR_UPSTREAMS ? d->upstream[i].ip_be : 0;
}

void dnsredir_close(struct dnsredir *d, uint32_t ref)
{
	struct dnsredir_query *q = &d->query[ref];
	uint32_t *at = bucket_of(d, q->hash);
	while (*at != ref)
		at = &d->query[*at].next;
	*at = q->next;
	while (q->asker) {
		const uint32_t i = q->asker;
		q->asker = d->asker[i].next;
		leave_guest(d, d->asker[i].guest);
		d->asker[i].next = d->askers_free;
		d->askers_free = i;
		d->askers--;
	}
	q->used = false;
	q->fd = -1;
	q->next = d->free;
	d->free = ref;
	d->live--;
}

/* The server that was asked, if it still is one. */
static struct dnsredir_upstream *asked(struct dnsredir *d, const struct dnsredir_query *q)
{
	return q->generation == d->generation && q->upstream < d->upstream_count
		       ? &d->upstream[q->upstream]
		       : NULL;
}

void dnsredir_failed(struct dnsredir *d, uint32_t ref, enum dnsredir_failure how, uint64_t now_ns)
{
	struct dnsredir_query *q = &d->query[ref];
	struct dnsredir_upstream *u = asked(d, q);
	if (!u)
		return;
	if (how != DNSREDIR_SILENT)
		q->useless |= (uint8_t)(1U << q->upstream);
	if (how == DNSREDIR_CLUELESS || u->avoid_until_ns > now_ns)
		return; /* of many questions that found it silent, the first counts */
	const uint32_t doubled =
		u->failures < DNSREDIR_AVOID_DOUBLED ? u->failures : DNSREDIR_AVOID_DOUBLED;
	u->avoid_until_ns = now_ns + (DNSREDIR_AVOID_MS * ms_ns << doubled);
	u->failures++;
}

void dnsredir_worked(struct dnsredir *d, uint32_t ref)
{
	struct dnsredir_upstream *u = asked(d, &d->query[ref]);
	if (u)
		*u = (struct dnsredir_upstream){.ip_be = u->ip_be};
}

enum dnsredir_reply dnsredir_reply(
	const struct dnsredir *d, uint32_t ref, const uint8_t *bytes, size_t n)
{
	const struct dnsredir_query *q = &d->query[ref];
	const uint8_t *query = d->bytes[ref];
	if (n < DNSMSG_HEADER_BYTES || dnsmsg_field(bytes, 0) != q->wire_id ||
		!(bytes[2] & FLAG_QR))
		return DNSREDIR_FOREIGN;
	const size_t end = dnsmsg_question_end(query, q->length);
	const uint8_t rcode = bytes[3] & MASK_RCODE;
	const bool repeats =
		n >= end && memcmp(bytes + DNSMSG_HEADER_BYTES, query + DNSMSG_HEADER_BYTES,
				    end - DNSMSG_HEADER_BYTES) == 0;
	/* a refusal may leave the question out; anything else must repeat it */
	if (dnsmsg_field(bytes, 4) == 0 ? rcode == DNSMSG_NOERROR
					: dnsmsg_field(bytes, 4) != 1 || !repeats)
		return DNSREDIR_FOREIGN;
	return rcode == DNSMSG_SERVFAIL || rcode == DNSMSG_REFUSED ? DNSREDIR_USELESS
								   : DNSREDIR_ANSWER;
}

size_t dnsredir_address(
	const struct dnsredir *d, uint32_t ref, uint32_t asker, uint8_t *bytes, size_t n)
{
	const struct dnsredir_asker *a = &d->asker[asker];
	dnsmsg_put_field(bytes, 0, a->id);
	if (!a->name_bytes)
		return n;
	if (dnsmsg_field(bytes, 4) == 1)
		memcpy(bytes + DNSMSG_HEADER_BYTES, a->name, a->name_bytes);
	return dnsmsg_truncate(bytes, n, &d->query[ref].question, a->room);
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
