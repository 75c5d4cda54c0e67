/*
 * Any bytes as the layer of saved changes. Its folder belongs to the user that natlock runs as, while root reads it at the next
 * start: whatever it says, only what a request may change is changed, and nothing that the file's administrator forbids.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "change.h"
#include "saved.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];
static Nl__Config *file;

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void leave(void)
{
	unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char text[] = "hubs: {default: {}, lab: {host: {address: 192.168.30.2}, "
				   "options: {no_securenat: true}}}";
	struct conf_error error;
	snprintf(path, sizeof(path), "/dev/shm/natlock-fuzz-saved-%d", (int)getpid());
	atexit(leave);
	file = conf_parse("fuzz", text, sizeof(text) - 1, &error);
	require(file != NULL);
	return 0;
}

static void write_layer(const uint8_t *data, size_t size)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* Every difference is one that an operator could have asked for. */
static void check(const Nl__Config *now)
{
	static char differs[CHANGE_PATHS][REFLECT_PATH_BYTES];
	require(now->n_hubs == file->n_hubs);
	for (size_t h = 0; h < now->n_hubs; h++) {
		const size_t n = reflect_differences(
			&file->hubs[h]->base, &now->hubs[h]->base, differs, CHANGE_PATHS);
		for (size_t i = 0; i < n && i < CHANGE_PATHS; i++)
			require(change_kind_of_hub(differs[i]) == CHANGE_LIVE);
	}
	require(reflect_equal(&now->api->base, &file->api->base));
	require(reflect_equal(&now->policy->base, &file->policy->base));
	require(reflect_equal(&now->log->base, &file->log->base));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_error error = {0};
	bool laid = false;
	write_layer(data, size);
	Nl__Config *now = saved_lay(path, file, &laid, &error);
	require(now || error.text[0]);
	if (now)
		check(now);
	conf_free(now);
	return 0;
}
