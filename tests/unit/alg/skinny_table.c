/*
 * SCCP's messages: where each version has its addresses, ports and numbers, as tshark 4.0.17 shows them (it knows of no table of ours);
 * what is too short, and what has an IPv6 address.
 */
#include <criterion/criterion.h>

#include "skinny_table.h"
#include "skinny_messages.h"

/* Of messages of this kind: offsets from their first octet; 0: there is none. */
static const struct shown {
	uint32_t id, first, last; /* versions */
	enum skinny_end from;
	uint32_t conference, party, reference, status;
	uint32_t address[SKINNY_ADDRESSES], port, rtcp;
} shown[] = {
	{0x0001, 0, 22, SKINNY_STATION, 0, 0, 0, 52, {36}, 0, 0},
	{0x0002, 0, 22, SKINNY_STATION, 0, 0, 0, 0, {0}, 12, 0},
	{0x0022, 0, 16, SKINNY_STATION, 0, 24, 28, 12, {16}, 20, 0},
	{0x0022, 17, 22, SKINNY_STATION, 0, 40, 44, 12, {20}, 36, 0},
	{0x0029, 0, 22, SKINNY_STATION, 0, 0, 0, 0, {36}, 0, 0},
	{0x002a, 0, 16, SKINNY_STATION, 12, 16, 28, 0, {20}, 24, 0},
	{0x002a, 17, 22, SKINNY_STATION, 12, 16, 44, 0, {24}, 40, 0},
	{0x0031, 0, 16, SKINNY_STATION, 0, 24, 28, 12, {16}, 20, 0},
	{0x0031, 17, 22, SKINNY_STATION, 0, 40, 44, 12, {20}, 36, 0},
	{0x0045, 0, 16, SKINNY_STATION, 12, 20, 16, 0, {24}, 28, 32},
	{0x0045, 17, 22, SKINNY_STATION, 12, 20, 16, 0, {28}, 44, 48},
	{0x0046, 0, 16, SKINNY_STATION, 12, 20, 16, 0, {24}, 28, 0},
	{0x0046, 17, 22, SKINNY_STATION, 12, 20, 16, 0, {28}, 44, 0},
	{0x0047, 0, 16, SKINNY_STATION, 12, 20, 16, 0, {24, 40}, 28, 0},
	{0x0047, 17, 22, SKINNY_STATION, 12, 20, 16, 0, {28, 56}, 44, 0},
	{0x0081, 0, 22, SKINNY_MANAGER, 0, 0, 0, 28, {0}, 0, 0},
	{0x008a, 0, 16, SKINNY_MANAGER, 12, 16, 52, 0, {20}, 24, 0},
	{0x008a, 17, 22, SKINNY_MANAGER, 12, 16, 68, 0, {24}, 40, 0},
	{0x008b, 0, 22, SKINNY_MANAGER, 12, 16, 20, 0, {0}, 0, 0},
	{0x0095, 0, 16, SKINNY_MANAGER, 0, 0, 0, 0, {12}, 0, 0},
	{0x0095, 17, 22, SKINNY_MANAGER, 0, 0, 0, 0, {16}, 0, 0},
	{0x0096, 0, 16, SKINNY_STATION, 0, 0, 0, 0, {12}, 0, 0},
	{0x0096, 17, 22, SKINNY_STATION, 0, 0, 0, 0, {16}, 0, 0},
	{0x009e, 0, 16, SKINNY_MANAGER, 0, 0, 0, 0, {272, 276, 280, 284, 288}, 0, 0},
	{0x009e, 17, 22, SKINNY_MANAGER, 0, 0, 0, 0, {276, 296, 316, 336, 356}, 0, 0},
	{0x0101, 0, 16, SKINNY_MANAGER, 12, 16, 44, 0, {20}, 24, 0},
	{0x0101, 17, 22, SKINNY_MANAGER, 12, 16, 60, 0, {24}, 40, 0},
	{0x0102, 0, 16, SKINNY_MANAGER, 12, 16, 52, 0, {20}, 24, 0},
	{0x0102, 17, 22, SKINNY_MANAGER, 12, 16, 68, 0, {24}, 40, 0},
	{0x0105, 0, 10, SKINNY_MANAGER, 12, 16, 36, 0, {0}, 0, 0},
	{0x0105, 11, 16, SKINNY_MANAGER, 12, 16, 36, 0, {112}, 116, 0},
	{0x0105, 17, 22, SKINNY_MANAGER, 12, 16, 36, 0, {116}, 132, 0},
	{0x0106, 0, 22, SKINNY_MANAGER, 12, 16, 20, 0, {0}, 0, 0},
	{0x0111, 0, 22, SKINNY_MANAGER, 0, 0, 20, 12, {0}, 0, 0},
	{0x0118, 0, 22, SKINNY_MANAGER, 0, 0, 0, 12, {0}, 0, 0},
	{0x0131, 0, 22, SKINNY_MANAGER, 12, 16, 28, 0, {0}, 0, 0},
	{0x0132, 0, 16, SKINNY_MANAGER, 12, 16, 32, 0, {24}, 28, 0},
	{0x0132, 17, 22, SKINNY_MANAGER, 12, 16, 48, 0, {28}, 44, 0},
	{0x0133, 0, 22, SKINNY_MANAGER, 12, 16, 20, 0, {0}, 0, 0},
	{0x0136, 0, 22, SKINNY_MANAGER, 12, 16, 20, 0, {0}, 0, 0},
	{0x014b, 0, 22, SKINNY_MANAGER, 12, 20, 16, 24, {0}, 0, 0},
	{0x014c, 0, 22, SKINNY_MANAGER, 12, 20, 16, 0, {0}, 0, 0},
	{0x014d, 0, 16, SKINNY_MANAGER, 12, 20, 16, 0, {24}, 28, 0},
	{0x014d, 17, 22, SKINNY_MANAGER, 12, 20, 16, 0, {28}, 44, 0},
	{0x014e, 0, 16, SKINNY_MANAGER, 12, 20, 16, 0, {24}, 28, 0},
	{0x014e, 17, 22, SKINNY_MANAGER, 12, 20, 16, 0, {28}, 44, 0},
	{0x014f, 0, 16, SKINNY_MANAGER, 12, 20, 16, 0, {24}, 28, 0},
	{0x014f, 17, 22, SKINNY_MANAGER, 12, 20, 16, 0, {28}, 44, 0},
	{0x0150, 0, 16, SKINNY_MANAGER, 12, 20, 16, 0, {24}, 28, 0},
	{0x0150, 17, 22, SKINNY_MANAGER, 12, 20, 16, 0, {28}, 44, 0},
	{0x0151, 0, 16, SKINNY_MANAGER, 12, 20, 16, 0, {24}, 28, 0},
	{0x0151, 17, 22, SKINNY_MANAGER, 12, 20, 16, 0, {28}, 44, 0},
	{0x0154, 0, 16, SKINNY_STATION, 12, 16, 20, 32, {24}, 28, 0},
	{0x0154, 17, 22, SKINNY_STATION, 12, 16, 20, 48, {28}, 44, 0},
	{0x0155, 0, 16, SKINNY_STATION, 12, 16, 20, 32, {24}, 28, 0},
	{0x0155, 17, 22, SKINNY_STATION, 12, 16, 20, 48, {28}, 44, 0},
	{0x8000, 0, 22, SKINNY_STATION, 0, 0, 0, 0, {36}, 0, 0},
};
enum { SHOWN = sizeof(shown) / sizeof(shown[0]), WHOLE = 400 };

