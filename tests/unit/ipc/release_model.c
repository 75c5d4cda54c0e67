/*
 * Who may write a payload buffer when: every interleaving of its owner, netstack, its last reader and the guest.
 *
 * Real: ipc/ring.c, ipc/arena.c, netstack/hold.c. Modelled: what the actors do around them, in the order in which their
 * main.c does it (netstack: take, acknowledgements, send, hold_poll, then publish to both neighbours; broker: take and
 * write a batch, then publish its tail), a guest that acknowledges the moment a descriptor is made, before anybody has
 * read it, and asks for bytes again; natproxy as the reader of uploads. A restart needs no model: broker, netstack and
 * natproxy are replaced together, with new rings and arenas.
 *
 * Every fill of a buffer is stamped. A reader that finds another stamp than its descriptor says has been given somebody
 * else's bytes; at the end every buffer must be home. mutants.py takes ring.c and hold.c apart against this.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "explore.h"
#include "state.h"

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_thread_fence
#define atomic_load_explicit(at, order)		explore_load(at)
#define atomic_store_explicit(at, value, order) explore_store(at, value, order)
#define atomic_thread_fence(order)		explore_fence()
#ifndef RING_SOURCE
#define RING_SOURCE "../../../ipc/ring.c"
#endif
#ifndef HOLD_SOURCE
#define HOLD_SOURCE "../../../netstack/hold.c"
#endif
#include RING_SOURCE
#include HOLD_SOURCE

enum { BUFFERS = 2, QUEUE = 4, SLOTS_KEPT = 6, IDS_KEPT = 4, ARENAS = 2 };
enum role { OWNER, STACK, READER, GUEST };

/* download: the owner is natproxy, the reader the broker. upload: the other way round, and nobody acknowledges. */
static struct setting {
	const char *name;
	bool upload, strict;
	bool hasty; /* the reader publishes its tail before it reads: must be found out */
	uint32_t fills;
	const char *guest; /* a: acknowledges one more, d: asks again for the first */
} setting;

static _Atomic uint32_t payload[ARENAS][BUFFERS]; /* the owner's, and netstack's copies */
static _Atomic uint32_t acked, again;
static const char *broken;

static struct ring_region regions[2][2];
static struct link near_owner[2], near_reader[2]; /* [0] is netstack's end */
static struct arena arenas[ARENAS];
static struct stack stack;
static struct drops drops;

static struct owner {
	uint8_t at;
	uint32_t stamp;
} owner;

static struct middle {
	uint8_t at;
	uint32_t id[QUEUE], stamp[QUEUE]; /* in stream order, from `una` on */
	bool due[QUEUE];
	uint32_t una, sent, end, again;
} middle;

static struct reader {
	uint8_t at;
	struct ring_desc d;
	uint32_t batch;
} reader;

static struct guest_state {
	uint8_t at;
} guest;

void tcp_share_unpinned(struct stack *s, uint32_t flow, enum buf_class c)
{
	/* flows are not what this is about */
}

static bool waiting(const struct link *l)
{
	return l->theirs->head != l->tail;
}

static struct ring_seg seg_of(uint32_t id)
{
	return (struct ring_seg){buf_offset(buf_index(id)), 1, id};
}

static bool has_buffer(const struct arena *a)
{
	return a->free_count[BUF_SMALL] > ARENA_RESERVED;
}

/* The owner of the payload. */

static void owner_take_release(void)
{
	struct ring_desc d;

	if (link_recv(&near_owner[1], &d, NULL) != 1)
		broken = "the owner takes netstack for hostile";
	for (unsigned int i = 0; i < d.nseg && !broken; i++)
		if (arena_return(&arenas[0], d.ids[i], ACTOR_NETSTACK) < 0)
			broken = "given back what was not lent";
}

static void owner_fill(void)
{
	uint32_t id = arena_take(&arenas[0], BUF_SMALL, false);
	struct ring_desc d = {.op = setting.upload ? RING_BROKER_FRAME : RING_NATPROXY_TCP_DATA,
		.nseg = 1,
		.flow = owner.stamp + 1,
		.seg = {seg_of(id)}};

	explore_store(&payload[0][buf_index(id)], ++owner.stamp, memory_order_relaxed);
	arena_lend(&arenas[0], id, ACTOR_NETSTACK);
	link_send(&near_owner[1], LINK_DATA, &d, NULL);
}

