/* Guest to outside: borrowed buffers wait in a queue per flow until the host kernel takes their
 * bytes. */
#ifndef NATLOCK_NATPROXY_UPLOAD_H
#define NATLOCK_NATPROXY_UPLOAD_H

#include "natproxy.h"

/* Queues the segments of a TCP_DATA. -EPROTO: wrong offset, data after FIN, or a buffer that is
 * queued already. */
int upload_data(struct natproxy *np, struct flow *f, const struct ring_desc *d);
/* Writes what the socket takes, in bounded portions; true when it would take more at once. */
bool upload_turn(struct natproxy *np, struct flow *f);
/* Gives every queued buffer back unsent. */
void upload_discard(struct natproxy *np, struct flow *f);
/* Stream offset up to which the guest's bytes are safe to acknowledge. */
uint64_t upload_consumed(struct natproxy *np, const struct flow *f);
/* Copies up to `room` queued bytes out for inspection and gives their buffers back: how many. */
size_t upload_copy(struct natproxy *np, struct flow *f, uint8_t *out, size_t room);
/* After progress: reports it, and passes the guest's FIN on once everything before it has left. */
void upload_settle(struct natproxy *np, struct flow *f);

#endif
