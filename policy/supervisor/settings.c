/*
 * Theory of operation. What natlockctl asks about the configuration, and what it changes. All or nothing: what is to be
 * saved is on disk before it is in force.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer.h"
#include "configure.h"
#include "operator_dispatch.h"
#include "saved.h"
#include "textout.h"

/* The layer on disk is to say what `config` says at the request's paths. *kept is what a start gives then. 1: there is a
 * layer, 0: it is not needed any more, -1 with *t. */
static int save(struct supervisor *s, const Nl__Config *config, const Nl__ChangeRequest *m,
	Nl__Config **kept, struct trouble *t)
{
	int error;

	if (s->is_run) {
		trouble(t, EXIT_REFUSED, "E0527", "natlock run keeps nothing");
		return trouble_fix(t, "Change it without saving.");
	}
	*kept = change_keep(s->kept, config, m, t);
	if (!*kept)
		return -1;
	error = saved_write(s->saved, *kept, s->file);
	if (error >= 0)
		return error;
	conf_free(*kept);
	trouble(t, EXIT_FAILED, "E0528", "cannot save the change in %s",
		s->saved[0] ? s->saved : "any state folder");
	trouble_cause(t, "%s", strerror(-error));
	return trouble_fix(t, "Nothing was changed. Change it without saving, or make room there.");
}

/* Puts the checked copy in force. A layer that was written for nothing is written back. */
static int put_in_force(
	struct supervisor *s, Nl__Config *config, const Nl__ChangeRequest *m, struct trouble *t)
{
	Nl__Config *kept = NULL;
	int layer = m->save ? save(s, config, m, &kept, t) : 0;

	if (layer < 0) {
		conf_free(config);
		return -1;
	}
	if (configure_apply(s, config, t) < 0) {
		if (kept)
			saved_write(s->saved, s->kept, s->file);
		conf_free(kept);
		return -1;
	}
	if (kept) {
		conf_free(s->kept);
		s->kept = kept;
		s->is_saved = layer > 0;
	}
	return 0;
}

/* A change of open ports that does not open them all, and what does. */
static void add_missing(struct hub *hub, const char *names, char *text, size_t cap)
{
	const size_t used = strlen(text);
	const bool ports = strstr(names, "nat.publish") || strstr(names, "nat.static");
	const uint16_t port = ports ? grant_missing(hub) : 0;

	if (port)
		snprintf(text + used, cap - used,
			"; port %u is not open: only root may, and natlock was not root or is no "
			"more. "
			"Write it into the configuration, or save it, and restart natlock as root",
			port);
}

int operator_on_change_request(
	struct operator_peer *p, const Nl__ChangeRequest *m, struct chan_in *in)
{
	struct supervisor *s = p->op->super;
	struct hub *hub = supervisor_hub(s, m->hub);
	Nl__ChangeRequest request = *m;
	char names[CHANGE_TEXT], text[CHANGE_TEXT + 768];
	Nl__Config *config;
	struct trouble t;

	if (answer_needs_admin(p))
		return 0;
	if (!hub)
		return answer_no_hub(p, m->hub);
	request.hub = hub->conf->name;
	config = change_make(s->config, &request, s->fence.up, &t);
	if (!config)
		return answer_failure(p, &t);
	change_names(change_hub(s->config, request.hub), change_hub(config, request.hub), names);
	if (put_in_force(s, config, &request, &t) < 0)
		return answer_failure(p, &t);
	snprintf(text, sizeof(text), "%s%s%s", names[0] ? "changed " : "nothing changed", names,
		m->save ? "; saved" : "");
	add_missing(hub, names, text, sizeof(text));
	if (strstr(names, "alg.ipsec"))
		grant_ipsec_missing(hub, text, sizeof(text));
	return answer_done(p, text);
}

int operator_on_reload_request(
	struct operator_peer *p, const Nl__ReloadRequest *m, struct chan_in *in)
{
	char text[CONFIGURE_TEXT];
	struct trouble t;

	if (answer_needs_admin(p))
		return 0;
	if (configure_reload(p->op->super, text, &t) < 0)
		return answer_failure(p, &t);
	return answer_done(p, text);
}

/* What is shown, and what it is compared with; base NULL: nothing. */
struct view {
	const Nl__Config *config, *base;
	bool by_name;	   /* hubs are compared by name, not with the default one */
	Nl__Config *owned; /* freed afterwards */
};

static const char *view_path(const char *path)
{
	return path ? path : "";
}

static void show_hub(
	FILE *out, const struct view *v, const Nl__Hub *hub, const char *path, bool json)
{
	const Nl__Hub *before = v->base ? change_hub(v->base, v->by_name ? hub->name : NULL) : NULL;
	Nl__Hub base;

	if (before) {
		base = *before;
		base.name = hub->name; /* what it is called is no difference */
	}
	if (json) {
		reflect_json_at(out, &hub->base, before ? &base.base : NULL, path);
	} else if (view_path(path)[0]) {
		reflect_print_at(out, &hub->base, before ? &base.base : NULL, path, 0);
	} else if (before) {
		reflect_print_at(out, &hub->base, &base.base, NULL, 0);
	} else {
		base = *hub;
		base.name = NULL;
		reflect_print(out, &base.base);
	}
}

