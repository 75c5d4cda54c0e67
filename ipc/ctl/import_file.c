/* natlockctl import softether, with its file. */
#include <stdlib.h>

#include "confined.h"
#include "import.h"
#include "softether.h"

int import_command(const char *path, FILE *out, FILE *err, struct failure *f)
{
	void *text;
	size_t bytes;
	int code = confined_read(path, SOFTETHER_TEXT_MAX,
		"SoftEther keeps it beside its program, or in /var/lib/softether", &text, &bytes,
		f);

	if (code == CTL_OK)
		code = import_softether(path, text, bytes, out, err, f);
	free(text);
	return code;
}
