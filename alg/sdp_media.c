/*
 * The media of a session description: theory of operation.
 *
 *   description = session-lines *( m-line media-lines )           the lines of sdp.c
 *   m-line      = "m=" media SP port [ "/" count ] SP transport [ SP formats ]
 *   transport   = "RTP/" profile | "UDP/" ... "RTP" ...                SDP_RTP
 *               | "udptl" | "udp" | "UDP/" others                      SDP_UDP
 *               | "tcp" | "TCP/" others than MSRP                      SDP_TCP
 *   connection  = as in sdp.c; of a section or, where it has none, of the session
 *   rtcp        = "a=rtcp:" port [ SP "IN" SP type SP address ]        RFC 3605 2.1
 *   setup       = "a=setup:" role                                      RFC 4145 4
 *   candidate   = "a=candidate:" foundation SP component SP ( "UDP" | "TCP" ) SP priority SP
 *                 address SP port SP "typ" SP ...                      RFC 8839 5.1
 *
 * A section is known only when the next one begins, since c= may stand behind the lines that lean on
 * it. Several addresses for one section (layers of multicast) are nobody's; the same one
 * several times is one.
 */
#include "sdp_media.h"

enum { PORT_MAX = 65535, PORT_DISCARD = 9 };

/* What the c= lines of a section or of the session say. */
struct connection {
	uint32_t ip_be;
	bool there, held;
};

struct reader {
	struct sdp_session *s;
	struct connection session, media;
	bool session_active; /* a=setup before the first m= */
	bool rtcp_alone;     /* the last a=rtcp names no address */
};

static bool has_part(struct text t, const char *upper)
{
	while (text_left(&t)) {
		const struct text part = text_until(&t, '/');
		if (text_is(&part, upper))
			return true;
	}
	return false;
}

static enum sdp_carrier carrier_of(struct text transport)
{
	struct text rest = transport;
	const struct text first = text_until(&rest, '/');
	if (text_is(&first, "TCP"))
		return has_part(rest, "MSRP") ? SDP_OTHER : SDP_TCP;
	if (text_is(&first, "UDP"))
		return has_part(rest, "RTP") ? SDP_RTP : SDP_UDP;
	const struct text profile = text_until(&rest, '/');
	if (text_is(&first, "RTP") && text_left(&profile) && profile.end == transport.end)
		return SDP_RTP;
	return text_is(&transport, "UDPTL") ? SDP_UDP : SDP_OTHER;
}

static bool read_media(struct text t, struct sdp_media *m)
{
	struct text field;
	*m = (struct sdp_media){.count = 1};
	if (!sdp_field(&t, &field))
		return false;
	m->port.p = t.p;
	if (!text_number(&t, PORT_MAX, &m->number))
		return false;
	m->port.end = t.p;
	if (text_char(&t, '/') && (!text_number(&t, PORT_MAX, &m->count) || !m->count))
		return false;
	if (!text_char(&t, ' ') || !text_left(&t) || *t.p == ' ')
		return false;
	if (!sdp_field(&t, &field))
		field = t;
	m->carrier = carrier_of(field);
	m->rejected = !m->number;
	return true;
}

static void add_connection(struct connection *c, const struct sdp_line *line)
{
	struct text span;
	uint32_t ip_be;
	struct connection next = {.there = true};
	if (sdp_address(line, &span, &ip_be))
		next = (struct connection){.ip_be = ip_be, .there = true, .held = !ip_be};
	if (!c->there)
		*c = next;
	else if (c->ip_be != next.ip_be || c->held != next.held)
		*c = (struct connection){.there = true};
}

/* What a=rtcp says. `alone`: it names a port and no address. host: of an IPv4 address, else empty. */
struct rtcp {
	struct text port, host;
	uint32_t number, ip_be;
	bool alone;
};

static bool read_rtcp(const struct sdp_line *line, struct rtcp *r)
{
	struct sdp_line network = {.type = 'c'};
	struct text t;
	*r = (struct rtcp){.number = 0};
	if (!sdp_attribute(line, "rtcp", &t))
		return false;
	r->port.p = t.p;
	if (!text_number(&t, PORT_MAX, &r->number) || !r->number)
		return false;
	r->port.end = t.p;
	if (text_left(&t) && !text_spaces(&t))
		return false;
	r->alone = !text_left(&t);
	network.value = t;
	if (!sdp_address(&network, &r->host, &r->ip_be)) {
		r->host = (struct text){t.p, t.p};
		r->ip_be = 0;
	}
	return true;
}

