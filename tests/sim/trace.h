/*
 * What crosses between the actors, seen at the rings: counts for the snapshot, a trace of the operations in order, and
 * invariant 6 of ipc/ring.h checked on each buffer that is given back.
 */
#ifndef NATLOCK_TESTS_SIM_TRACE_H
#define NATLOCK_TESTS_SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>

/* From now on what crosses is noted; the text is "FROM>TO OP" joined by "; ", an operation repeated at once only once. */
void trace_start(void);
const char *trace_text(void);
/* Whether these crossings came in this order, others may lie between. */
bool trace_has(const char *const *crossings, unsigned int n);
/* Buffers of natproxy's or netstack's arena that came back while a descriptor to the broker still named them. */
uint64_t trace_violations(void);
/* How many buffers of natproxy's arena netstack gave back. */
uint64_t trace_released(void);

#endif
