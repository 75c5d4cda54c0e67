/*
 * TCP towards the guest (RFC 9293): natlock plays the far end, natproxy the application.
 *
 * States of RFC 9293 plus OPENING, which is LISTEN's SYN held back until the real far end answered. What each permits:
 *
 *   state         guest's data   data to the guest   natproxy may say                      leaves by
 *   OPENING       -              -                   OPENED, FAILED, RESET                 OPENED, FAILED, guest's RST
 *   SYN_SENT      -              queued              DATA, FIN, RESET (after INCOMING)     SYN-ACK, RST, timeout
 *   SYN_RECEIVED  -              queued              DATA, FIN, RESET                      ACK, RST, timeout
 *   ESTABLISHED   yes            yes                 DATA, FIN, RESET, CONSUMED            FIN of either side
 *   FIN_WAIT_1/2  yes            FIN sent            RESET, CONSUMED                       guest's FIN, idle timeout
 *   CLOSE_WAIT    FIN received   yes                 DATA, FIN, RESET, CONSUMED            natproxy's FIN
 *   CLOSING, LAST_ACK  both FINs seen                RESET, CONSUMED                       guest's ACK
 *   TIME_WAIT     only answers                       nothing: the id is forgotten          60 s, or pressure
 *   CLOSED        the flow only still owes natproxy a message
 *
 * Stream offsets are 64-bit counts from the first byte; seq = isn + 1 + offset. "Received" (rx_next) is what is
 * contiguous here, "consumed" what the far end's kernel took: only that is acknowledged.
 */
#ifndef NATLOCK_NETSTACK_TCP_H
#define NATLOCK_NETSTACK_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest.h"
#include "packet.h"
#include "ring.h"
#include "wheel.h"

struct flow;
struct flow_key;
struct stack;

enum tcp_state {
	TCP_CLOSED,
	TCP_OPENING,
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSE_WAIT,
	TCP_CLOSING,
	TCP_LAST_ACK,
	TCP_TIME_WAIT,
};

enum tcp_flag {
	TCP_FIN = 1,
	TCP_SYN = 2,
	TCP_RST = 4,
	TCP_PSH = 8,
	TCP_ACK = 16,
	TCP_URG = 32,
	TCP_ECE = 64,
	TCP_CWR = 128,
};

enum tcp_timer { TCP_TIMER_RESEND, TCP_TIMER_ACK, TCP_TIMER_VALVE, TCP_TIMER_IDLE, TCP_TIMERS };
/* What TCP_TIMER_RESEND is for at the moment. */
enum tcp_resend {
	TCP_RESEND_TIMEOUT,
	TCP_RESEND_PROBE,
	TCP_RESEND_REORDER,
	TCP_RESEND_PERSIST,
};

enum {
	TCP_HEADER_BYTES = 20,
	TCP_MSS_DEFAULT = 536, /* RFC 9293 MUST-15 */
	TCP_MSS_MIN = 88,
	TCP_WINDOW_SCALE = 7, /* what we offer: 2 MB in steps of 128 */
	TCP_WINDOW_START = 256 * 1024,
	TCP_WINDOW_MAX = 2 * 1024 * 1024,
	TCP_SACK_BLOCKS = 4,
	TCP_UNDO_RANGES = 4, /* ranges sent again that a D-SACK is looked for in */
	TCP_PAYLOAD_MAX = 65535 - 20 - 60,
	TCP_DUP_ACKS = 3,
	TCP_ACKS_OWED_MAX = 4,
};

struct tcp_range {
	uint32_t start, end;
};

enum tcp_recovery { TCP_RECOVERY_NONE, TCP_RECOVERY_FAST, TCP_RECOVERY_TIMEOUT };
/* After a timeout: not asked, the head was sent again, new data went out to see what the guest says (RFC 5682). */
enum tcp_frto { TCP_FRTO_OFF, TCP_FRTO_HEAD, TCP_FRTO_NEW };

/* CUBIC between losses (RFC 9438); bytes, k in ms, epoch 0 = not begun. */
struct tcp_cubic {
	uint32_t max, prior, k_ms, reno;
	uint64_t epoch_ns;
};