static void put(uint8_t *p, uint32_t at, uint32_t value)
{
	if (at)
		skinny_put(p + at, value);
}

static unsigned int addresses(const struct shown *s)
{
	unsigned int n = 0;
	while (n < SKINNY_ADDRESSES && s->address[n])
		n++;
	return n;
}

/* A message in which every field says where it is. */
static void make(const struct shown *s, uint8_t *p)
{
	memset(p, 0, WHOLE);
	put(p, 8, s->id);
	put(p, s->conference, 101);
	put(p, s->party, 102);
	put(p, s->reference, 103);
	put(p, s->status, 104);
	put(p, s->port, 105);
	put(p, s->rtcp, 106);
	for (unsigned int i = 0; i < addresses(s); i++)
		put(p, s->address[i], 201 + i);
}

static void expect_shown(const struct shown *s, uint32_t version)
{
	uint8_t p[WHOLE];
	struct skinny_message m;
	const unsigned int n = s->address[0] ? addresses(s) : s->port != 0;
	make(s, p);
	cr_assert(skinny_read(p, sizeof(p), version, s->from, &m), "%#x", s->id);
	cr_expect_eq(m.conference, s->conference ? 101 : 0, "%#x v%u", s->id, version);
	cr_expect_eq(m.party, s->party ? 102 : 0, "%#x v%u", s->id, version);
	cr_expect_eq(m.reference, s->reference ? 103 : 0, "%#x v%u", s->id, version);
	cr_expect_eq(m.status, s->status ? 104 : 0, "%#x v%u", s->id, version);
	cr_assert_eq(m.addresses, n, "%#x v%u: %u", s->id, version, m.addresses);
	for (unsigned int i = 0; i < n; i++) {
		cr_expect_eq(m.address[i].at, s->address[i], "%#x v%u", s->id, version);
		cr_expect_eq(m.address[i].port_at, i ? 0 : s->port, "%#x v%u", s->id, version);
		cr_expect_eq(m.address[i].rtcp_at, s->rtcp, "%#x v%u", s->id, version);
		cr_expect_eq(m.address[i].port, s->port && !i ? 105 : 0);
		cr_expect_eq(m.address[i].rtcp, s->rtcp ? 106 : 0);
		cr_expect_eq(m.address[i].ip_be, s->address[i] ? htole32(201 + i) : 0);
	}
}

