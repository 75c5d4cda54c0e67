/* The token table. The longest row whose words begin what was typed wins; what is left is its
 * argument. */
#include <string.h>

#include "reflect.h"
#include "verbs.h"

#define TABLE(WORDS, TOPIC, SCHEMA, NOUN, NOUNS, HELP)                                             \
	{                                                                                          \
		WORDS, NULL, VERB_TABLE, NL__TOPIC__##TOPIC, "natlock." SCHEMA "/1", NOUN, NOUNS,  \
			HELP                                                                       \
	}
#define TEXT(WORDS, ARGUMENT, KIND, SCHEMA, HELP)                                                  \
	{                                                                                          \
		WORDS, ARGUMENT, KIND, NL__TOPIC__STATUS, "natlock." SCHEMA "/1", NULL, NULL, HELP \
	}

const struct verb verbs[] = {
	TEXT("status", NULL, VERB_STATUS, "status",
		"the gateway, its processes and their sandboxes, its hubs"),
	TABLE("process list", PROCESSES, "process.list", "process", "processes",
		"processes with user, sandbox state, memory and restarts"),
	TEXT("process restart", "NAME", VERB_RESTART, "process.restart",
		"end a worker and start it again"),
	TABLE("hub list", HUBS, "hub.list", "hub", "hubs",
		"hubs with address, sessions, leases and data path"),
	TABLE("session list", SESSIONS, "session.list", "session", "sessions",
		"ports of the hub with their traffic, the SecureNAT session included"),
	TABLE("nat table", NAT, "nat.table", "session", "sessions",
		"TCP, UDP and ICMP sessions through the NAT"),
	TABLE("dhcp table", DHCP, "dhcp.table", "lease", "leases", "addresses given to guests"),
	TABLE("alg expectations", EXPECTATIONS, "alg.expectations", "expectation", "expectations",
		"connections that an application-level gateway has announced"),
	TABLE("alg stats", ALG_STATS, "alg.stats", "gateway", "gateways",
		"flows, messages and edits of each application-level gateway"),
	TEXT("policy show", "[PROC]", VERB_POLICY, "policy.show",
		"the system calls a process may make, each with its reason"),
	TABLE("drops", DROPS, "drops", "reason", "reasons", "input that was dropped, by reason"),
	TEXT("version", NULL, VERB_VERSION, "version",
		"version of the tool and of the running gateway"),
	TEXT("shutdown", NULL, VERB_SHUTDOWN, "shutdown", "end the gateway in good order"),
	TEXT("import softether", "FILE", VERB_IMPORT, "import",
		"natlock's configuration from SoftEther's vpn_server.config"),
	TEXT("completion bash", NULL, VERB_COMPLETION, "completion", "print a completion script"),
	TEXT("help", NULL, VERB_HELP, "help", "print this list"),
};
const size_t verb_count = sizeof(verbs) / sizeof(verbs[0]);

const struct verb_alias verb_aliases[] = {
	{"NatTable", "nat table", FORMAT_TABLE},
	{"DhcpTable", "dhcp table", FORMAT_TABLE},
	{"SessionList", "session list", FORMAT_TABLE},
	{"SecureNatStatusGet", "status", FORMAT_TABLE},
	{"HubList", "hub list", FORMAT_TABLE},
	{"show ip nat translations verbose", "nat table", FORMAT_WIDE},
	{"show ip nat translations", "nat table", FORMAT_CISCO},
	{"show ip dhcp binding", "dhcp table", FORMAT_TABLE},
	{"show version", "version", FORMAT_TABLE},
};
const size_t verb_alias_count = sizeof(verb_aliases) / sizeof(verb_aliases[0]);

const char *const format_names[FORMAT_COUNT] = {"table", "wide", "json", "jsonl", "csv", "cisco"};

/* How many of the typed words `phrase` takes up, 0 when it does not begin them. */
static size_t phrase_length(const char *phrase, const char *const *words, size_t count)
{
	size_t used = 0;

	while (*phrase != '\0') {
		size_t length = strcspn(phrase, " ");

		if (used == count || strlen(words[used]) != length ||
			strncasecmp(phrase, words[used], length) != 0)
			return 0;
		used++;
		phrase += length + (phrase[length] == ' ');
	}
	return used;
}

static const struct verb *verb_named(const char *words)
{
	for (size_t i = 0; i < verb_count; i++)
		if (strcmp(verbs[i].words, words) == 0)
			return &verbs[i];
	return NULL;
}

