/*
 * Theory of operation. A configuration is replaced as a whole:
 *
 *   request ─▶ change_make (a checked copy) ─┐
 *   SIGHUP ─▶ conf_load, saved_lay ─▶ change_plan_make ─┴─▶ configure_apply ─▶ each hub that differs: hub->conf,
 *                                                                  ActorConfigure to each worker concerned
 *
 * A worker that is just being born may have been given the old one by Boot: it is told after Start (worker.stale).
 * One that does not take its configuration is replaced, and its successor boots with the new one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configure.h"
#include "hublog.h"
#include "names.h"
#include "saved.h"
#include "start.h"
#include "tell.h"
#include "watch.h"

static int no_memory(struct trouble *t)
{
	return trouble(t, EXIT_FAILED, "E0520", "no memory for one more configuration");
}

/* What configure_load and configure_reload have read. */
struct reading {
	Nl__Config *file, *kept;
	bool saved;
};

static int file_trouble(
	const struct supervisor *s, const struct conf_error *error, struct trouble *t)
{
	char line[800];

	trouble(t, EXIT_CONFIG, "E0201", "%.300s", conf_error_text(error, line, sizeof(line)));
	if (s->locked && error->os == EACCES)
		return trouble_fix(t,
			"natlock runs as %s now, who must be able to read it: chown or chmod it, "
			"or "
			"restart natlock.",
			s->identity.user);
	return -1;
}

static int saved_trouble(const char *path, const struct conf_error *error, struct trouble *t)
{
	char line[800];

	trouble(t, EXIT_CONFIG, "E0204", "%.300s", conf_error_text(error, line, sizeof(line)));
	trouble_cause(t, "changes were saved there, and do not go with the configuration file");
	return trouble_fix(t, "Correct it, or forget the changes: rm %s", path);
}

static int read_all(
	const struct supervisor *s, const char *path, struct reading *r, struct trouble *t)
{
	struct conf_error error;

	*r = (struct reading){.file = conf_load(path, &error)};
	if (!r->file)
		return file_trouble(s, &error, t);
	r->kept = saved_lay(s->saved, r->file, &r->saved, &error);
	if (r->kept)
		return 0;
	conf_free(r->file);
	return saved_trouble(s->saved, &error, t);
}

int configure_load(struct supervisor *s, const char *path, struct trouble *t)
{
	struct reading r;

	if (read_all(s, path, &r, t) < 0)
		return -1;
	if (configure_take(s, r.kept, t) < 0) {
		conf_free(r.file);
		return -1;
	}
	conf_free(s->file);
	s->file = r.file;
	s->is_saved = r.saved;
	return 0;
}

int configure_take(struct supervisor *s, Nl__Config *config, struct trouble *t)
{
	Nl__Config *file = config ? (Nl__Config *)reflect_copy(&config->base) : NULL;
	Nl__Config *kept = config ? (Nl__Config *)reflect_copy(&config->base) : NULL;

	if (!file || !kept) {
		conf_free(file);
		conf_free(kept);
		conf_free(config);
		return no_memory(t);
	}
	s->config = config;
	s->file = file;
	s->kept = kept;
	return 0;
}

void configure_free(struct supervisor *s)
{
	conf_free(s->config);
	conf_free(s->file);
	conf_free(s->kept);
	s->config = s->file = s->kept = NULL;
}

static void tell_worker(struct worker *w)
{
	int error = tell_configure(w);

	w->stale = error == -EAGAIN && w->state != WORKER_RUNNING;
	if (error && !w->stale)
		watch_condemn(w, "it does not take its configuration");
}

static void tell_workers(struct hub *hub, const Nl__Hub *before)
{
	unsigned int i;

	for (i = 0; i < hub->workers; i++)
		if (change_concerns(hub->worker[i].id, before, hub->conf))
			tell_worker(&hub->worker[i]);
}

