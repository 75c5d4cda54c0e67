/*
 * Theory of operation.
 *
 *   DGRAM_OPEN ─▶ dgram.c ─ first DGRAM_DATA ─▶ esp_socket_open: a tunnel of esp.h ─ its turn? ─▶ burst.c ─▶ socket
 *   socket ─▶ raw.c ─▶ recognise: esp_receives ─┬▶ the tunnel's flow ─▶ gather.c ─▶ DGRAM_DATA
 *                                               └▶ a guest that has none ─▶ DGRAM_INCOMING ─▶ DGRAM_OPEN ─▶ a tunnel
 *
 * Nothing of a packet is changed but the addresses around it, and nothing in it can be checked: whoever forges a packet
 * of the peer's gets it to the guest, whose own check (RFC 4303 3.4.4) throws it away. What esp.h infers can therefore
 * be wrong only in where a packet goes, never in what a guest believes.
 *
 * A packet that a peer sends before its guest has spoken cannot wait, as the socket is everybody's: the guest is made
 * ready for the next one. A guest with an outside address of its own (nat.static) sends from it, and what is sent to
 * that address is that guest's. What strangers begin there is limited apart from what the guest begins: as soon as it
 * answers by an SPI of its own, the far end's is that tunnel's.
 */
#include "esp_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "dgram.h"
#include "raw.h"
#include "refuse.h"
#include "session.h"
#include "source.h"

enum {
	PROTOCOL_ESP = 50,
	DESTINATION_AT = 16, /* in an IP header */
	SPI_HALF_BITS = 16,
};
static const uint64_t knock_ns = 2000000000; /* how long netstack has to answer */

static struct flow *recognise(
	struct natproxy *np, struct sock_datagram *d, struct datagram_slot *slot);

static const struct raw_owner owner = {OWNER_ESP, FLOW_ESP, PROTOCOL_ESP, RAW_IP_BYTES, recognise};

int esp_socket_take(struct natproxy *np, struct chan_in *in)
{
	return raw_take(np, &np->esp.raw, &owner, in);
}

bool esp_socket_serves(const struct natproxy *np)
{
	return np->esp.raw.granted && np->config.esp;
}

static struct esp_way way_of(const struct natproxy *np, const struct flow *f)
{
	const struct sock_place from = source_of(np, f->guest.ip_be);
	return (struct esp_way){f->remote.ip_be, from.at.ip_be};
}

/* Both ends of a tunnel have one SPI where the list of alg.ipsec has one of them. */
static bool is_symmetric(const struct natproxy *np, const struct flow *f)
{
	return acl_names(&np->spi_match_list, f->guest.ip_be, f->remote.ip_be);
}

static int open_tunnel(struct natproxy *np, struct flow *f, uint32_t inbound)
{
	const struct sock_place from = source_of(np, f->guest.ip_be);
	const struct esp_ask ask = {.way = way_of(np, f),
		.guest_ip_be = f->guest.ip_be,
		.spi = f->spi,
		.flow = f->id,
		.symmetric = f->spi && is_symmetric(np, f)};
	uint32_t ref;
	if (from.device)
		return -ENODEV;
	if (esp_open(&np->esp.table, &ask, inbound, np->now_ns, &ref))
		return -ENOBUFS;
	f->tunnel = ref;
	f->raw = true;
	f->fd = np->esp.raw.fd;
	f->outside = (struct sock_address){from.at.ip_be, 0};
	np->esp.counts.tunnels++;
	return 0;
}

int esp_socket_open(struct natproxy *np, struct flow *f)
{
	return open_tunnel(np, f, 0);
}

void esp_socket_close(struct natproxy *np, struct flow *f)
{
	esp_close(&np->esp.table, f->tunnel);
	f->tunnel = ESP_NONE;
	f->raw = false;
}

