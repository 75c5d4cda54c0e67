/*
 * What natlock's processes are declared to be, beside their filters (filters.h): the counterpart of
 * what policy/lock.c and supervisor/spawn.c do at a birth, said once more so that an auditor can
 * tell when they no longer do it. Pure.
 */
#ifndef NATLOCK_AUDIT_DECLARE_H
#define NATLOCK_AUDIT_DECLARE_H

#include "found.h"

enum {
	DECLARE_PRIVATE = 32,	  /* uids that a supervisor has for its workers (identity.h) */
	DECLARE_INSIDE = 1,	  /* the only id of a worker's own user namespace */
	DECLARE_NOFILE = 32,	  /* descriptors that every worker may have at least: its boot */
	DECLARE_ECHO_FILTER = 10, /* instructions before raw ICMP (supervisor/grant_echo.c) */
	DECLARE_ECHO_IDENTIFIERS = 512, /* that it lets in, of 16 bits */
	DECLARE_ESP_FILTER = 8,		/* instructions before raw ESP (supervisor/grant_ipsec.c) */
	DECLARE_FENCE_DROPS = 9, /* rules of the fence that drop (supervisor/fence_rules.c) */
};

struct declare_fd {
	const char
		*name;	/* of topology.def: "CH_SUPER"; "placeholder"; NULL: nothing may be there */
	uint32_t kinds; /* bits 1 << enum found_kind, one of which it is */
	bool required;	/* the number must be taken */
};

/* "alg", "supervisor": names a policy; NULL for a keeper or a stranger. Any number. */
const char *declare_name(unsigned int kind);
/* The kind of a worker by the name of its file ("natlock-alg") or of itself ("alg", "alg.2");
 * FOUND_STRANGER: none. */
unsigned int declare_kind(const char *name);
/* A worker's descriptor, 0 or more. */
struct declare_fd declare_fd(enum actor_id id, int number);
/*
 * Whom a worker's descriptor leads to if it is a channel or a doorbell: the actor, FOUND_SUPERVISOR,
 * or the worker's own id for the bell that it hears; -1: it is neither. `bell` tells which.
 */
int declare_peer(enum actor_id id, int number, bool *bell);
/* The first number that is not fixed for life. */
int declare_first_free(enum actor_id id);
/* The most descriptors a worker may have. */
unsigned int declare_nofile(enum actor_id id);
/* Whether a worker has this namespace for itself. Everybody but natproxy has all. */
bool declare_own_namespace(enum actor_id id, enum found_namespace ns);
/* Whether it shares memory with others. */
bool declare_shares_memory(enum actor_id id);
/* Whether these are the instructions before a raw ICMP socket: answers to one block of identifiers. */
bool declare_is_echo_filter(const struct sock_filter filter[DECLARE_ECHO_FILTER]);
/* Whether these are the instructions before a raw ESP socket: plain IPv4 headers and an SPI. */
bool declare_is_esp_filter(const struct sock_filter filter[DECLARE_ESP_FILTER]);
/* Capabilities of the supervisor in its own user namespace: with private uids for its workers or without. */
uint64_t declare_supervisor_capabilities(bool has_private);

#endif
