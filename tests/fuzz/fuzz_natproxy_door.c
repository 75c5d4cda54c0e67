/*
 * A hostile alg: verdicts, edits and wishes of any kind about control flows of several ALGs whose
 * bytes keep moving both ways, while the guest's datagram flows come and go and the internet knocks
 * at the doors. No door may be of a kind or lead to a port that its ALG may not ask for, to another
 * guest, or stand open to another peer; each door for datagrams has its outside port, and no outside
 * port is kept for nobody. Nothing may crash.
 */
#include "fuzz_natproxy.h"
#include "natproxy_dispatch.h"

enum { FLOWS = 6, DATAGRAM_FLOWS = 4, FIRST_PORT = 2000 };

static const struct {
	uint32_t flow;
	uint16_t guest_port, port;
} control[FLOWS] = {{0x10003, 40000, 21}, {0x10004, 40001, 554}, {0x10005, 1022, 514},
	{0x10006, FIRST_PORT + DATAGRAM_FLOWS, 69}, {0x10007, 40003, 5060}, {0x10008, 40004, 1720}};
enum { TFTP = 3 };

static uint32_t guest_ip(void)
{
	return htonl(0xc0a81e0a);
}

static uint32_t peer_ip(void)
{
	return htonl(0x08080808);
}

/* A number by which alg knows a flow, or a wrong one. */
static uint32_t number(void)
{
	const uint32_t known = fuzz_shown_count < 256 ? fuzz_shown_count : 256;
	const uint8_t which = take();
	return known && which > 30 ? fuzz_shown[which % known] : which;
}

static void deliver(const struct ring_desc *d)
{
	if (natproxy_ring_netstack(np, d, NULL))
		abort();
}

static void open_datagrams(uint32_t flow, uint16_t port, uint32_t token)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = flow};
	d.pair = (struct ring_pair){
		.guest_ip_be = guest_ip(), .guest_port = port, .kind = DGRAM_UDP, .token = token};
	if (np->flow[flow_index(flow)].kind == FLOW_NONE)
		deliver(&d);
}

static void guest_sends(uint32_t flow, uint32_t to_ip_be, uint16_t to_port)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_DATA, .nseg = 1, .flow = flow};
	const uint32_t id = arena_take(&broker, BUF_SMALL, false);
	if (!id)
		return;
	d.remote = (struct ring_remote){.ip_be = to_ip_be, .port = to_port, .ttl = 64};
	d.seg[0] = (struct ring_seg){buf_offset(buf_index(id)), 1U + take(), id};
	deliver(&d);
}

static void open_control(void)
{
	for (int i = 0; i < FLOWS; i++) {
		if (i == TFTP) {
			open_datagrams(control[i].flow, control[i].guest_port, 0);
			guest_sends(control[i].flow, peer_ip(), control[i].port);
			continue;
		}
		struct ring_desc d = {.op = RING_NETSTACK_TCP_OPEN, .flow = control[i].flow};
		d.pair = (struct ring_pair){.guest_ip_be = guest_ip(),
			.guest_port = control[i].guest_port,
			.remote_ip_be = peer_ip(),
			.remote_port = control[i].port};
		deliver(&d);
		for (int fd = FUZZ_FIRST_FD; fd < FUZZ_FDS; fd++)
			if (np->owner[fd].kind == OWNER_FLOW &&
				np->flow[np->owner[fd].index].state == FLOW_CONNECTING)
				natproxy_ready(np, fd, SOCK_WRITE);
		d = (struct ring_desc){
			.op = RING_NETSTACK_TCP_CREDIT, .flow = control[i].flow, .arg = 10000000};
		if (flow_live(np, control[i].flow))
			deliver(&d);
	}
}

static void guest_speaks(void)
{
	const uint32_t flow = control[take() % FLOWS].flow;
	struct flow *f = flow_live(np, flow);
	if (!f || f->state != FLOW_RUNNING || f->guest_finished)
		return;
	if (f->kind == FLOW_UDP) {
		guest_sends(flow, peer_ip(), take() & 1 ? 69 : take());
		return;
	}
	const uint32_t id = arena_take(&broker, BUF_SMALL, false);
	if (!id)
		return;
	struct ring_desc d = {
		.op = RING_NETSTACK_TCP_DATA, .nseg = 1, .flow = flow, .arg = f->upload_end};
	d.seg[0] = (struct ring_seg){buf_offset(buf_index(id)), 1U + take() * 8U, id};
	deliver(&d);
}

