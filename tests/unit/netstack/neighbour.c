/* A broker or natproxy that lies: every operation that its state does not permit is found out, and nothing else happens. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "world.h"

static struct world *w;
static struct conn c;

static void setup(void)
{
	w = world_new(NULL);
	conn_init(&c, w, 40000, 80);
	conn_open(&c, OPT_ALL);
}

static void teardown(void)
{
	world_free(w);
}

TestSuite(neighbour, .init = setup, .fini = teardown);

static int told(struct ring_desc d)
{
	return stack_op(w->stack, &d);
}

Test(neighbour, ids_that_cannot_exist)
{
	static const uint8_t op[] = {RING_NATPROXY_TCP_OPENED, RING_NATPROXY_TCP_FIN,
		RING_NATPROXY_TCP_RESET, RING_NATPROXY_TCP_CONSUMED, RING_NATPROXY_DGRAM_DATA,
		RING_NATPROXY_DGRAM_CLOSED};
	for (unsigned int i = 0; i < sizeof(op); i++) {
		cr_assert_eq(told((struct ring_desc){.op = op[i], .flow = 0xffff}), -EPROTO);
		cr_assert_eq(told((struct ring_desc){.op = op[i], .flow = 60000}), -EPROTO);
	}
	cr_assert_eq(told((struct ring_desc){.op = 200}), -EPROTO);
}

Test(neighbour, old_generations_are_late_not_lies)
{
	uint32_t old = c.flow + (1u << 16);
	cr_assert_eq(told((struct ring_desc){.op = RING_NATPROXY_TCP_FIN, .flow = old}), 0);
	cr_assert_eq(
		told((struct ring_desc){.op = RING_NATPROXY_TCP_CONSUMED, .flow = old, .arg = 5}),
		0);
}

Test(neighbour, opened_twice)
{
	cr_assert_eq(
		told((struct ring_desc){.op = RING_NATPROXY_TCP_OPENED, .flow = c.flow}), -EPROTO);
	cr_assert_eq(
		told((struct ring_desc){
			.op = RING_NATPROXY_TCP_FAILED, .flow = c.flow, .arg = RING_FAIL_HOST}),
		-EPROTO);
}

Test(neighbour, failed_with_what_is_no_error)
{
	static const uint64_t arg[] = {0, RING_FAIL_ICMP + 1, 3 << 16 | RING_FAIL_HOST,
		RING_FAIL_ICMP, 3 << 16 | 16 << 8 | RING_FAIL_ICMP, 5 << 16 | RING_FAIL_ICMP,
		(uint64_t)1 << 32 | RING_FAIL_NET};
	const struct ring_desc *open;
	w->open_at_once = false;
	c.sport++;
	world_clear(w);
	conn_syn(&c, OPT_ALL);
	open = world_told(w, RING_NETSTACK_TCP_OPEN, 0);
	for (unsigned int i = 0; i < sizeof(arg) / sizeof(arg[0]); i++)
		cr_expect_eq(told((struct ring_desc){.op = RING_NATPROXY_TCP_FAILED,
				     .flow = open->flow,
				     .arg = arg[i]}),
			-EPROTO, "%u", i);
}

Test(neighbour, consumed_what_it_never_had)
{
	cr_assert_eq(told((struct ring_desc){
			     .op = RING_NATPROXY_TCP_CONSUMED, .flow = c.flow, .arg = 1}),
		-EPROTO);
	conn_send(&c, F_ACK, "abc", 3);
	cr_assert_eq(told((struct ring_desc){
			     .op = RING_NATPROXY_TCP_CONSUMED, .flow = c.flow, .arg = 2}),
		-EPROTO, "went back");
	cr_assert_eq(told((struct ring_desc){
			     .op = RING_NATPROXY_TCP_CONSUMED, .flow = c.flow, .arg = 4}),
		-EPROTO);
}

Test(neighbour, data_beyond_credit_or_out_of_place)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_DATA,
		.flow = c.flow,
		.nseg = 1,
		.seg = {{buf_offset(0), 100, buf_id(ARENA_NATPROXY, 0)}}};
	d.arg = 50;
	cr_assert_eq(told(d), -EPROTO, "gap");
	d.arg = 0;
	cr_assert_eq(told(d), 0);
	d.arg = 100;
	cr_assert_eq(told(d), -EPROTO, "the same buffer again");
	for (unsigned int i = 0; i < 4; i++)
		d.seg[i] = (struct ring_seg){buf_offset(ARENA_SMALL_COUNT + i), 65536,
			buf_id(ARENA_NATPROXY, ARENA_SMALL_COUNT + i)};
	d.nseg = 4;
	cr_assert_eq(told(d), -EPROTO, "beyond the credit");
	d.nseg = 0;
	cr_assert_eq(told(d), -EPROTO, "nothing");
}

Test(neighbour, data_after_fin)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_DATA,
		.flow = c.flow,
		.nseg = 1,
		.seg = {{buf_offset(0), 100, buf_id(ARENA_NATPROXY, 0)}}};
	cr_assert_eq(told((struct ring_desc){.op = RING_NATPROXY_TCP_FIN, .flow = c.flow}), 0);
	cr_assert_eq(told(d), -EPROTO);
	cr_assert_eq(
		told((struct ring_desc){.op = RING_NATPROXY_TCP_FIN, .flow = c.flow}), -EPROTO);
}

Test(neighbour, releases_of_what_was_not_lent)
{
	struct ring_desc d = {
		.op = RING_NATPROXY_RELEASE_WRITTEN, .nseg = 1, .ids = {buf_id(ARENA_BROKER, 5)}};
	cr_assert_eq(told(d), -EPROTO);
	d.ids[0] = buf_id(ARENA_NATPROXY, 5);
	cr_assert_eq(told(d), -EPROTO);
	d.ids[0] = 0;
	cr_assert_eq(told(d), -EPROTO);
	d.ids[0] = 0xffffffff;
	cr_assert_eq(told(d), -EPROTO);
	w->consume_at_once = false;
	conn_send(&c, F_ACK, "abc", 3);
	d.ids[0] = world_told(w, RING_NETSTACK_TCP_DATA, 0)->seg[0].id;
	cr_assert_eq(told(d), 0);
	cr_assert_eq(told(d), -EPROTO, "twice");
}

Test(neighbour, broker_lends_a_buffer_twice)
{
	struct ring_desc d = {.op = RING_BROKER_FRAME,
		.nseg = 2,
		.seg = {{buf_offset(2000), 60, buf_id(ARENA_BROKER, 2000)},
			{buf_offset(2000), 60, buf_id(ARENA_BROKER, 2000)}}};
	cr_assert_eq(told(d), -EPROTO);
	w->consume_at_once = false;
	conn_send(&c, F_ACK, "abc", 3);
	d.nseg = 1;
	d.seg[0].id = world_told(w, RING_NETSTACK_TCP_DATA, 0)->seg[0].id;
	d.seg[0].off = buf_offset(buf_index(d.seg[0].id));
	cr_assert_eq(told(d), -EPROTO);
	d.nseg = 0;
	cr_assert_eq(told(d), -EPROTO);
}

Test(neighbour, wrong_kind_of_flow)
{
	cr_assert_eq(
		told((struct ring_desc){.op = RING_NATPROXY_DGRAM_DATA, .flow = c.flow}), -EPROTO);
	cr_assert_eq(told((struct ring_desc){.op = RING_NATPROXY_DGRAM_CLOSED, .flow = c.flow}),
		-EPROTO);
	cr_assert_eq(told((struct ring_desc){.op = RING_NATPROXY_DGRAM_ERROR,
			     .flow = c.flow,
			     .pair = {.token = 0x0303}}),
		-EPROTO);
	cr_assert_eq(told((struct ring_desc){.op = RING_NATPROXY_DGRAM_ERROR,
			     .flow = c.flow,
			     .pair = {.token = 0x0500}}),
		-EPROTO);
}

Test(neighbour, echo_has_no_runs)
{
	static uint8_t frame[2000];
	struct ip_spec ip = {.protocol = 1};
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_DATA, .hlen = 4};
	world_frame(w, frame, make_echo(frame, &ip, 7, 1, "ping", 4), false);
	world_run(w);
	d.flow = world_told(w, RING_NETSTACK_DGRAM_OPEN, 0)->flow;
	cr_assert(world_payload(w, &d, "01234567", 8));
	world_run(w);
	cr_assert_eq(w->error, -EPROTO);
}

Test(neighbour, incoming_for_nobody)
{
	struct ring_desc d = {
		.op = RING_NATPROXY_TCP_INCOMING, .pair = {.guest_ip_be = htobe32(0x08080808)}};
	cr_assert_eq(told(d), 0);
	d.pair.guest_ip_be = htobe32(GATEWAY);
	cr_assert_eq(told(d), 0);
	d.op = RING_NATPROXY_DGRAM_INCOMING;
	d.pair.kind = DGRAM_UDP;
	cr_assert_eq(told(d), 0);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_REJECTED), 2);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 0);
	cr_assert_eq(w->drops.count[DROP_DENIED], 3);
	d.pair.kind = DGRAM_ECHO;
	cr_assert_eq(told(d), -EPROTO);
}

Test(neighbour, ten_thousand_mutated_frames_while_a_flow_goes_on)
{
	static uint8_t frame[4096], data[1000];
	uint64_t seed = 12345;
	uint32_t done = 0;
	for (unsigned int i = 0; i < 10000; i++) {
		struct ip_spec ip = {.dst = i % 3 ? OUTSIDE : GATEWAY};
		struct tcp_spec t = {.src = GUEST,
			.dst = OUTSIDE,
			.sport = (uint16_t)(i % 5 ? 3000 + i % 200 : 1),
			.dport = 80,
			.seq = i,
			.ack = i,
			.window = 500,
			.flags = (uint8_t)i,
			.data = data,
			.len = i % 900};
		uint32_t n;
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		switch (i % 4) {
		case 0: n = make_tcp(frame, &t); break;
		case 1:
			n = make_udp(frame, &ip, (uint16_t)i, (uint16_t)(i % 64), data, i % 1000);
			break;
		case 2: n = make_echo(frame, &ip, (uint16_t)i, 1, data, i % 1000); break;
		default:
			n = make_arp(frame, (uint16_t)(1 + i % 2), GUEST_MAC,
				i % 7 ? GUEST : NET | i % 256, GATEWAY);
			break;
		}
		for (unsigned int k = 0; k < seed % 5; k++)
			frame[(seed >> (8 * k + 8)) % (n < 80 ? n : 80)] ^=
				(uint8_t)(seed >> (k + 20));
		world_frame(w, frame, n - (seed >> 50) % (n / 4), (seed >> 40) % 3 != 0);
		world_run(w);
		if (i % 500 == 499) {
			world_clear(w);
			world_sleep(w, 400 * MS);
			conn_send(&c, F_ACK, data, sizeof(data));
			done += 1000;
			cr_assert_eq(w->upload_n, done, "the open flow stopped");
		}
		if (w->told_n > 6000 || w->frames_n > 6000)
			world_clear(w);
	}
	cr_assert_eq(w->error, 0);
}
