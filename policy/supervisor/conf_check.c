/*
 * Theory of operation. What one value cannot know alone: ranges, and whether addresses, ports and
 * names agree with each other. The walk: every hub by itself, then what hubs share, then what is
 * natlock's own. The first fault ends it. Each message says the value, what is allowed or what it
 * clashes with (and in which line that stands), and what to do.
 */
#include <string.h>
#include <sys/un.h>

#include "conf_check.h"

/* A hub's name becomes the name of a folder of logs and leases. */
static bool is_hub_name(const char *name)
{
	if (name == NULL || name[0] == '\0' || strlen(name) > 32)
		return false;
	for (const char *c = name; *c != '\0'; c++) {
		bool letter = (*c | 0x20) >= 'a' && (*c | 0x20) <= 'z';

		if (!letter && !(*c >= '0' && *c <= '9') &&
			(c == name || (*c != '-' && *c != '_' && *c != '.')))
			return false;
	}
	return true;
}

static int check_name(struct conf_check *c, const Nl__Config *config, size_t i)
{
	struct conf_place here = conf_at_element(&config->base, "hubs", i);
	const char *name = config->hubs[i]->name;
	char shown[CONF_SHOWN_BYTES];

	if (!is_hub_name(name))
		return conf_fault(c, here,
			"hubs: \"%s\" is no name for a hub: 1 to 32 letters, digits, and inside - "
			"_ .",
			reflect_printable(shown, sizeof(shown), name != NULL ? name : ""));
	for (size_t other = 0; other < i; other++)
		if (strcmp(config->hubs[other]->name, name) == 0)
			return conf_fault(c, here, "hubs: \"%s\" is given twice", name);
	return 0;
}

/* Each list may be at its longest, but not all of them. */
static int check_size(struct conf_check *c, const Nl__Config *config, size_t i)
{
	const Nl__Hub *hub = config->hubs[i];
	const size_t bytes = nl__hub__get_packed_size(hub);

	if (bytes <= CONF_HUB_BYTES)
		return 0;
	return conf_fault(c, conf_at_element(&config->base, "hubs", i),
		"hub %s is too large: %zu bytes, at most %d. Give fewer entries of access_lists, "
		"reservations, publish or static",
		hub->name, bytes, CONF_HUB_BYTES);
}

static int check_hub(struct conf_check *c, const Nl__Config *config, size_t i)
{
	const Nl__Hub *hub = config->hubs[i];
	struct conf_hub_subnet s;
	int error = check_name(c, config, i);

	if (error == 0)
		error = conf_check_attach(c, hub);
	if (error == 0)
		error = conf_check_host(c, hub->host, &s);
	if (error == 0)
		error = conf_check_nat(c, hub->nat, &s);
	if (error == 0)
		error = conf_check_dhcp(c, hub->dhcp, &s);
	if (error == 0)
		error = conf_check_dns(c, hub->dns, &s);
	if (error == 0)
		error = conf_check_alg(c, hub->alg, hub->nat);
	if (error == 0)
		error = conf_check_shards(c, hub);
	if (error == 0)
		error = conf_check_ipsec(c, hub, conf_processors());
	if (error == 0)
		error = conf_check_limits(c, hub->limits);
	return error == 0 ? check_size(c, config, i) : error;
}

/* The administrators' socket lies beside it, named admin-... (operator.h). */
static int check_api(struct conf_check *c, const Nl__Api *api)
{
	static const char beside[] = "admin-";
	const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - sizeof(beside);
	struct conf_place here = conf_at(&api->base, "socket");

	if (strcmp(api->socket, "auto") != 0 && api->socket[0] != '/')
		return conf_fault(c, here, "api.socket should be auto or an absolute path");
	if (strlen(api->socket) > most)
		return conf_fault(c, here,
			"api.socket is too long: at most %zu bytes, as in /run/natlock/api", most);
	if (api->socket[0] == '/' && api->socket[strlen(api->socket) - 1] == '/')
		return conf_fault(c, here,
			"api.socket is a folder: name a file in it, as in /run/natlock/api");
	return 0;
}

static int check_log(struct conf_check *c, const Nl__Log *log)
{
	static const char *const journals[] = {"auto", "true", "false"};
	const struct conf_range days = {"keep_days", log->keep_days, 0, 36500, false};
	char shown[CONF_SHOWN_BYTES], help[96];

	if (log->file[0] != '/' && strcmp(log->file, "auto") != 0 && strcmp(log->file, "none") != 0)
		return conf_fault(c, conf_at(&log->base, "file"),
			"log.file should be auto, none or an absolute path");
	for (size_t i = 0; i < sizeof(journals) / sizeof(journals[0]); i++)
		if (strcmp(log->journal, journals[i]) == 0)
			return conf_ranges(c, &log->base, "log", &days, 1);
	return conf_fault(c, conf_at(&log->base, "journal"), "log.journal: unknown word \"%s\". %s",
		reflect_printable(shown, sizeof(shown), log->journal),
		conf_words(help, sizeof(help), log->journal, journals, 3));
}

static int check_policy(struct conf_check *c, const Nl__Policy *policy)
{
	uint64_t min = policy->restart_backoff_min->ms, max = policy->restart_backoff_max->ms;
	const struct conf_range ranges[] = {
		{"restart_backoff_min", min, 10, 3600ull * CONF_SECOND, true},
		{"restart_backoff_max", max, 10, 3600ull * CONF_SECOND, true},
	};
	struct conf_place longest = conf_at(&policy->base, "restart_backoff_max");
	int error = conf_ranges(c, &policy->base, "policy", ranges, 2);

	if (error == 0 && min > max)
		error = conf_fault(c,
			conf_is_given(c, longest) ? longest
						  : conf_at(&policy->base, "restart_backoff_min"),
			"policy.restart_backoff_min is longer than policy.restart_backoff_max");
	return error;
}

int conf_check(
	const Nl__Config *config, const struct reflect_marks *marks, struct conf_error *error)
{
	struct conf_check c = {marks, error};
	struct conf_place hubs = conf_at(&config->base, "hubs");
	int result = conf_count(&c, hubs, "hubs", config->n_hubs, CONF_HUBS_MAX);

	if (result == 0 && config->n_hubs == 0)
		result = conf_fault(&c, hubs, "hubs is empty: name at least one hub");
	for (size_t i = 0; i < config->n_hubs && result == 0; i++)
		result = check_hub(&c, config, i);
	if (result == 0)
		result = conf_check_between(&c, config);
	if (result == 0)
		result = check_log(&c, config->log);
	if (result == 0)
		result = check_api(&c, config->api);
	return result == 0 ? check_policy(&c, config->policy) : result;
}
