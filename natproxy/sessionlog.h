/* What the security log says of sessions (seed 3.7.8); nothing where nat.log is off. */
#ifndef NATLOCK_NATPROXY_SESSIONLOG_H
#define NATLOCK_NATPROXY_SESSIONLOG_H

#include "natproxy.h"

void sessionlog_created(struct natproxy *np, const struct nat_session *s);
/* The connection of a TCP session was made, or was not. */
void sessionlog_connected(struct natproxy *np, const struct nat_session *s);
void sessionlog_failed(struct natproxy *np, const struct nat_session *s, const char *why);
void sessionlog_deleted(struct natproxy *np, const struct nat_session *s, const char *why);
/* A session that was wanted and is not to be, with the reason; no more than a few lines a second. */
void sessionlog_refused(struct natproxy *np, enum nat_protocol protocol,
	const struct sock_address *guest, const struct sock_address *remote, const char *why);

/* Whether one line more may be written about something refused; if not, it is counted for the next one that may. */
bool sessionlog_may_refuse(struct natproxy *np);
enum { SESSIONLOG_UNSAID_BYTES = 64 };
/* Those that were counted: a further line, in `text`, of the one that may be written. */
void sessionlog_tell_unsaid(
	struct natproxy *np, Nl__EventRow *e, char text[SESSIONLOG_UNSAID_BYTES]);
/* The same of what an ALG that only observes would have done, with a budget of its own. */
bool sessionlog_may_observe(struct natproxy *np);

#endif
