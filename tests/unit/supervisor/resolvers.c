/* resolv.conf as people and programs write it. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "filters.h"
#include "resolvers.h"

Test(resolvers, the_usual_file)
{
	struct resolvers r = {0};

	resolvers_parse(&r, "# by hand\nsearch example.org sub.example.org\n  nameserver "
			    "1.1.1.1\nnameserver\t9.9.9.9\noptions edns0\nnameserver 127.0.0.53");
	cr_assert_eq(r.count, 3);
	cr_assert_eq(r.ip_be[0], inet_addr("1.1.1.1"));
	cr_assert_eq(r.ip_be[2], inet_addr("127.0.0.53"));
	cr_assert_str_eq(r.domain, "example.org");
}

Test(resolvers, what_is_no_resolver)
{
	struct resolvers r = {0};

	resolvers_parse(&r,
		"nameserver ::1\nnameserver 0.0.0.0\nnameserver\nnameserver 1.2.3\n;nameserver "
		"4.4.4.4\nnameserver 8.8.8.8\nnameserver 8.8.8.8\nsearch .\n");
	cr_assert_eq(r.count, 1);
	cr_assert_str_eq(r.domain, "");
	resolvers_parse(&r, "");
	cr_assert_eq(r.count, 0);
}

Test(resolvers, domain_wins_over_search_whatever_the_order)
{
	struct resolvers r = {0};

	resolvers_parse(&r, "domain a.example\nsearch b.example\n");
	cr_assert_str_eq(r.domain, "a.example");
	resolvers_parse(&r, "search b.example\ndomain a.example\n");
	cr_assert_str_eq(r.domain, "a.example");
}

Test(resolvers, bounds)
{
	struct resolvers r = {0};
	char text[20000] = "";
	int i;

	for (i = 0; i < 200; i++)
		sprintf(text + strlen(text), "nameserver 10.0.0.%d\n", i + 1);
	memset(text + strlen(text), 'x', 9000);
	resolvers_parse(&r, text);
	cr_assert_eq(r.count, RESOLVERS_MAX);
}

/* An /etc of this process's own, where resolv.conf is a link to `target` in that folder. */
static void own_etc(const char *target)
{
	char folder[] = "/tmp/natlock-etc-XXXXXX", path[64];

	if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) ||
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		cr_skip_test("no mount namespace to be had");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(mount("none", folder, "tmpfs", 0, NULL), 0);
	snprintf(path, sizeof(path), "%s/deep", folder);
	cr_assert_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/resolv.conf", folder);
	cr_assert_eq(symlink(target, path), 0);
	snprintf(path, sizeof(path), "%s/real", folder);
	close(open(path, O_WRONLY | O_CREAT, 0644));
	cr_assert_eq(mount(folder, "/etc", NULL, MS_BIND | MS_REC, NULL), 0);
	cr_assert_eq(umount2(folder, MNT_DETACH), 0);
	rmdir(folder);
}

/* How a process ends that hears of a change as the locked supervisor does. */
static int status_of_hearing(void)
{
	const struct policy_filter *filter = policy_filter_find("supervisor");
	struct resolvers r;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (resolvers_open(&r) < 0 || confine_filter(filter->insns, filter->count))
			_exit(1);
		resolvers_heard(&r);
		syscall(SYS_exit_group, 0); /* a sanitizer asks for more before _exit */
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

Test(resolvers, a_link_may_lead_anywhere)
{
	own_etc("/etc/deep/../real");
	cr_assert_eq(status_of_hearing(), 0);
}

Test(resolvers, a_change_behind_a_link_is_heard)
{
	struct resolvers r;
	struct pollfd news = {.events = POLLIN};

	own_etc("deep/file");
	close(open("/etc/deep/file", O_WRONLY | O_CREAT, 0644));
	news.fd = resolvers_open(&r);
	cr_assert_geq(news.fd, 0);
	cr_assert_eq(poll(&news, 1, 0), 0);
	close(open("/etc/deep/other", O_WRONLY | O_CREAT, 0644));
	cr_assert_eq(poll(&news, 1, 0), 1);
	resolvers_heard(&r);
	cr_assert_eq(poll(&news, 1, 0), 0);
	resolvers_close(&r);
}
