/*
 * Guests' questions and servers' answers, byte by byte. The input is taken as a question, as an answer to
 * one that is known, and as an answer to itself; what is kept must come out as it went in.
 */
#include <stdlib.h>
#include <string.h>

#include "dnscache.h"
#include "dnslocal.h"
#include "dnsnames.h"
#include "dnsredir.h"

static struct dnscache cache;
static struct dnslocal local;
static struct dnsnames names;
static struct dnsredir redir;
static const struct hash_key key = {1, 2};

static void begin(void)
{
	const uint32_t server = 1;
	dnscache_init(&cache, &key, 64);
	dnsnames_init(&names, &key);
	dnsredir_init(&redir, &key);
	dnsredir_upstreams(&redir, &server, 1);
	redir.guest_limit = 64;
	local.gateway_ip_be = 0x011ea8c0;
	local.netmask_be = 0x00ffffff;
	hostnames_init(&local.hosts, &key);
	hostnames_set(&local.hosts, 0x0a1ea8c0, "laptop", UINT64_MAX, 0);
	dnslocal_configure(&local, true, "home.arpa", true);
}

/* What the cache gives back is what it was given, but for TTLs, AA, id and the name's case. */
static void keep(
	const struct dnsmsg_question *q, const uint8_t *query, const uint8_t *answer, size_t n)
{
	static uint8_t out[DNSCACHE_BYTES];
	struct dnsmsg_answer a, again;
	struct dnscache_served served;
	dnsmsg_answer(answer, n, &a);
	for (uint32_t i = 0; i < a.addresses; i++)
		if (a.address_at[i] + 4U > n)
			abort();
	if (!a.keep)
		return;
	dnscache_put(&cache, q, 7, answer, n, &a, 0);
	if (n > DNSCACHE_BYTES)
		return;
	if (!dnscache_get(&cache, q, query, 999999999, out, &served) || served.bytes != n ||
		served.addresses != a.addresses)
		abort();
	dnsmsg_answer(out, n, &again);
	if (!again.keep || again.ttls != a.ttls || again.ttl_s != a.ttl_s)
		abort();
	if (dnscache_get(&cache, q, query, a.ttl_s * 1000000000ULL, out, &served))
		abort();
}

static void exchange(const struct dnsmsg_question *q, const uint8_t *query, size_t n,
	const uint8_t *bytes, size_t answer_bytes)
{
	static uint8_t reply[65536];
	const struct dnsredir_ask ask = {1, 2, query, n, q, q ? dnscache_hash(&cache, q) : 0};
	uint32_t ref;
	bool again;
	if (dnsredir_open(&redir, &ask, 0x1234, 0, &ref) != DNSREDIR_ASK)
		abort();
	dnsredir_next(&redir, ref, 0, &again);
	memcpy(reply, bytes, answer_bytes);
	const size_t copied =
		redir.query[ref].length < answer_bytes ? redir.query[ref].length : answer_bytes;
	if (copied > 12) {
		memcpy(reply, "\x12\x34", 2);
		reply[2] |= 0x80;
		memcpy(reply + 12, redir.bytes[ref] + 12, copied - 12);
	}
	if (dnsredir_reply(&redir, ref, reply, answer_bytes) != DNSREDIR_FOREIGN) {
		if (q && reply[5] == 1)
			keep(q, query, reply, answer_bytes);
		if (dnsredir_address(&redir, ref, redir.query[ref].asker, reply, answer_bytes) >
			answer_bytes)
			abort();
	}
	dnsredir_close(&redir, ref);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static uint8_t out[DNSLOCAL_BYTES], refusal[DNSMSG_PLAIN_BYTES];
	static const uint8_t known[] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1};
	static bool begun;
	struct dnsmsg_question q;
	if (!begun)
		begin();
	begun = true;
	if (n > UINT16_MAX)
		return 0;
	if (dnsmsg_query(known, sizeof(known), &q) != DNSMSG_PLAIN)
		abort();
	exchange(&q, known, sizeof(known), bytes, n);
	if (n > DNSMSG_QUERY_BYTES)
		return 0;
	const enum dnsmsg_verdict v = dnsmsg_query(bytes, n, &q);
	if (v == DNSMSG_NOISE)
		return 0;
	if (dnsmsg_refusal(bytes, n, DNSMSG_SERVFAIL, refusal) > n)
		abort();
	if (v != DNSMSG_PLAIN && v != DNSMSG_ODD)
		return 0;
	exchange(v == DNSMSG_PLAIN ? &q : NULL, bytes, n, bytes, n);
	if (v != DNSMSG_PLAIN)
		return 0;
	dnsnames_note(&names, 1, 2, q.name, q.name_bytes);
	const size_t answered = dnslocal_answer(&local, &q, bytes, 0, out);
	struct dnsmsg_answer a;
	dnsmsg_answer(out, answered, &a);
	if (answered && dnsmsg_question_end(out, answered) == 0)
		abort();
	return 0;
}
