/*
 * Theory of operation. A change is made on a copy by reflect_change, as if the value stood in the file, and then the
 * whole copy is checked as a file is. What a request may touch is one table of paths; the longest row that begins the path
 * holds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "conf.h"

struct rule {
	const char *path;
	enum change_kind kind;
};

static const struct rule hub_rules[] = {
	{"name", CHANGE_START},
	{"attach", CHANGE_START},
	{"shards", CHANGE_START},
	{"data_path", CHANGE_START},
	{"alg.segment_max", CHANGE_START}, /* buffers are made for it */
	{"alg.rcmd_sockets", CHANGE_START}, /* only root opens them */
	{"options", CHANGE_FILE},
	{"", CHANGE_LIVE},
};

static const struct rule config_rules[] = {
	{"policy.fence", CHANGE_START}, /* raised before privileges go */
	{"policy", CHANGE_LIVE}, /* read when a worker is born or dies */
	{"log.file", CHANGE_START}, /* its folder is opened before privileges go */
	{"log", CHANGE_LIVE},
	{"", CHANGE_START},
};

static bool begins(const char *path, const char *with)
{
	size_t n = strlen(with);

	return n == 0 || (strncmp(path, with, n) == 0 && (path[n] == '\0' || path[n] == '.'));
}

static enum change_kind kind_of(const struct rule *rules, const char *path)
{
	while (!begins(path, rules->path))
		rules++;
	return rules->kind;
}

enum change_kind change_kind_of_hub(const char *path)
{
	return kind_of(hub_rules, path);
}

enum change_kind change_kind_of_config(const char *path)
{
	return kind_of(config_rules, path);
}

Nl__Hub *change_hub(const Nl__Config *config, const char *name)
{
	size_t i;

	for (i = 0; i < config->n_hubs; i++)
		if (!name || !name[0] || strcmp(config->hubs[i]->name, name) == 0)
			return config->hubs[i];
	return NULL;
}

static Nl__Config *copy_of(const Nl__Config *config)
{
	return (Nl__Config *)reflect_copy(&config->base);
}

static int no_memory(struct trouble *t)
{
	return trouble(t, EXIT_FAILED, "E0520", "no memory for one more configuration");
}

static int check(const Nl__Config *config, struct trouble *t)
{
	struct conf_error error = {0};

	if (conf_check(config, NULL, &error) == 0)
		return 0;
	return trouble(t, EXIT_CONFIG, "E0521", "%.300s", error.text);
}

/* What must wait for a restart though natproxy could do it at once: nobody is left who may open the fence. NULL: nothing. */
static const char *held_by_fence(const Nl__Hub *running, bool fenced)
{
	return fenced && running->nat->host_loopback == NL__NAT__ACCESS__deny ? "nat.host_loopback"
									      : NULL;
}

static bool is_held(const char *path, const char *held)
{
	return held && begins(path, held);
}

/* A section holds values of several kinds: a path to it is judged by what differs afterwards (check_kinds). */
static int check_path(const char *path, const char *held, struct trouble *t)
{
	char shown[REFLECT_PATH_BYTES];

	reflect_printable(shown, sizeof(shown), path);
	switch (is_held(path, held) ? CHANGE_START : change_kind_of_hub(path)) {
	case CHANGE_LIVE: return 0;
	case CHANGE_FILE:
		trouble(t, EXIT_REFUSED, "E0522", "%s cannot be changed while natlock runs", shown);
		trouble_cause(t, "only the configuration file sets what administrators may do");
		return trouble_fix(t, "Change it there, then: natlockctl reload");
	case CHANGE_START: break;
	}
	trouble(t, EXIT_REFUSED, "E0522", "%s cannot be changed while natlock runs", shown);
	trouble_cause(t, "%s",
		is_held(path, held) ? "the fence around natproxy is not opened while natlock runs"
				    : "the hub's processes and their memory are made from it");
	return begins(path, "attach")
		       ? trouble_fix(t,
				 "Add a port with: natlock attach TARGET; take one away with: "
				 "natlockctl session kick NAME")
		       : trouble_fix(t, "Change it in the configuration file and restart natlock.");
}

