/*
 * A stream into memory of which nothing is lost unsaid. The C library's open_memstream leaves out what finds no memory and says so
 * only to the one call that wrote it: neither ferror nor fclose knows.
 */
#ifndef NATLOCK_IPC_TEXTOUT_H
#define NATLOCK_IPC_TEXTOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct textout {
	FILE *file;
	char *text;
	size_t bytes, room; /* written through the stream's own buffer */
	bool lost;	    /* something found no memory */
};

/* The stream to write to; NULL: no memory, and nothing to close. */
FILE *textout_open(struct textout *t);
/* Ends it. The whole text with a NUL behind it, freed by the caller; NULL: there was no memory for all of it. */
char *textout_close(struct textout *t, size_t *bytes);

#endif
