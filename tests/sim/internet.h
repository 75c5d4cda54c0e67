/*
 * The Internet that natproxy's sockets see: hosts with TCP services, UDP echo, ping, a resolver, each a fixed latency
 * away. TCP is modelled above segments: two pipes with finite buffers, in order, with FIN and RST; loss on that side is
 * the host kernel's business. Urgent data is not modelled.
 */
#ifndef NATLOCK_TESTS_SIM_INTERNET_H
#define NATLOCK_TESTS_SIM_INTERNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	INTERNET_BUFFER = 256 * 1024, /* bytes on the way and unread, a direction */
	INTERNET_SERVICES = 64,
};
#define INTERNET_LATENCY_NS UINT64_C(1000000)
#define INTERNET_TIMEOUT_NS UINT64_C(127000000000) /* Linux: six SYNs */

/* Addresses in host order. Every address in 203.0.113.0/24 answers; the rest of the world is silent. */
enum {
	HOST_IP = 0xc6336402u,	 /* 198.51.100.2, the host on which natproxy runs */
	SERVER_IP = 0xcb007105u, /* 203.0.113.5 */
	RESOLVER_IP = 0xcb007135u,
	SILENT_IP = 0xc0000201u, /* 192.0.2.1 */
	UDP_ECHO_PORT = 7,
};

/* The far end of one TCP connection. Each function returns as a socket call does, errors as -errno. */
struct peer {
	void (*event)(struct peer *p); /* bytes, room, FIN or reset came */
	void *app;
	uint32_t ip; /* as the server sees it: who called, or for outgoing calls whom */
	uint16_t port;
	bool connected, failed, reset; /* outgoing: how it ended; reset: by the other end */
};
ssize_t peer_write(struct peer *p, const void *bytes, size_t n);
ssize_t peer_read(struct peer *p, void *bytes, size_t n);
void peer_finish(struct peer *p);
void peer_reset(struct peer *p);
void peer_close(struct peer *p);

/* A service: accept is called with each connection as its SYN arrives. backlog false: connections are refused. */
void internet_serve(
	uint32_t ip, uint16_t port, void (*accept)(struct peer *p, void *arg), void *arg);
/* A far host calls this host; peer->event tells how it went. */
struct peer *internet_call(uint32_t from_ip, uint16_t from_port, uint16_t host_port,
	void (*event)(struct peer *p), void *app);
/* One far host has a service of datagrams of its own: heard is told of each, and of the port of this host that sent it. */
void internet_serve_datagrams(uint32_t ip, uint16_t port,
	void (*heard)(uint16_t host_port, const uint8_t *bytes, size_t n));
/* It says something to a port of this host; where nobody has that port then, it is lost. */
void internet_say(uint16_t host_port, const void *bytes, size_t n);
/* Datagrams that the resolver and the echo service answered. */
uint64_t internet_answered(void);
/* Sockets that natproxy has open. */
uint32_t internet_sockets(void);

#endif
