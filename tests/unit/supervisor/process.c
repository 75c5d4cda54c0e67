/* /proc as text, and of this very process. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

Test(process, status)
{
	struct process_facts f = {0};

	process_parse_status("Name:\tx\nVmRSS:\t    1234 "
			     "kB\nCapInh:\t0000000000000000\nCapPrm:\t00000000000000c0\nCapEff:"
			     "\t0000000000000001\n"
			     "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:"
			     "\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n",
		&f);
	cr_assert_eq(f.seccomp, 2);
	cr_assert_eq(f.caps, 0xc1);
	cr_assert_eq(f.rss_bytes, 1234 * 1024);
	process_parse_status("", &f);
	cr_assert_eq(f.seccomp, -1);
	cr_assert_eq(f.caps, 0);
}

Test(process, cpu_of_a_process_with_a_nasty_name)
{
	cr_assert_eq(process_parse_cpu(
			     "12 (a) S 1 2 (b)) S 1 1 1 0 -1 4194560 1 0 0 0 150 50 0 0 20 0", 100),
		2000);
	cr_assert_eq(process_parse_cpu("12 (a", 100), 0);
	cr_assert_eq(process_parse_cpu("", 100), 0);
}

Test(process, ourselves)
{
	struct process_facts f;

	cr_assert(process_read(getpid(), &f));
	cr_assert_gt(f.rss_bytes, 0);
	cr_assert_str_eq(f.namespaces, "");
	cr_assert_str_eq(f.root, "host");
	cr_assert_not(f.root_empty);
	cr_assert_not(process_read(0, &f));
	cr_assert_not(process_read(-1, &f));
}
