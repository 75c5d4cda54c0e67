/*
 * DHCPv4 messages on the wire: theory of operation.
 *
 *   frame ─ Ethernet ─ IPv4 ─ UDP ─┬─ fixed part, 236 bytes ┬ cookie ┬ options field
 *                                  │  op .. chaddr sname file
 *   parse: gather(options) → overload? → gather(file) → gather(sname) → lengths (table) → numbers
 *
 * An option may come in several pieces, in one field or spread over the three: RFC 3396 says that
 * the pieces are joined in the order options, file, sname before anything is interpreted. So
 * gathering only appends, and the length is judged at the end. A wrong length of an option that
 * steers the server makes the message malformed; of one that merely informs it, the option is as
 * good as absent.
 *
 * Emission writes to three areas in turn. The main one keeps back room for what comes last: the
 * overload option, option 82 and the end mark. What fits nowhere is left out; the order of writing
 * is the order of importance. Only routes may be longer than one option: they go in pieces, in
 * that order of areas.
 */
#include "codec.h"

#include <string.h>

#include "wire/wire.h"

enum {
	IP_HEADER_BYTES = 20,
	UDP_HEADER_BYTES = 8,
	FIXED_BYTES = 236,
	SNAME_AT = 44,
	SNAME_BYTES = 64,
	FILE_AT = 108,
	FILE_BYTES = 128,
	BOOTP_BYTES = 300, /* shorter messages upset old clients and relays (RFC 1542 2.1) */
	HEADERS_BYTES = ETH_HEADER_BYTES + IP_HEADER_BYTES + UDP_HEADER_BYTES,
	COOKIE = 0x63825363,
	CODE_PAD = 0,
	CODE_NETMASK = 1,
	CODE_ROUTER = 3,
	CODE_DNS = 6,
	CODE_HOST_NAME = 12,
	CODE_DOMAIN = 15,
	CODE_BROADCAST = 28,
	CODE_LEASE = 51,
	CODE_OVERLOAD = 52,
	CODE_TYPE = 53,
	CODE_SERVER = 54,
	CODE_MESSAGE = 56,
	CODE_T1 = 58,
	CODE_T2 = 59,
	CODE_CLIENT_ID = 61,
	CODE_RELAY = 82,
	CODE_SEARCH = 119,
	CODE_ROUTES = 121,
	CODE_ROUTES_MICROSOFT = 249,
	CODE_END = 255,
	OP_REQUEST = 1,
	OP_REPLY = 2,
	TYPE_AND_SERVER_BYTES = 3 + 6, /* what codec_emit puts before the times */
	OVERLOAD_FILE = 1,
	OVERLOAD_SNAME = 2,
};

static const struct {
	uint8_t code, least, most;
	bool steers; /* a wrong length condemns the message */
} options[OPTION_COUNT] = {
	[OPTION_HOST_NAME] = {CODE_HOST_NAME, 1, 255, false},
	[OPTION_REQUESTED_IP] = {50, 4, 4, true},
	[OPTION_OVERLOAD] = {CODE_OVERLOAD, 1, 1, true},
	[OPTION_TYPE] = {CODE_TYPE, 1, 1, true},
	[OPTION_SERVER] = {CODE_SERVER, 4, 4, true},
	[OPTION_ASKED] = {55, 1, 255, false},
	[OPTION_MAX_SIZE] = {57, 2, 2, false},
	[OPTION_CLIENT_ID] = {CODE_CLIENT_ID, 2, 255, false},
	[OPTION_RELAY] = {CODE_RELAY, 2, 255, false},
};

