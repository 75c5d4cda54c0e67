/*
 * Virtual time: a queue of events. Nothing in the simulation reads a clock; time moves only from one event to the
 * next, so a run is the same every time. One world a process.
 */
#ifndef NATLOCK_TESTS_SIM_CLOCK_H
#define NATLOCK_TESTS_SIM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define US     UINT64_C(1000)
#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

uint64_t clock_ns(void);
/* Calls run(arg) at a time that is not in the past; events of one time run in the order in which they were asked for.
 */
void clock_at(uint64_t at_ns, void (*run)(void *arg), void *arg);
/* Runs until done(arg) says so: true; false when `limit_ns` more have passed or nothing is left to happen. */
bool clock_until(bool (*done)(void *arg), void *arg, uint64_t limit_ns);
/* Lets time pass. */
void clock_sleep(uint64_t ns);

/* Seeded random numbers: SplitMix64 (Steele, Lea, Flood 2014). */
struct dice {
	uint64_t state;
};
uint64_t dice_roll(struct dice *d);
/* 0..n-1; n > 0 */
uint32_t dice_below(struct dice *d, uint32_t n);
/* True with a probability of ppm parts in a million. */
bool dice_hit(struct dice *d, uint32_t ppm);

#endif
