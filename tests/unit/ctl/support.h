/* What the tests of reflect, conf and natlockctl share. */
#ifndef NATLOCK_TESTS_CTL_SUPPORT_H
#define NATLOCK_TESTS_CTL_SUPPORT_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

/* A FILE whose text can be compared afterwards. */
struct capture {
	FILE *file;
	char *text;
	size_t bytes;
};

static inline void capture_open(struct capture *c)
{
	c->text = NULL;
	c->file = open_memstream(&c->text, &c->bytes);
}
/* What was written; freed by the caller. */
static inline char *capture_close(struct capture *c)
{
	fclose(c->file);
	c->file = NULL;
	return c->text;
}

/* The error of a configuration text as the user reads it, or "" when it is accepted. Not reentrant.
 */
static inline const char *conf_says(const char *text, size_t bytes)
{
	static char out[900];
	struct conf_error error;
	Nl__Config *config = conf_parse("natlock.yaml", text, bytes, &error);

	out[0] = '\0';
	if (config == NULL)
		conf_error_text(&error, out, sizeof(out));
	conf_free(config);
	return out;
}

#endif
