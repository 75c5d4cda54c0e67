/* policy/audit/compare.c: what is as declared is no drift, and whatever is not is one, by its name. */
#include <errno.h>

#include "crew.h"

TestSuite(compare, .init = crew_make);

Test(compare, nothing)
{
	struct checks list = {0};

	compare_all(&list, &crew, crew_filters);
	cr_expect_eq(list.results[CHECK_DRIFT], 0);
	cr_expect_eq(list.results[CHECK_UNKNOWN], 0);
	cr_expect_gt(list.results[CHECK_OK], 100);
	check_free(&list);
	crew_expect_nothing();
}

static void spoil(struct found *f, unsigned int which)
{
	switch (which) {
	case 0: f->is_installed_file = false; break;
	case 1: f->status.seccomp = 0; break;
	case 2: f->status.no_new_privs = 0; break;
	case 3: f->status.threads = 2; break;
	case 4: f->status.tracer = 77; break;
	case 5: f->status.innermost_pid = 2; break;
	case 6: f->is_dumpable = true; break;
	case 7: f->limit[FOUND_NPROC].hard = 1; break;
	case 8: f->limit[FOUND_FSIZE].hard = UINT64_MAX; break;
	case 9: f->limit[FOUND_NOFILE].hard = f->limit[FOUND_NOFILE].soft = 33; break;
	case 10: f->root.mounts = 2; break;
	case 11: f->root.read_only = false; break;
	case 12: f->root.noexec = false; break;
	case 13: strcpy(f->root.type, "ext4"); break;
	case 14: f->root_is_empty = false; break;
	case 15: f->cwd_is_root = false; break;
	case 16: f->environment_bytes = 1; break;
	default: cr_assert_fail("nothing to spoil");
	}
}

Test(compare, each_lock_of_a_worker)
{
	static const char *const what[] = {"file", "seccomp", "no_new_privs", "threads",
		"traced by", "pid in its namespace", "dumpable", "limit: processes",
		"limit: file size", "limit: open files", "root", "root", "root", "root",
		"files in its root", "files in its root", "environment"};
	unsigned int i;

	for (i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		crew_make();
		spoil(&crew_process[ALG], i);
		if (i != 1) {
			crew_expect(ALG, what[i]);
			continue;
		}
		/* Landlock is known by the filter that follows it. */
		struct checks list = {0};
		compare_all(&list, &crew, crew_filters);
		cr_expect_eq(crew_line(&list, ALG, "seccomp")->result, CHECK_DRIFT);
		cr_expect_eq(crew_line(&list, ALG, "landlock")->result, CHECK_DRIFT);
		check_free(&list);
	}
}

Test(compare, other_code_says_nothing_of_landlock)
{
	struct checks list = {0};

	crew_process[ALG].is_installed_code = false;
	compare_all(&list, &crew, crew_filters);
	cr_expect_eq(crew_line(&list, ALG, "code")->result, CHECK_DRIFT);
	cr_expect_eq(crew_line(&list, ALG, "landlock")->result, CHECK_DRIFT);
	cr_expect_eq(list.results[CHECK_DRIFT], 2);
	check_free(&list);
}

Test(compare, a_kernel_without_landlock_is_told)
{
	struct checks list = {0};

	crew.landlock_abi = 0;
	compare_all(&list, &crew, crew_filters);
	cr_expect_eq(crew_line(&list, BROKER, "landlock")->result, CHECK_UNKNOWN);
	cr_expect_str_eq(crew_line(&list, BROKER, "landlock")->needs, "a kernel that can say it");
	check_free(&list);
}

Test(compare, what_the_kernel_does_not_say_is_never_taken_for_good)
{
	struct found *f = &crew_process[ALG];
	struct checks list = {0};
	unsigned int i;

	f->uid_map_error = f->limits_error = f->root_error = f->root_listed_error =
		f->dumpable_error = f->environment_error = f->file_error = f->code_error =
			f->maps_error = f->fds_error = f->layers_error = EACCES;
	for (i = 0; i < FOUND_NAMESPACES; i++)
		f->namespace_error[i] = EACCES;
	f->status.seccomp = f->status.no_new_privs = -1;
	compare_process(&list, &crew, f, crew_filters);
	cr_expect_eq(list.results[CHECK_DRIFT], 0);
	for (i = 0; i < list.count; i++)
		if (list.item[i].result == CHECK_OK)
			cr_expect(strstr("threads traced by pid in its namespace uid gid groups "
					 "capabilities",
					  list.item[i].what),
				"%s", list.item[i].what);
	cr_expect_str_eq(crew_line(&list, ALG, "filter")->needs, "root");
	check_free(&list);
}

Test(compare, a_process_that_ended)
{
	struct checks list = {0};

	crew_process[ALG].gone = true;
	compare_process(&list, &crew, &crew_process[ALG], crew_filters);
	cr_assert_eq(list.count, 1);
	cr_expect_eq(list.item[0].result, CHECK_UNKNOWN);
	check_free(&list);
}

Test(compare, strangers_and_keepers)
{
	struct found *f = &crew_process[CREW];
	struct checks list = {0};

	*f = (struct found){.pid = 200, .kind = FOUND_KEEPER};
	f->namespace_inode[FOUND_USER] = 9999;
	crew.count = CREW + 1;
	crew.is_run = true;
	crew_expect_nothing();
	crew.is_run = false; /* nobody's program is run by `natlock up` */
	compare_all(&list, &crew, crew_filters);
	cr_expect_eq(list.results[CHECK_DRIFT], 2);
	check_free(&list);
	crew.is_run = true; /* one that lives where the supervisor does */
	f->namespace_inode[FOUND_USER] = crew_process[SUPERVISOR].namespace_inode[FOUND_USER];
	compare_all(&list, &crew, crew_filters);
	cr_expect_eq(list.results[CHECK_DRIFT], 3, "and the namespace is not the supervisor's own");
	check_free(&list);
	crew_process[CREW + 1] = *f; /* a second one */
	f->namespace_inode[FOUND_USER] = crew_process[CREW + 1].namespace_inode[FOUND_USER] = 9999;
	crew.count = CREW + 2;
	compare_all(&list, &crew, crew_filters);
	cr_expect_eq(list.results[CHECK_DRIFT], 2);
	check_free(&list);
	f->kind = FOUND_STRANGER;
	crew.count = CREW + 1;
	compare_all(&list, &crew, crew_filters);
	cr_expect_eq(crew_line(&list, SUPERVISOR, "processes")->result, CHECK_DRIFT);
	cr_expect_eq(list.results[CHECK_DRIFT], 2);
	check_free(&list);
}

Test(compare, a_supervisor_without_workers_proves_nothing)
{
	struct checks list = {0};

	crew.count = 1;
	compare_all(&list, &crew, crew_filters);
	cr_expect_eq(crew_line(&list, SUPERVISOR, "processes")->result, CHECK_UNKNOWN);
	cr_expect_eq(list.results[CHECK_DRIFT], 0);
	check_free(&list);
}
