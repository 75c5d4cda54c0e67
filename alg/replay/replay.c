/*
 *   segment ─▶ in order? ─▶ hold ─▶ stream.c ─▶ verdict: hold, edited ─▶ output ─▶ replay_write
 *                 └─ no: waits           └───── wish: granted at once
 *
 * natproxy ends the guest's TCP and opens its own, so numbers of the packets that leave are made anew:
 * each begins where the last one ended, and acknowledges all that the far end was sent so far.
 */
#include "replay.h"

#include <string.h>

#include "table.h"

static const struct {
	enum algs_id alg;
	uint16_t port[3];
} defaults[] = {
	{ALGS_FTP, {21}},
	{ALGS_TFTP, {69}},
	{ALGS_DNS, {53}},
	{ALGS_RCMD, {512, 513, 514}},
	{ALGS_NETBIOS, {137, 138, 139}},
	{ALGS_RTSP, {554, 8554}},
	{ALGS_LDAP, {389, 1002}},
	{ALGS_SIP, {5060}},
	{ALGS_H323, {1720, 1719, 1718}},
	{ALGS_SKINNY, {2000}},
};

unsigned int replay_ports(enum algs_id alg, uint16_t *port)
{
	unsigned int n = 0;
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		while (defaults[i].alg == alg && n < 3 && defaults[i].port[n]) {
			port[n] = defaults[i].port[n];
			n++;
		}
	return n;
}

/* The row that parses what comes to this port, -1 for none. */
static int row_of(const struct replay_settings *set, uint16_t port, bool stream)
{
	for (unsigned int i = 0; i < set->ports; i++) {
		const int service = algs_service(set->alg, i, stream ? ALGS_TCP : ALGS_UDP);
		if (set->port[i] == port && service >= 0)
			return table_find(set->alg, (uint32_t)service, stream);
	}
	return -1;
}

bool replay_guess(const struct replay_settings *set, const struct packet *p, uint32_t *guest_ip_be)
{
	const bool there = row_of(set, p->dst_port, p->stream) >= 0;
	if (!there && row_of(set, p->src_port, p->stream) < 0)
		return false;
	*guest_ip_be = there ? p->src_ip_be : p->dst_ip_be;
	return true;
}

void replay_begin(struct replay *r, const struct replay_settings *set)
{
	r->set = *set;
	r->totals = (struct replay_totals){0};
	r->packets = r->high = 0;
	r->next_port = set->outside_port;
	r->flow = NULL;
	stream_pool_init(&r->pool);
	r->derivations = 0;
	memset(r->derived, 0, sizeof(r->derived));
	sip_calls_init(&r->sip, &(const struct hash_key){0, 0}); /* no secret: the same each time */
	h323_calls_init(&r->h323, &(const struct hash_key){0, 0});
}

static struct replay_flow *find(struct replay *r, const struct alg_flow *view)
{
	for (size_t i = 0; i < r->high; i++) {
		const struct alg_flow *v = &r->table[i].stream.view;
		if (r->table[i].used && v->stream == view->stream &&
			v->guest_port == view->guest_port && v->peer_port == view->peer_port &&
			v->peer_ip_be == view->peer_ip_be)
			return &r->table[i];
	}
	return NULL;
}

static struct replay_flow *oldest(struct replay *r)
{
	struct replay_flow *f = &r->table[0];
	for (size_t i = 0; i < r->high; i++) {
		if (!r->table[i].used)
			return &r->table[i];
		if (r->table[i].seen < f->seen)
			f = &r->table[i];
	}
	if (r->high == REPLAY_FLOWS)
		return f;
	r->table[r->high].used = false;
	return &r->table[r->high++];
}

/* All but what is only good as far as counts say. */
static void clear_way(struct replay_way *w)
{
	w->begun = w->finished = false;
	w->base = w->next = w->held = w->waiting = 0;
	w->in = w->out = 0;
}

_Static_assert(REPLAY_FLOWS <= (int)SIP_FLOWS && REPLAY_FLOWS <= (int)H323_FLOWS,
	"the tables of calls know each of them");

