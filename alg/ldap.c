/*
 * LDAP (RFC 4511, RFC 1777) and the Internet Locator Service on it (NetMeeting and Phone Dialer,
 * [MS-TAIL]): directories in which people register the address by which they can be called.
 *
 *   from the guest                                     from outside
 *     the guest's own address ─▶ its outside address     its outside address ─▶ its own
 *     nat.static's inside     ─▶ outside                 nat.static's outside ─▶ inside
 *
 * in values of the attributes below, wherever they are written, asked for or told:
 *
 *   LDAPMessage       SEQUENCE { messageID INTEGER, operation, controls [0]? }
 *   BindRequest       60 { version INTEGER, name, how: 80 | A3 { mechanism .. } | other }
 *   SearchRequest     63 { base, scope, aliases, size, time, types only, Filter, attributes }
 *   SearchResultEntry 64 { name, SEQUENCE of Attribute }
 *   ModifyRequest     66 { name, SEQUENCE of SEQUENCE { operation ENUMERATED, Attribute } }
 *   AddRequest        68 { name, SEQUENCE of Attribute }
 *   CompareRequest    6E { name, SEQUENCE Assertion }
 *   ExtendedRequest   77 { name [0], value [1]? }
 *   BindResponse      61 { code ENUMERATED, .. }     ExtendedResponse 78 { code ENUMERATED, .. }
 *   Attribute         SEQUENCE { type OCTET STRING, values SET of OCTET STRING }
 *   Filter            A0 and { Filter* } | A1 or { Filter* } | A2 not { Filter }
 *                     | A3 equal { Assertion } | A8 approximately { Assertion } | other
 *   Assertion         type OCTET STRING, value OCTET STRING
 *
 * What a number means: [MS-TAIL] 2.2.3, ipAddress, calculates 10.70.41.96 as
 * 10 + 256 (70 + 256 (41 + 256 * 96)) = 1613317642: the first octet counts least, and the value is
 * the decimal text of that. 2.2.5: in messages the same attribute is also called sIPAddress; 4.1.2
 * and 4.5.4 show both, with values beyond 2^31. Phone Dialer with Active Directory in place of an
 * ILS uses msTAPI-IpAddress, A.B.C.D ([MS-ADA2] 2.679; Windows' schema, ms-TAPI-Ip-Address).
 *
 * A message is framed by its length. The first one must be a request of the client; one that is not
 * LDAP, or nested deeper than BER_DEPTH, ends inspection. It ends as well when TLS begins
 * (StartTLS, 4.14) and when a SASL mechanism put its own layer around the messages (RFC 4422 3.7):
 * those begin with the first octet of a four-octet length, which is 0, where LDAP has 30. A message
 * with more addresses than an answer has room for goes on as it is. Names of entries, substrings,
 * orderings (>=, <=), extensible matches and an ILS conference's SDP are left alone.
 */
#include <string.h>

#include "ber.h"
#include "maps.h"
#include "protocols.h"
#include "text.h"

enum operation {
	BIND_REQUEST = 0x60,
	BIND_RESPONSE = 0x61,
	UNBIND_REQUEST = 0x42,
	SEARCH_REQUEST = 0x63,
	SEARCH_ENTRY = 0x64,
	SEARCH_DONE = 0x65,
	SEARCH_REFERENCE = 0x73,
	MODIFY_REQUEST = 0x66,
	MODIFY_RESPONSE = 0x67,
	ADD_REQUEST = 0x68,
	ADD_RESPONSE = 0x69,
	DELETE_REQUEST = 0x4a,
	DELETE_RESPONSE = 0x6b,
	RENAME_REQUEST = 0x6c,
	RENAME_RESPONSE = 0x6d,
	COMPARE_REQUEST = 0x6e,
	COMPARE_RESPONSE = 0x6f,
	ABANDON_REQUEST = 0x50,
	EXTENDED_REQUEST = 0x77,
	EXTENDED_RESPONSE = 0x78,
	INTERMEDIATE_RESPONSE = 0x79,
};

enum {
	FILTER_AND = 0xa0,
	FILTER_OR = 0xa1,
	FILTER_NOT = 0xa2,
	FILTER_EQUAL = 0xa3,
	FILTER_APPROXIMATELY = 0xa8,
	BIND_SIMPLE = 0x80,
	BIND_SASL = 0xa3,
	EXTENDED_NAME = 0x80,
	SUCCESS = 0,
	CONSTRUCTED = 0x20,
	TEXT_MAX = 15,	 /* 255.255.255.255 */
	SCRAM_BYTES = 6, /* how names of that family begin */
};