/* The client's DHCP message inside its headers; false with the reason. */
static bool open_frame(struct codec_request *out, struct wire_in *frame, uint16_t to_port,
	bool csum_ok, struct wire_in *dhcp, enum drop *why)
{
	wire_bytes(frame, 6);
	const uint8_t *source = wire_bytes(frame, 6);
	uint16_t ethertype = wire_u16(frame);
	const uint8_t *ip = frame->p;
	uint8_t version = wire_u8(frame);
	size_t ip_left = wire_left(frame) + 1;
	wire_u8(frame);
	uint16_t total = wire_u16(frame);
	wire_u16(frame);
	uint16_t fragment = wire_u16(frame);
	wire_u8(frame);
	uint8_t protocol = wire_u8(frame);
	wire_u16(frame);
	out->source_be = wire_u32_be(frame);
	uint32_t to_be = wire_u32_be(frame);
	*why = DROP_FRAME_SHORT;
	if (!wire_ok(frame))
		return false;
	size_t ip_bytes = (size_t)(version & 15) * 4;
	*why = DROP_IP_HEADER;
	if (ethertype != ETHERTYPE_IP4 || version >> 4 != 4 || ip_bytes < IP_HEADER_BYTES ||
		total < ip_bytes + UDP_HEADER_BYTES || total > ip_left || (fragment & 0x3fff) ||
		protocol != IP_PROTO_UDP || wire_fold(wire_sum(0, ip, ip_bytes)))
		return false;
	size_t room = total - ip_bytes;
	struct wire_in udp = wire_in(ip + ip_bytes, room);
	wire_u16(&udp);
	uint16_t port = wire_u16(&udp);
	uint16_t length = wire_u16(&udp);
	uint16_t sum = wire_u16(&udp);
	*why = DROP_UDP_BAD;
	if (port != to_port || length < UDP_HEADER_BYTES || length > room)
		return false;
	if (sum && !csum_ok &&
		wire_fold(wire_sum(wire_pseudo_sum(out->source_be, to_be, IP_PROTO_UDP, length),
			ip + ip_bytes, length)))
		return false;
	memcpy(out->source_mac, source, 6);
	*dhcp = wire_in(udp.p, length - UDP_HEADER_BYTES);
	return true;
}

static struct codec_option *option_of(struct codec_request *out, uint8_t code)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (options[i].code == code)
			return &out->option[i];
	return NULL;
}

/* Appends what one field holds. An option that runs over the field's end, or grows too long, is
 * malformed. */
static bool gather(struct codec_request *out, struct wire_in field)
{
	while (wire_left(&field)) {
		uint8_t code = wire_u8(&field);
		if (code == CODE_PAD)
			continue;
		if (code == CODE_END)
			return true;
		uint8_t bytes = wire_u8(&field);
		const uint8_t *value = wire_bytes(&field, bytes);
		if (!wire_ok(&field))
			return false;
		struct codec_option *o = option_of(out, code);
		if (!o)
			continue;
		if (o->bytes + bytes > CODEC_OPTION_BYTES)
			return false;
		memcpy(o->value + o->bytes, value, bytes);
		o->bytes = (uint16_t)(o->bytes + bytes);
	}
	return true;
}

static bool lengths_ok(struct codec_request *out)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		struct codec_option *o = &out->option[i];
		if (!o->bytes || (o->bytes >= options[i].least && o->bytes <= options[i].most))
			continue;
		if (options[i].steers)
			return false;
		o->bytes = 0;
	}
	return out->option[OPTION_TYPE].bytes;
}

static bool gather_all(struct codec_request *out, const uint8_t *fixed, struct wire_in field)
{
	if (!gather(out, field))
		return false;
	const struct codec_option *overload = &out->option[OPTION_OVERLOAD];
	if (overload->bytes != 1)
		return overload->bytes == 0;
	uint8_t which = overload->value[0];
	if (which < OVERLOAD_FILE || which > (OVERLOAD_FILE | OVERLOAD_SNAME))
		return false;
	if ((which & OVERLOAD_FILE) && !gather(out, wire_in(fixed + FILE_AT, FILE_BYTES)))
		return false;
	return !(which & OVERLOAD_SNAME) || gather(out, wire_in(fixed + SNAME_AT, SNAME_BYTES));
}

static uint32_t address_of(const struct codec_option *o)
{
	struct wire_in w = wire_in(o->value, o->bytes);
	return o->bytes ? wire_u32_be(&w) : 0;
}

static void read_numbers(struct codec_request *out)
{
	const struct codec_option *o = out->option;
	out->type = (enum codec_type)o[OPTION_TYPE].value[0];
	out->requested_be = address_of(&o[OPTION_REQUESTED_IP]);
	out->server_be = address_of(&o[OPTION_SERVER]);
	struct wire_in w = wire_in(o[OPTION_MAX_SIZE].value, 2);
	uint16_t size = o[OPTION_MAX_SIZE].bytes ? wire_u16(&w) : 0;
	size = size < CODEC_DATAGRAM_MIN ? (uint16_t)CODEC_DATAGRAM_MIN : size;
	out->max_size = size > CODEC_FRAME_BYTES - ETH_HEADER_BYTES
				? (uint16_t)(CODEC_FRAME_BYTES - ETH_HEADER_BYTES)
				: size;
}

