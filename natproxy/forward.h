/*
 * The ports that are open to the outside: those of nat.publish, and those that nat.static names
 * for an address. What comes in by them is publish.c's.
 */
#ifndef NATLOCK_NATPROXY_FORWARD_H
#define NATLOCK_NATPROXY_FORWARD_H

#include "natproxy.h"

/*
 * Makes the table what the configuration says: entries that are in both stay as they are with all
 * their sessions, others close, new ones are noted. Connections of a closed TCP port go on until
 * they end, as a kernel's would; the sessions of a UDP port, which live in its socket, end.
 */
void forward_configure(struct natproxy *np, const Nl__Nat *nat);
/* Opens what is not open. One that cannot be is said with its cause and what to do, and tried
 * again every few seconds. */
void forward_open(struct natproxy *np);
/* Closes all of them. */
void forward_close(struct natproxy *np);
/* The host's addresses or devices changed: sockets whose device is gone are closed, all that is
 * not open is tried. */
void forward_moved(struct natproxy *np);
/* Whether ports are to be open at all. */
bool forward_serves(const struct natproxy *np);
/* The supervisor's answer about a port that is not open: its socket, or why there is none (-errno,
 * and in words that may be NULL). */
void forward_take(struct natproxy *np, struct publish *p, int fd);
void forward_cannot(struct natproxy *np, struct publish *p, int error, const char *why);
/* Tries again what is due. */
void forward_timeout(struct natproxy *np);
/* "listening", or why not. */
const char *forward_state(
	const struct natproxy *np, const struct publish *p, char *text, size_t cap);
/* A session that came by the port with this rule number (place + 1, 0 none) began or ended. */
void forward_count(struct natproxy *np, uint16_t rule, int by);

#endif
