/* What UDP sessions under inspection carry: the test is alg, honest and hostile. */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "datagrams.h"

Test(inspect_dgram, datagrams_are_held_and_leave_in_order_by_verdict)
{
	struct scene s = datagram_fixing();
	char text[16];
	datagram_says(&s, "one", 3, 0);
	datagram_says(&s, "three", 5, 0);
	cr_assert_eq(s.r->records[0], 2);
	cr_assert_eq(s.r->seen_bytes[0], 8);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0), 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	cr_assert_str_eq(text, "one");
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 8, NULL, 0), 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 5);
	cr_assert_str_eq(text, "three");
	rig_quiet(s.r, 5);
	cr_assert_eq(s.r->broker.free_count[BUF_SMALL], ARENA_SMALL_COUNT, "buffers went back");
	rig_free(s.r);
}

Test(inspect_dgram, ttl_and_tos_are_kept)
{
	struct scene s = datagram_fixing();
	const int on = 1;
	char text[16], control[128];
	struct iovec piece = {text, sizeof(text)};
	struct msghdr m = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	setsockopt(s.fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
	setsockopt(s.fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
	datagram_says(&s, "one", 3, 0);
	scene_verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0);
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
	struct scene s = datagram_fixing();
	char text[16];
	datagram_says(&s, "aaaabbbbcc", 10, 4);
	cr_assert_eq(s.r->records[0], 3);
	scene_verdict(&s, NL__DIRECTION__GUEST, 10, NULL, 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 4);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 4);
	cr_assert_str_eq(text, "bbbb");
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 2);
	rig_free(s.r);
}

Test(inspect_dgram, a_run_from_outside_too)
{
	struct scene s = datagram_fixing();
	struct ring_desc d;
	char text[4096];
	const int each = 4;
	datagram_says(&s, "x", 1, 0);
	cr_assert_eq(setsockopt(s.fd, SOL_UDP, UDP_SEGMENT, &each, sizeof(each)), 0);
	datagram_answers(&s, "aaaabbbbcc", 10);
	cr_assert_eq(s.r->records[1], 3);
	cr_assert_eq(s.r->seen_bytes[1], 10);
	scene_verdict(&s, NL__DIRECTION__OUTSIDE, 10, NULL, 0);
	cr_assert_eq(datagram_to_guest(&s, &d, text), 4);
	cr_assert_eq(datagram_to_guest(&s, &d, text), 4);
	cr_assert_eq(datagram_to_guest(&s, &d, text), 2);
	cr_assert_eq(d.remote.port, s.port);
	rig_free(s.r);
}

Test(inspect_dgram, edits_of_several_datagrams_change_each_its_own)
{
	struct scene s = datagram_fixing();
	Nl__Edit a, b, *list[2] = {&a, &b};
	char text[64];
	datagram_says(&s, "one two", 7, 0);
	datagram_says(&s, "three", 5, 0);
	scene_edit(&a, 4, 3, "zweihundert");
	scene_edit(&b, 7, 5, "");
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 12, list, 2), 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 15);
	cr_assert_str_eq(text, "one zweihundert");
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 0, "nothing was left of it");
	rig_free(s.r);
}

Test(inspect_dgram, what_is_added_at_an_end_belongs_to_the_former)
{
	struct scene s = datagram_fixing();
	Nl__Edit a, *list[1] = {&a};
	char text[64];
	datagram_says(&s, "one", 3, 0);
	datagram_says(&s, "two", 3, 0);
	scene_edit(&a, 3, 0, "+");
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 6, list, 1), 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 4);
	cr_assert_str_eq(text, "one+");
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	rig_free(s.r);
}

