#include "forge.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "wire/wire.h"

enum { ICMP_BYTES = 8, IP_BYTES = 20, QUOTED_MAX = 64, UNREACHABLE = 3, HOST = 1 };

static void put_sum(uint8_t *field, const void *bytes, size_t n)
{
	const uint16_t sum = wire_fold(wire_sum(0, bytes, n));
	field[0] = (uint8_t)(sum >> 8);
	field[1] = (uint8_t)sum;
}

void forge_unreachable(uint32_t to_be, uint8_t protocol, const void *quoted, size_t n)
{
	uint8_t m[ICMP_BYTES + IP_BYTES + QUOTED_MAX] = {UNREACHABLE, HOST};
	uint8_t *ip = m + ICMP_BYTES;
	const uint32_t from_be = rig_loopback();
	const struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = from_be};
	const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	memcpy(ip, (const uint8_t[]){0x45, 0, 0, 200, 0, 0, 0, 0, 1, protocol}, 10);
	memcpy(ip + 12, &from_be, sizeof(from_be));
	memcpy(ip + 16, &to_be, sizeof(to_be));
	put_sum(ip + 10, ip, IP_BYTES);
	memcpy(ip + IP_BYTES, quoted, n);
	n += ICMP_BYTES + IP_BYTES;
	put_sum(m + 2, m, n);
	cr_assert_eq(sendto(fd, m, n, 0, (const struct sockaddr *)&to, sizeof(to)), (ssize_t)n);
	close(fd);
}
