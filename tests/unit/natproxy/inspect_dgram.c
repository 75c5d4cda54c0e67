/* UDP under inspection: the test is alg, honest and hostile. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns.h"
#include "inspection.h"
#include "rig.h"

enum {
	FLOW = 0x20003,
	GUEST_PORT = 45123,
	NUMBER = 1 << INSPECTION_SLOT_BITS | INSPECTION_STREAMS,
	BUDGET_MS = 1000,
};

struct scene {
	struct rig *r;
	int fd; /* the far end */
	uint16_t port;
};

/* What the rig's hub has for `alg`: tftp on this port. */
struct switched {
	Nl__Alg alg;
	Nl__AlgSwitch tftp;
	uint32_t port;
};

static const Nl__Alg *tftp_on(struct switched *s, uint16_t port, Nl__AlgSwitch__Mode mode)
{
	nl__alg__init(&s->alg);
	nl__alg_switch__init(&s->tftp);
	s->port = port;
	s->tftp.n_ports = 1;
	s->tftp.ports = &s->port;
	s->tftp.has_mode = true;
	s->tftp.mode = mode;
	s->alg.tftp = &s->tftp;
	return &s->alg;
}

static void open_endpoint(struct rig *r, uint32_t flow, uint16_t port)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = flow};
	d.pair = (struct ring_pair){
		.guest_ip_be = rig_guest_ip(), .guest_port = port, .kind = DGRAM_UDP};
	rig_send(r, &d);
}

static struct scene begin(Nl__AlgSwitch__Mode mode, bool strict)
{
	struct switched on;
	struct scene s;
	s.fd = rig_udp(&s.port);
	const struct rig_options o = {.alg = tftp_on(&on, s.port, mode)};
	on.tftp.has_strict = true;
	on.tftp.strict = strict;
	s.r = rig_new(&o);
	open_endpoint(s.r, FLOW, GUEST_PORT);
	return s;
}

static struct scene fixing(void)
{
	return begin(NL__ALG_SWITCH__MODE__fix, false);
}

/* A guest's datagrams, `each` long if they are several. */
static void guest_says(struct scene *s, const void *bytes, size_t n, uint16_t each)
{
	struct ring_desc d = rig_payload(s->r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, bytes, n);
	d.hlen = each;
	d.remote = (struct ring_remote){
		.ip_be = rig_loopback(), .port = s->port, .ttl = 33, .tos = 0x10};
	rig_send(s->r, &d);
	rig_turn(s->r);
}

static void far_says(struct scene *s, const void *bytes, size_t n)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(GUEST_PORT)};
	cr_assert_eq(
		sendto(s->fd, bytes, n, 0, (const struct sockaddr *)&to, sizeof(to)), (ssize_t)n);
	rig_turn(s->r);
	rig_turn(s->r);
}

/* The next datagram at the far end: its length, -1 none. */
static ssize_t arrived(const struct scene *s, char *out, size_t n)
{
	memset(out, 0, n);
	return recv(s->fd, out, n, MSG_DONTWAIT);
}

static int verdict(
	struct scene *s, Nl__Direction direction, uint64_t until, Nl__Edit **edits, size_t n)
{
	Nl__Verdict m = NL__VERDICT__INIT;
	m.flow = NUMBER;
	m.direction = direction;
	m.until = until;
	m.edits = edits;
	m.n_edits = n;
	const int error = natproxy_on_verdict(s->r->np, &m, NULL);
	rig_turn(s->r);
	return error;
}

