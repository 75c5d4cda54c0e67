/*
 * The torture messages of RFC 4475 (tests/vectors/sip/README.md): as they are, with every host in them replaced by the guest's address, and
 * cut at every byte. What becomes of a host is worked out here once more, line by line and by text alone.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "edits.h"
#include "sip_names.h"

enum { MESSAGE = 16384 };

enum reading { READ, REFUSED };

/* kept: lines that are not read far enough to be changed, by their names in lower case. */
static const struct torture {
	const char *name;
	enum reading reading;
	const char *kept;
} all[] = {
	/* 3.1.1: valid */
	{"wsinv", READ},
	{"intmeth", READ},
	{"esc01", READ},
	{"escnull", READ},
	{"esc02", READ},
	{"lwsdisp", READ},
	{"longreq", READ},
	{"dblreq", READ},
	{"semiuri", READ},
	{"transports", READ},
	{"mpart01", READ},
	{"unreason", READ},
	{"noreason", READ},
	/* 3.1.2: invalid */
	{"badinv01", READ},
	{"clerr", REFUSED},
	{"ncl", REFUSED},
	{"scalar02", READ},
	{"scalarlg", READ},
	{"quotbal", READ, "to"},
	{"ltgtruri", REFUSED},
	{"lwsruri", REFUSED},
	{"lwsstart", REFUSED},
	{"trws", REFUSED},
	{"escruri", READ},
	{"baddate", READ},
	{"regbadct", READ, "contact"},
	{"badaspec", READ, "to"},
	{"baddn", REFUSED},
	{"badvers", REFUSED},
	{"mismatch01", READ},
	{"mismatch02", READ},
	{"bigcode", REFUSED},
	/* 3.2, 3.3, 3.4: transactions, applications, RFC 2543 */
	{"badbranch", READ},
	{"insuf", READ},
	{"unkscm", READ},
	{"novelsc", READ},
	{"unksm2", READ},
	{"bext01", READ},
	{"invut", READ},
	{"regaut01", READ},
	{"multi01", READ},
	{"mcl01", REFUSED},
	{"bcast", READ},
	{"zeromf", READ},
	{"cparam01", READ},
	{"cparam02", READ},
	{"regescrt", READ},
	{"sdp01", READ},
	{"inv2543", READ},
};

struct bytes {
	uint8_t p[MESSAGE];
	size_t n;
};

