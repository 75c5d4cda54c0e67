/*
 * Theory of operation. The filter sees a packet from its IP header on:
 *
 *   byte 0       0x45: version 4, 20 bytes, so that the SPI is where it is looked for
 *   20..23       SPI, not 0 (RFC 4303 2.1: never on the wire)
 *   24..27       sequence number; what ends before it is no ESP
 *
 * A load beyond a packet's end is a drop, which is the test of its length. The kernel puts fragments
 * together before a raw socket hears of them. Errors about ESP come by the error queue, which no
 * filter sees: a natproxy that was taken over could read those about this computer's own tunnels,
 * and hear their packets, which are encrypted.
 *
 * There is one shard where there is any of it; a hub that has more all the same (processors were
 * taken away while natlock runs) goes without.
 */
#include "grant_ipsec.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf.h"
#include "super_dispatch.h"
#include "supervisor.h"

enum { IP_FIRST = 0x45, SPI_AT = 20, SEQUENCE_AT = 24, NOTE_BEGINS = 96 };

void grant_ipsec_filter(struct sock_filter out[GRANT_IPSEC_FILTER])
{
	static const struct sock_filter filter[GRANT_IPSEC_FILTER] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IP_FIRST, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SEQUENCE_AT),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SPI_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_RET | BPF_A, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	memcpy(out, filter, sizeof(filter));
}

static bool wants_esp(const struct hub *hub)
{
	return hub->conf->alg->ipsec->esp;
}

static bool wants_ike(const struct hub *hub)
{
	return hub->conf->alg->ipsec->preserve_port_list != 0;
}

static bool is_there(const struct grant_ipsec_socket *g)
{
	return g->asked && g->fd >= 0;
}

static unsigned int natproxy_number(struct hub *hub)
{
	return hub_worker_number(hub_worker(hub, ACTOR_NATPROXY, 0));
}