static void edit(Nl__Edit *e, uint64_t at, uint32_t old_bytes, const char *text)
{
	nl__edit__init(e);
	e->at = at;
	e->old_bytes = old_bytes;
	e->bytes = (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

/* The next datagram to the guest. */
static size_t to_guest(struct scene *s, struct ring_desc *d, char *out)
{
	size_t n = 0;
	cr_assert(rig_await(s->r, RING_NATPROXY_DGRAM_DATA, d));
	for (unsigned int i = 0; i < d->nseg; i++) {
		memcpy(out + n, rig_bytes(s->r, d, i), d->seg[i].len);
		n += d->seg[i].len;
	}
	rig_give_back(s->r, d);
	return n;
}

static void give_up(struct scene *s, bool violation)
{
	Nl__GiveUp m = NL__GIVE_UP__INIT;
	m.flow = NUMBER;
	m.has_violation = true;
	m.violation = violation;
	cr_assert_eq(natproxy_on_give_up(s->r->np, &m, NULL), 0);
	rig_turn(s->r);
}

Test(inspect_dgram, alg_is_told_whose_session_it_is)
{
	struct scene s = fixing();
	guest_says(&s, "hello", 5, 0);
	cr_assert_eq(s.r->inspected, 1);
	cr_assert_eq(s.r->inspect.flow, NUMBER);
	cr_assert_str_eq(s.r->inspect_alg, "tftp");
	cr_assert_not(s.r->inspect.stream);
	cr_assert_not(s.r->inspect.guest_serves);
	cr_assert_eq(s.r->inspect.guest_ip_be, rig_guest_ip());
	cr_assert_eq(s.r->inspect.guest_port, GUEST_PORT);
	cr_assert_eq(s.r->inspect.outside_ip_be, rig_loopback(), "asked of the kernel");
	cr_assert_eq(s.r->inspect.outside_port, GUEST_PORT);
	cr_assert_eq(s.r->inspect.peer_port, s.port);
	cr_assert_eq(s.r->np->inspects, 1);
	rig_free(s.r);
}

Test(inspect_dgram, other_ports_are_not_looked_at)
{
	struct scene s = fixing();
	uint16_t other;
	const int fd = rig_udp(&other);
	char text[16];
	s.port = other;
	close(s.fd);
	s.fd = fd;
	guest_says(&s, "hello", 5, 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 5);
	cr_assert_eq(s.r->inspected, 0);
	cr_assert_eq(s.r->np->inspects, 0);
	rig_free(s.r);
}

Test(inspect_dgram, datagrams_are_held_and_leave_in_order_by_verdict)
{
	struct scene s = fixing();
	char text[16];
	guest_says(&s, "one", 3, 0);
	guest_says(&s, "three", 5, 0);
	cr_assert_eq(s.r->records[0], 2);
	cr_assert_eq(s.r->seen_bytes[0], 8);
	cr_assert_lt(arrived(&s, text, sizeof(text)), 0);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0), 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	cr_assert_str_eq(text, "one");
	cr_assert_lt(arrived(&s, text, sizeof(text)), 0);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 8, NULL, 0), 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 5);
	cr_assert_str_eq(text, "three");
	rig_quiet(s.r, 5);
	cr_assert_eq(s.r->broker.free_count[BUF_SMALL], ARENA_SMALL_COUNT, "buffers went back");
	rig_free(s.r);
}

Test(inspect_dgram, ttl_and_tos_are_kept)
{
	struct scene s = fixing();
	const int on = 1;
	char text[16], control[128];
	struct iovec piece = {text, sizeof(text)};
	struct msghdr m = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	setsockopt(s.fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
	setsockopt(s.fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
	guest_says(&s, "one", 3, 0);
	verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0);
	cr_assert_eq(recvmsg(s.fd, &m, MSG_DONTWAIT), 3);
	int ttl = 0, tos = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_type == IP_TTL)
			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
		if (c->cmsg_type == IP_TOS)
			tos = *CMSG_DATA(c);
	}
	cr_assert_eq(ttl, 33);
	cr_assert_eq(tos, 0x10);
	rig_free(s.r);
}

Test(inspect_dgram, a_run_is_shown_and_leaves_datagram_by_datagram)
{
	struct scene s = fixing();
	char text[16];
	guest_says(&s, "aaaabbbbcc", 10, 4);
	cr_assert_eq(s.r->records[0], 3);
	verdict(&s, NL__DIRECTION__GUEST, 10, NULL, 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 4);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 4);
	cr_assert_str_eq(text, "bbbb");
	cr_assert_eq(arrived(&s, text, sizeof(text)), 2);
	rig_free(s.r);
}

Test(inspect_dgram, a_run_from_outside_too)
{
	struct scene s = fixing();
	struct ring_desc d;
	char text[4096];
	const int each = 4;
	guest_says(&s, "x", 1, 0);
	cr_assert_eq(setsockopt(s.fd, SOL_UDP, UDP_SEGMENT, &each, sizeof(each)), 0);
	far_says(&s, "aaaabbbbcc", 10);
	cr_assert_eq(s.r->records[1], 3);
	cr_assert_eq(s.r->seen_bytes[1], 10);
	verdict(&s, NL__DIRECTION__OUTSIDE, 10, NULL, 0);
	cr_assert_eq(to_guest(&s, &d, text), 4);
	cr_assert_eq(to_guest(&s, &d, text), 4);
	cr_assert_eq(to_guest(&s, &d, text), 2);
	cr_assert_eq(d.remote.port, s.port);
	rig_free(s.r);
}

Test(inspect_dgram, edits_of_several_datagrams_change_each_its_own)
{
	struct scene s = fixing();
	Nl__Edit a, b, *list[2] = {&a, &b};
	char text[64];
	guest_says(&s, "one two", 7, 0);
	guest_says(&s, "three", 5, 0);
	edit(&a, 4, 3, "zweihundert");
	edit(&b, 7, 5, "");
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 12, list, 2), 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 15);
	cr_assert_str_eq(text, "one zweihundert");
	cr_assert_eq(arrived(&s, text, sizeof(text)), 0, "nothing was left of it");
	rig_free(s.r);
}