static enum explore_call owner_call(int self)
{
	if (owner.at) {
		link_flush(&near_owner[1]);
		owner.at = 0;
	} else if (waiting(&near_owner[1])) {
		owner_take_release();
		owner.at = 1;
	} else if (owner.stamp < setting.fills && has_buffer(&arenas[0])) {
		owner_fill();
		owner.at = 1;
	} else {
		return CALL_BLOCKED;
	}
	return CALL_DONE;
}

/* netstack. */

static void stack_take(void)
{
	struct ring_desc d;
	int got, error;

	if (!waiting(&near_owner[0]))
		return;
	got = link_recv(&near_owner[0], &d, NULL);
	error = got != 1	 ? -1
		: setting.upload ? hold_take_frame(&stack, d.seg[0].id)
				 : hold_take_read(&stack, d.seg[0].id);
	if (error) {
		broken = "netstack takes the owner for hostile";
		return;
	}
	middle.id[middle.end % QUEUE] = d.seg[0].id;
	middle.stamp[middle.end % QUEUE] = d.flow;
	middle.due[middle.end++ % QUEUE] = true;
}

static void stack_acknowledged(void)
{
	uint32_t una = explore_load(&acked);

	while (middle.una != middle.sent && middle.una < una)
		hold_limbo(&stack, middle.id[middle.una++ % QUEUE]);
}

static void stack_again(void)
{
	uint32_t asked = explore_load(&again);

	if (asked != middle.again && middle.una != middle.sent)
		middle.due[middle.una % QUEUE] = true;
	middle.again = asked;
}

/* A copy in an own buffer, or the buffer itself; 0 when there is none. */
static uint32_t stack_payload(uint32_t at)
{
	uint32_t id = middle.id[at % QUEUE], copy;

	if (!setting.strict)
		return id;
	copy = hold_take_own(&stack, BUF_SMALL);
	if (copy)
		explore_store(&payload[1][buf_index(copy)], middle.stamp[at % QUEUE],
			memory_order_relaxed);
	return copy;
}

static void stack_send(void)
{
	uint32_t at = middle.una, id;
	struct ring_desc d = {
		.op = setting.upload ? RING_NETSTACK_TCP_DATA : RING_NETSTACK_SEND, .nseg = 1};

	while (at != middle.end && !middle.due[at % QUEUE])
		at++;
	if (at == middle.end)
		return;
	id = stack_payload(at);
	if (!id)
		return;
	middle.due[at % QUEUE] = false;
	d.flow = middle.stamp[at % QUEUE];
	d.seg[0] = seg_of(id);
	link_send(&near_reader[0], LINK_DATA, &d, NULL);
	if (setting.strict && setting.upload)
		hold_release(&stack, middle.id[at % QUEUE]);
	if (setting.upload) {
		hold_lend(&stack, id);
		middle.una++;
	} else if (setting.strict) {
		hold_limbo(&stack, id);
	}
	if (middle.sent == at)
		middle.sent++;
}

static void stack_take_release(void)
{
	struct ring_desc d;

	if (!waiting(&near_reader[0]))
		return;
	if (link_recv(&near_reader[0], &d, NULL) != 1)
		broken = "netstack takes the reader for hostile";
	for (unsigned int i = 0; i < d.nseg && !broken; i++)
		if (hold_returned(&stack, d.ids[i]) < 0)
			broken = "given back to netstack what was not lent";
}

static bool stack_has_work(void)
{
	bool due = false;

	for (uint32_t i = middle.una; i != middle.end; i++)
		due |= middle.due[i % QUEUE];
	if (due && setting.strict && !has_buffer(&arenas[1]))
		due = false; /* waits for the reader */
	if (stack.holds.limbo_head != stack.holds.limbo_tail)
		due |= reached(near_reader[0].theirs->tail,
			stack.holds.limbo[stack.holds.limbo_head % ARRAY_COUNT(stack.holds.limbo)]
				.index);
	return due || waiting(&near_owner[0]) || waiting(&near_reader[0]) ||
	       (middle.una != middle.sent && (middle.una < acked || again != middle.again));
}

