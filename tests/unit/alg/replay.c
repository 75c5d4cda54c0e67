/* replay.c: an FTP session as a capture has it: in pieces, out of order, repeated, with gaps. */
#include "frames.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "replay.h"

/* What is said before each test: a server lets its user in, or nothing is believed of them. */
static const char user[] = "USER me\r\n", welcome[] = "220 hello\r\n230 come in\r\n";
enum { USER = sizeof(user) - 1, WELCOME = sizeof(welcome) - 1 };

static const struct ends up = {"10.0.0.2", 40000, "192.0.2.1", 21},
			 down = {"192.0.2.1", 21, "10.0.0.2", 40000};

/* Everything that left, and what was told. */
struct played {
	struct replay *r;
	uint32_t first[2];  /* number of the first byte, by alg_direction */
	char text[2][8192]; /* the far ends' streams, put together by number, by alg_direction */
	uint32_t bytes[2], packets, edits, wishes, arms, give_ups;
	bool out_of_step; /* a packet did not begin where the last one ended */
	uint32_t last_ack[2];
	uint8_t flags[2];
	char why[64];
	unsigned int kept;
	uint8_t *keep[512]; /* the capture: segments may have to wait */
};

static struct played *open_at(uint32_t guest, uint32_t peer)
{
	struct played *p = calloc(1, sizeof(*p));
	struct replay_settings set = {.alg = ALGS_FTP,
		.guest_ip_be = inet_addr("10.0.0.2"),
		.outside_ip_be = inet_addr("203.0.113.7"),
		.outside_port = 40000,
		.port = {21},
		.ports = 1};
	maps_clear(&set.maps);
	p->r = calloc(1, sizeof(*p->r));
	replay_begin(p->r, &set);
	p->first[ALG_GUEST] = guest;
	p->first[ALG_OUTSIDE] = peer;
	return p;
}

static struct played *open(void)
{
	return open_at(1000, 5000);
}

static void close(struct played *p)
{
	while (p->kept)
		free(p->keep[--p->kept]);
	free(p->r);
	free(p);
}

static void note_step(struct played *p, const struct replay_step *step)
{
	p->edits += step->out->edit_count;
	p->wishes += step->out->wish_count;
	for (unsigned int i = 0; i < step->out->act_count; i++)
		p->arms += step->out->act[i].what == ALG_ARM;
	p->give_ups += step->out->give_up;
	if (step->out->give_up)
		snprintf(p->why, sizeof(p->why), "%s", step->out->why);
	for (unsigned int i = 0; i < step->out->edit_count; i++)
		cr_expect_geq(step->out->edit[i].at, step->raw_at);
}

/* A packet that left: its bytes go where its number says. */
static void note_packet(struct played *p, const uint8_t *frame, size_t size)
{
	struct packet q;
	cr_assert(packet_parse(&q, FRAME_RAW, frame, size));
	cr_expect(frame_sums_fit(frame, &q));
	const int from = q.src_ip_be == inet_addr("10.0.0.2") ? ALG_GUEST : ALG_OUTSIDE;
	const uint32_t at = q.seq - p->first[from];
	p->packets++;
	p->last_ack[from] = q.ack;
	p->flags[from] |= q.flags;
	if (q.flags & PACKET_SYN)
		return;
	p->out_of_step |= at != p->bytes[from];
	cr_assert_lt(at + q.bytes, sizeof(p->text[0]));
	memcpy(p->text[from] + at, q.payload, q.bytes);
	if (at + q.bytes > p->bytes[from])
		p->bytes[from] = at + q.bytes;
}

static void play(struct played *p, const struct frame *f)
{
	static uint8_t out[PACKET_PAYLOAD_MAX + 200];
	struct replay_step step;
	struct packet q;
	size_t bytes;
	uint8_t *frame = malloc(f->size);
	cr_assert_lt(p->kept, sizeof(p->keep) / sizeof(p->keep[0]));
	p->keep[p->kept++] = memcpy(frame, f->bytes, f->size);
	cr_assert(packet_parse(&q, FRAME_RAW, frame, f->size));
	cr_assert(replay_packet(p->r, &q));
	while (replay_next(p->r, &step))
		note_step(p, &step);
	while ((bytes = replay_write(p->r, &q, frame, out)) > 0)
		note_packet(p, out, bytes);
}

