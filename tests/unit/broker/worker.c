/*
 * The broker as it is shipped: the worker's own file, started with the descriptors of topology.def,
 * locked by its own compiled policy. The test plays supervisor, netstack and dhcpd. A call that the
 * policy forgot would kill the worker.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "broker_dhcpd.pb-c.h"
#include "broker_netstack.pb-c.h"
#include "filters.h"
#include "ring.h"
#include "super.pb-c.h"
#include "topology.h"

enum { REGIONS = 5, PATIENCE_MS = 3000 };

static pid_t worker;
static int super, netstack, dhcpd, bell_broker, bell_netstack;
static struct link end;
static struct arena arena;
static uint8_t record[65536];
static uint8_t frame[1514];
static uint8_t gateway[6] = {0, 0xac, 1, 2, 3, 4};

enum { FIXED = 5 };

/* In the child: descriptors to their numbers, everything else closed. */
static void become_worker(const int *fds)
{
	static const int numbers[FIXED] = {BROKER_CH_SUPER, BROKER_CH_NETSTACK, BROKER_CH_DHCPD,
		BROKER_BELL_OWN, BROKER_BELL_NETSTACK};
	int high[FIXED];
	for (int i = 0; i < FIXED; i++)
		high[i] = fcntl(fds[i], F_DUPFD, 200);
	close_range(3, 199, 0);
	for (int fd = 3; fd < BROKER_PORT_FIRST; fd++)
		dup2(0, fd);
	for (int i = 0; i < FIXED; i++)
		dup2(high[i], numbers[i]);
	close(BROKER_EPOLL);
	close_range(200, ~0u, 0);
	execl(BROKER_WORKER, "natlock-broker", NULL);
	_exit(127);
}

static int pair_of(int *mine)
{
	int fds[2];
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	*mine = fds[0];
	return fds[1];
}

static void spawn(void)
{
	int fds[FIXED] = {pair_of(&super), pair_of(&netstack), pair_of(&dhcpd)};
	fds[3] = bell_broker = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fds[4] = bell_netstack = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	worker = fork();
	cr_assert_geq(worker, 0);
	if (worker == 0)
		become_worker(fds);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void say(int fd, const void *message, const int *passed, int count)
{
	uint8_t bytes[16384];
	char control[CMSG_SPACE(sizeof(int) * 16)];
	struct iovec iov = {bytes, protobuf_c_message_pack(message, bytes)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (count) {
		struct cmsghdr *c;
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
		c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){
			CMSG_LEN(sizeof(int) * (size_t)count), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(c), passed, sizeof(int) * (size_t)count);
	}
	cr_assert_geq(sendmsg(fd, &m, MSG_NOSIGNAL), 0);
}

/* The next record on a channel; its length, or the test fails. */
static size_t hear(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};
	ssize_t n;
	cr_assert_eq(poll(&p, 1, PATIENCE_MS), 1, "the worker says nothing");
	n = recv(fd, record, sizeof record, 0);
	cr_assert_gt(n, 0, "the worker is gone");
	return (size_t)n;
}

static Nl__BrokerToSuper *hear_super(Nl__BrokerToSuper__MsgCase expected)
{
	Nl__BrokerToSuper *m = nl__broker_to_super__unpack(NULL, hear(super), record);
	cr_assert(m && m->msg_case == expected, "message %d instead of %d: %s",
		m ? (int)m->msg_case : -1, (int)expected,
		m && m->msg_case == NL__BROKER_TO_SUPER__MSG_NOTE ? m->note->text : "");
	return m;
}

static void say_super(Nl__SuperToBroker__MsgCase kind, void *message, const int *fds, int count)
{
	Nl__SuperToBroker m = NL__SUPER_TO_BROKER__INIT;
	m.msg_case = kind;
	m.boot = message;
	say(super, &m, fds, count);
}

