/*
 * The skeleton, run as it will run: a static worker, exec'd, confined by Landlock and by a filter
 * that kills for every call that actor.h does not list. So each test here also shows that nothing
 * else is called after the lock.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"
#include "fake_super.h"
#include "topology.h"

static struct super_peer p;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void drain_and_end(void)
{
	Nl__ActorDrain m = NL__ACTOR_DRAIN__INIT;

	cr_assert_eq(broker_send_actor_drain(&p.chan, &m, NULL, 0), 0);
	cr_assert(fake_until(&p, &p.drained, 1));
	cr_assert_eq(fake_wait(&p), 0);
}

static uint64_t dumped(const char *reason)
{
	int slices = p.slices;

	fake_dump(&p, NL__TOPIC__DROPS, 0);
	cr_assert(fake_until(&p, &p.slices, slices + 1));
	return fake_drops(&p, reason);
}

Test(actor, hello_boot_locked_start_drained)
{
	fake_ready(&p);
	cr_assert_eq(p.hello, 1);
	cr_assert_neq(p.filter_hash, 0);
	drain_and_end();
	cr_assert_str_eq(p.note, "draining");
	cr_assert_eq(p.incidents, 0);
}

Test(actor, the_end_of_the_supervisor_is_the_end)
{
	static const struct fake_fault none;

	fake_spawn(&p, &none);
	close(p.chan.fd);
	cr_assert_eq(fake_wait(&p), 0, "before Boot");
	fake_ready(&p);
	close(p.chan.fd);
	cr_assert_eq(fake_wait(&p), 0, "after Start");
}

Test(actor, a_forbidden_call_kills)
{
	fake_ready(&p);
	fake_command(&p, FAKE_FORBIDDEN);
	cr_assert_eq(fake_wait(&p), 1000 + SIGSYS);
}

Test(actor, an_own_bug_ends_the_process)
{
	fake_ready(&p);
	fake_command(&p, FAKE_ABORT);
	cr_assert_gt(fake_wait(&p), 1000);
}

static int faulty(struct fake_fault fault)
{
	fake_spawn(&p, &fault);
	if (!fault.epoll_taken)
		fake_boot(&p, &fault);
	return fake_wait(&p);
}

Test(actor, refuses_to_start_when_something_is_wrong)
{
	cr_assert_eq(faulty((struct fake_fault){.no_filter = true}), 1);
	cr_assert_eq(faulty((struct fake_fault){.unsealed = true}), 1);
	cr_assert_eq(faulty((struct fake_fault){.epoll_taken = true}), 1);
	cr_assert_eq(faulty((struct fake_fault){.blocking_bell = true}), 1);
	cr_assert_eq(faulty((struct fake_fault){.refuse = true}), 1);
}

Test(actor, a_second_boot_ends_it)
{
	static const struct fake_fault none;

	fake_ready(&p);
	fake_boot(&p, &none);
	cr_assert_eq(fake_wait(&p), 1);
}

/* Waits for the bell of netstack as netstack would; false after `ms`. */
static bool netstack_waits(int ms)
{
	struct link *l = &p.netstack;
	struct pollfd f = {.fd = p.bell_netstack, .events = POLLIN};
	uint64_t count;
	bool rung = true;

	if (link_sleep(&l, 1)) {
		rung = poll(&f, 1, ms) == 1;
		link_wake(&l, 1);
		if (rung)
			cr_assert_eq(read(p.bell_netstack, &count, sizeof(count)), sizeof(count));
	}
	return rung;
}

static void ask(uint32_t flow)
{
	struct ring_desc d = {.op = RING_NETSTACK_SEND, .flow = flow};
	struct ring_header h = {0};

	cr_assert_eq(link_send(&p.netstack, LINK_DATA, &d, &h), 0);
}

/* Sends `count` descriptors in bursts and receives their echoes in order. */
static void echo(uint32_t count, uint32_t burst)
{
	struct ring_desc d;
	uint32_t sent = 0, got = 0;

	while (got < count) {
		for (uint32_t i = 0; i < burst && sent < count; i++)
			ask(sent++);
		link_flush(&p.netstack);
		while (got < sent) {
			cr_assert(netstack_waits(800), "no answer: %u of %u", got, sent);
			while (link_recv(&p.netstack, &d, NULL) == 1)
				cr_assert_eq(d.flow, got++);
			link_flush(&p.netstack);
		}
	}
}

Test(actor, rings_and_bells_lose_nothing)
{
	fake_ready(&p);
	echo(3000, 1);
	echo(200000, 700);
	cr_assert_eq(dumped("FALLBACK_WAKES"), 0);
	drain_and_end();
}

