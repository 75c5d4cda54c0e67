/* DNS messages, written down and read back as text, for the tests of alg/dns*.c. */
#ifndef NATLOCK_TESTS_ALG_DNS_WIRE_H
#define NATLOCK_TESTS_ALG_DNS_WIRE_H

#include "harness.h"
#include "maps.h"

#define INSIDE		"192.168.30.5"
#define OUTSIDE		"203.0.113.50"
#define INSIDE_REVERSE	"5.30.168.192.in-addr.arpa"
#define OUTSIDE_REVERSE "50.113.0.203.in-addr.arpa"

enum {
	WIRE_BYTES = 70000,
	WIRE_TEXT = 1 << 16,
	QUERY = 0x0100,
	ANSWER = 0x8580,
	TYPE_A = 1,
	TYPE_NS = 2,
	TYPE_CNAME = 5,
	TYPE_SOA = 6,
	TYPE_PTR = 12,
	TYPE_AAAA = 28,
	TYPE_OPT = 41,
};

struct wire {
	uint8_t p[WIRE_BYTES];
	size_t n, rdata;
};

static inline void wire_u8(struct wire *w, unsigned int v)
{
	w->p[w->n++] = (uint8_t)v;
}

static inline void wire_u16(struct wire *w, unsigned int v)
{
	wire_u8(w, v >> 8);
	wire_u8(w, v & 255);
}

static inline void wire_u32(struct wire *w, uint32_t v)
{
	wire_u16(w, v >> 16);
	wire_u16(w, v & 65535);
}

static inline void wire_bytes(struct wire *w, const void *p, size_t n)
{
	memcpy(w->p + w->n, p, n);
	w->n += n;
}

static inline void wire_ip(struct wire *w, const char *text)
{
	const uint32_t be = ip(text);
	wire_bytes(w, &be, 4);
}

static inline void wire_start(struct wire *w, unsigned int id, unsigned int flags, unsigned int qd,
	unsigned int an, unsigned int ns, unsigned int ar)
{
	w->n = 0;
	const unsigned int head[] = {id, flags, qd, an, ns, ar};
	for (size_t i = 0; i < 6; i++)
		wire_u16(w, head[i]);
}

static inline void wire_labels(struct wire *w, const char *name)
{
	while (*name) {
		const size_t n = strcspn(name, ".");
		wire_u8(w, (unsigned int)n);
		wire_bytes(w, name, n);
		name += n + (name[n] == '.');
	}
}

static inline void wire_name(struct wire *w, const char *name)
{
	wire_labels(w, name);
	wire_u8(w, 0);
}

/* Labels, and then what is at this offset. */
static inline void wire_pointer(struct wire *w, const char *labels, size_t to)
{
	wire_labels(w, labels);
	wire_u16(w, 0xc000u | (unsigned int)to);
}

static inline void wire_question(struct wire *w, const char *name, unsigned int type)
{
	wire_name(w, name);
	wire_u16(w, type);
	wire_u16(w, 1);
}

/* What stands between a record's owner and its data. */
static inline void wire_fixed(struct wire *w, unsigned int type, unsigned int class, uint32_t ttl)
{
	wire_u16(w, type);
	wire_u16(w, class);
	wire_u32(w, ttl);
	wire_u16(w, 0);
	w->rdata = w->n;
}

static inline void wire_end(struct wire *w)
{
	w->p[w->rdata - 2] = (uint8_t)((w->n - w->rdata) >> 8);
	w->p[w->rdata - 1] = (uint8_t)(w->n - w->rdata);
}

static inline void wire_a(struct wire *w, size_t owner, uint32_t ttl, const char *address)
{
	wire_pointer(w, "", owner);
	wire_fixed(w, TYPE_A, 1, ttl);
	wire_ip(w, address);
	wire_end(w);
}

/* EDNS (RFC 6891), with DO. */
static inline void wire_opt(struct wire *w)
{
	wire_u8(w, 0);
	wire_fixed(w, TYPE_OPT, 1232, 0x8000);
	wire_end(w);
}

/*
 * A message as text, names spelled out. It is read by rules of its own: what is tested must not be
 * what tests.
 */
struct wire_text {
	char text[WIRE_TEXT];
	size_t n;
};