enum form { FORM_NUMBER = 1, FORM_DOTTED = 2 };

/* Types of attributes, in upper case. A type is a name or an object identifier. */
static const struct {
	const char *type;
	uint8_t forms; /* bit set */
} attributes[] = {
	{"SIPADDRESS", FORM_NUMBER},		  /* [MS-TAIL] 2.2.5 */
	{"IPADDRESS", FORM_NUMBER | FORM_DOTTED}, /* [MS-TAIL] 2.2.3; dotted in other schemas */
	{"MSTAPI-IPADDRESS", FORM_DOTTED},	  /* [MS-ADA2] 2.679 */
	{"1.2.840.113556.1.4.1701", FORM_DOTTED}, /* the same one */
};

struct ldap {
	bool opened;	  /* the client's first message was a request */
	bool tls_asked;	  /* by message tls_id */
	bool layer_asked; /* by message bind_id: its mechanism may have a layer of its own */
	bool layer;	  /* and it succeeded */
	uint32_t tls_id, bind_id;
};
_Static_assert(sizeof(struct ldap) <= ALG_STATE_BYTES, "fits a flow");

struct reader {
	struct ber_walk walk;
	struct ldap *state;
	const struct alg_flow *flow;
	enum alg_direction from;
	uint32_t id; /* of the message */
};

static size_t ldap_frame(const void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen)
{
	const struct ldap *s = state;
	if (s->layer && !p[0])
		return 1;
	return p[0] == BER_SEQUENCE ? ber_size(p, n) : SIZE_MAX;
}

static struct text contents(const struct reader *r, const struct ber *e)
{
	return text(r->walk.p + e->at, e->bytes);
}

/* The forms in which this attribute has an address; 0: it has none. Options behind the type do not
 * matter (RFC 4512 2.5). */
static uint8_t forms_of(const struct reader *r, const struct ber *type)
{
	struct text name = contents(r, type);
	const uint8_t *option = memchr(name.p, ';', text_left(&name));
	if (option)
		name.end = option;
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
		if (text_is(&name, attributes[i].type))
			return attributes[i].forms;
	return 0;
}

static uint32_t put_address(uint8_t *out, enum form form, uint32_t ip_be)
{
	uint32_t n = 0;
	uint8_t octets[4];
	memcpy(octets, &ip_be, sizeof(octets));
	if (form == FORM_DOTTED)
		text_put_ip(out, &n, '.', ip_be);
	else
		text_put_number(out, &n,
			octets[0] | octets[1] << 8 | octets[2] << 16 | (uint32_t)octets[3] << 24);
	return n;
}

/* Modulo 2^32: what is beyond is not written as we would write it. */
static bool read_number(struct text t, uint32_t *ip_be)
{
	uint64_t value = 0;
	for (; text_left(&t) && *t.p >= '0' && *t.p <= '9'; t.p++)
		value = value * 10 + (uint64_t)(*t.p - '0');
	const uint8_t octets[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
		(uint8_t)(value >> 24)};
	memcpy(ip_be, octets, sizeof(octets));
	return !text_left(&t);
}

/* An address that is written as we would write it, and nothing else. */
static bool read_address(struct text t, uint8_t forms, enum form *form, uint32_t *ip_be)
{
	uint8_t again[TEXT_MAX];
	struct text dotted = t;
	if (text_left(&t) > TEXT_MAX)
		return false;
	if (forms & FORM_NUMBER && read_number(t, ip_be))
		*form = FORM_NUMBER;
	else if (forms & FORM_DOTTED && text_ip(&dotted, '.', ip_be))
		*form = FORM_DOTTED;
	else
		return false;
	return put_address(again, *form, *ip_be) == text_left(&t) &&
	       !memcmp(again, t.p, text_left(&t));
}

/* What this address is called at the other side; false: just so. */
static bool other_side(const struct reader *r, uint32_t ip_be, uint32_t *other_be)
{
	const struct alg_flow *f = r->flow;
	const bool outward = r->from == ALG_GUEST;
	*other_be = outward ? f->outside_ip_be : f->guest_ip_be;
	if (f->outside_ip_be && ip_be == (outward ? f->guest_ip_be : f->outside_ip_be))
		return true;
	return outward ? maps_outside(f, ip_be, other_be) : maps_inside(f, ip_be, other_be);
}

