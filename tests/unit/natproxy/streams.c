#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "streams.h"

struct scene stream_open(struct rig_options o)
{
	struct ring_desc d;
	uint16_t port;
	const int listener = rig_listener(&port);
	o.ftp_port = port;
	struct scene s = {.r = rig_new(&o), .port = port, .number = STREAM_NUMBER};
	rig_open(s.r, STREAM_FLOW, 40000, port);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_OPENED, &d));
	s.fd = accept(listener, NULL, NULL);
	close(listener);
	rig_credit(s.r, STREAM_FLOW, 1000000);
	return s;
}

struct scene stream_come_in(struct rig_options o, uint16_t listen_port, uint16_t to)
{
	struct ring_desc d;
	o.publish = rig_publish(NL__PUBLISH__PROTO__tcp, listen_port, to);
	struct scene s = {.r = rig_new(&o), .number = STREAM_NUMBER};
	s.fd = stream_knock(listen_port);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_INCOMING, &d));
	stream_accept(&s, STREAM_FLOW, d.pair.token);
	rig_credit(s.r, STREAM_FLOW, 1000);
	rig_turn(s.r);
	return s;
}

int stream_knock(uint16_t port)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	connect(fd, (const struct sockaddr *)&to, sizeof(to));
	return fd;
}

void stream_accept(struct scene *s, uint32_t flow, uint32_t token)
{
	const struct ring_desc accepted = {
		.op = RING_NETSTACK_TCP_ACCEPTED, .flow = flow, .pair = {.token = token}};
	rig_send(s->r, &accepted);
}

void stream_says(struct scene *s, uint64_t at, const char *text)
{
	const struct ring_desc d =
		rig_payload(s->r, RING_NETSTACK_TCP_DATA, STREAM_FLOW, at, text, strlen(text));
	rig_send(s->r, &d);
	rig_turn(s->r);
}

int stream_edited(struct scene *s, uint64_t until, uint64_t at, uint32_t old, const char *text)
{
	Nl__Edit e, *list[1] = {&e};
	scene_edit(&e, at, old, text);
	return scene_verdict(s, NL__DIRECTION__GUEST, until, list, 1);
}

int stream_wish(struct scene *s, uint32_t number, uint32_t token, uint32_t port, uint32_t peer)
{
	Nl__PinholeOpen m = NL__PINHOLE_OPEN__INIT;
	m.flow = number;
	m.token = token;
	m.kind = NL__PINHOLE_KIND__TCP_LISTEN;
	m.guest_port = port;
	m.has_peer_ip_be = peer != 0;
	m.peer_ip_be = peer;
	return natproxy_on_pinhole_open(s->r->np, &m, NULL);
}