static int change_failed(int result, const Nl__Change *change, const char *why, struct trouble *t)
{
	char path[REFLECT_PATH_BYTES], value[REFLECT_PATH_BYTES];

	if (result == -ENOMEM)
		return no_memory(t);
	reflect_printable(path, sizeof(path), change->path);
	reflect_printable(value, sizeof(value), change->value);
	trouble(t, result == -ENOENT ? EXIT_NO_MATCH : EXIT_CONFIG, "E0523", "%.300s", why);
	trouble_cause(t, "%s: %s", path, value);
	return trouble_fix(t, "See: natlockctl config show");
}

static int make_one(Nl__Hub *hub, const Nl__Change *change, const char *held, struct trouble *t)
{
	struct reflect_error error;
	int result;

	if (!change->path || !change->value || (unsigned int)change->how > NL__CHANGE__HOW__REMOVE)
		return trouble(t, EXIT_USAGE, "E0524", "a change needs a path and a value");
	if (check_path(change->path, held, t) < 0)
		return -1;
	result = reflect_change(
		&hub->base, (enum reflect_how)change->how, change->path, change->value, &error);
	return result == 0 ? 0 : change_failed(result, change, error.text, t);
}

/* SET of a whole section may have touched what check_path would have refused by its own name. */
static int check_kinds(
	const Nl__Hub *before, const Nl__Hub *now, const char *held, struct trouble *t)
{
	char path[CHANGE_PATHS][REFLECT_PATH_BYTES];
	size_t n = reflect_differences(&before->base, &now->base, path, CHANGE_PATHS), i;

	for (i = 0; i < n && i < CHANGE_PATHS; i++)
		if (check_path(path[i], held, t) < 0)
			return -1;
	return 0;
}

static int forbidden(const char *what, const char *option, struct trouble *t)
{
	trouble(t, EXIT_REFUSED, "E0525", "%s may not be enabled on this hub", what);
	trouble_cause(t, "options.%s is true in the configuration file", option);
	return trouble_fix(t, "Whoever keeps that file can change it, then: natlockctl reload");
}

/* What SoftEther calls the options of a hub's administrators. */
static int check_options(const Nl__Hub *before, const Nl__Hub *now, struct trouble *t)
{
	const Nl__Options *o = before->options;

	if (o->no_securenat && now->enable && !before->enable)
		return forbidden("SecureNAT", "no_securenat", t);
	if (o->no_securenat_enablenat && now->nat->enable && !before->nat->enable)
		return forbidden("NAT", "no_securenat_enablenat", t);
	if (o->no_securenat_enabledhcp && now->dhcp->enable && !before->dhcp->enable)
		return forbidden("DHCP", "no_securenat_enabledhcp", t);
	return 0;
}

static int make_all(const Nl__Hub *before, Nl__Hub *hub, const Nl__ChangeRequest *request,
	bool fenced, struct trouble *t)
{
	const char *held = held_by_fence(before, fenced);
	size_t i;

	if (request->n_changes == 0 || request->n_changes > CHANGE_REQUESTS)
		return trouble(t, EXIT_USAGE, "E0524", "1 to %d changes can be made at once",
			CHANGE_REQUESTS);
	for (i = 0; i < request->n_changes; i++)
		if (make_one(hub, request->changes[i], held, t) < 0)
			return -1;
	return check_kinds(before, hub, held, t) < 0 ? -1 : check_options(before, hub, t);
}

