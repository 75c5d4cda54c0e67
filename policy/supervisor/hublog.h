/*
 * The security log of a hub: what is said in it, and where that goes. One event becomes a line of the day's file (seclog.h), a
 * datagram for the journal and for syslog where the configuration wants them (logsock.h), and a row for those who follow
 * (events.h). docs/operator.md lists the events.
 */
#ifndef NATLOCK_SUPERVISOR_HUBLOG_H
#define NATLOCK_SUPERVISOR_HUBLOG_H

#include "hub.h"

struct supervisor;

/* The socket for the journal and syslog; once, before any hub's log and before the supervisor is locked. */
void hublog_begin(struct supervisor *s);
/* Opens the hub's files as the configuration has it; says why there are none. */
void hublog_open(struct hub *hub);
/* style, keep_days, journal and syslog of the configuration hold from now on, at the start and after a reload. The folder stays. */
void hublog_configure(struct supervisor *s);
void hublog_close(struct hub *hub);
void hublog_end(struct supervisor *s);

/*
 * Says an event of the supervisor's own; `event` a word of docs/operator.md, the rest printf form. hublog_event takes the parts
 * too; its time and hub are set here, and its process if it has none.
 */
void hublog_say(struct hub *hub, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void hublog_event(struct hub *hub, Nl__EventRow *e);
/*
 * What a worker says: cleaned, and as far as its share of the log goes (seclog_quota_take). Unpacked in `pool`. -EPROTO: no worker
 * of ours says that (no EventRow, no text, or more than a line holds).
 */
int hublog_note(struct worker *w, const Nl__ActorNote *m, struct pool *pool);

void hublog_started(struct hub *hub);
void hublog_stopped(struct hub *hub);
/* A worker ended; `how` such as "was killed by its policy", `blame` what a neighbour reported or "". */
void hublog_process_ended(struct worker *w, const char *how, const char *blame);
/* Its successor runs. */
void hublog_process_started(struct worker *w);
/* Values of the hub's configuration were changed while it runs; `paths` "nat.mtu, dhcp.lease". */
void hublog_config_changed(struct hub *hub, const char *paths);
/* A function of the hub was switched on or off while it runs: "virtual NAT function", say. */
void hublog_switched(struct hub *hub, const char *event, const char *what, bool on);

#endif
