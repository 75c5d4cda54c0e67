/*
 * A bad link between two network interfaces, for machines whose kernel has no netem.
 *
 *     impair INTERFACE INTERFACE SEED [NAME=VALUE]...     (fate.h: names of a profile)
 *
 * Prints "ready", relays until SIGTERM, then prints one JSON object with what it did. Only IPv4 frames are harmed: a lost ARP
 * answer would cost the kernel's own second and hide what is measured. A frame longer than FRAME_MOST ends the program: an end that still
 * hands over super-frames would turn one loss into forty.
 *
 *   socket A ─ recvmmsg ─▶ fate ─▶ line (a ring of frames, each with its time) ─ sendmmsg ─▶ socket B     and the same back
 *                            └─▶ late: kept beside the line until so many others have passed
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "fate.h"

enum {
	FRAME_MOST = 1600,
	LINE_FRAMES = 16384,
	BATCH = 64,
	LATE_MOST_US = 3000, /* a late frame that nobody passes goes on after so long */
	QUEUE_BYTES = 64 << 20,
};

struct frame {
	uint64_t due_ns;
	uint32_t bytes;
	uint8_t data[FRAME_MOST];
};

struct line {
	int from, to;
	struct fate_stream stream;
	uint64_t head, tail; /* frames put in, frames sent */
	uint64_t free_ns;    /* when the wire has sent what was put in (rate) */
	struct frame late;   /* bytes 0: none */
	uint32_t behind;
	struct frame *ring;
	unsigned long frames, lost, copied, reordered, damaged, cut, overrun;
};

static struct fate_profile profile;
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	stop = number;
}

static void fail(const char *what)
{
	fprintf(stderr, "impair: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* What this end sends is cut up and summed before it leaves. */
static void offloads_off(int fd, const char *interface)
{
	static const uint32_t commands[] = {
		ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO, ETHTOOL_STXCSUM};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct ethtool_value v = {.cmd = commands[i]};
		struct ifreq r = {.ifr_data = (char *)&v};
		strncpy(r.ifr_name, interface, IFNAMSIZ - 1);
		(void)ioctl(fd, SIOCETHTOOL, &r); /* a TAP knows some of them only */
	}
}

static void set(int fd, int level, int option, const void *value, socklen_t bytes)
{
	if (setsockopt(fd, level, option, value, bytes))
		fail("setsockopt");
}

static int open_end(const char *interface)
{
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0), on = 1, room = QUEUE_BYTES;
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct packet_mreq all = {.mr_type = PACKET_MR_PROMISC};
	at.sll_ifindex = all.mr_ifindex = (int)if_nametoindex(interface);
	if (fd < 0 || !at.sll_ifindex)
		fail(interface);
	offloads_off(fd, interface);
	set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	set(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
	set(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	set(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)))
		fail(interface);
	set(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all));
	return fd;
}

/* Puts a frame at the end of the line. */
static void put(struct line *l, const uint8_t *data, uint32_t bytes, uint64_t now)
{
	struct frame *f = &l->ring[l->head % LINE_FRAMES];
	if (l->head - l->tail == LINE_FRAMES) {
		l->overrun++;
		return;
	}
	if (profile.rate_kbit) {
		l->free_ns = (l->free_ns > now ? l->free_ns : now) +
			     (uint64_t)bytes * 8 * 1000000 / profile.rate_kbit;
		now = l->free_ns;
	}
	f->due_ns = now + (uint64_t)profile.delay_us * 1000;
	f->bytes = bytes;
	memcpy(f->data, data, bytes);
	l->head++;
}

static void put_late(struct line *l, uint64_t now)
{
	put(l, l->late.data, l->late.bytes, now);
	l->late.bytes = 0;
}

/* One frame has passed the late one. */
static void passed(struct line *l, uint64_t now)
{
	if (l->late.bytes && --l->behind == 0)
		put_late(l, now);
}

static void take(struct line *l, uint8_t *data, uint32_t bytes, uint64_t now)
{
	struct fate f;
	if (bytes < FATE_ETHERNET_BYTES || data[12] != 0x08 || data[13] != 0x00) {
		put(l, data, bytes, now);
		return;
	}
	f = fate_draw(&l->stream, &profile, bytes);
	l->frames++;
	l->lost += f.lost;
	if (f.lost)
		return;
	l->cut += f.bytes != bytes;
	if (f.bit) {
		data[f.bit / 8] ^= (uint8_t)(1u << f.bit % 8);
		l->damaged++;
	}
	if (f.behind && !l->late.bytes) {
		l->reordered++;
		l->behind = f.behind;
		l->late = (struct frame){
			.due_ns = now + LATE_MOST_US * UINT64_C(1000), .bytes = f.bytes};
		memcpy(l->late.data, data, f.bytes);
		return;
	}
	put(l, data, f.bytes, now);
	if (f.copied) {
		l->copied++;
		put(l, data, f.bytes, now);
	}
	passed(l, now);
}