Test(actor, the_supervisor_is_heard_while_the_rings_are_never_empty)
{
	struct pollfd f = {.events = POLLIN};
	struct ring_desc d;
	int64_t start;
	int slices;

	fake_ready(&p);
	f.fd = p.chan.fd;
	for (int round = 0; round < 20; round++) {
		slices = p.slices;
		start = now_ms();
		fake_dump(&p, NL__TOPIC__DROPS, 0);
		while (poll(&f, 1, 0) == 0) {
			cr_assert_lt(now_ms() - start, 1000, "the rings starve the channel");
			while (link_room(&p.netstack, LINK_DATA) > RING_SLOTS / 4)
				ask(0);
			link_flush(&p.netstack);
			while (link_recv(&p.netstack, &d, NULL) == 1)
				continue;
			link_flush(&p.netstack);
		}
		cr_assert(fake_until(&p, &p.slices, slices + 1));
	}
	drain_and_end();
}

Test(actor, lazy_messages_come_by_timer)
{
	struct ring_desc d;
	int64_t start;

	fake_ready(&p);
	fake_command(&p, FAKE_LAZY);
	fake_command(&p, FAKE_SAY);
	cr_assert(fake_until(&p, &p.notes, 1));
	/* It may answer before we sleep: then there is no bell, and need not be. So many times that is not always so. */
	for (uint32_t i = 0; i < 100; i++) {
		ask(i);
		start = now_ms();
		link_flush(&p.netstack);
		cr_assert(netstack_waits(500), "the lazy answer never came");
		cr_assert_lt(now_ms() - start, 300);
		cr_assert_eq(link_recv(&p.netstack, &d, NULL), 1);
		link_flush(&p.netstack);
	}
	drain_and_end();
}

Test(actor, a_lost_doorbell_is_found_and_counted)
{
	struct ring_desc d;
	int64_t start = now_ms();

	fake_ready(&p);
	echo(1, 1);
	usleep(50000);
	/* Published by hand, and nobody rings. */
	ask(42);
	p.region_netstack->desc[p.netstack.published % RING_SLOTS] =
		(struct ring_desc){.op = RING_NETSTACK_SEND, .flow = 42};
	atomic_store(&p.region_netstack->head, p.netstack.head);
	cr_assert(netstack_waits(3000));
	cr_assert_eq(link_recv(&p.netstack, &d, NULL), 1);
	cr_assert_eq(d.flow, 42);
	cr_assert_lt(now_ms() - start, 2500);
	cr_assert_eq(dumped("FALLBACK_WAKES"), 1);
	drain_and_end();
}

Test(actor, a_late_doorbell_is_not_a_lost_one)
{
	uint64_t one = 1;
	struct ring_desc d;

	fake_ready(&p);
	echo(1, 1);
	/* Publish just before the fallback looks, ring within the grace period. */
	usleep(950000);
	ask(43);
	atomic_store(&p.region_netstack->head, p.netstack.head);
	usleep(150000);
	cr_assert_eq(write(p.bell_actor, &one, sizeof(one)), sizeof(one));
	cr_assert(netstack_waits(1000));
	cr_assert_eq(link_recv(&p.netstack, &d, NULL), 1);
	cr_assert_eq(dumped("FALLBACK_WAKES"), 0);
	drain_and_end();
}

/* The turn takes 300 ms, so the timer expires that much after the fallback's time. */
Test(actor, a_doorbell_between_the_fallback_and_its_timer_wakes)
{
	struct ring_desc d;
	int64_t start;

	fake_ready(&p);
	fake_command(&p, FAKE_SLOW);
	fake_command(&p, FAKE_SAY);
	cr_assert(fake_until(&p, &p.notes, 1));
	echo(1, 1);
	usleep(1000000 - FAKE_SLOW_MS * 1000 + FAKE_SLOW_MS * 500);
	ask(44);
	start = now_ms();
	link_flush(&p.netstack);
	cr_assert(netstack_waits(3000));
	cr_assert_lt(now_ms() - start, FAKE_SLOW_MS + 150, "it slept on");
	cr_assert_eq(link_recv(&p.netstack, &d, NULL), 1);
	cr_assert_eq(d.flow, 44);
	cr_assert_eq(dumped("FALLBACK_WAKES"), 0);
	drain_and_end();
}

Test(actor, a_hostile_ring_is_an_incident_and_the_actor_lives)
{
	fake_ready(&p);
	atomic_store(&p.region_netstack->head, 0x80000000);
	cr_assert_eq(write(p.bell_actor, &(uint64_t){1}, 8), 8);
	cr_assert(fake_until(&p, &p.incidents, 1));
	cr_assert_str_eq(p.incident_actor, "netstack");
	cr_assert_str_eq(p.incident_what, "published index out of range");
	for (int i = 0; i < 20; i++)
		cr_assert_eq(write(p.bell_actor, &(uint64_t){1}, 8), 8);
	cr_assert_eq(dumped("FALLBACK_WAKES"), 0);
	cr_assert_eq(p.incidents, 1, "reported once");
	drain_and_end();
}

