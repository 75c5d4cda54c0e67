/* fence.c: the plan of a configuration, and the kernel's answers, in a network namespace of the
 * test's own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"
#include "fence.h"
#include "start.h"
#include "supervisor.h"

static struct supervisor super;

static void forget(void)
{
	while (super.hubs > 0)
		nl__hub__free_unpacked(super.hub[--super.hubs].conf, NULL);
	conf_free(super.config);
	super.config = NULL;
}

TestSuite(fence, .fini = forget);

static void configure(const char *text)
{
	struct conf_error error;
	struct trouble t;
	size_t i;

	super.config = conf_parse("test", text, strlen(text), &error);
	cr_assert_not_null(super.config, "%s", error.text);
	super.is_run = true; /* no folders, nothing said */
	for (i = 0; i < super.config->n_hubs; i++)
		cr_assert_eq(start_add_hub(&super, super.config->hubs[i], &t), 0);
}

Test(fence, plan_names_the_uids_of_hubs_that_allow)
{
	const struct identity id = {.private_uid = 61185 + 32, .has_private = true, .slot_fd = -1};
	struct fence_plan plan;

	configure("hubs:\n  a: {shards: 2}\n  b: {shards: 2, nat: {host_loopback: allow}, host: "
		  "{address: 10.1.0.1}, dhcp: {range: 10.1.0.10-10.1.0.20, gateway: 10.1.0.1, dns: "
		  "[]}}\n");
	fence_plan(&plan, &id, super.hub, super.hubs);
	cr_expect_str_eq(plan.table, "natlock-61217");
	cr_expect_eq(plan.first_uid, 61217);
	cr_expect_eq(plan.last_uid, 61248);
	cr_assert_eq(plan.allowed, 2);
	for (unsigned int i = 0; i < 2; i++)
		cr_expect_eq(plan.host_allowed[i],
			identity_worker_host(&id,
				hub_worker_number(hub_worker(&super.hub[1], ACTOR_NATPROXY, i))));
}

Test(fence, plan_names_the_ports_of_rcmd_that_are_not_reserved)
{
	const struct identity id = {.private_uid = 61185, .has_private = true, .slot_fd = -1};
	struct fence_plan plan;

	configure("hubs:\n  a: {alg: {rcmd: {ports: [512, 1513, 1514]}}}\n  b: {alg: {rcmd: "
		  "{ports: [1023, 1024, 1514]}}, host: {address: 10.1.0.1}, dhcp: {range: "
		  "10.1.0.10-10.1.0.20, gateway: 10.1.0.1, dns: []}}\n");
	fence_plan(&plan, &id, super.hub, super.hubs);
	cr_assert_eq(plan.services, 3);
	cr_expect_eq(plan.service[0], 1513);
	cr_expect_eq(plan.service[1], 1514);
	cr_expect_eq(plan.service[2], 1024);
}

Test(fence, plan_names_the_natproxy_that_has_esp)
{
	const struct identity id = {.private_uid = 61185, .has_private = true, .slot_fd = -1};
	struct fence_plan plan;

	configure("hubs:\n  a: {shards: 2}\n  b: {shards: 1, alg: {ipsec: {esp: true}}, host: "
		  "{address: 10.1.0.1}, dhcp: {range: 10.1.0.10-10.1.0.20, gateway: 10.1.0.1, "
		  "dns: []}}\n");
	fence_plan(&plan, &id, super.hub, super.hubs);
	cr_assert_eq(plan.esps, 1);
	cr_expect_eq(plan.esp_allowed[0],
		identity_worker_host(
			&id, hub_worker_number(hub_worker(&super.hub[1], ACTOR_NATPROXY, 0))));
	cr_expect_eq(plan.allowed, 0);
}

/* More workers than uids: two have the same one, which is named once. */
Test(fence, plan_is_bounded)
{
	const struct identity id = {.private_uid = 61185, .has_private = true, .slot_fd = -1};
	char text[4096] = "hubs:\n";
	struct fence_plan plan;

	for (int i = 0; i < SUPERVISOR_HUBS; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"  h%d: {shards: 8, nat: {host_loopback: allow}, host: {address: "
			"10.%d.0.1}, dhcp: {range: 10.%d.0.10-10.%d.0.20, gateway: none, dns: "
			"[]}}\n",
			i, i, i, i);
	configure(text);
	fence_plan(&plan, &id, super.hub, super.hubs);
	cr_expect_eq(plan.allowed, IDENTITY_PRIVATE);
}

