/* See check.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "wire/wire.h"

enum { CHECK_WINDOW_DEFAULT = 65535 };

static void form_option(const struct packet_option *o, const struct numbers *n, struct wire_out *w)
{
	static const uint8_t bytes[] = {
		[OPTION_MSS] = 4, [OPTION_SCALE] = 3, [OPTION_SACK_OK] = 2, [OPTION_TS] = 10};
	if (o->kind == OPTION_HEX) {
		wire_put(w, o->hex, o->n);
		return;
	}
	wire_put_u8(w, (uint8_t)o->kind);
	if (o->kind <= OPTION_NOP)
		return;
	wire_put_u8(w, o->kind == OPTION_SACK ? (uint8_t)(2 + 8 * o->n) : bytes[o->kind]);
	if (o->kind == OPTION_MSS)
		wire_put_u16(w, (uint16_t)o->value.low);
	if (o->kind == OPTION_SCALE)
		wire_put_u8(w, (uint8_t)o->value.low);
	if (o->kind == OPTION_TS) {
		wire_put_u32(w, o->value.low);
		wire_put_u32(w, o->echo.low + (n->ts_known ? n->stack_ts : 0));
	}
	for (unsigned int i = 0; o->kind == OPTION_SACK && i < o->n; i++) {
		wire_put_u32(w, n->stack_isn + o->block[i].start);
		wire_put_u32(w, n->stack_isn + o->block[i].end);
	}
}

void check_form(const struct packet *p, uint32_t piece, const struct numbers *n, struct segment *s)
{
	struct wire_out w = wire_out(s->options, sizeof(s->options));
	bool last = piece + 1 == p->count;
	*s = (struct segment){.protocol = p->icmp ? 1 : 6,
		.ecn = p->ecn,
		.seq = (p->icmp ? n->stack_isn : n->guest_isn) + p->start + piece * p->bytes,
		.ack = p->has_ack ? n->stack_isn + p->ack : 0,
		.flags = (uint8_t)(p->flags & ~(last ? 0 : FLAG_PSH | FLAG_FIN)),
		.window = (uint16_t)(p->has_window ? p->window.low : CHECK_WINDOW_DEFAULT),
		.urgent = (uint16_t)(p->urgent.any ? 0 : p->urgent.low),
		.payload_bytes = p->bytes,
		.bad_checksum = p->bad_checksum,
		.offset = p->offset,
		.type = p->type,
		.code = p->code,
		.mtu = (uint16_t)(p->mtu.any ? 0 : p->mtu.low)};
	if (p->ack_all)
		s->ack = n->stack_end - p->ack;
	for (unsigned int i = 0; i < p->options; i++)
		form_option(&p->option[i], n, &w);
	while (wire_written(&w) % 4)
		wire_put_u8(&w, OPTION_NOP);
	s->option_bytes = (uint8_t)wire_written(&w);
}

static void option_decode(
	struct wire_in w, uint8_t kind, const struct numbers *n, struct packet_option *o)
{
	uint32_t value = 0, echo = 0;
	*o = (struct packet_option){.kind = kind};
	if (kind == OPTION_SACK) {
		for (; wire_left(&w) >= 8 && o->n < PACKET_BLOCKS_MAX; o->n++) {
			o->block[o->n].start = wire_u32(&w) - n->guest_isn;
			o->block[o->n].end = wire_u32(&w) - n->guest_isn;
		}
		return;
	}
	if (kind == OPTION_MSS)
		value = wire_u16(&w);
	if (kind == OPTION_SCALE)
		value = wire_u8(&w);
	if (kind == OPTION_TS) {
		value = wire_u32(&w) - (n->ts_known ? n->stack_ts : 0);
		echo = wire_u32(&w);
	}
	o->value.low = value;
	o->echo.low = echo;
}

/* The options of a segment of the stack without NOPs. Returns how many, -1 when they are malformed. */
static int options_decode(const struct segment *s, const struct numbers *n,
	struct packet_option o[SEGMENT_OPTIONS_MAX])
{
	struct wire_in w = wire_in(s->options, s->option_bytes);
	int count = 0;
	while (wire_left(&w)) {
		uint8_t kind = wire_u8(&w), bytes;
		const uint8_t *value;
		if (kind == OPTION_END)
			break;
		if (kind == OPTION_NOP)
			continue;
		bytes = wire_u8(&w);
		value = bytes >= 2 ? wire_bytes(&w, bytes - 2u) : NULL;
		if (!value)
			return -1;
		option_decode(wire_in(value, bytes - 2u), kind, n, &o[count++]);
	}
	return count;
}

static bool option_same(const struct packet_option *want, const struct packet_option *got)
{
	if (want->kind != got->kind || want->n != got->n)
		return false;
	for (unsigned int i = 0; i < want->n; i++)
		if (want->block[i].start != got->block[i].start ||
			want->block[i].end != got->block[i].end)
			return false;
	return span_holds(&want->value, got->value.low) && span_holds(&want->echo, got->echo.low);
}

