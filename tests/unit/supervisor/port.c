/* Which descriptors may be ports. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port.h"
#include "supervisor.h"

static bool recognised(int fd, Nl__PortKind *kind)
{
	struct port_offer offer = {.fd = fd};
	struct trouble t;
	bool ok = port_recognise(&offer, &t) == 0;

	*kind = offer.kind;
	close(fd);
	return ok;
}

Test(port, unix_sockets_are_qemus)
{
	Nl__PortKind kind;

	cr_assert(recognised(socket(AF_UNIX, SOCK_STREAM, 0), &kind));
	cr_assert_eq(kind, NL__PORT_KIND__QEMU_STREAM);
	cr_assert(recognised(socket(AF_UNIX, SOCK_DGRAM, 0), &kind));
	cr_assert_eq(kind, NL__PORT_KIND__QEMU_DGRAM);
}

Test(port, anything_else_is_refused)
{
	Nl__PortKind kind;

	cr_assert_not(recognised(open("/dev/null", O_RDWR), &kind));
	cr_assert_not(recognised(open("/etc/passwd", O_RDONLY), &kind));
	cr_assert_not(recognised(socket(AF_INET, SOCK_STREAM, 0), &kind));
	cr_assert_not(recognised(socket(AF_UNIX, SOCK_SEQPACKET, 0), &kind));
	cr_assert_not(recognised(-1, &kind));
}

/* A hub without workers: ports are kept for the broker that comes. */
static struct hub *a_hub(void)
{
	static struct supervisor s;
	static Nl__Nat nat = NL__NAT__INIT;
	static Nl__Hub conf = NL__HUB__INIT;
	static char name[] = "lab";

	nat.mtu = 1500;
	conf.nat = &nat;
	conf.name = name;
	s.is_run = true; /* notes are kept and not printed */
	s.hub[0] = (struct hub){.super = &s, .conf = &conf, .shards = 1};
	hub_crew(&s.hub[0]);
	s.hubs = 1;
	return &s.hub[0];
}

/* A connected socket as a port: its number. *far is the guest's end. */
static int add(struct hub *hub, int type, int *far, struct trouble *t)
{
	struct port_offer offer = {.name = "guest"};
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, type, 0, pair), 0);
	offer.fd = pair[0];
	*far = pair[1];
	cr_assert_eq(port_recognise(&offer, t), 0);
	return port_add(hub, &offer, t);
}

static bool hung_up(int far)
{
	char byte;

	return recv(far, &byte, 1, MSG_DONTWAIT) == 0;
}

Test(port, one_more_than_there_is_room_for_is_refused)
{
	struct hub *hub = a_hub();
	struct trouble t;
	char line[256];
	int far, i;

	for (i = 0; i < HUB_PORTS; i++)
		cr_assert_eq(add(hub, SOCK_STREAM, &far, &t), i);
	cr_assert_eq(add(hub, SOCK_STREAM, &far, &t), -1);
	cr_assert(hung_up(far), "and hears of it");
	cr_assert_str_eq(trouble_text(&t, line, sizeof(line)),
		"hub lab has 64 ports already. Detach a guest first.");
	port_remove(hub, 17);
	cr_assert_eq(add(hub, SOCK_STREAM, &far, &t), 17);
	cr_assert_eq(port_count(hub), HUB_PORTS);
	port_close_all(hub);
	cr_assert_eq(port_count(hub), 0);
}

Test(port, a_lost_broker_ends_streams_and_nothing_else)
{
	struct hub *hub = a_hub();
	struct trouble t;
	int stream, dgram;

	cr_assert_eq(add(hub, SOCK_STREAM, &stream, &t), 0);
	cr_assert_eq(add(hub, SOCK_DGRAM, &dgram, &t), 1);
	port_restart(hub);
	cr_assert(hung_up(stream));
	cr_assert_not(hub->port[0].used);
	cr_assert(hub->port[1].used);
	cr_assert_eq(send(dgram, "x", 1, MSG_DONTWAIT), 1);
	cr_assert_eq(hub->super->notes, 1);
	cr_assert_not_null(strstr(hub->super->note[0], "port guest was closed"));
	port_restart(hub);
	cr_assert_eq(hub->super->notes, 1, "once");
	port_close_all(hub);
}
