/* See judge.h. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "edge.h"
#include "judge.h"
#include "segment.h"

enum {
	JUDGE_GATEWAY = 0xc00002fe, /* 192.0.2.254: packetdrill's remote side is 192.0.2.1 */
	JUDGE_ETH = 14,
	JUDGE_QUEUE = 1024,
	JUDGE_PIECE = 60000,
	JUDGE_EPHEMERAL = 50000,
};

struct judge_packet {
	uint8_t *bytes;
	size_t n;
	uint64_t at_us;
};

struct judge {
	struct edge *edge;
	struct judge_socket socket[JUDGE_SOCKETS];
	struct judge_packet packet[JUDGE_QUEUE];
	unsigned int head, tail;
};

struct judge *judge_new(void)
{
	struct edge_setup setup = {
		.gateway_ip = JUDGE_GATEWAY, .mtu = 1500, .key = 1, .half_open = 128};
	struct judge *j = calloc(1, sizeof(*j));
	j->edge = edge_new(&setup, UINT64_C(1000000000000));
	return j;
}

void judge_free(struct judge *j)
{
	for (; j->head != j->tail; j->head++)
		free(j->packet[j->head % JUDGE_QUEUE].bytes);
	edge_free(j->edge);
	free(j);
}

uint64_t judge_now_us(const struct judge *j)
{
	return edge_now(j->edge) / 1000;
}

struct judge_socket *judge_socket(struct judge *j, int fd)
{
	return fd > 0 && fd <= JUDGE_SOCKETS && j->socket[fd - 1].kind != JUDGE_FREE
		       ? &j->socket[fd - 1]
		       : NULL;
}

int judge_fd(const struct judge *j, const struct judge_socket *s)
{
	return (int)(s - j->socket) + 1;
}

struct judge_socket *judge_socket_new(struct judge *j)
{
	for (unsigned int i = 0; i < JUDGE_SOCKETS; i++)
		if (j->socket[i].kind == JUDGE_FREE) {
			j->socket[i] = (struct judge_socket){.kind = JUDGE_NEW};
			return &j->socket[i];
		}
	abort();
}

static struct judge_socket *judge_of_flow(struct judge *j, uint32_t flow)
{
	for (unsigned int i = 0; i < JUDGE_SOCKETS; i++)
		if (j->socket[i].alive && j->socket[i].flow == flow)
			return &j->socket[i];
	return NULL;
}

static bool judge_row(struct judge *j, const struct judge_socket *s, struct stack_row *row)
{
	uint32_t cursor = 0;
	while (stack_dump(edge_stack(j->edge), &cursor, row))
		if (be32toh(row->guest_ip_be) == s->remote_ip &&
			row->guest_port == s->remote_port && row->remote_port == s->local_port)
			return true;
	return false;
}

void judge_look(struct judge *j, const struct judge_socket *s, uint32_t *cwnd, uint32_t *srtt_us)
{
	struct stack_row row = {0};
	judge_row(j, s, &row);
	*cwnd = row.cwnd_bytes;
	*srtt_us = row.srtt_us;
}

static void judge_say(struct judge *j, struct judge_socket *s, uint8_t op, uint64_t arg)
{
	struct ring_desc d = {.op = op, .flow = s->flow, .arg = arg};
	edge_say(j->edge, &d, NULL, 0);
}

/* What the credit allows, then the end. */
static void judge_go_on(struct judge *j, struct judge_socket *s)
{
	static const uint8_t bytes[JUDGE_PIECE];
	while (s->alive && s->sent < s->wanted && s->sent < s->credit) {
		struct ring_desc d = {
			.op = RING_NATPROXY_TCP_DATA, .flow = s->flow, .arg = s->sent};
		uint64_t end = s->wanted < s->credit ? s->wanted : s->credit;
		uint32_t n = end - s->sent < JUDGE_PIECE ? (uint32_t)(end - s->sent) : JUDGE_PIECE;
		edge_say(j->edge, &d, bytes, n);
		s->sent += n;
	}
	if (s->alive && s->close_wanted && !s->close_sent && s->sent == s->wanted) {
		s->close_sent = true;
		judge_say(j, s, RING_NATPROXY_TCP_FIN, 0);
	}
}

