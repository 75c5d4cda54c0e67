/* The way out of a port: its form on the wire, partial writes at every place, a port that does not
 * take any more. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "egress.h"

static struct egress e;
static uint8_t wire[1 << 20];
static uint32_t wired;
static uint32_t calls;
static ssize_t accept_bytes; /* how much the port still takes; < 0: this error */

static ssize_t take(void *context, unsigned int slot, const struct iovec *piece, int pieces)
{
	ssize_t done = 0;
	calls++;
	if (accept_bytes < 0)
		return accept_bytes;
	if (accept_bytes == 0)
		return -EAGAIN;
	for (int i = 0; i < pieces; i++) {
		size_t n = piece[i].iov_len < (size_t)accept_bytes ? piece[i].iov_len
								   : (size_t)accept_bytes;
		memcpy(wire + wired, piece[i].iov_base, n);
		wired += (uint32_t)n;
		done += (ssize_t)n;
		accept_bytes -= (ssize_t)n;
	}
	return done;
}

static const struct egress_io io = {NULL, take};

static void open_port(bool vnet, bool stream)
{
	egress_init(&e, vnet, stream, 1514);
	wired = calls = 0;
	accept_bytes = 1 << 20;
}

/* A frame in three pieces; its first byte is n. */
static struct frame *frame_of(uint32_t bytes, uint8_t n)
{
	static uint8_t data[66000];
	static struct frame f;
	for (uint32_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)(n + i * 3);
	f = (struct frame){.piece = {{data, 20}, {data + 20, 17}, {data + 37, bytes - 37}},
		.pieces = 3,
		.bytes = bytes};
	return &f;
}

static void expect_body(const uint8_t *at, uint32_t bytes, uint8_t n)
{
	for (uint32_t i = 0; i < bytes; i++)
		cr_assert_eq(at[i], (uint8_t)(n + i * 3));
}

Test(egress, forms_on_the_wire)
{
	struct frame *f = frame_of(100, 5);
	open_port(false, false);
	cr_assert_eq(egress_send(&e, &io, 0, f), 0);
	cr_assert_eq(wired, 100);
	expect_body(wire, 100, 5);
	open_port(false, true);
	cr_assert_eq(egress_send(&e, &io, 0, f), 0);
	cr_assert_eq(wired, 104);
	cr_assert_eq(memcmp(wire, (uint8_t[]){0, 0, 0, 100}, 4), 0);
	expect_body(wire + 4, 100, 5);
	open_port(true, false);
	f->vnet = (struct wire_vnet){.flags = 3, .csum_start = 34, .csum_offset = 16};
	cr_assert_eq(egress_send(&e, &io, 0, f), 0);
	cr_assert_eq(wired, 110);
	cr_assert_eq(
		wire[0], WIRE_VNET_NEEDS_CSUM, "what was valid for us is not vouched for by us");
	expect_body(wire + 10, 100, 5);
	cr_assert_eq(calls, 1, "one system call a frame");
}

Test(egress, stream_continues_after_a_partial_write_at_every_place)
{
	for (ssize_t split = 0; split <= 104; split++) {
		open_port(false, true);
		accept_bytes = split;
		cr_assert_eq(egress_send(&e, &io, 0, frame_of(100, 1)), 0);
		cr_assert_eq(egress_send(&e, &io, 0, frame_of(60, 2)), 0);
		cr_assert_eq(wired, split);
		accept_bytes = 7;
		cr_assert_eq(egress_flush(&e, &io, 0), -EAGAIN);
		accept_bytes = 1 << 20;
		cr_assert_eq(egress_flush(&e, &io, 0), 0);
		cr_assert_eq(wired, 168);
		expect_body(wire + 4, 100, 1);
		cr_assert_eq(wire[107], 60);
		expect_body(wire + 108, 60, 2);
	}
}

Test(egress, blocked_port_queues_in_order_then_drops_and_recovers)
{
	for (int vnet = 0; vnet < 2; vnet++) {
		uint32_t queued = 0, record = 1000 + (vnet ? 10 : 0);
		int flush;
		open_port(vnet, false);
		accept_bytes = 0;
		while (egress_send(&e, &io, 0, frame_of(1000, (uint8_t)queued)) == 0)
			queued++;
		cr_assert_eq(queued, PENDING_BYTES / (record + 4));
		cr_assert_eq(calls, 1, "not asked again while frames wait");
		cr_assert_eq(egress_send(&e, &io, 0, frame_of(1000, 0)), -ENOBUFS);
		accept_bytes = 1 << 20;
		while ((flush = egress_flush(&e, &io, 0)) == -EAGAIN)
			;
		cr_assert_eq(flush, 0);
		cr_assert_eq(wired, queued * record);
		for (uint32_t i = 0; i < queued; i++)
			expect_body(wire + i * record + (vnet ? 10 : 0), 1000, (uint8_t)i);
	}
}

