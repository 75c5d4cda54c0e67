/*
 * Theory of operation. A port is a number (its index here, the broker's `port`) and a descriptor.
 * The broker gets a duplicate by PortAttach; the one kept here makes the guest's link outlive the
 * broker.
 *
 * QEMU over unix sockets: a stream listener stays, each connection is a port of its own. A datagram
 * socket has a peer only once QEMU has spoken; until then the first datagram is peeked at for its
 * sender's address.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include "port.h"
#include "sockname.h"
#include "supervisor.h"
#include "tell.h"

struct listener {
	struct ev_io io; /* first: the callback gets it */
	struct hub *hub;
	struct port_offer offer;
	struct listener *next;
};

static struct listener *listeners;

static int socket_option(int fd, int level, int name)
{
	int value = -1;
	socklen_t n = sizeof(value);

	return getsockopt(fd, level, name, &value, &n) < 0 ? -1 : value;
}

static void listener_end(struct listener *l, bool close_fd)
{
	struct listener **at = &listeners;

	while (*at && *at != l)
		at = &(*at)->next;
	if (*at)
		*at = l->next;
	ev_io_stop(l->hub->super->loop, &l->io);
	if (close_fd) {
		sockname_remove(l->offer.fd);
		close(l->offer.fd);
	}
	free(l);
}

static void accept_stream(struct listener *l)
{
	struct port_offer offer = l->offer;
	struct trouble t;
	char line[512];

	offer.fd = accept4(l->offer.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (offer.fd >= 0 && port_add(l->hub, &offer, &t) < 0)
		supervisor_note(
			l->hub->super, "%s: %s", offer.name, trouble_text(&t, line, sizeof(line)));
}

static void accept_dgram(struct listener *l)
{
	struct sockaddr_un peer = {0};
	socklen_t n = sizeof(peer);
	struct port_offer offer = l->offer;
	struct hub *hub = l->hub;
	struct trouble t;
	char byte;

	if (recvfrom(l->offer.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, (struct sockaddr *)&peer, &n) <
		0)
		return;
	if (n <= sizeof(sa_family_t) || connect(l->offer.fd, (struct sockaddr *)&peer, n) < 0) {
		/* A sender without a name, or whose socket is not ours to write, cannot be
		 * answered. */
		supervisor_note(hub->super, "%s: cannot answer the guest's socket: %s", offer.name,
			n <= sizeof(sa_family_t) ? "it has no path" : strerror(errno));
		recv(l->offer.fd, &byte, 1, MSG_DONTWAIT);
		return;
	}
	listener_end(l, false);
	if (port_add(hub, &offer, &t) < 0)
		trouble_say(&t);
}

static void on_listener(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct listener *l = (struct listener *)io;

	if (l->offer.kind == NL__PORT_KIND__QEMU_STREAM)
		accept_stream(l);
	else
		accept_dgram(l);
}

static int listen_for(struct hub *hub, const struct port_offer *offer, struct trouble *t)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l) {
		close(offer->fd);
		return trouble(t, EXIT_FAILED, "E0402", "no memory for one more listener");
	}
	l->hub = hub;
	l->offer = *offer;
	l->next = listeners;
	listeners = l;
	ev_io_init(&l->io, on_listener, offer->fd, EV_READ);
	ev_io_start(hub->super->loop, &l->io);
	return PORT_LISTENING;
}

static bool must_be_waited_for(const struct port_offer *offer)
{
	struct sockaddr_un peer;
	socklen_t n = sizeof(peer);

	if (offer->kind == NL__PORT_KIND__QEMU_STREAM)
		return socket_option(offer->fd, SOL_SOCKET, SO_ACCEPTCONN) == 1;
	return offer->kind == NL__PORT_KIND__QEMU_DGRAM &&
	       getpeername(offer->fd, (struct sockaddr *)&peer, &n) < 0;
}

static int recognise_socket(struct port_offer *offer, int domain, int type)
{
	if (domain == AF_PACKET && type == SOCK_RAW) {
		offer->kind = NL__PORT_KIND__PACKET;
		offer->vnet_hdr = socket_option(offer->fd, SOL_PACKET, PACKET_VNET_HDR) == 1;
		return 0;
	}
	if (domain != AF_UNIX || (type != SOCK_STREAM && type != SOCK_DGRAM))
		return -1;
	offer->kind = type == SOCK_STREAM ? NL__PORT_KIND__QEMU_STREAM : NL__PORT_KIND__QEMU_DGRAM;
	offer->vnet_hdr = false;
	return 0;
}