static void judge_asked(struct judge *j, const struct ring_desc *d)
{
	struct judge_socket *s = judge_socket_new(j);
	bool listened = false;
	for (unsigned int i = 0; i < JUDGE_SOCKETS; i++)
		listened |= j->socket[i].kind == JUDGE_LISTENS &&
			    j->socket[i].local_port == d->pair.remote_port;
	*s = (struct judge_socket){.kind = JUDGE_OPEN,
		.alive = listened,
		.flow = d->flow,
		.local_port = d->pair.remote_port,
		.remote_port = d->pair.guest_port,
		.local_ip = be32toh(d->pair.remote_ip_be),
		.remote_ip = be32toh(d->pair.guest_ip_be)};
	if (listened) {
		judge_say(j, s, RING_NATPROXY_TCP_OPENED, 0);
		return;
	}
	judge_say(j, s, RING_NATPROXY_TCP_FAILED, RING_FAIL_REFUSED);
	s->kind = JUDGE_FREE;
}

static void judge_answered(struct judge *j, const struct ring_desc *d)
{
	struct judge_socket *s = judge_socket(j, (int)d->pair.token);
	if (!s || s->kind != JUDGE_CONNECTS)
		return;
	s->alive = d->op == RING_NETSTACK_TCP_ACCEPTED;
	s->kind = s->alive ? JUDGE_OPEN : JUDGE_OVER;
	s->flow = d->flow;
	s->error = s->alive ? 0 : d->arg == RING_FAIL_REFUSED ? ECONNREFUSED : ETIMEDOUT;
}

static void judge_data(struct judge *j, struct judge_socket *s, const struct ring_desc *d)
{
	for (unsigned int i = 0; i < d->nseg; i++) {
		s->got += d->seg[i].len;
		edge_release(j->edge, d->seg[i].id);
	}
	judge_say(j, s, RING_NATPROXY_TCP_CONSUMED, s->got);
}

static void judge_over(struct judge_socket *s, int error)
{
	s->alive = false;
	s->error = error;
	s->kind = s->closed ? JUDGE_FREE : JUDGE_OVER;
}

static void judge_hear(struct judge *j, const struct ring_desc *d)
{
	struct judge_socket *s = judge_of_flow(j, d->flow);
	if (d->op == RING_NETSTACK_TCP_OPEN)
		judge_asked(j, d);
	else if (d->op == RING_NETSTACK_TCP_ACCEPTED || d->op == RING_NETSTACK_TCP_REJECTED)
		judge_answered(j, d);
	else if (!s)
		return;
	else if (d->op == RING_NETSTACK_TCP_DATA)
		judge_data(j, s, d);
	else if (d->op == RING_NETSTACK_TCP_CREDIT)
		s->credit = d->arg;
	else if (d->op == RING_NETSTACK_TCP_FIN)
		s->fin_seen = true;
	else if (d->op == RING_NETSTACK_TCP_RESET)
		judge_over(s, ECONNRESET);
	else if (d->op == RING_NETSTACK_FLOW_FREE)
		judge_over(s, 0);
	if (s)
		judge_go_on(j, s);
}

static void judge_collect(struct judge *j, const uint8_t *bytes, uint32_t n)
{
	struct judge_packet *p = &j->packet[j->tail % JUDGE_QUEUE];
	uint8_t answer[64];
	if (n <= sizeof(answer)) {
		memcpy(answer, bytes, n);
		if (segment_arp_answer(answer, n)) {
			edge_frame(j->edge, answer, n);
			return;
		}
	}
	if (j->tail - j->head == JUDGE_QUEUE || n <= JUDGE_ETH)
		abort();
	*p = (struct judge_packet){malloc(n - JUDGE_ETH), n - JUDGE_ETH, judge_now_us(j)};
	memcpy(p->bytes, bytes + JUDGE_ETH, n - JUDGE_ETH);
	j->tail++;
}

