/*
 * What an actor says to its supervisor: for the skeleton (actor.c) only; actors have actor.h.
 */
#ifndef NATLOCK_IPC_ACTOR_TELL_H
#define NATLOCK_IPC_ACTOR_TELL_H

#include "actor.h"

/* Sends one message; 0, or a negative errno when the channel refuses it. */
int actor_tell(struct actor *a, Nl__ActorToSuper__MsgCase kind, const ProtobufCMessage *m);
/* Sends the events since the last time; those that find no room are counted as lost. */
void actor_tell_events(struct actor *a);
/* Answers a Dump with a slice of the table. 0. */
int actor_tell_rows(struct actor *a, const Nl__ActorDump *m);

#endif
