/* The token table. The longest row whose words begin what was typed wins; what is left are its
 * arguments. */
#include <string.h>

#include "alias.h"
#include "reflect.h"
#include "verbs.h"

enum { MANY = 24 };

#define JSON(SCHEMA)		      .schema = "natlock." SCHEMA "/1"
#define TOPIC(NAME)		      .topic = NL__TOPIC__##NAME
#define WHAT(NAME)		      .what = NL__CONFIG_REQUEST__WHAT__##NAME
#define COUNTS(NOUN, NOUNS)	      .noun = NOUN, .nouns = NOUNS
#define TAKES(ARGUMENTS, LEAST, MOST) .arguments = ARGUMENTS, .least = LEAST, .most = MOST

const struct verb verbs[] = {
	{"status", .kind = VERB_STATUS, TOPIC(STATUS), JSON("status"),
		.help = "the gateway, its processes and their sandboxes, its hubs"},
	{"health", .kind = VERB_HEALTH, TOPIC(STATUS), JSON("health"),
		COUNTS("gateway", "gateways"),
		.help = "whether all is well; if not, what is not, and exit code 1"},
	{"process list", .kind = VERB_TABLE, TOPIC(PROCESSES), JSON("process.list"),
		COUNTS("process", "processes"),
		.help = "processes with user, sandbox state, memory and restarts"},
	{"process inspect", TAKES("NAME", 1, 1), .kind = VERB_RECORD, TOPIC(PROCESSES),
		.key = "process", JSON("process.inspect"), COUNTS("process", "processes"),
		.help = "all that is known of one process"},
	{"process restart", TAKES("NAME", 1, 1), .kind = VERB_RESTART, JSON("process.restart"),
		.help = "end a worker and start it again"},
	{"hub list", .kind = VERB_TABLE, TOPIC(HUBS), JSON("hub.list"), COUNTS("hub", "hubs"),
		.help = "hubs with address, sessions, leases and data path"},
	{"hub show", .kind = VERB_RECORD, TOPIC(HUBS), .key = "name", JSON("hub.show"),
		COUNTS("hub", "hubs"), .help = "one hub: its address, MAC, switches and sessions"},
	{"hub enable", .kind = VERB_SWITCH, .key = "enable", .value = "true", JSON("hub.enable"),
		.help = "serve the hub"},
	{"hub disable", .kind = VERB_SWITCH, .key = "enable", .value = "false", JSON("hub.disable"),
		.help = "stop serving the hub; its configuration stays"},
	{"hub get", TAKES("[KEY]", 0, 1), .kind = VERB_CONFIG, WHAT(RUNNING), .key = "",
		.value = "hub", JSON("hub.get"), .help = "the hub's settings"},
	{"hub set", TAKES("K=V...", 1, MANY), .kind = VERB_SET, .key = "", JSON("hub.set"),
		.help = "change the hub's settings, such as host.address=10.1.0.1"},
	{"session list", .kind = VERB_TABLE, TOPIC(SESSIONS), JSON("session.list"),
		COUNTS("session", "sessions"),
		.help = "ports of the hub with their traffic, the SecureNAT session included"},
	{"session kick", TAKES("NAME", 1, 1), .kind = VERB_KICK, JSON("session.kick"),
		.help = "take a port off its hub"},
	{"nat status", .kind = VERB_NAT_STATUS, TOPIC(HUBS), .key = "name",
		.value = "name enable nat tcp udp icmp dns", JSON("nat.status"),
		COUNTS("hub", "hubs"),
		.help = "whether the NAT is on, and how many sessions it has"},
	{"nat get", TAKES("[KEY]", 0, 1), .kind = VERB_CONFIG, WHAT(RUNNING), .key = "nat",
		JSON("nat.get"), .help = "the NAT's settings"},
	{"nat set", TAKES("K=V...", 1, MANY), .kind = VERB_SET, .key = "nat", JSON("nat.set"),
		.help = "change the NAT's settings, such as tcp_timeout=2h udp_timeout=5m"},
	{"nat enable", .kind = VERB_SWITCH, .key = "nat.enable", .value = "true",
		JSON("nat.enable"), .help = "forward to the outside"},
	{"nat disable", .kind = VERB_SWITCH, .key = "nat.enable", .value = "false",
		JSON("nat.disable"), .help = "do not forward to the outside"},
	{"nat table", TAKES("[FILTER]", 0, MANY), .kind = VERB_TABLE, TOPIC(NAT), JSON("nat.table"),
		COUNTS("session", "sessions"),
		.help = "TCP, UDP and ICMP sessions through the NAT"},
	{"nat events", TAKES("[FILTER]", 0, MANY), .kind = VERB_EVENTS, TOPIC(EVENTS),
		.key = "natproxy", JSON("nat.events"), COUNTS("event", "events"),
		.help = "sessions as they begin and end, until interrupted"},
	{"nat flush", TAKES("[FILTER]", 0, MANY), .kind = VERB_FLUSH, TOPIC(NAT), JSON("nat.flush"),
		COUNTS("session", "sessions"), .help = "end the sessions that match, or all"},
	{"nat publish list", .kind = VERB_TABLE, TOPIC(FORWARDS), .key = "kind", .value = "publish",
		JSON("nat.publish.list"), COUNTS("port", "ports"),
		.help = "ports of this computer that lead to guests"},
	{"nat publish add", TAKES("PROTO [ADDRESS:]PORT ADDRESS:PORT [vrf NAME]", 3, 5),
		.kind = VERB_ADD, .key = "nat.publish", JSON("nat.publish.add"),
		.help = "publish a port: tcp 127.0.0.1:8080 192.168.30.10:80"},
	{"nat publish del", TAKES("PROTO [ADDRESS:]PORT", 1, 5), .kind = VERB_REMOVE,
		.key = "nat.publish", JSON("nat.publish.del"), .help = "publish it no more"},
	{"nat static list", .kind = VERB_TABLE, TOPIC(FORWARDS), .key = "kind", .value = "static",
		JSON("nat.static.list"), COUNTS("address", "addresses"),
		.help = "guests that are one outside address"},
	{"nat static add", TAKES("INSIDE OUTSIDE [vrf NAME]", 2, 4), .kind = VERB_ADD,
		.key = "nat.static", JSON("nat.static.add"),
		.help = "make a guest one outside address, both ways"},
	{"nat static del", TAKES("INSIDE [OUTSIDE]", 1, 4), .kind = VERB_REMOVE,
		.key = "nat.static", JSON("nat.static.del"), .help = "make it one no more"},
	{"dhcp status", .kind = VERB_RECORD, TOPIC(HUBS), .key = "name",
		.value = "name enable dhcp leases pool", JSON("dhcp.status"), COUNTS("hub", "hubs"),
		.help = "whether addresses are given, and how many are"},
	{"dhcp get", TAKES("[KEY]", 0, 1), .kind = VERB_CONFIG, WHAT(RUNNING), .key = "dhcp",
		JSON("dhcp.get"), .help = "the DHCP server's settings"},
	{"dhcp set", TAKES("K=V...", 1, MANY), .kind = VERB_SET, .key = "dhcp", JSON("dhcp.set"),
		.help = "change them, such as dns=10.0.0.1,10.0.0.2 gateway=none"},
	{"dhcp enable", .kind = VERB_SWITCH, .key = "dhcp.enable", .value = "true",
		JSON("dhcp.enable"), .help = "give addresses to guests"},
	{"dhcp disable", .kind = VERB_SWITCH, .key = "dhcp.enable", .value = "false",
		JSON("dhcp.disable"), .help = "give no addresses"},
	{"dhcp table", .kind = VERB_TABLE, TOPIC(DHCP), JSON("dhcp.table"),
		COUNTS("lease", "leases"), .help = "addresses given to guests"},
	{"dhcp release", TAKES("IP|MAC", 1, 1), .kind = VERB_RELEASE, JSON("dhcp.release"),
		.help = "end a lease"},
	{"dhcp reserve list", .kind = VERB_CONFIG, WHAT(RUNNING), .key = "dhcp.reservations",
		JSON("dhcp.reserve.list"), .help = "addresses kept for certain guests"},
	{"dhcp reserve add", TAKES("MAC IP [NAME]", 2, 3), .kind = VERB_ADD,
		.key = "dhcp.reservations", JSON("dhcp.reserve.add"),
		.help = "keep an address for a guest"},
	{"dhcp reserve del", TAKES("MAC|IP|NAME", 1, 3), .kind = VERB_REMOVE,
		.key = "dhcp.reservations", JSON("dhcp.reserve.del"), .help = "keep it no more"},
	{"dhcp export kea", .kind = VERB_EXPORT, TOPIC(DHCP), .key = "kea", JSON("dhcp.export"),
		.help = "the leases as Kea's lease file"},
	{"dhcp export dnsmasq", .kind = VERB_EXPORT, TOPIC(DHCP), .key = "dnsmasq",
		JSON("dhcp.export"), .help = "the leases as dnsmasq's lease file"},
	{"dns get", TAKES("[KEY]", 0, 1), .kind = VERB_CONFIG, WHAT(RUNNING), .key = "dns",
		JSON("dns.get"), .help = "the DNS forwarder's settings"},
	{"dns set", TAKES("K=V...", 1, MANY), .kind = VERB_SET, .key = "dns", JSON("dns.set"),
		.help = "change them, such as upstreams=9.9.9.9,1.1.1.1 cache=0"},
	{"alg calls", .kind = VERB_TABLE, TOPIC(CALLS), JSON("alg.calls"), COUNTS("call", "calls"),
		.help = "telephone calls that an application-level gateway serves"},
	{"alg enable", TAKES("NAME", 1, 1), .kind = VERB_ALG, .value = "true", JSON("alg.enable"),
		.help = "switch an application-level gateway on"},
	{"alg disable", TAKES("NAME", 1, 1), .kind = VERB_ALG, .value = "false",
		JSON("alg.disable"), .help = "switch an application-level gateway off"},
	{"alg expectations", .kind = VERB_TABLE, TOPIC(EXPECTATIONS), JSON("alg.expectations"),
		COUNTS("expectation", "expectations"),
		.help = "connections that an application-level gateway has announced"},
	{"alg list", .kind = VERB_GATEWAYS, TOPIC(ALG_STATS), .key = "settings", JSON("alg.list"),
		COUNTS("gateway", "gateways"),
		.help = "application-level gateways and how each is switched"},
	{"alg stats", TAKES("[NAME]", 0, 1), .kind = VERB_GATEWAYS, TOPIC(ALG_STATS),
		JSON("alg.stats"), COUNTS("gateway", "gateways"),
		.help = "what each application-level gateway has seen and done"},
	{"alg test", TAKES("NAME FILE", 2, 2), .kind = VERB_ALG_TEST, TOPIC(ALG_STATS),
		JSON("alg.test"), COUNTS("event", "events"),
		.help = "what a gateway would do with the traffic of a capture (pcap, pcapng)"},
	{"config show", TAKES("[PATH]", 0, 1), .kind = VERB_CONFIG, WHAT(RUNNING), .key = "",
		JSON("config.show"), .help = "the configuration that runs"},
	{"config diff", TAKES("[PATH]", 0, 1), .kind = VERB_CONFIG, WHAT(CHANGED), .key = "",
		JSON("config.diff"), .help = "what differs from the defaults"},
	{"config unsaved", TAKES("[PATH]", 0, 1), .kind = VERB_CONFIG, WHAT(UNSAVED), .key = "",
		JSON("config.unsaved"), .help = "what a restart would lose"},
	{"config test", TAKES("FILE", 1, 1), .kind = VERB_TEST, WHAT(TEST), JSON("config.test"),
		.help = "whether the file would be taken, and what it would change"},
	{"config reload", .kind = VERB_RELOAD, JSON("reload"),
		.help = "read the configuration file again; sessions go on"},
	{"reload", .kind = VERB_RELOAD, JSON("reload"), .help = "the same"},
	{"drain", .kind = VERB_DRAIN, JSON("drain"),
		.help = "take no new sessions, end when none is left, or after --for"},
	{"shutdown", .kind = VERB_SHUTDOWN, JSON("shutdown"),
		.help = "end the gateway in good order"},
	{"policy show", TAKES("[PROC]", 0, 1), .kind = VERB_POLICY, JSON("policy.show"),
		.help = "the system calls a process may make, each with its reason"},
	{"policy audit", .kind = VERB_AUDIT, .key = "audit", JSON("policy.audit"),
		COUNTS("check", "checks"),
		.help = "what the kernel says of each process, held against its policy"},
	{"policy export", TAKES("json|systemd|oci [PROC]", 1, 2), .kind = VERB_DECLARED,
		.key = "export", JSON("policy.export"), .help = "the policies for other programs"},
	{"drops", .kind = VERB_TABLE, TOPIC(DROPS), JSON("drops"), COUNTS("reason", "reasons"),
		.help = "input that was dropped, by reason"},
	{"log follow", TAKES("[FILTER]", 0, MANY), .kind = VERB_EVENTS, TOPIC(EVENTS),
		JSON("log.follow"), COUNTS("event", "events"),
		.help = "the security log as it is written, until interrupted"},
	{"metrics", .kind = VERB_METRICS, TOPIC(STATUS), JSON("metrics"),
		.help = "sessions, leases, bytes, drops and restarts for Prometheus"},
	{"version", .kind = VERB_VERSION, JSON("version"),
		.help = "version of the tool and of the running gateway"},
	{"import softether", TAKES("FILE", 1, 1), .kind = VERB_IMPORT, JSON("import"),
		.help = "natlock's configuration from SoftEther's vpn_server.config"},
	{"doctor", .kind = VERB_DOCTOR, JSON("doctor"),
		.help = "how to find out what works on this computer"},
	{"completion", TAKES("bash|zsh|fish", 1, 1), .kind = VERB_COMPLETION, JSON("completion"),
		.help = "print a completion script"},
	{"help", .kind = VERB_HELP, JSON("help"), .help = "print this list"},
};
const size_t verb_count = sizeof(verbs) / sizeof(verbs[0]);

