/* policy/audit/compare_filter.c: instruction by instruction, whatever else lies on top or below. */
#include <errno.h>

#include "crew.h"

TestSuite(compare_filter, .init = crew_make);

Test(compare_filter, one_instruction_changed)
{
	static struct sock_filter changed[2];

	memcpy(changed, crew_alg_insns, sizeof(changed));
	changed[1].k = 0x7fff0000;
	crew_process[ALG].layer[0].insns = changed;
	crew_expect(ALG, "filter");
}

Test(compare_filter, one_more_one_less_none)
{
	static struct sock_filter longer[3];

	memcpy(longer, crew_alg_insns, sizeof(crew_alg_insns));
	crew_process[ALG].layer[0] = (struct found_layer){3, longer};
	crew_expect(ALG, "filter");
	crew_process[ALG].layer[0].count = 1;
	crew_expect(ALG, "filter");
	crew_process[ALG].layers = 0;
	crew_expect(ALG, "filter");
}

Test(compare_filter, tells_the_instruction)
{
	static struct sock_filter changed[2];
	struct checks list = {0};

	memcpy(changed, crew_alg_insns, sizeof(changed));
	changed[1].k = 0xabcd;
	crew_process[ALG].layer[0].insns = changed;
	compare_layers(&list, &crew_process[ALG], crew_filters);
	cr_expect_str_eq(list.item[0].found,
		"2 instructions; 1 is {0006,0,0,0000abcd}, declared {0006,0,0,00000000}");
	check_free(&list);
}

Test(compare_filter, layers_below_take_nothing_away_from_it)
{
	struct checks list = {0};

	crew_process[ALG].layer[1] = crew_process[ALG].layer[0];
	crew_process[ALG].layer[0] = crew_process[SUPERVISOR].layer[0];
	crew_process[ALG].layer[2] = (struct found_layer){1, crew_other_insns};
	crew_process[ALG].layers = 3;
	compare_layers(&list, &crew_process[ALG], crew_filters);
	cr_expect_eq(list.item[0].result, CHECK_OK);
	cr_expect(strstr(list.item[0].found, "below it the supervisor's"));
	cr_expect(strstr(list.item[0].found, "that natlock was started under"));
	check_free(&list);
}

Test(compare_filter, the_supervisors_alone_is_not_a_workers)
{
	crew_process[ALG].layer[0] = crew_process[SUPERVISOR].layer[0];
	crew_expect(ALG, "filter");
}

Test(compare_filter, a_build_without_the_policy)
{
	struct checks list = {0};

	compare_layers(&list, &crew_process[ALG], &crew_filters[4]);
	cr_expect_eq(list.item[0].result, CHECK_DRIFT);
	check_free(&list);
}
