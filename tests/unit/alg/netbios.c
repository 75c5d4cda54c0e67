/* NetBIOS names as they stand in a message, and addresses as the other side reads them. */
#include "netbios.h"
#include "netbios_messages.h"

static size_t read(const void *p, size_t n, size_t first, size_t at, struct netbios_name *name)
{
	/* Behind it nothing that may be read: the sanitized build watches. */
	uint8_t *exact = malloc(n);
	memcpy(exact, p, n);
	const size_t end = netbios_name(exact, n, first, at, name);
	free(exact);
	return end;
}

Test(netbios, the_place_behind_a_name)
{
	struct netbios_name name;
	struct bytes b = {.n = 0};
	put_name(&b, "GUEST");
	cr_expect_eq(read(b.p, b.n, 0, 0, &name), 34);
	cr_expect(name.encoded);
	for (size_t n = 1; n < b.n; n++)
		cr_expect_eq(read(b.p, n, 0, 0, &name), 0, "%zu", n);
	cr_expect_eq(read("\0x", 2, 0, 0, &name), 1);
	cr_expect_not(name.encoded);
	cr_expect_eq(read("\1a\1b\0\1c\xc0\2x", 10, 0, 5, &name), 9);
	cr_expect_eq(read("\1a\1b\0\1c\xc0\2x", 8, 0, 5, &name), 0, "half a pointer");
	cr_expect_eq(read("\1a\1b\0\1c\xc0\2x", 10, 3, 5, &name), 0, "before the first place");
	cr_expect_eq(read("\1a\1b\0\1c\xc0\2x", 10, 10, 5, &name), 0, "none allowed");
}

Test(netbios, a_name_has_one_hash)
{
	struct netbios_name plain, pointed, upper, other, joined;
	read("\1c\1b\0", 5, 0, 0, &plain);
	read("\1a\1b\0\1c\xc0\2", 9, 0, 5, &pointed);
	read("\1C\1B\0", 5, 0, 0, &upper);
	read("\1b\1c\0", 5, 0, 0, &other);
	read("\2cb\0", 4, 0, 0, &joined);
	cr_expect_eq(plain.hash, pointed.hash);
	cr_expect_eq(plain.hash, upper.hash);
	cr_expect_neq(plain.hash, other.hash);
	cr_expect_neq(plain.hash, joined.hash, "lengths count");
}

Test(netbios, only_the_first_label_tells_a_netbios_name)
{
	struct netbios_name name;
	struct bytes b = {.n = 0};
	put_label(&b, "GUEST", 0x20);
	put(&b, "\3com\0", 5);
	cr_expect_eq(read(b.p, b.n, 0, 0, &name), 38);
	cr_expect(name.encoded);
	b.n = 0;
	put(&b, "\3com", 4);
	put_label(&b, "GUEST", 0x20);
	put8(&b, 0);
	cr_expect_eq(read(b.p, b.n, 0, 0, &name), 38);
	cr_expect_not(name.encoded);
}

static void expect_address(const struct alg_flow *f, enum alg_direction from, bool own,
	const char *address, const char *as)
{
	uint32_t got = ip(address);
	const bool changed = netbios_address(f, from, own, ip(address), &got);
	cr_expect_eq(changed, strcmp(address, as) != 0, "%s", address);
	if (changed)
		cr_expect_eq(got, ip(as), "%s", address);
}

Test(netbios, addresses_are_the_other_sides)
{
	const struct alg_flow f = netbios_view(137, false);
	expect_address(&f, ALG_GUEST, false, GUEST_IP, OUTSIDE_IP);
	expect_address(&f, ALG_GUEST, true, INSIDE_IP, MAPPED_IP);
	expect_address(&f, ALG_GUEST, true, OUTSIDE_IP, OUTSIDE_IP);
	expect_address(&f, ALG_OUTSIDE, true, OUTSIDE_IP, GUEST_IP);
	expect_address(&f, ALG_OUTSIDE, false, OUTSIDE_IP, OUTSIDE_IP);
	expect_address(&f, ALG_OUTSIDE, false, MAPPED_IP, INSIDE_IP);
	expect_address(&f, ALG_OUTSIDE, true, GUEST_IP, GUEST_IP);
}

Test(netbios, mappings_of_another_vrf_are_not_there)
{
	struct alg_flow f = netbios_view(137, false);
	f.vrf = 1;
	expect_address(&f, ALG_GUEST, true, INSIDE_IP, INSIDE_IP);
	expect_address(&f, ALG_OUTSIDE, true, MAPPED_IP, MAPPED_IP);
	expect_address(&f, ALG_GUEST, true, GUEST_IP, OUTSIDE_IP);
}

Test(netbios, a_guest_without_translation_needs_no_edit)
{
	struct alg_flow f = netbios_view(137, false);
	f.outside_ip_be = f.guest_ip_be;
	expect_address(&f, ALG_GUEST, true, GUEST_IP, GUEST_IP);
	expect_address(&f, ALG_OUTSIDE, true, GUEST_IP, GUEST_IP);
}
