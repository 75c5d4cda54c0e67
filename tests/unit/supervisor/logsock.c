/* Datagrams for the journal and syslog: when they are wanted, that they arrive, that nobody waits. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "logsock.h"

Test(logsock, auto_is_a_unit_of_systemd)
{
	unsetenv("JOURNAL_STREAM");
	cr_assert_not(logsock_journal_wanted("auto"));
	setenv("JOURNAL_STREAM", "8:1234", 1);
	cr_assert(logsock_journal_wanted("auto"));
	cr_assert_not(logsock_journal_wanted("false"));
	unsetenv("JOURNAL_STREAM");
	cr_assert(logsock_journal_wanted("true"));
}

/* A /dev of our own, with a receiver at /dev/log that nobody reads. */
static int receiver(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (unshare(CLONE_NEWNS) < 0)
		cr_skip_test("needs a mount namespace");
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("none", "/dev", "tmpfs", 0, ""), 0);
	strcpy(address.sun_path, logsock_path(LOGSOCK_SYSLOG));
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

Test(logsock, a_receiver_gets_datagrams_and_one_that_does_not_read_holds_nobody_up)
{
	static struct seclog_record r = {.bytes = 5, .text = "hello"};
	struct logsock s;
	char text[16];
	int i, fd = receiver();

	cr_assert_eq(logsock_open(&s), 0);
	cr_assert(logsock_send(&s, LOGSOCK_SYSLOG, &r));
	cr_assert_eq(recv(fd, text, sizeof(text), 0), 5);
	for (i = 0; i < 100000 && logsock_send(&s, LOGSOCK_SYSLOG, &r); i++)
		;
	cr_assert_lt(i, 100000);
	cr_assert_eq(s.error[LOGSOCK_SYSLOG], -EAGAIN);
	cr_assert_eq(s.loss[LOGSOCK_SYSLOG].lines, 1);
	cr_assert_eq(recv(fd, text, sizeof(text), 0), 5);
	cr_assert(logsock_send(&s, LOGSOCK_SYSLOG, &r));
	close(fd);
	cr_assert_not(logsock_send(&s, LOGSOCK_SYSLOG, &r));
	cr_assert_eq(
		s.error[LOGSOCK_SYSLOG], -ECONNREFUSED, "%s", strerror(-s.error[LOGSOCK_SYSLOG]));
	logsock_close(&s);
}

Test(logsock, nobody_is_there)
{
	static struct seclog_record r = {.bytes = 5, .text = "hello"};
	struct logsock s;
	int fd = receiver();

	cr_assert_eq(unlink(logsock_path(LOGSOCK_SYSLOG)), 0);
	cr_assert_eq(logsock_open(&s), 0);
	cr_assert_not(logsock_send(&s, LOGSOCK_SYSLOG, &r));
	cr_assert_eq(s.error[LOGSOCK_SYSLOG], -ENOENT);
	close(fd);
	logsock_close(&s);
}
