/*
 * dhcpd, the actor: frames from broker in, frames to broker out, leases stored by the supervisor.
 *
 *   broker ── DhcpHeard ──▶ engine_input ──┬── DhcpAnswer ──▶ broker
 *   supervisor ◀── LeaseCommit ────────────┘
 *   supervisor ─── LeaseCommitted ─▶ engine_committed ── DhcpAnswer ──▶ broker
 *
 * Everything that decides is in engine.c; this shell carries messages and turns the configuration
 * into settings.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "actor.h"
#include "broker_dhcpd.pb-c.h"
#include "dhcpd_dispatch.h"
#include "engine.h"
#include "log.h"

enum { NAME_BYTES = 64, DUMP_SCAN = 1024, LEASE_LONGEST_S = 10 * 365 * 86400 };

struct dhcpd {
	struct actor *actor;
	bool enabled, log;
	struct engine engine;
	struct engine_out out;
	uint32_t restored, refused;
	char names[LEASE_RESERVATIONS][NAME_BYTES];
};

static struct lease_time now(const struct dhcpd *self)
{
	return (struct lease_time){actor_now_ns(self->actor), actor_wall_ms(self->actor)};
}

static Nl__Lease__State wire_state(enum lease_state state)
{
	if (state == LEASE_RELEASED)
		return NL__LEASE__STATE__RELEASED;
	return state == LEASE_DECLINED ? NL__LEASE__STATE__DECLINED : NL__LEASE__STATE__LEASED;
}

static void escape_host(char out[4 * LEASE_HOST_BYTES + 1], const struct lease *l)
{
	log_escape(out, 4 * LEASE_HOST_BYTES + 1, l->host, l->host_bytes);
}

/* The host name goes to the journal as the client wrote it, if that is text; LeaseRestore brings it
 * back. */
static void host_text(char out[LEASE_HOST_BYTES + 1], const struct lease *l)
{
	size_t n = 0;
	for (size_t i = 0; i < l->host_bytes; i++)
		if (l->host[i] > ' ' && l->host[i] < 0x7f)
			out[n++] = (char)l->host[i];
	out[n] = '\0';
}

static int send_commit(struct dhcpd *self, const struct engine_out *out)
{
	Nl__LeaseCommit m = NL__LEASE_COMMIT__INIT;
	Nl__Lease lease = NL__LEASE__INIT;
	struct lease l = out->lease;
	char host[LEASE_HOST_BYTES + 1];
	host_text(host, &l);
	lease.has_ip_be = lease.has_mac = lease.has_created_ms = lease.has_expires_ms = true;
	lease.has_entry = lease.has_state = true;
	lease.ip_be = l.ip_be;
	lease.mac = (ProtobufCBinaryData){sizeof(l.mac), l.mac};
	lease.has_client_id = l.id_bytes > 0;
	lease.client_id = (ProtobufCBinaryData){l.id_bytes, l.id};
	lease.host_name = host;
	lease.created_ms = l.created_ms;
	lease.expires_ms = l.expires_ms;
	lease.entry = l.entry;
	lease.state = wire_state(l.state);
	m.has_sequence = true;
	m.sequence = out->sequence;
	m.lease = &lease;
	return super_send_lease_commit(&self->actor->chan[0], &m, NULL, 0);
}

static void send_answer(struct dhcpd *self, const struct engine_out *out)
{
	uint8_t frame[CODEC_FRAME_BYTES];
	Nl__DhcpAnswer m = NL__DHCP_ANSWER__INIT;
	memcpy(frame, out->frame, out->frame_bytes);
	m.has_port = m.has_frame = true;
	m.port = out->port;
	m.frame = (ProtobufCBinaryData){out->frame_bytes, frame};
	if (broker_send_dhcp_answer(&self->actor->chan[1], &m, NULL, 0) < 0)
		drop_count(&self->actor->drops, DROP_RING_FULL);
}

