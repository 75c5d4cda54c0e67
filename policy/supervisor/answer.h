/* What a client of the operator's door is answered. These return 0, so that a handler can return them. */
#ifndef NATLOCK_SUPERVISOR_ANSWER_H
#define NATLOCK_SUPERVISOR_ANSWER_H

#include "operator.h"

int answer_failure(struct operator_peer *p, const struct trouble *t);
int answer_no_hub(struct operator_peer *p, const char *name);

#endif
