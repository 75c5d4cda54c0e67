/* Theory of operation: see options.h. The first word is the command; each command takes some of the
 * options. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

enum {
	OPTION_HUB = 256,
	OPTION_USER,
	OPTION_DAEMON,
	OPTION_PUBLISH,
	OPTION_SUBNET,
	OPTION_MTU,
	OPTION_READY
};

struct command_word {
	const char *word;
	enum command command;
	const char *takes; /* options by their first letter, upper case for long ones */
};

static const struct command_word words[] = {
	{"run", COMMAND_RUN, "PSMR"},
	{"up", COMMAND_UP, "cHUD"},
	{"attach", COMMAND_ATTACH, "H"},
	{"check", COMMAND_CHECK, "c"},
	{"doctor", COMMAND_DOCTOR, ""},
	{"defaults", COMMAND_DEFAULTS, ""},
	{"help", COMMAND_HELP, ""},
	{"--help", COMMAND_HELP, ""},
	{"-h", COMMAND_HELP, ""},
	{"--version", COMMAND_VERSION, ""},
};

const char *options_usage(void)
{
	return "natlock run [OPTIONS] -- CMD [ARG..]   run CMD in a network of its own, behind a "
	       "gateway; no root, no configuration\n"
	       "   --publish [127.0.0.1:]8080:80[/tcp]   let the host reach port 80 of CMD at "
	       "8080\n"
	       "   --subnet 192.168.30.0/24              the guest's subnet\n"
	       "   --mtu N                               576..65520\n"
	       "   --ready-fd N                          a line is written there when the gateway "
	       "works\n"
	       "natlock up [-c FILE] [--hub NAME] [--user U] [--daemon]   serve the configured "
	       "hubs\n"
	       "natlock attach TARGET [--hub NAME]      add a port to a running hub\n"
	       "   TARGET: pid:N | netns:PATH|NAME | tap:NAME | veth:NAME | qemu:PATH | "
	       "qemu-dgram:PATH | fd:N\n"
	       "natlock check [-c FILE]                 read the configuration and print what "
	       "differs from the defaults\n"
	       "natlock doctor                          what works here, what does not, and how to "
	       "fix it\n"
	       "natlock defaults                        print the commented default "
	       "configuration\n";
}

static bool parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *out)
{
	char *end;

	errno = 0;
	if (*text < '0' || *text > '9')
		return false;
	*out = strtoul(text, &end, 10);
	return errno == 0 && *end == '\0' && *out >= min && *out <= max;
}

bool options_parse_publish(const char *text, struct options_publish *out)
{
	char copy[64], *slash, *guest, *port;
	unsigned long listen_port, guest_port;
	struct in_addr address = {htonl(INADDR_LOOPBACK)};

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (slash)
		*slash++ = '\0';
	if (slash && strcmp(slash, "tcp") != 0 && strcmp(slash, "udp") != 0)
		return false;
	guest = strrchr(copy, ':');
	if (!guest)
		return false;
	*guest++ = '\0';
	port = strrchr(copy, ':');
	if (port)
		*port++ = '\0';
	if (port && inet_pton(AF_INET, copy, &address) != 1)
		return false;
	if (!parse_number(port ? port : copy, 1, 65535, &listen_port) ||
		!parse_number(guest, 1, 65535, &guest_port))
		return false;
	*out = (struct options_publish){slash && strcmp(slash, "udp") == 0, address.s_addr,
		(uint16_t)listen_port, (uint16_t)guest_port};
	return true;
}

bool options_parse_subnet(const char *text, struct options_subnet *out)
{
	char copy[32], *slash;
	struct in_addr address;
	unsigned long prefix;

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (!slash)
		return false;
	*slash++ = '\0';
	if (inet_pton(AF_INET, copy, &address) != 1 || !parse_number(slash, 8, 29, &prefix))
		return false;
	if (address.s_addr == 0 || ntohl(address.s_addr) & UINT32_MAX >> prefix)
		return false;
	*out = (struct options_subnet){address.s_addr, (uint8_t)prefix};
	return true;
}