static void boot(void)
{
	static const size_t sizes[REGIONS] = {sizeof(struct ring_region),
		sizeof(struct ring_region), ARENA_BYTES, ARENA_BYTES, ARENA_BYTES};
	const struct policy_filter *filter = policy_filter_find("broker");
	Nl__Mac mac = NL__MAC__INIT;
	Nl__Ip4 ip = NL__IP4__INIT;
	Nl__VirtualHost host = NL__VIRTUAL_HOST__INIT;
	Nl__Dhcp dhcp = NL__DHCP__INIT;
	Nl__Hub hub = NL__HUB__INIT;
	Nl__ActorBoot m = NL__ACTOR_BOOT__INIT;
	int fds[REGIONS];
	void *memory[REGIONS];
	uint8_t entropy[32] = {1, 2, 3};
	for (int i = 0; i < REGIONS; i++) {
		fds[i] = memfd_create("region", MFD_ALLOW_SEALING | MFD_CLOEXEC);
		cr_assert_eq(ftruncate(fds[i], (off_t)sizes[i]), 0);
		cr_assert_eq(fcntl(fds[i], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
		memory[i] = mmap(NULL, sizes[i], PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0);
	}
	link_init(&end, memory[1], memory[0], ACTOR_NETSTACK, ACTOR_BROKER,
		link_arenas(DATA_PATH_SHARED, ACTOR_BROKER, ACTOR_NETSTACK),
		link_release_op(ACTOR_NETSTACK, ACTOR_BROKER), bell_broker);
	arena_init(&arena, ARENA_NATPROXY, memory[4]);
	arena.id = ARENA_NATPROXY;
	mac.has_octets = ip.has_be = dhcp.has_enable = true;
	mac.octets = (ProtobufCBinaryData){6, gateway};
	memcpy(&ip.be, (uint8_t[]){192, 168, 30, 1}, 4);
	dhcp.enable = true;
	host.mac = &mac;
	host.address = &ip;
	hub.host = &host;
	hub.dhcp = &dhcp;
	m.hub = &hub;
	m.has_filter = m.has_entropy = true;
	m.filter = (ProtobufCBinaryData){
		filter->count * sizeof(struct sock_filter), (uint8_t *)(uintptr_t)filter->insns};
	m.entropy = (ProtobufCBinaryData){sizeof entropy, entropy};
	say_super(NL__SUPER_TO_BROKER__MSG_BOOT, &m, fds, REGIONS);
}

static void start_worker(void)
{
	Nl__ActorStart m = NL__ACTOR_START__INIT;
	spawn();
	hear_super(NL__BROKER_TO_SUPER__MSG_HELLO);
	boot();
	hear_super(NL__BROKER_TO_SUPER__MSG_LOCKED);
	say_super(NL__SUPER_TO_BROKER__MSG_START, &m, NULL, 0);
}

/* A port; returns the guest's end of it. Like the supervisor, the test keeps a duplicate of the
 * broker's end in *kept. */
static int attach(uint32_t number, Nl__PortKind kind, int *kept)
{
	char name[] = "vm";
	Nl__PortAttach m = NL__PORT_ATTACH__INIT;
	int fds[2], type = kind == NL__PORT_KIND__QEMU_STREAM ? SOCK_STREAM : SOCK_DGRAM;
	cr_assert_eq(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	m.has_port = m.has_kind = m.has_mtu = true;
	m.port = number;
	m.kind = kind;
	m.name = name;
	m.mtu = 1500;
	say_super(NL__SUPER_TO_BROKER__MSG_PORT_ATTACH, &m, &fds[0], 1);
	*kept = fds[0];
	return fds[1];
}

static void make_frame(uint8_t station, uint16_t type, const uint8_t *to)
{
	for (size_t i = 0; i < sizeof frame; i++)
		frame[i] = (uint8_t)(i * 7);
	memcpy(frame, to, 6);
	memcpy(frame + 6, (uint8_t[]){2, 0, 0, 0, 0, station, (uint8_t)(type >> 8), (uint8_t)type},
		8);
}

/* Netstack waits for a frame: published or announced by the bell, whichever comes first. */
static struct ring_desc netstack_gets(void)
{
	struct ring_desc d;
	int got = 0;
	for (int i = 0; i < PATIENCE_MS && !(got = link_recv(&end, &d, NULL)); i++)
		poll(NULL, 0, 1);
	cr_assert_eq(got, 1, "no frame came");
	return d;
}

static void guest_hears(int fd, size_t bytes)
{
	struct pollfd p = {fd, POLLIN, 0};
	cr_assert_eq(poll(&p, 1, PATIENCE_MS), 1, "the guest hears nothing");
	cr_assert_eq(read(fd, record, sizeof record), (ssize_t)bytes);
}

static void round_trip(int fd, uint32_t number)
{
	struct ring_desc d,
		s = {.op = RING_NETSTACK_SEND, .hlen = 54, .nseg = 1, .flow = RING_PORT_BY_MAC};
	struct ring_header h = {0};
	uint32_t id = arena_take(&arena, BUF_SMALL, false);
	make_frame(1, 0x0800, gateway);
	cr_assert_eq(write(fd, frame, 1000), 1000);
	d = netstack_gets();
	cr_assert_eq(d.flow, number);
	cr_assert_eq(d.seg[0].len, 1000);
	link_release(&end, d.seg[0].id);
	memcpy(h.frame, frame + 6, 6);
	memcpy(h.frame + 6, gateway, 6);
	s.seg[0] = (struct ring_seg){buf_offset(buf_index(id)), 900, id};
	memset(arena_ptr(&arena, id), 0x5a, 900);
	cr_assert_eq(link_send(&end, LINK_DATA, &s, &h), 0);
	link_flush(&end);
	guest_hears(fd, 954);
	cr_assert_eq(memcmp(record, h.frame, 54), 0);
	cr_assert_eq(record[953], 0x5a);
	arena_untake(&arena, id);
}

/* The ring as a netstack maps it that was just born. */
static void netstack_begins(void)
{
	link_init(&end, end.mine, end.theirs, ACTOR_NETSTACK, ACTOR_BROKER,
		link_arenas(DATA_PATH_SHARED, ACTOR_BROKER, ACTOR_NETSTACK),
		link_release_op(ACTOR_NETSTACK, ACTOR_BROKER), bell_broker);
}

static void expect_closed(uint32_t number, const char *why)
{
	Nl__BrokerToSuper *m = hear_super(NL__BROKER_TO_SUPER__MSG_PORT_CLOSED);
	cr_assert_eq(m->port_closed->port, number);
	cr_assert_str_eq(m->port_closed->why, why);
}

static void detach(uint32_t number)
{
	Nl__PortDetach m = NL__PORT_DETACH__INIT;
	m.has_port = true;
	m.port = number;
	say_super(NL__SUPER_TO_BROKER__MSG_PORT_DETACH, &m, NULL, 0);
	expect_closed(number, "detached");
}

static void drain(void)
{
	Nl__ActorDrain m = NL__ACTOR_DRAIN__INIT;
	int status;
	say_super(NL__SUPER_TO_BROKER__MSG_DRAIN, &m, NULL, 0);
	hear_super(NL__BROKER_TO_SUPER__MSG_DRAINED);
	cr_assert_eq(waitpid(worker, &status, 0), worker);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
}

Test(worker, frames_pass_under_the_filter_and_ports_come_and_go, .timeout = 60)
{
	int kept, fd;
	start_worker();
	for (uint32_t n = 0; n < 200; n++) {
		fd = attach(n, NL__PORT_KIND__QEMU_DGRAM, &kept);
		round_trip(fd, n);
		cr_assert_eq(write(fd, frame, 1000), 1000);
		detach(n);
		cr_assert_eq(write(fd, frame, 1000), 1000,
			"the supervisor's duplicate keeps the socket alive");
		close(fd);
		close(kept);
		while (link_recv(&end, &(struct ring_desc){0}, NULL) == 1)
			;
	}
	drain();
}

Test(worker, a_netstack_is_lost_and_another_one_takes_its_place, .timeout = 60)
{
	Nl__EdgeLost lost = NL__EDGE_LOST__INIT;
	Nl__EdgeRenewed renewed = NL__EDGE_RENEWED__INIT;
	Nl__BrokerToSuper *m;
	int kept[2], fd[2];
	start_worker();
	for (int i = 0; i < 2; i++)
		fd[i] = attach((uint32_t)i, NL__PORT_KIND__QEMU_DGRAM, &kept[i]);
	lost.has_shard = lost.has_generation = renewed.has_shard = true;
	for (uint32_t death = 1; death <= 3; death++) {
		round_trip(fd[0], 0);
		cr_assert_eq(write(fd[0], frame, 1000), 1000);
		netstack_gets(); /* and keeps it */
		lost.generation = death;
		say_super(NL__SUPER_TO_BROKER__MSG_EDGE_LOST, &lost, NULL, 0);
		m = hear_super(NL__BROKER_TO_SUPER__MSG_EDGE_CLEARED);
		cr_assert_eq(m->edge_cleared->generation, death);
		cr_assert_eq(atomic_load(&end.theirs->head), 0);
		cr_assert_eq(atomic_load(&end.theirs->tail), 0);
		/* Between: guests still reach each other, the gateway is away. */
		make_frame(1, 0x0800, (uint8_t[]){255, 255, 255, 255, 255, 255});
		cr_assert_eq(write(fd[0], frame, 200), 200);
		guest_hears(fd[1], 200);
		netstack_begins();
		say_super(NL__SUPER_TO_BROKER__MSG_EDGE_RENEWED, &renewed, NULL, 0);
		while (link_error(&end, NULL) == 0 && atomic_load(&end.theirs->head) == 0) {
			make_frame(1, 0x0800, gateway);
			cr_assert_eq(write(fd[0], frame, 1000), 1000);
			poll(NULL, 0, 2);
		}
		poll(NULL, 0, 20);
		for (struct ring_desc d; link_recv(&end, &d, NULL) == 1;)
			link_release(&end, d.seg[0].id);
		link_flush(&end);
	}
	round_trip(fd[0], 0);
	drain();
}

Test(worker, end_of_a_port_is_told_to_supervisor_and_netstack, .timeout = 60)
{
	Nl__BrokerToNetstack *m;
	int kept, fd;
	uint8_t prefix[4] = {0, 0, 0, 100};
	start_worker();
	fd = attach(7, NL__PORT_KIND__QEMU_STREAM, &kept);
	make_frame(9, 0x0800, gateway);
	cr_assert_eq(write(fd, prefix, 4), 4);
	cr_assert_eq(write(fd, frame, 100), 100);
	netstack_gets();
	close(fd);
	expect_closed(7, "end of file");
	m = nl__broker_to_netstack__unpack(NULL, hear(netstack), record);
	cr_assert_eq(m->msg_case, NL__BROKER_TO_NETSTACK__MSG_STATION_GONE);
	cr_assert_eq(m->station_gone->port, 7);
	cr_assert_eq(memcmp(m->station_gone->mac.data, (uint8_t[]){2, 0, 0, 0, 0, 9}, 6), 0);
	drain();
}

/* dhcpd hears of a port when it comes, and again when dhcpd itself is new. */
static void dhcpd_hears_of_port(uint32_t port)
{
	Nl__BrokerToDhcpd *m = nl__broker_to_dhcpd__unpack(NULL, hear(dhcpd), record);
	cr_assert(m && m->msg_case == NL__BROKER_TO_DHCPD__MSG_PORT_OPENED);
	cr_assert_eq(m->port_opened->port, port);
	nl__broker_to_dhcpd__free_unpacked(m, NULL);
}

Test(worker, dhcp_goes_to_dhcpd_and_back, .timeout = 60)
{
	static const uint8_t ip[] = {0x45, 0, 1, 30, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255,
		255, 255, 0, 68, 0, 67};
	Nl__BrokerToDhcpd *heard;
	Nl__DhcpAnswer answer = NL__DHCP_ANSWER__INIT;
	Nl__EdgeRenewed renewed = NL__EDGE_RENEWED__INIT;
	Nl__DhcpdToBroker m = NL__DHCPD_TO_BROKER__INIT;
	int kept, fd;
	start_worker();
	fd = attach(3, NL__PORT_KIND__QEMU_DGRAM, &kept);
	dhcpd_hears_of_port(3);
	make_frame(1, 0x0800, (uint8_t[]){255, 255, 255, 255, 255, 255});
	memcpy(frame + 14, ip, sizeof ip);
	cr_assert_eq(write(fd, frame, 300), 300);
	heard = nl__broker_to_dhcpd__unpack(NULL, hear(dhcpd), record);
	cr_assert_eq(heard->dhcp_heard->port, 3);
	cr_assert_eq(heard->dhcp_heard->frame.len, 300);
	cr_assert_eq(memcmp(heard->dhcp_heard->frame.data, frame, 300), 0);
	memcpy(frame + 6, gateway, 6);
	answer.has_port = answer.has_frame = true;
	answer.port = 3;
	answer.frame = (ProtobufCBinaryData){342, frame};
	m.msg_case = NL__DHCPD_TO_BROKER__MSG_DHCP_ANSWER;
	m.dhcp_answer = &answer;
	say(dhcpd, &m, NULL, 0);
	guest_hears(fd, 342);
	answer.frame.len = 13;
	say(dhcpd, &m, NULL, 0);
	cr_assert_str_eq(hear_super(NL__BROKER_TO_SUPER__MSG_INCIDENT)->incident->actor, "dhcpd");
	round_trip(fd, 3);
	say_super(NL__SUPER_TO_BROKER__MSG_EDGE_RENEWED, &renewed, NULL, 0);
	dhcpd_hears_of_port(3);
	memcpy(frame + 6, gateway, 6);
	answer.frame.len = 342;
	say(dhcpd, &m, NULL, 0);
	guest_hears(fd, 342);
	drain();
}

Test(worker, a_lying_netstack_is_an_incident, .timeout = 60)
{
	struct ring_desc s = {.op = RING_NETSTACK_SEND, .hlen = 54, .flow = RING_PORT_BY_MAC};
	struct ring_header h = {0};
	start_worker();
	cr_assert_eq(link_send(&end, LINK_DATA, &s, &h), 0);
	link_flush(&end);
	cr_assert_str_eq(
		hear_super(NL__BROKER_TO_SUPER__MSG_INCIDENT)->incident->actor, "netstack");
	drain();
}

Test(worker, sessions_are_listed, .timeout = 60)
{
	Nl__ActorDump m = NL__ACTOR_DUMP__INIT;
	Nl__ActorRows *rows;
	Nl__SessionRow *row;
	int kept, fd;
	start_worker();
	fd = attach(4, NL__PORT_KIND__QEMU_DGRAM, &kept);
	round_trip(fd, 4);
	m.has_topic = m.has_request = true;
	m.topic = NL__TOPIC__SESSIONS;
	m.request = 11;
	say_super(NL__SUPER_TO_BROKER__MSG_DUMP, &m, NULL, 0);
	rows = hear_super(NL__BROKER_TO_SUPER__MSG_ROWS)->rows;
	cr_assert_eq(rows->request, 11);
	cr_assert_eq(rows->n_rows, 2);
	cr_assert_eq(rows->next_cursor, 0);
	row = nl__session_row__unpack(NULL, rows->rows[1].len, rows->rows[1].data);
	cr_assert_str_eq(row->session, "SID-VM-4");
	cr_assert_eq(row->rx_frames, 1);
	cr_assert_eq(row->tx_frames, 1);
	drain();
}

/* The hub's configuration as it was at boot, but for these. */
static void configure(uint8_t *mac, bool enable)
{
	Nl__Mac address = NL__MAC__INIT;
	Nl__Ip4 ip = NL__IP4__INIT;
	Nl__VirtualHost host = NL__VIRTUAL_HOST__INIT;
	Nl__Hub hub = NL__HUB__INIT;
	Nl__ActorConfigure m = NL__ACTOR_CONFIGURE__INIT;
	address.has_octets = ip.has_be = hub.has_enable = true;
	address.octets = (ProtobufCBinaryData){6, mac};
	memcpy(&ip.be, (uint8_t[]){192, 168, 30, 1}, 4);
	host.mac = &address;
	host.address = &ip;
	hub.host = &host;
	hub.enable = enable;
	m.hub = &hub;
	say_super(NL__SUPER_TO_BROKER__MSG_CONFIGURE, &m, NULL, 0);
}

static size_t sessions_now(void)
{
	Nl__ActorDump m = NL__ACTOR_DUMP__INIT;
	m.has_topic = true;
	m.topic = NL__TOPIC__SESSIONS;
	say_super(NL__SUPER_TO_BROKER__MSG_DUMP, &m, NULL, 0);
	return hear_super(NL__BROKER_TO_SUPER__MSG_ROWS)->rows->n_rows;
}

Test(worker, its_configuration_changes_while_it_runs, .timeout = 60)
{
	static uint8_t mac[6] = {0, 0xac, 7, 7, 7, 7};
	Nl__BrokerToNetstack *m;
	int kept, fd;
	start_worker();
	fd = attach(4, NL__PORT_KIND__QEMU_DGRAM, &kept);
	round_trip(fd, 4);
	configure(mac, true);
	m = nl__broker_to_netstack__unpack(NULL, hear(netstack), record);
	cr_assert_eq(m->msg_case, NL__BROKER_TO_NETSTACK__MSG_GATEWAY_MOVED);
	cr_assert_eq(memcmp(m->gateway_moved->mac.data, mac, 6), 0);
	round_trip(fd, 4); /* under the MAC before */
	cr_assert_eq(sessions_now(), 2);
	configure(mac, false);
	cr_assert_eq(sessions_now(), 1, "there is no SecureNAT session");
	configure(mac, true);
	cr_assert_eq(sessions_now(), 2);
	round_trip(fd, 4);
	drain();
}

/* The row that natlockctl shows of the hub: how many ports it has, as far as the broker can say. */
static uint32_t ports_now(void)
{
	Nl__ActorDump m = NL__ACTOR_DUMP__INIT;
	Nl__ActorRows *rows;
	Nl__HubRow *row;
	m.has_topic = true;
	m.topic = NL__TOPIC__HUBS;
	say_super(NL__SUPER_TO_BROKER__MSG_DUMP, &m, NULL, 0);
	rows = hear_super(NL__BROKER_TO_SUPER__MSG_ROWS)->rows;
	cr_assert_eq(rows->n_rows, 1);
	row = nl__hub_row__unpack(NULL, rows->rows[0].len, rows->rows[0].data);
	cr_assert(row && row->has_ports);
	return row->ports;
}

Test(worker, a_port_too_many_is_refused_and_the_others_go_on, .timeout = 60)
{
	enum { PORTS = BROKER_PORT_LAST - BROKER_PORT_FIRST + 1 };
	int kept[PORTS + 1], fd[PORTS + 1];
	start_worker();
	cr_assert_eq(ports_now(), 0);
	for (uint32_t n = 0; n < PORTS; n++)
		fd[n] = attach(n, NL__PORT_KIND__QEMU_DGRAM, &kept[n]);
	cr_assert_eq(ports_now(), PORTS);
	for (int again = 0; again < 3; again++) {
		fd[PORTS] = attach(PORTS, NL__PORT_KIND__QEMU_DGRAM, &kept[PORTS]);
		expect_closed(PORTS, "too many ports, or the number is in use");
		close(fd[PORTS]);
		close(kept[PORTS]);
	}
	round_trip(fd[0], 0);
	detach(17);
	close(fd[17]);
	fd[17] = attach(PORTS, NL__PORT_KIND__QEMU_DGRAM, &kept[17]);
	cr_assert_eq(ports_now(), PORTS);
	drain();
}