Nl__Config *change_make(
	const Nl__Config *running, const Nl__ChangeRequest *request, bool fenced, struct trouble *t)
{
	const Nl__Hub *before = change_hub(running, request->hub);
	Nl__Config *config;

	if (!before) {
		trouble(t, EXIT_NO_MATCH, "E0504", "no hub %s", request->hub);
		return NULL;
	}
	config = copy_of(running);
	if (!config)
		no_memory(t);
	else if (make_all(before, change_hub(config, request->hub), request, fenced, t) == 0 &&
		 check(config, t) == 0)
		return config;
	conf_free(config);
	return NULL;
}

Nl__Config *change_keep(const Nl__Config *kept, const Nl__Config *running,
	const Nl__ChangeRequest *request, struct trouble *t)
{
	const Nl__Hub *from = change_hub(running, request->hub);
	Nl__Config *config = copy_of(kept);
	Nl__Hub *to = config ? change_hub(config, from->name) : NULL;
	int error = config ? 0 : -ENOMEM;
	size_t i;

	if (config && !to) {
		conf_free(config);
		trouble(t, EXIT_REFUSED, "E0533", "nothing can be saved for hub %s", from->name);
		trouble_cause(t, "the configuration file does not have it any more");
		trouble_fix(t, "Put it back there, or change it without saving.");
		return NULL;
	}
	for (i = 0; i < request->n_changes && error == 0; i++)
		error = reflect_take(&to->base, &from->base, request->changes[i]->path);
	if (error)
		no_memory(t);
	else if (check(config, t) == 0)
		return config;
	else
		trouble_fix(t, "Save what it depends on too; natlockctl config unsaved shows what "
			       "is not.");
	conf_free(config);
	return NULL;
}

/* ", " and a path, or ", ..." where there is no room. */
static void list_path(char out[CHANGE_TEXT], const char *prefix, const char *path)
{
	size_t used = strlen(out);

	if (used + 2 * (size_t)REFLECT_PATH_BYTES < CHANGE_TEXT)
		snprintf(out + used, CHANGE_TEXT - used, "%s%s%s", used ? ", " : "", prefix, path);
	else if (strcmp(out + used - 3, "...") != 0)
		snprintf(out + used, CHANGE_TEXT - used, ", ...");
}

const char *change_names(const Nl__Hub *before, const Nl__Hub *now, char out[CHANGE_TEXT])
{
	char path[CHANGE_PATHS][REFLECT_PATH_BYTES];
	size_t n = reflect_differences(&before->base, &now->base, path, CHANGE_PATHS), i;

	out[0] = '\0';
	for (i = 0; i < n && i < CHANGE_PATHS; i++)
		list_path(out, "", path[i]);
	return out;
}

/* Sorts what differs in one message into the two lists; what must wait stays as it is. held: a path of that kind, or NULL. */
static int plan_message(struct change_plan *plan, const char *prefix,
	enum change_kind (*kind)(const char *), const char *held, const ProtobufCMessage *running,
	ProtobufCMessage *now)
{
	char path[CHANGE_PATHS][REFLECT_PATH_BYTES];
	size_t n = reflect_differences(running, now, path, CHANGE_PATHS), i;
	int error = 0;

	for (i = 0; i < n && i < CHANGE_PATHS && error == 0; i++) {
		if (strcmp(path[i], "hubs") == 0)
			continue;
		if (is_held(path[i], held) || kind(path[i]) == CHANGE_START) {
			list_path(plan->restart, prefix, path[i]);
			error = reflect_take(now, running, path[i]);
		} else {
			list_path(plan->live, prefix, path[i]);
		}
	}
	return error;
}

/* Each hub that is there takes the newly read one's place, in the old order; the set stays as it was. */
static int plan_hubs(
	struct change_plan *plan, const Nl__Config *running, const Nl__Config *read, bool fenced)
{
	char prefix[64];
	int error = 0;
	size_t i;

