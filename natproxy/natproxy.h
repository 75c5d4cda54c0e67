/*
 * natproxy's core: the only owner of host sockets, distrusting netstack and alg alike. main.c
 * drives it in the confined process, tests/sim in memory: the same calls, with sock.h as the seam
 * to the world.
 *
 *      netstack ═ring═▶ natproxy_op_*   ┌ relay, upload, download   TCP ┐
 *               ◀═ring═ flow_pay        │ dgram, burst, gather UDP, echo ├─▶ sock.h
 *      alg ─────────── natproxy_on_* ───┤ inspect, expect, reserve  ALG  │
 *      supervisor ──── natproxy_on_* ───┤ dns*          gateway's port 53│
 *                   configure, order    └ forward, publish  open ports ──┘
 *      pure: nat portpick access acl want pinhole edit dnsmsg dnscache dnslocal dnsnames dnsredir
 *
 * Calls never block. Handlers only note work; natproxy_flush, once a turn, reads and writes
 * sockets.
 */
#ifndef NATLOCK_NATPROXY_NATPROXY_H
#define NATLOCK_NATPROXY_NATPROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"
#include "acl.h"
#include "arena.h"
#include "dnscache.h"
#include "dnslocal.h"
#include "dnsnames.h"
#include "dnsredir.h"
#include "dnstcp.h"
#include "drop.h"
#include "esp.h"
#include "flow.h"
#include "ike.h"
#include "nat.h"
#include "natproxy_alg.pb-c.h"
#include "natproxy_dispatch.h"
#include "netstack_natproxy.pb-c.h"
#include "pinhole.h"
#include "portpick.h"
#include "ring.h"
#include "super.pb-c.h"
#include "topology.h"
#include "want.h"

struct inspect;

enum {
	NATPROXY_FD_MAX = 65536,
	NATPROXY_FD_SPARE =
		16, /* descriptors of the budget that flows may not take: listeners, questions */
	NATPROXY_FD_ACCEPT = 2,	   /* that nobody may take: accepting one to turn it away must not
				   fail, or its event stays */
	NATPROXY_PUBLISH = 512,	   /* ports open to the outside, of nat.publish and nat.static */
	NATPROXY_FIXED = 256,	   /* addresses of nat.static */
	NATPROXY_FIXED_PORTS = 32, /* of each of them */
	NATPROXY_VRF_BYTES = 33,
	NATPROXY_DEVICE_BYTES = 16, /* as the kernel's IFNAMSIZ */
	NATPROXY_INCOMING = 256,    /* accepted connections that the guest has not answered */
	NATPROXY_ENDPOINT_BUCKETS = 16384,
	NATPROXY_RESERVED = NATPROXY_FD_MAX, /* each has a descriptor */
	NATPROXY_RESERVED_BUCKETS = 4096,
	NATPROXY_LOWPORTS = 64,	  /* sockets of reserved ports; bits of a uint64_t */
	NATPROXY_ECHOES = 512,	  /* identifiers of the raw ICMP socket */
	NATPROXY_IKE_BATCH = 4,
	NATPROXY_ESP_INCOMING = 64, /* flows that far ends began with a guest */
	NATPROXY_ESP_KNOCKS = 32, /* guests that a peer spoke to first, at a time */
	NATPROXY_SPI_BYTES = 11 * (1 + ESP_INBOUND) + 1, /* as text */
	NATPROXY_READ_LARGE = 4,			 /* large buffers a readv: one descriptor */
	NATPROXY_BURST_PIECES = 256,
	NATPROXY_BURSTS = 8, /* flows that collect datagrams side by side; power of two */
};

