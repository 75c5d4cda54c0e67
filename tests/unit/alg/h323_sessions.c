/*
 * Recorded conversations of H.323 (tests/vectors/h323): with either end as the guest each address that tshark finds of it becomes the outside
 * one, and no other octet changes; the same however they are cut; and with a guest that nobody names nothing changes.
 */
#include "session.h"

enum { LISTED = 64, ADDRESS_BYTES = 6 };

/* What tshark finds. */
struct listed {
	unsigned int count;
	struct {
		char way; /* '>' from the client, '<' from the server, '=' from either, in a message that tshark cannot read */
		uint8_t octets[ADDRESS_BYTES];
	} address[LISTED];
};

static struct listed load_list(const char *directory, const char *name)
{
	struct listed l = {0};
	char path[1024], way, text[64];
	unsigned int port;
	snprintf(path, sizeof(path), "%s/%.*s.addresses", directory,
		(int)(strlen(name) - strlen(".session")), name);
	FILE *f = fopen(path, "r");
	cr_assert(f, "%s", path);
	while (fscanf(f, " %c %63s %u", &way, text, &port) == 3) {
		const uint32_t ip_be = ip(text);
		cr_assert_lt(l.count, LISTED);
		l.address[l.count].way = way;
		memcpy(l.address[l.count].octets, &ip_be, sizeof(ip_be));
		l.address[l.count].octets[4] = (uint8_t)(port >> 8);
		l.address[l.count++].octets[5] = (uint8_t)port;
	}
	cr_assert(feof(f), "%s", path);
	fclose(f);
	return l;
}

static bool is_listed(const struct listed *l, char way, const uint8_t octets[ADDRESS_BYTES])
{
	for (unsigned int i = 0; i < l->count; i++)
		if (l->address[i].way == way &&
			!memcmp(l->address[i].octets, octets, ADDRESS_BYTES))
			return true;
	return false;
}

/* Of what the guest says the listed addresses of its own are the outside one, as often as they are listed, and nothing else changes. */
static void expect_rewritten(const char *name, const struct harness *h, const struct listed *l)
{
	const struct alg_flow *f = &h->flow.view;
	const struct way *w = &h->way[ALG_GUEST];
	const char own = f->guest_serves ? '<' : '>';
	unsigned int expected = 0, unsure = 0, rewritten = 0;
	cr_assert_eq(w->out_bytes, w->in_bytes, "%s", name);
	cr_assert_eq(h->way[ALG_OUTSIDE].out_bytes, h->way[ALG_OUTSIDE].in_bytes, "%s", name);
	for (unsigned int i = 0; i < l->count; i++)
		if (!memcmp(l->address[i].octets, &f->guest_ip_be, sizeof(f->guest_ip_be))) {
			expected += l->address[i].way == own;
			unsure += l->address[i].way == '=';
		}
	for (uint64_t at = 0; at < w->in_bytes; at++) {
		if (w->in[at] == w->out[at])
			continue;
		while (at > 0 && memcmp(w->out + at, &f->outside_ip_be, 4) != 0)
			at--; /* it may have octets of the old one */
		cr_assert(is_listed(l, own, w->in + at) || is_listed(l, '=', w->in + at),
			"%s: octet %lu", name, (unsigned long)at);
		rewritten++;
		at += ADDRESS_BYTES - 1;
	}
	cr_assert(rewritten >= expected && rewritten <= expected + unsure,
		"%s (%c): %u of %u addresses", name, own, rewritten, expected);
}

static void play_both_ways(
	const char *directory, const struct session *s, const struct alg_protocol *protocol)
{
	const struct listed l = load_list(directory, s->name);
	for (int serves = 0; serves < 2; serves++) {
		const struct alg_flow view =
			session_view(s, protocol->transports == ALGS_TCP, serves);
		struct harness *h = session_play(s, protocol, view, SESSION_WHOLE, SESSION_NO_CUT);
		expect_rewritten(s->name, h, &l);
		harness_free(h);
	}
}

static void play_signalling(const struct session *s)
{
	play_both_ways(VECTOR_DIRECTORY "/signalling", s, &h225_protocol);
}