static void segment(
	struct played *p, bool from_guest, uint32_t at, const void *text, size_t n, uint8_t flags)
{
	struct frame f;
	frame_tcp(&f, from_guest ? &up : &down, p->first[!from_guest] + at, p->first[from_guest],
		flags, text, n);
	play(p, &f);
}

/* `at` counts from behind the login. */
static void say(
	struct played *p, bool from_guest, uint32_t at, const char *text, size_t n, uint8_t flags)
{
	segment(p, from_guest, at + (from_guest ? USER : WELCOME), text, n, PACKET_ACK | flags);
}

static void shake(struct played *p)
{
	segment(p, true, UINT32_MAX, NULL, 0, PACKET_SYN);
	segment(p, false, UINT32_MAX, NULL, 0, PACKET_SYN | PACKET_ACK);
	segment(p, true, 0, user, USER, PACKET_ACK);
	segment(p, false, 0, welcome, WELCOME, PACKET_ACK);
}

static const char commands[] = "PORT 10,0,0,2,200,0\r\nRETR x\r\n",
		  changed[] = "PORT 203,0,113,7,156,64\r\nRETR x\r\n";

static void expect_changed(struct played *p)
{
	cr_expect_str_eq(p->text[ALG_GUEST] + USER, changed);
	cr_expect(p->edits == 1 && p->wishes == 1 && !p->give_ups && !p->out_of_step);
}

Test(replay, a_session_is_edited_and_numbered_anew)
{
	struct played *p = open();
	shake(p);
	say(p, true, 0, commands, strlen(commands), 0);
	say(p, false, 0, "200 fine\r\n", 10, 0);
	expect_changed(p);
	cr_expect_str_eq(p->text[ALG_OUTSIDE] + WELCOME, "200 fine\r\n");
	cr_expect_eq(p->last_ack[ALG_OUTSIDE], p->first[0] + USER + strlen(changed));
	cr_expect_eq(p->last_ack[ALG_GUEST], p->first[1] + WELCOME);
	cr_expect_eq(p->arms, 1);
	cr_expect(p->r->totals.flows == 1 && p->r->totals.edits == 1 && p->r->totals.wishes == 1);
	say(p, true, (uint32_t)strlen(commands), NULL, 0, PACKET_FIN);
	say(p, false, 10, NULL, 0, PACKET_FIN);
	cr_expect(p->flags[0] & PACKET_FIN && p->flags[1] & PACKET_FIN);
	cr_expect_eq(p->last_ack[ALG_OUTSIDE], p->first[0] + USER + strlen(changed) + 1);
	close(p);
}

Test(replay, however_it_was_cut)
{
	const uint32_t n = (uint32_t)strlen(commands);
	for (uint32_t piece = 1; piece < n; piece++) {
		struct played *p = open();
		shake(p);
		for (uint32_t at = 0; at < n; at += piece)
			say(p, true, at, commands + at, n - at < piece ? n - at : piece, 0);
		expect_changed(p);
		close(p);
	}
}

/* Each piece once, or some of them again. */
Test(replay, out_of_order_and_more_than_once)
{
	const uint32_t n = (uint32_t)strlen(commands), piece = (n + 5) / 6;
	static const char *const orders[] = {
		"543210", "204153", "135024", "1003254", "335024411", "501234012345"};
	for (int o = 0; o < 6; o++) {
		struct played *p = open();
		shake(p);
		for (const char *c = orders[o]; *c; c++) {
			const uint32_t at = (uint32_t)(*c - '0') * piece;
			say(p, true, at, commands + at, n - at < piece ? n - at : piece, 0);
		}
		cr_expect_eq(replay_waiting(p->r), 0, "%s", orders[o]);
		expect_changed(p);
		say(p, true, 3, commands + 3, n - 3, 0); /* all of it again, as one */
		expect_changed(p);
		close(p);
	}
}

Test(replay, numbers_may_wrap)
{
	for (uint32_t before = 0; before < 40; before++) {
		struct played *p = open_at(-before, -before);
		shake(p);
		for (uint32_t at = 0; at < strlen(commands); at += 5) {
			const size_t left = strlen(commands) - at;
			say(p, true, at, commands + at, left < 5 ? left : 5, 0);
		}
		expect_changed(p);
		close(p);
	}
}

