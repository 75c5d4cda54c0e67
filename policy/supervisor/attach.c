/*
 * Theory of operation. Each word has a function that ends with an open descriptor; what it is, the
 * receiver finds out for itself (port_recognise), so a client cannot mislabel one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "attach.h"
#include "chan.h"
#include "netlink.h"
#include "operator.h"
#include "operator.pb-c.h"
#include "places.h"
#include "plumb.h"
#include "sockname.h"

enum { DEFAULT_MTU = 1500, ANSWER_SECONDS = 10, LISTEN_BACKLOG = 8, BRIDGE_PORTS = 1024 };

static int cannot(struct trouble *t, const char *target, int error)
{
	trouble(t, EXIT_FAILED, "E0410", "cannot attach %s", target);
	return trouble_cause(t, "%s", strerror(error));
}

static bool same_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* The user namespace is entered only where it is another one: entering one's own is an error. */
static int plumb_into(
	const char *target, int net_ns, uint32_t mtu, struct port_offer *offer, struct trouble *t)
{
	struct plumb_order order = {
		.user_ns = ioctl(net_ns, NS_GET_USERNS), .net_ns = net_ns, .mtu = mtu};
	int r;

	if (order.user_ns >= 0 && same_file(order.user_ns, "/proc/self/ns/user")) {
		close(order.user_ns);
		order.user_ns = -1;
	}
	snprintf(order.interface, sizeof(order.interface), "eth0");
	r = plumb(&order, offer, NULL, 0, t);
	if (order.user_ns >= 0)
		close(order.user_ns);
	close(net_ns);
	return r;
}

static int attach_pid(const char *rest, const char *target, uint32_t mtu, struct port_offer *offer,
	struct trouble *t)
{
	char path[64];
	int fd;

	if (!rest[0] || rest[strspn(rest, "0123456789")])
		return cannot(t, target, EINVAL);
	snprintf(path, sizeof(path), "/proc/%.20s/ns/net", rest);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? cannot(t, target, errno) : plumb_into(target, fd, mtu, offer, t);
}

static int attach_netns(const char *rest, const char *target, uint32_t mtu,
	struct port_offer *offer, struct trouble *t)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s%s", strchr(rest, '/') ? "" : "/run/netns/", rest);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? cannot(t, target, errno) : plumb_into(target, fd, mtu, offer, t);
}

static int attach_tap(const char *rest, const char *target, uint32_t mtu, struct port_offer *offer,
	struct trouble *t)
{
	static const uint8_t keep[6];
	const struct netlink_interface want = {
		.name = rest, .mac = keep, .mtu = mtu, .queue = NETLINK_QUEUE};
	int error;

	if (plumb_tap(rest, offer, t) < 0)
		return -1;
	error = netlink_configure(&want);
	/* Moved to another namespace meanwhile: who moved it sets it up there. */
	if (error == 0 || if_nametoindex(rest) == 0)
		return 0;
	close(offer->fd);
	trouble(t, EXIT_FAILED, "E0406", "cannot set up %s", rest);
	return trouble_cause(t, "%s", netlink_error(error));
}

static int attach_veth(const char *rest, const char *target, uint32_t mtu, struct port_offer *offer,
	struct trouble *t)
{
	return plumb_packet(rest, offer, t);
}

static int no_bridge(struct trouble *t, const char *target, const char *bridge, int found)
{
	trouble(t, EXIT_FAILED, "E0410", "cannot attach %s", target);
	if (found < 0) {
		trouble_cause(t, "there is no %.15s here: %s", bridge, netlink_error(found));
		return trouble_fix(t,
			"Make it: ip link add %.15s type bridge; ip link set %.15s up", bridge,
			bridge);
	}
	trouble_cause(t, "%.15s is not a bridge", bridge);
	return trouble_fix(t,
		"Attach veth:%.15s instead, or put it into a bridge: ip link set "
		"%.15s master BRIDGE",
		bridge, bridge);
}

