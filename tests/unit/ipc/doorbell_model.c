/*
 * The doorbell, every interleaving of the real ring.c: processes that send, take, flush, sleep and wake as ipc/actor.c does,
 * with every load, store, fence and bell of link_* a point at which the others may run first (explore.h says how, and
 * what order of stores is allowed).
 *
 * Real: ring.c, all of it. Modelled: the loop of actor.c (turn, flush, sleep, wait, wake; a bell that was rung while its
 * process was awake wakes the next wait at once), and time: a timer fires only when nothing else wakes a process, and
 * only where a scenario has one, so that it can't hide a lost bell.
 *
 * A state in which all wait and something is unsent or untaken is a stall. mutants.py takes one element after the other
 * out of ring.c and expects this program to find one: doorbell_model [scenario], exit 1 and a line when it does.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "explore.h"
#include "ring.h"
#include "topology.h"

static ssize_t model_bell(int fd, const void *bytes, size_t n);

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_thread_fence
#define atomic_load_explicit(at, order)		explore_load(at)
#define atomic_store_explicit(at, value, order) explore_store(at, value, order)
#define atomic_thread_fence(order)		explore_fence()
#define write					model_bell
#ifndef RING_SOURCE
#define RING_SOURCE "../../../ipc/ring.c"
#endif
#include RING_SOURCE

enum { NODES = 3, LINKS = 2, BELL_FIRST = 100, IDS_KEPT = 4 };

/* What a process does: all that stays the same. */
struct plan {
	/* Turn by turn, sent on link 0: u urgent, z lazy, f until the ring is full; '|' the rest comes from outside while asleep, ',' next turn. */
	const char *script;
	int forward_to;	     /* each message taken sends an urgent one on this link; -1: none */
	uint32_t take;	     /* messages a turn and link */
	uint32_t take_first; /* the same in the first turn, 0 = as the others */
	bool timer;	     /* lazy messages are rung when nothing else happens */
};

enum place { TURN_TAKE, TURN_SEND, FLUSH, SLEEP, WAIT, WAKE };

/* Where it is. */
struct node_state {
	uint8_t at, link, more, ring_lazy;
	uint16_t script_at;
	bool turned;
	uint32_t owed;
	uint32_t sent[LINKS], got[LINKS];
};

static struct node {
	struct plan plan;
	struct node_state s;
	struct link *link[LINKS];
	int peer[LINKS], peers_link[LINKS];
	int links;
} nodes[NODES];

static struct ring_region regions[LINKS][2];
static struct link ends[LINKS][2];
static struct node node_zero;
static bool bells[NODES];
static const char *broken;

static ssize_t model_bell(int fd, const void *bytes, size_t n)
{
	if (explore_touch())
		bells[fd - BELL_FIRST] = true;
	return (ssize_t)n;
}

static struct ring_desc message(const struct link *l)
{
	/* any operation without payload that the direction knows; the same for every message */
	if (l->from == ACTOR_NETSTACK && l->to == ACTOR_NATPROXY)
		return (struct ring_desc){.op = RING_NETSTACK_TCP_CREDIT};
	if (l->from == ACTOR_NATPROXY)
		return (struct ring_desc){.op = RING_NATPROXY_TCP_CONSUMED};
	if (l->from == ACTOR_BROKER)
		return (struct ring_desc){.op = RING_BROKER_FRAME};
	return (struct ring_desc){.op = RING_NETSTACK_SEND};
}

static void next_link(struct node *n, enum place after)
{
	if (++n->s.link < n->links)
		return;
	n->s.link = 0;
	n->s.at = (uint8_t)after;
}

/* Takes what is known to be there, or looks once whether something is. */
static void take(struct node *n)
{
	struct link *l = n->link[n->s.link];
	uint32_t budget = !n->s.turned && n->plan.take_first ? n->plan.take_first : n->plan.take;
	struct ring_desc d;
	int got;

	do {
		got = link_recv(l, &d, NULL);
		if (got < 0)
			broken = "a peer was taken for hostile";
		if (got != 1)
			break;
		n->s.got[n->s.link]++;
		n->s.owed += n->plan.forward_to >= 0;
	} while (--budget && l->tail != l->peer_head);
	n->s.more |= !budget;
	next_link(n, TURN_SEND);
}

/* One message, or the end of the turn's sending. */
static void send_one(struct node *n)
{
	char what = n->plan.script[n->s.script_at];
	bool forward = n->s.owed > 0;
	int to = forward ? n->plan.forward_to : 0;
	struct link *l = n->link[to];
	struct ring_desc d = message(l);
	int error = 0;

	if (!forward && (what == '|' || what == ',' || !what)) {
		if (what == ',') {
			n->s.more = 1;
			n->s.script_at++;
		}
		n->s.at = FLUSH;
		return;
	}
	if (!forward && what == 'f') {
		while (link_send(l, LINK_DATA, &d, NULL) == 0)
			n->s.sent[to]++;
		n->s.script_at++;
		return;
	}
	if (!forward && what == 'z')
		error = link_send_lazy(l, LINK_DATA, &d);
	else
		error = link_send(l, LINK_DATA, &d, NULL);
	if (error) {
		n->s.at = FLUSH;
		return;
	}
	n->s.sent[to]++;
	if (forward)
		n->s.owed--;
	else
		n->s.script_at++;
}