/* How the core reaches the rest of its process. None may be NULL. */
struct natproxy_shell {
	void *context;
	void (*security)(void *context, const Nl__EventRow *event);
	void (*diagnostic)(void *context, const char *line);
	void (*uplink_state)(void *context, const Nl__UplinkState *m);
	/* the first message of an edge's life: AlgEdge */
	void (*alg_edge)(void *context, uint32_t generation);
	/* towards alg: 0, -EAGAIN when the channel is full, -EPIPE when it is dead */
	int (*flow_inspect)(void *context, const Nl__FlowInspect *m);
	int (*flow_bytes)(void *context, const Nl__FlowBytes *m);
	int (*pinhole_answer)(void *context, const Nl__PinholeAnswer *m);
	int (*flow_end)(void *context, const Nl__FlowEnd *m);
	int (*pinhole_gone)(void *context, const Nl__PinholeGone *m);
	/* alg stays silent: the supervisor is to replace it */
	void (*alg_silent)(void *context);
	/* asks the supervisor for a socket that the kernel does not give us */
	void (*socket_wanted)(void *context, const Nl__SocketWanted *m);
};

/* What natproxy_init copies; pointers stay the caller's and must outlive the core. */
struct natproxy_setup {
	struct natproxy_shell shell;
	struct sock_host *sock;
	struct link *link; /* to netstack */
	struct arena *arena;
	const struct arena_view *view;
	struct drops *drops;
	const Nl__Hub *hub;
	uint32_t generation;  /* of the edge to alg */
	uint32_t shards;      /* natproxies of the hub, this one included */
	struct portmap ports; /* what they show each other */
	uint32_t sockets_max; /* highest number of descriptors, all included */
	bool echo_allowed;
	const char *name;	/* of the process, in rows */
	const uint8_t *entropy; /* 32 bytes */
	const char *domain;	/* this computer's, or NULL */
};

enum owner_kind {
	OWNER_NONE,
	OWNER_FLOW,
	OWNER_QUERY,
	OWNER_PUBLISH,
	OWNER_PINHOLE,
	OWNER_ECHO,
	OWNER_RESERVE,
	OWNER_ESP,
	OWNER_IKE
};
struct owner { /* who is told when a descriptor is ready */
	uint8_t kind;
	uint32_t index;
};

struct upload_node { /* one borrowed buffer waiting for the socket; index = buffer index, per arena
		      */
	uint32_t off, len;
	uint32_t next; /* buffer id, 0 ends */
	bool queued, urgent;
};

struct work_queue {
	uint32_t first, last; /* flow index + 1 */
};

/* By which device sessions leave: a VRF of the configuration, resolved. Both empty: as the host's routes say. */
struct outlet {
	char vrf[NATPROXY_VRF_BYTES], device[NATPROXY_DEVICE_BYTES];
};

struct fixed { /* one guest is one outside address (nat.static) */
	uint32_t inside_ip_be, outside_ip_be;
	struct outlet outlet;
};

struct publish { /* a port open to the outside, from the configuration */
	bool used;
	bool kept; /* while a new configuration is compared: it is in that one too */
	bool udp, fixed;
	struct sock_address listen, to;
	struct outlet outlet;
	int fd;	   /* -1 not open */
	int error; /* of the last try to open it: -errno, 0 none */
	uint64_t retry_ns;
	uint32_t sessions;
	uint32_t flow; /* udp: id of the flow that uses the socket, if attached */
	bool attached;
	uint32_t token; /* udp: asked netstack for a flow under this name; 0 no */
	uint64_t asked_ns;
};

struct derived { /* what an expectation says of a connection that came by it */
	uint32_t door,
		number; /* one of whose connections it is, and that one's number; 0: of nobody's */
	bool inspect, lenient; /* want.h */
	uint8_t alg, service;  /* enum algs_id */
	uint32_t link;
};

struct incoming { /* accepted, announced to netstack, not yet answered */
	bool used;
	uint16_t generation;
	int fd;
	struct sock_address guest, peer; /* as the guest sees it */
	uint32_t real_ip_be;		 /* of a peer that is shown as the gateway; else 0 */
	uint64_t since_ns;
	uint16_t rule;		/* place of the published port + 1; 0: it came by a pinhole */
	struct derived derived; /* all 0 of what did not */
};

struct reserve { /* the outside socket of a guest endpoint that has a door and no flow */
	struct sock_address guest, outside; /* guest.ip_be 0: free */
	int fd;
	bool charged;	   /* holds a port mapping */
	uint32_t lost;	   /* as struct flow's */
	uint64_t again_ns; /* netstack was asked for a flow, and will be again; 0 it was not */
	uint32_t next;
};

