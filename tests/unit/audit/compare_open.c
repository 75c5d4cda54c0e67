/* policy/audit/compare_open.c: each number, each kind, each mapping. */
#include <errno.h>

#include "crew.h"

TestSuite(compare_open, .init = crew_make);

/* The drifts of one process, of which `what` must be one. */
static unsigned int drifts(unsigned int who, const char *what)
{
	struct checks list = {0};
	unsigned int n;

	compare_all(&list, &crew, crew_filters);
	n = list.results[CHECK_DRIFT];
	cr_expect_eq(crew_line(&list, who, what)->result, CHECK_DRIFT);
	check_free(&list);
	return n;
}

Test(compare_open, another_kind_on_a_fixed_number)
{
	crew_process[ALG].fd[10].kind = FOUND_EVENT;
	cr_expect_eq(drifts(ALG, "descriptor 10"), 2, "and the sum");
	crew_make();
	crew_process[ALG].fd[3].kind = FOUND_STREAM;
	cr_expect_eq(drifts(ALG, "descriptor 3"), 2);
}

Test(compare_open, a_fixed_number_that_is_free)
{
	struct found *f = &crew_process[ALG];

	memmove(&f->fd[10], &f->fd[11], (f->fds - 11) * sizeof(f->fd[0]));
	f->fds--;
	cr_expect_eq(drifts(ALG, "descriptor 10"), 2);
}

Test(compare_open, one_where_none_may_be)
{
	crew_add_fd(ALG, ALG_STRAY_FIRST, FOUND_NULL);
	cr_expect_eq(drifts(ALG, "descriptor 16"), 2);
	crew_make();
	crew_add_fd(ALG, 1000, FOUND_NULL);
	cr_expect_eq(drifts(ALG, "descriptor 1000"), 2);
	crew_make();
	crew_add_fd(NATPROXY, 20, FOUND_PACKET);
	cr_expect_eq(drifts(NATPROXY, "descriptor 20"), 2);
	crew_make();
	crew_add_fd(SUPERVISOR, 20, FOUND_TCP);
	cr_expect_eq(drifts(SUPERVISOR, "descriptor 20"), 2);
}

Test(compare_open, many_are_counted_and_some_are_shown)
{
	struct checks list = {0};
	int i;

	for (i = 0; i < 20; i++)
		crew_add_fd(ALG, 1000 + i, FOUND_NULL);
	compare_fds(&list, &crew_process[ALG]);
	cr_expect_eq(list.count, 9);
	cr_expect_str_eq(list.item[8].found, "36, 20 of the numbers not as declared");
	check_free(&list);
}

Test(compare_open, a_shard_may_be_missing)
{
	struct declare_fd second = declare_fd(ACTOR_BROKER, BROKER_CH_NETSTACK_FIRST + 1);

	cr_expect_eq(second.kinds, 1U << FOUND_CHANNEL | 1U << FOUND_NULL);
	cr_expect_eq(declare_fd(ACTOR_BROKER, BROKER_CH_NETSTACK_FIRST).kinds, 1U << FOUND_CHANNEL);
}

Test(compare_open, executable_memory)
{
	crew_process[ALG].mapping[0].write = true;
	crew_expect(ALG, "executable memory");
	crew_make();
	crew_process[ALG].mapping[0].is_program = false;
	crew_expect(ALG, "executable memory");
	crew_make();
	crew_add_mapping(ALG, (struct found_mapping){.read = true, .execute = true});
	crew_expect(ALG, "executable memory");
	crew_make();
	crew_process[ALG].more_mappings = true;
	crew_expect(ALG, "executable memory");
	crew_make(); /* libraries are the supervisor's right, memory without a file is not */
	crew_add_mapping(SUPERVISOR,
		(struct found_mapping){
			.read = true, .execute = true, .inode = 8, .text = "/lib/libc.so.6"});
	crew_expect_nothing();
	crew_add_mapping(SUPERVISOR, (struct found_mapping){.read = true, .execute = true});
	crew_expect(SUPERVISOR, "executable memory");
}

/* What the supervisor opened as root: by kind, and for natproxy alone. */
Test(compare_open, granted_sockets)
{
	static const enum found_kind granted[] = {FOUND_LOW_PORT, FOUND_RAW_ECHO, FOUND_RAW_ESP};
	size_t i;

	for (i = 0; i < sizeof(granted) / sizeof(granted[0]); i++) {
		const uint32_t kind = 1U << granted[i];

		cr_expect(declare_fd(ACTOR_NATPROXY, NATPROXY_SOCK_FIRST).kinds & kind);
		cr_expect_not(declare_fd(ACTOR_BROKER, BROKER_PORT_FIRST).kinds & kind);
		crew_make();
		crew_add_fd(SUPERVISOR, 20, granted[i]);
		crew_expect_nothing();
		crew_add_fd(ALG, 20, granted[i]);
		cr_expect_eq(drifts(ALG, "descriptor 20"), 2);
	}
}

Test(compare_open, shared_memory)
{
	struct found_mapping ring = crew_process[BROKER].mapping[2];

	crew_process[NATPROXY].mapping[3].write = true; /* the broker's */
	cr_expect_eq(drifts(NATPROXY, "shared memory"), 2, "both may write it");
	crew_make();
	crew_process[BROKER].mapping[2].seals = F_SEAL_SHRINK | F_SEAL_GROW;
	crew_expect(BROKER, "shared memory");
	crew_make();
	crew_process[BROKER].mapping[2].is_memfd = false;
	crew_expect(BROKER, "shared memory");
	crew_make();
	ring.inode = 99;
	crew_add_mapping(ALG, ring);
	crew_expect(ALG, "shared memory");
	crew_make();
	crew_process[BROKER].mappings = 2;
	crew_expect(BROKER, "shared memory");
}
