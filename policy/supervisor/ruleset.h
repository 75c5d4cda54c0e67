/*
 * Writes one nftables table as the messages that the kernel takes in one transaction: the table,
 * its sets, its chains, its rules. A rule is a row of expressions: each loads something into a
 * register, compares a register and ends the rule where it differs, or acts. Pure but for the
 * allocator.
 *
 * Errors stick: after one nothing is written any more, and ruleset_end says so. Addresses and
 * ports are compared in network byte order, as they lie in the packet; what the kernel says of a
 * packet (uid, kind of device) in the host's.
 */
#ifndef NATLOCK_SUPERVISOR_RULESET_H
#define NATLOCK_SUPERVISOR_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RULESET_BYTES = 32 * 1024, /* enough for a table of some dozen rules */
	RULESET_MESSAGE = 2048,	   /* no single message is longer */
	RULESET_UIDS = 32,
};

/* The four-byte registers that begin a key of several fields lie side by side. */
enum ruleset_register { REGISTER_1 = 1, REGISTER_2 = 9, REGISTER_3 = 10 };

enum ruleset_header { HEADER_NETWORK, HEADER_TRANSPORT };

/* A piece of a packet's header. */
struct ruleset_field {
	enum ruleset_header header;
	uint32_t offset, bytes;
};

struct nftnl_rule;

struct ruleset {
	uint8_t *out;
	size_t used, cap;
	uint32_t sequence; /* of the next message */
	uint32_t sets;
	const char *table;
	struct nftnl_rule *rule; /* between ruleset_rule and ruleset_rule_end */
	bool failed;
};

/* Begins the transaction with a new table of family inet that belongs to the socket it is sent by.
 * `table` stays the caller's and must outlive r. */
void ruleset_begin(struct ruleset *r, void *out, size_t cap, const char *table);
/* Bytes written; 0: no memory, or no room. */
size_t ruleset_end(struct ruleset *r);
/* One message more, by itself: is there a table of this name? Bytes written, 0 as above. */
size_t ruleset_question(void *out, size_t cap, const char *table);

/* A set that rules fill, of keys of `bytes`; what was not seen again for timeout_ms leaves it.
 * `type` is for people: nft's number. */
void ruleset_memory(struct ruleset *r, const char *name, uint32_t type, uint32_t bytes,
	uint64_t timeout_ms, uint32_t size);
/* A set of uids for good. At most RULESET_UIDS. */
void ruleset_uids(struct ruleset *r, const char *name, const uint32_t *uid, unsigned int count);
/* A chain that others lead to. */
void ruleset_chain(struct ruleset *r, const char *name);
/* The chain where packets of this computer's own programs begin, before the address translation. */
void ruleset_output(struct ruleset *r, const char *name);

/* A rule of a chain that is there already; comment NULL: none. */
void ruleset_rule(struct ruleset *r, const char *chain, const char *comment);
void ruleset_rule_end(struct ruleset *r);

/* The rule goes on only where the packet is so. */
void rule_meta(struct ruleset *r, uint32_t key, bool equal, const void *value, uint32_t bytes);
void rule_uids(struct ruleset *r, uint32_t first, uint32_t last);
void rule_uid_in(struct ruleset *r, const char *set);
void rule_field(
	struct ruleset *r, const struct ruleset_field *field, bool equal, const void *value);
/* Of a field of at most four bytes: only the bits of mask. */
void rule_masked(struct ruleset *r, const struct ruleset_field *field, const void *mask, bool equal,
	const void *value);
/* What the routing tables say of the destination: RTN_LOCAL, RTN_UNICAST. */
void rule_destination_type(struct ruleset *r, uint32_t type);

/* Loads a field for a key. */
void rule_load(struct ruleset *r, const struct ruleset_field *field, enum ruleset_register where);
/* The rule goes on only where the key that begins in REGISTER_1 is in the set. */
void rule_known(struct ruleset *r, const char *set);
/* Puts that key into the set, or renews it. A full set takes no more. */
void rule_remember(struct ruleset *r, const char *set);

void rule_count(struct ruleset *r);
/* How the rule ends: NF_ACCEPT, NF_DROP, or NFT_JUMP and NFT_GOTO with a chain (else NULL). */
void rule_verdict(struct ruleset *r, int verdict, const char *chain);

#endif