static bool options_same(const struct packet *p, const struct numbers *n, const struct segment *got)
{
	struct packet_option o[SEGMENT_OPTIONS_MAX];
	int count = options_decode(got, n, o), at = 0;
	if (p->any_options)
		return count >= 0;
	for (unsigned int i = 0; i < p->options; i++) {
		if (p->option[i].kind == OPTION_NOP)
			continue;
		if (at >= count || !option_same(&p->option[i], &o[at]))
			return false;
		at++;
	}
	return at == count;
}

static const char *check_icmp(
	const struct packet *p, const struct numbers *n, const struct segment *got)
{
	if (got->protocol != 1)
		return "not an ICMP message";
	if (got->type != p->type || got->code != p->code)
		return "another ICMP error";
	if (got->seq - n->guest_isn != p->start)
		return "wrong quoted sequence number";
	return span_holds(&p->mtu, got->mtu) ? NULL : "wrong MTU";
}

const char *check_segment(
	const struct packet *p, uint32_t piece, const struct numbers *n, const struct segment *got)
{
	struct segment want;
	check_form(p, piece, n, &want);
	if (p->icmp)
		return check_icmp(p, n, got);
	if (got->protocol != 6)
		return "not a TCP segment";
	if (got->flags != want.flags)
		return "wrong flags";
	if (got->seq != n->stack_isn + p->start + piece * p->bytes)
		return "wrong sequence number";
	if (got->payload_bytes != p->bytes)
		return "wrong length";
	if (got->ack != (p->has_ack ? n->guest_isn + p->ack : 0))
		return "wrong acknowledgement";
	if (p->has_window && !span_holds(&p->window, got->window))
		return "wrong window";
	if (!span_holds(&p->urgent, got->urgent))
		return "wrong urgent pointer";
	if (got->ecn != p->ecn)
		return "wrong ECN bits";
	return options_same(p, n, got) ? NULL : "wrong options";
}

bool check_option(const struct segment *s, enum option_kind kind, uint32_t *value)
{
	static const struct numbers none;
	struct packet_option o[SEGMENT_OPTIONS_MAX];
	int count = options_decode(s, &none, o);
	for (int i = 0; i < count; i++)
		if (o[i].kind == kind) {
			*value = o[i].value.low;
			return true;
		}
	return false;
}

struct text {
	char *p;
	size_t left;
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *t, const char *format, ...)
{
	va_list arguments;
	int n;
	va_start(arguments, format);
	n = vsnprintf(t->p, t->left, format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n >= t->left)
		n = (int)t->left - 1;
	t->p += n;
	t->left -= (size_t)n;
}

static void text_option(struct text *t, const struct packet_option *o)
{
	if (o->kind == OPTION_MSS)
		text_add(t, "mss %u", o->value.low);
	else if (o->kind == OPTION_SCALE)
		text_add(t, "wscale %u", o->value.low);
	else if (o->kind == OPTION_SACK_OK)
		text_add(t, "sackOK");
	else if (o->kind == OPTION_TS)
		text_add(t, "TS val %u ecr %u", o->value.low, o->echo.low);
	else if (o->kind != OPTION_SACK)
		text_add(t, "option %u", o->kind);
	for (unsigned int i = 0; i < o->n; i++)
		text_add(t, "%s %u:%u", i ? "" : "sack", o->block[i].start, o->block[i].end);
}

static void text_options(struct text *t, const struct numbers *n, const struct segment *got)
{
	struct packet_option o[SEGMENT_OPTIONS_MAX];
	int count = options_decode(got, n, o);
	if (count < 0)
		text_add(t, " <malformed>");
	for (int i = 0; i < count; i++) {
		text_add(t, i ? "," : " <");
		text_option(t, &o[i]);
	}
	if (count > 0)
		text_add(t, ">");
}

void check_text(const struct numbers *n, const struct segment *got, char *out, size_t bytes)
{
	static const char letters[] = "FSRP.UEW";
	static const char *const ecn[] = {"", "[ect1] ", "[ect0] ", "[ce] "};
	struct text t = {out, bytes};
	uint32_t start = got->seq - n->stack_isn;
	if (got->protocol == 1) {
		text_add(&t, "[%u] icmp type %u code %u mtu %u", got->seq - n->guest_isn, got->type,
			got->code, got->mtu);
		return;
	}
	text_add(&t, "%s", ecn[got->ecn]);
	for (unsigned int i = 0; i < 8; i++)
		if (got->flags & 1 << i)
			text_add(&t, "%c", letters[i]);
	text_add(&t, "%s %u:%u(%u)", got->flags ? "" : "-", start, start + got->payload_bytes,
		got->payload_bytes);
	if (got->flags & FLAG_ACK)
		text_add(&t, " ack %u", got->ack - n->guest_isn);
	text_add(&t, " win %u", got->window);
	if (got->urgent)
		text_add(&t, " urg %u", got->urgent);
	text_options(&t, n, got);
}
