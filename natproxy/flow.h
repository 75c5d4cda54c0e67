/*
 * A flow: one entry of netstack's flow table as natproxy sees it. The index and generation come
 * from netstack, which is not trusted: an id that names no live flow is stale and ignored, a new
 * flow on an entry in use is a lie.
 */
#ifndef NATLOCK_NATPROXY_FLOW_H
#define NATLOCK_NATPROXY_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "sock.h"

struct natproxy;

enum flow_kind { FLOW_NONE, FLOW_TCP, FLOW_UDP, FLOW_ECHO, FLOW_ESP };

/*
 * FLOW_CONNECTING  the far end has not answered. From netstack: credit, reset, free. Any data is a
 * lie. FLOW_RUNNING     socket open, either direction may have ended. All operations. FLOW_DONE
 * socket gone; a last message may be owed. Everything but free is ignored (it crossed our message).
 * Datagram flows are RUNNING from the start; their socket is made by the first datagram that may
 * leave.
 */
enum flow_state { FLOW_CONNECTING = 1, FLOW_RUNNING, FLOW_DONE };

/* Messages to netstack that found no slot yet, in the order in which they must leave. */
enum flow_owed {
	OWED_OPENED = 1,
	OWED_CONSUMED = 2,
	OWED_FIN = 4,
	OWED_FAILED = 8, /* frees the entry */
	OWED_RESET = 16, /* frees the entry */
	OWED_CLOSED = 32,
};

/* What a datagram socket lets routers do; unknown until the first datagram, because a published socket outlives flows. */
enum flow_fragment { FRAGMENT_UNKNOWN, FRAGMENT_NEVER, FRAGMENT_ALLOWED };

/* Queues of flows with something to do; a flow is in each at most once. */
enum flow_work { WORK_OWED, WORK_UPLOAD, WORK_DOWNLOAD, WORK_KINDS };

struct flow {
	uint32_t id;
	uint8_t kind, state, owed;
	uint8_t working; /* bit set of enum flow_work; survives reuse of the entry, spurious work is
			    harmless */
	uint8_t watched; /* bit set of enum sock_event */
	uint8_t failure; /* enum ring_failure, with OWED_FAILED */
	uint8_t fragment;  /* enum flow_fragment */
	uint16_t path_mtu; /* what the host's kernel last said that a path takes */
	uint8_t icmp_type, icmp_code, icmp_pointer; /* with RING_FAIL_ICMP: the error */
	uint32_t offender_ip_be;		    /* and who said so */
	bool blocked : 1;	   /* the socket takes no more: waiting for SOCK_WRITE */
	bool readable : 1;	   /* the socket may hold bytes; not watched meanwhile */
	bool bulk : 1;		   /* the last read was long: offer large buffers only */
	bool guest_finished : 1;   /* FIN from the guest */
	bool finish_sent : 1;	   /* our FIN to the far end */
	bool outside_finished : 1; /* FIN from the far end */
	bool write_broken : 1;	   /* reset from outside; bytes may remain to be read */
	bool published : 1;	   /* the socket belongs to a published UDP port */
	bool traced : 1;	   /* TCP whose SYN may not get far: its errors are told */
	bool dns : 1;		   /* TCP to the gateway's port 53; its socket is a server's */
	bool charged : 1;	   /* holds a port mapping */
	bool raw : 1; /* over a shared raw socket: of echo outside.port is its identifier, of ESP `tunnel` is set */
	bool listed : 1;    /* UDP: flow_at finds it */
	bool awaited : 1;   /* came to be for a datagram at a door (reserve.h); no session yet */
	int fd;		    /* -1 none */
	uint16_t inspect;   /* slot + 1, 0 = not inspected */
	uint16_t rule;	    /* place of the published UDP port + 1, with `published` */
	uint8_t dns_stream; /* dnstcp.h: index + 1 */
	uint16_t door;	    /* pinhole.h: one of whose connections it is; 0 none */
	uint32_t door_number;
	struct sock_address guest, remote, outside;
	uint32_t sessions;  /* nat.h: head of the list */
	uint32_t last_used; /* the session of the last datagram */
	uint32_t spi,
		tunnel;	  /* ESP: the guest's, host order, 0: the far end began; esp.h: reference */
	uint32_t lost;	  /* datagrams that the socket's full queue has cost, as last heard */
	uint16_t run_max; /* longest datagram that may leave as part of a run */
	uint8_t expected; /* datagrams that the next receive is prepared for */
	uint64_t upload_end, upload_taken, upload_reported,
		upload_rung;		  /* offsets in the guest's stream */
	uint32_t queue_first, queue_last; /* buffer ids waiting for the socket, 0 none */
	uint64_t credit, download_sent;	  /* offsets in the stream to the guest */
	uint32_t pinned_bytes; /* capacity of own buffers that netstack holds for this flow */
	uint32_t next[WORK_KINDS];
	uint32_t endpoint_next; /* flow index + 1 */
};

/* The live flow of this id, or NULL when it is stale. Any input. */
struct flow *flow_live(struct natproxy *np, uint32_t id);
/* A cleared entry for a new id, or NULL when the entry is in use: the peer lies. */
struct flow *flow_new(struct natproxy *np, uint32_t id, enum flow_kind kind);
/* A UDP flow can be found by its guest's endpoint from now on, until flow_stop. */
void flow_list(struct natproxy *np, struct flow *f);
/* The running UDP flow of this endpoint, or NULL. */
struct flow *flow_at(struct natproxy *np, const struct sock_address *guest);
/* Forgets the entry. Socket, sessions, queue and inspection must be gone. */
void flow_free(struct flow *f);
/* Ends everything the flow holds outside: socket, sessions, queue, inspection. `why` goes to the
 * log. */
void flow_stop(struct natproxy *np, struct flow *f, bool reset, const char *why);

/* Puts a flow into a queue, takes the next one out (NULL when empty). */
void flow_work(struct natproxy *np, struct flow *f, enum flow_work kind);
struct flow *flow_next_work(struct natproxy *np, enum flow_work kind);

/* Owes netstack a message and tries to send what is owed; flow_pay returns false when the ring is
 * full. */
void flow_owe(struct natproxy *np, struct flow *f, enum flow_owed what);
bool flow_pay(struct natproxy *np, struct flow *f);

/* Brings what is watched into line with the flow's state. */
void flow_watch(struct natproxy *np, struct flow *f);

#endif
