/*
 * The checks of one hub, each of one subject, and those between hubs. All return 0, or -EINVAL with
 * the error filled.
 */
#ifndef NATLOCK_SUPERVISOR_CONF_CHECK_H
#define NATLOCK_SUPERVISOR_CONF_CHECK_H

#include "conf_fault.h"

/* The hub's subnet, in host order. */
struct conf_hub_subnet {
	const Nl__VirtualHost *host;
	uint32_t address, mask;
	char text[32]; /* "192.168.30.0/24" */
};

enum { CONF_SECOND = 1000, CONF_DAY = 86400 * CONF_SECOND };

/* host: fills *s, which the others need. */
int conf_check_host(struct conf_check *c, const Nl__VirtualHost *host, struct conf_hub_subnet *s);
int conf_check_nat(struct conf_check *c, const Nl__Nat *nat, const struct conf_hub_subnet *s);
int conf_check_access(struct conf_check *c, const Nl__Nat *nat);
int conf_check_dhcp(struct conf_check *c, const Nl__Dhcp *dhcp, const struct conf_hub_subnet *s);
/* alg, whose lists are numbers of nat.access_lists */
int conf_check_alg(struct conf_check *c, const Nl__Alg *alg, const Nl__Nat *nat);
/* alg.ipsec, on a computer with that many processors; `shards` must have passed. And what two hubs cannot both have of it. */
int conf_check_ipsec(struct conf_check *c, const Nl__Hub *hub, unsigned int processors);
int conf_check_ipsec_between(struct conf_check *c, const Nl__Hub *hub, const Nl__Hub *earlier);
/* dns, limits, shards */
int conf_check_dns(struct conf_check *c, const Nl__Dns *dns, const struct conf_hub_subnet *s);
int conf_check_limits(struct conf_check *c, const Nl__Limits *limits);
int conf_check_shards(struct conf_check *c, const Nl__Hub *hub);
/* Each word of attach, and none twice. */
int conf_check_attach(struct conf_check *c, const Nl__Hub *hub);
/* What hubs may not share: ports to guests (a hub that is disabled is still a switch), and enabled
 * ones listeners and outside addresses. */
int conf_check_between(struct conf_check *c, const Nl__Config *config);

int conf_check_netmask(
	struct conf_check *c, const ProtobufCMessage *section, const char *title, uint32_t mask_be);
/* An address that must be some station's in the hub's subnet. `what` names it. */
int conf_check_station(struct conf_check *c, struct conf_place p, const char *what,
	uint32_t address_be, const struct conf_hub_subnet *s);
/* The same, and not the gateway's own. */
int conf_check_guest(struct conf_check *c, struct conf_place p, const char *what,
	uint32_t address_be, const struct conf_hub_subnet *s);

/* Whether it lies in the subnet, its first and last address included. Host order. */
bool conf_is_inside(const struct conf_hub_subnet *s, uint32_t address);
/* Neither 0/8, 127/8, multicast nor reserved (RFC 6890). Host order. */
bool conf_is_unicast(uint32_t address);
/* Letters, digits, dots and hyphens; no label over 63 bytes or with a hyphen at its ends (RFC
 * 1123 2.1). */
bool conf_is_domain(const char *name);
/* What the kernel takes for a device's name: 1 to 15 bytes, no '/', ':' or blank, not . or .. */
bool conf_is_device(const char *name);
/* The device that a vrf's name means on this hub (NULL: nat.vrf's); NULL: none. */
const char *conf_device(const Nl__Nat *nat, const char *vrf);
/* Whether there is such a list in nat.access_lists. */
bool conf_has_list(const Nl__Nat *nat, uint32_t number);
/* Whether both would listen on one endpoint of one device, each by its own hub's vrfs. */
bool conf_same_listener(
	const Nl__Nat *a, const Nl__Publish *p, const Nl__Nat *b, const Nl__Publish *q);
/* Whether both take one outside address of one device. */
bool conf_same_outside(
	const Nl__Nat *a, const Nl__Static *p, const Nl__Nat *b, const Nl__Static *q);

#endif
