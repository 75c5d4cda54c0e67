/* What is a message of SCCP, and what is none and ends inspection for good. */
#include "skinny_steps.h"

/* In pieces of so many octets. */
static void expect_violation_in(
	struct alg_flow view, enum alg_direction from, const uint8_t *p, size_t n, size_t piece)
{
	struct harness *h = harness_new(&skinny_protocol, view, GRANT);
	for (size_t at = 0; at < n; at += piece)
		harness_send(h, from, p + at, n - at < piece ? n - at : piece);
	cr_expect(h->gave_up && h->violation, "%zu octets by %zu, the first %#x", n, piece, p[0]);
	say(h, ALG_GUEST, station_register(GUEST, 20));
	harness_expect_untouched(h);
	harness_free(h);
}

/* However it comes, it is seen with the last of these octets: a length alone is no reason to wait for as much. */
static void expect_violation(struct alg_flow view, enum alg_direction from, const void *p, size_t n)
{
	expect_violation_in(view, from, p, n, n);
	expect_violation_in(view, from, p, n, 1);
}

static void expect_not_sccp(const void *p, size_t n)
{
	expect_violation(phone_view(), ALG_GUEST, p, n);
	expect_violation(manager_view(), ALG_OUTSIDE, p, n);
}

Test(skinny_frames, other_protocols_are_seen_by_their_first_bytes)
{
	const char *const others[] = {"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "GET ",
		"\x16\x03\x01\x02", "SSH-2.0-x", "\x00\x00\x00\x04"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		expect_not_sccp(others[i], i == 4 ? 4 : strlen(others[i]));
}

/* A form that a browser sends holds a whole session of a telephone. */
Test(skinny_frames, a_post_opens_nothing)
{
	struct harness *h = harness_new(&skinny_protocol, phone_view(), GRANT);
	harness_say(h, ALG_GUEST, "POST / HTTP/1.1\r\nContent-Length: 500\r\n\r\n");
	say(h, ALG_GUEST, station_register(GUEST, 20));
	say(h, ALG_OUTSIDE, register_ack(20));
	say(h, ALG_OUTSIDE, ask(20, 20, 5, 6, FAR));
	say(h, ALG_GUEST, receiving(0x22, 20, 20, GUEST, 16384, 6));
	cr_expect(h->gave_up && h->violation);
	cr_expect_eq(h->wishes, 0);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(skinny_frames, lengths_and_versions_that_cannot_be)
{
	static const struct {
		uint32_t length, version, id;
		size_t n;
	} hostile[] = {{0, 0, 1, 4}, {3, 0, 1, 4}, {65529, 0, 1, 4}, {0x7fffffff, 0, 1, 4},
		{0xffffffff, 0, 1, 4}, {4, 256, 1, 8}, {4, 0xffffffff, 1, 8}, {4, 0, 2, 12},
		{4, 0, 0x22, 12}, {4, 0, 0x8a, 12}, {4, 0, 0x105, 12}, {65528, 0, 0x26, 12}};
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct bytes b = {.n = 0};
		add(&b, hostile[i].length);
		add(&b, hostile[i].version);
		add(&b, hostile[i].id);
		expect_not_sccp(b.p, hostile[i].n);
	}
}

Test(skinny_frames, and_the_same_later)
{
	static const uint32_t hostile[][2] = {{3, 0}, {65529, 0}, {0x20202020, 0}, {8, 256}};
	for (int i = 0; i < 4; i++)
		for (int from = 0; from < 2; from++) {
			struct harness *h = registered();
			struct bytes b = {.n = 0};
			add(&b, hostile[i][0]);
			add(&b, hostile[i][1]);
			say(h, (enum alg_direction)from, b);
			cr_expect(h->gave_up && h->violation);
			harness_free(h);
		}
}

Test(skinny_frames, a_manager_does_not_speak_first)
{
	const struct bytes b = register_ack(20);
	expect_violation(phone_view(), ALG_OUTSIDE, b.p, 1);
	expect_violation(phone_view(), ALG_OUTSIDE, b.p, b.n);
	expect_violation(manager_view(), ALG_GUEST, b.p, b.n);
}

Test(skinny_frames, stations_begin_in_several_ways)
{
	static const uint32_t ids[] = {0x00, 0x01, 0x12, 0x20, 0x29, 0x15a, 0x8000};
	for (size_t i = 0; i < 2 * sizeof(ids) / sizeof(ids[0]); i++) {
		struct harness *h = harness_new(&skinny_protocol, phone_view(), GRANT);
		pass(h, ALG_GUEST, WORDS(ids[i / 2], i % 2 ? 255 : 0, 0));
		cr_expect_not(h->gave_up, "%#x", ids[i / 2]);
		harness_free(h);
	}
}

Test(skinny_frames, the_longest_message)
{
	static uint8_t p[ALG_MESSAGE_MAX];
	struct harness *h = registered();
	struct bytes b = {.n = 0};
	add(&b, ALG_MESSAGE_MAX - 8);
	add(&b, 20);
	add(&b, 0x7777);
	memcpy(p, b.p, b.n);
	for (size_t at = 0; at < sizeof(p); at += 16384)
		harness_send(h, ALG_GUEST, p + at, 16384);
	cr_expect_eq(h->way[ALG_GUEST].out_bytes, ALG_MESSAGE_MAX);
	cr_expect_not(h->gave_up);
	harness_free(h);
}

/* Messages that end before what they are to say. */
Test(skinny_frames, short_messages_change_nothing)
{
	static const uint32_t ids[] = {0x01, 0x02, 0x22, 0x29, 0x2a, 0x31, 0x45, 0x46, 0x47, 0x81,
		0x8a, 0x8b, 0x95, 0x9e, 0x101, 0x105, 0x106, 0x111, 0x118, 0x131, 0x132, 0x14b,
		0x14c, 0x14d, 0x154, 0x155};
	struct harness *h = asked();
	forget(h);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		for (int from = 0; from < 2; from++)
			pass(h, (enum alg_direction)from, end(begin(ids[i], 20)));
	cr_expect_not(h->gave_up);
	harness_free(h);
}
