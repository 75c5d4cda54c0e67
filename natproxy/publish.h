/* Ports open to the outside by configuration, and connections from outside that the guest has not
 * answered yet. */
#ifndef NATLOCK_NATPROXY_PUBLISH_H
#define NATLOCK_NATPROXY_PUBLISH_H

#include "natproxy.h"

/* Opens every configured port; one that fails is said with its cause and what to do. */
void publish_start(struct natproxy *np);
void publish_stop(struct natproxy *np);
/* The socket of entry i is ready. */
void publish_ready(struct natproxy *np, uint32_t i);
/* Announces an accepted connection, whose descriptor is owned already, to the guest. Takes the
 * descriptor. */
void publish_announce(struct natproxy *np, int fd, const struct sock_address *guest,
	const struct sock_address *peer);
/* Lets a UDP flow whose guest endpoint is published use the published socket: true if so. */
bool publish_attach(struct natproxy *np, struct flow *f);
void publish_detach(struct natproxy *np, struct flow *f);
/* Gives up on what the guest did not answer; when the next will be given up. */
void publish_timeout(struct natproxy *np);
uint64_t publish_deadline(const struct natproxy *np);

#endif