/* The guest's own datagram flows: begun by it or for somebody who knocked, used, given up. */
static void datagrams(void)
{
	const uint8_t how = take();
	const uint32_t flow = 0x20010 + how % DATAGRAM_FLOWS;
	const struct ring_desc over = {.op = RING_NETSTACK_FLOW_FREE, .flow = flow};
	switch (how >> 6) {
	case 0:
		open_datagrams(
			flow, (uint16_t)(FIRST_PORT + how % DATAGRAM_FLOWS), how & 32 ? 7 : 0);
		break;
	case 1: deliver(&over); break;
	default:
		if (np->flow[flow_index(flow)].kind == FLOW_UDP)
			guest_sends(flow, htonl(0x08080800U | (how & 8)), take());
	}
}

static void verdict(void)
{
	static uint8_t text[255 * 70];
	Nl__Verdict m = NL__VERDICT__INIT;
	Nl__Edit edit[4], *edits[4];
	m.flow = number();
	m.direction = take() & 1;
	m.until = (uint64_t)take() << 8 | take();
	m.has_seen = take() & 1;
	m.seen = m.until + take();
	m.n_edits = take() % 4;
	m.edits = edits;
	for (size_t i = 0; i < m.n_edits; i++) {
		edits[i] = &edit[i];
		nl__edit__init(&edit[i]);
		edit[i].at = (uint64_t)take() << 8 | take();
		edit[i].old_bytes = take();
		edit[i].bytes = (ProtobufCBinaryData){(size_t)take() * 70, text};
	}
	if (natproxy_on_verdict(np, &m, NULL))
		natproxy_alg_lost(np);
}

/* Mostly somebody outside, sometimes somebody who is not. */
static uint32_t named_peer(void)
{
	static const uint32_t others[] = {0, 0xc0a81e0b, 0xc0a81e01, 0x7f000001, 0xe0000001,
		0xffffffff, 0xa9fe0001, 0x00000001};
	const uint8_t which = take();
	return htonl(which & 1 ? others[which >> 1 & 7] : 0x08080800U | which);
}

/* Whether it is the flow's own peer or, of a call, one that a far end may name. */
static bool is_fit(const struct pinhole *p)
{
	if (p->peer_ip_be == peer_ip())
		return true;
	return pinhole_rule((enum algs_id)p->alg)->named & 1 << p->kind &&
	       (ntohl(p->peer_ip_be) & 0xffffff00) == 0x08080800U;
}

static void wish(void)
{
	Nl__PinholeOpen m = NL__PINHOLE_OPEN__INIT;
	const uint8_t how = take();
	m.flow = number();
	m.token = take() % 8;
	m.kind = how >> 7 ? 3 + how % 3 : how % 4;
	m.guest_port = m.kind == NL__PINHOLE_KIND__TCP_WATCH ? 0
		       : how & 4			     ? FIRST_PORT + take() % 8U
							     : (uint32_t)take() << 9 | take();
	m.peer_ip_be = how & 8 ? 0 : named_peer();
	m.lifetime_ms = take() * 1000U;
	m.has_latent = m.latent = (how & 16) != 0;
	m.has_peer_ip_be = (how & 32) != 0;
	m.has_pairs = (how & 64) != 0;
	m.pairs = m.has_pairs ? take() % 6U : 0;
	if (how >> 7) {
		m.has_inspect = true;
		m.inspect = take() % 5;
		m.link = take();
		m.has_peer_port = m.kind == NL__PINHOLE_KIND__TCP_WATCH;
		m.peer_port = m.has_peer_port ? FIRST_PORT + take() % 8U : 0;
	}
	natproxy_on_pinhole_open(np, &m, NULL);
}

