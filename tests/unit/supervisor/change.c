/* change.c: what may change at run time, and what a newly read file can have in force. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "chan.h"
#include "change.h"
#include "conf.h"
#include "filters.h"

static Nl__Config *parse(const char *text)
{
	struct conf_error error;
	Nl__Config *config = conf_parse("test", text, strlen(text), &error);

	cr_assert_not_null(config, "%s", error.text);
	return config;
}

/* One SET; the outcome's exit code, 0 when it was made. */
static int set_in(bool fenced, const char *file, char *path, char *value)
{
	Nl__Config *running = parse(file), *config;
	Nl__ChangeRequest request = NL__CHANGE_REQUEST__INIT;
	Nl__Change change = NL__CHANGE__INIT, *changes[] = {&change};
	struct trouble t = {0};

	change.path = path;
	change.value = value;
	request.changes = changes;
	request.n_changes = 1;
	config = change_make(running, &request, fenced, &t);
	conf_free(running);
	conf_free(config);
	cr_expect(config || t.message[0]);
	return config ? 0 : (int)t.exit_code;
}

#define SET_IN(FENCED, FILE, PATH, VALUE) set_in(FENCED, FILE, (char[]){PATH}, (char[]){VALUE})
#define SET(FILE, PATH, VALUE)		  SET_IN(false, FILE, PATH, VALUE)

Test(change, kinds)
{
	cr_expect_eq(change_kind_of_hub("nat.mtu"), CHANGE_LIVE);
	cr_expect_eq(change_kind_of_hub("enable"), CHANGE_LIVE);
	cr_expect_eq(change_kind_of_hub("options.no_securenat"), CHANGE_FILE);
	cr_expect_eq(change_kind_of_hub("shards"), CHANGE_START);
	cr_expect_eq(change_kind_of_hub("alg.segment_max"), CHANGE_START);
	cr_expect_eq(change_kind_of_hub("alg.segment_maximum"), CHANGE_LIVE);
	cr_expect_eq(change_kind_of_config("log.style"), CHANGE_LIVE);
	cr_expect_eq(change_kind_of_config("log.file"), CHANGE_START);
	cr_expect_eq(change_kind_of_config("log.keep_days"), CHANGE_LIVE);
	cr_expect_eq(change_kind_of_config("log.journal"), CHANGE_LIVE);
	cr_expect_eq(change_kind_of_config("log.syslog"), CHANGE_LIVE);
	cr_expect_eq(change_kind_of_config("policy.restart_backoff_min"), CHANGE_LIVE);
	cr_expect_eq(change_kind_of_config("policy.fence"), CHANGE_START);
	cr_expect_eq(change_kind_of_config("api.group"), CHANGE_START);
}

/* Through a fence that was raised without it nobody can let guests reach the host; to shut it is always allowed. */
Test(change, what_the_fence_holds)
{
	const char allowed[] = "hubs: {default: {nat: {host_loopback: allow}}}";

	cr_expect_eq(SET_IN(false, "", "nat.host_loopback", "allow"), 0);
	cr_expect_eq(SET_IN(true, "", "nat.host_loopback", "allow"), EXIT_REFUSED);
	cr_expect_eq(SET_IN(true, "", "nat", "{host_loopback: allow}"), EXIT_REFUSED);
	cr_expect_eq(SET_IN(true, "", "nat.mtu", "1400"), 0);
	cr_expect_eq(SET_IN(true, allowed, "nat.host_loopback", "deny"), 0);
}

Test(change, what_is_refused)
{
	cr_expect_eq(SET("", "nat.mtu", "1400"), 0);
	cr_expect_eq(SET("", "nat.mtu", "14"), EXIT_CONFIG);
	cr_expect_eq(SET("", "host.address", "10.0.0.1"), EXIT_CONFIG); /* the pool is elsewhere */
	cr_expect_eq(SET("", "shards", "2"), EXIT_REFUSED);
	cr_expect_eq(SET("", "attach", "[]"), EXIT_REFUSED);
	cr_expect_eq(SET("", "options", "{no_securenat: true}"), EXIT_REFUSED);
	cr_expect_eq(SET("", "alg", "{segment_max: 2048}"), EXIT_REFUSED);
	cr_expect_eq(SET("", "name", "other"), EXIT_REFUSED);
	cr_expect_eq(SET("", "nothing", "1"), EXIT_CONFIG);
}

