/*
 * Renaming inside an answer: whatever way names are compressed, the answer that comes out says the
 * same with one name exchanged. Read by dns_wire.h's own rules.
 */
#include "dns_wire.h"

static struct wire in, out;
static struct wire_text before, after, expected;

/* The names are as long as each other, the new one is longer, it is shorter. */
static const struct exchange {
	const char *asked, *sent;
	enum alg_direction from;
} exchanges[] = {
	{INSIDE_REVERSE, OUTSIDE_REVERSE, ALG_GUEST},
	{"123.30.168.192.in-addr.arpa", "7.113.0.203.in-addr.arpa", ALG_GUEST},
	{"7.113.0.203.in-addr.arpa", "123.30.168.192.in-addr.arpa", ALG_OUTSIDE},
};
static const struct exchange *now = exchanges;

/* What the client gets of `in`, which answers its exchanged question. */
static void give(struct wire *got)
{
	static struct wire ask;
	struct harness *h = harness_new(&dns_protocol, wire_view(false), GRANT);
	const enum alg_direction back = now->from == ALG_GUEST ? ALG_OUTSIDE : ALG_GUEST;
	wire_start(&ask, 1, QUERY, 1, 0, 0, 0);
	wire_question(&ask, now->asked, TYPE_PTR);
	wire_send(h, now->from, &ask);
	wire_start(&ask, 1, QUERY, 1, 0, 0, 0);
	wire_question(&ask, now->sent, TYPE_PTR);
	wire_expect(h, now->from, &ask);
	wire_send(h, back, &in);
	cr_assert_not(h->gave_up);
	got->n = h->way[back].out_bytes;
	memcpy(got->p, h->way[back].out, got->n);
	harness_free(h);
}

static void expect_out(void)
{
	static struct wire got;
	give(&got);
	wire_print(&after, got.p, got.n);
	wire_print(&expected, out.p, out.n);
	cr_assert_str_eq(after.text, expected.text);
	cr_assert(got.n == out.n && !memcmp(got.p, out.p, out.n), "other bytes than these");
}

static void expect_stays(void)
{
	static struct wire got;
	give(&got);
	cr_assert(got.n == in.n && !memcmp(got.p, in.p, in.n));
}

/*
 * What bind9 answers with authority and additional sections: the zone's name is a pointer into the
 * question's, the server's name has a record of its own behind it.
 */
static void authority(struct wire *w, bool exchanged)
{
	const char *asked = exchanged ? now->asked : now->sent;
	const size_t in_addr = strlen(asked); /* a header before, and as much behind */
	size_t zone = 12 + strcspn(asked, ".") + 1;
	wire_start(w, 1, ANSWER, 1, 1, 2, 1);
	wire_question(w, asked, TYPE_PTR);
	wire_pointer(w, "", 12);
	wire_fixed(w, TYPE_PTR, 1, exchanged ? 0 : 300);
	wire_name(w, "host.example");
	const size_t example = w->n - 9;
	wire_end(w);
	for (int i = 0; i < 2; i++) {
		char numbers[20] = "";
		if (exchanged && !i) {
			zone = w->n;
			snprintf(numbers, sizeof(numbers), "%s", strchr(now->sent, '.') + 1);
			*strstr(numbers, ".in") = '\0';
			wire_pointer(w, numbers, in_addr);
		} else {
			wire_pointer(w, "", zone);
		}
		wire_fixed(w, i ? TYPE_SOA : TYPE_NS, 1, 600);
		const size_t server = w->n;
		wire_pointer(w, i ? "dns" : "ns", example);
		if (i) {
			wire_pointer(w, "", server);
			wire_bytes(w, "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5", 20);
		}
		wire_end(w);
	}
	wire_a(w, w->rdata, 600, "198.51.100.53");
}

