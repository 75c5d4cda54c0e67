/*
 * Theory of operation. Each message is made by libnftnl right behind the one before it. libnftnl
 * does not know how much room there is, so RULESET_MESSAGE bytes must be left before each; no
 * message here comes near that.
 *
 *   begin | NEWTABLE | NEWSET ... | NEWSETELEM | NEWCHAIN ... | NEWRULE ... | end
 *
 * Only NEWTABLE asks for an answer: where all goes well one word is enough, and what goes wrong
 * is told anyway.
 */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>

#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include "ruleset.h"

enum {
	TYPE_UID = 24, /* nft's number of the type, so that `nft list` prints uids */
	PRIORITY_RAW = -300,
	HOST_ORDER = 1, /* nft's word for it */
	COMMENT_BYTES = 128,
};

/* NULL: no room, or something failed before. */
static struct nlmsghdr *message(struct ruleset *r, uint16_t type, uint16_t flags)
{
	if (r->failed || r->cap - r->used < RULESET_MESSAGE) {
		r->failed = true;
		return NULL;
	}
	return nftnl_nlmsg_build_hdr(
		(char *)r->out + r->used, type, NFPROTO_INET, flags, r->sequence++);
}

static void close_message(struct ruleset *r, const struct nlmsghdr *message)
{
	r->used += NLMSG_ALIGN(message->nlmsg_len);
}

/* Where an object could not be made, or one of its texts not be copied. */
static bool check(struct ruleset *r, bool fine)
{
	r->failed |= !fine;
	return !r->failed;
}

static void write_table(struct ruleset *r, uint16_t type, uint16_t flags)
{
	struct nftnl_table *t = nftnl_table_alloc();
	struct nlmsghdr *m = NULL;

	if (check(r, t && nftnl_table_set_str(t, NFTNL_TABLE_NAME, r->table) == 0))
		m = message(r, type, flags);
	if (m) {
		if (type == NFT_MSG_NEWTABLE)
			nftnl_table_set_u32(t, NFTNL_TABLE_FLAGS, NFT_TABLE_F_OWNER);
		nftnl_table_nlmsg_build_payload(m, t);
		close_message(r, m);
	}
	if (t)
		nftnl_table_free(t);
}

void ruleset_begin(struct ruleset *r, void *out, size_t cap, const char *table)
{
	*r = (struct ruleset){.out = out, .cap = cap, .table = table, .sequence = 1};
	if (!check(r, cap >= RULESET_MESSAGE))
		return;
	close_message(r, nftnl_batch_begin(out, r->sequence++));
	write_table(r, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
}

size_t ruleset_end(struct ruleset *r)
{
	if (check(r, r->cap - r->used >= RULESET_MESSAGE))
		close_message(r, nftnl_batch_end((char *)r->out + r->used, r->sequence));
	return r->failed ? 0 : r->used;
}

size_t ruleset_question(void *out, size_t cap, const char *table)
{
	struct ruleset r = {.out = out, .cap = cap, .table = table, .sequence = 1};

	write_table(&r, NFT_MSG_GETTABLE, 0);
	return r.failed ? 0 : r.used;
}

/* A set with its name, table, number and flags; NULL: none. */
static struct nftnl_set *new_set(
	struct ruleset *r, const char *name, uint32_t type, uint32_t bytes, uint32_t flags)
{
	struct nftnl_set *s = nftnl_set_alloc();

	if (!check(r, s && nftnl_set_set_str(s, NFTNL_SET_TABLE, r->table) == 0 &&
			      nftnl_set_set_str(s, NFTNL_SET_NAME, name) == 0)) {
		if (s)
			nftnl_set_free(s);
		return NULL;
	}
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(s, NFTNL_SET_ID, ++r->sets);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, flags);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, type);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, bytes);
	return s;
}

static void write_set(struct ruleset *r, struct nftnl_set *s)
{
	struct nlmsghdr *m = message(r, NFT_MSG_NEWSET, NLM_F_CREATE);

	if (!m)
		return;
	nftnl_set_nlmsg_build_payload(m, s);
	close_message(r, m);
}