/* A TAP, else a veth pair, of our own that ends with its descriptor. */
static int attach_bridge(const char *rest, const char *target, uint32_t mtu,
	struct port_offer *offer, struct trouble *t)
{
	struct plumb_order order = {
		.user_ns = -1, .mtu = mtu, .tap_in_place = true, .bridge = rest};
	int found = netlink_is_bridge(rest), r;
	unsigned int n = 0;

	if (found != 1)
		return no_bridge(t, target, rest, found);
	do {
		snprintf(order.interface, sizeof(order.interface), "nlb%u", n);
	} while (if_nametoindex(order.interface) != 0 && ++n < BRIDGE_PORTS);
	order.net_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (order.net_ns < 0)
		return cannot(t, target, errno);
	r = plumb(&order, offer, NULL, 0, t);
	close(order.net_ns);
	if (r < 0 && geteuid() != 0)
		trouble_fix(t, "A port of a bridge needs root: sudo natlock attach %s", target);
	return r;
}

static int attach_unix(
	const char *path, int type, const char *target, struct port_offer *offer, struct trouble *t)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int error;

	if (path[0] != '/' || strlen(path) >= sizeof(address.sun_path))
		return cannot(t, target, path[0] == '/' ? ENAMETOOLONG : EINVAL);
	strcpy(address.sun_path, path);
	error = sockname_clear(path, type);
	if (error < 0)
		return cannot(t, target, -error);
	offer->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (offer->fd >= 0 && bind(offer->fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		(type == SOCK_DGRAM || listen(offer->fd, LISTEN_BACKLOG) == 0))
		return 0;
	cannot(t, target, errno);
	if (offer->fd >= 0)
		close(offer->fd);
	return -1;
}

static int attach_qemu(const char *rest, const char *target, uint32_t mtu, struct port_offer *offer,
	struct trouble *t)
{
	return attach_unix(rest, SOCK_STREAM, target, offer, t);
}

static int attach_qemu_dgram(const char *rest, const char *target, uint32_t mtu,
	struct port_offer *offer, struct trouble *t)
{
	return attach_unix(rest, SOCK_DGRAM, target, offer, t);
}

static int attach_fd(const char *rest, const char *target, uint32_t mtu, struct port_offer *offer,
	struct trouble *t)
{
	bool digits = rest[0] && !rest[strspn(rest, "0123456789")];
	unsigned long number = digits ? strtoul(rest, NULL, 10) : ULONG_MAX;

	offer->fd = number <= INT_MAX ? fcntl((int)number, F_DUPFD_CLOEXEC, 3) : -1;
	return offer->fd < 0 ? cannot(t, target, EBADF) : 0;
}

struct word {
	const char *prefix;
	int (*open)(const char *rest, const char *target, uint32_t mtu, struct port_offer *offer,
		struct trouble *t);
};
static const struct word attach_words[] = {
	{"pid:", attach_pid},
	{"netns:", attach_netns},
	{"tap:", attach_tap},
	{"veth:", attach_veth},
	{"bridge:", attach_bridge},
	{"qemu:", attach_qemu},
	{"qemu-dgram:", attach_qemu_dgram},
	{"fd:", attach_fd},
};

static int attach_auto(const char *hub, uint32_t mtu, struct port_offer *offer, struct trouble *t)
{
	char name[IFNAMSIZ];

	snprintf(name, sizeof(name), "nl-%.12s", hub);
	return attach_tap(name, "auto", mtu, offer, t) < 0 ? ATTACH_NOTHING : 0;
}

static int open_word(const char *target, const char *hub, uint32_t mtu, struct port_offer *offer,
	struct trouble *t)
{
	size_t i;

	if (strcmp(target, "auto") == 0)
		return attach_auto(hub, mtu, offer, t);
	for (i = 0; i < sizeof(attach_words) / sizeof(attach_words[0]); i++) {
		size_t n = strlen(attach_words[i].prefix);

		if (strncmp(target, attach_words[i].prefix, n) == 0)
			return attach_words[i].open(target + n, target, mtu, offer, t);
	}
	trouble(t, EXIT_USAGE, "E0411", "cannot attach %s: not a target of this version", target);
	return trouble_fix(t,
		"Targets are pid:N netns:NAME tap:NAME veth:NAME bridge:NAME qemu:PATH "
		"qemu-dgram:PATH fd:N.");
}

