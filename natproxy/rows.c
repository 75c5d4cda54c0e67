/*
 * Theory of operation. Tables for the operator, a row at a time by cursor: the cursor is the
 * reference of the last row, so a dump that is interrupted by changes neither repeats a row nor
 * walks a freed list.
 */
#include <stdio.h>
#include <string.h>

#include "algs.h"
#include "dnstcp.h"
#include "esp_socket.h"
#include "forward.h"
#include "natproxy.h"
#include "source.h"

enum { MS_NS = 1000000 };

static Nl__Address *address(struct natproxy_row_space *space, int i, const struct sock_address *a)
{
	nl__address__init(&space->address[i]);
	space->address[i].has_ip_be = space->address[i].has_port = true;
	space->address[i].ip_be = a->ip_be;
	space->address[i].port = a->port;
	return &space->address[i];
}

static char *text(struct natproxy_row_space *space, int i, const char *s)
{
	snprintf(space->text[i], sizeof(space->text[i]), "%s", s);
	return space->text[i];
}

/* The outside endpoint of a session, as far as it can be known; false: it has none, as a question to the gateway. */
static bool outside_of(struct natproxy *np, const struct nat_session *s, struct sock_address *out)
{
	const struct flow *f = flow_live(np, s->flow);
	const struct sock_address far = {
		s->real_ip_be ? s->real_ip_be : s->remote.ip_be, s->remote.port};
	const struct sock_place from = source_of(np, s->guest.ip_be);
	*out = s->outside;
	if (!f || (f->fd < 0 && !s->keeps_port))
		return false;
	if (!out->port)
		*out = f->outside;
	if (!out->ip_be && f->kind == FLOW_TCP)
		return sock_local(np->sock, f->fd, out) == 0;
	/* a datagram socket leaves it to the kernel: asked for now, as the next datagram would be sent */
	return out->ip_be || sock_source(np->sock, &far, from.device, &out->ip_be) == 0;
}

/* "0xc0ffee01/0x5eed0002": the guest's SPI, 0 while it has not spoken, and those of the far end. */
static char *spi_text(
	struct natproxy *np, const struct nat_session *s, char out[NATPROXY_SPI_BYTES])
{
	const struct flow *f = flow_live(np, s->flow);
	const struct esp_tunnel *t = f && f->tunnel ? esp_at(&np->esp.table, f->tunnel) : NULL;
	int n = snprintf(out, NATPROXY_SPI_BYTES, "0x%08x", f ? f->spi : 0);
	for (unsigned int i = 0; t && i < ESP_INBOUND && t->inbound[i]; i++)
		n += snprintf(out + n, NATPROXY_SPI_BYTES - (size_t)n, "%c0x%08x", i ? ',' : '/',
			t->inbound[i]);
	return out;
}

uint64_t natproxy_nat_row(
	struct natproxy *np, uint64_t cursor, Nl__NatRow *row, struct natproxy_row_space *space)
{
	const uint32_t ref =
		cursor <= NAT_SESSIONS ? nat_next(&np->nat, (uint32_t)cursor) : NAT_NONE;
	if (!ref)
		return 0;
	const struct nat_session *s = nat_session(&np->nat, ref);
	struct sock_address outside;
	nl__nat_row__init(row);
	row->has_id = row->has_created_ms = row->has_idle_ms = row->has_rx_bytes =
		row->has_tx_bytes = true;
	row->id = s->number;
	row->proto = text(space, 0, nat_protocol_word(s->protocol));
	row->source = address(space, 0, &s->guest);
	row->destination = address(space, 1, &s->remote);
	if (outside_of(np, s, &outside))
		row->outside = address(space, 2, &outside);
	row->state = text(space, 1, nat_state_name(s->state));
	row->created_ms = s->created_wall_ms;
	row->idle_ms = (np->now_ns - s->used_ns) / MS_NS;
	row->rx_bytes = s->to_guest_bytes;
	row->tx_bytes = s->from_guest_bytes;
	if (s->protocol == NAT_ESP) {
		row->spi = spi_text(np, s, space->spi);
		for (unsigned int i = 0; i < sizeof(space->address) / sizeof(space->address[0]);
			i++)
			space->address[i].has_port = false;
	}
	row->alg = s->alg ? text(space, 2, algs_name((enum algs_id)(s->alg - 1))) : NULL;
	row->process = text(space, 3, np->name);
	const char *host = dnsnames_of(&np->dns_names, s->guest.ip_be, s->remote.ip_be);
	snprintf(space->host, sizeof(space->host), "%s", host ? host : "");
	row->host = host ? space->host : NULL;
	return ref;
}

