/*
 * What a body holds: theory of operation.
 *
 *   media-type  = token "/" token *( ";" parameter )                   white space around each, case does not matter
 *   multipart   = [ preamble line-end ] delimiter *( part delimiter ) part close [ epilogue ]
 *   delimiter   = "--" boundary *WS line-end                           at the beginning of a line
 *   close       = "--" boundary "--" *WS ( line-end | end )
 *   part        = *header-line line-end content line-end               the last line-end is the delimiter's
 *   header-line = Content-Type | Content-Encoding | Content-Length, or their compact names
 *               | Content-Transfer-Encoding | anything else            as in header.c
 *   credentials = [ "Digest" ] name "=" value *( "," name "=" value )  qop=auth-int: the body is signed
 *
 *   application/sdp                   a description
 *   message/sipfrag                   a fragment
 *   multipart/...                     parts, which may be multiparts again
 *   application/pkcs7-mime, multipart/signed, multipart/encrypted      left alone, with a note
 *   others, or none                   left alone
 *
 * Parts are found by their delimiters alone, so that what is in a part that is not meant may be any
 * bytes (ISUP). A multipart without its close ends where the body does that it is part of. Each body
 * is walked once for each multipart around it, of which there are SIP_BODY_DEPTH at most.
 */
#include "sip_body.h"

#include <string.h>

#include "sip_text.h"

enum { BOUNDARY_MAX = 70 }; /* RFC 2046 5.1.1 */

enum type { TYPE_OTHER, TYPE_SDP, TYPE_FRAGMENT, TYPE_MULTIPART, TYPE_PROTECTED };
enum delimiter { DELIMITER_NONE, DELIMITER_NEXT, DELIMITER_CLOSE };

static const char note_digest[] = "a body was left alone: a digest covers it (qop=auth-int)";
static const char note_protected[] = "a body was left alone: it is signed or encrypted";
static const char note_encoded[] = "a body was left alone: it is compressed or encoded";
static const char note_deep[] = "a body was left alone: its parts are nested too deep";
static const char note_unclear[] = "a body was left alone: its parts cannot be read";
static const char note_many[] = "a body was left alone: it has too many parts";

/* What the header lines of a message or of a part say of its content. */
struct entity {
	struct text type, encoding, transfer, length, content;
};

struct finder {
	struct sip_bodies *b;
	unsigned int depth, parts; /* depth: multiparts around what is looked at */
	bool multipart, full;
};

static void take_note(struct finder *f, const char *note)
{
	if (!f->b->note)
		f->b->note = note;
}

static struct text unquoted(struct text t)
{
	if (text_left(&t) >= 2 && *t.p == '"' && t.end[-1] == '"') {
		t.p++;
		t.end--;
	}
	return t;
}

static bool is_protected(const struct text *name, const struct text *subtype)
{
	if (text_is(name, "MULTIPART"))
		return text_is(subtype, "SIGNED") || text_is(subtype, "ENCRYPTED");
	return text_is(name, "APPLICATION") &&
	       (text_is(subtype, "PKCS7-MIME") || text_is(subtype, "X-PKCS7-MIME"));
}

/* Takes the type, and leaves its parameters. */
static enum type take_type(struct text *t)
{
	struct text name, subtype;
	if (!sip_token(t, &name))
		return TYPE_OTHER;
	sip_space(t);
	if (!text_char(t, '/'))
		return TYPE_OTHER;
	sip_space(t);
	if (!sip_token(t, &subtype))
		return TYPE_OTHER;
	if (is_protected(&name, &subtype))
		return TYPE_PROTECTED;
	if (text_is(&name, "MULTIPART"))
		return TYPE_MULTIPART;
	if (text_is(&name, "APPLICATION") && text_is(&subtype, "SDP"))
		return TYPE_SDP;
	if (text_is(&name, "MESSAGE") && text_is(&subtype, "SIPFRAG"))
		return TYPE_FRAGMENT;
	return TYPE_OTHER;
}