/* HyStart++ (RFC 9406): shortest round trips of this round and the one before. */
struct tcp_hystart {
	uint32_t end, now_us, last_us, base_us;
	uint8_t samples, rounds;
	bool cautious;
};

/* Delivery rate, once a round trip: the best of the last rounds, in bytes a ms. */
struct tcp_rate {
	uint32_t end, start_us, delivered;
	uint32_t best, best_before;
	uint8_t rounds;
};

/* What a recovery that was needless gives back, see tcp_undo.c. */
struct tcp_undo {
	bool armed;
	bool exact;	/* `resent` holds all that was sent again */
	bool asked;	/* the first acknowledgement after the retransmission has come */
	uint8_t ranges; /* of resent */
	uint32_t cwnd, ssthresh, end;
	uint32_t stamp;	       /* our timestamp when the first was sent again */
	uint32_t bytes, twice; /* sent again; reported as duplicates */
	struct tcp_range resent[TCP_UNDO_RANGES];
	struct tcp_cubic cubic;
};

struct tcp {
	struct wheel_timer timer;
	uint64_t deadline[TCP_TIMERS]; /* ns, 0 = off */
	uint8_t state;
	uint8_t resend;	 /* enum tcp_resend */
	uint8_t backoff; /* doublings of its wait, until a round trip was measured (RFC 6298 5.7) */
	uint8_t tries;	 /* timeouts in a row without progress */
	bool active;	 /* we sent the first SYN */
	bool syn_due;	 /* SYN or SYN-ACK wants to go out */
	uint8_t keepalives; /* probes without an answer */
	bool guest_alive; /* a keepalive of the guest's own came: the next credit goes even if it grants nothing */
	/* options in force */
	bool use_ts, use_sack, use_scale;
	/* ECN, see tcp_ecn.c: agreed on; our SYN asked; to be echoed; CWR is due */
	bool use_ecn, ecn_asked, ecn_echo, ecn_cwr;
	uint8_t snd_scale, rcv_scale;
	uint16_t mss; /* payload a segment, options already taken off */
	uint16_t peer_mss;
	uint32_t ts_recent, ts_offset;
	uint64_t ts_recent_ns;
	/* receiving */
	uint32_t irs, rcv_nxt;
	uint32_t rcv_adv;      /* right edge that was advertised: never drawn back */
	uint32_t rcv_last_ack; /* last acknowledgement sent */
	uint32_t rcv_taken;    /* acknowledged though not consumed, see tcp_rx.c */
	uint32_t rcv_budget;
	uint64_t rx_next, rx_sent, rx_consumed; /* stream offsets */
	uint64_t
		consumed_ns; /* when consumption last moved, data came after silence, or the valve opened */
	uint16_t rx_head, rx_tail,
		rx_prefix;    /* receive queue; prefix = last one that is in order */
	uint16_t rx_held[2];  /* buffers pinned, by class */
	uint16_t rx_ahead[2]; /* buffers reserved for the open part of the window, see rx_period */
	uint32_t rx_period;   /* the one of hold.h in which the guest last sent something */
	bool rx_large;	      /* segments come in large buffers */
	uint32_t rx_unit_bytes; /* payload a unit, smoothed */
	uint32_t fin_seq;	/* of the guest's FIN */
	bool fin_seen, fin_in;
	bool fin_told,
		fin_done; /* TCP_FIN sent; everything before it consumed: the FIN may be acknowledged */
	uint8_t acks_owed; /* duplicate acknowledgements due */
	bool ack_now, interactive;
	bool urgent;				/* a mark is pending */
	uint32_t rcv_up;			/* sequence number after the urgent byte */
	struct tcp_range sack[TCP_SACK_BLOCKS]; /* newest first; empty when start == end */
	struct tcp_range dsack;
	/* sending */
	uint32_t iss, snd_una, snd_nxt, snd_wnd, snd_wl1, snd_wl2, snd_wnd_max;
	uint64_t tx_una, tx_end,
		tx_credit; /* stream offsets: acknowledged, received from natproxy, granted */
	uint32_t tx_budget;
	uint16_t tx_head, tx_tail, tx_cursor; /* send queue of natproxy's buffers */
	bool tx_fin, fin_sent;
	uint32_t snd_small; /* end of the last segment that was smaller than the MSS */
	uint32_t snd_up;
	bool snd_urgent;
	uint32_t announced; /* credit: index of natproxy's ring at which it was sent */
	/* what is on its way, see tcp_sent.h */
	uint32_t sent_head, sent_tail; /* records: index + 1 */
	uint16_t sent_count;
	uint8_t recovery;      /* enum tcp_recovery */
	uint8_t dup_acks;      /* without SACK only */
	uint32_t sacked, lost; /* bytes the guest has beyond a hole; bytes to be sent again */
	uint64_t sent_ns;      /* when data last left */
	/* RACK and tail loss probe, see tcp_rack.c */
	uint32_t rack_us, rack_end; /* of what left last and has arrived */
	uint32_t rack_rtt_us;	    /* its round trip */
	uint32_t rack_high;	    /* end of the highest that arrived */
	uint32_t rack_round;	    /* the reordering window grows once this is acknowledged */
	uint32_t reorder_wait_us; /* a look at overdue segments is due then; 0 = none is waiting */
	uint8_t reorder_rounds, reorder_persist;
	bool rack_known; /* the three above mean something */
	bool reordering; /* was seen on this path */
	bool probing;	 /* a probe is out, up to probe_end */
	bool probe_again;
	uint32_t probe_end;
	/* congestion, see tcp_cc.c */
	uint32_t cwnd, ssthresh; /* bytes */
	bool cwnd_limited; /* the window of data up to limited_end met the congestion window */
	uint8_t frto;	   /* enum tcp_frto */
	uint32_t limited_end;
	uint32_t ecn_end; /* ECE counts again beyond this */
	uint32_t recover; /* recovery ends when this is acknowledged */
	uint32_t prr_delivered, prr_out, prr_flight;
	struct tcp_cubic cubic;
	struct tcp_hystart hystart;
	struct tcp_rate rate;
	struct tcp_undo undo;
	/* round trips */
	uint64_t srtt_ns, rttvar_ns, rto_ns;
	uint64_t rtt_ns;     /* when the last sample was taken */
	uint64_t timed_ns;   /* when our SYN left; 0 = it is not timed */
	uint64_t min_rtt_ns; /* begin of the epoch of min_rtt_us */
	uint32_t min_rtt_us, min_rtt_next_us;
	uint64_t
		challenge_ns; /* rate limit of challenge ACKs: time at which the bucket was empty */
	uint64_t heard_ns;    /* last segment of the guest */
};