static enum explore_call stack_call(int self)
{
	switch (middle.at) {
	case 0:
		if (!stack_has_work())
			return CALL_BLOCKED;
		break;
	case 1: stack_take(); break;
	case 2: stack_take_release(); break;
	case 3: stack_acknowledged(); break;
	case 4: stack_again(); break;
	case 5: stack_send(); break;
	case 6: hold_poll(&stack); break;
	case 7: link_flush(setting.upload ? &near_owner[0] : &near_reader[0]); break;
	default: link_flush(setting.upload ? &near_reader[0] : &near_owner[0]); break;
	}
	middle.at = (uint8_t)((middle.at + 1) % 9);
	return CALL_DONE;
}

/* Who reads the payload last. */

static void reader_read(void)
{
	uint32_t id = reader.d.seg[0].id;
	uint32_t stamp = explore_load(&payload[buf_arena(id) == ARENA_NETSTACK][buf_index(id)]);

	if (stamp != reader.d.flow)
		broken = "a reader got bytes that were not meant for it";
	if (setting.upload)
		link_release(&near_reader[1], id);
}

static enum explore_call reader_call(int self)
{
	enum { LOOK, READ, PUBLISH, READ_LATE };

	switch (reader.at) {
	case LOOK:
		if (!waiting(&near_reader[1]) && !reader.batch)
			return CALL_BLOCKED;
		if (!waiting(&near_reader[1])) {
			reader.at = PUBLISH;
			break;
		}
		if (link_peek(&near_reader[1], &reader.d, NULL) != 1)
			broken = "the reader takes netstack for hostile";
		if (setting.hasty)
			link_consumed(&near_reader[1]);
		reader.at = setting.hasty ? PUBLISH : READ;
		break;
	case READ:
		reader_read();
		link_consumed(&near_reader[1]);
		reader.at = ++reader.batch == 2 ? PUBLISH : LOOK;
		break;
	case PUBLISH:
		link_flush(&near_reader[1]);
		reader.batch = 0;
		reader.at = setting.hasty ? READ_LATE : LOOK;
		break;
	default:
		reader_read();
		reader.at = LOOK;
		break;
	}
	return CALL_DONE;
}

static enum explore_call guest_call(int self)
{
	if (!setting.guest[guest.at])
		return CALL_BLOCKED;
	if (explore_touch()) {
		if (setting.guest[guest.at] == 'a')
			explore_set(&acked, acked + 1);
		else
			explore_set(&again, again + 1);
	}
	guest.at++;
	return CALL_DONE;
}

static const char *always(void)
{
	return broken;
}

static const char *everything_is_home(void)
{
	if (owner.stamp != setting.fills)
		return "the owner starves";
	if (arenas[0].free_count[BUF_SMALL] != ARENA_RESERVED + BUFFERS)
		return "a buffer of the owner is lost";
	if (setting.strict && arenas[1].free_count[BUF_SMALL] != ARENA_RESERVED + BUFFERS)
		return "a buffer of netstack is lost";
	return NULL;
}

static struct explore search;

static void share(_Atomic uint32_t *at)
{
	explore_set(at, 0);
	explore_add_range(&search, EXPLORE_SHARED, at, sizeof(*at));
}

static void add_link(struct link *l, int self, int which, int side, uint8_t from, uint8_t to)
{
	struct ring_region *mine = &regions[which][side];

	link_init(l, mine, &regions[which][1 - side], from, to,
		link_arenas(setting.strict ? DATA_PATH_STRICT : DATA_PATH_SHARED, to, from),
		link_release_op(from, to), -1);
	explore_add_range(&search, self, &l->head,
		offsetof(struct link, release_ids) + IDS_KEPT * sizeof(uint32_t) -
			offsetof(struct link, head));
	share(&mine->head);
	share(&mine->tail);
	share(&mine->sleep_epoch);
	memset(mine->desc, 0, sizeof(mine->desc));
	explore_add_range(&search, EXPLORE_SHARED, mine->desc, SLOTS_KEPT * sizeof(mine->desc[0]));
}