static void flush(struct node *n)
{
	struct link *l = n->link[n->s.link];
	bool last = n->s.link + 1 == n->links;

	n->s.turned = true;
	/* two calls a link, as in the skeleton: publish, then what the timer asks for */
	if (n->s.ring_lazy == 2) {
		link_ring(l);
		n->s.ring_lazy = last ? 0 : 1;
		next_link(n, n->s.more ? TURN_TAKE : SLEEP);
		n->s.more &= !last;
		return;
	}
	link_flush(l);
	if (n->s.ring_lazy == 1) {
		n->s.ring_lazy = 2;
		return;
	}
	next_link(n, n->s.more ? TURN_TAKE : SLEEP);
	n->s.more &= !last;
}

static bool has_lazy(const struct node *n)
{
	bool lazy = false;

	for (int i = 0; i < n->links; i++)
		lazy |= link_has_lazy(n->link[i]);
	return lazy;
}

static bool wait(int self)
{
	struct node *n = &nodes[self];

	n->s.at = WAKE;
	if (bells[self]) {
		bells[self] = false;
		return true;
	}
	if (n->plan.script[n->s.script_at] == '|') {
		n->s.script_at++;
		return true;
	}
	if (n->plan.timer && has_lazy(n)) {
		n->s.ring_lazy = 1;
		return true;
	}
	n->s.at = WAIT;
	return false;
}

static enum explore_call call(int self)
{
	struct node *n = &nodes[self];

	switch ((enum place)n->s.at) {
	case TURN_TAKE: take(n); break;
	case TURN_SEND: send_one(n); break;
	case FLUSH: flush(n); break;
	case SLEEP: n->s.at = link_sleep(n->link, (size_t)n->links) ? WAIT : TURN_TAKE; break;
	case WAIT: return wait(self) ? CALL_DONE : CALL_BLOCKED;
	case WAKE:
		link_wake(n->link, (size_t)n->links);
		n->s.at = TURN_TAKE;
		break;
	}
	return CALL_DONE;
}

static const char *always(void)
{
	return broken;
}

static const char *stalled(void)
{
	for (int i = 0; i < NODES; i++) {
		const struct node *n = &nodes[i];

		if (n->links && (n->plan.script[n->s.script_at] || n->s.owed))
			return "a stall: something was never sent";
		for (int k = 0; k < n->links; k++)
			if (nodes[n->peer[k]].s.got[n->peers_link[k]] != n->s.sent[k])
				return "a stall: something was never taken";
	}
	return NULL;
}

static struct explore search;

static void begin(const char *name)
{
	explore_begin(&search, name, stalled, always);
	memset(ends, 0, sizeof(ends));
	memset(bells, 0, sizeof(bells));
	for (int i = 0; i < NODES; i++)
		nodes[i] = node_zero;
	broken = NULL;
	explore_add_range(&search, EXPLORE_SHARED, bells, sizeof(bells));
	explore_add_range(&search, EXPLORE_SHARED, &broken, sizeof(broken));
}

static void add_node(const struct plan *plan)
{
	int self = explore_add_process(&search, call);

	nodes[self].plan = *plan;
	explore_add_range(&search, self, &nodes[self].s, sizeof(nodes[self].s));
}

static void add_end(int self, int peer, int which, int side, uint8_t from, uint8_t to)
{
	struct link *l = &ends[which][side];
	struct node *n = &nodes[self];
	struct ring_region *mine = &regions[which][side];

	link_init(l, mine, &regions[which][1 - side], from, to, 0, RING_OP_NONE, BELL_FIRST + peer);
	n->peer[n->links] = peer;
	n->link[n->links++] = l;
	explore_add_range(&search, self, &l->head,
		offsetof(struct link, release_ids) + IDS_KEPT * sizeof(uint32_t) -
			offsetof(struct link, head));
	explore_set(&mine->head, 0);
	explore_set(&mine->tail, 0);
	explore_set(&mine->sleep_epoch, 0);
	explore_add_range(&search, EXPLORE_SHARED, &mine->head, sizeof(mine->head));
	explore_add_range(&search, EXPLORE_SHARED, &mine->tail, sizeof(mine->tail));
	explore_add_range(&search, EXPLORE_SHARED, &mine->sleep_epoch, sizeof(mine->sleep_epoch));
}

/* Ring number `which` between two nodes that are actors a and b. */
static void join(int which, int node_a, uint8_t a, int node_b, uint8_t b)
{
	int link_of_a = nodes[node_a].links;

	add_end(node_a, node_b, which, 0, a, b);
	add_end(node_b, node_a, which, 1, b, a);
	nodes[node_a].peers_link[link_of_a] = nodes[node_b].links - 1;
	nodes[node_b].peers_link[nodes[node_b].links - 1] = link_of_a;
}

