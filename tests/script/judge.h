/*
 * Sockets of a host that is natproxy and the far end in one, for google/packetdrill's shared-object mode: its scripts make
 * system calls and exchange IP packets with the stack, and time is the edge's. What arrives for a socket is taken
 * at once, as a host kernel with room takes it.
 */
#ifndef NATLOCK_TESTS_SCRIPT_JUDGE_H
#define NATLOCK_TESTS_SCRIPT_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JUDGE_SOCKETS = 32, JUDGE_PACKET_MAX = 66000 };

enum judge_kind { JUDGE_FREE, JUDGE_NEW, JUDGE_LISTENS, JUDGE_CONNECTS, JUDGE_OPEN, JUDGE_OVER };

struct judge_socket {
	enum judge_kind kind;
	bool nonblocking, accepted; /* accepted: the program has it */
	uint16_t local_port, remote_port;
	uint32_t local_ip, remote_ip;
	uint32_t flow;
	bool alive; /* natproxy knows the flow */
	uint64_t got, read, wanted, sent, credit;
	bool fin_seen, read_shut, close_wanted, close_sent, closed;
	int error; /* errno of what ended it */
};

struct judge;
struct judge *judge_new(void);
void judge_free(struct judge *j);
uint64_t judge_now_us(const struct judge *j);
/* Lets time pass up to then, or until a packet is there when `packet`. */
void judge_advance(struct judge *j, uint64_t until_us, bool packet);
/* An IP packet for the stack; at most JUDGE_PACKET_MAX. */
void judge_give(struct judge *j, const void *bytes, size_t n);
/* The next of the stack's, 0 when there is none; *at_us says when it left. */
size_t judge_take(struct judge *j, void *out, size_t room, uint64_t *at_us);

/* NULL when it is none. */
struct judge_socket *judge_socket(struct judge *j, int fd);
int judge_fd(const struct judge *j, const struct judge_socket *s);
struct judge_socket *judge_socket_new(struct judge *j);
/* A connection of the listener that is open and that nobody has accepted yet. */
struct judge_socket *judge_accepted(struct judge *j, const struct judge_socket *listener);
void judge_connect(struct judge *j, struct judge_socket *s);
void judge_write(struct judge *j, struct judge_socket *s, size_t n);
void judge_shut(struct judge *j, struct judge_socket *s);
void judge_close(struct judge *j, struct judge_socket *s);
/* The congestion window in bytes and the smoothed round trip, as the stack's own table shows them. */
void judge_look(struct judge *j, const struct judge_socket *s, uint32_t *cwnd, uint32_t *srtt_us);

#endif
