/*
 * NetBIOS name service: which addresses are changed in which messages, which are not, and what is no
 * such message.
 */
#include "netbios_messages.h"

enum { NB = 32, NBSTAT = 33, A = 1, NS = 2, UNIQUE = 0x6000, GROUP = 0xe000, POINTER = 0xc00c };
enum { /* flags of the header, RFC 1002 4.2.1.1 */
	QUERY = 0x0100,
	ANSWER = 0x8580,
	REDIRECT = 0x8100,
	REGISTER = 0x2900,
	REGISTERED = 0xad80,
	RELEASE = 0x3000,
	RELEASED = 0xb400,
	WACK = 0xbc00,
	REFRESH = 0x4000,
	REFRESH_TOO = 0x4800,
	MULTIHOMED = 0x7900,
	DEMAND = 0x2800,
};

static void head(struct bytes *b, unsigned int flags, unsigned int questions, unsigned int answers,
	unsigned int authorities, unsigned int additional)
{
	b->n = 0;
	put16(b, 4711);
	put16(b, flags);
	put16(b, questions);
	put16(b, answers);
	put16(b, authorities);
	put16(b, additional);
}

static void question(struct bytes *b, const char *name)
{
	put_name(b, name);
	put16(b, NB);
	put16(b, 1);
}

/* Behind a record's name. */
static void record(struct bytes *b, unsigned int type, unsigned int bytes)
{
	put16(b, type);
	put16(b, 1);
	put16(b, 4);
	put16(b, 0x93e0);
	put16(b, bytes);
}

static void entry(struct bytes *b, unsigned int flags, const char *address)
{
	put16(b, flags);
	put_ip(b, address);
}

/* A request about a name at an address: registration, refresh, release. */
static const struct bytes *claim(unsigned int flags, const char *name, const char *address)
{
	static struct bytes both[2], *b;
	b = b == &both[0] ? &both[1] : &both[0];
	head(b, flags, 1, 0, 0, 1);
	question(b, name);
	put16(b, POINTER);
	record(b, NB, 6);
	entry(b, UNIQUE, address);
	return b;
}

static const struct bytes *answer(unsigned int flags, const char *name, const char *address)
{
	static struct bytes both[2], *b;
	b = b == &both[0] ? &both[1] : &both[0];
	head(b, flags, 0, 1, 0, 0);
	put_name(b, name);
	record(b, NB, 6);
	entry(b, UNIQUE, address);
	return b;
}

static struct harness *client(void)
{
	return harness_new(&netbios_name_protocol, netbios_view(137, false), GRANT);
}

static struct harness *server(void)
{
	return harness_new(&netbios_name_protocol, netbios_view(137, true), GRANT);
}

static void end(struct harness *h)
{
	cr_expect_not(h->gave_up, "%s", h->why);
	harness_free(h);
}

static void same(
	struct harness *h, enum alg_direction from, const struct bytes *b, const char *what)
{
	netbios_pass(h, from, b, b, what);
}

Test(netbios_name, what_a_guest_claims_is_its_outside_address)
{
	const unsigned int kinds[] = {REGISTER, REFRESH, REFRESH_TOO, RELEASE, MULTIHOMED, DEMAND};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct harness *h = client();
		netbios_pass(h, ALG_GUEST, claim(kinds[i], "GUEST", GUEST_IP),
			claim(kinds[i], "GUEST", OUTSIDE_IP), "its own");
		netbios_pass(h, ALG_GUEST, claim(kinds[i], "OTHER", INSIDE_IP),
			claim(kinds[i], "OTHER", MAPPED_IP), "a mapped host's");
		same(h, ALG_GUEST, claim(kinds[i], "GUEST", "192.168.30.11"), "a third host's");
		same(h, ALG_GUEST, claim(kinds[i], "GUEST", PEER_IP), "the peer's");
		same(h, ALG_GUEST, claim(kinds[i], "GUEST", OUTSIDE_IP), "outside already");
		same(h, ALG_GUEST, claim(kinds[i], "GUEST", MAPPED_IP), "outside already");
		end(h);
	}
}

Test(netbios_name, a_claim_stays_where_the_outside_address_is_not_known)
{
	struct alg_flow view = netbios_view(137, false);
	view.outside_ip_be = 0;
	struct harness *h = harness_new(&netbios_name_protocol, view, GRANT);
	same(h, ALG_GUEST, claim(REGISTER, "GUEST", GUEST_IP), "its own");
	same(h, ALG_OUTSIDE, answer(0xad80, "GUEST", "0.0.0.0"), "nobody's");
	end(h);
}