/* Each function may be switched off, but not on again where the option says so. */
Test(change, administrators_options)
{
	static const char off[] =
		"hubs: {default: {enable: false, nat: {enable: false}, dhcp: {enable: false}, "
		"options: {no_securenat: true, no_securenat_enablenat: true, "
		"no_securenat_enabledhcp: true}}}";
	static const char on[] =
		"hubs: {default: {options: {no_securenat: true, no_securenat_enablenat: true, "
		"no_securenat_enabledhcp: true}}}";
	static const char free_to[] = "hubs: {default: {enable: false, nat: {enable: false}}}";

	cr_expect_eq(SET(off, "enable", "true"), EXIT_REFUSED);
	cr_expect_eq(SET(off, "nat.enable", "true"), EXIT_REFUSED);
	cr_expect_eq(SET(off, "nat", "{enable: true}"), EXIT_REFUSED);
	cr_expect_eq(SET(off, "dhcp.enable", "true"), EXIT_REFUSED);
	cr_expect_eq(SET(off, "nat.mtu", "1400"), 0);
	cr_expect_eq(SET(on, "enable", "false"), 0);
	cr_expect_eq(SET(on, "nat.enable", "true"), 0); /* it is on already */
	cr_expect_eq(SET(free_to, "enable", "true"), 0);
	cr_expect_eq(SET(free_to, "nat.enable", "true"), 0);
}

Test(change, requests_without_sense)
{
	Nl__Config *running = parse("");
	Nl__ChangeRequest request = NL__CHANGE_REQUEST__INIT;
	Nl__Change change = NL__CHANGE__INIT, *changes[CHANGE_REQUESTS + 1];
	char nowhere[] = "nowhere";
	struct trouble t;
	size_t i;

	cr_expect_null(change_make(running, &request, false, &t));
	cr_expect_eq(t.exit_code, EXIT_USAGE);
	for (i = 0; i <= CHANGE_REQUESTS; i++)
		changes[i] = &change;
	request.changes = changes;
	request.n_changes = 1; /* without path and value */
	cr_expect_null(change_make(running, &request, false, &t));
	cr_expect_eq(t.exit_code, EXIT_USAGE);
	request.n_changes = CHANGE_REQUESTS + 1;
	cr_expect_null(change_make(running, &request, false, &t));
	cr_expect_eq(t.exit_code, EXIT_USAGE);
	request.hub = nowhere;
	cr_expect_null(change_make(running, &request, false, &t));
	cr_expect_eq(t.exit_code, EXIT_NO_MATCH);
	conf_free(running);
}

static void plans_in(
	bool fenced, const char *before, const char *after, const char *live, const char *restart)
{
	Nl__Config *running = parse(before), *fresh = parse(after);
	struct change_plan plan;
	struct trouble t;

	cr_assert_eq(change_plan_make(&plan, running, fresh, NULL, fenced, &t), 0, "%s", t.message);
	cr_expect_str_eq(plan.live, live);
	cr_expect_str_eq(plan.restart, restart);
	conf_free(plan.config);
	conf_free(running);
	conf_free(fresh);
}

static void plans(const char *before, const char *after, const char *live, const char *restart)
{
	plans_in(false, before, after, live, restart);
}

Test(change, a_plan_keeps_to_the_fence)
{
	const char denied[] = "",
		   allowed[] = "hubs: {default: {nat: {host_loopback: allow, mtu: 1400}}}";

	plans_in(
		false, denied, allowed, "hubs.default.nat.mtu, hubs.default.nat.host_loopback", "");
	plans_in(true, denied, allowed, "hubs.default.nat.mtu", "hubs.default.nat.host_loopback");
	plans_in(true, allowed, denied, "hubs.default.nat.mtu, hubs.default.nat.host_loopback", "");
	plans_in(true, "", "policy: {fence: required}", "", "policy.fence");
}

