/*
 * What the tests of doors share: a control connection, alg's wishes, the peer beyond and the guest. They are linked with
 * --wrap=inspect_find and --wrap=inspect_answered, so that any ALG can be the one that asks, and silence is no matter.
 */
#ifndef NATLOCK_TESTS_NATPROXY_DOORS_H
#define NATLOCK_TESTS_NATPROXY_DOORS_H

#include "rig.h"

enum { CONTROL = 0x30007, DATA = 0x40008, RTP = 41000 };

extern uint16_t door_guest_port; /* from which it begins; at first 40000 */
extern enum algs_id door_alg; /* whose the control connection is; at first RTSP */
extern bool door_observes;
extern uint32_t door_outside_be; /* how its peer sees the guest; 0: as it is */
extern const char *door_device; /* by which its peer speaks; NULL: as it is */

/* A core with a control connection to 127.0.0.1, inspected, from the guest's port 40000. */
struct rig *door_controlled(struct rig_options o);
/* alg's messages about it; what wish returns was granted. */
bool door_wish(struct rig *r, uint32_t token, Nl__PinholeKind kind, uint32_t port, bool latent);
void door_close(struct rig *r, uint32_t token);
void door_arm(struct rig *r, uint32_t token);
void door_arm_for(struct rig *r, uint32_t token, uint32_t peer_ip_be);
void door_keep(struct rig *r, uint32_t token);
void door_hold(struct rig *r, uint32_t milliseconds);
/* One that says who is to come, and so many pairs. */
bool door_wish_for(struct rig *r, uint32_t token, uint32_t port, uint32_t pairs, uint32_t peer_ip_be);

/* A far end's UDP socket at 127.0.0.`last`: 1 is the control connection's peer; its port; and what it sends. */
int door_far_end(uint8_t last);
uint16_t door_port_of(int fd);
void door_throw_at(int fd, uint32_t port, const char *text);

/* netstack's part for the guest's datagrams: a flow begins, says "out" to a port of 127.0.0.1, hears this. */
void door_guest_begins(struct rig *r, uint32_t flow, uint16_t port, uint32_t token);
void door_guest_sends(struct rig *r, uint32_t flow, uint16_t port);
bool door_guest_hears(struct rig *r, uint32_t flow, const char *text);
struct flow *door_flow_of(struct rig *r, uint32_t id);

#endif