Test(inspect_dgram, what_is_added_at_an_end_belongs_to_the_former)
{
	struct scene s = fixing();
	Nl__Edit a, *list[1] = {&a};
	char text[64];
	guest_says(&s, "one", 3, 0);
	guest_says(&s, "two", 3, 0);
	edit(&a, 3, 0, "+");
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 6, list, 1), 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 4);
	cr_assert_str_eq(text, "one+");
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	rig_free(s.r);
}

Test(inspect_dgram, the_other_direction_with_its_edits)
{
	struct scene s = fixing();
	struct ring_desc d;
	char text[4096] = "";
	Nl__Edit a, *list[1] = {&a};
	guest_says(&s, "x", 1, 0);
	far_says(&s, "answer", 6);
	cr_assert_eq(s.r->seen_bytes[1], 6);
	edit(&a, 0, 1, "A longer a");
	cr_assert_eq(verdict(&s, NL__DIRECTION__OUTSIDE, 6, list, 1), 0);
	cr_assert_eq(to_guest(&s, &d, text), 15);
	cr_assert_str_eq(text, "A longer answer");
	cr_assert_eq(d.remote.port, s.port);
	cr_assert_neq(d.remote.ttl, 0);
	rig_free(s.r);
}

Test(inspect_dgram, a_long_one_comes_through_whole)
{
	struct scene s = fixing();
	struct ring_desc d;
	static char out[30000], in[65536];
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7);
	guest_says(&s, out, sizeof(out), 0);
	verdict(&s, NL__DIRECTION__GUEST, sizeof(out), NULL, 0);
	cr_assert_eq(arrived(&s, in, sizeof(in)), sizeof(out));
	cr_assert(memcmp(in, out, sizeof(out)) == 0);
	far_says(&s, out, sizeof(out));
	verdict(&s, NL__DIRECTION__OUTSIDE, sizeof(out), NULL, 0);
	cr_assert_eq(to_guest(&s, &d, in), sizeof(out));
	cr_assert(memcmp(in, out, sizeof(out)) == 0);
	rig_free(s.r);
}

Test(inspect_dgram, empty_ones_keep_their_place)
{
	struct scene s = fixing();
	char text[16];
	guest_says(&s, "", 0, 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 0, "there is nothing to be said about it");
	guest_says(&s, "one", 3, 0);
	guest_says(&s, "", 0, 0);
	guest_says(&s, "two", 3, 0);
	cr_assert_eq(s.r->records[0], 2);
	cr_assert_lt(arrived(&s, text, sizeof(text)), 0);
	verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 0);
	cr_assert_lt(arrived(&s, text, sizeof(text)), 0);
	verdict(&s, NL__DIRECTION__GUEST, 6, NULL, 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	rig_free(s.r);
}

Test(inspect_dgram, what_finds_no_room_ends_inspection_and_nothing_is_lost)
{
	struct scene s = fixing();
	char text[16];
	for (int i = 0; i < 9; i++)
		guest_says(&s, "0123456789", (size_t)i + 1, 0);
	for (int i = 0; i < 9; i++)
		cr_assert_eq(arrived(&s, text, sizeof(text)), i + 1);
	cr_assert_eq(s.r->ended, 1, "alg may forget it");
	cr_assert_eq(s.r->np->inspects, 0);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 1, NULL, 0), 0, "late words are ignored");
	guest_says(&s, "on", 2, 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 2);
	cr_assert_eq(s.r->inspected, 1, "never again");
	rig_free(s.r);
}

Test(inspect_dgram, no_more_than_64_kib_of_a_direction_wait)
{
	enum { EACH = 30000 };
	struct scene s = fixing();
	static char out[EACH], in[65536];
	for (int i = 0; i < 2; i++)
		guest_says(&s, out, EACH, 0);
	cr_assert_lt(arrived(&s, in, sizeof(in)), 0);
	guest_says(&s, out, EACH, 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(arrived(&s, in, sizeof(in)), EACH);
	cr_assert_eq(s.r->np->inspects, 0);
	rig_free(s.r);
}

/* A guest's word from one more endpoint, of which alg says nothing. */
static void held_from(struct scene *s, uint32_t n, const void *bytes, size_t count)
{
	struct ring_desc d;
	if (!flow_live(s->r->np, FLOW + 1 + n)) {
		open_endpoint(s->r, FLOW + 1 + n, (uint16_t)(20000 + n));
		s->r->seen_bytes[0] = 0;
	}
	d = rig_payload(s->r, RING_NETSTACK_DGRAM_DATA, FLOW + 1 + n, 0, bytes, count);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = s->port, .ttl = 9};
	rig_send(s->r, &d);
	rig_turn(s->r);
}