/* A socket, or -errno. */
static int open_esp(const struct identity *id, unsigned int worker)
{
	struct sock_filter filter[GRANT_IPSEC_FILTER];
	const struct sock_fprog program = {GRANT_IPSEC_FILTER, filter};
	const int on = 1;
	int fd = identity_socket(
		id, worker, AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ESP);
	int error;

	grant_ipsec_filter(filter);
	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* The same. It shares its port with nobody. */
static int open_ike(const struct identity *id, unsigned int worker, const char *device)
{
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(CONF_IKE_PORT)};
	int fd = identity_socket(
		id, worker, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	int error;

	if (fd < 0)
		return fd;
	if ((!device[0] || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
				   (socklen_t)strlen(device)) == 0) &&
		bind(fd, (const struct sockaddr *)&any, sizeof(any)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

static void keep(struct grant_ipsec_socket *g, int fd)
{
	g->asked = true;
	g->fd = fd < 0 ? -1 : fd;
	g->error = fd < 0 ? -fd : 0;
}

static void open_hub(struct supervisor *s, struct hub *hub)
{
	struct grant_ipsec *g = &s->ipsec[hub->index];

	if (hub->shards != 1)
		return;
	snprintf(g->device, sizeof(g->device), "%s", grant_device(hub->conf->nat, NULL));
	if (wants_esp(hub))
		keep(&g->esp, open_esp(&s->identity, natproxy_number(hub)));
	if (wants_ike(hub))
		keep(&g->ike, open_ike(&s->identity, natproxy_number(hub), g->device));
}

void grant_ipsec_open(struct supervisor *s)
{
	unsigned int h;

	for (h = 0; h < SUPERVISOR_HUBS; h++)
		s->ipsec[h] = (struct grant_ipsec){.esp.fd = -1, .ike.fd = -1};
	for (h = 0; h < s->hubs; h++)
		open_hub(s, &s->hub[h]);
}

/* Whether IKE's socket leaves by another device than the hub's sessions do now. */
static bool is_elsewhere(const struct hub *hub)
{
	const struct grant_ipsec *g = &hub->super->ipsec[hub->index];

	return strcmp(g->device, grant_device(hub->conf->nat, NULL)) != 0;
}

/* Cause and fix, of a socket that was asked for too late, or could not be had; "": it is there. */
static const char *why_not_asked(const struct hub *hub, const struct grant_ipsec_socket *g)
{
	if (g->asked)
		return "";
	if (hub->shards != 1)
		return "this hub has several shards. Set shards: 1, then restart natlock";
	return hub->super->identity.privileged
		       ? "it was not in the configuration when natlock started, and root's rights "
			 "are gone since. Keep it there (natlockctl --save does, too), then "
			 "restart "
			 "natlock"
		       : "only root may open what it needs, at the start. Restart natlock as root";
}

static void why_no_esp(const struct hub *hub, char out[GRANT_IPSEC_WHY])
{
	const struct grant_ipsec_socket *g = &hub->super->ipsec[hub->index].esp;

	snprintf(out, GRANT_IPSEC_WHY, "%s", why_not_asked(hub, g));
	if (g->error == EPERM)
		snprintf(out, GRANT_IPSEC_WHY,
			"a raw socket of protocol 50 is for root with CAP_NET_RAW. Start natlock "
			"%s, or say esp: false",
			hub->super->identity.privileged ? "with that capability" : "as root");
	else if (g->error)
		snprintf(out, GRANT_IPSEC_WHY,
			"opening a raw socket of protocol 50 failed when natlock started: %s",
			strerror(g->error));
}

static void why_no_ike(const struct hub *hub, char out[GRANT_IPSEC_WHY])
{
	const struct grant_ipsec *all = &hub->super->ipsec[hub->index];
	const int error = all->ike.error;

	snprintf(out, GRANT_IPSEC_WHY, "%s", why_not_asked(hub, &all->ike));
	if (error == EACCES)
		snprintf(out, GRANT_IPSEC_WHY,
			"port %d is for root with CAP_NET_BIND_SERVICE. Start natlock %s, or lower "
			"net.ipv4.ip_unprivileged_port_start, or say preserve_port_list: 0",
			CONF_IKE_PORT,
			hub->super->identity.privileged ? "with that capability" : "as root");
	else if (error == EADDRINUSE)
		snprintf(out, GRANT_IPSEC_WHY,
			"UDP port %d was in use when natlock started. See who has it: ss -ulnp "
			"(often an IKE daemon of this computer); end it, then restart natlock",
			CONF_IKE_PORT);
	else if (error == ENODEV)
		snprintf(out, GRANT_IPSEC_WHY,
			"nat.vrf's device %s was not there when natlock started. Restart natlock",
			all->device);
	else if (error)
		snprintf(out, GRANT_IPSEC_WHY,
			"opening UDP port %d failed when natlock started: %s", CONF_IKE_PORT,
			strerror(error));
	else if (is_there(&all->ike) && is_elsewhere(hub))
		snprintf(out, GRANT_IPSEC_WHY,
			"port %d was opened for another device than nat.vrf's. Restart natlock",
			CONF_IKE_PORT);
}

static const char no_esp[] = "no ESP passes", no_ike[] = "IKE does not keep its port";

static void note(struct hub *hub, const char *what, bool wanted, const char *why)
{
	char begins[NOTE_BEGINS];

	snprintf(begins, sizeof(begins), "hub %s: alg.ipsec: %s: ", hub->conf->name, what);
	supervisor_forget(hub->super, begins);
	if (wanted && why[0])
		supervisor_note(hub->super, "%s%s", begins, why);
}

void grant_ipsec_note(struct hub *hub)
{
	const bool serves = hub->conf->nat->enable;
	char why[GRANT_IPSEC_WHY];

	why_no_esp(hub, why);
	note(hub, no_esp, serves && wants_esp(hub), why);
	why_no_ike(hub, why);
	note(hub, no_ike, serves && wants_ike(hub), why);
}

void grant_ipsec_missing(const struct hub *hub, char *text, size_t cap)
{
	char why[GRANT_IPSEC_WHY];

	why_no_esp(hub, why);
	if (wants_esp(hub) && why[0])
		snprintf(text + strlen(text), cap - strlen(text), "; %s: %s", no_esp, why);
	why_no_ike(hub, why);
	if (wants_ike(hub) && why[0])
		snprintf(text + strlen(text), cap - strlen(text), "; %s: %s", no_ike, why);
}

/* A socket, or where it is wanted why there is none. */
static void tell_one(struct worker *natproxy, Nl__SocketName *name,
	const struct grant_ipsec_socket *g, bool wanted, char *why)
{
	Nl__SocketGrant m = NL__SOCKET_GRANT__INIT;

	m.name = name;
	name->has_what = true;
	if (is_there(g)) {
		natproxy_send_socket_grant(&natproxy->chan, &m, &g->fd, 1);
		return;
	}
	if (!wanted)
		return;
	m.has_error = true;
	m.error = (uint32_t)(g->error ? g->error : ENOENT);
	m.why = why;
	natproxy_send_socket_grant(&natproxy->chan, &m, NULL, 0);
}

void grant_ipsec_tell(struct worker *natproxy)
{
	struct hub *hub = natproxy->hub;
	struct grant_ipsec *g = &hub->super->ipsec[hub->index];
	Nl__SocketName esp = NL__SOCKET_NAME__INIT, ike = NL__SOCKET_NAME__INIT;
	char why[GRANT_IPSEC_WHY];

	esp.what = NL__SOCKET_NAME__WHAT__ESP;
	why_no_esp(hub, why);
	tell_one(natproxy, &esp, &g->esp, wants_esp(hub), why);
	ike.what = NL__SOCKET_NAME__WHAT__IKE;
	ike.has_udp = ike.has_port = true;
	ike.udp = true;
	ike.port = CONF_IKE_PORT;
	ike.device = g->device[0] ? g->device : NULL;
	why_no_ike(hub, why);
	tell_one(natproxy, &ike, &g->ike, wants_ike(hub), why);
}

static void close_one(struct grant_ipsec_socket *g)
{
	if (is_there(g))
		close(g->fd);
	g->fd = -1;
}

void grant_ipsec_close(struct supervisor *s)
{
	unsigned int h;

	for (h = 0; h < s->hubs; h++) {
		close_one(&s->ipsec[h].esp);
		close_one(&s->ipsec[h].ike);
	}
}
