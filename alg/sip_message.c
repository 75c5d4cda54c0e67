/*
 * SIP messages: theory of operation.
 *
 *   message  = ( request | response ) line-end header      header.c: lines, folded or not, an empty one, a body
 *   request  = method SP uri SP version                    method: a token, whatever it says
 *   uri      = letter *( letter | digit | + - . ) ":" *( any byte but white space and controls )
 *   response = version SP status [ SP reason ]             status: 100 to 699; reason: any bytes but controls
 *   version  = "SIP/2.0"                                   in any case
 *
 * The start line is judged byte by byte, so that another protocol is known by its first byte that
 * cannot be SIP's: TLS by its first, an HTTP request by the / of its path or the H of its version.
 *
 *            SP           SP               line end
 *   FIRST ──────▶ URI ──────────▶ VERSION ────────▶
 *     └─────────▶ STATUS ───────▶ REASON ─────────▶       FIRST was SIP/2.0
 *                    └─────────────────────────────▶
 *
 * header.c has the rule for header lines: what two readers could understand differently is no
 * message. So it is with Content-Length, by its long and its compact name. Whatever else is there
 * twice or broken counts as absent.
 */
#include "sip_message.h"

#include <string.h>

#include "sip_text.h"

enum {
	START_MAX = 8192,
	METHOD_MAX = 64,
	SCHEME_MAX = 32,
	VERSION_BYTES = 7,
	STATUS_DIGITS = 3,
	CSEQ_MAX = 0x7fffffff,
	STUN_HEADER = 20,
};

/* ---- the start line ---- */

enum word { WORD_FIRST, WORD_URI, WORD_VERSION, WORD_STATUS, WORD_REASON };

/* Where in a start line a byte stands. */
struct position {
	enum word word;
	const uint8_t *begin; /* of the word */
};

/* Whether these bytes, VERSION_BYTES at most, are the beginning of a version. */
static bool is_version(const uint8_t *p, size_t n)
{
	const struct text t = text(p, n);
	char upper[VERSION_BYTES + 1] = "SIP/2.0";
	upper[n] = '\0';
	return text_is(&t, upper);
}

static enum word word_behind(enum word word, bool response)
{
	if (word == WORD_FIRST)
		return response ? WORD_STATUS : WORD_URI;
	return response ? WORD_REASON : WORD_VERSION;
}

/* A method has no slash, and a version one at its fourth byte. */
static bool is_response(const uint8_t *p, size_t n)
{
	return n > 3 && p[3] == '/';
}

/* The place of p[at], which good bytes stand before. */
static struct position position_of(const uint8_t *p, size_t at)
{
	struct position here = {WORD_FIRST, p};
	const uint8_t *space;
	for (int i = 0; i < 2; i++) {
		space = memchr(here.begin, ' ', (size_t)(p + at - here.begin));
		if (!space)
			break;
		here = (struct position){word_behind(here.word, is_response(p, at)), space + 1};
	}
	return here;
}

static bool good_first(const uint8_t *begin, size_t at)
{
	if (is_response(begin, at + 1))
		return at < VERSION_BYTES && is_version(begin, at + 1);
	return at < METHOD_MAX && sip_is_token(begin[at]);
}

static bool good_uri(const uint8_t *begin, size_t at)
{
	const uint8_t c = begin[at];
	if (memchr(begin, ':', at < SCHEME_MAX ? at : SCHEME_MAX))
		return c > ' ' && c != 127;
	if (!at)
		return text_is_letter(c);
	return at < SCHEME_MAX &&
	       (text_is_letter(c) || text_is_digit(c) || (c && strchr("+-.:", c)));
}

static bool good_byte(const struct position *here, const uint8_t *p)
{
	const size_t at = (size_t)(p - here->begin);
	switch (here->word) {
	case WORD_FIRST: return good_first(here->begin, at);
	case WORD_URI: return good_uri(here->begin, at);
	case WORD_VERSION: return at < VERSION_BYTES && is_version(here->begin, at + 1);
	case WORD_STATUS:
		return at < STATUS_DIGITS && *p >= (at ? '0' : '1') && *p <= (at ? '9' : '6');
	case WORD_REASON: return (*p >= ' ' || *p == '\t') && *p != 127;
	}
	return false;
}

