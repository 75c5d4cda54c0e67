/* How many workers a hub has, what they are called, and whose uid is whose. */
#include <criterion/criterion.h>
#include <string.h>

#include "hub.h"

static struct hub hub;

static void crew_of(unsigned int shards, unsigned int first_worker)
{
	hub = (struct hub){.shards = shards, .first_worker = first_worker};
	hub_crew(&hub);
}

Test(hub, one_shard_is_called_as_the_actors_are)
{
	static const char *const names[] = {"broker", "netstack", "natproxy", "dhcpd", "alg"};

	crew_of(1, 0);
	cr_assert_eq(hub.workers, 5);
	for (unsigned int i = 0; i < hub.workers; i++) {
		cr_assert_str_eq(hub.worker[i].name, names[i]);
		cr_assert_eq(hub.worker[i].state, WORKER_GONE);
	}
	cr_assert_eq(hub_worker(&hub, ACTOR_NATPROXY, 0), &hub.worker[2]);
	cr_assert_null(hub_worker(&hub, ACTOR_NATPROXY, 1));
	cr_assert_null(hub_worker(&hub, ACTOR_COUNT, 0));
}

Test(hub, more_carry_their_number)
{
	crew_of(2, 0);
	cr_assert_eq(hub.workers, 8);
	cr_assert_str_eq(hub_worker(&hub, ACTOR_NETSTACK, 1)->name, "netstack.1");
	cr_assert_str_eq(hub_worker(&hub, ACTOR_ALG, 0)->name, "alg.0");
	cr_assert_str_eq(hub_worker(&hub, ACTOR_BROKER, 0)->name, "broker");
	cr_assert_eq(hub_worker_by_name(&hub, "natproxy.1"), hub_worker(&hub, ACTOR_NATPROXY, 1));
	cr_assert_null(hub_worker_by_name(&hub, "natproxy"));
	cr_assert_null(hub_worker_by_name(&hub, "natproxy.2"));
	cr_assert_null(hub_worker_by_name(&hub, NULL));
}

Test(hub, no_two_workers_have_one_number)
{
	crew_of(SHARD_MAX, 26);
	cr_assert_eq(hub.workers, HUB_WORKERS);
	for (unsigned int i = 0; i < hub.workers; i++)
		cr_assert_eq(hub_worker_number(&hub.worker[i]), 26 + i);
}
