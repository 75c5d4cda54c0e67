/*
 * What a guest calls itself: theory of operation.
 *
 *   body of application/sdp   o= and c=       the address
 *                             a=control:URL   host and port, where the guest serves
 *   Content-Base, Content-Location, Location, RTP-Info, the URI of its own requests
 *                             URLs            host and port, where the guest serves
 *   Content-Length            if the body became longer or shorter
 *
 * Only the guest's own address is replaced. Its port is, where it is the one to which the peer
 * came: that may have another number outside. The URI of what the peer requests is left as the peer
 * wrote it: Digest (RFC 2617) signs it, and a server that is reached by that name must know it
 * anyway.
 */
#include "rtsp_names.h"

#include "rtsp_url.h"
#include "sdp.h"

static void edit_urls(struct splice *s, const struct alg_flow *f, struct text t)
{
	struct rtsp_url url;
	while (rtsp_url_next(&t, &url)) {
		const bool own_port = url.port == f->guest_port;
		const uint16_t port = own_port ? f->outside_port : url.port;
		if (url.ip_be == f->guest_ip_be)
			splice_address(s, url.host, f->outside_ip_be,
				url.has_port || port != RTSP_URL_PORT ? port : 0);
	}
}

static void edit_line(struct splice *s, const struct alg_flow *f, const struct sdp_line *line)
{
	struct text span;
	uint32_t ip_be;
	if (sdp_address(line, &span, &ip_be) && ip_be == f->guest_ip_be)
		splice_address(s, span, f->outside_ip_be, 0);
	else if (f->guest_serves && sdp_attribute(line, "control", &span))
		edit_urls(s, f, span);
}

/* Whether the body is a description that can be read. */
static bool described(const struct header *h)
{
	struct text type, parameter, encoding;
	if (!text_left(&h->body) || !header_find(h, "CONTENT-TYPE", &type) ||
		header_find(h, "CONTENT-ENCODING", &encoding))
		return false;
	for (parameter = type; text_left(&parameter) && *parameter.p != ';'; parameter.p++)
		type.end = parameter.p + 1;
	type = header_trim(type);
	return text_is(&type, "APPLICATION/SDP") && sdp_valid(h->body);
}

static void edit_body(struct splice *s, const struct alg_flow *f, const struct header *h)
{
	struct text body = h->body, length;
	struct sdp_line line;
	const int32_t before = s->growth;
	while (sdp_next(&body, &line))
		edit_line(s, f, &line);
	const int32_t growth = s->growth - before;
	if (growth && header_find(h, "CONTENT-LENGTH", &length))
		splice_number(s, length, (uint32_t)((int32_t)text_left(&h->body) + growth));
}

static bool has_url(const struct text *name)
{
	return text_is(name, "CONTENT-BASE") || text_is(name, "CONTENT-LOCATION") ||
	       text_is(name, "LOCATION") || text_is(name, "RTP-INFO");
}

void rtsp_names_edit(
	struct splice *s, const struct alg_flow *f, const struct header *h, struct text uri)
{
	struct text lines = h->lines;
	struct header_line line;
	if (described(h))
		edit_body(s, f, h);
	if (!f->guest_serves)
		return;
	edit_urls(s, f, uri);
	while (header_next(&lines, &line))
		if (has_url(&line.name))
			edit_urls(s, f, line.value);
}
