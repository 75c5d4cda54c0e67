/*
 * Theory of operation. All three walk the same parsed rules as the compiler does.
 *
 *   json      everything that is declared: for whoever compares, or draws pictures
 *   oci       the same filter: each combination of the tests of a rule is an entry (blocks.h), and
 *             entries of one call mean "or" to a container runtime as they do to libseccomp
 *   systemd   weaker than the filter: systemd.exec(5) has no tests of arguments, and it puts its
 *             filter on before the program starts, so that the calls of starting belong to it too
 */
#include <inttypes.h>
#include <string.h>

#include "../blocks.h"
#include "declare.h"
#include "export.h"
#include "report.h"

/* The profile is for the machine that it is made on. A runtime takes its own one where none is named. */
#if defined(__x86_64__)
#define ARCHITECTURES "  \"architectures\":[\"SCMP_ARCH_X86_64\"],\n"
#elif defined(__aarch64__)
#define ARCHITECTURES "  \"architectures\":[\"SCMP_ARCH_AARCH64\"],\n"
#else
#define ARCHITECTURES ""
#endif

static bool is_worker(const struct policy *policy)
{
	return declare_kind(policy->actor) < FOUND_SUPERVISOR;
}

static void json_pair(FILE *out, const char *before, const char *key, const char *text)
{
	fprintf(out, "%s\"%s\":", before, key);
	report_json_string(out, text);
}

/* json */

static void json_argument(FILE *out, const struct policy_condition *c)
{
	struct blocks blocks;
	unsigned int i;

	json_pair(out, "{", "name", c->argument.name);
	fprintf(out, ",\"index\":%u,\"any_of\":[", c->argument.index);
	blocks_of(c, &blocks);
	for (i = 0; i < blocks.count; i++)
		fprintf(out, "%s{\"mask\":\"0x%" PRIx64 "\",\"equals\":\"0x%" PRIx64 "\"}",
			i ? "," : "", blocks.block[i].mask, blocks.block[i].datum);
	fputs("]}", out);
}

static void json_rule(FILE *out, const struct policy_rule *rule)
{
	unsigned int i;

	json_pair(out, "{", "stage", policy_stage_name(rule->stage));
	json_pair(out, ",", "call", rule->call);
	json_pair(out, ",", "conditions", rule->conditions_text);
	fputs(",\"arguments\":[", out);
	for (i = 0; i < rule->conditions; i++) {
		fputs(i ? "," : "", out);
		json_argument(out, &rule->condition[i]);
	}
	json_pair(out, "],", "functions", rule->functions);
	json_pair(out, ",", "reason", rule->reason);
	fputc('}', out);
}

static void json_program(FILE *out, const struct policy_filter *filter)
{
	unsigned int i;

	fprintf(out, ",\"program\":{\"siphash\":\"%016" PRIx64 "\",\"instructions\":[",
		filter->hash);
	for (i = 0; i < filter->count; i++)
		fprintf(out, "%s[%u,%u,%u,%" PRIu32 "]", i ? "," : "", filter->insns[i].code,
			filter->insns[i].jt, filter->insns[i].jf, filter->insns[i].k);
	fputs("]}", out);
}

/* What stands beside the filter: workers only, the others' is told in docs/SECURITY.md. */
static void json_locks(FILE *out, enum actor_id id)
{
	unsigned int ns, limit;
	int number;

	fputs(",\"locks\":{\"no_new_privs\":true,\"capabilities\":[],\"root\":\"empty, "
	      "read-only\",\"landlock\":\"deny\","
	      "\"dumpable\":false,\"environment\":[],\"own_namespaces\":[",
		out);
	for (ns = 0; ns < FOUND_NAMESPACES; ns++)
		if (declare_own_namespace(id, (enum found_namespace)ns))
			fprintf(out, "%s\"%s\"", ns ? "," : "", found_namespace_names[ns]);
	fputs("],\"limits\":{", out);
	for (limit = 0; limit < FOUND_LIMITS; limit++)
		fprintf(out, "%s\"%s\":%u", limit ? "," : "", found_limit_names[limit],
			limit == FOUND_NOFILE ? declare_nofile(id) : 0);
	fputs("},\"descriptors\":{", out);
	for (number = 0; number < declare_first_free(id); number++)
		fprintf(out, "%s\"%d\":\"%s\"", number ? "," : "", number,
			declare_fd(id, number).name ? declare_fd(id, number).name : "free");
	fputs("}}", out);
}

void export_json(FILE *out, const struct policy *policy, const struct policy_filter *filter)
{
	unsigned int i;

	json_pair(out, "{", "process", policy->actor);
	json_pair(out, ",", "purpose", policy->purpose);
	fprintf(out, ",\"otherwise\":\"kill_process\",\"calls\":%u,\"rules\":[",
		policy_call_count(policy));
	for (i = 0; i < policy->rules; i++) {
		fputs(i ? "," : "", out);
		json_rule(out, &policy->rule[i]);
	}
	fputc(']', out);
	json_program(out, filter);
	if (is_worker(policy))
		json_locks(out, (enum actor_id)declare_kind(policy->actor));
	fputc('}', out);
}

/* oci */

struct entry {
	FILE *out;
	const struct policy_rule *rule;
	unsigned int written; /* entries of the whole profile */
	struct block chosen[WORDS_ARGUMENTS];
};