Test(inspect_dgram, whoever_fills_the_pool_leaves_room_for_small_ones)
{
	enum { MANY = 150, EACH = 30000 };
	struct scene s = fixing();
	static char out[EACH];
	for (uint32_t i = 0; i < 2 * MANY; i++)
		held_from(&s, i / 2, out, EACH);
	const struct inspect_pool *p = &s.r->np->inspect->pool;
	cr_assert_lt(s.r->np->inspects, MANY, "it was too much");
	cr_assert_geq(DGRAM_CHUNKS - p->fresh + p->free_count,
		(DGRAM_CHUNK_SHARE - 1) * EACH / DGRAM_CHUNK_BYTES);
	const uint32_t before = s.r->np->inspects;
	held_from(&s, MANY, "small", 5);
	cr_assert_eq(s.r->np->inspects, before + 1);
	natproxy_alg_lost(s.r->np);
	cr_assert_eq(DGRAM_CHUNKS - p->fresh + p->free_count, DGRAM_CHUNKS, "all came back");
	rig_free(s.r);
}

Test(inspect_dgram, longer_than_alg_could_take_goes_by)
{
	struct scene s = fixing();
	static char out[65507], in[65536];
	memset(out, 'x', sizeof(out));
	guest_says(&s, "one", 3, 0);
	guest_says(&s, out, sizeof(out), 0);
	cr_assert_eq(arrived(&s, in, sizeof(in)), 3);
	cr_assert_eq(arrived(&s, in, sizeof(in)), sizeof(out));
	cr_assert_eq(s.r->np->inspects, 0);
	rig_free(s.r);
}

Test(inspect_dgram, giving_up_lets_what_is_held_leave_in_order)
{
	struct scene s = fixing();
	struct ring_desc d;
	char text[4096];
	guest_says(&s, "one", 3, 0);
	guest_says(&s, "two", 3, 0);
	far_says(&s, "answer", 6);
	give_up(&s, true);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	cr_assert_str_eq(text, "one");
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	cr_assert_eq(to_guest(&s, &d, text), 6);
	cr_assert_eq(s.r->np->nat.session[1].alg, 0);
	rig_free(s.r);
}

Test(inspect_dgram, what_a_strict_alg_does_not_understand_ends)
{
	struct scene s = begin(NL__ALG_SWITCH__MODE__fix, true);
	struct ring_desc d;
	char text[16];
	guest_says(&s, "one", 3, 0);
	give_up(&s, true);
	cr_assert_lt(arrived(&s, text, sizeof(text)), 0);
	cr_assert(rig_await(s.r, RING_NATPROXY_DGRAM_CLOSED, &d));
	cr_assert_eq(s.r->np->nat.live, 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_STRICT], 1);
	cr_assert_eq(s.r->drops.count[DROP_ALG_ENDED], 1);
	cr_assert(rig_has_line(s.r, "not tftp, and alg.tftp.strict is true"));
	rig_free(s.r);
}

Test(inspect_dgram, what_a_strict_alg_cannot_take_is_dropped)
{
	struct scene s = begin(NL__ALG_SWITCH__MODE__fix, true);
	static char out[40000];
	char text[16];
	guest_says(&s, out, sizeof(out), 0);
	for (int i = 0; i < 9; i++)
		guest_says(&s, "0123456789", (size_t)i + 1, 0);
	cr_assert_lt(arrived(&s, text, sizeof(text)), 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_STRICT], 2);
	cr_assert_eq(s.r->np->inspects, 1);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 36, NULL, 0), 0);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(arrived(&s, text, sizeof(text)), i + 1);
	cr_assert_lt(arrived(&s, text, sizeof(text)), 0);
	rig_free(s.r);
}

Test(inspect_dgram, what_a_strict_alg_is_done_with_goes_on)
{
	struct scene s = begin(NL__ALG_SWITCH__MODE__fix, true);
	char text[16];
	guest_says(&s, "one", 3, 0);
	give_up(&s, false);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	rig_free(s.r);
}

Test(inspect_dgram, silence_lets_it_go_on)
{
	struct scene s = fixing();
	char text[16];
	guest_says(&s, "one", 3, 0);
	s.r->skew_ns += (BUDGET_MS + 1) * 1000000ULL;
	rig_turn(s.r);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	cr_assert_eq(s.r->drops.count[DROP_ALG_SILENT], 1);
	cr_assert_eq(s.r->np->inspects, 0);
	cr_assert_eq(s.r->np->inspect_due_ns, 0);
	rig_free(s.r);
}