bool esp_socket_sends(struct natproxy *np, const struct flow *f)
{
	if (!esp_socket_serves(np)) {
		drop_count(np->drops, DROP_DENIED);
		return false;
	}
	if (esp_sends(&np->esp.table, f->tunnel, np->now_ns)) {
		np->esp.counts.to_outside++;
		return true;
	}
	np->esp.counts.waited++;
	drop_count(np->drops, DROP_ESP_WAITS);
	return false;
}

/* The knock that netstack answers, which is then over; NULL: too late, or never asked. */
static struct esp_knock *answered(
	struct natproxy *np, const struct flow *f, const struct ring_pair *pair)
{
	for (unsigned int i = 0; i < NATPROXY_ESP_KNOCKS; i++) {
		struct esp_knock *k = &np->esp.knock[i];
		if (k->token && k->token == pair->token && k->guest_ip_be == f->guest.ip_be &&
			k->way.peer_ip_be == f->remote.ip_be) {
			k->token = 0;
			return k;
		}
	}
	return NULL;
}

/* Of the flows that far ends began with this guest the one heard longest ago, when there are as many as may be; else NULL. */
static struct flow *gives_way(struct natproxy *np, uint32_t guest_ip_be)
{
	struct flow *oldest = NULL;
	uint64_t oldest_ns = UINT64_MAX;
	uint32_t count = 0;
	for (uint32_t ref = esp_next(&np->esp.table, ESP_NONE); ref;
		ref = esp_next(&np->esp.table, ref)) {
		const struct esp_tunnel *t = &np->esp.table.tunnel[ref];
		struct flow *f =
			t->spi || t->guest_ip_be != guest_ip_be ? NULL : flow_live(np, t->flow);
		if (!f || !f->sessions)
			continue;
		const uint64_t used_ns = nat_session(&np->nat, f->sessions)->used_ns;
		count++;
		if (used_ns < oldest_ns) {
			oldest_ns = used_ns;
			oldest = f;
		}
	}
	return count < NATPROXY_ESP_INCOMING ? NULL : oldest;
}

/* The far end began: its session begins with the flow, so that there is one that can end by being idle. */
static int begin_incoming(struct natproxy *np, struct flow *f, const struct ring_pair *pair)
{
	const struct esp_knock *k = answered(np, f, pair);
	struct flow *old = k ? gives_way(np, f->guest.ip_be) : NULL;
	if (old)
		dgram_ended(np, old, old->sessions, "gave way to a younger one from outside");
	if (!k || refuse_new(np, NAT_ESP, &f->guest, &f->remote) || open_tunnel(np, f, k->spi))
		return -ENOENT;
	return session_open_incoming(np, f, &f->remote, 0) ? 0 : -ENOENT;
}

int esp_socket_begin(struct natproxy *np, struct flow *f, const struct ring_pair *pair)
{
	f->remote = (struct sock_address){pair->remote_ip_be, 0};
	f->spi = (uint32_t)pair->guest_port << SPI_HALF_BITS | pair->remote_port;
	f->guest.port = 0;
	if (!f->remote.ip_be || !f->spi != (pair->token != 0))
		return -EPROTO;
	return f->spi ? 0 : begin_incoming(np, f, pair);
}

struct flow *esp_socket_quoted(struct natproxy *np, const struct sock_error *e)
{
	struct esp_way way = {.peer_ip_be = e->to.ip_be};
	uint32_t spi_be;
	memcpy(&spi_be, e->quoted, sizeof(spi_be));
	uint32_t ref = esp_sender(&np->esp.table, &way, ntohl(spi_be));
	for (uint32_t i = 0; !ref && i < np->fixed_count; i++) {
		way.outside_ip_be = np->fixed[i].outside_ip_be;
		ref = esp_sender(&np->esp.table, &way, ntohl(spi_be));
	}
	return ref ? flow_live(np, esp_at(&np->esp.table, ref)->flow) : NULL;
}

void esp_socket_spoke(struct natproxy *np, const struct flow *f, const struct sock_address *far)
{
	if (far->port != IKE_PORT || !esp_socket_serves(np))
		return;
	const struct esp_way way = {far->ip_be, source_of(np, f->guest.ip_be).at.ip_be};
	esp_keys(&np->esp.table, &way, f->guest.ip_be, np->now_ns);
}