struct tcp_options {
	bool has_mss, has_scale, has_sack_ok, has_ts;
	uint16_t mss;
	uint8_t scale;
	uint32_t ts_value, ts_echo;
	uint8_t sacks;
	struct tcp_range sack[TCP_SACK_BLOCKS];
};

/* A segment as it arrived. */
struct tcp_segment {
	uint32_t seq, ack, wnd;
	uint32_t payload_at, payload_bytes;
	uint32_t length; /* payload, SYN and FIN */
	uint16_t source, target, urgent;
	uint8_t flags;
	struct tcp_options options;
	const struct packet *packet;
	struct guest *guest;
};

/* What one acknowledgement said, collected on its way through the sender. */
struct tcp_ack {
	uint32_t acked;	    /* bytes of data newly acknowledged */
	uint32_t delivered; /* bytes acknowledged or SACKed for the first time */
	uint32_t rtt_us,
		rtt_first_us; /* of the last and first of them that was sent once; 0 = none */
	uint32_t ts_echo;
	bool has_ts;
	bool duplicate;	  /* RFC 5681 2 */
	bool original;	  /* bytes arrived that were sent once, from before the timeout */
	bool dsack;	  /* the guest got twice what we sent twice */
	bool probe_twice; /* and it was the tail loss probe */
	uint8_t sacks;
};

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}
static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? b : a;
}
static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? a : b;
}

/* tcp_in.c */
void tcp_input(struct stack *s, struct packet *p, struct guest *g);