/* As if `n` messages had been published by node a's side of ring `which` and not one taken. */
static void fill(int which, int node_a, int link_a, uint32_t n)
{
	struct link *l = &ends[which][0];
	struct ring_desc d = message(l);

	for (uint32_t i = 0; i < n; i++)
		regions[which][0].desc[i] = d;
	l->head = l->published = l->announced = n;
	explore_set(&regions[which][0].head, n);
	nodes[node_a].s.sent[link_a] = n;
}

static const struct plan listener = {.script = "", .forward_to = -1, .take = 8};

static void two(const char *name, const struct plan *a, const struct plan *b)
{
	begin(name);
	add_node(a);
	add_node(b);
	join(0, 0, ACTOR_NETSTACK, 1, ACTOR_NATPROXY);
}

static void messages_while_asleep_and_awake(void)
{
	two("messages", &(struct plan){.script = "u|u,uu|u", .forward_to = -1, .take = 8},
		&listener);
}

static void both_speak(void)
{
	two("both", &(struct plan){.script = "u|u", .forward_to = -1, .take = 8},
		&(struct plan){.script = "|u", .forward_to = -1, .take = 1});
}

static void question_and_answer(void)
{
	two("answer", &(struct plan){.script = "u|uu", .forward_to = -1, .take = 8},
		&(struct plan){.script = "", .forward_to = 0, .take = 1});
}

static void two_neighbours(void)
{
	begin("neighbours");
	search.in_order = true;
	add_node(&(struct plan){.script = "u", .forward_to = -1, .take = 8});
	add_node(&listener);
	add_node(&(struct plan){.script = "|u", .forward_to = -1, .take = 8});
	join(0, 0, ACTOR_BROKER, 1, ACTOR_NETSTACK);
	join(1, 2, ACTOR_NATPROXY, 1, ACTOR_NETSTACK);
}

static void through_the_middle(void)
{
	begin("chain");
	search.in_order = true;
	add_node(&(struct plan){.script = "u", .forward_to = -1, .take = 8});
	add_node(&(struct plan){.script = "", .forward_to = 1, .take = 8});
	add_node(&listener);
	join(0, 0, ACTOR_BROKER, 1, ACTOR_NETSTACK);
	join(1, 1, ACTOR_NETSTACK, 2, ACTOR_NATPROXY);
}

static void lazy_has_a_timer(void)
{
	two("lazy",
		&(struct plan){
			.script = "z|zu|z,z|u|z", .forward_to = -1, .take = 8, .timer = true},
		&listener);
}

static void lazy_to_two(void)
{
	begin("lazy-two");
	search.in_order = true;
	add_node(&(struct plan){.script = "z,u", .forward_to = -1, .take = 8, .timer = true});
	add_node(&(struct plan){.script = "", .forward_to = 1, .take = 8, .timer = true});
	add_node(&listener);
	join(0, 0, ACTOR_BROKER, 1, ACTOR_NETSTACK);
	join(1, 1, ACTOR_NETSTACK, 2, ACTOR_NATPROXY);
}

/* The ring is full of data: the sender sleeps for room, whichever way the reader takes it. */
static void full_ring(const char *name, uint32_t take_first, uint32_t take_rest)
{
	two(name, &(struct plan){.script = "u|u", .forward_to = -1, .take = 8},
		&(struct plan){.script = "",
			.forward_to = -1,
			.take = take_rest,
			.take_first = take_first});
	fill(0, 0, 0, RING_SLOTS - RING_RESERVED);
}

static void room_in_gulps(void)
{
	full_ring("room", 1500, 1500);
}

static void room_by_one(void)
{
	full_ring("room-one", 1, RING_SLOTS);
}

/* The reader took what it had seen while the sender filled the ring behind it: less than half seems to be in use. */
static void room_behind_the_reader(void)
{
	two("room-behind", &(struct plan){.script = "fu", .forward_to = -1, .take = 8},
		&(struct plan){.script = "", .forward_to = -1, .take = RING_SLOTS});
	fill(0, 0, 0, 1900);
}

static void room_at_once(void)
{
	full_ring("room-all", RING_SLOTS, RING_SLOTS);
}

int main(int argc, char **argv)
{
	static void (*const scenarios[])(void) = {messages_while_asleep_and_awake, both_speak,
		question_and_answer, two_neighbours, through_the_middle, lazy_has_a_timer,
		lazy_to_two, room_in_gulps, room_by_one, room_behind_the_reader, room_at_once};
	int bad = 0;

	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		const char *wrong;

		scenarios[i]();
		if (argc > 1 && strcmp(argv[1], search.name) != 0)
			continue;
		wrong = explore_run(&search);
		fflush(stdout);
		printf("%s: %zu states, %zu ends: %s\n", search.name, search.states, search.ends,
			wrong ? wrong : "no stall");
		bad |= wrong != NULL || (!wrong && search.ends == 0);
		if (wrong)
			break;
	}
	return bad;
}