static void publish_row(const struct natproxy *np, const struct publish *p, Nl__ForwardRow *row,
	struct natproxy_row_space *space)
{
	row->kind = text(space, 0, p->fixed ? "static" : "publish");
	row->proto = text(space, 1, p->udp ? "udp" : "tcp");
	row->listen = address(space, 0, &p->listen);
	row->to = address(space, 1, &p->to);
	row->vrf = *p->outlet.vrf ? text(space, 2, p->outlet.vrf) : NULL;
	row->state =
		(char *)(uintptr_t)forward_state(np, p, space->text[3], sizeof(space->text[3]));
	row->sessions = p->sessions;
}

/* An address as a whole: what leaves by it. */
static void fixed_row(const struct natproxy *np, const struct fixed *f, Nl__ForwardRow *row,
	struct natproxy_row_space *space)
{
	const bool there = np->access.own_partial || access_is_own(&np->access, f->outside_ip_be);
	const struct sock_address outside = {f->outside_ip_be, 0}, inside = {f->inside_ip_be, 0};
	row->kind = text(space, 0, "static");
	row->proto = text(space, 1, "all");
	row->listen = address(space, 0, &outside);
	row->to = address(space, 1, &inside);
	row->listen->has_port = row->to->has_port = false;
	row->vrf = *f->outlet.vrf ? text(space, 2, f->outlet.vrf) : NULL;
	row->state = text(space, 3, there ? "ready" : "waiting for address");
	row->sessions = nat_guest_sessions(&np->nat, f->inside_ip_be);
}

uint64_t natproxy_forward_row(
	struct natproxy *np, uint64_t cursor, Nl__ForwardRow *row, struct natproxy_row_space *space)
{
	nl__forward_row__init(row);
	row->has_sessions = true;
	while (cursor < np->publishes && !np->publish[cursor].used)
		cursor++;
	if (cursor < np->publishes) {
		publish_row(np, &np->publish[cursor], row, space);
		return cursor + 1;
	}
	if (cursor - np->publishes >= np->fixed_count)
		return 0;
	fixed_row(np, &np->fixed[cursor - np->publishes], row, space);
	return cursor + 1;
}

uint64_t natproxy_hub_row(const struct natproxy *np, uint64_t cursor, Nl__HubRow *row)
{
	if (cursor)
		return 0;
	nl__hub_row__init(row);
	row->has_tcp = row->has_udp = row->has_icmp = row->has_dns = true;
	row->tcp = np->nat.count[NAT_TCP];
	row->udp = np->nat.count[NAT_UDP];
	row->icmp = np->nat.count[NAT_ICMP];
	row->dns = np->dns.askers + dnstcp_waiting_all(np);
	return 1;
}

static void icmp_row(const struct natproxy *np, Nl__AlgRow *row, struct natproxy_row_space *space)
{
	row->alg = text(space, 0, "icmp");
	row->enabled = np->config.icmp_errors;
	row->to_guests = np->icmp.to_guests;
	row->to_outside = np->icmp.to_outside;
	row->gave_up = np->icmp.ended;
}

/* ESP's packets and those of IKE that keep their port. Flows are tunnels; refused waited for another guest's, given up are those whose
 * guest nobody knows. */
static void ipsec_row(const struct natproxy *np, Nl__AlgRow *row, struct natproxy_row_space *space)
{
	const bool keeps_port = np->ike.shared.granted && np->preserve_port_list.number;
	row->alg = text(space, 0, "ipsec");
	row->enabled = esp_socket_serves(np) || keeps_port;
	row->to_guests = np->esp.counts.to_guests + np->ike.counts.to_guests;
	row->to_outside = np->esp.counts.to_outside + np->ike.counts.to_outside;
	row->gave_up = np->esp.counts.unknown + np->ike.counts.unknown;
	row->has_flows = row->has_open = row->has_refused = true;
	row->flows = np->esp.counts.tunnels;
	row->open = np->esp.table.tunnels;
	row->refused = np->esp.counts.waited;
}