enum refusal {
	REFUSED_CLOSED,	     /* nat.new_sessions */
	REFUSED_SOURCE,	     /* nat.source_list */
	REFUSED_DESTINATION, /* nat.destination_list */
	REFUSED_LOOP,	     /* nat.loop_guard */
	REFUSED_DEVICE,	     /* the device of a VRF is not there */
	REFUSED_ADDRESS,     /* the outside address of nat.static is not there */
};

/* Sessions being ended in portions: sweep.h. */
struct sweep {
	bool running;
	unsigned int reasons; /* bit set of enum sweep_reason */
	uint32_t at;	      /* reference of the last one looked at */
	uint32_t up_to;	      /* number of the youngest that is meant by an order or a switch */
};

struct datagram_slot { /* buffers lying ready for recvmmsg */
	uint32_t small, large;
	uint8_t header[28]; /* of a ping ICMP's; of a raw socket IP's, before it */
};

struct shared_socket { /* that root opened and several flows send by: raw.h, ike_port.h */
	bool granted, readable;
	uint8_t fragment; /* enum flow_fragment, of the socket */
	int fd;
	uint32_t lost; /* as struct flow's */
};

struct echo { /* the raw ICMP socket of echo.h */
	struct shared_socket raw;
	uint16_t first; /* of the identifiers that are ours */
	uint32_t identifiers;
	uint32_t holder[NATPROXY_ECHOES]; /* flow index + 1, 0 free */
};

struct esp_knock { /* a peer spoke first, and netstack was asked for a flow */
	uint32_t token, guest_ip_be, spi; /* token 0: none */
	struct esp_way way;
	uint64_t until_ns;
};

struct esp_socket { /* of esp_socket.h */
	struct shared_socket raw;
	uint32_t last_token;
	struct esp_knock knock[NATPROXY_ESP_KNOCKS];
	struct {
		uint64_t tunnels, to_guests, to_outside;
		uint64_t waited, unknown; /* packets: while another guest opened, of nobody's SPI */
	} counts;
	struct esp table;
};

struct ike_port { /* of ike_port.h */
	struct shared_socket shared;
	struct {
		uint64_t to_guests, to_outside, unknown;
	} counts;
	struct ike table;
	uint8_t bytes[NATPROXY_IKE_BATCH][UINT16_MAX]; /* the messages that are being looked at */
};

struct lowport { /* a socket bound to a reserved port */
	bool busy, listens;
	int fd;
	struct sock_address at; /* address 0: any */
	char device[NATPROXY_DEVICE_BYTES];
	uint64_t rested_ns; /* when its last connection was left to itself; 0: none was */
};

struct lowports { /* of lowport.h */
	uint32_t count;
	int highest;	  /* of their descriptors */
	char why[200];	  /* there are none */
	uint64_t said_ns; /* that there was none when one was wanted */
	struct lowport entry[NATPROXY_LOWPORTS];
};

struct burst {	       /* datagrams of one flow waiting for sendmmsg */
	uint32_t flow; /* id */
	uint32_t count, pieces, ids;
	struct sock_datagram datagram[SOCK_BATCH];
	uint8_t echo[SOCK_BATCH][8];
	struct iovec piece[NATPROXY_BURST_PIECES];
	uint32_t id[NATPROXY_BURST_PIECES]; /* buffers to be given back */
};

struct dns_servers { /* where questions go: those configured, if there are any */
	uint32_t hosts, configured;
	uint32_t host_ip_be[DNSREDIR_UPSTREAMS], configured_ip_be[DNSREDIR_UPSTREAMS];
	char device[NATPROXY_DEVICE_BYTES]; /* of the hub when they were last looked at */
	char domain[256];		    /* this computer's, for dhcp.domain = host */
};

struct natproxy_config {
	bool inbound_refresh; /* datagrams from outside keep a UDP session (RFC 4787 REQ-6) */
	bool closed;	      /* nat.new_sessions: false */
	bool icmp_errors; /* alg.icmp: what either side says about the other's datagrams is passed on */
	bool enabled, log_sessions, echo_allowed;
	bool esp; /* alg.ipsec.esp */
	Nl__Nat__Filtering filtering;
	uint32_t sockets_max, shards;
	uint32_t segment_max; /* of what is inspected, 0: as alg has it */
	bool sip_latch;	      /* media may come from whoever speaks first */
	bool h323_forward;    /* a guest may have its calls sent on to another port of its own */
};