	for (i = 0; i < running->n_hubs && error == 0; i++) {
		const Nl__Hub *old = running->hubs[i], *fresh = change_hub(read, old->name);
		Nl__Hub *now = fresh ? (Nl__Hub *)reflect_copy(&fresh->base) : NULL;

		snprintf(prefix, sizeof(prefix), "hubs.%s.", old->name);
		if (!fresh) {
			prefix[strlen(prefix) - 1] = '\0';
			list_path(plan->restart, prefix, " (removed)");
			continue;
		}
		if (!now)
			return -ENOMEM;
		error = plan_message(plan, prefix, change_kind_of_hub, held_by_fence(old, fenced),
			&old->base, &now->base);
		nl__hub__free_unpacked(plan->config->hubs[i], NULL);
		plan->config->hubs[i] = now;
	}
	return error;
}

static int append_hub(Nl__Config *config, const Nl__Hub *hub)
{
	Nl__Hub **grown = reallocarray(config->hubs, config->n_hubs + 1, sizeof(Nl__Hub *));
	Nl__Hub *copy;

	if (!grown)
		return -ENOMEM;
	config->hubs = grown;
	copy = (Nl__Hub *)reflect_copy(&hub->base);
	if (!copy)
		return -ENOMEM;
	config->hubs[config->n_hubs++] = copy;
	return 0;
}

/* Hubs that are new come after those that are there. */
static int plan_added(struct change_plan *plan, const Nl__Config *running, const Nl__Config *read,
	const char *only)
{
	int error = 0;
	size_t i;

	for (i = 0; i < read->n_hubs && error == 0; i++) {
		const char *name = read->hubs[i]->name;
		char path[64];

		if (change_hub(running, name) || (only && strcmp(only, name) != 0))
			continue;
		snprintf(path, sizeof(path), "hubs.%s (new)", name);
		if (plan->config->n_hubs == CONF_HUBS_MAX) {
			list_path(plan->restart, "", path);
			continue;
		}
		list_path(plan->live, "", path);
		error = append_hub(plan->config, read->hubs[i]);
	}
	return error;
}

int change_plan_make(struct change_plan *plan, const Nl__Config *running, const Nl__Config *read,
	const char *only, bool fenced, struct trouble *t)
{
	Nl__Config top = *read;
	int error;

	*plan = (struct change_plan){0};
	top.n_hubs = running->n_hubs;
	top.hubs = running->hubs;
	plan->config = copy_of(&top);
	if (!plan->config)
		return no_memory(t);
	error = plan_message(
		plan, "", change_kind_of_config, NULL, &running->base, &plan->config->base);
	if (error == 0)
		error = plan_hubs(plan, running, read, fenced);
	if (error == 0)
		error = plan_added(plan, running, read, only);
	if (error)
		no_memory(t);
	else if (check(plan->config, t) == 0)
		return 0;
	else
		trouble_fix(t, "This goes together only after a restart of natlock.");
	conf_free(plan->config);
	plan->config = NULL;
	return -1;
}

Nl__Hub *change_in_force(const Nl__Hub *hub, const uint8_t mac[6])
{
	Nl__Hub *copy = (Nl__Hub *)reflect_copy(&hub->base);
	Nl__Mac *its;

	if (!copy)
		return NULL;
	if (!copy->enable)
		copy->nat->enable = copy->dhcp->enable = false;
	its = copy->host->mac;
	if (!its->auto_)
		return copy;
	free(its->octets.data);
	its->octets = (ProtobufCBinaryData){6, malloc(6)};
	if (!its->octets.data) {
		nl__hub__free_unpacked(copy, NULL);
		return NULL;
	}
	memcpy(its->octets.data, mac, 6);
	its->has_octets = true;
	its->auto_ = false;
	return copy;
}

bool change_concerns(enum actor_id id, const Nl__Hub *before, const Nl__Hub *now)
{
	if (id == ACTOR_ALG)
		return !reflect_equal(&before->alg->base, &now->alg->base);
	return !reflect_equal(&before->base, &now->base);
}
