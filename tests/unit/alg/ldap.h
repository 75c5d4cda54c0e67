/*
 * LDAP messages, built from the inside out: lengths are computed here, in another way than alg/ber.c moves them.
 */
#ifndef NATLOCK_TESTS_ALG_LDAP_H
#define NATLOCK_TESTS_ALG_LDAP_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

enum { BLOB_BYTES = 4096 };

struct blob {
	size_t n;
	uint8_t p[BLOB_BYTES];
};

static inline struct blob join(const struct blob *parts, size_t count)
{
	struct blob all = {0};
	for (size_t i = 0; i < count; i++) {
		cr_assert_leq(all.n + parts[i].n, sizeof(all.p));
		memcpy(all.p + all.n, parts[i].p, parts[i].n);
		all.n += parts[i].n;
	}
	return all;
}

#define ALL(...)                                                                                   \
	join((const struct blob[]){__VA_ARGS__},                                                   \
		sizeof((const struct blob[]){__VA_ARGS__}) / sizeof(struct blob))

/* At least: with two, none of these messages has a length that needs more or fewer when it is rewritten. Active Directory sends five. */
static unsigned int octets_of_length = 2;

static inline struct blob element(uint8_t tag, struct blob contents)
{
	unsigned int octets = octets_of_length;
	if (octets < 2 && contents.n > 0x7f)
		octets = 2;
	if (octets < 3 && contents.n > 0xff)
		octets = 3;
	struct blob e = {.n = 1, .p = {tag}};
	if (octets > 1)
		e.p[e.n++] = (uint8_t)(0x80 | (octets - 1));
	for (unsigned int i = octets > 1 ? octets - 1 : 1; i; i--)
		e.p[e.n++] = (uint8_t)(contents.n >> 8 * (i - 1));
	return ALL(e, contents);
}

static inline struct blob string(uint8_t tag, const char *s)
{
	struct blob b = {.n = strlen(s)};
	memcpy(b.p, s, b.n);
	return element(tag, b);
}

static inline struct blob number(uint8_t tag, uint8_t value)
{
	return element(tag, (struct blob){.n = 1, .p = {value}});
}

static inline struct blob message(uint8_t id, struct blob operation)
{
	return element(0x30, ALL(number(2, id), operation));
}

static inline struct blob attribute(const char *type, const char *value)
{
	return element(0x30, ALL(string(4, type), element(0x31, string(4, value))));
}

static inline struct blob assertion(uint8_t tag, const char *type, const char *value)
{
	return element(tag, ALL(string(4, type), string(4, value)));
}

static inline struct blob entry(uint8_t tag, struct blob attributes)
{
	return message(7, element(tag, ALL(string(4, "cn=a,o=b"), element(0x30, attributes))));
}

static inline struct blob search(struct blob filter)
{
	return message(7, element(0x63, ALL(string(4, "o=b"), number(10, 2), number(10, 0),
						number(2, 0), number(2, 0), number(1, 0), filter,
						element(0x30, string(4, "sipaddress")))));
}

static inline struct blob bind_with(uint8_t id, struct blob how)
{
	return message(id, element(0x60, ALL(number(2, 3), string(4, ""), how)));
}

static inline struct blob simple_bind(void)
{
	return bind_with(1, string(0x80, ""));
}

static inline struct blob sasl_bind(uint8_t id, const char *mechanism)
{
	return bind_with(id, element(0xa3, string(4, mechanism)));
}

static inline struct blob result(uint8_t tag, uint8_t id, uint8_t code)
{
	return message(id, element(tag, ALL(number(10, code), string(4, ""), string(4, ""))));
}

#endif