int attach_open(const char *target, const char *hub, uint32_t mtu, struct port_offer *offer,
	struct trouble *t)
{
	int r;

	*offer = (struct port_offer){.fd = -1, .mtu = mtu};
	snprintf(offer->name, sizeof(offer->name), "%s", target);
	r = open_word(target, hub, mtu, offer, t);
	if (r == 0 && port_recognise(offer, t) < 0) {
		close(offer->fd);
		return -1;
	}
	return r;
}

static int try_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The administrators' socket where we may, else the other one, which knows its own user. */
static int connect_running(struct trouble *t)
{
	const char *named = getenv("NATLOCK_API");
	char path[OPERATOR_PATH], admin[OPERATOR_PATH];
	struct places places;
	int fd = -1;

	places_find_runtime(&places);
	snprintf(path, sizeof(path), "%s%s", named ? named : places.runtime, named ? "" : "/api");
	if (operator_admin_path(path, admin, sizeof(admin)))
		fd = try_connect(admin);
	if (fd < 0)
		fd = try_connect(path);
	if (fd >= 0)
		return fd;
	trouble(t, EXIT_UNREACHABLE, "E0508", "no running natlock at %s", path);
	return trouble_fix(t, "Start one: natlock up");
}

static int ask(int fd, const char *hub, const struct port_offer *offer, struct trouble *t)
{
	const struct timeval patience = {ANSWER_SECONDS, 0};
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__AttachRequest attach = NL__ATTACH_REQUEST__INIT;
	struct chan chan;

	attach.hub = (char *)(uintptr_t)hub;
	attach.name = (char *)(uintptr_t)offer->name;
	attach.has_kind = true;
	attach.kind = offer->kind;
	request.msg_case = NL__OPERATOR_REQUEST__MSG_ATTACH;
	request.attach = &attach;
	chan_init(&chan, fd, NULL, NULL, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (chan_send_message(&chan, &request.base, &offer->fd, 1) == 0)
		return 0;
	if (errno == EPERM) /* the readers' socket takes no descriptor */
		return trouble(t, EXIT_REFUSED, "E0501",
			"this needs the user that natlock runs as, or root");
	return trouble(t, EXIT_UNREACHABLE, "E0509", "natlock does not take the port");
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static int hear(int fd, struct trouble *t)
{
	static uint8_t bytes[CHAN_MAX_BYTES];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
	Nl__OperatorAnswer *a = n > 0 ? nl__operator_answer__unpack(NULL, (size_t)n, bytes) : NULL;
	int r = -1;

	if (a && a->msg_case == NL__OPERATOR_ANSWER__MSG_DONE) {
		printf("%s\n", or_empty(a->done->text));
		r = 0;
	} else if (a && a->msg_case == NL__OPERATOR_ANSWER__MSG_FAILURE) {
		trouble(t, (enum exit_code)a->failure->exit_code, or_empty(a->failure->code), "%s",
			or_empty(a->failure->message));
		trouble_cause(t, "%s", or_empty(a->failure->cause));
		trouble_fix(t, "%s", or_empty(a->failure->fix));
	} else {
		trouble(t, EXIT_TIMED_OUT, "E0503", "natlock does not answer");
	}
	nl__operator_answer__free_unpacked(a, NULL);
	return r;
}

int attach_command(const struct options *o)
{
	struct port_offer offer;
	struct trouble t;
	int fd = connect_running(&t);
	int r;

	if (fd < 0)
		return trouble_say(&t);
	r = attach_open(o->target, o->hub ? o->hub : "default", DEFAULT_MTU, &offer, &t);
	if (r == ATTACH_NOTHING)
		return trouble_say(&t);
	if (r == 0)
		r = ask(fd, o->hub, &offer, &t);
	if (r == 0)
		r = hear(fd, &t);
	return r < 0 ? trouble_say(&t) : EXIT_OK;
}