/* What a capture lacks ends the inspection; the rest goes as it came, by numbers that fit. */
Test(replay, bytes_that_are_missing)
{
	struct played *p = open();
	const uint32_t n = (uint32_t)strlen(commands);
	shake(p);
	say(p, true, 0, commands, n, 0);
	expect_changed(p);
	say(p, false, 0, "200 ok\r\n226 ha", 14, 0);
	const char line[] = "NOOP\r\n";
	for (uint32_t i = 0; i <= REPLAY_WAITING; i++)
		say(p, true, n + 100 + 6 * i, line, 6, 0);
	cr_expect(p->give_ups == 1 && !strcmp(p->why, "bytes are missing in the capture"));
	cr_expect_eq(replay_waiting(p->r), 0);
	const uint32_t grown = (uint32_t)(strlen(changed) - strlen(commands));
	say(p, true, n + 1000, "PORT 10,0,0,2,200,0\r\n", 21, 0);
	cr_expect_eq(
		memcmp(p->text[0] + USER + n + 1000 + grown, "PORT 10,0,0,2,200,0\r\n", 21), 0);
	say(p, false, 14, "lf\r\n", 4, 0);
	cr_expect_str_eq(p->text[ALG_OUTSIDE] + WELCOME, "200 ok\r\n226 half\r\n",
		"what the other direction held leaves with its next packet");
	cr_expect_eq(p->edits, 1);
	close(p);
}

Test(replay, a_segment_that_was_cut_off_is_missing_bytes)
{
	struct played *p = open();
	struct frame f;
	shake(p);
	frame_tcp(&f, &up, p->first[0] + USER, 1, PACKET_ACK, commands, strlen(commands));
	f.size -= 3;
	play(p, &f);
	cr_expect(p->give_ups == 1 && p->edits == 0);
	close(p);
}

Test(replay, a_violation_and_the_rest_is_raw)
{
	struct played *p = open();
	const char rest[] = "PORT 10,0,0,2,200,0\r\n";
	shake(p);
	say(p, true, 0, "GET / HTTP", 10, 0);
	say(p, true, 10, "/1.1\r\n\r\n", 8, 0);
	cr_expect_eq(p->give_ups, 1);
	say(p, true, 18, rest, 21, 0);
	cr_expect_str_eq(p->text[0] + USER, "GET / HTTP/1.1\r\n\r\nPORT 10,0,0,2,200,0\r\n");
	cr_expect(!p->edits && !p->out_of_step && p->r->totals.violations == 1);
	close(p);
}

/* The same ports again are another connection, parsed from its first byte. */
Test(replay, one_connection_after_the_other)
{
	struct played *p = open();
	shake(p);
	say(p, true, 0, "\x01\x02\r\n", 4, 0);
	cr_expect_eq(p->r->totals.violations, 1);
	memset(p->text, 0, sizeof(p->text));
	p->bytes[0] = p->bytes[1] = 0;
	p->give_ups = 0;
	p->first[ALG_GUEST] += 70000;
	p->first[ALG_OUTSIDE] -= 70000;
	shake(p);
	say(p, true, 0, commands, strlen(commands), 0);
	expect_changed(p);
	cr_expect_eq(p->r->totals.flows, 2);
	close(p);
}

Test(replay, servers_inside_and_recordings_on_loopback)
{
	static const struct {
		struct ends first;
		const char *guest;
		bool serves;
	} cases[] = {
		{{"192.0.2.1", 5555, "10.0.0.2", 21}, "10.0.0.2", true},
		{{"10.0.0.2", 5555, "192.0.2.1", 21}, "10.0.0.2", false},
		{{"127.0.0.1", 5555, "127.0.0.1", 21}, "127.0.0.1", false},
	};
	for (int i = 0; i < 3; i++) {
		struct played *p = open();
		struct frame f;
		struct packet q;
		uint32_t guess;
		p->r->set.guest_ip_be = inet_addr(cases[i].guest);
		frame_tcp(&f, &cases[i].first, 1, 0, PACKET_SYN, NULL, 0);
		cr_assert(packet_parse(&q, FRAME_RAW, f.bytes, f.size));
		cr_assert(replay_guess(&p->r->set, &q, &guess));
		cr_expect_eq(guess, inet_addr(cases[i].first.src), "the client");
		cr_assert(replay_packet(p->r, &q));
		cr_expect_eq(p->r->flow->stream.view.guest_serves, cases[i].serves);
		cr_expect_eq(p->r->from, cases[i].serves ? ALG_OUTSIDE : ALG_GUEST);
		close(p);
	}
}