void ruleset_memory(struct ruleset *r, const char *name, uint32_t type, uint32_t bytes,
	uint64_t timeout_ms, uint32_t size)
{
	struct nftnl_set *s = new_set(r, name, type, bytes, NFT_SET_EVAL | NFT_SET_TIMEOUT);

	if (!s)
		return;
	nftnl_set_set_u64(s, NFTNL_SET_TIMEOUT, timeout_ms);
	nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, size);
	write_set(r, s);
	nftnl_set_free(s);
}

static void add_uid(struct ruleset *r, struct nftnl_set *s, uint32_t uid)
{
	struct nftnl_set_elem *e = nftnl_set_elem_alloc();

	if (!check(r, e && nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, &uid, sizeof(uid)) == 0)) {
		if (e)
			nftnl_set_elem_free(e);
		return;
	}
	nftnl_set_elem_add(s, e); /* owns e */
}

/* For `nft list`: these keys are numbers, not bytes of a packet. */
static bool say_host_order(struct nftnl_set *s)
{
	struct nftnl_udata_buf *words = nftnl_udata_buf_alloc(COMMENT_BYTES);
	bool fine = words && nftnl_udata_put_u32(words, NFTNL_UDATA_SET_KEYBYTEORDER, HOST_ORDER) &&
		    nftnl_set_set_data(s, NFTNL_SET_USERDATA, nftnl_udata_buf_data(words),
			    nftnl_udata_buf_len(words)) == 0;

	if (words)
		nftnl_udata_buf_free(words);
	return fine;
}

void ruleset_uids(struct ruleset *r, const char *name, const uint32_t *uid, unsigned int count)
{
	struct nftnl_set *s = new_set(r, name, TYPE_UID, sizeof(*uid), NFT_SET_CONSTANT);
	struct nlmsghdr *m;
	unsigned int i;

	if (!s)
		return;
	nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, count);
	check(r, say_host_order(s));
	write_set(r, s);
	for (i = 0; i < count && i < RULESET_UIDS; i++)
		add_uid(r, s, uid[i]);
	m = message(r, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
	if (m) {
		nftnl_set_elems_nlmsg_build_payload(m, s);
		close_message(r, m);
	}
	nftnl_set_free(s);
}

static void new_chain(struct ruleset *r, const char *name, bool is_output)
{
	struct nftnl_chain *c = nftnl_chain_alloc();
	struct nlmsghdr *m = NULL;

	if (check(r, c && nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, r->table) == 0 &&
			     nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, name) == 0))
		m = message(r, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	if (m && is_output) {
		r->failed |= nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, "filter") != 0;
		nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, NF_INET_LOCAL_OUT);
		nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, PRIORITY_RAW);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	if (m) {
		nftnl_chain_nlmsg_build_payload(m, c);
		close_message(r, m);
	}
	if (c)
		nftnl_chain_free(c);
}

void ruleset_chain(struct ruleset *r, const char *name)
{
	new_chain(r, name, false);
}

void ruleset_output(struct ruleset *r, const char *name)
{
	new_chain(r, name, true);
}

static bool add_comment(struct nftnl_rule *rule, const char *text)
{
	struct nftnl_udata_buf *words = nftnl_udata_buf_alloc(COMMENT_BYTES + 8);
	bool fine = words && nftnl_udata_put_strz(words, NFTNL_UDATA_RULE_COMMENT, text) &&
		    nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(words),
			    nftnl_udata_buf_len(words)) == 0;

	if (words)
		nftnl_udata_buf_free(words);
	return fine;
}