static struct replay_flow *add(struct replay *r, const struct alg_flow *view, int row)
{
	struct replay_flow *f = oldest(r);
	if (f->used && !f->raw)
		stream_end(&r->pool, &f->stream);
	f->used = true;
	f->raw = f->lost = false;
	f->number = (uint32_t)++r->totals.flows;
	clear_way(&f->way[0]);
	clear_way(&f->way[1]);
	stream_begin(&f->stream, table_rows[row], view, 0);
	f->stream.view.id = (uint16_t)(f - r->table);
	f->stream.view.sip = &r->sip;
	f->stream.view.h323 = &r->h323;
	return f;
}

/* The flow of this packet as its guest has it; false where neither end is the guest. */
static bool view_of(const struct replay *r, const struct packet *p, enum alg_direction *from,
	struct alg_flow *view)
{
	bool out = p->src_ip_be == r->set.guest_ip_be;
	if (!out && p->dst_ip_be != r->set.guest_ip_be)
		return false;
	if (p->src_ip_be == p->dst_ip_be) /* recorded on loopback: the server is no guest */
		out = row_of(&r->set, p->dst_port, p->stream) >= 0;
	*from = out ? ALG_GUEST : ALG_OUTSIDE;
	*view = (struct alg_flow){
		.guest_ip_be = r->set.guest_ip_be,
		.outside_ip_be = r->set.outside_ip_be,
		.peer_ip_be = out ? p->dst_ip_be : p->src_ip_be,
		.guest_port = out ? p->src_port : p->dst_port,
		.outside_port = out ? p->src_port : p->dst_port,
		.peer_port = out ? p->dst_port : p->src_port,
		.stream = p->stream,
		.dns_v6 = r->set.dns_v6,
		.sip_multipart = true,
		.maps = &r->set.maps,
	};
	maps_outside(view, view->guest_ip_be, &view->outside_ip_be);
	return true;
}

static void derive(struct replay *r, const struct alg_flow *view, const struct alg_wish *w)
{
	if (w->inspect)
		r->derived[r->derivations++ % REPLAY_DERIVED] =
			(struct replay_derived){.used = true,
				.watch = w->kind == ALG_TCP_WATCH,
				.guest_port = w->guest_port,
				.peer_port = w->peer_port,
				.peer_ip_be = w->peer_ip_be ? w->peer_ip_be : view->peer_ip_be,
				.service = w->service,
				.link = w->link};
}

/* What a wish said of this connection; NULL: none did. */
static const struct replay_derived *derived_of(const struct replay *r, const struct alg_flow *view)
{
	for (size_t i = 0; view->stream && i < REPLAY_DERIVED; i++) {
		const struct replay_derived *d = &r->derived[i];
		const bool same = d->watch ? d->peer_port == view->peer_port
					   : d->guest_port == view->guest_port;
		if (d->used && same && d->peer_ip_be == view->peer_ip_be)
			return d;
	}
	return NULL;
}

static struct replay_flow *begin_derived(struct replay *r, struct alg_flow *view)
{
	const struct replay_derived *d = derived_of(r, view);
	const int row = d ? table_find(r->set.alg, d->service, true) : -1;
	if (row < 0)
		return NULL;
	view->guest_serves = !d->watch;
	view->link = d->link;
	return add(r, view, row);
}

/* A new flow if it is one that is inspected. Without a first packet the far end's port tells who
 * began. */
static struct replay_flow *begin_flow(
	struct replay *r, const struct packet *p, enum alg_direction from, struct alg_flow *view)
{
	const int there = row_of(&r->set, view->peer_port, view->stream),
		  here = row_of(&r->set, view->guest_port, view->stream);
	const bool answer =
		p->stream && (p->flags & (PACKET_SYN | PACKET_ACK)) == (PACKET_SYN | PACKET_ACK);
	const bool guest_began = there >= 0 && (here < 0 || (from == ALG_GUEST) != answer);
	if (there < 0 && here < 0)
		return begin_derived(r, view);
	view->guest_serves = !guest_began;
	return add(r, view, guest_began ? there : here);
}

