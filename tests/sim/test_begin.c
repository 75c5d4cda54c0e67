/* The first minute of a guest: lease, ARP, ping, a name, a datagram; and what does not answer. */
#include <criterion/criterion.h>
#include <string.h>

#include "clock.h"
#include "gateway.h"
#include "guest.h"
#include "internet.h"
#include "pattern.h"
#include "snapshot.h"

enum { DATAGRAMS = 200, DATAGRAM_MAX = 1472, FIRST_SOURCE = 5000 };

static uint32_t came, wrong, names;

static void on_datagram(uint32_t ip, uint16_t from, uint16_t to, const uint8_t *bytes, size_t n)
{
	static const uint8_t answer[] = {203, 0, 113, 80};
	if (from == 53) {
		names += ip == GATEWAY_IP && n > 12 && bytes[0] == 0xbe && bytes[1] == 0xef &&
			 memcmp(bytes + n - 4, answer, 4) == 0;
		return;
	}
	came++;
	wrong += ip != SERVER_IP || from != UDP_ECHO_PORT ||
		 n != (to - FIRST_SOURCE) * 7u % (DATAGRAM_MAX + 1) ||
		 pattern_wrong(to, 0, bytes, n);
}

Test(sim, lease_and_gateway)
{
	gateway_with_guest(false);
	snapshot_begin();
	cr_expect_eq(guest.ip, 0xc0a81e0a);
	cr_expect_eq(guest.router_ip, GATEWAY_IP);
	cr_expect_eq(guest.dns_ip, GATEWAY_IP);
	cr_expect_eq(gateway_commits(), 1, "the lease was not stored before the ACK");
	for (uint16_t i = 0; i < 10; i++)
		guest_ping(i < 5 ? GATEWAY_IP : SERVER_IP, 77, i);
	clock_sleep(SECOND);
	cr_expect_eq(guest.pongs, 10);
	snapshot_end("lease_and_gateway");
	gateway_at_rest();
}

Test(sim, name_by_redirect)
{
	static const uint8_t query[] = {0xbe, 0xef, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'w', 'w', 'w',
		4, 't', 'e', 's', 't', 0, 0, 1, 0, 1};
	gateway_with_guest(false);
	snapshot_begin();
	guest.datagram = on_datagram;
	guest_udp(GATEWAY_IP, 3333, 53, query, sizeof(query));
	clock_sleep(SECOND);
	cr_expect_eq(names, 1);
	snapshot_end("name_by_redirect");
	gateway_at_rest();
}

Test(sim, udp_echo)
{
	uint8_t bytes[DATAGRAM_MAX];
	gateway_with_guest(false);
	snapshot_begin();
	guest.datagram = on_datagram;
	for (uint16_t i = 0; i < DATAGRAMS; i++) {
		size_t n = i * 7u % (DATAGRAM_MAX + 1);
		pattern_fill(FIRST_SOURCE + i, 0, bytes, n);
		guest_udp(SERVER_IP, (uint16_t)(FIRST_SOURCE + i), UDP_ECHO_PORT, bytes, n);
		clock_sleep(100 * US);
	}
	clock_sleep(SECOND);
	cr_expect_eq(internet_answered(), DATAGRAMS);
	cr_expect_eq(came, DATAGRAMS);
	cr_expect_eq(wrong, 0);
	snapshot_end("udp_echo");
	gateway_at_rest();
}

Test(sim, udp_errors_come_back)
{
	gateway_with_guest(false);
	snapshot_begin();
	guest_udp(SERVER_IP, 4000, 9, (const uint8_t *)"x", 1);
	clock_sleep(SECOND);
	cr_expect_eq(guest.errors, 1);
	cr_expect(guest.error_type == 3 && guest.error_code == 3,
		"port unreachable is what the far host said");
	guest_udp(HOST_IP, 4001, 9, (const uint8_t *)"x", 1);
	clock_sleep(SECOND);
	cr_expect_eq(guest.errors, 2);
	cr_expect(guest.error_type == 3 && guest.error_code == 13,
		"the host's own address is denied");
	cr_expect_eq(gateway_drops(ACTOR_NATPROXY, DROP_DENIED), 1);
	snapshot_end("udp_errors_come_back");
	gateway_at_rest();
}