Test(egress, flush_keeps_to_its_budget)
{
	open_port(false, false);
	accept_bytes = 0;
	for (int i = 0; i < 100; i++)
		egress_send(&e, &io, 0, frame_of(60, 0));
	accept_bytes = 1 << 20;
	calls = 0;
	cr_assert_eq(egress_flush(&e, &io, 0), -EAGAIN);
	cr_assert_eq(calls, EGRESS_FLUSH_BUDGET);
}

Test(egress, errors_of_the_port)
{
	open_port(false, false);
	accept_bytes = -ENOBUFS;
	cr_assert_eq(egress_send(&e, &io, 0, frame_of(60, 0)), -ENOBUFS);
	accept_bytes = -EPIPE;
	cr_assert_eq(egress_send(&e, &io, 0, frame_of(60, 0)), -EPIPE);
	open_port(false, true);
	accept_bytes = -ENOBUFS;
	cr_assert_eq(
		egress_send(&e, &io, 0, frame_of(60, 0)), -EPIPE, "a stream cannot lose bytes");
	accept_bytes = 3;
	open_port(false, true);
	accept_bytes = 3;
	cr_assert_eq(egress_send(&e, &io, 0, frame_of(60, 0)), 0);
	accept_bytes = -EPIPE;
	cr_assert_eq(egress_flush(&e, &io, 0), -EPIPE);
}

Test(egress, length_limits)
{
	open_port(true, false);
	cr_assert_eq(egress_send(&e, &io, 0, frame_of(1518, 0)), 0, "a tag is free");
	cr_assert_eq(egress_send(&e, &io, 0, frame_of(1519, 0)), -EMSGSIZE);
}

/* A TCP super-frame for ports without vnet header; the checks of its contents are in segment.c. */
Test(egress, super_frames_are_cut_for_ports_without_header)
{
	struct frame *f = frame_of(54 + 4000, 0);
	uint8_t *h = f->piece[0].iov_base;
	memcpy(h + 12, (uint8_t[]){8, 0, 0x45}, 3);
	h[23] = 6;
	h[46] = 0x50;
	f->vnet = (struct wire_vnet){.flags = 1, .gso_type = 1, .gso_size = 1460};
	open_port(true, false);
	cr_assert_eq(egress_send(&e, &io, 0, f), 0);
	cr_assert_eq(wired, 10 + 4054);
	open_port(false, true);
	cr_assert_eq(egress_send(&e, &io, 0, f), 0);
	cr_assert_eq(wired, 3 * 58 + 4000);
	cr_assert_eq(memcmp(wire, (uint8_t[]){0, 0, 5, 0xea}, 4), 0, "1514");
	f->vnet.gso_size = 1500;
	open_port(false, false);
	cr_assert_eq(egress_send(&e, &io, 0, f), -EMSGSIZE, "segments above the MTU");
	f->vnet.gso_type = 4;
	cr_assert_eq(egress_send(&e, &io, 0, f), -EINVAL);
	cr_assert_eq(wired, 0);
}

/* A UDP super-frame of 3 datagrams, headers as they must be. */
static struct frame *datagrams(void)
{
	struct frame *f = frame_of(42 + 2500, 0);
	uint8_t *h = f->piece[0].iov_base;
	memcpy(h + 12, (uint8_t[]){8, 0, 0x45}, 3);
	h[23] = 17;
	f->vnet = (struct wire_vnet){
		.flags = 1, .gso_type = 5, .gso_size = 1000, .csum_start = 34, .csum_offset = 6};
	return f;
}

static uint32_t refused; /* super-frames of datagrams that the old kernel got */

static ssize_t take_as_an_old_kernel(
	void *context, unsigned int slot, const struct iovec *piece, int pieces)
{
	const struct wire_vnet *v = piece[0].iov_base;
	if (v->gso_type != 5)
		return take(context, slot, piece, pieces);
	refused++;
	return -EINVAL;
}

Test(egress, datagrams_are_cut_for_a_kernel_that_does_not)
{
	static const struct egress_io old = {NULL, take_as_an_old_kernel};
	open_port(true, false);
	for (int i = 1; i <= 2; i++) {
		cr_assert_eq(egress_send(&e, &old, 0, datagrams()), 0);
		cr_assert_eq(calls, 3 * (uint32_t)i);
		cr_assert_eq(refused, 1, "asked once");
		cr_assert_eq(wired, (uint32_t)i * (3 * (10 + 42) + 2500));
	}
}

Test(egress, what_cannot_be_cut_decides_nothing_for_the_port)
{
	static const struct egress_io old = {NULL, take_as_an_old_kernel};
	struct frame *f = datagrams();
	open_port(true, false);
	f->vnet.csum_start = 35;
	cr_assert_eq(egress_send(&e, &old, 0, f), -EINVAL);
	cr_assert_not(e.cuts_udp);
	f = frame_of(100, 0);
	accept_bytes = -EINVAL;
	cr_assert_eq(egress_send(&e, &io, 0, f), -EINVAL, "an ordinary frame is refused alone");
	cr_assert_not(e.cuts_udp);
}