void configure_domain(struct hub *hub)
{
	unsigned int i;

	for (i = 0; i < hub->workers; i++)
		if (hub->worker[i].id == ACTOR_DHCPD || hub->worker[i].id == ACTOR_NATPROXY)
			tell_worker(&hub->worker[i]);
}

static void log_changes(struct hub *hub, const Nl__Hub *before, const Nl__Hub *now)
{
	char names[CHANGE_TEXT];

	if (before->enable && !now->enable)
		hublog_stopped(hub);
	if (!before->enable && now->enable)
		hublog_started(hub);
	if (before->nat->enable != now->nat->enable)
		hublog_switched(hub, "nat_switched", "virtual NAT function", now->nat->enable);
	if (before->dhcp->enable != now->dhcp->enable)
		hublog_switched(hub, "dhcp_switched", "virtual DHCP server function", now->dhcp->enable);
	hublog_config_changed(hub, change_names(before, now, names));
}

/* One hub takes what it now is in its workers' form. */
static void change_one(struct hub *hub, Nl__Hub *now)
{
	Nl__Hub *before = hub->conf;

	hub->conf = now;
	if (before->dhcp->persist != now->dhcp->persist)
		supervisor_open_store(hub);
	tell_workers(hub, before);
	if (!reflect_equal(&before->dhcp->base, &now->dhcp->base))
		names_build(hub); /* of reservations */
	if (before->nat->icmp != now->nat->icmp || before->nat->enable != now->nat->enable)
		supervisor_note_icmp(hub);
	if (!reflect_equal(&before->alg->ipsec->base, &hub->conf->alg->ipsec->base) ||
		before->nat->enable != hub->conf->nat->enable ||
		strcmp(grant_device(before->nat, NULL), grant_device(hub->conf->nat, NULL)) != 0)
		grant_ipsec_note(hub);
	if (before->nat->loop_guard != now->nat->loop_guard ||
		before->host->address->be != now->host->address->be)
		tell_host_network(hub);
	nl__hub__free_unpacked(before, NULL);
}

/* To be served, but not there yet. */
static bool is_new(struct supervisor *s, const Nl__Hub *asked)
{
	if (s->only && strcmp(s->only, asked->name) != 0)
		return false;
	return !supervisor_hub(s, asked->name);
}

static int check_overlaps(struct supervisor *s, const Nl__Config *config, struct trouble *t)
{
	unsigned int i;
	size_t h;

	for (i = 0; i < s->hubs; i++) {
		const Nl__VirtualHost *before = s->hub[i].conf->host;
		const Nl__Hub *now = change_hub(config, s->hub[i].conf->name);

		if ((before->address->be != now->host->address->be ||
			    before->netmask->be != now->host->netmask->be) &&
			start_check_overlap(s, now, t) < 0)
			return -1;
	}
	for (h = 0; h < config->n_hubs; h++)
		if (is_new(s, config->hubs[h]) && start_check_overlap(s, config->hubs[h], t) < 0)
			return -1;
	return 0;
}

/* Those that cannot be made are left out, and said. */
static void open_new(struct supervisor *s)
{
	char line[1024];
	struct trouble t;
	size_t i;

	for (i = 0; i < s->config->n_hubs && s->hubs < SUPERVISOR_HUBS; i++)
		if (is_new(s, s->config->hubs[i]) &&
			supervisor_add_hub(s, s->config->hubs[i], &t) < 0)
			supervisor_note(s, "hub %s: %s", s->config->hubs[i]->name,
				trouble_text(&t, line, sizeof(line)));
}

/* The workers' form of each hub; false: no memory, nothing is left. */
static bool make_hubs(
	const struct supervisor *s, const Nl__Config *config, Nl__Hub *out[SUPERVISOR_HUBS])
{
	unsigned int i;

	for (i = 0; i < s->hubs; i++) {
		const struct hub *hub = &s->hub[i];

		out[i] = change_in_force(change_hub(config, hub->conf->name), hub->mac);
		if (out[i]) {
			out[i]->nat->new_sessions &= !s->drain.on;
			continue;
		}
		while (i > 0)
			nl__hub__free_unpacked(out[--i], NULL);
		return false;
	}
	return true;
}

