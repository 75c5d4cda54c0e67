/*
 * The supervisor among hostile workers and hostile operators: records of any worker of a hub with two shards, in any state,
 * and requests of clients at both doors, against the real dispatch, the real handlers and a real configuration.
 *
 * An input is a list of acts {who, length (2, little-endian), bytes}: 0-7 a worker, 8-11 a client (two of them
 * administrators), 12 the end of a client's answer, 13 a turn. No process is there behind a worker and no file behind the log, so
 * nothing outside is touched; a port is refused because what comes along is no interface. What is said goes nowhere,
 * but it must be readable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "change.h"
#include "conf.h"
#include "crew.h"
#include "events.h"
#include "grow.h"
#include "hublog.h"
#include "operator_dispatch.h"
#include "rewind.h"
#include "super_dispatch.h"
#include "supervisor.h"

enum {
	SHARDS = 2,
	CLIENTS = 4,
	ACTS = 32,
	ACT_AT = 3,
	CLIENT_FIRST = 8,
	TAKEN = 12,
	TURN = 13,
	WHO = 14
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
void __wrap_ev_io_start(struct ev_loop *loop, struct ev_io *w);
void __wrap_ev_io_stop(struct ev_loop *loop, struct ev_io *w);
void __wrap_ev_timer_start(struct ev_loop *loop, struct ev_timer *w);
void __wrap_ev_timer_stop(struct ev_loop *loop, struct ev_timer *w);
void __wrap_say(const char *fmt, ...);

static struct supervisor *s;
static struct ev_loop *loop;
static uint8_t *packed;
static size_t packed_bytes;
static uint8_t *queue[CLIENTS];
static int free_fd; /* the number that is free between inputs */

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* The kernel and libev. */

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	require(m->msg_iovlen == 1 && m->msg_iov[0].iov_len <= CHAN_MAX_BYTES);
	return (ssize_t)m->msg_iov[0].iov_len;
}

void __wrap_ev_io_start(struct ev_loop *l, struct ev_io *w)
{
	w->active = 1;
}

void __wrap_ev_io_stop(struct ev_loop *l, struct ev_io *w)
{
	w->active = 0;
}

void __wrap_ev_timer_start(struct ev_loop *l, struct ev_timer *w)
{
	w->active = 1;
}

void __wrap_ev_timer_stop(struct ev_loop *l, struct ev_timer *w)
{
	w->active = 0;
}

void __wrap_say(const char *fmt, ...)
{
}

/* A supervisor. */

static void pack_config(void)
{
	static const char text[] =
		"hubs: [{name: default, shards: \"2\", dhcp: {persist: false}}]\n"
		"log: {file: none, journal: \"false\"}\n";
	struct conf_error error;
	Nl__Config *config = conf_parse("fuzz", text, sizeof(text) - 1, &error);
	require(config != NULL);
	packed_bytes = nl__config__get_packed_size(config);
	packed = malloc(packed_bytes);
	require(packed && nl__config__pack(config, packed) == packed_bytes);
	conf_free(config);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	loop = ev_loop_new(EVBACKEND_SELECT | EVFLAG_NOENV);
	pack_config();
	s = rewind_alloc(sizeof(*s));
	pool_init(&s->pool, s->pool_bytes, sizeof(s->pool_bytes));
	s->loop = loop;
	s->signal_fd = s->ready_fd = s->resolvers.fd = -1;
	s->config_named = s->locked = true;
	s->config_path = "/nonexistent/natlock.yaml";
	s->logsock.fd = -1;
	s->op.super = s;
	s->op.has_readers = true;
	s->op.door[0].fd = s->op.door[1].fd = -1;
	s->hubs = 1;
	s->hub[0] = (struct hub){.super = s, .shards = SHARDS, .born = true, .generation = 1};
	s->hub[0].store.fd = -1;
	share_init(&s->hub[0].share);
	s->hub[0].share.shards = SHARDS;
	hub_crew(&s->hub[0]);
	for (unsigned int i = 0; i < HUB_PORTS; i++)
		s->hub[0].port[i].fd = -1;
	for (unsigned int i = 0; i < s->hub[0].workers; i++)
		s->hub[0].worker[i].queue = rewind_alloc(HUB_QUEUE_BYTES);
	for (unsigned int i = 0; i < CLIENTS; i++)
		queue[i] = rewind_alloc(OPERATOR_QUEUE);
	rewind_keep();
	return 0;
}

static Nl__Config *config_again(void)
{
	Nl__Config *c = nl__config__unpack(NULL, packed_bytes, packed);
	require(c != NULL);
	return c;
}

static void begin_worker(struct worker *w, uint8_t state)
{
	w->pidfd = -1;
	w->state = state ? (enum worker_state)(state % (WORKER_GONE + 1)) : WORKER_RUNNING;
	chan_init(&w->chan, -1, &s->pool, w->queue, HUB_QUEUE_BYTES);
}

