/*
 * Which pinholes a description needs, and who may come in by them: one message of a call that sip_dialog.c has found. Pure.
 */
#ifndef NATLOCK_ALG_SIP_OFFER_H
#define NATLOCK_ALG_SIP_OFFER_H

#include "sip_dialog.h"

/* A place of a call as a set. */
static inline uint16_t sip_offer_bit(int place)
{
	return (uint16_t)(1u << place);
}
/* The opening in this place if it is granted, else NULL. */
struct sip_opening *sip_offer_opening(const struct sip_talk *t, int place);

/*
 * The guest's descriptions: finds openings for all their demands, or for none, and wishes for those that are missing (then the answer
 * is ALG_WISH). What has no opening is refused: t->ready is false, and t->role is that of a message that says nothing.
 */
void sip_offer_demand(struct sip_talk *t);
/* The far end's offer: keeps where its media come from. */
void sip_offer_note(struct sip_talk *t);
/* The dialog agrees on what is answered: by the far end to the guest's offer, or by the guest to the far end's. */
void sip_offer_agree(struct sip_talk *t);

#endif
