/*
 * The line to the supervisor: finding its socket, one request, its answers one by one. The
 * supervisor is trusted to be what it says; what it relays is not: every record is bounded and
 * unpacked into fixed memory.
 */
#ifndef NATLOCK_CTL_CLIENT_H
#define NATLOCK_CTL_CLIENT_H

#include <stdint.h>

#include "chan.h"
#include "failure.h"
#include "operator.pb-c.h"

enum { CLIENT_POOL_BYTES = 1 << 20, CLIENT_PATH = 108, CLIENT_TIMEOUT_MS = 10000 };

struct client {
	struct chan chan;
	struct pool pool;
	int timeout_ms; /* of silence; -1: for ever */
	uint8_t memory[CLIENT_POOL_BYTES];
};

/*
 * Connects to `given` (--api), else to $NATLOCK_API, else to the first that is there of
 * $XDG_RUNTIME_DIR/natlock/api, /tmp/natlock-UID/api (used without XDG_RUNTIME_DIR),
 * /run/natlock/api, else to the one run-* socket of those folders that answers. Returns the
 * descriptor, or -1 with *why. Syscalls: socket connect newfstatat openat getdents64 close
 */
int client_connect(const char *given, struct failure *why);
/* Takes over a connected SOCK_SEQPACKET descriptor. */
void client_init(struct client *c, int fd);
/* Sends a request, and with it the descriptor `file` unless it is negative. 0, or an exit code with
 * *why. Syscalls: sendmsg */
int client_ask(struct client *c, const Nl__OperatorRequest *request, int file, struct failure *why);
/* The next answer, valid until the next call; NULL with *why: silence, end, or nonsense. Syscalls:
 * poll recvmsg */
const Nl__OperatorAnswer *client_answer(struct client *c, struct failure *why);

#endif