/* A message with this op for this port. */
static bool parse(struct codec_request *out, struct wire_in frame, uint16_t to_port, uint8_t wanted,
	bool csum_ok, enum drop *why)
{
	struct wire_in dhcp;
	for (size_t i = 0; i < OPTION_COUNT; i++)
		out->option[i].bytes = 0;
	if (!open_frame(out, &frame, to_port, csum_ok, &dhcp, why))
		return false;
	*why = DROP_DHCP_BAD;
	const uint8_t *fixed = dhcp.p;
	uint8_t op = wire_u8(&dhcp), htype = wire_u8(&dhcp), hlen = wire_u8(&dhcp);
	wire_u8(&dhcp);
	out->xid = wire_u32(&dhcp);
	wire_u16(&dhcp);
	out->flags = wire_u16(&dhcp);
	out->ciaddr_be = wire_u32_be(&dhcp);
	wire_bytes(&dhcp, 8);
	out->giaddr_be = wire_u32_be(&dhcp);
	const uint8_t *chaddr = wire_bytes(&dhcp, sizeof(out->chaddr));
	wire_bytes(&dhcp, SNAME_BYTES + FILE_BYTES);
	uint32_t cookie = wire_u32(&dhcp);
	if (!wire_ok(&dhcp) || op != wanted || htype != 1 || hlen != 6 || cookie != COOKIE)
		return false;
	memcpy(out->chaddr, chaddr, sizeof(out->chaddr));
	if (!gather_all(out, fixed, dhcp) || !lengths_ok(out))
		return false;
	read_numbers(out);
	return true;
}

bool codec_parse(
	struct codec_request *out, const uint8_t *frame, size_t bytes, bool csum_ok, enum drop *why)
{
	return parse(out, wire_in(frame, bytes), CODEC_SERVER_PORT, OP_REQUEST, csum_ok, why);
}

bool codec_parse_foreign(struct codec_foreign *out, struct codec_request *q, const uint8_t *frame,
	size_t bytes, bool csum_ok, enum drop *why)
{
	if (!parse(q, wire_in(frame, bytes), CODEC_CLIENT_PORT, OP_REPLY, csum_ok, why))
		return false;
	memcpy(out->source_mac, q->source_mac, sizeof(out->source_mac));
	out->server_be = q->server_be;
	*why = DROP_DHCP_BAD;
	return out->server_be &&
	       (q->type == CODEC_OFFER || q->type == CODEC_ACK || q->type == CODEC_NAK);
}

bool codec_is_foreign(const uint8_t *frame, size_t bytes)
{
	struct wire_in w = wire_in(frame, bytes);
	wire_bytes(&w, ETH_HEADER_BYTES);
	size_t header = (size_t)(wire_u8(&w) & 15) * 4;
	w = wire_in(frame, bytes);
	wire_bytes(&w, ETH_HEADER_BYTES + header + 2);
	return wire_u16(&w) == CODEC_CLIENT_PORT && wire_ok(&w);
}

/* Where options may go: the options field, then `file`, then `sname`. */
struct areas {
	struct wire_out area[3];
};

static void put_option(struct areas *a, uint8_t code, const void *value, size_t bytes)
{
	for (size_t i = 0; i < 3; i++) {
		struct wire_out *w = &a->area[i];
		if (bytes + 2 > (size_t)(w->end - w->p))
			continue;
		wire_put_u8(w, code);
		wire_put_u8(w, (uint8_t)bytes);
		wire_put(w, value, bytes);
		return;
	}
}

static void put_u32(struct areas *a, uint8_t code, uint32_t value)
{
	uint8_t b[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
		(uint8_t)value};
	put_option(a, code, b, sizeof(b));
}

static void put_text(struct areas *a, uint8_t code, const char *text)
{
	size_t n = text ? strlen(text) : 0;
	if (n && n <= CODEC_OPTION_BYTES)
		put_option(a, code, text, n);
}

/*
 * A value of any length: in pieces if it must be, joined by the reader (RFC 3396); or not at all.
 */