/* RFC 2046 5.1.1; false: there is none, or several, or what cannot be one. */
static bool find_boundary(struct text parameters, struct text *boundary)
{
	if (!sip_parameter_find(parameters, "BOUNDARY", boundary))
		return false;
	*boundary = unquoted(*boundary);
	const size_t n = text_left(boundary);
	return n && n <= BOUNDARY_MAX && boundary->end[-1] != ' ' &&
	       !memchr(boundary->p, '\\', n) && !memchr(boundary->p, '\n', n);
}

static enum delimiter delimiter_of(struct text line, const struct text *boundary)
{
	const size_t n = text_left(boundary);
	enum delimiter what = DELIMITER_NEXT;
	if (text_left(&line) < n + 2 || memcmp(line.p, "--", 2) != 0 ||
		memcmp(line.p + 2, boundary->p, n) != 0)
		return DELIMITER_NONE;
	line.p += n + 2;
	if (text_left(&line) >= 2 && !memcmp(line.p, "--", 2)) {
		what = DELIMITER_CLOSE;
		line.p += 2;
	}
	sip_space(&line);
	return text_left(&line) ? DELIMITER_NONE : what;
}

/* Takes everything up to the next delimiter, and it too; without one all is the last part. */
static enum delimiter take_part(struct text *t, const struct text *boundary, struct text *part)
{
	const uint8_t *const begin = t->p;
	while (text_left(t)) {
		const size_t n = text_line(t->p, text_left(t), 0);
		const struct text line = text(t->p, n ? n : text_left(t));
		const enum delimiter what = delimiter_of(line, boundary);
		t->p = line.end;
		if (what == DELIMITER_NONE)
			continue;
		*part = text_without_end(begin, (size_t)(line.p - begin));
		return what;
	}
	*part = (struct text){begin, t->end};
	return DELIMITER_CLOSE;
}

/* Where the value of a header line belongs, NULL: nowhere. */
static struct text *place_of(struct entity *e, const struct sip_line *line)
{
	if (line->field == SIP_CONTENT_TYPE)
		return &e->type;
	if (line->field == SIP_CONTENT_ENCODING)
		return &e->encoding;
	if (line->field == SIP_CONTENT_LENGTH)
		return &e->length;
	return text_is(&line->name, "CONTENT-TRANSFER-ENCODING") ? &e->transfer : NULL;
}

/* false: it has something twice, or what is no header line. */
static bool read_part(struct text part, struct entity *e)
{
	struct text lines;
	struct sip_line line;
	if (!header_lines(part, true, &lines))
		return false;
	e->content = (struct text){lines.end, part.end};
	e->content.p += text_line(lines.end, text_left(&e->content), 0);
	while (sip_next_line(&lines, &line)) {
		struct text *place = place_of(e, &line);
		if (place && place->p)
			return false;
		if (place)
			*place = line.value;
	}
	return true;
}

static bool is_encoded(const struct entity *e)
{
	if (text_left(&e->encoding) && !text_is(&e->encoding, "IDENTITY"))
		return true;
	return text_left(&e->transfer) && !text_is(&e->transfer, "7BIT") &&
	       !text_is(&e->transfer, "8BIT") && !text_is(&e->transfer, "BINARY");
}

static void look(struct finder *f, const struct entity *e);

static void look_at_parts(struct finder *f, const struct text *boundary, struct text rest)
{
	struct text part;
	enum delimiter end = take_part(&rest, boundary, &part); /* the preamble */
	if (end != DELIMITER_NEXT)
		take_note(f, note_unclear);
	while (end == DELIMITER_NEXT && !f->full) {
		struct entity e = {.type = {NULL, NULL}};
		end = take_part(&rest, boundary, &part);
		if (f->parts++ == SIP_BODY_PARTS)
			f->full = true;
		else if (read_part(part, &e))
			look(f, &e);
		else
			take_note(f, note_unclear);
	}
}

static void look_at_multipart(struct finder *f, const struct entity *e, struct text parameters)
{
	struct text boundary;
	if (f->depth == SIP_BODY_DEPTH) {
		take_note(f, note_deep);
	} else if (!find_boundary(parameters, &boundary)) {
		take_note(f, note_unclear);
	} else {
		f->depth++;
		look_at_parts(f, &boundary, e->content);
		f->depth--;
	}
}

static void add_body(struct finder *f, enum sip_body_kind kind, const struct entity *e)
{
	if (f->b->count == SIP_BODIES)
		f->full = true;
	else
		f->b->body[f->b->count++] = (struct sip_body){kind, e->content};
}

