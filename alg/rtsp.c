/*
 * RTSP (RFC 2326, RFC 7826): the control connection of media that flow beside it by UDP.
 *
 *   guest is the client                             guest is the server (published, static address)
 *     SETUP    client_port, destination, dest_addr    2xx of SETUP  server_port, source, src_addr
 *              latent wish, edit                                    wish, edit
 *     its 2xx  armed; the same mapped back            URLs and session descriptions: rtsp_names.c
 *     another  closed                                 SETUP         noted
 *     2xx of TEARDOWN: closed                         2xx of TEARDOWN: closed
 *
 *   stream      = *( line-end | interleaved | message )
 *   interleaved = "$" channel length(2) data         passed by its length, unread (RFC 2326 10.12)
 *   message     = ( request | response ) header      header.c: lines, an empty one, a body
 *   request     = method SP uri SP version line-end  method: up to 32 letters, digits, - _ . and /
 *   response    = version SP status [ SP reason ] line-end
 *   version     = "RTSP/1.0" | "RTSP/2.0"
 *
 * An opening is one wish, an RTP port with its RTCP neighbour or a single port, and lives from its
 * SETUP to its TEARDOWN:
 *
 *   WISHED ──granted──▶ LATENT ──2xx with these ports──▶ OPEN ──TEARDOWN──▶ LEAVING ──2xx──▶ gone
 *      guest is the server: ASKED (a SETUP came) ──2xx──▶ WISHED ──granted──▶ OPEN
 *
 * When is a message believed?
 *  - The first thing in the connection is a request of the client, with RTSP's version at the end
 *    of its line. HTTP is not, be it tunnelled RTSP or a browser that was talked into a POST with a
 *    SETUP in its body (NAT slipstreaming): it passes, and nothing is looked for behind it.
 *  - Ports are ALG_PORT_MIN or more; every address beside them is literally the guest's own.
 *    Interleaved and multicast specifications are left as they are. So is a SETUP which names more
 *    than OPENINGS_SETUP openings, or too many places to edit, or comes when all OPENINGS are in
 *    use, or has the CSeq of a request that still waits.
 *  - Nobody may come in before the server's 2xx, found by its CSeq, takes these ports; and then
 *    only the server. A media server elsewhere (source=) stays outside.
 * Several specifications with the same ports share an opening. A SETUP with a port that is in use
 * closes what was there: the guest has made up its mind anew.
 */
#include <string.h>

#include "header.h"
#include "protocols.h"
#include "rtsp_names.h"
#include "rtsp_transport.h"
#include "splice.h"

enum {
	METHOD_MAX = 32,
	START_MAX = 8192,
	INTERLEAVED_HEADER = 4,
	PIECE_MAX = ALGS_SEGMENT_MIN, /* of interleaved data, a step */
	OPENINGS = 16,	  /* of a connection; each at most one act an answer */
	OPENINGS_SETUP = 2,
	PINHOLE_MS = 60000,
};
_Static_assert(OPENINGS <= (int)ALG_ACTS, "all can be closed at once");

enum phase { PHASE_NONE, PHASE_ASKED, PHASE_WISHED, PHASE_LATENT, PHASE_OPEN, PHASE_LEAVING };

struct opening {
	uint32_t cseq;		 /* of the request whose response is waited for */
	uint32_t uri, session;	 /* hashes */
	uint32_t token;		 /* of the pinhole */
	uint16_t guest, outside; /* ports, the first of a pair; outside 0: not granted yet */
	uint8_t phase;
	bool pair;
};

struct rtsp {
	bool opened; /* the client's first request was there */
	uint32_t skip
		[2]; /* bytes of interleaved data that are still to come, by enum alg_direction */
	uint32_t token; /* the last one */
	struct opening opening[OPENINGS];
};
_Static_assert(sizeof(struct rtsp) <= ALG_STATE_BYTES, "fits a flow");

struct start {
	bool request;
	struct text method, uri; /* of a request, else empty */
	unsigned int status;	 /* of a response */
};

/* One message while it is looked at. */
struct talk {
	struct rtsp *s;
	const struct alg_flow *f;
	enum alg_direction from;
	const uint8_t *message;
	struct header h;
	struct start start;
	struct alg_answer *a;
	bool has_cseq, transports; /* transports: its Transport is to be edited */
	uint32_t cseq;
};