static void receive(struct line *l, uint64_t now)
{
	static uint8_t room[BATCH][FRAME_MOST + 1];
	struct iovec piece[BATCH];
	struct mmsghdr m[BATCH] = {0};
	int got;
	for (int i = 0; i < BATCH; i++) {
		piece[i] = (struct iovec){room[i], sizeof(room[i])};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &piece[i], .msg_iovlen = 1};
	}
	got = recvmmsg(l->from, m, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < got; i++) {
		if (m[i].msg_len > FRAME_MOST) {
			fprintf(stderr, "impair: a frame of more than %d bytes: offloads are on\n",
				FRAME_MOST);
			exit(1);
		}
		take(l, room[i], m[i].msg_len, now);
	}
}

static void deliver(struct line *l, uint64_t now)
{
	while (l->tail != l->head && l->ring[l->tail % LINE_FRAMES].due_ns <= now) {
		struct iovec piece[BATCH];
		struct mmsghdr m[BATCH] = {0};
		unsigned int n = 0;
		int sent;
		for (uint64_t at = l->tail; at != l->head && n < BATCH; at++, n++) {
			struct frame *f = &l->ring[at % LINE_FRAMES];
			if (f->due_ns > now)
				break;
			piece[n] = (struct iovec){f->data, f->bytes};
			m[n].msg_hdr = (struct msghdr){.msg_iov = &piece[n], .msg_iovlen = 1};
		}
		sent = sendmmsg(l->to, m, n, MSG_DONTWAIT);
		if (sent < 0 && errno == EAGAIN)
			return;
		l->tail +=
			sent < 1 ? 1 : (unsigned int)sent; /* what the interface refuses is gone */
	}
}

/* Nanoseconds until the line has something to do, at most `most`. */
static uint64_t wait_of(const struct line *l, uint64_t now, uint64_t most)
{
	uint64_t due = l->tail != l->head ? l->ring[l->tail % LINE_FRAMES].due_ns : UINT64_MAX;
	if (l->late.bytes && l->late.due_ns < due)
		due = l->late.due_ns;
	if (due <= now)
		return 0;
	return due - now < most ? due - now : most;
}

static void relay(struct line line[2])
{
	struct pollfd ends[2] = {{line[0].from, POLLIN, 0}, {line[1].from, POLLIN, 0}};
	while (!stop) {
		uint64_t now = now_ns(), wait = 1000000000;
		for (int i = 0; i < 2; i++)
			wait = wait_of(&line[i], now, wait);
		ppoll(ends, 2,
			&(struct timespec){.tv_sec = (time_t)(wait / 1000000000),
				.tv_nsec = (long)(wait % 1000000000)},
			NULL);
		now = now_ns();
		for (int i = 0; i < 2; i++) {
			if (ends[i].revents & POLLIN)
				receive(&line[i], now);
			if (line[i].late.bytes && line[i].late.due_ns <= now)
				put_late(&line[i], now);
			deliver(&line[i], now);
		}
	}
}

static void report(struct line *l, const char *name, const char *end)
{
	struct tpacket_stats seen = {0};
	socklen_t n = sizeof(seen);
	getsockopt(l->from, SOL_PACKET, PACKET_STATISTICS, &seen, &n);
	printf("\"%s\": {\"frames\": %lu, \"lost\": %lu, \"copied\": %lu, \"reordered\": %lu, "
	       "\"damaged\": %lu, \"cut\": %lu, \"overrun\": %lu}%s",
		name, l->frames, l->lost, l->copied, l->reordered, l->damaged, l->cut,
		l->overrun + seen.tp_drops, end);
}

int main(int argc, char **argv)
{
	struct line line[2] = {0};
	if (argc < 4)
		return fprintf(stderr, "usage: impair INTERFACE INTERFACE SEED [NAME=VALUE]...\n"),
		       2;
	for (int i = 4; i < argc; i++)
		if (!fate_parse(&profile, argv[i]))
			return fprintf(stderr, "impair: what is %s?\n", argv[i]), 2;
	for (unsigned int i = 0; i < 2; i++) {
		line[i].from = line[!i].to = open_end(argv[1 + i]);
		fate_init(&line[i].stream, strtoull(argv[3], NULL, 0), i);
		line[i].ring = calloc(LINE_FRAMES, sizeof(struct frame));
		if (!line[i].ring)
			fail("memory");
	}
	prctl(PR_SET_TIMERSLACK, 1);
	signal(SIGTERM, on_signal);
	printf("ready\n");
	fflush(stdout);
	relay(line);
	printf("{");
	report(&line[0], "forth", ", ");
	report(&line[1], "back", "}\n");
	for (unsigned int i = 0; i < 2; i++)
		free(line[i].ring);
	return 0;
}
