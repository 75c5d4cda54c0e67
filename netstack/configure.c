/*
 * Theory of operation: the configuration changes while flows go on. A flow is keyed by its guest's address, so neither
 * the gateway's MAC nor its address is part of it; what cannot live on ends with a reset on both sides: everything when
 * forwarding stops, and the flows of guests that the subnet does not hold any more. Nothing new begins from now on, but
 * flows have CONFIGURE_PATIENCE_NS left: natproxy ends them meanwhile, and knows the reason for its log.
 *
 *   what guests still know       how they learn                      until then
 *   the former MAC               two announcements (RFC 5227 2.3)    frames to it are taken for STACK_FORMER_MAC_NS
 *   the former address           their next lease                    it is announced with the new one, their unicast
 *                                                                    ARP for it (RFC 1122 2.3.2.1), pings and DNS
 *                                                                    questions to it are answered, for as long as a
 *                                                                    lease lasts
 *
 * Broadcast ARP for the former address is not answered and a claim of it by somebody else ends it: it may belong to
 * another station now, and guests that hear of that one do not ask us any more.
 *
 * The broker lets nobody speak as the gateway but under the MAC that it knows. It hears of a change on its own, earlier
 * or later: the new MAC is in use when both have heard of it (stack_gateway_moved), the broker's word always first.
 */
#include <string.h>

#include "state.h"

static const uint64_t CONFIGURE_PATIENCE_NS = 500 * NS_PER_MS;

static void configure_move_mac(struct stack *s)
{
	uint8_t *mac = s->config.mac;
	if (memcmp(s->wanted_mac, s->told_mac, 6) != 0 || memcmp(s->wanted_mac, mac, 6) == 0)
		return;
	memcpy(s->former.mac, mac, sizeof(s->former.mac));
	s->former.mac_until_ns = s->now_ns + STACK_FORMER_MAC_NS;
	memcpy(mac, s->wanted_mac, sizeof(s->wanted_mac));
	arp_announce(s);
}

void stack_gateway_moved(struct stack *s, const uint8_t mac[6])
{
	memcpy(s->told_mac, mac, 6);
	configure_move_mac(s);
}

/* An address that guests of the new subnet may have as their gateway stays for them. */
static void configure_move_address(struct stack *s, uint32_t before_be)
{
	if (before_be == s->config.ip_be)
		return;
	s->former.ip_be = before_be;
	s->former.ip_until_ns =
		stack_in_subnet(s, before_be) ? s->now_ns + s->config.former_ip_ns : 0;
	arp_announce(s);
}

static void configure_end(struct stack *s, struct flow *f)
{
	if (f->key.kind != FLOW_TCP)
		dgram_closed(s, f);
	else if (f->tcp.state == TCP_TIME_WAIT)
		tcp_forget(s, f);
	else
		tcp_kill(s, f);
}

/* A segment that the hub carried before may be too long for it now. What was sent already arrives or is found lost. */
static void configure_shrink(const struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	uint32_t most = s->config.mtu - IP_HEADER_BYTES - TCP_HEADER_BYTES;
	uint32_t payload = most - (t->use_ts ? 12 : 0);
	if (t->peer_mss > most)
		t->peer_mss = (uint16_t)most;
	if (t->mss > payload)
		t->mss = (uint16_t)payload;
}

static void configure_shrink_all(struct stack *s)
{
	for (uint32_t i = 0; i < s->flows.touched; i++) {
		struct flow *f = &s->flows.flow[i];
		if (f->used && f->hashed && f->key.kind == FLOW_TCP)
			configure_shrink(s, f);
	}
}

void configure_poll(struct stack *s)
{
	if (!s->sweep_ns || s->now_ns < s->sweep_ns)
		return;
	s->sweep_ns = 0;
	for (uint32_t i = 0; i < s->flows.touched; i++) {
		struct flow *f = &s->flows.flow[i];
		if (f->used && f->hashed && !stack_may_reach(s, f->key.guest_ip_be))
			configure_end(s, f);
	}
}

uint64_t configure_next_ns(const struct stack *s)
{
	return s->sweep_ns ? s->sweep_ns : UINT64_MAX;
}

void stack_configure(struct stack *s, const struct stack_config *c)
{
	const struct stack_config before = s->config;
	s->config = *c;
	s->config.strict = before.strict;
	memcpy(s->config.key, before.key, sizeof(before.key));
	memcpy(s->config.mac, before.mac, sizeof(before.mac));
	memcpy(s->wanted_mac, c->mac, sizeof(s->wanted_mac));
	s->sweep_ns = s->now_ns + CONFIGURE_PATIENCE_NS;
	configure_shrink_all(s);
	configure_move_mac(s);
	configure_move_address(s, before.ip_be);
	if (before.off && !c->off)
		arp_announce(s);
}
