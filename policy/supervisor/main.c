/* natlock: which command. The supervisor's order of birth is in start.c. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "advice.h"
#include "attach.h"
#include "conf.h"
#include "doctor.h"
#include "options.h"
#include "places.h"
#include "saved.h"
#include "start.h"

/* As `up` would have it, with the changes that were saved where this user would keep them. */
static Nl__Config *load(const struct options *o, struct conf_error *error)
{
	Nl__Config *file = conf_load(o->config, error), *config;
	struct places places;
	char path[SAVED_PATH];
	bool laid;

	if (!file)
		return NULL;
	places_find(&places);
	saved_path(path, places.state);
	config = saved_lay(path, file, &laid, error);
	conf_free(file);
	if (laid)
		say("changes saved in %s are laid over it%s", path,
			config ? "; to forget them, remove that file" : "");
	return config;
}

static int check(const struct options *o)
{
	static struct hostnet net; /* too large for a stack */
	static struct resolvers resolvers;
	struct advice_host host;
	struct conf_error error;
	char text[800];
	Nl__Config *config = load(o, &error);

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

/* A number below 3 that the caller left closed would become some socket of ours, and notes be
 * written into it. */
static void fill_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct options o;
	struct trouble t;

	fill_standard();
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
