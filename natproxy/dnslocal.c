/*
 * Theory of operation.
 *
 *   HOST.DOMAIN   known: A, and nothing of any other type; unknown: upstream, or NXDOMAIN when the
 *                 domain is natlock's own
 *   HOST          known: A, and nothing of AAAA; all else goes upstream, because the root's own names
 *                 (com, org) are single labels too, and a validating guest asks for their keys
 *   4.3.2.1.in-addr.arpa in the hub's subnet: PTR, NXDOMAIN, or for a part of such a name nothing
 *
 * The domain's own name goes upstream always: it may be delegated there, and its DS must be found
 * (RFC 8375 4).
 */
#include "dnslocal.h"

#include <arpa/inet.h>
#include <string.h>

#include "wire/wire.h"

enum {
	FLAGS_ANSWER = 0x8480, /* QR, AA, RA */
	FLAGS_COPIED = 0x0110, /* RD, CD */
	TYPE_OPT = 41,
	POINTER_TO_QUESTION = 0xc00c,
	OCTETS = 4,
};
static const uint8_t reverse[] = "\7in-addr\4arpa"; /* its NUL is the root */

/* Wire format of a domain as text; its length, 0 when it is none or too long. */
static uint8_t to_wire(const char *text, uint8_t out[DNSLOCAL_DOMAIN_MAX])
{
	size_t start = 0, at = 1;
	for (const char *c = text;; c++) {
		if (*c && *c != '.') {
			if (at >= DNSLOCAL_DOMAIN_MAX - 1)
				return 0;
			out[at++] = (uint8_t)(*c >= 'A' && *c <= 'Z' ? *c + 'a' - 'A' : *c);
			continue;
		}
		const size_t label = at - start - 1;
		if (!*c && !label && start)
			break; /* "example.org." */
		if (!label || label > DNSMSG_LABEL_MAX)
			return 0;
		out[start] = (uint8_t)label;
		start = at++;
		if (!*c)
			break;
	}
	out[start] = 0;
	return (uint8_t)(start + 1);
}

/* Whether a name lies in a zone, or is it; both in wire format and lower case. */
static bool in_zone(const uint8_t *name, size_t bytes, const uint8_t *zone, size_t zone_bytes)
{
	size_t at = 0;
	while (bytes - at > zone_bytes)
		at += name[at] + 1U;
	return bytes - at == zone_bytes && memcmp(name + at, zone, zone_bytes) == 0;
}

void dnslocal_configure(struct dnslocal *l, bool enabled, const char *domain, bool chosen)
{
	static const uint8_t home[] = "\4home\4arpa", internal[] = "\10internal";
	l->enabled = enabled;
	l->domain_bytes = domain ? to_wire(domain, l->domain) : 0;
	l->own_domain = chosen && l->domain_bytes &&
			(in_zone(l->domain, l->domain_bytes, home, sizeof(home)) ||
				in_zone(l->domain, l->domain_bytes, internal, sizeof(internal)));
}

/* What an answer is made of. */
struct reply {
	const struct dnsmsg_question *q;
	const uint8_t *query;
	enum dnsmsg_rcode rcode;
	uint16_t type; /* of the one record, 0 none */
	const uint8_t *rdata[2];
	uint16_t rdata_bytes[2];
};

static size_t write_reply(const struct reply *r, uint8_t *out)
{
	const bool edns = r->q->flags & DNSMSG_EDNS;
	struct wire_out w = wire_out(out, DNSLOCAL_BYTES);
	wire_put_u16(&w, r->q->id);
	wire_put_u16(&w,
		(uint16_t)(FLAGS_ANSWER | (dnsmsg_field(r->query, 2) & FLAGS_COPIED) | r->rcode));
	wire_put_u16(&w, 1);
	wire_put_u16(&w, r->type != 0);
	wire_put_u16(&w, 0);
	wire_put_u16(&w, edns);
	wire_put(&w, r->query + DNSMSG_HEADER_BYTES, r->q->name_bytes + 4U);
	if (r->type) {
		wire_put_u16(&w, POINTER_TO_QUESTION);
		wire_put_u16(&w, r->type);
		wire_put_u16(&w, DNSMSG_CLASS_IN);
		wire_put_u32(&w, DNSLOCAL_TTL);
		wire_put_u16(&w, (uint16_t)(r->rdata_bytes[0] + r->rdata_bytes[1]));
		wire_put(&w, r->rdata[0], r->rdata_bytes[0]);
		wire_put(&w, r->rdata[1], r->rdata_bytes[1]);
	}
	if (edns) {
		wire_put_u8(&w, 0);
		wire_put_u16(&w, TYPE_OPT);
		wire_put_u16(&w, DNSMSG_PAYLOAD);
		wire_put_u32(&w, 0);
		wire_put_u16(&w, 0);
	}
	return wire_written(&w);
}

/* The address that this label is known by, 0 none. */
static uint32_t address_of(
	const struct dnslocal *l, const uint8_t *label, size_t n, uint64_t now_ms)
{
	static const char gateway[] = "gateway";
	if (n == sizeof(gateway) - 1 && memcmp(label, gateway, n) == 0)
		return l->gateway_ip_be;
	const uint32_t host = hostnames_by_name(&l->hosts, label, n, now_ms);
	return host ? l->hosts.host[host].ip_be : 0;
}