static void oci_entry(struct entry *e)
{
	unsigned int i;

	fprintf(e->out, "%s\n    {\"names\":[\"%s\"],\"action\":\"SCMP_ACT_ALLOW\"",
		e->written++ ? "," : "", e->rule->call);
	for (i = 0; i < e->rule->conditions; i++)
		fprintf(e->out,
			"%s{\"index\":%u,\"value\":%" PRIu64 ",\"valueTwo\":%" PRIu64
			",\"op\":\"SCMP_CMP_MASKED_EQ\"}",
			i ? "," : ",\"args\":[", e->rule->condition[i].argument.index,
			e->chosen[i].mask, e->chosen[i].datum);
	fputs(e->rule->conditions ? "]}" : "}", e->out);
}

/* As build.c does: every combination of the conditions from `next` on. */
static void oci_combinations(struct entry *e, unsigned int next)
{
	struct blocks blocks;
	unsigned int i;

	if (next == e->rule->conditions) {
		oci_entry(e);
		return;
	}
	blocks_of(&e->rule->condition[next], &blocks);
	for (i = 0; i < blocks.count; i++) {
		e->chosen[next] = blocks.block[i];
		oci_combinations(e, next + 1);
	}
}

void export_oci(FILE *out, const struct policy *policy)
{
	struct entry e = {.out = out};
	unsigned int i;

	fputs("{\n  \"defaultAction\":\"SCMP_ACT_KILL_PROCESS\",\n" ARCHITECTURES
	      "  \"syscalls\":[",
		out);
	for (i = 0; i < policy->rules; i++) {
		e.rule = &policy->rule[i];
		if (e.rule->stage != POLICY_BOOT)
			oci_combinations(&e, 0);
	}
	fputs("\n  ]\n}\n", out);
}

/* systemd */

/* Calls that a static or dynamic program makes before its first own one, and systemd's exec itself. */
static const char starting[] =
	"execve brk mmap mprotect munmap arch_prctl set_tid_address set_robust_list rseq prlimit64 "
	"getrandom readlinkat readlink openat newfstatat read close pread64 access exit_group";

/* Whether this is a call's first rule after the lock. */
static bool is_first(const struct policy *policy, unsigned int rule)
{
	unsigned int i;

	if (policy->rule[rule].stage == POLICY_BOOT)
		return false;
	for (i = 0; i < rule; i++)
		if (policy->rule[i].stage != POLICY_BOOT &&
			strcmp(policy->rule[i].call, policy->rule[rule].call) == 0)
			return false;
	return true;
}

static void systemd_calls(FILE *out, const struct policy *policy)
{
	unsigned int i;

	fputs("SystemCallArchitectures=native\nSystemCallFilter=", out);
	for (i = 0; i < policy->rules; i++)
		if (is_first(policy, i))
			fprintf(out, "%s ", policy->rule[i].call);
	fprintf(out, "\n# To get started, on top of it:\nSystemCallFilter=%s\n", starting);
	fputs("# Not to be said in a unit, and so allowed with any argument:\n", out);
	for (i = 0; i < policy->rules; i++)
		if (policy->rule[i].stage != POLICY_BOOT && policy->rule[i].conditions > 0)
			fprintf(out, "#   %s: only with %s\n", policy->rule[i].call,
				policy->rule[i].conditions_text);
}

static void systemd_locks(FILE *out, enum actor_id id)
{
	static const char *const limits[FOUND_LIMITS] = {
		"NPROC", "FSIZE", "CORE", "MEMLOCK", "MSGQUEUE", "LOCKS", "RTPRIO", "NOFILE"};
	unsigned int i;

	fputs("RestrictNamespaces=yes\nCapabilityBoundingSet=\nAmbientCapabilities=\nPrivateUsers="
	      "yes\nPrivateIPC="
	      "yes\nProtectHostname=yes\n"
	      "ProtectControlGroups=yes\nProtectSystem=strict\nProtectHome=yes\nProtectProc="
	      "invisible\nProcSubset=pid\n"
	      "PrivateDevices=yes\nPrivateTmp=yes\nProtectKernelTunables=yes\nProtectKernelModules="
	      "yes\nProtectKernelLogs=yes\n"
	      "ProtectClock=yes\nMemoryDenyWriteExecute=yes\nKeyringMode=private\nDynamicUser="
	      "yes\nRemoveIPC=yes\n",
		out);
	fprintf(out, "RestrictAddressFamilies=%s\n", id == ACTOR_NATPROXY ? "AF_INET" : "none");
	if (declare_own_namespace(id, FOUND_NET))
		fputs("PrivateNetwork=yes\n", out);
	for (i = 0; i < FOUND_LIMITS; i++)
		fprintf(out, "Limit%s=%u\n", limits[i], i == FOUND_NOFILE ? declare_nofile(id) : 0);
	fputs("# Not to be said in a unit: a pid namespace (before systemd 257), a root with "
	      "nothing in it, Landlock, descriptors\n"
	      "# by number, not dumpable, a filter that goes on after boot.\n",
		out);
}

/* A unit's filter is on from the first instruction; these two put theirs on much later. */
static void systemd_later(FILE *out)
{
	fputs("# What it may call once it has locked itself. Before that it needs more, and under "
	      "a unit with these lines it\n"
	      "# would not come so far: they are here to be read.\n",
		out);
}

void export_systemd(FILE *out, const struct policy *policy)
{
	fprintf(out, "# %s: %s\n", policy->actor, policy->purpose);
	fputs("# systemd.exec(5) for a unit that runs this process alone. natlock locks itself "
	      "more tightly "
	      "than this, and needs\n# no such unit: docs/policy.md, \"For other "
	      "programs\".\n[Service]\n"
	      "NoNewPrivileges=yes\nLockPersonality=yes\nRestrictRealtime=yes\nRestrictSUIDSGID="
	      "yes\n",
		out);
	if (is_worker(policy))
		systemd_locks(out, (enum actor_id)declare_kind(policy->actor));
	else
		systemd_later(out);
	systemd_calls(out, policy);
}