Test(inspect_dgram, a_full_channel_is_tried_again)
{
	struct scene s = fixing();
	char text[16];
	guest_says(&s, "one", 3, 0);
	verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	s.r->alg_error = -EAGAIN;
	guest_says(&s, "two", 3, 0);
	cr_assert_eq(s.r->records[0], 1);
	cr_assert_lt(arrived(&s, text, sizeof(text)), 0, "held");
	cr_assert_leq(natproxy_deadline(s.r->np), s.r->np->now_ns + 1000000);
	s.r->alg_error = 0;
	rig_turn(s.r);
	cr_assert_eq(s.r->records[0], 2);
	verdict(&s, NL__DIRECTION__GUEST, 6, NULL, 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	cr_assert_gt(natproxy_deadline(s.r->np), s.r->np->now_ns + 1000000);
	rig_free(s.r);
}

Test(inspect_dgram, a_dead_channel_lets_everything_go_on)
{
	struct scene s = fixing();
	char text[16];
	guest_says(&s, "one", 3, 0);
	s.r->alg_error = -EPIPE;
	guest_says(&s, "two", 3, 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	cr_assert_eq(s.r->np->inspects, 0);
	rig_free(s.r);
}

Test(inspect_dgram, an_alg_that_observes_holds_and_changes_nothing)
{
	struct scene s = begin(NL__ALG_SWITCH__MODE__observe, true);
	Nl__Edit a, *list[1] = {&a};
	char text[16];
	guest_says(&s, "one two", 7, 0);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 7);
	cr_assert_eq(s.r->seen_bytes[0], 7);
	edit(&a, 4, 3, "2");
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 7, list, 1), 0);
	cr_assert_lt(arrived(&s, text, sizeof(text)), 0);
	cr_assert(rig_has_line(s.r,
		"SecureNAT: The ALG tftp would have changed the UDP session 1 at 1 places in what "
		"the guest sent: at 4: 3 bytes by 1."));
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 8, NULL, 0), -EPROTO);
	give_up(&s, true);
	cr_assert_eq(s.r->np->nat.live, 1, "strict or not");
	rig_free(s.r);
}

Test(inspect_dgram, where_it_only_observes_each_of_a_batch_is_seen)
{
	struct scene s = begin(NL__ALG_SWITCH__MODE__observe, false);
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(GUEST_PORT)};
	struct ring_desc d;
	char text[4096];
	guest_says(&s, "x", 1, 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(sendto(s.fd, "same", 4, 0, (const struct sockaddr *)&to, sizeof(to)),
			4);
	rig_turn(s.r);
	rig_turn(s.r);
	cr_assert_eq(s.r->records[1], 3);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(to_guest(&s, &d, text), 4);
	rig_free(s.r);
}

Test(inspect_dgram, where_it_only_observes_a_verdict_after_a_grant_is_one_too)
{
	struct scene s = begin(NL__ALG_SWITCH__MODE__observe, false);
	guest_says(&s, "one", 3, 0);
	inspect_answered(s.r->np, NUMBER);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0), 0);
	s.r->skew_ns += 2 * BUDGET_MS * 1000000ULL;
	rig_turn(s.r);
	cr_assert_eq(s.r->np->inspects, 1);
	rig_free(s.r);
}

Test(inspect_dgram, where_it_only_observes_a_full_channel_is_no_silence)
{
	struct scene s = begin(NL__ALG_SWITCH__MODE__observe, false);
	char text[16];
	guest_says(&s, "one", 3, 0);
	verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0);
	s.r->alg_error = -EAGAIN;
	guest_says(&s, "missed", 6, 0);
	s.r->alg_error = 0;
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 6);
	s.r->skew_ns += 2 * BUDGET_MS * 1000000ULL;
	rig_turn(s.r);
	cr_assert_eq(s.r->np->inspects, 1);
	guest_says(&s, "two", 3, 0);
	cr_assert_eq(s.r->seen_bytes[0], 6);
	rig_free(s.r);
}

Test(inspect_dgram, a_session_that_ends_is_told_and_leaves_nothing)
{
	struct scene s = fixing();
	guest_says(&s, "one", 3, 0);
	rig_op(s.r, RING_NETSTACK_FLOW_FREE, FLOW);
	rig_turn(s.r);
	cr_assert_eq(s.r->ended, 1);
	cr_assert_eq(s.r->np->inspects, 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_ENDED], 1);
	rig_free(s.r);
}

