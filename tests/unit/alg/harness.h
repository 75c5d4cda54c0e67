/*
 * natproxy's part, played for one flow: keeps the bytes, applies verdicts, answers wishes, and
 * remembers all of it.
 */
#ifndef NATLOCK_TESTS_ALG_HARNESS_H
#define NATLOCK_TESTS_ALG_HARNESS_H

#include <arpa/inet.h>
#include <errno.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h323_calls.h"
#include "protocols.h"
#include "sip_calls.h"
#include "stream.h"

enum { HARNESS_BYTES = 1 << 18, HARNESS_WISHES = 1024, HARNESS_ACTS = 1024 };
enum harness_mode { GRANT, REFUSE, LATER };

struct way { /* one direction */
	uint8_t in[HARNESS_BYTES], out[HARNESS_BYTES];
	uint64_t in_bytes, passed, out_bytes;
};

struct harness {
	struct stream_pool *pool;
	struct h323_calls *h323; /* its own, unless its view names another */
	struct stream_flow flow;
	enum harness_mode mode;
	struct way way[2];
	struct alg_wish wish[HARNESS_WISHES]; /* all that were made */
	struct alg_act act[HARNESS_ACTS];     /* all that were done to them */
	uint32_t wishes, acts, messages, edits;
	uint32_t answered;			/* of the wishes, the first so many */
	struct alg_grant grant[HARNESS_WISHES]; /* of those; port 0: refused */
	uint32_t hold_ms, notes;		/* the last one; how many */
	const char *note;
	bool gave_up, violation;
	const char *why;
};

static inline uint32_t ip(const char *text)
{
	return inet_addr(text);
}

/* A guest, 192.168.30.10, that is the client of 198.51.100.9, which sees it as 203.0.113.7. */
static inline struct alg_flow harness_client(
	uint16_t guest_port, uint16_t outside_port, uint16_t peer_port)
{
	return (struct alg_flow){
		.guest_ip_be = ip("192.168.30.10"),
		.outside_ip_be = ip("203.0.113.7"),
		.peer_ip_be = ip("198.51.100.9"),
		.guest_port = guest_port,
		.outside_port = outside_port,
		.peer_port = peer_port,
	};
}

/* Numbers of flows that are there: of one process. */
static bool harness_flows[SIP_FLOWS];

/* Megabytes that each of some ten thousand flows would otherwise have cleared for it. */
static struct harness *harness_spare;

/* Every flow's, as in the process. */
static inline struct sip_calls *harness_calls(void)
{
	static struct sip_calls *calls;
	if (!calls) {
		calls = calloc(1, sizeof(*calls));
		sip_calls_init(calls, &(const struct hash_key){1, 2});
	}
	return calls;
}

/* As a new one; the bytes beyond in_bytes and out_bytes are nobody's. */
static inline void harness_reset(struct harness *h)
{
	for (int i = 0; i < 2; i++)
		h->way[i].in_bytes = h->way[i].passed = h->way[i].out_bytes = 0;
	h->flow = (struct stream_flow){0};
	memset(h->wish, 0, h->wishes * sizeof(h->wish[0]));
	h->wishes = h->acts = h->answered = h->messages = h->edits = 0;
	h->hold_ms = h->notes = 0;
	h->note = NULL;
	h->gave_up = h->violation = false;
	h->why = NULL;
}

/* A protocol of two transports is played over the view's. */
static inline struct harness *harness_new(
	const struct alg_protocol *protocol, struct alg_flow view, enum harness_mode mode)
{
	struct harness *h = harness_spare ? harness_spare : calloc(1, sizeof(*h));
	harness_spare = NULL;
	if (!h->pool)
		h->pool = calloc(1, sizeof(*h->pool));
	stream_pool_init(h->pool);
	h->mode = mode;
	if (protocol->transports != (ALGS_TCP | ALGS_UDP))
		view.stream = protocol->transports == ALGS_TCP;
	if (!view.sip) {
		view.sip = harness_calls();
		while (harness_flows[view.id])
			view.id++;
	}
	if (protocol->alg == ALGS_H323 && !view.h323) {
		if (!h->h323)
			h->h323 = calloc(1, sizeof(*h->h323));
		h323_calls_init(h->h323, &(const struct hash_key){1, 2});
		view.h323 = h->h323;
	}
	harness_flows[view.id] = true;
	stream_begin(&h->flow, protocol, &view, 0);
	return h;
}

static inline void harness_free(struct harness *h)
{
	stream_end(h->pool, &h->flow);
	cr_assert_eq(h->pool->small_count, STREAM_SMALL_COUNT, "a small buffer is lost");
	cr_assert_eq(h->pool->large_count, STREAM_LARGE_COUNT, "a large buffer is lost");
	harness_flows[h->flow.view.id] = false;
	harness_reset(h);
	free(harness_spare ? harness_spare->pool : NULL);
	free(harness_spare ? harness_spare->h323 : NULL);
	free(harness_spare);
	harness_spare = h;
}

static inline void harness_raw(struct way *w, uint64_t until)
{
	cr_assert(until >= w->passed && until <= w->in_bytes, "verdict beyond what was sent");
	memcpy(w->out + w->out_bytes, w->in + w->passed, until - w->passed);
	w->out_bytes += until - w->passed;
	w->passed = until;
}

