/*
 * snapshot.txt: one line a scenario of counts that a change of behaviour moves. Everything is deterministic, so they are
 * compared exactly, and a difference is either a regression or to be explained in the commit that changes the table.
 * The table is of the shared data path; scenarios that run on a strict one are not compared.
 *
 * To make the table anew (from the build directory, one job so that the order stays):
 *     rm -f new.txt && NATLOCK_SIM_SNAPSHOT=$PWD/new.txt tests/sim/sim -j1; cp new.txt SOURCE/tests/sim/snapshot.txt
 */
#ifndef NATLOCK_TESTS_SIM_SNAPSHOT_H
#define NATLOCK_TESTS_SIM_SNAPSHOT_H

/* Counting starts over. */
void snapshot_begin(void);
/* Compares this scenario's line with the table's, or appends it to the file that NATLOCK_SIM_SNAPSHOT names. */
void snapshot_end(const char *scenario);

#endif