uint64_t natproxy_alg_row(const struct natproxy *np, uint64_t cursor, Nl__AlgRow *row,
	struct natproxy_row_space *space)
{
	static void (*const rows[])(const struct natproxy *, Nl__AlgRow *,
		struct natproxy_row_space *) = {icmp_row, ipsec_row};
	if (cursor >= sizeof(rows) / sizeof(rows[0]))
		return 0;
	nl__alg_row__init(row);
	rows[cursor](np, row, space);
	row->process = text(space, 1, np->name);
	row->has_enabled = row->has_messages = row->has_gave_up = true;
	row->has_to_guests = row->has_to_outside = true;
	row->messages = row->to_guests + row->to_outside;
	return cursor + 1;
}

/* Tunnels whose far end has not answered: the next one after `ref` that waits, or ESP_NONE. */
static uint32_t next_opener(const struct natproxy *np, uint32_t ref)
{
	do
		ref = esp_next(&np->esp.table, ref);
	while (ref && esp_at(&np->esp.table, ref)->opening_until_ns <= np->now_ns);
	return ref;
}

/* Rows of openers follow those of pinholes. */
static uint64_t opener_row(struct natproxy *np, uint64_t cursor, Nl__ExpectationRow *row,
	struct natproxy_row_space *space)
{
	const uint32_t ref = next_opener(
		np, cursor > PINHOLE_HUB_MAX ? (uint32_t)(cursor - PINHOLE_HUB_MAX) : ESP_NONE);
	if (!ref)
		return 0;
	const struct esp_tunnel *t = esp_at(&np->esp.table, ref);
	const struct flow *f = flow_live(np, t->flow);
	const struct sock_address guest = {t->guest_ip_be, 0}, peer = {t->way.peer_ip_be, 0};
	nl__expectation_row__init(row);
	row->has_id = row->has_parent = row->has_expires_in_ms = true;
	row->id = ref;
	row->alg = text(space, 0, "ipsec");
	row->kind = text(space, 1, "ESP");
	row->state = text(space, 2, "waiting");
	row->guest = address(space, 0, &guest);
	row->peer = address(space, 2, &peer);
	row->guest->has_port = row->peer->has_port = false;
	row->spi = space->spi;
	snprintf(space->spi, sizeof(space->spi), "0x%08x", t->spi);
	row->expires_in_ms = (t->opening_until_ns - np->now_ns) / MS_NS;
	row->parent = f && f->sessions ? nat_session(&np->nat, f->sessions)->number : 0;
	return PINHOLE_HUB_MAX + (uint64_t)ref;
}

uint64_t natproxy_expectation_row(struct natproxy *np, uint64_t cursor, Nl__ExpectationRow *row,
	struct natproxy_row_space *space)
{
	const uint32_t ref = cursor <= PINHOLE_HUB_MAX
				     ? pinhole_next(&np->pinholes, (uint32_t)cursor)
				     : PINHOLE_NONE;
	if (!ref)
		return opener_row(np, cursor, row, space);
	const struct pinhole *p = &np->pinholes.entry[ref];
	const bool watch = p->kind == PINHOLE_TCP_WATCH;
	const struct sock_address peer = watch ? p->seen : (struct sock_address){p->peer_ip_be, 0};
	nl__expectation_row__init(row);
	row->has_id = row->has_parent = true;
	row->has_expires_in_ms = p->expires_ns != UINT64_MAX;
	row->id = p->number;
	row->alg = text(space, 0, algs_name((enum algs_id)p->alg));
	row->guest = address(space, 0, &p->guest);
	row->outside = watch ? NULL : address(space, 1, &p->outside);
	row->peer = peer.ip_be ? address(space, 2, &peer) : NULL;
	row->has_pairs = p->kind == PINHOLE_UDP_PAIR;
	row->pairs = p->pairs;
	row->kind = text(space, 1, pinhole_kind_name((enum pinhole_kind)p->kind));
	row->state = text(space, 2, p->used ? "used" : p->latent ? "latent" : "waiting");
	row->expires_in_ms = p->expires_ns > np->now_ns ? (p->expires_ns - np->now_ns) / MS_NS : 0;
	row->parent = p->parent;
	return ref;
}