Test(actor, a_malformed_record_is_an_incident_of_that_edge)
{
	static const uint8_t rubbish[] = {0xff, 0xff, 0xff};

	fake_ready(&p);
	cr_assert_eq(chan_send(&p.dhcpd, rubbish, sizeof(rubbish), NULL, 0), 0);
	cr_assert(fake_until(&p, &p.incidents, 1));
	cr_assert_str_eq(p.incident_actor, "dhcpd");
	chan_send(&p.dhcpd, rubbish, sizeof(rubbish), NULL, 0);
	echo(10, 1);
	cr_assert_eq(p.incidents, 1);
	drain_and_end();
}

/* The supervisor keeps both ends of every edge, so a neighbour that ends closes none. */
Test(actor, a_neighbour_that_feigns_its_end_is_reported)
{
	fake_ready(&p);
	cr_assert_eq(send(p.dhcpd.fd, "", 0, 0), 0, "an empty record");
	cr_assert(fake_until(&p, &p.incidents, 1));
	cr_assert_str_eq(p.incident_actor, "dhcpd");
	cr_assert_str_eq(p.incident_what, "it closed its channel");
	echo(10, 1);
	close(p.dhcpd.fd);
	echo(10, 1);
	cr_assert_eq(dumped("FALLBACK_WAKES"), 0);
	cr_assert_eq(p.incidents, 1);
	drain_and_end();
}

Test(actor, tables_come_in_bounded_slices)
{
	fake_ready(&p);
	for (int i = 1; i <= 3; i++) {
		fake_dump(&p, NL__TOPIC__SESSIONS, p.next_cursor);
		cr_assert(fake_until(&p, &p.slices, i));
		cr_assert_eq(p.rows, i < 3 ? 64 * i : FAKE_ROWS);
	}
	cr_assert_eq(p.next_cursor, 0);
	drain_and_end();
}

Test(actor, a_supervisor_that_does_not_read_costs_notes_not_the_actor)
{
	fake_ready(&p);
	fake_command(&p, FAKE_NOTES_NOW);
	echo(1000, 10);
	while (fake_until(&p, &p.notes, p.notes + 1) && p.notes < FAKE_NOTES)
		continue;
	cr_assert_gt(p.notes, 500, "what was queued came in the end");
	cr_assert_lt(p.notes, FAKE_NOTES);
	cr_assert_eq(dumped("LOG_LOST"), (uint64_t)(FAKE_NOTES - p.notes));
	cr_assert_eq(dumped("CHANNEL_FULL"), (uint64_t)(FAKE_NOTES - p.notes));
	drain_and_end();
}

Test(actor, many_descriptors_ready_at_once_need_no_memory)
{
	static int far[FAKE_PORTS];
	Nl__PortAttach m = NL__PORT_ATTACH__INIT;

	fake_ready(&p);
	for (int i = 0; i < FAKE_PORTS; i++) {
		int pair[2];

		cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
		while (broker_send_port_attach(&p.chan, &m, &pair[1], 1))
			usleep(1000);
		close(pair[1]);
		far[i] = pair[0];
	}
	fake_command(&p, FAKE_SAY);
	cr_assert(fake_until(&p, &p.notes, 1));
	/* All at once, while the actor is stopped. */
	kill(p.pid, SIGSTOP);
	for (int i = 0; i < FAKE_PORTS; i++)
		cr_assert_eq(write(far[i], "x", 1), 1);
	kill(p.pid, SIGCONT);
	for (int i = 2; i < 20 && strncmp(p.note, "read 200 ", 9) != 0; i++) {
		fake_command(&p, FAKE_SAY);
		cr_assert(fake_until(&p, &p.notes, i));
	}
	cr_assert_str_eq(p.note, "read 200 ports 200 timeouts 0");
	drain_and_end();
}

Test(actor, deadlines_are_kept)
{
	int timeouts = 0;

	fake_ready(&p);
	fake_command(&p, FAKE_TIMER);
	usleep(500000);
	fake_command(&p, FAKE_SAY);
	cr_assert(fake_until(&p, &p.notes, 1));
	sscanf(p.note, "read 0 ports 0 timeouts %d", &timeouts);
	cr_assert(timeouts >= 10 && timeouts <= 25, "%d in half a second of 20 ms each", timeouts);
	drain_and_end();
}

static long sleeps(void)
{
	char path[64], line[128];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)p.pid);
	f = fopen(path, "r");
	cr_assert_not_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "voluntary_ctxt_switches: %ld", &n);
	fclose(f);
	return n;
}

Test(actor, an_idle_actor_sleeps_even_after_its_bell_was_filled)
{
	uint64_t full = UINT64_MAX - 1;
	long before;
	struct timespec cpu;
	clockid_t clock;

	fake_ready(&p);
	cr_assert_eq(write(p.bell_actor, &full, sizeof(full)), sizeof(full));
	usleep(100000);
	before = sleeps();
	usleep(600000);
	cr_assert_leq(sleeps() - before, 5);
	cr_assert_eq(clock_getcpuclockid(p.pid, &clock), 0);
	cr_assert_eq(clock_gettime(clock, &cpu), 0);
	cr_assert(cpu.tv_sec == 0 && cpu.tv_nsec < 200000000, "it spins");
	echo(10, 1);
	drain_and_end();
}
