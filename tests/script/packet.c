/* See packet.h. */
#include <ctype.h>
#include <string.h>

#include "packet.h"
#include "segment.h"

static const char packet_letters[] = "FSRP.UEW"; /* in the order of the bits */

static const struct {
	const char *name;
	uint8_t type, code;
} packet_errors[] = {
	{"net_unreachable", 3, 0},
	{"host_unreachable", 3, 1},
	{"port_unreachable", 3, 3},
	{"frag_needed", 3, 4},
	{"source_route_failed", 3, 5},
	{"admin_prohibited", 3, 13},
};

const char *packet_read_range(struct scan *s, struct packet *p)
{
	p->count = 1;
	if (!scan_number(s, &p->start) || !scan_mark(s, ":") || !scan_number(s, &p->end) ||
		!scan_mark(s, "(") || !scan_number(s, &p->bytes))
		return "START:END(BYTES)";
	if (scan_mark(s, "*")) {
		p->count = p->bytes;
		if (!scan_number(s, &p->bytes))
			return "the bytes of each segment";
	}
	if (!scan_mark(s, ")"))
		return ")";
	return p->end - p->start == p->count * p->bytes ? NULL : "a range of so many bytes";
}

static const char *packet_read_flags(struct scan *s, struct packet *p)
{
	const char *letter;
	if (scan_mark(s, "[ect0]"))
		p->ecn = 2;
	else if (scan_mark(s, "[ect1]"))
		p->ecn = 1;
	else if (scan_mark(s, "[ce]"))
		p->ecn = 3;
	if (scan_mark(s, "- "))
		return NULL;
	scan_mark(s, "");
	while (*s->p && (letter = strchr(packet_letters, *s->p))) {
		p->flags |= (uint8_t)(1 << (letter - packet_letters));
		s->p++;
	}
	return p->flags ? NULL : "flags";
}

static const char *packet_read_blocks(struct scan *s, struct packet_option *o)
{
	o->kind = OPTION_SACK;
	while (o->n < PACKET_BLOCKS_MAX && scan_number(s, &o->block[o->n].start)) {
		if (!scan_mark(s, ":") || !scan_number(s, &o->block[o->n].end))
			return "sack START:END ...";
		o->n++;
	}
	return o->n ? NULL : "sack START:END ...";
}

static const char *packet_read_hex(struct scan *s, struct packet_option *o)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * PACKET_HEX_MAX + 1];
	o->kind = OPTION_HEX;
	if (!scan_name(s, text, sizeof(text)) || strlen(text) % 2 ||
		strspn(text, digits) != strlen(text))
		return "an even number of hexadecimal digits";
	for (const char *c = text; *c; c += 2)
		o->hex[o->n++] = (uint8_t)((strchr(digits, c[0]) - digits) << 4 |
					   (strchr(digits, c[1]) - digits));
	return NULL;
}

static const char *packet_read_option(struct scan *s, struct packet_option *o)
{
	*o = (struct packet_option){.kind = OPTION_NOP};
	if (scan_word(s, "nop"))
		return NULL;
	if (scan_word(s, "sack"))
		return packet_read_blocks(s, o);
	if (scan_word(s, "hex"))
		return packet_read_hex(s, o);
	if (scan_word(s, "eol"))
		o->kind = OPTION_END;
	else if (scan_word(s, "sackOK"))
		o->kind = OPTION_SACK_OK;
	else if (scan_word(s, "mss") && scan_span(s, &o->value))
		o->kind = OPTION_MSS;
	else if (scan_word(s, "wscale") && scan_span(s, &o->value))
		o->kind = OPTION_SCALE;
	else if (scan_word(s, "TS") && scan_word(s, "val") && scan_span(s, &o->value) &&
		 scan_word(s, "ecr") && scan_span(s, &o->echo))
		o->kind = OPTION_TS;
	else
		return "an option: mss N, wscale N, sackOK, sack A:B, TS val N ecr N, hex DIGITS, "
		       "nop, eol";
	return NULL;
}

const char *packet_read_options(struct scan *s, struct packet *p)
{
	const char *wrong;
	if (scan_mark(s, "<...>")) {
		p->any_options = true;
		return NULL;
	}
	if (!scan_mark(s, "<"))
		return NULL;
	do {
		if (p->options == PACKET_OPTIONS_MAX)
			return "fewer options";
		wrong = packet_read_option(s, &p->option[p->options++]);
		if (wrong)
			return wrong;
	} while (scan_mark(s, ","));
	return scan_mark(s, ">") ? NULL : "> after the options";
}

static const char *packet_read_icmp(struct scan *s, struct packet *p)
{
	const char *wrong = packet_read_range(s, p);
	p->icmp = true;
	p->mtu.any = true;
	if (wrong)
		return wrong;
	if (!scan_mark(s, "]") || !scan_word(s, "icmp") || !scan_word(s, "unreachable"))
		return "] icmp unreachable KIND";
	for (unsigned int i = 0; i < sizeof(packet_errors) / sizeof(packet_errors[0]); i++) {
		if (!scan_word(s, packet_errors[i].name))
			continue;
		p->type = packet_errors[i].type;
		p->code = packet_errors[i].code;
		if (scan_word(s, "mtu") && !scan_span(s, &p->mtu))
			return "mtu N";
		return NULL;
	}
	return "which kind of unreachable";
}

const char *packet_read(struct scan *s, struct packet *p)
{
	const char *wrong;
	uint32_t offset = 0;
	*p = (struct packet){.urgent.any = true};
	scan_mark(s, "");
	if (s->p[0] == '[' && isdigit((unsigned char)s->p[1])) {
		s->p++;
		return packet_read_icmp(s, p);
	}
	wrong = packet_read_flags(s, p);
	if (!wrong)
		wrong = packet_read_range(s, p);
	if (wrong)
		return wrong;
	p->has_ack = scan_word(s, "ack");
	p->ack_all = p->has_ack && scan_word(s, "all");
	if (p->has_ack && (!p->ack_all || scan_word(s, "short")) && !scan_number(s, &p->ack))
		return "ack N, ack all or ack all short N";
	p->has_window = scan_word(s, "win");
	if (p->has_window && !scan_span(s, &p->window))
		return "win N";
	if (scan_word(s, "urg") && !scan_span(s, &p->urgent))
		return "urg N";
	wrong = packet_read_options(s, p);
	p->forged = scan_word(s, "forged");
	p->bad_checksum = scan_word(s, "bad") && scan_word(s, "checksum");
	if (scan_word(s, "offset") && (!scan_number(s, &offset) || offset > 15))
		return "offset 0..15";
	p->offset = (uint8_t)offset;
	return wrong;
}