Test(netbios_name, answers_to_a_claim_name_the_guest_again)
{
	const unsigned int kinds[] = {REGISTERED, REGISTERED | 6, RELEASED, 0xc580};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct harness *h = client();
		netbios_pass(h, ALG_OUTSIDE, answer(kinds[i], "GUEST", OUTSIDE_IP),
			answer(kinds[i], "GUEST", GUEST_IP), "its own");
		netbios_pass(h, ALG_OUTSIDE, answer(kinds[i], "GUEST", MAPPED_IP),
			answer(kinds[i], "GUEST", INSIDE_IP), "the mapped host that has it");
		same(h, ALG_OUTSIDE, answer(kinds[i], "GUEST", "198.51.100.20"), "somebody else");
		same(h, ALG_OUTSIDE, answer(kinds[i], "GUEST", GUEST_IP), "inside already");
		end(h);
	}
	struct harness *h = client();
	netbios_pass(h, ALG_OUTSIDE, claim(RELEASE, "GUEST", OUTSIDE_IP),
		claim(RELEASE, "GUEST", GUEST_IP), "the server demands a name back");
	end(h);
}

Test(netbios_name, an_answer_to_a_query_means_the_guest_only_if_the_name_is_its_own)
{
	struct harness *h = client();
	same(h, ALG_OUTSIDE, answer(ANSWER, "GUEST", OUTSIDE_IP), "not registered");
	harness_send(h, ALG_GUEST, claim(REGISTER, "GUEST", GUEST_IP)->p,
		claim(REGISTER, "GUEST", GUEST_IP)->n);
	netbios_pass(h, ALG_OUTSIDE, answer(ANSWER, "GUEST", OUTSIDE_IP),
		answer(ANSWER, "GUEST", GUEST_IP), "registered");
	same(h, ALG_OUTSIDE, answer(ANSWER, "OTHER", OUTSIDE_IP), "another guest of this gateway");
	netbios_pass(h, ALG_OUTSIDE, answer(ANSWER, "OTHER", MAPPED_IP),
		answer(ANSWER, "OTHER", INSIDE_IP), "a mapped host");
	same(h, ALG_OUTSIDE, answer(ANSWER, "OTHER", "198.51.100.20"), "somebody else");
	end(h);
}

static void register_name(struct harness *h, const char *name)
{
	netbios_pass(h, ALG_GUEST, claim(REFRESH, name, GUEST_IP), claim(REFRESH, name, OUTSIDE_IP),
		name);
}

Test(netbios_name, the_oldest_of_many_names_is_forgotten_first)
{
	struct harness *h = client();
	char name[16];
	for (int i = 0; i <= 64; i++) {
		snprintf(name, sizeof(name), "NAME%d", i);
		register_name(h, name);
		register_name(h, name); /* which counts once */
	}
	same(h, ALG_OUTSIDE, answer(ANSWER, "NAME0", OUTSIDE_IP), "the oldest of 65");
	for (int i = 1; i <= 64; i++) {
		snprintf(name, sizeof(name), "NAME%d", i);
		netbios_pass(h, ALG_OUTSIDE, answer(ANSWER, name, OUTSIDE_IP),
			answer(ANSWER, name, GUEST_IP), name);
	}
	end(h);
}

Test(netbios_name, only_a_claim_of_the_guest_for_itself_is_remembered)
{
	struct harness *h = client();
	same(h, ALG_GUEST, claim(REGISTER, "A", "192.168.30.11"), "for another guest");
	same(h, ALG_GUEST, claim(REGISTER, "A", OUTSIDE_IP), "for whoever");
	same(h, ALG_OUTSIDE, answer(ANSWER, "A", OUTSIDE_IP), "not its own");
	netbios_pass(h, ALG_GUEST, answer(ANSWER, "A", GUEST_IP), answer(ANSWER, "A", OUTSIDE_IP),
		"an answer");
	netbios_pass(h, ALG_OUTSIDE, claim(REGISTER, "A", OUTSIDE_IP),
		claim(REGISTER, "A", GUEST_IP), "said by the server");
	same(h, ALG_OUTSIDE, answer(ANSWER, "A", OUTSIDE_IP), "still not its own");
	register_name(h, "A");
	register_name(h, "B");
	netbios_pass(h, ALG_GUEST, claim(RELEASE, "A", GUEST_IP), claim(RELEASE, "A", OUTSIDE_IP),
		"given up");
	same(h, ALG_OUTSIDE, answer(ANSWER, "A", OUTSIDE_IP), "no longer its own");
	netbios_pass(h, ALG_OUTSIDE, answer(ANSWER, "B", OUTSIDE_IP), answer(ANSWER, "B", GUEST_IP),
		"the other is");
	end(h);
}

