/*
 * dhcpd, the actor: frames from broker in, frames to broker out, leases stored by the supervisor.
 *
 *   broker ── DhcpHeard ──▶ engine_input ──┬── DhcpAnswer ──▶ broker
 *   supervisor ◀── LeaseCommit ────────────┘
 *   supervisor ─── LeaseCommitted ─▶ engine_committed ── DhcpAnswer ──▶ broker
 *   broker ── PortOpened, another server's message ──▶ rival ── a probe ──▶ broker
 *
 * Everything that decides is in engine.c and rival.c; this shell carries messages. Leases are
 * kept, restored and run out while the server is switched off too: it may be switched on again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "actor.h"
#include "broker_dhcpd.pb-c.h"
#include "dhcpd_dispatch.h"
#include "engine.h"
#include "log.h"
#include "rival.h"
#include "settings.h"

enum { DUMP_SCAN = 1024 };

struct dhcpd {
	struct actor *actor;
	struct settings settings;
	struct engine engine;
	struct engine_out out;
	struct rivals rivals;
	struct codec_request foreign;
	uint32_t restored, refused;
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

static void send_frame(struct dhcpd *self, uint32_t port, const uint8_t *bytes, size_t count)
{
	uint8_t frame[CODEC_FRAME_BYTES];
	Nl__DhcpAnswer m = NL__DHCP_ANSWER__INIT;
	memcpy(frame, bytes, count);
	m.has_port = m.has_frame = true;
	m.port = port;
	m.frame = (ProtobufCBinaryData){count, frame};
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
	case ENGINE_REFUSED: return "dhcp_refused";
	case ENGINE_NOTHING:
	case ENGINE_EXHAUSTED:
	case ENGINE_CROWDED:
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
	e.has_entry = out->event != ENGINE_REFUSED;
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
	if (out->event >= ENGINE_EXHAUSTED)
		actor_diagnostic(self->actor, "%s", text);
	else if (self->settings.log)
		log_lease(self, out, text);
}

/* Does what the engine decided. A commit that cannot even be sent is one that was not stored. */
static void carry_out(struct dhcpd *self)
{
	struct engine_out *out = &self->out;
	if (out->dropped)
		drop_count(&self->actor->drops, out->why);
	if (out->frame_bytes)
		send_frame(self, out->port, out->frame, out->frame_bytes);
	report(self);
	if (!out->sequence || !send_commit(self, out))
		return;
	if (engine_committed(&self->engine, out->sequence, false, now(self), out))
		return;
	if (out->frame_bytes)
		send_frame(self, out->port, out->frame, out->frame_bytes);
	report(self);
}

static bool is_serving(const struct dhcpd *self)
{
	return self->settings.enable && self->actor->started && !self->actor->draining;
}

static bool watches_rivals(const struct dhcpd *self)
{
	return is_serving(self) && !self->settings.force;
}

/* What became of another server on a port, for the security log and for `natlockctl status`. */
static void say_rival(struct dhcpd *self, const struct rival *p, bool answers)
{
	char ip[16], mac[18], name[4 * RIVAL_NAME_BYTES + 1];
	log_ip(ip, p->server_be);
	log_mac(mac, p->mac, '-');
	log_escape(name, sizeof(name), (const uint8_t *)p->name, strlen(p->name));
	if (self->settings.log)
		actor_security(self->actor,
			"SecureNAT: Another DHCP server %s on %s. MAC address: %s, IP address: %s",
			answers ? "answers" : "is silent", name, mac, ip);
	if (answers)
		actor_diagnostic(self->actor,
			"another DHCP server %s answers on %s. Not serving DHCP there. To serve "
			"anyway: "
			"dhcp.force: true",
			ip, name);
	else
		actor_diagnostic(self->actor,
			"the other DHCP server on %s is silent. Serving DHCP there again.", name);
}

static void hear_foreign(struct dhcpd *self, const Nl__DhcpHeard *m)
{
	const struct codec_settings *s = &self->engine.settings;
	struct codec_foreign f;
	enum drop why = DROP_DHCP_SPOOF;
	if (!codec_parse_foreign(
		    &f, &self->foreign, m->frame.data, m->frame.len, m->csum_ok, &why) ||
		f.server_be == s->server_be || !memcmp(f.source_mac, s->mac, 6))
		drop_count(&self->actor->drops, why);
	else if (rival_heard(&self->rivals, m->port, &f, actor_now_ns(self->actor)))
		say_rival(self, &self->rivals.port[m->port], true);
}

static void probe(struct dhcpd *self, uint32_t port)
{
	uint8_t frame[CODEC_FRAME_BYTES];
	uint64_t at_ns[2] = {actor_now_ns(self->actor), port};
	uint32_t xid = (uint32_t)hash_sip(&self->engine.pool.key, at_ns, sizeof(at_ns));
	send_frame(self, port, frame, codec_emit_probe(frame, &self->engine.settings, xid));
}

/* The server on this port was there until now; its row still says which it was. */
static void rivals_due(struct dhcpd *self, uint64_t now_ns)
{
	uint32_t port;
	enum rival_due due;
	while (watches_rivals(self) &&
		(due = rival_timeout(&self->rivals, now_ns, &port)) != RIVAL_NOTHING) {
		if (due == RIVAL_PROBE)
			probe(self, port);
		else
			say_rival(self, &self->rivals.port[port], false);
	}
}

int dhcpd_on_port_opened(struct dhcpd *self, const Nl__PortOpened *m, struct chan_in *in)
{
	if (m->port >= RIVAL_PORTS)
		return -EPROTO;
	rival_open(&self->rivals, m->port, m->name ? m->name : "", actor_now_ns(self->actor));
	return 0;
}

