/* Every recorded session of SCCP at every split position with the same output, and what each leads to. */
#include "session.h"

static void play_session(const struct session *s)
{
	session_cut_everywhere(s, &skinny_protocol);
	session_expect_untouched(s, &skinny_protocol, true);
}

Test(skinny_sessions, recorded_sessions, .timeout = 250)
{
	session_each(VECTOR_DIRECTORY, 6, play_session);
}

/* What a session leads to with one of its ends as the guest. */
static void expect_session(const char *name, bool serves, bool gave_up, uint32_t edits,
	uint32_t wishes, uint32_t armed, uint32_t closed)
{
	struct session *s = session_load(VECTOR_DIRECTORY, name);
	struct harness *h = session_play(
		s, &skinny_protocol, session_view(s, true, serves), SESSION_WHOLE, SESSION_NO_CUT);
	cr_expect(h->gave_up == gave_up && h->edits == edits && h->wishes == wishes &&
			  harness_count(h, ALG_ARM, 0) == armed &&
			  harness_count(h, ALG_CLOSE, 0) == closed,
		"%s: %d, %u edits, %u wishes, %u armed, %u closed", name, h->gave_up, h->edits,
		h->wishes, harness_count(h, ALG_ARM, 0), harness_count(h, ALG_CLOSE, 0));
	harness_free(h);
	free(s);
}

/* Edits, wishes, how many were armed for another peer, and closed. Those of nDPI begin in the middle; before two of them a registration
 * was put. Their telephones are recorded. */
Test(skinny_sessions, what_recorded_sessions_lead_to)
{
	expect_session("own-sccp-v11-asterisk-2.session", false, false, 3, 1, 1, 1);
	expect_session("own-sccp-v11-asterisk-2.session", true, false, 2, 1, 0, 1);
	expect_session("own-sccp-v17-asterisk-1.session", false, false, 3, 1, 1, 1);
	expect_session("own-sccp-v17-asterisk-2.session", false, false, 3, 1, 1, 1);
	expect_session("own-sccp-v17-asterisk-2.session", true, false, 2, 1, 0, 1);
	expect_session("skinny-1.session", false, true, 0, 0, 0, 0);
	expect_session("skinny-registered-1.session", false, false, 9, 3, 1, 0);
	expect_session("skinny-registered-2.session", false, false, 9, 3, 0, 0);
	expect_session("skinny-registered-2.session", true, false, 0, 0, 0, 0);
}