const char *const format_names[FORMAT_COUNT] = {
	"table", "wide", "json", "jsonl", "csv", "conntrack", "cisco"};

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

/* What was probably meant: the known command that is most like as many of the words as it has. */
static const char *similar(const char *const *words, size_t count)
{
	enum { WORDS = 3, KNOWN = 96 };
	const char *known[KNOWN], *meant = NULL;
	char typed[80] = "";
	size_t n = 0;

	for (; n < verb_count && n < KNOWN; n++)
		known[n] = verbs[n].words;
	for (size_t i = 0; i < count && i < WORDS; i++) {
		size_t used = strlen(typed);
		const char *found;

		snprintf(typed + used, sizeof(typed) - used, "%s%.20s", i > 0 ? " " : "", words[i]);
		found = reflect_suggest(typed, known, n);
		meant = found != NULL ? found : meant;
	}
	return meant;
}

const struct verb *verb_find(
	const char *const *words, size_t count, size_t *used, const char **meant)
{
	const struct verb *verb = NULL;

	*used = 0;
	for (size_t i = 0; i < verb_count; i++) {
		size_t length = phrase_length(verbs[i].words, words, count);

		if (length > *used) {
			*used = length;
			verb = &verbs[i];
		}
	}
	*meant = verb == NULL ? similar(words, count) : NULL;
	return verb;
}