void ruleset_rule(struct ruleset *r, const char *chain, const char *comment)
{
	r->rule = r->failed ? NULL : nftnl_rule_alloc();
	if (!check(r, r->rule && nftnl_rule_set_str(r->rule, NFTNL_RULE_TABLE, r->table) == 0 &&
			      nftnl_rule_set_str(r->rule, NFTNL_RULE_CHAIN, chain) == 0))
		return;
	nftnl_rule_set_u32(r->rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	check(r, !comment || add_comment(r->rule, comment));
}

void ruleset_rule_end(struct ruleset *r)
{
	struct nlmsghdr *m = message(r, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);

	if (m) {
		nftnl_rule_nlmsg_build_payload(m, r->rule);
		close_message(r, m);
	}
	if (r->rule)
		nftnl_rule_free(r->rule);
	r->rule = NULL;
}

/* One expression more, owned by the rule; NULL: none. */
static struct nftnl_expr *add(struct ruleset *r, const char *kind)
{
	struct nftnl_expr *e = r->failed ? NULL : nftnl_expr_alloc(kind);

	if (!check(r, e != NULL))
		return NULL;
	nftnl_rule_add_expr(r->rule, e);
	return e;
}

static void compare(struct ruleset *r, uint32_t how, const void *value, uint32_t bytes)
{
	struct nftnl_expr *e = add(r, "cmp");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, REGISTER_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, how);
	check(r, nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, value, bytes) == 0);
}

static uint32_t how(bool equal)
{
	return equal ? NFT_CMP_EQ : NFT_CMP_NEQ;
}

static void load_meta(struct ruleset *r, uint32_t key)
{
	struct nftnl_expr *e = add(r, "meta");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, REGISTER_1);
}

void rule_meta(struct ruleset *r, uint32_t key, bool equal, const void *value, uint32_t bytes)
{
	load_meta(r, key);
	compare(r, how(equal), value, bytes);
}

/* Registers are compared as bytes, so the highest must come first. */
void rule_uids(struct ruleset *r, uint32_t first, uint32_t last)
{
	const uint32_t first_be = htonl(first), last_be = htonl(last);
	struct nftnl_expr *e;

	load_meta(r, NFT_META_SKUID);
	e = add(r, "byteorder");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SREG, REGISTER_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_DREG, REGISTER_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_LEN, sizeof(first));
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SIZE, sizeof(first));
	compare(r, NFT_CMP_GTE, &first_be, sizeof(first_be));
	compare(r, NFT_CMP_LTE, &last_be, sizeof(last_be));
}

void rule_uid_in(struct ruleset *r, const char *set)
{
	load_meta(r, NFT_META_SKUID);
	rule_known(r, set);
}

void rule_load(struct ruleset *r, const struct ruleset_field *field, enum ruleset_register where)
{
	struct nftnl_expr *e = add(r, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE,
		field->header == HEADER_NETWORK ? NFT_PAYLOAD_NETWORK_HEADER
						: NFT_PAYLOAD_TRANSPORT_HEADER);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, field->offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, field->bytes);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, where);
}

void rule_field(struct ruleset *r, const struct ruleset_field *field, bool equal, const void *value)
{
	rule_load(r, field, REGISTER_1);
	compare(r, how(equal), value, field->bytes);
}

void rule_masked(struct ruleset *r, const struct ruleset_field *field, const void *mask, bool equal,
	const void *value)
{
	static const uint8_t nothing[4];
	struct nftnl_expr *e;

	rule_load(r, field, REGISTER_1);
	e = add(r, "bitwise");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, REGISTER_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, REGISTER_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, field->bytes);
	check(r, nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, field->bytes) == 0 &&
			 nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, nothing, field->bytes) == 0);
	compare(r, how(equal), value, field->bytes);
}

void rule_destination_type(struct ruleset *r, uint32_t type)
{
	struct nftnl_expr *e = add(r, "fib");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, REGISTER_1);
	compare(r, NFT_CMP_EQ, &type, sizeof(type));
}

void rule_known(struct ruleset *r, const char *set)
{
	struct nftnl_expr *e = add(r, "lookup");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, REGISTER_1);
	check(r, nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set) == 0);
}

void rule_remember(struct ruleset *r, const char *set)
{
	struct nftnl_expr *e = add(r, "dynset");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, REGISTER_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
	check(r, nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, set) == 0);
}

void rule_count(struct ruleset *r)
{
	add(r, "counter");
}

void rule_verdict(struct ruleset *r, int verdict, const char *chain)
{
	struct nftnl_expr *e = add(r, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
	check(r, !chain || nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain) == 0);
}
