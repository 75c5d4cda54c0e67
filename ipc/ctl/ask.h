/* One question, its whole answer: a table, a text, or a failure. All return an exit code. */
#ifndef NATLOCK_CTL_ASK_H
#define NATLOCK_CTL_ASK_H

#include "ctl.h"

enum { ASK_TEXT_MAX = 4 << 20 };

/* One whole table of the hub (NULL: the first; of processes and hubs: all) into rows, initialised here, freed by the caller. */
int ask_table(
	struct ctl *ctl, Nl__Topic topic, const char *hub, struct rows *rows, struct failure *f);
/*
 * A request whose answer is a text, in one piece or several, at most ASK_TEXT_MAX bytes. file:
 * descriptor to send along, or -1. The text is freed by the caller; NULL with *f.
 */
char *ask_text(struct ctl *ctl, const Nl__OperatorRequest *request, int file, struct failure *f);
/* The same; *count: how many things an order reached, 0 unless the answer says it. */
char *ask_counted(struct ctl *ctl, const Nl__OperatorRequest *request, int file, uint64_t *count,
	struct failure *f);
/* The text of ask_text, printed. */
int ask_and_print(struct ctl *ctl, const Nl__OperatorRequest *request, int file, struct failure *f);
/* The rows of one answer added to `rows`; an answer that is something else is a failure. */
int ask_take_rows(
	const Nl__OperatorAnswer *answer, Nl__Topic topic, struct rows *rows, struct failure *f);
/* How the output is to look, with the time of now. */
struct render ask_render(const struct ctl *ctl);
/* A text that requests may point to; protobuf-c's strings are not const. */
char *ask_string(const char *text);

#endif
