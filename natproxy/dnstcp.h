/*
 * The DNS redirect's TCP side (RFC 7766): a guest's connection to the gateway's port 53 ends here,
 * message by message, so what is known here is answered here and what is not goes to a server by a
 * connection of the flow's own. A guest is answered SERVFAIL, never refused, when there is none.
 */
#ifndef NATLOCK_NATPROXY_DNSTCP_H
#define NATLOCK_NATPROXY_DNSTCP_H

#include <stdbool.h>
#include <stdint.h>

#include "dnsmsg.h"

struct natproxy;
struct flow;

enum {
	DNSTCP_STREAMS = 128,
	DNSTCP_LENGTH_BYTES = 2,
	DNSTCP_MESSAGE_BYTES = DNSTCP_LENGTH_BYTES + UINT16_MAX,
	DNSTCP_OUTSTANDING = 64,    /* questions of one connection that a server owes answers to */
	DNSTCP_CONNECT_MS = 1000,   /* after which the next server is tried */
	DNSTCP_PATIENCE_MS = 10000, /* silence of a server that owes answers */
	DNSTCP_IDLE_MS = 30000,	    /* silence of a guest that is owed none (RFC 7766 6.2.3) */
};

/*
 * DNSTCP_APART       no connection to a server
 * DNSTCP_CONNECTING  on its way; a question waits in `query`
 * DNSTCP_JOINED      questions go out, answers come in
 */
enum dnstcp_state { DNSTCP_APART, DNSTCP_CONNECTING, DNSTCP_JOINED };

struct dnstcp_stream {
	uint32_t flow; /* index + 1; 0: free */
	uint32_t guest_ip_be;
	uint8_t state, tried, asked;  /* tried: servers that did not take the connection */
	bool complete;		      /* `answer` holds a whole message */
	bool closing;		      /* a server went away with answers owed */
	uint64_t due_ns;	      /* when patience ends, with the server or with the guest */
	uint32_t query_bytes, sent;   /* read from the guest; `sent` of them to the server */
	uint32_t answer_bytes, given; /* of a message for the guest; `given` of them */
	uint8_t query[DNSTCP_LENGTH_BYTES + DNSMSG_QUERY_BYTES];
	uint8_t answer[DNSTCP_MESSAGE_BYTES];
};

struct dnstcp {
	uint32_t used;
	uint64_t due_ns; /* the soonest, or earlier; 0: none */
	struct dnstcp_stream stream[DNSTCP_STREAMS];
};

/* A guest opens a connection to the gateway's port 53: it is open at once. False: there are too many. */
bool dnstcp_open(struct natproxy *np, struct flow *f);
/* The flow ends. */
void dnstcp_end(struct natproxy *np, struct flow *f);
/* What upload_turn and download_turn are for other flows. */
bool dnstcp_upload(struct natproxy *np, struct flow *f);
bool dnstcp_download(struct natproxy *np, struct flow *f);
/* How many questions of a guest wait for a server; limits.dns_sessions_per_host bounds them together
 * with those that came by UDP. */
uint32_t dnstcp_waiting(const struct natproxy *np, uint32_t guest_ip_be);
/* The same of all guests. */
uint32_t dnstcp_waiting_all(const struct natproxy *np);
/* Servers and guests that were silent for too long; and when that is, UINT64_MAX never. */
void dnstcp_timeout(struct natproxy *np);
uint64_t dnstcp_deadline(const struct natproxy *np);

#endif
