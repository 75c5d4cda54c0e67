/* policy/audit/compare_fence.c: a fence that is there holds all natproxies; one that cannot be
 * there is no drift. */
#include <errno.h>

#include "crew.h"

static void make(void)
{
	crew_make();
	crew_add_fd(SUPERVISOR, 6, FOUND_NETFILTER);
	crew.fence = (struct found_fence){.is_held = true,
		.table = "natlock-61185",
		.is_there = true,
		.is_owned = true,
		.first_uid = 61185,
		.last_uid = 61216,
		.drops = 9,
		.dropped = 42};
}

TestSuite(compare_fence, .init = make);

static void tells(enum check_result result, const char *text)
{
	struct checks list = {0};
	const struct check *c;

	compare_all(&list, &crew, crew_filters);
	c = crew_line(&list, SUPERVISOR, "fence");
	cr_expect_eq(c->result, result, "%s", c->found);
	cr_expect_not_null(strstr(c->found, text), "%s", c->found);
	cr_expect_eq(list.results[CHECK_DRIFT], result == CHECK_DRIFT);
	check_free(&list);
}

Test(compare_fence, as_it_should_be)
{
	tells(CHECK_OK, "inet natlock-61185: 61185 to 61216, 9 rules that drop, 42 dropped");
}

Test(compare_fence, none_where_there_can_be_none)
{
	crew.fence = (struct found_fence){0};
	tells(CHECK_OK, "none: natlockctl status");
}

Test(compare_fence, what_is_wrong_with_one)
{
	crew.fence.is_there = false;
	tells(CHECK_DRIFT, "no table inet natlock-61185");
	make();
	crew.fence.is_owned = false;
	tells(CHECK_DRIFT, "anybody's");
	make();
	crew.fence.drops--;
	tells(CHECK_DRIFT, "8 rules");
	make();
	crew.fence.last_uid = 61184 + NATPROXY - 1;
	tells(CHECK_DRIFT, "61185 to 61185");
	make();
	crew.fence.first_uid = 61184 + NATPROXY + 1;
	tells(CHECK_DRIFT, "61187 to 61216");
}

Test(compare_fence, what_is_not_known)
{
	crew.fence.error = EPERM;
	tells(CHECK_UNKNOWN, "");
	make();
	crew_process[SUPERVISOR].fds_error = EACCES;
	struct checks list = {0};
	compare_all(&list, &crew, crew_filters);
	cr_expect_eq(crew_line(&list, SUPERVISOR, "fence")->result, CHECK_UNKNOWN);
	check_free(&list);
}
