/* What a guest calls itself in what it says by RTSP, put as its peer sees it. Pure. */
#ifndef NATLOCK_ALG_RTSP_NAMES_H
#define NATLOCK_ALG_RTSP_NAMES_H

#include "header.h"
#include "splice.h"

/* Edits of a message from the guest: its session description with the length of that, and, where it
 * serves, its URLs in headers. uri: of a request, else empty. */
void rtsp_names_edit(
	struct splice *s, const struct alg_flow *f, const struct header *h, struct text uri);

#endif