/* A connection that has the ports of an earlier one. */
static bool is_another(const struct replay_flow *f, enum alg_direction from, const struct packet *p)
{
	const struct replay_way *w = &f->way[from];
	return p->stream && p->flags & PACKET_SYN && w->begun && w->base != p->seq + 1;
}

/* Takes a segment from `at` on that the next byte is in; false: it has nothing new. */
static bool take(struct replay *r, struct replay_way *w, uint32_t seq, const uint8_t *at,
	uint32_t bytes, bool fin)
{
	const uint32_t old = w->next - seq;
	if (old > bytes || (old == bytes && !fin) || w->finished)
		return false;
	r->data = at + old;
	r->left = bytes - old;
	r->fin = fin;
	w->next += r->left;
	return true;
}

static void wait(struct replay *r, struct replay_way *w, const struct packet *p)
{
	if (w->waiting == REPLAY_WAITING) {
		r->gap = true;
		return;
	}
	w->wait[w->waiting].seq = p->seq;
	w->wait[w->waiting].bytes = p->bytes;
	w->wait[w->waiting].at = p->payload;
	w->wait[w->waiting++].fin = p->flags & PACKET_FIN;
}

static void take_segment(struct replay *r, struct replay_way *w, const struct packet *p)
{
	const uint32_t first = p->flags & PACKET_SYN ? p->seq + 1 : p->seq;
	if (!w->begun) {
		w->begun = true;
		w->base = w->next = first;
	}
	if (p->flags & PACKET_SYN || (!p->bytes && !(p->flags & PACKET_FIN)))
		return;
	if ((int32_t)(p->seq - w->next) > 0)
		wait(r, w, p);
	else
		r->gap = take(r, w, p->seq, p->payload, p->bytes, p->flags & PACKET_FIN) && p->cut;
}

static void put(struct replay *r, const uint8_t *bytes, size_t n)
{
	const size_t room = REPLAY_OUTPUT_BYTES - r->output_bytes;
	if (n > room) {
		r->gap = true;
		n = room;
	}
	if (n)
		memcpy(r->output + r->output_bytes, bytes, n);
	r->output_bytes += (uint32_t)n;
}

bool replay_packet(struct replay *r, const struct packet *p)
{
	struct alg_flow view;
	r->packets++;
	r->flow = NULL;
	r->left = r->passed = r->grants = r->output_bytes = r->written = 0;
	r->fin = r->more = r->gap = false;
	if (!view_of(r, p, &r->from, &view) || (p->cut && !p->stream))
		return false;
	r->flow = find(r, &view);
	if (r->flow && is_another(r->flow, r->from, p)) {
		if (!r->flow->raw)
			stream_end(&r->pool, &r->flow->stream);
		r->flow->used = false;
		r->flow = NULL;
	}
	if (!r->flow)
		r->flow = begin_flow(r, p, r->from, &view);
	if (!r->flow)
		return false;
	r->flow->seen = r->flow->stream.view.now_ms = r->packets;
	struct replay_way *w = &r->flow->way[r->from];
	if (r->flow->raw && w->held) {
		put(r, w->hold, w->held);
		w->held = 0;
	}
	if (r->flow->lost)
		return true;
	r->totals.bytes += r->flow->raw ? 0 : p->bytes;
	if (p->stream) {
		take_segment(r, w, p);
	} else {
		r->data = p->payload;
		r->left = p->bytes;
		r->fin = r->left == 0; /* an empty datagram is one, too */
	}
	return true;
}

/* What a verdict passes goes to the output, with its edits. */
static void pass(struct replay *r, struct replay_way *w, const struct stream_out *out)
{
	const uint64_t at = w->in - w->held;
	uint64_t done = at;
	for (unsigned int i = 0; i < out->edit_count; i++) {
		const struct stream_edit *e = &out->edit[i];
		put(r, w->hold + (done - at), (size_t)(e->at - done));
		put(r, e->edit.text, e->edit.bytes);
		done = e->at + e->edit.old_bytes;
	}
	put(r, w->hold + (done - at), (size_t)(out->until - done));
	r->passed = (uint32_t)(out->until - at);
}

