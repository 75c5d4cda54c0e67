/* Any bytes as a configuration: accepted or refused with a place; what is accepted prints back to
 * itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const Nl__Config *config)
{
	struct conf_error error;
	Nl__Config *again;
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	if (out == NULL)
		return;
	conf_print_diff(out, config);
	fclose(out);
	again = conf_parse("again", text, bytes, &error);
	if (again == NULL || !reflect_equal(&config->base, &again->base))
		abort();
	conf_free(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_error error;
	Nl__Config *config = conf_parse("fuzz", (const char *)data, size, &error);

	if (config != NULL)
		check_round_trip(config);
	else if (error.text[0] == '\0' || memchr(error.text, '\n', strlen(error.text)) != NULL)
		abort();
	conf_free(config);
	return 0;
}