static int usage(struct options *o, struct trouble *t, const char *what, const char *value)
{
	trouble(t, o->command == COMMAND_RUN ? EXIT_GATEWAY : EXIT_USAGE, "E0102", "%s%s%s", what,
		value ? " " : "", value ? value : "");
	return trouble_fix(t, "See: natlock --help");
}

static int add_publish(struct options *o, const char *value, struct trouble *t)
{
	if (o->publishes == OPTIONS_PUBLISH)
		return usage(o, t, "too many --publish", NULL);
	if (options_parse_publish(value, &o->publish[o->publishes])) {
		o->publishes++;
		return 0;
	}
	usage(o, t, "--publish", value);
	return trouble_fix(t, "Write it as 127.0.0.1:8080:80/tcp.");
}

static int take(struct options *o, int option, const char *value, struct trouble *t)
{
	unsigned long number;

	switch (option) {
	case 'c': o->config = value; return 0;
	case OPTION_HUB: o->hub = value; return 0;
	case OPTION_USER: o->user = value; return 0;
	case OPTION_DAEMON: o->daemon = true; return 0;
	case OPTION_PUBLISH: return add_publish(o, value, t);
	case OPTION_SUBNET:
		if (options_parse_subnet(value, &o->subnet))
			return 0;
		usage(o, t, "--subnet", value);
		return trouble_fix(t, "Write a network of /8 to /29, such as 192.168.77.0/24.");
	case OPTION_MTU:
		if (!parse_number(value, OPTIONS_MTU_MIN, OPTIONS_MTU_MAX, &number))
			break;
		o->mtu = (uint32_t)number;
		return 0;
	case OPTION_READY:
		if (!parse_number(value, 0, 1023, &number))
			break;
		o->ready_fd = (int)number;
		return 0;
	default: return usage(o, t, "unknown option, or one without its value", NULL);
	}
	return usage(o, t, "a number out of range:", value);
}

static bool belongs(const struct command_word *w, int option)
{
	static const char letters[] = "HUDPSMR";

	return option == '?' ||
	       strchr(w->takes, option == 'c' ? 'c' : letters[option - OPTION_HUB]);
}

static int parse_options(
	const struct command_word *w, int argc, char **argv, struct options *o, struct trouble *t)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"hub", required_argument, NULL, OPTION_HUB},
		{"user", required_argument, NULL, OPTION_USER},
		{"daemon", no_argument, NULL, OPTION_DAEMON},
		{"publish", required_argument, NULL, OPTION_PUBLISH},
		{"subnet", required_argument, NULL, OPTION_SUBNET},
		{"mtu", required_argument, NULL, OPTION_MTU},
		{"ready-fd", required_argument, NULL, OPTION_READY},
		{NULL, 0, NULL, 0},
	};
	/* '+': the program's own options are not ours. */
	const char *shorts = w->command == COMMAND_RUN ? "+c:" : "c:";
	int option;

	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (!belongs(w, option))
			return usage(o, t, "an option that does not belong to", w->word);
		if (take(o, option, optarg, t) < 0)
			return -1;
	}
	return 0;
}

int options_parse(int argc, char **argv, struct options *o, struct trouble *t)
{
	size_t i = 0, n = sizeof(words) / sizeof(words[0]);

	memset(o, 0, sizeof(*o));
	o->command = COMMAND_HELP;
	o->ready_fd = -1;
	if (argc < 2)
		return usage(o, t, "what shall natlock do?", NULL);
	while (i < n && strcmp(words[i].word, argv[1]) != 0)
		i++;
	if (i == n)
		return usage(o, t, "unknown command", argv[1]);
	o->command = words[i].command;
	argc--;
	argv++;
	if (parse_options(&words[i], argc, argv, o, t) < 0)
		return -1;
	if (o->command == COMMAND_RUN) {
		o->program = argv + optind;
		return optind < argc ? 0 : usage(o, t, "run needs a program", NULL);
	}
	if (o->command == COMMAND_ATTACH) {
		o->target = optind < argc ? argv[optind++] : NULL;
		if (!o->target)
			return usage(o, t, "attach needs a target", NULL);
	}
	return optind == argc ? 0 : usage(o, t, "unexpected word", argv[optind]);
}