/* The flow goes on unread. What is held leaves, the other way with its next packet. */
static void end_inspection(struct replay *r, struct replay_flow *f)
{
	const struct replay_way *w = &f->way[r->from];
	put(r, w->hold + r->passed, w->held - r->passed);
	r->passed = w->held;
	stream_end(&r->pool, &f->stream);
	f->raw = true;
	r->grants = 0;
	r->more = false;
}

/* Of `pairs` neighbours the first one. */
static uint16_t next_port(struct replay *r, unsigned int pairs)
{
	if (r->next_port + 2 * pairs - 1 > UINT16_MAX)
		r->next_port = r->set.outside_port;
	const uint16_t port = r->next_port;
	r->next_port = (uint16_t)(port + 2 * pairs);
	return port;
}

/* A UDP port by which the guest already talks keeps its outside port. */
static struct alg_grant grant_of(
	struct replay *r, const struct alg_flow *view, const struct alg_wish *wish)
{
	struct alg_grant grant = {view->outside_ip_be, wish->guest_port};
	const bool talks =
		wish->kind == ALG_UDP_ONE && !view->stream && wish->guest_port == view->guest_port;
	if (wish->kind == ALG_TCP_WATCH)
		return (struct alg_grant){wish->peer_ip_be, wish->peer_port};
	if (r->set.outside_port && !talks)
		grant.outside_port = next_port(r, wish->pairs ? wish->pairs : 1);
	return grant;
}

/* Takes over what a call of stream.c led to, which is in r->out. */
static void absorb(struct replay *r, struct replay_step *step)
{
	struct replay_flow *f = r->flow;
	struct replay_way *w = &f->way[r->from];
	const struct stream_out *out = &r->out;
	*step = (struct replay_step){.flow = f, .from = r->from, .out = out, .raw = w->hold};
	step->raw_at = w->in - w->held;
	step->wish_at = f->stream.side[r->from].at;
	r->totals.messages += out->messages;
	r->totals.edits += out->edit_count;
	r->totals.wishes += out->wish_count;
	if (out->verdict)
		pass(r, w, out);
	for (unsigned int i = 0; i < out->wish_count && r->grants < REPLAY_GRANTS; i++) {
		step->grant[i] = grant_of(r, &f->stream.view, &out->wish[i]);
		derive(r, &f->stream.view, &out->wish[i]);
		r->pending[r->grants].token = out->wish[i].token;
		r->pending[r->grants++].grant = step->grant[i];
	}
	r->more = out->more;
	if (out->give_up) {
		r->totals.violations += out->violation;
		r->totals.gave_up += !out->violation;
		end_inspection(r, f);
	}
}

/* The next piece of the packet, or of what waited for it, is shown to the parser. */
static bool feed(struct replay *r, struct replay_way *w)
{
	const uint32_t n = r->left < STREAM_CHUNK_MAX ? r->left : STREAM_CHUNK_MAX;
	const bool fin = r->fin && n == r->left, stream = r->flow->stream.view.stream;
	if (!stream && n < r->left)
		return false;
	if (r->flow->raw) {
		put(r, r->data, n);
		w->in += n;
	} else if (n > REPLAY_HOLD_BYTES - w->held ||
		   stream_feed(
			   &r->pool, &r->flow->stream, r->from, w->in, r->data, n, fin && stream)) {
		return false;
	} else {
		memcpy(w->hold + w->held, r->data, n);
		w->held += n;
		w->in += n;
	}
	w->finished = fin && stream;
	r->data += n;
	r->left -= n;
	r->fin = r->fin && !fin;
	return true;
}

/* A segment that waited and whose time has come; false: there is none. */
static bool take_waiting(struct replay *r, struct replay_way *w)
{
	for (unsigned int i = 0; i < w->waiting; i++) {
		if ((int32_t)(w->wait[i].seq - w->next) > 0)
			continue;
		const bool some =
			take(r, w, w->wait[i].seq, w->wait[i].at, w->wait[i].bytes, w->wait[i].fin);
		w->wait[i--] = w->wait[--w->waiting];
		if (some)
			return true;
	}
	return false;
}