static size_t forward_answer(
	const struct dnslocal *l, struct reply *r, uint64_t now_ms, uint8_t *out)
{
	const struct dnsmsg_question *q = r->q;
	const uint8_t label = q->name[0];
	const uint8_t *rest = q->name + 1 + label;
	const size_t rest_bytes = q->name_bytes - 1U - label;
	const bool bare = rest_bytes == 1;
	const bool inside = l->domain_bytes && q->name_bytes > l->domain_bytes &&
			    in_zone(q->name, q->name_bytes, l->domain, l->domain_bytes);
	const bool direct =
		inside && rest_bytes == l->domain_bytes && memcmp(rest, l->domain, rest_bytes) == 0;
	const uint32_t ip_be = bare || direct ? address_of(l, q->name + 1, label, now_ms) : 0;
	if (!ip_be) {
		r->rcode = DNSMSG_NXDOMAIN;
		return inside && l->own_domain ? write_reply(r, out) : 0;
	}
	if (q->type == DNSMSG_TYPE_A) {
		r->type = DNSMSG_TYPE_A;
		r->rdata[0] = (const uint8_t *)&ip_be;
		r->rdata_bytes[0] = sizeof(ip_be);
	} else if (!direct && q->type != DNSMSG_TYPE_AAAA) {
		return 0;
	}
	return write_reply(r, out);
}

/* 0 to 255 in the one way in which it is written, or -1. */
static int octet_of(const uint8_t *label)
{
	int value = 0;
	if (label[0] < 1 || label[0] > 3 || (label[1] == '0' && label[0] > 1))
		return -1;
	for (uint8_t i = 1; i <= label[0]; i++) {
		if (label[i] < '0' || label[i] > '9')
			return -1;
		value = 10 * value + (label[i] - '0');
	}
	return value <= UINT8_MAX ? value : -1;
}

struct reversed {
	uint32_t ip; /* host order; what is not named is 0 */
	unsigned int octets;
	bool more; /* labels that are no octets of an address stand before it */
};

/* Reads the labels in front of in-addr.arpa, from right to left. */
static void read_reverse(const struct dnsmsg_question *q, struct reversed *out)
{
	const uint8_t *label[DNSMSG_NAME_MAX / 2];
	size_t labels = 0;
	for (size_t at = 0; at < q->name_bytes - sizeof(reverse); at += q->name[at] + 1U)
		label[labels++] = q->name + at;
	*out = (struct reversed){0};
	while (labels && out->octets < OCTETS) {
		const int value = octet_of(label[labels - 1]);
		if (value < 0)
			break;
		out->ip |= (uint32_t)value << (24 - 8 * out->octets++);
		labels--;
	}
	out->more = labels > 0;
}

/* Whether all addresses that begin so are the hub's. */
static bool is_hubs(const struct dnslocal *l, const struct reversed *a)
{
	const uint32_t mask = ntohl(l->netmask_be);
	const uint32_t named = a->octets ? UINT32_MAX << (32 - 8 * a->octets) : 0;
	return a->octets && (named & mask) == mask &&
	       ((a->ip ^ ntohl(l->gateway_ip_be)) & mask) == 0;
}

static size_t reverse_answer(
	const struct dnslocal *l, struct reply *r, uint64_t now_ms, uint8_t *out)
{
	static const uint8_t root[1] = {0}, gateway[] = "\7gateway";
	struct reversed a;
	uint8_t name[HOSTNAMES_LABEL];
	read_reverse(r->q, &a);
	if (!is_hubs(l, &a))
		return 0;
	if (a.octets < OCTETS && !a.more)
		return write_reply(r, out);
	const uint32_t ip_be = htonl(a.ip);
	const uint32_t host = a.more ? HOSTNAMES_NONE : hostnames_by_ip(&l->hosts, ip_be, now_ms);
	r->rdata[0] = name;
	if (host) {
		const char *text = l->hosts.host[host].name;
		name[0] = (uint8_t)strlen(text);
		memcpy(name + 1, text, name[0]);
		r->rdata_bytes[0] = name[0] + 1U;
	} else if (!a.more && ip_be == l->gateway_ip_be) {
		r->rdata[0] = gateway;
		r->rdata_bytes[0] = sizeof(gateway) - 1;
	} else {
		r->rcode = DNSMSG_NXDOMAIN;
		return write_reply(r, out);
	}
	r->rdata[1] = l->domain_bytes ? l->domain : root;
	r->rdata_bytes[1] = l->domain_bytes ? l->domain_bytes : sizeof(root);
	r->type = r->q->type == DNSMSG_TYPE_PTR ? DNSMSG_TYPE_PTR : 0;
	return write_reply(r, out);
}

size_t dnslocal_answer(const struct dnslocal *l, const struct dnsmsg_question *q,
	const uint8_t *query, uint64_t now_ms, uint8_t *out)
{
	struct reply r = {.q = q, .query = query};
	if (!l->enabled || q->name_bytes < 2)
		return 0;
	if (q->name_bytes > sizeof(reverse) &&
		in_zone(q->name, q->name_bytes, reverse, sizeof(reverse)))
		return reverse_answer(l, &r, now_ms, out);
	return forward_answer(l, &r, now_ms, out);
}