Test(dns_name, an_answer_of_bind9_with_authority)
{
	for (now = exchanges; now < exchanges + 3; now++) {
		authority(&in, false);
		authority(&out, true);
		expect_out();
	}
}

/* RFC 2317: the name that was asked for is an alias into a zone whose name is a part of its own. */
Test(dns_name, an_alias_into_a_classless_zone)
{
	for (int i = 0; i < 2; i++) {
		struct wire *w = i ? &out : &in;
		wire_start(w, 1, ANSWER, 1, 2, 0, 0);
		wire_question(w, i ? INSIDE_REVERSE : OUTSIDE_REVERSE, TYPE_PTR);
		wire_pointer(w, "", 12);
		wire_fixed(w, TYPE_CNAME, 1, i ? 0 : 300);
		const size_t alias = w->n;
		if (i)
			wire_pointer(w, "50.48/28.113.0.203", 25);
		else
			wire_pointer(w, "50.48/28", 15);
		wire_end(w);
		wire_pointer(w, "", alias);
		wire_fixed(w, TYPE_PTR, 1, 300);
		wire_name(w, "host.example");
		wire_end(w);
	}
	expect_out();
}

/* The same name in each way in which it can be written. */
Test(dns_name, a_name_that_is_spelled_again)
{
	static const char *const spelled[] = {"50", "50.113", "50.113.0", "50.113.0.203",
		"50.113.0.203.IN-ADDR", "x.50.113", "x.50"};
	static const unsigned int rest[] = {15, 19, 21, 25, 33, 19, 15};
	for (unsigned int i = 0; i < 7; i++) {
		wire_start(&in, 1, ANSWER, 1, 2, 0, 0);
		wire_question(&in, OUTSIDE_REVERSE, TYPE_PTR);
		for (int twice = 0; twice < 2; twice++) {
			wire_pointer(&in, spelled[i], rest[i]);
			wire_fixed(&in, TYPE_PTR, 1, 300);
			wire_name(&in, "host.example");
			wire_end(&in);
		}
		wire_print(&before, in.p, in.n);
		give(&out);
		wire_print(&after, out.p, out.n);
		cr_expect_not(strstr(after.text, "50.113"), "%s", after.text);
		cr_expect_not(strstr(after.text, "0000012c"), "a TTL: %s", after.text);
		char *x = strstr(after.text, ".0.203");
		cr_expect_not(x, "%s", after.text);
	}
}

Test(dns_name, a_message_with_a_pointer_that_cannot_be_judged_stays)
{
	for (unsigned int to = 0; to < 90; to++) {
		wire_start(&in, 1, ANSWER, 1, 2, 0, 0);
		wire_question(
			&in, OUTSIDE_REVERSE, TYPE_PTR); /* names at 12, 15, 19, 21, 25, 33, 38 */
		wire_pointer(&in, "", 12);		 /* 43 */
		wire_fixed(&in, 16, 1, 300);		 /* 45 */
		wire_bytes(&in,
			"\1x\0"
			"7654321",
			10); /* 55 */
		wire_end(&in);
		wire_pointer(&in, "y", to); /* 65 */
		wire_fixed(&in, 16, 1, 300);
		wire_end(&in);
		if (!memchr("\14\17\23\25\31\41\46\53\103", (int)to, 9))
			expect_stays();
	}
}

Test(dns_name, data_that_is_not_what_its_type_says_stays)
{
	static const unsigned int types[] = {TYPE_NS, TYPE_SOA, 15, 33, 46};
	for (unsigned int i = 0; i < 5; i++) {
		wire_start(&in, 1, ANSWER, 1, 2, 0, 0);
		wire_question(&in, OUTSIDE_REVERSE, TYPE_PTR);
		wire_pointer(&in, "", 12);
		wire_fixed(&in, types[i], 1, 300);
		wire_u8(&in, 3);
		wire_end(&in);
		wire_name(&in, "");
		wire_fixed(&in, 16, 1, 300);
		wire_bytes(&in, "plenty of bytes that a name may not take", 40);
		wire_end(&in);
		expect_stays();
	}
}

