/*
 * Sockets that only root can open, opened before root's power goes and handed to natproxy when it
 * asks (SocketWanted, SocketGrant): published ports below 1024.
 *
 * What was opened is kept until natlock ends or the port stands neither in the running
 * configuration nor in the file, so that a natproxy that is born again gets it again. A port that
 * is kept and not published listens to nobody.
 */
#ifndef NATLOCK_SUPERVISOR_GRANT_H
#define NATLOCK_SUPERVISOR_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.pb-c.h"

struct supervisor;
struct hub;

enum {
	GRANT_PORTS_END = 1024, /* ports from here on are natproxy's own to open */
	GRANT_MAX = 512,	/* kept sockets */
	GRANT_DEVICE = 16,
};

/* An outside port of a hub, as nat.publish or nat.static has it. */
struct grant_port {
	bool udp;
	uint32_t ip_be; /* 0: any */
	uint16_t port;
	char device[GRANT_DEVICE]; /* of its vrf; empty: any */
	uint32_t guest_ip_be;
};

struct grant {
	unsigned int hub; /* index */
	struct grant_port at;
	int fd;	     /* -1: it could not be opened */
	int error;   /* and why: an errno */
	bool in_use; /* natproxy has it */
};

struct grants {
	struct grant entry[GRANT_MAX];
	unsigned int count;
	unsigned int left_out; /* for which there was no room */
	uint32_t end;	       /* of the ports that needed a privilege at the start */
};

/* The ports below `end` that a hub's configuration opens, at most `cap` of them into out; how many.
 * Pure. */
size_t grant_ports(const Nl__Nat *nat, uint32_t end, struct grant_port *out, size_t cap);

/* The device by which a VRF of the configuration leaves (NULL: nat.vrf's); empty: any. Pure. */
const char *grant_device(const Nl__Nat *nat, const char *vrf);

/*
 * Opens all of them for all hubs. One that cannot be opened is kept with its error, to be told when
 * natproxy asks. An ordinary user gets none. Needs the caller's rights: before identity_enter.
 * Syscalls: openat read socket setsockopt bind listen shutdown close, those of identity_socket
 */
void grant_open(struct supervisor *s);
/* The configuration is another one now: closes what stands nowhere any more, silences what does not
 * run. Syscalls: shutdown setsockopt close */
void grant_settle(struct supervisor *s);
/* The lowest port that this hub publishes and nobody may open now: 0 none. */
uint16_t grant_missing(struct hub *hub);
/* This hub takes no more from outside. Syscalls: shutdown setsockopt */
void grant_silence(struct hub *hub);
void grant_close(struct supervisor *s);

#endif