static void close_or_arm(void)
{
	Nl__PinholeClose closed = NL__PINHOLE_CLOSE__INIT;
	Nl__PinholeArm armed = NL__PINHOLE_ARM__INIT;
	Nl__PinholeKeep kept = NL__PINHOLE_KEEP__INIT;
	Nl__FlowHold held = NL__FLOW_HOLD__INIT;
	const uint8_t how = take();
	closed.flow = armed.flow = kept.flow = held.flow = number();
	closed.token = armed.token = kept.token = how % 8;
	armed.has_peer_ip_be = (how & 8) != 0;
	armed.peer_ip_be = named_peer();
	held.milliseconds = (uint32_t)take() << 16;
	switch (how >> 6) {
	case 0: natproxy_on_pinhole_close(np, &closed, NULL); return;
	case 1: natproxy_on_pinhole_keep(np, &kept, NULL); return;
	case 2: natproxy_on_flow_hold(np, &held, NULL); return;
	default: natproxy_on_pinhole_arm(np, &armed, NULL);
	}
}

/* The guest connects to where a watch may be. */
static void connect_out(void)
{
	const uint8_t how = take();
	struct ring_desc d = {.op = RING_NETSTACK_TCP_OPEN, .flow = 0x10020 + how % 4};
	if (np->flow[flow_index(d.flow)].kind != FLOW_NONE) {
		d = (struct ring_desc){.op = RING_NETSTACK_TCP_RESET, .flow = d.flow};
		deliver(&d);
		return;
	}
	d.pair = (struct ring_pair){.guest_ip_be = guest_ip(),
		.guest_port = (uint16_t)(42000 + how),
		.remote_ip_be = how & 4 ? peer_ip() : htonl(0x08080800U | how),
		.remote_port = (uint16_t)(FIRST_PORT + (how >> 3) % 8)};
	deliver(&d);
	for (int fd = FUZZ_FIRST_FD; fd < FUZZ_FDS; fd++)
		if (np->owner[fd].kind == OWNER_FLOW &&
			np->flow[np->owner[fd].index].state == FLOW_CONNECTING)
			natproxy_ready(np, fd, SOCK_WRITE);
}

/* The guest takes a connection that waits for it, or does not want it. */
static void answer_knock(void)
{
	const uint8_t how = take();
	const uint32_t flow = 0x10030 + how % 8;
	for (uint32_t i = 0; i < NATPROXY_INCOMING; i++) {
		const struct incoming *in = &np->incoming[i];
		const uint32_t token = (uint32_t)in->generation << 16 | (i + 1);
		struct ring_desc d = {.op = RING_NETSTACK_TCP_REJECTED, .pair = {.token = token}};
		if (!in->used)
			continue;
		if (how & 8 && np->flow[flow_index(flow)].kind == FLOW_NONE)
			d = (struct ring_desc){.op = RING_NETSTACK_TCP_ACCEPTED,
				.flow = flow,
				.pair = {.token = token}};
		deliver(&d);
		return;
	}
	if (np->flow[flow_index(flow)].kind == FLOW_TCP) {
		const struct ring_desc d = {.op = RING_NETSTACK_TCP_RESET, .flow = flow};
		deliver(&d);
	}
}

/* Somebody is at one of the doors. */
static void knock(void)
{
	const uint8_t which = take();
	int door[FUZZ_FDS], doors = 0;
	for (int fd = FUZZ_FIRST_FD; fd < FUZZ_FDS; fd++)
		if (host.open[fd] && (np->owner[fd].kind == OWNER_PINHOLE ||
					     np->owner[fd].kind == OWNER_RESERVE))
			door[doors++] = fd;
	if (doors)
		natproxy_ready(np, door[which % doors], SOCK_READ);
}

static bool is_reserved(const struct sock_address *guest)
{
	for (uint32_t i = 1; i <= np->reserve_fresh; i++)
		if (np->reserve[i].guest.ip_be == guest->ip_be &&
			np->reserve[i].guest.port == guest->port)
			return true;
	return false;
}

