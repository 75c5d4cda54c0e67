/*
 * A script read into events. A line is a setting, or a time and what happens then:
 *
 *     option mtu 1500 | key 1 | half_open 128 | tolerance .004
 *     connection NAME [like OTHER] [guest PORT] [far PORT] [isn N]    besides the one that needs no name
 *
 *     TIME [NAME] < PACKET              the guest sends
 *     TIME [NAME] > PACKET              the stack sends
 *     TIME [NAME] maybe > PACKET        or does not
 *     TIME [NAME] until > PACKET        the same, after any bare acknowledgements of less
 *     TIME [NAME] > burst SPAN          so many segments with data are there, of whatever size
 *     TIME [NAME] establish [rtt S] [win N] <OPTIONS>
 *                                       the guest's SYN, the far end accepts, SYN-ACK, and S (.02) later ACK
 *     TIME [NAME] far accepts | refuses | unreachable host | unreachable net | prohibits | times out | runs short
 *                     connects | writes N | finishes N | urges N | closes | resets | stalls | takes N | resumes
 *     TIME [NAME] far sees open | data START:END(BYTES) | urgent N | fin | reset | end | accepted | rejected refused
 *     TIME nothing                      until then nothing was sent to either side
 *     TIME count NAME SPAN              of struct stack_counts
 *     TIME drops NAME SPAN              of drop.def
 *     TIME isn A B SPAN                 the stack's number for B, less that for A
 *     TIME flood N                      N SYNs of other ports, to which the far end is silent
 *     TIME uplink down | up
 *     TIME restart key N                a new stack with another secret
 *
 * TIME is +S after the event before, +S~S within such a span, S from the beginning, * whenever. Each event but `nothing`
 * is one of two kinds. What guest and far end do is done at its time, and fails when the stack has said
 * anything that the script has not yet expected. What is expected of the stack comes in its order.
 */
#ifndef NATLOCK_TESTS_SCRIPT_SCRIPT_H
#define NATLOCK_TESTS_SCRIPT_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "packet.h"

enum { SCRIPT_EVENTS_MAX = 400, SCRIPT_CONNECTIONS_MAX = 8, SCRIPT_LINE_MAX = 400 };

enum event_kind {
	EVENT_GUEST_SENDS,
	EVENT_STACK_SENDS,
	EVENT_BURST,
	EVENT_ESTABLISH,
	EVENT_FAR_DOES,
	EVENT_FAR_SEES,
	EVENT_NOTHING,
	EVENT_COUNT,
	EVENT_DROPS,
	EVENT_ISN,
	EVENT_FLOOD,
	EVENT_UPLINK,
	EVENT_RESTART,
};

enum far_act {
	FAR_ACCEPTS,
	FAR_REFUSES,
	FAR_HOST_UNREACHABLE,
	FAR_NET_UNREACHABLE,
	FAR_PROHIBITS,
	FAR_TIMES_OUT,
	FAR_RUNS_SHORT,
	FAR_CONNECTS,
	FAR_WRITES,
	FAR_FINISHES, /* writes, and closes at once */
	FAR_URGES,
	FAR_CLOSES,
	FAR_RESETS,
	FAR_STALLS,
	FAR_TAKES,
	FAR_RESUMES,
};

enum far_sight {
	SIGHT_OPEN,
	SIGHT_DATA,
	SIGHT_URGENT, /* value: sequence number of the last urgent byte */
	SIGHT_FIN,
	SIGHT_RESET,
	SIGHT_END,
	SIGHT_ACCEPTED,
	SIGHT_REJECTED, /* value: enum ring_failure */
};

enum count_name {
	COUNT_TCP,
	COUNT_HALF_OPEN,
	COUNT_TIME_WAIT,
	COUNT_RETRANSMITS,
	COUNT_TIMEOUTS,
	COUNT_RESETS,
	COUNT_NAMES
};

struct when {
	bool absolute, any;
	uint64_t low_ns, high_ns;
};

struct event {
	int line;
	enum event_kind kind;
	struct when when;
	unsigned int connection, other;
	bool maybe, until;
	uint8_t what;	/* enum far_act, enum far_sight, enum count_name, enum drop */
	uint32_t value; /* of a far_act or far_sight, flood, uplink, restart */
	struct span span;
	uint64_t rtt_ns; /* of establish */
	struct packet packet;
	char text[SCRIPT_LINE_MAX]; /* the line, for messages */
};

struct script_connection {
	char name[16];
	uint16_t guest_port, far_port;
	uint32_t guest_isn;
};

struct script {
	const char *path;
	uint16_t mtu;
	uint8_t key;
	uint32_t half_open;
	uint64_t tolerance_ns;
	unsigned int connections, events;
	struct script_connection connection[SCRIPT_CONNECTIONS_MAX];
	struct event event[SCRIPT_EVENTS_MAX];
};

/* NULL after it said on stderr which line cannot be read; free() it. */
struct script *script_read(const char *path);

#endif