/* What a SETUP needs. */
struct demand {
	unsigned int count;
	struct {
		uint16_t port;
		bool pair;
	} opening[OPENINGS_SETUP];
};

/* ---- what is a message ---- */

static bool is_word(uint8_t c)
{
	return text_is_letter(c) || text_is_digit(c) || c == '_' || c == '-' || c == '/' ||
	       c == '.';
}

/* How many bytes show that this is no start line; 0: none of them does, so far. The first `seen`
 * did not, but for a CR at their end. */
static size_t offence(const uint8_t *p, size_t n, size_t seen)
{
	size_t i = seen ? seen - 1 : 0;
	bool first = !memchr(p, ' ', i);
	if (memchr(p, '\n', i))
		return 0;
	for (; i < n && p[i] != '\n'; i++) {
		const uint8_t c = p[i];
		if (first && (c == ' ' ? !i : i == METHOD_MAX || !is_word(c)))
			return i + 1;
		const bool ends = c == '\r' && (i + 1 == n || p[i + 1] == '\n');
		if ((c < ' ' && !ends) || c == 127 || i == START_MAX)
			return i + 1;
		first &= c != ' ';
	}
	return 0;
}

static bool is_version(const struct text *t)
{
	return text_left(t) == 8 && (!memcmp(t->p, "RTSP/1.0", 8) || !memcmp(t->p, "RTSP/2.0", 8));
}

