/* Which virtio-net headers the broker believes: every value of the two enumerations, and the edges
 * of each range. */
#include <criterion/criterion.h>

#include "vnet.h"

Test(vnet, an_empty_header_is_fine_for_any_frame)
{
	cr_assert(vnet_ok(&(struct wire_vnet){0}, 0));
	cr_assert(vnet_ok(&(struct wire_vnet){0}, 65550));
}

Test(vnet, only_known_flags)
{
	for (unsigned int flags = 0; flags < 256; flags++) {
		struct wire_vnet v = {.flags = (uint8_t)flags, .csum_start = 34, .csum_offset = 16};
		cr_assert_eq(vnet_ok(&v, 100), flags < 4, "flags %u", flags);
	}
}

Test(vnet, only_known_kinds_of_super_frame)
{
	static const uint8_t good[] = {0, 1, 4, 5, 0x81, 0x84};
	for (unsigned int type = 0; type < 256; type++) {
		struct wire_vnet v = {.flags = WIRE_VNET_NEEDS_CSUM,
			.gso_type = (uint8_t)type,
			.gso_size = 1448,
			.csum_start = 34,
			.csum_offset = 6};
		bool expected = false;
		for (size_t i = 0; i < sizeof good; i++)
			expected |= good[i] == type;
		cr_assert_eq(vnet_ok(&v, 65000), expected, "type %#x", type);
	}
}

Test(vnet, a_super_frame_has_a_segment_size)
{
	struct wire_vnet v = {.gso_type = VNET_GSO_TCP4, .gso_size = 0};
	cr_assert_not(vnet_ok(&v, 3000));
	v.gso_size = 1;
	cr_assert(vnet_ok(&v, 3000));
}

Test(vnet, a_super_frame_of_datagrams_leaves_their_checksum_to_us)
{
	const struct wire_vnet good = {.flags = WIRE_VNET_NEEDS_CSUM,
		.gso_type = VNET_GSO_UDP,
		.gso_size = 1400,
		.csum_start = 34,
		.csum_offset = 6};
	struct wire_vnet v = good;
	cr_assert(vnet_ok(&v, 3000));
	v.csum_offset = 16;
	cr_assert_not(vnet_ok(&v, 3000), "TCP's field");
	v = good;
	v.flags = 0;
	cr_assert_not(vnet_ok(&v, 3000));
	v.flags = WIRE_VNET_DATA_VALID;
	cr_assert_not(vnet_ok(&v, 3000));
	v = good;
	v.gso_type |= VNET_GSO_ECN;
	cr_assert_not(vnet_ok(&v, 3000), "only TCP has that mark");
	v = good;
	v.gso_size = 0;
	cr_assert_not(vnet_ok(&v, 3000));
	v.gso_size = 0xffff;
	cr_assert(vnet_ok(&v, 3000), "longer than the frame: one datagram");
}

Test(vnet, checksum_field_and_header_lie_in_the_frame)
{
	struct wire_vnet v = {.flags = WIRE_VNET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
	cr_assert(vnet_ok(&v, 52));
	cr_assert_not(vnet_ok(&v, 51));
	v.csum_start = 13;
	cr_assert_not(vnet_ok(&v, 100), "inside the Ethernet header");
	v.csum_start = 0xffff;
	v.csum_offset = 0xffff;
	cr_assert_not(vnet_ok(&v, 65550), "no wrap-around");
	v.flags = 0;
	cr_assert(vnet_ok(&v, 100), "without the flag the fields mean nothing");
	v.hdr_len = 101;
	cr_assert_not(vnet_ok(&v, 100));
}
