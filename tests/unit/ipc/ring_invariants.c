/* The eight invariants of ring.h, each violated by a hostile peer that writes its own memory by
 * hand. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "pair.h"

/* A victim's end and the region that its hostile peer may write. */
static struct pair *pair;
static struct link *victim;
static struct ring_region *hostile;

static void setup(uint8_t liar, uint8_t honest)
{
	if (pair)
		pair_free(pair);
	pair = pair_new(liar, honest);
	victim = &pair->end[1];
	hostile = pair->region[0];
}

/* Publishes one descriptor by hand and returns what the victim makes of it. */
static int offer(struct ring_desc d)
{
	struct ring_desc got;
	struct ring_header h;
	uint32_t head = atomic_load(&hostile->head);

	hostile->desc[head % RING_SLOTS] = d;
	atomic_store(&hostile->head, head + 1);
	return link_recv(victim, &got, &h);
}

/* The sentences of link_error: a test that dies of another fault than it planted proves nothing. */
static const char head_fault[] = "published index out of range",
		  tail_fault[] = "consumed index out of range",
		  op_fault[] = "operation unknown in this direction",
		  desc_fault[] = "descriptor out of range";

static void assert_dead(const char *fault, const char *about)
{
	const char *what = NULL;
	struct ring_desc d = {0};

	cr_assert_eq(link_error(victim, &what), -EPROTO, "%s", about);
	cr_assert_str_eq(what, fault, "%s", about);
	cr_assert_eq(link_recv(victim, &d, NULL), -EPROTO, "a dead link gives nothing more");
	cr_assert_eq(link_send(victim, LINK_CONTROL, &d, NULL), -EPROTO);
	cr_assert_eq(link_room(victim, LINK_CONTROL), 0);
	cr_assert_not(link_pending(victim), "a dead link keeps nobody awake");
	cr_assert(pair_sleep(pair, 1));
}

Test(ring_invariants, i1_head_more_than_a_ring_ahead)
{
	struct ring_desc d;

	setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
	atomic_store(&hostile->head, RING_SLOTS + 1);
	cr_assert_eq(link_recv(victim, &d, NULL), -EPROTO);
	assert_dead(head_fault, "head too far");
}

Test(ring_invariants, i1_head_exactly_a_ring_ahead_is_allowed)
{
	struct ring_desc d = pair_credit(0);

	setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
	for (int i = 0; i < RING_SLOTS; i++)
		hostile->desc[i] = d;
	atomic_store(&hostile->head, RING_SLOTS);
	for (int i = 0; i < RING_SLOTS; i++)
		cr_assert_eq(link_recv(victim, &d, NULL), 1);
	cr_assert_eq(link_recv(victim, &d, NULL), 0);
}

Test(ring_invariants, i1_head_moves_back)
{
	struct ring_desc d = pair_credit(0);

	setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
	for (int i = 0; i < 10; i++)
		hostile->desc[i] = d;
	atomic_store(&hostile->head, 10);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(link_recv(victim, &d, NULL), 1);
	atomic_store(&hostile->head, 9);
	cr_assert_eq(link_recv(victim, &d, NULL), -EPROTO);
	assert_dead(head_fault, "head moved back");
}

Test(ring_invariants, i1_tail_beyond_what_was_published)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_FIN};

	setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
	cr_assert_eq(link_send(victim, LINK_DATA, &d, NULL), 0);
	link_flush(victim);
	cr_assert_eq(link_send(victim, LINK_DATA, &d, NULL), 0, "queued, not published");
	atomic_store(&hostile->tail, 2);
	cr_assert_not(link_peer_consumed(victim, 2));
	assert_dead(tail_fault, "tail beyond published");
}

Test(ring_invariants, i1_tail_moves_back)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_FIN};

	setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(link_send(victim, LINK_DATA, &d, NULL), 0);
	link_flush(victim);
	atomic_store(&hostile->tail, 3);
	cr_assert(link_peer_consumed(victim, 3));
	atomic_store(&hostile->tail, 2);
	cr_assert_not(link_peer_consumed(victim, 4));
	assert_dead(tail_fault, "tail moved back");
}

static struct ring_desc tcp_data(uint32_t id, uint32_t off, uint32_t len)
{
	struct ring_desc d = {.op = RING_NETSTACK_TCP_DATA, .nseg = 1};

	d.seg[0] = (struct ring_seg){.off = off, .len = len, .id = id};
	return d;
}