/* As docs/operator.md has it. */
static const char *event_name(enum engine_event event)
{
	switch (event) {
	case ENGINE_CREATED: return "dhcp_created";
	case ENGINE_RENEWED: return "dhcp_renewed";
	case ENGINE_RELEASED: return "dhcp_released";
	case ENGINE_DECLINED: return "dhcp_declined";
	case ENGINE_EXPIRED: return "dhcp_expired";
	case ENGINE_NOTHING:
	case ENGINE_EXHAUSTED:
	case ENGINE_NOT_STORED: break;
	}
	return NULL;
}

/* An event of a lease, with its parts. */
static void log_lease(struct dhcpd *self, const struct engine_out *out, char *text)
{
	char mac[18], host[4 * LEASE_HOST_BYTES + 1];
	Nl__EventRow e = NL__EVENT_ROW__INIT;
	Nl__Address address = NL__ADDRESS__INIT;
	log_mac(mac, out->lease.mac, ':');
	escape_host(host, &out->lease);
	address.has_ip_be = true;
	address.ip_be = out->lease.ip_be;
	e.event = (char *)(uintptr_t)event_name(out->event);
	e.text = text;
	e.has_entry = true;
	e.entry = out->lease.entry;
	e.mac = mac;
	e.address = &address;
	e.host_name = host;
	e.has_lease_seconds = out->event == ENGINE_CREATED || out->event == ENGINE_RENEWED;
	e.lease_seconds = (uint32_t)(self->engine.lease_ms / 1000);
	actor_event(self->actor, &e);
}

static void report(struct dhcpd *self)
{
	char text[ENGINE_EVENT_BYTES];
	const struct engine_out *out = &self->out;
	if (out->event == ENGINE_NOTHING)
		return;
	engine_describe(&self->engine, out, text);
	if (out->event == ENGINE_EXHAUSTED || out->event == ENGINE_NOT_STORED)
		actor_diagnostic(self->actor, "%s", text);
	else if (self->log)
		log_lease(self, out, text);
}

/* Does what the engine decided. A commit that cannot even be sent is one that was not stored. */
static void carry_out(struct dhcpd *self)
{
	struct engine_out *out = &self->out;
	if (out->dropped)
		drop_count(&self->actor->drops, out->why);
	if (out->frame_bytes)
		send_answer(self, out);
	report(self);
	if (!out->sequence || !send_commit(self, out))
		return;
	if (!engine_committed(&self->engine, out->sequence, false, now(self), out))
		report(self);
}

int dhcpd_on_dhcp_heard(struct dhcpd *self, const Nl__DhcpHeard *m, struct chan_in *in)
{
	if (!m->has_port || !m->has_frame || m->frame.len > CODEC_FRAME_BYTES)
		return -EPROTO;
	if (!self->enabled || !self->actor->started || self->actor->draining)
		return 0;
	engine_input(&self->engine, m->port, m->frame.data, m->frame.len, m->csum_ok, now(self),
		&self->out);
	carry_out(self);
	return 0;
}

int dhcpd_on_lease_committed(struct dhcpd *self, const Nl__LeaseCommitted *m, struct chan_in *in)
{
	if (engine_committed(&self->engine, m->sequence, m->stored, now(self), &self->out))
		return -EPROTO;
	carry_out(self);
	return 0;
}

static int restore(struct dhcpd *self, const Nl__Lease *m)
{
	struct lease_client c = {
		.id = m->client_id.data,
		.id_bytes = m->has_client_id ? m->client_id.len : 0,
		.host = (const uint8_t *)m->host_name,
		.host_bytes = m->host_name ? strlen(m->host_name) : 0,
	};
	enum lease_state state = LEASE_BOUND;
	if (m->has_mac && m->mac.len == sizeof(c.mac))
		memcpy(c.mac, m->mac.data, sizeof(c.mac));
	if (m->state == NL__LEASE__STATE__RELEASED)
		state = LEASE_RELEASED;
	else if (m->state == NL__LEASE__STATE__DECLINED)
		state = LEASE_DECLINED;
	else if (m->state != NL__LEASE__STATE__LEASED)
		return -EINVAL;
	return lease_restore(&self->engine.pool, &c, m->ip_be, state, m->entry, m->created_ms,
		m->expires_ms, self->engine.lease_ms, now(self));
}