/* Asks netstack for a flow of this guest's with this peer, unless that was done. */
static void knock(
	struct natproxy *np, const struct esp_way *way, uint32_t guest_ip_be, uint32_t spi)
{
	struct esp_knock *place = &np->esp.knock[0];
	for (unsigned int i = 0; i < NATPROXY_ESP_KNOCKS; i++) {
		struct esp_knock *k = &np->esp.knock[i];
		if (k->token && k->until_ns > np->now_ns && k->guest_ip_be == guest_ip_be &&
			k->way.peer_ip_be == way->peer_ip_be)
			return;
		if (k->until_ns < place->until_ns)
			place = k;
	}
	if (place->until_ns > np->now_ns) /* all are waited for */
		return;
	np->esp.last_token = np->esp.last_token == UINT32_MAX ? 1 : np->esp.last_token + 1;
	*place = (struct esp_knock){
		np->esp.last_token, guest_ip_be, spi, *way, np->now_ns + knock_ns};
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_INCOMING};
	d.pair = (struct ring_pair){.guest_ip_be = guest_ip_be,
		.remote_ip_be = way->peer_ip_be,
		.token = place->token,
		.kind = DGRAM_ESP};
	if (natproxy_tell(np, LINK_DATA, &d))
		place->until_ns = place->token = 0;
}

/* The guest that has this address outside for itself; 0: all share it. */
static uint32_t owner_of(const struct natproxy *np, uint32_t outside_ip_be)
{
	for (uint32_t i = 0; i < np->fixed_count; i++)
		if (np->fixed[i].outside_ip_be == outside_ip_be)
			return np->fixed[i].inside_ip_be;
	return 0;
}

static bool is_whole(const struct sock_datagram *d, const struct datagram_slot *slot)
{
	return !d->truncated && d->bytes >= RAW_IP_BYTES + ESP_HEADER_BYTES &&
	       slot->header[0] == RAW_IP_FIRST;
}

static struct flow *find(struct natproxy *np, const struct sock_datagram *d,
	const struct datagram_slot *slot, uint32_t spi)
{
	struct esp_way way = {.peer_ip_be = d->peer.ip_be};
	uint32_t to_be;
	memcpy(&to_be, slot->header + DESTINATION_AT, sizeof(to_be));
	const uint32_t only_be = owner_of(np, to_be);
	if (only_be)
		way.outside_ip_be = to_be;
	if (!esp_socket_serves(np) || access_is_own(&np->access, way.peer_ip_be))
		return NULL;
	const struct esp_found found = esp_receives(&np->esp.table, &way, spi, only_be, np->now_ns);
	if (found.ref)
		return flow_live(np, esp_at(&np->esp.table, found.ref)->flow);
	if (found.guest_ip_be && access_is_guest(&np->access, found.guest_ip_be) && !np->draining)
		knock(np, &way, found.guest_ip_be, spi);
	return NULL;
}

static struct flow *recognise(
	struct natproxy *np, struct sock_datagram *d, struct datagram_slot *slot)
{
	uint32_t spi_be;
	if (!is_whole(d, slot)) {
		drop_count(np->drops, DROP_ESP_BAD);
		return NULL;
	}
	d->bytes -= RAW_IP_BYTES;
	memcpy(&spi_be, arena_ptr(np->arena, slot->small), sizeof(spi_be));
	struct flow *f = find(np, d, slot, ntohl(spi_be));
	if (f && f->kind == FLOW_ESP && f->state == FLOW_RUNNING) {
		np->esp.counts.to_guests++;
		return f;
	}
	np->esp.counts.unknown++;
	drop_count(np->drops, DROP_ESP_UNKNOWN);
	return NULL;
}

bool esp_socket_turn(struct natproxy *np)
{
	return raw_turn(np, &np->esp.raw, &owner);
}