Test(h323_sessions, call_signalling_has_the_outside_addresses)
{
	session_each(VECTOR_DIRECTORY "/signalling", 8, play_signalling);
}

static void play_ras(const struct session *s)
{
	play_both_ways(VECTOR_DIRECTORY "/ras", s, &ras_protocol);
}

Test(h323_sessions, ras_has_the_outside_addresses)
{
	session_each(VECTOR_DIRECTORY "/ras", 4, play_ras);
}

/* A connection of H.245 with the call that led to it. */
struct pair {
	struct harness *signalling, *control;
};

enum { RELEASE_COMPLETE = 0x5a, TYPE_AT = 8 };

/* The call's signalling until it is released. */
static struct harness *play_until_release(const struct session *s, bool serves)
{
	struct session *calling = malloc(sizeof(*calling));
	*calling = *s;
	for (calling->records = 0; calling->records < s->records; calling->records++)
		if (s->data[s->record[calling->records].at + TYPE_AT] == RELEASE_COMPLETE)
			break;
	struct harness *h = session_play(calling, &h225_protocol, session_view(s, true, serves),
		SESSION_WHOLE, SESSION_NO_CUT);
	free(calling);
	return h;
}

static uint32_t link_of(const struct harness *signalling)
{
	for (unsigned int i = 0; i < signalling->wishes; i++)
		if (signalling->wish[i].inspect && signalling->wish[i].service == 3)
			return signalling->wish[i].link;
	return 0;
}

static struct pair play_pair(const struct session *signalling, const struct session *control,
	bool serves, unsigned int piece, unsigned int cut)
{
	struct alg_flow view = session_view(control, true, serves);
	struct pair p = {.signalling = play_until_release(signalling, serves)};
	view.h323 = p.signalling->flow.view.h323;
	view.link = link_of(p.signalling);
	p.control = session_play(control, &h245_protocol, view, piece, cut);
	for (unsigned int i = 0; i < p.control->acts; i++) {
		struct alg_act *act = &p.control->act[i];
		cr_assert(!act->elsewhere || act->flow == p.signalling->flow.view.id);
		act->flow = 0; /* it has another number each time */
	}
	return p;
}

static void free_pair(struct pair p)
{
	harness_free(p.control);
	harness_free(p.signalling);
}

static void play_control(const struct session *control)
{
	const struct listed l = load_list(VECTOR_DIRECTORY "/control", control->name);
	struct session *signalling = session_load(VECTOR_DIRECTORY "/signalling", control->name);
	for (int serves = 0; serves < 2; serves++) {
		struct pair whole =
			play_pair(signalling, control, serves, SESSION_WHOLE, SESSION_NO_CUT);
		expect_rewritten(control->name, whole.control, &l);
		cr_expect_gt(whole.control->wishes, 0, "%s", control->name);
		for (unsigned int at = 0; at < control->bytes; at++) {
			struct pair p =
				play_pair(signalling, control, serves, at ? SESSION_WHOLE : 1, at);
			session_expect_same(control, whole.control, p.control, at);
			free_pair(p);
		}
		free_pair(whole);
	}
	free(signalling);
}

Test(h323_sessions, h245_has_the_outside_addresses_however_it_is_cut)
{
	session_each(VECTOR_DIRECTORY "/control", 3, play_control);
}

static void cut_signalling(const struct session *s)
{
	session_cut_everywhere(s, &h225_protocol);
}

Test(h323_sessions, cuts_change_nothing)
{
	session_each(VECTOR_DIRECTORY "/signalling", 8, cut_signalling);
}

static void play_signalling_foreign(const struct session *s)
{
	session_expect_untouched(s, &h225_protocol, true);
}

static void play_ras_foreign(const struct session *s)
{
	session_expect_untouched(s, &ras_protocol, false);
}

Test(h323_sessions, a_guest_that_nobody_names_changes_nothing)
{
	session_each(VECTOR_DIRECTORY "/signalling", 8, play_signalling_foreign);
	session_each(VECTOR_DIRECTORY "/ras", 4, play_ras_foreign);
}
