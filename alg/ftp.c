/*
 * FTP (RFC 959, RFC 2428, RFC 4217): the control connection.
 *
 *   guest is the client                      guest is the server (published)
 *     PORT h1,h2,h3,h4,p1,p2   wish, edit      227 .. (h1,h2,h3,h4,p1,p2)  wish, edit
 *     EPRT |1|ip|port|         wish, edit      229 .. (|||port|)           wish, edit the port
 *     227, 229 replies         untouched       PORT, EPRT commands         untouched
 *
 * A message is a line. When is a line believed?
 *  - The flow must look like FTP from its first byte: the client's first line is one of FTP's verbs
 * and every further line is shaped like a command; each reply starts with a code. A POST with a
 * PORT in its body fails on its first line, and one failure ends inspection for good (NAT
 * slipstreaming).
 *  - A pinhole is wished for only after the server let the user in (230, 232), so a server that
 * does not speak FTP opens nothing; nobody may come in before it took the PORT (2xx), and the
 * pinhole is closed again if it did not.
 *  - The address is literally the guest's own (no bounce), the port at least ALG_PORT_MIN, the
 * whole line as the RFC has it. Otherwise the line goes on as it is, without a pinhole.
 *  - After 234 the connection is TLS: nothing to see, and CCC (RFC 4217 12.3) does not bring it
 * back. A refused AUTH changes nothing.
 *  - RFC 1639 (LPRT, LPSV), IPv6 in EPRT and passive replies to a guest that is the client go on as
 * they are.
 * Telnet sequences (RFC 854) may stand before a command, as before ABOR; they cost the line its
 * wish.
 */
#include <string.h>

#include "protocols.h"
#include "text.h"

enum {
	LINE_MAX_BYTES = 4096,
	VERB_MAX = 12,
	PINHOLE_MS = 30000,
	TELNET_IAC = 255,
	TELNET_WILL = 251
};

enum passive { PASSIVE_PASV = 1, PASSIVE_EPSV = 2 };

struct ftp {
	bool opened;  /* the client's first line was FTP */
	bool greeted; /* the server's first reply was there; it answers no command */
	bool logged_in;
	bool refusable;	    /* replies can be matched to commands: no ABOR so far */
	uint8_t passive;    /* bit set of enum passive: what the client asked for */
	uint16_t multiline; /* code of the reply whose last line has not come; 0 = none */
	uint32_t commands, replies;
	uint32_t pinhole_command; /* the command whose reply decides about the pinhole; 0 = none */
	uint32_t token;		  /* of the last pinhole; 0 = there was none */
};
_Static_assert(sizeof(struct ftp) <= ALG_STATE_BYTES, "fits a flow");

/* Where an address and port lie in a line, or a port alone. */
struct spot {
	struct text span;
	uint32_t ip_be;
	unsigned int port;
	enum { SPOT_COMMAS, SPOT_BARS, SPOT_PORT } form;
	uint8_t bar;
};

static size_t ftp_frame(const void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen)
{
	return text_line(p, n, seen);
}

/* h1,h2,h3,h4,p1,p2 */
static bool read_commas(struct text *t, struct spot *s)
{
	struct text at = *t;
	unsigned int high, low;
	if (!text_ip(&at, ',', &s->ip_be) || !text_char(&at, ',') ||
		!text_number(&at, 255, &high) || !text_char(&at, ',') ||
		!text_number(&at, 255, &low))
		return false;
	s->span = (struct text){t->p, at.p};
	s->port = high << 8 | low;
	s->form = SPOT_COMMAS;
	*t = at;
	return true;
}

/* Any printable character that is no digit (RFC 2428 2). */
static bool is_bar(uint8_t c)
{
	return c > ' ' && c < 127 && !(c >= '0' && c <= '9');
}

/* |1|ip|port| */
static bool read_bars(struct text *t, struct spot *s)
{
	struct text at = *t;
	unsigned int protocol;
	if (!text_left(&at))
		return false;
	s->bar = *at.p++;
	if (!is_bar(s->bar) || !text_number(&at, 2, &protocol) || protocol != 1 ||
		!text_char(&at, s->bar))
		return false;
	s->span.p = at.p;
	if (!text_ip(&at, '.', &s->ip_be) || !text_char(&at, s->bar) ||
		!text_number(&at, 65535, &s->port))
		return false;
	s->span.end = at.p;
	s->form = SPOT_BARS;
	*t = at;
	return text_char(t, s->bar);
}