/* Where the next word begins in a command that has more words than these; NULL if it does not begin so. */
static const char *behind(const char *phrase, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = strcspn(phrase, " ");

		if (phrase[length] == '\0' || strlen(words[i]) != length ||
			strncasecmp(phrase, words[i], length) != 0)
			return NULL;
		phrase += length + 1;
	}
	return phrase;
}

bool verb_next(const char *const *words, size_t count, char *out, size_t cap)
{
	const char *last = NULL;
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < verb_count + alias_count && used < cap; i++) {
		const char *phrase =
			i < verb_count ? verbs[i].words : aliases[i - verb_count].words;
		const char *next = behind(phrase, words, count);
		size_t length = next != NULL ? strcspn(next, " ") : 0;

		/* rows that begin alike stand together */
		if (next == NULL || (last != NULL && strcspn(last, " ") == length &&
					    strncmp(last, next, length) == 0))
			continue;
		used += (size_t)snprintf(out + used, cap - used, "%s%.*s", last != NULL ? ", " : "",
			(int)length, next);
		last = next;
	}
	return last != NULL;
}

static void help_formats(FILE *out)
{
	for (int i = 0; i < FORMAT_COUNT; i++)
		fprintf(out, "%s%s", i > 0 ? "|" : "", format_names[i]);
}

