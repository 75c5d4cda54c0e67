/*
 * Many TCP connections, each proven by a byte that is sent and comes back. crr closes it then and
 * begins a new one; hold keeps it; first wants one only, from a gateway that is just being started.
 * A flow asks once at a time:
 *
 *	begin -> CONNECTING -> ASKED -> PROVEN, or FREE at any failure
 *
 * hold does nothing with its flows when they stand: what a gateway remembers of them is measured
 * from outside. "check" on standard input asks all again and counts; "quit" or its end ends.
 */
#include "load.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 256, OPENING = 100, PATIENCE_NS = 2000000000, SWEEP_NS = 200000000 };
enum { FIRST_NS = 10000000 };
#define FIRST_ATTEMPTS "256"
#define CHECK_SECONDS  "8"

enum state { FREE, CONNECTING, ASKED, PROVEN };

struct flow {
	int fd;
	enum state state;
	uint64_t begin_ns;
};

struct run {
	int epoll;
	struct sockaddr_in far;
	size_t count, asking; /* asking: flows CONNECTING or ASKED */
	struct flow *flow;
	struct samples samples;
};

static void run_init(struct run *r, const char *ip, unsigned port, const char *count)
{
	load_raise_descriptors();
	*r = (struct run){.epoll = epoll_create1(0),
		.far = load_address(ip, port),
		.count = strtoul(count, NULL, 10)};
	r->flow = load_alloc(r->count, sizeof(*r->flow));
	load_samples_begin(&r->samples);
}

static void begin(struct run *r, size_t index)
{
	struct flow *f = &r->flow[index];

	*f = (struct flow){.begin_ns = load_now_ns(), .fd = load_connect_begin(&r->far)};
	if (f->fd < 0) {
		r->samples.failed++;
		return;
	}
	f->state = CONNECTING;
	r->asking++;
	load_watch(r->epoll, f->fd, EPOLLOUT, index, false);
}

static void finish(struct run *r, struct flow *f)
{
	r->asking -= f->state == CONNECTING || f->state == ASKED;
	f->state = FREE;
	close(f->fd);
}

static void ask(struct run *r, size_t index)
{
	struct flow *f = &r->flow[index];
	char byte = 'x';

	if (write(f->fd, &byte, 1) != 1) {
		r->samples.failed++;
		finish(r, f);
		return;
	}
	r->asking += f->state == PROVEN;
	f->state = ASKED;
	load_watch(r->epoll, f->fd, EPOLLIN, index, true);
}

static void advance(struct run *r, size_t index)
{
	struct flow *f = &r->flow[index];
	char byte;

	if (f->state == CONNECTING) {
		ask(r, index);
		return;
	}
	if (f->state == ASKED && read(f->fd, &byte, 1) == 1) {
		load_samples_add(&r->samples, f->begin_ns);
		f->state = PROVEN;
		r->asking--;
		return;
	}
	r->samples.failed++;
	finish(r, f);
}

static void wait_events(struct run *r, int milliseconds)
{
	struct epoll_event event[EVENTS];
	int count = epoll_wait(r->epoll, event, EVENTS, milliseconds);

	for (int i = 0; i < count; i++)
		if (r->flow[event[i].data.u64].state != FREE)
			advance(r, event[i].data.u64);
}

/* Closes the flows in `state` that began before `before_ns`; how many. */
static size_t finish_all(struct run *r, enum state state, uint64_t before_ns)
{
	size_t count = 0;

	for (size_t i = 0; i < r->count; i++) {
		if (r->flow[i].state != state || r->flow[i].begin_ns >= before_ns)
			continue;
		finish(r, &r->flow[i]);
		count++;
	}
	return count;
}

/* A new attempt every 10 ms, since a lost SYN would only be repeated after a second. */
int flows_first(char **argument)
{
	uint64_t end_ns = load_deadline_ns(argument[1]), next_ns = 0, now_ns;
	struct run r;

	run_init(&r, argument[0], LOAD_PORT_ECHO, FIRST_ATTEMPTS);
	for (size_t next = 0; !r.samples.count && (now_ns = load_now_ns()) < end_ns;) {
		size_t index = next % r.count;

		if (now_ns >= next_ns && r.flow[index].state == FREE) {
			begin(&r, index);
			next++;
			next_ns = now_ns + (r.flow[index].state == FREE ? FIRST_NS / 10 : FIRST_NS);
		}
		wait_events(&r, 1);
	}
	printf("{\"at_ns\": %llu}\n", (unsigned long long)load_now_ns());
	return !r.samples.count;
}

int flows_crr(char **argument)
{
	uint64_t end_ns = load_deadline_ns(argument[2]), swept_ns = 0, now_ns;
	struct run r;
	unsigned next = 0;

	run_init(&r, argument[0], LOAD_PORT_SHORT, argument[1]);
	while ((now_ns = load_now_ns()) < end_ns) {
		for (size_t i = 0; i < r.count; i++) {
			if (r.flow[i].state == PROVEN)
				finish(&r, &r.flow[i]);
			if (r.flow[i].state != FREE)
				continue;
			r.far.sin_port =
				htons((uint16_t)(LOAD_PORT_SHORT + next++ % LOAD_SHORT_PORTS));
			begin(&r, i);
		}
		wait_events(&r, 20);
		if (now_ns - swept_ns > SWEEP_NS) {
			swept_ns = now_ns;
			r.samples.failed += finish_all(&r, CONNECTING, now_ns - PATIENCE_NS);
			r.samples.failed += finish_all(&r, ASKED, now_ns - PATIENCE_NS);
		}
	}
	return load_samples_print(&r.samples);
}

/* Gives up who has not answered by now; how many have. */
static size_t count_proven(struct run *r)
{
	size_t proven = 0;

	finish_all(r, CONNECTING, UINT64_MAX);
	finish_all(r, ASKED, UINT64_MAX);
	for (size_t i = 0; i < r->count; i++)
		proven += r->flow[i].state == PROVEN;
	return proven;
}

static size_t check_all(struct run *r)
{
	uint64_t end_ns = load_deadline_ns(CHECK_SECONDS);

	for (size_t i = 0; i < r->count; i++)
		if (r->flow[i].state == PROVEN)
			ask(r, i);
	while (r->asking && load_now_ns() < end_ns)
		wait_events(r, 20);
	return count_proven(r);
}

int flows_hold(char **argument)
{
	uint64_t end_ns = load_deadline_ns(argument[2]);
	struct run r;
	char line[16];
	size_t next = 0;

	run_init(&r, argument[0], LOAD_PORT_ECHO, argument[1]);
	while ((next < r.count || r.asking) && load_now_ns() < end_ns) {
		while (next < r.count && r.asking < OPENING)
			begin(&r, next++);
		wait_events(&r, 20);
	}
	printf("{\"established\": %zu, \"seconds\": %.3f}\n", count_proven(&r),
		(double)(load_now_ns() - r.samples.begin_ns) / LOAD_NS_PER_SECOND);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n")) {
		printf("{\"alive\": %zu}\n", check_all(&r));
		fflush(stdout);
	}
	return 0;
}