struct icmp_counts { /* errors that were passed on, and that were not */
	uint64_t to_guests, to_outside, ended;
};

struct natproxy {
	struct natproxy_shell shell;
	struct sock_host *sock;
	struct link *link;
	struct arena *arena;
	const struct arena_view *view;
	struct drops *drops;
	struct natproxy_config config;
	struct hash_key key;
	uint64_t now_ns, wall_ms, draws;
	bool started, draining;
	bool starved; /* work waits for ring slots or buffers */
	uint32_t sockets_open, generation;
	uint32_t shortages; /* sessions refused since the last line about it */
	uint64_t shortage_said_ns;
	uint64_t refusals_until_ns,
		refusals_unsaid;    /* lines about refused sessions (sessionlog.c) */
	uint64_t observed_until_ns; /* the same about what ALGs would have done */
	char name[32];		    /* of this process */
	struct access access;
	struct acl source_list, destination_list;
	struct acl preserve_port_list, spi_match_list; /* of alg.ipsec; number 0: nobody */
	struct wants wants;
	struct outlet outlet;	 /* nat.vrf */
	bool has_devices;	 /* some socket may be bound to a device */
	uint64_t address_due_ns; /* when sessions whose address is gone are ended; 0 never */
	struct sweep sweep;
	struct nat nat;
	struct portpick ports;
	struct pinholes pinholes;
	struct dnsredir dns;
	struct dns_servers dns_servers;
	struct dnscache dns_cache;
	struct dnslocal dns_local;
	struct dnsnames dns_names;
	struct dnstcp dns_tcp;
	uint8_t dns_reply[UINT16_MAX]; /* the datagram from a server that is being looked at */
	struct work_queue work[WORK_KINDS];
	uint32_t reading_flows; /* flows that hold own buffers: shares of the arena */
	uint32_t publishes, incomings, last_token;
	uint32_t inspects;	 /* under inspection */
	uint64_t inspect_due_ns; /* when a flow may have waited for alg too long; 0 never */
	uint32_t alg_silences;	 /* flows given up for its silence since it last said a word */
	uint64_t publish_due_ns; /* not later than when something of an open port is due; 0 never */
	struct publish publish[NATPROXY_PUBLISH];
	uint32_t fixed_count;
	struct fixed fixed[NATPROXY_FIXED];
	struct incoming incoming[NATPROXY_INCOMING];
	uint32_t reserves, reserve_fresh, reserve_free, reserves_asked;
	uint32_t reserve_bucket[NATPROXY_RESERVED_BUCKETS];
	struct reserve reserve[NATPROXY_RESERVED + 1];
	struct echo echo;
	struct esp_socket esp;
	struct ike_port ike;
	struct lowports lowports;
	struct icmp_counts icmp;
	uint64_t
		complaints_ns; /* when errors of guests that left were due at the latest (complain.c) */
	struct burst burst[NATPROXY_BURSTS];
	struct datagram_slot slot[SOCK_BATCH];
	struct owner owner[NATPROXY_FD_MAX];
	uint32_t buffer_flow[ARENA_MAX_IDS]; /* own buffers: flow id that is charged */
	struct upload_node node[ARENA_ID_COUNT][ARENA_MAX_IDS];
	struct inspect *inspect;			     /* inspection.h */
	uint32_t endpoint_bucket[NATPROXY_ENDPOINT_BUCKETS]; /* flow index + 1: flow_at */
	struct flow flow[FLOW_MAX];
};

/*
 * Memory: np zeroed, and inspect natproxy_inspect_bytes() zeroed bytes beside it. Returns 0 or
 * -EINVAL when the configuration lacks what it needs.
 */
