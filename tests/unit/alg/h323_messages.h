/*
 * Messages of H.323 for tests: octets as ooh323c and H323Plus say them (tests/vectors/h323), with other addresses, references and
 * numbers in their places; nothing here knows PER.
 */
#ifndef NATLOCK_TESTS_ALG_H323_MESSAGES_H
#define NATLOCK_TESTS_ALG_H323_MESSAGES_H

#include <stdarg.h>

#include "harness.h"

enum {
	ALERTING = 0x01,
	PROCEEDING = 0x02,
	SETUP = 0x05,
	CONNECT = 0x07,
	RELEASE = 0x5a,
	FACILITY = 0x62,
	ANSWER = 0x8000, /* in a reference: of who did not choose it */
};

#define GUEST_IP   "192.168.30.10"
#define PEER_IP	   "198.51.100.9"
#define OUTSIDE_IP "203.0.113.7"
#define OTHER_IP   "192.168.30.66"
#define GUID	   "6f6f68333233632db976e387c73f006c"
#define ID_HEX	   "060008914a0004"
#define VENDOR	   "22c0b5000036056f626a7379730576302e392e34"

struct octets {
	uint8_t p[2048];
	size_t n;
};

static inline void put_hex(struct octets *o, const char *hex)
{
	unsigned int octet;
	for (; *hex; hex += 2) {
		cr_assert(sscanf(hex, "%2x", &octet) == 1 && o->n < sizeof(o->p), "%s", hex);
		o->p[o->n++] = (uint8_t)octet;
	}
}

static inline struct octets hex(const char *text)
{
	struct octets o = {.n = 0};
	put_hex(&o, text);
	return o;
}

/* "00", the address and the port; good for the next seven. */
static inline const char *at(const char *address, unsigned int port)
{
	static char text[8][16];
	static unsigned int next;
	char *out = text[next++ % 8];
	snprintf(out, sizeof(text[0]), "00%08x%04x", ntohl(ip(address)), port);
	return out;
}

/* The six octets of it. */
static inline const char *six(const char *address, unsigned int port)
{
	return at(address, port) + 2;
}

__attribute__((format(printf, 1, 2))) static inline struct octets octets(const char *format, ...)
{
	char text[4096];
	va_list more;
	va_start(more, format);
	vsnprintf(text, sizeof(text), format, more);
	va_end(more);
	return hex(text);
}

/* In a TPKT. */
static inline struct octets packet(const struct octets *message)
{
	struct octets o = octets("0300%04zx", message->n + 4);
	memcpy(o.p + o.n, message->p, message->n);
	o.n += message->n;
	return o;
}

/* Call signalling: what the user-user element holds, in its envelope. */
static inline struct octets signal_of(unsigned int type, unsigned int reference, struct octets user)
{
	struct octets o = octets(
		"0802%04x%02x280161" /* display: "a" */ "7e%04zx05", reference, type, user.n + 1);
	memcpy(o.p + o.n, user.p, user.n);
	o.n += user.n;
	return packet(&o);
}

/* control: h245Address or "". */
static inline struct octets setup(unsigned int reference, const char *control, const char *to,
	const char *from, const char *guid)
{
	return signal_of(SETUP, reference,
		octets("20%s" ID_HEX "%s" VENDOR
		       "%s00%s00d50d980007%s1100%s01000100010001000100010010800100",
			*control ? "c8" : "88", control, to, guid, from, guid));
}

static inline struct octets plain_setup(unsigned int reference)
{
	return setup(reference, "", at(PEER_IP, 1720), at(GUEST_IP, 12030), GUID);
}

static inline struct octets proceeding(unsigned int reference, const char *guid)
{
	return signal_of(PROCEEDING, reference,
		octets("2180" ID_HEX VENDOR "0110c01100%s0100010010800180", guid));
}

/* control: h245Address or "". */
static inline struct octets connected(unsigned int reference, const char *control, const char *guid)
{
	return signal_of(CONNECT, reference,
		octets("22%s" ID_HEX "%s" VENDOR "00%s1d0dc01100%s0100010001000100010010800100",
			*control ? "c0" : "80", control, guid, guid));
}

static inline struct octets released(unsigned int reference, const char *guid)
{
	return signal_of(RELEASE, reference,
		octets("25c0060008914a000458880011"
		       "00%s10800100",
			guid));
}

/* A message of H.245 by itself. */
static inline struct octets control_packet(struct octets message)
{
	return packet(&message);
}

/* The same, tunnelled. */
static inline struct octets tunnelled(unsigned int reference, struct octets message)
{
	struct octets user = octets("2680" ID_HEX "8601001f00001100" GUID "10c00180%02zx01%02zx",
		message.n + 2, message.n);
	memcpy(user.p + user.n, message.p, message.n);
	user.n += message.n;
	return signal_of(FACILITY, reference, user);
}

