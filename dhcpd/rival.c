/*
 * Other DHCP servers: theory of operation.
 *
 *   port comes ─▶ three probes, 0.4 s apart ─▶ one in 5 min ───────────────┐
 *                      (DISCOVER from the gateway's own station)           │ a server's message
 *                ◀── silent for 3 min ── blocked, one probe in 1 min ◀─────┘ comes in
 *
 * Ports that lead to one guest by their kind (a namespace, QEMU, the program of `natlock run`) are
 * not asked, but what comes in counts there too. Only a bridged LAN waits for the answers before
 * it is served: elsewhere a server is the exception, and a guest that starts should not wait for
 * it.
 *
 * There are few ports: the next deadline is looked for in all of them.
 */
#include "rival.h"

#include <stdio.h>
#include <string.h>

static bool begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

/* Whether a LAN may be behind a port of this name; the others lead to one guest. */
static bool may_be_lan(const char *name)
{
	static const char *const kinds[] = {"bridge:", "veth:", "tap:", "vde:", "fd:", "auto"};
	bool may = false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		may |= begins(name, kinds[i]);
	return may;
}

static void restart(struct rival *p, uint64_t now_ns)
{
	p->there = false;
	p->probes = 0;
	p->probed = may_be_lan(p->name);
	p->probe_ns = now_ns;
	p->hold_ns = begins(p->name, "bridge:") ? now_ns + RIVAL_HOLD_NS : 0;
}

void rival_open(struct rivals *r, uint32_t port, const char *name, uint64_t now_ns)
{
	if (port >= RIVAL_PORTS)
		return;
	struct rival *p = &r->port[port];
	*p = (struct rival){.used = true};
	snprintf(p->name, sizeof(p->name), "%s", name);
	restart(p, now_ns);
}

void rival_close(struct rivals *r, uint32_t port)
{
	if (port < RIVAL_PORTS)
		r->port[port].used = false;
}

void rival_restart(struct rivals *r, uint64_t now_ns)
{
	for (uint32_t i = 0; i < RIVAL_PORTS; i++)
		restart(&r->port[i], now_ns);
}

bool rival_heard(struct rivals *r, uint32_t port, const struct codec_foreign *f, uint64_t now_ns)
{
	if (port >= RIVAL_PORTS || !r->port[port].used)
		return false;
	struct rival *p = &r->port[port];
	bool news = !p->there || p->server_be != f->server_be;
	if (!p->there)
		p->probe_ns = now_ns + RIVAL_WATCH_NS;
	p->there = true;
	p->server_be = f->server_be;
	memcpy(p->mac, f->source_mac, sizeof(p->mac));
	p->heard_ns = now_ns;
	return news;
}

bool rival_blocks(const struct rivals *r, uint32_t port, uint64_t now_ns)
{
	return port < RIVAL_PORTS && r->port[port].used &&
	       (r->port[port].there || now_ns < r->port[port].hold_ns);
}

/* When something is due on a port. */
static uint64_t due_ns(const struct rival *p)
{
	uint64_t gone_ns = p->there ? p->heard_ns + RIVAL_SILENCE_NS : UINT64_MAX;
	uint64_t probe_ns = p->probed || p->there ? p->probe_ns : UINT64_MAX;
	if (!p->used)
		return UINT64_MAX;
	return gone_ns < probe_ns ? gone_ns : probe_ns;
}

static enum rival_due do_due(struct rival *p, uint64_t now_ns)
{
	if (p->there && p->heard_ns + RIVAL_SILENCE_NS <= now_ns) {
		p->there = false;
		return RIVAL_GONE;
	}
	p->probes += p->probes < RIVAL_PROBES;
	if (p->there)
		p->probe_ns = now_ns + RIVAL_WATCH_NS;
	else
		p->probe_ns = now_ns + (p->probes < RIVAL_PROBES ? RIVAL_PROBE_NS : RIVAL_AGAIN_NS);
	return RIVAL_PROBE;
}

enum rival_due rival_timeout(struct rivals *r, uint64_t now_ns, uint32_t *port)
{
	for (*port = 0; *port < RIVAL_PORTS; ++*port)
		if (due_ns(&r->port[*port]) <= now_ns)
			return do_due(&r->port[*port], now_ns);
	return RIVAL_NOTHING;
}

uint64_t rival_deadline(const struct rivals *r)
{
	uint64_t first_ns = UINT64_MAX;
	for (uint32_t i = 0; i < RIVAL_PORTS; i++) {
		uint64_t due = due_ns(&r->port[i]);
		first_ns = due < first_ns ? due : first_ns;
	}
	return first_ns;
}
