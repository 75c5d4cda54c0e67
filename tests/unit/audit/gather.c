/* policy/audit/gather.c: who listens, and who is below him. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gather.h"

/* A socket connected to one that this process listens at under that name. */
static int connected(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int door = socket(AF_UNIX, SOCK_SEQPACKET, 0), fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	char folder[] = "/tmp/audit-unit-XXXXXX";

	cr_assert_not_null(mkdtemp(folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, name);
	cr_assert_eq(bind(door, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(door, 1), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	unlink(address.sun_path);
	rmdir(folder);
	return fd;
}

Test(gather, who_listens)
{
	static struct compare_crew crew = {.is_run = true};

	cr_expect_eq(gather_supervisor(connected("api"), &crew), getpid());
	cr_expect_not(crew.is_run);
	cr_expect_eq(strncmp(crew.socket, "/tmp/audit-unit-", 16), 0);
	cr_expect_str_eq(strrchr(crew.socket, '/'), "/api");
	cr_expect_eq(gather_supervisor(connected("run-5"), &crew), getpid());
	cr_expect(crew.is_run);
	crew.is_run = false;
	cr_expect_eq(gather_supervisor(connected("admin-run-5"), &crew), getpid());
	cr_expect(crew.is_run);
	cr_expect_str_eq(strrchr(crew.socket, '/'), "/run-5");
	cr_expect_eq(gather_supervisor(-1, &crew), -EBADF);
}

static pid_t child(const char *program)
{
	pid_t pid = fork();

	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (program)
		execl(program, "alg", "60", (char *)NULL);
	pause();
	_exit(0);
}

static const struct found *found_at(const struct compare_crew *crew, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < crew->count; i++)
		if (crew->process[i].pid == pid)
			return &crew->process[i];
	return NULL;
}

/* A child that calls itself a worker is none: its file counts. */
Test(gather, who_is_below)
{
	static struct compare_crew crew;
	pid_t same = child(NULL), other = child("/bin/sleep");

	usleep(200000); /* until the exec is over */
	cr_assert_eq(gather(&crew, getpid()), 0);
	cr_assert_eq(crew.process[0].pid, getpid());
	cr_expect_eq(crew.process[0].kind, FOUND_SUPERVISOR);
	cr_assert_not_null(found_at(&crew, same));
	cr_expect_eq(found_at(&crew, same)->kind, FOUND_KEEPER);
	cr_assert_not_null(found_at(&crew, other));
	cr_expect_eq(found_at(&crew, other)->kind, FOUND_STRANGER);
	cr_expect_null(found_at(&crew, getppid()));
	gather_free(&crew);
	kill(same, SIGKILL);
	kill(other, SIGKILL);
	while (wait(NULL) > 0)
		;
}

Test(gather, nobody)
{
	static struct compare_crew crew;

	cr_expect_eq(gather(&crew, 0x3ffffff0), -ENOENT);
	gather_free(&crew);
}
