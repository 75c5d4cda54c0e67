/*
 * The hub's configuration as the DHCP server needs it, checked once more: at the start and
 * whenever it changed. Pure.
 */
#ifndef NATLOCK_DHCPD_SETTINGS_H
#define NATLOCK_DHCPD_SETTINGS_H

#include <stdbool.h>

#include "config.pb-c.h"
#include "engine.h"

enum {
	SETTINGS_LEASE_MAX_S = 10 * 365 * 86400,
	SETTINGS_LEASES_A_MAC =
		2, /* of limits.macs_per_port: stations that left keep theirs until they run out */
};

struct settings {
	bool enable, log;
	bool force; /* serve although another server answers */
	struct engine_config engine;
};

/*
 * host_domain: this computer's, for dhcp.domain = host; NULL = none. Keeps nothing of hub. 0, or
 * -EINVAL or -E2BIG for what the supervisor does not let pass; then *out is not to be used.
 */
int settings_read(struct settings *out, const Nl__Hub *hub, const char *host_domain);

#endif