static void refuse(struct ring_desc d, const char *about)
{
	setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
	cr_assert_eq(offer(d), -EPROTO, "%s", about);
	assert_dead(desc_fault, about);
}

static const struct {
	uint8_t from, to;
} directions[RING_OP_COUNT] = {
#define OP(FROM, TO, NAME, KIND, WHAT) [RING_##FROM##_##NAME] = {ACTOR_##FROM, ACTOR_##TO},
#include "ring_ops.def"
};

Test(ring_invariants, i2_operation_of_another_direction_or_of_none)
{
	static const uint8_t pairs[][2] = {{ACTOR_NETSTACK, ACTOR_NATPROXY},
		{ACTOR_NATPROXY, ACTOR_NETSTACK}, {ACTOR_BROKER, ACTOR_NETSTACK},
		{ACTOR_NETSTACK, ACTOR_BROKER}};

	for (int i = 0; i < 4 * 256; i++) {
		const uint8_t *pair_of = pairs[i / 256];
		int op = i % 256;

		if (op > 0 && op < RING_OP_COUNT && directions[op].from == pair_of[0] &&
			directions[op].to == pair_of[1])
			continue;
		setup(pair_of[0], pair_of[1]);
		cr_assert_eq(
			offer((struct ring_desc){.op = (uint8_t)op}), -EPROTO, "operation %d", op);
		assert_dead(op_fault, "operation");
	}
}

Test(ring_invariants, i2_counts_out_of_range)
{
	struct ring_desc d = tcp_data(buf_id(ARENA_BROKER, 0), 0, 1);

	for (int i = 1; i < RING_SEGS; i++)
		d.seg[i] = d.seg[0];
	d.nseg = RING_SEGS;
	setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
	cr_assert_eq(offer(d), 1, "four segments are allowed");
	d.nseg = RING_SEGS + 1;
	refuse(d, "nseg 5");
	d.nseg = 255;
	refuse(d, "nseg 255");
	d.nseg = 1;
	d.hlen = 2;
	refuse(d, "hlen of a segment operation");
	d = pair_credit(0);
	d.nseg = 1;
	refuse(d, "nseg of an operation without payload");
	d.nseg = 0;
	d.hlen = 1;
	refuse(d, "hlen of an operation without payload");
	refuse((struct ring_desc){.op = RING_NETSTACK_RELEASE_READ}, "nothing given back");
}

Test(ring_invariants, i2_runs_of_datagrams)
{
	static const struct {
		uint32_t bytes[2];
		uint16_t each;
		bool good;
	} row[] = {{{0, 0}, 0, true}, {{2048, 65536}, 0, true}, {{2, 0}, 1, true},
		{{1, 0}, 1, false}, {{0, 0}, 1, false}, {{100, 0}, 101, false},
		{{RING_RUN_DATAGRAMS, 0}, 1, true}, {{RING_RUN_DATAGRAMS, 1}, 1, false},
		{{2048, RING_RUN_BYTES - 2048}, 1472, true},
		{{2048, RING_RUN_BYTES - 2047}, 1472, false},
		{{2048, RING_RUN_BYTES - 2048}, 0xffff, false}, {{2048, 65536}, 40000, false}};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct ring_desc d = {
			.op = RING_NETSTACK_DGRAM_DATA, .nseg = 2, .hlen = row[i].each};

		d.seg[0] =
			(struct ring_seg){buf_offset(0), row[i].bytes[0], buf_id(ARENA_BROKER, 0)};
		d.seg[1] = (struct ring_seg){buf_offset(ARENA_SMALL_COUNT), row[i].bytes[1],
			buf_id(ARENA_BROKER, ARENA_SMALL_COUNT)};
		setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
		cr_assert_eq(offer(d), row[i].good ? 1 : -EPROTO, "row %zu", i);
	}
}

Test(ring_invariants, i2_header_longer_than_its_slot)
{
	struct ring_desc d = {.op = RING_NETSTACK_SEND, .hlen = RING_HEADER_BYTES - 12};

	setup(ACTOR_NETSTACK, ACTOR_BROKER);
	cr_assert_eq(offer(d), 1);
	d.hlen++;
	cr_assert_eq(offer(d), -EPROTO);
	assert_dead(desc_fault, "hlen");
}

