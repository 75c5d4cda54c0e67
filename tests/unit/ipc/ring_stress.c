/*
 * Two processes, real memory, real bells, real sleeping: 1e6 descriptors one way with payload by
 * reference, releases the other way. The digest of what arrived must equal that of what was sent,
 * and nobody may ever be found asleep with work in its ring (the fallback timeout of poll must not
 * fire).
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "hash.h"
#include "pair.h"

enum { COUNT = 1000000, BURST_MAX = 300, FALLBACK_MS = 2000 };

struct shared {
	struct ring_region region[2];
	_Atomic uint64_t fallbacks, errors, consumer_digest, consumer_sleeps, producer_sleeps;
};

struct end {
	struct link link;
	struct shared *shared;
	int own_bell;
};

static void *shared_memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(p, MAP_FAILED);
	return p;
}

/* Sleeps as the actor does: until rung. A time-out is a lost doorbell. */
static void wait_for_bell(struct end *e, _Atomic uint64_t *sleeps)
{
	struct link *l = &e->link;
	struct pollfd p = {.fd = e->own_bell, .events = POLLIN};
	uint64_t count;

	if (link_sleep(&l, 1)) {
		(*sleeps)++;
		if (poll(&p, 1, FALLBACK_MS) == 0)
			e->shared->fallbacks++;
		if (read(e->own_bell, &count, sizeof(count)) < 0)
			count = 0;
		link_wake(&l, 1);
	}
}

static uint64_t mix(uint64_t digest, uint64_t value)
{
	const struct hash_key key = {digest, 17};

	return hash_sip(&key, &value, sizeof(value));
}

static struct ring_desc nth(uint64_t n)
{
	struct ring_desc d = {.op = RING_BROKER_FRAME,
		.nseg = 1,
		.flow = (uint32_t)n,
		.arg = n * 0x9e3779b97f4a7c15};
	uint32_t index = (uint32_t)n % ARENA_SMALL_COUNT;

	d.seg[0] = (struct ring_seg){
		buf_offset(index), (uint32_t)n % ARENA_SMALL_BYTES, buf_id(ARENA_BROKER, index)};
	return d;
}

static uint64_t take_releases(struct end *e)
{
	struct ring_desc d;
	uint64_t n = 0;

	while (link_recv(&e->link, &d, NULL) == 1)
		n += d.nseg;
	return n;
}

/* Sends in bursts; sleeps when the ring is full or too many buffers are out. */
static uint64_t produce(struct end *e)
{
	uint64_t sent = 0, back = 0, digest = 0, seed = 1;

	while (back < COUNT) {
		uint64_t burst = (seed = seed * 6364136223846793005u + 1) >> 33;
		bool stuck = sent == COUNT;
		uint64_t returned;

		for (burst %= BURST_MAX; burst > 0 && sent < COUNT && !stuck; burst--) {
			struct ring_desc d = nth(sent);

			stuck = sent - back >= ARENA_SMALL_COUNT - LINK_LAZY_MAX ||
				link_send(&e->link, LINK_DATA, &d, NULL);
			if (!stuck) {
				digest = mix(digest, d.arg);
				sent++;
			}
		}
		link_flush(&e->link);
		returned = take_releases(e);
		back += returned;
		/* What came back may be what we were stuck for: try again before sleeping. */
		if (stuck && returned == 0 && back < COUNT)
			wait_for_bell(e, &e->shared->producer_sleeps);
		e->shared->errors += link_error(&e->link, NULL) != 0;
	}
	return digest;
}

static void consume(struct end *e)
{
	uint64_t got = 0, digest = 0;
	struct ring_desc d;

	while (got < COUNT) {
		for (int budget = 128; budget > 0 && link_recv(&e->link, &d, NULL) == 1; budget--) {
			struct ring_desc want = nth(got++);
			e->shared->errors += memcmp(&d, &want, sizeof(d)) != 0;
			digest = mix(digest, d.arg);
			link_release(&e->link, d.seg[0].id);
		}
		link_flush(&e->link);
		/* The actor's 5 ms timer stands in for this: lazy releases are delivered before
		 * sleeping. */
		link_ring(&e->link);
		if (got < COUNT && !link_error(&e->link, NULL))
			wait_for_bell(e, &e->shared->consumer_sleeps);
	}
	e->shared->consumer_digest = digest;
}

Test(ring_stress, a_million_descriptors_between_two_processes)
{
	struct shared *s = shared_memory(sizeof(*s));
	int bell[2] = {eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK)};
	struct end *ends = shared_memory(2 * sizeof(*ends));
	uint64_t digest;
	int status;
	pid_t child;

	for (int i = 0; i < 2; i++) {
		uint8_t me = i ? ACTOR_NETSTACK : ACTOR_BROKER,
			peer = i ? ACTOR_BROKER : ACTOR_NETSTACK;

		ends[i].shared = s;
		ends[i].own_bell = bell[i];
		link_init(&ends[i].link, &s->region[i], &s->region[1 - i], me, peer,
			link_arenas(DATA_PATH_SHARED, peer, me), link_release_op(me, peer),
			bell[1 - i]);
	}
	child = fork();
	if (child == 0) {
		consume(&ends[1]);
		_exit(0);
	}
	digest = produce(&ends[0]);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	cr_assert_eq(s->errors, 0);
	cr_assert_eq(s->consumer_digest, digest);
	cr_assert_eq(s->fallbacks, 0, "a doorbell was lost");
	cr_assert_gt(
		s->consumer_sleeps + s->producer_sleeps, 100, "nobody slept, nothing was tried");
}