/* tcp_open.c: how connections begin and end */
void tcp_open_passive(struct stack *s, const struct flow_key *key, const struct tcp_segment *seg);
/* Options of the guest's SYN are agreed to. */
void tcp_agree(struct stack *s, struct tcp *t, const struct tcp_segment *seg);
void tcp_established(struct stack *s, struct flow *f);
/* The connection is over: natproxy is told TCP_RESET when `tell`, buffers go back. */
void tcp_abort(struct stack *s, struct flow *f, bool tell);
/* The same with a RST to the guest first. */
void tcp_kill(struct stack *s, struct flow *f);
/* Both sides are done: TIME-WAIT when the guest may repeat its FIN, else the end. */
void tcp_finished(struct stack *s, struct flow *f, bool linger);
/* Drops a flow in TIME-WAIT. */
void tcp_forget(struct stack *s, struct flow *f);
/* The guest's FIN counts, once all before it was consumed and natproxy was told. */
void tcp_fin_check(struct stack *s, struct flow *f);
/* Our FIN was acknowledged. */
void tcp_fin_acked(struct stack *s, struct flow *f);
const char *tcp_state_name(uint8_t state);

/* tcp_opt.c */
/* Sizes and pairs are checked, malformed options end the list. */
void tcp_options_parse(struct wire_in *w, bool syn, struct tcp_options *o);
enum tcp_shape { TCP_SHAPE_SYN, TCP_SHAPE_ACK, TCP_SHAPE_DATA };
/* Returns the bytes written, a multiple of 4. */
uint32_t tcp_options_write(
	struct stack *s, struct tcp *t, struct wire_out *w, enum tcp_shape shape);
uint32_t tcp_ts_now(const struct stack *s, const struct tcp *t);
/* What tcp_ts_now was when something left, less than 2^32 us ago. */
uint32_t tcp_ts_at(const struct stack *s, const struct tcp *t, uint32_t sent_us);

/* tcp_share.c: who may hold how many buffers on the way up */
/* The flow pins a buffer; and a buffer of that class which the flow (by id) pinned is released. */
void tcp_share_pin(struct stack *s, struct tcp *t, uint32_t id);
void tcp_share_unpinned(struct stack *s, uint32_t flow, enum buf_class c);
/* The flow sends: what is reserved for it counts anew. One buffer of what is reserved came. */
void tcp_share_active(struct stack *s, struct tcp *t);
void tcp_share_used(struct stack *s, struct tcp *t, enum buf_class c);
/* Whether the segment's buffers may be pinned: always those that were promised. */
bool tcp_share_afford(
	const struct stack *s, const struct tcp *t, const struct tcp_segment *seg, bool in_order);
/* What a segment shows of how much payload the flow's buffers carry. */
void tcp_share_measure(
	struct tcp *t, const struct tcp_segment *seg, const struct ring_seg *piece, unsigned int n);
/* Buffers that the next window may promise; the bytes, from the first not consumed, that they allow; reserving them. */
uint32_t tcp_share_promise(struct stack *s, const struct tcp *t);
uint32_t tcp_share_window(
	struct stack *s, const struct tcp *t, uint32_t in_order, uint32_t promise);
void tcp_share_ahead(struct stack *s, struct tcp *t, uint32_t promise);
/* What is lent comes back, but no longer counts for this flow. */
void tcp_share_drop(struct stack *s, struct tcp *t);

/* tcp_rx.c: from the guest's segments to natproxy */
/* Places the payload of a segment that touches the window; keeps the buffers that it queues. */
void tcp_rx_segment(struct stack *s, struct flow *f, const struct tcp_segment *seg);
/* Hands what is in order to natproxy. False when the ring is full. */
bool tcp_rx_upload(struct stack *s, struct flow *f);
/* natproxy reports what the far end's kernel took. */
void tcp_rx_consumed(struct stack *s, struct flow *f, uint64_t offset);
/* The valve's timer: acknowledges what has waited for the far end for too long, or looks again later. */
void tcp_rx_waited(struct stack *s, struct flow *f);
void tcp_rx_drop(struct stack *s, struct tcp *t);
/* What an acknowledgement says now. */
uint32_t tcp_rx_ack(const struct tcp *t);
uint32_t tcp_rx_window(struct stack *s, struct tcp *t);

