/* Datagrams on their way in, from the kernel's sockets on loopback: which of them reach netstack as
 * one run, and that each of them arrives. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

enum { FLOW = 0x20003, PORT = 45123, BIG = 65536 };

/* An endpoint that has spoken to *fd, so that everybody on this address may answer. */
static struct rig *world(int *fd)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN,
		.flow = FLOW,
		.pair = {.guest_ip_be = rig_guest_ip(), .guest_port = PORT, .kind = DGRAM_UDP}};
	struct rig *r = rig_new(&(struct rig_options){0});
	uint16_t port;
	*fd = rig_udp(&port);
	rig_send(r, &d);
	d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, "x", 1);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = port, .ttl = 63};
	rig_send(r, &d);
	rig_turn(r);
	return r;
}

/* Bytes n, n + 1, ... to the endpoint; each: as one call that the kernel cuts. */
static void reply_run(int fd, uint8_t n, size_t bytes, int each)
{
	static uint8_t text[BIG];
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(PORT)};
	for (size_t i = 0; i < bytes; i++)
		text[i] = (uint8_t)(n + i);
	cr_assert_eq(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &each, sizeof(each)), 0);
	cr_assert_eq(sendto(fd, text, bytes, 0, (const struct sockaddr *)&to, sizeof(to)),
		(ssize_t)bytes);
}

static void reply(int fd, uint8_t n, size_t bytes)
{
	reply_run(fd, n, bytes, 0);
}

static const uint8_t *flat(struct rig *r, const struct ring_desc *d, uint32_t *bytes)
{
	static uint8_t text[BIG];
	*bytes = 0;
	for (unsigned int i = 0; i < d->nseg; i++) {
		memcpy(text + *bytes, rig_bytes(r, d, i), d->seg[i].len);
		*bytes += d->seg[i].len;
	}
	return text;
}

/* The next descriptor: so many bytes in datagrams of `each`, the k-th beginning with n + k * step. */
static void expect(struct rig *r, uint8_t n, uint32_t step, uint32_t bytes, uint16_t each)
{
	struct ring_desc d;
	uint32_t got;
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
	const uint8_t *text = flat(r, &d, &got);
	cr_assert_eq(got, bytes);
	cr_assert_eq(d.hlen, each);
	for (uint32_t i = 0; i < bytes; i++) {
		const uint32_t which = each ? i / each : 0, at = each ? i % each : i;
		cr_assert_eq(text[i], (uint8_t)(n + which * step + at), "byte %u", i);
	}
	rig_give_back(r, &d);
}

static void finish(struct rig *r)
{
	rig_op(r, RING_NETSTACK_FLOW_FREE, FLOW);
	rig_turn(r);
	rig_turn(r);
	cr_assert_eq(r->np->reading_flows, 0);
	rig_free(r);
}

Test(gather, a_row_of_one_length_is_a_run)
{
	int fd;
	struct rig *r = world(&fd);
	for (uint8_t n = 0; n < 3; n++)
		reply(fd, n, 64);
	reply(fd, 3, 10);
	expect(r, 0, 1, 3 * 64 + 10, 64);
	for (uint8_t n = 0; n < 3; n++)
		reply(fd, n, 1400);
	expect(r, 0, 1, 3 * 1400, 1400);
	reply(fd, 9, 64);
	expect(r, 9, 0, 64, 0);
	finish(r);
}

Test(gather, what_differs_stays_apart)
{
	int fd, tos = 0x20;
	struct rig *r = world(&fd);
	uint16_t port;
	const int other = rig_udp(&port);
	reply(fd, 0, 64);
	reply(other, 1, 64);
	reply(fd, 2, 64);
	setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	reply(fd, 3, 64);
	expect(r, 0, 0, 64, 0);
	expect(r, 1, 0, 64, 0);
	expect(r, 2, 0, 64, 0);
	expect(r, 3, 0, 64, 0);
	reply(fd, 4, 64);
	reply(fd, 5, 65);
	reply(fd, 6, 0);
	reply(fd, 7, 0);
	expect(r, 4, 0, 64, 0);
	expect(r, 5, 0, 65, 0);
	expect(r, 6, 0, 0, 0);
	expect(r, 7, 0, 0, 0);
	reply(fd, 8, 3000);
	reply(fd, 9, 3000);
	expect(r, 8, 0, 3000, 0);
	expect(r, 9, 0, 3000, 0);
	finish(r);
}

Test(gather, runs_of_the_far_end_come_whole)
{
	static const uint32_t bytes[] = {3000, 2049, 64000, 1001};
	int fd;
	struct rig *r = world(&fd);
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		reply_run(fd, 5, bytes[i], 1000);
		reply(fd, 1, 20);
		reply(fd, 2, 20);
		expect(r, 5, 1000, bytes[i], 1000);
		expect(r, 1, 1, 40, 20);
	}
	finish(r);
}

Test(gather, long_batches_lose_nothing)
{
	int fd;
	struct rig *r = world(&fd);
	struct ring_desc d;
	uint32_t seed = 3, descriptors = 0;
	uint8_t told = 0, seen = 0;
	static uint32_t length[256];
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < 100; i++) {
			seed = seed * 1664525 + 1013904223;
			length[told] = seed >> 28 & 7 ? 300 : seed >> 20 & 1023;
			reply(fd, told, length[told]);
			told++;
		}
		while (seen != told) {
			uint32_t bytes, at = 0;
			cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
			const uint8_t *text = flat(r, &d, &bytes);
			do {
				const uint32_t n =
					d.hlen && bytes - at > d.hlen ? d.hlen : bytes - at;
				cr_assert_eq(n, length[seen]);
				for (uint32_t i = 0; i < n; i++)
					cr_assert_eq(text[at + i], (uint8_t)(seen + i));
				at += n;
				seen++;
			} while (at < bytes);
			rig_give_back(r, &d);
			descriptors++;
		}
	}
	cr_assert_lt(descriptors, 2500, "of 4,000 datagrams");
	finish(r);
}

/* How many datagrams are there. */
static uint32_t drain(struct rig *r)
{
	struct ring_desc d;
	uint32_t came = 0, bytes;
	while (rig_await(r, RING_NATPROXY_DGRAM_DATA, &d)) {
		flat(r, &d, &bytes);
		came += ring_run_count(bytes, d.hlen);
		rig_give_back(r, &d);
	}
	return came;
}

Test(gather, what_the_full_queue_cost_is_counted)
{
	enum { SENT = 4000 };
	int fd;
	struct rig *r = world(&fd);
	uint32_t came;
	for (int i = 0; i < SENT; i++)
		reply(fd, 0, 1000);
	came = drain(r);
	cr_assert_lt(came, SENT);
	reply(fd, 0, 3); /* the kernel says it with the next one that it took */
	cr_assert_eq(drain(r), 1);
	cr_assert_eq(r->drops.count[DROP_SOCKET_FULL], SENT - came);
	finish(r);
}
