/* natlockctl without its process: what was typed, and doing it over a connected descriptor. */
#ifndef NATLOCK_CTL_CTL_H
#define NATLOCK_CTL_CTL_H

#include <stdio.h>

#include "change.h"
#include "client.h"
#include "filter.h"
#include "phrase.h"
#include "render.h"

enum { CTL_WORDS_MAX = PHRASE_WORDS, CTL_GO_ON = -1 };

/* Options of alg test, as they were typed. */
struct ctl_replay {
	const char *guest, *outside, *port, *map[16];
	size_t maps;
	bool write, dns_v6;
};

struct ctl {
	FILE *out, *err;  /* data; summaries and errors */
	bool is_terminal; /* `out` is one: --watch may clear it */
	enum format format;
	/* options */
	const char *hub, *api, *vrf, *drain_for;
	bool save, probe;
	int watch_ms; /* 0: once */
	struct ctl_replay replay;
	/* what was typed, as our own words, and what they mean */
	struct phrase phrase;
	const struct verb *verb;
	const char *const *argument;
	size_t arguments;
	struct filter filter;	    /* VERB_TABLE, VERB_FLUSH, VERB_EVENTS */
	struct change_list changes; /* VERB_SET to VERB_REMOVE */
	uint64_t drain_ms;	    /* VERB_DRAIN */
	int file;		    /* VERB_TEST: what goes with the request; else -1 */
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