Test(inspect_dgram, the_other_direction_with_its_edits)
{
	struct scene s = datagram_fixing();
	struct ring_desc d;
	char text[4096] = "";
	Nl__Edit a, *list[1] = {&a};
	datagram_says(&s, "x", 1, 0);
	datagram_answers(&s, "answer", 6);
	cr_assert_eq(s.r->seen_bytes[1], 6);
	scene_edit(&a, 0, 1, "A longer a");
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__OUTSIDE, 6, list, 1), 0);
	cr_assert_eq(datagram_to_guest(&s, &d, text), 15);
	cr_assert_str_eq(text, "A longer answer");
	cr_assert_eq(d.remote.port, s.port);
	cr_assert_neq(d.remote.ttl, 0);
	rig_free(s.r);
}

Test(inspect_dgram, a_long_one_comes_through_whole)
{
	struct scene s = datagram_fixing();
	struct ring_desc d;
	static char out[30000], in[65536];
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7);
	datagram_says(&s, out, sizeof(out), 0);
	scene_verdict(&s, NL__DIRECTION__GUEST, sizeof(out), NULL, 0);
	cr_assert_eq(scene_arrived(&s, in, sizeof(in)), sizeof(out));
	cr_assert(memcmp(in, out, sizeof(out)) == 0);
	datagram_answers(&s, out, sizeof(out));
	scene_verdict(&s, NL__DIRECTION__OUTSIDE, sizeof(out), NULL, 0);
	cr_assert_eq(datagram_to_guest(&s, &d, in), sizeof(out));
	cr_assert(memcmp(in, out, sizeof(out)) == 0);
	rig_free(s.r);
}

Test(inspect_dgram, empty_ones_keep_their_place)
{
	struct scene s = datagram_fixing();
	char text[16];
	datagram_says(&s, "", 0, 0);
	cr_assert_eq(
		scene_arrived(&s, text, sizeof(text)), 0, "there is nothing to be said about it");
	datagram_says(&s, "one", 3, 0);
	datagram_says(&s, "", 0, 0);
	datagram_says(&s, "two", 3, 0);
	cr_assert_eq(s.r->records[0], 2);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	scene_verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 0);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	scene_verdict(&s, NL__DIRECTION__GUEST, 6, NULL, 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	rig_free(s.r);
}

Test(inspect_dgram, what_finds_its_ring_full_is_dropped_and_inspection_goes_on)
{
	struct scene s = datagram_fixing();
	char text[16];
	for (int i = 0; i < DGRAM_HELD + 2; i++)
		datagram_says(&s, "0", 1, 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_FULL], 2);
	cr_assert_eq(s.r->records[0], DGRAM_SHOWN);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, DGRAM_SHOWN + 1, NULL, 0), -EPROTO,
		"it was not shown so much");
	for (uint64_t i = 1; i <= DGRAM_HELD; i++) {
		cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, i, NULL, 0), 0);
		cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 1);
		if (i == 1)
			datagram_says(&s, "again", 5, 0);
	}
	cr_assert_eq(s.r->records[0], DGRAM_HELD + 1, "none that was dropped");
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, DGRAM_HELD + 5, NULL, 0), 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 5);
	cr_assert_str_eq(text, "again");
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_FULL], 2);
	cr_assert_eq(s.r->np->inspects, 1);
	rig_free(s.r);
}

Test(inspect_dgram, no_more_than_256_kib_of_a_direction_wait_and_64_kib_in_alg)
{
	enum { EACH = 30000, MANY = DGRAM_HELD_BYTES / EACH };
	struct scene s = datagram_fixing();
	static char out[EACH], in[65536];
	for (int i = 0; i <= MANY; i++)
		datagram_says(&s, out, EACH, 0);
	datagram_says(&s, out, 1, 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_FULL], 1);
	cr_assert_eq(s.r->records[0], 2);
	for (uint64_t i = 1; i <= MANY; i++) {
		cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, i * EACH, NULL, 0), 0);
		cr_assert_eq(scene_arrived(&s, in, sizeof(in)), EACH);
	}
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, MANY * EACH + 1, NULL, 0), 0);
	cr_assert_eq(scene_arrived(&s, in, sizeof(in)), 1, "what is short found room still");
	cr_assert_eq(s.r->np->inspects, 1);
	rig_free(s.r);
}

