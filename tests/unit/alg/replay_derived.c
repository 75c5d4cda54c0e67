/* replay.c: the connections that a message tells of are played as what it said, and no others. */
#include "frames.h"
#include "h323_messages.h"
#include "replay.h"

static struct replay *r;
static uint8_t *kept[64]; /* the capture: segments may have to wait */
static unsigned int keeps;

static void segment(
	const struct ends *ends, uint32_t seq, const void *bytes, size_t n, uint8_t flags)
{
	struct frame f;
	struct replay_step step;
	struct packet p;
	frame_tcp(&f, ends, seq, 0, flags, bytes, n);
	cr_assert_lt(keeps, sizeof(kept) / sizeof(kept[0]));
	uint8_t *frame = kept[keeps++] = malloc(f.size);
	memcpy(frame, f.bytes, f.size);
	cr_assert(packet_parse(&p, FRAME_RAW, frame, f.size));
	replay_packet(r, &p);
	while (replay_next(r, &step))
		;
}

static struct ends turned(const struct ends *e)
{
	return (struct ends){e->dst, e->dst_port, e->src, e->src_port};
}

/* A connection begins, and its caller says this; what is answered. */
static void talk(const struct ends *up, struct octets said, struct octets answer)
{
	const struct ends down = turned(up);
	segment(up, 99, NULL, 0, PACKET_SYN);
	segment(&down, 499, NULL, 0, PACKET_SYN | PACKET_ACK);
	segment(up, 100, said.p, said.n, PACKET_ACK);
	segment(&down, 500, answer.p, answer.n, PACKET_ACK);
}

static void begin(void)
{
	struct replay_settings set = {
		.alg = ALGS_H323, .guest_ip_be = ip(GUEST_IP), .outside_ip_be = ip(OUTSIDE_IP)};
	maps_clear(&set.maps);
	set.ports = replay_ports(ALGS_H323, set.port);
	cr_assert_eq(set.ports, 3);
	r = calloc(1, sizeof(*r));
	replay_begin(r, &set);
}

static void end(void)
{
	while (keeps)
		free(kept[--keeps]);
	free(r);
}

TestSuite(replay_derived, .init = begin, .fini = end);

static const struct ends signalling = {GUEST_IP, 40000, PEER_IP, 1720};

Test(replay_derived, where_the_guest_is_to_connect)
{
	static const struct ends control = {GUEST_IP, 40001, PEER_IP, 5555},
				 other = {GUEST_IP, 40002, PEER_IP, 5556};
	const struct octets open = control_packet(open_channel(1, 1, at(GUEST_IP, 5001)));
	talk(&control, open, open);
	cr_expect_eq(r->totals.flows, 0, "nobody has told of it");
	talk(&signalling, plain_setup(1), connected(1 | ANSWER, at(PEER_IP, 5555), GUID));
	cr_expect_eq(r->totals.wishes, 1);
	talk(&other, open, open);
	cr_expect_eq(r->totals.flows, 1);
	talk(&control, open, open);
	cr_expect_eq(r->totals.flows, 2);
	cr_expect_eq(r->totals.violations, 0);
	cr_expect_eq(r->totals.wishes, 2, "its media");
}

Test(replay_derived, where_the_far_end_is_to_connect)
{
	static const struct ends control = {PEER_IP, 40001, GUEST_IP, 5555},
				 stranger = {OTHER_IP, 40001, GUEST_IP, 5555};
	const struct octets open = control_packet(open_channel(1, 1, at(GUEST_IP, 5001)));
	talk(&signalling,
		setup(1, at(GUEST_IP, 5555), at(PEER_IP, 1720), at(GUEST_IP, 12030), GUID),
		connected(1 | ANSWER, "", GUID));
	cr_expect_eq(r->totals.wishes, 1);
	talk(&stranger, open, open);
	cr_expect_eq(r->totals.flows, 1);
	talk(&control, open, open);
	cr_expect_eq(r->totals.flows, 2);
	cr_expect_eq(r->totals.violations, 0);
}
