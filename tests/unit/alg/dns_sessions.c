/* DNS: the captures of tests/vectors/dns and one of our own at every split position. */
#include "dns_messages.h"
#include "session.h"

static struct wire in;

Test(dns_sessions, edits_do_not_depend_on_how_the_stream_was_cut)
{
	struct session *s = calloc(1, sizeof(*s));
	snprintf(s->name, sizeof(s->name), "own");
	static const char *const asked[2] = {INSIDE_REVERSE, OUTSIDE_REVERSE};
	for (unsigned int i = 0; i < 6; i++) {
		if (i < 2)
			wire_ask(&in, 1, asked[i], TYPE_PTR);
		else if (i < 4)
			wire_answer_ptr(&in, 1, asked[i % 2], 300);
		else
			wire_every_section(&in, 300, i == 4 ? INSIDE : OUTSIDE, OUTSIDE);
		s->record[i].from_client = i < 2;
		s->record[i].at = s->bytes;
		s->record[i].n = (unsigned int)in.n + 2;
		s->data[s->bytes] = (uint8_t)(in.n >> 8);
		s->data[s->bytes + 1] = (uint8_t)in.n;
		memcpy(s->data + s->bytes + 2, in.p, in.n);
		s->bytes += (unsigned int)in.n + 2;
		s->records++;
	}
	for (int serves = 0; serves < 2; serves++) {
		struct alg_flow view = wire_view(true);
		view.guest_serves = serves;
		struct harness *whole =
			session_play(s, &dns_protocol, view, SESSION_WHOLE, SESSION_NO_CUT);
		cr_assert_eq(whole->messages, 6);
		for (unsigned int at = 0; at < s->bytes; at++) {
			struct harness *h =
				session_play(s, &dns_protocol, view, at ? SESSION_WHOLE : 1, at);
			session_expect_same(s, whole, h, at);
			harness_free(h);
		}
		harness_free(whole);
	}
	free(s);
}

static bool is_own(const struct session *s)
{
	return !strncmp(s->name, "own-", 4);
}

static struct harness *play(
	const struct session *s, bool tcp, bool serves, unsigned int piece, unsigned int cut)
{
	struct alg_flow view = session_view(s, tcp, serves);
	view.maps = wire_maps();
	view.vrf = is_own(s) ? 0 : 1; /* whose addresses are in none of the others */
	view.dns_v6 = true;
	return session_play(s, &dns_protocol, view, piece, cut);
}

/* All that came out is what went in; what lacks its end still waits. */
static void expect_no_change(const struct harness *h)
{
	for (int i = 0; i < 2; i++)
		cr_assert(h->way[i].out_bytes == h->way[i].passed &&
			  !memcmp(h->way[i].out, h->way[i].in, h->way[i].out_bytes));
}

static void play_datagrams(const struct session *s)
{
	for (int serves = 0; serves < 2; serves++) {
		struct harness *h = play(s, false, serves, SESSION_WHOLE, SESSION_NO_CUT);
		if (!is_own(s))
			harness_expect_untouched(h);
		harness_free(h);
	}
}

static void cut_everywhere(const struct session *s)
{
	for (int serves = 0; serves < 2; serves++) {
		struct harness *whole = play(s, true, serves, SESSION_WHOLE, SESSION_NO_CUT);
		if (!is_own(s))
			expect_no_change(whole);
		for (unsigned int at = 0; at < s->bytes; at++) {
			struct harness *h = play(s, true, serves, at ? SESSION_WHOLE : 1, at);
			session_expect_same(s, whole, h, at);
			harness_free(h);
		}
		harness_free(whole);
	}
}

Test(dns_sessions, datagrams_without_our_addresses_stay)
{
	session_each(VECTOR_DIRECTORY "/udp", 10, play_datagrams);
}

Test(dns_sessions, edits_do_not_depend_on_how_a_stream_was_cut)
{
	session_each(VECTOR_DIRECTORY "/tcp", 8, cut_everywhere);
}

/* How often these bytes stand in what came out of a side. */
static unsigned int count_bytes(const struct way *w, const void *bytes, size_t n)
{
	unsigned int count = 0;
	for (const uint8_t *at = w->out;
		(at = memmem(at, w->out_bytes - (size_t)(at - w->out), bytes, n)); at++)
		count++;
	return count;
}

static void expect_counts(const char *name, bool tcp, unsigned int outside, unsigned int inside)
{
	char folder[300];
	snprintf(folder, sizeof(folder), "%s/%s", VECTOR_DIRECTORY, tcp ? "tcp" : "udp");
	struct session *s = session_load(folder, name);
	struct harness *h = play(s, tcp, false, SESSION_WHOLE, SESSION_NO_CUT);
	const uint32_t addresses[2] = {ip(OUTSIDE), ip(INSIDE)};
	cr_expect_eq(count_bytes(&h->way[ALG_OUTSIDE], &addresses[0], 4), outside, "%s: %u", name,
		count_bytes(&h->way[ALG_OUTSIDE], &addresses[0], 4));
	cr_expect_eq(count_bytes(&h->way[ALG_OUTSIDE], &addresses[1], 4), inside, "%s: %u", name,
		count_bytes(&h->way[ALG_OUTSIDE], &addresses[1], 4));
	harness_free(h);
	free(s);
}

Test(dns_sessions, of_bind9_every_address_changes_but_the_signed_ones)
{
	expect_counts("own-bind9-1.session", false, 1, 9);
	expect_counts("own-bind9-1.session", true, 0, 45);
	expect_counts("own-bind9-2.session", true, 0, 0);
	expect_counts("own-bind9-3.session", true, 45, 0);
	expect_counts("own-bind9-4.session", true, 0, 2);
}
