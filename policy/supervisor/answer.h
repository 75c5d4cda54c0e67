/* What a client of the operator's door is answered. Each is sent or queued; a client whose queue is full is let go. */
#ifndef NATLOCK_SUPERVISOR_ANSWER_H
#define NATLOCK_SUPERVISOR_ANSWER_H

#include "operator.h"

enum { ANSWER_TEXT_PIECE = 32 * 1024 };

void answer_send(struct operator_peer *p, const Nl__OperatorAnswer *a);
/* These return 0, so that a handler can return them. */
int answer_failure(struct operator_peer *p, const struct trouble *t);
int answer_done(struct operator_peer *p, const char *text);
/* The same of an order: how many things it reached. */
int answer_count(struct operator_peer *p, const char *text, uint64_t count);
int answer_no_hub(struct operator_peer *p, const char *name);
int answer_no_process(struct operator_peer *p, const struct hub *hub, const char *name);
/* Rows of p->topic. */
void answer_rows(struct operator_peer *p, ProtobufCBinaryData *rows, size_t n, bool last);
/* A text without NUL, in pieces; taken over and freed. NULL: there was no memory for it, which the client is told. */
int answer_text(struct operator_peer *p, char *text, size_t bytes);
/* The client has taken what it was sent: the next pieces. */
void answer_text_on(struct operator_peer *p);
/* True: the client may not change anything, and has been told so. */
bool answer_needs_admin(struct operator_peer *p);

#endif
