/* Any bytes as SoftEther's configuration: what comes out is a configuration that natlock accepts. */
#include <stdint.h>
#include <stdlib.h>

#include "conf.h"
#include "import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes), *notes = fopen("/dev/null", "w");
	struct conf_error error;
	struct failure f;
	Nl__Config *config;
	int code = import_softether("fuzz", (const char *)data, size, out, notes, &f);

	fclose(notes);
	fclose(out);
	if (code == CTL_OK) {
		config = conf_parse("out", text, bytes, &error);
		if (config == NULL) {
			fprintf(stderr, "%d:%d: %s\n%s", error.line, error.column, error.text,
				text);
			abort();
		}
		conf_free(config);
	} else if (bytes > 0) {
		abort();
	}
	free(text);
	return 0;
}
