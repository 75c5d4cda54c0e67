/* See fake_super.h. */
#include "fake_super.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "topology.h"

static const int allowed[] = {SYS_epoll_wait, SYS_epoll_ctl, SYS_recvmsg, SYS_sendmsg, SYS_read,
	SYS_write, SYS_close, SYS_clock_gettime, SYS_exit_group, SYS_rt_sigreturn};
enum { ALLOWED = sizeof(allowed) / sizeof(allowed[0]), FILTER = ALLOWED + 3 };

static void build_filter(struct sock_filter *f)
{
	f[0] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (int i = 0; i < ALLOWED; i++)
		f[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			(unsigned int)allowed[i], (unsigned char)(ALLOWED - i), 0);
	f[1 + ALLOWED] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	f[2 + ALLOWED] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

static int memory(size_t bytes, bool sealed)
{
	int fd = memfd_create("fake", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	cr_assert_eq(ftruncate(fd, (off_t)bytes), 0);
	if (sealed)
		cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	return fd;
}

static void *map(int fd, size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static void share(struct super_peer *p, const struct fake_fault *fault)
{
	p->memory[0] = memory(sizeof(struct ring_region), !fault->unsealed);
	p->memory[1] = memory(sizeof(struct ring_region), true);
	for (int i = 2; i < 5; i++)
		p->memory[i] = memory(ARENA_BYTES, true);
	p->region_actor = map(p->memory[0], sizeof(struct ring_region));
	p->region_netstack = map(p->memory[1], sizeof(struct ring_region));
	p->bell_actor = eventfd(0, EFD_CLOEXEC | (fault->blocking_bell ? 0 : EFD_NONBLOCK));
	p->bell_netstack = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	link_init(&p->netstack, p->region_netstack, p->region_actor, ACTOR_NETSTACK, ACTOR_BROKER,
		link_arenas(DATA_PATH_SHARED, ACTOR_BROKER, ACTOR_NETSTACK),
		link_release_op(ACTOR_NETSTACK, ACTOR_BROKER), p->bell_actor);
}

enum { WANTED = 5 };

/* The child's descriptors as in topology.def: EPOLL free, placeholders below the ports, nothing
 * above. */
static void arrange(const int *wanted, bool epoll_taken)
{
	static const int numbers[WANTED] = {BROKER_CH_SUPER, BROKER_CH_NETSTACK, BROKER_CH_DHCPD,
		BROKER_BELL_OWN, BROKER_BELL_NETSTACK};
	int high[WANTED], null = open("/dev/null", O_RDWR);

	for (int i = 0; i < WANTED; i++)
		high[i] = fcntl(wanted[i], F_DUPFD, 100);
	null = fcntl(null, F_DUPFD, 200);
	for (int fd = 3; fd < BROKER_PORT_FIRST; fd++)
		dup2(null, fd);
	for (int i = 0; i < WANTED; i++)
		dup2(high[i], numbers[i]);
	if (!epoll_taken)
		close(BROKER_EPOLL);
	close_range(BROKER_PORT_FIRST, ~0u, 0);
}

void fake_spawn(struct super_peer *p, const struct fake_fault *fault)
{
	static uint8_t memory_of_pool[1 << 20];
	char *arguments[] = {getenv("FAKE_ACTOR"), NULL}, *environment[] = {NULL};
	int super[2], edge_netstack[2], edge_dhcpd[2];

	cr_assert_not_null(arguments[0], "FAKE_ACTOR must name the binary");
	memset(p, 0, sizeof(*p));
	share(p, fault);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, super), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, edge_netstack), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, edge_dhcpd), 0);
	p->pid = fork();
	if (p->pid == 0) {
		int wanted[WANTED] = {
			super[1], edge_netstack[1], edge_dhcpd[1], p->bell_actor, p->bell_netstack};

		arrange(wanted, fault->epoll_taken);
		execve(arguments[0], arguments, environment);
		_exit(127);
	}
	close(super[1]);
	close(edge_netstack[1]);
	close(edge_dhcpd[1]);
	pool_init(&p->pool, memory_of_pool, sizeof(memory_of_pool));
	chan_init(&p->chan, super[0], &p->pool, NULL, 0);
	chan_init(&p->dhcpd, edge_dhcpd[0], &p->pool, NULL, 0);
}

void fake_boot(struct super_peer *p, const struct fake_fault *fault)
{
	struct sock_filter filter[FILTER];
	Nl__ActorBoot m = NL__ACTOR_BOOT__INIT;
	Nl__Hub hub = NL__HUB__INIT;
	char refuse[] = "refuse me", name[] = "test";

	build_filter(filter);
	hub.name = fault->refuse ? refuse : name;
	m.hub = &hub;
	m.has_filter = !fault->no_filter;
	m.filter.data = (uint8_t *)filter;
	m.filter.len = sizeof(filter);
	m.has_landlock = m.has_generation = m.has_wall_ms = true;
	m.landlock = true;
	m.generation = 3;
	m.wall_ms = 1700000000000;
	cr_assert_eq(broker_send_actor_boot(&p->chan, &m, p->memory, 5), 0);
}