/* (|||port|) */
static bool read_port(struct text *t, struct spot *s)
{
	struct text at = *t;
	if (!text_char(&at, '(') || !text_left(&at))
		return false;
	uint8_t bar = *at.p;
	if (!is_bar(bar) || !text_char(&at, bar) || !text_char(&at, bar) || !text_char(&at, bar))
		return false;
	s->span.p = at.p;
	if (!text_number(&at, 65535, &s->port))
		return false;
	s->span.end = at.p;
	s->form = SPOT_PORT;
	*t = at;
	return text_char(t, bar) && text_char(t, ')');
}

/* The arguments of PORT or EPRT, which must be all that the line holds. */
static bool command_spot(struct text verb, struct text rest, struct spot *s)
{
	bool found = false;
	if (!text_spaces(&rest))
		return false;
	if (text_is(&verb, "PORT"))
		found = read_commas(&rest, s);
	else if (text_is(&verb, "EPRT"))
		found = read_bars(&rest, s);
	text_spaces(&rest);
	return found && !text_left(&rest);
}

/* The first place in a 227 or 229 reply that holds what such a reply must hold (RFC 1123 4.1.2.6).
 */
static bool reply_spot(unsigned int code, struct text rest, struct spot *s)
{
	for (; text_left(&rest); rest.p++) {
		if (code == 229 ? *rest.p == '(' : *rest.p >= '0' && *rest.p <= '9')
			return code == 229 ? read_port(&rest, s) : read_commas(&rest, s);
	}
	return false;
}

/* The one before is of no use any more. Whether the server takes a PORT is known only where its
 * replies can be told apart. */
static void wish(
	struct ftp *s, const struct alg_flow *f, const struct spot *spot, struct alg_answer *a)
{
	if ((spot->form != SPOT_PORT && spot->ip_be != f->guest_ip_be) || spot->port < ALG_PORT_MIN)
		return;
	if (s->token)
		alg_act_add(a, ALG_CLOSE, s->token);
	a->result = ALG_WISH;
	a->wish[a->wish_count++] = (struct alg_wish){.kind = ALG_TCP_LISTEN,
		.guest_port = (uint16_t)spot->port,
		.latent = !f->guest_serves && s->refusable,
		.token = ++s->token,
		.peer_ip_be = f->peer_ip_be,
		.lifetime_ms = PINHOLE_MS};
}

static bool known_verb(const struct text *verb)
{
	static const char *const verbs[] = {"USER", "PASS", "ACCT", "AUTH", "ADAT", "PBSZ", "PROT",
		"CCC", "MIC", "CONF", "ENC", "HOST", "FEAT", "OPTS", "LANG", "CLNT", "CSID", "SYST",
		"HELP", "NOOP", "STAT", "SITE", "QUIT", "REIN", "ABOR", "PWD", "CWD", "TYPE",
		"PORT", "EPRT", "PASV", "EPSV"};
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (text_is(verb, verbs[i]))
			return true;
	return false;
}

static bool foreign_verb(const struct text *verb)
{
	static const char *const verbs[] = {
		"GET", "POST", "PUT", "HEAD", "PATCH", "TRACE", "CONNECT", "OPTIONS"};
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (text_is(verb, verbs[i]))
			return true;
	return false;
}

static bool skip_telnet(struct text *t)
{
	bool any = false;
	while (text_left(t) >= 2 && t->p[0] == TELNET_IAC && t->p[1] >= 240 &&
		t->p[1] != TELNET_IAC) {
		t->p += t->p[1] >= TELNET_WILL && text_left(t) >= 3 ? 3 : 2;
		any = true;
	}
	return any;
}

static void on_command(
	struct ftp *s, const struct alg_flow *f, struct text line, struct alg_answer *a)
{
	struct text verb;
	struct spot spot;
	bool telnet = skip_telnet(&line);
	if (!text_word(&line, VERB_MAX, &verb) || (text_left(&line) && *line.p != ' ')) {
		alg_violation(a, "not an FTP command");
		return;
	}
	if (foreign_verb(&verb) || (!s->opened && !known_verb(&verb))) {
		alg_violation(a, "another protocol than FTP");
		return;
	}
	s->refusable = (s->refusable || !s->opened) && !text_is(&verb, "ABOR");
	s->opened = true;
	s->commands++;
	if (text_is(&verb, "PASV"))
		s->passive |= PASSIVE_PASV;
	else if (text_is(&verb, "EPSV"))
		s->passive |= PASSIVE_EPSV;
	else if (text_is(&verb, "REIN"))
		s->logged_in = false;
	if (!f->guest_serves && s->logged_in && !telnet && command_spot(verb, line, &spot))
		wish(s, f, &spot, a);
}

