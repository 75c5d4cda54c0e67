/*
 * Which inside address is which outside one (nat.static), for protocols that carry addresses of other
 * hosts than their own ends: names in DNS, entries of a directory. A flow sees the mappings of its
 * own VRF only, so that overlapping networks stay apart. Pure.
 */
#ifndef NATLOCK_ALG_MAPS_H
#define NATLOCK_ALG_MAPS_H

#include "alg.h"

enum {
	MAPS_MAX = 256,	     /* as many as nat.static may have */
	MAPS_VRFS = 64,	     /* as many as nat.vrfs may have, and the host's routes */
	MAPS_VRF_BYTES = 33, /* a name and its NUL */
};

struct maps {
	uint32_t count, vrf_count;
	char vrf[MAPS_VRFS][MAPS_VRF_BYTES]; /* the first is the host's routes: "" */
	struct {
		uint32_t inside_ip_be, outside_ip_be;
		uint8_t vrf;
	} map[MAPS_MAX];
};

void maps_clear(struct maps *m);
/* The number of this VRF (NULL or "": the host's routes), which is new if need be; MAPS_VRFS where
 * there are too many: such a flow sees no mapping. */
uint8_t maps_vrf(struct maps *m, const char *name);
/* One mapping more; false where there are too many. */
bool maps_add(struct maps *m, uint32_t inside_ip_be, uint32_t outside_ip_be, uint8_t vrf);

/* The inside address that this outside address means to a flow, or the other way; false: none. */
bool maps_inside(const struct alg_flow *f, uint32_t outside_ip_be, uint32_t *inside_ip_be);
bool maps_outside(const struct alg_flow *f, uint32_t inside_ip_be, uint32_t *outside_ip_be);

#endif