/* Longer than 255 bytes when the numbers grow: "x" 60 and 59 long before them. */
Test(dns_name, a_name_that_would_be_too_long_stays)
{
	for (unsigned int last = 36; last <= 38; last++) {
		wire_start(&in, 1, ANSWER, 1, 1, 0, 0);
		wire_question(&in, "7.113.0.203.in-addr.arpa", TYPE_PTR);
		for (unsigned int i = 0; i < 4; i++) {
			const unsigned int n = i == 3 ? last : 62;
			wire_u8(&in, n);
			for (unsigned int k = 0; k < n; k++)
				wire_u8(&in, 'x');
		}
		wire_u16(&in, 0xc00c);
		wire_fixed(&in, 16, 1, 300);
		wire_end(&in);
		struct harness *h = harness_new(&dns_protocol, wire_view(false), GRANT);
		wire_start(&out, 1, QUERY, 1, 0, 0, 0);
		wire_question(&out, "123.30.168.192.in-addr.arpa", TYPE_PTR);
		wire_send(h, ALG_GUEST, &out);
		wire_send(h, ALG_OUTSIDE, &in);
		/* 189 + 1 + last + 26, and 3 more */
		cr_expect_eq(
			h->way[ALG_OUTSIDE].out_bytes, in.n + (last <= 36 ? 3u : 0u), "%u", last);
		harness_free(h);
	}
}

/* Nothing may be moved to where no pointer reaches. */
Test(dns_name, a_pointer_that_would_reach_too_far_stays)
{
	for (unsigned int far = 0; far < 2; far++) {
		wire_start(&in, 1, ANSWER, 1, 3, 0, 0);
		wire_question(&in, "7.113.0.203.in-addr.arpa", TYPE_PTR);
		wire_name(&in, "");
		wire_fixed(&in, 16, 1, 300);
		while (in.n < 0x3fff - 3 + far - 11 + 11)
			wire_u8(&in, 'x');
		wire_end(&in);
		const size_t name = in.n;
		wire_name(&in, "host.example");
		wire_fixed(&in, 16, 1, 300);
		wire_end(&in);
		wire_pointer(&in, "", name);
		wire_fixed(&in, 16, 1, 300);
		wire_end(&in);
		struct harness *h = harness_new(&dns_protocol, wire_view(true), GRANT);
		wire_start(&out, 1, QUERY, 1, 0, 0, 0);
		wire_question(&out, "123.30.168.192.in-addr.arpa", TYPE_PTR);
		wire_send(h, ALG_GUEST, &out);
		wire_send(h, ALG_OUTSIDE, &in);
		cr_expect_eq(h->way[ALG_OUTSIDE].out_bytes, in.n + 2 + (far ? 0u : 3u));
		harness_free(h);
	}
}

/* Messages at random: a few names of a tree, each written with a pointer to some place where it was written before. */
enum { PLACES = 400 };

struct places {
	unsigned int count;
	struct {
		size_t at;
		char name[80];
	} place[PLACES];
};

static uint32_t seed;

