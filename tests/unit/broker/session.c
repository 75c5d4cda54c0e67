/* Rows of the session list: the seed's form of names, counters from the hub's side. */
#include <criterion/criterion.h>
#include <string.h>

#include "session.h"
#include "world.h"

Test(session, gateway_is_the_first_session)
{
	Nl__SessionRow row;
	uint8_t frame[100];
	world_open(true, 8);
	world_frame(frame, 100, world_gateway, world_mac(1), 0x0800);
	world_arrives(0, NULL, frame, 100);
	world_arrives(0, NULL, frame, 100);
	session_gateway(&row, &world.bridge, 1234);
	cr_assert_str_eq(row.session, "SID-SECURENAT-1");
	cr_assert_eq(row.macs, 1);
	cr_assert_eq(row.created_ms, 1234);
	cr_assert_eq(row.tx_frames, 2);
	cr_assert_eq(row.tx_bytes, 200);
	cr_assert_eq(row.rx_frames, 0);
}

Test(session, ports_carry_their_name_and_number)
{
	Nl__SessionRow row;
	char text[SESSION_NAME_BYTES], kind[] = "tap";
	uint8_t frame[100];
	world_open(true, 8);
	world_frame(frame, 100, world_gateway, world_mac(1), 0x0800);
	world_arrives(1, NULL, frame, 100);
	world_frame(frame, 100, world_gateway, world_gateway, 0x0800);
	world_arrives(1, NULL, frame, 100);
	session_port(&row, &world.bridge, 1, "tap:vm\x1b 1", kind, 77, text);
	cr_assert_str_eq(row.session, "SID-TAP:VM? 1-101");
	cr_assert_str_eq(row.kind, "tap");
	cr_assert_eq(row.port, 101);
	cr_assert_eq(row.macs, 1);
	cr_assert_eq(row.rx_frames, 2);
	cr_assert_eq(row.rx_bytes, 200);
	cr_assert_eq(row.tx_frames, 0);
	cr_assert_eq(row.dropped, 1);
	cr_assert_eq(row.created_ms, 77);
}

Test(session, a_long_name_is_cut)
{
	Nl__SessionRow row;
	char text[SESSION_NAME_BYTES], name[200], kind[] = "tap";
	memset(name, 'x', sizeof name);
	name[199] = 0;
	world_open(true, 8);
	session_port(&row, &world.bridge, 2, name, kind, 0, text);
	cr_assert_eq(strlen(row.session), 4 + 40 + 4);
}