static void show_all(FILE *out, const struct view *v, const char *path, bool json)
{
	const ProtobufCMessage *base = v->base ? &v->base->base : NULL;

	if (json)
		reflect_json_at(out, &v->config->base, base, path);
	else if (view_path(path)[0] || !base)
		reflect_print_at(out, &v->config->base, base, path, 0);
	else if (v->by_name)
		conf_print_since(out, v->config, v->base);
	else
		reflect_print_diff(out, &v->config->base, base);
}

/* The descriptor is anybody's: only a plain file cannot make us wait. */
static int read_file(
	struct operator_peer *p, struct chan_in *in, Nl__Config **out, struct trouble *t)
{
	struct supervisor *s = p->op->super;
	int fd = chan_take_fd(in, 0);
	Nl__Config *file = NULL;
	struct conf_error error;
	struct stat st;
	char line[800];
	bool laid;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		trouble(t, EXIT_USAGE, "E0529", "a configuration to be tested must be a file");
		return trouble_fix(t, "Write it to a file first.");
	}
	file = conf_read("FILE", fd, &error);
	close(fd);
	*out = file ? saved_lay(s->saved, file, &laid, &error) : NULL;
	conf_free(file);
	if (*out)
		return 0;
	return trouble(
		t, EXIT_CONFIG, "E0201", "%.300s", conf_error_text(&error, line, sizeof(line)));
}

static int make_view(struct operator_peer *p, const Nl__ConfigRequest *m, struct chan_in *in,
	struct view *v, struct trouble *t)
{
	const struct supervisor *s = p->op->super;

	*v = (struct view){.config = s->config};
	switch (m->what) {
	case NL__CONFIG_REQUEST__WHAT__CHANGED:
		v->base = v->owned = conf_defaults();
		if (!v->base)
			return trouble(t, EXIT_FAILED, "E0520", "no memory for one more configuration");
		break;
	case NL__CONFIG_REQUEST__WHAT__UNSAVED:
		v->base = s->kept;
		v->by_name = true;
		break;
	case NL__CONFIG_REQUEST__WHAT__TEST:
		if (read_file(p, in, &v->owned, t) < 0)
			return -1;
		v->config = v->owned;
		v->base = s->config;
		v->by_name = true;
		break;
	case NL__CONFIG_REQUEST__WHAT__RUNNING:
	case _NL__CONFIG_REQUEST__WHAT_IS_INT_SIZE: break;
	}
	return 0;
}

/* A path without a hub begins at the top; one that is nothing there is meant of the first hub. */
static const Nl__Hub *hub_of(
	const struct operator_peer *p, const Nl__ConfigRequest *m, const struct view *v)
{
	const ProtobufCFieldDescriptor *field;
	struct reflect_error error;

	if (m->hub && m->hub[0])
		return change_hub(v->config, m->hub);
	if (!m->path || !m->path[0] || reflect_find(&v->config->base, m->path, &field, &error))
		return NULL;
	return change_hub(v->config, supervisor_hub(p->op->super, NULL)->conf->name);
}

static void show_plan(FILE *out, const struct supervisor *s, const Nl__Config *config)
{
	struct change_plan plan;
	struct trouble t;

	if (change_plan_make(&plan, s->config, config, s->only, s->fence.up, &t) < 0) {
		fprintf(out, "# Reloading this would be refused: %s.\n", t.message);
		return;
	}
	if (plan.restart[0])
		fprintf(out, "# Only a restart of natlock changes: %s\n", plan.restart);
	conf_free(plan.config);
}

static int show(struct operator_peer *p, const Nl__ConfigRequest *m, const struct view *v)
{
	const Nl__Hub *hub = hub_of(p, m, v);
	struct textout text;
	size_t bytes = 0;
	FILE *out = textout_open(&text);
	char *whole;

	if (!out)
		return answer_text(p, NULL, 0);
	if (hub)
		show_hub(out, v, hub, m->path, m->json);
	else
		show_all(out, v, m->path, m->json);
	if (m->what == NL__CONFIG_REQUEST__WHAT__TEST && !m->json)
		show_plan(out, p->op->super, v->config);
	if (m->json)
		fputc('\n', out);
	whole = textout_close(&text, &bytes);
	return answer_text(p, whole, bytes);
}

int operator_on_config_request(
	struct operator_peer *p, const Nl__ConfigRequest *m, struct chan_in *in)
{
	const ProtobufCFieldDescriptor *field;
	struct reflect_error why = {0};
	const Nl__Hub *hub;
	struct trouble t;
	struct view v;
	int result;

	if (in->nfds != (m->what == NL__CONFIG_REQUEST__WHAT__TEST) ||
		(unsigned int)m->what > NL__CONFIG_REQUEST__WHAT__TEST)
		return -EPROTO;
	if (m->what == NL__CONFIG_REQUEST__WHAT__TEST && answer_needs_admin(p))
		return 0; /* reading what somebody hands over may take as long as he likes */
	if (make_view(p, m, in, &v, &t) < 0)
		return answer_failure(p, &t);
	hub = hub_of(p, m, &v);
	if (m->hub && m->hub[0] && !hub) {
		result = answer_no_hub(p, m->hub);
	} else if (m->path && m->path[0] &&
		   !reflect_find(hub ? &hub->base : &v.config->base, m->path, &field, &why)) {
		trouble(&t, EXIT_NO_MATCH, "E0530", "%.300s", why.text);
		result = answer_failure(p, &t);
	} else {
		result = show(p, m, &v);
	}
	conf_free(v.owned);
	return result;
}
