/*
 * A worker that stands in the broker's place and does little: echoes descriptors, watches
 * descriptors, and obeys commands that come as PortDetach{port = command}. Linked and confined as
 * the real workers are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "actor.h"
#include "broker_dhcpd.pb-c.h"
#include "fake.h"

struct fake {
	struct actor *actor;
	struct ev_io port[FAKE_PORTS];
	int ports, bytes_read;
	bool lazy_echo, slow;
	uint64_t deadline_ns, period_ns;
	uint32_t timeouts;
};

static struct fake fake;

static int boot(void *self, struct actor *a, const Nl__ActorBoot *b)
{
	fake.actor = a;
	fake.deadline_ns = UINT64_MAX;
	actor_reserve_fds(a, FD_FIRST_FREE + FAKE_PORTS);
	return b->hub && b->hub->name && !strcmp(b->hub->name, "refuse me") ? -EINVAL : 0;
}

static void drain(void *self)
{
	actor_diagnostic(fake.actor, "draining");
}

static void echo(const struct ring_desc *d)
{
	struct link *l = fake.actor->links[0];
	struct ring_desc answer = {.op = RING_BROKER_FRAME, .flow = d->flow};

	if (fake.lazy_echo)
		link_send_lazy(l, LINK_DATA, &answer);
	else
		link_send(l, LINK_DATA, &answer, NULL);
}

static void spend_ms(int64_t ms)
{
	struct timespec from, now;

	clock_gettime(CLOCK_MONOTONIC, &from);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < ms);
}

static bool turn(void *self)
{
	struct ring_desc d;
	struct ring_header h;
	int n = 0;

	while (n < ACTOR_BUDGET && link_recv(fake.actor->links[0], &d, &h) == 1) {
		echo(&d);
		n++;
	}
	if (fake.slow && n > 0)
		spend_ms(FAKE_SLOW_MS);
	return n == ACTOR_BUDGET;
}

static void port_ready(struct ev_loop *loop, struct ev_io *w, int events)
{
	char byte;

	if (recv_byte(w->fd, &byte) == 1)
		fake.bytes_read++;
}

static void attach(struct chan_in *in)
{
	int fd = chan_take_fd(in, 0);

	if (fd < 0 || fake.ports == FAKE_PORTS)
		return;
	ev_io_init(&fake.port[fake.ports], port_ready, fd, EV_READ);
	ev_io_start(fake.actor->loop, &fake.port[fake.ports]);
	fake.ports++;
}

static void many_notes(void)
{
	char text[900];

	memset(text, 'n', sizeof(text));
	for (int i = 0; i < FAKE_NOTES; i++)
		actor_diagnostic(fake.actor, "%d %.*s", i, (int)sizeof(text), text);
}

static void command(uint32_t c)
{
	switch ((enum fake_command)c) {
	case FAKE_SAY:
		actor_security(fake.actor, "read %d ports %d timeouts %u", fake.bytes_read,
			fake.ports, fake.timeouts);
		break;
	case FAKE_FORBIDDEN: syscall(SYS_getppid); break;
	case FAKE_LAZY: fake.lazy_echo = true; break;
	case FAKE_NOTES_NOW: many_notes(); break;
	case FAKE_TIMER:
		fake.period_ns = 20 * 1000000;
		fake.deadline_ns = actor_now_ns(fake.actor) + fake.period_ns;
		break;
	case FAKE_SLOW: fake.slow = true; break;
	case FAKE_ABORT: abort();
	}
}

static int on_record(void *self, int edge, struct chan_in *in)
{
	const Nl__SuperToBroker *w;

	if (edge != 0)
		return nl__dhcpd_to_broker__unpack(&in->pool->allocator, in->len, in->bytes)
			       ? 0
			       : -EPROTO;
	w = nl__super_to_broker__unpack(&in->pool->allocator, in->len, in->bytes);
	if (w && w->msg_case == NL__SUPER_TO_BROKER__MSG_PORT_ATTACH)
		attach(in);
	if (w && w->msg_case == NL__SUPER_TO_BROKER__MSG_PORT_DETACH)
		command(w->port_detach->port);
	return w ? 0 : -EPROTO;
}

static uint64_t dump(void *self, Nl__Topic topic, uint64_t cursor)
{
	for (; cursor < FAKE_ROWS; cursor++) {
		Nl__SessionRow row = NL__SESSION_ROW__INIT;

		row.has_port = true;
		row.port = (uint32_t)cursor;
		if (!actor_row(fake.actor, &row.base))
			return cursor;
	}
	return 0;
}

static uint64_t deadline(void *self)
{
	return fake.deadline_ns;
}

static void timeout(void *self, uint64_t now_ns)
{
	fake.timeouts++;
	fake.deadline_ns = now_ns + fake.period_ns;
}

int main(void)
{
	static const struct actor_ops ops = {
		.id = ACTOR_BROKER,
		.boot = boot,
		.drain = drain,
		.turn = turn,
		.on_record = on_record,
		.dump = dump,
		.deadline = deadline,
		.timeout = timeout,
	};

	return actor_main(&ops, &fake);
}
