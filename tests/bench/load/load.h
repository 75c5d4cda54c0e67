/*
 * The two ends of every measured flow. One program, one command a run (main.c lists them). A
 * client prints one JSON object a line on standard output; servers print nothing. Kernel sockets
 * only: what is measured lies between the ends. Own failures (no socket, no memory) end the program
 * with a message; what the network does is counted.
 */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LOAD_PORT_WEB = 80, /* some gateways look for an Internet there before they choose a mode */
	LOAD_PORT_SIP = 5060,	/* TCP and UDP */
	LOAD_PORT_ECHO = 7001,	/* TCP and UDP: what arrives goes back */
	LOAD_PORT_SHORT = 7100, /* first of LOAD_SHORT_PORTS for short connections */
	LOAD_SHORT_PORTS = 16,	/* so many, or client ports in TIME-WAIT would run out */
	LOAD_NS_PER_SECOND = 1000000000,
};

/* CLOCK_MONOTONIC, nanoseconds: one clock for all namespaces. */
uint64_t load_now_ns(void);

/* now + seconds (a decimal number as typed). */
uint64_t load_deadline_ns(const char *seconds);

/* Prints `what` with errno's text and exits with status 1. */
_Noreturn void load_die(const char *what);

/* Exits with a message if ip is not a dotted address. port in host byte order. */
struct sockaddr_in load_address(const char *ip, unsigned port);

/* A non-blocking listener on address. */
int load_listen(struct sockaddr_in address);

/* A blocking UDP socket with much room to receive; bound to own, connected to far (NULL: not). */
int load_datagram_socket(const struct sockaddr_in *own, const struct sockaddr_in *far);

/* A non-blocking TCP socket without Nagle, connecting; -1 if not even that began (errno). */
int load_connect_begin(const struct sockaddr_in *far);

/* The same, waits up to 3 s for it to stand; blocking afterwards. -1: it does not stand. */
int load_connect(const struct sockaddr_in *far);

/* Adds fd to an epoll set or changes what it waits for; data comes back in data.u64. */
void load_watch(int epoll, int fd, uint32_t events, uint64_t data, bool known);

/* Lets this process open as many descriptors as it may. */
void load_raise_descriptors(void);

/* Memory for count things of size bytes, zeroed; never NULL, never freed. */
void *load_alloc(size_t count, size_t size);

/* Round-trip times of one run; the first SAMPLES_MAX are kept for the percentiles. */
struct samples {
	uint64_t *took_ns;
	uint64_t begin_ns, count, failed;
};

/* Starts the clock of the run. */
void load_samples_begin(struct samples *s);

/* One answer that took from begin_ns until now. */
void load_samples_add(struct samples *s, uint64_t begin_ns);

/* Prints rate per second, p50_us, p99_us, count and failed; 0 if there was an answer, else 1. */
int load_samples_print(struct samples *s);

/* Whoever is called, until its process is ended. */
void sip_serve_datagrams(const char *ip);
void sip_serve_streams(const char *ip);

/* The commands. argument[0] is the first word after the command's name; the result is main's. */
int server_run(char **argument);      /* ADDRESS */
int flows_first(char **argument);     /* ADDRESS SECONDS */
int rr_tcp(char **argument);	      /* ADDRESS SECONDS */
int rr_udp(char **argument);	      /* ADDRESS SECONDS */
int flows_crr(char **argument);	      /* ADDRESS AT-ONCE SECONDS */
int flows_hold(char **argument);      /* ADDRESS COUNT SECONDS */
int flood_send(char **argument);      /* ADDRESS PORT SIZE SECONDS */
int flood_receive(char **argument);   /* ADDRESS PORT SECONDS */
int flood_send_back(char **argument); /* ADDRESS PORT SIZE SECONDS */
int flood_fetch(char **argument);     /* ADDRESS PORT SECONDS */
int names_run(char **argument);	      /* ADDRESS OUTSTANDING DISTINCT SECONDS */
int dhcp_run(char **argument);	      /* INTERFACE CLIENTS OUTSTANDING SECONDS */
int sip_udp(char **argument);	      /* ADDRESS AT-ONCE CALLS */
int sip_tcp(char **argument);	      /* ADDRESS AT-ONCE CALLS */
