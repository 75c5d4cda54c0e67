/* Ports over real sockets: QEMU's stream framing in whatever portions the socket brings, datagrams,
 * ends of file, errors. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port.h"
#include "world.h"

enum { SLOT = 10 };

static struct port port;
static int far_end;

static void open_port(Nl__PortKind kind, bool vnet)
{
	Nl__PortAttach m = NL__PORT_ATTACH__INIT;
	int pair[2], type = kind == NL__PORT_KIND__QEMU_STREAM ? SOCK_STREAM : SOCK_DGRAM;
	m.kind = kind;
	m.vnet_hdr = vnet;
	signal(SIGPIPE, SIG_IGN);
	world_open(true, 64);
	cr_assert_eq(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, pair), 0);
	far_end = pair[1];
	port_open(&port, pair[0], &m);
	bridge_attach(&world.bridge, SLOT, 55, port.vnet, kind == NL__PORT_KIND__QEMU_STREAM, 1500);
}

static enum port_state receive(void)
{
	return port_receive(&port, &world.bridge, SLOT, 1);
}

/* Appends a length and a frame for the gateway; its size follows from n. */
static size_t append(uint8_t *to, uint32_t n)
{
	uint32_t bytes = 60 + n * 97 % 1400;
	stream_prefix(to, bytes);
	world_frame(to + 4, bytes, world_gateway, world_mac(1), 0x0800);
	return 4 + bytes;
}

/* Netstack finds exactly this frame next. */
static void expect(const uint8_t *frame, uint32_t bytes)
{
	struct ring_desc d;
	cr_assert_eq(world_netstack_gets(&d), 1);
	cr_assert_eq(d.nseg, 1);
	cr_assert_eq(d.seg[0].len, bytes);
	cr_assert_eq(
		memcmp(arena_view_ptr(&world.view, d.seg[0].id, d.seg[0].off), frame, bytes), 0);
	cr_assert_eq(world_netstack_releases(&d), 0);
}

Test(port, stream_at_every_split_position)
{
	static uint8_t wire[4000];
	size_t n = append(wire, 0), second = n;
	open_port(NL__PORT_KIND__QEMU_STREAM, false);
	n += append(wire + n, 3);
	for (size_t split = 0; split <= n; split++) {
		cr_assert_eq(write(far_end, wire, split), (ssize_t)split);
		cr_assert_eq(receive(), PORT_EMPTY);
		cr_assert_eq(write(far_end, wire + split, n - split), (ssize_t)(n - split));
		cr_assert_eq(receive(), PORT_EMPTY);
		expect(wire + 4, (uint32_t)second - 4);
		expect(wire + second + 4, (uint32_t)(n - second) - 4);
	}
	cr_assert_eq(world_all_drops(), 0);
}

Test(port, stream_in_a_batch_and_with_back_pressure)
{
	static uint8_t wire[200 * 1500];
	size_t at[201], n = 0;
	struct arena *a = &world.arena;
	uint32_t spare;
	open_port(NL__PORT_KIND__QEMU_STREAM, false);
	for (uint32_t i = 0; i < 100; i++) {
		at[i] = n;
		n += append(wire + n, i);
	}
	at[100] = n;
	cr_assert_eq(write(far_end, wire, n), (ssize_t)n);
	spare = a->free_count[BUF_SMALL];
	a->free_count[BUF_SMALL] = ARENA_RESERVED;
	cr_assert_eq(receive(), PORT_SHORT);
	a->free_count[BUF_SMALL] = spare;
	cr_assert_eq(receive(), PORT_MORE);
	while (receive() == PORT_MORE)
		;
	for (int i = 0; i < 100; i++)
		expect(wire + at[i] + 4, (uint32_t)(at[i + 1] - at[i]) - 4);
	cr_assert_eq(world_all_drops(), 0);
}

Test(port, stream_with_a_broken_length_is_gone)
{
	open_port(NL__PORT_KIND__QEMU_STREAM, false);
	cr_assert_eq(write(far_end, "GET / HTTP/1.0\r\n\r\n", 18), 18);
	cr_assert_eq(receive(), PORT_GONE);
	cr_assert_str_eq(port.why, "broken frame length");
}

Test(port, stream_end_of_file)
{
	static uint8_t wire[2000];
	size_t n = append(wire, 1);
	open_port(NL__PORT_KIND__QEMU_STREAM, false);
	cr_assert_eq(write(far_end, wire, n), (ssize_t)n);
	close(far_end);
	cr_assert_eq(receive(), PORT_GONE);
	cr_assert_str_eq(port.why, "end of file");
	expect(wire + 4, (uint32_t)n - 4);
	cr_assert_eq(port_write(&port, &(struct iovec){wire, n}, 1), -EPIPE, "no signal, an error");
}

Test(port, datagrams_are_frames)
{
	static uint8_t wire[2000];
	size_t n = append(wire, 7);
	open_port(NL__PORT_KIND__QEMU_DGRAM, true);
	cr_assert_not(port.vnet, "a virtual machine has no header to be believed");
	cr_assert_eq(write(far_end, wire + 4, n - 4), (ssize_t)n - 4);
	cr_assert_eq(write(far_end, "", 0), 0);
	cr_assert_eq(write(far_end, wire + 4, n - 4), (ssize_t)n - 4);
	cr_assert_eq(receive(), PORT_EMPTY);
	expect(wire + 4, (uint32_t)n - 4);
	expect(wire + 4, (uint32_t)n - 4);
	cr_assert_eq(world_drops(DROP_FRAME_SHORT), 1);
	close(far_end);
	cr_assert_eq(port_write(&port, &(struct iovec){wire, n}, 1), -EPIPE);
}

Test(port, a_full_socket_says_later)
{
	static uint8_t frame[1514];
	int n = 0;
	open_port(NL__PORT_KIND__QEMU_DGRAM, false);
	while (port_write(&port, &(struct iovec){frame, sizeof frame}, 1) == sizeof frame)
		n++;
	cr_assert_gt(n, 0);
	cr_assert_eq(port_write(&port, &(struct iovec){frame, sizeof frame}, 1), -EAGAIN);
	cr_assert_eq(read(far_end, frame, sizeof frame), sizeof frame);
	cr_assert_eq(port_write(&port, &(struct iovec){frame, sizeof frame}, 1), sizeof frame);
}

Test(port, a_kernel_port_s_header_is_taken_off)
{
	static uint8_t wire[2000];
	struct wire_vnet v = {.flags = WIRE_VNET_DATA_VALID};
	struct ring_desc d;
	size_t n = append(wire, 2);
	open_port(NL__PORT_KIND__PACKET, true);
	cr_assert_eq(writev(far_end, (struct iovec[]){{&v, 10}, {wire + 4, n - 4}}, 2),
		(ssize_t)n - 4 + 10);
	cr_assert_eq(write(far_end, wire, 9), 9);
	cr_assert_eq(receive(), PORT_EMPTY);
	cr_assert_eq(world_netstack_gets(&d), 1);
	cr_assert_eq(d.rx.csum_ok, 1);
	cr_assert_eq(d.seg[0].len, n - 4);
	cr_assert_eq(world_drops(DROP_FRAME_SHORT), 1, "not even a whole header");
}