/* Whether a space may stand at p and end a word that is not the last one. */
static bool good_space(const struct position *here, const uint8_t *p, bool response)
{
	const size_t bytes = (size_t)(p - here->begin);
	switch (here->word) {
	case WORD_FIRST: return response ? bytes == VERSION_BYTES : bytes > 0;
	case WORD_URI: return bytes > 1 && memchr(here->begin, ':', bytes - 1);
	case WORD_STATUS: return bytes == STATUS_DIGITS;
	case WORD_VERSION:
	case WORD_REASON: return false;
	}
	return false;
}

/* Whether the line may end before p. */
static bool good_end(const struct position *here, const uint8_t *p)
{
	const size_t bytes = (size_t)(p - here->begin);
	return here->word == WORD_REASON || (here->word == WORD_STATUS && bytes == STATUS_DIGITS) ||
	       (here->word == WORD_VERSION && bytes == VERSION_BYTES);
}

/* How many bytes show that this is no start line; 0: none of them does, so far. The first `seen`
 * did not, but for a CR at their end. */
static size_t offence(const uint8_t *p, size_t n, size_t seen)
{
	size_t i = seen ? seen - 1 : 0;
	struct position here = position_of(p, i);
	if (memchr(p, '\n', i))
		return 0;
	for (; i < n && p[i] != '\n'; i++) {
		const bool response = is_response(p, i);
		if (p[i] == '\r' && good_end(&here, p + i) && (i + 1 == n || p[i + 1] == '\n'))
			continue;
		if (p[i] == ' ' && good_space(&here, p + i, response))
			here = (struct position){word_behind(here.word, response), p + i + 1};
		else if (i >= START_MAX || !good_byte(&here, p + i))
			return i + 1;
	}
	const size_t end = i && p[i - 1] == '\r' ? i - 1 : i;
	return i < n && !good_end(&here, p + end) ? i + 1 : 0;
}

/* line: without its end. */
static bool read_start(struct text line, struct sip_message *m)
{
	const size_t n = text_left(&line);
	if (!n || offence(line.p, n, 0))
		return false;
	const struct position last = position_of(line.p, n);
	if (!good_end(&last, line.end))
		return false;
	m->request = last.word == WORD_VERSION;
	m->method = text_until(&line, ' ');
	m->uri = text_until(&line, ' ');
	if (m->request)
		return true;
	m->status = 0;
	for (const uint8_t *p = m->uri.p; p < m->uri.end; p++)
		m->status = m->status * 10 + (uint32_t)(*p - '0');
	m->method = m->uri = (struct text){line.p, line.p};
	return true;
}

/* ---- header lines ---- */