/* The longest phrase of both tables that begins the words; returns its length. */
static size_t longest(const char *const *words, size_t count, struct verb_choice *choice)
{
	size_t best = 0, used;

	for (size_t i = 0; i < verb_count; i++) {
		used = phrase_length(verbs[i].words, words, count);
		if (used > best) {
			best = used;
			*choice = (struct verb_choice){.verb = &verbs[i]};
		}
	}
	for (size_t i = 0; i < verb_alias_count; i++) {
		used = phrase_length(verb_aliases[i].words, words, count);
		if (used > best) {
			best = used;
			*choice = (struct verb_choice){.verb = verb_named(verb_aliases[i].means),
				.format = verb_aliases[i].format};
		}
	}
	return best;
}

static const char *similar(const char *const *words, size_t count)
{
	const char *known[32];
	char typed[64] = "";
	size_t n = 0;

	for (size_t i = 0; i < count && i < 2; i++) {
		size_t used = strlen(typed);

		snprintf(typed + used, sizeof(typed) - used, "%s%.20s", i > 0 ? " " : "", words[i]);
	}
	for (; n < verb_count && n < 32; n++)
		known[n] = verbs[n].words;
	return reflect_suggest(typed, known, n);
}

bool verb_find(
	const char *const *words, size_t count, struct verb_choice *choice, const char **meant)
{
	size_t used = longest(words, count, choice);
	const char *takes = used > 0 ? choice->verb->argument : NULL;

	*meant = NULL;
	if (used == 0)
		*meant = similar(words, count);
	if (used == 0 || count - used > (takes != NULL ? 1u : 0u))
		return false;
	choice->argument = used < count ? words[used] : NULL;
	return takes == NULL || takes[0] == '[' || choice->argument != NULL;
}

void verb_help(FILE *out)
{
	char left[40];

	fputs("usage: natlockctl [--hub H] [--api PATH] [-o table|wide|json|jsonl|csv|cisco] "
	      "COMMAND\n\n",
		out);
	for (size_t i = 0; i < verb_count; i++) {
		snprintf(left, sizeof(left), "%s %s", verbs[i].words,
			verbs[i].argument != NULL ? verbs[i].argument : "");
		fprintf(out, "  %-22s %s\n", left, verbs[i].help);
	}
	fputs("\naccepted as typed, too:\n", out);
	for (size_t i = 0; i < verb_alias_count; i++)
		fprintf(out, "  %-34s %s\n", verb_aliases[i].words, verb_aliases[i].means);
	fputs("\nexit codes: 0 ok, 1 failed, 2 usage, 3 not reachable, 4 nothing matched, 5 "
	      "refused,\n"
	      "            6 configuration invalid, 7 audit found drift, 8 timed out\n",
		out);
}

void verb_completion(FILE *out)
{
	fputs("# bash completion for natlockctl, printed by: natlockctl completion bash\n"
	      "_natlockctl()\n{\n"
	      "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} line i\n"
	      "\tlocal -a typed=()\n"
	      "\tCOMPREPLY=()\n"
	      "\tcase $before in\n"
	      "\t-o|--output) COMPREPLY=($(compgen -W \"",
		out);
	for (size_t i = 0; i < FORMAT_COUNT; i++)
		fprintf(out, "%s%s", i > 0 ? " " : "", format_names[i]);
	fputs("\" -- \"$word\")); return;;\n"
	      "\t--api) COMPREPLY=($(compgen -f -- \"$word\")); return;;\n"
	      "\t--hub) return;;\n"
	      "\tesac\n"
	      "\tif [[ $word == -* ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"--hub --api --output --help --version\" -- "
	      "\"$word\"))\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n"
	      "\t\t-o|--output|--api|--hub) ((i++));;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) typed+=(\"${COMP_WORDS[i]}\");;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tline=\"${typed[*]}\"\n"
	      "\tcase $line in\n",
		out);
	fputs("\t'') COMPREPLY=($(compgen -W \"", out);
	for (size_t i = 0; i < verb_count; i++)
		fprintf(out, "%s%.*s", i > 0 ? " " : "", (int)strcspn(verbs[i].words, " "),
			verbs[i].words);
	fputs("\" -- \"$word\"));;\n", out);
	for (size_t i = 0; i < verb_count; i++) {
		size_t first = strcspn(verbs[i].words, " ");

		if (verbs[i].words[first] == ' ')
			fprintf(out, "\t%.*s) COMPREPLY+=($(compgen -W \"%s\" -- \"$word\"));;&\n",
				(int)first, verbs[i].words, verbs[i].words + first + 1);
	}
	fputs("\tesac\n}\ncomplete -F _natlockctl natlockctl\n", out);
}
