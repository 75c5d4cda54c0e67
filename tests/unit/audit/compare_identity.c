/* policy/audit/compare_identity.c: who is who, and who is where. */
#include <errno.h>
#include <linux/capability.h>

#include "crew.h"

TestSuite(compare_identity, .init = crew_make);

static void set_ids(unsigned int who, uint32_t id)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		crew_process[who].status.uid[i] = crew_process[who].status.gid[i] = id;
	crew_process[who].uid_map.line[0].outside = id;
}

Test(compare_identity, each_capability_set)
{
	unsigned int set;

	for (set = 0; set < FOUND_SETS; set++) {
		crew_make();
		crew_process[BROKER].status.capabilities[set] = 1 << CAP_NET_RAW;
		crew_expect(BROKER, "capabilities");
		crew_make();
		crew_process[SUPERVISOR].status.capabilities[set] |= 1 << CAP_KILL;
		crew_expect(SUPERVISOR, "capabilities");
	}
	crew_make();
	crew_process[SUPERVISOR].status.capabilities[FOUND_BOUNDING] = 0;
	crew_expect(SUPERVISOR, "capabilities");
}

Test(compare_identity, uids)
{
	struct checks list = {0};

	set_ids(ALG, 61185);
	compare_all(&list, &crew, crew_filters);
	cr_expect_eq(crew_line(&list, ALG, "uid")->result, CHECK_DRIFT);
	cr_expect_eq(crew_line(&list, BROKER, "uid")->result, CHECK_DRIFT, "61185, too");
	cr_expect_eq(list.results[CHECK_DRIFT], 2);
	check_free(&list);
	crew_make();
	set_ids(ALG, 61184); /* the supervisor's */
	crew_expect(ALG, "uid");
	crew_make();
	crew_process[ALG].status.uid[2] = 1;
	crew_expect(ALG, "uid");
	crew_make();
	crew_process[ALG].status.gid[3] = 1;
	crew_expect(ALG, "gid");
	crew_make();
	crew_process[ALG].status.groups = 1;
	crew_expect(ALG, "groups");
	crew_make();
	set_ids(SUPERVISOR, 0);
	memset(crew_process[SUPERVISOR].status.gid, 1, sizeof(crew_process[0].status.gid));
	crew_expect(SUPERVISOR, "uid");
}

Test(compare_identity, a_users_workers_are_that_user)
{
	unsigned int who;

	crew_process[SUPERVISOR].uid_map.lines = 1;
	for (who = 0; who < CREW; who++) {
		set_ids(who, 1000);
		crew_process[who].status.groups = 3;
	}
	crew_process[SUPERVISOR].status.capabilities[FOUND_PERMITTED] =
		crew_process[SUPERVISOR].status.capabilities[FOUND_EFFECTIVE] =
			crew_process[SUPERVISOR].status.capabilities[FOUND_BOUNDING] =
				declare_supervisor_capabilities(false);
	crew_expect_nothing();
	set_ids(ALG, 1001);
	crew_expect(ALG, "uid");
}

Test(compare_identity, maps)
{
	crew_process[ALG].uid_map.lines = 2;
	crew_expect(ALG, "ids in its namespace");
	crew_make();
	crew_process[ALG].uid_map.line[0].count = 2;
	crew_expect(ALG, "ids in its namespace");
	crew_make();
	crew_process[ALG].uid_map.line[0].inside = 0;
	crew_expect(ALG, "ids in its namespace");
}

Test(compare_identity, each_namespace)
{
	char what[CHECK_WHAT];
	unsigned int ns;

	for (ns = 0; ns < FOUND_NAMESPACES; ns++) {
		snprintf(what, sizeof(what), "%s namespace", found_namespace_names[ns]);
		crew_make();
		crew_process[ALG].namespace_inode[ns] = crew.operator.namespace_inode[ns];
		crew_expect(ALG, what);
	}
	crew_make(); /* natproxy owns the host's sockets, so it is where the supervisor is */
	crew_process[NATPROXY].namespace_inode[FOUND_NET] = 12345;
	crew_expect(NATPROXY, "net namespace");
	crew_make();
	crew_process[SUPERVISOR].namespace_inode[FOUND_USER] =
		crew.operator.namespace_inode[FOUND_USER];
	crew_expect(SUPERVISOR, "user namespace");
}

Test(compare_identity, two_workers_in_one_namespace)
{
	struct checks list = {0};

	crew_process[ALG].namespace_inode[FOUND_IPC] =
		crew_process[BROKER].namespace_inode[FOUND_IPC];
	compare_all(&list, &crew, crew_filters);
	cr_expect_eq(list.results[CHECK_DRIFT], 2);
	cr_expect_str_eq(crew_line(&list, ALG, "ipc namespace")->found, "shared with broker (101)");
	check_free(&list);
}
