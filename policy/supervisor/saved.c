/* Theory of operation: see saved.h. The file is replaced by rename, after its bytes are on disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "change.h"
#include "files.h"
#include "places.h"
#include "saved.h"
#include "textout.h"

void saved_path(char out[SAVED_PATH], const char *state)
{
	if (!state[0] || snprintf(out, SAVED_PATH, "%s/saved.yaml", state) >= SAVED_PATH)
		out[0] = '\0';
}

/* The text, at most one byte more than is allowed; NULL with -errno in *bytes. */
static char *read_layer(const char *path, ssize_t *bytes)
{
	char *text = malloc(REFLECT_YAML_MAX + 2);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	size_t used = 0;
	ssize_t n = 1;

	if (fd < 0 || !text) {
		*bytes = fd < 0 ? -errno : -ENOMEM;
	} else {
		while (n > 0 && used <= REFLECT_YAML_MAX) {
			n = read(fd, text + used, REFLECT_YAML_MAX + 1 - used);
			used += n > 0 ? (size_t)n : 0;
		}
		*bytes = n < 0 ? -errno : (ssize_t)used;
	}
	if (fd >= 0)
		close(fd);
	if (*bytes >= 0)
		return text;
	free(text);
	return NULL;
}

static int refuse(struct conf_error *error, const char *what, const char *path)
{
	snprintf(error->text, sizeof(error->text), "%s%s cannot be a saved change", what, path);
	return -EINVAL;
}

/* Nothing but what a request may change. */
static int check_kinds(const Nl__Config *before, const Nl__Config *now, struct conf_error *error)
{
	char path[CHANGE_PATHS][REFLECT_PATH_BYTES];
	size_t n = reflect_differences(&before->base, &now->base, path, CHANGE_PATHS), i, h;

	for (i = 0; i < n && i < CHANGE_PATHS; i++)
		if (strcmp(path[i], "hubs") != 0)
			return refuse(error, "", path[i]);
	for (h = 0; h < now->n_hubs; h++) {
		n = reflect_differences(
			&before->hubs[h]->base, &now->hubs[h]->base, path, CHANGE_PATHS);
		for (i = 0; i < n && i < CHANGE_PATHS; i++)
			if (change_kind_of_hub(path[i]) != CHANGE_LIVE)
				return refuse(error, "hubs: ", path[i]);
	}
	return 0;
}

static int lay(Nl__Config *config, const Nl__Config *file, const char *text, size_t bytes,
	struct conf_error *error)
{
	struct reflect_error why;
	int result = reflect_yaml_merge(&config->base, text, bytes, &why);

	if (result != 0) {
		error->line = why.line;
		error->column = why.column;
		snprintf(error->text, sizeof(error->text), "%s",
			result == -ENOMEM ? "out of memory" : why.text);
		return result;
	}
	result = check_kinds(file, config, error);
	return result == 0 ? conf_check(config, NULL, error) : result;
}

Nl__Config *saved_lay(
	const char *path, const Nl__Config *file, bool *laid, struct conf_error *error)
{
	Nl__Config *config = (Nl__Config *)reflect_copy(&file->base);
	ssize_t bytes = -ENOENT;
	char *text = path[0] ? read_layer(path, &bytes) : NULL;

	*laid = text != NULL;
	*error = (struct conf_error){0};
	snprintf(error->file, sizeof(error->file), "%s", path);
	if (!config)
		snprintf(error->text, sizeof(error->text), "out of memory");
	else if (bytes < 0 && bytes != -ENOENT)
		snprintf(error->text, sizeof(error->text), "cannot read the saved changes: %s",
			strerror((int)-bytes));
	else if (!text || lay(config, file, text, (size_t)bytes, error) == 0) {
		free(text);
		return config;
	}
	free(text);
	conf_free(config);
	return NULL;
}

static char *layer_text(const Nl__Config *kept, const Nl__Config *file, size_t *bytes, bool *any)
{
	struct textout text;
	FILE *out = textout_open(&text);

	if (!out)
		return NULL;
	fputs("# Changes saved by natlockctl, laid over the configuration file.\n", out);
	*any = conf_print_since(out, kept, file);
	return textout_close(&text, bytes);
}

/* The folder's entry is on disk too. */
static int sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		error = -errno;
	close(fd);
	return error;
}

static int write_file(const char *path, const char *text, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int error = fd < 0 ? -errno : files_write_all(fd, text, bytes);

	if (error == 0 && fsync(fd) < 0)
		error = -errno;
	if (fd >= 0)
		close(fd);
	return error;
}

static int replace(const char *path, const char *text, size_t bytes)
{
	char fresh[SAVED_PATH + 8], folder[SAVED_PATH];
	int error;

	if (bytes > REFLECT_YAML_MAX)
		return -EFBIG;
	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	error = places_make(folder, 0700, geteuid(), getegid());
	if (error == 0)
		error = write_file(fresh, text, bytes);
	if (error == 0 && rename(fresh, path) < 0)
		error = -errno;
	if (error == 0)
		return sync_folder(folder);
	unlink(fresh);
	return error;
}

int saved_write(const char *path, const Nl__Config *kept, const Nl__Config *file)
{
	size_t bytes = 0;
	bool any = false;
	char *text;
	int error;

	if (!path[0])
		return -ENOENT;
	text = layer_text(kept, file, &bytes, &any);
	if (!text)
		return -ENOMEM;
	if (any)
		error = replace(path, text, bytes);
	else
		error = unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
	free(text);
	return error == 0 ? any : error;
}