static void put_long(struct areas *a, uint8_t code, const uint8_t *value, size_t bytes)
{
	size_t room = 0;
	for (size_t i = 0; i < 3; i++) {
		size_t left = (size_t)(a->area[i].end - a->area[i].p);
		size_t heads = (left + CODEC_OPTION_BYTES + 1) / (CODEC_OPTION_BYTES + 2);
		room += left > 2 * heads ? left - 2 * heads : 0;
	}
	for (size_t i = 0; i < 3 && bytes <= room && bytes;) {
		size_t left = (size_t)(a->area[i].end - a->area[i].p);
		size_t n = left > 2 ? left - 2 : 0;
		n = n < CODEC_OPTION_BYTES ? n : CODEC_OPTION_BYTES;
		n = n < bytes ? n : bytes;
		if (!n) {
			i++;
			continue;
		}
		wire_put_u8(&a->area[i], code);
		wire_put_u8(&a->area[i], (uint8_t)n);
		wire_put(&a->area[i], value, n);
		value += n;
		bytes -= n;
	}
}

static size_t put_route(uint8_t *at, uint32_t to_be, uint8_t prefix, uint32_t via_be)
{
	size_t octets = (prefix + 7u) / 8;
	at[0] = prefix;
	memcpy(at + 1, &to_be, octets);
	memcpy(at + 1 + octets, &via_be, 4);
	return 1 + octets + 4;
}

/*
 * RFC 3442: a client that takes these ignores the router option, so the default route is among
 * them.
 */
static void put_routes(struct areas *a, uint8_t code, const struct codec_settings *s)
{
	uint8_t value[CODEC_ROUTES_BYTES];
	size_t n = 0;
	if (!s->route_count)
		return;
	for (unsigned int i = 0; i < s->route_count; i++)
		n += put_route(
			value + n, s->route[i].to_be, s->route[i].prefix, s->route[i].via_be);
	if (s->router_be)
		n += put_route(value + n, 0, 0, s->router_be);
	if (n <= CODEC_OPTION_BYTES)
		put_option(a, code, value, n);
	else
		put_long(a, code, value, n);
}

/* RFC 3397: a list of one domain, as DNS writes names (RFC 1035 3.1). */
static void put_search(struct areas *a, const char *domain)
{
	uint8_t value[CODEC_DOMAIN_BYTES + 1];
	size_t n = 0;
	while (*domain) {
		size_t label = strcspn(domain, ".");
		if (!label || label > 63)
			return;
		value[n++] = (uint8_t)label;
		memcpy(value + n, domain, label);
		n += label;
		domain += label + (domain[label] == '.');
	}
	value[n++] = 0;
	if (n > 1)
		put_option(a, CODE_SEARCH, value, n);
}

static void put_asked(
	struct areas *a, const struct codec_settings *s, const struct codec_reply *r, uint8_t code)
{
	uint32_t broadcast_be = s->server_be | ~s->netmask_be;
	switch (code) {
	case CODE_NETMASK: put_option(a, code, &s->netmask_be, 4); break;
	case CODE_ROUTER:
		if (s->router_be)
			put_option(a, code, &s->router_be, 4);
		break;
	case CODE_DNS:
		if (s->dns_count)
			put_option(a, code, s->dns_be, s->dns_count * sizeof(s->dns_be[0]));
		break;
	case CODE_HOST_NAME: put_text(a, code, r->host_name); break;
	case CODE_DOMAIN: put_text(a, code, s->domain); break;
	case CODE_SEARCH: put_search(a, s->domain); break;
	case CODE_ROUTES:
	case CODE_ROUTES_MICROSOFT: put_routes(a, code, s); break;
	case CODE_BROADCAST: put_option(a, code, &broadcast_be, 4); break;
	default: break;
	}
}

/*
 * Each code once, in the order in which the client asked, but the netmask first (RFC 2132 3.3);
 * all that we know if it did not say.
 */
static void put_parameters(
	struct areas *a, const struct codec_settings *s, const struct codec_reply *r)
{
	static const uint8_t all[] = {
		CODE_NETMASK, CODE_ROUTES, CODE_ROUTER, CODE_DNS, CODE_DOMAIN, CODE_HOST_NAME};
	const struct codec_option *asked = &r->to->option[OPTION_ASKED];
	const uint8_t *codes = asked->bytes ? asked->value : all;
	size_t count = asked->bytes ? asked->bytes : sizeof(all);
	bool seen[256] = {false};
	if (memchr(codes, CODE_NETMASK, count))
		put_asked(a, s, r, CODE_NETMASK);
	seen[CODE_NETMASK] = true;
	for (size_t i = 0; i < count; i++) {
		if (!seen[codes[i]])
			put_asked(a, s, r, codes[i]);
		seen[codes[i]] = true;
	}
}

