/* The words of SIP's grammar (RFC 3261 25.1), as they are read from the value of a header field or from a URI. Pure. */
#ifndef NATLOCK_ALG_SIP_TEXT_H
#define NATLOCK_ALG_SIP_TEXT_H

#include "text.h"

enum { SIP_PORT = 5060 }; /* where none is named */

bool sip_is_token(uint8_t c);
/* White space, with the line ends of folded lines. */
bool sip_is_space(uint8_t c);

/* Each of these takes what it reads from *t; on false *t is where it was. */
void sip_space(struct text *t); /* any number of them, none too */
bool sip_token(struct text *t, struct text *token);
/* "..." with any bytes, quotes and backslashes behind a backslash. */
bool sip_quoted(struct text *t);
/* ;name or ;name=value of a header field or a URI, with white space around each; a quoted value with its quotes. */
bool sip_parameter(struct text *t, struct text *name, struct text *value);

/* The value of the only parameter with this name (in upper case) of those that t begins with; false: there is none, or several. */
bool sip_parameter_find(struct text t, const char *upper, struct text *value);
/* Decimal digits and nothing else, up to UINT32_MAX - 1. */
bool sip_number(struct text t, uint32_t *value);

#endif
