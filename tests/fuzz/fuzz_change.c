/* Any bytes as a change: HOW, the path, NUL, the value. The message stays whole whatever comes; what was taken reads back. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read once: reading them would be most of a run. */
static Nl__Config *defaults(void)
{
	static Nl__Config *read;
	if (read == NULL)
		read = conf_defaults();
	Nl__Config *copy = read != NULL ? (Nl__Config *)reflect_copy(&read->base) : NULL;
	if (copy == NULL)
		abort();
	return copy;
}

static void check_whole(const Nl__Config *config)
{
	struct reflect_error error;
	Nl__Config *again = defaults();
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	if (out == NULL)
		abort();
	reflect_print(out, &config->base);
	fclose(out);
	if (reflect_yaml(&again->base, text, bytes, NULL, &error) != 0 ||
		!reflect_equal(&config->base, &again->base))
		abort();
	conf_free(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reflect_error error;
	Nl__Config *config;
	char *path, *value;
	int result;

	if (size < 2)
		return 0;
	path = strndup((const char *)data + 1, size - 1);
	value = strndup((const char *)data + 1 + strlen(path) + (strlen(path) < size - 1),
		size - 1 - strlen(path) - (strlen(path) < size - 1));
	config = defaults();
	result = reflect_change(
		&config->hubs[0]->base, (enum reflect_how)(data[0] % 3), path, value, &error);
	if (result != 0 && result != -ENOMEM &&
		(error.text[0] == '\0' || memchr(error.text, '\n', strlen(error.text)) != NULL))
		abort();
	if (result == 0)
		check_whole(config);
	conf_free(config);
	free(path);
	free(value);
	return 0;
}