static void judge_settle(struct judge *j)
{
	struct ring_desc d;
	const uint8_t *bytes;
	uint32_t n;
	bool any = true;
	while (any) {
		any = edge_turn(j->edge);
		while ((bytes = edge_next_frame(j->edge, &n)))
			judge_collect(j, bytes, n);
		while (edge_next_message(j->edge, &d))
			judge_hear(j, &d);
	}
	if (edge_fault(j->edge))
		abort();
}

void judge_advance(struct judge *j, uint64_t until_us, bool packet)
{
	judge_settle(j);
	while (!(packet && j->head != j->tail) && edge_advance(j->edge, until_us * 1000))
		judge_settle(j);
}

void judge_give(struct judge *j, const void *bytes, size_t n)
{
	static uint8_t frame[JUDGE_PACKET_MAX + JUDGE_ETH];
	if (n > JUDGE_PACKET_MAX)
		abort();
	memcpy(frame, SEGMENT_GATEWAY_MAC, 6);
	memcpy(frame + 6, SEGMENT_GUEST_MAC, 6);
	frame[12] = 0x08;
	frame[13] = 0;
	memcpy(frame + JUDGE_ETH, bytes, n);
	edge_frame(j->edge, frame, (uint32_t)n + JUDGE_ETH);
	judge_settle(j);
}

size_t judge_take(struct judge *j, void *out, size_t room, uint64_t *at_us)
{
	struct judge_packet *p = &j->packet[j->head % JUDGE_QUEUE];
	size_t n = p->n < room ? p->n : room;
	if (j->head == j->tail)
		return 0;
	memcpy(out, p->bytes, n);
	*at_us = p->at_us;
	free(p->bytes);
	j->head++;
	return n;
}

struct judge_socket *judge_accepted(struct judge *j, const struct judge_socket *listener)
{
	for (unsigned int i = 0; i < JUDGE_SOCKETS; i++) {
		struct judge_socket *s = &j->socket[i];
		struct stack_row row;
		if (s->kind != JUDGE_OPEN || s->accepted || s->closed ||
			s->local_port != listener->local_port || !judge_row(j, s, &row) ||
			strcmp(row.state, "SYN_RECEIVED") == 0)
			continue;
		s->accepted = true;
		return s;
	}
	return NULL;
}

void judge_connect(struct judge *j, struct judge_socket *s)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_INCOMING};
	if (!s->local_port)
		s->local_port = (uint16_t)(JUDGE_EPHEMERAL + judge_fd(j, s));
	s->kind = JUDGE_CONNECTS;
	s->accepted = true;
	d.pair = (struct ring_pair){.guest_ip_be = htobe32(s->remote_ip),
		.remote_ip_be = htobe32(s->local_ip),
		.guest_port = s->remote_port,
		.remote_port = s->local_port,
		.token = (uint32_t)judge_fd(j, s)};
	edge_say(j->edge, &d, NULL, 0);
	judge_settle(j);
}

void judge_write(struct judge *j, struct judge_socket *s, size_t n)
{
	s->wanted += n;
	judge_go_on(j, s);
	judge_settle(j);
}

void judge_shut(struct judge *j, struct judge_socket *s)
{
	s->close_wanted = true;
	judge_go_on(j, s);
	judge_settle(j);
}

void judge_close(struct judge *j, struct judge_socket *s)
{
	s->closed = true;
	if (!s->alive) {
		s->kind = JUDGE_FREE;
		return;
	}
	if (s->got != s->read) {
		judge_say(j, s, RING_NATPROXY_TCP_RESET, 0);
		judge_over(s, 0);
		judge_settle(j);
		return;
	}
	judge_shut(j, s);
}
