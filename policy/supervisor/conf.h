/*
 * The configuration: defaults.yaml (embedded), a user's file laid over it, and the checks that one
 * value cannot pass alone. What comes back is whole: every key of config.proto has a value, and the
 * workers need not check again for sense (they still check for bounds: the configuration crosses a
 * process border).
 */
#ifndef NATLOCK_SUPERVISOR_CONF_H
#define NATLOCK_SUPERVISOR_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config.pb-c.h"
#include "reflect.h"

enum {
	CONF_HUBS_MAX = 16,
	CONF_RESERVATIONS_MAX = 256,
	CONF_PUBLISH_MAX = 256,
	CONF_PORTS_MAX = 16,
	CONF_ALG_LISTS_MAX = 4, /* of one ALG */
	CONF_DNS_MAX = 8,
	CONF_STATIC_MAX = 256,
	CONF_STATIC_PORTS_MAX = 32, /* of one static address */
	CONF_RCMD_SOCKETS_MAX = 16, /* of one outside address: one message's descriptors */
	CONF_SOCKETS_MAX = 512,	    /* of a hub's open ports */
	CONF_IKE_PORT = 500,	    /* RFC 7296 2: that alg.ipsec.preserve_port_list takes */
	CONF_VRFS_MAX = 16,
	CONF_ACCESS_LISTS_MAX = 99,    /* lists, and the highest number of one */
	CONF_ACCESS_SUBNETS_MAX = 256, /* of one list, permitted or denied */
	CONF_ROUTES_MAX = 32,
	CONF_UPSTREAMS_MAX = 8,
	CONF_CACHE_MAX = 16384, /* answers */
	CONF_HUB_BYTES =
		48 * 1024,     /* packed: with its filter it is one record to a worker (chan.h) */
	CONF_POOL_MAX = 65280, /* addresses of dhcp.range; with the reservations 2^16 */
};

struct conf_error {
	char file[256];	  /* as it was given or found; "defaults" when none was */
	int line, column; /* from 1; 0 when the place is not in the file */
	int os;		  /* errno where the file could not be opened or read, else 0 */
	char text[512];	  /* one line: the value, what is allowed, what to do */
};

/*
 * Reads the file (at most REFLECT_YAML_MAX bytes), or for NULL the first that exists of
 * /etc/natlock.yaml, $XDG_CONFIG_HOME/natlock.yaml and ~/.config/natlock.yaml, or none. NULL with
 * *error when it cannot be opened, read or accepted. The caller frees with conf_free. Syscalls:
 * openat read close
 */
Nl__Config *conf_load(const char *path, struct conf_error *error);
/* The same from memory; `name` is what the error calls it. Any input. */
Nl__Config *conf_parse(const char *name, const char *text, size_t bytes, struct conf_error *error);
/* The same from an open descriptor, to its end. Syscalls: read */
Nl__Config *conf_read(const char *name, int fd, struct conf_error *error);
void conf_free(Nl__Config *config);
/* The defaults alone. NULL: no memory. */
Nl__Config *conf_defaults(void);
/* The file that conf_load(NULL) would read, into out; false when there is none. Syscalls: newfstatat
 */
bool conf_find(char *out, size_t cap);

/* defaults.yaml as it is embedded, comments included. */
const char *conf_defaults_text(void);

/*
 * Checks what conf_load checks, for a configuration changed afterwards (command line options).
 * marks may be NULL: then no place is told. 0, or -EINVAL with line, column and text of *error.
 */
int conf_check(
	const Nl__Config *config, const struct reflect_marks *marks, struct conf_error *error);

/*
 * How many shards a configuration's `shards` means on a computer with that many processors: 1 to
 * SHARD_MAX, 0 when it says nothing that conf_check lets pass. auto: one for every four, and one
 * alone below eight. Pure.
 */
unsigned int conf_shards(const char *shards, unsigned int processors);
/* Processors of this computer, as `shards: auto` counts them now; 1 at least. Syscalls: openat read close */
unsigned int conf_processors(void);

/* "natlock.yaml:12:5: unknown key ..." into out. */
const char *conf_error_text(const struct conf_error *error, char *out, size_t cap);
/* The whole configuration as YAML, and what differs from the defaults (false: nothing does). */
void conf_print(FILE *out, const Nl__Config *config);
bool conf_print_diff(FILE *out, const Nl__Config *config);
/* What differs from another configuration, hubs compared by name and left out where they are the same; it can be laid
 * over that one by reflect_yaml_merge. */
bool conf_print_since(FILE *out, const Nl__Config *config, const Nl__Config *before);

#endif
