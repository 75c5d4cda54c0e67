/* What the security log says of published ports: when one began to listen and when it ended. */
#ifndef NATLOCK_NATPROXY_PORTLOG_H
#define NATLOCK_NATPROXY_PORTLOG_H

#include "natproxy.h"

void portlog_opened(struct natproxy *np, const struct publish *p);
void portlog_closed(struct natproxy *np, const struct publish *p);

#endif