static void put(struct bytes *b, const void *p, size_t n)
{
	cr_assert(b->n + n < MESSAGE);
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void load(const struct torture *t, struct bytes *b)
{
	char path[1024];
	snprintf(path, sizeof(path), "%s/%s.sip", VECTOR_DIRECTORY, t->name);
	FILE *f = fopen(path, "rb");
	cr_assert(f, "%s", path);
	b->n = fread(b->p, 1, MESSAGE, f);
	cr_assert(b->n > 0 && b->n < MESSAGE && feof(f));
	fclose(f);
}

static struct alg_flow flow_of(void)
{
	return (struct alg_flow){.guest_ip_be = inet_addr("192.168.30.10"),
		.outside_ip_be = inet_addr("203.0.113.7"),
		.guest_port = 5060,
		.outside_port = 40000};
}

static void edit(
	const struct bytes *in, struct sip_names *names, enum alg_direction from, struct bytes *out)
{
	static struct alg_answer answer;
	const struct alg_flow f = flow_of();
	struct splice e = splice_of(&answer, in->p);
	struct sip_message m;
	answer = (struct alg_answer){0};
	cr_assert(sip_read(in->p, in->n, false, &m), "%.*s", (int)in->n, in->p);
	sip_names_edit(&e, names, &f, from, &m);
	cr_assert(splice_end(&e));
	out->n = edits_apply(&answer, in->p, in->n, out->p, MESSAGE);
}

static void expect_same(const struct torture *t, const struct bytes *a, const struct bytes *b)
{
	cr_expect(a->n == b->n && !memcmp(a->p, b->p, a->n), "%s: %.*s\n---\n%.*s", t->name,
		(int)a->n, a->p, (int)b->n, b->p);
}

/* ---- hosts, found by text ---- */

enum place { NONE, HOST, SENT_BY, MADDR };
enum line { LINE_URI, LINE_VIA, LINE_REACHED, LINE_NAMED, LINE_OTHER };

static bool behind(const struct bytes *b, size_t at, const char *what)
{
	const size_t n = strlen(what);
	return at >= n && !memcmp(b->p + at - n, what, n);
}

/* How long the host that begins here is, 0: none does. */
static size_t host_length(const struct bytes *b, size_t at, enum line line, enum place *place)
{
	size_t n = 0;
	while (at + n < b->n && (isalnum(b->p[at + n]) || strchr(".-", b->p[at + n])) &&
		b->p[at + n])
		n++;
	const char *t = (const char *)b->p + at;
	*place = NONE;
	if (!memmem(t, n, "example.", n < 8 ? n : 8) && !memmem(t, n, "company.com", 11) &&
		(n < 7 || (memcmp(t, "192.", 4) && memcmp(t, "127.", 4))))
		return 0;
	if (behind(b, at, "maddr="))
		*place = MADDR;
	else if (line == LINE_VIA && isspace(b->p[at - 1]) && memmem(t, n, ".", 1))
		*place = SENT_BY;
	else if (line != LINE_VIA && (behind(b, at, "@") || behind(b, at, "sip:")) &&
		 !behind(b, at, "%3Csip:"))
		*place = HOST;
	return *place == NONE ? 0 : n;
}

static enum line line_of(const char *name)
{
	static const char *const via[] = {"via", "v"},
				 *const reached[] = {"contact", "m", "route", "record-route"},
				 *const named[] = {"from", "f", "to", "t"};
	for (size_t i = 0; i < 2; i++)
		if (!strcmp(name, via[i]))
			return LINE_VIA;
	for (size_t i = 0; i < 4; i++) {
		if (!strcmp(name, reached[i]))
			return LINE_REACHED;
		if (!strcmp(name, named[i]))
			return LINE_NAMED;
	}
	return LINE_OTHER;
}

static enum line next_line(const struct bytes *b, size_t at, const struct torture *t)
{
	char name[64] = "";
	for (size_t n = 0; n < sizeof(name) - 1 && isgraph(b->p[at + n]) && b->p[at + n] != ':';
		n++)
		name[n] = (char)tolower(b->p[at + n]);
	return t->kept && !strcmp(name, t->kept) ? LINE_OTHER : line_of(name);
}

/* The message with the guest's address in place of each host, and what is to become of that. */
static void replace(
	const struct torture *t, const struct bytes *b, struct bytes *inside, struct bytes *outside)
{
	const uint8_t *end = memmem(b->p, b->n, "\r\n\r\n", 4);
	const size_t header = end ? (size_t)(end - b->p) + 2 : b->n;
	enum line line = LINE_URI;
	inside->n = outside->n = 0;
	for (size_t at = 0; at < b->n;) {
		enum place place = NONE;
		size_t n = at < header && at ? host_length(b, at, line, &place) : 0, port = n;
		if (!n) {
			put(inside, b->p + at, 1);
			put(outside, b->p + at, 1);
			if (b->p[at++] == '\n' && at < header && !isspace(b->p[at]))
				line = next_line(b, at, t);
			continue;
		}
		if (port < b->n && b->p[at + port] == ':')
			for (port++; isdigit(b->p[at + port]);)
				port++;
		const bool own = port == n + 5 && !memcmp(b->p + at + n, ":5060", 5);
		put(inside, "192.168.30.10", 13);
		put(inside, b->p + at + n, port - n);
		put(outside, line == LINE_OTHER ? "192.168.30.10" : "203.0.113.7",
			line == LINE_OTHER ? 13 : 11);
		if (line != LINE_OTHER && place != MADDR && (own || line != LINE_NAMED))
			put(outside, ":40000", 6);
		else
			put(outside, b->p + at + n, port - n);
		at += port;
	}
}

/* Its lines in a response of the far end. */
static void answer_of(const struct bytes *b, struct bytes *response)
{
	const uint8_t *lines = (const uint8_t *)memchr(b->p, '\n', b->n) + 1;
	response->n = 0;
	put(response, "SIP/2.0 200 OK\r\n", 16);
	put(response, lines, b->n - (size_t)(lines - b->p));
}

/* ---- tests ---- */

static struct bytes message, inside, outside, got, back;

Test(sip_torture, all_of_them_are_there)
{
	cr_expect_eq(sizeof(all) / sizeof(all[0]), 49);
}

Test(sip_torture, what_is_read_is_left_alone)
{
	struct sip_message m;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		load(&all[i], &message);
		cr_expect_eq(sip_read(message.p, message.n, false, &m), all[i].reading == READ,
			"%s", all[i].name);
		for (int from = 0; all[i].reading == READ && from < 2; from++) {
			struct sip_names names = {{true, true, 0}, {true, true, 0}, {true, true, 0},
				{true, true, 0}, {true, true, 0}};
			edit(&message, &names, from, &got);
			expect_same(&all[i], &got, &message);
		}
	}
}

