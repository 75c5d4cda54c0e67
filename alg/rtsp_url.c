/*
 * URLs of RTSP: theory of operation.
 *
 *   url       = ( "rtsp" | "rtspu" | "rtsps" ) "://" authority *( what is left alone )
 *   authority = [ user "@" ] host [ ":" number ]
 *
 * The authority ends before / ? # or what ends a URL in a list: white space , ; " < >. Names and
 * IPv6 addresses are nobody's inside address.
 */
#include "rtsp_url.h"

#include <string.h>

/* A character that would make another scheme of it. */
static bool is_scheme_character(uint8_t c)
{
	return text_is_digit(c) || text_is_letter(c) || c == '+' || c == '-' || c == '.';
}

/* Whether what stands before `end`, and not before `begin`, is one of RTSP's schemes. */
static bool is_scheme(const uint8_t *begin, const uint8_t *end)
{
	struct text t = {end, end};
	while (t.p > begin && end - t.p < 6 && is_scheme_character(t.p[-1]))
		t.p--;
	return text_is(&t, "RTSP") || text_is(&t, "RTSPU") || text_is(&t, "RTSPS");
}

/* Takes the authority. */
static struct text take_authority(struct text *t)
{
	struct text all = {t->p, t->p};
	while (text_left(t) && *t->p > ' ' && *t->p < 127 && !strchr("/?#,;\"<>", *t->p))
		t->p++;
	all.end = t->p;
	const uint8_t *at = text_left(&all) ? memrchr(all.p, '@', text_left(&all)) : NULL;
	if (at)
		all.p = at + 1;
	return all;
}

static bool read_host(struct text host, struct rtsp_url *url)
{
	unsigned int port = RTSP_URL_PORT;
	*url = (struct rtsp_url){.host = host};
	if (!text_ip(&host, '.', &url->ip_be))
		return false;
	url->has_port = text_char(&host, ':');
	if (url->has_port && !text_number(&host, 65535, &port))
		return false;
	url->port = (uint16_t)port;
	return !text_left(&host);
}

bool rtsp_url_next(struct text *t, struct rtsp_url *url)
{
	const uint8_t *begin = t->p, *found;
	while (text_left(t) && (found = memmem(t->p, text_left(t), "://", 3))) {
		t->p = found + 3;
		if (is_scheme(begin, found) && read_host(take_authority(t), url))
			return true;
	}
	return false;
}
