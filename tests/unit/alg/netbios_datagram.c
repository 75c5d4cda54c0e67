/* NetBIOS datagrams: whose address and port in the header become which, and what is no such datagram. */
#include "netbios_messages.h"

enum { UNIQUE = 0x10, GROUP, BROADCAST, ERROR, QUERY, POSITIVE, NEGATIVE };

/* A datagram of this type "from" an address and port. */
static void datagram(struct bytes *b, unsigned int type, const char *address, unsigned int port)
{
	b->n = 0;
	put8(b, type);
	put8(b, 0x0a);
	put16(b, 77);
	put_ip(b, address);
	put16(b, port);
	if (type <= BROADCAST) {
		put16(b, 34 * 2 + 8);
		put16(b, 0);
		put_name(b, "GUEST");
	}
	if (type == ERROR)
		put8(b, 0x82);
	else
		put_name(b, "OTHER");
	if (type <= BROADCAST)
		put(b, "\xffSMB\xc0\xa8\x1e\x0a", 8);
}

static void expect_as(struct harness *h, enum alg_direction from, unsigned int type,
	const char *address, unsigned int port, const char *as, unsigned int as_port)
{
	struct bytes sent, got;
	datagram(&sent, type, address, port);
	datagram(&got, type, as, as_port);
	netbios_pass(h, from, &sent, &got, address);
}

static struct harness *begin(bool serves)
{
	return harness_new(&netbios_datagram_protocol, netbios_view(138, serves), GRANT);
}

static void end(struct harness *h)
{
	cr_expect_not(h->gave_up, "%s", h->why);
	harness_free(h);
}

Test(netbios_datagram, the_guest_is_to_be_answered_outside)
{
	for (unsigned int type = UNIQUE; type <= NEGATIVE; type++)
		for (int serves = 0; serves < 2; serves++) {
			struct harness *h = begin(serves);
			expect_as(h, ALG_GUEST, type, GUEST_IP, 138, OUTSIDE_IP, 40000);
			expect_as(h, ALG_GUEST, type, GUEST_IP, 139, OUTSIDE_IP, 139);
			expect_as(h, ALG_GUEST, type, INSIDE_IP, 138, MAPPED_IP, 138);
			expect_as(h, ALG_GUEST, type, "192.168.30.11", 138, "192.168.30.11", 138);
			expect_as(h, ALG_GUEST, type, PEER_IP, 138, PEER_IP, 138);
			expect_as(h, ALG_GUEST, type, OUTSIDE_IP, 138, OUTSIDE_IP, 138);
			end(h);
		}
}

Test(netbios_datagram, what_comes_back_is_the_guests_where_both_address_and_port_are)
{
	for (unsigned int type = UNIQUE; type <= NEGATIVE; type++)
		for (int serves = 0; serves < 2; serves++) {
			struct harness *h = begin(serves);
			expect_as(h, ALG_OUTSIDE, type, OUTSIDE_IP, 40000, GUEST_IP, 138);
			expect_as(h, ALG_OUTSIDE, type, OUTSIDE_IP, 40001, OUTSIDE_IP, 40001);
			expect_as(h, ALG_OUTSIDE, type, MAPPED_IP, 138, INSIDE_IP, 138);
			expect_as(h, ALG_OUTSIDE, type, PEER_IP, 138, PEER_IP, 138);
			expect_as(h, ALG_OUTSIDE, type, PEER_IP, 40000, PEER_IP, 40000);
			expect_as(h, ALG_OUTSIDE, type, GUEST_IP, 138, GUEST_IP, 138);
			end(h);
		}
}

Test(netbios_datagram, where_the_outside_address_is_not_known_nothing_becomes_it)
{
	struct alg_flow view = netbios_view(138, false);
	view.outside_ip_be = 0;
	struct harness *h = harness_new(&netbios_datagram_protocol, view, GRANT);
	expect_as(h, ALG_GUEST, UNIQUE, GUEST_IP, 138, GUEST_IP, 138);
	expect_as(h, ALG_GUEST, UNIQUE, INSIDE_IP, 138, MAPPED_IP, 138);
	expect_as(h, ALG_OUTSIDE, UNIQUE, "0.0.0.0", 40000, "0.0.0.0", 40000);
	end(h);
}