/* A guest's word from one more endpoint, of which alg says nothing. */
static void held_from(struct scene *s, uint32_t n, const void *bytes, size_t count)
{
	const uint32_t flow = DATAGRAM_FLOW + 1 + n;
	if (!flow_live(s->r->np, flow)) {
		datagram_endpoint(s->r, flow, (uint16_t)(20000 + n));
		s->r->seen_bytes[0] = 0;
	}
	datagram_says_as(s, flow, bytes, count);
}

Test(inspect_dgram, whoever_fills_the_pool_leaves_room_for_small_ones)
{
	enum { MANY = 150, EACH = 30000 };
	struct scene s = datagram_fixing();
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
	struct scene s = datagram_fixing();
	static char out[65507], in[65536];
	memset(out, 'x', sizeof(out));
	datagram_says(&s, "one", 3, 0);
	datagram_says(&s, out, sizeof(out), 0);
	cr_assert_eq(scene_arrived(&s, in, sizeof(in)), 3);
	cr_assert_eq(scene_arrived(&s, in, sizeof(in)), sizeof(out));
	cr_assert_eq(s.r->ended, 1, "alg may forget it");
	cr_assert_eq(s.r->np->inspects, 0);
	cr_assert_eq(
		scene_verdict(&s, NL__DIRECTION__GUEST, 1, NULL, 0), 0, "late words are ignored");
	datagram_says(&s, "on", 2, 0);
	cr_assert_eq(scene_arrived(&s, in, sizeof(in)), 2);
	cr_assert_eq(s.r->inspected, 1, "never again");
	rig_free(s.r);
}

Test(inspect_dgram_hostile, verdicts_that_end_inside_a_datagram_are_lies)
{
	struct scene s = datagram_fixing();
	datagram_says(&s, "one", 3, 0);
	datagram_says(&s, "two", 3, 0);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 2, NULL, 0), -EPROTO);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 5, NULL, 0), -EPROTO);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 7, NULL, 0), -EPROTO);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, UINT64_MAX, NULL, 0), -EPROTO);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__OUTSIDE, 1, NULL, 0), -EPROTO);
	cr_assert_eq(scene_verdict(&s, (Nl__Direction)7, 0, NULL, 0), -EPROTO);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0), 0);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 0, NULL, 0), -EPROTO, "backwards");
	rig_free(s.r);
}

Test(inspect_dgram_hostile, edits_across_an_end_or_outside_are_lies)
{
	struct scene s = datagram_fixing();
	Nl__Edit a, b, *list[2] = {&a, &b};
	char text[16];
	datagram_says(&s, "one", 3, 0);
	datagram_says(&s, "two", 3, 0);
	scene_edit(&a, 2, 2, "x");
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 6, list, 1), -EPROTO);
	scene_edit(&a, 6, 0, "x");
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 3, list, 1), -EPROTO);
	scene_edit(&a, UINT64_MAX, 2, "x");
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 6, list, 1), -EPROTO);
	scene_edit(&a, 4, 1, "x");
	scene_edit(&b, 3, 1, "x");
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 6, list, 2), -EPROTO, "not ascending");
	scene_edit(&a, 0, 0, "x");
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 0, list, 1), -EPROTO, "of nothing");
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0);
	rig_free(s.r);
}

Test(inspect_dgram_hostile, what_one_datagram_loses_the_next_may_not_gain)
{
	struct scene s = datagram_fixing();
	static char first[20000], much[16385];
	Nl__Edit a, b, c, *list[3] = {&a, &b, &c};
	memset(first, 'x', sizeof(first));
	memset(much, 'y', sizeof(much) - 1);
	datagram_says(&s, first, sizeof(first), 0);
	datagram_says(&s, "two", 3, 0);
	scene_edit(&a, 0, sizeof(first), "");
	scene_edit(&b, sizeof(first) + 1, 0, much);
	scene_edit(&c, sizeof(first) + 2, 0, much);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, sizeof(first) + 3, list, 3), -EPROTO);
	rig_free(s.r);
}
