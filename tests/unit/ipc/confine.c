/* The self-confinement, each in a child of its own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"

/* Runs a check in a child; its exit status, or 1000 + signal. */
static int in_child(int (*check)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(check());
	cr_assert_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int no_path_after_landlock(void)
{
	int abi = confine_landlock(true);

	if (abi <= 0)
		return abi == 0 ? 77 : 1;
	if (open("/", O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES)
		return 2;
	if (open("/dev/null", O_WRONLY) >= 0 || errno != EACCES)
		return 3;
	return 0;
}

Test(confine, landlock_denies_every_path)
{
	int result = in_child(no_path_after_landlock);

	if (result == 77)
		cr_skip("this kernel has no Landlock");
	cr_assert_eq(result, 0);
}

static int connect_after(bool deny)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = 9, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_STREAM, 0), abi = confine_landlock(deny);

	if (abi < 4)
		return 77;
	connect(s, (struct sockaddr *)&to, sizeof(to));
	return errno == EACCES ? 1 : 0;
}

static int bind_after(bool deny)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_STREAM, 0), abi = confine_landlock(deny);

	if (abi < 4)
		return 77;
	return bind(s, (struct sockaddr *)&at, sizeof(at)) < 0 && errno == EACCES ? 1 : 0;
}

static int bind_denied(void)
{
	return bind_after(true);
}

static int bind_allowed(void)
{
	return bind_after(false);
}

Test(confine, no_tcp_port_is_opened_by_all_but_natproxy)
{
	int denied = in_child(bind_denied);

	if (denied == 77)
		cr_skip("Landlock of this kernel knows no TCP");
	cr_assert_eq(denied, 1);
	cr_assert_eq(in_child(bind_allowed), 0);
}

/* A socket in the abstract namespace, which is no file: the empty root does not keep anybody from it. */
static int connect_abstract(bool confined, bool deny_tcp)
{
	const struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "\0natlock-confine-test"};
	const socklen_t n = offsetof(struct sockaddr_un, sun_path) + 21;
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0),
	    abi = 6;

	if (bind(server, (const struct sockaddr *)&at, n) < 0 || listen(server, 1) < 0)
		return 2;
	if (confined)
		abi = confine_landlock(deny_tcp);
	if (abi < 6)
		return 77;
	return connect(client, (const struct sockaddr *)&at, n) < 0 && errno == EPERM ? 1 : 0;
}

static int abstract_open(void)
{
	return connect_abstract(false, false);
}

static int abstract_closed(void)
{
	return connect_abstract(true, true);
}

static int abstract_closed_to_natproxy(void)
{
	return connect_abstract(true, false);
}

Test(confine, abstract_sockets_of_others_are_closed)
{
	int result = in_child(abstract_closed);

	if (result == 77)
		cr_skip("Landlock of this kernel knows no scopes");
	cr_assert_eq(in_child(abstract_open), 0, "the control");
	cr_assert_eq(result, 1);
	cr_assert_eq(in_child(abstract_closed_to_natproxy), 1);
}

static int tcp_denied(void)
{
	return connect_after(true);
}

static int tcp_allowed(void)
{
	return connect_after(false);
}

Test(confine, tcp_is_denied_to_all_but_natproxy)
{
	int denied = in_child(tcp_denied);

	if (denied == 77)
		cr_skip("Landlock of this kernel knows no TCP");
	cr_assert_eq(denied, 1);
	cr_assert_eq(in_child(tcp_allowed), 0);
}

static int signal_the_parent(void)
{
	int abi = confine_landlock(true);

	if (abi < 6)
		return 77;
	return kill(getppid(), 0) < 0 && errno == EPERM ? 0 : 1;
}

Test(confine, signals_stay_inside)
{
	int result = in_child(signal_the_parent);

	if (result == 77)
		cr_skip("Landlock of this kernel knows no scopes");
	cr_assert_eq(result, 0);
}

static int undumpable(void)
{
	return confine_undumpable() || prctl(PR_GET_DUMPABLE) != 0;
}

Test(confine, not_dumpable)
{
	cr_assert_eq(in_child(undumpable), 0);
}

/* Allows write, exit_group and nothing else. */
static const struct sock_filter tiny[] = {
	{0x20, 0, 0, offsetof(struct seccomp_data, nr)},
	{0x15, 2, 0, SYS_write},
	{0x15, 1, 0, SYS_exit_group},
	{0x06, 0, 0, SECCOMP_RET_KILL_PROCESS},
	{0x06, 0, 0, SECCOMP_RET_ALLOW},
};

static int filtered_and_quiet(void)
{
	return (int)syscall(SYS_exit_group, confine_filter(tiny, 5) ? 1 : 0);
}

static int filtered_and_curious(void)
{
	if (confine_filter(tiny, 5))
		return 1;
	return (int)syscall(SYS_exit_group, syscall(SYS_getppid) > 0);
}

Test(confine, the_filter_holds_from_the_next_call_on)
{
	cr_assert_eq(in_child(filtered_and_quiet), 0);
	cr_assert_eq(in_child(filtered_and_curious), 1000 + SIGSYS);
}

Test(confine, an_empty_oversized_or_malformed_filter_is_refused)
{
	static const struct sock_filter no_return[] = {{0x20, 0, 0, 0}};

	cr_assert_eq(confine_filter(tiny, 0), -EINVAL);
	cr_assert_eq(confine_filter(tiny, CONFINE_FILTER_MAX + 1), -EINVAL);
	cr_assert_eq(confine_filter(no_return, 1), -EINVAL);
}
