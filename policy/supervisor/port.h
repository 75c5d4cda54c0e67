/*
 * Ports of a hub: the supervisor keeps each port's descriptor, so that guests keep their link when
 * the broker is replaced. Unix sockets for QEMU are listened on here; each connection becomes a
 * port.
 */
#ifndef NATLOCK_SUPERVISOR_PORT_H
#define NATLOCK_SUPERVISOR_PORT_H

#include "hub.h"
#include "trouble.h"

/* How a descriptor became a port: what plumb, attach or a client of natlockctl hands over. */
struct port_offer {
	int fd;
	Nl__PortKind kind;
	bool vnet_hdr; /* frames begin with a virtio-net header */
	uint32_t mtu;  /* 0: the hub's */
	char name[64];
};

/*
 * Adds a port; takes the descriptor over, whatever comes out. A listening QEMU stream socket and an
 * unconnected QEMU datagram socket are waited on first. Number of the port, PORT_LISTENING, or -1
 * with *t.
 */
enum { PORT_LISTENING = HUB_PORTS };
int port_add(struct hub *hub, const struct port_offer *offer, struct trouble *t);
/* Finds out what a descriptor is: fills kind and vnet_hdr. -1 with *t when it cannot be a port.
 * Syscalls: ioctl getsockopt */
int port_recognise(struct port_offer *offer, struct trouble *t);
/* Whether the device of a port is there still, as far as the kernel tells: of a QEMU socket it does not. Syscalls:
 * ioctl getsockname */
bool port_is_there(const struct hub *hub, unsigned int port);
/* The broker gave it up, or the hub ends. */
void port_remove(struct hub *hub, unsigned int port);
/*
 * The broker was lost. A QEMU stream is a row of lengths and frames, and only the dead broker knew how far into a
 * frame it was: such ports are closed, so that QEMU connects again and begins anew, and the log says so. All others
 * carry whole frames and stay.
 */
void port_restart(struct hub *hub);
void port_close_all(struct hub *hub);
/* The name of a port in the session list ("SID-TAP:NL0-3"), which the broker makes of the same parts (broker/session.h).
 */
enum { PORT_SESSION = 64 };
const char *port_session(const struct hub *hub, unsigned int port, char out[PORT_SESSION]);
/* The port of that name, in upper or lower case; HUB_PORTS: none. */
unsigned int port_by_session(const struct hub *hub, const char *session);
unsigned int port_count(const struct hub *hub);

#endif
