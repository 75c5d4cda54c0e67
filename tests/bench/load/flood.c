/*
 * Datagrams one way, flat out and numbered, so that the receiver tells loss, repetition and
 * disorder apart. Sender and receiver report each for itself; either may be the guest.
 */
#include "load.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	BATCH = 32,
	SIZE_MAX_BYTES = 2048,
	SEEN = 1 << 24, /* numbers that are remembered; a run is shorter */
	SILENCE_US = 400000,
};

struct stamp {
	uint64_t number;
};

struct batch {
	struct mmsghdr message[BATCH];
	struct iovec piece[BATCH];
	char data[BATCH][SIZE_MAX_BYTES];
};

static struct batch *batch_new(size_t size, struct sockaddr_in *far)
{
	struct batch *b = load_alloc(1, sizeof(*b));

	for (size_t i = 0; i < BATCH; i++) {
		b->piece[i] = (struct iovec){b->data[i], size};
		b->message[i].msg_hdr = (struct msghdr){.msg_iov = &b->piece[i],
			.msg_iovlen = 1,
			.msg_name = far,
			.msg_namelen = far ? sizeof(*far) : 0};
	}
	return b;
}

static int send_all(int fd, struct sockaddr_in *far, char **argument)
{
	size_t size = strtoul(argument[2], NULL, 10);
	uint64_t begin_ns = load_now_ns(), end_ns = load_deadline_ns(argument[3]), sent = 0;
	struct batch *b;

	if (size < sizeof(struct stamp) || size > SIZE_MAX_BYTES)
		return 2;
	b = batch_new(size, far);
	while (load_now_ns() < end_ns) {
		for (unsigned i = 0; i < BATCH; i++)
			memcpy(b->data[i], &(struct stamp){sent + i}, sizeof(struct stamp));
		int done = sendmmsg(fd, b->message, BATCH, 0);
		if (done > 0)
			sent += (unsigned)done;
		else if (done < 0 && errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED)
			load_die("sendmmsg");
	}
	printf("{\"sent\": %llu, \"seconds\": %.6f}\n", (unsigned long long)sent,
		(double)(load_now_ns() - begin_ns) / LOAD_NS_PER_SECOND);
	return 0;
}

struct tally {
	uint8_t *seen; /* a bit a number */
	uint64_t received, repeated, late, bytes, highest, first_ns, last_ns;
};

static void count_one(struct tally *t, const char *data, size_t size)
{
	struct stamp stamp;
	uint8_t bit;

	if (size < sizeof(stamp))
		return;
	memcpy(&stamp, data, sizeof(stamp));
	stamp.number %= SEEN;
	bit = (uint8_t)(1 << (stamp.number & 7));
	if (t->seen[stamp.number >> 3] & bit) {
		t->repeated++;
		return;
	}
	t->seen[stamp.number >> 3] |= bit;
	t->received++;
	t->bytes += size;
	t->late += stamp.number < t->highest;
	if (stamp.number > t->highest)
		t->highest = stamp.number;
}

/* Counts until SILENCE_US after the last one. asks: a datagram goes out until the first comes. */
static int receive_all(int fd, const char *seconds, bool asks)
{
	struct tally t = {.seen = load_alloc(SEEN / 8, 1)};
	struct batch *b = batch_new(SIZE_MAX_BYTES, NULL);
	struct timeval silence = {0, SILENCE_US};
	uint64_t end_ns = load_deadline_ns(seconds);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
	while (load_now_ns() < end_ns) {
		if (asks && !t.received && write(fd, "go", 2) < 0 && errno != ECONNREFUSED)
			load_die("ask");
		int count = recvmmsg(fd, b->message, BATCH, MSG_WAITFORONE, NULL);
		if (count <= 0 && t.received)
			break;
		if (count > 0)
			t.last_ns = load_now_ns();
		if (!t.received)
			t.first_ns = t.last_ns;
		for (int i = 0; i < count; i++)
			count_one(&t, b->data[i], b->message[i].msg_len);
	}
	printf("{\"received\": %llu, \"repeated\": %llu, \"late\": %llu, \"bytes\": %llu, "
	       "\"seconds\": %.6f}\n",
		(unsigned long long)t.received, (unsigned long long)t.repeated,
		(unsigned long long)t.late, (unsigned long long)t.bytes,
		(double)(t.last_ns - t.first_ns) / LOAD_NS_PER_SECOND);
	return t.received == 0;
}

static struct sockaddr_in far_end(char **argument)
{
	return load_address(argument[0], (unsigned)atoi(argument[1]));
}

int flood_send(char **argument)
{
	struct sockaddr_in far = far_end(argument);

	return send_all(load_datagram_socket(NULL, &far), NULL, argument);
}

int flood_receive(char **argument)
{
	struct sockaddr_in own = far_end(argument);

	return receive_all(load_datagram_socket(&own, NULL), argument[2], false);
}

int flood_send_back(char **argument)
{
	struct sockaddr_in own = far_end(argument), asker;
	int fd = load_datagram_socket(&own, NULL);
	socklen_t length = sizeof(asker);
	char word[8];

	if (recvfrom(fd, word, sizeof(word), 0, (struct sockaddr *)&asker, &length) < 0)
		load_die("recvfrom");
	return send_all(fd, &asker, argument);
}

int flood_fetch(char **argument)
{
	struct sockaddr_in far = far_end(argument);

	return receive_all(load_datagram_socket(NULL, &far), argument[2], true);
}