Test(ring_invariants, i2_segment_outside_its_buffer)
{
	const uint32_t small = buf_id(ARENA_BROKER, 5),
		       large = buf_id(ARENA_BROKER, ARENA_SMALL_COUNT);
	const uint32_t small_off = 5 * ARENA_SMALL_BYTES, large_off = buf_offset(ARENA_SMALL_COUNT);

	setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
	cr_assert_eq(offer(tcp_data(small, small_off, ARENA_SMALL_BYTES)), 1);
	cr_assert_eq(offer(tcp_data(large, large_off, ARENA_LARGE_BYTES)), 1);
	refuse(tcp_data(small, small_off, ARENA_SMALL_BYTES + 1), "one byte into the next buffer");
	refuse(tcp_data(small, small_off - 1, 2), "starts in the buffer before");
	refuse(tcp_data(small, small_off + ARENA_SMALL_BYTES - 1, 2), "ends in the next");
	refuse(tcp_data(small, small_off + ARENA_SMALL_BYTES + 1, 0), "empty, outside");
	refuse(tcp_data(small, small_off + 1, UINT32_MAX), "length wraps around");
	refuse(tcp_data(small, UINT32_MAX, 2), "offset wraps around");
	refuse(tcp_data(large, large_off + 1, ARENA_LARGE_BYTES), "large, one byte too long");
	refuse(tcp_data(buf_id(ARENA_BROKER, ARENA_MAX_IDS - 1), ARENA_BYTES - 1, 2),
		"arena's end");
}

Test(ring_invariants, i2_buffer_of_no_or_a_foreign_arena)
{
	refuse(tcp_data(0, 0, 1), "id zero");
	refuse(tcp_data(buf_id(ARENA_NONE, 0), 0, 1), "arena zero");
	refuse(tcp_data(buf_id(ARENA_NATPROXY, 0), 0, 1), "the victim's own arena");
	refuse(tcp_data(0xf0000001, 0, 1), "arena fifteen");
	refuse(tcp_data(buf_id(ARENA_BROKER, ARENA_MAX_IDS), 0, 1), "index past the end");
	refuse(tcp_data((uint32_t)ARENA_BROKER << 28, 0, 1), "index minus one");
}

Test(ring_invariants, i2_the_checked_copy_is_what_the_caller_gets)
{
	struct ring_desc d;

	setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
	cr_assert_eq(offer(tcp_data(buf_id(ARENA_BROKER, 0), 0, 10)), 1);
	hostile->desc[1] = tcp_data(buf_id(ARENA_BROKER, 0), 0, 10);
	atomic_store(&hostile->head, 2);
	cr_assert_eq(link_recv(victim, &d, NULL), 1);
	hostile->desc[1].seg[0].len = UINT32_MAX;
	hostile->desc[1].op = 0;
	cr_assert_eq(d.seg[0].len, 10);
	cr_assert_eq(d.op, RING_NETSTACK_TCP_DATA);
}

Test(ring_invariants, i3_giving_back_what_was_not_lent)
{
	static struct arena a;
	static uint8_t memory[1];
	uint32_t id;

	arena_init(&a, ARENA_NATPROXY, memory);
	id = arena_take(&a, BUF_LARGE, false);
	cr_assert_eq(arena_return(&a, id, ACTOR_NETSTACK), -EPROTO, "taken, not lent");
	arena_lend(&a, id, ACTOR_NETSTACK);
	cr_assert_eq(arena_return(&a, id, ACTOR_BROKER), -EPROTO, "lent to somebody else");
	cr_assert_eq(
		arena_return(&a, id ^ (3u ^ 1u) << 28, ACTOR_NETSTACK), -EPROTO, "other arena");
	cr_assert_eq(arena_return(&a, id, ACTOR_NETSTACK), 0);
	cr_assert_eq(arena_return(&a, id, ACTOR_NETSTACK), -EPROTO, "twice");
	for (uint32_t bad = 0; bad < 4; bad++) {
		static const uint32_t ids[] = {
			0, UINT32_MAX, 3u << 28, 3u << 28 | (ARENA_MAX_IDS + 1)};
		cr_assert_eq(arena_return(&a, ids[bad], ACTOR_NETSTACK), -EPROTO);
	}
	cr_assert_eq(a.free_count[BUF_LARGE], ARENA_LARGE_COUNT, "nothing was freed twice");
}

Test(ring_invariants, i3_ids_that_no_arena_has)
{
	static const uint32_t bad[] = {
		0, 0x0fffffff, 0x10000000, 0x40000001, UINT32_MAX, 1u << 28 | (ARENA_MAX_IDS + 1)};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ring_desc d = {.op = RING_NETSTACK_RELEASE_READ, .nseg = 2};

		d.ids[0] = buf_id(ARENA_NATPROXY, 1);
		d.ids[1] = bad[i];
		refuse(d, "id given back");
	}
}