Test(inspect_dgram, switching_the_alg_off_gives_its_sessions_up)
{
	struct scene s = fixing();
	struct switched on;
	const struct rig_options o = {.alg = tftp_on(&on, s.port, NL__ALG_SWITCH__MODE__fix)};
	char text[16];
	guest_says(&s, "one", 3, 0);
	rig_configure(s.r, &o);
	cr_assert_eq(s.r->np->inspects, 1, "nothing changed");
	on.tftp.has_enable = true;
	on.tftp.enable = false;
	rig_configure(s.r, &o);
	rig_turn(s.r);
	cr_assert_eq(s.r->np->inspects, 0);
	cr_assert_eq(s.r->ended, 1);
	cr_assert_eq(arrived(&s, text, sizeof(text)), 3);
	rig_free(s.r);
}

/* Of an ALG that stays on: whether sessions that are there go on under inspection. */
static void changed(void (*change)(struct switched *on), bool go_on)
{
	struct scene s = fixing();
	struct switched on;
	const struct rig_options o = {.alg = tftp_on(&on, s.port, NL__ALG_SWITCH__MODE__fix)};
	char text[16];
	guest_says(&s, "one", 3, 0);
	on.tftp.has_strict = true;
	on.tftp.strict = true;
	rig_configure(s.r, &o);
	cr_assert_eq(s.r->np->inspects, 1);
	cr_assert(s.r->np->inspect->slot[INSPECTION_STREAMS].strict, "from now on");
	change(&on);
	rig_configure(s.r, &o);
	rig_turn(s.r);
	cr_assert_eq(s.r->np->inspects, go_on);
	cr_assert_eq(s.r->ended, !go_on);
	cr_assert_eq(arrived(&s, text, sizeof(text)), go_on ? -1 : 3);
	rig_free(s.r);
}

static void only_observe(struct switched *on)
{
	on->tftp.mode = NL__ALG_SWITCH__MODE__observe;
}

static void other_port(struct switched *on)
{
	on->port ^= 1;
}

static void off_for_all_of_a_list(struct switched *on)
{
	static Nl__AlgList list = NL__ALG_LIST__INIT, *lists[] = {&list};
	list.has_mode = true;
	list.mode = NL__ALG_SWITCH__MODE__off;
	on->tftp.n_lists = 1;
	on->tftp.lists = lists;
}

static void observe_all_but_a_list(struct switched *on)
{
	off_for_all_of_a_list(on);
	on->tftp.lists[0]->mode = NL__ALG_SWITCH__MODE__fix;
	only_observe(on);
}

Test(inspect_dgram, only_to_observe_holds_for_sessions_that_are_there)
{
	changed(only_observe, false);
}

Test(inspect_dgram, other_ports_do_not)
{
	changed(other_port, true);
}

Test(inspect_dgram, and_lists_do_not)
{
	changed(off_for_all_of_a_list, true);
	changed(observe_all_but_a_list, true);
}

/* The guest's session number i from a port of its own, judged at once: its reference. */
static uint32_t open_judged(struct scene *s, uint32_t i)
{
	open_endpoint(s->r, FLOW + 1 + i, (uint16_t)(20000 + i));
	struct ring_desc d = rig_payload(s->r, RING_NETSTACK_DGRAM_DATA, FLOW + 1 + i, 0, "x", 1);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = s->port, .ttl = 9};
	rig_send(s->r, &d);
	s->r->seen_bytes[0] = 0;
	rig_turn(s->r);
	Nl__Verdict m = NL__VERDICT__INIT;
	m.flow = s->r->inspect.flow;
	m.until = 1;
	cr_assert_eq(natproxy_on_verdict(s->r->np, &m, NULL), 0);
	return s->r->np->nat.fresh;
}

Test(inspect_dgram, whoever_opens_many_leaves_room_for_others)
{
	struct scene s = fixing();
	enum { MANY = 800, SHARE = 384 };
	for (uint32_t i = 0; i < MANY; i++)
		open_judged(&s, i);
	cr_assert_eq(s.r->np->inspects, SHARE);
	cr_assert_eq(s.r->inspected, MANY, "the oldest give way");
	cr_assert_eq(s.r->ended, MANY - SHARE);
	rig_free(s.r);
}

Test(inspect_dgram, who_is_held_gives_way_when_all_are)
{
	struct scene s = fixing();
	enum { HELD = 10, MANY = 800, SHARE = 384 };
	struct nat *nat = &s.r->np->nat;
	uint32_t held[HELD];
	for (uint32_t i = 0; i < MANY; i++) {
		const uint32_t ref = open_judged(&s, i);
		if (i < HELD)
			held[i] = ref;
		if (i < HELD)
			nat_hold(nat, ref, UINT64_MAX);
	}
	cr_assert_eq(s.r->np->inspects, SHARE);
	for (uint32_t i = 0; i < HELD; i++)
		cr_assert(nat->session[held[i]].inspect, "%u", i);
	for (uint32_t ref = 1; ref <= nat->fresh; ref++)
		nat_hold(nat, ref, UINT64_MAX);
	open_judged(&s, MANY);
	cr_assert_not(nat->session[held[0]].inspect, "the oldest of all");
	cr_assert(nat->session[held[1]].inspect);
	rig_free(s.r);
}

