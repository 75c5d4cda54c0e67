/* The command line of natlock, as words; what the words mean to the system is others' business.
 * Pure but for getopt. */
#ifndef NATLOCK_SUPERVISOR_OPTIONS_H
#define NATLOCK_SUPERVISOR_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "trouble.h"

enum command {
	COMMAND_RUN,
	COMMAND_UP,
	COMMAND_ATTACH,
	COMMAND_CHECK,
	COMMAND_DOCTOR,
	COMMAND_DEFAULTS,
	COMMAND_HELP,
	COMMAND_VERSION
};

enum { OPTIONS_PUBLISH = 64, OPTIONS_MTU_MIN = 576, OPTIONS_MTU_MAX = 65520 };

struct options_publish {
	bool udp;
	uint32_t listen_be; /* 0.0.0.0 only when it was said */
	uint16_t listen_port, guest_port;
};

struct options_subnet {
	uint32_t network_be;
	uint8_t prefix; /* 8..29; 0: not given */
};

struct options {
	enum command command;
	const char *config; /* -c */
	const char *hub;    /* --hub */
	const char *user;   /* --user */
	const char *target; /* attach TARGET */
	bool daemon;
	struct options_publish publish[OPTIONS_PUBLISH];
	unsigned int publishes;
	struct options_subnet subnet;
	uint32_t mtu;	/* 0: not given */
	int ready_fd;	/* -1 */
	char **program; /* run: after the options */
};

/* 0, or -1 with *t (exit code 2; run: 125). */
int options_parse(int argc, char **argv, struct options *o, struct trouble *t);
/* The text of --help. */
const char *options_usage(void);

/* "[ADDRESS:]PORT:PORT[/tcp|/udp]"; without an address 127.0.0.1. false: not that. */
bool options_parse_publish(const char *text, struct options_publish *out);
/* "192.168.77.0/24": prefix 8..29, no host bits, private or not. false: not that. */
bool options_parse_subnet(const char *text, struct options_subnet *out);

#endif
