/*
 * Order of layers: the embedded defaults, then at most one file. reflect.h does the laying; a
 * file's hubs start from the default hub because reflect starts keyed elements from the one named
 * "default". Then conf_check looks at what depends on several values. A defect in the embedded text
 * is our own bug: abort.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "defaults.h"

const char *conf_defaults_text(void)
{
	return defaults_yaml;
}

void conf_free(Nl__Config *config)
{
	if (config != NULL)
		nl__config__free_unpacked(config, NULL);
}

Nl__Config *conf_defaults(void)
{
	Nl__Config *config = malloc(sizeof(*config));
	struct reflect_error error;
	int result;

	if (config == NULL)
		return NULL;
	nl__config__init(config);
	result = reflect_yaml(&config->base, defaults_yaml, strlen(defaults_yaml), NULL, &error);
	if (result == 0)
		return config;
	if (result == -ENOMEM) {
		conf_free(config);
		return NULL;
	}
	fprintf(stderr, "natlock: embedded defaults:%d:%d: %s\n", error.line, error.column,
		error.text);
	abort();
}

static int lay_over(Nl__Config *config, const char *text, size_t bytes, struct conf_error *error)
{
	struct reflect_marks marks = {0};
	struct reflect_error why;
	int result = reflect_yaml(&config->base, text, bytes, &marks, &why);

	if (result == 0) {
		result = conf_check(config, &marks, error);
	} else {
		error->line = why.line;
		error->column = why.column;
		snprintf(error->text, sizeof(error->text), "%s",
			result == -ENOMEM ? "out of memory" : why.text);
	}
	reflect_marks_free(&marks);
	return result;
}

Nl__Config *conf_parse(const char *name, const char *text, size_t bytes, struct conf_error *error)
{
	Nl__Config *config = conf_defaults();

	*error = (struct conf_error){0};
	snprintf(error->file, sizeof(error->file), "%s", name);
	if (config == NULL) {
		snprintf(error->text, sizeof(error->text), "out of memory");
		return NULL;
	}
	if (lay_over(config, text, bytes, error) == 0)
		return config;
	conf_free(config);
	return NULL;
}

static bool exists(char *out, size_t cap, const char *folder, const char *rest)
{
	struct stat st;

	if (folder == NULL || folder[0] != '/')
		return false;
	/* A file that is there but unreadable must be an error, not silence. */
	return snprintf(out, cap, "%s%s", folder, rest) < (int)cap && stat(out, &st) == 0;
}

bool conf_find(char *out, size_t cap)
{
	const char *base = getenv("XDG_CONFIG_HOME");

	if (exists(out, cap, "/etc", "/natlock.yaml"))
		return true;
	if (base != NULL && base[0] == '/')
		return exists(out, cap, base, "/natlock.yaml");
	return exists(out, cap, getenv("HOME"), "/.config/natlock.yaml");
}

/* Reads until the end or `cap` bytes; a pipe is as good as a file. Returns bytes or -errno. */
static ssize_t read_all(int fd, char *out, size_t cap)
{
	size_t used = 0;

	while (used < cap) {
		ssize_t n = read(fd, out + used, cap - used);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		used += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)used;
}

static Nl__Config *unreadable(
	const char *name, const char *verb, int number, struct conf_error *error)
{
	*error = (struct conf_error){.os = number};
	snprintf(error->file, sizeof(error->file), "%s", name);
	snprintf(error->text, sizeof(error->text), "cannot %s: %s", verb, strerror(number));
	return NULL;
}

Nl__Config *conf_read(const char *name, int fd, struct conf_error *error)
{
	static const size_t cap = REFLECT_YAML_MAX + 1; /* one more shows that it is too long */
	char *text = malloc(cap);
	ssize_t n = text == NULL ? -ENOMEM : read_all(fd, text, cap);
	Nl__Config *config = n < 0 ? unreadable(name, "read", (int)-n, error)
				   : conf_parse(name, text, (size_t)n, error);

	free(text);
	return config;
}

static Nl__Config *load_file(const char *path, struct conf_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Nl__Config *config = fd < 0 ? unreadable(path, "open", errno, error)
				    : conf_read(path, fd, error);

	if (fd >= 0)
		close(fd);
	return config;
}

Nl__Config *conf_load(const char *path, struct conf_error *error)
{
	char found[sizeof(error->file)];

	if (path != NULL)
		return load_file(path, error);
	if (conf_find(found, sizeof(found)))
		return load_file(found, error);
	return conf_parse("defaults", "", 0, error);
}

const char *conf_error_text(const struct conf_error *error, char *out, size_t cap)
{
	if (error->line > 0)
		snprintf(out, cap, "%s:%d:%d: %s", error->file, error->line, error->column,
			error->text);
	else
		snprintf(out, cap, "%s: %s", error->file, error->text);
	return out;
}

void conf_print(FILE *out, const Nl__Config *config)
{
	reflect_print(out, &config->base);
}

bool conf_print_diff(FILE *out, const Nl__Config *config)
{
	Nl__Config *base = conf_defaults();
	bool differs;

	if (base == NULL)
		return false;
	differs = reflect_print_diff(out, &config->base, &base->base);
	conf_free(base);
	return differs;
}

/* The hubs are headed by their names only when one of them differs. A new one differs from the built-in hub. */
static bool print_hub_since(
	FILE *out, const Nl__Hub *hub, const Nl__Config *before, bool already)
{
	Nl__Config *base = NULL;
	const Nl__Hub *old = NULL;
	Nl__Hub model;
	size_t i;

	for (i = 0; i < before->n_hubs && old == NULL; i++)
		if (strcmp(before->hubs[i]->name, hub->name) == 0)
			old = before->hubs[i];
	if (old != NULL && reflect_equal(&hub->base, &old->base))
		return false;
	fprintf(out, "%s  %s:\n", already ? "" : "hubs:\n", hub->name);
	if (old == NULL && (base = conf_defaults()) != NULL)
		old = base->hubs[0];
	if (old != NULL) {
		model = *old;
		model.name = hub->name; /* said already */
		reflect_print_at(out, &hub->base, &model.base, NULL, 4);
	}
	conf_free(base);
	return true;
}

bool conf_print_since(FILE *out, const Nl__Config *config, const Nl__Config *before)
{
	static const char *const sections[] = {"log", "api", "policy"};
	bool printed = false;
	size_t i;

	for (i = 0; i < config->n_hubs; i++)
		printed |= print_hub_since(out, config->hubs[i], before, printed);
	for (i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		printed |= reflect_print_at(out, &config->base, &before->base, sections[i], 0);
	return printed;
}
