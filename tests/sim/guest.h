/*
 * The guest: a small TCP/IP of our own, written for these tests from the RFCs and sharing no code with netstack but
 * ipc/wire. It checks every checksum it is shown and drops what is wrong, as a real guest does.
 */
#ifndef NATLOCK_TESTS_SIM_GUEST_H
#define NATLOCK_TESTS_SIM_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	GATEWAY_IP = 0xc0a81e01, /* 192.168.30.1; addresses in host order */
	GUEST_CONNS = 1024,
	GUEST_TEXT = 4096,
	GUEST_RANGES = 64,
	GUEST_WINDOW = 1 << 20,
	GUEST_MSS = 1460,
};

extern const uint8_t GUEST_MAC[6], GATEWAY_MAC[6];

/*
 * SYN_SENT, SYN_RECEIVED as usual. OPEN: any mixture of the two directions' FINs. DONE: both sides have finished and
 * know it. RESET: by the other side, or refused. DEAD: gave up after too many timeouts.
 */
enum guest_state {
	GUEST_FREE,
	GUEST_SYN_SENT,
	GUEST_SYN_RECEIVED,
	GUEST_OPEN,
	GUEST_DONE,
	GUEST_RESET,
	GUEST_DEAD
};

struct guest_range {
	uint64_t start, end;
};

/* Positions count sequence numbers from the SYN: it is 0, the first byte 1, the FIN follows the last byte. */
struct guest_conn {
	enum guest_state state;
	uint32_t remote_ip;
	uint16_t port, remote_port;
	/* sending */
	uint64_t send_seed, send_total; /* seed 0: text below */
	bool finish;			/* FIN after the last byte */
	bool bulk;			/* super-frames, where the port takes them */
	uint8_t text[GUEST_TEXT];
	uint32_t iss;
	uint64_t una, nxt, max; /* positions */
	uint32_t wnd, cwnd, ssthresh;
	uint8_t wnd_shift;
	bool recovering;
	uint64_t recover;
	struct guest_range board[GUEST_RANGES]; /* SACKed by the gateway, ascending */
	uint32_t boards;
	uint64_t resent_to, resent_mark; /* lost below it was sent again; max at that time */
	uint64_t rto_ns, srtt_ns, rttvar_ns, timed_ns, timed;
	uint64_t timer_ns; /* 0 = off */
	uint32_t expiries; /* in a row */
	/* receiving */
	uint64_t recv_seed; /* 0: text */
	uint8_t heard[GUEST_TEXT];
	uint32_t irs;
	uint64_t rcv_nxt, fin_at;		/* fin_at 0 = no FIN seen */
	uint64_t wrong;				/* bytes that were not the stream's */
	struct guest_range range[GUEST_RANGES]; /* beyond rcv_nxt, ascending */
	uint32_t ranges, last_range;
	uint32_t window;	      /* of the receive buffer */
	uint32_t unread, read_per_ms; /* read_per_ms 0: the reader takes all at once */
	/* counts */
	uint64_t segments_sent, segments_resent, timeouts;
};

struct guest {
	uint32_t ip; /* 0 before the lease */
	bool gateway_known, tso;
	uint8_t gateway_mac[6];
	uint32_t offered_ip, dns_ip, router_ip;
	uint32_t dhcp_xid;
	enum { DHCP_IDLE, DHCP_DISCOVERING, DHCP_REQUESTING, DHCP_BOUND } dhcp;
	uint16_t listen_port; /* one connection at a time may come in, 0 none */
	struct guest_conn *accepted;
	void (*accept)(struct guest_conn *c); /* sets up what the connection is for */
	uint32_t super_frames;		      /* of datagrams */
	void (*datagram)(uint32_t ip, uint16_t from, uint16_t to, const uint8_t *bytes, size_t n);
	uint64_t pongs, errors;
	uint64_t bad; /* packets dropped for what is wrong with them */
	uint8_t error_type, error_code;
	struct guest_conn conn[GUEST_CONNS];
};

extern struct guest guest;

void guest_dhcp(void);
void guest_ask_gateway(void); /* ARP */
void guest_ping(uint32_t ip, uint16_t id, uint16_t seq);
void guest_udp(uint32_t ip, uint16_t from, uint16_t to, const uint8_t *bytes, size_t n);
/* One super-frame of datagrams of `each` bytes, as a guest's kernel makes it on a TAP. */
void guest_udp_run(
	uint32_t ip, uint16_t from, uint16_t to, const uint8_t *bytes, size_t n, uint16_t each);
/* A frame with this payload of an IP protocol to the gateway's MAC; returns its length. `out` holds 64 KiB and 14. */
uint32_t guest_make_ip(
	uint8_t *out, uint8_t protocol, uint32_t ip, const uint8_t *payload, size_t n);
void guest_send_raw(const uint8_t *frame, uint32_t bytes);

/* guest_tcp.c */
/* A new connection whose streams the caller sets before time goes on; the SYN leaves at once. */
struct guest_conn *guest_connect(uint32_t ip, uint16_t remote_port);
/* Appends to the text to send. */
void guest_say(struct guest_conn *c, const char *text);
/* The caller changed what there is to send (total, finish). */
void guest_push(struct guest_conn *c);
void guest_abort(struct guest_conn *c);
/* Acknowledges `ahead` bytes that have not come yet. */
void guest_acknowledge_early(struct guest_conn *c, uint32_t ahead);
/* Bytes of the stream received in order. */
uint64_t guest_received(const struct guest_conn *c);
void guest_tcp_input(uint32_t ip, const uint8_t *p, size_t n);
uint32_t guest_open_conns(void);

/* guest_sack.c */
/* Nothing is known of the gateway's holes. */
void guest_sack_clear(struct guest_conn *c);
/* One block, in positions. */
void guest_sack_take(struct guest_conn *c, uint64_t start, uint64_t end);
/* una moved. */
void guest_sack_trim(struct guest_conn *c);
/* Holes below it are lost; una when none is. */
uint64_t guest_sack_edge(const struct guest_conn *c);
/* Bytes on the way. */
uint64_t guest_sack_pipe(const struct guest_conn *c);
/* The next lost bytes to send again. */
bool guest_sack_hole(struct guest_conn *c, uint64_t *start, uint64_t *end);

/* Checksum field of a TCP or UDP payload towards the outside; guest.c. */
uint16_t guest_sum(uint32_t from, uint32_t to, uint8_t protocol, const uint8_t *bytes, size_t n);

#endif