void fake_ready(struct super_peer *p)
{
	static const struct fake_fault none;
	Nl__ActorStart start = NL__ACTOR_START__INIT;

	fake_spawn(p, &none);
	fake_boot(p, &none);
	cr_assert(fake_until(p, &p->locked, 1), "never locked");
	cr_assert_eq(broker_send_actor_start(&p->chan, &start, NULL, 0), 0);
}

void fake_command(struct super_peer *p, uint32_t command)
{
	Nl__PortDetach m = NL__PORT_DETACH__INIT;

	m.has_port = true;
	m.port = command;
	cr_assert_eq(broker_send_port_detach(&p->chan, &m, NULL, 0), 0);
}

void fake_dump(struct super_peer *p, Nl__Topic topic, uint64_t cursor)
{
	Nl__ActorDump m = NL__ACTOR_DUMP__INIT;

	m.has_topic = m.has_cursor = true;
	m.topic = topic;
	m.cursor = cursor;
	p->drops = 0;
	cr_assert_eq(broker_send_actor_dump(&p->chan, &m, NULL, 0), 0);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool fake_until(struct super_peer *p, const int *counter, int value)
{
	int64_t end = now_ms() + 2000;
	struct chan_in in;

	while (*counter < value && now_ms() < end) {
		struct pollfd f = {.fd = p->chan.fd, .events = POLLIN};
		int got = chan_recv(&p->chan, &in);

		if (got < 0)
			return false;
		if (got == 0)
			poll(&f, 1, 50);
		else
			cr_assert_eq(super_dispatch_broker(p, &in), 0);
	}
	return *counter >= value;
}

int fake_wait(struct super_peer *p)
{
	int status;

	cr_assert_eq(waitpid(p->pid, &status, 0), p->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

uint64_t fake_drops(const struct super_peer *p, const char *reason)
{
	for (int i = 0; i < p->drops; i++) {
		if (!strcmp(p->drop_reason[i], reason))
			return p->drop_count[i];
	}
	return 0;
}

/* What the actor says. */

int super_on_actor_hello(struct super_peer *p, const Nl__ActorHello *m, struct chan_in *in)
{
	p->hello++;
	return m->version == 1 ? 0 : -EPROTO;
}

int super_on_actor_locked(struct super_peer *p, const Nl__ActorLocked *m, struct chan_in *in)
{
	p->locked++;
	p->filter_hash = m->filter_hash;
	p->landlock_abi = m->landlock_abi;
	return 0;
}

int super_on_actor_drained(struct super_peer *p, const Nl__ActorDrained *m, struct chan_in *in)
{
	p->drained++;
	return 0;
}

int super_on_actor_rows(struct super_peer *p, const Nl__ActorRows *m, struct chan_in *in)
{
	p->slices++;
	p->rows += (int)m->n_rows;
	p->next_cursor = m->next_cursor;
	for (size_t i = 0; m->topic == NL__TOPIC__DROPS && i < m->n_rows && p->drops < 64; i++) {
		Nl__DropRow *r = nl__drop_row__unpack(NULL, m->rows[i].len, m->rows[i].data);

		cr_assert_not_null(r);
		cr_assert_str_eq(r->process, "broker");
		snprintf(p->drop_reason[p->drops], sizeof(p->drop_reason[0]), "%s", r->reason);
		p->drop_count[p->drops++] = r->count;
		nl__drop_row__free_unpacked(r, NULL);
	}
	return 0;
}

int super_on_actor_note(struct super_peer *p, const Nl__ActorNote *m, struct chan_in *in)
{
	for (size_t i = 0; i < m->n_events; i++) {
		Nl__EventRow *e = nl__event_row__unpack(NULL, m->events[i].len, m->events[i].data);

		cr_assert_not_null(e);
		p->notes++;
		snprintf(p->note, sizeof(p->note), "%s", e->text);
		nl__event_row__free_unpacked(e, NULL);
	}
	p->notes += m->text != NULL;
	if (m->text)
		snprintf(p->note, sizeof(p->note), "%s", m->text);
	return 0;
}

int super_on_actor_answer(struct super_peer *p, const Nl__ActorAnswer *m, struct chan_in *in)
{
	return 0;
}

int super_on_actor_incident(struct super_peer *p, const Nl__ActorIncident *m, struct chan_in *in)
{
	p->incidents++;
	snprintf(p->incident_actor, sizeof(p->incident_actor), "%s", m->actor);
	snprintf(p->incident_what, sizeof(p->incident_what), "%s", m->what);
	return 0;
}

int super_on_port_closed(struct super_peer *p, const Nl__PortClosed *m, struct chan_in *in)
{
	return -EPROTO;
}

int super_on_edge_cleared(struct super_peer *p, const Nl__EdgeCleared *m, struct chan_in *in)
{
	return -EPROTO;
}

int super_on_socket_wanted(struct super_peer *p, const Nl__SocketWanted *m, struct chan_in *in)
{
	return 0;
}

int super_on_lease_commit(struct super_peer *p, const Nl__LeaseCommit *m, struct chan_in *in)
{
	return -EPROTO;
}
