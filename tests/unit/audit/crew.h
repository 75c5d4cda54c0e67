/* A gateway as it should be found, for tests to spoil: a supervisor with private uids and a hub of one shard. */
#ifndef TEST_AUDIT_CREW_H
#define TEST_AUDIT_CREW_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "compare.h"
#include "declare.h"

enum { SUPERVISOR, BROKER, NATPROXY, ALG, NETSTACK, DHCPD, CREW };

static const struct sock_filter crew_alg_insns[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4), BPF_STMT(BPF_RET | BPF_K, 0)};
static const struct sock_filter crew_other_insns[] = {BPF_STMT(BPF_RET | BPF_K, 0x7fff0000)};
static const struct sock_filter crew_supervisor_insns[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_K, 0x7fff0000)};

static const struct policy_filter crew_filters[] = {
	{"broker", crew_other_insns, 1, 1, "", 0},
	{"natproxy", crew_other_insns, 1, 1, "", 0},
	{"alg", crew_alg_insns, 2, 1, "", 0},
	{"netstack", crew_other_insns, 1, 1, "", 0},
	{"dhcpd", crew_other_insns, 1, 1, "", 0},
	{"supervisor", crew_supervisor_insns, 2, 1, "", 0},
	{NULL, NULL, 0, 0, NULL, 0},
};

static struct found crew_process[CREW + 2];
static struct found_fd crew_fd[CREW][128];
static struct found_pair crew_pair[32];
static struct compare_crew crew;

static inline void crew_add_fd(unsigned int who, int number, enum found_kind kind)
{
	struct found *f = &crew_process[who];

	f->fd = crew_fd[who];
	f->fd[f->fds].number = number;
	f->fd[f->fds].kind = kind;
	snprintf(f->fd[f->fds++].text, FOUND_TEXT, "kind %d", kind);
}

static inline enum found_kind crew_kind_of(uint32_t kinds)
{
	return (enum found_kind)__builtin_ctz(kinds);
}

static inline void crew_add_mapping(unsigned int who, struct found_mapping m)
{
	crew_process[who].mapping[crew_process[who].mappings++] = m;
}

static inline void crew_common(unsigned int who, unsigned int kind)
{
	struct found *f = &crew_process[who];
	unsigned int i;

	*f = (struct found){.pid = 100 + (int)who,
		.kind = kind,
		.is_installed_file = true,
		.is_installed_code = true};
	snprintf(f->name, sizeof(f->name), "%s", declare_name(kind));
	f->status = (struct found_status){
		.threads = 1, .seccomp = 2, .layers = 1, .no_new_privs = 1, .innermost_pid = 1};
	for (i = 0; i < 4; i++)
		f->status.uid[i] = f->status.gid[i] = 61184 + who;
	for (i = 0; i < FOUND_NAMESPACES; i++)
		f->namespace_inode[i] = 1000 * (who + 1) + i;
	f->layers = 1;
	f->layer[0] =
		(struct found_layer){crew_filters[who == SUPERVISOR ? CREW - 1 : who - 1].count,
			crew_filters[who == SUPERVISOR ? CREW - 1 : who - 1].insns};
	crew_add_mapping(who, (struct found_mapping){.read = true,
				      .execute = true,
				      .is_program = true,
				      .inode = 7,
				      .text = "/natlock"});
	crew_add_mapping(
		who, (struct found_mapping){.read = true, .execute = true, .text = "[vdso]"});
}

static inline void crew_worker(unsigned int who, enum actor_id id)
{
	struct found *f = &crew_process[who];
	int number;
	unsigned int i;

	crew_common(who, id);
	f->uid_map = (struct found_ids){1, {{1, 61184 + who, 1}}};
	for (i = 0; i < FOUND_LIMITS; i++)
		f->limit[i] = (struct found_limit){true, 0, 0};
	f->limit[FOUND_NOFILE] = (struct found_limit){true, 32, 32};
	f->root = (struct found_root){1, true, true, true, true, true, "tmpfs"};
	f->root_is_empty = f->cwd_is_root = true;
	for (number = 0; number < declare_first_free(id); number++)
		if (declare_fd(id, number).required)
			crew_add_fd(who, number, crew_kind_of(declare_fd(id, number).kinds & ~1U));
	if (declare_shares_memory(id)) {
		crew_add_mapping(who, (struct found_mapping){.read = true,
					      .write = true,
					      .shared = true,
					      .is_memfd = true,
					      .inode = 50 + who,
					      .seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW,
					      .text = "/memfd:natlock ring"});
		crew_add_mapping(who, (struct found_mapping){.read = true,
					      .shared = true,
					      .is_memfd = true,
					      .inode = 50 + 3 - who,
					      .seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW,
					      .text = "/memfd:natlock ring"});
	}
}

static inline struct found_fd *crew_fd_at(unsigned int who, int number)
{
	struct found *f = &crew_process[who];
	unsigned int i = 0;

	while (f->fd[i].number != number)
		i++;
	return &f->fd[i];
}

/* Connects two descriptors that are there. */
static inline void crew_connect(unsigned int a, int number_a, unsigned int b, int number_b)
{
	uint64_t inode = 1000 + crew.pairs;

	crew_fd_at(a, number_a)->id = inode;
	crew_fd_at(b, number_b)->id = inode + 1;
	crew_pair[crew.pairs++] = (struct found_pair){inode, inode + 1};
	crew_pair[crew.pairs++] = (struct found_pair){inode + 1, inode};
}