Test(netbios_datagram, a_guest_with_a_static_address_keeps_its_port)
{
	struct alg_flow view = netbios_view(138, true);
	view.outside_port = 138;
	maps_add(&netbios_maps, ip(GUEST_IP), ip(OUTSIDE_IP), 0);
	struct harness *h = harness_new(&netbios_datagram_protocol, view, GRANT);
	expect_as(h, ALG_GUEST, GROUP, GUEST_IP, 138, OUTSIDE_IP, 138);
	expect_as(h, ALG_OUTSIDE, GROUP, OUTSIDE_IP, 138, GUEST_IP, 138);
	expect_as(h, ALG_OUTSIDE, GROUP, OUTSIDE_IP, 139, GUEST_IP, 139);
	end(h);
}

static void expect_violation(const struct bytes *b, size_t n, const char *what)
{
	struct harness *h = begin(false);
	harness_send(h, ALG_GUEST, b->p, n);
	cr_expect(h->gave_up && h->violation, "%s: type %u, %zu bytes", what, b->p[0], n);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(netbios_datagram, short_ones_are_violations)
{
	struct bytes b;
	for (unsigned int type = UNIQUE; type <= NEGATIVE; type++) {
		datagram(&b, type, GUEST_IP, 138);
		const size_t needed = type > BROADCAST ? b.n : b.n - 8;
		for (size_t n = 0; n < needed; n++)
			expect_violation(&b, n, "cut");
	}
}

Test(netbios_datagram, other_types_lengths_and_names_are_violations)
{
	struct bytes b;
	for (unsigned int type = 0; type < 256; type++) {
		datagram(&b, UNIQUE, GUEST_IP, 138);
		b.p[0] = (uint8_t)type;
		if (type < UNIQUE || type > NEGATIVE)
			expect_violation(&b, b.n, "type");
	}
	datagram(&b, UNIQUE, GUEST_IP, 138);
	b.p[11] = (uint8_t)(b.n + 1);
	expect_violation(&b, b.n, "length");
	static const uint8_t bad[] = {0, 31, 33, 0x40, 0xc0, 255};
	static const size_t names[] = {14, 14 + 34};
	for (size_t name = 0; name < 2; name++)
		for (size_t i = 0; i < sizeof(bad); i++) {
			datagram(&b, UNIQUE, GUEST_IP, 138);
			b.p[names[name]] = bad[i];
			expect_violation(&b, b.n, "name");
		}
	datagram(&b, QUERY, GUEST_IP, 138);
	b.p[12] = 'z';
	expect_violation(&b, b.n, "letter");
}

Test(netbios_datagram, the_length_may_count_the_header_or_not)
{
	struct bytes b, as;
	struct harness *h = begin(false);
	datagram(&b, GROUP, GUEST_IP, 138);
	datagram(&as, GROUP, OUTSIDE_IP, 40000);
	b.p[11] = as.p[11] = (uint8_t)b.n;
	netbios_pass(h, ALG_GUEST, &b, &as, "with the header");
	end(h);
}

/* ---- captures ---- */

static void play(const struct session *s)
{
	for (int serves = 0; serves < 2; serves++) {
		struct harness *h = netbios_play(s, &netbios_datagram_protocol, false, serves);
		cr_expect_not(h->gave_up, "%s", s->name);
		if (!serves && strstr(s->name, "own")) { /* two datagrams of 221 and of 207 bytes */
			cr_expect_eq(memcmp(h->way[0].out + 4, "\xcb\0\x71\7\x9c\x40", 6), 0);
			cr_expect_eq(memcmp(h->way[0].out + 10, h->way[0].in + 10, 211), 0);
		}
		if (serves && strstr(s->name, "own"))
			harness_expect_untouched(h);
		harness_free(h);
	}
}

Test(netbios_datagram_captures, browser_announcements_are_to_be_answered_outside)
{
	session_each(VECTOR_DIRECTORY, 2, play);
}

static void without_its_address(const struct session *s)
{
	session_expect_untouched(s, &netbios_datagram_protocol, false);
}

Test(netbios_datagram_captures, a_foreign_address_leaves_every_byte_as_it_was)
{
	session_each(VECTOR_DIRECTORY, 2, without_its_address);
}