/* tcp_tx.c: natproxy's bytes until the guest has them */
/* -EPROTO when natproxy lent what it had lent already. */
int tcp_tx_add(struct stack *s, struct flow *f, const struct ring_desc *d);
void tcp_tx_acked(struct stack *s, struct tcp *t, uint32_t una);
void tcp_tx_drop(struct stack *s, struct tcp *t);
/* Segments that hold [seq, seq + bytes), at most RING_SEGS of them; returns how many bytes they hold. */
uint32_t tcp_tx_pieces(struct stack *s, struct tcp *t, uint32_t seq, uint32_t bytes,
	struct ring_seg out[RING_SEGS], unsigned int *n);
/*
 * The same bytes in a new buffer of our own (MINE), for a segment whose bytes lie in too many pieces: 0 when there is
 * none or they are not all there.
 */
uint32_t tcp_tx_copy(struct stack *s, struct tcp *t, uint32_t seq, uint32_t bytes);
/* Grants natproxy more when it is worth a message. False when the ring is full. */
bool tcp_tx_credit(struct stack *s, struct flow *f);
static inline uint32_t tcp_tx_end_seq(const struct tcp *t)
{
	return t->iss + 1 + (uint32_t)t->tx_end;
}

/* tcp_out.c */
/* One turn of a marked flow: natproxy's messages, then segments, then an acknowledgement if still due. */
void tcp_flush(struct stack *s, struct flow *f);
void tcp_send_syn(struct stack *s, struct flow *f);
/* The SYN or SYN-ACK leaves with the next flush. */
void tcp_syn_due(struct stack *s, struct flow *f);
/* A bare segment: ACK, window probe (seq = una - 1). */
void tcp_send_ack(struct stack *s, struct flow *f, uint32_t seq);
void tcp_send_reset(struct stack *s, struct flow *f);
/* The exact reset of RFC 9293 3.10.7.1 for a segment of no connection. */
void tcp_refuse(struct stack *s, const struct tcp_segment *seg);
/* Sends [seq, ...) again or for the first time: at most `bytes`, one descriptor. Returns bytes of sequence space sent. */
uint32_t tcp_send_data(struct stack *s, struct flow *f, uint32_t seq, uint32_t bytes);

/* tcp_timer.c */
void tcp_timer_set(struct stack *s, struct flow *f, enum tcp_timer which, uint64_t deadline_ns);
void tcp_timer_clear(struct tcp *t, enum tcp_timer which);
void tcp_timer_stop_all(struct stack *s, struct flow *f);
void tcp_timer_fire(struct stack *s, struct flow *f);
/* After sending or an acknowledgement: arms what the state of the send side asks for. */
void tcp_timer_update(struct stack *s, struct flow *f, bool progress);
void tcp_rtt_sample(struct tcp *t, uint64_t rtt_ns);
/* Takes a sample from an acknowledgement that brought news, at most one a round trip. */
void tcp_rtt_measure(struct stack *s, struct tcp *t, const struct tcp_ack *a);
uint64_t tcp_rto(const struct tcp *t);
void tcp_timer_idle(struct stack *s, struct flow *f);

/* tcp_sack.c: what the guest said it has. Takes the blocks of one acknowledgement, snd_una being moved already. */
void tcp_sack_take(
	struct stack *s, struct tcp *t, const struct tcp_segment *seg, struct tcp_ack *a);
/* Bytes believed to be on the way (RFC 6675 Pipe). */
uint32_t tcp_pipe(const struct tcp *t);

/* tcp_rack.c: RACK-TLP (RFC 8985) */
struct sent;
/* Bytes of record r up to end arrived for the first time. */
void tcp_rack_delivered(
	struct stack *s, struct tcp *t, const struct sent *r, uint32_t end, struct tcp_ack *a);