static void begin(uint8_t states)
{
	static const uint8_t mac[6] = {0, 0xac, 1, 2, 3, 4};
	struct hub *hub = &s->hub[0];
	rewind_back();
	s->config = config_again();
	s->file = config_again();
	s->kept = config_again();
	memcpy(hub->mac, mac, sizeof(mac));
	hub->conf = change_in_force(s->config->hubs[0], mac);
	require(hub->conf != NULL);
	hublog_open(hub);
	for (unsigned int i = 0; i < hub->workers; i++)
		begin_worker(
			&hub->worker[i], states >> i & 1 ? (uint8_t)(1 + (states + i) % 6) : 0);
	for (unsigned int i = 0; i < CLIENTS; i++) {
		struct operator_peer *p = &s->op.peer[i];
		*p = (struct operator_peer){.op = &s->op, .used = true, .admin = i & 1};
		p->queue = queue[i];
		chan_init(&p->chan, -1, &s->pool, p->queue, OPERATOR_QUEUE);
	}
}

static void end(void)
{
	struct hub *hub = &s->hub[0];
	crew_sync(hub);
	for (unsigned int i = 0; i < CLIENTS; i++) {
		events_forget(s, &s->op.peer[i]);
		free(s->op.peer[i].text);
	}
	store_close(&hub->store);
	hublog_close(hub);
	nl__hub__free_unpacked(hub->conf, NULL);
	conf_free(s->config);
	conf_free(s->file);
	conf_free(s->kept);
}

/* Acts. */

static void hear(struct worker *w, struct chan_in *in)
{
	struct super_peer peer = {w};
	int r = -EPROTO;
	switch (w->id) {
	case ACTOR_BROKER: r = super_dispatch_broker(&peer, in); break;
	case ACTOR_NETSTACK: r = super_dispatch_netstack(&peer, in); break;
	case ACTOR_NATPROXY: r = super_dispatch_natproxy(&peer, in); break;
	case ACTOR_DHCPD: r = super_dispatch_dhcpd(&peer, in); break;
	case ACTOR_ALG: r = super_dispatch_alg(&peer, in); break;
	case ACTOR_COUNT: break;
	}
	require(r == 0 || r == -EPROTO);
}

/* As operator.c has it: who asks again before he has the answer is let go. */
static void ask(struct operator_peer *p, struct chan_in *in)
{
	if (p->worker || p->text || p->ordered || p->chan.error)
		chan_drop_fds(in);
	else
		operator_dispatch_request(p, in);
}

static void check(void)
{
	const struct hub *hub = &s->hub[0];
	require(s->notes <= SUPERVISOR_NOTES && s->hubs == 1 && hub->workers == 2 + 3 * SHARDS);
	require(hub->conf && s->config && s->pool.used <= s->pool.cap);
	for (unsigned int i = 0; i < s->notes; i++)
		require(memchr(s->note[i], 0, SUPERVISOR_NOTE) && !strpbrk(s->note[i], "\n\033"));
	for (unsigned int i = 0; i < hub->workers; i++)
		require(memchr(hub->worker[i].blame, 0, sizeof(hub->worker[i].blame)) != NULL);
}

static void act(uint8_t who, const uint8_t *bytes, size_t n)
{
	struct chan_in in = {.bytes = bytes, .len = n, .pool = &s->pool};
	struct hub *hub = &s->hub[0];
	if (who & 0x80)
		in.fds[in.nfds++] = memfd_create("file", MFD_CLOEXEC);
	pool_reset(&s->pool);
	who %= WHO;
	if (who < CLIENT_FIRST)
		hear(&hub->worker[who % hub->workers], &in);
	else if (who < TAKEN)
		ask(&s->op.peer[who - CLIENT_FIRST], &in);
	else if (who == TURN)
		crew_sync(hub);
	chan_drop_fds(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	begin(data[0]);
	free_fd = dup(0);
	close(free_fd);
	data++;
	size--;
	for (int i = 0; i < ACTS && size > ACT_AT; i++) {
		size_t n = data[1] | (size_t)data[2] << 8;
		n = n < size - ACT_AT ? n : size - ACT_AT;
		act(data[0], data + ACT_AT, n);
		check();
		data += ACT_AT + n;
		size -= ACT_AT + n;
	}
	end();
	const int again = dup(0);
	close(again);
	require(again == free_fd);
	return 0;
}

/* An act more, grown from what that neighbour says. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static const ProtobufCMessageDescriptor *const said[ACTOR_COUNT] = {
		[ACTOR_BROKER] = &nl__broker_to_super__descriptor,
		[ACTOR_NETSTACK] = &nl__netstack_to_super__descriptor,
		[ACTOR_NATPROXY] = &nl__natproxy_to_super__descriptor,
		[ACTOR_DHCPD] = &nl__dhcpd_to_super__descriptor,
		[ACTOR_ALG] = &nl__alg_to_super__descriptor};
	static uint8_t wire[GROW_MESSAGE];
	struct grow g = {seed, wire, 0, sizeof(wire)};
	const uint32_t who = grow_random(&g, TAKEN);
	if (size < 1 || grow_random(&g, 2))
		return LLVMFuzzerMutate(data, size, max_size);
	grow_message(&g,
		who < CLIENT_FIRST ? said[s->hub[0].worker[who].id]
				   : &nl__operator_request__descriptor,
		0);
	if (size + ACT_AT + g.bytes > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	memmove(data + 1 + ACT_AT + g.bytes, data + 1, size - 1);
	data[1] = (uint8_t)(who + (grow_random(&g, 8) ? 0 : 10 * WHO));
	data[2] = (uint8_t)g.bytes;
	data[3] = (uint8_t)(g.bytes >> 8);
	memcpy(data + 1 + ACT_AT, wire, g.bytes);
	return size + ACT_AT + g.bytes;
}
