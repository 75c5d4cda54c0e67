/*
 * The vocabulary of policy text: system calls with the names of their arguments, symbolic
 * constants, and the descriptor numbers of topology.def. Pure tables and look-ups.
 */
#ifndef NATLOCK_POLICY_WORDS_H
#define NATLOCK_POLICY_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORDS_ARGUMENTS = 6 };

/* What a policy may demand of one argument of a call. */
struct words_argument {
	char name[16];
	char prefix[24]; /* constants may drop it: READ for PROT_READ; "" when there is none */
	unsigned int index;
	unsigned int
		bits; /* 32 where the kernel reads an int and ignores the upper half, else 64 */
	bool is_fd;
	bool must_pin; /* the linter refuses a worker's rule that leaves it open */
	bool is_choice; /* one of several numbers: "any subset of the bits" would admit strange ones */
};

/* Kinds of call that the linter treats alike; a call has at most one. */
enum words_kind {
	WORDS_PLAIN,
	WORDS_PATH,  /* takes a path or yields a descriptor from a file system */
	WORDS_POWER, /* no worker may ever ask for it: new processes, tracing, namespaces, kernel
			interfaces */
};

/* Whether the call is in the table at all; `kind` may be NULL. */
bool words_call(const char *call, enum words_kind *kind);
/* Argument `index` of a call. False when it has fewer or the call is unknown. */
bool words_argument_at(const char *call, unsigned int index, struct words_argument *out);
/* Argument by name. */
bool words_argument(const char *call, const char *name, struct words_argument *out);
/* Writes "fd, msg, flags" for an error message; returns out. */
const char *words_argument_names(const char *call, char *out, size_t cap);

/* A constant by full name, or with `prefix` put before it. */
bool words_constant(const char *name, const char *prefix, uint64_t *value);

/* Whether topology.def fixes descriptors for that actor: then descriptors are written by name only.
 */
bool words_has_topology(const char *actor);
/* A name from topology.def; inclusive range. */
bool words_descriptor(const char *actor, const char *name, uint32_t *first, uint32_t *last);
/* Writes "CH_SUPER, CH_NATPROXY, EPOLL". */
const char *words_descriptor_names(const char *actor, char *out, size_t cap);

/* The known word nearest to a mistyped call, or NULL when none is near. */
const char *words_nearest_call(const char *call);

#endif
