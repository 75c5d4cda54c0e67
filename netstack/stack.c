/*
 * Theory of operation: the face. A frame's buffers are ours while it is handled; whatever the layers did not queue or
 * lend on goes back to the broker at the end. Flows that have something to say are on one list, which stack_flush
 * walks once: a flow that could not finish because a ring is full is put back on it and waits for the next turn,
 * so nothing of TCP is ever lost between the processes.
 */
#include <errno.h>
#include <string.h>

#include "state.h"

static const uint64_t STACK_RETRY_NS = NS_PER_MS;

size_t stack_size(void)
{
	return sizeof(struct stack);
}

void stack_init(
	struct stack *s, const struct stack_config *c, const struct stack_env *e, uint64_t now_ns)
{
	s->config = *c;
	s->broker = e->broker;
	s->natproxy = e->natproxy;
	s->arena = e->arena;
	s->view = e->view;
	s->drops = e->drops;
	s->now_ns = now_ns;
	s->uplink = (struct stack_uplink){.up = true, .echo = true};
	memcpy(s->wanted_mac, c->mac, sizeof(s->wanted_mac));
	memcpy(s->told_mac, c->mac, sizeof(s->told_mac));
	memcpy(&s->key, c->key, sizeof(s->key));
	memcpy(&s->isn_key, c->key + sizeof(s->key), sizeof(s->isn_key));
	wheel_init(&s->wheel, now_ns);
}

void stack_clock(struct stack *s, uint64_t now_ns)
{
	if (s->now_ns < now_ns)
		s->now_ns = now_ns;
}

void stack_poll(struct stack *s)
{
	struct wheel_timer *timer;
	while ((timer = wheel_pop(&s->wheel, s->now_ns)))
		tcp_timer_fire(s, flow_of_tcp((struct tcp *)timer));
	frag_poll(s);
	arp_poll(s);
	park_poll(s);
	configure_poll(s);
}

void stack_flush(struct stack *s)
{
	uint32_t last = s->flows.ready_tail;
	struct flow *f;
	while (last && (f = flow_next_ready(s))) {
		bool end = (uint32_t)(f - s->flows.flow) + 1 == last;
		if (f->key.kind == FLOW_TCP)
			tcp_flush(s, f);
		else
			dgram_flush(s, f);
		flow_settle(s, f);
		if (end)
			break;
	}
	hold_poll(s);
}

uint64_t stack_next_deadline(const struct stack *s)
{
	const uint64_t seldom[] = {
		frag_next_ns(s), arp_next_ns(s), park_next_ns(s), configure_next_ns(s)};
	uint64_t next = wheel_next_ns(&s->wheel);
	if (s->flows.ready_head || s->holds.limbo_head != s->holds.limbo_tail)
		return s->now_ns + STACK_RETRY_NS < next ? s->now_ns + STACK_RETRY_NS : next;
	for (unsigned int i = 0; i < ARRAY_COUNT(seldom); i++)
		next = seldom[i] < next ? seldom[i] : next;
	return next;
}

static void stack_input(struct stack *s, struct packet *p)
{
	uint16_t ethertype;
	if (s->config.off) {
		drop_count(s->drops, DROP_DENIED);
		return;
	}
	if (p->head_bytes < ETH_HEADER_BYTES) {
		drop_count(s->drops, DROP_FRAME_SHORT);
		return;
	}
	if ((p->head[6] & 1) || stack_is_gateway_mac(s, p->head + 6)) {
		drop_count(s->drops, DROP_MAC_SPOOF);
		return;
	}
	ethertype = (uint16_t)(p->head[12] << 8 | p->head[13]);
	if (ethertype == ETHERTYPE_ARP_)
		arp_input(s, p);
	else if (ethertype == ETHERTYPE_IP4)
		ip4_input(s, p);
	else
		drop_count(s->drops, DROP_ETHERTYPE);
}

int stack_op_frame(struct stack *s, const struct ring_desc *d)
{
	struct packet p;
	if (!d->nseg || d->nseg > PACKET_SEGS)
		return -EPROTO;
	for (unsigned int i = 0; i < d->nseg; i++)
		if (hold_take_frame(s, d->seg[i].id) < 0)
			return -EPROTO;
	packet_from_frame(s, &p, d);
	stack_input(s, &p);
	for (unsigned int i = 0; i < d->nseg; i++)
		if (hold_rx(s, d->seg[i].id)->state == HOLD_MINE)
			hold_release(s, d->seg[i].id);
	return 0;
}

