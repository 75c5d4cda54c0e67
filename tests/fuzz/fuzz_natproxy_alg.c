/*
 * A hostile alg: verdicts, edits and wishes of any kind about a control flow whose bytes keep
 * moving both ways, and about datagrams of two sessions and of questions to the gateway. No door may
 * open to a privileged port or to another guest, and nothing may crash.
 */
#include "inspection.h" /* first: it has parameters named as what the next one declares */

#include "fuzz_natproxy.h"
#include "natproxy_dispatch.h"

enum { FLOW = 0x10003, DGRAM_FLOW = 0x10004 };

/* A number that alg may know: of the control flow, of one of the first sessions, or of nothing. */
static uint32_t number(void)
{
	const uint8_t which = take();
	if (which < 16)
		return which;
	return np->inspect->slot[which & 64 ? INSPECTION_STREAMS + which % 4 : 0].number;
}

/* How far alg was shown that direction, which is what an honest one would speak of. */
static uint64_t shown(uint32_t of, Nl__Direction direction)
{
	const struct inspection *in = &np->inspect->slot[of % INSPECTION_SLOTS];
	if (!in->used || in->number != of)
		return 0;
	return in->stream ? inspect_stream_shown(np, in, direction)
			  : inspect_dgram_shown(np, in, direction);
}

static void deliver(const struct ring_desc *d)
{
	if (natproxy_ring_netstack(np, d, NULL))
		abort();
}

static void open_control(void)
{
	struct ring_desc d = {.op = RING_NETSTACK_TCP_OPEN, .flow = FLOW};
	d.pair = (struct ring_pair){.guest_ip_be = htonl(0xc0a81e0a),
		.guest_port = 40000,
		.remote_ip_be = htonl(0x08080808),
		.remote_port = 21};
	deliver(&d);
	for (int fd = FUZZ_FIRST_FD; fd < FUZZ_FDS; fd++)
		if (np->owner[fd].kind == OWNER_FLOW)
			natproxy_ready(np, fd, SOCK_WRITE);
	d = (struct ring_desc){.op = RING_NETSTACK_TCP_CREDIT, .flow = FLOW, .arg = 10000000};
	if (flow_live(np, FLOW))
		deliver(&d);
}

static void guest_speaks(void)
{
	struct flow *f = flow_live(np, FLOW);
	const uint32_t id = arena_take(&broker, BUF_SMALL, false);
	if (!f || f->state != FLOW_RUNNING || !id || f->guest_finished)
		return;
	struct ring_desc d = {
		.op = RING_NETSTACK_TCP_DATA, .nseg = 1, .flow = FLOW, .arg = f->upload_end};
	d.seg[0] = (struct ring_seg){buf_offset(buf_index(id)), 1U + take() * 8U, id};
	deliver(&d);
}

static void open_endpoint(void)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = DGRAM_FLOW};
	d.pair = (struct ring_pair){
		.guest_ip_be = htonl(0xc0a81e0a), .guest_port = 45000, .kind = DGRAM_UDP};
	if (!flow_live(np, DGRAM_FLOW))
		deliver(&d);
}

/* One datagram or a run of them, to a server or the gateway. */
static void guest_sends(void)
{
	static const struct sock_address far[] = {
		{0x08080808, 69}, {0x08080809, 69}, {0xc0a81e01, 53}, {0x08080808, 70}};
	const struct sock_address *to = &far[take() % 4];
	const bool large = take() > 200;
	const uint32_t id = arena_take(&broker, large ? BUF_LARGE : BUF_SMALL, false);
	open_endpoint();
	if (!id)
		return;
	struct ring_desc d = {
		.op = take() & 1 ? RING_NETSTACK_DGRAM_DATA : RING_NETSTACK_DGRAM_WHOLE,
		.nseg = 1,
		.flow = DGRAM_FLOW,
		.remote = {htonl(to->ip_be), to->port, 64, 0}};
	const uint32_t bytes = large ? 65507U * take() / 255 : take() * 8U;
	d.seg[0] = (struct ring_seg){buf_offset(buf_index(id)), bytes, id};
	if (bytes > 64 && take() > 128)
		d.hlen = (uint16_t)(bytes / (1 + take() % 12));
	deliver(&d);
}

/* Something lies in the endpoint's socket. */
static void far_sends(void)
{
	const struct flow *f = flow_live(np, DGRAM_FLOW);
	if (f && f->fd >= 0)
		natproxy_ready(np, f->fd, SOCK_READ);
}

static void verdict(void)
{
	static uint8_t text[255 * 70];
	Nl__Verdict m = NL__VERDICT__INIT;
	Nl__Edit edit[4], *edits[4];
	m.flow = number();
	m.direction = take() & 1;
	m.until = take() & 3 ? shown(m.flow, m.direction) : (uint64_t)take() << 8 | take();
	m.has_seen = take() & 1;
	m.seen = m.until + take() % 4;
	m.n_edits = take() % 4;
	m.edits = edits;
	for (size_t i = 0; i < m.n_edits; i++) {
		edits[i] = &edit[i];
		nl__edit__init(&edit[i]);
		edit[i].at = take() & 1 ? m.until - take() : (uint64_t)take() << 8 | take();
		edit[i].old_bytes = take() % 8;
		edit[i].bytes = (ProtobufCBinaryData){(size_t)take() * 70, text};
	}
	if (natproxy_on_verdict(np, &m, NULL))
		natproxy_alg_lost(np);
}

static void wish(void)
{
	Nl__PinholeOpen m = NL__PINHOLE_OPEN__INIT;
	m.flow = number();
	m.token = take() % 4;
	m.kind = take() % 4;
	m.guest_port = (uint32_t)take() << 9 | take();
	m.peer_ip_be = take() & 1 ? 0 : htonl(0x08080800U | take());
	m.lifetime_ms = take() * 1000U;
	natproxy_on_pinhole_open(np, &m, NULL);
}

static void check_doors(void)
{
	uint32_t ref = PINHOLE_NONE;
	while ((ref = pinhole_next(&np->pinholes, ref))) {
		const struct pinhole *p = &np->pinholes.entry[ref];
		if (p->guest.port < 1024 || p->guest.ip_be != htonl(0xc0a81e0a) ||
			(p->peer_ip_be != htonl(0x08080808) && p->peer_ip_be != htonl(0x08080809)))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	Nl__PinholeClose closed = NL__PINHOLE_CLOSE__INIT;
	Nl__GiveUp give_up = NL__GIVE_UP__INIT;
	fuzz_begin(bytes, n);
	open_control();
	configure(NULL, WITH_STATIC | (take() & (OBSERVING | STRICT)));
	while (host.left) {
		give_up.flow = closed.flow = number();
		give_up.has_violation = true;
		give_up.violation = take() & 1;
		switch (take() % 11) {
		case 0:
		case 1: guest_speaks(); break;
		case 2:
		case 3: verdict(); break;
		case 4: wish(); break;
		case 5:
			closed.token = take() % 4;
			natproxy_on_pinhole_close(np, &closed, NULL);
			break;
		case 6:
			if (take() > 240)
				natproxy_on_give_up(np, &give_up, NULL);
			break;
		case 7:
		case 8: guest_sends(); break;
		case 9: far_sends(); break;
		default: fuzz_some_event(); break;
		}
		fuzz_turn(take() > 250 ? 31000000000ULL : 1000000);
		check_doors();
	}
	return 0;
}
