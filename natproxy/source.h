/* Where the sockets of a guest stand outside: nat.static gives it an address of its own, nat.vrf a
 * device. */
#ifndef NATLOCK_NATPROXY_SOURCE_H
#define NATLOCK_NATPROXY_SOURCE_H

#include "natproxy.h"

/* The entry of nat.static for this guest, or NULL. */
const struct fixed *source_fixed(const struct natproxy *np, uint32_t guest_ip_be);
/* Address and device of a guest's sockets; the port is 0. Points into the configuration: for use
 * within the call. */
struct sock_place source_of(const struct natproxy *np, uint32_t guest_ip_be);
/*
 * The n-th port to try for a guest's endpoint, as portpick_candidate. Behind an address of its own
 * a guest keeps its own number, whatever other guests have.
 */
uint16_t source_port(struct natproxy *np, enum nat_protocol protocol,
	const struct sock_address *guest, unsigned int n);
/* The outlet's device for sock.h: NULL for none. */
const char *source_device(const struct outlet *o);

#endif
