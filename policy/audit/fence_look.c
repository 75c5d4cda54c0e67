/*
 * Theory of operation. The table's name follows from the first private uid that the supervisor's
 * map gives it. Two questions: is there such a table and whose is it, and which rules does it
 * have. What counts of the rules is whose packets they judge (two comparisons in chain `output`),
 * and how many end with a drop.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>

#include "fence_look.h"

enum { QUESTION_BYTES = 2048, ANSWER_BYTES = 32768, ANSWERS_MAX = 64 };

static bool holds_netfilter(const struct found *f)
{
	unsigned int i = 0;

	while (i < f->fds && f->fd[i].kind != FOUND_NETFILTER)
		i++;
	return i < f->fds;
}

/* A socket in that process's network, or -errno. */
static int open_there(pid_t pid)
{
	char path[32];
	int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), theirs, fd = -1, error = 0;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	theirs = open(path, O_RDONLY | O_CLOEXEC);
	if (ours < 0 || theirs < 0 || setns(theirs, CLONE_NEWNET) < 0) {
		error = errno;
	} else {
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
		error = fd < 0 ? errno : 0;
		if (setns(ours, CLONE_NEWNET) < 0)
			error = errno;
	}
	if (ours >= 0)
		close(ours);
	if (theirs >= 0)
		close(theirs);
	if (error && fd >= 0)
		close(fd);
	return error ? -error : fd;
}

static void take_table(struct found_fence *out, const struct nlmsghdr *m)
{
	struct nftnl_table *t = nftnl_table_alloc();

	if (t && nftnl_table_nlmsg_parse(m, t) == 0) {
		out->is_there = true;
		out->is_owned = nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS) & NFT_TABLE_F_OWNER;
	}
	if (t)
		nftnl_table_free(t);
}

/* The only comparisons of more or less are those of the uid. */
static void take_bound(struct found_fence *out, const struct nftnl_expr *e)
{
	uint32_t bytes = 0, value;
	const void *data = nftnl_expr_get(e, NFTNL_EXPR_CMP_DATA, &bytes);

	if (!data || bytes != sizeof(value))
		return;
	memcpy(&value, data, sizeof(value));
	if (nftnl_expr_get_u32(e, NFTNL_EXPR_CMP_OP) == NFT_CMP_GTE)
		out->first_uid = ntohl(value);
	if (nftnl_expr_get_u32(e, NFTNL_EXPR_CMP_OP) == NFT_CMP_LTE)
		out->last_uid = ntohl(value);
}

static void take_expressions(struct found_fence *out, const struct nftnl_rule *rule, bool is_output)
{
	struct nftnl_expr_iter *all = nftnl_expr_iter_create(rule);
	struct nftnl_expr *e;
	uint64_t packets = 0;

	while (all && (e = nftnl_expr_iter_next(all))) {
		const char *kind = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);

		if (is_output && strcmp(kind, "cmp") == 0)
			take_bound(out, e);
		if (strcmp(kind, "counter") == 0)
			packets = nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_PACKETS);
		if (strcmp(kind, "immediate") == 0 &&
			nftnl_expr_get_u32(e, NFTNL_EXPR_IMM_VERDICT) == NF_DROP) {
			out->drops++;
			out->dropped += packets;
		}
	}
	if (all)
		nftnl_expr_iter_destroy(all);
}

static void take_rule(struct found_fence *out, const struct nlmsghdr *m)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();

	if (rule && nftnl_rule_nlmsg_parse(m, rule) == 0)
		take_expressions(out, rule,
			strcmp(nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN), "output") == 0);
	if (rule)
		nftnl_rule_free(rule);
}

/* 1: more to come; 0: that was all; -errno: the kernel's no. */
static int take(struct found_fence *out, const struct nlmsghdr *m)
{
	const struct nlmsgerr *no = NLMSG_DATA(m);

	if (m->nlmsg_type == NLMSG_DONE)
		return 0;
	if (m->nlmsg_type == NLMSG_ERROR)
		return m->nlmsg_len < NLMSG_LENGTH(sizeof(*no)) ? -EPROTO : no->error;
	if ((m->nlmsg_type & 0xff) == NFT_MSG_NEWTABLE) {
		take_table(out, m);
		return 0;
	}
	if ((m->nlmsg_type & 0xff) == NFT_MSG_NEWRULE)
		take_rule(out, m);
	return 1;
}

/* Hears answers until the last; 0 or -errno. */
static int hear(int fd, struct found_fence *out)
{
	static _Alignas(struct nlmsghdr) char answer[ANSWER_BYTES];
	unsigned int i;
	int r = 1;

	for (i = 0; i < ANSWERS_MAX && r > 0; i++) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);
		const struct nlmsghdr *m = (const struct nlmsghdr *)answer;
		size_t left = n > 0 ? (size_t)n : 0;

		if (n <= 0)
			return n < 0 ? -errno : -EPROTO;
		for (; r > 0 && NLMSG_OK(m, left); m = NLMSG_NEXT(m, left))
			r = take(out, m);
	}
	return r > 0 ? -EPROTO : r;
}

static int ask(int fd, struct found_fence *out, uint16_t type, uint16_t flags)
{
	_Alignas(struct nlmsghdr) char question[QUESTION_BYTES];
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct nlmsghdr *m = nftnl_nlmsg_build_hdr(question, type, NFPROTO_INET, flags, 1);
	struct nftnl_table *t = nftnl_table_alloc();
	bool named = t && nftnl_table_set_str(t, NFTNL_TABLE_NAME, out->table) == 0;

	/* A table's name and a rule's table are the same attribute. */
	_Static_assert((int)NFTA_TABLE_NAME == (int)NFTA_RULE_TABLE, "one question for both");
	if (named)
		nftnl_table_nlmsg_build_payload(m, t);
	if (t)
		nftnl_table_free(t);
	if (!named)
		return -ENOMEM;
	if (sendto(fd, m, m->nlmsg_len, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return hear(fd, out);
}

void fence_look(struct found_fence *out, const struct found *supervisor)
{
	int fd, error;

	*out = (struct found_fence){.is_held = holds_netfilter(supervisor)};
	if (!out->is_held)
		return;
	snprintf(out->table, sizeof(out->table), "natlock-%u",
		supervisor->uid_map.lines == 2 ? supervisor->uid_map.line[1].outside : 0);
	fd = open_there(supervisor->pid);
	error = fd < 0 ? fd : ask(fd, out, NFT_MSG_GETTABLE, 0);
	if (error == 0)
		error = ask(fd, out, NFT_MSG_GETRULE, NLM_F_DUMP);
	out->error = error == -ENOENT ? 0 : -error;
	if (fd >= 0)
		close(fd);
}