Test(sip_torture, inside_addresses_go_out_and_come_back)
{
	unsigned int changed = 0;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct sip_names names = {0};
		if (all[i].reading != READ)
			continue;
		load(&all[i], &message);
		replace(&all[i], &message, &inside, &outside);
		edit(&inside, &names, ALG_GUEST, &got);
		expect_same(&all[i], &got, &outside);
		changed += inside.n != outside.n || memcmp(inside.p, outside.p, inside.n);
		if (!memcmp(message.p, "SIP/", 4))
			continue;
		answer_of(&outside, &message);
		edit(&message, &names, ALG_OUTSIDE, &got);
		answer_of(&inside, &back);
		expect_same(&all[i], &got, &back);
	}
	cr_expect_eq(changed, 39, "%u", changed);
}

/* With hosts of the guest too, what is refused stays refused. */
Test(sip_torture, what_is_refused_is_refused_with_any_host)
{
	struct sip_message m;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i].reading != REFUSED)
			continue;
		load(&all[i], &message);
		replace(&all[i], &message, &inside, &outside);
		cr_expect_not(sip_read(inside.p, inside.n, false, &m), "%s", all[i].name);
		cr_expect_not(sip_read(inside.p, inside.n, true, &m), "%s", all[i].name);
	}
}

/* In RFC 4475 it lacks the empty line; with one it is a message in which no name is read. */
Test(sip_torture, display_names_without_quotes)
{
	static const struct torture baddn = {"baddn", READ, NULL};
	struct sip_names names = {0};
	load(&baddn, &message);
	put(&message, "\r\n", 2);
	replace(&baddn, &message, &inside, &outside);
	edit(&inside, &names, ALG_GUEST, &got);
	cr_expect_not(names.other.inside);
	cr_expect(names.via.inside);
}

Test(sip_torture, cut_anywhere_the_length_is_the_same)
{
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		load(&all[i], &message);
		const size_t length = sip_frame(message.p, message.n, 0);
		size_t last = 0; /* where more was needed */
		for (size_t n = 1; n <= message.n; n++) {
			const size_t is = sip_frame(message.p, n, 0);
			cr_assert(is == length || (!is && last == n - 1), "%s at %zu: %zu, not %zu",
				all[i].name, n, is, length);
			for (size_t seen = 0; seen <= last && seen < n; seen += 1 + last / 2)
				cr_assert_eq(sip_frame(message.p, n, seen), is, "%s: %zu of %zu",
					all[i].name, seen, n);
			cr_assert_eq(sip_frame(message.p, n, last), is, "%s: %zu of %zu",
				all[i].name, last, n);
			if (!is)
				last = n;
		}
	}
}

Test(sip_torture, lengths_on_a_stream)
{
	static const struct {
		const char *name;
		size_t length; /* of the first message, or of what shows that it is none */
	} known[] = {{"wsinv", 851 + 150}, {"dblreq", 300}, {"inv2543", 340}, {"ltgtruri", 8},
		{"lwsruri", 30}, {"lwsstart", 8}, {"trws", 46}, {"badvers", 38}, {"bigcode", 12},
		{"baddn", 0}};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const struct torture t = {.name = known[i].name};
		load(&t, &message);
		cr_expect_eq(sip_frame(message.p, message.n, 0), known[i].length, "%s: %zu", t.name,
			sip_frame(message.p, message.n, 0));
	}
}

/* Two messages in one datagram are one message; in a stream they are two, with line ends between. */
Test(sip_torture, two_messages)
{
	static const struct torture dblreq = {.name = "dblreq"};
	struct sip_message m;
	load(&dblreq, &message);
	cr_assert(sip_read(message.p, message.n, false, &m));
	cr_expect_eq(text_left(&m.h.body), 0);
	size_t at = sip_frame(message.p, message.n, 0);
	cr_assert(sip_read(message.p, at, true, &m) && text_is(&m.method, "REGISTER"));
	cr_assert_eq(sip_frame(message.p + at, message.n - at, 0), 2);
	at += 2;
	const size_t second = sip_frame(message.p + at, message.n - at, 0);
	cr_assert(sip_read(message.p + at, second, true, &m) && text_is(&m.method, "INVITE"));
}
