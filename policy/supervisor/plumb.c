/*
 * Theory of operation. A process that was in the guest's user namespace can never come back, so a
 * child does the plumbing and hands the descriptor over by SCM_RIGHTS:
 *
 *   caller                         child
 *     fork ────────────────────▶   setns(user), setns(net)
 *                                  unshare(net) = backstage
 *                                  TAP: open, TUNSETIFF, offloads, moved to the guest's
 *                                  or veth: pair with its peer in the guest's, packet socket
 *                                  back in the guest's: address, route, up (netlink.c)
 *     ◀──── result, descriptor     ends
 *
 * A TAP's descriptor keeps the namespace alive in which it was opened. Were that the guest's, a
 * guest that ended would never be gone; so it is backstage. The price is moving the interface, which
 * waits for grace periods of the kernel (10 to 30 ms). The guest of `natlock run` ends with natlock:
 * its TAP is opened in place.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netlink.h"
#include "plumb.h"

enum {
	VNET_HEADER = 10,
	PACKET_BUFFER = 16 << 20,
	TAP_USO4 = 0x20, /* TUN_F_USO4, TUN_F_USO6: super-frames of datagrams */
	TAP_USO6 = 0x40,
};
#define BACKSTAGE "nl0"

/* What the child sends; the descriptor rides along when trouble.message is empty. */
struct result {
	struct trouble trouble;
	struct port_offer offer;
	char why_not_tap[128];
};

bool plumb_tun_usable(char *why, size_t cap)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	const char *error = strerror(errno);
	const struct passwd *pw;
	struct stat st;

	if (fd >= 0) {
		close(fd);
		return true;
	}
	if (stat("/dev/net/tun", &st) < 0) {
		snprintf(why, cap, "%s", error);
		return false;
	}
	pw = getpwuid(st.st_uid);
	snprintf(why, cap, "%s (mode %04o, owner %s)", error, st.st_mode & 07777,
		pw ? pw->pw_name : "unknown");
	return false;
}

static int tap_failed(struct trouble *t, const char *what, int fd)
{
	int error = errno;

	if (fd >= 0)
		close(fd);
	trouble(t, EXIT_FAILED, "E0404", "cannot %s", what);
	return trouble_cause(t, "%s", strerror(error));
}

/* What the guest's kernel may leave undone: Linux before 6.2 does not know the last two. */
static int tap_offloads(int fd)
{
	const unsigned long always = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

	if (ioctl(fd, TUNSETOFFLOAD, always | TAP_USO4 | TAP_USO6) == 0)
		return 0;
	return ioctl(fd, TUNSETOFFLOAD, always);
}

int plumb_tap(const char *interface, struct port_offer *offer, struct trouble *t)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	const int header = VNET_HEADER;
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return tap_failed(t, "open /dev/net/tun", fd);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", interface);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return tap_failed(t, "make or join a TAP", fd);
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 || tap_offloads(fd) < 0)
		return tap_failed(t, "set the TAP's offloads", fd);
	offer->fd = fd;
	offer->kind = NL__PORT_KIND__TAP;
	offer->vnet_hdr = true;
	return 0;
}

/* As large as we are allowed: FORCE works for the host's root only. */
static void packet_buffer(int fd, int force, int plain)
{
	const int bytes = PACKET_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

int plumb_packet(const char *interface, struct port_offer *offer, struct trouble *t)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	const int on = 1;
	/* Protocol 0: nothing arrives before the options are set and it is bound. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return tap_failed(t, "open a packet socket", fd);
	/* Index 0 would mean every interface of the host. */
	address.sll_ifindex = (int)if_nametoindex(interface);
	if (address.sll_ifindex == 0)
		return tap_failed(t, "find the interface", fd);
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0)
		return tap_failed(
			t, "set up the packet socket (Linux 4.20 or newer is needed)", fd);
	packet_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	packet_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return tap_failed(t, "bind to the interface", fd);
	offer->fd = fd;
	offer->kind = NL__PORT_KIND__PACKET;
	offer->vnet_hdr = true;
	return 0;
}

static int enter(int fd, int kind, const char *what, struct trouble *t)
{
	if (fd < 0 || setns(fd, kind) == 0)
		return 0;
	trouble(t, EXIT_FAILED, "E0405", "cannot enter the guest's %s namespace", what);
	return trouble_cause(t, "%s", strerror(errno));
}

static int configure(const struct plumb_order *o, struct trouble *t)
{
	const struct netlink_interface want = {
		.name = o->interface,
		.mac = o->mac,
		.mtu = o->mtu,
		.queue = NETLINK_QUEUE,
		.address_be = o->configure ? o->address_be : 0,
		.prefix = o->prefix,
		.gateway_be = o->configure ? o->gateway_be : 0,
	};
	int error = o->configure ? netlink_loopback_up() : 0;

	if (error == 0)
		error = netlink_configure(&want);
	if (error == 0 && o->bridge != NULL)
		error = netlink_enslave(o->interface, o->bridge);
	if (error == 0)
		return 0;
	trouble(t, EXIT_FAILED, "E0406", "cannot set up %s for the guest", o->interface);
	return trouble_cause(t, "%s", netlink_error(error));
}