static void put_options(
	struct areas *a, const struct codec_settings *s, const struct codec_reply *r)
{
	const struct codec_option *id = &r->to->option[OPTION_CLIENT_ID];
	uint8_t type = (uint8_t)r->type;
	put_option(a, CODE_TYPE, &type, 1);
	put_option(a, CODE_SERVER, &s->server_be, 4);
	if (r->lease_s) {
		put_u32(a, CODE_LEASE, r->lease_s);
		put_u32(a, CODE_T1, r->lease_s / 2);
		put_u32(a, CODE_T2, (uint32_t)((uint64_t)r->lease_s * 7 / 8));
	}
	if (id->bytes)
		put_option(a, CODE_CLIENT_ID, id->value, id->bytes);
	if (r->type == CODEC_NAK)
		put_text(a, CODE_MESSAGE, r->why);
	else
		put_parameters(a, s, r);
}

/* An area that was used gets its end mark; returns the bit for option 52, or 0. */
static uint8_t close_area(struct wire_out *w, uint8_t bit)
{
	if (!wire_written(w))
		return 0;
	w->end++;
	wire_put_u8(w, CODE_END);
	return bit;
}

/* The options of a message whose fixed part starts at dhcp; `limit` is the message's longest
 * length. Returns its length. */
static size_t emit_options(
	uint8_t *dhcp, size_t limit, const struct codec_settings *s, const struct codec_reply *r)
{
	const struct codec_option *relay = &r->to->option[OPTION_RELAY];
	size_t kept = 3 + (relay->bytes ? 2u + relay->bytes : 0) + 1;
	struct areas a = {{
		wire_out(dhcp + FIXED_BYTES + 4, limit - FIXED_BYTES - 4 - kept),
		wire_out(dhcp + FILE_AT, FILE_BYTES - 1),
		wire_out(dhcp + SNAME_AT, SNAME_BYTES - 1),
	}};
	put_options(&a, s, r);
	uint8_t overload =
		close_area(&a.area[1], OVERLOAD_FILE) | close_area(&a.area[2], OVERLOAD_SNAME);
	struct wire_out *w = &a.area[0];
	w->end += kept;
	if (overload) {
		wire_put_u8(w, CODE_OVERLOAD);
		wire_put_u8(w, 1);
		wire_put_u8(w, overload);
	}
	if (relay->bytes) {
		wire_put_u8(w, CODE_RELAY);
		wire_put_u8(w, (uint8_t)relay->bytes);
		wire_put(w, relay->value, relay->bytes);
	}
	wire_put_u8(w, CODE_END);
	return (size_t)(w->p - dhcp);
}

static void emit_fixed(struct wire_out *w, const struct codec_reply *r)
{
	const struct codec_request *to = r->to;
	wire_put(w, "\2\1\6", 4);
	wire_put_u32(w, to->xid);
	wire_put_u16(w, 0);
	wire_put_u16(w, to->flags);
	wire_put(w, &r->ciaddr_be, 4);
	wire_put(w, &r->yiaddr_be, 4);
	wire_put_u32(w, 0);
	wire_put(w, &to->giaddr_be, 4);
	wire_put(w, to->chaddr, sizeof(to->chaddr));
	memset(wire_room(w, SNAME_BYTES + FILE_BYTES), 0, SNAME_BYTES + FILE_BYTES);
	wire_put_u32(w, COOKIE);
}