/* The rest of the flow is as in the capture, but for the numbers. */
static void lose(struct replay *r, struct replay_step *step, const char *why)
{
	memset(&r->out, 0, offsetof(struct stream_out, act));
	r->out.give_up = true;
	r->out.why = why;
	absorb(r, step);
	r->flow->lost = true;
	r->left = 0;
	r->fin = r->gap = false;
}

bool replay_next(struct replay *r, struct replay_step *step)
{
	struct replay_way *w = r->flow ? &r->flow->way[r->from] : NULL;
	if (!w)
		return false;
	w->held -= r->passed;
	memmove(w->hold, w->hold + r->passed, w->held);
	r->passed = 0;
	if (r->flow->lost)
		return false;
	if (r->grants) {
		const struct alg_grant grant = r->pending[0].grant;
		const uint32_t token = r->pending[0].token;
		memmove(r->pending, r->pending + 1, --r->grants * sizeof(r->pending[0]));
		stream_granted(&r->pool, &r->flow->stream, token, &grant, &r->out);
		absorb(r, step);
		return true;
	}
	if (r->gap && !r->flow->raw) {
		lose(r, step, "bytes are missing in the capture");
		return true;
	}
	while (!r->more && (r->left || r->fin || take_waiting(r, w))) {
		if (!feed(r, w)) {
			lose(r, step, "too much is waiting");
			return true;
		}
		r->more = !r->flow->raw;
	}
	if (!r->more)
		return false;
	stream_step(&r->pool, &r->flow->stream, r->from, &r->out);
	absorb(r, step);
	return true;
}

/* What stands for the number of the far end's last byte. */
static uint32_t acknowledge(
	const struct replay_flow *f, const struct replay_way *other, uint32_t ack)
{
	if (!other->begun)
		return ack;
	if (f->lost)
		return ack + (uint32_t)(other->out - other->in);
	return other->base + (uint32_t)other->out + other->finished;
}

/* The whole payload as it came, behind the gap. */
static size_t write_lost(
	struct replay *r, const struct packet *p, const uint8_t *frame, uint8_t *out)
{
	const struct replay_way *w = &r->flow->way[r->from], *other = &r->flow->way[!r->from];
	const uint32_t n = p->bytes < PACKET_PAYLOAD_MAX ? p->bytes : PACKET_PAYLOAD_MAX;
	return packet_write(p, frame, p->seq + (uint32_t)(w->out - w->in),
		acknowledge(r->flow, other, p->ack), p->flags, p->payload, n, out);
}

size_t replay_write(struct replay *r, const struct packet *p, const uint8_t *frame, uint8_t *out)
{
	enum { PIECE_MIN = 1460 };
	struct replay_flow *f = r->flow;
	if (!f || r->written == UINT32_MAX)
		return 0;
	struct replay_way *w = &f->way[r->from];
	const uint32_t left = r->output_bytes - r->written,
		       most = p->bytes > PIECE_MIN ? p->bytes : PIECE_MIN,
		       room = f->stream.view.stream && most < PACKET_PAYLOAD_MAX
				      ? most
				      : PACKET_PAYLOAD_MAX,
		       n = left < room ? left : room;
	if (f->lost && !left) {
		r->written = UINT32_MAX;
		return write_lost(r, p, frame, out);
	}
	const bool last = n == left, syn = p->flags & PACKET_SYN;
	const uint8_t flags = last && w->finished ? p->flags : p->flags & (uint8_t)~PACKET_FIN;
	const uint32_t seq = syn ? p->seq : w->base + (uint32_t)w->out;
	const size_t bytes = packet_write(p, frame, seq, acknowledge(f, &f->way[!r->from], p->ack),
		flags, r->output + r->written, n, out);
	w->out += n;
	r->written = last && !f->lost ? UINT32_MAX : r->written + n;
	return bytes;
}

unsigned int replay_waiting(const struct replay *r)
{
	unsigned int n = 0;
	for (size_t i = 0; i < r->high; i++)
		n += r->table[i].used && !r->table[i].lost &&
		     (r->table[i].way[0].waiting || r->table[i].way[1].waiting);
	return n;
}