void verb_help(FILE *out)
{
	char left[80];

	fputs("usage: natlockctl [--hub H] [--api PATH] [-o ", out);
	help_formats(out);
	fputs("]\n"
	      "                  [--watch SEC] [--save] [--vrf NAME] [--for TIME]\n"
	      "                  [--json] [--probe] COMMAND\n"
	      "       natlockctl [--guest IP] [--outside IP[:PORT]] [--map INSIDE=OUTSIDE]...\n"
	      "                  [--port N,...] [--dns-v6] [--write] alg test NAME FILE\n\n",
		out);
	for (size_t i = 0; i < verb_count; i++) {
		snprintf(left, sizeof(left), "%s %s", verbs[i].words,
			verbs[i].arguments != NULL ? verbs[i].arguments : "");
		fprintf(out, "  %-26s%s %s\n", left,
			strlen(left) > 26 ? "\n                            " : "", verbs[i].help);
	}
	fputs("\naccepted as typed, too:\n", out);
	for (size_t i = 0; i < alias_count; i++)
		fprintf(out, "  %-42s %s\n", aliases[i].words, aliases[i].means);
	fputs("\nexit codes: 0 ok, 1 failed, 2 usage, 3 not reachable, 4 nothing matched, 5 "
	      "refused,\n"
	      "            6 configuration invalid, 7 audit found drift, 8 timed out\n",
		out);
}
