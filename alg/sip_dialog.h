/*
 * What becomes of pinholes in the course of a call: which request asks for them, whose answer arms them, what closes them
 * (RFC 3261 12 to 15, 3262, 3264, 3311, 6337). Beside the calls it keeps nothing but which wishes a message waits for. Pure.
 */
#ifndef NATLOCK_ALG_SIP_DIALOG_H
#define NATLOCK_ALG_SIP_DIALOG_H

#include "sip_body.h"
#include "sip_calls.h"
#include "sip_media.h"
#include "sip_message.h"

/* What a flow keeps. Zeroed at its beginning. */
struct sip_dialogs {
	struct sip_waiting { /* the wishes of the message that waits in a direction, in their order */
		unsigned int count;
		uint32_t token[ALG_WISHES];
	} waiting[2];
	uint64_t held_until_ms;
};

/* One message while it is looked at. */
struct sip_talk {
	struct sip_dialogs *s;
	const struct alg_flow *f;
	enum alg_direction from;
	const struct sip_message *m;
	unsigned int sessions;
	const struct sdp_session *session; /* the descriptions in it */
	struct alg_answer *a;

	/* what the caller is told: the guest's demands, and whether all of them have their grants */
	struct sip_demands demands;
	bool ready;
	/* sip_dialog.c's own */
	struct sip_call *call;
	struct sip_request
		*request; /* this one, or the one that is answered; NULL: none that counts */
	enum sip_role { SIP_SAYS_NOTHING, SIP_OFFERS, SIP_ANSWERS } role;
	enum sip_method method;
	uint8_t fork;	 /* in whose dialog; SIP_NO_FORK: in none yet */
	bool settled;	 /* natproxy has answered: no more wishes */
	uint16_t places; /* openings that the demands have */
	uint16_t
		fresh; /* openings whose lifetime has just begun: granted for this very message, or armed by it */
	uint16_t kept;	 /* openings whose lifetime is to begin again */
};

/*
 * Notes the message, and answers ALG_WISH if it needs pinholes, else ALG_PASS: with acts, a hold_ms or a note, but without edits. The
 * fields of *t down to the answer are the caller's, the others zeroed.
 */
void sip_dialog_message(struct sip_talk *t);
/* The same message, when its wishes were granted or (NULL) one was refused. */
void sip_dialog_granted(struct sip_talk *t, const struct alg_grant *grants);
/* A pinhole is no more. */
void sip_dialog_gone(const struct alg_flow *f, uint32_t token);

#endif
