/*
 * Recorded sessions (tests/vectors/NAME/README.md) played through a parser: whole, cut at every position, byte by byte. Whatever the
 * cuts, output, wishes and acts must be the same; a datagram is never cut.
 */
#ifndef NATLOCK_TESTS_ALG_SESSION_H
#define NATLOCK_TESTS_ALG_SESSION_H

#include <dirent.h>

#include "harness.h"

enum { SESSION_RECORDS = 1024, SESSION_BYTES = 1 << 17, SESSION_NO_CUT = 0, SESSION_WHOLE = SESSION_BYTES };

struct session {
	char name[256], client[64], server[64];
	unsigned int client_port, server_port, records, bytes;
	struct {
		bool from_client;
		unsigned int at, n;
	} record[SESSION_RECORDS];
	uint8_t data[SESSION_BYTES];
};

static inline struct session *session_load(const char *directory, const char *name)
{
	struct session *s = calloc(1, sizeof(*s));
	char path[1024], way;
	unsigned int n;
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	snprintf(s->name, sizeof(s->name), "%s", name);
	FILE *f = fopen(path, "rb");
	cr_assert(f && fscanf(f, "%63s %u %63s %u", s->client, &s->client_port, s->server,
			       &s->server_port) == 4,
		"%s", path);
	while (fscanf(f, " %c %u", &way, &n) == 2) {
		cr_assert(fgetc(f) == '\n' && s->records < SESSION_RECORDS &&
				  s->bytes + n <= SESSION_BYTES,
			"%s", path);
		s->record[s->records].from_client = way == '>';
		s->record[s->records].at = s->bytes;
		s->record[s->records++].n = n;
		cr_assert_eq(fread(s->data + s->bytes, 1, n, f), n);
		s->bytes += n;
	}
	cr_assert(feof(f) && s->records > 0, "%s", path);
	fclose(f);
	return s;
}

/* The flow of this session with its client, or with `serves` its server, as the guest; 203.0.113.7 outside. */
static inline struct alg_flow session_view(const struct session *s, bool stream, bool serves)
{
	return (struct alg_flow){
		.guest_ip_be = ip(serves ? s->server : s->client),
		.peer_ip_be = ip(serves ? s->client : s->server),
		.outside_ip_be = ip("203.0.113.7"),
		.guest_port = (uint16_t)(serves ? s->server_port : s->client_port),
		.peer_port = (uint16_t)(serves ? s->client_port : s->server_port),
		.outside_port = 40000,
		.stream = stream,
		.guest_serves = serves,
	};
}

/* Plays it cut into pieces of at most `piece` bytes, and once more at `cut` (SESSION_NO_CUT: not). */
static inline struct harness *session_play(const struct session *s,
	const struct alg_protocol *protocol, struct alg_flow view, unsigned int piece,
	unsigned int cut)
{
	struct harness *h = harness_new(protocol, view, GRANT);
	for (unsigned int i = 0; i < s->records; i++) {
		unsigned int at = s->record[i].at, end = at + s->record[i].n;
		const enum alg_direction from =
			s->record[i].from_client != view.guest_serves ? ALG_GUEST : ALG_OUTSIDE;
		do {
			unsigned int n = end - at < piece ? end - at : piece;
			if (cut > at && cut < at + n)
				n = cut - at;
			harness_send(h, from, s->data + at, n);
			at += n;
		} while (at < end);
	}
	return h;
}

static inline void session_expect_same(const struct session *s, const struct harness *a,
	const struct harness *b, unsigned int cut)
{
	cr_assert(a->wishes == b->wishes &&
			  !memcmp(a->wish, b->wish, a->wishes * sizeof(a->wish[0])),
		"%s at %u: other wishes", s->name, cut);
	cr_assert(a->acts == b->acts && !memcmp(a->act, b->act, a->acts * sizeof(a->act[0])),
		"%s at %u: other acts", s->name, cut);
	cr_assert_eq(a->gave_up, b->gave_up, "%s at %u", s->name, cut);
	for (int i = 0; i < 2; i++) {
		if (!a->gave_up) /* what comes after a violation depends on nothing but that it is
				    raw */
			cr_assert_eq(
				a->way[i].passed, b->way[i].passed, "%s at %u", s->name, cut);
		cr_assert(a->way[i].out_bytes == b->way[i].out_bytes &&
				  !memcmp(a->way[i].out, b->way[i].out, a->way[i].out_bytes),
			"%s at %u: different output", s->name, cut);
	}
}

/* The torture: every position, with either end as the guest. */
static inline void session_cut_everywhere(
	const struct session *s, const struct alg_protocol *protocol)
{
	for (int serves = 0; serves < 2; serves++) {
		struct alg_flow view = session_view(s, true, serves);
		struct harness *whole =
			session_play(s, protocol, view, SESSION_WHOLE, SESSION_NO_CUT);
		struct harness *bytes = session_play(s, protocol, view, 1, SESSION_NO_CUT);
		session_expect_same(s, whole, bytes, 0);
		harness_free(bytes);
		for (unsigned int at = 1; at < s->bytes; at++) {
			struct harness *h = session_play(s, protocol, view, SESSION_WHOLE, at);
			session_expect_same(s, whole, h, at);
			harness_free(h);
		}
		harness_free(whole);
	}
}

/* The whole of it with one end as the guest, under addresses that nobody names. */
static inline struct harness *session_play_foreign(
	const struct session *s, const struct alg_protocol *protocol, bool stream, bool serves)
{
	struct alg_flow view = session_view(s, stream, serves);
	view.guest_ip_be = ip("172.31.255.254");
	view.outside_ip_be = ip("172.31.255.253");
	return session_play(s, protocol, view, SESSION_WHOLE, SESSION_NO_CUT);
}

/* Idempotence: with either end as the guest under addresses that nobody names, every byte stays as it was. */
static inline void session_expect_untouched(
	const struct session *s, const struct alg_protocol *protocol, bool stream)
{
	for (int serves = 0; serves < 2; serves++) {
		struct harness *h = session_play_foreign(s, protocol, stream, serves);
		harness_expect_untouched(h);
		harness_free(h);
	}
}

/* Each *.session of a directory, of which there must be at least so many. */
static inline void session_each(
	const char *directory, unsigned int least, void (*f)(const struct session *s))
{
	DIR *d = opendir(directory);
	unsigned int count = 0;
	cr_assert(d, "%s", directory);
	for (const struct dirent *e; (e = readdir(d));) {
		if (!strstr(e->d_name, ".session"))
			continue;
		struct session *s = session_load(directory, e->d_name);
		f(s);
		free(s);
		count++;
	}
	closedir(d);
	cr_assert_geq(count, least, "only %u sessions in %s", count, directory);
}

#endif
