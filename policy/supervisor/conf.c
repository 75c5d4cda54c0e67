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
#include <unistd.h>

#include "conf.h"
#include "defaults.h"

const char *conf_defaults_text(void)
{
	return defaults_yaml;
}

static Nl__Config *defaults(void)
{
	Nl__Config *config = malloc(sizeof(*config));
	struct reflect_error error;

	if (config == NULL)
		return NULL;
	nl__config__init(config);
	if (reflect_yaml(&config->base, defaults_yaml, strlen(defaults_yaml), NULL, &error) == 0)
		return config;
	fprintf(stderr, "natlock: embedded defaults:%d:%d: %s\n", error.line, error.column,
		error.text);
	abort();
}

void conf_free(Nl__Config *config)
{
	if (config != NULL)
		nl__config__free_unpacked(config, NULL);
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
	Nl__Config *config = defaults();

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
	if (folder == NULL || folder[0] != '/')
		return false;
	/* Not access(R_OK): a file that is there but unreadable must be an error, not silence. */
	return snprintf(out, cap, "%s%s", folder, rest) < (int)cap && access(out, F_OK) == 0;
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

static Nl__Config *load_file(const char *path, struct conf_error *error)
{
	static const size_t cap = REFLECT_YAML_MAX + 1; /* one more shows that it is too long */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = malloc(cap);
	Nl__Config *config = NULL;
	ssize_t n = fd < 0 ? -errno : text == NULL ? -ENOMEM : read_all(fd, text, cap);

	if (n < 0) {
		*error = (struct conf_error){0};
		snprintf(error->file, sizeof(error->file), "%s", path);
		snprintf(error->text, sizeof(error->text), "cannot %s: %s",
			fd < 0 ? "open" : "read", strerror((int)-n));
	} else {
		config = conf_parse(path, text, (size_t)n, error);
	}
	free(text);
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
	Nl__Config *base = defaults();
	bool differs;

	if (base == NULL)
		return false;
	differs = reflect_print_diff(out, &config->base, &base->base);
	conf_free(base);
	return differs;
}