static const struct {
	const char *name;
	uint8_t compact; /* 0: it has none */
	enum sip_field field;
} names[] = {
	{"VIA", 'V', SIP_VIA},
	{"CONTACT", 'M', SIP_CONTACT},
	{"FROM", 'F', SIP_FROM},
	{"TO", 'T', SIP_TO},
	{"CALL-ID", 'I', SIP_CALL_ID},
	{"CSEQ", 0, SIP_CSEQ},
	{"EXPIRES", 0, SIP_EXPIRES},
	{"CONTENT-LENGTH", 'L', SIP_CONTENT_LENGTH},
	{"CONTENT-TYPE", 'C', SIP_CONTENT_TYPE},
	{"CONTENT-ENCODING", 'E', SIP_CONTENT_ENCODING},
	{"AUTHORIZATION", 0, SIP_CREDENTIALS},
	{"PROXY-AUTHORIZATION", 0, SIP_CREDENTIALS},
	{"ROUTE", 0, SIP_ROUTES},
	{"RECORD-ROUTE", 0, SIP_ROUTES},
	{"PATH", 0, SIP_ROUTES},
	{"SERVICE-ROUTE", 0, SIP_ROUTES},
	{"REFER-TO", 'R', SIP_REFER_TO},
	{"REFERRED-BY", 'B', SIP_NAMED},
	{"REPLY-TO", 0, SIP_NAMED},
	{"P-ASSERTED-IDENTITY", 0, SIP_NAMED},
	{"P-PREFERRED-IDENTITY", 0, SIP_NAMED},
	{"P-ASSOCIATED-URI", 0, SIP_NAMED},
	{"P-CALLED-PARTY-ID", 0, SIP_NAMED},
	{"P-SERVED-USER", 0, SIP_NAMED},
	{"P-PROFILE-KEY", 0, SIP_NAMED},
	{"REMOTE-PARTY-ID", 0, SIP_NAMED},
	{"DIVERSION", 0, SIP_NAMED},
	{"HISTORY-INFO", 0, SIP_NAMED},
	{"CALL-INFO", 0, SIP_NAMED},
	{"ALERT-INFO", 0, SIP_NAMED},
	{"ERROR-INFO", 0, SIP_NAMED},
	{"GEOLOCATION", 0, SIP_NAMED},
};

static enum sip_field field_of(const struct text *name)
{
	const uint8_t first = *name->p & (uint8_t)~0x20;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (text_left(name) == 1
				? first == names[i].compact
				: first == (uint8_t)*names[i].name && text_is(name, names[i].name))
			return names[i].field;
	return SIP_OTHER;
}

bool sip_next_line(struct text *lines, struct sip_line *line)
{
	struct header_line next;
	if (!header_next(lines, &next))
		return false;
	*line = (struct sip_line){field_of(&next.name), next.name, next.value};
	return true;
}

/* ---- what the header lines say ---- */

/* The parameters behind an address, with brackets or without. */
static struct text behind_address(struct text t)
{
	while (text_left(&t) && *t.p != '<' && *t.p != ';') {
		if (*t.p != '"')
			t.p++;
		else if (!sip_quoted(&t))
			t.p = t.end;
	}
	if (text_left(&t) && *t.p == '<') {
		const uint8_t *end = memchr(t.p, '>', text_left(&t));
		t.p = end ? end + 1 : t.end;
	}
	return t;
}

/* Empty where there is none, or several. */
static struct text only_parameter(struct text t, const char *upper)
{
	struct text value;
	return sip_parameter_find(t, upper, &value) ? value : (struct text){t.p, t.p};
}

static struct text branch_of(struct text via)
{
	while (text_left(&via) && *via.p != ';' && *via.p != ',')
		via.p++;
	return only_parameter(via, "BRANCH");
}

static void read_cseq(struct sip_message *m, struct text value)
{
	struct text number = {value.p, value.p}, method;
	while (text_left(&value) && !sip_is_space(*value.p))
		value.p++;
	number.end = value.p;
	sip_space(&value);
	if (!sip_number(number, &m->cseq) || m->cseq > CSEQ_MAX || !sip_token(&value, &method) ||
		text_left(&value))
		method = (struct text){value.p, value.p};
	m->cseq_method = method;
}

static bool has_space(struct text t)
{
	while (text_left(&t) && !sip_is_space(*t.p))
		t.p++;
	return text_left(&t);
}

/* first: of its kind. What may come once and comes again counts as empty. */
static void read_line(struct sip_message *m, bool first, const struct sip_line *line)
{
	const struct text none = {line->value.p, line->value.p}, value = first ? line->value : none;
	switch (line->field) {
	case SIP_VIA: m->branch = first ? branch_of(value) : m->branch; break;
	case SIP_FROM: m->from_tag = only_parameter(behind_address(value), "TAG"); break;
	case SIP_TO: m->to_tag = only_parameter(behind_address(value), "TAG"); break;
	case SIP_CALL_ID: m->call_id = has_space(value) ? none : value; break;
	case SIP_CSEQ: read_cseq(m, value); break;
	case SIP_EXPIRES:
		if (!sip_number(value, &m->expires))
			m->expires = UINT32_MAX;
		break;
	case SIP_CONTENT_LENGTH: m->length = value; break;
	case SIP_CONTENT_TYPE: m->type = value; break;
	case SIP_CONTENT_ENCODING: m->encoding = value; break;
	case SIP_OTHER:
	case SIP_CONTACT:
	case SIP_CREDENTIALS:
	case SIP_ROUTES:
	case SIP_REFER_TO:
	case SIP_NAMED: break;
	}
}