Test(replay, what_is_no_flow_of_it)
{
	static const struct ends others[] = {{"10.0.0.2", 5555, "192.0.2.1", 22},
		{"10.0.0.3", 5555, "192.0.2.1", 21}, {"10.0.0.2", 20, "192.0.2.1", 5555}};
	struct played *p = open();
	struct frame f;
	struct packet q;
	for (int i = 0; i < 3; i++) {
		frame_tcp(&f, &others[i], 1, 0, PACKET_SYN, NULL, 0);
		cr_assert(packet_parse(&q, FRAME_RAW, f.bytes, f.size));
		cr_expect_not(replay_packet(p->r, &q));
	}
	frame_udp(&f, &up, "PORT 10,0,0,2,200,0\r\n", 21);
	cr_assert(packet_parse(&q, FRAME_RAW, f.bytes, f.size));
	cr_expect_not(replay_packet(p->r, &q), "FTP is spoken over TCP");
	close(p);
}

/* One flow more than there is room for ends the one that was silent longest. */
Test(replay, flows_are_bounded)
{
	struct played *p = open();
	struct frame f;
	struct packet q;
	struct ends e = up;
	for (uint16_t i = 0; i < REPLAY_FLOWS + 10; i++) {
		e.src_port = (uint16_t)(20000 + i);
		frame_tcp(&f, &e, 1, 0, PACKET_SYN, NULL, 0);
		cr_assert(packet_parse(&q, FRAME_RAW, f.bytes, f.size));
		cr_assert(replay_packet(p->r, &q));
	}
	cr_expect_eq(p->r->totals.flows, REPLAY_FLOWS + 10);
	e.src_port = 20000;
	frame_tcp(&f, &e, 2, 1, PACKET_ACK, "USER x\r\n", 8);
	cr_assert(packet_parse(&q, FRAME_RAW, f.bytes, f.size) && replay_packet(p->r, &q));
	cr_expect_eq(p->r->totals.flows, REPLAY_FLOWS + 11, "it was forgotten");
	close(p);
}

Test(replay, a_guest_with_an_outside_address_of_its_own)
{
	struct played *p = open();
	maps_add(&p->r->set.maps, inet_addr("10.0.0.2"), inet_addr("203.0.113.99"), 0);
	shake(p);
	say(p, true, 0, commands, strlen(commands), 0);
	cr_expect_not_null(strstr(p->text[0] + USER, "PORT 203,0,113,99,156,64\r\n"));
	close(p);
}

/* Datagrams: of TFTP and DNS. */

static struct replay *open_udp(enum algs_id alg)
{
	struct replay_settings set = {.alg = alg,
		.guest_ip_be = inet_addr("10.0.0.2"),
		.outside_ip_be = inet_addr("203.0.113.7"),
		.outside_port = 40000};
	struct replay *r = calloc(1, sizeof(*r));
	set.ports = replay_ports(alg, set.port);
	maps_clear(&set.maps);
	maps_add(&set.maps, inet_addr("10.0.0.9"), inet_addr("203.0.113.9"), 0);
	replay_begin(r, &set);
	return r;
}

/* Plays one datagram; its payload as it leaves, in out (65536 bytes), and how many steps it took. */
static size_t play_udp(struct replay *r, const struct ends *ends, const void *payload, size_t n,
	struct replay_step *last, uint8_t *out, unsigned int *steps)
{
	static struct frame f;
	static uint8_t leaves[PACKET_PAYLOAD_MAX + 200];
	struct replay_step step;
	struct packet q;
	frame_udp(&f, ends, payload, n);
	cr_assert(packet_parse(&q, FRAME_RAW, f.bytes, f.size) && replay_packet(r, &q));
	for (*steps = 0; replay_next(r, &step); ++*steps)
		*last = step;
	const size_t size = replay_write(r, &q, f.bytes, leaves);
	cr_assert_gt(size, 0);
	cr_expect_eq(replay_write(r, &q, f.bytes, leaves + size), 0, "a datagram is one packet");
	cr_assert(packet_parse(&q, FRAME_RAW, leaves, size));
	cr_expect(frame_sums_fit(leaves, &q));
	memcpy(out, q.payload, q.bytes);
	return q.bytes;
}

