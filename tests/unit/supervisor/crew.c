/* crew.c: what a worker says that must not outlive it. */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf.h"
#include "crew.h"
#include "super_dispatch.h"
#include "supervisor.h"

static struct supervisor super;
static struct hub *hub = &super.hub[0];

static void set_up(void)
{
	static const char text[] =
		"hubs: {default: {host: {address: 192.168.30.1, netmask: 255.255.255.0}}}";
	struct conf_error error;

	super.loop = ev_loop_new(EVBACKEND_EPOLL);
	super.hubs = 1;
	super.config = conf_parse("test", text, strlen(text), &error);
	cr_assert_not_null(super.config, "%s", error.text);
	hub->super = &super;
	hub->conf = super.config->hubs[0];
	hub->store.fd = -1;
	hub->shards = 1;
	hub_crew(hub);
}
static void tear_down(void)
{
	conf_free(super.config);
	store_close(&hub->store);
	ev_loop_destroy(super.loop);
}
TestSuite(crew, .init = set_up, .fini = tear_down);

static void commit(const char *ip, Nl__Lease__State state)
{
	struct super_peer peer = {hub_worker(hub, ACTOR_DHCPD, 0)};
	uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	Nl__LeaseCommit m = NL__LEASE_COMMIT__INIT;
	Nl__Lease lease = NL__LEASE__INIT;

	lease.has_ip_be = lease.has_mac = lease.has_expires_ms = lease.has_state = true;
	lease.ip_be = inet_addr(ip);
	lease.mac = (ProtobufCBinaryData){sizeof(mac), mac};
	lease.expires_ms = UINT64_MAX;
	lease.state = state;
	m.has_sequence = true;
	m.lease = &lease;
	cr_assert_eq(super_on_lease_commit(&peer, &m, NULL), 0);
	crew_sync(hub);
}

static size_t committed(const char *ip)
{
	size_t before = hub->store.leases;

	commit(ip, NL__LEASE__STATE__LEASED);
	return hub->store.leases - before;
}

Test(crew, only_addresses_of_the_hub_are_remembered)
{
	cr_assert_eq(committed("192.168.30.200"), 1);
	cr_assert_eq(committed("192.168.31.200"), 0);
	cr_assert_eq(committed("10.0.0.1"), 0);
	cr_assert_eq(committed("0.0.0.0"), 0);
}

Test(crew, a_lease_of_before_the_hub_moved_can_end)
{
	cr_assert_eq(committed("192.168.30.200"), 1);
	hub->conf->host->address->be = inet_addr("192.168.31.1");
	commit("192.168.30.200", NL__LEASE__STATE__RELEASED);
	cr_assert_eq(hub->store.lease[0].state, NL__LEASE__STATE__RELEASED);
	cr_assert_eq(committed("192.168.30.201"), 0);
}

static void port_of(Nl__PortKind kind, int fd)
{
	hub->port[0] = (struct port){.used = true, .fd = fd, .kind = kind};
}

/* A network of this process's own, so that it may make and delete devices. */
static void enter_new_network(void)
{
	if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET))
		cr_skip_test("no network namespace to be had");
}

static int open_tap(const char *name)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		cr_skip_test("no /dev/net/tun");
	strcpy(r.ifr_name, name);
	cr_assert_eq(ioctl(fd, TUNSETIFF, &r), 0);
	return fd;
}

static void set_up_or_down(const char *name, bool up)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {.ifr_flags = up ? IFF_UP : 0};

	strcpy(r.ifr_name, name);
	cr_assert_eq(ioctl(s, SIOCSIFFLAGS, &r), 0);
	close(s);
}

static int open_packet(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));

	at.sll_ifindex = (int)if_nametoindex(name);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static int closed(uint32_t port)
{
	struct super_peer peer = {hub_worker(hub, ACTOR_BROKER, 0)};
	Nl__PortClosed m = NL__PORT_CLOSED__INIT;

	m.has_port = true;
	m.port = port;
	return super_on_port_closed(&peer, &m, NULL);
}

Test(crew, a_port_whose_device_is_there_is_not_gone)
{
	enter_new_network();
	port_of(NL__PORT_KIND__TAP, open_tap("t0"));
	cr_assert_eq(closed(0), -EPROTO);
	cr_assert(hub->port[0].used);
	cr_assert_eq(closed(HUB_PORTS), -EPROTO);
	hub->port[0].detaching = true;
	cr_assert_eq(closed(0), 0, "it was told to");
	cr_assert_not(hub->port[0].used);
	cr_assert_eq(closed(0), 0, "twice is no lie");
}

/* The broker reads a socket's error first, which takes it away: what the supervisor asks must be true afterwards, too. */
Test(crew, a_packet_port_is_gone_when_its_device_is)
{
	char frame[64];
	int tap, fd;

	enter_new_network();
	tap = open_tap("t0");
	set_up_or_down("t0", true);
	fd = open_packet("t0");
	port_of(NL__PORT_KIND__PACKET, fd);
	cr_assert_eq(closed(0), -EPROTO);
	set_up_or_down("t0", false);
	cr_assert_eq(closed(0), -EPROTO, "it comes back");
	set_up_or_down("t0", true);
	close(tap);
	while (recv(fd, frame, sizeof(frame), 0) >= 0)
		;
	cr_assert_eq(errno, ENETDOWN);
	cr_assert_eq(closed(0), 0);
	cr_assert_not(hub->port[0].used);
}

Test(crew, a_port_without_a_device_or_whose_kind_tells_nothing_is_gone)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	port_of(NL__PORT_KIND__TAP, pair[0]);
	cr_assert_eq(closed(0), 0);
	port_of(NL__PORT_KIND__QEMU_STREAM, pair[1]);
	cr_assert_eq(closed(0), 0);
	cr_assert_not(hub->port[0].used);
}

Test(crew, a_commit_without_a_lease_is_refused)
{
	struct super_peer peer = {hub_worker(hub, ACTOR_DHCPD, 0)};
	const Nl__LeaseCommit m = NL__LEASE_COMMIT__INIT;

	cr_assert_eq(super_on_lease_commit(&peer, &m, NULL), 0);
	crew_sync(hub);
	cr_assert_eq(hub->store.leases, 0);
}