Test(inspect_dgram, strangers_whom_an_open_filter_lets_in_are_not_looked_at)
{
	struct switched on;
	struct scene s;
	struct ring_desc d;
	char text[4096];
	s.fd = rig_udp(&s.port);
	s.r = rig_new(&(struct rig_options){
		.independent = true, .alg = tftp_on(&on, GUEST_PORT, NL__ALG_SWITCH__MODE__fix)});
	open_endpoint(s.r, FLOW, GUEST_PORT);
	guest_says(&s, "x", 1, 0);
	close(s.fd);
	s.fd = rig_udp(&s.port);
	far_says(&s, "stranger", 8);
	cr_assert_eq(to_guest(&s, &d, text), 8);
	cr_assert_eq(s.r->np->nat.live, 2);
	cr_assert_eq(s.r->inspected, 0);
	rig_free(s.r);
}

/* Somebody outside comes to a published port that leads to the guest's port `to`. */
static struct scene come_in(uint16_t listen_port, uint16_t to, uint16_t alg_port)
{
	struct switched on;
	struct scene s;
	Nl__Publish p = NL__PUBLISH__INIT;
	Nl__Endpoint at = NL__ENDPOINT__INIT, inside = NL__ENDPOINT__INIT;
	const struct sockaddr_in there = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(listen_port)};
	struct ring_desc d;
	p.proto = NL__PUBLISH__PROTO__udp;
	p.listen = &at;
	p.to = &inside;
	at.ip_be = rig_loopback();
	at.port = listen_port;
	inside.ip_be = rig_guest_ip();
	inside.port = to;
	s.fd = rig_udp(&s.port);
	s.r = rig_new(&(struct rig_options){
		.publish = &p, .alg = tftp_on(&on, alg_port, NL__ALG_SWITCH__MODE__fix)});
	cr_assert_eq(
		sendto(s.fd, "hello", 5, 0, (const struct sockaddr *)&there, sizeof(there)), 5);
	cr_assert(rig_await(s.r, RING_NATPROXY_DGRAM_INCOMING, &d));
	open_endpoint(s.r, FLOW, to);
	rig_turn(s.r);
	rig_turn(s.r);
	return s;
}

Test(inspect_dgram, a_guest_that_serves_by_its_own_port)
{
	struct scene s = come_in(18069, 69, 69);
	struct ring_desc d;
	char text[4096] = "";
	cr_assert_eq(s.r->inspected, 1);
	cr_assert(s.r->inspect.guest_serves);
	cr_assert_eq(s.r->inspect.guest_port, 69);
	cr_assert_eq(s.r->inspect.outside_port, 18069);
	cr_assert_eq(s.r->inspect.peer_port, s.port);
	cr_assert_eq(s.r->seen_bytes[1], 5);
	cr_assert_eq(verdict(&s, NL__DIRECTION__OUTSIDE, 5, NULL, 0), 0);
	cr_assert_eq(to_guest(&s, &d, text), 5);
	rig_free(s.r);
}

Test(inspect_dgram, a_guest_that_serves_by_the_port_that_is_open_outside)
{
	struct scene s = come_in(18069, 7000, 18069);
	cr_assert_eq(s.r->inspected, 1);
	cr_assert(s.r->inspect.guest_serves);
	rig_free(s.r);
}

Test(inspect_dgram, a_guest_that_serves_something_else)
{
	struct scene s = come_in(18069, 7000, 69);
	struct ring_desc d;
	char text[4096];
	cr_assert_eq(to_guest(&s, &d, text), 5);
	cr_assert_eq(s.r->inspected, 0);
	rig_free(s.r);
}

/* The DNS redirect. */

static const uint8_t question[] = {
	0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 2, 'b', 'c', 0, 0, 1, 0, 1};

static void ask(struct rig *r)
{
	struct ring_desc d =
		rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, question, sizeof(question));
	d.remote = (struct ring_remote){.ip_be = inet_addr("192.168.30.1"), .port = 53, .ttl = 63};
	rig_send(r, &d);
	rig_turn(r);
}