/* a=setup: whether nobody is to connect. */
static bool read_setup(const struct sdp_line *line, bool *active)
{
	struct text role;
	if (!sdp_attribute(line, "setup", &role))
		return false;
	*active = text_is(&role, "ACTIVE") || text_is(&role, "HOLDCONN");
	return true;
}

static void add_attribute(struct reader *r, const struct sdp_line *line)
{
	struct sdp_media *m = r->s->media_count ? &r->s->media[r->s->media_count - 1] : NULL;
	struct rtcp rtcp;
	if (read_setup(line, m ? &m->active : &r->session_active) || !m)
		return;
	m->mux |= sdp_flag(line, "rtcp-mux");
	if (text_left(&m->rtcp) || !read_rtcp(line, &rtcp))
		return;
	m->rtcp = rtcp.port;
	m->rtcp_number = rtcp.number;
	m->rtcp_ip_be = rtcp.ip_be;
	r->rtcp_alone = rtcp.alone;
}

/* What the whole of a section says of its m= line. */
static void end_media(const struct reader *r)
{
	const struct connection *c = r->media.there ? &r->media : &r->session;
	struct sdp_media *m;
	if (!r->s->media_count)
		return;
	m = &r->s->media[r->s->media_count - 1];
	m->ip_be = c->ip_be;
	m->held = c->held;
	m->active = m->carrier == SDP_TCP && (m->active || m->number == PORT_DISCARD);
	m->mux &= !text_left(&m->rtcp);
	if (r->rtcp_alone || !text_left(&m->rtcp))
		m->rtcp_ip_be = m->ip_be;
}

static bool begin_media(struct reader *r, const struct sdp_line *line)
{
	struct sdp_session *s = r->s;
	end_media(r);
	if (s->media_count == SDP_MEDIA || !read_media(line->value, &s->media[s->media_count]))
		return false;
	s->media[s->media_count++].active = r->session_active;
	r->media = (struct connection){.there = false};
	return true;
}

bool sdp_read(struct text body, struct sdp_session *s)
{
	struct reader r = {.s = s};
	struct sdp_line line;
	s->body = body;
	s->media_count = 0;
	if (!sdp_valid(body))
		return false;
	while (sdp_next(&body, &line)) {
		if (line.type == 'm' && !begin_media(&r, &line))
			return false;
		if (line.type == 'c')
			add_connection(s->media_count ? &r.media : &r.session, &line);
		if (line.type == 'a')
			add_attribute(&r, &line);
	}
	end_media(&r);
	s->ip_be = r.session.ip_be;
	return true;
}

static bool read_candidate(const struct sdp_line *line, struct sdp_place *place)
{
	struct text t, transport, field;
	if (!sdp_attribute(line, "candidate", &t) || !sdp_field(&t, &field) ||
		!sdp_field(&t, &field) || !sdp_field(&t, &transport) || !sdp_field(&t, &field))
		return false;
	place->kind = SDP_CANDIDATE;
	place->stream = text_is(&transport, "TCP");
	place->host.p = t.p;
	if ((!place->stream && !text_is(&transport, "UDP")) || !text_ip(&t, '.', &place->ip_be))
		return false;
	place->host.end = t.p;
	place->port.p = t.p + 1;
	if (!text_char(&t, ' ') || !text_number(&t, PORT_MAX, &place->number))
		return false;
	place->port.end = t.p;
	return text_char(&t, ' ') && sdp_field(&t, &field) && text_is(&field, "TYP");
}

static bool read_place(const struct sdp_line *line, struct sdp_place *place)
{
	struct rtcp rtcp;
	*place = (struct sdp_place){.kind = line->type == 'o' ? SDP_ORIGIN : SDP_CONNECTION};
	if (sdp_address(line, &place->host, &place->ip_be))
		return true;
	if (!read_rtcp(line, &rtcp))
		return read_candidate(line, place);
	*place = (struct sdp_place){
		.kind = SDP_RTCP,
		.host = rtcp.host,
		.port = rtcp.port,
		.ip_be = rtcp.ip_be,
		.number = rtcp.number,
	};
	return text_left(&rtcp.host);
}

bool sdp_next_place(struct text *rest, struct sdp_place *place)
{
	struct sdp_line line;
	while (sdp_next(rest, &line))
		if (read_place(&line, place))
			return true;
	return false;
}

unsigned int sdp_media_at(const struct sdp_session *s, struct text span)
{
	unsigned int i = s->media_count;
	while (i && span.p < s->media[i - 1].port.p)
		i--;
	return i ? i - 1 : s->media_count;
}
