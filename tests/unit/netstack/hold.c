/* Who may pin how many buffers on the way up: flows whose far end does not read, tiny segments, and who comes later. */
#include <criterion/criterion.h>
#include <string.h>

#include "state.h"
#include "world.h"

enum { STUCK = 24, SEGMENT = 1400, LONGEST = 400, FORGOTTEN_MS = 101 };

static struct world *w;
static struct conn stuck[STUCK];

static void setup(void)
{
	w = world_new(NULL);
	w->consume_at_once = false;
	for (unsigned int i = 0; i < STUCK; i++) {
		conn_init(&stuck[i], w, (uint16_t)(40000 + i), 80);
		conn_open(&stuck[i], OPT_MSS_1460 | OPT_SCALE_7);
	}
}

static void teardown(void)
{
	cr_assert_eq(w->error, 0);
	world_free(w);
}

TestSuite(hold, .init = setup, .fini = teardown);

/* Sends until the guest's window is shut or the stack refuses. What the last acknowledgement allows is the edge. */
static uint32_t fill(struct conn *c)
{
	static uint8_t data[SEGMENT];
	uint32_t taken = 0;
	for (int i = 0; i < LONGEST; i++) {
		uint64_t refused = w->drops.count[DROP_NO_BUFFER];
		conn_send(c, F_ACK, data, sizeof(data));
		world_clear(w);
		if (w->drops.count[DROP_NO_BUFFER] != refused)
			break;
		taken++;
	}
	return taken;
}

static struct tcp *tcp_of(unsigned int i)
{
	struct flow *f;
	cr_assert_eq(flow_of_id(w->stack, stuck[i].flow, &f), 0);
	return &f->tcp;
}

static uint32_t pinned(enum buf_class c)
{
	return w->stack->holds.pinned[c];
}

Test(hold, stuck_flows_leave_room_for_the_next)
{
	uint32_t least = LONGEST;
	for (unsigned int i = 0; i < STUCK; i++) {
		uint32_t taken = fill(&stuck[i]);
		least = taken < least ? taken : least;
	}
	cr_assert_gt(least, 4, "whoever comes last gets something: %u", least);
	cr_assert_leq(pinned(BUF_SMALL), ARENA_SMALL_COUNT / 8 * 5 + STUCK);
	cr_assert_gt(pinned(BUF_SMALL), ARENA_SMALL_COUNT / 4, "and nothing is kept idle");
	cr_assert_eq(w->stack->holds.pinning_flows, STUCK);
	/* a broker that stops at three quarters never has to */
	cr_assert_lt(
		ARENA_SMALL_COUNT - w->frames.free_count[BUF_SMALL], ARENA_SMALL_COUNT / 4 * 3);
	w->consume_at_once = true;
	conn_init(&stuck[0], w, 50000, 80);
	conn_open(&stuck[0], OPT_MSS_1460 | OPT_SCALE_7);
	cr_assert_eq(fill(&stuck[0]), LONGEST, "a flow that is not stuck goes on for ever");
}

Test(hold, nothing_is_pinned_or_promised_after_the_end)
{
	for (unsigned int i = 0; i < STUCK; i++)
		fill(&stuck[i]);
	for (unsigned int i = 0; i < STUCK; i++) {
		stuck[i].seq = tcp_of(i)->rcv_nxt;
		conn_send(&stuck[i], F_RST, NULL, 0);
	}
	cr_assert_eq(w->stack->holds.pinning_flows, 0);
	for (int i = 0; i < 2; i++)
		for (int c = BUF_SMALL; c <= BUF_LARGE; c++)
			cr_assert_eq(w->stack->holds.promised[i][c], 0);
}

/* Bytes that the next acknowledgement would let the guest send beyond what is here. */
static uint32_t promise(unsigned int i)
{
	struct tcp *t = tcp_of(i);
	tcp_rx_window(w->stack, t);
	return t->rcv_adv - t->rcv_nxt;
}

Test(hold, promises_shrink_and_no_edge_is_drawn_back)
{
	static uint8_t data[SEGMENT];
	uint32_t first, all = 0, edge[STUCK];
	world_advance(w, FORGOTTEN_MS * NS_PER_MS);
	first = promise(0);
	for (unsigned int i = 0; i < STUCK; i++)
		edge[i] = tcp_of(i)->rcv_adv;
	for (int n = 0; n < LONGEST / 4; n++) {
		for (unsigned int i = 0; i < STUCK; i++) {
			struct tcp *t = tcp_of(i);
			stuck[i].seq = t->rcv_nxt;
			conn_send(&stuck[i], F_ACK, data, sizeof(data));
			promise(i);
			cr_assert(seq_le(edge[i], t->rcv_adv), "flow %u: the edge moved back", i);
			edge[i] = t->rcv_adv;
		}
		world_clear(w);
	}
	cr_assert_eq(first, TCP_WINDOW_START);
	for (unsigned int i = 0; i < STUCK; i++)
		all += promise(i);
	cr_assert_lt(all, STUCK * first / 2, "%u bytes", all);
	cr_assert_lt(promise(STUCK - 1), first / 4, "%u bytes", promise(STUCK - 1));
}

/* What is promised is taken, whatever else is pinned and in whatever order it comes. */
Test(hold, no_promised_byte_is_refused)
{
	static uint8_t data[SEGMENT];
	uint32_t edge[STUCK], taken = 0;
	for (int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < STUCK; i++) {
			struct tcp *t = tcp_of(i);
			stuck[i].seq = t->rcv_nxt;
			conn_send(&stuck[i], F_ACK, data, sizeof(data));
			tcp_rx_window(w->stack, t);
			edge[i] = t->rcv_adv;
		}
		world_clear(w);
	}
	for (unsigned int i = 0; i < STUCK; i++) {
		struct tcp *t = tcp_of(i);
		for (uint32_t seq = edge[i]; seq_le(t->rcv_nxt + SEGMENT, seq); taken++) {
			seq -= SEGMENT;
			stuck[i].seq = seq;
			conn_send(&stuck[i], F_ACK, data, sizeof(data));
		}
		world_clear(w);
	}
	cr_assert_gt(taken, STUCK);
	cr_assert_eq(w->drops.count[DROP_NO_BUFFER], 0, "%lu of %u refused",
		w->drops.count[DROP_NO_BUFFER], taken);
}

/* Those that never send leave half to those that do, at once; after a while all of it. */
Test(hold, idle_flows_take_nothing)
{
	static struct conn idle[200];
	static uint8_t data[SEGMENT];
	uint32_t promised;
	for (unsigned int i = 0; i < 200; i++) {
		conn_init(&idle[i], w, (uint16_t)(50000 + i), 80);
		conn_open(&idle[i], OPT_MSS_1460 | OPT_SCALE_7);
		world_clear(w);
	}
	promised = w->stack->holds.promised[0][BUF_SMALL] + w->stack->holds.promised[1][BUF_SMALL];
	cr_assert_gt(promised, 0);
	cr_assert_leq(promised, 500);
	conn_send(&stuck[0], F_ACK, data, sizeof(data));
	cr_assert_gt(promise(0), 10 * SEGMENT);
	world_advance(w, FORGOTTEN_MS * NS_PER_MS);
	conn_send(&stuck[0], F_ACK, data, sizeof(data));
	cr_assert_gt(promise(0), TCP_WINDOW_START - 3 * SEGMENT);
}
