/*
 * What a call needs from its descriptions: theory of operation.
 *
 * An m= line is the guest's if it is received at the guest's own address by a carrier that is
 * known. Its ports are demands; the description is edited only if all of them have a grant, and
 * where nothing in it is the guest's but something is elsewhere it is none of ours.
 *
 *   m=audio 5004 RTP/AVP 0           5004, 5005          pair
 *   m=audio 5004/2 RTP/AVP 0         5004 .. 5007        two pairs
 *   a=rtcp:5010                      5004 and 5010       one each
 *   a=rtcp-mux                       5004                one
 *   m=image 5004 udptl t38           5004                one
 *   m=image 5004 tcp t38             5004                listener
 *
 * The ports of a demand follow each other, inside as outside, so that a port in a line is translated
 * by its distance from the first one.
 */
#include "sip_media.h"

#include <string.h>

enum { PORT_MAX = 65535 };

static unsigned int ports_of(const struct sip_demand *d)
{
	return d->kind == ALG_UDP_PAIR ? 2U * d->pairs : 1;
}

static bool is_stream(const struct sip_demand *d)
{
	return d->kind == ALG_TCP_LISTEN;
}

static bool overlap(const struct sip_demand *a, const struct sip_demand *b)
{
	return is_stream(a) == is_stream(b) && a->port < b->port + ports_of(b) &&
	       b->port < a->port + ports_of(a);
}

static bool same(const struct sip_demand *a, const struct sip_demand *b)
{
	return a->kind == b->kind && a->port == b->port && a->pairs == b->pairs &&
	       a->rtcp == b->rtcp;
}

/* Whether something is received there by the guest. */
static bool is_own(const struct sdp_media *m, const struct alg_flow *f)
{
	return !m->rejected && m->carrier != SDP_OTHER && m->ip_be == f->guest_ip_be;
}

static bool has_own_rtcp(const struct sdp_media *m, const struct alg_flow *f)
{
	return m->carrier == SDP_RTP && text_left(&m->rtcp) && m->rtcp_ip_be == f->guest_ip_be;
}

static bool has_pair(const struct sdp_media *m, const struct alg_flow *f)
{
	if (m->number % 2)
		return false;
	if (text_left(&m->rtcp))
		return has_own_rtcp(m, f) && m->rtcp_number == m->number + 1;
	return !m->mux;
}

/* NULL: it is among the demands now. */
static const char *ask(struct sip_demands *d, struct sip_demand want, uint32_t port)
{
	want.port = (uint16_t)port;
	if (port < ALG_PORT_MIN)
		return "a description was left alone: it names a port of the guest below 1024";
	if (port + ports_of(&want) - 1 > PORT_MAX)
		return "a description was left alone: a range of its ports ends beyond 65535";
	for (unsigned int i = 0; i < d->count; i++) {
		if (same(&d->demand[i], &want)) {
			d->demand[i].media |= want.media;
			return NULL;
		}
		if (overlap(&d->demand[i], &want))
			return "a description was left alone: ports of its media overlap";
	}
	if (d->count == ALG_WISHES)
		return "a description was left alone: it names too many ports";
	d->demand[d->count++] = want;
	return NULL;
}

static const char *ask_rtp(
	struct sip_demands *d, const struct sdp_media *m, const struct alg_flow *f, uint8_t bit)
{
	struct sip_demand want = {.kind = ALG_UDP_ONE, .media = bit};
	const bool pair = has_pair(m, f);
	const char *why;
	if (m->count > (pair ? ALG_PAIRS : 1))
		return "a description was left alone: a range of ports that cannot be had";
	if (pair) {
		want.kind = ALG_UDP_PAIR;
		want.pairs = (uint8_t)m->count;
	}
	why = ask(d, want, m->number);
	if (why || pair || !has_own_rtcp(m, f) || m->rtcp_number == m->number)
		return why;
	want.rtcp = true;
	return ask(d, want, m->rtcp_number);
}

static const char *ask_media(
	struct sip_demands *d, const struct sdp_media *m, const struct alg_flow *f, uint8_t bit)
{
	struct sip_demand want = {.kind = ALG_UDP_ONE, .media = bit};
	if (!is_own(m, f) || m->active)
		return NULL;
	if (m->carrier == SDP_RTP)
		return ask_rtp(d, m, f, bit);
	if (m->count > 1)
		return "a description was left alone: a range of ports that cannot be had";
	if (m->carrier == SDP_TCP)
		want.kind = ALG_TCP_LISTEN;
	return ask(d, want, m->number);
}

bool sip_media_demands(const struct sdp_session *s, const struct alg_flow *f, struct sip_demands *d,
	const char **why)
{
	const struct sip_demands before = *d;
	for (unsigned int i = 0; i < s->media_count; i++) {
		const char *refusal = ask_media(d, &s->media[i], f, (uint8_t)(1U << i));
		if (!refusal)
			continue;
		*d = before;
		*why = refusal;
		return false;
	}
	return true;
}

bool sip_media_serves(const struct sip_demand *have, struct sip_demand *want)
{
	if (is_stream(have) != is_stream(want) || want->port < have->port ||
		want->port + ports_of(want) > have->port + ports_of(have))
		return false;
	want->grant = have->grant;
	want->grant.outside_port = (uint16_t)(want->grant.outside_port + want->port - have->port);
	return true;
}