int stack_op_release_written(struct stack *s, const struct ring_desc *d)
{
	for (unsigned int i = 0; i < d->nseg; i++)
		if (hold_returned(s, d->ids[i]) < 0)
			return -EPROTO;
	return 0;
}

int stack_op(struct stack *s, const struct ring_desc *d)
{
	switch (d->op) {
	case RING_BROKER_FRAME: return stack_op_frame(s, d);
	case RING_NATPROXY_TCP_OPENED: return stack_op_tcp_opened(s, d);
	case RING_NATPROXY_TCP_FAILED: return stack_op_tcp_failed(s, d);
	case RING_NATPROXY_TCP_INCOMING: return stack_op_tcp_incoming(s, d);
	case RING_NATPROXY_TCP_DATA: return stack_op_tcp_data(s, d);
	case RING_NATPROXY_TCP_FIN: return stack_op_tcp_fin(s, d);
	case RING_NATPROXY_TCP_RESET: return stack_op_tcp_reset(s, d);
	case RING_NATPROXY_TCP_CONSUMED: return stack_op_tcp_consumed(s, d);
	case RING_NATPROXY_DGRAM_DATA: return stack_op_dgram_data(s, d);
	case RING_NATPROXY_DGRAM_ERROR: return stack_op_dgram_error(s, d);
	case RING_NATPROXY_DGRAM_INCOMING: return stack_op_dgram_incoming(s, d);
	case RING_NATPROXY_DGRAM_CLOSED: return stack_op_dgram_closed(s, d);
	case RING_NATPROXY_RELEASE_WRITTEN: return stack_op_release_written(s, d);
	default: return -EPROTO;
	}
}

void stack_uplink(struct stack *s, struct stack_uplink uplink)
{
	s->uplink = uplink;
}

static void stack_end_flows(struct stack *s, struct flow_list *l)
{
	while (l->head) {
		struct flow *f = &s->flows.flow[l->head - 1];
		if (f->key.kind == FLOW_TCP)
			tcp_abort(s, f, true);
		else
			dgram_closed(s, f);
	}
}

bool stack_station_gone(struct stack *s, const uint8_t mac[6], uint32_t *ip_be)
{
	for (uint32_t i = 0; i < s->guests.used; i++) {
		struct guest *g = &s->guests.entry[i];
		if (!g->known || memcmp(g->mac, mac, 6) != 0)
			continue;
		g->known = false;
		stack_end_flows(s, &g->half_open);
		stack_end_flows(s, &g->calls);
		stack_end_flows(s, &g->flows);
		*ip_be = g->ip_be;
		return true;
	}
	return false;
}

void stack_counts(const struct stack *s, struct stack_counts *out)
{
	*out = s->counts;
	for (uint32_t i = 0; i < s->guests.used; i++) {
		const struct guest *g = &s->guests.entry[i];
		out->guests += g->known;
		out->tcp += g->tcp + g->tcp_inward;
		out->udp += g->udp;
		out->echo += g->echo;
		out->half_open += g->half_open.count + g->calls.count;
	}
	out->time_wait = s->flows.time_wait.count;
	out->fragments_waiting = s->frags.used;
	out->frame_buffers = s->holds.frames;
	out->read_buffers = s->holds.reads;
}

bool stack_dump(const struct stack *s, uint32_t *cursor, struct stack_row *row)
{
	for (; *cursor < s->flows.touched; (*cursor)++) {
		const struct flow *f = &s->flows.flow[*cursor];
		if (!f->used || !f->hashed)
			continue;
		*row = (struct stack_row){.kind = (uint8_t)f->key.kind,
			.guest_ip_be = f->key.guest_ip_be,
			.remote_ip_be = f->key.remote_ip_be,
			.guest_port = f->key.guest_port,
			.remote_port = f->key.remote_port,
			.state = f->key.kind == FLOW_TCP ? tcp_state_name(f->tcp.state) : "OPEN",
			.cwnd_bytes = f->tcp.cwnd,
			.srtt_us = (uint32_t)(f->tcp.srtt_ns / 1000)};
		(*cursor)++;
		return true;
	}
	return false;
}