static void read_value(struct reader *r, uint8_t forms)
{
	const struct ber value = ber_take(&r->walk, BER_OCTET_STRING);
	uint8_t out[TEXT_MAX];
	uint32_t ip_be, other_be;
	enum form form;
	if (!forms || !read_address(contents(r, &value), forms, &form, &ip_be) ||
		!other_side(r, ip_be, &other_be) || other_be == ip_be)
		return;
	ber_replace(&r->walk, &value, out, put_address(out, form, other_be));
}

static void read_attribute(struct reader *r)
{
	ber_enter(&r->walk, BER_SEQUENCE);
	const struct ber type = ber_take(&r->walk, BER_OCTET_STRING);
	const uint8_t forms = forms_of(r, &type);
	ber_enter(&r->walk, BER_SET);
	while (ber_more(&r->walk))
		read_value(r, forms);
	ber_leave(&r->walk);
	ber_leave(&r->walk);
}

static void read_attributes(struct reader *r)
{
	ber_take(&r->walk, BER_OCTET_STRING);
	ber_enter(&r->walk, BER_SEQUENCE);
	while (ber_more(&r->walk))
		read_attribute(r);
	ber_leave(&r->walk);
}

static void read_changes(struct reader *r)
{
	ber_take(&r->walk, BER_OCTET_STRING);
	ber_enter(&r->walk, BER_SEQUENCE);
	while (ber_more(&r->walk)) {
		ber_enter(&r->walk, BER_SEQUENCE);
		ber_take(&r->walk, BER_ENUMERATED);
		read_attribute(r);
		ber_leave(&r->walk);
	}
	ber_leave(&r->walk);
}

/* Within its open element. */
static void read_assertion(struct reader *r)
{
	const struct ber type = ber_take(&r->walk, BER_OCTET_STRING);
	read_value(r, forms_of(r, &type));
	ber_leave(&r->walk);
}

/* One filter with all that are in it: a list of filters is open as long as it has more. */
static void read_filter(struct reader *r)
{
	const unsigned int outermost = r->walk.depth;
	do {
		const struct ber e = ber_take_any(&r->walk);
		if (e.tag == FILTER_AND || e.tag == FILTER_OR || e.tag == FILTER_NOT) {
			ber_enter_taken(&r->walk, &e);
		} else if (e.tag == FILTER_EQUAL || e.tag == FILTER_APPROXIMATELY) {
			ber_enter_taken(&r->walk, &e);
			read_assertion(r);
		}
		while (!r->walk.failed && r->walk.depth > outermost && !ber_more(&r->walk))
			ber_leave(&r->walk);
	} while (!r->walk.failed && r->walk.depth > outermost);
}

static void read_search(struct reader *r)
{
	ber_take(&r->walk, BER_OCTET_STRING);
	for (int i = 0; i < 5; i++) /* scope, aliases, size, time, types only */
		ber_take_any(&r->walk);
	read_filter(r);
	ber_take(&r->walk, BER_SEQUENCE);
}

static void read_compare(struct reader *r)
{
	ber_take(&r->walk, BER_OCTET_STRING);
	ber_enter(&r->walk, BER_SEQUENCE);
	read_assertion(r);
}

