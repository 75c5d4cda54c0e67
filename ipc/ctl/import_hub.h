/* What is known of one of SoftEther's hubs, between reading (import.c), making it acceptable
 * (import_settle.c) and writing it (import_write.c). Addresses are in host order. */
#ifndef NATLOCK_CTL_IMPORT_HUB_H
#define NATLOCK_CTL_IMPORT_HUB_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "softether.h"

enum {
	IMPORT_HUBS_MAX = 16, /* that one natlock serves */
	IMPORT_BRIDGES_MAX = 64,
	IMPORT_ROUTES_MAX = 16,
	IMPORT_NAME_BYTES = 33,	   /* of a hub of ours */
	IMPORT_DOMAIN_BYTES = 254, /* RFC 1035 2.3.4 */
};

struct import_route {
	uint32_t to, prefix, via;
};

/* Numbers and booleans are uint32_t, so that one table of offsets fills them (import.c). */
struct import_hub {
	char name[SOFTETHER_NAME_BYTES]; /* SoftEther's; not printable in general */
	char ours[IMPORT_NAME_BYTES];	 /* settled */
	uint32_t online, disabled, log;
	uint8_t mac[6];
	uint32_t has_mac, address, netmask;
	uint32_t nat, mtu, tcp_timeout, udp_timeout;		       /* seconds */
	uint32_t dhcp, from, to, dhcp_netmask, lease, gateway, dns[2]; /* 0: none */
	char domain[IMPORT_DOMAIN_BYTES];
	char push_routes[SOFTETHER_VALUE_BYTES]; /* "10.0.0.0/255.0.0.0/192.168.30.2, ..." */
	struct import_route routes[IMPORT_ROUTES_MAX];
	uint32_t route_count;
	uint32_t max_tcp, max_udp, max_icmp, max_syn, max_dns; /* 0: SoftEther's own */
	uint32_t no_securenat, no_enablenat, no_enabledhcp;
	uint32_t randomize, other_options, users, groups, cascades, rules;
};

struct import_bridge {
	char hub[SOFTETHER_NAME_BYTES], device[64];
	uint32_t tap;
};

struct import {
	struct import_hub hub[IMPORT_HUBS_MAX];
	struct import_bridge bridge[IMPORT_BRIDGES_MAX];
	uint32_t hubs, hubs_lost, bridges, bridges_lost;
	uint32_t listeners, switches, l2tp, etherip, syslog;
	FILE *notes;
};

/* Changes what `natlock check` would refuse, with a note for each. Call for each hub in order. */
void import_settle(struct import *im, uint32_t index);
/* All hubs as YAML; what has no counterpart as notes. */
void import_write(FILE *out, const struct import *im, const char *source);

#endif