static inline struct octets open_channel(
	unsigned int number, unsigned int session, const char *control)
{
	return octets("0300%04x0c601d800a0400%02x%s", number - 1, session, control);
}

static inline struct octets open_ack(
	unsigned int number, unsigned int session, const char *media, const char *control)
{
	return octets("22c0%04x0680101c%02x%s%s", number - 1, 2 * (session - 1), media, control);
}

/* One that the other end sends to (reverse), with its addresses of RTP and RTCP. */
static inline struct octets open_reverse(
	unsigned int number, unsigned int session, const char *media, const char *control)
{
	return octets("40%04x060401004c60ef80111400%02x%s%s", number - 1, session, media, control);
}

/* Of fastStart, without what H.245 puts before it. */
static inline struct octets fast_channel(
	unsigned int number, unsigned int session, const char *control)
{
	return octets("00%04x0c601d800a0400%02x%s", number - 1, session, control);
}

/* A channel for T.120: separateStack in place of media. */
static inline struct octets open_stack(unsigned int number, const char *address)
{
	return octets("0380%04x0c601d800300000101090800%s00", number - 1, address + 2);
}

static inline struct octets ack_stack(unsigned int number, const char *address)
{
	return octets("22c0%04x0700090800%s00", number - 1, address + 2);
}

static inline struct octets rejected(unsigned int number)
{
	return octets("2300%04x00", number - 1);
}

static inline struct octets closed(unsigned int number)
{
	return octets("0400%04x00", number - 1);
}

static inline struct octets close_ack(unsigned int number)
{
	return octets("2380%04x", number - 1);
}

static inline struct octets request_close_ack(unsigned int number)
{
	return octets("2400%04x", number - 1);
}

static inline struct octets end_session(void)
{
	return hex("4a40");
}

/* CommunicationModeCommand: where audio of a conference is received. */
static inline struct octets modes(const char *media, const char *control)
{
	return octets("50001700000a000000612100%s%s", media, control);
}

/* fastStart of these channels. */
static inline struct octets fast_start(const struct octets *channel, unsigned int count)
{
	size_t bytes = 1;
	for (unsigned int i = 0; i < count; i++)
		bytes += 1 + channel[i].n;
	struct octets o = octets("%04zx%02x", bytes | 0x8000, count);
	for (unsigned int i = 0; i < count; i++) {
		o.p[o.n++] = (uint8_t)channel[i].n;
		memcpy(o.p + o.n, channel[i].p, channel[i].n);
		o.n += channel[i].n;
	}
	return o;
}

static inline void put(struct octets *o, const struct octets *more)
{
	memcpy(o->p + o->n, more->p, more->n);
	o->n += more->n;
}

static inline struct octets fast_setup(unsigned int reference, struct octets fast)
{
	struct octets o = octets("2088" ID_HEX VENDOR "%s00" GUID "00d51d980007%s1100" GUID,
		at(PEER_IP, 1720), at(PEER_IP, 9));
	put(&o, &fast);
	put_hex(&o, "010001000100010001000100"
		    "10800180");
	return signal_of(SETUP, reference, o);
}

/* With parallelH245Control. */
static inline struct octets parallel_setup(unsigned int reference, struct octets message)
{
	struct octets o = octets("2088" ID_HEX VENDOR "%s00" GUID "00d50d980407%s1100" GUID
				 "010001000100010001000100%02zx01%02zx",
		at(PEER_IP, 1720), at(PEER_IP, 9), message.n + 2, message.n);
	put(&o, &message);
	put_hex(&o, "10800180");
	return signal_of(SETUP, reference, o);
}

static inline struct octets fast_alerting(unsigned int reference, struct octets fast)
{
	struct octets o = octets("2380" ID_HEX VENDOR "01b1f8001100" GUID);
	put(&o, &fast);
	put_hex(&o, "01000100010001000100"
		    "10800180");
	return signal_of(ALERTING, reference, o);
}

static inline void tell(struct harness *h, enum alg_direction from, struct octets o)
{
	harness_send(h, from, o.p, o.n);
}

/* The last message of this direction came out as that. */
static inline void expect_last(struct harness *h, enum alg_direction from, struct octets o)
{
	const struct way *w = &h->way[from];
	cr_assert(w->out_bytes >= o.n && !memcmp(w->out + w->out_bytes - o.n, o.p, o.n),
		"another message came out");
}

/* Says it, and hears it come out as that. */
static inline void expect_as(
	struct harness *h, enum alg_direction from, struct octets said, struct octets heard)
{
	const uint64_t before = h->way[from].out_bytes;
	tell(h, from, said);
	cr_assert_eq(h->way[from].out_bytes, before + heard.n, "it waits, or has another length");
	expect_last(h, from, heard);
}

static inline void expect_same(struct harness *h, enum alg_direction from, struct octets said)
{
	expect_as(h, from, said, said);
}

#endif
