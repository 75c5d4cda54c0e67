/* DNS queries for A records, so many outstanding; all names different, or a few (for a cache). */
#include "load.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IDS = 65536, MESSAGE = 512, PATIENCE_NS = 1000000000, SWEEP_NS = 100000000 };

struct run {
	int fd;
	unsigned outstanding, most, distinct, sent;
	uint16_t next;
	uint32_t salt;
	uint64_t asked_ns[IDS]; /* by query id; 0: not outstanding */
	struct samples samples;
};

static bool ask(struct run *r)
{
	uint8_t message[MESSAGE] = {r->next >> 8, r->next & 255, 1, 0, 0, 1};
	unsigned number = r->distinct ? r->sent % r->distinct : r->sent;
	size_t label = (size_t)sprintf((char *)message + 13, "n%08x%08x", number, r->salt);

	message[12] = (uint8_t)label;
	memcpy(message + 13 + label, "\4test\0\0\1\0\1", 10); /* the root's label, A, IN */
	if (write(r->fd, message, label + 23) < 0)
		return false;
	r->asked_ns[r->next++] = load_now_ns();
	r->sent++;
	r->outstanding++;
	return true;
}

static void hear(struct run *r, const uint8_t *message)
{
	uint64_t *asked_ns = &r->asked_ns[message[0] << 8 | message[1]];

	if (!*asked_ns)
		return;
	if (message[2] & 0x80 && !(message[3] & 15) &&
		message[7]) /* a response, no error, an answer */
		load_samples_add(&r->samples, *asked_ns);
	else
		r->samples.failed++;
	*asked_ns = 0;
	r->outstanding--;
}

static void give_up_old(struct run *r)
{
	uint64_t now_ns = load_now_ns(); /* not earlier than any question */

	for (size_t i = 0; i < IDS; i++) {
		if (!r->asked_ns[i] || now_ns - r->asked_ns[i] < PATIENCE_NS)
			continue;
		r->asked_ns[i] = 0;
		r->outstanding--;
		r->samples.failed++;
	}
}

int names_run(char **argument)
{
	static struct run r;
	struct sockaddr_in far = load_address(argument[0], 53);
	uint64_t end_ns = load_deadline_ns(argument[3]), swept_ns, now_ns;
	uint8_t message[MESSAGE];

	r.fd = load_datagram_socket(NULL, &far);
	r.most = (unsigned)atoi(argument[1]);
	r.distinct = (unsigned)atoi(argument[2]);
	r.salt = (uint32_t)load_now_ns();
	load_samples_begin(&r.samples);
	swept_ns = r.samples.begin_ns;
	while ((now_ns = load_now_ns()) < end_ns) {
		struct pollfd ready = {r.fd, POLLIN, 0};

		while (r.outstanding < r.most && ask(&r))
			;
		poll(&ready, 1, 20);
		while (recv(r.fd, message, sizeof(message), MSG_DONTWAIT) > 12)
			hear(&r, message);
		if (now_ns - swept_ns > SWEEP_NS) {
			swept_ns = now_ns;
			give_up_old(&r);
		}
	}
	return load_samples_print(&r.samples);
}
