/*
 * Theory of operation. A binary heap ordered by (time, order of asking). A running count makes the order total, and
 * with it the whole simulation deterministic.
 */
#include "clock.h"

#include <stdlib.h>

struct event {
	uint64_t at_ns, order;
	void (*run)(void *arg);
	void *arg;
};

static struct event *heap;
static size_t heap_count, heap_room;
static uint64_t now_ns = SECOND, asked;

uint64_t clock_ns(void)
{
	return now_ns;
}

static bool before(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap(size_t i, size_t j)
{
	struct event e = heap[i];
	heap[i] = heap[j];
	heap[j] = e;
}

void clock_at(uint64_t at_ns, void (*run)(void *arg), void *arg)
{
	size_t i = heap_count;
	if (heap_count == heap_room) {
		heap_room = heap_room ? 2 * heap_room : 1024;
		heap = realloc(heap, heap_room * sizeof(*heap));
		if (!heap)
			abort();
	}
	heap[heap_count++] = (struct event){at_ns < now_ns ? now_ns : at_ns, asked++, run, arg};
	for (; i && before(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(i, (i - 1) / 2);
}

static struct event take_first(void)
{
	struct event first = heap[0];
	size_t i = 0;
	heap[0] = heap[--heap_count];
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= heap_count)
			return first;
		if (child + 1 < heap_count && before(&heap[child + 1], &heap[child]))
			child++;
		if (!before(&heap[child], &heap[i]))
			return first;
		swap(i, child);
		i = child;
	}
}

bool clock_until(bool (*done)(void *arg), void *arg, uint64_t limit_ns)
{
	uint64_t end_ns = now_ns + limit_ns;
	while (!done || !done(arg)) {
		struct event e;
		if (!heap_count || heap[0].at_ns > end_ns) {
			now_ns = end_ns;
			return false;
		}
		e = take_first();
		now_ns = e.at_ns;
		e.run(e.arg);
	}
	return true;
}

void clock_sleep(uint64_t ns)
{
	clock_until(NULL, NULL, ns);
}

uint64_t dice_roll(struct dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint32_t dice_below(struct dice *d, uint32_t n)
{
	return (uint32_t)(dice_roll(d) % n);
}

bool dice_hit(struct dice *d, uint32_t ppm)
{
	return ppm && dice_below(d, 1000000) < ppm;
}