/* An outside socket waits for an endpoint, or its flow has one: never both, never neither. */
static void check_outside(const struct pinhole *p)
{
	for (unsigned int i = 0; i < pinhole_ports(p); i++) {
		const struct sock_address guest = pinhole_inside(p, i);
		const struct flow *f = flow_at(np, &guest);
		if ((f && f->fd >= 0) == is_reserved(&guest))
			abort();
	}
}

/* What is said of connections is what its ALG may say, and it counts those that there are. */
static void check_connections(const struct pinhole *p, uint32_t ref)
{
	uint32_t there = 0;
	for (uint32_t i = 0; i < NATPROXY_INCOMING; i++)
		there += np->incoming[i].used && np->incoming[i].derived.door == ref &&
			 np->incoming[i].derived.number == p->number;
	for (uint32_t i = 0; i < 0x100; i++)
		there += np->flow[i].kind == FLOW_TCP && np->flow[i].door == ref &&
			 np->flow[i].door_number == p->number;
	if (there != p->connections || there > PINHOLE_CONNECTIONS ||
		(there && p->kind != PINHOLE_TCP_SERVICE))
		abort();
	if (p->inspect && (p->alg != ALGS_H323 || (p->service != 0 && p->service != 3)))
		abort();
	if ((p->kind == PINHOLE_TCP_WATCH && (!p->watched || p->guest.port)) ||
		(p->watched && !p->inspect))
		abort();
}

static void check_doors(void)
{
	uint32_t ref = PINHOLE_NONE, watched = 0;
	while ((ref = pinhole_next(&np->pinholes, ref))) {
		const struct pinhole *p = &np->pinholes.entry[ref];
		const struct pinhole_rule *rule = pinhole_rule((enum algs_id)p->alg);
		if (!(rule->kinds & 1 << p->kind) || p->guest.ip_be != guest_ip() || !is_fit(p) ||
			!p->token ||
			(pinhole_port_denied(p->guest.port, pinhole_is_datagram(p->kind)) &&
				(p->kind != PINHOLE_TCP_SERVICE || p->guest.port != 1720)))
			abort();
		check_connections(p, ref);
		watched += p->watched;
		if (p->watched)
			continue;
		if (p->guest.port < (p->alg == ALGS_RCMD ? 512 : 1024) ||
			(p->kind == PINHOLE_UDP_PAIR && p->guest.port & 1) ||
			(p->alg == ALGS_TFTP && p->guest.port != control[TFTP].guest_port))
			abort();
		if ((p->fd >= 0) == pinhole_is_datagram(p->kind))
			abort();
		if (pinhole_is_datagram(p->kind))
			check_outside(p);
	}
	if (watched != np->pinholes.watched)
		abort();
	for (uint32_t i = 1; i <= np->nat.fresh; i++)
		if (np->nat.session[i].held_ns > np->now_ns + 86400ULL * 1000000000)
			abort();
	uint32_t reserved = 0;
	for (uint32_t i = 1; i <= np->reserve_fresh; i++) {
		const struct reserve *r = &np->reserve[i];
		if (!r->guest.ip_be)
			continue;
		reserved++;
		if (!host.open[r->fd] || np->owner[r->fd].kind != OWNER_RESERVE ||
			!pinhole_at(&np->pinholes, &r->guest, PINHOLE_NONE))
			abort();
	}
	if (reserved != np->reserves)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	Nl__GiveUp give_up = NL__GIVE_UP__INIT;
	fuzz_begin(bytes, n);
	open_control();
	while (host.left) {
		switch (take() % 14) {
		case 0:
		case 1: guest_speaks(); break;
		case 2:
		case 3: verdict(); break;
		case 4:
		case 5: wish(); break;
		case 6: close_or_arm(); break;
		case 7: datagrams(); break;
		case 8:
			give_up.flow = number();
			if (take() > 240)
				natproxy_on_give_up(np, &give_up, NULL);
			break;
		case 9:
		case 10: knock(); break;
		case 11: connect_out(); break;
		case 12: answer_knock(); break;
		default: fuzz_some_event(); break;
		}
		fuzz_turn(take() > 250 ? 31000000000ULL : 1000000);
		check_doors();
	}
	return 0;
}
