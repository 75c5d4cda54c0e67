/*
 * Theory of operation. One ev_io for each possible descriptor, in an array. libev collects changes
 * and tells epoll once before it blocks, and an event that came but is not wanted any more costs
 * one epoll_ctl then: turning interest off and on again within a turn is free. The one thing that
 * libev cannot see is a number that was closed and came back as another socket within a turn;
 * sock_forget is for that.
 */
#include "watch.h"

static void on_event(struct ev_loop *loop, struct ev_io *w, int events)
{
	struct sock_host *h = (struct sock_host *)w->data;
	h->ready(h->context, w->fd,
		(events & EV_READ ? SOCK_READ : 0U) | (events & EV_WRITE ? SOCK_WRITE : 0U));
}

void watch_init(struct sock_host *h, struct ev_loop *loop, struct ev_io *watchers, uint32_t count,
	void (*ready)(void *context, int fd, unsigned int events), void *context)
{
	*h = (struct sock_host){loop, ready, context, count, watchers};
}

void sock_watch(struct sock_host *h, int fd, unsigned int events)
{
	const int want = (events & SOCK_READ ? EV_READ : 0) | (events & SOCK_WRITE ? EV_WRITE : 0);
	if ((uint32_t)fd >= h->count)
		return;
	struct ev_io *w = &h->watcher[fd];
	if (!w->data) {
		ev_io_init(w, on_event, fd, want);
		w->data = h;
	}
	if (ev_is_active(w))
		ev_io_stop(h->loop, w);
	if (!want)
		return;
	ev_io_modify(w, want);
	ev_io_start(h->loop, w);
}

void sock_forget(struct sock_host *h, int fd)
{
	if ((uint32_t)fd >= h->count || !h->watcher[fd].data)
		return;
	ev_io_stop(h->loop, &h->watcher[fd]);
	/* the next use initialises the watcher anew, which makes libev register the number again */
	h->watcher[fd].data = NULL;
}
