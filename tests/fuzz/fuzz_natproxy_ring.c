/*
 * A hostile netstack and a capricious kernel: any operation with any fields, on few flow ids so
 * that they meet, under a supervisor that changes its mind. The core may call it a lie; it must not crash, leak a descriptor or break the
 * protocol itself.
 */
#include "fuzz_natproxy.h"
#include "dns.h"
#include "natproxy_dispatch.h"

static uint32_t word(void)
{
	return (uint32_t)take() << 24 | (uint32_t)take() << 16 | (uint32_t)take() << 8 | take();
}

static void endpoints(struct ring_desc *d)
{
	static const uint32_t remotes[] = {0x08080800, 0xc0a81e01, 0x7f000001, 0xe0000001};
	static const uint16_t ports[] = {21, 53, 80, 0};
	d->pair = (struct ring_pair){.guest_ip_be = htonl(0xc0a81e0a + (take() & 1)),
		.guest_port = (uint16_t)(80 + take() % 4),
		.remote_ip_be = htonl(remotes[take() & 3] | (take() & 1)),
		.remote_port = ports[take() & 3],
		.token = take() & 1 ? 0x10001 : word(),
		.kind = take() % 4};
}

static void payload(struct ring_desc *d)
{
	struct flow *f = &np->flow[flow_index(d->flow)];
	d->nseg = take() % 5;
	d->hlen = take() > 240;
	bool datagram = d->op == RING_NETSTACK_DGRAM_DATA || d->op == RING_NETSTACK_DGRAM_WHOLE;
	if (datagram && take() & 1)
		d->hlen = (uint16_t)(take() & 1 ? take() : take() << 8 | take());
	d->arg = take() > 20 ? f->upload_end : word();
	if (datagram)
		d->remote = (struct ring_remote){
			htonl(take() & 1 ? 0x08080800U | (take() & 1) : 0xc0a81e01),
			take() & 1 ? 53 : take(), take(), take()};
	for (unsigned int i = 0; i < d->nseg; i++) {
		const uint32_t index = take() > 128 ? take() % 64 : ARENA_SMALL_COUNT + take() % 64;
		d->seg[i] = (struct ring_seg){buf_offset(index), word() % (buf_bytes(index) + 1),
			buf_id(ARENA_BROKER, index)};
	}
}

static void fill(struct ring_desc *d)
{
	d->op = (uint8_t)(RING_NETSTACK_TCP_OPEN +
			  take() % (RING_NETSTACK_DGRAM_ERROR - RING_NETSTACK_TCP_OPEN + 1));
	d->flow = flow_id(take() % 8, take() > 200);
	switch (d->op) {
	case RING_NETSTACK_TCP_OPEN:
	case RING_NETSTACK_TCP_ACCEPTED:
	case RING_NETSTACK_TCP_REJECTED:
	case RING_NETSTACK_DGRAM_OPEN: endpoints(d); break;
	case RING_NETSTACK_TCP_DATA:
	case RING_NETSTACK_DGRAM_DATA:
	case RING_NETSTACK_DGRAM_WHOLE: payload(d); break;
	case RING_NETSTACK_TCP_CREDIT: d->arg = take() > 30 ? word() % 1000000 : UINT64_MAX; break;
	case RING_NETSTACK_DGRAM_ERROR:
		endpoints(d);
		d->remote = (struct ring_remote){htonl(0x08080800U | (take() & 1)), take(), 0, 0};
		d->pair.remote_port = take();
		d->pair.token = (uint32_t)take() << 8 | (take() & 15);
		d->pair.kind = word() & 0x1ffff;
		break;
	case RING_NETSTACK_RELEASE_READ:
		d->nseg = 1;
		d->ids[0] = buf_id(ARENA_NATPROXY, take());
		break;
	default: break;
	}
}

static void end_sessions(void)
{
	uint32_t id = take();
	Nl__SessionsEnd m = NL__SESSIONS_END__INIT;
	Nl__Order order = NL__ORDER__INIT;
	m.has_all = true;
	m.all = take() & 1;
	m.n_id = 1;
	m.id = &id;
	order.what_case = NL__ORDER__WHAT_SESSIONS_END;
	order.sessions_end = &m;
	natproxy_order(np, &order);
}

static void move_host(void)
{
	Nl__HostNetwork m = NL__HOST_NETWORK__INIT;
	Nl__Subnet address = NL__SUBNET__INIT, *all[1] = {&address};
	address.ip_be = inet_addr(take() & 1 ? "10.9.9.9" : "10.9.9.8");
	m.n_own = 1;
	m.own = all;
	m.has_loop = true;
	m.loop = take() > 240;
	natproxy_on_host_network(np, &m, NULL);
}

/* What the supervisor says meanwhile. */
static void supervise(void)
{
	switch (take()) {
	case 1: configure(NULL, take()); return;
	case 2: end_sessions(); return;
	case 3: move_host(); return;
	default: return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	const uint32_t resolver = htonl(0x08080808);
	uint32_t sockets = 0;
	fuzz_begin(bytes, n);
	dns_resolvers(np, &resolver, 1);
	while (host.left) {
		struct ring_desc d = {0}, got;
		fill(&d);
		if (link_send(&outside, LINK_CONTROL, &d, NULL))
			break;
		link_flush(&outside);
		while (link_recv(&inside, &got, NULL) == 1)
			natproxy_ring_netstack(np, &got, NULL);
		supervise();
		fuzz_some_event();
		fuzz_turn(take() > 250 ? 700000000000ULL : 1000000);
	}
	for (int fd = 0; fd < FUZZ_FDS; fd++)
		sockets += host.open[fd];
	if (sockets != np->sockets_open)
		abort();
	return 0;
}