int dhcpd_on_port_gone(struct dhcpd *self, const Nl__PortGone *m, struct chan_in *in)
{
	if (m->port >= RIVAL_PORTS)
		return -EPROTO;
	rival_close(&self->rivals, m->port);
	return 0;
}

int dhcpd_on_dhcp_heard(struct dhcpd *self, const Nl__DhcpHeard *m, struct chan_in *in)
{
	if (!m->has_port || !m->has_frame || m->frame.len > CODEC_FRAME_BYTES)
		return -EPROTO;
	if (!is_serving(self))
		return 0;
	if (codec_is_foreign(m->frame.data, m->frame.len)) {
		if (watches_rivals(self))
			hear_foreign(self, m);
		return 0;
	}
	if (watches_rivals(self) &&
		rival_blocks(&self->rivals, m->port, actor_now_ns(self->actor))) {
		drop_count(&self->actor->drops, DROP_DHCP_RIVAL);
		return 0;
	}
	engine_input(&self->engine, m->port, m->frame.data, m->frame.len, m->csum_ok, now(self),
		&self->out);
	carry_out(self);
	if (engine_moved(&self->engine, now(self), &self->out))
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
		.port = LEASE_PORTS,
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
	for (size_t i = 0; i < m->n_leases; i++) {
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
	uint64_t lease_ns = engine_deadline(&self->engine);
	uint64_t rival_ns = watches_rivals(self) ? rival_deadline(&self->rivals) : UINT64_MAX;
	return rival_ns < lease_ns ? rival_ns : lease_ns;
}

static void dhcpd_timeout(void *opaque, uint64_t now_ns)
{
	struct dhcpd *self = opaque;
	struct lease_time t = {now_ns, actor_wall_ms(self->actor)};
	for (int i = 0; i < ACTOR_BUDGET && engine_timeout(&self->engine, t, &self->out); i++)
		carry_out(self);
	rivals_due(self, now_ns);
}

static bool send_row(struct dhcpd *self, const struct lease *l)
{
	static const char *const names[LEASE_STATES] = {
		"free", "offered", "leased", "released", "expired", "declined", "unused"};
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

static bool is_shown(const struct lease *l)
{
	return l->state != LEASE_FREE && l->state != LEASE_UNUSED;
}

static uint64_t dhcpd_dump(void *opaque, Nl__Topic topic, uint64_t cursor)
{
	struct dhcpd *self = opaque;
	const struct lease_pool *p = &self->engine.pool;
	if (topic == NL__TOPIC__HUBS && self->settings.enable)
		dump_hub(self);
	if (topic != NL__TOPIC__DHCP)
		return 0;
	cursor += cursor == 0; /* slot 0 is never used */
	for (uint64_t end = cursor + DUMP_SCAN; cursor <= p->top; cursor++)
		if (cursor == end ||
			(is_shown(&p->lease[cursor]) && !send_row(self, &p->lease[cursor])))
			return cursor;
	return 0;
}

/*
 * An address is left out when two reservations want it, or live leases outside the range have all
 * the room.
 */
static void plan(struct dhcpd *self)
{
	if (engine_configure(&self->engine, &self->settings.engine, now(self)))
		actor_diagnostic(self->actor,
			"some dhcp.reservations have no effect: their address or station is in "
			"another "
			"one, or too many leases outside dhcp.range are in force");
}

/* Memory for the largest range that may ever come; it is touched as leases use it. */
static int dhcpd_boot(void *opaque, struct actor *a, const Nl__ActorBoot *boot)
{
	struct dhcpd *self = opaque;
	struct hash_key key;
	void *memory;
	self->actor = a;
	if (!boot->hub || boot->entropy.len < sizeof(key))
		return -EINVAL;
	memory = calloc(1, lease_bytes(LEASE_MAX));
	if (!memory)
		return -ENOMEM;
	memcpy(&key, boot->entropy.data, sizeof(key));
	lease_init(&self->engine.pool, memory, LEASE_MAX, &key);
	int error = settings_read(&self->settings, boot->hub, boot->domain);
	if (!error)
		plan(self);
	return error;
}

static void dhcpd_start(void *opaque)
{
	struct dhcpd *self = opaque;
	rival_restart(&self->rivals, actor_now_ns(self->actor));
}

static int dhcpd_configure(void *opaque, const Nl__ActorConfigure *m)
{
	static struct settings settings;
	struct dhcpd *self = opaque;
	bool watched = watches_rivals(self);
	int error = settings_read(&settings, m->hub, m->domain);
	if (error)
		return error;
	self->settings = settings;
	plan(self);
	if (!watched && watches_rivals(self))
		rival_restart(&self->rivals, actor_now_ns(self->actor));
	return 0;
}

/* A lease that was released is not found again, so this ends. */
static uint32_t dhcpd_order(void *opaque, const Nl__Order *order)
{
	struct dhcpd *self = opaque;
	const Nl__LeaseRelease *m = order->lease_release;
	uint32_t count = 0;
	if (order->what_case != NL__ORDER__WHAT_LEASE_RELEASE || (m->has_mac && m->mac.len != 6))
		return 0;
	for (; engine_release(&self->engine, m->has_mac ? m->mac.data : NULL, m->ip_be, now(self),
		     &self->out);
		count++)
		carry_out(self);
	return count;
}

int main(void)
{
	static const struct actor_ops ops = {
		.id = ACTOR_DHCPD,
		.boot = dhcpd_boot,
		.start = dhcpd_start,
		.on_record = dhcpd_on_record,
		.dump = dhcpd_dump,
		.configure = dhcpd_configure,
		.order = dhcpd_order,
		.deadline = dhcpd_deadline,
		.timeout = dhcpd_timeout,
	};
	static struct dhcpd self;
	return actor_main(&ops, &self);
}
