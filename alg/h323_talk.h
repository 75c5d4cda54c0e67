/*
 * One message of H.323 under inspection, and what is answered: its marks, the wishes and acts that its call needs, and in the end the
 * edits. Used by each of its protocols. Pure.
 */
#ifndef NATLOCK_ALG_H323_TALK_H
#define NATLOCK_ALG_H323_TALK_H

#include "h323_calls.h"
#include "h323_walk.h"

enum {
	H323_MARKS = 512,
	H323_SIGNALLING = 0, /* services, as algs.def has them */
	H323_REGISTRATION = 1,
	H323_DISCOVERY = 2,
	H323_CONTROL = 3,
	/* Of what waits for the far end to agree, which it may do when somebody has come to the telephone: T301 (ITU-T Q.931 9.6). */
	H323_LIFE_MS = 180 * 1000,
};

struct h323_talk {
	const struct alg_flow *f;
	enum alg_direction from;
	const uint8_t *p; /* the message, as alg has it */
	struct alg_answer *a;
	struct h323_call *call; /* NULL: of none */
	bool failed;		/* it goes on unchanged, and asks for nothing */
	unsigned int count;
	struct h323_mark mark[H323_MARKS];
};

/* A message of which nothing is known yet. */
void h323_talk_begin(struct h323_talk *t, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, struct alg_answer *a);
/* The marks of a message of this type at p[at..at + bytes). false: it is no such message. */
bool h323_talk_read(struct h323_talk *t, enum h323_root root, size_t at, size_t bytes);
/* The first mark of this field, NULL: there is none. */
const struct h323_mark *h323_talk_mark(const struct h323_talk *t, enum h323_field field);
/* The value of that mark, or this one. */
uint32_t h323_talk_value(const struct h323_talk *t, enum h323_field field, uint32_t otherwise);
/* The first mark behind `i` that lies not in it. */
unsigned int h323_talk_behind(const struct h323_talk *t, unsigned int i);
/* Whether it is authenticated: then it goes on as it is, opens nothing, and the operator hears of it. */
bool h323_talk_is_sealed(struct h323_talk *t);

/*
 * The call needs this opening: the one that it has already for that port, or for a watch that peer, or a new one, for which a wish is
 * added whose `token` is filled in. One that is there and not armed is armed, unless `w` is latent; otherwise its life begins again.
 * Returns its place; -1 and t->failed where it cannot be had.
 */
int h323_talk_need(struct h323_talk *t, struct alg_wish w);
/* The call's opening, asked for by this flow, that holds the guest's port (set of enum algs_transport); NULL: there is none. */
const struct h323_opening *h323_talk_holds(
	const struct h323_talk *t, uint8_t transports, uint16_t guest_port);
/* Lets this peer in, 0: the flow's. media: because it is who sends. Nothing changes for one that is let in already, but that its life
 * begins again. */
void h323_talk_arm(struct h323_talk *t, int place, uint32_t peer_ip_be, bool media);
/* Those of this set: their life begins again; are closed. */
void h323_talk_keep(struct h323_talk *t, uint16_t places);
void h323_talk_close(struct h323_talk *t, uint16_t places);
/* Its call is over: all is closed but what is to outlast it. */
void h323_talk_release(struct h323_talk *t);
/* Closes what no channel needs, is not kept either, and is not to outlast the call. */
void h323_talk_collect(struct h323_talk *t);

/* What is to be answered, when all needs are told: it waits for wishes, or is ready to be edited (true). */
bool h323_talk_settle(struct h323_talk *t);
/* What became of them, NULL: refused. Whether it is to be edited. */
bool h323_talk_granted(struct h323_talk *t, const struct alg_grant *grants);
/* Too many edits, then there are none. */
void h323_talk_finish(struct h323_talk *t);
/* gone() and end() of every row (alg.h). */
void h323_talk_gone(void *state, const struct alg_flow *f, uint32_t token);
void h323_talk_end(void *state, const struct alg_flow *f);

#endif
