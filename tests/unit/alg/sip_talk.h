/*
 * Dialogues of SIP for tests: messages of two parties in their turns, and what became of pinholes in between, told in words.
 */
#ifndef NATLOCK_TESTS_ALG_SIP_TALK_H
#define NATLOCK_TESTS_ALG_SIP_TALK_H

#include <stdarg.h>

#include "harness.h"

#define GUEST	"192.168.30.10"
#define OUTSIDE "203.0.113.7"
#define PEER	"198.51.100.9"
#define ONE	"198.51.100.21" /* where media come from */
#define TWO	"198.51.100.22"
#define THREE	"198.51.100.23"

/* The n-th wish as expect_told has it: a pair at this port that waits for the far end. */
#define LATENT(n, port) "wish " #n " " #port " latent " PEER

enum { TALK_BYTES = 16384 };

/* One call of a flow; forks are named by the tag of who was called. */
struct call {
	struct harness *h;
	enum alg_direction caller;
	const char *id, *tag;
	const char *branch;	   /* NULL: one that follows from sender, method and number */
	const char *via;	   /* of the guest, NULL: its own address */
	const char *contact;	   /* likewise */
	const char *more;	   /* header lines of the next message */
	uint32_t wishes, acts;	   /* that were told */
	char said[2][TALK_BYTES];  /* the last message of each side, as it went in, */
	char heard[2][TALK_BYTES]; /* and as it came out */
};

static inline struct alg_flow talk_view(void)
{
	struct alg_flow f = harness_client(5060, 41000, 5060);
	f.now_ms = 5000000;
	return f;
}

static inline struct harness *talk_begin(void)
{
	return harness_new(&sip_protocol, talk_view(), GRANT);
}

static inline struct call talk_call(struct harness *h, enum alg_direction caller, const char *id)
{
	return (struct call){.h = h, .caller = caller, .id = id, .tag = "began"};
}

/* A description of one audio stream, or of what `media` says, at this address. */
static inline const char *talk_sdp_of(const char *address, const char *media)
{
	static char sdp[8][1024];
	static unsigned int turn;
	char *s = sdp[turn++ % 8];
	snprintf(s, sizeof(sdp[0]), "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n%s",
		address, address, media);
	return s;
}

static inline const char *talk_sdp(const char *address, unsigned int port)
{
	char media[64];
	snprintf(media, sizeof(media), "m=audio %u RTP/AVP 0\r\n", port);
	return talk_sdp_of(address, media);
}

static inline void talk_send(struct call *c, enum alg_direction from)
{
	const struct way *w = &c->h->way[from];
	const uint64_t before = w->out_bytes;
	harness_say(c->h, from, c->said[from]);
	const size_t n = w->out_bytes - before;
	cr_assert_lt(n, (size_t)TALK_BYTES);
	memcpy(c->heard[from], w->out + before, n);
	c->heard[from][n] = '\0';
	c->more = NULL;
}

/* Everything behind the start line. asker: who made the request. */
static inline void talk_rest(struct call *c, enum alg_direction from, enum alg_direction asker,
	unsigned int number, const char *method, const char *fork, const char *sdp)
{
	char *out = c->said[from], branch[64];
	const char *tags[] = {c->tag, fork};
	const char *from_tag = tags[asker != c->caller], *to_tag = tags[asker == c->caller];
	const bool guest = asker == ALG_GUEST;
	size_t n = strlen(out);
	snprintf(branch, sizeof(branch), "z9hG4bK%d%s%u", (int)asker,
		!strcmp(method, "CANCEL") ? "INVITE" : method, number);
	n += (size_t)snprintf(out + n, TALK_BYTES - n,
		"Via: SIP/2.0/UDP %s;branch=%s\r\nFrom: <sip:a@example.com>%s%s\r\n"
		"To: <sip:b@example.com>%s%s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n",
		!guest	 ? PEER
		: c->via ? c->via
			 : GUEST,
		c->branch ? c->branch : branch, from_tag ? ";tag=" : "", from_tag ? from_tag : "",
		to_tag ? ";tag=" : "", to_tag ? to_tag : "", c->id, number, method);
	if (strcmp(method, "PRACK") && strcmp(method, "ACK") && strcmp(method, "BYE"))
		n += (size_t)snprintf(out + n, TALK_BYTES - n, "Contact: <sip:c@%s>\r\n",
			from != ALG_GUEST ? PEER
			: c->contact	  ? c->contact
					  : GUEST);
	snprintf(out + n, TALK_BYTES - n, "%s%sContent-Length: %zu\r\n\r\n%s",
		c->more ? c->more : "", sdp ? "Content-Type: application/sdp\r\n" : "",
		sdp ? strlen(sdp) : 0, sdp ? sdp : "");
}