static const struct fence_plan plan = {
	"natlock-test", 61185, 61216, {61186, 61190}, 2, {1514}, 1};

/* What `steps` returns in a network of its own: the step that went wrong, 0 none. A new user
 * namespace needs a single thread. */
static int in_own_network(int (*steps)(void))
{
	const int spaces = geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET;
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(unshare(spaces) < 0 ? 99 : steps());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int open_twice(void)
{
	int fd = fence_open(&plan);

	if (fd < 0)
		return 1;
	if (fence_open(&plan) != -EEXIST)
		return 2;
	close(fd);
	return fence_open(&plan) < 0 ? 3 : 0;
}

Test(fence, a_table_is_as_old_as_its_descriptor)
{
	cr_expect_eq(in_own_network(open_twice), 0);
}

/* A process of a namespace of its own has no power over the network that it is in. */
static int open_without_power(void)
{
	if (unshare(CLONE_NEWUSER) < 0)
		return 1;
	return fence_open(&plan) == -EPERM ? 0 : 2;
}

Test(fence, needs_privilege)
{
	if (geteuid() == 0)
		cr_expect_eq(in_own_network(open_without_power), 0);
	else
		cr_expect_eq(fence_open(&plan), -EPERM);
	cr_expect_not_null(strstr(fence_error(-EPERM), "root"));
}

static int raise_as(const char *wish)
{
	struct trouble t = {0};
	char text[64];
	int r;

	snprintf(text, sizeof(text), "policy: {fence: %s}", wish);
	super.notes = 0;
	forget();
	configure(text);
	r = fence_raise(&super, &t);
	cr_expect((r == 0) == (t.message[0] == '\0'));
	return r;
}

Test(fence, where_it_cannot_be_had)
{
	char text[FENCE_TEXT], expected[FENCE_TEXT];

	super.identity.privileged = false;
	snprintf(expected, sizeof(expected), "none: %s",
		geteuid() == 0 ? "workers have no uids of their own here"
			       : "only root with CAP_NET_ADMIN can have one");
	cr_expect_eq(raise_as("auto"), 0);
	cr_expect_eq(super.notes, 1);
	cr_expect_str_eq(fence_text(&super.fence, text), expected);
	cr_expect_eq(raise_as("required"), -1);
	cr_expect_eq(raise_as("off"), 0);
	cr_expect_eq(super.notes, 1);
	cr_expect_str_eq(fence_text(&super.fence, text), "none: policy.fence is off");
	cr_expect_not(super.fence.up);
}

/* Another gateway, with a runtime folder of its own, has our uids already: we take the next.
 * Without a fence too. */
static char folder[] = "/tmp/natlock-fence-XXXXXX";

static int meet_another(void)
{
	const struct fence_plan first = {"natlock-61185", 61185, 61216, {0}, 0, {0}, 0};
	char text[FENCE_TEXT];

	if (fence_open(&first) < 0)
		return 1;
	if (raise_as("required") != 0 || super.identity.private_uid != 61217)
		return 2;
	if (strcmp(fence_text(&super.fence, text), "nftables table inet natlock-61217") != 0)
		return 3;
	close(super.fence.fd);
	close(super.identity.slot_fd);
	super.identity.private_uid = 61185;
	/* the last there are: it goes on without, and says why */
	strcpy(super.places.runtime, "/proc/none");
	if (raise_as("auto") != 0 || !strstr(super.fence.why, "other gateways' fences"))
		return 5;
	strcpy(super.places.runtime, folder);
	return raise_as("off") == 0 && super.identity.private_uid == 61217 ? 0 : 4;
}

Test(fence, two_gateways_with_the_same_uids)
{
	char file[64];

	cr_assert_not_null(mkdtemp(folder));
	snprintf(super.places.runtime, sizeof(super.places.runtime), "%s", folder);
	super.identity = (struct identity){
		.privileged = true, .private_uid = 61185, .has_private = true, .slot_fd = -1};
	cr_expect_eq(in_own_network(meet_another), 0);
	snprintf(file, sizeof(file), "%s/uids-1", folder);
	unlink(file);
	rmdir(folder);
}
