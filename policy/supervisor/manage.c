/*
 * Theory of operation. Requests that are answered at once: the list of a policy, ports that come and go, workers that
 * are started again, the end. Tables are table.c's, the configuration configure.c's, orders to workers order.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../filters.h"
#include "answer.h"
#include "drain.h"
#include "hublog.h"
#include "operator_dispatch.h"
#include "port.h"
#include "supervisor.h"
#include "tell.h"
#include "watch.h"

int operator_on_policy_request(
	struct operator_peer *p, const Nl__PolicyRequest *m, struct chan_in *in)
{
	const struct worker *w = hub_worker_by_name(p->op->super->hub, m->process);
	const char *name = w ? spawn_actor_name(w->id) : m->process;
	const struct policy_filter *filter = name ? policy_filter_find(name) : NULL;
	struct trouble t;

	if (filter)
		return answer_done(p, filter->listing);
	trouble(&t, EXIT_NO_MATCH, "E0505", "no policy for %s",
		m->process ? m->process : "nothing");
	trouble_fix(&t, "Processes are: supervisor broker netstack natproxy dhcpd alg ctl.");
	return answer_failure(p, &t);
}

int operator_on_attach_request(
	struct operator_peer *p, const Nl__AttachRequest *m, struct chan_in *in)
{
	struct hub *hub = supervisor_hub(p->op->super, m->hub);
	struct port_offer offer = {0};
	struct trouble t;
	char text[64];
	int port;

	if (in->nfds != 1)
		return -EPROTO;
	if (answer_needs_admin(p))
		return 0;
	if (!hub)
		return answer_no_hub(p, m->hub);
	offer.fd = chan_take_fd(in, 0);
	snprintf(offer.name, sizeof(offer.name), "%s", m->name ? m->name : "port");
	if (port_recognise(&offer, &t) < 0) {
		close(offer.fd);
		return answer_failure(p, &t);
	}
	port = port_add(hub, &offer, &t);
	if (port < 0)
		return answer_failure(p, &t);
	if (port == PORT_LISTENING)
		snprintf(text, sizeof(text), "waiting for a guest on hub %s", hub->conf->name);
	else
		snprintf(text, sizeof(text), "port %d on hub %s", port, hub->conf->name);
	return answer_done(p, text);
}

int operator_on_shutdown_request(
	struct operator_peer *p, const Nl__ShutdownRequest *m, struct chan_in *in)
{
	if (answer_needs_admin(p))
		return 0;
	answer_done(p, "draining");
	supervisor_shutdown(p->op->super);
	return 0;
}

/* The SecureNAT session is the gateway itself, and so is not taken off but switched off. */
static int refuse_gateway(struct operator_peer *p)
{
	struct trouble t;

	trouble(&t, EXIT_REFUSED, "E0512", "the SecureNAT session cannot be kicked");
	trouble_cause(&t, "it is the gateway of the hub");
	trouble_fix(&t, "Switch SecureNAT off: natlockctl hub disable");
	return answer_failure(p, &t);
}

int operator_on_kick_request(struct operator_peer *p, const Nl__KickRequest *m, struct chan_in *in)
{
	struct hub *hub = supervisor_hub(p->op->super, m->hub);
	const char *session = m->session ? m->session : "";
	char name[PORT_SESSION], text[2 * PORT_SESSION];
	struct trouble t;
	unsigned int port;

	if (answer_needs_admin(p))
		return 0;
	if (!hub)
		return answer_no_hub(p, m->hub);
	if (strcasecmp(session, "SID-SECURENAT-1") == 0)
		return refuse_gateway(p);
	port = port_by_session(hub, session);
	if (port == HUB_PORTS) {
		trouble(&t, EXIT_NO_MATCH, "E0513", "no session %.64s on hub %s", session,
			hub->conf->name);
		trouble_fix(&t, "See: natlockctl session list");
		return answer_failure(p, &t);
	}
	port_session(hub, port, name);
	snprintf(text, sizeof(text), "session %s was kicked", name);
	if (tell_detach(hub, port) < 0)
		port_remove(hub, port);
	hublog_say(hub, "session_kicked", "SecureNAT: The %s.", text);
	return answer_done(p, text);
}

int operator_on_drain_request(
	struct operator_peer *p, const Nl__DrainRequest *m, struct chan_in *in)
{
	struct supervisor *s = p->op->super;
	char text[128];

	if (answer_needs_admin(p))
		return 0;
	drain_begin(s, m->for_ms);
	snprintf(text, sizeof(text), "no new sessions; ends when none is left%s",
		m->for_ms ? ", or when the time is over" : "");
	return answer_done(p, text);
}

int operator_on_restart_request(
	struct operator_peer *p, const Nl__RestartRequest *m, struct chan_in *in)
{
	struct hub *hub = supervisor_hub(p->op->super, m->hub);
	struct worker *w;

	if (answer_needs_admin(p))
		return 0;
	if (!hub)
		return answer_no_hub(p, m->hub);
	w = hub_worker_by_name(hub, m->process);
	if (!w)
		return answer_no_process(p, hub, m->process);
	watch_restart(w);
	return answer_done(p, "restarting");
}

int operator_on_version_request(
	struct operator_peer *p, const Nl__VersionRequest *m, struct chan_in *in)
{
	return answer_done(p, "natlock " NATLOCK_VERSION);
}