static bool read_start(struct text line, struct start *s)
{
	const struct text first = text_until(&line, ' ');
	*s = (struct start){.request = !is_version(&first), .uri = {line.p, line.p}};
	if (!s->request) {
		const uint8_t *digits = line.p;
		return text_number(&line, 599, &s->status) && line.p - digits == 3 &&
		       s->status >= 100 && (!text_left(&line) || *line.p == ' ');
	}
	s->method = first;
	s->uri = text_until(&line, ' ');
	return text_left(&s->method) && text_left(&s->uri) && is_version(&line);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Data between messages is not waited for: what is there of it may go on. */
static size_t interleaved(const uint8_t *p, size_t n)
{
	if (n < INTERLEAVED_HEADER)
		return 0;
	return least(least(n, INTERLEAVED_HEADER + (size_t)(p[2] << 8 | p[3])), PIECE_MAX);
}

static size_t rtsp_frame(const void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen)
{
	const struct rtsp *s = state;
	struct start start;
	if (s->skip[from])
		return least(least(n, s->skip[from]), PIECE_MAX);
	if (*p == '$')
		return interleaved(p, n);
	if (*p == '\n' || *p == '\r')
		return *p == '\n' ? 1 : n < 2 ? 0 : 2;
	const size_t bad = offence(p, n, seen);
	if (bad)
		return bad;
	if (!memchr(p + seen, '\n', n - seen))
		return 0; /* neither the start line's end nor the header's can be new */
	const size_t line = text_line(p, n, 0);
	return read_start(text_without_end(p, line), &start) ? header_frame(p, n) : line;
}

/* ---- openings ---- */

/* FNV-1a: what is compared was said by the two ends themselves. */
static uint32_t hash_of(struct text t)
{
	uint32_t hash = 0x811c9dc5;
	for (; text_left(&t); t.p++)
		hash = (hash ^ *t.p) * 0x01000193;
	return hash;
}

static struct opening *free_opening(struct rtsp *s)
{
	for (unsigned int i = 0; i < OPENINGS; i++)
		if (s->opening[i].phase == PHASE_NONE)
			return &s->opening[i];
	return NULL;
}

static void close_opening(struct talk *t, struct opening *o)
{
	if (o->token)
		alg_act_add(t->a, ALG_CLOSE, o->token);
	*o = (struct opening){0};
}

static bool waits(const struct opening *o)
{
	return o->phase != PHASE_NONE && o->phase != PHASE_OPEN;
}

/* Whether another request with this CSeq waits for its response: then responses mean nothing. */
static bool ambiguous(const struct talk *t)
{
	for (unsigned int i = 0; i < OPENINGS; i++)
		if (waits(&t->s->opening[i]) && t->s->opening[i].cseq == t->cseq)
			return true;
	return false;
}

static bool overlap(uint16_t a, bool a_pair, uint16_t b, bool b_pair)
{
	return a <= b + b_pair && b <= a + a_pair;
}

/* The other number of a port that was granted. */
static bool map_port(const struct rtsp *s, uint32_t port, bool to_outside, uint32_t *mapped)
{
	for (unsigned int i = 0; i < OPENINGS; i++) {
		const struct opening *o = &s->opening[i];
		const uint32_t is = to_outside ? o->guest : o->outside;
		if (!o->outside || port < is || port > is + o->pair)
			continue;
		*mapped = port - is + (to_outside ? o->outside : o->guest);
		return true;
	}
	return false;
}

/* ---- what is wished for ---- */

/* A pair is even, so that it is another one or the same; a single port may be half of one. false:
 * too much. */
static bool demand_opening(struct demand *d, uint32_t port, bool pair)
{
	bool grown = false;
	for (unsigned int i = 0; i < d->count; i++) {
		if (!overlap(d->opening[i].port, d->opening[i].pair, (uint16_t)port, pair))
			continue;
		if (d->opening[i].pair || !pair)
			return true;
		if (grown)
			return false; /* its other half is there on its own, too */
		d->opening[i].port = (uint16_t)port;
		d->opening[i].pair = grown = true;
	}
	if (grown)
		return true;
	if (d->count == OPENINGS_SETUP)
		return false;
	d->opening[d->count].port = (uint16_t)port;
	d->opening[d->count++].pair = pair;
	return true;
}

static bool demand_end(struct demand *d, const struct rtsp_end *end)
{
	const uint32_t first = end->port[0].number, last = end->port[end->ports - 1].number;
	if (!(first & 1) && last == first + 1)
		return demand_opening(d, first, true);
	return demand_opening(d, first, false) && demand_opening(d, last, false);
}

/* The guest's end of a specification. */
static const struct rtsp_end *own_end(const struct talk *t, const struct rtsp_transport *spec)
{
	return t->f->guest_serves ? &spec->server : &spec->client;
}

/* Whether an end names ports, and nobody but the guest. */
static bool wishable(const struct talk *t, const struct rtsp_end *end)
{
	for (unsigned int i = 0; i < end->ports; i++)
		if (end->port[i].number < ALG_PORT_MIN)
			return false;
	for (unsigned int i = 0; i < end->addresses; i++)
		if (end->address[i].ip_be != t->f->guest_ip_be)
			return false;
	return end->ports && !end->foreign;
}

/* Steps through every specification of every Transport header. */
static bool next_transport(struct text *lines, struct text *value, struct rtsp_transport *spec)
{
	struct header_line line;
	while (!rtsp_transport_next(value, spec)) {
		if (!header_next(lines, &line))
			return false;
		if (text_is(&line.name, "TRANSPORT"))
			*value = line.value;
	}
	return true;
}

static bool read_demand(const struct talk *t, struct demand *d)
{
	struct text lines = t->h.lines, value = {lines.p, lines.p};
	struct rtsp_transport spec;
	*d = (struct demand){0};
	while (next_transport(&lines, &value, &spec)) {
		const struct rtsp_end *end = own_end(t, &spec);
		if (spec.udp && wishable(t, end) && !demand_end(d, end))
			return false;
	}
	return d->count;
}

static void close_overlapping(struct talk *t, uint16_t port, bool pair)
{
	for (unsigned int i = 0; i < OPENINGS; i++) {
		struct opening *o = &t->s->opening[i];
		if (o->outside && overlap(o->guest, o->pair, port, pair))
			close_opening(t, o);
	}
}

/* The openings stand in the table in the order of the wishes. */
static void wish(struct talk *t, const struct demand *d, uint32_t uri, uint32_t session)
{
	struct rtsp *s = t->s;
	unsigned int room = 0;
	for (unsigned int i = 0; i < d->count; i++)
		close_overlapping(t, d->opening[i].port, d->opening[i].pair);
	for (unsigned int i = 0; i < OPENINGS; i++)
		room += s->opening[i].phase == PHASE_NONE;
	for (unsigned int i = 0; i < d->count && room >= d->count; i++) {
		struct opening *o = free_opening(s);
		s->token += s->token == UINT32_MAX ? 2 : 1;
		*o = (struct opening){.cseq = t->cseq,
			.uri = uri,
			.session = session,
			.token = s->token,
			.guest = d->opening[i].port,
			.phase = PHASE_WISHED,
			.pair = d->opening[i].pair};
		t->a->result = ALG_WISH;
		t->a->wish[t->a->wish_count++] =
			(struct alg_wish){.kind = o->pair ? ALG_UDP_PAIR : ALG_UDP_ONE,
				.guest_port = o->guest,
				.latent = !t->f->guest_serves,
				.token = o->token,
				.peer_ip_be = t->f->peer_ip_be,
				.lifetime_ms = PINHOLE_MS};
	}
}

/* ---- requests ---- */

static uint32_t session_of(const struct talk *t)
{
	struct text session, rest;
	if (!header_find(&t->h, "SESSION", &session))
		return 0;
	for (rest = session; text_left(&rest) && *rest.p != ';'; rest.p++)
		;
	return hash_of(header_trim((struct text){session.p, rest.p}));
}

static void on_setup(struct talk *t)
{
	struct demand d;
	struct opening *o = free_opening(t->s);
	const uint32_t uri = hash_of(t->start.uri);
	if (!t->f->guest_serves && read_demand(t, &d))
		wish(t, &d, uri, 0);
	else if (t->f->guest_serves && o)
		*o = (struct opening){.phase = PHASE_ASKED, .cseq = t->cseq, .uri = uri};
}

/* The URI of one stream ends that stream, another one the whole session (RFC 2326 10.7). */
static void on_teardown(struct talk *t)
{
	const uint32_t session = session_of(t), uri = hash_of(t->start.uri);
	bool one = false;
	for (unsigned int i = 0; i < OPENINGS; i++) {
		const struct opening *o = &t->s->opening[i];
		one |= o->phase == PHASE_OPEN && o->session == session && o->uri == uri;
	}
	for (unsigned int i = 0; i < OPENINGS; i++) {
		struct opening *o = &t->s->opening[i];
		if (o->phase != PHASE_OPEN || o->session != session || (one && o->uri != uri))
			continue;
		o->phase = PHASE_LEAVING;
		o->cseq = t->cseq;
	}
}

static void on_request(struct talk *t)
{
	if (!t->has_cseq || ambiguous(t))
		return;
	if (text_is(&t->start.method, "SETUP"))
		on_setup(t);
	else if (text_is(&t->start.method, "TEARDOWN"))
		on_teardown(t);
}

/* ---- responses ---- */

static bool names(const struct rtsp_end *end, const struct opening *o)
{
	for (unsigned int i = 0; i < end->ports; i++)
		if (overlap(o->outside, o->pair, (uint16_t)end->port[i].number, false))
			return true;
	return false;
}

/* Whether the response takes the ports of this opening; one that names none takes what it was
 * offered. */
static bool agreed(const struct talk *t, const struct opening *o)
{
	struct text lines = t->h.lines, value = {lines.p, lines.p};
	struct rtsp_transport spec;
	while (next_transport(&lines, &value, &spec))
		if (spec.udp && (!spec.client.ports || names(&spec.client, o)))
			return true;
	return false;
}

static void on_answer(struct talk *t, struct opening *o)
{
	const bool good = t->start.status < 300;
	if (o->phase == PHASE_LATENT && good && agreed(t, o)) {
		o->phase = PHASE_OPEN;
		o->session = session_of(t);
		alg_act_add(t->a, ALG_ARM, o->token);
		t->transports = true;
	} else if (o->phase == PHASE_LEAVING && !good) {
		o->phase = PHASE_OPEN;
	} else {
		close_opening(t, o);
	}
}

/* What the guest, who serves, says to a SETUP. */
static void on_own_answer(struct talk *t, struct opening *o)
{
	const uint32_t uri = o->uri;
	struct demand d;
	*o = (struct opening){0};
	if (t->start.status >= 300)
		return;
	t->transports = true;
	if (read_demand(t, &d))
		wish(t, &d, uri, session_of(t));
}

static void on_response(struct talk *t)
{
	if (!t->has_cseq || t->start.status < 200)
		return;
	for (unsigned int i = 0; i < OPENINGS; i++) {
		struct opening *o = &t->s->opening[i];
		if (!waits(o) || o->phase == PHASE_WISHED || o->cseq != t->cseq)
			continue;
		if (o->phase != PHASE_ASKED) {
			on_answer(t, o);
			continue;
		}
		on_own_answer(t, o);
		return;
	}
}

/* ---- edits ---- */

static void edit_end(const struct talk *t, struct splice *e, const struct rtsp_end *end)
{
	const bool out = t->from == ALG_GUEST;
	const uint32_t is = out ? t->f->guest_ip_be : t->f->outside_ip_be;
	const uint32_t to = out ? t->f->outside_ip_be : t->f->guest_ip_be;
	uint32_t port;
	for (unsigned int i = 0; i < end->ports; i++)
		if (map_port(t->s, end->port[i].number, out, &port) && port != end->port[i].number)
			splice_number(e, end->port[i].span, port);
	for (unsigned int i = 0; i < end->addresses; i++)
		if (end->address[i].ip_be == is)
			splice_address(e, end->address[i].span, to, 0);
}

/* A specification by which nothing was wished for is left as the client wrote it; what a server
 * says of itself is put right in any case. */
static void edit_transports(const struct talk *t, struct splice *e)
{
	struct text lines = t->h.lines, value = {lines.p, lines.p};
	struct rtsp_transport spec;
	while (next_transport(&lines, &value, &spec)) {
		const struct rtsp_end *end = own_end(t, &spec);
		if (t->start.request ? spec.udp && wishable(t, end) : !spec.broken)
			edit_end(t, e, end);
	}
}

/* false: there would be too many edits, so there is none. */
static bool edit(const struct talk *t)
{
	struct splice e = splice_of(t->a, t->message);
	if (t->from == ALG_GUEST)
		rtsp_names_edit(&e, t->f, &t->h, t->start.uri);
	if (t->transports)
		edit_transports(t, &e);
	return splice_end(&e);
}

/* ---- the parser ---- */

static bool read_message(struct talk *t, const uint8_t *p, size_t n)
{
	t->message = p;
	if (!header_split(p, n, &t->h) || !read_start(t->h.start, &t->start))
		return false;
	t->has_cseq = header_number(&t->h, "CSEQ", &t->cseq);
	return true;
}

static void on_interleaved(struct talk *t, const uint8_t *p, size_t n)
{
	if (t->s->opened)
		t->s->skip[t->from] =
			(uint32_t)(INTERLEAVED_HEADER + (size_t)(p[2] << 8 | p[3]) - n);
	else
		alg_violation(t->a, "interleaved data before the first request");
}

static void on_message(struct talk *t)
{
	const bool client = (t->from == ALG_GUEST) != t->f->guest_serves;
	if (!t->s->opened && !(client && t->start.request)) {
		alg_violation(t->a, "the first message is no request of the client");
		return;
	}
	t->s->opened = true;
	if (client && t->start.request)
		on_request(t);
	else if (!client && !t->start.request)
		on_response(t);
	if (t->a->result == ALG_PASS)
		edit(t);
}

static void rtsp_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	struct talk t = {.s = state, .f = f, .from = from, .a = a};
	uint32_t *skip = &t.s->skip[from];
	if (*skip)
		*skip -= (uint32_t)n;
	else if (*p == '$')
		on_interleaved(&t, p, n);
	else if (*p == '\n' || (*p == '\r' && n == 2 && p[1] == '\n'))
		return;
	else if (read_message(&t, p, n))
		on_message(&t);
	else
		alg_violation(a, "not an RTSP message");
}

static void rtsp_granted(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, const struct alg_grant *g, struct alg_answer *a)
{
	struct talk t = {
		.s = state, .f = f, .from = from, .a = a, .transports = g || f->guest_serves};
	unsigned int granted = 0;
	for (unsigned int i = 0; i < OPENINGS && g; i++)
		if (t.s->opening[i].phase == PHASE_WISHED)
			t.s->opening[i].outside = g[granted++].outside_port;
	const bool done = read_message(&t, p, n) && edit(&t) && g;
	for (unsigned int i = 0; i < OPENINGS; i++) {
		struct opening *o = &t.s->opening[i];
		if (o->phase != PHASE_WISHED)
			continue;
		if (done)
			o->phase = f->guest_serves ? PHASE_OPEN : PHASE_LATENT;
		else if (g)
			close_opening(&t, o);
		else
			*o = (struct opening){0};
	}
}

const struct alg_protocol rtsp_protocol = {
	.name = "rtsp",
	.alg = ALGS_RTSP,
	.transports = ALGS_TCP,
	.message_max = ALG_MESSAGE_MAX,
	.frame = rtsp_frame,
	.message = rtsp_message,
	.granted = rtsp_granted,
};
