#include "apps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "pattern.h"

enum { PIECE = 16384, SERVICES = 64 };

static struct service {
	uint16_t port;
	struct app like;
	struct app *first, *last;
} services[SERVICES];
static size_t service_count;
static struct app *callers;

static void write_some(struct app *a)
{
	uint8_t piece[PIECE];
	while (a->sent < a->send_total && !(a->wait_fin && !a->saw_fin)) {
		uint64_t left = a->send_total - a->sent;
		size_t n = left < PIECE ? (size_t)left : PIECE;
		ssize_t done;
		if (a->send_seed)
			pattern_fill(a->send_seed, a->sent, piece, n);
		else
			memcpy(piece, a->text + a->sent, n);
		done = peer_write(a->peer, piece, n);
		if (done < 0) {
			a->saw_reset |= done != -EAGAIN;
			return;
		}
		a->sent += (uint64_t)done;
	}
	if (a->finish && a->sent == a->send_total && !(a->wait_fin && !a->saw_fin))
		peer_finish(a->peer);
}

/* Reads at most `most` bytes; whether there may be more. */
static bool read_some(struct app *a, size_t most)
{
	uint8_t piece[PIECE];
	ssize_t n = peer_read(a->peer, piece, most < PIECE ? most : PIECE);
	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		a->saw_fin |= n == 0;
		a->saw_reset |= n < 0;
		return false;
	}
	if (a->recv_seed)
		a->wrong += pattern_wrong(a->recv_seed, a->received, piece, (size_t)n);
	else if (a->received + (uint64_t)n < APP_TEXT)
		memcpy(a->heard + a->received, piece, (size_t)n);
	a->received += (uint64_t)n;
	if (a->on_bytes)
		a->on_bytes(a);
	return true;
}

static void close_when_done(struct app *a)
{
	if (a->done || !(a->saw_reset || (a->saw_fin && a->finish && a->sent == a->send_total)))
		return;
	a->done = true;
	peer_close(a->peer);
}

static void slowly(void *arg)
{
	struct app *a = arg;
	if (a->done)
		return;
	read_some(a, a->read_per_ms);
	write_some(a);
	close_when_done(a);
	if (!a->done)
		clock_at(clock_ns() + MS, slowly, a);
}

void app_go(struct app *a)
{
	if (a->done)
		return;
	while (!a->read_per_ms && read_some(a, PIECE))
		;
	write_some(a);
	close_when_done(a);
}

static void on_event(struct peer *p)
{
	app_go(p->app);
}

static struct app *app_new(struct peer *p, const struct app *like)
{
	struct app *a = malloc(sizeof(*a));
	if (!a)
		abort();
	*a = *like;
	a->peer = p;
	if (a->read_per_ms)
		clock_at(clock_ns() + MS, slowly, a);
	return a;
}

static void on_accept(struct peer *p, void *arg)
{
	struct service *s = arg;
	struct app *a = app_new(p, &s->like);
	if (s->first)
		s->last->next = a;
	else
		s->first = a;
	s->last = a;
	p->app = a;
	p->event = on_event;
	app_go(a);
}

void app_serve(uint32_t ip, uint16_t port, const struct app *like)
{
	struct service *s = &services[service_count++];
	*s = (struct service){.port = port, .like = *like};
	internet_serve(ip, port, on_accept, s);
}

struct app *app_at(uint16_t port, unsigned int nth)
{
	for (size_t i = 0; i < service_count; i++) {
		struct app *a = services[i].first;
		if (services[i].port != port)
			continue;
		while (a && nth--)
			a = a->next;
		return a;
	}
	return NULL;
}

static void on_call_event(struct peer *p)
{
	if (p->connected)
		app_go(p->app);
}

struct app *app_call(
	uint32_t from_ip, uint16_t from_port, uint16_t host_port, const struct app *like)
{
	struct app *a = app_new(NULL, like);
	a->next = callers;
	callers = a;
	a->peer = internet_call(from_ip, from_port, host_port, on_call_event, a);
	return a;
}

void app_say(struct app *a, const char *text)
{
	size_t n = strlen(text);
	memcpy(a->text + a->send_total, text, n);
	a->send_total += n;
	app_go(a);
}