/* Both rings of a pair of neighbours. */
static inline void crew_bells(unsigned int a, int at_a, unsigned int b, int at_b)
{
	crew_fd_at(a, at_a)->id = crew_fd_at(b, BROKER_BELL_OWN)->id;
	crew_fd_at(b, at_b)->id = crew_fd_at(a, BROKER_BELL_OWN)->id;
}

static inline void crew_edges(void)
{
	unsigned int who;

	crew.pair = crew_pair;
	for (who = BROKER; who < CREW; who++) {
		crew_add_fd(SUPERVISOR, 10 + (int)who, FOUND_CHANNEL);
		crew_connect(SUPERVISOR, 10 + (int)who, who, FD_SUPER);
		if (who != ALG && who != DHCPD)
			crew_fd_at(who, BROKER_BELL_OWN)->id = 900 + who;
	}
	crew_connect(BROKER, BROKER_CH_NETSTACK_FIRST, NETSTACK, NETSTACK_CH_BROKER);
	crew_connect(BROKER, BROKER_CH_DHCPD, DHCPD, DHCPD_CH_BROKER);
	crew_connect(NETSTACK, NETSTACK_CH_NATPROXY, NATPROXY, NATPROXY_CH_NETSTACK);
	crew_connect(NATPROXY, NATPROXY_CH_ALG, ALG, ALG_CH_NATPROXY);
	crew_bells(BROKER, BROKER_BELL_NETSTACK_FIRST, NETSTACK, NETSTACK_BELL_BROKER);
	crew_bells(NETSTACK, NETSTACK_BELL_NATPROXY, NATPROXY, NATPROXY_BELL_NETSTACK);
	/* The supervisor keeps both ends of every edge. */
	crew_add_fd(SUPERVISOR, 30, FOUND_CHANNEL);
	crew_fd_at(SUPERVISOR, 30)->id = crew_fd_at(ALG, ALG_CH_NATPROXY)->id;
	crew_add_fd(SUPERVISOR, 31, FOUND_CHANNEL);
	crew_fd_at(SUPERVISOR, 31)->id = crew_fd_at(NATPROXY, NATPROXY_CH_ALG)->id;
}

static inline void crew_make(void)
{
	struct found *super = &crew_process[SUPERVISOR];
	unsigned int i;

	crew_common(SUPERVISOR, FOUND_SUPERVISOR);
	super->uid_map = (struct found_ids){2, {{0, 61184, 1}, {1, 61185, 32}}};
	super->status.capabilities[FOUND_PERMITTED] = super->status.capabilities[FOUND_EFFECTIVE] =
		super->status.capabilities[FOUND_BOUNDING] = declare_supervisor_capabilities(true);
	crew_add_fd(SUPERVISOR, 0, FOUND_OTHER);
	crew_add_fd(SUPERVISOR, 5, FOUND_CHANNEL);
	crew_worker(BROKER, ACTOR_BROKER);
	crew_add_fd(BROKER, BROKER_PORT_FIRST, FOUND_TAP);
	crew_worker(NATPROXY, ACTOR_NATPROXY);
	crew_add_fd(NATPROXY, NATPROXY_SOCK_FIRST, FOUND_UDP);
	crew_worker(ALG, ACTOR_ALG);
	crew_worker(NETSTACK, ACTOR_NETSTACK);
	crew_worker(DHCPD, ACTOR_DHCPD);
	crew_process[NATPROXY].namespace_inode[FOUND_NET] = super->namespace_inode[FOUND_NET];
	crew = (struct compare_crew){.process = crew_process, .count = CREW, .landlock_abi = 6};
	crew_edges();
	crew.operator.pid = 1;
	snprintf(crew.operator.name, FOUND_NAME, "the operator");
	for (i = 0; i < FOUND_NAMESPACES; i++)
		crew.operator.namespace_inode[i] = i == FOUND_NET ? super->namespace_inode[i]
								  : i + 1;
}

/* The line about `what` of process[who]; there must be one. */
static inline const struct check *crew_line(
	const struct checks *list, unsigned int who, const char *what)
{
	unsigned int i;

	for (i = 0; i < list->count; i++)
		if (list->item[i].pid == crew_process[who].pid &&
			strcmp(list->item[i].what, what) == 0)
			return &list->item[i];
	cr_assert_fail("no line '%s' about %s", what, crew_process[who].name);
	return NULL;
}

/* Compares all; the one line that drifted must be this one. */
static inline void crew_expect(unsigned int who, const char *what)
{
	struct checks list = {0};
	unsigned int i;

	compare_all(&list, &crew, crew_filters);
	cr_expect_eq(crew_line(&list, who, what)->result, CHECK_DRIFT, "%s", what);
	for (i = 0; i < list.count; i++)
		cr_expect(list.item[i].result != CHECK_DRIFT ||
				  (list.item[i].pid == crew_process[who].pid &&
					  strcmp(list.item[i].what, what) == 0),
			"%s: also %s of %s: %s", what, list.item[i].what, list.item[i].process,
			list.item[i].found);
	check_free(&list);
}

static inline void crew_expect_nothing(void)
{
	struct checks list = {0};
	unsigned int i;

	compare_all(&list, &crew, crew_filters);
	for (i = 0; i < list.count; i++)
		cr_expect_neq(list.item[i].result, CHECK_DRIFT, "%s of %s: %s", list.item[i].what,
			list.item[i].process, list.item[i].found);
	check_free(&list);
}

#endif
