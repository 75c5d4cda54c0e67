/* Shared by internet.c (hosts and pipes) and sock_sim.c (natproxy's descriptors). */
#ifndef NATLOCK_TESTS_SIM_INTERNET_INSIDE_H
#define NATLOCK_TESTS_SIM_INTERNET_INSIDE_H

#include "internet.h"
#include "sock.h"

/* One direction of a connection. Offsets count from the first byte. */
struct pipe {
	uint8_t *bytes; /* a ring of INTERNET_BUFFER, while both ends may use it */
	uint64_t written, arrived, read;
	bool fin_sent, fin_arrived;
};

enum side { HOST_SIDE, FAR_SIDE };

struct conn {
	struct conn *next;
	struct pipe to[2]; /* to[HOST_SIDE]: what the host reads */
	bool open[2];	   /* this side still holds its descriptor */
	bool reset[2];	   /* this side has been told of a reset */
	bool established;
	int error; /* how a connect failed, 0 none */
	bool decided;
	int fd;				   /* natproxy's, -1 none */
	struct sock_address local, remote; /* host's view */
	struct peer peer;
};

ssize_t pipe_write(struct conn *c, enum side to, const void *bytes, size_t n);
ssize_t pipe_read(struct conn *c, enum side at, void *bytes, size_t n);
void conn_finish(struct conn *c, enum side from);
void conn_close(struct conn *c, enum side from, bool reset);
struct conn *conn_new(const struct sock_address *local, const struct sock_address *remote);
/* Sends a SYN: the service accepts or refuses a latency later. */
void conn_connect(struct conn *c);

/* In sock_sim.c: something came for the host's side; a SYN came for a host port, false when nobody listens. */
void sock_sim_event(struct conn *c);
bool sock_sim_incoming(struct conn *c);

#endif