Test(netbios_name, a_name_is_its_labels_wherever_they_stand)
{
	struct harness *h = client();
	struct bytes b = {.n = 0}, as = {.n = 0};
	head(&b, REGISTER, 1, 0, 0, 1);
	put_label(&b, "GUEST", 0x20);
	put(&b, "\007netbios\003com", 13);
	put16(&b, NB);
	put16(&b, 1);
	put16(&b, POINTER);
	record(&b, NB, 6);
	entry(&b, UNIQUE, GUEST_IP);
	harness_send(h, ALG_GUEST, b.p, b.n);
	for (int i = 0; i < 2; i++) { /* without the scope it is another name */
		struct bytes *m = i ? &as : &b;
		head(m, ANSWER, 0, 2, 0, 0);
		put_name(m, "GUEST");
		record(m, NB, 6);
		entry(m, UNIQUE, OUTSIDE_IP);
		put_label(m, "GUEST", 0x20);
		put(m, "\007NETBIOS\003com", 13);
		record(m, NB, 6);
		entry(m, UNIQUE, i ? GUEST_IP : OUTSIDE_IP);
	}
	netbios_pass(h, ALG_OUTSIDE, &b, &as, "scope");
	end(h);
}

/* A group as a list, each address of its own kind. */
static void group(struct bytes *b, unsigned int n, const char *first, const char *second)
{
	head(b, ANSWER, 0, 1, 0, 0);
	put_name(b, "GROUP");
	record(b, NB, n * 6);
	for (unsigned int i = 0; i < n; i++)
		entry(b, GROUP, i == 0 ? first : i == 1 ? second : PEER_IP);
}

Test(netbios_name, every_entry_of_a_list_is_looked_at)
{
	struct harness *h = server();
	struct bytes b, as;
	group(&b, 25, GUEST_IP, INSIDE_IP);
	group(&as, 25, OUTSIDE_IP, MAPPED_IP);
	netbios_pass(h, ALG_GUEST, &b, &as, "outward");
	end(h);
}

static void crowd(struct bytes *b, unsigned int n, const char *address)
{
	head(b, ANSWER, 0, 1, 0, 0);
	put_name(b, "GROUP");
	record(b, NB, n * 6);
	for (unsigned int i = 0; i < n; i++)
		entry(b, GROUP, address);
}

Test(netbios_name, what_needs_too_many_edits_goes_on_as_it_is)
{
	struct harness *h = server();
	struct bytes b, as;
	crowd(&b, ALG_EDITS, GUEST_IP);
	crowd(&as, ALG_EDITS, OUTSIDE_IP);
	netbios_pass(h, ALG_GUEST, &b, &as, "as many as there may be");
	crowd(&b, ALG_EDITS + 1, GUEST_IP);
	same(h, ALG_GUEST, &b, "one more");
	crowd(&b, 5000, PEER_IP);
	same(h, ALG_GUEST, &b, "long, but nobody's");
	end(h);
}

Test(netbios_name, a_server_inside_names_mapped_hosts)
{
	struct harness *h = server();
	same(h, ALG_OUTSIDE, claim(REGISTER, "FAR", PEER_IP), "a client outside");
	same(h, ALG_OUTSIDE, claim(REGISTER, "NEAR", OUTSIDE_IP), "one behind the same gateway");
	netbios_pass(h, ALG_OUTSIDE, claim(REGISTER, "OTHER", MAPPED_IP),
		claim(REGISTER, "OTHER", INSIDE_IP), "a mapped host");
	netbios_pass(h, ALG_GUEST, answer(ANSWER, "SERVER", GUEST_IP),
		answer(ANSWER, "SERVER", OUTSIDE_IP), "the server itself");
	netbios_pass(h, ALG_GUEST, answer(ANSWER, "OTHER", INSIDE_IP),
		answer(ANSWER, "OTHER", MAPPED_IP), "a mapped host");
	same(h, ALG_GUEST, answer(ANSWER, "FAR", PEER_IP), "a client outside");
	same(h, ALG_GUEST, answer(ANSWER, "THIRD", "192.168.30.11"), "has no outside address");
	end(h);
}

static void redirect(struct bytes *b, const char *address)
{
	head(b, REDIRECT, 0, 0, 1, 1);
	put(b, "\007NETBIOS\003COM", 13);
	record(b, NS, 5);
	put(b, "\002NS\xc0\x0c", 5);
	put16(b, 0xc023);
	record(b, A, 4);
	put_ip(b, address);
}