int dhcpd_on_lease_restore(struct dhcpd *self, const Nl__LeaseRestore *m, struct chan_in *in)
{
	if (self->actor->started)
		return -EPROTO;
	for (size_t i = 0; self->enabled && i < m->n_leases; i++) {
		if (restore(self, m->leases[i]))
			self->refused++;
		else
			self->restored++;
	}
	if (m->last && self->refused)
		actor_diagnostic(self->actor,
			"%u of %u stored dhcp leases were not restored: damaged, or no longer in "
			"dhcp.range",
			self->refused, self->refused + self->restored);
	return 0;
}

static int dhcpd_on_record(void *opaque, int edge, struct chan_in *in)
{
	struct dhcpd *self = opaque;
	return edge == 0 ? dhcpd_dispatch_super(self, in) : dhcpd_dispatch_broker(self, in);
}

static uint64_t dhcpd_deadline(void *opaque)
{
	const struct dhcpd *self = opaque;
	return self->enabled ? engine_deadline(&self->engine) : UINT64_MAX;
}

static void dhcpd_timeout(void *opaque, uint64_t now_ns)
{
	struct dhcpd *self = opaque;
	struct lease_time t = {now_ns, actor_wall_ms(self->actor)};
	for (int i = 0; i < ACTOR_BUDGET && engine_timeout(&self->engine, t, &self->out); i++)
		carry_out(self);
}

static bool send_row(struct dhcpd *self, const struct lease *l)
{
	static const char *const names[LEASE_STATES] = {
		"free", "offered", "leased", "released", "expired", "declined"};
	Nl__DhcpRow row = NL__DHCP_ROW__INIT;
	Nl__Address address = NL__ADDRESS__INIT;
	char mac[18], host[4 * LEASE_HOST_BYTES + 1], state[16];
	log_mac(mac, l->mac, ':');
	escape_host(host, l);
	strcpy(state, names[l->state]);
	address.has_ip_be = true;
	address.ip_be = l->ip_be;
	row.has_id = true;
	row.id = l->entry;
	row.address = &address;
	row.mac = mac;
	row.host_name = host;
	row.state = state;
	row.has_created_ms = row.has_expires_ms = l->entry != 0;
	row.created_ms = l->created_ms;
	row.expires_ms = l->expires_ms;
	return actor_row(self->actor, &row.base);
}

/* dhcpd's part of the hub's row. */
static void dump_hub(struct dhcpd *self)
{
	const struct lease_pool *p = &self->engine.pool;
	Nl__HubRow row = NL__HUB_ROW__INIT;
	row.has_leases = row.has_pool = true;
	row.leases = p->list[LEASE_BOUND].count;
	row.pool = p->count;
	actor_row(self->actor, &row.base);
}

static uint64_t dhcpd_dump(void *opaque, Nl__Topic topic, uint64_t cursor)
{
	struct dhcpd *self = opaque;
	const struct lease_pool *p = &self->engine.pool;
	if (topic == NL__TOPIC__HUBS && self->enabled)
		dump_hub(self);
	if (topic != NL__TOPIC__DHCP || !self->enabled)
		return 0;
	for (uint64_t end = cursor + DUMP_SCAN; cursor < p->count; cursor++)
		if (cursor == end || (p->lease[cursor].state != LEASE_FREE &&
					     !send_row(self, &p->lease[cursor])))
			return cursor;
	return 0;
}

/* "an address | none"; 0 for none, INADDR_NONE for neither. */
static uint32_t address_or_none(const char *text)
{
	struct in_addr a;
	if (!text || !strcmp(text, "none"))
		return 0;
	return inet_pton(AF_INET, text, &a) == 1 ? a.s_addr : INADDR_NONE;
}

static int set_domain(struct codec_settings *s, const char *configured, const char *host_domain)
{
	const char *text = configured && !strcmp(configured, "host") ? host_domain : configured;
	if (!text || !strcmp(text, "none"))
		return 0;
	if (strlen(text) >= sizeof(s->domain))
		return -EINVAL;
	strcpy(s->domain, text);
	return 0;
}

