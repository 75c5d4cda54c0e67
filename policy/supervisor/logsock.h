/*
 * The other places that security events go to: systemd's journal (log.journal) and the computer's syslog (log.syslog). Datagrams on one
 * socket, which is opened before the supervisor is locked and bound to nobody: either service may come, go and come back.
 *
 * Never blocks: what a receiver does not take at once is lost and counted.
 */
#ifndef NATLOCK_SUPERVISOR_LOGSOCK_H
#define NATLOCK_SUPERVISOR_LOGSOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "config.pb-c.h"
#include "seclog.h"

enum logsock_to { LOGSOCK_JOURNAL, LOGSOCK_SYSLOG, LOGSOCK_PLACES };

struct logsock {
	int fd;	 /* -1: none */
	int pid; /* for syslog's tag */
	bool wanted[LOGSOCK_PLACES];
	int error[LOGSOCK_PLACES]; /* of the last datagram, -errno; 0: it went */
	struct seclog_loss loss[LOGSOCK_PLACES];
};

/* Whether log.journal means yes; auto: natlock is a unit of systemd (JOURNAL_STREAM, systemd.exec(5)). */
bool logsock_journal_wanted(const char *journal);
/* 0, or -errno: then nothing is sent. Syscalls: socket getpid */
int logsock_open(struct logsock *s);
/* What the configuration says, now or after a reload. */
void logsock_configure(struct logsock *s, const Nl__Log *conf);
/* Where the datagrams of a place go. */
const char *logsock_path(enum logsock_to to);
/* Sends one datagram; false: it is lost, s->error says why. Syscalls: sendto */
bool logsock_send(struct logsock *s, enum logsock_to to, const struct seclog_record *r);
void logsock_close(struct logsock *s);

#endif