int configure_apply(struct supervisor *s, Nl__Config *config, struct trouble *t)
{
	Nl__Hub *now[SUPERVISOR_HUBS];
	Nl__Config *before = s->config;
	unsigned int i;

	if (check_overlaps(s, config, t) < 0 || (!make_hubs(s, config, now) && no_memory(t))) {
		conf_free(config);
		return -1;
	}
	s->config = config;
	hublog_configure(s);
	for (i = 0; i < s->hubs; i++) {
		struct hub *hub = &s->hub[i];
		const Nl__Hub *was = change_hub(before, hub->conf->name);
		const Nl__Hub *is = change_hub(config, hub->conf->name);

		if (reflect_equal(&was->base, &is->base)) {
			nl__hub__free_unpacked(now[i], NULL);
			continue;
		}
		log_changes(hub, was, is);
		change_one(hub, now[i]);
	}
	conf_free(before);
	open_new(s);
	grant_settle(s);
	return 0;
}

void configure_refresh(struct supervisor *s)
{
	Nl__Hub *now[SUPERVISOR_HUBS];
	unsigned int i;

	if (!make_hubs(s, s->config, now))
		return;
	for (i = 0; i < s->hubs; i++)
		change_one(&s->hub[i], now[i]);
	grant_settle(s);
}

static void say_plan(
	const struct supervisor *s, const struct change_plan *plan, char text[CONFIGURE_TEXT])
{
	snprintf(text, CONFIGURE_TEXT, "%s%s was read: %s%s%s%s",
		s->config_path ? s->config_path : "the built-in configuration",
		s->is_saved ? " with the saved changes" : "",
		plan->live[0]	   ? "changed "
		: plan->restart[0] ? ""
				   : "nothing changed",
		plan->live, plan->live[0] && plan->restart[0] ? "; " : "",
		plan->restart[0] ? "only a restart of natlock changes " : "");
	strncat(text, plan->restart, CONFIGURE_TEXT - strlen(text) - 1);
}

/* Where the file is now, when none was named at the start. */
static void find_again(struct supervisor *s)
{
	if (!s->config_named)
		s->config_path = conf_find(s->config_found, sizeof(s->config_found))
					 ? s->config_found
					 : NULL;
}

static int reload(struct supervisor *s, char text[CONFIGURE_TEXT], struct trouble *t)
{
	struct change_plan plan;
	struct reading r;

	find_again(s);
	if (read_all(s, s->config_path, &r, t) < 0)
		return -1;
	if (change_plan_make(&plan, s->config, r.kept, s->only, s->fence.up, t) < 0 ||
		configure_apply(s, plan.config, t) < 0) {
		conf_free(r.file);
		conf_free(r.kept);
		return -1;
	}
	conf_free(s->file);
	conf_free(s->kept);
	s->file = r.file;
	s->kept = r.kept;
	s->is_saved = r.saved;
	grant_settle(s);
	say_plan(s, &plan, text);
	return 0;
}

int configure_reload(struct supervisor *s, char text[CONFIGURE_TEXT], struct trouble *t)
{
	char line[1024];

	if (s->is_run) {
		trouble(t, EXIT_REFUSED, "E0526", "natlock run reads no configuration file");
		return trouble_fix(t, "Change single values instead, or use: natlock up");
	}
	if (s->drain.on) {
		trouble(t, EXIT_REFUSED, "E0531", "natlock is about to end");
		return trouble_fix(t, "Start it again instead.");
	}
	supervisor_forget(s, "reload: ");
	if (reload(s, text, t) < 0) {
		supervisor_note(
			s, "reload: nothing was changed: %s", trouble_text(t, line, sizeof(line)));
		return -1;
	}
	supervisor_note(s, "reload: %s", text);
	return 0;
}