static int set_options(struct codec_settings *s, const Nl__Hub *hub, const char *host_domain)
{
	const Nl__Dhcp *d = hub->dhcp;
	const Nl__VirtualHost *host = hub->host;
	if (!host || !host->address || !host->mac || host->mac->octets.len != sizeof(s->mac))
		return -EINVAL;
	memcpy(s->mac, host->mac->octets.data, sizeof(s->mac));
	s->server_be = host->address->be;
	s->netmask_be = d->netmask ? d->netmask->be : host->netmask ? host->netmask->be : 0;
	s->router_be = address_or_none(d->gateway);
	if (!s->server_be || !s->netmask_be || s->router_be == INADDR_NONE ||
		d->n_dns > CODEC_DNS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < d->n_dns; i++)
		s->dns_be[i] = d->dns[i]->be;
	s->dns_count = (unsigned int)d->n_dns;
	return set_domain(s, d->domain, host_domain);
}

static int set_reservations(struct dhcpd *self, const Nl__Dhcp *d)
{
	if (d->n_reservations > LEASE_RESERVATIONS)
		return -E2BIG;
	for (size_t i = 0; i < d->n_reservations; i++) {
		const Nl__Reservation *r = d->reservations[i];
		if (!r->address || !r->mac || r->mac->octets.len != 6)
			return -EINVAL;
		if (r->name && strlen(r->name) < NAME_BYTES)
			strcpy(self->names[i], r->name);
		int error = lease_reserve(&self->engine.pool, r->address->be, r->mac->octets.data,
			self->names[i][0] ? self->names[i] : NULL);
		if (error)
			return error;
	}
	return 0;
}

static int make_pool(struct dhcpd *self, const Nl__Dhcp *d, const struct hash_key *key)
{
	const struct codec_settings *s = &self->engine.settings;
	if (!d->range || !d->range->from || !d->range->to)
		return -EINVAL;
	uint32_t from_be = d->range->from->be, to_be = d->range->to->be;
	uint32_t from = ntohl(from_be), to = ntohl(to_be);
	if (from > to || to - from >= LEASE_MAX - LEASE_RESERVATIONS ||
		((from_be ^ s->server_be) & s->netmask_be) ||
		((to_be ^ s->server_be) & s->netmask_be))
		return -EINVAL;
	uint32_t size = to - from + 1 + (uint32_t)d->n_reservations;
	void *memory = malloc(lease_bytes(size));
	if (!memory)
		return -ENOMEM;
	lease_init(&self->engine.pool, memory, size, key);
	engine_init(&self->engine, from, to);
	return set_reservations(self, d);
}

static int dhcpd_boot(void *opaque, struct actor *a, const Nl__ActorBoot *boot)
{
	struct dhcpd *self = opaque;
	struct hash_key key;
	self->actor = a;
	if (!boot->hub || !boot->hub->dhcp || boot->entropy.len < sizeof(key))
		return -EINVAL;
	const Nl__Dhcp *d = boot->hub->dhcp;
	memcpy(&key, boot->entropy.data, sizeof(key));
	self->enabled = d->enable;
	self->log = d->log;
	if (!self->enabled)
		return 0;
	self->engine.lease_ms = d->lease ? d->lease->ms : 0;
	if (self->engine.lease_ms < 1000 || self->engine.lease_ms / 1000 > LEASE_LONGEST_S)
		return -EINVAL;
	int error = set_options(&self->engine.settings, boot->hub, boot->domain);
	return error ? error : make_pool(self, d, &key);
}

int main(void)
{
	static const struct actor_ops ops = {
		.id = ACTOR_DHCPD,
		.boot = dhcpd_boot,
		.on_record = dhcpd_on_record,
		.dump = dhcpd_dump,
		.deadline = dhcpd_deadline,
		.timeout = dhcpd_timeout,
	};
	static struct dhcpd self;
	return actor_main(&ops, &self);
}