/* fork: the other one's tag, NULL: outside of a dialog. sdp: NULL for none. */
static inline void ask(struct call *c, enum alg_direction from, const char *method,
	unsigned int number, const char *fork, const char *sdp)
{
	snprintf(c->said[from], TALK_BYTES, "%s sip:b@example.com SIP/2.0\r\n", method);
	talk_rest(c, from, from, number, method, fork, sdp);
	talk_send(c, from);
}

static inline void reply(struct call *c, enum alg_direction from, unsigned int status,
	const char *method, unsigned int number, const char *fork, const char *sdp)
{
	snprintf(c->said[from], TALK_BYTES, "SIP/2.0 %u X\r\n", status);
	talk_rest(c, from, (enum alg_direction) !from, number, method, fork, sdp);
	talk_send(c, from);
}

static inline const char *talk_ip(uint32_t ip_be)
{
	return inet_ntoa((struct in_addr){ip_be});
}

static inline const char *talk_act(const struct alg_act *a, char *text, size_t n)
{
	static const char *const words[] = {
		[ALG_ARM] = "arm", [ALG_KEEP] = "keep", [ALG_CLOSE] = "close"};
	snprintf(text, n, "%s %u%s%s", words[a->what], a->token, a->media ? " " : "",
		a->media ? talk_ip(a->peer_ip_be) : "");
	return text;
}

/*
 * What happened since it was told last, first the wishes, then the acts: "wish 1 5004 latent 198.51.100.9", or "open" where it is not
 * latent; "arm 1 198.51.100.20", "keep 1", "close 1"; with "; " between them.
 */
#define expect_told(c, ...) talk_told((c), __LINE__, __VA_ARGS__)
static inline void talk_told(struct call *c, int line, const char *expected)
{
	char told[4096] = "", one[96];
	for (; c->wishes < c->h->wishes; c->wishes++) {
		const struct alg_wish *w = &c->h->wish[c->wishes];
		snprintf(one, sizeof(one), "%swish %u %u %s %s", *told ? "; " : "", w->token,
			w->guest_port, w->latent ? "latent" : "open", talk_ip(w->peer_ip_be));
		strncat(told, one, sizeof(told) - strlen(told) - 1);
	}
	for (; c->acts < c->h->acts; c->acts++) {
		if (*told)
			strncat(told, "; ", sizeof(told) - strlen(told) - 1);
		strncat(told, talk_act(&c->h->act[c->acts], one, sizeof(one)),
			sizeof(told) - strlen(told) - 1);
	}
	cr_assert_str_eq(told, expected, "line %d: got \"%s\", not \"%s\"", line, told, expected);
}

/* The last message of a side came out with these words in it. */
#define expect_heard(c, from, words)                                                               \
	cr_assert(strstr((c)->heard[from], words), "no \"%s\" in:\n%s", words, (c)->heard[from])
#define expect_same(c, from)                                                                       \
	cr_assert_str_eq((c)->heard[from], (c)->said[from], "\n%s", (c)->heard[from])

/* The guest calls and is answered: INVITE 1, 200 and ACK of `fork` with media at `address`. */
static inline void talk_established(
	struct call *c, const char *fork, unsigned int port, const char *address)
{
	ask(c, ALG_GUEST, "INVITE", 1, NULL, talk_sdp(GUEST, port));
	reply(c, ALG_OUTSIDE, 200, "INVITE", 1, fork, talk_sdp(address, 6000));
	ask(c, ALG_GUEST, "ACK", 1, fork, NULL);
	c->wishes = c->h->wishes;
	c->acts = c->h->acts;
}

#endif
