/* natlockctl without its process: what was typed, and doing it over a connected descriptor. */
#ifndef NATLOCK_CTL_CTL_H
#define NATLOCK_CTL_CTL_H

#include <stdio.h>

#include "client.h"
#include "render.h"

enum { CTL_WORDS_MAX = 8, CTL_GO_ON = -1 };

struct ctl {
	FILE *out, *err; /* data; summaries and errors */
	const char *hub, *api;
	enum format format;
	struct verb_choice choice;
	struct client client;
};

/*
 * Reads the arguments; options may stand anywhere. CTL_GO_ON: connect and call ctl_run. Otherwise
 * an exit code: help, the completion or an error has been printed. Pointers into argv stay in *ctl.
 */
int ctl_parse(struct ctl *ctl, int argc, char **argv);
/* Asks over fd (connected, SOCK_SEQPACKET), prints, returns the exit code. Syscalls: sendmsg poll
 * recvmsg write */
int ctl_run(struct ctl *ctl, int fd);
/* Prints a failure in the form the format asks for; returns its exit code. */
int ctl_fail(const struct ctl *ctl, const struct failure *f);

#endif
