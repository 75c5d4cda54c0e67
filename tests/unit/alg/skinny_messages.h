/* Messages of SCCP, as each version has them. */
#ifndef NATLOCK_TESTS_SKINNY_MESSAGES_H
#define NATLOCK_TESTS_SKINNY_MESSAGES_H

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

enum { TYPED = 17 };

struct bytes {
	uint8_t p[2048];
	size_t n;
};

static inline void add(struct bytes *b, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		b->p[b->n++] = (uint8_t)(value >> 8 * i);
}

static inline void add_zeros(struct bytes *b, size_t n)
{
	memset(b->p + b->n, 0, n);
	b->n += n;
}

/* As this version has it. */
static inline void add_ip(struct bytes *b, unsigned int version, const char *text)
{
	const uint32_t ip_be = inet_addr(text);
	if (version >= TYPED)
		add(b, 0);
	memcpy(b->p + b->n, &ip_be, 4);
	b->n += 4;
	if (version >= TYPED)
		add_zeros(b, 12);
}

static inline struct bytes begin(uint32_t id, uint32_t header_version)
{
	struct bytes b = {.n = 0};
	add(&b, 0);
	add(&b, header_version);
	add(&b, id);
	return b;
}

static inline struct bytes end(struct bytes b)
{
	const size_t n = b.n;
	b.n = 0;
	add(&b, (uint32_t)(n - 8));
	b.n = n;
	return b;
}

/* With so many words. */
static inline struct bytes words(uint32_t id, uint32_t header, unsigned int n, const uint32_t *word)
{
	struct bytes b = begin(id, header);
	for (unsigned int i = 0; i < n; i++)
		add(&b, word[i]);
	return end(b);
}
#define WORDS(id, header, ...)                                                                     \
	words(id, header, sizeof((uint32_t[]){__VA_ARGS__}) / 4, (uint32_t[]){__VA_ARGS__})

static inline struct bytes station_register(const char *station, uint32_t version)
{
	struct bytes b = begin(0x01, 0);
	add_zeros(&b, 24);
	add_ip(&b, 0, station);
	add(&b, 7);
	add(&b, 5);
	add(&b, 0);
	add(&b, version);
	add(&b, 0);
	return end(b);
}

static inline struct bytes register_ack(uint32_t version)
{
	return WORDS(0x81, 0, 30, 0x2f4d2f44, 0x59, 30, version);
}

/* 0x105; `source` counts from version 11 on. */
static inline struct bytes ask(unsigned int version, uint32_t header, uint32_t conference,
	uint32_t party, const char *source)
{
	struct bytes b = begin(0x105, header);
	add(&b, conference);
	add(&b, party);
	add_zeros(&b, 16);
	add(&b, conference + 1000);
	add_zeros(&b, 64);
	if (version >= 11) {
		add_zeros(&b, 8);
		add_ip(&b, version, source);
		add(&b, 4000);
	}
	if (version >= 16)
		add(&b, 0);
	return end(b);
}

/* 0x22, 0x31 */
static inline struct bytes receiving(uint32_t id, unsigned int version, uint32_t header,
	const char *ip, uint32_t port, uint32_t party)
{
	struct bytes b = begin(id, header);
	add(&b, 0);
	add_ip(&b, version, ip);
	add(&b, port);
	add(&b, party);
	add(&b, 77);
	return end(b);
}

/* 0x8a; 0x132 has the kind of data before the address. */
static inline struct bytes start(uint32_t id, unsigned int version, uint32_t header,
	uint32_t conference, uint32_t party, const char *ip, uint32_t port)
{
	struct bytes b = begin(id, header);
	add(&b, conference);
	add(&b, party);
	if (id == 0x132)
		add(&b, 101);
	add_ip(&b, version, ip);
	add(&b, port);
	add_zeros(&b, 60);
	return end(b);
}

/* 0x154, 0x155 */
static inline struct bytes sending(uint32_t id, unsigned int version, uint32_t header,
	uint32_t conference, uint32_t party, const char *ip, uint32_t port)
{
	struct bytes b = begin(id, header);
	add(&b, conference);
	add(&b, party);
	add(&b, 0);
	add_ip(&b, version, ip);
	add(&b, port);
	add(&b, 0);
	return end(b);
}

/* 0x45 */
static inline struct bytes port_res(const char *ip, uint32_t port, uint32_t rtcp)
{
	struct bytes b = begin(0x45, 20);
	add(&b, 5);
	add(&b, 77);
	add(&b, 6);
	add_ip(&b, 20, ip);
	add(&b, port);
	add(&b, rtcp);
	add(&b, 1);
	return end(b);
}

/* 0x2a */
static inline struct bytes failure(const char *ip, uint32_t port)
{
	struct bytes b = begin(0x2a, 20);
	add(&b, 5);
	add(&b, 6);
	add_ip(&b, 20, ip);
	add(&b, port);
	add(&b, 77);
	return end(b);
}

/* 0x106, 0x8b, 0x136, 0x133 */
static inline struct bytes over(uint32_t id, uint32_t conference, uint32_t party)
{
	return WORDS(id, 0, conference, party, 0, 0);
}

#endif
