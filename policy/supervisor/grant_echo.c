/*
 * Theory of operation. The identifiers of a ping are 16 bits, divided into 128 blocks; each natproxy
 * gets a block by its gateway and its number, so that natproxies on one computer seldom share one.
 * Where they do, or where a ping of the computer itself has such an identifier, natproxy's own
 * sessions tell whose answer it is. Errors about pings come by the error queue, which no filter sees:
 * a natproxy that was taken over could read those of all pings of this computer.
 */
#include "grant_echo.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "super_dispatch.h"
#include "supervisor.h"

enum {
	BLOCKS = (UINT16_MAX + 1) / GRANT_ECHO_IDENTIFIERS,
	SPREAD = 37, /* between gateways; has no divisor in common with BLOCKS */
	IP_FIRST = 0x45,
	TYPE_AT = 20,
	IDENTIFIER_AT = 24,
	ECHO_REPLY = 0,
};

void grant_echo_filter(
	struct sock_filter out[GRANT_ECHO_FILTER], uint16_t first, uint16_t identifiers)
{
	const uint32_t last = (uint32_t)first + identifiers - 1;
	const struct sock_filter filter[GRANT_ECHO_FILTER] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IP_FIRST, 0, 7),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TYPE_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ECHO_REPLY, 0, 5),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, IDENTIFIER_AT),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 3),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 2, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_RET | BPF_A, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	memcpy(out, filter, sizeof(filter));
}

/* As the kernel judges: by the gid that the worker has outside of all namespaces of ours. */
static bool has_ping_sockets(const struct supervisor *s, unsigned int worker)
{
	unsigned long low = 1, high = 0, gid = s->identity.gid;

	if (s->identity.has_private)
		gid = s->identity.private_gid + worker % IDENTITY_PRIVATE;
	sscanf(s->ping_range, "%lu %lu", &low, &high);
	return low <= gid && gid <= high;
}

static int open_socket(const struct identity *id, unsigned int worker, uint16_t first)
{
	struct sock_filter filter[GRANT_ECHO_FILTER];
	const struct sock_fprog program = {GRANT_ECHO_FILTER, filter};
	const int on = 1;
	int fd = identity_socket(
		id, worker, AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);

	grant_echo_filter(filter, first, GRANT_ECHO_IDENTIFIERS);
	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)) == 0)
		return fd;
	close(fd);
	return -EINVAL;
}

static void open_one(struct supervisor *s, const struct worker *w)
{
	struct grant_echo *g = &s->echo[w->hub->index][w->shard];
	unsigned int number = hub_worker_number(w);
	unsigned int gateway = s->identity.private_uid / IDENTITY_PRIVATE;
	int fd;

	g->first = (uint16_t)((gateway * SPREAD + number) % BLOCKS * GRANT_ECHO_IDENTIFIERS);
	fd = has_ping_sockets(s, number) ? -1 : open_socket(&s->identity, number, g->first);
	g->fd = fd < 0 ? -1 : fd;
}

void grant_echo_open(struct supervisor *s)
{
	unsigned int h, i;

	for (h = 0; h < SUPERVISOR_HUBS; h++)
		for (i = 0; i < SHARD_MAX; i++)
			s->echo[h][i].fd = -1;
	for (h = 0; h < s->hubs; h++)
		for (i = 0; i < s->hub[h].workers; i++)
			if (s->hub[h].worker[i].id == ACTOR_NATPROXY &&
				s->hub[h].conf->nat->icmp == NL__NAT__ICMP__echo)
				open_one(s, &s->hub[h].worker[i]);
}

bool grant_echo_has(const struct hub *hub, unsigned int shard)
{
	return hub->super->echo[hub->index][shard].fd >= 0;
}

void grant_echo_tell(struct worker *natproxy)
{
	const struct grant_echo *g =
		&natproxy->hub->super->echo[natproxy->hub->index][natproxy->shard];
	Nl__SocketGrant m = NL__SOCKET_GRANT__INIT;
	Nl__SocketName name = NL__SOCKET_NAME__INIT;

	if (g->fd < 0)
		return;
	name.has_what = name.has_first = name.has_identifiers = true;
	name.what = NL__SOCKET_NAME__WHAT__ECHO;
	name.first = g->first;
	name.identifiers = GRANT_ECHO_IDENTIFIERS;
	m.name = &name;
	natproxy_send_socket_grant(&natproxy->chan, &m, &g->fd, 1);
}

void grant_echo_close(struct supervisor *s)
{
	unsigned int h, i;

	for (h = 0; h < s->hubs; h++)
		for (i = 0; i < SHARD_MAX; i++)
			if (s->echo[h][i].fd >= 0)
				close(s->echo[h][i].fd);
}