/* false: Content-Length is there, but not once and a number. body: what it says; left alone where it is not there. */
static bool read_lines(struct sip_message *m, uint32_t *body)
{
	struct text lines = m->h.lines;
	struct sip_line line;
	bool seen[SIP_NAMED + 1] = {false}; /* by enum sip_field */
	m->call_id = m->cseq_method = m->branch = m->from_tag = m->to_tag = m->length = m->type =
		m->encoding = (struct text){lines.p, lines.p};
	m->expires = UINT32_MAX;
	while (sip_next_line(&lines, &line)) {
		read_line(m, !seen[line.field], &line);
		seen[line.field] = true;
	}
	return !seen[SIP_CONTENT_LENGTH] || header_digits(m->length, body);
}

/* ---- messages ---- */

size_t sip_frame(const uint8_t *p, size_t n, size_t seen)
{
	struct sip_message m = {0};
	size_t length;
	uint32_t body = 0;
	if (*p == '\n' || *p == '\r')
		return *p == '\n' ? 1 : n < 2 ? 0 : 2;
	const size_t bad = offence(p, n, seen);
	if (bad)
		return bad;
	if (!memchr(p + seen, '\n', n - seen))
		return 0; /* neither the start line's end nor the header's can be new */
	const enum header_block block = header_read(p, n, true, &m.h, &length);
	if (block == HEADER_SHORT)
		return 0;
	return block == HEADER_WHOLE && read_lines(&m, &body) ? length + body : length;
}

bool sip_read(const uint8_t *p, size_t n, bool stream, struct sip_message *m)
{
	size_t length;
	*m = (struct sip_message){0};
	if (header_read(p, n, true, &m->h, &length) != HEADER_WHOLE || !read_start(m->h.start, m))
		return false;
	const size_t left = n - length;
	uint32_t body = stream ? 0 : (uint32_t)left;
	if (!read_lines(m, &body) || (stream ? body != left : body > left))
		return false;
	m->h.body = text(p + length, body);
	return true;
}

static bool is_stun(const uint8_t *p, size_t n)
{
	static const uint8_t cookie[] = {0x21, 0x12, 0xa4, 0x42}; /* RFC 5389 6 */
	return n >= STUN_HEADER && p[0] < 0x40 && n - STUN_HEADER == (size_t)(p[2] << 8 | p[3]) &&
	       !memcmp(p + 4, cookie, sizeof(cookie));
}

bool sip_is_keepalive(const uint8_t *p, size_t n)
{
	static const uint8_t blank[] = {'\r', '\n', ' ', '\t'};
	size_t blanks = 0, zeros = 0;
	while (blanks < n && memchr(blank, p[blanks], sizeof(blank)))
		blanks++;
	while (zeros < n && !p[zeros])
		zeros++;
	return blanks == n || zeros == n || is_stun(p, n);
}

bool sip_read_fragment(struct text body, struct sip_message *m)
{
	const size_t n = text_line(body.p, text_left(&body), 0);
	const size_t first = n ? n : text_left(&body);
	uint32_t length;
	*m = (struct sip_message){.fragment = true};
	m->h.start = text_without_end(body.p, first);
	if (read_start(m->h.start, m))
		body.p += first;
	else
		m->h.start = m->method = m->uri = (struct text){body.p, body.p};
	if (!header_lines(body, true, &m->h.lines))
		return false;
	read_lines(m, &length);
	m->h.body = (struct text){m->h.lines.end, body.end};
	return text_left(&m->h.start) || text_left(&m->h.lines);
}