static inline size_t wire_print_name(struct wire_text *t, const uint8_t *p, size_t n, size_t at)
{
	size_t end = 0, jumps = 0;
	for (;;) {
		cr_assert_lt(at, n, "a name leaves the message");
		if (p[at] >= 192) {
			cr_assert(at + 1 < n && jumps++ < 200, "a pointer leads nowhere");
			end = end ? end : at + 2;
			at = (size_t)(p[at] - 192) * 256 + p[at + 1];
		} else if (p[at]) {
			cr_assert(p[at] < 64 && at + p[at] < n, "a label leaves the message");
			t->n += (size_t)snprintf(t->text + t->n, WIRE_TEXT - t->n, "%.*s.", p[at],
				(const char *)p + at + 1);
			at += 1u + p[at];
		} else {
			t->n += (size_t)snprintf(t->text + t->n, WIRE_TEXT - t->n, " ");
			return end ? end : at + 1;
		}
	}
}

static inline void wire_print_hex(struct wire_text *t, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		t->n += (size_t)snprintf(t->text + t->n, WIRE_TEXT - t->n, "%02x", p[i]);
}

static inline size_t wire_print_rdata(
	struct wire_text *t, const uint8_t *p, size_t n, unsigned int type, size_t at, size_t end)
{
	unsigned int names =
		type == TYPE_SOA ? 2 : type == TYPE_NS || type == TYPE_CNAME || type == TYPE_PTR;
	if (type == 15 || type == 33) {
		const size_t skip = type == 15 ? 2 : 6;
		wire_print_hex(t, p + at, skip);
		t->text[t->n++] = ' ';
		at += skip;
		names = 1;
	}
	while (names--)
		at = wire_print_name(t, p, n, at);
	cr_assert(at <= end && end <= n, "a record is longer than its data");
	wire_print_hex(t, p + at, end - at);
	return end;
}

static inline void wire_print(struct wire_text *t, const uint8_t *p, size_t n)
{
	size_t at = 12;
	t->n = 0;
	wire_print_hex(t, p, 12);
	for (size_t section = 0; section < 4; section++)
		for (int left = p[4 + 2 * section] * 256 + p[5 + 2 * section]; left; left--) {
			t->n += (size_t)snprintf(t->text + t->n, WIRE_TEXT - t->n, "\n");
			at = wire_print_name(t, p, n, at);
			const unsigned int type = (unsigned int)p[at] * 256 + p[at + 1];
			wire_print_hex(t, p + at, section ? 8 : 4);
			at += section ? 10 : 4;
			if (!section)
				continue;
			const size_t end = at + p[at - 2] * 256u + p[at - 1];
			t->n += (size_t)snprintf(t->text + t->n, WIRE_TEXT - t->n, " ");
			at = wire_print_rdata(t, p, n, type, at, end);
		}
	cr_assert_eq(at, n, "bytes behind the last record");
}

static inline const struct maps *wire_maps(void)
{
	static struct maps maps;
	maps_clear(&maps);
	maps_add(&maps, ip(INSIDE), ip(OUTSIDE), 0);
	maps_add(&maps, ip("192.168.30.123"), ip("203.0.113.7"), 0);
	maps_add(&maps, ip("192.168.30.66"), ip("203.0.113.66"), maps_vrf(&maps, "blue"));
	return &maps;
}

static inline struct alg_flow wire_view(bool stream)
{
	return (struct alg_flow){.guest_ip_be = ip("192.168.30.10"),
		.outside_ip_be = ip("203.0.113.1"),
		.peer_ip_be = ip("198.51.100.53"),
		.guest_port = 50000,
		.outside_port = 40000,
		.peer_port = 53,
		.stream = stream,
		.maps = wire_maps()};
}

/* A message as this flow carries it, over TCP with its length. */
static inline void wire_send(struct harness *h, enum alg_direction from, const struct wire *w)
{
	if (!h->flow.view.stream) {
		harness_send(h, from, w->p, w->n);
		return;
	}
	uint8_t bytes[WIRE_BYTES];
	bytes[0] = (uint8_t)(w->n >> 8);
	bytes[1] = (uint8_t)w->n;
	memcpy(bytes + 2, w->p, w->n);
	harness_send(h, from, bytes, 2 + w->n);
}

/* The last message that came out of this side is this one, byte for byte. */
static inline void wire_expect(
	const struct harness *h, enum alg_direction from, const struct wire *w)
{
	const struct way *way = &h->way[from];
	const size_t prefix = h->flow.view.stream ? 2 : 0;
	cr_assert_geq(
		way->out_bytes, w->n + prefix, "%zu bytes, not %zu", (size_t)way->out_bytes, w->n);
	const uint8_t *got = way->out + way->out_bytes - w->n;
	if (prefix)
		cr_assert_eq(got[-2] * 256u + got[-1], w->n, "the length over TCP");
	if (memcmp(got, w->p, w->n)) {
		static struct wire_text is, should;
		wire_print(&should, w->p, w->n);
		wire_print(&is, got, w->n);
		cr_assert_fail("is %s\nnot %s", is.text, should.text);
	}
}

#endif