static void add_arena(int which, int self, enum arena_id id)
{
	static uint8_t nothing[1];
	struct arena *a = &arenas[which];

	arena_init(a, id, nothing);
	/* what data may not take lies below */
	for (uint32_t i = 0; i < BUFFERS; i++)
		a->free[ARENA_RESERVED + i] = i;
	a->free_count[BUF_SMALL] = ARENA_RESERVED + BUFFERS;
	explore_add_range(&search, self, a->free_count, sizeof(a->free_count));
	explore_add_range(&search, self, &a->free[ARENA_RESERVED], BUFFERS * sizeof(a->free[0]));
	explore_add_range(&search, self, a->lent_to, BUFFERS);
}

static void add_holds(void)
{
	struct hold_table *t = &stack.holds;

	memset(&stack.holds, 0, sizeof(stack.holds));
	stack.broker = setting.upload ? &near_owner[0] : &near_reader[0];
	stack.natproxy = setting.upload ? &near_reader[0] : &near_owner[0];
	stack.arena = &arenas[1];
	stack.drops = &drops;
	explore_add_range(&search, STACK, t->rx, BUFFERS * sizeof(t->rx[0]));
	explore_add_range(&search, STACK, &t->rx[ARENA_MAX_IDS], BUFFERS * sizeof(t->rx[0]));
	explore_add_range(&search, STACK, t->tx, BUFFERS * sizeof(t->tx[0]));
	explore_add_range(&search, STACK, t->limbo, 8 * sizeof(t->limbo[0]));
	explore_add_range(&search, STACK, &t->limbo_head,
		sizeof(*t) - offsetof(struct hold_table, limbo_head));
}

static void begin(const struct setting *s)
{
	const uint8_t first = s->upload ? ACTOR_BROKER : ACTOR_NATPROXY;
	const uint8_t last = s->upload ? ACTOR_NATPROXY : ACTOR_BROKER;

	setting = *s;
	explore_begin(&search, s->name, everything_is_home, always);
	explore_add_process(&search, owner_call);
	explore_add_process(&search, stack_call);
	explore_add_process(&search, reader_call);
	explore_add_process(&search, guest_call);
	broken = NULL;
	owner = (struct owner){0};
	middle = (struct middle){0};
	reader = (struct reader){0};
	guest = (struct guest_state){0};
	explore_add_range(&search, OWNER, &owner, sizeof(owner));
	explore_add_range(&search, STACK, &middle, sizeof(middle));
	explore_add_range(&search, READER, &reader, sizeof(reader));
	explore_add_range(&search, GUEST, &guest, sizeof(guest));
	explore_add_range(&search, EXPLORE_SHARED, &broken, sizeof(broken));
	share(&acked);
	share(&again);
	for (int a = 0; a < ARENAS; a++)
		for (int i = 0; i < BUFFERS; i++)
			share(&payload[a][i]);
	add_link(&near_owner[0], STACK, 0, 0, ACTOR_NETSTACK, first);
	add_link(&near_owner[1], OWNER, 0, 1, first, ACTOR_NETSTACK);
	add_link(&near_reader[0], STACK, 1, 0, ACTOR_NETSTACK, last);
	add_link(&near_reader[1], READER, 1, 1, last, ACTOR_NETSTACK);
	add_arena(0, OWNER, s->upload ? ARENA_BROKER : ARENA_NATPROXY);
	add_arena(1, STACK, ARENA_NETSTACK);
	add_holds();
}

int main(int argc, char **argv)
{
	static const struct setting settings[] = {
		{.name = "download", .fills = 3, .guest = "aaa"},
		{.name = "again", .fills = 3, .guest = "adaa"},
		{.name = "copies", .strict = true, .fills = 2, .guest = "dada"},
		{.name = "upload", .upload = true, .fills = 3, .guest = ""},
		{.name = "upload-copies", .upload = true, .strict = true, .fills = 3, .guest = ""},
		{.name = "hasty", .hasty = true, .fills = 3, .guest = "aaa"},
	};
	bool bad = false;

	for (size_t i = 0; i < ARRAY_COUNT(settings) && !bad; i++) {
		const char *wrong;

		if (argc > 1 && strcmp(argv[1], settings[i].name) != 0)
			continue;
		begin(&settings[i]);
		wrong = explore_run(&search);
		printf("%s: %zu states, %zu ends: %s\n", search.name, search.states, search.ends,
			wrong ? wrong : "every read right, every buffer home");
		bad = settings[i].hasty ? !wrong : wrong || !search.ends;
	}
	return bad;
}