static void put_sum(uint8_t *at, uint16_t sum)
{
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

static void sum_udp(uint8_t *frame, size_t bytes)
{
	uint8_t *ip = frame + ETH_HEADER_BYTES, *udp = ip + IP_HEADER_BYTES;
	size_t udp_bytes = bytes - ETH_HEADER_BYTES - IP_HEADER_BYTES;
	uint32_t source_be, to_be;
	memcpy(&source_be, ip + 12, 4);
	memcpy(&to_be, ip + 16, 4);
	put_sum(udp + 6, 0);
	uint32_t sum = wire_pseudo_sum(source_be, to_be, IP_PROTO_UDP, (uint16_t)udp_bytes);
	uint16_t folded = wire_fold(wire_sum(sum, udp, udp_bytes));
	put_sum(udp + 6, folded ? folded : 0xffff); /* 0 would say "no checksum" (RFC 768) */
}

static void emit_headers(uint8_t *frame, size_t dhcp_bytes, uint16_t from_port,
	const struct codec_settings *s, const struct codec_reply *r)
{
	uint16_t udp_bytes = (uint16_t)(dhcp_bytes + UDP_HEADER_BYTES);
	uint8_t h[HEADERS_BYTES], *ip = h + ETH_HEADER_BYTES;
	struct wire_out w = wire_out(h, sizeof(h));
	wire_put(&w, r->to_mac, 6);
	wire_put(&w, s->mac, 6);
	wire_put_u16(&w, ETHERTYPE_IP4);
	wire_put_u16(&w, 0x4500);
	wire_put_u16(&w, (uint16_t)(udp_bytes + IP_HEADER_BYTES));
	wire_put_u16(&w, r->ident);
	wire_put_u16(&w, 0);
	wire_put_u8(&w, 64);
	wire_put_u8(&w, IP_PROTO_UDP);
	wire_put_u16(&w, 0);
	wire_put(&w, &s->server_be, 4);
	wire_put(&w, &r->to_ip_be, 4);
	wire_put_u16(&w, from_port);
	wire_put_u16(&w, r->to_port);
	wire_put_u16(&w, udp_bytes);
	wire_put_u16(&w, 0);
	put_sum(ip + 10, wire_fold(wire_sum(0, ip, IP_HEADER_BYTES)));
	memcpy(frame, h, sizeof(h));
	sum_udp(frame, HEADERS_BYTES + dhcp_bytes);
}

size_t codec_emit(uint8_t *out, const struct codec_settings *s, const struct codec_reply *r)
{
	uint8_t *dhcp = out + HEADERS_BYTES;
	size_t limit = r->to->max_size - (size_t)(IP_HEADER_BYTES + UDP_HEADER_BYTES);
	struct wire_out w = wire_out(dhcp, limit);
	emit_fixed(&w, r);
	size_t bytes = emit_options(dhcp, limit, s, r);
	if (bytes < BOOTP_BYTES) {
		memset(dhcp + bytes, 0, BOOTP_BYTES - bytes);
		bytes = BOOTP_BYTES;
	}
	emit_headers(out, bytes, CODEC_SERVER_PORT, s, r);
	return HEADERS_BYTES + bytes;
}

void codec_set_lease(uint8_t *frame, size_t bytes, uint32_t lease_s)
{
	const uint32_t times[] = {lease_s, lease_s / 2, (uint32_t)((uint64_t)lease_s * 7 / 8)};
	uint8_t *at = frame + HEADERS_BYTES + FIXED_BYTES + 4 + TYPE_AND_SERVER_BYTES;
	for (size_t i = 0; i < 3; i++, at += 6) {
		struct wire_out w = wire_out(at + 2, 4);
		wire_put_u32(&w, times[i]);
	}
	sum_udp(frame, bytes);
}

size_t codec_emit_probe(uint8_t *out, const struct codec_settings *s, uint32_t xid)
{
	static const uint8_t asks[] = {
		CODE_TYPE, 1, CODEC_DISCOVER, 55, 2, CODE_NETMASK, CODE_ROUTER, CODE_END};
	uint8_t *dhcp = out + HEADERS_BYTES;
	struct codec_settings from = *s;
	from.server_be = 0;
	memset(dhcp, 0, BOOTP_BYTES);
	struct wire_out w = wire_out(dhcp, BOOTP_BYTES);
	wire_put(&w, "\1\1\6", 4);
	wire_put_u32(&w, xid);
	wire_put_u16(&w, 0);
	wire_put_u16(&w, CODEC_FLAG_BROADCAST);
	memcpy(dhcp + 28, s->mac, 6);
	w = wire_out(dhcp + FIXED_BYTES, BOOTP_BYTES - FIXED_BYTES);
	wire_put_u32(&w, COOKIE);
	wire_put(&w, asks, sizeof(asks));
	const struct codec_reply r = {.to_mac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		.to_ip_be = 0xffffffff,
		.to_port = CODEC_SERVER_PORT,
		.ident = (uint16_t)xid};
	emit_headers(out, BOOTP_BYTES, CODEC_CLIENT_PORT, &from, &r);
	return HEADERS_BYTES + BOOTP_BYTES;
}
