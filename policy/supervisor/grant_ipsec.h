/*
 * What IPsec that is not in UDP needs of root, opened while there is root's power and given to the
 * hub's natproxy at its start: a raw socket of ESP (alg.ipsec.esp), and UDP port 500, from which IKE
 * leaves that keeps its port (alg.ipsec.preserve_port_list).
 *
 * A raw socket of protocol 50 sends nothing but ESP; what it hears is cut down by a filter that
 * nobody can take off again: whole headers without IP options, and an SPI. Both are kept until
 * natlock ends, so that a natproxy that is born again gets them again; what they are for, and
 * whether for anything now, natproxy's configuration says.
 */
#ifndef NATLOCK_SUPERVISOR_GRANT_IPSEC_H
#define NATLOCK_SUPERVISOR_GRANT_IPSEC_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#include "grant.h"
#include "hub.h"

struct supervisor;

enum {
	GRANT_IPSEC_FILTER = 8, /* instructions */
	GRANT_IPSEC_WHY = 240,
};

struct grant_ipsec_socket {
	bool asked; /* the configuration wanted it at the start */
	int fd;	    /* -1: none */
	int error;  /* asked: why there is none, an errno */
};

/* Of one hub, which has one natproxy where it has any of it (conf_check_ipsec). */
struct grant_ipsec {
	struct grant_ipsec_socket esp, ike;
	char device[GRANT_DEVICE]; /* that ike is bound to, nat.vrf's at the start; empty: any */
};

/* Lets in ESP of 8 bytes or more, its SPI not 0 (RFC 4303 2.1), whose IP header has no options. Pure. */
void grant_ipsec_filter(struct sock_filter out[GRANT_IPSEC_FILTER]);
/* Opens what the hubs need. Needs the caller's rights: before identity_enter. Syscalls: setsockopt
 * bind close, those of identity_socket */
void grant_ipsec_open(struct supervisor *s);
/* Notes what the hub's configuration wants now and there is no socket for, with what to do; what was
 * noted of it before is forgotten. */
void grant_ipsec_note(struct hub *hub);
/* Appends the same to a text that fills less than `cap`, for whoever has just changed it. */
void grant_ipsec_missing(const struct hub *hub, char *text, size_t cap);
/* Hands over what there is, or says why there is none of what is wanted; before Start. IKE's names
 * its port and its device. */
void grant_ipsec_tell(struct worker *natproxy);
void grant_ipsec_close(struct supervisor *s);

#endif
