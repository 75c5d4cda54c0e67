/*
 * Reads SoftEther VPN's configuration file (vpn_server.config), item by item. Pure: the text, a
 * place in it, no memory of its own. Any input; nothing is longer than the buffers below, nothing
 * deeper than SOFTETHER_DEPTH_MAX.
 *
 *   # comment               declare NAME          uint NatMtu 1500
 *                           {                     string DhcpDomainName lab.example
 *                                 ...             byte ServerKey BASE64
 *                           }                     bool Online true
 *
 * In names and values $20 is the byte 0x20, and a value of only $ is empty. Source: files that
 * SoftEther VPN 5.01.9674 (Debian 12) wrote.
 */
#ifndef NATLOCK_CTL_SOFTETHER_H
#define NATLOCK_CTL_SOFTETHER_H

#include <stdbool.h>
#include <stddef.h>

enum {
	SOFTETHER_TEXT_MAX = 4 << 20, /* bytes of a file */
	SOFTETHER_DEPTH_MAX = 16,     /* sections inside each other */
	SOFTETHER_NAME_BYTES = 128,   /* of a name, terminated; a longer one is an error */
	SOFTETHER_VALUE_BYTES = 1024, /* of a value, terminated; a longer one is cut */
};

enum softether_kind { SOFTETHER_OPEN, SOFTETHER_CLOSE, SOFTETHER_VALUE };

struct softether_item {
	enum softether_kind kind;
	int line;      /* from 1 */
	int depth;     /* of the section that it opens, closes or is in: the outermost is 1 */
	char type[16]; /* of a value: "uint" */
	char name[SOFTETHER_NAME_BYTES];   /* of a section that opens, of a value */
	char value[SOFTETHER_VALUE_BYTES]; /* unescaped; no NUL inside */
	bool cut;			   /* the value was longer */
};

struct softether {
	const char *at, *end;
	int line, depth;
	const char *error; /* what is wrong in line `line`, after -EINVAL */
};

/* The text is not copied: it must outlive *s. */
void softether_init(struct softether *s, const char *text, size_t bytes);
/* 1 with the next item, 0 at a proper end (all sections closed), -EINVAL with line and error. */
int softether_next(struct softether *s, struct softether_item *item);

#endif
