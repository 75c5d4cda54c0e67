/*
 * SIP (RFC 3261) over UDP and TCP: the protocol's row.
 *
 *   bytes ──▶ sip_message.c   is it SIP, and which message?
 *         ──▶ sip_body.c      the descriptions (SDP) and fragments in its body
 *         ──▶ sip_dialog.c    which call, whose offer or answer: wishes, acts            sip_calls.c: the table
 *         ──▶ sip_names.c     edits of the guest's address in start line and header lines
 *         ──▶ sip_media.c     edits of the guest's descriptions, with what was granted
 *
 *   stream   = *( line-end | message )         from byte 0 on; anything else is a violation
 *   datagram = message | keep-alive            line ends, zeros, STUN (RFC 5626 4.4) pass
 *   message  = ( request | response ) header   sip_message.h
 *
 * Nothing is printed anew: each edit replaces an address or a number, everything else stays as it was, in its order, case and
 * folding. What is left alone (signed, compressed, more than there is room for) is left whole and told the operator in a note; its
 * header lines are edited all the same, so that the far end's answer finds the guest.
 */
#include <string.h>

#include "protocols.h"
#include "sip_body.h"
#include "sip_dialog.h"
#include "sip_names.h"

struct sip {
	struct sip_names names;
	struct sip_dialogs dialogs;
};
_Static_assert(sizeof(struct sip) <= ALG_STATE_BYTES, "fits a flow");

/* What is in a message. */
struct content {
	struct sip_message m;
	struct sip_bodies bodies;
	unsigned int sessions;
	struct sdp_session session[SIP_BODIES];
};

static size_t sip_stream_frame(const void *state, const struct alg_flow *flow,
	enum alg_direction from, const uint8_t *p, size_t n, size_t seen)
{
	return sip_frame(p, n, seen);
}

/* Bytes that are none of SIP's but may stand there. */
static bool is_filler(const struct alg_flow *f, const uint8_t *p, size_t n)
{
	if (!f->stream)
		return sip_is_keepalive(p, n);
	return (n == 1 && *p == '\n') || (n == 2 && p[0] == '\r' && p[1] == '\n');
}

static bool read_content(const struct alg_flow *f, const uint8_t *p, size_t n, struct content *c)
{
	c->sessions = 0;
	if (!sip_read(p, n, f->stream, &c->m))
		return false;
	sip_bodies_find(&c->m, f->sip_multipart, &c->bodies);
	for (unsigned int i = 0; i < c->bodies.count; i++)
		if (c->bodies.body[i].kind == SIP_BODY_SDP &&
			sdp_read(c->bodies.body[i].text, &c->session[c->sessions]))
			c->sessions++;
	return true;
}

static void edit_fragments(struct splice *e, struct sip *s, const struct alg_flow *f,
	enum alg_direction from, const struct content *c)
{
	struct sip_message fragment;
	for (unsigned int i = 0; i < c->bodies.count; i++)
		if (c->bodies.body[i].kind == SIP_BODY_FRAGMENT &&
			sip_read_fragment(c->bodies.body[i].text, &fragment))
			sip_names_edit(e, &s->names, f, from, &fragment);
}

/* Too many edits: then there is none, and the guest has said nothing. */
static void edit(struct sip *s, const struct sip_talk *t, const struct content *c, const uint8_t *p)
{
	const struct sip_names before = s->names;
	struct splice e = splice_of(t->a, p);
	sip_names_edit(&e, &s->names, t->f, t->from, &c->m);
	edit_fragments(&e, s, t->f, t->from, c);
	for (unsigned int i = 0; i < c->sessions && t->from == ALG_GUEST && t->ready; i++)
		sip_media_edit(&e, &c->session[i], t->f, &t->demands);
	sip_body_lengths(&e, &c->m, &c->bodies);
	if (splice_end(&e))
		return;
	s->names = before;
	t->a->note = "more addresses than can be edited";
}

static struct sip_talk talk_of(struct sip *s, const struct alg_flow *f, enum alg_direction from,
	const struct content *c, struct alg_answer *a)
{
	return (struct sip_talk){.s = &s->dialogs,
		.f = f,
		.from = from,
		.m = &c->m,
		.sessions = c->sessions,
		.session = c->session,
		.a = a};
}

static void sip_on_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	struct content c;
	if (is_filler(f, p, n))
		return;
	if (!read_content(f, p, n, &c)) {
		alg_violation(a, "not a SIP message");
		return;
	}
	struct sip_talk t = talk_of(state, f, from, &c, a);
	a->note = c.bodies.note;
	sip_dialog_message(&t);
	if (a->result == ALG_PASS)
		edit(state, &t, &c, p);
}

static void sip_granted(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, const struct alg_grant *grants, struct alg_answer *a)
{
	struct content c;
	if (!read_content(f, p, n, &c))
		return;
	struct sip_talk t = talk_of(state, f, from, &c, a);
	sip_dialog_granted(&t, grants);
	edit(state, &t, &c, p);
}

static void sip_gone(void *state, const struct alg_flow *f, uint32_t token)
{
	sip_dialog_gone(f, token);
}

static void sip_end(void *state, const struct alg_flow *f)
{
	sip_calls_end(f->sip, f);
}

const struct alg_protocol sip_protocol = {
	.name = "sip",
	.alg = ALGS_SIP,
	.transports = ALGS_UDP | ALGS_TCP,
	.message_max = ALG_MESSAGE_MAX,
	.frame = sip_stream_frame,
	.message = sip_on_message,
	.granted = sip_granted,
	.gone = sip_gone,
	.end = sip_end,
};