Test(netbios_name, redirections_lead_to_mapped_servers)
{
	struct bytes b, as;
	struct harness *h = client();
	redirect(&b, MAPPED_IP);
	redirect(&as, INSIDE_IP);
	netbios_pass(h, ALG_OUTSIDE, &b, &as, "inward");
	redirect(&b, OUTSIDE_IP);
	same(h, ALG_OUTSIDE, &b, "whoever has that");
	end(h);
	h = server();
	redirect(&b, GUEST_IP);
	redirect(&as, OUTSIDE_IP);
	netbios_pass(h, ALG_GUEST, &b, &as, "outward, itself");
	redirect(&b, INSIDE_IP);
	redirect(&as, MAPPED_IP);
	netbios_pass(h, ALG_GUEST, &b, &as, "outward, mapped");
	end(h);
}

/* One record whose data begins with the guest's address and with it two bytes later. */
static void odd(struct bytes *b, unsigned int type, unsigned int rr_class, unsigned int bytes)
{
	head(b, ANSWER, 0, 1, 0, 0);
	put_name(b, "GUEST");
	record(b, type, bytes);
	b->p[b->n - 7] = (uint8_t)rr_class;
	if (type == A) {
		put_ip(b, GUEST_IP);
		put(b, GUEST_IP, bytes - 4);
		return;
	}
	for (unsigned int i = 0; i + 6 <= bytes; i += 6)
		entry(b, i ? UNIQUE : 0xc0a8, GUEST_IP);
	put(b, "\xc0\xa8\x1e\x0a\xc0\xa8", bytes % 6);
}

Test(netbios_name, other_records_are_left_alone)
{
	static const struct {
		unsigned int type, rr_class, bytes;
	} records[] = {{NB, 3, 6}, {NB, 1, 2}, {NB, 1, 8}, {NB, 1, 0}, {NBSTAT, 1, 12}, {NS, 1, 6},
		{10, 1, 4}, {A, 1, 6}, {A, 2, 4}, {28, 1, 4}};
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		struct harness *h = server();
		struct bytes b;
		odd(&b, records[i].type, records[i].rr_class, records[i].bytes);
		same(h, ALG_GUEST, &b, "outward");
		end(h);
	}
	struct harness *h = client();
	struct bytes b = {.n = 0};
	head(&b, WACK, 0, 1, 0, 0);
	put8(&b, 0); /* the null name */
	record(&b, NB, 2);
	put16(&b, REGISTER);
	same(h, ALG_OUTSIDE, &b, "wait for acknowledgement");
	head(&b, ANSWER | 3, 0, 0, 0, 0);
	same(h, ALG_OUTSIDE, &b, "nothing but a header");
	head(&b, QUERY, 1, 0, 0, 0);
	question(&b, "GUEST");
	put(&b, "\xc0\xa8\x1e\x0a", 4);
	same(h, ALG_GUEST, &b, "bytes behind the end");
	end(h);
}

