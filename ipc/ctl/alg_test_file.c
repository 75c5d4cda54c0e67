/* natlockctl alg test, with its file. */
#include <stdlib.h>
#include <unistd.h>

#include "alg_test.h"
#include "confined.h"

int alg_test_command(struct ctl *ctl, struct failure *f)
{
	void *bytes;
	size_t size;
	int code;

	if (ctl->replay.write && isatty(STDOUT_FILENO) == 1)
		return failure(f, CTL_USAGE, "E0701", "The packets are written to standard output.",
			"natlockctl alg test NAME FILE --write > rewritten.pcapng",
			"a capture is nothing for a terminal");
	code = confined_read(ctl->argument[1], ALG_TEST_BYTES, NULL, &bytes, &size, f);
	if (code == CTL_OK)
		code = alg_test_run(ctl, bytes, size, f);
	free(bytes);
	return code;
}