Test(change, a_plan_sorts_what_differs)
{
	plans("", "", "", "");
	plans("", "hubs: {default: {nat: {mtu: 1400}}}", "hubs.default.nat.mtu", "");
	plans("", "hubs: {default: {shards: 2, options: {no_securenat: true}}}",
		"hubs.default.options.no_securenat", "hubs.default.shards");
	plans("", "log: {style: json, file: none}", "log.style", "log.file");
	plans("", "hubs: {default: {}, lab: {}}", "hubs.lab (new)", "");
	plans("hubs: {default: {}, lab: {nat: {mtu: 1400}}}", "hubs: {default: {nat: {mtu: 1300}}}",
		"hubs.default.nat.mtu", "hubs.lab (removed)");
	plans("hubs: {a: {}, b: {}}", "hubs: {b: {}, a: {}}", "", "");
}

Test(change, what_must_wait_stays_as_it_is)
{
	Nl__Config *running = parse("hubs: {default: {shards: 2}}");
	Nl__Config *fresh = parse("hubs: {default: {shards: 3, nat: {mtu: 1400}}}");
	struct change_plan plan;
	struct trouble t;

	cr_assert_eq(change_plan_make(&plan, running, fresh, NULL, false, &t), 0);
	cr_expect_str_eq(plan.config->hubs[0]->shards, "2");
	cr_expect_eq(plan.config->hubs[0]->nat->mtu, 1400);
	conf_free(plan.config);
	conf_free(running);
	conf_free(fresh);
}

Test(change, the_workers_form)
{
	static const uint8_t mac[6] = {0x00, 0xac, 1, 2, 3, 4};
	Nl__Config *off = parse("hubs: {default: {enable: false}}");
	Nl__Config *own = parse("hubs: {default: {host: {mac: \"00:AC:09:09:09:09\"}}}");
	Nl__Hub *hub = change_in_force(off->hubs[0], mac);

	cr_expect_not(hub->nat->enable);
	cr_expect_not(hub->dhcp->enable);
	cr_expect(off->hubs[0]->nat->enable);
	cr_assert_eq(hub->host->mac->octets.len, 6);
	cr_expect_arr_eq(hub->host->mac->octets.data, mac, 6);
	nl__hub__free_unpacked(hub, NULL);
	hub = change_in_force(own->hubs[0], mac);
	cr_expect(hub->nat->enable);
	cr_expect_eq(hub->host->mac->octets.data[5], 9);
	nl__hub__free_unpacked(hub, NULL);
	conf_free(off);
	conf_free(own);
}

Test(change, what_is_kept_is_what_runs_at_those_paths)
{
	Nl__Config *kept = parse(""),
		   *running = parse("hubs: {default: {nat: {mtu: 1400, log: false}}}"), *next;
	Nl__ChangeRequest request = NL__CHANGE_REQUEST__INIT;
	Nl__Change change = NL__CHANGE__INIT, *changes[] = {&change};
	char path[] = "nat.mtu", value[] = "1400";
	struct trouble t;

	change.path = path;
	change.value = value;
	request.changes = changes;
	request.n_changes = 1;
	next = change_keep(kept, running, &request, &t);
	cr_assert_not_null(next, "%s", t.message);
	cr_expect_eq(next->hubs[0]->nat->mtu, 1400);
	cr_expect(next->hubs[0]->nat->log);
	conf_free(next);
	conf_free(kept);
	conf_free(running);
}

/* After a reload of a file that has the running hub no more. */
Test(change, nothing_is_kept_for_a_hub_that_the_file_lost)
{
	Nl__Config *kept = parse("hubs: {default: {}}"),
		   *running = parse("hubs: {default: {}, lab: {}}");
	Nl__ChangeRequest request = NL__CHANGE_REQUEST__INIT;
	char lab[] = "lab";
	struct trouble t;

	request.hub = lab;
	cr_assert_null(change_keep(kept, running, &request, &t));
	cr_expect_eq(t.exit_code, EXIT_REFUSED);
	cr_expect_str_eq(t.message, "nothing can be saved for hub lab");
	conf_free(kept);
	conf_free(running);
}

/* Boot holds beside the hub a filter, and some hundred bytes more. */
Test(change, the_largest_hub_and_the_largest_filter_are_one_record)
{
	const struct policy_filter *filter = policy_filters;

	for (; filter->name; filter++)
		cr_expect_leq(CONF_HUB_BYTES + filter->count * sizeof(filter->insns[0]) + 2048,
			CHAN_MAX_BYTES, "%s", filter->name);
}
