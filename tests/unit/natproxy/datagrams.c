#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "datagrams.h"

const Nl__Alg *datagram_alg(struct datagram_alg *a, uint16_t port, Nl__AlgSwitch__Mode mode)
{
	nl__alg__init(&a->alg);
	nl__alg_switch__init(&a->tftp);
	a->port = port;
	a->tftp.n_ports = 1;
	a->tftp.ports = &a->port;
	a->tftp.has_mode = true;
	a->tftp.mode = mode;
	a->alg.tftp = &a->tftp;
	return &a->alg;
}

void datagram_endpoint(struct rig *r, uint32_t flow, uint16_t port)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = flow};
	d.pair = (struct ring_pair){
		.guest_ip_be = rig_guest_ip(), .guest_port = port, .kind = DGRAM_UDP};
	rig_send(r, &d);
}

struct scene datagram_begin(Nl__AlgSwitch__Mode mode, bool strict)
{
	struct datagram_alg on;
	struct scene s = {.number = DATAGRAM_NUMBER};
	s.fd = rig_udp(&s.port);
	const struct rig_options o = {.alg = datagram_alg(&on, s.port, mode)};
	on.tftp.has_strict = true;
	on.tftp.strict = strict;
	s.r = rig_new(&o);
	datagram_endpoint(s.r, DATAGRAM_FLOW, DATAGRAM_GUEST_PORT);
	return s;
}

struct scene datagram_fixing(void)
{
	return datagram_begin(NL__ALG_SWITCH__MODE__fix, false);
}

struct scene datagram_come_in(uint16_t listen_port, uint16_t to, uint16_t alg_port)
{
	struct datagram_alg on;
	struct scene s = {.number = DATAGRAM_NUMBER};
	const struct sockaddr_in there = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(listen_port)};
	struct ring_desc d;
	s.fd = rig_udp(&s.port);
	s.r = rig_new(&(struct rig_options){
		.publish = rig_publish(NL__PUBLISH__PROTO__udp, listen_port, to),
		.alg = datagram_alg(&on, alg_port, NL__ALG_SWITCH__MODE__fix)});
	cr_assert_eq(
		sendto(s.fd, "hello", 5, 0, (const struct sockaddr *)&there, sizeof(there)), 5);
	cr_assert(rig_await(s.r, RING_NATPROXY_DGRAM_INCOMING, &d));
	datagram_endpoint(s.r, DATAGRAM_FLOW, to);
	rig_turn(s.r);
	rig_turn(s.r);
	return s;
}

static void say(struct scene *s, uint32_t flow, const void *bytes, size_t n, uint16_t each)
{
	struct ring_desc d = rig_payload(s->r, RING_NETSTACK_DGRAM_DATA, flow, 0, bytes, n);
	d.hlen = each;
	d.remote = (struct ring_remote){
		.ip_be = rig_loopback(), .port = s->port, .ttl = 33, .tos = 0x10};
	rig_send(s->r, &d);
	rig_turn(s->r);
}

void datagram_says(struct scene *s, const void *bytes, size_t n, uint16_t each)
{
	say(s, DATAGRAM_FLOW, bytes, n, each);
}

void datagram_says_as(struct scene *s, uint32_t flow, const void *bytes, size_t n)
{
	say(s, flow, bytes, n, 0);
}

void datagram_answers(struct scene *s, const void *bytes, size_t n)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(DATAGRAM_GUEST_PORT)};
	cr_assert_eq(
		sendto(s->fd, bytes, n, 0, (const struct sockaddr *)&to, sizeof(to)), (ssize_t)n);
	rig_turn(s->r);
	rig_turn(s->r);
}

size_t datagram_to_guest(struct scene *s, struct ring_desc *d, char *out)
{
	size_t n = 0;
	cr_assert(rig_await(s->r, RING_NATPROXY_DGRAM_DATA, d));
	for (unsigned int i = 0; i < d->nseg; i++) {
		memcpy(out + n, rig_bytes(s->r, d, i), d->seg[i].len);
		n += d->seg[i].len;
	}
	rig_give_back(s->r, d);
	return n;
}
