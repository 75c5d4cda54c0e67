/* What natproxy reads of the hub's configuration, at boot and whenever it changes. */
#ifndef NATLOCK_NATPROXY_CONFIGURE_H
#define NATLOCK_NATPROXY_CONFIGURE_H

#include "natproxy.h"

/* Takes all of it over, except for the ports (forward.h). 0, or -EINVAL when something is missing;
 * then nothing was changed. */
int configure_read(struct natproxy *np, const Nl__Hub *hub);
/* The i-th port that the configuration wants open, those of nat.static after those of nat.publish;
 * false: there are no more. What makes no sense is passed over. */
bool configure_publish(const Nl__Nat *nat, size_t i, struct publish *out);

#endif