Test(ring_invariants, i3_a_buffer_lent_over_and_over_ends_the_link)
{
	setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
	/* The peer's ring of releases is never consumed, so they pile up in the victim. */
	for (int i = 0; i < LINK_RELEASES_MAX; i++)
		link_release(victim, buf_id(ARENA_BROKER, 0));
	cr_assert_eq(link_error(victim, NULL), 0);
	link_release(victim, buf_id(ARENA_BROKER, 0));
	assert_dead("lent more buffers than exist", "more releases than buffers");
}

Test(ring_invariants, i4_i5_the_header_is_a_private_copy)
{
	struct ring_desc d = {.op = RING_NETSTACK_SEND, .hlen = 20};
	struct ring_header h;

	setup(ACTOR_NETSTACK, ACTOR_BROKER);
	memset(&hostile->header[0], 0x11, sizeof(h));
	hostile->desc[0] = d;
	atomic_store(&hostile->head, 1);
	cr_assert_eq(link_recv(victim, &d, &h), 1);
	memset(&hostile->header[0], 0x22, sizeof(h));
	for (size_t i = 0; i < sizeof(h.frame); i++)
		cr_assert_eq(h.frame[i], 0x11, "the peer changed what was already checked");
}

Test(ring_invariants, i6_an_early_release_is_held_until_the_broker_is_past)
{
	struct ring_desc d = {.op = RING_NETSTACK_SEND};
	struct ring_header h = {0};
	uint32_t index;

	/* netstack is the honest side here; the broker has not looked at the frame yet. */
	setup(ACTOR_BROKER, ACTOR_NETSTACK);
	cr_assert_eq(link_send(victim, LINK_DATA, &d, &h), 0);
	index = link_sent_index(victim);
	cr_assert_not(link_peer_consumed(victim, index), "not even published");
	link_flush(victim);
	cr_assert_not(link_peer_consumed(victim, index), "the guest may have acknowledged already");
	atomic_store(&hostile->tail, index);
	cr_assert(link_peer_consumed(victim, index));
	atomic_store(&hostile->tail, index + 1);
	cr_assert_not(link_peer_consumed(victim, index + 1), "consuming the future");
	assert_dead(tail_fault, "tail beyond published");
}

Test(ring_invariants, i7_a_late_flow_id_has_another_generation)
{
	uint32_t id = flow_id(9, 3);

	cr_assert_eq(flow_index(id), 9);
	cr_assert_eq(flow_generation(id), 3);
	cr_assert_neq(flow_id(9, 4), id);
	for (uint32_t i = 0; i < 100000; i++)
		cr_assert_lt(
			flow_index(i * 2654435761u), FLOW_MAX, "any number is inside the table");
	/* Whether the slot is in use and of this generation is each table's own test. */
}

Test(ring_invariants, i8_releases_pass_when_data_fills_the_ring)
{
	struct ring_desc d = pair_credit(0);
	struct link *sender;
	uint32_t releases = 0;

	setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
	sender = &pair->end[0];
	while (link_send(sender, LINK_DATA, &d, NULL) == 0)
		continue;
	for (uint32_t i = 0; i < 100; i++)
		link_release(sender, buf_id(ARENA_NATPROXY, i));
	link_flush(sender);
	while (link_recv(victim, &d, NULL) == 1)
		releases += d.op == RING_NETSTACK_RELEASE_READ ? d.nseg : 0;
	cr_assert_eq(releases, 100);
}

Test(ring_invariants, i8_releases_wait_when_even_control_is_full)
{
	struct ring_desc d = pair_credit(0);
	struct link *sender;
	uint32_t releases = 0;

	setup(ACTOR_NETSTACK, ACTOR_NATPROXY);
	sender = &pair->end[0];
	while (link_send(sender, LINK_CONTROL, &d, NULL) == 0)
		continue;
	for (uint32_t i = 0; i < ARENA_MAX_IDS; i++)
		link_release(sender, buf_id(ARENA_NATPROXY, i));
	for (int lap = 0; lap < 4; lap++) {
		link_flush(sender);
		while (link_recv(victim, &d, NULL) == 1)
			releases += d.op == RING_NETSTACK_RELEASE_READ ? d.nseg : 0;
		link_flush(victim);
	}
	cr_assert_eq(releases, ARENA_MAX_IDS);
	cr_assert_eq(link_error(sender, NULL), 0);
}