static struct rig *redirecting(bool with_static)
{
	static uint32_t port = 53;
	Nl__Alg alg = NL__ALG__INIT;
	Nl__AlgSwitch dns = NL__ALG_SWITCH__INIT;
	Nl__Nat nat = NL__NAT__INIT;
	Nl__Static one = NL__STATIC__INIT, *all[1] = {&one};
	Nl__Ip4 inside = NL__IP4__INIT, outside = NL__IP4__INIT;
	inside.be = inet_addr("192.168.30.99");
	outside.be = inet_addr("198.51.100.9");
	one.inside = &inside;
	one.outside = &outside;
	nat.n_static_ = with_static;
	nat.static_ = all;
	dns.n_ports = 1;
	dns.ports = &port;
	alg.dns = &dns;
	return rig_new(&(struct rig_options){.nat = &nat, .alg = &alg});
}

Test(inspect_dgram, redirected_questions_and_their_answers_are_shown)
{
	struct rig *r = redirecting(true);
	struct scene s = {.r = r};
	struct ring_desc d;
	char text[4096];
	open_endpoint(r, FLOW, GUEST_PORT);
	ask(r);
	cr_assert_str_eq(r->inspect_alg, "dns");
	cr_assert_eq(r->inspect.outside_port, 0, "it has no outside");
	cr_assert_eq(r->seen_bytes[0], sizeof(question));
	cr_assert_eq(r->seen_bytes[1], 0, "nobody was asked yet");
	/* there is no resolver: the answer is natproxy's own */
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, sizeof(question), NULL, 0), 0);
	cr_assert_eq(r->seen_bytes[1], sizeof(question));
	cr_assert_eq(verdict(&s, NL__DIRECTION__OUTSIDE, sizeof(question), NULL, 0), 0);
	cr_assert_eq(to_guest(&s, &d, text), sizeof(question));
	cr_assert_eq(text[3] & 15, 2, "SERVFAIL");
	cr_assert_eq(d.remote.ip_be, inet_addr("192.168.30.1"));
	cr_assert_eq(d.remote.port, 53);
	rig_free(r);
}

Test(inspect_dgram, dns_is_not_looked_at_where_no_address_is_mapped)
{
	struct rig *r = redirecting(false);
	open_endpoint(r, FLOW, GUEST_PORT);
	ask(r);
	cr_assert_eq(r->inspected, 0);
	rig_free(r);
}

/* What a captured alg tries. */

Test(inspect_dgram_hostile, verdicts_that_end_inside_a_datagram_are_lies)
{
	struct scene s = fixing();
	guest_says(&s, "one", 3, 0);
	guest_says(&s, "two", 3, 0);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 2, NULL, 0), -EPROTO);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 5, NULL, 0), -EPROTO);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 7, NULL, 0), -EPROTO);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, UINT64_MAX, NULL, 0), -EPROTO);
	cr_assert_eq(verdict(&s, NL__DIRECTION__OUTSIDE, 1, NULL, 0), -EPROTO);
	cr_assert_eq(verdict(&s, (Nl__Direction)7, 0, NULL, 0), -EPROTO);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0), 0);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 0, NULL, 0), -EPROTO, "backwards");
	rig_free(s.r);
}

Test(inspect_dgram_hostile, edits_across_an_end_or_outside_are_lies)
{
	struct scene s = fixing();
	Nl__Edit a, b, *list[2] = {&a, &b};
	char text[16];
	guest_says(&s, "one", 3, 0);
	guest_says(&s, "two", 3, 0);
	edit(&a, 2, 2, "x");
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 6, list, 1), -EPROTO);
	edit(&a, 6, 0, "x");
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 3, list, 1), -EPROTO);
	edit(&a, UINT64_MAX, 2, "x");
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 6, list, 1), -EPROTO);
	edit(&a, 4, 1, "x");
	edit(&b, 3, 1, "x");
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 6, list, 2), -EPROTO, "not ascending");
	edit(&a, 0, 0, "x");
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, 0, list, 1), -EPROTO, "of nothing");
	cr_assert_lt(arrived(&s, text, sizeof(text)), 0);
	rig_free(s.r);
}

Test(inspect_dgram_hostile, what_one_datagram_loses_the_next_may_not_gain)
{
	struct scene s = fixing();
	static char first[20000], much[16385];
	Nl__Edit a, b, c, *list[3] = {&a, &b, &c};
	memset(first, 'x', sizeof(first));
	memset(much, 'y', sizeof(much) - 1);
	guest_says(&s, first, sizeof(first), 0);
	guest_says(&s, "two", 3, 0);
	edit(&a, 0, sizeof(first), "");
	edit(&b, sizeof(first) + 1, 0, much);
	edit(&c, sizeof(first) + 2, 0, much);
	cr_assert_eq(verdict(&s, NL__DIRECTION__GUEST, sizeof(first) + 3, list, 3), -EPROTO);
	rig_free(s.r);
}