static uint32_t chance(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static void write_name(struct wire *w, struct places *places, const char *name)
{
	while (*name) {
		size_t found[PLACES], count = 0;
		for (unsigned int i = 0; i < places->count; i++)
			if (!strcmp(places->place[i].name, name))
				found[count++] = places->place[i].at;
		if (count && chance(4)) {
			wire_u16(w, 0xc000u | (unsigned int)found[chance((uint32_t)count)]);
			return;
		}
		if (places->count < PLACES && w->n < 0x4000) {
			places->place[places->count].at = w->n;
			snprintf(places->place[places->count++].name, 80, "%s", name);
		}
		const size_t n = strcspn(name, ".");
		wire_u8(w, (unsigned int)n);
		wire_bytes(w, name, n);
		name += n + (name[n] == '.');
	}
	wire_u8(w, 0);
}

/* The sent name, what lies below and above it, and others. */
static const char *any_name(char name[80])
{
	static const char *const below[] = {"", "", "a.", "b.a."},
				 *const others[] = {"ns.example", "host.example", "example", "arpa",
					 "in-addr.arpa", "51.113.0.203.in-addr.arpa"};
	const char *dot = strchr(now->sent, '.') + 1;
	switch (chance(5)) {
	case 0: snprintf(name, 80, "%s", dot); break;
	case 1: snprintf(name, 80, "%s", strchr(dot, '.') + 1); break;
	case 2: snprintf(name, 80, "50.48/28.%s", dot); break;
	case 3: snprintf(name, 80, "%s", others[chance(6)]); break;
	default: snprintf(name, 80, "%s%s", below[chance(4)], now->sent);
	}
	return name;
}

static void write_record(struct wire *w, struct places *places)
{
	char name[80];
	static const unsigned int types[] = {
		TYPE_A, TYPE_NS, TYPE_CNAME, TYPE_SOA, TYPE_PTR, 15, 33, 16};
	const unsigned int type = types[chance(8)];
	const unsigned int count = type == TYPE_SOA ? 2 : type != TYPE_A && type != 16;
	write_name(w, places, any_name(name));
	wire_fixed(w, type, 1, 300);
	for (unsigned int i = 0; i < (type == 15 ? 2 : type == 33 ? 6 : 0); i++)
		wire_u8(w, i);
	for (unsigned int i = 0; i < count; i++)
		write_name(w, places, any_name(name));
	wire_bytes(w, "01234567890123456789", type == TYPE_SOA ? 20 : type == TYPE_A ? 4 : 0);
	wire_end(w);
}

static bool begins_name(const char *line, size_t i)
{
	return i && strchr("\n .", line[i - 1]);
}

/* The same text with the one name exchanged where it ends a name, and a TTL of 0 in such records. */
static void exchange(struct wire_text *t, const char *text)
{
	const size_t sent = strlen(now->sent), asked = strlen(now->asked);
	t->n = 0;
	for (const char *line = text; line && *line;) {
		const char *next = strchr(line + 1, '\n');
		const size_t n = next ? (size_t)(next - line) : strlen(line), start = t->n;
		bool changed = false;
		for (size_t i = 0; i < n; i++) {
			if (begins_name(line, i) && !strncmp(line + i, now->sent, sent)) {
				memcpy(t->text + t->n, now->asked, asked);
				t->n += asked;
				i += sent - 1;
				changed = true;
			} else {
				t->text[t->n++] = line[i];
			}
		}
		t->text[t->n] = '\0';
		char *ttl = strstr(t->text + start, "0000012c");
		if (changed && ttl)
			memcpy(ttl, "00000000", 8);
		line = next;
	}
}

Test(dns_name, at_random_the_same_is_said_with_one_name_exchanged)
{
	static struct places places;
	for (uint32_t round = 0; round < 6000; round++) {
		seed = round * 2654435761u;
		now = &exchanges[round % 3];
		const unsigned int records = 1 + chance(10);
		places.count = 0;
		wire_start(&in, 1, ANSWER, 1, records, 0, 0);
		write_name(&in, &places, now->sent);
		wire_u16(&in, TYPE_PTR);
		wire_u16(&in, 1);
		for (unsigned int i = 0; i < records; i++)
			write_record(&in, &places);
		wire_print(&before, in.p, in.n);
		exchange(&expected, before.text);
		give(&out);
		wire_print(&after, out.p, out.n);
		if (in.n <= 512 && out.n > 512)
			expected.text[5] |= 2; /* TC */
		cr_assert_str_eq(after.text, expected.text, "round %u:\n%s\nis not\n%s", round,
			after.text, expected.text);
	}
}
