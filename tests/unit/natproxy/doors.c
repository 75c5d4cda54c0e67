#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "doors.h"
#include "inspect.h"

uint16_t door_guest_port = 40000;
enum algs_id door_alg = ALGS_RTSP;
bool door_observes;
const char *door_device;
uint32_t door_outside_be;

bool __real_inspect_find(struct natproxy *np, uint32_t number, struct inspect_subject *out);
bool __wrap_inspect_find(struct natproxy *np, uint32_t number, struct inspect_subject *out);
bool __wrap_inspect_find(struct natproxy *np, uint32_t number, struct inspect_subject *out)
{
	const bool found = __real_inspect_find(np, number, out);
	out->alg = door_alg;
	out->observe = door_observes;
	out->device = door_device ? door_device : out->device;
	out->outside.ip_be = door_outside_be ? door_outside_be : out->outside.ip_be;
	return found;
}

/* What alg owes after an answer is not asked for here. */
void __wrap_inspect_answered(struct natproxy *np, uint32_t n);
void __wrap_inspect_answered(struct natproxy *np, uint32_t n)
{
}

static uint32_t number; /* by which alg knows the control flow */

static int note_number(void *context, const Nl__FlowInspect *m)
{
	number = m->flow;
	return 0;
}

/* A control connection, inspected. */
struct rig *door_controlled(struct rig_options o)
{
	uint16_t port;
	struct ring_desc d;
	const int listener = rig_listener(&port);
	o.ftp_port = port;
	struct rig *r = rig_new(&o);
	r->np->shell.flow_inspect = note_number;
	rig_open(r, CONTROL, door_guest_port, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	cr_assert_geq(accept(listener, NULL, NULL), 0);
	close(listener);
	cr_assert(number);
	return r;
}

bool door_wish(struct rig *r, uint32_t token, Nl__PinholeKind kind, uint32_t port, bool latent)
{
	Nl__PinholeOpen m = NL__PINHOLE_OPEN__INIT;
	const uint32_t answers = r->answers;
	m.flow = number;
	m.token = token;
	m.kind = kind;
	m.guest_port = port;
	m.has_latent = m.latent = latent;
	cr_assert_eq(natproxy_on_pinhole_open(r->np, &m, NULL), 0);
	cr_assert_eq(r->answers, answers + 1);
	return r->answer.granted;
}

void door_close(struct rig *r, uint32_t token)
{
	Nl__PinholeClose m = NL__PINHOLE_CLOSE__INIT;
	m.flow = number;
	m.token = token;
	cr_assert_eq(natproxy_on_pinhole_close(r->np, &m, NULL), 0);
}

void door_arm(struct rig *r, uint32_t token)
{
	Nl__PinholeArm m = NL__PINHOLE_ARM__INIT;
	m.flow = number;
	m.token = token;
	cr_assert_eq(natproxy_on_pinhole_arm(r->np, &m, NULL), 0);
}

void door_arm_for(struct rig *r, uint32_t token, uint32_t peer_ip_be)
{
	Nl__PinholeArm m = NL__PINHOLE_ARM__INIT;
	m.flow = number;
	m.token = token;
	m.has_peer_ip_be = true;
	m.peer_ip_be = peer_ip_be;
	cr_assert_eq(natproxy_on_pinhole_arm(r->np, &m, NULL), 0);
}

void door_keep(struct rig *r, uint32_t token)
{
	Nl__PinholeKeep m = NL__PINHOLE_KEEP__INIT;
	m.flow = number;
	m.token = token;
	cr_assert_eq(natproxy_on_pinhole_keep(r->np, &m, NULL), 0);
}

void door_hold(struct rig *r, uint32_t milliseconds)
{
	Nl__FlowHold m = NL__FLOW_HOLD__INIT;
	m.flow = number;
	m.milliseconds = milliseconds;
	cr_assert_eq(natproxy_on_flow_hold(r->np, &m, NULL), 0);
}

bool door_wish_for(
	struct rig *r, uint32_t token, uint32_t port, uint32_t pairs, uint32_t peer_ip_be)
{
	Nl__PinholeOpen m = NL__PINHOLE_OPEN__INIT;
	m.flow = number;
	m.token = token;
	m.kind = NL__PINHOLE_KIND__UDP_PAIR;
	m.guest_port = port;
	m.has_pairs = pairs != 0;
	m.pairs = pairs;
	m.has_peer_ip_be = m.has_latent = true;
	m.peer_ip_be = peer_ip_be;
	cr_assert_eq(natproxy_on_pinhole_open(r->np, &m, NULL), 0);
	return r->answer.granted;
}

/* A far end's socket at 127.0.0.`last`: 1 is the control connection's peer. */
int door_far_end(uint8_t last)
{
	const struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl((INADDR_LOOPBACK & 0xffffff00) + last)};
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

uint16_t door_port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t n = sizeof(at);
	getsockname(fd, (struct sockaddr *)&at, &n);
	return ntohs(at.sin_port);
}

void door_throw_at(int fd, uint32_t port, const char *text)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)port)};
	cr_assert_eq(sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&to, sizeof(to)),
		(ssize_t)strlen(text));
}

void door_guest_begins(struct rig *r, uint32_t flow, uint16_t port, uint32_t token)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = flow};
	d.pair = (struct ring_pair){.guest_ip_be = rig_guest_ip(),
		.guest_port = port,
		.kind = DGRAM_UDP,
		.token = token};
	rig_send(r, &d);
	rig_turn(r);
}

void door_guest_sends(struct rig *r, uint32_t flow, uint16_t port)
{
	struct ring_desc d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, flow, 0, "out", 3);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = port, .ttl = 63};
	rig_send(r, &d);
	rig_turn(r);
}

bool door_guest_hears(struct rig *r, uint32_t flow, const char *text)
{
	struct ring_desc d;
	if (!rig_await(r, RING_NATPROXY_DGRAM_DATA, &d))
		return false;
	const bool same = d.flow == flow && d.seg[0].len == strlen(text) &&
			  memcmp(rig_bytes(r, &d, 0), text, strlen(text)) == 0;
	rig_give_back(r, &d);
	return same;
}

struct flow *door_flow_of(struct rig *r, uint32_t id)
{
	return &r->np->flow[flow_index(id)];
}