/* From the guest's network namespace, which *guest keeps, into a new one. */
static int go_backstage(int *guest, struct trouble *t)
{
	*guest = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*guest >= 0 && unshare(CLONE_NEWNET) == 0)
		return 0;
	trouble(t, EXIT_FAILED, "E0407", "cannot make a network namespace for the port");
	return trouble_cause(t, "%s", strerror(errno));
}

static int netlink_failed(struct trouble *t, const char *what, int error)
{
	trouble(t, EXIT_FAILED, "E0408", "cannot %s", what);
	return trouble_cause(t, "%s", netlink_error(error));
}

static int tap_for(
	int guest, const struct plumb_order *o, struct port_offer *offer, struct trouble *t)
{
	int error;

	if (plumb_tap(o->interface, offer, t) < 0)
		return -1;
	error = netlink_move(o->interface, guest);
	if (error == 0)
		return 0;
	close(offer->fd);
	offer->fd = -1;
	return netlink_failed(t, "give the guest its TAP", error);
}

static int veth_for(
	int guest, const struct plumb_order *o, struct port_offer *offer, struct trouble *t)
{
	int error = netlink_make_veth(BACKSTAGE, o->interface, guest, o->mtu);

	if (error)
		return netlink_failed(t, "make a veth pair", error);
	return plumb_packet(BACKSTAGE, offer, t);
}

/* Sets the guest's end up; without that the port is of no use. */
static int finish(const struct plumb_order *o, struct port_offer *offer, struct trouble *t)
{
	if (configure(o, t) == 0)
		return 0;
	close(offer->fd);
	offer->fd = -1;
	return -1;
}

/* We are in the guest's network namespace, and in it again afterwards. */
static int make_by(
	bool tap, const struct plumb_order *o, struct port_offer *offer, struct trouble *t)
{
	int guest = -1, made;

	if (tap && o->tap_in_place)
		return plumb_tap(o->interface, offer, t) < 0 ? -1 : finish(o, offer, t);
	if (go_backstage(&guest, t) < 0)
		return -1;
	made = tap ? tap_for(guest, o, offer, t) : veth_for(guest, o, offer, t);
	if (enter(guest, CLONE_NEWNET, "network", made == 0 ? t : &(struct trouble){0}) < 0)
		return -1;
	close(guest);
	return made == 0 ? finish(o, offer, t) : -1;
}

static int make(const struct plumb_order *o, struct result *r)
{
	if (enter(o->user_ns, CLONE_NEWUSER, "user", &r->trouble) < 0 ||
		enter(o->net_ns, CLONE_NEWNET, "network", &r->trouble) < 0)
		return -1;
	if (o->method == PLUMB_TAP)
		return make_by(true, o, &r->offer, &r->trouble);
	if (o->method == PLUMB_AUTO && plumb_tun_usable(r->why_not_tap, sizeof(r->why_not_tap)) &&
		make_by(true, o, &r->offer, &r->trouble) == 0)
		return 0;
	if (o->method == PLUMB_AUTO && !r->why_not_tap[0])
		snprintf(r->why_not_tap, sizeof(r->why_not_tap), "%.100s", r->trouble.cause);
	r->trouble.message[0] = '\0';
	return make_by(false, o, &r->offer, &r->trouble);
}

static void child(int out, const struct plumb_order *o)
{
	struct result r = {.offer = {.fd = -1}};
	struct iovec iov = {&r, sizeof(r)};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (make(o, &r) == 0) {
		r.trouble.message[0] = '\0';
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.room);
		control.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), &r.offer.fd, sizeof(int));
	}
	_exit(sendmsg(out, &m, 0) == sizeof(r) ? 0 : 1);
}

static int receive(int in, struct result *r)
{
	struct iovec iov = {r, sizeof(*r)};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.room)};
	const struct cmsghdr *c;

	if (recvmsg(in, &m, MSG_CMSG_CLOEXEC) != sizeof(*r))
		return -1;
	c = CMSG_FIRSTHDR(&m);
	r->offer.fd = -1;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&r->offer.fd, CMSG_DATA(c), sizeof(int));
	return r->trouble.message[0] || r->offer.fd >= 0 ? 0 : -1;
}

int plumb(const struct plumb_order *order, struct port_offer *offer, char *why_not_tap, size_t cap,
	struct trouble *t)
{
	struct result r;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return tap_failed(t, "start the plumber", -1);
	pid = fork();
	if (pid == 0)
		child(pair[1], order);
	close(pair[1]);
	if (pid < 0 || receive(pair[0], &r) < 0) {
		trouble(&r.trouble, EXIT_FAILED, "E0409", "the plumber failed");
		r.offer.fd = -1;
	}
	close(pair[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (r.offer.fd < 0) {
		*t = r.trouble;
		return -1;
	}
	offer->fd = r.offer.fd;
	offer->kind = r.offer.kind;
	offer->vnet_hdr = r.offer.vnet_hdr;
	if (why_not_tap)
		snprintf(why_not_tap, cap, "%s", r.why_not_tap);
	return 0;
}
