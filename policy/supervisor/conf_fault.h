/*
 * What the checks of a configuration share: where a value stands, and how an error is said. Files:
 * conf_check.c walks, conf_check_*.c look at one subject each.
 */
#ifndef NATLOCK_SUPERVISOR_CONF_FAULT_H
#define NATLOCK_SUPERVISOR_CONF_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"

struct conf_check {
	const struct reflect_marks *marks; /* NULL: no place is known */
	struct conf_error *error;
};

/* A place: a field of a section, or one element of its list. */
struct conf_place {
	const ProtobufCMessage *section;
	const char *field;
	size_t index;
};

/* A value that must lie between two others, both included. */
struct conf_range {
	const char *field;
	uint64_t value, least, most;
	bool duration; /* milliseconds, shown as such */
};

enum { CONF_WHERE_BYTES = 48, CONF_SHOWN_BYTES = 64 };

struct conf_place conf_at(const ProtobufCMessage *section, const char *field);
struct conf_place conf_at_element(const ProtobufCMessage *section, const char *field, size_t index);
/* Whether the file gives the value that stands there. */
bool conf_is_given(const struct conf_check *c, struct conf_place p);
/* Fills the error: this text, at this place. Returns -EINVAL. */
int conf_fault(struct conf_check *c, struct conf_place p, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* "line 5" or "default": where the other value of a clash stands. out has CONF_WHERE_BYTES. */
const char *conf_where(const struct conf_check *c, struct conf_place p, char *out);
/* An address as text; out has INET_ADDRSTRLEN bytes. */
const char *conf_ip(char *out, uint32_t ip_be);
/* "Did you mean \"blue\"?" or "It is one of auto, true, false." into out, which it returns. */
const char *conf_words(
	char *out, size_t cap, const char *word, const char *const *known, size_t count);

/* 0, or -EINVAL: a value outside its range; `title` is the section's name. */
int conf_ranges(struct conf_check *c, const ProtobufCMessage *section, const char *title,
	const struct conf_range *ranges, size_t count);
/* 0, or -EINVAL: a list that is longer than `most`. */
int conf_count(
	struct conf_check *c, struct conf_place p, const char *what, size_t count, size_t most);
/* 0, or -EINVAL: the section's list `ports` is longer than `most`, or one of it is 0, beyond 65535 or there twice. */
int conf_ports(struct conf_check *c, const ProtobufCMessage *section, const char *what,
	const uint32_t *ports, size_t count, size_t most);
/* 0, or -EINVAL: a subnet whose address has bits set beyond its prefix. */
int conf_subnet(
	struct conf_check *c, struct conf_place p, const char *what, const Nl__Subnet *subnet);

#endif