int natproxy_init(struct natproxy *np, const struct natproxy_setup *setup, struct inspect *inspect);
size_t natproxy_inspect_bytes(void);
/* All actors are locked: opens the published ports, tells netstack about the uplink. */
void natproxy_start(struct natproxy *np);
/* No new sessions from now on. */
void natproxy_drain(struct natproxy *np);
/*
 * The hub's configuration changed: timeouts, limits, filtering, lists, published ports and the rest hold from now on; what
 * runs goes on, except that switching the hub or its NAT off ends all sessions, and closing a published UDP port those of
 * that port. 0, or -EINVAL as natproxy_init.
 */
int natproxy_configure(struct natproxy *np, const Nl__Hub *hub);
/* What the operator wants done; how many sessions it ends. */
uint32_t natproxy_order(struct natproxy *np, const Nl__Order *order);
/* The clock of this turn; before anything else of the turn. */
void natproxy_time(struct natproxy *np, uint64_t now_ns, uint64_t wall_ms);
/* A watched descriptor is ready (bit set of enum sock_event). */
void natproxy_ready(struct natproxy *np, int fd, unsigned int events);
/* Does the work noted in this turn, in bounded portions; true when some is left that can go on at
 * once. */
bool natproxy_flush(struct natproxy *np);
/* Next deadline (UINT64_MAX none) and what is to be done then. */
uint64_t natproxy_deadline(const struct natproxy *np);
void natproxy_timeout(struct natproxy *np);
/* The channel to alg broke or its process was replaced: inspected flows go on raw, their doors
 * close. */
void natproxy_alg_lost(struct natproxy *np);

/* Rows for the operator: fills *row (valid until the next call) for the entry after `cursor`; the
 * new cursor, 0 end. */
struct natproxy_row_space {
	Nl__Address address[3];
	char text[4][48];
	char host[DNSNAMES_BYTES];
	char spi[NATPROXY_SPI_BYTES];
};
uint64_t natproxy_nat_row(
	struct natproxy *np, uint64_t cursor, Nl__NatRow *row, struct natproxy_row_space *space);
/* Published ports and static addresses, and how each of them is. */
uint64_t natproxy_forward_row(struct natproxy *np, uint64_t cursor, Nl__ForwardRow *row,
	struct natproxy_row_space *space);
/* How many sessions of each kind there are; one row. */
uint64_t natproxy_hub_row(const struct natproxy *np, uint64_t cursor, Nl__HubRow *row);
uint64_t natproxy_expectation_row(struct natproxy *np, uint64_t cursor, Nl__ExpectationRow *row,
	struct natproxy_row_space *space);
/* The gateways that work here: alg.icmp and alg.ipsec, a row each. */
uint64_t natproxy_alg_row(const struct natproxy *np, uint64_t cursor, Nl__AlgRow *row,
	struct natproxy_row_space *space);

/* Shared by the core's files. */
uint64_t natproxy_random(struct natproxy *np);
/* A line for the security log; with its parts where `event` holds some: its text is set here. */
void natproxy_security(struct natproxy *np, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void natproxy_event(struct natproxy *np, Nl__EventRow *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void natproxy_diagnostic(struct natproxy *np, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Counts a refused session; says so at most every ten seconds. `guest` 0: the process is out of
 * descriptors. */
void natproxy_shortage(struct natproxy *np, uint32_t guest_ip_be, enum nat_protocol protocol);
/* Something of an open port or an unanswered connection is due at this time, if not before. */
void natproxy_publish_due(struct natproxy *np, uint64_t at_ns);
/* Ends a flow of any kind, and tells the guest. */
void natproxy_end_flow(struct natproxy *np, struct flow *f, const char *why);
/* Whether another socket fits the budget; flows leave NATPROXY_FD_SPARE. */
bool natproxy_fd_room(const struct natproxy *np, bool spare);
/* Notes a new descriptor's owner; false (and it is closed) when its number is out of range. */
bool natproxy_own(struct natproxy *np, int fd, enum owner_kind kind, uint32_t index);
void natproxy_close_fd(struct natproxy *np, int fd, bool reset);
/* Sends a descriptor to netstack: 0, or -EAGAIN (and the ring is tried again soon). */
int natproxy_tell(struct natproxy *np, enum link_class c, const struct ring_desc *d);
/* Gives the payload of a descriptor that is not wanted back to its owners. */
void natproxy_return_payload(struct natproxy *np, const struct ring_desc *d);

#endif