Test(replay, a_datagram_may_wish_for_the_port_that_it_came_from)
{
	static const struct ends ends = {"10.0.0.2", 3000, "192.0.2.1", 69},
				 far = {"192.0.2.1", 4711, "10.0.0.2", 3000};
	static uint8_t out[65536];
	struct replay *r = open_udp(ALGS_TFTP);
	struct replay_step step;
	struct packet q;
	struct frame f;
	unsigned int steps;
	const size_t n = play_udp(r, &ends, "\0\1file\0octet", 13, &step, out, &steps);
	cr_expect(n == 13 && !memcmp(out, "\0\1file\0octet", 13));
	cr_expect(r->totals.wishes == 1 && steps == 2);
	cr_expect_eq(r->next_port, 40000, "it keeps the port that it has");
	frame_udp(&f, &far, "\0\3\0\1data", 8);
	cr_assert(packet_parse(&q, FRAME_RAW, f.bytes, f.size));
	cr_expect_not(replay_packet(r, &q), "what comes by a pinhole is not inspected");
	free(r);
}

/* A capture from loopback: both ends have the guest's address, and only one has the ALG's port. */
Test(replay, a_server_at_the_guests_address_is_the_far_end)
{
	static const struct ends back = {"127.0.0.1", 53, "127.0.0.1", 3000};
	static const uint8_t answer[] = "\x12\x34\x84\0\0\1\0\1\0\0\0\0\1a\0\0\1\0\1\xc0\x0c\0\1"
					"\0\1\0\0\1\0\0\4\xcb\0\x71\x09";
	static uint8_t out[65536];
	struct replay *r = open_udp(ALGS_DNS);
	struct replay_step step;
	unsigned int steps;
	const uint32_t inside = inet_addr("10.0.0.9");
	r->set.guest_ip_be = inet_addr("127.0.0.1");
	const size_t n = play_udp(r, &back, answer, sizeof(answer) - 1, &step, out, &steps);
	cr_expect(n == sizeof(answer) - 1 && !memcmp(out + n - 4, &inside, 4));
	free(r);
}

Test(replay, a_datagram_is_edited_or_left_as_it_came)
{
	static const struct ends ends = {"10.0.0.2", 3000, "192.0.2.1", 53},
				 back = {"192.0.2.1", 53, "10.0.0.2", 3000};
	static const uint8_t answer[] = "\x12\x34\x84\0\0\1\0\1\0\0\0\0\1a\0\0\1\0\1\xc0\x0c\0\1"
					"\0\1\0\0\1\0\0\4\xcb\0\x71\x09";
	static uint8_t out[65536], big[60000];
	struct replay *r = open_udp(ALGS_DNS);
	struct replay_step step;
	unsigned int steps;
	size_t n = play_udp(r, &back, answer, sizeof(answer) - 1, &step, out, &steps);
	const uint32_t inside = inet_addr("10.0.0.9");
	cr_expect(n == sizeof(answer) - 1 && !memcmp(out + n - 4, &inside, 4));
	cr_expect_eq(r->totals.edits, 1);
	n = play_udp(r, &back, big, sizeof(big), &step, out, &steps);
	cr_expect(n == sizeof(big) && !memcmp(out, big, n), "too long to be shown, and not cut");
	cr_expect_eq(r->totals.gave_up, 1);
	n = play_udp(r, &back, answer, sizeof(answer) - 1, &step, out, &steps);
	cr_expect(n == sizeof(answer) - 1 && !memcmp(out, answer, n) && steps == 0);
	const struct replay_settings again = r->set;
	replay_begin(r, &again);
	n = play_udp(r, &ends, "", 0, &step, out, &steps);
	cr_expect(n == 0 && steps == 1 && r->totals.violations == 1, "an empty one is shown, too");
	free(r);
}