Test(skinny_table, fields_are_where_others_see_them)
{
	for (int i = 0; i < SHOWN; i++)
		for (uint32_t version = shown[i].first; version <= shown[i].last; version++)
			expect_shown(&shown[i], version);
}

static bool is_shown(uint32_t id, enum skinny_end from)
{
	for (int i = 0; i < SHOWN; i++)
		if (shown[i].id == id &&
			(shown[i].from == from || id == 0x95 || id == 0x96 ||
				(id >= 0x46 && id <= 0x47) || (id >= 0x14d && id <= 0x151)))
			return true;
	return false;
}

Test(skinny_table, others_mean_nothing_nor_do_these_from_the_other_end)
{
	uint8_t p[WHOLE] = {0};
	struct skinny_message m;
	for (uint32_t id = 0; id < 0x9000; id++)
		for (int from = SKINNY_STATION; from <= SKINNY_MANAGER; from++) {
			put(p, 8, id);
			cr_expect_eq(skinny_read(p, sizeof(p), 20, (enum skinny_end)from, &m),
				is_shown(id, (enum skinny_end)from), "%#x", id);
		}
}

/* Nothing beyond the end is read, which the sanitizers see, or said to be there. */
Test(skinny_table, what_is_cut_off_is_not_there)
{
	uint8_t whole[WHOLE];
	struct skinny_message m;
	for (int i = 0; i < SHOWN; i++)
		for (size_t n = SKINNY_HEADER_BYTES; n < WHOLE; n++) {
			make(&shown[i], whole);
			uint8_t *p = malloc(n);
			memcpy(p, whole, n);
			const bool read = skinny_read(p, n, shown[i].first, shown[i].from, &m);
			cr_expect(read || n < 44, "%#x at %zu", shown[i].id, n);
			for (unsigned int k = 0; k < m.addresses; k++) {
				cr_expect_leq(m.address[k].at + 4, n);
				cr_expect_leq(m.address[k].port_at + 4, n);
				cr_expect_leq(m.address[k].rtcp_at + 4, n);
			}
			free(p);
		}
}

/* Else a message cut off would be of conference or party 0, which may be another's. */
Test(skinny_table, what_ends_before_it_says_of_which_call_it_is_means_nothing)
{
	uint8_t p[WHOLE];
	struct skinny_message m;
	for (int i = 0; i < SHOWN; i++) {
		const uint32_t last =
			shown[i].party > shown[i].conference ? shown[i].party : shown[i].conference;
		make(&shown[i], p);
		for (size_t n = SKINNY_HEADER_BYTES; n < last + 8; n++)
			cr_expect_eq(skinny_read(p, n, shown[i].first, shown[i].from, &m),
				!last || n >= last + 4, "%#x at %zu", shown[i].id, n);
	}
}

/* What is beside it says which features there are. */
Test(skinny_table, the_version_that_an_end_knows_is_one_octet)
{
	uint8_t p[WHOLE];
	struct skinny_message m;
	for (int i = 0; i < SHOWN; i++) {
		if (!shown[i].status)
			continue;
		make(&shown[i], p);
		put(p, shown[i].status, 0x85720014);
		cr_assert(skinny_read(p, sizeof(p), shown[i].first, shown[i].from, &m));
		cr_expect_eq(m.status,
			shown[i].id == 0x01 || shown[i].id == 0x81 ? 0x14 : 0x85720014, "%#x",
			shown[i].id);
	}
}

Test(skinny_table, an_ipv6_address_is_none)
{
	uint8_t p[WHOLE];
	struct skinny_message m;
	for (uint32_t type = 0; type < 5; type++)
		for (int i = 0; i < SHOWN; i++) {
			if (shown[i].first != TYPED)
				continue;
			make(&shown[i], p);
			for (unsigned int k = 0; k < addresses(&shown[i]); k++)
				if (!k || shown[i].id != 0x47)
					put(p, shown[i].address[k] - 4, type);
			skinny_read(p, sizeof(p), TYPED, shown[i].from, &m);
			/* its node of QoSErrorNotify has no type */
			cr_expect_eq(m.addresses, type ? shown[i].id == 0x47 : addresses(&shown[i]),
				"%#x type %u", shown[i].id, type);
		}
}

Test(skinny_table, little_endian)
{
	uint8_t p[4];
	skinny_put(p, 0x01020304);
	cr_expect(p[0] == 4 && p[1] == 3 && p[2] == 2 && p[3] == 1);
	cr_expect_eq(skinny_get(p), 0x01020304);
}
