/*
 * Theory of operation. What natlock would find when it starts, asked the way it would ask: the same
 * files, folders and routes. A folder that is not there yet is judged by the nearest one above it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "doctor_host.h"
#include "files.h"
#include "hostnet.h"
#include "places.h"
#include "resolvers.h"

struct finding finding_of(int error, const char *fix)
{
	struct finding f = {.ok = error == 0};

	snprintf(f.detail, sizeof(f.detail), "%s", error ? strerror(error) : "");
	snprintf(f.fix, sizeof(f.fix), "%s", fix);
	return f;
}

struct finding doctor_bridge(void)
{
	struct finding f = finding_of(geteuid() == 0 ? 0 : EPERM,
		"start natlock as root, or type: sudo natlock attach bridge:NAME");

	if (!f.ok)
		snprintf(f.detail, sizeof(f.detail), "only root may add a port to a bridge");
	return f;
}

/* Binding a unix socket needs nothing but a folder: the runtime folder stands for any. */
struct finding doctor_qemu(void)
{
	struct places places;
	struct trouble t;
	struct finding f = finding_of(0, "set XDG_RUNTIME_DIR to a folder of your own");

	places_find(&places);
	f.ok = places_make_runtime(&places, geteuid(), getegid(), &t) == 0;
	if (f.ok)
		snprintf(f.detail, sizeof(f.detail), "%.100s", places.runtime);
	else
		trouble_text(&t, f.detail, sizeof(f.detail));
	return f;
}

/* Whether this user may bind port 1: who else does does not matter. */
static bool may_bind_low(void)
{
	const struct sockaddr_in one = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(1)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool may = fd >= 0 && (bind(fd, (const struct sockaddr *)&one, sizeof(one)) == 0 ||
				      errno == EADDRINUSE);

	if (fd >= 0)
		close(fd);
	return may;
}

struct finding doctor_low_ports(void)
{
	struct finding f =
		finding_of(0, "start natlock as root; or sysctl -w "
			      "net.ipv4.ip_unprivileged_port_start=80; or publish a higher port: "
			      "--publish 8080:80");
	char text[32];
	unsigned long first = 1024;

	if (files_read("/proc/sys/net/ipv4/ip_unprivileged_port_start", text, sizeof(text)) > 0)
		first = strtoul(text, NULL, 10);
	f.ok = first <= 1 || may_bind_low();
	if (f.ok && first > 1)
		snprintf(f.detail, sizeof(f.detail),
			"those in the configuration are opened at the start, before root's rights "
			"go");
	else
		snprintf(f.detail, sizeof(f.detail),
			"net.ipv4.ip_unprivileged_port_start=%lu; rsh and rlogin need 512 or less",
			first);
	return f;
}

/* The kernel lets only processes of these groups have a ping socket. */
struct finding doctor_ping(int error)
{
	struct finding f = finding_of(error, "sysctl -w net.ipv4.ping_group_range=\"0 "
					     "2147483647\"; pings end at the gateway meanwhile, "
					     "or let it answer them: nat.icmp: dummy");
	char text[64];
	unsigned long from, to;

	if (files_read("/proc/sys/net/ipv4/ping_group_range", text, sizeof(text)) > 0 &&
		sscanf(text, "%lu %lu", &from, &to) == 2)
		snprintf(f.detail, sizeof(f.detail), "%s%snet.ipv4.ping_group_range=%lu %lu",
			error != 0 ? strerror(error) : "", error != 0 ? ", " : "", from, to);
	return f;
}

struct finding doctor_resolvers(void)
{
	struct resolvers r = {.fd = -1};
	struct finding f = finding_of(
		0, "write a line into /etc/resolv.conf, or set dns.upstreams: [9.9.9.9]");
	char text[INET_ADDRSTRLEN];

	resolvers_read(&r);
	f.ok = r.count > 0;
	if (f.ok)
		snprintf(f.detail, sizeof(f.detail), "%s%s",
			inet_ntop(AF_INET, &r.ip_be[0], text, sizeof(text)),
			r.count > 1 ? " and others" : "");
	else
		snprintf(f.detail, sizeof(f.detail),
			"no usable nameserver in resolv.conf: guests' "
			"DNS gets SERVFAIL");
	return f;
}

/* The default hub's, 192.168.30.0/24. */
struct finding doctor_subnet(void)
{
	static struct hostnet net; /* too large for a stack */
	const struct hostnet_route *route;
	struct finding f = finding_of(0, "");
	char text[INET_ADDRSTRLEN];
	uint32_t other;

	hostnet_read(&net);
	route = hostnet_overlap(&net, htonl(0xc0a81e01), 24);
	f.ok = route == NULL;
	if (f.ok)
		return f;
	inet_ntop(AF_INET, &route->to.ip_be, text, sizeof(text));
	snprintf(f.detail, sizeof(f.detail), "overlaps the host's route %s/%u dev %s", text,
		route->to.prefix, route->device);
	other = hostnet_free_gateway(&net);
	snprintf(f.fix, sizeof(f.fix),
		"choose host.address, e.g. %s, with dhcp.range, gateway "
		"and dns in its subnet",
		inet_ntop(AF_INET, &other, text, sizeof(text)));
	return f;
}

/* Whether the folder can be written to, or made. */
static struct finding folder(const char *path, const char *none, const char *fix)
{
	struct finding f = finding_of(0, fix);
	char above[PLACES_PATH];
	char *slash;

	if (path[0] == '\0') {
		f.ok = false;
		snprintf(f.detail, sizeof(f.detail), "%s", none);
		return f;
	}
	snprintf(above, sizeof(above), "%s", path);
	while (access(above, F_OK) != 0 && (slash = strrchr(above, '/')) != NULL && slash != above)
		*slash = '\0';
	f.ok = access(above, W_OK | X_OK) == 0;
	snprintf(f.detail, sizeof(f.detail), "%.100s%s%s", path, f.ok ? "" : ": ",
		f.ok ? "" : strerror(errno));
	return f;
}

struct finding doctor_state(void)
{
	struct places places;

	places_find(&places);
	return folder(places.state, "no home folder: leases end with natlock",
		"set STATE_DIRECTORY or XDG_STATE_HOME to a folder of your own");
}

struct finding doctor_log(void)
{
	struct places places;

	places_find(&places);
	return folder(places.log, "no home folder: there is no security log",
		"set LOGS_DIRECTORY, or log.file to a folder of your own");
}

/* Connects and sends nothing. */
static struct finding unix_socket(const char *path, const char *fix)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct finding f;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	f = finding_of(
		fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0,
		fix);
	if (fd >= 0)
		close(fd);
	if (f.ok)
		snprintf(f.detail, sizeof(f.detail), "%s", path);
	return f;
}

struct finding doctor_journal(void)
{
	return unix_socket("/run/systemd/journal/socket",
		"not needed: log.journal: auto leaves it out where there is no systemd");
}

struct finding doctor_syslog(void)
{
	return unix_socket("/dev/log", "only log.syslog: true needs it: install rsyslog");
}