int port_recognise(struct port_offer *offer, struct trouble *t)
{
	struct ifreq ifr = {0};
	int domain = socket_option(offer->fd, SOL_SOCKET, SO_DOMAIN);

	if (domain >= 0 &&
		recognise_socket(offer, domain, socket_option(offer->fd, SOL_SOCKET, SO_TYPE)) == 0)
		return 0;
	if (domain < 0 && ioctl(offer->fd, TUNGETIFF, &ifr) == 0 && (ifr.ifr_flags & IFF_TAP) &&
		(ifr.ifr_flags & IFF_NO_PI)) {
		offer->kind = NL__PORT_KIND__TAP;
		offer->vnet_hdr = (ifr.ifr_flags & IFF_VNET_HDR) != 0;
		return 0;
	}
	trouble(t, EXIT_REFUSED, "E0401", "this descriptor cannot be a port");
	return trouble_fix(t, "Pass a TAP without packet information, a raw packet socket, or a "
			      "unix stream or datagram socket.");
}

static unsigned int free_port(const struct hub *hub)
{
	unsigned int i = 0;

	while (i < HUB_PORTS && hub->port[i].used)
		i++;
	return i;
}

int port_add(struct hub *hub, const struct port_offer *offer, struct trouble *t)
{
	unsigned int n = free_port(hub);
	struct port *p = &hub->port[n % HUB_PORTS];

	if (must_be_waited_for(offer))
		return listen_for(hub, offer, t);
	if (n == HUB_PORTS) {
		close(offer->fd);
		trouble(t, EXIT_REFUSED, "E0403", "hub %s has %d ports already", hub->conf->name,
			HUB_PORTS);
		return trouble_fix(t, "Detach a guest first.");
	}
	*p = (struct port){
		.used = true,
		.fd = offer->fd,
		.kind = offer->kind,
		.vnet_hdr = offer->vnet_hdr,
		.mtu = offer->mtu ? offer->mtu : hub->conf->nat->mtu,
	};
	snprintf(p->name, sizeof(p->name), "%s", offer->name);
	fcntl(p->fd, F_SETFL, fcntl(p->fd, F_GETFL) | O_NONBLOCK);
	tell_port(hub, n);
	return (int)n;
}

void port_remove(struct hub *hub, unsigned int port)
{
	if (port >= HUB_PORTS || !hub->port[port].used)
		return;
	if (hub->port[port].kind == NL__PORT_KIND__QEMU_DGRAM)
		sockname_remove(hub->port[port].fd);
	close(hub->port[port].fd);
	hub->port[port] = (struct port){.fd = -1};
}

/* Not poll: of a packet socket it tells once only that the device went, and to the broker first. */
static bool has_interface(int fd)
{
	struct sockaddr_ll at = {0};
	socklen_t n = sizeof(at);

	return getsockname(fd, (struct sockaddr *)&at, &n) == 0 && at.sll_family == AF_PACKET &&
	       at.sll_ifindex > 0;
}

bool port_is_there(const struct hub *hub, unsigned int port)
{
	const struct port *p = &hub->port[port];
	struct ifreq ifr = {0};

	if (!p->used)
		return false;
	if (p->kind == NL__PORT_KIND__PACKET)
		return has_interface(p->fd);
	return p->kind == NL__PORT_KIND__TAP && ioctl(p->fd, TUNGETIFF, &ifr) == 0;
}

void port_restart(struct hub *hub)
{
	unsigned int i;

	for (i = 0; i < HUB_PORTS; i++) {
		if (!hub->port[i].used || hub->port[i].kind != NL__PORT_KIND__QEMU_STREAM)
			continue;
		supervisor_note(hub->super,
			"port %s was closed: its stream cannot go on with a new broker. QEMU 8 "
			"with "
			"reconnect= connects again; an older one must be restarted.",
			hub->port[i].name);
		port_remove(hub, i);
	}
}

void port_close_all(struct hub *hub)
{
	struct listener *l = listeners, *next;
	unsigned int i;

	for (i = 0; i < HUB_PORTS; i++)
		port_remove(hub, i);
	for (; l; l = next) {
		next = l->next;
		if (l->hub == hub)
			listener_end(l, true);
	}
}

const char *port_session(const struct hub *hub, unsigned int port, char out[PORT_SESSION])
{
	char *c;

	snprintf(out, PORT_SESSION, "SID-%.40s-%u", hub->port[port].name, port);
	for (c = out; *c; c++)
		*c = isprint((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '?';
	return out;
}

unsigned int port_by_session(const struct hub *hub, const char *session)
{
	char name[PORT_SESSION];
	unsigned int i = 0;

	while (i < HUB_PORTS && (!hub->port[i].used ||
					strcasecmp(port_session(hub, i, name), session) != 0))
		i++;
	return i;
}

unsigned int port_count(const struct hub *hub)
{
	unsigned int i, n = 0;

	for (i = 0; i < HUB_PORTS; i++)
		n += hub->port[i].used;
	return n;
}
