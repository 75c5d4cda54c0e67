/*
 * An explicit-state search over processes that run real code.
 *
 * A process is a function that makes one call of the code under test, chosen by state of its own. Wherever that code
 * touches memory that a neighbour touches too, a hook below is called, and there the search lets any other process go
 * first. A call is not kept on a stack meanwhile: its process's private memory is put back to where the call began, and
 * the call runs again over the values it had read (explore_process.value) up to the next touch. So a state is plain
 * bytes: private memory at the beginning of each call, what each call has read so far, the shared memory, and the
 * stores that have not reached it.
 *
 * Stores wait in a buffer of their process and reach memory in any order, but for those to the same place, and a release
 * store waits for all before it: what C11 allows of stores, and more than x86 does. A fence waits for the buffer to
 * empty. Loads happen in program order.
 *
 * A state without a next step is an end; the scenario says whether it is a good one. A process that only looks whether
 * there is work must therefore say CALL_BLOCKED when there is none: it may look at memory as it is to know.
 */
#ifndef NATLOCK_TESTS_UNIT_IPC_EXPLORE_H
#define NATLOCK_TESTS_UNIT_IPC_EXPLORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EXPLORE_PROCESSES = 4,
	EXPLORE_RANGES = 64,
	EXPLORE_VALUES = 12, /* touches of one call */
	EXPLORE_STORES = 6,
};

/* How a call ended: with something done, unable to go on for now, or for good. */
enum explore_call { CALL_DONE, CALL_BLOCKED };

struct explore_store {
	_Atomic uint32_t *at;
	uint32_t value;
	bool release;
};

struct explore_process {
	enum explore_call (*call)(int self);
	/* from here on the search's */
	uint32_t value[EXPLORE_VALUES];
	uint32_t values;
	struct explore_store store[EXPLORE_STORES];
	uint32_t stores;
};

struct explore_range {
	void *at;
	size_t bytes;
	int owner; /* process whose private memory it is; EXPLORE_SHARED */
};
enum { EXPLORE_SHARED = -1 };

struct explore {
	const char *name;
	struct explore_process process[EXPLORE_PROCESSES];
	int processes;
	struct explore_range range[EXPLORE_RANGES];
	int ranges;
	bool in_order; /* stores reach memory in program order, as on x86: fewer states */
	/* A state without a next step: NULL when it is a good end, else what is wrong with it. */
	const char *(*end)(void);
	/* After every step: NULL, or what is wrong. */
	const char *(*always)(void);
	size_t states, ends;
};

void explore_begin(
	struct explore *x, const char *name, const char *(*end)(void), const char *(*always)(void));
int explore_add_process(struct explore *x, enum explore_call (*call)(int self));
void explore_add_range(struct explore *x, int owner, void *at, size_t bytes);
/* Searches all states from the present one: NULL, or what is wrong in one of them. */
const char *explore_run(struct explore *x);

/* A value of shared memory at the beginning of the search. */
void explore_set(_Atomic uint32_t *at, uint32_t value);

/* The hooks. */
uint32_t explore_load(const _Atomic uint32_t *at);
void explore_store(_Atomic uint32_t *at, uint32_t value, memory_order order);
void explore_fence(void);
/* Any other touch of shared memory by the calling process (a bell, payload): do it when this returns true. It returns
 * false while the call is repeated up to where it had come. */
bool explore_touch(void);

#endif