static void expect_violation(const struct bytes *b, size_t n, const char *what)
{
	struct harness *h = client();
	harness_send(h, ALG_GUEST, b->p, n);
	cr_expect(h->gave_up && h->violation, "%s, %zu bytes", what, n);
	harness_send(h, ALG_GUEST, claim(REGISTER, "GUEST", GUEST_IP)->p, b->n);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(netbios_name, every_shorter_message_is_a_violation)
{
	const struct bytes b = *claim(REGISTER, "GUEST", GUEST_IP);
	for (size_t n = 0; n < b.n; n++)
		expect_violation(&b, n, "cut");
}

Test(netbios_name, counts_that_lie_are_violations)
{
	for (size_t at = 4; at < 12; at++) {
		struct bytes b = *claim(REGISTER, "GUEST", GUEST_IP);
		b.p[at] = at & 1 ? (uint8_t)(b.p[at] + 1) : 255;
		expect_violation(&b, b.n, "count");
	}
	struct bytes b = *claim(REGISTER, "GUEST", GUEST_IP);
	b.p[b.n - 7]++;
	expect_violation(&b, b.n, "length of a record");
}

/* A record whose name is these bytes, at offset 12 behind nothing but the header. */
static void expect_bad_name(const char *name, size_t n)
{
	struct bytes b = {.n = 0};
	head(&b, ANSWER, 0, 1, 0, 0);
	put(&b, name, n);
	record(&b, NB, 6);
	entry(&b, UNIQUE, GUEST_IP);
	expect_violation(&b, b.n, "name");
}

Test(netbios_name, names_that_lead_nowhere_are_violations)
{
	expect_bad_name("\xc0\x0c", 2); /* to itself */
	expect_bad_name("\xc0\x0e", 2); /* forwards */
	expect_bad_name("\xc0\x00", 2); /* into the header */
	expect_bad_name("\xc0\x0b", 2);
	expect_bad_name("\x01x\xc0\x0c", 4); /* to its own beginning */
	expect_bad_name("\x01x\xc0\x0e", 4); /* into itself */
	expect_bad_name("\xff\xff", 2);
	char long_name[300];
	memset(long_name, 1, sizeof(long_name));
	for (int c = 0x40; c < 0xc0; c++) { /* as lengths they would lead to an end */
		long_name[0] = (char)c;
		long_name[c + 1] = '\0';
		expect_bad_name(long_name, (size_t)c + 2);
		long_name[c + 1] = 1;
	}
	for (size_t i = 0; i < 256; i += 2)
		memcpy(long_name + i, "\x01x", 2);
	long_name[254] = '\0';
	struct harness *h = client();
	struct bytes b = {.n = 0};
	head(&b, ANSWER, 0, 1, 0, 0);
	put(&b, long_name, 255);
	record(&b, NB, 0);
	same(h, ALG_OUTSIDE, &b, "255 bytes");
	end(h);
	long_name[254] = 1;
	long_name[256] = '\0';
	expect_bad_name(long_name, 257);
	long_name[252] = 2;
	long_name[255] = '\0';
	expect_bad_name(long_name, 256);
}

/* Records whose names are each a pointer to the one before. */
static void chain(struct bytes *b, unsigned int n)
{
	size_t last = 12;
	head(b, ANSWER, 0, n, 0, 0);
	put_name(b, "GUEST");
	record(b, NB, 0);
	for (unsigned int i = 1; i < n; i++) {
		const size_t at = b->n;
		put16(b, 0xc000 | (unsigned int)last);
		record(b, NB, 0);
		last = at;
	}
}

Test(netbios_name, pointers_are_followed_so_far_and_no_further)
{
	struct bytes b;
	struct harness *h = client();
	chain(&b, 5);
	same(h, ALG_OUTSIDE, &b, "four");
	end(h);
	chain(&b, 6);
	expect_violation(&b, b.n, "five");
}

Test(netbios_name, a_question_is_about_a_netbios_name)
{
	struct bytes b = {.n = 0};
	head(&b, QUERY, 1, 0, 0, 0);
	put(&b, "\003www\007example\003com\0\0\001\0\001", 21);
	expect_violation(&b, b.n, "DNS");
	head(&b, QUERY, 1, 0, 0, 0);
	question(&b, "GUEST");
	b.p[12 + 1] = 'Q';
	expect_violation(&b, b.n, "a letter beyond P");
	b.p[12 + 1] = '@';
	expect_violation(&b, b.n, "none at all");
}

/* ---- captures ---- */

static uint32_t changed(const char *name, bool serves)
{
	struct session *s = session_load(VECTOR_DIRECTORY, name);
	struct harness *h = netbios_play(s, &netbios_name_protocol, false, serves);
	uint32_t n = 0;
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(h->way[i].in_bytes, h->way[i].out_bytes, "%s", name);
		for (uint64_t at = 0; at < h->way[i].in_bytes; at++)
			n += h->way[i].in[at] != h->way[i].out[at];
	}
	cr_expect_not(h->gave_up, "%s: %s", name, h->why);
	harness_free(h);
	free(s);
	return n;
}

Test(netbios_name_captures, each_does_what_its_name_says)
{
	cr_expect_eq(
		changed("own-samba-nbns-nbdgm-nbss-1.session", false), 4 * 20, "its registrations");
	cr_expect_eq(changed("own-samba-nbns-nbdgm-nbss-1.session", true), 0);
	cr_expect_eq(changed("own-samba-nbns-nbdgm-nbss-2.session", false), 0, "node status");
	cr_expect_eq(changed("own-samba-nbns-nbdgm-nbss-2.session", true), 0);
	cr_expect_eq(changed("crafted-registration.session", false), 4 * 9 + 3);
	cr_expect_eq(changed("crafted-query.session", false), 4 * 3 + 3);
	cr_expect_eq(changed("crafted-redirect.session", false), 3);
	cr_expect_eq(changed("crafted-status.session", false), 0);
	cr_expect_eq(changed("crafted-server-inside.session", true), 4 + 3);
}

static void without_its_address(const struct session *s)
{
	session_expect_untouched(s, &netbios_name_protocol, false);
}

Test(netbios_name_captures, a_foreign_address_leaves_every_byte_as_it_was)
{
	session_each(VECTOR_DIRECTORY, 8, without_its_address);
}