static const struct alg_grant *find_grant(
	const struct sip_demands *all, const struct sip_demand *want)
{
	for (unsigned int i = 0; i < all->count; i++)
		if (same(&all->demand[i], want) && all->demand[i].grant.outside_port)
			return &all->demand[i].grant;
	return NULL;
}

/* Gives the demands of one description their grants from all of a message; *ip_be: what they share. */
static bool take_grants(struct sip_demands *own, const struct sip_demands *all, uint32_t *ip_be)
{
	for (unsigned int i = 0; i < own->count; i++) {
		const struct alg_grant *grant = find_grant(all, &own->demand[i]);
		if (!grant || (i && grant->outside_ip_be != *ip_be))
			return false;
		own->demand[i].grant = *grant;
		*ip_be = grant->outside_ip_be;
	}
	return true;
}

/* The edits of one description. */
struct editor {
	struct splice *splice;
	const struct sdp_session *s;
	const struct alg_flow *f;
	struct sip_demands demands; /* its own, granted */
	uint32_t ip_be;		    /* that takes the guest's place */
};

/* The outside port of one of the guest's; 0: no demand leads there. */
static uint16_t outside_port(const struct editor *e, bool stream, uint32_t port)
{
	struct sip_demand want = {
		.kind = stream ? ALG_TCP_LISTEN : ALG_UDP_ONE, .port = (uint16_t)port};
	for (unsigned int i = 0; i < e->demands.count; i++)
		if (sip_media_serves(&e->demands.demand[i], &want))
			return want.grant.outside_port;
	return 0;
}

static void edit_port(struct editor *e, bool stream, struct text digits, uint32_t port)
{
	const uint16_t outside = outside_port(e, stream, port);
	if (outside && outside != port)
		splice_number(e->splice, digits, outside);
}

static void edit_media(struct editor *e, const struct sdp_media *m)
{
	if (!is_own(m, e->f) || m->active)
		return;
	edit_port(e, m->carrier == SDP_TCP, m->port, m->number);
	if (has_own_rtcp(m, e->f))
		edit_port(e, false, m->rtcp, m->rtcp_number);
}

/* Whether the guest's address here means the guest's end of what belongs to it. */
static bool is_meant(const struct editor *e, const struct sdp_place *place)
{
	const unsigned int at = sdp_media_at(e->s, place->host);
	const struct sdp_media *m = at < e->s->media_count ? &e->s->media[at] : NULL;
	switch (place->kind) {
	case SDP_ORIGIN: return true;
	case SDP_CONNECTION: return m ? m->ip_be == place->ip_be : e->s->ip_be == place->ip_be;
	case SDP_RTCP:
		return m && is_own(m, e->f) && has_own_rtcp(m, e->f) && place->port.p == m->rtcp.p;
	case SDP_CANDIDATE:
		return m && is_own(m, e->f) && outside_port(e, place->stream, place->number);
	}
	return false;
}

static void edit_place(struct editor *e, const struct sdp_place *place)
{
	if (place->ip_be != e->f->guest_ip_be || !is_meant(e, place))
		return;
	splice_address(e->splice, place->host, e->ip_be, 0);
	if (place->kind == SDP_CANDIDATE)
		edit_port(e, place->stream, place->port, place->number);
}

/* Whether the description speaks of the guest as it is seen inside, and of nobody else instead. */
static bool is_ours(const struct sdp_session *s, const struct alg_flow *f)
{
	bool elsewhere = false;
	for (unsigned int i = 0; i < s->media_count; i++) {
		const struct sdp_media *m = &s->media[i];
		if (is_own(m, f))
			return true;
		elsewhere |= !m->rejected && !m->held;
	}
	return !elsewhere;
}

bool sip_media_edit(struct splice *splice, const struct sdp_session *s, const struct alg_flow *f,
	const struct sip_demands *d)
{
	struct editor e = {.splice = splice, .s = s, .f = f, .ip_be = f->outside_ip_be};
	struct text rest = s->body;
	struct sdp_place place;
	const char *why;
	if (!sip_media_demands(s, f, &e.demands, &why) || !take_grants(&e.demands, d, &e.ip_be))
		return false;
	if (!is_ours(s, f) || !e.ip_be)
		return true;
	for (unsigned int i = 0; i < s->media_count; i++)
		edit_media(&e, &s->media[i]);
	while (sdp_next_place(&rest, &place))
		edit_place(&e, &place);
	return true;
}

/* Whether anybody can send from there (RFC 6890). */
static bool is_sender(uint32_t ip_be)
{
	uint8_t first;
	memcpy(&first, &ip_be, sizeof(first));
	return first > 0 && first < 224;
}

bool sip_media_taken(
	const struct sdp_session *theirs, uint8_t media, bool rtcp, uint32_t *peer_ip_be)
{
	*peer_ip_be = 0;
	for (unsigned int i = 0; i < theirs->media_count; i++) {
		const struct sdp_media *m = &theirs->media[i];
		const uint32_t ip_be = rtcp ? m->rtcp_ip_be : m->ip_be;
		if (m->rejected || !(media >> i & 1))
			continue;
		*peer_ip_be = is_sender(ip_be) ? ip_be : 0;
		return true;
	}
	return false;
}
