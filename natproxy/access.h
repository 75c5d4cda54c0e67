/*
 * Where a guest may go. Pure. The host's own addresses, loopback, link-local, multicast and
 * reserved destinations are denied unless nat.host_loopback = allow opens the first two; the hub's
 * own subnet is not behind the gateway; the gateway's port 53 is the DNS redirect (seed 3.7.4);
 * everything is refused while the loop guard is raised.
 */
#ifndef NATLOCK_NATPROXY_ACCESS_H
#define NATLOCK_NATPROXY_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "sock.h"

enum { ACCESS_OWN_MAX = 1024, ACCESS_DNS_PORT = 53 };

enum access_verdict {
	ACCESS_ALLOWED,
	ACCESS_DNS,    /* the gateway's port 53: relay to a resolver */
	ACCESS_DENIED, /* policy */
	ACCESS_LOOP,   /* going out would come back in (seed 3.7.4) */
};

struct access {
	uint32_t gateway_ip_be, netmask_be;
	bool host_allowed; /* nat.host_loopback = allow */
	bool dns_redirect;
	bool loop_guard;  /* nat.loop_guard */
	bool loop;	  /* as the supervisor found it */
	bool own_partial; /* the host has more addresses than are listed: any may be one */
	uint32_t own_count;
	uint32_t own_ip_be[ACCESS_OWN_MAX];
};

/* Why a verdict refuses, for the log. */
const char *access_reason(enum access_verdict verdict);
enum access_verdict access_check(const struct access *a, const struct sock_address *to);
/* Whether an address is a guest's: inside the hub's subnet, neither the gateway nor network or
 * broadcast address. */
bool access_is_guest(const struct access *a, uint32_t ip_be);
bool access_is_own(const struct access *a, uint32_t ip_be);
/* One of the host's own, or its loopback. */
bool access_is_local(const struct access *a, uint32_t ip_be);
/*
 * How a peer outside is shown to a guest: its own address, or the gateway's where the peer is on
 * the host's loopback or claims an address of the hub, which would be nonsense on the guest's wire.
 */
uint32_t access_shown_as(const struct access *a, uint32_t ip_be);

#endif
