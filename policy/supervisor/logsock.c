/*
 * Theory of operation. The socket is not connected: each datagram names its receiver's path, so a journald that was restarted, or comes up
 * later than we do, is found again without a connection that could go stale.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "logsock.h"

static const struct sockaddr_un place[LOGSOCK_PLACES] = {
	[LOGSOCK_JOURNAL] = {AF_UNIX, "/run/systemd/journal/socket"}, /* systemd-journald(8) */
	[LOGSOCK_SYSLOG] = {AF_UNIX, "/dev/log"},
};

bool logsock_journal_wanted(const char *journal)
{
	if (journal && strcmp(journal, "auto") == 0)
		return getenv("JOURNAL_STREAM") != NULL;
	return journal && strcmp(journal, "true") == 0;
}

int logsock_open(struct logsock *s)
{
	*s = (struct logsock){.pid = getpid()};
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return s->fd < 0 ? -errno : 0;
}

void logsock_configure(struct logsock *s, const Nl__Log *conf)
{
	s->wanted[LOGSOCK_JOURNAL] = logsock_journal_wanted(conf->journal);
	s->wanted[LOGSOCK_SYSLOG] = conf->syslog;
}

const char *logsock_path(enum logsock_to to)
{
	return place[to].sun_path;
}

bool logsock_send(struct logsock *s, enum logsock_to to, const struct seclog_record *r)
{
	ssize_t n = sendto(s->fd, r->text, r->bytes, MSG_DONTWAIT | MSG_NOSIGNAL,
		(const struct sockaddr *)&place[to], sizeof(place[to]));

	s->error[to] = n < 0 ? -errno : 0;
	if (n < 0)
		seclog_loss_count(&s->loss[to], s->error[to]);
	return n >= 0;
}

void logsock_close(struct logsock *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}
