/* natlock: which command. The supervisor's order of birth is in start.c. */
#include <stdio.h>

#include "advice.h"
#include "attach.h"
#include "conf.h"
#include "doctor.h"
#include "options.h"
#include "start.h"

static int check(const struct options *o)
{
	static struct hostnet net; /* too large for a stack */
	static struct resolvers resolvers;
	struct advice_host host;
	struct conf_error error;
	char text[800];
	Nl__Config *config = conf_load(o->config, &error);

	if (!config) {
		say("%s", conf_error_text(&error, text, sizeof(text)));
		return EXIT_CONFIG;
	}
	if (!conf_print_diff(stdout, config))
		say("the configuration is valid and equals the defaults");
	fflush(stdout);
	advice_look(&host, &net, &resolvers);
	advice_give(stderr, config, &host);
	conf_free(config);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	struct options o;
	struct trouble t;

	if (options_parse(argc, argv, &o, &t) < 0)
		return trouble_say(&t);
	switch (o.command) {
	case COMMAND_RUN: return start_run(&o);
	case COMMAND_UP: return start_up(&o);
	case COMMAND_ATTACH: return attach_command(&o);
	case COMMAND_CHECK: return check(&o);
	case COMMAND_DOCTOR: return doctor();
	case COMMAND_DEFAULTS: fputs(conf_defaults_text(), stdout); return EXIT_OK;
	case COMMAND_HELP: fputs(options_usage(), stdout); return EXIT_OK;
	case COMMAND_VERSION: puts("natlock " NATLOCK_VERSION); return EXIT_OK;
	}
	return EXIT_USAGE;
}