static inline void harness_verdict(struct harness *h, const struct stream_out *out)
{
	struct way *w = &h->way[out->direction];
	for (unsigned int i = 0; i < out->edit_count; i++) {
		const struct stream_edit *e = &out->edit[i];
		cr_assert(e->at >= w->passed && e->at + e->edit.old_bytes <= out->until,
			"edit outside the passed range");
		harness_raw(w, e->at);
		memcpy(w->out + w->out_bytes, e->edit.text, e->edit.bytes);
		w->out_bytes += e->edit.bytes;
		w->passed += e->edit.old_bytes;
		h->edits++;
	}
	harness_raw(w, out->until);
}

static inline void harness_answer(struct harness *h, bool granted);

/* Acts of one kind upon this token, 0: upon any. Other flows have tokens of their own. */
static inline uint32_t harness_count(
	const struct harness *h, enum alg_act_kind what, uint32_t token)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < h->acts; i++)
		n += h->act[i].what == what &&
		     (!token || (h->act[i].token == token && !h->act[i].elsewhere));
	return n;
}

static inline void harness_out(struct harness *h, const struct stream_out *out)
{
	cr_assert(!out->note || strlen(out->note) <= ALG_WHY_BYTES, "%s", out->note);
	cr_assert(!out->why || strlen(out->why) <= ALG_WHY_BYTES, "%s", out->why);
	h->messages += out->messages;
	h->notes += out->notes;
	h->note = out->note ? out->note : h->note;
	h->hold_ms = out->hold_ms ? out->hold_ms : h->hold_ms;
	cr_assert(h->acts + out->act_count <= HARNESS_ACTS);
	for (unsigned int i = 0; i < out->act_count; i++)
		h->act[h->acts++] = out->act[i];
	if (out->verdict)
		harness_verdict(h, out);
	cr_assert(h->wishes + out->wish_count <= HARNESS_WISHES);
	for (unsigned int i = 0; i < out->wish_count; i++)
		h->wish[h->wishes++] = out->wish[i];
	if (out->give_up) {
		h->gave_up = true;
		h->violation = out->violation;
		h->why = out->why;
		harness_raw(&h->way[0], h->way[0].in_bytes);
		harness_raw(&h->way[1], h->way[1].in_bytes);
	}
	while (h->answered < h->wishes && h->mode != LATER && !h->gave_up)
		harness_answer(h, h->mode == GRANT);
}

static inline void harness_step(struct harness *h, enum alg_direction from)
{
	struct stream_out out;
	out.more = true;
	while (out.more && !h->gave_up) {
		stream_step(h->pool, &h->flow, from, &out);
		bool more = out.more;
		harness_out(h, &out);
		out.more = more;
	}
}

/* What natproxy grants: a port of the guest that is open already has the same outside port again, else it is 40000 (a pair's, even) and
 * the place among the wishes. */
static inline struct alg_grant harness_grant(const struct harness *h, uint32_t n)
{
	const struct alg_wish *w = &h->wish[n];
	for (uint32_t i = 0; i < n; i++)
		if (h->wish[i].kind == w->kind && h->wish[i].guest_port == w->guest_port &&
			h->grant[i].outside_port && !harness_count(h, ALG_CLOSE, h->wish[i].token))
			return h->grant[i];
	const uint32_t place = w->kind == ALG_UDP_PAIR ? 2 * n : n + 1;
	return (struct alg_grant){ip("203.0.113.7"), (uint16_t)(40000 + place)};
}

/* Answers the oldest wish that waits. */
static inline void harness_answer(struct harness *h, bool granted)
{
	struct stream_out out;
	const uint32_t n = h->answered++;
	cr_assert_lt(n, h->wishes);
	h->grant[n] = granted ? harness_grant(h, n) : (struct alg_grant){0};
	stream_granted(h->pool, &h->flow, h->wish[n].token, granted ? &h->grant[n] : NULL, &out);
	harness_out(h, &out);
	harness_step(h, ALG_GUEST);
	harness_step(h, ALG_OUTSIDE);
}

static inline void harness_send(
	struct harness *h, enum alg_direction from, const void *bytes, size_t n)
{
	struct way *w = &h->way[from];
	cr_assert(w->in_bytes + n <= HARNESS_BYTES);
	memcpy(w->in + w->in_bytes, bytes, n);
	w->in_bytes += n;
	if (h->gave_up) {
		harness_raw(w, w->in_bytes);
		return;
	}
	int error = stream_feed(h->pool, &h->flow, from, w->in_bytes - n, bytes, n, false);
	cr_assert_eq(error, 0, "stream_feed: %d", error);
	harness_step(h, from);
}

static inline void harness_say(struct harness *h, enum alg_direction from, const char *text)
{
	harness_send(h, from, text, strlen(text));
}

/* Everything that came out of a direction so far. */
static inline void harness_expect(
	const struct harness *h, enum alg_direction from, const char *text)
{
	const struct way *w = &h->way[from];
	cr_assert(w->out_bytes == strlen(text) && !memcmp(w->out, text, w->out_bytes),
		"got \"%.*s\", not \"%s\"", (int)w->out_bytes, w->out, text);
}

static inline void harness_expect_untouched(const struct harness *h)
{
	for (int i = 0; i < 2; i++) {
		const struct way *w = &h->way[i];
		cr_assert(w->out_bytes == w->in_bytes && !memcmp(w->out, w->in, w->in_bytes),
			"direction %d changed", i);
	}
}

#endif