/* Mechanisms that never put a layer around messages (RFC 4422 A, 4505, 4616, 5802, 7628). */
static bool layerless(struct text mechanism)
{
	static const char *const names[] = {
		"EXTERNAL", "PLAIN", "ANONYMOUS", "LOGIN", "CRAM-MD5", "OAUTHBEARER", "XOAUTH2"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (text_is(&mechanism, names[i]))
			return true;
	if (text_left(&mechanism) > SCRAM_BYTES)
		mechanism.end = mechanism.p + SCRAM_BYTES;
	return text_is(&mechanism, "SCRAM-");
}

static void read_bind(struct reader *r)
{
	ber_number(&r->walk, BER_INTEGER);
	ber_take(&r->walk, BER_OCTET_STRING);
	const struct ber how = ber_take_any(&r->walk);
	r->state->layer_asked = how.tag != BIND_SIMPLE;
	r->state->bind_id = r->id;
	if (how.tag != BIND_SASL)
		return;
	ber_enter_taken(&r->walk, &how);
	const struct ber mechanism = ber_take(&r->walk, BER_OCTET_STRING);
	r->state->layer_asked = !layerless(contents(r, &mechanism));
	ber_skip(&r->walk);
	ber_leave(&r->walk);
}

static void read_extended(struct reader *r)
{
	const struct ber name = ber_take(&r->walk, EXTENDED_NAME);
	const struct text t = contents(r, &name);
	if (!text_is(&t, "1.3.6.1.4.1.1466.20037"))
		return;
	r->state->tls_asked = true;
	r->state->tls_id = r->id;
}

static void read_bind_response(struct reader *r)
{
	const uint32_t code = ber_number(&r->walk, BER_ENUMERATED);
	if (r->state->layer_asked && r->id == r->state->bind_id && code == SUCCESS)
		r->state->layer = true;
}

static void read_extended_response(struct reader *r)
{
	const uint32_t code = ber_number(&r->walk, BER_ENUMERATED);
	if (!r->state->tls_asked || r->id != r->state->tls_id)
		return;
	r->state->tls_asked = false;
	if (code == SUCCESS) {
		r->walk.answer->result = ALG_DONE;
		r->walk.answer->why = "the connection is encrypted from here on";
	}
}

/* Within the operation's open element; what is not understood stays as it is. */
static void read_operation(struct reader *r, enum operation operation)
{
	switch (operation) {
	case BIND_REQUEST: read_bind(r); break;
	case BIND_RESPONSE: read_bind_response(r); break;
	case SEARCH_REQUEST: read_search(r); break;
	case MODIFY_REQUEST: read_changes(r); break;
	case SEARCH_ENTRY:
	case ADD_REQUEST: read_attributes(r); break;
	case COMPARE_REQUEST: read_compare(r); break;
	case EXTENDED_REQUEST: read_extended(r); break;
	case EXTENDED_RESPONSE: read_extended_response(r); break;
	case UNBIND_REQUEST:
	case SEARCH_DONE:
	case SEARCH_REFERENCE:
	case MODIFY_RESPONSE:
	case ADD_RESPONSE:
	case DELETE_REQUEST:
	case DELETE_RESPONSE:
	case RENAME_REQUEST:
	case RENAME_RESPONSE:
	case COMPARE_RESPONSE:
	case ABANDON_REQUEST:
	case INTERMEDIATE_RESPONSE: break;
	}
}

enum side { SIDE_UNKNOWN, SIDE_CLIENT, SIDE_SERVER };

/* Who sends such messages. */
static enum side side_of(uint8_t tag)
{
	static const uint8_t requests[] = {BIND_REQUEST, UNBIND_REQUEST, SEARCH_REQUEST,
		MODIFY_REQUEST, ADD_REQUEST, DELETE_REQUEST, RENAME_REQUEST, COMPARE_REQUEST,
		ABANDON_REQUEST, EXTENDED_REQUEST};
	static const uint8_t responses[] = {BIND_RESPONSE, SEARCH_ENTRY, SEARCH_DONE,
		SEARCH_REFERENCE, MODIFY_RESPONSE, ADD_RESPONSE, DELETE_RESPONSE, RENAME_RESPONSE,
		COMPARE_RESPONSE, EXTENDED_RESPONSE, INTERMEDIATE_RESPONSE};
	if (memchr(requests, tag, sizeof(requests)))
		return SIDE_CLIENT;
	return memchr(responses, tag, sizeof(responses)) ? SIDE_SERVER : SIDE_UNKNOWN;
}

static void read_message(struct reader *r, bool from_client)
{
	ber_enter(&r->walk, BER_SEQUENCE);
	r->id = ber_number(&r->walk, BER_INTEGER);
	const struct ber operation = ber_take_any(&r->walk);
	const enum side side = side_of(operation.tag);
	if (side == (from_client ? SIDE_SERVER : SIDE_CLIENT) ||
		(from_client && !r->state->opened && side != SIDE_CLIENT))
		r->walk.failed = true;
	if (side != SIDE_UNKNOWN && operation.tag & CONSTRUCTED) {
		ber_enter_taken(&r->walk, &operation);
		read_operation(r, operation.tag);
		ber_skip(&r->walk);
		ber_leave(&r->walk);
	}
	ber_skip(&r->walk); /* controls */
}

static void ldap_message(void *state, const struct alg_flow *f, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	struct reader r = {.state = state, .flow = f, .from = from};
	const bool from_client = (from == ALG_GUEST) != f->guest_serves;
	if (!p[0]) { /* ldap_frame let it through */
		a->result = ALG_DONE;
		a->why = "a SASL security layer";
		return;
	}
	ber_begin(&r.walk, p, n, a);
	read_message(&r, from_client);
	if (!ber_end(&r.walk))
		alg_violation(a, "not an LDAP message");
	else if (from_client)
		r.state->opened = true;
}

const struct alg_protocol ldap_protocol = {
	.name = "ldap",
	.alg = ALGS_LDAP,
	.transports = ALGS_TCP,
	.message_max = ALG_MESSAGE_MAX,
	.frame = ldap_frame,
	.message = ldap_message,
};