/* A duplicate was reported: the reordering window may grow. */
void tcp_rack_dsack(struct tcp *t, const struct tcp_ack *a);
/* Marks what is lost and arms the timer for what may be soon. True when something is newly lost. */
bool tcp_rack_detect(struct stack *s, struct flow *f);
/* Marks what a retransmission timeout calls lost. */
void tcp_rack_timeout(struct stack *s, struct tcp *t);
/* A recovery is over. */
void tcp_rack_recovered(struct tcp *t);
/* When a tail loss probe should go, counted from now; 0 = none may. */
uint64_t tcp_probe_wait_ns(const struct tcp *t);
void tcp_probe_send(struct stack *s, struct flow *f);
void tcp_probe_acked(struct stack *s, struct tcp *t, const struct tcp_ack *a);

/* tcp_ecn.c: explicit congestion notification (RFC 3168) */
/* The guest's SYN or SYN-ACK: both sides take part, or nobody. */
void tcp_ecn_agree(const struct stack *s, struct tcp *t, const struct tcp_segment *seg);
/* Flags of our SYN, or of our SYN-ACK. */
uint8_t tcp_ecn_syn(const struct stack *s, struct tcp *t, bool answer);
/* Whether data from seq on carries CWR: a segment of its own, since a super-frame would repeat or lose it. */
bool tcp_ecn_sends_cwr(const struct tcp *t, uint32_t seq);
/* Flags of any segment after the handshake. */
uint8_t tcp_ecn_flags(const struct tcp *t);
/* Data of the guest that is in the window. */
void tcp_ecn_heard(struct tcp *t, const struct tcp_segment *seg);
/* The acknowledgement's ECE; snd_una is moved already. */
void tcp_ecn_acked(struct stack *s, struct tcp *t, const struct tcp_segment *seg);
/* The window was reduced for this window of data: CWR is due, ECE until its end is old news. */
void tcp_ecn_reduced(struct tcp *t);

/* tcp_undo.c: recoveries that were not needed */
/* A recovery begins: remembers what there is to give back. */
void tcp_undo_begin(struct tcp *t);
/* [start, end) was sent again. */
void tcp_undo_resent(struct stack *s, struct tcp *t, uint32_t start, uint32_t end);
/* A D-SACK block; true when it is about something that this recovery sent again. */
bool tcp_undo_dsack(struct tcp *t, const struct tcp_range *block);
/* Takes the recovery back when the acknowledgement shows that it was needless. */
bool tcp_undo_try(struct stack *s, struct tcp *t, const struct tcp_ack *a);

/* tcp_cubic.c: how the window grows (RFC 9438, RFC 9406) */
/* Sets ssthresh for a loss or mark; the window itself is the caller's. */
void tcp_cubic_reduce(struct tcp *t);
void tcp_cubic_grow(struct stack *s, struct tcp *t, uint32_t bytes);
/* Nothing was sent for so long: the curve does not rise meanwhile (RFC 9438 5.8). */
void tcp_cubic_idle(struct tcp *t, uint64_t idle_ns);
/* Looks at the round trip of an acknowledgement for the end of slow start. */
void tcp_cubic_rtt(struct tcp *t, const struct tcp_ack *a);

/* tcp_cc.c: congestion control (RFC 5681, RFC 6928, RFC 9937) */
void tcp_cc_start(struct tcp *t);
/* Something is lost (t->lost): fast recovery begins. */
void tcp_cc_loss(struct stack *s, struct tcp *t, const struct tcp_ack *a);
/* One reduction without a recovery. */
void tcp_cc_reduce(struct stack *s, struct tcp *t);
/* What is out was too large for the path and goes again: no sign of congestion, the window stays. */
void tcp_cc_resize(struct stack *s, struct tcp *t);
void tcp_cc_timeout(struct stack *s, struct tcp *t);
/* The reordering timer: what waited may be lost now. */
void tcp_cc_overdue(struct stack *s, struct flow *f);
/* One acknowledgement's effect on recovery and window, everything else having been taken from it. */
void tcp_cc_ack(struct stack *s, struct flow *f, struct tcp_ack *a);
/* New data is about to leave with nothing on the way. */
void tcp_cc_restart(struct stack *s, struct tcp *t);

void tcp_path_mtu(struct stack *s, const struct flow_key *key, uint32_t seq, uint16_t mtu);

#endif