/* What a whole reply changes. */
static void on_reply(struct ftp *s, unsigned int code, struct alg_answer *a)
{
	if (code == 230 || code == 232)
		s->logged_in = true;
	if (code == 234) {
		a->result = ALG_DONE;
		a->why = "the connection is encrypted from here on";
	}
	if (code < 200)
		return;
	s->replies += s->greeted;
	s->greeted = true;
	if (!s->refusable || !s->pinhole_command || s->replies != s->pinhole_command)
		return;
	alg_act_add(a, code < 300 ? ALG_ARM : ALG_CLOSE, s->token);
	s->pinhole_command = 0;
}

/* Of a reply the last line, which says the same as the reply: `rest` follows its code. */
static void on_last_line(struct ftp *s, const struct alg_flow *f, unsigned int code,
	struct text rest, struct alg_answer *a)
{
	const uint8_t asked = code == 227 ? PASSIVE_PASV : code == 229 ? PASSIVE_EPSV : 0;
	struct spot spot;
	on_reply(s, code, a);
	if (f->guest_serves && s->logged_in && s->passive & asked && reply_spot(code, rest, &spot))
		wish(s, f, &spot, a);
	s->passive &= (uint8_t)~asked;
}

static void on_reply_line(
	struct ftp *s, const struct alg_flow *f, struct text line, struct alg_answer *a)
{
	struct text rest = line;
	unsigned int code = 0;
	bool coded = text_left(&line) >= 3 && text_number(&rest, 699, &code) &&
		     rest.p - line.p == 3 && code >= 100;
	bool last = coded && (!text_left(&rest) || *rest.p == ' ');
	bool more = coded && text_left(&rest) && *rest.p == '-';
	if (s->multiline && (!last || code != s->multiline))
		return;
	if (!s->multiline && !last && !more) {
		alg_violation(a, "not an FTP reply");
		return;
	}
	s->multiline = last ? 0 : (uint16_t)code;
	if (last)
		on_last_line(s, f, code, rest, a);
}

static void ftp_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	bool command = (from == ALG_GUEST) != f->guest_serves;
	if (memchr(p, '\0', n))
		alg_violation(a, "a NUL byte in a line");
	else if (command)
		on_command(state, f, text_without_end(p, n), a);
	else
		on_reply_line(state, f, text_without_end(p, n), a);
}

/* The spot once more: the same line gives the same spot. */
static bool find_spot(const struct alg_flow *f, struct text line, struct spot *s)
{
	struct text verb;
	unsigned int code;
	if (f->guest_serves)
		return text_number(&line, 699, &code) && reply_spot(code, line, s);
	return text_word(&line, VERB_MAX, &verb) && command_spot(verb, line, s);
}

static void write_spot(const struct spot *s, const struct alg_grant *g, struct alg_edit *e)
{
	switch (s->form) {
	case SPOT_COMMAS:
		text_put_ip(e->text, &e->bytes, ',', g->outside_ip_be);
		text_put_char(e->text, &e->bytes, ',');
		text_put_number(e->text, &e->bytes, g->outside_port >> 8);
		text_put_char(e->text, &e->bytes, ',');
		text_put_number(e->text, &e->bytes, g->outside_port & 255);
		break;
	case SPOT_BARS:
		text_put_ip(e->text, &e->bytes, '.', g->outside_ip_be);
		text_put_char(e->text, &e->bytes, s->bar);
		text_put_number(e->text, &e->bytes, g->outside_port);
		break;
	case SPOT_PORT: text_put_number(e->text, &e->bytes, g->outside_port); break;
	}
}

static void ftp_granted(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, const struct alg_grant *g, struct alg_answer *a)
{
	struct ftp *s = state;
	struct spot spot;
	if (!g || !find_spot(f, text_without_end(p, n), &spot))
		return;
	struct alg_edit *e =
		alg_edit_add(a, (size_t)(spot.span.p - p), text_left(&spot.span));
	write_spot(&spot, g, e);
	s->pinhole_command = !f->guest_serves && s->refusable ? s->commands : 0;
}

const struct alg_protocol ftp_protocol = {
	.name = "ftp",
	.alg = ALGS_FTP,
	.transports = ALGS_TCP,
	.message_max = LINE_MAX_BYTES,
	.frame = ftp_frame,
	.message = ftp_message,
	.granted = ftp_granted,
};
