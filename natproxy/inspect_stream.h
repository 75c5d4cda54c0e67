/* TCP connections under inspection. */
#ifndef NATLOCK_NATPROXY_INSPECT_STREAM_H
#define NATLOCK_NATPROXY_INSPECT_STREAM_H

#include "natproxy.h"

/* Puts a flow that has just connected under inspection if the configuration says so and there is
 * room. `by`: of one that came by an expectation; else NULL. */
void inspect_stream_start(struct natproxy *np, struct flow *f, const struct derived *by);
/* The flow is over: tells alg, closes its doors, frees the slot. Nothing happens if it was not
 * inspected. */
void inspect_stream_end(struct natproxy *np, struct flow *f);
/* The two directions' work, instead of upload.c's and download.c's; true when more can be done at
 * once. */
bool inspect_stream_upload(struct natproxy *np, struct flow *f);
bool inspect_stream_download(struct natproxy *np, struct flow *f);
/*
 * The same for a connection that ends here (dnstcp.h): bytes of the guest that may go on, at most
 * `room`; bytes for the guest, of which as many are taken as there is room for; and those that may
 * go on to it. Takes the place of upload_copy and download_copy.
 */
size_t inspect_stream_take(struct natproxy *np, struct flow *f, uint8_t *out, size_t room);
uint32_t inspect_stream_give(struct natproxy *np, struct flow *f, const uint8_t *bytes, uint32_t n);
void inspect_stream_lend(struct natproxy *np, struct flow *f);
/* Stream offset up to which the guest's bytes are with the host kernel. */
uint64_t inspect_stream_consumed(const struct natproxy *np, const struct flow *f);
/* Whether nothing of a direction is held any more. */
bool inspect_stream_drained(
	const struct natproxy *np, const struct flow *f, Nl__Direction direction);

#endif
