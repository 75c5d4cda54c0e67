/* Rows as what a FILTER looks at. Rows are hostile; texts point into them. Pure. */
#ifndef NATLOCK_CTL_SUBJECT_H
#define NATLOCK_CTL_SUBJECT_H

#include "filter.h"
#include "operator.pb-c.h"

/* A row of the table of sessions; now: wall clock. */
void subject_of_session(
	struct filter_subject *subject, const Nl__NatRow *row, uint64_t now_wall_ms);
/* A row of events; it has no age. */
void subject_of_event(struct filter_subject *subject, const ProtobufCMessage *row);

#endif