/* The length of a part is kept where bodies are found in it. Calls itself for parts, SIP_BODY_DEPTH deep at most. */
static void look(struct finder *f, const struct entity *e)
{
	struct sip_body_length length = {.digits = e->length, .part = e->content};
	const unsigned int before = f->b->count;
	struct text parameters = e->type;
	const enum type type = take_type(&parameters);
	if (type == TYPE_OTHER || (type == TYPE_MULTIPART && !f->multipart))
		return;
	if (type == TYPE_PROTECTED)
		take_note(f, note_protected);
	else if (is_encoded(e))
		take_note(f, note_encoded);
	else if (type == TYPE_MULTIPART)
		look_at_multipart(f, e, parameters);
	else
		add_body(f, type == TYPE_SDP ? SIP_BODY_SDP : SIP_BODY_FRAGMENT, e);
	if (f->b->count > before && header_digits(e->length, &length.value))
		f->b->length[f->b->length_count++] = length;
}

/* Takes name = value; a scheme before the first one is none. */
static bool take_pair(struct text *t, struct text *name, struct text *value)
{
	*value = (struct text){t->p, t->p};
	sip_space(t);
	if (!sip_token(t, name))
		return false;
	sip_space(t);
	if (!text_char(t, '='))
		return true;
	sip_space(t);
	value->p = t->p;
	if (!sip_quoted(t))
		while (text_left(t) && *t->p != ',' && !sip_is_space(*t->p))
			t->p++;
	value->end = t->p;
	sip_space(t);
	text_char(t, ',');
	return true;
}

static bool is_auth_int(struct text t)
{
	struct text name, value;
	while (take_pair(&t, &name, &value)) {
		value = unquoted(value);
		if (text_is(&name, "QOP") && text_is(&value, "AUTH-INT"))
			return true;
	}
	return false;
}

/* Whether a digest of the sender's covers the body (RFC 7616 3.4, 3.5). */
static bool is_digested(const struct sip_message *m)
{
	struct text lines = m->h.lines;
	struct sip_line line;
	while (sip_next_line(&lines, &line))
		if ((line.field == SIP_CREDENTIALS || text_is(&line.name, "AUTHENTICATION-INFO") ||
			    text_is(&line.name, "PROXY-AUTHENTICATION-INFO")) &&
			is_auth_int(line.value))
			return true;
	return false;
}

static void clear(struct sip_bodies *b, const char *note)
{
	b->count = b->length_count = 0;
	b->note = note;
}

unsigned int sip_bodies_find(const struct sip_message *m, bool multipart, struct sip_bodies *b)
{
	struct finder f = {.b = b, .multipart = multipart};
	const struct entity e = {.type = m->type, .encoding = m->encoding, .content = m->h.body};
	clear(b, NULL);
	if (!text_left(&m->h.body))
		return 0;
	look(&f, &e);
	if (f.full)
		clear(b, note_many);
	if (b->count && is_digested(m))
		clear(b, note_digest);
	return b->count;
}

/* By how much the edits so far make a span of the message longer. */
static int64_t growth_in(const struct splice *e, struct text span)
{
	int64_t growth = 0;
	for (unsigned int i = 0; i < e->answer->edit_count; i++) {
		const struct alg_edit *edit = &e->answer->edit[i];
		const uint8_t *at = e->message + edit->at;
		if (at >= span.p && at < span.end)
			growth += (int64_t)edit->bytes - (int64_t)edit->old_bytes;
	}
	return growth;
}

static void edit_length(struct splice *e, struct text digits, uint32_t value, struct text counted)
{
	const int64_t growth = growth_in(e, counted);
	if (growth && (int64_t)value + growth >= 0)
		splice_number(e, digits, (uint32_t)((int64_t)value + growth));
}

void sip_body_lengths(struct splice *e, const struct sip_message *m, const struct sip_bodies *b)
{
	uint32_t value;
	for (unsigned int i = 0; i < b->length_count; i++)
		edit_length(e, b->length[i].digits, b->length[i].value, b->length[i].part);
	if (header_digits(m->length, &value))
		edit_length(e, m->length, value, m->h.body);
}
