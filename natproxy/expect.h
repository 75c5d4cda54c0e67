/* Expectations with their sockets: what alg asks for, judged by pinhole.h, opened, used once,
 * closed, and logged. */
#ifndef NATLOCK_NATPROXY_EXPECT_H
#define NATLOCK_NATPROXY_EXPECT_H

#include "natproxy.h"

/* Somebody knocks at the door `ref`. */
void expect_ready(struct natproxy *np, uint32_t ref);
/* Closes the doors of a control flow. */
void expect_close_flow(struct natproxy *np, uint32_t flow, const char *why);
/* Closes the doors whose time is over. */
void expect_timeout(struct natproxy *np);

#endif
